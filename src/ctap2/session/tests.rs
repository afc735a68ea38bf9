//! Keys that differ from OpenSK: older ones, fido-authenticator's ways, and ones that vanish at the wrong moment.

use std::collections::HashMap;
use std::sync::Mutex;

use zeroize::Zeroizing;

use super::*;
use crate::ctap2::cbor::{Members, Value, decode};
use crate::ctap2::command::make_credential::{Extensions, RelyingParty, User};
use crate::ctap2::hid::packet::DeviceError;
use crate::ctap2::transport::{Kind, Patience, TransportError};
use crate::ledger::SealReceipt;
use crate::model::{Pin, PlugId, PortName};
use crate::world::{SystemClock, SystemEntropy};

type Answer = Result<Vec<u8>, TransportError>;
type Asked = Arc<Mutex<Vec<(Kind, Vec<u8>)>>>;

/// A key that is a function of what it is asked.
struct Acting<F> {
    act: F,
    asked: Asked,
    capabilities: u8,
}

impl<F: FnMut(Kind, &[u8]) -> Answer + Send> Transport for Acting<F> {
    fn exchange(
        &mut self,
        kind: Kind,
        message: &[u8],
        _: Patience,
        _: &mut dyn Watcher,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.asked.lock().expect("short").push((kind, message.to_vec()));
        (self.act)(kind, message).map(Zeroizing::new)
    }
    fn resynchronise(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
    fn hello(&self) -> Hello {
        Hello { protocol: 2, device_version: [0; 3], capabilities: self.capabilities }
    }
    fn set_max_message(&mut self, _: usize) {}
}

fn open_with(
    vendor_id: u16,
    capabilities: u8,
    act: impl FnMut(Kind, &[u8]) -> Answer + Send + 'static,
) -> (Result<Opened, CtapError>, Asked) {
    let asked = Asked::default();
    let plugged = PluggedKey {
        port: PortName::new("1-1"),
        plug: PlugId(1),
        vendor_id,
        product_id: 1,
        manufacturer: String::new(),
        product: "Key ".into(),
        usb_serial: Some(" 42 ".into()),
        present_at_start: false,
    };
    let tools =
        Tools { clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy), limits: Limits::default() };
    let link = Acting { act, asked: asked.clone(), capabilities };
    (open_over(Box::new(link), &plugged, &tools), asked)
}

fn ok(members: Members) -> Answer {
    Ok(std::iter::once(0).chain(members.into_value().encode()).collect())
}

fn info(options: &[(&str, bool)], more: Members) -> Answer {
    let options = options.iter().fold(Members::new(), |map, (name, on)| map.with_name(name, Value::Bool(*on)));
    let Value::Map(mut members) = more.into_value() else { return Ok(Vec::new()) };
    members.push((Value::int(1), Value::Array(vec![Value::text("FIDO_2_0")])));
    members.push((Value::int(3), Value::bytes([3; 16])));
    members.push((Value::int(4), options.into_value()));
    Ok(std::iter::once(0).chain(Value::Map(members).encode()).collect())
}

/// The sub-command of a clientPIN message.
fn pin_subcommand(message: &[u8]) -> Option<u64> {
    let (command, body) = message.split_first()?;
    if *command != 0x06 {
        return None;
    }
    decode(body).ok()?.member(2)?.as_u64()
}

/// Retries and key agreement as any key has them; the token is 32 bytes of anything under protocol one.
fn pin_basics(message: &[u8]) -> Option<Answer> {
    let agreement = || {
        let ours = crate::ctap2::pin_protocol::SharedSecret::agree(
            crate::ctap2::pin_protocol::Protocol::One,
            &generator(),
            &SystemEntropy,
        );
        ours.expect("agreed").key_agreement()
    };
    match pin_subcommand(message)? {
        1 => Some(ok(Members::new().with(3, Value::int(8)))),
        2 => Some(ok(Members::new().with(1, agreement()))),
        5 | 9 => Some(ok(Members::new().with(2, Value::bytes([9; 32])))),
        _ => None,
    }
}

fn generator() -> Value {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    let point = p256::SecretKey::from_slice(&[1; 32]).expect("a scalar").public_key().to_sec1_point(false);
    Members::new()
        .with(1, Value::int(2))
        .with(3, Value::int(-25))
        .with(-1, Value::int(1))
        .with(-2, Value::Bytes(point.x().expect("not infinity").to_vec()))
        .with(-3, Value::Bytes(point.y().expect("not infinity").to_vec()))
        .into_value()
}

fn pin() -> Pin {
    Pin::new(Zeroizing::new("735109".into())).expect("a PIN")
}

fn with_pin(opened: Result<Opened, CtapError>) -> Session<PinSet> {
    match opened {
        Ok(Opened::PinSet(session)) => session,
        other => panic!("no PIN: {other:?}"),
    }
}

#[test]
fn a_forced_change_is_never_called_a_wrong_pin() {
    // 0x31 as OpenSK says it, 0x37 as fido-authenticator does; the change was forced after we looked.
    for status in [0x31, 0x37] {
        let mut infos = 0;
        let (opened, _) = open_with(0x1209, 0x05, move |_, message| match (message, pin_subcommand(message)) {
            ([0x04], _) => {
                infos += 1;
                info(&[("clientPin", true), ("authnrCfg", true)], Members::new().with(12, Value::Bool(infos > 2)))
            }
            (_, Some(5 | 9)) => Ok(vec![status]),
            _ => pin_basics(message).expect("only basics"),
        });
        let mut session = with_pin(opened);
        let error = session.attempt(3).expect("tries").authorise(&pin(), Configure).expect_err("forced");
        assert!(matches!(error, PinError::ChangeForced), "{status:02x}: {error:?}");
    }
}

#[test]
fn an_older_key_gets_the_plain_token_and_the_preview_command() {
    let (opened, asked) = open_with(0x1209, 0x05, |_, message| match message {
        [0x04] => info(&[("clientPin", true), ("credentialMgmtPreview", true)], Members::new()),
        [0x41, ..] => ok(Members::new().with(1, Value::int(2)).with(2, Value::int(23))),
        _ => pin_basics(message).expect("only basics"),
    });
    let mut session = with_pin(opened);
    let mut manage = session.attempt(3).expect("tries").authorise(&pin(), Manage).expect("token");
    assert_eq!(manage.metadata().expect("told").existing, 2);
    drop(manage);
    let mut subcommands: HashMap<u64, usize> = HashMap::new();
    for (_, message) in asked.lock().expect("short").iter() {
        if let Some(subcommand) = pin_subcommand(message) {
            *subcommands.entry(subcommand).or_default() += 1;
        }
    }
    assert_eq!(subcommands.get(&5), Some(&1));
    assert_eq!(subcommands.get(&9), None);
    // It has no settings: that is said before a try is spent.
    let error = session.attempt(3).expect("tries").authorise(&pin(), Configure).expect_err("has none");
    assert!(matches!(error, PinError::Ctap(CtapError::Unsupported(_))));
}

#[test]
fn a_key_that_wants_a_finger_is_refused_before_a_try() {
    let (opened, asked) = open_with(0x1209, 0x05, |_, message| match message {
        [0x04] => info(
            &[("clientPin", true), ("pinUvAuthToken", true), ("noMcGaPermissionsWithClientPin", true)],
            Members::new(),
        ),
        _ => pin_basics(message).expect("only basics"),
    });
    let mut session = with_pin(opened);
    let error =
        session.attempt(3).expect("tries").authorise(&pin(), Make { rp_id: "a".into() }).expect_err("by finger only");
    assert!(matches!(error, PinError::NotByPin));
    assert!(!asked.lock().expect("short").iter().any(|(_, message)| pin_subcommand(message) == Some(9)));
}

#[test]
fn a_lost_answer_to_set_pin_leaves_the_question_open() {
    let mut set = false;
    let (opened, _) = open_with(0x1209, 0x05, move |_, message| match (message, pin_subcommand(message)) {
        ([0x04], _) => info(&[("clientPin", set)], Members::new()),
        (_, Some(3)) => {
            set = true;
            Err(TransportError::Silent { waited: std::time::Duration::from_secs(5) })
        }
        _ => pin_basics(message).expect("only basics"),
    });
    let Ok(Opened::Blank(session)) = opened else { panic!("not blank") };
    let failed = session.set_pin(&pin(), &SealReceipt::for_tests(), &mut Unwatched).expect_err("lost");
    assert_eq!(failed.done, Done::Unknown);
    assert!(matches!(failed.session.settle(), Ok(Opened::PinSet(_))), "one look settles it");
}

#[test]
fn a_refusal_of_set_pin_leaves_the_key_blank() {
    let (opened, _) = open_with(0x1209, 0x05, move |_, message| match (message, pin_subcommand(message)) {
        ([0x04], _) => info(&[("clientPin", false)], Members::new()),
        (_, Some(3)) => Ok(vec![0x37]),
        _ => pin_basics(message).expect("only basics"),
    });
    let Ok(Opened::Blank(session)) = opened else { panic!("not blank") };
    let failed = session.set_pin(&pin(), &SealReceipt::for_tests(), &mut Unwatched).expect_err("refused");
    assert_eq!((failed.done, failed.error.status()), (Done::No, Some(Status::PinPolicyViolation)));
}

#[test]
fn only_known_vendors_are_asked_in_their_own_tongue() {
    let act = |kind: Kind, message: &[u8]| match (kind, message) {
        (Kind::Vendor(0x42), [0]) => Ok(vec![11, 0x02, 4, 0, 0, 0, 77, 0x05, 3, 5, 7, 1]),
        (Kind::Cbor, [0x04]) => info(&[("clientPin", false)], Members::new().with(14, Value::int(0x05_0701))),
        _ => Ok(vec![0x01]),
    };
    let (opened, asked) = open_with(0x1050, 0x05, act);
    assert_eq!(asked.lock().expect("short").len(), 2);
    let Ok(Opened::Blank(session)) = opened else { panic!("not blank") };
    // 11 bytes were announced and 11 came.
    assert_eq!(session.serial(), Some(&Serial::new("77")));
    assert_eq!(session.firmware(), Some(Firmware::new("5.7.1")));
    assert_eq!(session.key_ref().model.as_deref(), Some("Key"));

    let (opened, asked) = open_with(0x1234, 0x05, act);
    assert!(asked.lock().expect("short").iter().all(|(kind, _)| *kind == Kind::Cbor));
    let Ok(Opened::Blank(session)) = opened else { panic!("not blank") };
    assert_eq!(session.serial(), Some(&Serial::new("42")), "from the USB descriptor");
}

/// A YubiKey that meets the question for its serial number with these, one after another, and with the last of them from then on.
fn yubikey(answers: Vec<fn() -> Answer>) -> (Result<Opened, CtapError>, usize) {
    let mut asked = 0;
    let (opened, all) = open_with(0x1050, 0x05, move |kind, message| match kind {
        Kind::Vendor(0x42) => {
            asked += 1;
            answers[(asked - 1).min(answers.len() - 1)]()
        }
        _ if message == [0x04] => info(&[("clientPin", false)], Members::new()),
        _ => Ok(vec![0x01]),
    });
    let asked = all.lock().expect("short").iter().filter(|(kind, _)| *kind != Kind::Cbor).count();
    (opened, asked)
}

#[test]
fn a_serial_number_that_could_not_be_heard_is_not_one_that_is_not_told() {
    let told: fn() -> Answer = || Ok(vec![6, 0x02, 4, 0, 0, 0, 77]);
    let unknown: fn() -> Answer = || Err(TransportError::Hid(HidError::InvalidCommand));
    let busy: fn() -> Answer = || Err(TransportError::Hid(HidError::Busy));
    let garbled: fn() -> Answer = || Err(TransportError::Garbled("half of it"));
    let silent: fn() -> Answer = || Err(TransportError::Silent { waited: std::time::Duration::from_secs(5) });
    let other: fn() -> Answer = || Err(TransportError::Hid(HidError::Other(0x7F)));
    let nonsense: fn() -> Answer = || Ok(vec![9, 0x02]);
    let serial = |opened: Result<Opened, CtapError>| match opened {
        Ok(Opened::Blank(session)) => {
            (session.serial().map(|serial| serial.as_str().to_owned()), session.serial_is_proof())
        }
        other => panic!("{other:?}"),
    };
    // It does not know the question: what USB tells is all there is, and no proof.
    assert_eq!(serial(yubikey(vec![unknown]).0), (Some("42".into()), false));
    for once in [garbled, silent, other, nonsense] {
        let (opened, asked) = yubikey(vec![once, told]);
        assert_eq!((serial(opened), asked), ((Some("77".into()), true), 2));
        assert!(yubikey(vec![once]).0.is_err(), "it is not taken for a key without a serial number");
    }
    // The channel has waited for a busy key already.
    let (opened, asked) = yubikey(vec![busy]);
    assert!(matches!(opened, Err(CtapError::Wire(TransportError::Hid(HidError::Busy)))), "{opened:?}");
    assert_eq!(asked, 1);
}

#[test]
fn a_list_of_ids_is_cut_by_number_and_by_bytes() {
    let ids = |lengths: &[usize]| lengths.iter().map(|length| CredentialId::new(vec![1; *length])).collect::<Vec<_>>();
    let counts =
        |ids: &[CredentialId], most, room| in_parts(ids, most, room).iter().map(|part| part.len()).collect::<Vec<_>>();
    let ten = ids(&[128; 10]);
    assert_eq!(counts(&ten, 20, 5_000), [10]);
    assert_eq!(counts(&ten, 4, 5_000), [4, 4, 2]);
    // 151 bytes each.
    assert_eq!(counts(&ten, 20, 500), [3, 3, 3, 1]);
    assert_eq!(counts(&ids(&[700, 16, 16]), 20, 500), [1, 2]);
    assert_eq!(counts(&[], 20, 500), [0; 0]);
}

#[test]
fn an_exclude_list_too_long_for_the_keys_messages_is_asked_about_in_parts() {
    let theirs = CredentialId::new(vec![9; 128]);
    let held = theirs.clone();
    let (opened, asked) = open_with(0x1209, 0x05, move |_, message| match message {
        [0x04] => info(&[("clientPin", true)], Members::new().with(5, Value::int(1024)).with(7, Value::int(20))),
        // It has the last of them.
        [0x02, body @ ..] => {
            let request = decode(body).expect("CBOR");
            let Some(Value::Array(allowed)) = request.member(3) else { panic!("no list") };
            let mine = |entry: &Value| entry.named("id").and_then(Value::as_bytes) == Some(held.as_bytes());
            if !allowed.iter().any(mine) {
                return Ok(vec![0x2E]);
            }
            let id = Members::new()
                .with_name("id", Value::bytes(held.as_bytes()))
                .with_name("type", Value::text("public-key"));
            ok(Members::new().with(1, id.into_value()).with(2, Value::bytes([0; 37])).with(3, Value::bytes([0; 70])))
        }
        _ => pin_basics(message).expect("only basics"),
    });
    let mut session = with_pin(opened);
    let request = |exclude| MakeCredential {
        client_data_hash: [0; 32],
        rp: RelyingParty { id: "login.microsoft.com".into(), name: None },
        user: User { id: vec![1; 64], name: None, display_name: None },
        algorithms: vec![-7],
        exclude,
        resident: true,
        extensions: Extensions::default(),
        enterprise_attestation: None,
    };
    let mut all: Vec<CredentialId> = (0..9).map(|n| CredentialId::new(vec![n; 128])).collect();
    all.push(theirs.clone());
    let mut long = request(all);
    assert!(long.length() > 1024);
    session.fit_exclude_list(&mut long).expect("asked");
    assert_eq!(long.exclude, [theirs]);
    let asked = asked.lock().expect("short");
    let silent: Vec<usize> =
        asked.iter().filter(|(_, message)| message.first() == Some(&0x02)).map(|(_, message)| message.len()).collect();
    assert!(silent.len() >= 2 && silent.iter().all(|length| *length <= 1024), "{silent:?}");
    drop(asked);
    // What fits is sent as it is.
    let mut short = request(vec![CredentialId::new(vec![1; 16])]);
    session.fit_exclude_list(&mut short).expect("nothing to ask");
    assert_eq!(short.exclude.len(), 1);
}

#[test]
fn keys_that_are_not_fit_are_told_apart() {
    let (opened, asked) = open_with(0x1209, 0x00, |_, _| Ok(vec![0x01]));
    assert!(matches!(opened, Ok(Opened::U2fOnly(_))));
    assert!(asked.lock().expect("short").is_empty());
    let (opened, _) = open_with(0x1209, 0x05, |_, _| info(&[("rk", true)], Members::new()));
    assert!(matches!(opened, Ok(Opened::NoPin(_))));
    let (opened, _) = open_with(0x1209, 0x05, |_, _| Err(DeviceError::Gone.into()));
    assert!(opened.expect_err("gone").is_gone());
}

#[test]
fn pin_rules_that_can_t_be_are_not_sent() {
    let (opened, asked) = open_with(0x1209, 0x05, |_, message| match message {
        [0x04] => info(
            &[("clientPin", true), ("authnrCfg", true), ("setMinPINLength", true)],
            Members::new().with(13, Value::int(8)).with(16, Value::int(1)),
        ),
        _ => pin_basics(message).expect("only basics"),
    });
    let mut session = with_pin(opened);
    let lower = crate::ctap2::command::config::PinRules { minimum: Some(6), ..Default::default() };
    let too_many =
        crate::ctap2::command::config::PinRules { rp_ids: vec!["a".into(), "b".into()], ..Default::default() };
    for rules in [lower, too_many] {
        let configure = session.attempt(3).expect("tries").authorise(&pin(), Configure).expect("token");
        assert!(matches!(configure.set_pin_rules(&rules), Err(CtapError::NotPossible(_))));
    }
    assert!(!asked.lock().expect("short").iter().any(|(_, message)| message.first() == Some(&0x0D)));
}
