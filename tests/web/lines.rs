//! Lines from a window: they run in the session's queue, and the stream tells of them.

use std::io::Write;

use serde_json::{Value, json};

use crate::client::{Program, Window};

#[test]
fn a_line_is_told_when_it_begins_and_with_its_answer() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut stream = window.stream(0);
    assert_eq!(stream.next().expect("a head")["source"], "threads");
    let number = window.line("create x 1");
    let begun = stream.until("the line", |line| line["e"] == "directive" && line["number"] == number);
    assert_eq!(
        (&begun["line"], &begun["by"], &begun["at"]),
        (&json!("create x 1"), &json!("web"), &json!("console"))
    );
    let answer = stream.answer(number);
    assert_eq!(answer["outcome"], "ok");
    assert!(answer["text"].as_str().is_some_and(|text| text.starts_with("OK created x=1 [n")), "{answer}");
    assert!(answer["k"].as_u64() > begun["k"].as_u64() && answer["t"].as_u64() >= begun["t"].as_u64());
    program.says("> create x 1");
    program.says("OK created x=1");
    for (line, outcome) in
        [("create x 2", "refused"), ("crash n9", "failed"), ("nonsense", "failed"), ("", "ok")]
    {
        let number = window.line(line);
        assert_eq!(stream.answer(number)["outcome"], outcome, "{line}");
    }
}

#[test]
fn lines_of_two_windows_and_of_the_input_run_one_after_the_other() {
    let mut program = Program::cluster(&[]);
    let one = Window::open(&program);
    program.say("web\n");
    program.reads_address();
    let other = Window::open(&program);
    let (mut first, mut second) = (one.stream(0), other.stream(0));
    let numbers = [one.line("put a 1"), other.line("put b 2"), one.line("echo done")];
    program.say("put c 3\n");
    program.says("OK put c=3");
    for stream in [&mut first, &mut second] {
        stream.answer(numbers[2]);
    }
    let told = |trace: &str| -> Vec<Value> {
        let lines = trace.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &Value| line["e"] == "directive" || line["e"] == "answer").collect()
    };
    let lines = told(&one.trace());
    assert_eq!(lines, told(&other.trace()));
    for pair in lines.chunks(2) {
        let [begun, answer] = pair else { panic!("a line without an answer: {pair:?}") };
        assert_eq!((&begun["e"], &answer["e"]), (&json!("directive"), &json!("answer")));
        assert_eq!(begun["number"], answer["number"], "one at a time");
    }
    let by_script = lines.iter().filter(|line| line["by"] == "script").count();
    assert_eq!(by_script, 2, "'web' and 'put c 3'");
}

#[test]
fn stop_ends_what_runs_and_nothing_else() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    assert_eq!(window.post("/stop", &json!({})).refusal(), (409, true), "nothing runs");
    let mut stream = window.stream(0);
    let (sleep, waiting) = (window.line("sleep 60s"), window.line("echo next"));
    stream.until("a line that runs", |line| line["e"] == "directive" && line["number"] == sleep);
    assert_eq!(window.post("/stop", &json!({})).status, 202);
    let answer = stream.answer(sleep);
    assert!(answer["text"].as_str().is_some_and(|text| text.contains("interrupted after ")), "{answer}");
    assert_eq!(stream.answer(waiting)["text"], "next", "what waited runs");
}

#[test]
fn too_many_lines_do_not_wait() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut stream = window.stream(0);
    let sleep = window.line("sleep 60s");
    stream.until("a line that runs", |line| line["e"] == "directive" && line["number"] == sleep);
    let lines: Vec<u64> = (0..100).map(|_| window.line("echo waits")).collect();
    assert_eq!(window.post("/directive", &json!({"line": "echo no"})).refusal(), (503, true));
    assert_eq!(
        window.post("/complete", &json!({"line": "cra", "cursor": 3})).json()["candidates"],
        json!(["crash"])
    );
    assert_eq!(window.post("/stop", &json!({})).status, 202);
    stream.answer(lines[99]);
}

#[test]
fn quit_from_a_window_ends_the_program() {
    for mut program in [Program::cluster(&[]), Program::simulate()] {
        let window = Window::open(&program);
        let mut stream = window.stream(0);
        let number = window.line("quit");
        assert_eq!(stream.answer(number)["outcome"], "ok");
        while stream.next().is_some() {}
        assert!(stream.is_whole(), "the end is told as such");
        assert_eq!(program.ends(), Some(0));
    }
}

#[test]
fn completion_knows_the_nodes_and_the_keys() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    assert_eq!(window.ask("put some-key 1"), "ok");
    let complete = |line: &str| window.post("/complete", &json!({"line": line, "cursor": line.len()})).json();
    assert_eq!(complete("cra"), json!({"start": 0, "candidates": ["crash"]}));
    assert_eq!(complete("crash n"), json!({"start": 6, "candidates": ["n1", "n2", "n3"]}));
    assert_eq!(complete("read so"), json!({"start": 5, "candidates": ["some-key"]}));
}

#[test]
fn a_stream_resumes_behind_the_last_line_that_was_seen() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let texts = ["one", "two", "three"];
    let numbers = texts.map(|text| window.line(&format!("echo {text}")));
    let mut stream = window.stream(0);
    let second = stream.answer(numbers[1])["k"].as_u64().expect("a place");
    drop(stream);
    let mut resumed = window.stream(second + 1);
    assert_eq!(resumed.next().expect("a head")["trace"], 1);
    let next = resumed.next().expect("a line");
    assert_eq!((next["k"].as_u64(), &next["line"]), (Some(second + 1), &json!("echo three")));
    resumed.answer(numbers[2]);
    let number = window.line("echo four");
    assert_eq!(resumed.answer(number)["text"], "four", "it continues with what is new");
}

#[test]
fn virtual_time_is_played_between_lines_and_real_time_is_not() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let mut stream = window.stream(0);
    let playing = window.post("/clock", &json!({"play": true, "speed": 100.0}));
    assert_eq!((playing.status, playing.json()), (200, json!({"play": true, "speed": 100.0})));
    let deadline = std::time::Instant::now() + crate::process::PATIENCE;
    loop {
        let number = window.line("leader");
        let answer = stream.answer(number);
        if answer["outcome"] == "ok" && answer["t"].as_u64() > Some(2_000_000) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "time stands still: {answer}");
    }
    assert_eq!(window.post("/clock", &json!({"play": false})).status, 200);
    let now = |stream: &mut crate::client::Stream| {
        let number = window.line("echo now");
        stream.answer(number)["t"].clone()
    };
    let before = now(&mut stream);
    assert_eq!(now(&mut stream), before, "it stands still");
    let mut ask = |line: &str| {
        let number = window.line(line);
        stream.answer(number)["outcome"].clone()
    };
    assert_eq!(
        (ask("put x 1"), ask("rewind to 1500ms")),
        (json!("ok"), json!("ok")),
        "played time can be seen again"
    );
    assert_eq!(window.post("/clock", &json!({"play": true})).refusal(), (409, true), "the past stands still");
    assert_eq!(ask("fork"), "ok");
    assert_eq!(window.post("/clock", &json!({"play": true})).status, 200);
    let threads = Program::cluster(&[]);
    let other = Window::open(&threads);
    assert_eq!(other.post("/clock", &json!({"play": true})).refusal(), (409, true));
}

#[test]
fn messages_and_states_are_told_while_a_window_is_open() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    for _ in 0..2 {
        let mut stream = window.stream(u64::MAX);
        assert_eq!(stream.next().expect("a head")["trace"], 1);
        let flight = stream.until("a message", |line| line["e"] == "sent")["flight"].clone();
        stream.until("its arrival", |line| line["e"] == "arrived" && line["flight"] == flight);
        stream.until("a state", |line| line["e"] == "view");
    }
}

#[test]
#[cfg(unix)]
fn nodes_in_processes_are_watched_from_each_of_their_consoles() {
    let program = Program::processes();
    let other = program.client();
    let windows = [Window::open(&program), Window::open(&other)];
    let mut streams = windows.each_ref().map(|window| window.stream(0));
    for stream in &mut streams {
        assert_eq!(stream.next().expect("a head")["source"], "processes");
        stream.until("a message", |line| line["e"] == "arrived");
    }
    assert_eq!((windows[0].ask("put x 1"), windows[1].ask("expect key x 1")), ("ok".into(), "ok".into()));
    assert_eq!(windows[0].ask("kill n3"), "ok", "what only the console of the processes can do");
}

#[test]
fn a_lesson_is_played_step_by_step_from_a_window() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let mut stream = window.stream(0);
    let number = window.line("scenario figure-8");
    assert_eq!(stream.answer(number)["outcome"], "ok");
    let next = window.line("");
    stream.until("a line of the lesson", |line| line["e"] == "directive" && line["by"] == "script");
    assert_eq!(stream.answer(next)["outcome"], "ok");
    let left = window.line("q");
    assert_eq!(stream.answer(left)["outcome"], "ok");
    program.says("figure-8 is left");
}

#[test]
fn a_reader_that_goes_away_disturbs_no_other() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let mut stays = window.stream(0);
    for round in 0..30 {
        let mut goes = window.stream(0);
        goes.next().expect("a head");
        drop(goes);
        let mut breaks_off = program.connect();
        let request =
            format!("GET /trace HTTP/1.1\r\nHost: {}\r\nRaftlab-Key: {}\r\n\r\n", program.host(), window.key);
        breaks_off.write_all(request.as_bytes()).expect("it is sent");
        drop(breaks_off);
        let number = window.line(&format!("put x {round}"));
        assert_eq!(stays.answer(number)["outcome"], "ok");
    }
}
