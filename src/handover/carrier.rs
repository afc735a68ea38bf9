//! What a carrier is told: a CSV by a column map, and the packing list.
//!
//! A map is a file of an admin's: which columns the carrier wants, in which order, filled from what, and how much they take.
//! Promise: no PIN, no key's serial unless the map asks for it, and no cell that a spreadsheet takes for a formula.

use serde::Deserialize;

use super::address::{self, AddressFault};
use crate::model::Person;

/// The built-in map: every part of an address in a column of its own.
pub const GENERIC: &str = include_str!("carrier.toml");

/// What a column is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The display name.
    Name,
    /// Company or department.
    Company,
    /// Street and number.
    Street,
    /// The line after it.
    Street2,
    /// Postal code.
    PostalCode,
    /// City.
    City,
    /// State, province, region.
    State,
    /// Country, as written.
    Country,
    /// The address's first line.
    Line1,
    /// Its second line.
    Line2,
    /// Its third line.
    Line3,
    /// Its fourth line.
    Line4,
    /// The user principal name, which is often a mail address.
    Upn,
    /// The parcel's code: 24 digits, as on its label.
    Code,
    /// The key's reference.
    KeyReference,
    /// Which of the person's keys: `1 of 2`; empty where there is one.
    KeyNumber,
    /// Always the same; `value` has it.
    Fixed,
}

impl Source {
    fn for_people(self) -> &'static str {
        match self {
            Self::Name => "a name",
            Self::Company => "a company",
            Self::Street => "a street",
            Self::Street2 => "a second street line",
            Self::PostalCode => "a postal code",
            Self::City => "a city",
            Self::State => "a state",
            Self::Country => "a country",
            Self::Line1 => "a first line",
            Self::Line2 => "a second line",
            Self::Line3 => "a third line",
            Self::Line4 => "a fourth line",
            Self::Upn => "a user principal name",
            Self::Code => "a code",
            Self::KeyReference => "a key",
            Self::KeyNumber => "a second key",
            Self::Fixed => "a value",
        }
    }
}

/// One column of a carrier's file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The carrier's name for it.
    pub name: String,
    /// What it is filled from.
    pub from: Source,
    /// For [`Source::Fixed`].
    #[serde(default)]
    pub value: String,
    /// A parcel without it is refused.
    #[serde(default)]
    pub required: bool,
    /// The most characters it takes.
    pub longest: Option<usize>,
}

/// A carrier's column map.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierMap {
    /// For people.
    #[serde(default)]
    pub about: String,
    /// What stands between cells.
    #[serde(default = "comma")]
    pub separator: char,
    /// A line with the columns' names comes first.
    #[serde(default = "yes")]
    pub header: bool,
    /// Lines end in CR LF, as RFC 4180 says; off: in LF.
    #[serde(default = "yes")]
    pub crlf: bool,
    /// What the carrier calls a country that we write otherwise, e.g. `Germany = "DE"`; compared without regard to case.
    #[serde(default)]
    pub countries: std::collections::BTreeMap<String, String>,
    /// The columns, in order.
    pub columns: Vec<Column>,
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}

/// A map that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MapError {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// What.
    pub what: String,
}

/// One parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel<'a> {
    /// Whom to.
    pub person: &'a Person,
    /// The parcel's code; empty before there is a key.
    pub code: String,
    /// The key's reference; empty before there is a key.
    pub key_reference: String,
    /// Which of the person's keys is in it, from 1, of how many. It decides where the parcel goes.
    pub number: (u32, u32),
}

/// "1 of 2", where a person gets several.
pub fn which_of(number: (u32, u32)) -> Option<String> {
    (number.1 > 1).then(|| format!("{} of {}", number.0, number.1))
}

impl CarrierMap {
    /// The built-in map.
    ///
    /// # Errors
    /// [`MapError`] if the program was built with a broken one; a test holds that it is not.
    pub fn generic() -> Result<Self, MapError> {
        Self::read(GENERIC)
    }

    /// Reads a map.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn read(text: &str) -> Result<Self, MapError> {
        let map: Self = toml::from_str(text).map_err(|error| MapError {
            line: error.span().map_or(0, |span| {
                text.bytes().take(span.start).filter(|byte| *byte == b'\n').count().saturating_add(1)
            }),
            what: error.message().lines().next().unwrap_or_default().to_owned(),
        })?;
        let wrong = |what: String| Err(MapError { line: 0, what });
        if !matches!(map.separator, ',' | ';' | '\t' | '|') {
            return wrong(format!("the separator is a comma, a semicolon, a tab or a bar, not {:?}", map.separator));
        }
        if map.columns.is_empty() {
            return wrong("there are no columns".into());
        }
        for column in &map.columns {
            if (column.from == Source::Fixed) == column.value.is_empty() {
                return wrong(format!("column {}: `value` goes with `from = \"fixed\"`", column.name));
            }
        }
        Ok(map)
    }

    /// What is wrong, for this carrier and for every other, with where a person's key of this number goes.
    pub fn check(&self, person: &Person, ordinal: u32) -> Vec<AddressFault> {
        let mut faults = address::check(person.address_for(ordinal));
        if faults.contains(&AddressFault::Missing) {
            return faults;
        }
        let parcel = Parcel { person, code: String::new(), key_reference: String::new(), number: (ordinal, ordinal) };
        for column in &self.columns {
            let later = matches!(column.from, Source::Code | Source::KeyReference | Source::KeyNumber);
            let value = self.value(column, &parcel);
            if value.is_empty() && column.required && !later {
                let what = column.from.for_people().to_owned();
                faults.push(AddressFault::PartMissing { column: column.name.clone(), what });
            }
            if let Some(most) = column.longest
                && value.chars().count() > most
            {
                let length = value.chars().count();
                faults.push(AddressFault::PartTooLong { column: column.name.clone(), most, length });
            }
        }
        faults
    }

    /// The cells of one parcel, in order. Not yet guarded against formulas.
    pub fn row(&self, parcel: &Parcel<'_>) -> Vec<String> {
        self.columns.iter().map(|column| self.value(column, parcel)).collect()
    }

    fn value(&self, column: &Column, parcel: &Parcel<'_>) -> String {
        let address = parcel.person.address_for(parcel.number.0);
        let parts = address.and_then(|address| address.parts.as_ref());
        let line = |at: usize| address.and_then(|address| address.lines.get(at)).cloned();
        let value = match column.from {
            Source::Name => Some(parcel.person.display_name.clone()),
            Source::Company => parts.and_then(|parts| parts.company.clone()),
            Source::Street => parts.and_then(|parts| parts.street.clone()),
            Source::Street2 => parts.and_then(|parts| parts.street2.clone()),
            Source::PostalCode => parts.and_then(|parts| parts.postal_code.clone()),
            Source::City => parts.and_then(|parts| parts.city.clone()),
            Source::State => parts.and_then(|parts| parts.state.clone()),
            Source::Country => address.and_then(|address| address.country.as_deref()).map(|country| {
                let called = |(ours, _): &(&String, &String)| ours.to_lowercase() == country.trim().to_lowercase();
                self.countries.iter().find(called).map_or(country, |(_, theirs)| theirs).to_owned()
            }),
            Source::Line1 => line(0),
            Source::Line2 => line(1),
            Source::Line3 => line(2),
            Source::Line4 => line(3),
            Source::Upn => Some(parcel.person.upn.to_string()),
            Source::Code => Some(parcel.code.clone()),
            Source::KeyReference => Some(parcel.key_reference.clone()),
            Source::KeyNumber => which_of(parcel.number),
            Source::Fixed => Some(column.value.clone()),
        };
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressParts, PostalAddress, Upn, UserId};

    fn person(parts: bool) -> Person {
        Person {
            address: Some(PostalAddress {
                lines: vec!["1 Main St".into(), "1000 Town".into()],
                country: Some("Germany".into()),
                parts: parts.then(|| AddressParts {
                    street: Some("1 Main St".into()),
                    postal_code: Some("1000".into()),
                    city: Some("Town".into()),
                    ..AddressParts::default()
                }),
            }),
            ..Person::new(UserId::new("u"), Upn::parse("kim@contoso.example").expect("a UPN"), "Kim Lee")
        }
    }

    #[test]
    fn a_map_fills_the_carriers_columns() {
        let map = CarrierMap::read(
            "separator = \";\"\n[countries]\ngermany = \"DE\"\n[[columns]]\nname = \"Empf\"\nfrom = \"name\"\n\
             [[columns]]\nname = \"PLZ\"\nfrom = \"postal_code\"\nrequired = true\n[[columns]]\nname = \"Land\"\nfrom = \"country\"\nlongest = 2\n\
             [[columns]]\nname = \"Prod\"\nfrom = \"fixed\"\nvalue = \"V01\"\n[[columns]]\nname = \"Ref\"\nfrom = \"code\"\nrequired = true\n",
        )
        .expect("a map");
        let known = person(true);
        assert_eq!(map.check(&known, 1), []);
        let row = map.row(&Parcel { person: &known, code: "72".into(), key_reference: String::new(), number: (1, 1) });
        assert_eq!(row, ["Kim Lee", "1000", "DE", "V01", "72"]);
        let missing = AddressFault::PartMissing { column: "PLZ".into(), what: "a postal code".into() };
        assert_eq!(map.check(&person(false), 1), [missing]);
        let nowhere = Person { address: None, ..person(false) };
        assert_eq!(map.check(&nowhere, 1), [AddressFault::Missing]);
    }

    #[test]
    fn a_wrong_map_is_told_with_its_line() {
        for (text, line, part) in [
            ("\n[[columns]]\nname = \"a\"\nfrom = \"shoe\"", 4, "unknown variant"),
            ("columns = []", 0, "no columns"),
            ("separator = \"x\"\n[[columns]]\nname = \"a\"\nfrom = \"name\"", 0, "separator"),
            ("[[columns]]\nname = \"a\"\nfrom = \"fixed\"", 0, "`value`"),
            ("[[columns]]\nname = \"a\"\nfrom = \"name\"\nwidth = 3", 4, "unknown field"),
        ] {
            let error = CarrierMap::read(text).expect_err("wrong");
            assert!(error.line == line && error.what.contains(part), "{text}: {error:?}");
        }
        CarrierMap::generic().expect("sound");
    }
}
