//! The registration report: `userRegistrationDetails`. It lags, and has no row for disabled accounts.
//!
//! Source: Microsoft Graph, `authenticationMethodsRoot: userRegistrationDetails`. The reports of a tenant allow an application
//! five requests in ten seconds, so the list is read page by page instead of one row a person.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights::Rights;
use crate::model::UserId;

documents!(
    /// A row.
    RegistrationDetails
);

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
    /// [`super::ErrorKind::Forbidden`] without `AuditLog.Read.All` or the licence.
    pub fn registration_details(
        &self,
        users: &[UserId],
        most_pages: usize,
    ) -> Result<(HashMap<UserId, RegistrationDetails>, bool), GraphError> {
        const PATH: &str = "reports/authenticationMethods/userRegistrationDetails";
        let doing = "read the registration report";
        let mut found = HashMap::new();
        if users.len() <= FEW {
            for user in users {
                let url = self.url(ApiVersion::V1, &format!("{PATH}/{}", escape(user.as_str())))?;
                match self.document(&Request::get(url, doing).needing(&REPORTS_READ)) {
                    Ok(row) => drop(found.insert(user.clone(), RegistrationDetails(row))),
                    Err(error) if error.kind() == super::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok((found, true));
        }
        let wanted: HashSet<&str> = users.iter().map(UserId::as_str).collect();
        let mut request =
            Request::get(self.url(ApiVersion::V1, &format!("{PATH}?$top=999"))?, doing).needing(&REPORTS_READ);
        for _ in 0..most_pages {
            let mut page = self.object(&request)?;
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
