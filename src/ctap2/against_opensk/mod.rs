//! This layer against firmware that others wrote: Google's OpenSK, over real packets. Nothing here trusts our own reading of
//! the specification alone.

mod key;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p256::ecdsa::signature::Verifier as _;
use zeroize::Zeroizing;

use self::key::{Finger, Key};
use super::cbor::{Value, decode};
use super::command::config::PinRules;
use super::command::get_assertion::GetAssertion;
use super::command::make_credential::{CredentialProtection, Extensions, MakeCredential, RelyingParty, User};
use super::command::reset::ResetError;
use super::session::{
    Assert, Blank, Configure, Done, Make, Manage, NoAttempt, Opened, PinError, PinSet, Session, Tools, open,
};
use super::transport::{Keepalive, Limits, Unwatched, Watching};
use super::{CtapError, Status, TransportError};
use crate::ledger::SealReceipt;
use crate::model::{CredentialId, Pin, PlugId, PortName};
use crate::world::{PluggedKey, SystemClock, SystemEntropy};

pub(super) const RP: &str = "login.microsoft.com";

pub(super) fn tools() -> Tools {
    Tools { clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy), limits: Limits::default() }
}

fn plugged() -> PluggedKey {
    PluggedKey {
        port: PortName::new("1-1"),
        plug: PlugId(1),
        vendor_id: 0x1915,
        product_id: 0x521F,
        manufacturer: "Google".into(),
        product: "OpenSK".into(),
        usb_serial: None,
        present_at_start: true,
    }
}

fn open_key(key: &Key) -> Opened {
    open(Box::new(key.plug()), &plugged(), &tools()).expect("OpenSK opens")
}

fn blank(key: &Key) -> Session<Blank> {
    match open_key(key) {
        Opened::Blank(session) => session,
        other => panic!("not blank: {other:?}"),
    }
}

fn with_pin(key: &Key) -> Session<PinSet> {
    match open_key(key) {
        Opened::PinSet(session) => session,
        other => panic!("no PIN: {other:?}"),
    }
}

pub(super) fn pin(text: &str) -> Pin {
    Pin::new(Zeroizing::new(text.to_owned())).expect("a PIN")
}

pub(super) fn request(user: u8) -> MakeCredential {
    MakeCredential {
        client_data_hash: [user; 32],
        rp: RelyingParty { id: RP.into(), name: Some("Microsoft".into()) },
        user: User { id: vec![user; 16], name: Some("kim@contoso.com".into()), display_name: Some("Kim".into()) },
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

/// Credential id and COSE key out of authenticator data.
pub(super) fn attested(auth_data: &[u8]) -> (CredentialId, p256::ecdsa::VerifyingKey) {
    let length = usize::from(u16::from_be_bytes([auth_data[53], auth_data[54]]));
    let id = CredentialId::new(&auth_data[55..55 + length]);
    // The key is followed by extensions: its end is found by trying, which is good enough for a test.
    let cose = (1..=auth_data.len() - 55 - length)
        .find_map(|end| decode(&auth_data[55 + length..55 + length + end]).ok())
        .expect("a COSE key");
    let mut point = vec![4];
    point.extend_from_slice(cose.member(-2).and_then(Value::as_bytes).expect("x"));
    point.extend_from_slice(cose.member(-3).and_then(Value::as_bytes).expect("y"));
    (id, p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("a point"))
}

fn make(
    session: &mut Session<PinSet>,
    pin: &Pin,
    request: &MakeCredential,
) -> (CredentialId, p256::ecdsa::VerifyingKey) {
    let new = session
        .attempt(3)
        .expect("tries left")
        .authorise(pin, Make { rp_id: RP.into() })
        .expect("the right PIN")
        .make_credential(request, &mut Unwatched)
        .expect("made");
    assert_eq!(new.format, "packed");
    assert!(decode(&new.att_stmt).expect("kept whole").named("sig").is_some());
    attested(&new.auth_data)
}

fn signed(
    assertion: &super::command::get_assertion::Assertion,
    hash: [u8; 32],
    key: &p256::ecdsa::VerifyingKey,
) -> bool {
    let signature = p256::ecdsa::Signature::from_der(&assertion.signature).expect("DER");
    key.verify(&[assertion.auth_data.as_slice(), &hash].concat(), &signature).is_ok()
}

#[test]
fn a_whole_journey() {
    let key = Key::new();
    let session = blank(&key);
    assert!(session.info().has_pin_rules() && session.info().has_permissions());
    assert_eq!(session.info().pin_is_set(), Some(false));
    let (first, second) = (pin("73451098"), pin("90215346"));
    let receipt = SealReceipt::for_tests();

    let mut session = session.set_pin(&first, &receipt, &mut Unwatched).expect("set");
    assert_eq!(session.info().pin_is_set(), Some(true));
    assert_eq!(session.pin_retries().expect("told").left, 8);

    // An empty key says so by 0x2E.
    let mut manage = session.attempt(3).expect("tries").authorise(&first, Manage).expect("token");
    assert_eq!(manage.metadata().expect("told").existing, 0);
    assert_eq!(manage.relying_parties().expect("none"), []);
    assert_eq!(manage.credentials_of(RP).expect("none"), []);

    let (id, public) = make(&mut session, &first, &request(1));

    // Proofs: silent without PIN, silent with it, and with a touch.
    let silent = session.silent_assertion(RP, &id, [9; 32]).expect("answered").expect("there");
    assert!(signed(&silent, [9; 32], &public));
    assert_eq!(silent.auth_data[32], 0x00, "neither UP nor UV");
    assert_eq!(session.silent_assertion(RP, &CredentialId::new([1; 32]), [9; 32]).expect("answered"), None);
    for touch in [false, true] {
        let assertion = session
            .attempt(3)
            .expect("tries")
            .authorise(&first, Assert { rp_id: RP.into() })
            .expect("token")
            .get_assertion(
                &GetAssertion { rp_id: RP.into(), client_data_hash: [8; 32], allow: vec![id.clone()], touch },
                &mut Unwatched,
            )
            .expect("signed");
        assert!(signed(&assertion, [8; 32], &public));
        assert_eq!(assertion.auth_data[32] & 0x05, 0x04 | u8::from(touch), "UV always, UP by touch");
    }

    // The same account again is refused when it is excluded, even in a list that is too long for the key.
    let mut again = request(1);
    again.exclude = (0..40u8).map(|n| CredentialId::new([n; 64])).chain([id.clone()]).collect();
    session.fit_exclude_list(&mut again).expect("asked");
    assert_eq!(again.exclude, std::slice::from_ref(&id));
    let refused = session
        .attempt(3)
        .expect("tries")
        .authorise(&first, Make { rp_id: RP.into() })
        .expect("token")
        .make_credential(&again, &mut Unwatched)
        .expect_err("excluded");
    assert_eq!(refused.status(), Some(Status::CredentialExcluded));

    let (other, _) = make(&mut session, &first, &request(2));
    let mut manage = session.attempt(3).expect("tries").authorise(&first, Manage).expect("token");
    let rps = manage.relying_parties().expect("one");
    assert_eq!(rps.len(), 1);
    assert_eq!(rps[0].id.as_deref(), Some(RP));
    let stored = manage.credentials_of_stored(&rps[0]).expect("two");
    let mut ids: Vec<_> = stored.iter().map(|credential| credential.id.clone()).collect();
    ids.sort();
    let mut wanted = vec![id.clone(), other.clone()];
    wanted.sort();
    assert_eq!(ids, wanted);
    assert!(manage.delete_credential(&other).expect("deleted"));
    assert!(!manage.delete_credential(&other).expect("not there any more"));
    assert_eq!(manage.credentials_of(RP).expect("one").len(), 1);

    // Rules for PINs, last.
    let rules = PinRules { minimum: Some(8), rp_ids: vec![RP.into()], force_change: true };
    let now = session
        .attempt(3)
        .expect("tries")
        .authorise(&first, Configure)
        .expect("token")
        .set_pin_rules(&rules)
        .expect("set");
    assert_eq!((now.minimum, now.forced), (8, true));
    // Nothing more can be done with the right PIN, and it costs no try to learn that.
    assert!(matches!(
        session.attempt(3).expect("tries").authorise(&first, Configure).expect_err("forced"),
        PinError::ChangeForced
    ));
    assert_eq!(session.pin_retries().expect("told").left, 8);
    assert!(session.silent_assertion(RP, &id, [7; 32]).expect("answered").is_some());

    // The person changes the PIN: the same one is refused, a short one is not even sent.
    let change = |session: &mut Session<PinSet>, new: &Pin| {
        session.attempt(3).expect("tries").change_pin(&first, new, &SealReceipt::for_tests())
    };
    assert!(matches!(change(&mut session, &first), Err(PinError::RuledOut)));
    assert!(matches!(change(&mut session, &pin("1234")), Err(PinError::Ctap(CtapError::NotPossible(_)))));
    change(&mut session, &second).expect("changed");
    assert!(!session.info().forces_pin_change());
    make(&mut session, &second, &request(3));
    drop(session);

    let session = with_pin(&key);
    match session.reset(&mut Unwatched).expect("just plugged in") {
        Opened::Blank(session) => assert_eq!(session.info().minimum_pin(), 4),
        other => panic!("not blank: {other:?}"),
    }
}

#[test]
fn wrong_pins_are_counted_and_never_spent_below_the_floor() {
    let key = Key::new();
    let mut session = blank(&key).set_pin(&pin("735109"), &SealReceipt::for_tests(), &mut Unwatched).expect("set");
    let try_wrong = |session: &mut Session<PinSet>| {
        session.attempt(3).map(|attempt| attempt.authorise(&pin("111111"), Manage).expect_err("wrong"))
    };
    assert!(matches!(try_wrong(&mut session), Ok(PinError::Wrong { left: Some(7) })));
    assert!(matches!(try_wrong(&mut session), Ok(PinError::Wrong { left: Some(6) })));
    assert!(matches!(try_wrong(&mut session), Ok(PinError::Replug)));
    assert!(matches!(try_wrong(&mut session), Err(NoAttempt::Replug)));
    let mut session = with_pin(&key);
    assert!(matches!(try_wrong(&mut session), Ok(PinError::Wrong { left: Some(4) })));
    assert!(matches!(try_wrong(&mut session), Ok(PinError::Wrong { left: Some(3) })));
    assert!(matches!(try_wrong(&mut session), Err(NoAttempt::TooFew { left: 3, floor: 3 })));
    // The owner may go on; the right PIN fills the counter up again.
    let _ = session.attempt(0).expect("three left").authorise(&pin("735109"), Manage).expect("right");
    assert_eq!(session.pin_retries().expect("told").left, 8);
}

#[test]
fn touches_that_don_t_come() {
    let key = Key::new();
    let first = pin("735109");
    let mut session = blank(&key).set_pin(&first, &SealReceipt::for_tests(), &mut Unwatched).expect("set");
    let attempt = |session: &mut Session<PinSet>, stop: &Arc<AtomicBool>, seen: &mut Vec<Keepalive>| {
        let flag = stop.clone();
        session
            .attempt(3)
            .expect("tries")
            .authorise(&first, Make { rp_id: RP.into() })
            .expect("token")
            .make_credential(
                &request(1),
                &mut Watching::new(stop.clone(), |keepalive| {
                    seen.push(keepalive);
                    flag.store(true, Ordering::Relaxed);
                }),
            )
            .map(drop)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut seen = Vec::new();
    *key.finger.lock().expect("short") = Finger::Declines;
    let declined = attempt(&mut session, &stop, &mut seen).expect_err("declined");
    assert_eq!(declined.status(), Some(Status::OperationDenied));

    // Stopped at the first keepalive: the key confirms, and the session goes on.
    *key.finger.lock().expect("short") = Finger::StaysAway;
    stop.store(false, Ordering::Relaxed);
    seen.clear();
    let cancelled = attempt(&mut session, &stop, &mut seen).expect_err("cancelled");
    assert!(matches!(cancelled, CtapError::Wire(TransportError::Cancelled { confirmed: true })), "{cancelled:?}");
    assert!(cancelled.is_no_touch() && cancelled.surely_undone());
    assert_eq!(seen, [Keepalive::TouchNeeded]);

    *key.finger.lock().expect("short") = Finger::Touches;
    make(&mut session, &first, &request(1));
    assert!(matches!(session.settle().expect("looked at"), Opened::PinSet(_)));
}

#[test]
fn resets_come_early_or_not_at_all() {
    let key = Key::new();
    let session = blank(&key);
    key.ahead.store(11_000, Ordering::Relaxed);
    let failed = session.reset(&mut Unwatched).expect_err("too late");
    assert!(matches!(failed.error, ResetError::TooLate), "{failed:?}");
    // The same session goes on.
    assert!(matches!(failed.session.settle().expect("looked at"), Opened::Blank(_)));

    key.ahead.store(0, Ordering::Relaxed);
    *key.finger.lock().expect("short") = Finger::Declines;
    let failed = blank(&key).reset(&mut Unwatched).expect_err("declined");
    assert!(matches!(failed.error, ResetError::Declined), "{failed:?}");
}

#[test]
fn a_pin_the_key_would_refuse_is_not_sent() {
    let key = Key::new();
    let failed =
        blank(&key).set_pin(&pin("éé1"), &SealReceipt::for_tests(), &mut Unwatched).expect_err("three code points");
    assert_eq!(failed.done, Done::No);
    match failed.session.settle().expect("looked at") {
        Opened::Blank(session) => {
            session.set_pin(&pin("éé12"), &SealReceipt::for_tests(), &mut Unwatched).expect("four will do");
        }
        other => panic!("not blank: {other:?}"),
    }
}

#[test]
fn four_keys_at_once() {
    let threads: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                let key = Key::new();
                let pin = pin(&format!("73510{number}"));
                let mut session = blank(&key).set_pin(&pin, &SealReceipt::for_tests(), &mut Unwatched).expect("set");
                make(&mut session, &pin, &request(number));
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn both_pin_protocols() {
    use super::command::client_pin::{self, Permissions};
    use super::hid::channel::Channel;
    use super::pin_protocol::Protocol;

    for protocol in [Protocol::One, Protocol::Two] {
        let tools = tools();
        let entropy = tools.entropy.clone();
        let mut link =
            Channel::open(Key::new().plug(), tools.clock.clone(), entropy.clone(), tools.limits).expect("opens");
        let (old, new) = (pin("735109"), pin("901257"));
        let agree = |link: &mut Channel<key::Plugged>| client_pin::agree(link, protocol, &*entropy).expect("agreed");
        let secret = agree(&mut link);
        client_pin::set_pin(&mut link, &secret, &old, &*entropy, &mut Unwatched).expect("set");
        let secret = agree(&mut link);
        client_pin::change_pin(&mut link, &secret, &old, &new, &*entropy).expect("changed");
        for asked in [None, Some((Permissions::MAKE_CREDENTIAL, Some(RP)))] {
            let secret = agree(&mut link);
            let token = client_pin::token(&mut link, &secret, &new, asked, &*entropy).expect("a token");
            super::command::make_credential::make_credential(&mut link, &request(1), Some(&token), &mut Unwatched)
                .expect("the token is good");
        }
    }
}

/// What a recording writes to.
#[derive(Clone, Default)]
struct Paper(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("short").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_recorded_journey_plays_back_and_holds_no_secret() {
    use super::hid::packet::PacketDevice;
    use super::hid::transcript::{Recording, Replay};

    let journey = |device: Box<dyn PacketDevice>| {
        let Opened::Blank(session) = open(device, &plugged(), &tools()).expect("opens") else { panic!("not blank") };
        let first = pin("735109");
        let mut session = session.set_pin(&first, &SealReceipt::for_tests(), &mut Unwatched).expect("set");
        session
            .attempt(3)
            .expect("tries")
            .authorise(&first, Make { rp_id: RP.into() })
            .expect("token")
            .make_credential(&request(1), &mut Unwatched)
            .expect("made")
    };
    let paper = Paper::default();
    let recording = Recording::new(Key::new().plug(), Box::new(paper.clone()), tools().clock);
    let made = journey(Box::new(recording));
    let text = String::from_utf8(paper.0.lock().expect("short").clone()).expect("text");
    assert!(text.lines().count() > 10);
    for name in ["kim@contoso.com", "Kim"] {
        let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hex), "{name} is in the transcript");
    }
    // Every proof over the client data is blank: makeCredential's member 8 with protocol two has 32 bytes.
    assert!(text.contains(&format!("085820{}", "00".repeat(32))));
    assert_eq!(journey(Box::new(Replay::new(&text).expect("a transcript"))), made);
}

#[test]
fn a_key_can_be_picked_out_by_touch_or_by_light() {
    let key = Key::new();
    let mut session = blank(&key);
    session.selection(&mut Unwatched).expect("touched");
    session.wink().expect("it can");
    *key.finger.lock().expect("short") = Finger::Declines;
    let declined = session.selection(&mut Unwatched).expect_err("declined");
    assert_eq!(declined.status(), Some(Status::OperationDenied));
}
