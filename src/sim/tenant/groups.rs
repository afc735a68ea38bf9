//! Groups, who is in them, and what a person is in.

use serde_json::{Value, json};

use super::access::{self, Caller, role_template};
use super::errors;
use super::filter::Filter;
use super::http::{Answer, Call, Version};
use super::route::Who;
use super::store::{Group, Store};
use super::users::{page, selection, shown, sight};

const PROPERTIES: [&str; 9] = [
    "id",
    "displayName",
    "description",
    "mail",
    "isAssignableToRole",
    "securityEnabled",
    "mailEnabled",
    "groupTypes",
    "onPremisesSyncEnabled",
];

fn property(group: &Group, name: &str) -> Value {
    match name {
        "id" => group.id.clone().into(),
        "displayName" => group.name.clone().into(),
        // Null, not false, on groups that were not made for roles.
        "isAssignableToRole" => group.role_assignable.then_some(true).into(),
        "securityEnabled" => true.into(),
        "mailEnabled" => false.into(),
        "groupTypes" if group.dynamic => json!(["DynamicMembership"]),
        "groupTypes" => json!([]),
        _ => Value::Null,
    }
}

fn selected(call: &Call) -> Result<Vec<&str>, Answer> {
    let Some(select) = call.query("$select") else { return Ok(PROPERTIES.to_vec()) };
    let known = |name: &str| PROPERTIES.iter().copied().find(|known| known.eq_ignore_ascii_case(name.trim()));
    select
        .split(',')
        .map(|name| {
            known(name).ok_or_else(|| {
                errors::bad_request(format!(
                    "Could not find a property named '{name}' on type 'microsoft.graph.group'."
                ))
            })
        })
        .collect()
}

fn as_json(group: &Group, selected: &[&str]) -> Value {
    selected.iter().map(|name| ((*name).to_owned(), property(group, name))).collect::<serde_json::Map<_, _>>().into()
}

fn may_read(caller: &Caller) -> Result<(), Answer> {
    if caller.has(&access::GROUP_READ) { Ok(()) } else { Err(errors::insufficient_privileges()) }
}

/// An OData cast, or advanced query, works only with both of these.
fn needs_eventual(call: &Call) -> Result<(), Answer> {
    let eventual = call.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    if eventual && call.query("$count") == Some("true") {
        return Ok(());
    }
    Err(errors::graph(
        400,
        "Request_UnsupportedQuery",
        "Request with $filter, $search, $orderby or an OData cast in the path requires the 'ConsistencyLevel: eventual' header and the $count=true query option.",
    ))
}

/// `GET /groups/{id}`
pub(super) fn group(store: &Store, version: Version, caller: &Caller, id: &str, call: &Call) -> Result<Answer, Answer> {
    may_read(caller)?;
    let group = find(store, id)?;
    let mut body = as_json(group, &selected(call)?);
    body["@odata.context"] = format!("{}/{}/$metadata#groups/$entity", store.base, version.name()).into();
    Ok(Answer::json(200, body))
}

fn find<'a>(store: &'a Store, id: &str) -> Result<&'a Group, Answer> {
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(errors::bad_request(format!("Invalid object identifier '{id}'.")));
    }
    store.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id)).ok_or_else(|| errors::no_such_resource(id))
}

/// `GET /groups`
pub(super) fn groups(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    may_read(caller)?;
    let selected = selected(call)?;
    let filter = call.query("$filter").map(Filter::parse).transpose();
    let filter = filter.map_err(|message| errors::graph(400, "Request_UnsupportedQuery", message))?;
    if let Some(unknown) = filter.iter().flat_map(Filter::properties).find(|name| !PROPERTIES.contains(name)) {
        return Err(errors::graph(
            400,
            "Request_UnsupportedQuery",
            format!(
                "Unsupported or invalid query filter clause specified for property '{unknown}' of resource 'Group'."
            ),
        ));
    }
    let plain = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let found = store
        .groups
        .iter()
        .filter(|group| filter.as_ref().is_none_or(|filter| filter.matches(|name| plain(property(group, name)))))
        .map(|group| as_json(group, &selected))
        .collect();
    page(store, version, "groups", call, found)
}

/// `GET /groups/{id}/members` and `/transitiveMembers`, bare or cast to users.
pub(super) fn members(
    store: &Store,
    version: Version,
    caller: &Caller,
    (id, transitive, cast): (&str, bool, Option<&str>),
    call: &Call,
) -> Result<Answer, Answer> {
    may_read(caller)?;
    let group = find(store, id)?;
    match cast {
        None => {}
        Some("microsoft.graph.user") => needs_eventual(call)?,
        Some("microsoft.graph.group") => return page(store, version, "groups", call, Vec::new()),
        Some(other) => return Err(errors::bad_request(format!("Resource not found for the segment '{other}'."))),
    }
    let selected = selection(call)?;
    let within = |person| {
        if transitive {
            store.all_groups_of(person).iter().any(|found| found.id == group.id)
        } else {
            person.groups.contains(&group.id)
        }
    };
    let mut found: Vec<Value> = Vec::new();
    for person in store.people.iter().filter(|person| within(person)) {
        let mut user = shown(person, &selected, sight(caller));
        if cast.is_none() {
            user.shift_insert(0, "@odata.type".into(), "#microsoft.graph.user".into());
        }
        found.push(user.into());
    }
    if cast.is_none() {
        // Bare lists hold groups too; who follows them without looking at the type finds them here.
        for child in store.groups.iter().filter(|child| child.parents.contains(&group.id)) {
            found.push(json!({ "@odata.type": "#microsoft.graph.group", "id": child.id, "displayName": child.name }));
        }
    }
    page(store, version, if cast.is_some() { "users" } else { "directoryObjects" }, call, found)
}

/// `GET /users/{id}/memberOf` and `/transitiveMemberOf`, bare or cast to roles or groups.
pub(super) fn member_of(
    store: &Store,
    version: Version,
    caller: &Caller,
    (who, transitive, cast): (&Who, bool, Option<&str>),
    call: &Call,
) -> Result<Answer, Answer> {
    if *who == Who::Me && caller.user.is_none() {
        return Err(access::me_without_person());
    }
    let own = *who == Who::Me && caller.has(&["User.Read"]);
    let (roles, groups) = match cast {
        None => (true, true),
        Some("microsoft.graph.directoryrole") => (true, false),
        Some("microsoft.graph.group") => (false, true),
        Some(other) => return Err(errors::bad_request(format!("Resource not found for the segment '{other}'."))),
    };
    let may = own
        || caller.has(&access::USER_READ)
        || groups && caller.has(&access::GROUP_READ)
        || roles && caller.has(&access::ROLE_READ);
    if !may {
        return Err(errors::insufficient_privileges());
    }
    let person = store.who(who, caller).ok_or_else(|| errors::no_such_resource(&name_of(who)))?;
    let typed = |kind: &str, mut value: Value| {
        if let (None, Some(object)) = (cast, value.as_object_mut()) {
            object.shift_insert(0, "@odata.type".into(), kind.into());
        }
        value
    };
    let mut found = Vec::new();
    if roles {
        // Without a right to read roles they are there, but nameless: "limited information".
        let named = own || caller.has(&access::ROLE_READ);
        for role in &person.roles {
            let template =
                role_template(role).map_or_else(|| store.seed.guid(&format!("template {role}")), str::to_owned);
            let mut value =
                json!({ "id": store.seed.guid(&format!("role {role}")), "displayName": null, "roleTemplateId": null });
            if named {
                value["displayName"] = role.clone().into();
                value["roleTemplateId"] = template.into();
            }
            found.push(typed("#microsoft.graph.directoryRole", value));
        }
    }
    if groups {
        let selected = if roles { PROPERTIES.to_vec() } else { selected(call)? };
        for group in store.all_groups_of(person) {
            if transitive || person.groups.contains(&group.id) {
                found.push(typed("#microsoft.graph.group", as_json(group, &selected)));
            }
        }
    }
    page(store, version, "directoryObjects", call, found)
}

/// `POST /users/{id}/checkMemberGroups`: which of up to 20 groups a person is in.
pub(super) fn check(
    store: &Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    call: &Call,
) -> Result<Answer, Answer> {
    if !caller.has(&access::USER_READ) && !caller.has(&access::GROUP_READ) {
        return Err(errors::insufficient_privileges());
    }
    let person = store.who(who, caller).ok_or_else(|| errors::no_such_resource(&name_of(who)))?;
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let asked =
        body.get("groupIds").and_then(Value::as_array).filter(|ids| call.is_json() && (1..=20).contains(&ids.len()));
    let asked = asked.ok_or_else(|| errors::bad_request("groupIds is an array of 1 to 20 ids."))?;
    let groups = store.all_groups_of(person);
    let within: Vec<&Value> = asked
        .iter()
        .filter(|id| id.as_str().is_some_and(|id| groups.iter().any(|group| group.id.eq_ignore_ascii_case(id))))
        .collect();
    let context = format!("{}/{}/$metadata#Collection(Edm.String)", store.base, version.name());
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": within })))
}

/// `POST /users/{id}/getMemberGroups`: every group a person is in, directly or through groups.
pub(super) fn all_of(
    store: &Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    call: &Call,
) -> Result<Answer, Answer> {
    if !caller.has(&access::USER_READ) && !caller.has(&access::GROUP_READ) {
        return Err(errors::insufficient_privileges());
    }
    let person = store.who(who, caller).ok_or_else(|| errors::no_such_resource(&name_of(who)))?;
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let asked = body.get("securityEnabledOnly").and_then(Value::as_bool).filter(|_| call.is_json());
    // Groups that are not for security there are none here.
    asked.ok_or_else(|| errors::bad_request("securityEnabledOnly is true or false."))?;
    let ids: Vec<&str> = store.all_groups_of(person).iter().map(|group| group.id.as_str()).collect();
    let context = format!("{}/{}/$metadata#Collection(Edm.String)", store.base, version.name());
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": ids })))
}

fn name_of(who: &Who) -> String {
    match who {
        Who::Me => "me".into(),
        Who::Named(name) => name.clone(),
    }
}
