//! The web server behind the window: a page, the trace as a stream, and lines for the console.
//!
//! Small on purpose: the standard library's sockets, a thread for each connection, one request for each. It is reached from
//! this machine alone unless another address is asked for, by the address that it prints, and its clients are browsers that may show anyone's page too: so a
//! request must come by exactly that address, and all but the page is for those with a key (see `keys`). Everything
//! is bounded: connections, streams, bytes, time.
//!
//! Architecture invariant: nothing here waits for the console or for a node, and neither waits for anything here.

pub mod feed;
mod keys;
pub(crate) mod places;
pub(crate) mod request;
pub(crate) mod response;
mod routes;
mod stream;

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::feed::Feed;
use self::keys::Keys;
use self::places::Places;
use self::request::{Incoming, Limits};
use self::response::{Refusal, Response, close};
use self::routes::{Answer, Site};
use crate::console::window_session::WindowSession;

/// Connections at a time, and how many of them may be streams.
const CONNECTIONS_MAX: usize = 64;
const STREAMS_MAX: usize = 16;

/// What a browser sends is short.
const LIMITS: Limits = Limits { body_max: 64 << 10, any_form: false, seconds: 5 };

/// How long no connection is accepted after one that could not be.
const REST: Duration = Duration::from_millis(50);

/// How long the last lines and answers may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server that listens. It ends with the program.
#[derive(Clone, Debug)]
pub struct WebServer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    host: String,
    keys: Keys,
    feed: Arc<Feed>,
    session: Arc<WindowSession>,
    connections: Arc<Places>,
    streams: Arc<Places>,
}

impl WebServer {
    /// Serves this session and this trace at an address; port 0 lets the system choose one. A secret lets browsers in as often
    /// as they show it.
    ///
    /// # Errors
    /// One line: the port is taken, the address is not this machine's, or the system gives no thread.
    pub fn start(
        address: SocketAddr,
        secret: Option<String>,
        feed: Arc<Feed>,
        session: Arc<WindowSession>,
    ) -> Result<WebServer, String> {
        let listener = TcpListener::bind(address).map_err(|error| {
            format!("--web cannot listen on {address}: {error}; --web alone chooses a port")
        })?;
        let address = listener.local_addr().map_err(|error| format!("--web has no address: {error}"))?;
        let server = WebServer(Arc::new(Shared {
            host: address.to_string(),
            keys: Keys::new(secret),
            feed,
            session,
            connections: Arc::new(Places::new(CONNECTIONS_MAX)),
            streams: Arc::new(Places::new(STREAMS_MAX)),
        }));
        let accepting = server.clone();
        thread::Builder::new()
            .name("web".to_string())
            .spawn(move || accepting.accept(&listener))
            .map_err(|error| format!("--web needs a thread: {error}"))?;
        Ok(server)
    }

    /// An address that lets one browser in.
    pub fn address(&self) -> String {
        format!("http://{}/#token={}", self.0.host, self.0.keys.new_token())
    }

    /// Ends the streams, once all that was told has been sent: the session is over. Does not wait long for browsers.
    pub fn close(&self) {
        self.0.feed.close();
        self.0.connections.wait_until_free(LAST_WORDS);
    }

    fn accept(&self, listener: &TcpListener) {
        for connection in listener.incoming() {
            let Ok(connection) = connection else {
                // It is gone already, or the system has no room for it: then there is none at once, either.
                let _ = crossbeam_channel::after(REST).recv();
                continue;
            };
            let Some(place) = self.0.connections.take() else {
                turn_away(connection);
                continue;
            };
            let shared = Arc::clone(&self.0);
            let serve = move || {
                shared.serve(connection);
                drop(place);
            };
            // Without a thread the connection is closed.
            let _ = thread::Builder::new().name("web-client".to_string()).spawn(serve);
        }
    }
}

/// Says that there are too many connections, without waiting for this one.
fn turn_away(mut connection: TcpStream) {
    let refusal = Refusal::new(503, format!("{CONNECTIONS_MAX} connections are open already"));
    // The answer fits into what the system keeps for a connection that is new.
    let _ = connection.set_nonblocking(true);
    let _ = Response::from(refusal).send(&mut connection);
}

impl Shared {
    fn site(&self) -> Site<'_> {
        Site { host: &self.host, keys: &self.keys, feed: &self.feed, session: &self.session }
    }

    /// Answers the request of this connection, and closes it.
    fn serve(&self, mut connection: TcpStream) {
        // What a connection suffers is its client's to see.
        let _ = self.answer(&mut connection);
        close(&connection);
    }

    fn answer(&self, connection: &mut TcpStream) -> io::Result<()> {
        connection.set_nodelay(true)?;
        let until = Instant::now() + Duration::from_secs(LIMITS.seconds);
        let request = match Incoming::new(LIMITS).request(&mut Timed { connection, until }) {
            Ok(request) => request,
            Err(Some(refusal)) => return Response::from(refusal).send(connection),
            Err(None) => return Ok(()),
        };
        match self.site().answer(&request) {
            Ok(Answer::Whole(response)) => response.send(connection),
            Ok(Answer::Follow(from)) => {
                let Some(_place) = self.streams.take() else {
                    let reason = format!("{STREAMS_MAX} streams are open already: close a tab");
                    return Response::from(Refusal::new(503, reason)).send(connection);
                };
                let _watch = self.session.watch();
                stream::follow(connection, &self.feed, from)
            }
            Err(refusal) => Response::from(refusal).send(connection),
        }
    }
}

/// A connection that is read until a time.
pub(crate) struct Timed<'a> {
    pub connection: &'a TcpStream,
    pub until: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.connection.set_read_timeout(Some(left))?;
        self.connection.read(into)
    }
}
