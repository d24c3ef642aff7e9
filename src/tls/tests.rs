//! Two ends in memory: who finds whom, who is turned away, and in which words.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;

use super::issue::{Validity, certificate, new_authority};
use super::{Certificates, Holder, Opened, Role, Session};
use crate::storage::ClusterId;
use crate::types::NodeId;

const CLUSTER: ClusterId = ClusterId(0xa1);
const HOUR: Duration = Duration::from_secs(3_600);

fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

fn ann() -> Role {
    Role::Admin("ann".to_string())
}

/// A folder with an authority, and certificates of n1, n2 and ann.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for a test");
    new_authority(folder.path(), CLUSTER).expect("an empty folder");
    for role in [Role::Peer(node(1)), Role::Peer(node(2)), ann()] {
        certificate(folder.path(), &role, CLUSTER, Validity::days(3)).expect("an authority is there");
    }
    folder
}

fn open(folder: &Path, holder: &Holder) -> Certificates {
    Certificates::open(folder, holder, CLUSTER).expect("the holder has a certificate")
}

fn peer(folder: &Path, number: u8) -> Certificates {
    open(folder, &Holder::Peer(node(number)))
}

/// Lets both ends speak until both are content, or one is not.
fn shake(dialer: &Session, acceptor: &Session) -> (Result<(), String>, Result<(), String>) {
    loop {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        dialer.seal(&[], &mut there);
        let accepted = acceptor.advance(&mut there.as_slice());
        acceptor.seal(&[], &mut back);
        let heard = if dialer.is_handshaking() {
            dialer.advance(&mut back.as_slice())
        } else {
            // It believes to be connected: an alert comes instead of an answer.
            dialer.open(&mut back.as_slice(), &mut [0; 8]).map(drop).map_err(|error| error.to_string())
        };
        if accepted.is_err() || heard.is_err() || !acceptor.is_handshaking() {
            return (heard, accepted);
        }
    }
}

#[test]
fn both_ends_know_each_other_and_what_one_seals_the_other_opens() {
    let folder = folder();
    let (admin, n1) = (open(folder.path(), &Holder::Person(None)), peer(folder.path(), 1));
    let (dialer, acceptor) = (admin.dial(node(1)).expect("a config"), n1.accept().expect("a config"));
    assert_eq!(shake(&dialer, &acceptor), (Ok(()), Ok(())));
    assert_eq!((acceptor.role(), dialer.role()), (Ok(ann()), Ok(Role::Peer(node(1)))));
    let text: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let mut sealed = Vec::new();
    dialer.seal(&text, &mut sealed);
    assert!(sealed.len() > text.len() && !sealed.windows(64).any(|part| part == &text[..64]));
    dialer.close(&mut sealed);
    // It arrives in pieces, and is opened into a buffer that does not fit them.
    let (mut opened, mut is_end) = (Vec::new(), false);
    for mut piece in sealed.chunks(5_000) {
        while !piece.is_empty() {
            let mut into = [0; 3_000];
            let Opened { bytes, is_end: end } = acceptor.open(&mut piece, &mut into).expect("good records");
            opened.extend_from_slice(&into[..bytes]);
            is_end = end;
        }
    }
    while !is_end {
        let mut into = [0; 3_000];
        let Opened { bytes, is_end: end } = acceptor.open(&mut &[][..], &mut into).expect("good records");
        opened.extend_from_slice(&into[..bytes]);
        is_end = end;
    }
    assert_eq!(opened, text);
}

#[test]
fn each_reason_to_turn_somebody_away_is_told_on_both_sides() {
    let (folder, other) = (folder(), folder());
    let (n1, n2) = (peer(folder.path(), 1), peer(folder.path(), 2));
    let stranger = peer(other.path(), 2);
    let between = |dialer: &Certificates, expected, acceptor: &Certificates| {
        let dialer = dialer.dial(node(expected)).expect("a config");
        shake(&dialer, &acceptor.accept().expect("a config"))
    };
    let (dialed, _) = between(&n2, 3, &n1);
    assert_eq!(dialed, Err("its certificate is another node's".to_string()));
    let (dialed, _) = between(&stranger, 1, &n1);
    assert!(dialed.as_ref().is_err_and(|why| why.contains("is of another authority")), "{dialed:?}");
    // What was good when it was read, and ended then.
    let past = Validity { from: SystemTime::now() - 3 * HOUR, until: SystemTime::now() - HOUR };
    certificate(folder.path(), &Role::Peer(node(2)), CLUSTER, past).expect("an authority is there");
    let then = SystemTime::now() - 2 * HOUR;
    let then = UnixTime::since_unix_epoch(then.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"));
    let ended = Certificates::open_at(folder.path(), &Holder::Peer(node(2)), CLUSTER, then);
    let ended = ended.expect("it was good then");
    let expired = "its certificate has expired: make a new one ('node certs')".to_string();
    let (dialed, accepted) = between(&ended, 1, &n1);
    assert_eq!(accepted, Err(expired.clone()));
    assert!(dialed.as_ref().is_err_and(|why| why.contains("it has expired, or is not")), "{dialed:?}");
    assert_eq!(between(&n1, 2, &ended).0, Err(expired));
}

#[test]
fn a_certificate_that_ends_meanwhile_is_refused_and_a_new_one_is_read() {
    let folder = folder();
    let (n1, n2) = (peer(folder.path(), 1), peer(folder.path(), 2));
    assert!(n2.expires() > SystemTime::now() + 71 * HOUR);
    let past = Validity { from: SystemTime::now() - 2 * HOUR, until: SystemTime::now() - HOUR };
    certificate(folder.path(), &Role::Peer(node(2)), CLUSTER, past).expect("an authority is there");
    let why = n2.reload().expect_err("it has ended");
    assert!(why.contains("n2.peer.crt: it has expired: make a new one"), "{why}");
    let before = n2.accept().expect("what was read before is still there");
    assert!(before.is_handshaking());
    let soon = Validity { from: SystemTime::now() - HOUR, until: SystemTime::now() + 2 * HOUR };
    certificate(folder.path(), &Role::Peer(node(2)), CLUSTER, soon).expect("an authority is there");
    n2.reload().expect("it is good");
    assert!(n2.expires() < SystemTime::now() + 3 * HOUR);
    let (dialer, acceptor) = (n2.dial(node(1)).expect("a config"), n1.accept().expect("a config"));
    assert_eq!(shake(&dialer, &acceptor), (Ok(()), Ok(())));
}

#[test]
fn files_that_are_no_certificates_are_told_by_name() {
    let folder = folder();
    let path = folder.path();
    let told = |holder: Holder| Certificates::open(path, &holder, CLUSTER).expect_err("it is not right");
    assert!(told(Holder::Peer(node(7))).contains("n7.peer.crt"));
    assert!(told(Holder::Person(Some("bob".into()))).contains("no certificate of bob"));
    let n1 = Certificates::open(path, &Holder::Peer(node(1)), ClusterId(7)).expect_err("of another cluster");
    assert!(n1.contains("it does not name n1.peer.0000000000000007.raftlab"), "{n1}");
    certificate(path, &Role::Client("bob".into()), CLUSTER, Validity::days(1))
        .expect("an authority is there");
    assert!(told(Holder::Person(None)).ends_with("holds certificates of ann, bob: choose one with --as"));
    std::fs::write(path.join("n1.peer.key"), "no key").expect("a file");
    assert!(told(Holder::Peer(node(1))).contains("n1.peer.key"), "its key is gone");
    assert!(new_authority(path, CLUSTER).expect_err("one is there").contains("is there already"));
    let shown = format!("{:?}", peer(path, 2));
    assert!(!shown.contains("BEGIN") && !shown.contains("key"), "{shown}");
}
