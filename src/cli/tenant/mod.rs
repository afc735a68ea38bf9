//! `keybench tenant`: the tenant's policies around the keys.

mod apply;
mod check;
mod confirm;
mod export;
mod plan;
mod preset;
mod undo;

use clap::Subcommand;

use super::{CliError, Context, Exit};

/// `keybench tenant …`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
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
    /// Say how a setting stands that has no API; without arguments, list them
    ///
    /// Some settings can only be seen and changed in a portal. keybench names them, asks once, and remembers the answer in
    /// the ledger with date and name.
    Confirm(confirm::ConfirmArgs),
}

pub(super) fn run(context: &Context<'_>, command: &TenantCommand) -> Result<Exit, CliError> {
    match command {
        TenantCommand::Check(args) => check::run(context, args),
        TenantCommand::Preset(command) => preset::run(context, command),
        TenantCommand::Export(args) => export::run(context, args),
        TenantCommand::Plan(args) => plan::run(context, args),
        TenantCommand::Apply(args) => apply::run(context, args),
        TenantCommand::Undo(args) => undo::run(context, args),
        TenantCommand::Confirm(args) => confirm::run(context, args),
    }
}

/// While a part is being built.
fn not_yet(what: &str) -> CliError {
    CliError::new(Exit::Usage, "usage", format!("`keybench tenant {what}` is not built yet."), "use the portal.")
}
