//! A carrier's list of deliveries: CSV with columns of any name. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Which column says what.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// The carrier's number.
    pub number: &'a str,
    /// The status.
    pub status: &'a str,
    /// What it says when the parcel was delivered; case does not count.
    pub delivered: &'a [String],
    /// When; a date, or a time with its zone.
    pub time: Option<&'a str>,
}

/// One parcel that was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The carrier's number.
    pub number: String,
    /// When.
    pub when: Timestamp,
}

/// Why the list is not taken. Lines count from 1, the header's line included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongList {
    /// It is not text.
    #[error("it is not text in UTF-8")]
    NotText,
    /// A column that was named is not there.
    #[error("line 1: there is no column `{name}`; there are {there}")]
    NoColumn {
        /// It.
        name: String,
        /// Those that are there.
        there: String,
    },
    /// A row is not a row.
    #[error("line {line}: {why}")]
    Row {
        /// Which.
        line: u64,
        /// Why.
        why: String,
    },
}

/// Reads the rows that say delivered. Separated by commas or semicolons, whichever the header has more of.
///
/// # Errors
/// [`WrongList`]; nothing of it is used then.
pub fn read(bytes: &[u8], columns: &Columns<'_>, now: Timestamp) -> Result<Vec<Delivery>, WrongList> {
    let text =
        std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).map_err(|_| WrongList::NotText)?;
    let header = text.lines().next().unwrap_or_default();
    let count = |c: char| header.chars().filter(|found| *found == c).count();
    let separator = [b'\t', b';', b','].into_iter().max_by_key(|c| count(char::from(*c))).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(text.as_bytes());
    let unreadable = |error: csv::Error| WrongList::Row {
        line: error.position().map_or(1, csv::Position::line),
        why: "it has another number of columns than the first line, or a quote is not closed".to_owned(),
    };
    let headers = reader.headers().map_err(unreadable)?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header.eq_ignore_ascii_case(name.trim())).ok_or_else(|| WrongList::NoColumn {
            name: name.to_owned(),
            there: headers.iter().collect::<Vec<_>>().join(", "),
        })
    };
    let (number, status) = (column(columns.number)?, column(columns.status)?);
    let time = columns.time.map(column).transpose()?;
    let mut found = Vec::new();
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: usize| row.get(at).unwrap_or_default();
        if !columns.delivered.iter().any(|word| word.trim().to_lowercase() == cell(status).to_lowercase()) {
            continue;
        }
        let wrong = |why: String| WrongList::Row { line, why };
        if cell(number).is_empty() {
            return Err(wrong(format!("`{}` is empty", columns.number)));
        }
        let when = match time.map(cell) {
            None => now,
            Some(text) => moment(text)
                .ok_or_else(|| wrong(format!("`{text}` is no date like 2026-11-21, and no time with its zone")))?,
        };
        if when > now {
            return Err(wrong("the delivery is in the future".to_owned()));
        }
        found.push(Delivery { number: cell(number).to_owned(), when });
    }
    Ok(found)
}

/// A date alone counts from its beginning, UTC.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let date: Date = text.parse().ok()?;
        date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().expect("a time")
    }

    fn columns<'a>(delivered: &'a [String], time: Option<&'a str>) -> Columns<'a> {
        Columns { number: "Tracking", status: "status", delivered, time }
    }

    #[test]
    fn rows_that_say_delivered_are_taken() {
        let words = ["delivered".to_owned(), "Zugestellt".to_owned()];
        let text = "\u{feff}Tracking;Status;Zeit\nJD1;DELIVERED;2026-11-20\nJD2;in transit;\n\"JD3\";zugestellt;2026-11-20T10:00:00+01:00\n";
        let found = read(text.as_bytes(), &columns(&words, Some("zeit")), now()).expect("read");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(
            found,
            [
                Delivery { number: "JD1".into(), when: at("2026-11-20T00:00:00Z") },
                Delivery { number: "JD3".into(), when: at("2026-11-20T09:00:00Z") },
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let words = ["delivered".to_owned()];
        let said =
            |text: &str, time| read(text.as_bytes(), &columns(&words, time), now()).expect_err("wrong").to_string();
        assert_eq!(said("Number,Status\n", None), "line 1: there is no column `Tracking`; there are Number, Status");
        assert_eq!(said("Tracking,Status\n,delivered\n", None), "line 2: `Tracking` is empty");
        assert!(
            said("Tracking,Status,T\nJD1,delivered,yesterday\n", Some("T"))
                .starts_with("line 2: `yesterday` is no date")
        );
        assert_eq!(
            said("Tracking,Status,T\nJD1,delivered,2027-01-01\n", Some("T")),
            "line 2: the delivery is in the future"
        );
        assert!(said("Tracking,Status\nJD1\n", None).starts_with("line 2: it has another number of columns"));
        let not_text = read(b"\xff\xfe", &columns(&words, None), now());
        assert_eq!(not_text, Err(WrongList::NotText));
    }

    proptest! {
        #[test]
        fn no_list_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}\n\\PC{0,80}") {
            let words = ["delivered".to_owned()];
            let _ = read(&bytes, &columns(&words, Some("T")), now());
            let _ = read(text.as_bytes(), &columns(&words, Some("T")), now());
        }
    }
}
