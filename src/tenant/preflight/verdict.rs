//! What came of a check, and of all of them.

use std::fmt;

use serde::Serialize;

use super::facts::{Call, Gap, Why};
use crate::model::Upn;

/// How one thing stands. The order is that of reading: worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Stops.
    Fail,
    /// Goes on, after being read.
    Warn,
    /// Could not be asked; never counts as passed.
    Unknown,
    /// Worth knowing.
    Info,
    /// In order.
    Pass,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Warn, Self::Unknown, Self::Info, Self::Pass];

    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Unknown => "UNKNOWN",
            Self::Info => "INFO",
            Self::Pass => "pass",
        }
    }
}

/// A check's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u8);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PF{:02}", self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a verdict comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `GET` or `POST`; empty where nothing was asked of Graph.
    pub method: &'static str,
    /// Path, or what was looked at.
    pub path: &'static str,
    /// The member that decides.
    pub field: String,
    /// Its value.
    pub value: String,
}

impl Evidence {
    /// Evidence.
    pub fn of(call: Call, field: impl Into<String>, value: impl fmt::Display) -> Self {
        let value = crate::graph::error::one_line(&value.to_string(), LONGEST_VALUE);
        Self { method: call.method, path: call.path, field: field.into(), value }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, field, value } = self;
        let blank = if method.is_empty() { "" } else { " " };
        write!(f, "{method}{blank}{path}: ")?;
        if field.is_empty() { f.write_str(value) } else { write!(f, "{field} = {value}") }
    }
}

/// Longer values are cut: evidence is for reading.
const LONGEST_VALUE: usize = 200;

/// What to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// A sentence.
    pub text: String,
    /// The write that would do it, where there is one.
    pub api: Option<&'static str>,
}

impl Remedy {
    /// In words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), api: None }
    }

    /// With the write that does it.
    #[must_use]
    pub fn by(mut self, api: &'static str) -> Self {
        self.api = Some(api);
        self
    }
}

/// One result of a check; a check may have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How it stands.
    pub verdict: Verdict,
    /// A sentence.
    pub what: String,
    /// Whom it is about; empty for the tenant as a whole.
    pub people: Vec<Upn>,
    /// Where it comes from.
    pub evidence: Vec<Evidence>,
    /// What to do; nothing where it passed.
    pub remedy: Option<Remedy>,
    /// Why it is not known.
    pub why: Option<Why>,
}

impl Found {
    /// In order.
    pub fn pass(what: impl Into<String>, evidence: Evidence) -> Self {
        Self {
            verdict: Verdict::Pass,
            what: what.into(),
            people: Vec::new(),
            evidence: vec![evidence],
            remedy: None,
            why: None,
        }
    }

    /// Stops.
    pub fn fail(what: impl Into<String>, evidence: Evidence, remedy: Remedy) -> Self {
        Self { verdict: Verdict::Fail, remedy: Some(remedy), ..Self::pass(what, evidence) }
    }

    /// To be read.
    pub fn warn(what: impl Into<String>, evidence: Evidence, remedy: Remedy) -> Self {
        Self { verdict: Verdict::Warn, remedy: Some(remedy), ..Self::pass(what, evidence) }
    }

    /// Worth knowing.
    pub fn info(what: impl Into<String>, evidence: Evidence, remedy: Remedy) -> Self {
        Self { verdict: Verdict::Info, remedy: Some(remedy), ..Self::pass(what, evidence) }
    }

    /// Not known.
    pub fn unknown(gap: &Gap) -> Self {
        let what = sentence(&gap.what);
        Self {
            verdict: Verdict::Unknown,
            what,
            people: Vec::new(),
            evidence: vec![Evidence::of(gap.call, "", gap.why.word())],
            remedy: Some(Remedy::text(gap.next.clone())),
            why: Some(gap.why),
        }
    }

    /// About these people.
    #[must_use]
    pub fn about(mut self, people: Vec<Upn>) -> Self {
        self.people = people;
        self
    }

    /// With more evidence.
    #[must_use]
    pub fn and(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }
}

/// A sentence: a capital at its start, unless that is a name of something, and a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// A result with its check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub id: Id,
    /// Its name.
    pub name: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// A sentence.
    pub what: String,
    /// Whom it is about; empty for the tenant as a whole.
    pub people: Vec<Upn>,
    /// Where it comes from.
    pub evidence: Vec<Evidence>,
    /// What to do; nothing where it passed.
    pub remedy: Option<Remedy>,
    /// Why it is not known.
    #[serde(serialize_with = "word")]
    pub why: Option<Why>,
}

fn word<S: serde::Serializer>(why: &Option<Why>, serializer: S) -> Result<S::Ok, S::Error> {
    why.map(Why::word).serialize(serializer)
}

/// Findings of several checks that say the same: one refused question leaves many checks unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together<'a> {
    /// The checks, by number.
    pub checks: Vec<(Id, &'static str)>,
    /// The first of them, which speaks for all.
    pub finding: &'a Finding,
}

impl Together<'_> {
    /// `PF06 passkeys on`, or the numbers alone where there are several.
    pub fn title(&self) -> String {
        match self.checks.as_slice() {
            [(id, name)] => format!("{id} {name}"),
            many => many.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Findings that say the same, brought together; the order is that of the first of each.
pub fn together(findings: &[Finding]) -> Vec<Together<'_>> {
    let mut all: Vec<Together<'_>> = Vec::new();
    for finding in findings {
        let same = |one: &&mut Together<'_>| {
            let other = one.finding;
            finding.verdict == Verdict::Unknown
                && (other.verdict, &other.what, &other.remedy, &other.people)
                    == (finding.verdict, &finding.what, &finding.remedy, &finding.people)
        };
        match all.iter_mut().find(same) {
            Some(one) => one.checks.push((finding.id, finding.name)),
            None => all.push(Together { checks: vec![(finding.id, finding.name)], finding }),
        }
    }
    all
}

/// How everything stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing stands against it.
    Pass,
    /// There are warnings.
    Warn,
    /// Something stops it.
    Fail,
    /// Nothing stands against it, but not everything could be asked.
    Unknown,
}

/// All findings, worst first, then by check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sorts.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.verdict, finding.id));
        Self { findings }
    }

    /// Those with this verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }

    /// How many have it.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.with(verdict).count()
    }

    /// The sum. `strict`: a warning or something unknown stops as well.
    pub fn outcome(&self, strict: bool) -> Outcome {
        let any = |verdict| self.with(verdict).next().is_some();
        let (fail, warn, unknown) = (any(Verdict::Fail), any(Verdict::Warn), any(Verdict::Unknown));
        match (fail || strict && (warn || unknown), warn, unknown) {
            (true, ..) => Outcome::Fail,
            (false, true, _) => Outcome::Warn,
            (false, false, true) => Outcome::Unknown,
            (false, false, false) => Outcome::Pass,
        }
    }
}
