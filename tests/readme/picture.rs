//! The picture at the top of the README: a session at the prompt, in virtual time, drawn from what is printed.
//!
//! `UPDATE=1 cargo test --test readme` draws it again; the difference is then to be looked at.

use std::fmt::Write;
use std::fs;

use raftlab::console::executor::{Console, Context, Script};
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::sim::{Simulation, SimulationSettings};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/prompt.svg");

/// What is typed. The first line is over before the picture begins.
const TYPED: [&str; 9] = [
    "wait leader",
    "create x 1",
    "crash leader",
    "wait leader",
    "update x 2",
    "restart all",
    "wait converged",
    "log",
    "status",
];

const SEED: u64 = 7;
const COLUMNS: usize = 80;

/// The size of a letter, in pixels.
const WIDTH: f64 = 7.8;
const HEIGHT: usize = 18;
const MARGIN: usize = 16;

/// A line of the terminal: what stands before the cursor's words, and the words.
enum Shown {
    Typed { prompt: String, line: String },
    Said(String),
}

fn session() -> Vec<Shown> {
    let output = Output::memory(Style::default());
    let narrator = Narrator::direct(output.clone());
    let simulation = Simulation::new(SimulationSettings::new(3, SEED), Some(narrator.observer()));
    let context = Context { columns: Some(COLUMNS), attended: true, ..Context::default() };
    let mut console = Console::new(simulation, context, output.clone(), narrator);
    let mut script = Script::typed();
    let mut shown = Vec::new();
    for (at, line) in TYPED.into_iter().enumerate() {
        let prompt = prompt(&mut console);
        console.run_line(&mut script, Ok(line));
        let said = output.take_transcript();
        if at > 0 {
            shown.push(Shown::Typed { prompt, line: line.to_string() });
            shown.extend(said.lines().map(|line| Shown::Said(line.to_string())));
        }
    }
    shown
}

fn prompt(console: &mut Console) -> String {
    console.standing().text()
}

/// Letters alone, in a color that both schemes have. A line is one element, so that its letters can be copied.
fn draw(lines: &[Shown]) -> String {
    let width = (f64::from(u32::try_from(COLUMNS).expect("few")) * WIDTH).ceil();
    let (width, height) = (width + 2.0 * 16.0, lines.len() * HEIGHT + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>A cluster of three nodes at the prompt: the leader crashes, another takes over, nothing is lost</title>\n\
         <style>\n\
         .page {{ fill: #f6f8fa; stroke: #d0d7de }}\n\
         text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }}\n\
         .dim {{ fill: #59636e }} .good {{ fill: #1a7f37; font-weight: 600 }} .typed {{ font-weight: 600 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         .page {{ fill: #0d1117; stroke: #3d444d }} text {{ fill: #f0f6fc }} .dim {{ fill: #9198a1 }} .good {{ fill: #3fb950 }}\n\
         }}\n\
         </style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        width - 1.0,
        height - 1,
    );
    for (at, line) in lines.iter().enumerate() {
        let y = MARGIN + at * HEIGHT + 13;
        let text = match line {
            Shown::Typed { prompt, line } => format!(
                "<tspan class=\"dim\">{}</tspan><tspan class=\"typed\">{}</tspan>",
                escaped(prompt),
                escaped(line)
            ),
            Shown::Said(line) if line.starts_with('[') => {
                format!("<tspan class=\"dim\">{}</tspan>", escaped(line))
            }
            Shown::Said(line) => match line.strip_prefix("OK ") {
                Some(rest) => format!("<tspan class=\"good\">OK</tspan> {}", escaped(rest)),
                None => escaped(line),
            },
        };
        writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>")
            .expect("a text grows");
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[test]
fn the_picture_shows_what_is_printed() {
    let drawn = draw(&session());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(FILE, &drawn).expect("the picture can be written");
    }
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        drawn == kept,
        "docs/prompt.svg shows something else: UPDATE=1 cargo test --test readme draws it again"
    );
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    assert!(
        readme.lines().take(8).any(|line| line.contains("(docs/prompt.svg)")),
        "the README begins with it"
    );
}

#[test]
fn no_line_is_wider_than_the_picture() {
    for line in session() {
        let letters = match &line {
            Shown::Typed { prompt, line } => prompt.chars().count() + line.chars().count(),
            Shown::Said(line) => line.chars().count(),
        };
        assert!(letters <= COLUMNS, "{letters} letters");
    }
}
