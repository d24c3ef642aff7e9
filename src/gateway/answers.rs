//! How a request ends: as etcd's answers and errors do, with gRPC's codes and what HTTP says for them.

use serde_json::{Value, json};

use crate::client::{Failure, Outcome, Rejection, Token};
use crate::web::response::Response;

/// A whole answer, and the command whose outcome it does not know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub response: Response,
    token: Option<Token>,
}

/// Why a request is not answered as it wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failed {
    code: Code,
    pub text: String,
    token: Option<Token>,
}

/// The codes of gRPC that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

impl Code {
    fn status(self) -> u16 {
        match self {
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
            Code::NotFound => 404,
            Code::ResourceExhausted => 429,
            Code::Internal => 500,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
            Code::DeadlineExceeded => 504,
        }
    }
}

impl Failed {
    pub fn new(code: Code, text: impl Into<String>) -> Failed {
        Failed { code, text: text.into(), token: None }
    }

    pub fn invalid(text: impl Into<String>) -> Failed {
        Failed::new(Code::InvalidArgument, text)
    }

    fn unknown(token: Token) -> Failed {
        let text =
            format!("no answer in time, the command may have been applied: GET /v1/outcome/{token} says");
        Failed { code: Code::DeadlineExceeded, text, token: Some(token) }
    }
}

impl From<Rejection> for Failed {
    fn from(rejection: Rejection) -> Failed {
        let code = match &rejection {
            // In etcd's words, as far as etcd has this limit.
            Rejection::Invalid(reason) => return Failed::invalid(format!("etcdserver: {reason}")),
            Rejection::Unwritable(_) => Code::InvalidArgument,
            Rejection::Busy | Rejection::Full => Code::ResourceExhausted,
            Rejection::Panicked(_) => Code::Internal,
            Rejection::GivenUp => Code::FailedPrecondition,
            _ => Code::Unavailable,
        };
        Failed::new(code, format!("etcdserver: {rejection}"))
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        match failure {
            Failure::Rejected(rejection) => rejection.into(),
            Failure::Unknown(token) => Failed::unknown(token),
            Failure::Panicked { token, .. } => {
                Failed { token: Some(token), ..Failed::new(Code::Internal, failure.to_string()) }
            }
            Failure::Unreadable(_) => Failed::new(Code::Internal, failure.to_string()),
        }
    }
}

/// An end without an answer of the store.
pub(super) fn not_answered(outcome: Outcome) -> Failed {
    match outcome {
        Outcome::Rejected(rejection) => rejection.into(),
        Outcome::Unknown(token) => Failed::unknown(token),
        Outcome::Panicked(token, reason) => Failure::Panicked { token, reason }.into(),
        Outcome::Answered(_) => Failed::new(Code::Internal, "an answer to another question"),
        Outcome::Settled(_) => {
            let text = "the session does not know this command any more: GET /v1/outcome/SESSION.SERIAL says what is known";
            Failed::new(Code::FailedPrecondition, text)
        }
    }
}

impl From<Failed> for Answer {
    fn from(Failed { code, text, token }: Failed) -> Answer {
        let value = json!({"error": text, "message": text, "code": code as u8});
        Answer { response: Response::json(code.status(), &value), token }
    }
}

impl From<Value> for Answer {
    fn from(value: Value) -> Answer {
        Answer { response: Response::json(200, &value), token: None }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer { response, token: None }
    }
}

impl Answer {
    /// What is said beside the answer.
    pub fn headers(&self) -> String {
        self.token.map_or(String::new(), |token| format!("Raftlab-Token: {token}\r\n"))
    }
}
