//! `cluster.toml`: what every process of a cluster and every client reads. Settings stand in it under their own names,
//! beside who the cluster is and where its nodes are.

use std::fmt::Write as _;
use std::path::PathBuf;

use derive_more::Debug;
use serde::Deserialize;

use super::file::{meaning, read_with};
use super::{ConfigError, Settings};
use crate::types::Addresses;

/// What stands in the file beside settings.
const OWN_KEYS: &[&str] = &["cluster", "token", "faults", "certificates", "addresses"];

/// A cluster of processes, as its file describes it.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterFile {
    /// The cluster's own number, as 16 hexadecimal digits.
    pub cluster: String,
    /// What every connection shows: it lets everybody in who can read the file.
    #[debug(skip)]
    pub token: String,
    /// The folder with certificates and keys. Without it connections stay on one machine, and are not encrypted.
    pub certificates: Option<PathBuf>,
    /// Whether consoles may order faults.
    pub faults: bool,
    /// Where its nodes listen, as `host:port`. They are those that begin it.
    pub addresses: Addresses,
    pub settings: Settings,
}

#[derive(Deserialize)]
struct Own {
    cluster: String,
    token: String,
    #[serde(default)]
    faults: bool,
    certificates: Option<PathBuf>,
    addresses: Addresses,
}

impl ClusterFile {
    /// # Errors
    /// One line: where, and what to write instead.
    pub fn read(text: &str) -> Result<ClusterFile, ConfigError> {
        let settings = read_with(text, OWN_KEYS)?;
        let Own { cluster, token, faults, certificates, addresses } =
            toml::from_str(text).map_err(|error| super::file::in_text(text, &error))?;
        let file = ClusterFile { cluster, token, certificates, faults, addresses, settings };
        file.validate().map_err(|(key, problem)| {
            let line = text
                .lines()
                .position(|line| line.trim_start_matches(['[', ' ']).starts_with(key))
                .map_or(1, |at| at + 1);
            ConfigError::Text { line, key: Some(key.to_string()), problem }
        })?;
        file.settings.validate()?;
        Ok(file)
    }

    fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.token.is_empty() {
            return Err((
                "token",
                "is empty: every process shows it, so write a long random word".to_string(),
            ));
        }
        if self.addresses.is_empty() {
            return Err(("addresses", "names no node: write n1 = \"host:port\" below it".to_string()));
        }
        for (node, address) in &self.addresses {
            if let Some((other, _)) =
                self.addresses.iter().find(|(other, same)| *other != node && *same == address)
            {
                return Err(("addresses", format!("{node} and {other} have the same address {address}")));
            }
        }
        if self.settings.memory {
            return Err(("memory", "a node in a process of its own needs files: leave it out".to_string()));
        }
        Ok(())
    }

    /// The file's text. Settings that are at their defaults are left out.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# A raftlab cluster of processes: every node and every client reads this file. Keep it to yourself: the token lets\n\
             # everybody in who knows it.\n",
        );
        let _ = writeln!(text, "cluster = \"{}\"\ntoken = \"{}\"\n", self.cluster, self.token);
        let _ = writeln!(
            text,
            "# Whether a console may crash nodes, cut links, break disks.\nfaults = {}",
            self.faults
        );
        if let Some(folder) = &self.certificates {
            let folder = toml::Value::String(folder.display().to_string());
            let _ = writeln!(
                text,
                "\n# The folder with this machine's certificates and keys ('node certs' makes them).\ncertificates = {folder}"
            );
        }
        let table = |settings: &Settings| toml::Table::try_from(settings).expect("settings are plain values");
        let (own, usual) = (table(&self.settings), table(&Settings::default()));
        for (key, value) in
            own.iter().filter(|(key, value)| usual.get(*key) != Some(*value) && *key != "nodes")
        {
            let _ = writeln!(text, "\n# {}\n{key} = {value}", meaning(key).replace('\n', "\n# "));
        }
        text.push_str(
            "\n# Where the nodes listen that begin the cluster. Programs ask these, and hear from any that runs where the others\n\
             # are.\n[addresses]\n",
        );
        for (node, address) in &self.addresses {
            let _ = writeln!(text, "{node} = \"{address}\"");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::types::NodeId;

    fn file() -> ClusterFile {
        let addresses = (7001..)
            .zip(NodeId::first(3))
            .map(|(port, node)| (node, SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()))
            .collect();
        ClusterFile {
            cluster: "00000000000000a1".to_string(),
            token: "secret".to_string(),
            certificates: Some("certs".into()),
            faults: true,
            addresses,
            settings: Settings { seed: Some(4), ..Settings::default() },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let file = file();
        assert_eq!(ClusterFile::read(&file.text()).expect("its own text"), file);
    }

    #[test]
    fn each_slip_is_told_with_its_line() {
        let text = file().text();
        let said = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            ClusterFile::read(&changed).expect_err(to).to_string()
        };
        for (from, to, expected) in [
            ("token = \"secret\"", "token = \"\"", "line 4: token: is empty"),
            ("127.0.0.1:7002", "127.0.0.1", "no address: write it as \"host:port\""),
            ("127.0.0.1:7002", "127.0.0.1:7001", "n1 and n2 have the same address"),
            ("faults = true", "memory = true", "needs files"),
            ("faults = true", "fautls = true", "fautls: unknown setting: did you mean 'faults'?"),
            ("n1 = ", "n0 = ", "n0"),
        ] {
            let said = said(from, to);
            assert!(said.contains(expected), "{said}");
        }
    }
}
