//! The name of a command whose outcome is unknown.

use std::fmt;
use std::str::FromStr;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::{Epoch, LogIndex, Serial, SessionId};

/// Which commands of an entry are one call's, when calls that left together share an entry. Shown as `4-6`, or `4`:
/// counted from one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Part {
    /// How many commands come before them.
    pub before: u32,
    /// How many there are.
    pub count: u32,
}

/// Names a command whose outcome is unknown, so that a client can ask later what became of it. Shown as `2.5`: the
/// fifth command of the session that entry 2 opened; or as `2.5:4`, the fourth of those that share its entry. In the second
/// epoch `e2/2.5`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Display, Serialize, Deserialize)]
#[display("{session}.{serial}{}", part.map_or(String::new(), |part| format!(":{part}")))]
pub struct Token {
    pub session: SessionId,
    pub serial: Serial,
    /// Which part of what has this number, if it is not all of it.
    pub part: Option<Part>,
}

impl Part {
    /// These items of all.
    pub fn of<T>(self, all: &[T]) -> Option<&[T]> {
        let (before, count) = (usize::try_from(self.before).ok()?, usize::try_from(self.count).ok()?);
        all.get(before..before.checked_add(count)?)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = u64::from(self.before) + 1;
        match self.count {
            1 => write!(f, "{first}"),
            count => write!(f, "{first}-{}", u64::from(self.before) + u64::from(count)),
        }
    }
}

/// The session that has this name, if one can have it.
fn named(epoch: u64, index: u64) -> Option<SessionId> {
    let above = epoch.checked_sub(Epoch::FIRST.0)?;
    let fits =
        above <= SessionId(u64::MAX).epoch().0 - Epoch::FIRST.0 && index <= SessionId(u64::MAX).index().0;
    fits.then(|| SessionId::new(Epoch(epoch), LogIndex(index)))
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Token, String> {
        let number =
            |digits: &str| digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()));
        let part = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (u32::try_from(number(first)?).ok()?, u32::try_from(number(last)?).ok()?);
            let (before, more) = (first.checked_sub(1)?, last.checked_sub(first)?);
            Some(Part { before, count: more.checked_add(1)? })
        };
        let token = |text: &str| {
            let (name, part) = match text.split_once(':') {
                Some((name, shown)) => (name, Some(part(shown)?)),
                None => (text, None),
            };
            let (session, serial) = name.split_once('.')?;
            let (epoch, session) = match session.split_once('/') {
                Some((epoch, session)) => (number(epoch.strip_prefix('e')?)?, session),
                None => (Epoch::FIRST.0, session),
            };
            let session = named(epoch, number(session)?)?;
            Some(Token { session, serial: number(serial)?, part })
        };
        token(text).ok_or_else(|| format!("'{text}' is not a token: write it as it was shown, such as 2.5"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_shown() {
        let token = Token { session: SessionId(2), serial: 5, part: None };
        let part = |before, count| Token { part: Some(Part { before, count }), ..token };
        for (shown, token) in [("2.5", token), ("2.5:4", part(3, 1)), ("2.5:4-6", part(3, 3))] {
            assert_eq!(token.to_string(), shown);
            assert_eq!(shown.parse(), Ok(token));
        }
        let later = Token { session: SessionId::new(Epoch(2), LogIndex(2)), ..token };
        assert_eq!((later.to_string().as_str(), "e2/2.5".parse()), ("e2/2.5", Ok(later)));
        assert_ne!(later.session, token.session);
        for wrong in ["e0/2.5", "e/2.5", "2/2.5", "e70000/2.5", "999999999999999.5"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong:?} is no token");
        }
        for wrong in ["", "2", "2.", ".5", "2.5.1", "+2.5", "x.5", "2,5", "2.5:", "2.5:0", "2.5:4-3", "2:4"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong:?} is no token");
        }
    }
}
