//! A process's certificates are read again when a signal asks for it, and when they are about to end.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::tls::Certificates;

/// From this many days before its end on, a certificate is looked at again and again.
const FEW_DAYS: u64 = 30;

const LOOK_EVERY: Duration = Duration::from_secs(3_600);

const DAY: u64 = 24 * 3_600;

/// Reads them again at each message of `wanted`, until its sender is dropped. `tell` says to a person what came of it.
///
/// # Errors
/// When the system has no thread left.
pub fn renew_certificates(
    certificates: Arc<Certificates>,
    wanted: Receiver<()>,
    tell: impl Fn(&str) + Send + 'static,
) -> io::Result<()> {
    let mut said = None;
    let mut look = move |is_wanted: bool| {
        if is_wanted || left(&certificates).as_secs() < FEW_DAYS * DAY {
            if let Err(why) = certificates.reload() {
                tell(&format!("the certificates that were read before stay in use: {why}"));
            } else if is_wanted {
                tell(&format!("the certificates were read again: {}", ending(left(&certificates))));
            }
        }
        let now = left(&certificates).as_secs() / DAY;
        if now < FEW_DAYS && said != Some(now) {
            said = Some(now);
            let ending = ending(left(&certificates));
            tell(&format!(
                "the certificate {ending}: make a new one ('node certs --help'), which is read then"
            ));
        }
    };
    let watch = move || {
        look(false);
        loop {
            match wanted.recv_timeout(LOOK_EVERY) {
                Ok(()) => look(true),
                Err(RecvTimeoutError::Timeout) => look(false),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    thread::Builder::new().name("certificates".to_string()).spawn(watch).map(drop)
}

fn left(certificates: &Certificates) -> Duration {
    certificates.expires().duration_since(SystemTime::now()).unwrap_or_default()
}

fn ending(left: Duration) -> String {
    match (left.as_secs() / DAY, left.as_secs() / 3_600) {
        (0, 0) if left.is_zero() => "has expired, and no new connection takes it".to_string(),
        (0, hours) => format!("expires in {hours} h"),
        (1, _) => "expires in 1 day".to_string(),
        (days, _) => format!("expires in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_in_days() {
        let told = |hours: u64| ending(Duration::from_secs(hours * 3_600));
        assert_eq!(told(9 * 24 + 5), "expires in 9 days");
        assert_eq!(told(25), "expires in 1 day");
        assert_eq!(told(23), "expires in 23 h");
        assert_eq!(told(0), "has expired, and no new connection takes it");
    }
}
