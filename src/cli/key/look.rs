//! A look at one key: who it is, and whether it is fit. Nothing is done to it.

use crate::cli::codes;
use crate::ctap2::command::get_info::GetInfo;
use crate::ctap2::hid::packet::DeviceError;
use crate::ctap2::session::{self, NoPin, Opened, Session, Tools, U2fKey};
use crate::ctap2::session::{Blank, PinSet};
use crate::model::{Aaguid, KeyRef, Serial};
use crate::pipeline::facts;
use crate::pipeline::fitness::fit;
use crate::world::{KeyPorts, PluggedKey};

/// What opening a key came to.
pub enum Seen {
    /// It can have a PIN and has none.
    Blank(Session<Blank>),
    /// It has a PIN.
    PinSet(Session<PinSet>),
    /// It can't have one.
    NoPin(Session<NoPin>),
    /// It speaks U2F only.
    U2f(U2fKey),
    /// It could not be opened.
    Closed {
        /// A code of `pipeline::code`.
        code: &'static str,
        /// What was said.
        what: String,
    },
}

/// A key, looked at.
pub struct Look {
    /// What there is to be seen.
    pub seen: Seen,
    product: String,
    usb_serial: Option<Serial>,
}

impl Look {
    /// Opens the key. It stays open as long as this lives.
    pub fn at(ports: &dyn KeyPorts, key: &PluggedKey, tools: &Tools) -> Self {
        let closed = |code, what: String| Seen::Closed { code, what };
        let seen = match ports.open(key.plug) {
            Ok(device) => match session::open(device, key, tools) {
                Ok(Opened::Blank(session)) => Seen::Blank(session),
                Ok(Opened::PinSet(session)) => Seen::PinSet(session),
                Ok(Opened::NoPin(session)) => Seen::NoPin(session),
                Ok(Opened::U2fOnly(u2f)) => Seen::U2f(u2f),
                Err(error) => closed("mute", error.to_string()),
            },
            Err(error @ DeviceError::NoRight { .. }) => closed("no-right", error.to_string()),
            Err(error @ DeviceError::NoNode { .. }) => closed("no-node", error.to_string()),
            Err(error @ DeviceError::InUse { .. }) => closed("in-use", error.to_string()),
            Err(error @ (DeviceError::Gone | DeviceError::Io(_))) => closed("mute", error.to_string()),
        };
        Self { seen, product: key.product.trim().to_owned(), usb_serial: key.usb_serial.as_deref().map(Serial::new) }
    }

    /// getInfo, where the key has it.
    pub fn info(&self) -> Option<&GetInfo> {
        match &self.seen {
            Seen::Blank(session) => Some(session.info()),
            Seen::PinSet(session) => Some(session.info()),
            Seen::NoPin(session) => Some(session.info()),
            Seen::U2f(_) | Seen::Closed { .. } => None,
        }
    }

    /// What the key is recognised by, where it speaks CTAP2.
    pub fn key_ref(&self) -> Option<KeyRef> {
        match &self.seen {
            Seen::Blank(session) => Some(session.key_ref()),
            Seen::PinSet(session) => Some(session.key_ref()),
            Seen::NoPin(session) => Some(session.key_ref()),
            Seen::U2f(_) | Seen::Closed { .. } => None,
        }
    }

    /// The model's AAGUID.
    pub fn aaguid(&self) -> Option<Aaguid> {
        self.info().map(|info| info.aaguid)
    }

    /// The serial number, as far as it is told.
    pub fn serial(&self) -> Option<Serial> {
        match &self.seen {
            Seen::U2f(u2f) => u2f.vendor.serial.clone(),
            Seen::Closed { .. } => self.usb_serial.clone(),
            _ => self.key_ref().and_then(|key| key.serial),
        }
    }

    /// The model's name, or what USB calls it.
    pub fn model(&self) -> &str {
        if self.product.is_empty() { "security key" } else { &self.product }
    }

    /// Why it can't be provisioned as it is: a code of `pipeline::code` and its sentence.
    pub fn unfit(&self) -> Option<(&'static str, String)> {
        let code = match &self.seen {
            Seen::U2f(_) => "u2f-only",
            Seen::Closed { code, .. } => code,
            _ => fit(&facts(self.info()?), true).err()?,
        };
        Some((code, codes::meaning(code).unwrap_or(code).to_owned()))
    }
}
