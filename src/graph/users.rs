//! People in the directory: find them, and know what forbids giving them a key.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::directory_roles::HeldRole;
use super::document::Document;
use super::error::GraphError;
use super::http::{Request, escape, odata_string};
use crate::model::{Upn, UserId};

/// What we ask of a user. `userType` and `accountEnabled` don't come by themselves.
pub(super) const SELECT: &str = "id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled,mail";
/// What is asked of those who are to get something: where they are licensed, and whether a guest accepted.
const SELECT_MORE: &str = "usageLocation,externalUserState";

const FINDING: &str = "find the people of the roster";

/// `checkMemberGroups` takes at most this many ids.
const GROUPS_PER_QUESTION: usize = 20;

/// A user, as far as a bench needs to know. What the directory doesn't tell is `None`, which is no "no".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Object id, in lower case.
    pub id: UserId,
    /// User principal name; `None` when the application may not read it.
    pub upn: Option<Upn>,
    /// Display name; `None` when the application may not read it.
    pub display_name: Option<String>,
    /// Whether sign-in is allowed.
    pub enabled: Option<bool>,
    /// A guest can't have a passkey in this tenant.
    pub guest: Option<bool>,
    /// Comes from an on-premises directory.
    pub synced: bool,
    /// Mail address.
    pub mail: Option<String>,
}

impl DirectoryUser {
    /// Reads a user object; `None` without an id.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().map(str::to_owned).filter(|text| !text.is_empty());
        Some(Self {
            id: UserId::new(text("id")?.to_ascii_lowercase()),
            upn: text("userPrincipalName").and_then(|upn| Upn::parse(&upn)),
            display_name: text("displayName"),
            enabled: json["accountEnabled"].as_bool(),
            guest: text("userType").map(|kind| kind.eq_ignore_ascii_case("Guest")),
            synced: json["onPremisesSyncEnabled"].as_bool().unwrap_or(false),
            mail: text("mail"),
        })
    }
}

/// Why a person counts as privileged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privilege {
    /// Holds a directory role; its name.
    Role(String),
    /// Is in a group that roles can be assigned to; its name.
    RoleAssignableGroup(String),
}

/// `/users/{key}` for an object id or UPN. A UPN that begins with `$` needs the function form
/// (Microsoft Graph, "Get a user").
fn user_path(key: &str) -> String {
    if key.starts_with('$') {
        format!("/users({})", escape(&odata_string(key)))
    } else {
        format!("/users/{}", escape(key))
    }
}

impl Graph {
    /// One user by UPN or object id; `None` when there is none.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn find_user(&self, key: &str) -> Result<Option<DirectoryUser>, GraphError> {
        Ok(self.find_users(&[key])?.into_iter().next().flatten())
    }

    /// Users by UPN or object id, in the keys' order; `None` where there is none. Twenty in a request.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn find_users<S: AsRef<str>>(&self, keys: &[S]) -> Result<Vec<Option<DirectoryUser>>, GraphError> {
        let read = |document: Document| {
            DirectoryUser::from_json(&document.into_json())
                .ok_or_else(|| GraphError::malformed(FINDING, "A user has no id."))
        };
        self.user_documents(keys)?.into_iter().map(|found| found.map(read).transpose()).collect()
    }

    /// The same, as Graph tells them.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn user_documents<S: AsRef<str>>(&self, keys: &[S]) -> Result<Vec<Option<Document>>, GraphError> {
        let doing = FINDING;
        // Anything else can't be a user, and in a path `..` or nothing at all would ask for something else.
        let is_key = |key: &str| Upn::parse(key).is_some() || uuid::Uuid::try_parse(key).is_ok();
        let parts: Vec<Part> = keys
            .iter()
            .map(AsRef::as_ref)
            .filter(|key| is_key(key))
            .map(|key| Part::get(format!("{}?$select={SELECT},{SELECT_MORE}", user_path(key))))
            .collect();
        let mut answers = self.batch(&parts, doing)?.into_iter();
        let mut users = Vec::with_capacity(keys.len());
        for key in keys {
            let part = if is_key(key.as_ref()) { answers.next() } else { None };
            let Some(part) = part.filter(|part| !part.is_not_found()) else {
                users.push(None);
                continue;
            };
            users.push(Document::from_json(part.into_object(doing)?));
        }
        Ok(users)
    }

    /// Which of `groups` each user belongs to, also through other groups; in the users' order. Group ids are compared and
    /// given in lower case. No groups, no requests; however many groups, one question a person.
    ///
    /// # Errors
    /// Also when a user doesn't exist.
    pub fn memberships(
        &self,
        users: &[UserId],
        groups: &BTreeSet<String>,
    ) -> Result<Vec<BTreeSet<String>>, GraphError> {
        let doing = "check group memberships";
        if groups.is_empty() {
            return Ok(vec![BTreeSet::new(); users.len()]);
        }
        let groups: BTreeSet<String> = groups.iter().map(|id| id.to_ascii_lowercase()).collect();
        // More groups than one question takes: all of a person's groups are fewer questions than several for each.
        let all = groups.len() > GROUPS_PER_QUESTION;
        let part = |user: &UserId| {
            let path = |function: &str| format!("/users/{}/{function}", escape(user.as_str()));
            if all {
                Part::ask(path("getMemberGroups"), json!({ "securityEnabledOnly": false }))
            } else {
                Part::ask(path("checkMemberGroups"), json!({ "groupIds": groups }))
            }
        };
        let parts: Vec<Part> = users.iter().map(part).collect();
        let read = |answer: super::batch::PartAnswer| {
            let json = answer.into_object(doing)?;
            let ids =
                json["value"].as_array().ok_or_else(|| GraphError::malformed(doing, "The answer has no `value`."))?;
            let found = ids.iter().filter_map(Value::as_str).map(str::to_ascii_lowercase);
            Ok(found.filter(|id| groups.contains(id)).collect())
        };
        self.batch(&parts, doing)?.into_iter().map(read).collect()
    }

    /// The directory roles each user holds now, directly or through groups, in the users' order. Roles a person could merely
    /// activate (PIM) are not seen.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without `RoleManagement.Read.Directory` (or `Directory.Read.All`).
    pub fn roles_of_each(&self, users: &[UserId]) -> Result<Vec<Vec<HeldRole>>, GraphError> {
        let doing = "check who holds a directory role";
        let path = |user: &UserId| {
            format!(
                "/users/{}/transitiveMemberOf/microsoft.graph.directoryRole?$count=true&$select=id,displayName,roleTemplateId",
                escape(user.as_str())
            )
        };
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user)).eventual()).collect();
        let mut roles = Vec::with_capacity(users.len());
        for answer in self.batch(&parts, doing)? {
            let page = answer.into_object(doing)?;
            let next = Request::get(self.url(ApiVersion::V1, "")?, doing).eventual();
            let held = self.rest_of_collection(page, next)?;
            roles.push(held.into_iter().filter_map(Document::from_json).map(HeldRole::from_document).collect());
        }
        Ok(roles)
    }

    /// What makes each user privileged, in the users' order; empty for most. Roles held directly or through groups, and
    /// membership of role-assignable groups. Roles a person could merely activate (PIM) are not seen.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without `RoleManagement.Read.Directory` (or `Directory.Read.All`).
    pub fn privileges(&self, users: &[UserId]) -> Result<Vec<Vec<Privilege>>, GraphError> {
        let roles = self.roles_of_each(users)?;
        let groups: HashMap<String, String> =
            self.role_assignable_groups()?.into_iter().map(|g| (g.id, g.name)).collect();
        let ids: BTreeSet<String> = groups.keys().cloned().collect();
        let mut privileges: Vec<Vec<Privilege>> = roles
            .iter()
            .map(|held| held.iter().map(|role| Privilege::Role(role.shown().to_owned())).collect())
            .collect();
        for (held, member_of) in privileges.iter_mut().zip(self.memberships(users, &ids)?) {
            held.extend(
                member_of.iter().map(|id| Privilege::RoleAssignableGroup(groups.get(id).unwrap_or(id).clone())),
            );
        }
        Ok(privileges)
    }

    /// How many passkeys each user has, in the users' order.
    ///
    /// # Errors
    /// Also when one of the users may not be looked at.
    pub fn passkey_counts(&self, users: &[UserId]) -> Result<Vec<usize>, GraphError> {
        let doing = "count the passkeys people have";
        let path = |user: &UserId| format!("/users/{}/authentication/fido2Methods", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut counts = Vec::with_capacity(users.len());
        for answer in self.batch(&parts, doing)? {
            let page = answer.into_object(doing)?;
            let next = Request::get(self.url(ApiVersion::V1, "")?, doing);
            counts.push(self.rest_of_collection(page, next)?.len());
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_paths() {
        assert_eq!(user_path("o'reilly@x.com"), "/users/o%27reilly%40x.com");
        assert_eq!(user_path("g_x.com#EXT#@y.com"), "/users/g_x.com%23EXT%23%40y.com");
        assert_eq!(user_path("$cash@x.com"), "/users(%27%24cash%40x.com%27)");
    }

    #[test]
    fn a_user_with_nothing_but_an_id_is_still_one() {
        let user = DirectoryUser::from_json(&json!({"id": "ABC", "userPrincipalName": null})).expect("a user");
        assert_eq!((user.id.as_str(), user.enabled, user.guest), ("abc", None, None));
        let guest = DirectoryUser::from_json(&json!({"id": "1", "userType": "guest", "accountEnabled": false}))
            .expect("a user");
        assert_eq!((guest.enabled, guest.guest), (Some(false), Some(true)));
        assert_eq!(DirectoryUser::from_json(&json!({"id": 7})), None);
    }
}
