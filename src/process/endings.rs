//! What a console ordered for a time: the process ends it by its own steady clock, whether the console is still there or not.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};

use super::Inside;
use super::rules::HeldRules;
use crate::faults::EndId;
use crate::lab::NodeOrder;
use crate::lab::dials::{Dial, Dials};
use crate::remote::protocol::Answer;
use crate::state_machine::StateMachine;
use crate::text::layout::duration_shown;
use crate::trace::What;
use crate::types::NodeId;

/// The ends that are to come.
#[derive(Debug, Default)]
pub(super) struct Endings {
    pending: Vec<Pending>,
    dials: Dials,
    count: EndId,
}

#[derive(Debug)]
struct Pending {
    due: Instant,
    lasting: Duration,
    end: EndId,
    work: Work,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Work {
    Restart,
    Resume,
    Dial(Dial),
}

/// An order that ends something, and what to say when it is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub order: NodeOrder,
    pub said: String,
}

impl Endings {
    /// Notes an order that was executed, and how long what it did lasts. A node is started or resumed only if it was not
    /// started, ended, paused or resumed since.
    pub fn note(&mut self, node: NodeId, order: &NodeOrder, lasting: Option<Duration>) {
        let work = match order {
            NodeOrder::Crash | NodeOrder::PowerCut => Some(Work::Restart),
            NodeOrder::Pause => Some(Work::Resume),
            NodeOrder::Stop | NodeOrder::Restart | NodeOrder::Wipe | NodeOrder::Resume => None,
            _ => {
                let end = lasting.map(|_| self.count);
                self.dials.set(node, order, end);
                let Some((dial, lasting)) = Dial::of(order).zip(lasting) else { return };
                return self.push(Work::Dial(dial), lasting);
            }
        };
        self.pending.retain(|pending| matches!(pending.work, Work::Dial(_)));
        if let Some((work, lasting)) = work.zip(lasting) {
            self.push(work, lasting);
        }
    }

    fn push(&mut self, work: Work, lasting: Duration) {
        let due = Instant::now() + lasting;
        self.pending.push(Pending { due, lasting, end: self.count, work });
        self.count += 1;
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.due).min()
    }

    /// What has to end by now, and is then forgotten.
    pub fn take_due(&mut self, node: NodeId, now: Instant) -> Vec<End> {
        let (mut due, later): (Vec<Pending>, Vec<Pending>) =
            self.pending.drain(..).partition(|pending| pending.due <= now);
        self.pending = later;
        due.sort_by_key(|pending| pending.due);
        let end = |Pending { lasting, end, work, .. }: Pending| {
            let after = format!("after {}", duration_shown(lasting));
            Some(match work {
                Work::Restart => End { order: NodeOrder::Restart, said: format!("restarts {after}") },
                Work::Resume => End { order: NodeOrder::Resume, said: format!("resumes {after}") },
                Work::Dial(dial) => {
                    let order = self.dials.end(end, node, dial)?;
                    let said = match dial {
                        Dial::Clock => format!("its clock is as it was before, {after}"),
                        _ if order == dial.mended() => format!("its disk is repaired {after}"),
                        _ => format!("its disk is as it was before, {after}"),
                    };
                    End { order, said }
                }
            })
        };
        due.into_iter().filter_map(end).collect()
    }
}

impl<M: StateMachine> Inside<M> {
    /// The thread that ends what lasts a time is to look again.
    pub(super) fn wake(&self) {
        let _ = self.woken.try_send(());
    }

    /// Lets the network have the rules that are held.
    pub(super) fn apply(&self, rules: &mut HeldRules) {
        // They name no node that the network does not know.
        let _ = self.network.apply(rules.change(&self.known.nodes()));
    }

    /// Ends what lasts a time when its time has come, until the process ends.
    pub(super) fn end_in_time(this: &Weak<Inside<M>>, wake: &Receiver<()>, stopped: &Receiver<()>) {
        loop {
            let Some(due) = this.upgrade().map(|inside| inside.next_end()) else { return };
            let timer = due.map_or_else(never, at);
            select! {
                recv(timer) -> _ => {}
                recv(wake) -> _ => {}
                recv(stopped) -> _ => return,
            }
            let Some(inside) = this.upgrade() else { return };
            inside.end_due();
        }
    }

    fn next_end(&self) -> Option<Instant> {
        let orders = self.endings.lock().next_due();
        orders.into_iter().chain(self.rules.lock().next_end()).min()
    }

    fn end_due(&self) {
        let (node, now) = (self.place.apart.node, Instant::now());
        let mut rules = self.rules.lock();
        let ends = rules.next_end().is_some_and(|end| end <= now);
        if ends {
            self.apply(&mut rules);
        }
        drop(rules);
        if ends {
            self.cluster.lock().note_rules();
        }
        let due = self.endings.lock().take_due(node, now);
        for End { order, said } in due {
            let said = match self.execute(&order, None, None) {
                Ok(Answer::Done(more)) if !more.is_empty() => format!("{said} ({more})"),
                Ok(_) => said,
                Err(error) => format!("stays as it is: {error}"),
            };
            self.cluster.lock().note(node, What::FaultEnded { said });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::DiskChange;

    fn slow(millis: u64) -> NodeOrder {
        NodeOrder::Disk(DiskChange::Slow(Duration::from_millis(millis)))
    }

    #[test]
    fn what_lasts_a_time_ends_unless_a_later_order_has_settled_it() {
        let n1 = NodeId::new(1);
        let second = Some(Duration::from_secs(1));
        let later = || Instant::now() + Duration::from_secs(2);
        let orders = |endings: &mut Endings| {
            endings.take_due(n1, later()).into_iter().map(|end| end.order).collect::<Vec<_>>()
        };
        let mut endings = Endings::default();
        endings.note(n1, &NodeOrder::Crash, second);
        assert!(endings.take_due(n1, Instant::now()).is_empty() && endings.next_due().is_some());
        assert_eq!(orders(&mut endings), [NodeOrder::Restart]);
        endings.note(n1, &NodeOrder::Pause, second);
        endings.note(n1, &NodeOrder::Resume, None);
        assert!(orders(&mut endings).is_empty());
        endings.note(n1, &slow(30), second);
        endings.note(n1, &slow(50), None);
        assert!(orders(&mut endings).is_empty(), "what lasts was set later");
        endings.note(n1, &slow(30), second);
        let ends = endings.take_due(n1, later());
        let said = "its disk is as it was before, after 1 s".to_string();
        assert_eq!(ends, [End { order: slow(50), said }]);
    }
}
