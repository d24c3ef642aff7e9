//! etcd's JSON gateway, asked over one connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{NextTimeout, TcpConnector};
use ureq::{Agent, Error, Timeout};

/// An answer to a client is a few values.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Codes of errors that etcd gives before it proposes anything: the request is not valid, not allowed or too much.
const CERTAIN_CODES: [u32; 8] = [3, 5, 7, 8, 9, 11, 12, 16];

/// Why a request has no answer that is of use.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// No byte of it was sent.
    #[error("{0}")]
    Unsent(String),
    /// etcd turned it down before it did anything.
    #[error("{0}")]
    Rejected(String),
    /// It may have been sent, and what came of it is not known.
    #[error("{0}")]
    Open(String),
    /// It may have been sent, and what answers is no etcd.
    #[error("{0}")]
    Foreign(String),
}

/// Asks one member at a time. While it asks the same one, it keeps its connection.
#[derive(Debug)]
pub struct Gateway(Agent);

/// Finds out where to connect. A request with a time limit looks a name up in a thread of its own, and so each request would
/// start a thread, though its connection is there and an address of numbers needs no look-up.
#[derive(Debug, Default)]
struct Addresses(DefaultResolver);

/// How etcd says that it cannot.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    code: u32,
}

impl Gateway {
    pub fn new() -> Gateway {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            // Members are asked themselves, though the environment may name a proxy.
            .proxy(None);
        Gateway(Agent::with_parts(config.build(), TcpConnector::default(), Addresses::default()))
    }

    /// Asks the member at this address, as in `http://127.0.0.1:2379`. It is sent once at most.
    pub fn ask<T: DeserializeOwned>(
        &self,
        address: &str,
        route: &str,
        body: &str,
        patience: Duration,
    ) -> Result<T, Failure> {
        let request = self.0.post(format!("{address}/v3/{route}"));
        let request = request.config().timeout_global(Some(patience)).build();
        let sent = request.content_type("application/json").send(body);
        let mut response = sent.map_err(|error| failure(&error))?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text = text.map_err(|error| Failure::Open(error.to_string()))?;
        if status.is_success() {
            return serde_json::from_slice(&text).map_err(|error| {
                Failure::Foreign(format!("its answer to /v3/{route} is not etcd's: {error}"))
            });
        }
        Err(match serde_json::from_slice(&text) {
            Ok(Refusal { error, code }) if CERTAIN_CODES.contains(&code) => Failure::Rejected(error),
            Ok(Refusal { error, .. }) => Failure::Open(error),
            Err(_) => Failure::Foreign(format!("it answers {status} to /v3/{route}")),
        })
    }
}

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let numbers = uri.authority().and_then(|authority| authority.as_str().parse::<SocketAddr>().ok());
        let Some(address) = numbers else { return self.0.resolve(uri, config, timeout) };
        let mut found = self.empty();
        found.push(address);
        Ok(found)
    }
}

/// Only what fails before there is a connection certainly sends nothing.
fn failure(error: &Error) -> Failure {
    let text = match error {
        Error::Io(error) => error.to_string(),
        Error::Timeout(_) => "no answer in time".to_string(),
        other => other.to_string(),
    };
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => Failure::Unsent(text),
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => Failure::Unsent(text),
        Error::Protocol(_) => Failure::Foreign(format!("it speaks no HTTP: {text}")),
        _ => Failure::Open(text),
    }
}

#[cfg(test)]
mod tests {
    use ureq::unversioned::transport::time;

    use super::*;

    fn found(address: &str, after: time::Duration) -> Vec<SocketAddr> {
        let timeout = NextTimeout { after, reason: Timeout::Global, ..NextTimeout::default() };
        let uri = address.parse().expect("an address");
        let found = Addresses::default().resolve(&uri, &Config::default(), timeout);
        found.expect("it is of this machine").iter().copied().collect()
    }

    #[test]
    fn an_address_of_numbers_is_not_looked_up_and_a_name_is() {
        let listener = |address: &str| address.parse::<SocketAddr>().expect("an address");
        for numbers in ["127.0.0.1:2379", "[::1]:2379"] {
            // No time is left for a look-up.
            let found = found(&format!("http://{numbers}/v3/kv/put"), time::Duration::from_secs(0));
            assert_eq!(found, [listener(numbers)]);
        }
        let found = found("http://localhost:2379", time::Duration::NotHappening);
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
