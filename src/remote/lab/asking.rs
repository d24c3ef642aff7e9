//! The client behind a console's own data directives, and how a person interrupts it.

use crossbeam_channel::Receiver;

use super::RemoteLab;
use crate::client::Client;
use crate::state_machine::kv::KeyValue;

impl RemoteLab {
    /// Lets a person interrupt what is running: `is_raised` says whether one wants to, and `wake` becomes ready when one
    /// begins to.
    pub fn set_interrupt(
        &mut self,
        is_raised: impl Fn() -> bool + Send + Sync + 'static,
        wake: Receiver<()>,
    ) {
        self.waiting.heed(is_raised, wake);
        self.asker = None;
    }

    pub(super) fn asker(&mut self) -> Client<KeyValue> {
        let asker = self
            .asker
            .take()
            .unwrap_or_else(|| self.waiting.heeded_by(self.clients.client_for(&self.settings.now)));
        self.asker = Some(asker.clone());
        asker
    }
}
