//! What a tenant tells of its people: sign-in log, registration report, audit log, roles that could be activated.
//!
//! Modelled on: Microsoft Graph beta "List signIns" and the CSDL of `signIn`; v1.0 "List userRegistrationDetails", "List directoryAudits",
//! "unifiedRoleEligibilityScheduleInstance: filterByCurrentUser". The refusals without a licence are recorded ones:
//! 403 `Authentication_RequestFromNonPremiumTenantOrB2CTenant` for logs and reports, 400 `AadPremiumLicenseRequired` for roles.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{self, Caller};
use super::errors;
use super::http::{Answer, Call, Version};
use super::log_filter::{Compared, LogFilter};
use super::route::Kind;
use super::spec::{Premium, UserType};
use super::store::{Person, Store, seconds};
use super::users::page;

/// A call for what the tenant tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InsightCall {
    SignIns,
    Audits,
    Registrations,
    RegistrationOf(String),
    EligibleRoles,
}

impl InsightCall {
    /// The call of a path; `Some(None)` where the path is one of ours and the method is not.
    pub(super) fn of(method: &str, segments: &[&str], path: &[&str]) -> Option<Option<Self>> {
        let call = match segments {
            ["auditlogs", "signins"] => Self::SignIns,
            ["auditlogs", "directoryaudits"] => Self::Audits,
            ["reports", "authenticationmethods", "userregistrationdetails"] => Self::Registrations,
            ["reports", "authenticationmethods", "userregistrationdetails", _] => {
                Self::RegistrationOf(path.last().map(|part| (*part).to_owned()).unwrap_or_default())
            }
            [
                "rolemanagement",
                "directory",
                "roleeligibilityscheduleinstances",
                "filterbycurrentuser(on='principal')",
            ] => Self::EligibleRoles,
            _ => return None,
        };
        Some((method == "GET").then_some(call))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::SignIns => Kind::SignIns,
            Self::Audits => Kind::Audits,
            Self::Registrations | Self::RegistrationOf(_) => Kind::Registrations,
            Self::EligibleRoles => Kind::EligibleRoles,
        }
    }

    /// The person the path names, if it names one.
    pub(super) fn person(&self) -> Option<&str> {
        match self {
            Self::RegistrationOf(id) => Some(id),
            _ => None,
        }
    }
}

/// Answers one call.
pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    what: &InsightCall,
    call: &Call,
) -> Result<Answer, Answer> {
    match what {
        InsightCall::SignIns => sign_ins(store, version, caller, call),
        InsightCall::Audits => audits(store, version, caller, call),
        InsightCall::Registrations => registrations(store, version, caller, call),
        InsightCall::RegistrationOf(id) => registration_of(store, version, caller, id),
        InsightCall::EligibleRoles => eligible_roles(store, version, caller),
    }
}

const LOG_ROLES: [&str; 6] = [
    "Reports Reader",
    "Security Reader",
    "Security Operator",
    "Security Administrator",
    "Global Reader",
    "Global Administrator",
];

/// Permission, role and licence for the logs and reports.
fn may_read_logs(store: &Store, caller: &Caller, needs_premium: bool) -> Result<(), Answer> {
    if !caller.has(&["AuditLog.Read.All"]) {
        let message =
            "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All to call this API.";
        return Err(errors::graph(403, "Authentication_MSGraphPermissionMissing", message));
    }
    if let Some(user) = &caller.user {
        let roles = store.person(user).map(|person| person.roles.as_slice()).unwrap_or_default();
        if !roles.iter().any(|role| LOG_ROLES.contains(&role.as_str())) {
            return Err(errors::insufficient_privileges());
        }
    }
    if needs_premium && store.spec.premium == Premium::None {
        let message = "Neither tenant is B2C or tenant doesn't have premium license";
        return Err(errors::graph(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", message));
    }
    Ok(())
}

fn filter(call: &Call, known: &[&str]) -> Result<Option<LogFilter>, Answer> {
    let filter = call.query("$filter").map(LogFilter::parse).transpose();
    let filter = filter.map_err(|message| errors::graph(400, "BadRequest", message))?;
    if let Some(unknown) = filter.iter().flat_map(LogFilter::properties).find(|name| !known.contains(name)) {
        let message = format!("Invalid filter clause: Could not find a filterable property named '{unknown}'.");
        return Err(errors::graph(400, "BadRequest", message));
    }
    Ok(filter)
}

/// A member of a row, `a/b` for one inside another.
fn member<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(row, |value, name| &value[name])
}

fn matches(filter: Option<&LogFilter>, row: &Value) -> bool {
    filter.is_none_or(|filter| {
        filter.holds(|path| match member(row, path) {
            Value::String(text) => match text.parse::<Timestamp>() {
                Ok(time) => Compared::Time(time),
                Err(_) => Compared::Text(text.clone()),
            },
            Value::Number(number) => Compared::Number(number.as_i64().unwrap_or_default()),
            Value::Array(items) => Compared::List(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => Compared::Nothing,
        })
    })
}

/// `GET /auditLogs/signIns`. v1.0 has no details of the methods used; beta shows interactive sign-ins only, unless asked.
fn sign_ins(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    const FILTERABLE: [&str; 10] = [
        "userId",
        "userPrincipalName",
        "appId",
        "createdDateTime",
        "status/errorCode",
        "conditionalAccessStatus",
        "authenticationRequirement",
        "ipAddress",
        "correlationId",
        "signInEventTypes",
    ];
    may_read_logs(store, caller, true)?;
    let filter = filter(call, &FILTERABLE)?;
    let asks_kind = filter.as_ref().is_some_and(|filter| filter.properties().any(|name| name == "signInEventTypes"));
    let mut rows: Vec<Value> = store
        .sign_ins
        .iter()
        .filter(|row| asks_kind || row["isInteractive"] == true)
        .filter(|row| matches(filter.as_ref(), row))
        .cloned()
        .collect();
    // The newest first.
    rows.sort_by(|a, b| b["createdDateTime"].as_str().cmp(&a["createdDateTime"].as_str()));
    if version == Version::V1 {
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            for name in [
                "authenticationDetails",
                "authenticationMethodsUsed",
                "authenticationRequirement",
                "authenticationRequirementPolicies",
                "signInEventTypes",
            ] {
                row.remove(name);
            }
        }
    }
    page(store, version, "auditLogs/signIns", call, rows)
}

/// `GET /auditLogs/directoryAudits`. Needs no licence; how long rows are kept depends on it.
fn audits(store: &mut Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    const FILTERABLE: [&str; 5] =
        ["category", "loggedByService", "activityDisplayName", "activityDateTime", "correlationId"];
    may_read_logs(store, caller, false)?;
    let filter = filter(call, &FILTERABLE)?;
    let now = store.now();
    store.audits.ask(now)?;
    let rows = store.audits.kept(now).filter(|row| matches(filter.as_ref(), row)).cloned().collect();
    page(store, version, "auditLogs/directoryAudits", call, rows)
}

/// A person's row; disabled accounts have none.
fn registration(person: &Person) -> Option<Value> {
    if !person.enabled {
        return None;
    }
    let mut methods: Vec<String> = Vec::new();
    if person.methods.iter().any(|method| !method.synced) {
        methods.push("passKeyDeviceBound".into());
    }
    if person.methods.iter().any(|method| method.synced) {
        methods.push("passKeySynced".into());
    }
    methods.extend(person.registered.iter().cloned());
    let strong = |name: &String| {
        name.starts_with("passKey") || name == "windowsHelloForBusiness" || name == "microsoftAuthenticatorPasswordless"
    };
    let passwordless = methods.iter().any(strong);
    let multifactor = methods.iter().any(|name| {
        strong(name)
            || name.starts_with("microsoftAuthenticator")
            || name.ends_with("Passcode")
            || name.ends_with("Phone")
    });
    Some(json!({
        "id": person.id,
        "userPrincipalName": person.upn,
        "userDisplayName": person.display_name,
        "userType": if person.user_type == UserType::Guest { "guest" } else { "member" },
        "isAdmin": !person.roles.is_empty(),
        "isSsprRegistered": person.sspr && multifactor,
        "isSsprEnabled": person.sspr,
        "isSsprCapable": person.sspr && multifactor,
        "isMfaRegistered": multifactor,
        "isMfaCapable": multifactor,
        "isPasswordlessCapable": passwordless,
        "methodsRegistered": methods,
        "isSystemPreferredAuthenticationMethodEnabled": true,
        "systemPreferredAuthenticationMethods": [],
        "userPreferredMethodForSecondaryAuthentication": "none",
        "lastUpdatedDateTime": "2026-09-02T02:00:00Z",
    }))
}

/// `GET /reports/authenticationMethods/userRegistrationDetails`. `$filter`, `$orderby` and `$top`, and nothing else.
fn registrations(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    may_read_logs(store, caller, true)?;
    if let Some((name, _)) =
        call.query.iter().find(|(name, _)| !["$filter", "$orderby", "$top", "$skiptoken"].contains(&name.as_str()))
    {
        return Err(errors::graph(400, "BadRequest", format!("The query parameter '{name}' is not supported.")));
    }
    let filter = filter(call, &["id", "userPrincipalName", "isAdmin", "isMfaRegistered"])?;
    let rows = store.people.iter().filter_map(registration).filter(|row| matches(filter.as_ref(), row)).collect();
    page(store, version, "reports/authenticationMethods/userRegistrationDetails", call, rows)
}

fn registration_of(store: &Store, version: Version, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    may_read_logs(store, caller, true)?;
    // By object id only.
    let row = store.people.iter().find(|person| person.id == id.to_lowercase()).and_then(registration);
    let mut row =
        row.ok_or_else(|| errors::graph(404, "ResourceNotFound", "The user's registration details were not found."))?;
    let context = format!(
        "{}/{}/$metadata#reports/authenticationMethods/userRegistrationDetails/$entity",
        store.base,
        version.name()
    );
    row["@odata.context"] = context.into();
    Ok(Answer::json(200, row))
}

fn eligible_roles(store: &Store, version: Version, caller: &Caller) -> Result<Answer, Answer> {
    let user = caller.user.as_deref().ok_or_else(access::me_without_person)?;
    if !caller.has(&access::ROLE_READ) && !caller.has(&["RoleEligibilitySchedule.Read.Directory"]) {
        return Err(errors::graph(
            403,
            "PermissionScopeNotGranted",
            "Authorization failed due to missing permission scope RoleEligibilitySchedule.Read.Directory,RoleManagement.Read.Directory.",
        ));
    }
    if store.spec.premium != Premium::P2 {
        let message = "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
        return Err(errors::graph(400, "AadPremiumLicenseRequired", message));
    }
    let roles = store.person(user).map(|person| person.eligible_roles.as_slice()).unwrap_or_default();
    let rows: Vec<Value> = roles
        .iter()
        .map(|name| {
            let template = access::role_template(name).unwrap_or_default();
            json!({
                "id": store.seed.guid(&format!("eligible {user} {name}")),
                "principalId": user,
                "roleDefinitionId": template,
                "directoryScopeId": "/",
                "appScopeId": null,
                "startDateTime": "2026-01-01T00:00:00Z",
                "endDateTime": null,
                "memberType": "Direct",
                "roleEligibilityScheduleId": store.seed.guid(&format!("schedule {user} {name}")),
                "roleDefinition": { "id": template, "templateId": template, "displayName": name, "isBuiltIn": true },
            })
        })
        .collect();
    let context =
        format!("{}/{}/$metadata#Collection(unifiedRoleEligibilityScheduleInstance)", store.base, version.name());
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": rows })))
}

/// `POST /sim/sign-in`: a person signs in. Not Graph's; it makes what the log then shows.
///
/// `{"upn", "with": "passkey"|"pass"|"password"|"authenticator", "credential": id, "error": 0, "interrupted": true, "app": name,
/// "reason": text}`; all but `upn` may be left out. `credential` is the method's id; without it the person's newest passkey.
pub(super) fn person_signs_in(store: &mut Store, what: &Value) -> Result<Value, String> {
    const MEMBERS: [&str; 7] = ["upn", "with", "credential", "error", "interrupted", "app", "reason"];
    let members = what.as_object().ok_or("a sign-in is an object")?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(format!("there is no member `{unknown}`"));
    }
    let upn = what["upn"].as_str().ok_or("`upn` is missing")?;
    let now = store.now();
    let error = what["error"].as_i64().unwrap_or(0);
    let with = what["with"].as_str().unwrap_or("passkey").to_owned();
    let (id, upn, name, key) = {
        let person = store.person(upn).ok_or_else(|| format!("there is nobody called {upn}"))?;
        let key = match what["credential"].as_str() {
            Some(id) => {
                Some(person.methods.iter().find(|method| method.id == id).ok_or("the person has no such passkey")?)
            }
            None => person.methods.last(),
        };
        let key = key.map(|method| (method.id.clone(), method.display_name.clone()));
        (person.id.clone(), person.upn.clone(), person.display_name.clone(), key)
    };
    let (method, detail) = match with.as_str() {
        "passkey" => {
            let (_, name) = key.as_ref().ok_or("the person has no passkey")?;
            ("Passkey (device-bound)", name.clone().unwrap_or_default())
        }
        "pass" => ("Temporary Access Pass", String::new()),
        "password" => ("Password", "Password in the cloud".to_owned()),
        "authenticator" => ("Mobile app notification", String::new()),
        other => return Err(format!("nobody signs in with `{other}`")),
    };
    if with == "passkey" && error == 0 {
        let wanted = key.map(|(id, _)| id);
        for method in store.person_mut(&id).into_iter().flat_map(|person| &mut person.methods) {
            if Some(&method.id) == wanted.as_ref() {
                method.last_used = Some(now);
            }
        }
    }
    let correlation = store.fresh_guid("sign-in correlation");
    let app = what["app"].as_str().unwrap_or("My Signins").to_owned();
    let reason = what["reason"].as_str().unwrap_or(if error == 0 { "Other." } else { "Simulated failure." }).to_owned();
    let mut row = |error: i64, reason: &str, steps: Value, at: Timestamp| {
        json!({
            "id": store.fresh_guid("sign-in"),
            "createdDateTime": seconds(at),
            "userPrincipalName": upn.to_lowercase(),
            "userDisplayName": name,
            "userId": id,
            "appDisplayName": app,
            "appId": "19db86c3-b2b9-44cc-b339-36da233a3be2",
            "ipAddress": "192.0.2.7",
            "location": { "city": "Utrecht", "state": "Utrecht", "countryOrRegion": "NL" },
            "deviceDetail": { "deviceId": "", "displayName": "", "operatingSystem": "Windows11", "browser": "Edge 141.0.0" },
            "isInteractive": true,
            "signInEventTypes": ["interactiveUser"],
            "clientAppUsed": "Browser",
            "correlationId": correlation,
            "conditionalAccessStatus": if error == 53_003 { "failure" } else { "success" },
            "authenticationRequirement": "multiFactorAuthentication",
            "authenticationRequirementPolicies": [{ "requirementProvider": "multiConditionalAccess", "detail": "Conditional Access" }],
            "authenticationMethodsUsed": [],
            "authenticationDetails": steps,
            "status": { "errorCode": error, "failureReason": reason, "additionalDetails": null },
        })
    };
    let step = json!([{
        "authenticationStepDateTime": seconds(now),
        "authenticationMethod": method,
        "authenticationMethodDetail": detail,
        "succeeded": error == 0,
        "authenticationStepResultDetail": if error == 0 { "MFA requirement satisfied by strong authentication" } else { "Authentication failed" },
        "authenticationStepRequirement": "Primary authentication",
    }]);
    let mut rows = Vec::new();
    if what["interrupted"] == true {
        // As Entra logs the page in between: the same correlation id, a row that looks like a failure.
        let earlier = now.saturating_add(jiff::SignedDuration::from_secs(-20)).unwrap_or(now);
        rows.push(row(50_074, "Strong Authentication is required.", json!([]), earlier));
    }
    rows.push(row(error, &reason, step, now));
    let count = rows.len();
    store.sign_ins.extend(rows);
    Ok(json!({ "rows": count }))
}

/// The methods that a person has beside passkeys and password, as the list of all methods shows them.
pub(super) fn other_methods(store: &Store, version: Version, person: &Person) -> Vec<Value> {
    let shown = person.registered.iter().filter_map(|name| {
        let (kind, more) = match name.as_str() {
            "microsoftAuthenticatorPush" | "microsoftAuthenticatorPasswordless" => {
                ("microsoftAuthenticatorAuthenticationMethod", json!({ "displayName": "Phone", "deviceTag": "SoftwareTokenActivated", "phoneAppVersion": "6.2509.1" }))
            }
            "mobilePhone" => ("phoneAuthenticationMethod", json!({ "phoneNumber": "+1 5555550100", "phoneType": "mobile", "smsSignInState": "notAllowedByPolicy" })),
            "softwareOneTimePasscode" => ("softwareOathAuthenticationMethod", json!({ "secretKey": null })),
            "windowsHelloForBusiness" => ("windowsHelloForBusinessAuthenticationMethod", json!({ "displayName": "LAPTOP-1", "keyStrength": "normal" })),
            "email" => ("emailAuthenticationMethod", json!({ "emailAddress": "private@example.org" })),
            "temporaryAccessPass" => ("temporaryAccessPassAuthenticationMethod", json!({
                "temporaryAccessPass": null, "startDateTime": "2026-01-01T00:00:00Z", "lifetimeInMinutes": 60, "isUsableOnce": false,
                "isUsable": true, "methodUsabilityReason": "EnabledByPolicy",
            })),
            // The report knows names that the list of methods has no counterpart for.
            _ => return None,
        };
        let mut method = json!({
            "@odata.type": format!("#microsoft.graph.{kind}"),
            "id": store.seed.guid(&format!("{name} of {}", person.id)),
            "createdDateTime": "2026-01-05T08:00:00Z",
        });
        if let (Some(method), Value::Object(more)) = (method.as_object_mut(), more) {
            method.extend(more);
            if version == Version::Beta {
                method.insert("lastUsedDateTime".into(), Value::Null);
            }
        }
        Some(method)
    });
    shown.collect()
}
