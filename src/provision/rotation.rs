//! Other custodians: the set in force changes, and every sealed PIN and seed is sealed to the new set.
//!
//! Promise: it takes the identities of custodians in force, one of each group under dual control; the change and all new
//! envelopes stand in the ledger at once, or nothing has changed; nobody sees a PIN. Exception: copies of the ledger or of
//! its mirror that were made before keep the old envelopes, which the old identities open.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::custodians::in_force;
use crate::ledger::{Attempt, Entry, Head, Ledger, LedgerError, Resealed};
use crate::model::JobId;
use crate::pin::{
    Identities, PinnedSet, Recipients, ResealError, SeedError, prove, reseal, reseal_seeds, settle_seeds,
};

/// Why custodians were not changed. The ledger is as it was, but for [`LedgerError::MirrorOwes`]: then it has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Nothing was ever sealed here.
    #[error("this ledger has no custodians yet: the first run takes those of the settings")]
    NoneYet,
    /// The settings do not name the custodians in force, whose identities it takes.
    #[error("{0}")]
    NotInForce(String),
    /// The new set is the old one.
    #[error("these are the custodians in force already, and everything is sealed to them")]
    Same,
    /// The identities are not those of the custodians in force.
    #[error("the identities given are not those of the custodians in force: {0}")]
    NotTheirs(ResealError),
    /// Some envelopes do not open.
    #[error("{count} of {all} sealed PINs can't be sealed again; the first is that of job {job}, try {attempt}: {why}")]
    Stuck {
        /// How many.
        count: usize,
        /// Of how many.
        all: usize,
        /// The first one's job.
        job: JobId,
        /// Its try.
        attempt: Attempt,
        /// Why.
        why: ResealError,
    },
    /// A sealed seed.
    #[error("a sealed seed of a hardware token can't be sealed again: {0}")]
    Seeds(#[from] SeedError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The custodians in force, and what is sealed to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    /// Fingerprints of the first group.
    pub first: Vec<String>,
    /// Fingerprints of the second group; empty unless PINs are under dual control.
    pub second: Vec<String>,
    /// Who put them in force, and why.
    pub by: String,
    /// Since when.
    pub since: Option<jiff::Timestamp>,
    /// Sealed PINs that the set in force opens.
    pub current: usize,
    /// Sealed PINs that only an earlier set opens.
    pub earlier: usize,
}

/// Reads who is in force; `None` in a ledger in which nothing was sealed yet.
///
/// # Errors
/// [`LedgerError`] when it can't be read.
pub fn custody(ledger: &dyn Ledger) -> Result<Option<Custody>, LedgerError> {
    let mut found: Option<(u64, Custody)> = None;
    let mut seals = BTreeMap::new();
    ledger.visit(1, &mut |recorded| {
        match recorded.entry {
            Entry::CustodiansSet { first, second, by } => {
                let since = Some(recorded.at);
                found = Some((recorded.seq, Custody { first, second, by, since, ..Custody::default() }));
            }
            Entry::PinSealed { job, attempt, .. } => {
                seals.insert((job, attempt), recorded.seq);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let Some((set, mut custody)) = found else { return Ok(None) };
    for ((job, attempt), seq) in seals {
        if ledger.envelope(&job, attempt)?.is_some() {
            *(if seq > set { &mut custody.current } else { &mut custody.earlier }) += 1;
        }
    }
    Ok(Some(custody))
}

/// Every sealed PIN that the ledger still has, in the order of sealing.
fn sealed(ledger: &dyn Ledger) -> Result<Vec<(JobId, Attempt)>, LedgerError> {
    let mut found = Vec::new();
    ledger.visit(1, &mut |recorded| {
        if let Entry::PinSealed { job, attempt, .. } = recorded.entry {
            found.push((job, attempt));
        }
        ControlFlow::Continue(())
    })?;
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|seal| seen.insert(seal.clone()));
    Ok(found)
}

/// Who asks for a change, and what they need for it.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The custodians in force, as the settings name them.
    pub from: &'a Recipients,
    /// Those from now on.
    pub to: &'a Recipients,
    /// Identities of custodians in force.
    pub identities: &'a Identities,
    /// Who, and why; stands in the ledger.
    pub by: String,
    /// The folder of sealed seeds.
    pub seeds: &'a Path,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// PINs that were sealed again.
    pub resealed: usize,
    /// Seeds of hardware tokens that were.
    pub seeds: usize,
    /// The ledger's head afterwards; `None` when nothing was to be written.
    pub head: Option<Head>,
}

impl Rotation<'_> {
    /// Seals everything again, in memory, and then writes it in one go. `told` is given how many of how many are sealed.
    ///
    /// # Errors
    /// [`RotationError`]; nothing has changed then, except where it is the mirror that could not follow.
    pub fn carry_out(
        &self,
        ledger: &dyn Ledger,
        write: bool,
        told: &mut dyn FnMut(usize, usize),
    ) -> Result<Rotated, RotationError> {
        let Some((first, second)) = in_force(ledger)? else { return Err(RotationError::NoneYet) };
        let pinned = Some((first.as_slice(), second.as_slice()));
        self.from.against(pinned).map_err(|error| RotationError::NotInForce(error.to_string()))?;
        if matches!(self.to.against(pinned), Ok(PinnedSet::Match)) {
            // A change that was cut off after the ledger had it is finished here.
            if write {
                settle_seeds(self.seeds, (&first, &second))?;
            }
            return Err(RotationError::Same);
        }
        prove(self.from, self.identities).map_err(RotationError::NotTheirs)?;
        settle_seeds(self.seeds, (&first, &second))?;

        let all = sealed(ledger)?;
        let (mut envelopes, mut stuck) = (Vec::with_capacity(all.len()), Vec::new());
        for (done, (job, attempt)) in all.iter().enumerate() {
            told(done, all.len());
            // None: the person was forgotten.
            let Some(sealed) = ledger.envelope(job, *attempt)? else { continue };
            match reseal(&sealed, self.identities, job, *attempt, self.to) {
                Ok(custodian) => {
                    let dual = self.to.is_dual();
                    envelopes.push(Resealed { job: job.clone(), attempt: *attempt, custodian, dual });
                }
                Err(why) => stuck.push((job.clone(), *attempt, why)),
            }
        }
        let (count, all) = (stuck.len(), stuck.len().saturating_add(envelopes.len()));
        if let Some((job, attempt, why)) = stuck.into_iter().next() {
            return Err(RotationError::Stuck { count, all, job, attempt, why });
        }
        told(all, all);
        let resealed = envelopes.len();
        // Seeds are sealed beside the old ones first; which of the two count, the ledger's entry decides.
        let seeds = reseal_seeds(self.seeds, (self.from.is_dual(), self.identities), self.to, write)?;
        if !write {
            return Ok(Rotated { resealed, seeds, head: None });
        }
        let (first, second) = self.to.fingerprints();
        let set = Entry::CustodiansSet { first: first.clone(), second: second.clone(), by: self.by.clone() };
        let head = ledger.reseal(set, envelopes);
        if matches!(head, Ok(_) | Err(LedgerError::MirrorOwes { .. })) {
            settle_seeds(self.seeds, (&first, &second))?;
        }
        Ok(Rotated { resealed, seeds, head: Some(head?) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use zeroize::Zeroizing;

    use super::*;
    use crate::ledger::{Append, MemoryStore};
    use crate::model::{BatchId, BenchId, Pin, TenantId, UserId};
    use crate::pin::{NewIdentity, NoPrompts, ResumeKey, keygen, open, seal};
    use crate::world::SystemClock;

    const PIN: &str = "kd2rp9vx84tbn5h7";

    fn people(count: usize) -> Vec<NewIdentity> {
        (0..count).map(|_| keygen(Timestamp::UNIX_EPOCH)).collect()
    }

    fn set(people: &[&NewIdentity], dual: bool) -> Recipients {
        let texts: Vec<String> = people.iter().map(|one| one.recipient().to_owned()).collect();
        Recipients::from_settings(&texts, &[], dual).expect("recipients")
    }

    fn hands(people: &[&NewIdentity]) -> Identities {
        let mut all = Identities::new();
        for one in people {
            all.add("an identity", one.expose_file().as_bytes(), Arc::new(NoPrompts)).expect("an identity");
        }
        all
    }

    fn job(number: u32) -> JobId {
        JobId::derive(&TenantId::new("tenant"), &UserId::new(number.to_string()), 1)
    }

    /// A ledger with two PINs sealed to this set.
    fn ledger(store: &MemoryStore, to: &Recipients) -> Arc<dyn Ledger> {
        let ledger = Arc::new(store.open(BenchId::new("us"), Arc::new(SystemClock::new())));
        let (first, second) = to.fingerprints();
        ledger.append(Append::entry(Entry::CustodiansSet { first, second, by: "config".into() })).expect("set");
        for number in 1..=2 {
            let (tenant, user, batch) = (TenantId::new("tenant"), UserId::new(number.to_string()), BatchId::new("b"));
            let planned = Entry::JobPlanned { job: job(number), tenant, user, ordinal: 1, batch };
            ledger.append(Append::entry(planned)).expect("planned");
            let claim = ledger.claim(&job(number)).expect("claimed");
            let pin = Pin::new(Zeroizing::new(PIN.to_owned())).expect("a PIN");
            let sealed = seal(to, &ResumeKey::generate(), &job(number), 1, &pin).expect("sealed");
            ledger.append_seal(&claim, 1, &sealed).expect("kept");
        }
        ledger
    }

    fn opens(ledger: &dyn Ledger, identities: &Identities) -> usize {
        let opened = (1..=2).filter(|number| {
            let sealed = ledger.envelope(&job(*number), 1).expect("read").expect("there");
            open(&sealed.custodian, sealed.dual, identities, &job(*number)).is_ok_and(|one| one.pin.expose() == PIN)
        });
        opened.count()
    }

    fn rotate(
        ledger: &dyn Ledger,
        from: &Recipients,
        to: &Recipients,
        identities: &Identities,
    ) -> Result<Rotated, RotationError> {
        let seeds = Path::new("/nonexistent/oath-seeds");
        Rotation { from, to, identities, by: "Kim: Sam left".into(), seeds }.carry_out(ledger, true, &mut |_, _| {})
    }

    #[test]
    fn the_new_set_opens_everything_and_the_old_one_nothing() {
        let (all, store) = (people(3), MemoryStore::new());
        let (old, new) = (set(&[&all[0]], false), set(&[&all[1], &all[2]], true));
        let ledger = ledger(&store, &old);
        let before = custody(&*ledger).expect("read").expect("a set");
        assert_eq!((before.current, before.earlier), (2, 0));
        let rotated = rotate(&*ledger, &old, &new, &hands(&[&all[0]])).expect("rotated");
        assert_eq!(rotated.resealed, 2);
        assert_eq!(opens(&*ledger, &hands(&[&all[0]])), 0, "the old identity");
        for one in [&all[1], &all[2]] {
            assert_eq!(opens(&*ledger, &hands(&[one])), 0, "no single identity opens a dual PIN");
        }
        assert_eq!(opens(&*ledger, &hands(&[&all[1], &all[2]])), 2);
        let after = custody(&*ledger).expect("read").expect("a set");
        assert_eq!((after.current, after.earlier, after.by.as_str()), (2, 0, "Kim: Sam left"));
        assert_eq!((after.first, after.second), new.fingerprints());
    }

    #[test]
    fn strangers_and_half_of_a_dual_set_change_nothing() {
        let (all, store) = (people(4), MemoryStore::new());
        let (old, new) = (set(&[&all[0], &all[1]], true), set(&[&all[3]], false));
        let ledger = ledger(&store, &old);
        let head = ledger.head().expect("a head");
        for stranger in [hands(&[&all[2]]), hands(&[&all[3]]), hands(&[&all[0]]), hands(&[&all[1]])] {
            let refused = rotate(&*ledger, &old, &new, &stranger);
            assert!(matches!(refused, Err(RotationError::NotTheirs(_))), "{refused:?}");
        }
        // The settings were changed first: they can't say whose identities are wanted.
        let refused = rotate(&*ledger, &new, &new, &hands(&[&all[3]]));
        assert!(matches!(refused, Err(RotationError::NotInForce(_))), "{refused:?}");
        let refused = rotate(&*ledger, &old, &old, &hands(&[&all[0], &all[1]]));
        assert!(matches!(refused, Err(RotationError::Same)), "{refused:?}");
        assert_eq!(ledger.head().expect("a head"), head);
        rotate(&*ledger, &old, &new, &hands(&[&all[0], &all[1]])).expect("both together may");
    }

    #[test]
    fn one_envelope_that_does_not_open_stops_all() {
        let (all, store) = (people(3), MemoryStore::new());
        let (old, new) = (set(&[&all[0]], false), set(&[&all[1]], false));
        let ledger = ledger(&store, &old);
        let (claim, lost) = (ledger.claim(&job(2)).expect("claimed"), set(&[&all[2]], false));
        let pin = Pin::new(Zeroizing::new(PIN.to_owned())).expect("a PIN");
        let sealed = seal(&lost, &ResumeKey::generate(), &job(2), 2, &pin).expect("sealed");
        ledger.append_seal(&claim, 2, &sealed).expect("kept");
        let head = ledger.head().expect("a head");
        let stuck = rotate(&*ledger, &old, &new, &hands(&[&all[0]]));
        let Err(RotationError::Stuck { count: 1, all: 3, job: of, attempt: 2, .. }) = stuck else {
            panic!("{stuck:?}")
        };
        assert_eq!((of, ledger.head().expect("a head")), (job(2), head));
    }
}
