//! How keys, values and other texts of clients are shown to people: the one place that decides what stands as it is.
//!
//! A text may hold anything, and what shows it stands among our own words on a terminal. So nothing that steers a
//! terminal or the direction of writing leaves unescaped, and a text that could be read as something else, or as
//! nothing, stands in quotes. The console reads each of these forms back, except those that are shortened.

use std::borrow::Cow;
use std::fmt::Write;

/// How many letters of a key or value an answer shows. `--json` gives all.
pub const ANSWER_LETTERS: usize = 1_000;

/// The same where many of them stand side by side or inside a sentence.
pub const CELL_LETTERS: usize = 40;

/// The text as one word of a line: as it is, or in double quotes when it would be read as something else.
pub fn word(text: &str) -> Cow<'_, str> {
    let reserved = text.is_empty() || text.starts_with(['#', '@', '"', '\'']) || text.starts_with("--");
    if reserved || text.contains(|letter| !is_plain(letter)) {
        Cow::Owned(quote(text))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text in double quotes, with everything escaped that would not be visible on one line.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' ' => quoted.push(' '),
            _ => push_visible(&mut quoted, letter),
        }
    }
    quoted.push('"');
    quoted
}

/// As [`word`], cut after `letters` letters: `"a b"... (2000 bytes)`.
pub fn brief(text: &str, letters: usize) -> Cow<'_, str> {
    cut_as(text, letters, word)
}

/// As [`brief`], in quotes also if it is one of the words that mean something where it is to stand.
pub fn brief_beside<'a>(text: &'a str, letters: usize, words: &[&str]) -> Cow<'a, str> {
    if words.contains(&text) { Cow::Owned(quote(text)) } else { brief(text, letters) }
}

/// `key=value`, each cut after `letters` letters.
pub fn pair(key: &str, value: &str, letters: usize) -> String {
    format!("{}={}", key_before_equals(key, letters), brief(value, letters))
}

/// As [`brief`], for a key that a `=` follows: in quotes also if it holds one itself.
pub fn key_before_equals(key: &str, letters: usize) -> Cow<'_, str> {
    cut_as(key, letters, |key| if key.contains('=') { Cow::Owned(quote(key)) } else { word(key) })
}

/// As [`quote`], cut after `letters` letters.
pub fn quote_brief(text: &str, letters: usize) -> Cow<'_, str> {
    cut_as(text, letters, |text| Cow::Owned(quote(text)))
}

/// As [`visible`], cut after `letters` letters.
pub fn visible_brief(sentence: &str, letters: usize) -> Cow<'_, str> {
    cut_as(sentence, letters, visible)
}

fn cut_as<'a>(text: &'a str, letters: usize, form: impl FnOnce(&'a str) -> Cow<'a, str>) -> Cow<'a, str> {
    match text.char_indices().nth(letters) {
        None => form(text),
        Some((end, _)) => Cow::Owned(format!("{}... ({} bytes)", form(&text[..end]), text.len())),
    }
}

/// A sentence that may repeat a text of somebody else's: letters that would not be visible on one line are escaped.
pub fn visible(sentence: &str) -> Cow<'_, str> {
    let stands = |letter| is_plain(letter) || letter == ' ';
    if sentence.chars().all(stands) {
        return Cow::Borrowed(sentence);
    }
    let mut shown = String::with_capacity(sentence.len() + 16);
    for letter in sentence.chars() {
        if stands(letter) { shown.push(letter) } else { push_visible(&mut shown, letter) }
    }
    Cow::Owned(shown)
}

/// A text of JSON with the same meaning that a terminal shows as it is. JSON itself escapes only half of what steers one.
pub fn visible_json(json: String) -> String {
    let stands = |letter| is_plain(letter) || letter == ' ';
    if json.chars().all(stands) {
        return json;
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if stands(letter) {
            shown.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a string takes all that is written");
            }
        }
    }
    shown
}

/// Whether a letter can be seen for what it is: no space, nothing that steers a terminal or the direction of
/// writing.
pub fn is_plain(letter: char) -> bool {
    let steers = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !steers && !letter.is_control() && !letter.is_whitespace()
}

fn push_visible(shown: &mut String, letter: char) {
    match letter {
        '\n' | '\t' | '\r' => shown.extend(letter.escape_default()),
        _ if is_plain(letter) => shown.push(letter),
        _ => shown.extend(letter.escape_unicode()),
    }
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=.,/:%@+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_only_where_needed() {
        for plain in ["x", "5", "-5", "a#b", "it's", "é", "a=b", r"a\b"] {
            assert_eq!(word(plain), plain);
        }
        for (text, quoted) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("#1", r##""#1""##),
            ("@n2", r#""@n2""#),
            ("--x", r#""--x""#),
            ("\"", r#""\"""#),
            ("a\n\u{1b}\\", r#""a\n\u{1b}\\""#),
            ("\u{202e}abc", r#""\u{202e}abc""#),
            ("\u{9b}31m", r#""\u{9b}31m""#),
        ] {
            assert_eq!(word(text), quoted);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_its_length_said() {
        assert_eq!(brief("abcdef", 6), "abcdef");
        assert_eq!(brief("abcdefg", 6), "abcdef... (7 bytes)");
        assert_eq!(brief("a\nbcd", 3), "\"a\\nb\"... (5 bytes)");
        assert_eq!(brief(&"é".repeat(1 << 20), 2), "éé... (2097152 bytes)");
    }

    #[test]
    fn what_means_something_where_it_stands_is_quoted() {
        assert_eq!(pair("a=b", "c=d", 40), "\"a=b\"=c=d");
        assert_eq!(pair("a b", "", 40), "\"a b\"=\"\"");
        assert_eq!(brief_beside("absent", 40, &["absent"]), "\"absent\"");
        assert_eq!(brief_beside("present", 40, &["absent"]), "present");
    }

    #[test]
    fn no_letter_that_steers_a_terminal_is_left() {
        let text = "a\u{1b}[2J\n\u{9b}\u{202e}\u{7f}\u{e0041}é";
        let json = serde_json::to_string(text).expect("a text");
        for shown in [visible(text).into_owned(), visible_json(json.clone()), quote(text)] {
            assert!(shown.chars().all(is_plain), "{shown:?}");
        }
        assert_eq!(visible(text), r"a\u{1b}[2J\n\u{9b}\u{202e}\u{7f}\u{e0041}é");
        let back: String = serde_json::from_str(&visible_json(json)).expect("still JSON");
        assert_eq!(back, text);
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_change_it() {
        for (word, shown) in [
            ("3", "3"),
            ("--at", "--at"),
            ("crash leader", "'crash leader'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), shown);
        }
    }
}
