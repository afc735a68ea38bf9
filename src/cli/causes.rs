//! From what each part says when it can't go on to the one error that people see: fact, cause, next step and exit code.

use super::error::{CliError, sentence};
use super::exit::Exit;
use crate::graph::{ErrorKind, GraphError};
use crate::ledger::LedgerError;
use crate::pin::{IdentityError, OpenError, PinPolicyError, RecipientsError, ResealError, ResumeError, SealError};
use crate::pipeline::bench::BenchError;
use crate::platform::private::PrivateError;
use crate::provision::ProvisionError;
use crate::tenant::preflight::Finding;
use crate::world::{NoEntropy, PortsError};

/// A text of the form `fact. Next: step`, as most parts write it, taken apart.
pub(super) fn told(exit: Exit, code: &'static str, text: &str, otherwise: &str) -> CliError {
    match text.split_once("Next: ") {
        Some((fact, next)) => CliError::new(exit, code, sentence(fact.trim_end()), step(next)),
        None => CliError::new(exit, code, sentence(text), otherwise),
    }
}

/// What follows "Next: ": small at the start, a full stop at the end.
fn step(text: &str) -> String {
    const NAMES: [&str; 6] = ["Graph", "Microsoft", "Entra", "Linux", "Windows", "Report"];
    let text = text.trim().trim_end_matches('.');
    let first = text.split([' ', ',', ';']).next().unwrap_or_default();
    let plain = first.chars().skip(1).all(char::is_lowercase) && !NAMES.contains(&first);
    let stop = if text.ends_with('?') { "" } else { "." };
    let mut chars = text.chars();
    match chars.next() {
        Some(start) if plain => format!("{}{}{stop}", start.to_lowercase(), chars.as_str()),
        Some(_) => format!("{text}{stop}"),
        None => String::new(),
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        let code = match &error {
            LedgerError::DiskFull { .. } | LedgerError::ReadOnlyFile { .. } => "ledger-unwritable",
            LedgerError::Corrupt { .. } | LedgerError::Chain(_) | LedgerError::BlobMismatch(_) => "ledger-damaged",
            LedgerError::NewerSchema { .. } | LedgerError::UnknownEntry { .. } => "ledger-newer",
            LedgerError::OlderSchema { .. } => "ledger-older",
            LedgerError::Missing { .. } => "ledger-missing",
            LedgerError::Exists { .. } => "ledger-exists",
            LedgerError::InUse { .. } | LedgerError::Locked { .. } => "ledger-in-use",
            LedgerError::NetworkShare { .. } => "ledger-network-share",
            LedgerError::Uncertain { .. } => "ledger-uncertain",
            LedgerError::Mirror { .. }
            | LedgerError::MirrorOwes { .. }
            | LedgerError::MirrorIsLedger { .. }
            | LedgerError::MirrorCorrupt { .. }
            | LedgerError::ForeignMirror { .. } => "ledger-mirror",
            LedgerError::OlderThanMirror { .. } => "ledger-behind-mirror",
            LedgerError::ClaimedElsewhere { .. } | LedgerError::ClaimLost { .. } => "ledger-claim",
            LedgerError::Overtaken { .. } => "ledger-overtaken",
            LedgerError::AlreadySealed { .. } | LedgerError::NotAllowed(_) | LedgerError::Stopped => "ledger-refused",
            _ => "ledger-unreadable",
        };
        // A URL that names no ledger is a mistake in the settings, like any other.
        let exit = if matches!(error, LedgerError::BadUrl { .. }) { Exit::Usage } else { Exit::Ledger };
        Self::new(exit, code, sentence(&error.to_string()), step(&error.next()))
    }
}

impl From<GraphError> for CliError {
    fn from(error: GraphError) -> Self {
        let exit = match error.kind() {
            // Ctrl-C stays Ctrl-C, also where a write was under way.
            ErrorKind::Unknown if error.trouble() == ErrorKind::Cancelled => Exit::Interrupted,
            ErrorKind::Settings | ErrorKind::SignIn | ErrorKind::Ambiguous => Exit::Usage,
            ErrorKind::Cancelled => Exit::Interrupted,
            _ => Exit::Tenant,
        };
        let mut shown = Self::new(exit, error.kind().word(), sentence(error.fact()), step(error.next()));
        if !error.cause().is_empty() {
            shown = shown.because(error.cause());
        }
        let ids = error.ids();
        let told = [("client-request-id", &ids.client_request_id), ("request-id", &ids.request_id)];
        let told: Vec<String> =
            told.iter().filter_map(|(name, id)| id.as_ref().map(|id| format!("{name} {id}"))).collect();
        if !told.is_empty() {
            shown = shown.because(format!("For Microsoft's support: {}.", told.join(", ")));
        }
        shown
    }
}

impl From<PinPolicyError> for CliError {
    fn from(error: PinPolicyError) -> Self {
        told(Exit::Usage, "pin-policy", &error.to_string(), "correct [pin] in the settings.")
    }
}

impl From<RecipientsError> for CliError {
    fn from(error: RecipientsError) -> Self {
        told(Exit::Usage, "recipients", &error.to_string(), "correct [escrow] in the settings.")
    }
}

impl From<Vec<RecipientsError>> for CliError {
    fn from(errors: Vec<RecipientsError>) -> Self {
        let fact = "The custodians in the settings can't be used.";
        let mut shown = Self::new(Exit::Usage, "recipients", fact, "correct [escrow] in the settings.");
        shown.causes = errors.iter().map(ToString::to_string).collect();
        shown
    }
}

impl From<Vec<PinPolicyError>> for CliError {
    fn from(errors: Vec<PinPolicyError>) -> Self {
        let fact = "No PIN meets the settings.";
        let mut shown = Self::new(Exit::Usage, "pin-policy", fact, "correct [pin] in the settings.");
        shown.causes = errors.iter().map(ToString::to_string).collect();
        shown
    }
}

impl From<SealError> for CliError {
    fn from(error: SealError) -> Self {
        told(Exit::Usage, "sealing-failed", &error.to_string(), "correct [escrow] in the settings.")
    }
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> Self {
        let next = "check the disk and the rights of the bench's data folder.";
        told(Exit::Usage, "resume-store", &error.to_string(), next)
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        let next = "give the right passphrase, at a terminal.";
        told(Exit::Usage, "identity", &error.to_string(), next)
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        let (exit, next) = match &error {
            OpenError::Damaged(_)
            | OpenError::Content(_)
            | OpenError::OtherJob { .. }
            | OpenError::OtherTry { .. }
            | OpenError::NotDual => {
                (Exit::Ledger, "run `keybench ledger verify`; don't use a PIN that came otherwise.")
            }
            _ => (Exit::Usage, "insert the custodian's device, or try `age -d` by hand."),
        };
        told(exit, "identity", &error.to_string(), next)
    }
}

impl From<ResealError> for CliError {
    fn from(error: ResealError) -> Self {
        match error {
            ResealError::Open(error) => error.into(),
            ResealError::Seal(error) => error.into(),
        }
    }
}

impl From<PrivateError> for CliError {
    fn from(error: PrivateError) -> Self {
        let code = match &error {
            PrivateError::Exposed { .. } | PrivateError::WritableByOthers { .. } => "file-exposed",
            _ => "unwritable",
        };
        told(Exit::Usage, code, &error.to_string(), "choose another place, or mend the rights.")
    }
}

impl From<PortsError> for CliError {
    fn from(error: PortsError) -> Self {
        Self::new(Exit::Keys, "no-ports", sentence(&error.to_string()), "run `keybench doctor`.")
    }
}

impl From<NoEntropy> for CliError {
    fn from(error: NoEntropy) -> Self {
        let next = "restart the machine; if it stays so, don't use it. Nothing secret was made.";
        Self::new(Exit::Fault, "no-entropy", sentence(&error.to_string()), next)
    }
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Ports(error) => error.into(),
            BenchError::Ledger(error) => error.into(),
            BenchError::Bench { code, what } => {
                let next = super::codes::next_step(code).unwrap_or("Run the same command again.");
                let exit = if matches!(code, "resume-store" | "sealing-failed") { Exit::Usage } else { Exit::Fault };
                told(exit, code, &what, &step(next))
            }
        }
    }
}

impl From<ProvisionError> for CliError {
    fn from(error: ProvisionError) -> Self {
        let usage = |code, fact: String, next: &str| Self::new(Exit::Usage, code, sentence(&fact), next);
        let text = error.to_string();
        match error {
            ProvisionError::Graph(error) => error.into(),
            ProvisionError::Ledger(error) => error.into(),
            ProvisionError::Bench(error) => error.into(),
            ProvisionError::Resume(error) => error.into(),
            ProvisionError::Seal(error) => error.into(),
            ProvisionError::NoEntropy(error) => error.into(),
            ProvisionError::Custodians(what) => {
                told(Exit::Usage, "custodians-changed", &what, "put the settings back; see docs/SECURITY.md.")
            }
            ProvisionError::ActivationKeys { added, missing } => {
                let next =
                    "put handover.activation_recipients back, or change them with `keybench custodian activation`.";
                let list = |what: &str, prints: &[String]| match prints {
                    [] => None,
                    prints => Some(format!("{what}: {}.", prints.join(", "))),
                };
                let mut shown = usage("activation-keys", text, next);
                shown.causes.extend(list("New in the settings", &added));
                shown.causes.extend(list("In force and not in the settings", &missing));
                shown
            }
            ProvisionError::ChallengeTooShort(_) => {
                let next = "register at the bench ([handover] activate = \"at-bench\"), or hold for fewer days.";
                usage("short-challenge", text, next)
                    .because("Challenges that live for days are Graph beta's alone; Microsoft may take them back.")
            }
            ProvisionError::OtherTenant { .. } => {
                usage("other-tenant", text, "correct tenant.id in the settings, or sign in with another account.")
            }
            ProvisionError::NotReady { findings, strict } => not_ready(&findings, strict),
            ProvisionError::Strict(count) => {
                let people = if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
                let fact = format!("{people} can't have a key, and --strict stops before the first one");
                let next = "mend what is listed above, or leave --strict out.";
                Self::new(Exit::SomeFailed, "strict", sentence(&fact), next)
            }
            ProvisionError::SimulatedKeys => {
                let next = "use a simulated tenant (`keybench sim tenant`), or leave --sim-keys away.";
                usage("sim-outside-loopback", text, next)
                    .because("A simulated key protects nothing: whoever has this program can sign in with it.")
            }
            ProvisionError::Metadata { next, .. } => usage("mds", text, &step(&next)),
            ProvisionError::KeyName(_) => usage("key-name", text, "correct bench.key_name in the settings."),
            ProvisionError::LooserBatch(_) => {
                let next = "leave --release out; people whose PINs may leave earlier belong in a batch of their own (--batch).";
                usage("batch-rule", text, next).because("What a batch asks was settled with its first run.")
            }
            ProvisionError::NotBegun { .. } => {
                usage("not-begun", text, "take the job's id from `keybench status`, or leave --give-up out.")
            }
            ProvisionError::BrokenAccount { .. } => {
                let next = "run `keybench ledger verify`, and report this.";
                Self::new(Exit::Ledger, "broken-account", sentence(&text), next)
            }
        }
    }
}

/// What the preflight stops a run for: the first finding is the fact, with its evidence; the others follow as causes.
pub(super) fn not_ready(findings: &[Finding], strict: bool) -> CliError {
    let Some(first) = findings.first() else {
        // infallible: a run is stopped for something
        return CliError::new(Exit::Tenant, "tenant-check", "The tenant is not ready.", "run `keybench tenant check`.");
    };
    // The passkey policy's own switches kept the code they had before there were checks.
    let code = match first.id.0 {
        _ if strict => "strict",
        6 | 8 => "tenant-policy",
        _ => "tenant-check",
    };
    let fact =
        if strict { format!("{} {}: {}", first.verdict.word(), first.id, first.what) } else { first.what.clone() };
    let next = first.remedy.as_ref().map_or("run `keybench tenant check`.", |remedy| remedy.text.as_str());
    let exit = if strict { Exit::SomeFailed } else { Exit::Tenant };
    let mut error = CliError::new(exit, code, sentence(&fact), step(next));
    for evidence in &first.evidence {
        error = error.because(format!("{}: {}", first.id, evidence));
    }
    for other in findings.iter().skip(1) {
        error = error.because(format!("{} {}: {}", other.verdict.word(), other.id, other.what));
    }
    if strict {
        error = error.because("--strict stops before the first key for warnings, and for what could not be asked.");
    }
    error
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::graph::Fixer;

    #[test]
    fn a_step_follows_next() {
        assert_eq!(step("Sign in again; then go on."), "sign in again; then go on.");
        assert_eq!(step("Microsoft has to do it"), "Microsoft has to do it.");
        assert_eq!(step("AADSTS50020 is explained there"), "AADSTS50020 is explained there.");
        assert_eq!(step(""), "");
        assert_eq!(step("did you mean `upn`?"), "did you mean `upn`?");
        assert_eq!(sentence("people.csv: line 1 is odd"), "people.csv: line 1 is odd.");
        assert_eq!(sentence("the ledger is odd."), "The ledger is odd.");
        let error = told(Exit::Usage, "identity", "the file x is locked. Next: Give the passphrase", "");
        assert_eq!(error.to_string(), "The file x is locked.\nNext: give the passphrase.");
    }

    #[test]
    fn each_part_has_its_exit_code() {
        let ledger = CliError::from(LedgerError::Missing { path: PathBuf::from("/x/ledger.db") });
        assert_eq!((ledger.exit, ledger.code), (Exit::Ledger, "ledger-missing"));
        assert!(ledger.fact.contains("/x/ledger.db") && ledger.next.contains("keybench run"), "{ledger}");
        let graph = |kind| {
            let error = GraphError::new(kind, Fixer::Operator, "Graph said no").because("Because.").advise("Do it.");
            CliError::from(error)
        };
        assert_eq!(graph(ErrorKind::SignIn).exit, Exit::Usage);
        assert_eq!(graph(ErrorKind::Settings).exit, Exit::Usage);
        assert_eq!(graph(ErrorKind::Forbidden).exit, Exit::Tenant);
        assert_eq!(graph(ErrorKind::Forbidden).to_string(), "Graph said no.\n  Because.\nNext: do it.");
        let nobody = CliError::from(RecipientsError::Nobody { group: "" });
        assert!(nobody.fact.ends_with("again.") && nobody.next.starts_with("run `keybench escrow keygen"), "{nobody}");
        assert_eq!(CliError::from(OpenError::NotForThese { dual: false }).exit, Exit::Usage);
        assert_eq!(CliError::from(OpenError::NotDual).exit, Exit::Ledger);
        assert_eq!(CliError::from(ProvisionError::Strict(2)).exit, Exit::SomeFailed);
    }
}
