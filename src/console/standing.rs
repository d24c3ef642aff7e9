//! How a cluster stands, in the words of the prompt: how many nodes run, and who leads which term.
//!
//! A line editor sets its cursor by the width that the prompt had when it began to read, so a prompt that changes while a
//! line is typed keeps that width.

use crate::types::{NodeId, Term, Time};

/// What the prompt says of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    pub up: usize,
    pub count: usize,
    pub leader: Option<NodeId>,
    /// The last of the nodes: no other has a longer name.
    pub last: Option<NodeId>,
    /// The term that the leader leads; without one, the newest term.
    pub term: Term,
    /// When it stands and until when its run is known, where that is later.
    pub past: Option<(Time, Time)>,
    /// How far a lesson is that waits at the prompt, in place of all that.
    pub lesson: Option<String>,
}

impl Standing {
    /// `raft 3/3 leader=n2 term=4> `. It is as wide with a leader as without one.
    pub fn text(&self) -> String {
        let Standing { up, count, leader, last, term, past, lesson } = self;
        if let Some(lesson) = lesson {
            return format!("{lesson}> ");
        }
        let digits = count.to_string().len();
        let named = |node: &NodeId| format!("leader={node}");
        let width = last.as_ref().map_or(0, |last| named(last).len());
        let leader = leader.as_ref().map_or("no leader".to_string(), named);
        let past =
            past.map_or(String::new(), |(time, end)| format!(" past={}/{}", seconds(time), seconds(end)));
        format!("raft {up:>digits$}/{count} {leader:<width$} term={term}{past}> ")
    }

    /// The same in exactly this many columns. A term with more digits than there were takes the space behind the prompt,
    /// then its first word.
    pub fn within(&self, columns: usize) -> String {
        let text = self.text();
        let short = text.strip_prefix("raft ").unwrap_or(&text);
        let fits = [text.as_str(), text.trim_end(), short, short.trim_end()];
        let chosen = fits.into_iter().find(|form| form.len() <= columns).unwrap_or(short);
        format!("{chosen:<columns$.columns$}")
    }
}

/// `1.250`.
fn seconds(time: Time) -> String {
    let millis = time.as_nanos() / 1_000_000;
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(leader: Option<u8>, term: u64) -> Standing {
        let (leader, last) = (leader.map(NodeId::new), Some(NodeId::new(3)));
        Standing { up: 3, count: 3, leader, last, term: Term(term), past: None, lesson: None }
    }

    #[test]
    fn a_prompt_is_as_wide_without_a_leader_as_with_one() {
        assert_eq!(standing(Some(2), 4).text(), "raft 3/3 leader=n2 term=4> ");
        assert_eq!(standing(None, 5).text(), "raft 3/3 no leader term=5> ");
        let of = |last: u8, up, count, leader| {
            Standing { up, count, last: Some(NodeId::new(last)), ..standing(leader, 4) }.text()
        };
        let of_twelve = |up, leader: Option<u8>| of(12, up, 12, leader);
        assert_eq!(of_twelve(12, Some(12)), "raft 12/12 leader=n12 term=4> ");
        assert_eq!(of_twelve(9, Some(3)), "raft  9/12 leader=n3  term=4> ");
        assert_eq!(of_twelve(9, None), "raft  9/12 no leader  term=4> ");
        assert_eq!(of(10, 2, 2, Some(9)), "raft 2/2 leader=n9  term=4> ", "n10 may lead, too");
    }

    #[test]
    fn a_prompt_says_that_the_run_stands_in_its_past() {
        let time = |micros: u64| Time::from_nanos(micros * 1_000);
        let past = Some((time(1_200_900), time(61_034_000)));
        let shown = Standing { past, ..standing(Some(2), 4) }.text();
        assert_eq!(shown, "raft 3/3 leader=n2 term=4 past=1.200/61.034> ");
    }

    #[test]
    fn a_prompt_keeps_its_width_while_its_term_grows() {
        let width = standing(Some(2), 9).text().len();
        let within = |term| standing(Some(3), term).within(width);
        assert_eq!(within(8), "raft 3/3 leader=n3 term=8> ");
        assert_eq!(within(10), "raft 3/3 leader=n3 term=10>");
        assert_eq!(within(100), "3/3 leader=n3 term=100>    ");
        assert_eq!(within(u64::MAX).len(), width, "with any term");
        assert_eq!(standing(Some(3), 9).within(width + 1), "raft 3/3 leader=n3 term=9>  ");
    }
}
