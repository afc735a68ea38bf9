//! A roster file: its rows, or everything that is wrong with it.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::columns::Column;
use super::decode::{NotText, decode};
use super::first_device;
use super::table::{self, Record};
use crate::model::{AddressParts, FirstDevice, KeyKind, PostalAddress, Serial, Upn};

/// The most keys one person can have: Entra's limit of passkeys for one account.
pub const MOST_KEYS: u32 = 10;

/// What a roster asks for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The line it stands on, from 1; `None` for a member of a group.
    pub line: Option<u32>,
    /// As written.
    pub upn: Upn,
    /// The serial number of the key this person is to get.
    pub serial: Option<Serial>,
    /// Where it goes.
    pub address: Option<PostalAddress>,
    /// How many keys; at least 1.
    pub keys: u32,
    /// Which kind.
    pub key_kind: Option<KeyKind>,
    /// Used on first.
    pub first_device: Option<FirstDevice>,
    /// The language of letters: a code such as `de` or `pt-BR`.
    pub language: Option<String>,
    /// Where the second key and those after it go, where that is another place.
    pub spare_address: Option<PostalAddress>,
}

/// A roster that can be worked on as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The file's or the group's name.
    pub source: String,
    /// SHA-256 of the file's bytes, or of the member ids in ascending order, each followed by a line feed.
    pub hash: [u8; 32],
    /// At least one.
    pub rows: Vec<RosterRow>,
    /// What was noticed and does no harm, e.g. a column that isn't used.
    pub notes: Vec<String>,
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterProblem {
    /// Physical line, from 1; `None` when it is about the file as a whole.
    pub line: Option<u32>,
    /// The column as the file's header names it.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub what: String,
}

/// All that is wrong with a file; nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterError {
    /// The file's name.
    pub source: String,
    /// At least one, by line.
    pub problems: Vec<RosterProblem>,
}

impl RosterError {
    /// One line per problem: `FILE:LINE: FIELD: what`.
    pub fn lines(&self) -> Vec<String> {
        self.problems
            .iter()
            .map(|problem| {
                let mut text = self.source.clone();
                if let Some(line) = problem.line {
                    text.push_str(&format!(":{line}"));
                }
                if let Some(field) = &problem.field {
                    text.push_str(&format!(": {field}"));
                }
                format!("{text}: {}", problem.what)
            })
            .collect()
    }
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for RosterError {}

impl Roster {
    /// Reads a file's bytes. `source` is the name to use in messages.
    ///
    /// # Errors
    /// [`RosterError`] with everything that is wrong.
    pub fn read(source: &str, bytes: &[u8]) -> Result<Self, RosterError> {
        let fail = |problems| RosterError { source: source.to_owned(), problems };
        let text = decode(bytes).map_err(|error| {
            let line = match error {
                NotText::Encoding { line } => Some(line),
                NotText::TooLarge | NotText::Spreadsheet => None,
            };
            fail(vec![RosterProblem { line, field: None, what: error.to_string() }])
        })?;
        let (separator, text, skipped) = table::find_separator(&text, |header| Column::named(header).is_some());
        let (mut records, faults) = table::split(text, separator);
        for record in &mut records {
            record.line = record.line.saturating_add(skipped);
            for cell in &mut record.cells {
                cell.line = cell.line.saturating_add(skipped);
            }
        }
        let mut reading = Reading { problems: Vec::new(), notes: Vec::new() };
        let mut records = records.into_iter();
        let Some(header) = records.next() else {
            let what = "the file is empty: its first line names the columns, e.g. upn,serial".to_owned();
            return Err(fail(vec![RosterProblem { line: None, field: None, what }]));
        };
        for fault in faults {
            let field = fault.cell.checked_sub(1).and_then(|index| header.cells.get(index)).map(|c| c.text.clone());
            reading.problem(Some(fault.line.saturating_add(skipped)), field, fault.what.to_string());
        }
        let layout = reading.header(&header);
        let rows = match &layout {
            Some(layout) => records.filter_map(|record| reading.row(layout, &record)).collect(),
            None => Vec::new(),
        };
        reading.serials_are_different(&rows);
        if layout.is_some() && rows.is_empty() && reading.problems.is_empty() {
            reading.problem(None, None, "there are no people in the file, only the line that names the columns".into());
        }
        if !reading.problems.is_empty() {
            reading.problems.sort_by_key(|problem| problem.line);
            return Err(fail(reading.problems));
        }
        Ok(Self { source: source.to_owned(), hash: Sha256::digest(bytes).into(), rows, notes: reading.notes })
    }

    /// A group's members, one key each. `ids` are their object ids, in any order.
    pub fn of_members(source: &str, upns: Vec<Upn>, ids: &[&str]) -> Self {
        let mut ids: Vec<String> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        ids.sort_unstable();
        let mut hash = Sha256::new();
        for id in ids {
            hash.update(id.as_bytes());
            hash.update(b"\n");
        }
        let rows = upns
            .into_iter()
            .map(|upn| RosterRow {
                line: None,
                upn,
                serial: None,
                address: None,
                keys: 1,
                key_kind: None,
                first_device: None,
                language: None,
                spare_address: None,
            })
            .collect();
        Self { source: source.to_owned(), hash: hash.finalize().into(), rows, notes: Vec::new() }
    }
}

/// Which cell is which column, and what the file calls it.
struct Layout {
    columns: HashMap<Column, (usize, String)>,
    identity: Column,
    width: usize,
}

struct Reading {
    problems: Vec<RosterProblem>,
    notes: Vec<String>,
}

impl Reading {
    fn problem(&mut self, line: Option<u32>, field: Option<String>, what: String) {
        self.problems.push(RosterProblem { line, field, what });
    }

    fn header(&mut self, header: &Record) -> Option<Layout> {
        let line = Some(header.line);
        if let Some(cell) = header.cells.iter().find(|cell| Upn::parse(&cell.text).is_some()) {
            let what = format!(
                "\"{}\" is a person, but the first line must name the columns: put `upn` (and what else there is) above",
                cell.text
            );
            self.problem(line, None, what);
            return None;
        }
        let mut columns: HashMap<Column, (usize, String)> = HashMap::new();
        let mut unknown = Vec::new();
        for (index, cell) in header.cells.iter().enumerate() {
            if cell.text.is_empty() {
                continue;
            }
            match Column::named(&cell.text) {
                Some(column) => {
                    if let Some((_, earlier)) = columns.get(&column) {
                        let what = format!("both \"{earlier}\" and \"{}\" mean {}: keep one", cell.text, column.name());
                        self.problem(line, Some(cell.text.clone()), what);
                    } else {
                        columns.insert(column, (index, cell.text.clone()));
                    }
                }
                None => unknown.push(cell.text.clone()),
            }
        }
        for name in unknown {
            match Column::nearest(&name).filter(|meant| !columns.contains_key(meant)) {
                Some(meant) => {
                    let what = format!("this column is not known; did you mean {}?", meant.name());
                    self.problem(line, Some(name), what);
                }
                None => self.notes.push(format!("The roster's column \"{name}\" is not used.")),
            }
        }
        let identity = if columns.contains_key(&Column::Upn) {
            Column::Upn
        } else if let Some((_, name)) = columns.get(&Column::Mail) {
            self.notes.push(format!("The roster has no upn column: \"{name}\" is taken for the user principal name."));
            Column::Mail
        } else {
            if !self.problems.iter().any(|problem| problem.line == line) {
                let what = "no column is called upn (or userPrincipalName, user principal name, mail)";
                self.problem(line, None, what.to_owned());
            }
            return None;
        };
        let width =
            header.cells.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last.saturating_add(1));
        Some(Layout { columns, identity, width })
    }

    fn row(&mut self, layout: &Layout, record: &Record) -> Option<RosterRow> {
        let before = self.problems.len();
        // Trailing separators do no harm; text beyond the last column means that a cell was cut in two.
        if record.cells.iter().skip(layout.width).any(|cell| !cell.text.is_empty()) {
            let what = format!(
                "this line has {} fields and the header {}: put quotes around a field with a separator in it",
                record.cells.len(),
                layout.width
            );
            self.problem(Some(record.line), None, what);
        }
        let cell = |column: Column| {
            let (index, name) = layout.columns.get(&column)?;
            let cell = record.cells.get(*index).filter(|cell| !cell.text.is_empty())?;
            Some((cell, name.clone()))
        };
        for (index, name) in layout.columns.values() {
            if let Some(cell) = record.cells.get(*index)
                && cell.text.chars().any(|c| c.is_control() && c != '\n')
            {
                self.problem(Some(cell.line), Some(name.clone()), "this holds a control character".to_owned());
            }
        }
        let upn = match cell(layout.identity) {
            None => {
                let name = layout.columns.get(&layout.identity).map(|(_, name)| name.clone());
                self.problem(Some(record.line), name, "this is empty".to_owned());
                None
            }
            Some((cell, name)) => Upn::parse(&cell.text).or_else(|| {
                let what = format!("\"{}\" is not of the form name@domain", shortened(&cell.text));
                self.problem(Some(cell.line), Some(name), what);
                None
            }),
        };
        let keys = match cell(Column::Keys) {
            None => 1,
            Some((cell, name)) => match cell.text.parse::<u32>() {
                Ok(keys @ 1..=MOST_KEYS) => keys,
                _ => {
                    let what = format!("\"{}\" is not a number from 1 to {MOST_KEYS}", shortened(&cell.text));
                    self.problem(Some(cell.line), Some(name), what);
                    1
                }
            },
        };
        let serial = cell(Column::Serial).and_then(|(cell, name)| match check_serial(&cell.text) {
            Ok(()) if keys > 1 => {
                let what = format!("one serial number can't name {keys} keys: leave it out, or write one line a key");
                self.problem(Some(cell.line), Some(name), what);
                None
            }
            Ok(()) => Some(Serial::new(&*cell.text)),
            Err(what) => {
                self.problem(Some(cell.line), Some(name), what);
                None
            }
        });
        let first_device = cell(Column::FirstDevice).and_then(|(cell, name)| match first_device::read(&cell.text) {
            Ok(device) => Some(device),
            Err(what) => {
                self.problem(Some(cell.line), Some(name), what);
                None
            }
        });
        let language = cell(Column::Language).and_then(|(cell, name)| match language(&cell.text) {
            Ok(code) => Some(code),
            Err(what) => {
                self.problem(Some(cell.line), Some(name), what);
                None
            }
        });
        let text = |column: Column| cell(column).map(|(cell, _)| cell.text.clone());
        let row = RosterRow {
            line: Some(record.line),
            upn: upn?,
            serial,
            address: address(text),
            spare_address: address(|column| text(column.of_spare()?)),
            keys,
            key_kind: text(Column::KeyKind).map(KeyKind),
            first_device,
            language,
        };
        (self.problems.len() == before).then_some(row)
    }

    fn serials_are_different(&mut self, rows: &[RosterRow]) {
        let mut seen: HashMap<&str, Option<u32>> = HashMap::new();
        let mut twice = Vec::new();
        for row in rows {
            if let Some(serial) = &row.serial
                && let Some(earlier) = seen.insert(serial.as_str(), row.line)
            {
                twice.push((row.line, serial.clone(), earlier));
            }
        }
        for (line, serial, earlier) in twice {
            let what = format!("{serial} is on line {} already", earlier.unwrap_or_default());
            self.problem(line, Some(Column::Serial.name().to_owned()), what);
        }
    }
}

fn check_serial(text: &str) -> Result<(), String> {
    let shown = shortened(text);
    let spreadsheet = text.contains(['.', ',', '+']) && text.starts_with(|c: char| c.is_ascii_digit());
    if spreadsheet {
        return Err(format!("\"{shown}\" was turned into a number by a spreadsheet: format the column as text"));
    }
    if text.len() > 64 || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("\"{shown}\" is not a serial number: letters, digits and dashes only"));
    }
    Ok(())
}

fn address(text: impl Fn(Column) -> Option<String>) -> Option<PostalAddress> {
    let mut lines = Vec::new();
    for column in [Column::Company, Column::Address, Column::Street, Column::Street2] {
        if let Some(text) = text(column) {
            lines.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
    }
    let town: Vec<String> = [Column::PostalCode, Column::City].into_iter().filter_map(&text).collect();
    if !town.is_empty() {
        lines.push(town.join(" "));
    }
    lines.extend(text(Column::State));
    let country = text(Column::Country);
    let parts = AddressParts {
        company: text(Column::Company),
        street: text(Column::Street),
        street2: text(Column::Street2),
        postal_code: text(Column::PostalCode),
        city: text(Column::City),
        state: text(Column::State),
    };
    let parts = (parts != AddressParts::default()).then_some(parts);
    (!lines.is_empty() || country.is_some()).then_some(PostalAddress { lines, country, parts })
}

/// A language code (RFC 5646: `de`, `pt-BR`, `sr-Latn`), in lower case with dashes.
///
/// # Errors
/// What would be right.
pub fn language(text: &str) -> Result<String, String> {
    let code = text.trim().to_ascii_lowercase().replace('_', "-");
    let mut parts = code.split('-');
    let first =
        parts.next().is_some_and(|part| matches!(part.len(), 2 | 3) && part.bytes().all(|b| b.is_ascii_lowercase()));
    let rest = parts.all(|part| matches!(part.len(), 2..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if first && rest {
        Ok(code)
    } else {
        Err(format!("\"{}\" is not a language code such as de, nl or pt-BR", shortened(text)))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
