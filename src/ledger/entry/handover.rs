//! From bench to hand: paper, parcels, receipts, and keys that come back or get lost.
//!
//! As everywhere in the chain: no PIN, no name, no address.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Attempt, BlobHash, Entry};
use crate::model::{
    Aaguid, BatchId, BenchId, CredentialId, JobId, KeyRef, MethodId, ReleaseRule, RunId, TenantId, UserId,
};

/// One act of the hand-over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HandoverEntry {
    /// What a batch asks of the hand-over from here on. Settings that change later don't change it.
    BatchRuled {
        /// The batch.
        batch: BatchId,
        /// When its PINs may leave.
        release: ReleaseRule,
        /// The operating system's name for who asked; a desk whose bundle brought it.
        by: String,
    },
    /// A PIN letter is about to be printed. Until it is confirmed, nobody knows whether paper exists.
    LetterClaimed {
        /// The job.
        job: JobId,
        /// Whose try's PIN.
        attempt: Attempt,
        /// The sheet's reference, as printed on it.
        sheet: String,
        /// A reprint says why; empty for the first.
        reason: String,
        /// The operating system's name for who did it.
        by: String,
        /// The print run: letters of one run come out of the printer in the order of their claims.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The last day on which the letter is to be used, as it says itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Date>,
    },
    /// The letter left us: for the printer or as a file.
    LetterPrinted {
        /// The job.
        job: JobId,
        /// The sheet.
        sheet: String,
        /// Where to, e.g. `file` or `ipp`.
        to: String,
    },
    /// Somebody has seen the good sheet, or the spoiled one.
    LetterConfirmed {
        /// The job.
        job: JobId,
        /// The sheet.
        sheet: String,
        /// It came out well; a spoiled one is to be destroyed and printed again.
        good: bool,
    },
    /// A key label was printed.
    LabelPrinted {
        /// The job; none for a REJECT label or stock.
        job: Option<JobId>,
        /// What the label's code says.
        code: String,
    },
    /// Addresses, languages or both came from a list of people; they stand in the side table.
    AddressesImported {
        /// SHA-256 of the list's bytes.
        list: BlobHash,
        /// How many people got one.
        people: u64,
        /// The operating system's name for who did it.
        by: String,
    },
    /// A key was put into its parcel: key and parcel were compared.
    Packed {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// How the key was recognised: `label`, `serial` or `plugged`.
        seen_by: String,
        /// The carrier's number, if it was told.
        tracking: Option<String>,
        /// Who packed it, as they named themselves; else the operating system's name.
        by: String,
    },
    /// Key and parcel did not belong together, and packing was stopped.
    PackingStopped {
        /// The key's job.
        job: JobId,
        /// A short code, e.g. `other-parcel`.
        code: String,
        /// Who was packing.
        by: String,
    },
    /// The parcel arrived, by the carrier's word or by the code on the card inside. Says nothing of who opened it.
    Delivered {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// `carrier` or `card`.
        evidence: String,
        /// When it arrived.
        when: Timestamp,
        /// Who noted it.
        by: String,
    },
    /// Somebody made sure that the right person holds the key.
    ReceiptVerified {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// `manager`, `call-back` or `other-channel`.
        how: String,
        /// Who made sure.
        by: String,
    },
    /// The PIN was handed over.
    PinReleased {
        /// The job.
        job: JobId,
        /// Whose try's PIN.
        attempt: Attempt,
        /// `letter`, `hook` or `manager`.
        channel: String,
        /// Who released it.
        by: String,
    },
    /// A key is gone, wherever it was.
    KeyLost {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// Why we think so.
        reason: String,
        /// Who said it.
        by: String,
    },
    /// A key is back in hand.
    KeyReturned {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// It was wiped, and shown to be blank.
        blank: bool,
        /// Who took it back.
        by: String,
    },
    /// The person is to get another key in the place of this try's, whose method is out of the tenant.
    ReplacementWanted {
        /// The job.
        job: JobId,
        /// Whose try's key is replaced.
        attempt: Attempt,
        /// A short code: `lost`, `returned` or `replaced`.
        code: String,
    },
    /// The passkey is proved, and is to be registered only when the person has received the key.
    HoldChosen {
        /// The job.
        job: JobId,
        /// Whose try's passkey.
        attempt: Attempt,
    },
    /// The bench is done with the key and the tenant knows nothing of it: its registration record is sealed to the activation
    /// keys, and the plain one is gone.
    Held {
        /// The job.
        job: JobId,
        /// Whose try's passkey.
        attempt: Attempt,
        /// SHA-256 of the plain record, which what is opened has to have.
        record: BlobHash,
        /// SHA-256 of the sealed record, a document.
        sealed: BlobHash,
        /// SHA-256 of what tells the key again (its public key), a document.
        witness: BlobHash,
        /// The passkey.
        credential: CredentialId,
        /// The key's model.
        aaguid: Aaguid,
        /// When the tenant stops accepting the record.
        expires: Timestamp,
        /// Fingerprints of the activation keys.
        to: Vec<String>,
    },
    /// The sealed record was sealed again, to other activation keys.
    HoldResealed {
        /// The job.
        job: JobId,
        /// Whose try's passkey.
        attempt: Attempt,
        /// The sealed record as it was: it is gone.
        before: BlobHash,
        /// SHA-256 of the sealed record from here on, a document.
        sealed: BlobHash,
        /// Fingerprints of the activation keys.
        to: Vec<String>,
    },
    /// The sealed record was opened, to register the passkey. The intent to send it is written beside this.
    ActivationBegun {
        /// The job.
        job: JobId,
        /// Whose try's passkey.
        attempt: Attempt,
        /// Who activates, as they named themselves.
        by: String,
    },
    /// The sealed record is destroyed. Unless the passkey was activated, it never can be any more.
    HoldEnded {
        /// The job.
        job: JobId,
        /// Whose try's passkey.
        attempt: Attempt,
        /// The sealed record as it was: it is gone.
        sealed: BlobHash,
        /// A short code: `activated`, `hold-expired`, `lost`, `returned`, `replaced` or `left`.
        code: String,
    },
    /// Registration records of held keys are sealed to these from here on.
    ActivationKeysSet {
        /// Fingerprints of age recipients.
        keys: Vec<String>,
        /// Who changed them; `config` for the first.
        by: String,
    },
    /// A supplier says that it sent these keys: a document with one serial number a line.
    StockExpected {
        /// SHA-256 of the document.
        list: BlobHash,
        /// How many.
        count: u64,
        /// Who took the list in.
        by: String,
    },
    /// These keys were scanned in: a document with one serial number a line.
    StockReceived {
        /// SHA-256 of the document.
        list: BlobHash,
        /// How many.
        count: u64,
        /// Who scanned them.
        by: String,
    },
    /// The person is about to be told that a key was bound to their account. Until the next entry about it, nobody knows
    /// whether they were.
    NoticeIntended {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// `mail` or `text`.
        channel: String,
        /// Why it is sent again; empty for the first.
        reason: String,
        /// Who sends it.
        by: String,
    },
    /// The notice left: the tenant took the mail, or the text was given out.
    NoticeSent {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// `mail` or `text`.
        channel: String,
        /// client-request-id of a mail.
        request: Option<String>,
    },
    /// The notice did not leave; it is due as before.
    NoticeFailed {
        /// The job.
        job: JobId,
        /// Whose try's key.
        attempt: Attempt,
        /// A short code.
        code: String,
    },
    /// The PIN is about to go out by mail. `PinReleased` or `ReleaseFailed` tells how it went; where neither follows, nobody knows.
    ReleaseIntended {
        /// The job.
        job: JobId,
        /// Whose try's PIN.
        attempt: Attempt,
        /// `manager`.
        channel: String,
        /// Who is to get it.
        to: UserId,
        /// Who releases it.
        by: String,
    },
    /// The PIN certainly did not go out.
    ReleaseFailed {
        /// The job.
        job: JobId,
        /// Whose try's PIN.
        attempt: Attempt,
        /// A short code.
        code: String,
    },
    /// A blank key or a token was put into a parcel, for a person who registers it themselves.
    SelfPacked {
        /// This parcel.
        parcel: String,
        /// Tenant.
        tenant: TenantId,
        /// Whom for.
        user: UserId,
        /// What is in it.
        what: SelfParcel,
        /// How it was recognised: `label`, `serial`, `plugged`.
        seen_by: String,
        /// The carrier's number, if it was told.
        tracking: Option<String>,
        /// Who packed it.
        by: String,
    },
    /// The person registered the key that was in the parcel.
    SelfRegistered {
        /// The parcel.
        parcel: String,
        /// Whose.
        user: UserId,
        /// Its id in the tenant.
        method: MethodId,
        /// When it was registered, by the tenant's word.
        created: Timestamp,
        /// A person said which of several it is; else model and time left one.
        named: bool,
        /// Who watched.
        by: String,
    },
    /// The token that was in the parcel works for its person.
    SelfActivated {
        /// The parcel.
        parcel: String,
        /// Whose.
        user: UserId,
        /// Its id in the tenant.
        method: MethodId,
        /// Who watched.
        by: String,
    },
    /// The person is about to be told that the key of this parcel was bound to their account. Until the next entry about it, nobody
    /// knows whether they were.
    SelfNoticeIntended {
        /// The parcel.
        parcel: String,
        /// Whose.
        user: UserId,
        /// `mail` or `text`.
        channel: String,
        /// Why it is sent again; empty for the first.
        reason: String,
        /// Who sends it.
        by: String,
    },
    /// That notice left.
    SelfNoticeSent {
        /// The parcel.
        parcel: String,
        /// Whose.
        user: UserId,
        /// `mail` or `text`.
        channel: String,
        /// client-request-id of a mail.
        request: Option<String>,
    },
    /// That notice did not leave; it is due as before.
    SelfNoticeFailed {
        /// The parcel.
        parcel: String,
        /// Whose.
        user: UserId,
        /// A short code.
        code: String,
    },
    /// Nobody waits for this parcel any more.
    SelfEnded {
        /// The parcel.
        parcel: String,
        /// Whose it was.
        user: UserId,
        /// Its method, which was taken out of the tenant and seen to be gone.
        method: Option<MethodId>,
        /// `lost`, `returned` (wiped and blank), `not-wiped`, `left` or `not-wanted`.
        code: String,
        /// Why.
        reason: String,
        /// Who said so.
        by: String,
    },
    /// A signed bundle, or a log of what was done with one, was written for another desk.
    CustodyGiven {
        /// SHA-256 of the file.
        file: BlobHash,
        /// How many jobs are in it.
        jobs: u64,
        /// The operating system's name for who did it.
        by: String,
    },
    /// Files signed with this key are taken from that desk from here on.
    CustodyPartner {
        /// The desk, as it calls itself.
        desk: BenchId,
        /// Fingerprint of its signing key: SHA-256, first 16 hexadecimal digits.
        signer: String,
        /// The operating system's name for who compared it.
        by: String,
    },
    /// The job's story up to here was copied from another desk's bundle: the `entries` entries about the job before this one.
    CustodyTaken {
        /// The job.
        job: JobId,
        /// Whose bundle.
        desk: BenchId,
        /// The last entry of that desk's ledger that is in it.
        upto: u64,
        /// How many were copied this time.
        entries: u64,
    },
    /// Something that was done at another desk, come home in its log.
    Elsewhere {
        /// Which desk.
        desk: BenchId,
        /// Its position in that desk's ledger.
        seq: u64,
        /// When it was done.
        at: Timestamp,
        /// What.
        done: Box<Entry>,
    },
}

/// What a parcel holds for a person who registers themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum SelfParcel {
    /// A blank key.
    Key {
        /// Which.
        key: KeyRef,
        /// Our own label on it, where it tells no serial number.
        label: Option<String>,
    },
    /// A hardware token of the tenant's inventory.
    Token {
        /// As printed on it.
        serial: String,
    },
}

impl HandoverEntry {
    /// About a parcel for somebody who registers themselves: it belongs to no job.
    pub fn is_of_self_parcel(&self) -> bool {
        matches!(
            self,
            Self::SelfPacked { .. }
                | Self::SelfRegistered { .. }
                | Self::SelfActivated { .. }
                | Self::SelfNoticeIntended { .. }
                | Self::SelfNoticeSent { .. }
                | Self::SelfNoticeFailed { .. }
                | Self::SelfEnded { .. }
        )
    }

    /// The job it is about, if it is about one.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::LetterClaimed { job, .. } | Self::LetterPrinted { job, .. } | Self::LetterConfirmed { job, .. } => {
                Some(job)
            }
            Self::LabelPrinted { job, .. } => job.as_ref(),
            Self::AddressesImported { .. } => None,
            Self::Packed { job, .. }
            | Self::PackingStopped { job, .. }
            | Self::Delivered { job, .. }
            | Self::ReceiptVerified { job, .. }
            | Self::PinReleased { job, .. }
            | Self::KeyLost { job, .. }
            | Self::KeyReturned { job, .. }
            | Self::ReplacementWanted { job, .. }
            | Self::HoldChosen { job, .. }
            | Self::Held { job, .. }
            | Self::HoldResealed { job, .. }
            | Self::ActivationBegun { job, .. }
            | Self::HoldEnded { job, .. }
            | Self::NoticeIntended { job, .. }
            | Self::NoticeSent { job, .. }
            | Self::NoticeFailed { job, .. }
            | Self::ReleaseIntended { job, .. }
            | Self::ReleaseFailed { job, .. } => Some(job),
            Self::SelfPacked { .. }
            | Self::SelfRegistered { .. }
            | Self::SelfActivated { .. }
            | Self::SelfNoticeIntended { .. }
            | Self::SelfNoticeSent { .. }
            | Self::SelfNoticeFailed { .. }
            | Self::SelfEnded { .. } => None,
            Self::BatchRuled { .. }
            | Self::ActivationKeysSet { .. }
            | Self::StockReceived { .. }
            | Self::StockExpected { .. }
            | Self::CustodyGiven { .. }
            | Self::CustodyPartner { .. } => None,
            Self::CustodyTaken { job, .. } => Some(job),
            Self::Elsewhere { done, .. } => done.job(),
        }
    }

    /// The person it is about, if it is about one and names no job.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Elsewhere { done, .. } => done.user(),
            Self::SelfPacked { user, .. }
            | Self::SelfRegistered { user, .. }
            | Self::SelfActivated { user, .. }
            | Self::SelfNoticeIntended { user, .. }
            | Self::SelfNoticeSent { user, .. }
            | Self::SelfNoticeFailed { user, .. }
            | Self::SelfEnded { user, .. } => Some(user),
            _ => None,
        }
    }

    /// Documents in the side table that it names.
    pub fn documents(&self) -> Vec<BlobHash> {
        match self {
            Self::StockExpected { list, .. } | Self::StockReceived { list, .. } => vec![*list],
            Self::Held { sealed, witness, .. } => vec![*sealed, *witness],
            Self::HoldResealed { sealed, .. } => vec![*sealed],
            _ => Vec::new(),
        }
    }

    /// Documents of its job that go with this entry: the ledger removes them, and what its log still has of them.
    pub fn removes(&self) -> Option<(&JobId, BlobHash)> {
        match self {
            Self::Held { job, record, .. } => Some((job, *record)),
            Self::HoldResealed { job, before, .. } => Some((job, *before)),
            Self::HoldEnded { job, sealed, .. } => Some((job, *sealed)),
            _ => None,
        }
    }
}
