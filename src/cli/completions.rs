//! `keybench completions`.

use clap::Args;
use clap_complete::Shell;

use super::{CliError, Context, Exit};

/// `keybench completions`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench completions bash > ~/.local/share/bash-completion/completions/keybench
  keybench completions zsh > ~/.zfunc/_keybench
  keybench completions powershell >> $PROFILE")]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

pub(super) fn run(context: &Context<'_>, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::tree(), "keybench", &mut script);
    context.output.raw(&script)?;
    Ok(Exit::Done)
}
