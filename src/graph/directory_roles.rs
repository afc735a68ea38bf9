//! Directory roles: who holds one, for good, and which the signed-in account has.

use super::client::{ApiVersion, Graph};
use super::document::documents;
use super::error::GraphError;
use super::http::{Request, escape, odata_string};
use super::rights;
use crate::model::UserId;

/// The template id of Global Administrator; as a role definition it has the same.
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

documents!(
    /// `unifiedRoleAssignment`: a role held for good. Roles one could merely activate (PIM) are not among them.
    RoleAssignment,
    /// A role the signed-in account holds now.
    HeldRole,
);

impl RoleAssignment {
    /// Who holds it: a user, a group or an application.
    pub fn principal(&self) -> &str {
        self.0.text("/principalId").unwrap_or("")
    }

    /// Whether it is a group; `None` where the answer doesn't say.
    pub fn is_group(&self) -> Option<bool> {
        self.0.text("/principal/@odata.type").map(|kind| kind.ends_with(".group"))
    }

    /// The role's name, where it was asked for, else its definition's id.
    pub fn role(&self) -> &str {
        self.0.text("/roleDefinition/displayName").or_else(|| self.0.text("/roleDefinitionId")).unwrap_or("")
    }

    /// Whether it counts in the whole tenant.
    pub fn is_tenant_wide(&self) -> bool {
        self.0.text("/directoryScopeId").is_none_or(|scope| scope == "/")
    }
}

impl HeldRole {
    /// Display name; empty where it may not be read.
    pub fn name(&self) -> &str {
        self.0.text("/displayName").unwrap_or("")
    }

    /// Display name, or the id where the name may not be read.
    pub fn shown(&self) -> &str {
        if self.name().is_empty() { self.id() } else { self.name() }
    }

    /// Template id, the same in every tenant.
    pub fn template(&self) -> &str {
        self.0.text("/roleTemplateId").unwrap_or("")
    }
}

impl Graph {
    /// Who holds a role for good, by the role's definition id.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::ROLES_READ`].
    pub fn role_assignments(&self, definition: &str) -> Result<Vec<RoleAssignment>, GraphError> {
        let filter = escape(&format!("roleDefinitionId eq {}", odata_string(definition)));
        let path = format!("roleManagement/directory/roleAssignments?$filter={filter}&$expand=principal");
        let request = Request::get(self.url(ApiVersion::V1, &path)?, "list who holds a directory role");
        Ok(self.documents(request.needing(&rights::ROLES_READ))?.into_iter().map(RoleAssignment).collect())
    }

    /// What a person or application is assigned directly, also within a part of the directory only, and custom roles.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::ROLES_READ`].
    pub fn assignments_of(&self, principal: &UserId) -> Result<Vec<RoleAssignment>, GraphError> {
        let filter = escape(&format!("principalId eq {}", odata_string(principal.as_str())));
        let path = format!("roleManagement/directory/roleAssignments?$filter={filter}&$expand=roleDefinition");
        let request = Request::get(self.url(ApiVersion::V1, &path)?, "list what the account is assigned");
        Ok(self.documents(request.needing(&rights::ROLES_READ))?.into_iter().map(RoleAssignment).collect())
    }

    /// The roles that the signed-in person holds now, directly or through groups, activated ones among them.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for an application without a person.
    pub fn my_roles(&self) -> Result<Vec<HeldRole>, GraphError> {
        self.roles_at("me", "list the roles of the signed-in account")
    }

    /// The roles that a person holds now.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn roles_of(&self, user: &UserId) -> Result<Vec<HeldRole>, GraphError> {
        self.roles_at(&format!("users/{}", escape(user.as_str())), "list the roles of a person")
    }

    fn roles_at(&self, whose: &str, doing: &str) -> Result<Vec<HeldRole>, GraphError> {
        let path = format!("{whose}/transitiveMemberOf/microsoft.graph.directoryRole?$count=true");
        let request = Request::get(self.url(ApiVersion::V1, &path)?, doing).eventual().needing(&rights::ROLES_READ);
        Ok(self.documents(request)?.into_iter().map(HeldRole).collect())
    }
}
