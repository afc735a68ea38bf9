//! Is an address fit for a carrier? Known before the first key, not when the parcels stand ready.
//!
//! Only what can be known without asking anybody: that something is there, that a parcel can be sent to it at all, and that a
//! carrier's columns can be filled and are not overfull. Whether the street exists is the carrier's to say.

use crate::model::PostalAddress;

/// Something that is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressFault {
    /// None at all.
    #[error("there is no address")]
    Missing,
    /// One line, e.g. a city alone.
    #[error("it has one line only: a street and a city are the least")]
    OneLine,
    /// No figure in it: neither a house number nor a postal code.
    #[error("it has no number in it, neither a house's nor a postal code")]
    NoNumber,
    /// More lines than an envelope's window and a label hold.
    #[error("it has {0} lines; labels and windows hold 6")]
    TooManyLines(usize),
    /// A line that no label holds.
    #[error("its line {line} has {length} characters; {most} fit")]
    TooLong {
        /// Which, from 1.
        line: usize,
        /// Its length.
        length: usize,
        /// What fits.
        most: usize,
    },
    /// The carrier's file needs it and the address has no such part.
    #[error("the carrier's column {column} needs {what}, which is not known")]
    PartMissing {
        /// The carrier's column.
        column: String,
        /// What it is filled from.
        what: String,
    },
    /// The carrier's file has less room.
    #[error("the carrier's column {column} takes {most} characters; there are {length}")]
    PartTooLong {
        /// The carrier's column.
        column: String,
        /// What it takes.
        most: usize,
        /// What there is.
        length: usize,
    },
}

const MOST_LINES: usize = 6;
const LONGEST_LINE: usize = 60;

/// What is wrong with it, as far as every carrier is concerned.
pub fn check(address: Option<&PostalAddress>) -> Vec<AddressFault> {
    let lines: Vec<&str> = address
        .map(|address| address.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect())
        .unwrap_or_default();
    let mut faults = Vec::new();
    match lines.len() {
        0 => return vec![AddressFault::Missing],
        1 => faults.push(AddressFault::OneLine),
        count if count > MOST_LINES => faults.push(AddressFault::TooManyLines(count)),
        _ => {}
    }
    if !lines.iter().any(|line| line.chars().any(char::is_numeric)) {
        faults.push(AddressFault::NoNumber);
    }
    for (at, line) in lines.iter().enumerate() {
        let length = line.chars().count();
        if length > LONGEST_LINE {
            faults.push(AddressFault::TooLong { line: at.saturating_add(1), length, most: LONGEST_LINE });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(lines: &[&str]) -> Vec<AddressFault> {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        check(Some(&PostalAddress { lines, ..PostalAddress::default() }))
    }

    #[test]
    fn addresses_that_no_parcel_reaches() {
        assert_eq!(faults(&["1 Main St", "Town"]), []);
        assert_eq!(check(None), [AddressFault::Missing]);
        assert_eq!(faults(&["", "  "]), [AddressFault::Missing]);
        assert_eq!(faults(&["Berlin"]), [AddressFault::OneLine, AddressFault::NoNumber]);
        assert_eq!(faults(&["The Manor", "Little Snoring"]), [AddressFault::NoNumber]);
        assert_eq!(faults(&["1"; 7]), [AddressFault::TooManyLines(7)]);
        let long = "x".repeat(61);
        assert_eq!(faults(&["1", &long]), [AddressFault::TooLong { line: 2, length: 61, most: 60 }]);
    }
}
