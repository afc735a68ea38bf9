//! Carrying a plan out: intent, write, read back, compare, outcome.
//!
//! Promise: every write stands in the ledger before it is sent, with the document as it was; it counts as done only when a
//! read shows it. A write that was cut off is settled by reading, before anything else is written ([`Hand::settle`]).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};

use super::current::{Current, id_of};
use super::desired::Doing;
use super::overlay::{Difference, differences, overlay, same};
use super::plan::{Change, Gate, Meets, PENDING, Plan, Spot, limit_of};
use super::reach::{Reach, Tried};
use super::resource::{Act, Called, Kind, Resource};
use crate::graph::{ErrorKind, GraphError};
use crate::ledger::{Append, BlobHash, Entry, Ledger, LedgerError, TenantEntry};
use crate::model::{Aaguid, ChangeId, TenantId, UserId};

/// Waits between reads until a write shows; directories of several regions take seconds, policies up to a minute.
const WAITS: [u64; 8] = [1, 2, 3, 5, 8, 13, 15, 15];
/// The same before a write that was cut off is taken for one that was not made.
const SETTLE_WAITS: [u64; 2] = [2, 4];

/// Why carrying out stopped. What was done before stays done, and stands in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Graph.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The ledger: nothing was sent.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// Somebody else changed the document since it was planned.
    #[error("{subject} was changed by somebody else since the plan was made")]
    Moved {
        /// What.
        subject: String,
        /// Where it differs now.
        differences: Vec<Difference>,
    },
    /// Graph took the write, and reads don't show it yet. The entry stays open.
    #[error("the tenant took the change of {subject}, and reading does not show it")]
    NotThere {
        /// Which change.
        change: ChangeId,
        /// What.
        subject: String,
    },
    /// What a change refers to is not there.
    #[error("{subject} refers to {what}, which was not made")]
    NoSuch {
        /// What.
        subject: String,
        /// To what.
        what: String,
    },
}

/// What is told while a plan is carried out.
#[derive(Debug)]
pub enum Step<'a> {
    /// A change is about to be written.
    Writing(&'a ChangeId, &'a Change),
    /// It was taken, and reads don't show it yet.
    Waiting {
        /// What.
        subject: &'a str,
        /// Seconds waited so far.
        seconds: u64,
    },
    /// It is there.
    Done(&'a ChangeId, &'a Change),
    /// What-if was asked; one line for each answer.
    Tried(&'a Gate, &'a [String]),
    /// What-if disagrees, or can't be asked: the policy stays off.
    Held(&'a Change, &'a str),
    /// A write that was cut off earlier is settled.
    Settled {
        /// Which.
        change: &'a ChangeId,
        /// It had been made.
        made: bool,
        /// Its area.
        area: &'a str,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Changes that are made.
    pub done: Vec<ChangeId>,
    /// Policies that stay off, and why.
    pub held: Vec<(String, String)>,
}

/// Who writes, and where it is written down.
pub struct Hand<'a> {
    /// The tenant.
    pub reach: &'a dyn Reach,
    /// Where it is written down.
    pub ledger: &'a dyn Ledger,
    /// The tenant's id.
    pub tenant: TenantId,
    /// The operating system's name for who does it.
    pub operator: String,
    /// Object id of the signed-in account, or the application's id.
    pub account: String,
    /// People that no policy may apply to, by object id; asked about before a policy is switched on.
    pub break_glass: Vec<UserId>,
    /// Is told what happens.
    pub watch: &'a dyn Fn(Step<'_>),
}

impl Hand<'_> {
    /// Carries a plan out. Changes are numbered under `id`: `id.1`, `id.2`, …
    ///
    /// # Errors
    /// [`ApplyError`]; what was done before stays done.
    pub fn carry_out(&self, plan: &Plan, current: &mut Current, id: &str) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        for (index, change) in plan.changes.iter().enumerate() {
            let number = ChangeId::new(format!("{id}.{}", index.saturating_add(1)));
            if let Some(gate) = &change.gate {
                let id = resolved_resource(change, current)?.map(|at| at.path());
                let id = id.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or("").to_owned();
                if let Err(why) = self.try_gate(gate, &id)? {
                    (self.watch)(Step::Held(change, &why));
                    applied.held.push((gate.policy.clone(), why));
                    continue;
                }
            }
            self.one(&number, change, current)?;
            applied.done.push(number);
        }
        Ok(applied)
    }

    /// One change: intent, write, read back, outcome. Gives the place it is about, which for something new is only known now.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub fn one(&self, number: &ChangeId, change: &Change, current: &mut Current) -> Result<Resource, ApplyError> {
        let act = resolve(change, current)?;
        let at = act.resource();
        let now = match &at {
            Some(at) => self.reach.read(at)?,
            None => None,
        };
        if let Some(at) = &at
            && let Some(planned) = current.get(at)
        {
            let now = now.clone().unwrap_or_default();
            let differences = moved(&act, planned, &now);
            if !differences.is_empty() {
                current.set(at.clone(), now);
                return Err(ApplyError::Moved { subject: change.subject.clone(), differences });
            }
        }
        (self.watch)(Step::Writing(number, change));
        self.intend(number, change.area, &act, now.as_ref())?;
        let performed = match self.reach.perform(&act) {
            Ok(performed) => performed,
            Err(error) => {
                // Where the outcome is not known, the entry stays open and is settled by reading.
                if error.kind() != ErrorKind::Unknown {
                    self.failed(number, error.kind().word(), error.ids().client_request_id.clone())?;
                }
                return Err(error.into());
            }
        };
        let at = match (&at, &act, &performed.made) {
            (Some(at), ..) => at.clone(),
            (None, Act::Create(kind, _), Some(made)) => match id_of(made) {
                Some(id) => kind.of(&id),
                None => return Err(self.lost(number, change)),
            },
            _ => return Err(self.lost(number, change)),
        };
        let after = self.read_back(&at, &act, &change.subject, &WAITS)?;
        let Some(after) = after else {
            // It may show later: the entry stays open, and the next command settles it by reading.
            return Err(self.lost(number, change));
        };
        match &after {
            Some(document) => current.set(at.clone(), document.clone()),
            None => current.remove(&at),
        }
        self.done(number, after.as_ref(), performed.request)?;
        (self.watch)(Step::Done(number, change));
        Ok(at)
    }

    fn lost(&self, number: &ChangeId, change: &Change) -> ApplyError {
        ApplyError::NotThere { change: number.clone(), subject: change.subject.clone() }
    }

    /// Reads until the act shows: `Some(document)`, `Some(None)` once it is deleted, `None` when patience ends.
    fn read_back(
        &self,
        at: &Resource,
        act: &Act,
        subject: &str,
        waits: &[u64],
    ) -> Result<Option<Option<Value>>, GraphError> {
        let mut waited = 0u64;
        for wait in std::iter::once(0).chain(waits.iter().copied()) {
            if wait > 0 {
                waited = waited.saturating_add(wait);
                (self.watch)(Step::Waiting { subject, seconds: waited });
                self.reach.pause(Duration::from_secs(wait))?;
            }
            let document = self.reach.read(at)?;
            if shows(act, document.as_ref()) {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    fn intend(&self, change: &ChangeId, area: &str, act: &Act, before: Option<&Value>) -> Result<(), LedgerError> {
        let bytes = |value: Option<&Value>| value.map(|value| value.to_string().into_bytes());
        let (before, sent) = (bytes(before), bytes(act.body().as_ref()));
        let entry = TenantEntry::ChangeIntended {
            change: change.clone(),
            tenant: self.tenant.clone(),
            area: area.to_owned(),
            call: act.call(),
            before: before.as_deref().map(BlobHash::of),
            sent: sent.as_deref().map(BlobHash::of),
            operator: self.operator.clone(),
            account: self.account.clone(),
        };
        let mut append = Append::entry(Entry::Tenant(entry));
        for bytes in before.into_iter().chain(sent) {
            append = append.with_document(bytes);
        }
        self.ledger.append(append).map(drop)
    }

    fn done(&self, change: &ChangeId, after: Option<&Value>, request: Option<String>) -> Result<(), LedgerError> {
        let after = after.map(|value| value.to_string().into_bytes());
        let hash = after.as_deref().map(BlobHash::of);
        let entry = TenantEntry::ChangeDone { change: change.clone(), after: hash, request };
        let mut append = Append::entry(Entry::Tenant(entry));
        if let Some(bytes) = after {
            append = append.with_document(bytes);
        }
        self.ledger.append(append).map(drop)
    }

    fn failed(&self, change: &ChangeId, code: &str, request: Option<String>) -> Result<(), LedgerError> {
        let entry = TenantEntry::ChangeFailed { change: change.clone(), code: code.to_owned(), request };
        self.ledger.append(Append::entry(Entry::Tenant(entry))).map(drop)
    }

    /// Asks what-if before a policy is switched on. `Ok(Err(why))`: it stays off.
    fn try_gate(&self, gate: &Gate, policy: &str) -> Result<Result<(), String>, ApplyError> {
        let mut lines = Vec::new();
        let verdict = match self.answers(gate, policy, &mut lines) {
            Ok(verdict) => verdict,
            Err(error) if matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Refused) => {
                Err(format!("what-if can't be asked ({})", error.fact()))
            }
            Err(error) => return Err(error.into()),
        };
        (self.watch)(Step::Tried(gate, &lines));
        Ok(verdict)
    }

    fn answers(&self, gate: &Gate, policy: &str, lines: &mut Vec<String>) -> Result<Result<(), String>, GraphError> {
        const NOT_SHOWN: &str = "what-if does not show the policy yet; apply the file again in a few minutes";
        let ours = |told: &[Tried]| {
            told.iter().find(|one| one.id.eq_ignore_ascii_case(policy) || one.name == gate.policy).cloned()
        };
        // A place where it should act: none of those it spares.
        let elsewhere = gate.spared.as_ref().map(|spot| match spot {
            Spot::Country(code) => Spot::Country(if code == "KP" { "IR".to_owned() } else { "KP".to_owned() }),
            // TEST-NET-1 (RFC 5737): nobody's office.
            Spot::Address(_) => Spot::Address(std::net::IpAddr::from([192, 0, 2, 1])),
        });
        for user in &self.break_glass {
            let told = self.reach.what_if(user, &gate.doing, elsewhere.as_ref())?;
            match ours(&told) {
                Some(one) if one.applies => {
                    return Ok(Err(format!("it would apply to the break-glass account {user}")));
                }
                Some(_) => lines.push(format!("break-glass account {user}: spared")),
                None => return Ok(Err(NOT_SHOWN.to_owned())),
            }
        }
        if let Some(caller) = &gate.caller {
            let told = self.reach.what_if(&UserId::new(caller.id.clone()), &gate.doing, elsewhere.as_ref())?;
            let id = &caller.id;
            lines.push(match ours(&told) {
                None => return Ok(Err(NOT_SHOWN.to_owned())),
                Some(one) if !one.applies => {
                    format!("{id}, who is signed in: does not apply ({})", one.reasons.join(", "))
                }
                Some(_) => match (caller.meets, caller.told) {
                    (Meets::Yes, _) => format!("{id}, who is signed in: applies, and is met by what they hold"),
                    // Held up is what is certain; what can't be read was asked about with the plan.
                    (Meets::Unknown, _) => {
                        format!("{id}, who is signed in: applies, and whether they satisfy it can't be read")
                    }
                    (Meets::No, true) => format!("{id}, who is signed in: applies and locks out, as the plan says"),
                    (Meets::No, false) => {
                        return Ok(Err(format!(
                            "it would apply to {id}, who is signed in and has nothing that satisfies it"
                        )));
                    }
                },
            });
        }
        if !gate.doing.is_user_action() {
            return Ok(Ok(()));
        }
        let Some(person) = self.example(gate)? else {
            return Ok(Err("nobody is in the group it is for, so what-if has nobody to be asked about".to_owned()));
        };
        let told = self.reach.what_if(&person, &gate.doing, elsewhere.as_ref())?;
        match ours(&told) {
            Some(one) if one.applies => lines.push(format!("{person}: applies, as it should")),
            Some(one) => {
                let why = one.reasons.join(", ");
                return Ok(Err(format!("it would not apply to {person}, who is in its group ({why})")));
            }
            None => return Ok(Err(NOT_SHOWN.to_owned())),
        }
        if let Some(spot) = &gate.spared {
            let told = self.reach.what_if(&person, &gate.doing, Some(spot))?;
            if ours(&told).is_some_and(|one| one.applies) {
                return Ok(Err(format!("it would apply to {person} in a place that it should spare")));
            }
            lines.push(format!("{person}: spared where the file says so"));
        }
        if let Some(blocking) = told.iter().find(|one| one.blocks && one.applies && one.name != gate.policy)
            && !gate.blocks
        {
            lines.push(format!("{person}: another policy blocks this already: {}", blocking.name));
        }
        Ok(Ok(()))
    }

    /// Somebody the policy is for, and no break-glass account.
    fn example(&self, gate: &Gate) -> Result<Option<UserId>, GraphError> {
        let spared: BTreeSet<String> = self.break_glass.iter().map(|user| user.as_str().to_ascii_lowercase()).collect();
        let fits = |user: &UserId| !spared.contains(&user.as_str().to_ascii_lowercase());
        if let Some(user) = gate.users.iter().map(|id| UserId::new(id.clone())).find(|user| fits(user)) {
            return Ok(Some(user));
        }
        for group in &gate.groups {
            if let Some(user) = self.reach.members(group)?.into_iter().find(|user| fits(user)) {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// Settles writes that were cut off: reads whether they were made, and writes that down.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub fn settle(&self) -> Result<(), ApplyError> {
        for open in open_changes(self.ledger, &self.tenant)? {
            let sent = self.document(open.sent)?;
            let look = |at: &Resource, act: &Act| self.read_back(at, act, &open.area, &SETTLE_WAITS);
            let found = match Called::read(&open.call) {
                Some(Called::Created(kind)) => self.find_made(kind, sent.as_ref())?,
                Some(Called::Changed(at)) => look(&at, &Act::Change(at.clone(), sent.clone().unwrap_or_default()))?,
                Some(Called::OfStrength(id)) => match of_strength(&open.call, &id, sent.as_ref()) {
                    Some(act) => look(&Resource::Strength(id), &act)?,
                    None => None,
                },
                Some(Called::Deleted(at)) => look(&at, &Act::Delete(at.clone()))?,
                // Of a newer keybench: that one has to settle it.
                None => continue,
            };
            let made = found.is_some();
            match found {
                Some(after) => self.done(&open.change, after.as_ref(), None)?,
                None => self.failed(&open.change, "not-made", None)?,
            }
            (self.watch)(Step::Settled { change: &open.change, made, area: &open.area });
        }
        Ok(())
    }

    fn find_made(&self, kind: Kind, sent: Option<&Value>) -> Result<Option<Option<Value>>, GraphError> {
        let Some(sent) = sent else { return Ok(None) };
        let act = Act::Create(kind, sent.clone());
        // A list shows new things late; a duplicate would be worse than a wait.
        for wait in std::iter::once(0).chain(SETTLE_WAITS) {
            if wait > 0 {
                self.reach.pause(Duration::from_secs(wait))?;
            }
            if let Some(found) = self.reach.list(kind)?.into_iter().find(|one| shows(&act, Some(one))) {
                return Ok(Some(Some(found)));
            }
        }
        Ok(None)
    }

    fn document(&self, hash: Option<BlobHash>) -> Result<Option<Value>, LedgerError> {
        let Some(hash) = hash else { return Ok(None) };
        let bytes = self.ledger.blob(hash)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

/// A write whose outcome is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub change: ChangeId,
    /// Its area.
    pub area: String,
    /// Its call.
    pub call: String,
    /// The document before.
    pub before: Option<BlobHash>,
    /// The document sent.
    pub sent: Option<BlobHash>,
}

/// Writes to this tenant's policies that were cut off, in their order.
///
/// # Errors
/// When the ledger can't be read.
pub fn open_changes(ledger: &dyn Ledger, tenant: &TenantId) -> Result<Vec<Open>, LedgerError> {
    let mut open: Vec<Open> = Vec::new();
    ledger.visit(1, &mut |recorded| {
        match recorded.entry {
            Entry::Tenant(TenantEntry::ChangeIntended { change, tenant: of, area, call, before, sent, .. })
                if of == *tenant =>
            {
                open.push(Open { change, area, call, before, sent });
            }
            Entry::Tenant(TenantEntry::ChangeDone { change, .. } | TenantEntry::ChangeFailed { change, .. }) => {
                open.retain(|one| one.change != change);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(open)
}

/// Where a document differs in what the act is about. Dates and the like change of themselves.
pub(crate) fn moved(act: &Act, planned: &Value, now: &Value) -> Vec<Difference> {
    let about: Vec<String> = match act {
        Act::Change(_, body) | Act::Create(_, body) => {
            body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        }
        Act::Combinations { .. } => vec!["allowedCombinations".to_owned()],
        Act::Limit { .. } => vec!["combinationConfigurations".to_owned()],
        Act::Delete(_) => planned.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect(),
    };
    let only = |document: &Value| -> Value {
        about
            .iter()
            .filter(|name| !name.ends_with("DateTime"))
            .map(|name| (name.clone(), document[name].clone()))
            .collect()
    };
    differences(&only(planned), &only(now))
}

/// The act on a strength that a line of the ledger and what was sent stand for.
fn of_strength(call: &str, id: &str, sent: Option<&Value>) -> Option<Act> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    if call.ends_with("/updateAllowedCombinations") {
        return Some(Act::Combinations { strength: id.to_owned(), allow: texts(&sent?["allowedCombinations"]) });
    }
    let models = sent.map(|sent| texts(&sent["allowedAAGUIDs"])).unwrap_or_default();
    let models = models.iter().filter_map(|text| Aaguid::parse(text)).collect();
    Some(Act::Limit { strength: id.to_owned(), id: None, models })
}

/// Whether a document shows that the act was carried out.
pub(crate) fn shows(act: &Act, document: Option<&Value>) -> bool {
    let Some(document) = document else { return matches!(act, Act::Delete(_)) };
    let holds = |body: &Value| same(&overlay(document, body), document);
    match act {
        Act::Delete(_) => false,
        Act::Change(_, body) => holds(body),
        Act::Create(_, body) => {
            // A limit on key models gets an id of its own, so it is compared by what it says.
            let mut body = body.clone();
            let limits = body.as_object_mut().and_then(|map| map.shift_remove("combinationConfigurations"));
            let wanted = limits.and_then(|limits| limit_of(&json!({ "combinationConfigurations": limits })));
            holds(&body) && same_models(wanted.map(|(_, models)| models), document)
        }
        Act::Combinations { allow, .. } => same(&document["allowedCombinations"], &json!(allow)),
        Act::Limit { models, .. } => same_models((!models.is_empty()).then(|| models.clone()), document),
    }
}

fn same_models(wanted: Option<Vec<Aaguid>>, document: &Value) -> bool {
    let set = |models: Vec<Aaguid>| models.into_iter().collect::<BTreeSet<_>>();
    wanted.map(set) == limit_of(document).map(|(_, models)| set(models))
}

/// The act with every stand-in replaced by the id that Graph gave.
fn resolve(change: &Change, current: &Current) -> Result<Act, ApplyError> {
    let missing = |what: &str| ApplyError::NoSuch {
        subject: change.subject.clone(),
        what: what.trim_start_matches(PENDING).to_owned(),
    };
    let fill = |body: &Value| {
        let mut body = body.clone();
        replace(&mut body, current).map_err(|what| missing(&what))?;
        Ok::<Value, ApplyError>(body)
    };
    let at = |resource: &Resource| -> Result<Resource, ApplyError> {
        let text = match resource {
            Resource::Location(id) | Resource::Strength(id) | Resource::Access(id) => id,
            _ => return Ok(resource.clone()),
        };
        if !text.starts_with(PENDING) {
            return Ok(resource.clone());
        }
        let id = real_id(text, current).ok_or_else(|| missing(text))?;
        Ok(match resource {
            Resource::Location(_) => Resource::Location(id),
            Resource::Strength(_) => Resource::Strength(id),
            _ => Resource::Access(id),
        })
    };
    Ok(match &change.act {
        Act::Change(resource, body) => Act::Change(at(resource)?, fill(body)?),
        Act::Create(kind, body) => Act::Create(*kind, fill(body)?),
        Act::Delete(resource) => Act::Delete(at(resource)?),
        other => other.clone(),
    })
}

fn resolved_resource(change: &Change, current: &Current) -> Result<Option<Resource>, ApplyError> {
    Ok(resolve(change, current)?.resource())
}

/// Stand-ins are whole texts; the first that stands for nothing is told.
fn replace(value: &mut Value, current: &Current) -> Result<(), String> {
    match value {
        Value::String(text) if text.starts_with(PENDING) => match real_id(text, current) {
            Some(id) => {
                *text = id;
                Ok(())
            }
            None => Err(text.clone()),
        },
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, current)),
        // What people wrote is never an id.
        Value::Object(map) => map
            .iter_mut()
            .filter(|(name, _)| !matches!(name.as_str(), "displayName" | "description" | "name"))
            .try_for_each(|(_, value)| replace(value, current)),
        _ => Ok(()),
    }
}

fn real_id(text: &str, current: &Current) -> Option<String> {
    let (kind, name) = text.strip_prefix(PENDING)?.split_once(':')?;
    let of = |kind: Kind| {
        let found = current.named(kind, name);
        found.into_iter().find_map(|(_, document)| id_of(document)).filter(|id| !id.starts_with(PENDING))
    };
    match kind {
        "location" => of(Kind::Location),
        "strength" => of(Kind::Strength),
        "access" => of(Kind::Access),
        "profile" => {
            let profiles = current.method("fido2")?["passkeyProfiles"].as_array()?;
            let profile = profiles
                .iter()
                .find(|profile| profile["name"].as_str().is_some_and(|its| its.to_lowercase() == name))?;
            id_of(profile)
        }
        _ => None,
    }
}

/// What somebody is about to do, for people.
pub fn in_words(doing: &Doing) -> String {
    match doing {
        Doing::RegisterSecurityInfo => "registering security information".to_owned(),
        Doing::RegisterDevice => "registering or joining a device".to_owned(),
        Doing::SignIn(apps) => format!("signing in to {}", apps.join(", ")),
    }
}
