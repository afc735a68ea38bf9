//! A vendor's file of hardware OATH tokens: its rows, or everything that is wrong with it. Pure.
//!
//! The form that Entra's own upload takes, which vendors deliver: `upn,serial number,secret key,time interval,manufacturer,model`,
//! and a `hash` column where tokens have SHA-256. Names of columns vary; `upn` may be empty or absent.
//!
//! Promise: seeds are wiped as soon as they are no longer needed and stand in no error. Exception: the splitter's own copies, which
//! the program's allocator clears when it frees them.

use std::collections::HashMap;

use zeroize::{Zeroize as _, Zeroizing};

use super::totp::{Hash, base32};
use crate::model::{Secret, Upn};
use crate::roster::decode::{NotText, decode};
use crate::roster::table::{self, Record};
use crate::roster::{RosterError, RosterProblem};

/// A token as a vendor describes it.
#[derive(Debug)]
pub struct TokenRow {
    /// Line of the file, from 1.
    pub line: u32,
    /// As printed on the token.
    pub serial: String,
    /// Base32, in capitals, without blanks and padding.
    pub seed: Secret<String>,
    /// 30 or 60 seconds.
    pub interval: u32,
    /// Its hash.
    pub hash: Hash,
    /// Who makes it.
    pub manufacturer: String,
    /// What it is.
    pub model: String,
    /// Whose it is to be.
    pub upn: Option<Upn>,
}

/// What the file may leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Where there is no such column, or the cell is empty.
    pub manufacturer: Option<String>,
    /// Where there is no such column, or the cell is empty.
    pub model: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Column {
    Upn,
    Serial,
    Seed,
    Interval,
    Manufacturer,
    Model,
    Hash,
}

const COLUMNS: &[(Column, &[&str])] = &[
    (Column::Upn, &["upn", "userprincipalname", "username"]),
    (Column::Serial, &["serialnumber", "serial", "serialno", "sn", "tokenserial"]),
    (Column::Seed, &["secretkey", "secret", "seed", "key", "secretbase32"]),
    (Column::Interval, &["timeinterval", "interval", "timestep", "period", "timeintervalinseconds"]),
    (Column::Manufacturer, &["manufacturer", "vendor", "make"]),
    (Column::Model, &["model", "type", "product"]),
    (Column::Hash, &["hash", "hashfunction", "algorithm"]),
];

fn column(header: &str) -> Option<Column> {
    let name: String = header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
}

/// Graph's most for `secretKey`.
const LONGEST_SEED: usize = 128;
/// RFC 4226 §4: at least 128 bits are demanded; vendors' shortest are 80.
const SHORTEST_SEED: usize = 16;

/// What a file holds: the lines that are right, and what is wrong with the others, by line and field; never a seed.
#[derive(Debug)]
pub struct Lines {
    /// In the file's order.
    pub tokens: Vec<TokenRow>,
    /// In the file's order; those of the whole file first.
    pub problems: Vec<RosterProblem>,
}

/// Reads a file's bytes when all of it is right. `source` is the name to use in messages.
///
/// # Errors
/// [`RosterError`] with everything that is wrong.
pub fn read(source: &str, bytes: &[u8], defaults: &Defaults) -> Result<Vec<TokenRow>, RosterError> {
    let Lines { tokens, problems } = lines(bytes, defaults);
    if problems.is_empty() { Ok(tokens) } else { Err(RosterError { source: source.to_owned(), problems }) }
}

/// Reads a file's bytes, line by line.
pub fn lines(bytes: &[u8], defaults: &Defaults) -> Lines {
    let mut problems = Vec::new();
    let tokens = match decode(bytes).map(Zeroizing::new) {
        Ok(text) => rows(&mut problems, &text, defaults),
        Err(error) => {
            let line = if let NotText::Encoding { line } = error { Some(line) } else { None };
            problems.push(RosterProblem { line, field: None, what: error.to_string() });
            Vec::new()
        }
    };
    if tokens.is_empty() && problems.is_empty() {
        let what = "there are no tokens in the file: the first line names the columns, e.g. upn,serial number,secret key,time interval,manufacturer,model";
        problems.push(RosterProblem { line: None, field: None, what: what.to_owned() });
    }
    problems.sort_by_key(|problem| problem.line);
    Lines { tokens, problems }
}

fn rows(problems: &mut Vec<RosterProblem>, text: &str, defaults: &Defaults) -> Vec<TokenRow> {
    let (separator, text, skipped) = table::find_separator(text, |header| column(header).is_some());
    let (mut records, faults) = table::split(text, separator);
    for fault in faults {
        let line = Some(fault.line.saturating_add(skipped));
        problems.push(RosterProblem { line, field: None, what: fault.what.to_string() });
    }
    let mut tokens = Vec::new();
    if let Some((header, rest)) = records.split_first() {
        let layout = layout(problems, header, skipped);
        let mut seen: HashMap<String, u32> = HashMap::new();
        for record in layout.iter().flat_map(|_| rest) {
            let line = record.line.saturating_add(skipped);
            let Some(token) = layout.as_ref().and_then(|layout| row(problems, layout, record, line, defaults)) else {
                continue;
            };
            if let Some(earlier) = seen.insert(token.serial.to_ascii_lowercase(), line) {
                let what = format!("{} is on line {earlier} already", token.serial);
                problems.push(RosterProblem { line: Some(line), field: Some("serial number".into()), what });
            }
            tokens.push(token);
        }
    }
    records.iter_mut().flat_map(|record| &mut record.cells).for_each(|cell| cell.text.zeroize());
    tokens
}

fn layout(problems: &mut Vec<RosterProblem>, header: &Record, skipped: u32) -> Option<HashMap<Column, usize>> {
    let line = Some(header.line.saturating_add(skipped));
    let mut layout = HashMap::new();
    for (index, cell) in header.cells.iter().enumerate() {
        if let Some(column) = column(&cell.text)
            && layout.insert(column, index).is_some()
        {
            let what = "two columns mean the same; keep one".to_owned();
            problems.push(RosterProblem { line, field: Some(cell.text.clone()), what });
        }
    }
    let mut whole = true;
    for (needed, name) in [(Column::Serial, "serial number"), (Column::Seed, "secret key")] {
        if !layout.contains_key(&needed) {
            // The header is not repeated: without one, the first line may be a token with its seed.
            let what = "this column is needed and is not there; does the first line name the columns?".to_owned();
            problems.push(RosterProblem { line, field: Some(name.to_owned()), what });
            whole = false;
        }
    }
    whole.then_some(layout)
}

fn row(
    problems: &mut Vec<RosterProblem>,
    layout: &HashMap<Column, usize>,
    record: &Record,
    line: u32,
    defaults: &Defaults,
) -> Option<TokenRow> {
    let before = problems.len();
    let mut wrong = |field: &str, what: String| {
        problems.push(RosterProblem { line: Some(line), field: Some(field.to_owned()), what });
    };
    let cell = |column: Column| {
        let text = record.cells.get(*layout.get(&column)?)?.text.as_str();
        (!text.is_empty()).then_some(text)
    };
    let serial = cell(Column::Serial).unwrap_or_default();
    if serial.is_empty() {
        wrong("serial number", "this is empty".into());
    } else if serial.contains("E+") || serial.contains(',') {
        wrong("serial number", "this was turned into a number by a spreadsheet: format the column as text".into());
    } else if serial.len() > 64 || !serial.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)) {
        wrong("serial number", "this is no serial number: letters, digits and - _ . / only".into());
    }
    let seed = seed(cell(Column::Seed).unwrap_or_default()).map_err(|what| wrong("secret key", what)).ok();
    let interval = match cell(Column::Interval).unwrap_or("30").trim_end_matches(['s', ' ']) {
        "30" => 30,
        "60" => 60,
        _ => {
            wrong("time interval", "this is neither 30 nor 60, and Entra takes no others".into());
            30
        }
    };
    let hash = match cell(Column::Hash).map(Hash::parse) {
        None => Hash::Sha1,
        Some(Some(hash)) => hash,
        Some(None) => {
            wrong("hash", "this is neither SHA-1 nor SHA-256, and Entra takes no others".into());
            Hash::Sha1
        }
    };
    let mut named = |column: Column, default: &Option<String>, field: &str| {
        let text = cell(column).or(default.as_deref()).unwrap_or_default().to_owned();
        if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
            let what = format!("this is empty or too long; give it for all with --{field}");
            problems.push(RosterProblem { line: Some(line), field: Some(field.to_owned()), what });
        }
        text
    };
    let manufacturer = named(Column::Manufacturer, &defaults.manufacturer, "manufacturer");
    let model = named(Column::Model, &defaults.model, "model");
    let upn = match cell(Column::Upn).map(Upn::parse) {
        None => None,
        Some(Some(upn)) => Some(upn),
        Some(None) => {
            let what = "this is not of the form name@domain".to_owned();
            problems.push(RosterProblem { line: Some(line), field: Some("upn".into()), what });
            None
        }
    };
    let token = TokenRow { line, serial: serial.to_owned(), seed: seed?, interval, hash, manufacturer, model, upn };
    (problems.len() == before).then_some(token)
}

/// Base32 in capitals. What is wrong with it is said without it.
fn seed(text: &str) -> Result<Secret<String>, String> {
    // One allocation: growing would leave copies behind.
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain
        .extend(text.trim_end_matches('=').chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_uppercase()));
    if plain.is_empty() {
        return Err("this is empty".into());
    }
    if base32(&plain).is_none() {
        let hexadecimal = plain.bytes().all(|byte| byte.is_ascii_hexdigit());
        return Err(if hexadecimal {
            "this is hexadecimal: ask the vendor for Base32 (letters and 2 to 7), which Entra wants".into()
        } else {
            "this is not Base32: letters and the digits 2 to 7 only".to_owned()
        });
    }
    match plain.len() {
        length if length < SHORTEST_SEED => {
            Err(format!("this has {length} characters, fewer than {SHORTEST_SEED}: too short to be a secret"))
        }
        length if length > LONGEST_SEED => {
            Err(format!("this has {length} characters, and Entra takes at most {LONGEST_SEED}"))
        }
        _ => Ok(Secret::new(std::mem::take(&mut *plain))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

    fn tokens(text: &str) -> Vec<TokenRow> {
        read("t.csv", text.as_bytes(), &Defaults::default()).expect("tokens")
    }

    #[test]
    fn vendors_files_are_read() {
        let text = format!(
            "upn,serial number,secret key,time interval,manufacturer,model\r\n\
             kim@contoso.com,1234567,{SEED},30,Contoso,HardwareKey\r\n,1234568,{},60,Contoso,HardwareKey\r\n",
            "jbsw y3dp-ehpk 3pxp===="
        );
        let read_ = tokens(&text);
        assert_eq!((read_.len(), read_[0].serial.as_str(), read_[0].interval), (2, "1234567", 30));
        assert_eq!(read_[1].seed.expose(), "JBSWY3DPEHPK3PXP");
        assert_eq!((read_[1].upn.is_none(), read_[1].interval), (true, 60));
        assert!(!format!("{read_:?}").contains(SEED));
        let other = format!("Serial;Secret;Algorithm\nA-1;{SEED};HMAC-SHA256\n");
        let defaults = Defaults { manufacturer: Some("Contoso".into()), model: Some("C200".into()) };
        let read_ = read("t.csv", other.as_bytes(), &defaults).expect("tokens");
        assert_eq!((read_[0].hash, read_[0].model.as_str(), read_[0].interval), (Hash::Sha256, "C200", 30));
    }

    #[test]
    fn what_is_wrong_is_said_by_line_and_never_with_a_seed() {
        let hex = "3132333435363738393031323334353637383930";
        let text = format!(
            "upn,serial number,secret key,time interval,manufacturer,model\n\
             kim,1,{SEED},30,C,M\n,2,{hex},30,C,M\n,3,{SEED}!,30,C,M\n,4,JBSWY3DP,30,C,M\n,5,{SEED},45,C,M\n,6,{SEED},30,,M\n\
             ,1.2E+10,{SEED},30,C,M\n,7,{long},30,C,M\n,8,{SEED},30,C,M\n,8,{SEED},30,C,M\n,9,,30,C,M\n",
            long = SEED.repeat(5)
        );
        let said = read("t.csv", text.as_bytes(), &Defaults::default()).expect_err("wrong").to_string();
        for wanted in [
            "t.csv:2: upn: this is not of the form",
            "t.csv:3: secret key: this is hexadecimal",
            "t.csv:4: secret key: this is not Base32",
            "t.csv:5: secret key: this has 8 characters, fewer than 16",
            "t.csv:6: time interval: this is neither 30 nor 60",
            "t.csv:7: manufacturer: this is empty",
            "t.csv:8: serial number: this was turned into a number",
            "t.csv:9: secret key: this has 160 characters",
            "t.csv:11: serial number: 8 is on line 10 already",
            "t.csv:12: secret key: this is empty",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        assert!(!said.contains(&SEED[..8]) && !said.contains(&hex[..8]), "{said}");
        // No header: the first line is a token, and is not repeated.
        let bare =
            read("t.csv", format!("1,{SEED},30\n").as_bytes(), &Defaults::default()).expect_err("wrong").to_string();
        assert!(bare.contains("does the first line name the columns?") && !bare.contains(&SEED[..8]), "{bare}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text in "(serial|secret|[,;\"\r\n A-Z2-7]){0,60}") {
            let _ = read("x", &bytes, &Defaults::default());
            let _ = read("x", format!("serial,secret\n{text}").as_bytes(), &Defaults::default());
        }
    }
}
