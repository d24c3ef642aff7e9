//! `client`: the console of a cluster whose nodes are processes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::web::WebOptions;
use super::{EXIT_CODES, Start, cluster_file};
use crate::console::executor::{Console, Context};
use crate::console::narrator::Narrator;
use crate::console::options;
use crate::console::printer::{ColorChoice, Output, Style};
use crate::console::session::{self, Source};
use crate::console::terminal;
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::links::Notices;
use crate::remote::lab::RemoteLab;

const AFTER_HELP: &str = "\
It speaks the language of 'cluster': at the prompt, 'help' explains it. The nodes run on when it ends, and faults that were
made last until 'reset', or as long as 'for' says. A property that 'check' leaves UNDECIDED does not change the exit code; a
history that it does ends with 3.";

/// A console for a Raft cluster whose nodes are processes (see 'node --help').
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(version, max_term_width = 100, after_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}"))]
pub(super) struct Options {
    /// The file that describes the cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
    config: PathBuf,
    #[command(flatten)]
    web: WebOptions,
    /// Whose certificate it shows [default: the only one in the folder]
    #[arg(long, value_name = "NAME")]
    r#as: Option<String>,
    /// Runs the lines of a file
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Writes what the data commands asked and were answered to this file, one JSON line each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Prints each line of a script before its answer [default: where the output is a terminal]
    #[arg(long, conflicts_with = "json")]
    echo: bool,
    /// Answers with one JSON object a directive
    #[arg(long)]
    json: bool,
    /// Stays up after the last line, for the window, until Ctrl-C or SIGTERM
    #[arg(long, requires = "web")]
    serve: bool,
    /// Continues after a directive that failed
    #[arg(long)]
    keep_going: bool,
    /// When to use colors
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            Output::standard(Style::default()).warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn run(options: &Options) -> Result<u8, String> {
    let file = cluster_file::read(&options.config)?;
    let source = Source::choose(options.script.clone());
    source.check()?;
    options.web.check(&source, options.serve)?;
    let attended = source == Source::Terminal;
    let style = Style {
        json: options.json,
        color: (attended && options.color.resolve()) || options.color == ColorChoice::Always,
        transcript: false,
        echo: options.echo || std::io::stdout().is_terminal(),
    };
    let output = Output::standard(style);
    let narrator = Narrator::queued(output.clone());
    let interrupt = Arc::new(Interrupt::new());
    session::heed_signals(&interrupt)?;
    let history = options.history.as_deref();
    history.map_or(Ok(()), HistoryFile::probe)?;
    let remote = cluster_file::remote(&options.config, &file, options.r#as.as_deref())?;
    let client_timeout = file.settings.client_timeout.mul_f64(file.settings.time_scale);
    let warn = output.clone();
    let notices = Arc::new(Notices::new(move |line| warn.warn(line)));
    let name = format!("console {}", std::process::id());
    let lab = RemoteLab::connect(remote, &name, notices, narrator.observer());
    let mut lab = lab.map_err(|error| format!("the system gives no more threads: {error}"))?;
    let is_alone = !lab.answers() && lab.refused().is_none();
    let raised = Arc::clone(&interrupt);
    lab.set_interrupt(move || raised.is_raised(), interrupt.receiver().clone());
    let new_history = |path| HistoryFile::create(path, |warning| output.warn(warning));
    let mut history = history.map(new_history).transpose()?;
    if let Some(file) = &mut history {
        file.begin(lab.began_with())?;
    }
    let context = Context {
        client_timeout,
        keep_going: options.keep_going,
        columns: attended.then(terminal::columns),
        attended,
        logs: Some(file.settings.logs.clone()),
        again: None,
        interrupt: Some(Arc::clone(&interrupt)),
        window: options.web.session(&narrator, &interrupt, false),
    };
    let mut console = Console::new(lab, context, output, narrator);
    if let Some(file) = history {
        console.record_to(file);
    }
    let config = options.config.display();
    let place = format!("cluster {} by {config}", file.cluster);
    let alone = is_alone.then(|| {
        format!(
            "none of the nodes in {config} answers: start one, or write below [addresses] where one that runs is,              which knows the others"
        )
    });
    let window = options.web.open(&mut console)?;
    let lines: Vec<String> = std::iter::once(place).chain(alone).chain(window.line()).collect();
    session::greet(&mut console, &lines);
    if attended {
        console.open_session();
    }
    let ending = session::run(&mut console, &source, options.serve, &interrupt);
    window.close();
    console.into_lab().leave();
    Ok(ending.code())
}
