//! Reads a command from its JSON in one pass.
//!
//! What serde derives for an enum whose name stands among its fields first reads the whole object into a tree, because
//! the name may come last. A million of them, as a restart reads, take twice as long so.

use std::borrow::Cow;

use serde::Deserialize;

use super::txn::{Compare, Txn, TxnRequest};
use super::{Command, Text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadCommand<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    key: Option<Text>,
    value: Option<Text>,
    expected: Option<Text>,
    compare: Option<Vec<Compare>>,
    success: Option<Vec<TxnRequest>>,
    failure: Option<Vec<TxnRequest>>,
}

impl TryFrom<ReadCommand<'_>> for Command {
    type Error = String;

    fn try_from(read: ReadCommand<'_>) -> Result<Command, String> {
        let ReadCommand { op, key, value, expected, compare, success, failure } = read;
        if op == "txn" {
            if key.is_some() || value.is_some() || expected.is_some() {
                return Err("txn takes compare, success and failure".to_string());
            }
            let (compare, success) = (compare.unwrap_or_default(), success.unwrap_or_default());
            return Ok(Command::Txn(Box::new(Txn {
                compare,
                success,
                failure: failure.unwrap_or_default(),
            })));
        }
        if compare.is_some() || success.is_some() || failure.is_some() {
            return Err(format!("{op} takes neither compare nor success nor failure"));
        }
        let key = key.ok_or_else(|| format!("{op} needs a key"))?;
        match (&*op, value, expected) {
            ("create", Some(value), None) => Ok(Command::Create { key, value }),
            ("update", Some(value), None) => Ok(Command::Update { key, value }),
            ("put", Some(value), None) => Ok(Command::Put { key, value }),
            ("delete", None, None) => Ok(Command::Delete { key }),
            ("cas", Some(value), Some(expected)) => Ok(Command::Cas { key, expected, value }),
            ("create" | "update" | "put", None, None) => Err(format!("{op} needs a value")),
            ("cas", _, _) => Err("cas needs an expected value and a new one".to_string()),
            ("create" | "update" | "put", _, Some(_)) => Err(format!("{op} expects no value")),
            ("delete", _, _) => Err("delete takes a key alone".to_string()),
            _ => {
                Err(format!("there is no command {op:?}: there are create, update, put, delete, cas and txn"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_command_reads_back_as_it_was_written(batch in super::super::any_batch()) {
            let text = serde_json::to_string(&batch).expect("it serializes");
            prop_assert_eq!(serde_json::from_str::<Vec<Command>>(&text).expect("it reads back"), batch);
        }
    }

    #[test]
    fn what_is_no_command_says_why() {
        let refused = |text: &str| serde_json::from_str::<Command>(text).expect_err("no command").to_string();
        for (text, why) in [
            (r#"{"op":"put","key":"x"}"#, "put needs a value"),
            (r#"{"op":"put","key":"x","value":"1","expected":"2"}"#, "put expects no value"),
            (r#"{"op":"cas","key":"x","value":"1"}"#, "cas needs an expected value and a new one"),
            (r#"{"op":"delete","key":"x","value":"1"}"#, "delete takes a key alone"),
            (r#"{"op":"add","key":"x"}"#, r#"there is no command "add""#),
            (r#"{"op":"delete"}"#, "delete needs a key"),
            (r#"{"op":"txn","key":"x"}"#, "txn takes compare, success and failure"),
            (r#"{"op":"delete","key":"x","success":[]}"#, "delete takes neither compare"),
            (r#"{"key":"x","value":"1"}"#, "missing field `op`"),
            (r#"{"op":"delete","key":"x","more":1}"#, "unknown field `more`"),
        ] {
            assert!(refused(text).contains(why), "{text}: {}", refused(text));
        }
        assert_eq!(
            serde_json::from_str::<Command>(r#"{"value":"1","key":"x","op":"put"}"#).expect("in any order"),
            Command::put("x", "1")
        );
    }
}
