//! What is answered to whom: the page to every browser that came by the right address, all else to those with a key.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::feed::Feed;
use super::keys::{Keys, secret};
use super::request::{Method, Request};
use super::response::{Refusal, Response};
use super::stream;
use crate::console::executor::{LANGUAGE, parse};
use crate::console::scripts;
use crate::console::window_session::{SPEEDS, WindowError, WindowSession};
use crate::window;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Answer {
    Whole(Response),
    /// The stream of the trace from this `k` on.
    Follow(u64),
}

/// All that a request can reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The address at which it is, as browsers write it: `127.0.0.1:7070`.
    pub host: &'a str,
    pub keys: &'a Keys,
    pub feed: &'a Feed,
    pub session: &'a WindowSession,
}

#[derive(Deserialize)]
struct TokenBody {
    token: String,
}

#[derive(Deserialize)]
struct LineBody {
    line: String,
}

#[derive(Deserialize)]
struct CompleteBody {
    line: String,
    cursor: usize,
}

#[derive(Deserialize)]
struct ClockBody {
    play: bool,
    #[serde(default = "pace_of_the_clock")]
    speed: f64,
}

fn pace_of_the_clock() -> f64 {
    1.0
}

impl Site<'_> {
    /// Answers a request.
    ///
    /// # Errors
    /// Why it is not answered.
    pub(super) fn answer(&self, request: &Request) -> Result<Answer, Refusal> {
        self.check_place(request)?;
        match (request.method, request.path.as_str()) {
            (Method::Get, "/") => return Ok(Answer::Whole(page())),
            (Method::Post, "/key") => return self.key(request).map(Answer::Whole),
            _ => {}
        }
        if !request.key.as_ref().is_some_and(|key| self.keys.holds(key)) {
            let reason = "no key, or a wrong one: open the address that 'web' prints at the prompt";
            return Err(Refusal::new(401, reason));
        }
        match (request.method, request.path.as_str()) {
            (Method::Get, "/events") => from(&request.query).map(Answer::Follow),
            (Method::Get, "/trace") => Ok(Answer::Whole(stream::file(self.feed))),
            (Method::Post, "/directive") => self.directive(request).map(Answer::Whole),
            (Method::Post, "/stop") => {
                self.session.stop()?;
                Ok(Answer::Whole(Response::json(202, &json!({}))))
            }
            (Method::Post, "/complete") => self.complete(request).map(Answer::Whole),
            (Method::Post, "/clock") => self.clock(request).map(Answer::Whole),
            (_, "/" | "/key" | "/events" | "/trace" | "/directive" | "/stop" | "/complete" | "/clock") => {
                Err(Refusal::new(405, "this is asked in the other way: GET to read, POST to do"))
            }
            _ => Err(Refusal::new(404, "there is nothing of this name")),
        }
    }

    /// Another name that leads here may be that of a page that wants to look in (DNS rebinding), and so may another origin.
    fn check_place(&self, request: &Request) -> Result<(), Refusal> {
        let host = self.host;
        if request.host != host {
            return Err(Refusal::new(421, format!("this is http://{host}/, and is asked by no other name")));
        }
        let is_foreign = |origin: &String| origin.strip_prefix("http://") != Some(host);
        if request.origin.as_ref().is_some_and(is_foreign) {
            return Err(Refusal::new(403, "another page may not ask here"));
        }
        Ok(())
    }

    fn key(&self, request: &Request) -> Result<Response, Refusal> {
        let TokenBody { token } = body(request)?;
        let reason = "this address was used already, or is not one of this run: 'web' prints another";
        let key = self.keys.exchange(&token).ok_or_else(|| Refusal::new(401, reason))?;
        Ok(Response::json(200, &json!({"key": key})))
    }

    fn directive(&self, request: &Request) -> Result<Response, Refusal> {
        let LineBody { line } = body(request)?;
        if line.contains(['\n', '\r']) {
            return Err(Refusal::new(400, "send one line at a time"));
        }
        if opens_files(&line) {
            return Err(Refusal::new(403, "this line names a file: type it at the prompt"));
        }
        let number = self.session.post(line)?;
        Ok(Response::json(202, &json!({"number": number})))
    }

    fn complete(&self, request: &Request) -> Result<Response, Refusal> {
        let CompleteBody { line, cursor } = body(request)?;
        if !line.is_char_boundary(cursor) {
            return Err(Refusal::new(400, "the cursor stands in no line"));
        }
        let (start, candidates) = LANGUAGE.complete(&line, cursor, &self.session.names());
        Ok(Response::json(200, &json!({"start": start, "candidates": candidates})))
    }

    fn clock(&self, request: &Request) -> Result<Response, Refusal> {
        let ClockBody { play, speed } = body(request)?;
        if !SPEEDS.contains(&speed) {
            let (least, most) = (SPEEDS.start(), SPEEDS.end());
            return Err(Refusal::new(400, format!("speed is from {least} to {most}")));
        }
        self.session.play(play.then_some(speed))?;
        Ok(Response::json(200, &json!({"play": play, "speed": speed})))
    }
}

impl From<WindowError> for Refusal {
    fn from(error: WindowError) -> Refusal {
        let status = match error {
            WindowError::Full => 503,
            WindowError::NothingRuns
            | WindowError::ScriptRuns
            | WindowError::NoVirtualTime
            | WindowError::Past => 409,
        };
        Refusal::new(status, error.to_string())
    }
}

fn page() -> Response {
    let nonce = secret();
    let policy = format!(
        "default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let body = window::page(&nonce).into_bytes();
    Response { status: 200, kind: "text/html", policy: Some(policy), file: None, body }
}

/// What a body of JSON says. A page of another site can send it only after asking, which is not answered.
fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    if !request.is_json {
        return Err(Refusal::new(415, "the body is not application/json"));
    }
    let wrong = |error: serde_json::Error| Refusal::new(400, format!("the body is wrong: {error}"));
    serde_json::from_slice(&request.body).map_err(wrong)
}

/// `from=K`; the beginning without it.
fn from(query: &str) -> Result<u64, Refusal> {
    let mut given = query.split('&').filter(|part| !part.is_empty());
    match (given.next(), given.next()) {
        (None, _) => Ok(0),
        (Some(part), None) if let Some(Ok(from)) = part.strip_prefix("from=").map(str::parse) => Ok(from),
        _ => Err(Refusal::new(400, "the query is from=K, with a number")),
    }
}

/// Whether a line names a file that it reads or writes. A window is no way to the files of the machine; the scripts that
/// everyone has are lessons.
fn opens_files(line: &str) -> bool {
    let Ok(Some(directive)) = parse(line) else { return false };
    let names = directive.files();
    let is_lesson = || directive.name() == "scenario" && names.iter().all(|name| is_known_script(name));
    !names.is_empty() && !is_lesson()
}

fn is_known_script(name: &str) -> bool {
    !name.contains(['/', '\\']) && scripts::names().iter().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_files_are_rejected() {
        for line in ["run tour", "report a.html", "save-script x", "scenario ../a.raft", "scenario ./tour"] {
            assert!(opens_files(line), "{line}");
        }
        for line in ["run", "scenario", "scenario tour", "crash n2", "after 1s crash n2", "", "nonsense"] {
            assert!(!opens_files(line), "{line}");
        }
    }

    #[test]
    fn a_stream_begins_where_it_is_asked_to() {
        let asked = |query: &str| from(query).map_err(|refusal| refusal.status);
        assert_eq!((asked(""), asked("from=17")), (Ok(0), Ok(17)));
        for wrong in ["from=", "from=x", "from=-1", "to=3", "from=1&from=2"] {
            assert_eq!(asked(wrong), Err(400), "{wrong}");
        }
    }
}
