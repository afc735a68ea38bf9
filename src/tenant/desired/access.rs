//! Strengths, places and Conditional Access policies, as a file says them.

use super::methods::aaguids;
use super::table::{At, Table};
use super::{Desired, cidr};
use crate::model::Aaguid;

/// An authentication strength of the tenant's own. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strength {
    /// Its name, by which it is found.
    pub name: At<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// Combinations that are enough, each as Graph writes it without spaces, e.g. `password,hardwareOath`.
    pub allow: Option<Vec<String>>,
    /// Key models that count for `fido2`; empty: any.
    pub aaguids: Option<Vec<Aaguid>>,
}

/// A named place. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its name, by which it is found.
    pub name: At<String>,
    /// What it is made of.
    pub kind: LocationKind,
}

/// What a place is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationKind {
    /// Countries by ISO 3166 alpha-2, in upper case.
    Countries {
        /// Which.
        codes: Vec<String>,
        /// Addresses of no known country count as inside.
        unknown_too: Option<bool>,
    },
    /// Address ranges in CIDR notation.
    Ranges {
        /// Which.
        ranges: Vec<String>,
        /// It counts as trusted.
        trusted: Option<bool>,
    },
}

/// What somebody is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Register security information.
    RegisterSecurityInfo,
    /// Register or join a device.
    RegisterDevice,
    /// Sign in to these apps: `All`, `Office365`, `MicrosoftAdminPortals` or app ids.
    SignIn(Vec<String>),
}

impl Doing {
    /// Whether it is a user action, for which report-only proves nothing.
    pub fn is_user_action(&self) -> bool {
        !matches!(self, Self::SignIn(_))
    }
}

/// What a policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Nobody gets through.
    Block,
    /// Any multifactor authentication.
    Mfa,
    /// A device that Intune calls compliant.
    CompliantDevice,
    /// An authentication strength, by name.
    Strength(At<String>),
}

/// Whether a policy acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It acts.
    On,
    /// It is only logged.
    ReportOnly,
    /// It does nothing.
    Off,
}

impl Wanted {
    /// As Graph writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "enabled",
            Self::ReportOnly => "enabledForReportingButNotEnforced",
            Self::Off => "disabled",
        }
    }
}

/// A Conditional Access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Its name, by which it is found.
    pub name: At<String>,
    /// What for.
    pub doing: Doing,
    /// What it demands.
    pub demand: Demand,
    /// Whom it is for.
    pub include: Vec<At<String>>,
    /// Whom it spares, beside the break-glass accounts; `None`: as it is.
    pub exclude: Option<Vec<At<String>>>,
    /// Places it is for; `None`: as it is, in a new policy everywhere. `trusted` and `all` are words of their own.
    pub inside: Option<Vec<At<String>>>,
    /// Places it spares; `None`: as it is.
    pub outside: Option<Vec<At<String>>>,
    /// It spares who has not used a key yet.
    pub key_users_only: bool,
    /// Whether it acts.
    pub state: Wanted,
}

/// Names of the built-in strengths in a file, and their ids.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("mfa", "00000000-0000-0000-0000-000000000002"),
    ("passwordless", "00000000-0000-0000-0000-000000000003"),
    ("phishing-resistant", "00000000-0000-0000-0000-000000000004"),
];

fn named<'n, 't>(tables: Vec<Table<'n, 't>>) -> Vec<(At<String>, Table<'n, 't>)> {
    let mut found: Vec<(At<String>, Table<'n, 't>)> = Vec::new();
    for table in tables {
        let Some(name) = table.text("name") else {
            if !table.has("name") {
                table.wrong_here("a name is missing: it is found again by it");
            }
            continue;
        };
        if found.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            table.wrong(name.place, "name", "there are two of this name");
        }
        found.push((name, table));
    }
    found
}

pub(super) fn strengths(tables: Vec<Table<'_, '_>>) -> Vec<Strength> {
    let mut found = Vec::new();
    for (name, table) in named(tables) {
        if BUILT_IN.iter().any(|(built_in, _)| built_in.eq_ignore_ascii_case(&name)) {
            table.wrong(name.place, "name", "this is what a built-in strength is called here; choose another name");
        }
        let allow = table.texts("allow");
        if allow.as_ref().is_some_and(Vec::is_empty) {
            table.wrong_here("allow is empty: nobody could satisfy this strength");
        }
        let allow = allow.map(|list| list.iter().map(|text| combination(text)).collect());
        let models = table.texts("aaguids");
        let aaguids = models.is_some().then(|| aaguids(&table, "aaguids", models.as_deref()));
        found.push(Strength { name, description: table.text("description").map(|text| text.value), allow, aaguids });
        table.finish();
    }
    found
}

/// Without spaces, as Graph answers.
fn combination(text: &str) -> String {
    text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}

pub(super) fn locations(tables: Vec<Table<'_, '_>>) -> Vec<Location> {
    let mut found = Vec::new();
    for (name, table) in named(tables) {
        if matches!(name.as_str(), "all" | "trusted") {
            table.wrong(name.place, "name", "this word stands for something else in a policy; choose another name");
        }
        let (countries, ranges) = (table.texts("countries"), table.texts("ranges"));
        let (unknown_too, trusted) = (table.boolean("unknown_too"), table.boolean("trusted"));
        for code in countries.iter().flatten() {
            if code.len() != 2 || !code.chars().all(|c| c.is_ascii_alphabetic()) {
                table.wrong(code.place, "countries", "a country is two letters by ISO 3166, e.g. \"NL\"");
            }
        }
        for range in ranges.iter().flatten() {
            match cidr(range) {
                None => table.wrong(range.place, "ranges", "a range is written like 203.0.113.0/24 or 2001:db8::/64"),
                // Microsoft Learn, "Conditional Access: network assignment": masks larger than /8.
                Some((_, prefix)) if prefix <= 8 => {
                    table.wrong(range.place, "ranges", "Entra takes only ranges smaller than /8");
                }
                Some((address, _)) if is_private(address) => table.wrong(
                    range.place,
                    "ranges",
                    "this range is private: Entra sees the public address of the office, not this one",
                ),
                Some(_) => {}
            }
        }
        let kind = match (countries, ranges) {
            (Some(list), None) => {
                if let Some(trusted) = trusted {
                    table.wrong(trusted.place, "trusted", "only ranges can be trusted, not countries");
                }
                let codes = list.iter().map(|code| code.to_ascii_uppercase()).collect();
                Some(LocationKind::Countries { codes, unknown_too: unknown_too.map(|it| it.value) })
            }
            (None, Some(list)) => {
                if let Some(unknown_too) = unknown_too {
                    table.wrong(unknown_too.place, "unknown_too", "this goes with countries, not with ranges");
                }
                let ranges = list.into_iter().map(|range| range.value).collect();
                Some(LocationKind::Ranges { ranges, trusted: trusted.map(|it| it.value) })
            }
            (Some(_), Some(_)) => {
                table.wrong_here("a location is made of countries or of ranges, not of both");
                None
            }
            (None, None) => {
                table.wrong_here("a location needs countries or ranges");
                None
            }
        };
        table.finish();
        found.extend(kind.map(|kind| Location { name, kind }));
    }
    found
}

fn is_private(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(it) => it.is_private() || it.is_loopback() || it.is_link_local(),
        std::net::IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    }
}

pub(super) fn policies(tables: Vec<Table<'_, '_>>, desired: &Desired) -> Vec<Access> {
    let mut found = Vec::new();
    for (name, table) in named(tables) {
        let action = table.choice("on", &[("register-security-info", 0u8), ("register-device", 1), ("sign-in", 2)]);
        let apps = table.texts("apps");
        let doing = action.as_ref().map(|action| match action.value {
            0 => Doing::RegisterSecurityInfo,
            1 => Doing::RegisterDevice,
            _ => Doing::SignIn(apps.iter().flatten().map(|app| application(app)).collect()),
        });
        match (&doing, &apps) {
            (Some(Doing::SignIn(list)), _) if list.is_empty() => {
                table.wrong_here("signing in to what? say apps = [\"all\"], or name them");
            }
            (Some(Doing::RegisterSecurityInfo | Doing::RegisterDevice), Some(_)) => {
                table.wrong_here("apps goes with on = \"sign-in\" only");
            }
            (None, _) if !table.has("on") => table.wrong_here("on is missing: what is this policy about?"),
            _ => {}
        }
        let demand = demand(&table);
        if let (Some(Doing::RegisterDevice), Some(Demand::Block | Demand::CompliantDevice)) = (&doing, &demand) {
            // Microsoft Learn, "Conditional Access: target resources": the grants of this user action.
            table.wrong_here("for register-device Entra takes only demand = \"mfa\" or a strength");
        }
        let include = table.texts("include").unwrap_or_default();
        if include.is_empty() {
            table.wrong_here("include is missing: whom is this policy for?");
        }
        let exclude = table.texts("exclude");
        let (inside, outside) = (table.texts("inside"), table.texts("outside"));
        for place in outside.iter().flatten().filter(|place| place.value == "all") {
            table.wrong(place.place, "outside", "this would spare everybody everywhere");
        }
        let key_users_only = table.boolean("key_users_only").is_some_and(|it| it.value);
        let states = [("on", Wanted::On), ("report-only", Wanted::ReportOnly), ("off", Wanted::Off)];
        let state = table.choice("state", &states);
        if let (Some(state), Some(doing)) = (&state, &doing)
            && state.value == Wanted::ReportOnly
            && doing.is_user_action()
        {
            // Microsoft Learn, "Conditional Access report-only mode": not evaluated for user actions.
            table.wrong(
                state.place,
                "state",
                "report-only is never evaluated for this: say \"on\" (made off, tried by what-if, then switched on) or \"off\"",
            );
        }
        if desired.break_glass.is_empty() {
            table.wrong_here(
                "no Conditional Access policy is written without break-glass accounts: name them under [break_glass]",
            );
        }
        table.finish();
        if let (Some(doing), Some(demand)) = (doing, demand) {
            let otherwise = if doing.is_user_action() { Wanted::On } else { Wanted::ReportOnly };
            let state = state.map_or(otherwise, |state| state.value);
            found.push(Access { name, doing, demand, include, exclude, inside, outside, key_users_only, state });
        }
    }
    found
}

fn demand(table: &Table<'_, '_>) -> Option<Demand> {
    let words = [("block", Demand::Block), ("mfa", Demand::Mfa), ("compliant-device", Demand::CompliantDevice)];
    let control = table.choice("demand", &words);
    let strength = table.text("strength");
    match (control, strength) {
        (Some(control), None) => Some(control.value),
        (None, Some(name)) => Some(Demand::Strength(name)),
        (Some(control), Some(_)) => {
            table.wrong(control.place, "demand", "a policy has a demand or a strength, not both");
            None
        }
        (None, None) => {
            if !table.has("demand") && !table.has("strength") {
                table.wrong_here(
                    "what does it demand? say demand = \"mfa\", \"block\" or \"compliant-device\", or a strength",
                );
            }
            None
        }
    }
}

/// The words of a file are small; Graph's are not.
fn application(text: &str) -> String {
    match text {
        "all" => "All",
        "office365" => "Office365",
        "admin-portals" => "MicrosoftAdminPortals",
        id => id,
    }
    .to_owned()
}
