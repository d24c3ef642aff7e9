//! The page of a report as a reader meets it: a browser opens it from the disk, and what has to be seen is in the picture.
//!
//! Needs Chromium or Chrome; where there is none, it says so and passes. No network is needed.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Browsers by name; the first that answers is used.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// How long a browser, or the run, may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The window: wide, and as narrow as a browser without a window system has it.
const WIDE: (u32, u32) = (1000, 1700);
const NARROW: (u32, u32) = (500, 1700);

/// How far apart the values of a color may lie that count as the same: edges are smoothed.
const TOLERANCE: u8 = 6;

/// Red, green, blue.
type Color = [u8; 3];

/// A browser that shows a page, in a folder that holds all it writes.
struct Browser<'a> {
    name: &'static str,
    folder: &'a Path,
    page: PathBuf,
}

/// What a browser drew.
struct Picture {
    size: (u32, u32),
    pixels: Vec<Color>,
}

#[test]
fn a_browser_shows_the_verdict_the_plots_and_the_faults() {
    let Some(name) = BROWSERS.into_iter().find(|name| answers(name)) else {
        // Past the test's own capture, so that a person reads it.
        let said =
            format!("the page of a report was NOT looked at: none of {} is here\n", BROWSERS.join(", "));
        io::stderr().write_all(said.as_bytes()).expect("standard error can be written");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("r.html");
    run(folder.path());
    let browser = Browser { name, folder: folder.path(), page };

    let shown = browser.text();
    for part in [
        "<title>Load on a Raft cluster</title>",
        "PASS safety",
        "PASS linearizable",
        "cargo run --release --bin client_load -- --memory --clients 8 --duration 4s",
        "--at 1s 'crash leader' --at 3s 'restart all'",
        "class=\"band\"",
        ">crash leader</text>",
        ">restart all</text>",
        "leads term ",
        "a fault lasts",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }

    let style = fs::read_to_string(&browser.page).expect("the page is there");
    for (dark, size) in [(false, WIDE), (true, WIDE), (false, NARROW)] {
        let picture = browser.picture(size, dark);
        assert_eq!(picture.size, size, "dark: {dark}");
        let color = |name: &str| named_color(&style, name, dark);
        let (paper, band) = (color("paper"), mixed(color("paper"), color("band"), 45));
        // Per thousand: the page is mostly paper, and a fault lasts for half of the run.
        for (what, color, least, most) in [
            ("paper", paper, 500, 990),
            ("the band of a fault", band, 20, 500),
            ("ink", color("ink"), 1, 200),
        ] {
            let share = picture.count(color) * 1000 / picture.pixels.len();
            assert!(
                (least..=most).contains(&share),
                "{share} of 1000 pixels are {what} (dark: {dark}, {size:?})"
            );
        }
        for name in ["c0", "c1", "c2", "c3", "mark"] {
            let pixels = picture.count(color(name));
            assert!(pixels >= 20, "{pixels} pixels have the color {name} (dark: {dark}, {size:?})");
        }
    }
}

/// Whether this is a browser that runs.
fn answers(name: &str) -> bool {
    let version = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

/// A short run in which the leader crashes and comes back; its report is `r.html`.
fn run(folder: &Path) {
    let load = "--memory --clients 8 --duration 4s";
    let faults = ["--at", "1s", "crash leader", "--at", "3s", "restart all"];
    let mut client_load = Command::new(env!("CARGO_BIN_EXE_client_load"));
    client_load.current_dir(folder).args(load.split(' ')).args(faults).args(["--report", "r.html"]);
    assert_cmd::Command::from_std(client_load).timeout(PATIENCE).assert().code(0);
}

impl Browser<'_> {
    /// The page as the browser understood it.
    fn text(&self) -> String {
        let output = self.open(&["--dump-dom"]);
        String::from_utf8(output.stdout).expect("a page is UTF-8")
    }

    fn picture(&self, (width, height): (u32, u32), dark: bool) -> Picture {
        let path = self.folder.join("r.png");
        let (file, window) =
            (format!("--screenshot={}", path.display()), format!("--window-size={width},{height}"));
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        self.open(&["--hide-scrollbars", "--force-device-scale-factor=1", &scheme, &window, &file]);
        let picture = Picture::read(&path);
        fs::remove_file(path).expect("it was written");
        picture
    }

    /// Opens the page without a window, a network or anything of an earlier run.
    fn open(&self, options: &[&str]) -> Output {
        let profile = tempfile::tempdir_in(self.folder).expect("a folder");
        let mut command = Command::new(self.name);
        command
            .current_dir(self.folder)
            .env("HOME", profile.path())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(options)
            .arg(format!("file://{}", self.page.display()));
        assert_cmd::Command::from_std(command).timeout(PATIENCE).assert().code(0).get_output().clone()
    }
}

impl Picture {
    fn read(path: &Path) -> Picture {
        let file = File::open(path).expect("the browser has written a picture");
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info().expect("it is a picture");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let frame = reader.next_frame(&mut bytes).expect("it is whole");
        assert_eq!(frame.bit_depth, png::BitDepth::Eight);
        let channels = frame.color_type.samples();
        assert!(channels >= 3, "it has colors");
        let pixels = bytes[..frame.buffer_size()].chunks(channels);
        let pixels = pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Picture { size: (frame.width, frame.height), pixels }
    }

    /// How many pixels have this color.
    fn count(&self, color: Color) -> usize {
        let alike =
            |pixel: &&Color| pixel.iter().zip(color).all(|(one, other)| one.abs_diff(other) <= TOLERANCE);
        self.pixels.iter().filter(alike).count()
    }
}

/// A color of the page's style: by day it is named first, then by night.
fn named_color(style: &str, name: &str, dark: bool) -> Color {
    let key = format!("--{name}: #");
    let found = style.split(&key).nth(1 + usize::from(dark)).expect("the style names its colors twice");
    let digits = u32::from_str_radix(&found[..6], 16).expect("six digits");
    let [_, red, green, blue] = digits.to_be_bytes();
    [red, green, blue]
}

/// So much of a color, in percent, over another.
fn mixed(below: Color, above: Color, percent: u16) -> Color {
    let mix = |below: u8, above: u8| (u16::from(below) * (100 - percent) + u16::from(above) * percent) / 100;
    [0, 1, 2].map(|at| u8::try_from(mix(below[at], above[at])).expect("between two bytes"))
}
