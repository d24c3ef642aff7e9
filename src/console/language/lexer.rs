//! A line's words: quotes, escapes and comments.
//!
//! A quote opens a quoted word only where a word begins, so `it's` is a plain word. A `#` begins a comment only
//! there too, so `a#b` is a word. [`word`](crate::quoting::word) is the inverse: it quotes a text where that is needed.

use super::error::ParseError;
use crate::text::shorten;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The text, without quotes and with escapes resolved.
    pub text: String,
    /// Whether it stood in quotes: then it is never an option or a comment.
    pub quoted: bool,
    /// The byte of the line at which it begins, its quote included.
    pub start: usize,
    pub end: usize,
}

/// What a line consists of, as far as it could be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// The words; the last may be unfinished when there is an error.
    pub words: Vec<Word>,
    pub comment: bool,
    /// Why reading ended before the line did.
    pub error: Option<ParseError>,
}

/// Splits a line into words. Never panics.
pub fn split(line: &str) -> Split {
    let mut split = Split::default();
    // Some editors begin a file with a byte order mark; it is no part of the first verb.
    let first = line.len() - line.trim_start_matches('\u{feff}').len();
    let mut reader = Reader { line, position: first };
    loop {
        reader.skip(char::is_whitespace);
        match reader.peek() {
            None => return split,
            Some('#') => {
                split.comment = true;
                return split;
            }
            Some('"' | '\'') => split.error = reader.quoted(&mut split.words).err(),
            Some(_) => split.words.push(reader.plain()),
        }
        if split.error.is_some() {
            return split;
        }
    }
}

struct Reader<'a> {
    line: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.line[self.position..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.position += letter.len_utf8();
        Some(letter)
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&unwanted) {
            self.take();
        }
    }

    fn plain(&mut self) -> Word {
        let start = self.position;
        self.skip(|letter| !letter.is_whitespace());
        let text = self.line[start..self.position].to_string();
        Word { text, quoted: false, start, end: self.position }
    }

    /// Reads a quoted word; an unfinished one is kept too, for completion.
    fn quoted(&mut self, words: &mut Vec<Word>) -> Result<(), ParseError> {
        let start = self.position;
        let mark = self.take().expect("called at a quote");
        let mut text = String::new();
        let read = self.quoted_text(mark, &mut text);
        words.push(Word { text, quoted: true, start, end: self.position });
        read?;
        match self.peek() {
            Some(letter) if !letter.is_whitespace() => {
                let mark = if letter == '\'' { '"' } else { '\'' };
                let letter = shorten(&letter.to_string());
                let advice = format!("put a space after the closing quote, before {mark}{letter}{mark}");
                Err(ParseError::new(advice))
            }
            _ => Ok(()),
        }
    }

    fn quoted_text(&mut self, mark: char, text: &mut String) -> Result<(), ParseError> {
        loop {
            match self.take() {
                Some(letter) if letter == mark => return Ok(()),
                Some('\\') if mark == '"' => text.push(self.escaped()?),
                Some(letter) => text.push(letter),
                None => return Err(ParseError::new(format!("a quote is not closed: add {mark} at its end"))),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, ParseError> {
        match self.take() {
            Some(letter @ ('"' | '\\' | '\'')) => Ok(letter),
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('u') => self.escaped_code(),
            _ => Err(ParseError::new(
                r#"unknown escape in double quotes: write \\ \" \n \t \r or \u{7f}, or use single quotes"#,
            )),
        }
    }

    fn escaped_code(&mut self) -> Result<char, ParseError> {
        let rest = &self.line[self.position..];
        let code = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(digits, _)| digits);
        let letter = code
            .filter(|digits| digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        match (letter, code) {
            (Some(letter), Some(digits)) => {
                self.position += digits.len() + 2;
                Ok(letter)
            }
            _ => Err(ParseError::new(r"\u needs a character's number in braces, such as \u{e9}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quoting::word;

    fn texts(line: &str) -> Vec<String> {
        let split = split(line);
        assert_eq!(split.error, None, "{line}");
        split.words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_split_at_spaces_outside_quotes() {
        assert_eq!(texts("  create x  5\t"), ["create", "x", "5"]);
        assert_eq!(texts(r#"put "a b" 'c "d" \n' "" "#), ["put", "a b", r#"c "d" \n"#, ""]);
        assert_eq!(texts(r#""say \"hi\"\n\t\u{e9}\\""#), ["say \"hi\"\n\té\\"]);
        assert_eq!(texts("it's n1>n3 a=\"b\""), ["it's", "n1>n3", "a=\"b\""]);
        assert_eq!(texts("\u{feff}status\r\n"), ["status"]);
    }

    #[test]
    fn a_comment_begins_where_a_word_could() {
        assert_eq!(texts("status # who leads?"), ["status"]);
        assert_eq!(texts("create a#b '#c' #d"), ["create", "a#b", "#c"]);
        assert_eq!(texts("# nothing"), Vec::<String>::new());
        assert!(split("x #").comment);
    }

    #[test]
    fn a_wrong_quote_says_what_to_do() {
        let error = |line: &str| split(line).error.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error("put x \"a b"), "a quote is not closed: add \" at its end");
        assert_eq!(error("put x 'a"), "a quote is not closed: add ' at its end");
        assert_eq!(error("put x 'a'b"), "put a space after the closing quote, before 'b'");
        assert_eq!(error("put x 'a''"), "put a space after the closing quote, before \"'\"");
        assert!(error(r#"put x "\q""#).starts_with("unknown escape"));
        assert!(error(r#"put x "\u{110000}""#).contains("a character's number"));
        assert!(error(r#"put x "\u41""#).contains("a character's number"));
    }

    #[test]
    fn a_quoted_word_is_read_back() {
        for text in
            ["", "a b", "#1", "@n2", "--x", "\"", "it's", "a\n\t\r\u{1b}\\", "\u{202e}abc", "\u{e0041}"]
        {
            assert_eq!(texts(&word(text)), [text]);
        }
    }
}
