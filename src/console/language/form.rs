//! Forms: how a directive, or a condition inside one, is written. A form is a name with slots, and a phrase is a form with
//! its slots filled.
//!
//! Reading, showing, completing, explaining and suggesting all go by the form, so that a verb is written down once: in its row.

use super::kind::Kind;

/// How something is written, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub topic: Topic,
    /// What follows the name, in the order in which it is shown.
    pub slots: &'static [Slot],
    /// What it does, short enough for one line of the overview.
    pub summary: &'static str,
    pub example: &'static str,
    /// What undoes it, where that is not its opposite.
    pub undone: &'static str,
    /// The rule of Raft that it shows, with its section; empty where there is none.
    pub rule: &'static str,
    /// What its words, columns and defaults mean: lines of the help; none where they explain themselves.
    pub notes: &'static [&'static str],
    /// `for DURATION` may follow: it is a fault that ends by itself.
    pub lasting: bool,
}

/// What forms are grouped by in the help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    Look,
    Data,
    Nodes,
    Network,
    Disks,
    Time,
    Test,
    Session,
    /// What `wait` waits for and `expect` demands.
    Condition,
    /// What only `expect` demands: of the answer before.
    Answer,
}

/// One of the things that follow a form's name.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// What usages and errors call it: `TARGET`, `--timeout`, `@NODE`.
    pub name: &'static str,
    /// Whether it may be left out, and how it is recognized.
    pub place: Place,
    /// What may stand there.
    pub kind: Kind,
    /// What an option changes, for the help.
    pub meaning: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The next words, which must be there.
    Needed,
    /// The next words, if any are left.
    Optional,
    /// The next word, if it is one of this kind.
    IfFitting,
    /// Anywhere, behind its name: `--timeout 2s`, `@n2`.
    Option {
        /// What its value is called; none for a flag.
        value: Option<&'static str>,
        short: Option<&'static str>,
        /// The option that it cannot stand beside.
        excludes: Option<&'static str>,
    },
}

pub const fn form(name: &'static str, topic: Topic, slots: &'static [Slot]) -> Form {
    let (summary, example, undone, rule) = ("", "", "", "");
    Form { name, aliases: &[], topic, slots, summary, example, undone, rule, notes: &[], lasting: false }
}

impl Form {
    pub const fn does(self, summary: &'static str, example: &'static str) -> Form {
        Form { summary, example, ..self }
    }

    pub const fn shows(self, rule: &'static str) -> Form {
        Form { rule, ..self }
    }

    pub const fn also(self, aliases: &'static [&'static str]) -> Form {
        Form { aliases, ..self }
    }

    pub const fn undone(self, undone: &'static str) -> Form {
        Form { undone, ..self }
    }

    pub const fn noting(self, notes: &'static [&'static str]) -> Form {
        Form { notes, ..self }
    }

    pub const fn lasting(self) -> Form {
        Form { lasting: true, ..self }
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The whole form: `crash TARGET [--power] [for DURATION]`.
    pub fn usage(&self) -> String {
        std::iter::once(self.name.to_string()).chain(self.pieces()).collect::<Vec<_>>().join(" ")
    }

    /// What follows the name, piece by piece: `TARGET`, `[--power]`, `[for DURATION]`.
    pub(super) fn pieces(&self) -> Vec<String> {
        let mut pieces: Vec<String> = Vec::new();
        for slot in self.slots {
            match (slot.place, pieces.last_mut()) {
                (Place::Option { excludes: Some(_), .. }, Some(last)) => {
                    last.insert_str(last.len() - 1, &format!(" | {}", slot.name));
                }
                (Place::Needed, _) => pieces.push(slot.name.to_string()),
                _ => pieces.push(format!("[{}]", slot.words())),
            }
        }
        pieces.extend(self.lasting.then(|| "[for DURATION]".to_string()));
        pieces
    }

    /// Its option of this name, long or short.
    pub(super) fn option(&self, name: &str) -> Option<&'static Slot> {
        self.slots.iter().find(|slot| match slot.place {
            Place::Option { short, .. } => slot.name.eq_ignore_ascii_case(name) || short == Some(name),
            _ => false,
        })
    }

    /// The names of its options, as they are written.
    pub(super) fn option_names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.slots
            .iter()
            .filter(|slot| slot.is_option())
            .map(|slot| slot.name)
            .filter(|name| name.starts_with("--"))
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.slots.iter().any(|slot| slot.kind == kind)
    }

    /// How many words stand before the directive with which it ends; none if it does not end with one.
    pub fn line_behind(&self) -> Option<usize> {
        self.slots.iter().position(|slot| slot.kind == Kind::Line)
    }

    /// Whether this word begins one of its slots.
    pub(super) fn begins_slot(&self, text: &str) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.kind, Kind::Named(word) if word.eq_ignore_ascii_case(text)))
    }

    /// Whether every word that follows is text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.slots, [Slot { kind: Kind::Text, .. }])
    }

    /// What a word of any text is called, where one may stand.
    pub(super) fn free_word(&self) -> Option<&'static str> {
        self.slots.iter().rev().find_map(|slot| match slot.kind {
            Kind::Value => Some("a value"),
            Kind::Key => Some("a key"),
            Kind::File => Some("a name"),
            Kind::Text | Kind::Condition { .. } => Some("a text"),
            _ => None,
        })
    }
}

impl Slot {
    pub const fn needed(name: &'static str, kind: Kind) -> Slot {
        Slot { name, place: Place::Needed, kind, meaning: "" }
    }

    pub const fn optional(name: &'static str, kind: Kind) -> Slot {
        Slot { name, place: Place::Optional, kind, meaning: "" }
    }

    pub const fn if_fitting(name: &'static str, kind: Kind) -> Slot {
        Slot { name, place: Place::IfFitting, kind, meaning: "" }
    }

    pub const fn flag(name: &'static str, meaning: &'static str) -> Slot {
        let place = Place::Option { value: None, short: None, excludes: None };
        Slot { name, place, kind: Kind::Flag, meaning }
    }

    /// Whether it names a file or a folder.
    pub(super) fn names_file(&self) -> bool {
        self.kind == Kind::File || self.name.starts_with("FILE") || self.name.starts_with("DIR")
    }

    /// The same with a name of one letter, or beside an option that excludes it.
    pub const fn or(self, short: Option<&'static str>, excludes: Option<&'static str>) -> Slot {
        Slot { place: Place::Option { value: None, short, excludes }, ..self }
    }

    pub const fn option(name: &'static str, value: &'static str, kind: Kind, meaning: &'static str) -> Slot {
        let place = Place::Option { value: Some(value), short: None, excludes: None };
        Slot { name, place, kind, meaning }
    }

    pub(super) fn is_option(&self) -> bool {
        matches!(self.place, Place::Option { .. })
    }

    /// `--timeout DURATION`, and any other slot by its name.
    pub(super) fn words(&self) -> String {
        match self.place {
            Place::Option { value: Some(value), .. } if self.name.starts_with("--") => {
                format!("{} {value}", self.name)
            }
            _ => self.name.to_string(),
        }
    }
}
