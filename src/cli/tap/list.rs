//! `keybench tap list`.

use clap::Args;
use serde_json::json;

use super::{Whose, event, in_words};
use crate::cli::at_tenant::AtTenant;
use crate::cli::{CliError, Context, Exit};

/// `keybench tap list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tap list                          everybody in the ledger
  keybench tap list kim@contoso.com
  keybench tap list --group \"New starters\" --json

Asks the tenant, so passes that others issued are shown too. Never a code: nobody can read it again.")]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub whose: Whose,
}

pub(super) fn run(context: &Context<'_>, args: &ListArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let people = args.whose.look_up(&at)?;
    let ids: Vec<_> = people.iter().map(|(id, _)| id.clone()).collect();
    let now = at.graph.server_now();
    let (mut open, mut all) = (0u64, 0u64);
    for ((user, name), passes) in people.iter().zip(at.graph.passes_of(&ids)?) {
        for pass in passes.into_iter().flatten() {
            all += 1;
            open += u64::from(pass.is_open(now));
            context.output.json(&event(user, name, &pass, now));
            context.output.answer(&format!("{name}: {}", in_words(&pass, now)));
        }
    }
    context.output.json(&json!({ "event": "passes", "people": people.len(), "passes": all, "open": open }));
    let passes = match open {
        0 => "No open pass".to_owned(),
        1 => "1 open pass".to_owned(),
        _ => format!("{open} open passes"),
    };
    let among = if people.len() == 1 { "1 person".to_owned() } else { format!("{} people", people.len()) };
    context.output.answer(&format!("{passes} among {among}."));
    Ok(Exit::Done)
}
