//! The second copy, somewhere else: a file of JSON lines, one for each entry, with the sealed PIN beside each seal.
//!
//! Promise: a line is written after the ledger has its entry, and every seal's line is synced before the seal's receipt
//! exists; so with the mirror alone no PIN on a key is lost. Exceptions: the mirror holds no names, addresses or registration
//! records. It is append-only except for two things that must reach it: forgetting a person and replacing an envelope take
//! the old envelope out of its line; the line and the chain stay.
//!
//! A line: `{"seq":7,"at":"…","bench":"…","body":"…","hash":"…","seal":{"custodian":"…","resume":"…","dual":false}}`. `body` is
//! the entry's JSON as a string, so that its very bytes can be hashed; `hash` is hexadecimal; the seal is base64. A last
//! line without a line feed is a write that was cut off: it counts as not written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::chain::{Head, Row};
use super::entry::BlobHash;
use super::error::LedgerError;
use super::place;
use crate::model::SealedPin;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: u64,
    at: String,
    bench: String,
    body: String,
    hash: BlobHash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<SealLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealLine {
    custodian: String,
    resume: String,
    dual: bool,
}

/// A mirror that is being written.
#[derive(Debug)]
pub(super) struct Mirror {
    path: PathBuf,
    file: File,
    /// The last whole line's entry; [`Head::EMPTY`] before the first.
    last: Head,
    /// Bytes of whole lines. What follows is torn and is overwritten.
    length: u64,
    synced: bool,
    /// The handle can't be trusted any more: a sync failed (what a later one says about the same bytes means nothing), or
    /// the file could not be put in place. Nothing counts as mirrored until it is opened again.
    lost: Option<String>,
}

impl Mirror {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let io = |error: std::io::Error| trouble(path, &error);
        let directory = place::directory_of(path);
        if !directory.is_dir() {
            // Made by hand, so that a share that is not mounted is not mistaken for an empty one.
            return Err(LedgerError::Mirror {
                path: path.to_owned(),
                what: format!("the directory {} is not there", directory.display()),
            });
        }
        let mut file = place::open_or_create(path).map_err(io)?;
        place::sync_directory(path).map_err(io)?;
        let (last, length) = tail(path, &mut file)?;
        Ok(Self { path: path.to_owned(), file, last, length, synced: false, lost: None })
    }

    /// Writes go to another handle from now on, e.g. one that may only read.
    #[cfg(test)]
    pub(super) fn swap(&mut self, other: File) -> File {
        std::mem::replace(&mut self.file, other)
    }

    pub(super) fn last(&self) -> Head {
        self.last
    }

    /// Looks whether somebody else added lines, or a write of ours or theirs was cut off; `true` when the end is another than
    /// we knew. Call it, and what follows, only in one's turn.
    pub(super) fn refresh(&mut self) -> Result<bool, LedgerError> {
        self.usable()?;
        let length = self.file.metadata().map_err(|error| trouble(&self.path, &error))?.len();
        if length == self.length {
            return Ok(false);
        }
        (self.last, self.length) = tail(&self.path, &mut self.file)?;
        // Nobody told us that what others added is on the disk.
        self.synced = false;
        Ok(true)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds rows that follow the last one. On failure what was half-written is overwritten by the next try.
    pub(super) fn add(&mut self, rows: &[(Row, Option<SealedPin>)]) -> Result<(), LedgerError> {
        self.usable()?;
        let Some((newest, _)) = rows.last() else { return Ok(()) };
        let mut bytes = Vec::new();
        for (row, seal) in rows {
            write_line(&mut bytes, row, seal.as_ref()).map_err(|error| trouble(&self.path, &error))?;
        }
        self.synced = false;
        let written = self
            .file
            .set_len(self.length)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.length)))
            .and_then(|_| self.file.write_all(&bytes));
        written.map_err(|error| trouble(&self.path, &error))?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.last = newest.head();
        Ok(())
    }

    /// Returns once everything added is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LedgerError> {
        self.usable()?;
        if !self.synced {
            self.file.sync_all().map_err(|error| {
                self.lost = Some(error.to_string());
                trouble(&self.path, &error)
            })?;
            self.synced = true;
        }
        Ok(())
    }

    fn usable(&self) -> Result<(), LedgerError> {
        match &self.lost {
            Some(what) => Err(LedgerError::Mirror { path: self.path.clone(), what: what.clone() }),
            None => Ok(()),
        }
    }

    /// Takes out the envelopes of all other entries: a new file beside it, synced, then put in its place.
    pub(super) fn keep_envelopes(&mut self, of: &BTreeSet<u64>) -> Result<(), LedgerError> {
        let mut superfluous = false;
        for line in read(&self.path)? {
            let (row, seal) = line?;
            superfluous |= seal.is_some() && !of.contains(&row.seq);
        }
        if !superfluous {
            return Ok(());
        }
        self.usable()?;
        let io = |error: &std::io::Error| trouble(&self.path, error);
        let fresh = place::beside(&self.path, ".new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(&error)),
            _ => {}
        }
        let mut file = place::create_new(&fresh).map_err(|error| io(&error))?;
        let mut out = std::io::BufWriter::new(&mut file);
        for line in read(&self.path)? {
            let (row, seal) = line?;
            let seal = seal.filter(|_| of.contains(&row.seq));
            write_line(&mut out, &row, seal.as_ref()).map_err(|error| io(&error))?;
        }
        out.flush().map_err(|error| io(&error))?;
        drop(out);
        file.sync_all().map_err(|error| io(&error))?;
        // Windows replaces no file that is open, so the old handle goes first; until the file is opened again by its name,
        // nothing may be written through the new one.
        self.lost = Some("it could not be replaced by a copy without the envelopes".to_owned());
        self.file = file;
        fs::rename(&fresh, &self.path).map_err(|error| io(&error))?;
        place::sync_directory(&self.path).map_err(|error| io(&error))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

fn write_line(out: &mut impl std::io::Write, row: &Row, seal: Option<&SealedPin>) -> std::io::Result<()> {
    let line = Line {
        seq: row.seq,
        at: row.at.clone(),
        bench: row.bench.clone(),
        body: row.body.clone(),
        hash: BlobHash(row.hash),
        seal: seal.map(|seal| SealLine {
            custodian: STANDARD.encode(&seal.custodian),
            resume: STANDARD.encode(&seal.resume),
            dual: seal.dual,
        }),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn understand(line: &[u8]) -> Result<(Row, Option<SealedPin>), String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| error.to_string());
    let seal = match line.seal {
        Some(seal) => {
            Some(SealedPin { custodian: bytes(&seal.custodian)?, resume: bytes(&seal.resume)?, dual: seal.dual })
        }
        None => None,
    };
    Ok((Row { seq: line.seq, at: line.at, bench: line.bench, body: line.body, hash: line.hash.0 }, seal))
}

/// The last whole line's entry, and the length of all whole lines.
fn tail(path: &Path, file: &mut File) -> Result<(Head, u64), LedgerError> {
    let io = |error: std::io::Error| trouble(path, &error);
    let total = file.seek(SeekFrom::End(0)).map_err(io)?;
    let mut window = 16 * 1024u64;
    loop {
        let from = total.saturating_sub(window);
        file.seek(SeekFrom::Start(from)).map_err(io)?;
        let mut bytes = Vec::new();
        std::io::Read::by_ref(file).take(total - from).read_to_end(&mut bytes).map_err(io)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let before = end.and_then(|end| bytes.iter().take(end).rposition(|byte| *byte == b'\n'));
        if before.is_none() && from > 0 {
            window = window.saturating_mul(4);
            continue;
        }
        let Some(end) = end else {
            // A first line that was cut off is overwritten; a file that never was a mirror is not.
            let start = br#"{"seq":1,"#;
            if bytes.iter().zip(start).all(|(found, ours)| found == ours) {
                return Ok((Head::EMPTY, 0));
            }
            let what = "it does not begin as a mirror does".to_owned();
            return Err(LedgerError::MirrorCorrupt { path: path.to_owned(), line: Some(1), what });
        };
        let start = before.map_or(0, |before| before + 1);
        let line = bytes.get(start..end).unwrap_or_default();
        let (row, _) =
            understand(line).map_err(|what| LedgerError::MirrorCorrupt { path: path.to_owned(), line: None, what })?;
        return Ok((row.head(), from + end as u64 + 1));
    }
}

/// An entry with the sealed PIN that came with it.
pub(super) type Mirrored = (Row, Option<SealedPin>);

/// Every whole line, in order. Nothing is checked but the form.
pub(super) fn read(path: &Path) -> Result<impl Iterator<Item = Result<Mirrored, LedgerError>> + use<>, LedgerError> {
    let file = File::open(path).map_err(|error| place::from_io(path, &error))?;
    let mut reader = BufReader::new(file);
    let (mut number, path) = (0u64, path.to_owned());
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        number += 1;
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Err(error) => Some(Err(place::from_io(&path, &error))),
            Ok(_) => {
                // No line feed: a write that was cut off.
                let line = line.strip_suffix(b"\n")?;
                Some(understand(line).map_err(|what| LedgerError::MirrorCorrupt {
                    path: path.clone(),
                    line: Some(number),
                    what,
                }))
            }
        }
    }))
}

/// Whether there is a mirror with at least one entry: then there once was a ledger.
pub(super) fn last_of(path: &Path) -> Result<Head, LedgerError> {
    match File::open(path) {
        Ok(mut file) => tail(path, &mut file).map(|(head, _)| head),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Head::EMPTY),
        Err(error) => Err(trouble(path, &error)),
    }
}

fn trouble(path: &Path, error: &std::io::Error) -> LedgerError {
    LedgerError::Mirror { path: path.to_owned(), what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, length: usize) -> Row {
        let byte = u8::try_from(seq).expect("small");
        Row { seq, at: "t".into(), bench: "b".into(), body: "ä\"\n".repeat(length), hash: [byte; 32] }
    }

    fn seal() -> SealedPin {
        SealedPin { custodian: vec![0, 255, 10], resume: vec![10], dual: true }
    }

    #[test]
    fn a_torn_last_line_is_not_there_and_is_overwritten() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mirror");
        let mut mirror = Mirror::open(&path).expect("made");
        assert_eq!(mirror.last(), Head::EMPTY);
        // Longer than the window that the tail is looked for in.
        mirror.add(&[(row(1, 9000), Some(seal())), (row(2, 9000), None)]).expect("added");
        mirror.sync().expect("synced");
        let whole = fs::read(&path).expect("bytes");
        mirror.add(&[(row(3, 1), None)]).expect("added");
        let longer = fs::read(&path).expect("bytes");
        for cut in [whole.len() + 1, longer.len() - 1] {
            fs::write(&path, &longer[..cut]).expect("written");
            let mut again = Mirror::open(&path).expect("opens");
            assert_eq!(again.last().seq, 2);
            assert_eq!(read(&path).expect("opens").map(|line| line.expect("whole").0.seq).max(), Some(2));
            again.add(&[(row(3, 2), None)]).expect("added");
            let rows: Vec<_> = read(&path).expect("opens").map(|line| line.expect("whole")).collect();
            assert_eq!(rows, [(row(1, 9000), Some(seal())), (row(2, 9000), None), (row(3, 2), None)]);
        }
    }

    #[test]
    fn envelopes_can_be_taken_out() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mirror");
        let mut mirror = Mirror::open(&path).expect("made");
        mirror.add(&[(row(1, 1), Some(seal())), (row(2, 1), Some(seal()))]).expect("added");
        mirror.keep_envelopes(&BTreeSet::from([2])).expect("taken out");
        mirror.add(&[(row(3, 1), Some(seal()))]).expect("goes on");
        let seals: Vec<_> = read(&path).expect("opens").map(|line| line.expect("whole").1).collect();
        assert_eq!(seals, [None, Some(seal()), Some(seal())]);
    }

    #[test]
    fn two_who_take_turns_add_every_line_once() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mirror");
        let (mut ours, mut theirs) = (Mirror::open(&path).expect("made"), Mirror::open(&path).expect("opened"));
        ours.add(&[(row(1, 1), None)]).expect("added");
        ours.sync().expect("synced");
        assert!(theirs.refresh().expect("looked") && !ours.refresh().expect("looked"));
        assert_eq!(theirs.last().seq, 1);
        theirs.add(&[(row(2, 1), Some(seal()))]).expect("added");
        // Cut off in the middle of a third line, as by a kill.
        let mut torn = fs::OpenOptions::new().append(true).open(&path).expect("opens");
        torn.write_all(b"{\"seq\":3,").expect("torn");
        assert!(ours.refresh().expect("looked") && !ours.synced, "their line is synced before it is built on");
        assert_eq!(ours.last().seq, 2);
        ours.add(&[(row(3, 1), None)]).expect("added");
        let seqs: Vec<u64> = read(&path).expect("opens").map(|line| line.expect("whole").0.seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
    }

    #[test]
    fn a_first_line_that_was_cut_off_is_known_from_a_file_that_is_no_mirror() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mirror");
        for torn in ["", "{", "{\"seq\":1,\"at\":\"2027"] {
            fs::write(&path, torn).expect("written");
            assert_eq!(Mirror::open(&path).expect("opens").last(), Head::EMPTY, "{torn}");
        }
        fs::write(&path, "a note to myself").expect("written");
        assert!(matches!(Mirror::open(&path), Err(LedgerError::MirrorCorrupt { line: Some(1), .. })));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("mirror");
        Mirror::open(&path).expect("made").add(&[(row(1, 1), None), (row(2, 1), None)]).expect("added");
        let damaged = fs::read_to_string(&path).expect("text").replacen("\"seq\":1", "\"seq\":x", 1);
        fs::write(&path, damaged).expect("written");
        let first = read(&path).expect("opens").next();
        assert!(matches!(first, Some(Err(LedgerError::MirrorCorrupt { line: Some(1), .. }))), "{first:?}");
    }
}
