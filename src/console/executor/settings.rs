//! `set`: the core's settings, shown and changed while the cluster runs.

use serde_json::{Map, Value};

use super::notes;
use super::rows::{Row, Run, verb};
use super::slots::{RESTORE, SETTING, TO};
use super::{Console, not_done};
use crate::config::RaftSettings;
use crate::config::named::{NAMES, meaning_of};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::text::layout::{Align, table, wrap};

/// How wide the meaning of a setting is written.
const WIDTH: usize = 78;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("set", Topic::Time, &[SETTING, TO, RESTORE])
        .does("changes a setting of every node; alone, shows all of them", "set election 1s..2s")
        .noting(notes::SET)
        .shows("5.6: broadcast time well below election timeouts, these below time between failures"),
    Console::set,
)];

impl Console {
    fn set(&mut self, line: &Directive) -> Answer {
        let value = line.get::<String>(&TO);
        match (line.get::<&'static str>(&SETTING), value, line.has(&RESTORE)) {
            (None, _, true) => self.restore_settings(),
            (None, _, false) => self.list_settings(),
            (Some(_), _, true) => {
                Answer::failed("set", "'--restore' restores every setting: leave out SETTING")
            }
            (Some(name), None, false) => self.show_setting(name),
            (Some(name), Some(value), false) => self.change_setting(name, value),
        }
    }

    fn change_setting(&mut self, name: &'static str, value: &str) -> Answer {
        let before = self.lab.settings().now.clone();
        let changed = match before.with_named(name, value) {
            Ok(changed) => changed,
            Err(error) => return Answer::failed("set", error),
        };
        let (was, is) = (shown(&before, name), shown(&changed, name));
        match self.lab.configure(changed) {
            Ok(()) if was == is => Answer::ok("set", format!("{name} is {is} already")),
            Ok(()) => {
                let text = format!("{name} {is} on every node, was {was}");
                Answer::ok("set", text).with("setting", name).with("value", is).with("was", was)
            }
            Err(error) => not_done("set", &error),
        }
    }

    fn restore_settings(&mut self) -> Answer {
        let (now, start) = (self.lab.settings().now.clone(), self.lab.settings().at_start.clone());
        let differs = |name: &&'static str| shown(&now, name) != shown(&start, name);
        let changed = listed().filter(differs).map(|name| format!("{name} {}", shown(&start, name)));
        let changed: Vec<String> = changed.collect();
        match self.lab.configure(start) {
            Ok(()) if changed.is_empty() => Answer::ok("set", "every setting is as it was at the start"),
            Ok(()) => Answer::ok("set", format!("restored: {}", changed.join(", "))),
            Err(error) => not_done("set", &error),
        }
    }

    fn show_setting(&mut self, name: &'static str) -> Answer {
        let (is, start) = (shown(&self.lab.settings().now, name), shown(&self.lab.settings().at_start, name));
        let default = shown(&RaftSettings::default(), name);
        let mut lines = vec![format!("{name} {is} (at the start {start}, by default {default})")];
        lines.extend(wrap(&meaning_of(name), WIDTH).into_iter().map(|line| format!("  {line}")));
        Answer::ok("set", lines.join("\n")).with("setting", name).with("value", is)
    }

    fn list_settings(&self) -> Answer {
        let settings = self.lab.settings();
        let head = ["SETTING", "VALUE", "AT START", "DEFAULT"].map(str::to_string).to_vec();
        let row = |name: &str| {
            let texts =
                [&settings.now, &settings.at_start, &RaftSettings::default()].map(|one| shown(one, name));
            std::iter::once(name.to_string()).chain(texts).collect()
        };
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(listed().map(row)).collect();
        let details = NAMES.iter().map(|name| ((*name).to_string(), Value::from(shown(&settings.now, name))));
        let details: Map<String, Value> = details.collect();
        Answer::ok("set", table(&rows, &[Align::Left; 4]).join("\n")).with("settings", details)
    }
}

/// The names without those of the two ends of one range.
fn listed() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(|name| !name.starts_with("election_"))
}

fn shown(settings: &RaftSettings, name: &str) -> String {
    settings.named(name).expect("each name is a setting")
}
