//! A value and its text have one hash, of any type; others have another.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;

use super::*;

#[track_caller]
fn assert_same<T: Serialize>(value: &T) {
    let text = serde_json::to_string(value).expect("JSON can hold it");
    assert_eq!(of_value(value), of_text(&text), "{text}");
    let spaced = serde_json::to_string_pretty(value).expect("JSON can hold it");
    assert_eq!(of_value(value), of_text(&spaced), "{spaced}");
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Pair(u8, String);

#[derive(Serialize, Clone, Debug)]
enum Shape {
    Unit,
    Newtype(String),
    Tuple(i64, Option<String>),
    Struct { key: String, list: Vec<u64> },
    Map(BTreeMap<String, Shape>),
    Many(Vec<Shape>),
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Tagged {
    Put {
        key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<u64>,
        #[serde(flatten)]
        more: BTreeMap<String, i8>,
    },
}

#[test]
fn a_value_of_any_type_and_its_text_are_the_same() {
    assert_same(&(Unit, (), None::<u8>, Some(3), true, false, 'x', '"', 'é'));
    assert_same(&(u64::MAX, i64::MIN, i64::MAX, 0_i8, -1_i16, 7_i32, 1_u16, 1_u32));
    assert_same(&(u128::MAX, i128::MIN, i128::MAX, -1_i128, 1_u128, u128::from(u64::MAX)));
    assert_same(&(0.1_f32, 1.0_f64, -0.0_f64, 1e300_f64, 1e16_f64, f64::MIN_POSITIVE, f32::MAX));
    assert_same(&Pair(1, "\u{8}\n\\\"/\u{1f600} \u{7f}".to_string()));
    assert_same(&("127.0.0.1", format_args!("{}-{}", 1, "x")));
    assert_same(&BTreeMap::from([(1, 'a'), (2, 'b')]));
    assert_same(&BTreeMap::from([(true, 1), (false, 0)]));
    assert_same(&BTreeMap::from([('"', 1)]));
    let more = BTreeMap::from([("z".to_string(), -1)]);
    assert_same(&Tagged::Put { key: "k".to_string(), value: None, more: more.clone() });
    assert_same(&Tagged::Put { key: "k".to_string(), value: Some(1), more });
    let raw = |text: &str| RawValue::from_string(text.to_string()).expect("it is JSON");
    assert_same(&(raw(r#"{ "a" : [1, -2, 3.5, "\n", null, true] }"#), raw("-0"), raw("1E5")));
    assert_same(&serde_json::json!({"a": [1, -1, 1.5, "x", null, {"b": {}}], "": [[]]}));
}

#[test]
fn what_differs_has_another_hash() {
    let texts = [
        "1",
        "-1",
        "10",
        "\"1\"",
        "[1]",
        "[[1]]",
        "[]",
        "[[]]",
        "{}",
        "[1,2]",
        "[2,1]",
        "[[1],2]",
        "[[1,2]]",
        "null",
        "true",
        "false",
        "1.5",
        "2.5",
        "1e300",
        "340282366920938463463374607431768211455",
        "\"\"",
        "[\"ab\",\"c\"]",
        "[\"a\",\"bc\"]",
        "\"a\\u0000\"",
        "\"a\"",
        "\"12345678\"",
        "\"123456789\"",
        "[\"12345678\",\"\"]",
        "[\"a\",1]",
        "{\"a\":1}",
    ];
    let distinct: BTreeSet<u64> = texts.iter().map(|text| of_text(text)).collect();
    assert_eq!(distinct.len(), texts.len());
}

/// Differences in parts that follow one another must not cancel out.
#[test]
fn keys_that_differ_in_a_few_characters_have_other_hashes() {
    let letters = || b'0'..=b'z';
    let pairs = letters().flat_map(|one| letters().map(move |two| (char::from(one), char::from(two))));
    let keys = pairs.map(|(one, two)| format!("account{one}{two}xyz"));
    let keys: BTreeSet<String> = keys.chain((0..100_000).map(|number| format!("key-{number:08}"))).collect();
    let hashes: BTreeSet<u64> = keys.iter().map(of_value).collect();
    assert_eq!(hashes.len(), keys.len());
}

/// Where these change, the version of records has to.
#[test]
fn the_hash_stays_as_it_is() {
    let texts = ["null", "-1", "1.5", r#"[{"op":"put","key":"x"}]"#, r#""a longer text than a part""#];
    let hashes = [
        0x3dbc_59b9_cab7_3543,
        0x4491_82c9_52f9_f605,
        0xdaca_580f_70c3_3688,
        0x7669_6063_9a58_69ef,
        0xe649_6147_4003_fed6,
    ];
    assert_eq!(texts.map(of_text), hashes);
}

fn shape() -> impl Strategy<Value = Shape> {
    let text = || prop::string::string_regex("[\\x00-\\x7fäß\u{1f600}]{0,20}").expect("an expression");
    let leaf = prop_oneof![
        Just(Shape::Unit),
        text().prop_map(Shape::Newtype),
        (any::<i64>(), prop::option::of(text())).prop_map(|(number, text)| Shape::Tuple(number, text)),
        (text(), prop::collection::vec(any::<u64>(), 0..4))
            .prop_map(|(key, list)| Shape::Struct { key, list }),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Shape::Many),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(Shape::Map),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_and_its_text_are_the_same(value in shape()) {
        assert_same(&value);
    }

    /// A file or a stranger may hold anything.
    #[test]
    fn any_text_has_a_hash(text in "[\"\\\\{}\\[\\]a-z0-9é.:, -]{0,40}") {
        of_text(&text);
    }
}
