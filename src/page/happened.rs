//! What was done to a cluster, and who led it when: as bands and marks of a chart, and as a table.

use super::chart::{Band, BandKind, Mark, MarkKind};
use super::document::list;
use crate::text::shorten_to;

/// Letters of a directive that a mark shows.
const MARK_LETTERS: usize = 40;

/// A directive that was executed. Times are in seconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Deed {
    pub at: f64,
    /// When its fault ended; the same time if it is none.
    pub until: f64,
    pub directive: String,
    pub answer: String,
    pub ok: bool,
    /// It changes the cluster or what is around it: it is marked in charts.
    pub is_change: bool,
}

/// A change of the leader: when, and in words.
#[derive(Clone, PartialEq, Debug)]
pub struct LeaderChange {
    pub at: f64,
    pub text: String,
}

/// The stretches in which faults were active.
pub fn bands(deeds: &[Deed]) -> Vec<Band> {
    let harmful = deeds.iter().filter(|deed| deed.until > deed.at);
    let band = |deed: &Deed| Band {
        from: deed.at,
        to: deed.until,
        label: format!("{}: {}", deed.directive, deed.answer),
        kind: BandKind::Fault,
    };
    harmful.map(band).collect()
}

/// The moments, in order.
pub fn marks(deeds: &[Deed], leaders: &[LeaderChange]) -> Vec<Mark> {
    let changes = leaders.iter().map(|change| Mark {
        at: change.at,
        label: change.text.clone(),
        kind: MarkKind::Leader,
    });
    let done = deeds.iter().filter(|deed| deed.is_change).map(|deed| Mark {
        at: deed.at,
        label: shorten_to(&deed.directive, MARK_LETTERS),
        kind: MarkKind::Directive,
    });
    let mut marks: Vec<Mark> = changes.chain(done).collect();
    marks.sort_by(|one, other| one.at.total_cmp(&other.at));
    marks
}

/// Everything with its time, in order; nothing if nothing happened.
pub fn happened(deeds: &[Deed], leaders: &[LeaderChange], html: &mut String) {
    let said = |deed: &Deed| {
        let failed = if deed.ok || deed.answer.starts_with("ERR") { "" } else { "failed: " };
        match deed.answer.as_str() {
            "" => deed.directive.clone(),
            answer => format!("{}: {failed}{answer}", deed.directive),
        }
    };
    let done = deeds.iter().map(|deed| (deed.at, said(deed)));
    let led = leaders.iter().map(|change| (change.at, change.text.clone()));
    let mut all: Vec<(f64, String)> = done.chain(led).collect();
    if all.is_empty() {
        return;
    }
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    super::document::heading("What happened", html);
    list(all.into_iter().map(|(at, text)| (format!("{at:.2} s"), text)), html);
}
