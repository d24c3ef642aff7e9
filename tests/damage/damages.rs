//! The ways in which a node's files are damaged.

use std::fmt;

use raftlab::storage::memory::Files;
use raftlab::types::{NodeId, Random};

use crate::cluster::Base;

/// A damage of one node's files.
pub struct Damage {
    what: String,
    files: Files,
    older_copy: bool,
}

impl Damage {
    /// A damage of any kind to the files that the cluster left.
    pub fn draw(base: &Base, victim: NodeId, random: &mut Random) -> Damage {
        let whole = &base.files[&victim];
        loop {
            let mut files = whole.clone();
            let names: Vec<String> = files.keys().cloned().collect();
            let name = random.pick(&names).expect("a node has files").clone();
            let (what, older_copy) = match random.below(10) {
                0 => (flip(&mut files, &name, random), false),
                1 => (cut(&mut files, &name, random), false),
                2 => (cut_lines(&mut files, &name, random), false),
                3 => (lose_lines(&mut files, &name, random), false),
                4 => {
                    files.remove(&name);
                    (format!("{name} is gone"), false)
                }
                5 => {
                    files.get_mut(&name).expect("one of them").clear();
                    (format!("{name} is empty"), false)
                }
                6 => (swap(&mut files, &name, &names, random), false),
                7 => (copy(&mut files, base, victim, random), false),
                8 => (lose_last_segments(&mut files, random), false),
                _ => older(&mut files, base, victim, random),
            };
            if files != *whole {
                return Damage { what, files, older_copy };
            }
        }
    }

    /// What is left.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Whether all files, or `state.json`, are those of an earlier moment: a node cannot tell that from its own files.
    pub fn is_older_copy(&self) -> bool {
        self.older_copy
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound.max(1) as u64)).expect("less than a length")
}

fn flip(files: &mut Files, name: &str, random: &mut Random) -> String {
    let content = files.get_mut(name).expect("one of them");
    let (place, bit) = (below(random, content.len()), random.below(8));
    if let Some(byte) = content.get_mut(place) {
        *byte ^= 1 << bit;
    }
    format!("bit {bit} of byte {place} of {name} flipped")
}

fn cut(files: &mut Files, name: &str, random: &mut Random) -> String {
    let content = files.get_mut(name).expect("one of them");
    let length = below(random, content.len());
    content.truncate(length);
    format!("{name} cut to {length} bytes")
}

fn lines(content: &[u8]) -> Vec<Vec<u8>> {
    content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn cut_lines(files: &mut Files, name: &str, random: &mut Random) -> String {
    let content = files.get_mut(name).expect("one of them");
    let lines = lines(content);
    let kept = below(random, lines.len());
    *content = lines[..kept].concat();
    format!("{name} cut to {kept} of {} lines", lines.len())
}

fn lose_lines(files: &mut Files, name: &str, random: &mut Random) -> String {
    let content = files.get_mut(name).expect("one of them");
    let mut lines = lines(content);
    let first = below(random, lines.len());
    let end = first + below(random, lines.len() - first.min(lines.len()));
    lines.drain(first..end);
    *content = lines.concat();
    format!("{name} without its lines {} to {end}", first + 1)
}

fn swap(files: &mut Files, name: &str, names: &[String], random: &mut Random) -> String {
    let other = random.pick(names).expect("a node has files").clone();
    let (one, two) = (files[name].clone(), files[&other].clone());
    files.insert(name.to_string(), two);
    files.insert(other.clone(), one);
    format!("{name} and {other} swapped")
}

/// A file of another node, in the place of one of that name or beside the node's own files.
fn copy(files: &mut Files, base: &Base, victim: NodeId, random: &mut Random) -> String {
    let others: Vec<(NodeId, &String, &Vec<u8>)> = base
        .files
        .iter()
        .filter(|(node, _)| **node != victim)
        .flat_map(|(node, files)| files.iter().map(|(name, content)| (*node, name, content)))
        .collect();
    let (node, name, content) = *random.pick(&others).expect("the others have files");
    files.insert(name.clone(), content.clone());
    format!("{name} copied from {node}")
}

fn lose_last_segments(files: &mut Files, random: &mut Random) -> String {
    let segments: Vec<String> = files.keys().filter(|name| name.starts_with("log-")).cloned().collect();
    let gone = segments[below(random, segments.len())..].to_vec();
    files.retain(|name, _| !gone.contains(name));
    format!("{} segments from {:?} on are gone", gone.len(), gone.first())
}

/// All files of an earlier moment, or one of them; and whether that can go unnoticed.
fn older(files: &mut Files, base: &Base, victim: NodeId, random: &mut Random) -> (String, bool) {
    let earlier = &base.earlier[&victim];
    if random.chance(500_000) {
        earlier.clone_into(files);
        return ("all files are those of an earlier moment".to_string(), true);
    }
    let names: Vec<&String> = earlier.keys().collect();
    let name = *random.pick(&names).expect("a node has files");
    files.insert(name.clone(), earlier[name].clone());
    (format!("{name} is that of an earlier moment"), name == "state.json")
}
