//! `keybench activate`: a held key is registered, once its person holds it.
//!
//! Promise: receipt, then a verified person, then this, then the PIN. The code on the card alone activates nothing, and neither
//! does whoever packed the key. What is sent is what the bench sealed, and a stop in the middle is asked about, never doubled.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::{acting, find, not_now, parcels};
use crate::cli::at_tenant::AtTenant;
use crate::cli::causes::told;
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::graph::display_name::NameTemplate;
use crate::handover::parcel::may_activate;
use crate::ledger::Ledger;
use crate::model::{JobId, JobStatus};
use crate::pin::{DirResumeStore, Identities, Prompts};
use crate::platform::{places, who};
use crate::provision::Bounds;
use crate::provision::held::{Activation, ActivationError, open_record};
use crate::world::{Clock as _, SystemClock};

/// `keybench activate`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench activate kim@contoso.com --identity activation.txt --as \"Sam Roe\"
  keybench activate --job 7H2KQ0M4XA --identity activation.txt --as \"Sam Roe\" --dry-run
  keybench activate --serial 19283746 --identity activation.txt --as \"Sam Roe\"

Order: receipt, a verified person (`keybench receipt verify`), this, and then `keybench release`.
Held activation uses Graph's beta, which Microsoft may change.")]
pub struct ActivateArgs {
    /// Persons, jobs, serial numbers, carrier's numbers or codes
    #[arg(value_name = "WHAT", required_unless_present_any = ["job", "serial"])]
    pub what: Vec<String>,
    /// A job, by its id
    #[arg(long, value_name = "JOB", action = clap::ArgAction::Append)]
    pub job: Vec<String>,
    /// A key, by its serial number
    #[arg(long, value_name = "SERIAL", action = clap::ArgAction::Append)]
    pub serial: Vec<String>,
    /// An activation key's identity
    #[arg(long, value_name = "FILE", required = true, action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// Who activates; not whoever packed the key
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
    /// Open and check everything, and send and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(in crate::cli) fn run(context: &Context<'_>, args: &ActivateArgs) -> Result<Exit, CliError> {
    let by = acting(Some(&args.by))?;
    let settings = context.settings()?;
    let named: Vec<&str> = args.what.iter().chain(&args.job).chain(&args.serial).map(String::as_str).collect();
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    let ledger = ledger::alone(&settings)?;
    let desk = Desk { context, ledger: &ledger, identities: &identities, by: &by, args };
    // Who may not activate is told before anybody is asked to sign in.
    let mut may = Vec::new();
    let mut refused = 0;
    for what in &named {
        match desk.allowed(what) {
            Ok(job) if may.contains(&job) => {}
            Ok(job) => may.push(job),
            Err(error) => refused += desk.tell(error, named.len())?,
        }
    }
    if may.is_empty() || args.dry_run {
        for job in &may {
            if let Err(error) = desk.try_out(job) {
                refused += desk.tell(error, named.len())?;
            }
        }
        return Ok(if refused == 0 { Exit::Done } else { Exit::SomeFailed });
    }
    let tenant = AtTenant::sign_in(context)?;
    let resume = DirResumeStore::open(places::resume_dir(&settings.data))?;
    let name = NameTemplate::parse(&settings.bench.key_name).map_err(|error| {
        told(Exit::Usage, "key-name", &error.to_string(), "correct bench.key_name in the settings.")
    })?;
    let bounds = Bounds::default();
    let activation = Activation {
        ledger: &ledger,
        resume: &resume,
        graph: &tenant.graph,
        clock: &*tenant.clock,
        identities: &identities,
        name: &name,
        by: &by,
        list_lag: bounds.list_lag,
        settling: bounds.settling,
    };
    for job in &may {
        tenant.go_on()?;
        if let Err(error) = desk.activate(&activation, job) {
            refused += desk.tell(error, named.len())?;
        }
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::SomeFailed })
}

struct Desk<'a> {
    context: &'a Context<'a>,
    ledger: &'a dyn Ledger,
    identities: &'a Identities,
    by: &'a str,
    args: &'a ActivateArgs,
}

impl Desk<'_> {
    /// An error of one among several: told, and the others go on. A ledger or a tenant that fails helps none of them.
    fn tell(&self, error: CliError, of: usize) -> Result<usize, CliError> {
        if of == 1 || matches!(error.exit, Exit::Ledger | Exit::Tenant | Exit::Interrupted) {
            return Err(error);
        }
        self.context.output.error(&error);
        Ok(1)
    }

    /// The job that is meant, if this person may activate its key now.
    fn allowed(&self, what: &str) -> Result<JobId, CliError> {
        let parcels = parcels(self.ledger)?;
        let found = find(self.ledger, &parcels, what)?;
        let operator = who::operator();
        may_activate(found.parcel, &[self.by, &operator], SystemClock::new().now())
            .map_err(|why| not_now("can't be activated", &found.job, &why))?;
        let held = self.ledger.job(&found.job)?.is_some_and(|line| line.status == JobStatus::Held);
        if held {
            return Ok(found.job);
        }
        let fact =
            format!("Job {} is not held any more: its person may not have a key now, or was set aside.", found.job);
        let next =
            format!("`keybench show {}` tells why; a run with a list that names them takes it up again.", found.job);
        Err(CliError::new(Exit::SomeFailed, "not-held", fact, next))
    }

    fn try_out(&self, job: &JobId) -> Result<(), CliError> {
        let now = SystemClock::new().now();
        let record = open_record(self.ledger, job, self.identities, now).map_err(|error| refused(job, error))?;
        self.context.output.answer(&format!(
            "{job} may be activated: its registration opens and is the one that the bench sealed. Nothing was sent."
        ));
        self.context.output.json(&json!({
            "event": "activated", "job": job, "dry_run": true, "credential_id": record.credential.to_base64url(),
            "expires": record.expires,
        }));
        Ok(())
    }

    fn activate(&self, activation: &Activation<'_>, job: &JobId) -> Result<(), CliError> {
        let done = activation.carry_out(job).map_err(|error| refused(job, error))?;
        let head = self.ledger.head()?;
        let whose = match self.ledger.job(job)? {
            Some(line) => self.ledger.person(&line.user)?.map(|person| person.upn),
            None => None,
        };
        let who = whose.as_ref().map_or("its person", |upn| upn.as_str());
        self.context.output.answer(&format!(
            "activated  {job}: the key of {who} is registered, and the tenant shows it. Its PIN may be released now:\n  \
             keybench release {job} --as \"{}\"",
            self.args.by.trim()
        ));
        self.context.output.json(&json!({
            "event": "activated", "job": job, "dry_run": false, "attempt": done.attempt, "upn": whose,
            "method_id": done.method, "by": self.by, "head": head.to_string(),
        }));
        Ok(())
    }
}

/// Why a held key was not activated, and what comes next.
fn refused(job: &JobId, error: ActivationError) -> CliError {
    let text = format!("Job {job} was not activated: {error}.");
    let failed = |code, next: &str| CliError::new(Exit::SomeFailed, code, text.clone(), next);
    match error {
        ActivationError::Ledger(error) => error.into(),
        ActivationError::Run(error) => error.into(),
        ActivationError::Open(_) => told(
            Exit::Usage,
            "identity",
            &text,
            "give the identity of an activation key, with --identity; `keybench custodian list` shows whose they are.",
        )
        .because("Nothing was sent."),
        ActivationError::NotHeld => failed("not-held", "`keybench receipt list` shows where every key is."),
        ActivationError::NoRecord => failed(
            "hold-over",
            &format!("activate it where it was made; if its ledger is lost, `keybench replace {job}` and the next run make a new key."),
        ),
        ActivationError::Elsewhere(_) => failed(
            "activated-elsewhere",
            &format!("find out who used the activation key, or whether this ledger is an old copy; then `keybench lost {job}`."),
        ),
        ActivationError::Expired(_) => failed("hold-expired", &make_new(job)),
        ActivationError::NotTheRecord(_) => failed(
            "not-the-record",
            "send nothing by hand: run `keybench ledger verify`, keep the ledger as it is, and find out who changed it.",
        )
        .because("It was sealed again or exchanged behind the chain's back. Nothing was sent."),
        ActivationError::Rests { ref code, .. } => {
            let next = crate::cli::codes::next_step(code).unwrap_or("run the same command again.");
            let exit = match code.as_str() {
                "signed-out" | "no-permission" | "tenant-down" => Exit::Tenant,
                _ => Exit::SomeFailed,
            };
            let known: &'static str = crate::pipeline::code::meaning(code).map_or("unexpected", |known| known.code);
            let what = crate::cli::codes::meaning(code).unwrap_or("It rests.");
            CliError::new(exit, known, text.clone(), next).because(what)
        }
    }
}

/// What follows when a hold ran out.
pub(super) fn make_new(job: &JobId) -> String {
    format!(
        "make a new credential: `keybench replace {job} --reason \"hold expired\"` and the next run give the person another \
         key; `keybench return` wipes this one when it comes back. Nothing of it is in the tenant."
    )
}
