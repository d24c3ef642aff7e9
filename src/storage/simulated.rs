//! A disk that fails as real ones do, when it is told to and as the seed decides.
//!
//! It keeps apart what is durable and what a power failure may still undo: bytes that were not synced are lost from
//! any byte on, a truncation that was not synced may come back, each creation, rename and removal that was not synced
//! may be undone by itself. It errs on the cruel side of POSIX: a file system that keeps its folder operations in
//! order, or syncs a file's name with the file, is kinder than this one. Bytes of different files are lost
//! independently; within a file, what was written later never survives without what was written earlier.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::disk::{Disk, Lock, LockError, described, missing, part};
use super::files;
use super::simulated_file::File;
use crate::types::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFailure {
    InputOutput,
    /// ENOSPC; of the bytes to append, half are written.
    NoSpace,
    /// EIO; if the operation is a sync, the bytes it was to save stay readable but will never be durable, although
    /// later syncs succeed.
    PagesLost,
    /// The power fails. A sync has no effect; anything else took effect, but is not durable. Nothing works until
    /// [`SimulatedDisk::power_cut`] has settled what is left.
    PowerCut,
}

/// A simulated folder. Cloning shares it, so that it outlives the node that uses it.
#[derive(Clone)]
pub struct SimulatedDisk {
    label: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

type Number = u64;

#[derive(Clone, Default)]
struct Inner {
    files: BTreeMap<Number, File>,
    files_made: Number,
    names: BTreeMap<String, Number>,
    durable_names: BTreeMap<String, Number>,
    /// Since the folder was last synced, in order.
    unsynced: Vec<FolderChange>,
    operations: u64,
    planned: Option<(u64, DiskFailure)>,
    lasting: Option<DiskFailure>,
    off: bool,
    folder_syncs_ignored: bool,
    /// How the names of files begin that are not synced before they take their places.
    syncs_of_new_ignored: Option<&'static str>,
    holder: Weak<()>,
}

#[derive(Clone)]
enum FolderChange {
    Named(String, Number),
    Renamed(String, String, Number),
    Removed(String),
}

impl SimulatedDisk {
    /// An empty folder of this name.
    pub fn new(label: &str) -> SimulatedDisk {
        SimulatedDisk { label: label.into(), inner: Arc::default() }
    }

    /// Another disk that holds the same, and fails as this one would. It is not locked.
    #[must_use]
    pub fn copy(&self) -> SimulatedDisk {
        let inner = Inner { holder: Weak::new(), ..self.inner.lock().clone() };
        SimulatedDisk { label: Arc::clone(&self.label), inner: Arc::new(Mutex::new(inner)) }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.inner.lock().files.values().map(|file| file.content.len()).sum()
    }

    /// How many operations that change something there have been: creations, appends, truncations, syncs, renames,
    /// removals.
    pub fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// Lets the operation of this number fail; the first one has number 1.
    pub fn fail_at(&self, operation: u64, failure: DiskFailure) {
        self.inner.lock().planned = Some((operation, failure));
    }

    /// Lets every operation fail, until told otherwise.
    pub fn fail_always(&self, failure: DiskFailure) {
        self.inner.lock().lasting = Some(failure);
    }

    /// From now on a sync of the folder does nothing and reports success.
    pub fn ignore_folder_syncs(&self) {
        self.inner.lock().folder_syncs_ignored = true;
    }

    /// From now on a sync of a file that is about to replace one whose name begins so does nothing and reports success.
    pub fn ignore_syncs_of_new(&self, prefix: &'static str) {
        self.inner.lock().syncs_of_new_ignored = Some(prefix);
    }

    pub fn heal(&self) {
        let mut inner = self.inner.lock();
        inner.planned = None;
        inner.lasting = None;
    }

    /// The power fails and returns: what was not synced is lost as chance decides, and the folder's lock with its
    /// holder. Failures that were planned are forgotten.
    pub fn power_cut(&self, random: &mut Random) {
        self.inner.lock().power_cut(random);
    }

    /// Cuts a file to this length for good.
    pub fn cut(&self, file: &str, length: usize) {
        let mut inner = self.inner.lock();
        let file = inner.file(file).expect("a file to damage");
        file.truncate(length);
        file.sync();
    }

    pub fn lose(&self, file: &str) {
        let mut inner = self.inner.lock();
        inner.names.remove(file).expect("a file to damage");
        inner.durable_names.remove(file);
    }

    /// Changes one byte of a file for good, by exclusive or: rot.
    pub fn flip(&self, file: &str, place: usize, mask: u8) {
        let mut inner = self.inner.lock();
        let content = &mut inner.file(file).expect("a file to damage").content;
        content[place] ^= mask;
    }
}

impl Inner {
    /// Counts an operation and says how it is to fail.
    fn next(&mut self) -> io::Result<Option<DiskFailure>> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        let now = self.operations;
        let planned = self.planned.take_if(|(at, _)| *at <= now).map(|(_, failure)| failure);
        let failure = planned.or(self.lasting);
        self.off = failure == Some(DiskFailure::PowerCut);
        Ok(failure)
    }

    /// An operation that takes effect as a whole or not at all, and is not durable by itself.
    fn change(&mut self, operation: impl FnOnce(&mut Inner) -> io::Result<()>) -> io::Result<()> {
        match self.next()? {
            None => operation(self),
            Some(DiskFailure::PowerCut) => {
                operation(self)?;
                Err(error(DiskFailure::PowerCut))
            }
            Some(failure) => Err(error(failure)),
        }
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let number = self.names.get(name).ok_or_else(|| missing(name))?;
        Ok(self.files.get_mut(number).expect("a named file has content"))
    }

    fn power_cut(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.unsynced) {
            if random.below(2) == 0 {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let names = &self.names;
        self.files.retain(|number, _| names.values().any(|named| named == number));
        for file in self.files.values_mut() {
            file.power_cut(random);
        }
        self.off = false;
        self.planned = None;
        self.lasting = None;
        self.holder = Weak::new();
    }
}

impl FolderChange {
    fn apply(self, names: &mut BTreeMap<String, Number>) {
        match self {
            FolderChange::Named(name, number) => {
                names.insert(name, number);
            }
            FolderChange::Renamed(from, to, number) => {
                if names.get(&from) == Some(&number) {
                    names.remove(&from);
                }
                names.insert(to, number);
            }
            FolderChange::Removed(name) => {
                names.remove(&name);
            }
        }
    }
}

fn error(failure: DiskFailure) -> io::Error {
    match failure {
        DiskFailure::InputOutput | DiskFailure::PagesLost => io::Error::other("input/output error"),
        DiskFailure::NoSpace => io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"),
        DiskFailure::PowerCut => io::Error::other("the power failed"),
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&mut self) -> io::Result<()> {
        if self.inner.lock().off { Err(error(DiskFailure::PowerCut)) } else { Ok(()) }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        if inner.off { Err(error(DiskFailure::PowerCut)) } else { Ok(inner.names.keys().cloned().collect()) }
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        let mut inner = self.inner.lock();
        if inner.off { Err(error(DiskFailure::PowerCut)) } else { Ok(inner.file(file)?.content.clone()) }
    }

    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut inner = self.inner.lock();
        if inner.off {
            return Err(error(DiskFailure::PowerCut));
        }
        Ok(part(&inner.file(file)?.content, offset, length))
    }

    fn length(&self, file: &str) -> io::Result<u64> {
        Ok(self.inner.lock().file(file)?.content.len() as u64)
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.inner.lock().change(|inner| {
            if let Ok(existing) = inner.file(file) {
                existing.truncate(0);
                return Ok(());
            }
            inner.files_made += 1;
            let number = inner.files_made;
            inner.files.insert(number, File::default());
            inner.names.insert(file.to_string(), number);
            inner.unsynced.push(FolderChange::Named(file.to_string(), number));
            Ok(())
        })
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let failure = inner.next()?;
        let content = &mut inner.file(file)?.content;
        match failure {
            None | Some(DiskFailure::PowerCut) => content.extend_from_slice(bytes),
            Some(DiskFailure::NoSpace) => content.extend_from_slice(&bytes[..bytes.len() / 2]),
            Some(DiskFailure::InputOutput | DiskFailure::PagesLost) => {}
        }
        failure.map_or(Ok(()), |failure| Err(error(failure)))
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("a file in memory");
        self.inner.lock().change(|inner| {
            inner.file(file)?.truncate(length);
            Ok(())
        })
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let failure = inner.next()?;
        let is_new = file.ends_with(files::NEW);
        let ignored = is_new && inner.syncs_of_new_ignored.is_some_and(|prefix| file.starts_with(prefix));
        match failure {
            None if ignored => {}
            None => inner.file(file)?.sync(),
            Some(DiskFailure::PagesLost) => inner.file(file)?.lose_pages(),
            Some(_) => {}
        }
        failure.map_or(Ok(()), |failure| Err(error(failure)))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.inner.lock().change(|inner| {
            let number = inner.names.remove(from).ok_or_else(|| missing(from))?;
            inner.names.insert(to.to_string(), number);
            inner.unsynced.push(FolderChange::Renamed(from.to_string(), to.to_string(), number));
            Ok(())
        })
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.inner.lock().change(|inner| {
            inner.names.remove(file).ok_or_else(|| missing(file))?;
            inner.unsynced.push(FolderChange::Removed(file.to_string()));
            Ok(())
        })
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        match inner.next()? {
            None if inner.folder_syncs_ignored => Ok(()),
            None => {
                inner.unsynced.clear();
                inner.durable_names = inner.names.clone();
                Ok(())
            }
            Some(failure) => Err(error(failure)),
        }
    }

    fn lock(&mut self) -> Result<Lock, LockError> {
        let mut inner = self.inner.lock();
        if inner.holder.strong_count() > 0 {
            return Err(LockError::InUse(None));
        }
        let lock = Arc::new(());
        inner.holder = Arc::downgrade(&lock);
        Ok(Box::new(lock))
    }

    fn describe(&self, file: &str) -> String {
        described(&self.label, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> SimulatedDisk {
        let mut disk = SimulatedDisk::new("n1");
        disk.create("a").expect("no failure is planned");
        disk.append("a", b"synced").expect("no failure is planned");
        disk.sync("a").expect("no failure is planned");
        disk.sync_folder().expect("no failure is planned");
        disk
    }

    /// What is left of the file after a power failure, over many seeds.
    fn fates(prepare: impl Fn(&mut SimulatedDisk)) -> Vec<Option<Vec<u8>>> {
        let mut fates: Vec<_> = (0..200)
            .map(|seed| {
                let mut disk = disk();
                prepare(&mut disk);
                disk.power_cut(&mut Random::new(seed));
                disk.read("a").ok()
            })
            .collect();
        fates.sort();
        fates.dedup();
        fates
    }

    #[test]
    fn unsynced_bytes_are_torn_at_any_byte_and_synced_ones_stay() {
        let fates = fates(|disk| disk.append("a", b"xyz").expect("no failure is planned"));
        let expected: [&[u8]; 10] = [
            b"synced",
            b"synced\0",
            b"synced\0\0",
            b"synced\0\0\0",
            b"syncedx",
            b"syncedx\0",
            b"syncedx\0\0",
            b"syncedxy",
            b"syncedxy\0",
            b"syncedxyz",
        ];
        assert_eq!(fates, expected.map(|bytes| Some(bytes.to_vec())));
    }

    #[test]
    fn an_unsynced_truncation_may_come_back() {
        let fates = fates(|disk| {
            disk.truncate("a", 1).expect("no failure is planned");
            disk.append("a", b"XY").expect("no failure is planned");
        });
        for expected in [b"synced".as_slice(), b"sXYced", b"sXY", b"s"] {
            assert!(fates.contains(&Some(expected.to_vec())), "{}", String::from_utf8_lossy(expected));
        }
    }

    #[test]
    fn an_unsynced_removal_may_be_undone() {
        let fates = fates(|disk| disk.remove("a").expect("no failure is planned"));
        assert_eq!(fates, [None, Some(b"synced".to_vec())]);
    }

    #[test]
    fn a_failed_sync_loses_the_bytes_that_a_later_one_claims_to_save() {
        let mut disk = disk();
        disk.append("a", b"xyz").expect("no failure is planned");
        disk.fail_at(disk.operations() + 1, DiskFailure::PagesLost);
        assert!(disk.sync("a").is_err());
        disk.sync("a").expect("it claims success");
        assert_eq!(disk.read("a").expect("the file is there"), b"syncedxyz");
        disk.power_cut(&mut Random::new(1));
        assert_eq!(disk.read("a").expect("the file is there"), b"synced\0\0\0");
    }

    #[test]
    fn a_part_ends_where_its_file_ends() {
        for (offset, length, expected) in
            [(0, 3, "syn"), (3, 9, "ced"), (6, 1, ""), (9, 1, ""), (u64::MAX, 1, "")]
        {
            let part = disk().read_at("a", offset, length).expect("no failure is planned");
            assert_eq!(part, expected.as_bytes(), "{length} bytes from {offset}");
        }
    }

    #[test]
    fn nothing_works_without_power() {
        let mut disk = disk();
        disk.fail_at(disk.operations() + 1, DiskFailure::PowerCut);
        assert!(disk.sync_folder().is_err());
        assert!(disk.append("a", b"x").is_err() && disk.read("a").is_err() && disk.list().is_err());
        disk.power_cut(&mut Random::new(1));
        assert!(disk.append("a", b"x").is_ok());
    }
}
