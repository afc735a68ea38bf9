//! The PIN letter: one sheet with the address and how to sign in, one with the PIN.
//!
//! Promise: the PIN stands in its place on its sheet and nowhere else; that sheet has no name and no company on it; what
//! doesn't fit or can't be written with the font is told, never cut off or printed as boxes.
//! Exception: in the layout `panels` address and PIN share one sheet of paper, parted by a fold to tear at.

pub mod fields;
mod lay_out;
pub mod mail;
pub mod state;
pub mod template;

use jiff::civil::Date;

use super::code::{Code, CodeKind, NotACode, key_reference};
use super::paper::{Fonts, Overflow, Sheet, Style};
use crate::model::{FirstDevice, JobId, KeyRef, Pin, PostalAddress};

pub use state::{LetterState, Letters, PaperState};
pub use template::{Layout, Template, TemplateError, Texts};

/// Whose letter it is, and all that is known without the PIN.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The job.
    pub job: JobId,
    /// Whose try's PIN.
    pub attempt: u32,
    /// Which print of this letter, from 1.
    pub issue: u32,
    /// The person's display name.
    pub name: String,
    /// Where the letter goes.
    pub address: PostalAddress,
    /// A language code; the template must have it.
    pub language: String,
    /// The key.
    pub key: KeyRef,
    /// The fewest characters of a new PIN, as the key tells it.
    pub pin_minimum: u32,
    /// The key makes its user change the PIN.
    pub forced: bool,
    /// What the person uses first.
    pub first_device: Option<FirstDevice>,
    /// The day of printing.
    pub date: Date,
    /// The last day on which the letter is to be used.
    pub expires: Date,
}

/// Why a letter can't be laid out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LetterError {
    /// The template has no texts in this language.
    #[error("the template has no texts in the language {0}")]
    Language(String),
    /// No line of an address.
    #[error("there is no address to send it to")]
    NoAddress,
    /// The address is longer than the window, at the smallest size.
    #[error("the address doesn't fit the envelope's window")]
    Address,
    /// A text is longer than its sheet, at the smallest size.
    #[error("the text in the language {language} doesn't fit its sheet: {overflow}")]
    Text {
        /// The language.
        language: String,
        /// By how much.
        overflow: Overflow,
    },
    /// The PIN doesn't fit its place.
    #[error("the PIN doesn't fit its place: make [pin] wider")]
    Pin,
    /// The paper can't have a code.
    #[error(transparent)]
    Code(#[from] NotACode),
    /// A code can't be drawn.
    #[error(transparent)]
    Symbol(#[from] super::paper::symbol::SymbolError),
}

impl Letter {
    /// The letter's own code: that of its PIN sheet. This is what the ledger calls the sheet.
    ///
    /// # Errors
    /// [`NotACode`].
    pub fn code(&self) -> Result<Code, NotACode> {
        Code::new(CodeKind::PinSheet, &self.job, self.attempt, self.issue)
    }

    /// Lays the letter out.
    ///
    /// # Errors
    /// [`LetterError`].
    pub fn sheets(&self, template: &Template, fonts: &Fonts, pin: &Pin) -> Result<Vec<Sheet>, LetterError> {
        lay_out::sheets(self, template, fonts, pin)
    }

    /// Characters of the name and the address that the fonts can't write.
    pub fn missing(&self, fonts: &Fonts) -> Vec<char> {
        let mut missing: Vec<char> = self
            .address_lines("")
            .iter()
            .flat_map(|line| [fonts.missing(Style::Regular, line), fonts.missing(Style::Bold, line)].concat())
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The lines in the window: name, address, and the country in capitals unless it is `home`.
    pub fn address_lines(&self, home: &str) -> Vec<String> {
        Self::lines_of(&self.name, &self.address, home)
    }

    /// The same for anybody: a parcel's label has them too.
    pub fn lines_of(name: &str, address: &PostalAddress, home: &str) -> Vec<String> {
        let mut lines = vec![name.trim().to_owned()];
        lines.extend(address.lines.iter().map(|line| line.trim().to_owned()));
        if let Some(country) = address.country.as_deref().map(str::trim).filter(|country| !country.is_empty())
            && !same(country, home)
        {
            lines.push(country.to_uppercase());
        }
        lines.retain(|line| !line.is_empty());
        lines
    }

    /// What a field stands for; `None` for a field that doesn't exist.
    fn field(&self, template: &Template, texts: &Texts, name: &str, sheet: usize, sheets: usize) -> Option<String> {
        let phone = phone_of(template, texts);
        Some(match name {
            "name" => self.name.clone(),
            "company" => template.company.clone(),
            "contact" => template.contact.clone(),
            "key_ref" => key_reference(&self.job, self.attempt),
            "key_model" => model_of(&self.key, texts),
            "key_serial" => self.key.serial.as_ref().map(ToString::to_string).unwrap_or_default(),
            "phone" => unbroken(phone),
            "hours" => unbroken(&template.hours),
            "help" if template.hours.is_empty() => unbroken(phone),
            "help" => format!("{} ({})", unbroken(phone), unbroken(&template.hours)),
            "pin_min" => self.pin_minimum.to_string(),
            "date" => written(self.date, texts),
            "expires" => written(self.expires, texts),
            "letter" => self.code().map(|code| code.for_people()).unwrap_or_default(),
            "sheet" => sheet.to_string(),
            "sheets" => sheets.to_string(),
            _ => return None,
        })
    }
}

/// The last day of a letter printed on `date`: longer for an address abroad.
pub fn expires(template: &Template, address: &PostalAddress, date: Date) -> Date {
    let country = address.country.as_deref().unwrap_or_default().trim();
    let inland = country.is_empty() || template.home.is_empty() || same(country, &template.home);
    let days = if inland { template.inland_days } else { template.abroad_days };
    date.saturating_add(jiff::Span::new().days(i64::from(days)))
}

fn phone_of<'a>(template: &'a Template, texts: &'a Texts) -> &'a str {
    if template.phone.is_empty() { texts.get("no_phone") } else { &template.phone }
}

fn model_of(key: &KeyRef, texts: &Texts) -> String {
    key.model.clone().unwrap_or_else(|| texts.get("no_model").to_owned())
}

/// A phone number is not broken over two lines. One in words is.
fn unbroken(text: &str) -> String {
    if text.chars().any(|c| c.is_ascii_digit()) { text.replace(' ', "\u{a0}") } else { text.to_owned() }
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

fn written(date: Date, texts: &Texts) -> String {
    let mut text = String::new();
    let format = jiff::fmt::strtime::BrokenDownTime::from(date).format(texts.get("date"), &mut text);
    // Checked when the template was read; the plain form is never wrong.
    if format.is_ok() { text } else { date.to_string() }
}

#[cfg(test)]
mod tests;
