//! The table in `docs/FIGURES.md` that a full run fills: a line for each trial, with the day and the version it was measured on.
//!
//! Promise: nothing outside the two marks is touched, and the line of a trial that was not done stays as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::report::{Report, Verdict};

const BEGIN: &str = "<!-- full run: begin -->";
const END: &str = "<!-- full run: end -->";
const HEAD: &str = "| trial | | s | what was tried | measured |\n|---|---|---|---|---|\n";
/// Characters of a sentence in the table; the whole one stands in the report.
const LONGEST: usize = 2000;

/// Writes what was done into the page, trials in this `order`. `measured`: the day and the version, in words.
pub fn fill(page: &Path, report: &Report, order: &[&str], measured: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(page).map_err(told)?;
    let filled = filled(&text, report, order, measured)
        .ok_or_else(|| format!("{} has no lines `{BEGIN}` and `{END}` for the table", page.display()))?;
    fs::write(page, filled).map_err(told)
}

fn filled(text: &str, report: &Report, order: &[&str], measured: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let mut lines = BTreeMap::new();
    let mut put = |trial: &str, line: String| {
        // A trial that is no more has no line.
        if let Some(place) = order.iter().position(|name| *name == trial) {
            lines.insert(place, line);
        }
    };
    for line in table.lines() {
        if let Some((trial, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |")) {
            put(trial, line.to_owned());
        }
    }
    for row in report.virtual_rows().filter(|row| !matches!(row.verdict, Verdict::Skipped(_))) {
        let (trial, word) = (&row.trial, row.verdict.word());
        let said = cell(row.verdict.said());
        put(trial, format!("| `{trial}` | {word} | {:.0} | {said} | {measured} |", row.seconds));
    }
    let mut out = format!("{before}{BEGIN}\n{HEAD}");
    for line in lines.values() {
        let _ = writeln!(out, "{line}");
    }
    Some(out + END + after)
}

/// Text as a table's cell can hold it.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
