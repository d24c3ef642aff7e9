//! Requests, read one after another from a connection within its limits. What is wrong with one is a [`Refusal`].

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read};

use super::response::{Refusal, is_late};

/// Bytes of a head, and of the trailer behind a body in chunks.
const HEAD_MAX: usize = 8 << 10;

/// Headers of a request: a browser sends some twenty.
const HEADERS_MAX: usize = 64;

/// Bytes that are read at a time.
const PART: usize = 4 << 10;

/// What a server takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Bytes of a body, in whole KiB.
    pub body_max: usize,
    /// Whether a body may come in chunks, and none may have no length.
    pub any_form: bool,
    /// Seconds that a request may take to arrive.
    pub seconds: u64,
}

/// What is asked, as far as a server needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub method: Method,
    pub path: String,
    /// What follows the question mark; empty if there is none.
    pub query: String,
    pub host: String,
    pub origin: Option<String>,
    pub key: Option<String>,
    /// The caller's own session, the number of the command in it, and the lowest number whose answer it needs.
    pub session: Option<String>,
    pub serial: Option<String>,
    pub acknowledged: Option<String>,
    /// The body says of itself that it is JSON.
    pub is_json: bool,
    /// Another request may follow on the connection.
    pub keeps_alive: bool,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Get,
    Post,
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    request: Request,
    body: Body,
    /// The client waits to be told that its body is wanted.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only programs send long bodies"))]
    pub expects: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    Of(usize),
    Chunks,
}

/// What comes by a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    limits: Limits,
    /// What was read and belongs to no request yet.
    bytes: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(limits: Limits) -> Incoming {
        Incoming { limits, bytes: Vec::new() }
    }

    /// Whether nothing of a further request has been read.
    #[cfg(feature = "http")]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Waits for the first bytes of a further request and takes them: mostly they are all of it. False if none come.
    #[cfg(feature = "http")]
    pub(crate) fn begins(&mut self, input: &mut impl Read) -> bool {
        self.read_part(input, PART).is_ok()
    }

    /// Reads a whole request.
    ///
    /// # Errors
    /// What is wrong with it; none if no one is left to be told. No further request can be read then.
    pub(crate) fn request(&mut self, input: &mut impl Read) -> Result<Request, Option<Refusal>> {
        let head = self.head(input)?;
        self.body(input, head)
    }

    /// Reads a request up to its body.
    ///
    /// # Errors
    /// As for [`Incoming::request`].
    pub(crate) fn head(&mut self, input: &mut impl Read) -> Result<Head, Option<Refusal>> {
        loop {
            if let Some((head, length)) = Head::parse(&self.bytes, self.limits)? {
                self.bytes.drain(..length);
                return Ok(head);
            }
            if self.bytes.len() > HEAD_MAX {
                return Err(Some(long_head()));
            }
            self.read_part(input, PART)?;
        }
    }

    /// Reads the body behind this head.
    ///
    /// # Errors
    /// As for [`Incoming::request`].
    pub(crate) fn body(&mut self, input: &mut impl Read, head: Head) -> Result<Request, Option<Refusal>> {
        let body = match head.body {
            Body::Of(length) => self.take(input, length)?,
            Body::Chunks => self.chunks(input)?,
        };
        Ok(Request { body, ..head.request })
    }

    /// Takes this many bytes.
    fn take(&mut self, input: &mut impl Read, length: usize) -> Result<Vec<u8>, Option<Refusal>> {
        while self.bytes.len() < length {
            let left = length - self.bytes.len();
            // The head before it was there.
            self.read_part(input, left).map_err(|refusal| refusal.or_else(|| Some(broken_off())))?;
        }
        let rest = self.bytes.split_off(length);
        Ok(std::mem::replace(&mut self.bytes, rest))
    }

    /// Takes a body in chunks, and what trails it.
    fn chunks(&mut self, input: &mut impl Read) -> Result<Vec<u8>, Option<Refusal>> {
        let mut body = Vec::new();
        loop {
            let line = self.line(input)?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(Some(Refusal::new(400, "the body has a chunk without a size")));
            };
            if size == 0 {
                break;
            }
            let left = self.limits.body_max - body.len();
            let size = usize::try_from(size).ok().filter(|size| *size <= left);
            let size = size.ok_or_else(|| self.limits.long_body())?;
            body.extend(self.take(input, size)?);
            if self.take(input, 2)? != b"\r\n" {
                return Err(Some(Refusal::new(400, "the body has a chunk of another size than it says")));
            }
        }
        let mut trailing = 0;
        loop {
            match self.line(input)?.len() {
                2 => return Ok(body),
                length => trailing += length,
            }
            if trailing > HEAD_MAX {
                return Err(Some(long_head()));
            }
        }
    }

    /// Takes a line with its end.
    fn line(&mut self, input: &mut impl Read) -> Result<Vec<u8>, Option<Refusal>> {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.bytes[looked_at..].windows(2).position(|pair| pair == b"\r\n") {
                return self.take(input, looked_at + at + 2);
            }
            looked_at = self.bytes.len().saturating_sub(1);
            if looked_at > HEAD_MAX {
                return Err(Some(Refusal::new(400, "the body has a chunk without a size")));
            }
            self.read_part(input, PART).map_err(|refusal| refusal.or_else(|| Some(broken_off())))?;
        }
    }

    /// Reads at least one byte, and at most this number of them.
    fn read_part(&mut self, input: &mut impl Read, max: usize) -> Result<(), Option<Refusal>> {
        let before = self.bytes.len();
        self.bytes.resize(before + max.min(PART), 0);
        let read = loop {
            match input.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if before == 0 => Err(None),
            Ok(0) => Err(Some(broken_off())),
            Ok(_) => Ok(()),
            Err(error) if is_late(&error) => {
                let seconds = self.limits.seconds;
                Err(Some(Refusal::new(408, format!("the request took longer than {seconds} s to arrive"))))
            }
            Err(_) => Err(None),
        }
    }
}

fn broken_off() -> Refusal {
    Refusal::new(400, "the request ends before it is whole")
}

fn long_head() -> Refusal {
    Refusal::new(431, "the head of the request is longer than 8 KiB")
}

impl Limits {
    fn long_body(self) -> Refusal {
        Refusal::new(413, format!("the body is longer than {} KiB", self.body_max >> 10))
    }

    /// How the body comes that these headers tell of.
    fn body(self, method: Method, length: Option<&str>, encoding: Option<&str>) -> Result<Body, Refusal> {
        if let Some(encoding) = encoding {
            if !self.any_form {
                return Err(Refusal::new(501, "a body in chunks is not read here: send its Content-Length"));
            }
            if length.is_some() {
                return Err(Refusal::new(
                    400,
                    "the body has a Content-Length and comes in chunks: which is it?",
                ));
            }
            if !encoding.eq_ignore_ascii_case("chunked") {
                return Err(Refusal::new(
                    501,
                    "a body comes with its Content-Length or in chunks, not otherwise",
                ));
            }
            return Ok(Body::Chunks);
        }
        let Some(given) = length else {
            return match method {
                Method::Post if !self.any_form => {
                    Err(Refusal::new(411, "the request does not say its Content-Length"))
                }
                Method::Get | Method::Post => Ok(Body::Of(0)),
            };
        };
        let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
        match given.parse::<usize>() {
            Ok(length) if is_number && length <= self.body_max => Ok(Body::Of(length)),
            _ if is_number => Err(self.long_body()),
            _ => Err(Refusal::new(400, "the Content-Length is not a number")),
        }
    }
}

impl Head {
    /// The head at the beginning of these bytes, and its length; none if it is not whole.
    fn parse(bytes: &[u8], limits: Limits) -> Result<Option<(Head, usize)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
            Ok(httparse::Status::Complete(_)) => return Err(long_head()),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, "the request has more than 64 headers"));
            }
            Err(error) => return Err(Refusal::new(400, format!("this is no HTTP request: {error}"))),
        };
        let method = match parsed.method {
            Some("GET") => Method::Get,
            Some("POST") => Method::Post,
            _ => return Err(Refusal::new(405, "only GET and POST are answered here")),
        };
        let is_newest = parsed.version == Some(1);
        let headers = Headers(parsed.headers);
        let (length_given, encoding) = (headers.one("Content-Length")?, headers.one("Transfer-Encoding")?);
        let body = limits.body(method, length_given, encoding)?;
        let Some(host) = headers.one("Host")? else {
            return Err(Refusal::new(400, "the request names no Host"));
        };
        let target = parsed.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kind = headers.one("Content-Type")?.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let own = |name| headers.one(name).map(|value| value.map(str::to_string));
        let expects = headers.one("Expect")?.is_some_and(|what| what.eq_ignore_ascii_case("100-continue"));
        let closes = headers.one("Connection")?.is_some_and(|what| what.eq_ignore_ascii_case("close"));
        let request = Request {
            method,
            path: path.to_string(),
            query: query.to_string(),
            host: host.to_string(),
            origin: own("Origin")?,
            key: own("Raftlab-Key")?,
            session: own("Raftlab-Session")?,
            serial: own("Raftlab-Serial")?,
            acknowledged: own("Raftlab-Acknowledged")?,
            is_json: kind.eq_ignore_ascii_case("application/json"),
            keeps_alive: is_newest && !closes,
            body: Vec::new(),
        };
        Ok(Some((Head { request, body, expects }, length)))
    }
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The value of a header that may stand there once. Which of two is meant, readers do not agree on.
    fn one(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut named = self.0.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let Some(header) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            return Err(Refusal::new(400, format!("{name} is there twice")));
        }
        let value = std::str::from_utf8(header.value);
        value.map(Some).map_err(|_| Refusal::new(400, format!("{name} is not text")))
    }
}
