//! The window as a person meets it: a browser opens it, plays it, seeks in it, and is used by keyboard alone.
//!
//! Needs `chromedriver` and Chromium; where they are missing it says so and passes, unless `RAFTLAB_BROWSER=required`.

mod controls;
mod driver;
mod live;
mod pace;
#[path = "../web/process.rs"]
mod process;
mod requests;
mod runs;
mod sample;

use driver::{Browser, DESK, Look, key};
use raftlab::window::page_of_trace;
use serde_json::{Value, json};

/// The windows that a page must fit: a phone, half a desk, a desk, a projector.
const WIDTHS: [u32; 4] = [320, 600, 1280, 1920];

/// The picture as text: what each node is, and where each message is. The order in which these were drawn does not count.
const PICTURE: &str = "[byId('standing').textContent, byId('log-table').textContent, \
    ...[...document.querySelectorAll('.node')].map((one) => one.outerHTML), \
    ...[...document.querySelectorAll('.flight')].map((one) => one.outerHTML).sort()].join('\\n')";

fn opened(trace: &str) -> Option<Browser> {
    let browser = Browser::start()?;
    browser.open_page(&page_of_trace(trace));
    Some(browser)
}

fn at(browser: &Browser, t: u64) {
    browser.run("seek(arguments[0])", &[json!(t)]);
    browser.drawn();
}

#[test]
fn the_first_picture_shows_the_run_asks_for_nothing_and_complains_of_nothing() {
    let Some(browser) = opened(&sample::trace()) else { return };
    assert_eq!(browser.text("byId('standing').textContent"), "no leader \u{b7} 3 of 3 up \u{b7} quorum 2");
    assert_eq!(browser.value("document.querySelectorAll('.node').length"), 3);
    at(&browser, 310_000);
    assert_eq!(
        browser.text("byId('standing').textContent"),
        "n1 leads term 1 \u{b7} 3 of 3 up \u{b7} quorum 2"
    );
    let label = browser.text("document.querySelector('[data-node=n1]').getAttribute('aria-label')");
    assert_eq!(label, "n1: leader, term 1, commit 3, last entry 3");
    let row = "[...document.querySelector('#log-table tbody tr').querySelectorAll('td')].map((cell) => cell.className).join('|')";
    assert_eq!(browser.text(row), "t1 committed|t1 committed|t1 committed edge");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // The browser has pages of its own, which it asks for in its own way.
    let foreign: Vec<String> = browser.requests().into_iter().filter(|url| url.starts_with("http")).collect();
    assert_eq!(foreign, Vec::<String>::new());
}

#[test]
fn the_picture_after_a_seek_is_the_picture_when_played() {
    let Some(browser) = opened(&sample::trace()) else { return };
    for t in [201_000, 252_500, 455_000, 500_000] {
        at(&browser, 0);
        let play = "const until = arguments[0]; clock.speed = 0.1; clock.playing = true; \
            while (clock.t < until) { clock.t = Math.min(until, clock.t + 700); draw(performance.now(), true); } \
            clock.playing = false; draw(performance.now(), false);";
        browser.run(play, &[json!(t)]);
        let played = browser.text(PICTURE);
        at(&browser, 500_000);
        at(&browser, t);
        assert_eq!(browser.text(PICTURE), played, "at {t}");
    }
    assert!(browser.text(PICTURE).contains("n1: down"), "the end is a crash");
}

#[test]
fn play_reaches_the_end_and_stops_there() {
    let Some(browser) = opened(&sample::trace()) else { return };
    browser.run(
        "byId('speed').value = '10'; byId('speed').dispatchEvent(new Event('change')); byId('play').click()",
        &[],
    );
    browser.wait("clock.t === trace.end && !clock.playing");
    browser.wait("byId('play').getAttribute('aria-label') === 'Play'");
    assert_eq!(browser.text("byId('clock').textContent"), "0.500 s");
}

#[test]
fn the_clock_follows_real_time_as_closely_with_few_pictures_as_with_many() {
    let Some(browser) = opened(&sample::trace()) else { return };
    // Runs that last 30 s, drawn this often, and how far behind the picture is at the end.
    let behind = "const [isVirtual, elapsed] = arguments; const run = {begin: 0, end: 0, isVirtual}; const own = new Clock(); \
        own.speed = 1; own.follows = true; \
        for (let passed = 0; passed < 30; passed += elapsed) { run.end += elapsed * 1e6; own.advance(elapsed, run); } \
        return (run.end - own.t) / 1e6;";
    let behind = |is_virtual: bool, elapsed: f64| {
        browser.run(behind, &[json!(is_virtual), json!(elapsed)]).as_f64().expect("seconds")
    };
    for elapsed in [1.0 / 64.0, 0.125, 0.25, 0.5, 1.0, 2.0] {
        let real = behind(false, elapsed);
        assert!(real < 0.2, "{real} s behind with a picture every {elapsed} s");
    }
    assert!(behind(true, 0.5) > 1.0, "in virtual time nothing is skipped because a picture comes late");
}

#[test]
fn a_lost_message_leaves_a_cross_and_a_rule_is_seen_on_its_link() {
    let Some(browser) = opened(&sample::trace()) else { return };
    at(&browser, 460_000);
    assert_eq!(browser.value("document.querySelectorAll('.flight.lost .cross').length"), 1);
    assert_eq!(browser.value("document.querySelectorAll('.link.cut').length"), 2);
    assert_eq!(browser.text("document.querySelector('text.rule').textContent"), "delay 20ms");
    browser.run(
        "document.querySelector('.flight.lost').dispatchEvent(new MouseEvent('click', {bubbles: true}))",
        &[],
    );
    assert!(browser.text("byId('ring-note').textContent").contains("link cut"));
}

#[test]
fn a_value_with_markup_stays_text() {
    let Some(browser) = opened(&sample::trace()) else { return };
    at(&browser, 400_000);
    let said = browser.text("byId('feed-list').textContent");
    assert!(said.contains(&format!("> put x {}", sample::MARKUP)), "{said}");
    assert_eq!(browser.value("document.querySelectorAll('main img, main b, #lane-marks b').length"), 0);
    assert_eq!(browser.value("window.broken === undefined"), true);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_page_fits_its_window_at_any_width() {
    let Some(browser) = opened(&sample::trace()) else { return };
    for width in WIDTHS {
        browser.look(Look { width, ..DESK });
        at(&browser, 460_000);
        let wider = browser.value("document.documentElement.scrollWidth - innerWidth");
        assert!(wider.as_f64().is_some_and(|wider| wider <= 0.0), "{wider} wider than {width}");
        let outside = "[...document.querySelectorAll('.node .name, .node .progress, #standing, .transport button')]\
            .map((one) => one.getBoundingClientRect()).filter(({left, right}) => left < 0 || right > innerWidth).length";
        assert_eq!(browser.value(outside), 0, "something is cut off at {width}");
        let small = "[...document.querySelectorAll('button, select, summary')].map((one) => one.getBoundingClientRect())\
            .filter(({width, height}) => width && (height < 24 || width < 24)).length";
        assert_eq!(browser.value(small), 0, "a target is too small at {width}");
        let texts = "Math.min(...[...document.querySelectorAll('svg text, td, th, button, span, p')].filter((one) => one.textContent.trim())\
            .map((one) => parseFloat(getComputedStyle(one).fontSize)))";
        assert!(
            browser.value(texts).as_f64().is_some_and(|smallest| smallest >= 11.0),
            "letters are too small at {width}"
        );
    }
}

#[test]
fn colors_can_be_told_from_their_ground_by_day_and_by_night() {
    let Some(browser) = opened(&sample::trace()) else { return };
    for (dark, least) in [(false, 5.0), (true, 7.6)] {
        browser.look(Look { dark, ..DESK });
        let color = |name: &str| {
            let text = browser.text(&format!(
                "getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()"
            ));
            u32::from_str_radix(text.trim_start_matches('#'), 16)
                .unwrap_or_else(|_| panic!("--{name}: {text}"))
        };
        for term in 0..6 {
            let term = format!("t{term}");
            assert!(contrast(color(&term), color("paper")) >= least, "{term} on paper, dark: {dark}");
            assert!(contrast(color(&term), color("on")) >= 5.0, "a letter on {term}, dark: {dark}");
        }
        for (text, ground) in [
            ("ink", "paper"),
            ("soft", "paper"),
            ("soft", "card"),
            ("alarm", "paper"),
            ("good", "paper"),
            ("ink", "band"),
        ] {
            assert!(contrast(color(text), color(ground)) >= 4.5, "{text} on {ground}, dark: {dark}");
        }
        assert!(contrast(color("link"), color("paper")) >= 3.0, "links on paper, dark: {dark}");
    }
}

#[test]
fn time_is_moved_by_keyboard_alone() {
    let Some(browser) = opened(&sample::trace()) else { return };
    browser.run("byId('seek').focus()", &[]);
    browser.press(key::END);
    browser.wait("clock.t === trace.end");
    browser.press(key::HOME);
    browser.wait("clock.t === trace.begin");
    browser.press(key::RIGHT);
    assert_eq!(browser.value("clock.t"), 200_000, "the first event after the start");
    let heard = browser.text("byId('seek').getAttribute('aria-valuetext')");
    assert_eq!(heard, "0.200 s: n1 starts an election for term 1");
    browser.press(key::RIGHT);
    browser.press(key::LEFT);
    assert_eq!(browser.value("clock.t"), 200_000);
}

#[test]
fn each_thing_that_can_be_used_is_reached_with_tab() {
    let Some(browser) = opened(&sample::trace()) else { return };
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.press(key::TAB);
        if browser.value("document.activeElement === document.body") == true {
            break;
        }
        let name = browser.text("document.activeElement.id || document.activeElement.dataset.node || document.activeElement.textContent");
        let seen = browser.value(
            "getComputedStyle(document.activeElement).outlineStyle !== 'none' || \
            document.activeElement.matches('.node, #seek')",
        );
        assert_eq!(seen, true, "the focus is not seen on {name}");
        if reached.contains(&name) {
            break;
        }
        reached.push(name);
    }
    for wanted in [
        "n1",
        "heartbeats",
        "Legend",
        "step-back",
        "play",
        "step-on",
        "speed",
        "live",
        "zoom",
        "seek",
        "log-scroll",
        "election",
        "feed-list",
    ] {
        assert!(reached.iter().any(|name| name == wanted), "{wanted} is not among {reached:?}");
    }
    browser.run("document.querySelector('[data-node=n1]').focus()", &[]);
    browser.press(key::RIGHT);
    assert_eq!(browser.text("document.activeElement.getAttribute('aria-checked')"), "true");
    assert_eq!(browser.text("document.activeElement.dataset.node"), "n2");
}

#[test]
fn a_table_says_what_the_picture_shows() {
    let Some(browser) = opened(&sample::trace()) else { return };
    at(&browser, 310_000);
    browser.run("byId('twin').open = true", &[]);
    browser.drawn();
    browser.wait("byId('twin-table').querySelectorAll('tbody tr').length === 3");
    let row = browser.text("[...byId('twin-table').querySelectorAll('tbody tr:first-child > *')].map((cell) => cell.textContent).join(' ')");
    assert_eq!(row, "n1 leader 1 n1 n1 - 3@1 3 3 0 - -");
}

#[test]
fn more_messages_than_can_be_drawn_are_numbers_on_their_links() {
    let Some(browser) = opened(&sample::crowded(201)) else { return };
    at(&browser, 500_000);
    assert_eq!(browser.value("document.querySelectorAll('.flight').length"), 0);
    assert_eq!(browser.text("document.querySelector('.numbers').textContent"), "201");
    assert!(browser.text("byId('ring-note').textContent").starts_with("201 flights not shown"));
    browser.open_page(&page_of_trace(&sample::crowded(200)));
    at(&browser, 500_000);
    assert_eq!(browser.value("document.querySelectorAll('.flight').length"), 200);
}

#[test]
fn a_node_before_the_first_term_has_no_terms_color() {
    let Some(browser) = opened(&sample::trace()) else { return };
    let colored = "document.querySelectorAll('g.node.before-terms').length";
    at(&browser, 1_000);
    assert_eq!(browser.value(colored), 3);
    at(&browser, 300_000);
    assert_eq!(browser.value(colored), 0);
}

#[test]
fn messages_do_not_move_for_those_who_wish_no_motion() {
    let Some(browser) = opened(&sample::trace()) else { return };
    browser.look(Look { calm: true, ..DESK });
    let place = "document.querySelector('.flight').getAttribute('transform')";
    at(&browser, 250_100);
    let early = browser.text(place);
    at(&browser, 251_900);
    assert_eq!(browser.text(place), early);
}

#[test]
fn a_damaged_trace_is_shown_as_far_as_it_can_be_read_and_says_so() {
    let whole = sample::trace();
    let (kept, _) = whole.trim_end().rsplit_once('}').expect("it has objects");
    let damaged = kept.replacen("\"e\":\"became_leader\"", "e:became_leader", 1);
    let Some(browser) = opened(&damaged) else { return };
    let said = browser.text("byId('notice').textContent");
    assert_eq!(said, "1 damaged lines were left out; the last line is cut, and was left out");
    assert_eq!(browser.value("document.querySelectorAll('.node').length"), 3);

    browser.open_page(&page_of_trace(
        "{\"trace\":2,\"program\":\"raftlab 9.0\"}\n{\"t\":1,\"k\":1,\"at\":\"n1\",\"e\":\"started\"}\n",
    ));
    let said = browser.text("byId('notice').textContent");
    assert!(
        said.contains("version 1") && said.contains("version 2") && said.contains("raftlab 9.0"),
        "{said}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// How much brighter one color is than the other, as the accessibility guidelines count it: 1 to 21.
fn contrast(one: u32, other: u32) -> f64 {
    let bright = |color: u32| {
        let [_, red, green, blue] = color.to_be_bytes();
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue) + 0.05
    };
    let (one, other) = (bright(one), bright(other));
    one.max(other) / one.min(other)
}

#[test]
fn contrast_is_counted_as_in_the_guidelines() {
    assert!((contrast(0x00ff_ffff, 0) - 21.0).abs() < 1e-9);
    assert!((contrast(0x0076_7676, 0x00ff_ffff) - 4.54).abs() < 0.01);
}

/// What a script left behind, as a list.
fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
