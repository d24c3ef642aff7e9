//! A bounded queue of groups of envelopes: many senders, one receiver.
//!
//! It is bounded in groups and in bytes: a few large messages fill memory long before many small ones do. A sender
//! never waits: what does not fit is returned to it.
//!
//! The queue takes memory as groups come: an idle client of thousands takes next to none.
//!
//! A group travels in a [`Parcel`] with the room that it takes. Its receiver alone can open one, which gives the room back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use derive_more::Debug;

use crate::bell::Bell;
use crate::protocol::Envelope;
use crate::spin::Spin;

/// The sending end. Clones send to the same receiver.
#[derive(Clone, Debug)]
#[debug("Inbox({} waiting)", sender.len())]
pub struct Inbox {
    sender: Sender<Parcel>,
    groups_max: usize,
    room: Arc<Room>,
    receiver: Weak<()>,
    /// Called behind each send; false if the receiver is to be woken.
    #[debug(skip)]
    on_send: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Dropped after the sender, so that the receiver that it wakes finds the channel closed.
    bell: HangUp,
}

#[derive(Debug)]
#[debug("InboxReceiver({} waiting)", receiver.len())]
pub struct InboxReceiver {
    receiver: Receiver<Parcel>,
    room: Arc<Room>,
    bell: Arc<Bell>,
    spin: Spin,
    /// Dropped with the receiver: see [`Inbox::receiver`].
    _alive: Arc<()>,
}

/// Rings when it is dropped.
#[derive(Clone, Debug)]
struct HangUp(Arc<Bell>);

/// A group on its way, and the room that it takes. It holds no reference to the room: to count those would cost more than
/// all else that the queue does. So a parcel that is dropped unopened keeps its room.
pub struct Parcel {
    group: Vec<Envelope>,
    weight: usize,
}

/// Why a group, or its end, came back.
#[derive(Debug)]
pub enum NotSent {
    /// There was no room for these; those before them were sent.
    Full(Vec<Envelope>),
    /// The receiver is gone: none was sent.
    Closed(Vec<Envelope>),
}

/// An inbox for that many groups and bytes at most, and its receiver.
///
/// A message that is larger than the bound passes when nothing else waits: otherwise it could never be sent. Senders that
/// send at the same time may each find room for one more group.
pub fn inbox(groups_max: usize, bytes_max: usize) -> (Inbox, InboxReceiver) {
    let (sender, receiver) = unbounded();
    let room = Arc::new(Room { taken: AtomicUsize::new(0), bytes_max });
    let bell = Arc::new(Bell::default());
    let hang_up = HangUp(Arc::clone(&bell));
    let alive = Arc::new(());
    (
        Inbox {
            sender,
            groups_max,
            room: Arc::clone(&room),
            receiver: Arc::downgrade(&alive),
            on_send: None,
            bell: hang_up,
        },
        InboxReceiver { receiver, room, bell, spin: Spin::default(), _alive: alive },
    )
}

impl Inbox {
    /// Sends the group, or as many of its first messages as there is room for. An empty group is not sent.
    ///
    /// # Errors
    /// What was not sent.
    pub fn try_send(&self, mut group: Vec<Envelope>) -> Result<(), NotSent> {
        if group.is_empty() {
            return Ok(());
        }
        if self.len() >= self.groups_max {
            return Err(NotSent::Full(group));
        }
        let (weight, mut rest) = self.room.take(&mut group);
        if group.is_empty() {
            return Err(NotSent::Full(rest));
        }
        if let Err(unsent) = self.sender.send(Parcel { group, weight }) {
            let mut group = self.room.open(unsent.into_inner());
            group.append(&mut rest);
            return Err(NotSent::Closed(group));
        }
        if !self.on_send.as_ref().is_some_and(|hook| hook()) {
            self.bell.0.ring();
        }
        if rest.is_empty() { Ok(()) } else { Err(NotSent::Full(rest)) }
    }

    /// Each sender calls this behind what it has sent. The receiver is woken only if it returns false: a link's senders may write
    /// to the socket themselves.
    #[must_use]
    pub fn on_send(self, hook: impl Fn() -> bool + Send + Sync + 'static) -> Inbox {
        Inbox { on_send: Some(Arc::new(hook)), ..self }
    }

    /// Tells whether its receiver is still there, and does not keep the inbox open.
    pub fn receiver(&self) -> Weak<()> {
        Weak::clone(&self.receiver)
    }

    pub fn len(&self) -> usize {
        self.sender.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sender.is_empty()
    }
}

impl InboxReceiver {
    /// Where parcels arrive, for a `select!`.
    pub fn receiver(&self) -> &Receiver<Parcel> {
        &self.receiver
    }

    /// Takes the group out of a parcel that arrived here.
    pub fn open(&self, parcel: Parcel) -> Vec<Envelope> {
        self.room.open(parcel)
    }

    /// Returns when a group waits or `found` does, at the deadline, or when it is time to sleep.
    pub fn spin(&self, deadline: Option<Instant>, found: impl Fn() -> bool) {
        self.spin.until(deadline, || !self.is_empty() || found());
    }

    /// The next group, if one waits.
    ///
    /// # Errors
    /// None waits, or all senders are gone.
    pub fn try_recv(&self) -> Result<Vec<Envelope>, TryRecvError> {
        self.receiver.try_recv().map(|parcel| self.open(parcel))
    }

    /// Waits for the next group. It sleeps at once: [`InboxReceiver::spin`] is the place to spin before, and adapts better
    /// than the channel does.
    ///
    /// # Errors
    /// None came in time, or all senders are gone.
    pub fn recv_deadline(&self, until: Instant) -> Result<Vec<Envelope>, RecvTimeoutError> {
        let look = || match self.try_recv() {
            Ok(group) => Some(Ok(group)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvTimeoutError::Disconnected)),
            Err(TryRecvError::Empty) => None,
        };
        look().or_else(|| self.bell.sleep_unless(until, look)).unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    /// Sleeps until `look` finds something, or until then. It is called again whenever the receiver is woken.
    pub fn sleep_unless<T>(&self, until: Instant, look: impl Fn() -> Option<T>) -> Option<T> {
        self.bell.sleep_unless(until, look)
    }

    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    pub fn weight(&self) -> usize {
        self.room.taken.load(Ordering::Relaxed)
    }
}

impl Parcel {
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// The bytes that are taken, of those that may be. It is a number and orders nothing.
struct Room {
    taken: AtomicUsize,
    bytes_max: usize,
}

impl Room {
    /// Takes room for as many of the first messages as fit; where nothing is taken, that is at least one. Returns their
    /// weight, and cuts off the rest.
    fn take(&self, group: &mut Vec<Envelope>) -> (usize, Vec<Envelope>) {
        let (mut fit, mut weight) = (0, 0);
        let count = |taken| {
            (fit, weight) = (0, 0);
            for envelope in group.iter() {
                let sum = weight + envelope.weight();
                if taken + sum > self.bytes_max && taken + fit > 0 {
                    break;
                }
                (fit, weight) = (fit + 1, sum);
            }
            Some(taken + weight)
        };
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        (weight, group.split_off(fit))
    }

    /// Gives back the room that this group took.
    fn open(&self, parcel: Parcel) -> Vec<Envelope> {
        self.taken.fetch_sub(parcel.weight, Ordering::Relaxed);
        parcel.group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;
    use crate::protocol::{Call, Packet, ReadMode, Request};
    use crate::types::{ClientId, NodeId};

    /// What a message weighs beside its payload.
    const ITSELF: usize = 64;

    fn message(attempt: u64, weight: usize) -> Envelope {
        let query = Payload::from_text("x".repeat(weight - ITSELF));
        let call = Call::Read { query, mode: ReadMode::Stale, here: true };
        let (from, to) = (ClientId(1).into(), NodeId::new(1).into());
        Envelope::new(from, to, Packet::Request(Request { attempt, call }))
    }

    /// Sends these, and says how many came back.
    fn returned(sender: &Inbox, group: Vec<Envelope>) -> usize {
        match sender.try_send(group) {
            Ok(()) => 0,
            Err(NotSent::Full(rest)) => rest.len(),
            Err(NotSent::Closed(_)) => panic!("there is a receiver"),
        }
    }

    #[test]
    fn it_fills_in_bytes_before_it_fills_in_groups_and_what_is_received_makes_room() {
        let (sender, receiver) = inbox(100, 1_000);
        let accepted = (0..10).filter(|number| returned(&sender, vec![message(*number, 300)]) == 0);
        assert_eq!(accepted.count(), 3);
        assert_eq!((receiver.len(), receiver.weight()), (3, 900));
        assert_eq!(receiver.try_recv(), Ok(vec![message(0, 300)]));
        assert_eq!(receiver.weight(), 600);
        assert_eq!(returned(&sender, vec![message(4, 400)]), 0, "up to the last byte");
        assert_eq!(returned(&sender, vec![message(5, ITSELF)]), 1);
    }

    #[test]
    fn it_fills_in_groups_before_it_fills_in_bytes() {
        let (sender, receiver) = inbox(2, 1_000);
        let accepted = (0..10).filter(|number| returned(&sender, vec![message(*number, 100)]) == 0);
        assert_eq!(accepted.count(), 2);
        assert_eq!(receiver.weight(), 200, "what was refused takes no room");
    }

    #[test]
    fn of_a_group_as_much_is_sent_as_fits() {
        let (sender, receiver) = inbox(100, 1_000);
        let group = |numbers: std::ops::Range<u64>| numbers.map(|number| message(number, 300)).collect();
        assert_eq!(returned(&sender, group(0..5)), 2);
        assert_eq!((receiver.len(), receiver.weight()), (1, 900));
        assert_eq!(returned(&sender, group(5..7)), 2, "nothing fits");
        assert_eq!(receiver.try_recv(), Ok(group(0..3)));
        assert_eq!(receiver.weight(), 0);
    }

    #[test]
    fn a_huge_message_passes_when_nothing_else_waits() {
        let (sender, receiver) = inbox(100, 1_000);
        assert_eq!(returned(&sender, vec![message(1, 5_000), message(2, 100)]), 1, "it passes alone");
        assert_eq!(returned(&sender, vec![message(3, 100)]), 1, "and leaves no room");
        assert_eq!(receiver.try_recv(), Ok(vec![message(1, 5_000)]));
        assert_eq!(returned(&sender, vec![message(4, 100)]), 0);
        assert_eq!(returned(&sender, vec![message(5, 5_000)]), 1, "something else waits");
    }

    #[test]
    fn room_is_kept_by_a_weight_that_does_not_change_on_the_way() {
        let (sender, receiver) = inbox(100, 1_000);
        let query = Payload::new(vec!["\n".repeat(100)]);
        let call = Call::Read { query: query.clone(), mode: ReadMode::Stale, here: true };
        let (from, to) = (ClientId(1).into(), NodeId::new(1).into());
        let packet = Packet::Request(Request { attempt: 1, call });
        assert_eq!(returned(&sender, vec![Envelope::new(from, to, packet)]), 0);
        let before = query.weight();
        assert!(query.text().len() > before, "each character takes two in the text");
        assert!(receiver.try_recv().is_ok());
        assert_eq!(receiver.weight(), 0);
    }

    #[test]
    fn without_a_receiver_everything_comes_back() {
        let (sender, receiver) = inbox(100, 1_000);
        drop(receiver);
        let returned = sender.try_send((0..5).map(|number| message(number, 300)).collect());
        assert!(matches!(returned, Err(NotSent::Closed(group)) if group.len() == 5));
    }

    #[test]
    fn many_senders_never_take_more_than_the_bound() {
        let (sender, receiver) = inbox(1_000, 1_000);
        std::thread::scope(|scope| {
            let flood =
                || (0..1_000).filter(|number| returned(&sender, vec![message(*number, 300)]) == 0).count();
            let threads = [scope.spawn(flood), scope.spawn(flood)];
            let mut taken = 0;
            while threads.iter().any(|thread| !thread.is_finished()) || !receiver.is_empty() {
                assert!(receiver.weight() <= 1_000);
                taken += receiver.try_recv().map_or(0, |group| group.len());
            }
            let accepted: usize = threads.into_iter().map(|thread| thread.join().expect("it ends")).sum();
            assert_eq!(taken, accepted);
            assert!(accepted >= 3);
        });
        assert_eq!(receiver.weight(), 0);
    }
}
