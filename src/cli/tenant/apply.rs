//! `keybench tenant apply`: asks, writes, reads back, compares, and keeps what was there before.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::consent::Consent;
use super::policies::{File, new_change};
use super::{confirm, shown};
use crate::cli::at_tenant::AtTenant;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::tenant::apply::Step;
use crate::tenant::names::Names;

/// `keybench tenant apply`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant apply pilot.toml --dry-run     the plan, and nothing else
  keybench tenant apply pilot.toml
  keybench tenant apply pilot.toml --yes         in a script; stops where people would be locked out

Each write is in the ledger before it is sent, with the document as it was, and counts as done once
reading shows it. `keybench tenant undo ID` writes the old document back. Policies that are to be on
are made off, tried by what-if, and switched on when it agrees; those for signing in begin in
report-only unless the file says otherwise. The same command goes on where one was cut off.")]
pub struct ApplyArgs {
    /// The wanted state, in TOML (docs/POLICY.md)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Show the plan and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub consent: Consent,
    /// Look at the people of this group as well; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub people: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &ApplyArgs) -> Result<Exit, CliError> {
    let file = File::read(&args.file)?;
    let at = AtTenant::sign_in(context)?;
    let reach = at.reach();
    let nobody = Names::default();
    let watch = |step: Step<'_>| shown::step(context, &nobody, step);
    // One keybench writes at a time, and what an earlier one left open comes first.
    let ledger = if args.dry_run { None } else { Some(ledger::to_begin(&at.settings)?) };
    if let Some(ledger) = &ledger {
        at.hand(&reach, ledger, Vec::new(), &watch).settle()?;
    }
    let mut planned = at.plan_file(context, &file, &args.people)?;
    let said = confirm::said(&at.settings, &at.tenant)?;
    shown::plan(context, &planned.plan, &planned.names, &said);
    let Some(ledger) = ledger.filter(|_| !planned.plan.is_empty()) else { return Ok(Exit::Done) };
    args.consent.ask(context, &planned.plan.effects, "Change the tenant as shown above?", "apply")?;
    let break_glass = at.break_glass(&file.desired, &planned.names)?;
    if planned.plan.writes_access() && break_glass.is_empty() {
        let fact = "Nobody is in the break-glass groups that the file names.";
        let next = "put the accounts into the group, or name them under [break_glass] users.";
        return Err(CliError::new(Exit::Usage, "policy-file", fact, next)
            .because("A policy that spares an empty group spares nobody. Nothing was changed."));
    }
    let names = planned.names.clone();
    let watch = |step: Step<'_>| shown::step(context, &names, step);
    let hand = at.hand(&reach, &ledger, break_glass, &watch);
    let id = new_change()?;
    let applied = hand.carry_out(&planned.plan, &mut planned.current, id.as_str())?;
    context.output.json(&json!({
        "event": "applied", "id": id, "changes": applied.done.len(),
        "held": applied.held.iter().map(|(policy, why)| json!({ "policy": policy, "why": why })).collect::<Vec<_>>(),
    }));
    context.output.answer(&format!(
        "{} of {} changes are made. To write back what was there: `keybench tenant undo {id}`, or one of them, `undo {id}.1`.",
        applied.done.len(),
        planned.plan.changes.len()
    ));
    if applied.held.is_empty() {
        return Ok(Exit::Done);
    }
    context.output.answer("What stays off is as safe as before: mend the reason and apply the file again.");
    Ok(Exit::SomeFailed)
}
