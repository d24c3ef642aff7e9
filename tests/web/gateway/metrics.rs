//! `/metrics` and `/status`, while leaders crash, and nodes come and go.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;

use super::{Line, Served, X, with_key};
use crate::process::PATIENCE;

/// A page of metrics.
struct Page(String);

impl Page {
    #[track_caller]
    fn read(line: &mut Line) -> Page {
        let answer = line.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = Page(answer.body.as_str().expect("it is text").to_string());
        page.check_form();
        page
    }

    /// Each family stands at one place, with its name once.
    #[track_caller]
    fn check_form(&self) {
        let families: Vec<&str> = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let different: BTreeSet<&str> = families.iter().copied().collect();
        assert_eq!(different.len(), families.len(), "{families:#?}");
        assert!(self.0.ends_with("# EOF\n"), "{}", self.0);
    }

    /// The value of a metric, with its labels as they are written; none without one.
    fn get(&self, metric: &str) -> Option<u64> {
        let value = |line: &str| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value)
    }

    /// The value of a metric at a node; none without one.
    fn of(&self, metric: &str, node: u8) -> Option<u64> {
        self.get(&format!("{metric}{{node=\"n{node}\"}}"))
    }

    /// The values of a metric at these nodes.
    #[track_caller]
    fn sum(&self, metric: &str, nodes: &[u8]) -> u64 {
        let value =
            |node| self.of(metric, node).unwrap_or_else(|| panic!("no {metric} of n{node} in {}", self.0));
        nodes.iter().map(|node| value(*node)).sum()
    }

    /// The value of a metric between two nodes; 0 before there is one.
    fn link(&self, metric: &str, from: u8, to: u8) -> u64 {
        self.get(&format!("{metric}{{from=\"n{from}\",to=\"n{to}\"}}")).unwrap_or_default()
    }

    /// How many of a node's durations lie below the end of each class, in the order of the classes.
    fn classes(&self, metric: &str, node: u8) -> Vec<u64> {
        let (begin, end) = (format!("{metric}_bucket{{"), format!("node=\"n{node}\"}}"));
        let of_node = |line: &str| line.strip_prefix(&begin)?.split_once(&end)?.1.trim().parse().ok();
        self.0.lines().filter_map(of_node).collect()
    }

    fn leader(&self) -> Option<u8> {
        (1..=9).find(|node| self.of("etcd_server_is_leader", *node) == Some(1))
    }
}

/// Asks until the page is so.
#[track_caller]
fn until(line: &mut Line, what: &str, is_so: impl Fn(&Page) -> bool) -> Page {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = Page::read(line);
        if is_so(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "not in time: {what}: {}", page.0);
    }
}

const COMMIT_DURATION: &str = "raftlab_commit_duration_seconds";
const COMMITS: &str = "raftlab_commit_duration_seconds_count";
const SYNCS: &str = "etcd_disk_wal_fsync_duration_seconds_count";
const CHANGES: &str = "etcd_server_leader_changes_seen_total";
const UP: &str = "raftlab_up";

#[test]
fn a_new_leader_is_counted_and_what_it_commits_is_measured() {
    let mut served = Served::start(&["3"]);
    let mut line = served.line();
    let put = with_key(X, ",\"value\":\"MQ==\"");
    assert_eq!(line.post("/v3/kv/put", &put).status, 200);
    let before = until(&mut line, "all know who leads, and it has committed", |page| {
        let is_measured = |leader| page.of(COMMITS, leader) >= Some(1) && page.of(SYNCS, leader) >= Some(1);
        page.leader().is_some_and(is_measured) && (1..=3).all(|node| page.of(CHANGES, node) >= Some(1))
    });
    let old = before.leader().expect("just seen");
    let others: Vec<u8> = (1..=3).filter(|node| *node != old).collect();
    let classes = before.classes(COMMIT_DURATION, old);
    assert!(classes.len() > 10 && classes.is_sorted(), "{classes:?}");
    assert_eq!(classes.last().copied(), before.of(COMMITS, old), "the last class has no end");
    assert!(classes.iter().nth_back(1) > Some(&0), "commits take no hours: {classes:?}");

    served.say(&format!("crash n{old}"));
    served.says(" crashed");
    let mut commits = 0;
    let after = loop {
        assert_eq!(line.post("/v3/kv/put", &put).status, 200);
        commits += 1;
        let page = until(&mut line, "a leader", |page| page.leader().is_some());
        if page.leader().is_some_and(|leader| page.sum(COMMITS, &[leader]) >= 3) {
            break page;
        }
        assert!(commits < 100, "what is committed is not counted: {}", page.0);
    };
    assert_eq!(after.of(UP, old), Some(0));
    assert_eq!(after.of("raftlab_term", old), None, "{}", after.0);
    for node in &others {
        let changes = |page: &Page| page.sum(CHANGES, &[*node]);
        assert!(changes(&after) > changes(&before), "n{node}: {}", after.0);
        assert!(after.sum(SYNCS, &[*node]) > before.sum(SYNCS, &[*node]), "n{node}: {}", after.0);
    }
    served.say(&format!("restart n{old}"));
    // The others have heard of one leader more than those that it hears of now, or of several.
    until(&mut line, "it is back and counts from zero", |page| {
        let stayed = others.iter().filter_map(|node| page.of(CHANGES, *node)).min();
        page.of(CHANGES, old) >= Some(1) && page.of(CHANGES, old) < stayed
    });
}

#[test]
fn snapshots_are_counted_where_they_are_made_and_where_they_are_installed() {
    let mut served = Served::start_with("client_timeout = \"20s\"\ntrailing_entries = 0\n", &["3"]);
    let mut line = served.line();
    assert_eq!(line.post("/v3/kv/put", &with_key(X, ",\"value\":\"MQ==\"")).status, 200);
    let (made, installed) = ("raftlab_snapshots_made_total", "raftlab_snapshots_installed_total");
    assert_eq!(Page::read(&mut line).sum(made, &[1, 2, 3]), 0);
    served.say("snapshot all");
    until(&mut line, "all have made one", |page| page.sum(made, &[1, 2, 3]) >= 3);
    served.say("crash n3");
    served.says(" crashed");
    served.say("restart n3 --wipe");
    let page = until(&mut line, "it got one", |page| page.of(installed, 3) >= Some(1));
    assert_eq!(page.sum(installed, &[1, 2]), 0);
}

#[test]
fn processes_are_seen_from_their_console_also_those_that_come_later() {
    let mut served = Served::start(&["3", "--processes"]);
    let mut line = served.line();
    assert_eq!(line.post("/v3/kv/put", &with_key(X, ",\"value\":\"MQ==\"")).status, 200);
    let (sent, lost) = ("raftlab_network_messages_sent_total", "raftlab_network_messages_dropped_total");
    until(&mut line, "all tell what they did", |page| {
        let has_sent = |from| (1..=3).any(|to| to != from && page.link(sent, from, to) > 0);
        let is_measured = |node| page.of(SYNCS, node) >= Some(1) && page.of(CHANGES, node) >= Some(1);
        (1..=3).all(|node| has_sent(node) && is_measured(node))
            && page.leader().is_some_and(|leader| page.of(COMMITS, leader) >= Some(1))
    });
    // Followers send one another nothing, so all links of one node are cut.
    served.say("isolate n1");
    until(&mut line, "what is lost is counted", |page| {
        (2..=3).any(|other| page.link(lost, 1, other) + page.link(lost, other, 1) > 0)
    });
    served.say("heal");
    served.say("wait leader");
    served.say("add n4");
    until(&mut line, "the fourth is there", |page| page.of(CHANGES, 4) >= Some(1));
    let nodes = line.get("/status").body["nodes"].clone();
    let of = |node: &str| nodes.as_array().and_then(|all| all.iter().find(|one| one["node"] == node));
    assert!(of("n4").is_some_and(|node| node["role"] != "down"), "{nodes}");
    let old = until(&mut line, "a leader", |page| page.leader().is_some()).leader().expect("just seen");
    let before = Page::read(&mut line);
    let other = (1..=3).find(|node| *node != old).expect("three");
    served.say(&format!("kill n{old}"));
    until(&mut line, "it is gone and another leads", |page| {
        page.of(UP, old) == Some(0) && page.leader().is_some_and(|leader| leader != old)
    });
    until(&mut line, "the others noticed", |page| page.of(CHANGES, other) > before.of(CHANGES, other));
    assert_eq!(line.post("/v3/kv/range", &with_key(X, "")).body["count"], json!("1"));
}
