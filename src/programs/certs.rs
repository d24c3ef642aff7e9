//! `node certs ..`: makes the certificates of a cluster whose nodes are on several machines.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{Start, cluster_file};
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::storage::ClusterId;
use crate::types::NodeId;

const AFTER_HELP: &str = "\
The folder is the one that the file names: certificates = \"certs\". Each machine needs ca.crt and the certificate and key of \
what runs there. ca.key makes certificates: keep it where no node runs. A node reads its certificate again on SIGHUP.

Exit code 0: it was made; 2: it was not, and why.";

/// Makes certificates: one authority for a cluster, and what its nodes, clients and administrators show.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Options {
    /// The file that describes the cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml", global = true)]
    config: PathBuf,
    /// How long the certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3_650), global = true)]
    days: u64,
    #[command(subcommand)]
    made: Made,
}

#[derive(Subcommand)]
enum Made {
    /// The authority of the cluster, once
    NewCa,
    /// What a node shows
    Node { node: NodeId },
    /// What a program shows that reads and writes data
    Client { name: String },
    /// What a console shows
    Admin { name: String },
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let output = Output::standard(Style::default());
    match run(&options) {
        Ok(text) => {
            output.progress(&text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn run(options: &Options) -> Result<String, String> {
    let config = options.config.as_path();
    let file = cluster_file::read(config)?;
    let folder = cluster_file::certificates(config, &file);
    let beside = config.parent().unwrap_or(Path::new(""));
    let made = make(&folder.clone().unwrap_or_else(|| beside.join("certs")), file.cluster.parse()?, options)?;
    let next = folder
        .is_none()
        .then(|| format!("\nwrite certificates = \"certs\" above [addresses] in {}", config.display()));
    Ok(made + &next.unwrap_or_default())
}

#[cfg(feature = "tls")]
fn make(folder: &Path, cluster: ClusterId, options: &Options) -> Result<String, String> {
    use crate::tls::Role;
    use crate::tls::issue::{Validity, certificate, new_authority};

    let role = match &options.made {
        Made::NewCa => {
            let path = new_authority(folder, cluster)?;
            return Ok(format!("{} is the authority of cluster {cluster}", path.display()));
        }
        Made::Node { node } => Role::Peer(*node),
        Made::Client { name } => Role::Client(name.clone()),
        Made::Admin { name } => Role::Admin(name.clone()),
    };
    let (path, replaces) = certificate(folder, &role, cluster, Validity::days(options.days))?;
    let instead = if replaces { ", in place of the one before" } else { "" };
    Ok(format!(
        "{} is the certificate of {role} for {} days{instead}, its key lies beside it",
        path.display(),
        options.days
    ))
}

#[cfg(not(feature = "tls"))]
fn make(_: &Path, _: ClusterId, options: &Options) -> Result<String, String> {
    let wanted = match &options.made {
        Made::NewCa => "an authority".to_string(),
        Made::Node { node } => format!("a certificate of {node}"),
        Made::Client { name } | Made::Admin { name } => format!("a certificate of {name}"),
    };
    Err(format!("{wanted} for {} days cannot be made: build with --features tls", options.days))
}
