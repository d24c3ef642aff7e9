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

/// The windows: of a desk, and of half a one.
const WIDE: (u32, u32) = (1280, 2400);
const NARROW: (u32, u32) = (600, 2400);

/// Put at the end of a page, it reads values by keyboard and writes what it found and measured into the page.
const PROBE: &str = "<script>
const said = {};
const text = (node) => { const range = document.createRange(); range.selectNodeContents(node); return range.getBoundingClientRect(); };
said.overflow = document.documentElement.scrollWidth - innerWidth;
said.labels = [...document.querySelectorAll('.marks span')].filter((label) => label.offsetWidth).map(text)
  .map(({left, right, top, bottom}) => [left, right, top, bottom]);
said.smallest = Math.min(...[...document.querySelectorAll('.y, .xs span, .moment')].map((label) => parseFloat(getComputedStyle(label).fontSize)));
said.outside = [...document.querySelectorAll('.y, .xs span, .tile strong')].map(text)
  .filter(({left, right}) => left < 0 || right > innerWidth).length;
said.readings = [...document.querySelectorAll('[data-readable]')].map((figure) => {
  const reading = figure.querySelector('.reading');
  const press = (key) => { figure.dispatchEvent(new KeyboardEvent('keydown', {key})); return reading.textContent; };
  return [reading.textContent, press('Home'), press('ArrowRight'), press('End'), press('Escape')];
});
const pre = document.createElement('pre');
pre.id = 'probe';
pre.textContent = JSON.stringify(said);
document.body.append(pre);
</script></body></html>";

/// How far apart the values of a color may lie that count as the same: edges are smoothed.
const TOLERANCE: u8 = 6;

/// Red, green, blue.
type Color = [u8; 3];

/// A browser that shows a page, in a folder that holds all it writes.
struct Browser<'a> {
    name: &'static str,
    folder: &'a Path,
    page: PathBuf,
    text: String,
}

/// What a browser drew.
struct Picture {
    size: (u32, u32),
    pixels: Vec<Color>,
}

#[test]
fn a_browser_shows_the_verdict_the_tiles_the_outage_and_the_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    load(folder.path());
    let Some(browser) = browser(folder.path(), "r.html") else { return };
    let shown = browser.text();
    for part in [
        "<title>Load on a Raft cluster</title>",
        "PASS safety",
        "PASS linearizable",
        "<span>throughput</span>",
        "<span>p99 latency</span>",
        "<span>longest outage</span>",
        " --memory --clients 8 --duration 4s",
        "--at 1s 'crash leader' --at 3s 'restart all'",
        "class=\"outage-band\"",
        "class=\"fault-band\"",
        ">longest outage ",
        ">crash leader</span>",
        ">restart all</span>",
        " leads term ",
        "fault active",
        "Latency of answers, per 100 ms (log scale)",
        "What each client saw",
        ">client 8</span>",
        "What each node was",
        "Latency by percentile",
        "Messages between nodes",
        "candidate in term ",
        "<th>machine</th>",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    for (dark, size) in [(false, WIDE), (true, WIDE), (false, NARROW), (true, NARROW)] {
        let picture = browser.picture(size, dark);
        assert_eq!(picture.size, size, "dark: {dark}");
        // Per thousand: the page is mostly paper, and a fault is active for half of the run.
        for (name, least, most) in [
            ("paper", 400, 990),
            ("card", 10, 300),
            ("fault", 20, 400),
            ("outage", 2, 200),
            ("answered", 2, 200),
            ("ink", 1, 200),
        ] {
            let share = picture.count(browser.color(name, dark)) * 1000 / picture.pixels.len();
            let place = format!("(dark: {dark}, {size:?})");
            assert!((least..=most).contains(&share), "{share} of 1000 pixels are {name} {place}");
        }
        for name in ["s0", "s1", "s2", "s3", "leader", "leads", "alarm"] {
            let pixels = picture.count(browser.color(name, dark));
            assert!(pixels >= 20, "{pixels} pixels have the color {name} (dark: {dark}, {size:?})");
        }
    }
}

#[test]
fn a_page_fits_its_window_and_reads_values_by_keyboard() {
    let folder = tempfile::tempdir().expect("a folder");
    script(folder.path());
    let Some(browser) = browser(folder.path(), "s.html") else { return };
    let shown = browser.text();
    for part in [
        "<title>A run of a Raft cluster</title>",
        "PASS safety",
        ">c1</span>",
        "c1 put x=1",
        "&gt; crash leader",
        "class=\"cross\"",
        ">destination down</span>",
        "leads term ",
        "commit ",
        " heartbeat commit=",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    for size in [WIDE, NARROW] {
        let said = browser.probe(size);
        let number = |name: &str| said[name].as_f64().expect(name);
        assert!(number("overflow") <= 0.0, "the page is wider than its window {size:?}: {said}");
        assert!(number("outside") < 1.0, "something is cut off {size:?}: {said}");
        assert!(number("smallest") >= 11.0, "labels are readable {size:?}: {said}");
        let labels: Vec<[f64; 4]> = serde_json::from_value(said["labels"].clone()).expect("rectangles");
        for (nth, [left, right, top, bottom]) in labels.iter().enumerate() {
            let over = |[other_left, other_right, other_top, other_bottom]: &&[f64; 4]| {
                left < other_right && other_left < right && top < other_bottom && other_top < bottom
            };
            assert_eq!(labels[nth + 1..].iter().find(over), None, "label {nth} {size:?}: {said}");
        }
        let readings: Vec<[String; 5]> = serde_json::from_value(said["readings"].clone()).expect("texts");
        let [hint, first, second, last, over] = readings.last().expect("the messages can be read");
        assert!(first.contains(" -> ") && second.contains(" -> ") && last != hint && last != first, "{said}");
        assert!(hint == over && hint.contains("arrow keys") && first != second, "{said}");
    }
}

/// Whether this is a browser that runs.
fn answers(name: &str) -> bool {
    let version = Command::new(name).arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

/// The first browser that runs, for this page; none, which is said, where there is none.
fn browser<'a>(folder: &'a Path, page: &str) -> Option<Browser<'a>> {
    let page = folder.join(page);
    let text = fs::read_to_string(&page).expect("the page is there");
    let found = BROWSERS.into_iter().find(|name| answers(name));
    if found.is_none() {
        // Past the test's own capture, so that a person reads it.
        let said =
            format!("the page of a report was NOT looked at: none of {} is here\n", BROWSERS.join(", "));
        io::stderr().write_all(said.as_bytes()).expect("standard error can be written");
    }
    Some(Browser { name: found?, folder, page, text })
}

/// A short load in which the leader crashes and comes back; its report is `r.html`.
fn load(folder: &Path) {
    let options = "--memory --clients 8 --duration 4s";
    let faults = ["--at", "1s", "crash leader", "--at", "3s", "restart all"];
    let mut client_load = Command::new(env!("CARGO_BIN_EXE_client_load"));
    client_load.current_dir(folder).args(options.split(' ')).args(faults).args([
        "--messages",
        "--report",
        "r.html",
    ]);
    assert_cmd::Command::from_std(client_load).timeout(PATIENCE).assert().code(0);
}

/// A script in virtual time in which the leader crashes; its report is `s.html`.
fn script(folder: &Path) {
    let lines = "wait leader\nput x 1\ncrash leader\nwait leader\nput x 2\nrestart all\nwait converged\n\
                 partition n1 / n2 n3 for 300ms\nsleep 400ms\nread x\ncheck\n";
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_simulate"));
    simulate.current_dir(folder).args(["3", "--script", "-", "--seed", "7", "--report", "s.html"]);
    assert_cmd::Command::from_std(simulate).write_stdin(lines).timeout(PATIENCE).assert().code(0);
}

impl Browser<'_> {
    /// The page as the browser understood it.
    fn text(&self) -> String {
        self.dump(&self.page, WIDE)
    }

    /// What the probe found in a window of this size.
    fn probe(&self, size: (u32, u32)) -> serde_json::Value {
        let page = self.folder.join("probed.html");
        let text = self.text.strip_suffix("</body></html>\n").expect("the end of a page");
        fs::write(&page, format!("{text}{PROBE}")).expect("the folder can be written");
        let shown = self.dump(&page, size);
        let said = shown.split("<pre id=\"probe\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let said =
            said.expect("the probe ran").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
        serde_json::from_str(&said).expect("it writes JSON")
    }

    /// A color of the page's style: by day it is named first, then by night.
    fn color(&self, name: &str, dark: bool) -> Color {
        let key = format!("--{name}: #");
        let found =
            self.text.split(&key).nth(1 + usize::from(dark)).expect("the style names its colors twice");
        let digits = u32::from_str_radix(&found[..6], 16).expect("six digits");
        let [_, red, green, blue] = digits.to_be_bytes();
        [red, green, blue]
    }

    fn dump(&self, page: &Path, (width, height): (u32, u32)) -> String {
        let output = self.open(page, &["--dump-dom", &format!("--window-size={width},{height}")]);
        String::from_utf8(output.stdout).expect("a page is UTF-8")
    }

    fn picture(&self, (width, height): (u32, u32), dark: bool) -> Picture {
        let path = self.folder.join("r.png");
        let (file, window) =
            (format!("--screenshot={}", path.display()), format!("--window-size={width},{height}"));
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        let options = ["--hide-scrollbars", "--force-device-scale-factor=1", &scheme, &window, &file];
        self.open(&self.page, &options);
        let picture = Picture::read(&path);
        fs::remove_file(path).expect("it was written");
        picture
    }

    /// Opens the page without a window, a network or anything of an earlier run.
    fn open(&self, page: &Path, options: &[&str]) -> Output {
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
            .arg(format!("file://{}", page.display()));
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
