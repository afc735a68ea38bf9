//! The command against a simulated tenant: exit codes, words, figures, and a run that stops with the same words.

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::testing::{Desk, Ran};
use crate::sim::tenant::{RunningTenant, TenantSpec, start};

const AAGUID: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec::from_people_argument("3").expect("people");
    spec.policies.access_per_second = 0;
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

/// A bench with settings for this tenant and a roster of everybody, so many keys each.
fn desk(tenant: &RunningTenant, keys: u32) -> Desk {
    let desk = Desk::new(1);
    desk.write("secret", &tenant.client_secret);
    let recipient = desk.custodians[0].recipient();
    desk.settings(&format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\n\
         login_url = \"{}\"\n[escrow]\nrecipients = [\"{recipient}\"]\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    ));
    let rows: String = tenant.upns.iter().map(|upn| format!("{upn},{keys}\n")).collect();
    desk.write("people.csv", &format!("upn,keys\n{rows}"));
    desk
}

fn check(desk: &Desk, more: &[&str]) -> Ran {
    let roster = desk.path("people.csv").display().to_string();
    let line = ["tenant", "check", "--roster", &roster, "--aaguid", AAGUID];
    desk.run(&line.iter().chain(more).copied().collect::<Vec<_>>())
}

/// The checks with this verdict, and the summary.
fn with(ran: &Ran, verdict: &str) -> Vec<String> {
    let lines = ran.lines();
    let of = lines.iter().filter(|line| line["event"] == "check" && line["verdict"] == verdict);
    of.map(|line| line["id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn finding(ran: &Ran, id: &str) -> Value {
    ran.lines().into_iter().find(|line| line["id"] == id).unwrap_or_else(|| panic!("nothing of {id}: {}", ran.out))
}

#[test]
fn each_exit_code_is_what_was_found() {
    let tenant = tenant(|spec| {
        spec.app.permissions.push("UserAuthMethod-HardwareOATH.ReadWrite.All".to_owned());
        let on = json!({ "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }] });
        spec.policies.methods.insert("HardwareOath".to_owned(), on.as_object().cloned().expect("an object"));
    });
    // What only an administrator can say is unknown until it is said; then it stands in the ledger.
    let desk = desk(&tenant, 2);
    let ran = check(&desk, &["--json"]);
    assert_eq!((with(&ran, "fail"), with(&ran, "warn")), (vec![], vec![]), "{}", ran.out);
    assert!(with(&ran, "unknown").contains(&"PF05".to_owned()), "{}", ran.out);
    assert_eq!(ran.exit, Exit::CheckUnknown, "{}", ran.out);
    assert_eq!(check(&desk, &["--strict", "--json"]).exit, Exit::CheckFails);
    assert_eq!(desk.run(&["tenant", "confirm", "names-stay", "done"]).exit, Exit::Done);
    let ran = check(&desk, &["--json"]);
    assert!(with(&ran, "pass").contains(&"PF05".to_owned()), "{}", ran.out);
    assert!(finding(&ran, "PF05")["evidence"][0]["value"].as_str().is_some_and(|value| value.contains("said by")));

    // Tokens leave people with no strong method: a warning, until recovery is written down.
    let ran = check(&desk, &["--mode", "oath", "--json"]);
    assert_eq!((ran.exit, with(&ran, "warn")), (Exit::CheckWarns, vec!["PF32".to_owned()]), "{}", ran.out);
    assert_eq!(check(&desk, &["--mode", "oath", "--strict"]).exit, Exit::CheckFails);
    assert_eq!(desk.run(&["tenant", "confirm", "recovery", "done"]).exit, Exit::Done);
    let ran = check(&desk, &["--mode", "oath", "--json"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.out);

    let summary = ran.lines().pop().expect("a summary");
    assert_eq!(
        (&summary["event"], &summary["exit"], &summary["people"]),
        (&json!("tenant-check"), &json!(0), &json!(3))
    );
    let accounts = json!({ "question": "accounts", "requests": 1, "retries": 0 });
    assert!(summary["requests"].as_array().is_some_and(|all| all.contains(&accounts)), "{summary}");
    assert!(!ran.out.contains(&tenant.client_secret) && !ran.err.contains(&tenant.client_secret));
}

#[test]
fn a_run_stops_with_the_same_words_and_nothing_is_started() {
    let tenant = tenant(|spec| spec.policy.self_service = false);
    let desk = desk(&tenant, 1);
    let checked = check(&desk, &["--json"]);
    assert_eq!((checked.exit, with(&checked, "fail")), (Exit::CheckFails, vec!["PF08".to_owned()]), "{}", checked.out);
    let found = finding(&checked, "PF08");
    let what = found["what"].as_str().expect("a sentence");
    assert_eq!(found["evidence"][0]["field"], "Fido2.isSelfServiceRegistrationAllowed");
    assert_eq!(found["evidence"][0]["value"], "false");
    assert!(found["remedy"]["api"].as_str().is_some_and(|api| api.starts_with("PATCH /v1.0/policies")));
    let roster = desk.path("people.csv").display().to_string();
    let run = desk.run(&["run", &roster, "--sim-keys", "1"]);
    assert_eq!(run.exit, Exit::Tenant, "{}", run.err);
    assert!(run.err.contains(what), "{what}\n{}", run.err);
    assert!(run.err.contains("PF08") && run.err.contains("Next: "), "{}", run.err);
    assert_eq!(tenant.state()["requests"]["register"], Value::Null, "no key was asked for");
}

#[test]
fn a_run_lists_what_is_unknown_and_goes_on_and_strict_stops() {
    let tenant = tenant(|spec| spec.app.permissions.retain(|held| !held.starts_with("Policy.Read")));
    let desk = desk(&tenant, 1);
    let roster = desk.path("people.csv").display().to_string();
    let stopped = desk.run(&["run", &roster, "--sim-keys", "2", "--strict"]);
    assert_eq!(stopped.exit, Exit::SomeFailed, "{}", stopped.err);
    assert!(stopped.err.contains("--strict") && stopped.err.contains("UNKNOWN"), "{}", stopped.err);
    let ran = desk.run(&["run", &roster, "--sim-keys", "2"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.err.contains("UNKNOWN PF19 signing in") && ran.err.contains("Policy.Read.All"), "{}", ran.err);
}

#[test]
fn the_table_reads_from_the_worst_down() {
    let tenant = tenant(|spec| {
        spec.policy.enabled = false;
        spec.people[1].enabled = false;
        spec.policies.security_defaults = true;
    });
    let desk = desk(&tenant, 1);
    let ran = check(&desk, &["--apply"]);
    assert_eq!(ran.exit, Exit::CheckFails);
    let at = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("no {text} in\n{}", ran.out));
    assert!(at("FAIL     PF06 passkeys on") < at("WARN     PF04 accounts") && at("WARN     PF04") < at("passed   PF"));
    assert!(
        ran.out.contains("FAIL     PF22 break-glass") && ran.out.contains("FAIL     PF23 security defaults"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("saw   GET /v1.0/policies/authenticationMethodsPolicy: Fido2.state = disabled"),
        "{}",
        ran.out
    );
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("Error")).count(), 0, "{}", ran.err);
}
