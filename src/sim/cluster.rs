//! A cluster in virtual time for the tests of a state machine: typed calls, faults, and a judgement of what clients were
//! told.

mod members;

use std::collections::BTreeMap;
use std::time::Duration;

use super::machine::Kind;
use super::{Simulation, SimulationSettings};
use crate::check::model::{Call, Judgement, MachineModel, Request, judge};
use crate::client::{Answered, Ask, CallId, Ended, Outcome, What};
use crate::faults::{LinkScope, NetChange};
use crate::lab::{Lab, LabError, Life, NodeOrder};
use crate::payload::Payload;
use crate::protocol::ReadMode;
use crate::server::RoleName;
use crate::state_machine::StateMachine;
use crate::types::{ClientId, NodeId, Random, Time, Token};

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How many calls of the model a judgement may take.
const JUDGE_STEPS: u64 = 100_000;

/// A command or a query of a machine.
pub type RequestOf<M> = Request<<M as StateMachine>::Command, <M as StateMachine>::Query>;

/// One call of a history, as [`judge`] takes it.
pub type CallOf<M> = Call<RequestOf<M>, <M as StateMachine>::Answer>;

/// A cluster in virtual time that replicates `M`.
///
/// Time moves only in [`SimulatedCluster::run_for`] and [`SimulatedCluster::call`], as fast as the work allows. The same
/// settings and the same calls give the same run, so a seed that fails is a test that fails again.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::kv::{Answer, Command, KeyValue, Query};
/// use raftlab::simulation::{Request, SimulatedCluster, SimulationSettings};
///
/// for seed in 1..=5 {
///     let mut cluster = SimulatedCluster::new(SimulationSettings::new(3, seed), KeyValue::default);
///     let (ann, bob) = (cluster.add_client(), cluster.add_client());
///     for step in 0..20 {
///         cluster.begin(ann, Request::Command(Command::put("x", step.to_string())));
///         cluster.begin(bob, Request::Query(Query::Read { key: "x".into() }));
///         cluster.disturb();
///         cluster.run_for(Duration::from_millis(200));
///     }
///     cluster.heal();
///     let read = Request::Query(Query::Read { key: "x".into() });
///     assert!(cluster.call(ann, read).is_some(), "seed {seed}: a healed cluster answers");
///     assert_eq!(cluster.violations(), Vec::<String>::new(), "seed {seed}");
/// }
/// ```
pub struct SimulatedCluster<M: StateMachine> {
    simulation: Simulation,
    machine: fn() -> M,
    random: Random,
    clients: u64,
    history: Vec<CallOf<M>>,
    /// The position in `history` of each call that has not ended.
    running: BTreeMap<(ClientId, CallId), usize>,
    /// The positions of calls that certainly had no effect.
    rejected: Vec<usize>,
    /// Commands without an answer, by their positions.
    unknown: Vec<(usize, Token)>,
}

impl<M> SimulatedCluster<M>
where
    M: StateMachine<Command: Clone, Query: Clone, Answer: Clone + PartialEq>,
{
    /// A cluster whose nodes have just started. Each run of a node begins with what `machine` returns.
    pub fn new(settings: SimulationSettings, machine: fn() -> M) -> SimulatedCluster<M> {
        SimulatedCluster {
            random: Random::new(settings.seed ^ 0xfa_17),
            simulation: Simulation::of(Kind::of(machine), settings, None),
            machine,
            clients: 0,
            history: Vec::new(),
            running: BTreeMap::new(),
            rejected: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Adds a client. It may have any number of calls in flight.
    pub fn add_client(&mut self) -> ClientId {
        self.clients += 1;
        let client = ClientId(100 + self.clients);
        self.simulation.add_client(client);
        client
    }

    /// Starts a call. It ends while time passes: see [`SimulatedCluster::history`].
    pub fn begin(&mut self, client: ClientId, request: RequestOf<M>) {
        self.start(client, request);
    }

    /// Makes a call and lets time pass until it ends: the answer, or none if there was none in time.
    pub fn call(&mut self, client: ClientId, request: RequestOf<M>) -> Option<M::Answer> {
        let (position, call) = self.start(client, request);
        while self.running.contains_key(&(client, call)) {
            self.simulation.advance(Time::NEVER);
            self.note_ended();
        }
        self.history[position].returned.as_ref().map(|(_, answer)| answer.clone())
    }

    fn start(&mut self, client: ClientId, request: RequestOf<M>) -> (usize, CallId) {
        // A call that begins when another ends comes after it.
        self.simulation.come_after();
        let what = match request.clone() {
            Request::Command(command) => What::commands([command]),
            Request::Query(query) => What::Read { query: Payload::new(query), mode: ReadMode::default() },
        };
        let called = self.simulation.now();
        let call = self.simulation.call(client, Ask { what, at: None, timeout: TIMEOUT });
        let position = self.history.len();
        self.history.push(Call { input: request, called, returned: None, hint: None });
        self.running.insert((client, call), position);
        (position, call)
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, span: Duration) {
        let until = self.simulation.now() + span;
        while self.simulation.advance(until) {
            self.note_ended();
        }
    }

    /// Where the log has the commands without an answer: the judgement looks there first.
    fn note_places(&mut self) {
        for (position, token) in &self.unknown {
            let place = self.simulation.replay.as_ref().and_then(|replay| replay.place_of(*token));
            self.history[*position].hint = place.map(|index| 2 * index.0);
        }
    }

    fn note_ended(&mut self) {
        for client in 1..=self.clients {
            let client = ClientId(100 + client);
            for Ended { call_id, outcome, began, took } in self.simulation.take_ended(client) {
                let Some(position) = self.running.remove(&(client, call_id)) else { continue };
                match outcome {
                    Outcome::Answered(answered) => {
                        let answer = answer_of::<M>(&answered, &self.history[position].input);
                        let call = &mut self.history[position];
                        // A query saw the state after its index.
                        let query = u64::from(matches!(call.input, Request::Query(_)));
                        call.hint = Some(2 * answered.index.0 + query);
                        call.returned = Some((began + took, answer));
                    }
                    Outcome::Rejected(_) => self.rejected.push(position),
                    Outcome::Unknown(token) | Outcome::Panicked(token, _) => {
                        self.unknown.push((position, token));
                    }
                    Outcome::Settled(_) => {}
                }
            }
        }
    }

    /// The time of the run.
    pub fn now(&self) -> Time {
        self.simulation.now()
    }

    /// The node that leads the latest term, if a running node leads.
    pub fn leader(&mut self) -> Option<NodeId> {
        let views = self.simulation.nodes().into_iter().map(|name| (name, self.simulation.view(name)));
        let leading = views.filter(|(_, view)| view.life == Life::Up && view.status.role == RoleName::Leader);
        leading.max_by_key(|(_, view)| view.status.term).map(|(name, _)| name)
    }

    /// Tells a node to do something: to crash, restart, pause and so on.
    ///
    /// # Errors
    /// The node cannot do that now: it is down, or runs already.
    pub fn order(&mut self, node: NodeId, order: NodeOrder) -> Result<(), LabError> {
        self.simulation.order(node, order).map(drop)
    }

    /// Changes the network.
    ///
    /// # Errors
    /// The change names a node that the cluster does not have.
    pub fn change_network(&mut self, change: &NetChange) -> Result<(), LabError> {
        self.simulation.change_network(change).map(drop)
    }

    /// Injects or ends one fault, as the seed decides: a crash, a loss of power, a restart, a pause, an isolation, a lossy
    /// network. A majority may be down at times; that only costs time.
    pub fn disturb(&mut self) {
        let nodes = self.simulation.nodes();
        let node = *self.random.pick(&nodes).expect("a cluster has nodes");
        // A fault that does not fit, such as a restart of a running node, is no fault.
        let _ = match self.random.below(10) {
            0 => self.order(node, NodeOrder::Crash),
            1 => self.order(node, NodeOrder::PowerCut),
            2 | 3 => nodes.iter().try_for_each(|node| self.order(*node, NodeOrder::Restart)),
            4 => self.order(node, NodeOrder::Pause),
            5 => self.order(node, NodeOrder::Resume),
            6 => self.change_network(&NetChange::Isolate(node)),
            7 => self.change_network(&NetChange::Reset),
            8 => {
                let everywhere = LinkScope::All;
                self.change_network(&NetChange::Drop { per_million: 200_000, scope: everywhere })
            }
            _ => self.order(node, NodeOrder::TakeSnapshot),
        };
    }

    /// Ends all faults: every node runs and the network is whole.
    pub fn heal(&mut self) {
        let _ = self.change_network(&NetChange::Reset);
        for node in self.simulation.nodes() {
            for order in [NodeOrder::Resume, NodeOrder::Restart] {
                // One of them fits, if the node needs any.
                let _ = self.order(node, order);
            }
        }
    }

    /// The calls so far, without those that certainly had no effect.
    pub fn history(&self) -> Vec<CallOf<M>> {
        let kept = self.history.iter().enumerate().filter(|(position, _)| !self.rejected.contains(position));
        kept.map(|(_, Call { input, called, returned, hint })| Call {
            input: input.clone(),
            called: *called,
            returned: returned.clone(),
            hint: *hint,
        })
        .collect()
    }

    /// What was broken so far, one line each: Raft's safety properties (Figure 3), snapshots that differ from a replay
    /// of what they cover, and linearizability of the history by the machine itself.
    ///
    /// The judgement restores a machine for each call that it tries: it suits some hundred calls.
    pub fn violations(&mut self) -> Vec<String> {
        self.note_places();
        let safety = self.simulation.safety().violations().iter();
        let mut found: Vec<String> =
            safety.map(|broken| format!("{}: {}", broken.property.name(), broken.detail)).collect();
        let history = self.history();
        match judge(&MachineModel(self.machine), &history, JUDGE_STEPS) {
            Judgement::Linearizable(_) => {}
            Judgement::Violation { call, .. } => {
                let called = history[call].called;
                found
                    .push(format!("linearizable: no order explains the answer to the call made at {called}"));
            }
            Judgement::Undecided => {
                found.push("linearizable: undecided, there are too many calls".to_string());
            }
        }
        found
    }
}

fn answer_of<M: StateMachine<Answer: Clone>>(answered: &Answered, request: &RequestOf<M>) -> M::Answer {
    let answer = match request {
        Request::Command(_) => answered.answers::<M::Answer>().and_then(|answers| answers.first().cloned()),
        Request::Query(_) => answered.answer.value::<M::Answer>().ok().cloned(),
    };
    answer.expect("a machine's answer reads back as its answer")
}
