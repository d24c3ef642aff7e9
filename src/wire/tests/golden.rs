//! The bytes of each kind of frame. Where they change, processes of the versions before are not understood any more, and
//! [`VERSIONS`](crate::wire::VERSIONS) has to.

use std::fmt::Write;

use super::{encoded, read, specimens};

const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn the_bytes_of_each_kind_stay_as_they_are() {
    let mut shown = String::new();
    for (name, frame) in specimens::all() {
        write!(shown, "{name}: ").expect("memory takes it");
        for byte in encoded(&frame) {
            write!(shown, "{byte:02x}").expect("memory takes it");
        }
        shown.push('\n');
    }
    assert_eq!(shown, GOLDEN, "src/wire/tests/golden.txt has what is sent");
}

/// On a thread with as little stack as that of a connection.
#[test]
fn each_kind_arrives_as_it_was_sent() {
    let arrive = || {
        for (name, frame) in specimens::all() {
            let bytes = encoded(&frame);
            for piece in [1, bytes.len()] {
                assert_eq!(read(&bytes, piece), (vec![frame.clone()], None), "{name}");
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(arrive).expect("a thread");
    thread.join().expect("all arrive");
}
