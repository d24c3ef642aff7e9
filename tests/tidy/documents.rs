//! Whether what the documents name in backticks exists: files, types and functions. Fenced blocks are left alone; they
//! show commands and what these print.

use std::collections::BTreeSet;
use std::path::Path;

use super::tokens::tokens;

/// Folders of the project: a word in backticks that begins with one is a path.
const FOLDERS: &[&str] = &["src/", "tests/", "bin/", "scripts/", "benches/", "examples/", "docs/", ".ci/"];

/// Names in backticks that stand in no source file, each with its reason.
const KNOWN_ELSEWHERE: &[(&str, &str)] =
    &[("InstallSnapshot", "the paper's message of section 7, which the documents call not built yet")];

/// What the code names.
pub struct Code {
    /// Every name that stands in the library.
    names: BTreeSet<String>,
    /// Every function of the library, the binaries and the tests.
    functions: BTreeSet<String>,
}

impl Code {
    /// From the library's and from all code, without comments and strings.
    pub fn new(library: &[String], all: &[String]) -> Code {
        let names =
            library.iter().flat_map(|code| tokens(code)).map(|token| token.text.to_string()).collect();
        let functions = all.iter().flat_map(|code| functions_of(code)).collect();
        Code { names, functions }
    }
}

/// What the document names and the project does not have.
pub fn complaints(document: &str, text: &str, code: &Code, root: &Path) -> Vec<String> {
    let (spans, mut complaints) = spans(document, text);
    for (line, span) in spans {
        let words = span.split_whitespace().collect::<Vec<_>>();
        for word in &words {
            if let Some(path) = path_in(word).filter(|path| !exists(root, path)) {
                complaints.push(format!("{document}:{line}: `{path}` does not exist: name a file that does"));
            }
        }
        let Some((path, is_call)) = name_in(&span) else { continue };
        let (last, _) = path.split_last().expect("a name has at least one part");
        if is_call && !code.functions.contains(*last) {
            complaints.push(format!("{document}:{line}: `{last}` is no function: name one that exists"));
        }
        let is_known =
            |name: &str| code.names.contains(name) || KNOWN_ELSEWHERE.iter().any(|(known, _)| *known == name);
        for name in path.iter().filter(|name| is_type(name) && !is_known(name)) {
            let remedy = "name one that exists, or add it to KNOWN_ELSEWHERE in tests/tidy/documents.rs";
            complaints.push(format!("{document}:{line}: `{name}` is no type in src: {remedy}"));
        }
    }
    complaints
}

/// The words in backticks outside fenced blocks, with their lines; and complaints about backticks left open.
fn spans(document: &str, text: &str) -> (Vec<(usize, String)>, Vec<String>) {
    let (mut spans, mut complaints) = (Vec::new(), Vec::new());
    let mut fenced = false;
    // A span may run over a line's end, never over a paragraph's.
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence || line.trim().is_empty() {
            let unclosed = open.take().into_iter();
            complaints.extend(
                unclosed.map(|(line, _)| format!("{document}:{line}: a backtick is not closed: close it")),
            );
        }
        fenced ^= is_fence;
        if fenced || is_fence {
            continue;
        }
        for (nth, part) in line.split('`').enumerate() {
            if nth > 0 {
                open = match open.take() {
                    Some(whole) => {
                        spans.push(whole);
                        None
                    }
                    None => Some((number, String::new())),
                };
            }
            if let Some((_, span)) = &mut open {
                span.push_str(part);
            }
        }
        if let Some((_, span)) = &mut open {
            span.push(' ');
        }
    }
    (spans, complaints)
}

/// The word as a path of the project, if it is one.
fn path_in(word: &str) -> Option<&str> {
    let word = word.trim_end_matches([',', ';', ')']);
    let is_source =
        word.strip_suffix(".rs").is_some_and(|stem| !stem.is_empty() && !stem.contains(['*', '{']));
    (is_source || FOLDERS.iter().any(|folder| word.starts_with(folder))).then_some(word)
}

/// A path with a pattern or a place to fill in exists if its folder does. A source file may be named from `src`, or by
/// its last name alone.
fn exists(root: &Path, path: &str) -> bool {
    let fixed = match path.find(['*', '{', '<', '[']) {
        Some(pattern) => path[..pattern].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    };
    root.join(fixed).exists() || root.join("src").join(fixed).exists() || {
        let is_bare = fixed.strip_suffix(".rs").is_some() && !fixed.contains('/');
        is_bare && ["src", "bin", "tests"].iter().any(|folder| holds(&root.join(folder), fixed))
    }
}

fn holds(folder: &Path, name: &str) -> bool {
    let Ok(inside) = folder.read_dir() else { return false };
    inside
        .flatten()
        .any(|file| file.file_name() == name || (file.path().is_dir() && holds(&file.path(), name)))
}

/// The span as a name's parts, and whether it is written as a call: `Server::handle(now, inputs)`.
fn name_in(span: &str) -> Option<(Vec<&str>, bool)> {
    let span = span.trim();
    let (name, is_call) = match span.split_once('(') {
        Some((name, rest)) if rest.ends_with(')') => (name, true),
        Some(_) => return None,
        None => (span, false),
    };
    let parts: Vec<&str> = name.split("::").collect();
    let is_name = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    parts.iter().all(is_name).then_some((parts, is_call))
}

/// Whether the word is written as types and variants are: a capital, then at least one small letter.
fn is_type(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase())
        && !word.contains('_')
}

fn functions_of(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let pairs = tokens.windows(2).filter(|pair| pair[0].text == "fn");
    pairs.map(|pair| pair[1].text.to_string()).collect()
}

#[test]
fn what_does_not_exist_is_seen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = ["struct Raft; enum Role { Leader } fn step() {}".to_string()];
    let code = Code::new(&library, &library);
    let seen = |text: &str| complaints("README.md", text, &code, root);

    let good = "`Raft` `Role::Leader` `Raft::step(now, inputs)` `step()` `src/raft/log.rs` `raft/log.rs` `tidy.rs`\n\
                `src/raft/` `tests/*.rs` `cargo test` `cargo run -- tests/tidy.rs` `n2` `ERR x` `README.md` `a\nb`\n\
                `Ctrl-C` `Vec<u8>` `current_term` `OK` `--seed N` `InstallSnapshot`\n\n```\n`Wrong` src/wrong.rs\n```\n";
    assert_eq!(seen(good), Vec::<String>::new());

    for (text, place) in [
        ("\n`Gone`", "README.md:2: `Gone` is no type"),
        ("`Raft::Gone`", "README.md:1: `Gone` is no type"),
        ("`gone()`", "README.md:1: `gone` is no function"),
        ("`Raft::gone(now, inputs)`", "README.md:1: `gone` is no function"),
        ("`src/gone.rs`", "README.md:1: `src/gone.rs` does not exist"),
        ("`gone/log.rs`", "README.md:1: `gone/log.rs` does not exist"),
        ("`gone.rs`", "README.md:1: `gone.rs` does not exist"),
        ("`cargo run -- --script scripts/gone.raft`", "README.md:1: `scripts/gone.raft` does not exist"),
        ("`tests/gone/*.txt`", "README.md:1: `tests/gone/*.txt` does not exist"),
        ("a ` b\n\nc", "README.md:1: a backtick is not closed"),
    ] {
        let found = seen(text);
        assert!(matches!(found.as_slice(), [one] if one.starts_with(place)), "{text:?}: {found:?}");
    }
}
