//! A real etcd under load: clients that speak its JSON, and members that a program starts and breaks.
//!
//! A client ([`EtcdCaller`]) makes the calls of a load, so that history, checker and report are those of a raftlab cluster.
//! [`EtcdLab`] is the console's side: who leads, and what can be done to a member's process.
//!
//! Architecture invariant: no command is ever sent twice. Once its first byte may have left, an error leaves its outcome
//! unknown.

mod caller;
mod gateway;
mod lab;
mod members;
mod requests;
mod watch;

pub use self::caller::EtcdCaller;
pub use self::lab::{EtcdLab, Place};
pub use self::members::run_member;
