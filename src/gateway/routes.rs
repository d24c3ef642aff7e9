//! What each path answers, and to whom.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use super::answers::{Answer, Code, Failed};
use super::form::{self, Fields, Object};
use super::header::Header;
use super::kv::{self, AskedRange, WrittenRange};
use super::metrics::Metrics;
use super::site::Site;
use crate::client::Client;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{KeyValue, Keys, Query, Range, Txn, TxnRequest, TxnResponse};
use crate::types::Term;
use crate::web::request::{Method, Request};
use crate::web::response::{Refusal, Response};

/// The version of etcd whose calls these are.
const ETCD: &str = "3.5.0";

/// What etcd answers and this store does not have, and why.
const MISSING: &[(&str, &str)] = &[
    ("/v3/watch", "the store has no watch: ask for a range again"),
    ("/v3/lease/", "the store has no leases"),
    ("/v3/kv/lease/", "the store has no leases"),
    ("/v3/kv/compaction", "only the newest revision is kept: there is nothing to compact"),
    ("/v3/cluster/member/", "members are changed at a console"),
    ("/v3/maintenance/", "this is done at a console, or by itself"),
    ("/v3/auth/", "the gateway asks for no name: who reaches it may do all that it does"),
    ("/v3/lock/", "the store has no leases, which locks need"),
    ("/v3/election/", "the store has no leases, which elections need"),
];

/// Answers requests.
pub(super) struct Gate {
    pub(super) site: Site,
    /// Behind all calls that need no session of their caller's.
    pub(super) client: Client<KeyValue>,
    address: SocketAddr,
    hosts: Vec<String>,
    metrics: Metrics,
}

impl Gate {
    pub fn new(address: SocketAddr, site: Site) -> Gate {
        let names = ["127.0.0.1".to_string(), "localhost".to_string(), "[::1]".to_string()];
        let port = address.port();
        let hosts = names.iter().map(|name| format!("{name}:{port}")).chain([address.to_string()]).collect();
        let client = (site.clients)();
        Gate { site, client, address, hosts, metrics: Metrics::default() }
    }

    /// What a request that could not be read is told.
    pub fn refuse(&self, refusal: &Refusal) -> Response {
        self.metrics.malformed(refusal.status);
        let code = match refusal.status {
            501 => Code::Unimplemented,
            408 => Code::DeadlineExceeded,
            _ => Code::InvalidArgument,
        };
        let body = json!({"error": refusal.reason, "message": refusal.reason, "code": code as u8});
        Response::json(refusal.status, &body)
    }

    pub fn answer(&self, request: &Request) -> Answer {
        let begun = Instant::now();
        let answer = match self.check_place(request) {
            Err(refusal) => self.refuse(&refusal).into(),
            Ok(()) => self.route(request),
        };
        self.metrics.answered(route_name(&request.path), answer.response.status, begun.elapsed());
        answer
    }

    /// Another name that leads here may be that of a page that wants to look in (DNS rebinding); a page's requests name it.
    fn check_place(&self, request: &Request) -> Result<(), Refusal> {
        if !self.hosts.contains(&request.host) {
            let reason =
                format!("this is http://{}/, and is asked by no name of another machine", self.address);
            return Err(Refusal::new(421, reason));
        }
        if request.origin.is_some() {
            return Err(Refusal::new(403, "a page in a browser may not ask here"));
        }
        Ok(())
    }

    fn route(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let token = path.strip_prefix("/v1/outcome/");
        let answered = match (request.method, path) {
            (Method::Post, "/v3/kv/range") => return self.range(request).unwrap_or_else(Answer::from),
            (Method::Post, "/v3/kv/put") => self.put(request),
            (Method::Post, "/v3/kv/deleterange") => self.delete(request),
            (Method::Post, "/v3/kv/txn") => self.txn(request),
            (Method::Post, "/v3/maintenance/status") => self.maintenance_status(),
            (Method::Post, "/v3/cluster/member/list") => self.members(),
            (Method::Post, "/v1/sessions") => self.new_session(),
            (Method::Get, "/version") => {
                let version = env!("CARGO_PKG_VERSION");
                Ok(json!({"etcdserver": ETCD, "etcdcluster": ETCD, "raftlab": version}))
            }
            (Method::Get, "/status") => Ok(self.status()),
            (Method::Get, "/health") => return self.health().into(),
            (Method::Get, "/ready") => return self.ready().into(),
            (Method::Get, "/metrics") => return self.metrics.page(&self.site).into(),
            (Method::Get, _) if let Some(token) = token => self.outcome(token),
            (_, known) if is_known(known) => {
                let text = "this is asked in the other way: POST for calls, GET to look";
                return self.refuse(&Refusal::new(405, text)).into();
            }
            _ => Err(match MISSING.iter().find(|(missing, _)| path.starts_with(missing)) {
                Some((_, why)) => Failed::new(Code::Unimplemented, *why),
                None => Failed::new(Code::NotFound, "there is nothing of this name"),
            }),
        };
        answered.map_or_else(Answer::from, Answer::from)
    }

    fn range(&self, request: &Request) -> Result<Answer, Failed> {
        let body = form::body(&request.body)?;
        let asked = AskedRange::read(Fields::of(&body, "the body")?)?;
        let query = Query::Range(Box::new(asked.range.clone()));
        let seen = match (asked.serializable, self.site.home) {
            (false, _) => self.client.read(query)?,
            (true, Some(home)) => self.client.at(home).read_with(query, ReadMode::Stale)?,
            (true, None) => self.client.read_with(query, ReadMode::Stale)?,
        };
        let ranged = kv::ranged(&seen.answer)?;
        asked.check_revision(ranged.revision)?;
        let header = Header { node: seen.node, term: seen.term, revision: ranged.revision };
        let answer = WrittenRange::new(header.object(&self.site), ranged);
        Ok(Response::json(200, &answer).into())
    }

    fn put(&self, request: &Request) -> Result<Value, Failed> {
        let body = form::body(&request.body)?;
        let put = kv::read_put(Fields::of(&body, "the body")?)?;
        self.one(request, put, |header, response| match response {
            TxnResponse::Put { previous, .. } => Some(kv::put_object(header, previous.as_ref())),
            _ => None,
        })
    }

    fn delete(&self, request: &Request) -> Result<Value, Failed> {
        let body = form::body(&request.body)?;
        let delete = kv::read_delete(Fields::of(&body, "the body")?)?;
        self.one(request, delete, |header, response| match response {
            TxnResponse::Delete { deleted, previous, .. } => {
                Some(kv::delete_object(header, *deleted, previous))
            }
            _ => None,
        })
    }

    /// A transaction of one request, with the answer that this call has.
    fn one(
        &self,
        request: &Request,
        change: TxnRequest,
        shown: impl Fn(Object, &TxnResponse) -> Option<Object>,
    ) -> Result<Value, Failed> {
        let (header, answer) = self.commit(request, Txn::requests([change]))?;
        let answer = kv::transacted(&answer)?;
        let header = Header { revision: answer.revision, ..header }.object(&self.site);
        // A number that was used for another call has that call's answer.
        let other = || Failed::new(Code::FailedPrecondition, "this number was given to another command");
        let shown = answer.responses.first().and_then(|response| shown(header, response));
        shown.map(Value::from).ok_or_else(other)
    }

    fn txn(&self, request: &Request) -> Result<Value, Failed> {
        let body = form::body(&request.body)?;
        let txn = kv::read_txn(Fields::of(&body, "the body")?)?;
        let (header, answer) = self.commit(request, txn)?;
        let answer = kv::transacted(&answer)?;
        let header = Header { revision: answer.revision, ..header };
        Ok(kv::txn_object(header, &self.site, answer).into())
    }

    fn maintenance_status(&self) -> Result<Value, Failed> {
        let (node, status) = self.site.newest().ok_or_else(no_node)?;
        let count = Range { only_count: true, ..Range::of(Keys::One("-".into())) };
        let local = self.client.at(node).read_with(Query::Range(Box::new(count)), ReadMode::Stale)?;
        let header = Header { node, term: status.term, revision: kv::ranged(&local.answer)?.revision };
        let leader = status.leader.map_or(0, |leader| u64::from(leader.number()));
        Ok(Object::default()
            .object("header", header.object(&self.site))
            .text("version", ETCD)
            .number("dbSize", status.snapshot.bytes)
            .number("leader", leader)
            .number("raftIndex", status.last.index.0)
            .number("raftTerm", status.term.0)
            .number("raftAppliedIndex", status.applied.0)
            .number("dbSizeInUse", status.snapshot.bytes)
            .into())
    }

    fn members(&self) -> Result<Value, Failed> {
        let (node, status) = self.site.newest().ok_or_else(no_node)?;
        let header = Header { node, term: status.term, revision: 0 };
        let (addresses, statuses) = ((self.site.addresses)(), (self.site.statuses)());
        let mut nodes: Vec<_> = addresses.keys().chain(statuses.keys()).copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let members = nodes.into_iter().map(|member| {
            let peer: Vec<Value> = addresses
                .get(&member)
                .map(|address| format!("http://{address}").into())
                .into_iter()
                .collect();
            // Only this process's gateway is known.
            let is_here = self.site.home.is_none_or(|home| home == member);
            let client: Vec<Value> =
                is_here.then(|| format!("http://{}", self.address).into()).into_iter().collect();
            let member = Object::default()
                .number("ID", u64::from(member.number()))
                .text("name", &member.to_string())
                .object("peerURLs", peer)
                .object("clientURLs", client);
            Value::from(member)
        });
        let header = header.object(&self.site);
        Ok(Object::default().object("header", header).list("members", members.collect()).into())
    }

    fn status(&self) -> Value {
        let node = |(node, status): (_, Option<crate::server::Status>)| match status {
            None => json!({"node": node, "role": "down"}),
            Some(status) => json!({
                "node": node,
                "role": status.role.to_string(),
                "term": status.term.0,
                "leader": status.leader,
                "last": status.last.index.0,
                "commit": status.commit.0,
                "applied": status.applied.0,
                "snapshot": status.snapshot.last.index.0,
                "keys": status.size,
            }),
        };
        let nodes: Vec<Value> = (self.site.statuses)().into_iter().map(node).collect();
        json!({"cluster": self.site.cluster.to_string(), "nodes": nodes})
    }

    /// Whether a leader answers.
    fn health(&self) -> Response {
        let query = Query::Range(Box::new(Range { only_count: true, ..Range::of(Keys::One("-".into())) }));
        match self.client.read(query) {
            Ok(_) => Response::json(200, &json!({"health": "true"})),
            Err(failure) => Response::json(503, &json!({"health": "false", "reason": failure.to_string()})),
        }
    }

    /// Whether the node knows a leader and follows it.
    fn ready(&self) -> Response {
        let status = self.site.newest().map(|(_, status)| status);
        let is_ready = status.is_some_and(|status| status.leader.is_some() && status.term > Term(0));
        let (status, text) = if is_ready { (200, "ready\n") } else { (503, "no leader is known\n") };
        Response { status, kind: "text/plain", policy: None, file: None, body: text.into() }
    }
}

fn no_node() -> Failed {
    Failed::new(Code::Unavailable, "the node of this process does not run")
}

/// The paths that are answered, whose names may stand in metrics.
const KNOWN: &[&str] = &[
    "/v3/kv/range",
    "/v3/kv/put",
    "/v3/kv/deleterange",
    "/v3/kv/txn",
    "/v3/maintenance/status",
    "/v3/cluster/member/list",
    "/v1/sessions",
    "/version",
    "/status",
    "/health",
    "/ready",
    "/metrics",
];

fn is_known(path: &str) -> bool {
    KNOWN.contains(&path) || path.starts_with("/v1/outcome/")
}

/// The path, if it is one of those that are answered: others may be anything.
fn route_name(path: &str) -> &'static str {
    let known = KNOWN.iter().find(|known| **known == path).copied();
    known.unwrap_or(if path.starts_with("/v1/outcome/") { "/v1/outcome" } else { "other" })
}
