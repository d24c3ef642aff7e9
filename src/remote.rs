//! A cluster of processes, as the process of a client or a console has it: a router whose destinations are links.

pub mod clients;
