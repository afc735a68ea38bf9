//! Reading a Windows access list in its text form, SDDL. Pure, so that it is tested everywhere.

/// What somebody might be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Read its content.
    Read,
    /// Change its content, its rights or its owner, or remove it.
    Write,
}

/// Groups that stand for "other people": everyone, anonymous, guests, users, authenticated, interactive, network, domain users.
const OTHERS: &[(&str, &str)] = &[
    ("WD", "Everyone"),
    ("S-1-1-0", "Everyone"),
    ("AN", "Anonymous"),
    ("BG", "Guests"),
    ("BU", "Users"),
    ("S-1-5-32-545", "Users"),
    ("AU", "Authenticated Users"),
    ("S-1-5-11", "Authenticated Users"),
    ("IU", "Interactive"),
    ("NU", "Network"),
    ("DU", "Domain Users"),
];

/// The first of the well-known groups of other people whom the list allows it; single accounts are the owner's own doing.
/// A missing list allows everybody everything (MS-DTYP §2.5.1); an entry that only children inherit does not count.
pub(super) fn group_that_may(sddl: &str, wish: Wish) -> Option<&'static str> {
    let Some((_, list)) = sddl.split_once("D:") else {
        return Some("Everyone");
    };
    if list.starts_with("NO_ACCESS_CONTROL") {
        return Some("Everyone");
    }
    list.split('(').skip(1).find_map(|entry| {
        let mut fields = entry.split([';', ')']);
        let (kind, flags, rights) = (fields.next()?, fields.next()?, fields.next()?);
        let who = fields.nth(2)?;
        // Also conditional ones; those of the audit list, which may follow, are of other kinds.
        if !matches!(kind, "A" | "OA" | "XA") || pairs(flags).any(|flag| flag == "IO") || !allows(rights, wish) {
            return None;
        }
        OTHERS.iter().find(|(sid, _)| *sid == who).map(|(_, name)| *name)
    })
}

/// Access masks: winnt.h FILE_READ_DATA; FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER;
/// generic all is both.
const READ_BITS: u32 = 0x1 | 0x8000_0000 | 0x1000_0000;
const WRITE_BITS: u32 = 0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x4000_0000 | 0x1000_0000;

fn allows(rights: &str, wish: Wish) -> bool {
    if let Some(hex) = rights.strip_prefix("0x") {
        // What can't be read is taken for everything.
        let mask = u32::from_str_radix(hex, 16).unwrap_or(u32::MAX);
        return mask & if wish == Wish::Read { READ_BITS } else { WRITE_BITS } != 0;
    }
    pairs(rights).any(|right| match wish {
        Wish::Read => matches!(right, "FA" | "GA" | "FR" | "GR" | "CC"),
        Wish::Write => matches!(right, "FA" | "GA" | "FW" | "GW" | "DC" | "LC" | "DT" | "SD" | "WD" | "WO"),
    })
}

/// SDDL writes flags and rights as pairs of letters without anything between.
fn pairs(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len()).step_by(2).filter_map(|at| text.get(at..at + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_windows_writes_them() {
        // A file in a user's profile.
        let own =
            "O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1001)";
        assert_eq!(group_that_may(own, Wish::Read), None);
        assert_eq!(group_that_may(own, Wish::Write), None);
        // A new file under ProgramData: users may read and execute.
        let shared = "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)";
        assert_eq!(group_that_may(shared, Wish::Read), Some("Users"));
        assert_eq!(group_that_may(shared, Wish::Write), None);
        // A directory at a drive's root: authenticated users may change it.
        let root = "O:BAG:SYD:PAI(A;OICI;FA;;;BA)(A;OICIIO;FA;;;WD)(A;;0x1301bf;;;AU)S:AI(AU;FA;FA;;;WD)";
        assert_eq!(group_that_may(root, Wish::Write), Some("Authenticated Users"));
        // Only for children: not for the thing itself. Denials don't allow.
        assert_eq!(group_that_may("D:(A;OICIIO;FA;;;WD)(D;;FA;;;BU)", Wish::Write), None);
        // No list at all lets everybody in; an empty one nobody.
        assert_eq!(group_that_may("O:BAG:SY", Wish::Read), Some("Everyone"));
        assert_eq!(group_that_may("O:BAG:SYD:", Wish::Read), None);
        assert_eq!(group_that_may("D:(A;;FW;;;WD)", Wish::Read), None);
        assert_eq!(group_that_may("D:(A;;FRFW;;;WD)", Wish::Write), Some("Everyone"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(D:)?[(;);A-Zé0-9x]{0,80}") {
            let _ = group_that_may(&text, Wish::Write);
        }
    }
}
