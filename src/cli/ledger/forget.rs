//! `keybench ledger forget`.

use clap::Args;
use serde_json::json;

use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit};
use crate::config::Settings;
use crate::ledger::Ledger as _;
use crate::world::Operator as _;

/// `keybench ledger forget`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench ledger forget kim@contoso.com --reason \"left on 1 March\"

Name, address, sealed PINs and registration records go, from the mirror as well; what happened
stays, under the object id. The chain still verifies. Older backups keep what they have.")]
pub struct ForgetArgs {
    /// Whom: UPN, or object id in the directory
    #[arg(value_name = "UPN|ID")]
    pub person: String,
    /// Why; stands in the ledger for good, so name nobody in it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Don't ask; needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn run(context: &Context<'_>, settings: &Settings, args: &ForgetArgs) -> Result<Exit, CliError> {
    let ledger = super::alone(settings)?;
    let wanted = args.person.trim();
    let people = ledger.people()?;
    let found = people.iter().find(|person| {
        person.upn.as_str().eq_ignore_ascii_case(wanted) || person.id.as_str().eq_ignore_ascii_case(wanted)
    });
    let Some(person) = found else {
        let fact = format!("The ledger knows nobody as {wanted}.");
        return Err(CliError::new(Exit::Usage, "unknown-job", fact, "`keybench status` lists everybody it knows."));
    };
    let question = format!(
        "{} is to be forgotten: name, address, sealed PINs and registration records. Nobody can open those PINs any more. \
         This can't be undone. Type `forget`",
        person.upn
    );
    if !args.yes && !Terminal::new(context.output).confirm(&question, "forget") {
        let fact = "Nobody was forgotten.";
        return Err(CliError::new(
            Exit::Usage,
            "not-confirmed",
            fact,
            "type the word at a terminal, or add --yes where nobody can answer.",
        ));
    }
    let head = ledger.forget(&person.id, &args.reason)?;
    context.output.answer(&format!("Forgotten. The ledger's head is {head}."));
    context.output.json(&json!({ "event": "forgotten", "user": person.id.as_str(), "head": head.to_string() }));
    Ok(Exit::Done)
}
