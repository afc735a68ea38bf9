//! Credential management as keys had it before CTAP 2.1: command 0x41, with the token of getPinToken (0x05).
//!
//! OpenSK gives such a token no right to manage credentials, so this is answered here, from the key's flash. The MAC is checked
//! against the random values that can be the token. Exceptions: an outdated token still works, and updateUserInformation is unknown.

use ciborium::Value;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};

use super::filter::{INVALID_COMMAND, member, with_status};
use super::flash::{Flash, Resident};

const MISSING_PARAMETER: u8 = 0x14;
const HARDWARE_FAILURE: u8 = 0xf1;
const NO_CREDENTIALS: u8 = 0x2e;
const NOT_ALLOWED: u8 = 0x30;
const PIN_AUTH_INVALID: u8 = 0x33;
const PUAT_REQUIRED: u8 = 0x36;

pub(super) struct Preview {
    flash: Flash,
    capacity: usize,
    /// Answers to the "next" subcommands, last first.
    next: Vec<Vec<u8>>,
}

impl Preview {
    pub(super) fn new(flash: Flash, capacity: usize) -> Self {
        Self { flash, capacity, next: Vec::new() }
    }

    pub(super) fn answer(&mut self, parameters: Option<&Value>, tokens: &[[u8; 32]]) -> Vec<u8> {
        match self.try_answer(parameters, tokens) {
            Ok(answer) => answer,
            Err(status) => vec![status],
        }
    }

    fn try_answer(&mut self, parameters: Option<&Value>, tokens: &[[u8; 32]]) -> Result<Vec<u8>, u8> {
        let map = parameters.ok_or(MISSING_PARAMETER)?;
        let sub = member(map, 1).and_then(Value::as_integer).and_then(|sub| u8::try_from(sub).ok());
        let sub = sub.ok_or(MISSING_PARAMETER)?;
        if matches!(sub, 3 | 5) {
            return self.next.pop().ok_or(NOT_ALLOWED);
        }
        self.next.clear();
        let arguments = member(map, 2);
        let mac = member(map, 4).and_then(Value::as_bytes).ok_or(PUAT_REQUIRED)?;
        let mut signed = vec![sub];
        if let Some(arguments) = arguments {
            signed.extend_from_slice(&with_status(0, arguments)[1..]);
        }
        if !tokens.iter().any(|token| mac_is(token, &signed, mac)) {
            return Err(PIN_AUTH_INVALID);
        }
        match sub {
            1 => {
                let used = self.flash.residents().len();
                let left = self.capacity.saturating_sub(used);
                Ok(with_status(0, &Value::Map(vec![(1.into(), count(used)), (2.into(), count(left))])))
            }
            2 => self.relying_parties(),
            4 => {
                let hash =
                    arguments.and_then(|map| member(map, 1)).and_then(Value::as_bytes).ok_or(MISSING_PARAMETER)?;
                self.credentials_of(hash)
            }
            6 => {
                let id = arguments.and_then(|map| member(map, 2)).and_then(Value::as_map).ok_or(MISSING_PARAMETER)?;
                let id = id.iter().find(|(name, _)| *name == "id".into()).and_then(|(_, id)| id.as_bytes());
                let id = id.ok_or(MISSING_PARAMETER)?;
                let slot = self.flash.slots().into_iter().find(|(_, resident)| resident.credential_id.as_bytes() == id);
                self.flash.remove(slot.ok_or(NO_CREDENTIALS)?.0).map_err(|_| HARDWARE_FAILURE)?;
                Ok(vec![0])
            }
            _ => Err(INVALID_COMMAND),
        }
    }

    fn relying_parties(&mut self) -> Result<Vec<u8>, u8> {
        let mut names: Vec<String> = self.flash.residents().into_iter().map(|resident| resident.rp_id).collect();
        names.sort();
        names.dedup();
        let total = names.len();
        let entry = |name: &String, total: Option<usize>| {
            let mut members = vec![
                (3.into(), Value::Map(vec![("id".into(), name.as_str().into())])),
                (4.into(), Value::Bytes(Sha256::digest(name.as_bytes()).to_vec())),
            ];
            members.extend(total.map(|total| (5.into(), count(total))));
            with_status(0, &Value::Map(members))
        };
        let first = names.first().map(|name| entry(name, Some(total))).ok_or(NO_CREDENTIALS)?;
        self.next = names.iter().skip(1).rev().map(|name| entry(name, None)).collect();
        Ok(first)
    }

    fn credentials_of(&mut self, hash: &[u8]) -> Result<Vec<u8>, u8> {
        let mut found = self.flash.slots();
        found.retain(|(_, resident)| Sha256::digest(resident.rp_id.as_bytes()).as_slice() == hash);
        let total = found.len();
        let first = found.first().map(|(slot, resident)| self.credential(*slot, resident, Some(total)));
        let first = first.ok_or(NO_CREDENTIALS)?;
        self.next = found.iter().skip(1).rev().map(|(slot, resident)| self.credential(*slot, resident, None)).collect();
        Ok(first)
    }

    fn credential(&self, slot: usize, resident: &Resident, total: Option<usize>) -> Vec<u8> {
        let mut user = vec![("id".into(), Value::Bytes(resident.user_id.clone()))];
        user.extend(resident.user_name.as_deref().map(|name| ("name".into(), name.into())));
        let mut members = vec![
            (6.into(), Value::Map(user)),
            (
                7.into(),
                Value::Map(vec![
                    ("id".into(), Value::Bytes(resident.credential_id.as_bytes().to_vec())),
                    ("type".into(), "public-key".into()),
                ]),
            ),
        ];
        members.extend(self.public_key(slot).map(|key| (8.into(), key)));
        members.extend(total.map(|total| (9.into(), count(total))));
        with_status(0, &Value::Map(members))
    }

    /// OpenSK keeps the private key under 12, as `[algorithm, scalar]`.
    fn public_key(&self, slot: usize) -> Option<Value> {
        let stored: Value = ciborium::from_reader(self.flash.get(slot)?.as_slice()).ok()?;
        let scalar = member(&stored, 12)?.as_array()?.get(1)?.as_bytes()?;
        let point = p256::SecretKey::from_slice(scalar).ok()?.public_key().to_sec1_point(false);
        let half = |at: usize| point.as_bytes().get(at..at + 32).map(|half| Value::Bytes(half.to_vec()));
        Some(Value::Map(vec![
            (1.into(), 2.into()),
            (3.into(), (-7).into()),
            ((-1).into(), 1.into()),
            ((-2).into(), half(1)?),
            ((-3).into(), half(33)?),
        ]))
    }
}

fn count(number: usize) -> Value {
    Value::from(number as u64)
}

/// PIN protocol one: the left 16 bytes of HMAC-SHA-256.
fn mac_is(token: &[u8; 32], message: &[u8], mac: &[u8]) -> bool {
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(token) else { return false };
    hmac.update(message);
    mac.len() == 16 && hmac.finalize().into_bytes().starts_with(mac)
}
