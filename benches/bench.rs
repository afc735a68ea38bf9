//! How busy one pair of hands is kept: the figures of docs/FIGURES.md.
//!
//! ```text
//! cargo bench --bench bench                          everything, about five minutes
//! cargo bench --bench bench -- --ports 8,16 --latency 150 --keys 50
//! ```
//!
//! Everything is real but keys, hands and tenant: HTTP over loopback, sealing, a synced ledger with every commit. Human
//! times are a tenth of those measured at benches: plug 150 ms, touch 70 ms, unplug and label 200 ms. Keys wait 3 s for a
//! touch. Time runs from the first plug to the last label. CPU time is this process's, which the simulated keys (OpenSK)
//! and the tenant share.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use keybench::graph::{Cancel, Cloud, DevicePrompt, Flow, Graph, GraphSettings, SignIn, SignInPrompt, SignInSettings};
use keybench::ledger::{Opening, open_writer};
use keybench::model::{BenchId, JobId, ReleaseRule, Secret, TenantId};
use keybench::pin::{DirResumeStore, PinPolicy, Recipients, keygen};
use keybench::pipeline::bench::Ports;
use keybench::pipeline::progress::Progress;
use keybench::provision::{Bounds, Listener, Machine, Request, Start, provision};
use keybench::rehearsal::Rehearsal;
use keybench::roster::{Refusal, Roster, Warning};
use keybench::sim::operator::Timings;
use keybench::sim::tenant::{TenantSpec, people_default, start};
use keybench::world::{Clock, Operator, SystemClock, SystemEntropy};

/// A tenth of human time.
const SCALE: f64 = 0.1;
/// On one port the share settles early; the minutes are better spent elsewhere.
const KEYS_ON_ONE_PORT: usize = 30;

struct Plan {
    ports: Vec<usize>,
    latencies: Vec<u64>,
    keys: usize,
}

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(what) => {
            say(&format!(
                "{what}\nusage: cargo bench --bench bench -- [--ports 1,4,8,16] [--latency 40,150] [--keys N]"
            ));
            return ExitCode::from(2);
        }
    };
    say("ports  Graph     keys   busy     keys/h   requests/key  repeats+polls  CPU/key");
    for latency in &plan.latencies {
        for ports in &plan.ports {
            let keys = if *ports == 1 { plan.keys.min(KEYS_ON_ONE_PORT) } else { plan.keys };
            match measure(*ports, *latency, keys) {
                Ok(line) => say(&line),
                Err(error) => {
                    say(&format!("{ports} ports at {latency} ms: {error}"));
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn plan(arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan { ports: vec![1, 4, 8, 16], latencies: vec![40, 150], keys: 100 };
    // Cargo adds --bench to what a benchmark is called with.
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let wrong = |_| format!("{name} {value}: numbers, with commas between them");
        match name.as_str() {
            "--ports" => plan.ports = value.split(',').map(str::parse).collect::<Result<_, _>>().map_err(wrong)?,
            "--latency" => {
                plan.latencies = value.split(',').map(str::parse).collect::<Result<_, _>>().map_err(wrong)?
            }
            "--keys" => plan.keys = value.parse().map_err(wrong)?,
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(plan)
}

#[allow(clippy::print_stdout)] // a benchmark's answer is its output
fn say(line: &str) {
    println!("{line}");
}

struct Nobody;

impl Operator for Nobody {
    fn confirm_unless(&self, _: &str, _: &str, _: &dyn Fn() -> bool) -> bool {
        false
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        false
    }
}

impl SignInPrompt for Nobody {
    fn device_code(&self, _: &DevicePrompt) {}
}

struct ToHands<'a>(&'a Rehearsal);

impl Listener for ToHands<'_> {
    fn weighed(&self, _: &keybench::tenant::preflight::verdict::Together<'_>) {}
    fn note(&self, _: &str) {}
    fn warned(&self, _: &Warning) {}
    fn refused(&self, _: &Refusal, _: Option<&JobId>) {}
    fn started(&self, _: &Start<'_>) {}
    fn happened(&self, progress: &Progress) {
        self.0.heard(progress);
    }
}

type Failed = Box<dyn std::error::Error>;

/// One line of the table.
fn measure(ports: usize, latency_ms: u64, keys: usize) -> Result<String, Failed> {
    let folder = tempfile::tempdir()?;
    let spec = TenantSpec { people: people_default(keys, 1), latency_ms, ..TenantSpec::default() };
    let tenant = start(spec, "127.0.0.1:0".parse()?)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy = Arc::new(SystemEntropy);
    let ledger = open_writer(&Opening {
        path: folder.path().join("ledger.db"),
        mirror: None,
        bench: BenchId::new("benchmark"),
        clock: Arc::clone(&clock),
        entropy: &SystemEntropy,
    })?;
    let resume = DirResumeStore::open(folder.path().join("resume"))?;
    let graph = connect(&tenant.graph_url, &tenant.tenant_id, &tenant.client_id, &tenant.client_secret, &clock)?;
    let roster: String =
        std::iter::once("upn\n".to_owned()).chain(tenant.upns.iter().map(|upn| format!("{upn}\n"))).collect();
    let rehearsal = Rehearsal::with_blank_keys(ports, Timings::HUMAN.scaled(SCALE), None)?;
    let interrupted = AtomicBool::new(false);
    let machine = Machine {
        clock,
        entropy,
        ports: rehearsal.ports(),
        operator: &Nobody,
        simulated: true,
        simulator_roots: Rehearsal::roots(),
        interrupted: &interrupted,
    };
    let request = Request {
        tenant: TenantId::new(&tenant.tenant_id),
        recipients: Recipients::single(&[keygen(machine.clock.now()).recipient().to_owned()])
            .map_err(|errors| format!("{errors:?}"))?,
        hold: None,
        pins: PinPolicy::default(),
        leave_off: false,
        allowed_group: None,
        never: Default::default(),
        only: None,
        key_name: "{model} {serial}",
        mds: None,
        roster: Some(Roster::read("benchmark.csv", roster.as_bytes()).map_err(|error| error.lines().join("\n"))?),
        group: None,
        source: "benchmark.csv".to_owned(),
        batch: None,
        release: ReleaseRule::OnReceipt,
        release_asked: None,
        allow_privileged: Vec::new(),
        give_up: Vec::new(),
        ports: Ports::All,
        strict: false,
        operator_name: "benchmark".to_owned(),
        bounds: Bounds {
            idle: Duration::from_secs(30),
            // A second, at a tenth of human time.
            touches_apart: Duration::from_millis(100),
            ..Bounds::default()
        },
    };
    let cpu_before = cpu_seconds();
    let report = provision(request, &machine, &graph, &ledger, &resume, &ToHands(&rehearsal))?;
    let cpu = cpu_before.zip(cpu_seconds()).map(|(before, after)| (after - before) / keys as f64 * 1e3);
    let day = rehearsal.finish();
    if report.summary.counts.finished != keys as u64 {
        return Err(format!("only {} of {keys} keys were finished", report.summary.counts.finished).into());
    }
    let state = tenant.state();
    let asked: u64 = ["creationOptions", "register", "get", "list", "delete"]
        .iter()
        .filter_map(|kind| state["requests"][kind].as_u64())
        .sum();
    let repeats = report.summary.graph_retries;
    let per_hour = keys as f64 / day.meter.span.as_secs_f64() * 3600.0;
    let cpu = cpu.map_or_else(|| "not measured".to_owned(), |ms| format!("{ms:.0} ms"));
    Ok(format!(
        "{ports:>5}  {latency_ms:>3} ms  {keys:>6}  {:>5.1} %  {per_hour:>7.0}  {:>13.2}  {repeats:>13}  {cpu:>8}",
        day.meter.share() * 100.0,
        asked.saturating_sub(repeats) as f64 / keys as f64,
    ))
}

fn connect(base: &str, tenant: &str, client_id: &str, secret: &str, clock: &Arc<dyn Clock>) -> Result<Graph, Failed> {
    let cloud = Cloud::from_settings(Some(base), Some(base))?;
    let settings = GraphSettings::new(cloud.clone());
    let sign_in = SignIn::new(
        SignInSettings {
            cloud,
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            flow: Flow::Secret(Secret::new(secret.to_owned())),
            timeouts: settings.timeouts,
            budget: settings.budget,
            cancel: Cancel::new(),
        },
        Arc::clone(clock),
        Arc::new(Nobody),
    )?;
    Ok(Graph::connect(settings, Arc::new(sign_in), Arc::clone(clock), Arc::new(|_| {}))?)
}

/// User and system time of this process so far; where the system tells it in a file.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): the name in parentheses may hold spaces; utime and stime are fields 14 and 15, in ticks of 1/100 s.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / 100.0)
}
