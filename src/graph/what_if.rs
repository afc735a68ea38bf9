//! What Conditional Access would do: `POST /identity/conditionalAccess/evaluate`, without anybody signing in.
//!
//! Source: Microsoft Graph, `conditionalAccessRoot: evaluate`. A condition that is not told makes policies with such a condition
//! undecidable, so tell the country and the address people will come from.

use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::conditional_access::ConditionalAccessPolicy;
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::Request;
use super::rights;
use crate::model::UserId;

/// What somebody is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undertaking {
    /// Register security information.
    RegisterSecurityInformation,
    /// Register or join a device.
    RegisterOrJoinDevice,
    /// Sign in to these apps, by app id or `All`.
    SignIn(Vec<String>),
}

/// From where, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// The address Entra will see.
    pub address: Option<std::net::IpAddr>,
    /// `windows`, `macOS`, `iOS`, `android`, `linux`.
    pub platform: Option<String>,
    /// `browser`, `mobileAppsAndDesktopClients`.
    pub client: Option<String>,
    /// Whether the device is compliant.
    pub compliant: Option<bool>,
}

documents!(
    /// One policy, and whether it applies.
    WhatIf
);

impl WhatIf {
    /// Whether it applies.
    pub fn applies(&self) -> bool {
        self.0.member("policyApplies").as_bool().unwrap_or(false)
    }

    /// Why not, in Graph's words such as `users`, `location`, `policyNotEnabled`, `notEnoughInformation`; empty when it applies.
    pub fn reasons(&self) -> Vec<&str> {
        let words = self.0.text("/analysisReasons").unwrap_or("").split(',').map(str::trim);
        words.filter(|word| !word.is_empty() && *word != "notSet").collect()
    }

    /// The policy. A strength it demands is told whole here.
    pub fn policy(&self) -> ConditionalAccessPolicy {
        ConditionalAccessPolicy::from_document(self.0.clone().without("policyApplies").without("analysisReasons"))
    }
}

fn question(user: &UserId, doing: &Undertaking, at: &Circumstances, applied_only: bool) -> Value {
    let context = match doing {
        Undertaking::RegisterSecurityInformation => json!({
            "@odata.type": "#microsoft.graph.userActionContext", "userAction": "registerSecurityInformation",
        }),
        Undertaking::RegisterOrJoinDevice => json!({
            "@odata.type": "#microsoft.graph.userActionContext", "userAction": "registerOrJoinDevices",
        }),
        Undertaking::SignIn(apps) => json!({
            "@odata.type": "#microsoft.graph.applicationContext", "includeApplications": apps,
        }),
    };
    let mut conditions = Document::new();
    let told = [
        ("devicePlatform", at.platform.clone()),
        ("clientAppType", at.client.clone()),
        ("country", at.country.clone()),
        ("ipAddress", at.address.map(|address| address.to_string())),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            conditions = conditions.with(name, value);
        }
    }
    if let Some(compliant) = at.compliant {
        conditions = conditions.with("deviceInfo", json!({ "isCompliant": compliant }));
    }
    json!({
        "signInIdentity": { "@odata.type": "#microsoft.graph.userSignIn", "userId": user.as_str() },
        "signInContext": context,
        "signInConditions": conditions.into_json(),
        "appliedPoliciesOnly": applied_only,
    })
}

impl Graph {
    /// Which policies would apply to a person who does this, and what they demand. `applied_only` leaves the others out.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::WHAT_IF`].
    pub fn what_if(
        &self,
        user: &UserId,
        doing: &Undertaking,
        at: &Circumstances,
        applied_only: bool,
    ) -> Result<Vec<WhatIf>, GraphError> {
        let url = self.url(ApiVersion::V1, "identity/conditionalAccess/evaluate")?;
        let body = question(user, doing, at, applied_only);
        let request = Request::post(url, body, "ask what Conditional Access would do").asks();
        let request = request.needing(&rights::WHAT_IF).refused(rights::look::WHAT_IF).paced().all_words();
        Ok(self.documents(request)?.into_iter().map(WhatIf).collect())
    }
}
