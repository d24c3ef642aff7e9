//! A recording of nodes in processes: each writes its own, into a folder of its name.

use std::path::{Path, PathBuf};

use super::{RemoteLab, unexpected};
use crate::lab::{Lab, LabError, Life, Recorded};
use crate::remote::protocol::{Answer, Question};

impl RemoteLab {
    pub(super) fn begin_recording(&mut self, folder: &Path, bytes_max: u64) -> Result<(), LabError> {
        if let Some((folder, _)) = &self.records_to {
            return Err(LabError::new(format!(
                "a recording runs: it is written to {}; 'record stop' ends it",
                folder.display()
            )));
        }
        if folder.read_dir().is_ok_and(|mut inside| inside.next().is_some()) {
            let text = format!("{} is not empty: name a new folder", folder.display());
            return Err(LabError::new(text));
        }
        // A process need not run in the folder of this one.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        let share = bytes_max / self.links.len().max(1) as u64;
        self.records_to = Some((folder, share));
        let replies = self.recording().map(|question| self.ask_all(&question)).unwrap_or_default();
        let refused = replies.failed.into_iter().find(|(node, _)| self.view(*node).life == Life::Up);
        if let Some((node, error)) = refused {
            self.ask_all(&Question::EndRecording);
            self.records_to = None;
            return Err(LabError::new(format!("{node}: {error}")));
        }
        Ok(())
    }

    /// What a node is asked that is to record; none if nothing is recorded.
    pub(super) fn recording(&self) -> Option<Question> {
        let (folder, bytes_max) = self.records_to.clone()?;
        Some(Question::Record { folder, bytes_max })
    }

    pub(super) fn finish_recording(&mut self) -> Result<Recorded, LabError> {
        if self.records_to.take().is_none() {
            return Err(LabError::new("this console has begun no recording".to_string()));
        }
        let mut all = Recorded::default();
        let replies = self.ask_all(&Question::EndRecording);
        for (node, answer) in replies.answers {
            let Answer::Recorded(Recorded { nodes, bytes, trouble }) = answer else {
                return Err(unexpected(node, &answer));
            };
            all.nodes += nodes;
            all.bytes += bytes;
            all.trouble = all.trouble.or(trouble.map(|trouble| format!("{node}: {trouble}")));
        }
        let silent = replies.failed.into_iter().find(|(node, _)| self.view(*node).life == Life::Up);
        all.trouble = all.trouble.or(silent.map(|(node, error)| format!("{node}: {error}")));
        Ok(all)
    }

    pub(super) fn recording_folder(&self) -> Option<PathBuf> {
        self.records_to.as_ref().map(|(folder, _)| folder.clone())
    }
}
