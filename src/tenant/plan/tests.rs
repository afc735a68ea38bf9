//! What is planned, area by area, and that a plan carried out leaves nothing to plan.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::ledger::Ledger;
use crate::model::{Aaguid, TenantId, UserId};
use crate::tenant::apply::{Applied, ApplyError, Hand, Step};
use crate::tenant::export::export;
use crate::tenant::names::Entry;
use crate::tenant::people::{Held, Person};
use crate::tenant::preset::{Pilot, pilot};
use crate::tenant::reach::Tried;
use crate::tenant::resource::Kind;
use crate::tenant::testing::{InMemory, fixture, ledger};

mod carrying_out;
mod lockout;

const KEYS: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const GLASS: &str = "11111111-aaaa-4bbb-8ccc-0000000000b6";
const OTHERS: &str = "11111111-aaaa-4bbb-8ccc-000000000009";
const YUBI: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";
const OTHER_KEY: &str = "ee882879-721c-4913-9775-3dfcce97072a";
const GLASS_HEAD: &str = "[break_glass]\ngroups = [\"Break glass\"]\n";

fn names() -> Names {
    let mut names = Names::default();
    for (name, id) in [("Keys", KEYS), ("Break glass", GLASS), ("Others", OTHERS)] {
        names.add_group(name, Entry { id: id.into(), name: name.into() });
        names.add_group(id, Entry { id: id.into(), name: name.into() });
    }
    names
}

fn key(aaguid: &str) -> Held {
    Held::Passkey { aaguid: Aaguid::parse(aaguid).expect("an AAGUID"), label: "a key".into() }
}

fn person(name: &str, groups: &[&str], methods: Vec<Held>) -> Person {
    Person {
        id: format!("id-of-{name}"),
        name: name.into(),
        groups: groups.iter().map(|id| (*id).to_owned()).collect(),
        roles: BTreeSet::new(),
        used_key: methods.iter().any(|one| matches!(one, Held::Passkey { .. })),
        methods: Some(methods),
    }
}

fn people(list: Vec<Person>) -> People {
    People { list, scope: "some".into(), uses_told: true, ..People::default() }
}

fn read(text: &str) -> Desired {
    Desired::read(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn planned(tenant: &InMemory, text: &str, people: &People) -> Plan {
    plan(&read(text), &names(), &tenant.tenant.borrow(), people).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn wrong(tenant: &InMemory, text: &str) -> Vec<String> {
    let problems = plan(&read(text), &names(), &tenant.tenant.borrow(), &People::default()).expect_err("wrong");
    problems.iter().map(ToString::to_string).collect()
}

fn body(change: &Change) -> Value {
    change.act.body().expect("a body")
}

/// Carries a plan out; what-if agrees with everything.
fn carry_out(tenant: &InMemory, kept: &dyn Ledger, plan: &Plan, id: &str) -> Result<Applied, ApplyError> {
    let watch = |_: Step<'_>| {};
    let mut current = tenant.tenant.borrow().clone();
    hand(tenant, kept, &watch).carry_out(plan, &mut current, id)
}

fn hand<'a>(tenant: &'a InMemory, ledger: &'a dyn Ledger, watch: &'a dyn Fn(Step<'_>)) -> Hand<'a> {
    Hand {
        reach: tenant,
        ledger,
        tenant: TenantId::new("t"),
        operator: "operator".into(),
        account: "account".into(),
        break_glass: Vec::new(),
        watch,
    }
}

/// What-if agrees with every policy of the preset, except where it should be spared.
fn agree(tenant: &InMemory) {
    let tried =
        |name: &str| Tried { id: String::new(), name: name.into(), applies: true, blocks: false, reasons: vec![] };
    *tenant.what_if.borrow_mut() = vec![
        tried("keybench: registering needs passwordless or a pass"),
        tried("keybench: joining a device needs passwordless or a pass"),
        tried("keybench: no registration from other countries"),
    ];
}

#[test]
fn a_method_is_switched_with_its_type_and_nothing_that_stays() {
    let tenant = InMemory::new(&fixture("legacy"));
    let plan = planned(
        &tenant,
        "[temporary_access_pass]\nstate = \"on\"\ninclude = [\"Keys\"]\nminutes = 60\n",
        &People::default(),
    );
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(
        plan.changes[0].act.call(),
        "PATCH /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryaccesspass"
    );
    assert_eq!(
        body(&plan.changes[0]),
        json!({
            "state": "enabled", "includeTargets": [{"id": KEYS, "targetType": "group", "isRegistrationRequired": false}],
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
        })
    );
    assert!(
        planned(&tenant, "[temporary_access_pass]\nstate = \"off\"\nminutes = 60\n", &People::default()).is_empty()
    );
    let told = wrong(&tenant, "[temporary_access_pass]\nminutes = 600\n");
    assert!(told[0].starts_with("2:11: temporary_access_pass.minutes: with what the tenant has"), "{told:?}");
}

#[test]
fn a_new_profile_is_made_first_and_pointed_at_afterwards() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text = format!(
        "[fido2]\n[[fido2.profile]]\nname = \"New\"\nkeys = \"only\"\naaguids = [\"{YUBI}\"]\nfor = [\"Others\"]\n"
    );
    let plan = planned(&tenant, &text, &People::default());
    assert_eq!(plan.changes.len(), 2);
    let first = body(&plan.changes[0]);
    let profiles = first["passkeyProfiles"].as_array().expect("profiles");
    assert_eq!(profiles.len(), 3, "one that is left out would be deleted");
    assert!(profiles[2]["id"].is_null() && first["includeTargets"].is_null());
    let second = body(&plan.changes[1]);
    assert!(second["passkeyProfiles"].is_null());
    assert_eq!(second["includeTargets"][2]["allowedPasskeyProfiles"], json!(["$profile:new"]));
    carry_out(&tenant, &ledger(), &plan, "A").expect("carried out");
    let policy = tenant.tenant.borrow().method("fido2").cloned().expect("there");
    let made = policy["passkeyProfiles"][2]["id"].clone();
    assert_eq!(policy["includeTargets"][2]["allowedPasskeyProfiles"], json!([made]));
    assert!(planned(&tenant, &text, &People::default()).is_empty());
}

#[test]
fn a_profile_goes_only_when_it_is_named_and_nobody_may_use_it() {
    let tenant = InMemory::new(&fixture("profiles"));
    let told = wrong(&tenant, "[fido2]\nremove_profiles = [\"bench security keys\"]\n");
    assert!(told[0].contains("Keys may still use this profile"), "{told:?}");
    let text = "[fido2]\ninclude = [\"all\"]\nremove_profiles = [\"Bench security keys\"]\n";
    let plan = planned(&tenant, text, &People::default());
    assert_eq!(plan.changes.len(), 2, "first nobody is pointed at it, then it goes");
    assert_eq!(body(&plan.changes[1])["passkeyProfiles"].as_array().map(Vec::len), Some(1));
    let told = wrong(&tenant, "[fido2]\nremove_profiles = [\"Default passkey profile\"]\n");
    assert!(told[0].contains("can't be deleted"), "{told:?}");
}

#[test]
fn a_tenant_without_profiles_takes_one_set_of_rules() {
    let tenant = InMemory::new(&fixture("legacy"));
    let one = format!(
        "[fido2]\nstate = \"on\"\nself_service = true\n[[fido2.profile]]\nname = \"Keys\"\nattestation = \"required\"\nkeys = \"only\"\naaguids = [\"{YUBI}\"]\nfor = [\"Keys\"]\n"
    );
    let plan = planned(&tenant, &one, &People::default());
    let sent = body(&plan.changes[0]);
    assert_eq!(sent["isAttestationEnforced"], true);
    assert_eq!(sent["keyRestrictions"], json!({"isEnforced": true, "enforcementType": "allow", "aaGuids": [YUBI]}));
    assert!(sent["passkeyProfiles"].is_null() && plan.effects.cautions[0].contains("October 2027"));
    let told = wrong(&tenant, &format!("{one}[[fido2.profile]]\nname = \"Second\"\n"));
    assert!(told[0].contains("no passkey profiles yet"), "{told:?}");
}

#[test]
fn beta_is_asked_only_for_what_beta_alone_has() {
    let tenant = InMemory::new(&fixture("new"));
    let text = "[hardware_oath]\nstate = \"on\"\n[system_preferred]\nstate = \"on\"\n[registration_campaign]\nsnooze_days = 3\n";
    let plan = planned(&tenant, text, &People::default());
    let beta: Vec<(&str, bool)> = plan.changes.iter().map(|change| (change.area, change.act.is_beta())).collect();
    assert_eq!(beta, [("hardware-oath", true), ("registration-campaign", false), ("system-preferred", true)]);
    let forced = planned(&tenant, "[registration_campaign]\nforced = true\n", &People::default());
    assert!(forced.changes[0].act.is_beta());
}

/// Nothing that a tenant answers makes a plan panic.
#[test]
fn a_campaign_s_targets_that_are_none_are_left_as_they_are() {
    let tenant = InMemory::new(&fixture("new"));
    let mut policy = tenant.tenant.borrow().get(&Resource::Policy).expect("a policy").clone();
    let strange = json!(["x", 7, { "id": "all_users", "targetType": "group" }]);
    policy["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"]["includeTargets"] = strange;
    tenant.tenant.borrow_mut().set(Resource::Policy, policy);
    let plan = planned(&tenant, "[registration_campaign]\nask_for = \"passkey\"\n", &People::default());
    let body = body(&plan.changes[0]);
    let targets = &body["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"]["includeTargets"];
    assert_eq!((&targets[0], &targets[1]), (&json!("x"), &json!(7)));
    assert_eq!(targets[2]["targetedAuthenticationMethod"], "fido2");
}

#[test]
fn who_is_locked_out_by_a_tighter_list_is_named() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text =
        format!("[[fido2.profile]]\nname = \"Bench security keys\"\nkeys = \"only\"\naaguids = [\"{OTHER_KEY}\"]\n");
    let everybody = people(vec![
        person("kim", &[KEYS], vec![key(YUBI), Held::Password]),
        person("lee", &[KEYS], vec![key(YUBI), key(OTHER_KEY)]),
        person("sam", &[], vec![key(OTHER_KEY)]),
    ]);
    // Everybody may use the default profile as well, which takes any key: nobody is locked out.
    assert_eq!(planned(&tenant, &format!("[fido2]\n{text}"), &everybody).locked_out(), 0);
    let plan = planned(&tenant, &format!("[fido2]\ninclude = [\"Keys\"]\n{text}"), &everybody);
    let told: Vec<(Weight, Vec<String>)> =
        plan.effects.on_people.iter().map(|one| (one.weight, one.people.clone())).collect();
    assert_eq!(
        told,
        [
            (Weight::LockedOut, vec!["kim".to_owned()]),
            (Weight::LockedOut, vec!["sam".to_owned()]),
            (Weight::Loses, vec!["lee".to_owned()])
        ]
    );
    assert!(plan.effects.on_people[0].what.contains("does not list this model"), "{:?}", plan.effects);
    assert_eq!(plan.locked_out(), 2);
}

#[test]
fn who_has_nothing_but_what_is_switched_off_is_named() {
    let mut policy = fixture("profiles");
    policy["authenticationMethodConfigurations"][4]["state"] = json!("enabled");
    let tenant = InMemory::new(&policy);
    let everybody = people(vec![
        person("kim", &[], vec![Held::Password, Held::Phone]),
        person("lee", &[], vec![Held::Phone, key(YUBI)]),
        person("sam", &[], vec![key(YUBI)]),
    ]);
    let plan = planned(&tenant, "[sms]\nstate = \"off\"\n", &everybody);
    let told: Vec<(Weight, &str)> =
        plan.effects.on_people.iter().map(|one| (one.weight, one.people[0].as_str())).collect();
    assert_eq!(told, [(Weight::LockedOut, "kim"), (Weight::Loses, "lee")], "{:?}", plan.effects);
}

const ACCESS: &str = "[[strength]]\nname = \"Pass or key\"\nallow = [\"fido2\", \"temporaryAccessPassOneTime\"]\n\
    [[location]]\nname = \"Countries\"\ncountries = [\"NL\"]\n\
    [[conditional_access]]\nname = \"Register\"\non = \"register-security-info\"\nstrength = \"Pass or key\"\ninclude = [\"Keys\"]\noutside = [\"Countries\"]\n\
    [[conditional_access]]\nname = \"MFA\"\non = \"sign-in\"\napps = [\"all\"]\ndemand = \"mfa\"\ninclude = [\"all\"]\nexclude = [\"guests\"]\n";

#[test]
fn policies_are_made_in_order_spare_break_glass_and_begin_safely() {
    let tenant = InMemory::new(&fixture("profiles"));
    let plan = planned(&tenant, &format!("{GLASS_HEAD}{ACCESS}"), &People::default());
    let calls: Vec<String> = plan.changes.iter().map(|change| change.act.call()).collect();
    assert_eq!(
        calls,
        [
            "POST /v1.0/identity/conditionalAccess/namedLocations",
            "POST /v1.0/policies/authenticationStrengthPolicies",
            "POST /v1.0/identity/conditionalAccess/policies",
            "PATCH /v1.0/identity/conditionalAccess/policies/$access:register",
            "POST /v1.0/identity/conditionalAccess/policies",
        ]
    );
    let register = body(&plan.changes[2]);
    assert_eq!(register["state"], "disabled", "made off, then tried");
    assert_eq!(register["conditions"]["users"]["excludeGroups"], json!([GLASS]));
    assert_eq!(
        register["conditions"]["locations"],
        json!({"includeLocations": ["All"], "excludeLocations": ["$location:countries"]})
    );
    assert_eq!(register["grantControls"]["authenticationStrength"], json!({"id": "$strength:pass or key"}));
    let gate = plan.changes[3].gate.as_ref().expect("a gate");
    assert_eq!(
        (gate.groups.as_slice(), &gate.spared),
        ([KEYS.to_owned()].as_slice(), &Some(Spot::Country("NL".into())))
    );
    let all = body(&plan.changes[4]);
    assert_eq!(all["state"], "enabledForReportingButNotEnforced");
    assert_eq!(all["conditions"]["users"]["excludeUsers"], json!(["GuestsOrExternalUsers"]));
}

/// What-if says this of the policy that is being tried.
fn says(tenant: &InMemory, applies: bool) {
    let reasons = if applies { vec![] } else { vec!["users".to_owned()] };
    *tenant.what_if.borrow_mut() =
        vec![Tried { id: String::new(), name: "Register".into(), applies, blocks: false, reasons }];
}

#[test]
fn a_policy_for_registering_is_switched_on_only_when_what_if_agrees() {
    let text = format!("{GLASS_HEAD}{}", ACCESS.replace("outside = [\"Countries\"]\n", ""));
    let tenant = InMemory::new(&fixture("profiles"));
    says(&tenant, false);
    let kept = ledger();
    let applied = carry_out(&tenant, &kept, &planned(&tenant, &text, &People::default()), "A").expect("carried out");
    assert_eq!(applied.held.len(), 1);
    assert!(applied.held[0].1.contains("would not apply to"), "{applied:?}");
    let state = |tenant: &InMemory| {
        tenant.tenant.borrow().named(Kind::Access, "register").first().map(|(_, one)| one["state"].clone())
    };
    assert_eq!(state(&tenant), Some(json!("disabled")));
    says(&tenant, true);
    let again = planned(&tenant, &text, &People::default());
    assert_eq!(again.changes.len(), 1, "only the switch is left");
    let applied = carry_out(&tenant, &kept, &again, "B").expect("carried out");
    assert_eq!((applied.held.len(), state(&tenant)), (0, Some(json!("enabled"))));
    // The break-glass account would be hit: it stays off whatever else is said.
    let other = InMemory::new(&fixture("profiles"));
    says(&other, true);
    let watch = |_: Step<'_>| {};
    let mut hand = hand(&other, &kept, &watch);
    hand.break_glass = vec![UserId::new("glass")];
    let plan = planned(&other, &text, &People::default());
    let mut current = other.tenant.borrow().clone();
    let applied = hand.carry_out(&plan, &mut current, "C").expect("carried out");
    assert!(applied.held[0].1.contains("break-glass account glass"), "{applied:?}");
}

#[test]
fn a_phishing_resistant_policy_spares_who_has_not_used_a_key_and_names_who_can_not_satisfy_it() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text = |only: bool, state: &str| {
        format!(
            "{GLASS_HEAD}[[conditional_access]]\nname = \"Strong\"\non = \"sign-in\"\napps = [\"all\"]\nstrength = \"phishing-resistant\"\ninclude = [\"Keys\"]\nkey_users_only = {only}\nstate = \"{state}\"\n"
        )
    };
    let mut everybody = people(vec![
        person("kim", &[KEYS], vec![key(YUBI)]),
        person("lee", &[KEYS], vec![Held::Password, Held::Phone]),
        person("out", &[], vec![Held::Password]),
    ]);
    let plan = planned(&tenant, &text(false, "on"), &everybody);
    assert_eq!(plan.effects.on_people[0].people, ["lee"]);
    assert_eq!((plan.effects.on_people[0].weight, plan.locked_out()), (Weight::LockedOut, 1));
    assert_eq!(planned(&tenant, &text(false, "report-only"), &everybody).locked_out(), 0);
    let plan = planned(&tenant, &text(true, "on"), &everybody);
    assert_eq!(body(&plan.changes[0])["conditions"]["users"]["excludeUsers"], json!(["id-of-lee"]));
    assert!(
        plan.effects.cautions.iter().any(|one| one.contains("lee")) && plan.effects.on_people.is_empty(),
        "{plan:?}"
    );
    carry_out(&tenant, &ledger(), &plan, "A").expect("carried out");
    everybody.list[1].used_key = true;
    let plan = planned(&tenant, &text(true, "on"), &everybody);
    assert_eq!(body(&plan.changes[0])["conditions"]["users"]["excludeUsers"], json!([]), "taken in once they have");
}

#[test]
fn what_a_policy_has_beside_what_the_file_says_is_sent_back() {
    let tenant = InMemory::new(&fixture("profiles"));
    let id = "77777777-0000-4000-8000-000000000001";
    tenant.tenant.borrow_mut().set(
        Resource::Access(id.into()),
        json!({
            "id": id, "displayName": "MFA", "state": "enabled", "newMember": 1, "sessionControls": {"signInFrequency": {"value": 1}},
            "conditions": {
                "clientAppTypes": ["all"], "insiderRiskLevels": null, "newCondition": {"x": 1},
                "applications": {"includeApplications": ["All"], "excludeApplications": ["app"]},
                "users": {"includeUsers": ["All"], "excludeUsers": ["user"], "includeGroups": [], "excludeGroups": []},
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"], "termsOfUse": ["terms"], "authenticationStrength": null},
        }),
    );
    let text = format!(
        "{GLASS_HEAD}[[conditional_access]]\nname = \"mfa\"\non = \"sign-in\"\napps = [\"all\"]\ndemand = \"mfa\"\ninclude = [\"all\"]\nstate = \"on\"\n"
    );
    let plan = planned(&tenant, &text, &People::default());
    let sent = body(&plan.changes[0]);
    assert_eq!(
        sent.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["conditions".to_owned()])
    );
    assert_eq!(sent["conditions"]["newCondition"], json!({"x": 1}));
    assert_eq!(sent["conditions"]["applications"]["excludeApplications"], json!(["app"]));
    assert_eq!(sent["conditions"]["users"]["excludeUsers"], json!(["user"]), "no exclude in the file: as it is");
    assert_eq!(sent["conditions"]["users"]["excludeGroups"], json!([GLASS]));
}

#[test]
fn a_strength_is_changed_by_its_own_calls() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text =
        |allow: &str, models: &str| format!("[[strength]]\nname = \"Mine\"\nallow = [{allow}]\naaguids = [{models}]\n");
    let kept = ledger();
    let mut number = 0;
    for (allow, models, calls) in [
        ("\"fido2\"", "", 1),
        ("\"fido2\", \"password, hardwareOath\"", &*format!("\"{YUBI}\""), 2),
        ("\"fido2\", \"password,hardwareOath\"", &*format!("\"{OTHER_KEY}\""), 1),
        ("\"fido2\", \"password,hardwareOath\"", "", 1),
        ("\"password,hardwareOath\", \"fido2\"", "", 0),
    ] {
        let plan = planned(&tenant, &text(allow, models), &People::default());
        assert_eq!(plan.changes.len(), calls, "{allow} {models}");
        number += 1;
        carry_out(&tenant, &kept, &plan, &format!("S{number}")).expect("carried out");
        assert!(planned(&tenant, &text(allow, models), &People::default()).is_empty(), "{allow} {models}");
    }
    let told = wrong(
        &tenant,
        &format!(
            "{GLASS_HEAD}[[conditional_access]]\nname = \"x\"\non = \"sign-in\"\napps = [\"all\"]\nstrength = \"Nobody's\"\ninclude = [\"all\"]\n"
        ),
    );
    assert!(told[0].contains("neither in the tenant nor in this file"), "{told:?}");
}

#[test]
fn settings_of_people_are_planned_for_who_differs() {
    let tenant = InMemory::new(&fixture("profiles"));
    for (name, state) in [("kim", "disabled"), ("lee", "enforced")] {
        tenant
            .tenant
            .borrow_mut()
            .set(Resource::Mfa(format!("id-of-{name}")), json!({"perUserMfaState": state, "new": 1}));
    }
    let everybody =
        people(vec![person("kim", &[KEYS], vec![]), person("lee", &[KEYS], vec![]), person("out", &[], vec![])]);
    let plan = planned(&tenant, "[per_person]\npeople = [\"Keys\"]\nmfa = \"disabled\"\n", &everybody);
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].act.call(), "PATCH /beta/users/id-of-lee/authentication/requirements");
    assert_eq!(body(&plan.changes[0]), json!({"perUserMfaState": "disabled"}));
}

// Export.

#[test]
fn planning_what_was_exported_changes_nothing() {
    for name in ["profiles", "legacy", "new"] {
        let tenant = InMemory::new(&fixture(name));
        exported(&tenant, name);
    }
    // With everything that a preset makes.
    let glass = ["Break glass".to_owned()];
    let text = pilot(&Pilot { group: "Keys", break_glass: &glass, countries: &["NL".to_owned()], ..Pilot::default() });
    let tenant = InMemory::new(&fixture("profiles"));
    agree(&tenant);
    carry_out(&tenant, &ledger(), &planned(&tenant, &text, &People::default()), "A").expect("carried out");
    let text = exported(&tenant, "preset");
    for wanted in [
        "[break_glass]",
        "name = \"Passwordless or pass\"",
        "strength = \"phishing-resistant\"",
        "countries = [\"NL\"]",
        "# Keys",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("Left as it is"), "{text}");
}

fn exported(tenant: &InMemory, why: &str) -> String {
    let text = export(&tenant.tenant.borrow(), &names(), &[], "2026-09-01");
    let plan = planned(tenant, &text, &People::default());
    assert!(plan.is_empty(), "{why}: {:#?}\n{text}", plan.changes);
    text
}

#[test]
fn what_a_file_can_not_say_stands_in_it_as_a_comment() {
    let mut policy = fixture("profiles");
    policy["authenticationMethodConfigurations"][0]["state"] = json!("somethingNew");
    policy["authenticationMethodConfigurations"][0]["passkeyProfiles"][1]["passkeyTypes"] = json!("deviceBound,lunar");
    let tenant = InMemory::new(&policy);
    tenant.tenant.borrow_mut().set(
        Resource::Access("a1".into()),
        json!({"id": "a1", "displayName": "Odd", "state": "enabled", "conditions": {"users": {"includeRoles": ["r"]}, "applications": {"includeApplications": ["All"]}},
            "grantControls": {"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]}}),
    );
    let text = exported(&tenant, "odd");
    assert!(text.contains("# state: the tenant says \"somethingNew\"") && text.contains("deviceBound,lunar"), "{text}");
    assert!(text.contains("# Left as it is") && text.contains("# name = \"Odd\""), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is wanted of methods: once it is carried out, nothing is left to plan, and what was exported plans nothing.
    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(
        base in prop::sample::select(vec!["profiles", "legacy", "new"]),
        lines in prop::collection::btree_set(prop::sample::select(vec![
            "[sms]\nstate = \"on\"\ninclude = [\"Keys\", \"Others\"]\n",
            "[voice]\nexclude = [\"Keys\"]\n",
            "[email]\nstate = \"off\"\n",
            "[hardware_oath]\nstate = \"on\"\ninclude = [\"Keys\"]\n",
            "[authenticator]\nmode = \"passwordless\"\ncodes = false\n",
            "[temporary_access_pass]\nstate = \"on\"\nleast_minutes = 30\nminutes = 45\nmost_minutes = 50\none_time = true\n",
            "[registration_campaign]\nstate = \"on\"\nask_for = \"passkey\"\ninclude = [\"Keys\"]\n",
            "[system_preferred]\nstate = \"off\"\nexclude = [\"Others\"]\n",
            "[[location]]\nname = \"Office\"\nranges = [\"203.0.113.0/24\", \"2001:db8::/64\"]\ntrusted = true\n",
            "[[strength]]\nname = \"Own\"\nallow = [\"fido2\"]\naaguids = [\"2fc0579f-8113-47ea-b116-bb5a8db9202a\"]\n",
            "[fido2]\nstate = \"on\"\ninclude = [\"Keys\"]\n[[fido2.profile]]\nname = \"Default passkey profile\"\nkeys = \"except\"\naaguids = [\"ee882879-721c-4913-9775-3dfcce97072a\"]\nfor = [\"Others\"]\n",
        ]), 0..11),
    ) {
        let tenant = InMemory::new(&fixture(base));
        let text: String = lines.iter().copied().collect();
        let plan = planned(&tenant, &text, &People::default());
        carry_out(&tenant, &ledger(), &plan, "P").expect("carried out");
        let again = planned(&tenant, &text, &People::default());
        prop_assert!(again.is_empty(), "{:#?}", again.changes);
        exported(&tenant, base);
    }
}
