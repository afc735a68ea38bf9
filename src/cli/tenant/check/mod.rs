//! `keybench tenant check`: is the tenant ready for these people and these keys?
//!
//! Promise: it changes nothing, in the tenant or in the ledger.

mod shown;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod tokens;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use self::tokens::Tokens;
use super::super::at_tenant::AtTenant;
use super::super::run::read_roster;
use super::super::{CliError, Context, Exit, ledger};
use crate::cli::key::look::Look;
use crate::cli::key::tools;
use crate::config::Settings;
use crate::ctap2::hid::usb::UsbPorts;
use crate::model::{Aaguid, FirstDevice, TenantId, Upn};
use crate::provision::metadata::models;
use crate::roster::Roster;
use crate::tenant::gather::{Asking, Gathered, gather};
use crate::tenant::preflight::facts::{FirstUse, Mode, Place, Plan};
use crate::tenant::preflight::{Outcome, Report, Verdict, examine};
use crate::tenant::statements::{Statement, latest};
use crate::world::{Clock as _, KeyPorts as _, SystemClock};

/// `keybench tenant check`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant check --roster people.csv
  keybench tenant check --roster people.csv --aaguid 2fc0579f-8113-47ea-b116-bb5a8db9202a
  keybench tenant check --roster people.csv --mode self-service --country NL --pass one-time
  keybench tenant check --mode oath --tokens tokens.csv
  keybench tenant check --apply --break-glass 5f0c1f0e-0000-4000-8000-000000000001
  keybench tenant check --json | jq -c 'select(.verdict == \"fail\")'

Exit codes: 0 nothing stands against it, 10 warnings, 20 something stops a run, 30 nothing wrong
but not everything could be asked. Models are those of --aaguid, else of the keys in the ports.
Per-user MFA and hardware OATH are read from Graph's beta, which Microsoft may change.")]
pub struct CheckArgs {
    /// Whom it is about: a roster as `run` takes it; without one, only the tenant itself is weighed
    #[arg(long, value_name = "ROSTER.csv")]
    pub roster: Option<PathBuf>,
    /// How the people get in
    #[arg(long, value_enum, default_value_t = ModeArg::Provision)]
    pub mode: ModeArg,
    /// Model of the keys; may be given several times [else of the keys in the ports]
    #[arg(long, value_name = "AAGUID", value_parser = aaguid)]
    pub aaguid: Vec<Aaguid>,
    /// Where people will register and sign in, for Conditional Access: two letters, such as NL
    #[arg(long, value_name = "COUNTRY", value_parser = country)]
    pub country: Option<String>,
    /// The public address they will come from
    #[arg(long, value_name = "IP")]
    pub ip: Option<std::net::IpAddr>,
    /// An application they will sign in to, by id; may be given several times [else SharePoint Online]
    #[arg(long, value_name = "APP-ID")]
    pub app: Vec<uuid::Uuid>,
    /// Which passes they will get [else what the policy says]
    #[arg(long, value_enum)]
    pub pass: Option<PassArg>,
    /// With --mode oath: a vendor's file of tokens, as `oath import` takes it, weighed line by line
    #[arg(long, value_name = "TOKENS.csv")]
    pub tokens: Option<PathBuf>,
    /// Weigh also what `keybench tenant apply` needs: break-glass accounts, security defaults, licences, size
    #[arg(long)]
    pub apply: bool,
    /// A break-glass account or group, by object id; may be given several times
    #[arg(long, value_name = "ID", requires = "apply")]
    pub break_glass: Vec<uuid::Uuid>,
    /// Warnings and what could not be asked count as failures
    #[arg(long)]
    pub strict: bool,
}

/// `--mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// The bench registers keys for them
    Provision,
    /// They register a key themselves, with a Temporary Access Pass
    SelfService,
    /// They get a hardware OATH token
    Oath,
}

/// `--pass`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PassArg {
    /// Good for one sign-in
    OneTime,
    /// Good until it ends
    MultiUse,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Provision => Self::Provision,
            ModeArg::SelfService => Self::SelfService,
            ModeArg::Oath => Self::Oath,
        }
    }
}

fn aaguid(text: &str) -> Result<Aaguid, String> {
    Aaguid::parse(text).ok_or_else(|| "an AAGUID has the form 2fc0579f-8113-47ea-b116-bb5a8db9202a".to_owned())
}

fn country(text: &str) -> Result<String, String> {
    let two = text.len() == 2 && text.chars().all(|c| c.is_ascii_alphabetic());
    two.then(|| text.to_ascii_uppercase()).ok_or_else(|| "write two letters of ISO 3166, such as NL".to_owned())
}

/// A pass has to carry somebody through more than a browser on these.
fn first_use(device: FirstDevice) -> Option<FirstUse> {
    match device {
        FirstDevice::Win11 | FirstDevice::Win10 => Some(FirstUse::WindowsSetup),
        FirstDevice::Mac => Some(FirstUse::Mac),
        FirstDevice::Ios | FirstDevice::Android => Some(FirstUse::Phone),
        FirstDevice::Linux => None,
    }
}

pub(super) fn run(context: &Context<'_>, args: &CheckArgs) -> Result<Exit, CliError> {
    if args.tokens.is_some() && args.mode != ModeArg::Oath {
        let fact = "--tokens is about hardware tokens, and --mode says otherwise.";
        return Err(CliError::new(Exit::Usage, "usage", fact, "add --mode oath, or leave --tokens out."));
    }
    let roster = args.roster.as_deref().map(read_roster).transpose()?;
    let tokens = args.tokens.as_deref().map(tokens::read).transpose()?;
    let at = AtTenant::sign_in(context)?;
    let plan = plan(&at.settings, args, roster.as_ref(), tokens.as_ref())?;
    let output = context.output;
    let Gathered { facts, requests } = gather(Asking {
        graph: &at.graph,
        account: at.account.clone(),
        plan,
        people: people(roster.as_ref(), tokens.as_ref()),
        statements: statements(&at.settings, &at.tenant)?,
        progress: &|what| output.progress(what),
    })?;
    let report = examine(&facts);
    let exit = exit_of(&report, args.strict);
    for finding in &report.findings {
        let mut line = json!({ "event": "check" });
        if let (Some(into), Ok(serde_json::Value::Object(finding))) =
            (line.as_object_mut(), serde_json::to_value(finding))
        {
            into.extend(finding);
        }
        output.json(&line);
    }
    let mut summary = json!({ "event": "tenant-check", "mode": args.mode.to_possible_value().map(|mode| mode.get_name().to_owned()) });
    summary["people"] = json!(facts.people.len());
    for verdict in Verdict::ALL {
        summary[verdict.word().to_ascii_lowercase()] = json!(report.count(verdict));
    }
    summary["requests"] = json!(requests);
    summary["requests_total"] = json!(requests.total());
    summary["exit"] = json!(exit.code());
    output.json(&summary);
    output.answer(&shown::table(&report, &facts, shown::width(output.style())));
    Ok(exit)
}

fn exit_of(report: &Report, strict: bool) -> Exit {
    match report.outcome(strict) {
        Outcome::Pass => Exit::Done,
        Outcome::Warn => Exit::CheckWarns,
        Outcome::Fail => Exit::CheckFails,
        Outcome::Unknown => Exit::CheckUnknown,
    }
}

fn plan(
    settings: &Settings,
    args: &CheckArgs,
    roster: Option<&Roster>,
    tokens: Option<&Tokens>,
) -> Result<Plan, CliError> {
    let mut plan = Plan::of(args.mode.into());
    plan.writes = args.apply;
    plan.one_time_pass = args.pass.map(|pass| pass == PassArg::OneTime);
    plan.break_glass = args.break_glass.iter().map(|id| id.to_string().to_ascii_lowercase()).collect();
    plan.place = Place {
        country: args.country.clone(),
        ip: args.ip.map(|ip| ip.to_string()),
        apps: args.app.iter().map(|app| (app.to_string(), format!("application {app}"))).collect(),
    };
    if let Some(roster) = roster {
        plan.first_devices = roster.rows.iter().filter_map(|row| row.first_device.and_then(first_use)).collect();
    }
    plan.tokens = tokens.map(|tokens| tokens.lines.clone()).unwrap_or_default();
    if plan.mode != Mode::Oath {
        let mut wanted: Vec<(Aaguid, Option<String>)> = args.aaguid.iter().map(|aaguid| (*aaguid, None)).collect();
        if wanted.is_empty() {
            wanted = in_ports();
        }
        plan.models = models(settings.bench.mds.as_deref(), SystemClock::new().now(), wanted);
    }
    Ok(plan)
}

/// The models of the keys in the ports, each once. What can't be opened is not one.
fn in_ports() -> Vec<(Aaguid, Option<String>)> {
    let Ok(ports) = UsbPorts::new() else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for key in ports.list().unwrap_or_default() {
        let look = Look::at(&ports, &key, &tools());
        if let Some(aaguid) = look.aaguid().filter(|aaguid| seen.insert(*aaguid)) {
            found.push((aaguid, Some(look.model().to_owned())));
        }
    }
    found
}

/// The roster's people; without one, those whom the token file names.
fn people(roster: Option<&Roster>, tokens: Option<&Tokens>) -> Vec<(Upn, u32)> {
    match (roster, tokens) {
        (Some(roster), _) => roster.rows.iter().map(|row| (row.upn.clone(), row.keys)).collect(),
        (None, Some(tokens)) => tokens.people.iter().map(|upn| (upn.clone(), 1)).collect(),
        (None, None) => Vec::new(),
    }
}

/// What was said of this tenant; nothing where there is no ledger yet.
fn statements(settings: &Settings, tenant: &TenantId) -> Result<Vec<Statement>, CliError> {
    match ledger::to_read(settings) {
        Ok(ledger) => Ok(latest(&ledger, tenant)?),
        Err(error) if error.code == "ledger-missing" => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
