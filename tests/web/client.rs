//! Programs with a window, and clients that ask them as a browser would.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::rc::Rc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{PATIENCE, Process};

/// A program with a window.
pub struct Program {
    process: Process,
    address: Address,
    folder: Rc<TempDir>,
}

/// `http://127.0.0.1:PORT/#token=TOKEN`.
#[derive(Clone)]
pub struct Address {
    pub host: String,
    pub token: String,
}

/// A browser's tab: it has a key.
pub struct Window {
    host: String,
    pub key: String,
}

/// What was answered.
pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

/// The trace as it comes.
pub struct Stream {
    input: BufReader<TcpStream>,
    /// Lines of the newest group.
    lines: VecDeque<Value>,
    /// The last chunk has come.
    whole: bool,
}

impl Program {
    /// Three nodes on threads.
    pub fn cluster(options: &[&str]) -> Program {
        Program::start(env!("CARGO_BIN_EXE_cluster"), &[&["3", "--memory"], options].concat())
    }

    /// Three nodes in virtual time.
    pub fn simulate() -> Program {
        Program::simulate_with(&[])
    }

    pub fn simulate_with(options: &[&str]) -> Program {
        Program::start(env!("CARGO_BIN_EXE_simulate"), &[&["3", "--seed", "7"], options].concat())
    }

    /// Three nodes in processes of their own.
    pub fn processes() -> Program {
        Program::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--processes"])
    }

    /// Another console of the cluster of this one.
    pub fn client(&self) -> Program {
        let folder = Rc::clone(&self.folder);
        Program::start_in(folder, env!("CARGO_BIN_EXE_client"), &["--config", "states/cluster.toml"])
    }

    fn start(program: &str, options: &[&str]) -> Program {
        Program::start_in(Rc::new(tempfile::tempdir().expect("a folder")), program, options)
    }

    fn start_in(folder: Rc<TempDir>, program: &str, options: &[&str]) -> Program {
        let options = [options, &["--web", "--serve"]].concat();
        let process = Process::start(program, &options, folder.path());
        let address = Address { host: String::new(), token: String::new() };
        let mut program = Program { process, address, folder };
        program.reads_address();
        program
    }

    /// Waits for an address that is printed, and uses it from now on.
    #[track_caller]
    pub fn reads_address(&mut self) {
        let line = self.says("window: http://");
        self.address = Address::of(&line);
    }

    pub fn token(&self) -> &str {
        &self.address.token
    }

    pub fn host(&self) -> &str {
        &self.address.host
    }

    pub fn port(&self) -> &str {
        self.host().split_once(':').expect("a port").1
    }

    pub fn say(&mut self, lines: &str) {
        self.process.say(lines);
    }

    #[track_caller]
    pub fn says(&self, words: &str) -> String {
        self.process.says(words)
    }

    #[track_caller]
    pub fn ends(&mut self) -> Option<i32> {
        self.process.ends()
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.host())
    }

    /// What is answered to these bytes, and whether the connection was closed then.
    #[track_caller]
    pub fn raw(&self, bytes: &[u8]) -> Response {
        let mut connection = self.connect();
        // It may be turned away before all is sent.
        let _ = connection.write_all(bytes);
        Response::read(&mut connection)
    }

    pub fn get(&self, path: &str, headers: &[&str]) -> Response {
        get(self.host(), path, headers)
    }

    pub fn post(&self, path: &str, headers: &[&str], body: &Value) -> Response {
        post(self.host(), path, headers, body)
    }
}

impl Address {
    /// The one on a line.
    #[track_caller]
    pub fn of(line: &str) -> Address {
        let (_, address) = line.split_once("http://").expect("an address");
        let (host, token) = address.split_once("/#token=").expect("a token");
        let token = token.split_whitespace().next().expect("a token");
        Address { host: host.to_string(), token: token.to_string() }
    }
}

impl Window {
    /// Exchanges the token of the program's newest address.
    #[track_caller]
    pub fn open(program: &Program) -> Window {
        Window::at(&program.address)
    }

    #[track_caller]
    pub fn at(address: &Address) -> Window {
        let answer = post(&address.host, "/key", &[], &json!({"token": address.token}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let key = answer.json()["key"].as_str().expect("a key").to_string();
        Window { host: address.host.clone(), key }
    }

    fn key_header(&self) -> String {
        format!("Raftlab-Key: {}", self.key)
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        post(&self.host, path, &[&self.key_header()], body)
    }

    /// The same where the connection may be closed before the request was read, which loses the answer.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Response> {
        let mut connection = send_post(&self.host, path, &[&self.key_header()], body);
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).ok()?;
        Response::of(bytes)
    }

    /// Asks for a line, and gives its number.
    #[track_caller]
    pub fn line(&self, line: &str) -> u64 {
        let answer = self.post("/directive", &json!({"line": line}));
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()["number"].as_u64().expect("a number")
    }

    /// Asks for a line, and waits for its outcome.
    #[track_caller]
    pub fn ask(&self, line: &str) -> String {
        let mut stream = self.stream(0);
        let number = self.line(line);
        let answer = stream.answer(number);
        answer["outcome"].as_str().expect("an outcome").to_string()
    }

    #[track_caller]
    pub fn stream(&self, from: u64) -> Stream {
        let mut connection = connect(&self.host);
        let (host, key) = (&self.host, self.key_header());
        let request = format!("GET /events?from={from} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n\r\n");
        connection.write_all(request.as_bytes()).expect("it is sent");
        let mut input = BufReader::new(connection);
        let head = read_head(&mut input);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        Stream { input, lines: VecDeque::new(), whole: false }
    }

    #[track_caller]
    pub fn trace(&self) -> String {
        let answer = get(&self.host, "/trace", &[&self.key_header()]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.header("Content-Disposition").contains("trace.jsonl"), "{}", answer.head);
        answer.body
    }
}

impl Stream {
    /// The next line; none when the stream was cut.
    pub fn next(&mut self) -> Option<Value> {
        while self.lines.is_empty() {
            let group = chunk(&mut self.input)?;
            if group.is_empty() {
                self.whole = true;
                return None;
            }
            let text = std::str::from_utf8(&group).expect("lines are text");
            self.lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        }
        self.lines.pop_front()
    }

    /// Whether the stream has ended, and not been cut.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The next line for which this holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut seen = VecDeque::new();
        while let Some(line) = self.next() {
            if holds(&line) {
                return line;
            }
            seen.push_back(line);
            seen.truncate(50);
        }
        panic!("the stream ends without {what}: {seen:#?}");
    }

    /// The answer to the line of this number.
    #[track_caller]
    pub fn answer(&mut self, number: u64) -> Value {
        self.until("an answer", |line| line["e"] == "answer" && line["number"] == number)
    }
}

impl Response {
    /// All that comes until the connection is closed.
    #[track_caller]
    pub fn read(connection: &mut TcpStream) -> Response {
        let mut bytes = Vec::new();
        let read = connection.read_to_end(&mut bytes);
        Response::of(bytes).unwrap_or_else(|| panic!("no whole answer ({read:?})"))
    }

    fn of(bytes: Vec<u8>) -> Option<Response> {
        let text = String::from_utf8(bytes).expect("answers are text");
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Response { status: status_of(head), head: head.to_string(), body: body.to_string() })
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The status, and whether the body says why in one line of JSON.
    pub fn refusal(&self) -> (u16, bool) {
        let is_line = self.body.lines().count() == 1 && self.body.ends_with('\n');
        (self.status, is_line && self.json()["error"].as_str().is_some_and(|reason| !reason.is_empty()))
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let values = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = values.filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.next().unwrap_or_else(|| panic!("no {name} in {}", self.head)).1
    }
}

fn connect(host: &str) -> TcpStream {
    let connection = TcpStream::connect(host).expect("the program listens");
    connection
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| connection.set_write_timeout(Some(PATIENCE)))
        .expect("it may");
    connection
}

fn get(host: &str, path: &str, headers: &[&str]) -> Response {
    let headers = head_lines(headers);
    let mut connection = connect(host);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).expect("it is sent");
    Response::read(&mut connection)
}

fn post(host: &str, path: &str, headers: &[&str], body: &Value) -> Response {
    Response::read(&mut send_post(host, path, headers, body))
}

fn send_post(host: &str, path: &str, headers: &[&str], body: &Value) -> TcpStream {
    let headers = head_lines(headers);
    let body = body.to_string();
    let length = body.len();
    let mut connection = connect(host);
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    // It may be turned away before all is sent.
    let _ = connection.write_all(request.as_bytes());
    connection
}

/// Headers as they are sent.
fn head_lines(headers: &[&str]) -> String {
    headers.iter().flat_map(|header| [header, "\r\n"]).collect()
}

/// The head of an answer, with the empty line behind it.
#[track_caller]
pub fn read_head(input: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = input.read_line(&mut head).expect("an answer");
        assert!(read > 0, "it is cut: {head:?}");
    }
    head
}

#[track_caller]
pub fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// The next chunk of a body, empty if it is the last, with what trails it; none when the body is cut.
pub fn chunk(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    input.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
    let mut chunk = vec![0; size];
    input.read_exact(&mut chunk).ok()?;
    let mut end = String::new();
    // A trailer has lines of its own, and ends with an empty one.
    while input.read_line(&mut end).ok()? > 2 && size == 0 {}
    Some(chunk)
}

/// Runs a program without input to its end: its exit code, and what it said on standard error.
pub fn run(program: &str, options: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = match program {
        "cluster" => env!("CARGO_BIN_EXE_cluster"),
        _ => env!("CARGO_BIN_EXE_simulate"),
    };
    let mut command = Command::new(path);
    command.args(options).current_dir(folder.path()).env_remove("RUST_LOG");
    let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).output().expect("it runs");
    (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&output.stderr).into_owned())
}
