//! `keybench ledger`, and opening the ledger for the other commands.

mod forget;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Context, Exit};
use crate::config::Settings;
use crate::ledger::{
    LedgerError, Opening, SeenHead, SqliteLedger, open_alone, open_desk, open_reader, rename_all, restore, set_aside,
};
use crate::model::BenchId;
use crate::platform::who;
use crate::world::{Clock, SystemClock, SystemEntropy};

/// `keybench ledger …`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Recompute every hash of the chain and compare
    Verify(VerifyArgs),
    /// Rebuild a lost or old ledger from its mirror
    Restore(RestoreArgs),
    /// Remove what belongs to a person; what happened stays
    Forget(forget::ForgetArgs),
}

/// `keybench ledger verify`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench ledger verify
  keybench ledger verify --head 412:5b1c09ae77d0f3e2   as a run's summary printed it")]
pub struct VerifyArgs {
    /// A head noted earlier, which must still be in the chain
    #[arg(long, value_name = "N:HASH", value_parser = seen_head)]
    pub head: Option<SeenHead>,
}

/// `keybench ledger restore`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench ledger restore
  keybench ledger restore --mirror /media/second-disk/keybench-mirror

The ledger that is there is kept beside the new one.")]
pub struct RestoreArgs {
    /// The mirror [else the one of the settings]
    #[arg(long, value_name = "PATH")]
    pub mirror: Option<PathBuf>,
}

pub(super) fn seen_head(text: &str) -> Result<SeenHead, String> {
    SeenHead::parse(text).ok_or_else(|| "write it as a summary prints it, e.g. 412:5b1c09ae77d0f3e2".to_owned())
}

pub(super) fn run(context: &Context<'_>, command: &LedgerCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        LedgerCommand::Verify(args) => verify(context, &settings, args.head),
        LedgerCommand::Forget(args) => forget::run(context, &settings, args),
        LedgerCommand::Restore(args) => restore_from_mirror(context, &settings, args.mirror.as_deref()),
    }
}

/// The ledger of the settings, for reading; works beside a running bench.
pub(super) fn to_read(settings: &Settings) -> Result<SqliteLedger, CliError> {
    Ok(open_reader(&settings.ledger.path)?)
}

/// The ledger of the settings, for short writes to one that is there already; works beside a running bench.
pub(super) fn to_write(settings: &Settings) -> Result<SqliteLedger, CliError> {
    there(settings)?;
    to_begin(settings)
}

/// The same, made where there is none. For what may come before the first run: setting up the tenant.
pub(super) fn to_begin(settings: &Settings) -> Result<SqliteLedger, CliError> {
    Ok(open_desk(&opening(settings))?)
}

/// The ledger of the settings, while nobody else writes: for what replaces sealed PINs or takes people out.
pub(super) fn alone(settings: &Settings) -> Result<SqliteLedger, CliError> {
    there(settings)?;
    alone_or_new(settings)
}

/// The same, made where there is none.
pub(super) fn alone_or_new(settings: &Settings) -> Result<SqliteLedger, CliError> {
    Ok(open_alone(&opening(settings))?)
}

/// Only a run and the tenant's commands make a ledger: anything else that finds none was pointed at the wrong place.
fn there(settings: &Settings) -> Result<(), CliError> {
    let path = &settings.ledger.path;
    if path.exists() { Ok(()) } else { Err(LedgerError::Missing { path: path.clone() }.into()) }
}

fn opening(settings: &Settings) -> Opening<'static> {
    Opening {
        path: settings.ledger.path.clone(),
        mirror: settings.ledger.mirror.clone(),
        bench: bench(settings),
        clock: Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    }
}

/// What the ledger calls this bench.
pub(super) fn bench(settings: &Settings) -> BenchId {
    BenchId::new(settings.bench.name.clone().unwrap_or_else(who::host))
}

fn verify(context: &Context<'_>, settings: &Settings, seen: Option<SeenHead>) -> Result<Exit, CliError> {
    super::audit::ledger(context, settings, seen.as_slice())
}

fn restore_from_mirror(context: &Context<'_>, settings: &Settings, mirror: Option<&Path>) -> Result<Exit, CliError> {
    let Some(mirror) = mirror.or(settings.ledger.mirror.as_deref()) else {
        let fact = "There is no mirror to restore from: the settings name none.";
        return Err(CliError::new(Exit::Usage, "config-missing", fact, "name it with --mirror."));
    };
    if !mirror.is_file() {
        return Err(LedgerError::Missing { path: mirror.to_owned() }.into());
    }
    let path = &settings.ledger.path;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let bench = bench(settings);
    let kept = if path.exists() { Some(set_aside(path, &bench, &clock)?) } else { None };
    let head = match restore(mirror, path, &bench, &clock) {
        Ok(head) => head,
        Err(error) => {
            if let Some(kept) = &kept {
                rename_all(kept, path)?;
            }
            return Err(error.into());
        }
    };
    context.output.answer(&format!(
        "{} is rebuilt from {}: {} entries, head {head}.",
        path.display(),
        mirror.display(),
        head.seq
    ));
    if let Some(kept) = &kept {
        context.output.answer(&format!("The ledger that was there is kept as {}.", kept.display()));
    }
    context.output.json(&json!({
        "event": "restored", "ledger": path.display().to_string(), "mirror": mirror.display().to_string(),
        "entries": head.seq, "head": head.to_string(), "kept": kept.map(|kept| kept.display().to_string()),
    }));
    context
        .output
        .progress("Names and addresses are not in a mirror; the next `keybench run` brings them back from the roster.");
    Ok(Exit::Done)
}
