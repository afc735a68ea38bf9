//! What a plan does to people, from what they can sign in with today.
//!
//! Promise: whoever is named would really be affected, by the documents before and after. Exceptions, which are said:
//! people outside [`super::Plan::looked_at`], and those whose methods could not be read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::limit_of;
use super::{Change, Planner};
use crate::graph::methods_policy::{Fido2Policy, Member, PolicyVerdict};
use crate::model::{Aaguid, UserId};
use crate::tenant::current::{Current, id_of};
use crate::tenant::people::{Held, Person, satisfies};
use crate::tenant::resource::{Kind, Resource};

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
    /// Whom, by name.
    pub people: Vec<String>,
}

pub(super) fn find(planner: &mut Planner<'_>) {
    let mut effects = Vec::new();
    for person in &planner.people.list {
        match &person.methods {
            Some(held) => {
                passkeys(planner, person, held, &mut effects);
                methods(planner, person, held, &mut effects);
            }
            None => {
                add(&mut effects, Weight::Note, "what they can sign in with could not be read: not looked at", person)
            }
        }
    }
    let changes = planner.plan.changes.clone();
    let mut seen = BTreeSet::new();
    for change in changes.iter().rev().filter(|change| change.area == "conditional-access") {
        // The last change of a policy shows how it ends.
        let name = change.after["displayName"].as_str().unwrap_or("").to_owned();
        if seen.insert(name.clone()) {
            access(planner, &name, change, &mut effects);
        }
    }
    tap(planner, &changes, &mut effects);
    narrowed(planner, &changes);
    effects.sort_by_key(|effect| effect.weight);
    planner.plan.effects = effects;
}

fn add(effects: &mut Vec<Effect>, weight: Weight, what: impl Into<String>, person: &Person) {
    let what = what.into();
    match effects.iter_mut().find(|effect| effect.weight == weight && effect.what == what) {
        Some(effect) => {
            if !effect.people.contains(&person.name) {
                effect.people.push(person.name.clone());
            }
        }
        None => effects.push(Effect { weight, what, people: vec![person.name.clone()] }),
    }
}

/// Whether a key works at sign-in. AAGUID lists count there, attestation and self-service do not.
fn works(policy: &Value, person: &Person, aaguid: Aaguid) -> Result<(), String> {
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

fn passkeys(planner: &Planner<'_>, person: &Person, held: &[Held], effects: &mut Vec<Effect>) {
    let (Some(before), Some(after)) = (planner.current.method("fido2"), planner.after.method("fido2")) else { return };
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
        add(effects, weight, format!("can't sign in with the key {label} any more: {why}"), person);
    }
}

/// Methods that are switched off, or that somebody drops out of.
fn methods(planner: &Planner<'_>, person: &Person, held: &[Held], effects: &mut Vec<Effect>) {
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
        if in_scope(planner.current, id, person) && !in_scope(&planner.after, id, person) {
            let others = held.iter().any(|one| is_strong(one) && still(&planner.after, one, person));
            let weight = if others { Weight::Loses } else { Weight::LockedOut };
            let rest = if others { "" } else { ", and has nothing else to prove more than a password with" };
            add(effects, weight, format!("can't sign in with {words} any more{rest}"), person);
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

fn in_scope(tenant: &Current, method: &str, person: &Person) -> bool {
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

/// Whether a policy is for this person.
fn applies(policy: &Value, person: &Person) -> bool {
    let users = &policy["conditions"]["users"];
    let has = |users: &Value, groups: &Value| {
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_ascii_lowercase)).collect()
        };
        texts(users).iter().any(|id| id == "all" || *id == person.id)
            || texts(groups).iter().any(|id| person.groups.contains(id))
    };
    has(&users["includeUsers"], &users["includeGroups"]) && !has(&users["excludeUsers"], &users["excludeGroups"])
}

fn access(planner: &Planner<'_>, name: &str, change: &Change, effects: &mut Vec<Effect>) {
    let policy = &change.after;
    let acts = match policy["state"].as_str() {
        Some("enabled") => true,
        Some("enabledForReportingButNotEnforced") => false,
        _ => return,
    };
    let grant = &policy["grantControls"];
    let controls: Vec<&str> =
        grant["builtInControls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let action =
        policy["conditions"]["applications"]["includeUserActions"].as_array().is_some_and(|list| !list.is_empty());
    let (combinations, models) = match grant["authenticationStrength"]["id"].as_str() {
        Some(id) => strength(&planner.after, id),
        None if controls.contains(&"mfa") => strength(&planner.after, "00000000-0000-0000-0000-000000000002"),
        None => return,
    };
    if combinations.is_empty() {
        return;
    }
    for person in planner.people.list.iter().filter(|person| applies(policy, person)) {
        let Some(held) = &person.methods else { continue };
        if combinations.iter().any(|one| satisfies(held, one, models.as_ref())) {
            continue;
        }
        let was = planner.current.named(Kind::Access, name);
        let already = was.iter().any(|(_, old)| {
            old["state"] == "enabled" && applies(old, person) && old["grantControls"] == policy["grantControls"]
        });
        if already {
            continue;
        }
        let (weight, what) = match (acts, action) {
            (true, false) => (Weight::LockedOut, format!("can't satisfy {name}: locked out of the apps it is for")),
            (true, true) => {
                (Weight::Note, format!("can't satisfy {name} until they have a pass or another method it takes"))
            }
            (false, _) => (Weight::Note, format!("would be locked out if {name} were on; it is only reported now")),
        };
        add(effects, weight, what, person);
    }
}

/// What satisfies a strength, and which key models.
fn strength(tenant: &Current, id: &str) -> (Vec<String>, Option<BTreeSet<Aaguid>>) {
    let Some(document) = tenant.get(&Resource::Strength(id.to_ascii_lowercase())) else { return (Vec::new(), None) };
    let list = document["allowedCombinations"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let models = limit_of(document).map(|(_, models)| models.into_iter().collect());
    (list.map(str::to_owned).collect(), models)
}

/// A method that is everybody's today and some groups' tomorrow is lost to people whom nobody looked at.
fn narrowed(planner: &mut Planner<'_>, changes: &[Change]) {
    let everybody = |policy: &Value| {
        let targets = policy["includeTargets"].as_array().into_iter().flatten();
        policy["state"] == "enabled" && targets.filter_map(id_of).any(|id| id == "all_users")
    };
    for change in changes {
        let was = change.before.as_ref().is_some_and(everybody);
        if was && change.after["includeTargets"].is_array() && !everybody(&change.after) {
            let name = change.subject.split(':').next().unwrap_or_default().to_owned();
            planner.caution(format!(
                "{name} is on for everybody today and would not be: whoever is not in the groups that are left loses it, and only the people \
                 above were looked at. Name others with --people GROUP, or keep \"all\" in its include."
            ));
        }
    }
}

/// A stricter policy for passes ends those that were issued under the old one.
fn tap(planner: &Planner<'_>, changes: &[Change], effects: &mut Vec<Effect>) {
    let once = |one: &Value| one["isUsableOnce"] == true;
    let stricter = changes
        .iter()
        .filter(|change| change.area == "temporary-access-pass")
        .any(|change| change.before.as_ref().is_some_and(|before| !once(before)) && once(&change.after));
    if !stricter {
        return;
    }
    for person in &planner.people.list {
        if person.methods.iter().flatten().any(|held| matches!(held, Held::Pass { once: false })) {
            add(
                effects,
                Weight::Loses,
                "their multi-use pass stops working, because all passes will work once only",
                person,
            );
        }
    }
}
