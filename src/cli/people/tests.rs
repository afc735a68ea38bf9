//! The commands against the simulated tenant, as a person types them.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::testing::Desk;
use crate::ledger::{Entry, Ledger as _, TenantEntry};
use crate::sim::tenant::spec::{DomainSpec, GroupSpec, LicenceSpec};
use crate::sim::tenant::{FaultRule, PersonSpec, RunningTenant, TenantSpec, start};

fn spec() -> TenantSpec {
    let group = |name: &str| GroupSpec { name: name.into(), ..GroupSpec::default() };
    TenantSpec {
        people: vec![PersonSpec { usage_location: None, ..PersonSpec::new("old@contoso.example") }],
        groups: vec![
            group("Pilot"),
            group("SSPR"),
            GroupSpec { dynamic: true, ..group("By rule") },
            GroupSpec { role_assignable: true, ..group("Tier 0") },
        ],
        licences: vec![LicenceSpec { name: "SPE_E5".into(), seats: 3 }],
        other_domains: vec![
            DomainSpec { name: "new.example".into(), verified: false, federated: false },
            DomainSpec { name: "adfs.example".into(), verified: true, federated: true },
        ],
        ..TenantSpec::default()
    }
}

fn open(spec: TenantSpec) -> (RunningTenant, Desk) {
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let desk = Desk::at(&tenant);
    (tenant, desk)
}

fn writes(tenant: &RunningTenant) -> u64 {
    let state = tenant.state();
    ["createUser", "changeUser", "assignLicense", "createGroup", "addMember", "removeMember"]
        .iter()
        .filter_map(|kind| state["requests"][kind].as_u64())
        .sum()
}

const TWO: &str = "upn,display_name,usage_location,licence,group\n\
                   kim.o'reilly@contoso.example,Kim O'Reilly,IE,spe_e5,Pilot;SSPR\n\
                   old@contoso.example,Old Hand,NL,SPE_E5,Pilot\n";

#[test]
fn people_are_made_with_licence_and_groups_and_a_second_run_changes_nothing() {
    let (tenant, desk) = open(spec());
    desk.write("new.csv", TWO);
    let file = desk.path("new.csv").display().to_string();
    let dry = desk.run(&["people", "create", &file, "--dry-run"]);
    assert!(
        dry.out.contains(
            "line 2: kim.o'reilly@contoso.example would be made; would get SPE_E5; would be put into Pilot, SSPR"
        ),
        "{}",
        dry.out
    );
    assert!(
        dry.out.contains("1 would be made, 1 completed. Nothing was changed.") && writes(&tenant) == 0,
        "{}",
        dry.out
    );

    let ran = desk.run(&["people", "create", &file]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("kim.o'reilly@contoso.example made; licence SPE_E5; put into Pilot, SSPR"), "{}", ran.out);
    assert!(
        ran.out.contains("old@contoso.example already there; licence SPE_E5; put into Pilot; has another display name"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("1 made, 0 already there, 1 completed, 0 failed."), "{}", ran.out);
    assert!(ran.err.contains("Waiting until kim.o'reilly@contoso.example can be given a key or a pass"), "{}", ran.err);

    let before = writes(&tenant);
    let again = desk.run(&["people", "create", &file]);
    assert!(again.out.contains("0 made, 2 already there, 0 completed, 0 failed."), "{}", again.out);
    assert_eq!(writes(&tenant), before, "nothing was written");

    let (mut made, mut document) = (0, None);
    let ledger = crate::ledger::open_reader(&desk.path("ledger.db")).expect("a ledger");
    let mut intents = std::collections::BTreeSet::new();
    ledger
        .visit(1, &mut |recorded| {
            match &recorded.entry {
                Entry::Tenant(TenantEntry::PersonCreated { sent, .. }) => {
                    document = *sent;
                    made += 1;
                }
                Entry::Tenant(TenantEntry::AccountChangeIntended { change, .. }) => {
                    assert!(intents.insert(change.clone()))
                }
                Entry::Tenant(TenantEntry::ChangeDone { change, request, .. }) => {
                    assert!(intents.remove(change) && request.is_some());
                }
                _ => {}
            }
            // The chain holds no names.
            assert!(!serde_json::to_string(&recorded.entry).expect("JSON").contains("kim"));
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    assert_eq!((made, intents.len()), (1, 0), "every intention has its outcome");
    let kept = ledger.blob(document.expect("named")).expect("read").expect("kept");
    let kept = String::from_utf8(kept).expect("text");
    assert!(kept.contains("Kim O'Reilly") && !kept.contains("password"), "{kept}");
    // A pass can be issued at once.
    let tap = ["tap", "issue", "kim.o'reilly@contoso.example", "--by", "call", "--identified", "x", "--to-stdout"];
    assert_eq!(desk.run(&tap).exit, Exit::Done);
}

#[test]
fn an_account_that_the_directory_shows_late_is_waited_for_and_that_is_said() {
    let mut late = spec();
    late.quirks.new_user_lag_reads = 3;
    let (tenant, desk) = open(late);
    desk.write("new.csv", "upn,display_name\nnew@contoso.example,New\n");
    let file = desk.path("new.csv").display().to_string();
    let ran = desk.run(&["people", "create", &file]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    let waited = "Waiting until new@contoso.example can be given a key or a pass";
    assert!(ran.err.contains(waited) && ran.err.contains("There."), "{}", ran.err);
    let reads = tenant.state()["requests"]["list"].as_u64();
    assert!(reads.is_some_and(|reads| reads >= 4), "{reads:?}");
    assert!(desk.run(&["people", "create", &file]).out.contains("0 made, 1 already there"));
}

#[test]
fn everything_wrong_is_named_by_line_before_anybody_is_made() {
    let (tenant, desk) = open(spec());
    desk.write(
        "new.csv",
        "upn,display_name,usage_location,licence,group\n\
         a@elsewhere.example,A,,,\nb@new.example,B,,,\nc@adfs.example,C,,,\n\
         d@contoso.example,D,IE,SPE_E9,\ne@contoso.example,E,,,By rule\nf@contoso.example,F,,,Nowhere\ng@contoso.example,G,,,Tier 0\n\
         h@contoso.example,H,IE,SPE_E5,\ni@contoso.example,I,IE,SPE_E5,\nj@contoso.example,J,IE,SPE_E5,\nk@contoso.example,K,IE,SPE_E5,\n",
    );
    let file = desk.path("new.csv").display().to_string();
    let ran = desk.run(&["people", "create", &file]);
    assert_eq!((ran.exit, writes(&tenant)), (Exit::Usage, 0), "{}", ran.err);
    for wanted in [
        ":2: upn: elsewhere.example is no domain of this tenant; there are contoso.example",
        ":3: upn: the domain new.example is not verified",
        ":4: upn: adfs.example is federated",
        ":5: licence: this tenant has no SPE_E9; there are SPE_E5",
        ":6: group: The members of the group By rule can't be changed here: a rule makes them",
        ":7: group: There is no group named Nowhere",
        ":8: group: The members of the group Tier 0 can't be changed here: roles can be assigned to it",
        "4 seats of SPE_E5 are needed and 3 are free",
    ] {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
    desk.write("bad.csv", "upn,display_name\nkim,Kim\n");
    let bad = desk.run(&["people", "create", &desk.path("bad.csv").display().to_string()]);
    assert!(bad.exit == Exit::Usage && bad.err.contains("bad.csv:2: upn:"), "{}", bad.err);
}

#[test]
fn a_lost_answer_is_settled_and_a_refused_row_does_not_stop_the_others() {
    let (tenant, desk) = open(spec());
    let rule = |json: serde_json::Value| -> FaultRule { serde_json::from_value(json).expect("a rule") };
    tenant.add_fault(rule(json!({"on": "createUser", "times": 1, "then": "lose"}))).expect("added");
    tenant.add_fault(rule(json!({"on": "createUser", "nth": 2, "then": "status", "status": 400}))).expect("added");
    desk.write("new.csv", "upn,display_name\na@contoso.example,A\nb@contoso.example,B\nc@contoso.example,C\n");
    let file = desk.path("new.csv").display().to_string();
    let ran = desk.run(&["people", "create", &file]);
    assert_eq!(ran.exit, Exit::SomeFailed, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("a@contoso.example made") && ran.out.contains("b@contoso.example FAILED"), "{}", ran.out);
    assert!(ran.out.contains("2 made, 0 already there, 0 completed, 1 failed."), "{}", ran.out);
    let again = desk.run(&["people", "create", &file]);
    assert!(again.out.contains("1 made, 2 already there"), "{}", again.out);
}

#[test]
fn groups_are_made_filled_and_emptied() {
    let (tenant, desk) = open(spec());
    let make = ["people", "group", "create", "Key pilot", "--description", "Keys"];
    assert!(desk.run(&[&make[..], &["--dry-run"]].concat()).out.contains("Would make"));
    assert!(desk.run(&make).out.contains("is made"));
    assert!(desk.run(&make).out.contains("is there already"));
    let add = ["people", "group", "add", "Key pilot", "old@contoso.example"];
    assert!(desk.run(&[&add[..], &["--dry-run"]].concat()).out.contains("would be put in"));
    assert!(desk.run(&add).out.contains("1 put into Key pilot, 0 unchanged, 0 failed."));
    let before = writes(&tenant);
    assert!(desk.run(&add).out.contains("in it already"));
    assert_eq!(writes(&tenant), before);
    let unknown = desk.run(&["people", "group", "add", "Key pilot", "nobody@contoso.example"]);
    assert!(
        unknown.exit == Exit::Usage && unknown.err.contains("does not know nobody@contoso.example"),
        "{}",
        unknown.err
    );
    for (group, why) in [("By rule", "a rule makes them"), ("Tier 0", "roles can be assigned")] {
        let ran = desk.run(&["people", "group", "add", group, "old@contoso.example"]);
        assert!(ran.exit == Exit::Usage && ran.err.contains(why), "{}", ran.err);
    }
    let remove = ["people", "group", "remove", "Key pilot", "old@contoso.example"];
    assert!(desk.run(&remove).out.contains("1 taken out of Key pilot"));
    assert!(desk.run(&remove).out.contains("not in it"));
}

#[test]
fn a_missing_permission_is_named() {
    let mut poor = spec();
    poor.app.permissions.retain(|scope| scope != "User.ReadWrite.All");
    let (_tenant, desk) = open(poor);
    desk.write("new.csv", "upn,display_name\na@contoso.example,A\n");
    let ran = desk.run(&["people", "create", &desk.path("new.csv").display().to_string()]);
    assert_eq!(ran.exit, Exit::Tenant);
    assert!(ran.err.contains("User.ReadWrite.All") && ran.err.contains("User Administrator"), "{}", ran.err);
}
