//! Authentication strengths: named sets of ways to sign in that Conditional Access can demand.
//!
//! Source: Microsoft Graph, `authenticationStrengthPolicy`. A tenant has three built-in ones and up to fifteen of its own. A
//! combination is one comma-joined text; Graph writes it without spaces, the documentation with.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights;
use super::words::words;
use crate::model::Aaguid;

/// Built in: any multifactor authentication; a Temporary Access Pass is enough.
pub const MFA: &str = "00000000-0000-0000-0000-000000000002";
/// Built in: passwordless; a Temporary Access Pass is not enough.
pub const PASSWORDLESS: &str = "00000000-0000-0000-0000-000000000003";
/// Built in: phishing-resistant; a Temporary Access Pass is not enough.
pub const PHISHING_RESISTANT: &str = "00000000-0000-0000-0000-000000000004";
/// How many strengths of its own a tenant may have.
pub const MOST_CUSTOM: usize = 15;

words!(
    /// One way to authenticate, as combinations name it.
    Mode {
        /// Password.
        Password = "password",
        /// Call.
        Voice = "voice",
        /// OATH token one can hold.
        HardwareOath = "hardwareOath",
        /// OATH code of an app.
        SoftwareOath = "softwareOath",
        /// Text message.
        Sms = "sms",
        /// Passkey, security keys among them.
        Fido2 = "fido2",
        /// Windows Hello for Business or macOS platform credential.
        WindowsHello = "windowsHelloForBusiness",
        /// Authenticator: approving as a second factor.
        AuthenticatorPush = "microsoftAuthenticatorPush",
        /// Authenticator: phone sign-in.
        PhoneSignIn = "deviceBasedPush",
        /// Temporary Access Pass that works once.
        AccessPassOnce = "temporaryAccessPassOneTime",
        /// Temporary Access Pass that works until it ends.
        AccessPassMulti = "temporaryAccessPassMultiUse",
        /// Code by mail.
        Email = "email",
        /// Certificate, single factor.
        CertificateSingle = "x509CertificateSingleFactor",
        /// Certificate, multifactor.
        CertificateMulti = "x509CertificateMultiFactor",
        /// Another identity provider, single factor.
        FederatedSingle = "federatedSingleFactor",
        /// Another identity provider, multifactor.
        FederatedMulti = "federatedMultiFactor",
        /// QR code and PIN.
        QrCodePin = "qrCodePin",
    }
);

words!(
    /// Whose strength it is.
    StrengthKind {
        /// Microsoft's; can't be changed.
        BuiltIn = "builtIn",
        /// The tenant's.
        Custom = "custom",
    }
);

/// Ways to authenticate that together are enough.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Combination(BTreeSet<Mode>);

impl Combination {
    /// Reads `password,hardwareOath`, with or without spaces.
    pub fn read(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|mode| !mode.is_empty()).map(Mode::read).collect())
    }

    /// Of one way alone.
    pub fn of(mode: Mode) -> Self {
        Self(BTreeSet::from([mode]))
    }

    /// The ways.
    pub fn modes(&self) -> &BTreeSet<Mode> {
        &self.0
    }

    /// Whether it is this way and no other.
    pub fn is_just(&self, mode: &Mode) -> bool {
        self.0.len() == 1 && self.0.contains(mode)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mode) in self.0.iter().enumerate() {
            write!(f, "{}{mode}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

documents!(
    /// A strength, with its combinations and what limits them.
    AuthenticationStrength,
    /// A limit on combinations: key models, certificate issuers.
    CombinationConfiguration,
);

impl AuthenticationStrength {
    /// Display name.
    pub fn name(&self) -> &str {
        self.0.text("/displayName").unwrap_or(self.id())
    }

    /// Whose it is; `None` where the answer doesn't say.
    pub fn kind(&self) -> Option<StrengthKind> {
        self.0.text("/policyType").map(StrengthKind::read)
    }

    /// What is enough; empty where only the id was told.
    pub fn combinations(&self) -> Vec<Combination> {
        self.0.texts("/allowedCombinations").into_iter().map(Combination::read).collect()
    }

    /// Its limits.
    pub fn configurations(&self) -> Vec<CombinationConfiguration> {
        let list = self.0.member("combinationConfigurations").as_array();
        let one = |json: &Value| Document::from_json(json.clone()).map(CombinationConfiguration);
        list.into_iter().flatten().filter_map(one).collect()
    }

    /// Whether this way alone is enough, models aside.
    pub fn takes(&self, mode: &Mode) -> bool {
        self.combinations().iter().any(|combination| combination.is_just(mode))
    }

    /// The key models it is limited to; `None` when every model will do.
    pub fn key_models(&self) -> Option<BTreeSet<Aaguid>> {
        let limits: Vec<BTreeSet<Aaguid>> =
            self.configurations().iter().filter_map(CombinationConfiguration::key_models).collect();
        (!limits.is_empty()).then(|| limits.into_iter().flatten().collect())
    }

    /// Whether a key of this model is enough.
    pub fn takes_key(&self, aaguid: Aaguid) -> bool {
        self.takes(&Mode::Fido2) && self.key_models().is_none_or(|models| models.contains(&aaguid))
    }

    /// Whether a Temporary Access Pass of this kind is enough.
    pub fn takes_access_pass(&self, one_time: bool) -> bool {
        self.takes(if one_time { &Mode::AccessPassOnce } else { &Mode::AccessPassMulti })
    }
}

impl CombinationConfiguration {
    /// The models of keys it allows; `None` when it is about something else.
    pub fn key_models(&self) -> Option<BTreeSet<Aaguid>> {
        self.0.member("allowedAAGUIDs").is_array().then(|| {
            let texts = self.0.texts("/allowedAAGUIDs");
            texts.into_iter().filter_map(Aaguid::parse).collect()
        })
    }
}

/// What changing the combinations did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CombinationsChanged {
    /// Before: what an undo puts back.
    pub previous: Vec<Combination>,
    /// Now.
    pub current: Vec<Combination>,
    /// Conditional Access policies that demand this strength, by id.
    pub policies: Vec<String>,
    /// Graph's answer, whole.
    pub document: Document,
}

const STRENGTHS: &str = "policies/authenticationStrengthPolicies";
const ROOT: &str = "identity/conditionalAccess/authenticationStrength";

impl Graph {
    /// All strengths, built-in ones among them, with their limits.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::STRENGTH_READ`].
    pub fn authentication_strengths(&self) -> Result<Vec<AuthenticationStrength>, GraphError> {
        let url = self.url(ApiVersion::V1, STRENGTHS)?;
        let request = Request::get(url, "list the authentication strengths").needing(&rights::STRENGTH_READ);
        Ok(self.documents(request.all_words())?.into_iter().map(AuthenticationStrength).collect())
    }

    /// One strength.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn authentication_strength(&self, id: &str) -> Result<AuthenticationStrength, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{STRENGTHS}/{}", escape(id)))?;
        let request = Request::get(url, "read an authentication strength").needing(&rights::STRENGTH_READ);
        self.document(&request.all_words()).map(AuthenticationStrength)
    }

    /// The combinations a strength may be made of, as this tenant's Graph has them.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::STRENGTH_READ`].
    pub fn legal_combinations(&self) -> Result<Vec<Combination>, GraphError> {
        let doing = "list the combinations an authentication strength can have";
        let url = self.url(ApiVersion::V1, &format!("{ROOT}/combinations"))?;
        let items = self.collection(Request::get(url, doing).needing(&rights::STRENGTH_READ).all_words())?;
        Ok(items.iter().filter_map(Value::as_str).map(Combination::read).collect())
    }

    /// Makes a strength: `displayName`, `description`, `allowedCombinations`, and `combinationConfigurations` if wanted.
    ///
    /// # Errors
    /// [`super::ErrorKind::Unknown`] when it may have been made: list before repeating.
    pub fn create_authentication_strength(
        &self,
        new: &Document,
    ) -> Result<Written<AuthenticationStrength>, GraphError> {
        let doing = format!("make the authentication strength {}", named(new));
        let request = Request::post(self.url(ApiVersion::V1, STRENGTHS)?, new.to_json(), doing);
        Ok(self
            .write_document(&request.needing(&rights::STRENGTH_WRITE).refused(rights::look::STRENGTHS))?
            .map(AuthenticationStrength))
    }

    /// Changes name or description; combinations have a call of their own.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for built-in ones.
    pub fn change_authentication_strength(&self, id: &str, change: &Document) -> Result<Written<()>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{STRENGTHS}/{}", escape(id)))?;
        let request = Request::patch(url, change.to_json(), "change an authentication strength");
        self.write_only(&request.needing(&rights::STRENGTH_WRITE).refused(rights::look::STRENGTHS))
    }

    /// Replaces a strength's combinations.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for built-in ones and for combinations that are none.
    pub fn change_combinations(
        &self,
        id: &str,
        combinations: &[Combination],
    ) -> Result<Written<CombinationsChanged>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{STRENGTHS}/{}/updateAllowedCombinations", escape(id)))?;
        let words: Vec<String> = combinations.iter().map(ToString::to_string).collect();
        let doing = "change the combinations of an authentication strength";
        // The whole list is sent: twice is as good as once.
        let request = Request::post(url, json!({ "allowedCombinations": words }), doing).safe();
        let written =
            self.write_document(&request.needing(&rights::STRENGTH_WRITE).refused(rights::look::STRENGTHS))?;
        let list = |document: &Document, name: &str| document.texts(name).into_iter().map(Combination::read).collect();
        Ok(written.map(|document| CombinationsChanged {
            previous: list(&document, "/previousCombinations"),
            current: list(&document, "/currentCombinations"),
            policies: document.texts("/conditionalAccessReferences").into_iter().map(str::to_owned).collect(),
            document,
        }))
    }

    /// Deletes a strength of the tenant's own that no policy demands.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for built-in ones and those in use.
    pub fn delete_authentication_strength(&self, id: &str) -> Result<Written<()>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{STRENGTHS}/{}", escape(id)))?;
        self.write_only(
            &Request::delete(url, "delete an authentication strength")
                .needing(&rights::STRENGTH_WRITE)
                .refused(rights::look::STRENGTHS),
        )
    }

    /// Which Conditional Access policies demand a strength: their ids and names.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn strength_usage(&self, id: &str) -> Result<Document, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{STRENGTHS}/{}/usage", escape(id)))?;
        self.document(
            &Request::get(url, "read where an authentication strength is used").needing(&rights::STRENGTH_READ),
        )
    }

    /// Limits a strength's keys to these models.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for built-in strengths.
    pub fn limit_key_models(
        &self,
        strength: &str,
        models: &BTreeSet<Aaguid>,
    ) -> Result<Written<CombinationConfiguration>, GraphError> {
        let url = self.url(ApiVersion::V1, &configurations(strength))?;
        let doing = "limit the key models of an authentication strength";
        let request = Request::post(url, key_limit(models), doing)
            .needing(&rights::STRENGTH_WRITE)
            .refused(rights::look::STRENGTHS);
        Ok(self.write_document(&request)?.map(CombinationConfiguration))
    }

    /// Changes which models such a limit allows; the list replaces the old one.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn change_key_models(
        &self,
        strength: &str,
        configuration: &str,
        models: &BTreeSet<Aaguid>,
    ) -> Result<Written<()>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{}/{}", configurations(strength), escape(configuration)))?;
        let doing = "change the key models of an authentication strength";
        self.write_only(
            &Request::patch(url, key_limit(models), doing)
                .needing(&rights::STRENGTH_WRITE)
                .refused(rights::look::STRENGTHS),
        )
    }

    /// Takes such a limit away.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn delete_combination_configuration(
        &self,
        strength: &str,
        configuration: &str,
    ) -> Result<Written<()>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("{}/{}", configurations(strength), escape(configuration)))?;
        let doing = "take a limit off an authentication strength";
        self.write_only(&Request::delete(url, doing).needing(&rights::STRENGTH_WRITE).refused(rights::look::STRENGTHS))
    }
}

/// The limit to these models, as a strength's `combinationConfigurations` and the call for it take it.
pub fn key_limit(models: &BTreeSet<Aaguid>) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
        "allowedAAGUIDs": models.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "appliesToCombinations": ["fido2"],
    })
}

fn configurations(strength: &str) -> String {
    format!("{ROOT}/policies/{}/combinationConfigurations", escape(strength))
}

/// A new policy's name, for sentences.
pub(super) fn named(new: &Document) -> String {
    super::error::one_line(new.text("/displayName").unwrap_or("without a name"), 80)
}
