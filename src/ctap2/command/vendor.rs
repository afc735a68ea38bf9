//! Serial number and firmware by vendor commands: the ones that need no PIN and no touch, and only to vendors that are known
//! to have them. What any other key answers to these numbers nobody knows.
//!
//! Sources: Yubico's yubikey-manager (`READ_CONFIG`, CTAPHID 0xC2 on the wire), SoloKeys' and Nitrokey's admin application
//! (0xE2 UUID, 0xE1 version).

use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::transport::{HidError, Kind, Patience, Transport, TransportError, Unwatched};
use crate::model::{Firmware, Serial};

use super::Command;

/// Yubico's READ_CONFIG. Its neighbours, 0x40 and 0x43, write: they are never sent.
const YUBICO_READ_CONFIG: Kind = Kind::Vendor(0x42);
const SOLO_VERSION: Kind = Kind::Vendor(0x61);
const SOLO_UUID: Kind = Kind::Vendor(0x62);
/// More pages than any YubiKey has.
const MOST_PAGES: u8 = 8;

/// What a vendor command told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorFacts {
    /// The serial number as the maker prints it.
    pub serial: Option<Serial>,
    /// The firmware as people write it.
    pub firmware: Option<Firmware>,
}

/// Asks a key of a known vendor; every other key is asked nothing and tells nothing.
///
/// # Errors
/// [`CtapError`] of the wire, or of nonsense. A key that does not know the command tells nothing, which is no error.
pub fn vendor_facts(link: &mut dyn Transport, vendor: u16, product: u16) -> Result<VendorFacts, CtapError> {
    match (vendor, product) {
        (0x1050, _) => yubico(link),
        // Nitrokey 3; Solo 2.
        (0x20A0, 0x42B2) | (0x1209, 0xBEEE) => solo(link),
        _ => Ok(VendorFacts::default()),
    }
}

/// Sends a vendor command; `None` when the key does not know it.
fn ask(link: &mut dyn Transport, kind: Kind, message: &[u8]) -> Result<Option<Vec<u8>>, CtapError> {
    match link.exchange(kind, message, Patience::Key, &mut Unwatched) {
        Ok(answer) => Ok(Some(answer.to_vec())),
        Err(TransportError::Hid(HidError::InvalidCommand)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn yubico(link: &mut dyn Transport) -> Result<VendorFacts, CtapError> {
    let mut facts = VendorFacts::default();
    for page in 0..MOST_PAGES {
        let Some(answer) = ask(link, YUBICO_READ_CONFIG, &[page])? else { break };
        let more =
            yubico_page(&answer, &mut facts).map_err(|what| CtapError::Malformed { command: Command::Vendor, what })?;
        if !more {
            break;
        }
    }
    Ok(facts)
}

/// One page: a length byte, then tags of one byte, lengths of one byte and values. Tells whether another page follows.
fn yubico_page(answer: &[u8], facts: &mut VendorFacts) -> Result<bool, Malformed> {
    const WRONG: Malformed = Malformed::Other("the key's configuration has impossible lengths");
    let (length, rest) = answer.split_first().ok_or(Malformed::Empty)?;
    let mut rest = rest.get(..usize::from(*length)).ok_or(WRONG)?;
    let mut more = false;
    while let [tag, length, tail @ ..] = rest {
        let (value, tail) = tail.split_at_checked(usize::from(*length)).ok_or(WRONG)?;
        rest = tail;
        match (*tag, value) {
            // Big-endian; plain Security Keys leave it out or say 0.
            (0x02, [a, b, c, d]) => {
                let serial = u32::from_be_bytes([*a, *b, *c, *d]);
                facts.serial = (serial != 0).then(|| Serial::new(serial.to_string()));
            }
            (0x05, [major, minor, patch]) => facts.firmware = Some(Firmware::new(format!("{major}.{minor}.{patch}"))),
            (0x10, [next, ..]) => more = *next != 0,
            _ => {}
        }
    }
    if rest.is_empty() { Ok(more) } else { Err(WRONG) }
}

fn solo(link: &mut dyn Transport) -> Result<VendorFacts, CtapError> {
    let serial = ask(link, SOLO_UUID, &[])?
        .filter(|uuid| uuid.len() == 16)
        .map(|uuid| Serial::new(uuid.iter().map(|byte| format!("{byte:02X}")).collect::<String>()));
    // Ten bits major, sixteen minor, six patch, big-endian.
    let firmware = ask(link, SOLO_VERSION, &[])?.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(|bytes| {
        let version = u32::from_be_bytes(bytes);
        Firmware::new(format!("{}.{}.{}", version >> 22, (version >> 6) & 0xFFFF, version & 0x3F))
    });
    Ok(VendorFacts { serial, firmware })
}

/// getInfo's firmwareVersion as people write it: Yubico counts a byte each for major, minor and patch; what others mean by
/// the number is theirs, and it is shown as it is.
pub fn firmware_from_info(vendor: u16, version: u64) -> Firmware {
    match (vendor, version) {
        (0x1050, 0x01_0000..=0xFF_FFFF) => {
            Firmware::new(format!("{}.{}.{}", version >> 16, (version >> 8) & 0xFF, version & 0xFF))
        }
        _ => Firmware::new(version.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_pages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = yubico_page(&bytes, &mut VendorFacts::default());
        }
    }

    #[test]
    fn a_yubikeys_page() {
        // From the layout in yubikey-manager: usb supported, serial 19283746, form factor, version 5.7.1, no further page.
        let page = [18, 0x01, 2, 0x02, 0x3F, 0x02, 4, 0x01, 0x26, 0x3F, 0x22, 0x04, 1, 0x01, 0x05, 3, 5, 7, 1];
        let mut facts = VendorFacts::default();
        assert_eq!(yubico_page(&page, &mut facts), Ok(false));
        assert_eq!(facts.serial, Some(Serial::new("19283746")));
        assert_eq!(facts.firmware, Some(Firmware::new("5.7.1")));
        assert_eq!(yubico_page(&[3, 0x10, 1, 1], &mut facts), Ok(true));
    }

    #[test]
    fn wrong_lengths_are_named() {
        let mut facts = VendorFacts::default();
        assert_eq!(yubico_page(&[], &mut facts), Err(Malformed::Empty));
        for bad in [&[9, 0x02, 4][..], &[3, 0x02, 4, 0], &[1, 0x02]] {
            assert!(yubico_page(bad, &mut facts).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn firmware_numbers() {
        assert_eq!(firmware_from_info(0x1050, 0x05_0701), Firmware::new("5.7.1"));
        assert_eq!(firmware_from_info(0x1209, 1000), Firmware::new("1000"));
    }
}
