//! The commands that read the ledger, on one story: kim's key is finished, sam's try failed, lee waits, a guest is refused.

use std::os::unix::fs::PermissionsExt as _;

use super::Exit;
use super::testing::{Desk, PIN, kinds};
use crate::ledger::{Append, Entry, Ledger as _};

#[test]
fn status_counts_everybody_and_says_what_to_do() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let people = desk.run(&["status"]);
    assert_eq!(people.exit, Exit::Done);
    assert!(people.out.contains("4 jobs: 1 finished, 1 waiting, 1 failed, 1 refused"), "{}", people.out);
    assert!(
        people.out.contains("sam@contoso.example") && people.out.contains("Next: Put the key aside"),
        "{}",
        people.out
    );
    assert!(!people.out.contains("lee@"), "who only waits is counted: {}", people.out);
    let waiting = desk.run(&["status", "--only", "waiting"]);
    assert!(waiting.out.contains("lee@") && !waiting.out.contains("sam@"), "{}", waiting.out);

    let lines = desk.run(&["status", "--json"]).lines();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        (lines[0]["upn"].as_str(), lines[0]["status"].as_str()),
        (Some("kim@contoso.example"), Some("finished"))
    );
    assert_eq!(lines[1]["job"].as_str(), Some(jobs[1].as_str()));
    assert_eq!(lines[1]["code"].as_str(), Some("proof-failed"));
    assert_eq!(lines[4]["event"].as_str(), Some("status"));
    assert_eq!((lines[4]["jobs"].as_u64(), lines[4]["failed"].as_u64()), (Some(4), Some(1)));
    assert!(people.out.contains(lines[4]["head"].as_str().expect("a head")));
    assert_eq!(desk.run(&["status", "--json", "--batch", "another"]).exit, Exit::Usage);
}

#[test]
fn status_works_beside_a_running_bench() {
    let desk = Desk::new(1);
    desk.story();
    let _running = desk.ledger();
    assert_eq!(desk.run(&["status"]).exit, Exit::Done);
    assert_eq!(desk.run(&["show", "kim@contoso.example"]).exit, Exit::Done);
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn a_job_a_key_and_a_person_each_have_their_story() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let by_upn = desk.run(&["show", "KIM@contoso.example"]);
    assert!(by_upn.out.contains("Try 1 began with YubiKey 5 NFC, serial 19283746"), "{}", by_upn.out);
    assert!(by_upn.out.contains("registered in the tenant as method-1") && by_upn.out.contains("Finished."));
    for name in [&jobs[0].as_str().to_lowercase(), "id-of-kim", "19283746", "method-1", "----AQ"] {
        let found = desk.run(&["show", "--", name]);
        assert_eq!((found.exit, &found.out), (Exit::Done, &by_upn.out), "{name}");
    }
    let refused = desk.run(&["show", "555"]);
    assert!(refused.out.contains("was refused. The key already has a PIN"), "{}", refused.out);
    let lines = desk.run(&["show", "sam@contoso.example", "--json"]).lines();
    assert_eq!(lines[0]["event"].as_str(), Some("job"));
    assert!(lines.iter().any(|line| line["entry"]["kind"].as_str() == Some("attempt-failed")), "{lines:?}");
    let nobody = desk.run(&["show", "nobody@contoso.example"]);
    assert_eq!(nobody.exit, Exit::Usage);
    assert!(nobody.err.contains("knows no job, key or person nobody@contoso.example"), "{}", nobody.err);
}

#[test]
fn no_list_holds_a_pin() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let (manifest, audit) = (desk.path("m.csv"), desk.path("a.jsonl"));
    assert_eq!(desk.run(&["export", "manifest", "--out", &manifest.display().to_string()]).exit, Exit::Done);
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let headers = table.headers().expect("a header").clone();
    let rows: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().expect("rows");
    assert_eq!(rows.len(), 1, "one row a finished key: {text}");
    let cell = |name: &str| rows[0].get(headers.iter().position(|header| header == name).expect(name)).expect("a cell");
    assert_eq!((cell("upn"), cell("job"), cell("serial")), ("kim@contoso.example", jobs[0].as_str(), "19283746"));
    assert_eq!(cell("display_name"), "'=Kim \"the\" Lee", "a formula is guarded");
    assert_eq!(cell("credential_id"), "'----AQ", "base64url may begin with a dash");
    assert_eq!((cell("force_change"), cell("minimum_pin_length"), cell("taken")), ("true", "6", "yes"));
    assert_eq!((cell("address"), cell("country")), ("1 Main St, Town", "CZ"));
    let mode = std::fs::metadata(&manifest).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    assert_eq!(desk.run(&["export", "audit", "--out", &audit.display().to_string()]).exit, Exit::Done);
    let lines = std::fs::read_to_string(&audit).expect("an audit");
    assert_eq!(lines.lines().count(), kinds(&desk.path("ledger.db")).len());
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(row["seq"].is_u64() && row["kind"].is_string() && row["body"].is_string(), "{line}");
    }
    assert!(!text.contains(PIN) && !lines.contains(PIN));
    let nowhere = desk.path("no/such/folder/m.csv");
    assert_eq!(desk.run(&["export", "manifest", "--out", &nowhere.display().to_string()]).exit, Exit::Usage);
}

#[test]
fn a_pin_is_opened_on_the_record_and_nowhere_else() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let identity = desk.path("custodian-0.txt").display().to_string();
    let open = |more: &[&str]| {
        let job = jobs[0].as_str();
        let mut line =
            vec!["escrow", "open", "--identity", &identity, "--job", job, "--as", "Kim", "--reason", "letter"];
        line.extend(more);
        desk.run(&line)
    };
    let before = kinds(&desk.path("ledger.db")).len();
    let piped = open(&[]);
    assert_eq!((piped.exit, piped.out.as_str()), (Exit::Usage, ""), "not to a pipe unasked");
    assert_eq!(kinds(&desk.path("ledger.db")).len(), before, "and nothing was opened");

    let opened = open(&["--to-stdout"]);
    assert_eq!((opened.exit, opened.out), (Exit::Done, format!("{PIN}\n")), "{}", opened.err);
    assert!(!opened.err.contains(PIN));
    let last = kinds(&desk.path("ledger.db")).pop();
    assert!(
        matches!(&last, Some(Entry::PinOpened { by, reason, attempt: 1, .. }) if by == "Kim" && reason == "letter"),
        "{last:?}"
    );
    assert_eq!(open(&["--to-stdout", "--json"]).out, format!("{PIN}\n"), "the PIN and only the PIN");
    assert!(!desk.run(&["show", jobs[0].as_str()]).out.contains(PIN));

    // The failed try's PIN is on a key somewhere: it can be opened as well.
    let failed = desk.run(&[
        "escrow",
        "open",
        "--identity",
        &identity,
        "--job",
        jobs[1].as_str(),
        "--as",
        "K",
        "--reason",
        "r",
        "--to-stdout",
    ]);
    assert_eq!(failed.exit, Exit::Done, "{}", failed.err);
    for (job, code) in [(jobs[2].as_str(), "no sealed PIN"), ("0000000000", "no job 0000000000")] {
        let line =
            ["escrow", "open", "--identity", &identity, "--job", job, "--as", "K", "--reason", "r", "--to-stdout"];
        let nothing = desk.run(&line);
        assert_eq!((nothing.exit, nothing.out.as_str()), (Exit::Usage, ""));
        assert!(nothing.err.contains(code), "{}", nothing.err);
    }
}

#[test]
fn nothing_is_shown_that_is_not_recorded() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let identity = desk.path("custodian-0.txt").display().to_string();
    let job = jobs[0].as_str();
    let open = |by: &str, reason: &str| {
        desk.run(&[
            "escrow",
            "open",
            "--identity",
            &identity,
            "--job",
            job,
            "--as",
            by,
            "--reason",
            reason,
            "--to-stdout",
        ])
    };
    assert_eq!(open(" ", "letter").exit, Exit::Usage);
    assert_eq!(open("Kim", "two\nlines").exit, Exit::Usage);
    let told = open("Kim", &format!("the PIN is {PIN}"));
    assert_eq!((told.exit, told.out.as_str()), (Exit::Usage, ""), "a PIN may not stand in the ledger");
    assert!(!told.err.contains(PIN));
    let before = kinds(&desk.path("ledger.db")).len();
    desk.write("stranger.txt", crate::pin::keygen(jiff::Timestamp::UNIX_EPOCH).expose_file());
    let stranger = desk.path("stranger.txt").display().to_string();
    let line = ["escrow", "open", "--identity", &stranger, "--job", job, "--as", "K", "--reason", "r", "--to-stdout"];
    let closed = desk.run(&line);
    assert_eq!((closed.exit, closed.out.as_str()), (Exit::Usage, ""));
    assert_eq!(kinds(&desk.path("ledger.db")).len(), before);
}

#[test]
fn dual_control_takes_one_of_each_group() {
    let desk = Desk::new(2);
    let jobs = desk.story();
    let identity = |number: usize| desk.path(&format!("custodian-{number}.txt")).display().to_string();
    let (first, second) = (identity(0), identity(1));
    let open = |identities: &[&String]| {
        let mut line = vec!["escrow", "open", "--job", jobs[0].as_str(), "--as", "K", "--reason", "r", "--to-stdout"];
        for identity in identities {
            line.extend(["--identity", identity.as_str()]);
        }
        desk.run(&line)
    };
    for one in [&first, &second] {
        let alone = open(&[one]);
        assert_eq!((alone.exit, alone.out.as_str()), (Exit::Usage, ""), "{}", alone.err);
    }
    assert_eq!(open(&[&first, &second]).out, format!("{PIN}\n"));
    assert_eq!(open(&[&first, &second, &second]).exit, Exit::Usage);
}

#[test]
fn an_identity_is_made_once_and_privately() {
    let desk = Desk::new(1);
    let out = desk.path("kim.txt").display().to_string();
    let made = desk.run(&["escrow", "keygen", "--out", &out]);
    assert_eq!(made.exit, Exit::Done);
    assert!(made.out.starts_with("age1") && made.out.lines().count() == 1, "{}", made.out);
    let content = std::fs::read_to_string(&out).expect("an identity");
    assert!(content.contains(made.out.trim()) && content.contains("AGE-SECRET-KEY-1"));
    assert_eq!(std::fs::metadata(&out).expect("there").permissions().mode() & 0o777, 0o600);
    let again = desk.run(&["escrow", "keygen", "--out", &out]);
    assert_eq!((again.exit, again.out.as_str()), (Exit::Usage, ""));
    assert_eq!(std::fs::read_to_string(&out).expect("still there"), content);
    let json = desk.run(&["escrow", "keygen", "--json", "--out", &desk.path("sam.txt").display().to_string()]);
    assert!(json.lines()[0]["recipient"].as_str().is_some_and(|text| text.starts_with("age1")));
}

#[test]
fn a_ledger_is_verified_and_rebuilt_from_its_mirror() {
    let desk = Desk::new(1);
    desk.story();
    let good = desk.run(&["ledger", "verify", "--json"]).lines();
    let head = good[0]["head"].as_str().expect("a head").to_owned();
    assert_eq!(desk.run(&["ledger", "verify", "--head", &head]).exit, Exit::Done);
    assert_eq!(desk.run(&["ledger", "verify", "--head", "3:0000000000000000"]).exit, Exit::Ledger);

    // A key got a PIN, and then the disk was put back to before that: the mirror knows.
    let identity = desk.path("custodian-0.txt").display().to_string();
    std::fs::write(desk.path("ledger.db"), b"not a ledger at all, and long enough to be looked at as one ......")
        .expect("spoilt");
    for rest in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(desk.path(&format!("ledger.db{rest}")));
    }
    assert_eq!(desk.run(&["status"]).exit, Exit::Ledger);
    let rebuilt = desk.run(&["ledger", "restore", "--json"]);
    assert_eq!(rebuilt.exit, Exit::Done, "{}", rebuilt.err);
    let kept = rebuilt.lines()[0]["kept"].as_str().expect("kept").to_owned();
    assert!(std::path::Path::new(&kept).is_file());
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
    let jobs = desk.run(&["status", "--json"]).lines();
    let job = jobs[0]["job"].as_str().expect("a job");
    let line = ["escrow", "open", "--identity", &identity, "--job", job, "--as", "K", "--reason", "r", "--to-stdout"];
    assert_eq!(desk.run(&line).out, format!("{PIN}\n"), "sealed PINs are in the mirror too");
}

#[test]
fn a_pin_is_opened_beside_a_running_bench_and_stands_in_its_ledger() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let identity = desk.path("custodian-0.txt").display().to_string();
    let job = jobs[0].as_str();
    let line = ["escrow", "open", "--identity", &identity, "--job", job, "--as", "Kim", "--reason", "r", "--to-stdout"];
    let running = desk.ledger();
    let before = kinds(&desk.path("ledger.db")).len();
    let opened = desk.run(&line);
    assert_eq!((opened.exit, opened.out), (Exit::Done, format!("{PIN}\n")), "{}", opened.err);
    assert_eq!(kinds(&desk.path("ledger.db")).len(), before + 1);
    let story = desk.run(&["show", job]).out;
    assert_eq!(story.matches("was opened by Kim").count(), 1, "{story}");
    running.verify(None).expect("the bench goes on, on one chain");
    running.append(Append::entry(Entry::ResumeKeyDestroyed { job: jobs[0].clone(), attempt: 1 })).expect("goes on");

    // Where it can't be written, nothing is shown.
    drop(running);
    let alone = crate::ledger::open_alone(&crate::ledger::Opening {
        path: desk.path("ledger.db"),
        mirror: None,
        bench: crate::model::BenchId::new("bench-1"),
        clock: std::sync::Arc::new(crate::world::SystemClock::new()),
        entropy: &crate::world::SystemEntropy,
    })
    .expect("alone");
    let refused = desk.run(&line);
    assert_eq!((refused.exit, refused.out.as_str()), (Exit::Ledger, ""), "{}", refused.err);
    assert!(refused.err.contains("in use"), "{}", refused.err);
    drop(alone);
}

#[test]
fn nothing_is_restored_from_nothing_or_under_a_running_bench() {
    let desk = Desk::new(1);
    desk.story();
    let missing = desk.run(&["ledger", "restore", "--mirror", "/no/such/mirror"]);
    assert_eq!(missing.exit, Exit::Ledger);
    desk.write("torn", "{\"seq\":");
    let torn = desk.run(&["ledger", "restore", "--mirror", &desk.path("torn").display().to_string()]);
    assert_eq!(torn.exit, Exit::Ledger);
    assert_eq!(desk.run(&["status"]).exit, Exit::Done, "the ledger is back in its place: {}", torn.err);
    let _running = desk.ledger();
    let busy = desk.run(&["ledger", "restore"]);
    assert_eq!(busy.exit, Exit::Ledger);
    assert!(busy.err.contains("in use"), "{}", busy.err);
}

#[test]
fn custodians_are_replaced_by_one_of_them_and_by_nobody_else() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let new = crate::pin::keygen(jiff::Timestamp::UNIX_EPOCH);
    desk.write("new.txt", new.expose_file());
    let path = |name: &str| desk.path(name).display().to_string();
    let rotate = |identity: &str, more: &[&str]| {
        let identity = path(identity);
        let mut line = vec!["custodian", "rotate", "--recipient", new.recipient(), "--identity", &identity];
        line.extend(["--as", "Kim", "--reason", "Sam left"]);
        line.extend(more);
        desk.run(&line)
    };
    let open = |identity: &str| {
        let identity = path(identity);
        let line = ["escrow", "open", "--identity", &identity, "--job", jobs[0].as_str(), "--as", "Kim"];
        desk.run(&[&line[..], &["--reason", "letter", "--to-stdout"]].concat())
    };
    let before = kinds(&desk.path("ledger.db")).len();
    let unasked = rotate("custodian-0.txt", &[]);
    assert_eq!(unasked.exit, Exit::Usage);
    assert!(unasked.err.contains("The custodians were not changed."), "{}", unasked.err);
    let stranger = rotate("new.txt", &["--yes"]);
    assert_eq!(stranger.exit, Exit::Usage);
    assert!(stranger.err.contains("not those of the custodians in force"), "{}", stranger.err);
    assert!(stranger.err.contains("Nothing was changed."), "{}", stranger.err);
    let tried = rotate("custodian-0.txt", &["--dry-run"]);
    assert!(tried.out.contains("2 PINs would be sealed again"), "{}", tried.out);
    assert_eq!(kinds(&desk.path("ledger.db")).len(), before, "nothing was written");

    let changed = rotate("custodian-0.txt", &["--yes"]);
    assert_eq!(changed.exit, Exit::Done, "{}", changed.err);
    assert!(
        changed.out.contains(new.recipient()) && changed.err.contains("old seals"),
        "{}{}",
        changed.out,
        changed.err
    );
    assert_eq!(open("custodian-0.txt").exit, Exit::Usage, "the old identity opens nothing");
    assert_eq!(open("new.txt").out, format!("{PIN}\n"));
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
    let mirror = std::fs::read_to_string(desk.path("mirror")).expect("a mirror");
    assert!(!mirror.contains(PIN));
    let listed = desk.run(&["custodian", "list"]);
    assert!(listed.out.contains("Kim: Sam left") && listed.out.contains("not in the settings"), "{}", listed.out);
    let lines = desk.run(&["custodian", "list", "--json"]).lines();
    assert_eq!((lines[0]["sealed"].as_u64(), lines[0]["sealed_to_earlier"].as_u64()), (Some(2), Some(0)));
}

#[test]
fn a_mail_room_works_on_a_bundle_and_its_log_comes_home() {
    let (bench, room) = (Desk::new(1), Desk::new(1));
    let jobs = bench.story();
    room.settings("[bench]\nname = \"mail room\"\n");
    let (out, home) = (bench.path("spring.custody"), room.path("done.custody"));
    let (out, home) = (out.display().to_string(), home.display().to_string());
    let nothing = bench.run(&["custody", "log", "--out", &home]);
    assert!(nothing.err.contains("Nothing was done here"), "{}", nothing.err);
    assert!(!room.path("done.custody").exists());
    let exported = bench.run(&["custody", "export", "--out", &out, "--json"]);
    let print = exported.lines()[0]["fingerprint"].as_str().expect("a fingerprint").to_owned();
    assert!(bench.run(&["custody", "fingerprint"]).out.contains(&print));
    let mode = std::fs::metadata(&out).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = std::fs::read_to_string(&out).expect("a bundle");
    assert!(!text.contains(PIN));

    let stranger = room.run(&["custody", "import", &out]);
    assert_eq!(stranger.exit, Exit::Usage);
    assert!(stranger.err.contains("nobody here has compared") && stranger.err.contains("--from"), "{}", stranger.err);
    assert!(room.run(&["custody", "import", &out, "--dry-run"]).out.contains("4 jobs; whole, and signed by"));
    let taken = room.run(&["custody", "import", &out, "--from", &print]);
    assert_eq!(taken.exit, Exit::Done, "{}", taken.err);
    assert!(room.run(&["status"]).out.contains("4 jobs: 1 finished"), "the mail room sees where everybody stands");
    let identity = bench.path("custodian-0.txt").display().to_string();
    let open =
        ["escrow", "open", "--identity", &identity, "--job", jobs[0].as_str(), "--as", "Robin", "--reason", "letter"];
    assert_eq!(room.run(&[&open[..], &["--to-stdout"]].concat()).out, format!("{PIN}\n"));

    assert_eq!(room.run(&["custody", "log", "--out", &home]).exit, Exit::Done);
    let theirs = room.run(&["custody", "fingerprint"]).out.trim().to_owned();
    let taken = bench.run(&["custody", "import", &home, "--from", &theirs, "--json"]).lines();
    assert_eq!(taken[0]["entries"].as_u64(), Some(1));
    let story = bench.run(&["show", jobs[0].as_str()]);
    assert!(story.out.contains("At the desk mail room") && story.out.contains("opened by Robin"), "{}", story.out);
    assert_eq!(bench.run(&["ledger", "verify"]).exit, Exit::Done);
    let own = bench.run(&["custody", "import", &out]);
    assert!(own.err.contains("written at this very desk"), "{}", own.err);
    std::fs::write(&out, text.replacen("kim", "tim", 1)).expect("changed");
    let changed = room.run(&["custody", "import", &out]);
    assert!(changed.err.contains("was changed after it was written"), "{}", changed.err);
}

#[test]
fn a_pin_is_released_after_receipt_and_not_by_the_packer() {
    use crate::handover::code::{Code, CodeKind};
    use crate::ledger::{Append, HandoverEntry, Ledger as _};
    let desk = Desk::new(1);
    let jobs = desk.story();
    let kim = jobs[0].clone();
    let append = |entry| desk.ledger().append(Append::entry(Entry::Handover(entry))).expect("written");
    let release =
        |by: &str, more: &[&str]| desk.run(&[&["release", "kim@contoso.example", "--as", by][..], more].concat());
    let said =
        |ran: &super::testing::Ran, text: &str| assert!(ran.err.contains(text), "{text}: {}{}", ran.out, ran.err);
    let card = Code::new(CodeKind::Parcel, &kim, 1, 1).expect("a code").for_people();
    said(&desk.run(&["receipt", "card", &card]), "was not packed");
    let (tracking, by) = (Some("JD0146".to_owned()), "Robin".to_owned());
    append(HandoverEntry::Packed { job: kim.clone(), attempt: 1, seen_by: "label".into(), tracking, by });
    assert!(desk.run(&["receipt", "list"]).out.contains("on-the-way"));
    said(&release("Kim", &[]), "nothing says that its parcel arrived");

    desk.write("carrier.csv", "Nr,State\nXX1,delivered\nJD0146,on the way\n");
    let file = desk.path("carrier.csv").display().to_string();
    let carrier = ["receipt", "carrier", &file, "--number", "Nr", "--status", "State", "--delivered", "Delivered"];
    assert!(desk.run(&carrier).out.contains("0 new deliveries, 0 known already, 1 of parcels that are not ours"));
    desk.write("carrier.csv", "Nr,State\nJD0146,DELIVERED\n");
    assert!(desk.run(&carrier).out.contains("1 new deliveries"));
    assert!(desk.run(&carrier).out.contains("0 new deliveries, 1 known already"), "noted once");
    let wrong = ["receipt", "carrier", &file, "--number", "Tracking", "--status", "State", "--delivered", "x"];
    said(&desk.run(&wrong), "line 1: there is no column `Tracking`; there are Nr, State");
    assert_eq!(desk.run(&["receipt", "card", &card]).exit, Exit::Done);
    said(&desk.run(&["receipt", "card", "7201"]), "a code has 24 digits");
    said(&release("Kim", &[]), "nobody has made sure");
    let verified = desk.run(&["receipt", "verify", "jd0146", "--how", "call-back", "--as", "Sam Roe"]);
    assert_eq!(verified.exit, Exit::Done, "{}", verified.err);
    said(&release("Kim", &[]), "there is no good PIN letter");
    append(HandoverEntry::LetterConfirmed { job: kim.clone(), sheet: "1".into(), good: true });
    said(&release(" robin", &[]), "whoever packed a key does not release its PIN");
    assert!(release("Kim", &["--dry-run"]).out.contains("may be released"));

    said(&release("Kim", &["--by", "hook"]), "There is no hook");
    let listed = format!("[escrow]\nrecipients = [\"{}\"]\n", desk.custodians[0].recipient());
    let taken = desk.path("taken.json");
    desk.settings(&format!("{listed}[handover]\nhook = [\"sh\", \"-c\", \"cat > {}\"]\n", taken.display()));
    let identity = desk.path("custodian-0.txt").display().to_string();
    let released = release("Kim", &["--by", "hook", "--identity", &identity]);
    assert_eq!(released.exit, Exit::Done, "{}", released.err);
    let line: serde_json::Value = serde_json::from_slice(&std::fs::read(&taken).expect("taken")).expect("JSON");
    assert_eq!((line["pin"].as_str(), line["upn"].as_str()), (Some(PIN), Some("kim@contoso.example")));
    assert!(!released.out.contains(PIN) && !released.err.contains(PIN));
    said(&release("Kim", &[]), "its PIN was released on");
    let story = desk.run(&["show", kim.as_str()]);
    assert!(
        story.out.contains("handed over by Kim, by hook") && story.out.contains("by the carrier's word"),
        "{}",
        story.out
    );
    assert!(desk.run(&["receipt", "list", "--only", "done"]).out.contains("kim@contoso.example"));
}

#[test]
fn a_batch_keeps_its_own_rule_whatever_the_settings_become() {
    use crate::ledger::{Append, HandoverEntry, Ledger as _};
    use crate::model::{BatchId, ReleaseRule};
    let desk = Desk::new(1);
    let kim = desk.story()[0].clone();
    let append = |entry| desk.ledger().append(Append::entry(Entry::Handover(entry))).expect("written");
    let listed = format!("[escrow]\nrecipients = [\"{}\"]\n", desk.custodians[0].recipient());
    let settings = |rule: &str| desk.settings(&format!("{listed}[handover]\nrelease = \"{rule}\"\n"));
    let ruled =
        |release| append(HandoverEntry::BatchRuled { batch: BatchId::new("batch-1"), release, by: "op".into() });
    let release = || {
        let ran = desk.run(&["release", "kim@contoso.example", "--as", "Kim", "--dry-run"]);
        (ran.exit, format!("{}{}", ran.out, ran.err))
    };
    append(HandoverEntry::LetterConfirmed { job: kim, sheet: "1".into(), good: true });
    settings("any-time");
    assert_eq!(release().0, Exit::Done, "{}", release().1);
    ruled(ReleaseRule::OnReceipt);
    let (exit, said) = release();
    assert!(exit == Exit::SomeFailed && said.contains("was not packed"), "{said}");
    let other = BatchId::new("batch-2");
    append(HandoverEntry::BatchRuled { batch: other, release: ReleaseRule::AnyTime, by: "op".into() });
    assert_eq!(release().0, Exit::SomeFailed, "what another batch asks is not this one's");
    // And the other way round: settings that became stricter are for new batches.
    ruled(ReleaseRule::AnyTime);
    settings("on-receipt");
    assert_eq!(release().0, Exit::Done, "{}", release().1);
    let listed = desk.run(&["receipt", "list", "--json"]).lines();
    assert_eq!(listed[0]["release_rule"], "any-time", "{listed:?}");
}
