//! The same over encrypted connections: whose certificate lets it do what, and how certificates are renewed.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use raftlab::NodeId;
use raftlab::config::cluster_file::ClusterFile;
use raftlab::kv::{Command, KeyValue};
use raftlab::lab::Lab;
use raftlab::links::Notices;
use raftlab::remote::RemoteCluster;
use raftlab::remote::clients::RemoteClients;
use raftlab::remote::lab::RemoteLab;
use raftlab::tls::issue::{Validity, certificate};
use raftlab::tls::{Certificates, Holder, Role, Security};

use super::Processes;
use crate::PATIENCE;

impl Processes {
    /// A cluster whose machines have certificates, and a console of ann's.
    fn encrypted() -> Processes {
        let processes = Processes::patient();
        let text = processes.folder.read("cluster.toml");
        processes.folder.write("cluster.toml", &format!("certificates = \"certs\"\n{text}"));
        for made in ["new-ca", "node n1", "node n2", "node n3", "admin ann"] {
            processes.certs(made);
        }
        processes
    }

    fn certs(&self, made: &str) {
        let options: Vec<&str> = ["certs"].into_iter().chain(made.split(' ')).collect();
        self.folder.run(env!("CARGO_BIN_EXE_node"), &options, "").exits(0);
    }

    /// Whether one who shows this certificate can attach a console, and write data within this time.
    fn lets(&self, holder: &Holder, patience: Duration) -> (bool, bool) {
        let file = ClusterFile::read(&self.folder.read("cluster.toml")).expect("a good file");
        let cluster = file.cluster.parse().expect("a number");
        let certificates =
            Certificates::open(&self.folder.path("certs"), holder, cluster).expect("it has one");
        let remote = RemoteCluster {
            cluster,
            security: Security::Certificates(Arc::new(certificates)),
            token: file.token,
            addresses: file.addresses,
            settings: file.settings,
        };
        let notices = Arc::new(Notices::new(|_| {}));
        let told = Arc::clone(&notices);
        let mut lab = RemoteLab::connect(remote.clone(), "test", told, Arc::new(|_| {})).expect("threads");
        let attached = lab.stored(NodeId::new(1), 1).is_ok();
        lab.leave();
        let clients = RemoteClients::start(remote, notices).expect("threads");
        let client = clients.client::<KeyValue>().with_timeout(patience);
        let writes = client.submit(Command::put("x", "1")).is_ok();
        clients.stop();
        (attached, writes)
    }
}

#[test]
fn encrypted_nodes_are_driven_as_others_and_read_new_certificates() {
    let mut processes = Processes::encrypted();
    processes.start_all();
    let script = "wait leader\ncreate x 1\ncrash leader\nwait leader\nrestart all\nwait converged\n\
                  partition n1 / n2 n3\nwait stable\nput x 2\nheal\nwait converged\nread x\ncheck\n";
    let ran = processes.folder.run(env!("CARGO_BIN_EXE_client"), &[], script).exits(0);
    assert!(ran.out.contains("OK x=2 [n") && ran.out.contains("PASS linearizable"), "{}", ran.out);
    let options = "--connect cluster.toml --clients 4 --duration 2s --timeout 20s --json --value-size 20000";
    let ran = processes.folder.client_load(&options.split(' ').collect::<Vec<_>>()).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&report["verdict"]["pass"], &report["failed"]), (&true.into(), &0.into()), "{report}");
    // One is made new while it runs; another is killed, and finds a node that shows the new one.
    let n2 = NodeId::new(2);
    processes.certs("node n2 --days 9");
    processes.running[&n2].signal("HUP");
    processes.running[&n2].warning("the certificates were read again: expires in 8 days");
    processes.kill(NodeId::new(3));
    processes.start(NodeId::new(3));
    let leads = processes.leads();
    assert!(leads.contains("3 of 3 up"), "{leads}");
    let (status, said) = {
        let mut running = processes.running.remove(&n2).expect("it runs");
        running.signal("TERM");
        running.end()
    };
    assert_eq!(status.code(), Some(0), "{said:?}");
}

/// What the containers run first, once and again.
#[test]
fn the_founding_of_containers_makes_all_that_nodes_need() {
    let founded = Processes::alone();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/found.sh");
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_raftlab")).parent().expect("it is in a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("it is set"));
    let found = || {
        let mut command = founded.folder.command("sh", &[script, ".", "volumes"]);
        let ran = command.env("PATH", &path).output().expect("a shell");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    found();
    let text = founded.folder.read("cluster.toml");
    found();
    assert_eq!(founded.folder.read("cluster.toml"), text, "the second time nothing is made");
    assert!(text.contains("certificates = \"certs\"") && text.contains("n3 = \"n3:7001\""), "{text}");
    let ran = founded
        .node(NodeId::new(2), &["--states", "volumes/n2/states", "--bind", "127.0.0.1:0", "--check-config"]);
    assert!(ran.exits(2).err.contains("n1 = n1:7001: its name does not resolve"), "no such machine here");
    assert!(founded.folder.path("volumes/n2/states/n2/state.json").exists());
}

#[test]
fn a_certificate_says_what_its_holder_may_do() {
    let mut processes = Processes::encrypted();
    processes.certs("client bob");
    processes.start_all();
    processes.folder.run(env!("CARGO_BIN_EXE_client"), &["--as", "ann"], "wait leader\n").exits(0);
    let person = |name: &str| Holder::Person(Some(name.to_string()));
    assert_eq!(processes.lets(&person("ann"), PATIENCE), (true, true), "an administrator");
    assert_eq!(processes.lets(&person("bob"), PATIENCE), (false, true), "a client");
    let n2 = Holder::Peer(NodeId::new(2));
    assert_eq!(processes.lets(&n2, PATIENCE), (false, true), "a node, which has a gateway's clients");
    processes.running[&NodeId::new(1)].warning("not let in: its certificate is that of");
    for ending in ["crt", "key"] {
        fs::remove_file(processes.folder.path(&format!("certs/bob.client.{ending}"))).expect("it was made");
    }
    // Liars who begin as TLS does, and promise a record that does not come.
    processes.serves_among_liars(&[b"\x16\x03\x01\xff\xff\x01\x00\xff\xff", b"\x16\x03\x01\x00\x05\x01"]);
}

#[test]
fn each_stranger_among_the_encrypted_is_told_why() {
    let mut processes = Processes::encrypted();
    let n1 = NodeId::new(1);
    processes.start(n1);
    let text = processes.folder.read("cluster.toml");
    let other = |text: &str| {
        let other = Processes::alone();
        other.folder.write("cluster.toml", text);
        super::make_private(&other.folder);
        other
    };
    let plain = other(&text.replace("certificates = \"certs\"", ""));
    let refused = plain.node(NodeId::new(3), &["--init"]).exits(78);
    assert!(refused.err.contains("speaks TLS, and this process has no certificates"), "{}", refused.err);
    processes.running[&n1].warning("not let in: it speaks without TLS");
    let foreign = other(&text);
    foreign.certs("new-ca");
    foreign.certs("node n3");
    let refused = foreign.node(NodeId::new(3), &["--init"]).exits(78);
    assert!(refused.err.contains("its certificate is of another authority"), "{}", refused.err);
    // One that has ended, with the right authority: its own start says so.
    let past = SystemTime::now() - Duration::from_secs(3_600);
    let validity = Validity { from: past - Duration::from_secs(3_600), until: past };
    let cluster = ClusterFile::read(&text).expect("a good file").cluster.parse().expect("a number");
    let folder = processes.folder.path("certs");
    certificate(&folder, &Role::Peer(NodeId::new(2)), cluster, validity).expect("the authority is there");
    let ended = processes.node(NodeId::new(2), &[]).exits(78);
    assert!(ended.err.contains("n2.peer.crt: it has expired: make a new one"), "{}", ended.err);
    let checked = processes.node(NodeId::new(2), &["--check-config"]).exits(78);
    assert!(checked.err.contains("it has expired"), "{}", checked.err);
    let checked = processes.node(n1, &["--check-config"]).exits(0);
    assert!(checked.out.contains("connections are encrypted, the certificate ends at 20"), "{}", checked.out);
    fs::remove_file(folder.join("n1.peer.key")).expect("it was there");
    processes.node(n1, &["--check-config"]).exits(78);
}

#[test]
fn ten_thousand_connections_do_not_hold_up_an_encrypted_load() {
    let mut processes = Processes::encrypted();
    processes.start_all();
    // Nothing, a part of a record's head, one that promises a longer record, and one too long for any.
    processes.serves_among_ten_thousand(&[
        b"",
        b"\x16\x03",
        b"\x16\x03\x01\x00\xff\x01\x00",
        b"\x16\x03\x01\xff\xff\x01\x00\xff\xff",
    ]);
}

#[test]
fn an_encrypted_node_with_copied_files_is_told() {
    let mut processes = Processes::encrypted();
    processes.start_all();
    processes.tells_a_copy_of_n2();
}
