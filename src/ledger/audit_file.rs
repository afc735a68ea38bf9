//! An exported audit, checked without its ledger. Pure.
//!
//! Promise: a row whose entry was altered, is missing, stands in another place or twice, and a cell that does not say what its
//! entry says, is found and named by its place in the file. What was cut off the end, and a chain that was written anew from
//! some entry on, are found with heads that were printed elsewhere. Exceptions: user principal names are outside the chain; and
//! where somebody rewrote an entry *and* its hash, the entry after it is named with it, because either could be the false one.

use std::collections::BTreeSet;
use std::fmt;

use super::chain::{GENESIS, Head, Row, SeenHead};
use super::export::{COLUMNS, Teller};

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// The entry.
    pub row: Row,
    /// Its cells, in the order of [`COLUMNS`].
    pub cells: Vec<String>,
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// The entry is not the one that was hashed.
    Altered {
        /// Line of the file.
        line: u64,
        /// Entry.
        seq: u64,
        /// The entry before it may be the false one, rewritten with its hash.
        or_before: bool,
    },
    /// Entries are not in the file.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
        /// The line that follows the gap.
        line: u64,
    },
    /// The entry stands after one that comes later.
    Moved {
        /// Line of the file.
        line: u64,
        /// Entry.
        seq: u64,
    },
    /// The entry is there more than once.
    Doubled {
        /// Line of the file.
        line: u64,
        /// Entry.
        seq: u64,
    },
    /// A cell beside the entry does not say what the entry says.
    Cell {
        /// Line of the file.
        line: u64,
        /// Entry.
        seq: u64,
        /// Which column.
        column: &'static str,
    },
    /// The entry is whole, and this program does not know its kind.
    Unknown {
        /// Line of the file.
        line: u64,
        /// Entry.
        seq: u64,
    },
    /// There is nothing in it.
    Empty,
    /// The file ends before a head that was printed.
    CutOff {
        /// The head.
        seen: SeenHead,
        /// Where the file ends.
        ends: Head,
    },
    /// At that place stands another entry than when the head was printed.
    Rewritten {
        /// The head.
        seen: SeenHead,
        /// What is there.
        found: Head,
    },
}

impl FileFault {
    /// A short word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Altered { .. } => "altered",
            Self::Missing { .. } => "missing",
            Self::Moved { .. } => "moved",
            Self::Doubled { .. } => "doubled",
            Self::Cell { .. } => "cell",
            Self::Unknown { .. } => "unknown",
            Self::Empty => "empty",
            Self::CutOff { .. } => "cut-off",
            Self::Rewritten { .. } => "rewritten",
        }
    }

    /// The line of the file it is about, and the entry.
    pub fn place(&self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Altered { line, seq, .. }
            | Self::Moved { line, seq }
            | Self::Doubled { line, seq }
            | Self::Cell { line, seq, .. }
            | Self::Unknown { line, seq } => (Some(*line), Some(*seq)),
            Self::Missing { from, line, .. } => (Some(*line), Some(*from)),
            Self::Empty => (None, None),
            Self::CutOff { seen, .. } | Self::Rewritten { seen, .. } => (None, Some(seen.seq())),
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { line, seq, or_before: false } => write!(f, "line {line}: entry {seq} was altered"),
            Self::Altered { line, seq, or_before: true } => write!(
                f,
                "line {line}: entry {seq} does not follow from entry {}: it was altered, or that one was rewritten with its hash",
                seq.saturating_sub(1)
            ),
            Self::Missing { from, to, line } if from == to => write!(f, "before line {line}: entry {from} is missing"),
            Self::Missing { from, to, line } => write!(f, "before line {line}: entries {from} to {to} are missing"),
            Self::Moved { line, seq } => write!(f, "line {line}: entry {seq} stands in another place than its own"),
            Self::Doubled { line, seq } => write!(f, "line {line}: entry {seq} is there a second time"),
            Self::Cell { line, seq, column } => {
                write!(f, "line {line}: the column `{column}` does not say what entry {seq} says")
            }
            Self::Unknown { line, seq } => {
                write!(f, "line {line}: entry {seq} is of a kind that this version of keybench does not know")
            }
            Self::Empty => f.write_str("there is no entry in it"),
            Self::CutOff { seen, ends } => write!(
                f,
                "it ends at entry {}, and the head {seen} was printed later: the entries from {} to {} are cut off, or the export is older",
                ends.seq,
                ends.seq.saturating_add(1),
                seen.seq()
            ),
            Self::Rewritten { seen, found } => {
                write!(
                    f,
                    "the head {seen} was printed, and entry {} is {found} here: the chain was rewritten there or before",
                    seen.seq()
                )
            }
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Where the file ends.
    pub head: Head,
    /// Everything that is wrong, in the order of entries.
    pub faults: Vec<FileFault>,
}

/// Checks rows in the order of the file, and that heads printed elsewhere are in it.
pub fn check(rows: &[FileRow], heads: &[SeenHead]) -> Checked {
    let mut faults = Vec::new();
    let placed = in_order(rows);
    for (index, one) in rows.iter().enumerate() {
        if !placed.contains(&index) {
            let (line, seq) = (one.line, one.row.seq);
            let first = rows.iter().position(|other| other.row.seq == seq) == Some(index);
            faults.push(if first { FileFault::Moved { line, seq } } else { FileFault::Doubled { line, seq } });
        }
    }
    let mut sorted: Vec<&FileRow> = rows.iter().collect();
    sorted.sort_by_key(|one| (one.row.seq, one.line));
    sorted.dedup_by_key(|one| one.row.seq);
    let head = chain(&sorted, &mut faults);
    // They follow from the entries before, so they say something only where none of those is in doubt.
    if faults.is_empty() {
        cells(&sorted, &mut faults);
    }
    if rows.is_empty() {
        faults.push(FileFault::Empty);
    }
    for seen in heads {
        match sorted.iter().find(|one| one.row.seq == seen.seq()).map(|one| one.row.head()) {
            Some(found) if seen.is(&found) => {}
            Some(found) => faults.push(FileFault::Rewritten { seen: *seen, found }),
            None if seen.seq() > head.seq => faults.push(FileFault::CutOff { seen: *seen, ends: head }),
            // A gap, which is named already.
            None => {}
        }
    }
    faults.sort_by_key(|fault| fault.place().1.unwrap_or(0));
    Checked { head, faults }
}

/// The largest set of rows whose order is right: whatever is not in it was moved.
fn in_order(rows: &[FileRow]) -> BTreeSet<usize> {
    // The longest increasing subsequence: for each length, the row that ends the best run of it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; rows.len()];
    let seq = |index: usize| rows.get(index).map_or(0, |one| one.row.seq);
    for index in 0..rows.len() {
        let length = ends.partition_point(|end| seq(*end) < seq(index));
        if let Some(slot) = before.get_mut(index) {
            *slot = length.checked_sub(1).and_then(|last| ends.get(last)).copied();
        }
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut found = BTreeSet::new();
    let mut next = ends.last().copied();
    while let Some(index) = next {
        found.insert(index);
        next = before.get(index).copied().flatten();
    }
    found
}

/// Every link, of rows in the order of entries. Gives the last.
fn chain(sorted: &[&FileRow], faults: &mut Vec<FileFault>) -> Head {
    let mut before = Head::EMPTY;
    // Whether the hash before is one we have reason to believe: after a gap nothing is known.
    let mut known = true;
    let mut suspect = false;
    for (index, one) in sorted.iter().enumerate() {
        let (line, seq) = (one.line, one.row.seq);
        let expected = before.seq.saturating_add(1);
        if seq != expected {
            faults.push(FileFault::Missing { from: expected, to: seq.saturating_sub(1), line });
            known = false;
        }
        let base = if before.seq == 0 { GENESIS } else { before.hash };
        let computed = one.row.link_after(&base);
        let mut hash = one.row.hash;
        if known && computed != hash {
            // Where what follows builds on the hash that we computed, only the hash's own cell was changed.
            let follows = |hash: [u8; 32]| {
                sorted
                    .get(index + 1)
                    .is_some_and(|next| next.row.seq == seq + 1 && next.row.link_after(&hash) == next.row.hash)
            };
            let own_hash = follows(computed);
            if own_hash {
                hash = computed;
            }
            faults.push(FileFault::Altered { line, seq, or_before: !own_hash && !suspect && seq > 1 });
            suspect = true;
        } else {
            suspect = false;
        }
        known = true;
        before = Head { seq, hash };
    }
    before
}

/// What stands beside the entries, derived again.
fn cells(sorted: &[&FileRow], faults: &mut Vec<FileFault>) {
    let mut teller = Teller::default();
    for one in sorted {
        let (line, seq) = (one.line, one.row.seq);
        let told = one.row.understand().and_then(|recorded| teller.row(&recorded, one.row.clone()));
        let Ok(told) = told else {
            faults.push(FileFault::Unknown { line, seq });
            continue;
        };
        for ((column, wanted), found) in COLUMNS.iter().zip(told.cells()).zip(&one.cells) {
            if *column != "upn" && wanted != *found {
                faults.push(FileFault::Cell { line, seq, column });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use super::super::conformance::{begun, finished, planned};
    use super::super::export::audit;
    use super::super::{Append, Entry, Ledger as _, MemoryStore};
    use super::*;
    use crate::model::{BenchId, JobId};
    use crate::world::SystemClock;

    fn proved(number: u32) -> Entry {
        let job = JobId::new(format!("JOB{number}"));
        Entry::CredentialProved { job, attempt: 1, checks: vec!["signature".into(), "chain".into()] }
    }

    fn rows() -> Vec<FileRow> {
        let ledger = MemoryStore::new().open(BenchId::new("=desk"), Arc::new(SystemClock::new()));
        for entry in [planned(1), planned(2), begun(1, 1), proved(1), finished(1, 1), begun(2, 1), finished(2, 1)] {
            ledger.append(Append::entry(entry)).expect("kept");
        }
        let mut rows = Vec::new();
        audit(&ledger, &mut |row| {
            let (line, cells) = (row.seq + 1, row.cells().to_vec());
            let row = Row { seq: row.seq, at: row.at, bench: row.bench, body: row.body, hash: row.hash.0 };
            rows.push(FileRow { line, row, cells });
            ControlFlow::Continue(())
        })
        .expect("read");
        rows
    }

    fn found(rows: &[FileRow]) -> Vec<String> {
        check(rows, &[]).faults.iter().map(ToString::to_string).collect()
    }

    /// As a file would be read again.
    fn set(rows: &mut [FileRow], index: usize, column: &str, text: &str) {
        let row = &mut rows[index];
        let at = COLUMNS.iter().position(|name| *name == column).expect("a column");
        row.cells[at] = text.to_owned();
        match column {
            "at" => row.row.at = text.to_owned(),
            "bench" => row.row.bench = text.to_owned(),
            "body" => row.row.body = text.to_owned(),
            _ => {}
        }
    }

    #[test]
    fn a_whole_file_has_nothing_wrong() {
        let rows = rows();
        let checked = check(&rows, &[rows[3].row.head().into(), rows[7].row.head().into()]);
        assert_eq!(checked.faults, []);
        assert_eq!(checked.head, rows[7].row.head());
        let at = |name: &str| COLUMNS.iter().position(|column| *column == name).expect("a column");
        assert_eq!(rows[5].cells[at("checks")], "signature; chain", "a finished key tells what it passed");
        assert_eq!(check(&[], &[]).faults, [FileFault::Empty]);
    }

    #[test]
    fn every_row_that_was_altered_is_named() {
        for index in 0..8 {
            let mut rows = rows();
            set(&mut rows, index, "at", "2020-01-01T00:00:00Z");
            let named = found(&rows);
            assert_eq!(named.len(), 1, "{named:?}");
            assert!(named[0].contains(&format!("line {}: entry {}", index + 2, index + 1)), "{named:?}");
        }
    }

    #[test]
    fn every_row_that_is_missing_moved_or_doubled_is_named() {
        for index in 0..7 {
            let mut rows = rows();
            rows.remove(index);
            assert_eq!(found(&rows), [format!("before line {}: entry {} is missing", index + 3, index + 1)]);
        }
        for (from, to) in [(1, 5), (6, 0), (2, 3)] {
            let mut rows = rows();
            let moved = rows.remove(from);
            rows.insert(to, moved);
            let named = found(&rows);
            assert_eq!(named.len(), 1, "{from} to {to}: {named:?}");
            assert!(named[0].contains("stands in another place"), "{named:?}");
        }
        let mut rows = rows();
        let twice = rows[2].clone();
        rows.push(twice);
        assert_eq!(found(&rows).len(), 1);
        assert!(found(&rows)[0].contains("a second time"));
    }

    #[test]
    fn a_rewritten_row_is_named_with_the_one_after_it() {
        let mut rows = rows();
        let before = rows[2].row.hash;
        set(&mut rows, 3, "bench", "them");
        rows[3].row.hash = rows[3].row.link_after(&before);
        let hash = super::super::BlobHash(rows[3].row.hash).to_string();
        set(&mut rows, 3, "hash", &hash);
        let named = found(&rows);
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named[0].contains("entry 5 does not follow from entry 4"), "{named:?}");
        // The hash's cell alone.
        let mut rows = self::rows();
        rows[3].row.hash = [7; 32];
        assert!(check(&rows, &[]).faults.contains(&FileFault::Altered { line: 5, seq: 4, or_before: false }));
    }

    #[test]
    fn a_cell_that_says_something_else_is_named() {
        let mut rows = rows();
        set(&mut rows, 5, "user", "user-9");
        set(&mut rows, 5, "upn", "anybody@contoso.com");
        assert_eq!(found(&rows), ["line 7: the column `user` does not say what entry 6 says"]);
    }

    #[test]
    fn printed_heads_find_a_cut_tail_and_a_rewritten_chain() {
        let mut rows = rows();
        let (last, third) = (rows[7].row.head(), rows[2].row.head());
        rows.truncate(5);
        let cut = check(&rows, &[third.into(), last.into()]).faults;
        assert_eq!(cut, [FileFault::CutOff { seen: last.into(), ends: rows[4].row.head() }]);
        assert!(cut[0].to_string().contains("from 6 to 8 are cut off"), "{}", cut[0]);
        // From the third entry on all anew: the chain holds, the printed head does not.
        let mut before = rows[1].row.hash;
        for one in rows.iter_mut().skip(2) {
            one.row.bench = "them".into();
            one.row.hash = one.row.link_after(&before);
            before = one.row.hash;
            one.cells[2] = "them".into();
            one.cells[16] = super::super::BlobHash(before).to_string();
        }
        let found = check(&rows, &[third.into()]).faults;
        assert_eq!(found, [FileFault::Rewritten { seen: third.into(), found: rows[2].row.head() }]);
    }
}
