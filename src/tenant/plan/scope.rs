//! Where a Conditional Access policy acts and for whom, and whether that has grown.
//!
//! Exceptions: a condition that is not understood here counts as grown whenever it changed; who is in a group through another
//! group is for Graph to say ([`Person::groups`]).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tenant::overlay::same;
use crate::tenant::people::Person;

/// Places that a plan changes, by id in lower case: a policy that names one acts elsewhere than before.
pub(super) type MovedPlaces = BTreeSet<String>;

/// Whether it is enforced.
pub(super) fn acts(policy: &Value) -> bool {
    policy["state"] == "enabled"
}

/// Whether it is about something people do to their account or device, not about signing in.
pub(super) fn is_user_action(policy: &Value) -> bool {
    policy["conditions"]["applications"]["includeUserActions"].as_array().is_some_and(|list| !list.is_empty())
}

/// Whether it acts at every sign-in of whom it is for: every app is meant, and no other condition says anything, whether it is known
/// here or not.
pub(super) fn is_for_every_sign_in(policy: &Value) -> bool {
    let conditions = &policy["conditions"];
    set(&conditions["applications"]["includeApplications"]).contains("all")
        && conditions
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, condition)| name == "users" || name.contains("@odata.") || is_any(condition))
}

/// Whether it is for everybody, apart from whom it spares.
pub(super) fn is_for_all_people(policy: &Value) -> bool {
    set(&policy["conditions"]["users"]["includeUsers"]).contains("all")
}

/// Whether it is for this person.
pub(super) fn applies(policy: &Value, person: &Person) -> bool {
    names(policy, "include", person) && !spares(policy, person)
}

/// Whether it excludes this person, by name, group or role.
pub(super) fn spares(policy: &Value, person: &Person) -> bool {
    names(policy, "exclude", person)
}

fn names(policy: &Value, which: &str, person: &Person) -> bool {
    let users = &policy["conditions"]["users"];
    let list = |what: &str| set(&users[format!("{which}{what}")]);
    let people = list("Users");
    people.contains("all")
        || people.contains(&person.id)
        || list("Groups").iter().any(|id| person.groups.contains(id))
        || list("Roles").iter().any(|id| person.roles.contains(id))
}

/// Whom a policy is for, one by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Crowd {
    /// Everybody.
    All,
    /// Guests.
    Guests,
    /// One person.
    User(String),
    /// A group.
    Group(String),
    /// Whoever holds this role.
    Role(String),
}

/// Whom it names: `include` or `exclude`.
fn crowds(policy: &Value, which: &str) -> BTreeSet<Crowd> {
    let users = &policy["conditions"]["users"];
    let list = |what: &str| set(&users[format!("{which}{what}")]);
    let person = |id: String| match id.as_str() {
        "all" => Some(Crowd::All),
        "none" => None,
        "guestsorexternalusers" => Some(Crowd::Guests),
        _ => Some(Crowd::User(id)),
    };
    let mut found: BTreeSet<Crowd> = list("Users").into_iter().filter_map(person).collect();
    found.extend(list("Groups").into_iter().map(Crowd::Group));
    found.extend(list("Roles").into_iter().map(Crowd::Role));
    if !users[format!("{which}GuestsOrExternalUsers")].is_null() {
        found.insert(Crowd::Guests);
    }
    found
}

/// Whom it is for now and was not before; `stricter`: it demands more, or acts where it did not, so everybody it is for counts.
pub(super) fn newcomers(after: &Value, before: Option<&Value>, stricter: bool) -> BTreeSet<Crowd> {
    let include = crowds(after, "include");
    let Some(before) = before.filter(|before| acts(before) && !stricter) else { return include };
    let was = crowds(before, "include");
    let mut new: BTreeSet<Crowd> =
        if was.contains(&Crowd::All) { BTreeSet::new() } else { include.difference(&was).cloned().collect() };
    new.extend(spared_no_more(after, before));
    new
}

/// Whom it excluded by name and excludes no more.
pub(super) fn spared_no_more(after: &Value, before: &Value) -> BTreeSet<Crowd> {
    crowds(before, "exclude").difference(&crowds(after, "exclude")).cloned().collect()
}

/// Whether it acts only where it acted before, people apart.
pub(super) fn is_within(after: &Value, before: &Value, moved: &MovedPlaces) -> bool {
    let (after, before) = (&after["conditions"], &before["conditions"]);
    let names: BTreeSet<&String> =
        [after, before].iter().filter_map(|it| it.as_object()).flat_map(|it| it.keys()).collect();
    names.into_iter().all(|name| match name.as_str() {
        "users" => true,
        "applications" => apps_within(&after[name], &before[name]),
        "locations" => places_within(&after[name], &before[name], moved),
        _ => is_any(&before[name]) || same(&after[name], &before[name]),
    })
}

/// A condition that says nothing. What it excludes says something, whatever that is.
fn is_any(condition: &Value) -> bool {
    let is_all = |item: &Value| item.as_str().is_some_and(|text| text.eq_ignore_ascii_case("all"));
    match condition {
        Value::Null => true,
        Value::Array(items) => items.is_empty() || items.iter().any(is_all),
        Value::Object(map) => map
            .iter()
            .all(|(name, value)| if name.starts_with("exclude") { same(value, &Value::Null) } else { is_any(value) }),
        _ => false,
    }
}

fn apps_within(after: &Value, before: &Value) -> bool {
    const LISTS: [&str; 3] =
        ["includeApplications", "includeUserActions", "includeAuthenticationContextClassReferences"];
    let lists = LISTS.iter().all(|name| {
        let (after, before) = (set(&after[*name]), set(&before[*name]));
        before.contains("all") || after.iter().all(|one| one == "none" || before.contains(one))
    });
    lists
        && set(&before["excludeApplications"]).is_subset(&set(&after["excludeApplications"]))
        && (is_any(&before["applicationFilter"]) || same(&after["applicationFilter"], &before["applicationFilter"]))
}

fn places_within(after: &Value, before: &Value, moved: &MovedPlaces) -> bool {
    let places = |condition: &Value, name: &str| set(&condition[name]);
    let (include, exclude) = (places(after, "includeLocations"), places(after, "excludeLocations"));
    let (was, spared) = (places(before, "includeLocations"), places(before, "excludeLocations"));
    let everywhere = before.is_null() || was.is_empty() || was.contains("all");
    // "All trusted" is whatever is marked so.
    let shifts = |id: &String| moved.contains(id) || id == "alltrusted" && !moved.is_empty();
    if spared.iter().any(shifts) || !everywhere && include.iter().any(shifts) {
        return false;
    }
    let inside = everywhere || !after.is_null() && !include.is_empty() && include.is_subset(&was);
    inside && spared.is_subset(&exclude)
}

/// Texts in lower case.
fn set(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_ascii_lowercase)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(conditions: &Value) -> Value {
        json!({ "state": "enabled", "conditions": conditions })
    }

    #[test]
    fn what_has_grown_is_not_within() {
        let apps = |include: &[&str], exclude: &[&str]| json!({"applications": {"includeApplications": include, "excludeApplications": exclude}});
        let places = |include: &[&str], exclude: &[&str]| json!({"locations": {"includeLocations": include, "excludeLocations": exclude}});
        let nowhere = MovedPlaces::new();
        let table = [
            (apps(&["a"], &[]), apps(&["All"], &[]), true),
            (apps(&["All"], &[]), apps(&["a"], &[]), false),
            (apps(&["All"], &["x"]), apps(&["All"], &[]), true),
            (apps(&["All"], &[]), apps(&["All"], &["x"]), false),
            (places(&["All"], &["nl"]), places(&["All"], &["NL", "be"]), false),
            (places(&["All"], &["nl", "be"]), places(&["All"], &["nl"]), true),
            (places(&["nl"], &[]), json!({}), true),
            (json!({"locations": null}), places(&["nl"], &[]), false),
            (json!({"platforms": {"includePlatforms": ["iOS"]}}), json!({"platforms": null}), true),
            (json!({"platforms": null}), json!({"platforms": {"includePlatforms": ["iOS"]}}), false),
            (json!({"clientAppTypes": ["browser"]}), json!({"clientAppTypes": ["all"]}), true),
            (json!({"clientAppTypes": ["browser"]}), json!({"clientAppTypes": ["All"]}), true),
            (json!({"newCondition": 2}), json!({"newCondition": 1}), false),
            (
                json!({"platforms": {"includePlatforms": ["iOS"]}}),
                json!({"platforms": {"includePlatforms": ["All"], "excludePlatforms": []}}),
                true,
            ),
            (
                json!({"platforms": {"includePlatforms": ["iOS"]}}),
                json!({"platforms": {"includePlatforms": ["all"], "excludePlatforms": ["all"]}}),
                false,
            ),
        ];
        for (after, before, wanted) in table {
            assert_eq!(is_within(&policy(&after), &policy(&before), &nowhere), wanted, "{after} {before}");
        }
        let moved = MovedPlaces::from(["nl".to_owned()]);
        let same = policy(&places(&["All"], &["nl"]));
        assert!(is_within(&same, &same, &nowhere) && !is_within(&same, &same, &moved));
    }

    #[test]
    fn who_is_new() {
        let users = |include: &[&str], exclude: &[&str]| {
            policy(&json!({"users": {"includeGroups": include, "excludeGroups": exclude}}))
        };
        let (old, new) = (users(&["a"], &["x", "y"]), users(&["a", "b"], &["x"]));
        let groups = |list: &[&str]| list.iter().map(|id| Crowd::Group((*id).to_owned())).collect::<BTreeSet<_>>();
        assert_eq!(newcomers(&new, Some(&old), false), groups(&["b", "y"]));
        assert_eq!(newcomers(&new, Some(&old), true), groups(&["a", "b"]));
        assert_eq!(newcomers(&new, None, false), groups(&["a", "b"]));
        let roles =
            policy(&json!({"users": {"includeRoles": ["R"], "includeUsers": ["All", "GuestsOrExternalUsers"]}}));
        assert_eq!(
            newcomers(&roles, None, false),
            BTreeSet::from([Crowd::All, Crowd::Guests, Crowd::Role("r".into())])
        );
    }
}
