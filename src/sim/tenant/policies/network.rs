//! Addresses and ranges. Pure.

use std::net::IpAddr;

/// A range in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    base: IpAddr,
    prefix: u8,
}

impl Range {
    /// Reads `203.0.113.0/24`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let (base, prefix) = (base.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
        (prefix <= width(base)).then_some(Self { base, prefix })
    }

    pub(super) fn is_v4(self) -> bool {
        self.base.is_ipv4()
    }

    /// How many bits are fixed.
    pub(super) fn prefix(self) -> u8 {
        self.prefix
    }

    pub(super) fn holds(self, address: IpAddr) -> bool {
        let shift = u32::from(width(self.base).saturating_sub(self.prefix));
        let head = |address: IpAddr| bits(address).checked_shr(shift).unwrap_or(0);
        address.is_ipv4() == self.base.is_ipv4() && head(address) == head(self.base)
    }

    /// Addresses that never reach Entra.
    pub(super) fn is_private(self) -> bool {
        match self.base {
            IpAddr::V4(base) => base.is_private() || base.is_loopback() || base.is_link_local(),
            IpAddr::V6(base) => {
                base.is_loopback() || base.segments().first().is_some_and(|first| first & 0xfe00 == 0xfc00)
            }
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(range: &str, address: &str) -> bool {
        Range::read(range).expect("a range").holds(address.parse().expect("an address"))
    }

    #[test]
    fn ranges_hold_what_they_should() {
        assert!(holds("203.0.113.0/24", "203.0.113.255") && !holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7/32", "203.0.113.7") && !holds("203.0.113.7/32", "203.0.113.6"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/64", "2001:db8::ffff") && !holds("2001:db8::/64", "2001:db8:0:1::"));
        for bad in ["203.0.113.0", "203.0.113.0/33", "x/8", "2001:db8::/129", "203.0.113/24"] {
            assert_eq!(Range::read(bad), None, "{bad}");
        }
        assert!(Range::read("10.1.0.0/16").expect("a range").is_private());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}", address in any::<u32>()) {
            if let Some(range) = Range::read(&text) {
                let _ = (range.holds(IpAddr::from(address.to_be_bytes())), range.is_private(), range.prefix(), range.is_v4());
            }
        }
    }
}
