//! Pages: a report as one HTML file that needs nothing else. No network, no font; light and dark as the reader likes it.
//!
//! A page is made of a few parts: tiles, charts over time, tracks of clients and nodes, a picture of the messages, tables.
//! What a chart shows stands in a title or in a table too, so that a page is whole without its script, which shows
//! readings on hover and by keyboard.

mod about;
mod axis;
mod chart;
pub mod document;
mod happened;
pub mod load;
mod messages;
mod moments;
mod roles;
mod run;
mod scene;
mod tracks;

pub use self::about::Origin;
pub use self::axis::{Axis, Scale, seconds};
pub use self::chart::{Band, BandKind, Chart, Mark, MarkKind, Panel, Series};
pub use self::happened::{Deed, LeaderChange, bands, happened, marks};
pub use self::messages::messages;
pub use self::roles::nodes_tracks;
pub use self::run::RunPage;
pub use self::tracks::{Span, SpanKind, Track, Tracks};
