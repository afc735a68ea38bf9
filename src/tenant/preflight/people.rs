//! The people themselves: PF04, PF05, PF16, PF27, PF28, PF29, PF32, PF33.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::{Asked, Facts, Gap, Mode, PersonFacts, Why, calls};
use super::verdict::{Evidence, Found, Remedy};
use super::{Judged, Sorted, names, no_people};
use crate::model::Upn;
use crate::tenant::statements::{Statement, Topic};

/// Whether a method is of this type; `@odata.type` tells methods apart.
pub(super) fn is(method: &Value, kind: &str) -> bool {
    method["@odata.type"]
        .as_str()
        .and_then(|found| found.trim_start_matches('#').strip_prefix("microsoft.graph."))
        .is_some_and(|found| found.eq_ignore_ascii_case(kind))
}

const PASSKEY: &str = "fido2AuthenticationMethod";
const PASS: &str = "temporaryAccessPassAuthenticationMethod";

/// Methods that let a person in without a password, or that a password alone does not replace.
const STRONG: [&str; 5] = [
    PASSKEY,
    "windowsHelloForBusinessAuthenticationMethod",
    "platformCredentialAuthenticationMethod",
    "microsoftAuthenticatorAuthenticationMethod",
    "passwordlessMicrosoftAuthenticatorAuthenticationMethod",
];

pub(super) fn accounts(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let mut gap = None;
    let (mut absent, mut guests, mut disabled, mut unseen, mut unread, mut good) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0_usize);
    for person in &facts.people {
        match &person.user {
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
            }
            Ok(None) => absent.push(person.name.clone()),
            Ok(Some(user)) => {
                let guest = user["userType"].as_str().map(|kind| kind.eq_ignore_ascii_case("Guest"));
                match (guest, user["accountEnabled"].as_bool()) {
                    (Some(true), _) => guests.push(person.name.clone()),
                    (_, Some(false)) => disabled.push(person.name.clone()),
                    (Some(false), Some(true)) => good += 1,
                    (None, _) | (_, None) => unseen.push(person.name.clone()),
                }
            }
        }
    }
    let mut found = Vec::new();
    if !absent.is_empty() {
        found.push(
            Found::fail(
                format!("The tenant has nobody called {}.", names(&absent)),
                Evidence::of(calls::USER, "status", "404"),
                Remedy::text("Correct the names, or check that the tenant is the right one."),
            )
            .about(absent),
        );
    }
    if !guests.is_empty() {
        let verb = if guests.len() == 1 { "is a guest" } else { "are guests" };
        found.push(
            Found::fail(
                format!("{} {verb}, and Entra takes no passkeys for guests.", names(&guests)),
                Evidence::of(calls::USER, "userType", "Guest"),
                Remedy::text("Provision the key in the person's home tenant."),
            )
            .about(guests),
        );
    }
    if !disabled.is_empty() {
        let verb = if disabled.len() == 1 { "is" } else { "are" };
        found.push(
            Found::warn(
                format!("{} {verb} disabled: they can't try their key, and reports leave them out.", names(&disabled)),
                Evidence::of(calls::USER, "accountEnabled", "false"),
                Remedy::text("Enable them before the run, which refuses disabled accounts; or take the lines out.")
                    .by("PATCH /v1.0/users/{id}"),
            )
            .about(disabled),
        );
    }
    if !unseen.is_empty() {
        let gap = Gap::new(
            Why::MissingRight,
            calls::USER,
            format!("whether {} may sign in, or is a guest, is not told", names(&unseen)),
            "Grant User.Read.All to the app registration, with admin consent.",
        );
        found.push(Found::unknown(&gap).about(unseen));
    }
    if let Some(gap) = gap {
        found.push(Found::unknown(gap).about(unread));
    }
    if found.is_empty() {
        let what = format!("{good} enabled {}.", if good == 1 { "member" } else { "members" });
        found.push(Found::pass(what, Evidence::of(calls::USER, "accountEnabled", "true")));
    }
    Ok(found)
}

/// What the administrator said, or the gap that asking would fill.
pub(super) fn said(facts: &Facts, topic: Topic) -> Asked<&Statement> {
    facts.statements.get(&topic).ok_or_else(|| {
        Gap::new(
            Why::NoApi,
            calls::SAID,
            format!("nobody has said yet how it stands, and no API tells: {}", topic.title()),
            format!(
                "Look ({}), then run `keybench tenant confirm {} done` (or not-done, not-used); it is asked once.",
                topic.portal(),
                topic.id()
            ),
        )
    })
}

/// A statement as evidence.
pub(super) fn word(said: &Statement) -> Evidence {
    let day = said.at.strftime("%Y-%m-%d");
    Evidence::of(calls::SAID, said.topic.id(), format!("{}, said by {} on {day}", said.answer.id(), said.by))
}

pub(super) fn names_stay(facts: &Facts) -> Judged {
    let said = said(facts, Topic::NamesStay)?;
    Ok(vec![if said.answer.is_settled() {
        Found::pass("User principal names will not change.", word(said))
    } else {
        Found::warn(
            "User principal names will change. A passkey can't follow: it must be deleted and made again.",
            word(said),
            Remedy::text("Rename the people first, then provision their keys."),
        )
    }])
}

pub(super) fn passes_left(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let usable = |methods: &&Vec<Value>| {
        methods.iter().any(|method| is(method, PASS) && method["isUsable"].as_bool() != Some(false))
    };
    let mut sorted = Sorted::sort(&facts.people, |person| person.methods.as_ref(), usable);
    let mut found = Vec::new();
    if !sorted.yes.is_empty() {
        found.push(
            Found::warn(
                format!(
                    "A Temporary Access Pass is open for {}. Whoever has its code gets in, and sign-in asks for it before the key.",
                    names(&sorted.yes)
                ),
                Evidence::of(calls::METHODS, "temporaryAccessPass.isUsable", "true"),
                Remedy::text("Delete passes that are no longer needed: `keybench tap sweep`.")
                    .by("DELETE /v1.0/users/{id}/authentication/temporaryAccessPassMethods/{id}"),
            )
            .about(std::mem::take(&mut sorted.yes)),
        );
    }
    found.extend(sorted.unknowns());
    if found.is_empty() {
        found.push(Found::pass("No pass is open.", Evidence::of(calls::METHODS, "temporaryAccessPass", "none usable")));
    }
    Ok(found)
}

pub(super) fn password_reset(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let (mut on, mut rowless, mut unread, mut admins) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut gap = None;
    for person in &facts.people {
        let row = match &person.registration {
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
                continue;
            }
            Ok(None) => {
                rowless.push(person.name.clone());
                continue;
            }
            Ok(Some(row)) => row,
        };
        // Administrators go by a switch of their own; the row says nothing of it.
        if row["isAdmin"].as_bool() == Some(true) {
            admins.push(person.name.clone());
            continue;
        }
        match row["isSsprEnabled"].as_bool() {
            Some(true) => on.push(person.name.clone()),
            Some(false) => {}
            None => rowless.push(person.name.clone()),
        }
    }
    let mut found = Vec::new();
    let group = Remedy::text(
        "Take them out of the group that self-service password reset is for (Entra admin centre, Password reset > \
         Properties; there is no API): a person without a password can't reset one, and is sent to register for it.",
    );
    if !on.is_empty() {
        found.push(
            Found::warn(
                format!("Self-service password reset applies to {}.", names(&on)),
                Evidence::of(calls::REGISTRATION, "isSsprEnabled", "true"),
                group,
            )
            .about(on),
        );
    }
    if !admins.is_empty() {
        match facts.authorization.as_ref().map(|policy| policy["allowedToUseSSPR"].as_bool()) {
            Ok(Some(false)) => {}
            Ok(Some(true)) => found.push(
                Found::warn(
                    format!("Self-service password reset is on for administrators, among them {}.", names(&admins)),
                    Evidence::of(calls::AUTHORIZATION, "allowedToUseSSPR", "true"),
                    Remedy::text("Turn it off for administrators if none of them should need a password.")
                        .by("PATCH /v1.0/policies/authorizationPolicy"),
                )
                .about(admins),
            ),
            Ok(None) => rowless.extend(admins),
            Err(found) => {
                gap.get_or_insert(found);
                unread.extend(admins);
            }
        }
    }
    if !rowless.is_empty() {
        let gap = Gap::new(
            Why::NoAnswer,
            calls::REGISTRATION,
            format!(
                "the registration report has no row for {}: it lags, and leaves disabled accounts out",
                names(&rowless)
            ),
            "Look again tomorrow, or look at Password reset > Properties in the Entra admin centre.",
        );
        found.push(Found::unknown(&gap).about(rowless));
    }
    if let Some(gap) = gap {
        found.push(Found::unknown(gap).about(unread));
    }
    if found.is_empty() {
        let evidence = Evidence::of(calls::REGISTRATION, "isSsprEnabled", "false");
        found.push(Found::pass("Self-service password reset applies to none of them.", evidence));
    }
    Ok(found)
}

pub(super) fn per_user_mfa(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let mut on: BTreeMap<String, Vec<Upn>> = BTreeMap::new();
    let mut gap = None;
    let mut unread = Vec::new();
    for person in &facts.people {
        match &person.requirements {
            Ok(requirements) => match requirements["perUserMfaState"].as_str() {
                None => {}
                Some(state) if state.eq_ignore_ascii_case("disabled") => {}
                Some(state) => on.entry(state.to_owned()).or_default().push(person.name.clone()),
            },
            Err(found) => {
                gap.get_or_insert(found);
                unread.push(person.name.clone());
            }
        }
    }
    let mut found: Vec<Found> = on
        .into_iter()
        .map(|(state, people)| {
            Found::warn(
                format!(
                    "Per-user MFA is {state} for {}; it stands beside Conditional Access and asks at every sign-in.",
                    names(&people)
                ),
                Evidence::of(calls::REQUIREMENTS, "perUserMfaState", &state),
                Remedy::text("Set it to disabled and let Conditional Access ask for MFA.")
                    .by("PATCH /beta/users/{id}/authentication/requirements"),
            )
            .about(people)
        })
        .collect();
    found.extend(gap.map(|gap| Found::unknown(gap).about(unread)));
    if found.is_empty() {
        let evidence = Evidence::of(calls::REQUIREMENTS, "perUserMfaState", "disabled");
        found.push(Found::pass("Per-user MFA is off for everybody (beta).", evidence));
    }
    Ok(found)
}

/// The domain of a name, in lower case.
pub(crate) fn domain_of(upn: &Upn) -> Option<String> {
    upn.as_str().rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
}

pub(super) fn federation(facts: &Facts) -> Judged {
    if facts.domains.is_empty() {
        return Err(no_people());
    }
    let mut found = Vec::new();
    for (name, domain) in &facts.domains {
        let people = || {
            facts.people.iter().filter(|p| domain_of(&p.name).as_ref() == Some(name)).map(|p| p.name.clone()).collect()
        };
        let domain = match domain {
            Ok(domain) => domain,
            Err(gap) => {
                found.push(Found::unknown(gap).about(people()));
                continue;
            }
        };
        let kind = domain.domain["authenticationType"].as_str().unwrap_or("");
        if kind.eq_ignore_ascii_case("Managed") {
            continue;
        }
        match &domain.federation {
            Err(gap) => found.push(Found::unknown(gap).about(people())),
            Ok(settings) => {
                let behaviour = settings.iter().find_map(|one| one["federatedIdpMfaBehavior"].as_str());
                if behaviour.is_some_and(|behaviour| behaviour.eq_ignore_ascii_case("enforceMfaByFederatedIdp")) {
                    found.push(
                        Found::warn(
                            format!("{name} is federated, and its identity provider must do the MFA: setting up Windows Hello goes there."),
                            Evidence::of(calls::FEDERATION, "federatedIdpMfaBehavior", "enforceMfaByFederatedIdp"),
                            Remedy::text(
                                "Make the domain managed, or allow Entra to do the MFA (acceptIfMfaDoneByFederatedIdp); \
                                 only federatedMultiFactor satisfies authentication strengths there.",
                            )
                            .by("PATCH /v1.0/domains/{id}/federationConfiguration/{id}"),
                        )
                        .and(Evidence::of(calls::DOMAIN, "authenticationType", kind))
                        .about(people()),
                    );
                }
            }
        }
    }
    if found.is_empty() {
        let list = facts.domains.keys().cloned().collect::<Vec<_>>().join(", ");
        let evidence = Evidence::of(calls::DOMAIN, "authenticationType", "Managed, or Entra does the MFA");
        found.push(Found::pass(format!("{list}: Entra itself signs people in, or may do the MFA."), evidence));
    }
    Ok(found)
}

pub(super) fn second_authenticator(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    let adds = |person: &PersonFacts| match facts.plan.mode {
        Mode::Provision => usize::try_from(person.keys).unwrap_or(usize::MAX),
        Mode::SelfService => 1,
        // A token is no strong method: it goes with a password only.
        Mode::Oath => 0,
    };
    let count = |person: &PersonFacts, methods: &Vec<Value>| {
        methods.iter().filter(|method| STRONG.iter().any(|kind| is(method, kind))).count().saturating_add(adds(person))
    };
    let mut sorted = Sorted::sort(
        &facts.people,
        |person| Ok((person, person.methods.as_ref()?)),
        |(person, methods)| count(person, methods) < 2,
    );
    let mut found = Vec::new();
    if !sorted.yes.is_empty() {
        let people = std::mem::take(&mut sorted.yes);
        let evidence = Evidence::of(calls::METHODS, "strong methods, with those to come", "fewer than 2");
        match facts.statements.get(&Topic::Recovery).filter(|said| said.answer.is_settled()) {
            Some(said) => found.push(
                Found::pass(
                    format!("{} will have one strong authenticator; recovery by a pass is written down.", names(&people)),
                    word(said),
                )
                .and(evidence)
                .about(people),
            ),
            None => found.push(
                Found::warn(
                    format!("{} will have one strong authenticator or none; whoever loses it is locked out.", names(&people)),
                    evidence,
                    Remedy::text("Give a second key, or a passkey in Authenticator; else write down how a pass is issued to somebody who lost their key, and say so: `keybench tenant confirm recovery done`."),
                )
                .about(people),
            ),
        }
    }
    found.extend(sorted.unknowns());
    if found.is_empty() {
        let evidence = Evidence::of(calls::METHODS, "strong methods, with those to come", "2 or more");
        found.push(Found::pass("Everybody will have two strong authenticators.", evidence));
    }
    Ok(found)
}

pub(super) fn passkeys_there(facts: &Facts) -> Judged {
    if facts.people.is_empty() {
        return Err(no_people());
    }
    fn list(person: &PersonFacts) -> Result<Vec<&Value>, &Gap> {
        match (&person.methods, &person.passkeys) {
            (Ok(methods), _) => Ok(methods.iter().filter(|method| is(method, PASSKEY)).collect()),
            (Err(_), Ok(passkeys)) => Ok(passkeys.iter().collect()),
            (Err(_), Err(gap)) => Err(gap),
        }
    }
    let same = |passkeys: &Vec<&Value>| {
        passkeys.iter().any(|passkey| {
            // Without a named model every passkey could be the one in hand.
            facts.plan.models.is_empty()
                || passkey["aaGuid"]
                    .as_str()
                    .and_then(crate::model::Aaguid::parse)
                    .is_none_or(|aaguid| facts.plan.models.iter().any(|model| model.aaguid == aaguid))
        })
    };
    let mut sorted = Sorted::sort(&facts.people, list, same);
    let mut found = Vec::new();
    if !sorted.yes.is_empty() {
        let models: Vec<String> = facts.plan.models.iter().map(|model| model.aaguid.to_string()).collect();
        let value = if models.is_empty() { "any passkey".to_owned() } else { models.join(", ") };
        found.push(
            Found::warn(
                format!("{} have a passkey of this kind already. The same key is refused a second time (excludeCredentials).", names(&sorted.yes)),
                Evidence::of(calls::PASSKEYS, "aaGuid", value),
                Remedy::text("Leave them out if they have had their key; delete what is lost: `keybench methods remove`."),
            )
            .about(std::mem::take(&mut sorted.yes)),
        );
    }
    found.extend(sorted.unknowns());
    if found.is_empty() {
        found.push(Found::pass(
            "Nobody has a passkey of this kind yet.",
            Evidence::of(calls::PASSKEYS, "aaGuid", "none"),
        ));
    }
    Ok(found)
}
