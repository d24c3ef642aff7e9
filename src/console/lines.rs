//! Reads a script line by line: a line that is too long or no text is an error of that line, and
//! is never held in memory as a whole.

use std::io::{self, BufRead};

use super::language::LINE_BYTES_MAX;

/// The next line without its end, or what is wrong with it; none at the end of the input.
///
/// # Errors
/// The input cannot be read.
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<String, String>>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let read = io::Read::take(&mut *input, most).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    let ended = bytes.last() == Some(&b'\n');
    if !ended && bytes.len() > LINE_BYTES_MAX {
        skip_line(input)?;
        return Ok(Some(Err(format!("the line is longer than {LINE_BYTES_MAX} bytes: write a shorter one"))));
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Some(String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        format!("the line is not UTF-8 text at byte {at}: save it as UTF-8")
    })))
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        let (length, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), available.is_empty()),
        };
        input.consume(length);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn all(input: impl Into<Vec<u8>>) -> Vec<Result<String, String>> {
        let mut input = Cursor::new(input.into());
        std::iter::from_fn(|| next_line(&mut input).expect("memory can be read")).collect()
    }

    #[test]
    fn lines_come_without_their_ends() {
        let line = |text: &str| Ok(text.to_string());
        assert_eq!(all("a\r\n\nb"), [line("a"), line(""), line("b")]);
        assert!(all("").is_empty());
    }

    #[test]
    fn a_wrong_line_spoils_no_other() {
        let mut input = b"a\n\xff\n".to_vec();
        input.extend(vec![b'x'; LINE_BYTES_MAX + 10]);
        input.extend(b"\nb\n");
        let lines = all(input);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].as_ref().is_err_and(|error| error.contains("not UTF-8")), "{:?}", lines[1]);
        assert!(lines[2].as_ref().is_err_and(|error| error.contains("longer than")), "{:?}", lines[2]);
        assert_eq!(lines[3], Ok("b".to_string()));
    }
}
