//! What is wrong with bytes that came over a connection. Each ends it.

/// Bytes that are no frame, or a frame that must not be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    #[error("it is no process of this program: its first bytes are others")]
    Stranger,
    #[error("it speaks TLS, and this process has no certificates: name them in cluster.toml")]
    Encrypted,
    #[error("a frame of {length} bytes: at most {limit} are taken")]
    TooLong { length: u32, limit: usize },
    #[error("a frame of no bytes: the first names its kind")]
    Empty,
    #[error("a frame of kind {0}, which this program does not know")]
    UnknownKind(u8),
    #[error("a frame that is no {kind}: {problem}")]
    Malformed { kind: &'static str, problem: String },
}
