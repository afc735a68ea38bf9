//! `keybench tenant`: the tenant's policies around the keys.

mod apply;
mod confirm;
mod export;
mod plan;
mod preset;
mod undo;
mod whatif;

use clap::Subcommand;

use super::{CliError, Context, Exit};

/// `keybench tenant …`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
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
        TenantCommand::Preset(command) => preset::run(context, command),
        TenantCommand::Export(args) => export::run(context, args),
        TenantCommand::Plan(args) => plan::run(context, args),
        TenantCommand::Apply(args) => apply::run(context, args),
        TenantCommand::Undo(args) => undo::run(context, args),
        TenantCommand::WhatIf(args) => whatif::run(context, args),
        TenantCommand::Confirm(args) => confirm::run(context, args),
    }
}

/// While a part is being built.
fn not_yet(what: &str) -> CliError {
    CliError::new(Exit::Usage, "usage", format!("`keybench tenant {what}` is not built yet."), "use the portal.")
}
