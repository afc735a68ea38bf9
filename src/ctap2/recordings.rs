//! Recorded conversations in `fixtures/ctap2`, with every simulated model and with whatever real key somebody sent one of: played back
//! through this layer they must read as they read when they were recorded, and nothing secret may stand in them.
//!
//! `KEYBENCH_RECORD=1 cargo test --lib ctap2::recordings` records the simulated ones anew, and writes down how the others read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::against_opensk::{RP, pin, request, tools};
use super::cbor::decode;
use super::command::config::PinRules;
use super::hid::frame::{AnyPacket, Assembler, Progress};
use super::hid::packet::{DeviceError, Packet, PacketDevice};
use super::hid::transcript::{Recording, Replay, remark, remarked, unblanked};
use super::session::{Configure, Make, Manage, Opened, PinError, Session, open};
use super::transport::Unwatched;
use crate::ledger::SealReceipt;
use crate::model::{PlugId, PortName};
use crate::sim::key::{Birth, Model, SimKey, Touch};
use crate::sim::ports::SimPorts;
use crate::world::{KeyPorts, PluggedKey, SystemClock};

const PIN: &str = "73451098";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ctap2")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
}

fn plugged(model: &Model) -> PluggedKey {
    PluggedKey {
        port: PortName::new("sim-1"),
        plug: PlugId(1),
        vendor_id: model.usb.vendor_id,
        product_id: model.usb.product_id,
        manufacturer: model.usb.manufacturer.clone(),
        product: model.usb.product.clone(),
        usb_serial: None,
        present_at_start: true,
    }
}

fn line(what: &str, value: &dyn std::fmt::Debug) -> String {
    format!("{what}: {value:?}\n")
}

/// What a key says of itself.
fn facts<S>(session: &Session<S>) -> String {
    let info = session.info();
    let mut told = String::new();
    let mut tell = |what: &str, value: &dyn std::fmt::Debug| told.push_str(&line(what, value));
    tell("hello", &session.hello());
    tell("serial", &session.serial());
    tell("firmware", &session.firmware());
    tell("aaguid", &info.aaguid);
    tell("versions", &info.versions);
    tell("extensions", &info.extensions);
    tell("options", &info.options.iter().collect::<Vec<_>>());
    tell("PIN protocols", &info.pin_protocols);
    tell("longest message", &info.max_message());
    tell("shortest PIN", &info.minimum_pin());
    tell("algorithms", &info.algorithms);
    told
}

/// What `keybench record` asks any key, and what this layer makes of the answers.
fn inspection(device: Box<dyn PacketDevice>, plugged: &PluggedKey) -> String {
    match open(device, plugged, &tools()).unwrap_or_else(|error| panic!("{}: {error}", plugged.product)) {
        Opened::Blank(session) => facts(&session) + "no PIN is set\n",
        Opened::PinSet(mut session) => {
            let retries = session.pin_retries();
            facts(&session) + &line("PIN retries", &retries)
        }
        Opened::NoPin(session) => facts(&session) + "it can't have a PIN\n",
        Opened::U2fOnly(key) => {
            line("hello", &key.hello) + &line("serial", &key.vendor.serial) + "it speaks U2F alone\n"
        }
    }
}

/// A blank key's whole journey, and what this layer makes of each answer.
fn journey(device: Box<dyn PacketDevice>, plugged: &PluggedKey) -> String {
    let name = &plugged.product;
    let opened = open(device, plugged, &tools());
    let Ok(Opened::Blank(session)) = opened else { panic!("{name}: {opened:?}") };
    let mut told = facts(&session);
    let mut tell = |what: &str, value: &dyn std::fmt::Debug| told.push_str(&line(what, value));

    let first = pin(PIN);
    let mut session = session.set_pin(&first, &SealReceipt::for_tests(), &mut Unwatched).expect(name);
    tell("PIN set", &session.info().pin_is_set());
    tell("PIN retries", &session.pin_retries().expect(name));

    let mut wanted = request(1);
    wanted.extensions.cred_protect = None;
    wanted.extensions.min_pin_length = session.info().has_extension("minPinLength");
    let made = session
        .attempt(3)
        .expect(name)
        .authorise(&first, Make { rp_id: RP.into() })
        .expect(name)
        .make_credential(&wanted, &mut Unwatched)
        .expect(name);
    tell("attestation format", &made.format);
    tell("authenticator data", &hex(&made.auth_data));
    tell("attestation statement", &hex(&made.att_stmt));

    let mut manage = session.attempt(3).expect(name).authorise(&first, Manage).expect(name);
    tell("room", &manage.metadata().expect(name));
    tell("relying parties", &manage.relying_parties().expect(name));
    let stored = manage.credentials_of(RP).expect(name);
    tell("credentials", &stored);
    drop(manage);
    let proof = session.silent_assertion(RP, &stored[0].id, [1; 32]).expect(name).expect(name);
    tell("silent proof", &hex(&proof.auth_data));

    if session.info().has_pin_rules() {
        let rules = PinRules { minimum: Some(6), rp_ids: Vec::new(), force_change: true };
        let configure = session.attempt(3).expect(name).authorise(&first, Configure).expect(name);
        tell("PIN rules", &configure.set_pin_rules(&rules).expect(name));
        let error = session.attempt(3).expect(name).authorise(&first, Manage).expect_err("forced");
        assert!(matches!(error, PinError::ChangeForced), "{name}: {error:?}");
    }
    told
}

/// A file in memory.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text")
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps every message as it really was, to look for it in what was written.
struct Tap {
    device: Box<dyn PacketDevice>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    under_way: Option<Assembler>,
}

impl Tap {
    fn note(&mut self, packet: &Packet) {
        let progress = match AnyPacket::read(packet) {
            AnyPacket::Init(packet) if packet.command == 0x10 => Assembler::start(&packet).ok(),
            AnyPacket::Init(_) => None,
            AnyPacket::Next(packet) => self.under_way.take().and_then(|assembler| assembler.push(&packet).ok()),
        };
        match progress {
            Some(Progress::Done(message)) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_vec());
            }
            Some(Progress::More(assembler)) => self.under_way = Some(assembler),
            None => {}
        }
    }
}

impl PacketDevice for Tap {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        self.note(packet);
        self.device.write(packet)
    }
    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let packet = self.device.read(timeout)?;
        if let Some(packet) = &packet {
            self.note(packet);
        }
        Ok(packet)
    }
}

struct Recorded {
    lines: String,
    told: String,
    /// Every CTAP2 message, unblanked.
    messages: Vec<Vec<u8>>,
}

fn record(model: &Arc<Model>) -> Recorded {
    let key = SimKey::new(model, 1);
    key.probe().finger().set(Touch::AtOnce);
    let ports = SimPorts::numbered(1);
    let stay = ports.plug(&PortName::new("sim-1"), key).expect("an empty port");
    let (page, seen) = (Page::default(), Arc::new(Mutex::new(Vec::new())));
    let device = ports.open(stay).expect("just plugged in");
    let tap = Tap { device, seen: Arc::clone(&seen), under_way: None };
    let recording = Recording::new(tap, Box::new(page.clone()), Arc::new(SystemClock::new()));
    let told = journey(Box::new(recording), &plugged(model));
    let messages = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Recorded { lines: page.text(), told, messages }
}

fn is_asked_to_record() -> bool {
    std::env::var_os("KEYBENCH_RECORD").is_some()
}

fn record_if_asked(model: &Arc<Model>) {
    if !is_asked_to_record() {
        return;
    }
    let recorded = record(model);
    let folder = folder().join(&model.id);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("journey.jsonl"), recorded.lines).expect("written");
    std::fs::write(folder.join("journey.txt"), recorded.told).expect("written");
}

/// A look at a simulated key that has a PIN, written as `keybench record` writes it.
fn record_inspection(model: &Arc<Model>) -> String {
    let key = SimKey::born(model, 1, &Birth { pin: Some(PIN.into()), ..Birth::default() });
    let ports = SimPorts::numbered(1);
    let stay = ports.plug(&PortName::new("sim-1"), key).expect("an empty port");
    let (page, plugged) = (Page::default(), plugged(model));
    let device = ports.open(stay).expect("just plugged in");
    inspection(Box::new(Recording::new(device, Box::new(page.clone()), Arc::new(SystemClock::new()))), &plugged);
    remark(&plugged) + &page.text()
}

/// Every recording in the folder, whoever made it.
fn kept() -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let mut kept: Vec<PathBuf> =
        entries(&folder()).iter().filter(|path| path.is_dir()).flat_map(|folder| entries(folder)).collect();
    kept.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    kept.sort();
    kept
}

/// Which key was in the port, as the recording itself says.
fn recorded_key(text: &str, path: &Path) -> PluggedKey {
    let (vendor_id, product_id, product) = remarked(text)
        .unwrap_or_else(|| panic!("{}: a line `# usb 1050:0407 PRODUCT` must say which key it is of", path.display()));
    PluggedKey { vendor_id, product_id, product: product.to_owned(), ..plugged(&Model::usual()) }
}

#[test]
fn every_recording_reads_as_it_did() {
    for model in Model::all() {
        record_if_asked(model);
        let folder = folder().join(&model.id);
        let replay = Replay::new(&read(&folder.join("journey.jsonl"))).expect("a transcript");
        let told = journey(Box::new(replay), &plugged(model));
        assert_eq!(told, read(&folder.join("journey.txt")).replace("\r\n", "\n"), "{}", model.id);
    }
}

#[test]
fn every_inspection_reads_as_it_did() {
    if is_asked_to_record() {
        for model in Model::all() {
            std::fs::write(folder().join(&model.id).join("inspection.jsonl"), record_inspection(model))
                .expect("written");
        }
    }
    let inspections: Vec<PathBuf> = kept().into_iter().filter(|path| path.ends_with("inspection.jsonl")).collect();
    for path in &inspections {
        let text = read(path);
        let replay = Replay::new(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let told = inspection(Box::new(replay), &recorded_key(&text, path));
        let page = path.with_extension("txt");
        if is_asked_to_record() {
            std::fs::write(&page, &told).expect("written");
        }
        assert_eq!(told, read(&page).replace("\r\n", "\n"), "{}", path.display());
    }
    assert!(inspections.len() >= Model::all().len(), "{inspections:?}");
}

#[test]
fn no_recording_lies_there_that_nobody_plays_back() {
    for path in kept() {
        let of_a_model = Model::all().iter().any(|model| path.parent() == Some(&folder().join(&model.id)));
        let played = path.ends_with("inspection.jsonl") || (of_a_model && path.ends_with("journey.jsonl"));
        assert!(played, "{}: of a real key an inspection.jsonl is played back, and nothing else", path.display());
    }
}

/// A PIN and what is made of it, in every spelling that a file might hold.
fn spellings(secret: &[u8]) -> Vec<String> {
    let utf16: Vec<u8> = secret.iter().flat_map(|byte| [*byte, 0]).collect();
    let mut all = vec![hex(secret), hex(&utf16)];
    // Base64 at its three offsets: the part that does not depend on what stands around it.
    for offset in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.iter().copied()).collect();
        let text = STANDARD_NO_PAD.encode(&padded);
        let whole = padded.len() / 3 * 4;
        all.push(text[if offset == 0 { 0 } else { offset + 1 }..whole].to_owned());
    }
    all
}

fn find_pin(text: &str) -> Option<String> {
    let hash = Sha256::digest(PIN.as_bytes());
    let mut wanted = spellings(PIN.as_bytes());
    wanted.push(PIN.to_owned());
    wanted.extend(spellings(&hash[..16]));
    wanted.into_iter().find(|spelling| text.contains(spelling.as_str()))
}

#[test]
fn the_search_finds_a_planted_pin() {
    for planted in spellings(PIN.as_bytes()).iter().chain([&PIN.to_owned()]) {
        assert!(find_pin(&format!("{{\"data\":\"00{planted}ff\"}}")).is_some(), "{planted}");
    }
    for before in ["", "a", "ab"] {
        assert!(find_pin(&STANDARD_NO_PAD.encode(format!("{before}{PIN}zz"))).is_some(), "{before}");
    }
}

/// The members of authenticatorClientPIN and of pinUvAuthParams that tell something secret, in one raw message.
fn secrets_of(message: &[u8]) -> Vec<Vec<u8>> {
    let Some((first, body)) = message.split_first() else { return Vec::new() };
    let Ok(value) = decode(body) else { return Vec::new() };
    let members: &[i64] = match first {
        // An answer: ClientPIN's is a map of key agreement (1) or token (2) alone.
        0x00 if value.as_map().is_some_and(|map| map.len() == 1) => &[2],
        0x01 => &[8],
        0x02 => &[6],
        0x06 => &[4, 5, 6],
        0x0A | 0x41 | 0x0D => &[4],
        _ => &[],
    };
    members.iter().filter_map(|member| value.member(*member)?.as_bytes()).map(<[u8]>::to_vec).collect()
}

#[test]
fn what_is_secret_on_the_wire_is_not_in_a_fresh_recording() {
    for model in Model::all() {
        let recorded = record(model);
        assert_eq!(find_pin(&recorded.lines), None, "{}", model.id);
        let secrets: Vec<_> = recorded.messages.iter().flat_map(|message| secrets_of(message)).collect();
        // setPIN has two; each of at least two tokens has a request, an answer and a use.
        assert!(secrets.len() >= 8, "{}: the tap sees them: {}", model.id, secrets.len());
        for secret in secrets {
            assert!(secret.len() >= 16, "{}: {secret:?}", model.id);
            assert!(!recorded.lines.contains(&hex(&secret)), "{}", model.id);
        }
    }
}

#[test]
fn nothing_secret_is_in_a_kept_recording() {
    let mut seen = 0;
    for path in kept() {
        let (text, path) = (read(&path), path.display());
        assert_eq!(find_pin(&text), None, "{path}");
        assert_eq!(unblanked(&text), [0_usize; 0], "{path}: lines that hold something secret");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if line["command"] != 0x10 {
                continue;
            }
            for secret in secrets_of(&unhex(line["data"].as_str().expect("hexadecimal"))) {
                seen += 1;
                assert!(secret.iter().all(|byte| *byte == 0), "{path}: {}", line["data"]);
            }
        }
        assert!(!text.contains(&hex(b"kim@contoso.com")) && !text.contains(&hex(b"Kim")), "{path}: a name");
    }
    assert!(seen >= 8 * 8, "{seen}");
}

#[test]
fn a_secret_in_a_kept_recording_is_found() {
    let text = read(&folder().join(&Model::usual().id).join("journey.jsonl"));
    // A proof (32 bytes) and a person's name, as they are where nothing was blanked.
    let proof = text.replacen(&format!("5820{}", "00".repeat(32)), &format!("5820{}", "a5".repeat(32)), 1);
    let at = text.find(&hex(b"....")).expect("a blanked name");
    let name = format!("{}{}{}", &text[..at], hex(b"Kim."), &text[at + 8..]);
    for planted in [proof, name] {
        assert_ne!(planted, text);
        assert_eq!(unblanked(&planted).len(), 1);
    }
    assert_eq!(unblanked(&text), [0_usize; 0]);
}

#[test]
fn a_changed_recording_is_noticed() {
    let model = Model::usual();
    let text = read(&folder().join(&model.id).join("journey.jsonl"));
    let told = read(&folder().join(&model.id).join("journey.txt")).replace("\r\n", "\n");
    // One bit of the authenticator data in makeCredential's answer.
    let data = told.lines().find_map(|line| line.strip_prefix("authenticator data: ")).expect("told").trim_matches('"');
    let mut other = unhex(data);
    other[40] ^= 1;
    let changed = text.replacen(data, &hex(&other), 1);
    assert_ne!(changed, text);
    let replay = Replay::new(&changed).expect("a transcript");
    assert_ne!(journey(Box::new(replay), &plugged(&model)), told);
}
