//! Simulated keys, spoken to by a host that shares no code with ours.

use std::sync::Arc;
use std::time::Duration;

use ciborium::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::filter::member;
use super::frame::{CBOR, ERROR};
use super::host::{Host, make_credential_request, map};
use super::*;
use crate::ctap2::hid::packet::DeviceError;

const RP: &str = "login.microsoft.com";

fn model(id: &str) -> Arc<Model> {
    Model::by_id(id).expect("a model")
}

fn host(powered: &Powered) -> Host {
    Host::new(Box::new(powered.open().expect("there")))
}

/// A key that is touched at once, and a host on it.
fn touched(id: &str, birth: &Birth) -> (SimKey, Powered, Host) {
    let key = SimKey::born(&model(id), 1, birth);
    key.probe().finger().set(Touch::AtOnce);
    let powered = key.power_up();
    let host = host(&powered);
    (key, powered, host)
}

fn with_pin() -> Birth {
    Birth { pin: Some("314159".into()), ..Birth::default() }
}

fn option(info: &Value, name: &str) -> Option<bool> {
    let options = member(info, 4)?.as_map()?;
    options.iter().find(|(told, _)| *told == name.into())?.1.as_bool()
}

#[test]
fn every_model_tells_its_aaguid_and_keeps_canonical_order() {
    for model in Model::all() {
        let key = SimKey::new(model, 1);
        let powered = key.power_up();
        let info = host(&powered).get_info();
        let aaguid = member(&info, 3).and_then(Value::as_bytes).expect("aaguid");
        assert_eq!(aaguid.as_slice(), model.aaguid.0, "{}", model.id);
        let keys: Vec<i128> =
            info.as_map().expect("a map").iter().filter_map(|(k, _)| Some(k.as_integer()?.into())).collect();
        assert!(keys.is_sorted(), "{}: {keys:?}", model.id);
        let options: Vec<_> = member(&info, 4).and_then(Value::as_map).expect("options").iter().collect();
        let names: Vec<_> = options.iter().filter_map(|(k, _)| k.as_text()).map(|name| (name.len(), name)).collect();
        assert!(names.is_sorted(), "{}: {names:?}", model.id);
        assert_eq!(option(&info, "clientPin"), Some(false), "{}", model.id);
        assert_eq!(member(&info, 5), Some(&Value::from(model.ctap.max_msg_size as u64)), "{}", model.id);
    }
}

#[test]
fn every_model_attests_by_the_simulator_root() {
    let (_, root) = X509Certificate::from_der(simulator_root_der()).expect("the root");
    for model in Model::all() {
        let (_key, _powered, mut host) = touched(&model.id, &Birth::default());
        let (status, answer) = host.make_credential(RP, None);
        assert_eq!(status, 0, "{}", model.id);
        let answer = answer.expect("an attestation");
        assert_eq!(member(&answer, 1), Some(&"packed".into()));
        let auth_data = member(&answer, 2).and_then(Value::as_bytes).expect("authData").clone();
        assert_eq!(&auth_data[37..53], model.aaguid.0);
        let statement = member(&answer, 3).and_then(Value::as_map).expect("attStmt");
        let part = |name: &str| statement.iter().find(|(k, _)| *k == name.into()).map(|(_, v)| v).expect("a member");
        let chain = part("x5c").as_array().expect("x5c");
        assert_eq!(chain.len(), 1);
        let (_, leaf) = X509Certificate::from_der(chain[0].as_bytes().expect("DER")).expect("a certificate");
        leaf.verify_signature(Some(root.public_key())).expect("signed by the simulator root");
        let message = [auth_data, vec![7; 32]].concat();
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_ASN1,
            leaf.public_key().subject_public_key.data.as_ref(),
        );
        public.verify(&message, part("sig").as_bytes().expect("sig")).expect("signed by the batch key");
    }
}

#[test]
fn a_touch_after_a_while_is_preceded_by_keepalives() {
    let key = SimKey::new(&Model::usual(), 1);
    key.probe().finger().set(Touch::After(Duration::from_millis(250)));
    let powered = key.power_up();
    let mut host = host(&powered);
    assert_eq!(host.make_credential(RP, None).0, 0);
    assert!(!host.keepalives.is_empty());
    assert!(host.keepalives.iter().all(|status| *status == 2), "{:?}", host.keepalives);
}

#[test]
fn an_untouched_key_times_out_and_a_declined_one_says_no() {
    let key = SimKey::new(&Model::usual(), 1);
    let probe = key.probe();
    probe.finger().set(Touch::Never);
    probe.set_touch_timeout(Duration::from_millis(150));
    let powered = key.power_up();
    let mut host = host(&powered);
    assert_eq!(host.cbor(0x0b, None).0, 0x2f);
    probe.finger().set(Touch::Decline);
    assert_eq!(host.cbor(0x0b, None).0, 0x27);
}

#[test]
fn a_hand_touches_only_what_blinks_and_cancel_is_obeyed() {
    let key = SimKey::new(&Model::usual(), 1);
    let finger = key.probe().finger().clone();
    let powered = key.power_up();
    let mut host = host(&powered);
    assert!(!finger.press(), "nothing blinks");
    host.send(CBOR, &[0x0b]).expect("sent");
    host.packet().expect("a keepalive");
    assert!(powered.is_blinking());
    assert!(finger.press());
    assert_eq!(host.receive().expect("an answer"), (CBOR, vec![0]));
    assert!(!powered.is_blinking());

    host.send(CBOR, &[0x0b]).expect("sent");
    host.packet().expect("a keepalive");
    host.send(0x11, &[]).expect("CANCEL");
    assert_eq!(host.receive().expect("an answer"), (CBOR, vec![0x2d]));
}

#[test]
fn pulling_ends_every_opener_at_once_and_keeps_what_is_in_flash() {
    let (key, powered, mut host) = touched("yubikey-5-nfc", &Birth::default());
    assert_eq!(host.set_pin("314159"), 0);
    let token = host.token("314159", Some((1, Some(RP)))).expect("a token");
    assert_eq!(host.make_credential(RP, Some(&token)).0, 0);
    host.send(CBOR, &[4]).expect("sent");
    powered.pull();
    assert!(matches!(host.device.read(Duration::from_millis(1)), Err(DeviceError::Gone)));
    assert!(matches!(host.send(CBOR, &[4]), Err(DeviceError::Gone)));

    let probe = key.probe();
    let residents = probe.residents();
    assert_eq!(residents.len(), 1);
    assert_eq!((residents[0].rp_id.as_str(), residents[0].user_id.as_slice()), (RP, &b"user handle"[..]));
    assert!(probe.pin_is("314159") && !probe.pin_is("314158"));
    let powered = key.power_up();
    assert_eq!(option(&self::host(&powered).get_info(), "clientPin"), Some(true));
}

#[test]
fn a_pull_in_the_middle_of_a_command() {
    let key = SimKey::new(&Model::usual(), 1);
    let powered = key.power_up();
    let mut host = host(&powered);
    host.send(CBOR, &[0x0b]).expect("sent");
    host.packet().expect("a keepalive: it waits for a touch");
    powered.pull();
    assert!(matches!(host.receive(), Err(DeviceError::Gone)));
}

#[test]
fn faults_pull_the_key_at_a_chosen_report() {
    let key = SimKey::new(&Model::usual(), 1);
    key.probe().finger().set(Touch::AtOnce);
    // INIT is the first report, and makeCredential has more than two: it is never whole.
    key.probe().add_fault(Fault::UnplugAtPacket { packet: 3 });
    let powered = key.power_up();
    let mut host = host(&powered);
    let request = super::filter::with_status(1, &make_credential_request(RP, None));
    assert!(matches!(host.call(CBOR, &request), Err(DeviceError::Gone)));
    assert!(powered.is_gone());
    assert!(key.probe().residents().is_empty());

    // The answer is lost, the work is done.
    drop(powered);
    key.probe().add_fault(Fault::UnplugAtAnswer { packet: 2 });
    let powered = key.power_up();
    let mut host = self::host(&powered);
    assert!(matches!(host.call(CBOR, &request), Err(DeviceError::Gone)));
    assert_eq!(key.probe().residents().len(), 1);

    // Each happened once.
    let powered = key.power_up();
    self::host(&powered).get_info();
}

#[test]
fn openers_share_a_key_as_with_hidraw() {
    let key = SimKey::new(&Model::usual(), 1);
    let powered = key.power_up();
    let mut one = host(&powered);
    let mut other = powered.open().expect("there");
    one.get_info();
    let overheard = crate::ctap2::hid::packet::PacketDevice::read(&mut other, Duration::from_secs(5));
    assert_eq!(overheard.expect("there").expect("a report")[..4], one.channel);
}

#[test]
fn serial_numbers_come_by_the_models_own_way() {
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &Birth::default());
    let (command, tlv) = host.call(0x42, &[0]).expect("an answer");
    assert_eq!(command, 0x42);
    assert_eq!(usize::from(tlv[0]), tlv.len() - 1);
    let mut rest = &tlv[1..];
    let mut serial = None;
    while let [tag, length, tail @ ..] = rest {
        let (value, tail) = tail.split_at(usize::from(*length));
        if *tag == 2 {
            serial = value.try_into().ok().map(u32::from_be_bytes);
        }
        rest = tail;
    }
    assert_eq!(serial.map(|serial| serial.to_string()).as_deref(), key.serial().as_ref().map(|serial| serial.as_str()));

    let (key, _powered, mut host) = touched("nitrokey-3", &Birth::default());
    let (_, uuid) = host.call(0x62, &[]).expect("an answer");
    let hex: String = uuid.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!((uuid.len(), Some(hex.as_str())), (16, key.serial().as_ref().map(|serial| serial.as_str())));

    let (_, version) = host.call(0x61, &[]).expect("an answer");
    assert_eq!(version, ((1u32 << 22) | (7 << 6) | 2).to_be_bytes(), "1.7.2");

    let (key, _powered, mut host) = touched("security-key-nfc", &Birth::default());
    assert_eq!(host.call(0x42, &[0]).expect("an answer"), (ERROR, vec![1]));
    assert_eq!(key.serial(), None);
}

#[test]
fn births() {
    let (_key, _powered, mut host) = touched("yubikey-5-nfc", &with_pin());
    assert_eq!(option(&host.get_info(), "clientPin"), Some(true));
    assert!(host.token("314159", Some((4, None))).is_ok());
    assert_eq!(host.token("000001", Some((4, None))), Err(0x31));

    let blocked = Birth { blocked: true, ..Birth::default() };
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &blocked);
    assert_eq!(host.token("271828", Some((4, None))), Err(0x32));
    assert_eq!(key.probe().retries(), 0);

    let full = Birth { full: true, ..Birth::default() };
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &full);
    assert_eq!(key.probe().residents().len(), 3);
    assert_eq!(member(&host.get_info(), 0x14), Some(&0.into()));
    assert_eq!(host.make_credential(RP, None).0, 0x28);

    let u2f = Birth { u2f_only: true, ..Birth::default() };
    let (_key, _powered, mut host) = touched("yubikey-5-nfc", &u2f);
    assert_eq!(host.capabilities & 0x0c, 0);
    assert_eq!(host.call(CBOR, &[4]).expect("an answer"), (ERROR, vec![1]));

    let always_uv = Birth { always_uv: true, ..Birth::default() };
    let (_key, _powered, mut host) = touched("yubikey-5-nfc", &always_uv);
    let info = host.get_info();
    assert_eq!((option(&info, "alwaysUv"), option(&info, "makeCredUvNotRqd")), (Some(true), Some(false)));

    let used = Birth { credentials: vec![RP.into()], ..with_pin() };
    let key = SimKey::born(&Model::usual(), 9, &used);
    assert_eq!(key.probe().residents()[0].rp_id, RP);
}

#[test]
fn a_forced_change_answers_as_the_model_does() {
    let forced = Birth { force_change: true, ..with_pin() };
    for (id, status) in [("yubikey-5-nfc", 0x37), ("titan-v2", 0x31)] {
        let (key, _powered, mut host) = touched(id, &forced);
        assert_eq!(member(&host.get_info(), 0x0c), Some(&true.into()));
        assert_eq!(host.token("314159", Some((4, None))), Err(status), "{id}");
        assert_eq!(key.probe().retries(), 8, "{id}: a right PIN costs nothing");
        assert_eq!(host.token("999999", Some((4, None))), Err(0x31), "{id}: a wrong one is wrong");
        assert_eq!(key.probe().retries(), 7);
    }
    let assertion = map([(1, RP.into()), (2, Value::Bytes(vec![0; 32]))]);
    let (_key, _powered, mut host) = touched("nitrokey-3", &forced);
    assert_eq!(host.cbor(2, Some(assertion.clone())).0, 0x37);
    let (_key, _powered, mut host) = touched("titan-v2", &forced);
    assert_eq!(host.cbor(2, Some(assertion)).0, 0x2e);
}

#[test]
fn an_empty_key_enumerates_as_the_model_does() {
    for (id, expected) in [("titan-v2", 0x2e), ("nitrokey-3", 0)] {
        let (_key, _powered, mut host) = touched(id, &with_pin());
        let token = host.token("314159", Some((4, None))).expect("a token");
        let (command, request) = Host::with_mac(0x0a, 2, None, &token);
        assert_eq!(host.cbor(command, request).0, expected, "{id}");
    }
}

#[test]
fn an_old_key_knows_only_old_commands() {
    let used = Birth { credentials: vec!["a.example".into(), "b.example".into()], ..with_pin() };
    let (key, _powered, mut host) = touched("yubikey-5-nfc-5.2", &used);
    let info = host.get_info();
    assert_eq!(option(&info, "authnrCfg"), None);
    assert_eq!(option(&info, "credentialMgmtPreview"), Some(true));
    assert_eq!(member(&info, 0x0c), None);
    assert_eq!(member(&info, 6), Some(&Value::Array(vec![1.into()])));
    assert_eq!(host.cbor(0x0d, Some(map([(1, 3.into())]))).0, 0x01);
    assert_eq!(host.cbor(0x0a, Some(map([(1, 1.into())]))).0, 0x01);
    assert_eq!(host.cbor(0x0b, None).0, 0x01);
    assert_eq!(host.token("314159", Some((4, None))), Err(0x02));

    let token = host.token("314159", None).expect("getPinToken");
    let call = |host: &mut Host, sub, arguments| {
        let (command, request) = Host::with_mac(0x41, sub, arguments, &token);
        host.cbor(command, request)
    };
    let (status, metadata) = call(&mut host, 1, None);
    assert_eq!((status, metadata), (0, Some(map([(1, 2.into()), (2, 23.into())]))));
    let (_, rp) = call(&mut host, 2, None);
    let rp = rp.expect("a relying party");
    assert_eq!(member(&rp, 5), Some(&2.into()));
    let hash = member(&rp, 4).expect("its hash").clone();
    let (status, credential) = call(&mut host, 4, Some(map([(1, hash)])));
    assert_eq!(status, 0);
    let credential = credential.expect("a credential");
    assert!(member(&credential, 8).is_some(), "its public key");
    let id = member(&credential, 7).expect("its id").clone();
    assert_eq!(call(&mut host, 6, Some(map([(2, id)]))).0, 0);
    assert_eq!(key.probe().residents().len(), 1);
    let (command, request) = Host::with_mac(0x41, 1, None, &[0; 32]);
    assert_eq!(host.cbor(command, request).0, 0x33, "a wrong token");
}

#[test]
fn an_extension_the_model_lacks_is_ignored() {
    let mut changed = (*Model::usual()).clone();
    changed.ctap.extensions.retain(|extension| extension != "hmac-secret");
    let key = SimKey::new(&Arc::new(changed), 1);
    key.probe().finger().set(Touch::AtOnce);
    let powered = key.power_up();
    let (status, answer) = host(&powered).make_credential(RP, None);
    assert_eq!(status, 0);
    let answer = answer.expect("an attestation");
    let auth_data = member(&answer, 2).and_then(Value::as_bytes).expect("authData");
    let has = |name: &[u8]| auth_data.windows(name.len()).any(|window| window == name);
    assert!(has(b"credProtect") && !has(b"hmac-secret"));
}

#[test]
fn weak_pins_and_missing_rk_are_refused() {
    let (_key, _powered, mut host) = touched("token2-pin-plus", &Birth::default());
    assert_eq!(host.set_pin("123456"), 0x37);
    assert_eq!(host.set_pin("594207"), 0);

    let mut changed = (*Model::usual()).clone();
    changed.ctap.options_removed.push("rk".into());
    let key = SimKey::new(&Arc::new(changed), 1);
    let powered = key.power_up();
    let mut host = self::host(&powered);
    assert_eq!(option(&host.get_info(), "rk"), None);
    assert_eq!(host.make_credential(RP, None).0, 0x2b);
}

#[test]
fn slow_keys_send_processing_keepalives() {
    let (_key, _powered, mut host) = touched("feitian-epass", &Birth::default());
    host.get_info();
    assert_eq!(host.keepalives, [1]);
}

/// A blank, touched key with one fault, and the raw answer to getInfo.
fn faulty(fault: Fault) -> (Powered, Host) {
    let (key, powered, host) = touched("yubikey-5-nfc", &Birth::default());
    key.probe().add_fault(fault);
    (powered, host)
}

#[test]
fn hostile_answers() {
    let whole = {
        let (_key, _powered, mut host) = touched("yubikey-5-nfc", &Birth::default());
        host.call(CBOR, &[4]).expect("an answer").1
    };
    let (_powered, mut host) = faulty(Fault::MalformedCbor { command: 4 });
    let (_, cut) = host.call(CBOR, &[4]).expect("an answer");
    assert_eq!(cut, whole[..whole.len() / 2]);
    assert!(ciborium::from_reader::<Value, _>(&cut[1..]).is_err());

    let (_powered, mut host) = faulty(Fault::TrailingBytes { command: 4 });
    assert_eq!(host.call(CBOR, &[4]).expect("an answer").1.len(), whole.len() + 2);

    let (_powered, mut host) = faulty(Fault::ShortAuthData);
    let (_, answer) = host.make_credential(RP, None);
    assert_eq!(member(&answer.expect("members"), 2).and_then(Value::as_bytes).map(Vec::len), Some(20));

    let (_powered, mut host) = faulty(Fault::Status { command: 4, status: 0x7f, times: Some(1) });
    assert_eq!(host.cbor(4, None).0, 0x7f);
    assert_eq!(host.cbor(4, None).0, 0);

    let (_powered, mut host) = faulty(Fault::Answer { command: 4, bytes: vec![0, 0xa0] });
    assert_eq!(host.cbor(4, None), (0, Some(Value::Map(vec![]))));

    let (powered, mut host) = faulty(Fault::EndlessKeepalives { command: 4 });
    host.send(CBOR, &[4]).expect("sent");
    for _ in 0..3 {
        assert_eq!(host.packet().expect("a keepalive")[4], 0xbb);
    }
    powered.pull();

    let (_powered, mut host) = faulty(Fault::Silent { command: 4 });
    host.send(CBOR, &[4]).expect("sent");
    assert!(host.device.read(Duration::from_millis(150)).expect("there").is_none());
}

#[test]
fn a_bad_wire() {
    let (_powered, mut host) = faulty(Fault::ForeignTraffic);
    host.send(CBOR, &[4]).expect("sent");
    assert_eq!(host.packet().expect("a report")[..4], [0xca, 0xfe, 0, 1]);

    let sequence = |fault| {
        let (_powered, mut host) = faulty(fault);
        host.send(CBOR, &[4]).expect("sent");
        (host.packet().expect("first"), host.packet().expect("second")[4])
    };
    // INIT's answer was the first report of this stay, before the fault; getInfo's begin at 2.
    assert_eq!(sequence(Fault::WrongSequence).1, 1);
    assert_eq!(sequence(Fault::DropAnswerPacket { packet: 3 }).1, 1);
    assert_eq!(sequence(Fault::DropAnswerPacket { packet: 2 }).0[4], 0);
    let (bent, _) = sequence(Fault::CorruptAnswerPacket { packet: 2 });
    let (straight, next) = sequence(Fault::CorruptAnswerPacket { packet: 99 });
    assert_eq!(next, 0);
    assert_eq!(bent[9] ^ straight[9], 0x10);
    let (long, _) = sequence(Fault::WrongLength { command: 4 });
    assert!(u16::from_be_bytes([long[5], long[6]]) > u16::from_be_bytes([straight[5], straight[6]]));
}

#[test]
fn reset_is_for_the_first_ten_seconds() {
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &with_pin());
    host.get_info();
    key.probe().advance(Duration::from_secs(11));
    assert_eq!(host.cbor(7, None).0, 0x30);
    let powered = key.power_up();
    assert_eq!(self::host(&powered).cbor(7, None).0, 0);
    assert!(!key.probe().pin_is_set());
}

#[test]
fn minimum_length_and_forced_change_are_kept() {
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &with_pin());
    let token = host.token("314159", Some((0x20, None))).expect("a token");
    let arguments = map([(1, 6.into()), (3, true.into())]);
    let (command, request) = Host::with_mac(0x0d, 3, Some(arguments), &token);
    assert_eq!(host.cbor(command, request).0, 0);
    assert!(key.probe().change_is_forced());
    assert_eq!(key.probe().min_pin_length(), 6);
}

#[test]
fn a_message_that_never_ends_times_out_as_in_opensk() {
    let (key, _powered, mut host) = touched("yubikey-5-nfc", &Birth::default());
    let packets = super::frame::split(host.channel, CBOR, &[4; 100]);
    host.device.write(&packets[0]).expect("sent");
    // Long enough to be handed on, then past OpenSK's 100 ms.
    std::thread::sleep(Duration::from_millis(400));
    key.probe().advance(Duration::from_secs(1));
    host.device.write(&packets[1]).expect("sent");
    // OpenSK: the rest came too late.
    let (command, payload) = host.receive().expect("an answer");
    assert_eq!(command, ERROR, "{payload:?}");
    host.get_info();
}

#[test]
fn what_is_longer_than_the_key_takes_is_refused_at_once() {
    let (_key, _powered, mut host) = touched("utrust-fido2", &Birth::default());
    let packets = super::frame::split(host.channel, CBOR, &[4; 1025]);
    host.device.write(&packets[0]).expect("sent");
    assert_eq!(host.receive().expect("an answer"), (ERROR, vec![3]));
}

#[test]
fn a_slow_answer_keeps_alive_and_can_be_pulled_out_of() {
    let (key, powered, mut host) = touched("titan-v2", &Birth::default());
    key.probe().add_fault(Fault::SlowAnswer { ms: 250 });
    host.get_info();
    assert_eq!(host.keepalives, [1, 1, 1]);
    key.probe().clear_faults();
    key.probe().add_fault(Fault::SlowAnswer { ms: 3_600_000 });
    host.send(CBOR, &[4]).expect("sent");
    host.packet().expect("a keepalive");
    powered.pull();
}
