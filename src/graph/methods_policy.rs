//! The tenant's Passkey (FIDO2) policy, as far as a key's journey depends on it.
//!
//! The rule (Microsoft Entra, "Enable passkeys" and the passkeyProfile resource): excluded beats included; of all profiles a
//! person's include targets allow, one that accepts the key is enough; attestation is asked for at registration only. Tenants
//! without profiles go by the older members, which are deprecated since October 2025.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::error::GraphError;
use super::http::Request;
use crate::model::{Aaguid, UserId};

/// The default profile's id, where the policy doesn't say.
const DEFAULT_PROFILE: &str = "00000000-0000-0000-0000-000000000001";

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fido2Policy {
    /// The method is on.
    pub enabled: bool,
    /// "Allow self-service set up": registration by an administrator needs it as well.
    pub self_service: bool,
    /// Who may.
    pub include: Vec<Target>,
    /// Who may not, whatever `include` says.
    pub exclude: Vec<Target>,
    /// Which keys; never empty.
    pub profiles: Vec<Profile>,
    /// The tenant has no profiles yet; [`Self::profiles`] holds one made of the older members.
    pub legacy: bool,
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// `all_users`.
    Everybody,
    /// A group's object id, in lower case.
    Group(String),
    /// A user's object id, in lower case (discouraged since 2022, and still seen).
    User(String),
}

/// An audience with the profiles it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whom.
    pub audience: Audience,
    /// Profile ids in lower case; empty means the default profile.
    pub profiles: Vec<String>,
}

/// Which keys a profile accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// In lower case.
    pub id: String,
    /// As the administrator named it.
    pub name: String,
    /// Security keys, as opposed to passkeys synced between devices.
    pub device_bound: bool,
    /// A key must prove its model at registration.
    pub attestation_required: bool,
    /// Which models.
    pub models: Models,
}

/// Key restrictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Models {
    /// Any.
    Any,
    /// These only.
    Only(BTreeSet<Aaguid>),
    /// All but these.
    Except(BTreeSet<Aaguid>),
    /// A kind of rule newer than we know; only Graph can tell.
    Unknown(String),
}

/// A person, as the policy sees them.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Object id.
    pub user: &'a UserId,
    /// Which of [`Fido2Policy::groups`] they belong to, in lower case.
    pub groups: &'a BTreeSet<String>,
}

/// Whether a key can be registered for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// By this profile's rule.
    Accepted {
        /// Its name.
        profile: String,
    },
    /// For these reasons, one a line; each profile that could have accepted it has its own.
    Refused(Vec<Objection>),
}

impl PolicyVerdict {
    /// Whether it is accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// One reason against.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// The method is off.
    #[error("the Passkey (FIDO2) method is off in this tenant")]
    MethodOff,
    /// The self-service flag is off.
    #[error(
        "\u{201c}Allow self-service set up\u{201d} is off in the Passkey (FIDO2) policy; registration by an administrator needs it too"
    )]
    SelfServiceOff,
    /// In an excluded group.
    #[error("the person is excluded from the Passkey (FIDO2) policy")]
    Excluded,
    /// In no included group.
    #[error("the person is in no group the Passkey (FIDO2) policy is for")]
    NotIncluded,
    /// The target names profiles that don't exist.
    #[error("the policy allows the person a profile that it does not define ({0})")]
    NoSuchProfile(String),
    /// Synced passkeys only.
    #[error("profile {0} is for synced passkeys only")]
    SyncedOnly(String),
    /// No attestation.
    #[error("profile {0} asks for attestation, and this key gives none")]
    NotAttested(String),
    /// Not on the list of allowed models.
    #[error("profile {profile} does not list this model ({aaguid}) among the allowed ones")]
    NotListed {
        /// Name.
        profile: String,
        /// Model.
        aaguid: Aaguid,
    },
    /// On the list of blocked models.
    #[error("profile {profile} blocks this model ({aaguid})")]
    Blocked {
        /// Name.
        profile: String,
        /// Model.
        aaguid: Aaguid,
    },
}

impl Objection {
    /// What an administrator can do, as a sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::MethodOff => "Turn on Passkey (FIDO2) under Authentication methods > Policies.",
            Self::SelfServiceOff => {
                "Set \u{201c}Allow self-service set up\u{201d} to Yes in the Passkey (FIDO2) policy."
            }
            Self::Excluded => "Take the person out of the excluded group, or leave them off the roster.",
            Self::NotIncluded => "Add the person to a group the policy includes.",
            Self::NoSuchProfile(_) => "Open the Passkey (FIDO2) policy and choose the profile of this target again.",
            Self::SyncedOnly(_) => "Allow device-bound passkeys in a profile the person may use.",
            Self::NotAttested(_) => {
                "Use a key model that gives attestation; don't switch attestation off for the sake of one key."
            }
            Self::NotListed { .. } => "Use a model from the list, or add this AAGUID to it.",
            Self::Blocked { .. } => "Use another model; this one is blocked on purpose.",
        }
    }
}

impl Fido2Policy {
    /// Reads the policy. What is missing takes the value that refuses, except the restrictions, whose absence means none.
    pub fn from_json(json: &Value) -> Self {
        let profiles: Vec<Profile> =
            json["passkeyProfiles"].as_array().into_iter().flatten().filter_map(profile).collect();
        let legacy = profiles.is_empty();
        let default = lower(&json["defaultPasskeyProfile"]).unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        let profiles = if legacy {
            vec![Profile {
                id: default.clone(),
                name: "of the policy itself".to_owned(),
                device_bound: true,
                attestation_required: json["isAttestationEnforced"].as_bool().unwrap_or(false),
                models: models(&json["keyRestrictions"]),
            }]
        } else {
            profiles
        };
        let targets = |name: &str| -> Vec<Target> {
            json[name].as_array().into_iter().flatten().filter_map(|json| target(json, &default, legacy)).collect()
        };
        Self {
            enabled: json["state"].as_str().is_some_and(|state| state.eq_ignore_ascii_case("enabled")),
            self_service: json["isSelfServiceRegistrationAllowed"].as_bool().unwrap_or(false),
            include: targets("includeTargets"),
            exclude: targets("excludeTargets"),
            profiles,
            legacy,
        }
    }

    /// The groups one has to know of a person: see [`Graph::memberships`].
    pub fn groups(&self) -> BTreeSet<String> {
        let group = |target: &Target| match &target.audience {
            Audience::Group(id) => Some(id.clone()),
            Audience::Everybody | Audience::User(_) => None,
        };
        self.include.iter().chain(&self.exclude).filter_map(group).collect()
    }

    /// Whether some profile takes only keys that prove their model at registration.
    pub fn enforces_attestation(&self) -> bool {
        self.profiles.iter().any(|profile| profile.attestation_required)
    }

    /// What stands against any key for this person, before a key is known.
    pub fn objection_to(&self, person: Member<'_>) -> Option<Objection> {
        if !self.enabled {
            return Some(Objection::MethodOff);
        }
        if !self.self_service {
            return Some(Objection::SelfServiceOff);
        }
        if self.exclude.iter().any(|target| target.audience.has(person)) {
            return Some(Objection::Excluded);
        }
        (!self.include.iter().any(|target| target.audience.has(person))).then_some(Objection::NotIncluded)
    }

    /// Whether a key of this model can be registered for this person. `attested`: the key gives packed attestation with a
    /// certificate; whether Microsoft knows the model is for Graph to say.
    pub fn accepts(&self, aaguid: Aaguid, attested: bool, person: Member<'_>) -> PolicyVerdict {
        if let Some(objection) = self.objection_to(person) {
            return PolicyVerdict::Refused(vec![objection]);
        }
        let mut objections = Vec::new();
        let allowed: BTreeSet<&String> = self
            .include
            .iter()
            .filter(|target| target.audience.has(person))
            .flat_map(|target| &target.profiles)
            .collect();
        for id in allowed {
            match self.profiles.iter().find(|profile| profile.id == *id) {
                None => objections.push(Objection::NoSuchProfile(id.clone())),
                Some(profile) => match profile.objection_to(aaguid, attested) {
                    None => return PolicyVerdict::Accepted { profile: profile.name.clone() },
                    Some(objection) => objections.push(objection),
                },
            }
        }
        PolicyVerdict::Refused(objections)
    }
}

impl Audience {
    /// Reads a target; `None` without an id.
    pub fn read(json: &Value) -> Option<Self> {
        let id = lower(&json["id"])?;
        Some(if id == "all_users" {
            Self::Everybody
        } else if lower(&json["targetType"]).as_deref() == Some("user") {
            Self::User(id)
        } else {
            Self::Group(id)
        })
    }

    /// Whether this person is meant.
    pub fn has(&self, person: Member<'_>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Group(id) => person.groups.contains(id),
            Self::User(id) => person.user.as_str().eq_ignore_ascii_case(id),
        }
    }
}

impl Profile {
    /// What stands against a key of this model, by this profile alone.
    pub fn objection_to(&self, aaguid: Aaguid, attested: bool) -> Option<Objection> {
        let profile = || self.name.clone();
        if !self.device_bound {
            return Some(Objection::SyncedOnly(profile()));
        }
        match &self.models {
            Models::Only(list) if !list.contains(&aaguid) => {
                return Some(Objection::NotListed { profile: profile(), aaguid });
            }
            Models::Except(list) if list.contains(&aaguid) => {
                return Some(Objection::Blocked { profile: profile(), aaguid });
            }
            // Graph has the last word in any case; a rule we can't read must not stop a bench.
            Models::Any | Models::Only(_) | Models::Except(_) | Models::Unknown(_) => {}
        }
        (self.attestation_required && !attested).then(|| Objection::NotAttested(profile()))
    }
}

fn lower(json: &Value) -> Option<String> {
    json.as_str().map(|text| text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty())
}

fn target(json: &Value, default: &str, legacy: bool) -> Option<Target> {
    let audience = Audience::read(json)?;
    let mut profiles: Vec<String> =
        json["allowedPasskeyProfiles"].as_array().into_iter().flatten().filter_map(lower).collect();
    if profiles.is_empty() || legacy {
        profiles = vec![default.to_owned()];
    }
    Some(Target { audience, profiles })
}

fn profile(json: &Value) -> Option<Profile> {
    let id = lower(&json["id"])?;
    // A flags enum, as one string: "deviceBound,synced".
    let types = lower(&json["passkeyTypes"]);
    Some(Profile {
        name: json["name"]
            .as_str()
            .filter(|name| !name.is_empty())
            .map_or_else(|| id.clone(), |name| super::error::one_line(name, 80)),
        device_bound: types.is_none_or(|types| types.split(',').any(|kind| kind.trim() == "devicebound")),
        attestation_required: lower(&json["attestationEnforcement"]).is_some_and(|level| level != "disabled"),
        models: models(&json["keyRestrictions"]),
        id,
    })
}

fn models(json: &Value) -> Models {
    if json["isEnforced"].as_bool() != Some(true) {
        return Models::Any;
    }
    // Real policies hold duplicates and mixed case.
    let list =
        json["aaGuids"].as_array().into_iter().flatten().filter_map(Value::as_str).filter_map(Aaguid::parse).collect();
    match lower(&json["enforcementType"]).as_deref() {
        Some("allow") => Models::Only(list),
        Some("block") => Models::Except(list),
        other => Models::Unknown(other.unwrap_or("").to_owned()),
    }
}

impl Graph {
    /// Reads the Passkey (FIDO2) policy.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without `Policy.Read.AuthenticationMethod`.
    pub fn fido2_policy(&self) -> Result<Fido2Policy, GraphError> {
        const DOING: &str = "read the Passkey (FIDO2) policy";
        const PATH: &str = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2";
        let json = self.object(&Request::get(self.url(ApiVersion::V1, PATH)?, DOING)).map_err(|error| {
            if error.kind() == super::ErrorKind::Forbidden {
                return error.advise("Grant Policy.Read.AuthenticationMethod to the app registration, with admin consent, and sign in again.");
            }
            error
        })?;
        if json["state"].as_str().is_none() {
            return Err(GraphError::malformed(DOING, "The policy has no `state`."));
        }
        Ok(Fido2Policy::from_json(&json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const YUBI: Aaguid = Aaguid([1; 16]);
    const OTHER: Aaguid = Aaguid([2; 16]);

    fn policy() -> Value {
        serde_json::from_str(include_str!("../../fixtures/graph/fido2-policy.json")).expect("a policy")
    }

    fn verdict(json: &Value, aaguid: Aaguid, attested: bool, groups: &[&str]) -> PolicyVerdict {
        let groups = groups.iter().map(|id| (*id).to_owned()).collect();
        let user = UserId::new("u1");
        Fido2Policy::from_json(json).accepts(aaguid, attested, Member { user: &user, groups: &groups })
    }

    fn objections(json: &Value, aaguid: Aaguid, attested: bool, groups: &[&str]) -> Vec<String> {
        match verdict(json, aaguid, attested, groups) {
            PolicyVerdict::Accepted { profile } => panic!("accepted by {profile}"),
            PolicyVerdict::Refused(list) => {
                assert!(list.iter().all(|objection| objection.remedy().ends_with('.')));
                list.iter().map(ToString::to_string).collect()
            }
        }
    }

    #[test]
    fn the_documented_policy_accepts_any_key_for_everybody() {
        let policy = policy();
        assert!(verdict(&policy, YUBI, false, &[]).is_accepted());
        let read = Fido2Policy::from_json(&policy);
        assert!(read.enabled && read.self_service && !read.legacy);
        assert!(read.groups().is_empty());
    }

    #[test]
    fn switches_and_audiences() {
        let change = |path: &str, value: Value| {
            let mut json = policy();
            *json.pointer_mut(path).expect("there") = value;
            json
        };
        assert!(objections(&change("/state", json!("disabled")), YUBI, true, &[])[0].contains("is off"));
        assert!(
            objections(&change("/isSelfServiceRegistrationAllowed", json!(false)), YUBI, true, &[])[0]
                .contains("self-service")
        );
        let pilot = change("/includeTargets/0/id", json!("G-PILOT"));
        assert!(objections(&pilot, YUBI, true, &[])[0].contains("no group"));
        assert!(verdict(&pilot, YUBI, true, &["g-pilot"]).is_accepted());
        assert_eq!(Fido2Policy::from_json(&pilot).groups(), BTreeSet::from(["g-pilot".to_owned()]));
        let mut excluded = pilot;
        excluded["excludeTargets"] =
            json!([{"targetType": "group", "id": "g-out"}, {"targetType": "user", "id": "U1"}]);
        assert!(objections(&excluded, YUBI, true, &["g-pilot"])[0].contains("excluded"));
        excluded["excludeTargets"] = json!([{"targetType": "group", "id": "g-out"}]);
        assert!(objections(&excluded, YUBI, true, &["g-pilot", "g-out"])[0].contains("excluded"));
        assert!(verdict(&excluded, YUBI, true, &["g-pilot"]).is_accepted());
    }

    #[test]
    fn one_profile_that_accepts_is_enough() {
        let mut json = policy();
        json["passkeyProfiles"] = json!([
            {"id": "P1", "name": "attested", "passkeyTypes": "deviceBound", "attestationEnforcement": "registrationOnly",
             "keyRestrictions": {"isEnforced": true, "enforcementType": "allow", "aaGuids": [YUBI.to_string().to_uppercase(), YUBI.to_string()]}},
            {"id": "P2", "name": "phones", "passkeyTypes": "synced"},
            {"id": "P3", "name": "blocked", "passkeyTypes": "deviceBound,synced",
             "keyRestrictions": {"isEnforced": true, "enforcementType": "block", "aaGuids": [OTHER.to_string()]}},
        ]);
        json["includeTargets"] = json!([
            {"id": "all_users", "targetType": "group", "allowedPasskeyProfiles": ["p1", "P2"]},
            {"id": "g3", "targetType": "group", "allowedPasskeyProfiles": ["P3", "P4"]},
        ]);
        assert_eq!(verdict(&json, YUBI, true, &[]), PolicyVerdict::Accepted { profile: "attested".to_owned() });
        let reasons = objections(&json, YUBI, false, &[]);
        assert!(reasons[0].contains("gives none") && reasons[1].contains("synced"), "{reasons:?}");
        assert!(objections(&json, OTHER, true, &[])[0].contains("does not list"));
        assert_eq!(verdict(&json, YUBI, false, &["g3"]), PolicyVerdict::Accepted { profile: "blocked".to_owned() });
        let reasons = objections(&json, OTHER, true, &["g3"]);
        assert!(reasons[2].contains("blocks") && reasons[3].contains("does not define"), "{reasons:?}");
    }

    #[test]
    fn a_tenant_without_profiles_goes_by_the_older_members() {
        let mut json = policy();
        let _ = json.as_object_mut().expect("an object").remove("passkeyProfiles");
        assert!(objections(&json, YUBI, false, &[])[0].contains("attestation"));
        assert!(verdict(&json, YUBI, true, &[]).is_accepted());
        json["keyRestrictions"] =
            json!({"isEnforced": true, "enforcementType": "allow", "aaGuids": [OTHER.to_string()]});
        assert!(objections(&json, YUBI, true, &[])[0].contains("does not list"));
        assert!(Fido2Policy::from_json(&json).legacy);
    }

    proptest! {
        #[test]
        fn no_policy_panics(text in "\\PC{0,60}") {
            let json = json!({"state": text, "includeTargets": [text, {"id": text, "allowedPasskeyProfiles": [text, 1]}],
                "passkeyProfiles": [{"id": text, "passkeyTypes": text, "keyRestrictions": {"isEnforced": true, "enforcementType": text, "aaGuids": [text]}}]});
            let _ = verdict(&json, YUBI, true, &[&text]);
        }
    }
}
