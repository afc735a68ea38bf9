//! `keybench tenant`: the tenant's policies around the keys.

mod app;
mod apply;
mod export;
mod first_contact;
mod plan;
mod preset;
mod undo;

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
}

pub(super) fn run(context: &Context<'_>, command: &TenantCommand) -> Result<Exit, CliError> {
    match command {
        TenantCommand::App(args) => app::run(context, args),
        TenantCommand::FirstContact(args) => first_contact::run(context, args),
        TenantCommand::Preset(command) => preset::run(context, command),
        TenantCommand::Export(args) => export::run(context, args),
        TenantCommand::Plan(args) => plan::run(context, args),
        TenantCommand::Apply(args) => apply::run(context, args),
        TenantCommand::Undo(args) => undo::run(context, args),
    }
}

/// While a part is being built.
fn not_yet(what: &str) -> CliError {
    CliError::new(Exit::Usage, "usage", format!("`keybench tenant {what}` is not built yet."), "use the portal.")
}
