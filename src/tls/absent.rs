//! What stands for certificates in a build without them: there are none, so nothing here ever runs.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{Holder, Opened, Role};
use crate::storage::ClusterId;
use crate::types::NodeId;

/// There are none in this build.
#[derive(Debug)]
pub enum Certificates {}

impl Certificates {
    /// # Errors
    /// Always: the program was built without the feature.
    pub fn open(_: &Path, _: &Holder, _: ClusterId) -> Result<Certificates, String> {
        Err("this program was built without certificates: build it with --features tls".to_string())
    }

    /// # Errors
    /// Never.
    pub fn reload(&self) -> Result<(), String> {
        match *self {}
    }

    pub fn expires(&self) -> SystemTime {
        match *self {}
    }

    pub(crate) fn dial(&self, _: NodeId) -> Result<Session, String> {
        match *self {}
    }

    pub(crate) fn accept(&self) -> Result<Session, String> {
        match *self {}
    }
}

/// There are none in this build.
#[derive(Debug)]
pub enum Session {}

impl Session {
    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn advance(&self, _: &mut &[u8]) -> Result<(), String> {
        match *self {}
    }

    pub(crate) fn open(&self, _: &mut &[u8], _: &mut [u8]) -> io::Result<Opened> {
        match *self {}
    }

    pub(crate) fn seal(&self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn close(&self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn role(&self) -> Result<Role, String> {
        match *self {}
    }
}
