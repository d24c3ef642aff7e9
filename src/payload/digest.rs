//! A hash of what a value holds: the same of the value and of its JSON text, so that neither has to be made of the other.
//!
//! The checks compare the entries of all nodes by it. Nodes of one process share a command's value, and its text is never
//! made if no disk asks for it; another process has the text alone.
//!
//! Both are read as the same sequence of parts: brackets, texts, numbers, and places for what is true, false or empty. The hash
//! stands in the records of processes: where it changes, their [version](crate::check::records::VERSION) has to.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::ser::{self, Serialize, Serializer};

// Tags that keep the kinds of parts apart.
const LIST: u64 = 0x8d58_ac26_afe1_2e47;
const OBJECT: u64 = 0x2d35_8dcc_aa6c_78a5;
const CLOSE: u64 = 0xd07d_bc7a_5b3c_9e11;
const NULL: u64 = 0x1ff5_c292_3a78_8d2c;
const TRUE: u64 = 0x4be9_8134_a597_6fd3;
const FALSE: u64 = 0x3bbf_2a98_b9e3_51a7;
const NUMBER: u64 = 0x6c9c_93b5_0f15_7b45;
const POSITIVE: u64 = 0x9e6c_63d0_676a_9a99;
const NEGATIVE: u64 = 0xe703_7ed1_a0b4_28db;
const TEXT: u64 = 0xa076_1d64_78bd_642f;

/// The structures that `serde_json` writes as the text that they hold.
const TEXTS_OF_JSON: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// A hash that is made when it is first asked for. Threads that ask at once make the same one.
#[derive(Debug, Default)]
pub(super) struct Digest(AtomicU64);

impl Digest {
    pub fn get_or(&self, make: impl FnOnce() -> u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let hash = make();
                self.0.store(hash, Ordering::Relaxed);
                hash
            }
            known => known,
        }
    }
}

/// The hash of a value that JSON can hold.
pub(super) fn of_value<T: Serialize>(value: &T) -> u64 {
    let mut hash = Hash(0);
    // What JSON cannot hold is turned down where it enters, and is compared with nothing.
    let _ = value.serialize(Walk { hash: &mut hash, brackets: 0, is_json: false });
    hash.0
}

/// The hash of the value that this text was made of.
pub(super) fn of_text(text: &str) -> u64 {
    let mut hash = Hash(0);
    hash.json(text);
    hash.0
}

struct Hash(u64);

impl Hash {
    fn mix(&mut self, part: u64) {
        self.mix_both(part, 0);
    }

    /// Both halves of a long product, as in wyhash: what differs in some bits of parts in a row does not cancel out.
    fn mix_both(&mut self, one: u64, other: u64) {
        let product = u128::from(self.0 ^ one) * u128::from(other ^ 0xf135_7aea_2e62_a9c5);
        let bytes = product.to_le_bytes();
        let halves = bytes.as_chunks::<8>().0;
        self.0 = halves.iter().fold(0, |hash, half| hash ^ u64::from_le_bytes(*half));
    }

    fn text(&mut self, text: &str) {
        let (blocks, rest) = text.as_bytes().as_chunks::<16>();
        for block in blocks {
            let (one, other) = ends(block);
            self.mix_both(one, other);
        }
        let (one, other) = ends(rest);
        self.mix_both(one ^ TEXT ^ text.len() as u64, other);
    }

    fn positive(&mut self, number: u64) {
        self.mix(POSITIVE.wrapping_add(number));
    }

    fn signed(&mut self, number: i64) {
        match u64::try_from(number) {
            Ok(number) => self.positive(number),
            Err(_) => self.mix(NEGATIVE.wrapping_add(number.unsigned_abs())),
        }
    }

    /// The parts of a JSON text; of any other text, some parts.
    fn json(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let begin = at;
            at += 1;
            match byte {
                b'"' => {
                    at += length_of_text(&bytes[at..]);
                    self.quoted(&text[begin..at]);
                }
                b'{' => self.mix(OBJECT),
                b'[' => self.mix(LIST),
                b'}' | b']' => self.mix(CLOSE),
                b'-' | b'0'..=b'9' => {
                    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                    at += bytes[at..].iter().take_while(is_part).count();
                    self.number(&text[begin..at]);
                }
                b'a'..=b'z' => {
                    at += bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
                    self.mix(match byte {
                        b't' => TRUE,
                        b'f' => FALSE,
                        _ => NULL,
                    });
                }
                _ => {}
            }
        }
    }

    /// A text in its quotation marks.
    fn quoted(&mut self, quoted: &str) {
        let inner = quoted.strip_prefix('"').unwrap_or(quoted);
        let inner = inner.strip_suffix('"').unwrap_or(inner);
        if inner.contains('\\')
            && let Ok(text) = serde_json::from_str::<String>(quoted)
        {
            return self.text(&text);
        }
        self.text(inner);
    }

    fn number(&mut self, digits: &str) {
        match (digits.parse(), digits.parse()) {
            (Ok(number), _) => self.positive(number),
            (_, Ok(number)) => self.signed(number),
            _ => {
                self.mix(NUMBER);
                self.text(digits);
            }
        }
    }
}

/// The first and the last bytes of at most sixteen, so that each byte is in one of them or in both.
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
    } else {
        (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0)
    }
}

/// Bytes up to the quotation mark that ends a text, and with it.
fn length_of_text(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            // What follows stands for something else, and is a character of ASCII in JSON.
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii) => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Walks a value. It is its own kind of list, map and structure, since all that they do is to hand on what they hold.
struct Walk<'a> {
    hash: &'a mut Hash,
    /// Brackets to close behind it.
    brackets: u8,
    /// What it holds is a JSON text that stands for itself.
    is_json: bool,
}

impl<'a> Walk<'a> {
    fn hold<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(Walk { hash: self.hash, brackets: 0, is_json: self.is_json })
    }

    fn open(self, bracket: u64) -> Walk<'a> {
        self.hash.mix(bracket);
        Walk { brackets: self.brackets + 1, ..self }
    }

    /// The object around a variant, with its name.
    fn open_variant(self, variant: &str) -> Walk<'a> {
        let inside = self.open(OBJECT);
        inside.hash.text(variant);
        inside
    }

    fn close(self) {
        (0..self.brackets).for_each(|_| self.hash.mix(CLOSE));
    }
}

/// Methods that are one part.
macro_rules! parts {
    ($($method:ident($($name:ident: $argument:ty),*): |$hash:ident| $part:expr;)*) => {
        $(fn $method(self, $($name: $argument),*) -> Result<(), fmt::Error> {
            let $hash = self.hash;
            $part;
            Ok(())
        })*
    };
}

/// Methods that begin what holds other values, with their bracket.
macro_rules! holders {
    ($($method:ident($($argument:ty),*): $bracket:expr;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Walk<'a>, fmt::Error> {
            Ok(self.open($bracket))
        })*
    };
}

impl<'a> Serializer for Walk<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Walk<'a>;
    type SerializeTuple = Walk<'a>;
    type SerializeTupleStruct = Walk<'a>;
    type SerializeTupleVariant = Walk<'a>;
    type SerializeMap = Walk<'a>;
    type SerializeStruct = Walk<'a>;
    type SerializeStructVariant = Walk<'a>;

    parts! {
        serialize_bool(value: bool): |hash| hash.mix(if value { TRUE } else { FALSE });
        serialize_i8(number: i8): |hash| hash.signed(number.into());
        serialize_i16(number: i16): |hash| hash.signed(number.into());
        serialize_i32(number: i32): |hash| hash.signed(number.into());
        serialize_i64(number: i64): |hash| hash.signed(number);
        serialize_u8(number: u8): |hash| hash.positive(number.into());
        serialize_u16(number: u16): |hash| hash.positive(number.into());
        serialize_u32(number: u32): |hash| hash.positive(number.into());
        serialize_u64(number: u64): |hash| hash.positive(number);
        serialize_f32(number: f32): |hash| hash.json(&serde_json::to_string(&number).unwrap_or_default());
        serialize_f64(number: f64): |hash| hash.json(&serde_json::to_string(&number).unwrap_or_default());
        serialize_i128(number: i128): |hash| hash.number(&number.to_string());
        serialize_u128(number: u128): |hash| hash.number(&number.to_string());
        serialize_char(character: char): |hash| hash.text(character.encode_utf8(&mut [0; 4]));
        serialize_none(): |hash| hash.mix(NULL);
        serialize_unit(): |hash| hash.mix(NULL);
        serialize_unit_struct(_name: &'static str): |hash| hash.mix(NULL);
        serialize_unit_variant(_name: &'static str, _at: u32, variant: &'static str): |hash| hash.text(variant);
    }

    holders! {
        serialize_seq(Option<usize>): LIST;
        serialize_tuple(usize): LIST;
        serialize_tuple_struct(&'static str, usize): LIST;
        serialize_map(Option<usize>): OBJECT;
    }

    fn serialize_str(self, text: &str) -> Result<(), fmt::Error> {
        if self.is_json {
            self.hash.json(text);
        } else {
            self.hash.text(text);
        }
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), fmt::Error> {
        bytes.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
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
        variant: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        let mut inside = self.open_variant(variant);
        inside.hold(value)?;
        inside.close();
        Ok(())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Walk<'a>, fmt::Error> {
        let is_json = TEXTS_OF_JSON.contains(&name);
        Ok(if is_json { Walk { is_json, ..self } } else { self.open(OBJECT) })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Walk<'a>, fmt::Error> {
        Ok(self.open_variant(variant).open(LIST))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Walk<'a>, fmt::Error> {
        Ok(self.open_variant(variant).open(OBJECT))
    }
}

/// What holds values, with the names that JSON writes before them.
macro_rules! held {
    ($($holder:ident: $method:ident($($name:ident)?);)*) => {
        $(impl ser::$holder for Walk<'_> {
            type Ok = ();
            type Error = fmt::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), fmt::Error> {
                $(if !self.is_json {
                    self.hash.text($name);
                })?
                self.hold(value)
            }

            fn end(self) -> Result<(), fmt::Error> {
                self.close();
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
    SerializeStruct: serialize_field(name);
    SerializeStructVariant: serialize_field(name);
}

impl ser::SerializeMap for Walk<'_> {
    type Ok = ();
    type Error = fmt::Error;

    /// An object's names are texts, and what else JSON writes as one: the encoder itself knows how.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), fmt::Error> {
        let mut encoder = serde_json::Serializer::new(Vec::new());
        let mut object = encoder.serialize_map(Some(1)).map_err(ser::Error::custom)?;
        object.serialize_key(key).map_err(ser::Error::custom)?;
        let written = encoder.into_inner();
        let quoted = std::str::from_utf8(&written).map_err(ser::Error::custom)?;
        self.hash.quoted(quoted.strip_prefix('{').unwrap_or(quoted));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        self.hold(value)
    }

    fn end(self) -> Result<(), fmt::Error> {
        self.close();
        Ok(())
    }
}
