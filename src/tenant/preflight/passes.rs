//! Temporary Access Passes, as the policy shapes them: PF14, PF15.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{Facts, FirstUse, PersonFacts, calls};
use super::verdict::{Evidence, Found, Remedy};
use super::{Judged, names};

const ID: &str = "TemporaryAccessPass";
const PATCH: &str =
    "PATCH /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";

/// Whether a method's targets reach a person: excluded beats included.
pub(super) fn reaches(method: &Value, person: &PersonFacts, groups: &BTreeSet<String>) -> bool {
    let own = person.id();
    let targets = |name: &str| {
        method[name].as_array().into_iter().flatten().any(|target| {
            let id = target["id"].as_str().unwrap_or_default().to_ascii_lowercase();
            id == "all_users"
                || groups.contains(&id)
                || own.as_ref().is_some_and(|own| own.as_str().eq_ignore_ascii_case(&id))
        })
    };
    targets("includeTargets") && !targets("excludeTargets")
}

/// A method's switch and its targets against the people; shared with hardware OATH.
pub(super) fn on_and_in_scope(
    facts: &Facts,
    method: &Value,
    call: super::facts::Call,
    (name, field): (&str, &str),
    (write, outside): (&'static str, &str),
) -> Vec<Found> {
    let state = method["state"].as_str().unwrap_or("");
    let evidence = Evidence::of(call, format!("{field}.state"), state);
    if !state.eq_ignore_ascii_case("enabled") {
        let remedy = Remedy::text(format!("Turn on {name} under Authentication methods > Policies.")).by(write);
        return vec![Found::fail(format!("{name} is off in this tenant."), evidence, remedy)];
    }
    let (mut out, mut unread, mut gap) = (Vec::new(), Vec::new(), None);
    for (person, _) in facts.known_people() {
        match &person.groups {
            Ok(groups) if reaches(method, person, groups) => {}
            Ok(_) => out.push(person.name.clone()),
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
            }
        }
    }
    let mut found = Vec::new();
    if !out.is_empty() {
        found.push(
            Found::fail(
                format!(
                    "{} {} outside the scope of {name}: {outside}",
                    names(&out),
                    if out.len() == 1 { "is" } else { "are" }
                ),
                Evidence::of(call, format!("{field}.includeTargets"), "none of theirs"),
                Remedy::text("Add the people to a group that the policy includes.")
                    .by("POST /v1.0/groups/{id}/members/$ref"),
            )
            .about(out),
        );
    }
    if let Some(gap) = gap {
        found.push(Found::unknown(gap).about(unread));
    }
    if found.is_empty() {
        found.push(Found::pass(format!("{name} is on, and in scope."), evidence));
    }
    found
}

pub(super) fn on(facts: &Facts) -> Judged {
    let policy = facts.method(ID)?;
    let outside = "a pass can be issued to them, and can't be used.";
    Ok(on_and_in_scope(facts, policy, calls::POLICY, ("Temporary Access Pass", ID), (PATCH, outside)))
}

/// A working day; a pass that lives longer is a password by another name.
const LONG: i64 = 480;

pub(super) fn shape(facts: &Facts) -> Judged {
    let policy = facts.method(ID)?;
    let minutes = |name: &str, otherwise: i64| policy[name].as_i64().unwrap_or(otherwise);
    // What Entra takes where nothing is said (temporaryAccessPassAuthenticationMethodConfiguration).
    let (least, usual, most) = (
        minutes("minimumLifetimeInMinutes", 60),
        minutes("defaultLifetimeInMinutes", 60),
        minutes("maximumLifetimeInMinutes", 480),
    );
    let field = |name: &str| format!("{ID}.{name}");
    let mut found = Vec::new();
    if !(least <= usual && usual <= most) {
        found.push(Found::warn(
            format!("The lifetimes of passes contradict each other: at least {least}, usually {usual}, at most {most} minutes."),
            Evidence::of(calls::POLICY, field("defaultLifetimeInMinutes"), usual),
            Remedy::text("Set them so that minimum, default and maximum follow each other.").by(PATCH),
        ));
    }
    if most > LONG {
        found.push(Found::warn(
            format!("Passes may live for {most} minutes; one that is posted or overheard is open as long."),
            Evidence::of(calls::POLICY, field("maximumLifetimeInMinutes"), most),
            Remedy::text("Keep the maximum at 480 minutes or less, and issue passes at confirmed receipt.").by(PATCH),
        ));
    }
    let once = policy["isUsableOnce"].as_bool().unwrap_or(false);
    let one_time = once || facts.plan.one_time_pass == Some(true);
    if one_time && !facts.plan.first_devices.is_empty() {
        let devices: Vec<&str> = facts.plan.first_devices.iter().map(|device| device.words()).collect();
        let matrix: Vec<&str> = facts.plan.first_devices.iter().map(|device| needs(*device)).collect();
        found.push(
            Found::warn(
                format!("One-time passes don't carry people through {}.", devices.join("; ")),
                Evidence::of(calls::POLICY, field("isUsableOnce"), once),
                Remedy::text(format!(
                    "{} Issue multi-use passes to these people; or provision the key for them first.",
                    matrix.join(" ")
                ))
                .by(PATCH),
            )
            .and(Evidence::of(calls::PLAN, "first devices", devices.join(", "))),
        );
    }
    if found.is_empty() {
        let kind = if one_time { "one-time" } else { "one-time or multi-use, as issued" };
        let evidence = Evidence::of(calls::POLICY, field("isUsableOnce"), once);
        found.push(Found::pass(format!("{kind}; {least} to {most} minutes, usually {usual}."), evidence));
    }
    Ok(found)
}

/// What a one-time pass does on a device, from tests that were published.
fn needs(device: FirstUse) -> &'static str {
    match device {
        FirstUse::WindowsSetup => {
            "Windows setup: without a reboot Windows Hello fails and security info asks for a password; with a reboot one is stuck at the lock screen, which needs web sign-in by Intune."
        }
        FirstUse::Mac => "macOS: Company Portal enrols, then registering asks for MFA again and fails.",
        FirstUse::Phone => {
            "Phone sign-in from a browser: the app registers, then enabling phone sign-in asks again and fails."
        }
    }
}
