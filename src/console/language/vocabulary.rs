//! What a language consists of: the forms of its verbs, and of the conditions that some of them take.

use super::form::{Form, Topic};

/// The themes of the verbs, in the order of the help.
pub const THEMES: [(&str, Topic); 8] = [
    ("inspect", Topic::Look),
    ("data", Topic::Data),
    ("nodes", Topic::Nodes),
    ("network", Topic::Network),
    ("disks", Topic::Disks),
    ("time", Topic::Time),
    ("scripts", Topic::Test),
    ("session", Topic::Session),
];

/// What can be explained beside verbs and themes.
pub const TOPICS: [&str; 6] = ["targets", "links", "quantities", "conditions", "values", "all"];

/// All that can be explained beside the verbs.
pub fn subjects() -> impl Iterator<Item = &'static str> + Clone {
    THEMES.into_iter().map(|(name, _)| name).chain(TOPICS)
}

/// Words that other systems use for what is called otherwise here.
pub const FAMILIAR: &[(&str, &str)] = &[
    ("write", "put"),
    ("insert", "create"),
    ("rm", "delete"),
    ("nodes", "status"),
    ("ps", "status"),
    ("latency", "delay"),
    ("loss", "drop"),
    ("shutdown", "quit"),
    ("unpause", "resume"),
    ("split", "partition"),
    ("assert", "expect"),
    ("source", "run"),
    ("print", "echo"),
];

/// A language: the forms of its verbs, and of the conditions that some of them take.
#[derive(Debug)]
pub struct Language {
    verbs: Vec<&'static Form>,
    conditions: Vec<&'static Form>,
}

impl Language {
    pub fn new(
        verbs: impl Iterator<Item = &'static Form>,
        conditions: impl Iterator<Item = &'static Form>,
    ) -> Language {
        Language { verbs: verbs.collect(), conditions: conditions.collect() }
    }

    /// Every verb, in the order of the help.
    pub fn verbs(&self) -> impl Iterator<Item = &'static Form> + Clone {
        self.verbs.iter().copied()
    }

    /// Every condition; those about the answer before only with `answers`.
    pub fn conditions(&self, answers: bool) -> impl Iterator<Item = &'static Form> + Clone {
        self.conditions.iter().copied().filter(move |form| answers || form.topic != Topic::Answer)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.verbs().flat_map(Form::names)
    }

    /// The verb of this name or alias, in any case.
    pub fn find(&self, name: &str) -> Option<&'static Form> {
        self.verbs().find(|form| form.names().any(|known| known.eq_ignore_ascii_case(name)))
    }
}
