//! Timers, clocks and virtual time.

use std::time::Duration;

use super::rows::{Row, Run, verb};
use super::slots::{ANY_DURATION, BACK, DURATION, SPEED, TARGET};
use super::target::Fit;
use super::undo::{Work, dial_stands};
use super::wait::Waited;
use super::{Console, not_done};
use crate::config::RaftSettings;
use crate::console::language::{Answer, Directive, Topic, form};
use crate::lab::dials::Dial;
use crate::lab::{LabError, Life, NodeOrder, NodeView, only_in_virtual_time};
use crate::server::RoleName;
use crate::text::layout::duration_shown;
use crate::text::units::Speed;
use crate::types::{NodeId, Time};

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("timeout", Topic::Time, &[TARGET])
            .does("makes a node's election timer run out now", "timeout n3")
            .shows("5.2: a candidate needs the votes of a majority in its term")
            .also(&["campaign"]),
        |console, line| console.each(line, Fit::Awake, Console::campaign).0,
    ),
    verb(
        form("align-timers", Topic::Time, &[])
            .does("sets all election timers to the same moment", "align-timers")
            .shows("5.2: candidates at the same time split the vote"),
        Console::align_timers,
    ),
    verb(
        form("spread-timers", Topic::Time, &[])
            .does("sets the election timers far apart", "spread-timers")
            .shows("5.2: timeouts drawn at random make split votes rare"),
        Console::spread_timers,
    ),
    verb(
        form("skew-clock", Topic::Time, &[TARGET, DURATION])
            .does("sets a node's clock ahead; 0 holds it until time catches up", "skew-clock n2 100ms")
            .shows("D 6.4.1: reads by lease need clocks that agree; nothing else does")
            .lasting(),
        Console::skew_clock,
    ),
    verb(
        form("speed", Topic::Time, &[SPEED])
            .does("how fast virtual time passes: 1 is real time, or max", "speed 0.5")
            .shows("5.6: safety must not depend on timing"),
        Console::speed,
    ),
    verb(
        form("step", Topic::Time, &[BACK, ANY_DURATION])
            .does("lets virtual time pass by one event, or by a time; or back", "step 50ms")
            .shows("5.6: time decides when a leader is found, never what is true"),
        Console::step,
    ),
];

impl Console {
    fn campaign(&mut self, node: NodeId) -> Result<String, LabError> {
        let status = self.lab.view(node).status;
        if status.role == RoleName::Leader && self.lab.view(node).life == Life::Up {
            return Ok(format!("{node} leads term {}: it needs no election", status.term));
        }
        if !status.member.votes() {
            let why = status.member.word().unwrap_or_default();
            return Err(LabError::new(format!("{node} has no vote ({why}): it starts no election")));
        }
        self.lab.order(node, NodeOrder::Campaign)?;
        if self.lab.view(node).status.term == status.term {
            return Ok(format!(
                "{node} withholds its vote until the leader's lease ends: its election waits"
            ));
        }
        Ok(format!("{node} starts an election for term {}", status.term.next()))
    }

    fn align_timers(&mut self, line: &Directive) -> Answer {
        let max = self.lab.settings().now.election_max;
        self.set_timers(
            line,
            |_| max,
            |names, _| format!("election timers run out together in {}: {names}", duration_shown(max)),
        )
    }

    fn spread_timers(&mut self, line: &Directive) -> Answer {
        let RaftSettings { election_min: min, election_max: max, .. } = self.lab.settings().now;
        // Spread by whole timeouts, so that a candidate has won before the next one tries.
        let after = |at| min + max.saturating_sub(min) * at;
        self.set_timers(line, after, |_, times| {
            format!("election timers run out one after the other: {times}")
        })
    }

    /// Sets the timer of each node that waits for a leader, by its place among them. A leader has none.
    fn set_timers(
        &mut self,
        line: &Directive,
        after: impl Fn(u32) -> Duration,
        text: impl Fn(&str, &str) -> String,
    ) -> Answer {
        let picture = self.picture();
        let waits = |view: &NodeView| view.life == Life::Up && view.status.role != RoleName::Leader;
        let waiting = picture.nodes().iter().filter(|(_, view)| waits(view)).map(|(node, _)| *node);
        let waiting: Vec<NodeId> = waiting.collect();
        if waiting.is_empty() {
            return Answer::failed(line.name(), "no running node waits for a leader: 'status' shows them");
        }
        let mut times = Vec::new();
        for (at, node) in (0_u32..).zip(&waiting) {
            if let Err(error) = self.lab.order(*node, NodeOrder::SetElectionTimer(after(at))) {
                return not_done(line.name(), &error);
            }
            times.push(format!("{node} in {}", duration_shown(after(at))));
        }
        let names: Vec<String> = waiting.iter().map(NodeId::to_string).collect();
        Answer::ok(line.name(), text(&names.join(", "), &times.join(", "))).with("nodes", names)
    }

    fn skew_clock(&mut self, line: &Directive) -> Answer {
        let order = NodeOrder::SkewClock(*line.need(&DURATION));
        let end = self.end_after(line.lasting);
        let (answer, done) = self.each(line, Fit::Any, |console, node| {
            console.order(node, &order, end).map(|_| dial_stands(node, &order))
        });
        self.undo_after(end, Work::Dial(done, Dial::Clock));
        answer
    }

    fn speed(&mut self, line: &Directive) -> Answer {
        let speed = *line.need(&SPEED);
        let factor = match speed {
            Speed::Max => f64::INFINITY,
            Speed::Factor { per_thousand } => Duration::from_millis(per_thousand).as_secs_f64(),
        };
        match self.lab.set_speed(factor) {
            Ok(()) => Answer::ok("speed", format!("speed {speed}")).with("speed", speed.to_string()),
            Err(error) => Answer::failed("speed", error.with_advice()),
        }
    }

    fn step(&mut self, line: &Directive) -> Answer {
        if line.has(&BACK) {
            return self.step_back(line);
        }
        let span = line.get(&ANY_DURATION).copied();
        if self.past().is_some() {
            return self.step_on(span);
        }
        let begun = self.lab.now();
        let Some(lab) = self.lab.virtual_time() else {
            return Answer::failed("step", only_in_virtual_time("step"));
        };
        let events = lab.place().events;
        match span {
            None if !self.step_once(events, begun) => {
                return Answer::failed(
                    "step",
                    "nothing is to come: no node runs, and no line or fault waits",
                );
            }
            None => {}
            Some(span) => {
                if self.wait_until(begun + span, |_| false) == Waited::Interrupted {
                    return Self::interrupted("step", self.lab.now().since(begun));
                }
                // All that happens at the last moment belongs to it.
                let _ = self.lab.pass_to(begun + span);
            }
        }
        let now = self.lab.now();
        let text = format!("time {now}, {} later", duration_shown(now.since(begun)));
        Answer::ok("step", text).with("time", now.to_string())
    }

    /// Lets events happen until there have been more than this count, of the nodes, or what is due by itself, and what was left
    /// of the time at which it began is over. False if none is to come.
    fn step_once(&mut self, events: u64, begun: Time) -> bool {
        let mut is_to_come = true;
        while is_to_come && !self.lab.interrupted() {
            let due = self.next_undo().unwrap_or(Time::NEVER);
            let now = self.lab.now();
            let Some(lab) = self.lab.virtual_time() else { return false };
            if lab.place().events > events && now > begun {
                break;
            }
            is_to_come = lab.step(due);
            self.undo_due();
        }
        is_to_come || self.lab.virtual_time().is_some_and(|lab| lab.place().events > events)
    }
}
