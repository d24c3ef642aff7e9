//! A browser that is driven: `chromedriver` as a child, spoken to in JSON (W3C, the protocol of web drivers) over a socket of its own.
//!
//! Each test has a browser of its own, so that nothing of another is in it. Waits are for what the page shows, with a bound.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program that drives the browser.
const PROGRAM: &str = "chromedriver";

/// Set to `required` where a missing browser is a failure.
const WISH: &str = "RAFTLAB_BROWSER";

/// How long the browser may take for anything before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a script may take, and a wait in it, which then says what the page shows.
const SCRIPT_MAX: Duration = Duration::from_secs(20);
const WAIT_MAX: Duration = Duration::from_secs(15);

/// What a page shows that did not come to what was waited for.
const STANDS: &str = "[...['standing', 'answers', 'notice'].map((name) => `${name}: ${byId(name)?.textContent.slice(-600)}`), \
    `clock: ${clock.t} of ${trace.end}`].join('\\n')";

/// What the page looks like to its reader.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub calm: bool,
}

/// A window as on a desk, by day.
pub const DESK: Look = Look { width: 1280, height: 900, dark: false, calm: false };

pub struct Browser {
    driver: Child,
    /// Open, so that the driver can write.
    _output: BufReader<ChildStdout>,
    port: u16,
    /// Empty until there is one.
    session: String,
    /// All that the browser writes.
    folder: TempDir,
}

impl Browser {
    /// A new browser; none, which is said, where the program is missing.
    pub fn start() -> Option<Browser> {
        let started =
            Command::new(PROGRAM).arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let Ok(mut driver) = started else {
            assert!(std::env::var(WISH).as_deref() != Ok("required"), "{PROGRAM} is required and not here");
            let said = format!("the window was NOT looked at: {PROGRAM} is not here\n");
            io::stderr().write_all(said.as_bytes()).expect("standard error can be written");
            return None;
        };
        let mut output = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = output.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        });
        let port = port.expect("the driver says its port");
        let folder = tempfile::tempdir().expect("a folder");
        let mut browser = Browser { driver, _output: output, port, session: String::new(), folder };
        browser.open_session();
        Some(browser)
    }

    fn open_session(&mut self) {
        let arguments = [
            "--headless".to_string(),
            "--no-sandbox".to_string(),
            "--disable-gpu".to_string(),
            "--disable-dev-shm-usage".to_string(),
            "--hide-scrollbars".to_string(),
            format!("--user-data-dir={}", self.folder.path().display()),
        ];
        let wishes = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": arguments},
            "timeouts": {"script": SCRIPT_MAX.as_millis()},
        }}});
        let made = self.ask("POST", "/session", Some(&wishes));
        self.session = format!("/session/{}", made["sessionId"].as_str().expect("a session has a name"));
        self.look(DESK);
    }

    /// A window of this size, in these colors, with or without motion. A headless window by itself is never narrower than 500.
    pub fn look(&self, Look { width, height, dark, calm }: Look) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        let scheme = if dark { "dark" } else { "light" };
        let motion = if calm { "reduce" } else { "no-preference" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({"features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": motion},
            ]}),
        );
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// Opens the address, and waits until the page is there.
    pub fn open(&self, address: &str) {
        self.post("/url", &json!({"url": address}));
    }

    /// Writes the page to a file and opens that.
    pub fn open_page(&self, page: &str) {
        let path = self.folder.path().join("window.html");
        std::fs::write(&path, page).expect("the folder can be written");
        self.open(&format!("file://{}", path.display()));
        self.drawn();
    }

    /// What this script returns: `return` is part of it, arguments are `arguments[0]` and so on. A promise is waited for.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression})"), &[])
    }

    /// The value as a text.
    pub fn text(&self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is no text: {value}")).to_string()
    }

    /// Waits until the expression holds, looked at with each frame.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        let script = format!(
            "return new Promise((done) => {{ const until = performance.now() + arguments[0]; const look = () => {{ \
                if ({expression}) done(''); \
                else if (performance.now() > until) done({STANDS}); \
                else requestAnimationFrame(look); }}; look(); }})"
        );
        let stands = self.run(&script, &[json!(WAIT_MAX.as_millis())]);
        let stands = stands.as_str().expect("a text");
        assert!(stands.is_empty(), "{expression} does not come to hold\n{stands}");
    }

    /// Waits until what was changed has been drawn.
    pub fn drawn(&self) {
        self.run(
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
            &[],
        );
    }

    /// Presses keys where the focus is: letters, or those of [`key`].
    pub fn press(&self, keys: &str) {
        let active = self.ask("GET", &format!("{}/element/active", self.session), None);
        let element = active.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
        let element = element.expect("an element has the focus");
        self.post(&format!("/element/{element}/value"), &json!({"text": keys}));
        self.drawn();
    }

    /// Moves the pointer along these points with its button down.
    pub fn drag(&self, points: &[(f64, f64)]) {
        let [(x, y), rest @ ..] = points else { return };
        let mut actions = vec![pointer_move(*x, *y), json!({"type": "pointerDown", "button": 0})];
        actions.extend(rest.iter().map(|(x, y)| pointer_move(*x, *y)));
        actions.push(json!({"type": "pointerUp", "button": 0}));
        let pointer = json!({"type": "pointer", "id": "mouse", "actions": actions});
        self.post("/actions", &json!({"actions": [pointer]}));
        self.drawn();
    }

    /// What the browser's console was told since the last look, warnings and errors.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The addresses that the page has asked for.
    pub fn requests(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "performance"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let messages = entries.iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().unwrap_or_default().to_string())
        });
        messages.collect()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), Some(body))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer =
            self.exchange(method, path, &body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let answer: Value = serde_json::from_str(&answer).expect("the driver answers in JSON");
        let value = &answer["value"];
        assert!(value["error"].is_null(), "{method} {path} {body}: {}: {}", value["error"], value["message"]);
        value.clone()
    }

    /// One request on a connection of its own.
    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (port, length) = (self.port, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        answer_body(BufReader::new(stream))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The driver ends its browser with the session. If it cannot, the test has failed already.
            let _ = self.exchange("DELETE", &self.session, "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn pointer_move(x: f64, y: f64) -> Value {
    json!({"type": "pointerMove", "duration": 20, "x": x.round(), "y": y.round()})
}

/// The body of an answer: as many bytes as its head says.
fn answer_body(mut reader: BufReader<TcpStream>) -> io::Result<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    String::from_utf8(body).map_err(io::Error::other)
}

/// Keys that are no letters, as the protocol writes them.
pub mod key {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const LEFT: &str = "\u{e012}";
    pub const RIGHT: &str = "\u{e014}";
    pub const UP: &str = "\u{e013}";
    pub const ESCAPE: &str = "\u{e00c}";
    pub const END: &str = "\u{e010}";
    pub const HOME: &str = "\u{e011}";
}
