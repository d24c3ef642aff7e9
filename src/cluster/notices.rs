//! What a start has to say of files that hold something else than its settings ask for.

use derive_more::Display;

use crate::config::Settings;
use crate::raft::membership::configuration::Configuration;
use crate::text::{counted, joined};
use crate::types::NodeId;

/// What the settings ask for, and files of an earlier run hold otherwise: the files decide.
#[derive(Clone, PartialEq, Eq, Debug, Display)]
#[non_exhaustive]
pub enum Notice {
    /// Another number of nodes.
    #[display(
        "the files hold a cluster of {} ({}): the number {asked} counts only for a new cluster",
        counted(members.len(), "node"),
        joined(members, " ")
    )]
    Nodes { members: Vec<NodeId>, asked: u8 },
    /// Another preferred node, or none.
    #[display(
        "the files hold a cluster that prefers {} to lead: 'preferred' counts only for a new cluster, and 'prefer {asked}' \
         changes it in this one",
        held.map_or("no node".to_string(), |node| node.to_string())
    )]
    Preferred { held: Option<NodeId>, asked: NodeId },
}

impl Notice {
    /// What these settings ask for, and a cluster of this configuration does not have.
    pub(super) fn of(settings: &Settings, found: &Configuration) -> Vec<Notice> {
        let (members, held, asked) = (found.nodes(), found.preferred, settings.preferred);
        let nodes = (members.len() != usize::from(settings.nodes))
            .then_some(Notice::Nodes { members, asked: settings.nodes });
        let preferred = asked.filter(|_| held != asked).map(|asked| Notice::Preferred { held, asked });
        nodes.into_iter().chain(preferred).collect()
    }
}
