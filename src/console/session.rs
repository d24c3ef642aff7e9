//! A session: where lines come from, how it ends, and with which exit code.
//!
//! Lines are read by a thread of their own, so that faults end by themselves and signals are heeded at an idle prompt.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select, tick};

use super::executor::{Console, Flow, Script};
use super::language::Outcome;
use super::lines::next_line;
use super::prompt::{Prompt, Typed};
use super::scripts;
use super::terminal;
use super::window_session::{Running, WindowLine};
use crate::interrupt::Interrupt;
use crate::types::Time;

/// How long the last lines of narration may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often a prompt that waits for a line looks whether its words are still true.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Terminal,
    Pipe,
    File(PathBuf),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Fine,
    /// A directive, an expectation or a check failed.
    Failed,
    /// No leader in time, or no answer.
    Inconclusive,
    Interrupted,
}

impl Source {
    /// Whether there is something to read: a script that is missing is known before anything starts.
    ///
    /// # Errors
    /// One line that names the file and says why it cannot be read.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Source::File(path) => scripts::open(path).map(drop),
            Source::Terminal | Source::Pipe => Ok(()),
        }
    }

    /// A script when there is one, the terminal when a person is there, else standard input.
    pub fn choose(script: Option<PathBuf>) -> Source {
        match script {
            Some(path) if path.as_os_str() == "-" => Source::Pipe,
            Some(path) => Source::File(path),
            None if io::stdin().is_terminal() && io::stdout().is_terminal() => Source::Terminal,
            None => Source::Pipe,
        }
    }
}

impl Ending {
    pub fn code(self) -> u8 {
        match self {
            Ending::Fine => 0,
            Ending::Failed => 1,
            Ending::Inconclusive => 3,
            Ending::Interrupted => 130,
        }
    }

    fn of(outcome: Outcome) -> Ending {
        match outcome {
            Outcome::Ok | Outcome::Refused => Ending::Fine,
            Outcome::Failed => Ending::Failed,
            Outcome::Unknown => Ending::Inconclusive,
        }
    }
}

/// Says what was started: the nodes with what they continue from, then these lines. Never among the answers.
pub fn greet(console: &mut Console, lines: &[String]) {
    let text = console.greeting();
    let missing = console.nodes_missing();
    for line in std::iter::once(&text).chain(&missing).chain(lines) {
        console.output().warn(line);
    }
}

/// From now on Ctrl-C raises the interrupt, and SIGTERM and SIGHUP ask the program to end. A second signal before the
/// first was heeded ends the program at once: something hangs.
///
/// # Errors
/// The system refuses to install a handler.
pub fn heed_signals(interrupt: &Arc<Interrupt>) -> Result<(), String> {
    heed_signals_and_hang_ups(interrupt, None)
}

/// The same for a program that SIGHUP does not end: each one is a message.
///
/// # Errors
/// The system refuses to install a handler.
pub fn heed_signals_and_hang_ups(
    interrupt: &Arc<Interrupt>,
    hang_up: Option<Sender<()>>,
) -> Result<(), String> {
    let refused = |error: &dyn Display| format!("signals cannot be handled: {error}");
    let raised = Arc::clone(interrupt);
    ctrlc::set_handler(move || exit_if(raised.raise())).map_err(|error| refused(&error))?;
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGTERM};
        let mut signals =
            signal_hook::iterator::Signals::new([SIGTERM, SIGHUP]).map_err(|error| refused(&error))?;
        let raised = Arc::clone(interrupt);
        let had_terminal = std::io::stdin().is_terminal();
        let heed = move || {
            signals.forever().for_each(|signal| match &hang_up {
                // The end of its terminal is told by the same signal.
                Some(hang_up) if signal == SIGHUP && had_terminal == std::io::stdin().is_terminal() => {
                    // One that waits to be read is enough.
                    let _ = hang_up.try_send(());
                }
                _ => exit_if(raised.end()),
            });
        };
        thread::Builder::new().name("signals".to_string()).spawn(heed).map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// Ends the program at once, if something hangs.
fn exit_if(hangs: bool) {
    if hangs {
        terminal::restore();
        std::process::exit(i32::from(Ending::Interrupted.code()));
    }
}

/// Runs a session to its end. With `serve`, the cluster stays up after the last line until a signal comes, which is an end
/// like any other.
pub fn run(console: &mut Console, source: &Source, serve: bool, interrupt: &Interrupt) -> Ending {
    let (ending, quit) = match source {
        Source::Terminal => converse(console, serve, interrupt),
        Source::Pipe => obey(console, Script::piped(), BufReader::new(io::stdin()), serve, interrupt),
        Source::File(path) => match scripts::open(path) {
            Ok(input) => obey(console, Script::piped(), input, serve, interrupt),
            Err(reason) => {
                console.output().warn(&format!("error: {reason}"));
                (Ending::Failed, true)
            }
        },
    };
    if serve && !quit && ending == Ending::Fine {
        stay(console, interrupt);
    }
    let load = if ending == Ending::Interrupted { None } else { console.end_load() };
    let ending = match &load {
        Some(answer) if ending == Ending::Fine && *source != Source::Terminal => Ending::of(answer.outcome),
        _ => ending,
    };
    if let Some(answer) = &load {
        console.output().answer(answer);
    }
    console.narrator().flush(PATIENCE);
    ending
}

/// Runs lines without a person. Also says whether the session is over for good.
fn obey(
    console: &mut Console,
    mut script: Script,
    input: impl BufRead + Send + 'static,
    serve: bool,
    interrupt: &Interrupt,
) -> (Ending, bool) {
    let (lines, looks) = (read_in_background(input), tick(LOOK_EVERY));
    let typed = script.is_typed();
    loop {
        let line = loop {
            match next(console, &lines, interrupt, &looks) {
                Next::Came(line) => break line,
                Next::Due => console.undo_due(),
                Next::Left => return (Ending::of(script.worst()), true),
                Next::Interrupted => return (signalled(&script, serve), true),
                Next::Ended => {
                    let stopped = console.settle(&mut script) == Flow::Stop;
                    return (Ending::of(script.worst()), stopped);
                }
            }
        };
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                console.output().warn(&format!("error: the input cannot be read any further: {error}"));
                return (Ending::Failed, true);
            }
        };
        console.begin(if typed { Running::Plain { stopped: false } } else { Running::Script });
        let flow = console.run_line(&mut script, line.as_deref().map_err(String::as_str));
        if console.end() {
            // A window has stopped the line, and not the session.
            interrupt.lower();
        }
        if interrupt.is_raised() {
            return (signalled(&script, serve), true);
        }
        if flow != Flow::Go {
            console.settle(&mut script);
            return (Ending::of(script.worst()), true);
        }
    }
}

/// How a script ends by a signal. A cluster that serves is ended so, unless that cut a line short.
fn signalled(script: &Script, serve: bool) -> Ending {
    if serve && script.is_settled() { Ending::of(script.worst()) } else { Ending::Interrupted }
}

/// Talks with a person. Ctrl-C ends what is running, not the session; nothing that fails decides the exit code.
fn converse(console: &mut Console, serve: bool, interrupt: &Interrupt) -> (Ending, bool) {
    let prompt = match Prompt::open(console.output().style().color, console.window().cloned()) {
        Ok(prompt) => prompt,
        Err(reason) => {
            console.output().warn(&format!("no line editing here ({reason}): reading plain lines"));
            return obey(console, Script::typed(), BufReader::new(io::stdin()), serve, interrupt);
        }
    };
    console.output().attach_prompt(prompt.printer());
    let mut script = Script::typed();
    let (ending, quit) = loop {
        let typed = match ask(console, &prompt, interrupt) {
            Ok(typed) => typed,
            Err(ending) => {
                terminal::restore();
                break (if serve { Ending::Fine } else { ending }, true);
            }
        };
        match typed {
            Typed::Line(lines) => {
                if run_typed(console, &mut script, &lines, interrupt) != Flow::Go {
                    break (Ending::Fine, true);
                }
            }
            Typed::Cleared { empty: true } | Typed::End if console.leave_lesson() => {}
            Typed::Cleared { empty: true } => console.output().warn(&console.how_to_leave()),
            Typed::Cleared { empty: false } => {}
            Typed::End => break (Ending::Fine, false),
        }
    };
    console.output().detach_prompt();
    (ending, quit)
}

/// Runs what was typed: a line, or the lines that were pasted. Ctrl-C ends the one that runs, and leaves out the rest.
fn run_typed(console: &mut Console, script: &mut Script, lines: &str, interrupt: &Interrupt) -> Flow {
    console.fit(terminal::columns());
    let mut flow = Flow::Go;
    // Enter alone plays a lesson on.
    let lines = if lines.is_empty() { vec![""] } else { lines.lines().collect() };
    console.begin(Running::Typed);
    for line in lines {
        flow = console.run_line(script, Ok(line));
        if flow != Flow::Go || interrupt.is_raised() {
            break;
        }
    }
    console.end();
    interrupt.lower();
    flow
}

/// Asks for a line, and keeps the prompt true meanwhile.
///
/// # Errors
/// The session ends without one: by a signal, or by a window.
fn ask(console: &mut Console, prompt: &Prompt, interrupt: &Interrupt) -> Result<Typed, Ending> {
    if interrupt.ends() {
        return Err(Ending::Interrupted);
    }
    let names = console.names();
    if let Some(window) = console.window() {
        window.know(names.clone());
    }
    prompt.ask(console.standing(), names);
    let looks = tick(LOOK_EVERY);
    loop {
        match next(console, prompt.typed(), interrupt, &looks) {
            Next::Came(typed) => return Ok(typed),
            Next::Due => {
                console.undo_due();
                prompt.change(console.standing());
            }
            // Before the editor has taken over the terminal, Ctrl-C is a signal: one too many for what ran before. Later
            // it is a key, and a signal comes from elsewhere.
            Next::Interrupted if prompt.opens() && !interrupt.ends() => interrupt.lower(),
            Next::Interrupted => return Err(Ending::Interrupted),
            Next::Left => return Err(Ending::Fine),
            Next::Ended => return Ok(Typed::End),
        }
    }
}

/// Keeps the cluster up until a signal comes.
fn stay(console: &mut Console, interrupt: &Interrupt) {
    console.output().warn("serving until Ctrl-C or SIGTERM");
    let (nothing, looks): (Receiver<()>, _) = (never(), tick(LOOK_EVERY));
    while let Next::Due | Next::Came(()) = next(console, &nothing, interrupt, &looks) {
        console.undo_due();
    }
}

enum Next<T> {
    Came(T),
    Due,
    Interrupted,
    /// A line of a window was `quit`.
    Left,
    Ended,
}

/// The next thing to heed. It is due to look after the cluster when a fault is to end, when `looks` says so, and after a
/// line of a window, which is executed here.
fn next<T>(
    console: &mut Console,
    lines: &Receiver<T>,
    interrupt: &Interrupt,
    looks: &Receiver<Instant>,
) -> Next<T> {
    if interrupt.is_raised() {
        return Next::Interrupted;
    }
    let due: Option<Time> = console.next_undo();
    let due = due.map_or_else(never, |due| crossbeam_channel::after(due.since(console.lab().now())));
    let window = console.window();
    let asked = window.map_or_else(never, |window| window.lines().clone());
    let slice = window.and_then(|window| window.slice_due()).map_or_else(never, at);
    select! {
        recv(interrupt.receiver()) -> _ => Next::Interrupted,
        recv(lines) -> line => line.map_or(Next::Ended, Next::Came),
        recv(due) -> _ => Next::Due,
        recv(looks) -> _ => Next::Due,
        recv(asked) -> line => match line.map(|line| run_for_window(console, &line, interrupt)) {
            Ok(Flow::Quit) => Next::Left,
            Ok(Flow::Go | Flow::Stop) | Err(_) => Next::Due,
        },
        recv(slice) -> now => {
            console.play(now.unwrap_or_else(|_| Instant::now()));
            Next::Due
        }
    }
}

/// Executes a line of a window. Ctrl-C that is meant for a session without a person is left to it.
fn run_for_window(console: &mut Console, line: &WindowLine, interrupt: &Interrupt) -> Flow {
    console.fit(terminal::columns());
    console.begin(Running::Window { number: line.number, stopped: false });
    let flow = console.run_line(&mut Script::typed(), Ok(&line.text));
    let stopped = console.end();
    console.undo_due();
    let names = console.names();
    if let Some(window) = console.window() {
        window.know(names);
    }
    if stopped || console.is_attended() {
        interrupt.lower();
    }
    flow
}

type ReadLine = io::Result<Result<String, String>>;

/// The lines of this input, one ahead.
fn read_in_background(mut input: impl BufRead + Send + 'static) -> Receiver<ReadLine> {
    let (sender, receiver) = bounded(1);
    let read = move || {
        loop {
            let line = match next_line(&mut input) {
                Ok(None) => return,
                Ok(Some(line)) => Ok(line),
                Err(error) => Err(error),
            };
            let last = line.is_err();
            if sender.send(line).is_err() || last {
                return;
            }
        }
    };
    thread::Builder::new().name("input".to_string()).spawn(read).expect("a thread for the input");
    receiver
}
