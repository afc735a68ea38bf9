//! What an auditor does with an export, and what a stranger's registration looks like.

use crate::cli::Exit;
use crate::cli::testing::{Desk, PIN};

#[test]
fn an_export_is_checked_without_the_ledger_and_every_change_is_named() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let head = desk.ledger();
    let head = crate::ledger::Ledger::head(&head).expect("a head").to_string();
    for name in ["audit.csv", "audit.jsonl"] {
        let out = desk.path(name).display().to_string();
        let ran = desk.run(&["audit", "export", "--out", &out]);
        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
        assert!(ran.out.contains(&head) && ran.out.contains("SHA-256 of the file"), "{}", ran.out);
        let text = std::fs::read_to_string(&out).expect("written");
        assert!(text.contains("kim@contoso.example") && text.contains("19283746") && !text.contains(PIN));
        assert!(text.contains(jobs[0].as_str()));

        // Another machine: no settings, no ledger.
        let elsewhere = Desk::new(1);
        let copy = elsewhere.path(name).display().to_string();
        let verify = |text: &str, more: &[&str]| {
            std::fs::write(&copy, text).expect("written");
            elsewhere.run(&[&["audit", "verify", &copy][..], more].concat())
        };
        let whole = verify(&text, &["--head", &head]);
        assert_eq!(whole.exit, Exit::Done, "{}{}", whole.out, whole.err);
        assert!(whole.out.contains("is whole") && whole.out.contains(&head), "{}", whole.out);

        let lines: Vec<&str> = text.lines().collect();
        let first = usize::from(name == "audit.csv");
        let without: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != first + 4).map(|(_, line)| *line).collect();
        let missing = verify(&(without.join("\n") + "\n"), &[]);
        assert_eq!(missing.exit, Exit::Ledger);
        assert!(missing.out.contains("entry 5 is missing"), "{}", missing.out);

        let mut swapped = lines.clone();
        swapped.swap(first + 2, first + 3);
        let moved = verify(&(swapped.join("\n") + "\n"), &[]);
        assert!(moved.out.contains("stands in another place"), "{}", moved.out);

        let other = verify(&text.replacen("bench-1", "bench-2", 1), &[]);
        assert_eq!(other.exit, Exit::Ledger);
        assert!(other.out.contains(&format!("line {}: entry 1", first + 1)), "{}", other.out);

        let serial = verify(&text.replace("19283746", "19283747"), &[]);
        assert_eq!(serial.exit, Exit::Ledger, "{}", serial.out);

        let short: Vec<&str> = lines.iter().take(lines.len() - 2).copied().collect();
        let cut = verify(&(short.join("\n") + "\n"), &["--head", &head]);
        assert_eq!(cut.exit, Exit::Ledger);
        assert!(cut.out.contains("are cut off"), "{}", cut.out);
        assert_eq!(verify(&(short.join("\n") + "\n"), &[]).exit, Exit::Done, "without a head nobody can tell");

        let odd = verify("upn,pin\n", &[]);
        assert_eq!(odd.exit, Exit::Usage, "{}", odd.err);
    }
    // The ledger itself, and a head that was never its own.
    let ledger = desk.run(&["audit", "verify", "--head", &head, "--head", &head]);
    assert_eq!(ledger.exit, Exit::Done, "{}", ledger.err);
    let never = desk.run(&["audit", "verify", "--head", "3:0123456789abcdef"]);
    assert_eq!(never.exit, Exit::Ledger);
}

#[cfg(feature = "sim")]
#[test]
fn what_entra_or_the_ledger_alone_knows_is_named() {
    use serde_json::json;

    use crate::ledger::{Append, Entry, Ledger as _};
    use crate::model::{BatchId, JobId, MethodId, Person, TenantId, Upn, UserId};
    use crate::sim::tenant::{PersonSpec, TenantSpec, start};

    let people = vec![PersonSpec::new("kim@contoso.example"), PersonSpec::new("sam@contoso.example")];
    let spec = TenantSpec { people, ..TenantSpec::default() };
    let tenant = start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant");
    let desk = Desk::at(&tenant);
    let ledger = desk.ledger();
    let id = |upn: &str| {
        let state = tenant.state();
        let people = state["people"].as_array().expect("people").clone();
        let found = people.into_iter().find(|person| person["upn"] == upn).expect("a person");
        UserId::new(found["id"].as_str().expect("an id"))
    };
    let at = TenantId::new(tenant.tenant_id.clone());
    for upn in ["kim@contoso.example", "sam@contoso.example"] {
        let user = id(upn);
        let job = JobId::derive(&at, &user, 1);
        let planned = Entry::JobPlanned {
            job: job.clone(),
            tenant: at.clone(),
            user: user.clone(),
            ordinal: 1,
            batch: BatchId::new("b"),
        };
        let registered = Entry::Registered { job, attempt: 1, method: MethodId::new("m"), found: false };
        let people = vec![Person::new(user, Upn::parse(upn).expect("a UPN"), upn)];
        ledger.append(Append { people, ..Append::entries([planned, registered]) }).expect("kept");
    }
    // Kim's passkey is in Entra's log; sam's is in the ledger alone, too new to be missed; then one that no ledger knows.
    tenant
        .stranger_registers(&json!({ "upn": "kim@contoso.example", "by": "sam@contoso.example" }))
        .expect("registered");
    let first = desk.run(&["audit", "verify", "--against-entra", "--json"]);
    assert_eq!(first.exit, Exit::Done, "{}{}", first.out, first.err);
    let last = first.lines().pop().expect("a line");
    assert_eq!(
        (&last["paired"], &last["pending"], &last["strangers"]),
        (&json!(1), &json!(1), &json!(0)),
        "{}",
        first.out
    );
    tenant.stranger_registers(&json!({ "upn": "kim@contoso.example" })).expect("registered");
    tenant
        .stranger_registers(&json!({ "upn": "kim@contoso.example", "by": "sam@contoso.example" }))
        .expect("registered");
    let second = desk.run(&["audit", "verify", "--against-entra"]);
    assert_eq!(second.exit, Exit::SomeFailed, "{}", second.out);
    assert!(second.out.contains("a passkey of kim@contoso.example was registered by themself"), "{}", second.out);
    assert!(second.out.contains("was registered by sam@contoso.example"), "{}", second.out);
    assert!(second.out.contains("2 are in Entra's log only, 0 in the ledger only"), "{}", second.out);
}
