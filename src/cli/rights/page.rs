//! docs/PERMISSIONS.md, from the table.

use super::table::{OFFLINE, TABLE};
use super::{Rights, permission_id};

const HEAD: &str = "# Permissions and roles

What each command needs of the tenant, and no more: it is what the command asks for when somebody signs in.
`keybench tenant app --for COMMAND` prints the app registration for the commands you name; `keybench whoami --for COMMAND` says what an account lacks.

<!-- Written from src/cli/rights; a test compares. KEYBENCH_BLESS=1 cargo test --lib cli::rights writes it anew. -->

- **Permissions** are Microsoft Graph's, delegated for a person who signs in, or the application's own (`auth = \"certificate\"` or `\"secret\"`). All need an administrator's consent.
- **Roles** are for a person, and must be active: one that only *may* be activated in Privileged Identity Management does nothing until it is. Of roles
  joined by \"or\" one is enough; every line is needed. An application needs no role, which makes its permission the more dangerous: see [SECURITY](SECURITY.md).
- People who hold roles themselves, or are in a role-assignable group, can be managed by a *Privileged Authentication Administrator* only.
- An application gets what it was granted, and can't ask for less. A person's sign-in asks for the command's permissions by name; where consent stands for
  wider ones, such as `UserAuthenticationMethod.ReadWrite.All`, `keybench login --as-registered` takes those.
";

/// The page, with the commands that `exists`.
pub fn page(exists: &dyn Fn(&str) -> bool) -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## Commands that ask a tenant\n\n| command | permissions | roles | licence | besides |\n|---|---|---|---|---|\n");
    for rights in TABLE.iter().filter(|rights| exists(rights.command)) {
        page.push_str(&row(rights));
    }
    page.push_str("\n## Commands that ask none\n\n");
    let offline: Vec<String> =
        OFFLINE.iter().filter(|command| exists(command)).map(|command| format!("`{command}`")).collect();
    page.push_str(&offline.join(", "));
    page.push_str(".\n\n## Ids\n\nFor scripts that make an app registration.\n\n| permission | delegated | application |\n|---|---|---|\n");
    for scope in super::scopes_of(TABLE.iter().filter(|rights| exists(rights.command))) {
        let id = |app_only| permission_id(scope, app_only).map_or_else(|| "none".to_owned(), |id| format!("`{id}`"));
        page.push_str(&format!("| `{scope}` | {} | {} |\n", id(false), id(true)));
    }
    page
}

fn row(rights: &Rights) -> String {
    let scopes: Vec<String> = rights.scopes.iter().map(|scope| format!("`{scope}`")).collect();
    let roles: Vec<String> = rights.roles.iter().map(|any| any.join(" or ")).collect();
    let roles = if roles.is_empty() { "none".to_owned() } else { roles.join("<br>") };
    format!(
        "| `{}` | {} | {roles} | {} | {} |\n",
        rights.command,
        scopes.join("<br>"),
        rights.licence.unwrap_or("none"),
        rights.note
    )
}
