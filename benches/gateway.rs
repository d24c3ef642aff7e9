//! What the gateway costs: the same load on one cluster of processes, in turns by the binary protocol and by HTTP in etcd's
//! JSON, through the gateway of the cluster's console.
//!
//! `cargo bench --features http,etcd --bench gateway` measures 1, 16 and 64 clients, each with one call under way; `-- 4 16` other
//! numbers of them. `--rounds N` and `--seconds S` say how often and how long. Figures are medians of the rounds, and so are the
//! multiples, each taken within one round. Nothing here fails when a machine is slow.

#![expect(clippy::print_stdout, reason = "it is a program that prints a table")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use raftlab::Settings;
use raftlab::config::cluster_file::ClusterFile;
use raftlab::experiment::{Engine, Experiment};
use raftlab::interrupt::Interrupt;
use raftlab::load::{Amount, Plan, WorkloadSettings};
use raftlab::remote::RemoteCluster;
use raftlab::tls::Security;

/// How long a client tries: no slow disk makes a command fail.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is to be measured.
struct Wanted {
    rounds: usize,
    seconds: u64,
    clients: Vec<usize>,
}

/// A cluster of processes with a gateway, which ends with this.
struct Cluster {
    child: Child,
    host: String,
    remote: RemoteCluster,
}

/// Operations a second, and microseconds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Figure {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn main() -> Result<(), String> {
    let wanted = Wanted::read()?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let cluster = Cluster::start(folder.path())?;
    println!(
        "three processes on a disk; each client puts 16 bytes, one call at a time; {} s a run",
        wanted.seconds
    );
    println!("clients     binary/s  p50 us  p99 us       HTTP/s  p50 us  p99 us     HTTP by binary");
    let mut run = 0;
    for clients in &wanted.clients {
        let mut rounds = Vec::new();
        for _ in 0..wanted.rounds {
            let mut measure = |is_binary| {
                run += 1;
                cluster.measure(*clients, wanted.seconds, run, is_binary)
            };
            rounds.push((measure(true)?, measure(false)?));
        }
        let of = |value: fn(&(Figure, Figure)) -> f64| median(rounds.iter().map(value).collect());
        println!(
            "{clients:7} {:12.0} {:7.0} {:7.0} {:12.0} {:7.0} {:7.0}     {:.2} x the rate, {:.2} x the p50",
            of(|(binary, _)| binary.rate),
            of(|(binary, _)| binary.p50),
            of(|(binary, _)| binary.p99),
            of(|(_, http)| http.rate),
            of(|(_, http)| http.p50),
            of(|(_, http)| http.p99),
            of(|(binary, http)| http.rate / binary.rate),
            of(|(binary, http)| http.p50 / binary.p50),
        );
    }
    Ok(())
}

impl Wanted {
    fn read() -> Result<Wanted, String> {
        let mut wanted = Wanted { rounds: 3, seconds: 3, clients: Vec::new() };
        // Cargo says that it is to measure.
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let number = if word.starts_with("--") { words.next().unwrap_or_default() } else { word.clone() };
            let number: usize = number.parse().map_err(|_| format!("'{word}' needs a number"))?;
            match word.as_str() {
                "--rounds" => wanted.rounds = number.max(1),
                "--seconds" => wanted.seconds = number.max(1) as u64,
                _ => wanted.clients.push(number.max(1)),
            }
        }
        if wanted.clients.is_empty() {
            wanted.clients = vec![1, 16, 64];
        }
        Ok(wanted)
    }
}

impl Cluster {
    fn start(folder: &Path) -> Result<Cluster, String> {
        let child = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .args(["3", "--processes", "--http", "127.0.0.1:0", "--serve"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("http: http://")?.1.to_string()));
        let host = address.ok_or("the cluster does not start")?.trim_end_matches('/').to_string();
        // What it says from now on is not read, but taken.
        std::thread::spawn(move || lines.for_each(drop));
        let text = std::fs::read_to_string(folder.join("states/cluster.toml"));
        let file = ClusterFile::read(&text.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        let remote = RemoteCluster {
            cluster: file.cluster.parse()?,
            security: Security::Loopback,
            token: file.token,
            addresses: file.addresses,
            settings: file.settings,
        };
        Ok(Cluster { child, host, remote })
    }

    fn measure(&self, clients: usize, seconds: u64, run: usize, is_binary: bool) -> Result<Figure, String> {
        let workload = WorkloadSettings { prefix: format!("{run}-"), ..WorkloadSettings::default() };
        let plan = Plan {
            clients,
            amount: Amount::For(Duration::from_secs(seconds)),
            warm_up: Duration::from_millis(500),
            workload,
            timeout: TIMEOUT,
            kept_max: 0,
            ..Plan::default()
        };
        let experiment = Experiment {
            settings: Settings { client_timeout: TIMEOUT, ..self.remote.settings.clone() },
            remote: is_binary.then(|| self.remote.clone()),
            plan,
            check: false,
            ..Experiment::default()
        };
        let engine = || Engine::EtcdAt(vec![format!("http://{}", self.host)]);
        let experiment = if is_binary { experiment } else { experiment.on(engine()) };
        let report = experiment.run(&Interrupt::new(), &mut |_| {}).map_err(|trouble| trouble.text)?;
        let service = report.load.service.ok_or("nothing was answered")?;
        Ok(Figure { rate: report.load.throughput, p50: service.p50, p99: service.p99 })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The processes end with their console.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
