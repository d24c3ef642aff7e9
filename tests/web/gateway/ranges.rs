//! Ranges that are too long for one answer.

use super::{Line, Served, with_key};

/// The values of this many keys do not fit into one answer.
const KEYS: usize = 40;

/// `k00` and so on, in base64: three letters are four of base64's.
fn key(number: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("k{number:02}");
    let bits = text.bytes().fold(0_usize, |bits, byte| bits << 8 | usize::from(byte));
    [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63])).into_iter().collect()
}

#[track_caller]
fn range(line: &mut Line, rest: &str) -> (u16, serde_json::Value) {
    // To the end.
    let answer = line.post("/v3/kv/range", &with_key(&key(0), &format!(",\"range_end\":\"AA==\"{rest}")));
    (answer.status, answer.body)
}

#[test]
fn a_range_that_is_too_long_is_refused_and_read_page_by_page() {
    let served = Served::threads();
    let mut line = served.line();
    // 1 MiB less a little, of which three bytes are four in base64.
    let value = "YWFh".repeat((1 << 20) / 3);
    for number in 0..KEYS {
        let answer = line.post("/v3/kv/put", &with_key(&key(number), &format!(",\"value\":\"{value}\"")));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let (status, refused) = range(&mut line, "");
    assert_eq!((status, &refused["code"]), (400, &11.into()), "{refused}");
    assert!(
        refused["error"].as_str().is_some_and(|text| text.contains("more than 32 MiB: set a limit")),
        "{refused}"
    );
    let (status, page) = range(&mut line, ",\"limit\":10");
    assert_eq!((status, &page["more"], &page["count"]), (200, &true.into(), &KEYS.to_string().into()));
    assert_eq!(page["kvs"].as_array().map(Vec::len), Some(10));
    assert_eq!(page["kvs"][9]["value"].as_str().map(str::len), Some(value.len()));
    let (status, keys) = range(&mut line, ",\"keys_only\":true");
    assert_eq!((status, keys["kvs"].as_array().map(Vec::len)), (200, Some(KEYS)));
    assert!(keys["kvs"][0].get("value").is_none() && keys.get("more").is_none());
    let (status, count) = range(&mut line, ",\"count_only\":true");
    assert_eq!((status, &count["count"], count.get("kvs")), (200, &KEYS.to_string().into(), None));
}
