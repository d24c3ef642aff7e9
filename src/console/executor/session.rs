//! The verbs about the session itself: what is narrated, the seed, help, history, other scripts, the end.

use super::Console;
use super::rows::{Row, Run, verb};
use super::script::line_shown;
use super::slots::{AS_JSON, FILTER, SCRIPT, SUBJECT, TEXT};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::narrator::EventFilter;
use crate::quoting::visible;

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("events", Topic::Look, &[FILTER, AS_JSON])
            .does("what is narrated above the prompt", "events election")
            .shows("5.2: who asked for votes, who gave them, who won"),
        Console::events,
    ),
    verb(
        form("run", Topic::Test, &[SCRIPT]).does("runs a script; alone, lists the scripts", "run tour"),
        Console::run_file,
    ),
    verb(form("echo", Topic::Test, &[TEXT]).does("prints a text", "echo the leader is gone"), echo),
    verb(
        form("seed", Topic::Session, &[]).does("the seed that repeats this run", "seed"),
        Console::show_seed,
    ),
    verb(
        form("help", Topic::Session, &[SUBJECT])
            .does("explains a verb, a theme or a topic", "help crash")
            .also(&["?", "h"]),
        help,
    ),
    verb(
        form("history", Topic::Session, &[]).does("the directives given so far", "history"),
        Console::show_history,
    ),
    verb(form("clear", Topic::Session, &[]).does("clears the screen, as Ctrl-L does", "clear"), clear),
    verb(
        form("quit", Topic::Session, &[]).does("stops the cluster and leaves", "quit").also(&["exit"]),
        Console::quit,
    ),
];

impl Console {
    fn events(&mut self, line: &Directive) -> Answer {
        let Some(word) = line.get::<&'static str>(&FILTER) else {
            let filter = self.narrator.filter().to_string();
            return Answer::ok("events", format!("events {filter}")).with("filter", filter);
        };
        let filter = EventFilter::named(word).expect("the form lists the filters");
        self.narrator.tell_as_json(line.has(&AS_JSON));
        self.lab.watch_events(filter);
        self.narrator.set_filter(filter);
        let narrated = match filter {
            EventFilter::On => "events on: elections, leaders and trouble",
            EventFilter::Off => "events off: nothing is narrated",
            EventFilter::Election => "events election: terms, votes and leaders",
            EventFilter::Client => "events client: requests, and which node turns them down or sends them on",
            EventFilter::Net => "events net: messages, without heartbeats",
            EventFilter::All => "events all: everything but heartbeats",
            EventFilter::Heartbeats => "events heartbeats: everything, heartbeats and their answers too",
        };
        Answer::ok("events", narrated).with("filter", filter.to_string())
    }

    fn show_seed(&mut self, _: &Directive) -> Answer {
        let seed = self.lab.seed();
        Answer::ok("seed", format!("{seed} ('--seed {seed}' repeats it)")).with("seed", seed)
    }

    fn show_history(&mut self, _: &Directive) -> Answer {
        let width = self.course.history.len().to_string().len();
        let numbered =
            (1..).zip(&self.course.history).map(|(at, line)| format!("{at:width$}  {}", line_shown(line)));
        Answer::ok("history", numbered.collect::<Vec<_>>().join("\n"))
            .with("directives", self.course.history.clone())
    }

    fn quit(&mut self, _: &Directive) -> Answer {
        self.quitting = true;
        Answer::ok("quit", "")
    }
}

fn clear(console: &mut Console, _: &Directive) -> Answer {
    if console.has_terminal() {
        console.output.clear_screen();
    }
    Answer::ok("clear", "")
}

fn echo(_: &mut Console, line: &Directive) -> Answer {
    Answer::ok("echo", line.get::<String>(&TEXT).map(|text| visible(text)).unwrap_or_default())
}

fn help(console: &mut Console, line: &Directive) -> Answer {
    Answer::ok("help", console.language.help(line.get::<&'static str>(&SUBJECT).copied()))
}
