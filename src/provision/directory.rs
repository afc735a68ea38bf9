//! Everybody on the roster, as the directory knows them.

use std::collections::{BTreeSet, HashMap};

use super::ProvisionError;
use crate::graph::{DirectoryUser, Graph};
use crate::model::{Upn, UserId};
use crate::roster::{DirectoryFacts, Roster, RosterRow};
use crate::tenant::preflight::facts::PersonFacts;

/// What was found out of everybody.
#[derive(Debug, Default)]
pub struct Directory {
    /// By the name on the roster.
    pub facts: HashMap<Upn, DirectoryFacts>,
    /// Groups that matter to the passkey policy, by person.
    pub groups: HashMap<UserId, BTreeSet<String>>,
    /// Questions that the account may not ask; each is told once.
    pub unknown: Vec<String>,
}

/// The rows to work on: the roster's, the group's, or those of the roster who are in the group.
///
/// # Errors
/// When the group can't be found or read.
pub fn rows(graph: &Graph, roster: Option<Roster>, group: Option<&str>) -> Result<(Roster, usize), ProvisionError> {
    let Some(name) = group else {
        // infallible: the command line demands a roster or a group
        let roster = roster.unwrap_or_else(|| Roster::of_members("", Vec::new(), &[]));
        return Ok((roster, 0));
    };
    let found = graph.find_group(name)?;
    let members = graph.group_members(&found)?;
    match roster {
        None => {
            let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
            let upns = members.iter().filter_map(|member| member.upn.clone()).collect();
            Ok((Roster::of_members(&found.name, upns, &ids), 0))
        }
        Some(mut roster) => {
            let names: std::collections::HashSet<&Upn> =
                members.iter().filter_map(|member| member.upn.as_ref()).collect();
            let before = roster.rows.len();
            roster.rows.retain(|row| names.contains(&row.upn));
            let left_out = before - roster.rows.len();
            Ok((roster, left_out))
        }
    }
}

/// The people of the facts as the roster's check wants them; `allowed` is the id of the group that may have keys.
pub fn of_facts(
    rows: &[RosterRow],
    people: &[PersonFacts],
    caller: Option<&UserId>,
    allowed: Option<&str>,
) -> Directory {
    let mut directory = Directory::default();
    for (row, person) in rows.iter().zip(people) {
        let Some(user) = person.user.as_ref().ok().and_then(Option::as_ref).and_then(DirectoryUser::from_json) else {
            continue;
        };
        let Some(upn) = user.upn else { continue };
        let groups = person.groups.clone().unwrap_or_default();
        let passkeys = person.passkeys.as_ref().ok().map(Vec::len);
        if passkeys.is_none() && directory.unknown.is_empty() {
            directory.unknown.push("how many passkeys people have already".to_owned());
        }
        let roles = person.roles.iter().flatten().map(|role| role.name.clone());
        let role_groups = person.role_groups.iter().flatten().map(|name| format!("role-assignable group {name}"));
        directory.facts.insert(
            row.upn.clone(),
            DirectoryFacts {
                id: user.id.clone(),
                display_name: user.display_name.unwrap_or_else(|| upn.to_string()),
                upn,
                // Not told is not "enabled": whoever may not see it can't vouch for it.
                enabled: user.enabled.unwrap_or(false),
                guest: user.guest.unwrap_or(false),
                privileged: roles.chain(role_groups).collect(),
                in_allowed_group: allowed.map(|id| groups.contains(&id.to_ascii_lowercase())),
                passkeys,
                is_caller: caller == Some(&user.id),
            },
        );
        directory.groups.insert(user.id, groups);
    }
    directory
}
