//! What `help` answers, made from the forms. Every line fits 80 columns.

use super::form::{Form, Place, Topic};
use super::kind::Kind;
use super::parse::LINE_BYTES_MAX;
use super::phrase::TARGETS;
use super::vocabulary::{Language, TOPICS};
use crate::config::VALUE_BYTES_MAX;
use crate::state_machine::kv::KEY_BYTES_MAX;
use crate::text::layout::{Align, table, wrap};
use crate::text::units::{DURATION_MAX, duration_text};

/// The groups of verbs, in the order of the help.
const GROUPS: [(Topic, &str); 8] = [
    (Topic::Look, "Look"),
    (Topic::Data, "Data"),
    (Topic::Nodes, "Nodes"),
    (Topic::Network, "Network"),
    (Topic::Disks, "Disks"),
    (Topic::Time, "Time"),
    (Topic::Test, "Test"),
    (Topic::Session, "Session"),
];

const WIDTH: usize = 80;

impl Language {
    /// The answer to `help`, or to `help` with a verb's name or a topic.
    pub fn help(&self, subject: Option<&str>) -> String {
        match subject {
            None => self.overview(),
            Some(name) => self.find(name).map_or_else(|| self.topic(name), detail),
        }
    }

    fn overview(&self) -> String {
        let mut lines = vec![
            "verb [target] [arguments] [for DURATION]     # a comment".to_string(),
            "'help VERB' shows its form, an example and the rule of Raft that it shows.".to_string(),
        ];
        for (topic, title) in GROUPS {
            lines.extend([String::new(), title.to_string()]);
            let forms = self.verbs().filter(|form| form.topic == topic);
            lines.extend(forms.map(|form| format!("  {:<14} {}", form.name, form.summary)));
        }
        lines.push(String::new());
        lines.push(format!("Topics: {}", TOPICS.join(", ")));
        lines.join("\n")
    }

    fn topic(&self, name: &str) -> String {
        match name {
            "targets" => format!(
                "A target names nodes: n2, a list n1,n3, or one of\n  {}\n\
                 random, minority and majority are drawn from the seed when the line runs.",
                TARGETS.map(|(name, _)| name).join(", ")
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
                duration_text(DURATION_MAX)
            ),
            "values" => format!(
                "A word ends at a space. Quotes keep spaces: \"two words\" or 'two words'.\n\
                 In double quotes: \\\\ \\\" \\n \\t \\r \\u{{7f}}. In single quotes nothing is special.\n\
                 Quotes also keep a value that begins with #, @ or -- as it is.\n\
                 A key has at most {KEY_BYTES_MAX} bytes, a line at most {LINE_BYTES_MAX}.\n\
                 A value has at most value_bytes_max, a setting: {VALUE_BYTES_MAX} by default.",
            ),
            "scripts" => "One directive a line; # begins a comment. A script stops at the first line that\n\
                 fails and says which. A refused command (ERR x exists) does not fail a script;\n\
                 say what you demand of the answer on the next line:\n  \
                 create x 5\n  \
                 expect err exists"
                .to_string(),
            _ => self.condition_list(),
        }
    }

    fn condition_list(&self) -> String {
        let row = |form: &Form| {
            let only = if form.topic == Topic::Answer { "expect only: " } else { "" };
            vec![format!("  {}", form.usage()), format!("{only}{}", form.summary)]
        };
        let rows: Vec<Vec<String>> = self.conditions(true).map(row).collect();
        let mut lines = vec!["Conditions of wait and expect:".to_string()];
        lines.extend(table(&rows, &[Align::Left, Align::Left]));
        lines.push("wait ends when N is reached or passed; expect demands exactly N.".to_string());
        lines.join("\n")
    }
}

fn detail(form: &Form) -> String {
    let mut lines = wrap(&form.usage(), WIDTH - 4);
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "    "));
    lines.push(format!("  {}", form.summary));
    if !form.aliases.is_empty() {
        lines.push(format!("  alias    {}", form.aliases.join(", ")));
    }
    let options = form.slots.iter().filter(|slot| matches!(slot.place, Place::Option { .. }));
    let mut rows: Vec<Vec<String>> =
        options.map(|slot| vec![format!("    {}", slot.words()), slot.meaning.to_string()]).collect();
    if form.lasting {
        rows.push(vec!["    for DURATION".to_string(), "undoes it after this time".to_string()]);
    }
    lines.extend(table(&rows, &[Align::Left, Align::Left]));
    lines.push(format!("  example  {}", form.example));
    for (head, text) in [("undone", form.undone), ("shows", form.rule)] {
        let wrapped = if text.is_empty() { Vec::new() } else { wrap(text, WIDTH - 11) };
        let heads = [head].into_iter().chain(std::iter::repeat(""));
        lines.extend(heads.zip(wrapped).map(|(head, line)| format!("  {head:<8} {line}")));
    }
    if form.slots.iter().any(|slot| matches!(slot.kind, Kind::Condition { .. })) {
        lines.push("  'help conditions' lists the conditions.".to_string());
    }
    lines.join("\n")
}
