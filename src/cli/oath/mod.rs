//! `keybench oath`: hardware OATH tokens, by Graph's beta version.

mod activate;
mod import;
mod inventory;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::path::PathBuf;

use clap::Subcommand;

use super::at_tenant::AtTenant;
use super::{CliError, Context, Exit};
use crate::config::Settings;
use crate::graph::oath_tokens::OathDevice;
use crate::model::{MethodId, UserId};
use crate::pin::{SeedError, SeedStore, settle_seeds};

/// Said before every command of this group: nobody should build on it unwarned.
const BETA: &str = "Hardware tokens go by Graph's beta version, which Microsoft may change without notice.";

/// `keybench oath …`
#[derive(Debug, Subcommand)]
pub enum OathCommand {
    /// Put a vendor's file of tokens into the tenant's inventory (beta)
    ///
    /// Each seed is sealed to the custodians first, as PINs are, and its sealed copy is deleted when the token is activated.
    /// Running it again adds what is missing.
    Import(import::ImportArgs),
    /// Give a token to a person (beta)
    Assign(activate::AssignArgs),
    /// Make a person's token work, with a code it shows or one computed from its seed (beta)
    Activate(activate::ActivateArgs),
    /// The inventory (beta)
    List(inventory::ListArgs),
    /// Take a token from its person, and out of the inventory (beta)
    Remove(inventory::RemoveArgs),
}

pub(super) fn run(context: &Context<'_>, command: &OathCommand) -> Result<Exit, CliError> {
    context.output.progress(BETA);
    match command {
        OathCommand::Import(args) => import::run(context, args),
        OathCommand::Assign(args) => activate::assign(context, args),
        OathCommand::Activate(args) => activate::activate(context, args),
        OathCommand::List(args) => inventory::list(context, args),
        OathCommand::Remove(args) => inventory::remove(context, args),
    }
}

/// The sealed seeds of this tenant.
fn seeds(at: &AtTenant) -> Result<SeedStore, CliError> {
    let folder = seed_folder(&at.settings);
    // What a change of custodians that was cut off left there.
    if at.settings.ledger.path.exists()
        && let Some((first, second)) = crate::provision::custodians::in_force(&super::ledger::to_read(&at.settings)?)?
    {
        settle_seeds(&folder, (&first, &second))?;
    }
    Ok(SeedStore::new(folder, at.tenant.clone()))
}

/// Where sealed seeds are.
pub(super) fn seed_folder(settings: &Settings) -> PathBuf {
    settings.data.join("oath-seeds")
}

/// A token of the inventory.
fn device(at: &AtTenant, serial: &str) -> Result<OathDevice, CliError> {
    at.graph.oath_device(serial.trim())?.ok_or_else(|| {
        let fact = format!("There is no hardware token {} in the inventory.", serial.trim());
        let next = "`keybench oath list` shows them; those of the portal's old upload don't show.";
        CliError::new(Exit::Usage, "no-such-token", fact, next)
    })
}

/// A person's method for a token.
fn method_of(at: &AtTenant, user: &UserId, device: &OathDevice) -> Result<Option<MethodId>, CliError> {
    let theirs = at.graph.oath_methods(user)?;
    Ok(theirs
        .into_iter()
        .find(|(_, other)| other.as_ref().is_some_and(|other| other.id == device.id))
        .map(|(method, _)| method))
}

impl From<SeedError> for CliError {
    fn from(error: SeedError) -> Self {
        match error {
            SeedError::Seal(error) => error.into(),
            SeedError::Open(error) => error.into(),
            SeedError::Private(error) => error.into(),
            SeedError::Content(_) => {
                super::causes::told(Exit::Usage, "token-seed", &error.to_string(), "import the vendor's file again.")
            }
        }
    }
}
