//! The registration report: `userRegistrationDetails`. It lags, and has no row for disabled accounts.
//!
//! Source: Microsoft Graph, `authenticationMethodsRoot: userRegistrationDetails`. The reports of a tenant allow an application
//! five requests in ten seconds, so the list is read page by page instead of one row a person, each page at that pace.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::report_pace::ReportPace;
use super::rights::Rights;
use super::sign_ins::explained;
use crate::model::UserId;

documents!(
    /// A row.
    RegistrationDetails
);

impl RegistrationDetails {
    /// May use self-service password reset.
    pub fn may_reset_password(&self) -> Option<bool> {
        self.0.member("isSsprEnabled").as_bool()
    }

    /// Has registered a method for multifactor authentication.
    pub fn is_mfa_registered(&self) -> Option<bool> {
        self.0.member("isMfaRegistered").as_bool()
    }
}

const REPORTS_READ: Rights = Rights {
    scopes: &["AuditLog.Read.All"],
    roles: &["Reports Reader", "Security Reader", "Global Reader"],
    licence: Some("Microsoft Entra ID P1"),
};

/// For so many people or fewer, each row is asked for by itself: the list of a large tenant is longer than that.
const FEW: usize = 5;

impl Graph {
    /// The rows of these people, by id, from at most `most_pages` pages; people without a row are not among them. The second
    /// value says whether the list was read to its end, so that who is missing is known to have none.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without `AuditLog.Read.All` or the licence ([`super::sign_ins::is_unlicensed`]).
    pub fn registration_details(
        &self,
        users: &[UserId],
        most_pages: usize,
        pace: &ReportPace,
    ) -> Result<(HashMap<UserId, RegistrationDetails>, bool), GraphError> {
        const PATH: &str = "reports/authenticationMethods/userRegistrationDetails";
        let doing = "read the registration report";
        let mut found = HashMap::new();
        if users.len() <= FEW {
            for user in users {
                pace.wait(self, doing)?;
                let url = self.url(ApiVersion::V1, &format!("{PATH}/{}", escape(user.as_str())))?;
                match self.document(&Request::get(url, doing).needing(&REPORTS_READ)) {
                    Ok(row) => drop(found.insert(user.clone(), RegistrationDetails(row))),
                    Err(error) if error.kind() == super::ErrorKind::NotFound => {}
                    Err(error) => return Err(explained(error)),
                }
            }
            return Ok((found, true));
        }
        let wanted: HashSet<&str> = users.iter().map(UserId::as_str).collect();
        let mut request =
            Request::get(self.url(ApiVersion::V1, &format!("{PATH}?$top=999"))?, doing).needing(&REPORTS_READ);
        for _ in 0..most_pages {
            pace.wait(self, doing)?;
            let mut page = self.object(&request).map_err(explained)?;
            let Some(Value::Array(rows)) = page.get_mut("value").map(Value::take) else {
                return Err(GraphError::malformed(doing, "A list is asked for, and the answer has no `value`."));
            };
            for row in rows {
                let id = row["id"].as_str().unwrap_or_default().to_ascii_lowercase();
                if wanted.contains(id.as_str())
                    && let Some(row) = Document::from_json(row)
                {
                    found.insert(UserId::new(id), RegistrationDetails(row));
                }
            }
            if found.len() == wanted.len() {
                return Ok((found, true));
            }
            match page["@odata.nextLink"].as_str() {
                Some(link) => request.url = self.next_link(link, doing)?,
                None => return Ok((found, true)),
            }
        }
        Ok((found, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_read_and_what_it_leaves_out_is_not_known() {
        let page: Value =
            serde_json::from_str(include_str!("../../fixtures/graph/registration-details.json")).expect("JSON");
        let row = |json: Value| RegistrationDetails(Document::from_json(json).expect("an object"));
        let known = row(page["value"][0].clone());
        assert_eq!((known.may_reset_password(), known.is_mfa_registered()), (Some(false), Some(true)));
        let bare = row(json!({}));
        assert_eq!((bare.may_reset_password(), bare.is_mfa_registered()), (None, None));
    }
}
