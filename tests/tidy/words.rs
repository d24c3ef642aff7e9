//! Words and habits of language that the project avoids, each with what to write instead.

use super::Source;

/// Looked for in comments and in the text of the code, as whole words.
const AVOIDED: &[(&str, &str)] = &[
    ("whoever", "name the party: the caller, the client, a node"),
    ("whatever", "any, or what"),
    ("nobody", "name the party: no node, no client, no reader"),
    ("anew", "again"),
    ("so many", "name the number"),
    ("for ever", "without end, or: until .."),
    ("of no meaning", "unused"),
    ("is none of", "is not one of"),
    ("goes on", "continues"),
    ("carried out", "applied, executed"),
    ("mourn", "report the loss"),
    ("lies in wait", "waits"),
];

/// Where an avoided word stands. A line of Rust that only imports or names something is read too: names are words.
pub fn complaints(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources {
        for (number, line) in (1..).zip(file.text.lines()) {
            let lower = line.to_lowercase();
            for (word, instead) in AVOIDED.iter().filter(|(word, _)| holds_word(&lower, word)) {
                complaints.push(format!("{}:{number}: \"{word}\": write {instead}", file.path));
            }
        }
    }
    complaints
}

fn holds_word(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        !letter(line[..at].chars().next_back()) && !letter(line[at + word.len()..].chars().next())
    })
}

#[test]
fn an_avoided_word_is_seen() {
    let file = |text: &str| vec![Source { path: "src/a.rs".to_string(), text: text.to_string() }];
    assert_eq!(complaints(&file("// Written anew.\n")).len(), 1);
    assert_eq!(complaints(&file("// The manewver.\n")), Vec::<String>::new());
    assert_eq!(
        complaints(&file("\n/// Whoever asks\n"))[0],
        "src/a.rs:2: \"whoever\": write name the party: the caller, the client, a node"
    );
}
