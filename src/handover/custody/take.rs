//! Taking a file: a bundle's jobs into our ledger, or a log's acts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::{BatchRule, Custodians, Happened, JobPart, Kind, Opened, is_act, is_of_self_parcel};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger, LedgerError, Resealed};
use crate::model::{BatchId, BenchId, JobId, ReleaseRule, SealedPin, UserId};

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// Nobody has compared this desk's fingerprint yet.
    #[error("it was signed by {signer}, which nobody here has compared with the desk {desk} yet")]
    Stranger {
        /// As the file calls its desk.
        desk: BenchId,
        /// Who signed it.
        signer: String,
    },
    /// Known under another key, or the fingerprint given is another's.
    #[error("it was signed by {signer}; files of the desk {desk} are signed by {wanted}")]
    OtherSigner {
        /// As the file calls its desk.
        desk: BenchId,
        /// Who signed it.
        signer: String,
        /// Who should have.
        wanted: String,
    },
    /// Written here.
    #[error("it was written at this very desk ({0})")]
    OurOwn(BenchId),
    /// A log of jobs that are not ours.
    #[error("it tells of job {0}, which this ledger does not have")]
    UnknownJob(JobId),
    /// An entry that has no place there.
    #[error("entry {seq} of job {job} has no place in such a file")]
    Misplaced {
        /// Whose.
        job: JobId,
        /// Which.
        seq: u64,
    },
    /// An entry about no job that has no place there.
    #[error("entry {0}, which is about no job, has no place in such a file")]
    Stray(u64),
    /// What a batch asks is the bench's to say.
    #[error("it says what a batch asks, which only the bench's bundle may")]
    Ruled,
    /// A seal that is no base64.
    #[error("the sealed PIN of job {0} is damaged")]
    Seal(JobId),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Jobs in the file.
    pub jobs: usize,
    /// Entries that were new here, those about parcels for people who register themselves included.
    pub entries: usize,
    /// Sealed PINs that were new here, or sealed to new custodians.
    pub seals: usize,
}

/// Takes a file. `compared` is the fingerprint that a person has compared with the other desk; from then on that desk's files
/// need no comparing. `by` is the operating system's name for them.
///
/// # Errors
/// [`TakeError`]. When the ledger could not be written half-way, taking the file again goes on.
pub fn take(ledger: &dyn Ledger, opened: &Opened, compared: Option<&str>, by: &str) -> Result<Taken, TakeError> {
    let content = &opened.content;
    if content.desk == *ledger.bench() {
        return Err(TakeError::OurOwn(content.desk.clone()));
    }
    let known = Known::read(ledger, &content.desk)?;
    let wanted = compared.map(|text| text.trim().to_ascii_lowercase()).or(known.signer.clone());
    match wanted {
        None => {
            return Err(TakeError::Stranger { desk: content.desk.clone(), signer: opened.signer.clone() });
        }
        Some(wanted) if wanted != opened.signer => {
            let (desk, signer) = (content.desk.clone(), opened.signer.clone());
            return Err(TakeError::OtherSigner { desk, signer, wanted });
        }
        Some(_) => {}
    }
    for part in &content.jobs {
        check(ledger, content.kind, part)?;
    }
    let fits = |entry: &Entry| match content.kind {
        Kind::Log => is_of_self_parcel(entry),
        Kind::Bundle => is_of_self_parcel(entry.act()),
    };
    if let Some(stray) = content.parcels.iter().find(|happened| !fits(&happened.entry)) {
        return Err(TakeError::Stray(stray.seq));
    }
    if content.kind == Kind::Log && !content.rules.is_empty() {
        return Err(TakeError::Ruled);
    }
    if known.signer.as_ref() != Some(&opened.signer) {
        let partner = HandoverEntry::CustodyPartner {
            desk: content.desk.clone(),
            signer: opened.signer.clone(),
            by: by.to_owned(),
        };
        ledger.append(Append::entry(Entry::Handover(partner)))?;
    }
    let mut taken = Taken { jobs: content.jobs.len(), ..Taken::default() };
    let parcels = new_acts(ledger, &content.desk, &known.brought, &content.parcels);
    if !parcels.is_empty() {
        taken.entries += parcels.len();
        let mut people = Vec::new();
        for person in &content.people {
            // Who is known here is kept as they are, and who was forgotten stays forgotten, unless a new parcel is a new reason.
            if ledger.person(&person.id)?.is_none() && !known.is_gone(&person.id, &content.parcels) {
                people.push(person.clone());
            }
        }
        ledger.append(Append { people, ..Append::entries(parcels) })?;
    }
    // Before the jobs that they are about: a take that is cut off leaves none of these without its rule.
    let rules: Vec<Entry> = content.rules.iter().filter_map(|rule| known.new_rule(rule, &content.desk)).collect();
    if !rules.is_empty() {
        ledger.append(Append::entries(rules))?;
    }
    match content.kind {
        Kind::Log => {
            for part in &content.jobs {
                taken.entries += acts(ledger, &content.desk, &known.brought, part)?;
            }
        }
        Kind::Bundle => {
            let mut others = Vec::new();
            if known.custodians.is_none() {
                set_custodians(ledger, content.custodians.as_ref(), &content.desk, Vec::new())?;
            }
            for part in &content.jobs {
                taken.entries += story(ledger, &content.desk, &known.forgotten, part)?;
                taken.seals += seals(ledger, part, &mut others)?;
            }
            let changed = known.custodians.is_some() && known.custodians != content.custodians;
            if changed || !others.is_empty() {
                taken.seals += others.len();
                set_custodians(ledger, content.custodians.as_ref(), &content.desk, others)?;
            }
        }
    }
    Ok(taken)
}

/// What our ledger knows of that desk, in one pass.
struct Known {
    signer: Option<String>,
    custodians: Option<Custodians>,
    /// Positions in its ledger whose acts have come home.
    brought: BTreeSet<u64>,
    /// What batches ask.
    rules: BTreeMap<BatchId, ReleaseRule>,
    /// Who was forgotten here. The other desk may still have their names.
    forgotten: BTreeMap<UserId, Timestamp>,
}

impl Known {
    /// Whether a person was forgotten here, and sent nothing since.
    fn is_gone(&self, user: &UserId, parcels: &[Happened]) -> bool {
        let since = |happened: &Happened, forgotten: Timestamp| {
            matches!(happened.entry.act(), Entry::Handover(HandoverEntry::SelfPacked { user: of, .. }) if of == user)
                && happened.at >= forgotten
        };
        self.forgotten.get(user).is_some_and(|at| !parcels.iter().any(|happened| since(happened, *at)))
    }

    fn read(ledger: &dyn Ledger, from: &BenchId) -> Result<Self, LedgerError> {
        let mut known = Self {
            signer: None,
            custodians: None,
            brought: BTreeSet::new(),
            rules: BTreeMap::new(),
            forgotten: BTreeMap::new(),
        };
        ledger.visit(1, &mut |recorded| {
            match recorded.entry {
                Entry::CustodiansSet { first, second, .. } => known.custodians = Some(Custodians { first, second }),
                Entry::Handover(HandoverEntry::CustodyPartner { desk, signer, .. }) if desk == *from => {
                    known.signer = Some(signer);
                }
                Entry::Handover(HandoverEntry::Elsewhere { desk, seq, .. }) if desk == *from => {
                    known.brought.insert(seq);
                }
                Entry::Handover(HandoverEntry::BatchRuled { batch, release, .. }) => {
                    known.rules.insert(batch, release);
                }
                Entry::Forgotten { user, .. } => _ = known.forgotten.insert(user, recorded.at),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(known)
    }

    /// What tells our ledger of a batch's rule, where that is new and not looser than what stands here.
    fn new_rule(&self, rule: &BatchRule, desk: &BenchId) -> Option<Entry> {
        let BatchRule { batch, release } = rule.clone();
        let is_new = self.rules.get(&batch).is_none_or(|now| *now != release && !release.is_looser_than(*now));
        let by = format!("the desk {desk}");
        is_new.then_some(Entry::Handover(HandoverEntry::BatchRuled { batch, release, by }))
    }
}

/// What can be known to be wrong is found before anything is written.
fn check(ledger: &dyn Ledger, kind: Kind, part: &JobPart) -> Result<(), TakeError> {
    for happened in &part.entries {
        let fits = happened.entry.job() == Some(&part.job) && (kind == Kind::Bundle || is_act(&happened.entry));
        let ours = matches!(
            happened.entry,
            Entry::LedgerCreated { .. }
                | Entry::Restored { .. }
                | Entry::Forgotten { .. }
                | Entry::CustodiansSet { .. }
        );
        if !fits || ours {
            return Err(TakeError::Misplaced { job: part.job.clone(), seq: happened.seq });
        }
    }
    match kind {
        Kind::Log if ledger.job(&part.job)?.is_none() => Err(TakeError::UnknownJob(part.job.clone())),
        Kind::Bundle if part.seals.iter().any(|seal| STANDARD.decode(&seal.custodian).is_err()) => {
            Err(TakeError::Seal(part.job.clone()))
        }
        _ => Ok(()),
    }
}

fn acts(ledger: &dyn Ledger, desk: &BenchId, brought: &BTreeSet<u64>, part: &JobPart) -> Result<usize, LedgerError> {
    let new = new_acts(ledger, desk, brought, &part.entries);
    let count = new.len();
    if count > 0 {
        ledger.append(Append::entries(new))?;
    }
    Ok(count)
}

/// What was done at that desk and did not come here yet, with its time and desk. What was done here stands here already.
fn new_acts(ledger: &dyn Ledger, from: &BenchId, brought: &BTreeSet<u64>, all: &[Happened]) -> Vec<Entry> {
    let is_ours = |entry: &Entry| matches!(entry, Entry::Handover(HandoverEntry::Elsewhere { desk, .. }) if desk == ledger.bench());
    let new = all.iter().filter(|happened| !brought.contains(&happened.seq) && !is_ours(&happened.entry));
    new.map(|Happened { seq, at, entry }| {
        let (desk, done) = (from.clone(), Box::new(entry.clone()));
        Entry::Handover(HandoverEntry::Elsewhere { desk, seq: *seq, at: *at, done })
    })
    .collect()
}

/// The job's story from where we have it on, and a mark of how far it goes: one write.
fn story(
    ledger: &dyn Ledger,
    desk: &BenchId,
    forgotten: &BTreeMap<UserId, Timestamp>,
    part: &JobPart,
) -> Result<usize, LedgerError> {
    let mut upto = 0;
    for recorded in ledger.entries_of(&part.job)? {
        if let Entry::Handover(HandoverEntry::CustodyTaken { desk: from, upto: last, .. }) = recorded.entry
            && from == *desk
        {
            upto = last;
        }
    }
    let Some(last) = part.entries.iter().map(|happened| happened.seq).max().filter(|last| *last > upto) else {
        return Ok(0);
    };
    // Holds and seals are this ledger's own to write, and what was done here stands here already.
    let wanted = |entry: &&Entry| match entry {
        Entry::Claimed { .. } | Entry::PinSealed { .. } => false,
        Entry::Handover(HandoverEntry::Elsewhere { desk, .. }) => desk != ledger.bench(),
        _ => true,
    };
    let new = part.entries.iter().filter(|happened| happened.seq > upto).map(|happened| &happened.entry);
    let mut entries: Vec<Entry> = new.filter(wanted).cloned().collect();
    let count = entries.len();
    entries.push(Entry::Handover(HandoverEntry::CustodyTaken {
        job: part.job.clone(),
        desk: desk.clone(),
        upto: last,
        entries: count as u64,
    }));
    // More about a job that was here when its person was forgotten brings no name back; a new job is a new reason to know it.
    let is_new = entries.iter().any(|entry| matches!(entry, Entry::JobPlanned { .. }));
    let mut people = Vec::new();
    if let Some(person) = &part.person
        && (is_new || !forgotten.contains_key(&person.id) || ledger.person(&person.id)?.is_some())
    {
        people.push(person.clone());
    }
    ledger.append(Append { people, ..Append::entries(entries) })?;
    Ok(count)
}

/// Keeps seals that we do not have. Those that were sealed again since are left to `others`.
fn seals(ledger: &dyn Ledger, part: &JobPart, others: &mut Vec<Resealed>) -> Result<usize, TakeError> {
    let mut kept = 0;
    for seal in &part.seals {
        let (job, attempt, dual) = (part.job.clone(), seal.attempt, seal.dual);
        let custodian = STANDARD.decode(&seal.custodian).map_err(|_| TakeError::Seal(job.clone()))?;
        match ledger.envelope(&job, attempt)? {
            Some(ours) if ours.custodian == custodian => {}
            Some(_) => others.push(Resealed { job, attempt, custodian, dual }),
            None => {
                let claim = ledger.claim(&job)?;
                let sealed = SealedPin { custodian, resume: Vec::new(), dual };
                let written = ledger.append_seal(&claim, attempt, &sealed);
                ledger.release(&claim)?;
                match written {
                    Ok(_) => kept += 1,
                    // Its person was forgotten here.
                    Err(LedgerError::AlreadySealed { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(kept)
}

fn set_custodians(
    ledger: &dyn Ledger,
    custodians: Option<&Custodians>,
    desk: &BenchId,
    envelopes: Vec<Resealed>,
) -> Result<(), LedgerError> {
    let Some(Custodians { first, second }) = custodians.cloned() else { return Ok(()) };
    ledger.reseal(Entry::CustodiansSet { first, second, by: format!("the desk {desk}") }, envelopes)?;
    Ok(())
}
