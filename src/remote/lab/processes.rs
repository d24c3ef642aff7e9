//! What a console can do to whole processes, most of it when its program has started them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{RemoteLab, unexpected};
use crate::client::Client;
use crate::lab::{Lab, LabError, Life, NodeOrder};
use crate::links::{AddressBook, Notices};
use crate::remote::RemoteCluster;
use crate::remote::node_link::{NodeLink, OnEvent};
use crate::remote::protocol::{Answer, Question};
use crate::remote::respondents::Respondents;
use crate::state_machine::kv::KeyValue;
use crate::storage::ClusterId;
use crate::supervisor::{Running, Supervisor};
use crate::text::layout::duration_shown;
use crate::tls::Security;
use crate::types::{Member, NodeId};

/// How long a node whose process runs is waited for, until it can be asked.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

impl RemoteLab {
    /// Connects to the processes that this program has started.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn supervised(
        supervisor: Supervisor,
        name: &str,
        notices: Arc<Notices>,
        on_event: OnEvent,
    ) -> io::Result<RemoteLab> {
        let remote = RemoteCluster {
            cluster: supervisor.cluster(),
            // Its processes are on this machine.
            security: Security::Loopback,
            token: supervisor.token().to_string(),
            addresses: supervisor.addresses(),
            settings: supervisor.settings().clone(),
        };
        RemoteLab::new(remote, name, notices, on_event, Some(supervisor))
    }

    pub fn cluster(&self) -> ClusterId {
        self.remote.cluster
    }

    /// Where nodes are.
    pub fn book(&self) -> Arc<AddressBook> {
        Arc::clone(&self.book)
    }

    /// What makes clients while another has the console.
    pub fn client_maker(&self) -> impl Fn() -> Client<KeyValue> + Send + Sync + use<> {
        self.clients.client_maker()
    }

    /// Its nodes for other threads, while another has the console.
    pub fn respondents(&self) -> Respondents {
        self.respondents.clone()
    }

    /// Does what concerns a whole process, or a node whose process does not run. None: it is an order to the node.
    pub(super) fn order_process(
        &mut self,
        node: NodeId,
        order: &NodeOrder,
    ) -> Option<Result<String, LabError>> {
        let known = self.links.get(&node)?.known();
        let Some(supervisor) = self.supervisor.as_mut() else {
            let is_of_process = matches!(order, NodeOrder::Kill | NodeOrder::Freeze);
            return is_of_process.then(|| Err(LabError::no_process(node, order)));
        };
        match (order, supervisor.table().life(node)) {
            (NodeOrder::Kill, _) => Some(supervisor.kill(node, &known)),
            (NodeOrder::Freeze, _) => Some(supervisor.freeze(node)),
            (NodeOrder::Resume, Some(Life::Frozen(_))) => {
                let frozen = supervisor.thaw(node)?;
                let said = format!("its process was frozen for {}", duration_shown(frozen));
                // A pause of the node itself ends, too.
                let paused = self.view(node).life == Life::Paused;
                let resumed = paused.then(|| self.give(node, NodeOrder::Resume, None));
                Some(
                    resumed
                        .transpose()
                        .map(|more| more.map_or(said.clone(), |more| format!("{said}; {more}"))),
                )
            }
            (NodeOrder::Restart | NodeOrder::Wipe, Some(Life::Down(_))) => {
                let started = self.start_process(node, *order == NodeOrder::Wipe);
                Some(started.map(|running| running.loaded))
            }
            (_, Some(life)) => Some(order.check(node, &life, known.member).and(Err(LabError::down(node)))),
            (_, None) => None,
        }
    }

    /// Gives an order to a node whose process answers. A change of the members brings where they are.
    pub(super) fn give(
        &self,
        node: NodeId,
        mut order: NodeOrder,
        lasting: Option<Duration>,
    ) -> Result<String, LabError> {
        if let NodeOrder::Change(request) = &mut order {
            request.addresses = self.book.all();
        }
        match self.existing(node)?.ask(Question::Order { order, lasting })? {
            Answer::Done(said) => Ok(said),
            other => Err(unexpected(node, &other)),
        }
    }

    /// The node of this name whose process a person has started: its files are new, or become new.
    pub(super) fn add_started(&mut self, node: NodeId) -> Result<Member, LabError> {
        self.forgotten.remove(&node);
        self.catch_up();
        self.links.get(&node).into_iter().for_each(NodeLink::dial);
        // One that has just been started is about to call the others, and says first how its node is.
        let until = self.now() + CONNECTED_WITHIN;
        while self.links.get(&node).and_then(NodeLink::held).is_none() && self.now() < until {
            self.wait(until);
        }
        let advising =
            |error: LabError| error.advising(format!("start it first: node {node} --wipe --bind HOST:PORT"));
        let unheard = |_| advising(LabError::new(format!("no process of {node} has been heard of")));
        let link = self.existing(node).map_err(unheard)?;
        let silent = || advising(LabError::new(format!("{node} does not answer")));
        let member = link.member().ok_or_else(silent)?;
        if !matches!(link.view().life, Life::Down(_)) {
            return Ok(member);
        }
        match link.ask(Question::Renew)? {
            Answer::Renewed(member) => Ok(member),
            other => Err(unexpected(node, &other)),
        }
    }

    /// Starts a process for a node of this name, on new files.
    pub(super) fn add_process(&mut self, node: NodeId) -> Result<Member, LabError> {
        let is_down = |lab: &mut Self| matches!(lab.view(node).life, Life::Down(_));
        if self.links.contains_key(&node) {
            if !is_down(self) {
                return Err(LabError::running(node));
            }
            // A node that was stopped has left its process.
            if let Some(supervisor) = &mut self.supervisor {
                supervisor.remove(node);
            }
        }
        self.start_process(node, true).map(|running| running.member)
    }

    fn start_process(&mut self, node: NodeId, wipe: bool) -> Result<Running, LabError> {
        let (rules, others) = (self.network_rules(), self.book.all());
        let wake = self.waiting.wake();
        let supervisor = self.supervisor.as_mut().expect("it has started the processes");
        let running = supervisor.start_node(node, wipe, others, &rules, &wake)?;
        self.clients.tell(node, &running.address);
        self.forgotten.remove(&node);
        if !self.links.contains_key(&node) {
            self.follow(node).map_err(|error| LabError::new(error.to_string()))?;
        }
        let until = self.now() + CONNECTED_WITHIN;
        self.links[&node].dial();
        while self.links[&node].member() != Some(running.member) && self.now() < until && !self.interrupted()
        {
            self.wait(until);
        }
        Ok(running)
    }
}
