//! Accounts beside their passkeys: which call is which, who may make it, and what an account holds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{self, Act, Caller};
use super::errors;
use super::http::{Answer, Call, Version};
use super::route::{Kind, Who};
use super::spec::PersonSpec;
use super::store::{Person, Store};
use super::{passes, passes::Pass};

/// What an account holds beside its passkeys.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The Temporary Access Pass; one at a time.
    pub(super) pass: Option<Pass>,
}

impl Account {
    pub(super) fn new(spec: &PersonSpec) -> Self {
        let _ = spec;
        Self { pass: None }
    }
}

/// A call on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AccountCall {
    Passes(Who),
    Pass { who: Who, id: String },
    IssuePass(Who),
    DeletePass { who: Who, id: String },
}

impl AccountCall {
    /// The call of a path; `Some(None)` where the path is one of ours and the method is not.
    pub(super) fn of(method: &str, segments: &[&str], path: &[&str]) -> Option<Option<Self>> {
        let last = || path.last().map(|part| (*part).to_owned()).unwrap_or_default();
        let (who, rest) = match segments {
            ["me", rest @ ..] => (Who::Me, rest),
            ["users", _, rest @ ..] => {
                (Who::Named(path.get(1).map(|part| (*part).to_owned()).unwrap_or_default()), rest)
            }
            _ => return None,
        };
        Some(match (rest, method) {
            (["authentication", "temporaryaccesspassmethods"], "GET") => Some(Self::Passes(who)),
            (["authentication", "temporaryaccesspassmethods"], "POST") => Some(Self::IssuePass(who)),
            (["authentication", "temporaryaccesspassmethods"], _) => None,
            (["authentication", "temporaryaccesspassmethods", _], "GET") => Some(Self::Pass { who, id: last() }),
            (["authentication", "temporaryaccesspassmethods", _], "DELETE") => {
                Some(Self::DeletePass { who, id: last() })
            }
            (["authentication", "temporaryaccesspassmethods", _], _) => None,
            _ => return None,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Passes(_) | Self::Pass { .. } => Kind::Passes,
            Self::IssuePass(_) => Kind::IssuePass,
            Self::DeletePass { .. } => Kind::DeletePass,
        }
    }

    /// The person the path names, if it names one.
    pub(super) fn person(&self) -> Option<&str> {
        let who = match self {
            Self::Passes(who) | Self::IssuePass(who) => who,
            Self::Pass { who, .. } | Self::DeletePass { who, .. } => who,
        };
        match who {
            Who::Named(name) => Some(name),
            Who::Me => None,
        }
    }
}

/// Answers one call.
pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    what: &AccountCall,
    call: &Call,
) -> Result<Answer, Answer> {
    match what {
        AccountCall::Passes(who) => passes::list(store, version, caller, who),
        AccountCall::Pass { who, id } => passes::get(store, version, caller, who, id),
        AccountCall::IssuePass(who) => passes::issue(store, version, caller, who, call),
        AccountCall::DeletePass { who, id } => passes::delete(store, caller, who, id),
    }
}

/// Permissions for one kind of method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scopes {
    /// Enough to write; also to read.
    pub(super) write: &'static [&'static str],
    /// Enough to read.
    pub(super) read: &'static [&'static str],
}

/// The person a call is about, once the caller may do this to their methods.
///
/// # Errors
/// 400 for `/me` without a person, 404, or 403.
pub(super) fn target<'a>(
    store: &'a Store,
    caller: &Caller,
    who: &Who,
    scopes: Scopes,
    act: Act,
) -> Result<&'a Person, Answer> {
    if *who == Who::Me && caller.user.is_none() {
        return Err(access::me_without_person());
    }
    let person = store
        .who(who, caller)
        .ok_or_else(|| errors::graph(404, "resourceNotFound", "The requested user was not found."))?;
    if !(caller.has(scopes.write) || act == Act::Read && caller.has(scopes.read)) {
        return Err(errors::access_denied());
    }
    if !access::role_allows(store, caller, person, act) {
        return Err(errors::access_denied());
    }
    Ok(person)
}

/// The list of methods beside passkeys and password, as a read of all methods shows them.
pub(super) fn methods(store: &Store, version: Version, person: &Person, now: Timestamp) -> Vec<Value> {
    person.account.pass.iter().map(|pass| passes::as_json(store, version, person, pass, now)).collect()
}

/// The context of a list below a person's `authentication`.
pub(super) fn context(store: &Store, version: Version, user: &str, set: &str, tail: &str) -> String {
    format!("{}/{}/$metadata#users('{user}')/authentication/{set}{tail}", store.base, version.name())
}

/// A list.
pub(super) fn page(context: String, value: Vec<Value>) -> Answer {
    Answer::json(200, json!({ "@odata.context": context, "value": value }))
}

pub(super) fn no_such_method() -> Answer {
    errors::graph(404, "resourceNotFound", "The requested authentication method was not found.")
}
