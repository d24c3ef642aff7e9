//! How much a value weighs, roughly, and whether JSON can hold it, without writing its text.
//!
//! Queues are bounded in bytes. What only the processes of one machine's memory see is never encoded, so its text
//! cannot be measured; this walks the value as an encoder would and adds up what it meets. The same walk finds what an
//! encoder would refuse, and what it would write but no reader would give back. It allocates nothing, and a command of
//! the key-value store takes it a few nanoseconds.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, io};

use serde::ser::{self, Serialize, Serializer};

/// What a number, a truth or an empty place counts.
const SMALL: usize = 8;

/// How deep values may lie in one another: the reader of JSON goes no deeper.
const DEPTH_MAX: u8 = 127;

/// About the bytes that this value takes in memory: its strings and bytes, and a little for each number. An error says why
/// JSON cannot hold it.
pub(super) fn measure<T: Serialize + ?Sized>(value: &T) -> Result<usize, Box<str>> {
    let mut bytes = 0;
    let walked = value.serialize(Measure { bytes: &mut bytes, depth: 0 });
    walked.map(|()| bytes).map_err(|Unwritable(reason)| reason)
}

/// A weight that is measured when it is first asked for, or why there is none. Of threads that measure at once the first one
/// decides.
#[derive(Debug)]
pub(super) struct Measured {
    /// [`UNKNOWN`] until it is.
    weight: AtomicUsize,
    unwritable: OnceLock<Box<str>>,
}

const UNKNOWN: usize = usize::MAX;

impl Default for Measured {
    fn default() -> Measured {
        Measured::from(UNKNOWN)
    }
}

impl From<usize> for Measured {
    fn from(weight: usize) -> Measured {
        Measured { weight: AtomicUsize::new(weight), unwritable: OnceLock::new() }
    }
}

impl Measured {
    pub fn get_or(&self, measure: impl FnOnce() -> Result<usize, Box<str>>) -> Result<usize, &str> {
        let known = self.weight.load(Ordering::Relaxed);
        if known != UNKNOWN {
            return Ok(known);
        }
        if let Some(reason) = self.unwritable.get() {
            return Err(reason);
        }
        match measure() {
            Ok(weight) => {
                // It is a number and orders nothing.
                let kept =
                    self.weight.compare_exchange(UNKNOWN, weight, Ordering::Relaxed, Ordering::Relaxed);
                Ok(kept.err().unwrap_or(weight))
            }
            Err(reason) => Err(self.unwritable.get_or_init(|| reason)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unwritable(Box<str>);

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(reason: T) -> Unwritable {
        Unwritable(reason.to_string().replace(char::is_control, " ").into())
    }
}

/// Adds up. It is its own kind of list, map and structure, since all that they do is to hand on what they hold.
struct Measure<'a> {
    bytes: &'a mut usize,
    /// How many lists, maps and structures are open around it.
    depth: u8,
}

impl<'a> Measure<'a> {
    fn add(self, bytes: usize) -> Measure<'a> {
        *self.bytes = self.bytes.saturating_add(bytes);
        self
    }

    fn hold<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(Measure { bytes: self.bytes, depth: self.depth })
    }

    /// The measure inside this many more brackets.
    fn inside(self, brackets: u8) -> Result<Measure<'a>, Unwritable> {
        let depth = self.depth + brackets;
        if depth > DEPTH_MAX {
            return Err(ser::Error::custom(format_args!("it is nested deeper than {DEPTH_MAX}")));
        }
        Ok(Measure { depth, ..self.add(SMALL) })
    }

    fn float(self, number: f64) -> Result<(), Unwritable> {
        if number.is_finite() {
            return self.serialize_unit();
        }
        Err(ser::Error::custom(format_args!("it holds the number {number}, which would become null")))
    }
}

impl fmt::Write for Measure<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        *self.bytes = self.bytes.saturating_add(part.len());
        Ok(())
    }
}

impl io::Write for Measure<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        *self.bytes = self.bytes.saturating_add(part.len());
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Methods that count a little for anything that they are given.
macro_rules! small {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<(), Unwritable> {
            self.add(SMALL);
            Ok(())
        })*
    };
}

/// Methods that begin what holds other values, with how many brackets its text has.
macro_rules! holders {
    ($($method:ident($($argument:ty),*): $brackets:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Measure<'a>, Unwritable> {
            self.inside($brackets)
        })*
    };
}

impl<'a> Serializer for Measure<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Measure<'a>;
    type SerializeTuple = Measure<'a>;
    type SerializeTupleStruct = Measure<'a>;
    type SerializeTupleVariant = Measure<'a>;
    type SerializeMap = Measure<'a>;
    type SerializeStruct = Measure<'a>;
    type SerializeStructVariant = Measure<'a>;

    small! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    holders! {
        serialize_seq(Option<usize>): 1;
        serialize_tuple(usize): 1;
        serialize_tuple_struct(&'static str, usize): 1;
        serialize_tuple_variant(&'static str, u32, &'static str, usize): 2;
        serialize_map(Option<usize>): 1;
        serialize_struct(&'static str, usize): 1;
        serialize_struct_variant(&'static str, u32, &'static str, usize): 2;
    }

    fn serialize_f32(self, number: f32) -> Result<(), Unwritable> {
        self.float(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Unwritable> {
        self.float(number)
    }

    fn serialize_str(self, text: &str) -> Result<(), Unwritable> {
        self.add(text.len() + SMALL);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Unwritable> {
        self.add(bytes.len() + SMALL);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, shown: &T) -> Result<(), Unwritable> {
        fmt::Write::write_fmt(&mut self.add(SMALL), format_args!("{shown}"))
            .map_err(|_| ser::Error::custom("it cannot be shown as text"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self.inside(1)?)
    }
}

/// What holds values, under names of the program or not: each is counted in its turn, and such a name takes no memory.
macro_rules! held {
    ($($holder:ident: $method:ident($($name:ty)?);)*) => {
        $(impl ser::$holder for Measure<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Unwritable> {
                self.hold(value)
            }

            fn end(self) -> Result<(), Unwritable> {
                Ok(())
            }
        })*
    };
}

held! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}

impl ser::SerializeMap for Measure<'_> {
    type Ok = ();
    type Error = Unwritable;

    /// An object's names are texts, so not every value can be one: the encoder itself knows which.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        let mut encoder = serde_json::Serializer::new(Measure { bytes: self.bytes, depth: self.depth });
        let mut object = encoder.serialize_map(Some(1)).map_err(ser::Error::custom)?;
        object.serialize_key(key).map_err(ser::Error::custom)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.hold(value)
    }

    fn end(self) -> Result<(), Unwritable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(String),
        Tuple(u8, Option<String>),
        Struct { key: String, list: Vec<u64> },
    }

    fn weight<T: Serialize>(value: &T) -> usize {
        measure(value).expect("JSON can hold it")
    }

    #[test]
    fn each_kind_of_value_weighs_what_it_holds() {
        let long = "x".repeat(1_000);
        for (shape, held) in [
            (Shape::Unit, 0),
            (Shape::Newtype(long.clone()), 1_000),
            (Shape::Tuple(1, Some(long.clone())), 1_000),
            (Shape::Struct { key: long.clone(), list: vec![1; 100] }, 1_800),
        ] {
            let weight = weight(&shape);
            assert!((held..=held + 40).contains(&weight), "{weight} is about {held}");
        }
        let map: BTreeMap<String, &[u8]> = BTreeMap::from([(long, [0; 10].as_slice())]);
        assert!((1_090..1_130).contains(&weight(&map)), "{}", weight(&map));
    }

    #[test]
    fn what_is_shown_as_text_is_counted_without_making_it() {
        let address = std::net::Ipv4Addr::LOCALHOST;
        assert!((9..=9 + SMALL).contains(&weight(&address)));
        assert_eq!(weight(&format_args!("{}-{}", 10, "abc")), SMALL + 6);
    }

    /// Why the encoder or the reader of JSON refuses the value; none if it comes back.
    fn refused<T: Serialize + DeserializeOwned>(value: &T) -> Option<String> {
        let text = serde_json::to_string(value).map_err(|error| error.to_string());
        text.and_then(|text| serde_json::from_str::<T>(&text).map_err(|error| error.to_string())).err()
    }

    #[track_caller]
    fn both_refuse<T: Serialize + DeserializeOwned>(value: &T, said: &str) {
        let reason = measure(value).expect_err("JSON cannot hold it");
        assert!(reason.contains(said), "{reason}");
        assert!(refused(value).is_some(), "it is refused in vain: {reason}");
    }

    #[track_caller]
    fn both_take<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
        assert_eq!(measure(value).err(), None, "{value:?}");
        let text = serde_json::to_string(value).expect("it is written");
        assert_eq!(serde_json::from_str::<T>(&text).ok().as_ref(), Some(value), "{text}");
    }

    #[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
    enum Name {
        Unit,
        Newtype(u8),
        Tuple(u8, u8),
        Struct { number: u8 },
    }

    fn keyed<K: Ord>(key: K) -> BTreeMap<K, u8> {
        BTreeMap::from([(key, 1)])
    }

    #[test]
    fn an_objects_names_are_what_can_be_a_text() {
        const SAID: &str = "key must be a string";
        both_refuse(&keyed((1, 2)), SAID);
        both_refuse(&keyed(vec![1]), SAID);
        both_refuse(&keyed(()), SAID);
        both_refuse(&keyed(None::<u8>), SAID);
        both_refuse(&keyed(keyed(1)), SAID);
        both_refuse(&keyed(Name::Newtype(1)), SAID);
        both_refuse(&keyed(Name::Tuple(1, 2)), SAID);
        both_refuse(&keyed(Name::Struct { number: 1 }), SAID);
        both_take(&keyed("a".to_string()));
        both_take(&keyed('a'));
        both_take(&keyed(true));
        both_take(&keyed(i8::MIN));
        both_take(&keyed(u128::MAX));
        both_take(&keyed(Name::Unit));
        assert!(weight(&keyed("x".repeat(500))) > 500, "a name weighs, too");
    }

    #[test]
    fn numbers_that_are_none_become_null_which_does_not_come_back() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            both_refuse(&number, "which would become null");
            both_refuse(&vec![(1, number)], "which would become null");
        }
        both_refuse(&f32::NAN, "the number NaN");
        both_refuse(&f32::INFINITY, "the number inf");
    }

    #[test]
    fn other_numbers_come_back_as_they_were() {
        both_take(&[u128::MAX, 0, 1 << 64]);
        both_take(&[i128::MIN, -1]);
        both_take(&[0.1_f32, f32::MAX, f32::MIN_POSITIVE, 1e-45, 16_777_217.0, -0.0]);
        both_take(&[f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 1e23, 9_007_199_254_740_993.0]);
        // Such as a reader in a hurry gets wrong in the last digit.
        let mut number = 0.001_f64;
        for _ in 0..20_000 {
            number = number * 1.000_7 + 1e-9;
            both_take(&number);
        }
        assert!((-0.0_f64).to_bits() == serde_json::from_str::<f64>("-0.0").expect("a number").to_bits());
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Nest {
        Leaf,
        List(Vec<Nest>),
        Tuple(u8, Box<Nest>),
        Struct { inner: Box<Nest> },
        Some(Option<Box<Nest>>),
    }

    #[test]
    fn what_lies_deeper_than_a_reader_goes_is_refused() {
        let wraps: [fn(Nest) -> Nest; 4] = [
            |inner| Nest::List(vec![inner]),
            |inner| Nest::Tuple(1, Box::new(inner)),
            |inner| Nest::Struct { inner: Box::new(inner) },
            |inner| Nest::Some(Some(Box::new(inner))),
        ];
        for wrap in wraps {
            let (mut taken, mut refused_some) = (0, false);
            let mut value = Nest::Leaf;
            for _ in 0..140 {
                value = wrap(value);
                let (ours, its) = (measure(&value).err(), refused(&value));
                assert_eq!(ours.is_some(), its.is_some(), "{ours:?}, {its:?}");
                taken += usize::from(ours.is_none());
                refused_some |= ours.is_some_and(|reason| reason.contains("nested deeper than 127"));
            }
            assert!(taken > 60 && refused_some, "{taken}");
        }
    }

    #[test]
    fn what_a_type_itself_refuses_to_write_is_told_in_its_words() {
        let held = RefCell::new(1);
        let _held = held.borrow_mut();
        both_refuse(&held, "already mutably borrowed");
        both_refuse(&(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "must be later than");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            both_refuse(&PathBuf::from(std::ffi::OsString::from_vec(vec![0xff])), "UTF-8");
        }
    }
}
