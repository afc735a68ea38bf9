//! Ledger, tenant and key side by side: every difference, with the command that settles it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ledger::{Attempt, Entry, HandoverEntry, Recorded};
use crate::model::{CredentialId, JobId, JobStatus, MethodId, Upn, UserId, credential_id};

/// What the ledger says of a job's last key and of those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The last try.
    pub attempt: Attempt,
    /// What the tenant should show: the method, and the credential it is of.
    pub registered: Option<(MethodId, Option<CredentialId>)>,
    /// What it should not show any more.
    pub deleted: Vec<MethodId>,
    /// Registered on receipt, and that is still to come: until when it can be.
    pub held_until: Option<Timestamp>,
    credential: Option<CredentialId>,
}

impl Account {
    /// Takes a job's next entry in.
    pub fn add(&mut self, recorded: &Recorded) {
        match recorded.entry.act() {
            Entry::AttemptStarted { attempt, .. } => {
                self.attempt = *attempt;
                self.held_until = None;
            }
            Entry::Handover(HandoverEntry::Held { expires, .. }) => self.held_until = Some(*expires),
            Entry::Handover(HandoverEntry::HoldEnded { .. }) => self.held_until = None,
            Entry::CredentialMade { credential, .. } => self.credential = Some(credential.clone()),
            Entry::Registered { method, .. } => self.registered = Some((method.clone(), self.credential.clone())),
            Entry::MethodDeleted { method, .. } | Entry::Revoked { method, .. } => {
                self.deleted.push(method.clone());
                if self.registered.as_ref().is_some_and(|(registered, _)| registered == method) {
                    self.registered = None;
                }
            }
            _ => {}
        }
    }
}

/// One job, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// It.
    pub job: JobId,
    /// Whose.
    pub user: UserId,
    /// By what name; `None` once forgotten.
    pub upn: Option<Upn>,
    /// Where it stands.
    pub status: JobStatus,
    /// A key is begun.
    pub in_flight: bool,
    /// What was registered and deleted.
    pub account: Account,
}

/// A passkey that the tenant shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its id.
    pub method: MethodId,
    /// What it is called there.
    pub name: String,
}

/// What the tenant says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InTenant {
    /// Not in the directory any more.
    Nobody,
    /// Their passkeys.
    Passkeys(Vec<Shown>),
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The person is not in the directory any more; their jobs are still ours.
    PersonGone {
        /// Job.
        job: JobId,
    },
    /// We registered it, and the tenant does not show it.
    NotInTenant {
        /// Job.
        job: JobId,
        /// The method.
        method: MethodId,
    },
    /// We deleted it, and the tenant shows it.
    StillInTenant {
        /// Job.
        job: JobId,
        /// The method.
        method: MethodId,
    },
    /// The tenant shows a passkey that no entry of ours is about.
    NotOurs {
        /// Whose.
        user: UserId,
        /// The method.
        method: MethodId,
        /// Its name there.
        name: String,
    },
    /// A key was begun and is not finished.
    Unfinished {
        /// Job.
        job: JobId,
    },
    /// A held key was not activated in time.
    HoldOverdue {
        /// Job.
        job: JobId,
        /// Until when it could be.
        expires: Timestamp,
    },
    /// A held key's registration was sent, and no answer came.
    ActivationUnknown {
        /// Job.
        job: JobId,
    },
    /// The tenant shows the passkey of a held key that this ledger has not activated: the sealed record was used elsewhere.
    ActivatedElsewhere {
        /// Job.
        job: JobId,
        /// The method.
        method: MethodId,
    },
}

impl Difference {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PersonGone { .. } => "person-gone",
            Self::NotInTenant { .. } => "not-in-tenant",
            Self::StillInTenant { .. } => "still-in-tenant",
            Self::NotOurs { .. } => "not-ours",
            Self::Unfinished { .. } => "unfinished",
            Self::HoldOverdue { .. } => "hold-overdue",
            Self::ActivationUnknown { .. } => "activation-unknown",
            Self::ActivatedElsewhere { .. } => "activated-elsewhere",
        }
    }

    /// The job, where it is about one.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::PersonGone { job }
            | Self::NotInTenant { job, .. }
            | Self::StillInTenant { job, .. }
            | Self::Unfinished { job }
            | Self::HoldOverdue { job, .. }
            | Self::ActivationUnknown { job }
            | Self::ActivatedElsewhere { job, .. } => Some(job),
            Self::NotOurs { .. } => None,
        }
    }

    /// What is different, in words.
    pub fn fact(&self) -> String {
        match self {
            Self::PersonGone { .. } => "the person is not in the directory any more".into(),
            Self::NotInTenant { method, .. } => {
                format!("the ledger has the passkey {method} registered; the tenant does not show it")
            }
            Self::StillInTenant { method, .. } => {
                format!("the ledger has the passkey {method} deleted; the tenant shows it")
            }
            Self::NotOurs { method, name, .. } => {
                format!("the tenant shows the passkey {method} ({name}), which this ledger knows nothing of")
            }
            Self::Unfinished { .. } => "a key is begun and not finished".into(),
            Self::HoldOverdue { expires, .. } => {
                format!("its key was held until {} and not activated", expires.strftime("%Y-%m-%d"))
            }
            Self::ActivationUnknown { .. } => "its held registration was sent, and no answer came".into(),
            Self::ActivatedElsewhere { method, .. } => {
                format!("the tenant shows the passkey {method} of a held key, which this ledger has not activated")
            }
        }
    }

    /// The command that settles it; `who` is how the person is named.
    pub fn settled_by(&self, who: &str) -> String {
        match self {
            Self::PersonGone { .. } => {
                format!("keybench leaver {who} --reason …; then `keybench return` when the key comes back")
            }
            Self::NotInTenant { .. } => format!("keybench replace {who} --reason …, and collect the key"),
            Self::StillInTenant { .. } => format!("look again in some minutes; then delete it: keybench methods {who}"),
            Self::NotOurs { .. } => format!("ask the person; if it is not theirs, delete it: keybench methods {who}"),
            Self::Unfinished { job } => {
                format!("keybench run with the same list, the key in a port; or keybench run --give-up {job}")
            }
            Self::HoldOverdue { .. } => {
                format!("keybench run with the same list makes another key; or keybench replace {who} --reason …")
            }
            Self::ActivationUnknown { job } => {
                format!("keybench activate {job} --identity FILE --as NAME, which asks before it sends")
            }
            Self::ActivatedElsewhere { .. } => {
                format!("find out who used the activation key; then keybench lost {who} --reason …")
            }
        }
    }
}

/// Compares. Jobs of one person are looked at together, so that a spare key is nobody else's.
pub fn compare(jobs: &[Job], tenant: &BTreeMap<UserId, InTenant>, now: Timestamp) -> Vec<Difference> {
    let mut found = Vec::new();
    for (user, shown) in tenant {
        let theirs: Vec<&Job> = jobs.iter().filter(|job| job.user == *user).collect();
        let passkeys = match shown {
            InTenant::Nobody => {
                let ours =
                    |job: &&&Job| job.account.registered.is_some() || job.in_flight || job.account.held_until.is_some();
                let left = theirs.iter().filter(ours);
                found.extend(left.map(|job| Difference::PersonGone { job: job.job.clone() }));
                continue;
            }
            InTenant::Passkeys(passkeys) => passkeys,
        };
        for job in &theirs {
            let is_shown = |method: &MethodId| passkeys.iter().any(|passkey| passkey.method == *method);
            if let Some((method, _)) = &job.account.registered
                && !is_shown(method)
                && !job.in_flight
            {
                found.push(Difference::NotInTenant { job: job.job.clone(), method: method.clone() });
            }
            for method in job.account.deleted.iter().filter(|method| is_shown(method)) {
                found.push(Difference::StillInTenant { job: job.job.clone(), method: method.clone() });
            }
            match job.account.held_until {
                Some(_) if job.in_flight => found.push(Difference::ActivationUnknown { job: job.job.clone() }),
                Some(expires) if expires <= now => {
                    found.push(Difference::HoldOverdue { job: job.job.clone(), expires });
                }
                None if job.in_flight => found.push(Difference::Unfinished { job: job.job.clone() }),
                _ => {}
            }
        }
        for passkey in passkeys {
            let ours = theirs.iter().any(|job| {
                job.account.registered.as_ref().is_some_and(|(method, _)| *method == passkey.method)
                    || job.account.deleted.contains(&passkey.method)
            });
            let of_held = |job: &&&Job| {
                job.account.held_until.is_some()
                    && !job.in_flight
                    && job.account.credential.as_ref().is_some_and(|made| credential_id::matches(&passkey.method, made))
            };
            if let Some(job) = theirs.iter().find(of_held) {
                let method = passkey.method.clone();
                found.push(Difference::ActivatedElsewhere { job: job.job.clone(), method });
                continue;
            }
            // While a key is begun, its passkey may be there before our entry is.
            if !ours && !theirs.iter().any(|job| job.in_flight) {
                let (method, name) = (passkey.method.clone(), passkey.name.clone());
                found.push(Difference::NotOurs { user: user.clone(), method, name });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn held(name: &str, in_flight: bool, until: i64) -> Job {
        let mut job = Job { in_flight, status: JobStatus::Held, ..job(name, None, &[]) };
        job.account.held_until = Some(Timestamp::from_second(until).expect("a time"));
        job.account.credential = Some(CredentialId::new(vec![7; 32]));
        job
    }

    fn job(name: &str, registered: Option<&str>, deleted: &[&str]) -> Job {
        let account = Account {
            attempt: 1,
            registered: registered.map(|method| (MethodId::new(method), None)),
            deleted: deleted.iter().map(|method| MethodId::new(*method)).collect(),
            credential: None,
            held_until: None,
        };
        let status = JobStatus::Finished;
        Job { job: JobId::new(name), user: UserId::new("kim"), upn: None, status, in_flight: false, account }
    }

    fn shown(methods: &[&str]) -> BTreeMap<UserId, InTenant> {
        let one = |method: &&str| Shown { method: MethodId::new(*method), name: "a key".into() };
        BTreeMap::from([(UserId::new("kim"), InTenant::Passkeys(methods.iter().map(one).collect()))])
    }

    fn codes(jobs: &[Job], tenant: &BTreeMap<UserId, InTenant>) -> Vec<&'static str> {
        compare(jobs, tenant, NOW).iter().map(Difference::code).collect()
    }

    #[test]
    fn what_agrees_is_not_told() {
        assert_eq!(codes(&[job("A", Some("m1"), &["m0"]), job("B", Some("m2"), &[])], &shown(&["m1", "m2"])), [""; 0]);
        assert_eq!(codes(&[job("A", None, &["m0"])], &shown(&[])), [""; 0]);
        assert_eq!(codes(&[held("A", false, 60)], &shown(&[])), [""; 0], "a held key has nothing in the tenant");
    }

    #[test]
    fn each_difference_is_told_with_a_command() {
        let cases = [
            (vec![job("A", Some("m1"), &[])], shown(&[]), "not-in-tenant"),
            (vec![job("A", None, &["m1"])], shown(&["m1"]), "still-in-tenant"),
            (vec![job("A", Some("m1"), &[])], shown(&["m1", "m9"]), "not-ours"),
            (vec![held("A", false, 0)], shown(&[]), "hold-overdue"),
            (vec![held("A", true, 60)], shown(&[]), "activation-unknown"),
            (vec![held("A", false, 60)], shown(&[&crate::model::base64url::encode(&[7; 32])]), "activated-elsewhere"),
            (vec![held("A", false, 60)], BTreeMap::from([(UserId::new("kim"), InTenant::Nobody)]), "person-gone"),
            (vec![Job { in_flight: true, ..job("A", None, &[]) }], shown(&["m1"]), "unfinished"),
            (vec![job("A", Some("m1"), &[])], BTreeMap::from([(UserId::new("kim"), InTenant::Nobody)]), "person-gone"),
        ];
        for (jobs, tenant, code) in cases {
            assert_eq!(codes(&jobs, &tenant), [code]);
            let told = compare(&jobs, &tenant, NOW);
            let settled = told.first().map(|difference| difference.settled_by("kim@contoso.com")).unwrap_or_default();
            assert!(settled.contains("keybench "), "{code}: {settled}");
        }
    }
}
