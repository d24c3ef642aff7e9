//! What stands for the gateway in a build without it: there is none, so nothing here ever runs.

use std::net::SocketAddr;

use super::Site;

/// There is none in this build.
#[derive(Debug)]
pub enum Door {}

/// There is none in this build.
#[derive(Debug)]
pub enum Gateway {}

impl Door {
    /// # Errors
    /// Always: the program was built without the feature.
    pub fn open(_: &str) -> Result<Door, String> {
        Err("--http: this program was built without the gateway: build it with --features http".to_string())
    }

    pub fn address(&self) -> SocketAddr {
        match *self {}
    }

    /// # Errors
    /// Never.
    pub fn serve(self, _: Site) -> Result<Gateway, String> {
        match self {}
    }
}

impl Gateway {
    pub fn close(&self) {
        match *self {}
    }
}
