//! `log`: the logs as Figure 7 draws them, a row a node, the term of each entry in its cell.
//!
//! ```text
//!        1  2  3  4
//! n1 L   1  1  2  2|
//! n2 F   1  1  2| 2
//! n3 F   1  1 !1| .
//! ```

use serde_json::{Value, json};

use super::Console;
use super::inspect::role_letter;
use super::target::{Fit, resolve};
use crate::console::language::answer::Answer;
use crate::console::language::directive::Target;
use crate::lab::{Lab, LogView};
use crate::types::{LogIndex, NodeId, Term};

/// Entries that are shown when nobody looks at a terminal and nobody said how many.
const ENTRIES: usize = 20;

/// Columns before the first cell.
const MARGIN: usize = 6;

/// A row of the matrix.
struct Row {
    node: NodeId,
    letter: char,
    /// None of a node whose log is not to be seen.
    log: Option<LogView>,
}

impl<L: Lab> Console<L> {
    /// The matrix of these nodes' logs, the last entries of them.
    pub(super) fn log(&mut self, target: Option<&Target>, last: Option<usize>) -> Answer {
        let picture = self.picture();
        let nodes = match resolve(target.unwrap_or(&Target::All), Fit::Any, &picture, &mut self.random) {
            Ok(nodes) => nodes,
            Err(reason) => return Answer::failed("log", reason),
        };
        let mut rows = Vec::new();
        for node in nodes {
            let letter = picture.view(node).map_or('?', role_letter);
            rows.push(Row { node, letter, log: self.lab.log(node).ok() });
        }
        // What differs is measured against the leader, and without one against nobody.
        let base = picture.leader().and_then(|leader| self.lab.log(leader).ok());
        let text = draw(&rows, base.as_ref(), last, self.surroundings.columns);
        let details: Vec<Value> = rows.iter().map(row_json).collect();
        Answer::ok("log", text).with("nodes", details)
    }
}

fn draw(rows: &[Row], base: Option<&LogView>, last: Option<usize>, columns: Option<usize>) -> String {
    let logs = || rows.iter().filter_map(|row| row.log.as_ref());
    let end = logs().map(last_index).max().unwrap_or_default();
    if end == LogIndex(0) {
        let lines: Vec<String> = rows.iter().map(|row| row_text(row, "no entries")).collect();
        return lines.join("\n");
    }
    let terms = logs().flat_map(|log| &log.terms).map(|term| digits(term.0));
    let width = terms.chain([digits(end.0)]).max().unwrap_or(1);
    let fitting = columns.map_or(ENTRIES, |columns| (columns.saturating_sub(MARGIN) / (width + 2)).max(1));
    let window = u64::try_from(last.unwrap_or(fitting)).unwrap_or(u64::MAX);
    let begin = end.0.saturating_sub(window) + 1;
    let indexes = || (begin..=end.0).map(LogIndex);
    let head: Vec<String> = indexes().map(|index| format!(" {index:>width$} ")).collect();
    let mut lines = vec![format!("{:MARGIN$}{}", "", head.concat())];
    let (mut conflicts, mut covered, mut missing) = (false, false, false);
    for row in rows {
        let Some(log) = &row.log else {
            lines.push(row_text(row, "not to be seen: it is down or paused"));
            continue;
        };
        let mut cells = Vec::new();
        for index in indexes() {
            let cell = cell(log, index);
            let wrong =
                matches!(cell, Cell::Term(term) if base.is_some_and(|base| differs(base, index, term)));
            conflicts |= wrong;
            let kept = cell != Cell::Covered && index <= log.snapshot.index;
            covered |= cell == Cell::Covered || kept;
            missing |= cell == Cell::Missing;
            let mark = match (wrong, kept) {
                (true, _) => '!',
                (false, true) => 's',
                (false, false) => ' ',
            };
            let end = if index == log.commit { '|' } else { ' ' };
            cells.push(format!("{mark}{:>width$}{end}", cell.text()));
        }
        lines.push(row_text(row, &cells.concat()));
    }
    let mut legend = vec!["| committed up to here"];
    legend.extend(conflicts.then_some("! not the leader's term"));
    legend.extend(missing.then_some(". no entry"));
    legend.extend(covered.then_some("s covered by the snapshot"));
    lines.push(format!("{:MARGIN$} {}", "", legend.join("   ")));
    lines.into_iter().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

fn row_text(row: &Row, cells: &str) -> String {
    let name = format!("{} {}", row.node, row.letter);
    format!("{name:MARGIN$}{cells}")
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Term(Term),
    Covered,
    Missing,
}

impl Cell {
    fn text(self) -> String {
        match self {
            Cell::Term(term) => term.to_string(),
            Cell::Covered => "s".to_string(),
            Cell::Missing => ".".to_string(),
        }
    }
}

fn cell(log: &LogView, index: LogIndex) -> Cell {
    match index.0.checked_sub(log.base.index.0 + 1) {
        None => Cell::Covered,
        Some(at) => {
            let term = usize::try_from(at).ok().and_then(|at| log.terms.get(at));
            term.map_or(Cell::Missing, |term| Cell::Term(*term))
        }
    }
}

/// An entry beyond the leader's log differs too: it will be overwritten.
fn differs(base: &LogView, index: LogIndex, term: Term) -> bool {
    match cell(base, index) {
        Cell::Term(leaders) => leaders != term,
        Cell::Missing => true,
        Cell::Covered => false,
    }
}

fn last_index(log: &LogView) -> LogIndex {
    LogIndex(log.base.index.0 + log.terms.len() as u64)
}

fn digits(number: u64) -> usize {
    number.to_string().len()
}

fn row_json(row: &Row) -> Value {
    match &row.log {
        None => json!({"node": row.node, "down": true}),
        Some(log) => {
            let (base, snapshot) = (log.base.index, log.snapshot.index);
            json!({"node": row.node, "base": base, "snapshot": snapshot, "terms": log.terms, "commit": log.commit})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EntryId;

    fn log(terms: &[u64], commit: u64) -> LogView {
        let terms = terms.iter().copied().map(Term).collect();
        LogView { base: EntryId::ZERO, snapshot: EntryId::ZERO, terms, commit: LogIndex(commit) }
    }

    fn row(node: u8, letter: char, log: Option<LogView>) -> Row {
        Row { node: NodeId::new(node), letter, log }
    }

    #[test]
    fn figure_7_is_drawn_with_its_conflicts_and_holes() {
        let leader = log(&[1, 1, 2, 10], 3);
        let rows = [
            row(1, 'L', Some(leader.clone())),
            row(2, 'F', Some(log(&[1, 1, 1, 1, 1], 2))),
            row(3, 'x', None),
        ];
        assert_eq!(
            draw(&rows, Some(&leader), None, Some(80)),
            "        1   2   3   4   5\n\
             n1 L    1   1   2| 10   .\n\
             n2 F    1   1|! 1 ! 1 ! 1\n\
             n3 x  not to be seen: it is down or paused\n\
             \x20      | committed up to here   ! not the leader's term   . no entry"
        );
    }

    #[test]
    fn a_window_shows_the_last_entries_and_what_a_snapshot_covers() {
        let mut compacted = log(&[3, 3], 5);
        compacted.base = EntryId::new(Term(2), LogIndex(3));
        compacted.snapshot = EntryId::new(Term(3), LogIndex(4));
        let rows = [row(1, 'F', Some(compacted)), row(2, 'F', Some(log(&[1, 1, 2], 0)))];
        assert_eq!(
            draw(&rows, None, Some(3), None),
            "       3  4  5\nn1 F   s s3  3|\nn2 F   2  .  .\n\
             \x20      | committed up to here   . no entry   s covered by the snapshot"
        );
        assert_eq!(draw(&[row(1, 'F', Some(log(&[], 0)))], None, None, None), "n1 F  no entries");
    }
}
