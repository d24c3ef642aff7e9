//! The gateway as programs of any language meet it: real listeners, asked over sockets of their own, and beside a real etcd.

#[path = "gateway/attacks.rs"]
mod attacks;
#[path = "gateway/both.rs"]
mod both;
#[path = "gateway/curl.rs"]
mod curl;
#[path = "gateway/etcd.rs"]
mod etcd;
#[path = "gateway/metrics.rs"]
mod metrics;
#[path = "gateway/ranges.rs"]
mod ranges;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{chunk, read_head, status_of};
use super::process::{PATIENCE, Process};

/// A cluster with a gateway.
pub struct Served {
    process: Process,
    /// Where its gateway is, as `127.0.0.1:PORT`.
    pub host: String,
    _folder: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    head: String,
    pub body: Value,
}

/// A connection that stays open for further requests.
pub struct Line {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Served {
    /// A cluster whose calls try as long as anything may take, on a machine that is busy.
    pub fn start(options: &[&str]) -> Served {
        Served::start_with(&format!("client_timeout = \"{}s\"\n", PATIENCE.as_secs()), options)
    }

    fn start_with(settings: &str, options: &[&str]) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("settings.toml"), settings).expect("it is written");
        let always = ["--config", "settings.toml", "--http", "127.0.0.1:0", "--serve"];
        let program = env!("CARGO_BIN_EXE_cluster");
        let process = Process::start(program, &[options, &always].concat(), folder.path());
        let mut served = Served { process, host: String::new(), _folder: folder };
        let line = served.says("http: http://");
        served.host = line.split_once("//").expect("an address").1.trim_end_matches('/').to_string();
        served
    }

    /// Three nodes on threads.
    pub fn threads() -> Served {
        Served::start(&["3", "--memory"])
    }

    #[track_caller]
    fn says(&self, words: &str) -> String {
        self.process.says(words)
    }

    fn say(&mut self, line: &str) {
        self.process.say(&format!("{line}\n"));
    }

    pub fn line(&self) -> Line {
        Line::to(&self.host)
    }
}

impl Line {
    #[track_caller]
    pub fn to(host: &str) -> Line {
        let stream = TcpStream::connect(host).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
        Line { host: host.to_string(), stream: BufReader::new(stream) }
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Answered {
        self.post_with(path, "", body)
    }

    #[track_caller]
    fn post_with(&mut self, path: &str, headers: &str, body: &str) -> Answered {
        let request = post(&self.host, path, headers, body);
        self.stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
        self.read()
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answered {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
        self.read()
    }

    /// The next answer.
    #[track_caller]
    fn read(&mut self) -> Answered {
        let head = read_head(&mut self.stream);
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let body = match length {
            Some(length) => self.take(length.parse().expect("a number")),
            None => self.chunks(),
        };
        let status = status_of(&head);
        let text = String::from_utf8(body).expect("answers are text");
        let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
        Answered { status, head, body }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("a whole body");
        bytes
    }

    /// A body without a length, as etcd sends long ones.
    fn chunks(&mut self) -> Vec<u8> {
        let next = || chunk(&mut self.stream).expect("a whole body");
        std::iter::repeat_with(next).take_while(|chunk| !chunk.is_empty()).flatten().collect()
    }

    /// Whether the other side has ended the connection, and nothing more comes.
    fn has_ended(mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok() && rest.is_empty()
    }
}

/// The bytes of a request.
fn post(host: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// `{"key":"x"}` and the like, in base64.
fn with_key(key: &str, rest: &str) -> String {
    format!("{{\"key\":\"{key}\"{rest}}}")
}

const X: &str = "eA==";

#[test]
fn a_connection_takes_requests_in_every_form_one_after_another() {
    let served = Served::threads();
    let mut line = served.line();
    assert_eq!(line.post("/v3/kv/put", &with_key(X, ",\"value\":\"MQ==\"")).body["header"]["revision"], "2");
    // In two chunks, with a trailer.
    let body = with_key(X, ",\"prevKv\":true,\"value\":\"Mg==\"");
    let (one, other) = body.split_at(7);
    let head =
        format!("POST /v3/kv/put HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", served.host);
    let chunks =
        format!("{:x}\r\n{one}\r\n{:X};note=x\r\n{other}\r\n0\r\nA: b\r\n\r\n", one.len(), other.len());
    line.stream.get_mut().write_all((head + &chunks).as_bytes()).expect("it is sent");
    let answer = line.read();
    assert_eq!((answer.status, &answer.body["prev_kv"]["value"]), (200, &json!("MQ==")), "{}", answer.body);
    // Both at once, and the answers in order.
    let put = post(&served.host, "/v3/kv/put", "", &with_key(X, ",\"value\":\"Mw==\""));
    let range = post(&served.host, "/v3/kv/range", "Connection: close\r\n", &with_key(X, ""));
    line.stream.get_mut().write_all((put + &range).as_bytes()).expect("it is sent");
    assert_eq!(line.read().body["header"]["revision"], "4");
    let answer = line.read();
    assert_eq!(answer.body["kvs"][0]["value"], "Mw==");
    assert!(answer.head.contains("Connection: close") && line.has_ended());
    // A client that waits to be asked for the body is asked.
    let mut line = served.line();
    let body = with_key(X, "");
    let request = post(&served.host, "/v3/kv/range", "Expect: 100-continue\r\n", "");
    let request = request.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
    line.stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
    let mut told = String::new();
    line.stream.read_line(&mut told).expect("an answer");
    line.stream.read_line(&mut told).expect("an answer");
    assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n");
    line.stream.get_mut().write_all(body.as_bytes()).expect("it is sent");
    assert_eq!(line.read().body["count"], "1");
    // HTTP/1.0 asks once.
    let request = post(&served.host, "/v3/kv/range", "", &body).replace("HTTP/1.1", "HTTP/1.0");
    let mut line = served.line();
    line.stream.get_mut().write_all(request.as_bytes()).expect("it is sent");
    assert!(line.read().head.contains("Connection: close") && line.has_ended());
}

#[test]
fn idle_connections_make_room_and_nothing_is_lost() {
    let served = Served::threads();
    let mut lines: Vec<Line> = (0..300).map(|_| served.line()).collect();
    assert_eq!(served.line().get("/health").status, 200);
    let answer = |line: &mut Line| {
        let request = format!("GET /version HTTP/1.1\r\nHost: {}\r\n\r\n", line.host);
        let sent = line.stream.get_mut().write_all(request.as_bytes());
        sent.and_then(|()| line.stream.read_line(&mut String::new())).is_ok_and(|bytes| bytes > 0)
    };
    assert!(answer(lines.last_mut().expect("the last of them")), "the newest stay");
    let answered = lines.iter_mut().filter_map(|line| answer(line).then_some(())).count();
    assert!((200..=256).contains(&answered), "{answered} of 300");
}

#[test]
fn a_named_command_is_applied_once_whoever_leads() {
    let mut served = Served::threads();
    let mut line = served.line();
    let session = line.post("/v1/sessions", "").body["session"].as_str().expect("a session").to_string();
    let names = |serial: u64| {
        format!(
            "Raftlab-Session: {session}\r\nRaftlab-Serial: {serial}\r\nRaftlab-Acknowledged: {serial}\r\n"
        )
    };
    // Adds one, as a program would that sends the same again after a time-out.
    let put = with_key(X, ",\"value\":\"MQ==\",\"prev_kv\":true");
    let first = line.post_with("/v3/kv/put", &names(1), &put);
    assert_eq!((first.status, &first.body["header"]["revision"]), (200, &json!("2")), "{}", first.body);
    served.say("crash leader");
    served.says(" crashed");
    let again = line.post_with("/v3/kv/put", &names(1), &put);
    assert_eq!(again.body["header"]["revision"], "2", "the first answer: {}", again.body);
    assert_eq!(line.post("/v3/kv/range", &with_key(X, "")).body["kvs"][0]["version"], "1", "once");
    let outcome = line.get(&format!("/v1/outcome/{session}.1")).body;
    assert_eq!(
        (&outcome["outcome"], &outcome["response"]["header"]["revision"]),
        (&json!("applied"), &json!("2"))
    );
    // One that is asked about before it comes never comes.
    assert_eq!(line.get(&format!("/v1/outcome/{session}.2")).body["outcome"], "never_applied");
    let late = line.post_with("/v3/kv/put", &names(2), &put);
    assert_eq!((late.status, &late.body["code"]), (400, &json!(9)), "{}", late.body);
    assert_eq!(line.post_with("/v3/kv/put", &names(3), &put).body["header"]["revision"], "3");
    let forgotten = line.post_with("/v3/kv/put", &names(1), &put);
    assert_eq!((forgotten.status, &forgotten.body["code"]), (400, &json!(9)), "{}", forgotten.body);
    let unknown = line.post_with("/v3/kv/put", "Raftlab-Session: 999\r\nRaftlab-Serial: 1\r\n", &put);
    assert_eq!((unknown.status, &unknown.body["code"]), (400, &json!(9)), "{}", unknown.body);
    for wrong in [
        "Raftlab-Serial: 1\r\n",
        "Raftlab-Session: 1\r\n",
        "Raftlab-Session: x\r\nRaftlab-Serial: 1\r\n",
        "Raftlab-Session: 1\r\nRaftlab-Serial: 0\r\n",
        "Raftlab-Session: 1\r\nRaftlab-Serial: 1\r\nRaftlab-Acknowledged: 2\r\n",
    ] {
        assert_eq!(line.post_with("/v3/kv/put", wrong, &put).status, 400, "{wrong}");
    }
}

#[test]
fn without_a_majority_nothing_reads_as_done() {
    let mut served = Served::start_with("client_timeout = \"500ms\"\n", &["3", "--memory"]);
    let mut line = served.line();
    let put = with_key(X, ",\"value\":\"MQ==\"");
    // Until there is a leader, none is found.
    while line.post("/v3/kv/put", &put).status != 200 {}
    assert_eq!(line.get("/ready").status, 200);
    served.say("crash followers");
    served.says("crashed");
    served.says("crashed");
    let unknown = line.post("/v3/kv/put", &with_key(X, ",\"value\":\"Mg==\""));
    let is_open = unknown.status == 504 && unknown.head.contains("Raftlab-Token: ");
    assert!(is_open || unknown.status == 503, "{} {}", unknown.status, unknown.body);
    let read = line.post("/v3/kv/range", &with_key(X, ""));
    assert_eq!((read.status, &read.body["code"]), (503, &json!(14)), "{}", read.body);
    let stale = line.post("/v3/kv/range", &with_key(X, ",\"serializable\":true"));
    assert_eq!((stale.status, &stale.body["kvs"][0]["value"]), (200, &json!("MQ==")), "{}", stale.body);
    assert_eq!(line.get("/health").status, 503);
}

#[test]
fn what_the_gateway_shows_of_the_cluster_is_what_it_is() {
    let served = Served::threads();
    let mut line = served.line();
    line.post("/v3/kv/put", &with_key(X, ",\"value\":\"MQ==\""));
    let status = line.post("/v3/maintenance/status", "{}").body;
    assert!(status["raftTerm"].is_string() && status["leader"].is_string(), "{status}");
    let members = line.post("/v3/cluster/member/list", "{}").body;
    assert_eq!(members["members"].as_array().map(Vec::len), Some(3), "{members}");
    assert_eq!(line.get("/version").body["etcdserver"], "3.5.0");
    let nodes = line.get("/status").body["nodes"].clone();
    assert_eq!(nodes.as_array().map(Vec::len), Some(3), "{nodes}");
    let metrics = line.get("/metrics").body;
    let metrics = metrics.as_str().expect("it is text");
    for name in [
        "etcd_server_has_leader{node=\"n1\"} 1",
        "etcd_server_proposals_committed_total{node=\"n2\"} ",
        "raftlab_network_messages_sent_total{from=",
        "raftlab_http_requests_total{route=\"/v3/kv/put\",status=\"200\"} 1",
        "raftlab_http_request_duration_seconds_bucket{",
        "# EOF",
    ] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    for (path, code) in [("/v3/watch", 12), ("/v3/lease/grant", 12), ("/v3/kv/compaction", 12), ("/v3/no", 5)]
    {
        assert_eq!(line.post(path, "{}").body["code"], code, "{path}");
    }
}

#[test]
fn processes_have_a_gateway_in_their_console() {
    let served = Served::start(&["3", "--processes"]);
    let mut line = served.line();
    assert_eq!(line.post("/v3/kv/put", &with_key(X, ",\"value\":\"MQ==\"")).body["header"]["revision"], "2");
    let read = line.post("/v3/kv/range", &with_key(X, ",\"serializable\":true"));
    assert_eq!(read.status, 200, "{}", read.body);
    assert_eq!(line.post("/v3/kv/range", &with_key(X, "")).body["kvs"][0]["value"], "MQ==");
    let members = line.post("/v3/cluster/member/list", "{}").body;
    assert!(
        members["members"][2]["peerURLs"][0].as_str().is_some_and(|url| url.starts_with("http://127.")),
        "{members}"
    );
}

#[test]
fn a_gateway_is_for_this_machine() {
    for (address, why) in [
        ("0.0.0.0:0", "can be reached from other machines"),
        ("nowhere", "write it as 127.0.0.1:2379"),
        ("127.0.0.1:99999", "write it as 127.0.0.1:2379"),
    ] {
        let program = env!("CARGO_BIN_EXE_cluster");
        let ran =
            Command::new(program).args(["3", "--memory", "--http", address]).stdin(Stdio::null()).output();
        let ran = ran.expect("it starts");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.code() == Some(2) && said.contains(why), "{address}: {said}");
    }
}
