//! Where each document of a tenant's policy lives, and what can be done to it.
//!
//! A [`Resource`] and an [`Act`] turn into the line that the ledger keeps (`PATCH /v1.0/policies/…`) and back, so that a
//! change can be settled and undone by what the ledger says alone.

use std::fmt;

use serde_json::{Value, json};

use crate::graph::ApiVersion;
use crate::model::Aaguid;

/// One document. Ids and method names are kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The authentication methods policy without its methods.
    Policy,
    /// The same on beta, which tells more.
    BetaPolicy,
    /// One method's settings, e.g. `fido2`.
    Method(String),
    /// A named location.
    Location(String),
    /// An authentication strength, with the limits on its combinations.
    Strength(String),
    /// A Conditional Access policy.
    Access(String),
    /// Security defaults.
    Defaults,
    /// Device registration.
    Devices,
    /// One person's per-user MFA.
    Mfa(String),
    /// One person's sign-in preferences.
    Preference(String),
}

/// What can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A named location.
    Location,
    /// An authentication strength.
    Strength,
    /// A Conditional Access policy.
    Access,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Members are changed; for [`Resource::Devices`] the document is replaced.
    Change(Resource, Value),
    /// Something is made.
    Create(Kind, Value),
    /// A strength's combinations are replaced.
    Combinations {
        /// The strength's id.
        strength: String,
        /// All of them.
        allow: Vec<String>,
    },
    /// A strength's key models are limited, the limit changed, or lifted.
    Limit {
        /// The strength's id.
        strength: String,
        /// The limit there is.
        id: Option<String>,
        /// The models; empty lifts the limit.
        models: Vec<Aaguid>,
    },
    /// Something that we made is deleted again.
    Delete(Resource),
}

const POLICY: &str = "/policies/authenticationMethodsPolicy";
const METHODS: &str = "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/";
const STRENGTHS: &str = "/policies/authenticationStrengthPolicies";
const LOCATIONS: &str = "/identity/conditionalAccess/namedLocations";
const ACCESS: &str = "/identity/conditionalAccess/policies";
const LIMITS: &str = "/identity/conditionalAccess/authenticationStrength/policies/";
const DEFAULTS: &str = "/policies/identitySecurityDefaultsEnforcementPolicy";
const DEVICES: &str = "/policies/deviceRegistrationPolicy";

impl Resource {
    /// Which of Graph's versions knows it.
    pub fn api(&self) -> ApiVersion {
        match self {
            Self::BetaPolicy | Self::Mfa(_) | Self::Preference(_) => ApiVersion::Beta,
            Self::Method(id) if id == "hardwareoath" => ApiVersion::Beta,
            _ => ApiVersion::V1,
        }
    }

    /// Its path below the version.
    pub fn path(&self) -> String {
        match self {
            Self::Policy | Self::BetaPolicy => POLICY.to_owned(),
            Self::Method(id) => format!("{METHODS}{id}"),
            Self::Location(id) => format!("{LOCATIONS}/{id}"),
            Self::Strength(id) => format!("{STRENGTHS}/{id}"),
            Self::Access(id) => format!("{ACCESS}/{id}"),
            Self::Defaults => DEFAULTS.to_owned(),
            Self::Devices => DEVICES.to_owned(),
            Self::Mfa(id) => format!("/users/{id}/authentication/requirements"),
            Self::Preference(id) => format!("/users/{id}/authentication/signInPreferences"),
        }
    }

    /// Whether it is this beta-only kind.
    pub fn is_beta(&self) -> bool {
        self.api() == ApiVersion::Beta
    }

    fn parse(version: &str, path: &str) -> Option<Self> {
        let beta = version == ApiVersion::Beta.as_str();
        let id = |text: &str| (!text.is_empty() && !text.contains('/')).then(|| text.to_owned());
        let below = |root: &str| path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')).and_then(id);
        match path {
            POLICY if beta => return Some(Self::BetaPolicy),
            POLICY => return Some(Self::Policy),
            DEFAULTS => return Some(Self::Defaults),
            DEVICES => return Some(Self::Devices),
            _ => {}
        }
        if let Some(method) = path.strip_prefix(METHODS).and_then(id) {
            return Some(Self::Method(method));
        }
        if let Some((user, what)) = path.strip_prefix("/users/").and_then(|rest| rest.split_once("/authentication/")) {
            return match what {
                "requirements" => id(user).map(Self::Mfa),
                "signInPreferences" => id(user).map(Self::Preference),
                _ => None,
            };
        }
        below(LOCATIONS)
            .map(Self::Location)
            .or_else(|| below(STRENGTHS).map(Self::Strength))
            .or_else(|| below(ACCESS).map(Self::Access))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}{}", self.api().as_str(), self.path())
    }
}

impl Kind {
    /// Its documents' place.
    pub fn of(self, id: &str) -> Resource {
        let id = id.to_ascii_lowercase();
        match self {
            Self::Location => Resource::Location(id),
            Self::Strength => Resource::Strength(id),
            Self::Access => Resource::Access(id),
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Location => LOCATIONS,
            Self::Strength => STRENGTHS,
            Self::Access => ACCESS,
        }
    }
}

impl Act {
    /// The document it changes; none for what is yet to be made.
    pub fn resource(&self) -> Option<Resource> {
        match self {
            Self::Change(resource, _) | Self::Delete(resource) => Some(resource.clone()),
            Self::Combinations { strength, .. } | Self::Limit { strength, .. } => {
                Some(Resource::Strength(strength.clone()))
            }
            Self::Create(..) => None,
        }
    }

    /// As the ledger keeps it: `PATCH /v1.0/policies/…`.
    pub fn call(&self) -> String {
        match self {
            Self::Change(Resource::Devices, _) => format!("PUT {}", Resource::Devices),
            Self::Change(resource, _) => format!("PATCH {resource}"),
            Self::Create(kind, _) => format!("POST /v1.0{}", kind.path()),
            Self::Combinations { strength, .. } => {
                format!("POST /v1.0{STRENGTHS}/{strength}/updateAllowedCombinations")
            }
            Self::Limit { strength, id, models } => {
                let limits = format!("/v1.0{LIMITS}{strength}/combinationConfigurations");
                match id {
                    None => format!("POST {limits}"),
                    Some(id) if models.is_empty() => format!("DELETE {limits}/{id}"),
                    Some(id) => format!("PATCH {limits}/{id}"),
                }
            }
            Self::Delete(resource) => format!("DELETE {resource}"),
        }
    }

    /// What is sent; none for a DELETE.
    pub fn body(&self) -> Option<Value> {
        match self {
            Self::Change(_, body) | Self::Create(_, body) => Some(body.clone()),
            Self::Combinations { allow, .. } => Some(json!({ "allowedCombinations": allow })),
            Self::Limit { models, .. } if models.is_empty() => None,
            Self::Limit { models, .. } => Some(json!({
                "allowedAAGUIDs": models.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })),
            Self::Delete(_) => None,
        }
    }

    /// Whether the call is of Graph's beta.
    pub fn is_beta(&self) -> bool {
        self.resource().is_some_and(|resource| resource.is_beta())
    }
}

/// What a line of the ledger was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// Members of a document were changed.
    Changed(Resource),
    /// Something was made.
    Created(Kind),
    /// A strength's combinations or key models.
    OfStrength(String),
    /// Something was deleted.
    Deleted(Resource),
}

impl Called {
    /// Reads [`Act::call`]'s line; `None` for one of a newer keybench.
    pub fn read(call: &str) -> Option<Self> {
        let (method, rest) = call.split_once(" /")?;
        let (version, path) = rest.split_once('/')?;
        let path = format!("/{path}");
        if let Some(rest) = path.strip_prefix(LIMITS) {
            return rest.split_once("/combinationConfigurations").map(|(id, _)| Self::OfStrength(id.to_owned()));
        }
        if method == "POST" {
            if let Some(strength) = path.strip_suffix("/updateAllowedCombinations") {
                return strength.strip_prefix(STRENGTHS)?.strip_prefix('/').map(|id| Self::OfStrength(id.to_owned()));
            }
            return [Kind::Location, Kind::Strength, Kind::Access]
                .into_iter()
                .find(|kind| kind.path() == path)
                .map(Self::Created);
        }
        let resource = Resource::parse(version, &path)?;
        Some(if method == "DELETE" { Self::Deleted(resource) } else { Self::Changed(resource) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledgers_line_is_read_back() {
        let id = "33333333-cccc-4ddd-8eee-000000000003".to_owned();
        for resource in [
            Resource::Policy,
            Resource::BetaPolicy,
            Resource::Method("fido2".into()),
            Resource::Method("hardwareoath".into()),
            Resource::Location(id.clone()),
            Resource::Strength(id.clone()),
            Resource::Access(id.clone()),
            Resource::Defaults,
            Resource::Devices,
            Resource::Mfa(id.clone()),
            Resource::Preference(id.clone()),
        ] {
            let call = Act::Change(resource.clone(), json!({})).call();
            assert_eq!(Called::read(&call), Some(Called::Changed(resource.clone())), "{call}");
            let call = Act::Delete(resource.clone()).call();
            assert_eq!(Called::read(&call), Some(Called::Deleted(resource)), "{call}");
        }
        for kind in [Kind::Location, Kind::Strength, Kind::Access] {
            assert_eq!(Called::read(&Act::Create(kind, json!({})).call()), Some(Called::Created(kind)));
        }
        let of = Some(Called::OfStrength(id.clone()));
        assert_eq!(Called::read(&Act::Combinations { strength: id.clone(), allow: vec![] }.call()), of);
        assert_eq!(Called::read(&Act::Limit { strength: id.clone(), id: None, models: vec![] }.call()), of);
        assert_eq!(Called::read(&Act::Limit { strength: id, id: Some("x".into()), models: vec![] }.call()), of);
        assert_eq!(Called::read("PATCH /v9/something/else"), None);
        assert_eq!(Called::read(""), None);
    }
}
