//! The connections that there may be at a time. One more takes the place of the one that has waited longest for its next
//! request.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::web::response::Refusal;

/// Connections at a time.
const PLACES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    connections: BTreeMap<u64, Connection>,
    last: u64,
    closed: bool,
}

#[derive(Debug)]
struct Connection {
    /// The same connection, to end it.
    socket: TcpStream,
    /// Since when it waits for a request; none while it has one.
    idle: Option<Instant>,
}

/// A place that is taken as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    /// A place for this connection.
    ///
    /// # Errors
    /// All are taken by connections with requests.
    pub fn take(this: &Arc<Places>, connection: &TcpStream) -> Result<Place, Refusal> {
        let socket = connection.try_clone();
        let socket = socket.map_err(|error| Refusal::new(503, format!("no more connections: {error}")))?;
        let mut taken = this.taken.lock();
        if taken.connections.len() >= PLACES_MAX {
            let idle = taken.connections.iter().filter_map(|(number, one)| Some((one.idle?, *number)));
            let Some((_, longest)) = idle.min() else {
                let reason = format!("{PLACES_MAX} connections have requests under way: try again");
                return Err(Refusal::new(503, reason));
            };
            taken.end(longest);
        }
        taken.last += 1;
        let number = taken.last;
        taken.connections.insert(number, Connection { socket, idle: Some(Instant::now()) });
        Ok(Place { places: Arc::clone(this), number })
    }

    pub fn are_closed(&self) -> bool {
        self.taken.lock().closed
    }

    /// Ends all that wait for a request, and waits for the others, but not longer than this.
    pub fn close(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut taken = self.taken.lock();
        taken.closed = true;
        let idle = taken.connections.iter().filter_map(|(number, one)| one.idle.map(|_| *number));
        for number in idle.collect::<Vec<_>>() {
            taken.end(number);
        }
        while !taken.connections.is_empty() && !self.left.wait_until(&mut taken, until).timed_out() {}
    }
}

impl Taken {
    /// Ends a connection that waits for a request: its thread sees the end.
    fn end(&mut self, number: u64) {
        if let Some(ended) = self.connections.remove(&number) {
            // It may be gone by itself.
            let _ = ended.socket.shutdown(Shutdown::Both);
        }
    }
}

impl Place {
    /// The connection waits for a request.
    pub fn rest(&self) {
        self.is_idle(Some(Instant::now()));
    }

    /// It has one. False if its place was given to another.
    pub fn work(&self) -> bool {
        self.is_idle(None)
    }

    fn is_idle(&self, idle: Option<Instant>) -> bool {
        let mut taken = self.places.taken.lock();
        let closed = taken.closed;
        let own = taken.connections.get_mut(&self.number);
        own.map(|own| own.idle = idle).is_some() && !closed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().connections.remove(&self.number);
        self.places.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connect = || {
            let connection = TcpStream::connect(address).expect("it listens");
            // Few may wait to be accepted.
            listener.accept().expect("it was made just now");
            connection
        };
        let places = Arc::new(Places::default());
        let mut all: Vec<(TcpStream, Place)> = Vec::new();
        for _ in 0..PLACES_MAX {
            let connection = connect();
            let place = Places::take(&places, &connection).expect("a place is free");
            assert!(place.work());
            all.push((connection, place));
        }
        let one_more = connect();
        let refused = Places::take(&places, &one_more).expect_err("all have requests");
        assert_eq!(refused.status, 503);
        all[7].1.rest();
        all[3].1.rest();
        let place = Places::take(&places, &one_more).expect("one made room");
        assert!(!all[7].1.work() && all[3].1.work(), "the one that rested longer");
        drop(place);
        drop(all);
        assert!(places.taken.lock().connections.is_empty());
        let place = Places::take(&places, &one_more).expect("all are free");
        place.rest();
        places.close(Duration::ZERO);
        assert!(places.are_closed() && !place.work());
    }
}
