//! `chaos`: faults at random, each a directive that ends by itself, drawn from a seed.
//!
//! Unless it is told otherwise, chaos takes no more nodes than the others can do without: a majority stays up and
//! connected, with disks that write, faults of a person included. What it does is done between directives, while one
//! waits, and while a person thinks at the prompt, as all that happens by itself here.

mod draw;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::draw::{KINDS, Situation, draw};
use super::rows::{Row, Run, verb};
use super::undo::{Undo, Work};
use super::{Console, notes};
use crate::console::language::{Answer, Directive, Kind, Outcome, Slot, Topic, form};
use crate::lab::dials::Dial;
use crate::lab::{DiskChange, NodeOrder};
use crate::text::layout::duration_shown;
use crate::text::units::duration_text;
use crate::text::{counted, joined};
use crate::types::{Random, Time};

pub(super) use self::draw::Draw;

const CHAOS: Slot = Slot::needed("start | stop", Kind::Choice { name: "part", words: &["start", "stop"] });
const FAULTS: Slot = Slot::if_fitting("FAULT,FAULT", Kind::Choices { name: "fault", words: &KINDS });
const EVERY: Slot = Slot::if_fitting("every DURATION", Kind::Named("every"));
const SEED: Slot = Slot::option("--seed", "N", Kind::Number, "draws what this seed decides");
const BEYOND_QUORUM: Slot = Slot::flag("--beyond-quorum", "spares no node: a majority may be lost");

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("chaos", Topic::Test, &[CHAOS, FAULTS, EVERY, SEED, BEYOND_QUORUM])
        .does(
            "random faults, each undone after a while; a majority stays up",
            "chaos start crash,partition every 2s",
        )
        .noting(notes::BY_THE_CONSOLE)
        .shows("5.1, 5.4: through all faults, what was answered stays; 'check' judges it")
        .undone("by 'chaos stop', which ends the faults it made"),
    Console::chaos,
)];

/// The kinds that are not drawn from unless they are named: reads by lease rely on clocks, and a disk that is slow for a moment
/// shows less than one that stalls.
const UNUSUAL: [&str; 2] = ["slow-disk", "skew-clock"];

/// Chaos under way.
#[derive(Clone, Debug)]
pub(super) struct Chaos {
    random: Random,
    kinds: Vec<&'static str>,
    /// The mean time from one fault to the next.
    every: Duration,
    next: Time,
    beyond_quorum: bool,
    begun: Time,
    drawn: usize,
}

impl Chaos {
    pub(super) fn due(&self) -> Time {
        self.next
    }

    /// Half of the mean to one and a half, in whole milliseconds.
    fn wait(&mut self) -> Duration {
        let mean = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(self.random.within(mean / 2, mean + mean / 2).max(1))
    }
}

impl Console {
    fn chaos(&mut self, line: &Directive) -> Answer {
        match (line.need::<&'static str>(&CHAOS), line.values().count()) {
            (&"stop", 1) => self.stop_chaos(),
            (&"stop", _) => Answer::failed("chaos", "'chaos stop' takes nothing more"),
            _ => self.start_chaos(line),
        }
    }

    fn start_chaos(&mut self, line: &Directive) -> Answer {
        if self.course.chaos.is_some() {
            return Answer::failed("chaos", "chaos is under way: 'chaos stop' ends it");
        }
        let named = line.get::<Vec<&'static str>>(&FAULTS);
        let disks = self.lab.has_disks();
        let kinds = match named {
            Some(kinds) if !disks && kinds.iter().any(|kind| kind.ends_with("-disk")) => {
                return Answer::failed(
                    "chaos",
                    "no disk to stall or slow down: this cluster keeps its state in memory",
                );
            }
            Some(kinds) => kinds.clone(),
            None => KINDS
                .into_iter()
                .filter(|kind| !UNUSUAL.contains(kind) && (disks || !kind.ends_with("-disk")))
                .collect(),
        };
        // As much slower as everything else is.
        let every = line.get(&EVERY).copied().unwrap_or(self.context.client_timeout / 2);
        if every.is_zero() {
            return Answer::failed("chaos", "'every' needs a duration above zero, such as 2s");
        }
        let seed =
            line.get(&SEED).copied().unwrap_or_else(|| self.lab.seed().wrapping_add(self.course.chaos_begun));
        self.course.chaos_begun += 1;
        let now = self.lab.now();
        let mut chaos = Chaos {
            random: Random::new(seed),
            kinds,
            every,
            next: now,
            beyond_quorum: line.has(&BEYOND_QUORUM),
            begun: now,
            drawn: 0,
        };
        chaos.next = now + chaos.wait();
        let (listed, often) = (joined(&chaos.kinds, ", "), duration_text(every));
        let kept = if chaos.beyond_quorum { "no node is spared" } else { "a majority is spared" };
        let text = format!("chaos: one of {listed} about every {often}; {kept}; seed {seed}");
        let answer = Answer::ok("chaos", text)
            .with("seed", seed)
            .with("faults", chaos.kinds.clone())
            .with("every", often)
            .with("beyond_quorum", chaos.beyond_quorum);
        self.course.chaos = Some(chaos);
        answer
    }

    fn stop_chaos(&mut self) -> Answer {
        let Some(chaos) = self.course.chaos.take() else {
            return Answer::failed("chaos", "there is no chaos: 'chaos start' begins it");
        };
        let now = self.lab.now();
        self.course.rerun.cut_short(now);
        let (own, others): (Vec<Undo>, Vec<Undo>) = self.course.undos.drain(..).partition(Undo::is_of_chaos);
        self.course.undos = others;
        let ended: Vec<String> = own.into_iter().flat_map(|undo| self.undo(undo)).collect();
        let (faults, lasted) = (counted(chaos.drawn, "fault"), duration_shown(now.since(chaos.begun)));
        let mut lines = vec![format!("chaos ended: {faults} in {lasted}")];
        lines.extend(ended.iter().cloned());
        Answer::ok("chaos", lines.join("\n")).with("faults", chaos.drawn).with("ended", ended)
    }

    /// Makes the next fault, if one can be made now.
    pub(super) fn act_chaos(&mut self) {
        let now = self.lab.now();
        let settings = &self.lab.settings().now;
        let election = (settings.election_min, settings.election_max);
        let (picture, rules) = (self.picture(), self.lab.network_rules());
        let Some(chaos) = self.course.chaos.as_mut() else { return };
        chaos.next = now + chaos.wait();
        let healthy = picture.healthy();
        let needed = if chaos.beyond_quorum { 0 } else { picture.quorum() };
        let spare = healthy.len().saturating_sub(needed);
        let situation = Situation { nodes: picture.names(), healthy, spare, rules, election };
        let span = chaos.wait() + chaos.every / 2;
        let Some(drawn) = draw(&mut chaos.random, &chaos.kinds, &situation, span) else { return };
        chaos.drawn += 1;
        self.make(&drawn);
    }

    fn make(&mut self, drawn: &Draw) {
        let text = drawn.to_string();
        let line = self.language.parse(&text).ok().flatten().expect("a draw is a directive");
        self.tell(&format!("chaos: {text}"));
        self.course.rerun.note_drawn(self.lab.now(), drawn.clone());
        let first = self.course.undo_count;
        let answer = self.perform(&line);
        if answer.outcome == Outcome::Failed {
            self.tell(&format!("chaos: {}", answer.text));
        } else if let Some(node) = drawn.stalled {
            let end = self.end_after(Some(drawn.span));
            let stall = NodeOrder::Disk(DiskChange::Stall(drawn.span));
            self.course.dials.set(node, &stall, end.map(|end| end.id));
            self.undo_after(end, Work::Dial(vec![node], Dial::StalledDisk));
        }
        self.give_to_chaos(first);
    }
}
