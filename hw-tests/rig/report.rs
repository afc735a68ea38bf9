//! What came of the trials: printed as it happens; as JUnit, as a page with the matrix of keys and trials, and held against the last run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is kept for the next run, to be held against it.
const KEPT: &str = "last.json";

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "said", rename_all = "kebab-case")]
pub enum Verdict {
    Passed(String),
    Failed(String),
    Skipped(String),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
    pub(super) fn said(&self) -> &str {
        match self {
            Self::Passed(said) | Self::Failed(said) | Self::Skipped(said) => said,
        }
    }
}

/// One trial on one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    dut: String,
    pub(super) trial: String,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    pub(super) seconds: f64,
    #[serde(default)]
    destroys: String,
}

impl Row {
    pub fn new(dut: &str, trial: &str, verdict: Verdict, time: Duration) -> Self {
        let (dut, trial) = (dut.to_owned(), trial.to_owned());
        Self { dut, trial, verdict, seconds: time.as_secs_f64(), destroys: String::new() }
    }

    pub fn skipped(dut: &str, trial: &str, reason: String) -> Self {
        Self::new(dut, trial, Verdict::Skipped(reason), Duration::ZERO)
    }

    pub fn destroys(mut self, what: &str) -> Self {
        what.clone_into(&mut self.destroys);
        self
    }

    fn name(&self) -> String {
        if self.dut == "virtual" { self.trial.clone() } else { format!("{} {}", self.dut, self.trial) }
    }

    fn print(&self) {
        let name = self.name();
        let seconds = self.seconds;
        match &self.verdict {
            Verdict::Passed(said) if self.destroys.is_empty() => {
                println!("hw {name:<16} passed in {seconds:.1} s: {said}")
            }
            Verdict::Passed(said) => println!("hw {name:<16} passed in {seconds:.1} s: {said} ({})", self.destroys),
            Verdict::Failed(error) => println!("hw {name:<16} FAILED after {seconds:.1} s: {error}"),
            Verdict::Skipped(reason) => println!("hw {name:<16} skipped: {reason}"),
        }
    }
}

/// All of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    rows: Vec<Row>,
    /// By DUT: model and firmware.
    models: BTreeMap<String, String>,
    /// Not everything was asked for: what is not here keeps its last verdict.
    #[serde(default)]
    part: bool,
}

impl Report {
    /// Adds and prints a row.
    pub fn add(&mut self, row: Row) {
        row.print();
        self.rows.push(row);
    }

    /// One of several that were written elsewhere, its rows in the order of the trials.
    pub fn joined(folders: &[PathBuf], order: &[&str]) -> Result<Self, String> {
        let mut all = Self::default();
        for folder in folders {
            let place = folder.join(KEPT);
            let text = fs::read_to_string(&place).map_err(|error| format!("{}: {error}", place.display()))?;
            let one: Self =
                serde_json::from_str(&text).map_err(|error| format!("{} is no report: {error}", place.display()))?;
            all.rows.extend(one.rows);
            all.models.extend(one.models);
            all.part |= one.part;
        }
        all.rows.sort_by_key(|row| order.iter().position(|name| *name == row.trial));
        Ok(all)
    }

    /// Whether only a part was asked for.
    pub fn of_a_part(self, part: bool) -> Self {
        Self { part, ..self }
    }

    pub fn model(&mut self, dut: &str, model: &str, firmware: Option<&str>) {
        let name = model.rsplit('/').next().unwrap_or(model);
        let told = firmware.map_or_else(|| name.to_owned(), |firmware| format!("{name} {firmware}"));
        self.models.insert(dut.to_owned(), told);
    }

    /// Passed, failed, skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |word| self.rows.iter().filter(|row| row.verdict.word() == word).count();
        (count("passed"), count("failed"), count("skipped"))
    }

    /// What took longest, longest first.
    pub fn longest(&self) -> String {
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.seconds >= 1.0).collect();
        rows.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        let named = rows.iter().take(8).map(|row| format!("{} {:.0} s", row.name(), row.seconds));
        named.collect::<Vec<_>>().join(", ")
    }

    /// Writes `junit.xml`, `index.html` and `last.json` into a folder; what is other than in the `last.json` before. A part of the trials
    /// leaves the others there as they were.
    pub fn write(&self, folder: &Path) -> Result<Vec<String>, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        let place = folder.join(KEPT);
        let last: Option<Self> = fs::read_to_string(&place).ok().and_then(|text| serde_json::from_str(&text).ok());
        let changes = last.as_ref().map(|last| self.changes(last)).unwrap_or_default();
        fs::write(folder.join("junit.xml"), self.junit()).map_err(failed)?;
        fs::write(folder.join("index.html"), self.html(last.as_ref(), &changes)).map_err(failed)?;
        let mut kept = Self { rows: self.rows.clone(), models: self.models.clone(), part: self.part };
        if let Some(last) = last.filter(|_| self.part) {
            kept.rows.extend(last.rows.into_iter().filter(|row| self.find(&row.dut, &row.trial).is_none()));
            last.models.into_iter().for_each(|(dut, model)| {
                kept.models.entry(dut).or_insert(model);
            });
        }
        let json = serde_json::to_string_pretty(&kept).map_err(|error| error.to_string())?;
        fs::write(place, json + "\n").map_err(failed)?;
        Ok(changes)
    }

    /// What was done on virtual keys.
    pub(super) fn virtual_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.dut == "virtual")
    }

    fn find(&self, dut: &str, trial: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.dut == dut && row.trial == trial)
    }

    /// Other verdicts, and times that are twice as long and more than a second longer.
    fn changes(&self, last: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for row in &self.rows {
            let Some(before) = last.find(&row.dut, &row.trial) else {
                changes.push(format!("{} {}: new, {}", row.dut, row.trial, row.verdict.word()));
                continue;
            };
            let (was, is) = (before.verdict.word(), row.verdict.word());
            if was != is {
                changes.push(format!("{} {}: was {was}, is {is}", row.dut, row.trial));
            } else if row.seconds > 2.0 * before.seconds && row.seconds > before.seconds + 1.0 {
                changes.push(format!("{} {}: {:.1} s, was {:.1} s", row.dut, row.trial, row.seconds, before.seconds));
            }
        }
        let gone = last.rows.iter().filter(|row| !self.part && self.find(&row.dut, &row.trial).is_none());
        changes.extend(gone.map(|row| format!("{} {}: not done, was {}", row.dut, row.trial, row.verdict.word())));
        changes
    }

    fn duts(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.rows.iter().map(|row| row.dut.as_str()).filter(|dut| seen.insert(*dut)).collect()
    }

    fn model_of(&self, dut: &str) -> &str {
        self.models.get(dut).map_or("", String::as_str)
    }

    fn junit(&self) -> String {
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
        for dut in self.duts() {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.dut == dut).collect();
            let count = |word| rows.iter().filter(|row| row.verdict.word() == word).count();
            let time: f64 = rows.iter().map(|row| row.seconds).sum();
            let name = escaped(&format!("{dut} {}", self.model_of(dut)));
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{time:.3}\">",
                name.trim(),
                rows.len(),
                count("failed"),
                count("skipped")
            );
            for row in rows {
                let (class, trial) = (escaped(dut), escaped(&row.trial));
                let _ =
                    write!(xml, "    <testcase classname=\"{class}\" name=\"{trial}\" time=\"{:.3}\">", row.seconds);
                let said = escaped(row.verdict.said());
                let _ = match row.verdict {
                    Verdict::Passed(_) => write!(xml, "<system-out>{said}</system-out>"),
                    Verdict::Failed(_) => write!(xml, "<failure message=\"failed\">{said}</failure>"),
                    Verdict::Skipped(_) => write!(xml, "<skipped message=\"{said}\"/>"),
                };
                xml.push_str("</testcase>\n");
            }
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    fn html(&self, last: Option<&Self>, changes: &[String]) -> String {
        let mut trials: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !trials.contains(&row.trial.as_str()) {
                trials.push(&row.trial);
            }
        }
        let (passed, failed, skipped) = self.counts();
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Trials on security keys</title>\n<style>\
             body{{font:15px system-ui;margin:2em}}table{{border-collapse:collapse}}td,th{{border:1px solid #999;padding:.3em .6em;\
             text-align:left}}.passed{{background:#d7f0d7}}.failed{{background:#f6cccc}}.skipped{{color:#777}}small{{color:#555}}</style>\n\
             <h1>Trials on security keys</h1>\n<p>{passed} passed, {failed} failed, {skipped} skipped.</p>\n<table>\n<tr><th>DUT<th>model, firmware"
        );
        for trial in &trials {
            let _ = write!(page, "<th>{}", escaped(trial));
        }
        page.push('\n');
        for dut in self.duts() {
            let _ = write!(page, "<tr><th>{}<td>{}", escaped(dut), escaped(self.model_of(dut)));
            for trial in &trials {
                let Some(row) = self.find(dut, trial) else {
                    page.push_str("<td>");
                    continue;
                };
                let (word, said) = (row.verdict.word(), escaped(row.verdict.said()));
                let _ = write!(page, "<td class=\"{word}\" title=\"{said}\">{word}");
                if !matches!(row.verdict, Verdict::Skipped(_)) {
                    let _ = write!(page, " <small>{:.1} s</small>", row.seconds);
                }
                let before = last.and_then(|last| last.find(dut, trial)).map(|row| row.verdict.word());
                if let Some(before) = before.filter(|before| *before != word) {
                    let _ = write!(page, " <small>(was {before})</small>");
                }
            }
            page.push('\n');
        }
        page.push_str("</table>\n");
        for row in self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed(_))) {
            let (name, said) = (escaped(&format!("{} {}", row.dut, row.trial)), escaped(row.verdict.said()));
            let _ = write!(page, "<h2>{name}</h2>\n<pre>{said}</pre>\n");
        }
        if !changes.is_empty() {
            page.push_str("<h2>Since the last run</h2>\n<ul>\n");
            changes.iter().for_each(|change| {
                let _ = writeln!(page, "<li>{}", escaped(change));
            });
            page.push_str("</ul>\n");
        }
        page.push_str("</html>\n");
        page
    }
}

/// For XML and HTML; what XML 1.0 can't hold becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
