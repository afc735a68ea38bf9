//! The report against a simulated tenant.

use crate::cli::Exit;
use crate::cli::login::tests::desk;
use crate::sim::tenant::spec::Premium;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let person = |upn: &str, passkeys: u32, registered: &[&str]| PersonSpec {
        groups: vec!["Key holders".into()],
        passkeys,
        registered: registered.iter().map(|name| (*name).to_owned()).collect(),
        sspr: upn.starts_with("sam"),
        ..PersonSpec::new(format!("{upn}@contoso.example"))
    };
    let mut spec = TenantSpec {
        people: vec![
            person("kim", 1, &["microsoftAuthenticatorPush"]),
            person("sam", 1, &["temporaryAccessPass"]),
            person("lee", 0, &["mobilePhone"]),
            PersonSpec { enabled: false, ..person("leaver", 0, &[]) },
        ],
        ..TenantSpec::default()
    };
    // A page holds two, so that pages are followed.
    spec.quirks.max_page_size = 2;
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

#[test]
fn a_group_is_reported_as_text_table_and_page() {
    let tenant = tenant(|_| {});
    tenant.person_signs_in(&serde_json::json!({"upn": "kim@contoso.example"})).expect("signed in");
    let desk = desk(&tenant, "secret");
    let (html, csv) = (desk.path("a.html").display().to_string(), desk.path("a.csv").display().to_string());
    let ran = desk.run(&["report", "adoption", "--group", "Key holders", "--html", &html, "--csv", &csv]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    for line in [
        "Key registered                       2 of 4",
        "Key used to sign in                  1 of 4",
        "Second strong authenticator          1 of 4",
        "Temporary Access Pass left over      1 of 4",
        "Password reset still on              1 of 4, 1 unknown",
        "sam@contoso.example: have them sign in with the key once; add a second authenticator; delete the left-over pass",
        "lee@contoso.example: give them a key",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    let page = std::fs::read_to_string(&html).expect("written");
    assert!(page.contains("kim<wbr>@contoso.example") && page.contains("25 %"));
    let table = std::fs::read_to_string(&csv).expect("written");
    assert_eq!(table.lines().count(), 5);
    assert!(table.contains("\"kim@contoso.example\"") && table.contains("\"fido2\""), "{table}");

    let ran = desk.run(&["report", "adoption", "--group", "Key holders", "--json"]);
    let lines = ran.lines();
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["event"], &summary["key"]["yes"]), (&"adoption".into(), &2.into()));
    assert_eq!(lines.iter().filter(|line| line["event"] == "person").count(), 4);
}

#[test]
fn without_a_licence_the_report_is_unknown_and_the_methods_are_told() {
    let tenant = tenant(|spec| spec.premium = Premium::None);
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["report", "adoption", "--group", "Key holders"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.err.contains("without Entra ID P1"), "{}", ran.err);
    assert!(ran.out.contains("MFA registered                       0 of 4, 4 unknown"), "{}", ran.out);
    assert!(ran.out.contains("Key registered                       2 of 4"), "{}", ran.out);
}

#[test]
fn a_missing_right_is_named() {
    let tenant = tenant(|spec| spec.app.permissions.retain(|name| name != "AuditLog.Read.All"));
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["report", "adoption", "--group", "Key holders"]);
    assert_eq!(ran.exit, Exit::Tenant);
    assert!(ran.err.contains("AuditLog.Read.All") && ran.err.contains("whoami"), "{}", ran.err);
    let ran = desk.run(&["report", "adoption", "--group", "Nobody's"]);
    assert!(ran.err.contains("no group named"), "{}", ran.err);
}
