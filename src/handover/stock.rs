//! What keys there are: those that a supplier said it sent, and those that were ever in a port. Pure.
//!
//! A key that a supplier did not send has no place at the bench: it may have been exchanged on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use crate::ledger::{Attempt, BlobHash, Entry, HandoverEntry, Recorded, SelfParcel, TenantEntry};
use crate::model::{JobId, KeyRef, Serial};

/// Where a key is, as far as the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// On a supplier's list, never seen.
    Expected,
    /// Scanned in, and in nobody's hand since.
    InStock,
    /// Wiped and blank, back in stock.
    Blank,
    /// Begun for somebody.
    Begun,
    /// Somebody's finished key.
    Finished,
    /// In a parcel, or with its person.
    Out,
    /// Not fit.
    Refused,
    /// Came back and was not wiped.
    NotWiped,
    /// Gone.
    Lost,
}

impl KeyState {
    /// All, in the order of a key's life.
    pub const ALL: [Self; 9] = [
        Self::Expected,
        Self::InStock,
        Self::Blank,
        Self::Begun,
        Self::Finished,
        Self::Out,
        Self::Refused,
        Self::NotWiped,
        Self::Lost,
    ];

    /// It is blank, as far as the ledger knows, and nobody's.
    pub fn is_free(self) -> bool {
        matches!(self, Self::Expected | Self::InStock | Self::Blank)
    }

    /// In lists and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::InStock => "in-stock",
            Self::Blank => "blank",
            Self::Begun => "begun",
            Self::Finished => "finished",
            Self::Out => "out",
            Self::Refused => "refused",
            Self::NotWiped => "not-wiped",
            Self::Lost => "lost",
        }
    }
}

/// One key with a serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stocked {
    /// Where it is.
    pub state: KeyState,
    /// What it is, once it was in a port.
    pub key: Option<KeyRef>,
}

/// Every key with a serial number, and every key without one that has a label of ours: nothing else tells those apart.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    keys: BTreeMap<Serial, Stocked>,
    labelled: BTreeMap<(JobId, Attempt), Stocked>,
    /// Whose key each job's last try was.
    of_job: BTreeMap<JobId, (Attempt, KeyRef)>,
    /// What is in each parcel for somebody who registers themselves.
    of_parcel: BTreeMap<String, SelfParcel>,
    /// Serial numbers of hardware tokens that were put into the tenant's inventory.
    tokens: BTreeSet<String>,
    lists: Vec<BlobHash>,
    received: Vec<BlobHash>,
}

impl Stock {
    /// Takes the next entry in.
    pub fn add(&mut self, recorded: &Recorded) {
        match recorded.entry.act() {
            Entry::AttemptStarted { job, attempt, key } => {
                self.of_job.insert(job.clone(), (*attempt, key.clone()));
                self.of(job, KeyState::Begun);
            }
            Entry::Tenant(TenantEntry::TokenImported { serial, .. }) => {
                self.tokens.insert(serial.clone());
            }
            Entry::KeyRefused { key, .. } => {
                // A key that is somebody's is refused when it is put in again; that changes nothing.
                let known = key.serial.as_ref().and_then(|serial| self.keys.get(serial));
                if known.is_none_or(|known| known.state.is_free() || known.state == KeyState::Refused) {
                    self.put(key, KeyState::Refused);
                }
            }
            // One that was held is with its person by now.
            Entry::Finished { job, .. } if self.is_out(job) => {}
            Entry::Finished { job, .. } => self.of(job, KeyState::Finished),
            Entry::AttemptFailed { job, .. } => self.of(job, KeyState::Refused),
            Entry::Handover(act) => match act {
                HandoverEntry::Held { job, .. } => self.of(job, KeyState::Finished),
                HandoverEntry::Packed { job, .. } => self.of(job, KeyState::Out),
                HandoverEntry::KeyLost { job, .. } => self.of(job, KeyState::Lost),
                HandoverEntry::KeyReturned { job, blank, .. } => {
                    self.of(job, if *blank { KeyState::Blank } else { KeyState::NotWiped });
                }
                HandoverEntry::StockExpected { list, .. } => self.lists.push(*list),
                HandoverEntry::StockReceived { list, .. } => self.received.push(*list),
                HandoverEntry::SelfPacked { parcel, what, .. } => {
                    self.of_parcel.insert(parcel.clone(), what.clone());
                    self.shipped(parcel, KeyState::Out);
                }
                HandoverEntry::SelfEnded { parcel, code, .. } => match code.as_str() {
                    "returned" | "not-wanted" => self.shipped(parcel, KeyState::Blank),
                    "not-wiped" => self.shipped(parcel, KeyState::NotWiped),
                    "lost" => self.shipped(parcel, KeyState::Lost),
                    _ => {}
                },
                _ => {}
            },
            _ => {}
        }
    }

    fn put(&mut self, key: &KeyRef, state: KeyState) {
        if let Some(serial) = &key.serial {
            self.keys.insert(serial.clone(), Stocked { state, key: Some(key.clone()) });
        }
    }

    fn is_out(&self, job: &JobId) -> bool {
        let serial = self.of_job.get(job).and_then(|(_, key)| key.serial.as_ref());
        serial.and_then(|serial| self.keys.get(serial)).is_some_and(|known| known.state == KeyState::Out)
    }

    fn of(&mut self, job: &JobId, state: KeyState) {
        if let Some((attempt, key)) = self.of_job.get(job).cloned() {
            if key.serial.is_none() {
                self.labelled.insert((job.clone(), attempt), Stocked { state, key: Some(key.clone()) });
            }
            self.put(&key, state);
        }
    }

    fn shipped(&mut self, parcel: &str, state: KeyState) {
        let Some(SelfParcel::Key { key, label }) = self.of_parcel.get(parcel).cloned() else { return };
        let label = label.and_then(|digits| Code::parse(&digits).ok());
        if let Some(known) = label.and_then(|code| self.labelled.get_mut(&(code.job().clone(), code.attempt()))) {
            known.state = state;
        }
        self.put(&key, state);
    }

    /// The key with this serial number.
    pub fn with_serial(&self, serial: &Serial) -> Option<&Stocked> {
        self.keys.get(serial)
    }

    /// The key with this label, where it tells no serial number.
    pub fn with_label(&self, code: &Code) -> Option<&Stocked> {
        self.labelled.get(&(code.job().clone(), code.attempt()))
    }

    /// Whether a hardware token with this serial number was put into the tenant's inventory from here.
    pub fn has_token(&self, serial: &str) -> bool {
        self.tokens.contains(serial.trim())
    }

    /// What was scanned in, oldest first: documents of the ledger, which [`Stock::take_received`] takes.
    pub fn received(&self) -> &[BlobHash] {
        &self.received
    }

    /// Takes what was scanned in, after all entries and before the suppliers' lists.
    pub fn take_received(&mut self, serials: impl IntoIterator<Item = Serial>) {
        for serial in serials {
            self.keys.entry(serial).or_insert(Stocked { state: KeyState::InStock, key: None });
        }
    }

    /// The suppliers' lists, oldest first: documents of the ledger, which [`Stock::take_in`] takes.
    pub fn lists(&self) -> &[BlobHash] {
        &self.lists
    }

    /// Takes a supplier's list in, after all entries.
    pub fn take_in(&mut self, serials: impl IntoIterator<Item = Serial>) {
        for serial in serials {
            self.keys.entry(serial).or_insert(Stocked { state: KeyState::Expected, key: None });
        }
    }

    /// All of them, by serial number.
    pub fn keys(&self) -> impl Iterator<Item = (&Serial, &Stocked)> {
        self.keys.iter()
    }
}

/// A list as the ledger keeps it: one serial number a line.
pub fn to_document(serials: &BTreeSet<Serial>) -> Vec<u8> {
    serials.iter().map(|serial| format!("{serial}\n")).collect::<String>().into_bytes()
}

/// Reads what [`to_document`] wrote.
pub fn from_document(bytes: &[u8]) -> BTreeSet<Serial> {
    String::from_utf8_lossy(bytes).lines().filter(|line| !line.is_empty()).map(Serial::new).collect()
}

/// Why a supplier's list is not taken. Lines count from 1, the header's included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongList {
    /// Not text.
    #[error("it is not text in UTF-8")]
    NotText,
    /// No such column.
    #[error("line 1: there is no column `{name}`; there are {there}")]
    NoColumn {
        /// It.
        name: String,
        /// Those that are there.
        there: String,
    },
    /// A row is no row, or its number is none.
    #[error("line {line}: {why}")]
    Row {
        /// Which.
        line: u64,
        /// Why.
        why: String,
    },
}

/// Reads a supplier's CSV.
///
/// # Errors
/// [`WrongList`]; a number that stands there twice is one of them, because one of the two is wrong.
pub fn read_list(bytes: &[u8], column: &str) -> Result<BTreeSet<Serial>, WrongList> {
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
    let Some(at) = headers.iter().position(|header| header.eq_ignore_ascii_case(column.trim())) else {
        let there = headers.iter().collect::<Vec<_>>().join(", ");
        return Err(WrongList::NoColumn { name: column.to_owned(), there });
    };
    let mut found = BTreeSet::new();
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        let line = row.position().map_or(0, csv::Position::line);
        let wrong = |why: String| WrongList::Row { line, why };
        let cell = row.get(at).unwrap_or_default();
        if cell.is_empty() || cell.len() > 64 || !cell.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(wrong(format!("`{cell}` is no serial number: letters, digits and dashes")));
        }
        if !found.insert(Serial::new(cell)) {
            return Err(wrong(format!("{cell} stands there twice")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Append, Ledger as _, MemoryStore};
    use crate::model::{Aaguid, BatchId, BenchId, PortName, TenantId, UserId};
    use crate::world::SystemClock;

    fn key(serial: &str) -> KeyRef {
        let serial = Some(Serial::new(serial));
        KeyRef { aaguid: Aaguid::ZERO, serial, firmware: None, model: Some("Key".into()), port: PortName::new("1-1") }
    }

    fn stock(entries: Vec<Entry>) -> Stock {
        let ledger = MemoryStore::new().open(BenchId::new("us"), std::sync::Arc::new(SystemClock::new()));
        ledger.append(Append::entries(entries)).expect("written");
        let mut stock = Stock::default();
        let take = &mut |recorded| {
            stock.add(&recorded);
            std::ops::ControlFlow::Continue(())
        };
        ledger.visit(1, take).expect("read");
        stock
    }

    #[test]
    fn a_key_goes_through_its_life() {
        let job = JobId::new("7H2KQ0M4XA");
        let (tenant, user, batch) = (TenantId::new("t"), UserId::new("u"), BatchId::new("b"));
        let mut entries = vec![
            Entry::JobPlanned { job: job.clone(), tenant, user, ordinal: 1, batch },
            Entry::AttemptStarted { job: job.clone(), attempt: 1, key: key("100") },
            Entry::KeyRefused { key: key("200"), code: "has-pin".into() },
        ];
        let state = |entries: &[Entry], serial: &str| {
            let stock = stock(entries.to_vec());
            stock.keys().find(|(found, _)| found.as_str() == serial).map(|(_, one)| one.state)
        };
        assert_eq!((state(&entries, "100"), state(&entries, "200")), (Some(KeyState::Begun), Some(KeyState::Refused)));
        let by = || "op".to_owned();
        for (entry, wanted) in [
            (Entry::Finished { job: job.clone(), attempt: 1 }, KeyState::Finished),
            (Entry::KeyRefused { key: key("100"), code: "already-finished".into() }, KeyState::Finished),
            (
                Entry::Handover(HandoverEntry::Packed {
                    job: job.clone(),
                    attempt: 1,
                    seen_by: "label".into(),
                    tracking: None,
                    by: by(),
                }),
                KeyState::Out,
            ),
            (
                Entry::Handover(HandoverEntry::KeyReturned { job: job.clone(), attempt: 1, blank: true, by: by() }),
                KeyState::Blank,
            ),
        ] {
            entries.push(entry);
            assert_eq!(state(&entries, "100"), Some(wanted));
        }
        let mut with_list = stock(entries);
        with_list.take_in([Serial::new("100"), Serial::new("300")]);
        let states: Vec<_> = with_list.keys().map(|(serial, one)| (serial.as_str(), one.state)).collect();
        assert_eq!(states, [("100", KeyState::Blank), ("200", KeyState::Refused), ("300", KeyState::Expected)]);
    }

    #[test]
    fn a_suppliers_list_is_read_or_refused_by_line() {
        let list = read_list(b"Item;Serial\nKey;100\nKey;ab-2\n", "serial").expect("read");
        assert_eq!(from_document(&to_document(&list)), list);
        assert_eq!(list.len(), 2);
        let said = |text: &str| read_list(text.as_bytes(), "Serial").expect_err("wrong").to_string();
        assert_eq!(said("Number\n1\n"), "line 1: there is no column `Serial`; there are Number");
        assert_eq!(said("Serial\n1\n1\n"), "line 3: 1 stands there twice");
        assert_eq!(said("Serial\n1 2\n"), "line 2: `1 2` is no serial number: letters, digits and dashes");
    }
}
