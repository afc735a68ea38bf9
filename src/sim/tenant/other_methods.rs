//! Methods beside passkeys, passes and tokens: shown, and taken away.
//!
//! From Microsoft's pages: the types and their members, a permission of its own for each, no deletion of a password. Guessed: that a
//! default method can't go while there are others.

use serde_json::{Value, json};

use super::access::{Act, Caller};
use super::accounts::{Scopes, no_such_method, target};
use super::errors;
use super::http::Answer;
use super::route::Who;
use super::spec::{MethodKind, MethodSpec};
use super::store::{Store, seconds};

/// A method in the directory.
#[derive(Debug, Clone)]
pub(super) struct OtherMethod {
    pub(super) id: String,
    pub(super) spec: MethodSpec,
    pub(super) created: jiff::Timestamp,
}

/// The type, and the collection in lower case.
fn names(kind: MethodKind) -> (&'static str, &'static str) {
    match kind {
        MethodKind::Phone => ("phone", "phonemethods"),
        MethodKind::Email => ("email", "emailmethods"),
        MethodKind::Authenticator => ("microsoftAuthenticator", "microsoftauthenticatormethods"),
        MethodKind::SoftwareOath => ("softwareOath", "softwareoathmethods"),
        MethodKind::WindowsHello => ("windowsHelloForBusiness", "windowshelloforbusinessmethods"),
        MethodKind::PlatformCredential => ("platformCredential", "platformcredentialmethods"),
    }
}

fn scopes(kind: MethodKind) -> &'static [&'static str] {
    const ALL: &str = "UserAuthenticationMethod.ReadWrite.All";
    match kind {
        MethodKind::Phone => &["UserAuthMethod-Phone.ReadWrite.All", ALL],
        MethodKind::Email => &["UserAuthMethod-Email.ReadWrite.All", ALL],
        MethodKind::Authenticator => &["UserAuthMethod-MicrosoftAuthApp.ReadWrite.All", ALL],
        MethodKind::SoftwareOath => &["UserAuthMethod-SoftwareOATH.ReadWrite.All", ALL],
        MethodKind::WindowsHello => &["UserAuthMethod-WindowsHello.ReadWrite.All", ALL],
        MethodKind::PlatformCredential => &["UserAuthMethod-PlatformCred.ReadWrite.All", ALL],
    }
}

/// The kind of a collection.
pub(super) fn kind_of(set: &str) -> Option<MethodKind> {
    MethodKind::ALL.into_iter().find(|kind| names(*kind).1 == set)
}

pub(super) fn as_json(method: &OtherMethod) -> Value {
    let mut value = json!({
        "@odata.type": format!("#microsoft.graph.{}AuthenticationMethod", names(method.spec.kind).0),
        "id": method.id,
        "createdDateTime": seconds(method.created),
    });
    let name = method.spec.name.clone();
    match method.spec.kind {
        MethodKind::Phone => {
            value["phoneNumber"] = name.into();
            value["phoneType"] = "mobile".into();
            value["smsSignInState"] = "notConfigured".into();
        }
        MethodKind::Email => value["emailAddress"] = name.into(),
        MethodKind::SoftwareOath => value["secretKey"] = Value::Null,
        MethodKind::Authenticator => {
            value["displayName"] = name.into();
            value["deviceTag"] = "SoftwareTokenActivated".into();
            value["phoneAppVersion"] = "6.2001.0140".into();
        }
        MethodKind::WindowsHello | MethodKind::PlatformCredential => {
            value["displayName"] = name.into();
            value["keyStrength"] = "normal".into();
        }
    }
    value
}

/// `DELETE …/{collection}/{id}`
pub(super) fn delete(
    store: &mut Store,
    caller: &Caller,
    who: &Who,
    kind: MethodKind,
    id: &str,
) -> Result<Answer, Answer> {
    let scopes = Scopes { write: scopes(kind), read: &[] };
    let user = target(store, caller, who, scopes, Act::Write)?.id.clone();
    let person = store.person_mut(&user).ok_or_else(no_such_method)?;
    let methods = &mut person.account.methods;
    let index = methods
        .iter()
        .position(|method| method.spec.kind == kind && method.id.eq_ignore_ascii_case(id))
        .ok_or_else(no_such_method)?;
    if methods.get(index).is_some_and(|method| method.spec.default) && methods.len() > 1 {
        return Err(errors::graph(
            400,
            "badRequest",
            "The default authentication method can't be deleted while the user has others.",
        ));
    }
    methods.remove(index);
    super::audit_log::method_changed(store, caller, &user, true, &format!("{kind:?}"));
    Ok(Answer::empty(204))
}
