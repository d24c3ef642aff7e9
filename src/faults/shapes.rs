//! Named shapes of a partition, as groups that hear one another.

use crate::types::NodeId;

/// Two halves in the order of the nodes; the first is the larger when their number is odd.
pub fn halves(nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let (first, second) = nodes.split_at(nodes.len().div_ceil(2));
    vec![first.to_vec(), second.to_vec()]
}

/// The largest minority that holds this node, against the rest.
pub fn minority(nodes: &[NodeId], of: NodeId) -> Vec<Vec<NodeId>> {
    let others = nodes.iter().copied().filter(|node| *node != of);
    let size = (nodes.len().saturating_sub(1) / 2).max(1);
    let mut small: Vec<NodeId> = std::iter::once(of).chain(others).take(size).collect();
    small.sort_unstable();
    let large = nodes.iter().copied().filter(|node| !small.contains(node)).collect();
    vec![small, large]
}

/// Two halves that hear one another only through the node in the middle, which hears both.
pub fn bridge(nodes: &[NodeId], middle: NodeId) -> Vec<Vec<NodeId>> {
    let others: Vec<NodeId> = nodes.iter().copied().filter(|node| *node != middle).collect();
    let mut sides = halves(&others);
    for side in &mut sides {
        side.push(middle);
        side.sort_unstable();
    }
    sides
}

/// Each node hears the one before and the one after it. Three nodes in a ring all hear one another.
pub fn ring(nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let after = nodes.iter().cycle().skip(1);
    nodes.iter().zip(after).map(|(node, next)| vec![*node, *next]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(numbers: &[u8]) -> Vec<NodeId> {
        numbers.iter().copied().map(NodeId::new).collect()
    }

    #[test]
    fn shapes_of_five_nodes() {
        let five = NodeId::first(5);
        assert_eq!(halves(&five), [nodes(&[1, 2, 3]), nodes(&[4, 5])]);
        assert_eq!(minority(&five, NodeId::new(4)), [nodes(&[1, 4]), nodes(&[2, 3, 5])]);
        assert_eq!(bridge(&five, NodeId::new(3)), [nodes(&[1, 2, 3]), nodes(&[3, 4, 5])]);
        assert_eq!(ring(&five).last(), Some(&nodes(&[5, 1])));
    }
}
