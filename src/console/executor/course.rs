//! The course of a run: what its directives have made of the console so far. It belongs to the run, as the nodes do, so
//! both stand at the same time when a run is rewound.

use std::collections::BTreeMap;

use super::chaos::Chaos;
use super::journal::Journal;
use super::later::Later;
use super::operation::Operation;
use super::record::Record;
use super::rerun::Rerun;
use super::tape::Tape;
use super::undo::Undo;
use crate::console::language::{Answer, Outcome};
use crate::faults::{EndId, Layers};
use crate::lab::dials::Dials;
use crate::types::{Random, Token};

#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Draws `random`, `minority` and the commands of `pipe`.
    pub random: Random,
    pub undos: Vec<Undo>,
    /// How many undos there were.
    pub undo_count: EndId,
    /// Changes of the network that end by themselves, and those around them.
    pub layers: Layers,
    pub dials: Dials,
    pub laters: Vec<Later>,
    /// One of them that failed, until its script ends for it.
    pub late_failure: Option<(String, Outcome)>,
    pub chaos: Option<Chaos>,
    /// How often chaos was begun.
    pub chaos_begun: u64,
    pub record: Record,
    pub journal: Journal,
    pub tape: Tape,
    pub history: Vec<String>,
    pub rerun: Rerun,
    /// The answer before, for `expect ok` and its like.
    pub last: LastAnswers,
    /// The commands whose outcome is unknown, the newest last.
    pub unknown: BTreeMap<Token, Operation>,
}

/// The answers before: a script looks at its own, though a person gets others meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAnswers {
    /// The line that runs is a script's.
    pub is_scripted: bool,
    typed: Option<Answer>,
    scripted: Option<Answer>,
}

impl LastAnswers {
    pub fn get(&self) -> Option<&Answer> {
        if self.is_scripted { self.scripted.as_ref() } else { self.typed.as_ref() }
    }

    pub fn set(&mut self, is_scripted: bool, answer: Answer) {
        let last = if is_scripted { &mut self.scripted } else { &mut self.typed };
        *last = Some(answer);
    }
}

impl Course {
    /// Nothing has been done so far. The draws are those of this seed.
    pub fn new(seed: u64) -> Course {
        Course {
            // Another stream than the lab's own: both begin with the same seed.
            random: Random::new(seed ^ 0x636f_6e73_6f6c_6531),
            undos: Vec::new(),
            undo_count: 0,
            layers: Layers::default(),
            dials: Dials::default(),
            laters: Vec::new(),
            late_failure: None,
            chaos: None,
            chaos_begun: 0,
            record: Record::default(),
            journal: Journal::default(),
            tape: Tape::default(),
            history: Vec::new(),
            rerun: Rerun::default(),
            last: LastAnswers::default(),
            unknown: BTreeMap::new(),
        }
    }
}
