//! The rules of style and architecture that a program can check: layers, purity, file heads, forbidden words, lengths,
//! the tags of Figure 2, and that the documents name only what exists.
//!
//! Each check is a function from texts to complaints, so that the tests at the end can show that it complains. A
//! complaint names file and line and says what to do.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/power.rs"]
mod power;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tokens.rs"]
mod tokens;
#[path = "tidy/words.rs"]
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Mention, code_only, mentions, tokens, without_tests};

/// The layer of each module. A file may use its own layer and those below, never one above.
const LAYERS: &[(&str, u8)] = &[
    ("types", 0),
    ("ascending", 0),
    ("binary", 0),
    ("quoting", 0),
    ("text", 0),
    ("payload", 0),
    ("config", 0),
    ("raft", 1),
    ("protocol", 1),
    ("faults", 1),
    ("state_machine", 1),
    ("check", 1),
    // The language of the console is pure, so that scripts can be read and tested without a cluster.
    ("console::language", 1),
    ("storage", 2),
    ("net", 2),
    ("trace", 2),
    ("wire", 2),
    ("clock", 2),
    ("interrupt", 2),
    ("spin", 2),
    ("bell", 2),
    ("panics", 2),
    ("server", 3),
    ("client", 3),
    ("history", 3),
    ("lab", 3),
    ("tls", 3),
    ("node", 4),
    ("links", 4),
    ("recording", 4),
    ("sim", 4),
    ("cluster", 5),
    ("process", 6),
    ("supervisor", 6),
    ("remote", 6),
    ("load", 5),
    ("page", 5),
    ("window", 5),
    ("web", 6),
    ("etcd", 6),
    ("gateway", 6),
    // What carries directives out and prints.
    ("console", 6),
    ("experiment", 7),
    ("programs", 8),
];

/// The layers up to this one are pure: no clock, threads, files, sockets, logging or order of hashes.
const PURE_UP_TO: u8 = 1;

/// Paths that no pure file may mention.
const IMPURE_PATHS: &[&[&str]] = &[
    &["std", "thread"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "env"],
    &["std", "process"],
    &["thread"],
    &["crossbeam_channel"],
    &["env_logger"],
    &["rustyline"],
    &["rustix"],
    &["ctrlc"],
    &["signal_hook"],
];

/// Files of pure layers that hash, and why no order depends on it.
const HASHED: &[(&str, &str)] = &[
    ("src/state_machine/kv/values.rs", "what is listed or written is sorted"),
    ("src/check/model.rs", "a set of visited situations is only asked whether it holds one"),
];

/// Names that no pure file may mention, wherever they come from.
const IMPURE_NAMES: &[&str] = &["Instant", "SystemTime"];

/// Nor these, whose order is chance, except where it is argued.
const UNORDERED_NAMES: &[&str] = &["HashMap", "HashSet", "RandomState"];

/// Macros that no pure file may call.
const IMPURE_MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];

/// The macros of the `log` crate, to tell it from a module of that name.
const LOG_MACROS: &[&str] = &["error", "warn", "info", "debug", "trace", "log", "log_enabled"];

/// Text that stands in no file, and what to do instead. Written in halves, so that this file keeps the rule too.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "fix it, or open an issue"),
    (concat!("to", "do!("), "write the code"),
    (concat!("unimple", "mented!("), "write the code, or make the case impossible"),
    (concat!("#[ig", "nore"), "make the test pass, or delete it"),
    (concat!("db", "g!"), "remove it"),
    (concat!("thread::", "sleep"), "wait on a condition with a deadline"),
    (concat!("/ho", "me/"), "name no folder of one machine"),
    (concat!("/ro", "ot/"), "name no folder of one machine"),
    (concat!("/t", "mp/"), "name no folder of one machine: tests use tempfile"),
];

/// Lines that a file under src may have.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/check/history/line.rs", "the form of a line, writing and reading, side by side"),
    ("src/check/linearizability/search.rs", "one algorithm"),
    ("src/client/core/tests.rs", "the rules of calls, one test each"),
    ("src/experiment/expectation.rs", "a small language with its tests"),
    ("src/faults.rs", "one table and its rules"),
    ("src/payload/measure.rs", "one serializer: its methods are given"),
    ("src/sim/workload.rs", "the clients of random runs and their audit"),
    ("src/state_machine/kv.rs", "the store's commands with their tests"),
    ("src/storage/simulated.rs", "one disk, operation by operation"),
];

/// Files that may need each other in a circle, each group with its reason.
const CIRCLES: &[(&[&str], &str)] = &[];

/// The documents.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/DECISIONS.md",
    "docs/FAULTS.md",
    "docs/FILES.md",
    "docs/HTTP.md",
    "docs/PARTS.md",
    "docs/PERFORMANCE.md",
    "docs/TESTING.md",
    "docs/TRACE.md",
];

/// Words of `ARCHITECTURE.md`, drawing and tables included.
const TOUR_WORDS: usize = 1_500;

/// The files of the project's folder itself that are no documents. Those whose names begin with a dot are a tool's.
const ROOT_FILES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
];

/// Figure 2 and what it stands on. A student reads them beside the paper in one sitting.
const PAPER: &[&str] = &[
    "src/raft.rs",
    "src/raft/commit.rs",
    "src/raft/durability.rs",
    "src/raft/effects.rs",
    "src/raft/election.rs",
    "src/raft/entry.rs",
    "src/raft/invariants.rs",
    "src/raft/log.rs",
    "src/raft/message.rs",
    "src/raft/replication.rs",
    "src/raft/role.rs",
];

/// Lines that these files may have together, without their tests.
const PAPER_LINES_MAX: usize = 1700;

/// Where the functions are listed that Figure 2 calls for the extras.
const EXTRAS_TABLE: &str = "src/raft/beyond.rs";

/// Extras below `src/raft/beyond` that no file of Figure 2 may name: it calls what `beyond.rs` lists.
const EXTRAS: &[&str] = &["check_quorum", "freshness", "lease", "stall"];

/// The rules of Figure 2, each to be tagged once, where it is obeyed, as `// Figure 2, Leaders 3: ...`; and where.
const RULES: &[(&str, &[&str])] = &[
    ("RequestVote 1", IN_RAFT),
    ("RequestVote 2", IN_RAFT),
    ("AppendEntries 1", IN_RAFT),
    ("AppendEntries 2", IN_RAFT),
    ("AppendEntries 3", IN_RAFT),
    ("AppendEntries 4", IN_RAFT),
    ("AppendEntries 5", IN_RAFT),
    // Committed entries are applied outside the core.
    ("All Servers 1", &["src/raft.rs", "src/raft/", "src/server/"]),
    ("All Servers 2", IN_RAFT),
    ("Followers 1, leaders", IN_RAFT),
    ("Followers 1, candidates", IN_RAFT),
    ("Followers 2", IN_RAFT),
    ("Candidates 1", IN_RAFT),
    ("Candidates 2", IN_RAFT),
    ("Candidates 3", IN_RAFT),
    ("Candidates 4", IN_RAFT),
    ("Leaders 1", IN_RAFT),
    ("Leaders 2", IN_RAFT),
    ("Leaders 3", IN_RAFT),
    ("Leaders 3, if successful", IN_RAFT),
    ("Leaders 3, if it fails", IN_RAFT),
    ("Leaders 4", IN_RAFT),
];
const IN_RAFT: &[&str] = &["src/raft.rs", "src/raft/"];

/// A file of the project.
struct Source {
    /// From the project's folder, with `/`.
    path: String,
    text: String,
}

#[test]
fn each_file_begins_with_its_head() {
    complain(&headless(&sources(&["src", "bin", "tests", "benches", "examples"], &["rs"])));
}

#[test]
fn imports_point_downward() {
    complain(&upward_imports(&sources(&["src"], &["rs"])));
}

#[test]
fn the_lower_layers_are_pure() {
    let sources = sources(&["src"], &["rs"]);
    complain(&impurities(&sources, HASHED));
    complain(&stale_hashed(&sources, HASHED));
}

#[test]
fn binaries_and_tests_use_the_public_api() {
    complain(&private_access(&sources(&["bin", "tests"], &["rs"])));
}

#[test]
fn no_file_holds_a_forbidden_word() {
    complain(&forbidden_words(&sources(&["src", "bin", "tests", "benches", "examples"], &["rs", "txt"])));
}

#[test]
fn no_file_is_too_long() {
    complain(&long_files(&sources(&["src"], &["rs"]), LONG_FILES));
}

#[test]
fn no_function_is_too_long() {
    complain(&shape::long_functions(&sources(&["src", "bin", "tests", "benches", "examples"], &["rs"])));
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    complain(&shape::circles(&sources(&["src"], &["rs"]), CIRCLES));
}

#[test]
fn no_file_has_an_avoided_word() {
    let mut sources = sources(&["src", "bin", "examples", "scripts"], &["rs", "raft"]);
    sources.extend(DOCUMENTS.iter().map(|document| Source {
        path: (*document).to_string(),
        text: fs::read_to_string(root().join(document)).expect("a document"),
    }));
    complain(&words::complaints(&sources));
}

#[test]
fn nothing_lies_about_in_the_root() {
    let inside = fs::read_dir(root()).expect("the project's folder can be read");
    let files = inside.map(|file| file.expect("it can be read")).filter(|file| file.path().is_file());
    let names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|name| name == "Cargo.toml"), "{names:?}");
    complain(&unknown_in_root(&names));
    assert_eq!(unknown_in_root(&["session.raft".to_string(), "README.md".to_string()]).len(), 1);
}

#[test]
fn each_rule_of_figure_2_is_tagged_once() {
    complain(&rule_tags(&sources(&["src"], &["rs"])));
}

#[test]
fn figure_2_can_be_read_in_one_sitting() {
    complain(&paper(&sources(&["src"], &["rs"])));
}

#[test]
fn the_table_of_extras_lists_what_figure_2_calls() {
    let mut sources = sources(&["src/raft"], &["rs"]);
    sources.extend(self::sources(&["src"], &["rs"]).into_iter().filter(|file| file.path == "src/raft.rs"));
    complain(&extras_table(&sources));
    let table = sources.iter_mut().find(|file| file.path == EXTRAS_TABLE).expect("it is there");
    table.text = table.text.replace("| `heard` |", "| `herd` |");
    assert_eq!(extras_table(&sources).len(), 2, "one is missing, and one is called nowhere");
}

#[test]
fn the_tour_can_be_read_in_one_sitting() {
    let tour = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a document");
    complain(&too_long(&tour));
    assert_eq!(too_long(&"word | ".repeat(TOUR_WORDS + 1)).len(), 1);
    assert_eq!(too_long(&"word | ".repeat(TOUR_WORDS)).len(), 0);
}

fn too_long(tour: &str) -> Vec<String> {
    let words = tour.split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count();
    let text = format!(
        "ARCHITECTURE.md has {words} words, not {TOUR_WORDS}: move what is of one part to docs/PARTS.md"
    );
    Vec::from_iter((words > TOUR_WORDS).then_some(text))
}

#[test]
fn the_documents_name_only_what_exists() {
    let code = sources(&["src", "bin", "tests"], &["rs"]);
    let texts = |folder: &str| -> Vec<String> {
        code.iter().filter(|file| file.path.starts_with(folder)).map(|file| code_only(&file.text)).collect()
    };
    let named = documents::Code::new(&texts("src/"), &texts(""));
    let mut complaints = Vec::new();
    for document in DOCUMENTS {
        match fs::read_to_string(root().join(document)) {
            Ok(text) => complaints.extend(documents::complaints(document, &text, &named, &root())),
            Err(error) => complaints.push(format!("{document}: cannot be read ({error}): write it")),
        }
    }
    complain(&complaints);
}

fn headless(sources: &[Source]) -> Vec<String> {
    let without = sources.iter().filter(|file| !file.text.starts_with("//! "));
    without
        .map(|file| {
            let remedy =
                "begin it with `//! ` and its purpose, its section of the paper, and what it must never do";
            format!("{}:1: no head: {remedy}", file.path)
        })
        .collect()
}

fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources.iter().filter(|file| file.path != "src/lib.rs") {
        let module = module_of(&file.path);
        let Some(own) = layer(&module) else {
            complaints.push(format!("{}:1: no layer: add its module to LAYERS in tests/tidy.rs", file.path));
            continue;
        };
        for mention in mentions(&tokens(&code_only(&file.text)), &module) {
            let [first, used @ ..] = mention.path.as_slice() else { continue };
            if first != "crate" || used.is_empty() {
                continue;
            }
            let place = format!("{}:{}: {}", file.path, mention.line, mention.path.join("::"));
            match layer(used) {
                Some(other) if other <= own => {}
                Some(other) => complaints.push(format!(
                    "{place} is of layer {other}, this file of layer {own}: move what is shared down, or hand it in"
                )),
                None => complaints
                    .push(format!("{place} is in no layer: name its module, or add that to LAYERS in tests/tidy.rs")),
            }
        }
    }
    complaints
}

fn impurities(sources: &[Source], argued: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let pure = |file: &&Source| layer(&module_of(&file.path)).is_some_and(|layer| layer <= PURE_UP_TO);
    for file in sources.iter().filter(pure) {
        let code = code_only(&file.text);
        let tokens = tokens(without_tests(&code));
        let has_log_module = tokens.windows(2).any(|pair| pair[0].text == "mod" && pair[1].text == "log");
        let is_log = |mention: &Mention| {
            let is_macro = mention.path.get(1).is_some_and(|name| LOG_MACROS.contains(&name.as_str()));
            mention.starts_with(&["log"]) && (is_macro || !has_log_module)
        };
        let hashes = argued.iter().any(|(hashing, _)| file.path == *hashing);
        let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
        for mention in mentions(&tokens, &module_of(&file.path)) {
            let impure = IMPURE_PATHS.iter().any(|path| mention.starts_with(path));
            if impure || is_log(&mention) {
                found.insert((mention.line, mention.path.join("::")));
            }
        }
        for (at, token) in tokens.iter().enumerate() {
            let calls = tokens.get(at + 1).is_some_and(|next| next.text == "!");
            if IMPURE_NAMES.contains(&token.text)
                || (UNORDERED_NAMES.contains(&token.text) && !hashes)
                || (IMPURE_MACROS.contains(&token.text) && calls)
            {
                found.insert((token.line, token.text.to_string()));
            }
        }
        complaints.extend(found.into_iter().map(|(line, what)| {
            let remedy = "take time, chance and text as arguments, and use ordered collections";
            format!("{}:{line}: {what} in a pure layer: {remedy}", file.path)
        }));
    }
    complaints
}

/// Files that may hash and do not, or are not pure, or not there.
fn stale_hashed(sources: &[Source], argued: &[(&str, &str)]) -> Vec<String> {
    let hashes = |path: &str| {
        let file = sources.iter().find(|file| file.path == path);
        let pure = layer(&module_of(path)).is_some_and(|layer| layer <= PURE_UP_TO);
        pure && file.is_some_and(|file| {
            let code = code_only(&file.text);
            tokens(without_tests(&code)).iter().any(|token| UNORDERED_NAMES.contains(&token.text))
        })
    };
    let stale = argued.iter().filter(|(path, _)| !hashes(path));
    stale
        .map(|(path, _)| {
            format!("{path}:1: needs no argument for hashing: remove it from HASHED in tests/tidy.rs")
        })
        .collect()
}

fn private_access(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources {
        let code = code_only(&file.text);
        let tokens = tokens(&code);
        for pair in tokens.windows(2) {
            // A test may be made of several files, and `crate` is then the test; a binary is one file.
            if pair[0].text == "crate" && pair[1].text == "::" && file.path.starts_with("bin/") {
                let remedy = "a binary is one thin file: put the rest into the library";
                complaints.push(format!("{}:{}: `crate::`: {remedy}", file.path, pair[0].line));
            }
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.trim_start().starts_with("#[path") && line.contains("src/") {
                let remedy = "use what the library makes public";
                complaints.push(format!("{}:{number}: reaches into src: {remedy}", file.path));
            }
        }
    }
    complaints
}

fn forbidden_words(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, remedy) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
                complaints.push(format!("{}:{number}: {word}: {remedy}", file.path));
            }
        }
    }
    complaints
}

fn long_files(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let is_long = |file: &&Source| file.text.lines().count() > LINES_MAX;
    let long: BTreeSet<&str> = sources.iter().filter(is_long).map(|file| file.path.as_str()).collect();
    let unargued = long.iter().filter(|path| !allowed.iter().any(|(allowed, _)| allowed == *path)).map(|path| {
        format!("{path}:{LINES_MAX}: longer than {LINES_MAX} lines: split it, or argue in LONG_FILES in tests/tidy.rs")
    });
    let stale = allowed
        .iter()
        .filter(|(path, _)| !long.contains(path))
        .map(|(path, _)| format!("{path}:1: no longer too long: remove it from LONG_FILES in tests/tidy.rs"));
    unargued.chain(stale).collect()
}

fn unknown_in_root(names: &[String]) -> Vec<String> {
    let known = |name: &str| name.starts_with('.') || ROOT_FILES.contains(&name) || DOCUMENTS.contains(&name);
    let unknown = names.iter().filter(|name| !known(name));
    unknown
        .map(|name| format!("{name}: is no file of the project: move it, or list it in ROOT_FILES"))
        .collect()
}

fn paper(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut lines = 0;
    for path in PAPER {
        let Some(file) = sources.iter().find(|file| file.path == *path) else {
            complaints.push(format!("{path}:1: not there: change PAPER in tests/tidy.rs"));
            continue;
        };
        let code = code_only(&file.text);
        let production = without_tests(&code);
        lines += production.lines().count();
        for token in tokens(production).iter().filter(|token| EXTRAS.contains(&token.text)) {
            let remedy = "call it through a function that src/raft/beyond.rs lists";
            complaints
                .push(format!("{path}:{}: Figure 2 names the extra {}: {remedy}", token.line, token.text));
        }
    }
    if lines > PAPER_LINES_MAX {
        let remedy = "move what is not the paper's to src/raft/beyond";
        complaints
            .push(format!("src/raft.rs:1: Figure 2 has {lines} lines, not {PAPER_LINES_MAX}: {remedy}"));
    }
    complaints
}

/// Functions of the extras that Figure 2 calls and the table lacks, and those that it lists and Figure 2 does not call.
fn extras_table(sources: &[Source]) -> Vec<String> {
    let (mut offered, mut called, mut listed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for Source { path, text } in sources {
        let is_table = path == EXTRAS_TABLE;
        if is_table || path.starts_with("src/raft/beyond/") {
            let offers = if is_table { "pub(super) fn " } else { "pub(in crate::raft) fn " };
            let names =
                text.lines().filter_map(|line| line.trim_start().strip_prefix(offers)?.split('(').next());
            offered.extend(names.map(str::to_string));
        } else if PAPER.contains(&path.as_str()) {
            let code = code_only(text);
            let tokens = tokens(without_tests(&code));
            let calls = tokens.windows(3).filter(|three| three[0].text == "." && three[2].text == "(");
            called.extend(calls.map(|three| three[1].text.to_string()));
        }
        if is_table {
            let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.split('|').nth(1));
            listed.extend(rows.flat_map(|row| row.split('`').skip(1).step_by(2)).map(str::to_string));
        }
    }
    let missing = offered.intersection(&called).filter(|name| !listed.contains(*name));
    let missing = missing.map(|name| format!("{EXTRAS_TABLE}:1: Figure 2 calls {name}: add it to the table"));
    let stale = listed.difference(&called);
    let stale = stale.map(|name| format!("{EXTRAS_TABLE}:1: Figure 2 does not call {name}: remove it"));
    missing.chain(stale).collect()
}

fn rule_tags(sources: &[Source]) -> Vec<String> {
    const TAG: &str = "// Figure 2, ";
    let mut complaints = Vec::new();
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in sources {
        for (number, line) in (1..).zip(file.text.lines()) {
            // A documentation comment may speak of Figure 2; only a plain one is a tag.
            let Some((before, rest)) = line.split_once(TAG) else { continue };
            if before.ends_with('/') {
                continue;
            }
            let name = rest.split_once(':').map_or(rest, |(name, _)| name);
            let place = format!("{}:{number}", file.path);
            match RULES.iter().find(|(rule, _)| *rule == name) {
                None => complaints
                    .push(format!("{place}: '{name}' is no rule of Figure 2: write '{TAG}Leaders 3: ...'")),
                Some((_, places)) if !places.iter().any(|allowed| file.path.starts_with(allowed)) => {
                    let places = places.join(" or ");
                    complaints.push(format!("{place}: the tag of '{name}' belongs in {places}: move it"));
                }
                Some(_) => found.entry(name).or_default().push(place),
            }
        }
    }
    for (rule, places) in RULES {
        match found.get(rule).map(Vec::as_slice) {
            Some([_]) => {}
            Some(many) => {
                let all = many.join(" and ");
                complaints.push(format!("{all}: '{rule}' is tagged {} times: keep one tag", many.len()));
            }
            None => {
                let places = places.join(" or ");
                complaints.push(format!(
                    "{places}: '{rule}' has no tag: write '{TAG}{rule}: ...' where it is obeyed"
                ));
            }
        }
    }
    complaints
}

/// The layer of the longest entry of [`LAYERS`] that the path begins with.
fn layer(path: &[String]) -> Option<u8> {
    let fits = |module: &str| {
        let names: Vec<&str> = module.split("::").collect();
        (path.len() >= names.len() && path.iter().zip(&names).all(|(here, name)| here == name))
            .then_some(names.len())
    };
    let fitting = LAYERS.iter().filter_map(|(module, layer)| fits(module).map(|length| (length, *layer)));
    fitting.max().map(|(_, layer)| layer)
}

/// `src/raft/log.rs` is the module raft, log.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').filter(|name| *name != "lib").map(str::to_string).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files with these endings in these folders, by name. A folder that is not there has none.
fn sources(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), endings, &mut paths);
    }
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let inside = path.strip_prefix(root()).expect("found below the root");
        Source { path: inside.to_string_lossy().replace('\\', "/"), text }
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(inside) = fs::read_dir(folder) else { return };
    for path in inside.map(|file| file.expect("the project's folders can be read").path()) {
        // A workspace of its own below `benches` builds beside its sources, and what it builds is nobody's.
        if path.is_dir() && path.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            collect(&path, endings, found);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            found.push(path);
        }
    }
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} to mend:\n{}\n", complaints.len(), complaints.join("\n"));
}
