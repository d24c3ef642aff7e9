//! A reader of Rust text that knows just enough for the rules: names without comments and strings, and the paths
//! that a file mentions, with `super` and braces resolved. It must never need the text to compile.

/// A name or a sign, with its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    /// The name, or one sign; `::` counts as one.
    pub text: &'a str,
    /// From 1.
    pub line: usize,
}

/// A path from its root, such as `crate::raft::log` or `std::fs`, with its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mention {
    /// The names along the path.
    pub path: Vec<String>,
    /// From 1.
    pub line: usize,
}

impl Mention {
    /// Whether the path begins with these names.
    pub fn starts_with(&self, names: &[&str]) -> bool {
        self.path.len() >= names.len() && self.path.iter().zip(names).all(|(here, name)| here == name)
    }
}

/// The text with comments, strings and characters blanked out; every line stays where it is.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !follows_name(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'b' if !follows_name(bytes, at) && bytes[at..].starts_with(b"br") => {
                raw_string_end(bytes, at + 1).unwrap_or(at)
            }
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut kept[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The code above the unit tests, which stand at the end of a file.
pub fn without_tests(code: &str) -> &str {
    let tests = code.match_indices("#[cfg(test)]").find(|(at, mark)| {
        let rest = code[at + mark.len()..].trim_start();
        let is_module = rest.starts_with("mod ") || rest.starts_with("pub mod ");
        // Behind a module that has a file of its own, the code continues.
        is_module && rest.find(['{', ';']).is_some_and(|end| rest[end..].starts_with('{'))
    });
    tests.map_or(code, |(at, _)| &code[..at])
}

/// The names and signs of a code without comments and strings.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name(first) {
                rest.find(|c| !is_name(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, after) = rest.split_at(length);
            found.push(Token { text, line: number });
            rest = after.trim_start();
        }
    }
    found
}

/// The paths that a code mentions, in the module at `module` (for `src/raft/log.rs`: raft, log). Those that begin with
/// `crate`, `self` or `super` come as `crate::...`; others as they stand. Braces are spread out.
pub fn mentions(tokens: &[Token<'_>], module: &[String]) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut depth = 0;
    // The modules written inside the file, each with the depth of braces around it.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let word = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        match tokens[at].text {
            "mod" if word(2) == "{" => {
                inner.push((word(1).to_string(), depth));
                depth += 1;
                at += 3;
            }
            "{" => {
                depth += 1;
                at += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                inner.retain(|(_, around)| *around < depth);
                at += 1;
            }
            name if name.starts_with(is_name) && word(1) == "::" => {
                let here: Vec<String> =
                    module.iter().cloned().chain(inner.iter().map(|(name, _)| name.clone())).collect();
                let mut spread = Vec::new();
                at = spread_path(tokens, at, &[], &mut spread);
                found.extend(spread.into_iter().map(|mention| from_root(mention, &here)));
            }
            // In `use {std::fs, std::io}` and `use ::log::info` the paths inside are found on their own.
            _ => at += 1,
        }
    }
    found
}

/// Reads the path at `at`, with everything in its braces, and returns where it ends.
fn spread_path(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<Mention>) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens[at].line;
    loop {
        match tokens.get(at).map(|token| token.text) {
            Some("{") => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    at = match token.text {
                        "}" => return at + 1,
                        name if name == "*" || name.starts_with(is_name) => {
                            spread_path(tokens, at, &path, found)
                        }
                        _ => at + 1,
                    };
                }
                return at;
            }
            // `{self}` names what stands before the braces.
            Some("self") if !prefix.is_empty() && path.len() == prefix.len() => at += 1,
            Some(name) if name == "*" || name.starts_with(is_name) => {
                path.push(name.to_string());
                at += 1;
            }
            _ => break,
        }
        match tokens.get(at).map(|token| token.text) {
            Some("::") => at += 1,
            // A new name inside braces is not a path of its own.
            Some("as") if !prefix.is_empty() => {
                at += 2;
                break;
            }
            _ => break,
        }
    }
    found.push(Mention { path, line });
    at
}

fn from_root(mut mention: Mention, here: &[String]) -> Mention {
    let mut module = here.to_vec();
    let mut rest = mention.path.iter().peekable();
    match rest.peek().map(|name| name.as_str()) {
        Some("self") => drop(rest.next()),
        Some("super") => {
            while rest.next_if(|name| *name == "super").is_some() {
                module.pop();
            }
        }
        _ => return mention,
    }
    mention.path = ["crate".to_string()].into_iter().chain(module).chain(rest.cloned()).collect();
    mention
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn follows_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_name(char::from(bytes[at - 1]))
}

/// Where `what` begins at or after `at`; the end if nowhere.
fn find(bytes: &[u8], at: usize, what: &[u8]) -> usize {
    bytes[at..].windows(what.len()).position(|here| here == what).map_or(bytes.len(), |offset| at + offset)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of `r"..."` or `r#"..."#`, if that is what begins at `start`.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(start + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let end = find(bytes, start + 2 + hashes, &close) + close.len();
    Some(end.min(bytes.len()))
}

/// The end of `'x'` or `'\n'`; none if a lifetime begins at `start`.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start + 1)? {
        b'\\' => Some((find(bytes, start + 3, b"'") + 1).min(bytes.len())),
        first => {
            // A character of several bytes is told by its first: as many leading ones as it has bytes.
            let length = first.leading_ones().max(1) as usize;
            (bytes.get(start + 1 + length) == Some(&b'\'')).then_some(start + 2 + length)
        }
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i \" j\"# 'k' '\\'' l<'m> br\"n\" o '\u{e9}' p";
    let code = code_only(text);
    let names: Vec<&str> = tokens(&code).iter().map(|token| token.text).collect();
    assert_eq!(names, ["a", "f", "l", "<", "'", "m", ">", "o", "p"]);
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn paths_are_spread_out_and_resolved() {
    let text = "
        use crate::a::{self, b::{C, d as e}, *};
        use std::{fs, io};
        use super::x;
        mod tests { use super::*; fn f() { crate::y::z(); } }
        use self::w::V;
    ";
    let here = ["m".to_string(), "n".to_string()];
    let found: Vec<String> =
        mentions(&tokens(text), &here).iter().map(|mention| mention.path.join("::")).collect();
    let expected = [
        "crate::a",
        "crate::a::b::C",
        "crate::a::b::d",
        "crate::a::*",
        "std::fs",
        "std::io",
        "crate::m::x",
        "crate::m::n::*",
        "crate::y::z",
        "crate::m::n::w::V",
    ];
    assert_eq!(found, expected);
}
