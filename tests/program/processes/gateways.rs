//! The gateway of each node's process: any of them answers, and a command that is repeated at another is applied once.

use std::io::{Read, Write};
use std::net::TcpStream;

use raftlab::NodeId;
use serde_json::Value;

use super::Processes;
use crate::PATIENCE;

/// The answer to a call with these headers, on a connection of its own.
#[track_caller]
fn post(host: &str, path: &str, headers: &str, body: &str) -> Value {
    let mut connection = TcpStream::connect(host).expect("it listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a socket has timeouts");
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    connection.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).expect("it is sent");
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("an answer");
    let (_, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn each_node_answers_http_and_a_repetition_at_another_is_applied_once() {
    let mut processes = Processes::founded();
    // Calls try as long as anything may take, on a machine that is busy.
    processes.set(&format!("client_timeout = \"{}s\"", PATIENCE.as_secs()));
    let mut hosts = Vec::new();
    for node in NodeId::first(3) {
        processes.start_with(node, &["--http", "127.0.0.1:0"]);
        let line = processes.running[&node].answer("http: http://");
        let (_, host) = line.split_once("http://").expect("an address");
        hosts.push(host.trim_end_matches('/').to_string());
    }
    let put = r#"{"key":"eA==","value":"MQ=="}"#;
    let session = post(&hosts[0], "/v1/sessions", "", "")["session"].clone();
    let session = session.as_str().expect("a session");
    let names = format!("Raftlab-Session: {session}\r\nRaftlab-Serial: 1\r\n");
    for host in &hosts {
        assert_eq!(post(host, "/v3/kv/put", &names, put)["header"]["revision"], "2", "{host}");
    }
    processes.kill(NodeId::new(1));
    let range = r#"{"key":"eA=="}"#;
    for (number, host) in (2..).zip(&hosts[1..]) {
        let read = post(host, "/v3/kv/range", "", range);
        assert_eq!(
            (&read["kvs"][0]["version"], &read["header"]["member_id"]),
            (&"1".into(), &number.to_string().into())
        );
    }
    let members = post(&hosts[1], "/v3/cluster/member/list", "", "");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(3), "{members}");
}
