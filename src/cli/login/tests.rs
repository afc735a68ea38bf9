//! Sign in once, against the simulated tenant; the browser is played, the keyring is in memory.

use super::commands;
use crate::cli::Exit;
use crate::cli::testing::{Desk, Ran};
use crate::platform::keyring::pretend_absent;
use crate::sim::tenant::spec::Premium;
use crate::sim::tenant::{RunningTenant, TenantSpec, start};

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec::from_people_argument("3").expect("people");
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

/// A bench whose operator signs in with the browser.
pub(in crate::cli) fn desk(tenant: &RunningTenant, auth: &str) -> Desk {
    let desk = Desk::new(1);
    let recipient = desk.custodians[0].recipient();
    desk.write("secret", &tenant.client_secret);
    desk.settings(&format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"{auth}\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\n\
         login_url = \"{}\"\n[escrow]\nrecipients = [\"{recipient}\"]\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    ));
    desk
}

/// How often somebody sat at the browser.
fn pages(tenant: &RunningTenant) -> u64 {
    tenant.state()["requests"]["authorize"].as_u64().unwrap_or(0)
}

fn line<'a>(ran: &'a [serde_json::Value], event: &str) -> &'a serde_json::Value {
    ran.iter().find(|line| line["event"] == event).expect("the event")
}

#[test]
fn one_sign_in_serves_the_commands_that_follow_until_logout() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    let ran = desk.run(&["login"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("Signed in as bench.admin@contoso.example; kept in "), "{}", ran.out);
    assert!(
        ran.out.contains("Authentication Administrator") && ran.out.contains("`run`: nothing is missing"),
        "{}",
        ran.out
    );
    assert_eq!(pages(&tenant), 1);
    for _ in 0..2 {
        let ran = desk.run(&["whoami", "--json"]);
        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
        let lines = ran.lines();
        assert!(line(&lines, "whoami")["kept"].is_string());
        assert_eq!(line(&lines, "whoami")["account"], "bench.admin@contoso.example");
        // The least that this command needs, although more has consent.
        let scopes = line(&lines, "whoami")["permissions"].as_array().expect("a list").len();
        assert_eq!(scopes, 2, "{}", ran.out);
    }
    assert_eq!(pages(&tenant), 1, "the kept sign-in was renewed without a person");
    let ran = desk.run(&["logout"]);
    assert_eq!(ran.exit, Exit::Done);
    assert!(desk.run(&["logout"]).out.contains("No sign-in was kept"));
    desk.run(&["whoami"]);
    assert_eq!(pages(&tenant), 2);
}

/// A stolen key must not have to wait for somebody who knows of `keybench login`.
#[test]
fn a_lost_key_and_a_comparison_ask_for_the_sign_in_themselves() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    let jobs = desk.story();
    let compared = desk.run(&["reconcile"]);
    assert_eq!((compared.exit, pages(&tenant)), (Exit::SomeFailed, 1), "{}{}", compared.out, compared.err);
    let leaves = desk.run(&["leaver", "sam@contoso.example", "--reason", "left", "--revoke-sessions", "--dry-run"]);
    assert!(leaves.out.contains("no key of theirs is registered"), "{}{}", leaves.out, leaves.err);
    assert_eq!(pages(&tenant), 1, "nothing was to be asked");
    let lost = desk.run(&["lost", jobs[0].as_str(), "--reason", "stolen", "--yes"]);
    assert_eq!((lost.exit, pages(&tenant)), (Exit::Done, 2), "{}{}", lost.out, lost.err);
}

/// The refresh token stands nowhere but in the keyring.
#[test]
fn no_token_is_printed_or_logged() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    let mut said = String::new();
    for line in [&["login"][..], &["whoami", "-vv"], &["whoami", "--json"], &["doctor"], &["logout"]] {
        let Ran { out, err, .. } = desk.run(line);
        said.push_str(&out);
        said.push_str(&err);
    }
    // The simulated tenant's refresh tokens and access tokens begin so.
    for token in ["0.", "eyJ"] {
        assert!(!said.split([' ', '"', '\n', '=']).any(|word| word.starts_with(token) && word.len() > 40), "{said}");
    }
    for entry in std::fs::read_dir(desk.path(".")).expect("a folder").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("refresh"), "{}", entry.path().display());
    }
}

#[test]
fn a_session_that_was_revoked_is_asked_for_again_and_kept_anew() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    desk.run(&["login"]);
    tenant
        .add_fault(
            serde_json::from_value(serde_json::json!({"on": "token", "then": "revoke", "times": 1})).expect("a rule"),
        )
        .expect("added");
    let ran = desk.run(&["whoami"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(pages(&tenant), 2, "{}", ran.out);
    assert!(ran.out.contains("Kept         no"), "what a person signed in for one command is not kept: {}", ran.out);
}

#[test]
fn without_a_keyring_nobody_is_asked_to_sign_in() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "browser");
    pretend_absent(true);
    let ran = desk.run(&["login"]);
    // Other commands do without.
    let other = desk.run(&["whoami"]);
    pretend_absent(false);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("there is no keyring here") && ran.err.contains("Nobody was asked"), "{}", ran.err);
    assert_eq!(other.exit, Exit::Done, "{}", other.err);
    assert_eq!(pages(&tenant), 1);
}

#[test]
fn a_role_that_waits_to_be_activated_is_named() {
    let tenant = tenant(|spec| {
        spec.sign_in.roles = vec!["Global Reader".into()];
        spec.sign_in.eligible_roles = vec!["Authentication Administrator".into()];
    });
    let desk = desk(&tenant, "browser");
    let ran = desk.run(&["login"]);
    assert!(ran.out.contains("Authentication Administrator is NOT active"), "{}", ran.out);
    let ran = desk.run(&["whoami", "--for", "run"]);
    assert_eq!(ran.exit, Exit::SomeFailed);
    assert!(ran.out.contains("activate Authentication Administrator in Privileged Identity Management"), "{}", ran.out);
    assert!(!ran.out.contains("these permissions are missing"), "what is asked about is asked for: {}", ran.out);
}

#[test]
fn a_clock_that_is_wrong_is_told_with_its_error() {
    let tenant = tenant(|_| {});
    tenant.advance(90);
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["whoami"]);
    assert!(
        ran.out.contains("s behind Graph's") && ran.err.contains("this machine's clock is wrong"),
        "{}{}",
        ran.out,
        ran.err
    );
    let lines = desk.run(&["whoami", "--json"]).lines();
    let ahead = line(&lines, "whoami")["clock_ahead_seconds"].as_i64().expect("a number");
    assert!((-92..=-88).contains(&ahead), "{ahead}");
}

#[test]
fn a_tenant_without_pim_or_the_right_to_ask_is_no_error() {
    let free = tenant(|spec| spec.premium = Premium::P1);
    let ran = desk(&free, "browser").run(&["whoami", "--json"]);
    assert_eq!(line(&ran.lines(), "whoami")["eligibility"], "no-licence", "{}", ran.err);
    let narrow = tenant(|spec| spec.app.delegated = vec!["User.Read".into(), "User.Read.All".into()]);
    let desk = desk(&narrow, "browser");
    // Entra refuses what has no consent, and says what to do.
    let ran = desk.run(&["login"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("AADSTS65001") && ran.err.contains("keybench tenant app"), "{}", ran.err);
    // What the registration lists can be taken instead, and later commands make do with it.
    let ran = desk.run(&["login", "--as-registered"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    let ran = desk.run(&["whoami", "--json"]);
    assert_eq!(line(&ran.lines(), "whoami")["eligibility"], "not-allowed", "{}", ran.err);
}

#[test]
fn an_application_has_nothing_to_keep() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["login"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("Nothing is kept") && ran.out.contains("an application needs none"), "{}", ran.out);
}

#[test]
fn an_app_that_is_no_public_client_is_explained() {
    let tenant = tenant(|spec| spec.app.public_client = false);
    let ran = desk(&tenant, "browser").run(&["login"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("AADSTS7000218") && ran.err.contains("Allow public client flows"), "{}", ran.err);
}

#[test]
fn commands_are_named_as_they_are_typed() {
    let names =
        |name: &str| commands(&[name.to_owned()]).map(|rows| rows.iter().map(|row| row.command).collect::<Vec<_>>());
    assert_eq!(names("keybench  Sign-Ins").expect("known"), ["sign-ins"]);
    assert_eq!(names("status").expect("known"), Vec::<&str>::new());
    assert!(names("tap").expect("a group").len() > 2);
    let error = names("sign-inz").expect_err("unknown");
    assert!(error.next.contains("`sign-ins`"), "{error}");
}
