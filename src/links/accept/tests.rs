//! A console at a process that ends.

use crossbeam_channel::unbounded;

use super::*;
use crate::clock::{Clock, LogicalClock};
use crate::links::{Dialer, Heard, Source, Target, Traffic};
use crate::net::router::{Router, RouterSettings};
use crate::storage::ClusterId;
use crate::types::{Addresses, Epoch, Member, Random};
use crate::wire::VERSIONS;

const PATIENCE: Duration = Duration::from_secs(60);

/// A process whose consoles are answered when the test lets them be.
struct Slow {
    asked: Sender<()>,
    may_answer: Receiver<()>,
}

struct SlowConsole {
    asked: Sender<()>,
    may_answer: Receiver<()>,
    answers: Sender<String>,
}

fn own() -> NodeId {
    NodeId::new(1)
}

impl Host for Slow {
    fn welcome(&self, _: &Hello) -> Result<Welcome, String> {
        let member = Member::founder(own());
        Ok(Welcome { version: VERSIONS.1, member, life: 1, has_run: true, nodes: Addresses::new() })
    }

    fn clock(&self) -> LogicalClock {
        LogicalClock::default()
    }

    fn book(&self) -> Arc<AddressBook> {
        Arc::default()
    }

    fn met(&self, _: NodeId, _: &HostPort) {
        unreachable!("no node comes in");
    }

    fn attach(&self, _: &str, answers: Sender<String>) -> Box<dyn Attached> {
        Box::new(SlowConsole { asked: self.asked.clone(), may_answer: self.may_answer.clone(), answers })
    }
}

impl Attached for SlowConsole {
    fn asked(&mut self, question: &str) -> Result<(), String> {
        self.asked.send(()).expect("the test listens");
        self.may_answer.recv_timeout(PATIENCE).expect("it may answer");
        self.answers.send(format!("{question} is answered")).map_err(|error| error.to_string())
    }
}

#[test]
fn a_question_that_is_asked_is_answered_though_the_process_ends() {
    let settings = RouterSettings::default();
    let router = Router::start(&[own()], &settings, Clock::start(), Random::new(1)).expect("a thread");
    let bounds = Bounds { inbox_groups: 10, inbox_bytes: 1 << 20, client_frame: 1 << 20 };
    let notices = Arc::new(Notices::new(|_| {}));
    let (asked, is_asked) = unbounded();
    let (allow, may_answer) = unbounded();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = Arc::new(Slow { asked, may_answer });
    let told = (Arc::clone(&notices), Lives::default());
    let acceptor =
        Acceptor::start(listener, (own(), Security::Loopback), host, router.handle(), bounds, told);
    let acceptor = acceptor.expect("a thread");

    let book = AddressBook::default();
    book.note(Source::Itself, own(), acceptor.address().into());
    let (question, questions) = unbounded();
    let (hear, heard) = unbounded();
    let hello = || Hello {
        versions: VERSIONS,
        cluster: ClusterId(7),
        epoch: Epoch::FIRST,
        token: String::new(),
        caller: Caller::Console { expects: own(), name: "a test".to_string() },
    };
    let target = Target {
        node: own(),
        book: Arc::new(book),
        hello: Box::new(hello),
        traffic: Traffic::Texts { questions, heard: Box::new(move |news| drop(hear.send(news))) },
        notices,
        security: Security::Loopback,
        lives: Lives::default(),
    };
    let _dialer = Dialer::start(target, 1).expect("a thread");
    question.send("what".to_string()).expect("the link takes questions");
    is_asked.recv_timeout(PATIENCE).expect("it is asked");

    let shared = Arc::clone(&acceptor.shared);
    let end = thread::spawn(move || drop(acceptor));
    while !shared.stopped.load(Ordering::Acquire) {
        thread::yield_now();
    }
    thread::park_timeout(Duration::from_millis(20));
    allow.send(()).expect("the console waits");
    end.join().expect("it ends");
    let news: Vec<Heard> = (0..3).map(|_| heard.recv_timeout(PATIENCE).expect("news")).collect();
    assert!(matches!(&news[0], Heard::Up(_)), "{news:?}");
    assert_eq!(news[1], Heard::Text("what is answered".to_string()));
    assert!(matches!(&news[2], Heard::Down(_)), "{news:?}");
}
