//! What `help` answers, made from the forms. Every line fits 80 columns, and `help` without a subject fits a screen.

use super::form::{Form, Place, Topic};
use super::kind::Kind;
use super::parse::LINE_BYTES_MAX;
use super::target::TARGETS;
use super::vocabulary::{Language, THEMES, TOPICS};
use crate::config::VALUE_BYTES_MAX;
use crate::state_machine::kv::KEY_BYTES_MAX;
use crate::text::layout::{Align, table, wrap};
use crate::text::units::{DURATION_MAX, duration_text};

const WIDTH: usize = 80;

/// Where the verbs of a theme begin in the overview.
const VERBS_FROM: usize = 11;

/// What the theme of scripts says beside its verbs.
const ON_SCRIPTS: &str = "One directive a line; # begins a comment. A script stops at the first line that\n\
     fails and says which. A refused command (ERR x exists) does not fail a script;\n\
     say what you demand of the answer on the next line:\n  \
     create x 5\n  \
     expect err exists";

impl Language {
    /// The answer to `help`, or to `help` with the name of a verb, a theme or a topic.
    pub fn help(&self, subject: Option<&str>) -> String {
        let Some(name) = subject else { return self.overview() };
        if let Some(form) = self.find(name) {
            return detail(form);
        }
        match THEMES.into_iter().find(|(theme, _)| *theme == name) {
            Some((name, topic)) => self.theme(name, topic),
            None => self.topic(name),
        }
    }

    /// The themes with their verbs.
    fn overview(&self) -> String {
        let mut lines = vec![
            "verb [target] [arguments] [for DURATION]     # a comment".to_string(),
            "'help VERB': its form, an example and the rule of Raft that it shows.".to_string(),
            "'help THEME': what each verb of a theme does; 'help all': of all themes.".to_string(),
            String::new(),
        ];
        for (name, topic) in THEMES {
            let verbs: Vec<&str> = self.of(topic).map(|form| form.name).collect();
            let wrapped = wrap(&verbs.join(", "), WIDTH - VERBS_FROM);
            let heads = [name].into_iter().chain(std::iter::repeat(""));
            lines.extend(heads.zip(wrapped).map(|(head, verbs)| format!("{head:<VERBS_FROM$}{verbs}")));
        }
        lines.push(String::new());
        lines.push(format!("'help TOPIC': {}", TOPICS.join(", ")));
        lines.join("\n")
    }

    /// What each verb of a theme does.
    fn theme(&self, name: &str, topic: Topic) -> String {
        let mut lines = vec![name.to_string()];
        lines.extend(self.of(topic).map(|form| format!("  {:<14} {}", form.name, form.summary)));
        if topic == Topic::Test {
            lines.push(ON_SCRIPTS.to_string());
        }
        lines.join("\n")
    }

    fn of(&self, topic: Topic) -> impl Iterator<Item = &'static Form> {
        self.verbs().filter(move |form| form.topic == topic)
    }

    fn topic(&self, name: &str) -> String {
        match name {
            "targets" => format!(
                "A target names nodes: n2, a list n1,n3, or one of\n  {}\n\
                 random, minority and majority are drawn from the seed when the line runs.\n\
                 'all' and 'followers' leave out nodes for which the directive makes no sense.\n\
                 @n2 or @leader behind a data command asks that node and no other.",
                TARGETS.map(|(name, _)| name).join(", ")
            ),
            "links" => "A link is the way that messages take; each side is a target or clients:\n  \
                 n1>n3               from n1 to n3 only\n  \
                 n1<>n3              both ways\n  \
                 leader<>followers   between the leader and each follower\n  \
                 all>n2              from every other node to n2\n  \
                 n1>clients          answers of n1; clients>n1 are requests to it\n  \
                 clients             between clients and all nodes, both ways\n  \
                 nodes               between nodes, newcomers too\n\
                 Words are resolved when the line runs; the rule stays with those nodes.\n\
                 Without a link, a rule holds for every link, the clients' and newcomers' too."
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
                 Quotes also keep a value that begins with #, @ or -- as it is; so does a\n\
                 word -- before it: create x -- --5\n\
                 A key has at most {KEY_BYTES_MAX} bytes, a line at most {LINE_BYTES_MAX}.\n\
                 A value has at most value_bytes_max, a setting: {VALUE_BYTES_MAX} by default.",
            ),
            "all" => THEMES.map(|(name, topic)| self.theme(name, topic)).join("\n\n"),
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
    lines.extend(form.notes.iter().map(|note| format!("    {note}")));
    lines.push(format!("  example  {}", form.example));
    for (head, text) in [("undone", form.undone), ("shows", form.rule)] {
        let wrapped = if text.is_empty() { Vec::new() } else { wrap(text, WIDTH - 11) };
        let heads = [head].into_iter().chain(std::iter::repeat(""));
        lines.extend(heads.zip(wrapped).map(|(head, line)| format!("  {head:<8} {line}")));
    }
    for (kind, topic) in [
        (Kind::Condition { answers: false }, "conditions"),
        (Kind::Condition { answers: true }, "conditions"),
        (Kind::Link, "links"),
        (Kind::Target, "targets"),
    ] {
        if form.has(kind) {
            lines.push(format!("  see also 'help {topic}'"));
        }
    }
    lines.join("\n")
}
