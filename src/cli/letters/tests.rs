//! Letters from the command line: once each, on the record, and nothing left lying about.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::Exit;
use crate::cli::testing::{Desk, PIN, Ran, kinds};
use crate::handover::code::{Code, CodeKind};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger as _};
use crate::model::JobId;

fn make(desk: &Desk, more: &[&str]) -> Ran {
    let identity = desk.path("custodian-0.txt").display().to_string();
    let out = desk.path("letters").display().to_string();
    let mut line = vec!["letters", "make", "--identity", &identity, "--phone", "+49 30 1234567"];
    if !more.contains(&"--printer") {
        line.extend(["--out", &out]);
    }
    line.extend(more);
    desk.run(&line)
}

fn sheet(job: &JobId, issue: u32) -> String {
    Code::new(CodeKind::PinSheet, job, 1, issue).expect("a code").digits().to_owned()
}

fn acts(desk: &Desk) -> Vec<String> {
    kinds(&desk.path("ledger.db"))
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::PinOpened { by, reason, .. } => Some(format!("opened by {by}: {reason}")),
            Entry::Handover(HandoverEntry::LetterClaimed { reason, .. }) => Some(format!("claimed {reason}")),
            Entry::Handover(HandoverEntry::LetterPrinted { to, .. }) => Some(format!("printed to {to}")),
            Entry::Handover(HandoverEntry::LetterConfirmed { good, .. }) => Some(format!("good {good}")),
            _ => None,
        })
        .collect()
}

#[test]
fn a_letter_is_printed_once_and_on_the_record() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let dry = make(&desk, &["--dry-run"]);
    assert_eq!((dry.exit, acts(&desk).len()), (Exit::Done, 0), "{}", dry.err);
    assert!(dry.out.contains("1 letter would be printed"), "{}", dry.out);

    let made = make(&desk, &["--as", "Kim", "--reason", "autumn", "--json"]);
    assert_eq!(made.exit, Exit::Done, "{}", made.err);
    assert_eq!(acts(&desk), ["opened by Kim: PIN letter: autumn", "claimed ", "printed to file"]);
    let lines = made.lines();
    assert_eq!(lines[0]["sheet"].as_str(), Some(sheet(&jobs[0], 1).as_str()));
    let file = lines[1]["files"][0].as_str().expect("a file").to_owned();
    assert!(std::fs::read(&file).expect("a PDF").starts_with(b"%PDF-"));
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(!file.contains("kim"), "a file's name names nobody");

    assert!(make(&desk, &[]).out.starts_with("No letter is due."));
    let list = desk.run(&["letters", "list"]);
    assert!(list.out.contains("printed ") && list.out.contains("kim@contoso.example"), "{}", list.out);
    let confirmed = desk.run(&["letters", "confirm", "--all"]);
    assert!(confirmed.out.contains("1 good, 0 spoiled"), "{}", confirmed.out);
    assert!(make(&desk, &[]).out.starts_with("No letter is due."));
    // Again only by name and for a reason.
    assert_eq!(make(&desk, &["--reprint", "kim@contoso.example"]).exit, Exit::Usage);
    let again = make(&desk, &["--reprint", "kim@contoso.example", "--reason", "lost in the post", "--json"]);
    assert_eq!(again.lines()[0]["sheet"].as_str(), Some(sheet(&jobs[0], 2).as_str()), "{}", again.err);
    assert_eq!(acts(&desk).last().map(String::as_str), Some("printed to file"));
    assert!(acts(&desk).contains(&"claimed lost in the post".to_owned()));
    let show = desk.run(&["show", jobs[0].as_str()]);
    assert!(show.out.contains("printed again as") && !show.out.contains(PIN), "{}", show.out);
}

/// Cut off between the claim and the printing, nobody knows: it is asked for, never printed again by itself.
#[test]
fn a_letter_that_was_begun_is_asked_for() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let code = sheet(&jobs[0], 1);
    desk.ledger()
        .append(Append::entry(Entry::Handover(HandoverEntry::LetterClaimed {
            job: jobs[0].clone(),
            attempt: 1,
            sheet: code.clone(),
            reason: String::new(),
            by: "kim".into(),
            run: None,
            expires: None,
        })))
        .expect("kept");
    let asked = make(&desk, &[]);
    assert_eq!(asked.exit, Exit::SomeFailed);
    assert!(asked.err.contains("nobody knows whether it was printed") && asked.err.contains(&code), "{}", asked.err);
    assert!(!desk.path("letters").exists());
    assert!(desk.run(&["letters", "confirm", "--all"]).err.contains("1 begun before something stopped"));
    let spoiled = desk.run(&["letters", "confirm", "--spoiled", &code]);
    assert!(spoiled.out.contains("0 good, 1 spoiled. Destroy"), "{}", spoiled.out);
    let made = make(&desk, &["--json"]);
    assert_eq!(made.lines()[0]["sheet"].as_str(), Some(sheet(&jobs[0], 2).as_str()), "{}", made.err);
    for (wrong, part) in [("123", "no code of ours"), (sheet(&jobs[1], 1).as_str(), "knows no letter")] {
        let told = desk.run(&["letters", "confirm", "--good", wrong]);
        assert_eq!(told.exit, Exit::Usage);
        assert!(told.err.contains(part), "{}", told.err);
    }
}

#[test]
fn a_letter_past_its_day_is_listed_for_replacement() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let code = sheet(&jobs[0], 1);
    let claimed = HandoverEntry::LetterClaimed {
        job: jobs[0].clone(),
        attempt: 1,
        sheet: code.clone(),
        reason: String::new(),
        by: "kim".into(),
        run: None,
        expires: Some(jiff::civil::date(2020, 1, 2)),
    };
    let good = HandoverEntry::LetterConfirmed { job: jobs[0].clone(), sheet: code, good: true };
    desk.ledger().append(Append::entries([claimed, good].map(Entry::Handover))).expect("kept");
    let listed = desk.run(&["letters", "list"]).out;
    assert!(listed.contains("EXPIRED 2020-01-02: to be replaced") && listed.contains("1 of them expired"), "{listed}");
    let lines = desk.run(&["letters", "list", "--json"]).lines();
    assert_eq!(lines.iter().find(|line| line["event"] == "letters").expect("a sum")["expired"].as_u64(), Some(1));
    let released =
        HandoverEntry::PinReleased { job: jobs[0].clone(), attempt: 1, channel: "letter".into(), by: "kim".into() };
    desk.ledger().append(Append::entry(Entry::Handover(released))).expect("kept");
    assert!(!desk.run(&["letters", "list"]).out.contains("EXPIRED"), "its person has the PIN");
}

#[test]
fn after_a_jam_the_last_good_sheet_goes_on() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    assert_eq!(make(&desk, &[]).exit, Exit::Done);
    // Only its address sheet came out: the PIN sheet is not good.
    let address = Code::new(CodeKind::AddressSheet, &jobs[0], 1, 1).expect("a code").digits().to_owned();
    let dry = desk.run(&["letters", "confirm", "--after", &address, "--dry-run"]);
    assert!(dry.out.contains("0 good, 1 spoiled (nothing was written)"), "{}", dry.out);
    let resumed = make(&desk, &["--after", &address, "--json"]);
    assert_eq!(resumed.exit, Exit::Done, "{}", resumed.err);
    assert!(acts(&desk).contains(&"claimed jam".to_owned()), "{:?}", acts(&desk));
    let good = desk.run(&["letters", "confirm", "--after", &sheet(&jobs[0], 2)]);
    assert!(good.out.contains("1 good, 0 spoiled"), "{}", good.out);
}

#[test]
fn a_letter_goes_straight_to_a_printer_and_leaves_no_file() {
    let desk = Desk::new(1);
    desk.story();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let printer = format!("raw://{}", listener.local_addr().expect("an address"));
    let sent = std::thread::spawn(move || {
        let mut got = Vec::new();
        listener.accept().expect("a connection").0.read_to_end(&mut got).expect("a document");
        got
    });
    let printed = make(&desk, &["--printer", &printer]);
    assert_eq!(printed.exit, Exit::Done, "{}", printed.err);
    let sent = sent.join().expect("no panic");
    assert!(sent.windows(5).any(|part| part == b"%PDF-"));
    assert_eq!(acts(&desk).last().map(String::as_str), Some("printed to raw"));
    assert!(!printed.out.contains(PIN) && !printed.err.contains(PIN));
    let left = files_below(&desk.path(""));
    assert!(!left.iter().any(|(path, bytes)| path.ends_with(".pdf") || bytes.starts_with(b"%PDF")), "{left:?}");

    // A printer that isn't there: the letter stays in doubt, because nobody can know.
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("raw://{}", listener.local_addr().expect("an address"))
    };
    let failed = make(&desk, &["--reprint", "kim@contoso.example", "--reason", "test", "--printer", &gone]);
    assert_eq!(failed.exit, Exit::Usage);
    assert!(failed.err.contains("can't be reached") && failed.err.contains("good or spoiled"), "{}", failed.err);
    assert!(desk.run(&["letters", "list"]).out.contains("claimed "));
    let exposed = make(&desk, &["--printer", "raw://203.0.113.9"]);
    assert!(exposed.exit == Exit::Usage && exposed.err.contains("without encryption"), "{}", exposed.err);
}

/// Every file that the walk leaves, by name and content.
fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            all.extend(files_below(&entry.path()));
        } else {
            all.push((entry.path().display().to_string(), std::fs::read(entry.path()).expect("a file")));
        }
    }
    all
}

/// Files that hold the PIN in a form a person could come by: as text, as UTF-16, or drawn in a PDF of ours.
fn leaks(folder: &Path) -> Vec<String> {
    let wide: Vec<u8> = PIN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    files_below(folder)
        .into_iter()
        .filter(|(_, bytes)| has(bytes, PIN.as_bytes()) || has(bytes, &wide) || bytes.starts_with(b"%PDF"))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn an_encrypted_walk_leaves_no_pin_in_any_file() {
    let desk = Desk::new(1);
    desk.story();
    let recipient = desk.custodians[0].recipient().to_owned();
    let made = make(&desk, &["--encrypt-to", &recipient, "--single"]);
    assert_eq!(made.exit, Exit::Done, "{}", made.err);
    for line in [
        vec!["letters", "confirm", "--all"],
        vec!["letters", "list"],
        vec!["export", "audit", "--out", "AUDIT"],
        vec!["show", "kim@contoso.example"],
    ] {
        let audit = desk.path("audit.jsonl").display().to_string();
        let line: Vec<&str> = line.into_iter().map(|word| if word == "AUDIT" { &audit } else { word }).collect();
        let ran = desk.run(&line);
        assert!(ran.exit == Exit::Done && !ran.out.contains(PIN) && !ran.err.contains(PIN), "{line:?}");
    }
    assert_eq!(leaks(&desk.path("")), Vec::<String>::new());
    let sealed: Vec<_> = files_below(&desk.path("letters"));
    assert!(sealed.len() == 1 && sealed[0].0.ends_with(".pdf.age"), "{sealed:?}");
    // The identity opens it, and it is the letter.
    let identity = age_identity(&desk);
    let opened = age::decrypt(&identity, &sealed[0].1).expect("opens");
    assert!(opened.starts_with(b"%PDF-"));

    // The scan finds what is there to be found: a note with the PIN, and a plain PDF.
    desk.write("note.txt", &format!("the PIN is {PIN}"));
    let mut pdf = std::fs::File::create(desk.path("left.pdf")).expect("a file");
    pdf.write_all(&opened).expect("written");
    assert_eq!(leaks(&desk.path("")).len(), 2);
}

fn age_identity(desk: &Desk) -> age::x25519::Identity {
    let file = desk.custodians[0].expose_file();
    let secret = file.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("an identity");
    secret.parse().expect("an identity")
}

#[test]
fn what_cannot_be_printed_is_told_before_a_pin_is_opened() {
    let desk = Desk::new(1);
    desk.story();
    desk.write("t.toml", "[text.en]\nsubject = \"for {nmae}\"\n");
    let template = desk.path("t.toml").display().to_string();
    let wrong = make(&desk, &["--template", &template]);
    assert_eq!(wrong.exit, Exit::Usage);
    assert!(wrong.err.contains("line 2:") && wrong.err.contains("did you mean {name}?"), "{}", wrong.err);
    assert!(make(&desk, &["--lang", "xx"]).err.contains("no texts in the language xx"));
    let mut person = desk
        .ledger()
        .people()
        .expect("people")
        .into_iter()
        .find(|one| one.upn.as_str().starts_with("kim"))
        .expect("kim");
    person.display_name = "金 Lee".into();
    desk.ledger()
        .append(Append {
            people: vec![person.clone()],
            ..Append::entry(Entry::Handover(HandoverEntry::AddressesImported {
                list: crate::ledger::BlobHash([0; 32]),
                people: 1,
                by: "t".into(),
            }))
        })
        .expect("kept");
    let held = make(&desk, &[]);
    assert_eq!(held.exit, Exit::SomeFailed);
    assert!(held.err.contains("the font can't write 金 (U+91D1)"), "{}", held.err);
    assert_eq!(acts(&desk), Vec::<String>::new(), "nothing was opened");
}

#[test]
fn the_template_is_written_once_and_a_proof_shows_every_language() {
    let desk = Desk::new(1);
    let out = desk.path("letter.toml").display().to_string();
    assert_eq!(desk.run(&["letters", "template", "--out", &out]).exit, Exit::Done);
    assert_eq!(desk.run(&["letters", "template", "--out", &out]).exit, Exit::Usage);
    let pdf = desk.path("proof.pdf").display().to_string();
    let proof = desk.run(&["letters", "proof", "--template", &out, "--out", &pdf, "--json"]);
    assert_eq!(proof.exit, Exit::Done, "{}", proof.err);
    assert_eq!(proof.lines()[0]["pages"].as_u64(), Some(36));
}
