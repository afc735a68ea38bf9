//! What people can sign in with, as Graph lists it: `authentication/methods`.
//!
//! Promise: one person whose methods may not be looked at hides nobody else's.

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights::Rights;
use crate::model::UserId;

documents!(
    /// A method of any kind; `@odata.type` tells which.
    AuthenticationMethod
);

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
    pub fn methods_of_each(&self, users: &[UserId]) -> Result<Vec<MethodsOfOne>, GraphError> {
        self.list_of_each(users, "methods", "list the sign-in methods of people", &METHODS_OF_PEOPLE)
    }

    /// Each person's passkeys, in their order, twenty people in a request. They carry no `@odata.type`.
    ///
    /// # Errors
    /// As [`Self::methods_of_each`].
    pub fn passkeys_of_each(&self, users: &[UserId]) -> Result<Vec<MethodsOfOne>, GraphError> {
        self.list_of_each(users, "fido2Methods", "list the passkeys of people", &PASSKEYS_OF_PEOPLE)
    }

    fn list_of_each(
        &self,
        users: &[UserId],
        list: &str,
        doing: &str,
        rights: &'static Rights,
    ) -> Result<Vec<MethodsOfOne>, GraphError> {
        let path = |user: &UserId| format!("/users/{}/authentication/{list}", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut all = Vec::with_capacity(users.len());
        for answer in self.batch(&parts, doing)? {
            let of_one = answer.needing(rights).into_object(doing).and_then(|page| {
                let next = Request::get(self.url(ApiVersion::V1, "")?, doing);
                let items = self.rest_of_collection(page, next)?;
                Ok(items.into_iter().filter_map(Document::from_json).map(AuthenticationMethod).collect())
            });
            all.push(of_one);
        }
        Ok(all)
    }
}
