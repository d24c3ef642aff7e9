//! Clients that are too many, too slow or gone: each is bounded, and no node waits for one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use serde_json::json;

use crate::client::{Program, Response, Window};
use crate::process::PATIENCE;

#[test]
fn half_a_request_is_ended_and_holds_up_no_other() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut half = program.connect();
    half.write_all(b"GET / HT").expect("it is sent");
    let mut silent = program.connect();
    let mut gone = program.connect();
    gone.write_all(b"POST /key HTTP/1.1\r\nContent-Le")
        .and_then(|()| gone.shutdown(Shutdown::Both))
        .expect("it is sent");
    let mut ended = program.connect();
    ended.write_all(b"POST /key").and_then(|()| ended.shutdown(Shutdown::Write)).expect("it is sent");
    assert_eq!(Response::read(&mut ended).refusal(), (400, true));
    assert_eq!(window.ask("status"), "ok");
    assert_eq!(Response::read(&mut half).refusal(), (408, true));
    let mut rest = Vec::new();
    let read = silent.read_to_end(&mut rest);
    assert!(read.is_ok() && rest.starts_with(b"HTTP/1.1 408 "), "{read:?}");
}

#[test]
fn a_thousand_connections_are_turned_away_but_for_some_and_the_cluster_runs_on() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut stream = window.stream(0);
    let open: Vec<TcpStream> = (0..200).map(|_| program.connect()).collect();
    let answers = open.into_iter().map(|mut connection| Response::read(&mut connection).refusal());
    let answers: Vec<(u16, bool)> = answers.collect();
    assert!(answers.contains(&(503, true)), "not all have a place");
    assert!(answers.iter().all(|answer| [(503, true), (408, true)].contains(answer)), "{answers:?}");
    for _ in 0..800 {
        drop(program.connect());
    }
    let number = await_place(&window);
    assert_eq!(stream.answer(number)["outcome"], "ok", "a stream that was open stays");
}

/// Asks for a line until a place is free, as a tab does that was turned away. Gives its number.
fn await_place(window: &Window) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = window.try_post("/directive", &json!({"line": "status"})) {
            match answer.status {
                202 => return answer.json()["number"].as_u64().expect("a number"),
                _ => assert_eq!(answer.refusal(), (503, true)),
            }
        }
        assert!(Instant::now() < deadline, "no place becomes free");
    }
}

#[test]
fn sixteen_streams_may_be_open_and_one_that_ends_makes_room() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let mut streams: Vec<_> = (0..16).map(|_| window.stream(0)).collect();
    let key = format!("Raftlab-Key: {}", window.key);
    assert_eq!(program.get("/events", &[&key]).refusal(), (503, true));
    assert_eq!(program.get("/", &[]).status, 200, "there is room for all else");
    drop(streams.pop());
    // A reader that went away is seen at the next line at the latest.
    let deadline = Instant::now() + PATIENCE;
    loop {
        window.line("echo on");
        let mut connection = program.connect();
        let host = program.host();
        let request = format!("GET /events HTTP/1.1\r\nHost: {host}\r\n{key}\r\n\r\n");
        connection.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).expect("an answer");
        if &answer == b"HTTP/1.1 200" {
            break;
        }
        assert!(Instant::now() < deadline, "no place becomes free");
    }
    for stream in &mut streams {
        stream.until("a line", |line| line["text"] == "on");
    }
}

#[test]
fn a_reader_that_takes_nothing_is_cut_and_resumes() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut slow = window.stream(0);
    let first = slow.until("the head", |line| line["trace"] == 1);
    let mut quick = window.stream(0);
    // More than the system keeps for a connection, and 4 MiB.
    let line = format!("echo {}", "x".repeat(60_000));
    let mut last = 0;
    for _ in 0..160 {
        last = window.line(&line);
        quick.answer(last);
    }
    assert_eq!(first["source"], "threads");
    let mut seen = 0;
    while let Some(line) = slow.next() {
        seen = line["k"].as_u64().unwrap_or(seen);
    }
    assert!(!slow.is_whole(), "it was cut");
    let mut again = window.stream(seen + 1);
    let next = again.until("a line of the trace", |line| line["k"].is_u64());
    assert!(next["k"].as_u64() > Some(seen), "{next}");
    assert_eq!(again.answer(last)["outcome"], "ok");
}
