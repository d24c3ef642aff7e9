//! `--web`: the window of a program that has a console.

use std::sync::Arc;

use clap::Args;

use crate::console::executor::Console;
use crate::console::narrator::Narrator;
use crate::console::session::Source;
use crate::console::window_session::WindowSession;
use crate::interrupt::Interrupt;
use crate::web::WebServer;
use crate::web::feed::Feed;

/// The options of a window.
#[derive(Args)]
pub(super) struct WebOptions {
    /// Opens a window for browsers on this machine, and prints its address [default port: the system chooses]
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    web: Option<u16>,
}

/// A window, or none if none was wanted.
pub(super) struct OpenWindow(Option<WebServer>);

impl OpenWindow {
    /// The line that says where it is.
    pub(super) fn line(&self) -> Option<String> {
        self.0.as_ref().map(|server| format!("window: {}", server.address()))
    }

    /// The session is over: browsers are told what they were not told yet.
    pub(super) fn close(&self) {
        if let Some(server) = &self.0 {
            server.close();
        }
    }
}

impl WebOptions {
    /// Whether a window is wanted.
    pub(super) fn is_on(&self) -> bool {
        self.web.is_some()
    }

    /// A window needs a session that stays.
    ///
    /// # Errors
    /// One line: lines that are piped end the session.
    pub(super) fn check(&self, source: &Source, serve: bool) -> Result<(), String> {
        if self.is_on() && *source != Source::Terminal && !serve {
            return Err(
                "--web needs a prompt, or --serve: else the session ends with its last line".to_string()
            );
        }
        Ok(())
    }

    /// What the window sees of a session, if one is wanted.
    pub(super) fn session(
        &self,
        narrator: &Narrator,
        interrupt: &Arc<Interrupt>,
        is_virtual: bool,
    ) -> Option<Arc<WindowSession>> {
        self.web?;
        Some(Arc::new(WindowSession::new(narrator.clone(), Arc::clone(interrupt), is_virtual)))
    }

    /// Opens the window of this console, if one is wanted.
    ///
    /// # Errors
    /// One line: the port is taken, or the system gives no thread.
    pub(super) fn open(&self, console: &mut Console) -> Result<OpenWindow, String> {
        let (Some(port), Some(session)) = (self.web, console.window().cloned()) else {
            return Ok(OpenWindow(None));
        };
        let feed = Arc::new(Feed::new());
        feed.head(console.trace_head().line());
        console.read_trace(Box::new(Arc::clone(&feed)));
        session.know(console.names());
        let server = WebServer::start(port, feed, Arc::clone(&session))?;
        let inviting = server.clone();
        session.invite_by(Box::new(move || inviting.address()));
        Ok(OpenWindow(Some(server)))
    }
}
