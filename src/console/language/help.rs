//! What `help` answers, made from the vocabulary. Every line fits 80 columns.

use super::arguments::TARGETS;
use super::condition::{CONDITIONS, ConditionForm};
use super::layout::{Align, table, wrap};
use super::units::DURATION_MAX;
use super::verbs::{Entry, Theme, Verb, find};
use super::vocabulary::VOCABULARY;

/// What can be explained beside the verbs.
pub const TOPICS: &[&str] = &["targets", "links", "quantities", "conditions", "values", "scripts"];

/// The shapes of a partition, beside groups.
pub(super) const SHAPES: &[&str] = &["halves", "minority", "bridge", "ring"];

/// What `events` can be set to.
pub(super) const EVENT_FILTERS: &[&str] = &["on", "off", "election", "net", "all"];

/// Columns that help fits into.
const WIDTH: usize = 80;

/// The answer to `help`, or to `help` with a verb's name or a topic.
pub fn help(topic: Option<&str>) -> String {
    match topic {
        None => overview(),
        Some(name) => match find(name) {
            Some(entry) => detail(entry),
            None => topic_text(name),
        },
    }
}

fn overview() -> String {
    let mut lines = vec![
        "verb [target] [arguments] [for DURATION]     # a comment".to_string(),
        "'help VERB' shows its form, an example and the rule of Raft that it shows.".to_string(),
    ];
    for theme in Theme::ALL {
        lines.push(String::new());
        lines.push(theme.title().to_string());
        let entries = VOCABULARY.iter().filter(|entry| entry.theme == theme);
        lines.extend(entries.map(|entry| format!("  {:<14} {}", entry.name, entry.summary)));
    }
    lines.push(String::new());
    lines.push(format!("Topics: {}", TOPICS.join(", ")));
    lines.join("\n")
}

fn detail(entry: &Entry) -> String {
    let mut lines = wrap(&entry.usage(), WIDTH - 4);
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "    "));
    lines.push(format!("  {}", entry.summary));
    if !entry.aliases.is_empty() {
        lines.push(format!("  alias    {}", entry.aliases.join(", ")));
    }
    let mut options: Vec<Vec<String>> = entry
        .options
        .iter()
        .map(|form| {
            let value = form.value.map(|value| format!(" {value}")).unwrap_or_default();
            vec![format!("    {}{value}", form.name), form.meaning.to_string()]
        })
        .collect();
    if entry.lasting {
        options.push(vec!["    for DURATION".to_string(), "undoes it after this time".to_string()]);
    }
    lines.extend(table(&options, &[Align::Left, Align::Left]));
    lines.push(format!("  example  {}", entry.example));
    if matches!(entry.verb, Verb::SlowDisk | Verb::StallDisk | Verb::FillDisk) {
        lines.push("  undone   by 'reset', with every other fault of network and disks".to_string());
    }
    if !entry.rule.is_empty() {
        let mut rule = wrap(entry.rule, WIDTH - 11).into_iter();
        lines.extend(rule.next().map(|line| format!("  shows    {line}")));
        lines.extend(rule.map(|line| format!("           {line}")));
    }
    if matches!(entry.name, "wait" | "expect") {
        lines.push("  'help conditions' lists the conditions.".to_string());
    }
    lines.join("\n")
}

fn topic_text(name: &str) -> String {
    match name {
        "targets" => format!(
            "A target names nodes: n2, a list n1,n3, or one of\n  {}\n\
             random, minority and majority are drawn from the seed when the line runs.",
            TARGETS.join(", ")
        ),
        "links" => "A link is the way that messages take:\n  \
             n1>n3     from n1 to n3 only\n  \
             n1<>n3    both ways\n  \
             clients   between clients and nodes\n\
             Without a link, a rule holds for every link, the clients' too."
            .to_string(),
        "quantities" => format!(
            "Durations: 100us, 150ms, 2s, 1.5s, 1m, 1h, 0; at most {}.\n\
             Percentages: 0% to 100%, such as 20% or 0.5%.\n\
             Speeds: a factor such as 0.5 or 10 (1 is real time), or max.",
            super::units::duration_text(DURATION_MAX)
        ),
        "values" => format!(
            "A word ends at a space. Quotes keep spaces: \"two words\" or 'two words'.\n\
             In double quotes: \\\\ \\\" \\n \\t \\r \\u{{7f}}. In single quotes nothing is special.\n\
             Quotes also keep a value that begins with #, @ or -- as it is.\n\
             A key has at most {} bytes, a line at most {}.\n\
             A value has at most value_bytes_max, a setting: {} by default.",
            super::parse::KEY_BYTES_MAX,
            super::parse::LINE_BYTES_MAX,
            crate::config::VALUE_BYTES_MAX
        ),
        "scripts" => "One directive a line; # begins a comment. A script stops at the first line that\n\
             fails and says which. A refused command (ERR x exists) does not fail a script;\n\
             say what you demand of the answer on the next line:\n  \
             create x 5\n  \
             expect err exists"
            .to_string(),
        _ => conditions(),
    }
}

fn conditions() -> String {
    let row = |form: &ConditionForm| vec![format!("  {}", form.usage), form.meaning.to_string()];
    let rows: Vec<Vec<String>> = CONDITIONS.iter().map(row).collect();
    let mut lines = vec!["Conditions of wait and expect:".to_string()];
    lines.extend(table(&rows, &[Align::Left, Align::Left]));
    lines.push("wait goes on when N is reached or passed; expect demands exactly N.".to_string());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_help_fits_eighty_columns_and_names_each_verb() {
        let names = VOCABULARY.iter().map(|entry| entry.name).chain(TOPICS.iter().copied());
        for text in names.map(|name| help(Some(name))).chain([help(None)]) {
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
                assert_eq!(line.trim_end(), line);
            }
        }
        let overview = help(None);
        for entry in VOCABULARY {
            assert!(overview.contains(&format!(" {}", entry.name)), "{}", entry.name);
        }
    }

    #[test]
    fn a_verb_is_explained_with_example_and_rule() {
        assert_eq!(
            help(Some("kill")),
            "crash TARGET [--power] [for DURATION]\n\
             \x20 ends a node without warning: its memory is lost\n\
             \x20 alias    kill\n\
             \x20   --power       loses the writes that were not yet forced to disk, too\n\
             \x20   for DURATION  undoes it after this time\n\
             \x20 example  crash leader for 2s\n\
             \x20 shows    5.2: followers that hear no leader for a timeout elect another"
        );
    }

    #[test]
    fn a_fault_of_a_disk_says_what_undoes_it() {
        for fault in ["slow-disk", "stall-disk", "fill-disk"] {
            assert!(help(Some(fault)).contains("\n  undone   by 'reset'"), "{fault}");
        }
        assert!(!help(Some("snapshot")).contains("undone"));
    }

    #[test]
    fn every_topic_is_explained_in_its_own_words() {
        let texts: std::collections::BTreeSet<String> =
            TOPICS.iter().map(|topic| help(Some(topic))).collect();
        assert_eq!(texts.len(), TOPICS.len());
        assert!(help(Some("conditions")).contains("no-leader"));
    }
}
