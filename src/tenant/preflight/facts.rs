//! What was found out of a tenant, each piece as Graph answered it or with the reason why it is not known. No I/O:
//! [`super::super::gather`] asks.
//!
//! Promise: what could not be asked is never taken for an answer. Documents are kept as they came, so that a member we
//! don't know can't be lost and evidence can be quoted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::Value;

use crate::graph::{Account, Fido2Policy};
use crate::model::{Aaguid, Upn, UserId};
use crate::tenant::statements::{Statement, Topic};

/// A call, as evidence names it. Paths begin with the API's version; `{id}` stands for what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// `GET` or `POST`; empty where nothing was asked of Graph.
    pub method: &'static str,
    /// Path, or in words what was looked at.
    pub path: &'static str,
}

impl Call {
    /// A read.
    pub const fn get(path: &'static str) -> Self {
        Self { method: "GET", path }
    }

    /// A question by POST.
    pub const fn post(path: &'static str) -> Self {
        Self { method: "POST", path }
    }

    /// No call: the token, the clock, the settings, somebody's word.
    pub const fn none(what: &'static str) -> Self {
        Self { method: "", path: what }
    }
}

/// The calls that facts come from.
pub mod calls {
    use super::Call;

    /// The token's own claims.
    pub const TOKEN: Call = Call::none("access token");
    /// The hosts in the settings.
    pub const HOSTS: Call = Call::none("tenant.graph_url");
    /// The clocks.
    pub const CLOCK: Call = Call::none("Date header");
    /// What somebody said.
    pub const SAID: Call = Call::none("asked of the administrator");
    /// The plan.
    pub const PLAN: Call = Call::none("the command line");
    /// The caller's roles.
    pub const MY_ROLES: Call = Call::get("/v1.0/me/transitiveMemberOf/microsoft.graph.directoryRole");
    /// What the caller is assigned directly, in part of the directory too.
    pub const MY_ASSIGNMENTS: Call = Call::get("/v1.0/roleManagement/directory/roleAssignments");
    /// A person.
    pub const USER: Call = Call::get("/v1.0/users/{id}");
    /// Group membership.
    pub const GROUPS: Call = Call::post("/v1.0/users/{id}/checkMemberGroups");
    /// A person's roles.
    pub const ROLES: Call = Call::get("/v1.0/users/{id}/transitiveMemberOf/microsoft.graph.directoryRole");
    /// A person's methods.
    pub const METHODS: Call = Call::get("/v1.0/users/{id}/authentication/methods");
    /// A person's passkeys.
    pub const PASSKEYS: Call = Call::get("/v1.0/users/{id}/authentication/fido2Methods");
    /// Per-user MFA.
    pub const REQUIREMENTS: Call = Call::get("/beta/users/{id}/authentication/requirements");
    /// The registration report.
    pub const REGISTRATION: Call = Call::get("/v1.0/reports/authenticationMethods/userRegistrationDetails");
    /// The methods policy.
    pub const POLICY: Call = Call::get("/v1.0/policies/authenticationMethodsPolicy");
    /// Hardware OATH.
    pub const OATH_POLICY: Call =
        Call::get("/beta/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/hardwareOath");
    /// The token inventory.
    pub const OATH_DEVICES: Call = Call::get("/beta/directory/authenticationMethodDevices/hardwareOathDevices");
    /// Conditional Access.
    pub const ACCESS: Call = Call::get("/v1.0/identity/conditionalAccess/policies");
    /// What if.
    pub const WHAT_IF: Call = Call::post("/v1.0/identity/conditionalAccess/evaluate");
    /// Device registration.
    pub const DEVICES: Call = Call::get("/v1.0/policies/deviceRegistrationPolicy");
    /// Security defaults.
    pub const DEFAULTS: Call = Call::get("/v1.0/policies/identitySecurityDefaultsEnforcementPolicy");
    /// The authorization policy.
    pub const AUTHORIZATION: Call = Call::get("/v1.0/policies/authorizationPolicy");
    /// Licences.
    pub const LICENCES: Call = Call::get("/v1.0/subscribedSkus");
    /// A domain.
    pub const DOMAIN: Call = Call::get("/v1.0/domains/{id}");
    /// A federated domain's settings.
    pub const FEDERATION: Call = Call::get("/v1.0/domains/{id}/federationConfiguration");
    /// Who is Global Administrator for good.
    pub const ADMINISTRATORS: Call = Call::get("/v1.0/roleManagement/directory/roleAssignments");
}

/// Why something is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The signed-in account may not ask.
    MissingRight,
    /// Nothing answers this question.
    NoApi,
    /// The tenant's licence does not include it.
    Licence,
    /// It was not asked, for the reason given.
    NotAsked,
    /// The service gave no usable answer.
    NoAnswer,
}

impl Why {
    /// As `--json` writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingRight => "missing-right",
            Self::NoApi => "no-api",
            Self::Licence => "licence",
            Self::NotAsked => "not-asked",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// Something that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The kind of reason.
    pub why: Why,
    /// The call that would tell.
    pub call: Call,
    /// The reason in words, without a full stop.
    pub what: String,
    /// What would change that, as a sentence.
    pub next: String,
}

impl Gap {
    /// A gap.
    pub fn new(why: Why, call: Call, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { why, call, what: what.into(), next: next.into() }
    }

    /// What was not asked because nothing that is weighed depends on it.
    pub fn not_needed(call: Call) -> Self {
        Self::new(Why::NotAsked, call, "it was not needed here", "Nothing to do.")
    }
}

impl From<&Gap> for Gap {
    fn from(gap: &Gap) -> Self {
        gap.clone()
    }
}

/// An answer, or why there is none.
pub type Asked<T> = Result<T, Gap>;

/// How the people of this batch get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The bench registers keys for them.
    Provision,
    /// They register a key themselves, with a Temporary Access Pass.
    SelfService,
    /// They get a hardware OATH token.
    Oath,
}

/// What the facts are weighed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Bringing people in this way.
    Mode(Mode),
    /// Writing the methods policy.
    WriteMethods,
    /// Writing Conditional Access.
    WriteAccess,
}

/// What is intended; the facts are weighed against it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How.
    pub mode: Mode,
    /// `tenant apply` is intended too.
    pub writes: bool,
    /// Models of the keys.
    pub models: Vec<KeyModel>,
    /// Whether passes will be one-time; `None` follows the policy.
    pub one_time_pass: Option<bool>,
    /// Devices people will use first, by name, that take more than a browser and a key.
    pub first_devices: BTreeSet<FirstUse>,
    /// Where the bench stands, for what-if.
    pub place: Place,
    /// Break-glass accounts and groups, as object ids in lower case.
    pub break_glass: BTreeSet<String>,
    /// A Conditional Access policy will ask for compliant devices.
    pub compliant_devices: bool,
    /// OATH tokens to be imported; empty where none are.
    pub tokens: Vec<TokenLine>,
}

impl Plan {
    /// Keys for people, and nothing else known.
    pub fn of(mode: Mode) -> Self {
        Self {
            mode,
            writes: false,
            models: Vec::new(),
            one_time_pass: None,
            first_devices: BTreeSet::new(),
            place: Place::default(),
            break_glass: BTreeSet::new(),
            compliant_devices: false,
            tokens: Vec::new(),
        }
    }

    /// Whether facts are weighed for this.
    pub fn is_for(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Mode(mode) => mode == self.mode,
            Purpose::WriteMethods | Purpose::WriteAccess => self.writes,
        }
    }
}

/// A device that a pass must carry a person through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FirstUse {
    /// Windows, joined in the out-of-box experience.
    WindowsSetup,
    /// macOS with Company Portal.
    Mac,
    /// A phone that gets phone sign-in.
    Phone,
}

impl FirstUse {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::WindowsSetup => "a new Windows device (out-of-box experience)",
            Self::Mac => "a Mac with Company Portal",
            Self::Phone => "a phone with phone sign-in",
        }
    }
}

/// Where the bench stands, as what-if is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// Public address.
    pub ip: Option<String>,
    /// Applications to sign in to, by id, with a name for people.
    pub apps: Vec<(String, String)>,
}

/// A model of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyModel {
    /// Which.
    pub aaguid: Aaguid,
    /// Its name, where metadata or the key tells.
    pub name: Option<String>,
    /// What the FIDO metadata says of its attestation.
    pub attestation: Attested,
}

impl KeyModel {
    /// For messages.
    pub fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.aaguid),
            None => self.aaguid.to_string(),
        }
    }
}

/// What is known of a model's attestation. Entra goes by the FIDO metadata: a certified authenticator with packed attestation
/// and a complete chain (Microsoft, "Attestation requirements for vendors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested {
    /// Certified, with packed attestation.
    Yes,
    /// The metadata says that Entra won't take it; why.
    No(String),
    /// The metadata does not have it, or none was read.
    Unknown(String),
}

/// A line of a token list, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLine {
    /// In the file.
    pub line: u32,
    /// Serial number; where the line is wrong, the column that is.
    pub serial: String,
    /// What is wrong with the line itself.
    pub problem: Option<String>,
}

/// A directory role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `roleTemplateId`, in lower case; empty where it may not be read.
    pub template: String,
    /// Display name, or the id.
    pub name: String,
}

/// A domain.
#[derive(Debug, Clone)]
pub struct DomainFacts {
    /// The domain object.
    pub domain: Value,
    /// Federation settings; asked only of federated domains.
    pub federation: Asked<Vec<Value>>,
}

/// One person.
#[derive(Debug, Clone)]
pub struct PersonFacts {
    /// As the roster names them.
    pub name: Upn,
    /// How many keys they are to get.
    pub keys: u32,
    /// The directory's object; `Ok(None)` when there is nobody of this name.
    pub user: Asked<Option<Value>>,
    /// Of the groups asked about, those they are in; ids in lower case.
    pub groups: Asked<BTreeSet<String>>,
    /// Directory roles.
    pub roles: Asked<Vec<Role>>,
    /// Names of the role-assignable groups they are in.
    pub role_groups: Asked<Vec<String>>,
    /// Their methods.
    pub methods: Asked<Vec<Value>>,
    /// Their passkeys alone, where all methods may not be read.
    pub passkeys: Asked<Vec<Value>>,
    /// Per-user MFA (beta).
    pub requirements: Asked<Value>,
    /// Their row of the registration report; `Ok(None)` when there is none.
    pub registration: Asked<Option<Value>>,
}

impl PersonFacts {
    /// The object id, in lower case.
    pub fn id(&self) -> Option<UserId> {
        let user = self.user.as_ref().ok()?.as_ref()?;
        user["id"].as_str().filter(|id| !id.is_empty()).map(|id| UserId::new(id.to_ascii_lowercase()))
    }
}

/// What is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Registering security information.
    RegisterSecurityInformation,
    /// Joining or registering a device.
    JoinDevice,
    /// Signing in to an application.
    SignIn {
        /// Its id.
        app: String,
        /// Its name.
        name: String,
    },
}

impl Action {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::RegisterSecurityInformation => "registering security information".to_owned(),
            Self::JoinDevice => "joining a device".to_owned(),
            Self::SignIn { name, .. } => format!("signing in to {name}"),
        }
    }
}

/// An evaluation of Conditional Access, for everybody whose membership is the same.
#[derive(Debug, Clone)]
pub struct WhatIf {
    /// Of what.
    pub action: Action,
    /// For whom it holds.
    pub people: Vec<Upn>,
    /// The policies that apply, each with its controls expanded.
    pub answer: Asked<Vec<Value>>,
}

/// Who is Global Administrator for good, for the break-glass check.
#[derive(Debug, Clone)]
pub struct AdministratorFacts {
    /// The directory's object.
    pub user: Value,
    /// Their methods.
    pub methods: Asked<Vec<Value>>,
    /// Of the groups that Conditional Access excludes, those they are in.
    pub groups: Asked<BTreeSet<String>>,
}

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What for.
    pub plan: Plan,
    /// The token's claims.
    pub account: Account,
    /// The signed-in person's directory roles; not asked of an application.
    pub caller_roles: Asked<Vec<Role>>,
    /// Roles the signed-in person holds besides, in words: within a part of the directory only, or custom ones. Asked where the
    /// roles above don't suffice.
    pub caller_assigned: Vec<String>,
    /// Graph's host.
    pub graph_host: String,
    /// Graph is a simulator on this machine.
    pub loopback: bool,
    /// How far this machine's clock is ahead.
    pub skew: Asked<SignedDuration>,
    /// The methods policy.
    pub policy: Asked<Value>,
    /// Hardware OATH (beta).
    pub oath_policy: Asked<Value>,
    /// Serial numbers in the token inventory (beta).
    pub oath_serials: Asked<BTreeSet<String>>,
    /// Conditional Access policies.
    pub access: Asked<Vec<Value>>,
    /// Device registration.
    pub devices: Asked<Value>,
    /// Security defaults.
    pub defaults: Asked<Value>,
    /// The authorization policy.
    pub authorization: Asked<Value>,
    /// Subscribed products.
    pub licences: Asked<Vec<Value>>,
    /// By name, in lower case.
    pub domains: BTreeMap<String, Asked<DomainFacts>>,
    /// Evaluations.
    pub what_if: Vec<WhatIf>,
    /// People for whom Conditional Access was not evaluated, and why.
    pub what_if_left_out: Option<(Vec<Upn>, Gap)>,
    /// Global Administrators.
    pub administrators: Asked<Vec<AdministratorFacts>>,
    /// What an administrator said of what has no API.
    pub statements: BTreeMap<Topic, Statement>,
    /// Whom it is about; empty when no roster was given.
    pub people: Vec<PersonFacts>,
}

impl Facts {
    /// Nothing is known yet: whatever is weighed now is unknown because it was not asked.
    pub fn unasked(plan: Plan, account: Account) -> Self {
        Self {
            plan,
            account,
            caller_roles: Err(Gap::not_needed(calls::MY_ROLES)),
            caller_assigned: Vec::new(),
            graph_host: String::new(),
            loopback: false,
            skew: Err(Gap::not_needed(calls::CLOCK)),
            policy: Err(Gap::not_needed(calls::POLICY)),
            oath_policy: Err(Gap::not_needed(calls::OATH_POLICY)),
            oath_serials: Err(Gap::not_needed(calls::OATH_DEVICES)),
            access: Err(Gap::not_needed(calls::ACCESS)),
            devices: Err(Gap::not_needed(calls::DEVICES)),
            defaults: Err(Gap::not_needed(calls::DEFAULTS)),
            authorization: Err(Gap::not_needed(calls::AUTHORIZATION)),
            licences: Err(Gap::not_needed(calls::LICENCES)),
            domains: BTreeMap::new(),
            what_if: Vec::new(),
            what_if_left_out: None,
            administrators: Err(Gap::not_needed(calls::ADMINISTRATORS)),
            statements: BTreeMap::new(),
            people: Vec::new(),
        }
    }

    /// The configuration of one method.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn method(&self, id: &str) -> Asked<&Value> {
        let policy = self.policy.as_ref()?;
        policy["authenticationMethodConfigurations"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|method| method["id"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(id)))
            .ok_or_else(|| {
                Gap::new(
                    Why::NoAnswer,
                    calls::POLICY,
                    format!("the methods policy does not mention {id}"),
                    "Open Authentication methods > Policies in the Entra admin centre and look there.",
                )
            })
    }

    /// The passkey policy, read.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn passkeys(&self) -> Asked<Fido2Policy> {
        self.method("Fido2").map(Fido2Policy::from_json)
    }

    /// People whom the directory knows.
    pub fn known_people(&self) -> impl Iterator<Item = (&PersonFacts, &Value)> {
        self.people.iter().filter_map(|person| Some((person, person.user.as_ref().ok()?.as_ref()?)))
    }
}
