//! What a simulated tenant is made of. Every member has a default; `docs/SIMULATOR.md` shows the TOML form.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use super::account_spec::{DomainSpec, LicenceSpec, MethodKind, MethodSpec, TapSpec};
use super::faults::FaultPlan;
use super::policies::PoliciesSpec;

/// A whole tenant: people, groups, policy, application, habits and faults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSpec {
    /// From this follow the ids, secrets and chances that are not given.
    pub seed: u64,
    /// The tenant's GUID.
    pub tenant_id: Option<String>,
    /// The verified domain; also accepted in place of the tenant id.
    pub domain: String,
    /// Time before each answer, in milliseconds.
    pub latency_ms: u64,
    /// Who lives there.
    #[serde(rename = "person")]
    pub people: Vec<PersonSpec>,
    /// Groups with anything special about them; a group that a person names need not stand here.
    #[serde(rename = "group")]
    pub groups: Vec<GroupSpec>,
    /// The application that the bench signs in as.
    pub app: AppSpec,
    /// Who signs in by device code or browser, and how that goes.
    pub sign_in: SignInSpec,
    /// Domains beside [`Self::domain`].
    #[serde(rename = "other_domain")]
    pub other_domains: Vec<DomainSpec>,
    /// Licences that can be given out.
    #[serde(rename = "licence")]
    pub licences: Vec<LicenceSpec>,
    /// The passkey policy.
    pub policy: PolicySpec,
    /// Everything else the tenant is set to.
    pub policies: PoliciesSpec,
    /// The Temporary Access Pass policy.
    pub tap: TapSpec,
    /// The Entra licence, which logs and roles to activate depend on.
    pub premium: Premium,
    /// Where the real service is known, or suspected, to vary.
    pub quirks: Quirks,
    /// Status and code of each kind of refusal, where they should differ from the default.
    pub codes: BTreeMap<Refusal, Code>,
    /// What goes wrong.
    #[serde(rename = "fault")]
    pub faults: FaultPlan,
}

impl Default for TenantSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            tenant_id: None,
            domain: "contoso.example".into(),
            latency_ms: 0,
            people: Vec::new(),
            groups: Vec::new(),
            app: AppSpec::default(),
            sign_in: SignInSpec::default(),
            other_domains: Vec::new(),
            licences: vec![LicenceSpec { name: "SPE_E5".into(), seats: 100 }],
            policy: PolicySpec::default(),
            policies: PoliciesSpec::default(),
            tap: TapSpec::default(),
            premium: Premium::default(),
            quirks: Quirks::default(),
            codes: BTreeMap::new(),
            faults: FaultPlan::default(),
        }
    }
}

/// A person in the directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    /// User principal name.
    pub upn: String,
    /// Object id, a GUID; follows from seed and UPN when absent.
    #[serde(default)]
    pub id: Option<String>,
    /// Display name; the UPN's first part when absent.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Member or guest.
    #[serde(default)]
    pub user_type: UserType,
    /// Whether the account is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Directory roles by their display name, such as `Global Administrator`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Groups by display name; made when no `[[group]]` has that name.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Passkeys the person already has.
    #[serde(default)]
    pub passkeys: u32,
    /// Other ways to sign in that the person has.
    #[serde(default, rename = "method")]
    pub methods: Vec<MethodSpec>,
    /// `usageLocation`; without one no licence can be given.
    #[serde(default = "ireland")]
    pub usage_location: Option<String>,
    /// Roles that the person could activate (Privileged Identity Management).
    #[serde(default)]
    pub eligible_roles: Vec<String>,
    /// Other methods the person has, by their names in the registration report, such as `microsoftAuthenticatorPush`.
    #[serde(default)]
    pub registered: Vec<String>,
    /// Self-service password reset is on for them.
    #[serde(default)]
    pub sspr: bool,
    /// Their manager's user principal name.
    #[serde(default)]
    pub manager: Option<String>,
    /// They have a mailbox in Exchange Online.
    #[serde(default = "yes")]
    pub mailbox: bool,
}

// A default of serde's needs the member's own type.
#[allow(clippy::unnecessary_wraps)]
fn ireland() -> Option<String> {
    Some("IE".to_owned())
}

impl PersonSpec {
    /// An ordinary, enabled member without passkeys.
    pub fn new(upn: impl Into<String>) -> Self {
        Self {
            upn: upn.into(),
            id: None,
            display_name: None,
            user_type: UserType::Member,
            enabled: true,
            roles: Vec::new(),
            groups: Vec::new(),
            passkeys: 0,
            methods: Vec::new(),
            usage_location: ireland(),
            eligible_roles: Vec::new(),
            registered: Vec::new(),
            sspr: false,
            manager: None,
            mailbox: true,
        }
    }
}

/// Graph's `userType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserType {
    /// Belongs to the tenant.
    #[default]
    Member,
    /// Invited from elsewhere; can't have a passkey.
    Guest,
}

/// The tenant's Entra licence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Premium {
    /// Entra ID Free: no sign-in log by Graph, no registration report.
    None,
    /// Entra ID P1.
    P1,
    /// Entra ID P2: roles to activate besides.
    #[default]
    P2,
}

/// A group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Display name.
    pub name: String,
    /// Object id, a GUID; follows from seed and name when absent.
    #[serde(default)]
    pub id: Option<String>,
    /// `isAssignableToRole`: its members are privileged even without a role.
    #[serde(default)]
    pub role_assignable: bool,
    /// A rule makes its members.
    #[serde(default)]
    pub dynamic: bool,
    /// Names of the groups this group is a member of.
    #[serde(default, rename = "in")]
    pub parents: Vec<String>,
}

/// The application registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSpec {
    /// Client id, a GUID.
    pub client_id: Option<String>,
    /// Client secret.
    pub client_secret: Option<String>,
    /// The secret is past its date: AADSTS7000222.
    pub secret_expired: bool,
    /// Registered certificates, as PEM text.
    pub certificates: Vec<String>,
    /// "Allow public client flows": without it device code gets AADSTS7000218.
    pub public_client: bool,
    /// Registered redirect URIs; a port on `http://localhost` is ignored.
    pub redirect_uris: Vec<String>,
    /// Application permissions that have admin consent: the `roles` of an app-only token.
    pub permissions: Vec<String>,
    /// Delegated permissions that have consent: the most a delegated token's `scp` can hold.
    pub delegated: Vec<String>,
}

impl Default for AppSpec {
    fn default() -> Self {
        let granted: Vec<String> = [
            "UserAuthMethod-Passkey.ReadWrite.All",
            "User.RevokeSessions.All",
            "User.Read.All",
            "GroupMember.Read.All",
            "Policy.Read.AuthenticationMethod",
            "RoleManagement.Read.Directory",
            "Organization.Read.All",
            "Policy.Read.All",
            "Policy.ReadWrite.AuthenticationMethod",
            "Policy.ReadWrite.ConditionalAccess",
            "Policy.ReadWrite.SecurityDefaults",
            "Policy.Read.DeviceConfiguration",
            "Policy.ReadWrite.DeviceConfiguration",
            "Policy.ReadWrite.Authorization",
            "Application.Read.All",
            "Domain.Read.All",
            "LicenseAssignment.Read.All",
            "UserAuthMethod-TAP.ReadWrite.All",
            "UserAuthMethod-HardwareOATH.ReadWrite.All",
            "Policy.ReadWrite.AuthenticationMethod",
            "UserAuthMethod-Phone.ReadWrite.All",
            "UserAuthMethod-MicrosoftAuthApp.ReadWrite.All",
            "UserAuthenticationMethod.Read.All",
            "User.ReadWrite.All",
            "Group.ReadWrite.All",
            "GroupMember.ReadWrite.All",
            "LicenseAssignment.ReadWrite.All",
            "UserAuthMethod-Passkey.Read.All",
            "UserAuthenticationMethod.Read.All",
            "AuditLog.Read.All",
            "Mail.Send",
        ]
        .map(String::from)
        .to_vec();
        Self {
            client_id: None,
            client_secret: None,
            secret_expired: false,
            certificates: Vec::new(),
            public_client: true,
            redirect_uris: vec!["http://localhost".into()],
            delegated: granted.iter().cloned().chain(["User.Read".into()]).collect(),
            permissions: granted,
        }
    }
}

/// The person at the browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSpec {
    /// Who signs in. Someone who is not among the people is added, outside the lists.
    pub upn: Option<String>,
    /// Their directory roles, when they are added.
    pub roles: Vec<String>,
    /// Roles they could activate, when they are added.
    pub eligible_roles: Vec<String>,
    /// Answers of `authorization_pending` before the outcome.
    pub polls: u32,
    /// Seconds between polls that the device-code answer asks for.
    pub interval: u32,
    /// How it ends.
    pub outcome: SignInOutcome,
}

impl Default for SignInSpec {
    fn default() -> Self {
        Self {
            upn: None,
            // The second role is for reading the policy, which the first can't.
            roles: vec!["Authentication Administrator".into(), "Global Reader".into()],
            eligible_roles: Vec::new(),
            polls: 2,
            interval: 5,
            outcome: SignInOutcome::Approve,
        }
    }
}

/// How a sign-in ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInOutcome {
    /// Signed in.
    #[default]
    Approve,
    /// The person says no.
    Decline,
    /// The code runs out.
    Expire,
    /// Conditional Access forbids it: AADSTS53003.
    Blocked,
}

/// The Passkey (FIDO2) policy. With no profiles it is a tenant on the old schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySpec {
    /// The method is on.
    pub enabled: bool,
    /// "Allow self-service set up": registration through Graph needs it too.
    pub self_service: bool,
    /// Old schema: attestation enforced.
    pub attestation_enforced: bool,
    /// Old schema: AAGUID list.
    pub key_restrictions: KeyRestrictions,
    /// Passkey profiles; a passkey must satisfy one of those its owner is in scope of.
    #[serde(rename = "profile")]
    pub profiles: Vec<ProfileSpec>,
    /// Groups by name in scope; empty means everybody.
    pub include_groups: Vec<String>,
    /// Groups by name out of scope; stronger than inclusion.
    pub exclude_groups: Vec<String>,
    /// Attestation roots that are trusted when attestation is enforced, as PEM text.
    pub attestation_roots: Vec<String>,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self {
            enabled: true,
            self_service: true,
            attestation_enforced: false,
            key_restrictions: KeyRestrictions::default(),
            profiles: vec![ProfileSpec::default()],
            include_groups: Vec::new(),
            exclude_groups: Vec::new(),
            attestation_roots: Vec::new(),
        }
    }
}

/// A list of allowed or blocked models.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRestrictions {
    /// The list counts.
    pub enforced: bool,
    /// What the list means.
    pub kind: RestrictionKind,
    /// The models.
    pub aaguids: Vec<String>,
}

/// Graph's `enforcementType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestrictionKind {
    /// Only these.
    #[default]
    Allow,
    /// All but these.
    Block,
}

/// A passkey profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSpec {
    /// A GUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Security keys and the like.
    pub device_bound: bool,
    /// Passkeys that a cloud copies.
    pub synced: bool,
    /// `attestationEnforcement: registrationOnly`.
    pub attestation_enforced: bool,
    /// AAGUID list.
    pub key_restrictions: KeyRestrictions,
}

impl Default for ProfileSpec {
    fn default() -> Self {
        Self {
            id: "00000000-0000-0000-0000-000000000001".into(),
            name: "Default passkey profile".into(),
            device_bound: true,
            synced: false,
            attestation_enforced: false,
            key_restrictions: KeyRestrictions::default(),
        }
    }
}

/// How credential ids are written in `excludeCredentials`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdEncoding {
    /// Standard base64 with padding, as beta did in 2024.
    Std,
    /// base64url and a digit that counts the padding taken off, as beta does since.
    #[default]
    Suffix,
    /// base64url without padding, as v1.0 is documented.
    Plain,
}

/// Where the real service is known, or suspected, to vary.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Credential ids in creation options.
    pub id_encoding: IdEncoding,
    /// Creation options inside `{"value": …}`, as the documentation prints them.
    pub value_wrapper: bool,
    /// `@odata.type` at every level of creation options.
    pub odata_noise: bool,
    /// `publicKey.timeout`: 0 or 60000 were both seen.
    pub options_timeout: u32,
    /// The relying party that creation options name.
    pub rp_id: String,
    /// `credentialProtectionPolicy` of creation options; Entra asks for the lowest.
    pub credential_protection: String,
    /// Lifetime of a challenge in seconds (v1.0, and beta's default).
    pub challenge_seconds: u32,
    /// A new passkey shows in reads only after so many milliseconds.
    pub list_lag_ms: u64,
    /// And only after so many reads that don't show it.
    pub list_lag_reads: u32,
    /// A new user's sign-in methods answer 404 to so many calls.
    pub new_user_lag_reads: u32,
    /// Most passkeys a person may have.
    pub max_passkeys: u32,
    /// Packed attestation without certificates is accepted where attestation is not enforced.
    pub self_attestation: bool,
    /// Attestation of format `none` is accepted where attestation is not enforced.
    pub none_attestation: bool,
    /// Page size where the caller asks for none.
    pub page_size: usize,
    /// Largest page whatever the caller asks for; small values show whether a client follows pages.
    pub max_page_size: usize,
    /// Lifetime of an access token in seconds.
    pub token_seconds: u32,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            id_encoding: IdEncoding::Suffix,
            value_wrapper: false,
            odata_noise: false,
            options_timeout: 0,
            rp_id: "login.microsoft.com".into(),
            credential_protection: "userVerificationOptional".into(),
            challenge_seconds: 300,
            list_lag_ms: 0,
            list_lag_reads: 0,
            new_user_lag_reads: 1,
            max_passkeys: 20,
            self_attestation: true,
            none_attestation: true,
            page_size: 100,
            max_page_size: 999,
            token_seconds: 3599,
        }
    }
}

/// Reasons for which a registration, or creation options, are refused. Microsoft documents neither status nor code for
/// any of them, so both can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The request itself is not as documented.
    Malformed,
    /// The challenge was not issued, or for somebody else.
    WrongChallenge,
    /// The challenge is past its time.
    ExpiredChallenge,
    /// The challenge has made a passkey already.
    UsedChallenge,
    /// Client data or authenticator data don't fit the options.
    WrongData,
    /// Signature or certificates don't verify.
    BadAttestation,
    /// Attestation is enforced and this one is not acceptable.
    AttestationRequired,
    /// The model is not allowed.
    AaguidRestricted,
    /// A synced passkey where only device-bound ones are allowed, or the reverse.
    PasskeyType,
    /// The passkey method is off, or the person is out of its scope.
    MethodDisabled,
    /// Self-service set-up is off.
    SelfServiceOff,
    /// Guests can't have passkeys.
    Guest,
    /// The account is disabled.
    AccountDisabled,
    /// The credential is registered already.
    Duplicate,
    /// The person has the most passkeys allowed.
    TooMany,
}

/// An HTTP status and Graph's `error.code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// HTTP status.
    pub status: u16,
    /// `error.code`.
    pub code: String,
}

fn yes() -> bool {
    true
}

/// Why a specification can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file can't be read.
    #[error("{path} can't be read: {cause}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not what the format asks for.
    #[error("{path}: {message}")]
    Format {
        /// The file, or what the text was for.
        path: String,
        /// What is wrong, with the line where known.
        message: String,
    },
}

impl TenantSpec {
    /// Reads a specification in TOML. `origin` names the text in errors.
    ///
    /// # Errors
    /// [`SpecError::Format`]; an unknown key is one, and the nearest right one is named.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, SpecError> {
        toml::from_str(text).map_err(|error| format_error(origin, &error.to_string()))
    }

    /// Reads a specification in JSON: the same members.
    ///
    /// # Errors
    /// As [`Self::from_toml`].
    pub fn from_json(text: &str, origin: &str) -> Result<Self, SpecError> {
        serde_json::from_str(text).map_err(|error| format_error(origin, &error.to_string()))
    }

    /// What `--people N|FILE` means: a number of made-up people, a CSV of people, or a whole tenant in TOML or JSON.
    ///
    /// # Errors
    /// [`SpecError`] when it is neither a number nor a file that can be understood.
    pub fn from_people_argument(argument: &str) -> Result<Self, SpecError> {
        if let Ok(count) = argument.parse::<u32>() {
            let mut spec = Self::default();
            spec.people = super::people::people_default(count as usize, spec.seed);
            return Ok(spec);
        }
        let path = Path::new(argument);
        let bytes = std::fs::read(path).map_err(|cause| SpecError::Read { path: path.display().to_string(), cause })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| SpecError::Format { path: argument.into(), message: "the file is not UTF-8".into() })?;
        match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => Self::from_toml(&text, argument),
            Some("json") => Self::from_json(&text, argument),
            _ => Ok(Self { people: super::people::people_from_csv(&text, argument)?, ..Self::default() }),
        }
    }
}

/// Turns a parser's message into ours: an unknown key gets the nearest known one named.
pub(super) fn format_error(origin: &str, message: &str) -> SpecError {
    let message = message.trim_end();
    let hint =
        message.split("unknown field ").nth(1).or_else(|| message.split("unknown variant ").nth(1)).and_then(|rest| {
            let mut quoted = rest.split('`').skip(1).step_by(2);
            let wrong = quoted.next()?;
            quoted
                .map(|known| (strsim::damerau_levenshtein(wrong, known), known))
                .min()
                .map(|(_, known)| format!("\nNext: did you mean `{known}`?"))
        });
    SpecError::Format { path: origin.into(), message: format!("{message}{}", hint.unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = TenantSpec::from_toml("latency = 3", "x.toml").expect_err("unknown").to_string();
        assert!(error.contains("x.toml") && error.contains("did you mean `latency_ms`?"), "{error}");
        let error =
            TenantSpec::from_toml("[quirks]\nid_encoding = \"sufix\"", "x.toml").expect_err("unknown").to_string();
        assert!(error.contains("did you mean `suffix`?"), "{error}");
    }

    #[test]
    fn the_documented_examples_can_be_read() {
        let text = include_str!("../../../fixtures/sim/tenant/tenant.toml");
        let spec = TenantSpec::from_toml(text, "tenant.toml").expect("the example");
        assert_eq!(spec.people.len(), 3);
        assert_eq!(spec.people[1].user_type, UserType::Guest);
        assert_eq!(spec.faults.rules().len(), 2);
        let json = serde_json::to_string(&spec).expect("serializes");
        assert_eq!(TenantSpec::from_json(&json, "json").expect("reads back").people.len(), 3);
    }

    #[test]
    fn a_number_makes_people() {
        assert_eq!(TenantSpec::from_people_argument("12").expect("a number").people.len(), 12);
        assert!(matches!(TenantSpec::from_people_argument("/no/such/file"), Err(SpecError::Read { .. })));
    }
}
