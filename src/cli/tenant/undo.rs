//! `keybench tenant undo`: writes back what was there before a change.

use clap::Args;
use serde_json::json;

use super::consent::Consent;
use super::policies::new_change;
use super::shown;
use crate::cli::at_tenant::AtTenant;
use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::model::ChangeId;
use crate::tenant::apply::Step;
use crate::tenant::circle::Circle;
use crate::tenant::current::Current;
use crate::tenant::names::Names;
use crate::tenant::plan::{Effects, View};
use crate::tenant::read::{around, names_in};
use crate::tenant::resource::Resource;
use crate::tenant::undo::{Back, Preview, Renames, UndoError, back, made, preview, touched};
use crate::world::Operator as _;

/// `keybench tenant undo`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant undo 4K7Q2M           everything that one `tenant apply` changed, newest first
  keybench tenant undo 4K7Q2M.3         one change of it
  keybench tenant undo 4K7Q2M --dry-run

What somebody else changed since is named and asked about. Passkey profiles added since are kept.
Whom the way back would lock out is found as `tenant plan` finds it, and --yes does not cover it.
What was made is deleted; Entra keeps deleted Conditional Access policies for 30 days. An undoing
is a change like any other: it has an id, and can be undone.")]
pub struct UndoArgs {
    /// The change, as `tenant apply` printed it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Show what would be written back and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub consent: Consent,
    /// Look at the people of this group as well; may be given several times
    #[arg(long, value_name = "GROUP")]
    pub people: Vec<String>,
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
    let mut documents = Current::default();
    for (number, document) in changes.iter().flat_map(|change| change.documents()).enumerate() {
        documents.set(Resource::Access(number.to_string()), document.clone());
    }
    let names = &names_in(&at.graph, &documents)?;
    let preview = preview(&reach, around(&reach, &touched(&changes))?, &changes)?;
    for back in &preview.backs {
        tell(context, back, names);
    }
    let effects = effects(&at, context, args, &preview, names)?;
    let writes = preview.backs.iter().map(|back| back.changes.len()).sum::<usize>();
    if args.dry_run {
        context.output.json(&json!({ "event": "undone", "id": null, "dry_run": true, "changes": writes }));
        return Ok(Exit::Done);
    }
    let question = format!("Write back what was there before {}?", changes.len());
    let question = if changes.len() == 1 { "Write back what was there before this change?" } else { &question };
    args.consent.ask(context, &effects, question, "undo")?;
    let id = new_change()?;
    let (mut written, mut renames) = (0usize, Renames::default());
    for change in &changes {
        let change = &renames.apply(change);
        let back = back(&reach, change)?;
        may_write_over(context, args, &back)?;
        for one in &back.changes {
            written = written.saturating_add(1);
            let number = ChangeId::new(format!("{id}.{written}"));
            let at = hand.one(&number, one, &mut Current::default())?;
            renames.note(change, &at);
        }
    }
    context.output.json(&json!({ "event": "undone", "id": id, "dry_run": false, "changes": written }));
    context
        .output
        .answer(&format!("Undone: {written} written back. To take it back again: `keybench tenant undo {id}`."));
    Ok(Exit::Done)
}

/// One way back, before anything is written.
fn tell(context: &Context<'_>, back: &Back, names: &Names) {
    let output = context.output;
    output.json(&json!({
        "event": "undo", "change": back.of, "writes": back.changes.iter().map(|one| json!({
            "call": one.act.call(), "before": one.before, "after": one.after,
        })).collect::<Vec<_>>(), "moved": !back.moved.is_empty(),
    }));
    if back.changes.is_empty() {
        output.answer(&format!("{}: the tenant is as it was before; nothing to write.", back.of));
    } else {
        output.answer(&format!("{}:", back.of));
    }
    for one in &back.changes {
        shown::lines(&one.differences, names).iter().for_each(|line| output.answer(&format!("      {line}")));
    }
    if !back.moved.is_empty() {
        output.progress(&format!("Since {}, this is not as it was left:", back.of));
        shown::lines(&back.moved, names).iter().for_each(|line| output.progress(&format!("      {line}")));
    }
}

/// What the way back does to people. Keys were issued since, and policies were written on what is now taken back.
fn effects(
    at: &AtTenant<'_>,
    context: &Context<'_>,
    args: &UndoArgs,
    preview: &Preview,
    names: &Names,
) -> Result<Effects, CliError> {
    let differs = preview.before.differences_from(&preview.after);
    if differs == 0 {
        return Ok(Effects::default());
    }
    let more = args.people.iter().map(|name| at.graph.find_group(name)).collect::<Result<Vec<_>, _>>()?;
    context.output.progress("Reading what people can sign in with (Graph beta) …");
    let people = at.people_of(Circle::of_names(names, &more), &preview.before)?;
    let view = View { before: &preview.before, after: &preview.after, people: &people, names };
    let mut effects = view.effects();
    at.name_ids(&mut effects, &preview.before)?;
    shown::on_people(context, &effects, &people.scope);
    shown::cautions(context, &effects);
    context.output.json(&json!({
        "event": "plan", "changes": differs, "locked_out": effects.locked_out(), "uncounted": effects.uncounted.len(),
        "looked_at": people.scope,
    }));
    Ok(effects)
}

/// What somebody else changed since is not written over unless a person says so.
fn may_write_over(context: &Context<'_>, args: &UndoArgs, back: &Back) -> Result<(), CliError> {
    if back.moved.is_empty() {
        return Ok(());
    }
    let question = format!("Since {}, somebody else has changed this, see above. Write back over it?", back.of);
    if !args.consent.yes && Terminal::new(context.output).confirm(&question, "over") {
        return Ok(());
    }
    let fact = format!("Somebody else has changed since what {} had changed; it was left as it is.", back.of);
    let next = "look at the differences; without --yes the command asks whether to write over them.";
    Err(CliError::new(Exit::Tenant, "tenant-changed", fact, next))
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
