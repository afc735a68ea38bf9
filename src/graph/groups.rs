//! Groups: by name or id, and everybody in them.

use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, Fixer, GraphError};
use super::http::{Request, escape, odata_string};
use super::users::{DirectoryUser, SELECT};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Object id, in lower case.
    pub id: String,
    /// Display name, or the id where it may not be read.
    pub name: String,
}

impl Group {
    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let id = json["id"].as_str().filter(|id| !id.is_empty())?.to_ascii_lowercase();
        let name = json["displayName"].as_str().unwrap_or(&id).to_owned();
        Some(Self { id, name })
    }
}

impl Graph {
    /// A group by object id or display name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Ambiguous`] with the ids when the name stands for several.
    pub fn find_group(&self, name_or_id: &str) -> Result<Group, GraphError> {
        let wanted = name_or_id.trim();
        let doing = format!("find the group {}", super::error::one_line(wanted, 80));
        let malformed = || GraphError::malformed(&doing, "A group has no id.");
        if uuid::Uuid::try_parse(wanted).is_ok() {
            let url = self.url(ApiVersion::V1, &format!("groups/{}?$select=id,displayName", escape(wanted)))?;
            return Group::from_json(&self.object(&Request::get(url, &doing))?).ok_or_else(malformed);
        }
        let filter = escape(&format!("displayName eq {}", odata_string(wanted)));
        let groups = self.groups_where(&filter, &doing)?;
        let mut groups = groups.into_iter();
        match (groups.next(), groups.next()) {
            (Some(group), None) => Ok(group),
            (None, _) => {
                Err(GraphError::new(ErrorKind::NotFound, Fixer::Operator, format!("There is no group named {wanted}"))
                    .because("No group of this tenant has exactly this display name.")
                    .advise("Check the spelling, or give the group's object id from the Entra admin centre."))
            }
            (Some(first), Some(second)) => {
                let ids: Vec<String> = [first, second].into_iter().chain(groups).map(|group| group.id).collect();
                Err(GraphError::new(
                    ErrorKind::Ambiguous,
                    Fixer::Operator,
                    format!("There are {} groups named {wanted}", ids.len()),
                )
                .because(format!("Their ids are {}.", ids.join(", ")))
                .advise("Give the id of the right one instead of the name."))
            }
        }
    }

    /// Everybody in a group, also through groups in it; people only. Recent changes may be missing for a few minutes:
    /// this goes by the directory's index.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown group.
    pub fn group_members(&self, group: &Group) -> Result<Vec<DirectoryUser>, GraphError> {
        let doing = format!("list the members of the group {}", super::error::one_line(&group.name, 80));
        // The cast to users needs both the header and $count=true.
        let path = format!(
            "groups/{}/transitiveMembers/microsoft.graph.user?$count=true&$select={SELECT}&$top=999",
            escape(&group.id)
        );
        let request = Request::get(self.url(ApiVersion::V1, &path)?, &doing).eventual();
        let mut seen = std::collections::HashSet::new();
        let mut users = Vec::new();
        for item in self.collection(request)? {
            let user =
                DirectoryUser::from_json(&item).ok_or_else(|| GraphError::malformed(&doing, "A member has no id."))?;
            // A person may come once per way into the group.
            if seen.insert(user.id.clone()) {
                users.push(user);
            }
        }
        Ok(users)
    }

    /// The groups that directory roles can be assigned to. A tenant has at most 500.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without `GroupMember.Read.All`.
    pub fn role_assignable_groups(&self) -> Result<Vec<Group>, GraphError> {
        self.groups_where(&escape("isAssignableToRole eq true"), "list the groups that roles can be assigned to")
    }

    fn groups_where(&self, filter: &str, doing: &str) -> Result<Vec<Group>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("groups?$filter={filter}&$select=id,displayName"))?;
        let items = self.collection(Request::get(url, doing))?;
        items
            .iter()
            .map(|item| Group::from_json(item).ok_or_else(|| GraphError::malformed(doing, "A group has no id.")))
            .collect()
    }
}
