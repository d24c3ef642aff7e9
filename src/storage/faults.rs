//! Faults for disks under real threads: slow, stalled, full, and bytes lost with the power.
//!
//! A [`FaultyDisk`] wraps any disk and asks its [`DiskFaults`], which others hold too, before each operation. A disk
//! that waits can always be interrupted, so that a stalled disk never keeps a node from being stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::disk::{Disk, Lock, LockError};

/// The faults of one node's disk. They outlive the node.
#[derive(Default, Debug)]
pub struct DiskFaults {
    state: Mutex<State>,
    changed: Condvar,
    syncs: AtomicU64,
}

#[derive(Default, Debug)]
struct State {
    slow: Duration,
    stalled_until: Option<Instant>,
    /// How many bytes still fit; none for no limit.
    room: Option<u64>,
    /// How often those who wait have been told to give up.
    interruptions: u64,
    /// Of each file that holds bytes not yet synced: how many are.
    synced: BTreeMap<String, u64>,
    /// Files made since the folder was last synced.
    unsynced_names: BTreeSet<String>,
}

impl DiskFaults {
    /// Every sync takes this much longer; zero ends that.
    pub fn slow(&self, by: Duration) {
        self.state.lock().slow = by;
    }

    /// Syncs do not return for this long from now, those under way included if they wait already; zero ends that.
    pub fn stall(&self, duration: Duration) {
        self.state.lock().stalled_until = Instant::now().checked_add(duration);
        self.changed.notify_all();
    }

    /// The disk is full, or no longer is: while it is, nothing can be created or appended.
    pub fn fill(&self, full: bool) {
        self.state.lock().room = full.then_some(0);
    }

    /// Leaves room for this many bytes; removing files makes no more room.
    pub fn leave_room(&self, bytes: u64) {
        self.state.lock().room = Some(bytes);
    }

    /// Whether no write completes now: stalled, or no room is left.
    pub fn is_blocked(&self) -> bool {
        let state = self.state.lock();
        state.room == Some(0) || state.stalled_until.is_some_and(|until| until > Instant::now())
    }

    /// Ends all of them, and says which there were: `slow, full`; empty if there was none.
    pub fn clear(&self) -> String {
        let mut state = self.state.lock();
        let stalled = state.stalled_until.take().is_some_and(|until| until > Instant::now());
        let slow = !std::mem::take(&mut state.slow).is_zero();
        let full = state.room.take().is_some();
        drop(state);
        self.changed.notify_all();
        faults_named(slow, stalled, full)
    }

    /// Lets every disk that waits fail at once, and each one made before this call fail instead of waiting: its node
    /// is being stopped.
    pub fn interrupt(&self) {
        self.state.lock().interruptions += 1;
        self.changed.notify_all();
    }

    /// Cuts every file back to what was synced, as a power failure would, and gives the number of bytes lost. The
    /// node that wrote them must have ended. A rename that was not synced is taken to have happened; files that are
    /// gone, since the node was wiped, are passed over.
    pub fn lose_unsynced(&self, disk: &mut impl Disk) -> io::Result<u64> {
        let mut state = self.state.lock();
        let mut lost = 0;
        for (file, synced) in std::mem::take(&mut state.synced) {
            let length = disk.length(&file).unwrap_or(0);
            if length > synced {
                disk.truncate(&file, synced)?;
                disk.sync(&file)?;
                lost += length - synced;
            }
        }
        for file in std::mem::take(&mut state.unsynced_names) {
            match disk.remove(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(lost)
    }

    /// How often a file or the folder was synced, over all lives of the node.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Waits as long as a sync has to.
    fn wait(&self, interruptions: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let slow_until = Instant::now() + state.slow;
        loop {
            let until = state.stalled_until.map_or(slow_until, |stalled| stalled.max(slow_until));
            if Instant::now() >= until {
                return Ok(());
            }
            if state.interruptions != interruptions {
                return Err(io::Error::other("the node was stopped while its disk did not answer"));
            }
            self.changed.wait_until(&mut state, until);
        }
    }

    /// Takes so much of the room that is left; at least something has to be.
    fn take_room(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state.lock();
        let Some(room) = &mut state.room else { return Ok(()) };
        if *room < (bytes as u64).max(1) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"));
        }
        *room -= bytes as u64;
        Ok(())
    }
}

/// `slow, full`.
pub fn faults_named(slow: bool, stalled: bool, full: bool) -> String {
    let all = [(slow, "slow"), (stalled, "stalled"), (full, "full")];
    all.into_iter().filter_map(|(is_so, name)| is_so.then_some(name)).collect::<Vec<_>>().join(", ")
}

pub struct FaultyDisk<D> {
    disk: D,
    faults: Arc<DiskFaults>,
    /// Interruptions of earlier lives are none of this one's.
    interruptions: u64,
}

impl<D: Disk> FaultyDisk<D> {
    /// This disk with these faults, for one life of a node.
    pub fn new(disk: D, faults: Arc<DiskFaults>) -> FaultyDisk<D> {
        let interruptions = faults.state.lock().interruptions;
        FaultyDisk { disk, faults, interruptions }
    }
}

impl<D: Disk> Disk for FaultyDisk<D> {
    fn create_folder(&mut self) -> io::Result<()> {
        self.disk.create_folder()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.disk.read(file)
    }

    fn read_at(&self, file: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk.read_at(file, offset, length)
    }

    fn length(&self, file: &str) -> io::Result<u64> {
        self.disk.length(file)
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.faults.take_room(0)?;
        let new = self.disk.length(file).is_err();
        self.disk.create(file)?;
        let mut state = self.faults.state.lock();
        state.synced.insert(file.to_string(), 0);
        if new {
            state.unsynced_names.insert(file.to_string());
        }
        Ok(())
    }

    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.faults.take_room(bytes.len())?;
        let mut state = self.faults.state.lock();
        if !state.synced.contains_key(file) {
            state.synced.insert(file.to_string(), self.disk.length(file)?);
        }
        drop(state);
        self.disk.append(file, bytes)
    }

    fn overwrite(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let held = usize::try_from(self.disk.length(file)?).unwrap_or(usize::MAX);
        if let Some(more) = bytes.len().checked_sub(held).filter(|more| *more > 0) {
            self.faults.take_room(more)?;
        }
        self.faults.wait(self.interruptions)?;
        self.disk.overwrite(file, bytes)?;
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        self.faults.state.lock().synced.remove(file);
        Ok(())
    }

    fn truncate(&mut self, file: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(file, length)?;
        if let Some(synced) = self.faults.state.lock().synced.get_mut(file) {
            *synced = length.min(*synced);
        }
        Ok(())
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.faults.wait(self.interruptions)?;
        self.disk.sync(file)?;
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        self.faults.state.lock().synced.remove(file);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)?;
        let mut state = self.faults.state.lock();
        match state.synced.remove(from) {
            Some(synced) => state.synced.insert(to.to_string(), synced),
            None => state.synced.remove(to),
        };
        state.unsynced_names.remove(from);
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.disk.remove(file)?;
        let mut state = self.faults.state.lock();
        state.synced.remove(file);
        state.unsynced_names.remove(file);
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.faults.wait(self.interruptions)?;
        // Another thread may make a file meanwhile: that one is not synced.
        let names = self.faults.state.lock().unsynced_names.clone();
        self.disk.sync_folder()?;
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        self.faults.state.lock().unsynced_names.retain(|name| !names.contains(name));
        Ok(())
    }

    fn lock(&mut self) -> Result<Lock, LockError> {
        self.disk.lock()
    }

    fn describe(&self, file: &str) -> String {
        self.disk.describe(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::MemoryDisk;

    fn disk() -> (FaultyDisk<MemoryDisk>, MemoryDisk, Arc<DiskFaults>) {
        let memory = MemoryDisk::new("n1", BTreeMap::new());
        let faults = Arc::new(DiskFaults::default());
        let mut disk = FaultyDisk::new(memory.clone(), Arc::clone(&faults));
        disk.create("a").expect("there is space");
        disk.append("a", b"synced").expect("there is space");
        disk.sync("a").expect("the disk is well");
        disk.sync_folder().expect("the disk is well");
        (disk, memory, faults)
    }

    #[test]
    fn a_power_failure_loses_what_was_not_synced_and_nothing_else() {
        let (mut disk, mut memory, faults) = disk();
        disk.append("a", b"lost").expect("there is space");
        disk.create("b").expect("there is space");
        assert_eq!(faults.lose_unsynced(&mut memory).expect("the disk is well"), 4);
        assert_eq!(memory.files(), BTreeMap::from([("a".to_string(), b"synced".to_vec())]));
        assert_eq!(faults.lose_unsynced(&mut memory).expect("the disk is well"), 0);
    }

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        let (mut disk, _, faults) = disk();
        faults.fill(true);
        faults.slow(Duration::from_millis(1));
        let error = disk.append("a", b"x").expect_err("there is no space");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(faults.clear(), "slow, full");
        assert_eq!(faults.clear(), "", "there is none left");
        assert!(disk.append("a", b"x").is_ok());
    }

    #[test]
    fn a_stalled_sync_ends_when_its_node_is_stopped() {
        let (mut disk, memory, faults) = disk();
        faults.stall(Duration::from_secs(3600));
        let stalled = std::thread::spawn(move || disk.sync("a"));
        faults.interrupt();
        assert!(stalled.join().expect("no panic").is_err());
        faults.clear();
        assert!(FaultyDisk::new(memory, faults).sync("a").is_ok(), "the next life is not interrupted");
    }

    #[test]
    fn a_slow_sync_takes_its_time() {
        let (mut disk, _, faults) = disk();
        faults.slow(Duration::from_millis(20));
        let start = Instant::now();
        disk.sync("a").expect("it is only slow");
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}
