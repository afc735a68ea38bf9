//! The sign-in log, and when each passkey was last used. Beta only: v1.0 tells neither the methods used nor `lastUsedDateTime`.
//!
//! Sources: Microsoft Graph beta, "List signIns", "signIn resource type" and the CSDL of `authenticationDetail`; a sign-in may have several
//! rows with one correlation id, of which the earlier are pages in between ([`fold`]). The log is kept for some thirty days, its
//! entries appear after minutes, and its texts are Microsoft's own and not fixed.

use jiff::Timestamp;
use serde_json::Value;

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, Fixer, GraphError, one_line};
use super::http::{Request, escape, odata_string};
use super::report_pace::ReportPace;
use super::sign_in_codes::{CodeMeaning, code_meaning};
use crate::model::{MethodId, UserId};

/// One row of the log. What isn't told is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignInRow {
    /// When.
    pub at: Timestamp,
    /// Joins the rows of one sign-in.
    pub correlation: Option<String>,
    /// The application's name.
    pub app: Option<String>,
    /// City and country, by the address.
    pub place: Option<String>,
    /// IP address.
    pub ip: Option<String>,
    /// Operating system and browser.
    pub device: Option<String>,
    /// 0 is success.
    pub error: i64,
    /// Microsoft's sentence for the error.
    pub reason: Option<String>,
    /// What was shown as proof, in order.
    pub steps: Vec<Step>,
    /// Conditional Access policies that did not let the person in, with the reason where there is one.
    pub blocked_by: Vec<String>,
    /// What asked for more than one factor, e.g. `multiConditionalAccess`.
    pub demanded_by: Vec<String>,
}

/// One proof within a sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Microsoft's name for the method, e.g. `Passkey (device-bound)`.
    pub method: String,
    /// For a passkey: the name it was given.
    pub detail: String,
    /// Whether it was accepted; `None` when the log doesn't say yet.
    pub succeeded: Option<bool>,
}

impl SignInRow {
    /// Reads a row; `None` without a time.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(|text| one_line(text, 200)).filter(|text| !text.is_empty());
        let joined = |values: [Option<String>; 2]| {
            let parts: Vec<String> = values.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        };
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let steps = list(&json["authenticationDetails"])
            .iter()
            .filter_map(|step| {
                Some(Step {
                    method: text(&step["authenticationMethod"])?,
                    detail: text(&step["authenticationMethodDetail"]).unwrap_or_default(),
                    succeeded: step["succeeded"].as_bool(),
                })
            })
            .collect();
        let blocked_by = list(&json["appliedConditionalAccessPolicies"])
            .iter()
            .filter(|policy| policy["result"] == "failure")
            .filter_map(|policy| {
                let name = text(&policy["displayName"])?;
                let strength = text(&policy["authenticationStrength"]["authenticationStrengthResult"]);
                Some(match strength.as_deref() {
                    Some("cannotSatisfyDueToCombinationConfiguration") => {
                        format!("{name} (this key model is not among those that its authentication strength allows)")
                    }
                    Some("cannotSatisfy") => {
                        format!("{name} (its authentication strength can't be met with this method)")
                    }
                    _ => name,
                })
            })
            .collect();
        let demanded_by = list(&json["authenticationRequirementPolicies"])
            .iter()
            .filter_map(|policy| text(&policy["requirementProvider"]))
            .collect();
        Some(Self {
            at: json["createdDateTime"].as_str()?.parse().ok()?,
            correlation: text(&json["correlationId"]),
            app: text(&json["appDisplayName"]),
            place: joined([text(&json["location"]["city"]), text(&json["location"]["countryOrRegion"])]),
            ip: text(&json["ipAddress"]),
            device: joined([text(&json["deviceDetail"]["operatingSystem"]), text(&json["deviceDetail"]["browser"])]),
            error: json["status"]["errorCode"].as_i64().unwrap_or(0),
            reason: text(&json["status"]["failureReason"]).filter(|reason| reason.trim_end_matches('.') != "Other"),
            steps,
            blocked_by,
            demanded_by,
        })
    }
}

/// How a sign-in ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Signed in.
    Success,
    /// Only pages in between: nobody finished it, or it went on where the log has no row.
    Unfinished(i64),
    /// Failed with this number.
    Failure(i64),
}

/// One sign-in: all rows with one correlation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInStory {
    /// The row that tells the end.
    pub last: SignInRow,
    /// How it ended.
    pub outcome: Outcome,
    /// How many rows it has.
    pub rows: usize,
    /// Accepted proofs of all rows, each once, in order.
    pub used: Vec<Step>,
}

impl SignInStory {
    /// What the number of the end means, where there is one and it is known.
    pub fn meaning(&self) -> Option<CodeMeaning> {
        match self.outcome {
            Outcome::Success => None,
            Outcome::Unfinished(code) | Outcome::Failure(code) => code_meaning(code),
        }
    }
}

/// Puts the rows of each sign-in together, the newest sign-in first. A row that looks like a failure and was only a page in between
/// (a second factor asked for, "stay signed in?") alarms nobody when the sign-in went on.
pub fn fold(rows: Vec<SignInRow>) -> Vec<SignInStory> {
    let mut groups: Vec<Vec<SignInRow>> = Vec::new();
    for row in rows {
        let group = row.correlation.as_ref().and_then(|id| {
            groups.iter_mut().find(|group| group.first().is_some_and(|first| first.correlation.as_ref() == Some(id)))
        });
        match group {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let mut stories: Vec<SignInStory> = groups.into_iter().filter_map(story).collect();
    stories.sort_by_key(|story| std::cmp::Reverse(story.last.at));
    stories
}

fn story(mut rows: Vec<SignInRow>) -> Option<SignInStory> {
    rows.sort_by_key(|row| row.at);
    let mut used: Vec<Step> = Vec::new();
    for step in rows.iter().flat_map(|row| &row.steps) {
        // "Previously satisfied" is a claim in a token, not something the person did now.
        let earlier = step.method.to_ascii_lowercase().contains("previously satisfied");
        if step.succeeded == Some(true) && !earlier && !used.contains(step) {
            used.push(step.clone());
        }
    }
    let count = rows.len();
    let interrupts = |row: &SignInRow| code_meaning(row.error).is_some_and(|meaning| meaning.interrupts);
    // The end: the last success; without one the last that is more than a page in between; else the last.
    let end = rows
        .iter()
        .rposition(|row| row.error == 0)
        .or_else(|| rows.iter().rposition(|row| !interrupts(row)))
        .unwrap_or(count.saturating_sub(1));
    let last = if end < count { rows.swap_remove(end) } else { return None };
    let outcome = match last.error {
        0 => Outcome::Success,
        code if interrupts(&last) => Outcome::Unfinished(code),
        code => Outcome::Failure(code),
    };
    Some(SignInStory { last, outcome, rows: count, used })
}

/// A passkey, and when it was last used to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Its id.
    pub method: MethodId,
    /// The name it was given.
    pub name: Option<String>,
    /// `None`: never, or not known yet.
    pub last_used: Option<Timestamp>,
}

/// A refusal of logs and reports, with what it most often means.
pub(super) fn explained(error: GraphError) -> GraphError {
    if is_unlicensed(&error) {
        return GraphError::new(ErrorKind::Forbidden, Fixer::TenantAdmin, error.fact())
            .because("The tenant has no Microsoft Entra ID P1 or P2 licence, without which Graph gives neither sign-in logs nor the registration report.")
            .advise("Look at the sign-in log in the Entra admin centre instead (seven days); what Graph lists of methods is shown all the same.")
            .with_status(error.status().unwrap_or(403), error.code().map(str::to_owned))
            .with_ids(error.ids().clone());
    }
    if error.kind() == ErrorKind::Forbidden {
        return error
            .clone()
            .because("The token lacks AuditLog.Read.All, or the signed-in person lacks an active role such as Reports Reader, Security Reader or Global Reader.")
            .advise("`keybench whoami --for sign-ins` says which; `keybench tenant app --for sign-ins` prints what to add.");
    }
    error
}

/// Whether logs and reports are refused for want of a licence.
pub fn is_unlicensed(error: &GraphError) -> bool {
    error.code() == Some("Authentication_RequestFromNonPremiumTenantOrB2CTenant")
}

impl Graph {
    /// The interactive sign-ins of a person since a time, the newest first, as far as the log goes.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without permission, role or licence ([`is_unlicensed`]).
    pub fn sign_ins(&self, user: &UserId, since: Timestamp, pace: &ReportPace) -> Result<Vec<SignInRow>, GraphError> {
        let doing = format!("read the sign-in log of {user}");
        pace.wait(self, &doing)?;
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let filter = escape(&format!("userId eq {} and createdDateTime ge {since}", odata_string(user.as_str())));
        let url = self.url(ApiVersion::Beta, &format!("auditLogs/signIns?$filter={filter}&$top=100"))?;
        let items = self.collection(Request::get(url, doing)).map_err(explained)?;
        Ok(items.iter().filter_map(SignInRow::from_json).collect())
    }

    /// The passkeys of each person with their last use, in the people's order; `None` for a person who isn't there any more.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without the right to read methods.
    pub fn key_uses(&self, users: &[UserId]) -> Result<Vec<Option<Vec<KeyUse>>>, GraphError> {
        let doing = "read when keys were last used";
        let path = |user: &UserId| format!("/users/{}/authentication/fido2Methods", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut all = Vec::with_capacity(users.len());
        for answer in self.batch_on(ApiVersion::Beta, &parts, doing)? {
            if answer.is_not_found() {
                all.push(None);
                continue;
            }
            let page = answer.into_object(doing)?;
            let next = Request::get(self.url(ApiVersion::Beta, "")?, doing);
            let methods = self.rest_of_collection(page, next)?;
            all.push(Some(methods.iter().filter_map(KeyUse::from_json).collect()));
        }
        Ok(all)
    }
}

impl KeyUse {
    /// Reads a method; `None` without an id.
    pub fn from_json(json: &Value) -> Option<Self> {
        Some(Self {
            method: MethodId::new(json["id"].as_str().filter(|id| !id.is_empty())?),
            name: json["displayName"].as_str().map(|text| one_line(text, 100)),
            last_used: json["lastUsedDateTime"].as_str().and_then(|text| text.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(second: i64, correlation: &str, error: i64) -> SignInRow {
        SignInRow {
            at: Timestamp::from_second(1_800_000_000 + second).expect("a time"),
            correlation: Some(correlation.to_owned()),
            error,
            ..SignInRow::default()
        }
    }

    fn step(method: &str, succeeded: bool) -> Step {
        Step { method: method.into(), detail: String::new(), succeeded: Some(succeeded) }
    }

    /// The sample of the reference documentation's shape, as `fixtures/graph/README.md` names it.
    #[test]
    fn a_row_is_read() {
        let page: Value =
            serde_json::from_str(include_str!("../../fixtures/graph/sign-in-passkey.json")).expect("JSON");
        let row = SignInRow::from_json(&page["value"][0]).expect("a row");
        assert_eq!((row.error, row.app.as_deref(), row.reason.as_deref()), (0, Some("My Signins"), None));
        assert_eq!(
            row.steps,
            [Step { method: "Passkey (device-bound)".into(), detail: "Bench key 1".into(), succeeded: Some(true) }]
        );
        assert_eq!(row.demanded_by, ["multiConditionalAccess"]);
        assert_eq!(SignInRow::from_json(&serde_json::json!({"id": "x"})), None);
    }

    #[test]
    fn a_page_in_between_is_no_failure_when_it_went_on() {
        let mut done = row(20, "a", 0);
        done.steps = vec![step("Passkey (device-bound)", true), step("Previously satisfied", true)];
        let stories =
            fold(vec![done, row(0, "a", 50_074), row(5, "b", 53_003), row(4, "b", 50_074), row(1, "c", 50_140)]);
        let seen: Vec<(&str, Outcome, usize)> = stories
            .iter()
            .map(|story| (story.last.correlation.as_deref().unwrap_or(""), story.outcome.clone(), story.rows))
            .collect();
        assert_eq!(
            seen,
            [("a", Outcome::Success, 2), ("b", Outcome::Failure(53_003), 2), ("c", Outcome::Unfinished(50_140), 1)]
        );
        assert_eq!(stories[0].used, [step("Passkey (device-bound)", true)]);
        assert!(stories[1].meaning().is_some_and(|meaning| meaning.next.contains("whatif")));
    }

    #[test]
    fn rows_without_a_correlation_stand_alone() {
        let lone = SignInRow { correlation: None, ..row(0, "", 0) };
        assert_eq!(fold(vec![lone.clone(), lone]).len(), 2);
    }

    #[test]
    fn the_rule_that_refused_a_model_is_named() {
        let json = serde_json::json!({
            "createdDateTime": "2026-09-02T08:15:00Z", "status": {"errorCode": 53_003},
            "appliedConditionalAccessPolicies": [
                {"displayName": "Only our keys", "result": "failure", "authenticationStrength": {"authenticationStrengthResult": "cannotSatisfyDueToCombinationConfiguration"}},
                {"displayName": "Other", "result": "success"}
            ]
        });
        let row = SignInRow::from_json(&json).expect("a row");
        assert!(row.blocked_by.len() == 1 && row.blocked_by[0].contains("key model"), "{:?}", row.blocked_by);
    }

    proptest! {
        #[test]
        fn every_row_is_counted_once(rows in proptest::collection::vec((0i64..50, 0u8..4, prop_oneof![Just(0i64), Just(50_074), Just(53_003), any::<i64>()]), 0..30)) {
            let rows: Vec<SignInRow> = rows.iter().map(|(at, id, error)| row(*at, &id.to_string(), *error)).collect();
            let count = rows.len();
            prop_assert_eq!(fold(rows).iter().map(|story| story.rows).sum::<usize>(), count);
        }
    }
}
