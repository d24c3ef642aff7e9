//! The messages between nodes in space and time: a lane for each node, time downward, a line from where a message was
//! sent to where it arrived. One that was dropped ends in a cross.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::axis::WIDTH;
use super::happened::Deed;
use super::moments::{Moment, MomentKind};
use super::roles::stretches;
use super::scene::{Fold, Scene};
use crate::faults::DropReason;
use crate::text::escape;
use crate::text::layout::duration_shown;
use crate::text::numbers::{float, grouped};
use crate::trace::{Passage, PassageEnd, Recorded};
use crate::types::{NodeId, Time};

/// How far apart the labels of times stand at least, in pixels.
const TIME_HEIGHT: f64 = 24.0;

/// How far a message comes that is dropped, or under way: part of the way between lanes, and pixels down.
const DROPPED_AT: f64 = 0.62;
const DROPPED_DOWN: f64 = 9.0;

/// The picture of a recording of these nodes with what was done to them; empty if no message was recorded.
pub fn messages(nodes: &[NodeId], recorded: &Recorded, deeds: &[Deed]) -> String {
    let time = |at: f64| Time::ZERO + Duration::from_secs_f64(at.max(0.0));
    let changes = deeds.iter().filter(|deed| deed.is_change);
    let directives: Vec<(Time, String)> =
        changes.map(|deed| (time(deed.at), deed.directive.clone())).collect();
    let scene = Scene::new(recorded, &directives);
    if scene.passages.is_empty() {
        return String::new();
    }
    let height = scene.height();
    let lanes = Lanes(nodes);
    let mut html = format!(
        "<figure class=\"scene\" role=\"group\" data-readable tabindex=\"0\" aria-label=\"Messages between nodes. The arrow keys read messages.\">\n\
         <p class=\"soft\">{}</p>\n<div class=\"lane-names\">",
        escape(&remark(&scene))
    );
    for node in nodes {
        let _ = write!(html, "<span style=\"left:{:.2}%\">{node}</span>", lanes.x(*node) / WIDTH * 100.0);
    }
    let _ = writeln!(
        html,
        "</div>\n<div class=\"scene-scroll\"><div class=\"space\" style=\"height:{height:.0}px\">"
    );
    times(&scene, &mut html);
    let _ = writeln!(
        html,
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    for stretch in stretches(nodes, recorded, Time::NEVER) {
        let (from, to) =
            (scene.y(stretch.from), if stretch.to == Time::NEVER { height } else { scene.y(stretch.to) });
        if from < to {
            let (x, class) = (lanes.x(stretch.node), stretch.kind.class());
            let _ = writeln!(html, "<path class=\"lane {class}\" d=\"M{x:.0} {from:.1}V{to:.1}\"/>");
        }
    }
    for (time, _) in &scene.directives {
        let y = scene.y(*time);
        let _ = writeln!(html, "<path class=\"mark directive\" d=\"M0 {y:.1}H{WIDTH}\"/>");
    }
    // In the order of time, which is that in which they are read.
    let ways = scene.passages.iter().map(|passage| (passage.sent, line(passage, &scene, lanes)));
    let dots = scene.moments.iter().map(|moment| (moment.time, dot(moment, &scene, lanes)));
    let mut stops: Vec<(Time, String)> = ways.chain(dots).collect();
    stops.sort_by_key(|(time, _)| *time);
    html.extend(stops.into_iter().map(|(_, stop)| stop));
    html.push_str("</svg>\n");
    labels(&scene, lanes, &mut html);
    html.push_str("</div></div>\n");
    legend(&mut html);
    html.push_str("<p class=\"reading\" role=\"status\" aria-live=\"polite\"></p>\n</figure>\n");
    html
}

/// The nodes, each with its lane.
#[derive(Clone, Copy)]
struct Lanes<'a>(&'a [NodeId]);

impl Lanes<'_> {
    fn x(self, node: NodeId) -> f64 {
        let place = self.0.iter().position(|other| *other == node).unwrap_or(0);
        (float(place as u64) + 0.5) / float(self.0.len().max(1) as u64) * WIDTH
    }
}

impl MomentKind {
    fn class(self) -> &'static str {
        match self {
            MomentKind::Commit => "of-commit",
            MomentKind::Vote => "of-vote",
            MomentKind::Election => "of-election",
            MomentKind::Leader => "of-leader",
            MomentKind::Process => "of-process",
        }
    }
}

/// How to read it, and what is not there.
fn remark(scene: &Scene<'_>) -> String {
    let shown = grouped(scene.passages.len() as u64);
    let left_out = match scene.left_out {
        0 => String::new(),
        count => format!(
            ", {} are left out: heartbeats, and what is far from elections and faults",
            grouped(count)
        ),
    };
    format!("Time runs downward, quiet stretches are shortened. {shown} messages are shown{left_out}.")
}

/// The times at the left, where there is room, and the folds.
fn times(scene: &Scene<'_>, html: &mut String) {
    let mut room = f64::MIN;
    for (time, y) in scene.times().iter().filter(|(_, y)| y.is_finite()) {
        if *y >= room {
            let shown = format!("{:.4}", time.since(Time::ZERO).as_secs_f64());
            let _ = write!(html, "<span class=\"y\" style=\"top:{y:.1}px\">{shown} s</span>");
            room = y + TIME_HEIGHT;
        }
    }
    for Fold { top, length, messages } in &scene.folds {
        let length = duration_shown(*length);
        let text = match messages {
            0 => format!("{length} later"),
            1 => format!("{length} later, 1 message left out"),
            count => format!("{length} later, {} messages left out", grouped(*count as u64)),
        };
        let _ = write!(html, "<span class=\"fold\" style=\"top:{top:.1}px\">{text}</span>");
    }
    html.push('\n');
}

/// The message's line, with its words as the title.
fn line(passage: &Passage, scene: &Scene<'_>, lanes: Lanes<'_>) -> String {
    let (from, to, top) = (lanes.x(passage.from), lanes.x(passage.to), scene.y(passage.sent));
    let stops = |part: f64, down: f64| (from + part * (to - from), top + down);
    let (x, y) = match passage.end {
        PassageEnd::Arrived(at) => (to, scene.y(at)),
        PassageEnd::Lost(at, _) if at > passage.sent => (to, scene.y(at)),
        PassageEnd::Lost(..) | PassageEnd::UnderWay => stops(DROPPED_AT, DROPPED_DOWN),
    };
    let path = format!("M{from:.0} {top:.1}L{x:.0} {y:.1}");
    let end = match passage.end {
        PassageEnd::Arrived(_) => format!("<path class=\"head\" d=\"M{x:.0} {y:.1}h0\"/>"),
        PassageEnd::UnderWay => String::new(),
        PassageEnd::Lost(..) => {
            let [left, right, up, down] = [x - 6.0, x + 6.0, y - 5.0, y + 5.0];
            let cross =
                format!("M{left:.0} {up:.1}L{right:.0} {down:.1}M{left:.0} {down:.1}L{right:.0} {up:.1}");
            format!("<path class=\"cross\" d=\"{cross}\"/>")
        }
    };
    format!(
        "<g class=\"stop {}\"><title>{}</title><path class=\"wide\" d=\"{path}\"/><path class=\"way\" d=\"{path}\"/>{end}</g>\n",
        class(passage),
        escape(&passage.to_string())
    )
}

/// What happened at a node, with its words as the title.
fn dot(moment: &Moment, scene: &Scene<'_>, lanes: Lanes<'_>) -> String {
    let Moment { time, node, label, kind } = moment;
    let (x, y, class) = (lanes.x(*node), scene.y(*time), kind.class());
    let label = escape(label);
    format!(
        "<g class=\"stop\"><title>{time} {node} {label}</title><path class=\"dots {class}\" d=\"M{x:.0} {y:.1}h0\"/></g>\n"
    )
}

fn class(passage: &Passage) -> &'static str {
    match (passage.end, passage.name) {
        (PassageEnd::Lost(..), _) => "of-lost",
        _ if passage.quiet => "of-heartbeat",
        _ if passage.is_vote() => "of-vote",
        (_, "InstallSnapshot" | "InstallReply") => "of-snapshot",
        _ => "of-entries",
    }
}

/// The words beside the lanes: what happened there, directives, and why messages were dropped.
fn labels(scene: &Scene<'_>, lanes: Lanes<'_>, html: &mut String) {
    for moment in &scene.moments {
        let (x, y) = (lanes.x(moment.node) / WIDTH * 100.0, scene.y(moment.time));
        let (class, label) = (moment.kind.class(), escape(&moment.label));
        let side = if x > 70.0 { " leftward" } else { "" };
        let _ = writeln!(
            html,
            "<span class=\"moment {class}{side}\" style=\"left:{x:.2}%;top:{y:.1}px\">{label}</span>"
        );
    }
    for (time, text) in &scene.directives {
        let (y, text) = (scene.y(*time), escape(text));
        let _ = writeln!(html, "<span class=\"directive\" style=\"top:{y:.1}px\">&gt; {text}</span>");
    }
    // Each reason once, until a message of the link arrives again.
    let mut reasons: BTreeMap<(NodeId, NodeId), DropReason> = BTreeMap::new();
    for passage in &scene.passages {
        let link = (passage.from, passage.to);
        let PassageEnd::Lost(at, reason) = passage.end else {
            reasons.remove(&link);
            continue;
        };
        if reasons.insert(link, reason) == Some(reason) {
            continue;
        }
        let (from, to) = (lanes.x(passage.from), lanes.x(passage.to));
        let (part, down) = if at > passage.sent { (0.9, 0.0) } else { (DROPPED_AT, DROPPED_DOWN) };
        let (x, y) = ((from + part * (to - from)) / WIDTH * 100.0, scene.y(at) + down);
        let _ = writeln!(html, "<span class=\"reason\" style=\"left:{x:.2}%;top:{y:.1}px\">{reason}</span>");
    }
}

fn legend(html: &mut String) {
    html.push_str("<p class=\"legend\">");
    for (class, name) in [
        ("of-entries", "entries and their acknowledgement"),
        ("of-vote", "votes"),
        ("of-snapshot", "snapshot"),
        ("of-heartbeat", "heartbeat"),
        ("of-lost", "dropped"),
    ] {
        let _ = write!(
            html,
            "<span><svg class=\"key {class}\" viewBox=\"0 0 28 8\"><path class=\"way\" d=\"M1 4H27\"/></svg>{name}</span> "
        );
    }
    for (class, name) in
        [("leads", "leader"), ("candidate", "candidate"), ("follower", "follower"), ("down", "down")]
    {
        let _ = write!(html, "<span><i class=\"key lane-key {class}\"></i>{name}</span> ");
    }
    html.push_str("</p>\n");
}
