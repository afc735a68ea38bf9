//! Opening: everything that could make the promise untrue is looked at before anything is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io};

use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::super::chain::{Checker, Head};
use super::super::claim::DESK;
use super::super::entry::Entry;
use super::super::error::LedgerError;
use super::super::mirror::{self, Mirror};
use super::super::openings;
use super::super::place;
use super::lock::{Lock, Role};
use super::trouble::Trouble;
use super::{Inner, SqliteLedger, owed, tables};
use crate::model::BenchId;
use crate::world::{Clock, Entropy};

/// `kbLD`, in the file's header (SQLite file format §1.2.16).
pub(super) const APPLICATION_ID: i64 = 0x6b62_4c44;

/// Each takes the schema one step on. Never edited once released.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
];

/// The schema this program writes.
pub(super) const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// How many of the last links are checked at each opening; `verify` checks all.
const LINKS_AT_OPENING: u64 = 64;

/// What a ledger is opened with.
pub struct Opening<'a> {
    /// The file; made when it is not there.
    pub path: PathBuf,
    /// The second copy.
    pub mirror: Option<PathBuf>,
    /// The bench that writes.
    pub bench: BenchId,
    /// Times of entries and claims.
    pub clock: Arc<dyn Clock>,
    /// For the ledger's nonce and this session's name.
    pub entropy: &'a dyn Entropy,
}

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens a ledger for the one bench that provisions with it, and makes it when there is none. The mirror is brought up to date.
/// Desks work beside it.
///
/// # Errors
/// [`LedgerError`], before anything was changed.
pub fn open_writer(opening: &Opening<'_>) -> Result<SqliteLedger, LedgerError> {
    open_with(opening, Role::Bench, READ_WRITE)
}

/// Opens a ledger for short writes, also beside a bench and beside other desks: letters, packing, openings and the like. Makes
/// it when there is none. Sealed PINs are not replaced here, and nobody is forgotten.
///
/// # Errors
/// [`LedgerError`], before anything was changed.
pub fn open_desk(opening: &Opening<'_>) -> Result<SqliteLedger, LedgerError> {
    // Making it, or bringing its schema up to date, is for somebody who is alone with it.
    if !is_up_to_date(&opening.path)? {
        drop(open_alone(opening)?);
    }
    open_with(opening, Role::Desk, READ_WRITE)
}

/// Opens a ledger while nobody else writes, and keeps it so: for what replaces sealed PINs or takes people out.
///
/// # Errors
/// [`LedgerError::InUse`] beside a bench or a desk; [`LedgerError`], before anything was changed.
pub fn open_alone(opening: &Opening<'_>) -> Result<SqliteLedger, LedgerError> {
    open_with(opening, Role::Alone, READ_WRITE)
}

fn is_up_to_date(path: &Path) -> Result<bool, LedgerError> {
    if !path.exists() {
        return Ok(false);
    }
    let db = connect(path, READ_WRITE)?;
    let state = look(&db).map_err(|trouble| trouble.tell(path))?;
    Ok(!state.check(path)? && state.schema == SCHEMA)
}

pub(super) fn open_with(opening: &Opening<'_>, role: Role, flags: OpenFlags) -> Result<SqliteLedger, LedgerError> {
    let path = &opening.path;
    place::prepare_directory(path)?;
    if opening.mirror.as_ref().is_some_and(|mirror| place::same(path, mirror)) {
        return Err(LedgerError::MirrorIsLedger { path: path.clone() });
    }
    let mut lock = Lock::take(role, path, &opening.bench, opening.clock.now())?;
    if !path.exists() {
        if let Some(mirror) = &opening.mirror {
            let last = mirror::last_of(mirror)?;
            if last.seq > 0 {
                return Err(older(path, mirror, Head::EMPTY, last));
            }
        }
        place::create_new(path).map_err(|error| place::from_io(path, &error))?;
        place::sync_directory(path).map_err(|error| place::from_io(path, &error))?;
    }
    sync_log(path)?;
    let mut db = connect(path, flags)?;
    let told = |trouble: Trouble| trouble.tell(path);
    let state = look(&db).map_err(told)?;
    let is_new = state.check(path)?;
    if db.is_readonly(MAIN_DB).map_err(|error| told(error.into()))? {
        return Err(LedgerError::ReadOnlyFile { path: path.clone() });
    }
    let created =
        Entry::LedgerCreated { nonce: random(opening.entropy, path)?, version: env!("CARGO_PKG_VERSION").to_owned() };
    if state.schema != SCHEMA && !lock.is_alone() {
        return Err(LedgerError::OlderSchema { path: path.clone(), found: state.schema, known: SCHEMA });
    }
    prepare(&mut db).map_err(told)?;
    be_patient(&mut db).map_err(|error| told(error.into()))?;
    migrate(&mut db, state.schema, |db| {
        if is_new {
            tables::Pen::new(db)?.put(Head::EMPTY, opening.clock.now(), &opening.bench, &created)?;
        }
        Ok(())
    })
    .map_err(told)?;
    check_end(&db).map_err(told)?;
    // A mirror that has to lose something is written anew, which nobody may see half-way.
    let owed = lock.is_alone() && opening.mirror.as_ref().is_some_and(|mirror| owed::is(path, mirror));
    if role == Role::Bench && !owed {
        lock.let_desks_in(path)?;
    }
    let lock = Some(lock);
    let mut inner = Inner { db, mirror: None, broken: None, role: Some(role), lock, claimed: None };
    if let Some(mirror) = &opening.mirror {
        inner.mirror = Some(open_mirror(path, &inner.db, mirror)?);
        inner.catch_up(path, true)?;
    }
    if owed {
        inner.settle_mirror(path)?;
        if role == Role::Bench
            && let Some(lock) = &mut inner.lock
        {
            lock.let_desks_in(path)?;
        }
    }
    if role != Role::Alone {
        Pages::OfOne.keep(&inner.db);
    }
    let session = random(opening.entropy, path)?;
    let ledger = SqliteLedger {
        path: path.clone(),
        bench: opening.bench.clone(),
        session: if role == Role::Desk { format!("{DESK}{session}") } else { session },
        clock: Some(Arc::clone(&opening.clock)),
        inner: Mutex::new(inner),
    };
    openings::take_over(&ledger, path)?;
    Ok(ledger)
}

/// Opens a ledger for reading, also beside the bench that writes it. It changes nothing.
///
/// # Errors
/// [`LedgerError`]; [`LedgerError::Missing`] when there is none.
pub fn open_reader(path: &Path) -> Result<SqliteLedger, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    place::refuse_share(path)?;
    // Read-write, because a reader of a WAL file takes part in its locks; `query_only` keeps it from changing a row.
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let told = |trouble: Trouble| trouble.tell(path);
    let state = look(&db).map_err(told)?;
    if state.check(path)? {
        return Err(LedgerError::NotALedger { path: path.to_owned(), what: "it is empty".to_owned() });
    }
    if state.schema < SCHEMA {
        return Err(LedgerError::OlderSchema { path: path.to_owned(), found: state.schema, known: SCHEMA });
    }
    db.pragma_update(None, "query_only", true).map_err(|error| told(error.into()))?;
    check_end(&db).map_err(told)?;
    Ok(SqliteLedger {
        path: path.to_owned(),
        bench: BenchId::new(""),
        session: String::new(),
        clock: None,
        inner: Mutex::new(Inner { db, mirror: None, broken: None, role: None, lock: None, claimed: None }),
    })
}

/// What a killed process wrote and did not sync is visible to us, and would be gone after a power cut: it is synced before
/// anything is built on it. The log is opened and not the ledger itself: closing a handle of that would drop this
/// process's locks on it (<https://www.sqlite.org/howtocorrupt.html>, §2.2).
fn sync_log(path: &Path) -> Result<(), LedgerError> {
    let told = |error: io::Error| LedgerError::Io { path: path.to_owned(), what: error.to_string() };
    match fs::OpenOptions::new().write(true).open(place::beside(path, "-wal")) {
        Ok(log) => log.sync_all().map_err(told),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(place::from_io(path, &error)),
    }
}

/// Opens the file as SQLite does.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, LedgerError> {
    let length = fs::metadata(path).map_err(|error| place::from_io(path, &error))?.len();
    // SQLite takes a file shorter than its smallest page for an empty one, and would write over it.
    if (1..512).contains(&length) {
        let what = "it is too short for an SQLite file".to_owned();
        return Err(LedgerError::NotALedger { path: path.to_owned(), what });
    }
    let told = |error: rusqlite::Error| super::trouble::tell(path, &error);
    let db = Connection::open_with_flags(path, flags).map_err(told)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(told)?;
    for (pragma, value) in [
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        // macOS: a plain fsync there does not reach the disk (fcntl(2), F_FULLFSYNC). No effect elsewhere.
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("cache_size", Pages::OfMany.kibibytes()),
    ] {
        db.pragma_update(None, pragma, value).map_err(told)?;
    }
    Ok(db)
}

/// How much of the file SQLite keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// Everybody is gone through: the indexes of 100,000 jobs fit.
    OfMany,
    /// One job after another: a bench that runs for days keeps no page of everybody it has been through.
    OfOne,
}

impl Pages {
    /// As `PRAGMA cache_size` takes it: kibibytes are negative.
    fn kibibytes(self) -> i32 {
        match self {
            Self::OfMany => -65_536,
            Self::OfOne => -8_192,
        }
    }

    /// From now on. It is about memory alone: what is written does not depend on it.
    pub(super) fn keep(self, db: &Connection) {
        if let Err(error) = db.pragma_update(None, "cache_size", self.kibibytes()) {
            tracing::debug!("the ledger's pages in memory can't be limited: {error}");
        }
    }
}

/// How long another program's transaction is waited for: whoever writes is next when it waits here, so one write at most is
/// ahead. It looks every two milliseconds, for a key in a port should not wait for somebody's letters.
pub(super) fn be_patient(db: &mut Connection) -> rusqlite::Result<()> {
    db.busy_handler(Some(|looks| {
        std::thread::sleep(Duration::from_millis(2));
        looks < 15_000
    }))
}

/// What is in the file.
pub(super) struct State {
    application_id: i64,
    schema: i64,
    tables: i64,
}

fn look(db: &Connection) -> Result<State, Trouble> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(State {
        application_id: number("PRAGMA application_id")?,
        schema: number("PRAGMA user_version")?,
        tables: number("SELECT count(*) FROM sqlite_master")?,
    })
}

impl State {
    /// Whether it is new: just made, or its making was cut off before the first commit.
    fn check(&self, path: &Path) -> Result<bool, LedgerError> {
        if self.application_id == 0 && self.schema == 0 && self.tables == 0 {
            return Ok(true);
        }
        if self.application_id != APPLICATION_ID {
            return Err(LedgerError::NotALedger {
                path: path.to_owned(),
                what: format!("it is an SQLite file of another program (application id {:#x})", self.application_id),
            });
        }
        if self.schema > SCHEMA {
            return Err(LedgerError::NewerSchema { path: path.to_owned(), found: self.schema, known: SCHEMA });
        }
        if self.schema < 1 {
            return Err(LedgerError::Corrupt { path: path.to_owned(), what: "it has no schema".to_owned() });
        }
        Ok(false)
    }
}

/// WAL, so that readers work beside the writer; FULL, so that a commit returns after its sync (in WAL mode NORMAL does not
/// sync every commit: <https://www.sqlite.org/pragma.html#pragma_synchronous>).
pub(super) fn prepare(db: &mut Connection) -> Result<(), Trouble> {
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let what = format!("the journal stays in mode {mode}");
        return Err(LedgerError::Io { path: PathBuf::from(db.path().unwrap_or_default()), what }.into());
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(())
}

/// Takes the schema to this program's, and does `first` in the same transaction.
pub(super) fn migrate(
    db: &mut Connection,
    from: i64,
    first: impl FnOnce(&Connection) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if from == SCHEMA {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    first(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Checks the last links, so that a damaged end is found before anything is built on it.
fn check_end(db: &Connection) -> Result<(), Trouble> {
    let head = tables::head(db)?;
    if head.seq == 0 {
        return Err(super::super::ChainFault::Missing { seq: 1 }.into());
    }
    let from = head.seq.saturating_sub(LINKS_AT_OPENING).max(1);
    let mut checker = match from {
        1 => Checker::new(),
        _ => match tables::row_at(db, from - 1)? {
            Some(row) => Checker::after(row.head()),
            None => return Err(super::super::ChainFault::Missing { seq: from - 1 }.into()),
        },
    };
    for row in tables::rows_from(db, from, usize::MAX)? {
        checker.next(&row)?;
    }
    Ok(())
}

/// Opens the mirror, if it is this ledger's and not ahead of it.
fn open_mirror(path: &Path, db: &Connection, mirror: &Path) -> Result<Mirror, LedgerError> {
    let opened = Mirror::open(mirror)?;
    let last = opened.last();
    if last.seq == 0 {
        return Ok(opened);
    }
    let told = |trouble: Trouble| trouble.tell(path);
    let head = tables::head(db).map_err(told)?;
    let foreign = |seq| LedgerError::ForeignMirror { path: path.to_owned(), mirror: mirror.to_owned(), seq };
    if last.seq <= head.seq {
        let row = tables::row_at(db, last.seq).map_err(told)?;
        return match row {
            Some(row) if row.hash == last.hash => Ok(opened),
            _ => Err(foreign(last.seq)),
        };
    }
    // Ahead: an old copy of this ledger, unless the mirror disagrees about the ledger's last entry.
    for line in mirror::read(mirror)? {
        let (row, _) = line?;
        if row.seq == head.seq {
            return Err(if row.hash == head.hash { older(path, mirror, head, last) } else { foreign(head.seq) });
        }
    }
    Err(foreign(head.seq))
}

fn older(path: &Path, mirror: &Path, ledger: Head, last: Head) -> LedgerError {
    LedgerError::OlderThanMirror {
        path: path.to_owned(),
        mirror: mirror.to_owned(),
        ledger_seq: ledger.seq,
        mirror_seq: last.seq,
    }
}

/// 128 random bits, in hexadecimal digits.
fn random(entropy: &dyn Entropy, path: &Path) -> Result<String, LedgerError> {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes).map_err(|error| LedgerError::Io { path: path.to_owned(), what: error.to_string() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
