//! Notices and mails to managers against the simulated tenant, as a person types them.

use serde_json::{Value, json};

use super::testing::{Desk, PIN, Sink};
use super::{Exit, Level, Output, Style};
use crate::handover::code::key_reference;
use crate::ledger::{Append, Entry, HandoverEntry, Ledger as _, SelfParcel};
use crate::model::{Aaguid, JobId, KeyRef, MethodId, Person, PortName, TenantId, Upn, UserId};
use crate::sim::tenant::{FaultRule, PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";
const SAM: &str = "sam@contoso.example";

fn tenant() -> RunningTenant {
    let kim = PersonSpec { manager: Some(SAM.into()), ..PersonSpec::new(KIM) };
    let sam = PersonSpec { display_name: Some("Sam Roe".into()), ..PersonSpec::new(SAM) };
    let spec = TenantSpec { people: vec![kim, sam], ..TenantSpec::default() };
    start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant")
}

fn id_of(tenant: &RunningTenant, upn: &str) -> UserId {
    let state = tenant.state();
    let people = state["people"].as_array().expect("people");
    let person = people.iter().find(|person| person["upn"] == upn).expect("somebody");
    UserId::new(person["id"].as_str().expect("an id"))
}

/// Kim has a finished key; mail leaves from Sam's mailbox.
fn desk(tenant: &RunningTenant, more: &str) -> (Desk, JobId) {
    let desk = Desk::at(tenant);
    desk.more_settings(&format!("[handover]\nmail_from = \"{SAM}\"\n{more}"));
    let kim = Person {
        language: Some("de".into()),
        ..Person::new(id_of(tenant, KIM), Upn::parse(KIM).expect("a UPN"), "Kim Lee")
    };
    let job = desk.finished_key(kim, "19283746");
    (desk, job)
}

fn mails(tenant: &RunningTenant) -> Vec<Value> {
    tenant.state()["mails"].as_array().expect("mails").clone()
}

fn acts(desk: &Desk) -> Vec<&'static str> {
    let ledger = crate::ledger::open_reader(&desk.path("ledger.db")).expect("a ledger");
    let mut all = Vec::new();
    ledger
        .visit(1, &mut |recorded| {
            match recorded.entry {
                Entry::PinOpened { .. } => all.push("opened"),
                Entry::Handover(HandoverEntry::NoticeIntended { .. }) => all.push("intended"),
                Entry::Handover(HandoverEntry::NoticeSent { .. }) => all.push("sent"),
                Entry::Handover(HandoverEntry::NoticeFailed { .. }) => all.push("failed"),
                Entry::Handover(HandoverEntry::ReleaseIntended { .. }) => all.push("releasing"),
                Entry::Handover(HandoverEntry::ReleaseFailed { .. }) => all.push("not released"),
                Entry::Handover(HandoverEntry::PinReleased { channel, .. }) if channel == "manager" => {
                    all.push("released")
                }
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    all
}

const PHONE: [&str; 2] = ["--phone", "+49 30 1234567"];

fn notify(more: &[&'static str]) -> Vec<&'static str> {
    ["notify"].into_iter().chain(more.iter().copied()).chain(PHONE).collect()
}

#[test]
fn a_person_is_told_once_in_their_language_and_again_only_for_a_reason() {
    let tenant = tenant();
    let (desk, job) = desk(&tenant, "");
    let dry = desk.run(&notify(&["--dry-run"]));
    assert!(dry.exit == Exit::Done && dry.out.contains("1 would be told"), "{}{}", dry.out, dry.err);
    assert_eq!((mails(&tenant).len(), acts(&desk).len()), (0, 0));

    let told = desk.run(&notify(&[]));
    assert_eq!(told.exit, Exit::Done, "{}", told.err);
    let sent = mails(&tenant);
    assert_eq!(
        (sent.len(), &sent[0]["to"], &sent[0]["from"], &sent[0]["kept"]),
        (1, &json!([KIM]), &json!(SAM), &json!(true))
    );
    let text = sent[0]["content"].as_str().expect("a text");
    for part in ["Guten Tag Kim Lee", "YubiKey 5 NFC", &key_reference(&job, 1), "+49 30 1234567"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(PIN));
    assert_eq!(acts(&desk), ["intended", "sent"]);

    assert!(desk.run(&notify(&[])).out.contains("0 told, 0 not; 1 were told before"));
    assert!(desk.run(&notify(&[KIM])).out.contains("1 were told before"));
    assert_eq!(desk.run(&notify(&[KIM, "--again"])).exit, Exit::Usage, "only for a reason");
    let again = desk.run(&notify(&[KIM, "--again", "--reason", "bounced"]));
    assert!(again.out.contains("1 told"), "{}{}", again.out, again.err);
    assert_eq!(mails(&tenant).len(), 2);
    let story = desk.run(&["show", job.as_str()]).out;
    assert!(story.contains("was told of the key, by mail") && story.contains("Reason: bounced"), "{story}");
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn a_mail_that_may_have_left_is_not_sent_again_by_itself() {
    let tenant = tenant();
    let (desk, _) = desk(&tenant, "");
    let fault =
        |rule: Value| tenant.add_fault(serde_json::from_value::<FaultRule>(rule).expect("a rule")).expect("added");
    fault(json!({ "on": "sendMail", "times": 1, "then": "status", "status": 403, "code": "ErrorAccessDenied" }));
    let refused = desk.run(&notify(&[]));
    assert!(refused.exit == Exit::Tenant && refused.err.contains("Mail.Send"), "{}", refused.err);
    assert_eq!(acts(&desk), ["intended", "failed"], "it is due as before");
    fault(json!({ "on": "sendMail", "times": 1, "then": "lose" }));
    let lost = desk.run(&notify(&[]));
    assert_eq!(lost.exit, Exit::SomeFailed, "{}", lost.err);
    assert_eq!(mails(&tenant).len(), 1, "it had left");
    let asked = desk.run(&notify(&[]));
    assert!(asked.exit == Exit::SomeFailed && asked.err.contains("nobody knows whether the notice"), "{}", asked.err);
    assert_eq!(mails(&tenant).len(), 1);
    assert_eq!(desk.run(&notify(&[KIM, "--again", "--reason", "never came"])).exit, Exit::Done);
    assert_eq!(mails(&tenant).len(), 2);
}

#[test]
fn a_notice_can_be_sent_by_hand_and_needs_a_sender_otherwise() {
    let tenant = tenant();
    let (desk, job) = desk(&tenant, "");
    let text = desk.run(&notify(&["--text", "--json"]));
    assert_eq!(text.exit, Exit::Done, "{}", text.err);
    let line = &text.lines()[0];
    assert!(
        line["text"].as_str().is_some_and(|text| text.contains(&key_reference(&job, 1))) && line["language"] == "de"
    );
    assert_eq!((mails(&tenant).len(), acts(&desk)), (0, vec!["intended", "sent"]));

    let other = self::tenant();
    let alone = Desk::at(&other);
    alone.finished_key(Person::new(id_of(&other, KIM), Upn::parse(KIM).expect("a UPN"), "Kim"), "1");
    let told = alone.run(&notify(&[]));
    assert!(told.exit == Exit::Usage && told.err.contains("[handover] mail_from"), "{}", told.err);
    assert!(acts(&alone).is_empty());
}

/// Stdout; as the first notice is printed, somebody else does something.
struct Meanwhile {
    out: Sink,
    act: Option<Box<dyn FnOnce() + Send>>,
}

impl std::io::Write for Meanwhile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if String::from_utf8_lossy(bytes).contains("Subject: ")
            && let Some(act) = self.act.take()
        {
            act();
        }
        self.out.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A blank key went to Lee, who has registered it.
fn registered(parcel: &str) -> [Entry; 2] {
    let (user, created) = (UserId::new("id-of-lee"), crate::world::Clock::now(&crate::world::SystemClock::new()));
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
    let packed = HandoverEntry::SelfPacked {
        parcel: parcel.into(),
        tenant: TenantId::new("t"),
        user: user.clone(),
        what: SelfParcel::Key { key, label: Some(parcel.into()) },
        seen_by: "label".into(),
        tracking: None,
        by: "Robin".into(),
    };
    let method = MethodId::new(format!("m-{parcel}"));
    let (parcel, named, by) = (parcel.to_owned(), false, "Robin".to_owned());
    [packed, HandoverEntry::SelfRegistered { parcel, user, method, created, named, by }].map(Entry::Handover)
}

/// Four are due; while the first is told, another keybench tells two of the others.
#[test]
fn a_notice_that_somebody_else_was_quicker_with_is_left_out_and_the_rest_is_told() {
    let tenant = tenant();
    let (desk, _) = desk(&tenant, "");
    let sam = desk.finished_key(Person::new(id_of(&tenant, SAM), Upn::parse(SAM).expect("a UPN"), "Sam Roe"), "2");
    let lee = Person::new(UserId::new("id-of-lee"), Upn::parse("lee@contoso.example").expect("a UPN"), "Lee");
    let sent = [registered("P1"), registered("P2")].concat();
    let other = desk.ledger();
    other.append(Append { people: vec![lee], ..Append::entries(sent) }).expect("packed");
    let told = {
        let (channel, reason, by) = ("text".to_owned(), String::new(), "Robin".to_owned());
        let (parcel, user, request) = ("P1".to_owned(), UserId::new("id-of-lee"), None);
        let attempt = 1;
        [
            HandoverEntry::NoticeIntended {
                job: sam.clone(),
                attempt,
                channel: channel.clone(),
                reason: reason.clone(),
                by: by.clone(),
            },
            HandoverEntry::NoticeSent { job: sam, attempt, channel: channel.clone(), request: None },
            HandoverEntry::SelfNoticeIntended {
                parcel: parcel.clone(),
                user: user.clone(),
                channel: channel.clone(),
                reason,
                by,
            },
            HandoverEntry::SelfNoticeSent { parcel, user, channel, request },
        ]
        .map(Entry::Handover)
    };
    let act = Box::new(move || _ = other.append(Append::entries(told)).expect("told elsewhere"));
    let (out, err) = (Sink::default(), Sink::default());
    let style =
        Style { json: false, color: false, level: Level::Normal, stdout_is_terminal: false, stderr_is_terminal: false };
    let output = Output::new(Box::new(Meanwhile { out: out.clone(), act: Some(act) }), Box::new(err.clone()), style);
    let exit = desk.run_into(&output, &notify(&["--text"]));
    let (out, err) = (out.text(), err.text());
    assert_eq!(exit, Exit::Done, "{err}");
    assert!(out.contains("2 told, 0 not; 0 were told before, 2 left to another keybench"), "{out}");
    assert_eq!((out.matches("Subject: ").count(), out.contains("P2"), out.contains("P1")), (2, true, false), "{out}");
    assert!(err.contains(&format!("left out  {SAM}")) && err.contains("wrote of parcel P1 meanwhile"), "{err}");
    assert!(desk.run(&notify(&["--text"])).out.contains("0 told, 0 not; 4 were told before"));
}

fn release(desk: &Desk, by: &str, more: &[&str]) -> super::testing::Ran {
    let identity = desk.path("custodian-0.txt").display().to_string();
    let line = ["release", KIM, "--as", by, "--by", "manager", "--identity", &identity];
    desk.run(&line.iter().chain(more).copied().collect::<Vec<_>>())
}

/// Packed by somebody, delivered, verified.
fn received(desk: &Desk, job: &JobId, packer: &str) {
    let (job, by) = (|| job.clone(), packer.to_owned());
    let when = "2026-11-21T10:00:00Z".parse().expect("a time");
    desk.ledger()
        .append(Append::entries(
            [
                HandoverEntry::Packed {
                    job: job(),
                    attempt: 1,
                    seen_by: "label".into(),
                    tracking: None,
                    by: by.clone(),
                },
                HandoverEntry::Delivered { job: job(), attempt: 1, evidence: "carrier".into(), when, by: by.clone() },
                HandoverEntry::ReceiptVerified { job: job(), attempt: 1, how: "call-back".into(), by },
            ]
            .map(Entry::Handover),
        ))
        .expect("kept");
}

#[test]
fn a_manager_gets_the_pin_only_where_that_is_allowed_and_after_receipt() {
    let tenant = tenant();
    let (strict, _) = desk(&tenant, "");
    let refused = release(&strict, "Lee", &[]);
    assert!(refused.exit == Exit::Usage && refused.err.contains("pin_to_manager"), "{}", refused.err);

    let (desk, job) = desk(&tenant, "pin_to_manager = true\n");
    let early = release(&desk, "Lee", &[]);
    assert!(
        early.exit == Exit::SomeFailed
            && early.err.contains("nothing says that its parcel arrived") | early.err.contains("was not packed"),
        "{}",
        early.err
    );
    assert_eq!((mails(&tenant).len(), acts(&desk).len()), (0, 0), "nothing was opened");
    received(&desk, &job, "Robin");
    let dry = release(&desk, "Lee", &["--dry-run"]);
    assert!(dry.out.contains(&format!("to {SAM}")), "{}{}", dry.out, dry.err);
    let fault = json!({ "on": "sendMail", "times": 1, "then": "lose" });
    tenant.add_fault(serde_json::from_value::<FaultRule>(fault).expect("a rule")).expect("added");
    let lost = release(&desk, "Lee", &[]);
    assert!(lost.err.contains("The PIN may have left") && !lost.err.contains(PIN), "{}", lost.err);
    let in_doubt = release(&desk, "Lee", &[]);
    assert!(in_doubt.err.contains("nobody knows whether it did"), "{}", in_doubt.err);
    assert_eq!(mails(&tenant).len(), 1);

    let done = release(&desk, "Lee", &["--again"]);
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert!(!done.out.contains(PIN) && !done.err.contains(PIN));
    let mail = mails(&tenant).pop().expect("a mail");
    let text = mail["content"].as_str().expect("a text");
    assert_eq!((&mail["to"], &mail["kept"], text.matches(PIN).count()), (&json!([SAM]), &json!(false), 1));
    assert!(text.contains("Guten Tag Sam Roe") && !mail["subject"].as_str().unwrap_or_default().contains(PIN));
    assert_eq!(acts(&desk), ["opened", "releasing", "opened", "releasing", "released"]);
    assert!(release(&desk, "Lee", &[]).err.contains("was released on"));
}

#[test]
fn a_manager_who_packed_the_key_gets_no_pin() {
    let tenant = tenant();
    let (desk, job) = desk(&tenant, "pin_to_manager = true\n");
    received(&desk, &job, "sam  roe");
    let refused = release(&desk, "Lee", &[]);
    assert!(refused.exit == Exit::SomeFailed && refused.err.contains("does not release its PIN"), "{}", refused.err);
    assert_eq!((mails(&tenant).len(), acts(&desk).len()), (0, 0));
}
