//! A state for the snapshots of these tests: so many keys, as the index that it stands for decides.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;

use raftlab::state_machine::image::Image;

/// The state after the entry of some index.
#[derive(PartialEq, Eq, Debug)]
pub struct Table(BTreeMap<String, u64>);

impl Table {
    pub fn at(index: u64) -> Table {
        Table((1..=index).map(|key| (format!("key-{key}"), key)).collect())
    }

    pub fn of(image: Box<dyn Image>) -> Table {
        *image.into_any().downcast().expect("the test's own image")
    }
}

impl Image for Table {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        Ok(serde_json::to_writer(out, &self.0)?)
    }

    fn size(&self) -> usize {
        self.0.len()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

pub fn load_table(text: &mut dyn io::Read) -> Result<Box<dyn Image>, String> {
    let table = serde_json::from_reader(io::BufReader::new(text)).map_err(|error| error.to_string())?;
    Ok(Box::new(Table(table)))
}
