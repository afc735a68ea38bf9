//! The Passkey (FIDO2) policy: PF06 to PF13.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::{Attested, Facts, Gap, KeyModel, Why, calls};
use super::verdict::{Evidence, Found, Remedy};
use super::{Judged, names, no_people};
use crate::graph::methods_policy::{Audience, Fido2Policy, Member, Objection, PolicyVerdict, Profile};
use crate::model::{Upn, UserId};

const PATCH: &str = "PATCH /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2";

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn on(facts: &Facts) -> Judged {
    let state = text(&facts.method("Fido2")?["state"]);
    let evidence = Evidence::of(calls::POLICY, "Fido2.state", &state);
    Ok(vec![if state.eq_ignore_ascii_case("enabled") {
        Found::pass("Passkey (FIDO2) is on.", evidence)
    } else {
        refusal(&Objection::MethodOff, evidence)
    }])
}

pub(super) fn self_service(facts: &Facts) -> Judged {
    let flag = &facts.method("Fido2")?["isSelfServiceRegistrationAllowed"];
    let evidence = Evidence::of(calls::POLICY, "Fido2.isSelfServiceRegistrationAllowed", text(flag));
    Ok(vec![if flag.as_bool() == Some(true) {
        Found::pass("Self-service set-up is allowed, which registration by an administrator needs too.", evidence)
    } else {
        refusal(&Objection::SelfServiceOff, evidence)
    }])
}

/// The objection's own words: whoever meets it later, at a key, reads the same.
fn refusal(objection: &Objection, evidence: Evidence) -> Found {
    let mut what = objection.to_string();
    if let Some(first) = what.get(..1).map(str::to_ascii_uppercase) {
        what.replace_range(..1, &first);
    }
    what.push('.');
    Found::fail(what, evidence, Remedy::text(objection.remedy()).by(PATCH))
}

pub(super) fn scope(facts: &Facts) -> Judged {
    let policy = facts.passkeys()?;
    // PF06 and PF08 speak of the switches; this is about people.
    let policy = Fido2Policy { enabled: true, self_service: true, ..policy };
    if facts.people.is_empty() {
        let everybody = policy.include.iter().any(|target| target.audience == Audience::Everybody);
        return if everybody && policy.exclude.is_empty() {
            Ok(vec![Found::pass(
                "The policy is for everybody.",
                Evidence::of(calls::POLICY, "Fido2.includeTargets", "all_users"),
            )])
        } else {
            Err(no_people())
        };
    }
    let mut out: BTreeMap<&'static str, (Objection, Vec<Upn>)> = BTreeMap::new();
    let mut gap = None;
    let mut unread = Vec::new();
    let mut within = 0_usize;
    for (person, _) in facts.known_people() {
        let Some(id) = person.id() else { continue };
        match person.groups.as_ref().map(|groups| policy.objection_to(Member { user: &id, groups })) {
            Ok(None) => within += 1,
            Ok(Some(objection)) => {
                out.entry(objection.remedy()).or_insert_with(|| (objection, Vec::new())).1.push(person.name.clone());
            }
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
            }
        }
    }
    let mut found: Vec<Found> = out
        .into_values()
        .map(|(objection, people)| {
            let (field, what) = match objection {
                Objection::Excluded => ("Fido2.excludeTargets", "excluded from the Passkey (FIDO2) policy"),
                _ => ("Fido2.includeTargets", "in no group that the Passkey (FIDO2) policy is for"),
            };
            let verb = if people.len() == 1 { "is" } else { "are" };
            Found::fail(
                format!("{} {verb} {what}.", names(&people)),
                Evidence::of(calls::POLICY, field, targets(facts, field)),
                Remedy::text(objection.remedy()).by("POST /v1.0/groups/{id}/members/$ref"),
            )
            .and(Evidence::of(calls::GROUPS, "value", "none of them"))
            .about(people)
        })
        .collect();
    if let Some(gap) = gap {
        found.push(Found::unknown(gap).about(unread));
    }
    if found.is_empty() {
        let field = "Fido2.includeTargets";
        found.push(Found::pass(
            format!("{within} in scope."),
            Evidence::of(calls::POLICY, field, targets(facts, field)),
        ));
    }
    Ok(found)
}

fn targets(facts: &Facts, field: &str) -> String {
    let name = field.trim_start_matches("Fido2.");
    let ids = facts.method("Fido2").ok().and_then(|method| method[name].as_array()).into_iter().flatten();
    ids.filter_map(|target| target["id"].as_str()).collect::<Vec<_>>().join(", ")
}

/// People who may use the same profiles. The first is their example.
struct Scope {
    people: Vec<Upn>,
    user: UserId,
    groups: BTreeSet<String>,
}

/// People by the profiles that are theirs: what holds for one of a scope holds for all. People outside the policy are left
/// to PF07, and those of unknown membership too.
fn scopes(facts: &Facts, policy: &Fido2Policy) -> Vec<Scope> {
    let mut scopes: BTreeMap<Vec<String>, Scope> = BTreeMap::new();
    for (person, _) in facts.known_people() {
        let (Some(user), Ok(groups)) = (person.id(), &person.groups) else { continue };
        let member = Member { user: &user, groups };
        if policy.objection_to(member).is_some() {
            continue;
        }
        let mut profiles: Vec<String> = policy
            .include
            .iter()
            .filter(|target| target.audience.has(member))
            .flat_map(|target| target.profiles.clone())
            .collect();
        profiles.sort();
        profiles.dedup();
        scopes
            .entry(profiles)
            .or_insert_with(|| Scope { people: Vec::new(), user: user.clone(), groups: groups.clone() })
            .people
            .push(person.name.clone());
    }
    scopes.into_values().collect()
}

fn open(policy: Fido2Policy) -> Fido2Policy {
    Fido2Policy { enabled: true, self_service: true, ..policy }
}

fn no_model() -> Gap {
    Gap::new(
        Why::NotAsked,
        calls::PLAN,
        "no model of key is named, and none is in a port",
        "Name it with --aaguid (`keybench key info` shows a key's), or put one in.",
    )
}

pub(super) fn model(facts: &Facts) -> Judged {
    let policy = open(facts.passkeys()?);
    if facts.plan.models.is_empty() {
        return Err(no_model());
    }
    let mut found = Vec::new();
    for model in &facts.plan.models {
        if facts.people.is_empty() {
            found.push(for_anybody(&policy, model));
            continue;
        }
        for scope in scopes(facts, &policy) {
            let member = Member { user: &scope.user, groups: &scope.groups };
            // Attestation is PF10's.
            found.push(match policy.accepts(model.aaguid, true, member) {
                PolicyVerdict::Accepted { profile } => Found::pass(
                    format!("{} is accepted by profile {profile}.", model.shown()),
                    Evidence::of(calls::POLICY, "Fido2.passkeyProfiles.name", profile),
                )
                .about(scope.people),
                PolicyVerdict::Refused(objections) => refused(model, &objections).about(scope.people),
            });
        }
    }
    if found.is_empty() {
        // Everybody is out of scope or unread: PF07 says so.
        return Err(Gap::new(
            Why::NotAsked,
            calls::PLAN,
            "nobody on the roster is known to be in the policy's scope",
            "See PF07.",
        ));
    }
    Ok(found)
}

fn refused(model: &KeyModel, objections: &[Objection]) -> Found {
    let reasons = objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut remedies: Vec<&str> = objections.iter().map(Objection::remedy).collect();
    remedies.dedup();
    Found::fail(
        format!("{} is accepted by no profile: {reasons}.", model.shown()),
        Evidence::of(calls::POLICY, "Fido2.passkeyProfiles.keyRestrictions", &reasons),
        Remedy::text(remedies.join(" ")).by(PATCH),
    )
}

/// Without people: whether some profile takes the model from somebody.
fn for_anybody(policy: &Fido2Policy, model: &KeyModel) -> Found {
    let mut objections = Vec::new();
    for profile in &policy.profiles {
        match profile.objection_to(model.aaguid, true) {
            None => {
                return Found::pass(
                    format!("{} is accepted by profile {}.", model.shown(), profile.name),
                    Evidence::of(calls::POLICY, "Fido2.passkeyProfiles.name", &profile.name),
                );
            }
            Some(objection) => objections.push(objection),
        }
    }
    refused(model, &objections)
}

pub(super) fn attestation(facts: &Facts) -> Judged {
    let policy = open(facts.passkeys()?);
    if !policy.enforces_attestation() {
        let evidence = Evidence::of(calls::POLICY, "Fido2.passkeyProfiles.attestationEnforcement", "disabled");
        return Ok(vec![Found::pass("No profile asks for attestation.", evidence)]);
    }
    if facts.plan.models.is_empty() {
        return Err(no_model());
    }
    let mut found = Vec::new();
    for model in &facts.plan.models {
        let groups: Vec<(Vec<Upn>, bool)> = if facts.people.is_empty() {
            let needs = policy.profiles.iter().all(|profile| profile.objection_to(model.aaguid, false).is_some());
            vec![(Vec::new(), needs)]
        } else {
            scopes(facts, &policy)
                .into_iter()
                .map(|scope| {
                    let member = Member { user: &scope.user, groups: &scope.groups };
                    let needs = policy.accepts(model.aaguid, true, member).is_accepted()
                        && !policy.accepts(model.aaguid, false, member).is_accepted();
                    (scope.people, needs)
                })
                .collect()
        };
        for (people, needs) in groups {
            found.push(attested(model, needs).about(people));
        }
    }
    if found.is_empty() {
        return Err(no_people());
    }
    Ok(found)
}

fn attested(model: &KeyModel, needs: bool) -> Found {
    let field = "Fido2.passkeyProfiles.attestationEnforcement";
    let evidence =
        Evidence::of(calls::POLICY, field, if needs { "registrationOnly" } else { "a profile without it fits" });
    let other = "Use a model with packed attestation that is certified in the FIDO metadata. Don't switch attestation off for one key.";
    match (&model.attestation, needs) {
        (_, false) => Found::pass(format!("{} needs no attestation here.", model.shown()), evidence),
        (Attested::Yes, true) => {
            Found::pass(format!("{} attests, and the FIDO metadata has it as certified.", model.shown()), evidence)
        }
        (Attested::No(why), true) => Found::fail(
            format!("The policy asks for attestation, and {} does not meet it: {why}.", model.shown()),
            evidence,
            Remedy::text(other),
        ),
        (Attested::Unknown(why), true) => Found::warn(
            format!("The policy asks for attestation; whether {} meets it is not known: {why}.", model.shown()),
            evidence,
            Remedy::text(
                "Look for the AAGUID in Microsoft's list of eligible models, or set bench.mds to the FIDO metadata; the first key shows it.",
            ),
        ),
    }
}

pub(super) fn schema(facts: &Facts) -> Judged {
    let policy = facts.passkeys()?;
    let count = facts.method("Fido2")?["passkeyProfiles"].as_array().map_or(0, Vec::len);
    let evidence = Evidence::of(calls::POLICY, "Fido2.passkeyProfiles", format!("{count} profiles"));
    Ok(vec![if policy.legacy {
        Found::info(
            "The policy has no passkey profiles yet: it goes by isAttestationEnforced and keyRestrictions, which stop working in October 2027.",
            evidence,
            Remedy::text(
                "Opt in to passkey profiles in the Entra admin centre when it suits; `keybench tenant apply` writes the old members until then.",
            ),
        )
    } else {
        Found::pass(
            "The policy has passkey profiles; writing only the old members is refused, since they mirror the default profile.",
            evidence,
        )
    }])
}

/// Ids of profiles that take synced passkeys. A tenant on the old schema takes them wherever attestation is off.
fn synced(facts: &Facts, policy: &Fido2Policy) -> BTreeSet<String> {
    if policy.legacy {
        return policy
            .profiles
            .iter()
            .filter(|profile| !profile.attestation_required)
            .map(|profile| profile.id.clone())
            .collect();
    }
    let profiles =
        facts.method("Fido2").ok().and_then(|method| method["passkeyProfiles"].as_array()).into_iter().flatten();
    profiles
        .filter(|profile| {
            profile["passkeyTypes"]
                .as_str()
                .is_some_and(|types| types.split(',').any(|kind| kind.trim().eq_ignore_ascii_case("synced")))
        })
        .filter_map(|profile| profile["id"].as_str().map(str::to_ascii_lowercase))
        .collect()
}

pub(super) fn synced_allowed(facts: &Facts) -> Judged {
    let policy = open(facts.passkeys()?);
    let synced = synced(facts, &policy);
    let name = |profile: &Profile| profile.name.clone();
    let field = "Fido2.passkeyProfiles.passkeyTypes";
    let warning = |profiles: Vec<String>, people: Vec<Upn>| {
        let who = if people.is_empty() { "People in its scope".to_owned() } else { names(&people) };
        Found::warn(
            format!("{who} can add cloud-synced passkeys beside the key (profile {}).", profiles.join(", ")),
            Evidence::of(calls::POLICY, field, "deviceBound,synced"),
            Remedy::text("Give them a profile with device-bound passkeys only, if the key is to be the only kind.")
                .by(PATCH),
        )
        .about(people)
    };
    let mut found = Vec::new();
    if facts.people.is_empty() {
        let profiles: Vec<String> = policy.profiles.iter().filter(|p| synced.contains(&p.id)).map(name).collect();
        if !profiles.is_empty() {
            found.push(warning(profiles, Vec::new()));
        }
    } else {
        for scope in scopes(facts, &policy) {
            let member = Member { user: &scope.user, groups: &scope.groups };
            let theirs: BTreeSet<&String> = policy
                .include
                .iter()
                .filter(|target| target.audience.has(member))
                .flat_map(|target| &target.profiles)
                .filter(|id| synced.contains(*id))
                .collect();
            let profiles: Vec<String> = policy.profiles.iter().filter(|p| theirs.contains(&p.id)).map(name).collect();
            if !profiles.is_empty() {
                found.push(warning(profiles, scope.people));
            }
        }
    }
    if found.is_empty() {
        found.push(Found::pass("Device-bound passkeys only.", Evidence::of(calls::POLICY, field, "deviceBound")));
    }
    Ok(found)
}

/// The passkey policy's own budget since May 2026 (Entra release notes).
const BUDGET: usize = 20 * 1024;
/// Above this, a few more AAGUIDs fill it.
const NEARLY: usize = 18 * 1024;

pub(super) fn size(facts: &Facts) -> Judged {
    let bytes = facts.method("Fido2")?.to_string().len();
    let evidence = Evidence::of(calls::POLICY, "Fido2 (whole)", format!("{bytes} bytes"));
    let remedy = || Remedy::text("Merge profiles, or shorten their AAGUID lists (about 0.3 KB for ten).");
    Ok(vec![if bytes >= BUDGET {
        Found::fail(format!("The passkey policy has {bytes} bytes, and Entra takes {BUDGET}."), evidence, remedy())
    } else if bytes >= NEARLY {
        Found::warn(format!("The passkey policy has {bytes} of {BUDGET} bytes."), evidence, remedy())
    } else {
        Found::pass(format!("{bytes} of {BUDGET} bytes."), evidence)
    }])
}
