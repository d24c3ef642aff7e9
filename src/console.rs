//! The console: where lines come from, what they do, and how that is told.
//!
//! [`language`] is pure: the same for the prompt, piped input, scripts and golden tests.
//! [`executor`] executes its directives on any lab, [`narrator`] tells what happens meanwhile, [`printer`] writes,
//! [`scripts`] finds scripts by their names, and [`session`] decides where lines come from, how it ends and with which exit
//! code.
//!
//! Architecture invariant: only these five and their parts (`prompt`, `lines`, [`options`]) read a clock, a file,
//! a terminal or the cluster.

pub mod language;
mod drawn;
pub mod executor;
pub mod glimpses;
mod lesson;
mod lines;
pub mod matrix;
pub mod museum;
pub mod narrator;
pub mod options;
pub mod printer;
pub mod progress;
mod prompt;
pub mod scripts;
pub mod session;
pub mod standing;
pub mod terminal;
pub mod tracer;
pub mod window_session;
