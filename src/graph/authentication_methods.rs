//! The authentication methods policy: which ways to sign in the tenant has, for whom, and how each is set.
//!
//! Source: Microsoft Graph, `authenticationMethodsPolicy` and the `…AuthenticationMethodConfiguration` types. A change sends only
//! the members it is about: what is left out keeps its value, and a list that is sent replaces the old one whole.

use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::methods_policy::{Audience, Fido2Policy, Member};
use super::rights;
use super::words::words;

words!(
    /// On or off.
    MethodState {
        /// For those it is for.
        Enabled = "enabled",
        /// For nobody.
        Disabled = "disabled",
    }
);

words!(
    /// A setting that Microsoft may decide.
    ConfigState {
        /// As Microsoft thinks best at the time.
        MicrosoftManaged = "default",
        /// On.
        Enabled = "enabled",
        /// Off.
        Disabled = "disabled",
    }
);

words!(
    /// How far the legacy MFA and SSPR policies were brought over.
    MigrationState {
        /// The legacy policies alone count.
        Pre = "preMigration",
        /// Both count.
        InProgress = "migrationInProgress",
        /// This policy alone counts.
        Complete = "migrationComplete",
    }
);

words!(
    /// What Microsoft Authenticator may be used for.
    AuthenticatorMode {
        /// Both of the others.
        Any = "any",
        /// Approving as a second factor.
        Push = "push",
        /// Phone sign-in, called "Passwordless" in the admin centre.
        Passwordless = "deviceBasedPush",
    }
);

words!(
    /// A method of the policy, by its id.
    Method {
        /// Passkeys, security keys among them.
        Fido2 = "Fido2",
        /// Temporary Access Pass.
        TemporaryAccessPass = "TemporaryAccessPass",
        /// The Authenticator app.
        MicrosoftAuthenticator = "MicrosoftAuthenticator",
        /// OATH tokens one can hold; beta only.
        HardwareOath = "HardwareOath",
        /// OATH codes of any app.
        SoftwareOath = "SoftwareOath",
        /// Text messages.
        Sms = "Sms",
        /// Calls.
        Voice = "Voice",
        /// One-time codes by mail.
        Email = "Email",
        /// Certificates.
        X509Certificate = "X509Certificate",
        /// Verified ID.
        VerifiableCredentials = "VerifiableCredentials",
        /// QR code and PIN.
        QrCodePin = "QRCodePin",
    }
);

impl Method {
    /// Which Graph knows it.
    pub fn api(&self) -> ApiVersion {
        match self {
            Self::HardwareOath => ApiVersion::Beta,
            _ => ApiVersion::V1,
        }
    }

    /// What a change must say it is, as `@odata.type`; `None` for methods we don't know.
    pub fn odata_type(&self) -> Option<String> {
        let stem = match self {
            Self::Fido2 => "fido2",
            Self::TemporaryAccessPass => "temporaryAccessPass",
            Self::MicrosoftAuthenticator => "microsoftAuthenticator",
            Self::HardwareOath => "hardwareOath",
            Self::SoftwareOath => "softwareOath",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Email => "email",
            Self::X509Certificate => "x509Certificate",
            Self::VerifiableCredentials => "verifiableCredentials",
            Self::QrCodePin => "qrCodePin",
            Self::Other(_) => return None,
        };
        Some(format!("#microsoft.graph.{stem}AuthenticationMethodConfiguration"))
    }

    /// As people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Fido2 => "Passkey (FIDO2)",
            Self::TemporaryAccessPass => "Temporary Access Pass",
            Self::MicrosoftAuthenticator => "Microsoft Authenticator",
            Self::HardwareOath => "Hardware OATH tokens",
            Self::SoftwareOath => "Software OATH tokens",
            Self::Sms => "SMS",
            Self::Voice => "Voice call",
            Self::Email => "Email OTP",
            Self::X509Certificate => "Certificate-based authentication",
            Self::VerifiableCredentials => "Verified ID",
            Self::QrCodePin => "QR code",
            Self::Other(id) => id,
        }
    }
}

documents!(
    /// The policy as a whole.
    AuthenticationMethodsPolicy,
    /// One method's settings.
    MethodConfiguration,
);

impl AuthenticationMethodsPolicy {
    /// The methods it lists. On v1.0 hardware OATH is not among them.
    pub fn configurations(&self) -> Vec<MethodConfiguration> {
        let list = self.0.member("authenticationMethodConfigurations").as_array();
        let one = |json: &Value| Document::from_json(json.clone()).map(MethodConfiguration);
        list.into_iter().flatten().filter_map(one).collect()
    }

    /// One method's settings; `None` where the policy doesn't list it.
    pub fn configuration(&self, method: &Method) -> Option<MethodConfiguration> {
        self.configurations().into_iter().find(|one| one.method() == *method)
    }

    /// `None` on tenants that never had the legacy policies, which is as good as complete.
    pub fn migration(&self) -> Option<MigrationState> {
        self.0.text("/policyMigrationState").map(MigrationState::read)
    }

    /// The registration campaign; `None` where the answer has none.
    pub fn campaign(&self) -> Option<Campaign> {
        let at = "/registrationEnforcement/authenticationMethodsRegistrationCampaign";
        let json = self.0.at(at);
        json.is_object().then(|| Campaign {
            state: ConfigState::read(json["state"].as_str().unwrap_or_default()),
            snooze_days: json["snoozeDurationInDays"].as_i64(),
            enforce_after_snoozes: json["enforceRegistrationAfterAllowedSnoozes"].as_bool(),
            include: targets(&json["includeTargets"]),
            exclude: targets(&json["excludeTargets"]),
            methods: json["includeTargets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|target| target["targetedAuthenticationMethod"].as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// Whether the system chooses the strongest method to ask for; `None` on v1.0, which doesn't tell.
    pub fn system_preferred(&self) -> Option<ConfigState> {
        self.0.text("/systemCredentialPreferences/state").map(ConfigState::read)
    }
}

/// The registration campaign: who is nudged to register what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// `default` lets Microsoft choose method and snoozes.
    pub state: ConfigState,
    /// 0 to 14; 0 nudges at every sign-in with MFA.
    pub snooze_days: Option<i64>,
    /// After three snoozes there is no other; told by beta only.
    pub enforce_after_snoozes: Option<bool>,
    /// Who.
    pub include: Vec<Audience>,
    /// Who not.
    pub exclude: Vec<Audience>,
    /// To what: `microsoftAuthenticator` or `fido2`, one per included target.
    pub methods: Vec<String>,
}

impl MethodConfiguration {
    /// Which method.
    pub fn method(&self) -> Method {
        Method::read(self.id())
    }

    /// On or off; `None` where the answer doesn't say.
    pub fn state(&self) -> Option<MethodState> {
        self.0.text("/state").map(MethodState::read)
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.state() == Some(MethodState::Enabled)
    }

    /// Who may use it.
    pub fn include(&self) -> Vec<Audience> {
        targets(self.0.member("includeTargets"))
    }

    /// Who may not, whatever [`Self::include`] says.
    pub fn exclude(&self) -> Vec<Audience> {
        targets(self.0.member("excludeTargets"))
    }

    /// Whether it is on for this person.
    pub fn is_for(&self, person: Member<'_>) -> bool {
        self.is_enabled()
            && !self.exclude().iter().any(|audience| audience.has(person))
            && self.include().iter().any(|audience| audience.has(person))
    }

    /// The groups one has to know of a person for [`Self::is_for`]; ids in lower case.
    pub fn groups(&self) -> std::collections::BTreeSet<String> {
        let group = |audience: Audience| match audience {
            Audience::Group(id) => Some(id),
            Audience::Everybody | Audience::User(_) => None,
        };
        self.include().into_iter().chain(self.exclude()).filter_map(group).collect()
    }

    /// Read as the passkey policy.
    pub fn fido2(&self) -> Fido2Policy {
        Fido2Policy::from_json(&self.0.to_json())
    }

    /// Read as the policy of Temporary Access Passes; `None` for other methods.
    pub fn access_pass(&self) -> Option<AccessPassPolicy> {
        let number =
            |name: &str, default| self.0.member(name).as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        (self.method() == Method::TemporaryAccessPass).then(|| AccessPassPolicy {
            default_length: number("defaultLength", 8),
            default_minutes: number("defaultLifetimeInMinutes", 60),
            least_minutes: number("minimumLifetimeInMinutes", 60),
            most_minutes: number("maximumLifetimeInMinutes", 480),
            one_time_only: self.0.member("isUsableOnce").as_bool().unwrap_or(false),
        })
    }

    /// Microsoft Authenticator's modes, one per included target that says one.
    pub fn authenticator_modes(&self) -> Vec<AuthenticatorMode> {
        let list = self.0.member("includeTargets").as_array();
        let mode = |json: &Value| json["authenticationMode"].as_str().map(AuthenticatorMode::read);
        list.into_iter().flatten().filter_map(mode).collect()
    }
}

/// The limits for Temporary Access Passes, where absent Microsoft's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessPassPolicy {
    /// Characters, 8 to 48.
    pub default_length: u32,
    /// Minutes.
    pub default_minutes: u32,
    /// Minutes, 10 to 43,200.
    pub least_minutes: u32,
    /// Minutes, 10 to 43,200.
    pub most_minutes: u32,
    /// Every pass is one-time, whatever is asked; otherwise each pass chooses.
    pub one_time_only: bool,
}

fn targets(json: &Value) -> Vec<Audience> {
    json.as_array().into_iter().flatten().filter_map(Audience::read).collect()
}

const POLICY: &str = "policies/authenticationMethodsPolicy";

impl Graph {
    /// The policy with all its methods, in one call. Beta tells more: hardware OATH, system-preferred sign-in, whether the
    /// campaign ends its snoozes.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::METHODS_READ`].
    pub fn authentication_methods_policy(&self, api: ApiVersion) -> Result<AuthenticationMethodsPolicy, GraphError> {
        let url = self.url(api, POLICY)?;
        let request = Request::get(url, "read the authentication methods policy").needing(&rights::METHODS_READ);
        self.document(&request.all_words()).map(AuthenticationMethodsPolicy)
    }

    /// Changes members of the policy itself, such as `registrationEnforcement`.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::METHODS_WRITE`]; [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn change_authentication_methods_policy(
        &self,
        api: ApiVersion,
        change: &Document,
    ) -> Result<Written<()>, GraphError> {
        let doing = "change the authentication methods policy";
        let request = Request::patch(self.url(api, POLICY)?, change.to_json(), doing);
        self.write_only(&request.needing(&rights::METHODS_WRITE).refused(rights::look::METHODS))
    }

    /// One method's settings.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`] for a method this tenant does not have.
    pub fn method_configuration(&self, method: &Method) -> Result<MethodConfiguration, GraphError> {
        let doing = format!("read the settings of the method {}", method.name());
        let request = Request::get(self.configuration_url(method)?, doing).needing(&rights::METHODS_READ);
        self.document(&request.all_words()).map(MethodConfiguration)
    }

    /// Changes one method. `@odata.type` is added where the change has none, since without it Graph reports success and
    /// changes nothing. Read back and compare: the answer to a change is empty.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::METHODS_WRITE`]; [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn change_method_configuration(&self, method: &Method, change: &Document) -> Result<Written<()>, GraphError> {
        let doing = format!("change the settings of the method {}", method.name());
        let mut body = change.clone();
        if let (true, Some(kind)) = (body.member("@odata.type").is_null(), method.odata_type()) {
            body = body.with("@odata.type", kind);
        }
        let request = Request::patch(self.configuration_url(method)?, body.into_json(), doing);
        self.write_only(&request.needing(&rights::METHODS_WRITE).refused(rights::look::METHODS))
    }

    fn configuration_url(&self, method: &Method) -> Result<url::Url, GraphError> {
        self.url(method.api(), &format!("{POLICY}/authenticationMethodConfigurations/{}", escape(method.as_str())))
    }
}

/// An included or excluded target as Graph writes it.
pub fn target(audience: &Audience) -> Value {
    match audience {
        Audience::Everybody => json!({ "id": "all_users", "targetType": "group" }),
        Audience::Group(id) => json!({ "id": id, "targetType": "group" }),
        Audience::User(id) => json!({ "id": id, "targetType": "user" }),
    }
}
