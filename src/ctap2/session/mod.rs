//! One key, from opening to letting go: the legal order of operations, in types.
//!
//! ```text
//!  open ─► Opened ─┬─ Blank(Session<Blank>)  ── set_pin ──► Session<PinSet>
//!                  ├─ PinSet(Session<PinSet>) ── attempt ─► Attempt ── authorise ─► Authorised ── one operation
//!                  ├─ NoPin(Session<NoPin>)   it can't have a PIN
//!                  └─ U2fOnly(U2fKey)         it does not speak CTAP2
//! ```
//!
//! Promises, kept by the compiler:
//! - A PIN goes to a key only with a [`SealReceipt`](crate::ledger::SealReceipt).
//! - A PIN is tried only with an [`Attempt`], which exists only after the retry counter was read and was above the floor, and
//!   which one try uses up.
//! - A token serves one purpose and can't outlive the next one: [`Authorised`] borrows the session.
//!
//! After a cancel, a time-out or garbled packets the same session goes on: the channel finds its way back by itself. What the
//! key did in the meantime is asked with [`Session::refresh_info`] or [`Session::settle`], without opening it again.

mod authorised;
mod pin;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::command::descriptor_length;
use super::command::get_assertion::{Assertion, GetAssertion, get_assertion};
use super::command::get_info::{GetInfo, get_info};
use super::command::make_credential::MakeCredential;
use super::command::reset::{self, ResetError};
use super::command::selection::selection;
use super::command::vendor::{VendorFacts, firmware_from_info, vendor_facts};
use super::command::wink::wink;
use super::error::CtapError;
use super::hid::channel::Channel;
use super::hid::packet::PacketDevice;
use super::status::Status;
use super::transport::{Hello, HidError, Limits, Transport, TransportError, Unwatched, Watcher};
use crate::model::{CredentialId, Firmware, KeyRef, Serial};
use crate::world::{Clock, Entropy, PluggedKey};

pub use authorised::{Assert, Authorised, Configure, Make, Manage, PinRulesNow, Purpose};
pub use pin::{Attempt, Done, NoAttempt, PinError, SetPinFailed};

/// What a session needs beside the key.
#[derive(Clone)]
pub struct Tools {
    /// For deadlines.
    pub clock: Arc<dyn Clock>,
    /// For nonces and key agreement.
    pub entropy: Arc<dyn Entropy>,
    /// How long to wait for what.
    pub limits: Limits,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// State: the key can have a PIN and has none.
#[derive(Debug)]
pub enum Blank {}
/// State: the key has a PIN.
#[derive(Debug)]
pub enum PinSet {}
/// State: the key can't have a PIN.
#[derive(Debug)]
pub enum NoPin {}
/// State: something was done and what came of it has not been looked at; see [`Session::settle`].
#[derive(Debug)]
pub enum Unsettled {}

/// What kind of key was opened.
#[derive(Debug)]
pub enum Opened {
    /// No PIN yet.
    Blank(Session<Blank>),
    /// A PIN is set, ours or another's.
    PinSet(Session<PinSet>),
    /// It has no `clientPin`: it can be looked at, made to blink and reset.
    NoPin(Session<NoPin>),
    /// It does not speak CTAP2.
    U2fOnly(U2fKey),
}

/// A key that only speaks U2F: nothing to be done with it here.
#[derive(Debug, Clone)]
pub struct U2fKey {
    /// As USB describes it.
    pub plugged: PluggedKey,
    /// What it said when the channel was opened.
    pub hello: Hello,
    /// What its vendor's command told.
    pub vendor: VendorFacts,
}

/// An open key in the state `S`. Dropping it lets the key go.
pub struct Session<S> {
    core: Box<Core>,
    state: PhantomData<fn() -> S>,
}

struct Core {
    link: Box<dyn Transport>,
    tools: Tools,
    plugged: PluggedKey,
    vendor: VendorFacts,
    /// Not by the USB descriptor, which some makers fill with the same number for every key.
    serial_by_vendor: bool,
    info: GetInfo,
}

impl<S> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {})", self.core.plugged.port, self.core.info.aaguid)
    }
}

/// Opens a conversation with a key: a channel, its serial number where there is one to be had, getInfo. Touches nothing.
///
/// # Errors
/// [`CtapError`].
pub fn open(device: Box<dyn PacketDevice>, plugged: &PluggedKey, tools: &Tools) -> Result<Opened, CtapError> {
    let channel = Channel::open(device, tools.clock.clone(), tools.entropy.clone(), tools.limits)?;
    open_over(Box::new(channel), plugged, tools)
}

/// As [`open()`], over any transport.
///
/// # Errors
/// [`CtapError`].
pub fn open_over(mut link: Box<dyn Transport>, plugged: &PluggedKey, tools: &Tools) -> Result<Opened, CtapError> {
    let mut vendor = told_by_vendor(&mut *link, plugged)?;
    let told = vendor.serial.is_some();
    if vendor.serial.is_none() {
        vendor.serial = plugged.usb_serial.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Serial::new);
    }
    let hello = link.hello();
    if !hello.has_cbor() {
        return Ok(Opened::U2fOnly(U2fKey { plugged: plugged.clone(), hello, vendor }));
    }
    let info = get_info(&mut *link)?;
    if !info.is_fido2() {
        return Ok(Opened::U2fOnly(U2fKey { plugged: plugged.clone(), hello, vendor }));
    }
    let core = Core { link, tools: tools.clone(), plugged: plugged.clone(), vendor, serial_by_vendor: told, info };
    Ok(classify(Box::new(core)))
}

/// What the vendor's command tells. A key that does not know the command tells nothing; one that knows it and could not be heard must
/// not pass for a key without a serial number, or no list of serial numbers would hold it: it is asked once more, and then it is an error.
fn told_by_vendor(link: &mut dyn Transport, plugged: &PluggedKey) -> Result<VendorFacts, CtapError> {
    let mut ask = || vendor_facts(&mut *link, plugged.vendor_id, plugged.product_id);
    match ask() {
        // A busy key has been asked again for as long as one waits for a key.
        Err(error) if error.is_gone() || matches!(error, CtapError::Wire(TransportError::Hid(HidError::Busy))) => {
            Err(error)
        }
        Err(_) => ask(),
        told => told,
    }
}

fn classify(mut core: Box<Core>) -> Opened {
    core.link.set_max_message(core.info.max_message());
    match core.info.pin_is_set() {
        None => Opened::NoPin(Session::new(core)),
        Some(false) => Opened::Blank(Session::new(core)),
        Some(true) => Opened::PinSet(Session::new(core)),
    }
}

/// Why a key was not reset, and the session to go on with.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ResetFailed {
    /// Why.
    #[source]
    pub error: ResetError,
    /// The key, as it may be now.
    pub session: Session<Unsettled>,
}

impl<S> Session<S> {
    fn new(core: Box<Core>) -> Self {
        Self { core, state: PhantomData }
    }

    fn into_unsettled(self) -> Session<Unsettled> {
        Session::new(self.core)
    }

    /// What the key said of itself when it was last asked.
    pub fn info(&self) -> &GetInfo {
        &self.core.info
    }

    /// Asks again. The state in the type stays: use [`Session::settle`] where it may have changed.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn refresh_info(&mut self) -> Result<&GetInfo, CtapError> {
        self.core.info = get_info(&mut *self.core.link)?;
        Ok(&self.core.info)
    }

    /// Finds out what state the key is in now, over the same device.
    ///
    /// # Errors
    /// [`Unreadable`] gives the session back, to try again with.
    pub fn settle(mut self) -> Result<Opened, Unreadable> {
        let outcome = match self.core.link.resynchronise() {
            Ok(()) => get_info(&mut *self.core.link),
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(info) => {
                self.core.info = info;
                Ok(classify(self.core))
            }
            Err(error) => Err(Unreadable { error, session: self.into_unsettled() }),
        }
    }

    /// As USB describes it.
    pub fn plugged(&self) -> &PluggedKey {
        &self.core.plugged
    }

    /// What the key said when the channel was opened.
    pub fn hello(&self) -> Hello {
        self.core.link.hello()
    }

    /// Its serial number, from a vendor command or the USB descriptor.
    pub fn serial(&self) -> Option<&Serial> {
        self.core.vendor.serial.as_ref()
    }

    /// Its serial number comes from a vendor command, and is no other key's.
    pub fn serial_is_proof(&self) -> bool {
        self.core.serial_by_vendor
    }

    /// Its firmware, from a vendor command or getInfo.
    pub fn firmware(&self) -> Option<Firmware> {
        let told = || self.core.info.firmware_version;
        self.core
            .vendor
            .firmware
            .clone()
            .or_else(|| told().map(|version| firmware_from_info(self.core.plugged.vendor_id, version)))
    }

    /// What the ledger keeps to recognise the key by.
    pub fn key_ref(&self) -> KeyRef {
        let product = self.core.plugged.product.trim();
        KeyRef {
            aaguid: self.core.info.aaguid,
            serial: self.serial().cloned(),
            firmware: self.firmware(),
            model: (!product.is_empty()).then(|| product.to_owned()),
            port: self.core.plugged.port.clone(),
        }
    }

    /// Lets the key blink.
    ///
    /// # Errors
    /// [`CtapError::Unsupported`] when it can't.
    pub fn wink(&mut self) -> Result<(), CtapError> {
        wink(&mut *self.core.link)
    }

    /// Lets the key blink until it is touched.
    ///
    /// # Errors
    /// [`CtapError`]; see [`CtapError::is_no_touch`].
    pub fn selection(&mut self, watch: &mut dyn Watcher) -> Result<(), CtapError> {
        selection(&mut *self.core.link, watch)
    }

    /// A signature without touch and without PIN, by a credential whose id we know: a good one proves that this is the key.
    /// `None` when the key does not have the credential, or has it under credProtect level 3. Keys may refuse while a PIN
    /// change is forced.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn silent_assertion(
        &mut self,
        rp_id: &str,
        credential: &CredentialId,
        client_data_hash: [u8; 32],
    ) -> Result<Option<Assertion>, CtapError> {
        self.silent(rp_id, vec![credential.clone()], client_data_hash)
    }

    /// The same for whichever of these the key has: the first that it signs for. Ids longer than the key's own can not be on it,
    /// and a list longer than it takes is asked in parts.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn silent_of(
        &mut self,
        rp_id: &str,
        credentials: &[CredentialId],
        client_data_hash: [u8; 32],
    ) -> Result<Option<Assertion>, CtapError> {
        let longest = self.core.info.max_credential_id_length.and_then(|bytes| usize::try_from(bytes).ok());
        let mine: Vec<CredentialId> = credentials
            .iter()
            .filter(|id| longest.is_none_or(|longest| id.as_bytes().len() <= longest))
            .cloned()
            .collect();
        let bare = GetAssertion { rp_id: rp_id.to_owned(), client_data_hash, allow: Vec::new(), touch: false };
        // Three bytes: the list's key, and its count behind a byte.
        let room = self.core.info.max_message().saturating_sub(bare.length() + 3);
        for part in in_parts(&mine, self.max_list(), room) {
            if let Some(found) = self.silent(rp_id, part.to_vec(), client_data_hash)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn silent(
        &mut self,
        rp_id: &str,
        allow: Vec<CredentialId>,
        client_data_hash: [u8; 32],
    ) -> Result<Option<Assertion>, CtapError> {
        let request = GetAssertion { rp_id: rp_id.to_owned(), client_data_hash, allow, touch: false };
        match get_assertion(&mut *self.core.link, &request, None, &mut Unwatched) {
            Ok(assertion) => Ok(Some(assertion)),
            // Some keys say "invalid credential" for an id that is not theirs.
            Err(CtapError::Refused { status: Status::NoCredentials | Status::InvalidCredential, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the exclude list short enough for this key (CTAP 2.1 §6.1, platform's part): ids longer than the key's own can
    /// not be on it, and of a list that is longer than the key takes, in ids or in bytes of the message, only what is on it matters.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn fit_exclude_list(&mut self, request: &mut MakeCredential) -> Result<(), CtapError> {
        if let Some(longest) = self.core.info.max_credential_id_length.and_then(|bytes| usize::try_from(bytes).ok()) {
            request.exclude.retain(|id| id.as_bytes().len() <= longest);
        }
        if request.exclude.len() <= self.max_list() && request.length() <= self.core.info.max_message() {
            return Ok(());
        }
        let all = std::mem::take(&mut request.exclude);
        if let Some(found) = self.silent_of(&request.rp.id, &all, [0; 32])? {
            request.exclude = vec![found.credential];
        }
        Ok(())
    }

    /// Credentials in one list: 1 when the key tells no limit (CTAP 2.1 §6.4) would be the letter; 8 is what keys of that
    /// age take, and they say when it is too much.
    fn max_list(&self) -> usize {
        self.core.info.max_credential_count_in_list.and_then(|count| usize::try_from(count).ok()).unwrap_or(8).max(1)
    }

    /// Wipes the key: within 10 s of plugging it in, with a touch.
    ///
    /// # Errors
    /// [`ResetFailed`].
    pub fn reset(mut self, watch: &mut dyn Watcher) -> Result<Opened, ResetFailed> {
        match self.try_reset(watch) {
            Ok(()) => {
                self.settle().map_err(|Unreadable { error, session }| ResetFailed { error: error.into(), session })
            }
            Err(error) => Err(ResetFailed { error, session: self.into_unsettled() }),
        }
    }

    fn try_reset(&mut self, watch: &mut dyn Watcher) -> Result<(), ResetError> {
        if let Some(transports) = &self.core.info.transports_for_reset
            && !transports.iter().any(|transport| transport == "usb")
        {
            return Err(ResetError::NotOverUsb);
        }
        // INIT, getInfo, reset on one channel, and nothing in between.
        self.core.link.resynchronise().map_err(CtapError::from)?;
        get_info(&mut *self.core.link)?;
        reset::reset(&mut *self.core.link, watch)
    }
}

/// A list of ids in parts of at most so many ids and so many bytes; one that is too long by itself stands alone.
fn in_parts(ids: &[CredentialId], most: usize, room: usize) -> Vec<&[CredentialId]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, id) in ids.iter().enumerate() {
        let length = descriptor_length(id);
        if at > from && (at - from >= most || bytes + length > room) {
            parts.extend(ids.get(from..at));
            (from, bytes) = (at, 0);
        }
        bytes += length;
    }
    parts.extend(ids.get(from..).filter(|rest| !rest.is_empty()));
    parts
}

/// The key could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Why.
    #[source]
    pub error: CtapError,
    /// To try again with.
    pub session: Session<Unsettled>,
}

#[cfg(test)]
mod tests;
