//! Writing back what was there before a change.
//!
//! Promise: nothing is written back over what somebody else changed since, unless the operator says so; passkey profiles
//! that were added since are kept. An undoing is a change like any other, and can itself be undone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::apply::moved;
use super::current::{Current, id_of};
use super::overlay::{Difference, differences, overlay};
use super::plan::{Change, PENDING, limit_of};
use super::reach::Reach;
use super::resource::{Act, Called, Kind, Resource};
use crate::graph::GraphError;
use crate::ledger::{BlobHash, Entry, Ledger, LedgerError, TenantEntry};
use crate::model::{ChangeId, TenantId};

/// Why a change can't be undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// Graph.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// The ledger has none of this name for this tenant.
    #[error("the ledger has no change {0} of this tenant")]
    Unknown(String),
    /// It was never made.
    #[error("change {0} was not made: there is nothing to undo")]
    NotMade(String),
    /// A document is missing or of another keybench.
    #[error("what change {0} replaced is not in the ledger any more, or was written by a newer keybench")]
    NoDocument(ChangeId),
    /// What it changed has gone.
    #[error("what change {0} changed is not in the tenant any more")]
    Gone(ChangeId),
}

/// A change that was made, with its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Which.
    pub change: ChangeId,
    /// Its area.
    pub area: String,
    /// What it called.
    pub call: String,
    before: Option<Value>,
    sent: Option<Value>,
    after: Option<Value>,
}

impl Made {
    /// The documents before, as sent and after, as far as there were any.
    pub fn documents(&self) -> impl Iterator<Item = &Value> {
        [&self.before, &self.sent, &self.after].into_iter().flatten()
    }
}

/// One way back.
#[derive(Debug, Clone, PartialEq)]
pub struct Back {
    /// What is undone.
    pub of: ChangeId,
    /// How; none when the tenant is already as it was.
    pub changes: Vec<Change>,
    /// Where somebody else has changed it since.
    pub moved: Vec<Difference>,
}

/// Ids that changed because something deleted was made anew: what is undone after that means the new one.
#[derive(Debug, Clone, Default)]
pub struct Renames(BTreeMap<String, String>);

impl Renames {
    /// Notes where something was written back to.
    pub fn note(&mut self, undone: &Made, at: &Resource) {
        if let Some(Called::Deleted(old)) = Called::read(&undone.call) {
            let id = |at: &Resource| at.path().rsplit('/').next().map(str::to_owned);
            if let (Some(old), Some(new)) = (id(&old), id(at)) {
                self.0.insert(old, new);
            }
        }
    }

    /// The change with the ids of now.
    #[must_use]
    pub fn apply(&self, made: &Made) -> Made {
        let mut made = made.clone();
        for (old, new) in &self.0 {
            made.call = made.call.replace(old.as_str(), new);
        }
        [&mut made.before, &mut made.sent, &mut made.after].into_iter().flatten().for_each(|it| self.rename(it));
        made
    }

    fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(new) = self.0.get(&text.to_ascii_lowercase()) {
                    new.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.rename(item)),
            _ => {}
        }
    }
}

struct Line {
    change: ChangeId,
    area: String,
    call: String,
    before: Option<BlobHash>,
    sent: Option<BlobHash>,
    after: Option<Option<BlobHash>>,
}

/// The changes that an id stands for, newest first: one (`ID.3`), or all of one application (`ID`).
///
/// # Errors
/// [`UndoError::Unknown`], [`UndoError::NotMade`], or what the ledger says.
pub fn made(ledger: &dyn Ledger, tenant: &TenantId, id: &str) -> Result<Vec<Made>, UndoError> {
    let id = id.trim().to_ascii_uppercase();
    let is_meant = |change: &ChangeId| {
        change.as_str() == id || change.as_str().strip_prefix(&id).is_some_and(|rest| rest.starts_with('.'))
    };
    let mut lines: Vec<Line> = Vec::new();
    ledger.visit(1, &mut |recorded| {
        match recorded.entry {
            Entry::Tenant(TenantEntry::ChangeIntended { change, tenant: of, area, call, before, sent, .. })
                if of == *tenant && is_meant(&change) =>
            {
                lines.push(Line { change, area, call, before, sent, after: None });
            }
            Entry::Tenant(TenantEntry::ChangeDone { change, after, .. }) => {
                if let Some(line) = lines.iter_mut().find(|line| line.change == change) {
                    line.after = Some(after);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    if lines.is_empty() {
        return Err(UndoError::Unknown(id));
    }
    let document = |hash: Option<BlobHash>, change: &ChangeId| -> Result<Option<Value>, UndoError> {
        let Some(hash) = hash else { return Ok(None) };
        let bytes = ledger.blob(hash)?.ok_or_else(|| UndoError::NoDocument(change.clone()))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| UndoError::NoDocument(change.clone()))
    };
    let mut found = Vec::new();
    for line in lines.into_iter().rev() {
        let Some(after) = line.after else { continue };
        found.push(Made {
            before: document(line.before, &line.change)?,
            sent: document(line.sent, &line.change)?,
            after: document(after, &line.change)?,
            change: line.change,
            area: line.area,
            call: line.call,
        });
    }
    if found.is_empty() { Err(UndoError::NotMade(id)) } else { Ok(found) }
}

/// How to get back from what a change left.
///
/// # Errors
/// [`UndoError`].
pub fn back(reach: &dyn Reach, made: &Made) -> Result<Back, UndoError> {
    back_from(&|at| reach.read(at), made)
}

/// All ways back, one after the other, and the tenant that they lead to.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// In the order in which they are gone.
    pub backs: Vec<Back>,
    /// The tenant as it is, as far as it was read.
    pub before: Current,
    /// And as it will be.
    pub after: Current,
}

/// Goes the ways back in a tenant of documents. `before` is what stands around them ([`super::read::around`]).
///
/// # Errors
/// [`UndoError`].
pub fn preview(reach: &dyn Reach, before: Current, changes: &[Made]) -> Result<Preview, UndoError> {
    let (mut after, mut renames) = (before.clone(), Renames::default());
    let mut backs = Vec::new();
    for made in changes {
        let made = &renames.apply(made);
        // What is not among the documents was deleted on the way, or nobody has read it yet.
        let read = |at: &Resource| match after.get(at) {
            Some(document) => Ok(Some(document.clone())),
            None if before.get(at).is_some() => Ok(None),
            None => reach.read(at),
        };
        let back = back_from(&read, made)?;
        for change in &back.changes {
            let at = match &change.act {
                // Its id is Graph's to give.
                Act::Create(kind, _) => kind.of(&format!("{PENDING}new-{}", backs.len())),
                act => act.resource().ok_or_else(|| UndoError::Gone(back.of.clone()))?,
            };
            match &change.act {
                Act::Delete(_) => after.remove(&at),
                _ => after.set(at.clone(), change.after.clone()),
            }
            renames.note(made, &at);
        }
        backs.push(back);
    }
    Ok(Preview { backs, before, after })
}

/// Places that changes of these calls are about, and those around which they stand.
pub fn touched(changes: &[Made]) -> Vec<Resource> {
    let at = |made: &Made| match Called::read(&made.call)? {
        Called::Changed(at) | Called::Deleted(at) => Some(at),
        Called::OfStrength(id) => Some(Resource::Strength(id)),
        Called::Created(kind) => Some(kind.of(&id_of(made.after.as_ref()?)?)),
    };
    changes.iter().filter_map(at).collect()
}

fn back_from(read: &dyn Fn(&Resource) -> Result<Option<Value>, GraphError>, made: &Made) -> Result<Back, UndoError> {
    let of = made.change.clone();
    let no_document = || UndoError::NoDocument(of.clone());
    let called = Called::read(&made.call).ok_or_else(no_document)?;
    let gone = || UndoError::Gone(of.clone());
    let (acts, now, moved) = match called {
        Called::Created(kind) => {
            let after = made.after.as_ref().ok_or_else(no_document)?;
            let at = kind.of(&id_of(after).ok_or_else(no_document)?);
            let Some(now) = read(&at)? else {
                return Ok(Back { of, changes: Vec::new(), moved: Vec::new() });
            };
            let act = Act::Delete(at.clone());
            let moved = moved(&act, after, &now);
            let mut acts = Vec::new();
            if kind == Kind::Location && now["isTrusted"] == true {
                // Entra deletes no trusted location.
                acts.push(Act::Change(at, json!({ "@odata.type": now["@odata.type"], "isTrusted": false })));
            }
            acts.push(act);
            (acts, now, moved)
        }
        Called::Changed(at) => {
            let before = made.before.as_ref().ok_or_else(no_document)?;
            let after = made.after.as_ref().ok_or_else(no_document)?;
            let sent = made.sent.as_ref().ok_or_else(no_document)?;
            let now = read(&at)?.ok_or_else(gone)?;
            let body = former(&at, before, sent, after, &now);
            let act = Act::Change(at, body);
            let moved = moved(&Act::Change(Resource::Policy, sent.clone()), after, &now);
            (vec![act], now, moved)
        }
        Called::OfStrength(strength) => {
            let before = made.before.as_ref().ok_or_else(no_document)?;
            let after = made.after.as_ref().ok_or_else(no_document)?;
            let now = read(&Resource::Strength(strength.clone()))?.ok_or_else(gone)?;
            let act = if made.call.ends_with("/updateAllowedCombinations") {
                let list = before["allowedCombinations"].as_array().into_iter().flatten();
                let allow = list.filter_map(|one| one.as_str().map(str::to_owned)).collect();
                Act::Combinations { strength, allow }
            } else {
                let models = limit_of(before).map(|(_, models)| models).unwrap_or_default();
                Act::Limit { strength, id: limit_of(&now).map(|(id, _)| id), models }
            };
            let moved = moved(&act, after, &now);
            (vec![act], now, moved)
        }
        Called::Deleted(at) => {
            let kind = match &at {
                Resource::Location(_) => Kind::Location,
                Resource::Strength(_) => Kind::Strength,
                Resource::Access(_) => Kind::Access,
                _ => return Err(no_document()),
            };
            let before = made.before.as_ref().ok_or_else(no_document)?;
            (vec![Act::Create(kind, made_anew(kind, before))], Value::Null, Vec::new())
        }
    };
    let mut now = now;
    let mut changes = Vec::new();
    for act in acts {
        let after = match &act {
            Act::Change(Resource::Devices, body) => body.clone(),
            Act::Change(_, body) => overlay(&now, body),
            Act::Create(_, body) => body.clone(),
            Act::Delete(_) => Value::Null,
            Act::Combinations { allow, .. } => overlay(&now, &json!({ "allowedCombinations": allow })),
            Act::Limit { models, .. } => overlay(&now, &limits(&now, models)),
        };
        let differences = differences(&now, &after);
        if !differences.is_empty() {
            changes.push(Change {
                area: AREA,
                subject: format!("{} (undoing {of})", made.area),
                differences,
                before: (!now.is_null()).then(|| now.clone()),
                act,
                after: after.clone(),
                gate: None,
            });
        }
        now = after;
    }
    Ok(Back { of, changes, moved })
}

/// What makes a deleted thing anew: the document without what Graph gives it by itself, as Graph takes it.
fn made_anew(kind: Kind, document: &Value) -> Value {
    const GIVEN: [&str; 7] = [
        "id",
        "createdDateTime",
        "modifiedDateTime",
        "deletedDateTime",
        "templateId",
        "policyType",
        "requirementsSatisfied",
    ];
    let mut body = document.as_object().cloned().unwrap_or_default();
    body.retain(|name, value| !GIVEN.contains(&name.as_str()) && !value.is_null());
    for limit in body.get_mut("combinationConfigurations").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(limit) = limit.as_object_mut() {
            limit.shift_remove("id");
        }
    }
    match kind {
        Kind::Access => super::plan::access::sendable(&body),
        Kind::Strength | Kind::Location => Value::Object(body),
    }
}

/// The operator's word for undoing.
const AREA: &str = "undo";

fn limits(now: &Value, models: &[crate::model::Aaguid]) -> Value {
    let mut list = now["combinationConfigurations"].as_array().cloned().unwrap_or_default();
    let old = limit_of(now).map(|(id, _)| id);
    list.retain(|one| old.is_none() || id_of(one) != old);
    if !models.is_empty() {
        list.push(json!({
            "allowedAAGUIDs": models.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "appliesToCombinations": ["fido2"],
        }));
    }
    json!({ "combinationConfigurations": list })
}

/// The members that the change sent, as they were before it.
fn former(at: &Resource, before: &Value, sent: &Value, after: &Value, now: &Value) -> Value {
    if *at == Resource::Devices {
        return before.clone();
    }
    let mut body = Map::new();
    for (name, _) in sent.as_object().into_iter().flatten() {
        let value = match name.as_str() {
            "@odata.type" => sent[name].clone(),
            "passkeyProfiles" => profiles(&before[name], &after[name], &now[name]),
            _ => before[name].clone(),
        };
        body.insert(name.clone(), value);
    }
    super::plan::access::sendable(&body)
}

/// The profiles as they were, and those that neither we nor the tenant had then: they are somebody else's.
fn profiles(before: &Value, after: &Value, now: &Value) -> Value {
    let has = |list: &Value, id: &Option<String>| list.as_array().into_iter().flatten().any(|one| id_of(one) == *id);
    let mut kept = before.as_array().cloned().unwrap_or_default();
    for profile in now.as_array().into_iter().flatten() {
        let id = id_of(profile);
        if !has(before, &id) && !has(after, &id) {
            kept.push(profile.clone());
        }
    }
    Value::Array(kept)
}
