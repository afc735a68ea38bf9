//! May these people have a key? Pure: roster rows and what the directory says, to people and refusals.
//!
//! Promise: every row is either among the people or among the refused, once. Privileged people are refused here even
//! where the tenant would let them through (an app-only token would): this check holds alone.

use std::collections::HashMap;
use std::fmt;

use super::file::RosterRow;
use super::first_device::{self, CanChange};
use super::kind::{self, Model};
use crate::model::{Aaguid, FirstDevice, Person, Upn, UserId};

/// What the directory says of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// Object id.
    pub id: UserId,
    /// User principal name there.
    pub upn: Upn,
    /// Display name there.
    pub display_name: String,
    /// `accountEnabled`.
    pub enabled: bool,
    /// `userType` is Guest, or the account is from elsewhere.
    pub guest: bool,
    /// Directory roles and role-assignable groups this person has, by name; empty for almost everybody.
    pub privileged: Vec<String>,
    /// Member of the group that is allowed to have keys; `None` when that was not read.
    pub in_allowed_group: Option<bool>,
    /// Passkeys registered now; `None` when that was not read.
    pub passkeys: Option<usize>,
    /// The account that keybench is signed in with.
    pub is_caller: bool,
}

/// What a run allows.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// `--allow-privileged`.
    pub allow_privileged: Vec<Upn>,
    /// `[tenant] allowed_group`, for messages and as the wish that it be checked.
    pub allowed_group: Option<String>,
    /// Every model that a key can be of, where that is known (metadata); then a kind that fits none is refused.
    pub models: Option<Vec<Model>>,
    /// A forced PIN change is wanted.
    pub force_change: bool,
    /// Leave it off where the first device can't do it.
    pub leave_off: bool,
    /// Keys that earlier runs finished, by person: they are asked for, and registered, already.
    pub finished: HashMap<UserId, u32>,
}

/// Why a person can't have a key. The text is the code in `--json` and in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCode {
    /// The directory has nobody by this name.
    UnknownPerson,
    /// On an earlier row already, by this name or another.
    Duplicate,
    /// The signed-in account itself.
    Myself,
    /// The account is disabled.
    Disabled,
    /// A guest.
    Guest,
    /// Holds a role.
    Privileged,
    /// Not in the allowed group.
    OutsideGroup,
    /// The tenant's passkey policy leaves them out.
    OutsidePolicy,
    /// Would have more than the tenant allows.
    TooManyPasskeys,
    /// No model of this kind exists.
    UnknownKeyKind,
    /// Has another name than when the job was planned, and nobody confirmed it.
    RenamedUnconfirmed,
}

impl RefusalCode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::UnknownPerson,
        Self::Duplicate,
        Self::Myself,
        Self::Disabled,
        Self::Guest,
        Self::Privileged,
        Self::OutsideGroup,
        Self::OutsidePolicy,
        Self::TooManyPasskeys,
        Self::UnknownKeyKind,
        Self::RenamedUnconfirmed,
    ];

    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPerson => "unknown-person",
            Self::Duplicate => "duplicate",
            Self::Myself => "self",
            Self::Disabled => "disabled",
            Self::Guest => "guest",
            Self::Privileged => "privileged",
            Self::OutsideGroup => "outside-group",
            Self::OutsidePolicy => "outside-policy",
            Self::TooManyPasskeys => "too-many-passkeys",
            Self::UnknownKeyKind => "unknown-key-kind",
            Self::RenamedUnconfirmed => "renamed-unconfirmed",
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Entra's limit of passkeys for one account.
pub const MOST_PASSKEYS: usize = 10;

/// A person who can't have a key, with every reason; the code is the first one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row's line.
    pub line: Option<u32>,
    /// As the roster writes it.
    pub upn: Upn,
    /// Where the directory knows the person.
    pub id: Option<UserId>,
    /// Keys asked for.
    pub keys: u32,
    /// The gravest reason.
    pub code: RefusalCode,
    /// All reasons, in one sentence each.
    pub reason: String,
    /// What to do about it.
    pub next: String,
}

/// A person who can have a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPerson {
    /// The row's line.
    pub line: Option<u32>,
    /// Who.
    pub person: Person,
    /// How many keys.
    pub keys: u32,
    /// A forced PIN change is wanted for this person.
    pub force_change: bool,
}

/// Something to know before the first key; nobody is refused for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The row's line.
    pub line: Option<u32>,
    /// Whom it is about; `None` for a rule that fits nobody.
    pub upn: Option<Upn>,
    /// A short code: `name-cut`, `first-device`, `force-change-left-off`, `renamed`, `allow-privileged-unused`.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
}

/// A roster after the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedRoster {
    /// Who gets a key, in the roster's order.
    pub people: Vec<CheckedPerson>,
    /// Who doesn't, in the roster's order.
    pub refused: Vec<Refusal>,
    /// In the roster's order.
    pub warnings: Vec<Warning>,
}

/// Checks every row. `facts` are what the directory answered for each name as the roster writes it; a name without facts
/// is one that the directory does not know.
pub fn check(rows: &[RosterRow], facts: &HashMap<Upn, DirectoryFacts>, rules: &Rules) -> CheckedRoster {
    let mut checked = CheckedRoster::default();
    let mut first_row: HashMap<UserId, (Option<u32>, Upn)> = HashMap::new();
    let mut unknown_names: HashMap<Upn, Option<u32>> = HashMap::new();
    for row in rows {
        let Some(found) = facts.get(&row.upn) else {
            let reasons = match unknown_names.insert(row.upn.clone(), row.line) {
                Some(earlier) => vec![duplicate(earlier, &row.upn, &row.upn)],
                None => vec![unknown(&row.upn)],
            };
            checked.refused.extend(refusal(row, None, reasons));
            continue;
        };
        let mut reasons = Vec::new();
        match first_row.get(&found.id) {
            Some((line, upn)) => reasons.push(duplicate(*line, upn, &row.upn)),
            None => {
                first_row.insert(found.id.clone(), (row.line, row.upn.clone()));
            }
        }
        // A row that repeats another gets no second set of complaints about the same person.
        if reasons.is_empty() {
            reasons.extend(about_the_person(found, rules));
            reasons.extend(about_the_keys(row, found, rules));
        }
        if !reasons.is_empty() {
            checked.refused.extend(refusal(row, Some(&found.id), reasons));
            continue;
        }
        let force_change = warn(row, found, rules, &mut checked.warnings);
        checked.people.push(CheckedPerson {
            line: row.line,
            person: Person {
                id: found.id.clone(),
                upn: found.upn.clone(),
                display_name: found.display_name.clone(),
                address: row.address.clone(),
                first_device: row.first_device,
                key_kind: row.key_kind.clone(),
                serial: row.serial.clone(),
                language: row.language.clone(),
                spare_address: row.spare_address.clone(),
            },
            keys: row.keys,
            force_change,
        });
    }
    for upn in &rules.allow_privileged {
        let used = rows.iter().any(|row| row.upn == *upn || facts.get(&row.upn).is_some_and(|found| found.upn == *upn));
        if !used {
            checked.warnings.push(Warning {
                line: None,
                upn: None,
                code: "allow-privileged-unused",
                text: format!("--allow-privileged {upn} fits nobody in this roster"),
            });
        }
    }
    checked
}

struct Reason {
    code: RefusalCode,
    reason: String,
    next: String,
}

fn reason(code: RefusalCode, reason: impl Into<String>, next: impl Into<String>) -> Reason {
    Reason { code, reason: reason.into(), next: next.into() }
}

fn refusal(row: &RosterRow, id: Option<&UserId>, reasons: Vec<Reason>) -> Option<Refusal> {
    let all = reasons.iter().map(|reason| reason.reason.as_str()).collect::<Vec<_>>().join(" ");
    let next = reasons.iter().map(|reason| reason.next.as_str()).collect::<Vec<_>>().join(" ");
    let gravest = reasons.into_iter().min_by_key(|reason| reason.code)?;
    Some(Refusal {
        line: row.line,
        upn: row.upn.clone(),
        id: id.cloned(),
        keys: row.keys,
        code: gravest.code,
        reason: all,
        next,
    })
}

fn unknown(upn: &Upn) -> Reason {
    reason(
        RefusalCode::UnknownPerson,
        format!("The tenant has nobody called {upn}."),
        "Correct the name, or check that the tenant is the right one.",
    )
}

fn duplicate(line: Option<u32>, earlier: &Upn, upn: &Upn) -> Reason {
    let place = line.map_or_else(|| "earlier".to_owned(), |line| format!("on line {line}"));
    let what = if earlier == upn {
        format!("{upn} stands {place} already.")
    } else {
        format!("{upn} is the same account as {earlier}, who stands {place} already.")
    };
    reason(RefusalCode::Duplicate, what, "Take one of the two lines out; for several keys give a number of keys.")
}

fn about_the_person(found: &DirectoryFacts, rules: &Rules) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let upn = &found.upn;
    if found.is_caller {
        reasons.push(reason(
            RefusalCode::Myself,
            format!("{upn} is the account that keybench is signed in with; nobody can provision a key for themselves."),
            "Have a colleague provision this one.",
        ));
    }
    if !found.enabled {
        reasons.push(reason(
            RefusalCode::Disabled,
            format!("The account of {upn} is disabled."),
            "Enable it, or take the line out.",
        ));
    }
    if found.guest {
        reasons.push(reason(
            RefusalCode::Guest,
            format!("{upn} is a guest, and Entra takes no passkeys for guests."),
            "Provision the key in the person's home tenant.",
        ));
    }
    if !found.privileged.is_empty() && !rules.allow_privileged.iter().any(|allowed| allowed == upn) {
        reasons.push(reason(
            RefusalCode::Privileged,
            format!("{upn} holds {}.", found.privileged.join(", ")),
            format!("If this person is to get a key from this bench, name them: --allow-privileged {upn}"),
        ));
    }
    if let Some(group) = &rules.allowed_group {
        match found.in_allowed_group {
            Some(true) => {}
            Some(false) => reasons.push(reason(
                RefusalCode::OutsideGroup,
                format!("{upn} is not a member of {group}, the group that may have keys."),
                "Add the person to that group, or take the line out.",
            )),
            None => reasons.push(reason(
                RefusalCode::OutsideGroup,
                format!("Whether {upn} is a member of {group} could not be read."),
                "Run keybench doctor: reading group members may lack a permission.",
            )),
        }
    }
    reasons
}

fn about_the_keys(row: &RosterRow, found: &DirectoryFacts, rules: &Rules) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let done = rules.finished.get(&found.id).copied().unwrap_or(0);
    let wanted = usize::try_from(row.keys.saturating_sub(done)).unwrap_or(usize::MAX);
    if let Some(passkeys) = found.passkeys
        && wanted > 0
        && passkeys.saturating_add(wanted) > MOST_PASSKEYS
    {
        reasons.push(reason(
            RefusalCode::TooManyPasskeys,
            format!(
                "{} has {passkeys} passkeys and would get {wanted} more; the tenant takes {MOST_PASSKEYS} a person.",
                found.upn
            ),
            "Delete passkeys that are no longer used.",
        ));
    }
    // A model may be told by its id although no list has it yet.
    if let (Some(kind), Some(models)) = (&row.key_kind, &rules.models)
        && Aaguid::parse(&kind.0).is_none()
        && !models.iter().any(|model| kind::fits(kind, model.aaguid, Some(&model.name)))
    {
        reasons.push(reason(
            RefusalCode::UnknownKeyKind,
            format!("No known key is of the kind \"{}\".", kind.0),
            "Write words of the model's name, or its AAGUID; keybench key info shows both.",
        ));
    }
    reasons
}

/// Notes what is worth knowing, and says whether a forced PIN change is wanted for this person.
fn warn(row: &RosterRow, found: &DirectoryFacts, rules: &Rules, warnings: &mut Vec<Warning>) -> bool {
    let mut note = |code: &'static str, text: String| {
        warnings.push(Warning { line: row.line, upn: Some(found.upn.clone()), code, text });
    };
    if row.upn != found.upn {
        note("renamed", format!("{} is called {} in the tenant", row.upn, found.upn));
    }
    let cut = cut_name(&found.display_name);
    if cut.len() < found.display_name.len() {
        note("name-cut", format!("the display name has {} bytes; the key shows \"{cut}\"", found.display_name.len()));
    }
    match row.first_device {
        Some(which) if rules.force_change => {
            let device = first_device::device(which);
            match device.can_change {
                CanChange::Yes => true,
                CanChange::App => {
                    note("first-device", first_use(which));
                    true
                }
                CanChange::No if rules.leave_off => {
                    note("force-change-left-off", format!("{}; no change is forced", first_use(which)));
                    false
                }
                CanChange::No => {
                    note("first-device", first_use(which));
                    true
                }
            }
        }
        Some(_) | None => rules.force_change,
    }
}

fn first_use(which: FirstDevice) -> String {
    let device = first_device::device(which);
    format!("on {} the PIN can be changed {}", device.name, device.how)
}

/// The most bytes of a name that every key keeps: CTAP 2.1 §6.1.2 step 17 lets a key cut `user.name` and
/// `user.displayName` after 64 bytes of UTF-8.
pub const LONGEST_NAME: usize = 64;

/// A name as the key will show it: cut at a character, never within one.
pub fn cut_name(name: &str) -> &str {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or(name)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
