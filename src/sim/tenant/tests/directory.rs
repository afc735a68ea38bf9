//! People, groups, policy and batches.

use serde_json::{Value, json};

use super::super::spec::{GroupSpec, TenantSpec};
use super::{Caller, KIM, send, spec};

#[test]
fn a_person_is_found_by_id_name_and_filter() {
    let caller = Caller::app(spec());
    let id = caller.id_of(KIM);
    let by_name = caller.get("/v1.0/users/KIM.O%27reilly%40contoso.example?$select=id,accountEnabled,userType").json();
    assert_eq!(by_name["id"], id);
    assert_eq!((&by_name["accountEnabled"], &by_name["userType"]), (&json!(true), &json!("Member")));
    let plain = caller.get(&format!("/beta/users/{id}")).json();
    assert_eq!(plain["userPrincipalName"], KIM);
    assert!(plain.get("accountEnabled").is_none(), "only when selected");
    let filter = "/v1.0/users?$filter=userPrincipalName%20eq%20%27kim.o%27%27reilly%40contoso.example%27";
    assert_eq!(caller.get(filter).json()["value"][0]["id"], id);
    let unquoted = "/v1.0/users?$filter=userPrincipalName%20eq%20%27kim.o%27reilly%40contoso.example%27";
    assert_eq!(caller.get(unquoted).code(), "Request_UnsupportedQuery");
    assert_eq!(caller.get("/v1.0/users?$filter=nickname%20eq%20%27x%27").status, 400);
    assert_eq!(caller.get("/v1.0/users/nobody%40contoso.example").code(), "Request_ResourceNotFound");
    assert_eq!(caller.get("/v1.0/users?$select=nickname").code(), "Request_BadRequest");
    assert_eq!(caller.get("/v1.0/me").status, 400, "the application is nobody");
}

#[test]
fn weak_permissions_see_less() {
    let mut basic = spec();
    basic.app.permissions = vec!["User.ReadBasic.All".into()];
    let caller = Caller::app(basic);
    let user = caller.get("/v1.0/users/lee%40contoso.example?$select=id,displayName,accountEnabled").json();
    assert_eq!((&user["displayName"], &user["accountEnabled"]), (&json!("lee"), &Value::Null));
    assert_eq!(caller.get("/v1.0/groups").code(), "Authorization_RequestDenied");
    let mut none = spec();
    none.app.permissions = vec!["GroupMember.Read.All".into()];
    let caller = Caller::app(none);
    assert_eq!(caller.get("/v1.0/users").status, 403);
    let members = format!("/v1.0/groups/{}/members", group_id(&caller, "Key holders"));
    let first = caller.get(&members).json()["value"][0].clone();
    assert!(first["id"].is_string() && first["displayName"].is_null(), "{first}");
}

fn group_id(caller: &Caller, name: &str) -> String {
    let found =
        caller.get(&format!("/v1.0/groups?$filter=displayName%20eq%20%27{}%27", name.replace(' ', "%20"))).json();
    found["value"][0]["id"].as_str().expect("a group").to_owned()
}

/// Key holders are within Everybody, which is within Roles.
fn nested() -> TenantSpec {
    let group = |name: &str, parent: &[&str], role_assignable| GroupSpec {
        name: name.into(),
        role_assignable,
        parents: parent.iter().map(|parent| (*parent).to_owned()).collect(),
        ..GroupSpec::default()
    };
    let mut spec = spec();
    spec.groups = vec![group("Key holders", &["Everybody"], false), group("Everybody", &[], false)];
    spec.quirks.max_page_size = 2;
    spec
}

#[test]
fn members_are_transitive_cast_counted_and_paged() {
    let caller = Caller::app(nested());
    let id = group_id(&caller, "Everybody");
    let cast = format!(
        "/v1.0/groups/{id}/transitiveMembers/microsoft.graph.user?$count=true&$select=id,userPrincipalName&$top=999"
    );
    assert_eq!(caller.get(&cast).code(), "Request_UnsupportedQuery", "without the header");
    let eventual =
        |target: &str| send(caller.http.get(target).bearer_auth(&caller.token).header("ConsistencyLevel", "eventual"));
    let bare = format!("/v1.0/groups/{id}/transitiveMembers/microsoft.graph.user");
    assert_eq!(eventual(&format!("{}{bare}", caller.tenant.graph_url)).status, 400, "without $count");
    let mut next = Some(format!("{}{cast}", caller.tenant.graph_url));
    let (mut pages, mut found) = (0, Vec::new());
    while let Some(link) = next {
        let page = eventual(&link).json();
        assert_eq!(page.get("@odata.count").is_some(), pages == 0, "only on the first page");
        found.extend(page["value"].as_array().expect("a page").iter().map(|user| user["userPrincipalName"].clone()));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, found.len()), (2, 4));
    // Bare lists tell the type, and hold groups.
    let direct = caller.get(&format!("/v1.0/groups/{id}/members")).json();
    assert_eq!(direct["value"][0]["@odata.type"], "#microsoft.graph.group");
    assert_eq!(caller.get("/v1.0/groups/not-an-id").status, 400);
}

#[test]
fn what_a_person_is_in() {
    let mut spec = nested();
    spec.groups.push(GroupSpec { name: "Tier zero".into(), role_assignable: true, ..GroupSpec::default() });
    spec.people[1].groups.push("Tier zero".into());
    let caller = Caller::app(spec);
    let roles =
        caller.get("/v1.0/users/chief%40contoso.example/transitiveMemberOf/microsoft.graph.directoryRole").json();
    assert_eq!(roles["value"][0]["displayName"], "Global Administrator");
    assert_eq!(roles["value"][0]["roleTemplateId"], "62e90394-69f5-4237-9190-012177145e10");
    let groups = caller.get("/v1.0/users/lee%40contoso.example/transitiveMemberOf/microsoft.graph.group?$select=id,displayName,isAssignableToRole&$top=999");
    let names: Vec<_> =
        groups.json()["value"].as_array().expect("groups").iter().map(|g| g["displayName"].clone()).collect();
    assert_eq!(names.len(), 2, "a page of two of three");
    let (inner, outer, other) =
        (group_id(&caller, "Key holders"), group_id(&caller, "Everybody"), group_id(&caller, "Tier zero"));
    let asked = json!({ "groupIds": [inner, outer, other] });
    let checked = caller.post("/v1.0/users/kim.o%27reilly%40contoso.example/checkMemberGroups", &asked).json();
    assert_eq!(checked["value"], json!([inner, outer]));
    let many = json!({ "groupIds": vec![inner; 21] });
    assert_eq!(caller.post("/v1.0/users/lee%40contoso.example/checkMemberGroups", &many).status, 400);
}

#[test]
fn members_of_role_assignable_groups_are_privileged() {
    let mut spec = spec();
    spec.groups.push(GroupSpec { name: "Tier zero".into(), role_assignable: true, ..GroupSpec::default() });
    spec.people[1].groups.push("Tier zero".into());
    let caller = Caller::person(spec);
    assert_eq!(caller.get("/v1.0/users/lee%40contoso.example/authentication/fido2Methods/creationOptions").status, 403);
    assert_eq!(caller.get("/v1.0/me").json()["userPrincipalName"], "bench.admin@contoso.example");
}

#[test]
fn the_policy_is_shown_as_graph_shows_it() {
    let mut spec = spec();
    spec.policy.exclude_groups = vec!["Key holders".into()];
    let caller = Caller::app(spec);
    let policy =
        caller.get("/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/FIDO2").json();
    assert_eq!((&policy["id"], &policy["state"]), (&json!("Fido2"), &json!("enabled")));
    assert_eq!(policy["isSelfServiceRegistrationAllowed"], true);
    assert_eq!(policy["passkeyProfiles"][0]["passkeyTypes"], "deviceBound");
    assert_eq!(policy["includeTargets"][0]["id"], "all_users");
    assert_eq!(policy["excludeTargets"][0]["id"], group_id(&caller, "Key holders"));
    let whole = caller.get("/v1.0/policies/authenticationMethodsPolicy").json();
    assert_eq!(whole["authenticationMethodConfigurations"][0]["id"], "Fido2");
    caller.sim("policy", json!({ "profile": [] }));
    let old = caller.get("/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2").json();
    assert!(old.get("passkeyProfiles").is_none() && old["keyRestrictions"]["isEnforced"] == false);
    assert_eq!(caller.get("/v1.0/organization").json()["value"][0]["id"], caller.tenant.tenant_id);

    let mut unread = super::spec();
    unread.sign_in.roles = vec!["Authentication Administrator".into()];
    let caller = Caller::person(unread);
    assert_eq!(caller.get("/v1.0/policies/authenticationMethodsPolicy").status, 403, "that role can't read it");
}

#[test]
fn a_batch_answers_part_by_part() {
    let caller = Caller::app(spec());
    caller.sim(
        "fault",
        json!({ "on": "user", "upn": "lee@contoso.example", "then": "status", "status": 429, "retry_after": 7 }),
    );
    let get = |id: &str, url: &str| json!({ "id": id, "method": "GET", "url": url });
    let reply = caller.post(
        "/v1.0/$batch",
        &json!({ "requests": [
            get("a", "/users/kim.o%27reilly%40contoso.example?$select=id"),
            get("b", "/users/lee%40contoso.example"),
            get("c", "/users/nobody%40contoso.example"),
            { "id": "d", "method": "GET", "url": "/users", "dependsOn": ["c"] },
        ] }),
    );
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let part = |id: &str| {
        body["responses"].as_array().expect("parts").iter().find(|part| part["id"] == id).expect("a part").clone()
    };
    assert_eq!(part("a")["status"], 200);
    assert_eq!(part("a")["body"]["id"], caller.id_of(KIM));
    assert_eq!((&part("b")["status"], &part("b")["headers"]["Retry-After"]), (&json!(429), &json!("7")));
    assert_eq!((&part("c")["status"], &part("d")["status"]), (&json!(404), &json!(424)));
    assert_eq!(caller.tenant.state()["requests"], json!({ "batch": 1, "token": 1 }), "parts are not requests");

    let refused =
        |requests: Value| assert_eq!(caller.post("/v1.0/$batch", &json!({ "requests": requests })).status, 400);
    refused((0..21).map(|n| get(&n.to_string(), "/users")).collect());
    refused(json!([]));
    refused(json!([get("a", "/users"), get("A", "/users")]));
    refused(json!([get("a", "users")]));
    refused(json!([{ "id": "a", "method": "POST", "url": "/users/x/checkMemberGroups", "body": {} }]));
}
