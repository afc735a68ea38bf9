//! Conditional Access policies: who must prove what, where, to do what.
//!
//! Source: Microsoft Graph, `conditionalAccessPolicy`. The whole area allows one request a second for the whole tenant and names
//! no time to wait, so every call here keeps to [`super::GraphSettings::pace`] and says so while it waits.

use serde_json::Value;

use super::authentication_strength::{AuthenticationStrength, named};
use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights;
use super::words::words;

/// The user action of registering security information.
pub const REGISTER_SECURITY_INFO: &str = "urn:user:registersecurityinfo";
/// The user action of registering or joining a device.
pub const REGISTER_DEVICE: &str = "urn:user:registerdevice";
/// How many policies a tenant may have, whatever their state.
pub const MOST_POLICIES: usize = 240;

words!(
    /// Whether a policy acts.
    PolicyState {
        /// It acts.
        Enabled = "enabled",
        /// It does not.
        Disabled = "disabled",
        /// It is evaluated and logged, and does not act. Not evaluated at all for user actions.
        ReportOnly = "enabledForReportingButNotEnforced",
    }
);

words!(
    /// A demand that is no authentication strength.
    Control {
        /// Nobody gets through.
        Block = "block",
        /// Any multifactor authentication.
        Mfa = "mfa",
        /// A device that Intune calls compliant.
        CompliantDevice = "compliantDevice",
        /// A hybrid-joined device.
        DomainJoinedDevice = "domainJoinedDevice",
        /// An approved client app.
        ApprovedApplication = "approvedApplication",
        /// An app with a protection policy.
        CompliantApplication = "compliantApplication",
        /// A new password.
        PasswordChange = "passwordChange",
        /// Risk to be dealt with.
        RiskRemediation = "riskRemediation",
    }
);

documents!(
    /// A Conditional Access policy.
    ConditionalAccessPolicy
);

/// What a policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// All of it, or any one of it.
    pub all: bool,
    /// Controls.
    pub controls: Vec<Control>,
    /// A strength. In lists only its id may be told; what-if answers tell it whole.
    pub strength: Option<AuthenticationStrength>,
    /// Terms of use to accept, by id.
    pub terms: Vec<String>,
    /// Custom controls, by name.
    pub custom: Vec<String>,
}

impl ConditionalAccessPolicy {
    /// Display name.
    pub fn name(&self) -> &str {
        self.0.text("/displayName").unwrap_or(self.id())
    }

    /// Whether it acts; `None` where the answer doesn't say.
    pub fn state(&self) -> Option<PolicyState> {
        self.0.text("/state").map(PolicyState::read)
    }

    /// Whether it acts.
    pub fn is_enabled(&self) -> bool {
        self.state() == Some(PolicyState::Enabled)
    }

    /// `All`, `None`, `GuestsOrExternalUsers` or user ids.
    pub fn include_users(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/includeUsers")
    }

    /// User ids it spares.
    pub fn exclude_users(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/excludeUsers")
    }

    /// Group ids it is for.
    pub fn include_groups(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/includeGroups")
    }

    /// Group ids it spares.
    pub fn exclude_groups(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/excludeGroups")
    }

    /// Role template ids it is for.
    pub fn include_roles(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/includeRoles")
    }

    /// Role template ids it spares.
    pub fn exclude_roles(&self) -> Vec<&str> {
        self.0.texts("/conditions/users/excludeRoles")
    }

    /// Apps it is for: `All`, `None`, `Office365`, `MicrosoftAdminPortals` or app ids.
    pub fn applications(&self) -> Vec<&str> {
        self.0.texts("/conditions/applications/includeApplications")
    }

    /// User actions it is for: [`REGISTER_SECURITY_INFO`], [`REGISTER_DEVICE`].
    pub fn user_actions(&self) -> Vec<&str> {
        self.0.texts("/conditions/applications/includeUserActions")
    }

    /// Whether it is for this user action.
    pub fn is_for_action(&self, action: &str) -> bool {
        self.user_actions().iter().any(|its| its.eq_ignore_ascii_case(action))
    }

    /// Places it is for: `All`, `AllTrusted` or location ids.
    pub fn include_locations(&self) -> Vec<&str> {
        self.0.texts("/conditions/locations/includeLocations")
    }

    /// Places it spares.
    pub fn exclude_locations(&self) -> Vec<&str> {
        self.0.texts("/conditions/locations/excludeLocations")
    }

    /// What it demands; `None` when it only limits the session.
    pub fn grant(&self) -> Option<Grant> {
        let grant = self.0.at("/grantControls");
        let texts = |name: &str| -> Vec<String> {
            grant[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let strength = &grant["authenticationStrength"];
        let strength = (!strength["id"].is_null()).then(|| strength.clone());
        grant.is_object().then(|| Grant {
            all: grant["operator"].as_str().is_some_and(|operator| operator.eq_ignore_ascii_case("AND")),
            controls: texts("builtInControls").iter().map(|word| Control::read(word)).collect(),
            strength: strength.and_then(Document::from_json).map(AuthenticationStrength::from_document),
            terms: texts("termsOfUse"),
            custom: texts("customAuthenticationFactors"),
        })
    }
}

const POLICIES: &str = "identity/conditionalAccess/policies";

impl Graph {
    /// All Conditional Access policies.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::ACCESS_READ`].
    pub fn conditional_access_policies(&self) -> Result<Vec<ConditionalAccessPolicy>, GraphError> {
        let url = self.url(ApiVersion::V1, POLICIES)?;
        let request = Request::get(url, "list the Conditional Access policies").needing(&rights::ACCESS_READ).paced();
        Ok(self.documents(request.all_words())?.into_iter().map(ConditionalAccessPolicy).collect())
    }

    /// One policy.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn conditional_access_policy(&self, id: &str) -> Result<ConditionalAccessPolicy, GraphError> {
        let request = Request::get(self.policy_url(id)?, "read a Conditional Access policy");
        let request = request.needing(&rights::ACCESS_READ).paced().all_words();
        self.document(&request).map(ConditionalAccessPolicy)
    }

    /// Makes a policy. An authentication strength goes by its id alone.
    ///
    /// # Errors
    /// [`super::ErrorKind::Unknown`] when it may have been made: list before repeating.
    pub fn create_conditional_access_policy(
        &self,
        new: &Document,
    ) -> Result<Written<ConditionalAccessPolicy>, GraphError> {
        let doing = format!("make the Conditional Access policy {}", named(new));
        let request = Request::post(self.url(ApiVersion::V1, POLICIES)?, new.to_json(), doing);
        Ok(self
            .write_document(&request.needing(&rights::ACCESS_WRITE).refused(rights::look::ACCESS).paced())?
            .map(ConditionalAccessPolicy))
    }

    /// Changes a policy.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn change_conditional_access_policy(&self, id: &str, change: &Document) -> Result<Written<()>, GraphError> {
        let request = Request::patch(self.policy_url(id)?, change.to_json(), "change a Conditional Access policy");
        self.write_only(&request.needing(&rights::ACCESS_WRITE).refused(rights::look::ACCESS).paced())
    }

    /// Deletes a policy; Entra keeps it for 30 days under deleted items.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn delete_conditional_access_policy(&self, id: &str) -> Result<Written<()>, GraphError> {
        let request = Request::delete(self.policy_url(id)?, "delete a Conditional Access policy");
        self.write_only(&request.needing(&rights::ACCESS_WRITE).refused(rights::look::ACCESS).paced())
    }

    fn policy_url(&self, id: &str) -> Result<url::Url, GraphError> {
        self.url(ApiVersion::V1, &format!("{POLICIES}/{}", escape(id)))
    }
}
