//! `keybench man`.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Context, Exit};

/// `keybench man`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench man | man -l -
  keybench man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write one page a command into this folder instead
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

pub(super) fn run(context: &Context<'_>, args: &ManArgs) -> Result<Exit, CliError> {
    let unwritable = |error: std::io::Error| {
        CliError::new(Exit::Usage, "unwritable", "The manual can't be written.", "choose another folder with --out.")
            .because(error.to_string())
    };
    match &args.out {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(super::tree()).render(&mut page).map_err(unwritable)?;
            context.output.raw(&page)?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(unwritable)?;
            clap_mangen::generate_to(super::tree(), folder).map_err(unwritable)?;
            context.output.answer(&folder.display().to_string());
        }
    }
    Ok(Exit::Done)
}
