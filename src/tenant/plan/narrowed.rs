//! What a change of a sign-in method takes from people whom nobody looked at.
//!
//! Whoever a method is for today is a target: everybody, a group, a person. Each target is put to the method as it is and as it will
//! be. What it loses is told, unless everybody in it was looked at one by one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::effects::{Effects, View, in_scope, works};
use crate::graph::methods_policy::{Audience, Fido2Policy, Models};
use crate::model::Aaguid;
use crate::tenant::people::Person;

/// Methods by id, and how people call them.
pub(super) const METHODS: [(&str, &str); 8] = [
    ("fido2", "the method Passkey (FIDO2)"),
    ("temporaryaccesspass", "the method Temporary Access Pass"),
    ("microsoftauthenticator", "the method Microsoft Authenticator"),
    ("hardwareoath", "the method Hardware OATH tokens"),
    ("softwareoath", "the method Software OATH tokens"),
    ("sms", "the method SMS"),
    ("voice", "the method Voice call"),
    ("email", "the method Email OTP"),
];

/// A model that no list names stands for all of these.
const ANY_OTHER: Aaguid = Aaguid([0xee; 16]);
/// More models than this are counted, not named.
const NAMED: usize = 4;

pub(super) fn find(view: &View<'_>, found: &mut Effects) {
    for (id, name) in METHODS {
        let (Some(before), Some(after)) = (view.before.method(id), view.after.method(id)) else { continue };
        if before == after || before["state"] != "enabled" {
            continue;
        }
        let models = if id == "fido2" { listed(before, after) } else { BTreeSet::new() };
        let mut lost: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for target in before["includeTargets"].as_array().into_iter().flatten().filter_map(Audience::read) {
            let (who, person) = stand_in(&target);
            if view.people.covers(&who) {
                continue;
            }
            let what = if id == "fido2" {
                models_lost(before, after, &person, &models)
            } else {
                let lost = in_scope(view.before, id, &person) && !in_scope(view.after, id, &person);
                lost.then(String::new)
            };
            if let Some(what) = what {
                lost.entry(what).or_default().push(who);
            }
        }
        for (what, who) in lost {
            found.uncounted(sentence(view, name, &what, &who));
        }
        excluded(view, name, (before, after), found);
    }
}

fn sentence(view: &View<'_>, name: &str, what: &str, who: &[String]) -> String {
    let names: Vec<String> = who.iter().map(|id| view.names.of(id)).collect();
    if !what.is_empty() {
        return format!(
            "{name} would refuse {what} to {}, who may use them today; only the people above were looked at.",
            names.join(", ")
        );
    }
    if who.iter().any(|id| id == "all_users") {
        return format!(
            "{name} is on for everybody today and would not be: whoever is not in the groups that are left loses it, and only the people \
             above were looked at. Name others with --people GROUP, or keep \"all\" in its include."
        );
    }
    format!(
        "{name} is on for {} today and would not be; only the people above were looked at. Name them with --people GROUP, or keep \
         them in its include.",
        names.join(", ")
    )
}

/// Groups and people that would be excluded from now on.
fn excluded(view: &View<'_>, name: &str, (before, after): (&Value, &Value), found: &mut Effects) {
    let list = |method: &Value| -> BTreeSet<String> {
        let targets = method["excludeTargets"].as_array().into_iter().flatten();
        targets.filter_map(Audience::read).map(|target| stand_in(&target).0).collect()
    };
    let was = list(before);
    let new: Vec<String> = list(after).difference(&was).filter(|id| !view.people.covers(id)).cloned().collect();
    if !new.is_empty() {
        let names: Vec<String> = new.iter().map(|id| view.names.of(id)).collect();
        found.uncounted(format!(
            "{name} would exclude {}, and not all of them were looked at: whoever has nothing else is locked out.",
            names.join(", ")
        ));
    }
}

/// Somebody who is meant by this target and by no other but everybody, and the target's id.
fn stand_in(target: &Audience) -> (String, Person) {
    let (who, id, groups) = match target {
        Audience::Everybody => ("all_users".to_owned(), String::new(), BTreeSet::new()),
        Audience::Group(id) => (id.clone(), String::new(), BTreeSet::from([id.clone()])),
        Audience::User(id) => (id.clone(), id.clone(), BTreeSet::new()),
    };
    let nobody = Person { id, name: String::new(), groups, roles: BTreeSet::new(), methods: None, used_key: false };
    (who, nobody)
}

/// Every model that either policy names, and one that none does.
fn listed(before: &Value, after: &Value) -> BTreeSet<Aaguid> {
    let mut models = BTreeSet::from([ANY_OTHER]);
    for policy in [before, after] {
        for profile in Fido2Policy::from_json(policy).profiles {
            if let Models::Only(list) | Models::Except(list) = profile.models {
                models.extend(list);
            }
        }
    }
    models
}

/// Which models this person could use and will not be able to: empty for all there are, `None` for none.
fn models_lost(before: &Value, after: &Value, person: &Person, models: &BTreeSet<Aaguid>) -> Option<String> {
    let usable: Vec<&Aaguid> = models.iter().filter(|model| works(before, person, **model).is_ok()).collect();
    let lost: Vec<&Aaguid> = usable.iter().filter(|model| works(after, person, ***model).is_err()).copied().collect();
    if lost.is_empty() {
        return None;
    }
    if lost.len() == usable.len() {
        return Some(String::new());
    }
    let named: Vec<String> = lost.iter().filter(|model| ***model != ANY_OTHER).map(ToString::to_string).collect();
    let others = lost.contains(&&ANY_OTHER);
    let mut words = match named.len() {
        0 => Vec::new(),
        1..=NAMED => vec![format!("keys of {}", named.join(", "))],
        many => vec![format!("keys of {many} models")],
    };
    words.extend(others.then(|| "every key model that no list names".to_owned()));
    Some(words.join(", and "))
}
