//! The shape of the code: how long functions are, and which files need each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{code_only, mentions, tokens, without_tests};
use super::{Source, module_of};

/// Lines that a function may have, from its `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;

/// The functions that are longer than [`FUNCTION_LINES_MAX`], tests included.
pub fn long_functions(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources {
        let code = code_only(&file.text);
        let tokens = tokens(&code);
        for (at, pair) in tokens.windows(2).enumerate() {
            if pair[0].text != "fn" || !pair[1].text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                continue;
            }
            let mut depth = 0;
            let mut end = None;
            for token in &tokens[at..] {
                match token.text {
                    "{" => depth += 1,
                    "}" if depth == 1 => {
                        end = Some(token.line);
                        break;
                    }
                    "}" => depth -= 1,
                    ";" if depth == 0 => break,
                    _ => {}
                }
            }
            let lines = end.map_or(1, |end| end - pair[0].line + 1);
            if lines > FUNCTION_LINES_MAX {
                complaints.push(format!(
                    "{}:{}: `{}` has {lines} lines: split it, {FUNCTION_LINES_MAX} are allowed",
                    file.path, pair[0].line, pair[1].text
                ));
            }
        }
    }
    complaints
}

/// The groups of files that need each other in a circle, but for those that are allowed. A module and the modules inside
/// it may need each other.
pub fn circles(sources: &[Source], allowed: &[(&[&str], &str)]) -> Vec<String> {
    let modules: BTreeMap<Vec<String>, &str> =
        sources.iter().map(|file| (module_of(&file.path), file.path.as_str())).collect();
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in sources.iter().filter(|file| file.path != "src/lib.rs") {
        let module = module_of(&file.path);
        let code = code_only(&file.text);
        let needed = needs.entry(&file.path).or_default();
        for mention in mentions(&tokens(without_tests(&code)), &module) {
            let Some((first, path)) = mention.path.split_first() else { continue };
            if first != "crate" {
                continue;
            }
            let longest = (1..=path.len()).rev().map(|length| &path[..length]);
            let mut known = longest.filter(|path| modules.contains_key(*path));
            let Some(other) = known.next() else { continue };
            if !module.starts_with(other) && !other.starts_with(&module) {
                needed.insert(modules[other]);
            }
        }
    }
    let mut complaints = Vec::new();
    let mut found = BTreeSet::new();
    for file in needs.keys() {
        let ahead = reached(file, &needs);
        let circle: BTreeSet<&str> =
            ahead.iter().copied().filter(|other| reached(other, &needs).contains(file)).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    let is_allowed = |circle: &BTreeSet<&str>| {
        allowed.iter().any(|(files, _)| circle.iter().copied().eq(files.iter().copied()))
    };
    for circle in found.iter().filter(|circle| !is_allowed(circle)) {
        let files = circle.iter().copied().collect::<Vec<_>>().join(", ");
        complaints.push(format!(
            "{files}: need each other in a circle: move what is shared to a file of its own, or argue in CIRCLES"
        ));
    }
    for (files, _) in allowed {
        if !found.iter().any(|circle| circle.iter().copied().eq(files.iter().copied())) {
            complaints.push(format!("{}: no circle any more: remove it from CIRCLES", files.join(", ")));
        }
    }
    complaints
}

/// The files that this one needs, directly or through others.
fn reached<'a>(from: &str, needs: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = needs.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(needs.get(file).into_iter().flatten());
        }
    }
    found
}

#[test]
fn a_long_function_is_seen() {
    let file = |lines: usize| {
        let body = "    x();\n".repeat(lines - 2);
        let text = format!("trait T {{ fn short(); }}\nfn long() {{\n{body}}}\n");
        vec![Source { path: "src/a.rs".to_string(), text }]
    };
    assert_eq!(long_functions(&file(FUNCTION_LINES_MAX)), Vec::<String>::new());
    let complaints = long_functions(&file(FUNCTION_LINES_MAX + 1));
    assert!(
        matches!(complaints.as_slice(), [one] if one.starts_with("src/a.rs:2: `long` has 71")),
        "{complaints:?}"
    );
}

#[test]
fn a_circle_of_files_is_seen() {
    let file = |path: &str, text: &str| Source { path: path.to_string(), text: text.to_string() };
    let sources = [
        file("src/a.rs", "mod b; mod c; use self::b::B;"),
        file("src/a/b.rs", "use super::c::C; use super::A;"),
        file("src/a/c.rs", "use crate::a::d::D;"),
        file("src/a/d.rs", "use crate::a::b::B; #[cfg(test)] mod tests { use crate::e::E; }"),
        file("src/e.rs", "use crate::a::d::D;"),
    ];
    let complaints = circles(&sources, &[]);
    let circle: &[&str] = &["src/a/b.rs", "src/a/c.rs", "src/a/d.rs"];
    assert!(matches!(complaints.as_slice(), [one] if one.starts_with(&circle.join(", "))), "{complaints:?}");
    assert_eq!(circles(&sources, &[(circle, "argued")]), Vec::<String>::new());
    assert_eq!(circles(&sources[..2], &[(circle, "argued")]).len(), 1);
}
