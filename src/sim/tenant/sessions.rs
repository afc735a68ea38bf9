//! `POST /users/{id}/revokeSignInSessions`.

use serde_json::json;

use super::access::Caller;
use super::errors;
use super::http::{Answer, Version};
use super::route::Who;
use super::store::Store;

/// Either of these.
const MAY: [&str; 3] = ["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];

/// Signs a person out everywhere: tokens that the tenant gave to them are void.
///
/// # Errors
/// 403 without the permission, 404 for nobody.
pub(super) fn revoke(store: &mut Store, version: Version, caller: &Caller, who: &Who) -> Result<Answer, Answer> {
    if !caller.has(&MAY) {
        return Err(errors::access_denied());
    }
    let Who::Named(name) = who else { return Err(errors::access_denied()) };
    let id = store.person(name).map(|person| person.id.clone()).ok_or_else(|| errors::no_such_resource(name))?;
    for token in store.tokens.values_mut().filter(|token| token.user.as_deref() == Some(id.as_str())) {
        token.revoked = true;
    }
    store.signed_out.push(id);
    let context = format!("{}/{}/$metadata#Edm.Boolean", store.base, version.name());
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": true })))
}
