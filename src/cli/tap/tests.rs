//! The commands against the simulated tenant, as a person types them.

use serde_json::json;

use crate::cli::testing::{Desk, Sink};
use crate::cli::{Exit, Level, Output, Style};
use crate::ledger::{Entry, Ledger as _, TenantEntry};
use crate::sim::tenant::spec::UserType;
use crate::sim::tenant::{FaultRule, PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";

fn spec() -> TenantSpec {
    let mut spec = TenantSpec {
        people: vec![PersonSpec::new(KIM), PersonSpec::new("lee@contoso.example")],
        ..TenantSpec::default()
    };
    spec.people[1].passkeys = 1;
    spec.people.push(PersonSpec { user_type: UserType::Guest, ..PersonSpec::new("guest@contoso.example") });
    spec.people.push(PersonSpec { enabled: false, ..PersonSpec::new("leaver@contoso.example") });
    spec.people
        .push(PersonSpec { roles: vec!["User Administrator".into()], ..PersonSpec::new("chief@contoso.example") });
    spec
}

fn open(spec: TenantSpec) -> (RunningTenant, Desk) {
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let desk = Desk::at(&tenant);
    (tenant, desk)
}

const ISSUE: [&str; 7] = ["tap", "issue", KIM, "--by", "call", "--identified", "called back"];

fn issue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ISSUE.iter().copied().chain(["--to-stdout"]).chain(more.iter().copied()).collect()
}

fn entries(desk: &Desk) -> Vec<TenantEntry> {
    let mut all = Vec::new();
    let ledger = crate::ledger::open_reader(&desk.path("ledger.db")).expect("a ledger");
    ledger
        .visit(1, &mut |recorded| {
            if let Entry::Tenant(entry) = recorded.entry {
                all.push(entry);
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    all
}

#[test]
fn a_pass_is_shown_once_written_down_counted_and_swept() {
    let (tenant, desk) = open(spec());
    let ran = desk.run(&issue(&[]));
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    let code = ran.out.trim_end().to_owned();
    assert_eq!((ran.out.lines().count(), code.len()), (1, 8), "the code and nothing else: {}", ran.out);
    assert!(
        ran.err.contains("One-time pass for kim@contoso.example, until") && !ran.err.contains(&code),
        "{}",
        ran.err
    );

    let all = entries(&desk);
    let [
        TenantEntry::AccountChangeIntended { area, before: None, sent: Some(_), .. },
        TenantEntry::PassIssued { one_time, minutes, identified, .. },
        TenantEntry::ChangeDone { request: Some(_), .. },
    ] = all.as_slice()
    else {
        panic!("{all:?}");
    };
    assert_eq!((area.as_str(), *one_time, *minutes, identified.as_str()), ("pass", true, 60, "call: called back"));

    assert!(desk.run(&["status"]).out.contains("1 Temporary Access Pass may still work"));
    let listed = desk.run(&["tap", "list"]);
    assert!(listed.out.contains("one-time") && listed.out.contains("OPEN"), "{}", listed.out);
    assert!(!listed.out.contains(&code));

    // Kim has no passkey: the pass stays.
    let swept = desk.run(&["tap", "sweep", KIM]);
    assert!(swept.out.contains("no passkey yet") && swept.out.contains("0 deleted, 1 kept"), "{}", swept.out);
    // A second pass takes the first one's place.
    let again = desk.run(&issue(&["--multi-use", "--minutes", "480"]));
    assert!(again.err.contains("The pass they had is deleted") && again.err.contains("Multi-use"), "{}", again.err);
    assert_ne!(again.out.trim_end(), code);
    assert!(desk.run(&["status"]).out.contains("1 Temporary Access Pass"));
    let revoked = desk.run(&["tap", "revoke", KIM, "--reason", "wrong person"]);
    assert!(revoked.out.contains("Deleted the pass of kim"), "{}", revoked.out);
    assert!(!desk.run(&["status"]).out.contains("Temporary Access Pass"));
    assert!(
        entries(&desk)
            .iter()
            .any(|entry| matches!(entry, TenantEntry::MethodRemoved { reason, .. } if reason == "wrong person"))
    );
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
    let user = tenant.state()["people"][0]["id"].as_str().expect("an id").to_owned();
    let story = desk.run(&["show", &user]).out;
    assert!(story.contains("Temporary Access Pass was issued") && story.contains("Reason: wrong person"), "{story}");
    assert!(story.contains("is made (request "), "{story}");
}

#[test]
fn sweep_deletes_only_passes_of_people_with_a_passkey() {
    let (_tenant, desk) = open(spec());
    for upn in [KIM, "lee@contoso.example"] {
        let line = ["tap", "issue", upn, "--by", "in-person", "--identified", "passport", "--to-stdout"];
        assert_eq!(desk.run(&line).exit, Exit::Done);
    }
    let dry = desk.run(&["tap", "sweep", "--dry-run"]);
    assert!(dry.out.contains("would be deleted") && dry.out.contains("1 would be deleted, 1 kept"), "{}", dry.out);
    let swept = desk.run(&["tap", "sweep"]);
    assert!(swept.out.contains("1 deleted, 1 kept"), "{}", swept.out);
    let listed = desk.run(&["tap", "list", KIM, "lee@contoso.example"]);
    assert!(
        listed.out.contains("kim@contoso.example: one-time") && !listed.out.contains("lee@contoso.example:"),
        "{}",
        listed.out
    );
}

#[test]
fn what_forbids_a_pass_is_said_before_anything_is_made() {
    let mut narrow = spec();
    narrow.tap.exclude_groups = vec!["No passes".into()];
    narrow.people[1].groups = vec!["No passes".into()];
    let (tenant, desk) = open(narrow);
    let refused = |line: &[&str], words: &[&str]| {
        let ran = desk.run(line);
        assert_eq!(ran.exit, Exit::Usage, "{line:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{}", ran.out);
        for word in words {
            assert!(ran.err.contains(word), "{line:?} lacks {word:?}: {}", ran.err);
        }
    };
    let to = |upn: &'static str| vec!["tap", "issue", upn, "--by", "call", "--identified", "x", "--to-stdout"];
    refused(&["tap", "issue", KIM, "--by", "post"], &["not sent by post", "owns the account", "--by call"]);
    refused(&["tap", "issue", KIM, "--by", "message", "--identified", "x"], &["not sent by message"]);
    refused(&ISSUE, &["stdout is not a terminal", "--to-stdout"]);
    refused(&["tap", "issue", KIM, "--by", "call", "--to-stdout"], &["Nobody said how", "--identified"]);
    refused(&to("nobody@contoso.example"), &["nobody by the name"]);
    refused(&to("guest@contoso.example"), &["guests sign in where they belong"]);
    refused(&to("leaver@contoso.example"), &["disabled"]);
    refused(&to("chief@contoso.example"), &["User Administrator", "--allow-privileged"]);
    refused(&to("lee@contoso.example"), &["policy for passes is not for them"]);
    refused(&issue(&["--minutes", "481"]), &["60 to 480 minutes"]);
    refused(&issue(&["--start", "2020-01-01T00:00Z"]), &["begin in the past"]);
    refused(&issue(&["--start", "2126-01-01T00:00Z"]), &["more than 24 hours"]);
    let dry = desk.run(&["tap", "issue", KIM, "--by", "call", "--identified", "x", "--dry-run"]);
    assert!(
        dry.exit == Exit::Done && dry.out.is_empty() && dry.err.contains("Would issue a one-time pass of 60"),
        "{}",
        dry.err
    );
    assert_eq!(tenant.state()["requests"]["issuePass"], json!(null), "nothing was asked for");
    assert!(!desk.path("ledger.db").exists());

    let mut off = spec();
    off.tap.enabled = false;
    let (_tenant, desk) = open(off);
    let ran = desk.run(&issue(&[]));
    assert!(ran.err.contains("is off in this tenant") && ran.err.contains("turn on"), "{}", ran.err);
    let mut once = spec();
    once.tap.once_only = true;
    let (_tenant, desk) = open(once);
    assert!(desk.run(&issue(&["--multi-use"])).err.contains("makes every pass one-time"));
}

#[test]
fn a_pass_whose_code_was_lost_is_deleted() {
    let (tenant, desk) = open(spec());
    let lose: FaultRule =
        serde_json::from_value(json!({"on": "issuePass", "times": 1, "then": "lose"})).expect("a rule");
    tenant.add_fault(lose).expect("added");
    let ran = desk.run(&issue(&[]));
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Tenant, ""), "{}", ran.err);
    assert!(ran.err.contains("no code to show") && ran.err.contains("it was deleted"), "{}", ran.err);
    assert!(desk.run(&["tap", "list", KIM]).out.contains("No open pass"));
    assert!(entries(&desk).iter().any(|entry| matches!(entry, TenantEntry::MethodRemoved { .. })));
    // The next try works.
    assert_eq!(desk.run(&issue(&[])).exit, Exit::Done);
}

#[test]
fn a_refusal_names_the_permission_and_is_written_down() {
    let mut poor = spec();
    poor.app.permissions.retain(|scope| !scope.contains("TAP") && scope != "UserAuthenticationMethod.ReadWrite.All");
    poor.app.permissions.push("UserAuthMethod-TAP.Read.All".into());
    let (_tenant, desk) = open(poor);
    let ran = desk.run(&issue(&[]));
    assert_eq!(ran.exit, Exit::Tenant);
    assert!(
        ran.err.contains("UserAuthMethod-TAP.ReadWrite.All") && ran.err.contains("Authentication Administrator"),
        "{}",
        ran.err
    );
    assert!(matches!(
        entries(&desk).as_slice(),
        [TenantEntry::AccountChangeIntended { .. }, TenantEntry::ChangeFailed { code, .. }] if code == "graph-forbidden"
    ));
}

#[test]
fn advice_needs_no_tenant() {
    let desk = Desk::new(1);
    let ran = desk.run(&["tap", "advise", "--use", "windows,browser", "--restart", "--json"]);
    assert_eq!(ran.exit, Exit::Done);
    let last = ran.lines().pop().expect("a line");
    assert_eq!(last, json!({"event": "advised", "pass": "neither"}));
    assert!(desk.run(&["tap", "advise", "--use", "windows", "--has-key"]).out.contains("No pass is needed"));
}

/// A stream whose reader has gone, or whose disk is full.
struct Nowhere(std::io::ErrorKind);

impl std::io::Write for Nowhere {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn a_pass_whose_code_nobody_saw_is_deleted_again() {
    for kind in [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::StorageFull] {
        let (tenant, desk) = open(spec());
        let err = Sink::default();
        let style = Style {
            json: false,
            color: false,
            level: Level::Normal,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        };
        let output = Output::new(Box::new(Nowhere(kind)), Box::new(err.clone()), style);
        assert_eq!(desk.run_into(&output, &issue(&[])), Exit::Usage, "{}", err.text());
        assert!(err.text().contains("The pass was deleted again"), "{}", err.text());
        let all = entries(&desk);
        assert!(
            matches!(
                &all[3..],
                [
                    TenantEntry::AccountChangeIntended { .. },
                    TenantEntry::MethodRemoved { .. },
                    TenantEntry::ChangeDone { .. }
                ]
            ),
            "{all:?}"
        );
        assert!(!desk.run(&["tap", "list", KIM]).out.contains("OPEN"));
        drop(tenant);
    }
}
