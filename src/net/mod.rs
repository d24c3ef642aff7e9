//! How messages travel: what is carried, the faults a link may have, and the router thread.

pub mod packet;
