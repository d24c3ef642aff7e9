//! A replica that starts from an image is the one that the image was taken of, to all who can tell.

use proptest::prelude::*;

use super::*;
use crate::payload::{Batch, Payload};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::Configuration;
use crate::state_machine::kv::{self, Answer, Command, KeyValue, Query};
use crate::state_machine::tests::{
    Asked, SESSIONS_MAX, answers, asked, entry, id, opened, opened_with, origin,
};
use crate::state_machine::{Applied, Machine, Replica};
use crate::types::{ClientId, EntryId, LogIndex, NodeId, SessionId, Term};

fn text_of(image: &dyn Image) -> String {
    let mut text = Vec::new();
    image.write(&mut text).expect("memory takes all");
    String::from_utf8(text).expect("JSON is text")
}

fn load(text: &str) -> Result<Box<dyn Image>, String> {
    super::load::<KeyValue>(&mut text.as_bytes())
}

/// A replica around this machine that starts from an image's text.
fn from_text(machine: KeyValue, applied: EntryId, text: &str) -> Replica<KeyValue> {
    let mut replica = Replica::new(machine);
    replica.adopt(applied, load(text).expect("an image"));
    replica
}

fn put(key: &str, value: &str) -> Payload {
    Payload::batch([Command::put(key, value)])
}

#[test]
fn a_person_can_read_it() {
    let mut replica = opened(2);
    replica.apply(&entry(3, origin(1, 1, 1), put("x", "1")));
    replica.apply(&entry(4, origin(1, 3, 1), put("a\n", "\"")));
    let settle = Content::Settle { origin: origin(1, 2, 1) };
    replica.apply(&Entry { index: LogIndex(5), term: Term(2), content: settle });
    let text = r#"{"size":2,"sessions":[
{"session":1,"client":1,"used":5,"acknowledged":1,"settled":{"1":{"answered":{"entry":{"term":1,"index":3},"answer":["put"]}},"2":"given_up","3":{"answered":{"entry":{"term":1,"index":4},"answer":["put"]}}}},
{"session":2,"client":2,"used":2,"acknowledged":0,"settled":{}}
],"state":[
3,
["a\n","\"",3,3,1],
["x","1",2,2,1]
]}"#;
    assert_eq!(text_of(&*replica.image()), text);
    assert_eq!(
        text_of(&*Replica::new(KeyValue::default()).image()),
        "{\"size\":0,\"sessions\":[],\"state\":[\n1\n]}"
    );
}

#[test]
fn a_command_from_before_gets_its_first_answer_after_it() {
    let mut before = opened(2);
    let create = || Payload::batch([Command::create("x", "1")]);
    let first = before.apply(&entry(3, origin(1, 1, 1), create()));
    let mut after = from_text(KeyValue::default(), id(3), &text_of(&*before.image()));
    assert_eq!(after.applied(), id(3));
    let repeated = after.apply(&entry(4, origin(1, 1, 1), create()));
    assert_eq!(repeated, first);
    assert_eq!(answers(&repeated), (id(3), vec![Answer::Created]), "not Exists");
}

#[test]
fn an_answer_comes_back_byte_for_byte() {
    let mut before = opened(1);
    let value = "\u{e9}\u{2028}\"\\/\u{1}\n 1.0";
    let batch = vec![Command::put("x", value), Command::cas("x", "", "2")];
    let Applied::Answered { answer, .. } = before.apply(&entry(2, origin(1, 1, 1), Payload::batch(batch)))
    else {
        panic!("it is fresh");
    };
    let mut after = from_text(KeyValue::default(), id(2), &text_of(&*before.image()));
    let repeated = after.apply(&entry(3, origin(1, 1, 1), put("x", "3")));
    let Applied::Answered { answer: repeated, .. } = repeated else { panic!("it was applied") };
    assert_eq!(repeated.text(), answer.text());
    let expected = vec![Answer::Put, Answer::Mismatch { actual: value.into() }];
    assert_eq!(repeated.value::<Batch<Answer>>(), Ok(&Batch::from_vec(expected)));
}

#[test]
fn a_recovered_cluster_ends_all_sessions_and_names_new_ones_by_its_epoch() {
    let mut replica = opened(1);
    replica.apply(&entry(2, origin(1, 1, 1), put("x", "1")));
    let alone = |index, epoch| {
        let configuration =
            Configuration { epoch: Some(Epoch(epoch)), ..Configuration::founders([NodeId::new(3)]) };
        Entry { index: LogIndex(index), term: Term(1), content: Content::Members(configuration.into()) }
    };
    let open = |index| {
        let content = Content::Open { client: ClientId(9), sessions_max: 9 };
        Entry { index: LogIndex(index), term: Term(1), content }
    };
    assert_eq!(replica.apply(&alone(3, 2)), Applied::NoOp);
    assert_eq!(
        replica.apply(&entry(4, origin(1, 1, 1), put("x", "2"))),
        Applied::Lost { epoch: Epoch(2) },
        "be it a repetition"
    );
    let Applied::Opened { session } = replica.apply(&open(5)) else { panic!("it opens one") };
    assert_eq!(session.to_string(), "e2/5");
    let mut after = from_text(KeyValue::default(), id(5), &text_of(&*replica.image()));
    after.apply(&alone(6, 2));
    let asked = Origin { session, serial: 1, acknowledged: 1 };
    let applied = after.apply(&entry(7, asked, put("x", "3")));
    assert!(
        matches!(applied, Applied::Answered { .. }),
        "a later change in the same epoch ends none: {applied:?}"
    );
    let Applied::Opened { session } = after.apply(&open(8)) else { panic!("it opens one") };
    assert_eq!(session.to_string(), "e2/8", "a snapshot carries the epoch");
    assert_eq!(after.apply(&entry(9, origin(1, 1, 1), put("x", "2"))), Applied::Lost { epoch: Epoch(2) });
    let never = Origin { session: SessionId::new(Epoch(2), LogIndex(7)), serial: 1, acknowledged: 1 };
    assert_eq!(after.apply(&entry(10, never, put("x", "2"))), Applied::Expired);
}

#[test]
fn it_stays_as_it_is_while_the_machine_goes_on() {
    let mut replica = opened(1);
    replica.apply(&entry(2, origin(1, 1, 1), put("x", "1")));
    let image = replica.image();
    let text = text_of(&*image);
    let batch = vec![Command::delete("x"), Command::put("y", "2")];
    replica.apply(&entry(3, origin(1, 2, 2), Payload::batch(batch)));
    let content = Content::Open { client: ClientId(9), sessions_max: 1 };
    replica.apply(&Entry { index: LogIndex(4), term: Term(1), content });
    assert_eq!(text_of(&*image), text);
    assert_ne!(text_of(&*replica.image()), text);
}

#[test]
fn what_is_configured_stays() {
    let mut before = opened(1);
    before.apply(&entry(2, origin(1, 1, 1), put("x", "123")));
    let text = text_of(&*before.image());
    let after = from_text(KeyValue::with_value_bytes_max(2), id(2), &text);
    let refused = after.check(&put("x", "123")).expect_err("over the limit");
    assert!(refused.contains("at most 2 are allowed"), "{refused}");
    let read = after.query(&Payload::new(Query::Read { key: "x".into() }));
    assert_eq!(read, Ok(Payload::new(Answer::Value("123".into()))), "what is there is kept all the same");
}

#[test]
fn a_damaged_text_is_refused_in_one_line() {
    let session = r#"{"session":1,"client":1,"used":1,"acknowledged":0,"settled":{}}"#;
    let whole = |sessions: &str| format!(r#"{{"size":0,"sessions":[{sessions}],"state":[1]}}"#);
    assert!(load(&whole(session)).is_ok());
    let damaged = [
        (String::new(), "EOF"),
        (whole(session)[..60].to_string(), "EOF"),
        (whole(session) + "{}", "trailing characters"),
        (whole(session).replace(r#","state":[1]"#, ""), "missing field `state`"),
        (whole(session).replace("sessions", "sess\\nions"), "unknown field `sess ions`"),
        (whole(session).replace(r#""used":1,"#, ""), "missing field `used`"),
        (whole(session).replace(r#""used":1,"#, r#""used":1,"age":1,"#), "unknown field `age`"),
        (whole(session).replace(r#""used":1"#, r#""used":0"#), "before it was opened"),
        (whole(&format!("{session},{session}")), "session 1 stands twice"),
        (whole(&session.replace("{}", r#"{"1":"given_away"}"#)), "unknown variant `given_away`"),
        (
            whole(&session.replace("{}", r#"{"1":"given_up"}"#).replace(r#"edged":0"#, r#"edged":2"#)),
            "forgotten",
        ),
        (
            whole(session).replace(r#""state":[1]"#, r#""state":[1,["x",1,1,1,1]]"#),
            "invalid type: integer `1`",
        ),
        (whole(session).replace(r#""state":[1]"#, r#""state":{"x":"1"}"#), "a list of the revision"),
    ];
    for (text, expected) in damaged {
        let refused = load(&text).err().unwrap_or_else(|| panic!("{text} is damaged"));
        assert!(refused.contains(expected) && !refused.contains('\n'), "{text}: {refused}");
    }
}

/// Takes or gives what it is asked to, and notes the longest piece.
struct Pieces<'a> {
    given: &'a [u8],
    taken: usize,
    longest: usize,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken += bytes.len();
        self.longest = self.longest.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.longest = self.longest.max(out.len());
        io::Read::read(&mut self.given, out)
    }
}

#[test]
fn it_is_written_and_read_piece_by_piece() {
    let mut replica = opened(1);
    for index in 2..500 {
        let batch: Vec<_> = (0..50).map(|key| Command::put(format!("{index}.{key}"), "a value")).collect();
        replica.apply(&entry(index, origin(1, index, 1), Payload::batch(batch)));
    }
    let image = replica.image();
    let mut pieces = Pieces { given: &[], taken: 0, longest: 0 };
    image.write(&mut pieces).expect("it takes all");
    assert!(pieces.taken > 8 * PIECE && pieces.longest <= PIECE, "{} at once", pieces.longest);

    let text = text_of(&*image);
    let mut pieces = Pieces { given: text.as_bytes(), taken: 0, longest: 0 };
    let loaded = super::load::<KeyValue>(&mut pieces).expect("an image");
    assert!(pieces.given.is_empty() && pieces.longest <= PIECE, "{} at once", pieces.longest);
    assert_eq!(loaded.size(), 498 * 50);
}

#[test]
fn what_the_writer_says_is_said() {
    struct Full;

    impl io::Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is full"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let error = opened(1).image().write(&mut Full).expect_err("the disk is full");
    assert_eq!(error.to_string(), "the disk is full");
}

/// Adds numbers up: another machine than the store, whose state looks different.
#[derive(Default)]
struct Sum(u64);

impl StateMachine for Sum {
    type Command = u64;
    type Query = ();
    type Answer = u64;
    type Snapshot = u64;

    fn apply(&mut self, number: &u64) -> u64 {
        self.0 += number;
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    fn snapshot(&self) -> u64 {
        self.0
    }

    fn restore(&mut self, sum: u64) {
        self.0 = sum;
    }
}

#[test]
fn a_state_may_be_any_value() {
    let mut sum = Replica::new(Sum(7));
    assert_eq!(text_of(&*sum.image()), r#"{"size":0,"sessions":[],"state":7}"#);
    sum.adopt(id(3), Replica::new(Sum(8)).image());
    assert_eq!((sum.machine().0, sum.applied()), (8, id(3)));
}

#[test]
#[should_panic(expected = "adopted by its own machine")]
fn an_image_of_another_machine_is_a_defect() {
    Replica::new(Sum(0)).adopt(id(1), Replica::new(KeyValue::default()).image());
}

#[test]
#[should_panic(expected = "never takes a replica back")]
fn an_image_never_takes_a_replica_back() {
    let image = Replica::new(KeyValue::default()).image();
    opened(2).adopt(id(1), image);
}

/// The entry at this index that asks for this, from a client with this batch.
fn entry_of(index: u64, asked: Asked, batch: Vec<Command>) -> Entry {
    let content = match asked {
        Asked::Open => Content::Open { client: ClientId(index), sessions_max: SESSIONS_MAX as u64 },
        Asked::Command(origin) => Content::Command { origin, command: Payload::batch(batch) },
        Asked::Settle(origin) => Content::Settle { origin },
    };
    Entry { index: LogIndex(index), term: Term(1), content }
}

/// The entry as another node has it: from the wire or from its disk.
fn as_text(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    if let Content::Command { command, .. } = &mut entry.content {
        *command = Payload::from_text(command.text());
    }
    entry
}

proptest! {
    #[test]
    fn a_replica_that_starts_from_it_continues_as_its_maker_does(
        asked in asked(),
        batches in prop::collection::vec(kv::any_batch(), 80),
        cut in 0..80_usize,
    ) {
        let entries: Vec<Entry> =
            (3..).zip(asked).zip(batches).map(|((index, asked), batch)| entry_of(index, asked, batch)).collect();
        let (before, after) = entries.split_at(cut.min(entries.len()));
        let mut maker = opened(2);
        for entry in before {
            maker.apply(entry);
        }
        let text = text_of(&*maker.image());
        let mut other = from_text(KeyValue::with_value_bytes_max(1), maker.applied(), &text);
        prop_assert_eq!(other.sessions(), maker.sessions());
        prop_assert_eq!((other.items(), other.applied()), (maker.items(), maker.applied()));
        prop_assert_eq!(text_of(&*other.image()), text);
        for entry in after {
            prop_assert_eq!(other.apply(&as_text(entry)), maker.apply(entry));
        }
        let text = text_of(&*maker.image());
        prop_assert_eq!(text_of(&*other.image()), text.clone());
        // One that was there from the beginning, under another limit, and never saw an image.
        let mut replayed = opened_with(KeyValue::with_value_bytes_max(2), 2);
        for entry in &entries {
            replayed.apply(&as_text(entry));
        }
        prop_assert_eq!(text_of(&*replayed.image()), text);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Answers so long that a session cannot keep all: a replica that has only their texts forgets what the others forget.
    #[test]
    fn long_answers_are_forgotten_alike(
        lengths in prop::collection::vec(0..5_usize, 1..12),
        cut in 0..12_usize,
    ) {
        let quarter = crate::state_machine::sessions::ANSWER_BYTES_MAX / 4;
        let entries: Vec<Entry> = (3..)
            .zip(&lengths)
            .map(|(index, length)| {
                let batch = vec![Command::put("x", "a".repeat(length * quarter)), Command::cas("x", "b", "")];
                entry(index, origin(1, index, 1), Payload::batch(batch))
            })
            .collect();
        let (before, after) = entries.split_at(cut.min(entries.len()));
        let mut maker = opened(2);
        for entry in before {
            maker.apply(entry);
        }
        let mut other = from_text(KeyValue::default(), maker.applied(), &text_of(&*maker.image()));
        for entry in after {
            prop_assert_eq!(other.apply(entry), maker.apply(entry));
            prop_assert_eq!(other.sessions(), maker.sessions());
        }
    }
}
