//! How much the searches of a check may remember, all together.

/// Bytes that are left. What is counted is what lists and maps take at most, so a process takes no more for them.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub fn new(bytes: usize) -> Budget {
        Budget(bytes)
    }

    /// Takes this many bytes if there is room for them, and says whether there was.
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    pub fn give(&mut self, bytes: usize) {
        self.0 += bytes;
    }
}
