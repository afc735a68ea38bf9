//! What a key may send: packets, messages, CBOR, attestations.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use zeroize::Zeroizing;

use keybench::ctap2::cbor;
use keybench::ctap2::command::config::PinRules;
use keybench::ctap2::command::get_assertion::Assertion;
use keybench::ctap2::command::get_info::GetInfo;
use keybench::ctap2::command::make_credential::{
    CredentialProtection, Extensions, MakeCredential, NewCredential, RelyingParty, User,
};
use keybench::ctap2::hid::transcript::Replay;
use keybench::ctap2::session::{Configure, Make, Manage, Opened, PinSet, Session, Tools, open};
use keybench::ctap2::{Limits, Unwatched};
use keybench::ledger::{Append, Entry, Ledger as _, MemoryStore, SealReceipt};
use keybench::model::{
    Aaguid, BatchId, BenchId, CredentialId, JobId, KeyRef, Pin, PlugId, PortName, SealedPin, TenantId, UserId,
};
use keybench::sim::key::simulator_root_der as simulator_root;
use keybench::webauthn::assertion::{ExpectedFlags, verify_assertion};
use keybench::webauthn::attestation::{AttestationObject, KeyAnswer};
use keybench::webauthn::auth_data::AuthenticatorData;
use keybench::webauthn::certificate::check_packed;
use keybench::webauthn::checks::{Expected, Trust, Wanted, check_registration};
use keybench::webauthn::client_data::ClientData;
use keybench::webauthn::creation_options::CredProtect;
use keybench::webauthn::metadata::Metadata;
use keybench::webauthn::record::RegistrationRecord;
use keybench::webauthn::trust::{Anchors, validate};
use keybench::world::{PluggedKey, SystemClock};

use crate::conversation::{Chance, HostileKey, Moments, Step, of_recording, read};
use crate::mutate::{Form, Rng};
use crate::runner::Target;
use crate::{fixture, fixtures};

const RP: &str = "login.microsoft.com";

pub fn now() -> Timestamp {
    Timestamp::from_second(1_795_608_000).expect("a time in 2026")
}

fn recordings() -> Vec<String> {
    let recorded = fixtures("ctap2").into_iter().map(|bytes| String::from_utf8(bytes).expect("text"));
    recorded.filter(|text| text.starts_with('{')).collect()
}

/// Every CTAP2 answer in the recordings, without its status, each form of it once.
fn answers(wanted: impl Fn(&cbor::Value) -> bool) -> Vec<Vec<u8>> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for text in recordings() {
        for step in read(&of_recording(&text)) {
            let Step::Message { command: 0x10, data, .. } = step else { continue };
            let Some((0, body)) = data.split_first() else { continue };
            let Ok(value) = cbor::decode(body) else { continue };
            if wanted(&value) && seen.insert(body.to_vec()) {
                all.push(body.to_vec());
            }
        }
    }
    assert!(!all.is_empty(), "the recordings hold such answers");
    all
}

fn is_credential(value: &cbor::Value) -> bool {
    value.member(1).and_then(cbor::Value::as_text).is_some() && value.member(2).is_some()
}

/// A receipt as a ledger gives it; there is no other.
fn receipt() -> SealReceipt {
    let ledger = MemoryStore::new().open(BenchId::new("fuzz"), Arc::new(SystemClock::new()));
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
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
    let begun = Entry::AttemptStarted { job, attempt: 1, key };
    ledger.append(Append::entry(begun).under(&claim)).expect("begun");
    let sealed = SealedPin { custodian: vec![1], resume: vec![2], dual: false };
    ledger.append_seal(&claim, 1, &sealed).expect("sealed")
}

fn pin() -> Pin {
    Pin::new(Zeroizing::new("73451098".to_owned())).expect("a PIN")
}

fn request() -> MakeCredential {
    MakeCredential {
        client_data_hash: [1; 32],
        rp: RelyingParty { id: RP.into(), name: Some("Microsoft".into()) },
        user: User { id: vec![1; 16], name: Some("kim@contoso.com".into()), display_name: Some("Kim".into()) },
        algorithms: vec![-7, -257],
        exclude: Vec::new(),
        resident: true,
        extensions: Extensions {
            hmac_secret: true,
            cred_protect: Some(CredentialProtection::UvOptional),
            min_pin_length: true,
        },
        enterprise_attestation: None,
    }
}

/// Open, first PIN, credential, list, proof, rules: as far as the key lets it.
fn journey(input: &[u8], receipt: &SealReceipt) -> String {
    let clock = Arc::new(Moments::default());
    let key = HostileKey::new(input, Arc::clone(&clock));
    // The vendor is part of the input, so that each vendor's serial number commands have their turn.
    let vendor_id = *[0x1050, 0x20A0, 0x1EA8, 0x096E].get(input.len() % 5).unwrap_or(&0x1050);
    let plugged = PluggedKey {
        port: PortName::new("1-1"),
        plug: PlugId(1),
        vendor_id,
        product_id: if vendor_id == 0x20A0 { 0x42B2 } else { 0x0402 },
        manufacturer: String::new(),
        product: "Key".into(),
        usb_serial: None,
        present_at_start: true,
    };
    let entropy = Arc::new(Chance(Mutex::new(Rng(7))));
    let tools = Tools { clock: clock.clone(), entropy, limits: Limits::default() };
    let mut session: Session<PinSet> = match open(Box::new(key), &plugged, &tools) {
        Err(error) => return format!("open: {error}"),
        Ok(Opened::Blank(session)) => match session.set_pin(&pin(), receipt, &mut Unwatched) {
            Ok(session) => session,
            Err(failed) => {
                let done = failed.done;
                return match failed.session.settle() {
                    Ok(opened) => format!("set PIN {done:?}: {}; {}", failed.error, kind(&opened)),
                    Err(error) => format!("set PIN {done:?}: {}; {error}", failed.error),
                };
            }
        },
        Ok(Opened::PinSet(session)) => session,
        Ok(Opened::NoPin(mut session)) => {
            let _ = session.selection(&mut Unwatched);
            return "no PIN".into();
        }
        Ok(Opened::U2fOnly(_)) => return "U2F".into(),
    };
    let _ = session.key_ref().for_people();
    let mut request = request();
    let mut said = String::new();
    if let Err(error) = session.fit_exclude_list(&mut request) {
        return format!("exclude list: {error}");
    }
    let made = match session.attempt(3) {
        Err(error) => return format!("attempt: {error}"),
        Ok(attempt) => match attempt.authorise(&pin(), Make { rp_id: RP.into() }) {
            Err(error) => return format!("token: {error}"),
            Ok(authorised) => authorised.make_credential(&request, &mut Unwatched),
        },
    };
    match made {
        Ok(made) => {
            let answer = KeyAnswer { fmt: &made.format, att_stmt: &made.att_stmt, auth_data: &made.auth_data };
            said += &format!("made {}; ", AttestationObject::of(&answer).is_ok());
        }
        Err(error) => said += &format!("make: {error} {}; ", error.surely_undone()),
    }
    match session.attempt(3).map_err(|error| error.to_string()).and_then(|attempt| {
        let mut manage = attempt.authorise(&pin(), Manage).map_err(|error| error.to_string())?;
        let room = manage.metadata().map_err(|error| error.to_string())?;
        let parties = manage.relying_parties().map_err(|error| error.to_string())?;
        let stored = manage.credentials_of(RP).map_err(|error| error.to_string())?;
        Ok((room, parties, stored))
    }) {
        Ok((_, parties, stored)) => {
            assert!(parties.len() <= 10_000 && stored.len() <= 10_000, "a list without end");
            for credential in stored.iter().take(2) {
                if let Err(error) = session.silent_assertion(RP, &credential.id, [1; 32]) {
                    return format!("{said}proof: {error}");
                }
            }
            said += &format!("{} parties, {} stored; ", parties.len().min(2), stored.len().min(2));
        }
        Err(error) => said += &format!("list: {error}; "),
    }
    let rules = PinRules { minimum: Some(6), rp_ids: Vec::new(), force_change: true };
    let outcome = session.attempt(3).map_err(|error| error.to_string()).and_then(|attempt| {
        let configure = attempt.authorise(&pin(), Configure).map_err(|error| error.to_string())?;
        configure.set_pin_rules(&rules).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(now) => said + &format!("rules {now:?}"),
        Err(error) => said + &error,
    }
}

fn kind(opened: &Opened) -> &'static str {
    match opened {
        Opened::Blank(_) => "blank",
        Opened::PinSet(_) => "PIN set",
        Opened::NoPin(_) => "no PIN",
        Opened::U2fOnly(_) => "U2F",
    }
}

pub fn conversation() -> Target {
    let seeds: Vec<Vec<u8>> = recordings().iter().map(|text| of_recording(text)).collect();
    let receipt = receipt();
    Target {
        name: "key-conversation",
        form: Form::Conversation,
        share: 4,
        seeds,
        run: Box::new(move |input| journey(input, &receipt)),
    }
}

pub fn cbor() -> Target {
    let run = |input: &[u8]| {
        let raw = cbor::raw_members(input);
        match cbor::decode(input) {
            Ok(value) => {
                // Written in canonical order, whatever the order was.
                let again = value.encode();
                let read = cbor::decode(&again).expect("what we write can be read");
                assert_eq!(read.encode(), again, "written and read is the same");
                if let Ok(members) = raw {
                    for (_, range) in members {
                        assert!(input.get(range).is_some_and(|part| cbor::decode(part).is_ok()), "a part is an item");
                    }
                }
                "an item".into()
            }
            Err(error) => error.to_string(),
        }
    };
    Target { name: "key-cbor", form: Form::Cbor(0), share: 1, seeds: answers(|_| true), run: Box::new(run) }
}

pub fn get_info() -> Target {
    let run = |input: &[u8]| match GetInfo::parse(input) {
        Ok(info) => {
            let _ = (info.is_fido2(), info.pin_is_set(), info.forces_pin_change(), info.has_pin_rules());
            let _ = (info.minimum_pin(), info.maximum_pin(), info.has_permissions(), format!("{info:?}").len());
            let _ = info.max_message();
            format!("{:?} {:?}", info.versions.len().min(9), info.options.iter().count().min(30))
        }
        Err(error) => error.to_string(),
    };
    let seeds = answers(|value| value.member(1).and_then(cbor::Value::as_array).is_some() && value.member(3).is_some());
    Target { name: "key-get-info", form: Form::Cbor(0), share: 1, seeds, run: Box::new(run) }
}

/// makeCredential's answer through everything that is done with it before Graph hears of it.
pub fn attestation() -> Target {
    let roots = Anchors::fido().and(simulator_root());
    let test_root = Anchors::none().and(fixture("mds/root-new.der"));
    let metadata = Metadata::open(&fixture("mds/test-blob.jwt"), &test_root, now(), None).expect("metadata");
    let run = move |input: &[u8]| {
        let made = match NewCredential::parse(input) {
            Ok(made) => made,
            Err(error) => return error.to_string(),
        };
        let answer = KeyAnswer { fmt: &made.format, att_stmt: &made.att_stmt, auth_data: &made.auth_data };
        let aaguid = AuthenticatorData::parse(&made.auth_data).ok().and_then(|data| data.credential);
        let expected = Expected {
            rp_id: RP,
            client_data_hash: &[1; 32],
            algorithms: &[-7, -257],
            aaguid: aaguid.map_or(Aaguid::ZERO, |credential| credential.aaguid),
            excluded: &[CredentialId::new([1; 16])],
            cred_protect: Some(CredProtect::Optional),
            hmac_secret: Wanted::Wished,
        };
        let trust =
            Trust { metadata: Some(&metadata), roots: &roots, enforced: input.len().is_multiple_of(2), now: now() };
        let report = check_registration(&answer, &expected, &trust);
        for (_, failed) in report.failures() {
            assert!(!failed.to_string().is_empty() && !failed.next().is_empty() && !failed.cause().is_empty());
        }
        let data = ClientData::create(&[1; 32], RP);
        match RegistrationRecord::new(&answer, &data, RP, now(), vec!["usb".into()]) {
            Ok(record) => {
                let kept = record.to_bytes();
                assert_eq!(RegistrationRecord::from_bytes(&kept).as_ref(), Ok(&record), "kept and read is the same");
                let object = AttestationObject::take_apart(&record.attestation_object).expect("made here");
                assert_eq!(object.to_bytes(), record.attestation_object, "taken apart and put together");
                format!("{:?} {:?}", report.passed(), report.failures().map(|(check, _)| check).collect::<Vec<_>>())
            }
            Err(error) => format!("{error} {:?}", report.passed()),
        }
    };
    Target { name: "key-attestation", form: Form::Cbor(0), share: 3, seeds: answers(is_credential), run: Box::new(run) }
}

pub fn auth_data() -> Target {
    let seeds =
        answers(is_credential).iter().filter_map(|answer| Some(NewCredential::parse(answer).ok()?.auth_data)).collect();
    let run = |input: &[u8]| match AuthenticatorData::parse(input) {
        Ok(data) => {
            let key = data.credential.map(|credential| {
                keybench::webauthn::public_key::PublicKey::from_cose(&credential.public_key_cose)
                    .map(|key| key.algorithm())
            });
            format!("{key:?} {:?}", data.extensions)
        }
        Err(error) => error.to_string(),
    };
    Target { name: "key-auth-data", form: Form::Bytes(0), share: 1, seeds, run: Box::new(run) }
}

pub fn assertion() -> Target {
    let credential = answers(is_credential)
        .iter()
        .find_map(|answer| AuthenticatorData::parse(&NewCredential::parse(answer).ok()?.auth_data).ok()?.credential)
        .expect("a credential");
    let run = move |input: &[u8]| {
        let read = match Assertion::parse(input, std::slice::from_ref(&credential.id)) {
            Ok(read) => read,
            Err(error) => return error.to_string(),
        };
        let expected = ExpectedFlags { user_present: Some(false), user_verified: None };
        let key = &credential.public_key_cose;
        match verify_assertion(key, RP, &[1; 32], &read.auth_data, &read.signature, expected) {
            Ok(count) => format!("good, {count}"),
            Err(error) => error.to_string(),
        }
    };
    let seeds = answers(|value| {
        value.member(1).and_then(|id| id.named("id")).is_some()
            && value.member(3).and_then(cbor::Value::as_bytes).is_some()
    });
    Target { name: "key-assertion", form: Form::Cbor(0), share: 1, seeds, run: Box::new(run) }
}

/// X.509 from a key, and chains of it.
pub fn certificates() -> Target {
    let mut seeds: Vec<Vec<u8>> = ["mds/root-new.der", "mds/root-old.der"].iter().map(|path| fixture(path)).collect();
    for answer in answers(is_credential) {
        let statement = NewCredential::parse(&answer).expect("recorded").att_stmt;
        let Ok(value) = cbor::decode(&statement) else { continue };
        let chain = value.named("x5c").and_then(cbor::Value::as_array).unwrap_or_default();
        seeds.extend(chain.iter().filter_map(|item| Some(item.as_bytes()?.to_vec())));
    }
    let roots = Anchors::fido().and(simulator_root());
    let genuine = seeds.clone();
    let run = move |input: &[u8]| {
        let packed = check_packed(input, Aaguid::ZERO).map_err(|error| error.to_string());
        let alone = validate(&[input.to_vec()], &roots, now());
        let below = validate(&[genuine[genuine.len() - 1].clone(), input.to_vec()], &roots, now());
        let trusting = validate(&genuine[genuine.len() - 1..], &Anchors::none().and(input), now());
        format!("{packed:?} {alone:?} {} {}", below.is_ok(), trusting.is_ok())
    };
    Target { name: "key-certificates", form: Form::Bytes(0), share: 1, seeds, run: Box::new(run) }
}

/// Transcripts are files that people send each other.
pub fn transcript() -> Target {
    let seeds = recordings().into_iter().map(String::into_bytes).collect();
    let receipt = receipt();
    let run = move |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let replay = match Replay::new(&text) {
            Ok(replay) => replay,
            Err(error) => return error.to_string(),
        };
        let clock = Arc::new(Moments::default());
        let waiting = Waiting { replay, clock: Arc::clone(&clock) };
        let plugged = PluggedKey {
            port: PortName::new("1-1"),
            plug: PlugId(1),
            vendor_id: 0x1050,
            product_id: 0x0402,
            manufacturer: String::new(),
            product: String::new(),
            usb_serial: None,
            present_at_start: true,
        };
        let tools = Tools { clock, entropy: Arc::new(Chance(Mutex::new(Rng(7)))), limits: Limits::default() };
        match open(Box::new(waiting), &plugged, &tools) {
            Ok(Opened::Blank(session)) => match session.set_pin(&pin(), &receipt, &mut Unwatched) {
                Ok(_) => "PIN set".into(),
                Err(failed) => format!("{:?} {}", failed.done, failed.error),
            },
            Ok(opened) => kind(&opened).into(),
            Err(error) => error.to_string(),
        }
    };
    const WORDS: &[&str] = &["\"host\"", "\"key\"", "ffffffff", "00000001", "\"command\":6", "00", "{", "}", "1e9"];
    Target { name: "transcript", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

/// A replay for which time passes only while somebody waits.
struct Waiting {
    replay: Replay,
    clock: Arc<Moments>,
}

impl keybench::ctap2::hid::packet::PacketDevice for Waiting {
    fn write(
        &mut self,
        packet: &keybench::ctap2::hid::packet::Packet,
    ) -> Result<(), keybench::ctap2::hid::packet::DeviceError> {
        self.replay.write(packet)
    }
    fn read(
        &mut self,
        timeout: std::time::Duration,
    ) -> Result<Option<keybench::ctap2::hid::packet::Packet>, keybench::ctap2::hid::packet::DeviceError> {
        let packet = self.replay.read(std::time::Duration::ZERO)?;
        if packet.is_none() {
            keybench::world::Clock::sleep(&*self.clock, timeout);
        }
        Ok(packet)
    }
}
