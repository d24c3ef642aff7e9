//! Each fault by itself and together with others, on nodes that exist only by name.

use super::*;
use crate::types::ClientId;

const HALF: u32 = MILLION / 2;
const CLIENT: Address = Address::Client(ClientId(7));

fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

fn at(number: u8) -> Address {
    Address::Node(node(number))
}

fn one_way(from: u8, to: u8) -> LinkScope {
    LinkScope::OneWay(node(from).into(), node(to).into())
}

fn faults(nodes: u8, changes: &[NetChange]) -> Faults {
    let mut faults = Faults::new(&NodeId::first(nodes), Random::new(1));
    for change in changes {
        faults.apply(change).expect("a change that these nodes can have");
    }
    faults
}

fn groups(groups: &[&[u8]]) -> NetChange {
    NetChange::Partition(groups.iter().map(|group| group.iter().copied().map(node).collect()).collect())
}

/// The nodes that node `from` still reaches.
fn reached(faults: &mut Faults, from: u8, nodes: u8) -> Vec<u8> {
    let reaches = |to: &u8| *to != from && faults.decide(at(from), at(*to)) == Fate::AT_ONCE;
    (1..=nodes).filter(reaches).collect()
}

fn count(faults: &mut Faults, is_counted: impl Fn(Fate) -> bool) -> usize {
    (0..10_000).filter(|_| is_counted(faults.decide(at(1), at(2)))).count()
}

#[test]
fn without_rules_everything_arrives_and_nothing_is_drawn() {
    let mut faults = faults(3, &[]);
    assert_eq!(faults.decide(at(1), at(2)), Fate::AT_ONCE);
    assert_eq!(faults.random.bits(), Random::new(1).bits(), "no number was drawn");
    assert!(faults.rules().is_empty());
}

#[test]
fn loss_has_the_given_probability_on_the_given_link_alone() {
    let mut faults = faults(3, &[NetChange::Drop { per_million: HALF, scope: one_way(1, 2) }]);
    let lost = count(&mut faults, |fate| fate == Fate::Dropped(DropReason::Loss));
    assert!((4_500..5_500).contains(&lost), "{lost} of 10,000 at 50%: over ten standard deviations off");
    assert!(!faults.is_clear(node(1).into(), node(2).into()));
    assert!(faults.is_clear(node(2).into(), node(1).into()), "the way back has no rule");
}

#[test]
fn a_probability_of_one_is_certain() {
    let mut faults = faults(3, &[NetChange::Duplicate { per_million: MILLION, scope: LinkScope::All }]);
    let twice = Fate::Delivered { delay: Duration::ZERO, duplicate: Some(Duration::ZERO) };
    assert_eq!(count(&mut faults, |fate| fate == twice), 10_000);
    let over = NetChange::Drop { per_million: MILLION + 1, scope: LinkScope::All };
    assert_eq!(faults.apply(&over), Err(NetError::OverOne(MILLION + 1)));
}

#[test]
fn delay_lies_between_its_bounds_and_is_constant_without_jitter() {
    let [delay, jitter] = [50, 20].map(Duration::from_millis);
    let change = |jitter| NetChange::Delay { delay, jitter, scope: LinkScope::All };
    let mut faults = faults(3, &[change(Duration::ZERO)]);
    assert_eq!(faults.decide(CLIENT, at(1)), Fate::Delivered { delay, duplicate: None });
    faults.apply(&change(jitter)).expect("a change");
    let mut least = Duration::MAX;
    let mut most = Duration::ZERO;
    for _ in 0..1_000 {
        match faults.decide(at(1), at(2)) {
            Fate::Delivered { delay, duplicate: None } => {
                (least, most) = (least.min(delay), most.max(delay));
            }
            other => panic!("only a delay was asked for, not {other:?}"),
        }
    }
    assert!(least >= delay && most <= delay + jitter);
    assert!(least < delay + jitter / 10 && most > delay + jitter * 9 / 10, "the range is used");
}

#[test]
fn reordered_messages_are_held_back_a_little() {
    let mut faults = faults(3, &[NetChange::Reorder { per_million: HALF, scope: LinkScope::All }]);
    let held = count(&mut faults, |fate| match fate {
        Fate::Delivered { delay, duplicate: None } if delay > Duration::ZERO => {
            assert!((HELD_BACK_MIN..=HELD_BACK_MAX).contains(&delay));
            true
        }
        _ => false,
    });
    assert!((4_500..5_500).contains(&held), "{held} of 10,000 at 50%");
}

#[test]
fn a_partition_separates_groups_and_leaves_clients_alone() {
    let mut faults = faults(5, &[]);
    let answer = faults.apply(&groups(&[&[1, 2, 3], &[4, 5]]));
    assert_eq!(answer.as_deref(), Ok("[n1 n2 n3] x [n4 n5]"));
    assert_eq!(reached(&mut faults, 1, 5), [2, 3]);
    assert_eq!(reached(&mut faults, 5, 5), [4]);
    assert_eq!(faults.decide(at(1), at(4)), Fate::Dropped(DropReason::Partition));
    assert_eq!(faults.decide(CLIENT, at(4)), Fate::AT_ONCE);
    let answer = faults.apply(&groups(&[&[1], &[2]]));
    assert_eq!(answer.as_deref(), Ok("[n1] x [n2] x [n3 n4 n5]"));
    assert_eq!(reached(&mut faults, 4, 5), [3, 5], "the second partition replaces the first");
}

#[test]
fn overlapping_groups_make_a_bridge_and_a_ring() {
    let mut faults = faults(5, &[groups(&[&[1, 2, 3], &[3, 4, 5]])]);
    assert_eq!(reached(&mut faults, 3, 5), [1, 2, 4, 5]);
    assert_eq!(reached(&mut faults, 1, 5), [2, 3]);
    let ring = NetChange::Partition(super::shapes::ring(&NodeId::first(5)));
    faults.apply(&ring).expect("a change");
    assert_eq!(reached(&mut faults, 1, 5), [2, 5]);
    assert_eq!(faults.apply(&groups(&[&[1, 2, 3, 4, 5]])), Err(NetError::CutsNothing));
}

#[test]
fn a_cut_is_one_way_and_healing_it_names_it() {
    let mut faults = faults(3, &[NetChange::Cut(one_way(1, 2))]);
    assert_eq!(faults.decide(at(1), at(2)), Fate::Dropped(DropReason::Cut));
    assert_eq!(faults.decide(at(2), at(1)), Fate::AT_ONCE);
    let nothing = faults.apply(&NetChange::Heal(one_way(2, 1)));
    assert_eq!(nothing.as_deref(), Ok("no partition or cut to heal"));
    assert_eq!(faults.apply(&NetChange::Heal(one_way(1, 2))).as_deref(), Ok("healed n1>n2"));
    assert!(faults.all_clear);
}

#[test]
fn an_isolated_node_hears_no_one_until_it_is_connected() {
    let mut faults = faults(3, &[NetChange::Isolate(node(2))]);
    for (from, to) in [(at(1), at(2)), (at(2), at(3)), (CLIENT, at(2)), (at(2), CLIENT)] {
        assert_eq!(faults.decide(from, to), Fate::Dropped(DropReason::Isolated));
    }
    assert_eq!(faults.decide(at(1), at(3)), Fate::AT_ONCE);
    assert!(faults.apply(&NetChange::Heal(one_way(1, 2))).is_ok_and(|answer| answer.contains("connect n2")));
    assert_eq!(faults.apply(&NetChange::Connect(node(2))).as_deref(), Ok("connected n2"));
    assert_eq!(faults.apply(&NetChange::Connect(node(2))), Err(NetError::NotIsolated(node(2))));
    assert!(faults.all_clear);
}

#[test]
fn heal_undoes_what_breaks_links_and_reset_undoes_everything() {
    let loss = NetChange::Drop { per_million: HALF, scope: LinkScope::Clients };
    let mut faults = faults(3, &[groups(&[&[1, 2], &[3]]), NetChange::Isolate(node(1)), loss.clone()]);
    let healed = faults.apply(&NetChange::Heal(LinkScope::All));
    assert_eq!(healed.as_deref(), Ok("healed n1<>n3 n2<>n3; connected n1"));
    assert_eq!(faults.rules(), [loss], "loss breaks no link");
    assert_eq!(faults.apply(&NetChange::Reset).as_deref(), Ok("removed drop 50% clients"));
    assert!(faults.all_clear && faults.rules().is_empty());
}

#[test]
fn a_rule_that_ends_says_what_no_longer_happens() {
    let mut faults = faults(3, &[]);
    let mut said = |change| faults.apply(&change).expect("a change");
    let (all, link) = (LinkScope::All, one_way(1, 2));
    assert_eq!(said(NetChange::Drop { per_million: HALF, scope: all }), "drop 50% on all links");
    assert_eq!(said(NetChange::Drop { per_million: 0, scope: all }), "drops nothing on all links any more");
    let still = NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope: link };
    assert_eq!(said(still), "delays nothing on n1>n2 any more");
}

#[test]
fn the_listed_rules_make_the_same_state_again() {
    let changes = [
        groups(&[&[1, 2], &[3]]),
        NetChange::Heal(one_way(1, 3)),
        NetChange::Isolate(node(2)),
        NetChange::Drop { per_million: HALF, scope: LinkScope::All },
        NetChange::Drop { per_million: 0, scope: LinkScope::Clients },
        NetChange::Delay { delay: HELD_BACK_MIN, jitter: HELD_BACK_MAX, scope: one_way(1, 2) },
    ];
    let rules = faults(3, &changes).rules();
    let words: Vec<String> = rules.iter().map(NetChange::to_string).collect();
    let expected = ["cut n2<>n3", "cut n3>n1", "isolate n2", "drop 50% nodes", "delay 1ms jitter 10ms n1>n2"];
    assert_eq!(words, expected);
    assert_eq!(faults(3, &rules).rules(), rules);
}

#[test]
fn a_node_or_link_that_does_not_exist_is_refused() {
    let mut faults = faults(3, &[]);
    assert_eq!(
        faults.apply(&NetChange::Isolate(node(4))),
        Err(NetError::UnknownNode { node: node(4), nodes: NodeId::first(3) })
    );
    assert_eq!(faults.apply(&NetChange::Cut(one_way(1, 1))), Err(NetError::LinkToItself(one_way(1, 1))));
}

#[test]
fn what_is_left_of_a_partition_are_cuts() {
    let one_healed = [groups(&[&[1], &[2, 3]]), NetChange::Heal(one_way(1, 2))];
    let mut faults = faults(3, &one_healed);
    faults.apply(&groups(&[&[1, 2], &[3]])).expect("a partition");
    assert_eq!(reached(&mut faults, 2, 3), [] as [u8; 0], "2>1 is cut still, n3 is apart");
    assert_eq!(reached(&mut faults, 1, 3), [2]);
}

#[test]
fn rules_replace_all_others_or_change_nothing() {
    let mut faults = faults(3, &[NetChange::Isolate(node(1)), NetChange::Cut(one_way(2, 3))]);
    let unknown = NetChange::Replace(vec![NetChange::Isolate(node(2)), NetChange::Isolate(node(9))]);
    assert!(faults.apply(&unknown).is_err());
    assert_eq!(faults.rules(), [NetChange::Cut(one_way(2, 3)), NetChange::Isolate(node(1))]);
    let drop = NetChange::Drop { per_million: HALF, scope: LinkScope::All };
    faults.apply(&NetChange::Replace(vec![drop.clone()])).expect("known nodes");
    assert_eq!(faults.rules(), [drop]);
}

#[test]
fn rules_of_whole_classes_hold_for_a_newcomer() {
    let delay = HELD_BACK_MIN;
    let mut faults = faults(
        3,
        &[
            NetChange::Drop { per_million: MILLION, scope: LinkScope::Nodes },
            NetChange::Delay { delay, jitter: Duration::ZERO, scope: LinkScope::All },
            NetChange::Cut(one_way(1, 2)),
        ],
    );
    let before = faults.rules();
    faults.add_node(node(9));
    assert_eq!(faults.rules(), before, "the same rules, on more links");
    assert_eq!(faults.decide(at(9), at(1)), Fate::Dropped(DropReason::Loss));
    assert_eq!(faults.decide(CLIENT, at(9)), Fate::Delivered { delay, duplicate: None });
    faults.apply(&NetChange::Reset).expect("a change");
    faults.add_node(node(5));
    assert!(faults.all_clear, "what has ended is not in force for a newcomer");
}

#[test]
fn a_rule_of_a_class_with_exceptions_is_listed_as_such_and_holds_for_a_newcomer() {
    let nodes = LinkScope::Nodes;
    let [one, other] = [1, 2].map(|number| End::from(node(number)));
    let both = LinkScope::Both(one, other);
    let before = faults(
        3,
        &[
            groups(&[&[1, 2], &[3]]),
            NetChange::Cut(LinkScope::All),
            NetChange::Heal(LinkScope::Clients),
            NetChange::Heal(both),
            NetChange::Drop { per_million: HALF, scope: LinkScope::All },
            NetChange::Drop { per_million: 0, scope: both },
            NetChange::Drop { per_million: MILLION, scope: one_way(2, 3) },
            NetChange::Drop { per_million: MILLION, scope: LinkScope::Clients },
        ],
    );
    let words: Vec<String> = before.rules().iter().map(NetChange::to_string).collect();
    let expected = [
        "cut nodes",
        "heal n1<>n2",
        "partition n1,n2 / n3",
        "drop 50% nodes",
        "drop 100% clients",
        "drop 0% n1<>n2",
        "drop 100% n2>n3",
    ];
    assert_eq!(words, expected);
    let mut again = faults(3, &before.rules());
    assert_eq!(again.rules(), before.rules());
    again.add_node(node(4));
    assert_eq!(again.rules()[0], NetChange::Cut(nodes));
    assert_eq!(again.decide(at(4), at(3)), Fate::Dropped(DropReason::Cut));
    assert_eq!(again.decide(CLIENT, at(4)), Fate::Dropped(DropReason::Loss));
    assert!(matches!(again.decide(at(1), at(2)), Fate::Delivered { .. }), "an exception");
}

#[test]
fn rules_of_single_links_are_nothing_to_a_newcomer() {
    let mut faults = faults(2, &[NetChange::Cut(LinkScope::Both(node(1).into(), node(2).into()))]);
    assert_eq!(faults.rules().len(), 1);
    faults.add_node(node(3));
    assert_eq!(reached(&mut faults, 3, 3), [1, 2]);
    assert_eq!(faults.rules(), [NetChange::Cut(LinkScope::Both(node(1).into(), node(2).into()))]);
}

#[test]
fn a_rule_between_nodes_waits_for_the_second_node() {
    let mut faults = faults(1, &[NetChange::Cut(LinkScope::Nodes)]);
    assert_eq!(faults.rules(), [NetChange::Cut(LinkScope::Nodes)]);
    faults.add_node(node(2));
    assert_eq!(reached(&mut faults, 1, 2), [] as [u8; 0]);
    faults.apply(&NetChange::Heal(LinkScope::All)).expect("a change");
    faults.add_node(node(3));
    assert_eq!(reached(&mut faults, 3, 3), [1, 2]);
}

#[test]
fn a_newcomer_is_on_the_side_that_was_not_named() {
    let mut faults = faults(5, &[groups(&[&[1, 2]])]);
    faults.add_node(node(6));
    assert_eq!(reached(&mut faults, 6, 6), [3, 4, 5]);
    assert_eq!(faults.rules(), [groups(&[&[1, 2], &[3, 4, 5, 6]])]);
    // As when another fault ends: the same partition again, every node named.
    let without_newcomer = groups(&[&[1, 2], &[3, 4, 5]]);
    for rules in [faults.rules(), vec![without_newcomer]] {
        faults.apply(&NetChange::Replace(rules)).expect("known nodes");
        assert_eq!(reached(&mut faults, 6, 6), [3, 4, 5]);
    }
    faults.add_node(node(7));
    assert_eq!(reached(&mut faults, 7, 7), [3, 4, 5, 6]);
}

#[test]
fn newcomers_to_a_partition_that_names_all_nodes_are_a_side_of_their_own() {
    let mut faults = faults(2, &[groups(&[&[1], &[2]])]);
    faults.add_node(node(3));
    faults.add_node(node(4));
    assert_eq!(reached(&mut faults, 3, 4), [4]);
    assert_eq!(faults.rules(), [groups(&[&[1], &[2], &[3, 4]])]);
}

#[test]
fn what_was_a_removed_nodes_is_gone() {
    let mut faults = faults(
        4,
        &[
            groups(&[&[4]]),
            NetChange::Isolate(node(2)),
            NetChange::Drop { per_million: HALF, scope: one_way(2, 1) },
        ],
    );
    faults.remove_node(node(2));
    assert_eq!(faults.rules(), [groups(&[&[4], &[1, 3]])]);
    faults.remove_node(node(4));
    assert!(faults.all_clear && faults.rules().is_empty(), "who is left is together");
    let unknown = NetError::UnknownNode { node: node(2), nodes: vec![node(1), node(3)] };
    assert_eq!(faults.apply(&NetChange::Isolate(node(2))), Err(unknown));
    faults.add_node(node(2));
    assert!(faults.all_clear, "a later node of the name begins without rules");
}
