//! What people can sign in with, as Graph lists it: `authentication/methods`.
//!
//! Promise: one person whose methods may not be looked at hides nobody else's. Beta tells more than v1.0: when a method was last
//! used, hardware tokens, and phone sign-in apart from the app's other uses.

use jiff::Timestamp;

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights::Rights;
use super::sign_in_methods::MethodKind;
use crate::model::UserId;

documents!(
    /// A method of any kind; `@odata.type` tells which.
    AuthenticationMethod
);

impl AuthenticationMethod {
    /// What it is.
    pub fn kind(&self) -> MethodKind {
        MethodKind::of(self.0.text("/@odata.type").unwrap_or(""))
    }

    /// A Temporary Access Pass that works, or will: all but those that are over.
    pub fn is_live_pass(&self) -> bool {
        self.kind() == MethodKind::Pass
            && !matches!(self.0.text("/methodUsabilityReason"), Some("Expired" | "OneTimeUsed"))
    }

    /// Its last use, where beta tells it.
    pub fn last_used(&self) -> Option<Timestamp> {
        self.0.text("/lastUsedDateTime").and_then(|text| text.parse().ok())
    }
}

/// Read everybody's methods.
const METHODS_OF_PEOPLE: Rights = Rights {
    scopes: &["UserAuthenticationMethod.Read.All"],
    roles: &["Authentication Administrator", "Privileged Authentication Administrator", "Global Reader"],
    licence: None,
};

/// Read everybody's passkeys.
const PASSKEYS_OF_PEOPLE: Rights = Rights { scopes: &["UserAuthMethod-Passkey.Read.All"], ..METHODS_OF_PEOPLE };

/// One person's methods, or why they are not told.
pub type MethodsOfOne = Result<Vec<AuthenticationMethod>, GraphError>;

impl Graph {
    /// Each person's methods, in their order, twenty people in a request.
    ///
    /// # Errors
    /// When the batch itself fails; a refusal that is about one person stands in that person's place.
    pub fn methods_of_each(&self, api: ApiVersion, users: &[UserId]) -> Result<Vec<MethodsOfOne>, GraphError> {
        self.list_of_each(api, users, "methods", "list the sign-in methods of people", &METHODS_OF_PEOPLE)
    }

    /// Each person's passkeys, in their order, twenty people in a request. They carry no `@odata.type`.
    ///
    /// # Errors
    /// As [`Self::methods_of_each`].
    pub fn passkeys_of_each(&self, users: &[UserId]) -> Result<Vec<MethodsOfOne>, GraphError> {
        self.list_of_each(ApiVersion::V1, users, "fido2Methods", "list the passkeys of people", &PASSKEYS_OF_PEOPLE)
    }

    fn list_of_each(
        &self,
        api: ApiVersion,
        users: &[UserId],
        list: &str,
        doing: &str,
        rights: &'static Rights,
    ) -> Result<Vec<MethodsOfOne>, GraphError> {
        let path = |user: &UserId| format!("/users/{}/authentication/{list}", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut all = Vec::with_capacity(users.len());
        for answer in self.batch_on(api, &parts, doing)? {
            let of_one = answer.needing(rights).into_object(doing).and_then(|page| {
                let next = Request::get(self.url(api, "")?, doing);
                let items = self.rest_of_collection(page, next)?;
                Ok(items.into_iter().filter_map(Document::from_json).map(AuthenticationMethod).collect())
            });
            all.push(of_one);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn method(json: Value) -> AuthenticationMethod {
        AuthenticationMethod(Document::from_json(json).expect("an object"))
    }

    #[test]
    fn a_spent_pass_is_no_open_door() {
        let pass = |reason: Value| {
            let kind = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";
            method(json!({ "@odata.type": kind, "id": "p", "methodUsabilityReason": reason })).is_live_pass()
        };
        assert!(!pass(json!("Expired")) && !pass(json!("OneTimeUsed")));
        // One that begins later, one that the policy could allow again, and one of which nothing is told.
        assert!(pass(json!("NotYetValid")) && pass(json!("DisabledByPolicy")) && pass(Value::Null));
    }

    #[test]
    fn a_kind_that_is_new_is_told_by_its_name_and_a_use_by_its_time() {
        let new = method(json!({ "@odata.type": "#microsoft.graph.brandNewAuthenticationMethod", "id": "x" }));
        assert_eq!((new.kind().word(), new.kind().is_strong()), ("brandNewAuthenticationMethod", false));
        assert_eq!((new.last_used(), new.is_live_pass()), (None, false));
        let key = method(json!({
            "@odata.type": "#microsoft.graph.fido2AuthenticationMethod", "id": "k", "lastUsedDateTime": "2026-03-01T10:00:00Z",
        }));
        assert_eq!((key.kind(), key.last_used()), (MethodKind::Passkey, "2026-03-01T10:00:00Z".parse().ok()));
    }
}
