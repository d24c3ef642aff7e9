//! `--web`: the window of a program that has a console.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::console::executor::Console;
use crate::console::narrator::Narrator;
use crate::console::session::Source;
use crate::console::window_session::WindowSession;
use crate::interrupt::Interrupt;
use crate::storage::private;
use crate::web::WebServer;
use crate::web::feed::Feed;

/// The options of a window.
#[derive(Args)]
pub(super) struct WebOptions {
    /// Opens a window for browsers on this machine, and prints its address [default port: the system chooses]
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    web: Option<u16>,

    /// The window is opened at this address of the machine, for others too; needs --web-secret unless it is a loopback address
    #[arg(long, value_name = "ADDRESS", requires = "web")]
    web_bind: Option<IpAddr>,

    /// A private file whose line lets any browser in that shows it as the address's token
    #[arg(long, value_name = "FILE", requires = "web")]
    web_secret: Option<PathBuf>,
}

/// Letters of a secret: with fewer it can be guessed, with more it is another file.
const SECRET_LETTERS: std::ops::RangeInclusive<usize> = 16..=256;

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

    /// A window needs a session that stays, and one that others reach a secret.
    ///
    /// # Errors
    /// One line: lines that are piped end the session, the address is not one of this machine alone, or the secret is no secret.
    pub(super) fn check(&self, source: &Source, serve: bool) -> Result<(), String> {
        if self.is_on() && *source != Source::Terminal && !serve {
            return Err(
                "--web needs a prompt, or --serve: else the session ends with its last line".to_string()
            );
        }
        let address = self.address();
        if address.is_unspecified() {
            return Err(format!(
                "--web-bind {address} names no address: give one of this machine, as browsers will"
            ));
        }
        if !address.is_loopback() && self.web_secret.is_none() {
            return Err(format!("--web-bind {address} lets others in, and needs --web-secret FILE"));
        }
        self.secret().map(drop)
    }

    fn address(&self) -> IpAddr {
        self.web_bind.unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    fn secret(&self) -> Result<Option<String>, String> {
        self.web_secret.as_deref().map(secret_in).transpose()
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
        let address = SocketAddr::new(self.address(), port);
        let server = WebServer::start(address, self.secret()?, feed, Arc::clone(&session))?;
        if !address.ip().is_loopback() {
            console.output().warn(
                "the window is not encrypted: who can read this network can read the run and its secret",
            );
        }
        let inviting = server.clone();
        session.invite_by(Box::new(move || inviting.address()));
        Ok(OpenWindow(Some(server)))
    }
}

/// The secret in this file.
fn secret_in(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let remedy = format!("make one: (umask 077; openssl rand -hex 16 > {shown})");
    let text =
        fs::read_to_string(path).map_err(|error| format!("--web-secret {shown}: {error}; {remedy}"))?;
    private::check(path).map_err(|error| format!("--web-secret {error}"))?;
    let secret = text.trim();
    if !SECRET_LETTERS.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("--web-secret {shown}: a secret has 16 to 256 letters and digits; {remedy}"));
    }
    Ok(secret.to_string())
}
