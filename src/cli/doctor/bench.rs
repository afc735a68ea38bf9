//! What stands on this machine: rights, keys, custodians, ledger, resume keys, metadata.

use jiff::Timestamp;

use super::Findings;
use crate::cli::key::look::{Look, Seen};
use crate::cli::key::tools;
use crate::cli::{CliError, Exit};
use crate::config::Settings;
use crate::ctap2::hid::usb::UsbPorts;
use crate::ledger::{Ledger as _, LedgerError, SqliteLedger, open_reader};
use crate::model::{Aaguid, Serial};
use crate::pin::{DirResumeStore, PinnedSet, Recipients, ResumeStore as _, escrow};
use crate::platform::{rights, unseen};
use crate::webauthn::metadata::Metadata;
use crate::webauthn::trust::Anchors;
use crate::world::{KeyPorts, PortsError};

pub(super) fn rights(findings: &mut Findings<'_>) {
    match rights::before_the_first_key() {
        None => findings.ok("rights", "nothing known stands against opening keys"),
        Some(advice) => {
            let evidence = format!("{}. {}", advice.fact, advice.cause);
            findings.fail("rights", Exit::Keys, evidence, format!("{}.", advice.next));
        }
    }
}

/// The keys in the ports, each with why it is fit or not. Gives the models of those that are fit.
pub(super) fn keys(findings: &mut Findings<'_>, settings: Option<&Settings>) -> Vec<(String, Aaguid)> {
    match UsbPorts::new() {
        Ok(ports) => keys_in(findings, settings, &ports),
        Err(error) => {
            unseen(findings, error);
            Vec::new()
        }
    }
}

pub(super) fn keys_in(
    findings: &mut Findings<'_>,
    settings: Option<&Settings>,
    ports: &dyn KeyPorts,
) -> Vec<(String, Aaguid)> {
    let plugged = match ports.list() {
        Ok(plugged) => plugged,
        Err(error) => {
            unseen(findings, error);
            return Vec::new();
        }
    };
    if plugged.is_empty() {
        let (evidence, next) = match unseen::why(&unseen::signs()) {
            Some(unseen) => (format!("there is none in any port: {}", unseen.cause), unseen.next),
            None => ("there is none in any port".to_owned(), "put one in".to_owned()),
        };
        findings.warn("keys", evidence, format!("{next}; then run `keybench doctor` again."));
    }
    let mut models = Vec::new();
    let on_never = |serial: &Serial| settings.is_some_and(|settings| settings.bench.never.contains(serial));
    for key in &plugged {
        let name = format!("key in port {}", key.port);
        // Where USB tells the serial number, nobody has to ask the key.
        if let Some(serial) = key.usb_serial.as_deref().map(Serial::new).filter(on_never) {
            findings.ok(&name, format!("{}, serial {serial}: on [bench] never, it is not opened", key.product.trim()));
            continue;
        }
        let look = Look::at(ports, key, &tools());
        let serial = look.serial();
        let who = match &serial {
            Some(serial) => format!("{}, serial {serial}", look.model()),
            None => look.model().to_owned(),
        };
        if serial.as_ref().is_some_and(on_never) {
            findings.ok(&name, format!("{who}: on [bench] never; it was asked who it is, and no run uses it"));
            continue;
        }
        match (&look.seen, look.unfit()) {
            (Seen::Closed { code: "no-right", what }, _) => {
                let advice = rights::no_right_to_open();
                let evidence = format!("{who}: {what}. {}", advice.cause);
                findings.fail(&name, Exit::Keys, evidence, format!("{}.", advice.next));
            }
            (_, Some((code, why))) => {
                let next = crate::cli::codes::next_step(code).unwrap_or_default();
                findings.warn(&name, format!("{who}: {why} ({code})"), next);
            }
            (_, None) => {
                findings.ok(&name, format!("{who}: blank, fit for use"));
                models.extend(look.aaguid().map(|aaguid| (look.model().to_owned(), aaguid)));
            }
        }
    }
    models
}

fn unseen(findings: &mut Findings<'_>, error: PortsError) {
    let error = CliError::from(error);
    findings.fail("keys", Exit::Keys, error.fact, "check that the system's HID layer works.");
}

pub(super) fn custodians(findings: &mut Findings<'_>, settings: &Settings) {
    const NAME: &str = "custodians";
    if let Err(error) = settings.custodians() {
        return findings.error(NAME, &error.into());
    }
    let escrow = &settings.escrow;
    let recipients = match Recipients::from_settings(&escrow.first, &escrow.second, escrow.dual()) {
        Ok(recipients) => recipients,
        Err(errors) => return findings.error(NAME, &errors.into()),
    };
    if let Err(error) = escrow::probe(&recipients) {
        return findings.error(NAME, &error.into());
    }
    let pinned = match open_reader(&settings.ledger.path).map(|ledger| pinned(&ledger, &recipients)) {
        Ok(Ok(pinned)) => pinned,
        // Said where the ledger is looked at.
        _ => Ok(PinnedSet::FirstSet),
    };
    let (first, second) = recipients.fingerprints();
    let who = first.into_iter().chain(second).collect::<Vec<_>>().join(", ");
    let how = if recipients.is_dual() { "under dual control, " } else { "" };
    match pinned {
        Ok(PinnedSet::Match) => {
            findings.ok(NAME, format!("PINs can be sealed to {who}; {how}the same that the ledger has in force"));
        }
        Ok(PinnedSet::FirstSet) => {
            findings.ok(NAME, format!("PINs can be sealed to {who}; {how}in force from the first run on"));
        }
        Err(error) => {
            let error = crate::cli::causes::told(Exit::Usage, "custodians-changed", &error.to_string(), "");
            findings.error(NAME, &error);
        }
    }
}

type Pinned = Result<PinnedSet, crate::pin::NotThePinned>;

/// How the settings' recipients stand to the last set that the ledger names.
fn pinned(ledger: &SqliteLedger, recipients: &Recipients) -> Result<Pinned, LedgerError> {
    let mut last = None;
    ledger.visit(1, &mut |recorded| {
        if let crate::ledger::Entry::CustodiansSet { first, second, .. } = recorded.entry {
            last = Some((first, second));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(recipients.against(last.as_ref().map(|(first, second)| (first.as_slice(), second.as_slice()))))
}

pub(super) fn ledger(findings: &mut Findings<'_>, settings: &Settings) {
    let path = settings.ledger.path.display();
    match open_reader(&settings.ledger.path) {
        Ok(ledger) => match ledger.verify(None) {
            Ok(head) => findings.ok("ledger", format!("{path} is whole: {} entries, head {head}", head.seq)),
            Err(error) => findings.error("ledger", &error.into()),
        },
        Err(LedgerError::Missing { .. }) => findings.ok("ledger", format!("none yet; a run makes {path}")),
        Err(error) => findings.error("ledger", &error.into()),
    }
    const MIRROR: &str = "mirror";
    let Some(mirror) = &settings.ledger.mirror else {
        let evidence = "none: if this disk dies, the PINs of finished keys are lost with it";
        return findings.warn(MIRROR, evidence, "set ledger.mirror to a path on another disk.");
    };
    let folder = mirror.parent().filter(|folder| !folder.as_os_str().is_empty());
    if mirror.is_file() {
        findings.ok(MIRROR, format!("{} is there", mirror.display()));
    } else if folder.is_none_or(std::path::Path::is_dir) {
        findings.ok(MIRROR, format!("none yet; a run makes {}", mirror.display()));
    } else {
        let evidence = format!("the folder of {} is not there", mirror.display());
        findings.fail(MIRROR, Exit::Ledger, evidence, "put that disk in, or correct ledger.mirror.");
    }
}

pub(super) fn resume_store(findings: &mut Findings<'_>, settings: &Settings) {
    const NAME: &str = "resume keys";
    let folder = crate::platform::places::resume_dir(&settings.data);
    if !folder.exists() {
        return findings.ok(NAME, format!("none yet; a run makes {}", folder.display()));
    }
    match DirResumeStore::open(&folder).and_then(|store| store.probe()) {
        Ok(()) => findings.ok(NAME, format!("{} is private and can be written", folder.display())),
        Err(error) => findings.error(NAME, &error.into()),
    }
}

pub(super) fn metadata(findings: &mut Findings<'_>, settings: &Settings) {
    const NAME: &str = "FIDO metadata";
    let Some(path) = &settings.bench.mds else {
        return findings.ok(NAME, "none named; keys are not checked against it");
    };
    let opened =
        std::fs::read(path).map_err(|error| (error.to_string(), "check bench.mds.".to_owned())).and_then(|blob| {
            Metadata::open(&blob, &Anchors::fido(), Timestamp::now(), None)
                .map_err(|error| (error.to_string(), error.next().to_owned()))
        });
    match opened {
        Err((what, next)) => findings.fail(NAME, Exit::Usage, format!("{}: {what}", path.display()), next),
        Ok(metadata) => {
            let evidence = format!("{}: {} models, number {}", path.display(), metadata.len(), metadata.number());
            let warnings = metadata.warnings(Timestamp::now());
            if warnings.is_empty() {
                findings.ok(NAME, evidence);
            } else {
                let evidence = format!("{evidence}\n{}", warnings.join("\n"));
                findings.warn(NAME, evidence, "get a current one from https://mds3.fidoalliance.org/.");
            }
        }
    }
}
