//! Tables that fit a terminal, so that no row is broken where the eye does not expect it.

use super::layout::{Align, table, width, wrap};

/// The columns that a wrapped column keeps at least, if its cells need as many.
const WRAPPED_MIN: usize = 16;

/// Columns between two columns of a table.
const BETWEEN: usize = 2;

/// A column of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: &'static str,
    pub align: Align,
    /// Where there is no room, those with the highest number are left out first; none: it stays.
    pub spare: Option<u8>,
}

/// A table that fits, and the names of the columns that it was left without.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fitted {
    pub lines: Vec<String>,
    pub left_out: Vec<&'static str>,
}

/// The rows under the names of their columns, at most this wide, if the first column leaves room for that: some columns are
/// left out, the last one is wrapped, and what still has no room stands in a table below.
pub fn fitted(columns: &[Column], rows: &[Vec<String>], within: Option<usize>) -> Fitted {
    let within = within.unwrap_or(usize::MAX);
    let mut table = Cells { columns: columns.to_vec(), rows: rows.to_vec() };
    let mut left_out = Vec::new();
    while together(&table.widths_at_least()) > within
        && let Some(at) = table.most_sparable()
    {
        left_out.push(table.remove(at));
    }
    Fitted { lines: table.lines(within), left_out }
}

struct Cells {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Cells {
    fn widths(&self) -> Vec<usize> {
        let cells = |at: usize| self.rows.iter().map(move |row| width(&row[at]));
        let columns = self.columns.iter().enumerate();
        columns.map(|(at, column)| cells(at).max().unwrap_or(0).max(column.name.len())).collect()
    }

    /// How wide the columns are when the last one is wrapped.
    fn widths_at_least(&self) -> Vec<usize> {
        let mut widths = self.widths();
        if let Some(last) = widths.last_mut() {
            *last = (*last).min(WRAPPED_MIN);
        }
        widths
    }

    fn most_sparable(&self) -> Option<usize> {
        let sparable = self.columns.iter().enumerate().filter_map(|(at, column)| Some((column.spare?, at)));
        sparable.max().map(|(_, at)| at)
    }

    fn remove(&mut self, at: usize) -> &'static str {
        self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
        self.columns.remove(at).name
    }

    /// As one table, or as several that all begin with the first column.
    fn lines(&self, within: usize) -> Vec<String> {
        let widths = self.widths_at_least();
        let mut blocks: Vec<Vec<usize>> = vec![vec![0]];
        for at in 1..self.columns.len() {
            let block = blocks.last_mut().expect("begun with one");
            let taken: Vec<usize> = block.iter().chain([&at]).map(|at| widths[*at]).collect();
            if together(&taken) <= within || block.len() == 1 {
                block.push(at);
            } else {
                blocks.push(vec![0, at]);
            }
        }
        blocks.iter().flat_map(|block| self.block(block, within)).collect()
    }

    /// A table of some columns. The last one of all is wrapped to what is left.
    fn block(&self, columns: &[usize], within: usize) -> Vec<String> {
        let cells = |row: &Vec<String>| columns.iter().map(|at| row[*at].clone()).collect();
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        if columns.last() == Some(&(self.columns.len() - 1)) {
            let widths = self.widths();
            let others: Vec<usize> = columns.iter().rev().skip(1).map(|at| widths[*at]).collect();
            let room = within.saturating_sub(together(&others) + BETWEEN).max(WRAPPED_MIN);
            rows = rows.into_iter().flat_map(|row| wrapped(row, room)).collect();
        }
        let head = columns.iter().map(|at| self.columns[*at].name.to_string()).collect();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let aligns: Vec<Align> = columns.iter().map(|at| self.columns[*at].align).collect();
        table(&rows, &aligns)
    }
}

/// A row in as many as its last cell takes.
fn wrapped(mut row: Vec<String>, room: usize) -> Vec<Vec<String>> {
    let last = row.pop().unwrap_or_default();
    let mut rows = Vec::new();
    for part in wrap(&last, room) {
        rows.push(row.iter().cloned().chain([part]).collect());
        row.iter_mut().for_each(String::clear);
    }
    rows
}

/// The width of columns side by side.
fn together(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + BETWEEN * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { name: "NODE", align: Align::Left, spare: None },
        Column { name: "TERM", align: Align::Right, spare: Some(1) },
        Column { name: "KEYS", align: Align::Right, spare: Some(2) },
        Column { name: "LINKS", align: Align::Left, spare: None },
    ];

    fn rows(rows: &[[&str; 4]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.map(String::from).to_vec()).collect()
    }

    #[test]
    fn a_table_with_room_is_whole() {
        let rows = rows(&[["n1", "4", "12", "no n2 n3, drop"]]);
        let whole = ["NODE  TERM  KEYS  LINKS", "n1       4    12  no n2 n3, drop"];
        for within in [None, Some(32)] {
            assert_eq!(fitted(&COLUMNS, &rows, within).lines, whole);
        }
    }

    #[test]
    fn columns_are_spared_in_their_order_and_named() {
        let rows = rows(&[["n1", "4", "12", "no n2 n3, drop"]]);
        let narrow = fitted(&COLUMNS, &rows, Some(31));
        assert_eq!(narrow.lines, ["NODE  TERM  LINKS", "n1       4  no n2 n3, drop"]);
        assert_eq!(narrow.left_out, ["KEYS"]);
        assert_eq!(fitted(&COLUMNS, &rows, Some(24)).left_out, ["KEYS", "TERM"]);
    }

    #[test]
    fn a_long_last_column_is_wrapped() {
        let rows = rows(&[["n1", "4", "1", "no n2 n3 n4 n5, drop, delay"], ["n2", "4", "1", "ok"]]);
        let narrow = fitted(&COLUMNS, &rows, Some(38));
        assert_eq!(
            narrow.lines,
            [
                "NODE  TERM  KEYS  LINKS",
                "n1       4     1  no n2 n3 n4 n5,",
                "                  drop, delay",
                "n2       4     1  ok",
            ]
        );
    }

    #[test]
    fn what_cannot_be_spared_stands_below() {
        let columns = COLUMNS.map(|column| Column { spare: None, ..column });
        let narrow = fitted(&columns, &rows(&[["n1", "4", "12", "ok"]]), Some(16));
        assert_eq!(narrow.lines, ["NODE  TERM  KEYS", "n1       4    12", "NODE  LINKS", "n1    ok"]);
        assert!(narrow.left_out.is_empty());
        let long = [["n1", "4", "12", "no n2 n3 n4 n5, drop"].map(String::from).to_vec()];
        let narrow = fitted(&columns, &long, Some(22));
        assert_eq!(
            narrow.lines,
            ["NODE  TERM  KEYS", "n1       4    12", "NODE  LINKS", "n1    no n2 n3 n4 n5,", "      drop"]
        );
        assert_eq!(fitted(&columns, &[], Some(1)).lines.len(), 3, "however narrow");
    }
}
