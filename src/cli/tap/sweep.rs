//! `keybench tap revoke` and `keybench tap sweep`.

use clap::Args;
use serde_json::json;

use super::{Whose, delete, event, in_words};
use crate::cli::at_tenant::{AtTenant, name_of, one_line};
use crate::cli::{CliError, Context, Exit};

/// `keybench tap revoke`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tap revoke kim@contoso.com
  keybench tap revoke kim@contoso.com --reason \"read out to the wrong person\"")]
pub struct RevokeArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// Why; stands in the ledger
    #[arg(long, value_name = "TEXT", default_value = "not needed any more")]
    pub reason: String,
    /// Show what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench tap sweep`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tap sweep                         everybody in the ledger
  keybench tap sweep --group \"New starters\" --dry-run")]
pub struct SweepArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: Whose,
    /// Show what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn revoke(context: &Context<'_>, args: &RevokeArgs) -> Result<Exit, CliError> {
    let reason = one_line("--reason", &args.reason)?;
    let at = AtTenant::sign_in(context)?;
    let user = at.person(&args.user)?;
    let name = name_of(&user);
    let passes = at.graph.passes(&user.id)?;
    if passes.is_empty() {
        context.output.answer(&format!("{name} has no pass."));
    }
    let now = at.graph.server_now();
    let ledger = if args.dry_run || passes.is_empty() { None } else { Some(at.ledger()?) };
    for pass in &passes {
        if let Some(ledger) = &ledger {
            delete(&at, &at.journal(ledger), &user.id, pass, reason)?;
        }
        let verb = if args.dry_run { "Would delete" } else { "Deleted" };
        context.output.answer(&format!("{verb} the pass of {name} ({}).", in_words(pass, now)));
        told(context, &user.id, &name, pass, args.dry_run, now);
    }
    Ok(Exit::Done)
}

pub(super) fn run(context: &Context<'_>, args: &SweepArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let people = args.whose.look_up(&at)?;
    let ids: Vec<_> = people.iter().map(|(id, _)| id.clone()).collect();
    let now = at.graph.server_now();
    let mut with: Vec<_> = Vec::new();
    for ((user, name), passes) in people.iter().zip(at.graph.passes_of(&ids)?) {
        with.extend(passes.into_iter().flatten().map(|pass| (user.clone(), name.clone(), pass)));
    }
    let holders: Vec<_> = with.iter().map(|(user, _, _)| user.clone()).collect();
    let keys = at.graph.passkey_counts(&holders)?;
    let ledger = if args.dry_run { None } else { Some(at.ledger()?) };
    let (mut swept, mut kept, mut failed) = (0u64, 0u64, 0u64);
    for ((user, name, pass), keys) in with.iter().zip(keys) {
        at.go_on()?;
        if keys == 0 {
            if pass.is_open(now) {
                kept += 1;
                context.output.answer(&format!("{name}: no passkey yet; the pass stays ({}).", in_words(pass, now)));
            }
            continue;
        }
        if let Some(ledger) = &ledger
            && let Err(error) = delete(&at, &at.journal(ledger), user, pass, "the person has a passkey")
        {
            // One refusal (an administrator's pass, say) is no reason to leave the others' doors open; the rest is.
            if error.code != "graph-forbidden" && error.code != "graph-refused" {
                return Err(error);
            }
            failed += 1;
            context.output.error(&error.because(format!("The pass of {name} stays.")));
            continue;
        }
        swept += 1;
        let verb = if args.dry_run { "would be deleted" } else { "deleted" };
        context.output.answer(&format!("{name}: has a passkey; the pass is {verb} ({}).", in_words(pass, now)));
        told(context, user, name, pass, args.dry_run, now);
    }
    context.output.json(&json!({
        "event": "swept", "people": people.len(), "deleted": swept, "kept": kept, "failed": failed, "dry_run": args.dry_run,
    }));
    let verb = if args.dry_run { "would be deleted" } else { "deleted" };
    context.output.answer(&format!("{swept} {verb}, {kept} kept for people without a passkey."));
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn told(
    context: &Context<'_>,
    user: &crate::model::UserId,
    name: &str,
    pass: &crate::graph::Pass,
    dry_run: bool,
    now: jiff::Timestamp,
) {
    let mut event = event(user, name, pass, now);
    event["event"] = json!("pass-deleted");
    event["dry_run"] = json!(dry_run);
    context.output.json(&event);
}
