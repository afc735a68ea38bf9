//! Between host and OpenSK: what makes a key a model, and what makes it ill.
//!
//! Whole CTAP2 requests are held until complete, then passed on, changed or answered here; everything else goes through untouched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ciborium::Value;

use super::fault::Fault;
use super::frame::{Assembler, CBOR, ERROR, INIT, KEEPALIVE, Message, Progress, join, split};
use super::line::Line;
use super::{SerialBy, Shared, info, preview, uuid_of};
use crate::ctap2::hid::packet::Packet;

const MAKE_CREDENTIAL: u8 = 0x01;
const GET_ASSERTION: u8 = 0x02;
pub(super) const GET_INFO: u8 = 0x04;
const CLIENT_PIN: u8 = 0x06;
const CREDENTIAL_MANAGEMENT: u8 = 0x0a;
const SELECTION: u8 = 0x0b;
const LARGE_BLOBS: u8 = 0x0c;
const CONFIG: u8 = 0x0d;
const PREVIEW_CREDENTIAL_MANAGEMENT: u8 = 0x41;

const OK: u8 = 0x00;
pub(super) const INVALID_COMMAND: u8 = 0x01;
const INVALID_PARAMETER: u8 = 0x02;
const UNSUPPORTED_OPTION: u8 = 0x2b;
const NO_CREDENTIALS: u8 = 0x2e;
const PIN_INVALID: u8 = 0x31;

const YUBIKEY_READ_CONFIG: u8 = 0x42;
const SOLO_VERSION: u8 = 0x61;
const SOLO_UUID: u8 = 0x62;

const KEEPALIVE_EVERY: Duration = Duration::from_millis(100);
const PROCESSING: u8 = 1;
const WINK: u8 = 0x08;

/// What to do with the host's report.
pub(super) enum Inbound {
    /// It is the beginning of something.
    Wait,
    /// For OpenSK, as they came.
    AsItIs(Vec<Packet>),
    /// A whole message for the filter.
    Request(Message),
}

pub(super) struct Filter {
    shared: Arc<Shared>,
    assembler: Assembler,
    held: Vec<Packet>,
    /// Reports of answers so far.
    said: u64,
    preview: preview::Preview,
}

impl Filter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let preview = preview::Preview::new(shared.flash.clone(), shared.capacity);
        Self { shared, assembler: Assembler::default(), held: Vec::new(), said: 0, preview }
    }

    pub(super) fn is_holding(&self) -> bool {
        self.assembler.is_open()
    }

    /// Gives up what was begun.
    pub(super) fn let_go(&mut self) -> Vec<Packet> {
        self.assembler.clear();
        std::mem::take(&mut self.held)
    }

    pub(super) fn hear(&mut self, packet: &Packet) -> Inbound {
        let command = packet[4] & 0x7f;
        let begins = packet[4] & 0x80 != 0;
        let ours = matches!(command, CBOR | INIT | YUBIKEY_READ_CONFIG | SOLO_UUID | SOLO_VERSION);
        // OpenSK refuses what is too long at its first report.
        let fits = usize::from(u16::from_be_bytes([packet[5], packet[6]])) <= self.shared.model.ctap.max_msg_size;
        let take = self.is_holding() || (begins && ours && fits);
        if begins && command == WINK {
            self.shared.winks.fetch_add(1, Ordering::Relaxed);
        }
        if !take {
            return Inbound::AsItIs(vec![*packet]);
        }
        self.held.push(*packet);
        match self.assembler.push(packet) {
            Progress::More => Inbound::Wait,
            // OpenSK judges it.
            Progress::Astray => Inbound::AsItIs(self.let_go()),
            Progress::Whole(message) => Inbound::Request(message),
        }
    }

    /// The reports for OpenSK, or `None` when the request has been dealt with.
    pub(super) fn prepare(&mut self, request: &Message, tokens: &[[u8; 32]], line: &Line) -> Option<Vec<Packet>> {
        let held = std::mem::take(&mut self.held);
        if matches!(request.command, YUBIKEY_READ_CONFIG | SOLO_UUID | SOLO_VERSION)
            && let Some(error) = self.vendor_error()
        {
            self.say(split(request.channel, ERROR, &[error]), line);
            return None;
        }
        match request.command {
            CBOR if self.shared.u2f_only => self.say(split(request.channel, ERROR, &[0x01]), line),
            CBOR => return self.prepare_cbor(request, held, tokens, line),
            YUBIKEY_READ_CONFIG if self.shared.model.serial_by == SerialBy::Yubikey => {
                let answer = self.yubikey_config(request.payload.first().copied().unwrap_or(0));
                self.say(split(request.channel, YUBIKEY_READ_CONFIG, &answer), line);
            }
            SOLO_UUID if self.shared.model.serial_by == SerialBy::Uuid => {
                self.say(split(request.channel, SOLO_UUID, &uuid_of(self.shared.unit)), line);
            }
            SOLO_VERSION if self.shared.model.serial_by == SerialBy::Uuid => {
                // Trussed firmwares pack their version as 10, 16 and 6 bits.
                let packed = self.shared.model.firmware_number().unwrap_or(0) as u32;
                let [_, major, minor, patch] = packed.to_be_bytes().map(u32::from);
                let version = major << 22 | minor << 6 | (patch & 0x3f);
                self.say(split(request.channel, SOLO_VERSION, &version.to_be_bytes()), line);
            }
            _ => return Some(held),
        }
        None
    }

    fn prepare_cbor(
        &mut self,
        request: &Message,
        held: Vec<Packet>,
        tokens: &[[u8; 32]],
        line: &Line,
    ) -> Option<Vec<Packet>> {
        let command = request.payload.first().copied().unwrap_or(0);
        if !self.be_slow(request.channel, line) {
            return None;
        }
        if let Some(answer) = self.fault_answer(command, request.channel, line) {
            self.say_cbor(request, answer, line);
            return None;
        }
        let parameters = request.payload.get(1..).and_then(|bytes| ciborium::from_reader::<Value, _>(bytes).ok());
        if let Some(answer) = self.refuse(command, parameters.as_ref()) {
            self.say_cbor(request, answer, line);
            return None;
        }
        if command == PREVIEW_CREDENTIAL_MANAGEMENT && self.shared.model.ctap.preview_credential_management {
            if !self.shared.model.lacks("credMgmt") {
                // A key that knows both commands takes either.
                let mut payload = request.payload.clone();
                payload[0] = CREDENTIAL_MANAGEMENT;
                return Some(split(request.channel, CBOR, &payload));
            }
            let answer = self.preview.answer(parameters.as_ref(), tokens);
            self.say_cbor(request, answer, line);
            return None;
        }
        match parameters.and_then(|parameters| self.without_unknown_extensions(command, parameters)) {
            Some(payload) => Some(split(request.channel, CBOR, &payload)),
            None => Some(held),
        }
    }

    /// What the model has not, it refuses.
    fn refuse(&self, command: u8, parameters: Option<&Value>) -> Option<Vec<u8>> {
        let model = &self.shared.model;
        let number = |key: u64| parameters.and_then(|map| member(map, key)).and_then(|value| value.as_integer());
        let number = |key: u64| number(key).and_then(|value| u64::try_from(value).ok());
        let unknown = match command {
            CONFIG => model.lacks("authnrCfg"),
            CREDENTIAL_MANAGEMENT => model.lacks("credMgmt"),
            LARGE_BLOBS => model.lacks("largeBlobs"),
            SELECTION => !model.knows_ctap21(),
            CLIENT_PIN => model.lacks("clientPin"),
            _ => false,
        };
        if unknown {
            return Some(vec![INVALID_COMMAND]);
        }
        let forced = self.shared.flash.change_is_forced();
        let status = match command {
            CONFIG if number(1) == Some(3) && model.lacks("setMinPINLength") => INVALID_PARAMETER,
            CONFIG if number(1) == Some(2) && model.lacks("alwaysUv") => INVALID_PARAMETER,
            CLIENT_PIN if number(1).is_some_and(|protocol| !model.ctap.pin_protocols.contains(&protocol)) => {
                INVALID_PARAMETER
            }
            // Permissions came with CTAP 2.1; older keys know subcommands 1 to 5.
            CLIENT_PIN if model.lacks("pinUvAuthToken") && number(2).is_some_and(|sub| sub > 5) => INVALID_PARAMETER,
            MAKE_CREDENTIAL if model.lacks("rk") && asks_for_rk(parameters) => UNSUPPORTED_OPTION,
            GET_ASSERTION if forced => model.ctap.forced_assertion_status?,
            _ => return None,
        };
        Some(vec![status])
    }

    /// makeCredential without the extensions the model has not; `None` when nothing has to go.
    fn without_unknown_extensions(&self, command: u8, mut parameters: Value) -> Option<Vec<u8>> {
        let key = match command {
            MAKE_CREDENTIAL => 6,
            GET_ASSERTION => 4,
            _ => return None,
        };
        let known = &self.shared.model.ctap.extensions;
        let map = parameters.as_map_mut()?;
        let at = map.iter().position(|(k, _)| *k == Value::from(key))?;
        let extensions = map.get_mut(at)?.1.as_map_mut()?;
        let before = extensions.len();
        extensions.retain(|(name, _)| name.as_text().is_some_and(|name| known.iter().any(|known| known == name)));
        if extensions.len() == before {
            return None;
        }
        if extensions.is_empty() {
            map.remove(at);
        }
        Some(with_status(command, &parameters))
    }

    /// Sends what OpenSK answered to a request, changed where the model differs.
    pub(super) fn answer(&mut self, request: &Message, packets: Vec<Packet>, line: &Line) {
        let Some(message) = join(&packets) else { return self.say(packets, line) };
        match (request.command, message.command) {
            (INIT, INIT) if self.shared.u2f_only || self.shared.model.ctap.cannot_wink => {
                let mut payload = message.payload;
                if let Some(capabilities) = payload.get_mut(16) {
                    if self.shared.u2f_only {
                        // WINK only; neither CBOR (0x04) nor "no MSG" (0x08).
                        *capabilities = 0x01;
                    }
                    if self.shared.model.ctap.cannot_wink {
                        *capabilities &= !0x01;
                    }
                }
                self.say(split(message.channel, INIT, &payload), line);
            }
            (CBOR, CBOR) => {
                let command = request.payload.first().copied().unwrap_or(0);
                let answer = self.as_the_model(command, request, message.payload);
                self.say_cbor(request, answer, line);
            }
            _ => self.say(packets, line),
        }
    }

    fn as_the_model(&self, command: u8, request: &Message, answer: Vec<u8>) -> Vec<u8> {
        let mut answer = self.changed(command, request, answer);
        if let Some(status) = answer.first_mut() {
            *status = self.shared.model.says(*status);
        }
        answer
    }

    fn changed(&self, command: u8, request: &Message, answer: Vec<u8>) -> Vec<u8> {
        let rules = &self.shared.model.ctap;
        let status = answer.first().copied().unwrap_or(0);
        let sub = |key: u64| {
            let map: Option<Value> = request.payload.get(1..).and_then(|bytes| ciborium::from_reader(bytes).ok());
            map.as_ref().and_then(|map| member(map, key)).and_then(|value| value.as_integer()).map(i128::from)
        };
        match command {
            GET_INFO if status == OK => info::as_the_model(&self.shared, answer),
            CLIENT_PIN if status == PIN_INVALID && matches!(sub(2), Some(5 | 9)) => {
                // OpenSK gives a right PIN its retries back before it says so.
                let right = self.shared.flash.change_is_forced() && self.shared.flash.pin_fails() == 0;
                match rules.forced_token_status {
                    Some(status) if right => vec![status],
                    _ => answer,
                }
            }
            CLIENT_PIN if status == OK && !rules.power_cycle_state && sub(2) == Some(1) => without(answer, 4),
            CREDENTIAL_MANAGEMENT if status == NO_CREDENTIALS && rules.empty_rps_ok && sub(1) == Some(2) => {
                with_status(OK, &Value::Map(vec![(5.into(), 0.into())]))
            }
            // 3: the relying party; 2 and 3 begin and go on telling them.
            CREDENTIAL_MANAGEMENT if status == OK && rules.rp_names && matches!(sub(1), Some(2 | 3)) => {
                with_rp_name(answer)
            }
            _ => answer,
        }
    }

    fn yubikey_config(&self, page: u8) -> Vec<u8> {
        if page != 0 {
            return vec![0];
        }
        // Tag 1 USB applications, 2 serial, 3 enabled, 4 form factor (keychain, USB-A), 5 version (yubikit management).
        let mut tlv = vec![0x01, 0x02, 0x02, 0x3f, 0x03, 0x02, 0x02, 0x3f];
        tlv.extend_from_slice(&[0x02, 0x04]);
        tlv.extend_from_slice(&self.shared.unit.to_be_bytes());
        tlv.extend_from_slice(&[0x04, 0x01, 0x01, 0x05, 0x03]);
        let version = self.shared.model.firmware_number().unwrap_or(0) as u32;
        tlv.extend_from_slice(&version.to_be_bytes()[1..]);
        tlv.insert(0, tlv.len() as u8);
        tlv
    }

    /// Takes the model's time and the fault's; `false` when the key was pulled meanwhile.
    fn be_slow(&self, channel: [u8; 4], line: &Line) -> bool {
        let rules = &self.shared.model.ctap;
        let extra =
            self.faults().iter().map(|fault| if let Fault::SlowAnswer { ms } = fault { *ms } else { 0 }).sum::<u64>();
        let mut left = Duration::from_millis(rules.answer_delay_ms.saturating_add(extra));
        if rules.processing_keepalive || extra > 0 {
            keepalive(channel, PROCESSING, line);
        }
        while !left.is_zero() {
            let step = left.min(KEEPALIVE_EVERY);
            if !line.rest(step) {
                return false;
            }
            left -= step;
            if !left.is_zero() {
                keepalive(channel, PROCESSING, line);
            }
        }
        true
    }

    fn faults(&self) -> Vec<Fault> {
        super::lock(&self.shared.faults).clone()
    }

    /// The CTAPHID error that a fault answers a vendor command with.
    fn vendor_error(&self) -> Option<u8> {
        let mut faults = super::lock(&self.shared.faults);
        let at = faults.iter().position(|fault| matches!(fault, Fault::VendorError { .. }))?;
        let Some(Fault::VendorError { error, times }) = faults.get_mut(at) else { return None };
        let error = *error;
        match times {
            Some(0 | 1) => drop(faults.remove(at)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(error)
    }

    /// What a fault answers instead of the command.
    fn fault_answer(&self, command: u8, channel: [u8; 4], line: &Line) -> Option<Vec<u8>> {
        let mut faults = super::lock(&self.shared.faults);
        let mut answer = None;
        faults.retain_mut(|fault| match fault {
            Fault::Status { command: c, status, times } if *c == command && answer.is_none() => {
                answer = Some(vec![*status]);
                match times {
                    Some(0 | 1) => false,
                    Some(times) => {
                        *times -= 1;
                        true
                    }
                    None => true,
                }
            }
            Fault::Answer { command: c, bytes } if *c == command && answer.is_none() => {
                answer = Some(bytes.clone());
                true
            }
            _ => true,
        });
        let endless =
            faults.iter().any(|fault| matches!(fault, Fault::EndlessKeepalives { command: c } if *c == command));
        drop(faults);
        if endless {
            loop {
                keepalive(channel, PROCESSING, line);
                if !line.rest(KEEPALIVE_EVERY) {
                    break;
                }
            }
        }
        answer
    }

    /// Sends an answer to a CTAP2 request, through the faults that meddle with answers.
    fn say_cbor(&mut self, request: &Message, mut answer: Vec<u8>, line: &Line) {
        let command = request.payload.first().copied().unwrap_or(0);
        let mut announce = 0;
        for fault in self.faults() {
            match fault {
                Fault::Silent { command: c } if c == command => return,
                Fault::MalformedCbor { command: c } if c == command => {
                    let half = (answer.len() / 2).max(1);
                    answer.truncate(half);
                }
                Fault::TrailingBytes { command: c } if c == command => answer.extend_from_slice(&[0, 0]),
                Fault::WrongLength { command: c } if c == command => announce = 200,
                Fault::ShortAuthData if matches!(command, MAKE_CREDENTIAL | GET_ASSERTION) => {
                    answer = with_short_auth_data(answer);
                }
                _ => {}
            }
        }
        let mut packets = split(request.channel, CBOR, &answer);
        if announce > 0 {
            let length = (answer.len() as u16).saturating_add(announce).to_be_bytes();
            packets[0][5..7].copy_from_slice(&length);
        }
        self.say(packets, line);
    }

    /// Answers that aren't CTAP2's go out with only the wire's faults.
    pub(super) fn say_plainly(&mut self, packets: Vec<Packet>, line: &Line) {
        self.say(packets, line);
    }

    fn say(&mut self, packets: Vec<Packet>, line: &Line) {
        let faults = self.faults();
        let foreign = faults.contains(&Fault::ForeignTraffic);
        let wrong_sequence = faults.contains(&Fault::WrongSequence);
        for mut packet in packets {
            self.said += 1;
            let at = self.said;
            if foreign {
                for stranger in split([0xca, 0xfe, 0, 1], CBOR, &[0; 70]) {
                    line.key_says(&stranger);
                }
            }
            if wrong_sequence && packet[4] & 0x80 == 0 {
                packet[4] = (packet[4] + 1) & 0x7f;
            }
            let dropped = self.shared.take_fault(|fault| match fault {
                Fault::DropAnswerPacket { packet } if *packet == at => Some(()),
                _ => None,
            });
            if dropped.is_some() {
                continue;
            }
            let corrupted = self.shared.take_fault(|fault| match fault {
                Fault::CorruptAnswerPacket { packet } if *packet == at => Some(()),
                _ => None,
            });
            if corrupted.is_some() {
                packet[9] ^= 0x10;
            }
            line.key_says(&packet);
        }
    }
}

fn keepalive(channel: [u8; 4], status: u8, line: &Line) {
    for packet in split(channel, KEEPALIVE, &[status]) {
        line.key_says(&packet);
    }
}

/// A member of a CBOR map with whole-number keys.
pub(super) fn member(map: &Value, key: u64) -> Option<&Value> {
    map.as_map()?.iter().find(|(k, _)| *k == Value::from(key)).map(|(_, value)| value)
}

/// A first byte (status or command) and CBOR.
pub(super) fn with_status(first: u8, value: &Value) -> Vec<u8> {
    let mut bytes = vec![first];
    ciborium::into_writer(value, &mut bytes).expect("infallible: writing to memory");
    bytes
}

fn asks_for_rk(parameters: Option<&Value>) -> bool {
    let options = parameters.and_then(|map| member(map, 7)).and_then(Value::as_map);
    options.is_some_and(|options| options.iter().any(|(name, value)| *name == "rk".into() && *value == true.into()))
}

fn without(answer: Vec<u8>, key: u64) -> Vec<u8> {
    match answer.get(1..).map(ciborium::from_reader::<Value, _>) {
        Some(Ok(Value::Map(mut map))) => {
            map.retain(|(k, _)| *k != Value::from(key));
            with_status(OK, &Value::Map(map))
        }
        _ => answer,
    }
}

/// Keys that keep a relying party's name tell it beside the id; OpenSK keeps none.
fn with_rp_name(answer: Vec<u8>) -> Vec<u8> {
    match answer.get(1..).map(ciborium::from_reader::<Value, _>) {
        Some(Ok(Value::Map(mut map))) => {
            for (key, value) in &mut map {
                if let (true, Value::Map(party)) = (*key == Value::from(3), value) {
                    party.push(("name".into(), "A name that was kept".into()));
                }
            }
            with_status(OK, &Value::Map(map))
        }
        _ => answer,
    }
}

/// makeCredential and getAssertion both have authData under 2.
fn with_short_auth_data(answer: Vec<u8>) -> Vec<u8> {
    match answer.get(1..).map(ciborium::from_reader::<Value, _>) {
        Some(Ok(Value::Map(mut map))) => {
            for (key, value) in &mut map {
                if let (true, Value::Bytes(bytes)) = (*key == Value::from(2), value) {
                    bytes.truncate(20);
                }
            }
            with_status(OK, &Value::Map(map))
        }
        _ => answer,
    }
}
