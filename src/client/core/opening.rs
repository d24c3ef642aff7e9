//! Commands that wait for a session: the first asks for one on behalf of all, and again when it has expired.

use super::ClientCore;
use crate::client::call::CallId;
use crate::client::session::Session;
use crate::client::{Outcome, Token, What};
use crate::protocol::Attempt;
use crate::types::{SessionId, Time};

impl ClientCore {
    /// Begins waiting commands, as many as may: in the session, or by asking for one.
    pub(super) fn begin_waiting(&mut self, now: Time) {
        while !self.waiting.is_empty() && self.may_begin() {
            let call_id = self.waiting.pop_first().expect("seen just now");
            self.begin(now, call_id);
        }
    }

    /// Whether one more command may begin, or ask for the session.
    pub(super) fn may_begin(&self) -> bool {
        self.session.as_ref().map_or(self.opener.is_none(), Session::has_room)
    }

    pub(super) fn begin(&mut self, now: Time, call_id: CallId) {
        match &mut self.session {
            Some(session) => {
                let token = session.begin();
                self.call_mut(call_id).restart(Some(token));
            }
            None => self.opener = Some(call_id),
        }
        self.ask_next(now, call_id);
    }

    /// The session is open. The call that asked for it now waits like the others to send its command.
    pub(super) fn opened(&mut self, call_id: CallId, session: SessionId) {
        self.session = Some(Session::new(session));
        if self.call(call_id).only_opens {
            self.remove(call_id);
            return;
        }
        self.forget_attempts(call_id);
        self.opener = None;
        self.waiting.insert(call_id);
    }

    /// The session has expired, or is lost. A command that can have left nothing behind is sent again in a new one.
    pub(super) fn expired(&mut self, now: Time, call_id: CallId, attempt: Attempt, token: Token) {
        if self.session.as_ref().is_some_and(|session| session.holds(token)) {
            self.session = None;
        }
        let call = self.call_mut(call_id);
        call.note_refused(attempt, false);
        if call.is_harmless() {
            call.restart(None);
            self.forget_attempts(call_id);
            // With more active clients than sessions, each new session expires another: so it waits first.
            self.back_off(now, call_id);
        } else {
            self.end(now, call_id, Outcome::Unknown(token));
        }
    }

    /// Whether this is a command without a name that does not ask for a session itself.
    pub(super) fn awaits_session(&self, call_id: CallId) -> bool {
        let call = self.call(call_id);
        matches!(call.what, What::Command(_)) && call.token.is_none() && self.opener != Some(call_id)
    }
}
