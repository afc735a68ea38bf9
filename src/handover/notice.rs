//! Who is still to be told that a key was bound to their account (NIST SP 800-63B-4 §4): a projection of the ledger's entries. Pure.
//!
//! Promise: nobody is told twice by chance, and nobody of a key that is not theirs any more. A notice whose mail may or may not have
//! left is neither due nor done: a person decides.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ledger::{Attempt, Entry, ForcedChange, HandoverEntry, Recorded, SelfParcel, TenantEntry};
use crate::model::{JobId, KeyRef, MethodId, UserId};

/// How far a key's notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeState {
    /// The person was not told.
    Due,
    /// Something stopped while the mail was on its way: nobody knows.
    Unknown(Timestamp),
    /// They were told.
    Told(Timestamp),
}

/// One key that the tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Whose try's key.
    pub attempt: Attempt,
    /// The key.
    pub key: KeyRef,
    /// When the tenant was given it; `None` until then, and again once it is deleted.
    pub registered: Option<Timestamp>,
    /// The fewest characters of a new PIN.
    pub pin_minimum: u32,
    /// The key makes its user change the PIN.
    pub forced: bool,
    /// Its notice.
    pub state: NoticeState,
    finished: bool,
    gone: bool,
}

impl Bound {
    /// The tenant has it, the bench is done with it, and it is neither lost nor returned: then its person is to know of it.
    pub fn since(&self) -> Option<Timestamp> {
        self.registered.filter(|_| self.finished && !self.gone)
    }
}

/// A key that was sent blank and that its person registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfBound {
    /// Whose.
    pub user: UserId,
    /// The key.
    pub key: KeyRef,
    /// When it was registered, by the tenant's word; `None` until then, and again once it is out of the tenant.
    pub registered: Option<Timestamp>,
    /// Its notice.
    pub state: NoticeState,
    method: Option<MethodId>,
}

/// Every job's last key, and every key that went out blank.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    all: BTreeMap<JobId, Bound>,
    sent: BTreeMap<String, SelfBound>,
}

impl Notices {
    /// Takes the next entry in, wherever it was written first.
    pub fn add(&mut self, recorded: &Recorded) {
        let at = recorded.done_at();
        match recorded.entry.act() {
            Entry::AttemptStarted { job, attempt, key } => {
                let fresh = Bound {
                    attempt: *attempt,
                    key: key.clone(),
                    registered: None,
                    pin_minimum: 4,
                    forced: false,
                    state: NoticeState::Due,
                    finished: false,
                    gone: false,
                };
                self.all.insert(job.clone(), fresh);
            }
            Entry::Registered { job, attempt, .. } => self.of(job, *attempt, |bound| bound.registered = Some(at)),
            Entry::PinRulesSet { job, attempt, minimum, forced } => self.of(job, *attempt, |bound| {
                bound.pin_minimum = *minimum;
                bound.forced = *forced == ForcedChange::Forced;
            }),
            Entry::Finished { job, attempt } => self.of(job, *attempt, |bound| bound.finished = true),
            Entry::MethodDeleted { job, attempt, .. } => self.of(job, *attempt, |bound| bound.registered = None),
            Entry::Revoked { job, .. } => {
                if let Some(bound) = self.all.get_mut(job) {
                    bound.registered = None;
                }
            }
            Entry::Handover(
                HandoverEntry::KeyLost { job, attempt, .. }
                | HandoverEntry::KeyReturned { job, attempt, .. }
                | HandoverEntry::ReplacementWanted { job, attempt, .. },
            ) => self.of(job, *attempt, |bound| bound.gone = true),
            Entry::Handover(HandoverEntry::NoticeIntended { job, attempt, .. }) => {
                self.of(job, *attempt, |bound| bound.state = NoticeState::Unknown(at));
            }
            Entry::Handover(HandoverEntry::NoticeSent { job, attempt, .. }) => {
                self.of(job, *attempt, |bound| bound.state = NoticeState::Told(at));
            }
            Entry::Handover(HandoverEntry::NoticeFailed { job, attempt, .. }) => {
                self.of(job, *attempt, |bound| bound.state = NoticeState::Due);
            }
            Entry::Handover(act) if act.is_of_self_parcel() => self.of_parcel(act, at),
            Entry::Tenant(TenantEntry::MethodRemoved { method, .. }) => {
                for bound in self.sent.values_mut().filter(|bound| bound.method.as_ref() == Some(method)) {
                    bound.registered = None;
                }
            }
            _ => {}
        }
    }

    fn of_parcel(&mut self, act: &HandoverEntry, at: Timestamp) {
        let mut change = |parcel: &str, change: &dyn Fn(&mut SelfBound)| {
            if let Some(bound) = self.sent.get_mut(parcel) {
                change(bound);
            }
        };
        match act {
            HandoverEntry::SelfPacked { parcel, user, what: SelfParcel::Key { key, .. }, .. } => {
                let (user, key) = (user.clone(), key.clone());
                let fresh = SelfBound { user, key, registered: None, state: NoticeState::Due, method: None };
                self.sent.insert(parcel.clone(), fresh);
            }
            HandoverEntry::SelfRegistered { parcel, method, created, .. } => change(parcel, &|bound| {
                bound.registered = Some(*created);
                bound.method = Some(method.clone());
            }),
            HandoverEntry::SelfEnded { parcel, .. } => change(parcel, &|bound| bound.registered = None),
            HandoverEntry::SelfNoticeIntended { parcel, .. } => {
                change(parcel, &|bound| bound.state = NoticeState::Unknown(at));
            }
            HandoverEntry::SelfNoticeSent { parcel, .. } => {
                change(parcel, &|bound| bound.state = NoticeState::Told(at));
            }
            HandoverEntry::SelfNoticeFailed { parcel, .. } => change(parcel, &|bound| bound.state = NoticeState::Due),
            _ => {}
        }
    }

    /// What is told of an earlier try's key says nothing about the key that took its place.
    fn of(&mut self, job: &JobId, attempt: Attempt, change: impl FnOnce(&mut Bound)) {
        if let Some(bound) = self.all.get_mut(job)
            && bound.attempt == attempt
        {
            change(bound);
        }
    }

    /// A job's last key.
    pub fn get(&self, job: &JobId) -> Option<&Bound> {
        self.all.get(job)
    }

    /// Keys that went out blank, by parcel.
    pub fn sent(&self) -> impl Iterator<Item = (&String, &SelfBound)> {
        self.sent.iter()
    }

    /// All of them, by job.
    pub fn all(&self) -> impl Iterator<Item = (&JobId, &Bound)> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Aaguid, BenchId, MethodId, PortName};

    fn job() -> JobId {
        JobId::new("7H2KQ0M4XA")
    }

    fn begun(attempt: Attempt) -> Entry {
        let key =
            KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
        Entry::AttemptStarted { job: job(), attempt, key }
    }

    fn registered(attempt: Attempt) -> [Entry; 2] {
        let method = MethodId::new("m");
        [Entry::Registered { job: job(), attempt, method, found: false }, Entry::Finished { job: job(), attempt }]
    }

    fn notice(act: fn(JobId) -> HandoverEntry) -> Entry {
        Entry::Handover(act(job()))
    }

    fn intended() -> Entry {
        notice(|job| HandoverEntry::NoticeIntended {
            job,
            attempt: 1,
            channel: "mail".into(),
            reason: String::new(),
            by: "op".into(),
        })
    }

    /// Whether its person is to know of it, and how far that is.
    fn stands(entries: impl IntoIterator<Item = Entry>) -> (bool, NoticeState) {
        let mut notices = Notices::default();
        for (seq, entry) in (1u64..).zip(entries) {
            let at = Timestamp::from_second(i64::try_from(seq).expect("small")).expect("a time");
            notices.add(&Recorded { seq, at, bench: BenchId::new("b"), entry, hash: [0; 32] });
        }
        let bound = notices.get(&job()).expect("a key");
        (bound.since().is_some(), bound.state)
    }

    #[test]
    fn a_notice_is_due_once_the_tenant_has_the_key_and_while_it_is_the_persons() {
        let all = |more: Vec<Entry>| [vec![begun(1)], registered(1).to_vec(), more].concat();
        assert_eq!(stands([begun(1)]), (false, NoticeState::Due));
        let [registered_only, _] = registered(1);
        assert!(!stands([begun(1), registered_only]).0, "the bench is not done with it");
        assert_eq!(stands(all(vec![])), (true, NoticeState::Due));
        let lost =
            Entry::Handover(HandoverEntry::KeyLost { job: job(), attempt: 1, reason: "r".into(), by: "op".into() });
        assert!(!stands(all(vec![lost])).0);
        let revoked = Entry::Revoked { job: job(), method: MethodId::new("m"), reason: "r".into() };
        assert!(!stands(all(vec![revoked])).0);
        let sent =
            || notice(|job| HandoverEntry::NoticeSent { job, attempt: 1, channel: "mail".into(), request: None });
        let failed = notice(|job| HandoverEntry::NoticeFailed { job, attempt: 1, code: "x".into() });
        let second = |at| Timestamp::from_second(at).expect("a time");
        assert_eq!(stands(all(vec![intended()])), (true, NoticeState::Unknown(second(4))));
        assert_eq!(stands(all(vec![intended(), failed])), (true, NoticeState::Due));
        assert_eq!(stands(all(vec![intended(), sent()])), (true, NoticeState::Told(second(5))));
        // The next key is another: its person is told again.
        let next = [all(vec![intended(), sent()]), vec![begun(2)], registered(2).to_vec()].concat();
        assert_eq!(stands(next), (true, NoticeState::Due));
    }

    #[test]
    fn who_registers_a_shipped_key_is_told_of_it_too() {
        let (parcel, user) = ("P1".to_owned(), UserId::new("kim"));
        let key = match begun(1) {
            Entry::AttemptStarted { key, .. } => key,
            other => panic!("{other:?}"),
        };
        let packed = HandoverEntry::SelfPacked {
            parcel: parcel.clone(),
            tenant: crate::model::TenantId::new("t"),
            user: user.clone(),
            what: SelfParcel::Key { key, label: None },
            seen_by: "serial".into(),
            tracking: None,
            by: "op".into(),
        };
        let created = Timestamp::from_second(7).expect("a time");
        let registered = HandoverEntry::SelfRegistered {
            parcel: parcel.clone(),
            user: user.clone(),
            method: MethodId::new("m"),
            created,
            named: false,
            by: "op".into(),
        };
        let intended = HandoverEntry::SelfNoticeIntended {
            parcel: parcel.clone(),
            user: user.clone(),
            channel: "mail".into(),
            reason: String::new(),
            by: "op".into(),
        };
        let ended = HandoverEntry::SelfEnded {
            parcel,
            user,
            method: None,
            code: "lost".into(),
            reason: "r".into(),
            by: "op".into(),
        };
        let stands = |acts: &[&HandoverEntry]| {
            let mut notices = Notices::default();
            for (seq, act) in (1u64..).zip(acts) {
                let (at, entry) = (Timestamp::UNIX_EPOCH, Entry::Handover((*act).clone()));
                notices.add(&Recorded { seq, at, bench: BenchId::new("b"), entry, hash: [0; 32] });
            }
            let (_, bound) = notices.sent().next().expect("a key");
            (bound.registered, bound.state)
        };
        assert_eq!(stands(&[&packed]), (None, NoticeState::Due));
        assert_eq!(stands(&[&packed, &registered]), (Some(created), NoticeState::Due));
        let doubt = NoticeState::Unknown(Timestamp::UNIX_EPOCH);
        assert_eq!(stands(&[&packed, &registered, &intended]), (Some(created), doubt));
        assert_eq!(stands(&[&packed, &registered, &ended]), (None, NoticeState::Due));
    }
}
