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

/// A new file, or an old one emptied.
pub fn create(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// Makes a folder, and those above it, unless they are there.
pub fn create_folders(path: &Path) -> io::Result<()> {
    let builder = &mut DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
    builder.recursive(true).create(path)
}
