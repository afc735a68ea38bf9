//! What a simulated tenant's settings are at the beginning: `[policies]` in the TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Methods, strengths, places, Conditional Access and the rest. Objects are written as Graph has them and checked like what
/// is sent to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesSpec {
    /// Members of the authentication methods policy itself, such as `policyMigrationState`.
    pub policy: Map<String, Value>,
    /// By method id, such as `Sms`: members that differ from the default. `Fido2` and `TemporaryAccessPass` begin as `[policy]` and
    /// `[tap]` say.
    pub methods: BTreeMap<String, Map<String, Value>>,
    /// Authentication strengths besides the built-in ones; an `id` may be given.
    #[serde(rename = "strength")]
    pub strengths: Vec<Map<String, Value>>,
    /// Named locations; an `id` may be given.
    #[serde(rename = "location")]
    pub locations: Vec<Map<String, Value>>,
    /// Conditional Access policies; an `id` may be given. A group is named by its id.
    #[serde(rename = "conditional_access")]
    pub access: Vec<Map<String, Value>>,
    /// Security defaults are on.
    pub security_defaults: bool,
    /// "Require multifactor authentication to register or join devices".
    pub join_needs_mfa: bool,
    /// Administrators may reset their own passwords.
    pub admins_reset_password: bool,
    /// Per-user MFA by UPN: `disabled`, `enabled`, `enforced`.
    pub per_user_mfa: BTreeMap<String, String>,
    /// A change of a method without `@odata.type` is answered with success and not made, as real tenants were seen to do.
    pub untyped_changes_are_lost: bool,
    /// Requests to Conditional Access per second; 0 for as many as come.
    pub access_per_second: u32,
    /// Most passkey profiles, the default one among them.
    pub most_profiles: usize,
}

impl Default for PoliciesSpec {
    fn default() -> Self {
        Self {
            policy: Map::new(),
            methods: BTreeMap::new(),
            strengths: Vec::new(),
            locations: Vec::new(),
            access: Vec::new(),
            security_defaults: false,
            join_needs_mfa: false,
            admins_reset_password: true,
            per_user_mfa: BTreeMap::new(),
            untyped_changes_are_lost: false,
            access_per_second: 1,
            most_profiles: 10,
        }
    }
}
