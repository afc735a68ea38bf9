//! From bench to hand, by the real program: a batch is provisioned, packed with two deliberate mismatches, delivered, verified
//! and released; one parcel is lost, one key is replaced, one person leaves. The same with keys that are held until receipt, in
//! three languages, one of them too late; and with two keys a person at two addresses. In the end ledger, tenant and stock agree.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use keybench::handover::code::{Code, CodeKind};
use keybench::ledger::{Append, BlobHash, Entry, HandoverEntry, Ledger as _, Opening, open_alone};
use keybench::model::{BenchId, JobId};
use keybench::pin::escrow::seal_document;
use keybench::pin::{Identities, NoPrompts, Recipients};
use keybench::provision::held::open_record;
use keybench::sim::tenant::{RunningTenant, TenantSpec, people_default, start};
use keybench::world::{Clock as _, SystemClock, SystemEntropy};
use serde_json::Value;

#[path = "support/desk.rs"]
mod desk;
#[path = "support/scan.rs"]
mod scan;

use desk::Desk;
use scan::{files_below, holds, holds_any};

const PEOPLE: usize = 30;

const HOOK: &str = "[handover]\nhook = [\"sh\", \"-c\", \"cat >> handed-over\"]\n";

fn desk(tenant: &RunningTenant) -> Desk {
    Desk::new(tenant, |_| HOOK.to_owned())
}

/// Every PIN is sealed again, to one more custodian; whoever was one stays one. Runs and activations go on after it.
fn add_a_custodian(desk: &Desk) {
    let recipient = desk.keygen("second.txt");
    let line = ["custodian", "add", "--recipient", &recipient, "--identity", "custodian.txt"];
    let changed = desk.ok(&[&line[..], &["--as", "Kim Lee", "--reason", "holidays", "--yes"]].concat());
    let lines = changed.last().expect("an answer")["settings"].as_str().expect("lines for the settings").to_owned();
    let settings = desk.read("desk.toml");
    let (before, rest) = settings.split_once("[escrow]\n").expect("custodians");
    let (_, after) = rest.split_once("[ledger]").expect("the ledger");
    desk.write("desk.toml", &format!("{before}{lines}\n[ledger]{after}"));
}

/// Passkeys of a person, by the tenant's own account.
fn passkeys(tenant: &RunningTenant, upn: &str) -> usize {
    let state = tenant.state();
    let person =
        state["people"].as_array().expect("people").iter().find(|person| person["upn"] == upn).expect("somebody");
    person["methods"].as_array().expect("methods").len()
}

fn code(kind: CodeKind, job: &str, attempt: u32) -> String {
    Code::new(kind, &JobId::new(job), attempt, 1).expect("a code").digits().to_owned()
}

fn places(desk: &Desk) -> BTreeMap<String, u64> {
    let answers = desk.ok(&["receipt", "list"]);
    let counts = answers.last().expect("a summary")["counts"].as_object().expect("counts").clone();
    counts
        .into_iter()
        .map(|(place, count)| (place, count.as_u64().expect("a number")))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn run(desk: &Desk) -> Value {
    run_with(desk, &[])
}

fn run_with(desk: &Desk, more: &[&str]) -> Value {
    let answers = desk.ok(&[&["run", "people.csv", "--sim-keys", "8"], more].concat());
    answers.into_iter().find(|event| event["event"] == "summary").expect("a summary")
}

#[test]
#[cfg_attr(not(unix), ignore = "the hook of this walk is a Unix shell's")]
fn a_batch_goes_from_bench_to_hand() {
    let people = people_default(PEOPLE, 7);
    let tenant = start(TenantSpec { people, ..TenantSpec::default() }, "127.0.0.1:0".parse().expect("an address"))
        .expect("a tenant");
    let desk = desk(&tenant);
    fs::write(desk.path("people.csv"), format!("upn\n{}\n", tenant.upns.join("\n"))).expect("written");
    let first = run_with(&desk, &["--batch", "spring"]);
    assert_eq!(first["finished"].as_u64(), Some(PEOPLE as u64), "{first}");
    assert_eq!(places(&desk), BTreeMap::from([("to-pack".to_owned(), PEOPLE as u64)]));
    let jobs: Vec<(String, String)> = desk
        .ok(&["status"])
        .iter()
        .filter(|line| line["event"] == "job")
        .map(|line| (line["job"].as_str().expect("a job").to_owned(), line["upn"].as_str().expect("a UPN").to_owned()))
        .collect();
    assert_eq!(jobs.len(), PEOPLE);

    // The packing table: two mismatches first, then everybody.
    let mut scans = String::new();
    let [(a, _), (b, _), ..] = jobs.as_slice() else { panic!("people") };
    scans += &format!("{}\n{}\n", code(CodeKind::Key, a, 1), code(CodeKind::Parcel, b, 1));
    scans += &format!("{}\n{}\n", code(CodeKind::Key, b, 1), code(CodeKind::Key, a, 1));
    for (number, (job, _)) in jobs.iter().enumerate() {
        scans += &format!("{}\n{}\nJD{number:04}\n", code(CodeKind::Key, job, 1), code(CodeKind::Parcel, job, 1));
    }
    let (exit, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &scans);
    assert_eq!(exit, 1, "{said}");
    let summary = answers.last().expect("a summary");
    assert_eq!((summary["packed"].as_u64(), summary["stopped"].as_u64()), (Some(PEOPLE as u64), Some(2)), "{said}");
    assert_eq!(said.matches("other-parcel").count(), 2, "{said}");

    // One parcel never arrives; the carrier lists the others.
    let [.., (lost, lost_upn)] = jobs.as_slice() else { panic!("people") };
    let mut list = "Nr;Status\n".to_owned();
    for number in 0..PEOPLE {
        list += &format!("JD{number:04};{}\n", if number == PEOPLE - 1 { "lost" } else { "Delivered" });
    }
    fs::write(desk.path("carrier.csv"), list).expect("written");
    desk.ok(&["receipt", "carrier", "carrier.csv", "--number", "Nr", "--status", "Status", "--delivered", "delivered"]);
    assert_eq!(
        places(&desk),
        BTreeMap::from([("on-the-way".to_owned(), 1), ("to-verify".to_owned(), PEOPLE as u64 - 1)])
    );
    assert_eq!(passkeys(&tenant, lost_upn), 1);
    let unasked = desk.json(&["lost", &format!("JD{:04}", PEOPLE - 1), "--reason", "carrier lost it"]);
    assert!(unasked.0 == 2 && passkeys(&tenant, lost_upn) == 1, "{}", unasked.2);
    desk.ok(&["lost", &format!("JD{:04}", PEOPLE - 1), "--reason", "carrier lost it", "--revoke-sessions", "--yes"]);
    assert_eq!(passkeys(&tenant, lost_upn), 0, "a key stolen on the way opens nothing");
    assert_eq!(tenant.state()["signed_out"].as_array().map(Vec::len), Some(1));

    // The batch was made to wait for receipt: settings that are looser now change nothing of it, and no run does.
    desk.write("desk.toml", &format!("{}release = \"any-time\"\n", desk.read("desk.toml")));
    let (exit, _, said) =
        desk.json(&["run", "people.csv", "--sim-keys", "1", "--batch", "spring", "--release", "any-time"]);
    assert!(exit == 2 && said.contains("\"batch-rule\""), "{said}");
    let (exit, _, said) = desk.json(&["status", "--batch", "autumn"]);
    assert!(exit == 2 && said.contains("those that it knows: spring"), "{said}");

    // Verified and released, by somebody else than the packer.
    let release =
        |upn: &str, by: &str| desk.json(&["release", upn, "--as", by, "--by", "hook", "--identity", "custodian.txt"]);
    for (_, upn) in jobs.iter().take(3) {
        let (exit, _, said) = release(upn, "Sam Roe");
        assert!(exit == 1 && said.contains("nobody has made sure"), "{said}");
        desk.ok(&["receipt", "verify", upn, "--how", "call-back", "--as", "Sam Roe"]);
        let (exit, _, said) = release(upn, "robin roe");
        assert!(exit == 1 && said.contains("does not release its PIN"), "{said}");
        assert_eq!(release(upn, "Sam Roe").0, 0);
    }
    assert_eq!(desk.read("handed-over").lines().count(), 3);

    // One key is replaced, one person leaves. The next run gives two people another key.
    let (replaced, leaver) = (&jobs[4].1, &jobs[5].1);
    desk.ok(&["replace", replaced, "--reason", "letter expired", "--yes"]);
    desk.ok(&["leaver", leaver, "--reason", "left", "--yes"]);
    assert_eq!((passkeys(&tenant, replaced), passkeys(&tenant, leaver)), (0, 0));
    fs::write(
        desk.path("people.csv"),
        format!("upn\n{}\n", tenant.upns.iter().filter(|upn| *upn != leaver).cloned().collect::<Vec<_>>().join("\n")),
    )
    .expect("written");
    let second = run_with(&desk, &["--batch", "spring"]);
    assert_eq!(
        (second["finished"].as_u64(), second["already"].as_u64()),
        (Some(2), Some(PEOPLE as u64 - 3)),
        "{second}"
    );
    for (_, upn) in &jobs {
        assert_eq!(passkeys(&tenant, upn), usize::from(upn != leaver), "{upn}");
    }
    // The old label is of a key that is gone.
    let old = format!("{}\n", code(CodeKind::Key, lost, 1));
    let (_, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &old);
    assert!(said.contains("of an earlier key") && answers.last().expect("a summary")["packed"] == 0, "{said}");
    let again = format!("{}\n{}\nnone\n", code(CodeKind::Key, lost, 2), code(CodeKind::Parcel, lost, 2));
    assert_eq!(desk.scanning(&["pack", "--as", "Robin Roe"], &again).0, 0);
    // Everybody who has a key is told of it, once; who left is not.
    let told = |sent: u64, already: u64| {
        let answers = desk.ok(&["notify", "--text", "--phone", "+49 30 1234567"]);
        let sum = answers.last().expect("a summary");
        assert_eq!((sum["sent"].as_u64(), sum["already"].as_u64()), (Some(sent), Some(already)), "{sum}");
    };
    told(PEOPLE as u64 - 1, 0);
    told(0, PEOPLE as u64 - 1);
    desk.ok(&["ledger", "verify"]);
    let agreed = desk.ok(&["reconcile"]);
    assert_eq!(agreed.last().expect("a summary")["differences"].as_u64(), Some(0));
}

fn of_event<'a>(answers: &'a [Value], event: &str) -> Vec<&'a Value> {
    answers.iter().filter(|answer| answer["event"] == event).collect()
}

/// Files of the walk that hold one of these PINs, in any spelling.
fn leaks(desk: &Desk, pins: &[String]) -> Vec<String> {
    let mut files = Vec::new();
    files_below(&desk.path(""), &mut files);
    let leaky = files.iter().filter(|path| holds_any(&fs::read(path).expect("readable"), pins));
    leaky.map(|path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()).collect()
}

/// The held registration of a job, sealed anew, with that of another in its place.
fn exchange_record(desk: &Desk, job: &str, with: &str, recipient: &str) {
    let ledger = open_alone(&Opening {
        path: desk.path("ledger.db"),
        mirror: Some(desk.path("mirror")),
        bench: BenchId::new("thief"),
        clock: Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    })
    .expect("a ledger");
    let mut identities = Identities::new();
    let identity = desk.read("activation-2.txt");
    identities.add("activation", identity.as_bytes(), Arc::new(NoPrompts)).expect("an identity");
    let record =
        open_record(&ledger, &JobId::new(with), &identities, SystemClock::new().now()).expect("the other's record");
    let to = Recipients::single(&[recipient.to_owned()]).expect("a recipient");
    let again = seal_document(&to, &record.to_bytes()).expect("sealed");
    let job = JobId::new(job);
    let story = ledger.entries_of(&job).expect("read");
    let before = story.into_iter().rev().find_map(|recorded| match recorded.entry {
        Entry::Handover(HandoverEntry::Held { sealed, .. } | HandoverEntry::HoldResealed { sealed, .. }) => {
            Some(sealed)
        }
        _ => None,
    });
    let (before, sealed) = (before.expect("it is held"), BlobHash::of(&again));
    let exchanged = HandoverEntry::HoldResealed { job, attempt: 1, before, sealed, to: Vec::new() };
    ledger.append(Append::entry(Entry::Handover(exchanged)).with_document(again)).expect("written");
}

#[test]
#[cfg_attr(not(unix), ignore = "the hook of this walk is a Unix shell's")]
fn a_batch_is_held_until_receipt() {
    let people = people_default(PEOPLE, 11);
    let tenant = start(TenantSpec { people, ..TenantSpec::default() }, "127.0.0.1:0".parse().expect("an address"))
        .expect("a tenant");
    // PINs that no scan finds by chance.
    let desk = Desk::new(&tenant, |keygen| {
        format!(
            "{HOOK}activate = \"on-receipt\"\nactivation_recipients = [\"{}\"]\n[pin]\nlength = 16\nalphabet = \"alphanumeric\"\n",
            keygen("activation.txt")
        )
    });
    let languages = ["de", "nl", "fr"];
    let rows: Vec<String> = tenant
        .upns
        .iter()
        .enumerate()
        .map(|(n, upn)| format!("{upn},{},{} Main Street,1000,Town", languages[n % 3], n + 1))
        .collect();
    fs::write(desk.path("people.csv"), format!("upn,language,street,postal_code,city\n{}\n", rows.join("\n")))
        .expect("written");
    let all = PEOPLE as u64;
    let refused = |(exit, _, said): (i32, Vec<Value>, String), code: &str| {
        assert!(exit != 0 && said.contains(&format!("\"{code}\"")), "{code}: {said}");
    };

    // The bench makes the keys, and the tenant hears nothing. A second run makes none.
    let told = desk.ok(&["run", "people.csv", "--sim-keys", "8"]);
    let first = of_event(&told, "summary")[0];
    assert_eq!((first["finished"].as_u64(), first["held"].as_u64()), (Some(all), Some(all)), "{first}");
    assert_eq!(of_event(&told, "held").len(), PEOPLE);
    assert!(tenant.upns.iter().all(|upn| passkeys(&tenant, upn) == 0), "a key stolen in transit opens nothing");
    add_a_custodian(&desk);
    let again = run(&desk);
    let counts =
        ["planned", "finished", "already", "failed", "refused", "parked", "held"].map(|name| again[name].as_u64());
    assert_eq!(counts, [Some(all), Some(0), Some(all), Some(0), Some(0), Some(0), Some(all)], "{again}");
    assert_eq!(desk.ok(&["reconcile"]).last().expect("a summary")["differences"], 0, "a hold is no orphan");
    let status = desk.ok(&["status"]);
    assert_eq!(status.last().expect("a summary")["held"].as_u64(), Some(all));
    let jobs: Vec<(String, String)> = of_event(&status, "job")
        .iter()
        .map(|line| {
            assert_eq!(line["hold_days_left"], 30, "{line}");
            (line["job"].as_str().expect("a job").to_owned(), line["upn"].as_str().expect("a UPN").to_owned())
        })
        .collect();
    assert_eq!(jobs.len(), PEOPLE);

    // Letters in everybody's language, for the print shop alone; labels.
    let shop = desk.keygen("shop.txt");
    let make = ["letters", "make", "--identity", "custodian.txt", "--out", "letters", "--encrypt-to", &shop];
    let (_, letters, said) = desk.json(&[&make[..], &["--phone", "+49 30 1"]].concat());
    let made = letters.last().expect("a summary");
    // Names that the built-in font can't write are told, and their keys go on all the same.
    assert_eq!((made["printed"].as_u64(), made["held"].as_u64()), (Some(25), Some(5)), "{said}");
    for language in languages {
        assert!(of_event(&letters, "letter").iter().any(|one| one["language"] == language), "{language}: {said}");
    }
    desk.ok(&["letters", "confirm", "--all"]);
    let labels = ["labels", "make", "--for", "parcel", "--sheet", "L7165", "--out", "labels.pdf"];
    let (_, labels, said) = desk.json(&labels);
    assert_eq!(labels.last().expect("a summary")["labels"].as_u64(), Some(25), "{said}");

    // Who activates changes: by one of those in force, and every held registration goes over.
    let next = desk.keygen("activation-2.txt");
    let change = |identity: &str| {
        let reason = ["--as", "Kim Lee", "--reason", "Sam left", "--yes"];
        desk.json(&[&["custodian", "activation", "--recipient", &next, "--identity", identity], &reason[..]].concat())
    };
    refused(change("custodian.txt"), "identity");
    let (exit, changed, said) = change("activation.txt");
    assert!(exit == 0 && changed[0]["resealed"].as_u64() == Some(all), "{said}");
    refused(desk.json(&["run", "people.csv", "--sim-keys", "8"]), "activation-keys");
    let settings = desk.read("desk.toml");
    let before =
        settings.split("activation_recipients = [\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key");
    desk.write("desk.toml", &settings.replace(before, &next));

    // Packed, with two mismatches; one parcel never arrives.
    let mut scans = String::new();
    let [(a, _), (b, _), ..] = jobs.as_slice() else { panic!("people") };
    scans += &format!("{}\n{}\n", code(CodeKind::Key, a, 1), code(CodeKind::Parcel, b, 1));
    scans += &format!("{}\n{}\n", code(CodeKind::Key, b, 1), code(CodeKind::Key, a, 1));
    for (number, (job, _)) in jobs.iter().enumerate() {
        scans += &format!("{}\n{}\nJD{number:04}\n", code(CodeKind::Key, job, 1), code(CodeKind::Parcel, job, 1));
    }
    let (exit, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &scans);
    assert_eq!((exit, said.matches("other-parcel").count()), (1, 2), "{said}");
    assert_eq!(answers.last().expect("a summary")["packed"].as_u64(), Some(all), "{said}");
    let mut list = "Nr;Status\n".to_owned();
    for number in 0..PEOPLE {
        list += &format!("JD{number:04};{}\n", if number == PEOPLE - 1 { "lost" } else { "Delivered" });
    }
    fs::write(desk.path("carrier.csv"), list).expect("written");
    desk.ok(&["receipt", "carrier", "carrier.csv", "--number", "Nr", "--status", "Status", "--delivered", "delivered"]);
    let (lost, returned, late) = (&jobs[PEOPLE - 1], &jobs[PEOPLE - 2], &jobs[PEOPLE - 3]);

    // Receipt, person, activation, PIN: in this order and no other, by two people, with the right identity.
    let activate =
        |what: &str, by: &str, identity: &str| desk.json(&["activate", what, "--identity", identity, "--as", by]);
    let release =
        |upn: &str| desk.json(&["release", upn, "--as", "Sam Roe", "--by", "hook", "--identity", "custodian.txt"]);
    let (card, upn) = (code(CodeKind::Parcel, a, 1), &jobs[0].1);
    refused(activate(&card, "Sam Roe", "activation-2.txt"), "not-verified");
    desk.ok(&["receipt", "verify", upn, "--how", "call-back", "--as", "Sam Roe"]);
    refused(release(upn), "not-activated");
    refused(activate(upn, "robin  ROE", "activation-2.txt"), "packer-activates");
    refused(activate(upn, "Sam Roe", "custodian.txt"), "identity");
    refused(activate(upn, "Sam Roe", "activation.txt"), "identity");
    assert_eq!(passkeys(&tenant, upn), 0);
    let dry = desk.ok(&["activate", upn, "--identity", "activation-2.txt", "--as", "Sam Roe", "--dry-run"]);
    assert!(dry[0]["dry_run"] == true && passkeys(&tenant, upn) == 0);
    let kept: Vec<&(String, String)> = jobs.iter().take(PEOPLE - 3).collect();
    for (_, upn) in &kept {
        desk.ok(&["receipt", "verify", upn, "--how", "call-back", "--as", "Sam Roe"]);
        let (exit, done, said) = activate(upn, "Sam Roe", "activation-2.txt");
        assert!(exit == 0 && done[0]["event"] == "activated", "{said}");
        assert_eq!(passkeys(&tenant, upn), 1);
        assert_eq!(release(upn).0, 0);
    }
    refused(activate(upn, "Sam Roe", "activation-2.txt"), "not-held");

    // Whoever can write the ledger and knows whom registrations are sealed to has another's sealed in the place of this one.
    desk.ok(&["receipt", "verify", &returned.1, "--how", "manager", "--as", "Sam Roe"]);
    exchange_record(&desk, &returned.0, &late.0, &next);
    let requests = tenant.state()["requests"]["register"].clone();
    refused(activate(&returned.1, "Sam Roe", "activation-2.txt"), "not-the-record");
    assert_eq!(tenant.state()["requests"]["register"], requests, "nothing is sent");

    // One parcel is lost, one key comes back, one is activated too late: nothing of them was ever in the tenant.
    desk.ok(&["lost", "JD0029", "--reason", "carrier lost it", "--yes"]);
    refused(activate(&lost.1, "Sam Roe", "activation-2.txt"), "key-gone");
    desk.ok(&["return", "--not-wiped", "--what", &returned.1, "--replace", "--reason", "new desk", "--yes"]);
    desk.ok(&["receipt", "verify", &late.1, "--how", "manager", "--as", "Sam Roe"]);
    tenant.advance(31 * 24 * 3600);
    let requests = tenant.state()["requests"]["register"].clone();
    refused(activate(&late.1, "Sam Roe", "activation-2.txt"), "hold-expired");
    refused(release(&late.1), "not-activated");
    assert_eq!(tenant.state()["requests"]["register"], requests, "the service is not troubled with it");

    // The next run gives all three another key, and nobody else.
    let second = run(&desk);
    let counts = ["finished", "already", "held", "parked"].map(|name| second[name].as_u64());
    assert_eq!(counts, [Some(3), Some(all - 3), Some(3), Some(0)], "{second}");
    let mut scans = String::new();
    for (job, _) in [lost, returned, late] {
        scans += &format!("{}\n{}\nnone\n", code(CodeKind::Key, job, 2), code(CodeKind::Parcel, job, 2));
    }
    assert_eq!(desk.scanning(&["pack", "--as", "Robin Roe"], &scans).0, 0);
    for (job, upn) in [lost, returned, late] {
        desk.ok(&["receipt", "card", &code(CodeKind::Parcel, job, 2)]);
        desk.ok(&["receipt", "verify", upn, "--how", "call-back", "--as", "Sam Roe"]);
        assert_eq!(activate(upn, "Sam Roe", "activation-2.txt").0, 0);
        assert_eq!(release(upn).0, 0);
    }

    // Ledger, tenant and stock agree, and no file holds a PIN but the one that the hook made.
    desk.ok(&["ledger", "verify"]);
    assert!(tenant.upns.iter().all(|upn| passkeys(&tenant, upn) == 1));
    assert_eq!(desk.ok(&["reconcile"]).last().expect("a summary")["differences"], 0);
    assert_eq!(places(&desk), BTreeMap::from([("done".to_owned(), all)]));
    let stock = desk.ok(&["stock", "list"]);
    let begun = of_event(&stock, "stock").iter().filter(|one| one["state"] == "begun").count();
    assert_eq!(begun, 0, "{stock:?}");
    let handed = desk.read("handed-over");
    let pins: Vec<String> = handed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["pin"].as_str().expect("a PIN").to_owned())
        .collect();
    assert_eq!(pins.len(), PEOPLE);
    assert_eq!(leaks(&desk, &pins), ["handed-over"], "the one that is there to be found, and no other");
    let said = desk.said();
    assert!(pins.iter().all(|pin| !holds(&said, pin)), "and nothing that was printed");
}

#[test]
#[cfg_attr(not(unix), ignore = "the hook of this walk is a Unix shell's")]
fn two_keys_of_one_person_go_to_two_places() {
    let people = people_default(3, 5);
    let tenant = start(TenantSpec { people, ..TenantSpec::default() }, "127.0.0.1:0".parse().expect("an address"))
        .expect("a tenant");
    let desk = Desk::new(&tenant, |_| format!("{HOOK}carrier = \"carrier.toml\"\ncountry = \"DE\"\n"));
    fs::write(
        desk.path("carrier.toml"),
        "[[columns]]\nname = \"ref\"\nfrom = \"code\"\n[[columns]]\nname = \"street\"\nfrom = \"street\"\nrequired = true\n\
         [[columns]]\nname = \"city\"\nfrom = \"city\"\n[[columns]]\nname = \"key\"\nfrom = \"key_number\"\n",
    )
    .expect("written");
    let [kim, lee, ..] = tenant.upns.as_slice() else { panic!("people") };
    let header = "upn,keys,street,postal_code,city,country,spare street,spare postal code,spare city,spare country";
    let roster = |spare: &str| {
        let text =
            format!("{header}\n{kim},2,1 Home St,10115,Berlin,DE,{spare}\n{lee},1,5 Single St,1000,Town,DE,,,,\n");
        fs::write(desk.path("people.csv"), text).expect("written");
    };

    // A spare's address that no carrier takes is told before the first key.
    roster(",,Vienna,AT");
    let (exit, _, said) = desk.json(&["run", "people.csv", "--sim-keys", "4", "--strict"]);
    assert!(exit == 1 && said.contains("the spare key's address"), "{said}");
    assert_eq!(passkeys(&tenant, kim), 0);
    roster("2 Office St,1010,Vienna,AT");
    let first = run(&desk);
    assert_eq!((first["planned"].as_u64(), first["finished"].as_u64()), (Some(3), Some(3)), "{first}");
    assert_eq!(passkeys(&tenant, kim), 2);

    // Carrier, packing list and labels tell the two apart.
    desk.ok(&["export", "carrier", "--out", "parcels.csv", "--packing-list", "packing.csv"]);
    let parcels = desk.read("parcels.csv");
    for cells in [
        "\"1 Home St\",\"Berlin\",\"1 of 2\"",
        "\"2 Office St\",\"Vienna\",\"2 of 2\"",
        "\"5 Single St\",\"Town\",\"\"",
    ] {
        assert!(parcels.contains(cells), "{parcels}");
    }
    let packing = desk.read("packing.csv");
    assert!(packing.contains("\"key 1 of 2\"") && packing.contains("\"key 2 of 2\""), "{packing}");
    let labels =
        desk.ok(&["labels", "make", "--for", "parcel", "--format", "zpl", "--size", "100x60", "--out", "labels.zpl"]);
    assert_eq!(of_event(&labels, "label").len(), 3);
    let zpl = desk.read("labels.zpl");
    assert!(zpl.contains("2 Office St") && zpl.contains("2 of 2") && zpl.contains("1 of 2"), "{zpl}");
    // Two letters, each for its own key.
    let letters =
        desk.ok(&["letters", "make", "--identity", "custodian.txt", "--out", "letters", "--phone", "+49 30 1"]);
    assert_eq!(fs::read_dir(desk.path("letters")).expect("a folder").count(), 3, "{letters:?}");
    desk.ok(&["letters", "confirm", "--all"]);

    // The one key in the other's parcel stops.
    let status = desk.ok(&["status"]);
    let job = |ordinal: u64| {
        let of = |line: &&&Value| line["upn"] == kim.as_str() && line["key_number"] == ordinal;
        of_event(&status, "job").iter().find(of).expect("a job")["job"].as_str().expect("a job").to_owned()
    };
    let (one, two) = (job(1), job(2));
    let scan = |key: &str, parcel: &str, number: &str| {
        format!("{}\n{}\n{number}", code(CodeKind::Key, key, 1), code(CodeKind::Parcel, parcel, 1))
    };
    let (exit, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &scan(&one, &two, ""));
    assert!(exit == 1 && said.contains("other-parcel"), "{said}");
    assert_eq!(answers.last().expect("a summary")["packed"], 0);
    let right = scan(&one, &one, "HOME1\n") + &scan(&two, &two, "OFFICE2\n");
    assert_eq!(desk.scanning(&["pack", "--as", "Robin Roe"], &right).0, 0);

    // By name it is not clear which; each goes its own way: one PIN by the hook, one by letter.
    let (exit, _, said) = desk.json(&["receipt", "verify", kim, "--how", "manager", "--as", "Sam Roe"]);
    assert!(exit == 2 && said.contains(&one) && said.contains(&two), "{said}");
    for job in [&one, &two] {
        desk.ok(&["receipt", "card", &code(CodeKind::Parcel, job, 1)]);
        desk.ok(&["receipt", "verify", job, "--how", "call-back", "--as", "Sam Roe"]);
    }
    desk.ok(&["release", "HOME1", "--as", "Sam Roe", "--by", "hook", "--identity", "custodian.txt"]);
    let handed = desk.read("handed-over");
    assert!(handed.contains(&one) && !handed.contains(&two), "the spare's PIN stays");
    assert_eq!(places(&desk), BTreeMap::from([("done".into(), 1), ("to-pack".into(), 1), ("to-release".into(), 1)]));
    desk.ok(&["release", &two, "--as", "Sam Roe"]);
    // One of two is lost; the other goes on working.
    desk.ok(&["lost", "OFFICE2", "--reason", "left in a train", "--yes"]);
    assert_eq!(passkeys(&tenant, kim), 1);
    assert_eq!(desk.ok(&["reconcile"]).last().expect("a summary")["differences"], 0);
}
