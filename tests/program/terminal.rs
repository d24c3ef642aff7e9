//! The prompt at a terminal: a pseudo-terminal of 80 by 24 or 60 by 20, keys that are typed, and what the screen shows.
//!
//! A test waits for what is to be seen, never for a time.

mod lessons;
mod past;
mod pty;
mod signals;

use std::time::Instant;

use self::pty::Pty;
use crate::{Folder, PATIENCE};

const WIDE: (u16, u16) = (80, 24);
const NARROW: (u16, u16) = (60, 20);

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A program at a terminal.
struct Terminal {
    pty: Pty,
    _folder: Folder,
}

impl Terminal {
    fn start(size: (u16, u16), program: &str, options: &[&str]) -> Terminal {
        let folder = Folder::new();
        Terminal { pty: Pty::start(size, program, options, &folder.path("")), _folder: folder }
    }

    /// A cluster whose prompt names a leader, on a screen that is else empty.
    fn led(size: (u16, u16), options: &[&str]) -> Terminal {
        let options = [options, &["--memory"]].concat();
        let mut terminal = Terminal::start(size, env!("CARGO_BIN_EXE_cluster"), &options);
        terminal.sees("a prompt with a leader", |screen| screen.prompt("leader=n").is_some());
        terminal.enters("clear");
        terminal.sees("an empty screen", |screen| screen.waits() && screen.cursor.0 <= 1);
        terminal
    }

    fn types(&mut self, keys: &str) {
        self.pty.types(keys);
    }

    fn enters(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    /// Waits until the screen is so.
    #[track_caller]
    fn sees(&mut self, what: &str, is_so: impl Fn(&Screen) -> bool) -> Screen {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = Screen::of(self.pty.screen());
            if is_so(&screen) {
                return screen;
            }
            if let Err(reason) = self.pty.hears(deadline) {
                panic!("no {what} ({reason}):\n{}", screen.rows.join("\n"));
            }
        }
    }

    #[track_caller]
    fn sees_text(&mut self, text: &str) -> Screen {
        self.sees(text, |screen| screen.text().contains(text))
    }

    /// Waits for the end. Gives the exit code and the last screen.
    #[track_caller]
    fn ends(&mut self) -> (u32, Screen) {
        let code = self.pty.ends(Instant::now() + PATIENCE);
        let screen = Screen::of(self.pty.screen());
        (code.unwrap_or_else(|| panic!("it does not end:\n{}", screen.text())), screen)
    }
}

/// What a terminal shows.
struct Screen {
    rows: Vec<String>,
    /// The numbers of rows that are too long and continue in the next one. Narration may.
    wrapped: Vec<usize>,
    cursor: (u16, u16),
}

impl Screen {
    fn of(screen: &vt100::Screen) -> Screen {
        let rows: Vec<String> =
            screen.rows(0, screen.size().1).map(|row| row.trim_end().to_string()).collect();
        let is_wrapped = |at: &usize| {
            let number = u16::try_from(*at).expect("a screen has few rows");
            screen.row_wrapped(number) && !rows[*at].starts_with('[')
        };
        let wrapped = (0..rows.len()).filter(is_wrapped).collect();
        Screen { wrapped, cursor: screen.cursor_position(), rows }
    }

    fn text(&self) -> String {
        self.rows.join("\n")
    }

    /// The row of the cursor.
    fn row(&self) -> &str {
        &self.rows[usize::from(self.cursor.0)]
    }

    /// That row, if it is a prompt with these words.
    fn prompt(&self, words: &str) -> Option<&str> {
        let row = self.row();
        (row.starts_with("raft ") && row.contains(words)).then_some(row)
    }

    /// Who leads, as the prompt says.
    fn leader(&self) -> Option<&str> {
        let (_, rest) = self.prompt("leader=")?.split_once("leader=")?;
        rest.split(' ').next()
    }

    /// Whether each row from the first one that begins so is whole.
    fn fits_from(&self, beginning: &str) -> bool {
        let first = self.rows.iter().position(|row| row.starts_with(beginning)).expect("it is seen");
        self.wrapped.iter().all(|at| *at < first)
    }

    /// The cursor stands behind a prompt, and nothing else does.
    fn waits(&self) -> bool {
        self.prompt("term=").is_some_and(|row| row.ends_with('>'))
    }

    fn count(&self, text: &str) -> usize {
        self.text().matches(text).count()
    }
}

#[test]
fn the_prompt_follows_the_leader_while_a_line_is_half_typed() {
    for size in [WIDE, NARROW] {
        let mut terminal = Terminal::led(size, &["3"]);
        let before = terminal.sees("a leader", |screen| screen.leader().is_some());
        let before = before.leader().expect("just seen").to_string();
        terminal.enters("crash leader for 2s");
        terminal.sees("a crash", |screen| screen.prompt("raft 2/3 ").is_some());
        terminal.types("echo half");
        let is_half = |screen: &Screen| screen.prompt("> echo half").is_some();
        let other = terminal.sees("another leader", |screen| {
            is_half(screen)
                && screen.prompt("raft 2/3 ").is_some()
                && screen.leader().is_some_and(|leader| leader != before)
        });
        let other = other.leader().expect("just seen").to_string();
        let told = terminal.sees("narration above the line", |screen| {
            is_half(screen) && screen.text().contains(&format!("] {other} leads term "))
        });
        let prompts = told.count("> echo half");
        assert_eq!(prompts, 1, "the line is drawn once:\n{}", told.text());
        let term = told.prompt("term=").and_then(|row| row.split_once("term=")).expect("a term").1;
        let term = term.split('>').next().expect("a prompt ends");
        assert!(told.text().contains(&format!("{other} leads term {term}")), "{}", told.text());
        terminal.sees("all nodes", |screen| is_half(screen) && screen.prompt("raft 3/3 ").is_some());
        terminal.enters(" a line");
        terminal.sees("the answer", |screen| screen.rows.iter().any(|row| row == "half a line"));
        terminal.enters("quit");
        assert_eq!(terminal.ends().0, 0);
    }
}

/// Without a line of narration that would draw it.
#[test]
fn the_prompt_is_drawn_again_in_its_place() {
    let mut terminal = Terminal::led(WIDE, &["3"]);
    terminal.enters("events off");
    terminal.enters("crash leader");
    let screen = terminal.sees("a new leader", |screen| screen.prompt("raft 2/3 leader=n").is_some());
    assert_eq!(screen.count("raft 2/3 "), 1, "one prompt since the crash:\n{}", screen.text());
    let crashed = screen.rows.iter().find(|row| row.contains(" crashed")).expect("the answer");
    assert!(!crashed.starts_with(screen.leader().expect("just seen")), "{}", screen.text());
    terminal.enters("crash leader");
    terminal.sees("no leader", |screen| screen.prompt("raft 1/3 no leader term=").is_some());
}

#[test]
fn completions_are_listed_above_the_line_and_no_row_is_overwritten() {
    for size in [WIDE, NARROW] {
        let mut terminal = Terminal::led(size, &["3"]);
        for (typed, offered) in [
            ("partition ", &["bridge", "halves", "minority", "n1", "n2", "n3", "ring"][..]),
            ("read ", &["first-key", "second-key"]),
            ("cr", &["crash", "create"]),
        ] {
            if typed == "read " {
                terminal.enters("put first-key 1");
                terminal.sees_text("OK put first-key=1");
                terminal.enters("put second-key 2");
                terminal.sees_text("OK put second-key=2");
            }
            terminal.types(typed);
            let prompt = format!("> {typed}");
            terminal.sees("what was typed", |screen| screen.prompt(prompt.trim_end()).is_some());
            terminal.types("\t");
            let screen = terminal.sees(&format!("{offered:?}"), |screen| {
                let words = || screen.rows.iter().take(usize::from(screen.cursor.0));
                screen.prompt(prompt.trim_end()).is_some()
                    && offered.iter().all(|word| {
                        words().any(|row| {
                            !row.starts_with("raft") && row.split_whitespace().any(|part| part == *word)
                        })
                    })
            });
            assert!(screen.fits_from(""), "{}", screen.text());
            terminal.types(CTRL_C);
            terminal.sees("an empty line", Screen::waits);
        }
        // A part that all share is filled in; what is left alone is completed with a space.
        terminal.types("dup\t5");
        terminal.sees("a whole word", |screen| screen.prompt("> duplicate 5").is_some());
    }
}

#[test]
fn lines_that_are_typed_ahead_or_pasted_run_one_by_one() {
    let mut terminal = Terminal::led(WIDE, &["3"]);
    terminal.types("echo on\recho e\recho tw");
    terminal.sees("two answers and half a line", |screen| {
        screen.text().contains("\non\n")
            && screen.text().contains("\ne\n")
            && screen.prompt("> echo tw").is_some()
    });
    terminal.types("o\r");
    terminal.sees("the third answer", |screen| screen.text().contains("\ntwo\n") && screen.waits());
    terminal.types("\x1b[200~echo thr\recho ee\x1b[201~");
    terminal.sees("two lines", |screen| screen.rows.iter().any(|row| row == "echo ee"));
    terminal.types("\r");
    terminal.sees("an answer to each", |screen| screen.text().contains("\nthr\nee\nraft ") && screen.waits());
}

/// A line of two rows, with a list: both stay whole.
#[test]
fn completions_of_a_long_line_stand_above_all_of_it() {
    let mut terminal = Terminal::led(NARROW, &["3"]);
    let key = "k".repeat(40);
    terminal.types(&format!("create {key} 1 @n"));
    terminal.types("\t");
    let screen = terminal.sees("three nodes", |screen| screen.rows.iter().any(|row| row == "@n1  @n2  @n3"));
    let at = screen.rows.iter().position(|row| row == "@n1  @n2  @n3").expect("just seen");
    assert!(screen.rows[at + 1].contains("> create kkk"), "{}", screen.text());
    assert_eq!(screen.count("> create kkk"), 1, "{}", screen.text());
}

#[test]
fn ctrl_c_clears_a_line_and_says_how_to_leave_an_empty_one() {
    let mut terminal = Terminal::led(NARROW, &["3"]);
    terminal.types("echo never");
    terminal.sees("a line", |screen| screen.prompt("> echo never").is_some());
    terminal.types(CTRL_C);
    let screen = terminal.sees("a cleared line", Screen::waits);
    assert_eq!(screen.count("Ctrl-D leaves"), 0, "{}", screen.text());
    terminal.types(CTRL_C);
    terminal.sees_text("\n'quit' or Ctrl-D leaves");
    terminal.sees("a prompt", Screen::waits);
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn ctrl_c_leaves_a_load_in_the_background_alone_and_leaving_sums_it_up() {
    for leave in ["quit\r", CTRL_D] {
        let mut terminal = Terminal::led(WIDE, &["3"]);
        terminal.enters("load --rate 100 &");
        terminal.sees("a load", |screen| screen.text().contains("the load runs: ") && screen.waits());
        terminal.types(CTRL_C);
        terminal.sees_text("the load runs on ('load stop' ends it); 'quit' or Ctrl-D leaves");
        terminal.enters("sleep 1h");
        // It is a signal once the line was taken.
        terminal.sees("a row of the load below the line", |screen| {
            let at = screen.rows.iter().position(|row| row.contains("> sleep 1h"));
            at.is_some_and(|at| {
                screen.rows[at + 1..].iter().any(|row| row.contains(" ms") || row.contains(" us"))
            }) && screen.prompt("").is_none()
        });
        terminal.types(CTRL_C);
        terminal.sees_text("interrupted after ");
        terminal.enters("load");
        terminal.sees("a prompt", |screen| screen.text().contains("a load runs already") && screen.waits());
        terminal.types(leave);
        let (code, screen) = terminal.ends();
        assert_eq!(code, 0);
        for line in ["longest outage ", "PASS linearizable ("] {
            assert!(screen.text().contains(line), "no {line:?} in\n{}", screen.text());
        }
    }
}

#[test]
fn a_status_that_is_watched_is_drawn_in_its_place() {
    for size in [WIDE, NARROW] {
        let mut terminal = Terminal::led(size, &["3"]);
        terminal.enters("crash n2 for 2s");
        terminal.enters("status --watch");
        terminal.sees("a crashed node", |screen| {
            screen.rows.iter().any(|row| row.starts_with("n2    crashed ")) && screen.prompt("").is_none()
        });
        let screen = terminal.sees("the node in the same place", |screen| {
            screen.rows.iter().any(|row| row.starts_with("n2    follower "))
                && screen.text().contains("3 of 3 up")
                && screen.text().contains("\nCtrl-C ends this")
        });
        assert_eq!(screen.count("NODE "), 1, "{}", screen.text());
        assert!(screen.fits_from("NODE "), "{}", screen.text());
        // What is typed meanwhile does not show.
        terminal.types("unseen\r\r");
        terminal.types(CTRL_C);
        let screen = terminal.sees("a prompt", Screen::waits);
        let counts = ["Ctrl-C ends this", "NODE ", "unseen"].map(|text| screen.count(text));
        assert_eq!(counts, [0, 1, 0], "{}", screen.text());
    }
}

#[test]
fn tables_fit_the_terminal() {
    for size in [WIDE, NARROW] {
        let mut terminal = Terminal::led(size, &["5"]);
        for line in ["partition n1 n2 n3 / n4 n5", "drop 1%", "duplicate 1%", "delay 1ms", "pause n3"] {
            terminal.enters(line);
            terminal.sees("a prompt", Screen::waits);
        }
        for (line, last) in [("status", "commit"), ("status --all", "commit"), ("net", "n5>")] {
            terminal.enters("clear");
            terminal.enters(line);
            let screen = terminal.sees(line, |screen| screen.text().contains(last) && screen.waits());
            assert!(screen.fits_from(""), "{line}:\n{}", screen.text());
        }
    }
}

#[test]
fn a_status_is_watched_in_virtual_time_only_while_it_passes_by_a_clock() {
    let mut terminal =
        Terminal::start(WIDE, env!("CARGO_BIN_EXE_simulate"), &["3", "--prompt", "--seed", "7"]);
    terminal.sees("a prompt", |screen| screen.prompt("term=0").is_some());
    terminal.enters("status --watch");
    terminal.sees_text("ERR time stands still here while you watch: 'speed 1', then --watch lets it pass");
    terminal.enters("speed 1");
    terminal.enters("status --watch");
    terminal.sees("an election", |screen| screen.text().contains(" leads term 1; 3 of 3 up"));
    terminal.types(CTRL_C);
    terminal.sees("a prompt", |screen| screen.leader().is_some());
}
