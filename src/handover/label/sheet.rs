//! Sheets of labels as data: Avery's numbers, or a file of the same form.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::handover::paper::{Place, Size};

const BUILT_IN: &str = include_str!("sheets.toml");

/// A sheet of labels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSheet {
    /// For people.
    pub about: String,
    paper: Paper,
    /// Labels side by side.
    pub columns: u32,
    /// Labels one below the other.
    pub rows: u32,
    /// Of one label, in millimetres.
    pub width: f32,
    /// Of one label.
    pub height: f32,
    left: f32,
    top: f32,
    across: f32,
    down: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
enum Paper {
    A4,
    Letter,
}

/// A sheet that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// No such number.
    #[error("there is no sheet {name}; there are {known}")]
    Unknown {
        /// As asked.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Not of the form.
    #[error("line {line}: {what}")]
    Form {
        /// From 1; 0 for the file.
        line: usize,
        /// What.
        what: String,
    },
    /// Its labels leave the paper or lie on each other.
    #[error("the labels of {0} don't lie side by side on its paper")]
    Shape(String),
}

impl LabelSheet {
    /// One of the built-in ones, by its number.
    ///
    /// # Errors
    /// [`SheetError::Unknown`].
    pub fn named(name: &str) -> Result<Self, SheetError> {
        let mut all = built_in()?;
        all.remove(&name.trim().to_ascii_uppercase()).ok_or_else(|| SheetError::Unknown {
            name: name.to_owned(),
            known: all.into_keys().collect::<Vec<_>>().join(", "),
        })
    }

    /// The only sheet of a file.
    ///
    /// # Errors
    /// [`SheetError`].
    pub fn read(text: &str) -> Result<Self, SheetError> {
        let all = sheets(text)?;
        let count = all.len();
        match all.into_values().next() {
            Some(sheet) if count == 1 => Ok(sheet),
            _ => Err(SheetError::Form { line: 0, what: format!("it holds {count} sheets; one is wanted") }),
        }
    }

    /// Labels on one sheet.
    pub fn count(&self) -> u32 {
        self.columns.saturating_mul(self.rows)
    }

    /// The paper's size.
    pub fn size(&self) -> Size {
        match self.paper {
            Paper::A4 => Size::A4,
            Paper::Letter => Size::LETTER,
        }
    }

    /// Where the n-th label is, from 0, row by row.
    pub fn place(&self, number: u32) -> Place {
        let (column, row) = (number % self.columns.max(1), number / self.columns.max(1));
        Place {
            x: self.left + column as f32 * self.across,
            y: self.top + row as f32 * self.down,
            width: self.width,
            height: self.height,
        }
    }

    fn check(&self, name: &str) -> Result<(), SheetError> {
        let last = self.place(self.count().saturating_sub(1));
        let size = self.size();
        // A hundredth of a millimetre is the rounding of inches.
        let sound = (1..=50).contains(&self.columns)
            && (1..=100).contains(&self.rows)
            && self.width >= 15.0
            && self.height >= 10.0
            && self.left >= 0.0
            && self.top >= 0.0
            && (self.columns == 1 || self.across + 0.01 >= self.width)
            && (self.rows == 1 || self.down + 0.01 >= self.height)
            && last.right() <= size.width + 0.01
            && last.bottom() <= size.height + 0.01;
        if sound { Ok(()) } else { Err(SheetError::Shape(name.to_owned())) }
    }
}

/// The built-in sheets, by number.
///
/// # Errors
/// [`SheetError`] if the program was built with a broken list; a test holds that it is not.
pub fn built_in() -> Result<BTreeMap<String, LabelSheet>, SheetError> {
    sheets(BUILT_IN)
}

fn sheets(text: &str) -> Result<BTreeMap<String, LabelSheet>, SheetError> {
    let all: BTreeMap<String, LabelSheet> = toml::from_str(text).map_err(|error| SheetError::Form {
        line: error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count().saturating_add(1)),
        what: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    all.iter().try_for_each(|(name, sheet)| sheet.check(name))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_sheets_are_sound_and_centred() {
        for (name, sheet) in built_in().expect("sound") {
            let (first, last) = (sheet.place(0), sheet.place(sheet.count() - 1));
            // Makers centre their labels on the paper.
            assert!((first.x - (sheet.size().width - last.right())).abs() < 0.25, "{name}");
            assert!((first.y - (sheet.size().height - last.bottom())).abs() < 0.25, "{name}");
            assert!(sheet.about.starts_with(&sheet.count().to_string()), "{name}");
        }
        assert!(LabelSheet::named("l7160").is_ok());
        assert!(LabelSheet::named("L9999").is_err_and(|error| error.to_string().contains("L7160")));
    }

    #[test]
    fn own_sheets_are_read_and_checked() {
        let text = "[own]\nabout = \"2\"\npaper = \"A4\"\ncolumns = 1\nrows = 2\nwidth = 100.0\nheight = 50.0\nleft = 5.0\ntop = 5.0\nacross = 0.0\ndown = 50.0\n";
        assert_eq!(LabelSheet::read(text).map(|sheet| sheet.count()), Ok(2));
        assert_eq!(LabelSheet::read(&text.replace("rows = 2", "rows = 20")), Err(SheetError::Shape("own".into())));
        assert!(matches!(
            LabelSheet::read(&text.replace("down", "dawn")),
            Err(SheetError::Form { line: 11, .. }) | Err(SheetError::Form { line: 1, .. })
        ));
        assert!(LabelSheet::read("").is_err());
    }
}
