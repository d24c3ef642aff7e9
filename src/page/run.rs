//! The page of a run: what was typed, what each client saw, what each node was, and the messages between them.

use super::about::Origin;
use super::axis::{Axis, seconds as second_ticks};
use super::chart::{Band, Chart};
use super::document::{self, Tile};
use super::happened::{Deed, LeaderChange, bands, happened, marks};
use super::load;
use super::messages::messages;
use super::roles::{nodes_tracks, seconds};
use super::tracks::{Span, SpanKind, Track, Tracks};
use crate::check::history::{Operation, Outcome};
use crate::load::Summary;
use crate::raft::event::Event;
use crate::sim::seeds::{Family, RunReport};
use crate::text::numbers::grouped;
use crate::trace::{Recorded, TraceEvent, What};
use crate::types::{ClientId, NodeId, Time};

/// The most clients that have a row, and operations that are drawn.
const CLIENTS_MAX: usize = 12;
const OPERATIONS_MAX: usize = 2_000;

/// Changes of the leader that are shown at most: the newest.
const LEADERS_MAX: usize = 200;

/// A run up to now. Times are since it began.
pub struct RunPage<'a> {
    /// The run in a line.
    pub setup: String,
    pub nodes: Vec<NodeId>,
    pub now: Time,
    /// A line for each property that was checked.
    pub verdict: Vec<String>,
    pub deeds: Vec<Deed>,
    pub operations: Vec<&'a Operation>,
    /// The last load that ended, and when its measured time began.
    pub load: Option<(Time, &'a Summary)>,
    pub recorded: &'a Recorded,
    /// What a reader has to know beside it.
    pub notes: Vec<String>,
    /// How to make the run again: what that is, and the lines.
    pub again: (&'static str, String),
}

const TITLE: &str = "A run of a Raft cluster";

impl<'a> RunPage<'a> {
    /// The page of a random run, which has no typed lines: its faults are what the nodes told.
    pub fn of_seed(
        family: Family,
        report: &RunReport,
        recorded: &'a Recorded,
        operations: &'a [Operation],
        again: String,
    ) -> RunPage<'a> {
        let RunReport { seed, nodes, violations, length, .. } = report;
        let verdict = violations.iter().map(|violation| format!("FAIL {violation}"));
        let held = violations.is_empty().then(|| "PASS every property held".to_string());
        let now = Time::ZERO + *length;
        let family = family.name();
        RunPage {
            setup: format!(
                "{nodes} nodes in virtual time, seed {seed} of the family {family}, with faults that it draws"
            ),
            nodes: recorded.nodes(&NodeId::first(*nodes)),
            now,
            verdict: verdict.chain(held).collect(),
            deeds: deeds_of(recorded, now),
            // Client 0 is the audit at the end.
            operations: operations.iter().filter(|operation| operation.client != ClientId(0)).collect(),
            load: None,
            recorded,
            notes: vec!["Faults of the network are seen where messages are dropped.".to_string()],
            again: ("The same run again", again),
        }
    }

    pub fn html(&self) -> String {
        let leaders = leaders(self.recorded.events.iter());
        let mut body = format!("<h1>{TITLE}</h1>\n");
        document::remark(&self.setup, &mut body);
        let tiles = match self.load {
            Some((_, load)) => load::tiles(load),
            None => self.tiles(),
        };
        body.push_str(&document::summary(&self.verdict, &tiles));
        for note in &self.notes {
            document::remark(note, &mut body);
        }
        body.push_str(&self.chart(&leaders).html());
        if let Some((_, load)) = self.load {
            body.extend(load::percentiles(load).map(|chart| chart.html()));
            document::heading("Latency of the load", &mut body);
            load::percentile_table(load, &mut body);
        }
        self.messages(&mut body);
        happened(&self.deeds, &leaders, &mut body);
        self.operations(&mut body);
        document::heading("About this run", &mut body);
        document::list(Origin::here().rows(), &mut body);
        let (heading, lines) = &self.again;
        document::heading(heading, &mut body);
        document::command(lines, &mut body);
        document::document(TITLE, &body)
    }

    fn tiles(&self) -> Vec<Tile> {
        let won = |event: &&TraceEvent| matches!(event.what, What::Raft(Event::BecameLeader { .. }));
        let elected = self.recorded.events.iter().filter(won).count();
        let count = |kinds: &[SpanKind]| {
            let operations = self.operations.iter();
            operations.filter(|operation| kinds.contains(&kind_of(&operation.outcome))).count()
        };
        let answered = count(&[SpanKind::Answered, SpanKind::Refused]);
        let (rejected, unknown) = (count(&[SpanKind::Rejected]), count(&[SpanKind::Unknown]));
        let tile = |name, value: usize, note: String, alarming| Tile {
            name,
            value: grouped(value as u64),
            note,
            alarming,
        };
        vec![
            tile(
                "answered",
                answered,
                format!("of {} operations", grouped(self.operations.len() as u64)),
                false,
            ),
            tile(
                "without an answer",
                rejected + unknown,
                format!("{} rejected, {} unknown", grouped(rejected as u64), grouped(unknown as u64)),
                rejected + unknown > 0,
            ),
            tile("leaders elected", elected, format!("in {:.1} s", seconds(self.now)), false),
        ]
    }

    /// The load, the nodes and the clients over the time of the run.
    fn chart(&self, leaders: &[LeaderChange]) -> Chart {
        let until = seconds(self.now);
        let begins = |start: Time| seconds(start);
        let panels = self.load.map(|(start, load)| load::panels(load, begins(start))).unwrap_or_default();
        let outage = self.load.and_then(|(start, load)| load::outage(load, begins(start)));
        let mut tracks = vec![nodes_tracks(&self.nodes, self.recorded, until)];
        tracks.extend(self.clients(until));
        if let Some((start, load)) = self.load {
            let clients = load::clients(load, begins(start));
            tracks.push(Tracks { title: "What each client of the load saw".to_string(), ..clients });
        }
        let bands: Vec<Band> = bands(&self.deeds).into_iter().chain(outage).collect();
        Chart {
            title: "The run over time".to_string(),
            axis: Axis::time(until),
            ticks: second_ticks(until),
            label: "seconds since the run began".to_string(),
            shown: Box::new(|at| format!("{at:.2} s")),
            bands,
            marks: marks(&self.deeds, leaders),
            panels,
            tracks,
        }
    }

    /// A row for each client, or for a dozen of many, with its operations.
    fn clients(&self, until: f64) -> Option<Tracks> {
        let skipped = self.operations.len().saturating_sub(OPERATIONS_MAX);
        let newest = &self.operations[skipped..];
        let mut clients: Vec<ClientId> = newest.iter().map(|operation| operation.client).collect();
        clients.sort_unstable();
        clients.dedup();
        let count = clients.len();
        let shown: Vec<ClientId> =
            (0..count.min(CLIENTS_MAX)).map(|nth| clients[nth * count / count.min(CLIENTS_MAX)]).collect();
        let row = |client: &ClientId| Track {
            name: client.to_string(),
            spans: newest
                .iter()
                .filter(|operation| operation.client == *client)
                .map(|operation| span(operation, until))
                .collect(),
        };
        let mut notes = Vec::new();
        if shown.len() < count {
            notes.push(format!("{} of {} clients, spread evenly.", shown.len(), grouped(count as u64)));
        }
        if skipped > 0 {
            notes.push(format!("The first {} operations are left out.", grouped(skipped as u64)));
        }
        let rows: Vec<Track> = shown.iter().map(row).collect();
        (!rows.is_empty()).then(|| Tracks {
            title: "What each client saw".to_string(),
            note: notes.join(" "),
            rows,
        })
    }

    fn messages(&self, body: &mut String) {
        let picture = messages(&self.nodes, self.recorded, &self.deeds);
        document::heading("Messages between nodes", body);
        if picture.is_empty() {
            document::remark("No message was recorded: 'events all' records them from then on.", body);
        }
        body.push_str(&picture);
    }

    fn operations(&self, body: &mut String) {
        const LISTED_MAX: usize = 500;
        if self.operations.is_empty() {
            return;
        }
        let skipped = self.operations.len().saturating_sub(LISTED_MAX);
        let mut part = String::new();
        let line =
            |operation: &&Operation| (format!("{:.3} s", seconds(operation.called)), operation.to_string());
        document::list(self.operations[skipped..].iter().map(line), &mut part);
        if skipped > 0 {
            document::remark(&format!("The first {} are left out.", grouped(skipped as u64)), &mut part);
        }
        document::folded("Each operation", &part, body);
    }
}

/// The ends and pauses of nodes that a recording tells of, each until the node runs again.
fn deeds_of(recorded: &Recorded, now: Time) -> Vec<Deed> {
    let events = || recorded.events.iter();
    let runs_again = |what: &What| matches!(what, What::Started { .. } | What::Resumed);
    let deed = |event: &TraceEvent| {
        let what = match event.what {
            What::Crashed { power: false } => "crashed",
            What::Crashed { power: true } => "lost its power",
            What::Stopped => "stopped",
            What::Paused => "paused",
            What::StorageFailed { .. } => "ended: its disk failed",
            What::Panicked { .. } | What::MachineFailed { .. } => "panicked",
            _ => return None,
        };
        let mut later = events().filter(|later| later.node == event.node && later.time > event.time);
        let until = later.find(|later| runs_again(&later.what)).map_or(now, |later| later.time);
        Some(Deed {
            at: seconds(event.time),
            until: seconds(until),
            directive: format!("{} {what}", event.node),
            answer: String::new(),
            ok: true,
            is_change: true,
        })
    };
    events().filter_map(deed).collect()
}

/// The changes of the leader among these events.
fn leaders<'a>(events: impl Iterator<Item = &'a TraceEvent>) -> Vec<LeaderChange> {
    let change = |event: &TraceEvent| {
        let text = match &event.what {
            What::Raft(Event::BecameLeader { term }) => format!("{} leads term {term}", event.node),
            What::Raft(Event::SteppedDown { term, led: true, .. }) => {
                format!("{} no longer leads term {term}", event.node)
            }
            _ => return None,
        };
        Some(LeaderChange { at: seconds(event.time), text })
    };
    let mut leaders: Vec<LeaderChange> = events.filter_map(change).collect();
    leaders.drain(..leaders.len().saturating_sub(LEADERS_MAX));
    leaders
}

fn span(operation: &Operation, until: f64) -> Span {
    // One of unknown outcome may take effect until the end.
    let to = operation.returned.map_or(until, seconds);
    let (from, kind) = (seconds(operation.called), kind_of(&operation.outcome));
    Span { from, to, kind, label: operation.to_string() }
}

fn kind_of(outcome: &Outcome) -> SpanKind {
    match outcome {
        Outcome::Changed | Outcome::Found(_) => SpanKind::Answered,
        Outcome::Exists | Outcome::NotFound | Outcome::Mismatch(_) => SpanKind::Refused,
        Outcome::Refused => SpanKind::Rejected,
        Outcome::Unknown => SpanKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::history::Action;

    #[test]
    fn a_run_without_anything_is_a_whole_page() {
        let recorded = Recorded::default();
        let run = RunPage {
            setup: "3 nodes".to_string(),
            nodes: NodeId::first(3),
            now: Time::ZERO,
            verdict: Vec::new(),
            deeds: Vec::new(),
            operations: Vec::new(),
            load: None,
            recorded: &recorded,
            notes: Vec::new(),
            again: ("Typed so far", String::new()),
        };
        let page = run.html();
        assert!(page.ends_with("</html>\n") && !page.contains("NaN") && !page.contains("inf%"), "{page}");
        assert!(page.contains("No message was recorded"), "{page}");
        let millis = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let operation = Operation {
            client: ClientId(1),
            key: "x".to_string(),
            action: Action::Put("<5>".to_string()),
            called: millis(10),
            returned: None,
            outcome: Outcome::Unknown,
            index: None,
        };
        let page = RunPage { operations: vec![&operation], now: millis(40), ..run }.html();
        assert!(page.contains("class=\"unknown\" x=\"250.0\" y=\"1\" width=\"750.0\""), "{page}");
        assert!(page.contains("c1 put x=&lt;5&gt;"), "{page}");
    }
}
