//! The ticket of a call that its caller does not wait for yet.

use std::sync::Arc;
use std::time::Duration;

use derive_more::Debug;

use super::call::CallId;
use super::shared::SharedClient;
use super::{Answered, Ask, Failure, Outcome};
use crate::types::Time;

/// A call under way, with an answer of type `T`.
///
/// Tickets are independent: wait for them in any order and any thread, or drop them. Dropping a ticket does not cancel its
/// call: the call continues, and its end is discarded.
///
/// *When a call makes progress.* It is sent when it begins. From then on every use of the client, a clone of it or one of
/// its tickets drives all of their calls: it takes in answers, repeats unanswered requests, and ends calls at their
/// deadlines. There is no thread behind a client, so without such a use nothing is repeated. A ticket that is looked at
/// after its call's deadline has ended, with the answer if that had come.
#[derive(Debug)]
#[debug("Ticket({progress:?})")]
pub struct Ticket<T> {
    shared: Arc<SharedClient>,
    progress: CallState,
    /// How many commands the answers are to.
    count: usize,
    read: Reading<T>,
}

/// Makes the typed answer, to this many commands.
pub(super) type Reading<T> = fn(&Answered, usize) -> Result<T, Failure>;

#[derive(Debug)]
enum CallState {
    ActiveCall(CallId),
    Ended(Outcome),
}

impl<T> Ticket<T> {
    /// Begins the call. A call that is rejected at once has a ticket that has ended.
    pub(super) fn begin(shared: &Arc<SharedClient>, ask: Ask, count: usize, read: Reading<T>) -> Ticket<T> {
        let progress = match shared.begin(ask) {
            Ok(call) => CallState::ActiveCall(call),
            Err(rejection) => CallState::Ended(Outcome::Rejected(rejection)),
        };
        Ticket { shared: Arc::clone(shared), progress, count, read }
    }

    /// Waits until the call has ended, by its deadline at the latest.
    pub fn wait(mut self) -> Result<T, Failure> {
        self.wait_until(Time::NEVER).expect("each call ends by its deadline")
    }

    /// How the call ended; none while it has not. A second call returns the same.
    pub fn try_wait(&mut self) -> Option<Result<T, Failure>> {
        if let CallState::ActiveCall(call) = self.progress {
            self.progress = CallState::Ended(self.shared.look(call)?.outcome);
        }
        self.ended()
    }

    /// Waits at most this long; none when the call has not ended by then. A second call returns the same.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Failure>> {
        self.wait_until(self.shared.now() + timeout)
    }

    fn wait_until(&mut self, until: Time) -> Option<Result<T, Failure>> {
        if let CallState::ActiveCall(call) = self.progress {
            self.progress = CallState::Ended(self.shared.wait(call, until)?.outcome);
        }
        self.ended()
    }

    fn ended(&self) -> Option<Result<T, Failure>> {
        match &self.progress {
            CallState::ActiveCall(_) => None,
            CallState::Ended(outcome) => {
                Some(answered(outcome.clone()).and_then(|answered| (self.read)(&answered, self.count)))
            }
        }
    }
}

/// The one place where outcomes become answers or failures.
pub(super) fn answered(outcome: Outcome) -> Result<Answered, Failure> {
    match outcome {
        Outcome::Answered(answered) => Ok(answered),
        Outcome::Rejected(rejection) => Err(Failure::Rejected(rejection)),
        Outcome::Unknown(token) => Err(Failure::Unknown(token)),
        Outcome::Panicked(token, reason) => Err(Failure::Panicked { token, reason }),
        Outcome::Settled(_) => unreachable!("this call asked about no other"),
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if let CallState::ActiveCall(call) = self.progress {
            self.shared.forget(call);
        }
    }
}
