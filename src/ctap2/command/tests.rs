//! Requests against bytes made elsewhere (fixtures/vectors/README.md), answers against bytes written by hand.

use proptest::prelude::*;

use super::config::{Config, PinRules, config};
use super::credential_management::Manager;
use super::get_assertion::{Assertion, GetAssertion, get_assertion};
use super::get_info::get_info;
use super::make_credential::{
    CredentialProtection, EnterpriseAttestation, Extensions, MakeCredential, NewCredential, RelyingParty, User,
    make_credential,
};
use super::{client_pin, reset, selection};
use crate::ctap2::cbor::{Members, Value};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::{PinToken, Protocol};
use crate::ctap2::status::Status;
use crate::ctap2::transport::{Hello, Kind, Patience, Transport, TransportError, Unwatched, Watcher};
use crate::model::CredentialId;
use zeroize::Zeroizing;

const RP: &str = "login.microsoft.com";

/// Notes what it is sent and answers from a list; when that is at its end, with OPERATION_DENIED.
pub(in crate::ctap2) struct Canned {
    pub sent: Vec<Vec<u8>>,
    pub answers: std::collections::VecDeque<Vec<u8>>,
}

impl Canned {
    pub(in crate::ctap2) fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { sent: Vec::new(), answers: answers.into_iter().collect() }
    }
}

impl Transport for Canned {
    fn exchange(
        &mut self,
        _: Kind,
        message: &[u8],
        _: Patience,
        _: &mut dyn Watcher,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.sent.push(message.to_vec());
        Ok(self.answers.pop_front().unwrap_or_else(|| vec![0x27]).into())
    }
    fn resynchronise(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
    fn hello(&self) -> Hello {
        Hello { protocol: 2, device_version: [0; 3], capabilities: 0x05 }
    }
    fn set_max_message(&mut self, _: usize) {}
}

fn ok(members: Members) -> Vec<u8> {
    std::iter::once(0).chain(members.into_value().encode()).collect()
}

fn token() -> PinToken {
    PinToken::new(Protocol::Two, vec![0x5A; 32].into()).expect("32 bytes")
}

fn id(byte: u8) -> CredentialId {
    CredentialId::new([byte; 16])
}

/// What `ask` sends, in hexadecimal, and the vector of that name.
fn compare(name: &str, ask: impl FnOnce(&mut Canned)) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../fixtures/vectors/requests.json")).expect("JSON");
    let mut link = Canned::new([]);
    ask(&mut link);
    let sent: String = link.sent[0].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Some(sent.as_str()), vectors[name].as_str(), "{name}");
}

fn full() -> MakeCredential {
    MakeCredential {
        client_data_hash: [0xC1; 32],
        rp: RelyingParty { id: RP.into(), name: Some("Microsoft".into()) },
        user: User { id: vec![7; 16], name: Some("kim@contoso.com".into()), display_name: Some("Kim".into()) },
        algorithms: vec![-7, -257],
        exclude: vec![id(1), id(2)],
        resident: true,
        extensions: Extensions {
            hmac_secret: true,
            cred_protect: Some(CredentialProtection::UvOptionalWithList),
            min_pin_length: true,
        },
        enterprise_attestation: Some(EnterpriseAttestation::VendorFacilitated),
    }
}

#[test]
fn requests_are_byte_for_byte_the_specifications() {
    compare("make_credential", |link| drop(make_credential(link, &full(), Some(&token()), &mut Unwatched)));
    compare("make_credential_least", |link| {
        let request = MakeCredential {
            rp: RelyingParty { id: RP.into(), name: None },
            user: User { id: vec![7], name: None, display_name: None },
            algorithms: vec![-7],
            exclude: Vec::new(),
            resident: false,
            extensions: Extensions::default(),
            enterprise_attestation: None,
            ..full()
        };
        drop(make_credential(link, &request, None, &mut Unwatched));
    });
    let assertion = |touch| GetAssertion { rp_id: RP.into(), client_data_hash: [0xC1; 32], allow: vec![id(1)], touch };
    compare("get_assertion", |link| drop(get_assertion(link, &assertion(true), Some(&token()), &mut Unwatched)));
    compare("get_assertion_silent", |link| drop(get_assertion(link, &assertion(false), None, &mut Unwatched)));
    let token = token();
    fn manager<'a>(link: &'a mut Canned, token: &'a PinToken, preview: bool) -> Manager<'a> {
        Manager { link, token, preview }
    }
    compare("credentials_metadata", |link| drop(manager(link, &token, false).metadata()));
    compare("credentials_rps", |link| drop(manager(link, &token, false).relying_parties()));
    compare("credentials_of", |link| {
        use sha2::{Digest as _, Sha256};
        drop(manager(link, &token, false).credentials_of(&Sha256::digest(RP).into()));
    });
    compare("credentials_delete_preview", |link| drop(manager(link, &token, true).delete(&id(1))));
    let rules = PinRules { minimum: Some(8), rp_ids: vec![RP.into()], force_change: true };
    compare("config_pin_rules", |link| drop(config(link, &Config::SetPinRules(rules), &token)));
    let force = PinRules { force_change: true, ..PinRules::default() };
    compare("config_force_only", |link| drop(config(link, &Config::SetPinRules(force), &token)));
    compare("config_always_uv", |link| drop(config(link, &Config::ToggleAlwaysUv, &token)));
    compare("config_enterprise", |link| drop(config(link, &Config::EnableEnterpriseAttestation, &token)));
    compare("pin_retries", |link| drop(client_pin::pin_retries(link, Protocol::Two)));
    compare("get_info", |link| drop(get_info(link)));
    compare("reset", |link| drop(reset::reset(link, &mut Unwatched)));
    compare("selection", |link| drop(selection::selection(link, &mut Unwatched)));
}

#[test]
fn the_attestation_statement_is_kept_as_it_came() {
    // {1: "x", 2: h'01', 3: {"b": 0, "a": 1}, 4: true}, with map keys out of order in the statement.
    let raw = [0xA4, 0x01, 0x61, b'x', 0x02, 0x41, 0x01, 0x03, 0xA2, 0x61, b'b', 0x00, 0x61, b'a', 0x01, 0x04, 0xF5];
    let new = NewCredential::parse(&raw).expect("valid");
    assert_eq!(new.att_stmt, raw[8..15]);
    assert_eq!((new.format.as_str(), new.auth_data.as_slice(), new.enterprise), ("x", &[1][..], Some(true)));
    assert_eq!(NewCredential::parse(&[0xA0]).err(), Some(Malformed::Missing(3)));
    let text_statement = [0xA3, 0x01, 0x61, b'x', 0x02, 0x41, 0x01, 0x03, 0x61, b'y'];
    assert_eq!(NewCredential::parse(&text_statement).err(), Some(Malformed::Wrong(3)));
}

#[test]
fn an_assertion_may_leave_out_the_only_credential() {
    let raw = Members::new().with(2, Value::bytes([1])).with(3, Value::bytes([2])).into_value().encode();
    assert_eq!(Assertion::parse(&raw, &[id(1)]).expect("valid").credential, id(1));
    assert_eq!(Assertion::parse(&raw, &[id(1), id(2)]).err(), Some(Malformed::Missing(1)));
    assert_eq!(Assertion::parse(&raw, &[]).err(), Some(Malformed::Missing(1)));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = NewCredential::parse(&bytes);
        let _ = Assertion::parse(&bytes, &[]);
        let token = token();
        let again = std::iter::repeat_n([&[0], bytes.as_slice()].concat(), 8);
        let mut link = Canned::new(again);
        let mut manager = Manager { link: &mut link, token: &token, preview: false };
        let _ = (manager.metadata(), manager.relying_parties(), manager.credentials_of(&[0; 32]), manager.delete(&id(1)));
        let _ = client_pin::pin_retries(&mut link, Protocol::One);
        let _ = client_pin::agree(&mut link, Protocol::One, &crate::world::SystemEntropy);
    }
}

fn rps(answers: impl IntoIterator<Item = Vec<u8>>) -> Result<usize, CtapError> {
    let token = token();
    let mut link = Canned::new(answers);
    Manager { link: &mut link, token: &token, preview: false }.relying_parties().map(|found| found.len())
}

#[test]
fn every_way_to_say_empty_is_an_empty_list() {
    assert_eq!(rps([vec![0x2E]]).expect("OpenSK"), 0);
    assert_eq!(rps([ok(Members::new().with(5, Value::Unsigned(0)))]).expect("fido-authenticator"), 0);
    assert_eq!(rps([ok(Members::new())]).expect("an empty map"), 0);
    assert_eq!(rps([vec![0x00]]).expect("nothing at all"), 0);
}

#[test]
fn lists_are_read_to_their_end_and_not_beyond_belief() {
    let rp = |total: Option<u64>| {
        ok(Members::new()
            .with(3, Members::new().with_name("id", Value::text(RP)).into_value())
            .with(4, Value::bytes([1; 32]))
            .maybe(5, total.map(Value::Unsigned)))
    };
    assert_eq!(rps([rp(Some(2)), rp(None)]).expect("two"), 2);
    assert!(matches!(rps([rp(Some(u64::MAX))]), Err(CtapError::Malformed { what: Malformed::Wrong(5), .. })));
    assert!(matches!(rps([rp(Some(3)), rp(None), vec![0x2E]]), Err(CtapError::Malformed { .. })));
    assert!(matches!(rps([rp(None)]), Err(CtapError::Malformed { what: Malformed::Missing(5), .. })));
    let refused = rps([vec![0x33]]).expect_err("refused");
    assert_eq!(refused.status(), Some(Status::PinAuthInvalid));
    assert!(matches!(rps([vec![]]), Err(CtapError::Malformed { what: Malformed::Empty, .. })));
}

#[test]
fn resets_say_what_happened() {
    use reset::ResetError;
    let outcome = |status: u8| reset::reset(&mut Canned::new([vec![status]]), &mut Unwatched);
    assert!(outcome(0x00).is_ok());
    assert!(matches!(outcome(0x30), Err(ResetError::TooLate)));
    assert!(matches!(outcome(0x34), Err(ResetError::TooLate)));
    assert!(matches!(outcome(0x27), Err(ResetError::Declined)));
    for late in [0x2F, 0x3A, 0x2D] {
        assert!(matches!(outcome(late), Err(ResetError::NotTouched)));
    }
    assert!(matches!(outcome(0x7F), Err(ResetError::Ctap(_))));
}
