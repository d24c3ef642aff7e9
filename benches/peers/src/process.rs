//! Processes of what is measured: they end with what holds them, and leave nothing behind.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that is killed when it is dropped.
pub struct Child(process::Child);

impl Child {
    /// Starts the command.
    pub fn start(command: &mut Command) -> Result<Child, String> {
        let started = command.spawn();
        started.map(Child).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{} is not installed, or not built", command.get_program().to_string_lossy())
            }
            _ => format!("{}: {error}", command.get_program().to_string_lossy()),
        })
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder for the files of processes, which is removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// A new one, beside the built program: that is a disk, which a folder for temporary files need not be.
    pub fn new() -> Result<Folder, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = program.with_file_name(format!("measured-{}-{number}", process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Addresses of this machine at which nothing listens.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, String> {
    // All are taken at one time, so they differ.
    let taken: io::Result<Vec<TcpListener>> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let addresses = taken.and_then(|taken| taken.iter().map(TcpListener::local_addr).collect());
    addresses.map_err(|error| error.to_string())
}
