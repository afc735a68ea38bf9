//! What people have registered: the tenant's registration report, and every method of each person.
//!
//! The report (v1.0, "List userRegistrationDetails") is late by hours, needs Entra ID P1, and has no row for a disabled account; the
//! methods (beta, "List methods", for `lastUsedDateTime`) are the truth of this moment.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, GraphError, one_line};
use super::http::{Request, escape};
use super::report_pace::ReportPace;
use super::sign_ins::explained;
use crate::model::UserId;

/// A person's row of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// May use self-service password reset.
    pub sspr_enabled: Option<bool>,
    /// Has registered a method for multifactor authentication.
    pub mfa_registered: Option<bool>,
    /// Has such a method, and the policy allows it.
    pub mfa_capable: Option<bool>,
    /// Could sign in without a password.
    pub passwordless_capable: Option<bool>,
    /// The report's names of the methods.
    pub methods: Vec<String>,
}

impl Registration {
    fn from_json(json: &Value) -> Self {
        let list = json["methodsRegistered"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            sspr_enabled: json["isSsprEnabled"].as_bool(),
            mfa_registered: json["isMfaRegistered"].as_bool(),
            mfa_capable: json["isMfaCapable"].as_bool(),
            passwordless_capable: json["isPasswordlessCapable"].as_bool(),
            methods: list.iter().filter_map(Value::as_str).map(|name| one_line(name, 60)).collect(),
        }
    }
}

/// A sign-in method of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMethod {
    /// Its type without Microsoft's prefix and suffix, e.g. `fido2`, `temporaryAccessPass`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// A Temporary Access Pass that works, or will.
    pub live_pass: bool,
    /// Its last use, where beta tells it.
    pub last_used: Option<Timestamp>,
}

impl HeldMethod {
    fn from_json(json: &Value) -> Option<Self> {
        let kind = json["@odata.type"].as_str()?.trim_start_matches("#microsoft.graph.");
        let kind = kind.strip_suffix("AuthenticationMethod").unwrap_or(kind).to_owned();
        let spent = matches!(json["methodUsabilityReason"].as_str(), Some("Expired" | "OneTimeUsed"));
        Some(Self {
            live_pass: kind == "temporaryAccessPass" && !spent,
            kind: one_line(&kind, 60),
            id: one_line(json["id"].as_str().unwrap_or(""), 200),
            last_used: json["lastUsedDateTime"].as_str().and_then(|text| text.parse().ok()),
        })
    }

    /// Whether it stands up to phishing, or at least is something the person has: what a second authenticator may be.
    pub fn is_strong(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "fido2"
                | "windowsHelloForBusiness"
                | "platformCredential"
                | "microsoftAuthenticator"
                | "passwordlessMicrosoftAuthenticator"
                | "x509Certificate"
                | "hardwareOath"
        )
    }
}

/// Up to so many people are asked for one by one; for more the whole report is read.
const ONE_BY_ONE: usize = 5;

impl Graph {
    /// The report's rows of these people. Whoever has none is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without permission, role or licence ([`super::sign_ins::is_unlicensed`]).
    pub fn registrations(
        &self,
        users: &[UserId],
        pace: &ReportPace,
    ) -> Result<HashMap<UserId, Registration>, GraphError> {
        let doing = "read the registration report";
        let mut found = HashMap::new();
        if users.len() <= ONE_BY_ONE {
            for user in users {
                pace.wait(self, doing)?;
                let path = format!("reports/authenticationMethods/userRegistrationDetails/{}", escape(user.as_str()));
                match self.object(&Request::get(self.url(ApiVersion::V1, &path)?, doing)) {
                    Ok(row) => drop(found.insert(user.clone(), Registration::from_json(&row))),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(explained(error)),
                }
            }
            return Ok(found);
        }
        pace.wait(self, doing)?;
        let url = self.url(ApiVersion::V1, "reports/authenticationMethods/userRegistrationDetails?$top=999")?;
        let wanted: std::collections::HashSet<&UserId> = users.iter().collect();
        for row in self.collection(Request::get(url, doing)).map_err(explained)? {
            let Some(id) = row["id"].as_str() else { continue };
            let id = UserId::new(id.to_ascii_lowercase());
            if wanted.contains(&id) {
                found.insert(id, Registration::from_json(&row));
            }
        }
        Ok(found)
    }

    /// Every sign-in method of each person, in the people's order; `None` for a person who isn't there any more.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without `UserAuthenticationMethod.Read.All`.
    pub fn held_methods(&self, users: &[UserId]) -> Result<Vec<Option<Vec<HeldMethod>>>, GraphError> {
        let doing = "list what people can sign in with";
        let path = |user: &UserId| format!("/users/{}/authentication/methods", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut all = Vec::with_capacity(users.len());
        for answer in self.batch_on(ApiVersion::Beta, &parts, doing)? {
            if answer.is_not_found() {
                all.push(None);
                continue;
            }
            let page = answer.into_object(doing)?;
            let next = Request::get(self.url(ApiVersion::Beta, "")?, doing);
            let methods = self.rest_of_collection(page, next)?;
            all.push(Some(methods.iter().filter_map(HeldMethod::from_json).collect()));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_reports_row_is_read() {
        let page: Value =
            serde_json::from_str(include_str!("../../fixtures/graph/registration-details.json")).expect("JSON");
        let row = Registration::from_json(&page["value"][0]);
        assert_eq!((row.sspr_enabled, row.mfa_registered), (Some(false), Some(true)));
        assert_eq!(row.methods, ["passKeyDeviceBound"]);
        assert_eq!(Registration::from_json(&json!({})), Registration::default());
    }

    #[test]
    fn a_spent_pass_is_no_open_door() {
        let pass = |reason: Value| {
            HeldMethod::from_json(&json!({"@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod", "id": "p", "methodUsabilityReason": reason}))
                .expect("a method")
        };
        assert!(!pass(json!("Expired")).live_pass && !pass(json!("OneTimeUsed")).live_pass);
        // One that begins later, one that the policy could allow again, and one of which nothing is told.
        assert!(
            pass(json!("NotYetValid")).live_pass
                && pass(json!("DisabledByPolicy")).live_pass
                && pass(Value::Null).live_pass
        );
        let other =
            HeldMethod::from_json(&json!({"@odata.type": "#microsoft.graph.brandNewAuthenticationMethod", "id": "x"}))
                .expect("a method");
        assert_eq!((other.kind.as_str(), other.is_strong()), ("brandNew", false));
    }
}
