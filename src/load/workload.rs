//! The calls of clients: seeded, so that the same plan makes the same calls each time. When they leave, others decide.

use std::str::FromStr;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::format_smolstr;

use super::keys::Keys;
use crate::client::What;
use crate::payload::Payload;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{Command, Query, Text};
use crate::types::Random;

/// Keys, values, and the shares of reads and commands.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkloadSettings {
    pub keys: u64,
    pub prefix: String,
    /// The exponent of Zipf's law; none means that each key comes as often.
    pub zipf: Option<f64>,
    pub value_bytes: usize,
    /// How many of a million operations are reads.
    pub reads_per_million: u32,
    pub read_mode: ReadMode,
    /// Judges stale reads as if they had promised to be linearizable; otherwise they are not recorded.
    pub judges_stale: bool,
    pub mix: Mix,
}

/// How often each kind of command is asked, relative to the others. As text: `put=8,create=1,delete=1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mix([u32; 5]);

/// The kinds, in the order of a [`Mix`].
const KINDS: [&str; 5] = ["put", "create", "update", "delete", "cas"];

const WEIGHT_MAX: u32 = 1_000_000;

impl Default for WorkloadSettings {
    fn default() -> WorkloadSettings {
        WorkloadSettings {
            keys: 10_000,
            prefix: "k".to_string(),
            zipf: None,
            value_bytes: 16,
            reads_per_million: 0,
            read_mode: ReadMode::Linearizable,
            judges_stale: false,
            mix: Mix::default(),
        }
    }
}

impl Default for Mix {
    fn default() -> Mix {
        Mix([1, 0, 0, 0, 0])
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let mut weights = [0; 5];
        for part in text.split(',') {
            let (kind, weight) = part.split_once('=').unwrap_or((part, "1"));
            let Some(place) = KINDS.iter().position(|known| *known == kind) else {
                return Err(format!(
                    "'{kind}' is no command: write {}, as in put=8,create=2",
                    KINDS.join(", ")
                ));
            };
            match weight.parse() {
                Ok(weight) if weight <= WEIGHT_MAX => weights[place] = weight,
                _ => return Err(format!("'{weight}' is no weight: write 0 to {WEIGHT_MAX}")),
            }
        }
        if weights.iter().all(|weight| *weight == 0) {
            return Err("some command needs a weight above zero".to_string());
        }
        Ok(Mix(weights))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Workload {
    settings: Arc<WorkloadSettings>,
    keys: Arc<Keys>,
    names: Arc<Vec<Text>>,
    random: Random,
    client: u64,
    /// Commands made so far: no two values of a run are the same, if they are long enough to say so.
    made: u64,
    /// How likely a call is a read, so that the share of operations comes out however large batches are.
    read_calls_per_million: u32,
}

pub(super) struct Question {
    pub what: What,
    pub size: u64,
}

impl Workload {
    /// For each of these clients its own. They share the keys.
    pub(super) fn of_clients(
        settings: &WorkloadSettings,
        clients: usize,
        batch: u64,
        seed: u64,
    ) -> Vec<Workload> {
        let names = (0..settings.keys).map(|number| format_smolstr!("{}{number}", settings.prefix)).collect();
        let (settings, names) = (Arc::new(settings.clone()), Arc::new(names));
        let keys = Arc::new(Keys::new(settings.keys, settings.zipf));
        let reads = u64::from(settings.reads_per_million);
        let (read_calls, write_calls) = (reads * batch, 1_000_000 - reads);
        let likely = read_calls * 1_000_000 / (read_calls + write_calls).max(1);
        let read_calls_per_million = u32::try_from(likely).expect("a share of a million");
        let mut random = Random::new(seed ^ 0x6c6f_6164);
        let of_client = |client| Workload {
            settings: Arc::clone(&settings),
            keys: Arc::clone(&keys),
            names: Arc::clone(&names),
            random: random.fork(),
            client,
            made: 0,
            read_calls_per_million,
        };
        (0..clients as u64).map(of_client).collect()
    }

    /// The next call: a read, or a batch of this many commands.
    pub(super) fn next(&mut self, batch: u64) -> Question {
        if self.random.chance(self.read_calls_per_million) {
            let query = Payload::new(Query::Read { key: self.key() });
            return Question { what: What::Read { query, mode: self.settings.read_mode }, size: 1 };
        }
        let commands = (0..batch).map(|_| self.command());
        Question { what: What::commands(commands), size: batch }
    }

    fn key(&mut self) -> Text {
        let number = self.keys.draw(&mut self.random);
        self.names[usize::try_from(number).expect("a number of a key")].clone()
    }

    fn command(&mut self) -> Command {
        let (key, value) = (self.key(), self.value());
        match self.kind() {
            0 => Command::Put { key, value },
            1 => Command::Create { key, value },
            2 => Command::Update { key, value },
            3 => Command::Delete { key },
            _ => {
                // A guess at what another client wrote of late: most of these find another value.
                let expected =
                    value_text(self.client, self.made.saturating_sub(2), self.settings.value_bytes);
                Command::Cas { key, expected, value }
            }
        }
    }

    fn kind(&mut self) -> usize {
        let Mix(weights) = self.settings.mix;
        let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        if all == u64::from(weights[0]) {
            return 0;
        }
        let mut drawn = self.random.below(all);
        for (kind, weight) in weights.iter().enumerate() {
            match drawn.checked_sub(u64::from(*weight)) {
                Some(left) => drawn = left,
                None => return kind,
            }
        }
        unreachable!("the weights add up")
    }

    fn value(&mut self) -> Text {
        self.made += 1;
        value_text(self.client, self.made, self.settings.value_bytes)
    }
}

/// `v..v3.5f` of exactly this many bytes: the number of the client, and of its command. A shorter one keeps the end.
fn value_text(client: u64, made: u64, bytes: usize) -> Text {
    let mut text: SmallVec<[u8; 64]> = SmallVec::with_capacity(bytes);
    for mut number in [made, client] {
        while text.len() < bytes {
            let digit = u8::try_from(number % 16).expect("a digit");
            text.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
            number /= 16;
            if number == 0 {
                break;
            }
        }
        if text.len() < bytes {
            text.push(b'.');
        }
    }
    text.resize(bytes, b'v');
    text.reverse();
    Text::new(str::from_utf8(&text).expect("letters and digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(settings: &WorkloadSettings, batch: u64, seed: u64) -> Vec<String> {
        let mut workloads = Workload::of_clients(settings, 2, batch, seed);
        let mut text = |_| match workloads[1].next(batch).what {
            What::Command(batch) => batch.text().to_string(),
            What::Read { query, .. } => query.text().to_string(),
            What::Named { .. } | What::Settle(_) => unreachable!("nothing is settled"),
        };
        (0..1_000).map(&mut text).collect()
    }

    #[test]
    fn the_same_seed_asks_the_same() {
        let settings = WorkloadSettings { reads_per_million: 500_000, ..WorkloadSettings::default() };
        assert_eq!(asked(&settings, 3, 7), asked(&settings, 3, 7));
        assert_ne!(asked(&settings, 3, 7), asked(&settings, 3, 8));
    }

    #[test]
    fn the_share_of_reads_is_one_of_operations_however_large_batches_are() {
        let settings = WorkloadSettings { reads_per_million: 500_000, ..WorkloadSettings::default() };
        let reads = asked(&settings, 9, 7).iter().filter(|text| text.contains("read")).count();
        assert!((860..940).contains(&reads), "nine reads to each batch of nine, not {reads}");
        let only = WorkloadSettings { reads_per_million: 1_000_000, ..WorkloadSettings::default() };
        assert!(asked(&only, 9, 7).iter().all(|text| text.contains("read")));
    }

    #[test]
    fn values_have_their_size_and_say_whose_they_are() {
        assert_eq!(value_text(3, 0x5f, 10), "vvvvv.3.5f");
        assert_eq!(value_text(3, 0x5f, 2), "5f");
        assert_eq!(value_text(3, 0x5f, 0), "");
        assert_ne!(value_text(1, 23, 8), value_text(12, 3, 8));
    }

    #[test]
    fn a_mix_is_read_or_refused_in_one_line() {
        assert_eq!("put".parse(), Ok(Mix::default()));
        assert_eq!("put=1,delete=3".parse(), Ok(Mix([1, 0, 0, 3, 0])));
        for wrong in ["push=1", "put=x", "put=0", ""] {
            assert!(wrong.parse::<Mix>().is_err_and(|reason| !reason.contains('\n')), "{wrong}");
        }
        let settings = WorkloadSettings { mix: Mix([1, 1, 1, 1, 1]), ..WorkloadSettings::default() };
        let all = asked(&settings, 1, 7).concat();
        assert!(KINDS.iter().all(|kind| all.contains(&format!("\"op\":\"{kind}\""))));
    }
}
