//! What each command needs of a tenant: permissions, roles, licence. The one table: signing in asks for what stands here,
//! `keybench tenant app` prints the registration for it, `whoami` compares with it, and docs/PERMISSIONS.md is written from it.
//!
//! Least permissions after Microsoft's permission reference (microsoft-graph-devx-content, August 2026) and the pages of the
//! calls; roles after the same pages. A command that is not here is asked for as the app registration has it (`.default`).

use std::collections::BTreeSet;

mod ids;
mod page;
mod table;

pub use ids::{GRAPH_APP_ID, permission_id};
pub use page::page;
use table::{OFFLINE, TABLE};

/// Any one of these roles will do.
pub type AnyOf = &'static [&'static str];

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The command, as it is typed after `keybench`.
    pub command: &'static str,
    /// Permissions of Microsoft Graph, delegated or of the application: all of them.
    pub scopes: &'static [&'static str],
    /// For a signed-in person: one role of each line. An application needs none.
    pub roles: &'static [AnyOf],
    /// Without this licence the tenant has no such thing.
    pub licence: Option<&'static str>,
    /// What a reader must know besides.
    pub note: &'static str,
}

/// What a command needs; `None` for one that asks no tenant, and for one that isn't known.
pub fn of(command: &str) -> Option<&'static Rights> {
    TABLE.iter().find(|rights| rights.command == command)
}

/// Every command that asks a tenant.
pub fn all() -> impl Iterator<Item = &'static Rights> {
    TABLE.iter()
}

/// Whether the command is known to ask no tenant.
pub fn is_offline(command: &str) -> bool {
    OFFLINE.contains(&command)
}

/// The permissions of several commands together, each once, in the alphabet's order.
pub fn scopes_of<'a>(commands: impl IntoIterator<Item = &'a Rights>) -> BTreeSet<&'static str> {
    commands.into_iter().flat_map(|rights| rights.scopes.iter().copied()).collect()
}

impl Rights {
    /// Which of its permissions are not covered by those that are held.
    pub fn missing_scopes(&self, held: &[String]) -> Vec<&'static str> {
        self.scopes.iter().copied().filter(|wanted| !held.iter().any(|held| covers(held, wanted))).collect()
    }

    /// Which of its lines of roles none of those that are held fills. A Global Administrator may do all of it.
    pub fn missing_roles(&self, held: &[String]) -> Vec<AnyOf> {
        let holds = |role: &str| held.iter().any(|name| name == role);
        if holds("Global Administrator") {
            return Vec::new();
        }
        self.roles.iter().copied().filter(|any| !any.iter().any(|role| holds(role))).collect()
    }
}

/// Whether a permission that is held includes the one that is wanted: it itself, its read-and-write form, or a wider one.
pub fn covers(held: &str, wanted: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let writes = || wanted.contains(".Read.").then(|| wanted.replace(".Read.", ".ReadWrite."));
    let wider: &[&str] = match wanted {
        "User.Read" => {
            &["User.ReadWrite", "User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"]
        }
        "User.Read.All" => &["Directory.Read.All", "Directory.ReadWrite.All"],
        "User.ReadWrite.All" => &["Directory.ReadWrite.All"],
        "GroupMember.Read.All" => {
            &["Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
        }
        "GroupMember.ReadWrite.All" => &["Group.ReadWrite.All", "Directory.ReadWrite.All"],
        "RoleManagement.Read.Directory" => {
            &["RoleManagement.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"]
        }
        "Policy.Read.AuthenticationMethod" | "Policy.Read.ConditionalAccess" => &["Policy.Read.All"],
        _ if wanted.starts_with("UserAuthMethod-") && wanted.contains(".ReadWrite.") => {
            &["UserAuthenticationMethod.ReadWrite.All"]
        }
        _ if wanted.starts_with("UserAuthMethod-") => {
            &["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"]
        }
        _ => &[],
    };
    same(held, wanted) || writes().is_some_and(|writes| same(held, &writes)) || wider.iter().any(|one| same(held, one))
}

#[cfg(all(test, feature = "sim"))]
mod enough_tests;
#[cfg(test)]
mod tests;
