//! Tracks: a row for each client or node, and on it what it saw or was, stretch by stretch.

use std::fmt::Write as _;

use super::axis::{Axis, WIDTH};
use crate::text::escape;

/// How high a row is, in pixels.
const ROW: usize = 16;

/// What a stretch of a row says. Each has a height and a color of its own, so that it is known without the color.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SpanKind {
    /// Nothing is under way.
    Idle,
    /// A call is under way, and nothing ended.
    Waiting,
    Answered,
    /// Answered, and the store refused it, such as creating a key that exists.
    Refused,
    /// Certainly without effect.
    Rejected,
    /// It may have had an effect.
    Unknown,
    Follower,
    Candidate,
    Leader,
    Paused,
    Down,
}

/// A stretch of a row, in the axis' unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    pub from: f64,
    pub to: f64,
    pub kind: SpanKind,
    pub label: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Track {
    pub name: String,
    pub spans: Vec<Span>,
}

/// Rows below one another, with a title.
#[derive(Clone, PartialEq, Debug)]
pub struct Tracks {
    pub title: String,
    /// What was left out, or how to read it; empty if there is nothing to say.
    pub note: String,
    pub rows: Vec<Track>,
}

impl SpanKind {
    const ALL: [SpanKind; 11] = [
        SpanKind::Answered,
        SpanKind::Refused,
        SpanKind::Rejected,
        SpanKind::Unknown,
        SpanKind::Waiting,
        SpanKind::Idle,
        SpanKind::Leader,
        SpanKind::Candidate,
        SpanKind::Follower,
        SpanKind::Paused,
        SpanKind::Down,
    ];

    pub(super) fn class(self) -> &'static str {
        match self {
            SpanKind::Idle => "idle",
            SpanKind::Waiting => "waiting",
            SpanKind::Answered => "answered",
            SpanKind::Refused => "refused",
            SpanKind::Rejected => "rejected",
            SpanKind::Unknown => "unknown",
            SpanKind::Follower => "follower",
            SpanKind::Candidate => "candidate",
            SpanKind::Leader => "leads",
            SpanKind::Paused => "paused",
            SpanKind::Down => "down",
        }
    }

    /// Its meaning; none if it is not drawn.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            SpanKind::Idle | SpanKind::Down => None,
            SpanKind::Waiting => Some("waiting for an answer"),
            SpanKind::Answered => Some("answered"),
            SpanKind::Refused => Some("answered with ERR by the store"),
            SpanKind::Rejected => Some("rejected: certainly without effect"),
            SpanKind::Unknown => Some("unknown: may have had an effect"),
            SpanKind::Follower => Some("follower"),
            SpanKind::Candidate => Some("candidate"),
            SpanKind::Leader => Some("leader"),
            SpanKind::Paused => Some("paused"),
        }
    }

    /// How high it is in its row, in pixels.
    fn height(self) -> usize {
        match self {
            SpanKind::Idle | SpanKind::Down => 0,
            SpanKind::Waiting | SpanKind::Paused => 2,
            SpanKind::Follower => 4,
            SpanKind::Answered | SpanKind::Refused | SpanKind::Candidate => 8,
            SpanKind::Rejected => 11,
            SpanKind::Unknown | SpanKind::Leader => 14,
        }
    }
}

impl Tracks {
    pub(super) fn height(&self) -> f64 {
        f64::from(u32::try_from(self.rows.len() * ROW).unwrap_or(u32::MAX))
    }

    /// The rows, with these drawings behind them and in front.
    pub(super) fn html(&self, axis: &Axis, behind: &str, front: &str, html: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        let height = self.rows.len() * ROW;
        let _ = writeln!(
            html,
            "<section class=\"panel tracks\"><h3>{}</h3>\n<div class=\"plot\" style=\"height:{height}px\">",
            escape(&self.title)
        );
        for (nth, row) in self.rows.iter().enumerate() {
            let middle = nth * ROW + ROW / 2;
            let _ = write!(html, "<span class=\"y\" style=\"top:{middle}px\">{}</span>", escape(&row.name));
        }
        let _ = writeln!(
            html,
            "\n<svg viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\n{behind}"
        );
        for (nth, row) in self.rows.iter().enumerate() {
            let middle = nth * ROW + ROW / 2;
            let _ = writeln!(html, "<path class=\"grid\" d=\"M0 {middle}H{WIDTH}\"/>");
            for span in &row.spans {
                draw(span, axis, middle, html);
            }
        }
        let _ = writeln!(html, "{front}</svg></div>");
        self.legend(html);
        if !self.note.is_empty() {
            let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&self.note));
        }
        html.push_str("</section>\n");
    }

    fn legend(&self, html: &mut String) {
        let has =
            |kind: &SpanKind| self.rows.iter().any(|row| row.spans.iter().any(|span| span.kind == *kind));
        let kinds = SpanKind::ALL.into_iter().filter(has).filter_map(|kind| Some((kind, kind.name()?)));
        html.push_str("<p class=\"legend\">");
        for (kind, name) in kinds {
            let (class, height) = (kind.class(), kind.height());
            let _ =
                write!(html, "<span><i class=\"key {class}\" style=\"height:{height}px\"></i>{name}</span> ");
        }
        html.push_str("</p>\n");
    }
}

fn draw(span: &Span, axis: &Axis, middle: usize, html: &mut String) {
    let height = span.kind.height();
    if height == 0 {
        return;
    }
    let (from, to) = (axis.part(span.from) * WIDTH, axis.part(span.to) * WIDTH);
    let _ = writeln!(
        html,
        "<rect class=\"{}\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{height}\"><title>{}</title></rect>",
        span.kind.class(),
        middle - height / 2,
        (to - from).max(1.5),
        escape(&span.label)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_stretches_and_the_legend_what_is_drawn() {
        let span = |from, to, kind, label: &str| Span { from, to, kind, label: label.to_string() };
        let spans = vec![
            span(0.0, 1.0, SpanKind::Answered, "answered <1>"),
            span(1.0, 1.0, SpanKind::Unknown, "unknown 1"),
            span(1.0, 2.0, SpanKind::Idle, "nothing"),
        ];
        let rows =
            vec![Track { name: "c1".to_string(), spans }, Track { name: "c2".to_string(), spans: vec![] }];
        let tracks = Tracks { title: "What each client saw".to_string(), note: String::new(), rows };
        let mut html = String::new();
        tracks.html(&Axis::time(2.0), "<!--behind-->", "<!--front-->", &mut html);
        assert!(html.contains("<title>answered &lt;1&gt;</title>") && html.contains(">c2</span>"), "{html}");
        assert!(html.contains("class=\"unknown\" x=\"500.0\" y=\"1\" width=\"1.5\" height=\"14\""), "{html}");
        assert!(!html.contains("nothing") && html.matches("class=\"key ").count() == 2, "{html}");
        let places = ["<!--behind-->", "class=\"answered\"", "<!--front-->"].map(|part| html.find(part));
        assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
    }
}
