//! The events of `/dev/uhid` as bytes (Linux, `include/uapi/linux/uhid.h`; Documentation/hid/uhid.rst). Pure.
//!
//! Every event is a 32-bit type in the machine's byte order, followed by a packed structure. The kernel takes a shorter event for one
//! that is filled up with zeros, and hands out whole ones.

use crate::ctap2::hid::packet::{PACKET_SIZE, Packet};

const DESTROY: u32 = 1;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;
const STOP: u32 = 3;

/// The room for a report in an event, `UHID_DATA_MAX`.
const DATA_MAX: usize = 4096;
/// The largest event: the type, and CREATE2's structure.
pub(super) const EVENT_MAX: usize = 4 + 128 + 64 + 64 + 2 + 2 + 4 * 4 + DATA_MAX;
/// `BUS_USB` of `linux/input.h`.
const BUS_USB: u16 = 3;
/// `EIO`: a report that FIDO keys don't have.
const EIO: u16 = 5;

/// The report descriptor of CTAP 2.1 §11.2.8.1: usage page 0xF1D0, usage 1, one input and one output report of 64 bytes,
/// without report ids.
pub(super) const DESCRIPTOR: [u8; 34] = [
    0x06, 0xD0, 0xF1, // usage page (FIDO alliance)
    0x09, 0x01, // usage (authenticator)
    0xA1, 0x01, // collection (application)
    0x09, 0x20, // usage (input report)
    0x15, 0x00, 0x26, 0xFF, 0x00, // 0 to 255
    0x75, 0x08, 0x95, 0x40, // 64 times 8 bits
    0x81, 0x02, // input (data, variable, absolute)
    0x09, 0x21, // usage (output report)
    0x15, 0x00, 0x26, 0xFF, 0x00, // 0 to 255
    0x75, 0x08, 0x95, 0x40, // 64 times 8 bits
    0x91, 0x02, // output (data, variable, absolute)
    0xC0, // end
];

/// How a device introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduction {
    pub name: String,
    pub phys: String,
    pub uniq: String,
    pub vendor_id: u16,
    pub product_id: u16,
}

/// What the kernel tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FromKernel {
    /// A program wrote this report.
    Output(Packet),
    /// The device was taken away.
    Stopped,
    /// A question that has to be answered with these bytes, or the asker waits for five seconds.
    Refuse(Vec<u8>),
    /// Opened, closed, started: no matter.
    Other,
}

/// A device that comes.
pub(super) fn create(who: &Introduction) -> Vec<u8> {
    let mut event = Vec::with_capacity(EVENT_MAX);
    event.extend(CREATE2.to_ne_bytes());
    text(&mut event, &who.name, 128);
    text(&mut event, &who.phys, 64);
    text(&mut event, &who.uniq, 64);
    let length = u16::try_from(DESCRIPTOR.len()).unwrap_or(u16::MAX);
    event.extend(length.to_ne_bytes());
    event.extend(BUS_USB.to_ne_bytes());
    for number in [u32::from(who.vendor_id), u32::from(who.product_id), 0, 0] {
        event.extend(number.to_ne_bytes());
    }
    event.extend(DESCRIPTOR);
    event
}

/// The device leaves.
pub(super) fn destroy() -> Vec<u8> {
    DESTROY.to_ne_bytes().to_vec()
}

/// A report from the device.
pub(super) fn input(packet: &Packet) -> Vec<u8> {
    let mut event = INPUT2.to_ne_bytes().to_vec();
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    event.extend(length.to_ne_bytes());
    event.extend(packet);
    event
}

/// Reads what the kernel wrote.
pub(super) fn read(event: &[u8]) -> FromKernel {
    let Some((kind, body)) = event.split_first_chunk::<4>() else { return FromKernel::Other };
    match u32::from_ne_bytes(*kind) {
        STOP => FromKernel::Stopped,
        OUTPUT => output(body).map_or(FromKernel::Other, FromKernel::Output),
        GET_REPORT => refuse(GET_REPORT_REPLY, body),
        SET_REPORT => refuse(SET_REPORT_REPLY, body),
        _ => FromKernel::Other,
    }
}

/// `data[4096]`, then the length. The report id, 0, stands in front of the report; a program may also send fewer bytes.
fn output(body: &[u8]) -> Option<Packet> {
    let length = usize::from(u16::from_ne_bytes(*body.get(DATA_MAX..)?.first_chunk()?));
    let report = body.get(..length.min(DATA_MAX))?;
    let report = if report.len() > PACKET_SIZE { report.get(1..=PACKET_SIZE)? } else { report };
    let mut packet = [0; PACKET_SIZE];
    packet.get_mut(..report.len())?.copy_from_slice(report);
    Some(packet)
}

/// `id`, then more that does not matter: the answer is `id` and an error.
fn refuse(answer: u32, body: &[u8]) -> FromKernel {
    let Some(id) = body.first_chunk::<4>() else { return FromKernel::Other };
    FromKernel::Refuse([&answer.to_ne_bytes()[..], id, &EIO.to_ne_bytes()].concat())
}

/// Text in a field of fixed size that ends with a zero, cut at a character.
fn text(event: &mut Vec<u8>, text: &str, size: usize) {
    let mut end = text.len().min(size.saturating_sub(1));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    event.extend(kept.as_bytes());
    event.resize(event.len() + size - kept.len(), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_created_with_every_field_in_its_place() {
        let who = Introduction {
            name: "Yubico YubiKey".into(),
            phys: "sim-1".into(),
            uniq: "ä".repeat(60),
            vendor_id: 0x1050,
            product_id: 0x0407,
        };
        let event = create(&who);
        assert_eq!(event[..4], 11u32.to_ne_bytes());
        assert_eq!(&event[4..19], b"Yubico YubiKey\0");
        assert_eq!(&event[132..138], b"sim-1\0");
        assert_eq!(event[196..260], *["ä".repeat(31).as_bytes(), &[0, 0]].concat());
        assert_eq!(event[260..262], 34u16.to_ne_bytes());
        assert_eq!(event[262..264], 3u16.to_ne_bytes());
        assert_eq!(event[264..268], 0x1050u32.to_ne_bytes());
        assert_eq!(event[268..272], 0x0407u32.to_ne_bytes());
        assert_eq!(event[280..], DESCRIPTOR);
        assert_eq!(EVENT_MAX, 280 + 4096);
    }

    #[test]
    fn a_written_report_is_read_without_its_id() {
        let mut event = 6u32.to_ne_bytes().to_vec();
        event.extend([0; DATA_MAX]);
        event[5..9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
        event.extend(65u16.to_ne_bytes());
        event.push(1);
        let FromKernel::Output(packet) = read(&event) else { panic!("a report") };
        assert_eq!(packet[..5], [0xFF, 0xFF, 0xFF, 0xFF, 0]);
        assert_eq!(read(&event[..4000]), FromKernel::Other, "cut short");
    }

    #[test]
    fn questions_are_refused_by_their_number() {
        let event = [&9u32.to_ne_bytes()[..], &77u32.to_ne_bytes(), &[0, 0]].concat();
        let FromKernel::Refuse(answer) = read(&event) else { panic!("a refusal") };
        assert_eq!(answer[..4], 10u32.to_ne_bytes());
        assert_eq!(answer[4..8], 77u32.to_ne_bytes());
        assert_eq!(answer[8..10], 5u16.to_ne_bytes());
        assert_eq!(read(&3u32.to_ne_bytes()), FromKernel::Stopped);
        assert_eq!(read(&[1, 2]), FromKernel::Other);
    }
}
