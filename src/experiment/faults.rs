//! Directives that are executed at set times of a run.

use std::time::Duration;

use crate::console::executor::parse;
use crate::console::language::{Directive, Topic};
use crate::text::nodes::no_such_node;
use crate::text::units::{duration_text, parse_duration};
use crate::types::NodeId;

/// A line and its time, from the moment at which counting begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimedLine {
    pub at: Duration,
    pub line: Directive,
}

impl TimedLine {
    /// From the two words of `--at`.
    ///
    /// # Errors
    /// One line: what is wrong with the time or with the directive.
    pub fn parse(at: &str, text: &str) -> Result<TimedLine, String> {
        let at = parse_duration(at)?;
        let place = format!("--at {} '{text}'", duration_text(at));
        let line = parse(text).map_err(|error| format!("{place}: {error}"))?;
        let line = line.ok_or_else(|| format!("{place}: there is no directive"))?;
        match line.name() {
            "quit" | "load" => Err(format!("{place}: a load has its own end, and no other load in it")),
            verb @ ("speed" | "step") => Err(format!("{place}: '{verb}' needs virtual time")),
            _ => Ok(TimedLine { at, line }),
        }
    }

    /// The node that comes with it: `replace n2 with n4` names it last.
    fn newcomer(&self) -> Option<NodeId> {
        self.named().pop().filter(|_| matches!(self.line.name(), "add" | "replace"))
    }

    fn named(&self) -> Vec<NodeId> {
        let text = self.line.to_string();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.filter_map(|word| word.parse().ok()).collect()
    }

    /// Checks that it makes sense on a cluster that begins with these nodes, in a run of this length with these lines.
    ///
    /// # Errors
    /// One line: what is not there.
    pub fn check(
        &self,
        founders: &[NodeId],
        lines: &[TimedLine],
        memory: bool,
        length: Option<Duration>,
    ) -> Result<(), String> {
        let come = lines.iter().filter(|line| line.at <= self.at).filter_map(TimedLine::newcomer);
        let mut nodes: Vec<NodeId> = founders.iter().copied().chain(come).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let place = format!("--at {} '{}'", duration_text(self.at), self.line);
        if let Some(length) = length.filter(|length| self.at >= *length) {
            return Err(format!("{place}: the run ends after {}", duration_text(length)));
        }
        let disk = matches!(self.line.name(), "slow-disk" | "stall-disk" | "fill-disk");
        if disk && memory {
            return Err(format!("{place}: there is no disk in memory: leave out --memory"));
        }
        if self.line.form.topic == Topic::Data || matches!(self.line.name(), "echo" | "run") {
            return Ok(());
        }
        let stranger = self.named().into_iter().find(|node| !nodes.contains(node));
        let missing = stranger.map(|node| format!("{place}: {}", no_such_node(node, &nodes)));
        missing.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(at: &str, text: &str) -> String {
        let nodes = NodeId::first(3);
        let parsed = TimedLine::parse(at, text);
        let reason = parsed.and_then(|line| line.check(&nodes, &[], true, Some(Duration::from_secs(5))));
        let reason = reason.expect_err(text);
        assert!(!reason.contains('\n'), "{reason}");
        reason
    }

    #[test]
    fn an_impossible_line_is_known_before_the_run() {
        assert!(refused("1s", "crsh leader").contains("did you mean 'crash'"));
        assert!(refused("1x", "crash leader").contains("'1x' is not a duration"));
        assert!(refused("1s", "crash n9").ends_with("there is no n9: the nodes are n1 to n3"));
        assert!(refused("1s", "partition n1 n2 / n4").contains("no n4"));
        assert!(refused("6s", "crash leader").ends_with("the run ends after 5s"));
        assert!(refused("1s", "fill-disk n1").contains("no disk in memory"));
        for text in ["depose n2", "load", "quit", "step", "# nothing"] {
            refused("1s", text);
        }
    }

    #[test]
    fn a_possible_line_is_taken() {
        for text in
            ["crash leader", "restart all", "put n9 1", "delay 5ms n1>n3", "partition n1 / n2 n3 for 1s"]
        {
            let line = TimedLine::parse("2s", text).expect(text);
            let length = Some(Duration::from_secs(5));
            assert_eq!(line.check(&NodeId::first(3), &[], true, length), Ok(()), "{text}");
        }
    }
}
