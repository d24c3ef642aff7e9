//! The logs as Figure 7 draws them, a row a node, the term of each entry in its cell.
//!
//! ```text
//!           1  2  3  4
//! n1 L t2   1  1  2  2|
//! n2 F t2   1  1  2| 2
//! n3 F t2   1  1 !1| .
//! ```
//!
//! Drawn from what running nodes say (`log`), and from their files alone (`logs matrix`). A cell never shows more than
//! is known: an entry that cannot be read is a question mark.

use crate::server::LogView;
use crate::storage::glimpse::Glimpse;
use crate::text::painted;
use crate::types::{LogIndex, NodeId, Term};

/// Entries that are shown without a terminal and without a number.
const ENTRIES: usize = 20;

/// Columns before the cells, at least.
const MARGIN: usize = 6;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub node: NodeId,
    /// The node's role, by its first letter; a space where it is not known.
    pub letter: char,
    /// Its current term, where it stands at the row's head.
    pub term: Option<Term>,
    /// Its log, or why there is none to be seen.
    pub log: Result<Entries, String>,
    pub end: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entries {
    /// The index before the first of `terms`.
    pub before: LogIndex,
    /// The terms of the entries behind that, in order; none for one that cannot be read.
    pub terms: Vec<Option<Term>>,
    /// The entries that hold configurations.
    pub members: Vec<LogIndex>,
    /// A snapshot covers the log up to here.
    pub snapshot: LogIndex,
    /// Entries up to here that are not among `terms` are not kept, because a snapshot covers them.
    pub covered: LogIndex,
    /// The commit index, where it is known.
    pub commit: Option<LogIndex>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// This many of the last entries, instead of as many as fit.
    pub last: Option<usize>,
    /// How wide the terminal is, if there is one.
    pub columns: Option<usize>,
    /// Each term in a color of its own, besides its number.
    pub color: bool,
}

impl Frame {
    /// How many of the last entries may be shown at most.
    pub fn entries(self) -> usize {
        self.last.unwrap_or_else(|| self.columns.unwrap_or(ENTRIES))
    }
}

/// The matrix. What differs from the log of `leader` is marked.
pub fn draw(rows: &[Row], leader: Option<&Entries>, frame: Frame) -> String {
    let logs = || rows.iter().filter_map(|row| row.log.as_ref().ok());
    let end = logs().map(|log| log.last().max(log.covered)).max().unwrap_or_default();
    let margin = rows.iter().map(|row| row.head().len() + 2).max().unwrap_or_default().max(MARGIN);
    let mut lines = Vec::new();
    let mut seen = Seen::default();
    if end == LogIndex(0) {
        lines.extend(rows.iter().map(|row| match &row.log {
            Ok(_) => row.text(margin, "no entries"),
            Err(reason) => row.text(margin, reason),
        }));
    } else {
        let begin = LogIndex(end.0.saturating_sub(window(rows, margin, end, frame)) + 1);
        let width = widest(rows, begin, end);
        let indexes = || (begin.0..=end.0).map(LogIndex);
        let head: Vec<String> = indexes().map(|index| format!(" {index:>width$} ")).collect();
        lines.push(format!("{:margin$}{}", "", head.concat()));
        for row in rows {
            match &row.log {
                Err(reason) => lines.push(row.text(margin, reason)),
                Ok(log) => {
                    let cells = indexes().map(|index| seen.cell(log, leader, index, width, frame.color));
                    let cells = cells.collect::<String>();
                    lines.push(row.text(margin, &cells));
                }
            }
        }
    }
    let legends = [seen.legend(), legend_of_heads(rows)];
    let legends = legends.iter().filter(|legend| !legend.is_empty());
    lines.extend(legends.map(|legend| format!("{:margin$} {legend}", "")));
    lines.into_iter().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

/// What stands at the rows' heads.
fn legend_of_heads(rows: &[Row]) -> String {
    let letters = [
        ('L', "L leads"),
        ('F', "F follows"),
        ('C', "C campaigns"),
        ('P', "P asks for pre-votes"),
        ('p', "p is paused"),
        ('x', "x is down"),
    ];
    let used = letters.iter().filter(|(letter, _)| rows.iter().any(|row| row.letter == *letter));
    let term = rows.iter().find_map(|row| row.term).map(|term| format!("t{term} in term {term}"));
    used.map(|(_, meaning)| (*meaning).to_string()).chain(term).collect::<Vec<_>>().join("   ")
}

fn window(rows: &[Row], margin: usize, end: LogIndex, frame: Frame) -> u64 {
    let fitting = frame.columns.map_or(ENTRIES, |columns| {
        let behind = rows.iter().map(|row| row.end.len()).max().unwrap_or_default();
        let cells = columns.saturating_sub(margin + behind);
        // The widest cell that may come: the terms of entries that do not fit need no room.
        (cells / (widest(rows, LogIndex(end.0.saturating_sub(columns as u64)), end) + 2)).max(1)
    });
    u64::try_from(frame.last.unwrap_or(fitting)).unwrap_or(u64::MAX)
}

/// The digits that the widest number among these entries has.
fn widest(rows: &[Row], begin: LogIndex, end: LogIndex) -> usize {
    let logs = rows.iter().filter_map(|row| row.log.as_ref().ok());
    let terms = logs.flat_map(|log| {
        let skipped = begin.0.saturating_sub(log.before.0 + 1);
        log.terms.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    });
    terms.flatten().map(|term| term.0).chain([end.0]).map(digits).max().unwrap_or(1)
}

fn digits(number: u64) -> usize {
    number.to_string().len()
}

impl Row {
    fn head(&self) -> String {
        let term = self.term.map_or(String::new(), |term| format!(" t{term}"));
        format!("{} {}{term}", self.node, self.letter)
    }

    fn text(&self, margin: usize, cells: &str) -> String {
        format!("{:margin$}{cells}{}", self.head(), self.end)
    }
}

impl From<&LogView> for Entries {
    fn from(view: &LogView) -> Entries {
        Entries {
            before: view.base.index,
            terms: view.terms.iter().copied().map(Some).collect(),
            members: view.members.clone(),
            snapshot: view.snapshot.index,
            covered: view.base.index,
            commit: Some(view.commit),
        }
    }
}

impl From<&Glimpse> for Entries {
    /// What is committed is not on disk.
    fn from(glimpse: &Glimpse) -> Entries {
        let snapshot = glimpse.snapshot.index;
        let terms = glimpse.terms.clone();
        let members = glimpse.changes.iter().map(|one| one.index).collect();
        Entries { before: glimpse.before, terms, members, snapshot, covered: snapshot, commit: None }
    }
}

impl Entries {
    fn last(&self) -> LogIndex {
        LogIndex(self.before.0 + self.terms.len() as u64)
    }

    fn cell(&self, index: LogIndex) -> Cell {
        let place = index.0.checked_sub(self.before.0 + 1).and_then(|place| usize::try_from(place).ok());
        match place.map(|place| self.terms.get(place)) {
            Some(Some(Some(term))) => Cell::Term(*term),
            Some(Some(None)) => Cell::Unreadable,
            _ if index <= self.covered => Cell::Covered,
            Some(None) => Cell::Missing,
            None => Cell::Unreadable,
        }
    }

    /// An entry beyond the leader's log differs too: it will be overwritten.
    fn refutes(&self, index: LogIndex, term: Term) -> bool {
        match self.cell(index) {
            Cell::Term(leaders) => leaders != term,
            Cell::Missing => true,
            Cell::Covered | Cell::Unreadable => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Term(Term),
    Covered,
    Missing,
    Unreadable,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark that was drawn or not")]
struct Seen {
    commits: bool,
    conflicts: bool,
    missing: bool,
    covered: bool,
    unreadable: bool,
    members: bool,
}

impl Seen {
    /// A cell with its marks: what is in front of the term, the term, and the line behind the last committed entry.
    fn cell(
        &mut self,
        log: &Entries,
        leader: Option<&Entries>,
        index: LogIndex,
        width: usize,
        color: bool,
    ) -> String {
        let cell = log.cell(index);
        let wrong =
            matches!(cell, Cell::Term(term) if leader.is_some_and(|leader| leader.refutes(index, term)));
        let kept = matches!(cell, Cell::Term(_)) && index <= log.snapshot;
        self.commits |= log.commit.is_some();
        self.conflicts |= wrong;
        self.covered |= cell == Cell::Covered || kept;
        self.missing |= cell == Cell::Missing;
        self.unreadable |= cell == Cell::Unreadable;
        let members = matches!(cell, Cell::Term(_)) && log.members.contains(&index);
        self.members |= members;
        let mark = match (wrong, members, kept) {
            (true, ..) => '!',
            (_, true, _) => 'm',
            (_, _, true) => 's',
            _ => ' ',
        };
        let end = if log.commit == Some(index) { '|' } else { ' ' };
        let text = match cell {
            Cell::Term(term) => {
                let text = format!("{term:>width$}");
                // Neighboring terms have different colors.
                if color { painted(&text, 31 + term.0 % 6) } else { text }
            }
            Cell::Covered => format!("{:>width$}", 's'),
            Cell::Missing => format!("{:>width$}", '.'),
            Cell::Unreadable => format!("{:>width$}", '?'),
        };
        format!("{mark}{text}{end}")
    }

    fn legend(self) -> String {
        let marks = [
            (self.commits, "| committed up to here"),
            (self.conflicts, "! not the leader's term"),
            (self.missing, ". no entry"),
            (self.covered, "s covered by the snapshot"),
            (self.members, "m members"),
            (self.unreadable, "? cannot be read"),
        ];
        let explained = marks.iter().filter(|(seen, _)| *seen).map(|(_, mark)| *mark);
        explained.collect::<Vec<_>>().join("   ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64], commit: u64) -> Entries {
        let terms = terms.iter().copied().map(|term| Some(Term(term))).collect();
        Entries { terms, commit: Some(LogIndex(commit)), ..Entries::default() }
    }

    fn row(node: u8, letter: char, log: Entries) -> Row {
        Row { node: NodeId::new(node), letter, term: None, log: Ok(log), end: String::new() }
    }

    #[test]
    fn figure_7_is_drawn_with_its_conflicts_and_holes() {
        let leader = log(&[1, 1, 2, 10], 3);
        let stored = Entries { commit: None, ..log(&[1, 1], 0) };
        let down = Row { end: "  crashed, as stored".to_string(), ..row(3, 'x', stored) };
        let mut rows = [row(1, 'L', leader.clone()), row(2, 'F', log(&[1, 1, 1, 1, 1], 2)), down];
        rows[0].term = Some(Term(10));
        rows[2].term = Some(Term(1));
        let frame = Frame { columns: Some(80), ..Frame::default() };
        assert_eq!(
            draw(&rows, Some(&leader), frame),
            "            1   2   3   4   5\n\
             n1 L t10    1   1   2| 10   .\n\
             n2 F        1   1|! 1 ! 1 ! 1\n\
             n3 x t1     1   1   .   .   .   crashed, as stored\n\
             \x20          | committed up to here   ! not the leader's term   . no entry\n\
             \x20          L leads   F follows   x is down   t10 in term 10"
        );
    }

    #[test]
    fn a_window_shows_the_last_entries_and_what_a_snapshot_covers() {
        let mut compacted = log(&[3, 3], 5);
        compacted.before = LogIndex(3);
        compacted.covered = LogIndex(3);
        compacted.snapshot = LogIndex(4);
        let rows = [row(1, 'F', compacted), row(2, 'F', log(&[1, 1, 2], 0))];
        assert_eq!(
            draw(&rows, None, Frame { last: Some(3), ..Frame::default() }),
            "       3  4  5\nn1 F   s s3  3|\nn2 F   2  .  .\n\
             \x20      | committed up to here   . no entry   s covered by the snapshot\n\
             \x20      F follows"
        );
        assert_eq!(
            draw(&[row(1, 'F', log(&[], 0))], None, Frame::default()),
            "n1 F  no entries\n       F follows"
        );
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let mut read = Entries { commit: None, ..log(&[2, 2, 3], 0) };
        (read.before, read.terms[1]) = (LogIndex(2), None);
        let mut installed = Entries { commit: None, ..log(&[1], 0) };
        (installed.covered, installed.snapshot) = (LogIndex(4), LogIndex(4));
        let mut rows = [row(1, ' ', read), row(2, ' ', installed)];
        rows[0].end = "  term 3".to_string();
        let frame = Frame { columns: Some(29), ..Frame::default() };
        assert_eq!(
            draw(&rows, None, frame),
            "       1  2  3  4  5\nn1     ?  ?  2  ?  3   term 3\nn2    s1  s  s  s  .\n\
             \x20      . no entry   s covered by the snapshot   ? cannot be read"
        );
        let narrow = Frame { columns: Some(20), ..frame };
        assert!(draw(&rows, None, narrow).starts_with("       4  5\n"), "as much as fits");
        assert!(draw(&rows, None, Frame { color: true, ..narrow }).contains("\x1b[34m3\x1b[0m"));
    }
}
