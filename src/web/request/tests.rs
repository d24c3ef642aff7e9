//! Requests in all forms, and what is refused of them.

use std::io;

use super::*;

fn read(bytes: impl AsRef<[u8]>) -> Result<Request, u16> {
    read_within(LIMITS, bytes)
}

const LIMITS: Limits = Limits { body_max: 64 << 10, any_form: false, seconds: 5 };

fn read_within(limits: Limits, bytes: impl AsRef<[u8]>) -> Result<Request, u16> {
    let read = Incoming::new(limits).request(&mut bytes.as_ref());
    read.map_err(|refusal| refusal.map_or(0, |refusal| refusal.status))
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
        session: None,
        serial: None,
        acknowledged: None,
        keeps_alive: true,
        is_json: true,
        body: b"{\"a\"".to_vec(),
    };
    let bytewise = Incoming::new(LIMITS).request(&mut Bytewise(text.as_bytes()));
    assert_eq!(bytewise.ok(), Some(request.clone()));
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
fn a_body_comes_with_its_length_or_in_chunks() {
    let limits = Limits { body_max: 1 << 10, any_form: true, seconds: 10 };
    let post = |headers: &str, body: &str| {
        let read = read_within(limits, format!("POST /a HTTP/1.1\r\nHost: h:1\r\n{headers}\r\n{body}"));
        read.map(|request| String::from_utf8(request.body).expect("it is text"))
    };
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    assert_eq!(post("", ""), Ok(String::new()), "no length is no body");
    assert_eq!(post("Content-Length: 2\r\n", "{}GET"), Ok("{}".to_string()));
    assert_eq!(chunked("1\r\n{\r\n01;a=b\r\n}\r\n0\r\nA: b\r\n\r\nGET"), Ok("{}".to_string()));
    assert_eq!(chunked("0\r\n\r\n"), Ok(String::new()));
    for (body, status) in [
        ("x\r\n", 400),
        ("1\r\n{}\r\n", 400),
        ("1\r\n{", 400),
        ("", 400),
        ("401\r\n", 413),
        ("ffffffffffffffffff\r\n", 400),
    ] {
        assert_eq!(chunked(body), Err(status), "{body:?}");
    }
    assert_eq!(post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "{}"), Err(400));
    assert_eq!(post("Transfer-Encoding: deflate\r\n", "{}"), Err(501));
    assert_eq!(post("Content-Length: 1025\r\n", ""), Err(413));
}

#[test]
fn requests_come_one_after_another() {
    let mut incoming = Incoming::new(LIMITS);
    let mut input = "GET /a HTTP/1.1\r\nHost: h:1\r\n\r\nPOST /b HTTP/1.0\r\nHost: h:1\r\nContent-Length: 2\r\n\r\n{}GET /c HTTP/1.1\r\nConnection: Close\r\nHost: h:1\r\n\r\n".as_bytes();
    let mut next =
        || incoming.request(&mut input).map(|request| (request.path, request.keeps_alive, request.body)).ok();
    assert_eq!(next(), Some(("/a".to_string(), true, Vec::new())));
    assert_eq!(next(), Some(("/b".to_string(), false, b"{}".to_vec())));
    assert_eq!(next(), Some(("/c".to_string(), false, Vec::new())));
    assert_eq!(next(), None);
}

#[test]
fn a_request_that_takes_too_long_is_told_how_long_it_had() {
    struct Late;
    impl Read for Late {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }
    let refusal = Incoming::new(LIMITS).request(&mut Late).expect_err("it is late").expect("it is told");
    assert_eq!(
        (refusal.status, refusal.reason.as_str()),
        (408, "the request took longer than 5 s to arrive")
    );
}

#[test]
fn a_head_has_a_limit() {
    let long = "x".repeat(HEAD_MAX);
    assert_eq!(post(&format!("A: {long}\r\n"), ""), Err(431));
    assert_eq!(read(format!("GET /{long}")), Err(431), "it is not read to its end");
    assert_eq!(post(&"A: b\r\n".repeat(HEADERS_MAX), ""), Err(431));
}
