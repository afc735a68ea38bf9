//! Signed in to the tenant of the settings: what every command but `run` that asks a tenant begins with.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connect::connect;
use super::interrupt::{Patience, interrupted};
use super::output::aside;
use super::{CliError, Context, Exit, Output};
use crate::config::Settings;
use crate::graph::{Account, Cancel, DirectoryUser, Graph, GraphError, GraphEvent};
use crate::ledger::{Ledger, SqliteLedger};
use crate::model::TenantId;
use crate::platform::who;
use crate::roster::decode::LARGEST;
use crate::tenant::account_journal::{AccountJournal, JournalError};
use crate::world::{Clock, SystemClock, SystemEntropy};

/// A tenant, signed in to.
pub(super) struct AtTenant<'a> {
    output: &'a Output,
    pub(super) settings: Settings,
    pub(super) graph: Graph,
    pub(super) account: Account,
    pub(super) tenant: TenantId,
    pub(super) clock: Arc<dyn Clock>,
    cancel: Cancel,
    _patience: Patience,
}

impl<'a> AtTenant<'a> {
    /// Signs in. Waits that Graph asks for are told on stderr while they last.
    ///
    /// # Errors
    /// Settings that can't work, signing in, or another tenant than the settings name.
    pub(super) fn sign_in(context: &Context<'a>) -> Result<Self, CliError> {
        let settings = context.settings()?;
        let named = settings.tenant()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let cancel = Cancel::new();
        let patience = Patience::with(interrupted(), cancel.clone());
        let graph = connect(context, &settings, &named, &clock, Arc::new(told), cancel.clone())?;
        let account = graph.sign_in()?;
        if let Some(found) = &account.tenant
            && !found.as_str().eq_ignore_ascii_case(named.id.as_str())
        {
            let fact = format!("Signed in to tenant {found}, but the settings name {}.", named.id);
            let next = "correct tenant.id in the settings, or sign in with another account.";
            return Err(CliError::new(Exit::Usage, "other-tenant", fact, next));
        }
        Ok(Self {
            output: context.output,
            tenant: named.id,
            settings,
            graph,
            account,
            clock,
            cancel,
            _patience: patience,
        })
    }

    /// Ends all waits.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Who writes, as the ledger names them: a person's object id, else the application's.
    pub(super) fn account_id(&self) -> String {
        let person = self.account.object_id.as_ref().map(ToString::to_string);
        person.or_else(|| self.account.app_id.clone()).unwrap_or_default()
    }

    /// Between two people: whether Ctrl-C asked to stop. What is done stands; the same command goes on.
    pub(super) fn go_on(&self) -> Result<(), CliError> {
        if !interrupted().load(Ordering::Relaxed) {
            return Ok(());
        }
        let fact = "Interrupted. What is listed above is done, the rest is not.";
        Err(CliError::new(
            Exit::Interrupted,
            "interrupted",
            fact,
            "run the same command again; it goes on where it stopped.",
        ))
    }

    /// The ledger, for writing; made where there is none.
    pub(super) fn ledger(&self) -> Result<SqliteLedger, CliError> {
        super::ledger::to_begin(&self.settings)
    }

    /// Where writes to accounts are written down.
    pub(super) fn journal<'l>(&self, ledger: &'l dyn Ledger) -> AccountJournal<'l> {
        AccountJournal {
            ledger,
            entropy: &SystemEntropy,
            tenant: self.tenant.clone(),
            operator: who::operator(),
            account: self.account_id(),
        }
    }

    /// A person, by user principal name or object id.
    pub(super) fn person(&self, name: &str) -> Result<DirectoryUser, CliError> {
        self.graph.find_user(name.trim())?.ok_or_else(|| {
            let fact = format!("The tenant has nobody by the name {}.", name.trim());
            CliError::new(
                Exit::Usage,
                "no-such-user",
                fact,
                "check the spelling, and that the tenant is the right one.",
            )
        })
    }

    /// Asks again until there is an answer: what was just written shows late. Says so once; `None` when patience ends.
    pub(super) fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut ask: impl FnMut() -> Result<Option<T>, GraphError>,
    ) -> Result<Option<T>, CliError> {
        let start = self.clock.monotonic();
        let mut wait = Duration::from_millis(200);
        let mut told = false;
        loop {
            if let Some(found) = ask()? {
                if told {
                    self.output.progress("  There.");
                }
                return Ok(Some(found));
            }
            if self.clock.monotonic().saturating_sub(start).saturating_add(wait) > patience {
                return Ok(None);
            }
            if !told {
                self.output.progress(&format!("Waiting until {what}; the directory takes some seconds …"));
                told = true;
            }
            self.cancel.wait(&*self.clock, wait).map_err(|_| {
                CliError::new(
                    Exit::Interrupted,
                    "interrupted",
                    "Interrupted while waiting for the tenant.",
                    "run it again.",
                )
            })?;
            wait = wait.saturating_mul(2).min(Duration::from_secs(5));
        }
    }
}

/// Waits, while they last.
fn told(event: GraphEvent) {
    match event {
        GraphEvent::Throttled { seconds, doing } => {
            aside(&format!("Graph asks to slow down: {seconds} s, then on with it ({doing})."));
        }
        GraphEvent::Retrying { seconds, doing, why } => aside(&format!("{why}; again in {seconds} s ({doing}).")),
        // Our own pace is no trouble; the command says that it asks several times.
        GraphEvent::Pacing { .. } => {}
    }
}

/// How a person is called in what people read.
pub(super) fn name_of(user: &DirectoryUser) -> String {
    user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string)
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Ledger(error) => Self::from(error).because("Nothing was sent to the tenant."),
            JournalError::NoEntropy(error) => error.into(),
        }
    }
}

/// One line of text with something in it, to stand in the ledger.
pub(super) fn one_line<'a>(option: &str, text: &'a str) -> Result<&'a str, CliError> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > 200 {
        let fact = format!("{option} must be one line of at most 200 characters, and not empty.");
        return Err(CliError::new(Exit::Usage, "usage", fact, "it stands in the ledger for good: write how, or why."));
    }
    Ok(text)
}

/// A file that somebody named, as far as one is read.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: std::io::Error| {
        let fact = format!("{} can't be read.", path.display());
        CliError::new(Exit::Usage, "file-unreadable", fact, "check the name and your rights.")
            .because(error.to_string())
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more shows that there is more.
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
