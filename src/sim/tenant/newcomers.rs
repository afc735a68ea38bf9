//! Making users and groups, licences, domains, and who is put into which group.
//!
//! From Microsoft's pages: required members, closed types, verified domains, unique names, seats, the usage location before a
//! licence, no rule-made or synced group by hand. Guessed: most texts.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::accounts::Account;
use super::errors;
use super::http::{Answer, Call, Version};
use super::members::{Type, body, object, text};
use super::spec::UserType;
use super::store::{Group, Person, Store};
use super::users;

const USER_WRITE: [&str; 2] = ["User.ReadWrite.All", "Directory.ReadWrite.All"];
const GROUP_WRITE: [&str; 2] = ["Group.ReadWrite.All", "Directory.ReadWrite.All"];
const MEMBER_WRITE: [&str; 3] = ["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"];

/// A permission, and for a person one of these roles.
fn may(store: &Store, caller: &Caller, scopes: &[&str], roles: &[&str]) -> Result<(), Answer> {
    let role = caller.user.as_ref().is_none_or(|user| {
        let held = store.person(user).map(|person| person.roles.as_slice()).unwrap_or_default();
        held.iter().any(|role| role == "Global Administrator" || roles.contains(&role.as_str()))
    });
    if role && caller.has(scopes) { Ok(()) } else { Err(errors::insufficient_privileges()) }
}

fn required<'a>(map: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    text(map, name)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| errors::bad_request(format!("A value is required for property '{name}' of resource 'User'.")))
}

fn invalid(name: &str) -> Answer {
    errors::bad_request(format!("Invalid value specified for property '{name}' of resource 'User'."))
}

/// Eight to 256 characters of three kinds out of four.
fn is_strong(password: &str) -> bool {
    let kinds: [fn(&char) -> bool; 4] =
        [char::is_ascii_uppercase, char::is_ascii_lowercase, char::is_ascii_digit, |c| !c.is_ascii_alphanumeric()];
    let used = kinds.iter().filter(|kind| password.chars().any(|c| kind(&c))).count();
    (8..=256).contains(&password.chars().count()) && used >= 3
}

/// `POST /users`
pub(super) fn create(store: &mut Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    may(store, caller, &USER_WRITE, &["User Administrator"])?;
    let map = body(
        call,
        "user",
        &[
            ("accountEnabled", Type::Flag),
            ("displayName", Type::Text),
            ("mailNickname", Type::Text),
            ("userPrincipalName", Type::Text),
            ("passwordProfile", Type::Object),
            ("usageLocation", Type::Text),
            ("givenName", Type::Text),
            ("surname", Type::Text),
        ],
    )?;
    let (upn, name) = (required(&map, "userPrincipalName")?, required(&map, "displayName")?);
    let nickname = required(&map, "mailNickname")?;
    let enabled = map
        .get("accountEnabled")
        .and_then(Value::as_bool)
        .ok_or_else(|| errors::bad_request("A value is required for property 'accountEnabled' of resource 'User'."))?;
    if name.chars().count() > 256 {
        return Err(invalid("displayName"));
    }
    if nickname.len() > 64
        || !nickname.is_ascii()
        || nickname.contains(['@', ' ', '(', ')', '<', '>', ',', ';', ':', '"', '\\', '[', ']'])
    {
        return Err(invalid("mailNickname"));
    }
    let local_ok = |local: &str| {
        (1..=64).contains(&local.len())
            && local.chars().all(|c| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c))
            && !local.starts_with('.')
            && !local.ends_with('.')
    };
    let (local, domain) = upn.split_once('@').ok_or_else(|| invalid("userPrincipalName"))?;
    if !local_ok(local) {
        return Err(invalid("userPrincipalName"));
    }
    match store.spec.domains().into_iter().find(|known| known.name.eq_ignore_ascii_case(domain)) {
        None => {
            return Err(errors::bad_request(
                "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.",
            ));
        }
        Some(known) if !known.verified => {
            return Err(errors::bad_request("The domain of the userPrincipalName is not verified."));
        }
        Some(known) if known.federated => {
            return Err(errors::bad_request("Property onPremisesImmutableId is required for a federated domain."));
        }
        Some(_) => {}
    }
    let profile = map
        .get("passwordProfile")
        .cloned()
        .ok_or_else(|| errors::bad_request("A password must be specified to create a new user."))?;
    let profile = object(
        profile,
        "passwordProfile",
        &[
            ("password", Type::Text),
            ("forceChangePasswordNextSignIn", Type::Flag),
            ("forceChangePasswordNextSignInWithMfa", Type::Flag),
        ],
    )?;
    if !is_strong(text(&profile, "password").unwrap_or_default()) {
        return Err(errors::bad_request(
            "The specified password does not comply with password complexity requirements. Please provide a different password.",
        ));
    }
    let location = text(&map, "usageLocation");
    if location.is_some_and(|location| location.len() != 2 || !location.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(invalid("usageLocation"));
    }
    if store.person(upn).is_some() {
        return Err(errors::bad_request(
            "Another object with the same value for property userPrincipalName already exists.",
        ));
    }
    let (upn, name, location) = (upn.to_owned(), name.to_owned(), location.map(str::to_owned));
    store.secrets.push(text(&profile, "password").unwrap_or_default().to_owned());
    let id = store.fresh_guid("user");
    let now = store.now();
    let account = Account {
        usage_location: location,
        hidden_reads: store.spec.quirks.new_user_lag_reads,
        created: Some(now),
        ..Account::default()
    };
    store.people.push(Person {
        id: id.clone(),
        upn,
        display_name: name,
        user_type: UserType::Member,
        enabled,
        roles: Vec::new(),
        groups: Vec::new(),
        listed: true,
        methods: Vec::new(),
        account,
        eligible_roles: Vec::new(),
        registered: Vec::new(),
        sspr: false,
        manager: None,
        mailbox: true,
    });
    let person = store.person(&id).ok_or_else(|| errors::no_such_resource(&id))?;
    let mut shown = users::shown(person, &users::DEFAULT, users::Sight::Full);
    shown.shift_insert(
        0,
        "@odata.context".into(),
        format!("{}/{}/$metadata#users/$entity", store.base, version.name()).into(),
    );
    Ok(Answer::json(201, shown.into()))
}

/// `PATCH /users/{id}`: the usage location alone.
pub(super) fn change(store: &mut Store, caller: &Caller, name: &str, call: &Call) -> Result<Answer, Answer> {
    may(store, caller, &USER_WRITE, &["User Administrator"])?;
    let map = body(call, "user", &[("usageLocation", Type::Text)])?;
    let location = text(&map, "usageLocation").unwrap_or_default().to_owned();
    if location.len() != 2 || !location.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(invalid("usageLocation"));
    }
    let id = store.person(name).ok_or_else(|| errors::no_such_resource(name))?.id.clone();
    if let Some(person) = store.person_mut(&id) {
        person.account.usage_location = Some(location);
    }
    Ok(Answer::empty(204))
}

/// `GET /domains`
pub(super) fn domains(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    may(
        store,
        caller,
        &["Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All"],
        &["Global Reader", "User Administrator", "Domain Name Administrator"],
    )?;
    let initial = store.spec.domain.clone();
    let all = store.spec.domains().into_iter().map(|domain| {
        json!({
            "id": domain.name,
            "isVerified": domain.verified,
            "isDefault": domain.name == initial,
            "isInitial": domain.name == initial,
            "authenticationType": if domain.federated { "Federated" } else { "Managed" },
            "supportedServices": ["Email", "OfficeCommunicationsOnline"],
        })
    });
    users::page(store, version, "domains", call, all.collect())
}

fn used(store: &Store, sku: &str) -> usize {
    store.people.iter().filter(|person| person.account.licences.iter().any(|held| held == sku)).count()
}

pub(super) fn sku_id(store: &Store, name: &str) -> String {
    store.seed.guid(&format!("sku {name}"))
}

/// `GET /subscribedSkus`
pub(super) fn skus(store: &Store, version: Version, caller: &Caller) -> Result<Answer, Answer> {
    may(
        store,
        caller,
        &[
            "LicenseAssignment.Read.All",
            "LicenseAssignment.ReadWrite.All",
            "Organization.Read.All",
            "Directory.Read.All",
        ],
        &["Global Reader", "License Administrator", "User Administrator"],
    )?;
    let all = store.spec.licences.iter().map(|licence| {
        let id = sku_id(store, &licence.name);
        json!({
            "id": format!("{}_{id}", store.tenant_id),
            "skuId": id,
            "skuPartNumber": licence.name,
            "appliesTo": "User",
            "capabilityStatus": "Enabled",
            "consumedUnits": used(store, &id),
            "prepaidUnits": { "enabled": licence.seats, "suspended": 0, "warning": 0, "lockedOut": 0 },
            "servicePlans": super::policies::plans(&licence.name),
        })
    });
    let context = format!("{}/{}/$metadata#subscribedSkus", store.base, version.name());
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": all.collect::<Vec<_>>() })))
}

/// `POST /users/{id}/assignLicense`
pub(super) fn assign(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    name: &str,
    call: &Call,
) -> Result<Answer, Answer> {
    let scopes = ["LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
    may(store, caller, &scopes, &["License Administrator", "User Administrator"])?;
    let map = body(call, "assignLicense", &[("addLicenses", Type::List), ("removeLicenses", Type::List)])?;
    let list = |name: &str| {
        map.get(name).and_then(Value::as_array).cloned().ok_or_else(|| {
            errors::bad_request(format!("One or more parameters of the operation 'assignLicense' are missing from the request payload. The missing parameters are: {name}."))
        })
    };
    let (add, _remove) = (list("addLicenses")?, list("removeLicenses")?);
    let person = store.person(name).ok_or_else(|| errors::no_such_resource(name))?;
    if person.account.usage_location.is_none() {
        return Err(errors::bad_request("License assignment cannot be done for user with invalid usage location."));
    }
    let id = person.id.clone();
    let mut granted = Vec::new();
    for one in add {
        let one = object(one, "assignedLicense", &[("skuId", Type::Text), ("disabledPlans", Type::List)])?;
        let wanted = text(&one, "skuId").unwrap_or_default().to_ascii_lowercase();
        let licence = store.spec.licences.iter().find(|licence| sku_id(store, &licence.name) == wanted);
        let Some(licence) = licence else {
            return Err(errors::bad_request(format!(
                "License {wanted} does not correspond to a valid company License."
            )));
        };
        let has = store.person(&id).is_some_and(|person| person.account.licences.contains(&wanted));
        if !has && used(store, &wanted) >= usize::try_from(licence.seats).unwrap_or(usize::MAX) {
            return Err(errors::bad_request(format!(
                "Subscription with SKU {wanted} does not have any available licenses."
            )));
        }
        granted.push(wanted);
    }
    if let Some(person) = store.person_mut(&id) {
        granted.retain(|sku| !person.account.licences.contains(sku));
        person.account.licences.extend(granted);
    }
    let person = store.person(&id).ok_or_else(|| errors::no_such_resource(&id))?;
    let mut shown = users::shown(person, &users::DEFAULT, users::Sight::Full);
    let context = format!("{}/{}/$metadata#users/$entity", store.base, version.name());
    shown.shift_insert(0, "@odata.context".into(), context.into());
    Ok(Answer::json(200, shown.into()))
}

/// `POST /groups`
pub(super) fn create_group(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    call: &Call,
) -> Result<Answer, Answer> {
    may(store, caller, &GROUP_WRITE, &["Groups Administrator", "User Administrator"])?;
    let map = body(
        call,
        "group",
        &[
            ("displayName", Type::Text),
            ("description", Type::Text),
            ("mailEnabled", Type::Flag),
            ("mailNickname", Type::Text),
            ("securityEnabled", Type::Flag),
        ],
    )?;
    for name in ["displayName", "mailNickname"] {
        if text(&map, name).is_none_or(|text| text.is_empty() || text.chars().count() > 256) {
            return Err(errors::bad_request(format!("A value is required for property '{name}' of resource 'Group'.")));
        }
    }
    for name in ["mailEnabled", "securityEnabled"] {
        if !map.contains_key(name) {
            return Err(errors::bad_request(format!("A value is required for property '{name}' of resource 'Group'.")));
        }
    }
    if map.get("mailEnabled") == Some(&Value::Bool(true)) || map.get("securityEnabled") == Some(&Value::Bool(false)) {
        return Err(errors::bad_request("Only security groups can be made here."));
    }
    if !text(&map, "mailNickname").unwrap_or_default().is_ascii() {
        return Err(errors::bad_request("Invalid value specified for property 'mailNickname' of resource 'Group'."));
    }
    // Names need not be unique in a real tenant; ids are.
    let group = Group {
        id: store.fresh_guid("group"),
        name: text(&map, "displayName").unwrap_or_default().to_owned(),
        role_assignable: false,
        dynamic: false,
        parents: Vec::new(),
    };
    let body = json!({
        "@odata.context": format!("{}/{}/$metadata#groups/$entity", store.base, version.name()),
        "id": group.id, "displayName": group.name, "description": map.get("description"), "mailEnabled": false,
        "mailNickname": map.get("mailNickname"), "securityEnabled": true, "groupTypes": [], "isAssignableToRole": null,
    });
    store.groups.push(group);
    Ok(Answer::json(201, body))
}

/// The group, once its members may be changed by hand.
fn open_group<'a>(store: &'a Store, caller: &Caller, id: &str) -> Result<&'a Group, Answer> {
    may(store, caller, &MEMBER_WRITE, &["Groups Administrator", "User Administrator"])?;
    let group = store
        .groups
        .iter()
        .find(|group| group.id.eq_ignore_ascii_case(id))
        .ok_or_else(|| errors::no_such_resource(id))?;
    if group.dynamic {
        return Err(errors::bad_request("Updating members of a dynamic group is not allowed."));
    }
    if group.role_assignable && !caller.has(&["RoleManagement.ReadWrite.Directory"]) {
        return Err(errors::insufficient_privileges());
    }
    Ok(group)
}

/// `POST /groups/{id}/members/$ref`
pub(super) fn add_member(store: &mut Store, caller: &Caller, id: &str, call: &Call) -> Result<Answer, Answer> {
    let group = open_group(store, caller, id)?.id.clone();
    if !call.is_json() {
        return Err(errors::bad_request("A Content-Type header of application/json is required."));
    }
    let value: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let only = value.as_object().is_some_and(|map| map.len() == 1);
    let named = value["@odata.id"].as_str().filter(|_| only);
    let member = named.and_then(|url| {
        let path = url.split_once("/v1.0/").or_else(|| url.split_once("/beta/")).map(|(_, path)| path)?;
        path.strip_prefix("directoryObjects/").or_else(|| path.strip_prefix("users/"))
    });
    let member = member.filter(|id| uuid::Uuid::try_parse(id).is_ok()).ok_or_else(|| {
        errors::bad_request(
            "The request must hold '@odata.id' with the address of one directory object, and nothing else.",
        )
    })?;
    let person = store.person(member).ok_or_else(|| errors::no_such_resource(member))?;
    if person.groups.contains(&group) {
        return Err(errors::bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    let user = person.id.clone();
    if let Some(person) = store.person_mut(&user) {
        person.groups.push(group);
    }
    Ok(Answer::empty(204))
}

/// `DELETE /groups/{id}/members/{id}/$ref`
pub(super) fn remove_member(store: &mut Store, caller: &Caller, id: &str, member: &str) -> Result<Answer, Answer> {
    let group = open_group(store, caller, id)?.id.clone();
    let user = store.person(member).ok_or_else(|| errors::no_such_resource(member))?.id.clone();
    let person = store.person_mut(&user).ok_or_else(|| errors::no_such_resource(member))?;
    let index = person.groups.iter().position(|held| *held == group).ok_or_else(|| errors::no_such_resource(member))?;
    person.groups.remove(index);
    Ok(Answer::empty(204))
}

/// When a person was made.
pub(super) fn created(person: &Person) -> Value {
    let made: Option<Timestamp> = person.account.created;
    made.map_or_else(|| "2024-02-29T08:00:00Z".into(), |time| super::store::seconds(time).into())
}
