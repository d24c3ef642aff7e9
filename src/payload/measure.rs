//! How much a value weighs, roughly, without writing its text.
//!
//! Queues are bounded in bytes. What only the processes of one machine's memory see is never encoded, so its text
//! cannot be measured; this walks the value as an encoder would and adds up what it meets. It allocates nothing, and a
//! command of the key-value store takes it a few nanoseconds.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// What a number, a truth or an empty place counts.
const SMALL: usize = 8;

/// About the bytes that this value takes in memory: its strings and bytes, and a little for each number.
pub(super) fn measure<T: Serialize>(value: &T) -> usize {
    let mut bytes = 0;
    // A value that cannot be encoded says so when it is: here it counts as far as it could be read.
    let _ = value.serialize(Measure(&mut bytes));
    bytes
}

/// Adds up. It is its own kind of list, map and structure, since all that they do is to hand on what they hold.
struct Measure<'a>(&'a mut usize);

impl<'a> Measure<'a> {
    fn add(self, bytes: usize) -> Measure<'a> {
        *self.0 = self.0.saturating_add(bytes);
        self
    }

    fn hold<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(Measure(self.0))
    }
}

impl fmt::Write for Measure<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        Measure(self.0).add(part.len());
        Ok(())
    }
}

/// Methods that count a number, whatever it is.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {
        $(fn $method(self, _: $number) -> Result<(), fmt::Error> {
            self.serialize_unit()
        })*
    };
}

impl<'a> Serializer for Measure<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Measure<'a>;
    type SerializeTuple = Measure<'a>;
    type SerializeTupleStruct = Measure<'a>;
    type SerializeTupleVariant = Measure<'a>;
    type SerializeMap = Measure<'a>;
    type SerializeStruct = Measure<'a>;
    type SerializeStructVariant = Measure<'a>;

    numbers!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char);

    fn serialize_str(self, text: &str) -> Result<(), fmt::Error> {
        self.add(text.len() + SMALL);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), fmt::Error> {
        self.add(bytes.len() + SMALL);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, shown: &T) -> Result<(), fmt::Error> {
        fmt::Write::write_fmt(&mut self.add(SMALL), format_args!("{shown}"))
    }

    fn serialize_none(self) -> Result<(), fmt::Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), fmt::Error> {
        self.add(SMALL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), fmt::Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), fmt::Error> {
        self.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        value.serialize(self.add(SMALL))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_tuple(self, _: usize) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Measure<'a>, fmt::Error> {
        Ok(self.add(SMALL))
    }
}

/// What holds a list of values: each is counted in its turn.
macro_rules! lists {
    ($($list:ident: $method:ident),*) => {
        $(impl ser::$list for Measure<'_> {
            type Ok = ();
            type Error = fmt::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
                self.hold(value)
            }

            fn end(self) -> Result<(), fmt::Error> {
                Ok(())
            }
        })*
    };
}

lists!(SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

/// What holds values under names, which stand in the program and take no memory.
macro_rules! structures {
    ($($structure:ident),*) => {
        $(impl ser::$structure for Measure<'_> {
            type Ok = ();
            type Error = fmt::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), fmt::Error> {
                self.hold(value)
            }

            fn end(self) -> Result<(), fmt::Error> {
                Ok(())
            }
        })*
    };
}

structures!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Measure<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), fmt::Error> {
        self.hold(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        self.hold(value)
    }

    fn end(self) -> Result<(), fmt::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(String),
        Tuple(u8, Option<String>),
        Struct { key: String, list: Vec<u64> },
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
            let weight = measure(&shape);
            assert!((held..=held + 40).contains(&weight), "{weight} is about {held}");
        }
        let map: BTreeMap<String, &[u8]> = BTreeMap::from([(long, [0; 10].as_slice())]);
        assert_eq!(measure(&map), SMALL + 1_000 + SMALL + SMALL + 10 * SMALL);
    }

    #[test]
    fn what_is_shown_as_text_is_counted_without_making_it() {
        let address = std::net::Ipv4Addr::LOCALHOST;
        assert!((9..=9 + SMALL).contains(&measure(&address)));
        assert_eq!(measure(&format_args!("{}-{}", 10, "abc")), SMALL + 6);
    }
}
