//! Nodes that come and go while calls are under way.

use super::*;

/// The nodes that a call asks in one turn, each of which answers so.
fn asked(bench: &mut Bench, mut sent: Sent, response: &Response) -> Vec<NodeId> {
    let mut asked = vec![sent.to];
    loop {
        bench.reply(&sent, response.clone());
        match bench.all_sent().pop() {
            Some(next) => sent = next,
            None => return asked,
        }
        asked.push(sent.to);
    }
}

fn in_order(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort_unstable();
    nodes
}

#[test]
fn a_hint_at_a_node_that_the_client_does_not_know_is_followed() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, hint(7));
    let second = bench.sent();
    assert_eq!((second.to, bench.core.leader()), (n(7), Some(n(7))));
    bench.reply(&second, applied());
    assert_eq!(bench.outcome(), answered_by(n(7)));
}

#[test]
fn an_unknown_leader_that_does_not_run_leaves_the_search_as_it_was() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, hint(7));
    let second = bench.sent();
    let asked = asked(&mut bench, second, &Response::Unreachable);
    assert_eq!((asked[0], in_order(asked[1..].to_vec())), (n(7), vec![n(2), n(3)]));
    assert_eq!(bench.core.leader(), None);
}

#[test]
fn a_call_under_way_asks_a_node_that_has_come_since() {
    let mut bench = Bench::new();
    let first = bench.command();
    bench.core.set_nodes([1, 2, 3, 9].map(n).to_vec());
    let asked = asked(&mut bench, first, &Response::Unreachable);
    assert_eq!(in_order(asked), [1, 2, 3, 9].map(n));
}

#[test]
fn a_node_that_has_gone_is_not_asked_and_leads_no_more() {
    let mut bench = Bench::led_by(n(2));
    bench.core.set_nodes([1, 3].map(n).to_vec());
    assert_eq!(bench.core.leader(), None);
    let first = bench.command();
    let asked = asked(&mut bench, first, &Response::Unreachable);
    assert_eq!(in_order(asked), [1, 3].map(n));
}
