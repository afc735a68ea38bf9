//! Any change, sent to any setting: nothing panics, a refusal changes nothing, and what is read back is what was there with the
//! change merged into it.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Act, Place, answer};
use crate::sim::tenant::access::Caller;
use crate::sim::tenant::http::{Answer, Body, Call, Version};
use crate::sim::tenant::spec::{GroupSpec, PersonSpec, TenantSpec};
use crate::sim::tenant::store::Store;

const PILOT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const STRENGTH: &str = "33333333-cccc-4ddd-8eee-000000000003";
const LOCATION: &str = "44444444-dddd-4eee-8fff-000000000004";
const POLICY: &str = "66666666-ffff-4aaa-8bbb-000000000006";

fn store() -> Store {
    let map = |json: Value| json.as_object().expect("an object").clone();
    let mut spec = TenantSpec {
        people: vec![PersonSpec { groups: vec!["Pilot".into()], ..PersonSpec::new("kim@contoso.example") }],
        groups: vec![GroupSpec { name: "Pilot".into(), id: Some(PILOT.into()), ..GroupSpec::default() }],
        ..TenantSpec::default()
    };
    spec.policies.access_per_second = 0;
    spec.policies.strengths =
        vec![map(json!({"id": STRENGTH, "displayName": "Ours", "allowedCombinations": ["fido2"]}))];
    spec.policies.locations = vec![map(json!({"id": LOCATION, "@odata.type": "#microsoft.graph.countryNamedLocation",
        "displayName": "Home", "countriesAndRegions": ["NL"]}))];
    spec.policies.access = vec![map(json!({"id": POLICY, "displayName": "Ours", "state": "disabled",
        "conditions": {"applications": {"includeApplications": ["All"]}, "users": {"includeGroups": [PILOT]}},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}}))];
    Store::new(spec, "http://127.0.0.1:1".into()).expect("a tenant")
}

fn send(store: &mut Store, method: &str, place: &Place, body: &Value) -> Answer {
    let caller =
        Caller { user: None, permissions: store.spec.app.permissions.clone(), expires: Timestamp::MAX, revoked: false };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let call = Call::new(method, "/beta/x", headers, Bytes::from(body.to_string()));
    let act = place.act(method).expect("a method it has");
    answer(store, Version::Beta, &caller, (place, act), &call).unwrap_or_else(|refused| refused)
}

fn read(store: &mut Store, place: &Place) -> Value {
    match send(store, "GET", place, &Value::Null).body {
        Body::Json(json) => json,
        _ => Value::Null,
    }
}

fn without_refusals(store: &Store) -> Value {
    let mut state = super::state(store);
    state["refused"] = Value::Null;
    state
}

fn places() -> impl Strategy<Value = Place> {
    let method = |id: &str| Place::Method(id.to_owned());
    prop_oneof![
        Just(method("Fido2")),
        Just(method("TemporaryAccessPass")),
        Just(method("MicrosoftAuthenticator")),
        Just(method("HardwareOath")),
        Just(method("Sms")),
        Just(Place::Methods),
        Just(Place::Strength(STRENGTH.into())),
        Just(Place::Location(LOCATION.into())),
        Just(Place::Policy(POLICY.into())),
        Just(Place::SecurityDefaults),
        Just(Place::Authorization),
    ]
}

/// Members and values that are often right, and some that never are.
fn change() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just(json!("enabled")),
        Just(json!("disabled")),
        Just(json!("Kim's")),
        Just(json!("all_users")),
        Just(json!(PILOT)),
        Just(json!(true)),
        Just(json!(false)),
        (-3i32..60).prop_map(|number| json!(number)),
        Just(Value::Null),
        Just(json!([])),
        Just(json!(["fido2"])),
        Just(json!(["BE"])),
        Just(json!([{"id": "all_users", "targetType": "group"}])),
        Just(json!([{"id": PILOT, "targetType": "group", "isRegistrationRequired": true}])),
        Just(json!({"isEnforced": true, "enforcementType": "block", "aaGuids": []})),
        Just(json!({"users": {"includeUsers": ["All"]}})),
        Just(json!({"operator": "OR", "builtInControls": ["block"]})),
        Just(json!({"operator": "AND", "authenticationStrength": {"id": STRENGTH}})),
        Just(json!({"authenticationMethodsRegistrationCampaign": {"state": "disabled", "snoozeDurationInDays": 5}})),
        Just(json!([{"id": "00000000-0000-0000-0000-000000000001", "name": "Default passkey profile"}])),
        "\\PC{0,5}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("state"),
        Just("displayName"),
        Just("description"),
        Just("isEnabled"),
        Just("allowedToUseSSPR"),
        Just("defaultLength"),
        Just("isUsableOnce"),
        Just("includeTargets"),
        Just("excludeTargets"),
        Just("passkeyProfiles"),
        Just("keyRestrictions"),
        Just("isSelfServiceRegistrationAllowed"),
        Just("registrationEnforcement"),
        Just("conditions"),
        Just("grantControls"),
        Just("sessionControls"),
        Just("countriesAndRegions"),
        Just("nonsense"),
    ];
    proptest::collection::vec((name, word), 0..4)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// What the service itself sets, and what it derives from other members.
const DERIVED: [&str; 7] = [
    "modifiedDateTime",
    "lastModifiedDateTime",
    "isAttestationEnforced",
    "keyRestrictions",
    "passkeyProfiles",
    "includeTargets",
    "@odata.context",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_change_is_merged_or_leaves_no_trace(changes in proptest::collection::vec((places(), change()), 1..5)) {
        let mut store = store();
        for (place, mut change) in changes {
            let before = read(&mut store, &place);
            if let (Some(kind), Some(change)) = (before.get("@odata.type").cloned(), change.as_object_mut()) {
                change.insert("@odata.type".into(), kind);
            }
            let state = without_refusals(&store);
            let status = send(&mut store, "PATCH", &place, &change).status;
            if !(200..300).contains(&status) {
                prop_assert_eq!(state, without_refusals(&store), "{} changed something", change);
                continue;
            }
            let after = read(&mut store, &place);
            let members = |json: &Value| json.as_object().cloned().unwrap_or_default();
            let (before, after, sent) = (members(&before), members(&after), members(&change));
            for (name, value) in &before {
                if !sent.contains_key(name) && !DERIVED.contains(&name.as_str()) {
                    prop_assert_eq!(after.get(name), Some(value), "{} was not sent", name);
                }
            }
            for (name, value) in sent.iter().filter(|(name, value)| !value.is_object() && !DERIVED.contains(&name.as_str())) {
                prop_assert_eq!(after.get(name), Some(value), "{} was sent", name);
            }
            // Twice is as good as once.
            prop_assert_eq!(send(&mut store, "PATCH", &place, &change).status, status);
            let mut again = members(&read(&mut store, &place));
            let mut once = after;
            for name in ["modifiedDateTime", "lastModifiedDateTime"] {
                again.shift_remove(name);
                once.shift_remove(name);
            }
            prop_assert_eq!(once, again);
        }
    }

    #[test]
    fn no_body_panics_anywhere(body in "\\PC{0,40}", place in places()) {
        let mut store = store();
        let _ = send(&mut store, "PATCH", &place, &serde_json::from_str(&body).unwrap_or(Value::String(body.clone())));
        let made = send(&mut store, "POST", &Place::Evaluate, &json!({"signInIdentity": {"@odata.type": body}}));
        prop_assert!(made.status >= 400);
    }
}

#[test]
fn what_beta_alone_has_is_not_there_on_v1() {
    let store = store();
    let get = |version| super::methods::answer_for_test(&store, version, "hardwareOath");
    assert!(get(Version::V1).is_err() && get(Version::Beta).is_ok());
    let beta_only = ["authentication", "requirements"];
    let who = crate::sim::tenant::route::Who::Me;
    assert!(Place::of_person(&beta_only, &who, false).is_none());
    assert!(Place::of_person(&beta_only, &who, true).is_some());
}

#[test]
fn a_reset_method_is_as_new_and_deleted_policies_are_kept_aside() {
    let mut store = store();
    let sms = Place::Method("sms".into());
    let fresh = read(&mut store, &sms);
    let on = json!({"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", "state": "enabled"});
    assert_eq!(send(&mut store, "PATCH", &sms, &on).status, 204);
    assert_ne!(read(&mut store, &sms), fresh);
    assert_eq!(send(&mut store, "DELETE", &sms, &Value::Null).status, 204);
    assert_eq!(read(&mut store, &sms), fresh);
    assert_eq!(send(&mut store, "DELETE", &Place::Policy(POLICY.into()), &Value::Null).status, 204);
    assert_eq!(read(&mut store, &Place::DeletedPolicies)["value"][0]["id"], POLICY);
    assert_eq!(read(&mut store, &Place::Policies)["value"], json!([]));
}

#[test]
fn a_persons_token_needs_a_role_besides() {
    let mut store = store();
    let kim = store.people.first().map(|person| person.id.clone());
    let ask = |store: &mut Store, permissions: &[&str], role: Option<&str>, act: Act| {
        if let Some(person) = store.people.first_mut() {
            person.roles = role.iter().map(|role| (*role).to_owned()).collect();
        }
        let permissions = permissions.iter().map(|one| (*one).to_owned()).collect();
        let caller = Caller { user: kim.clone(), permissions, expires: Timestamp::MAX, revoked: false };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let call = Call::new("PATCH", "/v1.0/x", headers, Bytes::from_static(b"{}"));
        let answer = answer(store, Version::V1, &caller, (&Place::Methods, act), &call);
        answer.map_or_else(|refused| refused.status, |answer| answer.status)
    };
    let read = ["Policy.Read.AuthenticationMethod"];
    let write = ["Policy.ReadWrite.AuthenticationMethod"];
    assert_eq!(ask(&mut store, &read, None, Act::Read), 403);
    assert_eq!(ask(&mut store, &read, Some("Global Reader"), Act::Read), 200);
    assert_eq!(ask(&mut store, &read, Some("Authentication Policy Administrator"), Act::Change), 403);
    assert_eq!(ask(&mut store, &write, Some("Global Reader"), Act::Change), 403);
    assert_eq!(ask(&mut store, &write, Some("Authentication Policy Administrator"), Act::Change), 200);
    assert_eq!(ask(&mut store, &write, Some("Global Administrator"), Act::Change), 200);
}

#[test]
fn an_untyped_change_can_be_lost_without_a_word() {
    let mut store = store();
    store.spec.policies.untyped_changes_are_lost = true;
    let sms = Place::Method("sms".into());
    let before = read(&mut store, &sms);
    assert_eq!(send(&mut store, "PATCH", &sms, &json!({"state": "enabled"})).status, 204);
    assert_eq!(read(&mut store, &sms), before);
}

#[test]
fn a_specification_with_a_mistake_is_refused_by_name() {
    let refused = |spoil: fn(&mut TenantSpec)| {
        let mut spec = TenantSpec::default();
        spoil(&mut spec);
        Store::new(spec, "http://127.0.0.1:1".into()).expect_err("refused").to_string()
    };
    let text = refused(|spec| {
        spec.policies.methods.insert("Sms".into(), serde_json::from_value(json!({"state": "on"})).expect("a map"));
    });
    assert!(text.contains("methods.Sms") && text.contains("'on'"), "{text}");
    let text = refused(|spec| spec.policies.access = vec![serde_json::Map::new()]);
    assert!(text.contains("conditional_access 1") && text.contains("displayName"), "{text}");
    let text = refused(|spec| {
        spec.policies.per_user_mfa.insert("nobody@contoso.example".into(), "enabled".into());
    });
    assert!(text.contains("nobody@contoso.example"), "{text}");
}
