//! `lose` and `hold`: what becomes of a single message that is under way, in virtual time.

use std::time::Duration;

use super::links::links;
use super::rows::{Row, Run, verb};
use super::slots::{DURATION, FLIGHT, LINK};
use super::{Console, notes};
use crate::console::language::{Answer, Directive, Links, Topic, form};
use crate::faults::{End, LinkScope};
use crate::lab::only_in_virtual_time;
use crate::lab::virtual_time::FlightChange;
use crate::types::NodeId;

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("lose", Topic::Network, &[LINK, FLIGHT])
            .does("loses the next message under way on a link", "lose n1>n2")
            .noting(notes::FLIGHTS)
            .shows("5.5: a message that is lost is sent again"),
        |console, line| console.change_flight(line, FlightChange::Lose),
    ),
    verb(
        form("hold", Topic::Network, &[LINK, DURATION, FLIGHT])
            .does("lets the next message under way on a link arrive later", "hold n1>n2 50ms")
            .noting(notes::FLIGHTS)
            .shows("5.1: a message of an old term changes nothing when it arrives"),
        |console, line| {
            let by: Duration = *line.need(&DURATION);
            console.change_flight(line, FlightChange::Hold(by))
        },
    ),
];

impl Console {
    fn change_flight(&mut self, line: &Directive, change: FlightChange) -> Answer {
        let ends = match self.link_of(line) {
            Ok(ends) => ends,
            Err(reason) => return Answer::failed(line.name(), reason),
        };
        let number = line.get(&FLIGHT).copied();
        let Some(lab) = self.lab.virtual_time() else {
            return Answer::failed(line.name(), only_in_virtual_time(line.name()));
        };
        match lab.change_flight(ends, number, change) {
            Ok((number, text)) => Answer::ok(line.name(), text).with("flight", number),
            Err(error) => Answer::failed(line.name(), error.with_advice()),
        }
    }

    /// The one link from node to node that is meant, one way.
    fn link_of(&mut self, line: &Directive) -> Result<(NodeId, NodeId), String> {
        let named: &Links = line.need(&LINK);
        match links(named, &self.picture(), &mut self.course.random)?.as_slice() {
            [LinkScope::OneWay(End::Node(from), End::Node(to))] => Ok((*from, *to)),
            _ => Err(format!("'{}' needs one link from node to node, such as n1>n2", line.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Desk;
    use crate::faults::End;
    use crate::lab::Lab;
    use crate::types::{NodeId, RoleName};

    /// A desk whose leader has just sent an entry to both followers.
    fn desk() -> (Desk, String, String) {
        let mut desk = Desk::keeping_going();
        desk.lines("wait leader\nsleep 20ms\nevents heartbeats");
        let leads = |name: &NodeId| desk.lab().view(*name).status.role == RoleName::Leader;
        let leader = NodeId::first(3).into_iter().find(leads).expect("it was waited for").to_string();
        let follower = if leader == "n1" { "n2" } else { "n1" };
        (desk, leader, follower.to_string())
    }

    fn name(text: &str) -> NodeId {
        text.parse().expect("a node")
    }

    /// Lets time pass until something is under way from one to the other.
    fn until_under_way(desk: &mut Desk, line: &str) -> String {
        for _ in 0..200 {
            let said = desk.lines(line);
            if !said.contains("no message is under way") {
                return said;
            }
            desk.lines("step");
        }
        panic!("nothing was under way");
    }

    #[test]
    fn a_message_that_is_lost_by_order_does_not_arrive() {
        let (mut desk, leader, follower) = desk();
        let said = until_under_way(&mut desk, &format!("lose {leader}>{follower}"));
        assert!(said.contains(&format!("{leader}@")) && said.contains(": lost"), "{said}");
        assert!(said.contains("(by hand)"), "it is told: {said}");
        let again = desk.lines(&format!("lose {leader}>{follower}"));
        assert!(again.contains(&format!("no message is under way from {leader} to {follower}")), "{again}");
        let (from, to) = (name(&leader), name(&follower));
        let links = desk.lab().network_counts();
        let link = links.iter().find(|(one, other, _)| (*one, *other) == (End::Node(from), End::Node(to)));
        assert_eq!(link.expect("it was used").2.dropped, 1);
    }

    #[test]
    fn a_message_that_is_held_arrives_later_and_once() {
        let (mut desk, leader, follower) = desk();
        let said = until_under_way(&mut desk, &format!("hold {leader}>{follower} 30ms"));
        assert!(said.contains(": arrives at "), "{said}");
        let number = said.trim_end().rsplit(' ').next().expect("the flight's number").to_string();
        let again = desk.lines(&format!("sleep 29ms\nhold {leader}>{follower} 1ms {number}"));
        assert!(again.contains(": arrives at "), "it was still on its way: {again}");
        let arrived = desk.lines("sleep 20ms");
        let round =
            said.split("round=").nth(1).and_then(|rest| rest.split([':', ' ']).next()).expect("its round");
        let is_its = |line: &&str| {
            line.contains(&format!("{leader}@")) && line.contains(&format!("round={round} (arrived)"))
        };
        let of_follower =
            arrived.lines().filter(is_its).filter(|line| line.contains(&format!("-> {follower} ")));
        assert_eq!(of_follower.count(), 1, "{arrived}");
        let lost = desk.lines(&format!("lose {leader}>{follower} {number}"));
        assert!(lost.contains(&format!("no flight {number} is under way")), "{lost}");
    }

    #[test]
    fn what_clients_and_nodes_lose_of_one_another_is_told() {
        let (mut desk, leader, _) = desk();
        let said = desk.lines(&format!("cut {leader}>clients\nput x 1 --timeout 200ms"));
        assert!(said.contains(", which does not get the answer (link cut)"), "{said}");
        let said = desk.lines(&format!("heal\ncut clients>{leader}\nput x 2 --timeout 200ms"));
        assert!(said.contains(&format!("{leader} does not get request ")), "{said}");
    }

    #[test]
    fn what_names_no_single_link_between_nodes_is_refused() {
        let (mut desk, ..) = desk();
        for link in ["n1<>n2", "n1>clients", "n1>all", "nodes"] {
            let said = desk.lines(&format!("lose {link}"));
            assert!(said.contains("needs one link from node to node, such as n1>n2"), "{said}");
        }
        let said = desk.lines("lose n1>n2 7");
        assert!(said.contains("no flight 7 is under way from n1 to n2"), "{said}");
    }
}
