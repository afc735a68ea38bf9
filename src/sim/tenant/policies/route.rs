//! Which setting a path is about, and what may be done to it.

use crate::sim::tenant::route::{Kind, Who};

/// What a path is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Place {
    Methods,
    Method(String),
    Strengths,
    Strength(String),
    StrengthUsage(String),
    StrengthCombinations(String),
    LegalCombinations,
    Limits(String),
    Limit {
        strength: String,
        id: String,
    },
    Locations,
    Location(String),
    Policies,
    Policy(String),
    DeletedPolicies,
    DeletedLocations,
    Evaluate,
    SecurityDefaults,
    Devices,
    Authorization,
    /// Beta.
    Requirements(Who),
    /// Beta.
    Preferences(Who),
    Licences(Who),
    Organization,
    Domain(String),
    Federation(String),
    RoleAssignments,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Act {
    Read,
    /// Make a new one, or perform.
    Post,
    Change,
    Replace,
    Remove,
}

impl Act {
    fn of(method: &str) -> Option<Self> {
        Some(match method {
            "GET" => Self::Read,
            "POST" => Self::Post,
            "PATCH" => Self::Change,
            "PUT" => Self::Replace,
            "DELETE" => Self::Remove,
            _ => return None,
        })
    }
}

impl Place {
    /// What a path is about. `segments` are in lower case, `path` is as written.
    pub(in super::super) fn of(segments: &[&str], path: &[&str]) -> Option<Self> {
        let at = |index: usize| path.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        Some(match segments {
            ["policies", "authenticationmethodspolicy"] => Self::Methods,
            ["policies", "authenticationmethodspolicy", "authenticationmethodconfigurations", _] => Self::Method(at(3)),
            ["policies", "authenticationstrengthpolicies", rest @ ..] => Self::strength(rest, path.get(2..)?)?,
            ["identity", "conditionalaccess", "authenticationstrength", "combinations"] => Self::LegalCombinations,
            ["identity", "conditionalaccess", "authenticationstrength", "policies", rest @ ..] => {
                Self::strength(rest, path.get(4..)?)?
            }
            ["identity", "conditionalaccess", "namedlocations"] => Self::Locations,
            ["identity", "conditionalaccess", "namedlocations", _] => Self::Location(at(3)),
            ["identity", "conditionalaccess", "policies"] => Self::Policies,
            ["identity", "conditionalaccess", "policies", _] => Self::Policy(at(3)),
            ["identity", "conditionalaccess", "deleteditems", "policies"] => Self::DeletedPolicies,
            ["identity", "conditionalaccess", "deleteditems", "namedlocations"] => Self::DeletedLocations,
            ["identity", "conditionalaccess", "evaluate"] => Self::Evaluate,
            ["policies", "identitysecuritydefaultsenforcementpolicy"] => Self::SecurityDefaults,
            ["policies", "deviceregistrationpolicy"] => Self::Devices,
            ["policies", "authorizationpolicy"] | ["policies", "authorizationpolicy", "authorizationpolicy"] => {
                Self::Authorization
            }
            ["organization"] => Self::Organization,
            ["domains", _] => Self::Domain(at(1)),
            ["domains", _, "federationconfiguration"] => Self::Federation(at(1)),
            ["rolemanagement", "directory", "roleassignments"] => Self::RoleAssignments,
            _ => return None,
        })
    }

    fn strength(rest: &[&str], path: &[&str]) -> Option<Self> {
        let at = |index: usize| path.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        Some(match rest {
            [] => Self::Strengths,
            [_] => Self::Strength(at(0)),
            [_, "usage"] => Self::StrengthUsage(at(0)),
            [_, "updateallowedcombinations"] => Self::StrengthCombinations(at(0)),
            [_, "combinationconfigurations"] => Self::Limits(at(0)),
            [_, "combinationconfigurations", _] => Self::Limit { strength: at(0), id: at(2) },
            _ => return None,
        })
    }

    /// What a path below a person is about.
    pub(in super::super) fn of_person(rest: &[&str], who: &Who, beta: bool) -> Option<Self> {
        Some(match rest {
            ["authentication", "requirements"] if beta => Self::Requirements(who.clone()),
            ["authentication", "signinpreferences"] if beta => Self::Preferences(who.clone()),
            ["licensedetails"] => Self::Licences(who.clone()),
            _ => return None,
        })
    }

    /// What this HTTP method does here; `None` when it isn't supported.
    pub(in super::super) fn act(&self, method: &str) -> Option<Act> {
        use Act::{Change, Post, Read, Remove, Replace};
        let allowed: &[Act] = match self {
            Self::Methods => &[Read, Change],
            Self::Method(_) => &[Read, Change, Remove],
            Self::Strengths | Self::Limits(_) | Self::Locations | Self::Policies => &[Read, Post],
            Self::Strength(_) | Self::Limit { .. } | Self::Location(_) | Self::Policy(_) => &[Read, Change, Remove],
            Self::StrengthCombinations(_) | Self::Evaluate => &[Post],
            Self::SecurityDefaults | Self::Authorization | Self::Requirements(_) | Self::Preferences(_) => {
                &[Read, Change]
            }
            Self::Devices => &[Read, Replace],
            Self::StrengthUsage(_)
            | Self::LegalCombinations
            | Self::DeletedPolicies
            | Self::DeletedLocations
            | Self::Licences(_)
            | Self::Organization
            | Self::Domain(_)
            | Self::Federation(_)
            | Self::RoleAssignments => &[Read],
        };
        Act::of(method).filter(|act| allowed.contains(act))
    }

    /// Whose limit of one request a second counts.
    pub(super) fn is_paced(&self) -> bool {
        matches!(
            self,
            Self::Locations
                | Self::Location(_)
                | Self::Policies
                | Self::Policy(_)
                | Self::DeletedPolicies
                | Self::DeletedLocations
                | Self::Evaluate
        )
    }

    /// The person it is about, if one is named.
    pub(in super::super) fn who(&self) -> Option<&Who> {
        match self {
            Self::Requirements(who) | Self::Preferences(who) | Self::Licences(who) => Some(who),
            _ => None,
        }
    }

    /// For fault rules and counts.
    pub(in super::super) fn kind(&self, act: Act) -> Kind {
        match self {
            Self::Methods | Self::Method(_) if act == Act::Read => Kind::Policy,
            Self::Methods | Self::Method(_) => Kind::PolicyChange,
            Self::Strengths
            | Self::Strength(_)
            | Self::StrengthUsage(_)
            | Self::StrengthCombinations(_)
            | Self::LegalCombinations
            | Self::Limits(_)
            | Self::Limit { .. } => Kind::Strengths,
            Self::Locations | Self::Location(_) | Self::DeletedLocations => Kind::NamedLocations,
            Self::Policies | Self::Policy(_) | Self::DeletedPolicies => Kind::ConditionalAccess,
            Self::Evaluate => Kind::Evaluate,
            Self::SecurityDefaults | Self::Devices | Self::Authorization => Kind::Settings,
            Self::Requirements(_) => Kind::Requirements,
            Self::Preferences(_) => Kind::Preferences,
            Self::Licences(_) => Kind::Licences,
            Self::Organization => Kind::Organization,
            Self::Domain(_) | Self::Federation(_) => Kind::Domains,
            Self::RoleAssignments => Kind::RoleAssignments,
        }
    }
}
