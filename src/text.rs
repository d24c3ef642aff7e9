//! Words for people, made of numbers and names: tables, quantities, plurals, near misses.
//!
//! Pure, and below everything else, so that settings, directives and reports read and write quantities alike.

pub mod fitted;
pub mod hex;
pub mod layout;
pub mod nodes;
pub mod numbers;
pub mod suggest;
pub mod units;

use std::fmt;

use crate::quoting::visible;

/// The longest piece of a person's text that an error repeats.
const SHOWN_MAX: usize = 40;

/// `1 key`, `2 keys`, `10,000 keys`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", numbers::grouped(count as u64))
}

/// What the system says of an error, without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_string()
}

/// The items' texts with this between them.
pub fn joined<T: fmt::Display>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// The text in a style of a terminal: `1` is bold, `2` dim, `31` red.
pub fn painted(text: impl fmt::Display, style: impl fmt::Display) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}

/// A person's text, fit to stand in an error of one line: cut when long, with control characters made visible.
pub fn shorten(text: &str) -> String {
    shorten_to(text, SHOWN_MAX)
}

/// As [`shorten`], cut after this many letters.
pub fn shorten_to(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        None => visible(text).into_owned(),
        Some((end, _)) => format!("{}...", visible(&text[..end])),
    }
}

/// The text with the letters escaped that mean something in HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_errors_is_short_and_on_one_line() {
        assert_eq!(shorten("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(shorten(&"x".repeat(10_000_000)).len(), SHOWN_MAX + 3);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "key"), "1 key");
        assert_eq!(counted(0, "key"), "0 keys");
    }
}
