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
    sent_to_kim(serial, SelfParcel::Key { key, label: None })
}

fn sent_to_kim(serial: &str, what: SelfParcel) -> Entry {
    Entry::Handover(HandoverEntry::SelfPacked {
        parcel: format!("P{serial}"),
        tenant: TenantId::new("t"),
        user: UserId::new(ID),
        what,
        seen_by: "serial".into(),
        tracking: Some(format!("JD{serial}")),
        by: "Robin".into(),
    })
}

/// Keys are packed for Kim; then, in the tenant, so many passkeys are made and a pass is given.
pub(in crate::cli) fn sent(serials: &[&str], passkeys: u32) -> (RunningTenant, Desk) {
    let entries = serials.iter().map(|serial| packed(serial)).collect();
    let kim = PersonSpec { id: Some(ID.into()), passkeys, ..PersonSpec::new(KIM) };
    sent_in(TenantSpec { people: vec![kim], ..TenantSpec::default() }, entries)
}

fn sent_in(spec: TenantSpec, entries: Vec<Entry>) -> (RunningTenant, Desk) {
    let desk = Desk::new(1);
    let kim = Person::new(UserId::new(ID), Upn::parse(KIM).expect("a UPN"), "Kim");
    desk.ledger().append(Append { entries, people: vec![kim], ..Append::default() }).expect("packed");
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    desk.point_at(&tenant);
    let issue = ["tap", "issue", KIM, "--by", "call", "--identified", "called back", "--to-stdout"];
    assert_eq!(desk.run(&issue).exit, Exit::Done);
    (tenant, desk)
}

pub(in crate::cli) fn passkeys(tenant: &RunningTenant) -> usize {
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

    // Ledger and tenant agree on people who have no other key, too.
    let agreed = desk.run(&["reconcile"]);
    assert!(agreed.exit == Exit::Done && agreed.out.contains("agree on 1 people"), "{}{}", agreed.out, agreed.err);

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

#[test]
fn a_shipped_token_is_waited_for_until_it_works_and_the_pass_is_swept_then() {
    let kim = PersonSpec { id: Some(ID.into()), ..PersonSpec::new(KIM) };
    let mut spec = TenantSpec { people: vec![kim], ..TenantSpec::default() };
    let method = json!({ "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }] });
    spec.policies.methods.insert("HardwareOath".into(), method.as_object().cloned().expect("an object"));
    let token = SelfParcel::Token { serial: "1001".into() };
    let (tenant, desk) = sent_in(spec, vec![sent_to_kim("1001", token)]);
    desk.write(
        "tokens.csv",
        "upn,serial number,secret key,time interval,manufacturer,model\n,1001,JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP,30,Contoso,C200\n",
    );
    let done = |line: &[&str], says: &str| {
        let ran = desk.run(line);
        assert!(ran.exit == Exit::Done && ran.out.contains(says), "{line:?}: {}{}", ran.out, ran.err);
    };
    done(&["oath", "import", &desk.path("tokens.csv").display().to_string()], "1 added");
    let watch = ["handover", "watch", "--once", "--as", "Robin"];
    done(&watch, "0 bound, 1 waited for");
    // Given to its person, and not shown to work yet.
    done(&["oath", "assign", "1001", KIM], "is given to kim");
    done(&watch, "0 bound, 1 waited for");
    assert!(has_pass(&desk), "its person may still need it");
    let identity = desk.path("custodian-0.txt").display().to_string();
    done(&["oath", "activate", "1001", KIM, "--identity", &identity], "1001 works for kim");
    done(&["handover", "watch", "--dry-run"], "1 bound, 0 waited for");
    assert!(has_pass(&desk), "a look changes nothing");
    done(&watch, "1 bound, 0 waited for, 0 unclear; 1 passes deleted");
    assert!(!has_pass(&desk));
    done(&watch, "0 bound, 0 waited for");
    done(&["handover", "list", "--all"], "activated   P1001");
    done(&["show", KIM], "The token of parcel P1001 works");

    // A token that works is taken from its person by its own command, and that settles it here.
    let lost = desk.run(&["lost", "--tracking", "JD1001", "--reason", "stolen", "--yes"]);
    assert!(lost.exit == Exit::SomeFailed && lost.err.contains("keybench oath remove 1001"), "{}", lost.err);
    // Who leaves with nothing but such a token is signed out all the same.
    let left = desk.run(&["leaver", KIM, "--reason", "left", "--revoke-sessions", "--yes"]);
    assert!(left.exit == Exit::SomeFailed && left.err.contains("keybench oath remove 1001"), "{}", left.err);
    assert!(left.out.contains("signed out everywhere"), "{}", left.out);
    assert_eq!(tenant.state()["signed_out"], json!([ID]));
    done(&["oath", "remove", "1001", "--reason", "stolen"], "out of the inventory");
    done(&["handover", "list", "--all"], "removed     P1001");
    done(&["ledger", "verify"], "");
}

#[test]
fn who_registered_a_shipped_key_is_told_of_it_once() {
    let (tenant, desk) = sent(&["777"], 1);
    desk.more_settings(&format!("[handover]\nmail_from = \"{KIM}\"\n"));
    let mails = || tenant.state()["mails"].as_array().expect("mails").clone();
    let notify = |more: &[&str]| desk.run(&[&["notify", "--phone", "+49 30 1234567"], more].concat());
    let early = notify(&["P777"]);
    assert!(early.exit == Exit::Usage && early.err.contains("nobody has registered it"), "{}", early.err);
    assert!(notify(&[]).out.contains("0 told, 0 not; 0 were told before"));
    let watched = desk.run(&["handover", "watch", "--once"]);
    assert!(watched.err.contains("keybench notify"), "{}", watched.err);
    let told = notify(&[]);
    assert!(told.exit == Exit::Done && told.out.contains("of parcel P777"), "{}{}", told.out, told.err);
    let text = mails()[0]["content"].as_str().expect("a text").to_owned();
    for part in ["P777", "YubiKey 5 NFC", "+49 30 1234567"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(notify(&[]).out.contains("0 told, 0 not; 1 were told before"));
    assert!(notify(&["777", "--again", "--reason", "bounced"]).out.contains("1 told"));
    assert_eq!(mails().len(), 2);
    let story = desk.run(&["show", KIM]).out;
    assert!(story.contains("was told of the key of parcel P777, by mail") && story.contains("bounced"), "{story}");
    // A mail whose answer is lost is in doubt, and is not sent again by itself.
    let fault = json!({ "on": "sendMail", "times": 1, "then": "lose" });
    tenant.add_fault(serde_json::from_value(fault).expect("a rule")).expect("added");
    assert_eq!(notify(&["777", "--again", "--reason", "asked"]).exit, Exit::SomeFailed);
    let doubt = notify(&[]);
    assert!(doubt.err.contains("the notice of P777 left") && mails().len() == 3, "{}", doubt.err);
    // What is out of the tenant is nothing to tell of.
    assert_eq!(desk.run(&["lost", "--serial", "777", "--reason", "train", "--yes"]).exit, Exit::Done);
    assert!(notify(&[]).out.contains("0 told, 0 not; 0 were told before"));
}

#[test]
fn a_shipped_key_whose_passkey_is_gone_is_a_difference_with_a_command() {
    let (_tenant, desk) = sent(&["777"], 1);
    assert_eq!(desk.run(&["handover", "watch", "--once"]).exit, Exit::Done);
    let shown = desk.run(&["handover", "list", "--all", "--json"]).lines();
    let method = shown[0]["method"].as_str().expect("a method").to_owned();
    // Behind the ledger's back, as an administrator might.
    let other = Desk::new(1);
    other.write("client-secret", &std::fs::read_to_string(desk.path("client-secret")).expect("a secret"));
    let settings = std::fs::read_to_string(desk.path("config.toml")).expect("settings");
    other.write("config.toml", &settings);
    let removed = other.run(&["methods", "remove", KIM, &method, "--reason", "tidied", "--yes"]);
    assert_eq!(removed.exit, Exit::Done, "{}", removed.err);
    let told = desk.run(&["reconcile"]);
    assert!(told.exit == Exit::SomeFailed && told.out.contains("keybench lost P777"), "{}{}", told.out, told.err);
    assert_eq!(desk.run(&["lost", "P777", "--reason", "reconciled", "--yes"]).exit, Exit::Done);
    assert_eq!(desk.run(&["reconcile"]).exit, Exit::Done);
}
