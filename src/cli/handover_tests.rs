//! Blank keys on their way, and the methods that come of them, against the simulated tenant.

use serde_json::json;

use super::Exit;
use super::testing::Desk;
use crate::ledger::{Append, Entry, HandoverEntry, Ledger as _, SelfParcel};
use crate::model::{Aaguid, KeyRef, Person, PortName, Serial, TenantId, Upn, UserId};
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";
const ID: &str = "11111111-2222-4333-8444-555555555555";
/// The model of the simulated tenant's old passkeys.
const MODEL: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

fn packed(serial: &str) -> Entry {
    let key = KeyRef {
        aaguid: Aaguid::parse(MODEL).expect("a GUID"),
        serial: Some(Serial::new(serial)),
        firmware: None,
        model: Some("YubiKey 5 NFC".into()),
        port: PortName::new("1-1"),
    };
    Entry::Handover(HandoverEntry::SelfPacked {
        parcel: format!("P{serial}"),
        tenant: TenantId::new("t"),
        user: UserId::new(ID),
        what: SelfParcel::Key { key, label: None },
        seen_by: "serial".into(),
        tracking: Some(format!("JD{serial}")),
        by: "Robin".into(),
    })
}

/// Keys are packed for Kim; then, in the tenant, so many passkeys are made and a pass is given.
fn sent(serials: &[&str], passkeys: u32) -> (RunningTenant, Desk) {
    let desk = Desk::new(1);
    let kim = Person {
        id: UserId::new(ID),
        upn: Upn::parse(KIM).expect("a UPN"),
        display_name: "Kim".into(),
        address: None,
        spare_address: None,
        first_device: None,
        key_kind: None,
        serial: None,
        language: None,
    };
    let entries = serials.iter().map(|serial| packed(serial)).collect();
    desk.ledger().append(Append { entries, people: vec![kim], ..Append::default() }).expect("packed");
    let kim = PersonSpec { id: Some(ID.into()), passkeys, ..PersonSpec::new(KIM) };
    let spec = TenantSpec { people: vec![kim], ..TenantSpec::default() };
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    desk.point_at(&tenant);
    let issue = ["tap", "issue", KIM, "--by", "call", "--identified", "called back", "--to-stdout"];
    assert_eq!(desk.run(&issue).exit, Exit::Done);
    (tenant, desk)
}

fn passkeys(tenant: &RunningTenant) -> usize {
    tenant.state()["people"][0]["methods"].as_array().expect("methods").len()
}

fn has_pass(desk: &Desk) -> bool {
    !desk.run(&["tap", "list", KIM]).out.contains("No open pass")
}

#[test]
fn a_shipped_key_is_bound_to_its_new_method_and_the_pass_is_swept() {
    let (tenant, desk) = sent(&["777"], 1);
    let listed = desk.run(&["handover", "list"]).out;
    assert!(listed.contains("waiting") && listed.contains("YubiKey 5 NFC, serial 777"), "{listed}");
    let dry = desk.run(&["handover", "watch", "--dry-run"]);
    assert!(dry.exit == Exit::Done && dry.out.contains("1 bound, 0 waited for"), "{}{}", dry.out, dry.err);
    assert!(has_pass(&desk) && desk.run(&["handover", "list"]).out.contains("1 waiting"), "nothing was written");

    let watched = desk.run(&["handover", "watch", "--once", "--as", "Robin"]);
    assert_eq!(watched.exit, Exit::Done, "{}", watched.err);
    assert!(watched.out.contains("1 bound, 0 waited for, 0 unclear; 1 passes deleted"), "{}", watched.out);
    assert!(!has_pass(&desk));
    assert!(desk.run(&["handover", "list", "--all"]).out.contains("registered  P777"));
    let again = desk.run(&["handover", "watch", "--once"]);
    assert!(again.out.contains("0 bound, 0 waited for, 0 unclear; 0 passes deleted"), "{}", again.out);
    let story = desk.run(&["show", KIM]).out;
    assert!(story.contains("The key of parcel P777 was registered on"), "{story}");
    let ended = desk.run(&["handover", "end", "777", "--returned", "--reason", "moved"]);
    assert!(ended.exit == Exit::SomeFailed && ended.err.contains("it opens its person's account"), "{}", ended.err);

    // Lost: its method goes first.
    assert_eq!(passkeys(&tenant), 1);
    let unasked = desk.run(&["lost", "--serial", "777", "--reason", "left on a train"]);
    assert!(unasked.exit == Exit::Usage && passkeys(&tenant) == 1, "{}", unasked.err);
    let lost = desk.run(&["lost", "--tracking", "JD777", "--reason", "left on a train", "--yes"]);
    assert!(lost.exit == Exit::Done && lost.out.contains("is deleted from the tenant"), "{}{}", lost.out, lost.err);
    assert_eq!(passkeys(&tenant), 0);
    assert!(desk.run(&["stock", "list"]).out.contains("lost"));
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn two_of_a_model_are_told_apart_by_a_person() {
    let (_tenant, desk) = sent(&["777"], 2);
    let unclear = desk.run(&["handover", "watch", "--once", "--json"]);
    assert_eq!(unclear.exit, Exit::SomeFailed);
    assert!(unclear.err.contains("was sent 1 key of one model, and the tenant shows 2 keys new"), "{}", unclear.err);
    assert!(has_pass(&desk), "nothing is swept for what is not clear");
    let lines = unclear.lines();
    let asked = lines.iter().find(|line| line["event"] == "which-method").expect("asked");
    let method = asked["methods"][1].as_str().expect("an id");
    let wrong = desk.run(&["handover", "watch", "--of", "777", "--method", "nothing"]);
    assert!(wrong.exit == Exit::Usage && wrong.err.contains("can't be that of"), "{}", wrong.err);
    let named = desk.run(&["handover", "watch", "--of", "JD777", "--method", method]);
    assert_eq!(named.exit, Exit::Done, "{}", named.err);
    let done = desk.run(&["handover", "list", "--all", "--json"]).lines();
    assert_eq!((&done[0]["state"], &done[0]["method"]), (&json!("registered"), &json!(method)));
    assert!(!has_pass(&desk));
}

#[test]
fn what_was_not_registered_is_waited_for_or_ended() {
    let (_tenant, desk) = sent(&["777", "778"], 0);
    let waiting = desk.run(&["handover", "watch", "--once"]);
    assert!(
        waiting.exit == Exit::Done && waiting.out.contains("0 bound, 2 waited for"),
        "{}{}",
        waiting.out,
        waiting.err
    );
    assert!(has_pass(&desk));
    let ended = desk.run(&["handover", "end", "P778", "--returned", "--reason", "moved"]);
    assert_eq!(ended.exit, Exit::Done, "{}", ended.err);
    let lost = desk.run(&["lost", "--user", KIM, "--reason", "stolen"]);
    assert!(lost.exit == Exit::Done && lost.out.contains("was never registered"), "{}{}", lost.out, lost.err);
    let stock = desk.run(&["stock", "list"]).out;
    assert!(stock.contains("1  blank") && stock.contains("1  lost"), "{stock}");
    let none = desk.run(&["lost", "--label", "12", "--reason", "stolen"]);
    assert!(none.exit == Exit::Usage && none.err.contains("--label 12 is none"), "{}", none.err);
}
