//! A file of people to make: its rows, or everything that is wrong with it. Pure.
//!
//! CSV as the roster: comma, semicolon or tab, UTF-8 or UTF-16, a header line. Columns: `upn` and `display_name`, and if
//! wanted `given_name`, `surname`, `usage_location` (two letters), `licence` (its name, as Entra writes it), `group` (several with
//! `;` between them, or `|` where `;` separates columns).

use std::collections::HashMap;

use crate::model::Upn;
use crate::roster::decode::{NotText, decode};
use crate::roster::table::{self, Record};
use crate::roster::{RosterError, RosterProblem};

/// A person to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPerson {
    /// Line of the file, from 1.
    pub line: u32,
    /// User principal name.
    pub upn: Upn,
    /// Display name.
    pub display_name: String,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub surname: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    pub usage_location: Option<String>,
    /// Licences by name.
    pub licences: Vec<String>,
    /// Groups by name or object id.
    pub groups: Vec<String>,
}

impl NewPerson {
    /// The name before the `@`, without what a mail nickname may not hold.
    pub fn mail_nickname(&self) -> String {
        let local = self.upn.as_str().split('@').next().unwrap_or_default();
        local.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect()
    }

    /// The domain, in lower case.
    pub fn domain(&self) -> String {
        self.upn.as_str().split('@').nth(1).unwrap_or_default().to_ascii_lowercase()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Column {
    Upn,
    DisplayName,
    GivenName,
    Surname,
    UsageLocation,
    Licence,
    Group,
}

const COLUMNS: &[(Column, &[&str])] = &[
    (Column::Upn, &["upn", "userprincipalname", "username"]),
    (Column::DisplayName, &["displayname", "name", "fullname"]),
    (Column::GivenName, &["givenname", "firstname"]),
    (Column::Surname, &["surname", "lastname", "familyname"]),
    (Column::UsageLocation, &["usagelocation", "location", "country"]),
    (Column::Licence, &["licence", "license", "licences", "licenses", "sku"]),
    (Column::Group, &["group", "groups"]),
];

fn normal(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn column(header: &str) -> Option<Column> {
    let name = normal(header);
    COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
}

/// ISO 3166-1 alpha-2: what Entra takes for a usage location.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Most characters of a display name (Microsoft Graph, `user` resource).
const LONGEST_NAME: usize = 256;

struct Reading {
    problems: Vec<RosterProblem>,
}

impl Reading {
    fn problem(&mut self, line: Option<u32>, field: Option<&str>, what: impl Into<String>) {
        self.problems.push(RosterProblem { line, field: field.map(str::to_owned), what: what.into() });
    }
}

/// Reads a file's bytes. `source` is the name to use in messages.
///
/// # Errors
/// [`RosterError`] with everything that is wrong, by line and field.
pub fn read(source: &str, bytes: &[u8]) -> Result<Vec<NewPerson>, RosterError> {
    let mut reading = Reading { problems: Vec::new() };
    let people = match decode(bytes) {
        Ok(text) => rows(&mut reading, &text),
        Err(error) => {
            let line = if let NotText::Encoding { line } = error { Some(line) } else { None };
            reading.problem(line, None, error.to_string());
            Vec::new()
        }
    };
    if people.is_empty() && reading.problems.is_empty() {
        reading.problem(
            None,
            None,
            "there are no people in the file: the first line names the columns, e.g. upn,display_name",
        );
    }
    if reading.problems.is_empty() {
        return Ok(people);
    }
    reading.problems.sort_by_key(|problem| problem.line);
    Err(RosterError { source: source.to_owned(), problems: reading.problems })
}

fn rows(reading: &mut Reading, text: &str) -> Vec<NewPerson> {
    let (separator, text, skipped) = table::find_separator(text, |header| column(header).is_some());
    let (records, faults) = table::split(text, separator);
    for fault in faults {
        reading.problem(Some(fault.line.saturating_add(skipped)), None, fault.what.to_string());
    }
    let mut records = records.into_iter();
    let Some(header) = records.next() else { return Vec::new() };
    let Some(layout) = layout(reading, &header, skipped) else { return Vec::new() };
    let mut seen: HashMap<Upn, u32> = HashMap::new();
    let mut people = Vec::new();
    for record in records {
        let line = record.line.saturating_add(skipped);
        let Some(person) = row(reading, &layout, &record, line) else { continue };
        if let Some(earlier) = seen.insert(person.upn.clone(), line) {
            reading.problem(Some(line), Some("upn"), format!("{} is on line {earlier} already", person.upn));
        }
        people.push(person);
    }
    people
}

fn layout(reading: &mut Reading, header: &Record, skipped: u32) -> Option<HashMap<Column, usize>> {
    let line = Some(header.line.saturating_add(skipped));
    let mut layout = HashMap::new();
    for (index, cell) in header.cells.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
        match column(&cell.text) {
            Some(column) if layout.contains_key(&column) => {
                reading.problem(line, Some(&cell.text), "this column is there twice");
            }
            Some(column) => drop(layout.insert(column, index)),
            // A column that is not used would be a wish that is silently dropped.
            None => reading.problem(
                line,
                Some(&cell.text),
                "this column is not known: there are upn, display_name, given_name, surname, usage_location, licence, group",
            ),
        }
    }
    for (needed, name) in [(Column::Upn, "upn"), (Column::DisplayName, "display_name")] {
        if !layout.contains_key(&needed) {
            reading.problem(line, Some(name), "this column is needed and is not there");
        }
    }
    (layout.contains_key(&Column::Upn) && layout.contains_key(&Column::DisplayName)).then_some(layout)
}

fn row(reading: &mut Reading, layout: &HashMap<Column, usize>, record: &Record, line: u32) -> Option<NewPerson> {
    let before = reading.problems.len();
    let cell = |column: Column| {
        let cell = record.cells.get(*layout.get(&column)?)?;
        (!cell.text.is_empty()).then(|| cell.text.clone())
    };
    let known = layout.values().max().map_or(0, |last| last.saturating_add(1));
    if record.cells.iter().skip(known).any(|cell| !cell.text.is_empty()) {
        reading.problem(
            Some(line),
            None,
            "this line has more fields than the header: put quotes around a field with a separator in it",
        );
    }
    if record.cells.iter().any(|cell| cell.text.chars().any(char::is_control)) {
        reading.problem(Some(line), None, "this line holds a control character");
    }
    let upn = match cell(Column::Upn) {
        None => {
            reading.problem(Some(line), Some("upn"), "this is empty");
            None
        }
        Some(text) => match checked_upn(&text) {
            Ok(upn) => Some(upn),
            Err(what) => {
                reading.problem(Some(line), Some("upn"), what);
                None
            }
        },
    };
    let display_name = cell(Column::DisplayName).unwrap_or_default();
    if display_name.is_empty() {
        reading.problem(Some(line), Some("display_name"), "this is empty");
    } else if display_name.chars().count() > LONGEST_NAME {
        reading.problem(Some(line), Some("display_name"), format!("this has more than {LONGEST_NAME} characters"));
    }
    for (column, name) in [(Column::GivenName, "given_name"), (Column::Surname, "surname")] {
        if cell(column).is_some_and(|text| text.chars().count() > 64) {
            reading.problem(Some(line), Some(name), "this has more than 64 characters");
        }
    }
    let usage_location = cell(Column::UsageLocation).map(|text| text.to_ascii_uppercase());
    if let Some(location) = &usage_location
        && !COUNTRIES.split(' ').any(|country| country == location)
    {
        reading.problem(Some(line), Some("usage_location"), "this is not a country's two letters, e.g. IE or NL");
    }
    let licences = list(cell(Column::Licence));
    if !licences.is_empty() && usage_location.is_none() {
        reading.problem(Some(line), Some("usage_location"), "this is empty, and no licence can be given without it");
    }
    let person = NewPerson {
        line,
        upn: upn?,
        display_name,
        given_name: cell(Column::GivenName),
        surname: cell(Column::Surname),
        usage_location,
        licences,
        groups: list(cell(Column::Group)),
    };
    (reading.problems.len() == before).then_some(person)
}

fn list(cell: Option<String>) -> Vec<String> {
    let cell = cell.unwrap_or_default();
    let mut all: Vec<String> = Vec::new();
    for part in cell.split([';', '|']).map(str::trim).filter(|part| !part.is_empty()) {
        if !all.iter().any(|known| known.eq_ignore_ascii_case(part)) {
            all.push(part.to_owned());
        }
    }
    all
}

/// Letters, digits and `' . - _ ! # ^ ~` before the `@`, at most 64 of them (Microsoft Graph, `user` resource).
fn checked_upn(text: &str) -> Result<Upn, String> {
    let upn = Upn::parse(text).ok_or("this is not of the form name@domain")?;
    let (local, domain) = upn.as_str().split_once('@').unwrap_or_default();
    if let Some(bad) = local.chars().find(|c| !(c.is_ascii_alphanumeric() || "'.-_!#^~".contains(*c))) {
        return Err(format!(
            "a user principal name can't hold {bad:?}: letters without accents, digits and ' . - _ ! # ^ ~"
        ));
    }
    if local.len() > 64 {
        return Err("there are more than 64 characters before the @".into());
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err("a user principal name neither begins nor ends with a dot, nor has two in a row".into());
    }
    if !domain.contains('.') || !domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') {
        return Err(format!("{domain} is not a domain"));
    }
    Ok(upn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems(text: &str) -> String {
        read("new.csv", text.as_bytes()).expect_err("wrong").to_string()
    }

    #[test]
    fn a_file_becomes_people() {
        let text = "\u{feff}UPN,Display name,Given name,usage_location,Licence,Groups\r\n\
                    kim.o'reilly@contoso.com,\"Kim, O'Reilly\",Kim,ie,SPE_E5;EMS,Pilot; SSPR\r\n\r\n\
                    lee@contoso.com,Lee,,,,\r\n";
        let people = read("new.csv", text.as_bytes()).expect("people");
        assert_eq!(people.len(), 2);
        assert_eq!(people[0].usage_location.as_deref(), Some("IE"));
        assert_eq!(people[0].licences, ["SPE_E5", "EMS"]);
        assert_eq!(people[0].groups, ["Pilot", "SSPR"]);
        assert_eq!((people[0].mail_nickname(), people[0].domain()), ("kim.oreilly".into(), "contoso.com".into()));
        assert_eq!((people[1].line, people[1].groups.len()), (4, 0));
        // As a German spreadsheet writes it.
        let people = read("new.csv", b"upn;name;group\nlee@contoso.com;Lee;Pilot|SSPR\n").expect("people");
        assert_eq!(people[0].groups, ["Pilot", "SSPR"]);
    }

    #[test]
    fn what_is_wrong_has_file_line_and_field() {
        let text = "upn,display_name,usage_location,licence\n\
                    kim,Kim,IE,\n\
                    z\u{eb}@contoso.com,Zo\u{eb},XX,\n\
                    lee@contoso.com,,IE,\n\
                    max@contoso.com,Max,,SPE_E5\n\
                    LEE@contoso.com,Lee,,\n\
                    lee@contoso.com,Lee,,\n";
        let said = problems(text);
        for wanted in [
            "new.csv:2: upn: this is not of the form name@domain",
            "new.csv:3: upn: a user principal name can't hold '\u{eb}'",
            "new.csv:3: usage_location: this is not a country",
            "new.csv:4: display_name: this is empty",
            "new.csv:5: usage_location: this is empty, and no licence",
            "new.csv:7: upn: lee@contoso.com is on line 6 already",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        assert!(problems("upn,displayname,shoe size\n").contains("new.csv:1: shoe size: this column is not known"));
        assert!(problems("upn\nkim@contoso.com\n").contains("display_name: this column is needed"));
        assert!(problems("").contains("no people"));
        assert!(problems("upn,name\nkim@contoso.com,\"Kim\n").contains("never closed"));
        assert!(problems("upn,name\nkim@contoso.com,Kim, Lee\n").contains("more fields than the header"));
        assert!(read("x.xlsx", b"PK\x03\x04").expect_err("a spreadsheet").to_string().contains("CSV UTF-8"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text in "(upn|display_name|licence|[,;\"\r\n@ a-z.]){0,40}") {
            let _ = read("x", &bytes);
            let _ = read("x", text.as_bytes());
            if let Ok(people) = read("x", format!("upn,display_name\n{text}").as_bytes()) {
                prop_assert!(people.iter().all(|person| !person.domain().is_empty()));
            }
        }
    }
}
