//! A low priority for work that may wait.

/// Lowers the priority of this thread, on Linux: beside a busy thread it then gets about a quarter of a processor. With much
/// less, a snapshot of large values would take so long that the log it is to replace fills the memory meanwhile.
#[cfg(target_os = "linux")]
pub(super) fn lower() {
    const NICE: i32 = 5;
    // A failure does no harm: the work is done at the usual priority.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn lower() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;
    use rustix::thread::gettid;

    #[test]
    fn it_concerns_this_thread_alone() {
        let mine = getpriority_process(Some(gettid())).expect("a thread has one");
        let lowered = std::thread::spawn(|| {
            super::lower();
            getpriority_process(Some(gettid())).expect("a thread has one")
        });
        assert_eq!(lowered.join().expect("it ends"), 5.max(mine));
        assert_eq!(getpriority_process(Some(gettid())), Ok(mine));
    }
}
