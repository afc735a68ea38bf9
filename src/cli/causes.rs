//! What went wrong below, as the one error that people see: which exit code, which cause, which next step.

use super::{CliError, Exit};
use crate::graph::{ErrorKind, GraphError};
use crate::ledger::LedgerError;
use crate::pin::{PinPolicyError, RecipientsError, ResumeError, SealError};
use crate::pipeline::bench::BenchError;
use crate::provision::ProvisionError;

/// The sentence before `Next:` and the one after it; messages of `pin` carry both in one.
fn split_next(text: &str) -> (String, String) {
    match text.split_once("Next: ") {
        Some((fact, next)) => (sentence(fact), next.trim().to_owned()),
        None => (sentence(text), String::new()),
    }
}

/// First letter large, a full stop at the end.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    let start: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{start}{}.", chars.as_str())
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        Self::new(Exit::Ledger, "ledger", sentence(&error.to_string()), error.next())
    }
}

impl From<GraphError> for CliError {
    fn from(error: GraphError) -> Self {
        let exit = match error.kind() {
            ErrorKind::Settings | ErrorKind::SignIn | ErrorKind::Ambiguous => Exit::Usage,
            ErrorKind::Cancelled => Exit::Interrupted,
            _ => Exit::Tenant,
        };
        let mut shown = Self::new(exit, error.kind().word(), sentence(error.fact()), error.next());
        if !error.cause().is_empty() {
            shown = shown.because(error.cause());
        }
        let ids = error.ids();
        if let Some(id) = &ids.client_request_id {
            shown = shown.because(format!("client-request-id {id}"));
        }
        if let Some(id) = &ids.request_id {
            shown = shown.because(format!("request-id {id}"));
        }
        shown
    }
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> Self {
        let (fact, next) = split_next(&error.to_string());
        Self::new(Exit::Usage, "resume-store", fact, next)
    }
}

impl From<SealError> for CliError {
    fn from(error: SealError) -> Self {
        let (fact, next) = split_next(&error.to_string());
        Self::new(Exit::Usage, "sealing-failed", fact, next)
    }
}

impl From<Vec<RecipientsError>> for CliError {
    fn from(errors: Vec<RecipientsError>) -> Self {
        let mut shown =
            Self::new(Exit::Usage, "recipients", "The custodians' recipients can't be used.", "correct [escrow].");
        shown.causes = errors.iter().map(ToString::to_string).collect();
        shown
    }
}

impl From<Vec<PinPolicyError>> for CliError {
    fn from(errors: Vec<PinPolicyError>) -> Self {
        let mut shown = Self::new(Exit::Usage, "pin-policy", "No PIN can be given under [pin].", "correct [pin].");
        shown.causes = errors.iter().map(ToString::to_string).collect();
        shown
    }
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Ledger(error) => error.into(),
            BenchError::Ports(error) => {
                Self::new(Exit::Keys, "no-ports", "Security keys can't be watched.", "run `keybench doctor`.")
                    .because(error.to_string())
            }
            BenchError::Bench { code, what } => {
                let (fact, next) = split_next(&what);
                let next = if next.is_empty() {
                    "run the same command again; it settles what was begun.".into()
                } else {
                    next
                };
                Self::new(Exit::Fault, code, fact, next)
            }
        }
    }
}

impl From<ProvisionError> for CliError {
    fn from(error: ProvisionError) -> Self {
        let text = error.to_string();
        match error {
            ProvisionError::Graph(error) => error.into(),
            ProvisionError::Ledger(error) => error.into(),
            ProvisionError::Bench(error) => error.into(),
            ProvisionError::Resume(error) => error.into(),
            ProvisionError::Seal(error) => error.into(),
            ProvisionError::Custodians(_) => {
                let (fact, next) = split_next(&text);
                Self::new(Exit::Usage, "custodians-changed", fact, next)
            }
            ProvisionError::OtherTenant { .. } => Self::new(
                Exit::Usage,
                "other-tenant",
                sentence(&text),
                "sign in with an account of the tenant that tenant.id names, or correct tenant.id.",
            ),
            ProvisionError::Policy { what, next } => Self::new(Exit::Tenant, "tenant-policy", sentence(&what), next),
            ProvisionError::Strict(_) => Self::new(
                Exit::SomeFailed,
                "strict",
                sentence(&text),
                "take them off the roster, or leave --strict away.",
            ),
            ProvisionError::SimulatedKeys => Self::new(
                Exit::Usage,
                "simulated-keys",
                sentence(&text),
                "use a simulated tenant (`keybench sim tenant`), or leave --sim-keys away.",
            )
            .because("A simulated key protects nothing: whoever has this program can sign in with it."),
            ProvisionError::Metadata { next, .. } => Self::new(Exit::Usage, "metadata", sentence(&text), next),
            ProvisionError::KeyName(_) => {
                Self::new(Exit::Usage, "key-name", sentence(&text), "correct [bench] key_name.")
            }
            ProvisionError::Renamed(names) => {
                let mut shown = Self::new(
                    Exit::Usage,
                    "renamed",
                    sentence(&text),
                    "run the same command at a terminal and answer, or take them off the roster.",
                );
                shown.causes = names.iter().map(|(was, now)| format!("{was} is now {now}")).collect();
                shown
                    .causes
                    .push("A passkey does not follow a change of name; a mix-up in the roster looks the same.".into());
                shown
            }
            ProvisionError::NoEntropy(_) => {
                Self::new(Exit::Fault, "no-entropy", sentence(&text), "restart the machine; no PIN was made.")
            }
            ProvisionError::BrokenAccount { .. } => Self::new(
                Exit::Ledger,
                "broken-account",
                sentence(&text),
                "keep the ledger as evidence and run `keybench ledger verify`.",
            ),
        }
    }
}
