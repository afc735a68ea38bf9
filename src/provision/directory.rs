//! Everybody on the roster, as the directory knows them.

use std::collections::{BTreeSet, HashMap};

use super::ProvisionError;
use crate::graph::{DirectoryUser, ErrorKind, Graph, Privilege};
use crate::model::{Upn, UserId};
use crate::roster::{DirectoryFacts, Roster, RosterRow};

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

/// Looks everybody up, twenty to a request.
///
/// # Errors
/// When the directory can't be read at all. A question that may not be asked is not an error: it is told.
pub fn look_up(
    graph: &Graph,
    rows: &[RosterRow],
    allowed_group: Option<&str>,
    policy_groups: &BTreeSet<String>,
) -> Result<Directory, ProvisionError> {
    let names: Vec<&str> = rows.iter().map(|row| row.upn.as_str()).collect();
    let users = graph.find_users(&names)?;
    let known: Vec<&DirectoryUser> = users.iter().flatten().collect();
    let ids: Vec<UserId> = known.iter().map(|user| user.id.clone()).collect();
    let mut directory = Directory::default();

    // Without an answer nothing goes on: a run would give keys to administrators unseen.
    let privileges = graph.privileges(&ids)?;
    let allowed = match allowed_group {
        Some(name) => Some(graph.find_group(name)?.id),
        None => None,
    };
    let mut asked = policy_groups.clone();
    asked.extend(allowed.clone());
    let memberships = graph.memberships(&ids, &asked)?;
    let passkeys = match graph.passkey_counts(&ids) {
        Ok(counts) => counts.into_iter().map(Some).collect(),
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            directory.unknown.push("how many passkeys people have already".to_owned());
            vec![None; ids.len()]
        }
        Err(error) => return Err(error.into()),
    };
    let caller = graph.whoami().ok().and_then(|account| account.object_id);

    let mut facts_by_id: HashMap<UserId, DirectoryFacts> = HashMap::new();
    for (((user, held), groups), passkeys) in known.iter().zip(privileges).zip(memberships).zip(passkeys) {
        let upn = match &user.upn {
            Some(upn) => upn.clone(),
            None => continue,
        };
        facts_by_id.insert(
            user.id.clone(),
            DirectoryFacts {
                id: user.id.clone(),
                display_name: user.display_name.clone().unwrap_or_else(|| upn.to_string()),
                upn,
                // Not told is not "enabled": whoever may not see it can't vouch for it.
                enabled: user.enabled.unwrap_or(false),
                guest: user.guest.unwrap_or(false),
                privileged: held.iter().map(name_of).collect(),
                in_allowed_group: allowed.as_ref().map(|id| groups.contains(&id.to_ascii_lowercase())),
                passkeys,
                is_caller: caller.as_ref() == Some(&user.id),
            },
        );
        directory.groups.insert(user.id.clone(), groups);
    }
    for (row, user) in rows.iter().zip(&users) {
        if let Some(facts) = user.as_ref().and_then(|user| facts_by_id.get(&user.id)) {
            directory.facts.insert(row.upn.clone(), facts.clone());
        }
    }
    Ok(directory)
}

fn name_of(privilege: &Privilege) -> String {
    match privilege {
        Privilege::Role(name) => name.clone(),
        Privilege::RoleAssignableGroup(name) => format!("role-assignable group {name}"),
    }
}
