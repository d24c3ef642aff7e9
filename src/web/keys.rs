//! Who may use the window: a token stands in an address that was printed, and is exchanged once for a key.
//!
//! An address may end up in a history or in a message to others; its token is used up by then. The key stays in the tab
//! that got it.

use std::collections::VecDeque;
use std::fmt::Write;

use parking_lot::Mutex;

/// Tokens that may wait to be used, and keys that hold: with more of them, the oldest are worth nothing any more.
const TOKENS_MAX: usize = 16;
const KEYS_MAX: usize = 256;

/// The tokens and keys of one run.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// It is never used up.
    lasting: Option<String>,
    secrets: Mutex<Secrets>,
}

#[derive(Debug, Default)]
struct Secrets {
    tokens: VecDeque<String>,
    keys: VecDeque<String>,
}

impl Keys {
    pub(super) fn new(lasting: Option<String>) -> Keys {
        Keys { lasting, secrets: Mutex::default() }
    }

    /// A token that no browser has used.
    pub(super) fn new_token(&self) -> String {
        let token = secret();
        push_bounded(&mut self.secrets.lock().tokens, &token, TOKENS_MAX);
        token
    }

    /// The key for this token, which is used up by that, or for the lasting one; none for a wrong one.
    pub(super) fn exchange(&self, token: &str) -> Option<String> {
        let mut secrets = self.secrets.lock();
        if !self.lasting.as_ref().is_some_and(|lasting| is_same(lasting, token)) {
            let at = secrets.tokens.iter().position(|known| is_same(known, token))?;
            secrets.tokens.remove(at);
        }
        let key = secret();
        push_bounded(&mut secrets.keys, &key, KEYS_MAX);
        Some(key)
    }

    pub(super) fn holds(&self, key: &str) -> bool {
        self.secrets.lock().keys.iter().any(|known| is_same(known, key))
    }
}

/// 128 bits that no one can guess, as 32 digits.
pub(super) fn secret() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers: the seed of the run was one");
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text can be written");
        text
    })
}

fn push_bounded(secrets: &mut VecDeque<String>, secret: &str, max: usize) {
    if secrets.len() == max {
        secrets.pop_front();
    }
    secrets.push_back(secret.to_string());
}

/// Takes as long for a text that begins right as for any other of its length.
fn is_same(known: &str, given: &str) -> bool {
    let differences = known.bytes().zip(given.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    known.len() == given.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_exchanged_once() {
        let keys = Keys::default();
        let (first, second) = (keys.new_token(), keys.new_token());
        assert_ne!(first, second);
        let key = keys.exchange(&first).expect("it is new");
        assert!(keys.holds(&key));
        assert_eq!(keys.exchange(&first), None, "it is used up");
        assert_eq!(keys.exchange(&key), None, "a key is no token");
        assert!(!keys.holds(&second) && !keys.holds("") && !keys.holds(&key[1..]));
        assert!(keys.exchange(&second).is_some_and(|other| other != key));
    }

    #[test]
    fn only_the_newest_tokens_wait() {
        let keys = Keys::default();
        let oldest = keys.new_token();
        let newer: Vec<String> = (0..TOKENS_MAX).map(|_| keys.new_token()).collect();
        assert_eq!(keys.exchange(&oldest), None);
        assert!(newer.iter().all(|token| keys.exchange(token).is_some()));
    }
}
