//! A disk in memory that loses nothing: what one handle writes, every clone of it sees, also after a crash.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::disk::{Disk, Lock, LockError, described, missing, part};

/// The files of a folder by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A folder in memory. Cloning shares it.
#[derive(Clone)]
pub struct MemoryDisk {
    label: Arc<str>,
    files: Arc<Mutex<Files>>,
    /// Alive as long as somebody holds the lock.
    holder: Arc<Mutex<Weak<()>>>,
}

impl MemoryDisk {
    /// A folder of this name that holds these files.
    pub fn new(label: &str, files: Files) -> MemoryDisk {
        MemoryDisk { label: label.into(), files: Arc::new(Mutex::new(files)), holder: Arc::default() }
    }

    /// A copy of the files as they are now.
    pub fn files(&self) -> Files {
        self.files.lock().clone()
    }

    fn with<T>(&self, file: &str, operation: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        self.files.lock().get_mut(file).map(operation).ok_or_else(|| missing(file))
    }
}

impl Disk for MemoryDisk {
    fn create_folder(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.with(file, |content| content.clone())
    }

    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.with(file, |content| part(content, offset, length))
    }

    fn length(&self, file: &str) -> io::Result<u64> {
        self.with(file, |content| content.len() as u64)
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.files.lock().insert(file.to_string(), Vec::new());
        Ok(())
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(file, |content| content.extend_from_slice(bytes))
    }

    fn overwrite(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(file, |content| {
            content.drain(..bytes.len().min(content.len()));
            content.splice(..0, bytes.iter().copied());
        })
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("a file in memory");
        self.with(file, |content| content.truncate(length))
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.with(file, |_| ())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let content = files.remove(from).ok_or_else(|| missing(from))?;
        files.insert(to.to_string(), content);
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.files.lock().remove(file).map(drop).ok_or_else(|| missing(file))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&mut self) -> Result<Lock, LockError> {
        let mut holder = self.holder.lock();
        if holder.strong_count() > 0 {
            return Err(LockError::InUse(None));
        }
        let lock = Arc::new(());
        *holder = Arc::downgrade(&lock);
        Ok(Box::new(lock))
    }

    fn describe(&self, file: &str) -> String {
        described(&self.label, file)
    }
}
