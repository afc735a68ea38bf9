//! The client's policies against the simulated tenant: reads and writes, and for every refusal the tenant knows, what the
//! operator is told.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::against_sim::{by_secret, graph_with, run, spec};
use super::authentication_methods::{AuthenticatorMode, ConfigState, Method, MigrationState};
use super::authentication_strength::{Combination, MFA, Mode, PASSWORDLESS, StrengthKind};
use super::conditional_access::{PolicyState, REGISTER_DEVICE, REGISTER_SECURITY_INFO};
use super::directory_roles::GLOBAL_ADMINISTRATOR;
use super::http::Request;
use super::licences::{ENTRA_P1, ENTRA_P2, INTUNE};
use super::named_locations::Place;
use super::rights;
use super::tenant_settings::JoinMfa;
use super::user_settings::{PerUserMfa, SecondFactor};
use super::what_if::{Circumstances, Undertaking};
use super::*;
use crate::model::{Aaguid, UserId};
use crate::sim::tenant::{RunningTenant, TenantSpec, reasons};

const PILOT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const SPARED: &str = "11111111-aaaa-4bbb-8ccc-0000000000b6";
const MODEL: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

fn document(json: Value) -> Document {
    Document::from_json(json).expect("an object")
}

fn pilot() -> TenantSpec {
    let mut spec = spec();
    spec.policies.access_per_second = 0;
    spec.app.permissions.push("UserAuthenticationMethod.ReadWrite.All".to_owned());
    spec.groups[1].id = Some(PILOT.to_owned());
    spec.groups.push(crate::sim::tenant::spec::GroupSpec {
        name: "Break glass".to_owned(),
        id: Some(SPARED.to_owned()),
        ..Default::default()
    });
    spec
}

fn access(name: &str, more: Value) -> Document {
    let mut policy = json!({
        "displayName": name,
        "state": "disabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeUserActions": [REGISTER_SECURITY_INFO]},
            "users": {"includeGroups": [PILOT], "excludeGroups": [SPARED]},
        },
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    });
    for (pointer, value) in more.as_object().expect("changes") {
        let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
        policy.pointer_mut(parent).expect("there")[last] = value.clone();
    }
    document(policy)
}

fn id_of(graph: &Graph, upn: &str) -> UserId {
    graph.find_user(upn).expect("asked").expect("there").id
}

#[test]
fn methods_are_read_changed_and_read_back_with_what_nobody_knows() {
    let tenant = run(pilot());
    let graph = by_secret(&tenant);
    let policy = graph.authentication_methods_policy(ApiVersion::V1).expect("read");
    assert_eq!(policy.migration(), Some(MigrationState::Complete));
    assert_eq!(policy.campaign().expect("there").state, ConfigState::MicrosoftManaged);
    assert_eq!((policy.system_preferred(), policy.configuration(&Method::HardwareOath)), (None, None));
    let beta = graph.authentication_methods_policy(ApiVersion::Beta).expect("read");
    assert_eq!(beta.system_preferred(), Some(ConfigState::MicrosoftManaged));
    assert!(beta.campaign().expect("there").enforce_after_snoozes.is_some());
    assert!(beta.configuration(&Method::HardwareOath).is_some());

    let pass = graph.method_configuration(&Method::TemporaryAccessPass).expect("read");
    assert!(pass.is_enabled());
    let change = document(json!({"state": "enabled", "defaultLength": 12, "isUsableOnce": true,
        "includeTargets": [{"targetType": "group", "id": PILOT}]}));
    let written = graph.change_method_configuration(&Method::TemporaryAccessPass, &change).expect("changed");
    assert!(written.ids.request_id.is_some(), "for the journal");
    let pass = graph.method_configuration(&Method::TemporaryAccessPass).expect("read");
    let limits = pass.access_pass().expect("it is that method");
    assert_eq!((limits.default_length, limits.most_minutes, limits.one_time_only), (12, 480, true));
    assert_eq!(pass.groups(), BTreeSet::from([PILOT.to_owned()]));

    let authenticator = graph.method_configuration(&Method::MicrosoftAuthenticator).expect("read");
    assert_eq!(authenticator.authenticator_modes(), [AuthenticatorMode::Any]);
    let oath = document(json!({"state": "enabled", "includeTargets": [{"targetType": "group", "id": PILOT}]}));
    let _ = graph.change_method_configuration(&Method::HardwareOath, &oath).expect("beta has it");
    let campaign = document(json!({"registrationEnforcement": {"authenticationMethodsRegistrationCampaign": {
        "state": "enabled", "snoozeDurationInDays": 3,
        "includeTargets": [{"id": PILOT, "targetType": "group", "targetedAuthenticationMethod": "fido2"}]}}}));
    let _ = graph.change_authentication_methods_policy(ApiVersion::V1, &campaign).expect("changed");
    let campaign = graph.authentication_methods_policy(ApiVersion::V1).expect("read").campaign().expect("there");
    assert_eq!((campaign.snooze_days, campaign.methods), (Some(3), vec!["fido2".to_owned()]));
}

#[test]
fn passkey_profiles_are_added_used_and_taken_away() {
    let tenant = run(pilot());
    let graph = by_secret(&tenant);
    let fido2 = graph.method_configuration(&Method::Fido2).expect("read");
    let default = fido2.document().at("/passkeyProfiles/0").clone();
    let new = json!({"name": "Bench keys", "passkeyTypes": "deviceBound", "attestationEnforcement": "disabled",
        "keyRestrictions": {"isEnforced": true, "enforcementType": "allow", "aaGuids": [MODEL]}});
    let change = document(json!({"passkeyProfiles": [default, new]}));
    let _ = graph.change_method_configuration(&Method::Fido2, &change).expect("changed");
    let fido2 = graph.method_configuration(&Method::Fido2).expect("read");
    let id = fido2.document().text("/passkeyProfiles/1/id").expect("it got one").to_owned();
    let targets =
        document(json!({"includeTargets": [{"targetType": "group", "id": PILOT, "allowedPasskeyProfiles": [id]}]}));
    let _ = graph.change_method_configuration(&Method::Fido2, &targets).expect("changed");
    let policy = graph.fido2_policy().expect("read");
    assert_eq!((policy.profiles.len(), policy.include[0].profiles.as_slice()), (2, [id].as_slice()));
    // Entra goes by it: a key of another model is refused from now on.
    let state = tenant.state();
    assert_eq!(state["policies"]["methods"][0]["passkeyProfiles"][1]["name"], "Bench keys");
}

#[test]
fn strengths_locations_and_conditional_access_live_and_die() {
    let tenant = run(pilot());
    let graph = by_secret(&tenant);
    let built_in = graph.authentication_strengths().expect("listed");
    let find = |id: &str| built_in.iter().find(|one| one.id() == id).expect("built in");
    assert!(find(MFA).takes_access_pass(true) && !find(PASSWORDLESS).takes_access_pass(true));
    assert_eq!(find(MFA).kind(), Some(StrengthKind::BuiltIn));
    assert!(graph.legal_combinations().expect("listed").contains(&Combination::read("password, hardwareOath")));

    let model = Aaguid::parse(MODEL).expect("an AAGUID");
    let new = document(
        json!({"displayName": "Keys and passes", "allowedCombinations": ["fido2", "temporaryAccessPassOneTime"]}),
    );
    let strength = graph.create_authentication_strength(&new).expect("made").value;
    let limit = graph.limit_key_models(strength.id(), &BTreeSet::from([model])).expect("limited").value;
    let strength = graph.authentication_strength(strength.id()).expect("read");
    assert!(strength.takes_key(model) && !strength.takes_key(Aaguid([7; 16])));
    let changed = graph
        .change_combinations(strength.id(), &[Combination::of(Mode::Fido2), Combination::of(Mode::WindowsHello)])
        .expect("changed");
    assert_eq!(changed.value.previous.len(), 2);
    assert!(!graph.authentication_strength(strength.id()).expect("read").takes_access_pass(true));
    let _ = graph.delete_combination_configuration(strength.id(), limit.id()).expect("taken away");
    assert_eq!(graph.authentication_strength(strength.id()).expect("read").key_models(), None);

    let home = document(json!({"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "Home",
        "countriesAndRegions": ["NL", "BE"]}));
    let home = graph.create_named_location(&home).expect("made").value;
    assert_eq!(home.place(), Place::Countries { codes: vec!["NL".into(), "BE".into()], unknown_too: false });
    let change =
        document(json!({"@odata.type": "#microsoft.graph.countryNamedLocation", "countriesAndRegions": ["NL"]}));
    let _ = graph.change_named_location(home.id(), &change).expect("changed");
    let home = graph.named_location(home.id()).expect("read");
    assert_eq!(
        (home.name(), home.place()),
        ("Home", Place::Countries { codes: vec!["NL".into()], unknown_too: false })
    );

    let policy = access(
        "Register",
        json!({"/grantControls": {"operator": "OR", "authenticationStrength": {"id": strength.id()}}}),
    );
    let policy = graph.create_conditional_access_policy(&policy).expect("made").value;
    assert_eq!(policy.state(), Some(PolicyState::Disabled));
    let usage = graph.strength_usage(strength.id()).expect("read");
    assert_eq!(usage.text("/mfa/0/displayName"), Some("Register"));
    let _ = graph.change_conditional_access_policy(policy.id(), &document(json!({"state": "enabled"}))).expect("on");
    let read = graph.conditional_access_policy(policy.id()).expect("read");
    assert!(read.is_enabled() && read.is_for_action(REGISTER_SECURITY_INFO));
    assert_eq!((read.include_groups(), read.exclude_groups()), (vec![PILOT], vec![SPARED]));
    assert_eq!(read.grant().expect("a grant").strength.expect("told whole").combinations().len(), 2);
    let _ = graph.delete_conditional_access_policy(policy.id()).expect("deleted");
    let _ = graph.delete_authentication_strength(strength.id()).expect("deleted");
    let _ = graph.delete_named_location(home.id()).expect("deleted");
    assert!(graph.conditional_access_policies().expect("listed").is_empty());
    assert!(graph.named_locations().expect("listed").is_empty());
}

#[test]
fn what_if_tells_who_is_met_by_what_and_why_not() {
    let mut spec = pilot();
    let map = |json: Value| json.as_object().expect("an object").clone();
    spec.policies.locations = vec![map(json!({"id": "44444444-dddd-4eee-8fff-000000000004", "displayName": "Home",
            "@odata.type": "#microsoft.graph.countryNamedLocation", "countriesAndRegions": ["NL"]}))];
    let policy = |name: &str, more: Value| access(name, more).members().clone();
    spec.policies.access = vec![
        policy("needs MFA", json!({"/state": "enabled"})),
        policy(
            "not at home",
            json!({"/state": "enabled", "/grantControls/builtInControls": ["block"],
            "/conditions/locations": {"includeLocations": ["All"], "excludeLocations": ["44444444-dddd-4eee-8fff-000000000004"]}}),
        ),
        policy("later", json!({})),
        policy("watched", json!({"/state": "enabledForReportingButNotEnforced"})),
        policy(
            "devices",
            json!({"/state": "enabled", "/conditions/applications": {"includeUserActions": [REGISTER_DEVICE]}}),
        ),
        policy("apps", json!({"/state": "enabled", "/conditions/applications": {"includeApplications": ["All"]}})),
    ];
    let tenant = run(spec);
    let graph = by_secret(&tenant);
    let member = id_of(&graph, "p5@contoso.example");
    let reasons = |user: &UserId, doing: &Undertaking, country: Option<&str>| -> Vec<(String, String)> {
        let at = Circumstances { country: country.map(str::to_owned), ..Circumstances::default() };
        let all = graph.what_if(user, doing, &at, false).expect("told");
        all.iter().map(|one| (one.policy().name().to_owned(), one.reasons().join(" "))).collect()
    };
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect()
    };
    let register = Undertaking::RegisterSecurityInformation;
    let expected = [
        ("needs MFA", ""),
        ("not at home", "location"),
        ("later", "policyNotEnabled"),
        ("watched", ""),
        ("devices", "userActions"),
        ("apps", "userActions"),
    ];
    assert_eq!(reasons(&member, &register, Some("NL")), pairs(&expected));
    assert_eq!(reasons(&member, &register, Some("FR"))[1].1, "");
    assert_eq!(reasons(&member, &register, None)[1].1, "notEnoughInformation");
    let stranger = id_of(&graph, "p9@contoso.example");
    assert_eq!(reasons(&stranger, &register, Some("NL"))[2].1, "users policyNotEnabled");
    assert_eq!(reasons(&member, &Undertaking::RegisterOrJoinDevice, Some("NL"))[4].1, "");
    let sign_in = Undertaking::SignIn(vec!["00000003-0000-0ff1-ce00-000000000000".to_owned()]);
    assert_eq!(reasons(&member, &sign_in, Some("NL"))[5].1, "");
    let applied = graph.what_if(&member, &register, &Circumstances::default(), true).expect("told");
    assert!(applied.iter().all(super::what_if::WhatIf::applies));
    assert_eq!(applied.len(), 2);
}

#[test]
fn switches_people_licences_domains_and_roles() {
    let mut spec = pilot();
    spec.policies.join_needs_mfa = true;
    let domain = json!({"name": "fed.example", "federated": true});
    spec.other_domains = vec![serde_json::from_value(domain).expect("a domain")];
    spec.policies.per_user_mfa.insert("p5@contoso.example".to_owned(), "enforced".to_owned());
    let tenant = run(spec);
    let graph = by_secret(&tenant);
    assert_eq!(graph.security_defaults().expect("read").is_enabled(), Some(false));
    let _ = graph.change_security_defaults(&Document::new().with("isEnabled", true)).expect("switched");
    assert_eq!(graph.security_defaults().expect("read").is_enabled(), Some(true));
    let devices = graph.device_registration_policy().expect("read");
    assert_eq!(devices.join_mfa(), Some(JoinMfa::Required));
    let whole = devices.into_document().bare().with("multiFactorAuthConfiguration", "notRequired");
    let _ = graph.replace_device_registration_policy(&whole).expect("replaced");
    assert_eq!(graph.device_registration_policy().expect("read").join_mfa(), Some(JoinMfa::NotRequired));
    assert_eq!(graph.authorization_policy().expect("read").admins_reset_their_password(), Some(true));
    let change = Document::new().with("allowedToUseSSPR", false);
    let _ = graph.change_authorization_policy(&change).expect("changed");
    assert_eq!(graph.authorization_policy().expect("read").admins_reset_their_password(), Some(false));

    let (kim, five) = (id_of(&graph, "kim.o'reilly@contoso.example"), id_of(&graph, "p5@contoso.example"));
    let beta = graph.beta();
    let ghost = UserId::new("00000000-0000-4000-8000-000000000000");
    let all = beta.requirements_of(&[kim.clone(), five.clone(), ghost]).expect("read");
    let states: Vec<_> =
        all.iter().map(|one| one.as_ref().and_then(user_settings::Requirements::per_user_mfa)).collect();
    assert_eq!(states, [Some(PerUserMfa::Disabled), Some(PerUserMfa::Enforced), None]);
    let _ = beta.set_per_user_mfa(&five, &PerUserMfa::Disabled).expect("set");
    assert_eq!(beta.requirements(&five).expect("read").per_user_mfa(), Some(PerUserMfa::Disabled));
    let change = Document::new().with("userPreferredMethodForSecondaryAuthentication", "push");
    let _ = beta.change_sign_in_preferences(&kim, &change).expect("set");
    let preferences = beta.sign_in_preferences(&kim).expect("read");
    assert_eq!((preferences.preferred(), preferences.system_chooses()), (Some(SecondFactor::Push), Some(true)));

    let bought = graph.subscriptions().expect("read");
    assert!(bought.iter().any(|one| one.brings(ENTRA_P1)) && bought.iter().any(|one| one.brings(INTUNE)));
    assert!(bought.iter().any(|one| one.brings(ENTRA_P2) && one.left().is_some_and(|left| left > 0)));
    assert_eq!(graph.licences_of(&[kim]).expect("read")[0].as_ref().map(Vec::len), Some(0));
    assert_eq!(graph.organization().expect("read").verified_domains(), ["contoso.example", "fed.example"]);
    assert!(
        graph.domain("FED.example").expect("asked").is_some() && graph.domain("x.example").expect("asked").is_none()
    );
    assert_eq!(
        graph.federation("fed.example").expect("asked").expect("there").mfa_behaviour(),
        Some("acceptIfMfaDoneByFederatedIdp")
    );
    assert_eq!(graph.federation("contoso.example").expect("asked"), None);
    let admins = graph.role_assignments(GLOBAL_ADMINISTRATOR).expect("listed");
    assert_eq!((admins.len(), admins[0].is_group(), admins[0].is_tenant_wide()), (1, Some(false), true));
    assert_eq!(graph.roles_of(&UserId::new(admins[0].principal())).expect("read")[0].template(), GLOBAL_ADMINISTRATOR);
}

#[test]
fn conditional_access_is_asked_once_in_a_second_and_no_more() {
    let tenant = run(spec());
    let waits = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&waits);
    let graph = graph_with(&tenant, move |event| {
        if let GraphEvent::Pacing { wait, .. } = event {
            seen.lock().expect("waits").push(wait);
        }
    });
    for _ in 0..3 {
        tenant.advance(2);
        let _ = graph.named_locations().expect("listed");
    }
    assert_eq!(graph.counts().retries, 0);
    let waits = waits.lock().expect("waits").clone();
    assert_eq!(waits.len(), 2, "the first goes at once");
    assert!(waits.iter().all(|wait| *wait > Duration::from_millis(500) && *wait <= client::PACE), "{waits:?}");
}

/// What was refused, told to the operator.
struct Told {
    seen: BTreeSet<String>,
}

impl Told {
    fn is<T: std::fmt::Debug>(&mut self, tenant: &RunningTenant, what: Result<T, GraphError>, cause: &str, next: &str) {
        let error = what.expect_err(cause);
        let text = format!("{error}\n{}", error.next());
        assert!(error.cause().contains(cause), "{cause}: {text}");
        assert!(error.next().contains(next), "{next}: {text}");
        assert!(error.next().ends_with('.') && !error.fact().is_empty(), "{text}");
        for word in tenant.state()["policies"]["refused"].as_array().expect("words") {
            self.seen.insert(word.as_str().expect("a word").to_owned());
        }
    }
}

const LOOK: &str = "Read the policy again and compare";
const REPORT: &str = "report it";

#[test]
fn every_refusal_of_the_tenant_is_told_with_cause_and_remedy() {
    let mut told = Told { seen: BTreeSet::new() };
    the_methods_policy_refuses(&mut told);
    strengths_refuse(&mut told);
    places_and_policies_refuse(&mut told);
    the_tenant_refuses(&mut told);
    let all: BTreeSet<String> = reasons().into_iter().map(str::to_owned).collect();
    let missing: Vec<&String> = all.difference(&told.seen).collect();
    assert!(missing.is_empty(), "no message test for {missing:?}");
}

fn the_methods_policy_refuses(told: &mut Told) {
    let mut spec = pilot();
    spec.policies.most_profiles = 3;
    let tenant = run(spec);
    let graph = by_secret(&tenant);
    let change = |method: &Method, json: Value| graph.change_method_configuration(method, &document(json));
    let (fido2, pass) = (Method::Fido2, Method::TemporaryAccessPass);
    told.is(&tenant, change(&fido2, json!({"enabled": true})), "'enabled' does not exist on type", LOOK);
    told.is(&tenant, change(&fido2, json!({"state": "on"})), "'on' was not found", LOOK);
    told.is(&tenant, change(&pass, json!({"defaultLength": "8"})), "Cannot convert the literal '8'", LOOK);
    told.is(&tenant, change(&pass, json!({"defaultLength": 4})), "between 8 and 48", LOOK);
    told.is(&tenant, change(&pass, json!({"defaultLifetimeInMinutes": 500})), "between 60 and 480", LOOK);
    let wrong = json!({"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration"});
    told.is(&tenant, change(&fido2, wrong), "not assignable", LOOK);
    let stranger = "99999999-aaaa-4bbb-8ccc-000000000009";
    let target = json!({"includeTargets": [{"id": stranger, "targetType": "group"}]});
    told.is(&tenant, change(&pass, target), stranger, "groups and people it names must exist");
    let restrictions = json!({"keyRestrictions": {"isEnforced": true, "enforcementType": "allow", "aaGuids": ["5"]}});
    told.is(&tenant, change(&fido2, restrictions), "'5' is not a valid AAGUID", LOOK);

    let default = graph.method_configuration(&fido2).expect("read").document().at("/passkeyProfiles/0").clone();
    let with = |more: Value| {
        let mut list = vec![default.clone()];
        list.extend(more.as_array().cloned().unwrap_or_default());
        json!({ "passkeyProfiles": list })
    };
    told.is(&tenant, change(&fido2, json!({"passkeyProfiles": []})), "can't be deleted", "a passkey profile can't go");
    let mut renamed = default.clone();
    renamed["name"] = json!("Other");
    told.is(&tenant, change(&fido2, json!({"passkeyProfiles": [renamed]})), "can't be renamed", LOOK);
    told.is(&tenant, change(&fido2, with(json!([{"name": ""}]))), "needs a name", LOOK);
    told.is(&tenant, change(&fido2, with(json!([{"id": stranger, "name": "x"}]))), "sent without an id", LOOK);
    let three = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    told.is(&tenant, change(&fido2, with(three)), "exceeds the maximum of 3", LOOK);
    let both = json!([{"name": "a", "passkeyTypes": "synced", "attestationEnforcement": "registrationOnly"}]);
    told.is(&tenant, change(&fido2, with(both)), "don't support attestation", "synced passkeys can't be attested");
    let mut two_minds = with(json!([]));
    two_minds["isAttestationEnforced"] = json!(true);
    told.is(&tenant, change(&fido2, two_minds), "differ from the default passkey profile", LOOK);
    let many: Vec<String> = (0..700).map(|n| format!("{n:08x}-0000-4000-8000-000000000000")).collect();
    let large =
        json!([{"name": "a", "keyRestrictions": {"isEnforced": true, "enforcementType": "allow", "aaGuids": many}}]);
    told.is(&tenant, change(&fido2, with(large)), "exceeds the limit of 20480", LOOK);
    let _ = change(&fido2, with(json!([{"name": "Bench"}]))).expect("added");
    let id = graph.method_configuration(&fido2).expect("read").document().at("/passkeyProfiles/1/id").clone();
    let used = json!({"includeTargets": [{"id": PILOT, "targetType": "group", "allowedPasskeyProfiles": [id]}]});
    let _ = change(&fido2, used).expect("used");
    told.is(
        &tenant,
        change(&fido2, with(json!([]))),
        "in use by a target",
        "a passkey profile can't go while a target",
    );

    let root = |api, json: Value| graph.change_authentication_methods_policy(api, &document(json));
    let campaign =
        |json: Value| json!({"registrationEnforcement": {"authenticationMethodsRegistrationCampaign": json}});
    let none = campaign(json!({"snoozeDurationInDays": null}));
    told.is(&tenant, root(ApiVersion::V1, none), "does not allow null values", LOOK);
    let target = |method: &str| json!({"id": PILOT, "targetType": "group", "targetedAuthenticationMethod": method});
    let two = campaign(json!({"includeTargets": [target("fido2"), target("microsoftAuthenticator")]}));
    told.is(&tenant, root(ApiVersion::V1, two), "one authentication method only", LOOK);
    let beta = campaign(json!({"enforceRegistrationAfterAllowedSnoozes": true}));
    told.is(&tenant, root(ApiVersion::V1, beta.clone()), "'enforceRegistrationAfterAllowedSnoozes'", LOOK);
    let _ = root(ApiVersion::Beta, beta).expect("beta has it");
    let url = graph.url(ApiVersion::V1, "policies/authenticationMethodsPolicy?$select=id").expect("a URL");
    told.is(&tenant, graph.object(&Request::get(url, "x").needing(&rights::METHODS_READ)), "$select", REPORT);
}

fn strengths_refuse(told: &mut Told) {
    const OWN: &str = "at most fifteen";
    let tenant = run(pilot());
    let graph = by_secret(&tenant);
    told.is(&tenant, graph.delete_authentication_strength(MFA), "Built-in", "Built-in strengths can't be changed");
    let new = |json: Value| graph.create_authentication_strength(&document(json));
    let named = |name: &str, list: Value| json!({"displayName": name, "allowedCombinations": list});
    told.is(&tenant, new(named("x", json!(["fido2,password"]))), "'fido2,password' is not a combination", "legal");
    told.is(&tenant, new(named("x", json!([]))), "at least one combination", "legal");
    let mut limited = named("x", json!(["fido2"]));
    limited["combinationConfigurations"] = json!([{"@odata.type": "#microsoft.graph.fido2CombinationConfiguration", "allowedAAGUIDs": ["no"], "appliesToCombinations": ["fido2"]}]);
    told.is(&tenant, new(limited), "'no' is not a valid AAGUID", OWN);
    let mut untyped = named("x", json!(["fido2"]));
    untyped["combinationConfigurations"] = json!([{"appliesToCombinations": ["fido2"]}]);
    told.is(&tenant, new(untyped), "without a type name", REPORT);
    let url = graph.url(ApiVersion::V1, "policies/authenticationStrengthPolicies").expect("a URL");
    let list = Request::post(url, json!([1]), "make a strength").needing(&rights::STRENGTH_WRITE);
    told.is(&tenant, graph.object(&list), "Unable to read JSON", REPORT);
    let first = new(named("s0", json!(["fido2"]))).expect("made").value;
    let change = document(json!({"policyType": "builtIn"}));
    told.is(
        &tenant,
        graph.change_authentication_strength(first.id(), &change),
        "1001: 'policyType' is a readonly",
        REPORT,
    );
    for n in 1..15 {
        let _ = new(named(&format!("s{n}"), json!(["fido2"]))).expect("made");
    }
    told.is(&tenant, new(named("s15", json!(["fido2"]))), "maximum of 15", OWN);
    let policy =
        access("uses it", json!({"/grantControls": {"operator": "OR", "authenticationStrength": {"id": first.id()}}}));
    let _ = graph.create_conditional_access_policy(&policy).expect("made");
    told.is(&tenant, graph.delete_authentication_strength(first.id()), "'uses it'", "one that a policy demands");
}

fn places_and_policies_refuse(told: &mut Told) {
    let mut spec = pilot();
    let map = |json: Value| json.as_object().expect("an object").clone();
    spec.policies.access = (0..239).map(|n| access(&format!("p{n}"), json!({})).members().clone()).collect();
    spec.policies.locations = vec![map(json!({"id": "44444444-dddd-4eee-8fff-000000000004", "displayName": "Office",
        "@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": true,
        "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}]}))];
    let tenant = run(spec);
    let graph = by_secret(&tenant);
    let place = |json: Value| graph.create_named_location(&document(json));
    let country = |code: &str| json!({"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "x", "countriesAndRegions": [code]});
    told.is(&tenant, place(country("nl")), "'nl' is not a two-letter", "two capital letters");
    let range = |text: &str| json!({"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": text});
    let ranges = |list: Vec<Value>| json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "x", "ipRanges": list});
    for (text, why) in [
        ("x", "CIDR notation"),
        ("10.1.0.0/16", "private"),
        ("20.0.0.0/7", "too large"),
        ("2001:db8::/64", "type of its range"),
    ] {
        told.is(&tenant, place(ranges(vec![range(text)])), why, "address ranges are public");
    }
    told.is(&tenant, place(ranges(vec![range("203.0.113.0/24"); 2001])), "2000 ranges at most", "address ranges");
    told.is(
        &tenant,
        graph.delete_named_location("44444444-dddd-4eee-8fff-000000000004"),
        "marked as trusted",
        "unmarked",
    );
    let home = place(country("NL")).expect("made").value;
    let untyped = document(json!({"countriesAndRegions": ["BE"]}));
    told.is(&tenant, graph.change_named_location(home.id(), &untyped), "'@odata.type'", REPORT);

    let make = |more: Value| graph.create_conditional_access_policy(&access("new", more));
    let at_home = make(json!({"/conditions/locations": {"includeLocations": [home.id()]}})).expect("the 240th").value;
    told.is(&tenant, graph.delete_named_location(home.id()), "'new'", "nor one that a policy names");
    told.is(&tenant, make(json!({})), "maximum of 240", "must exist");
    let _ = graph.delete_conditional_access_policy(at_home.id()).expect("room again");
    told.is(&tenant, graph.conditional_access_policy(at_home.id()), "could not be found", "Check the name or id");
    let ghost = "99999999-aaaa-4bbb-8ccc-000000000009";
    told.is(&tenant, make(json!({"/conditions/users/includeGroups": [ghost]})), ghost, "that it names must exist");
    let strength = json!({"operator": "OR", "authenticationStrength": {"id": ghost}});
    told.is(&tenant, make(json!({"/grantControls": strength})), ghost, "that it names must exist");
    told.is(&tenant, make(json!({"/conditions/users": {"includeUsers": []}})), "MissingUsers", "must exist");
    let both = json!({"includeApplications": ["All"], "includeUserActions": [REGISTER_SECURITY_INFO]});
    told.is(&tenant, make(json!({"/conditions/applications": both})), "can't be combined", "about one user action");
    told.is(&tenant, make(json!({"/conditions/applications": {}})), "MissingApplications", "about one user action");
    let two = json!({"operator": "OR", "builtInControls": ["mfa"], "authenticationStrength": {"id": MFA}});
    told.is(&tenant, make(json!({"/grantControls": two})), "mfa and an authentication strength", "block");
    told.is(
        &tenant,
        make(json!({"/grantControls/builtInControls": ["block", "mfa"]})),
        "block can't be combined",
        "stands alone",
    );
    told.is(&tenant, make(json!({"/grantControls": null})), "MissingControls", "block");
    let whole = json!({"operator": "OR", "authenticationStrength": {"id": MFA, "displayName": "x"}});
    told.is(&tenant, make(json!({"/grantControls": whole})), "by its id alone", REPORT);
    let device = json!({"/conditions/applications": {"includeUserActions": [REGISTER_DEVICE]}, "/grantControls/builtInControls": ["compliantDevice"]});
    told.is(&tenant, make(device), "InvalidDeviceRegistration", "must exist");
}

fn the_tenant_refuses(told: &mut Told) {
    let mut on = pilot();
    on.policies.security_defaults = true;
    let tenant = run(on);
    let graph = by_secret(&tenant);
    let policy = access("new", json!({"/state": "enabled"}));
    told.is(
        &tenant,
        graph.create_conditional_access_policy(&policy),
        "Security defaults are enabled",
        "security defaults must be off",
    );
    let mut used = pilot();
    used.policies.access = vec![policy.members().clone()];
    let tenant = run(used);
    let change = Document::new().with("isEnabled", true);
    told.is(
        &tenant,
        by_secret(&tenant).change_security_defaults(&change),
        "while Conditional Access",
        "switch one of them off",
    );
    let whole = by_secret(&tenant).replace_device_registration_policy(&Document::new().with("userDeviceQuota", 5));
    told.is(&tenant, whole, "replaced as a whole", "replaced whole");

    let mut poor = pilot();
    poor.licences = Vec::new();
    let tenant = run(poor);
    let graph = by_secret(&tenant);
    told.is(
        &tenant,
        graph.create_conditional_access_policy(&policy),
        "has no Microsoft Entra ID P1",
        "Policy.Read.All",
    );

    let mut weak = pilot();
    weak.app.permissions = vec!["Policy.Read.AuthenticationMethod".to_owned()];
    let tenant = run(weak);
    let graph = by_secret(&tenant);
    let change = Document::new().with("state", "enabled");
    let refused = graph.change_method_configuration(&Method::Sms, &change);
    told.is(&tenant, refused, "Authentication Policy Administrator", "Grant Policy.ReadWrite.AuthenticationMethod");
    told.is(&tenant, graph.conditional_access_policies(), "lacks Policy.Read.All", "Grant Policy.Read.All");
    told.is(&tenant, graph.subscriptions(), "lacks LicenseAssignment.Read.All", "Grant LicenseAssignment.Read.All");
    let requirements = graph.beta().requirements_of(&[UserId::new("x")]);
    told.is(&tenant, requirements, "lacks Policy.Read.All", "admin consent");

    let mut busy = spec();
    busy.policies.access_per_second = 1;
    let tenant = run(busy);
    let graph = graph_with(&tenant, |_| {});
    let _ = graph.named_locations().expect("the first");
    let url = graph.url(ApiVersion::V1, "identity/conditionalAccess/policies").expect("a URL");
    let answer = graph.exchange_once_for_test(&Request::get(url, "list the policies"));
    told.is(&tenant, answer, "request allowance", "Wait a few minutes");
}

#[test]
fn a_document_keeps_what_nobody_knows_on_its_way_through() {
    let tenant = run(pilot());
    let graph = by_secret(&tenant);
    let read = graph.method_configuration(&Method::X509Certificate).expect("read");
    // Details that no lens of ours knows.
    assert_eq!(read.document().text("/crlValidationConfiguration/state"), Some("disabled"));
    let _ =
        graph.change_method_configuration(&Method::X509Certificate, &read.document().bare()).expect("taken back whole");
    let again = graph.method_configuration(&Method::X509Certificate).expect("read");
    assert_eq!(again.document().bare(), read.document().bare());
}
