//! Text to cells (RFC 4180, with semicolons and tabs as spreadsheets write them), each with its physical line.
//!
//! Written out rather than taken from the `csv` crate (which writes our CSV files) because that one reads a quote that is
//! never closed as the rest of the file, without a word, and tells the line of a record but not of a cell.

/// The most cells a line may have.
pub const MOST_CELLS: usize = 200;
/// The most characters a cell may have.
pub const LONGEST_CELL: usize = 4096;
/// The most records a file may have.
pub const MOST_RECORDS: usize = 200_000;

/// What stands between cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

impl Separator {
    /// All of them, the likeliest first.
    pub const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    fn char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Tab => '\t',
        }
    }
}

/// One cell: its text, trimmed, and the line it begins on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The text without quotes and outer blanks.
    pub text: String,
    /// Physical line of the file.
    pub line: u32,
}

/// One record: a line, or several where a quoted cell goes over line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The line it begins on.
    pub line: u32,
    /// Its cells; never empty.
    pub cells: Vec<Cell>,
}

impl Record {
    /// Nothing in any cell.
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.text.is_empty())
    }
}

/// Something wrong with the form of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadForm {
    /// Physical line.
    pub line: u32,
    /// The cell's number, from 1.
    pub cell: usize,
    /// What.
    pub what: FormFault,
}

/// What can be wrong with the form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// Opened here and never closed.
    #[error("a quote is opened here and never closed")]
    UnclosedQuote,
    /// `"Kim" Lee`.
    #[error("there is text after the closing quote; a quote inside a quoted field is written twice")]
    AfterQuote,
    /// More than [`LONGEST_CELL`].
    #[error("this field has more than {LONGEST_CELL} characters")]
    LongCell,
    /// More than [`MOST_CELLS`].
    #[error("this line has more than {MOST_CELLS} fields")]
    ManyCells,
    /// More than [`MOST_RECORDS`].
    #[error("the file has more than {MOST_RECORDS} lines")]
    ManyRecords,
}

/// Splits the text. Blank lines are left out; what is wrong is listed, and reading goes on after it where that makes sense.
pub fn split(text: &str, separator: Separator) -> (Vec<Record>, Vec<BadForm>) {
    split_at_most(text, separator, MOST_RECORDS)
}

/// The separator that fits the header: the one with which most of its cells are `known`. With a `sep=` line, as
/// spreadsheets write, that one. Also gives the text to go on with and the number of lines taken off.
pub fn find_separator(text: &str, known: impl Fn(&str) -> bool) -> (Separator, &str, u32) {
    if let Some((first, rest)) = text.split_once('\n')
        && let Some(sign) = first.trim().to_ascii_lowercase().strip_prefix("sep=")
        && let Some(separator) = Separator::ALL.into_iter().find(|separator| sign.chars().eq([separator.char()]))
    {
        return (separator, rest, 1);
    }
    let score = |separator: Separator| {
        let (records, _) = split_at_most(text, separator, 1);
        let cells = records.first().map(|record| record.cells.as_slice()).unwrap_or_default();
        (cells.iter().filter(|cell| known(&cell.text)).count(), cells.len())
    };
    let mut best = (Separator::Comma, score(Separator::Comma));
    for separator in [Separator::Semicolon, Separator::Tab] {
        let points = score(separator);
        if points > best.1 {
            best = (separator, points);
        }
    }
    (best.0, text, 0)
}

struct Splitter {
    separator: char,
    line: u32,
    records: Vec<Record>,
    faults: Vec<BadForm>,
    cells: Vec<Cell>,
    text: String,
    length: usize,
    cell_line: u32,
    record_line: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the cell yet but blanks.
    Start,
    Plain,
    /// Inside quotes.
    Quoted,
    /// A quote inside quotes: the end, or the first of two.
    Quote,
    /// After the end; only blanks may come.
    After,
}

fn split_at_most(text: &str, separator: Separator, most: usize) -> (Vec<Record>, Vec<BadForm>) {
    let mut s = Splitter {
        separator: separator.char(),
        line: 1,
        records: Vec::new(),
        faults: Vec::new(),
        cells: Vec::new(),
        text: String::new(),
        length: 0,
        cell_line: 1,
        record_line: 1,
    };
    let mut state = State::Start;
    let mut previous = '\0';
    for c in text.chars() {
        let line_end = c == '\n' || c == '\r';
        // CR LF is one line end; CR alone is one too (old Mac exports).
        let second_half = c == '\n' && previous == '\r';
        previous = c;
        state = match state {
            State::Quoted => match c {
                '"' => State::Quote,
                '\r' => {
                    s.push('\n');
                    State::Quoted
                }
                '\n' if second_half => State::Quoted,
                _ => {
                    s.push(c);
                    State::Quoted
                }
            },
            State::Quote if c == '"' => {
                s.push('"');
                State::Quoted
            }
            _ if line_end => {
                if !second_half {
                    s.end_record();
                }
                State::Start
            }
            _ if c == s.separator => {
                s.end_cell();
                State::Start
            }
            State::Start if c == '"' => {
                s.text.clear();
                s.length = 0;
                State::Quoted
            }
            State::Start if c.is_whitespace() => State::Start,
            State::Quote | State::After if c.is_whitespace() => State::After,
            State::Quote | State::After => {
                s.fault(FormFault::AfterQuote);
                s.push(c);
                State::Plain
            }
            State::Start | State::Plain => {
                s.push(c);
                State::Plain
            }
        };
        if line_end && !second_half {
            s.line = s.line.saturating_add(1);
            if state != State::Quoted {
                s.record_line = s.line;
                s.cell_line = s.line;
                if s.records.len() >= most {
                    if most == MOST_RECORDS {
                        s.fault(FormFault::ManyRecords);
                    }
                    return (s.records, s.faults);
                }
            }
        }
    }
    if state == State::Quoted {
        s.faults.push(BadForm {
            line: s.cell_line,
            cell: s.cells.len().saturating_add(1),
            what: FormFault::UnclosedQuote,
        });
    }
    s.end_record();
    (s.records, s.faults)
}

impl Splitter {
    fn fault(&mut self, what: FormFault) {
        self.faults.push(BadForm { line: self.line, cell: self.cells.len().saturating_add(1), what });
    }

    fn push(&mut self, c: char) {
        self.length = self.length.saturating_add(1);
        match self.length {
            n if n <= LONGEST_CELL => self.text.push(c),
            // Once a cell.
            n if n == LONGEST_CELL.saturating_add(1) => self.fault(FormFault::LongCell),
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        if self.cells.len() < MOST_CELLS {
            self.cells.push(Cell { text: self.text.trim().to_owned(), line: self.cell_line });
        } else if !self.faults.iter().any(|fault| fault.line == self.line && fault.what == FormFault::ManyCells) {
            self.fault(FormFault::ManyCells);
        }
        self.text.clear();
        self.length = 0;
        self.cell_line = self.line;
    }

    fn end_record(&mut self) {
        self.end_cell();
        let record = Record { line: self.record_line, cells: std::mem::take(&mut self.cells) };
        if !record.is_blank() {
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str, separator: Separator) -> Vec<(u32, Vec<String>)> {
        let (records, faults) = split(text, separator);
        assert_eq!(faults, []);
        records.into_iter().map(|r| (r.line, r.cells.into_iter().map(|c| c.text).collect())).collect()
    }

    #[test]
    fn quotes_line_ends_and_blank_lines() {
        let text = "a,b\r\n\r\n\"x, y\" , \"say \"\"hi\"\"\"\r\n\"two\r\nlines\",after\n,\nlast,";
        assert_eq!(
            texts(text, Separator::Comma),
            [
                (1, vec!["a".to_owned(), "b".to_owned()]),
                (3, vec!["x, y".to_owned(), "say \"hi\"".to_owned()]),
                (4, vec!["two\nlines".to_owned(), "after".to_owned()]),
                (7, vec!["last".to_owned(), String::new()]),
            ]
        );
        assert_eq!(texts("a\rb\r", Separator::Tab).len(), 2);
    }

    #[test]
    fn a_cell_knows_its_own_line() {
        let (records, _) = split("h,h,h\n\"a\nb\",\"c\n\nd\",e\n", Separator::Comma);
        let lines: Vec<u32> = records[1].cells.iter().map(|cell| cell.line).collect();
        assert_eq!(lines, [2, 3, 5]);
    }

    #[test]
    fn bad_form_has_a_place() {
        let fault = |text: &str| split(text, Separator::Comma).1.remove(0);
        assert_eq!(fault("a\nb,\"c\nd\n"), BadForm { line: 2, cell: 2, what: FormFault::UnclosedQuote });
        assert_eq!(fault("a\n\"b\" c,d\n"), BadForm { line: 2, cell: 1, what: FormFault::AfterQuote });
        assert_eq!(fault(&"x".repeat(5000)).what, FormFault::LongCell);
        assert_eq!(fault(&",".repeat(500)).what, FormFault::ManyCells);
    }

    #[test]
    fn the_separator_is_the_one_that_gives_known_headers() {
        let known = |cell: &str| matches!(cell, "upn" | "name");
        let find = |text: &str| find_separator(text, known).0;
        assert_eq!(find("upn,name\n"), Separator::Comma);
        assert_eq!(find("upn;\"name\"\n"), Separator::Semicolon);
        assert_eq!(find("upn\tname, first\n"), Separator::Tab);
        assert_eq!(find("\"remarks, long, very\";upn;name\n"), Separator::Semicolon);
        assert_eq!(find("upn\n"), Separator::Comma);
        assert_eq!(find("upn;\n"), Separator::Semicolon);
        assert_eq!(find_separator("sep=;\nupn\n", known), (Separator::Semicolon, "upn\n", 1));
    }

    proptest! {
        #[test]
        fn any_text_is_split_without_panic_and_within_bounds(text in "\\PC*[\",;\t\r\n\"]{0,20}\\PC*") {
            for separator in Separator::ALL {
                let (records, _) = split(&text, separator);
                let lines = text.chars().filter(|c| matches!(c, '\r' | '\n')).count() + 1;
                prop_assert!(records.len() <= lines);
                for record in records {
                    prop_assert!(!record.cells.is_empty() && record.cells.len() <= MOST_CELLS);
                }
            }
        }

        #[test]
        fn what_the_csv_crate_writes_is_read_back(rows in proptest::collection::vec(
            proptest::collection::vec("[a-zé\",;\n ]{0,8}x", 2..4), 1..6)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("written");
            }
            let bytes = writer.into_inner().expect("flushed");
            let text = String::from_utf8(bytes).expect("UTF-8");
            let read: Vec<Vec<String>> = texts(&text, Separator::Comma).into_iter().map(|(_, cells)| cells).collect();
            let wanted: Vec<Vec<String>> =
                rows.iter().map(|row| row.iter().map(|cell| cell.trim().to_owned()).collect()).collect();
            prop_assert_eq!(read, wanted);
        }
    }
}
