//! `keybench tenant`: the tenant's policies around the keys.

mod app;
mod apply;
mod check;
mod confirm;
mod consent;
mod export;
mod first_contact;
mod plan;
mod policies;
mod preset;
mod shown;
mod undo;
mod whatif;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use clap::Subcommand;

use super::{CliError, Context, Exit};

/// `keybench tenant …`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// The app registration that keybench signs in with: print it, make it, explain what goes wrong
    App(app::AppArgs),
    /// Try one key against a live tenant, and keep what was seen, blanked, for others
    ///
    /// Answers what Microsoft's documentation leaves open. Everything that is made is removed again.
    FirstContact(first_contact::FirstContactArgs),
    /// Check whether the tenant is ready for these people and keys; change nothing
    ///
    /// Permissions, role, people, the passkey policy, passes, Conditional Access and what stands beside them: the checks PF01 to
    /// PF36 of docs/PREFLIGHT.md, each with what was seen and what to do.
    Check(check::CheckArgs),
    /// Write the wanted state of a pilot as TOML, to read, change and apply
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Write the tenant's policies as they are, as TOML
    Export(export::ExportArgs),
    /// Show what applying a file would change, and what that does to people
    Plan(plan::PlanArgs),
    /// Change the tenant to what a file says; each change can be undone
    Apply(apply::ApplyArgs),
    /// Write back what was there before a change
    Undo(undo::UndoArgs),
    /// Show which policies meet a person, what they demand, and whether a pass or a key is enough
    #[command(name = "whatif")]
    WhatIf(whatif::WhatIfArgs),
    /// Say how a setting stands that has no API; without arguments, list them
    ///
    /// Some settings can only be seen and changed in a portal. keybench names them, asks once, and remembers the answer in
    /// the ledger with date and name.
    Confirm(confirm::ConfirmArgs),
}

pub(super) fn run(context: &Context<'_>, command: &TenantCommand) -> Result<Exit, CliError> {
    match command {
        TenantCommand::App(args) => app::run(context, args),
        TenantCommand::FirstContact(args) => first_contact::run(context, args),
        TenantCommand::Check(args) => check::run(context, args),
        TenantCommand::Preset(command) => preset::run(context, command),
        TenantCommand::Export(args) => export::run(context, args),
        TenantCommand::Plan(args) => plan::run(context, args),
        TenantCommand::Apply(args) => apply::run(context, args),
        TenantCommand::Undo(args) => undo::run(context, args),
        TenantCommand::WhatIf(args) => whatif::run(context, args),
        TenantCommand::Confirm(args) => confirm::run(context, args),
    }
}

/// Writes a file that was asked for, or the answer. With `--json` the text is in the event.
fn write(context: &Context<'_>, out: Option<&Path>, text: &str) -> Result<(), CliError> {
    let Some(path) = out else {
        context.output.answer(text.trim_end());
        return Ok(());
    };
    let mut file = File::create_new(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let fact = format!("{} exists already; nothing was changed.", path.display());
            return CliError::new(Exit::Usage, "file-exists", fact, "choose another name, or move it away.");
        }
        unwritable(path, &error)
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| unwritable(path, &error))?;
    context.output.answer(&format!(
        "{} is written. Read it, then `keybench tenant plan {}`.",
        path.display(),
        path.display()
    ));
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    let fact = format!("{} can't be written.", path.display());
    CliError::new(Exit::Usage, "unwritable", fact, "choose another place.").because(error.to_string())
}

#[cfg(all(test, feature = "sim"))]
mod tests;
