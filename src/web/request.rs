//! A request, read within its limits: 8 KiB of head, 64 KiB of body. What is wrong with one is a [`Refusal`].

use std::io::{ErrorKind, Read};

use super::response::{Refusal, is_late};

/// Bytes of a head.
const HEAD_MAX: usize = 8 << 10;

/// Bytes of a body.
const BODY_MAX: usize = 64 << 10;

/// Headers of a request: a browser sends some twenty.
const HEADERS_MAX: usize = 64;

/// Bytes that are read at a time.
const PART: usize = 4 << 10;

/// What is asked, as far as the window needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    /// What follows the question mark; empty if there is none.
    pub query: String,
    pub host: String,
    pub origin: Option<String>,
    pub key: Option<String>,
    /// The body says of itself that it is JSON.
    pub is_json: bool,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Get,
    Post,
}

/// A request without its body.
struct Head {
    request: Request,
    /// Bytes of the head.
    length: usize,
    /// Bytes of the body.
    body: usize,
}

impl Request {
    /// Reads a request. What follows it is left, and never answered: one connection has one request.
    ///
    /// # Errors
    /// What is wrong with it; none if no one is left to be told.
    pub(super) fn read(input: &mut impl Read) -> Result<Request, Option<Refusal>> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(head) = Head::parse(&bytes)? {
                break head;
            }
            if bytes.len() > HEAD_MAX {
                return Err(Some(Refusal::new(431, "the head of the request is longer than 8 KiB")));
            }
            read_part(input, &mut bytes, PART)?;
        };
        let whole = head.length + head.body;
        while bytes.len() < whole {
            let left = whole - bytes.len();
            read_part(input, &mut bytes, left)?;
        }
        bytes.truncate(whole);
        Ok(Request { body: bytes.split_off(head.length), ..head.request })
    }
}

/// Reads at least one byte, and at most this number of them.
fn read_part(input: &mut impl Read, bytes: &mut Vec<u8>, max: usize) -> Result<(), Option<Refusal>> {
    let before = bytes.len();
    bytes.resize(before + max.min(PART), 0);
    let read = loop {
        match input.read(&mut bytes[before..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    match read {
        Ok(0) if before == 0 => Err(None),
        Ok(0) => Err(Some(Refusal::new(400, "the request ends before it is whole"))),
        Ok(read) => {
            bytes.truncate(before + read);
            Ok(())
        }
        Err(error) if is_late(&error) => {
            Err(Some(Refusal::new(408, "the request took longer than 5 s to arrive")))
        }
        Err(_) => Err(None),
    }
}

impl Head {
    /// The head at the beginning of these bytes; none if it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
            Ok(httparse::Status::Complete(_)) => {
                return Err(Refusal::new(431, "the head of the request is longer than 8 KiB"));
            }
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
        let headers = Headers(parsed.headers);
        if headers.one("Transfer-Encoding")?.is_some() {
            return Err(Refusal::new(501, "a body in chunks is not read here: send its Content-Length"));
        }
        let body = body_length(method, headers.one("Content-Length")?)?;
        let Some(host) = headers.one("Host")? else {
            return Err(Refusal::new(400, "the request names no Host"));
        };
        let target = parsed.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kind = headers.one("Content-Type")?.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let request = Request {
            method,
            path: path.to_string(),
            query: query.to_string(),
            host: host.to_string(),
            origin: headers.one("Origin")?.map(str::to_string),
            key: headers.one("Raftlab-Key")?.map(str::to_string),
            is_json: kind.eq_ignore_ascii_case("application/json"),
            body: Vec::new(),
        };
        Ok(Some(Head { request, length, body }))
    }
}

fn body_length(method: Method, given: Option<&str>) -> Result<usize, Refusal> {
    let Some(given) = given else {
        return match method {
            Method::Get => Ok(0),
            Method::Post => Err(Refusal::new(411, "the request does not say its Content-Length")),
        };
    };
    let is_number = !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit());
    match given.parse::<usize>() {
        Ok(length) if is_number && length <= BODY_MAX => Ok(length),
        _ if is_number => Err(Refusal::new(413, "the body is longer than 64 KiB")),
        _ => Err(Refusal::new(400, "the Content-Length is not a number")),
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn read(bytes: impl AsRef<[u8]>) -> Result<Request, u16> {
        Request::read(&mut bytes.as_ref()).map_err(|refusal| refusal.map_or(0, |refusal| refusal.status))
    }

    fn post(headers: &str, body: &str) -> Result<Request, u16> {
        read(format!("POST /directive HTTP/1.1\r\nHost: h:1\r\n{headers}\r\n{body}"))
    }

    #[test]
    fn a_request_is_read_in_parts_of_any_size() {
        struct Bytewise<'a>(&'a [u8]);
        impl Read for Bytewise<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let length = self.0.len().min(1);
                self.0.read(&mut into[..length])
            }
        }
        let text = "POST /a?from=3 HTTP/1.1\r\nhost: h:1\r\nOrigin: http://h:1\r\nRaftlab-Key: k\r\n\
                    Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 4\r\n\r\n{\"a\"GET / HTTP";
        let request = Request {
            method: Method::Post,
            path: "/a".to_string(),
            query: "from=3".to_string(),
            host: "h:1".to_string(),
            origin: Some("http://h:1".to_string()),
            key: Some("k".to_string()),
            is_json: true,
            body: b"{\"a\"".to_vec(),
        };
        assert_eq!(Request::read(&mut Bytewise(text.as_bytes())).ok(), Some(request.clone()));
        assert_eq!(read(text), Ok(request), "what follows is not part of it");
    }

    #[test]
    fn what_is_not_a_request_is_rejected_with_its_reason() {
        assert_eq!(read(""), Err(0), "a connection that was opened and closed has no one to tell");
        assert_eq!(read("GET / HT"), Err(400));
        assert_eq!(read([0x16, 0x03, 0x01, 0x02, 0x00]), Err(400), "TLS");
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n"), Err(400), "no Host");
        assert_eq!(read("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Err(400));
        assert_eq!(read("PUT / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(405));
        assert_eq!(post("", ""), Err(411));
        assert_eq!(post("Content-Length: 5\r\n", "abc"), Err(400));
        assert_eq!(post("Content-Length: -5\r\n", ""), Err(400));
        assert_eq!(post("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"), Err(400));
        assert_eq!(post("Content-Length: 65537\r\n", ""), Err(413));
        assert_eq!(post("Content-Length: 99999999999999999999999\r\n", ""), Err(413));
        assert_eq!(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), Err(501));
    }

    #[test]
    fn a_head_has_a_limit() {
        let long = "x".repeat(HEAD_MAX);
        assert_eq!(post(&format!("A: {long}\r\n"), ""), Err(431));
        assert_eq!(read(format!("GET /{long}")), Err(431), "it is not read to its end");
        assert_eq!(post(&"A: b\r\n".repeat(HEADERS_MAX), ""), Err(431));
    }
}
