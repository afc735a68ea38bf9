//! `keybench report`: pages for those who don't sit at the bench.

mod adoption;
mod html;
#[cfg(all(test, feature = "sim"))]
mod tests;

use clap::Subcommand;

use super::{CliError, Context, Exit};

/// `keybench report …`
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// How far a batch or a group has come: keys, second authenticators, left-over passes (beta)
    Adoption(adoption::AdoptionArgs),
}

pub(super) fn run(context: &Context<'_>, command: &ReportCommand) -> Result<Exit, CliError> {
    match command {
        ReportCommand::Adoption(args) => adoption::run(context, args),
    }
}
