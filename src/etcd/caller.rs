//! A client of an etcd: one call at a time, over one connection.
//!
//! It asks one member until that fails, then the next. A request that was certainly not sent is tried elsewhere until its
//! deadline. A command that may have been sent is not sent again: its outcome is unknown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{after, at};

use super::gateway::{Failure, Gateway};
use super::requests::{self, Reply, Request};
use crate::client::{Answered, Ask, CallId, Ended, Outcome, Rejection, Token, What};
use crate::clock::Clock;
use crate::load::Caller;
use crate::payload::{Batch, Payload};
use crate::protocol::ReadMode;
use crate::state_machine::kv::{Answer, Command, Query};
use crate::types::{LogIndex, NodeId, SessionId, Term, Time};

/// How long it rests when no member takes a connection.
const REST: Duration = Duration::from_millis(10);

/// A client of an etcd.
#[derive(Debug)]
pub struct EtcdCaller {
    clock: Clock,
    gateway: Gateway,
    addresses: Arc<[String]>,
    /// Which member it asks.
    member: usize,
    number: u64,
    last: CallId,
    waiting: VecDeque<(CallId, Ask)>,
}

/// What is asked of a member, and how its answer is read.
enum Question<'a> {
    Read { key: &'a str, serializable: bool },
    Write(&'a Command),
}

impl EtcdCaller {
    /// The client of this number. The first asks the first member, the second the second.
    pub(super) fn new(clock: Clock, addresses: Arc<[String]>, number: usize) -> EtcdCaller {
        let member = number % addresses.len();
        let (number, last) = (number as u64, CallId(0));
        let gateway = Gateway::new();
        EtcdCaller { clock, gateway, addresses, member, number, last, waiting: VecDeque::new() }
    }

    fn call(&mut self, call_id: CallId, ask: &Ask) -> Ended {
        let began = self.now();
        let outcome = match Question::of(&ask.what) {
            Ok(question) => self.ask(&question, call_id, began + ask.timeout),
            Err(why) => Outcome::Rejected(Rejection::Invalid(why)),
        };
        Ended { call_id, outcome, began, took: self.now().since(began) }
    }

    fn ask(&mut self, question: &Question<'_>, call_id: CallId, deadline: Time) -> Outcome {
        let Request { route, body } = question.request();
        let mut refused = 0;
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return Outcome::Rejected(Rejection::NoLeader);
            }
            let member = self.member;
            let asked = self.gateway.ask::<Reply>(&self.addresses[member], route, &body, left);
            let failure = match asked.map(|reply| (question.answer(&reply), reply)) {
                Ok((Some(answer), reply)) => return Outcome::Answered(answered(answer, member, &reply)),
                Ok((None, _)) => Failure::Foreign("its answer is not etcd's".to_string()),
                Err(failure) => failure,
            };
            match failure {
                Failure::Rejected(why) => return Outcome::Rejected(Rejection::Invalid(why)),
                Failure::Unsent(_) => {
                    self.turn();
                    refused += 1;
                    if refused % self.addresses.len() == 0 {
                        let _ = after(REST.min(deadline.since(self.now()))).recv();
                    }
                }
                Failure::Open(_) | Failure::Foreign(_) => {
                    self.turn();
                    return match question {
                        // It changes nothing.
                        Question::Read { .. } => Outcome::Rejected(Rejection::NoAnswer),
                        Question::Write(_) => Outcome::Unknown(self.token(call_id)),
                    };
                }
            }
        }
    }

    fn turn(&mut self) {
        self.member = (self.member + 1) % self.addresses.len();
    }

    /// etcd has no sessions: this names the command among those of this client.
    fn token(&self, call_id: CallId) -> Token {
        Token { session: SessionId(self.number), serial: call_id.0, part: None }
    }
}

impl Caller for EtcdCaller {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn send(&mut self, asks: Vec<Ask>) -> impl Iterator<Item = CallId> {
        let first = self.last.0 + 1;
        for ask in asks {
            self.last.0 += 1;
            self.waiting.push_back((self.last, ask));
        }
        (first..=self.last.0).map(CallId)
    }

    /// A call that waits is made to its end.
    fn wait(&mut self, until: Time, ended: &mut Vec<Ended>) {
        ended.clear();
        match self.waiting.pop_front() {
            Some((call_id, ask)) => ended.push(self.call(call_id, &ask)),
            None => drop(at(self.clock.instant(until)).recv()),
        }
    }
}

impl<'a> Question<'a> {
    /// # Errors
    /// Why an etcd cannot be asked this.
    fn of(what: &'a What) -> Result<Question<'a>, String> {
        match what {
            What::Command(batch) => match batch.value::<Batch<Command>>()?.as_slice() {
                [Command::Txn(_)] => Err("an etcd is asked for no transaction here".to_string()),
                [command] => Ok(Question::Write(command)),
                _ => Err("an etcd takes one command a call".to_string()),
            },
            What::Read { query, mode } => match query.value::<Query>()? {
                Query::Read { key } => Ok(Question::Read { key, serializable: *mode == ReadMode::Stale }),
                Query::Keys {} | Query::Range(_) => Err("only values are asked of an etcd".to_string()),
            },
            What::Named { .. } | What::Settle(_) => {
                Err("an etcd does not know what became of a command".to_string())
            }
        }
    }

    fn request(&self) -> Request {
        match self {
            Question::Read { key, serializable } => requests::read(key, *serializable),
            Question::Write(command) => requests::write(command),
        }
    }

    fn answer(&self, reply: &Reply) -> Option<Payload> {
        match self {
            Question::Read { .. } => requests::read_answer(reply).map(Payload::new::<Answer>),
            Question::Write(command) => {
                requests::write_answer(command, reply).map(|answer| Payload::batch([answer]))
            }
        }
    }
}

/// The store's revision stands for the place in the log: each change has its own, in the order of the log.
fn answered(answer: Payload, member: usize, reply: &Reply) -> Answered {
    let number = u8::try_from(member + 1).expect("as many members as nodes at most");
    let (term, index) = (Term(reply.header.raft_term.0), LogIndex(reply.header.revision.0));
    Answered { answer, node: NodeId::new(number), term, index, staleness: None, part: None }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    const ANSWER: &str = r#"{"header":{"member_id":"7","revision":"9","raft_term":"2"}}"#;

    /// A server that gives each of its connections one request, answers it with these bytes, and closes. It tells how many
    /// it had when the last answer is given.
    fn server(answers: Vec<String>) -> (String, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let serve = move || {
            let mut asked = 0;
            for answer in answers {
                let (mut socket, _) = listener.accept().expect("a client");
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    let mut bytes = [0; 1024];
                    let count = socket.read(&mut bytes).expect("a request");
                    assert!(count > 0, "a whole request");
                    request.extend_from_slice(&bytes[..count]);
                }
                asked += 1;
                socket.write_all(answer.as_bytes()).expect("it is read");
            }
            // One that is sent again would wait here.
            listener.set_nonblocking(true).expect("a socket");
            asked + usize::from(listener.accept().is_ok())
        };
        (address, thread::spawn(serve))
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    /// An address at which nothing listens.
    fn closed() -> String {
        "http://127.0.0.1:1".to_string()
    }

    fn call(caller: &mut EtcdCaller, what: What, timeout: Duration) -> Outcome {
        let ask = Ask { what, at: None, timeout };
        let [call_id] = caller.send(vec![ask]).collect::<Vec<_>>()[..] else { panic!("one call") };
        let mut ended = Vec::new();
        caller.wait(Time::NEVER, &mut ended);
        let [Ended { call_id: ended, outcome, .. }] = ended.try_into().expect("one end");
        assert_eq!(ended, call_id);
        outcome
    }

    fn put() -> What {
        What::commands([Command::put("x", "1")])
    }

    fn read() -> What {
        What::Read { query: Payload::new(Query::Read { key: "x".into() }), mode: ReadMode::Linearizable }
    }

    fn caller(addresses: &[String]) -> EtcdCaller {
        EtcdCaller::new(Clock::start(), addresses.into(), 0)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn what_was_sent_is_never_sent_again() {
        let garbage =
            ["", "\0\u{ff}\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"].map(str::to_string);
        let open = r#"{"error":"etcdserver: leader changed","code":14}"#;
        let answers =
            [http("200 OK", "<html>"), http("503 Service Unavailable", open), http("404 Not Found", "")];
        for answer in garbage.into_iter().chain(answers) {
            let (address, asked) = server(vec![answer.clone()]);
            let mut caller = caller(&[address, closed()]);
            let outcome = call(&mut caller, put(), PATIENCE);
            assert!(matches!(outcome, Outcome::Unknown(_)), "{answer:?}: {outcome:?}");
            assert_eq!((asked.join().expect("it ends"), caller.member), (1, 1), "{answer:?}");
        }
    }

    #[test]
    fn a_read_without_an_answer_changed_nothing_and_a_command_that_etcd_turned_down_neither() {
        let (address, asked) =
            server(vec![String::new(), http("400 Bad Request", r#"{"error":"no key","code":3}"#)]);
        let mut caller = caller(&[address]);
        assert_eq!(call(&mut caller, read(), PATIENCE), Outcome::Rejected(Rejection::NoAnswer));
        let invalid = Rejection::Invalid("no key".to_string());
        assert_eq!(call(&mut caller, put(), PATIENCE), Outcome::Rejected(invalid));
        assert_eq!(asked.join().expect("it ends"), 2);
    }

    #[test]
    fn what_was_not_sent_is_tried_elsewhere_until_its_deadline() {
        let (address, asked) = server(vec![http("200 OK", ANSWER)]);
        let outcome = call(&mut caller(&[closed(), closed(), address]), put(), PATIENCE);
        let Outcome::Answered(answered) = outcome else { panic!("{outcome:?}") };
        assert_eq!((answered.node, answered.term, answered.index), (NodeId::new(3), Term(2), LogIndex(9)));
        assert_eq!(answered.answers::<Answer>(), Some(&[Answer::Put][..]));
        assert_eq!(asked.join().expect("it ends"), 1);
        let nowhere = call(&mut caller(&[closed()]), put(), Duration::from_millis(30));
        assert_eq!(nowhere, Outcome::Rejected(Rejection::NoLeader));
    }

    #[test]
    fn what_an_etcd_cannot_be_asked_is_rejected() {
        let two = What::commands([Command::put("x", "1"), Command::put("y", "2")]);
        let keys = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Stale };
        for what in [two, keys, What::commands([3])] {
            let outcome = call(&mut caller(&[closed()]), what, PATIENCE);
            assert!(matches!(outcome, Outcome::Rejected(Rejection::Invalid(_))), "{outcome:?}");
        }
    }
}
