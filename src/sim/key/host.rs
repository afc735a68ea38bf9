//! A host of a few lines for the simulator's own tests. It shares nothing with `ctap2`.

use std::time::{Duration, Instant};

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use ciborium::Value;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdh::EphemeralSecret;
use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};

use super::filter::{member, with_status};
use super::frame::{Assembler, CBOR, INIT, KEEPALIVE, Progress, split};
use crate::ctap2::hid::packet::{DeviceError, Packet, PacketDevice};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Host {
    pub(crate) device: Box<dyn PacketDevice>,
    pub(crate) channel: [u8; 4],
    /// Statuses of the keepalives since the last command.
    pub(crate) keepalives: Vec<u8>,
    pub(crate) capabilities: u8,
}

/// A CTAP2 answer: status, and the CBOR if there is any.
pub(crate) type Answer = (u8, Option<Value>);

impl Host {
    pub(crate) fn new(device: Box<dyn PacketDevice>) -> Self {
        let mut host = Self { device, channel: [0xff; 4], keepalives: Vec::new(), capabilities: 0 };
        let (_, answer) = host.call(INIT, b"12345678").expect("INIT");
        assert_eq!(&answer[..8], b"12345678");
        host.channel.copy_from_slice(&answer[8..12]);
        host.capabilities = answer[16];
        host
    }

    pub(crate) fn send(&mut self, command: u8, payload: &[u8]) -> Result<(), DeviceError> {
        for packet in split(self.channel, command, payload) {
            self.device.write(&packet)?;
        }
        Ok(())
    }

    /// One report, whosever it is.
    pub(crate) fn packet(&mut self) -> Result<Packet, DeviceError> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(packet) = self.device.read(Duration::from_millis(50))? {
                return Ok(packet);
            }
        }
        panic!("the key said nothing for {PATIENCE:?}");
    }

    pub(crate) fn receive(&mut self) -> Result<(u8, Vec<u8>), DeviceError> {
        let mut assembler = Assembler::default();
        loop {
            let packet = self.packet()?;
            if packet[..4] != self.channel {
                continue;
            }
            if packet[4] == KEEPALIVE | 0x80 {
                self.keepalives.push(packet[7]);
                continue;
            }
            match assembler.push(&packet) {
                Progress::Whole(message) => return Ok((message.command, message.payload)),
                Progress::More => {}
                Progress::Astray => panic!("the key's reports don't fit together"),
            }
        }
    }

    pub(crate) fn call(&mut self, command: u8, payload: &[u8]) -> Result<(u8, Vec<u8>), DeviceError> {
        self.keepalives.clear();
        self.send(command, payload)?;
        self.receive()
    }

    pub(crate) fn cbor(&mut self, command: u8, parameters: Option<Value>) -> Answer {
        let payload = parameters.map_or_else(|| vec![command], |value| with_status(command, &value));
        let (kind, answer) = self.call(CBOR, &payload).expect("the key is there");
        assert_eq!(kind, CBOR, "{answer:02x?}");
        let value = (answer.len() > 1).then(|| ciborium::from_reader(&answer[1..]).expect("CBOR"));
        (answer[0], value)
    }

    pub(crate) fn get_info(&mut self) -> Value {
        let (status, info) = self.cbor(4, None);
        assert_eq!(status, 0);
        info.expect("members")
    }

    /// Shared secret for PIN protocol one: key, and our public key as COSE.
    fn agree(&mut self) -> ([u8; 32], Value) {
        let (status, answer) = self.cbor(6, Some(map([(1, 1.into()), (2, 2.into())])));
        assert_eq!(status, 0);
        let answer = answer.expect("a key agreement");
        let cose = member(&answer, 1).expect("keyAgreement").as_map().expect("COSE").clone();
        let coordinate = |label: i64| {
            cose.iter().find(|(k, _)| *k == label.into()).expect("a coordinate").1.as_bytes().expect("bytes").clone()
        };
        let point = [vec![4], coordinate(-2), coordinate(-3)].concat();
        let theirs = p256::PublicKey::from_sec1_bytes(&point).expect("a point");
        let ours = EphemeralSecret::generate();
        let secret = Sha256::digest(ours.diffie_hellman(&theirs).raw_secret_bytes());
        let public = ours.public_key().to_sec1_point(false);
        let public = public.as_bytes();
        let cose = Value::Map(vec![
            (1.into(), 2.into()),
            (3.into(), (-25).into()),
            ((-1).into(), 1.into()),
            ((-2).into(), Value::Bytes(public[1..33].to_vec())),
            ((-3).into(), Value::Bytes(public[33..].to_vec())),
        ]);
        (secret.into(), cose)
    }

    pub(crate) fn set_pin(&mut self, pin: &str) -> u8 {
        let (secret, ours) = self.agree();
        let mut padded = [0; 64];
        padded[..pin.len()].copy_from_slice(pin.as_bytes());
        let sealed = encrypt(&secret, &padded);
        let mac = mac(&secret, &sealed);
        self.cbor(
            6,
            Some(map([(1, 1.into()), (2, 3.into()), (3, ours), (4, Value::Bytes(mac)), (5, Value::Bytes(sealed))])),
        )
        .0
    }

    /// A token by 0x05 (no permissions) or 0x09.
    pub(crate) fn token(&mut self, pin: &str, permissions: Option<(u8, Option<&str>)>) -> Result<[u8; 32], u8> {
        let (secret, ours) = self.agree();
        let hash = Value::Bytes(encrypt(&secret, &Sha256::digest(pin.as_bytes())[..16]));
        let mut members = vec![
            (1.into(), 1.into()),
            (2.into(), if permissions.is_some() { 9 } else { 5 }.into()),
            (3.into(), ours),
            (6.into(), hash),
        ];
        if let Some((bits, rp)) = permissions {
            members.push((9.into(), bits.into()));
            members.extend(rp.map(|rp| (10.into(), rp.into())));
        }
        let (status, answer) = self.cbor(6, Some(Value::Map(members)));
        if status != 0 {
            return Err(status);
        }
        let answer = answer.expect("a token");
        let sealed = member(&answer, 2).expect("the token").as_bytes().expect("bytes").clone();
        let mut token = [0; 32];
        cbc::Decryptor::<Aes256>::new(&secret.into(), &[0; 16].into())
            .decrypt_padded_b2b::<NoPadding>(&sealed, &mut token)
            .expect("32 bytes");
        Ok(token)
    }

    /// makeCredential, discoverable, ES256, for `rp`; with a token's MAC if one is given.
    pub(crate) fn make_credential(&mut self, rp: &str, token: Option<&[u8; 32]>) -> Answer {
        self.cbor(1, Some(make_credential_request(rp, token)))
    }

    pub(crate) fn with_mac(command: u8, sub: u8, arguments: Option<Value>, token: &[u8; 32]) -> (u8, Option<Value>) {
        let mut signed = if command == 0x0d { [vec![0xff; 32], vec![0x0d, sub]].concat() } else { vec![sub] };
        if let Some(arguments) = &arguments {
            signed.extend_from_slice(&with_status(0, arguments)[1..]);
        }
        let mut members = vec![(1.into(), sub.into())];
        members.extend(arguments.map(|arguments| (2.into(), arguments)));
        members.push((3.into(), 1.into()));
        members.push((4.into(), Value::Bytes(mac(token, &signed))));
        (command, Some(Value::Map(members)))
    }
}

pub(crate) fn make_credential_request(rp: &str, token: Option<&[u8; 32]>) -> Value {
    let hash = vec![7; 32];
    let mut members = vec![
        (1.into(), Value::Bytes(hash.clone())),
        (2.into(), Value::Map(vec![("id".into(), rp.into()), ("name".into(), "Contoso".into())])),
        (
            3.into(),
            Value::Map(vec![
                ("id".into(), Value::Bytes(b"user handle".to_vec())),
                ("name".into(), "kim@contoso.com".into()),
            ]),
        ),
        (
            4.into(),
            Value::Array(vec![Value::Map(vec![("alg".into(), (-7).into()), ("type".into(), "public-key".into())])]),
        ),
        (6.into(), Value::Map(vec![("credProtect".into(), 1.into()), ("hmac-secret".into(), true.into())])),
        (7.into(), Value::Map(vec![("rk".into(), true.into())])),
    ];
    if let Some(token) = token {
        members.push((8.into(), Value::Bytes(mac(token, &hash))));
        members.push((9.into(), 1.into()));
    }
    Value::Map(members)
}

pub(crate) fn map<const N: usize>(members: [(i64, Value); N]) -> Value {
    Value::Map(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn encrypt(secret: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; plain.len()];
    cbc::Encryptor::<Aes256>::new(&(*secret).into(), &[0; 16].into())
        .encrypt_padded_b2b::<NoPadding>(plain, &mut sealed)
        .expect("whole blocks");
    sealed
}

fn mac(key: &[u8; 32], message: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    hmac.update(message);
    hmac.finalize().into_bytes()[..16].to_vec()
}
