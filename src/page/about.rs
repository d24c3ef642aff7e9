//! Where the numbers of a report come from: when, by which program, on which machine.

use std::fs;
use std::time::SystemTime;

use serde::Serialize;

/// When and where a report was made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Origin {
    /// As `2026-01-31T12:00:00Z`.
    pub date: String,
    pub version: &'static str,
    /// Optimized or not: figures of a debug build say little.
    pub build: &'static str,
    pub system: String,
    /// The processor, where the system tells.
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
}

impl Origin {
    /// Of a report that is made now, here.
    pub fn here() -> Origin {
        let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let words = [std::env::consts::OS, kernel.trim(), std::env::consts::ARCH];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        Origin {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            version: env!("CARGO_PKG_VERSION"),
            build,
            system: words.join(" "),
            processor: fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| processor(&text)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// The rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let Origin { date, version, build, system, processor, cores } = self;
        let date = date.replace('T', " ").replace('Z', " UTC");
        let cores = if *cores == 1 { "1 core".to_string() } else { format!("{cores} cores") };
        let machine = match processor {
            Some(processor) => format!("{cores} ({processor}), {system}"),
            None => format!("{cores}, {system}"),
        };
        let rows = [("date", date), ("program", format!("raftlab {version}, {build}")), ("machine", machine)];
        rows.map(|(name, value)| (name.to_string(), value)).into()
    }
}

/// The model of the first processor of `/proc/cpuinfo`.
fn processor(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_names_time_program_and_machine() {
        let origin = Origin { date: "2026-01-31T12:00:00Z".to_string(), ..Origin::here() };
        let rows = origin.rows();
        assert_eq!(rows[0].1, "2026-01-31 12:00:00 UTC");
        assert!(rows[1].1.starts_with("raftlab ") && rows[1].1.ends_with(" build"), "{rows:?}");
        assert!(rows[2].1.contains(" core") && rows[2].1.contains(std::env::consts::OS), "{rows:?}");
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(processor(""), None);
    }
}
