//! Whom a Conditional Access policy is for, and who is alike to all of them (conditionalAccessUsers, Microsoft Graph v1.0).
//!
//! Promise: two people of the same [`Membership`] are covered by the same policies, so what Graph evaluates for one holds for
//! the other. Risk levels and the devices people hold are not part of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{Asked, PersonFacts, Role};
use crate::model::UserId;

/// The user action of registering security information.
pub const REGISTER: &str = crate::graph::conditional_access::REGISTER_SECURITY_INFO;
/// The user action of registering or joining a device.
pub const JOIN: &str = crate::graph::conditional_access::REGISTER_DEVICE;

/// A person, as a policy's conditions see them.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Object id.
    pub id: &'a UserId,
    /// Not a member.
    pub guest: bool,
    /// Groups, of those that policies name; ids in lower case.
    pub groups: &'a BTreeSet<String>,
    /// Directory roles.
    pub roles: &'a [Role],
}

/// What of a person any policy looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    guest: bool,
    groups: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// Their own id, where a policy names it.
    named: Option<String>,
}

fn ids<'a>(policy: &'a Value, member: &str) -> impl Iterator<Item = String> + use<'a> {
    policy["conditions"]["users"][member]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_ascii_lowercase)
}

/// Switched on: only these have an effect.
pub fn is_enabled(policy: &Value) -> bool {
    policy["state"].as_str().is_some_and(|state| state.eq_ignore_ascii_case("enabled"))
}

/// The groups that policies name.
pub fn groups(policies: &[Value]) -> BTreeSet<String> {
    let of = |policy| ids(policy, "includeGroups").chain(ids(policy, "excludeGroups"));
    policies.iter().filter(|policy| is_enabled(policy)).flat_map(of).collect()
}

/// The groups that policies exclude.
pub fn excluded_groups(policies: &[Value]) -> BTreeSet<String> {
    policies.iter().flat_map(|policy| ids(policy, "excludeGroups")).collect()
}

/// What sets a person apart before these policies; people of one membership are alike.
///
/// # Errors
/// When groups or roles of the person are not known.
pub fn membership(person: &PersonFacts, policies: &[Value]) -> Asked<Membership> {
    let enabled: Vec<&Value> = policies.iter().filter(|policy| is_enabled(policy)).collect();
    let of = |members: [&str; 2]| -> BTreeSet<String> {
        enabled.iter().flat_map(|policy| members.map(|member| ids(policy, member)).into_iter().flatten()).collect()
    };
    let groups = of(["includeGroups", "excludeGroups"]);
    let roles = of(["includeRoles", "excludeRoles"]);
    let users = of(["includeUsers", "excludeUsers"]);
    let id = person.id().map(|id| id.as_str().to_owned()).unwrap_or_default();
    let held = if groups.is_empty() {
        BTreeSet::new()
    } else {
        person.groups.as_ref()?.intersection(&groups).cloned().collect()
    };
    let templates: BTreeSet<String> = if roles.is_empty() {
        BTreeSet::new()
    } else {
        person.roles.as_ref()?.iter().map(|role| role.template.to_ascii_lowercase()).collect()
    };
    Ok(Membership {
        guest: is_guest(person),
        groups: held,
        roles: templates.intersection(&roles).cloned().collect(),
        named: Some(id).filter(|id| users.contains(id)),
    })
}

fn is_guest(person: &PersonFacts) -> bool {
    let user = person.user.as_ref().ok().and_then(Option::as_ref);
    user.and_then(|user| user["userType"].as_str()).is_some_and(|kind| kind.eq_ignore_ascii_case("Guest"))
}

/// Whether the policy is for this person. Excluded beats included.
pub fn covers(policy: &Value, subject: Subject<'_>) -> bool {
    !is_excluded(policy, subject) && is_in(policy, subject, ["includeUsers", "includeGroups", "includeRoles"])
}

/// Whether the policy leaves this person out by name, group or role.
pub fn is_excluded(policy: &Value, subject: Subject<'_>) -> bool {
    is_in(policy, subject, ["excludeUsers", "excludeGroups", "excludeRoles"])
}

fn is_in(policy: &Value, subject: Subject<'_>, [users, groups, roles]: [&str; 3]) -> bool {
    ids(policy, users).any(|id| match id.as_str() {
        "all" => true,
        "guestsorexternalusers" => subject.guest,
        id => subject.id.as_str().eq_ignore_ascii_case(id),
    }) || ids(policy, groups).any(|id| subject.groups.contains(&id))
        || ids(policy, roles).any(|id| subject.roles.iter().any(|role| role.template.eq_ignore_ascii_case(&id)))
}

/// Whether the policy is about this user action (`urn:user:…`).
pub fn is_about(policy: &Value, action: &str) -> bool {
    let actions = policy["conditions"]["applications"]["includeUserActions"].as_array().into_iter().flatten();
    actions.filter_map(Value::as_str).any(|found| found.eq_ignore_ascii_case(action))
}

/// The policy's name for people.
pub fn name(policy: &Value) -> String {
    let name = policy["displayName"].as_str().or_else(|| policy["id"].as_str()).unwrap_or("a policy without a name");
    format!("\u{201c}{}\u{201d}", crate::graph::error::one_line(name, 80))
}
