//! The authentication methods policy, as a file says it.

use super::table::{At, Table};
use crate::model::Aaguid;

/// Whether a method is on, and for whom. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// On or off.
    pub on: Option<At<bool>>,
    /// For whom: the whole list.
    pub include: Option<Vec<At<String>>>,
    /// For whom not, which counts more: the whole list.
    pub exclude: Option<Vec<At<String>>>,
}

/// Which key models a profile takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Any.
    Any,
    /// These.
    Only(Vec<Aaguid>),
    /// All but these.
    Except(Vec<Aaguid>),
}

/// A passkey profile. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, by which it is found.
    pub name: At<String>,
    /// Its id, by which it is found before its name.
    pub id: Option<At<String>>,
    /// It may be a security key or a passkey of one phone.
    pub device_bound: Option<bool>,
    /// It may be a passkey that is synced between devices.
    pub synced: Option<bool>,
    /// A key must prove its model when it is registered.
    pub attestation: Option<At<bool>>,
    /// Which models.
    pub keys: Option<Keys>,
    /// Who may use it: the whole list.
    pub audience: Option<Vec<At<String>>>,
}

/// Passkeys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fido2 {
    /// On, and for whom.
    pub scope: Scope,
    /// People may register their own; registration by an administrator needs it as well.
    pub self_service: Option<At<bool>>,
    /// Profiles to have.
    pub profiles: Vec<Profile>,
    /// Profiles to delete, by name.
    pub remove: Vec<At<String>>,
}

/// Temporary Access Passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// On, and for whom.
    pub scope: Scope,
    /// Characters, 8 to 48.
    pub length: Option<At<u32>>,
    /// Minutes a pass lives unless said otherwise.
    pub minutes: Option<At<u32>>,
    /// Least minutes.
    pub least_minutes: Option<At<u32>>,
    /// Most minutes.
    pub most_minutes: Option<At<u32>>,
    /// All passes work once only; otherwise each says so itself.
    pub one_time: Option<At<bool>>,
}

/// What Authenticator may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both.
    Any,
    /// Approving as a second factor.
    Push,
    /// Phone sign-in, which the portal calls passwordless.
    Passwordless,
}

impl Mode {
    /// As Graph writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Push => "push",
            Self::Passwordless => "deviceBasedPush",
        }
    }
}

/// Microsoft Authenticator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authenticator {
    /// On, and for whom.
    pub scope: Scope,
    /// What for, for everybody in scope.
    pub mode: Option<At<Mode>>,
    /// Its codes may be used.
    pub codes: Option<At<bool>>,
}

/// Methods that have nothing but a switch and a scope here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Simple {
    /// OATH tokens one can hold. Beta.
    HardwareOath,
    /// OATH codes of apps.
    SoftwareOath,
    /// Text messages.
    Sms,
    /// Calls.
    Voice,
    /// Codes by mail.
    Email,
}

impl Simple {
    /// All.
    pub const ALL: [Self; 5] = [Self::HardwareOath, Self::SoftwareOath, Self::Sms, Self::Voice, Self::Email];

    /// Its section in a file.
    pub fn section(self) -> &'static str {
        match self {
            Self::HardwareOath => "hardware_oath",
            Self::SoftwareOath => "software_oath",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Email => "email",
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HardwareOath => "Hardware OATH tokens",
            Self::SoftwareOath => "Software OATH tokens",
            Self::Sms => "SMS",
            Self::Voice => "Voice call",
            Self::Email => "Email OTP",
        }
    }
}

/// A method with a switch and a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Which.
    pub method: Simple,
    /// On, and for whom.
    pub scope: Scope,
}

/// Microsoft-managed, on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Managed {
    /// Microsoft decides.
    Default,
    /// On.
    On,
    /// Off.
    Off,
}

impl Managed {
    /// As Graph writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::On => "enabled",
            Self::Off => "disabled",
        }
    }
}

const MANAGED: [(&str, Managed); 3] = [("default", Managed::Default), ("on", Managed::On), ("off", Managed::Off)];

/// A switch that Microsoft may decide, with a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switch {
    /// How it stands.
    pub state: Option<At<Managed>>,
    /// For whom; its `on` is not used.
    pub scope: Scope,
}

/// The registration campaign: the page that asks people to register something stronger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Campaign {
    /// How it stands.
    pub state: Option<At<Managed>>,
    /// For whom; its `on` is not used.
    pub scope: Scope,
    /// What is asked for: a passkey, or Authenticator.
    pub passkey: Option<At<bool>>,
    /// Days until it asks again, 0 to 14.
    pub snooze_days: Option<At<u32>>,
    /// It stops taking no for an answer after three times. Beta.
    pub forced: Option<At<bool>>,
}

/// What is set person by person. Beta.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerPerson {
    /// Whose.
    pub people: Vec<At<String>>,
    /// The old per-user MFA: `disabled`, `enabled`, `enforced`.
    pub mfa: Option<At<&'static str>>,
    /// Which second factor is asked for first, by Graph's word.
    pub second_factor: Option<At<&'static str>>,
    /// The system chooses which method is asked for.
    pub system_preferred: Option<At<bool>>,
}

fn scope(table: &Table<'_, '_>) -> Scope {
    let on = table.choice("state", &[("on", true), ("off", false)]);
    Scope { on, ..audience(table) }
}

fn audience(table: &Table<'_, '_>) -> Scope {
    let list = |key| {
        let list: Option<Vec<At<String>>> = table.texts(key);
        for word in list.iter().flatten().filter(|word| word.value == "guests") {
            table.wrong(word.place, key, "this list takes groups, \"all\" and \"user:…\"; guests can't be named here");
        }
        list
    };
    let (include, exclude) = (list("include"), list("exclude"));
    for word in exclude.iter().flatten().filter(|word| word.value == "all") {
        table.wrong(word.place, "exclude", "to exclude everybody, switch the method off");
    }
    Scope { on: None, include, exclude }
}

pub(super) fn fido2(table: Table<'_, '_>) -> Fido2 {
    let mut read = Fido2 {
        scope: scope(&table),
        self_service: table.boolean("self_service"),
        profiles: Vec::new(),
        remove: table.texts("remove_profiles").unwrap_or_default(),
    };
    for one in table.tables("profile") {
        if let Some(profile) = profile(one) {
            if read.profiles.iter().any(|other: &Profile| other.name.eq_ignore_ascii_case(&profile.name)) {
                table.wrong(profile.name.place, "profile.name", "there are two profiles of this name");
            }
            read.profiles.push(profile);
        }
    }
    for name in &read.remove {
        if read.profiles.iter().any(|profile| profile.name.eq_ignore_ascii_case(name)) {
            table.wrong(name.place, "remove_profiles", "this profile is described below as well: which is meant?");
        }
    }
    table.finish();
    read
}

fn profile(table: Table<'_, '_>) -> Option<Profile> {
    let name = table.text("name");
    if name.is_none() && !table.has("name") {
        table.wrong_here("this profile needs a name");
    }
    let id = table.text("id");
    if let Some(id) = id.as_ref().filter(|id| uuid::Uuid::try_parse(id).is_err()) {
        table.wrong(id.place, "id", "this must be a GUID; leave it out to go by the name");
    }
    let types = table.texts("types");
    for one in types.iter().flatten().filter(|one| !matches!(one.as_str(), "device-bound" | "synced")) {
        table.wrong(one.place, "types", "this must be \"device-bound\" or \"synced\"");
    }
    if types.as_ref().is_some_and(Vec::is_empty) {
        table.wrong_here("types is empty: a profile needs \"device-bound\", \"synced\" or both");
    }
    let has = |kind: &str| types.as_ref().map(|types| types.iter().any(|one| one.as_str() == kind));
    let attestation = table.choice("attestation", &[("required", true), ("off", false)]);
    let (device_bound, synced) = (has("device-bound"), has("synced"));
    if let (Some(attestation), Some(true)) = (&attestation, synced)
        && attestation.value
    {
        // Microsoft Learn, "Enable passkeys (FIDO2)": synced passkeys give no attestation.
        table.wrong(
            attestation.place,
            "attestation",
            "synced passkeys give no attestation: they could not be registered",
        );
    }
    let list = table.texts("aaguids");
    let aaguids = aaguids(&table, "aaguids", list.as_deref());
    let rule = table.choice("keys", &[("any", 0u8), ("only", 1), ("except", 2)]);
    let keys = match (rule, list.is_some()) {
        (Some(rule), _) if rule.value == 0 => {
            if !aaguids.is_empty() {
                table.wrong(rule.place, "keys", "\"any\" goes with no aaguids; say \"only\" or \"except\"");
            }
            Some(Keys::Any)
        }
        (Some(rule), _) if rule.value == 1 => {
            if aaguids.is_empty() && list.as_ref().is_none_or(Vec::is_empty) {
                table.wrong(rule.place, "keys", "\"only\" needs aaguids: with none, no key at all would work");
            }
            Some(Keys::Only(aaguids))
        }
        (Some(_), _) => Some(Keys::Except(aaguids)),
        (None, true) => {
            if !table.has("keys") {
                table.wrong_here("aaguids are given without keys = \"only\" or keys = \"except\"");
            }
            None
        }
        (None, false) => None,
    };
    let audience = table.texts("for");
    for word in audience.iter().flatten().filter(|word| word.value == "guests") {
        table.wrong(word.place, "for", "this list takes groups, \"all\" and \"user:…\"");
    }
    table.finish();
    Some(Profile { name: name?, id, device_bound, synced, attestation, keys, audience })
}

/// AAGUIDs without repetitions, in the file's order.
pub(super) fn aaguids(table: &Table<'_, '_>, key: &'static str, list: Option<&[At<String>]>) -> Vec<Aaguid> {
    let mut found = Vec::new();
    for text in list.into_iter().flatten() {
        match Aaguid::parse(text) {
            Some(aaguid) if !found.contains(&aaguid) => found.push(aaguid),
            Some(_) => {}
            None => table.wrong(
                text.place,
                key,
                "an AAGUID is a GUID like 2fc0579f-8113-47ea-b116-bb5a8db9202a; `keybench key info` shows a key's",
            ),
        }
    }
    found
}

pub(super) fn pass(table: Table<'_, '_>) -> Pass {
    // Microsoft Graph, temporaryAccessPassAuthenticationMethodConfiguration: the ranges.
    let read = Pass {
        scope: scope(&table),
        length: table.number("length", 8..=48),
        minutes: table.number("minutes", 10..=43_200),
        least_minutes: table.number("least_minutes", 10..=43_200),
        most_minutes: table.number("most_minutes", 10..=43_200),
        one_time: table.boolean("one_time"),
    };
    for (small, large, what) in [
        (&read.least_minutes, &read.minutes, "least_minutes must not be more than minutes"),
        (&read.minutes, &read.most_minutes, "minutes must not be more than most_minutes"),
        (&read.least_minutes, &read.most_minutes, "least_minutes must not be more than most_minutes"),
    ] {
        if let (Some(small), Some(large)) = (small, large)
            && small.value > large.value
        {
            table.wrong(small.place, small.field.rsplit('.').next().unwrap_or(""), what);
        }
    }
    table.finish();
    read
}

pub(super) fn authenticator(table: Table<'_, '_>) -> Authenticator {
    let modes = [("any", Mode::Any), ("push", Mode::Push), ("passwordless", Mode::Passwordless)];
    let read =
        Authenticator { scope: scope(&table), mode: table.choice("mode", &modes), codes: table.boolean("codes") };
    table.finish();
    read
}

pub(super) fn plain(method: Simple, table: Table<'_, '_>) -> Plain {
    let read = Plain { method, scope: scope(&table) };
    table.finish();
    read
}

pub(super) fn campaign(table: Table<'_, '_>) -> Campaign {
    let read = Campaign {
        state: table.choice("state", &MANAGED),
        scope: audience(&table),
        passkey: table.choice("ask_for", &[("passkey", true), ("authenticator", false)]),
        snooze_days: table.number("snooze_days", 0..=14),
        forced: table.boolean("forced"),
    };
    table.finish();
    read
}

pub(super) fn switch(table: Table<'_, '_>) -> Switch {
    let read = Switch { state: table.choice("state", &MANAGED), scope: audience(&table) };
    table.finish();
    read
}

pub(super) fn per_person(table: Table<'_, '_>) -> PerPerson {
    let words = |words: &[&'static str]| -> Vec<(&'static str, &'static str)> {
        words.iter().map(|word| (*word, *word)).collect()
    };
    let read = PerPerson {
        people: table.texts("people").unwrap_or_default(),
        mfa: table.choice("mfa", &words(&["disabled", "enabled", "enforced"])),
        second_factor: table.choice(
            "second_factor",
            &words(&["push", "oath", "voiceMobile", "voiceAlternateMobile", "voiceOffice", "sms"]),
        ),
        system_preferred: table.boolean("system_preferred"),
    };
    if read.people.is_empty() && !table.has("people") {
        table.wrong_here("people is missing: whose settings are these?");
    }
    for word in &read.people {
        if matches!(word.as_str(), "all" | "guests") {
            table.wrong(word.place, "people", "this takes groups and \"user:…\": every person is a call of their own");
        }
    }
    table.finish();
    read
}
