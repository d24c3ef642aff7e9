//! What a caller holds of a call that it does not wait for yet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::CallId;
use super::shared::SharedClient;
use super::{Answered, Ask, Failure, Outcome};
use crate::types::Time;

/// A call under way, whose answer, once it has one, is a `T`.
///
/// Tickets are independent: they may be waited for in any order, in any thread, or be dropped. A dropped ticket takes
/// nothing back: its call goes on, and how it ends is discarded.
///
/// *When a call makes progress.* It is sent when it begins. From then on whoever uses the client, a clone of it or one
/// of its tickets sees to all of their calls: that takes in answers, repeats what stayed unanswered, and ends calls at
/// their deadlines. While nobody does, nothing is repeated: there is no thread behind a client. A ticket that is looked
/// at after its call's deadline has ended, with the answer if that had come.
pub struct Ticket<T> {
    shared: Arc<SharedClient>,
    progress: Progress,
    /// How many commands there are to be answers to.
    count: usize,
    read: Reading<T>,
}

/// Makes the typed answer of what came, to so many commands.
pub(super) type Reading<T> = fn(&Answered, usize) -> Result<T, Failure>;

#[derive(Debug)]
enum Progress {
    ActiveCall(CallId),
    Ended(Outcome),
}

impl<T> Ticket<T> {
    /// Begins the call. A call that is rejected at once has a ticket that has ended.
    pub(super) fn begin(shared: &Arc<SharedClient>, ask: Ask, count: usize, read: Reading<T>) -> Ticket<T> {
        let progress = match shared.begin(ask) {
            Ok(call) => Progress::ActiveCall(call),
            Err(rejection) => Progress::Ended(Outcome::Rejected(rejection)),
        };
        Ticket { shared: Arc::clone(shared), progress, count, read }
    }

    /// Waits until the call has ended, by its deadline at the latest.
    pub fn wait(mut self) -> Result<T, Failure> {
        self.wait_until(Time::NEVER).expect("each call ends by its deadline")
    }

    /// How the call ended; none while it has not. It may be asked again, and says the same.
    pub fn try_wait(&mut self) -> Option<Result<T, Failure>> {
        if let Progress::ActiveCall(call) = self.progress {
            self.progress = Progress::Ended(self.shared.look(call)?.outcome);
        }
        self.ended()
    }

    /// Waits this long at most; none when the call has not ended by then. It may be asked again, and says the same.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Failure>> {
        self.wait_until(self.shared.until(timeout))
    }

    fn wait_until(&mut self, until: Time) -> Option<Result<T, Failure>> {
        if let Progress::ActiveCall(call) = self.progress {
            self.progress = Progress::Ended(self.shared.wait(call, until)?.outcome);
        }
        self.ended()
    }

    fn ended(&self) -> Option<Result<T, Failure>> {
        match &self.progress {
            Progress::ActiveCall(_) => None,
            Progress::Ended(outcome) => {
                Some(answered(outcome.clone()).and_then(|answered| (self.read)(&answered, self.count)))
            }
        }
    }
}

/// The one place where outcomes become answers or failures.
fn answered(outcome: Outcome) -> Result<Answered, Failure> {
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
        if let Progress::ActiveCall(call) = self.progress {
            self.shared.forget(call);
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("progress", &self.progress).finish_non_exhaustive()
    }
}
