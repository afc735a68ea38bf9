//! Conditional Access and what stands beside it: PF17 to PF24.

use serde_json::Value;

use super::coverage::{self, JOIN, REGISTER, Subject};
use super::facts::{Action, Facts, Gap, KeyModel, WhatIf, Why, calls};
use super::verdict::{Evidence, Found, Remedy};
use super::{Judged, names, no_people};
use crate::graph::conditional_access::{Control, Grant};
use crate::graph::grant::{Demand, Enough, Proof};
use crate::graph::licences::{ENTRA_P1, ENTRA_P2, INTUNE, Subscription};
use crate::graph::{ConditionalAccessPolicy, Document};
use crate::model::{Upn, UserId};

/// Whether a policy's demands can be met.
enum Met {
    Yes,
    /// Why not, to follow the policy's name.
    No(String),
    /// A strength whose combinations were not told, or that lists models while none is named.
    Unclear,
}

/// What one brings to a sign-in.
enum Brings<'a> {
    /// A pass on a machine that is not managed: one-time or not, whichever will do.
    Pass(&'a [bool]),
    /// Keys, all of these models; empty means any.
    Key(&'a [KeyModel]),
}

impl Brings<'_> {
    /// Against one strength.
    fn weigh(&self, strength: &Demand) -> Met {
        let enough = match self {
            Self::Pass(kinds) => kinds
                .iter()
                .map(|one_time| strength.weigh(Proof::AccessPass { one_time: *one_time }))
                .reduce(Enough::or),
            Self::Key([]) => Some(strength.weigh(Proof::Key(None))),
            Self::Key(models) => {
                models.iter().map(|model| strength.weigh(Proof::Key(Some(model.aaguid)))).reduce(Enough::and)
            }
        };
        match enough {
            Some(Enough::Yes) => Met::Yes,
            Some(Enough::No(why)) => Met::No(format!("asks for more: {why}")),
            Some(Enough::Depends(_)) | None => Met::Unclear,
        }
    }

    /// Against one demand. Devices and apps have nothing to do with whether a key is taken.
    fn meets(&self, demand: &Demand) -> Met {
        match (demand, self) {
            (Demand::Control(Control::Block), _) => Met::No("blocks".to_owned()),
            (
                Demand::Control(
                    Control::CompliantDevice
                    | Control::DomainJoinedDevice
                    | Control::ApprovedApplication
                    | Control::CompliantApplication,
                ),
                Self::Pass(_),
            ) => Met::No(format!("asks for {demand}")),
            (Demand::Strength(_), _) => self.weigh(demand),
            _ => Met::Yes,
        }
    }
}

fn grant_of(policy: &Value) -> Option<Grant> {
    Document::from_json(policy.clone()).map(ConditionalAccessPolicy::from_document)?.grant()
}

fn met(policy: &Value, brings: &Brings<'_>) -> Met {
    let Some(grant) = grant_of(policy) else { return Met::Yes };
    let demands = grant.demands();
    // A block counts whatever stands beside it.
    if demands.contains(&Demand::Control(Control::Block)) {
        return Met::No("blocks".to_owned());
    }
    let each: Vec<Met> = demands.iter().map(|demand| brings.meets(demand)).collect();
    let unclear = each.iter().any(|met| matches!(met, Met::Unclear));
    let yes = each.iter().any(|met| matches!(met, Met::Yes));
    let refused: Vec<String> = each
        .into_iter()
        .filter_map(|met| match met {
            Met::No(why) => Some(why),
            Met::Yes | Met::Unclear => None,
        })
        .collect();
    match (grant.all, refused.is_empty(), unclear) {
        (false, ..) if yes => Met::Yes,
        (_, true, false) => Met::Yes,
        (false, _, true) | (true, true, true) => Met::Unclear,
        _ => Met::No(refused.join(" and ")),
    }
}

/// The evaluations of one kind, with what was left out.
///
/// # Errors
/// When nothing at all was evaluated.
fn evaluated(facts: &Facts, of: impl Fn(&Action) -> bool) -> Result<(Vec<&WhatIf>, Option<Found>), Gap> {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let asked: Vec<&WhatIf> = facts.what_if.iter().filter(|what_if| of(&what_if.action)).collect();
    let left_out = facts.what_if_left_out.as_ref().map(|(people, gap)| Found::unknown(gap).about(people.clone()));
    match (asked.is_empty(), &facts.what_if_left_out) {
        (true, Some((_, gap))) => Err(gap.clone()),
        (true, None) => Err(Gap::new(
            Why::NotAsked,
            calls::WHAT_IF,
            "it was not evaluated",
            "Name a roster with people whom the directory knows.",
        )),
        (false, _) => Ok((asked, left_out)),
    }
}

/// Evaluations against what is brought: enforced policies fail, report-only ones warn.
fn weigh(asked: &[&WhatIf], brings: &Brings<'_>, remedy: &'static str) -> Vec<Found> {
    let mut found = Vec::new();
    for what_if in asked {
        let policies = match &what_if.answer {
            Ok(policies) => policies,
            Err(gap) => {
                found.push(Found::unknown(gap).about(what_if.people.clone()));
                continue;
            }
        };
        for policy in policies.iter().filter(|policy| policy["policyApplies"].as_bool() != Some(false)) {
            let enforced = coverage::is_enabled(policy);
            let reported = policy["state"].as_str() == Some("enabledForReportingButNotEnforced");
            if !enforced && !reported {
                continue;
            }
            let people = || what_if.people.clone();
            let (doing, name) = (what_if.action.words(), coverage::name(policy));
            match met(policy, brings) {
                Met::Yes => {}
                Met::Unclear => {
                    let gap = Gap::new(
                        Why::NoAnswer,
                        calls::WHAT_IF,
                        format!("whether {name} can be met when {doing} is not told"),
                        "Look at the policy's authentication strength; name key models with --aaguid.",
                    );
                    found.push(Found::unknown(&gap).about(people()));
                }
                Met::No(why) => {
                    let evidence = Evidence::of(calls::WHAT_IF, format!("{name}.grantControls"), asked_for(policy));
                    found.push(
                        if enforced {
                            Found::fail(format!("When {doing}, {name} {why}."), evidence, Remedy::text(remedy))
                        } else {
                            let what = format!("When {doing}, {name} {why}, once it is no longer report-only.");
                            Found::warn(what, evidence, Remedy::text(remedy))
                        }
                        .about(people()),
                    );
                }
            }
        }
    }
    found
}

/// What a policy asks for, in the order of its controls.
fn asked_for(policy: &Value) -> String {
    let Some(grant) = grant_of(policy) else { return "nothing".to_owned() };
    let demands: Vec<String> = grant.demands().iter().map(ToString::to_string).collect();
    demands.join(if grant.all { " and " } else { " or " })
}

fn of_kind(action: &Action, wanted: &Action) -> bool {
    std::mem::discriminant(action) == std::mem::discriminant(wanted)
}

/// Which passes there will be: one-time, or not.
fn passes(facts: &Facts) -> &'static [bool] {
    let forced = facts.method("TemporaryAccessPass").ok().and_then(|policy| policy["isUsableOnce"].as_bool());
    match (facts.plan.one_time_pass, forced) {
        (_, Some(true)) | (Some(true), _) => &[true],
        (Some(false), _) => &[false],
        (None, _) => &[true, false],
    }
}

fn pass_words(kinds: &[bool]) -> &'static str {
    match kinds {
        [true] => "a one-time pass",
        [false] => "a multi-use pass",
        _ => "a pass",
    }
}

pub(super) fn registering(facts: &Facts) -> Judged {
    let (asked, left_out) = evaluated(facts, |action| *action == Action::RegisterSecurityInformation)?;
    let kinds = passes(facts);
    let mut found = weigh(
        &asked,
        &Brings::Pass(kinds),
        "Ask for a strength that takes passes (`keybench tenant preset pilot` writes one), add the bench's place to the named \
         locations, or exclude the bench group.",
    );
    found.extend(left_out);
    if found.is_empty() {
        let evidence = Evidence::of(calls::WHAT_IF, "grantControls", format!("met by {}", pass_words(kinds)));
        found
            .push(Found::pass("A pass meets every policy that applies to registering security information.", evidence));
    }
    Ok(found)
}

fn subject<'a, 'p: 'a>(
    person: &'p super::facts::PersonFacts,
    id: &'a UserId,
    user: &Value,
) -> Result<Subject<'a>, &'p Gap> {
    Ok(Subject {
        id,
        guest: user["userType"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("Guest")),
        groups: person.groups.as_ref()?,
        roles: person.roles.as_ref().map_or(&[], Vec::as_slice),
    })
}

pub(super) fn protected(facts: &Facts) -> Judged {
    let policies: Vec<&Value> = facts
        .access
        .as_ref()?
        .iter()
        .filter(|policy| coverage::is_enabled(policy) && coverage::is_about(policy, REGISTER))
        .collect();
    let field = "conditions.applications.includeUserActions";
    let remedy = || {
        Remedy::text("Make a policy for the user action Register security information: `keybench tenant preset pilot` writes one.")
            .by("POST /v1.0/identity/conditionalAccess/policies")
    };
    let what =
        |who: &str| format!("Anybody with a pass of {who} can register from anywhere: no enabled policy covers it.");
    if policies.is_empty() {
        return Ok(vec![Found::warn(
            what("these people"),
            Evidence::of(calls::ACCESS, field, "none enabled"),
            remedy(),
        )]);
    }
    let list = policies.iter().map(|policy| coverage::name(policy)).collect::<Vec<_>>().join(", ");
    if facts.people.is_empty() {
        return Ok(vec![Found::pass(format!("Protected by {list}."), Evidence::of(calls::ACCESS, field, REGISTER))]);
    }
    let (mut open, mut unread, mut gap) = (Vec::new(), Vec::new(), None);
    for (person, user) in facts.known_people() {
        let Some(id) = person.id() else { continue };
        match subject(person, &id, user) {
            Ok(subject) if policies.iter().any(|policy| coverage::covers(policy, subject)) => {}
            Ok(_) => open.push(person.name.clone()),
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
            }
        }
    }
    let mut found = Vec::new();
    if !open.is_empty() {
        let evidence = Evidence::of(calls::ACCESS, "conditions.users", format!("{list}: not for them"));
        found.push(Found::warn(what(&names(&open)), evidence, remedy()).about(open));
    }
    if let Some(gap) = gap {
        found.push(Found::unknown(gap).about(unread));
    }
    if found.is_empty() {
        found.push(Found::pass(format!("Protected by {list}."), Evidence::of(calls::ACCESS, field, REGISTER)));
    }
    Ok(found)
}

const SIGN_IN: Action = Action::SignIn { app: String::new(), name: String::new() };

pub(super) fn signing_in(facts: &Facts) -> Judged {
    let (asked, left_out) = evaluated(facts, |action| of_kind(action, &SIGN_IN))?;
    let mut found = weigh(
        &asked,
        &Brings::Key(&facts.plan.models),
        "Let the strength take security keys and list this AAGUID; else a key registers and never signs in.",
    );
    found.extend(left_out);
    if found.is_empty() {
        let apps: std::collections::BTreeSet<String> = asked.iter().map(|what_if| what_if.action.words()).collect();
        let apps = apps.into_iter().collect::<Vec<_>>().join(", ");
        let evidence = Evidence::of(calls::WHAT_IF, "grantControls", "met by fido2");
        found.push(Found::pass(format!("A key meets every policy that applies to {apps}."), evidence));
    }
    Ok(found)
}

pub(super) fn pass_everywhere(facts: &Facts) -> Judged {
    let (asked, left_out) = evaluated(facts, |action| of_kind(action, &SIGN_IN))?;
    let kinds = passes(facts);
    let mut found: Vec<Found> = Vec::new();
    let mut people: Vec<Upn> = Vec::new();
    let mut policies = std::collections::BTreeSet::new();
    for what_if in &asked {
        let answer = match &what_if.answer {
            Ok(answer) => answer,
            Err(gap) => {
                found.push(Found::unknown(gap).about(what_if.people.clone()));
                continue;
            }
        };
        let lacking = answer.iter().filter(|policy| coverage::is_enabled(policy)).filter(|policy| {
            let demands = grant_of(policy).map(|grant| grant.demands()).unwrap_or_default();
            demands
                .iter()
                .any(|one| matches!(one, Demand::Strength(_)) && matches!(Brings::Pass(kinds).weigh(one), Met::No(_)))
        });
        let names: Vec<String> = lacking.map(coverage::name).collect();
        if !names.is_empty() {
            people.extend(what_if.people.iter().cloned());
            policies.extend(names);
        }
    }
    if !policies.is_empty() {
        people.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        people.dedup();
        let list = policies.into_iter().collect::<Vec<_>>().join(", ");
        found.push(
            Found::info(
                format!("{list} would not take a pass for applications. That is fine: while registering, the strength for security information goes first."),
                Evidence::of(calls::WHAT_IF, "grantControls.authenticationStrength.allowedCombinations", "no temporaryAccessPass"),
                Remedy::text("Nothing to do. A pass lets people register, not work."),
            )
            .about(people),
        );
    }
    found.extend(left_out);
    if found.is_empty() {
        let evidence =
            Evidence::of(calls::WHAT_IF, "grantControls.authenticationStrength.allowedCombinations", pass_words(kinds));
        found.push(Found::pass("Applications take a pass too, or ask for no strength.", evidence));
    }
    Ok(found)
}

pub(super) fn joining(facts: &Facts) -> Judged {
    let policies = facts.access.as_ref()?;
    let about = policies.iter().filter(|policy| coverage::is_enabled(policy) && coverage::is_about(policy, JOIN));
    let list: Vec<String> = about.map(coverage::name).collect();
    let field = "multiFactorAuthConfiguration";
    if list.is_empty() {
        let evidence = Evidence::of(calls::ACCESS, "conditions.applications.includeUserActions", "no registerdevice");
        return Ok(vec![Found::pass("No policy is about joining devices.", evidence)]);
    }
    let mut found = Vec::new();
    match &facts.devices {
        Err(gap) => found.push(Found::unknown(gap)),
        Ok(devices) => {
            let value = devices[field].as_str().unwrap_or("");
            if !value.eq_ignore_ascii_case("notRequired") {
                found.push(Found::warn(
                    format!(
                        "The tenant-wide switch \u{201c}Require MFA to join devices\u{201d} stands in the way of {}.",
                        list.join(", ")
                    ),
                    Evidence::of(calls::DEVICES, field, value),
                    Remedy::text(
                        "Turn the switch off (Devices > Device settings): the policy then asks instead of it.",
                    )
                    .by("PUT /v1.0/policies/deviceRegistrationPolicy"),
                ));
            }
        }
    }
    match evaluated(facts, |action| *action == Action::JoinDevice) {
        Err(gap) => found.push(Found::unknown(&gap)),
        Ok((asked, left_out)) => {
            let mut weighed = weigh(
                &asked,
                &Brings::Pass(passes(facts)),
                "Let the strength take passes. Other controls than MFA and a strength are not supported for joining devices.",
            );
            for one in weighed.iter_mut().filter(|one| one.verdict == super::Verdict::Fail) {
                one.verdict = super::Verdict::Warn;
            }
            found.extend(weighed);
            found.extend(left_out);
        }
    }
    if found.is_empty() {
        let evidence = Evidence::of(calls::DEVICES, field, "notRequired");
        found.push(Found::pass(format!("A pass meets {}.", list.join(", ")), evidence));
    }
    Ok(found)
}

/// Methods that a break-glass account may have: none that depends on a phone or on a colleague.
const GLASS: [&str; 3] =
    ["passwordAuthenticationMethod", "fido2AuthenticationMethod", "x509CertificateAuthenticationMethod"];

pub(super) fn break_glass(facts: &Facts) -> Judged {
    let glass = &facts.plan.break_glass;
    if glass.is_empty() {
        return Ok(vec![Found::fail(
            "No break-glass account or group is named; a wrong policy could lock everybody out.",
            Evidence::of(calls::PLAN, "break_glass", "none"),
            Remedy::text(
                "Name accounts or a group that every policy excludes: break_glass in the file that `keybench tenant apply` reads.",
            ),
        )]);
    }
    let policies = facts.access.as_ref()?;
    let in_force: Vec<&Value> = policies
        .iter()
        .filter(|policy| policy["state"].as_str().is_some_and(|state| !state.eq_ignore_ascii_case("disabled")))
        .collect();
    let excludes = |policy: &Value| {
        ["excludeUsers", "excludeGroups"].iter().any(|member| {
            let ids = policy["conditions"]["users"][member].as_array().into_iter().flatten();
            ids.filter_map(Value::as_str).any(|id| glass.contains(&id.to_ascii_lowercase()))
        })
    };
    let mut found = Vec::new();
    let without: Vec<String> =
        in_force.iter().filter(|policy| !excludes(policy)).map(|policy| coverage::name(policy)).collect();
    if !without.is_empty() {
        found.push(Found::fail(
            format!("No break-glass exclusion in {}.", without.join(", ")),
            Evidence::of(calls::ACCESS, "conditions.users.excludeGroups", "not among them"),
            Remedy::text("Exclude the break-glass group from every policy.")
                .by("PATCH /v1.0/identity/conditionalAccess/policies/{id}"),
        ));
    }
    let administrators = facts.administrators.as_ref()?;
    let mut ready = 0_usize;
    let mut gap = None;
    for administrator in administrators {
        let user = &administrator.user;
        if user["onPremisesSyncEnabled"].as_bool() == Some(true) || user["accountEnabled"].as_bool() == Some(false) {
            continue;
        }
        let (methods, groups) = match (&administrator.methods, &administrator.groups) {
            (Ok(methods), Ok(groups)) => (methods, groups),
            (Err(found), _) | (_, Err(found)) => {
                gap.get_or_insert(found);
                continue;
            }
        };
        let id = UserId::new(user["id"].as_str().unwrap_or_default().to_ascii_lowercase());
        let subject = Subject { id: &id, guest: false, groups, roles: &[] };
        let only = methods.iter().all(|method| GLASS.iter().any(|kind| super::people::is(method, kind)));
        let free = policies
            .iter()
            .filter(|policy| coverage::is_enabled(policy))
            .all(|policy| coverage::is_excluded(policy, subject));
        if only && free {
            ready += 1;
        }
    }
    let evidence = Evidence::of(calls::ADMINISTRATORS, "cloud-only, password or key only, excluded everywhere", ready);
    match (ready, gap) {
        (2.., _) => {}
        (_, Some(gap)) => found.push(Found::unknown(gap)),
        (_, None) => found.push(Found::fail(
            format!(
                "{ready} permanent Global Administrators are ready for an emergency; there should be two that are cloud-only, \
                 have no method but password, key or certificate, and are excluded from every enabled policy."
            ),
            evidence.clone(),
            Remedy::text("Make two such accounts, with keys kept apart, and exclude them."),
        )),
    }
    if found.is_empty() {
        found.push(Found::pass(
            format!("{ready} accounts are ready for an emergency, and every policy excludes them."),
            evidence,
        ));
    }
    Ok(found)
}

pub(super) fn security_defaults(facts: &Facts) -> Judged {
    let defaults = facts.defaults.as_ref()?;
    let on = defaults["isEnabled"].as_bool();
    let evidence = Evidence::of(calls::DEFAULTS, "isEnabled", &defaults["isEnabled"]);
    Ok(vec![match on {
        Some(false) => Found::pass("Security defaults are off.", evidence),
        _ => Found::fail(
            "Security defaults are on; they and enabled Conditional Access policies exclude each other.",
            evidence,
            Remedy::text("Turn security defaults off in the same step that turns the policies on, not earlier.")
                .by("PATCH /v1.0/policies/identitySecurityDefaultsEnforcementPolicy"),
        ),
    }])
}

/// Service plans (Microsoft, "Product names and service plan identifiers for licensing").
const PREMIUM: [(&str, &str); 2] = [(ENTRA_P1, "Entra ID P1"), (ENTRA_P2, "Entra ID P2")];

pub(super) fn licences(facts: &Facts) -> Judged {
    let products = facts.licences.as_ref()?;
    let products: Vec<Subscription> =
        products.iter().cloned().filter_map(Document::from_json).map(Subscription::from_document).collect();
    let has = |plan: &str| products.iter().any(|product| product.brings(plan));
    let field = "servicePlans.servicePlanId";
    let mut found = Vec::new();
    match PREMIUM.iter().find(|(plan, _)| has(plan)) {
        Some((plan, name)) => found.push(Found::pass(format!("{name}."), Evidence::of(calls::LICENCES, field, plan))),
        None => found.push(Found::fail(
            "The tenant has neither Entra ID P1 nor P2, which Conditional Access, authentication strengths and hardware OATH need; passkeys themselves need none.",
            Evidence::of(calls::LICENCES, field, "neither P1 nor P2"),
            Remedy::text("Buy P1 for these people, or leave Conditional Access and OATH out."),
        )),
    }
    if facts.plan.compliant_devices && !has(INTUNE) {
        found.push(Found::fail(
            "The tenant has no Intune, which a policy that asks for compliant devices needs.",
            Evidence::of(calls::LICENCES, field, "no Intune"),
            Remedy::text("Leave the compliant device out, or buy Intune."),
        ));
    }
    Ok(found)
}
