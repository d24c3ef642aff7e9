//! One file of the simulated disk: its content, and what of it a power failure may undo.

use crate::types::Random;

/// A file's content, and how much of it is durable.
#[derive(Clone, Default)]
pub struct File {
    pub content: Vec<u8>,
    /// How many bytes of the content, from its start, are durable.
    kept: usize,
    /// The durable bytes behind them that a truncation cut off without being synced.
    cut_off: Vec<u8>,
    /// Ranges of the content that only seem durable, since a sync that was to save them failed.
    lost: Vec<(usize, usize)>,
}

impl File {
    /// Cuts the content; until the next sync, what was durable may come back.
    pub fn truncate(&mut self, length: usize) {
        if length < self.kept {
            let mut cut_off = self.content[length..self.kept].to_vec();
            cut_off.append(&mut self.cut_off);
            self.cut_off = cut_off;
            self.kept = length;
        }
        self.content.truncate(length);
    }

    /// Makes the content durable, except what an earlier sync failed to save.
    pub fn sync(&mut self) {
        self.kept = self.content.len();
        self.cut_off.clear();
        self.lost.retain(|(start, _)| *start < self.kept);
    }

    /// A sync that fails: the system takes the bytes for saved from now on.
    pub fn lose_pages(&mut self) {
        if self.kept < self.content.len() {
            self.lost.push((self.kept, self.content.len()));
        }
    }

    /// Leaves what a power failure may leave, as chance decides.
    pub fn power_cut(&mut self, random: &mut Random) {
        let unsynced = (self.content.len() - self.kept) as u64;
        let survive = usize::try_from(random.within(0, unsynced)).expect("at most a length in memory");
        let survivors = self.content[self.kept..self.kept + survive].to_vec();
        for (start, end) in std::mem::take(&mut self.lost) {
            let end = end.min(self.content.len());
            self.content[start.min(end)..end].fill(0);
        }
        self.content.truncate(self.kept);
        let fate = random.below(3);
        if self.cut_off.is_empty() {
            self.content.extend_from_slice(&survivors);
            // The length was saved, the block was not.
            if fate == 0 {
                let zeros = random.within(0, unsynced - survive as u64);
                self.content
                    .resize(self.content.len() + usize::try_from(zeros).expect("a length in memory"), 0);
            }
        } else {
            let cut_off = std::mem::take(&mut self.cut_off);
            match fate {
                // The truncation was not saved, and nothing after it.
                0 => self.content.extend_from_slice(&cut_off),
                // The truncation was not saved, but bytes written after it were.
                1 => {
                    self.content.extend_from_slice(&survivors);
                    self.content.extend_from_slice(cut_off.get(survivors.len()..).unwrap_or_default());
                }
                _ => self.content.extend_from_slice(&survivors),
            }
        }
        self.kept = self.content.len();
    }
}
