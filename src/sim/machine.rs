//! What a simulated cluster replicates, without its types.

use std::sync::Arc;

use crate::state_machine::image::{self, LoadImage};
use crate::state_machine::sessions::Bounds;
use crate::state_machine::{Machine, Replica, StateMachine};

/// A kind of state machine: how a node makes one, and how it reads an image of one.
#[derive(Clone)]
pub(super) struct Kind {
    /// A replica that has applied nothing, with these bounds of its sessions.
    pub blank: Arc<dyn Fn(Bounds) -> Box<dyn Machine>>,
    pub load: LoadImage,
}

impl Kind {
    pub fn of<M: StateMachine>(machine: impl Fn() -> M + 'static) -> Kind {
        Kind {
            blank: Arc::new(move |bounds| Box::new(Replica::bounded(machine(), bounds))),
            load: image::load::<M>,
        }
    }
}
