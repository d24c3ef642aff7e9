//! A program at a pseudo-terminal: keys that are typed, and what it writes.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::{Parser, Screen};

pub struct Pty {
    pub child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    parser: Parser,
    // The terminal is there as long as somebody holds it.
    _master: Box<dyn MasterPty + Send>,
}

impl Pty {
    /// Starts a program at a terminal with these columns and rows, in this folder.
    pub fn start((cols, rows): (u16, u16), program: &str, options: &[&str], folder: &Path) -> Pty {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(options);
        command.cwd(folder);
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", folder.join("home"));
        for set in ["COLUMNS", "LINES", "NO_COLOR", "RUST_LOG"] {
            command.env_remove(set);
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut screen = pair.master.try_clone_reader().expect("the terminal can be read");
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes)
                && sender.send(bytes[..count].to_vec()).is_ok()
            {}
        });
        let keyboard = pair.master.take_writer().expect("the terminal can be written");
        Pty { child, keyboard, output, parser: Parser::new(rows, cols, 0), _master: pair.master }
    }

    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).expect("it reads");
    }

    pub fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Waits until the program has written something, but not longer than this.
    pub fn hears(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let bytes = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.parser.process(&bytes);
        Ok(())
    }

    /// Waits for its end, and gives its exit code; none if it has not ended in time.
    pub fn ends(&mut self, deadline: Instant) -> Option<u32> {
        // The terminal closes with its last program.
        while self.hears(deadline).is_ok() {}
        let in_time = Instant::now() < deadline;
        in_time.then(|| self.child.wait().expect("its parent may wait").exit_code())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
