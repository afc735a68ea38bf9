//! Reads single settings out of options, environment and file, in that order of rank, and notes everything that is
//! wrong on the way instead of stopping at the first.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// Every setting there is. The order is that of the file `config init` writes.
pub(super) const SETTINGS: &[(&str, &[&str])] = &[
    (
        "tenant",
        &[
            "id",
            "client_id",
            "auth",
            "client_secret_file",
            "certificate_file",
            "key_file",
            "api",
            "graph_url",
            "login_url",
            "allowed_group",
            "access_pace_ms",
        ],
    ),
    ("pin", &["length", "alphabet", "force_change", "minimum", "first_device"]),
    ("escrow", &["recipients", "second_recipients", "dual", "show_seconds"]),
    ("ledger", &["url", "mirror", "system_log"]),
    ("bench", &["name", "never", "only_expected", "touch_gap_ms", "bell", "key_name", "mds"]),
    (
        "handover",
        &[
            "release",
            "country",
            "letter_days",
            "letter_days_abroad",
            "activate",
            "activation_recipients",
            "activation_days",
            "hook",
            "mail_from",
            "pin_to_manager",
            "template",
            "printer",
            "label_printer",
            "carrier",
        ],
    ),
];

/// Values given by options of the command line: `section.key` to (option's name, text).
pub type Overrides = BTreeMap<String, (String, String)>;

pub use crate::platform::places::Environment;

pub(super) struct Reader<'a> {
    text: &'a str,
    table: DeTable<'a>,
    environment: Environment<'a>,
    overrides: &'a Overrides,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, environment: Environment<'a>, overrides: &'a Overrides) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            text,
            table: table.into_inner(),
            environment,
            overrides,
            problems: Vec::with_capacity(errors.len()),
        };
        for error in errors {
            let origin = error.span().map_or(Origin::WholeFile, |span| reader.place(&span));
            // Only the message: the full error quotes the line, and a line can hold a secret put in the wrong place.
            reader.note(origin, "", format!("this is not TOML: {}", error.message()));
        }
        if reader.problems.is_empty() {
            reader.unknown_keys();
        }
        reader
    }

    fn place(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        Origin::File {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn note(&mut self, origin: Origin, field: &str, what: impl Into<String>) {
        self.problems.push(Problem { origin, field: field.to_owned(), what: what.into() });
    }

    fn unknown_keys(&mut self) {
        let mut found = Vec::new();
        for (section, content) in &self.table {
            let name = section.get_ref().as_ref();
            let Some((_, keys)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
                found.push((self.place(&section.span()), name.to_owned(), unknown_section(name)));
                continue;
            };
            let DeValue::Table(content) = content.get_ref() else {
                let what = format!("this is a section: write [{name}] on a line of its own");
                found.push((self.place(&section.span()), name.to_owned(), what));
                continue;
            };
            for (key, _) in content {
                let key_name = key.get_ref().as_ref();
                if !keys.contains(&key_name) {
                    found.push((self.place(&key.span()), format!("{name}.{key_name}"), unknown_key(name, key_name)));
                }
            }
        }
        for (origin, field, what) in found {
            self.note(origin, &field, what);
        }
    }

    fn in_file(&self, section: &str, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.table.get(section)?.get_ref().as_table()?.get(key)
    }

    /// A text from an option or the environment, which outrank the file.
    fn outranking(&self, section: &str, key: &str) -> Option<Found<String>> {
        if let Some((flag, value)) = self.overrides.get(&format!("{section}.{key}")) {
            return Some(Found { value: value.clone(), origin: Origin::Flag(flag.clone()) });
        }
        let name = environment_name(section, key);
        (self.environment)(&name).map(|value| Found { value, origin: Origin::Environment(name) })
    }

    fn wrong_type(&mut self, span: &Range<usize>, section: &str, key: &str, wanted: &str, found: &str) {
        let origin = self.place(span);
        self.note(origin, &format!("{section}.{key}"), format!("this must be {wanted}, and is {}", article(found)));
    }

    pub(super) fn text(&mut self, section: &str, key: &str) -> Option<Found<String>> {
        if let Some(found) = self.outranking(section, key) {
            return self.not_empty(found, section, key);
        }
        let value = self.in_file(section, key)?;
        let span = value.span();
        match value.get_ref() {
            DeValue::String(text) => {
                let found = Found { value: text.as_ref().to_owned(), origin: self.place(&span) };
                self.not_empty(found, section, key)
            }
            other => {
                let kind = other.type_str();
                self.wrong_type(&span, section, key, "a text in quotes", kind);
                None
            }
        }
    }

    fn not_empty(&mut self, found: Found<String>, section: &str, key: &str) -> Option<Found<String>> {
        if found.value.trim().is_empty() {
            self.note(found.origin, &format!("{section}.{key}"), "this is empty: give a value or leave the line out");
            return None;
        }
        Some(found)
    }

    pub(super) fn boolean(&mut self, section: &str, key: &str) -> Option<Found<bool>> {
        if let Some(found) = self.outranking(section, key) {
            return match found.value.trim() {
                "true" => Some(Found { value: true, origin: found.origin }),
                "false" => Some(Found { value: false, origin: found.origin }),
                _ => {
                    self.note(found.origin, &format!("{section}.{key}"), "this must be true or false");
                    None
                }
            };
        }
        let value = self.in_file(section, key)?;
        let span = value.span();
        match value.get_ref() {
            DeValue::Boolean(value) => {
                let value = *value;
                Some(Found { value, origin: self.place(&span) })
            }
            other => {
                let kind = other.type_str();
                self.wrong_type(&span, section, key, "true or false, without quotes", kind);
                None
            }
        }
    }

    pub(super) fn number(&mut self, section: &str, key: &str, range: RangeInclusive<u32>) -> Option<Found<u32>> {
        let field = format!("{section}.{key}");
        let (number, origin) = if let Some(found) = self.outranking(section, key) {
            (found.value.trim().parse::<u32>().ok(), found.origin)
        } else {
            let value = self.in_file(section, key)?;
            let span = value.span();
            match value.get_ref() {
                DeValue::Integer(digits) => {
                    (u32::from_str_radix(digits.as_str(), digits.radix()).ok(), self.place(&span))
                }
                other => {
                    let kind = other.type_str();
                    self.wrong_type(&span, section, key, "a whole number, without quotes", kind);
                    return None;
                }
            }
        };
        match number {
            Some(value) if range.contains(&value) => Some(Found { value, origin }),
            _ => {
                let what = format!("this must be a whole number from {} to {}", range.start(), range.end());
                self.note(origin, &field, what);
                None
            }
        }
    }

    pub(super) fn texts(&mut self, section: &str, key: &str) -> Option<Vec<Found<String>>> {
        if let Some(found) = self.outranking(section, key) {
            let parts = found.value.split(',').map(str::trim).filter(|part| !part.is_empty());
            return Some(
                parts.map(|part| Found { value: part.to_owned(), origin: found.origin.clone() }).collect::<Vec<_>>(),
            );
        }
        let value = self.in_file(section, key)?;
        let span = value.span();
        let DeValue::Array(items) = value.get_ref() else {
            let kind = value.get_ref().type_str();
            self.wrong_type(&span, section, key, "a list of texts: [\"…\", \"…\"]", kind);
            return None;
        };
        let items: Vec<(Range<usize>, Result<String, &'static str>)> = items
            .iter()
            .map(|item| {
                let content = match item.get_ref() {
                    DeValue::String(text) => Ok(text.as_ref().to_owned()),
                    other => Err(other.type_str()),
                };
                (item.span(), content)
            })
            .collect();
        let mut found = Vec::with_capacity(items.len());
        for (span, item) in items {
            match item {
                Ok(value) => found.push(Found { value, origin: self.place(&span) }),
                Err(kind) => self.wrong_type(&span, section, key, "a list of texts in quotes", kind),
            }
        }
        Some(found)
    }

    pub(super) fn choice<T: Copy>(&mut self, section: &str, key: &str, choices: &[(&str, T)]) -> Option<Found<T>> {
        let found = self.text(section, key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == found.value) {
            return Some(Found { value: *value, origin: found.origin });
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let meant = nearest(&found.value, choices.iter().map(|(name, _)| *name))
            .map(|name| format!("; did you mean \"{name}\"?"))
            .unwrap_or_default();
        let what = format!("this must be one of {}{meant}", names.join(", "));
        self.note(found.origin, &format!("{section}.{key}"), what);
        None
    }
}

/// The environment variable that outranks a setting: `KEYBENCH_TENANT_CLIENT_ID` for `tenant.client_id`.
pub(super) fn environment_name(section: &str, key: &str) -> String {
    format!("KEYBENCH_{}_{}", section.to_ascii_uppercase(), key.to_ascii_uppercase())
}

fn article(kind: &str) -> String {
    match kind.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn unknown_section(name: &str) -> String {
    if let Some((section, _)) = SETTINGS.iter().find(|(_, keys)| keys.contains(&name)) {
        return format!("this stands outside its section: put it under [{section}]");
    }
    match nearest(name, SETTINGS.iter().map(|(section, _)| *section)) {
        Some(meant) => format!("there is no such section; did you mean [{meant}]?"),
        None => {
            let all: Vec<String> = SETTINGS.iter().map(|(section, _)| format!("[{section}]")).collect();
            format!("there is no such section; there are {}", all.join(", "))
        }
    }
}

fn unknown_key(section: &str, key: &str) -> String {
    if matches!(key, "client_secret" | "secret" | "password") {
        return "a secret doesn't belong in this file: put it in a file of its own, mode 0600, and name that in \
                tenant.client_secret_file"
            .to_owned();
    }
    let own = SETTINGS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, keys)| keys);
    if let Some(meant) = nearest(key, own.iter().copied()) {
        return format!("there is no such setting; did you mean {section}.{meant}?");
    }
    let elsewhere = SETTINGS.iter().find(|(_, keys)| keys.contains(&key));
    match elsewhere {
        Some((other, _)) => format!("there is no such setting here; did you mean {other}.{key}?"),
        None => format!("there is no such setting; [{section}] has {}", own.join(", ")),
    }
}

/// The candidate that most resembles `text`, if one does.
pub(crate) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let text = text.to_lowercase();
    // One slip of a finger is always meant, also in a short word, which the other measure knows nothing of.
    let likeness = |candidate: &str| match strsim::damerau_levenshtein(&text, candidate) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(&text, candidate),
    };
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
