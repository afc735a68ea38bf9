//! The directory's audit log, as far as it tells of passkeys that were added and deleted.
//!
//! Sources: Microsoft Graph v1.0, "List directoryAudits" and the CSDL of `directoryAudit`; "Microsoft Entra audit log categories and
//! activities". Names of activities are Microsoft's own and change: a row counts when its words say that a passkey (or FIDO2
//! method, or security key, as it was called) was added, registered or deleted. Two services write a row each for one passkey;
//! [`crate::tenant::audit_trail`] puts them together. Rows appear some minutes late, and stay 30 days with P1 or P2, seven without.

use jiff::Timestamp;
use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::error::{GraphError, one_line};
use super::http::{Request, escape};
use super::report_pace::ReportPace;
use super::sign_ins::explained;
use crate::model::{Aaguid, UserId};

/// What was done to a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PasskeyAct {
    /// It was registered.
    Added,
    /// It was deleted.
    Deleted,
}

/// Which service wrote a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// "Authentication Methods": knows the person by id.
    Methods,
    /// "Device Registration Service": knows the key's model.
    Devices,
}

/// One row about a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The row's id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: PasskeyAct,
    /// By whom it was written.
    pub source: Source,
    /// Whose passkey; `None` where only the name is told.
    pub user: Option<UserId>,
    /// The same, by name.
    pub upn: Option<String>,
    /// Who did it: a person's name, or an application's.
    pub by: Option<String>,
    /// The person did it themself.
    pub themself: bool,
    /// The key's model.
    pub aaguid: Option<Aaguid>,
}

impl PasskeyRow {
    /// Reads a row; `None` when it is about something else, or did not succeed.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(|text| one_line(text, 200)).filter(|text| !text.is_empty());
        if json["result"].as_str().is_some_and(|result| !result.eq_ignore_ascii_case("success")) {
            return None;
        }
        let source = match json["loggedByService"].as_str()? {
            "Authentication Methods" => Source::Methods,
            "Device Registration Service" => Source::Devices,
            _ => return None,
        };
        let words = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
        let (activity, reason) = (words(&json["activityDisplayName"]), words(&json["resultReason"]));
        let is_passkey = |text: &str| ["passkey", "fido2", "security key"].into_iter().any(|name| text.contains(name));
        let act = match source {
            Source::Devices if is_passkey(&activity) && activity.starts_with("add") => PasskeyAct::Added,
            Source::Devices if is_passkey(&activity) && activity.starts_with("delete") => PasskeyAct::Deleted,
            Source::Methods if !is_passkey(&reason) => return None,
            Source::Methods if activity.contains("registered security info") => PasskeyAct::Added,
            Source::Methods if activity.contains("deleted security info") => PasskeyAct::Deleted,
            _ => return None,
        };
        let targets = json["targetResources"].as_array()?;
        let person = targets.iter().find(|target| target["type"] == "User").or_else(|| targets.first())?;
        let by = &json["initiatedBy"];
        let user = text(&person["id"]).map(|id| UserId::new(id.to_ascii_lowercase()));
        let upn = text(&person["userPrincipalName"]);
        let doer = (text(&by["user"]["id"]), text(&by["user"]["userPrincipalName"]));
        let same = |one: Option<&str>, other: Option<&str>| match (one, other) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        let details = json["additionalDetails"].as_array().map(Vec::as_slice).unwrap_or_default();
        let aaguid = details.iter().find(|detail| words(&detail["key"]) == "aaguid");
        Some(Self {
            id: text(&json["id"])?,
            at: json["activityDateTime"].as_str()?.parse().ok()?,
            act,
            source,
            themself: same(doer.0.as_deref(), user.as_ref().map(UserId::as_str))
                || same(doer.1.as_deref(), upn.as_deref()),
            user,
            upn,
            by: doer.1.or(doer.0).or_else(|| text(&by["app"]["displayName"])).or_else(|| text(&by["app"]["appId"])),
            aaguid: aaguid.and_then(|detail| Aaguid::parse(detail["value"].as_str()?)),
        })
    }
}

impl Graph {
    /// Every row about a passkey since a time, in no promised order.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without `AuditLog.Read.All` or a role that may read logs.
    pub fn passkey_audits(&self, since: Timestamp, pace: &ReportPace) -> Result<Vec<PasskeyRow>, GraphError> {
        let doing = "read the audit log";
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut found = Vec::new();
        for service in ["Authentication Methods", "Device Registration Service"] {
            let filter = format!("loggedByService eq '{service}' and activityDateTime ge {since}");
            let path = format!("auditLogs/directoryAudits?$filter={}&$top=999", escape(&filter));
            let mut request = Request::get(self.url(ApiVersion::V1, &path)?, doing);
            loop {
                // Each page counts.
                pace.wait(self, doing)?;
                let mut page = self.object(&request).map_err(explained)?;
                let Some(Value::Array(rows)) = page.get_mut("value").map(Value::take) else {
                    return Err(GraphError::malformed(doing, "A list is asked for, and the answer has no `value`."));
                };
                found.extend(rows.iter().filter_map(PasskeyRow::from_json));
                match page["@odata.nextLink"].as_str() {
                    Some(link) => request.url = self.next_link(link, doing)?,
                    None => break,
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_about_passkeys_are_read_and_others_left() {
        let page: Value =
            serde_json::from_str(include_str!("../../fixtures/graph/directory-audits.json")).expect("JSON");
        let rows = page["value"].as_array().expect("rows");
        let read: Vec<PasskeyRow> = rows.iter().filter_map(PasskeyRow::from_json).collect();
        let seen: Vec<(&str, PasskeyAct, Source, bool, bool)> =
            read.iter().map(|row| (row.id.as_str(), row.act, row.source, row.user.is_some(), row.themself)).collect();
        assert_eq!(
            seen,
            [
                ("added-methods", PasskeyAct::Added, Source::Methods, true, false),
                ("added-devices", PasskeyAct::Added, Source::Devices, false, false),
                ("added-older-name", PasskeyAct::Added, Source::Devices, false, false),
                ("self", PasskeyAct::Added, Source::Methods, true, true),
                ("deleted", PasskeyAct::Deleted, Source::Methods, true, false),
            ]
        );
        assert_eq!(read[1].aaguid, Aaguid::parse("2fc0579f-8113-47ea-b116-bb5a8db9202a"));
        assert_eq!(read[0].by.as_deref(), Some("bench@contoso.example"));
        assert_eq!(read[4].by.as_deref(), Some("keybench bench"));
    }
}
