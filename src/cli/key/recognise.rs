//! Whose finished key is this? By its serial number; where it tells none, by a signature without touch or PIN.
//!
//! Promise: a key without a serial number is recognised by a signature that verifies with the public key that was attested at the
//! bench, over a challenge of ours: what a key merely claims is not believed. Nothing on the key changes.

use std::ops::ControlFlow;

use super::closed;
use super::look::{Look, Seen};
use crate::cli::{CliError, Exit};
use crate::ctap2::command::get_assertion::Assertion;
use crate::ledger::{BlobHash, Entry, HandoverEntry, Ledger, LedgerError};
use crate::model::{JobId, KeyRef};
use crate::webauthn::assertion::{ExpectedFlags, verify_assertion};
use crate::webauthn::client_data::ClientData;
use crate::webauthn::record::Witness;
use crate::world::{Entropy, PluggedKey};

/// What a key in a port is to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Recognised {
    /// The last key of this job.
    Job {
        /// It.
        job: JobId,
        /// What the key says of itself.
        key: KeyRef,
        /// It has no PIN: somebody has wiped it since.
        wiped: bool,
    },
    /// Nobody's, as far as the ledger knows.
    Nobodys {
        /// What it says of itself.
        key: KeyRef,
        /// It has no PIN.
        blank: bool,
    },
}

/// A job's last key.
struct Known {
    job: JobId,
    key: KeyRef,
    record: Option<BlobHash>,
}

/// Looks it up. The key stays open in `look`.
///
/// # Errors
/// A key that can't be talked to, or a ledger that can't be read.
pub(in crate::cli) fn recognise(
    ledger: &dyn Ledger,
    entropy: &dyn Entropy,
    plugged: &PluggedKey,
    look: &mut Look,
) -> Result<Recognised, CliError> {
    let Some(key) = look.key_ref() else { return Err(closed(&look.seen, plugged)) };
    let blank = matches!(look.seen, Seen::Blank(_));
    let known = last_keys(ledger)?;
    if key.serial.is_some() {
        // The serial number alone: another model with it is another key.
        let found = known.into_iter().find(|known| known.key.serial == key.serial && known.key.aaguid == key.aaguid);
        return Ok(match found {
            Some(known) => Recognised::Job { job: known.job, key, wiped: blank },
            None => Recognised::Nobodys { key, blank },
        });
    }
    let mut records = Vec::new();
    for one in known.iter().filter(|one| one.key.serial.is_none() && one.key.aaguid == key.aaguid) {
        let kept = match one.record {
            Some(hash) => ledger.blob(hash)?,
            None => None,
        };
        if let Some(record) = kept.and_then(|bytes| Witness::from_bytes(&bytes).ok()) {
            records.push((&one.job, record));
        }
    }
    match signs_for(&records, entropy, look)? {
        Some(job) => Ok(Recognised::Job { job, key, wiped: false }),
        None => Ok(Recognised::Nobodys { key, blank }),
    }
}

/// Every job's last key that may be somewhere.
fn last_keys(ledger: &dyn Ledger) -> Result<Vec<Known>, LedgerError> {
    let mut known: Vec<Known> = Vec::new();
    ledger.visit(1, &mut |recorded| {
        match recorded.entry.act() {
            Entry::AttemptStarted { job, key, .. } => {
                known.retain(|one| one.job != *job && (key.serial.is_none() || one.key.serial != key.serial));
                known.push(Known { job: job.clone(), key: key.clone(), record: None });
            }
            Entry::CredentialMade { job, record, .. } => {
                if let Some(one) = known.iter_mut().find(|one| one.job == *job) {
                    one.record = Some(*record);
                }
            }
            // The record of a held key is sealed; what tells the key again is not.
            Entry::Handover(HandoverEntry::Held { job, witness, .. }) => {
                if let Some(one) = known.iter_mut().find(|one| one.job == *job) {
                    one.record = Some(*witness);
                }
            }
            Entry::Handover(HandoverEntry::KeyReturned { job, blank: true, .. }) => known.retain(|one| one.job != *job),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(known)
}

/// The job whose credential the key has, and signs with.
fn signs_for(records: &[(&JobId, Witness)], entropy: &dyn Entropy, look: &mut Look) -> Result<Option<JobId>, CliError> {
    let Some((_, first)) = records.first() else { return Ok(None) };
    let mut challenge = [0u8; 32];
    entropy.fill(&mut challenge)?;
    let client_data = ClientData::get(&challenge, &first.rp_id);
    let same_site: Vec<_> = records.iter().filter(|(_, record)| record.rp_id == first.rp_id).collect();
    let ids: Vec<_> = same_site.iter().map(|(_, record)| record.credential.clone()).collect();
    let answer = match &mut look.seen {
        Seen::PinSet(session) => session.silent_of(&first.rp_id, &ids, *client_data.hash()),
        Seen::Blank(session) => session.silent_of(&first.rp_id, &ids, *client_data.hash()),
        Seen::NoPin(_) | Seen::U2f(_) | Seen::Closed { .. } => return Ok(None),
    };
    let assertion = answer.map_err(|error| {
        let fact = "The key did not answer when it was asked whose it is.";
        let next = "take it out and put it back; if it stays so, name it by its label.";
        CliError::new(Exit::Keys, "key-trouble", fact, next).because(format!("{error}."))
    })?;
    let Some(assertion) = assertion else { return Ok(None) };
    let claimed = same_site.iter().find(|(_, record)| record.credential == assertion.credential);
    Ok(claimed.filter(|(_, record)| is_signed(record, &client_data, &assertion)).map(|(job, _)| (*job).clone()))
}

fn is_signed(record: &Witness, client_data: &ClientData, assertion: &Assertion) -> bool {
    verify_assertion(
        &record.public_key_cose,
        &record.rp_id,
        client_data.hash(),
        &assertion.auth_data,
        &assertion.signature,
        ExpectedFlags::SILENT,
    )
    .is_ok()
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::cli::key::tools;
    use crate::ctap2::Unwatched;
    use crate::ctap2::command::make_credential::{
        CredentialProtection, Extensions, MakeCredential, RelyingParty, User,
    };
    use crate::ctap2::session::Make;
    use crate::ledger::{Append, MemoryStore, SealReceipt};
    use crate::model::{BatchId, BenchId, Pin, PortName, TenantId, UserId};
    use crate::sim::key::{Model, SimKey, Touch};
    use crate::sim::ports::SimPorts;
    use crate::webauthn::attestation::KeyAnswer;
    use crate::webauthn::record::RegistrationRecord;
    use crate::world::{KeyPorts, SystemClock, SystemEntropy};

    const RP: &str = "login.microsoft.com";

    /// A key without a serial number in a port, with somebody's credential on it.
    fn made(ports: &SimPorts, port: &str, unit: u32) -> (KeyRef, RegistrationRecord) {
        let key = SimKey::new(&Model::by_id("security-key-nfc").expect("a model"), unit);
        key.probe().finger().set(Touch::AtOnce);
        ports.plug(&PortName::new(port), key).expect("plugged");
        let plugged = in_port(ports, port);
        let Seen::Blank(session) = Look::at(ports, &plugged, &tools()).seen else { panic!("blank") };
        let key = session.key_ref();
        assert_eq!(key.serial, None);
        let pin = Pin::new(Zeroizing::new("73451098".to_owned())).expect("a PIN");
        let mut session = session.set_pin(&pin, &SealReceipt::for_tests(), &mut Unwatched).expect("set");
        let client_data = ClientData::create(b"0123456789abcdef", RP);
        let request = MakeCredential {
            client_data_hash: *client_data.hash(),
            rp: RelyingParty { id: RP.into(), name: None },
            user: User { id: vec![1; 16], name: Some("kim".into()), display_name: None },
            algorithms: vec![-7],
            exclude: Vec::new(),
            resident: true,
            extensions: Extensions {
                hmac_secret: false,
                cred_protect: Some(CredentialProtection::UvOptional),
                min_pin_length: false,
            },
            enterprise_attestation: None,
        };
        let attempt = session.attempt(3).expect("tries left");
        let authorised = attempt.authorise(&pin, Make { rp_id: RP.into() }).expect("a token");
        let new = authorised.make_credential(&request, &mut Unwatched).expect("made");
        let answer = KeyAnswer { fmt: &new.format, att_stmt: &new.att_stmt, auth_data: &new.auth_data };
        let record = RegistrationRecord::new(&answer, &client_data, RP, jiff::Timestamp::UNIX_EPOCH, Vec::new());
        (key, record.expect("a record"))
    }

    fn in_port(ports: &SimPorts, port: &str) -> PluggedKey {
        let listed = ports.list().expect("keys");
        listed.into_iter().find(|key| key.port.as_str() == port).expect("a key")
    }

    fn entries(user: &str, key: &KeyRef, record: &RegistrationRecord) -> (JobId, Vec<Entry>, Vec<u8>) {
        let (tenant, user, batch) = (TenantId::new("t"), UserId::new(user), BatchId::new("b"));
        let job = JobId::derive(&tenant, &user, 1);
        let bytes = record.to_bytes();
        let made = Entry::CredentialMade {
            job: job.clone(),
            attempt: 1,
            credential: record.credential.clone(),
            record: BlobHash::of(&bytes),
            expires: record.expires,
        };
        let planned = Entry::JobPlanned { job: job.clone(), tenant, user, ordinal: 1, batch };
        let begun = Entry::AttemptStarted { job: job.clone(), attempt: 1, key: key.clone() };
        (job, vec![planned, begun, made], bytes)
    }

    #[test]
    fn a_key_without_a_serial_number_is_known_by_its_signature_and_not_by_its_word() {
        let ports = SimPorts::numbered(3);
        let (first, second) = (made(&ports, "sim-1", 1), made(&ports, "sim-2", 2));
        let blank = SimKey::new(&Model::by_id("security-key-nfc").expect("a model"), 3);
        ports.plug(&PortName::new("sim-3"), blank).expect("plugged");
        let ledger = MemoryStore::new().open(BenchId::new("us"), std::sync::Arc::new(SystemClock::new()));
        let mut jobs = Vec::new();
        for (user, (key, record)) in [("kim", &first), ("sam", &second)] {
            let (job, all, bytes) = entries(user, key, record);
            ledger.append(Append::entries(all).with_document(bytes)).expect("kept");
            jobs.push(job);
        }
        let whose = |port: &str| {
            let plugged = in_port(&ports, port);
            let mut look = Look::at(&ports, &plugged, &tools());
            recognise(&ledger, &SystemEntropy, &plugged, &mut look).expect("answered")
        };
        // In other ports than at the bench: only the signature tells them.
        for (port, job) in [("sim-1", &jobs[0]), ("sim-2", &jobs[1])] {
            assert!(matches!(whose(port), Recognised::Job { job: found, wiped: false, .. } if found == *job), "{port}");
        }
        assert!(matches!(whose("sim-3"), Recognised::Nobodys { blank: true, .. }));

        // A record whose parts are of two keys is not believed.
        let ledger = MemoryStore::new().open(BenchId::new("us"), std::sync::Arc::new(SystemClock::new()));
        let forged = RegistrationRecord { credential: first.1.credential.clone(), ..second.1.clone() };
        let (_, all, bytes) = entries("lee", &first.0, &forged);
        ledger.append(Append::entries(all).with_document(bytes)).expect("kept");
        let plugged = in_port(&ports, "sim-1");
        let mut look = Look::at(&ports, &plugged, &tools());
        let found = recognise(&ledger, &SystemEntropy, &plugged, &mut look).expect("answered");
        assert!(matches!(found, Recognised::Nobodys { .. }), "{found:?}");
    }
}
