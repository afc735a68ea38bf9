//! An audit as a file: CSV or JSON Lines.
//!
//! Promise: what was written is read back byte for byte where it is hashed, also where a cell had to be guarded from spreadsheets.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::Format;
use crate::cli::export::guarded;
use crate::cli::{CliError, Exit};
use crate::ledger::audit_file::FileRow;
use crate::ledger::export::{AuditRow, COLUMNS};
use crate::ledger::{BlobHash, Row};

/// By the file's name; JSON Lines where it says nothing.
pub(super) fn format_of(path: &Path) -> Format {
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("csv") => Format::Csv,
        _ => Format::Jsonl,
    }
}

/// Writes rows.
pub(super) enum Writer {
    Csv(Box<csv::Writer<Vec<u8>>>),
    Jsonl(Vec<u8>),
}

impl Writer {
    pub(super) fn new(format: Format) -> io::Result<Self> {
        match format {
            Format::Jsonl => Ok(Self::Jsonl(Vec::new())),
            Format::Csv => {
                let mut table = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
                table.write_record(COLUMNS)?;
                Ok(Self::Csv(Box::new(table)))
            }
        }
    }

    pub(super) fn add(&mut self, row: &AuditRow) -> io::Result<()> {
        let cells = row.cells();
        match self {
            Self::Csv(table) => table.write_record(cells.map(|cell| guard(&cell)))?,
            Self::Jsonl(bytes) => {
                let mut line = Map::new();
                for (column, cell) in COLUMNS.iter().zip(cells) {
                    let value = if *column == "seq" { row.seq.into() } else { cell.into() };
                    line.insert((*column).to_owned(), value);
                }
                serde_json::to_writer(&mut *bytes, &line)?;
                bytes.push(b'\n');
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Jsonl(bytes) => Ok(bytes),
            Self::Csv(table) => table.into_inner().map_err(|error| io::Error::other(error.to_string())),
        }
    }
}

/// Reads a file that [`Writer`] wrote. Its format is told by its first byte, not by its name.
///
/// # Errors
/// What is no row, with its line.
pub(super) fn read(path: &Path) -> Result<Vec<FileRow>, CliError> {
    let no = |what: &str| {
        let fact = format!("{}: {what}.", path.display());
        let next = "give the file as `keybench audit export` wrote it, .csv or .jsonl.";
        CliError::new(Exit::Usage, "no-audit", fact, next)
    };
    let bytes = std::fs::read(path).map_err(|error| no(&error.to_string()))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let rows = if bytes.first() == Some(&b'{') { jsonl(bytes) } else { table(bytes) };
    rows.map_err(|what| no(&what))
}

fn jsonl(bytes: &[u8]) -> Result<Vec<FileRow>, String> {
    let mut rows = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index as u64 + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let value: Value =
            serde_json::from_slice(line).map_err(|error| format!("line {number} is no JSON: {error}"))?;
        let cells = COLUMNS.iter().map(|column| match &value[*column] {
            Value::String(text) => Ok(text.clone()),
            Value::Number(n) => Ok(n.to_string()),
            _ => Err(format!("line {number} has no `{column}`")),
        });
        rows.push(row(number, cells.collect::<Result<_, _>>()?, false)?);
    }
    Ok(rows)
}

fn table(bytes: &[u8]) -> Result<Vec<FileRow>, String> {
    let start = String::from_utf8_lossy(bytes.get(..bytes.len().min(400)).unwrap_or_default()).into_owned();
    let header = start.lines().next().unwrap_or_default().to_owned();
    // A spreadsheet of a country with decimal commas saves with semicolons.
    let delimiter = if header.contains(';') { b';' } else { b',' };
    let mut table = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let names: Vec<String> = table.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    let places: Vec<usize> = COLUMNS
        .iter()
        .map(|column| {
            names.iter().position(|name| name == column).ok_or_else(|| format!("line 1 has no column `{column}`"))
        })
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record.map_err(|error| error.to_string())?;
        let number = record.position().map_or(0, csv::Position::line);
        let cells = places.iter().map(|place| record.get(*place).unwrap_or_default().to_owned()).collect();
        rows.push(row(number, cells, true)?);
    }
    Ok(rows)
}

fn row(line: u64, mut cells: Vec<String>, is_guarded: bool) -> Result<FileRow, String> {
    let cell = |cells: &[String], name: &str| {
        COLUMNS.iter().position(|column| *column == name).and_then(|at| cells.get(at)).cloned().unwrap_or_default()
    };
    let seq: u64 = cell(&cells, "seq").trim().parse().map_err(|_| format!("line {line}: `seq` is no number"))?;
    let hash = BlobHash::parse(cell(&cells, "hash").trim());
    let hash = hash.ok_or_else(|| format!("line {line}: `hash` is no SHA-256"))?;
    if is_guarded {
        cells.iter_mut().for_each(|cell| *cell = unguarded(cell));
    }
    let row =
        Row { seq, at: cell(&cells, "at"), bench: cell(&cells, "bench"), body: cell(&cells, "body"), hash: hash.0 };
    Ok(FileRow { line, row, cells })
}

/// A cell that no spreadsheet takes for a formula, and of which every byte can be had back: one apostrophe is put before a formula,
/// and before an apostrophe.
fn guard(cell: &str) -> String {
    if guarded(cell).starts_with('\'') { format!("'{cell}") } else { cell.to_owned() }
}

fn unguarded(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).to_owned()
}
