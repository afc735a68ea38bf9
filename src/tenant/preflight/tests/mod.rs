//! Every check against facts in which one thing is wrong.

mod cases;
mod more;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::facts::*;
use super::verdict::{Id, Outcome, Report, Verdict};
use super::{CHECKS, catalogue, examine, examine_for_run, findings};
use crate::graph::Account;
use crate::model::{Aaguid, Upn, UserId};
use crate::tenant::statements::{Answer, Statement, Topic};

/// The group that everything in the fixture is for.
const PILOT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const GLASS: &str = "11111111-aaaa-4bbb-8ccc-0000000000b6";
const YUBIKEY: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

/// One thing that is wrong, and what is said to it.
struct Case {
    id: u8,
    verdict: Verdict,
    change: fn(&mut Facts),
    /// In the finding's sentence.
    says: &'static str,
}

const fn case(id: u8, verdict: Verdict, says: &'static str, change: fn(&mut Facts)) -> Case {
    Case { id, verdict, change, says }
}

fn upn(name: &str) -> Upn {
    Upn::parse(&format!("{name}@contoso.example")).expect("a UPN")
}

fn gap(call: Call) -> Gap {
    Gap::new(Why::MissingRight, call, "the account may not ask this", "Grant it.")
}

fn said(topic: Topic, answer: Answer) -> (Topic, Statement) {
    (topic, Statement { topic, answer, by: "kim".into(), at: Timestamp::UNIX_EPOCH })
}

fn method(kind: &str) -> Value {
    json!({ "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethod"), "id": kind })
}

fn person(name: &str) -> PersonFacts {
    PersonFacts {
        name: upn(name),
        keys: 2,
        user: Ok(Some(json!({
            "id": format!("id-of-{name}"), "userType": "Member", "accountEnabled": true, "userPrincipalName": upn(name).as_str(),
        }))),
        groups: Ok([PILOT.to_owned()].into()),
        roles: Ok(Vec::new()),
        role_groups: Ok(Vec::new()),
        methods: Ok(vec![method("password"), method("microsoftAuthenticator"), method("windowsHelloForBusiness")]),
        passkeys: Ok(Vec::new()),
        requirements: Ok(json!({ "perUserMfaState": "disabled" })),
        registration: Ok(Some(json!({ "isAdmin": false, "isSsprEnabled": false }))),
    }
}

fn strength(combinations: &[&str], configurations: Value) -> Value {
    json!({
        "id": "33333333-cccc-4ddd-8eee-000000000003", "displayName": "Bench", "allowedCombinations": combinations,
        "combinationConfigurations": configurations,
    })
}

/// A policy for the pilot group that spares the break-glass group.
fn policy(name: &str, action: Option<&str>, grant: Value) -> Value {
    let applications = match action {
        Some(action) => json!({ "includeUserActions": [action] }),
        None => json!({ "includeApplications": ["All"] }),
    };
    json!({
        "id": name, "displayName": name, "state": "enabled",
        "conditions": { "applications": applications, "users": { "includeGroups": [PILOT], "excludeGroups": [GLASS] } },
        "grantControls": grant, "policyApplies": true, "analysisReasons": "notSet",
    })
}

fn all_apps() -> Value {
    let combinations =
        ["fido2", "windowsHelloForBusiness", "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse"];
    policy(
        "All apps",
        None,
        json!({ "operator": "OR", "builtInControls": [], "authenticationStrength": strength(&combinations, json!([])) }),
    )
}

fn register() -> Value {
    let action = "urn:user:registersecurityinfo";
    policy(
        "Register",
        Some(action),
        json!({ "operator": "OR", "builtInControls": ["mfa"], "authenticationStrength": null }),
    )
}

fn what_if(action: Action, policies: Vec<Value>) -> WhatIf {
    WhatIf { action, people: vec![upn("kim"), upn("sam")], answer: Ok(policies) }
}

fn sign_in() -> Action {
    Action::SignIn { app: "00000003-0000-0ff1-ce00-000000000000".into(), name: "SharePoint Online".into() }
}

fn administrator(name: &str) -> AdministratorFacts {
    AdministratorFacts {
        user: json!({ "id": name, "accountEnabled": true, "onPremisesSyncEnabled": null }),
        methods: Ok(vec![method("password"), method("fido2")]),
        groups: Ok([GLASS.to_owned()].into()),
    }
}

/// A tenant in which nothing stands against anything.
fn good() -> Facts {
    let mut plan = Plan::of(Mode::SelfService);
    plan.models = vec![KeyModel {
        aaguid: Aaguid::parse(YUBIKEY).expect("a GUID"),
        name: Some("YubiKey 5 NFC".into()),
        attestation: Attested::Yes,
    }];
    plan.break_glass = [GLASS.to_owned()].into();
    plan.tokens = vec![TokenLine { line: 2, serial: "1100000001".into(), problem: None }];
    let permissions = [
        "UserAuthMethod-Passkey.ReadWrite.All",
        "UserAuthMethod-TAP.ReadWrite.All",
        "UserAuthMethod-HardwareOATH.ReadWrite.All",
        "User.Read.All",
        "GroupMember.Read.All",
        "RoleManagement.Read.Directory",
        "Policy.Read.All",
    ];
    Facts {
        plan,
        account: Account {
            object_id: Some(UserId::new("id-of-admin")),
            name: Some("admin@contoso.example".into()),
            permissions: permissions.map(str::to_owned).to_vec(),
            ..Account::default()
        },
        caller_roles: Ok(vec![role("c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator")]),
        caller_assigned: Vec::new(),
        graph_host: "graph.microsoft.com".into(),
        loopback: false,
        skew: Ok(SignedDuration::from_secs(2)),
        policy: Ok(serde_json::from_str(include_str!("../../../../fixtures/preflight/policy.json")).expect("JSON")),
        oath_policy: Ok(
            json!({ "id": "HardwareOath", "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }], "excludeTargets": [] }),
        ),
        oath_serials: Ok(BTreeSet::new()),
        access: Ok(vec![all_apps(), register()]),
        devices: Ok(json!({ "multiFactorAuthConfiguration": "notRequired" })),
        defaults: Ok(json!({ "isEnabled": false })),
        authorization: Ok(json!({ "allowedToUseSSPR": false })),
        licences: Ok(vec![json!({ "capabilityStatus": "Enabled", "servicePlans": [
            { "servicePlanId": "41781fb2-bc02-4b7c-bd55-b576c07bb09d", "provisioningStatus": "Success" },
            { "servicePlanId": "c1ec4a95-1f05-45b3-a911-aa3fa01094f5", "provisioningStatus": "Success" },
        ] })]),
        domains: BTreeMap::from([(
            "contoso.example".to_owned(),
            Ok(DomainFacts { domain: json!({ "authenticationType": "Managed" }), federation: Ok(Vec::new()) }),
        )]),
        what_if: vec![
            what_if(Action::RegisterSecurityInformation, vec![register()]),
            what_if(sign_in(), vec![all_apps()]),
            what_if(Action::JoinDevice, Vec::new()),
        ],
        what_if_left_out: None,
        administrators: Ok(vec![administrator("glass-1"), administrator("glass-2")]),
        statements: BTreeMap::from([
            said(Topic::NamesStay, Answer::Done),
            said(Topic::MfaRegistrationPolicy, Answer::NotUsed),
        ]),
        people: vec![person("kim"), person("sam")],
    }
}

fn role(template: &str, name: &str) -> Role {
    Role { template: template.into(), name: name.into() }
}

/// A method's settings in the policy, to be changed.
fn settings<'a>(facts: &'a mut Facts, id: &str) -> &'a mut Value {
    let policy = facts.policy.as_mut().expect("a policy");
    let list = policy["authenticationMethodConfigurations"].as_array_mut().expect("a list");
    list.iter_mut().find(|method| method["id"] == id).expect("the method")
}

/// The profile that the fixture's people may use.
fn profile(facts: &mut Facts) -> &mut Value {
    &mut settings(facts, "Fido2")["passkeyProfiles"][1]
}

#[test]
fn a_tenant_in_order_passes_every_check() {
    let mut facts = good();
    for check in CHECKS {
        let found = findings(check, &facts);
        assert!(!found.is_empty(), "{}", check.id);
        for finding in found {
            assert_eq!(finding.verdict, Verdict::Pass, "{} {}", check.id, finding.what);
            assert!(finding.evidence.iter().all(|one| !one.path.is_empty() && !one.value.is_empty()), "{}", check.id);
            assert!(finding.what.ends_with('.'), "{}", finding.what);
        }
    }
    for (mode, count) in [(Mode::Provision, 24), (Mode::SelfService, 29), (Mode::Oath, 15)] {
        facts.plan.mode = mode;
        assert_eq!(examine(&facts).outcome(true), Outcome::Pass, "{mode:?}");
        let checks: BTreeSet<Id> = examine(&facts).findings.iter().map(|found| found.id).collect();
        assert_eq!(checks.len(), count, "{mode:?}");
    }
    facts.plan.writes = true;
    facts.plan.mode = Mode::Provision;
    assert!(examine(&facts).findings.iter().any(|found| found.id == Id(22)), "writing weighs break-glass");
}

/// Each case says what it should, with evidence and a remedy, and disturbs no other verdict of the check with a crash.
#[test]
fn each_wrong_is_told_with_evidence_and_a_remedy() {
    let wrong: Vec<String> = all_cases().flat_map(faults_of).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is wrong with how a case is told.
fn faults_of(case: &Case) -> Vec<String> {
    let check = catalogue::find(Id(case.id)).expect("a check");
    let mut facts = good();
    (case.change)(&mut facts);
    let found = findings(check, &facts);
    let Some(finding) = found.iter().find(|one| one.verdict == case.verdict && one.what.contains(case.says)) else {
        let shown: Vec<String> = found.iter().map(|one| format!("{:?} {}", one.verdict, one.what)).collect();
        return vec![format!("{}: no {:?} with {:?} in: {}", check.id, case.verdict, case.says, shown.join(" | "))];
    };
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{} ({}): {what}", check.id, case.says));
        }
    };
    must(finding.what.ends_with('.'), &format!("no sentence: {}", finding.what));
    let remedy = finding.remedy.as_ref().map_or("", |remedy| &remedy.text);
    must(remedy.ends_with(['.', ')']), &format!("no sentence as remedy: {remedy}"));
    must(!finding.evidence.is_empty() && finding.evidence.iter().all(|one| !one.value.is_empty()), "no evidence");
    for evidence in &finding.evidence {
        let known = check.calls.iter().chain([&calls::PLAN]).any(|call| call.path == evidence.path);
        must(known, &format!("{} is no call of it", evidence.path));
    }
    if case.verdict == Verdict::Unknown {
        must(finding.why.is_some(), "does not say why it is unknown");
    } else {
        must(check.verdicts.contains(&case.verdict), "does not declare this verdict");
    }
    wrong
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    cases::CASES.iter().chain(more::CASES)
}

/// What each check owes, by the fixture, is declared and has a case; what is declared has one too; and none passes for want
/// of an answer.
#[test]
fn every_verdict_that_is_owed_has_a_case() {
    let cases: BTreeSet<(Id, &str)> = all_cases().map(|case| (Id(case.id), case.verdict.word())).collect();
    let owed = include_str!("../../../../fixtures/preflight/verdicts.txt");
    let mut lines = 0;
    for line in owed.lines() {
        let mut words = line.split_whitespace();
        let id: u8 = words.next().and_then(|id| id.strip_prefix("PF")).and_then(|id| id.parse().ok()).expect("an id");
        let check = catalogue::find(Id(id)).unwrap_or_else(|| panic!("there is no PF{id:02}"));
        lines += 1;
        for word in words {
            assert!(cases.contains(&(check.id, word)), "{} owes a case of {word}", check.id);
            let declared = word == "UNKNOWN" || check.verdicts.iter().any(|verdict| verdict.word() == word);
            assert!(declared, "{} does not declare {word}", check.id);
        }
    }
    assert_eq!(lines, CHECKS.len());
    for check in CHECKS {
        for verdict in check.verdicts.iter().chain([&Verdict::Unknown]) {
            // Where the hosts come from the settings there is nothing that could be unknown.
            if check.id == Id(35) && *verdict == Verdict::Unknown
                || matches!(check.id, Id(13)) && *verdict == Verdict::Warn
            {
                continue;
            }
            assert!(cases.contains(&(check.id, verdict.word())), "{} has no case of {}", check.id, verdict.word());
        }
    }
}

#[test]
fn nothing_known_passes_nothing_but_the_cloud() {
    let mut facts = good();
    more::forget(&mut facts);
    for check in CHECKS {
        let found = findings(check, &facts);
        let passed = found.iter().any(|one| one.verdict == Verdict::Pass);
        assert_eq!(passed, check.id == Id(35), "{}: {:?}", check.id, found);
    }
}

#[test]
fn the_outcome_is_the_worst_and_unknown_never_passes() {
    let with = |ids: &[(u8, fn(&mut Facts))]| {
        let mut facts = good();
        ids.iter().for_each(|(_, change)| change(&mut facts));
        examine(&facts)
    };
    let sms: fn(&mut Facts) = |facts| settings(facts, "Sms")["state"] = json!("enabled");
    let off: fn(&mut Facts) = |facts| settings(facts, "Fido2")["state"] = json!("disabled");
    let clock: fn(&mut Facts) = |facts| facts.people[0].requirements = Ok(json!({ "perUserMfaState": "enforced" }));
    let unread: fn(&mut Facts) = |facts| facts.people[0].requirements = Err(gap(calls::REQUIREMENTS));
    assert_eq!(with(&[(31, sms)]).outcome(true), Outcome::Pass, "worth knowing stops nothing");
    assert_eq!(with(&[(28, unread)]).outcome(false), Outcome::Unknown);
    assert_eq!(with(&[(28, clock)]).outcome(false), Outcome::Warn);
    let mut both = good();
    clock(&mut both);
    both.people[1].requirements = Err(gap(calls::REQUIREMENTS));
    assert_eq!(examine(&both).outcome(false), Outcome::Warn, "a warning outweighs what is unknown");
    assert_eq!(with(&[(28, unread)]).outcome(true), Outcome::Fail);
    assert_eq!(with(&[(28, clock)]).outcome(true), Outcome::Fail);
    let report = with(&[(6, off), (31, sms)]);
    assert_eq!(report.outcome(false), Outcome::Fail);
    assert_eq!(report.findings.first().map(|found| found.id), Some(Id(6)), "the worst comes first");
    assert_eq!(Report::default().outcome(true), Outcome::Pass);
}

#[test]
fn a_run_weighs_its_own_share() {
    let mut facts = good();
    facts.plan.mode = Mode::Provision;
    facts.defaults = Ok(json!({ "isEnabled": true }));
    facts.statements.clear();
    let report = examine_for_run(&facts);
    assert_eq!(report.outcome(true), Outcome::Pass, "{report:?}");
    let ids: Vec<u8> = CHECKS.iter().filter(|check| check.in_run).map(|check| check.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 6, 7, 8, 12, 19, 35, 36]);
}
