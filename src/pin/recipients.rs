//! Who can open sealed PINs: the custodians' age recipients, in one group or two.
//!
//! With two groups, opening takes one identity of each. Nobody may stand in both. The set in force is the ledger's; the
//! settings only seed it ([`Recipients::against`]).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr as _;

use sha2::{Digest as _, Sha256};

/// One recipient, as its owner's tool printed it.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    X25519(age::x25519::Recipient),
    /// A plugin's recipient that age itself can encrypt to; only opening takes the plugin.
    Tag,
    PostQuantumTag,
    Plugin(age::plugin::Recipient),
}

impl Recipient {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let kind = if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-")
            || text.to_ascii_uppercase().starts_with("AGE-PLUGIN-")
        {
            return Err(
                "it is an identity, which is secret and must not be in the settings. Its recipient begins with age1; a secret key that stood in a settings file should be replaced",
            );
        } else if text.starts_with("ssh-") {
            return Err("SSH keys are not taken; make an age identity with `keybench escrow keygen`");
        } else if text.starts_with("age1tagpq1") {
            age::tagpq::Recipient::from_str(text).map(|_| Kind::PostQuantumTag).map_err(|_| DAMAGED)?
        } else if text.starts_with("age1tag1") {
            age::tag::Recipient::from_str(text).map(|_| Kind::Tag).map_err(|_| DAMAGED)?
        } else if let Ok(native) = age::x25519::Recipient::from_str(text) {
            Kind::X25519(native)
        } else if let Ok(plugin) = age::plugin::Recipient::from_str(text) {
            Kind::Plugin(plugin)
        } else if text.starts_with("age1") {
            return Err(DAMAGED);
        } else {
            return Err("an age recipient begins with age1");
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The recipient's text; it is public.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text, first 16 hexadecimal digits: what the ledger and people compare.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The plugin that sealing to it starts, e.g. `yubikey` for `age-plugin-yubikey`.
    pub fn plugin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plugin(plugin) => Some(plugin.plugin()),
            _ => None,
        }
    }

    pub(super) fn plugin_recipient(&self) -> Option<&age::plugin::Recipient> {
        match &self.kind {
            Kind::Plugin(plugin) => Some(plugin),
            _ => None,
        }
    }

    /// What age itself can encrypt to; `None` for plugins.
    pub(super) fn native(&self) -> Option<Box<dyn age::Recipient>> {
        match &self.kind {
            Kind::X25519(native) => Some(Box::new(native.clone())),
            // Parsed once before; these types are not Clone.
            Kind::Tag => age::tag::Recipient::from_str(&self.text).ok().map(|r| Box::new(r) as _),
            Kind::PostQuantumTag => age::tagpq::Recipient::from_str(&self.text).ok().map(|r| Box::new(r) as _),
            Kind::Plugin(_) => None,
        }
    }
}

const DAMAGED: &str = "it begins like an age recipient, but characters are missing or wrong; copy it again";

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.fingerprint())
    }
}

/// What is wrong with the recipients in the settings. Entries count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientsError {
    /// An entry is no recipient. The entry itself is not shown: it might be a secret.
    #[error("[escrow] entry {entry}{group} is not an age recipient: {why}")]
    NotARecipient {
        /// Which entry.
        entry: usize,
        /// Which group, for people; empty when there is one.
        group: &'static str,
        /// Why.
        why: &'static str,
    },
    /// Without a custodian nobody could open a PIN again.
    #[error(
        "[escrow] names no recipient{group}, so nobody could open a PIN again. Next: run `keybench escrow keygen --out FILE` and put the recipient it prints into the settings"
    )]
    Nobody {
        /// Which group, for people; empty when there is one.
        group: &'static str,
    },
    /// The same recipient twice.
    #[error("[escrow] entry {entry}{group} is there twice: {recipient}. Next: remove one")]
    Twice {
        /// Which entry is the second.
        entry: usize,
        /// Which group, for people; empty when there is one.
        group: &'static str,
        /// It.
        recipient: String,
    },
    /// One custodian in both groups could open PINs alone.
    #[error(
        "[escrow] {0} is in both groups and could open PINs alone, which dual = true is to prevent. Next: leave it in one group"
    )]
    InBoth(String),
    /// One list that can't be split under dual control.
    #[error(
        "[escrow] dual = true needs two groups; there are {0} recipients in one list. Next: name exactly two, or put those of the second group into second_recipients"
    )]
    NotTwo(usize),
    /// A second group without dual control would do nothing.
    #[error("[escrow] second_recipients has an effect with dual = true only. Next: set dual = true, or remove it")]
    SecondUnused,
}

/// The custodians. Never empty.
#[derive(Debug, Clone)]
pub struct Recipients {
    first: Vec<Recipient>,
    second: Vec<Recipient>,
}

impl Recipients {
    /// The settings' `[escrow] recipients`, `second_recipients` and `dual`. With `dual` and no second list, two entries are
    /// one for each group.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_settings(first: &[String], second: &[String], dual: bool) -> Result<Self, Vec<RecipientsError>> {
        match (first, second, dual) {
            (all, [], false) => Self::single(all),
            (_, _, false) => Err(vec![RecipientsError::SecondUnused]),
            ([first, second], [], true) => Self::dual(std::slice::from_ref(first), std::slice::from_ref(second)),
            ([], _, true) => Err(vec![RecipientsError::Nobody { group: "" }]),
            (all, [], true) => Err(vec![RecipientsError::NotTwo(all.len())]),
            (first, second, true) => Self::dual(first, second),
        }
    }

    /// One group: any one of them opens a PIN.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn single(texts: &[String]) -> Result<Self, Vec<RecipientsError>> {
        let mut wrong = Vec::new();
        let first = group(texts, "", &mut wrong);
        if wrong.is_empty() { Ok(Self { first, second: Vec::new() }) } else { Err(wrong) }
    }

    /// Two groups: it takes one of each.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn dual(first: &[String], second: &[String]) -> Result<Self, Vec<RecipientsError>> {
        let mut wrong = Vec::new();
        let first = group(first, " of the first group", &mut wrong);
        let second = group(second, " of the second group", &mut wrong);
        for both in first.iter().filter(|one| second.iter().any(|other| other.text == one.text)) {
            wrong.push(RecipientsError::InBoth(both.text.clone()));
        }
        if wrong.is_empty() { Ok(Self { first, second }) } else { Err(wrong) }
    }

    /// First group: its layer is the inner one.
    pub fn first(&self) -> &[Recipient] {
        &self.first
    }

    /// Second group; empty without dual control.
    pub fn second(&self) -> &[Recipient] {
        &self.second
    }

    /// Whether opening takes two.
    pub fn is_dual(&self) -> bool {
        !self.second.is_empty()
    }

    /// The plugins that sealing starts as child processes. A child inherits the environment: whoever keeps a secret there must
    /// know.
    pub fn plugins(&self) -> BTreeSet<&str> {
        self.first.iter().chain(&self.second).filter_map(Recipient::plugin).collect()
    }

    /// Fingerprints of both groups, sorted, as the ledger's `custodians-set` entry holds them.
    pub fn fingerprints(&self) -> (Vec<String>, Vec<String>) {
        (sorted(&self.first), sorted(&self.second))
    }

    /// Compares the settings' recipients with those in force (first and second group by fingerprint, from the ledger's last
    /// `custodians-set` entry).
    ///
    /// # Errors
    /// [`NotThePinned`] when they differ: settings don't change custodians.
    pub fn against(&self, in_force: Option<(&[String], &[String])>) -> Result<PinnedSet, NotThePinned> {
        let Some((first, second)) = in_force else {
            return Ok(PinnedSet::FirstSet);
        };
        let (ours, theirs) = (self.fingerprints(), (first, second));
        let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        let groups = [(set(&ours.0), set(theirs.0)), (set(&ours.1), set(theirs.1))];
        if groups.iter().all(|(ours, theirs)| ours == theirs) {
            return Ok(PinnedSet::Match);
        }
        let difference = |added: bool| {
            groups
                .iter()
                .flat_map(|(ours, theirs)| {
                    let (from, without) = if added { (ours, theirs) } else { (theirs, ours) };
                    from.difference(without).cloned().collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
        };
        Err(NotThePinned { added: difference(true), missing: difference(false) })
    }
}

fn sorted(group: &[Recipient]) -> Vec<String> {
    let mut all: Vec<String> = group.iter().map(Recipient::fingerprint).collect();
    all.sort_unstable();
    all
}

fn group(texts: &[String], group: &'static str, wrong: &mut Vec<RecipientsError>) -> Vec<Recipient> {
    if texts.is_empty() {
        wrong.push(RecipientsError::Nobody { group });
    }
    let mut all: Vec<Recipient> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let entry = index.saturating_add(1);
        match Recipient::parse(text.trim()) {
            Ok(recipient) if all.iter().any(|other| other.text == recipient.text) => {
                wrong.push(RecipientsError::Twice { entry, group, recipient: recipient.text });
            }
            Ok(recipient) => all.push(recipient),
            Err(why) => wrong.push(RecipientsError::NotARecipient { entry, group, why }),
        }
    }
    all
}

/// How the settings' recipients stand to those in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedSet {
    /// The same.
    Match,
    /// None are in force yet: these become the first set, and the ledger is to say so before anything is sealed.
    FirstSet,
}

/// The settings name other custodians than the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the recipients in the settings are not the custodians in force: {}. A settings file can't change who opens PINs. Next: put the settings back, or let an existing custodian change the set with their identity",
    describe(.added, .missing)
)]
pub struct NotThePinned {
    /// Fingerprints that only the settings have.
    pub added: Vec<String>,
    /// Fingerprints that only the ledger has.
    pub missing: Vec<String>,
}

fn describe(added: &[String], missing: &[String]) -> String {
    let part = |what: &str, list: &[String]| (!list.is_empty()).then(|| format!("{what} {}", list.join(", ")));
    [part("new in the settings:", added), part("missing in the settings:", missing)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> String {
        age::x25519::Identity::generate().to_public().to_string()
    }

    /// From the age-plugin-yubikey README; sealing to it starts the plugin.
    const YUBIKEY: &str = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";

    #[test]
    fn both_kinds_are_read_and_named() {
        let native = fresh();
        let both = Recipients::single(&[format!("  {native}\n"), YUBIKEY.to_owned()]).expect("valid");
        assert_eq!(both.plugins().into_iter().collect::<Vec<_>>(), ["yubikey"]);
        assert_eq!(both.first().first().map(Recipient::as_str), Some(native.as_str()));
        assert!(!both.is_dual());
        let print = both.first().first().map(Recipient::fingerprint).unwrap_or_default();
        assert_eq!(print.len(), 16);
        assert!(both.fingerprints().0.contains(&print));
    }

    #[test]
    fn what_is_wrong_is_said_entry_by_entry_without_the_secret() {
        use age::secrecy::ExposeSecret as _;
        let identity = age::x25519::Identity::generate();
        let secret = identity.to_string().expose_secret().to_owned();
        let mut damaged = fresh();
        damaged.pop();
        let good = fresh();
        let list = [good.clone(), secret.clone(), damaged, "ssh-ed25519 AAAA".into(), "kim".into(), good];
        let wrong = Recipients::single(&list).expect_err("invalid");
        assert_eq!(wrong.len(), 5);
        let shown = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for expected in ["entry 2 ", "entry 3 ", "entry 4 ", "entry 5 ", "entry 6 ", "SSH", "copy it again", "twice"] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
        assert!(!shown.contains(&secret) && !format!("{wrong:?}").contains(&secret));
    }

    #[test]
    fn dual_control_needs_two_people() {
        let (a, b, c) = (fresh(), fresh(), fresh());
        let dual = Recipients::from_settings(&[a.clone(), b.clone()], &[], true).expect("valid");
        assert!(dual.is_dual());
        assert_eq!(
            Recipients::from_settings(&[a.clone(), b.clone(), c.clone()], &[], true).err(),
            Some(vec![RecipientsError::NotTwo(3)])
        );
        assert_eq!(
            Recipients::dual(&[a.clone(), b.clone()], std::slice::from_ref(&a)).err(),
            Some(vec![RecipientsError::InBoth(a.clone())])
        );
        assert_eq!(Recipients::from_settings(&[], &[], false).err(), Some(vec![RecipientsError::Nobody { group: "" }]));
        let three = Recipients::from_settings(&[a.clone(), b.clone()], std::slice::from_ref(&c), true).expect("valid");
        assert_eq!((three.first().len(), three.second().len()), (2, 1));
        let unused = Recipients::from_settings(std::slice::from_ref(&a), &[c], false);
        assert_eq!(unused.err(), Some(vec![RecipientsError::SecondUnused]));
        assert!(matches!(Recipients::dual(&[b], &[]).err().as_deref(), Some([RecipientsError::Nobody { .. }])));
    }

    #[test]
    fn settings_do_not_change_custodians() {
        let (a, b) = (fresh(), fresh());
        let one = Recipients::single(std::slice::from_ref(&a)).expect("valid");
        let two = Recipients::single(&[b.clone(), a.clone()]).expect("valid");
        let swapped = Recipients::single(&[a.clone(), b.clone()]).expect("valid");
        assert_eq!(one.against(None), Ok(PinnedSet::FirstSet));
        let in_force = two.fingerprints();
        assert_eq!(swapped.against(Some((&in_force.0, &in_force.1))), Ok(PinnedSet::Match), "order is nothing");
        let error = one.against(Some((&in_force.0, &in_force.1))).expect_err("differs");
        assert_eq!((error.added.len(), error.missing.len()), (0, 1));
        // The same people, but now one of them would do.
        let dual = Recipients::dual(&[a], &[b]).expect("valid").fingerprints();
        assert!(two.against(Some((&dual.0, &dual.1))).is_err());
    }
}
