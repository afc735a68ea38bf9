//! Reading people.

use serde_json::{Map, Value, json};

use super::access::{self, Caller};
use super::errors;
use super::filter::Filter;
use super::http::{Answer, Call, Version};
use super::spec::UserType;
use super::store::{Person, Store};

/// What a user has when nothing is selected.
pub(super) const DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];
/// What can be selected besides.
const MORE: [&str; 7] = [
    "accountEnabled",
    "userType",
    "onPremisesSyncEnabled",
    "createdDateTime",
    "usageLocation",
    "externalUserState",
    "assignedLicenses",
];
/// What `User.ReadBasic.All` shows.
const BASIC: [&str; 6] = ["displayName", "givenName", "id", "mail", "surname", "userPrincipalName"];

/// How much of users a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Everything.
    Full,
    /// Names.
    Basic,
    /// Ids alone, "limited information".
    Ids,
}

pub(super) fn sight(caller: &Caller) -> Sight {
    if caller.has(&access::USER_READ) {
        Sight::Full
    } else if caller.has(&access::USER_READ_BASIC) {
        Sight::Basic
    } else {
        Sight::Ids
    }
}

fn property(person: &Person, name: &str) -> Value {
    match name {
        "id" => person.id.clone().into(),
        "userPrincipalName" => person.upn.clone().into(),
        "displayName" => person.display_name.clone().into(),
        "mail" => person.upn.clone().into(),
        "givenName" => person.display_name.split(' ').next().into(),
        "surname" => person.display_name.split_once(' ').map(|(_, rest)| rest).into(),
        "accountEnabled" => person.enabled.into(),
        "userType" => match person.user_type {
            UserType::Member => "Member".into(),
            UserType::Guest => "Guest".into(),
        },
        "externalUserState" if person.user_type == UserType::Guest => "Accepted".into(),
        "createdDateTime" => super::newcomers::created(person),
        "usageLocation" => person.account.usage_location.clone().into(),
        "assignedLicenses" => {
            person.account.licences.iter().map(|sku| json!({ "skuId": sku, "disabledPlans": [] })).collect()
        }
        "businessPhones" => json!([]),
        _ => Value::Null,
    }
}

/// The properties of a `$select`, or the default ones.
///
/// # Errors
/// 400 for a property that does not exist.
pub(super) fn selection(call: &Call) -> Result<Vec<&str>, Answer> {
    let Some(select) = call.query("$select") else { return Ok(DEFAULT.to_vec()) };
    let mut selected = Vec::new();
    for name in select.split(',').map(str::trim) {
        let known = DEFAULT.iter().chain(&MORE).find(|known| known.eq_ignore_ascii_case(name));
        selected.push(*known.ok_or_else(|| {
            errors::bad_request(format!("Could not find a property named '{name}' on type 'microsoft.graph.user'."))
        })?);
    }
    Ok(selected)
}

/// A user as JSON, as far as the caller sees one.
pub(super) fn shown(person: &Person, selected: &[&str], sight: Sight) -> Map<String, Value> {
    let visible = |name: &str| match sight {
        Sight::Full => true,
        Sight::Basic => BASIC.contains(&name),
        Sight::Ids => name == "id",
    };
    selected
        .iter()
        .map(|name| ((*name).to_owned(), if visible(name) { property(person, name) } else { Value::Null }))
        .collect()
}

/// `GET /me`
pub(super) fn me(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    let user = caller.user.as_deref().ok_or_else(access::me_without_person)?;
    if !caller.has(&["User.Read", "User.ReadBasic.All"]) && sight(caller) != Sight::Full {
        return Err(errors::insufficient_privileges());
    }
    let person = store.person(user).ok_or_else(|| errors::no_such_resource(user))?;
    Ok(entity(store, version, shown(person, &selection(call)?, Sight::Full)))
}

/// `GET /users/{id}`
pub(super) fn user(
    store: &Store,
    version: Version,
    caller: &Caller,
    name: &str,
    call: &Call,
) -> Result<Answer, Answer> {
    let sight = sight(caller);
    if sight == Sight::Ids {
        return Err(errors::insufficient_privileges());
    }
    let person = store.person(name).ok_or_else(|| errors::no_such_resource(name))?;
    Ok(entity(store, version, shown(person, &selection(call)?, sight)))
}

fn entity(store: &Store, version: Version, user: Map<String, Value>) -> Answer {
    let mut body = Map::new();
    body.insert("@odata.context".into(), format!("{}/{}/$metadata#users/$entity", store.base, version.name()).into());
    body.extend(user);
    Answer::json(200, body.into())
}

/// `GET /users`
pub(super) fn users(store: &Store, version: Version, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    let sight = sight(caller);
    if sight == Sight::Ids {
        return Err(errors::insufficient_privileges());
    }
    let selected = selection(call)?;
    let filter = call.query("$filter").map(Filter::parse).transpose();
    let filter = filter.map_err(|message| errors::graph(400, "Request_UnsupportedQuery", message))?;
    if let Some(unknown) =
        filter.iter().flat_map(Filter::properties).find(|name| !DEFAULT.contains(name) && !MORE.contains(name))
    {
        return Err(errors::graph(
            400,
            "Request_UnsupportedQuery",
            format!(
                "Unsupported or invalid query filter clause specified for property '{unknown}' of resource 'User'."
            ),
        ));
    }
    let plain = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let found = store
        .people
        .iter()
        .filter(|person| filter.as_ref().is_none_or(|filter| filter.matches(|name| plain(property(person, name)))))
        .map(|person| Value::Object(shown(person, &selected, sight)))
        .collect();
    page(store, version, "users", call, found)
}

/// One page of a collection, with the link to the next.
///
/// # Errors
/// 400 for a page size or page mark that can't be.
pub(super) fn page(
    store: &Store,
    version: Version,
    context: &str,
    call: &Call,
    all: Vec<Value>,
) -> Result<Answer, Answer> {
    let quirks = &store.spec.quirks;
    let top = match call.query("$top").map(str::parse::<usize>) {
        None => quirks.page_size,
        Some(Ok(top)) if (1..=999).contains(&top) => top,
        Some(_) => {
            return Err(errors::bad_request("Invalid page size specified: it must be between 1 and 999 inclusive."));
        }
    };
    let size = top.min(quirks.max_page_size).max(1);
    // The mark is opaque to callers: where the next page begins, dressed up.
    let start = match call.query("$skiptoken") {
        None => 0,
        Some(mark) => mark.strip_prefix("RFNwdAIAAQ").and_then(|mark| mark.parse::<usize>().ok()).ok_or_else(|| {
            errors::graph(
                400,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired and can no longer be included in your request.",
            )
        })?,
    };
    let count = all.len();
    let mut body = json!({ "@odata.context": format!("{}/{}/$metadata#{context}", store.base, version.name()) });
    if start == 0 && call.query("$count") == Some("true") {
        body["@odata.count"] = count.into();
    }
    let next = start.saturating_add(size);
    if next < count {
        let path: String = call.target.split('?').next().unwrap_or_default().to_owned();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in call.query.iter().filter(|(name, _)| name != "$skiptoken") {
            query.append_pair(name, value);
        }
        query.append_pair("$skiptoken", &format!("RFNwdAIAAQ{next}"));
        body["@odata.nextLink"] = format!("{}{path}?{}", store.base, query.finish()).into();
    }
    body["value"] = all.into_iter().skip(start).take(size).collect::<Vec<_>>().into();
    Ok(Answer::json(200, body))
}
