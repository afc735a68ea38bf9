//! The registration, against the simulated tenant, which checks every id by a table of its own.

use serde_json::Value;

use crate::cli::Exit;
use crate::cli::login::tests::desk;
use crate::sim::tenant::{RunningTenant, TenantSpec, start};

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec::from_people_argument("1").expect("people");
    spec.sign_in.roles = vec!["Cloud Application Administrator".into()];
    spec.app.delegated.push("Application.ReadWrite.All".into());
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

#[test]
fn everything_that_goes_into_the_portal_is_printed() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    let ran = desk.run(&["tenant", "app", "--for", "run", "--for", "sign-ins"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    for words in [
        "App registration for: run, sign-ins, login, whoami",
        "redirect URI http://localhost",
        "AuditLog.Read.All                            e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20",
        "/adminconsent?client_id=",
        "AADSTS65001:",
        "AADSTS7000218:",
        "Authentication Administrator or Privileged Authentication Administrator",
    ] {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    assert!(!ran.out.contains("Application.ReadWrite.All"), "the bench needs no right to change registrations");
    let ran = desk.run(&["tenant", "app", "--for", "all", "--app-only", "--json"]);
    let manifest = &ran.lines()[0]["manifest"];
    assert!(manifest["publicClient"].is_null());
    let access = manifest["requiredResourceAccess"][0]["resourceAccess"].as_array().expect("a list");
    assert!(access.len() > 15 && access.iter().all(|one| one["type"] == "Role" && one["id"].is_string()));
    assert_eq!(tenant.state()["requests"], serde_json::json!({}), "printing asks nobody");
}

#[test]
fn it_is_made_written_down_and_shown_with_what_comes_next() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    let client = tenant.client_id.clone();
    let dry = desk.run(&["tenant", "app", "--for", "all", "--create", "--dry-run"]);
    assert!(dry.exit == Exit::Done && dry.out.contains("Nothing was sent"), "{}", dry.err);
    let unasked = desk.run(&["tenant", "app", "--create"]);
    assert_eq!((unasked.exit, tenant.state()["requests"]["applications"].as_u64()), (Exit::Usage, None));

    let ran = desk.run(&["tenant", "app", "--for", "all", "--create", "--yes", "--sign-in-with", &client]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("Made: application (client) id") && ran.out.contains("adminconsent"), "{}", ran.out);
    assert_eq!(tenant.state()["requests"]["applications"], 2);
    let mut acts = Vec::new();
    crate::ledger::Ledger::visit(&desk.ledger(), 1, &mut |recorded| {
        let json: Value = serde_json::to_value(&recorded.entry).unwrap_or_default();
        acts.push(json.to_string());
        std::ops::ControlFlow::Continue(())
    })
    .expect("read");
    assert_eq!(acts.iter().filter(|act| act.contains("change-intended")).count(), 2, "{acts:?}");
    assert_eq!(acts.iter().filter(|act| act.contains("change-done")).count(), 2, "{acts:?}");
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn a_missing_role_is_explained_and_written_down() {
    let tenant = tenant(|spec| spec.sign_in.roles = vec!["Global Reader".into()]);
    let desk = desk(&tenant, "browser");
    let client = tenant.client_id.clone();
    let ran = desk.run(&["tenant", "app", "--create", "--yes", "--sign-in-with", &client]);
    assert_eq!(ran.exit, Exit::Tenant, "{}", ran.out);
    assert!(ran.err.contains("Application Developer") && ran.err.contains("by hand"), "{}", ran.err);
}

#[test]
fn error_numbers_are_explained() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    for code in ["AADSTS65001", "65001", "aadsts7000218"] {
        let ran = desk.run(&["tenant", "app", "--explain", code]);
        assert!(ran.exit == Exit::Done && ran.out.contains("Next: "), "{code} {}", ran.err);
    }
    assert_eq!(desk.run(&["tenant", "app", "--explain", "12"]).exit, Exit::Usage);
}
