//! Who is locked out, who can't be counted, and what is asked before a policy acts.

use super::*;
use crate::tenant::plan::{Meets, View};

const ME: &str = "id-of-me";
const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

fn sign_in(name: &str, more: &str) -> String {
    format!("{GLASS_HEAD}[[conditional_access]]\nname = \"{name}\"\non = \"sign-in\"\napps = [\"all\"]\n{more}\n")
}

/// A policy that is in the tenant, with these conditions beside users and apps.
fn there(tenant: &InMemory, state: &str, grant: &Value, more: &Value) {
    let mut conditions = json!({
        "clientAppTypes": ["all"], "applications": {"includeApplications": ["All"], "excludeApplications": []},
        "users": {"includeUsers": ["All"], "excludeUsers": [], "includeGroups": [], "excludeGroups": [GLASS]},
    });
    for (name, value) in more.as_object().expect("an object") {
        conditions[name] = value.clone();
    }
    let policy =
        json!({"id": "p1", "displayName": "There", "state": state, "conditions": conditions, "grantControls": grant});
    tenant.tenant.borrow_mut().set(Resource::Access("p1".into()), policy);
}

fn demand(control: &str) -> Value {
    json!({"operator": "OR", "builtInControls": [control], "authenticationStrength": null})
}

fn strength(id: &str) -> Value {
    json!({"operator": "OR", "builtInControls": [], "authenticationStrength": {"id": id}})
}

fn two() -> People {
    people(vec![
        person("kim", &[KEYS], vec![key(YUBI), Held::Password]),
        person("lee", &[KEYS], vec![Held::Password, Held::Phone]),
    ])
}

fn counts(plan: &Plan) -> (usize, usize) {
    (plan.locked_out(), plan.effects.uncounted.len())
}

#[test]
fn a_block_locks_out_everybody_it_is_for() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text = sign_in("Shut", "demand = \"block\"\ninclude = [\"all\"]\nstate = \"on\"");
    let plan = planned(&tenant, &text, &two());
    assert_eq!(counts(&plan), (2, 1), "{:#?}", plan.effects);
    assert!(plan.effects.on_people[0].what.contains("blocks them"), "{:?}", plan.effects);
    assert!(plan.effects.uncounted[0].contains("Shut would be for everybody"), "{:?}", plan.effects);
    // Reported only, it locks nobody out.
    assert_eq!(counts(&planned(&tenant, &text.replace("\"on\"", "\"report-only\""), &two())), (0, 0));
}

#[test]
fn a_policy_that_grows_locks_out_whoever_can_not_satisfy_it() {
    let text =
        |more: &str| sign_in("There", &format!("demand = \"block\"\ninclude = [\"Keys\"]\nstate = \"on\"\n{more}"));
    let keys = json!({"includeUsers": [], "excludeUsers": [], "includeGroups": [KEYS], "excludeGroups": [GLASS]});
    for (what, was, wanted) in [
        ("as it is", json!({"users": keys}), (0, 0)),
        ("more apps", json!({"users": keys, "applications": {"includeApplications": ["one"]}}), (2, 1)),
        ("more clients", json!({"users": keys, "clientAppTypes": ["browser"]}), (0, 0)),
    ] {
        let tenant = InMemory::new(&fixture("profiles"));
        there(&tenant, "enabled", &demand("block"), &was);
        let plan = planned(&tenant, &text(""), &two());
        assert_eq!(counts(&plan), wanted, "{what}: {:#?}", plan.effects);
    }
    // A place that is spared no more.
    let tenant = InMemory::new(&fixture("profiles"));
    let place = json!({"id": "l1", "displayName": "Home", "@odata.type": "#microsoft.graph.countryNamedLocation", "countriesAndRegions": ["NL", "BE"]});
    tenant.tenant.borrow_mut().set(Resource::Location("l1".into()), place);
    there(
        &tenant,
        "enabled",
        &demand("block"),
        &json!({"users": keys, "locations": {"includeLocations": ["All"], "excludeLocations": ["l1"]}}),
    );
    assert_eq!(counts(&planned(&tenant, &text("outside = [\"Home\"]"), &two())), (0, 0));
    assert_eq!(counts(&planned(&tenant, &text("outside = []"), &two())), (2, 1));
    // The place itself shrinks, and the file does not name the policy.
    let plan = planned(&tenant, "[[location]]\nname = \"Home\"\ncountries = [\"NL\"]\n", &two());
    assert_eq!(counts(&plan), (2, 1), "{:#?}", plan.effects);
    assert!(plan.effects.on_people[0].what.ends_with("in the places it is for"), "{:?}", plan.effects);
    let plan = planned(&tenant, "[[location]]\nname = \"Home\"\ncountries = [\"NL\", \"BE\"]\n", &two());
    assert!(plan.is_empty());
}

#[test]
fn a_strength_that_is_tightened_locks_out_where_policies_demand_it() {
    let tenant = InMemory::new(&fixture("profiles"));
    let own = json!({"id": "s1", "displayName": "Own", "policyType": "custom", "allowedCombinations": ["fido2", "password,sms"], "combinationConfigurations": []});
    tenant.tenant.borrow_mut().set(Resource::Strength("s1".into()), own);
    there(&tenant, "enabled", &strength("s1"), &json!({}));
    let text = |rest: &str| format!("[[strength]]\nname = \"Own\"\n{rest}");
    let plan = planned(&tenant, &text("allow = [\"fido2\"]\n"), &two());
    assert_eq!((counts(&plan), plan.effects.on_people[0].people.as_slice()), ((1, 1), &["lee".to_owned()][..]));
    let models = format!("aaguids = [\"{OTHER_KEY}\"]\n");
    let plan = planned(&tenant, &text(&models), &two());
    assert_eq!((counts(&plan), plan.effects.on_people[0].people.as_slice()), ((1, 1), &["kim".to_owned()][..]));
    // What lets more in locks nobody out.
    let plan = planned(&tenant, &text("allow = [\"fido2\", \"password,sms\", \"password,voice\"]\n"), &two());
    assert_eq!((counts(&plan), plan.changes.len()), ((0, 0), 1));
    // Nor does one that no policy enforces.
    there(&tenant, "disabled", &strength("s1"), &json!({}));
    assert_eq!(counts(&planned(&tenant, &text("allow = [\"fido2\"]\n"), &two())), (0, 0));
}

#[test]
fn what_is_taken_from_people_nobody_looked_at_is_said() {
    let mut policy = fixture("profiles");
    let fido2 = &mut policy["authenticationMethodConfigurations"][0];
    assert_eq!(fido2["id"], "Fido2");
    fido2["state"] = json!("enabled");
    let existing =
        json!({"id": OTHERS, "targetType": "group", "allowedPasskeyProfiles": [fido2["passkeyProfiles"][0]["id"]]});
    fido2["includeTargets"] = json!([existing]);
    let tenant = InMemory::new(&policy);
    let mut everybody = two();
    everybody.whole = BTreeSet::from([KEYS.to_owned()]);
    let plan = planned(&tenant, "[fido2]\ninclude = [\"Keys\"]\n", &everybody);
    assert_eq!(counts(&plan), (0, 1), "{:#?}", plan.effects);
    assert!(plan.effects.uncounted[0].contains("is on for Others today"), "{:?}", plan.effects);
    // Once everybody in it was looked at, they are counted and not guessed at.
    everybody.whole.insert(OTHERS.to_owned());
    assert_eq!(counts(&planned(&tenant, "[fido2]\ninclude = [\"Keys\"]\n", &everybody)), (0, 0));
}

#[test]
fn a_key_list_that_is_tightened_for_everybody_is_said() {
    let mut policy = fixture("profiles");
    let fido2 = &mut policy["authenticationMethodConfigurations"][0];
    fido2["state"] = json!("enabled");
    let default = fido2["passkeyProfiles"][0]["id"].clone();
    fido2["passkeyProfiles"][0]["keyRestrictions"] = json!({"isEnforced": false});
    fido2["includeTargets"] = json!([{"id": "all_users", "targetType": "group", "allowedPasskeyProfiles": [default]}]);
    let tenant = InMemory::new(&policy);
    let text = |keys: &str| format!("[fido2]\n[[fido2.profile]]\nname = \"Default passkey profile\"\n{keys}\n");
    let plan = planned(&tenant, &text(&format!("keys = \"only\"\naaguids = [\"{YUBI}\"]")), &People::default());
    assert_eq!(counts(&plan), (0, 1), "{:#?}", plan.effects);
    assert!(
        plan.effects.uncounted[0].contains("every key model that no list names to everybody"),
        "{:?}",
        plan.effects
    );
    let plan = planned(&tenant, &text(&format!("keys = \"except\"\naaguids = [\"{YUBI}\"]")), &People::default());
    assert!(
        plan.effects.uncounted[0].contains(&format!("would refuse keys of {YUBI} to everybody")),
        "{:?}",
        plan.effects
    );
    let loose = planned(&tenant, &text("attestation = \"off\""), &People::default());
    assert_eq!(counts(&loose), (0, 0));
}

#[test]
fn holders_of_a_role_are_counted_and_those_nobody_looked_at_are_said() {
    let tenant = InMemory::new(&fixture("profiles"));
    let roles = json!({"users": {"includeUsers": [], "includeGroups": [], "includeRoles": [GLOBAL_ADMINISTRATOR], "excludeGroups": [GLASS]}});
    there(&tenant, "disabled", &demand("block"), &roles);
    let mut after = tenant.tenant.borrow().clone();
    let mut on = after.get(&Resource::Access("p1".into())).cloned().expect("there");
    on["state"] = json!("enabled");
    after.set(Resource::Access("p1".into()), on);
    let mut everybody = two();
    everybody.list[1].roles.insert(GLOBAL_ADMINISTRATOR.to_owned());
    let names = names();
    let effects = View { before: &tenant.tenant.borrow(), after: &after, people: &everybody, names: &names }.effects();
    assert_eq!((effects.locked_out(), effects.on_people[0].people.as_slice()), (1, &["lee".to_owned()][..]));
    assert!(effects.uncounted[0].contains("holders of Global Administrator"), "{effects:?}");
}

#[test]
fn what_can_not_be_read_of_people_is_no_reason_to_go_on() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text = |demand: &str| sign_in("New", &format!("{demand}\ninclude = [\"Keys\"]\nstate = \"on\""));
    let mut everybody = two();
    everybody.whole.insert(KEYS.to_owned());
    assert_eq!(counts(&planned(&tenant, &text("demand = \"compliant-device\""), &everybody)), (0, 1));
    everybody.list[0].methods = None;
    let plan = planned(&tenant, &text("strength = \"phishing-resistant\""), &everybody);
    assert_eq!(counts(&plan), (1, 1), "{:#?}", plan.effects);
    assert!(plan.effects.uncounted[0].contains("for kim, and what they can sign in with"), "{:?}", plan.effects);
}

#[test]
fn exclusions_made_by_hand_stay_where_only_key_users_are_meant() {
    let tenant = InMemory::new(&fixture("profiles"));
    let users = json!({
        "includeUsers": [], "includeGroups": [KEYS], "excludeUsers": ["sync-account", "id-of-kim"], "excludeGroups": [GLASS, OTHERS],
    });
    there(&tenant, "enabled", &strength("00000000-0000-0000-0000-000000000004"), &json!({ "users": users }));
    let more = "strength = \"phishing-resistant\"\nkey_users_only = true\ninclude = [\"Keys\"]\nstate = \"on\"\n";
    let plan = planned(&tenant, &sign_in("There", more), &two());
    let sent = body(&plan.changes[0]);
    assert_eq!(sent["conditions"]["users"]["excludeUsers"], json!(["sync-account", "id-of-lee"]), "{sent}");
    let groups = &sent["conditions"]["users"]["excludeGroups"];
    assert!(crate::tenant::overlay::same(groups, &json!([GLASS, OTHERS])), "{sent}");
    // A list in the file is the whole list.
    let plan = planned(&tenant, &sign_in("There", &format!("{more}exclude = [\"Others\"]\n")), &two());
    assert_eq!(body(&plan.changes[0])["conditions"]["users"]["excludeUsers"], json!(["id-of-lee"]));
}

/// With somebody signed in who holds this.
fn with_me(held: Vec<Held>) -> People {
    let mut everybody = people(vec![person("me", &[], held)]);
    everybody.caller = Some(ME.to_owned());
    everybody
}

fn told(tenant: &InMemory, applies: bool) {
    let reasons = if applies { vec![] } else { vec!["users".to_owned()] };
    *tenant.what_if.borrow_mut() =
        vec![Tried { id: String::new(), name: "New".into(), applies, blocks: false, reasons }];
}

#[test]
fn the_administrator_who_locks_themselves_out_is_counted() {
    let tenant = InMemory::new(&fixture("profiles"));
    let text = sign_in("New", "strength = \"phishing-resistant\"\ninclude = [\"all\"]\nstate = \"on\"");
    let me = with_me(vec![Held::Password, Held::Authenticator { phone_sign_in: false }]);
    let plan = planned(&tenant, &text, &me);
    assert_eq!(plan.effects.on_people[0].people, ["me"]);
    let caller = plan.changes[1].gate.as_ref().and_then(|gate| gate.caller.clone()).expect("asked about");
    assert_eq!((caller.id.as_str(), caller.meets, caller.told), (ME, Meets::No, true));
    // Who has read that and goes on, goes on.
    told(&tenant, true);
    let applied = carry_out(&tenant, &ledger(), &plan, "A").expect("carried out");
    assert_eq!(applied.held, []);
}

#[test]
fn a_policy_for_signing_in_is_tried_before_it_acts() {
    let text = sign_in("New", "strength = \"phishing-resistant\"\ninclude = [\"Keys\"]\nstate = \"on\"");
    // By the groups that could be read it is not for the administrator; what-if knows better.
    for (applies, held, why) in [
        (true, vec![Held::Password], Some("it would apply to id-of-me")),
        (true, vec![key(YUBI)], None),
        (false, vec![Held::Password], None),
    ] {
        let tenant = InMemory::new(&fixture("profiles"));
        let plan = planned(&tenant, &text, &with_me(held));
        let first = body(&plan.changes[0]);
        assert_eq!((first["state"].as_str(), plan.changes.len()), (Some("disabled"), 2));
        told(&tenant, applies);
        let applied = carry_out(&tenant, &ledger(), &plan, "A").expect("carried out");
        match why {
            Some(why) => assert!(applied.held[0].1.contains(why), "{applied:?}"),
            None => assert_eq!(applied.held, []),
        }
    }
    // The break-glass accounts are asked about as well, and a policy that what-if does not show is none that was tried.
    for (shown, why) in [(true, "break-glass account glass"), (false, "what-if does not show the policy yet")] {
        let tenant = InMemory::new(&fixture("profiles"));
        if shown {
            told(&tenant, true);
        }
        let (kept, watch) = (ledger(), |_: Step<'_>| {});
        let mut hand = hand(&tenant, &kept, &watch);
        hand.break_glass = vec![UserId::new("glass")];
        let plan = planned(&tenant, &text, &People::default());
        let mut current = tenant.tenant.borrow().clone();
        let applied = hand.carry_out(&plan, &mut current, "A").expect("carried out");
        assert!(applied.held[0].1.contains(why), "{applied:?}");
        let now = tenant.tenant.borrow().named(Kind::Access, "new").first().map(|(_, one)| one["state"].clone());
        assert_eq!(now, Some(json!("disabled")));
    }
}

#[test]
fn mfa_that_goes_off_with_nothing_in_its_place_is_said() {
    let tenant = InMemory::new(&fixture("profiles"));
    tenant.tenant.borrow_mut().set(Resource::Defaults, json!({"id": "defaults", "isEnabled": true}));
    tenant.tenant.borrow_mut().set(Resource::Mfa("id-of-lee".into()), json!({"perUserMfaState": "enforced"}));
    let off = "security_defaults = false\n[per_person]\npeople = [\"Keys\"]\nmfa = \"disabled\"\n";
    let policy = |state: &str| {
        format!("{off}{}", sign_in("MFA", &format!("demand = \"mfa\"\ninclude = [\"all\"]\nstate = \"{state}\"")))
    };
    let said = |text: &str| {
        let cautions = planned(&tenant, text, &two()).effects.cautions.join("\n");
        (cautions.contains("Security defaults go off"), cautions.contains("Per-user MFA goes off for lee"))
    };
    assert_eq!(said(off), (true, true));
    assert_eq!(said(&policy("report-only")), (true, true), "report-only asks nobody");
    assert_eq!(said(&policy("on")), (false, false));
    let for_keys = policy("on").replace("include = [\"all\"]", "include = [\"Keys\"]");
    assert_eq!(said(&for_keys), (true, false), "it covers the pilot and nobody else");
}

#[test]
fn the_presets_silence_is_over() {
    let glass = ["Break glass".to_owned()];
    let text = pilot(&Pilot { group: "Keys", break_glass: &glass, ..Pilot::default() });
    let tenant = InMemory::new(&fixture("profiles"));
    tenant.tenant.borrow_mut().set(Resource::Defaults, json!({"id": "defaults", "isEnabled": true}));
    let mut sms = tenant.tenant.borrow().method("sms").cloned().expect("there");
    sms["excludeTargets"] = json!([{"id": OTHERS, "targetType": "group"}]);
    tenant.tenant.borrow_mut().set(Resource::Method("sms".into()), sms);
    let cautions = planned(&tenant, &text, &two()).effects.cautions.join("\n");
    for wanted in ["Security defaults go off", "the method SMS excludes Others today and would not any more"] {
        assert!(cautions.contains(wanted), "{wanted}: {cautions}");
    }
}

/// Whether security defaults and per-user MFA that go off are told as leaving people with a password alone, beside a policy that is on.
fn password_alone(grant: &Value, conditions: &Value) -> (bool, bool) {
    let tenant = InMemory::new(&fixture("profiles"));
    tenant.tenant.borrow_mut().set(Resource::Defaults, json!({"id": "defaults", "isEnabled": true}));
    tenant.tenant.borrow_mut().set(Resource::Mfa("id-of-lee".into()), json!({"perUserMfaState": "enforced"}));
    there(&tenant, "enabled", grant, conditions);
    let off = "security_defaults = false\n[per_person]\npeople = [\"Keys\"]\nmfa = \"disabled\"\n";
    let cautions = planned(&tenant, off, &two()).effects.cautions.join("\n");
    (cautions.contains("Security defaults go off"), cautions.contains("Per-user MFA goes off for lee"))
}

#[test]
fn a_policy_for_some_sign_ins_stands_in_for_no_mfa() {
    let filter = json!({"mode": "exclude", "rule": "CustomSecurityAttribute.App.Legacy -eq \"yes\""});
    for (control, conditions) in [
        ("block", json!({"clientAppTypes": ["exchangeActiveSync", "other"]})),
        ("block", json!({"authenticationFlows": {"transferMethods": "deviceCodeFlow"}})),
        ("block", json!({"insiderRiskLevels": "elevated"})),
        ("mfa", json!({"newCondition": {"x": 1}})),
        ("mfa", json!({"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}})),
        ("mfa", json!({"platforms": {"includePlatforms": ["all"], "excludePlatforms": ["all"]}})),
        ("mfa", json!({"applications": {"includeApplications": ["All"], "applicationFilter": filter}})),
    ] {
        assert_eq!(password_alone(&demand(control), &conditions), (true, true), "{control} {conditions}");
    }
}

#[test]
fn a_policy_for_every_sign_in_stands_in_for_mfa_however_it_says_so() {
    for conditions in [
        json!({}),
        json!({"locations": {"includeLocations": ["All"], "excludeLocations": []}}),
        json!({"platforms": {"includePlatforms": ["all"], "excludePlatforms": null}, "clientAppTypes": ["All"]}),
        json!({"authenticationFlows": null, "signInRiskLevels": [], "userRiskLevels": []}),
    ] {
        assert_eq!(password_alone(&demand("mfa"), &conditions), (false, false), "{conditions}");
    }
}

#[test]
fn who_can_not_be_read_is_said_where_a_policy_comes_to_demand_more() {
    let text =
        |strength: &str| sign_in("There", &format!("strength = \"{strength}\"\ninclude = [\"Keys\"]\nstate = \"on\""));
    let keys = json!({"includeUsers": [], "excludeUsers": [], "includeGroups": [KEYS], "excludeGroups": [GLASS]});
    let tenant = InMemory::new(&fixture("profiles"));
    let mut everybody = two();
    everybody.whole.insert(KEYS.to_owned());
    everybody.list.iter_mut().for_each(|person| person.methods = None);
    there(&tenant, "enabled", &demand("mfa"), &json!({ "users": keys }));
    let plan = planned(&tenant, &text("phishing-resistant"), &everybody);
    assert_eq!(counts(&plan), (0, 1), "{:#?}", plan.effects);
    assert!(plan.effects.uncounted[0].contains("for kim, lee, and what they can sign in with"), "{:?}", plan.effects);
    // Whoever gets through today gets through then.
    there(&tenant, "enabled", &strength("00000000-0000-0000-0000-000000000004"), &json!({ "users": keys }));
    let plan = planned(&tenant, &text("mfa"), &everybody);
    assert_eq!((counts(&plan), plan.changes.len()), ((0, 0), 1), "{:#?}", plan.effects);
}

#[test]
fn who_comes_under_a_demand_that_can_not_be_read_is_said() {
    let tenant = InMemory::new(&fixture("profiles"));
    let others = json!({"includeUsers": [], "excludeUsers": [], "includeGroups": [OTHERS], "excludeGroups": [GLASS]});
    there(&tenant, "enabled", &demand("compliantDevice"), &json!({ "users": others }));
    let mut everybody = two();
    everybody.whole = BTreeSet::from([KEYS.to_owned(), OTHERS.to_owned()]);
    let text = |include: &str| {
        sign_in("There", &format!("demand = \"compliant-device\"\ninclude = [{include}]\nstate = \"on\""))
    };
    let plan = planned(&tenant, &text("\"Others\", \"Keys\""), &everybody);
    assert_eq!(counts(&plan), (0, 1), "{:#?}", plan.effects);
    assert!(plan.effects.uncounted[0].contains("(compliantDevice)"), "{:?}", plan.effects);
    assert_eq!(counts(&planned(&tenant, &text("\"Others\""), &everybody)), (0, 0));
}

#[test]
fn what_can_not_be_read_of_the_administrator_was_asked_by_the_plan_and_holds_nothing_up() {
    let unread = || {
        let mut me = with_me(vec![]);
        me.list[0].methods = None;
        me
    };
    for (demand, me) in [
        ("demand = \"compliant-device\"", with_me(vec![Held::Password])),
        ("strength = \"phishing-resistant\"", unread()),
    ] {
        let tenant = InMemory::new(&fixture("profiles"));
        let text = sign_in("New", &format!("{demand}\ninclude = [\"all\"]\nstate = \"on\""));
        let plan = planned(&tenant, &text, &me);
        assert!(plan.locked_out() == 0 && !plan.effects.uncounted.is_empty(), "{:?}", plan.effects);
        told(&tenant, true);
        let applied = carry_out(&tenant, &ledger(), &plan, "A").expect("carried out");
        assert_eq!(applied.held, [], "{demand}");
    }
}

#[test]
fn what_the_plan_says_of_one_policy_is_not_said_of_another() {
    // By the groups that could be read, the first is not for the administrator; the second is, and its name holds the first one's.
    let first = sign_in("New", "strength = \"phishing-resistant\"\ninclude = [\"Keys\"]\nstate = \"on\"");
    let second = sign_in("New for all apps", "strength = \"phishing-resistant\"\ninclude = [\"all\"]\nstate = \"on\"");
    let text = format!("{first}{}", second.trim_start_matches(GLASS_HEAD));
    let tenant = InMemory::new(&fixture("profiles"));
    let plan = planned(&tenant, &text, &with_me(vec![Held::Password]));
    let said = |name: &str| {
        let gates = plan.changes.iter().filter_map(|change| change.gate.as_ref());
        gates.filter(|gate| gate.policy == name).filter_map(|gate| gate.caller.as_ref()).any(|caller| caller.told)
    };
    assert_eq!((said("New"), said("New for all apps")), (false, true), "{:?}", plan.effects);
}

#[test]
fn whom_a_policy_spares_no_more_is_named() {
    let tenant = InMemory::new(&fixture("profiles"));
    let users = json!({
        "includeUsers": [], "includeGroups": [KEYS], "excludeUsers": ["sync-account", "id-of-kim", "GuestsOrExternalUsers"],
        "excludeGroups": [GLASS, OTHERS],
    });
    there(&tenant, "enabled", &strength("00000000-0000-0000-0000-000000000004"), &json!({ "users": users }));
    let text = |more: &str| {
        let more = format!("strength = \"phishing-resistant\"\ninclude = [\"Keys\"]\nstate = \"on\"\n{more}");
        sign_in("There", &more)
    };
    let said = |more: &str| {
        let cautions = planned(&tenant, &text(more), &two()).effects.cautions;
        cautions.into_iter().find(|one| one.starts_with("There excludes")).unwrap_or_default()
    };
    // Who has used a key is taken in, be it that they were excluded by hand.
    assert!(said("key_users_only = true\n").starts_with("There excludes kim today and would not any more"));
    let all = said("exclude = []\n");
    assert!(all.starts_with("There excludes guests, kim, sync-account, Others today"), "{all}");
    assert_eq!(said(""), "", "no exclude in the file: as it is");
}

#[test]
fn who_is_spared_in_another_way_is_not_named() {
    let tenant = InMemory::new(&fixture("profiles"));
    let users = json!({"includeUsers": [], "includeGroups": [KEYS], "excludeUsers": ["id-of-kim", "id-of-lee"], "excludeGroups": [GLASS]});
    there(&tenant, "enabled", &demand("mfa"), &json!({ "users": users }));
    let mut everybody = two();
    everybody.list[0].groups.insert(OTHERS.to_owned());
    let text = sign_in("There", "demand = \"mfa\"\ninclude = [\"Keys\"]\nexclude = [\"Others\"]\nstate = \"on\"");
    let cautions = planned(&tenant, &text, &everybody).effects.cautions.join("\n");
    assert!(cautions.contains("There excludes lee today and would not any more"), "{cautions}");
}

#[test]
fn a_policy_is_known_by_the_name_that_the_tenant_has_for_it() {
    let tenant = InMemory::new(&fixture("profiles"));
    there(&tenant, "disabled", &demand("block"), &json!({}));
    let text = sign_in("THERE", "demand = \"block\"\ninclude = [\"all\"]\nstate = \"on\"");
    let plan = planned(&tenant, &text, &with_me(vec![Held::Password]));
    let caller = plan.changes.iter().find_map(|change| change.gate.as_ref()?.caller.clone()).expect("asked about");
    assert_eq!((caller.meets, caller.told), (Meets::No, true), "{:?}", plan.effects);
}

#[test]
fn who_was_kept_out_before_is_not_locked_out_by_less() {
    let tenant = InMemory::new(&fixture("profiles"));
    let keys = json!({"includeUsers": [], "excludeUsers": [], "includeGroups": [KEYS], "excludeGroups": [GLASS]});
    there(&tenant, "enabled", &demand("block"), &json!({ "users": keys }));
    let mut everybody = two();
    everybody.whole.insert(KEYS.to_owned());
    everybody.list[0].methods = None;
    for less in ["demand = \"compliant-device\"", "strength = \"phishing-resistant\""] {
        let plan =
            planned(&tenant, &sign_in("There", &format!("{less}\ninclude = [\"Keys\"]\nstate = \"on\"")), &everybody);
        assert_eq!((counts(&plan), plan.changes.len()), ((0, 0), 1), "{less}: {:#?}", plan.effects);
    }
}
