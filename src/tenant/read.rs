//! Asking a tenant for what a plan needs: the ids of names, the policies as they are, and what people can sign in with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::Value;

use super::circle::Circle;
use super::current::Current;
use super::desired::{Desired, Named, Problem, Who};
use super::names::{Entry, Names};
use super::people::{Held, People, Person};
use super::reach::Reach;
use super::resource::{Kind, Resource};
use crate::graph::sign_in_methods::MethodKind;
use crate::graph::user_methods::{AuthenticationMethod, MethodsOfOne};
use crate::graph::{ApiVersion, ErrorKind, Graph, GraphError};
use crate::ledger::{Entry as LedgerEntry, Ledger, LedgerError, TenantEntry};
use crate::model::{Aaguid, UserId};

/// More people than this are not looked at one by one.
pub const MOST_PEOPLE: usize = 2000;

/// Why names can't be looked up.
#[derive(Debug)]
pub enum NamesError {
    /// The file names what the directory doesn't have.
    Problems(Vec<Problem>),
    /// Graph.
    Graph(GraphError),
}

impl From<GraphError> for NamesError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

/// The ids of every group and person that a file names; each is asked for once.
///
/// # Errors
/// [`NamesError::Problems`] with every name that is wrong, at its place in the file.
pub fn names(graph: &Graph, desired: &Desired) -> Result<Names, NamesError> {
    let mut names = Names::default();
    let mut problems = Vec::new();
    for named in desired.named() {
        match named {
            Named::Group(_, text) if names.group(text).is_some() => {}
            Named::User(_, text) if names.user(text).is_some() => {}
            Named::Group(at, text) => match graph.find_group(text) {
                Ok(group) => names.add_group(text, Entry { id: group.id, name: group.name }),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Ambiguous) => {
                    let what = format!("{}. {}", error.fact(), error.cause());
                    problems.push(Problem { place: at.place, field: at.field.clone(), what });
                }
                Err(error) => return Err(error.into()),
            },
            Named::User(at, text) => match graph.find_user(text)? {
                Some(user) => {
                    let name = user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string);
                    names.add_user(text, Entry { id: user.id.as_str().to_ascii_lowercase(), name });
                }
                None => {
                    let what = format!("the tenant has nobody by the name {text}");
                    problems.push(Problem { place: at.place, field: at.field.clone(), what });
                }
            },
        }
    }
    if problems.is_empty() { Ok(names) } else { Err(NamesError::Problems(problems)) }
}

/// The policies that a file speaks of. What concerns a plan only by the way (security defaults, device registration) may
/// be missing where it may not be read.
///
/// # Errors
/// What Graph says of a document that the file speaks of.
pub fn current(reach: &dyn Reach, desired: &Desired) -> Result<Current, GraphError> {
    let mut current = Current::default();
    let methods = desired.fido2.is_some()
        || desired.pass.is_some()
        || desired.authenticator.is_some()
        || !desired.plain.is_empty()
        || desired.campaign.is_some();
    // A strength, a place or security defaults that a file changes are demanded, named or replaced by policies that it does not name.
    let access = !desired.access.is_empty() || !desired.strengths.is_empty() || !desired.locations.is_empty();
    if methods || !desired.access.is_empty() {
        current.take_policy(&reach.methods(false)?);
    }
    let hardware = desired.plain.iter().any(|plain| plain.method == super::desired::Simple::HardwareOath);
    let forced = desired.campaign.as_ref().is_some_and(|campaign| campaign.forced.is_some());
    if hardware || forced || desired.system_preferred.is_some() {
        current.take_beta_policy(&reach.methods(true)?);
    }
    if access {
        take_access(reach, &mut current)?;
    } else if desired.security_defaults.is_some() {
        softly(take_access(reach, &mut current))?;
    }
    for (at, needed) in [
        (Resource::Defaults, desired.security_defaults.is_some()),
        (Resource::Devices, desired.device_join_mfa.is_some()),
    ] {
        if needed || !desired.access.is_empty() {
            take(reach, &mut current, at, needed)?;
        }
    }
    Ok(current)
}

/// What a file sets person by person, of those it is for; and the policies that may stand in for per-user MFA, where they can be read.
///
/// # Errors
/// What Graph says of one of them.
pub fn per_person(
    reach: &dyn Reach,
    desired: &Desired,
    names: &Names,
    people: &People,
    current: &mut Current,
) -> Result<(), GraphError> {
    let Some(wanted) = &desired.per_person else { return Ok(()) };
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for word in &wanted.people {
        let who = Who::read(word);
        match (names.id(&who), &who) {
            (Some(id), Who::User(_)) => drop(ids.insert(id.to_owned())),
            (Some(id), _) => ids.extend(people.in_any(&[id]).map(|person| person.id.clone())),
            (None, _) => {}
        }
    }
    if wanted.mfa.is_some() && current.all(Kind::Access).next().is_none() {
        softly(take_access(reach, current))?;
    }
    for id in ids {
        if wanted.mfa.is_some() {
            take(reach, current, Resource::Mfa(id.clone()), true)?;
        }
        if wanted.second_factor.is_some() || wanted.system_preferred.is_some() {
            take(reach, current, Resource::Preference(id), true)?;
        }
    }
    Ok(())
}

/// What stands around documents that are about to be written back: whatever decides together with them who gets in.
///
/// # Errors
/// What Graph says.
pub fn around(reach: &dyn Reach, touched: &[Resource]) -> Result<Current, GraphError> {
    let mut current = Current::default();
    let any = |is: fn(&Resource) -> bool| touched.iter().any(is);
    if any(|at| matches!(at, Resource::Method(_) | Resource::Policy | Resource::BetaPolicy)) {
        current.take_policy(&reach.methods(false)?);
    }
    if any(|at| matches!(at, Resource::BetaPolicy) || matches!(at, Resource::Method(id) if id == "hardwareoath")) {
        current.take_beta_policy(&reach.methods(true)?);
    }
    if any(|at| matches!(at, Resource::Strength(_) | Resource::Location(_) | Resource::Access(_))) {
        take_access(reach, &mut current)?;
    } else if any(|at| matches!(at, Resource::Defaults | Resource::Mfa(_))) {
        softly(take_access(reach, &mut current))?;
    }
    for at in touched {
        if current.get(at).is_none() {
            take(reach, &mut current, at.clone(), true)?;
        }
    }
    Ok(current)
}

/// Everything that can be exported, and what could not be read, in words.
///
/// # Errors
/// When not even the methods policy can be read.
pub fn everything(reach: &dyn Reach) -> Result<(Current, Vec<String>), GraphError> {
    let mut current = Current::default();
    let mut unread = Vec::new();
    current.take_policy(&reach.methods(false)?);
    let mut softly = |what: &str, answer: Result<(), GraphError>| match answer {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Refused) => {
            unread.push(format!("{what}: {}", error.fact()));
            Ok(())
        }
        Err(error) => Err(error),
    };
    softly("what only beta tells", reach.methods(true).map(|policy| current.take_beta_policy(&policy)))?;
    softly("authentication strengths", take_all(reach, &mut current, Kind::Strength))?;
    softly("named locations", take_all(reach, &mut current, Kind::Location))?;
    softly("Conditional Access", take_all(reach, &mut current, Kind::Access))?;
    softly("security defaults", take(reach, &mut current, Resource::Defaults, true))?;
    softly("device registration", take(reach, &mut current, Resource::Devices, true))?;
    Ok((current, unread))
}

/// Conditional Access, with the strengths that it demands and the places that it names.
fn take_access(reach: &dyn Reach, current: &mut Current) -> Result<(), GraphError> {
    [Kind::Strength, Kind::Location, Kind::Access].into_iter().try_for_each(|kind| take_all(reach, current, kind))
}

/// What is read by the way may be out of reach: without the right, or without the licence.
fn softly(answer: Result<(), GraphError>) -> Result<(), GraphError> {
    match answer {
        Err(error) if !matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::Refused) => Err(error),
        _ => Ok(()),
    }
}

fn take_all(reach: &dyn Reach, current: &mut Current, kind: Kind) -> Result<(), GraphError> {
    for document in reach.list(kind)? {
        if let Some(id) = super::current::id_of(&document) {
            current.set(kind.of(&id), document);
        }
    }
    Ok(())
}

fn take(reach: &dyn Reach, current: &mut Current, at: Resource, needed: bool) -> Result<(), GraphError> {
    match reach.read(&at) {
        Ok(Some(document)) => current.set(at, document),
        Ok(None) => {}
        Err(error) if !needed && error.kind() == ErrorKind::Forbidden => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Names for the ids of groups and people in the documents, as far as the directory tells.
///
/// # Errors
/// When the directory can't be asked at all.
pub fn names_in(graph: &Graph, current: &Current) -> Result<Names, GraphError> {
    let mut names = Names::default();
    let (groups, users) = current.ids();
    for id in groups {
        match graph.find_group(&id) {
            Ok(group) => names.add_group(&id, Entry { id: group.id, name: group.name }),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {}
            Err(error) => return Err(error),
        }
    }
    for id in users {
        if let Some(user) = graph.find_user(&id)? {
            let name = user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string);
            names.add_user(&id, Entry { id: user.id.as_str().to_ascii_lowercase(), name });
        }
    }
    Ok(names)
}

/// The people of a circle, with what they can sign in with. Which of the groups that `current` names they are in is asked as well.
///
/// # Errors
/// When groups or memberships can't be read. Methods that can't be read are `None`.
pub fn people(
    graph: &Graph,
    circle: &Circle,
    current: &Current,
    used: &BTreeSet<UserId>,
) -> Result<People, GraphError> {
    let mut found = circle.single.clone();
    for group in circle.groups.values() {
        for user in graph.group_members(group)? {
            let name = user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string);
            found.insert(UserId::new(user.id.as_str().to_ascii_lowercase()), name);
        }
    }
    let total = found.len();
    // Whoever is signed in first: nobody is locked out more dearly.
    let others = found.keys().filter(|id| circle.caller.as_ref() != Some(*id));
    let ids: Vec<UserId> = circle.caller.iter().chain(others).take(MOST_PEOPLE).cloned().collect();
    // Groups that the policies name matter as well: who is in scope today.
    let mut asked: BTreeSet<String> = circle.groups.keys().cloned().collect();
    asked.extend(current.ids().0);
    let memberships = if ids.is_empty() { Vec::new() } else { graph.memberships(&ids, &asked)? };
    let (methods, uses_told) = methods(graph, &ids)?;
    let mut list: Vec<Person> = ids
        .iter()
        .zip(memberships)
        .zip(methods)
        .map(|((id, groups), methods)| Person {
            id: id.as_str().to_owned(),
            name: found.get(id).cloned().unwrap_or_default(),
            used_key: used.contains(id) || methods.as_ref().is_ok_and(|list| list.iter().any(is_used_key)),
            groups,
            roles: BTreeSet::new(),
            methods: methods.ok().map(|list| list.iter().map(|one| held(&one.document().to_json())).collect()),
        })
        .collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    let whole = if total > list.len() { BTreeSet::new() } else { circle.groups.keys().cloned().collect() };
    let caller = circle.caller.as_ref().map(|id| id.as_str().to_owned());
    let mut people = People { scope: scope(circle, &list, total), uses_told, list, whole, caller };
    if current.names_roles() {
        roles(graph, &mut people)?;
    }
    Ok(people)
}

/// The directory roles they hold now. Where they can't be read nobody is taken for holding one; that holders of a role are not counted
/// is said in any case.
fn roles(graph: &Graph, people: &mut People) -> Result<(), GraphError> {
    let ids: Vec<UserId> = people.list.iter().map(|person| UserId::new(person.id.clone())).collect();
    let held = match graph.roles_of_each(&ids) {
        Ok(held) => held,
        Err(error) if error.kind() == ErrorKind::Forbidden => return Ok(()),
        Err(error) => return Err(error),
    };
    for (person, held) in people.list.iter_mut().zip(held) {
        person.roles = held.iter().map(|role| role.template().to_ascii_lowercase()).collect();
    }
    Ok(())
}

/// Everybody's methods, and whether it is told when each was last used. Beta tells; where it can't be asked, v1.0 is.
fn methods(graph: &Graph, ids: &[UserId]) -> Result<(Vec<MethodsOfOne>, bool), GraphError> {
    if ids.is_empty() {
        return Ok((Vec::new(), true));
    }
    match graph.methods_of_each(ApiVersion::Beta, ids) {
        Ok(all) if all.iter().any(Result::is_ok) => Ok((all, true)),
        _ => Ok((graph.methods_of_each(ApiVersion::V1, ids)?, false)),
    }
}

fn is_used_key(method: &AuthenticationMethod) -> bool {
    method.kind() == MethodKind::Passkey && method.last_used().is_some()
}

fn scope(circle: &Circle, list: &[Person], total: usize) -> String {
    if list.is_empty() {
        return "Nobody was looked at: no group is named that has people in it.".to_owned();
    }
    let names: Vec<&str> = circle.groups.values().map(|group| group.name.as_str()).collect();
    let mut of = Vec::new();
    if !names.is_empty() {
        of.push(format!("members of {}", names.join(", ")));
    }
    if circle.single.keys().any(|id| circle.caller.as_ref() != Some(id)) {
        of.push("those named one by one".to_owned());
    }
    if circle.caller.is_some() {
        of.push("who is signed in".to_owned());
    }
    let cut = if total > list.len() { format!(", of {total} in all") } else { String::new() };
    let count = if list.len() == 1 { "1 person was".to_owned() } else { format!("{} people were", list.len()) };
    format!("{count} looked at{cut}: {}. Nobody else was.", of.join("; "))
}

/// What a method of Graph's list is.
fn held(method: &Value) -> Held {
    let kind = method["@odata.type"].as_str().unwrap_or("").rsplit('.').next().unwrap_or("");
    match kind.trim_end_matches("AuthenticationMethod") {
        "fido2" => {
            let aaguid = method["aaGuid"].as_str().and_then(Aaguid::parse).unwrap_or(Aaguid::ZERO);
            let label = ["model", "displayName"].into_iter().find_map(|name| method[name].as_str());
            let label = label.filter(|label| !label.is_empty()).unwrap_or("without a name");
            Held::Passkey { aaguid, label: format!("{label} ({aaguid})") }
        }
        "temporaryAccessPass" if method["isUsable"] != false => Held::Pass { once: method["isUsableOnce"] == true },
        // v1.0 does not tell whether the app is set up for phone sign-in: it counts as not. Beta lists that apart.
        "microsoftAuthenticator" => Held::Authenticator { phone_sign_in: false },
        "passwordlessMicrosoftAuthenticator" => Held::Authenticator { phone_sign_in: true },
        "phone" => Held::Phone,
        "softwareOath" => Held::SoftwareOath,
        "hardwareOath" => Held::HardwareOath,
        "email" => Held::Email,
        "windowsHelloForBusiness" | "platformCredential" => Held::WindowsHello,
        "password" => Held::Password,
        _ => Held::Other(kind.to_owned()),
    }
}

/// People who are known to have signed in with a key of ours.
///
/// # Errors
/// When the ledger can't be read.
pub fn key_users(ledger: &dyn Ledger) -> Result<BTreeSet<UserId>, LedgerError> {
    let mut of_job: BTreeMap<String, UserId> = BTreeMap::new();
    let mut used = BTreeSet::new();
    ledger.visit(1, &mut |recorded| {
        match recorded.entry {
            LedgerEntry::JobPlanned { job, user, .. } => {
                of_job.insert(job.as_str().to_owned(), UserId::new(user.as_str().to_ascii_lowercase()));
            }
            LedgerEntry::Tenant(TenantEntry::KeyUsed { job, .. }) => used.extend(of_job.get(job.as_str()).cloned()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(used)
}
