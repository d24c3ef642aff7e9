//! `why`: explains what happened, or does not, by the events that are kept and by how things are now.
//!
//! What is kept is the narrator's memory; what it does not know it says. The stories are made below, the same on threads,
//! on processes and in virtual time: of events alone, but for what is missing, which the nodes tell as they are now.

mod entry;
mod leader;
mod missing;
mod story;

use self::story::Story;
use super::Console;
use super::rows::{Row, Run, verb};
use super::slots::{NOT, QUESTION, WHICH};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::raft::event::Event;
use crate::server::{EntryKind, EntryView, WhichEntry};
use crate::text::layout::duration_shown;
use crate::trace::{Remembered, Subject, What};
use crate::types::{LogIndex, NodeId, Term, Time, Token};

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("why", Topic::Look, &[NOT, QUESTION, WHICH])
        .does("explains an entry, an election, a slow or a lost command", "why 17")
        .shows("5.3, 5.4: what a commit waits for, and whose vote decided")
        .noting(&[
            "why 17         how an entry came into the logs and to a majority",
            "why not 18     what its commit waits for: copies, a leader, a rule, a disk",
            "why leader     who asked, who voted and who did not; or why no node leads",
            "why term 5     the same of another term",
            "why slow 2.5   where a command spent its time, by its token",
            "why lost 7     which leader's entry took the place of this one",
        ]),
    Console::why,
)];

/// What is asked.
enum Question {
    Entry(LogIndex),
    Leader,
    Term(Term),
    Slow(Token),
    Lost(LogIndex),
}

impl Console {
    fn why(&mut self, line: &Directive) -> Answer {
        let words = (line.has(&NOT), line.get::<&'static str>(&QUESTION).copied());
        match asked(words, line.get::<String>(&WHICH)) {
            Ok(Question::Entry(index)) => self.why_entry(index),
            Ok(Question::Leader) => self.why_leader(),
            Ok(Question::Term(term)) => self.why_term(term),
            Ok(Question::Slow(token)) => self.why_slow(token),
            Ok(Question::Lost(index)) => self.why_lost(index),
            Err(reason) => Answer::failed("why", reason),
        }
    }

    /// The node whose word is taken: the leader, or else a running one that knows most.
    fn best_informed(&mut self) -> Option<NodeId> {
        let picture = self.picture();
        picture.leading().or(picture.newest())
    }

    /// What is remembered of this here, and by processes of themselves.
    fn known_of(&mut self, subject: Subject) -> Remembered {
        let (began, of_processes) = self.lab.remembered(subject);
        let here = self.narrator.memory().remembered();
        let mut known = here.by_clock(|time| time + began.since(Time::ZERO));
        known.began = began;
        for (node, own) in of_processes {
            known.replace(node, own);
        }
        known
    }

    fn known_of_entry(&mut self, index: LogIndex, entry: Option<EntryView>) -> Remembered {
        let command = entry.and_then(|entry| match entry.kind {
            EntryKind::Command(session, serial) => Some((session, serial)),
            _ => None,
        });
        self.known_of(Subject { entry: Some(index), command })
    }

    fn entry_at(&mut self, which: WhichEntry) -> Option<EntryView> {
        let teller = self.best_informed()?;
        self.lab.entry(teller, which).ok().flatten()
    }

    fn why_entry(&mut self, index: LogIndex) -> Answer {
        let Some(teller) = self.best_informed() else {
            return Answer::failed("why", "no node runs: 'restart' starts one, and it knows its log");
        };
        let status = self.lab.view(teller).status;
        let entry = self.entry_at(WhichEntry::At(index));
        let known = self.known_of_entry(index, entry);
        if index <= status.base.index {
            let base = status.base;
            let mut story = Story::about(format!(
                "entry {index} is covered by a snapshot: {teller} keeps its log from behind {base} on (7)"
            ));
            story.say_memory(&known);
            return story.answer(&known);
        }
        let Some(entry) = entry else {
            let mut story = Story::about(format!("there is no entry {index}"));
            entry::lost(&mut story, index, &known);
            story.say(format!("{teller}'s log ends at {}", status.last));
            if self.picture().leader().is_none() {
                story.say("no node leads, so nothing is appended: 'why leader'".to_string());
            }
            return story.answer(&known);
        };
        let mut story = Story::about(format!("entry {}", entry::shown(entry)));
        // A leader that is new may not know yet what an earlier one has committed.
        let committed = self.picture().nodes().iter().any(|(_, view)| index <= view.status.commit);
        if committed || entry::was_committed(entry, &known) {
            entry::way(&mut story, entry, &known);
        } else {
            self.what_is_missing(&mut story, entry, &known);
        }
        story.answer(&known)
    }

    fn why_leader(&mut self) -> Answer {
        let picture = self.picture();
        let known = self.known_of(Subject::default());
        let leader = picture.leader();
        if let Some((leader, view)) = leader.and_then(|leader| Some((leader, picture.view(leader)?))) {
            let term = view.status.term;
            let mut story = Story::about(format!("{leader} leads term {term}"));
            if !leader::election(&mut story, term, &known) {
                story.say("its election was before this console, or is not kept".to_string());
            }
            return story.answer(&known);
        }
        let mut story =
            Story::about(format!("there is no leader: {}", without_none(&picture.why_no_leader())));
        if let Some((last, term)) = leader::ended(&mut story, &known) {
            story.say(format!("{last} led term {term}, the last that had a leader"));
        }
        let newest = known.moments.iter().rev().find_map(|moment| match &moment.event.what {
            What::Raft(Event::ElectionStarted { term, .. }) => Some(*term),
            What::Raft(Event::PreVoteStarted { next_term }) => Some(*next_term),
            _ => None,
        });
        if let Some(term) = newest {
            leader::election(&mut story, term, &known);
        }
        story.answer(&known)
    }

    fn why_term(&mut self, term: Term) -> Answer {
        let known = self.known_of(Subject::default());
        let mut story = Story::about(format!("term {term}"));
        if !leader::election(&mut story, term, &known) {
            let newest = self.picture().term();
            return Answer::failed(
                "why",
                format!(
                    "nothing is known of term {term}: the newest is {newest}, and what came before this console is not kept"
                ),
            );
        }
        story.answer(&known)
    }

    fn why_slow(&mut self, token: Token) -> Answer {
        let Token { session, serial, .. } = token;
        let mut story = Story::about(format!("the command {token}"));
        let entry = self.entry_at(WhichEntry::Of(session, serial));
        let subject = Subject { entry: entry.map(|entry| entry.id.index), command: Some((session, serial)) };
        let known = self.known_of(subject);
        let asked: Vec<_> = known
            .requests
            .iter()
            .filter(|asked| (asked.session, asked.serial) == (session, serial))
            .collect();
        if asked.is_empty() && entry.is_none() {
            let text =
                format!("nothing is known of {token}: no node that is heard received it, and no log has it");
            return Answer::failed("why", text);
        }
        if let Some(entry) = entry {
            story.say(format!("its entry is {}", entry.id));
            entry::way(&mut story, entry, &known);
        } else {
            entry::requests(&mut story, EntryKind::Command(session, serial), &known);
            story.say("no log has it: it was not appended, or its entry was replaced".to_string());
        }
        if let (Some(first), Some(last)) = (asked.first(), asked.last())
            && asked.len() > 1
        {
            let times = asked.len();
            story.say(format!(
                "it was asked {times} times within {}: its client tried again",
                duration_shown(last.time.since(first.time))
            ));
        }
        story.answer(&known)
    }

    fn why_lost(&mut self, index: LogIndex) -> Answer {
        let known = self.known_of_entry(index, None);
        let mut story = Story::about(format!("an entry {index} that was replaced"));
        if !entry::lost(&mut story, index, &known) {
            return Answer::failed(
                "why",
                format!("no entry {index} was removed from a log, as far as is kept"),
            );
        }
        if let Some(entry) = self.entry_at(WhichEntry::At(index)) {
            story.say(format!("there is another entry now: {}", entry::shown(entry)));
        }
        story.answer(&known)
    }
}

/// What the words ask for.
fn asked(words: (bool, Option<&str>), which: Option<&String>) -> Result<Question, String> {
    let number = || {
        let Some(which) = which else { return Err("which entry? 'why 17', or 'help why'".to_string()) };
        which.parse().map_err(|_| format!("'{which}' is no number of an entry: 'why 17', or 'help why'"))
    };
    match words {
        (true, Some(word)) => Err(format!("'why not' goes with an entry's number, and not with '{word}'")),
        (_, None) => number().map(|index| Question::Entry(LogIndex(index))),
        (_, Some("leader")) => match which {
            None => Ok(Question::Leader),
            Some(which) => Err(format!("'why leader' stands alone: what is '{which}'?")),
        },
        (_, Some("term")) => number().map(|term| Question::Term(Term(term))),
        (_, Some("lost")) => number().map(|index| Question::Lost(LogIndex(index))),
        (_, Some(_)) => {
            let Some(which) = which else {
                return Err("which command? Its token is wanted, as in 'why slow 2.5'".to_string());
            };
            which.parse().map(Question::Slow)
        }
    }
}

/// `2 of 3 down, no quorum` of `none: 2 of 3 down, no quorum`.
fn without_none(reason: &str) -> &str {
    reason.strip_prefix("none: ").unwrap_or(reason)
}
