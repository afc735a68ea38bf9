//! Plans are carried out, settled by reading, and undone.

use super::*;
use crate::graph::ErrorKind;
use crate::ledger::{Append, Entry as Kept, TenantEntry};
use crate::model::ChangeId;
use crate::tenant::apply::open_changes;
use crate::tenant::testing::Trouble;
use crate::tenant::undo::{Renames, UndoError, back, made};

const SMS_OFF: &str = "[voice]\nstate = \"on\"\n[email]\nstate = \"off\"\n";

#[test]
fn a_change_shows_late_and_is_waited_for() {
    let tenant = InMemory::new(&fixture("profiles"));
    tenant.lag.set(3);
    carry_out(&tenant, &ledger(), &planned(&tenant, "[voice]\nstate = \"on\"\n", &People::default()), "A")
        .expect("carried out");
    assert_eq!(tenant.waited.get(), 1 + 2 + 3);
}

#[test]
fn what_does_not_show_stays_open_until_it_was_read() {
    let of = TenantId::new("t");
    for shows_later in [false, true] {
        let (tenant, kept) = (InMemory::new(&fixture("profiles")), ledger());
        if shows_later {
            // Twice more than the first look is patient for.
            tenant.lag.set(11);
        } else {
            tenant.trouble.set(Some(Trouble::Silent));
        }
        let text = "[voice]\nstate = \"on\"\n";
        let error = carry_out(&tenant, &kept, &planned(&tenant, text, &People::default()), "A").expect_err("not there");
        assert!(matches!(error, ApplyError::NotThere { .. }), "{error:?}");
        assert_eq!(open_changes(&kept, &of).expect("read").len(), 1);
        let watch = |_: Step<'_>| {};
        hand(&tenant, &kept, &watch).settle().expect("settled");
        assert!(open_changes(&kept, &of).expect("read").is_empty());
        // Only what is there can be undone.
        let undoable = made(&kept, &of, "A");
        assert_eq!(undoable.is_ok(), shows_later, "{undoable:?}");
    }
}

#[test]
fn somebody_elses_change_stops_the_plan() {
    let tenant = InMemory::new(&fixture("profiles"));
    let plan = planned(&tenant, SMS_OFF, &People::default());
    let mut current = tenant.tenant.borrow().clone();
    let mut voice = current.method("voice").cloned().expect("there");
    voice["lastSeenDateTime"] = json!("now");
    tenant.tenant.borrow_mut().set(Resource::Method("voice".into()), voice.clone());
    let (kept, watch) = (ledger(), |_: Step<'_>| {});
    let hand = hand(&tenant, &kept, &watch);
    hand.one(&ChangeId::new("A.1"), &plan.changes[0], &mut current).expect("what it is not about may change");
    let mut email = current.method("email").cloned().expect("there");
    email["state"] = json!("somethingNew");
    tenant.tenant.borrow_mut().set(Resource::Method("email".into()), email);
    let error = hand.one(&ChangeId::new("A.2"), &plan.changes[1], &mut current).expect_err("changed");
    assert!(matches!(error, ApplyError::Moved { .. }), "{error:?}");
    assert_eq!(tenant.writes.get(), 1);
}

#[test]
fn a_write_that_was_cut_off_is_settled_by_reading() {
    let text = "[[location]]\nname = \"Countries\"\ncountries = [\"NL\"]\n";
    for (trouble, text, is_made) in [
        (Trouble::AnswerLost, "[voice]\nstate = \"on\"\n", true),
        (Trouble::NeverArrived, "[voice]\nstate = \"on\"\n", false),
        (Trouble::AnswerLost, text, true),
        (Trouble::NeverArrived, text, false),
    ] {
        let (tenant, kept) = (InMemory::new(&fixture("profiles")), ledger());
        tenant.trouble.set(Some(trouble));
        let error = carry_out(&tenant, &kept, &planned(&tenant, text, &People::default()), "A").expect_err("cut off");
        assert!(matches!(&error, ApplyError::Graph(error) if error.kind() == ErrorKind::Unknown), "{error:?}");
        assert_eq!(open_changes(&kept, &TenantId::new("t")).expect("read").len(), 1);
        let settled = std::cell::Cell::new(None);
        let watch = |step: Step<'_>| {
            if let Step::Settled { made, .. } = step {
                settled.set(Some(made));
            }
        };
        hand(&tenant, &kept, &watch).settle().expect("settled");
        assert_eq!(settled.get(), Some(is_made), "{trouble:?} {text}");
        assert!(open_changes(&kept, &TenantId::new("t")).expect("read").is_empty());
        // Nothing is made twice.
        let again = planned(&tenant, text, &People::default());
        assert_eq!(again.is_empty(), is_made);
        carry_out(&tenant, &kept, &again, "B").expect("carried out");
        assert_eq!(
            tenant.tenant.borrow().named(Kind::Location, "Countries").len(),
            usize::from(text.contains("location"))
        );
    }
}

#[test]
fn a_refusal_is_written_down_and_leaves_nothing_open() {
    let (tenant, kept) = (InMemory::new(&fixture("profiles")), ledger());
    tenant.trouble.set(Some(Trouble::Refused));
    carry_out(&tenant, &kept, &planned(&tenant, SMS_OFF, &People::default()), "A").expect_err("refused");
    assert!(open_changes(&kept, &TenantId::new("t")).expect("read").is_empty());
    let mut codes = Vec::new();
    kept.visit(1, &mut |one| {
        if let Kept::Tenant(TenantEntry::ChangeFailed { code, .. }) = one.entry {
            codes.push(code);
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("read");
    assert_eq!(codes, [ErrorKind::Refused.word()]);
}

/// Undoes everything of one application, newest first.
fn undo(tenant: &InMemory, kept: &dyn Ledger, id: &str, new: &str) {
    let watch = |_: Step<'_>| {};
    let hand = hand(tenant, kept, &watch);
    let (mut number, mut renames) = (0, Renames::default());
    for change in made(kept, &TenantId::new("t"), id).expect("made") {
        let change = renames.apply(&change);
        let back = back(tenant, &change).expect("a way back");
        assert_eq!(back.moved, [], "{}", change.call);
        for one in &back.changes {
            number += 1;
            let number = ChangeId::new(format!("{new}.{number}"));
            let at = hand.one(&number, one, &mut Current::default()).expect("written back");
            renames.note(&change, &at);
        }
    }
}

#[test]
fn undoing_leaves_the_tenant_as_it_was_and_can_be_undone() {
    let glass = ["Break glass".to_owned()];
    let countries = ["NL".to_owned()];
    let aaguids = [Aaguid::parse(YUBI).expect("an AAGUID")];
    let text = pilot(&Pilot { group: "Keys", break_glass: &glass, countries: &countries, aaguids: &aaguids });
    let (tenant, kept) = (InMemory::new(&fixture("profiles")), ledger());
    let before = tenant.tenant.borrow().clone();
    agree(&tenant);
    let plan = planned(&tenant, &text, &People::default());
    assert!(plan.changes.len() > 12, "{}", plan.changes.len());
    let applied = carry_out(&tenant, &kept, &plan, "A1B2C3").expect("carried out");
    assert_eq!(applied.held, []);
    assert!(planned(&tenant, &text, &People::default()).is_empty());
    let after = tenant.tenant.borrow().clone();
    undo(&tenant, &kept, "a1b2c3", "U1");
    assert_same(&tenant.tenant.borrow(), &before);
    undo(&tenant, &kept, "U1", "U2");
    let now = tenant.tenant.borrow().clone();
    assert_eq!(now.method("fido2").map(|one| &one["state"]), after.method("fido2").map(|one| &one["state"]));
    assert_eq!(now.all(Kind::Access).count(), after.all(Kind::Access).count());
}

fn assert_same(one: &Current, other: &Current) {
    for kind in [Kind::Access, Kind::Location, Kind::Strength] {
        assert_eq!(one.all(kind).count(), other.all(kind).count(), "{kind:?}");
    }
    for method in ["fido2", "temporaryaccesspass", "microsoftauthenticator", "sms", "voice", "email", "softwareoath"] {
        let (one, other) = (one.method(method).expect("there"), other.method(method).expect("there"));
        assert_eq!(differences(one, other), [], "{method}");
    }
    for at in [Resource::Policy, Resource::Devices, Resource::Defaults] {
        assert_eq!(differences(one.get(&at).expect("there"), other.get(&at).expect("there")), [], "{at}");
    }
}

#[test]
fn what_somebody_else_changed_since_is_named_and_their_profiles_are_kept() {
    let (tenant, kept) = (InMemory::new(&fixture("profiles")), ledger());
    let text = "[fido2]\nself_service = false\n[[fido2.profile]]\nname = \"New\"\nfor = [\"Others\"]\n";
    carry_out(&tenant, &kept, &planned(&tenant, text, &People::default()), "A").expect("carried out");
    let mut policy = tenant.tenant.borrow().method("fido2").cloned().expect("there");
    let profiles = policy["passkeyProfiles"].as_array_mut().expect("profiles");
    profiles.push(json!({"id": "theirs", "name": "Theirs", "passkeyTypes": "deviceBound"}));
    tenant.tenant.borrow_mut().set(Resource::Method("fido2".into()), policy);
    let changes = made(&kept, &TenantId::new("t"), "A").expect("made");
    let back = back(&tenant, &changes[1]).expect("a way back");
    assert!(back.moved.iter().any(|one| one.path.contains("theirs")), "{:?}", back.moved);
    let sent = body(&back.changes[0]);
    let names: Vec<&str> =
        sent["passkeyProfiles"].as_array().expect("profiles").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["Default passkey profile", "Bench security keys", "Theirs"]);
}

#[test]
fn an_unknown_id_is_said() {
    let kept = ledger();
    assert!(matches!(made(&kept, &TenantId::new("t"), "NOPE"), Err(UndoError::Unknown(_))));
    let entry = TenantEntry::ChangeIntended {
        change: ChangeId::new("X.1"),
        tenant: TenantId::new("t"),
        area: "x".into(),
        call: "PATCH /v3/new".into(),
        before: None,
        sent: None,
        operator: "o".into(),
        account: "a".into(),
    };
    kept.append(Append::entry(Kept::Tenant(entry))).expect("kept");
    let (tenant, watch) = (InMemory::new(&fixture("profiles")), |_: Step<'_>| {});
    hand(&tenant, &kept, &watch).settle().expect("a newer keybench's change is left alone");
    assert_eq!(open_changes(&kept, &TenantId::new("t")).expect("read").len(), 1);
}
