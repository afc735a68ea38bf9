//! Directory roles: their template ids, which are the same in every tenant and stand in a token's `wids`, and the roles that
//! the signed-in person could activate.
//!
//! Sources: Microsoft Entra built-in roles (<https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference>);
//! Microsoft Graph v1.0, "unifiedRoleEligibilityScheduleInstance: filterByCurrentUser".

use jiff::Timestamp;

use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, GraphError};
use super::http::Request;

/// Template id and name of the roles that matter for keys, people, policies and logs.
const ROLES: [(&str, &str); 20] = [
    ("62e90394-69f5-4237-9190-012177145e10", "Global Administrator"),
    ("f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader"),
    ("c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"),
    ("7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator"),
    ("0526716b-113d-4c15-b2c8-68e3c22b9f80", "Authentication Policy Administrator"),
    ("b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator"),
    ("194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator"),
    ("5d6b6bb7-de71-4623-b4af-96380a352509", "Security Reader"),
    ("5f2222b1-57c3-48ba-8ad5-d4759f1fde6f", "Security Operator"),
    ("4a5d8f65-41da-4de4-8968-e035b65339cf", "Reports Reader"),
    ("fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator"),
    ("fdd7a751-b60b-444a-984c-02652fe8fa1c", "Groups Administrator"),
    ("4d6ac14f-3453-41d0-bef9-a3e0c569773a", "License Administrator"),
    ("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "Application Administrator"),
    ("158c047a-c907-4556-b7ef-446551a6b5f7", "Cloud Application Administrator"),
    ("cf1c38e5-3621-4004-a7cb-879624dced7c", "Application Developer"),
    ("729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"),
    ("e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator"),
    ("966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator"),
    ("88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers"),
];

/// Every member's token carries this one; it is no role anybody assigned.
const DEFAULT_USER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";

/// A role's name by its template id. `None` for the one that everybody has.
pub fn role_name(template: &str) -> Option<String> {
    if template.eq_ignore_ascii_case(DEFAULT_USER) {
        return None;
    }
    let known = ROLES.iter().find(|(id, _)| id.eq_ignore_ascii_case(template));
    Some(known.map_or_else(|| format!("role {template}"), |(_, name)| (*name).to_owned()))
}

/// A role that the signed-in person may activate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibleRole {
    /// Its template id, in lower case.
    pub template: String,
    /// Its name.
    pub name: String,
    /// When the eligibility ends; `None` for one without end.
    pub until: Option<Timestamp>,
}

/// What could be learnt of roles that could be activated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eligible {
    /// All of them, for the whole directory. Those that are active stand here too.
    Roles(Vec<EligibleRole>),
    /// The tenant has no Privileged Identity Management (its licence is P2 or Governance), so there are none.
    NoLicence,
    /// This account may not ask (`RoleManagement.Read.Directory`).
    NotAllowed,
}

impl Graph {
    /// The roles that the signed-in person could activate in Privileged Identity Management. Not for an application.
    ///
    /// # Errors
    /// Everything but a missing right or licence.
    pub fn eligible_roles(&self) -> Result<Eligible, GraphError> {
        let path = "roleManagement/directory/roleEligibilityScheduleInstances/filterByCurrentUser(on='principal')?$expand=roleDefinition";
        let request = Request::get(self.url(ApiVersion::V1, path)?, "read which roles could be activated");
        let items = match self.collection(request) {
            Ok(items) => items,
            Err(error) if error.code() == Some("AadPremiumLicenseRequired") => return Ok(Eligible::NoLicence),
            Err(error) if error.kind() == ErrorKind::Forbidden => return Ok(Eligible::NotAllowed),
            Err(error) => return Err(error),
        };
        let roles = items.iter().filter_map(|item| {
            // One for a single administrative unit would promise too much.
            let whole = item["directoryScopeId"].as_str().is_none_or(|scope| scope == "/");
            let definition = &item["roleDefinition"];
            let template = definition["templateId"].as_str().or_else(|| item["roleDefinitionId"].as_str())?;
            let name = definition["displayName"].as_str().map(str::to_owned).or_else(|| role_name(template))?;
            let until = item["endDateTime"].as_str().and_then(|text| text.parse().ok());
            whole.then(|| EligibleRole { template: template.to_ascii_lowercase(), name, until })
        });
        Ok(Eligible::Roles(roles.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names() {
        assert_eq!(role_name("C4E39BD9-1100-46D3-8C65-FB160DA0071F").as_deref(), Some("Authentication Administrator"));
        assert_eq!(role_name(DEFAULT_USER), None);
        assert_eq!(role_name("x").as_deref(), Some("role x"));
        let ids: std::collections::BTreeSet<&str> = ROLES.iter().map(|(id, _)| *id).collect();
        assert!(ids.len() == ROLES.len() && ids.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()));
    }
}
