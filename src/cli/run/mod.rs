//! `keybench run`.

mod shown;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use self::shown::Shown;
use super::connect::connect;
use super::interrupt::{Patience, interrupted};
use super::prompt::Terminal;
use super::{CliError, Context, Exit, heads};
use crate::config::{FirstDevicePolicy, Settings, Tenant};
use crate::ctap2::hid::tap::{Tapped, Writer};
use crate::graph::Cancel;
use crate::ledger::{Opening, RunEnd, open_writer};
use crate::logging::traffic_file;
use crate::model::{BatchId, BenchId, JobId, PortName, ReleaseRule, Upn};
use crate::pin::{DirResumeStore, PinPolicy, Recipients};
use crate::pipeline::bench::{Holding, Ports};
use crate::pipeline::progress::Summary;
use crate::platform::private::create_private_dir;
use crate::platform::who;
use crate::provision::{Bounds, Machine, MetadataFiles, Report, Request, provision};
use crate::roster::Roster;
use crate::roster::decode::LARGEST;
use crate::webauthn::trust::Anchors;
use crate::world::{Clock, Entropy, KeyPorts, Operator as _, SystemClock, SystemEntropy};

/// `keybench run`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench run people.csv
  keybench run people.csv --ports 1-4.1,1-4.2 --idle 10
  keybench run --group \"New starters\" --strict
  keybench run people.csv --batch spring --release on-receipt
  keybench run people.csv --give-up JOB       the key begun for this job is dead or lost
  keybench run people.csv --sim-keys 4        simulated keys, only against a simulated tenant

The roster is CSV with a header line: upn, and if you like serial, keys, key_kind, first_device,
street, postal_code, city, country. Keys that are plugged in when the run starts need a yes, or
naming their ports with --ports.")]
pub struct RunArgs {
    /// Who gets a key: a CSV file
    #[arg(value_name = "ROSTER.csv", required_unless_present = "group")]
    pub roster: Option<PathBuf>,
    /// The members of this group (name or object id); with a roster: only those of the roster who are members
    #[arg(long, value_name = "NAME|ID")]
    pub group: Option<String>,
    /// Ports to use, by name (see keybench key list)
    #[arg(long, value_name = "all|PORT,…", value_delimiter = ',')]
    pub ports: Vec<String>,
    /// Simulated ports with simulated keys and an operator who touches them, until the queue is empty
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub sim_keys: Option<u32>,
    /// What the batch is called, in this run and in those that go on with it [else a number of its own for each roster or group]
    #[arg(long, value_name = "NAME", value_parser = batch_name)]
    pub batch: Option<BatchId>,
    /// When the PINs of this batch may leave: on-receipt or any-time [else handover.release]; kept with the batch, which a later
    /// run can make stricter and not looser
    #[arg(long, value_name = "WHEN", value_parser = release_rule)]
    pub release: Option<ReleaseRule>,
    /// Stop before the first key (exit code 1) if anybody is refused, a check of the tenant warns or is not known, or an
    /// address is not fit for the carrier
    #[arg(long)]
    pub strict: bool,
    /// End after so many minutes without a key
    #[arg(long, value_name = "MIN", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub idle: Option<u32>,
    /// Keep the packets of every key in this folder, secrets blanked, one file for each time a key is plugged in
    #[arg(long, value_name = "DIR")]
    pub traffic: Option<PathBuf>,
    /// This person holds a role and gets a key all the same; may be given several times
    #[arg(long, value_name = "UPN")]
    pub allow_privileged: Vec<String>,
    /// The key begun for this job is dead or lost: delete what it registered and serve the person with another;
    /// may be given several times
    #[arg(long, value_name = "JOB")]
    pub give_up: Vec<String>,
}

/// What a run rests on, read and checked before anything is asked of the tenant or a key.
#[derive(Debug)]
pub struct Prepared {
    /// The settings.
    pub settings: Settings,
    /// What signing in needs.
    pub tenant: Tenant,
    /// The roster; `None` when only a group is given.
    pub roster: Option<Roster>,
    /// What names the batch where it is not named: the roster's full path, else the group as it was given.
    pub source: String,
    /// From `--batch`.
    pub batch: Option<BatchId>,
    /// From `--release`.
    pub release: Option<ReleaseRule>,
    /// From `--allow-privileged`.
    pub allow_privileged: Vec<Upn>,
    /// From `--give-up`.
    pub give_up: Vec<JobId>,
}

/// Reads settings and roster.
///
/// # Errors
/// Everything that is wrong with the first of settings, options and roster that has something wrong; nothing was started.
pub fn prepare(context: &Context<'_>, args: &RunArgs) -> Result<Prepared, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    settings.custodians()?;
    let allow_privileged = args
        .allow_privileged
        .iter()
        .map(|name| {
            Upn::parse(name).ok_or_else(|| {
                let fact = format!("--allow-privileged {name} is not of the form name@domain.");
                CliError::new(Exit::Usage, "usage", fact, "give the person's user principal name.")
            })
        })
        .collect::<Result<_, _>>()?;
    let roster = args.roster.as_deref().map(read_roster).transpose()?;
    let source = match (&args.roster, &args.group) {
        (Some(path), _) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        (None, group) => group.clone().unwrap_or_default(),
    };
    let give_up = args.give_up.iter().map(|job| JobId::new(job.trim())).collect();
    let (batch, release) = (args.batch.clone(), args.release);
    Ok(Prepared { settings, tenant, roster, source, batch, release, allow_privileged, give_up })
}

/// A batch's name is typed, and stands in the ledger for good.
fn batch_name(text: &str) -> Result<BatchId, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.len() {
        1..=40 if text.chars().all(fits) => Ok(BatchId::new(text)),
        _ => Err("a batch's name has 1 to 40 letters, digits, dots and dashes, and no blank".to_owned()),
    }
}

fn release_rule(text: &str) -> Result<ReleaseRule, String> {
    let words = || ReleaseRule::ALL.map(ReleaseRule::word).join(" or ");
    ReleaseRule::ALL.into_iter().find(|rule| rule.word() == text).ok_or_else(|| format!("this is {}", words()))
}

/// Reads a roster file.
///
/// # Errors
/// When it can't be read, or has something wrong.
pub(super) fn read_roster(path: &Path) -> Result<Roster, CliError> {
    let unreadable = |cause: String| {
        let fact = format!("The roster {} can't be read.", path.display());
        CliError::new(Exit::Usage, "roster-unreadable", fact, "check the name and your rights.").because(cause)
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more than a roster may have, so that a larger one is seen to be larger without being read.
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok(Roster::read(&path.display().to_string(), &bytes)?)
}

/// Keys and hands other than this machine's own.
pub struct Stand<'a> {
    /// Its ports.
    pub ports: &'a dyn KeyPorts,
    /// Told of all progress, so that simulated hands know what the screen shows.
    pub heard: &'a (dyn Fn(&crate::pipeline::progress::Progress) + Send + Sync),
    /// What its keys attest under.
    pub roots: Anchors,
    /// How many ports it has.
    pub count: usize,
}

/// What is asked of a run beside its roster.
pub struct Asked<'a> {
    /// `--group`.
    pub group: Option<&'a str>,
    /// `--ports`.
    pub ports: Ports,
    /// `--strict`.
    pub strict: bool,
    /// Times.
    pub bounds: Bounds,
    /// Where resume keys are kept.
    pub resume_dir: PathBuf,
    /// Simulated keys; `None` for this machine's ports.
    pub stand: Option<Stand<'a>>,
    /// `--traffic`.
    pub traffic: Option<PathBuf>,
}

/// `keybench run`, whole.
///
/// # Errors
/// Why it did not start, or had to stop.
pub fn run(context: &Context<'_>, args: &RunArgs) -> Result<Exit, CliError> {
    let prepared = prepare(context, args)?;
    let mut bounds = Bounds { touches_apart: prepared.settings.bench.touch_gap, ..Bounds::default() };
    if let Some(minutes) = args.idle {
        bounds.idle = Duration::from_secs(u64::from(minutes) * 60);
    }
    let asked = Asked {
        group: args.group.as_deref(),
        ports: ports(&args.ports),
        strict: args.strict,
        bounds,
        resume_dir: crate::platform::places::resume_dir(&prepared.settings.data),
        stand: None,
        traffic: args.traffic.clone(),
    };
    match args.sim_keys {
        None => execute(context, prepared, asked).map(|(exit, _)| exit),
        Some(count) => simulated(context, prepared, asked, count),
    }
}

#[cfg(feature = "sim")]
fn simulated(context: &Context<'_>, prepared: Prepared, asked: Asked<'_>, count: u32) -> Result<Exit, CliError> {
    use crate::rehearsal::Rehearsal;
    let count = usize::try_from(count).unwrap_or(1);
    let mut keys = prepared.settings.ledger.path.clone().into_os_string();
    keys.push(".sim-keys");
    if !crate::config::is_loopback(&prepared.tenant.graph_url) {
        return Err(crate::provision::ProvisionError::SimulatedKeys.into());
    }
    // These hands err only where they are told to; what follows sooner than half a touch was one movement.
    let bounds = Bounds { touches_apart: crate::rehearsal::FAST.touch / 2, ..asked.bounds };
    let hands = Rehearsal::with_blank_keys(count, crate::rehearsal::FAST, Some(Path::new(&keys))).map_err(|error| {
        if error.kind() == std::io::ErrorKind::ResourceBusy {
            // They lie beside the ledger: whoever has them has it.
            let path = prepared.settings.ledger.path.clone();
            return crate::ledger::LedgerError::InUse { path, holder: None }.into();
        }
        CliError::new(
            Exit::Usage,
            "sim-keys",
            "The simulated keys can't be kept.",
            format!("make {} a folder that this account can write.", Path::new(&keys).display()),
        )
        .because(error.to_string())
    })?;
    let stand =
        Stand { ports: hands.ports(), heard: &|progress| hands.heard(progress), roots: Rehearsal::roots(), count };
    let outcome = execute(context, prepared, Asked { stand: Some(stand), ports: Ports::All, bounds, ..asked });
    hands.finish();
    outcome.map(|(exit, _)| exit)
}

#[cfg(not(feature = "sim"))]
fn simulated(_: &Context<'_>, _: Prepared, _: Asked<'_>, _: u32) -> Result<Exit, CliError> {
    Err(CliError::new(
        Exit::Usage,
        "not-built",
        "This build has no simulated keys.",
        "use a build with the feature `sim`, or real keys.",
    ))
}

fn ports(named: &[String]) -> Ports {
    match named {
        [] => Ports::Any,
        [one] if one.eq_ignore_ascii_case("all") => Ports::All,
        names => Ports::Named(names.iter().map(PortName::new).collect()),
    }
}

/// Runs what was prepared, on this machine's ports or on a stand.
///
/// # Errors
/// Why it did not start, or had to stop.
pub fn execute(
    context: &Context<'_>,
    prepared: Prepared,
    asked: Asked<'_>,
) -> Result<(Exit, Option<Report>), CliError> {
    let Prepared { settings, tenant, roster, source, batch, release, allow_privileged, give_up } = prepared;
    let recipients =
        Recipients::from_settings(&settings.escrow.first, &settings.escrow.second, settings.escrow.dual())?;
    let pins = PinPolicy::check(&settings.pin.to_policy())?;
    if settings.handover.carrier.is_some()
        && let Some(roster) = &roster
    {
        addresses_first(context, &settings, roster, asked.strict)?;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let interrupted = interrupted();

    if asked.stand.is_none()
        && let Some(advice) = crate::platform::rights::before_the_first_key()
    {
        return Err(CliError::new(Exit::Keys, "no-right", advice.fact, advice.next).because(advice.cause));
    }
    let resume = DirResumeStore::open(&asked.resume_dir)?;
    let ledger = open_writer(&Opening {
        path: settings.ledger.path.clone(),
        mirror: settings.ledger.mirror.clone(),
        bench: BenchId::new(settings.bench.name.clone().unwrap_or_else(who::host)),
        clock: Arc::clone(&clock),
        entropy: &SystemEntropy,
    })?;
    let only = crate::cli::stock::expected(&settings, &ledger)?;
    let count = asked.stand.as_ref().map_or(8, |stand| stand.count);
    let heard = asked.stand.as_ref().map(|stand| stand.heard);
    let shown =
        Shown::new(context.output, count, settings.bench.bell, Arc::clone(&clock), heard).naming(match &asked.ports {
            Ports::Named(names) => names.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        });
    let cancel = Cancel::new();
    let _patience = Patience::with(Arc::clone(&interrupted), cancel.clone());
    let graph = connect(context, &settings, &tenant, &clock, shown.throttle_observer(), cancel)?;

    let terminal = Terminal::new(context.output);
    let usb;
    let (machine_ports, roots, simulated): (&dyn KeyPorts, Anchors, bool) = match &asked.stand {
        Some(stand) => (stand.ports, stand.roots.clone(), true),
        None => {
            usb = crate::ctap2::hid::usb::UsbPorts::new().map_err(|error| {
                CliError::new(Exit::Keys, "no-ports", "Security keys can't be watched.", "run `keybench doctor`.")
                    .because(error.to_string())
            })?;
            (&usb, Anchors::none(), false)
        }
    };
    let tapped;
    let machine_ports = match &asked.traffic {
        None => machine_ports,
        Some(dir) => {
            tapped = Tapped::new(machine_ports, Arc::clone(&clock), traffic_into(dir)?);
            &tapped
        }
    };
    let machine = Machine {
        clock,
        entropy,
        ports: machine_ports,
        operator: &terminal,
        simulated,
        simulator_roots: roots,
        interrupted: &interrupted,
    };
    let activation = &settings.handover.activation;
    let hold = if activation.on_receipt {
        Some(Holding::days(Recipients::single(&activation.recipients)?, activation.days))
    } else {
        None
    };
    let request = Request {
        tenant: tenant.id.clone(),
        recipients,
        hold,
        pins,
        leave_off: settings.pin.first_device == FirstDevicePolicy::LeaveOff,
        allowed_group: tenant.allowed_group.as_deref(),
        never: settings.bench.never.iter().cloned().collect::<BTreeSet<_>>(),
        only,
        key_name: &settings.bench.key_name,
        mds: settings.bench.mds.clone().map(|blob| MetadataFiles { blob, seen: settings.data.join("metadata-number") }),
        roster,
        group: asked.group,
        source,
        batch,
        release: settings.handover.release,
        release_asked: release,
        allow_privileged,
        give_up,
        ports: asked.ports,
        strict: asked.strict,
        operator_name: who::operator(),
        bounds: asked.bounds,
    };
    let outcome = shown.while_telling(|| provision(request, &machine, &graph, &ledger, &resume, &shown));
    shown.close();
    let report = outcome?;
    shown.summary(&report.summary);
    heads::announce(context.output, &settings, &report.summary.head, "run");
    if let Some((code, detail)) = &report.stopped_by {
        let what = crate::tui::say::explain(code, Some(detail));
        context.output.progress(&format!("Stopped. {what}"));
    }
    if !terminal.is_present() && report.summary.counts.parked > 0 {
        context.output.progress("Run the same command again to go on.");
    }
    Ok((exit_of(&report, interrupted.load(Ordering::Relaxed)), Some(report)))
}

/// What the carrier would refuse is said before the first key, not when the parcels stand ready.
fn addresses_first(
    context: &Context<'_>,
    settings: &Settings,
    roster: &crate::roster::Roster,
    strict: bool,
) -> Result<(), CliError> {
    let map = super::addresses::carrier(Some(settings), None)?;
    let faults = super::addresses::faulty(&map, &super::addresses::of_roster(roster));
    for (upn, what) in &faults {
        context.output.warning(&format!("the address of {upn} is not fit for the carrier: {what}."));
    }
    if strict && !faults.is_empty() {
        let fact = "--strict, and there are addresses that the carrier would refuse.";
        return Err(CliError::new(Exit::SomeFailed, "strict", fact, "correct them, or leave --strict out."));
    }
    Ok(())
}

/// One private file for each stay of a key, in a folder of its own.
fn traffic_into(dir: &Path) -> Result<Box<Writer>, CliError> {
    create_private_dir(dir)?;
    let dir = dir.to_owned();
    Ok(Box::new(move |plug| {
        let path = dir.join(format!("stay-{}.jsonl", plug.0));
        match traffic_file(&path) {
            Ok(file) => Some(Box::new(file)),
            Err(error) => {
                tracing::warn!(%error, "this key's packets are not kept");
                None
            }
        }
    }))
}

/// The exit code of a run that came to its end (`docs/ERRORS.md`).
fn exit_of(report: &Report, interrupted: bool) -> Exit {
    let Summary { counts, end, touches, .. } = &report.summary;
    match end {
        RunEnd::Stopped if report.stopped_by.is_some() => Exit::Tenant,
        RunEnd::Interrupted if counts.parked > 0 => Exit::Interrupted,
        _ if interrupted && counts.parked > 0 => Exit::Interrupted,
        RunEnd::Idle if *touches == 0 && counts.finished == 0 && counts.keys_refused == 0 => Exit::Keys,
        _ if counts.failed > 0 || counts.refused > 0 => Exit::SomeFailed,
        _ if counts.parked > 0 => Exit::Interrupted,
        _ => Exit::Done,
    }
}

/// The interrupt flag's type, for those who set it themselves.
pub type Interrupted = Arc<AtomicBool>;
