//! One client's thread: it keeps its calls under way, and notes how each ended.
//!
//! A closed loop sends when there is room. In an open loop calls are due at set times, independent of answers; a call that
//! finds no room leaves later, and its latency counts from when it was due, even if that was in the warm-up. Calls that
//! still have no room when the time is up count as unsent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::caller::Caller;
use super::outage::Outages;
use super::pace::Pace;
use super::plan::{Amount, Plan};
use super::sampling::Recorder;
use super::tally::{CallTimes, Slice};
use super::workload::Workload;
use crate::ascending::Ascending;
use crate::client::{Answered, Ask, CALLS_MAX, CallId, Ended, Outcome};
use crate::history::Pending;
use crate::state_machine::kv::Answer;
use crate::text::numbers::{float, whole};
use crate::types::Time;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How long a client rests after a call that was rejected at once, so that it does not spin while no node answers.
const REST: Duration = Duration::from_millis(1);

/// Shared by all clients of a load.
#[derive(Debug)]
pub(super) struct Common {
    pub plan: Plan,
    pub start: Time,
    /// How long the slices of time are in which clients tell what they measured.
    pub slice: Duration,
    /// Set to end the load: clients send nothing more.
    pub stop: AtomicBool,
    /// When a client first saw that, in nanoseconds.
    stopped: AtomicU64,
    pub outages: Mutex<Outages>,
}

pub(super) enum Notice {
    /// A slice of time is over: what the client measured in it.
    Slice {
        client: usize,
        /// Which slice, from zero.
        number: u64,
        slice: Box<Slice>,
    },
    Ended {
        client: usize,
        recorder: Box<Recorder>,
        last: Time,
    },
}

pub(super) struct Client<C> {
    pub number: usize,
    pub common: Arc<Common>,
    pub caller: C,
    pub workload: Workload,
    pub recorder: Recorder,
    pub told: Sender<Notice>,
    /// Operations that it may still send, and that count.
    pub left: u64,
    pub pace: Option<Pace>,
}

struct Flight {
    due: Time,
    size: u64,
    counted: bool,
    pending: Pending,
}

struct Run<C> {
    client: Client<C>,
    flying: Ascending<CallId, Flight>,
    /// Operations in `flying`.
    in_flight: u64,
    /// The outages count this client as one that waits for an answer.
    waits: bool,
    slice: Slice,
    /// The number of the slice of time, from zero.
    number: u64,
    rest_until: Time,
    /// When it last looked, there was no room for what was due.
    crowded: bool,
    /// When it was first seen that nothing more is to be sent.
    over: Option<Time>,
    last: Time,
}

impl Common {
    pub(super) fn new(plan: Plan, start: Time) -> Common {
        let (stop, stopped) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let (end, slice) = (end(&plan, start), SECOND / plan.slices_a_second());
        Common { plan, start, slice, stop, stopped, outages: Mutex::new(Outages::new(start, end)) }
    }

    /// When the measured time ends, as far as it is known: the plan's end, or when it was seen that the load is to stop.
    pub(super) fn measured_until(&self) -> Time {
        self.end().min(Time::from_nanos(self.stopped.load(Ordering::Relaxed)))
    }

    /// Whether nothing that is due then is to be sent.
    fn is_over(&self, due: Time, left: u64) -> bool {
        due >= self.end() || left == 0 || self.stop.load(Ordering::Relaxed)
    }

    fn end(&self) -> Time {
        end(&self.plan, self.start)
    }

    /// A client saw that nothing more is to be sent.
    fn note_over(&self, now: Time) {
        if self.stop.load(Ordering::Relaxed) {
            self.stopped.fetch_min(now.as_nanos(), Ordering::Relaxed);
        }
    }
}

fn end(plan: &Plan, start: Time) -> Time {
    match plan.amount {
        Amount::For(duration) => start + duration,
        Amount::Count(_) | Amount::Unending => Time::NEVER,
    }
}

impl<C: Caller> Client<C> {
    /// Runs until the plan is done and every call has ended.
    pub(super) fn run(self) {
        let last = self.common.start;
        let run = Run {
            client: self,
            flying: Ascending::default(),
            in_flight: 0,
            waits: false,
            slice: Slice::default(),
            number: 0,
            rest_until: Time::ZERO,
            crowded: false,
            over: None,
            last,
        };
        run.go();
    }
}

impl<C: Caller> Run<C> {
    fn go(mut self) {
        let mut ended = Vec::new();
        loop {
            let now = self.client.caller.now();
            let wake = self.fill(now);
            self.tell_whether_it_waits(now);
            if self.over.is_none() && self.client.common.is_over(now, self.client.left) {
                self.over = Some(now);
                self.client.common.note_over(now);
            }
            if self.flying.is_empty() && self.over.is_some() {
                break;
            }
            // An idle client still notices within a second that it is to stop.
            self.client.caller.wait(wake.min(self.slice_ends()).min(now + SECOND), &mut ended);
            // A wait that found nothing took its time too.
            self.turn_over(self.client.caller.now());
            self.take(&mut ended);
        }
        self.slice.counts.unsent = self.unsent();
        let Run { client, slice, number, last, .. } = self;
        let Client { number: client, told, recorder, .. } = client;
        // A collector that is gone needs nothing.
        let _ = told.send(Notice::Slice { client, number, slice: Box::new(slice) });
        let _ = told.send(Notice::Ended { client, recorder: Box::new(recorder), last });
    }

    /// Sends the calls that are due and have room. Returns when to look again if no call ends before.
    fn fill(&mut self, now: Time) -> Time {
        if self.over.is_some() {
            return Time::NEVER;
        }
        if now < self.rest_until {
            return self.rest_until;
        }
        let common = Arc::clone(&self.client.common);
        let plan = &common.plan;
        let (mut asks, mut flights) = (Vec::new(), Vec::new());
        let wake = loop {
            let counts = now >= common.start;
            let due = self.client.pace.as_ref().map_or(now, |pace| pace.due);
            // A call that was due in time leaves at the first look after the end, if there is room.
            let over = common.is_over(due, if counts { self.client.left } else { u64::MAX });
            let full = self.in_flight + plan.batch > plan.in_flight_max() && self.in_flight > 0;
            if over {
                break Time::NEVER;
            }
            self.crowded = due <= now && (full || self.flying.len() + asks.len() >= CALLS_MAX);
            if self.crowded {
                break Time::NEVER;
            }
            if due > now {
                break due;
            }
            let batch = if counts { plan.batch.min(self.client.left) } else { plan.batch };
            if batch == 0 {
                break Time::NEVER;
            }
            let question = self.client.workload.next(batch);
            let ask = Ask { what: question.what, at: None, timeout: plan.timeout };
            let pending = self.client.recorder.begin(&ask, now);
            asks.push(ask);
            flights.push(Flight { due, size: question.size, counted: counts, pending });
            self.in_flight += question.size;
            if counts {
                self.client.left -= question.size;
                self.slice.counts.sent += question.size;
            }
            if let Some(pace) = &mut self.client.pace {
                pace.pass();
            }
        };
        if !asks.is_empty() {
            let calls = self.client.caller.send(asks);
            for (call, flight) in calls.zip(flights) {
                self.flying.insert(call, flight);
            }
        }
        // The end of the plan must be noticed.
        let end = common.end();
        if now < end { wake.min(end) } else { wake }
    }

    /// Operations of an open loop that were due and never had room.
    fn unsent(&self) -> u64 {
        let Client { pace: Some(pace), common, left, .. } = &self.client else { return 0 };
        if !self.crowded {
            // Calls that came due between the last look and the stop had room.
            return 0;
        }
        let until = self.over.unwrap_or(Time::ZERO).min(common.end());
        let operations = float(pace.behind(common.start, until)) * common.plan.operations_a_call();
        whole(operations.round()).min(*left)
    }

    fn take(&mut self, ended: &mut Vec<Ended>) {
        let common = Arc::clone(&self.client.common);
        let measured = common.start..common.measured_until();
        let (mut answered, mut failed) = (None, None);
        for ended in ended.drain(..) {
            // The call belongs to another holder of this client.
            let Some(flight) = self.flying.remove(ended.call_id) else { continue };
            let Flight { due, size, counted, pending } = flight;
            self.in_flight -= size;
            let returned = ended.returned();
            match &ended.outcome {
                Outcome::Answered(told) => {
                    answered = answered.max(Some(returned));
                    if counted {
                        self.slice.counts.refused += refused(told);
                    }
                    if measured.contains(&returned) {
                        self.slice.counts.in_time += size;
                    }
                }
                Outcome::Rejected(_) | Outcome::Unknown(_) | Outcome::Panicked(..) | Outcome::Settled(_) => {
                    failed = failed.max(Some(returned));
                    if matches!(ended.outcome, Outcome::Rejected(_)) && ended.took < REST {
                        self.rest_until = returned + REST;
                    }
                }
            }
            if counted {
                let response = if self.client.pace.is_some() { returned.since(due) } else { ended.took };
                let took = CallTimes { service: ended.took, response, timeout: common.plan.timeout };
                self.slice.note(&ended.outcome, size, took);
                self.last = self.last.max(returned);
            } else if returned >= common.start {
                self.slice.carry(&ended.outcome, size);
            }
            self.client.recorder.end(pending, &ended);
        }
        if answered.is_some() || failed.is_some() {
            let mut outages = common.outages.lock();
            if let Some(at) = answered {
                outages.answer(at);
            }
            if let Some(at) = failed {
                outages.fail(at);
            }
        }
    }

    /// Tells the outages when the client begins or ends to wait. A client that sends again at once never stopped waiting.
    fn tell_whether_it_waits(&mut self, now: Time) {
        let waits = !self.flying.is_empty();
        if waits != std::mem::replace(&mut self.waits, waits) {
            let mut outages = self.client.common.outages.lock();
            if waits { outages.begin(now) } else { outages.rest() }
        }
    }

    fn slice_ends(&self) -> Time {
        let length = self.client.common.slice;
        self.client.common.start + length * u32::try_from(self.number + 1).unwrap_or(u32::MAX)
    }

    /// Hands the slices of time that are over to the collector.
    fn turn_over(&mut self, now: Time) {
        while now >= self.slice_ends() {
            let mut slice = Box::new(std::mem::take(&mut self.slice));
            slice.waits = self.waits;
            let (client, number) = (self.client.number, self.number);
            let _ = self.client.told.send(Notice::Slice { client, number, slice });
            self.number += 1;
        }
    }
}

/// How many commands of a batch the store refused.
fn refused(answered: &Answered) -> u64 {
    // A read is no list: an absent key is an answer like any other.
    let answers = answered.answers::<Answer>().unwrap_or_default();
    answers.iter().filter(|answer| answer.refusal().is_some()).count() as u64
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{RecvTimeoutError, unbounded};

    use super::super::collector::{Event, Load};
    use super::*;
    use crate::cluster::Cluster;
    use crate::lab::Lab;

    /// How long anything may take before it counts as hanging.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn clients_without_anything_to_do_tell_their_seconds_and_see_that_they_are_to_stop() {
        let cluster = Cluster::builder().nodes(1).memory().start().expect("it starts");
        // Each has something to do once in a hundred seconds.
        let plan = Plan { clients: 100, rate: Some(1), amount: Amount::Unending, ..Plan::default() };
        let pipelines = (0..plan.clients).map(|_| cluster.pipeline().expect("it runs")).collect();
        let (sender, rows) = unbounded();
        let on_event = move |event: Event<'_>| {
            if let Event::Row(row) = event {
                let _ = sender.send(row.second);
            }
        };
        let load = Load::start(&plan, pipelines, None, on_event).expect("threads are there");
        for second in 1..=2 {
            assert_eq!(rows.recv_timeout(PATIENCE), Ok(second), "idle seconds are rows as well");
        }
        load.stop();
        assert_eq!(load.ended().recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected), "all ended");
        load.join();
        cluster.shutdown();
    }
}
