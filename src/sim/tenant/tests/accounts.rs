//! Passes, new people, groups, other methods and tokens: every refusal with its message, as a stranger meets it.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::spec::{DomainSpec, GroupSpec, LicenceSpec, MethodKind, MethodSpec, PersonSpec, TenantSpec};
use super::{Caller, Reply, send, spec};

const LEE: &str = "/v1.0/users/lee%40contoso.example";

fn message(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

/// Status and a part of the message.
fn refused(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert!(message(reply).contains(words), "{words}: {}", reply.text);
}

fn delete(caller: &Caller, path: &str) -> Reply {
    send(caller.request(Method::DELETE, path))
}

#[test]
fn a_pass_shows_its_code_once_and_every_refusal_has_words() {
    let mut wide = spec();
    wide.app.permissions.push("UserAuthenticationMethod.ReadWrite.All".into());
    let caller = Caller::app(wide.clone());
    let set = format!("{LEE}/authentication/temporaryAccessPassMethods");
    let made = caller.post(&set, &json!({"lifetimeInMinutes": 60, "isUsableOnce": true}));
    assert_eq!((made.status, made.json()["methodUsabilityReason"].as_str()), (201, Some("EnabledByPolicy")));
    assert_eq!(made.json()["temporaryAccessPass"].as_str().map(str::len), Some(8));
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let shown = caller.get(&format!("{set}/{id}")).json();
    assert_eq!(shown["temporaryAccessPass"], Value::Null);
    assert!(caller.get(&set.replace("v1.0", "beta")).json()["value"][0].get("isUsable").is_none(), "beta has none");
    // A new one replaces the old.
    let again = caller.post(&set, &json!({}));
    assert_eq!(caller.get(&set).json()["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(delete(&caller, &format!("{set}/{id}")).status, 404);
    assert_eq!(send(caller.request(Method::PATCH, &format!("{set}/{id}")).json(&json!({}))).status, 405);
    let id = again.json()["id"].as_str().expect("an id").to_owned();
    caller.sim("clock", json!({"advance_seconds": 3601}));
    assert_eq!(caller.get(&set).status, 401, "the token has ended with its hour");

    let caller = Caller::app(wide);
    assert_eq!(caller.post(&set, &json!({})).status, 201);
    let _ = id;
    refused(&caller.post(&set, &json!({"lifetimeInMinutes": 9})), 400, "The valid range between 60 and 480.");
    refused(&caller.post(&set, &json!({"lifetime": 60})), 400, "The property 'lifetime' does not exist on type");
    refused(&caller.post(&set, &json!({"isUsableOnce": "yes"})), 400, "expected type 'Edm.Boolean'");
    refused(&caller.post(&set, &json!({"temporaryAccessPass": "mine"})), 400, "'temporaryAccessPass' does not exist");
    refused(&caller.post(&set, &json!({"@odata.type": "#microsoft.graph.user"})), 400, "is not assignable");
    refused(&caller.post(&set, &json!({"startDateTime": "2020-01-01T00:00:00Z"})), 400, "in the past");
    refused(&send(caller.request(Method::POST, &set)), 400, "Content-Type");
    refused(
        &send(caller.request(Method::POST, &set).header("content-type", "application/json").body("{")),
        400,
        "JSON",
    );
    refused(&caller.post(&set, &json!([1])), 400, "A JSON object is required");
    let of = |name: &str| format!("/v1.0/users/{name}%40contoso.example/authentication/temporaryAccessPassMethods");
    refused(&caller.post(&of("guest"), &json!({})), 400, "external guest user");
    refused(&caller.post(&of("nobody"), &json!({})), 404, "user was not found");
}

#[test]
fn a_pass_follows_its_policy_and_its_time() {
    let with = |spoil: fn(&mut TenantSpec)| {
        let mut spec = spec();
        spoil(&mut spec);
        Caller::app(spec)
    };
    let set = format!("{LEE}/authentication/temporaryAccessPassMethods");
    let off = with(|spec| spec.tap.enabled = false);
    refused(&off.post(&set, &json!({})), 400, "not enabled");
    let once = with(|spec| spec.tap.once_only = true);
    refused(&once.post(&set, &json!({"isUsableOnce": false})), 400, "one-time use");
    assert_eq!(once.post(&set, &json!({})).json()["isUsableOnce"], true);
    // Out of scope: it can be made and not used.
    let narrow = with(|spec| spec.tap.include_groups = vec!["Nobody yet".into()]);
    assert_eq!(narrow.post(&set, &json!({})).json()["methodUsabilityReason"], "DisabledByPolicy");
    let later = with(|_| {});
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let made = later.post(&set, &json!({"startDateTime": start.to_string()}));
    assert_eq!(made.json()["methodUsabilityReason"], "NotYetValid");
    let poor = with(|spec| spec.app.permissions = vec!["UserAuthMethod-TAP.Read.All".into()]);
    refused(&poor.post(&set, &json!({})), 403, "Request Authorization failed");
    assert_eq!(poor.get(&set).status, 200);
    let config =
        later.get("/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass");
    assert_eq!(
        (config.json()["state"].clone(), config.json()["maximumLifetimeInMinutes"].clone()),
        (json!("enabled"), json!(480))
    );
    // For oneself, and without the role.
    let person = Caller::person(spec());
    refused(&person.post("/v1.0/me/authentication/temporaryAccessPassMethods", &json!({})), 403, "for themselves");
    refused(
        &person.post("/v1.0/users/chief%40contoso.example/authentication/temporaryAccessPassMethods", &json!({})),
        403,
        "Request Authorization failed",
    );
}

fn full() -> TenantSpec {
    let mut spec = spec();
    spec.licences = vec![LicenceSpec { name: "SPE_E5".into(), seats: 1 }];
    spec.other_domains = vec![
        DomainSpec { name: "new.example".into(), verified: false, federated: false },
        DomainSpec { name: "adfs.example".into(), verified: true, federated: true },
    ];
    spec.groups = vec![
        GroupSpec { name: "Plain".into(), ..GroupSpec::default() },
        GroupSpec { name: "Rule".into(), dynamic: true, ..GroupSpec::default() },
        GroupSpec { name: "Tier 0".into(), role_assignable: true, ..GroupSpec::default() },
    ];
    spec.people.push(PersonSpec { usage_location: None, ..PersonSpec::new("nowhere@contoso.example") });
    spec
}

#[test]
fn a_user_is_made_and_can_be_used_a_little_later() {
    let caller = Caller::app(full());
    let user = |change: Value| {
        let mut body = json!({
            "accountEnabled": true, "displayName": "Max", "mailNickname": "max", "userPrincipalName": "max@contoso.example",
            "usageLocation": "IE", "passwordProfile": {"password": "Aa1!Aa1!Aa1!", "forceChangePasswordNextSignIn": false},
        });
        for (name, value) in change.as_object().expect("an object") {
            if value.is_null() {
                body.as_object_mut().expect("an object").shift_remove(name);
            } else {
                body[name] = value.clone();
            }
        }
        caller.post("/v1.0/users", &body)
    };
    let made = user(json!({}));
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.json().get("accountEnabled").is_none(), "only when selected");
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let methods = format!("/v1.0/users/{id}/authentication/fido2Methods");
    assert_eq!(caller.get(&methods).status, 404, "replication");
    assert_eq!(caller.get(&methods).status, 200);
    for (change, words) in [
        (json!({"userPrincipalName": null}), "A value is required for property 'userPrincipalName'"),
        (json!({"displayName": ""}), "A value is required for property 'displayName'"),
        (json!({"mailNickname": null}), "A value is required for property 'mailNickname'"),
        (json!({"mailNickname": "m x"}), "Invalid value specified for property 'mailNickname'"),
        (json!({"accountEnabled": null}), "A value is required for property 'accountEnabled'"),
        (json!({"displayName": "x".repeat(257)}), "Invalid value specified for property 'displayName'"),
        (
            json!({"userPrincipalName": "mäx@contoso.example"}),
            "Invalid value specified for property 'userPrincipalName'",
        ),
        (json!({"userPrincipalName": "max"}), "Invalid value specified for property 'userPrincipalName'"),
        (json!({"userPrincipalName": "max@elsewhere.example"}), "verified domain names"),
        (json!({"userPrincipalName": "max@new.example"}), "is not verified"),
        (json!({"userPrincipalName": "max@adfs.example"}), "onPremisesImmutableId"),
        (json!({"userPrincipalName": "MAX@contoso.example"}), "Another object with the same value"),
        (json!({"passwordProfile": null}), "A password must be specified"),
        (
            json!({"userPrincipalName": "b@contoso.example", "passwordProfile": {"password": "aaaaaaaaaaaa"}}),
            "complexity",
        ),
        (
            json!({"passwordProfile": {"password": "Aa1!Aa1!", "force": true}}),
            "'force' does not exist on type 'microsoft.graph.passwordProfile'",
        ),
        (
            json!({"userPrincipalName": "c@contoso.example", "usageLocation": "Ireland"}),
            "Invalid value specified for property 'usageLocation'",
        ),
        (json!({"nickname": "x"}), "'nickname' does not exist on type 'microsoft.graph.user'"),
    ] {
        refused(&user(change), 400, words);
    }
    let mut poor = full();
    poor.app.permissions = vec!["User.Read.All".into()];
    refused(&Caller::app(poor).post("/v1.0/users", &json!({})), 403, "Insufficient privileges");
}

#[test]
fn licences_need_a_place_and_a_seat() {
    let caller = Caller::app(full());
    let skus = caller.get("/v1.0/subscribedSkus").json();
    let sku = skus["value"][0]["skuId"].as_str().expect("a sku").to_owned();
    let give = |name: &str, sku: &str| {
        caller.post(
            &format!("/v1.0/users/{name}%40contoso.example/assignLicense"),
            &json!({
                "addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": [],
            }),
        )
    };
    refused(&give("nowhere", &sku), 400, "invalid usage location");
    refused(&give("lee", "00000000-0000-0000-0000-000000000000"), 400, "valid company License");
    assert_eq!(give("lee", &sku).status, 200);
    assert_eq!(give("lee", &sku).status, 200, "twice is as good as once");
    refused(&give("leaver", &sku), 400, "does not have any available licenses");
    refused(
        &caller.post(&format!("{LEE}/assignLicense"), &json!({"addLicenses": []})),
        400,
        "missing parameters are: removeLicenses",
    );
    let change = |body: Value| send(caller.request(Method::PATCH, "/v1.0/users/nowhere%40contoso.example").json(&body));
    refused(&change(json!({"usageLocation": "ie"})), 400, "Invalid value specified for property 'usageLocation'");
    refused(&change(json!({"displayName": "x"})), 400, "'displayName' does not exist");
    assert_eq!(change(json!({"usageLocation": "NL"})).status, 204);
    let domains = caller.get("/v1.0/domains").json();
    assert_eq!(domains["value"][2]["authenticationType"], "Federated");
}

#[test]
fn groups_take_members_by_hand_or_say_why_not() {
    let caller = Caller::app(full());
    let made = caller.post(
        "/v1.0/groups",
        &json!({"displayName": "New", "mailEnabled": false, "mailNickname": "new", "securityEnabled": true}),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    refused(
        &caller.post("/v1.0/groups", &json!({"displayName": "New", "mailEnabled": false, "securityEnabled": true})),
        400,
        "property 'mailNickname'",
    );
    refused(
        &caller.post("/v1.0/groups", &json!({"displayName": "New", "mailNickname": "n", "securityEnabled": true})),
        400,
        "property 'mailEnabled'",
    );
    refused(
        &caller.post(
            "/v1.0/groups",
            &json!({"displayName": "N", "mailNickname": "n", "mailEnabled": true, "securityEnabled": true}),
        ),
        400,
        "Only security groups",
    );
    refused(
        &caller.post(
            "/v1.0/groups",
            &json!({"displayName": "N", "mailNickname": "ñ", "mailEnabled": false, "securityEnabled": true}),
        ),
        400,
        "Invalid value specified for property 'mailNickname'",
    );
    let group = made.json()["id"].as_str().expect("an id").to_owned();
    let lee = caller.id_of("lee@contoso.example");
    let member = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{lee}")});
    let members = format!("/v1.0/groups/{group}/members/$ref");
    assert_eq!(caller.post(&members, &member).status, 204);
    refused(&caller.post(&members, &member), 400, "already exist");
    refused(&caller.post(&members, &json!({"id": lee})), 400, "must hold '@odata.id'");
    refused(
        &caller.post("/v1.0/groups/00000000-0000-0000-0000-000000000000/members/$ref", &member),
        404,
        "does not exist",
    );
    let id = |name: &str| {
        let all = caller.get("/v1.0/groups").json();
        let found = all["value"].as_array().expect("groups").iter().find(|group| group["displayName"] == name).cloned();
        found.expect("a group")["id"].as_str().expect("an id").to_owned()
    };
    refused(&caller.post(&format!("/v1.0/groups/{}/members/$ref", id("Rule")), &member), 400, "dynamic group");
    refused(
        &caller.post(&format!("/v1.0/groups/{}/members/$ref", id("Tier 0")), &member),
        403,
        "Insufficient privileges",
    );
    assert_eq!(delete(&caller, &format!("/v1.0/groups/{group}/members/{lee}/$ref")).status, 204);
    refused(&delete(&caller, &format!("/v1.0/groups/{group}/members/{lee}/$ref")), 404, "does not exist");
}

#[test]
fn every_method_has_its_own_permission_and_a_default_stays() {
    let mut spec = spec();
    let method = |kind, default| MethodSpec { kind, name: "x".into(), default };
    spec.people[1].methods = vec![
        method(MethodKind::Phone, true),
        method(MethodKind::Email, false),
        method(MethodKind::WindowsHello, false),
    ];
    spec.app.permissions.retain(|scope| scope != "UserAuthenticationMethod.ReadWrite.All");
    let caller = Caller::app(spec.clone());
    let all = caller.get(&format!("{LEE}/authentication/methods")).json();
    let id = |kind: &str| {
        let found = all["value"].as_array().expect("methods").iter().find(|method| {
            method["@odata.type"].as_str().is_some_and(|found| found.ends_with(&format!(".{kind}AuthenticationMethod")))
        });
        found.expect(kind)["id"].as_str().expect("an id").to_owned()
    };
    let path = |set: &str, kind: &str| format!("{LEE}/authentication/{set}/{}", id(kind));
    refused(&delete(&caller, &path("emailMethods", "email")), 403, "Request Authorization failed");
    refused(&delete(&caller, &path("phoneMethods", "phone")), 400, "default authentication method");
    refused(&delete(&caller, &path("phoneMethods", "email")), 404, "method was not found");
    spec.app.permissions.push("UserAuthenticationMethod.ReadWrite.All".into());
    let caller = Caller::app(spec.clone());
    for (set, kind) in [
        ("emailMethods", "email"),
        ("windowsHelloForBusinessMethods", "windowsHelloForBusiness"),
        ("phoneMethods", "phone"),
    ] {
        assert_eq!(delete(&caller, &path(set, kind)).status, 204, "{kind}");
    }
    spec.app.permissions = vec!["UserAuthMethod-Passkey.ReadWrite.All".into()];
    let narrow = Caller::app(spec);
    refused(&narrow.get(&format!("{LEE}/authentication/methods")), 403, "Request Authorization failed");
}

#[test]
fn tokens_are_beta_only_and_closed() {
    let caller = Caller::app(spec());
    const DEVICES: &str = "/beta/directory/authenticationMethodDevices/hardwareOathDevices";
    refused(&caller.get(&DEVICES.replace("beta", "v1.0")), 400, "segment 'hardwareOathDevices'");
    let upload = |body: Value| send(caller.request(Method::PATCH, DEVICES).json(&body));
    let item = |change: Value| {
        let mut item = json!({
            "@contentId": "1", "serialNumber": "1", "manufacturer": "C", "model": "M", "secretKey": "JBSWY3DPEHPK3PXP",
            "timeIntervalInSeconds": 30, "hashFunction": "hmacsha1",
        });
        for (name, value) in change.as_object().expect("an object") {
            item[name] = value.clone();
        }
        let reply = upload(json!({"@context": "#$delta", "value": [item]}));
        assert_eq!(reply.status, 200, "a bulk answer has its refusals inside: {}", reply.text);
        reply.json()["value"][0]["error"]["message"].as_str().unwrap_or_default().to_owned()
    };
    for (change, words) in [
        (json!({"serialNumber": ""}), "required for property 'serialNumber'"),
        (json!({"manufacturer": ""}), "required for property 'manufacturer'"),
        (json!({"secretKey": "10"}), "not Base32"),
        (json!({"secretKey": "A".repeat(129)}), "longer than 128"),
        (json!({"timeIntervalInSeconds": 45}), "must be 30 or 60"),
        (json!({"hashFunction": "md5"}), "no member of hardwareOathTokenHashFunction"),
        (json!({"assignTo": {"id": "x"}}), "UserAuthenticationMethod.ReadWrite.All"),
        (json!({"colour": "red"}), "'colour' does not exist on type"),
    ] {
        let said = item(change);
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(item(json!({})), "");
    assert!(item(json!({})).contains("in the inventory already"));
    refused(&upload(json!({"value": []})), 400, "'@context'");
    refused(&upload(json!({"@context": "#$delta", "value": []})), 400, "at least one item");
    refused(&caller.post(DEVICES, &json!({})), 405, "not supported");
    let device = caller.get(DEVICES).json()["value"][0].clone();
    assert_eq!((&device["secretKey"], &device["status"]), (&Value::Null, &json!("available")));
    refused(&caller.get(&format!("{DEVICES}?$filter=model%20eq%20%27M%27")), 400, "Only serialNumber");
    let id = device["id"].as_str().expect("an id");
    let lee = "/beta/users/lee%40contoso.example/authentication/hardwareOathMethods";
    let given = caller.post(lee, &json!({"device": {"id": id}}));
    assert_eq!(given.status, 201);
    refused(&caller.post(lee, &json!({"device": {"id": id}})), 400, "has a hardware OATH token already");
    let leaver = lee.replace("lee%40", "leaver%40");
    refused(&caller.post(&leaver, &json!({"device": {"id": id}})), 400, "assigned to another user");
    refused(&caller.post(&lee.replace("lee%40", "guest%40"), &json!({"device": {"id": id}})), 400, "Guest users");
    refused(&caller.post(&leaver, &json!({"device": {"id": "x"}})), 404, "method was not found");
    refused(&delete(&caller, &format!("{DEVICES}/{id}")), 400, "unassign it first");
    let method = given.json()["id"].as_str().expect("an id").to_owned();
    refused(
        &caller.post(&format!("{lee}/{method}/activate"), &json!({"verificationCode": "abc"})),
        400,
        "verification code is incorrect",
    );
    assert_eq!(caller.get(DEVICES).json()["value"][0]["status"], "failedActivation");
    refused(&caller.post(&format!("{lee}/{method}/activate"), &json!({"code": "1"})), 400, "'code' does not exist");
}
