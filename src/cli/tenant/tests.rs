//! The policy commands against a simulated tenant.

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::testing::{Desk, Ran};
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

mod cut_off;
mod undo;

const PILOT: &str = "[fido2]\nstate = \"on\"\nself_service = true\n[temporary_access_pass]\nstate = \"on\"\nminutes = 60\nleast_minutes = 60\n\
    most_minutes = 480\n[voice]\nstate = \"off\"\n[hardware_oath]\nstate = \"on\"\n[[strength]]\nname = \"Pass or key\"\n\
    allow = [\"fido2\", \"temporaryAccessPassOneTime\"]\n";

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec::from_people_argument("3").expect("people");
    spec.policies.access_per_second = 0;
    spec.policy.self_service = false;
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

fn desk(tenant: &RunningTenant) -> Desk {
    let desk = Desk::new(1);
    desk.write("secret", &tenant.client_secret);
    desk.settings(&format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    ));
    desk.write("pilot.toml", PILOT);
    desk
}

fn run(desk: &Desk, command: &[&str]) -> Ran {
    let path = desk.path("pilot.toml").display().to_string();
    let line: Vec<&str> = command.iter().map(|word| if *word == "FILE" { path.as_str() } else { *word }).collect();
    desk.run(&line)
}

fn events(ran: &Ran, kind: &str) -> Vec<Value> {
    ran.lines().into_iter().filter(|line| line["event"] == kind).collect()
}

#[test]
fn a_file_is_planned_applied_and_undone() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant);
    let plan = run(&desk, &["tenant", "plan", "FILE", "--json"]);
    assert_eq!(plan.exit, Exit::Done, "{}{}", plan.out, plan.err);
    let areas: Vec<String> =
        events(&plan, "change").iter().map(|one| one["area"].as_str().unwrap_or("").to_owned()).collect();
    assert!(areas.contains(&"fido2".to_owned()) && areas.contains(&"authentication-strength".to_owned()), "{areas:?}");
    assert!(events(&plan, "change").iter().any(|one| one["area"] == "hardware-oath" && one["beta"] == true));
    assert_eq!(events(&plan, "by-hand").len(), crate::tenant::statements::Topic::ALL.len());
    // Nobody is at the terminal: nothing is written.
    let asked = run(&desk, &["tenant", "apply", "FILE"]);
    assert_eq!(asked.exit, Exit::Usage, "{}", asked.out);
    assert_eq!(events(&run(&desk, &["tenant", "plan", "FILE", "--json"]), "change").len(), areas.len());
    let dry = run(&desk, &["tenant", "apply", "FILE", "--dry-run"]);
    assert!(dry.out.contains("the method Passkey (FIDO2)") && dry.out.contains("Nobody of them loses"), "{}", dry.out);

    let applied = run(&desk, &["tenant", "apply", "FILE", "--yes", "--json"]);
    assert_eq!(applied.exit, Exit::Done, "{}{}", applied.out, applied.err);
    let summary = events(&applied, "applied").pop().expect("a summary");
    assert_eq!(summary["changes"], areas.len());
    let again = run(&desk, &["tenant", "apply", "FILE", "--yes"]);
    assert!(again.out.contains("Nothing to change: the tenant is as the file says."), "{}", again.out);

    let id = summary["id"].as_str().expect("an id");
    // Tokens go off again for everybody, and nobody has counted who has one by now.
    let undone = run(&desk, &["tenant", "undo", id, "--yes"]);
    assert!(undone.err.contains("add --accept-uncounted 1"), "{}{}", undone.out, undone.err);
    let undone = run(&desk, &["tenant", "undo", id, "--yes", "--accept-uncounted", "1", "--json"]);
    assert_eq!(undone.exit, Exit::Done, "{}{}", undone.out, undone.err);
    assert_eq!(events(&run(&desk, &["tenant", "plan", "FILE", "--json"]), "change").len(), areas.len());
    let unknown = run(&desk, &["tenant", "undo", "NOSUCH", "--yes"]);
    assert_eq!(unknown.exit, Exit::Usage);
    assert!(unknown.err.contains("no change NOSUCH"), "{}", unknown.err);
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant);
    desk.write("pilot.toml", "[fido2]\nstat = \"on\"\n");
    let ran = run(&desk, &["tenant", "plan", "FILE"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("pilot.toml:2:1: fido2.stat: there is no such member; did you mean \"state\"?"),
        "{}",
        ran.err
    );
    desk.write("pilot.toml", "[fido2]\ninclude = [\"No such group\"]\n");
    let ran = run(&desk, &["tenant", "plan", "FILE"]);
    assert!(ran.err.contains("pilot.toml:2:12: fido2.include: There is no group named No such group"), "{}", ran.err);
}

#[test]
fn people_who_would_be_locked_out_are_named_and_yes_does_not_cover_them() {
    let tenant = tenant(|spec| spec.people[0].passkeys = 1);
    let desk = desk(&tenant);
    let upn = tenant.upns.first().cloned().unwrap_or_default();
    desk.write("pilot.toml", &format!("[fido2]\nstate = \"off\"\nexclude = [\"user:{upn}\"]\n"));
    let plan = run(&desk, &["tenant", "plan", "FILE"]);
    assert!(plan.out.contains("locked out") && plan.out.contains(&upn), "{}{}", plan.out, plan.err);
    let ran = run(&desk, &["tenant", "apply", "FILE", "--yes"]);
    assert_eq!(ran.exit, Exit::SomeFailed);
    assert!(ran.err.contains("1 person would be locked out, and whom else can't be counted in 1 place"), "{}", ran.err);
    // One of the two is not enough: passkeys go off for everybody, and nobody has counted those.
    let ran = run(&desk, &["tenant", "apply", "FILE", "--yes", "--accept-locked-out", "1"]);
    assert_eq!(ran.exit, Exit::SomeFailed);
    let ran = run(&desk, &["tenant", "apply", "FILE", "--yes", "--accept-locked-out", "1", "--accept-uncounted", "1"]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
}

/// Three people with keys of whom one has used it, in a group, and a break-glass account with a key of its own.
fn with_keys() -> RunningTenant {
    let tenant = tenant(|spec| {
        for person in &mut spec.people {
            person.passkeys = 1;
            person.groups = vec!["Keys".into()];
        }
        let mut glass = PersonSpec::new("glass@contoso.example");
        (glass.passkeys, glass.groups) = (1, vec!["Break glass".into()]);
        spec.people.push(glass);
    });
    tenant.person_signs_in(&json!({ "upn": tenant.upns[0] })).expect("signed in");
    tenant
}

const FOR_KEY_USERS: &str = "[break_glass]\ngroups = [\"Break glass\"]\n[[conditional_access]]\nname = \"Strong\"\non = \"sign-in\"\n\
    apps = [\"all\"]\nstrength = \"phishing-resistant\"\nkey_users_only = true\ninclude = [\"Keys\"]\nstate = \"on\"\n";

fn cautions(ran: &Ran) -> String {
    events(ran, "caution").iter().filter_map(|one| one["what"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn who_has_used_a_key_is_known_from_the_tenant_itself() {
    let tenant = with_keys();
    let desk = desk(&tenant);
    desk.write("pilot.toml", FOR_KEY_USERS);
    let plan = run(&desk, &["tenant", "plan", "FILE", "--json"]);
    let said = cautions(&plan);
    assert!(said.contains("would be locked out") && !said.contains("ledger alone"), "{said}");
    assert!(
        !said.contains(&tenant.upns[0]) && said.contains(&tenant.upns[1]) && said.contains(&tenant.upns[2]),
        "{said}"
    );
    // Where beta tells nothing, the ledger is all there is, and that is said.
    let refuse = json!({ "on": "methods", "times": 4, "then": "status", "status": 403 });
    tenant.add_fault(serde_json::from_value(refuse).expect("a rule")).expect("a fault");
    let said = cautions(&run(&desk, &["tenant", "plan", "FILE", "--json"]));
    assert!(said.contains("from the ledger alone") && said.contains(&tenant.upns[0]), "{said}");
}

#[test]
fn what_narrows_a_method_is_cautioned_of_and_break_glass_accounts_are_looked_at() {
    let tenant = with_keys();
    let desk = desk(&tenant);
    desk.write("pilot.toml", "[break_glass]\ngroups = [\"Break glass\"]\n[fido2]\ninclude = [\"Keys\"]\n");
    let plan = run(&desk, &["tenant", "plan", "FILE", "--json"]);
    assert!(cautions(&plan).contains("the method Passkey (FIDO2) is on for everybody today"), "{}", plan.out);
    let locked: Vec<Value> =
        events(&plan, "effect").into_iter().filter(|effect| effect["weight"] == "locked-out").collect();
    assert_eq!(locked.len(), 1, "{}", plan.out);
    assert_eq!(locked[0]["people"], json!(["glass@contoso.example"]));
    desk.write(
        "pilot.toml",
        "[break_glass]\ngroups = [\"Break glass\"]\n[fido2]\ninclude = [\"Keys\", \"Break glass\"]\n",
    );
    let plan = run(&desk, &["tenant", "plan", "FILE"]);
    assert!(
        plan.out.contains("Nobody of them loses anything.") && plan.out.contains("4 people were looked at"),
        "{}",
        plan.out
    );
}

#[test]
fn whom_a_policy_spares_no_more_is_named_though_neither_file_nor_groups_name_them() {
    let tenant = tenant(|spec| {
        spec.people[1].groups = vec!["Keys".into()];
        spec.people[2].groups = vec!["Break glass".into()];
    });
    let desk = desk(&tenant);
    let policy = |exclude: &str| {
        FOR_KEY_USERS
            .replace("key_users_only = true", &format!("exclude = [{exclude}]"))
            .replace("state = \"on\"", "state = \"report-only\"")
    };
    desk.write("pilot.toml", &policy(&format!("\"user:{}\"", tenant.upns[0])));
    let ran = run(&desk, &["tenant", "apply", "FILE", "--yes"]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    desk.write("pilot.toml", &policy(""));
    let said = cautions(&run(&desk, &["tenant", "plan", "FILE", "--json"]));
    assert!(said.contains(&format!("Strong excludes {} today and would not any more", tenant.upns[0])), "{said}");
}

#[test]
fn what_was_exported_plans_nothing() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant);
    let out = desk.path("tenant.toml").display().to_string();
    let ran = desk.run(&["tenant", "export", "--out", &out]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    assert_eq!(desk.run(&["tenant", "export", "--out", &out]).exit, Exit::Usage, "an existing file stays");
    let plan = desk.run(&["tenant", "plan", &out]);
    assert!(plan.out.contains("Nothing to change"), "{}{}", plan.out, plan.err);
}

#[test]
fn a_right_that_is_missing_is_named_and_nothing_is_left_open() {
    let tenant = tenant(|spec| spec.app.permissions.retain(|held| held != "Policy.ReadWrite.AuthenticationMethod"));
    let desk = desk(&tenant);
    let ran = run(&desk, &["tenant", "apply", "FILE", "--yes"]);
    assert_eq!(ran.exit, Exit::Tenant);
    assert!(ran.err.contains("Policy.ReadWrite.AuthenticationMethod"), "{}", ran.err);
    let again = run(&desk, &["tenant", "apply", "FILE", "--yes"]);
    assert!(!again.err.contains("cut off earlier"), "{}", again.err);
}

#[test]
fn the_preset_asks_the_tenant_nothing_and_is_a_right_file() {
    let desk = Desk::new(1);
    let out = desk.path("preset.toml").display().to_string();
    let line = [
        "tenant",
        "preset",
        "pilot",
        "--group",
        "Keys",
        "--break-glass",
        "Glass",
        "--countries",
        "nl,BE",
        "--out",
        &out,
    ];
    assert_eq!(desk.run(&line).exit, Exit::Done);
    let text = std::fs::read_to_string(&out).expect("written");
    assert!(crate::tenant::desired::Desired::read(&text).is_ok());
    assert!(text.contains("countries = [\"NL\", \"BE\"]"));
    assert_eq!(
        desk.run(&["tenant", "preset", "pilot", "--group", "K", "--countries", "Netherlands"]).exit,
        Exit::Usage
    );
}
