//! A backup of a node that runs, page by page.

use super::RemoteLab;
use crate::lab::LabError;
use crate::remote::protocol::{Answer, Question};
use crate::types::NodeId;

impl RemoteLab {
    /// The state that a node has applied, as the text of a backup.
    ///
    /// # Errors
    /// The node does not answer, or has nothing to save.
    pub fn backup(&self, node: NodeId) -> Result<String, LabError> {
        let mut text = String::new();
        let mut from = Some(0);
        while let Some(at) = from {
            match self.existing(node)?.ask(Question::Backup { from: at })? {
                Answer::Backup { text: page, next } => {
                    text.push_str(&page);
                    from = next;
                }
                other => return Err(LabError::new(format!("{node} answers what was not asked: {other:?}"))),
            }
        }
        Ok(text)
    }
}
