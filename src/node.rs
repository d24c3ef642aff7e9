//! A node on a thread of its own: a [`Server`] that waits for messages, orders, its disk and its timer.
//!
//! The thread sleeps in one `select!` over all four: it never polls, and never sleeps for a guessed time. When it wakes, it
//! takes in everything that waits, up to a bound, and makes one step: one group of envelopes leaves and one write goes to
//! the disk for all requests that came together.
//!
//! A panic or a failing disk ends the node and says why; it never ends the process. The node must never block: not on
//! its disk (see `src/node/disk.rs`), not on the network, which drops what does not fit.

mod board;
mod disk;
mod event_loop;
mod leadership;
mod machine;
mod measures;
mod priority;
mod reporter;
mod snapshots;
mod telling;
mod writing;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

pub use self::board::{Board, Boards, Changes, Ended, Losses};
use self::disk::NodeDisk;
use self::event_loop::{EventLoop, Order};
pub use self::leadership::{Leaders, Leadership, LeadershipChange, LeadershipKind};
use self::machine::MachineThread;
use self::measures::StepMeter;
pub use self::measures::{Durations, Measures};
pub use self::reporter::{Observer, Reporter};
pub use self::snapshots::OpenSnapshots;
use self::snapshots::SnapshotThreads;
use crate::check::safety::{Safety, Standing, Step};
use crate::clock::{Clock, JumpWatch};
use crate::net::Transport;
use crate::net::inbox::InboxReceiver;
use crate::raft::Raft;
use crate::raft::message::Message;
use crate::recording::{FlightRecorder, StepRecorder};
use crate::server::{Arrival, Server, Status};
use crate::state_machine::Machine;
use crate::state_machine::image::LoadImage;
use crate::storage::Storage;
use crate::storage::faults::DiskFaults;
use crate::storage::records::Recorder;
use crate::trace::What;
use crate::types::{NodeId, Time};

/// What the nodes of a process share.
#[derive(Clone, Debug)]
pub struct Context {
    pub clock: Clock,
    /// The properties that are checked after every step.
    pub safety: Arc<Mutex<Safety>>,
    /// In a process of its own: what writes down each step, for those who check all nodes.
    pub recorder: Option<Recorder>,
    /// What went into the nodes' steps, so that they can be made again.
    pub flight_recorder: FlightRecorder,
    pub reporter: Reporter,
    pub changes: Arc<Changes>,
    pub leaders: Arc<Leaders>,
    pub boards: Arc<Boards>,
    /// Held by a node while it removes a file: nodes that share a disk take turns.
    pub removing: Arc<Mutex<()>>,
}

impl Context {
    /// A node starts.
    pub fn started(&self, raft: &Raft) {
        let standing = Standing::at_first(raft);
        self.safety.lock().begin(&standing);
        if let Some(recorder) = &self.recorder {
            recorder.begin(&standing);
            self.flight_recorder.see_order(recorder.clock().now());
        }
    }

    /// Something is wrong with the run: saves what went into the newest steps, beside the nodes' work.
    fn save_flight(&self, node: NodeId) {
        let context = self.clone();
        let save = move || {
            let source = if context.recorder.is_some() { "processes" } else { "threads" };
            if let Some(folder) = context.flight_recorder.save(source) {
                let what = What::FlightSaved { folder: folder.display().to_string() };
                context.reporter.tell(context.clock.now(), node, [what]);
            }
        };
        // Without a thread it is not saved; the node's end is told all the same.
        let _ = thread::Builder::new().name("flight".to_string()).spawn(save);
    }

    /// A node made a step and is about to send these messages. Returns the number of the step among those of all nodes.
    fn observe<'a>(
        &self,
        raft: &Raft,
        step: &Step<'_>,
        sent: impl Iterator<Item = &'a Message> + Clone,
    ) -> u64 {
        let mut safety = self.safety.lock();
        safety.observe(step, sent.clone());
        if self.flight_recorder.is_first_break(!safety.violations().is_empty()) {
            self.save_flight(raft.id());
        }
        if let Some(recorder) = &self.recorder {
            recorder.observe(step, sent, || safety.standing(raft));
            // The clock that the links tell: a step whose messages another process sees has a lower number.
            let step_number = recorder.clock().next();
            self.flight_recorder.see_order(step_number);
            return step_number;
        }
        // Numbered while the checks are held: a step whose messages this one has seen has a lower number.
        self.flight_recorder.next_order()
    }
}

pub enum Store {
    /// To memory: each is complete at once.
    Inline(Box<dyn Storage>),
    /// To a disk, by a thread of its own.
    Threaded(Box<dyn Storage>, Arc<DiskFaults>),
}

pub struct Handles {
    pub store: Store,
    /// Opens the files of its snapshots for a thread.
    pub open: OpenSnapshots,
    pub load: LoadImage,
    /// Bytes of a snapshot that are sent at once.
    pub part_bytes: usize,
}

/// A node's thread, seen from outside. Dropping this stops the node politely and does not wait for it.
pub struct Node {
    name: NodeId,
    orders: Sender<Order>,
    board: Arc<Board>,
    alive: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    paused: bool,
}

impl Node {
    /// Starts the thread of this server, which receives from `inbox`, sends by `transport` and reads `clock`.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub fn start(
        server: Server,
        handles: Handles,
        transport: Box<dyn Transport>,
        inbox: InboxReceiver,
        context: Context,
        clock: Clock,
        flight: StepRecorder,
    ) -> io::Result<Node> {
        let name = server.raft().id();
        let Handles { store, open, load, part_bytes } = handles;
        let (changes, leaders) = (Arc::clone(&context.changes), Arc::clone(&context.leaders));
        let board = Arc::new(Board::new(name, server.status(), changes, leaders));
        let disk = match store {
            Store::Inline(storage) => NodeDisk::inline(storage),
            Store::Threaded(storage, faults) => {
                NodeDisk::threaded(name, storage, faults, Arc::clone(&board.meters))?
            }
        };
        let (orders, ordered) = unbounded();
        let (alive_sender, alive) = bounded::<()>(0);
        context.boards.add(Arc::clone(&board));
        let (heartbeat, deadline) = (server.raft().settings.heartbeat, server.deadline());
        let mut node = EventLoop {
            name,
            server,
            disk,
            snapshots: SnapshotThreads::new(name, open, load, part_bytes, Arc::clone(&context.removing)),
            machine: MachineThread::new(),
            transport,
            inbox,
            orders: ordered,
            board: Arc::clone(&board),
            context,
            clock,
            clock_shown: Time::ZERO,
            jumps: JumpWatch::start(),
            meter: StepMeter::new(board.status().last.index),
            told: None,
            flight,
            arrivals: Vec::new(),
            deadline,
            opened: Vec::new().into_iter(),
            step_began: Arc::new(Mutex::new(Instant::now())),
        };
        node.keep_heartbeat(heartbeat);
        let thread = thread::Builder::new().name(name.to_string()).spawn(move || {
            node.live();
            drop(alive_sender);
        })?;
        Ok(Node { name, orders, board, alive, thread: Some(thread), paused: false })
    }

    pub fn name(&self) -> NodeId {
        self.name
    }

    /// What it knew when it last looked.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// How it ended; none while it runs.
    pub fn ended(&self) -> Option<Ended> {
        self.board.ended()
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Orders it to end at once, without another step. What its disk had not taken is lost.
    pub fn crash(&self, power: bool) {
        self.order(Order::Crash { power });
    }

    /// Orders it to end once all that it gave to its disk is durable.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    /// Freezes it: when this returns, it makes no step, and its inbox fills up.
    pub fn pause(&mut self) {
        self.paused = true;
        self.ask(Order::Pause);
    }

    /// Resumes it. Returns how many messages waited; none when it has ended.
    pub fn resume(&mut self) -> Option<usize> {
        self.paused = false;
        self.ask(Order::Resume)
    }

    /// Calls `look` with the server, between two steps. None when the node has ended.
    pub fn inspect<T: Send + 'static>(&self, look: impl FnOnce(&Server) -> T + Send + 'static) -> Option<T> {
        self.ask(|answer| {
            Order::Inspect(Box::new(move |server| {
                let _ = answer.send(look(server));
            }))
        })
    }

    /// Calls `look` with the state machine, between two entries. None when the node has ended.
    pub fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Machine) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask(|answer| {
            Order::Look(Box::new(move |machine| {
                let _ = answer.send(look(machine));
            }))
        })
    }

    /// Hands something to its server that does not come over the network, and returns when the server has acted on it; a
    /// frozen node acts when it is resumed.
    pub fn arrive(&self, arrival: Arrival) {
        self.ask(|done| Order::Arrive(arrival, done));
    }

    /// Sets its clock ahead of the run's time.
    pub fn set_clock(&self, ahead: Duration) {
        self.ask(|done| Order::SetClock(ahead, done));
    }

    /// Waits until it has ended, and how; none when it has not by then.
    pub fn wait_for_end(&mut self, until: Instant) -> Option<Ended> {
        let patience = until.saturating_duration_since(Instant::now());
        if self.alive.recv_timeout(patience.max(Duration::from_millis(1))) == Err(RecvTimeoutError::Timeout) {
            return None;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.ended()
    }

    fn order(&self, order: Order) {
        // A node that has ended takes no orders; its board says why.
        let _ = self.orders.send(order);
    }

    /// None when the node has ended.
    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (sender, answer) = bounded(1);
        self.order(order(sender));
        answer.recv().ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
