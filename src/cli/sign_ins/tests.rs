//! The log against a simulated tenant.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::login::tests::desk;
use crate::cli::testing::Desk;
use crate::ledger::{Append, BlobHash, Entry, Ledger as _};
use crate::model::{Aaguid, BatchId, CredentialId, JobId, KeyRef, MethodId, Person, PortName, TenantId, Upn, UserId};
use crate::sim::tenant::spec::Premium;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec {
        people: vec![PersonSpec { passkeys: 2, ..PersonSpec::new(KIM) }, PersonSpec::new("lee@contoso.example")],
        ..TenantSpec::default()
    };
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

/// Kim's object id and the ids of both passkeys.
fn kim(tenant: &RunningTenant) -> (String, [String; 2]) {
    let state = tenant.state();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let person = &state["people"][0];
    (text(&person["id"]), [text(&person["methods"][0]["id"]), text(&person["methods"][1]["id"])])
}

/// A ledger in which Kim's first passkey was provisioned here.
fn provisioned(desk: &Desk, tenant: &RunningTenant) -> JobId {
    let (id, [method, _]) = kim(tenant);
    let (tenant, user) = (TenantId::new(&tenant.tenant_id), UserId::new(id));
    let job = JobId::derive(&tenant, &user, 1);
    let key = KeyRef {
        aaguid: Aaguid::parse("2fc0579f-8113-47ea-b116-bb5a8db9202a").expect("a GUID"),
        serial: None,
        firmware: None,
        model: None,
        port: PortName::new("1-4"),
    };
    let record = b"record".to_vec();
    let planned =
        Entry::JobPlanned { job: job.clone(), tenant, user: user.clone(), ordinal: 1, batch: BatchId::new("pilot") };
    let person = Person::new(user, Upn::parse(KIM).expect("a UPN"), "Kim");
    let ledger = desk.ledger();
    ledger.append(Append { entries: vec![planned], people: vec![person], ..Append::default() }).expect("planned");
    let (job_id, attempt) = (job.clone(), 1);
    ledger.append(Append::entry(Entry::AttemptStarted { job: job.clone(), attempt, key })).expect("kept");
    let made = Entry::CredentialMade {
        job: job.clone(),
        attempt,
        credential: CredentialId::new(vec![1, 2, 3]),
        record: BlobHash::of(&record),
        expires: jiff::Timestamp::UNIX_EPOCH,
    };
    ledger.append(Append::entry(made).with_document(record)).expect("kept");
    ledger
        .append(Append::entries([
            Entry::Registered { job: job.clone(), attempt, method: MethodId::new(method), found: false },
            Entry::Finished { job, attempt },
        ]))
        .expect("kept");
    job_id
}

fn signs_in(tenant: &RunningTenant, what: serde_json::Value) {
    tenant.person_signs_in(&what).expect("signed in");
}

#[test]
fn the_first_use_of_our_key_is_written_down_once() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    let job = provisioned(&desk, &tenant);
    let (_, [ours, other]) = kim(&tenant);
    let ran = desk.run(&["sign-ins", KIM]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(
        ran.out.contains("has not been used yet") && ran.out.contains("no sign-in in the last 7 days"),
        "{}",
        ran.out
    );

    // Another key of the same person is not ours, although the log can't tell them apart.
    signs_in(&tenant, json!({"upn": KIM, "credential": other}));
    assert!(desk.run(&["sign-ins", KIM]).out.contains("has not been used yet"));

    signs_in(&tenant, json!({"upn": KIM, "credential": ours, "interrupted": true}));
    let ran = desk.run(&["sign-ins", "--batch", "pilot", "--dry-run"]);
    assert!(ran.out.contains("not written down"), "{}", ran.out);
    let ran = desk.run(&["sign-ins", "--batch", "pilot"]);
    assert!(ran.out.contains("is activated") && ran.out.contains("1 of 1 keys are in use"), "{}", ran.out);
    assert!(ran.out.contains("2 sign-ins, 0 failed"), "the interrupted row alarms nobody: {}", ran.out);
    let again = desk.run(&["sign-ins", "--batch", "pilot", "--json"]);
    assert!(again.lines().iter().any(|line| line["event"] == "key" && line["new"] == false), "{}", again.out);

    let ran = desk.run(&["show", job.as_str()]);
    assert_eq!(ran.out.matches("The person has signed in with the key, the first").count(), 1, "{}", ran.out);
    assert!(ran.out.contains("Now: finished; activated"), "{}", ran.out);
    let ran = desk.run(&["status"]);
    assert!(ran.out.contains("1 finished (1 activated)"), "{}", ran.out);
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn a_failure_says_why_and_what_next() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    signs_in(
        &tenant,
        json!({"upn": KIM, "error": 53_003, "reason": "Access has been blocked by Conditional Access policies."}),
    );
    signs_in(&tenant, json!({"upn": KIM, "with": "pass"}));
    signs_in(&tenant, json!({"upn": KIM, "error": 987_654}));
    let ran = desk.run(&["sign-ins", KIM]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    for words in [
        "FAILED to My Signins; Utrecht, NL, 192.0.2.7, Windows11, Edge 141.0.0",
        "A Conditional Access rule blocked the sign-in. (53003) Microsoft: \u{201c}Access has been blocked",
        "Next: The rule's name is in the sign-in log",
        "signed in with Temporary Access Pass to My Signins",
        "Error 987654.",
    ] {
        assert!(ran.out.contains(words), "{words}\n{}", ran.out);
    }
    let ran = desk.run(&["sign-ins", KIM, "--failed", "--json"]);
    let lines = ran.lines();
    let failed: Vec<&str> = lines
        .iter()
        .filter(|line| line["event"] == "sign-in")
        .map(|line| line["outcome"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(failed, ["failed", "failed"]);
}

#[test]
fn without_a_licence_the_use_of_keys_is_told_all_the_same() {
    let tenant = tenant(|spec| spec.premium = Premium::None);
    let desk = desk(&tenant, "secret");
    provisioned(&desk, &tenant);
    let (_, [ours, _]) = kim(&tenant);
    signs_in(&tenant, json!({"upn": KIM, "credential": ours}));
    let ran = desk.run(&["sign-ins", KIM]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(ran.out.contains("is activated"), "{}", ran.out);
    assert!(ran.err.contains("no Microsoft Entra ID P1 or P2 licence"), "{}", ran.err);
}

#[test]
fn a_missing_right_and_an_unknown_name_are_told() {
    let tenant = tenant(|spec| spec.app.permissions.retain(|name| name != "AuditLog.Read.All"));
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["sign-ins", KIM]);
    assert_eq!(ran.exit, Exit::Tenant);
    assert!(ran.err.contains("AuditLog.Read.All") && ran.err.contains("keybench whoami --for sign-ins"), "{}", ran.err);
    let ran = desk.run(&["sign-ins", "nobody@contoso.example"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("nobody@contoso.example"), "{}", ran.err);
    desk.story();
    assert!(desk.run(&["sign-ins", "--batch", "no-such"]).err.contains("no batch no-such"));
}
