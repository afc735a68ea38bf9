//! `keybench tenant undo`: writes back what was there before a change.

use clap::Args;
use serde_json::json;

use super::policies::new_change;
use super::shown;
use crate::cli::at_tenant::AtTenant;
use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::model::ChangeId;
use crate::tenant::apply::Step;
use crate::tenant::current::Current;
use crate::tenant::names::Names;
use crate::tenant::read::names_in;
use crate::tenant::resource::Resource;
use crate::tenant::undo::{Renames, UndoError, back, made};
use crate::world::Operator as _;

/// `keybench tenant undo`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant undo 4K7Q2M           everything that one `tenant apply` changed, newest first
  keybench tenant undo 4K7Q2M.3         one change of it
  keybench tenant undo 4K7Q2M --dry-run

What somebody else changed since is named and asked about. Passkey profiles added since are kept.
What was made is deleted; Entra keeps deleted Conditional Access policies for 30 days. An undoing
is a change like any other: it has an id, and can be undone.")]
pub struct UndoArgs {
    /// The change, as `tenant apply` printed it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Show what would be written back and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask; stops where somebody else has changed something since
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn run(context: &Context<'_>, args: &UndoArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let reach = at.reach();
    let ledger = if args.dry_run { ledger::to_read(&at.settings)? } else { ledger::to_write(&at.settings)? };
    let nobody = Names::default();
    let watch = |step: Step<'_>| shown::step(context, &nobody, step);
    let hand = at.hand(&reach, &ledger, Vec::new(), &watch);
    if !args.dry_run {
        hand.settle()?;
    }
    let changes = made(&ledger, &at.tenant, &args.id)?;
    for change in &changes {
        context.output.answer(&format!("{}: {} ({})", change.change, change.area, change.call));
    }
    let terminal = Terminal::new(context.output);
    let question = format!("Write back what was there before {}?", changes.len());
    let question = if changes.len() == 1 { "Write back what was there before this change?" } else { &question };
    if !args.dry_run && !args.yes && !terminal.confirm(question, "undo") {
        return Err(not_confirmed());
    }
    let mut documents = Current::default();
    for (number, document) in changes.iter().flat_map(|change| change.documents()).enumerate() {
        documents.set(Resource::Access(number.to_string()), document.clone());
    }
    let names = &names_in(&at.graph, &documents)?;
    let id = new_change()?;
    let (mut written, mut renames) = (0usize, Renames::default());
    for change in &changes {
        let change = &renames.apply(change);
        let back = back(&reach, change)?;
        context.output.json(&json!({
            "event": "undo", "change": change.change, "writes": back.changes.iter().map(|one| json!({
                "call": one.act.call(), "before": one.before, "after": one.after,
            })).collect::<Vec<_>>(), "moved": !back.moved.is_empty(),
        }));
        if !back.moved.is_empty() {
            // In a preview, later changes to the same document are still there and look like somebody else's.
            context.output.progress(&format!("Since {}, this is not as it was left:", change.change));
            shown::lines(&back.moved, names).iter().for_each(|line| context.output.progress(&format!("      {line}")));
            if !args.dry_run && (args.yes || !terminal.confirm("Write back over it?", "over")) {
                let fact = format!(
                    "Somebody else has changed since what {} had changed; it was left as it is.",
                    change.change
                );
                let next = "look at the differences; without --yes the command asks whether to write over them.";
                return Err(CliError::new(Exit::Tenant, "tenant-changed", fact, next));
            }
        }
        if back.changes.is_empty() {
            context.output.answer(&format!("{}: the tenant is as it was before; nothing to write.", change.change));
        }
        for one in &back.changes {
            shown::lines(&one.differences, names)
                .iter()
                .for_each(|line| context.output.answer(&format!("      {line}")));
            if !args.dry_run {
                written = written.saturating_add(1);
                let number = ChangeId::new(format!("{id}.{written}"));
                let at = hand.one(&number, one, &mut Current::default())?;
                renames.note(change, &at);
            }
        }
    }
    context.output.json(&json!({ "event": "undone", "id": id, "changes": written }));
    if !args.dry_run {
        context
            .output
            .answer(&format!("Undone: {written} written back. To take it back again: `keybench tenant undo {id}`."));
    }
    Ok(Exit::Done)
}

fn not_confirmed() -> CliError {
    CliError::new(Exit::Interrupted, "not-confirmed", "Nothing was changed.", "add --yes where nobody can be asked.")
}

impl From<UndoError> for CliError {
    fn from(error: UndoError) -> Self {
        let fact = crate::cli::error::sentence(&error.to_string());
        match error {
            UndoError::Graph(error) => error.into(),
            UndoError::Ledger(error) => error.into(),
            UndoError::Unknown(_) | UndoError::NotMade(_) => {
                Self::new(Exit::Usage, "no-such-change", fact, "give an id as `keybench tenant apply` printed it.")
            }
            UndoError::NoDocument(_) | UndoError::Gone(_) => {
                Self::new(Exit::Tenant, "no-such-change", fact, "set it by hand in the portal.")
            }
        }
    }
}
