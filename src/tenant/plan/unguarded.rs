//! Protection that a plan takes away without anything in its place, and exceptions made by hand that its lists drop.

use serde_json::Value;

use super::demand::Demand;
use super::effects::{Effects, View};
use super::narrowed::METHODS;
use super::scope::{self, Crowd};
use crate::tenant::current::id_of;
use crate::tenant::people::Person;
use crate::tenant::resource::{Kind, Resource};

pub(super) fn find(view: &View<'_>, found: &mut Effects) {
    defaults(view, found);
    per_user(view, found);
    for (id, name) in METHODS {
        let (Some(before), Some(after)) = (view.before.method(id), view.after.method(id)) else { continue };
        let dropped = dropped(&before["excludeTargets"], &after["excludeTargets"]);
        tell(view, found, &dropped, |who| format!("{name} excludes {who} today and would not any more"));
    }
    for at in [Resource::Policy, Resource::BetaPolicy] {
        let (Some(before), Some(after)) = (view.before.get(&at), view.after.get(&at)) else { continue };
        let campaign =
            |policy: &Value| policy["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"].clone();
        let (was, is) = (campaign(before), campaign(after));
        let asked = dropped(&was["includeTargets"], &is["includeTargets"]);
        tell(view, found, &asked, |who| {
            format!("the registration campaign is for {who} today and would not be any more")
        });
        let spared = dropped(&was["excludeTargets"], &is["excludeTargets"]);
        tell(view, found, &spared, |who| {
            format!("the registration campaign spares {who} today and would not any more")
        });
    }
    for (at, after) in view.after.all(Kind::Access) {
        if let Some(before) = view.before.get(at) {
            spared_no_more(view, (before, after), found);
        }
    }
}

/// Whom a Conditional Access policy excludes and would not any more, apart from people whom it still spares in another way.
fn spared_no_more(view: &View<'_>, (before, after): (&Value, &Value), found: &mut Effects) {
    let still = |crowd: &Crowd| match crowd {
        Crowd::User(id) => view.people.list.iter().any(|person| person.id == *id && scope::spares(after, person)),
        _ => false,
    };
    let dropped = scope::spared_no_more(after, before);
    let who: Vec<String> = dropped.iter().filter(|crowd| !still(crowd)).map(|crowd| view.called(crowd)).collect();
    if !who.is_empty() {
        found.caution(format!(
            "{} excludes {} today and would not any more: an exclude list in a file is the whole list, and key_users_only takes in who \
             has used a key. Name in exclude everybody who is to stay excluded.",
            after["displayName"].as_str().unwrap_or(""),
            who.join(", ")
        ));
    }
}

/// A policy that asks for multifactor authentication at every sign-in, whatever the place, the device, the app and the way.
fn guards(view: &View<'_>, policy: &Value) -> bool {
    scope::acts(policy) && scope::is_for_every_sign_in(policy) && Demand::read(policy, view.after).asks_for_mfa()
}

fn guarded(view: &View<'_>, person: &Person) -> bool {
    view.after.all(Kind::Access).any(|(_, policy)| guards(view, policy) && scope::applies(policy, person))
}

fn defaults(view: &View<'_>, found: &mut Effects) {
    let on = |tenant: &crate::tenant::current::Current| {
        tenant.get(&Resource::Defaults).is_some_and(|one| one["isEnabled"] == true)
    };
    if !on(view.before) || on(view.after) {
        return;
    }
    let covered =
        view.after.all(Kind::Access).any(|(_, policy)| guards(view, policy) && scope::is_for_all_people(policy));
    if !covered {
        found.caution(
            "Security defaults go off, and with them the MFA that they ask of everybody. No policy that is on asks everybody for MFA at \
             sign-in: whoever none covers gets in with a password alone from then on. Report-only asks nobody. Switch such a policy on in \
             the same file.",
        );
    }
}

fn per_user(view: &View<'_>, found: &mut Effects) {
    let asks = |document: Option<&Value>| {
        document.is_some_and(|one| matches!(one["perUserMfaState"].as_str(), Some("enabled" | "enforced")))
    };
    let bare = |person: &&Person| {
        let at = Resource::Mfa(person.id.clone());
        asks(view.before.get(&at)) && !asks(view.after.get(&at)) && !guarded(view, person)
    };
    let names: Vec<&str> = view.people.list.iter().filter(bare).map(|person| person.name.as_str()).collect();
    if !names.is_empty() {
        found.caution(format!(
            "Per-user MFA goes off for {}, and no policy that is on asks them for MFA at sign-in: from then on a password alone lets \
             them in. Report-only asks nobody. Take it off once such a policy is on.",
            names.join(", ")
        ));
    }
}

/// Targets that the second list has no more.
fn dropped(before: &Value, after: &Value) -> Vec<String> {
    let ids = |list: &Value| -> Vec<String> { list.as_array().into_iter().flatten().filter_map(id_of).collect() };
    let now = ids(after);
    ids(before).into_iter().filter(|id| !now.contains(id)).collect()
}

fn tell(view: &View<'_>, found: &mut Effects, dropped: &[String], what: impl Fn(&str) -> String) {
    if dropped.is_empty() {
        return;
    }
    let names: Vec<String> = dropped.iter().map(|id| view.names.of(id)).collect();
    found.caution(format!(
        "{}: a list in a file is the whole list. Name them in it too if that is to stay.",
        what(&names.join(", "))
    ));
}
