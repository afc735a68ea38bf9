//! What the tenant's passkey policy says to these people, before a key is touched.

use std::collections::{BTreeSet, HashMap};

use crate::graph::methods_policy::{Fido2Policy, Member, Objection, PolicyVerdict};
use crate::model::{Aaguid, UserId};
use crate::pipeline::bench::ModelPolicy;
use crate::tenant::preflight::Facts;

/// The policy, or that it may not be read.
pub enum Known {
    /// As read.
    Policy(Box<Fido2Policy>),
    /// The account may not read it: nothing is checked beforehand, and that is told.
    Unread,
}

/// The policy of the facts. Whether it lets anybody register at all was weighed before (PF06, PF08).
pub fn of_facts(facts: &Facts) -> Known {
    facts.passkeys().map_or(Known::Unread, |policy| Known::Policy(Box::new(policy)))
}

impl Known {
    /// What stands against any key for this person.
    pub fn objection_to(&self, user: &UserId, groups: &BTreeSet<String>) -> Option<Objection> {
        match self {
            Self::Policy(policy) => policy.objection_to(Member { user, groups }),
            Self::Unread => None,
        }
    }

    /// Whether some profile demands attestation.
    pub fn enforces_attestation(&self) -> bool {
        match self {
            Self::Policy(policy) => policy.enforces_attestation(),
            Self::Unread => false,
        }
    }

    /// The question that lanes ask of each key: may this person have this model?
    pub fn into_model_policy(self, groups: HashMap<UserId, BTreeSet<String>>) -> Box<ModelPolicy> {
        let Self::Policy(policy) = self else { return Box::new(|_, _| Ok(())) };
        Box::new(move |user: &UserId, aaguid: Aaguid| {
            let none = BTreeSet::new();
            let member = Member { user, groups: groups.get(user).unwrap_or(&none) };
            // Whether the key attests is seen when it does; here only the lists count.
            match policy.accepts(aaguid, true, member) {
                PolicyVerdict::Accepted { .. } => Ok(()),
                PolicyVerdict::Refused(objections) => Err(objections
                    .iter()
                    .map(|objection| format!("{objection}. {}", objection.remedy()))
                    .collect::<Vec<_>>()
                    .join("\n")),
            }
        })
    }
}
