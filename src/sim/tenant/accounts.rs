//! Accounts beside their passkeys: which call is which, who may make it, and what an account holds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{self, Act, Caller};
use super::errors;
use super::hardware_oath::{self, OathCall};
use super::http::{Answer, Call, Version};
use super::newcomers;
use super::other_methods::{self, OtherMethod};
use super::passes::{self, Pass};
use super::route::{Kind, Who};
use super::seed::Seed;
use super::spec::{MethodKind, PersonSpec};
use super::store::{Person, Store};

/// What an account holds beside its passkeys.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The Temporary Access Pass; one at a time.
    pub(super) pass: Option<Pass>,
    /// What has no file of its own.
    pub(super) methods: Vec<OtherMethod>,
    /// Two letters.
    pub(super) usage_location: Option<String>,
    /// Licences by `skuId`.
    pub(super) licences: Vec<String>,
    /// Made through Graph, then.
    pub(super) created: Option<Timestamp>,
    /// So many calls on the sign-in methods of a new account find nobody.
    pub(super) hidden_reads: u32,
}

impl Account {
    pub(super) fn new(spec: &PersonSpec, seed: Seed, now: Timestamp) -> Self {
        let methods = spec.methods.iter().enumerate().map(|(number, method)| OtherMethod {
            id: seed.guid(&format!("method {number} of {}", spec.upn)),
            spec: method.clone(),
            created: now,
        });
        Self { methods: methods.collect(), usage_location: spec.usage_location.clone(), ..Self::default() }
    }
}

/// A call on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AccountCall {
    Passes(Who),
    Pass { who: Who, id: String },
    IssuePass(Who),
    DeletePass { who: Who, id: String },
    Oath(OathCall),
    DeleteMethod { who: Who, kind: MethodKind, id: String },
    CreateUser,
    ChangeUser(String),
    AssignLicense(String),
    Domains,
    Skus,
    CreateGroup,
    AddMember(String),
    RemoveMember { group: String, member: String },
}

impl AccountCall {
    /// The call of a path; `Some(None)` where the path is one of ours and the method is not.
    pub(super) fn of(method: &str, segments: &[&str], path: &[&str]) -> Option<Option<Self>> {
        if let Some(call) = OathCall::of(method, segments, path) {
            return Some(call.map(Self::Oath));
        }
        let at = |index: usize| path.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        match (segments, method) {
            (["users"], "POST") => return Some(Some(Self::CreateUser)),
            (["users", _], "PATCH") => return Some(Some(Self::ChangeUser(at(1)))),
            (["users", _, "assignlicense"], "POST") => return Some(Some(Self::AssignLicense(at(1)))),
            (["domains"], "GET") => return Some(Some(Self::Domains)),
            (["subscribedskus"], "GET") => return Some(Some(Self::Skus)),
            (["groups"], "POST") => return Some(Some(Self::CreateGroup)),
            (["groups", _, "members", "$ref"], "POST") => return Some(Some(Self::AddMember(at(1)))),
            (["groups", _, "members", _, "$ref"], "DELETE") => {
                return Some(Some(Self::RemoveMember { group: at(1), member: at(3) }));
            }
            (["users", _, "assignlicense"] | ["domains"] | ["subscribedskus"], _)
            | (["groups", _, "members", _, "$ref"], _) => return Some(None),
            _ => {}
        }
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
            (["authentication", set, _], method) => {
                let kind = other_methods::kind_of(set)?;
                (method == "DELETE").then(|| Self::DeleteMethod { who, kind, id: last() })
            }
            _ => return None,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Passes(_) | Self::Pass { .. } => Kind::Passes,
            Self::IssuePass(_) => Kind::IssuePass,
            Self::DeletePass { .. } => Kind::DeletePass,
            Self::Oath(_) => Kind::Oath,
            Self::DeleteMethod { .. } => Kind::DeleteMethod,
            Self::CreateUser => Kind::CreateUser,
            Self::ChangeUser(_) => Kind::ChangeUser,
            Self::AssignLicense(_) => Kind::AssignLicense,
            Self::Domains => Kind::Domains,
            Self::Skus => Kind::Skus,
            Self::CreateGroup => Kind::CreateGroup,
            Self::AddMember(_) => Kind::AddMember,
            Self::RemoveMember { .. } => Kind::RemoveMember,
        }
    }

    /// The person the path names, if it names one.
    pub(super) fn person(&self) -> Option<&str> {
        let who = match self {
            Self::Passes(who) | Self::IssuePass(who) => who,
            Self::Pass { who, .. } | Self::DeletePass { who, .. } | Self::DeleteMethod { who, .. } => who,
            Self::ChangeUser(name) | Self::AssignLicense(name) => return Some(name),
            Self::Oath(call) => return call.person(),
            Self::RemoveMember { member, .. } => return Some(member),
            Self::CreateUser | Self::Domains | Self::Skus | Self::CreateGroup | Self::AddMember(_) => return None,
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
        AccountCall::Oath(what) => hardware_oath::answer(store, version, caller, what, call),
        AccountCall::DeleteMethod { who, kind, id } => other_methods::delete(store, caller, who, *kind, id),
        AccountCall::CreateUser => newcomers::create(store, version, caller, call),
        AccountCall::ChangeUser(name) => newcomers::change(store, caller, name, call),
        AccountCall::AssignLicense(name) => newcomers::assign(store, version, caller, name, call),
        AccountCall::Domains => newcomers::domains(store, version, caller, call),
        AccountCall::Skus => newcomers::skus(store, version, caller),
        AccountCall::CreateGroup => newcomers::create_group(store, version, caller, call),
        AccountCall::AddMember(group) => newcomers::add_member(store, caller, group, call),
        AccountCall::RemoveMember { group, member } => newcomers::remove_member(store, caller, group, member),
    }
}

/// Replication: what a call on the sign-in methods of an account that was just made is told.
pub(super) fn too_new(store: &mut Store, person: Option<&str>, call: &Call) -> Option<Answer> {
    let id = store.person(person?)?.id.clone();
    let about_methods = call.path.iter().any(|part| part.eq_ignore_ascii_case("authentication"));
    let account = &mut store.person_mut(&id)?.account;
    if !about_methods || account.hidden_reads == 0 {
        return None;
    }
    account.hidden_reads -= 1;
    Some(errors::graph(404, "resourceNotFound", "The requested user was not found."))
}

/// Permissions for one kind of method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scopes {
    /// Enough to write; also to read.
    pub(super) write: &'static [&'static str],
    /// Enough to read.
    pub(super) read: &'static [&'static str],
}

/// For reading everything a person can sign in with: the narrow permissions are not enough.
pub(super) const ALL_METHODS: Scopes =
    Scopes { write: &["UserAuthenticationMethod.ReadWrite.All"], read: &["UserAuthenticationMethod.Read.All"] };

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
    let pass = person.account.pass.iter().map(|pass| passes::as_json(store, version, person, pass, now));
    let mut all: Vec<Value> = pass.chain(person.account.methods.iter().map(other_methods::as_json)).collect();
    if version == Version::Beta {
        all.extend(hardware_oath::of_person(store, person, false));
    }
    all
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
