//! New accounts: domains, licences, users, and who is in which group.
//!
//! Source: Microsoft Graph v1.0, `user` (create, assignLicense), `domain`, `subscribedSku`, `group` (create, add and remove
//! member). A password goes out in a body that is wiped and is in no value that prints.

use serde::Serialize;
use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, GraphError};
use super::groups::Group;
use super::http::{Request, escape};
use super::needs::Needs;
use super::temporary_access_pass::Deleted;
use super::users::DirectoryUser;
use crate::model::{Secret, UserId};

const CREATE: Needs = Needs {
    scope: "User.ReadWrite.All",
    roles: "User Administrator",
    refused: "Check the user principal name and its domain; Graph's words above say which member it does not take.",
};
const DOMAINS: Needs = Needs {
    scope: "Domain.Read.All",
    roles: "Global Reader, Domain Name Administrator or User Administrator",
    refused: "Run the same command again; report it if it stays.",
};
const SKUS: Needs =
    Needs { scope: "LicenseAssignment.Read.All", roles: "Global Reader or License Administrator", ..DOMAINS };
const LICENSE: Needs = Needs {
    scope: "LicenseAssignment.ReadWrite.All",
    roles: "License Administrator or User Administrator",
    refused: "Check that seats of this licence are free, and that the person has a usage location.",
};
const GROUP_MAKE: Needs = Needs {
    scope: "Group.ReadWrite.All",
    roles: "Groups Administrator or User Administrator",
    refused: "Check the group's name; Graph's words above say which member it does not take.",
};
const GROUP_WRITE: Needs = Needs {
    scope: "GroupMember.ReadWrite.All",
    roles: "Groups Administrator or User Administrator, or an owner of the group",
    refused: "A dynamic group makes its own members, one from an on-premises directory is changed there, and one that roles can \
              be assigned to needs RoleManagement.ReadWrite.Directory.",
};

/// A domain of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// In lower case.
    pub name: String,
    /// Its owner was proved: only then can names end in it.
    pub verified: bool,
    /// Another identity provider signs its people in.
    pub federated: bool,
}

/// A licence that the tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku {
    /// Its id, a GUID in lower case.
    pub id: String,
    /// Its name, e.g. `SPE_E5`.
    pub name: String,
    /// Seats that can be given out.
    pub seats: u64,
    /// Seats that are.
    pub used: u64,
}

impl Sku {
    /// Seats left.
    pub fn free(&self) -> u64 {
        self.seats.saturating_sub(self.used)
    }
}

/// An account to make, apart from its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUser<'a> {
    /// Always true: a person who can't sign in can't register anything.
    pub account_enabled: bool,
    /// Display name.
    pub display_name: &'a str,
    /// The name before the `@`, plain.
    pub mail_nickname: &'a str,
    /// User principal name.
    pub user_principal_name: &'a str,
    /// Two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_location: Option<&'a str>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<&'a str>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surname: Option<&'a str>,
}

/// With its password, for the wire.
#[derive(Serialize)]
struct WithPassword<'a> {
    #[serde(flatten)]
    user: NewUser<'a>,
    #[serde(rename = "passwordProfile")]
    profile: PasswordProfile<'a>,
}

/// A change at the first sign-in would stop at a question nobody can answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PasswordProfile<'a> {
    force_change_password_next_sign_in: bool,
    password: &'a str,
}

/// What an account has of what a row asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// Two letters; none is no obstacle until a licence is given.
    pub usage_location: Option<String>,
    /// Licence ids, in lower case.
    pub licences: Vec<String>,
}

/// What decides whether members may be put into a group by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// The group.
    pub group: Group,
    /// A rule makes its members.
    pub dynamic: bool,
    /// Roles can be assigned to it.
    pub role_assignable: bool,
    /// It comes from an on-premises directory.
    pub synced: bool,
}

impl Graph {
    /// The tenant's domains.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] names what is missing.
    pub fn domains(&self) -> Result<Vec<Domain>, GraphError> {
        let doing = "read the tenant's domains";
        let url = self.url(ApiVersion::V1, "domains?$select=id,isVerified,authenticationType")?;
        let items = self.collection(Request::get(url, doing)).map_err(|error| DOMAINS.explain(error))?;
        let one = |item: &Value| {
            Some(Domain {
                name: item["id"].as_str()?.to_ascii_lowercase(),
                verified: item["isVerified"].as_bool().unwrap_or(false),
                federated: item["authenticationType"]
                    .as_str()
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("Federated")),
            })
        };
        Ok(items.iter().filter_map(one).collect())
    }

    /// The tenant's licences.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] names what is missing.
    pub fn skus(&self) -> Result<Vec<Sku>, GraphError> {
        let doing = "read the tenant's licences";
        let url = self.url(ApiVersion::V1, "subscribedSkus")?;
        let items = self.collection(Request::get(url, doing)).map_err(|error| SKUS.explain(error))?;
        let one = |item: &Value| {
            Some(Sku {
                id: item["skuId"].as_str()?.to_ascii_lowercase(),
                name: item["skuPartNumber"].as_str()?.to_owned(),
                // What is only promised (suspended, warning) can't be given out for long.
                seats: item["prepaidUnits"]["enabled"].as_u64().unwrap_or(0),
                used: item["consumedUnits"].as_u64().unwrap_or(0),
            })
        };
        Ok(items.iter().filter_map(one).collect())
    }

    /// Makes an account, enabled, with this password and no change of it at the first sign-in. Sent once;
    /// [`ErrorKind::Unknown`] when it may exist all the same.
    ///
    /// # Errors
    /// Everything else is a refusal.
    pub fn create_user(
        &self,
        user: &NewUser<'_>,
        password: &Secret<String>,
    ) -> Result<(DirectoryUser, String), GraphError> {
        let doing = format!("make the user {}", user.user_principal_name);
        let profile =
            PasswordProfile { force_change_password_next_sign_in: false, password: password.expose().as_str() };
        let body = WithPassword { user: *user, profile };
        let request = Request::post_secret(self.url(ApiVersion::V1, "users")?, &body, 8192, &doing)?;
        let answer = self.call(&request).map_err(|failure| CREATE.explain(failure.into()))?;
        let json = answer.object(&doing).map_err(GraphError::outcome_unknown)?;
        let made = DirectoryUser::from_json(&json)
            .ok_or_else(|| GraphError::malformed(&doing, "The new user has no id.").outcome_unknown())?;
        Ok((made, answer.ids.client_request_id.unwrap_or_default()))
    }

    /// What an account has of usage location and licences.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for one that is too new.
    pub fn account_facts(&self, user: &UserId) -> Result<AccountFacts, GraphError> {
        let doing = format!("read the licences of {user}");
        let path = format!("users/{}?$select=id,usageLocation,assignedLicenses", escape(user.as_str()));
        let json = self.object(&Request::get(self.url(ApiVersion::V1, &path)?, &doing))?;
        let ids = json["assignedLicenses"].as_array().into_iter().flatten();
        Ok(AccountFacts {
            usage_location: json["usageLocation"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
            licences: ids.filter_map(|one| one["skuId"].as_str()).map(str::to_ascii_lowercase).collect(),
        })
    }

    /// Sets the usage location. Gives the client-request-id.
    ///
    /// # Errors
    /// A refusal.
    pub fn set_usage_location(&self, user: &UserId, location: &str) -> Result<String, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("users/{}", escape(user.as_str())))?;
        let request =
            Request::patch(url, json!({ "usageLocation": location }), format!("set the usage location of {user}"));
        self.write(&request, &CREATE)
    }

    /// Gives a licence; giving it twice is as good as once. Gives the client-request-id.
    ///
    /// # Errors
    /// A refusal: no seat, no usage location.
    pub fn assign_licence(&self, user: &UserId, sku: &str) -> Result<String, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("users/{}/assignLicense", escape(user.as_str())))?;
        let body = licence_body(sku);
        self.write(&Request::post(url, body, format!("give {user} a licence")).safe(), &LICENSE)
    }

    /// What is to be known of a group before members are put into it.
    ///
    /// # Errors
    /// As [`Graph::find_group`].
    pub fn group_facts(&self, name_or_id: &str) -> Result<GroupFacts, GraphError> {
        let group = self.find_group(name_or_id)?;
        let path =
            format!("groups/{}?$select=id,groupTypes,isAssignableToRole,onPremisesSyncEnabled", escape(&group.id));
        let doing = format!("read the group {}", super::error::one_line(&group.name, 80));
        let json = self.object(&Request::get(self.url(ApiVersion::V1, &path)?, doing))?;
        let kinds = json["groupTypes"].as_array().into_iter().flatten();
        Ok(GroupFacts {
            group,
            dynamic: kinds.filter_map(Value::as_str).any(|kind| kind == "DynamicMembership"),
            role_assignable: json["isAssignableToRole"].as_bool().unwrap_or(false),
            synced: json["onPremisesSyncEnabled"].as_bool().unwrap_or(false),
        })
    }

    /// Makes a security group. Sent once. Gives the client-request-id with it.
    ///
    /// # Errors
    /// A refusal, or [`ErrorKind::Unknown`].
    pub fn create_group(&self, body: &Value) -> Result<(Group, String), GraphError> {
        let doing = "make a group";
        let answer = self
            .call(&Request::post(self.url(ApiVersion::V1, "groups")?, body.clone(), doing))
            .map_err(|failure| GROUP_MAKE.explain(failure.into()))?;
        let json = answer.object(doing).map_err(GraphError::outcome_unknown)?;
        let made = Group::from_json(&json)
            .ok_or_else(|| GraphError::malformed(doing, "The new group has no id.").outcome_unknown())?;
        Ok((made, answer.ids.client_request_id.unwrap_or_default()))
    }

    /// Puts somebody into a group. Not for somebody who is in it: Graph refuses that. Gives the client-request-id.
    ///
    /// # Errors
    /// A refusal.
    pub fn add_member(&self, group: &Group, user: &UserId) -> Result<String, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("groups/{}/members/$ref", escape(&group.id)))?;
        let doing = format!("put {user} into the group {}", super::error::one_line(&group.name, 80));
        self.write(&Request::post(url, self.member_body(user)?, doing), &GROUP_WRITE)
    }

    /// The body that puts somebody into a group.
    ///
    /// # Errors
    /// An id that can't stand in an address.
    pub fn member_body(&self, user: &UserId) -> Result<Value, GraphError> {
        let object = self.url(ApiVersion::V1, &format!("directoryObjects/{}", escape(user.as_str())))?;
        Ok(json!({ "@odata.id": object.as_str() }))
    }

    /// Takes somebody out of a group; `by_us` is false where they were not in it themselves.
    ///
    /// # Errors
    /// A refusal.
    pub fn remove_member(&self, group: &Group, user: &UserId) -> Result<Deleted, GraphError> {
        let path = format!("groups/{}/members/{}/$ref", escape(&group.id), escape(user.as_str()));
        let doing = format!("take {user} out of the group {}", super::error::one_line(&group.name, 80));
        self.delete(&Request::delete(self.url(ApiVersion::V1, &path)?, doing))
            .map_err(|error| GROUP_WRITE.explain(error))
    }

    /// A write whose answer holds nothing to go on with.
    pub(super) fn write(&self, request: &Request, needs: &Needs) -> Result<String, GraphError> {
        let answer = self.call(request).map_err(|failure| needs.explain(failure.into()))?;
        Ok(answer.ids.client_request_id.unwrap_or_default())
    }

    /// Whether sign-in methods of a person can be asked for yet. A new account is known to the directory first.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn is_ready(&self, user: &UserId) -> Result<bool, GraphError> {
        match self.passkeys(user) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The body that gives a licence.
pub fn licence_body(sku: &str) -> Value {
    json!({ "addLicenses": [{ "skuId": sku, "disabledPlans": [] }], "removeLicenses": [] })
}

/// The body that makes a security group.
pub fn group_body(name: &str, description: Option<&str>) -> Value {
    let mut nickname: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    if nickname.is_empty() {
        nickname.push_str("group");
    }
    let mut body = json!({
        "displayName": name, "mailEnabled": false, "mailNickname": nickname, "securityEnabled": true,
    });
    if let (Some(description), Some(map)) = (description, body.as_object_mut()) {
        map.insert("description".to_owned(), Value::String(description.to_owned()));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_its_profile_and_no_change_is_forced() {
        let user = NewUser {
            account_enabled: true,
            display_name: "Kim",
            mail_nickname: "kim",
            user_principal_name: "kim@contoso.com",
            usage_location: None,
            given_name: None,
            surname: None,
        };
        let profile = PasswordProfile { force_change_password_next_sign_in: false, password: "x" };
        assert_eq!(
            serde_json::to_value(WithPassword { user, profile }).expect("JSON"),
            json!({
                "accountEnabled": true, "displayName": "Kim", "mailNickname": "kim", "userPrincipalName": "kim@contoso.com",
                "passwordProfile": { "forceChangePasswordNextSignIn": false, "password": "x" },
            })
        );
    }

    #[test]
    fn a_groups_nickname_is_plain() {
        assert_eq!(group_body("Pilot users (IE)", None)["mailNickname"], "PilotusersIE");
        assert_eq!(group_body("日本", Some("x"))["mailNickname"], "group");
    }
}
