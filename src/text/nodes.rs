//! Lists of nodes in words.

use crate::types::NodeId;

/// `there is no n9: the nodes are n1 to n3`, in a cluster of these nodes, which are in order.
pub fn no_such_node(node: NodeId, nodes: &[NodeId]) -> String {
    let are = match nodes {
        [] => "there are no nodes".to_string(),
        [only] => format!("the only node is {only}"),
        several => format!("the nodes are {}", listed(several)),
    };
    format!("there is no {node}: {are}")
}

/// `n1 to n3`, `n1, n2 and n4`, `n1 to n5 and n7`: nodes in order.
pub fn listed(nodes: &[NodeId]) -> String {
    let follows = |one: &NodeId, next: &NodeId| next.number() == one.number() + 1;
    let rows: Vec<&[NodeId]> = nodes.chunk_by(follows).collect();
    let words = |row: &&[NodeId]| match row {
        [first, .., last] if row.len() > 2 || rows.len() == 1 => vec![format!("{first} to {last}")],
        few => few.iter().map(NodeId::to_string).collect(),
    };
    let words: Vec<String> = rows.iter().flat_map(words).collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => words.concat(),
    }
}

/// More nodes than these are named by the ends of their rows.
const NAMED_MAX: usize = 9;

/// `n1 n2 n4`; of many, `n1 to n8 n10 n12`: nodes in order. One whose name here is more than its own stands by itself.
pub fn spaced(nodes: &[NodeId], name: impl Fn(NodeId) -> String) -> String {
    let is_plain = |node: NodeId| name(node) == node.to_string();
    let follows =
        |one: &NodeId, next: &NodeId| next.number() == one.number() + 1 && is_plain(*one) && is_plain(*next);
    let words = |row: &[NodeId]| match row {
        [first, .., last] if row.len() > 2 && nodes.len() > NAMED_MAX => vec![format!("{first} to {last}")],
        few => few.iter().copied().map(&name).collect(),
    };
    nodes.chunk_by(follows).flat_map(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_a_row_are_named_by_their_ends() {
        let said = |numbers: &[u8]| {
            let nodes: Vec<NodeId> = numbers.iter().copied().map(NodeId::new).collect();
            no_such_node(NodeId::new(9), &nodes)
        };
        assert_eq!(said(&[]), "there is no n9: there are no nodes");
        assert_eq!(said(&[4]), "there is no n9: the only node is n4");
        assert_eq!(said(&[1, 2]), "there is no n9: the nodes are n1 to n2");
        assert_eq!(said(&[1, 2, 3]), "there is no n9: the nodes are n1 to n3");
        assert_eq!(said(&[1, 2, 4]), "there is no n9: the nodes are n1, n2 and n4");
        assert_eq!(said(&[1, 2, 3, 5, 7, 8]), "there is no n9: the nodes are n1 to n3, n5, n7 and n8");
    }

    #[test]
    fn many_nodes_are_named_by_the_ends_of_their_rows() {
        let name = |node: NodeId| match node.number() {
            4 => "n4#95".to_string(),
            _ => node.to_string(),
        };
        let said =
            |numbers: &[u8]| spaced(&numbers.iter().copied().map(NodeId::new).collect::<Vec<_>>(), name);
        assert_eq!(said(&[1, 2, 3]), "n1 n2 n3");
        let few: Vec<u8> = (1..=9).collect();
        assert_eq!(said(&few), "n1 n2 n3 n4#95 n5 n6 n7 n8 n9");
        let many: Vec<u8> = (1..=40).chain([42, 43, 99]).collect();
        assert_eq!(said(&many), "n1 to n3 n4#95 n5 to n40 n42 n43 n99");
    }
}
