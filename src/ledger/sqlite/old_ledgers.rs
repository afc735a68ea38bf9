//! Ledgers written by older versions: every kind of entry is in a fixture, and every fixture still opens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::super::JobFilter;
use super::super::conformance::{OnDisk, Place as _, begun, finished, job, person, planned, sealed, user};
use super::super::entry::{Act, Counts, ForcedChange, HandoverEntry, RunEnd, TenantEntry};
use super::*;
use crate::model::{Aaguid, BatchId, BenchId, ChangeId, CredentialId, JobStatus, MethodId, RunId, TenantId};

fn opened(place: &OnDisk) -> SqliteLedger {
    place.try_open("us").expect("opens")
}

/// One entry of each kind that `append` takes. The match below does not compile when a kind is missing from it: put the new
/// kind here too, and write a new fixture (`fixtures/ledgers/README.md`).
fn one_of_each() -> Vec<Entry> {
    let (attempt, code, credential) = (1, "code".to_owned(), CredentialId::new(vec![7; 20]));
    let (run, method, key) = (
        RunId::new("run"),
        MethodId::new("method"),
        match begun(1, 1) {
            Entry::AttemptStarted { key, .. } => key,
            other => panic!("{other:?}"),
        },
    );
    let (job, user) = (job(1), user(1));
    let record = BlobHash::of(b"record");
    let at = jiff::Timestamp::UNIX_EPOCH;
    vec![
        Entry::CustodiansSet { first: vec!["0123456789abcdef".into()], second: Vec::new(), by: "config".into() },
        Entry::RunStarted {
            run: run.clone(),
            batch: BatchId::new("batch"),
            tenant: TenantId::new("tenant"),
            roster: record,
            source: Some("people.csv".into()),
            operator: "op".into(),
            account: "account".into(),
            version: "0.1.0".into(),
        },
        planned(1),
        Entry::JobParked { job: job.clone(), code: code.clone() },
        Entry::JobResumed { job: job.clone() },
        Entry::JobRefused { job: job.clone(), code: code.clone() },
        begun(1, 1),
        Entry::Intent { job: job.clone(), attempt, act: Act::SetPin },
        Entry::PinSet { job: job.clone(), attempt },
        Entry::ActUndone { job: job.clone(), attempt, act: Act::MakeCredential, code: code.clone() },
        Entry::CredentialMade { job: job.clone(), attempt, credential: credential.clone(), record, expires: at },
        Entry::CredentialProved { job: job.clone(), attempt, checks: vec!["signature".into()] },
        Entry::Registered { job: job.clone(), attempt, method: method.clone(), found: false },
        Entry::ReadBack { job: job.clone(), attempt },
        Entry::PinRulesSet { job: job.clone(), attempt, minimum: 6, forced: ForcedChange::Forced },
        Entry::CredentialRemoved { job: job.clone(), attempt, credential: credential.clone() },
        Entry::MethodDeleted { job: job.clone(), attempt, method: method.clone() },
        Entry::Watched { job: job.clone(), attempt, user, credential: credential.clone() },
        Entry::Unwatched { job: job.clone(), credential, deleted: Some(method.clone()) },
        Entry::AttemptFailed { job: job.clone(), attempt, code: code.clone(), pin_on_key: true },
        Entry::KeyRefused { key, code },
        finished(1, 1),
        Entry::ResumeKeyDestroyed { job: job.clone(), attempt },
        Entry::KeyTaken { job: job.clone(), attempt },
        Entry::PinOpened {
            job: job.clone(),
            attempt,
            by: "custodian".into(),
            reason: "lost letter".into(),
            noted: None,
        },
        Entry::Revoked { job, method, reason: "lost".into() },
        Entry::RunEnded { run, end: RunEnd::Complete, counts: Counts { planned: 1, finished: 1, ..Counts::default() } },
    ]
}

/// What schema 2 added.
fn one_of_each_of_schema_2() -> Vec<Entry> {
    let (tenant, change, by) = (TenantId::new("tenant"), ChangeId::new("change"), "op".to_owned());
    let (job, user, method, request) = (job(1), user(1), MethodId::new("method"), "request".to_owned());
    let (document, at) = (BlobHash::of(b"document"), jiff::Timestamp::UNIX_EPOCH);
    let (sheet, reason, desk) = ("1001".to_owned(), String::new(), BenchId::new("mail room"));
    let tenant_entries = [
        TenantEntry::ChangeIntended {
            change: change.clone(),
            tenant: tenant.clone(),
            area: "fido2".into(),
            call: "PATCH /policies".into(),
            before: Some(document),
            sent: None,
            operator: by.clone(),
            account: "account".into(),
        },
        TenantEntry::AccountChangeIntended {
            change: change.clone(),
            tenant: tenant.clone(),
            user: Some(user.clone()),
            area: "pass".into(),
            call: "POST /users".into(),
            before: None,
            sent: Some(document),
            operator: by.clone(),
            account: "account".into(),
        },
        TenantEntry::TokenImported {
            tenant: tenant.clone(),
            device: "device".into(),
            serial: "1234567".into(),
            by: by.clone(),
            request: request.clone(),
        },
        TenantEntry::TokenActivated {
            tenant: tenant.clone(),
            user: user.clone(),
            device: "device".into(),
            serial: "1234567".into(),
            computed: true,
            by: by.clone(),
            request: request.clone(),
        },
        TenantEntry::ChangeDone { change: change.clone(), after: None, request: Some(request.clone()) },
        TenantEntry::ChangeFailed { change, code: "code".into(), request: None },
        TenantEntry::Stated {
            tenant: tenant.clone(),
            about: "sspr-scope".into(),
            answer: "done".into(),
            by: by.clone(),
        },
        TenantEntry::PassIssued {
            tenant: tenant.clone(),
            user: user.clone(),
            method: method.clone(),
            one_time: true,
            minutes: 60,
            starts: at,
            identified: "call-back".into(),
            by: by.clone(),
            request: request.clone(),
        },
        TenantEntry::MethodRemoved {
            tenant: tenant.clone(),
            user: user.clone(),
            method_kind: "temporaryAccessPass".into(),
            method,
            reason: "swept".into(),
            by: by.clone(),
            request: request.clone(),
        },
        TenantEntry::PersonCreated { tenant, user, sent: None, by: by.clone(), request },
        TenantEntry::KeyUsed { job: job.clone(), at },
    ];
    let someone = super::super::conformance::user(2);
    let handover_entries = [
        HandoverEntry::BatchRuled {
            batch: BatchId::new("batch"),
            release: crate::model::ReleaseRule::OnReceipt,
            by: "op".into(),
        },
        HandoverEntry::LetterClaimed {
            job: job.clone(),
            attempt: 1,
            sheet: sheet.clone(),
            reason,
            by,
            run: Some(crate::model::RunId::new("letters-1")),
            expires: Some(jiff::civil::date(2026, 12, 12)),
        },
        HandoverEntry::LetterPrinted { job: job.clone(), sheet: sheet.clone(), to: "file".into() },
        HandoverEntry::LetterConfirmed { job: job.clone(), sheet, good: true },
        HandoverEntry::LabelPrinted { job: Some(job.clone()), code: "code".into() },
        HandoverEntry::AddressesImported { list: BlobHash([2; 32]), people: 3, by: "op".into() },
        HandoverEntry::Packed {
            job: job.clone(),
            attempt: 1,
            seen_by: "label".into(),
            tracking: Some("JD0146".into()),
            by: "op".into(),
        },
        HandoverEntry::PackingStopped { job: job.clone(), code: "other-parcel".into(), by: "op".into() },
        HandoverEntry::Delivered { job: job.clone(), attempt: 1, evidence: "card".into(), when: at, by: "op".into() },
        HandoverEntry::ReceiptVerified { job: job.clone(), attempt: 1, how: "manager".into(), by: "op".into() },
        HandoverEntry::PinReleased { job: job.clone(), attempt: 1, channel: "letter".into(), by: "op".into() },
        HandoverEntry::KeyLost { job: job.clone(), attempt: 1, reason: "post".into(), by: "op".into() },
        HandoverEntry::KeyReturned { job: job.clone(), attempt: 1, blank: true, by: "op".into() },
        HandoverEntry::ReplacementWanted { job: job.clone(), attempt: 2, code: "lost".into() },
        HandoverEntry::StockExpected { list: document, count: 1, by: "op".into() },
        HandoverEntry::HoldChosen { job: job.clone(), attempt: 1 },
        HandoverEntry::Held {
            job: job.clone(),
            attempt: 1,
            record: BlobHash([3; 32]),
            sealed: BlobHash([4; 32]),
            witness: BlobHash([5; 32]),
            credential: CredentialId::new(vec![7; 32]),
            aaguid: Aaguid::ZERO,
            expires: at,
            to: vec!["0123456789abcdef".into()],
        },
        HandoverEntry::HoldResealed {
            job: job.clone(),
            attempt: 1,
            before: BlobHash([4; 32]),
            sealed: BlobHash([6; 32]),
            to: Vec::new(),
        },
        HandoverEntry::ActivationBegun { job: job.clone(), attempt: 1, by: "Sam".into() },
        HandoverEntry::HoldEnded { job: job.clone(), attempt: 1, sealed: BlobHash([6; 32]), code: "activated".into() },
        HandoverEntry::ActivationKeysSet { keys: vec!["0123456789abcdef".into()], by: "config".into() },
        HandoverEntry::StockReceived { list: document, count: 1, by: "op".into() },
        HandoverEntry::NoticeIntended {
            job: job.clone(),
            attempt: 1,
            channel: "mail".into(),
            reason: String::new(),
            by: "op".into(),
        },
        HandoverEntry::NoticeSent {
            job: job.clone(),
            attempt: 1,
            channel: "mail".into(),
            request: Some("request".into()),
        },
        HandoverEntry::NoticeFailed { job: job.clone(), attempt: 1, code: "graph-forbidden".into() },
        HandoverEntry::ReleaseIntended {
            job: job.clone(),
            attempt: 1,
            channel: "manager".into(),
            to: someone.clone(),
            by: "op".into(),
        },
        HandoverEntry::ReleaseFailed { job: job.clone(), attempt: 1, code: "graph-forbidden".into() },
        HandoverEntry::SelfPacked {
            parcel: "7H2KQ".into(),
            tenant: TenantId::new("tenant"),
            user: someone.clone(),
            what: crate::ledger::SelfParcel::Token { serial: "1234567".into() },
            seen_by: "serial".into(),
            tracking: None,
            by: "op".into(),
        },
        HandoverEntry::SelfRegistered {
            parcel: "7H2KQ".into(),
            user: someone.clone(),
            method: MethodId::new("method"),
            created: at,
            named: false,
            by: "op".into(),
        },
        HandoverEntry::SelfActivated {
            parcel: "7H2KQ".into(),
            user: someone.clone(),
            method: MethodId::new("method"),
            by: "op".into(),
        },
        HandoverEntry::SelfNoticeIntended {
            parcel: "7H2KQ".into(),
            user: someone.clone(),
            channel: "mail".into(),
            reason: String::new(),
            by: "op".into(),
        },
        HandoverEntry::SelfNoticeSent {
            parcel: "7H2KQ".into(),
            user: someone.clone(),
            channel: "mail".into(),
            request: Some("request".into()),
        },
        HandoverEntry::SelfNoticeFailed {
            parcel: "7H2KQ".into(),
            user: someone.clone(),
            code: "graph-forbidden".into(),
        },
        HandoverEntry::SelfEnded {
            parcel: "7H2KQ".into(),
            user: someone,
            method: Some(MethodId::new("method")),
            code: "lost".into(),
            reason: "post".into(),
            by: "op".into(),
        },
        HandoverEntry::CustodyGiven { file: document, jobs: 1, by: "op".into() },
        HandoverEntry::CustodyPartner { desk: desk.clone(), signer: "0123456789abcdef".into(), by: "op".into() },
        HandoverEntry::CustodyTaken { job: job.clone(), desk: desk.clone(), upto: 7, entries: 2 },
        HandoverEntry::Elsewhere {
            desk,
            seq: 8,
            at,
            done: Box::new(Entry::PinOpened {
                job,
                attempt: 1,
                by: "Kim".into(),
                reason: "letter".into(),
                noted: None,
            }),
        },
    ];
    let all = tenant_entries.map(Entry::Tenant).into_iter().chain(handover_entries.map(Entry::Handover));
    // The held key is activated.
    all.chain([Entry::Finished { job: self::job(1), attempt: 1 }]).collect()
}

fn kind(entry: &Entry) -> usize {
    match entry {
        Entry::LedgerCreated { .. } => 0,
        Entry::CustodiansSet { .. } => 1,
        Entry::RunStarted { .. } => 2,
        Entry::RunEnded { .. } => 3,
        Entry::JobPlanned { .. } => 4,
        Entry::JobParked { .. } => 5,
        Entry::JobResumed { .. } => 6,
        Entry::JobRefused { .. } => 7,
        Entry::Claimed { .. } => 8,
        Entry::AttemptStarted { .. } => 9,
        Entry::PinSealed { .. } => 10,
        Entry::Intent { .. } => 11,
        Entry::PinSet { .. } => 12,
        Entry::ActUndone { .. } => 13,
        Entry::CredentialMade { .. } => 14,
        Entry::CredentialProved { .. } => 15,
        Entry::Registered { .. } => 16,
        Entry::ReadBack { .. } => 17,
        Entry::PinRulesSet { .. } => 18,
        Entry::Finished { .. } => 19,
        Entry::ResumeKeyDestroyed { .. } => 20,
        Entry::KeyTaken { .. } => 21,
        Entry::CredentialRemoved { .. } => 22,
        Entry::MethodDeleted { .. } => 23,
        Entry::Watched { .. } => 24,
        Entry::Unwatched { .. } => 25,
        Entry::AttemptFailed { .. } => 26,
        Entry::KeyRefused { .. } => 27,
        Entry::PinOpened { .. } => 28,
        Entry::Forgotten { .. } => 29,
        Entry::Revoked { .. } => 30,
        Entry::Restored { .. } => 31,
        Entry::Tenant(entry) => match entry {
            TenantEntry::ChangeIntended { .. } => 32,
            TenantEntry::ChangeDone { .. } => 33,
            TenantEntry::ChangeFailed { .. } => 34,
            TenantEntry::Stated { .. } => 35,
            TenantEntry::PassIssued { .. } => 36,
            TenantEntry::MethodRemoved { .. } => 37,
            TenantEntry::PersonCreated { .. } => 38,
            TenantEntry::KeyUsed { .. } => 39,
            TenantEntry::AccountChangeIntended { .. } => 57,
            TenantEntry::TokenImported { .. } => 58,
            TenantEntry::TokenActivated { .. } => 59,
        },
        Entry::Handover(entry) => match entry {
            HandoverEntry::LetterClaimed { .. } => 40,
            HandoverEntry::LetterPrinted { .. } => 41,
            HandoverEntry::LetterConfirmed { .. } => 42,
            HandoverEntry::LabelPrinted { .. } => 43,
            HandoverEntry::CustodyGiven { .. } => 44,
            HandoverEntry::CustodyPartner { .. } => 45,
            HandoverEntry::CustodyTaken { .. } => 46,
            HandoverEntry::Elsewhere { .. } => 47,
            HandoverEntry::Packed { .. } => 48,
            HandoverEntry::PackingStopped { .. } => 49,
            HandoverEntry::Delivered { .. } => 50,
            HandoverEntry::ReceiptVerified { .. } => 51,
            HandoverEntry::PinReleased { .. } => 52,
            HandoverEntry::KeyLost { .. } => 53,
            HandoverEntry::KeyReturned { .. } => 54,
            HandoverEntry::ReplacementWanted { .. } => 55,
            HandoverEntry::StockExpected { .. } => 56,
            HandoverEntry::AddressesImported { .. } => 60,
            HandoverEntry::HoldChosen { .. } => 61,
            HandoverEntry::Held { .. } => 62,
            HandoverEntry::HoldResealed { .. } => 63,
            HandoverEntry::ActivationBegun { .. } => 64,
            HandoverEntry::HoldEnded { .. } => 65,
            HandoverEntry::ActivationKeysSet { .. } => 66,
            HandoverEntry::StockReceived { .. } => 67,
            HandoverEntry::NoticeIntended { .. } => 68,
            HandoverEntry::NoticeSent { .. } => 69,
            HandoverEntry::NoticeFailed { .. } => 70,
            HandoverEntry::ReleaseIntended { .. } => 71,
            HandoverEntry::ReleaseFailed { .. } => 72,
            HandoverEntry::SelfPacked { .. } => 73,
            HandoverEntry::SelfRegistered { .. } => 74,
            HandoverEntry::SelfActivated { .. } => 75,
            HandoverEntry::SelfEnded { .. } => 76,
            HandoverEntry::BatchRuled { .. } => 77,
            HandoverEntry::SelfNoticeIntended { .. } => 78,
            HandoverEntry::SelfNoticeSent { .. } => 79,
            HandoverEntry::SelfNoticeFailed { .. } => 80,
        },
    }
}

const KINDS: usize = 81;
/// Kinds that schema 1 knew.
const KINDS_OF_V1: usize = 32;
/// Kinds that schema 2 knew.
const KINDS_OF_V2: usize = 61;
/// Kinds that schema 3 knew.
const KINDS_OF_V3: usize = 81;

/// Writes a ledger with every kind of entry in it: planned, sealed, forgotten, restored.
fn write_sample(path: &Path) {
    let place = OnDisk::new(true);
    let ledger = opened(&place);
    let people = vec![person(1, "kim"), person(2, "lee")];
    ledger.append(Append { people, ..Append::entries([planned(1), planned(2)]) }).expect("planned");
    for number in 1..=2 {
        let claim = ledger.claim(&job(number)).expect("claimed");
        ledger.append_seal(&claim, 1, &sealed(&format!("envelope of {number}"))).expect("sealed");
    }
    ledger.append(Append::entries(one_of_each()).with_document(b"record".to_vec())).expect("all kinds");
    let newer = Append::entries(one_of_each_of_schema_2()).with_document(b"document".to_vec());
    ledger.append(newer).expect("all kinds of schema 2");
    ledger.forget(&user(1), "left").expect("forgotten");
    drop(ledger);
    let clock: Arc<dyn Clock> = place.clock();
    restore(&place.mirror(), path, &BenchId::new("us"), &clock).expect("restored");
}

fn check_sample(ledger: &dyn Ledger, kinds: usize) {
    ledger.verify(None).expect("sound");
    let mut seen = [false; KINDS];
    ledger
        .visit(1, &mut |recorded| {
            seen[kind(&recorded.entry)] = true;
            ControlFlow::Continue(())
        })
        .expect("every entry is understood");
    assert_eq!(seen.iter().take(kinds).position(|seen| !seen), None, "a kind that no fixture has");
    let (mut jobless, mut found) = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    let went_on = ControlFlow::Continue(());
    ledger
        .visit_jobless(&mut |one| {
            found.push(one.seq);
            went_on
        })
        .expect("read");
    ledger
        .visit(1, &mut |one| {
            jobless.extend(one.entry.job().is_none().then_some(one.seq));
            all.push(one.hash);
            went_on
        })
        .expect("read");
    assert_eq!(found, jobless);
    let mut rows = Vec::new();
    ledger
        .visit_rows(&mut |row| {
            rows.push(row.hash);
            went_on
        })
        .expect("read");
    assert_eq!(rows, all);
    let lines = ledger.jobs(&JobFilter::all()).expect("jobs");
    assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), [JobStatus::Finished, JobStatus::Waiting]);
    assert_eq!(ledger.envelope(&job(2), 1).expect("read"), Some(sealed("envelope of 2")));
    assert_eq!(ledger.envelope(&job(1), 1).expect("read"), None, "forgotten");
}

#[test]
fn a_ledger_with_every_kind_of_entry_is_read_back() {
    // With the variable set, the file stays: that is how a fixture is made.
    let kept = std::env::var_os("KEYBENCH_WRITE_LEDGER").map(PathBuf::from);
    let place = OnDisk::new(false);
    let path = kept.unwrap_or_else(|| place.path());
    write_sample(&path);
    check_sample(&open_reader(&path).expect("opens"), KINDS);
}

#[test]
fn the_ledgers_of_older_versions_still_open() {
    for (name, kinds) in [("v1.sql", KINDS_OF_V1), ("v2.sql", KINDS_OF_V2), ("v3.sql", KINDS_OF_V3)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ledgers");
        let dump = std::fs::read_to_string(folder.join(name)).expect("a fixture");
        let place = OnDisk::new(true);
        Connection::open(place.path()).and_then(|db| db.execute_batch(&dump)).expect("loaded");
        let ledger = opened(&place);
        check_sample(&ledger, kinds);
        assert_eq!(ledger.blob(BlobHash::of(b"record")).expect("read"), None, "forgotten");
        let used = ledger.job(&job(1)).expect("read").expect("a line").used;
        assert_eq!(used.is_some(), kinds > KINDS_OF_V1, "what the older entries tell of a key's use is in its line");
        ledger.append(Append::entry(planned(3))).expect("and goes on");
        ledger.verify(None).expect("sound");
    }
}
