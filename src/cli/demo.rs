//! `keybench demo`: the main job, as it is, on simulated keys, with simulated hands, against a simulated tenant over HTTP.
//!
//! Promise: what it writes is what a real run writes, in one folder, and the commands it names at the end work on it. It
//! reads no settings of this account. It succeeds when the day ended as its scenario says, with exactly the refusals that
//! are part of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::output::{Level, Style};
use super::run::{Asked, RunArgs, Stand, execute, prepare};
use super::{CliError, Context, Exit, Global, Output};
use crate::pin::keygen;
use crate::pipeline::bench::Ports;
use crate::pipeline::progress::{FinishedJob, Progress, Summary};
use crate::platform::private::{PrivateError, Readers, create_private_dir, write_atomic};
use crate::provision::Bounds;
use crate::rehearsal::{Rehearsal, RehearsalError};
use crate::sim::operator::Day;
use crate::sim::scenario::{Expected, Scenario};
use crate::sim::tenant::{RunningTenant, TenantSpec, start};

/// `keybench demo`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench demo
  keybench demo --keys 40 --ports 8 --seed 7
  keybench demo --json | jq -c 'select(.event == \"finished\")'")]
pub struct DemoArgs {
    /// Keys to provision [else 12 people and what a bench meets in a day]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub keys: Option<u32>,
    /// Ports of the simulated hub
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub ports: u32,
    /// Same seed, same day
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// A new folder for ledger, manifest and custodian's identity [else one among the temporary files]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Without a key for so long, the demonstration is over.
const IDLE: Duration = Duration::from_secs(20);
/// This tenant shows what it accepted at once; a longer wait would only be seen as a pause.
const LIST_LAG: Duration = Duration::from_secs(3);
/// People in a made-up day when only a seed is given.
const USUAL_KEYS: u32 = 12;

/// The day that is asked for: the embedded one, unless keys or seed ask for another.
fn scenario(args: &DemoArgs) -> Scenario {
    let ports = args.ports as usize;
    match (args.keys, args.seed) {
        (None, None) => Scenario { ports, ..Scenario::demo() },
        (keys, seed) => Scenario::generated(keys.unwrap_or(USUAL_KEYS), ports, seed.unwrap_or(1)),
    }
}

/// Plays the day.
///
/// # Errors
/// When it can't begin, or the run has to stop.
pub fn run(context: &Context<'_>, args: &DemoArgs) -> Result<Exit, CliError> {
    play(context, &scenario(args), args.out.as_deref())
}

/// Plays a scenario in a folder and compares how it ended.
///
/// # Errors
/// When it can't begin, or the run has to stop.
pub fn play(context: &Context<'_>, scenario: &Scenario, out: Option<&Path>) -> Result<Exit, CliError> {
    let tenant = open_tenant(scenario)?;
    let folder = Folder::new(out)?;
    folder.furnish(scenario, &tenant)?;
    let output = context.output;
    output.progress(&format!(
        "{}.\nSimulated keys, hands and tenant ({}); the rest is real.",
        scenario.title, tenant.graph_url
    ));

    let settings = folder.path("keybench.toml");
    let global = Global { config: Some(settings.clone()), ..context.global.clone() };
    // This account's own settings in the environment would point at its real tenant and ledger.
    let inside = Context { global: &global, output, environment: &|_| None };
    let prepared = prepare(&inside, &roster_only(folder.path("roster.csv")))?;
    let rehearsal = Rehearsal::of_scenario(scenario, None).map_err(no_rehearsal)?;
    let first: Mutex<Option<FinishedJob>> = Mutex::default();
    let heard = |progress: &Progress| {
        if let Progress::Finished(job) = progress {
            first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| job.clone());
        }
        rehearsal.heard(progress);
    };
    let asked = Asked {
        group: None,
        ports: Ports::All,
        strict: false,
        bounds: Bounds {
            idle: IDLE,
            list_lag: LIST_LAG,
            // These hands err only where the scenario says so; what follows sooner than half a touch was one movement.
            touches_apart: scenario.timings().touch / 2,
            ..Bounds::default()
        },
        resume_dir: folder.path("resume"),
        traffic: None,
        stand: Some(Stand {
            ports: rehearsal.ports(),
            heard: &heard,
            roots: Rehearsal::roots(),
            count: scenario.ports,
        }),
    };
    let (exit, report) = execute(&inside, prepared, asked)?;
    let day = rehearsal.finish();
    tenant.shutdown();
    let Some(report) = report else { return Ok(exit) };
    export_manifest(&settings, &folder.path("manifest.csv"));
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    let differences =
        if exit == Exit::Interrupted { Vec::new() } else { differences(&scenario.expect, &report.summary, &day) };
    match (exit, differences.is_empty()) {
        (Exit::Interrupted, _) => {}
        (_, true) => output.progress("The day went as scripted."),
        (_, false) => {
            output.progress("The day did not go as scripted:");
            differences.iter().for_each(|difference| output.progress(&format!("  {difference}")));
            output.progress("Next: please report this, with the folder named below.");
        }
    }
    folder.close(output, &settings, first.as_ref());
    Ok(match exit {
        Exit::Interrupted => exit,
        _ if differences.is_empty() => Exit::Done,
        _ => Exit::SomeFailed,
    })
}

pub(super) fn open_tenant(scenario: &Scenario) -> Result<RunningTenant, CliError> {
    let wrong = |cause: String| {
        let next = "see the reason; docs/SIMULATOR.md describes the simulated tenant.";
        CliError::new(Exit::Usage, "sim-tenant", "The simulated tenant could not be started.", next).because(cause)
    };
    let spec: TenantSpec =
        scenario.tenant.clone().try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    start(spec, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(|error| wrong(error.to_string()))
}

fn no_rehearsal(error: RehearsalError) -> CliError {
    CliError::new(
        Exit::Fault,
        "unexpected",
        "The simulated keys can't be made.",
        "run it again; report it if it stays so.",
    )
    .because(error.to_string())
}

pub(super) fn roster_only(roster: PathBuf) -> RunArgs {
    RunArgs {
        traffic: None,
        roster: Some(roster),
        group: None,
        ports: Vec::new(),
        sim_keys: None,
        batch: None,
        release: None,
        strict: false,
        idle: None,
        allow_privileged: Vec::new(),
        give_up: Vec::new(),
    }
}

/// Where everything goes.
pub(super) struct Folder {
    directory: PathBuf,
}

impl Folder {
    /// A folder with nothing of an earlier demonstration in it.
    pub(super) fn new(wish: Option<&Path>) -> Result<Self, CliError> {
        let unwritable = |directory: &Path, cause: String| {
            let fact = format!("The folder {} can't be used.", directory.display());
            CliError::new(Exit::Usage, "unwritable", fact, "choose a new folder with --out.").because(cause)
        };
        let directory = match wish {
            // Commands that are shown at the end have to work from anywhere.
            Some(wish) => std::path::absolute(wish).map_err(|error| unwritable(wish, error.to_string()))?,
            None => {
                let place = std::env::temp_dir();
                loop {
                    let mut name = [0u8; 2];
                    getrandom::fill(&mut name).map_err(|error| unwritable(&place, error.to_string()))?;
                    let directory = place.join(format!("keybench-demo-{:04x}", u16::from_be_bytes(name)));
                    if !directory.exists() {
                        break directory;
                    }
                }
            }
        };
        if directory.join("keybench.toml").exists() {
            return Err(unwritable(&directory, "An earlier demonstration is in it.".to_owned()));
        }
        create_private_dir(&directory).map_err(|error| unwritable(&directory, error.to_string()))?;
        Ok(Self { directory })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), CliError> {
        write_atomic(&self.path(name), content, Readers::OnlyMe).map_err(|error: PrivateError| {
            let fact = format!("{} can't be written.", self.path(name).display());
            CliError::new(Exit::Usage, "unwritable", fact, "choose another folder with --out.")
                .because(error.to_string())
        })
    }

    /// Everything that a bench starts with.
    pub(super) fn furnish(&self, scenario: &Scenario, tenant: &RunningTenant) -> Result<(), CliError> {
        let custodian = keygen(Timestamp::now());
        let settings = format!(
            "# Settings of a demonstration. Its tenant was simulated and is gone; ledger and files can be looked at.\n\
             [tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"client-secret\"\n\
             graph_url = \"{}\"\nlogin_url = \"{}\"\n\n\
             [escrow]\nrecipients = [\"{}\"]\n\n\
             [ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n\n\
             [bench]\nname = \"demo-bench\"\n",
            tenant.tenant_id,
            tenant.client_id,
            tenant.graph_url,
            tenant.login_url,
            custodian.recipient(),
        );
        let roster = if scenario.roster.is_empty() {
            // No UPN has a comma, a quote or a line break in it.
            tenant.upns.iter().fold("upn\n".to_owned(), |roster, upn| roster + upn + "\n")
        } else {
            scenario.roster.clone()
        };
        self.write("client-secret", tenant.client_secret.as_bytes())?;
        self.write("custodian.key", custodian.expose_file().as_bytes())?;
        self.write("roster.csv", roster.as_bytes())?;
        self.write("keybench.toml", settings.as_bytes())
    }

    /// Where the files are, and what to try on them.
    fn close(&self, output: &Output, settings: &Path, first: Option<&FinishedJob>) {
        output.answer(&format!("\nEverything is in {}", self.directory.display()));
        let files = [
            ("keybench.toml", "the settings"),
            ("roster.csv", "who was to get a key"),
            ("ledger.db", "what happened; PINs sealed"),
            ("mirror", "the ledger's second copy"),
            ("manifest.csv", "which key is whose, for shipping; never a PIN"),
            ("custodian.key", "opens the PINs; at a real bench the custodian has it"),
        ];
        for (name, what) in files.iter().filter(|(name, _)| self.path(name).exists()) {
            output.answer(&format!("  {name:<14} {what}"));
        }
        let Some(first) = first else { return };
        let program = format!("{} --config {}", program(), shell_word(&settings.display().to_string()));
        let more = if cfg!(windows) { " " } else { " \\\n      " };
        output.answer("\nThree commands to try next:");
        output.answer(&format!("  {program} status"));
        output.answer(&format!("  {program} show {}", first.job));
        output.answer(&format!(
            "  {program}{more}escrow open --identity {}{more}--job {} --as Custodian --reason \"trying it out\" --to-stdout",
            shell_word(&self.path("custodian.key").display().to_string()),
            first.job,
        ));
    }
}

/// The command of that name, as a person would give it. The answer is in the file.
fn export_manifest(settings: &Path, manifest: &Path) {
    let quiet =
        Style { json: false, color: false, level: Level::Normal, stdout_is_terminal: false, stderr_is_terminal: false };
    let output = Output::new(Box::new(std::io::sink()), Box::new(std::io::sink()), quiet);
    let words: [&std::ffi::OsStr; 7] = [
        "keybench".as_ref(),
        "--config".as_ref(),
        settings.as_ref(),
        "export".as_ref(),
        "manifest".as_ref(),
        "--out".as_ref(),
        manifest.as_ref(),
    ];
    super::run_command_line(words.map(std::ffi::OsStr::to_owned), &output, &|_| None);
}

/// This program as it can be called from here: by its name where the shell finds it, else by its path.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "keybench".to_owned() };
    let in_path = |folder: &Path| {
        std::env::var_os("PATH").is_some_and(|all| std::env::split_paths(&all).any(|found| found == folder))
    };
    if path.parent().is_some_and(in_path) {
        return path.file_stem().map_or_else(|| "keybench".to_owned(), |name| name.to_string_lossy().into_owned());
    }
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    shell_word(&short.filter(|short| short.components().count() > 1).unwrap_or(path).display().to_string())
}

/// Quoted where a shell would see more than one word, or a comment.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:@+=~".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("\"{text}\"") }
}

/// What ended otherwise than the scenario says.
fn differences(expect: &Expected, summary: &Summary, day: &Day) -> Vec<String> {
    let counts = &summary.counts;
    let exact = [
        ("planned", expect.planned, counts.planned),
        ("finished", expect.finished, counts.finished),
        ("failed", expect.failed, counts.failed),
        ("refused", expect.refused, counts.refused),
        ("parked", expect.parked, counts.parked),
        ("keys refused", expect.keys_refused, counts.keys_refused),
    ];
    let least = [
        ("repeated Graph requests", expect.graph_retries_at_least, summary.graph_retries),
        ("keys that left early", expect.early_pulls_at_least, day.early_pulls),
    ];
    let exact = exact.into_iter().filter_map(|(what, wanted, seen)| {
        wanted.filter(|wanted| *wanted != seen).map(|wanted| format!("{what}: {seen} instead of {wanted}"))
    });
    let least = least.into_iter().filter_map(|(what, wanted, seen)| {
        wanted.filter(|wanted| *wanted > seen).map(|wanted| format!("{what}: {seen}, at least {wanted} were due"))
    });
    exact.chain(least).collect()
}

#[cfg(test)]
#[path = "demo_tests.rs"]
mod tests;
