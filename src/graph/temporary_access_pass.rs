//! Temporary Access Passes: the policy, and each person's pass.
//!
//! Source: Microsoft Graph, `temporaryAccessPassAuthenticationMethod` and
//! `temporaryAccessPassAuthenticationMethodConfiguration` (v1.0). A person has one pass at a time. Its code comes once, in the
//! answer that issues it, and is a [`Secret`] from there on; the answer's bytes are wiped.

use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::batch::Part;
use super::client::{ApiVersion, CallFailure, Graph};
use super::error::{ErrorKind, GraphError, one_line};
use super::http::{Request, escape};
use super::methods_policy::Audience;
use super::needs::Needs;
use crate::model::{MethodId, Secret, UserId};

const ROLES: &str = "Authentication Administrator, for people with admin roles Privileged Authentication Administrator";

const WRITE: Needs = Needs {
    scope: "UserAuthMethod-TAP.ReadWrite.All",
    roles: ROLES,
    refused: "Compare with the Temporary Access Pass policy (lifetime, one-time); guests from outside can't have a pass, and nobody \
              can issue one for themselves.",
};
const READ: Needs = Needs { scope: "UserAuthMethod-TAP.Read.All", roles: ROLES, ..WRITE };
const POLICY: Needs = Needs {
    scope: "Policy.Read.AuthenticationMethod",
    roles: "Global Reader or Authentication Policy Administrator",
    refused: "Run the same command again; report it if it stays.",
};

/// The tenant's policy for passes, as far as issuing one depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassPolicy {
    /// The method is on.
    pub enabled: bool,
    /// Shortest life, in minutes.
    pub least_minutes: u32,
    /// Longest life, in minutes.
    pub most_minutes: u32,
    /// Life where none is asked for, in minutes.
    pub default_minutes: u32,
    /// Every pass works once, whatever is asked for.
    pub once_only: bool,
    /// Who can use one.
    pub include: Vec<Audience>,
    /// Who can't, whatever `include` says.
    pub exclude: Vec<Audience>,
}

impl PassPolicy {
    /// Reads the configuration. What is missing takes Microsoft's default; a missing state is off.
    pub fn from_json(json: &Value) -> Self {
        let minutes = |name: &str, usual: u32| {
            json[name].as_u64().and_then(|minutes| u32::try_from(minutes).ok()).unwrap_or(usual)
        };
        Self {
            enabled: json["state"].as_str().is_some_and(|state| state.eq_ignore_ascii_case("enabled")),
            least_minutes: minutes("minimumLifetimeInMinutes", 60),
            most_minutes: minutes("maximumLifetimeInMinutes", 480),
            default_minutes: minutes("defaultLifetimeInMinutes", 60),
            once_only: json["isUsableOnce"].as_bool().unwrap_or(false),
            include: audiences(&json["includeTargets"]),
            exclude: audiences(&json["excludeTargets"]),
        }
    }

    /// The groups that membership has to be asked for.
    pub fn groups(&self) -> std::collections::BTreeSet<String> {
        let all = self.include.iter().chain(&self.exclude);
        all.filter_map(|audience| if let Audience::Group(id) = audience { Some(id.clone()) } else { None }).collect()
    }

    /// Whether a person could use a pass. `groups` are those of [`Self::groups`] they belong to.
    pub fn covers(&self, user: &UserId, groups: &std::collections::BTreeSet<String>) -> bool {
        let is = |audience: &Audience| match audience {
            Audience::Everybody => true,
            Audience::Group(id) => groups.contains(id),
            Audience::User(id) => user.as_str().eq_ignore_ascii_case(id),
        };
        self.include.iter().any(is) && !self.exclude.iter().any(is)
    }
}

fn audiences(list: &Value) -> Vec<Audience> {
    let one = |target: &Value| {
        let id = target["id"].as_str()?.to_ascii_lowercase();
        Some(match target["targetType"].as_str() {
            _ if id == "all_users" => Audience::Everybody,
            Some(kind) if kind.eq_ignore_ascii_case("user") => Audience::User(id),
            _ => Audience::Group(id),
        })
    };
    list.as_array().into_iter().flatten().filter_map(one).collect()
}

/// A person's pass, without its code. Members that a version of Graph leaves out are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Its id.
    pub id: MethodId,
    /// From when on it works.
    pub starts: Option<Timestamp>,
    /// How long, in minutes.
    pub minutes: Option<u32>,
    /// It works once.
    pub one_time: Option<bool>,
    /// It works now.
    pub usable: Option<bool>,
    /// Why, or why not: `EnabledByPolicy`, `DisabledByPolicy`, `Expired`, `NotYetValid`, `OneTimeUsed`, or something newer.
    pub reason: Option<String>,
}

impl Pass {
    /// Reads a pass; `None` without an id. A code is never read here.
    pub fn from_json(json: &Value) -> Option<Self> {
        let time = |name: &str| json[name].as_str().and_then(|time| time.parse().ok());
        Some(Self {
            id: MethodId::new(json["id"].as_str().filter(|id| !id.is_empty())?),
            starts: time("startDateTime").or_else(|| time("createdDateTime")),
            minutes: json["lifetimeInMinutes"].as_u64().and_then(|minutes| u32::try_from(minutes).ok()),
            one_time: json["isUsableOnce"].as_bool(),
            usable: json["isUsable"].as_bool(),
            reason: json["methodUsabilityReason"].as_str().map(|reason| one_line(reason, 60)),
        })
    }

    /// When it ends by itself.
    pub fn ends(&self) -> Option<Timestamp> {
        let minutes = jiff::SignedDuration::from_mins(i64::from(self.minutes?));
        self.starts?.checked_add(minutes).ok()
    }

    /// Whether it works, or will. Where Graph does not say, a pass that has not ended counts as open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match self.reason.as_deref() {
            Some("Expired" | "OneTimeUsed") => false,
            _ => self.ends().is_none_or(|end| end > now),
        }
    }
}

/// A new pass. Its code is shown once and kept nowhere.
#[derive(Debug)]
pub struct IssuedPass {
    /// What Graph says of it.
    pub pass: Pass,
    /// The code.
    pub code: Secret<String>,
    /// client-request-id of the call.
    pub request: String,
}

/// What came of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// This call did it; `false` where it was gone already.
    pub by_us: bool,
    /// client-request-id of the call.
    pub request: String,
}

fn path(user: &UserId) -> String {
    format!("users/{}/authentication/temporaryAccessPassMethods", escape(user.as_str()))
}

/// The body that asks for a pass, as it is sent and as it is written down: there is no secret in it.
pub fn pass_body(one_time: bool, minutes: u32, starts: Option<Timestamp>) -> Value {
    let mut body = json!({ "lifetimeInMinutes": minutes, "isUsableOnce": one_time });
    if let (Some(starts), Some(map)) = (starts, body.as_object_mut()) {
        let whole = Timestamp::from_second(starts.as_second()).unwrap_or(starts);
        map.insert("startDateTime".to_owned(), Value::String(whole.to_string()));
    }
    body
}

impl Graph {
    /// The tenant's policy for passes.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] names what is missing.
    pub fn pass_policy(&self) -> Result<PassPolicy, GraphError> {
        let path = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";
        let request = Request::get(self.url(ApiVersion::V1, path)?, "read the Temporary Access Pass policy");
        let json = self.object(&request).map_err(|error| POLICY.explain(error))?;
        Ok(PassPolicy::from_json(&json))
    }

    /// A person's pass; Graph's list has none or one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a person who is too new.
    pub fn passes(&self, user: &UserId) -> Result<Vec<Pass>, GraphError> {
        let doing = format!("read the Temporary Access Pass of {user}");
        let items = self.collection(Request::get(self.url(ApiVersion::V1, &path(user))?, &doing));
        read_all(&items.map_err(|error| READ.explain(error))?, &doing)
    }

    /// Everybody's passes, in the users' order, twenty people in a request; `None` for somebody who is gone.
    ///
    /// # Errors
    /// Also when one of them may not be looked at.
    pub fn passes_of(&self, users: &[UserId]) -> Result<Vec<Option<Vec<Pass>>>, GraphError> {
        let doing = "look for Temporary Access Passes";
        let parts: Vec<Part> = users.iter().map(|user| Part::get(format!("/{}", path(user)))).collect();
        let mut all = Vec::with_capacity(users.len());
        for answer in self.batch(&parts, doing)? {
            if answer.is_not_found() {
                all.push(None);
                continue;
            }
            let page = answer.into_object(doing).map_err(|error| READ.explain(error))?;
            let items = self.rest_of_collection(page, Request::get(self.url(ApiVersion::V1, "")?, doing))?;
            all.push(Some(read_all(&items, doing)?));
        }
        Ok(all)
    }

    /// Issues a pass. Sent once; [`ErrorKind::Unknown`] when it may exist all the same: its code is lost then, and the caller
    /// deletes it.
    ///
    /// # Errors
    /// Everything else is a refusal: there is no pass from this call.
    pub fn issue_pass(&self, user: &UserId, body: &Value) -> Result<IssuedPass, GraphError> {
        let doing = format!("issue a Temporary Access Pass for {user}");
        let request = Request::post(self.url(ApiVersion::V1, &path(user))?, body.clone(), &doing);
        let mut answer = match self.call(&request) {
            Ok(answer) => answer,
            Err(failure @ CallFailure::Unknown(_)) => return Err(failure.into()),
            Err(CallFailure::Failed(error)) => return Err(WRITE.explain(error)),
        };
        let json = answer.object(&doing);
        answer.body.zeroize();
        let ids = answer.ids.clone();
        let unusable = |what: &str| GraphError::malformed(&doing, what).with_ids(ids.clone()).outcome_unknown();
        let mut json = json.map_err(GraphError::outcome_unknown)?;
        let code = match json.get_mut("temporaryAccessPass").map(Value::take) {
            Some(Value::String(code)) if is_code(&code) => Secret::new(code),
            Some(Value::String(code)) => {
                drop(Secret::new(code));
                return Err(unusable("The new pass's code is no text that can be read out."));
            }
            _ => return Err(unusable("The answer holds no code.")),
        };
        let pass = Pass::from_json(&json).ok_or_else(|| unusable("The new pass has no id."))?;
        Ok(IssuedPass { pass, code, request: ids.client_request_id.unwrap_or_default() })
    }

    /// Deletes a pass; one that is gone already is as good as deleted.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn revoke_pass(&self, user: &UserId, pass: &MethodId) -> Result<Deleted, GraphError> {
        let doing = format!("delete the Temporary Access Pass of {user}");
        let url = self.url(ApiVersion::V1, &format!("{}/{}", path(user), escape(pass.as_str())))?;
        self.delete(&Request::delete(url, doing)).map_err(|error| WRITE.explain(error))
    }

    /// A DELETE, where "not found" is as good as done.
    pub(super) fn delete(&self, request: &Request) -> Result<Deleted, GraphError> {
        let (by_us, ids) = match self.call(request) {
            Ok(answer) => (true, answer.ids),
            Err(failure) => {
                let error = GraphError::from(failure);
                if error.kind() != ErrorKind::NotFound {
                    return Err(error);
                }
                (false, error.ids().clone())
            }
        };
        Ok(Deleted { by_us, request: ids.client_request_id.unwrap_or_default() })
    }
}

fn read_all(items: &[Value], doing: &str) -> Result<Vec<Pass>, GraphError> {
    let one = |item| Pass::from_json(item).ok_or_else(|| GraphError::malformed(doing, "A pass has no id."));
    items.iter().map(one).collect()
}

/// Printable, without blanks: fit for a screen.
fn is_code(code: &str) -> bool {
    (1..=100).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_policy_is_read_and_what_is_missing_is_microsofts_default() {
        let policy = PassPolicy::from_json(&json!({
            "state": "enabled", "maximumLifetimeInMinutes": 600, "isUsableOnce": true, "defaultLength": 8, "new": {},
            "includeTargets": [{"id": "all_users", "targetType": "group"}],
            "excludeTargets": [{"id": "G1", "targetType": "group"}, {"id": "U1", "targetType": "user"}],
        }));
        assert!(policy.enabled && policy.once_only);
        assert_eq!((policy.least_minutes, policy.default_minutes, policy.most_minutes), (60, 60, 600));
        assert_eq!(policy.groups(), BTreeSet::from(["g1".to_owned()]));
        let nobody = BTreeSet::new();
        assert!(policy.covers(&UserId::new("kim"), &nobody));
        assert!(!policy.covers(&UserId::new("kim"), &policy.groups()));
        assert!(!policy.covers(&UserId::new("u1"), &nobody));
        // No targets: nobody; no state: off.
        let empty = PassPolicy::from_json(&json!({}));
        assert!(!empty.enabled && !empty.covers(&UserId::new("kim"), &nobody));
    }

    #[test]
    fn a_pass_is_open_until_it_has_ended_or_was_used() {
        let read = |reason: Value| {
            Pass::from_json(&json!({
                "id": "1", "startDateTime": "2026-11-21T12:00:00Z", "lifetimeInMinutes": 60, "isUsableOnce": true,
                "temporaryAccessPass": "never-read-here", "methodUsabilityReason": reason,
            }))
            .expect("a pass")
        };
        let at = |time: &str| -> Timestamp { time.parse().expect("a time") };
        let (before, after) = (at("2026-11-21T11:00:00Z"), at("2026-11-21T13:00:00Z"));
        assert!(read(json!("NotYetValid")).is_open(before));
        assert!(read(Value::Null).is_open(before));
        assert!(!read(json!("EnabledByPolicy")).is_open(after));
        assert!(!read(json!("OneTimeUsed")).is_open(before));
        assert!(!format!("{:?}", read(Value::Null)).contains("never-read-here"));
        // Beta leaves most of it out.
        assert!(Pass::from_json(&json!({"id": "1"})).expect("a pass").is_open(after));
    }

    #[test]
    fn the_body_has_exactly_these_members() {
        let starts = "2026-11-21T12:00:00.75Z".parse().expect("a time");
        assert_eq!(
            pass_body(true, 60, Some(starts)),
            json!({"lifetimeInMinutes": 60, "isUsableOnce": true, "startDateTime": "2026-11-21T12:00:00Z"})
        );
        assert_eq!(pass_body(false, 480, None), json!({"lifetimeInMinutes": 480, "isUsableOnce": false}));
    }
}
