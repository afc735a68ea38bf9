//! Reads a TOML table member by member, and notes everything that is wrong on the way instead of stopping at the first.
//!
//! Promise: each problem has its line and its field; a member that nobody asked for is a problem of its own, so that a
//! mistyped name is not silently without effect.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Line and column, from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A value, the place it stands at, and the name of its field.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub place: Place,
    /// Its field, e.g. `fido2.include`.
    pub field: String,
}

/// Two are equal when they say the same, wherever they say it.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The field; empty when the file is no TOML.
    pub field: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.what)
    }
}

/// The text being read, and what is wrong with it so far.
pub(super) struct Notes<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Notes<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    pub fn note(&self, place: Place, field: &str, what: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { place, field: field.to_owned(), what: what.into() });
    }

    /// In the order of the file.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place);
        problems
    }
}

/// A table and the names that were asked for in it.
pub(super) struct Table<'n, 't> {
    notes: &'n Notes<'t>,
    path: String,
    /// Where its heading stands.
    pub place: Place,
    members: &'n DeTable<'t>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'n, 't> Table<'n, 't> {
    pub fn root(notes: &'n Notes<'t>, members: &'n DeTable<'t>) -> Self {
        Self { notes, path: String::new(), place: Place { line: 1, column: 1 }, members, asked: RefCell::default() }
    }

    pub fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &'static str) -> Option<&'n Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        self.members.get(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    pub fn wrong(&self, place: Place, key: &str, what: impl Into<String>) {
        self.notes.note(place, &self.field(key), what);
    }

    /// Something is missing or contradicts itself in this table.
    pub fn wrong_here(&self, what: impl Into<String>) {
        self.notes.note(self.place, &self.path, what);
    }

    fn at<T>(&self, key: &str, span: &Range<usize>, value: T) -> At<T> {
        At { value, place: self.notes.place(span), field: self.field(key) }
    }

    fn wrong_type(&self, key: &str, span: &Range<usize>, wanted: &str, found: &str) {
        self.wrong(self.notes.place(span), key, format!("this must be {wanted}, and is of the type {found}"));
    }

    pub fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => {
                Some(self.at(key, &value.span(), text.trim().to_owned()))
            }
            DeValue::String(_) => {
                self.wrong(self.notes.place(&value.span()), key, "this is empty: give a value or leave the line out");
                None
            }
            other => {
                self.wrong_type(key, &value.span(), "a text in quotes", other.type_str());
                None
            }
        }
    }

    pub fn boolean(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(it) => Some(self.at(key, &value.span(), *it)),
            other => {
                self.wrong_type(key, &value.span(), "true or false, without quotes", other.type_str());
                None
            }
        }
    }

    pub fn number(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<At<u32>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Integer(digits) => match u32::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) if range.contains(&number) => Some(self.at(key, &value.span(), number)),
                _ => {
                    let what = format!("this must be a whole number from {} to {}", range.start(), range.end());
                    self.wrong(self.notes.place(&value.span()), key, what);
                    None
                }
            },
            other => {
                self.wrong_type(key, &value.span(), "a whole number, without quotes", other.type_str());
                None
            }
        }
    }

    pub fn texts(&self, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, &value.span(), "a list of texts: [\"…\", \"…\"]", value.get_ref().type_str());
            return None;
        };
        let mut found = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => {
                    found.push(self.at(key, &item.span(), text.trim().to_owned()));
                }
                DeValue::String(_) => self.wrong(self.notes.place(&item.span()), key, "this is empty: leave it out"),
                other => self.wrong_type(key, &item.span(), "a list of texts in quotes", other.type_str()),
            }
        }
        Some(found)
    }

    /// One of these words.
    pub fn choice<T: Clone>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<At<T>> {
        let found = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == found.value) {
            return Some(At { value: value.clone(), place: found.place, field: found.field });
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let meant = nearest(&found.value, choices.iter().map(|(name, _)| *name));
        let meant = meant.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
        self.wrong(found.place, key, format!("this must be one of {}{meant}", names.join(", ")));
        None
    }

    /// `[section]`.
    pub fn table(&self, key: &'static str) -> Option<Table<'n, 't>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(members) => Some(self.below(key, &value.span(), members)),
            _ => {
                let field = self.field(key);
                let what = format!("this is a section: write [{field}] on a line of its own");
                self.wrong(self.notes.place(&value.span()), key, what);
                None
            }
        }
    }

    /// `[[section]]`, any number of times.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'n, 't>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let each = || format!("write [[{}]] on a line of its own for each", self.field(key));
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(self.notes.place(&value.span()), key, each());
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(members) => found.push(self.below(key, &item.span(), members)),
                _ => self.wrong(self.notes.place(&item.span()), key, each()),
            }
        }
        found
    }

    fn below(&self, key: &str, span: &Range<usize>, members: &'n DeTable<'t>) -> Table<'n, 't> {
        Table {
            notes: self.notes,
            path: self.field(key),
            place: self.notes.place(span),
            members,
            asked: RefCell::default(),
        }
    }

    /// Members that nobody asked for are mistakes.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, _) in self.members {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let what = match nearest(name, asked.iter().copied()) {
                Some(meant) => format!("there is no such member; did you mean \"{meant}\"?"),
                None => format!("there is no such member; there are {}", asked.join(", ")),
            };
            let field = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            self.notes.note(self.notes.place(&key.span()), &field, what);
        }
    }
}

/// The candidate that most resembles `text`, if one does.
fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let text = text.to_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&text, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
