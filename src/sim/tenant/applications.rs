//! App registrations: made, checked, and listed. Modelled on Microsoft Graph v1.0 "Create application" and "Create servicePrincipal".
//! Strict: closed types, permission ids that exist (`fixtures/sim/tenant/permission-ids.json`), redirect URIs as the platform allows them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::access::Caller;
use super::errors;
use super::http::{Answer, Call, Version};
use super::route::Kind;
use super::store::Store;

const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
const MEMBERS: [&str; 6] =
    ["displayName", "signInAudience", "isFallbackPublicClient", "publicClient", "requiredResourceAccess", "notes"];
const AUDIENCES: [&str; 4] =
    ["AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"];

/// A call about app registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AppCall {
    Create,
    CreatePrincipal,
}

impl AppCall {
    /// The call of a path; `Some(None)` where the path is one of ours and the method is not.
    pub(super) fn of(method: &str, segments: &[&str]) -> Option<Option<Self>> {
        let call = match segments {
            ["applications"] => Self::Create,
            ["serviceprincipals"] => Self::CreatePrincipal,
            _ => return None,
        };
        Some((method == "POST").then_some(call))
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::Applications
    }
}

/// Answers one call.
pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    what: &AppCall,
    call: &Call,
) -> Result<Answer, Answer> {
    const ROLES: [&str; 4] = [
        "Application Developer",
        "Application Administrator",
        "Cloud Application Administrator",
        "Global Administrator",
    ];
    let role = caller.user.as_ref().is_none_or(|user| {
        store.person(user).is_some_and(|person| person.roles.iter().any(|role| ROLES.contains(&role.as_str())))
    });
    if !role || !caller.has(&["Application.ReadWrite.All"]) {
        return Err(errors::insufficient_privileges());
    }
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|_| errors::graph(400, "BadRequest", "Unable to read JSON request payload."))?;
    let body =
        body.as_object().ok_or_else(|| errors::graph(400, "BadRequest", "Empty Payload. JSON content expected."))?;
    match what {
        AppCall::Create => create(store, version, body),
        AppCall::CreatePrincipal => create_principal(store, version, body),
    }
}

fn wrong(message: impl AsRef<str>) -> Answer {
    errors::bad_request(message)
}

fn known_members(body: &Map<String, Value>, known: &[&str], kind: &str) -> Result<(), Answer> {
    match body.keys().find(|name| !known.contains(&name.as_str()) && !name.starts_with("@odata.")) {
        Some(name) => Err(wrong(format!("A property '{name}' does not exist on type 'microsoft.graph.{kind}'."))),
        None => Ok(()),
    }
}

fn create(store: &mut Store, version: Version, body: &Map<String, Value>) -> Result<Answer, Answer> {
    known_members(body, &MEMBERS, "application")?;
    let name = body.get("displayName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("One or more property values specified are invalid: displayName."))?;
    if name.chars().count() > 256 {
        return Err(wrong("Property displayName is longer than 256 characters."));
    }
    if let Some(audience) = body.get("signInAudience")
        && !audience.as_str().is_some_and(|audience| AUDIENCES.contains(&audience))
    {
        return Err(wrong("Property signInAudience is invalid."));
    }
    if let Some(public) = body.get("publicClient") {
        let public = public.as_object().ok_or_else(|| wrong("Property publicClient is invalid."))?;
        known_members(public, &["redirectUris"], "publicClientApplication")?;
        for uri in public.get("redirectUris").and_then(Value::as_array).into_iter().flatten() {
            let uri = uri.as_str().unwrap_or_default();
            // The portal and the API refuse a loopback address by number here; it takes the manifest.
            let fits = uri == "http://localhost" || uri.starts_with("https://") || uri.starts_with("ms-appx-web://");
            if !fits {
                return Err(wrong(format!("Invalid value specified for property 'redirectUris': {uri}")));
            }
        }
    }
    for resource in body.get("requiredResourceAccess").and_then(Value::as_array).into_iter().flatten() {
        check_access(resource)?;
    }
    let (id, app_id) = (store.fresh_guid("application object"), store.fresh_guid("application"));
    let mut made = body.clone();
    made.insert("id".into(), id.into());
    made.insert("appId".into(), app_id.into());
    made.insert(
        "@odata.context".into(),
        format!("{}/{}/$metadata#applications/$entity", store.base, version.name()).into(),
    );
    store.applications.push(Value::Object(made.clone()));
    Ok(Answer::json(201, Value::Object(made)))
}

fn check_access(resource: &Value) -> Result<(), Answer> {
    let entries = resource.as_object().ok_or_else(|| wrong("Property requiredResourceAccess is invalid."))?;
    known_members(entries, &["resourceAppId", "resourceAccess"], "requiredResourceAccess")?;
    if resource["resourceAppId"] != GRAPH {
        return Err(wrong("Property resourceAppId names no application known here."));
    }
    // infallible: a file of this repository, read by every test that gets here
    let known: BTreeMap<String, [String; 2]> =
        serde_json::from_str(include_str!("../../../fixtures/sim/tenant/permission-ids.json")).unwrap_or_default();
    let accesses = resource["resourceAccess"].as_array().filter(|list| !list.is_empty());
    for access in accesses.ok_or_else(|| wrong("Property resourceAccess must not be empty."))? {
        let members = access.as_object().ok_or_else(|| wrong("Property resourceAccess is invalid."))?;
        known_members(members, &["id", "type"], "resourceAccess")?;
        let index = match access["type"].as_str() {
            Some("Scope") => 0,
            Some("Role") => 1,
            _ => return Err(wrong("Property type of resourceAccess must be Scope or Role.")),
        };
        let id = access["id"].as_str().unwrap_or_default();
        if id.is_empty() || !known.values().any(|ids| ids.get(index).is_some_and(|known| known == id)) {
            return Err(wrong(format!("Permission entry '{id}' of that type does not exist on the resource {GRAPH}.")));
        }
    }
    Ok(())
}

fn create_principal(store: &mut Store, version: Version, body: &Map<String, Value>) -> Result<Answer, Answer> {
    known_members(body, &["appId", "tags"], "servicePrincipal")?;
    let app_id = body.get("appId").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !store.applications.iter().any(|app| app["appId"] == app_id.as_str()) {
        return Err(wrong(format!(
            "When using this permission, the backing application of the service principal being created must in the local tenant: {app_id}"
        )));
    }
    let id = store.fresh_guid("service principal object");
    let context = format!("{}/{}/$metadata#servicePrincipals/$entity", store.base, version.name());
    Ok(Answer::json(201, json!({ "@odata.context": context, "id": id, "appId": app_id })))
}
