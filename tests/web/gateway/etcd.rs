//! A real etcd, where there is one.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::after;
use tempfile::TempDir;

use super::{Line, PATIENCE};

/// An etcd with one member.
pub struct Etcd {
    child: Child,
    pub host: String,
    _folder: TempDir,
}

impl Etcd {
    /// Starts one; none where there is none, which is an error where `RAFTLAB_ETCD=required` says so.
    pub fn start() -> Option<Etcd> {
        let is_here = Command::new("etcd").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_here {
            let required = std::env::var("RAFTLAB_ETCD").is_ok_and(|wanted| wanted == "required");
            assert!(!required, "etcd is required and not here: install Debian's etcd-server");
            eprintln!("no etcd is here, so nothing was compared with it: install Debian's etcd-server");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let free =
            || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let (host, peer) = (free().to_string(), format!("http://{}", free()));
        let url = format!("http://{host}");
        let log = File::create(folder.path().join("log")).expect("a file");
        let child = Command::new("etcd")
            .args(["--data-dir", "data", "--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let etcd = Etcd { child, host, _folder: folder };
        let until = Instant::now() + PATIENCE;
        while !etcd.is_healthy() {
            assert!(Instant::now() < until, "etcd does not begin");
            let _ = after(Duration::from_millis(20)).recv();
        }
        Some(etcd)
    }

    fn is_healthy(&self) -> bool {
        std::net::TcpStream::connect(&self.host).is_ok() && Line::to(&self.host).get("/health").status == 200
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
