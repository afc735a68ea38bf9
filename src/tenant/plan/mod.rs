//! From what is wanted and what there is to the changes that lead from one to the other. Pure.
//!
//! Promise: a plan made of a tenant that already is as wanted is empty; carrying a plan out makes the next one empty; no
//! member or value that we don't know is lost on the way, and no passkey profile is deleted that the file does not name.

pub(in crate::tenant) mod access;
mod demand;
mod effects;
mod enforced;
pub(in crate::tenant) mod methods;
mod narrowed;
mod person;
mod scope;
mod unguarded;

use serde_json::{Map, Value, json};

pub(crate) use access::limit_of;
pub use demand::Meets;
pub use effects::{Effect, Effects, View, Weight};

use super::current::Current;
use super::desired::{At, Desired, Doing, Place, Problem, Who};
use super::names::Names;
use super::overlay::{Difference, changed, differences, overlay};
use super::people::People;
use super::resource::{Act, Resource};

/// Stands in a body for an id that Graph has yet to give: `$strength:NAME`, `$location:NAME`, `$profile:NAME`, `$access:NAME`.
pub(crate) const PENDING: char = '$';

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The operator's word for what is changed, e.g. `fido2`.
    pub area: &'static str,
    /// What is changed, in words: `the method Passkey (FIDO2)`.
    pub subject: String,
    /// How.
    pub act: Act,
    /// The document as it is; none for what is new.
    pub before: Option<Value>,
    /// The document as it will be, as far as we can tell.
    pub after: Value,
    /// Where the two differ.
    pub differences: Vec<Difference>,
    /// What has to be tried before this is done.
    pub gate: Option<Gate>,
}

/// What is asked of what-if before a policy is switched on: of the break-glass accounts, of the signed-in person, and for a user
/// action of somebody it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The policy's name.
    pub policy: String,
    /// What somebody is about to do.
    pub doing: Doing,
    /// Groups it is for, by id.
    pub groups: Vec<String>,
    /// People it is for, by id.
    pub users: Vec<String>,
    /// It blocks.
    pub blocks: bool,
    /// A country or an address where it should not apply, and one where it should.
    pub spared: Option<Spot>,
    /// Who is signed in, where that is a person.
    pub caller: Option<Caller>,
}

/// The signed-in person, to whom a policy may apply as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Object id.
    pub id: String,
    /// Whether they meet it.
    pub meets: Meets,
    /// The plan names them among those whom this policy locks out: whoever goes on has read that.
    pub told: bool,
}

/// A place to ask what-if about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A country.
    Country(String),
    /// An address.
    Address(std::net::IpAddr),
}

/// What is to be done, and what comes of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In the order in which they are made.
    pub changes: Vec<Change>,
    /// What they do to people, and what should be known besides.
    pub effects: Effects,
    /// Whom [`Self::effects`] is about, as a sentence.
    pub looked_at: String,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many people would be locked out of something they can reach today.
    pub fn locked_out(&self) -> usize {
        self.effects.locked_out()
    }

    /// Whether Conditional Access is written.
    pub fn writes_access(&self) -> bool {
        self.changes.iter().any(|change| change.area == "conditional-access")
    }
}

/// Makes the plan.
///
/// # Errors
/// What the file asks for and this tenant can't have, each with its place in the file.
pub fn plan(desired: &Desired, names: &Names, current: &Current, people: &People) -> Result<Plan, Vec<Problem>> {
    let mut planner = Planner {
        desired,
        names,
        people,
        after: current.clone(),
        plan: Plan { looked_at: people.scope.clone(), ..Plan::default() },
        problems: Vec::new(),
    };
    methods::plan(&mut planner);
    access::plan(&mut planner);
    person::plan(&mut planner);
    let mut effects = View { before: current, after: &planner.after, people, names }.effects();
    let Planner { mut plan, after, mut problems, .. } = planner;
    let found = std::mem::replace(&mut effects.cautions, std::mem::take(&mut plan.effects.cautions));
    found.into_iter().for_each(|one| effects.caution(one));
    plan.effects = effects;
    gates(&mut plan, &after, people);
    problems.sort_by_key(|problem| problem.place);
    problems.dedup();
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// Tells each gate of a policy for signing in who is signed in.
fn gates(plan: &mut Plan, after: &Current, people: &People) {
    let Some(caller) = people.caller() else { return };
    for change in &mut plan.changes {
        let Some(gate) = change.gate.as_mut().filter(|gate| !gate.doing.is_user_action()) else { continue };
        // As the tenant writes its name: the file may write it in another case.
        let name = change.after["displayName"].as_str().unwrap_or(&gate.policy);
        gate.caller = Some(Caller {
            id: caller.id.clone(),
            meets: enforced::caller_meets(after, &change.after, caller),
            told: plan.effects.tells_of(name, caller),
        });
    }
}

struct Planner<'a> {
    desired: &'a Desired,
    names: &'a Names,
    people: &'a People,
    /// The tenant once all changes so far are made.
    after: Current,
    plan: Plan,
    problems: Vec<Problem>,
}

impl Planner<'_> {
    fn wrong<T>(&mut self, at: &At<T>, what: impl Into<String>) {
        self.problems.push(Problem { place: at.place, field: at.field.clone(), what: what.into() });
    }

    /// The tenant has no such document: it was not read, or this tenant doesn't know it.
    fn missing(&mut self, place: Place, field: &str, what: &str) {
        let what = format!("this tenant did not show {what}, so nothing can be planned for it");
        self.problems.push(Problem { place, field: field.to_owned(), what });
    }

    fn caution(&mut self, what: impl Into<String>) {
        self.plan.effects.caution(what);
    }

    /// The id a word stands for.
    fn id(&mut self, word: &At<String>) -> Option<(String, &'static str)> {
        let who = Who::read(word);
        let kind = match &who {
            Who::All => return Some(("all_users".to_owned(), "group")),
            Who::Guests => return None,
            Who::Group(_) => "group",
            Who::User(_) => "user",
        };
        match self.names.id(&who).map(str::to_owned) {
            Some(id) => Some((id, kind)),
            None => {
                self.wrong(word, format!("the directory has no {kind} of this name"));
                None
            }
        }
    }

    /// Targets of a methods policy. New ones get these members besides.
    fn targets(&mut self, words: &[At<String>], current: &Value, new: &Map<String, Value>) -> Value {
        let there = |id: &str| {
            let items = current.as_array().into_iter().flatten();
            items.into_iter().any(|item| item["id"].as_str().is_some_and(|its| its.eq_ignore_ascii_case(id)))
        };
        let mut targets: Vec<Value> = Vec::new();
        for word in words {
            let Some((id, kind)) = self.id(word) else { continue };
            if targets.iter().any(|target| target["id"] == id.as_str()) {
                continue;
            }
            let mut target = json!({ "id": id, "targetType": kind });
            if let (false, Some(members)) = (there(&id), target.as_object_mut()) {
                members.extend(new.clone());
            }
            targets.push(target);
        }
        Value::Array(targets)
    }

    /// Lays `wanted` over the document at `at` and plans the PATCH, if one is needed.
    fn patch(&mut self, area: &'static str, subject: String, at: &Resource, wanted: &Value) {
        let Some(before) = self.after.get(at).cloned() else { return };
        let after = overlay(&before, wanted);
        let mut body = changed(&before, &after);
        if body.is_empty() {
            return;
        }
        if let (Some(kind), Resource::Method(_) | Resource::Location(_)) = (before.get("@odata.type"), at) {
            // Without it Graph answers with success and changes nothing.
            body.insert("@odata.type".to_owned(), kind.clone());
        }
        let body = if *at == Resource::Devices { after.clone() } else { Value::Object(body) };
        self.push(Change {
            area,
            subject,
            differences: differences(&before, &after),
            act: Act::Change(at.clone(), body),
            before: Some(before),
            after,
            gate: None,
        });
    }

    fn push(&mut self, change: Change) {
        let at = match &change.act {
            Act::Create(kind, body) => Some(kind.of(&pending(&change.act, body))),
            act => act.resource(),
        };
        if let Some(at) = at {
            let mut after = change.after.clone();
            if let (Act::Create(_, body), Some(map)) = (&change.act, after.as_object_mut()) {
                map.insert("id".to_owned(), json!(pending(&change.act, body)));
            }
            self.after.set(at, after);
        }
        self.plan.changes.push(change);
    }
}

/// The stand-in for the id of what is made by this act.
fn pending(act: &Act, body: &Value) -> String {
    use super::resource::Kind;
    let kind = match act {
        Act::Create(Kind::Location, _) => "location",
        Act::Create(Kind::Strength, _) => "strength",
        _ => "access",
    };
    format!("{PENDING}{kind}:{}", body["displayName"].as_str().unwrap_or("").to_lowercase())
}

#[cfg(test)]
mod tests;
