//! What a change of the tenant does to people, from what they can sign in with today. Pure.
//!
//! Promise: whoever is named would really be affected, by the documents before and after; and where people can't be counted, because
//! nobody looked at them or because what is demanded can't be read, that is said ([`Effects::uncounted`]) and never passed over.

use std::collections::BTreeSet;

use serde_json::Value;

use super::scope::Crowd;
use super::{enforced, narrowed, unguarded};
use crate::graph::methods_policy::{Fido2Policy, Member, PolicyVerdict};
use crate::model::{Aaguid, UserId};
use crate::tenant::current::{Current, id_of};
use crate::tenant::names::Names;
use crate::tenant::people::{Held, People, Person};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// They can't reach something that they can reach today.
    LockedOut,
    /// They lose a way to sign in and have others.
    Loses,
    /// They should know.
    Note,
}

/// One effect on some people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// How bad.
    pub weight: Weight,
    /// What happens, as a sentence about them: `can't sign in with YubiKey 5 any more: …`.
    pub what: String,
    /// The policy of Conditional Access that does it, by name; none where something else does.
    pub policy: Option<String>,
    /// Whom, by name.
    pub people: Vec<String>,
}

/// What a change does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// To people who were looked at, the worst first.
    pub on_people: Vec<Effect>,
    /// Where people may be locked out whom nobody can count, a sentence each.
    pub uncounted: Vec<String>,
    /// What should be known besides.
    pub cautions: Vec<String>,
}

impl Effects {
    /// How many people would be locked out of something they can reach today.
    pub fn locked_out(&self) -> usize {
        let locked = self.on_people.iter().filter(|effect| effect.weight == Weight::LockedOut);
        locked.flat_map(|effect| &effect.people).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn add(&mut self, weight: Weight, what: impl Into<String>, person: &Person) {
        self.put(weight, what.into(), None, person);
    }

    /// What this policy does.
    pub(super) fn add_of(&mut self, policy: &str, weight: Weight, what: impl Into<String>, person: &Person) {
        self.put(weight, what.into(), Some(policy.to_owned()), person);
    }

    fn put(&mut self, weight: Weight, what: String, policy: Option<String>, person: &Person) {
        let is_same = |effect: &&mut Effect| effect.weight == weight && effect.what == what && effect.policy == policy;
        match self.on_people.iter_mut().find(is_same) {
            Some(effect) => {
                if !effect.people.contains(&person.name) {
                    effect.people.push(person.name.clone());
                }
            }
            None => self.on_people.push(Effect { weight, what, policy, people: vec![person.name.clone()] }),
        }
    }

    /// Whether a plan with these effects names somebody among those whom this policy locks out.
    pub(super) fn tells_of(&self, policy: &str, person: &Person) -> bool {
        self.on_people.iter().any(|effect| {
            effect.weight == Weight::LockedOut
                && effect.policy.as_deref() == Some(policy)
                && effect.people.contains(&person.name)
        })
    }

    pub(super) fn uncounted(&mut self, what: String) {
        if !self.uncounted.contains(&what) {
            self.uncounted.push(what);
        }
    }

    pub(super) fn caution(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.cautions.contains(&what) {
            self.cautions.push(what);
        }
    }
}

/// A tenant before and after, and who was looked at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// As it is.
    pub before: &'a Current,
    /// As it will be.
    pub after: &'a Current,
    /// Who was looked at.
    pub people: &'a People,
    /// What people call the ids.
    pub names: &'a Names,
}

impl View<'_> {
    /// What the change does.
    pub fn effects(&self) -> Effects {
        let mut found = Effects::default();
        for person in &self.people.list {
            match &person.methods {
                Some(held) => {
                    passkeys(self, person, held, &mut found);
                    methods(self, person, held, &mut found);
                }
                None => {
                    let what = "what they can sign in with could not be read: not looked at";
                    found.add(Weight::Note, what, person);
                }
            }
        }
        enforced::find(self, &mut found);
        tap(self, &mut found);
        narrowed::find(self, &mut found);
        unguarded::find(self, &mut found);
        found.on_people.sort_by_key(|effect| effect.weight);
        found
    }

    /// What people call whom a policy names.
    pub(super) fn called(&self, crowd: &Crowd) -> String {
        match crowd {
            Crowd::All => "everybody".to_owned(),
            Crowd::Guests => "guests".to_owned(),
            Crowd::Role(id) => format!("holders of {}", self.names.role(id)),
            Crowd::Group(id) => self.names.of(id),
            Crowd::User(id) => {
                let looked_at = self.people.list.iter().find(|person| person.id == *id);
                looked_at.map_or_else(|| self.names.of(id), |person| person.name.clone())
            }
        }
    }
}

/// Whether a key works at sign-in. AAGUID lists count there, attestation and self-service do not.
pub(super) fn works(policy: &Value, person: &Person, aaguid: Aaguid) -> Result<(), String> {
    let mut read = Fido2Policy::from_json(policy);
    read.self_service = true;
    let user = UserId::new(person.id.clone());
    match read.accepts(aaguid, true, Member { user: &user, groups: &person.groups }) {
        PolicyVerdict::Accepted { .. } => Ok(()),
        PolicyVerdict::Refused(objections) => {
            Err(objections.first().map_or_else(|| "the policy takes no key".to_owned(), ToString::to_string))
        }
    }
}

fn passkeys(view: &View<'_>, person: &Person, held: &[Held], found: &mut Effects) {
    let (Some(before), Some(after)) = (view.before.method("fido2"), view.after.method("fido2")) else { return };
    if before == after {
        return;
    }
    let mut left = false;
    let mut lost = Vec::new();
    for one in held {
        let Held::Passkey { aaguid, label } = one else { continue };
        match (works(before, person, *aaguid), works(after, person, *aaguid)) {
            (Ok(()), Err(why)) => lost.push((label, why)),
            (_, Ok(())) => left = true,
            _ => {}
        }
    }
    for (label, why) in lost {
        let weight = if left { Weight::Loses } else { Weight::LockedOut };
        found.add(weight, format!("can't sign in with the key {label} any more: {why}"), person);
    }
}

/// Methods that are switched off, or that somebody drops out of.
fn methods(view: &View<'_>, person: &Person, held: &[Held], found: &mut Effects) {
    const METHODS: [(&str, &str); 7] = [
        ("sms", "text messages"),
        ("voice", "calls"),
        ("email", "codes by mail"),
        ("softwareoath", "codes of an app"),
        ("hardwareoath", "codes of a token"),
        ("microsoftauthenticator", "Authenticator"),
        ("temporaryaccesspass", "their Temporary Access Pass"),
    ];
    for (id, words) in METHODS {
        if !held.iter().any(|one| is_of(one, id)) {
            continue;
        }
        if in_scope(view.before, id, person) && !in_scope(view.after, id, person) {
            let others = held.iter().any(|one| is_strong(one) && still(view.after, one, person));
            let weight = if others { Weight::Loses } else { Weight::LockedOut };
            let rest = if others { "" } else { ", and has nothing else to prove more than a password with" };
            found.add(weight, format!("can't sign in with {words} any more{rest}"), person);
        }
    }
}

fn is_of(held: &Held, method: &str) -> bool {
    matches!(
        (method, held),
        ("sms" | "voice", Held::Phone)
            | ("email", Held::Email)
            | ("softwareoath", Held::SoftwareOath)
            | ("hardwareoath", Held::HardwareOath)
            | ("microsoftauthenticator", Held::Authenticator { .. })
            | ("temporaryaccesspass", Held::Pass { .. })
    )
}

/// Enough for multifactor authentication, alone or with a password. Mail only resets passwords.
fn is_strong(held: &Held) -> bool {
    !matches!(held, Held::Password | Held::Email | Held::Other(_))
}

/// Whether the method still works for this person.
fn still(after: &Current, held: &Held, person: &Person) -> bool {
    match held {
        Held::Passkey { aaguid, .. } => {
            after.method("fido2").is_some_and(|policy| works(policy, person, *aaguid).is_ok())
        }
        Held::Phone => in_scope(after, "sms", person) || in_scope(after, "voice", person),
        Held::SoftwareOath => in_scope(after, "softwareoath", person),
        Held::HardwareOath => in_scope(after, "hardwareoath", person),
        Held::Authenticator { .. } => in_scope(after, "microsoftauthenticator", person),
        Held::Pass { .. } => in_scope(after, "temporaryaccesspass", person),
        Held::WindowsHello => true,
        Held::Email | Held::Password | Held::Other(_) => false,
    }
}

pub(super) fn in_scope(tenant: &Current, method: &str, person: &Person) -> bool {
    let Some(policy) = tenant.method(method) else { return false };
    let has = |list: &Value| {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(id_of)
            .any(|id| id == "all_users" || id == person.id || person.groups.contains(&id))
    };
    policy["state"] == "enabled" && has(&policy["includeTargets"]) && !has(&policy["excludeTargets"])
}

/// A stricter policy for passes ends those that were issued under the old one.
fn tap(view: &View<'_>, found: &mut Effects) {
    let once = |tenant: &Current| tenant.method("temporaryaccesspass").is_some_and(|one| one["isUsableOnce"] == true);
    if once(view.before) || !once(view.after) {
        return;
    }
    for person in &view.people.list {
        if person.methods.iter().flatten().any(|held| matches!(held, Held::Pass { once: false })) {
            let what = "their multi-use pass stops working, because all passes will work once only";
            found.add(Weight::Loses, what, person);
        }
    }
}
