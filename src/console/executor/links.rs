//! From the words of a link, or of the groups of a partition, to nodes: at the moment at which the directive runs.

use super::picture::Picture;
use super::target::{Fit, draw, resolve};
use crate::console::language::{Group, LinkSide, Links, Target};
use crate::faults::{End, LinkScope};
use crate::text::joined;
use crate::types::{NodeId, Random};

/// The links that are meant; never none.
pub(super) fn links(links: &Links, picture: &Picture, random: &mut Random) -> Result<Vec<LinkScope>, String> {
    let (one, other, name): (_, _, fn(End, End) -> LinkScope) = match links {
        Links::Clients => return Ok(vec![LinkScope::Clients]),
        Links::Nodes => return Ok(vec![LinkScope::Nodes]),
        Links::OneWay(from, to) => (from, to, LinkScope::OneWay),
        Links::Both(one, other) => (one, other, LinkScope::Both),
    };
    let (ones, others) = (ends(one, picture, random)?, ends(other, picture, random)?);
    let mut named: Vec<LinkScope> = Vec::new();
    for one in &ones {
        for other in others.iter().filter(|other| *other != one) {
            // 'all<>all' names each link twice.
            if !named.iter().any(|scope| scope.covers(*one, *other)) {
                named.push(name(*one, *other));
            }
        }
    }
    if named.is_empty() {
        return Err(format!("{links} names no link: both sides are {}", joined(&ones, ",")));
    }
    Ok(named)
}

fn ends(side: &LinkSide, picture: &Picture, random: &mut Random) -> Result<Vec<End>, String> {
    match side {
        LinkSide::Clients => Ok(vec![End::Clients]),
        LinkSide::Nodes(target) => {
            Ok(resolve(target, Fit::Any, picture, random)?.into_iter().map(End::Node).collect())
        }
    }
}

/// The nodes of each group. Names and the leader come first; the other words take what they mean of the nodes that are
/// left: followers, then random, minority and majority, then all.
pub(super) fn groups(
    groups: &[Group],
    picture: &Picture,
    random: &mut Random,
) -> Result<Vec<Vec<NodeId>>, String> {
    let mut placed: Vec<Vec<NodeId>> = Vec::new();
    for group in groups {
        let named = Target::Nodes(group.nodes.clone());
        placed.push(if group.nodes.is_empty() {
            Vec::new()
        } else {
            resolve(&named, Fit::Any, picture, random)?
        });
    }
    let mut words: Vec<(usize, &Target)> =
        (0..).zip(groups).flat_map(|(at, group)| group.words.iter().map(move |word| (at, word))).collect();
    words.sort_by_key(|(_, word)| match word {
        Target::Leader | Target::Nodes(_) => 0,
        Target::Followers => 1,
        Target::Random | Target::Minority | Target::Majority => 2,
        Target::All => 3,
    });
    for (at, word) in words {
        let left = |node: &NodeId| !placed.iter().flatten().any(|taken| taken == node);
        let meant = match word {
            Target::Random | Target::Minority | Target::Majority => {
                let amount = resolve(word, Fit::Any, picture, random)?.len();
                draw(picture.names().into_iter().filter(left).collect(), amount, random)
            }
            word => {
                let nodes = resolve(word, Fit::Any, picture, random)?;
                if let Some(taken) = nodes.iter().find(|node| *word == Target::Leader && !left(node)) {
                    return Err(format!(
                        "{taken} leads and is in another group, too: each node belongs to one"
                    ));
                }
                nodes.into_iter().filter(left).collect()
            }
        };
        if meant.is_empty() {
            return Err(format!("no node is left for '{word}': the other groups have them all"));
        }
        placed[at].extend(meant);
    }
    Ok(placed)
}
