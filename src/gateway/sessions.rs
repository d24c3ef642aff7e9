//! Exactly once for any language: a caller opens a session, numbers its commands in it, and repeats one that was not answered
//! under its number, at any gateway (section 8; D 6.3).

use serde_json::{Value, json};

use super::answers::{Code, Failed, not_answered};
use super::header::Header;
use super::kv;
use super::routes::Gate;
use crate::client::{Ask, Committed, Fate, Outcome, What};
use crate::raft::entry::Origin;
use crate::state_machine::kv::{Answer, Command, Txn};
use crate::types::Token;
use crate::web::request::Request;

impl Gate {
    /// Opens a session for the caller.
    pub(super) fn new_session(&self) -> Result<Value, Failed> {
        let session = (self.site.clients)().new_session();
        let session = session.ok_or_else(|| Failed::new(Code::Unavailable, "no leader was found in time"))?;
        Ok(json!({"session": session.to_string()}))
    }

    /// What became of a command.
    pub(super) fn outcome(&self, token: &str) -> Result<Value, Failed> {
        let token: Token = token.parse().map_err(Failed::invalid)?;
        Ok(match self.client.outcome(token)? {
            Fate::Applied(Committed { answer, node, term, .. }) => {
                let answers = answer.iter().map(|answer| {
                    let answer = kv::transacted(answer)?;
                    let header = Header { node, term, revision: answer.revision };
                    Ok(Value::from(kv::txn_object(header, &self.site, answer)))
                });
                let answers: Result<Vec<Value>, Failed> = answers.collect();
                // A transaction that was declined has applied nothing, and one command has one answer.
                match answers.map(|mut answers| answers.pop()) {
                    Ok(response) => json!({"outcome": "applied", "response": response}),
                    Err(declined) => json!({"outcome": "applied", "declined": declined.text}),
                }
            }
            Fate::NeverApplied => json!({"outcome": "never_applied"}),
            Fate::Forgotten => json!({"outcome": "forgotten"}),
            Fate::Expired => json!({"outcome": "expired"}),
            Fate::Lost { epoch } => json!({"outcome": "lost", "epoch": epoch.0}),
        })
    }

    /// Applies a transaction, in the caller's session if it names one.
    pub(super) fn commit(&self, request: &Request, txn: Txn) -> Result<(Header, Answer), Failed> {
        let command = Command::Txn(Box::new(txn));
        let Some(origin) = origin(request)? else {
            let Committed { answer, node, term, .. } = self.client.submit(command)?;
            return Ok((Header { node, term, revision: 0 }, answer));
        };
        let What::Command(commands) = What::commands([command]) else {
            unreachable!("commands are asked for")
        };
        let what = What::Named { origin, commands };
        let timeout = self.client.timeout();
        match self.client.ask(Ask { what, at: None, timeout }).outcome {
            Outcome::Answered(answered) => {
                let header = Header { node: answered.node, term: answered.term, revision: 0 };
                let answer = answered.answers::<Answer>().and_then(<[Answer]>::first).cloned();
                let answer = answer.ok_or_else(|| {
                    Failed::new(Code::FailedPrecondition, "this number was given to another command")
                })?;
                Ok((header, answer))
            }
            other => Err(not_answered(other)),
        }
    }
}

/// How the caller names its command; none if it does not.
fn origin(request: &Request) -> Result<Option<Origin>, Failed> {
    let Request { session, serial, acknowledged, .. } = request;
    let (session, serial) = match (session, serial) {
        (None, None) => return Ok(None),
        (Some(session), Some(serial)) => (session, serial),
        _ => return Err(Failed::invalid("Raftlab-Session and Raftlab-Serial belong together")),
    };
    let token: Token = format!("{session}.{serial}").parse().map_err(|_| {
        Failed::invalid(format!(
            "session '{session}' with serial '{serial}' names no command: POST /v1/sessions opens a session"
        ))
    })?;
    let Token { session, serial, part: None } = token else {
        return Err(Failed::invalid("Raftlab-Serial is a number"));
    };
    if serial == 0 {
        return Err(Failed::invalid("Raftlab-Serial counts from 1"));
    }
    let acknowledged = match acknowledged {
        Some(given) => given.parse().map_err(|_| Failed::invalid("Raftlab-Acknowledged is not a number"))?,
        None => 0,
    };
    if acknowledged > serial {
        return Err(Failed::invalid(
            "Raftlab-Acknowledged is the lowest number whose answer is still needed: it is above this one",
        ));
    }
    Ok(Some(Origin { session, serial, acknowledged }))
}
