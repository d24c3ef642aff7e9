//! A folder of the operating system.
//!
//! The lock file stays, but for a folder that a refused start had made: who then finds that the file which it has locked
//! is no longer in its folder locks the one that is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use derive_more::Display;

use super::disk::{Disk, Lock, LockError, described};
use super::private;

const LOCK: &str = "lock";

pub struct RealDisk {
    folder: PathBuf,
    /// The file that was last appended to, so that a log's segment is not opened again for each write.
    open: Option<OpenFile>,
}

struct OpenFile {
    name: String,
    file: File,
    /// Its length was set by other means than appending since it was last synced.
    resized: bool,
}

/// The process that uses a folder, by its number where that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display)]
#[display("in use{}", _0.map_or(String::new(), |process| format!(" by process {process}")))]
pub struct Holder(pub Option<u32>);

impl RealDisk {
    /// The folder at this path. It need not exist, and nothing happens to it yet.
    pub fn new(folder: impl Into<PathBuf>) -> RealDisk {
        RealDisk { folder: folder.into(), open: None }
    }

    /// Removes the folder and its lock file, unless something else lies in it or somebody holds it.
    pub fn remove_empty(&mut self) -> io::Result<()> {
        let lock = self.lock().map_err(|error| match error {
            LockError::InUse(_) => io::Error::from(io::ErrorKind::ResourceBusy),
            LockError::Io(error) => error,
        })?;
        if self.list()? == [LOCK] {
            fs::remove_file(self.path(LOCK))?;
            fs::remove_dir(&self.folder)?;
        }
        drop(lock);
        Ok(())
    }

    /// The process that uses the folder, if one does. Changes nothing.
    pub fn holder(&self) -> Option<Holder> {
        let path = self.path(LOCK);
        match File::open(&path).ok()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(Holder(holder_in(&path))),
            _ => None,
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn opened(&mut self, name: &str) -> io::Result<&mut OpenFile> {
        let open = match self.open.take() {
            Some(open) if open.name == name => open,
            _ => {
                let file = OpenOptions::new().append(true).open(self.path(name))?;
                OpenFile { name: name.to_string(), file, resized: true }
            }
        };
        Ok(self.open.insert(open))
    }

    fn close(&mut self, name: &str) {
        self.open.take_if(|open| open.name == name);
    }
}

impl Disk for RealDisk {
    fn create_folder(&mut self) -> io::Result<()> {
        let missing: Vec<&Path> = self
            .folder
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        private::create_folders(&self.folder)?;
        for made in missing {
            sync_folder(parent(made))?;
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let found = match fs::read_dir(&self.folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for item in found {
            // The store's own names are text.
            names.extend(item?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(file))
    }

    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(file))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, file: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(file))?.len())
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.close(file);
        private::create(&self.path(file)).map(drop)
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.opened(file)?.file.write_all(bytes)
    }

    fn overwrite(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.close(file);
        let mut written = OpenOptions::new().write(true).open(self.path(file))?;
        written.write_all(bytes)?;
        written.sync_all()
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()> {
        let open = self.opened(file)?;
        open.resized = true;
        open.file.set_len(length)
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        let open = self.opened(file)?;
        // fdatasync writes the length only so far as reading the data needs it.
        if open.resized {
            open.file.sync_all()?;
        } else {
            open.file.sync_data()?;
        }
        open.resized = false;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        self.close(to);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.close(file);
        fs::remove_file(self.path(file))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sync_folder(&self.folder)
    }

    fn lock(&mut self) -> Result<Lock, LockError> {
        let path = self.path(LOCK);
        let mut file = loop {
            let options = &mut private::options();
            let file = options.create(true).truncate(false).read(true).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) if is_gone(&file)? => {}
                Ok(()) => break file,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::InUse(holder_in(&path)));
                }
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        };
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(file))
    }

    fn describe(&self, file: &str) -> String {
        described(&self.folder.display().to_string(), file)
    }
}

/// The number of the process that wrote it there when it locked the folder.
fn holder_in(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok())
}

/// Whether the file was removed since it was opened: then a lock on it excludes no other process.
#[cfg(unix)]
fn is_gone(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
}

#[cfg(not(unix))]
fn is_gone(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_behave_as_the_seam_says() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut disk = RealDisk::new(folder.path().join("states").join("n1"));
        assert_eq!(disk.list().expect("a missing folder is empty"), Vec::<String>::new());
        disk.create_folder().expect("both folders are made");
        disk.create("a").expect("a new file");
        disk.append("a", b"one two").expect("bytes are added");
        disk.truncate("a", 3).expect("bytes are cut");
        disk.append("a", b"!").expect("bytes are added at the new end");
        disk.sync("a").expect("the file is there");
        disk.rename("a", "b").expect("the file gets another name");
        disk.append("b", b"?").expect("the handle of the old name is not used");
        disk.sync_folder().expect("the folder is there");
        assert_eq!(disk.list().expect("the folder can be read"), ["b"]);
        assert_eq!(disk.read("b").expect("the file can be read"), b"one!?");
        assert_eq!(disk.length("b").expect("the file has a length"), 5);
        for (offset, length, expected) in [(0, 3, "one"), (3, 9, "!?"), (5, 1, ""), (9, 1, ""), (1, 0, "")] {
            let part = disk.read_at("b", offset, length).expect("the file can be read");
            assert_eq!(part, expected.as_bytes(), "{length} bytes from {offset}");
        }
        assert!(disk.append("a", b"?").is_err(), "appending makes no file");
    }

    #[test]
    fn the_lock_names_its_holder_and_ends_with_it() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let lock = RealDisk::new(folder.path()).lock().expect("it is free");
        match RealDisk::new(folder.path()).lock() {
            Err(LockError::InUse(holder)) => assert_eq!(holder, Some(std::process::id())),
            Err(LockError::Io(error)) => panic!("{error}"),
            Ok(_) => panic!("two hold the lock"),
        }
        assert_eq!(RealDisk::new(folder.path()).holder(), Some(Holder(Some(std::process::id()))));
        drop(lock);
        assert_eq!(RealDisk::new(folder.path()).holder(), None);
        assert!(RealDisk::new(folder.path()).lock().is_ok());
    }
}
