//! Asking before the tenant is changed: `--yes` covers what locks nobody out, and no more.

use clap::Args;

use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit};
use crate::tenant::plan::Effects;
use crate::world::Operator as _;

/// What somebody agrees to beforehand.
#[derive(Debug, Args)]
pub struct Consent {
    /// Do not ask; stops where people would be locked out, or where that can't be counted
    #[arg(long)]
    pub yes: bool,
    /// With --yes: go on although this many people would be locked out, as they are counted
    #[arg(long, value_name = "N", requires = "yes")]
    pub accept_locked_out: Option<usize>,
    /// With --yes: go on although in this many places nobody can count whom it locks out
    #[arg(long, value_name = "N", requires = "yes")]
    pub accept_uncounted: Option<usize>,
}

impl Consent {
    /// Asks, or takes `--yes` for what it covers.
    ///
    /// # Errors
    /// Nobody agreed. Nothing was changed.
    pub(super) fn ask(
        &self,
        context: &Context<'_>,
        effects: &Effects,
        question: &str,
        word: &str,
    ) -> Result<(), CliError> {
        let (locked, uncounted) = (effects.locked_out(), effects.uncounted.len());
        if self.yes {
            return self.covers(locked, uncounted);
        }
        let mut parts = Vec::new();
        if locked > 0 {
            parts.push(format!("{} would be LOCKED OUT", people(locked)));
        }
        if uncounted > 0 {
            parts.push(format!("who is locked out can't be counted in {}", places(uncounted)));
        }
        let (question, word) = if parts.is_empty() {
            (question.to_owned(), word)
        } else {
            let risk = crate::cli::error::sentence(&parts.join(", and "));
            (format!("{} See above. Change the tenant all the same?", risk), "lock-out")
        };
        if Terminal::new(context.output).confirm(&question, word) {
            return Ok(());
        }
        Err(not_confirmed())
    }

    fn covers(&self, locked: usize, uncounted: usize) -> Result<(), CliError> {
        let counted = locked == 0 || self.accept_locked_out == Some(locked);
        let known = uncounted == 0 || self.accept_uncounted == Some(uncounted);
        if counted && known {
            return Ok(());
        }
        let mut flags = Vec::new();
        if locked > 0 {
            flags.push(format!("--accept-locked-out {locked}"));
        }
        if uncounted > 0 {
            flags.push(format!("--accept-uncounted {uncounted}"));
        }
        let fact = match (locked, uncounted) {
            (0, _) => format!("Whom it locks out can't be counted in {}; nothing was changed.", places(uncounted)),
            (_, 0) => format!("{} would be locked out; nothing was changed.", people(locked)),
            _ => format!(
                "{} would be locked out, and whom else can't be counted in {}; nothing was changed.",
                people(locked),
                places(uncounted)
            ),
        };
        let next = format!("look at what is shown above; if it is meant, add {}.", flags.join(" "));
        Err(CliError::new(Exit::SomeFailed, "would-lock-out", fact, next))
    }
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

fn places(count: usize) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

/// The word was not typed.
pub(super) fn not_confirmed() -> CliError {
    CliError::new(Exit::Usage, "not-confirmed", "Nothing was changed.", "add --yes where nobody can be asked.")
}
