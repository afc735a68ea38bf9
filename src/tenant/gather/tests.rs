//! Gathering against the simulated tenant: what it costs, what it leaves unknown, and that evaluations keep their pace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::graph::{
    Budget, Cancel, Cloud, DevicePrompt, Flow, GraphSettings, SignIn, SignInPrompt, SignInSettings, Timeouts,
};
use crate::model::Secret;
use crate::sim::tenant::spec::GroupSpec;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};
use crate::tenant::preflight::{Id, Verdict, examine, examine_for_run};
use crate::world::{Clock, SystemClock};

/// A clock whose sleeps take no time and count all the same.
struct Hasty(SystemClock, Mutex<Duration>);

impl Clock for Hasty {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic() + *self.1.lock().expect("clock")
    }
    fn sleep(&self, time: Duration) {
        *self.1.lock().expect("clock") += time;
    }
}

struct Nobody;

impl SignInPrompt for Nobody {
    fn device_code(&self, _: &DevicePrompt) {}
}

fn connect(tenant: &RunningTenant) -> (Graph, Arc<Hasty>) {
    let hasty = Arc::new(Hasty(SystemClock::new(), Mutex::default()));
    let clock: Arc<dyn Clock> = Arc::clone(&hasty) as Arc<dyn Clock>;
    let cloud = Cloud::from_settings(Some(&tenant.graph_url), Some(&tenant.login_url)).expect("loopback");
    let tokens = SignIn::new(
        SignInSettings {
            cloud: cloud.clone(),
            tenant: tenant.tenant_id.clone(),
            client_id: tenant.client_id.clone(),
            flow: Flow::Secret(Secret::new(tenant.client_secret.clone())),
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            cancel: Cancel::new(),
        },
        Arc::clone(&clock),
        Arc::new(Nobody),
    )
    .expect("settings");
    let graph = Graph::connect(GraphSettings::new(cloud), Arc::new(tokens), clock, Arc::new(|_| {})).expect("a client");
    (graph, hasty)
}

fn gathered(tenant: &RunningTenant, mode: Mode, people: &[String]) -> (Gathered, Vec<String>) {
    let (graph, _) = connect(tenant);
    gather_with(&graph, mode, people)
}

fn gather_with(graph: &Graph, mode: Mode, people: &[String]) -> (Gathered, Vec<String>) {
    let account = graph.sign_in().expect("signed in");
    let said = Mutex::new(Vec::new());
    let gathered = gather(Asking {
        graph,
        account,
        plan: Plan::of(mode),
        people: people.iter().map(|name| (Upn::parse(name).expect("a UPN"), 1)).collect(),
        statements: Vec::new(),
        progress: &|what| said.lock().expect("progress").push(what.to_owned()),
    })
    .expect("gathered");
    (gathered, said.into_inner().expect("progress"))
}

fn wave(number: usize) -> String {
    format!("aaaaaaaa-0000-4000-8000-{number:012}")
}

fn policy(number: usize) -> serde_json::Map<String, Value> {
    let policy = json!({
        "displayName": format!("Wave {number}"),
        "state": "enabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": { "includeApplications": ["All"] },
            "users": { "includeGroups": [wave(number)] },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["mfa"] },
    });
    policy.as_object().cloned().expect("an object")
}

fn of_people(count: usize) -> TenantSpec {
    let people = (0..count).map(|number| PersonSpec::new(format!("p{number}@contoso.example"))).collect();
    TenantSpec { people, ..TenantSpec::default() }
}

/// A thousand people of 25 kinds, before 25 policies.
fn thousand() -> (TenantSpec, Vec<String>) {
    let mut spec = of_people(1000);
    for (number, person) in spec.people.iter_mut().enumerate() {
        person.groups = vec!["Pilot".to_owned(), format!("Wave {}", number % 25)];
    }
    spec.groups = (0..25)
        .map(|number| GroupSpec { name: format!("Wave {number}"), id: Some(wave(number)), ..GroupSpec::default() })
        .collect();
    spec.policy.include_groups = vec!["Pilot".to_owned()];
    spec.policies.access = (0..25).map(policy).collect();
    // The clock of this test does not really wait, so the tenant may not count.
    spec.policies.access_per_second = 0;
    let names = spec.people.iter().map(|person| person.upn.clone()).collect();
    (spec, names)
}

#[test]
fn a_thousand_people_cost_fifty_requests_a_question_and_twenty_evaluations() {
    let (spec, names) = thousand();
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let (graph, clock) = connect(&tenant);
    let (gathered, said) = gather_with(&graph, Mode::Provision, &names);
    let Gathered { facts, requests } = gathered;
    for question in ["accounts", "groups", "roles", "methods", "per-user MFA (beta)"] {
        assert_eq!(requests.of(question), 50, "{question}: {requests:?}");
    }
    let report = requests.of("registration report");
    assert!((1..=2).contains(&report), "999 rows a page: {requests:?}");
    assert_eq!(requests.of("what-if"), 20, "{requests:?}");
    for question in ["methods policy", "Conditional Access policies", "role-assignable groups", "domains"] {
        assert_eq!(requests.of(question), 1, "{question}: {requests:?}");
    }
    assert_eq!(requests.of("passkeys"), 0, "methods tell them too: {requests:?}");
    assert_eq!(requests.total(), 5 * 50 + report + 20 + 4, "{requests:?}");
    // The list and twenty evaluations: each a pace after the one before.
    let (waited, real) = (*clock.1.lock().expect("clock"), clock.0.monotonic());
    assert!(waited + real >= graph.settings().pace * 20, "{waited:?} {real:?}");
    assert!(
        said.iter().any(|line| line.contains("400 of 1000")) && said.iter().any(|line| line.contains("20 of 20")),
        "{said:?}"
    );

    assert_eq!(facts.what_if.iter().map(|one| one.people.len()).sum::<usize>(), 800);
    let left_out = facts.what_if_left_out.as_ref().expect("some were left out");
    assert_eq!((left_out.0.len(), left_out.1.why), (200, Why::NotAsked));
    assert!(left_out.1.what.contains("5 more kinds"), "{}", left_out.1.what);
    let report = examine(&facts);
    let signing_in: Vec<Verdict> =
        report.findings.iter().filter(|one| one.id == Id(19)).map(|one| one.verdict).collect();
    assert_eq!(signing_in, [Verdict::Unknown], "what was not evaluated is not passed");
    let scope = report.findings.iter().find(|one| one.id == Id(7)).expect("a finding");
    assert_eq!((scope.verdict, scope.what.as_str()), (Verdict::Pass, "1000 in scope."));
}

#[test]
fn what_may_not_be_asked_is_unknown_and_says_what_is_missing() {
    let (mut spec, names) = thousand();
    spec.people.truncate(4);
    let few: Vec<String> = names.into_iter().take(4).collect();
    spec.app.permissions =
        ["UserAuthMethod-Passkey.ReadWrite.All", "User.Read.All", "GroupMember.Read.All"].map(String::from).to_vec();
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let (gathered, _) = gathered(&tenant, Mode::SelfService, &few);
    let facts = &gathered.facts;
    let why = |gap: &Gap| gap.why;
    assert_eq!(facts.policy.as_ref().map_err(why), Err(Why::MissingRight));
    assert_eq!(facts.access.as_ref().map_err(why), Err(Why::MissingRight));
    assert_eq!(facts.people[0].requirements.as_ref().map_err(why), Err(Why::MissingRight));
    assert!(facts.people[0].user.is_ok() && facts.people[0].groups.is_ok());
    assert_eq!(gathered.requests.of("what-if"), 0);
    let report = examine(facts);
    for id in [6, 7, 8, 14, 17, 18, 19, 27, 28] {
        let found: Vec<Verdict> =
            report.findings.iter().filter(|one| one.id == Id(id)).map(|one| one.verdict).collect();
        assert!(found.iter().all(|verdict| *verdict == Verdict::Unknown) && !found.is_empty(), "PF{id:02}: {found:?}");
    }
    let access = report.findings.iter().find(|one| one.id == Id(18)).expect("a finding");
    assert!(access.remedy.as_ref().is_some_and(|remedy| remedy.text.contains("Policy.Read.All")), "{access:?}");
}

#[test]
fn alike_people_are_evaluated_once_and_nothing_is_asked_without_a_policy() {
    let mut spec = of_people(30);
    let names: Vec<String> = spec.people.iter().map(|person| person.upn.clone()).collect();
    let tenant = start(spec.clone(), ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let (gathered, _) = gathered(&tenant, Mode::SelfService, &names);
    assert_eq!(gathered.requests.of("what-if"), 0, "no policy, nothing to ask");
    let found = examine(&gathered.facts);
    let verdict = |id: u8| found.findings.iter().find(|one| one.id == Id(id)).map(|one| one.verdict);
    assert_eq!(
        (verdict(17), verdict(19), verdict(18)),
        (Some(Verdict::Pass), Some(Verdict::Pass), Some(Verdict::Warn))
    );

    // One policy blocks everybody's registration; two people are spared.
    let spared = wave(0);
    spec.groups = vec![GroupSpec { name: "Spared".to_owned(), id: Some(spared.clone()), ..GroupSpec::default() }];
    spec.people[3].groups = vec!["Spared".to_owned()];
    spec.people[4].groups = vec!["Spared".to_owned()];
    let block = json!({
        "displayName": "No registration", "state": "enabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": { "includeUserActions": ["urn:user:registersecurityinfo"] },
            "users": { "includeUsers": ["All"], "excludeGroups": [spared] },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["block"] },
    });
    spec.policies.access = vec![block.as_object().cloned().expect("an object")];
    spec.policies.access_per_second = 0;
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let (gathered, _) = self::gathered(&tenant, Mode::SelfService, &names);
    assert_eq!(gathered.requests.of("what-if"), 4, "two kinds of people, registering and signing in");
    let found = examine(&gathered.facts);
    let failed: Vec<_> = found.findings.iter().filter(|one| one.id == Id(17) && one.verdict == Verdict::Fail).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].people.len(), 28);
    assert!(failed[0].what.contains("\u{201c}No registration\u{201d} blocks"), "{}", failed[0].what);
}

#[test]
fn throttling_is_waited_for_and_counted_apart() {
    let mut spec = of_people(45);
    spec.policy.include_groups = vec!["Pilot".to_owned()];
    let names: Vec<String> = spec.people.iter().map(|person| person.upn.clone()).collect();
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    for kind in ["methods", "checkMemberGroups"] {
        let rule = json!({ "on": kind, "then": "status", "status": 429, "retry_after": 3, "times": 2 });
        tenant.add_fault(serde_json::from_value(rule).expect("a rule")).expect("a fault");
    }
    let (gathered, _) = gathered(&tenant, Mode::Provision, &names);
    for question in ["methods", "groups"] {
        let kind = gathered.requests.0.iter().find(|kind| kind.question == question).expect("asked");
        assert!(kind.requests == 3 && kind.retries > 0, "{kind:?}");
    }
    assert!(gathered.facts.people.iter().all(|person| person.methods.is_ok() && person.groups.is_ok()));
}

#[test]
fn a_run_asks_its_own_share_and_ends_where_people_cannot_be_read() {
    let mut spec = of_people(40);
    let names: Vec<String> = spec.people.iter().map(|person| person.upn.clone()).collect();
    let ask = |tenant: &RunningTenant| {
        let (graph, _) = connect(tenant);
        let account = graph.sign_in().expect("signed in");
        let people = names.iter().map(|name| (Upn::parse(name).expect("a UPN"), 1)).collect();
        let plan = Plan::of(Mode::Provision);
        let asking = Asking { graph: &graph, account, plan, people, statements: Vec::new(), progress: &|_| {} };
        gather_for_run(asking, &BTreeSet::new())
    };
    let tenant = start(spec.clone(), ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let gathered = ask(&tenant).expect("gathered");
    let kinds: Vec<(&str, u64)> = gathered.requests.0.iter().map(|kind| (kind.question, kind.requests)).collect();
    let expected = [
        ("methods policy", 1),
        ("Conditional Access policies", 1),
        ("role-assignable groups", 1),
        ("accounts", 2),
        ("groups", 0),
        ("roles", 2),
        ("passkeys", 2),
    ];
    assert_eq!(kinds, expected);
    let report = examine_for_run(&gathered.facts);
    assert!(report.findings.iter().all(|one| one.verdict == Verdict::Pass), "{report:?}");
    spec.app.permissions.retain(|held| {
        held != "RoleManagement.Read.Directory" && !held.starts_with("User.Read") && !held.starts_with("Directory")
    });
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    assert_eq!(ask(&tenant).map(drop).map_err(|error| error.kind()), Err(ErrorKind::Forbidden));
}
