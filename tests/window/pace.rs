//! What the page takes for a picture and for a jump in time: its scripts with the layout, as the page's clock tells, without what
//! the browser takes to paint. What is bounded is the median of many. On two processors a picture took 1 ms and a jump 6 ms; with
//! two busy programs beside, at most 4 and 10. The bounds are those that a person sees.

use raftlab::window::page_of_trace;
use serde_json::json;

use crate::opened;
use crate::sample;

/// Of a picture, at 30 pictures a second, in milliseconds.
const FRAME_MAX: f64 = 1_000.0 / 30.0;

/// Of a jump in time, in milliseconds.
const SEEK_MAX: f64 = 1_000.0;

/// Makes pictures and returns the median of what each took with its layout.
const FRAMES: &str = "const took = []; const all = document.querySelector('#ring svg'); clock.playing = true; \
    for (let nth = 0; nth < 61; nth += 1) { clock.t = 400000 + nth * 1000; const began = performance.now(); \
        draw(nth * 16, true); all.getBoundingClientRect(); took.push(performance.now() - began); } \
    clock.playing = false; took.sort((one, other) => one - other); return took[30];";

/// Jumps to and fro through a trace and returns the median.
const SEEKS: &str = "const took = []; \
    for (let nth = 0; nth < 21; nth += 1) { const began = performance.now(); clock.seek(trace.end * ((nth * 8) % 21) / 21, trace); \
        draw(performance.now(), false); took.push(performance.now() - began); } \
    took.sort((one, other) => one - other); return took[10];";

#[test]
fn a_picture_of_two_hundred_messages_is_drawn_thirty_times_a_second() {
    let Some(browser) = opened(&sample::crowded(200)) else { return };
    let took = browser.run(FRAMES, &[]).as_f64().expect("milliseconds");
    assert_eq!(browser.value("document.querySelectorAll('.flight').length"), 200);
    assert!(took <= FRAME_MAX, "{took} ms a picture");
}

#[test]
fn a_jump_within_a_long_run_takes_less_than_a_second() {
    let Some(browser) = opened(&sample::trace()) else { return };
    browser.open_page(&page_of_trace(&sample::long(100_000)));
    assert_eq!(browser.value("trace.events.length > 100000"), json!(true));
    let took = browser.run(SEEKS, &[]).as_f64().expect("milliseconds");
    assert!(took <= SEEK_MAX, "{took} ms a jump");
}
