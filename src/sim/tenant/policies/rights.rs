//! Who may do what to the tenant's settings: permissions after Microsoft's permission data, roles after its pages.

use super::refusal::{Refused, Voice, Why};
use super::route::{Act, Place};
use crate::sim::tenant::access::Caller;
use crate::sim::tenant::store::Store;

/// What a call needs: one of these sets of permissions, whole; and of a person one of these roles besides.
struct Need {
    permissions: &'static [&'static [&'static str]],
    roles: &'static [&'static str],
}

const METHODS_READ: Need = Need {
    permissions: &[
        &["Policy.Read.AuthenticationMethod"],
        &["Policy.Read.All"],
        &["Policy.ReadWrite.AuthenticationMethod"],
    ],
    roles: &["Authentication Policy Administrator", "Global Reader"],
};
/// One method alone: Microsoft's data does not have `Policy.Read.All` there.
const METHOD_READ: Need = Need {
    permissions: &[&["Policy.Read.AuthenticationMethod"], &["Policy.ReadWrite.AuthenticationMethod"]],
    roles: METHODS_READ.roles,
};
const METHODS_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.AuthenticationMethod"]],
    roles: &["Authentication Policy Administrator"],
};
const STRENGTH_READ: Need = Need {
    permissions: &[
        &["Policy.Read.AuthenticationMethod"],
        &["Policy.Read.All"],
        &["Policy.ReadWrite.AuthenticationMethod"],
        &["Policy.ReadWrite.ConditionalAccess"],
    ],
    roles: &["Conditional Access Administrator", "Security Administrator", "Security Reader", "Global Reader"],
};
const STRENGTH_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.ConditionalAccess"], &["Policy.ReadWrite.AuthenticationMethod"]],
    roles: &["Conditional Access Administrator", "Security Administrator"],
};
const ACCESS_READ: Need = Need {
    permissions: &[&["Policy.Read.All"]],
    roles: &["Conditional Access Administrator", "Security Administrator", "Security Reader", "Global Reader"],
};
/// The pages name all of these together; a known issue of Graph's says that the second is needed in fact.
const POLICY_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All", "Application.Read.All"]],
    roles: &["Conditional Access Administrator", "Security Administrator"],
};
const ACCESS_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All"]],
    roles: &["Conditional Access Administrator", "Security Administrator"],
};
const EVALUATE: Need = Need {
    permissions: &[&["Policy.Read.ConditionalAccess"], &["Policy.Read.All"], &["Policy.ReadWrite.ConditionalAccess"]],
    roles: &["Conditional Access Administrator", "Security Administrator", "Security Reader", "Global Reader"],
};
const POLICY_READ: Need = Need {
    permissions: &[&["Policy.Read.All"]],
    roles: &["Security Administrator", "Security Reader", "Global Reader"],
};
const AUTHORIZATION_READ: Need = Need {
    permissions: &[&["Policy.Read.All"], &["Policy.ReadWrite.Authorization"]],
    roles: &["Privileged Role Administrator", "Global Reader", "Security Reader"],
};
const DEFAULTS_WRITE: Need = Need {
    permissions: &[
        &["Policy.ReadWrite.SecurityDefaults", "Policy.Read.All"],
        &["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All"],
    ],
    roles: &["Conditional Access Administrator", "Security Administrator"],
};
const DEVICES_READ: Need = Need {
    permissions: &[&["Policy.Read.DeviceConfiguration"], &["Policy.ReadWrite.DeviceConfiguration"]],
    roles: &["Cloud Device Administrator", "Intune Administrator", "Global Reader"],
};
/// A person's token may hold this instead; an application's not.
const DEVICES_READ_BY_PERSON: Need = Need {
    permissions: &[
        &["Policy.Read.DeviceConfiguration"],
        &["Policy.ReadWrite.DeviceConfiguration"],
        &["Policy.Read.All"],
    ],
    roles: DEVICES_READ.roles,
};
const DEVICES_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.DeviceConfiguration"]],
    roles: &["Cloud Device Administrator", "Intune Administrator"],
};
const AUTHORIZATION_WRITE: Need =
    Need { permissions: &[&["Policy.ReadWrite.Authorization"]], roles: &["Privileged Role Administrator"] };
const REQUIREMENTS_READ: Need = Need {
    permissions: &[&["Policy.Read.All"], &["Policy.ReadWrite.AuthenticationMethod"]],
    roles: &[
        "Authentication Policy Administrator",
        "Authentication Administrator",
        "Privileged Authentication Administrator",
        "Global Reader",
    ],
};
const REQUIREMENTS_WRITE: Need = Need {
    permissions: &[&["Policy.ReadWrite.AuthenticationMethod"]],
    roles: &["Authentication Policy Administrator"],
};
const PREFERENCES_READ: Need = Need {
    permissions: &[&["UserAuthenticationMethod.Read.All"], &["UserAuthenticationMethod.ReadWrite.All"]],
    roles: &["Authentication Administrator", "Privileged Authentication Administrator", "Global Reader"],
};
const PREFERENCES_WRITE: Need = Need {
    permissions: &[&["UserAuthenticationMethod.ReadWrite.All"]],
    roles: &["Authentication Administrator", "Privileged Authentication Administrator"],
};
const LICENCES: Need = Need {
    permissions: &[
        &["LicenseAssignment.Read.All"],
        &["User.Read.All"],
        &["User.ReadWrite.All"],
        &["Directory.Read.All"],
        &["Directory.ReadWrite.All"],
    ],
    roles: &[],
};
const ORGANIZATION: Need =
    Need { permissions: &[&["Organization.Read.All"], &["Directory.Read.All"], &["User.Read"]], roles: &[] };
const DOMAINS: Need = Need { permissions: &[&["Domain.Read.All"], &["Directory.Read.All"]], roles: &[] };
const ROLES: Need = Need {
    permissions: &[
        &["RoleManagement.Read.Directory"],
        &["RoleManagement.ReadWrite.Directory"],
        &["Directory.Read.All"],
        &["Directory.ReadWrite.All"],
    ],
    roles: &[],
};

fn need(place: &Place, act: Act, person: bool) -> &'static Need {
    let read = act == Act::Read;
    match place {
        Place::Methods if read => &METHODS_READ,
        Place::Method(_) if read => &METHOD_READ,
        Place::Methods | Place::Method(_) => &METHODS_WRITE,
        Place::Strengths
        | Place::Strength(_)
        | Place::StrengthUsage(_)
        | Place::StrengthCombinations(_)
        | Place::LegalCombinations
        | Place::Limits(_)
        | Place::Limit { .. } => {
            if read {
                &STRENGTH_READ
            } else {
                &STRENGTH_WRITE
            }
        }
        Place::Locations
        | Place::Location(_)
        | Place::Policies
        | Place::Policy(_)
        | Place::DeletedPolicies
        | Place::DeletedLocations
            if read =>
        {
            &ACCESS_READ
        }
        Place::Policies | Place::Policy(_) if act != Act::Remove => &POLICY_WRITE,
        Place::Locations
        | Place::Location(_)
        | Place::Policies
        | Place::Policy(_)
        | Place::DeletedPolicies
        | Place::DeletedLocations => &ACCESS_WRITE,
        Place::Evaluate => &EVALUATE,
        Place::SecurityDefaults if read => &POLICY_READ,
        Place::SecurityDefaults => &DEFAULTS_WRITE,
        Place::Devices if read && person => &DEVICES_READ_BY_PERSON,
        Place::Devices if read => &DEVICES_READ,
        Place::Devices => &DEVICES_WRITE,
        Place::Authorization if read => &AUTHORIZATION_READ,
        Place::Authorization => &AUTHORIZATION_WRITE,
        Place::Requirements(_) if read => &REQUIREMENTS_READ,
        Place::Requirements(_) => &REQUIREMENTS_WRITE,
        Place::Preferences(_) if read => &PREFERENCES_READ,
        Place::Preferences(_) => &PREFERENCES_WRITE,
        Place::Licences(_) => &LICENCES,
        Place::Organization => &ORGANIZATION,
        Place::Domain(_) | Place::Federation(_) => &DOMAINS,
        Place::RoleAssignments => &ROLES,
    }
}

/// Which part of Graph answers.
pub(super) fn voice(place: &Place) -> Voice {
    match place {
        Place::Methods | Place::Method(_) | Place::Requirements(_) | Place::Preferences(_) => Voice::Methods,
        Place::Strengths
        | Place::Strength(_)
        | Place::StrengthUsage(_)
        | Place::StrengthCombinations(_)
        | Place::LegalCombinations
        | Place::Limits(_)
        | Place::Limit { .. }
        | Place::Locations
        | Place::Location(_)
        | Place::Policies
        | Place::Policy(_)
        | Place::DeletedPolicies
        | Place::DeletedLocations
        | Place::Evaluate
        | Place::SecurityDefaults => Voice::Access,
        Place::Devices
        | Place::Authorization
        | Place::Licences(_)
        | Place::Organization
        | Place::Domain(_)
        | Place::Federation(_)
        | Place::RoleAssignments => Voice::Directory,
    }
}

/// Whether the caller may.
pub(super) fn check(store: &Store, caller: &Caller, place: &Place, act: Act) -> Result<(), Refused> {
    let need = need(place, act, caller.user.is_some());
    let granted = need.permissions.iter().any(|all| all.iter().all(|one| caller.has(&[one])));
    let role = match &caller.user {
        // An application needs no role.
        None => true,
        Some(_) if need.roles.is_empty() => true,
        Some(user) => store.person(user).is_some_and(|person| {
            person.roles.iter().any(|held| held == "Global Administrator" || need.roles.contains(&held.as_str()))
        }),
    };
    if granted && role { Ok(()) } else { Err(Refused::new(Why::Forbidden, "")) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::sim::tenant::route::Who;

    /// Every single permission we take is in Microsoft's data for that path, and the least one of the data is taken.
    #[test]
    fn permissions_are_those_of_microsofts_data() {
        let data: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> =
            serde_json::from_str(include_str!("../../../../fixtures/csdl/permissions.json")).expect("the excerpt");
        let id = || "x".to_owned();
        let who = || Who::Named("x".into());
        let places = [
            ("/policies/authenticationmethodspolicy", Place::Methods),
            ("/policies/authenticationmethodspolicy/authenticationmethodconfigurations/fido2", Place::Method(id())),
            ("/policies/authenticationstrengthpolicies", Place::Strengths),
            ("/policies/authenticationstrengthpolicies/{id}", Place::Strength(id())),
            ("/policies/authenticationstrengthpolicies/{id}/usage", Place::StrengthUsage(id())),
            (
                "/policies/authenticationstrengthpolicies/{id}/updateallowedcombinations",
                Place::StrengthCombinations(id()),
            ),
            ("/identity/conditionalaccess/authenticationstrength/combinations", Place::LegalCombinations),
            ("/identity/conditionalaccess/namedlocations", Place::Locations),
            ("/identity/conditionalaccess/namedlocations/{id}", Place::Location(id())),
            ("/identity/conditionalaccess/policies", Place::Policies),
            ("/identity/conditionalaccess/policies/{id}", Place::Policy(id())),
            ("/identity/conditionalaccess/evaluate", Place::Evaluate),
            ("/policies/identitysecuritydefaultsenforcementpolicy", Place::SecurityDefaults),
            ("/policies/deviceregistrationpolicy", Place::Devices),
            ("/policies/authorizationpolicy", Place::Authorization),
            ("/users/{id}/authentication/requirements", Place::Requirements(who())),
            ("/users/{id}/licensedetails", Place::Licences(who())),
            ("/rolemanagement/directory/roleassignments", Place::RoleAssignments),
        ];
        let mut checked = 0;
        for (path, place) in places {
            for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
                let (Some(act), Some(known)) = (place.act(method), data.get(&format!("{method} {path}"))) else {
                    continue;
                };
                for (who, person) in [("Application", false), ("DelegatedWork", true)] {
                    let known: BTreeSet<&str> = known[who].iter().flat_map(|set| set.split(" + ")).collect();
                    for permission in need(&place, act, person).permissions.iter().copied().flatten() {
                        assert!(known.contains(permission), "{method} {path}: {permission} is not in {known:?}");
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked >= 50, "{checked}");
    }
}
