//! Which connection speaks for each client: answers take the way of the question.

use std::collections::{HashMap, VecDeque};

use derive_more::Debug;
use parking_lot::Mutex;

use crate::net::inbox::Inbox;
use crate::net::router::RouterHandle;
use crate::protocol::Address;
use crate::types::ClientId;

/// Names that the clients of one connection may have.
const NAMES_MAX: usize = 4_096;

/// The connection that each client speaks by.
#[derive(Debug)]
pub(super) struct Names {
    #[debug(skip)]
    network: RouterHandle,
    taken: Mutex<HashMap<ClientId, u64>>,
}

impl Names {
    pub fn new(network: RouterHandle) -> Names {
        Names { network, taken: Mutex::default() }
    }

    /// Clients come and go on a connection without a word: of too many, the one that came first is forgotten. `own` are those of
    /// the connection with this number.
    pub fn take(
        &self,
        number: u64,
        client: ClientId,
        answers: &Inbox,
        own: &mut VecDeque<ClientId>,
    ) -> Result<(), String> {
        {
            let mut taken = self.taken.lock();
            match taken.get(&client) {
                Some(known) if *known == number => return Ok(()),
                Some(_) => return Err(format!("another connection speaks for the client {client}")),
                None => taken.insert(client, number),
            };
            // Under the lock: no other connection gets the name in between.
            self.network.register(Address::Client(client), answers.clone());
        }
        own.push_back(client);
        if own.len() > NAMES_MAX
            && let Some(oldest) = own.pop_front()
        {
            self.forget(number, oldest);
        }
        Ok(())
    }

    pub fn forget(&self, number: u64, client: ClientId) {
        let mut taken = self.taken.lock();
        if taken.get(&client) == Some(&number) {
            taken.remove(&client);
            self.network.unregister(Address::Client(client));
        }
    }
}
