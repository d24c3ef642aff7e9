//! Files and folders that only their owner may read: what nodes keep, what clients asked and were told.
//!
//! Elsewhere than on Unix they are what the system makes of them. What is there already keeps its rights.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Options for a file that is made with these rights, if it is made.
pub fn options() -> OpenOptions {
    let options = &mut OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.clone()
}

/// Checks that a file with a secret is its owner's, and no one else reads it. Elsewhere than on Unix any file passes: its rights do not say so.
///
/// # Errors
/// One line: others may read it, or write it, and what to do; or the file cannot be looked at.
#[cfg(any(feature = "cli", feature = "tls"))]
pub fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let about = path.metadata().map_err(|error| format!("{shown}: {}", crate::text::plain(&error)))?;
    #[cfg(unix)]
    let is_open = std::os::unix::fs::MetadataExt::mode(&about) & 0o077 != 0;
    #[cfg(not(unix))]
    let is_open = {
        drop(about);
        false
    };
    if is_open {
        Err(format!("{shown} holds a secret and is open to others: chmod 600 {shown}"))
    } else {
        Ok(())
    }
}

/// A new file, or an old one emptied.
pub fn create(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// Finds out whether a file can be written there, and leaves all as it was. A pipe or a device is not tried: opening one
/// is noticed at its other end, or waits for it.
pub fn probe(path: &Path) -> io::Result<()> {
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return Ok(());
    }
    let is_new = path.symlink_metadata().is_err();
    drop(options().append(true).create(true).open(path)?);
    if is_new { std::fs::remove_file(path) } else { Ok(()) }
}

/// Makes a folder, and those above it, unless they are there.
pub fn create_folders(path: &Path) -> io::Result<()> {
    let builder = &mut DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    builder.recursive(true).create(path)
}
