//! How answers are laid out for people: tables, wrapped text, durations.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::units::decimal;

/// On which side a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// The rows as lines: each column as wide as its widest cell, two spaces between columns, no spaces at the end.
///
/// The first row may be a header; it is aligned as the rest. A column beyond `aligns` is aligned left; a row may
/// be shorter than others.
pub fn table(rows: &[Vec<String>], aligns: &[Align]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
    let widths: Vec<usize> = (0..columns).filter_map(width_of).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let space = " ".repeat(widths[column] - width(cell));
            match aligns.get(column) {
                Some(Align::Right) => format!("{space}{cell}"),
                _ => format!("{cell}{space}"),
            }
        });
        let cells: Vec<String> = cells.collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// Words side by side, column by column, in lines of at most this many columns; of more than `count` words the rest is
/// counted.
pub fn listed(words: &[String], columns: usize, count: usize) -> Vec<String> {
    const BETWEEN: usize = 2;
    let shown = &words[..words.len().min(count)];
    let widest = shown.iter().map(|word| width(word)).max().unwrap_or(0) + BETWEEN;
    let side_by_side = ((columns + BETWEEN) / widest).max(1);
    let height = shown.len().div_ceil(side_by_side);
    let row = |at: usize| shown.iter().skip(at).step_by(height.max(1)).cloned().collect();
    let rows: Vec<Vec<String>> = (0..height).map(row).collect();
    let mut lines = table(&rows, &[]);
    lines.extend((words.len() > count).then(|| format!("... {} more", words.len() - count)));
    lines
}

/// The text in lines of at most this many columns; a longer word has a line of its own.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// How long something took, with as many digits as a person reads: `21 us`, `3.1 ms`, `312 ms`, `12.4 s`,
/// `2 min 5 s`.
pub fn duration_shown(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let tenths = |micros: u64, unit: u64| decimal(micros.saturating_add(unit / 20) / (unit / 10), 1);
    match micros {
        0..100 => format!("{micros} us"),
        100..99_950 => format!("{} ms", tenths(micros, 1_000)),
        99_950..999_500 => format!("{} ms", (micros + 500) / 1_000),
        999_500..119_950_000 => format!("{} s", tenths(micros, 1_000_000)),
        _ => {
            let seconds = micros.saturating_add(500_000) / 1_000_000;
            match seconds {
                0..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
                _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
            }
        }
    }
}

/// A moment of a run before what happened: `[1.250]`, in seconds.
pub fn stamp(since_start: Duration) -> String {
    let millis = since_start.as_millis();
    format!("[{}.{:03}]", millis / 1_000, millis % 1_000)
}

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text in at most this many columns, with `...` where something is left out.
pub fn cut(text: &str, columns: usize) -> String {
    const LEFT_OUT: &str = "...";
    if width(text) <= columns {
        return text.to_string();
    }
    let room = columns.saturating_sub(LEFT_OUT.len());
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.width().unwrap_or(0);
        taken <= room
    };
    text.chars().take_while(fits).collect::<String>() + LEFT_OUT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = rows(&[&["NODE", "TERM", "VOTED"], &["n1", "4", "n2"], &["日", "12"], &[]]);
        assert_eq!(
            table(&rows, &[Align::Left, Align::Right]),
            ["NODE  TERM  VOTED", "n1       4  n2", "日      12", ""]
        );
        assert!(table(&[], &[]).is_empty());
    }

    #[test]
    fn words_stand_side_by_side_as_many_as_fit() {
        let words: Vec<String> = ["n1", "n2", "n3", "leader", "all"].map(String::from).to_vec();
        assert_eq!(listed(&words, 80, 9), ["n1  n2  n3  leader  all"]);
        assert_eq!(listed(&words, 22, 9), ["n1  n3      all", "n2  leader"]);
        assert_eq!(listed(&words, 22, 2), ["n1  n2", "... 3 more"]);
        assert_eq!(listed(&words[..2], 1, 9), ["n1", "n2"]);
        assert!(listed(&[], 80, 9).is_empty());
    }

    #[test]
    fn a_text_is_cut_where_it_has_no_room() {
        assert_eq!(cut("one two", 7), "one two");
        assert_eq!(cut("one two", 6), "one...");
        assert_eq!(cut("日本語", 5), "日...");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinary a", 5), ["extraordinary", "a"]);
    }

    #[test]
    fn durations_have_the_digits_that_people_read() {
        for (micros, shown) in [
            (0, "0 us"),
            (21, "21 us"),
            (99, "99 us"),
            (200, "0.2 ms"),
            (3_149, "3.1 ms"),
            (3_000, "3 ms"),
            (99_960, "100 ms"),
            (312_400, "312 ms"),
            (999_700, "1 s"),
            (2_000_000, "2 s"),
            (12_440_000, "12.4 s"),
            (125_000_000, "2 min 5 s"),
            (7_500_000_000, "2 h 5 min"),
        ] {
            assert_eq!(duration_shown(Duration::from_micros(micros)), shown);
        }
        assert!(!duration_shown(Duration::MAX).is_empty());
    }
}
