//! Held keys at a desk that is not the bench.

use super::*;
use std::sync::Arc;

use crate::ledger::entry::{Act, BlobHash};
use crate::ledger::{Append, MemoryStore};
use crate::model::{BatchId, BenchId, KeyRef, PortName, TenantId, UserId};
use crate::world::SystemClock;

/// A mail room gets the story without its seals, and no sealed registration: it says so, and not that the story breaks off.
#[test]
fn a_mail_room_says_that_it_has_no_sealed_registration() {
    let room = MemoryStore::new().open(BenchId::new("mail room"), Arc::new(SystemClock::new()));
    let (tenant, user) = (TenantId::new("tenant"), UserId::new("user"));
    let job = JobId::derive(&tenant, &user, 1);
    let (attempt, expires) = (1, "2027-01-15T08:00:00Z".parse().expect("a time"));
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
    let credential = CredentialId::new(vec![7; 32]);
    let (record, sealed) = (BlobHash::of(b"record"), BlobHash::of(b"sealed"));
    let of = || job.clone();
    let intent = |act| Entry::Intent { job: of(), attempt, act };
    let story = vec![
        Entry::JobPlanned { job: of(), tenant, user, ordinal: 1, batch: BatchId::new("b") },
        Entry::AttemptStarted { job: of(), attempt, key },
        // Here the bench's ledger has `pin-sealed`.
        intent(Act::SetPin),
        Entry::PinSet { job: of(), attempt },
        intent(Act::MakeCredential),
        Entry::CredentialMade { job: of(), attempt, credential: credential.clone(), record, expires },
        Entry::Handover(HandoverEntry::HoldChosen { job: of(), attempt }),
        Entry::PinRulesSet { job: of(), attempt, minimum: 6, forced: ForcedChange::Forced },
        Entry::Handover(HandoverEntry::Held {
            job: of(),
            attempt,
            record,
            sealed,
            witness: BlobHash::of(b"witness"),
            credential,
            aaguid: Aaguid::ZERO,
            expires,
            to: vec!["0123456789abcdef".into()],
        }),
    ];
    room.append(Append::entries(story)).expect("taken");
    let error = open_record(&room, &job, &Identities::new(), Timestamp::UNIX_EPOCH).expect_err("it is elsewhere");
    assert!(matches!(error, ActivationError::NoRecord), "{error:?}");
}
