//! Logs, reports and roles that could be activated, as a stranger would ask for them.

use serde_json::{Value, json};

use super::super::spec::{PersonSpec, Premium, TenantSpec};
use super::{Caller, KIM, spec};

const LOG: &str = "/beta/auditLogs/signIns";
const REPORT: &str = "/v1.0/reports/authenticationMethods/userRegistrationDetails";
const ROLES: &str =
    "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances/filterByCurrentUser(on='principal')";

fn with_keys() -> TenantSpec {
    let mut spec = spec();
    spec.people[0].passkeys = 1;
    spec.people[1].passkeys = 1;
    spec
}

fn rows(reply: &super::Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["value"].as_array().expect("a list").clone()
}

#[test]
fn the_log_is_filtered_paged_and_newest_first() {
    let mut spec = with_keys();
    spec.quirks.max_page_size = 2;
    let caller = Caller::app(spec);
    let kim = caller.id_of(KIM);
    for minute in 0..3 {
        caller.sim("sign-in", json!({"upn": KIM}));
        caller.sim("clock", json!({"advance_seconds": 60 * (minute + 1)}));
    }
    caller.sim("sign-in", json!({"upn": "lee@contoso.example"}));
    let first = caller.get(&format!("{LOG}?$filter=userId%20eq%20'{kim}'&$top=50"));
    assert_eq!(rows(&first).len(), 2);
    let next = first.json()["@odata.nextLink"].as_str().expect("another page").replace(&caller.tenant.graph_url, "");
    assert_eq!(rows(&caller.get(&next)).len(), 1);
    let times: Vec<String> =
        rows(&first).iter().map(|row| row["createdDateTime"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(times[0] > times[1], "{times:?}");
    let later = caller.get(&format!("{LOG}?$filter=userId%20eq%20'{kim}'%20and%20createdDateTime%20ge%20{}", times[0]));
    assert_eq!(rows(&later).len(), 1);
    // v1.0 has neither details nor the methods used.
    let plain = rows(&caller.get(&format!("/v1.0/auditLogs/signIns?$filter=userId%20eq%20'{kim}'")));
    assert!(plain[0].get("authenticationDetails").is_none() && plain[0].get("status").is_some());
    for wrong in ["userId%20eq%20kim", "displayName%20eq%20'x'", "userId%20like%20'x'", "createdDateTime%20ge%20'x"] {
        assert_eq!(caller.get(&format!("{LOG}?$filter={wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_sign_in_marks_its_key_and_no_other() {
    let mut spec = spec();
    spec.people[0].passkeys = 2;
    let caller = Caller::app(spec);
    let path = format!("/beta/users/{}/authentication/fido2Methods", caller.id_of(KIM));
    let ids: Vec<String> =
        rows(&caller.get(&path)).iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect();
    caller.sim("sign-in", json!({"upn": KIM, "credential": ids[0], "error": 53_003}));
    assert!(rows(&caller.get(&path)).iter().all(|row| row["lastUsedDateTime"].is_null()), "a failed one is no use");
    caller.sim("sign-in", json!({"upn": KIM, "credential": ids[0], "interrupted": true}));
    let after = rows(&caller.get(&path));
    assert!(after[0]["lastUsedDateTime"].is_string() && after[1]["lastUsedDateTime"].is_null());
    // v1.0 does not tell.
    assert!(rows(&caller.get(&path.replace("beta", "v1.0")))[0].get("lastUsedDateTime").is_none());
    assert_eq!(rows(&caller.get(LOG)).len(), 3);
}

const AUDITS: &str = "/v1.0/auditLogs/directoryAudits";

#[test]
fn the_audit_log_is_not_asked_too_often() {
    let caller = Caller::app(with_keys());
    for _ in 0..5 {
        assert_eq!(caller.get(AUDITS).status, 200);
    }
    let refused = caller.get(AUDITS);
    assert_eq!((refused.status, refused.header("Retry-After").as_str()), (429, "10"));
    assert!(refused.text.contains("identity and access reports allow 5 requests in 10 seconds"), "{}", refused.text);
    caller.tenant.advance(10);
    assert_eq!(caller.get(AUDITS).status, 200);
}

#[test]
fn what_is_done_to_passkeys_stands_in_the_audit_log() {
    let caller = Caller::app(with_keys());
    let path = format!("/v1.0/users/{}/authentication/fido2Methods", caller.id_of(KIM));
    let id = rows(&caller.get(&path))[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(super::send(caller.request(reqwest::Method::DELETE, &format!("{path}/{id}"))).status, 204);
    caller.sim("passkey", json!({"upn": KIM}));
    let all = rows(&caller.get(AUDITS));
    let told: Vec<(&str, &str)> = all
        .iter()
        .map(|row| {
            (
                row["loggedByService"].as_str().unwrap_or_default(),
                row["activityDisplayName"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Device Registration Service", "Add Passkey (device-bound)"),
            ("Authentication Methods", "User registered security info"),
            ("Device Registration Service", "Delete Passkey (device-bound)"),
            ("Authentication Methods", "Admin deleted security info"),
        ]
    );
    assert!(all[0]["targetResources"][0]["id"].is_null() && all[1]["initiatedBy"]["user"]["userPrincipalName"] == KIM);
    let of = rows(&caller.get(&format!("{AUDITS}?$filter=loggedByService%20eq%20'Authentication%20Methods'")));
    assert_eq!(of.len(), 2);
    // Five requests in ten seconds.
    for _ in 0..3 {
        assert_eq!(caller.get(AUDITS).status, 200);
    }
    let too_soon = caller.get(AUDITS);
    assert_eq!(too_soon.status, 429);
    assert!(too_soon.text.contains("identity and access reports allow 5 requests in 10 seconds."), "{}", too_soon.text);
    caller.sim("clock", json!({"advance_seconds": 10}));
    assert_eq!(caller.get(AUDITS).status, 200);
    let mut narrow = spec();
    narrow.app.permissions.retain(|name| name != "AuditLog.Read.All");
    assert_eq!(Caller::app(narrow).get(AUDITS).status, 403);
}

#[test]
fn the_report_has_no_row_for_the_disabled_and_takes_few_parameters() {
    let caller = Caller::app(with_keys());
    let all = rows(&caller.get(REPORT));
    assert!(all.iter().all(|row| row["userPrincipalName"] != "leaver@contoso.example"));
    assert_eq!(all.iter().filter(|row| row["isPasswordlessCapable"] == true).count(), 3);
    let kim = caller.get(&format!("{REPORT}/{}", caller.id_of(KIM)));
    assert_eq!(kim.json()["methodsRegistered"], json!(["passKeyDeviceBound"]));
    let gone = caller.get(&format!("{REPORT}/{}", caller.id_of("leaver@contoso.example")));
    assert_eq!(gone.status, 404);
    assert_eq!(caller.get(&format!("{REPORT}?$select=id")).status, 400);
}

#[test]
fn licence_permission_and_role_are_each_refused_in_their_own_words() {
    let mut free = spec();
    free.premium = Premium::None;
    let caller = Caller::app(free);
    for path in [LOG, REPORT] {
        let reply = caller.get(path);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
        );
    }
    let mut narrow = spec();
    narrow.app.permissions.retain(|name| name != "AuditLog.Read.All");
    let reply = Caller::app(narrow).get(LOG);
    assert_eq!((reply.status, reply.code().as_str()), (403, "Authentication_MSGraphPermissionMissing"));
    let mut no_role = spec();
    no_role.sign_in.roles = vec!["Authentication Administrator".into()];
    let reply = Caller::person(no_role).get(LOG);
    assert_eq!((reply.status, reply.code().as_str()), (403, "Authorization_RequestDenied"));
}

#[test]
fn roles_to_activate_are_the_callers_own_and_need_p2() {
    let mut eligible = spec();
    eligible.people.push(PersonSpec {
        eligible_roles: vec!["Global Administrator".into()],
        ..PersonSpec::new("other@contoso.example")
    });
    eligible.sign_in.eligible_roles = vec!["Security Reader".into()];
    let caller = Caller::person(eligible.clone());
    let found = rows(&caller.get(&format!("{ROLES}?$expand=roleDefinition")));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["roleDefinition"]["displayName"], "Security Reader");
    assert_eq!(Caller::app(eligible.clone()).get(ROLES).status, 400, "an application is nobody's principal");
    eligible.premium = Premium::P1;
    let reply = Caller::person(eligible).get(ROLES);
    assert_eq!((reply.status, reply.code().as_str()), (400, "AadPremiumLicenseRequired"));
}

#[test]
fn a_registration_is_checked_member_by_member() {
    let mut spec = spec();
    spec.app.permissions.push("Application.ReadWrite.All".into());
    let caller = Caller::app(spec);
    let good = json!({
        "displayName": "keybench", "signInAudience": "AzureADMyOrg", "isFallbackPublicClient": true,
        "publicClient": {"redirectUris": ["http://localhost"]},
        "requiredResourceAccess": [{"resourceAppId": "00000003-0000-0000-c000-000000000000", "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}]}]
    });
    let made = caller.post("/v1.0/applications", &good);
    assert_eq!(made.status, 201, "{}", made.text);
    let app_id = made.json()["appId"].clone();
    assert_eq!(caller.post("/v1.0/servicePrincipals", &json!({"appId": app_id})).status, 201);
    assert_eq!(caller.post("/v1.0/servicePrincipals", &json!({"appId": "x"})).status, 400);
    let spoilt = |path: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(path).expect("a member") = value;
        caller.post("/v1.0/applications", &body).status
    };
    assert_eq!(spoilt("/displayName", json!("")), 400);
    assert_eq!(spoilt("/signInAudience", json!("Everybody")), 400);
    assert_eq!(spoilt("/publicClient/redirectUris/0", json!("http://127.0.0.1")), 400);
    // A delegated id where an application's is meant, and one that nobody has.
    assert_eq!(spoilt("/requiredResourceAccess/0/resourceAccess/0/type", json!("Role")), 400);
    assert_eq!(
        spoilt("/requiredResourceAccess/0/resourceAccess/0/id", json!("11111111-2222-4333-8444-555555555555")),
        400
    );
    let mut extra = good.clone();
    extra["isPublic"] = true.into();
    assert_eq!(caller.post("/v1.0/applications", &extra).status, 400);
}

/// A refresh token is for the person and the application: other permissions may be asked for, if they have consent.
#[test]
fn a_refresh_token_gives_what_is_asked_for_and_has_consent() {
    let caller = Caller::stranger(spec());
    let begun = caller.form("devicecode", &[("scope", "User.Read offline_access")]).json();
    let code = begun["device_code"].as_str().expect("a code").to_owned();
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let token = loop {
        let reply = caller.form("token", &[grant, ("device_code", &code)]);
        if reply.status == 200 {
            break reply.json()["refresh_token"].as_str().expect("a token").to_owned();
        }
    };
    let refresh = |scope: &str| {
        caller.form("token", &[("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)])
    };
    let refused = refresh("Directory.ReadWrite.All offline_access");
    assert_eq!(refused.json()["error_codes"][0], 65_001);
    // The refusal did not spend it.
    let given = refresh("AuditLog.Read.All offline_access").json();
    assert_eq!(given["scope"], "https://graph.microsoft.com/AuditLog.Read.All");
}
