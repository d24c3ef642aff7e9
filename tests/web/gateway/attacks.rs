//! What a stranger may send: each is refused in one clear line, and no other client notices.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raftlab::check::linearizability::Start;
use raftlab::client::{Ask, CallId, Ended, Outcome, Pipeline};
use raftlab::cluster::Cluster;
use raftlab::gateway::{Door, Gateway, Site};
use raftlab::load::{Amount, Caller, Load, Plan, WorkloadSettings, judge};
use raftlab::storage::ClusterId;
use raftlab::types::Time;
use serde_json::json;

use super::{Answered, Line, Served, X, post, with_key};
use crate::process::PATIENCE;

/// How often a slow client sends a byte.
const DRIBBLE: Duration = Duration::from_millis(200);

/// Bytes that are no request, and the status that they are refused with.
fn malformed(host: &str) -> Vec<(Vec<u8>, u16)> {
    let long = "x".repeat(9_000);
    let range = |headers: &str, body: &str| {
        format!("POST /v3/kv/range HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{body}").into_bytes()
    };
    // Of the length that it says.
    let whole = |body: &str| post(host, "/v3/kv/range", "", body).into_bytes();
    let chunked = "Transfer-Encoding: chunked\r\n";
    vec![
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        (b"GET\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(), 431),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nA: {long}\r\n\r\n").into_bytes(), 431),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "A: b\r\n".repeat(70)).into_bytes(), 431),
        (b"GET /version HTTP/1.1\r\n\r\n".to_vec(), 400),
        (format!("GET /version HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n").into_bytes(), 400),
        (b"GET /version HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(), 421),
        (format!("GET /version HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n").into_bytes(), 403),
        (format!("DELETE /v3/kv/range HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(), 405),
        (format!("GET /v3/kv/range HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(), 405),
        (range("Content-Length: 9\r\n", "{}"), 400),
        (range("Content-Length: -1\r\n", "{}"), 400),
        (range("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 400),
        (range("Content-Length: 3145729\r\n", "{}"), 413),
        (range("Content-Length: 99999999999999999999\r\n", "{}"), 413),
        (range("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "{}"), 400),
        (range("Transfer-Encoding: gzip\r\n", "{}"), 501),
        (range(chunked, "zz\r\n"), 400),
        (range(chunked, "2\r\n{}x\r\n0\r\n\r\n"), 400),
        (range(chunked, "2\r\n{"), 400),
        (range(chunked, "ffffffffffffffff\r\n{}\r\n"), 413),
        (range(chunked, "300001\r\n"), 413),
        (
            range(
                chunked,
                &format!("2\r\n{{}}\r\n0\r\n{}\r\n\r\n", format!("A: {}\r\n", "x".repeat(7_000)).repeat(2)),
            ),
            431,
        ),
        (whole("{"), 400),
        (whole("[]"), 400),
        (whole("\u{1}\u{2}\u{3}\u{4}"), 400),
        (whole("{\"key\":5}"), 400),
        (whole("{\"key\":\"e\"}"), 400),
        // Bytes that are no text.
        (whole("{\"key\":\"/w==\"}"), 400),
    ]
}

/// What is answered to these bytes on a connection of their own.
#[track_caller]
fn raw(host: &str, bytes: &[u8]) -> Answered {
    let mut line = Line::to(host);
    // It may be refused before all is sent.
    let _ = line.stream.get_mut().write_all(bytes);
    let _ = line.stream.get_mut().shutdown(Shutdown::Write);
    line.read()
}

/// Sends these bytes, and checks that they are refused in one line.
#[track_caller]
fn assert_refused(host: &str, bytes: &[u8], status: u16) {
    let answer = raw(host, bytes);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(answer.status, status, "{shown:?}: {}", answer.body);
    assert_one_line(&answer, &shown);
}

#[track_caller]
fn assert_one_line(answer: &Answered, shown: &str) {
    let reason = answer.body["error"].as_str().unwrap_or_default();
    assert!(!reason.is_empty() && !reason.contains('\n'), "{shown:?}: {reason:?}");
    assert_eq!(answer.body["error"], answer.body["message"]);
}

#[test]
fn each_malformed_head_and_body_is_refused_in_one_line() {
    let served = Served::threads();
    for (bytes, status) in malformed(&served.host) {
        assert_refused(&served.host, &bytes, status);
    }
    let answer = served.line().post("/v3/kv/range", &format!("{}{}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(answer.status, 400, "deep");
    assert_eq!(served.line().get("/health").body, json!({"health": "true"}), "and all the while it answers");
}

/// A cluster under a load of the library's, with a gateway that strangers reach.
struct Target {
    gateway: Gateway,
    host: String,
    load: Load,
    answered: Arc<AtomicU64>,
}

/// A client of the load, whose answers are counted as they come.
struct CountingClient(Pipeline, Arc<AtomicU64>);

impl Caller for CountingClient {
    fn now(&self) -> Time {
        Caller::now(&self.0)
    }

    fn send(&mut self, asks: Vec<Ask>) -> impl Iterator<Item = CallId> {
        Caller::send(&mut self.0, asks)
    }

    fn wait(&mut self, until: Time, ended: &mut Vec<Ended>) {
        Caller::wait(&mut self.0, until, ended);
        let answered = ended.iter().filter(|ended| matches!(ended.outcome, Outcome::Answered(_)));
        self.1.fetch_add(answered.count() as u64, Ordering::Relaxed);
    }
}

impl Target {
    fn start(cluster: &Cluster) -> Target {
        let door = Door::open("127.0.0.1:0").expect("a port");
        let host = door.address().to_string();
        let client = Mutex::new(cluster.client().with_timeout(PATIENCE));
        let gateway = door.serve(Site {
            cluster: ClusterId(1),
            home: None,
            clients: Box::new(move || client.lock().clone()),
            statuses: Box::new(BTreeMap::new),
            measures: Box::new(BTreeMap::new),
            addresses: Box::new(BTreeMap::new),
            messages: Box::new(Vec::new),
        });
        let answered = Arc::new(AtomicU64::new(0));
        let workload =
            WorkloadSettings { keys: 20, reads_per_million: 300_000, ..WorkloadSettings::default() };
        let (amount, rate) = (Amount::Unending, Some(500));
        let plan = Plan { clients: 4, amount, rate, workload, timeout: PATIENCE, ..Plan::default() };
        let callers = (0..plan.clients)
            .map(|_| CountingClient(cluster.client().into_pipeline(), Arc::clone(&answered)));
        let load = Load::start(&plan, callers.collect(), None, |_| {}).expect("threads are there");
        Target { gateway: gateway.expect("a thread"), host, load, answered }
    }

    /// Waits until the load has been answered since this was called.
    #[track_caller]
    fn assert_answers(&self, after: &str) {
        let (before, deadline) = (self.answered.load(Ordering::Relaxed), Instant::now() + PATIENCE);
        while self.answered.load(Ordering::Relaxed) <= before {
            assert!(Instant::now() < deadline, "the load is not answered any more after {after}");
            thread::yield_now();
        }
    }
}

/// A client that sends these bytes, and then one after the other, until it is told to stop.
fn dribbling(host: &str, begin: &str) -> (Line, Sender<()>, JoinHandle<()>) {
    let mut line = Line::to(host);
    line.stream.get_mut().write_all(begin.as_bytes()).expect("it is sent");
    let mut stream = line.stream.get_ref().try_clone().expect("a second handle");
    let (stop, stopped): (Sender<()>, Receiver<()>) = channel();
    let dribble = move || {
        // Once it is refused nothing more can be sent.
        while stopped.recv_timeout(DRIBBLE) == Err(RecvTimeoutError::Timeout)
            && stream.write_all(b"a").is_ok()
        {}
    };
    (line, stop, thread::spawn(dribble))
}

#[test]
fn under_attack_a_load_is_answered_and_its_history_is_linearizable() {
    let cluster = Cluster::builder().nodes(3).memory().seed(5).start().expect("a cluster starts");
    cluster.wait_until_leader(PATIENCE).expect("a leader");
    let target = Target::start(&cluster);
    let host = target.host.as_str();
    let slow = [
        dribbling(host, &format!("GET /version HTTP/1.1\r\nHost: {host}\r\nX-Slow: ")),
        dribbling(host, &post(host, "/v3/kv/put", "", "{").replace("Length: 1", "Length: 9999")),
    ];
    for (bytes, status) in malformed(host) {
        assert_refused(host, &bytes, status);
        target.assert_answers(&String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    }
    // What follows something malformed on its connection is not done; what came before is.
    let put = |key: &str| post(host, "/v3/kv/put", "", &with_key(key, ",\"value\":\"MQ==\""));
    let (first, second) = (put(X), put("eQ=="));
    let mut line = Line::to(host);
    line.stream.get_mut().write_all(format!("{first}\0\0\r\n\r\n{second}").as_bytes()).expect("it is sent");
    assert_eq!(line.read().status, 200);
    let refused = line.read();
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_one_line(&refused, "a pipeline");
    assert!(line.has_ended());
    // A page of a browser, and a name of another machine, change nothing.
    for (header, status) in [("Origin: http://example.org\r\n", 403), ("", 421)] {
        let put = post(host, "/v3/kv/put", header, &with_key("eQ==", ",\"value\":\"MQ==\""));
        let put = if status == 421 { put.replace(host, "example.org:2379") } else { put };
        assert_refused(host, put.as_bytes(), status);
    }
    let idle: Vec<Line> = (0..300).map(|_| Line::to(host)).collect();
    target.assert_answers("more connections than there may be");
    drop(idle);
    for (mut line, stop, thread) in slow {
        let refused = line.read();
        assert_eq!(refused.status, 408, "{}", refused.body);
        assert_one_line(&refused, "slow");
        drop(stop);
        thread.join().expect("it ends");
        target.assert_answers("slow clients");
    }
    let mut line = Line::to(host);
    assert_eq!(line.post("/v3/kv/range", &with_key(X, "")).body["count"], "1");
    assert!(line.post("/v3/kv/range", &with_key("eQ==", "")).body.get("count").is_none());
    target.gateway.close();
    target.load.stop();
    let (summary, sample) = target.load.join();
    assert_eq!((summary.failed, summary.unknown), (0, 0), "{:?}", summary.rejected);
    let verdict = judge(Start::Absent, &sample, summary.sent, || true);
    assert_eq!(verdict.pass, Some(true), "{}", verdict.text);
}
