//! The gateway's listener and its connections: a thread for each, which stays open for further requests.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use derive_more::Debug;

use super::places::{Place, Places};
use super::routes::Gate;
use super::site::Site;
use crate::text::plain;
use crate::web::Timed;
use crate::web::request::{Incoming, Limits};
use crate::web::response::{Refusal, Response, close};

/// A value is 1 MiB unless a setting says otherwise, and 4/3 of that in base64.
const LIMITS: Limits = Limits { body_max: 3 << 20, any_form: true, seconds: 10 };

/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(60);

/// How long no connection is accepted after one that could not be.
const REST: Duration = Duration::from_millis(50);

/// How long answers under way may take at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// An address of this machine where a gateway listens and nothing is accepted yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

/// A gateway that answers, until it is closed.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    #[debug(skip)]
    gate: Gate,
    places: Arc<Places>,
}

impl Door {
    /// Listens at this address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// One line: it is no address of this machine alone, or is in use.
    pub fn open(address: &str) -> Result<Door, String> {
        let found = address
            .to_socket_addrs()
            .map_err(|error| format!("--http {address}: {}: write it as 127.0.0.1:2379", plain(&error)))?;
        let found: Vec<SocketAddr> = found.collect();
        if let Some(foreign) = found.iter().find(|found| !found.ip().is_loopback()) {
            return Err(format!(
                "--http {address}: {} can be reached from other machines, and this server neither encrypts nor asks who calls: \
                 use 127.0.0.1, and a proxy that does both",
                foreign.ip()
            ));
        }
        let listener = TcpListener::bind(found.as_slice()).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("--http {address} is in use: stop what listens there, or choose another port")
            }
            _ => format!("--http {address}: {}", plain(&error)),
        })?;
        let address = listener.local_addr().map_err(|error| format!("--http has no address: {error}"))?;
        Ok(Door { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers who comes, for this cluster.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn serve(self, site: Site) -> Result<Gateway, String> {
        let Door { listener, address } = self;
        let shared = Arc::new(Shared { gate: Gate::new(address, site), places: Arc::default() });
        let accepting = Arc::clone(&shared);
        thread::Builder::new()
            .name("http".to_string())
            .spawn(move || accepting.accept(&listener))
            .map_err(|error| format!("--http needs a thread: {error}"))?;
        Ok(Gateway { shared, address })
    }
}

impl Gateway {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the connections, those with a request under way once it is answered, if that comes soon.
    pub fn close(&self) {
        self.shared.places.close(LAST_WORDS);
        // It accepts once more, and sees that it is closed.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.places.are_closed() {
                return;
            }
            let Ok(connection) = connection else {
                // It is gone already, or the system has no room for it: then there is none at once, either.
                let _ = crossbeam_channel::after(REST).recv();
                continue;
            };
            let place = match Places::take(&self.places, &connection) {
                Ok(place) => place,
                Err(refusal) => {
                    turn_away(connection, refusal);
                    continue;
                }
            };
            let shared = Arc::clone(self);
            let serve = move || {
                // What a connection suffers is its client's to see.
                let _ = shared.serve(connection, &place);
            };
            // Without a thread the connection is closed.
            let _ = thread::Builder::new().name("http-client".to_string()).spawn(serve);
        }
    }

    /// Answers the requests of this connection, and closes it.
    fn serve(&self, mut connection: TcpStream, place: &Place) -> io::Result<()> {
        connection.set_nodelay(true)?;
        let mut incoming = Incoming::new(LIMITS);
        loop {
            if incoming.is_empty() && !wait_for_request(&connection, &mut incoming, place)? {
                return Ok(());
            }
            let stays = self.answer(&mut connection, &mut incoming)? && !self.places.are_closed();
            if !stays {
                close(&connection);
                return Ok(());
            }
        }
    }

    /// Answers one request, and says whether another may follow.
    fn answer(&self, connection: &mut TcpStream, incoming: &mut Incoming) -> io::Result<bool> {
        let until = Instant::now() + Duration::from_secs(LIMITS.seconds);
        let read = incoming.head(&mut Timed { connection, until }).and_then(|head| {
            if head.expects {
                io::Write::write_all(connection, b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| None)?;
            }
            incoming.body(&mut Timed { connection, until }, head)
        });
        match read {
            Ok(request) => {
                let stays = request.keeps_alive && !self.places.are_closed();
                let answer = self.gate.answer(&request);
                answer.response.send_with(connection, stays, &answer.headers())?;
                Ok(stays)
            }
            Err(Some(refusal)) => self.gate.refuse(&refusal).send(connection).map(|()| false),
            Err(None) => Ok(false),
        }
    }
}

/// Waits for the first bytes of a request and takes them. False when none come, or the connection's place was needed.
fn wait_for_request(connection: &TcpStream, incoming: &mut Incoming, place: &Place) -> io::Result<bool> {
    place.rest();
    connection.set_read_timeout(Some(IDLE))?;
    let comes = incoming.begins(&mut &*connection);
    Ok(place.work() && comes)
}

/// Says why a connection is not served, without waiting for it.
fn turn_away(mut connection: TcpStream, refusal: Refusal) {
    // The answer fits into what the system keeps for a connection that is new.
    let _ = connection.set_nonblocking(true);
    let _ = Response::from(refusal).send(&mut connection);
}
