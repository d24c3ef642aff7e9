//! Nodes that come and go while the cluster runs.

use super::Simulation;
use super::lives::Begin;
use super::node::Node;
use crate::lab::{Lab, LabError};
use crate::storage::simulated::SimulatedDisk;
use crate::trace::What;
use crate::types::{Member, NodeId, Random, StoreId};

impl Simulation {
    /// Starts a new node on an empty disk.
    pub(super) fn add(&mut self, name: NodeId) -> Result<Member, LabError> {
        if self.nodes.get(&name).is_some_and(Node::is_running) {
            return Err(LabError::running(name));
        }
        let before = self.nodes.remove(&name).or_else(|| self.removed.remove(&name));
        let new = || Node::new(name, SimulatedDisk::new(&name.to_string()));
        self.nodes.insert(name, before.as_ref().map_or_else(new, Node::successor));
        self.faults.add_node(name);
        self.counts.restart(name);
        self.note_nodes();
        self.tell(name, What::Added);
        self.start(name, Begin::Added).map_err(|error| LabError::new(error.to_string()))?;
        Ok(Member { node: name, store_id: self.nodes[&name].store_id })
    }

    /// Forgets a node that does not run. Its disk stays.
    pub(super) fn forget(&mut self, name: NodeId) -> Result<(), LabError> {
        if !self.nodes.contains_key(&name) {
            return Err(LabError::unknown(name, &self.nodes()));
        }
        if self.nodes[&name].is_running() {
            return Err(LabError::not_removed(name));
        }
        if self.nodes.len() == 1 {
            return Err(LabError::only(name));
        }
        let node = self.nodes.remove(&name).expect("seen above");
        self.removed.insert(name, node);
        self.faults.remove_node(name);
        self.note_nodes();
        Ok(())
    }

    fn note_nodes(&mut self) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        self.clients.values_mut().for_each(|client| client.set_nodes(nodes.clone()));
    }

    /// A stream that no other draws from: what the others draw is as it would be without the newcomer.
    pub(super) fn random_of_newcomer(&self, name: NodeId, store_id: StoreId) -> Random {
        let mut random = Random::new(self.settings.seed ^ u64::from(name.number()).rotate_right(8));
        Random::new(random.bits() ^ store_id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::faults::NetChange;
    use crate::lab::members::change_members;
    use crate::lab::{Life, NodeOrder};
    use crate::raft::membership::request::Change;
    use crate::sim::SimulationSettings;
    use crate::types::Time;

    const SECOND: Duration = Duration::from_secs(1);

    fn node(number: u8) -> NodeId {
        NodeId::new(number)
    }

    /// Runs three nodes, with a fourth for some time or without it, through a crash of the leader. What the three told, and
    /// what tells runs apart.
    fn run(with_a_fourth: bool) -> (Vec<String>, u64) {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&told);
        let settings = SimulationSettings::new(3, 7);
        let observe = move |event: &crate::trace::TraceEvent| {
            if event.node != node(4) {
                kept.lock().push(event.to_string());
            }
        };
        let mut simulation = Simulation::new(settings, Some(Arc::new(observe)));
        simulation.run_until(Time::ZERO + SECOND);
        if with_a_fourth {
            simulation.add_node(node(4)).expect("n4 is new");
        }
        let leader = node(leading(&mut simulation));
        simulation.order(leader, NodeOrder::PowerCut).expect("it runs");
        simulation.run_until(Time::ZERO + 2 * SECOND);
        simulation.order(leader, NodeOrder::Restart).expect("it is down");
        if with_a_fourth {
            simulation.order(node(4), NodeOrder::Crash).expect("it runs");
            simulation.remove_node(node(4)).expect("it is down");
        }
        simulation.run_until(Time::ZERO + 3 * SECOND);
        assert!(simulation.safety().violations().is_empty(), "{:?}", simulation.safety().violations());
        let told = told.lock().clone();
        (told, simulation.digest())
    }

    fn leading(simulation: &mut Simulation) -> u8 {
        let leads = |name: &NodeId| simulation.view(*name).status.role == crate::server::RoleName::Leader;
        NodeId::first(3).into_iter().find(leads).expect("one of them leads").number()
    }

    #[test]
    fn a_newcomer_disturbs_no_chance_of_the_others() {
        let ((alone, _), (together, digest)) = (run(false), run(true));
        assert_eq!(alone, together);
        assert!(
            alone.iter().filter(|line| line.contains("leads term")).count() > 1,
            "there was a second election"
        );
        assert_eq!(run(true).1, digest, "the same run again");
    }

    #[test]
    fn a_node_comes_goes_and_comes_again_with_nothing_of_the_first() {
        let mut simulation = Simulation::new(SimulationSettings::new(3, 1), None);
        let first = simulation.add_node(node(9)).expect("n9 is new");
        assert!(first.store_id > 1, "later files than a founder's, though no time has passed");
        assert_eq!(simulation.nodes(), [1, 2, 3, 9].map(node));
        assert_eq!(simulation.add_node(node(9)).expect_err("it runs").to_string(), "n9 is already running");
        assert_eq!(simulation.remove_node(node(9)).expect_err("it runs").to_string(), "n9 runs");
        simulation.order(node(9), NodeOrder::Crash).expect("it runs");
        simulation.remove_node(node(9)).expect("it is down");
        assert_eq!(simulation.nodes(), NodeId::first(3));
        let life = simulation.view(node(9)).life;
        assert_eq!(life, Life::Down("there is no n9: the nodes are n1 to n3".to_string()));
        assert!(simulation.has_old_files(node(9)));
        // What is still due of the first node's must not reach the second.
        let second = simulation.add_node(node(9)).expect("the name is free");
        assert!(second.store_id > first.store_id);
        assert!(!simulation.has_old_files(node(9)), "they are those of a node that runs");
        simulation.run_until(Time::ZERO + SECOND);
        assert_eq!(simulation.view(node(9)).life, Life::Up);
    }

    #[test]
    fn rules_in_force_and_clients_know_a_newcomer() {
        let mut simulation = Simulation::new(SimulationSettings::new(2, 1), None);
        let client = crate::types::ClientId(100);
        simulation.add_client(client);
        simulation.change(&NetChange::Partition(vec![vec![node(1)]])).expect("two sides");
        simulation.add_node(node(3)).expect("n3 is new");
        let sides = vec![vec![node(1)], vec![node(2), node(3)]];
        assert_eq!(simulation.network_rules(), [NetChange::Partition(sides)]);
        for name in NodeId::first(2) {
            simulation.order(name, NodeOrder::Crash).expect("it runs");
        }
        let what = crate::client::What::commands([1]);
        simulation.call(client, crate::client::Ask { what, at: None, timeout: SECOND });
        simulation.run_until(Time::ZERO + SECOND);
        let to_newcomer = |(_, to, _): &(_, crate::faults::End, _)| *to == node(3).into();
        let asked = simulation.network_counts().into_iter().filter(to_newcomer);
        assert!(asked.map(|(_, _, counts)| counts.delivered).sum::<u64>() > 0, "it was asked");
    }

    #[test]
    fn a_newcomer_of_a_change_that_is_refused_goes_again() {
        let mut simulation = Simulation::new(SimulationSettings::new(3, 1), None);
        simulation.run_until(Time::ZERO + SECOND);
        let change = Change::Replace { old: node(9), new: node(4) };
        let refused = change_members(&mut simulation, change, false, SECOND).expect_err("n9 is no member");
        assert!(refused.to_string().contains("n9"), "{refused}");
        assert_eq!(simulation.nodes(), NodeId::first(3));
    }

    #[test]
    fn every_node_is_replaced_in_virtual_time_and_the_same_run_comes_again() {
        let run = || {
            let mut simulation = Simulation::new(SimulationSettings::new(3, 5), None);
            simulation.run_until(Time::ZERO + SECOND);
            for old in NodeId::first(3) {
                let new = node(old.number() + 3);
                let change = Change::Replace { old, new };
                change_members(&mut simulation, change, false, 10 * SECOND).expect("the change ends in time");
                simulation.run_until(simulation.now() + SECOND);
                simulation.order(old, NodeOrder::Stop).expect("it runs");
                let refused = simulation.order(old, NodeOrder::Restart).expect_err("its files are left out");
                assert!(refused.to_string().starts_with(&format!("{old} was removed")), "{refused}");
                simulation.remove_node(old).expect("it is down");
            }
            assert_eq!(simulation.nodes(), [4, 5, 6].map(node));
            assert!(simulation.safety().violations().is_empty(), "{:?}", simulation.safety().violations());
            simulation.digest()
        };
        assert_eq!(run(), run());
    }
}
