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

/// The system and its administrators, who can change anything as it is: SYSTEM, the administrators' group and account, the
/// domain's and the forest's, and Windows' own installer.
const TRUSTED: &[&str] = &[
    "SY",
    "S-1-5-18",
    "BA",
    "S-1-5-32-544",
    "LA",
    "DA",
    "EA",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
];

/// Stand for the owner, who is looked at by name: the owner's rights, and the creator (in lists that children inherit).
const OWNERS: &[&str] = &["OW", "S-1-3-4", "CO", "S-1-3-0"];

/// Who the list allows it, other than `me` (a security id), the system and its administrators. Of those who may read, single
/// accounts are the owner's own doing, so well-known groups of other people count; whoever may write counts, and the owner,
/// who may give themselves any right. A missing list allows everybody everything (MS-DTYP §2.5.1); an entry that only children
/// inherit does not count.
pub(super) fn who_else_may(sddl: &str, wish: Wish, me: &str) -> Option<String> {
    let named = |who: &str| OTHERS.iter().find(|(sid, _)| *sid == who).map(|(_, name)| (*name).to_owned());
    let stranger =
        |who: &str| (who != me && !TRUSTED.contains(&who)).then(|| named(who).unwrap_or(format!("account {who}")));
    if wish == Wish::Write
        && let Some(owner) = owner_of(sddl)
        && let Some(stranger) = stranger(owner)
    {
        return Some(format!("{stranger}, its owner,"));
    }
    let Some((_, list)) = sddl.split_once("D:") else {
        return named("WD");
    };
    if list.starts_with("NO_ACCESS_CONTROL") {
        return named("WD");
    }
    list.split('(').skip(1).find_map(|entry| {
        let mut fields = entry.split([';', ')']);
        let (kind, flags, rights) = (fields.next()?, fields.next()?, fields.next()?);
        let who = fields.nth(2)?;
        // Also conditional ones; those of the audit list, which may follow, are of other kinds.
        if !matches!(kind, "A" | "OA" | "XA") || pairs(flags).any(|flag| flag == "IO") || !allows(rights, wish) {
            return None;
        }
        match wish {
            Wish::Read => named(who),
            Wish::Write if OWNERS.contains(&who) => None,
            Wish::Write => stranger(who),
        }
    })
}

/// `O:SID` comes first; the next part begins with its own letter and a colon.
fn owner_of(sddl: &str) -> Option<&str> {
    let rest = sddl.strip_prefix("O:")?;
    let end = rest.find(':').map_or(rest.len(), |colon| colon.saturating_sub(1));
    rest.get(..end)
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

    const ME: &str = "S-1-5-21-1-2-3-1001";

    #[track_caller]
    fn told(sddl: &str, reads: Option<&str>, writes: Option<&str>) {
        assert_eq!(who_else_may(sddl, Wish::Read, ME).as_deref(), reads, "reading {sddl}");
        assert_eq!(who_else_may(sddl, Wish::Write, ME).as_deref(), writes, "writing {sddl}");
    }

    #[test]
    fn lists_as_windows_writes_them() {
        // A file in a user's profile.
        told(
            "O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1001)",
            None,
            None,
        );
        // A new file under ProgramData: users may read and execute.
        told("O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)", Some("Users"), None);
        // A directory at a drive's root: authenticated users may change it.
        let root = "O:BAG:SYD:PAI(A;OICI;FA;;;BA)(A;OICIIO;FA;;;WD)(A;;0x1301bf;;;AU)S:AI(AU;FA;FA;;;WD)";
        told(root, Some("Authenticated Users"), Some("Authenticated Users"));
        // Only for children: not for the thing itself. Denials don't allow.
        told("D:(A;OICIIO;FA;;;WD)(D;;FA;;;BU)", None, None);
        // No list at all lets everybody in; an empty one nobody.
        told("O:BAG:SY", Some("Everyone"), Some("Everyone"));
        told("O:BAG:SYD:", None, None);
        told("D:(A;;FW;;;WD)", None, Some("Everyone"));
        told("D:(A;;FRFW;;;WD)", Some("Everyone"), Some("Everyone"));
    }

    #[test]
    fn another_account_s_file_is_not_believed() {
        // Made by a plain user in a folder that users may add files to: theirs, with all rights.
        let planted =
            "O:S-1-5-21-1-2-3-1002G:S-1-5-21-1-2-3-513D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1002)";
        told(planted, None, Some("account S-1-5-21-1-2-3-1002, its owner,"));
        // Given to the administrators meanwhile, but still theirs to change.
        let kept = planted.replace("O:S-1-5-21-1-2-3-1002", "O:BA");
        told(&kept, None, Some("account S-1-5-21-1-2-3-1002"));
        told("O:BAG:SYD:(A;;FA;;;OW)(A;;FA;;;DA)", None, None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(O:)?[A-ZS0-9-]{0,12}(D:)?[(;);A-Zé0-9x:]{0,80}") {
            let _ = who_else_may(&text, Wish::Write, ME);
        }
    }
}
