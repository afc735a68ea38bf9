//! What a person, a disk or another program may put into a file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SigningKey as _};

use keybench::config::{Overrides, Settings};
use keybench::graph::NameTemplate;
use keybench::ledger::{Append, Entry, Ledger as _, Opening, open_writer, restore};
use keybench::model::{Aaguid, BatchId, BenchId, JobId, Pin, SealedPin, TenantId, UserId};
use keybench::pin::{Identities, NoPrompts, Recipients, keygen};
use keybench::roster::{DirectoryFacts, Roster, Rules, check};
use keybench::sim::key::Model;
use keybench::sim::scenario::Scenario;
use keybench::sim::tenant::{FaultPlan, TenantSpec};
use keybench::webauthn::metadata::Metadata;
use keybench::webauthn::record::RegistrationRecord;
use keybench::webauthn::trust::Anchors;
use keybench::world::{Clock, SystemClock, SystemEntropy};

use crate::keys::now;
use crate::mutate::Form;
use crate::runner::Target;
use crate::{fixture, fixtures};

pub fn record() -> Target {
    let accepted: serde_json::Value =
        serde_json::from_slice(&fixture("webauthn/accepted-attestation.json")).expect("JSON");
    let object = accepted["attestationObject_b64url"].as_str().expect("an object");
    let object = URL_SAFE_NO_PAD.decode(object).expect("base64url");
    let apart = keybench::webauthn::attestation::AttestationObject::take_apart(&object).expect("accepted by Graph");
    let data = keybench::webauthn::client_data::ClientData::create(&[7; 32], "login.microsoft.com");
    let record = RegistrationRecord::new(&apart.answer(), &data, "login.microsoft.com", now(), vec!["usb".into()]);
    let run = |input: &[u8]| match RegistrationRecord::from_bytes(input) {
        Ok(record) => {
            let _ = (record.client_data(), record.client_data_base64url(), record.attestation_base64url());
            assert_eq!(RegistrationRecord::from_bytes(&record.to_bytes()), Ok(record));
            "good".into()
        }
        Err(error) => error.to_string(),
    };
    let seeds = vec![record.expect("a record").to_bytes()];
    Target { name: "registration-record", form: Form::Json(0), share: 1, seeds, run: Box::new(run) }
}

/// The signed file as a whole.
pub fn blob() -> Target {
    let roots = Anchors::none().and(fixture("mds/root-new.der"));
    let run = move |input: &[u8]| match Metadata::open(input, &roots, now(), Some(42)) {
        Ok(metadata) => format!("{} models", metadata.len()),
        Err(error) => format!("{error} {}", error.next()),
    };
    let seeds = vec![fixture("mds/test-blob.jwt")];
    const WORDS: &[&str] = &[".", "eyJhbGciOiJub25lIn0", "eyJ", "=", "\n", "e30", "-_"];
    Target { name: "metadata-blob", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

/// What stands in it, under a signature that is good.
pub fn payload() -> Target {
    let (root_key, leaf_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let mut root = CertificateParams::new(Vec::new()).expect("parameters");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name = DistinguishedName::new();
    root.distinguished_name.push(DnType::CommonName, "Fuzz Root");
    let root_der = root.self_signed(&root_key).expect("a certificate").der().to_vec();
    let mut leaf = CertificateParams::new(vec!["mds.fidoalliance.org".to_owned()]).expect("parameters");
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, "mds.fidoalliance.org");
    let leaf_der = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).expect("a certificate").der().to_vec();
    let header = serde_json::json!({"alg": "ES256", "x5c": [STANDARD.encode(&leaf_der)]}).to_string();
    let header = URL_SAFE_NO_PAD.encode(header);
    let roots = Anchors::none().and(root_der);
    let run = move |input: &[u8]| {
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(input));
        let der = leaf_key.sign(signed.as_bytes()).expect("signed");
        let pair = p256::ecdsa::Signature::from_der(&der).expect("DER").to_bytes();
        let blob = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair));
        match Metadata::open(blob.as_bytes(), &roots, now(), None) {
            Ok(metadata) => {
                let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
                let mut said = format!("{:?}", metadata.warnings(now()));
                for byte in 0..=255 {
                    if let Some(model) = metadata.model(Aaguid([byte; 16])) {
                        let defect = model.defect(&[vec![1, 2, 3]], today).map(|defect| defect.name());
                        said += &format!("{defect:?} {:?} {:?};", model.certified(today), model.remarks(today));
                    }
                }
                said
            }
            Err(error) => error.to_string(),
        }
    };
    let seeds = vec![fixture("mds/test-payload.json")];
    Target { name: "metadata-payload", form: Form::Json(0), share: 1, seeds, run: Box::new(run) }
}

/// A ledger with a job and a seal, and its mirror's text.
fn mirrored() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let mirror = folder.path().join("mirror.jsonl");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let opening = Opening {
        path: folder.path().join("ledger.db"),
        mirror: Some(mirror.clone()),
        bench: BenchId::new("fuzz"),
        clock,
        entropy: &SystemEntropy,
    };
    let ledger = open_writer(&opening).expect("a ledger");
    let job = JobId::new("JOB1");
    let planned = Entry::JobPlanned {
        job: job.clone(),
        tenant: TenantId::new("tenant"),
        user: UserId::new("user"),
        ordinal: 1,
        batch: BatchId::new("batch"),
    };
    ledger.append(Append::entry(planned)).expect("planned");
    let claim = ledger.claim(&job).expect("claimed");
    let port = keybench::model::PortName::new("1-1");
    let key = keybench::model::KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port };
    let begun = Entry::AttemptStarted { job: job.clone(), attempt: 1, key };
    ledger.append(Append::entry(begun).under(&claim)).expect("begun");
    let sealed = SealedPin { custodian: vec![1; 40], resume: vec![2; 40], dual: false };
    ledger.append_seal(&claim, 1, &sealed).expect("sealed");
    let done = Entry::ResumeKeyDestroyed { job, attempt: 1 };
    // Whether the rules allow it here does not matter: the seeds are what they are.
    let _ = ledger.append(Append::entry(done).under(&claim));
    drop(ledger);
    std::fs::read(mirror).expect("a mirror")
}

pub fn entry() -> Target {
    let seeds = String::from_utf8(mirrored())
        .expect("text")
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["body"].as_str().expect("a body").as_bytes().to_vec()
        })
        .collect();
    let run = |input: &[u8]| match serde_json::from_slice::<Entry>(input) {
        Ok(entry) => {
            let again = serde_json::to_vec(&entry).expect("written");
            assert_eq!(serde_json::from_slice::<Entry>(&again).ok().as_ref(), Some(&entry));
            String::from_utf8_lossy(&again).chars().take(40).collect()
        }
        Err(error) => error.to_string(),
    };
    Target { name: "ledger-entry", form: Form::Json(0), share: 1, seeds, run: Box::new(run) }
}

pub fn mirror() -> Target {
    let folder = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let genuine = mirrored();
    let first_lines = |count: usize| genuine.split_inclusive(|byte| *byte == b'\n').take(count).flatten().copied();
    let seeds = vec![genuine.clone(), first_lines(1).collect(), first_lines(3).collect()];
    let run = move |input: &[u8]| {
        let (mirror, ledger) = (folder.path().join("mirror.jsonl"), folder.path().join("ledger.db"));
        std::fs::write(&mirror, input).expect("written");
        let outcome = restore(&mirror, &ledger, &BenchId::new("fuzz"), &clock);
        let said = match outcome {
            Ok(head) => {
                let read = keybench::ledger::open_reader(&ledger).expect("what was restored can be read");
                read.verify(None).expect("and is whole");
                format!("restored {}", head.seq.min(9))
            }
            Err(error) => {
                assert!(!ledger.exists(), "nothing half-made under its name: {error}");
                error.to_string().replace(&folder.path().display().to_string(), "")
            }
        };
        for entry in std::fs::read_dir(folder.path()).expect("the folder").flatten() {
            let _ = std::fs::remove_file(entry.path());
        }
        said
    };
    const WORDS: &[&str] = &["\"seal\":", "null", "{}", "\\\"", "\"seq\":1,", "18446744073709551615", "\n"];
    Target { name: "ledger-mirror", form: Form::Text(WORDS), share: 2, seeds, run: Box::new(run) }
}

pub fn roster() -> Target {
    let run = |input: &[u8]| match Roster::read("people.csv", input) {
        Ok(roster) => {
            let facts: HashMap<_, _> = roster
                .rows
                .iter()
                .enumerate()
                .map(|(at, row)| {
                    let facts = DirectoryFacts {
                        id: UserId::new(format!("user-{}", at % 7)),
                        upn: row.upn.clone(),
                        display_name: row.upn.as_str().to_owned(),
                        enabled: at % 5 != 0,
                        guest: at % 11 == 0,
                        privileged: Vec::new(),
                        in_allowed_group: (at % 3 != 0).then_some(at % 2 == 0),
                        passkeys: Some(at % 4),
                        is_caller: at % 13 == 0,
                    };
                    (row.upn.clone(), facts)
                })
                .collect();
            let rules = Rules { force_change: true, leave_off: true, ..Rules::default() };
            let checked = check::check(&roster.rows, &facts, &rules);
            format!("{} {} {:?}", checked.people.len().min(3), checked.refused.len().min(3), roster.notes.len().min(3))
        }
        Err(error) => {
            let lines = error.lines();
            assert!(!lines.is_empty(), "an error says something");
            lines.into_iter().take(2).collect()
        }
    };
    const WORDS: &[&str] = &[
        "upn",
        "serial",
        "keys",
        "first_device",
        "key_kind",
        "street",
        ",",
        ";",
        "\t",
        "\"",
        "\"\"",
        "\r\n",
        "\r",
        "\u{feff}",
        "sep=;",
        "kim@contoso.com",
        "999999999999",
        "-1",
        "\u{0}",
        "=1+1",
        "@",
        "\u{202e}",
        "é",
        "PK\u{3}\u{4}",
    ];
    Target { name: "roster", form: Form::Text(WORDS), share: 2, seeds: fixtures("rosters"), run: Box::new(run) }
}

/// People to make.
pub fn people() -> Target {
    let run = |input: &[u8]| match keybench::tenant::people_file::read("new.csv", input) {
        Ok(people) => {
            for person in &people {
                assert!(person.mail_nickname().len() <= 64 && !person.domain().is_empty());
            }
            format!("{} people", people.len().min(3))
        }
        Err(error) => {
            assert!(!error.lines().is_empty(), "an error says something");
            error.lines().into_iter().take(2).collect()
        }
    };
    const WORDS: &[&str] = &[
        "upn",
        "display_name",
        "licence",
        "usage_location",
        "group",
        ",",
        ";",
        "|",
        "\"",
        "\r\n",
        "\u{feff}",
        "sep=;",
        "kim@contoso.com",
        "IE",
        "@",
        "\u{202e}",
        "\u{0}",
        "PK\u{3}\u{4}",
    ];
    let seeds = fixtures("people");
    Target { name: "people-file", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

/// A vendor's tokens: whatever is wrong is said without a seed.
pub fn tokens() -> Target {
    use keybench::tenant::oath_file::{Defaults, read};
    use keybench::tenant::totp::{base32, code};
    let run = |input: &[u8]| match read("tokens.csv", input, &Defaults::default()) {
        Ok(tokens) => {
            for token in &tokens {
                let seed = base32(token.seed.expose()).expect("what was checked is Base32");
                assert_eq!(code(&seed, token.hash, token.interval, 6, 59).len(), 6);
                assert!(!format!("{token:?}").contains(token.seed.expose().as_str()) || token.seed.expose().len() < 16);
            }
            format!("{} tokens", tokens.len().min(3))
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.contains("JBSWY3DPEHPK3PXP"), "a seed in an error");
            error.lines().into_iter().take(2).collect()
        }
    };
    const WORDS: &[&str] = &[
        "serial number",
        "secret key",
        "time interval",
        "hash",
        "upn",
        ",",
        ";",
        "\"",
        "\n",
        "30",
        "60",
        "JBSWY3DPEHPK3PXP",
        "=",
        "1.2E+10",
        "SHA-256",
        "\u{feff}",
        "\u{0}",
    ];
    let seeds = fixtures("tokens");
    Target { name: "token-file", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

pub fn config() -> Target {
    let path = Path::new("/bench/keybench.toml");
    let run = move |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        match Settings::parse(&text, path, true, Path::new("/bench"), &|_| None, &Overrides::new()) {
            Ok(settings) => {
                let tenant = settings.tenant().map(drop).map_err(|error| error.to_string());
                let custodians = settings.custodians().map(|custodians| {
                    Recipients::from_settings(&custodians.first, &custodians.second, custodians.dual()).is_ok()
                });
                let pins = keybench::pin::PinPolicy::check(&settings.pin.to_policy()).is_ok();
                let name = NameTemplate::parse(&settings.bench.key_name).is_ok();
                format!("{tenant:?} {:?} {pins} {name}", custodians.map_err(|error| error.to_string()))
            }
            Err(problems) => {
                let lines = problems.lines();
                assert!(!lines.is_empty(), "an error says something");
                lines.into_iter().take(2).collect()
            }
        }
    };
    let template = r#"[tenant]
id = "72f988bf-86f1-41af-91ab-2d7cd011db47"
client_id = "5d1d0b6e-7c6c-4b8e-9f39-1f2f3d1b9a01"
auth = "certificate"
certificate_file = "app.pem"
key_file = "app.key"
api = "beta"
graph_url = "https://graph.microsoft.com"
login_url = "https://login.microsoftonline.com"
allowed_group = "Pilot"
[pin]
length = 8
alphabet = "alphanumeric"
force_change = "require"
minimum = 6
first_device = "leave-off"
[escrow]
recipients = ["age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"]
second_recipients = []
dual = false
[ledger]
url = "sqlite:bench.db"
mirror = "mirror.jsonl"
[bench]
name = "bench-1"
never = ["123"]
label = true
key_name = "{model} {serial} {date}"
mds = "blob.jwt"
"#;
    const WORDS: &[&str] = &[
        "[tenant]",
        "[pin]",
        "[escrow]",
        "[ledger]",
        "[[bench]]",
        "length",
        "=",
        "\"",
        "'''",
        "\"\"\"",
        "{",
        "}",
        "[",
        "]",
        "\n",
        "true",
        "inf",
        "1e999",
        "-0",
        "99999999999999999999",
        "2026-01-01",
        "\\u0000",
        "\u{feff}",
        "#",
        "sqlite:",
        "http://127.0.0.1:1",
        "{serial",
        "age1",
        "a.b.c",
    ];
    let seeds = vec![template.as_bytes().to_vec(), b"".to_vec()];
    Target { name: "config", form: Form::Text(WORDS), share: 2, seeds, run: Box::new(run) }
}

/// Models, scenarios, tenants, faults: files that people write for the simulator.
pub fn simulator() -> Target {
    let mut seeds = fixtures("models");
    seeds.extend(fixtures("scenarios"));
    seeds.extend(fixtures("sim"));
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let scenario = Scenario::parse(&text).map(|scenario| scenario.timings());
        let tenant = TenantSpec::from_toml(&text, "tenant.toml").map(|spec| spec.people.len().min(3));
        let json = TenantSpec::from_json(&text, "tenant.json").is_ok();
        let faults = FaultPlan::from_toml(&text, "faults.toml").map(|plan| plan.rules().len().min(3));
        let people = keybench::sim::tenant::people_default(input.len() % 3, 1).len();
        let short = |error: &dyn std::fmt::Display| error.to_string().chars().take(40).collect::<String>();
        format!(
            "{:?} {:?} {:?} {:?} {json} {people}",
            Model::parse(&text).map(|model| model.id).map_err(|error| short(&error)),
            scenario.map(drop).map_err(|error| short(&error)),
            tenant.map_err(|error| short(&error)),
            faults.map_err(|error| short(&error)),
        )
    };
    const WORDS: &[&str] =
        &["[[fault]]", "[ctap]", "[[person]]", "[[key]]", "=", "\"", "[", "]", "0", "-1", "1e9", "\n"];
    Target { name: "simulator-files", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

/// Sealed PINs and identity files. The first byte says which.
pub fn envelope() -> Target {
    let made = keygen(now());
    let mut identities = Identities::new();
    identities.add("made", made.expose_file().as_bytes(), Arc::new(NoPrompts)).expect("an identity");
    let recipients = Recipients::single(&[made.recipient().to_owned()]).expect("a recipient");
    let job = JobId::new("JOB1");
    let resume = keybench::pin::ResumeKey::generate();
    let pin = Pin::new(zeroize::Zeroizing::new("73451098".to_owned())).expect("a PIN");
    let sealed = keybench::pin::seal(&recipients, &resume, &job, 1, &pin).expect("sealed");
    let with = |first: u8, rest: &[u8]| [&[first][..], rest].concat();
    let seeds = vec![
        with(0, &sealed.custodian),
        with(1, &sealed.resume),
        with(2, made.expose_file().as_bytes()),
        with(3, made.recipient().as_bytes()),
    ];
    let run = move |input: &[u8]| {
        let Some((which, rest)) = input.split_first() else { return "empty".into() };
        match which % 5 {
            0 => keybench::pin::open(rest, false, &identities, &job)
                .map_or_else(|error| error.to_string(), |_| "open".into()),
            1 => keybench::pin::open_resume(rest, &resume, &job)
                .map_or_else(|error| error.to_string(), |_| "open".into()),
            4 => keybench::pin::open(rest, true, &identities, &job)
                .map_or_else(|error| error.to_string(), |_| "open".into()),
            2 => {
                let mut identities = Identities::new();
                let added = identities.add("file", rest, Arc::new(NoPrompts));
                added.map_or_else(|error| error.to_string(), |()| "an identity".into())
            }
            _ => {
                let texts: Vec<String> = String::from_utf8_lossy(rest).split(',').map(str::to_owned).collect();
                Recipients::single(&texts).map_or_else(
                    |errors| errors.first().map(ToString::to_string).unwrap_or_default(),
                    |_| "known".into(),
                )
            }
        }
    };
    Target { name: "envelope", form: Form::Bytes(1), share: 1, seeds, run: Box::new(run) }
}
