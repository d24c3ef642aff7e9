//! A picture on a terminal: as many rows as it takes there, so that it can be erased and drawn again in place.

use unicode_width::UnicodeWidthChar;

/// What stands on the screen, the cursor below it.
#[derive(Debug)]
pub(super) struct Drawn {
    text: String,
    rows: usize,
}

impl Drawn {
    /// What there is room for of this text. A row stays free, for the cursor.
    pub(super) fn new(text: &str, columns: usize, rows: usize) -> Drawn {
        let room = rows.saturating_sub(1).max(1);
        let taken = |line: &&str| rows_of(line, columns);
        let mut shown: Vec<&str> = text.lines().collect();
        let count = shown.len();
        let mut needed: usize = shown.iter().map(taken).sum();
        // What is left out is said, in a row.
        while needed + usize::from(shown.len() < count) > room && shown.len() > 1 {
            needed -= shown.pop().as_ref().map_or(0, taken);
        }
        let left_out = count - shown.len();
        let rest = (left_out > 0).then(|| format!("... {left_out} more\n"));
        let text: String = shown.iter().flat_map(|line| [line, "\n"]).chain(rest.as_deref()).collect();
        needed += usize::from(rest.is_some());
        Drawn { text, rows: needed }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What removes it from the screen.
    pub(super) fn erased(&self) -> String {
        match self.rows {
            0 => String::new(),
            rows => format!("\r\x1b[{rows}A\x1b[J"),
        }
    }
}

/// The rows that a line takes. Colors take no columns.
fn rows_of(line: &str, columns: usize) -> usize {
    let mut letters = line.chars();
    let mut width = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => drop(letters.by_ref().find(char::is_ascii_alphabetic)),
            letter => width += letter.width().unwrap_or(0),
        }
    }
    width.div_ceil(columns).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::painted;

    #[test]
    fn a_picture_is_erased_by_the_rows_that_it_takes() {
        let rows = |text: &str, columns| Drawn::new(text, columns, 24).rows;
        assert_eq!(rows("one\ntwo", 80), 2);
        assert_eq!(rows(&format!("one\n\n{}", "x".repeat(21)), 10), 5);
        assert_eq!(rows(&painted("0123456789", "31;1"), 10), 1, "colors take no columns");
        assert_eq!(Drawn::new("one\ntwo", 80, 24).erased(), "\r\x1b[2A\x1b[J");
        assert_eq!(Drawn::new("", 80, 24).erased(), "");
    }

    #[test]
    fn what_the_screen_has_no_room_for_is_left_out_and_counted() {
        let text = (1..=9).map(|row| row.to_string()).collect::<Vec<_>>().join("\n");
        let drawn = Drawn::new(&text, 80, 5);
        assert_eq!((drawn.text(), drawn.rows), ("1\n2\n3\n... 6 more\n", 4));
        let whole = Drawn::new(&text, 80, 10);
        assert_eq!((whole.text(), whole.rows), (format!("{text}\n").as_str(), 9));
    }
}
