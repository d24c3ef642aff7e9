//! What became of a command whose outcome was unknown: its session knows, or sees to it that nothing ever will.

use super::Console;
use super::data::{answered_outcome, rejection_text};
use super::operation::{DataAnswer, Operation};
use super::rows::{Row, Run, verb};
use super::slots::TOKEN;
use crate::client::{Ask, Fate, Outcome as Ended, What};
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::quoting::{ANSWER_LETTERS, visible_brief};
use crate::types::{Epoch, Token};

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("outcome", Topic::Data, &[TOKEN])
        .does("whether the last (or this) unanswered command was applied", "outcome")
        .shows("D 6.3: a session keeps each answer until its client needs it no more"),
    Console::outcome,
)];

/// Commands of unknown outcome that a console remembers.
const UNKNOWN_MAX: usize = 1_000;

impl Console {
    /// Remembers a command that ended without an answer.
    pub(super) fn note_unknown(&mut self, token: Token, operation: Operation) {
        self.course.unknown.insert(token, operation);
        if self.course.unknown.len() > UNKNOWN_MAX {
            self.course.unknown.pop_first();
        }
    }

    /// Asks what became of this command, or of the newest. The command of a token of an earlier epoch is not known: an earlier
    /// run of the program printed it.
    fn outcome(&mut self, line: &Directive) -> Answer {
        let token = line.get(&TOKEN).copied();
        let found = match token {
            Some(token) => self.course.unknown.get_key_value(&token),
            None => self.course.unknown.last_key_value(),
        };
        let found = found.map(|(token, operation)| (*token, operation.clone()));
        let (token, operation) = match (found, token) {
            (Some((token, operation)), _) => (token, Some(operation)),
            (None, Some(token)) if token.session.epoch() < self.epoch() => (token, None),
            (None, _) => return self.nothing_unknown(token),
        };
        let timeout = self.context.client_timeout;
        let ask = Ask { what: What::Settle(token), at: None, timeout };
        let ended = self.lab.ask(vec![ask]).pop().expect("one answer to one question");
        let (took, ended) = (ended.took, ended.outcome);
        let command = operation.as_ref().map(Operation::to_string);
        let shown = command.as_deref().map_or("the command".to_string(), |command| {
            format!("'{}'", visible_brief(command, ANSWER_LETTERS))
        });
        let fate = match ended {
            Ended::Settled(fate) => fate,
            Ended::Rejected(rejection) => {
                let reason = rejection_text(&rejection, None, timeout);
                let text = format!("{reason}: {shown} may have been applied; 'outcome {token}' asks again");
                return Answer::unknown("outcome", text).with("token", token.to_string());
            }
            Ended::Answered(_) | Ended::Unknown(_) | Ended::Panicked(..) => {
                unreachable!("a question about a command is settled or not")
            }
        };
        self.course.unknown.remove(&token);
        let said = |answer: Answer, fate: &str| {
            answer.with("fate", fate).with("command", command.as_deref()).with("token", token.to_string())
        };
        match fate {
            Fate::Applied(answered) => {
                let operation = operation.expect("commands of earlier epochs are lost");
                let outcome = answered_outcome(&operation, &answered);
                let answer = Answer::from(&DataAnswer { operation, outcome, took });
                let text = format!("applied at index {}; its answer was: {}", answered.index, answer.text);
                said(Answer { directive: "outcome", outcome: Outcome::Ok, text, ..answer }, "applied")
            }
            Fate::NeverApplied => {
                let answer = Answer::failed("outcome", format!("{shown} was not applied, and never will be"));
                said(Answer { outcome: Outcome::Refused, ..answer }, "never_applied")
            }
            Fate::Forgotten => {
                let text =
                    format!("{shown}: its answer is no longer kept, since too many commands have followed");
                said(Answer::unknown("outcome", text), "forgotten")
            }
            Fate::Expired => {
                let text = format!(
                    "{shown}: its session has expired; it may have been applied before, and will not be later"
                );
                said(Answer::unknown("outcome", text), "expired")
            }
            Fate::Lost { epoch } => {
                let before = token.session.epoch();
                let text = format!(
                    "{token} is of epoch {before}, and the cluster was recovered since (epoch {epoch}): what {shown} did may \
                     be lost, and it will not be applied later; 'read' shows what is there"
                );
                said(Answer::unknown("outcome", text), "lost")
            }
        }
    }

    /// The newest epoch that a running node knows of.
    fn epoch(&mut self) -> Epoch {
        let views: Vec<_> = self.lab.nodes().into_iter().map(|node| self.lab.members_view(node)).collect();
        let known = views.into_iter().flatten().filter_map(|view| view.newest?.configuration.epoch);
        known.max().unwrap_or(Epoch::FIRST)
    }

    fn nothing_unknown(&self, token: Option<Token>) -> Answer {
        let known: Vec<String> = self.course.unknown.keys().rev().take(3).map(Token::to_string).collect();
        let reason = match (token, known.is_empty()) {
            (None, _) => "no command of this console has an unknown outcome".to_string(),
            (Some(token), true) => {
                format!("no command of this console has the token {token}, and every outcome is known")
            }
            (Some(token), false) => {
                format!(
                    "no unknown outcome has the token {token}; the newest that have one are {}",
                    known.join(", ")
                )
            }
        };
        Answer::failed("outcome", reason)
    }
}
