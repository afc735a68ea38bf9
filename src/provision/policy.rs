//! What the tenant's passkey policy says to these people, before a key is touched.

use std::collections::{BTreeSet, HashMap};

use super::ProvisionError;
use crate::graph::methods_policy::{Fido2Policy, Member, Objection, PolicyVerdict};
use crate::graph::{ErrorKind, Graph};
use crate::model::{Aaguid, UserId};
use crate::pipeline::bench::ModelPolicy;

/// The policy, or that it may not be read.
pub enum Known {
    /// As read.
    Policy(Box<Fido2Policy>),
    /// The account may not read it: nothing is checked beforehand, and that is told.
    Unread,
}

/// Reads the policy.
///
/// # Errors
/// When Graph can't be asked, or when the policy lets nobody register at all.
pub fn read(graph: &Graph) -> Result<Known, ProvisionError> {
    match graph.fido2_policy() {
        Ok(policy) => {
            let objection = if !policy.enabled {
                Some(Objection::MethodOff)
            } else if !policy.self_service {
                Some(Objection::SelfServiceOff)
            } else {
                None
            };
            match objection {
                Some(objection) => {
                    Err(ProvisionError::Policy { what: objection.to_string(), next: objection.remedy().to_owned() })
                }
                None => Ok(Known::Policy(Box::new(policy))),
            }
        }
        Err(error) if error.kind() == ErrorKind::Forbidden => Ok(Known::Unread),
        Err(error) => Err(error.into()),
    }
}

impl Known {
    /// Groups that one has to know of each person.
    pub fn groups(&self) -> BTreeSet<String> {
        match self {
            Self::Policy(policy) => policy.groups(),
            Self::Unread => BTreeSet::new(),
        }
    }

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
