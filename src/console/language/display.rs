//! The canonical text of directives: what history, saved scripts and transcripts show. It parses back to the
//! same directive.

use std::borrow::Cow;
use std::fmt;

use super::directive::{
    DataDirective, DataOperation, Directive, EventFilter, Line, Link, LinkEnd, LoadDirective, PIPE_COUNT,
    PartitionShape, ReadMode, Target,
};
use super::units::duration_text;
use crate::quoting::{quote, word};
use crate::types::NodeId;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.directive)?;
        match self.lasting {
            Some(duration) => write!(f, " for {}", duration_text(duration)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Directive::Data(data) = self {
            return data.fmt(f);
        }
        f.write_str(self.name())?;
        for word in self.words() {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl Directive {
    /// The words after the verb.
    fn words(&self) -> Vec<String> {
        match self {
            Directive::Status { node } | Directive::Dump { node } => shown(node.as_ref()),
            Directive::Outcome { token } => shown(token.as_ref()),
            Directive::Pipe { count } if *count != PIPE_COUNT => vec![count.to_string()],
            Directive::Load(load) => load.words(),
            Directive::LoadStop => vec!["stop".to_string()],
            Directive::Crash { target, power } => with_option(target, *power, "--power"),
            Directive::Restart { target, wipe } => with_option(target, *wipe, "--wipe"),
            Directive::Stop { target }
            | Directive::Pause { target }
            | Directive::Resume { target }
            | Directive::Isolate { target }
            | Directive::Connect { target }
            | Directive::FillDisk { target }
            | Directive::Snapshot { target }
            | Directive::Timeout { target } => vec![target.to_string()],
            Directive::Partition(shape) => vec![shape.to_string()],
            Directive::Heal { link } => shown(link.as_ref()),
            Directive::Cut { link } => vec![link.to_string()],
            Directive::Drop { chance, link }
            | Directive::Duplicate { chance, link }
            | Directive::Reorder { chance, link } => then(chance.to_string(), shown(link.as_ref())),
            Directive::Delay { delay, jitter, link } => {
                let jitter = jitter.map(|jitter| format!("jitter {}", duration_text(jitter)));
                then(duration_text(*delay), jitter.into_iter().chain(shown(link.as_ref())))
            }
            Directive::SlowDisk { target, delay: duration }
            | Directive::StallDisk { target, duration }
            | Directive::SkewClock { target, ahead: duration } => {
                vec![target.to_string(), duration_text(*duration)]
            }
            Directive::Speed { speed } => vec![speed.to_string()],
            Directive::Step { duration } => duration.map(duration_text).into_iter().collect(),
            Directive::Log { target, last } => {
                let last = last.map(|last| format!("--last {last}"));
                shown(target.as_ref()).into_iter().chain(last).collect()
            }
            Directive::Logs { target, follow } => {
                let follow = follow.then(|| "--follow".to_string());
                shown(target.as_ref()).into_iter().chain(follow).collect()
            }
            Directive::Events { filter } => shown(filter.as_ref()),
            Directive::Wait { condition, within } => then(condition.to_string(), within.map(duration_text)),
            Directive::Expect { expectation } => vec![expectation.to_string()],
            Directive::Sleep { duration } => vec![duration_text(*duration)],
            Directive::Run { file } => vec![word(file).into_owned()],
            Directive::Echo { text } if text.is_empty() => Vec::new(),
            Directive::Echo { text: said } => vec![text(said).into_owned()],
            Directive::Help { topic } => shown(topic.as_ref()),
            _ => Vec::new(),
        }
    }
}

impl LoadDirective {
    fn words(&self) -> Vec<String> {
        let LoadDirective { rate, clients, batch, duration, reads, background } = self;
        let options = [
            ("--rate", rate.map(|rate| rate.to_string())),
            ("--clients", clients.map(|clients| clients.to_string())),
            ("--batch", batch.map(|batch| batch.to_string())),
            ("--duration", duration.map(duration_text)),
            ("--reads", reads.map(|reads| reads.to_string())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        given.chain(background.then(|| "&".to_string())).collect()
    }
}

impl fmt::Display for DataDirective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.name(), word(self.operation.key()))?;
        match &self.operation {
            DataOperation::Create { value, .. }
            | DataOperation::Update { value, .. }
            | DataOperation::Put { value, .. } => write!(f, " {}", word(value))?,
            DataOperation::Cas { expected, value, .. } => write!(f, " {} {}", word(expected), word(value))?,
            DataOperation::Read { .. } | DataOperation::Delete { .. } => {}
        }
        if let Some(node) = self.at {
            write!(f, " @{node}")?;
        }
        match &self.operation {
            DataOperation::Read { mode: ReadMode::Stale, .. } => f.write_str(" --stale")?,
            DataOperation::Read { mode: ReadMode::Lease, .. } => f.write_str(" --lease")?,
            _ => {}
        }
        match self.timeout {
            Some(timeout) => write!(f, " --timeout {}", duration_text(timeout)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Nodes(nodes) => f.write_str(&joined(nodes, ",")),
            Target::Leader => f.write_str("leader"),
            Target::Followers => f.write_str("followers"),
            Target::Random => f.write_str("random"),
            Target::Minority => f.write_str("minority"),
            Target::Majority => f.write_str("majority"),
            Target::All => f.write_str("all"),
        }
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Node(node) => node.fmt(f),
            LinkEnd::Clients => f.write_str("clients"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::OneWay { from, to } => write!(f, "{from}>{to}"),
            Link::BothWays { one, other } => write!(f, "{one}<>{other}"),
            Link::Clients => f.write_str("clients"),
        }
    }
}

impl fmt::Display for PartitionShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionShape::Groups(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| joined(group, " ")).collect();
                f.write_str(&groups.join(" / "))
            }
            PartitionShape::Halves => f.write_str("halves"),
            PartitionShape::Minority => f.write_str("minority"),
            PartitionShape::Bridge(node) => write!(f, "bridge {node}"),
            PartitionShape::Ring => f.write_str("ring"),
        }
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventFilter::On => "on",
            EventFilter::Off => "off",
            EventFilter::Election => "election",
            EventFilter::Net => "net",
            EventFilter::All => "all",
        })
    }
}

/// A text of several words, as it is written at the end of a line: plain when its words can stand as they are.
pub(super) fn text(said: &str) -> Cow<'_, str> {
    let plain = said.split(' ').all(|part| matches!(word(part), Cow::Borrowed(_)));
    if plain { Cow::Borrowed(said) } else { Cow::Owned(quote(said)) }
}

fn joined(nodes: &[NodeId], between: &str) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    names.join(between)
}

fn shown<T: fmt::Display>(argument: Option<&T>) -> Vec<String> {
    argument.iter().map(ToString::to_string).collect()
}

fn then(first: String, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(first).chain(rest).collect()
}

fn with_option(target: &Target, chosen: bool, option: &str) -> Vec<String> {
    then(target.to_string(), chosen.then(|| option.to_string()))
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::console::language::parse;

    #[test]
    fn lines_are_shown_in_one_canonical_form() {
        for (written, shown) in [
            ("LS n2", "status n2"),
            ("load & --reads 50% --rate=100", "load --rate 100 --reads 50% &"),
            ("LOAD Stop", "load stop"),
            ("kill Leader --POWER for 2000ms", "crash leader --power for 2s"),
            ("start all", "restart all"),
            ("pipe 40", "pipe"),
            ("get x --timeout=500ms @N2 --stale", "read x @n2 --stale --timeout 500ms"),
            ("del 'a b'", "delete \"a b\""),
            ("partition n2,n1/n3", "partition n1 n2 / n3"),
            ("delay 20ms n1>n3", "delay 20ms n1>n3"),
            ("delay 0.02s Jitter 5ms clients", "delay 20ms jitter 5ms clients"),
            ("crash n3,n1,n3", "crash n1,n3"),
            ("logs -f", "logs --follow"),
            ("campaign n3", "timeout n3"),
            ("echo  a   b # c", "echo a b"),
            ("echo 'a  b'", "echo \"a  b\""),
            ("exit", "quit"),
            ("help kill", "help crash"),
        ] {
            assert_eq!(parse(written).unwrap().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_text_is_quoted_as_a_whole_or_not_at_all() {
        assert_eq!(text("a b"), "a b");
        assert_eq!(text("a  b"), "\"a  b\"");
        assert_eq!(text("issue #5"), "\"issue #5\"");
    }
}
