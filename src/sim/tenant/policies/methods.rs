//! The authentication methods policy and its methods.

use serde_json::{Value, json};

use super::csdl::schema;
use super::refusal::{Refused, Why};
use super::{Act, No, Object, Place, PoliciesSpec, body, check_targets, entity, fido2, only_writable, shape};
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::{Person, Store, seconds};

/// A method's id and the beginning of its type.
const METHODS: [(&str, &str); 11] = [
    ("Fido2", "fido2"),
    ("MicrosoftAuthenticator", "microsoftAuthenticator"),
    ("TemporaryAccessPass", "temporaryAccessPass"),
    ("SoftwareOath", "softwareOath"),
    ("HardwareOath", "hardwareOath"),
    ("Sms", "sms"),
    ("Voice", "voice"),
    ("Email", "email"),
    ("X509Certificate", "x509Certificate"),
    ("VerifiableCredentials", "verifiableCredentials"),
    ("QRCodePin", "qrCodePin"),
];

/// Those v1.0 does not have.
const BETA_ONLY: [&str; 1] = ["HardwareOath"];

fn type_of(stem: &str) -> String {
    format!("{stem}AuthenticationMethodConfiguration")
}

fn kind_of(method: &Object) -> &str {
    let kind = method.get("@odata.type").and_then(Value::as_str).unwrap_or("");
    kind.strip_prefix("#microsoft.graph.").unwrap_or(kind)
}

fn id_of(method: &Object) -> &str {
    method.get("id").and_then(Value::as_str).unwrap_or("")
}

/// What a method is before anybody changed it.
fn default(id: &str, stem: &str) -> Object {
    let everybody = |more: Value| {
        let mut target = json!({ "targetType": "group", "id": "all_users", "isRegistrationRequired": false });
        if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
            target.extend(more);
        }
        json!([target])
    };
    let on = ["MicrosoftAuthenticator", "Email"].contains(&id);
    let mut method = json!({
        "@odata.type": format!("#microsoft.graph.{}", type_of(stem)),
        "id": id,
        "state": if on { "enabled" } else { "disabled" },
        "excludeTargets": [],
        "includeTargets": everybody(Value::Null),
    });
    let feature = || {
        json!({
            "state": "default",
            "includeTarget": { "targetType": "group", "id": "all_users" },
            "excludeTarget": { "targetType": "group", "id": "00000000-0000-0000-0000-000000000000" },
        })
    };
    let more = match id {
        "MicrosoftAuthenticator" => json!({
            "isSoftwareOathEnabled": true,
            "includeTargets": everybody(json!({ "authenticationMode": "any" })),
            "featureSettings": {
                "displayAppInformationRequiredState": feature(),
                "displayLocationInformationRequiredState": feature(),
            },
        }),
        "TemporaryAccessPass" => json!({
            "defaultLength": 8,
            "defaultLifetimeInMinutes": 60,
            "minimumLifetimeInMinutes": 60,
            "maximumLifetimeInMinutes": 480,
            "isUsableOnce": false,
        }),
        "Sms" => json!({ "includeTargets": everybody(json!({ "isUsableForSignIn": false })) }),
        "Voice" => json!({ "isOfficePhoneAllowed": false }),
        "Email" => json!({ "allowExternalIdToUseEmailOtp": "default" }),
        "X509Certificate" => json!({
            "certificateUserBindings": [],
            "certificateAuthorityScopes": [],
            "authenticationModeConfiguration": {
                "x509CertificateAuthenticationDefaultMode": "x509CertificateSingleFactor",
                "x509CertificateDefaultRequiredAffinityLevel": "low",
                "rules": [],
            },
            "issuerHintsConfiguration": { "state": "disabled" },
            "crlValidationConfiguration": {
                "state": "disabled",
                "exemptedCertificateAuthoritiesSubjectKeyIdentifiers": [],
            },
        }),
        "VerifiableCredentials" => json!({ "includeTargets": [] }),
        "QRCodePin" => json!({ "pinLength": 8, "standardQRCodeLifetimeInDays": 365 }),
        _ => json!({}),
    };
    let mut whole = Object::new();
    for members in [method.take(), more] {
        if let Value::Object(members) = members {
            whole.extend(members);
        }
    }
    whole
}

/// The policy's own members before anybody changed them. Beta shows all, v1.0 those it knows.
fn default_policy() -> Object {
    let policy = json!({
        "id": "authenticationMethodsPolicy",
        "displayName": "Authentication Methods Policy",
        "description": "The tenant-wide policy that controls which authentication methods are allowed in the tenant.",
        "lastModifiedDateTime": "2026-03-01T09:00:00Z",
        "policyVersion": "1.5",
        "policyMigrationState": "migrationComplete",
        "registrationEnforcement": { "authenticationMethodsRegistrationCampaign": {
            "snoozeDurationInDays": 1,
            "enforceRegistrationAfterAllowedSnoozes": true,
            "state": "default",
            "excludeTargets": [],
            "includeTargets": [
                { "id": "all_users", "targetType": "group", "targetedAuthenticationMethod": "microsoftAuthenticator" },
            ],
        } },
        "systemCredentialPreferences": {
            "state": "default",
            "excludeTargets": [],
            "includeTargets": [{ "id": "all_users", "targetType": "group" }],
        },
        "reportSuspiciousActivitySettings": {
            "state": "default",
            "includeTarget": { "id": "all_users", "targetType": "group" },
            "voiceReportingCode": 0,
        },
    });
    match policy {
        Value::Object(policy) => policy,
        _ => Object::new(),
    }
}

/// Fills a new tenant in. The error names what was wrong.
pub(super) fn move_in(store: &mut Store, spec: &PoliciesSpec) -> Result<(), (String, Refused)> {
    store.policies.policy = default_policy();
    store.policies.methods = METHODS.iter().map(|(id, stem)| default(id, stem)).collect();
    fido2::from_spec(store);
    passes_from_spec(store);
    // The order matters: a campaign for passkeys wants their policy in place.
    for (id, change) in &spec.methods {
        let wrong = |refused| (format!("methods.{id}"), refused);
        change_method(store, Version::Beta, id, change, true).map_err(wrong)?;
    }
    let mut policy = spec.policy.clone();
    // What Graph lets nobody set, a specification may.
    for name in ["policyMigrationState", "policyVersion", "reconfirmationInDays"] {
        if let Some(value) = policy.remove(name) {
            store.policies.policy.insert(name.into(), value);
        }
    }
    change_policy(store, Version::Beta, &policy).map_err(|refused| ("policy".to_owned(), refused))
}

pub(super) fn answer(
    store: &mut Store,
    version: Version,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    match (place, act) {
        (Place::Methods, Act::Read) => {
            if call.query("$select").is_some() {
                return Err(Refused::new(Why::SelectUnsupported, "The query option '$select' is not supported.").into());
            }
            Ok(Answer::json(200, whole(store, version)))
        }
        (Place::Methods, _) => {
            change_policy(store, version, &body(call)?)?;
            Ok(Answer::json(200, whole(store, version)))
        }
        (Place::Method(id), Act::Read) => {
            let index = find_method(store, version, id)?;
            let context = "authenticationMethodConfigurations/$entity";
            let body = store.policies.methods.get(index).map(|method| entity(store, version, context, method));
            Ok(Answer::json(200, body.unwrap_or_default()))
        }
        (Place::Method(id), Act::Remove) => {
            let index = find_method(store, version, id)?;
            let fresh = METHODS.get(index).map(|(id, stem)| default(id, stem));
            if let (Some(method), Some(fresh)) = (store.policies.methods.get_mut(index), fresh) {
                *method = fresh;
            }
            if index == 0 {
                store.policy = crate::sim::tenant::spec::PolicySpec { enabled: false, ..Default::default() };
                fido2::from_spec(store);
            }
            Ok(Answer::empty(204))
        }
        (Place::Method(id), _) => {
            change_method(store, version, id, &body(call)?, false)?;
            Ok(Answer::empty(204))
        }
        _ => Err(crate::sim::tenant::errors::method_not_allowed().into()),
    }
}

fn shown(store: &Store, version: Version) -> Vec<&Object> {
    let visible = |method: &&Object| version == Version::Beta || !BETA_ONLY.contains(&id_of(method));
    store.policies.methods.iter().filter(visible).collect()
}

fn whole(store: &Store, version: Version) -> Value {
    let mut policy = store.policies.policy.clone();
    if version == Version::V1 {
        let known = |name: &str| schema(version).member("authenticationMethodsPolicy", name).is_some();
        policy.retain(|name, _| known(name));
        let campaign = "/registrationEnforcement/authenticationMethodsRegistrationCampaign";
        let mut value = Value::Object(policy);
        if let Some(campaign) = value.pointer_mut(campaign).and_then(Value::as_object_mut) {
            campaign.shift_remove("enforceRegistrationAfterAllowedSnoozes");
        }
        policy = match value {
            Value::Object(policy) => policy,
            _ => Object::new(),
        };
    }
    policy.insert("authenticationMethodConfigurations".into(), json!(shown(store, version)));
    entity(store, version, "authenticationMethodsPolicy", &policy)
}

fn find_method(store: &Store, version: Version, id: &str) -> Result<usize, Refused> {
    let known = |method: &Object| {
        id_of(method).eq_ignore_ascii_case(id) && (version == Version::Beta || !BETA_ONLY.contains(&id_of(method)))
    };
    store
        .policies
        .methods
        .iter()
        .position(known)
        .ok_or_else(|| Refused::new(Why::NotThere, format!("There is no authentication method configuration '{id}'.")))
}

#[cfg(test)]
pub(super) fn answer_for_test(store: &Store, version: Version, id: &str) -> Result<usize, Refused> {
    find_method(store, version, id)
}

fn change_policy(store: &mut Store, version: Version, change: &Object) -> Result<(), Refused> {
    let schema = schema(version);
    shape::check(schema, "authenticationMethodsPolicy", change)?;
    only_writable(
        change,
        &[
            "id",
            "lastModifiedDateTime",
            "policyVersion",
            "policyMigrationState",
            "displayName",
            "description",
            "authenticationMethodConfigurations",
        ],
    )?;
    let mut merged = store.policies.policy.clone();
    shape::merge(schema, "authenticationMethodsPolicy", &mut merged, change);
    let it = Value::Object(merged);
    let campaign = &it["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"];
    check_campaign(store, campaign)?;
    check_targets(store, Some(&it["systemCredentialPreferences"]["includeTargets"]))?;
    check_targets(store, Some(&it["systemCredentialPreferences"]["excludeTargets"]))?;
    if let Value::Object(mut merged) = it {
        if !change.is_empty() {
            merged.insert("lastModifiedDateTime".into(), seconds(store.now()).into());
        }
        store.policies.policy = merged;
    }
    Ok(())
}

fn check_campaign(store: &Store, campaign: &Value) -> Result<(), Refused> {
    let bad = |message: &str| Err(Refused::new(Why::BadCampaign, message));
    if !campaign["snoozeDurationInDays"].as_i64().is_some_and(|days| (0..=14).contains(&days)) {
        return Err(Refused::new(Why::OutOfBounds, "snoozeDurationInDays must be between 0 and 14."));
    }
    check_targets(store, campaign.get("includeTargets"))?;
    check_targets(store, campaign.get("excludeTargets"))?;
    let methods: std::collections::BTreeSet<&str> = campaign["includeTargets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|target| target["targetedAuthenticationMethod"].as_str().unwrap_or(""))
        .collect();
    if methods.iter().any(|method| !["microsoftAuthenticator", "fido2"].contains(method)) {
        return bad("targetedAuthenticationMethod must be microsoftAuthenticator or fido2.");
    }
    if methods.len() > 1 {
        return bad("A registration campaign can target one authentication method only.");
    }
    let enabled = campaign["state"] == "enabled";
    if enabled && methods.contains("fido2") && !fido2::self_service(store) {
        return bad("A registration campaign for passkeys requires self-service set up in the Passkey (FIDO2) policy.");
    }
    Ok(())
}

fn change_method(store: &mut Store, version: Version, id: &str, change: &Object, by_spec: bool) -> Result<(), Refused> {
    let index = find_method(store, version, id)?;
    let Some(old) = store.policies.methods.get(index) else { return Ok(()) };
    let kind = kind_of(old).to_owned();
    let mut change = change.clone();
    match change.get("@odata.type").and_then(Value::as_str) {
        Some(said) if said.trim_start_matches('#') == format!("microsoft.graph.{kind}") => {}
        Some(said) => {
            let message = format!(
                "A value with type '{said}' was found, which is not assignable to the expected type 'microsoft.graph.{kind}'."
            );
            return Err(Refused::new(Why::WrongType, message));
        }
        None if by_spec => {}
        None if store.spec.policies.untyped_changes_are_lost => return Ok(()),
        None => {
            let message = "The request is missing '@odata.type': the type of the authentication method configuration must be specified.";
            return Err(Refused::new(Why::TypeMissing, message));
        }
    }
    change.shift_remove("@odata.type");
    let schema = schema(version);
    shape::check(schema, &kind, &change)?;
    // Its own id may be repeated.
    if change.get("id").is_some_and(|said| !said.as_str().is_some_and(|said| said.eq_ignore_ascii_case(id))) {
        return Err(Refused::new(Why::ReadOnly, "'id' is a readonly field and cannot be updated."));
    }
    change.shift_remove("id");
    let mut merged = old.clone();
    shape::merge(schema, &kind, &mut merged, &change);
    for list in ["includeTargets", "excludeTargets"] {
        check_targets(store, merged.get(list))?;
        for target in merged.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let (Some(target), "includeTargets") = (target.as_object_mut(), list) {
                target.entry("targetType").or_insert_with(|| "group".into());
                target.entry("isRegistrationRequired").or_insert_with(|| false.into());
            }
        }
    }
    match kind.as_str() {
        "temporaryAccessPassAuthenticationMethodConfiguration" => check_access_pass(&merged)?,
        "fido2AuthenticationMethodConfiguration" => merged = fido2::changed(store, merged, &change)?,
        _ => {}
    }
    if let Some(method) = store.policies.methods.get_mut(index) {
        *method = merged;
    }
    if index == 0 {
        store.policy = fido2::spec_of(store);
    }
    Ok(())
}

/// Writes the configuration of passes after `[tap]`.
fn passes_from_spec(store: &mut Store) {
    let tap = store.spec.tap.clone();
    let mut targets = |names: &[String], more: Value| -> Vec<Value> {
        let ids: Vec<String> = names.iter().map(|name| store.group_id(name)).collect();
        let one = |id: String| {
            let mut target = json!({ "targetType": "group", "id": id });
            if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more.clone()) {
                target.extend(more);
            }
            target
        };
        ids.into_iter().map(one).collect()
    };
    let mut include = targets(&tap.include_groups, json!({ "isRegistrationRequired": false }));
    if include.is_empty() {
        include.push(json!({ "targetType": "group", "id": "all_users", "isRegistrationRequired": false }));
    }
    let exclude = targets(&tap.exclude_groups, Value::Null);
    let it = json!({
        "state": if tap.enabled { "enabled" } else { "disabled" },
        "defaultLength": tap.length,
        "defaultLifetimeInMinutes": tap.default_minutes,
        "minimumLifetimeInMinutes": tap.least_minutes,
        "maximumLifetimeInMinutes": tap.most_minutes,
        "isUsableOnce": tap.once_only,
        "includeTargets": include,
        "excludeTargets": exclude,
    });
    let method = store.policies.methods.iter_mut().find(|method| id_of(method) == "TemporaryAccessPass");
    if let (Some(method), Value::Object(it)) = (method, it) {
        method.extend(it);
    }
}

/// What the policy says of passes.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct PassRules {
    pub(in super::super) enabled: bool,
    /// Characters of a code.
    pub(in super::super) length: u32,
    pub(in super::super) least_minutes: u32,
    pub(in super::super) most_minutes: u32,
    pub(in super::super) default_minutes: u32,
    pub(in super::super) once_only: bool,
}

/// What the policy says of passes now.
pub(in super::super) fn pass_rules(store: &Store) -> PassRules {
    let method = store.policies.methods.iter().find(|method| id_of(method) == "TemporaryAccessPass");
    let number = |name: &str| {
        let value = method.and_then(|method| method.get(name)).and_then(Value::as_u64);
        value.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    };
    PassRules {
        enabled: method.is_some_and(|method| method.get("state") == Some(&json!("enabled"))),
        length: number("defaultLength"),
        least_minutes: number("minimumLifetimeInMinutes"),
        most_minutes: number("maximumLifetimeInMinutes"),
        default_minutes: number("defaultLifetimeInMinutes"),
        once_only: method.is_some_and(|method| method.get("isUsableOnce") == Some(&json!(true))),
    }
}

/// Whether a method is on for a person: exclusion is stronger than inclusion.
pub(in super::super) fn is_for(store: &Store, method: &str, person: &Person) -> bool {
    let Some(method) = store.policies.methods.iter().find(|known| id_of(known) == method) else { return false };
    fido2::covers(store, method, person)
}

fn check_access_pass(it: &Object) -> Result<(), Refused> {
    let number = |name: &str| it.get(name).and_then(Value::as_i64).unwrap_or(0);
    let bounds = |name: &str, least: i64, most: i64| {
        if (least..=most).contains(&number(name)) {
            return Ok(());
        }
        Err(Refused::new(Why::OutOfBounds, format!("{name} must be between {least} and {most}.")))
    };
    bounds("defaultLength", 8, 48)?;
    bounds("minimumLifetimeInMinutes", 10, 43_200)?;
    bounds("maximumLifetimeInMinutes", 10, 43_200)?;
    let (least, most) = (number("minimumLifetimeInMinutes"), number("maximumLifetimeInMinutes"));
    if least > most {
        return Err(Refused::new(
            Why::OutOfBounds,
            "minimumLifetimeInMinutes must not be greater than maximumLifetimeInMinutes.",
        ));
    }
    bounds("defaultLifetimeInMinutes", least, most)
}
