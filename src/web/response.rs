//! Responses: each is never stored, and lets a browser load nothing but what it says.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

/// How long a reader may take nothing at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at while it takes nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long, and how many bytes, a client may send on after its answer: a connection that is closed before all is read
/// may lose the answer.
const DRAIN_TIME: Duration = Duration::from_millis(500);
const DRAIN_BYTES: usize = 256 << 10;

/// Bytes of a body that are sent together with the head: a longer one is not copied.
const SHORT: usize = 64 << 10;

/// What a browser may do with anything but the page.
const NOTHING_ALLOWED: &str = "default-src 'none'; frame-ancestors 'none'";

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub kind: &'static str,
    /// The rules for the page itself; none for what is data.
    pub policy: Option<String>,
    /// The name under which a browser saves it.
    pub file: Option<&'static str>,
    pub body: Vec<u8>,
}

/// Why a request is not answered as it wants: one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub status: u16,
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, reason: impl Into<String>) -> Refusal {
        Refusal { status, reason: reason.into() }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        Response::json(refusal.status, &json!({"error": refusal.reason}))
    }
}

impl Response {
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Response {
        let mut body = serde_json::to_vec(value).expect("answers are names, texts and numbers");
        body.push(b'\n');
        Response { status, kind: "application/json", policy: None, file: None, body }
    }

    /// Sends it.
    ///
    /// # Errors
    /// The connection breaks, or its reader takes nothing for long.
    pub(crate) fn send(&self, connection: &mut TcpStream) -> io::Result<()> {
        self.send_with(connection, false, "")
    }

    /// Sends it with these headers, each ended by a line break. The connection may stay open behind it.
    ///
    /// # Errors
    /// As for [`Response::send`].
    pub(crate) fn send_with(&self, connection: &mut TcpStream, stays: bool, more: &str) -> io::Result<()> {
        let policy = self.policy.as_deref().unwrap_or(NOTHING_ALLOWED);
        let head = head(self.status, self.kind, policy, if stays { "keep-alive" } else { "close" }) + more;
        let saved = |file| format!("Content-Disposition: attachment; filename=\"{file}\"\r\n");
        let saved = self.file.map(saved).unwrap_or_default();
        let head = format!("{head}{saved}Content-Length: {}\r\n\r\n", self.body.len());
        if self.body.len() > SHORT {
            write_patiently(connection, head.as_bytes(), || false)?;
            return write_patiently(connection, &self.body, || false);
        }
        write_patiently(connection, &[head.as_bytes(), &self.body].concat(), || false)
    }
}

/// The head of an answer in chunks, for which the reader waits.
pub(super) fn head_of_stream(kind: &str) -> String {
    head(200, kind, NOTHING_ALLOWED, "close") + "Transfer-Encoding: chunked\r\n\r\n"
}

fn head(status: u16, kind: &str, policy: &str, connection: &str) -> String {
    let reason = reason(status);
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Security-Policy: {policy}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Connection: {connection}\r\n"
    )
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

/// Writes all of it to a reader that may be slow, but not stand still for long or be `cut`.
///
/// # Errors
/// The connection breaks, or its reader is too slow.
pub(super) fn write_patiently(
    connection: &mut TcpStream,
    mut bytes: &[u8],
    mut cut: impl FnMut() -> bool,
) -> io::Result<()> {
    connection.set_write_timeout(Some(LOOK_EVERY))?;
    let mut took = Instant::now();
    while !bytes.is_empty() {
        match connection.write(bytes) {
            Ok(written) => {
                bytes = &bytes[written..];
                took = Instant::now();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_late(&error) && took.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        if cut() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Whether this says that the time for it was over.
pub(crate) fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Ends a connection so that its client can read what it was sent.
pub(crate) fn close(mut connection: &TcpStream) {
    let until = Instant::now() + DRAIN_TIME;
    // A connection that is broken needs no end.
    let _ = connection.shutdown(Shutdown::Write);
    let mut part = [0; 4096];
    let mut drained = 0;
    while drained < DRAIN_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || connection.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match connection.read(&mut part) {
            Ok(read @ 1..) => drained += read,
            Ok(0) | Err(_) => return,
        }
    }
}
