//! Why a node's process does not start, and the exit code that says so.

use crate::cluster::StartError;
use crate::process::ProcessError;

/// The exit code of a start that needs a person: another start would fail as well.
pub(super) const NEEDS_A_PERSON: u8 = 78;

/// One line, and the exit code.
pub(super) type Refusal = (String, u8);

pub(super) fn refusal(error: &ProcessError) -> Refusal {
    let code = match error {
        ProcessError::Start(StartError::Thread(_)) | ProcessError::Thread(_) => 1,
        ProcessError::Start(_) => NEEDS_A_PERSON,
    };
    (error.to_string(), code)
}
