//! What policies of Conditional Access do to people once they are as planned: whom they lock out, and of whom that can't be said.
//!
//! Looked at is every policy that differs, demands a strength that differs, or names a place that differs; the strength or the
//! place may be all that a file speaks of.

use serde_json::Value;

use super::demand::{Demand, Meets};
use super::effects::{Effects, View, Weight};
use super::scope::{self, Crowd, MovedPlaces};
use crate::tenant::current::{Current, id_of};
use crate::tenant::overlay::same;
use crate::tenant::people::Person;
use crate::tenant::resource::{Kind, Resource};

pub(super) fn find(view: &View<'_>, found: &mut Effects) {
    let moved = moved_places(view);
    for (at, policy) in view.after.all(Kind::Access) {
        let was = view.before.get(at);
        if was == Some(policy) && !strength_moved(view, policy) && !names_one_of(policy, &moved) {
            continue;
        }
        let demand = Demand::read(policy, view.after);
        let state = policy["state"].as_str().unwrap_or("");
        if demand.lets_everybody_through() || !matches!(state, "enabled" | "enabledForReportingButNotEnforced") {
            continue;
        }
        Looked { policy, demand, was, moved: &moved, view }.find(found);
    }
}

/// Whether the signed-in person meets a policy as it is planned.
pub(super) fn caller_meets(after: &Current, policy: &Value, caller: &Person) -> Meets {
    Demand::read(policy, after).meets(caller.methods.as_deref())
}

/// Places whose borders differ.
fn moved_places(view: &View<'_>) -> MovedPlaces {
    const NAMES: [&str; 3] = ["displayName", "createdDateTime", "modifiedDateTime"];
    let borders = |document: &Value| -> Value {
        let members = document.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| !NAMES.contains(&name.as_str()))
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect()
    };
    let moved = |(at, now): (&Resource, &Value)| {
        let was = view.before.get(at)?;
        if same(&borders(was), &borders(now)) { None } else { id_of(now) }
    };
    view.after.all(Kind::Location).filter_map(moved).collect()
}

fn names_one_of(policy: &Value, moved: &MovedPlaces) -> bool {
    let places = &policy["conditions"]["locations"];
    ["includeLocations", "excludeLocations"]
        .iter()
        .flat_map(|list| places[*list].as_array().into_iter().flatten().filter_map(Value::as_str))
        .any(|id| moved.contains(&id.to_ascii_lowercase()) || id == "AllTrusted" && !moved.is_empty())
}

fn strength_moved(view: &View<'_>, policy: &Value) -> bool {
    Demand::strength_of(policy).is_some_and(|id| {
        let at = Resource::Strength(id);
        view.before.get(&at) != view.after.get(&at)
    })
}

/// One policy as it will be, beside what it was.
struct Looked<'a> {
    policy: &'a Value,
    demand: Demand,
    was: Option<&'a Value>,
    moved: &'a MovedPlaces,
    view: &'a View<'a>,
}

impl Looked<'_> {
    fn find(&self, found: &mut Effects) {
        let name = self.policy["displayName"].as_str().unwrap_or("").to_owned();
        let (acts, action) = (scope::acts(self.policy), scope::is_user_action(self.policy));
        let (mut unread, mut turns_on_more) = (Vec::new(), false);
        for person in self.view.people.list.iter().filter(|person| scope::applies(self.policy, person)) {
            let meets = self.demand.meets(person.methods.as_deref());
            if meets == Meets::Yes || self.was_so_before(person, meets) {
                continue;
            }
            match (meets, acts, action) {
                (Meets::No, true, false) => found.add_of(&name, Weight::LockedOut, self.locks_out(&name), person),
                (Meets::No, true, true) => found.add_of(&name, Weight::Note, self.holds_up(&name), person),
                (Meets::No, false, _) => {
                    let what = format!("would be locked out if {name} were on; it is only reported now");
                    found.add_of(&name, Weight::Note, what, person);
                }
                (_, true, false) if person.methods.is_none() => unread.push(person.name.as_str()),
                // Their methods are known, so it turns on something else.
                _ => turns_on_more = true,
            }
        }
        if acts && !action {
            self.uncounted(&name, &unread, turns_on_more, found);
        }
    }

    fn locks_out(&self, name: &str) -> String {
        let places = if self.policy["conditions"]["locations"].is_null() { "" } else { ", in the places it is for" };
        if self.demand.is_block() {
            format!("{name} blocks them: locked out of the apps it is for{places}")
        } else {
            format!("can't satisfy {name}: locked out of the apps it is for{places}")
        }
    }

    fn holds_up(&self, name: &str) -> String {
        if self.demand.is_block() {
            return format!("{name} keeps them from it wherever it applies");
        }
        format!("can't satisfy {name} until they have a pass or another method it takes")
    }

    /// It kept them out already, everywhere it will; or whether it does can't be told, before or after, and whoever met it meets it
    /// still.
    fn was_so_before(&self, person: &Person, meets: Meets) -> bool {
        let Some(was) = self.was else { return false };
        let before = Demand::read(was, self.view.before);
        let no_worse = match (before.meets(person.methods.as_deref()), meets) {
            (Meets::No, _) => true,
            (Meets::Unknown, Meets::Unknown) => self.demand.follows_from(&before),
            _ => false,
        };
        no_worse && scope::acts(was) && scope::applies(was, person) && scope::is_within(self.policy, was, self.moved)
    }

    /// It demands more than it did, or acts where it did not.
    fn is_stricter(&self) -> bool {
        self.was.is_none_or(|was| {
            let before = Demand::read(was, self.view.before);
            !scope::acts(was) || !scope::is_within(self.policy, was, self.moved) || !self.demand.follows_from(&before)
        })
    }

    /// `unread`: who of those looked at has methods that could not be read; `turns_on_more`: for somebody else of them it turns on what
    /// can't be read of people.
    fn uncounted(&self, name: &str, unread: &[&str], turns_on_more: bool, found: &mut Effects) {
        let view = self.view;
        let stricter = self.is_stricter();
        let looked_at = |crowd: &Crowd| match crowd {
            Crowd::User(id) | Crowd::Group(id) => view.people.covers(id),
            Crowd::All | Crowd::Guests | Crowd::Role(_) => false,
        };
        let newcomers = scope::newcomers(self.policy, self.was, stricter);
        let new: Vec<String> =
            newcomers.iter().filter(|crowd| !looked_at(crowd)).map(|crowd| view.called(crowd)).collect();
        if !new.is_empty() {
            let who = if self.demand.is_block() { "everybody else it is for" } else { "whoever else can't satisfy it" };
            found.uncounted(format!(
                "{name} would be for {}, and only the people above were looked at: {who} is locked out.",
                new.join(", ")
            ));
        }
        if let Some(word) = self.demand.unreadable().filter(|_| stricter || turns_on_more) {
            found.uncounted(format!(
                "{name} demands what can't be read of people here ({word}): whoever does not have it is locked out."
            ));
        }
        if !unread.is_empty() {
            found.uncounted(format!(
                "{name} would be for {}, and what they can sign in with could not be read.",
                unread.join(", ")
            ));
        }
    }
}
