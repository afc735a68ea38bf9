//! No PIN is left anywhere, and what is left of a finished job opens nothing.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::stage::{Play, Stage};
use crate::ledger::entry::Attempt;
use crate::ledger::jobs::{JobFilter, JobLine};
use crate::ledger::{
    Append, BlobHash, Claim, Entry, Head, Ledger, LedgerError, Recorded, Resealed, SealReceipt, open_reader,
};
use crate::model::{BenchId, JobId, Person, SealedPin, UserId};
use crate::pin::{DirResumeStore, PinPolicy, PinSettings, ResumeStore as _};
use crate::sim::key::{Model, SimKey};
use crate::sim::operator::Manner;
use crate::webauthn::record::RegistrationRecord;

/// Every form in which a PIN may have been written down.
fn forms(pin: &str) -> Vec<(String, Vec<u8>)> {
    let hex: String = pin.bytes().map(|byte| format!("{byte:02x}")).collect();
    let wide = |bytes: fn(u16) -> [u8; 2]| pin.encode_utf16().flat_map(bytes).collect();
    let mut forms = vec![
        ("plain".to_owned(), pin.as_bytes().to_vec()),
        ("hex".to_owned(), hex.to_uppercase().into_bytes()),
        ("hex".to_owned(), hex.into_bytes()),
        ("utf-16le".to_owned(), wide(u16::to_le_bytes)),
        ("utf-16be".to_owned(), wide(u16::to_be_bytes)),
    ];
    for before in 0..3usize {
        // What neighbours in the same group of three can't change: without the first and the last sextets they share.
        let text = [vec![0; before], pin.as_bytes().to_vec()].concat();
        let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            forms.push((format!("{name} at {before}"), engine.encode(&text).as_bytes()[first..last].to_vec()));
        }
    }
    forms
}

/// What to look for: every form of every PIN, by its first eight bytes, so that one pass over a place is enough.
struct Wanted(HashMap<[u8; 8], Vec<(String, Vec<u8>)>>);

impl Wanted {
    fn new<'p>(pins: impl IntoIterator<Item = &'p str>) -> Self {
        let mut wanted: HashMap<_, Vec<_>> = HashMap::new();
        for (name, needle) in pins.into_iter().flat_map(forms) {
            wanted.entry(*needle.first_chunk().expect("long enough")).or_default().push((name, needle));
        }
        Self(wanted)
    }

    fn seen_in(&self, place: &[u8]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for (at, start) in place.windows(8).enumerate() {
            // Most bytes of a database are zeros; no needle begins with two of them.
            if start[0] == 0 && start[1] == 0 {
                continue;
            }
            let Some(candidates) = start.first_chunk::<8>().and_then(|start| self.0.get(start)) else { continue };
            let here = candidates.iter().filter(|(_, needle)| place[at..].starts_with(needle));
            seen.extend(here.map(|(name, _)| name.clone()));
        }
        seen
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// A ledger that has its files copied after every write: every snapshot that a backup could have taken.
struct Photographed<'l> {
    inner: &'l dyn Ledger,
    from: PathBuf,
    to: PathBuf,
    shots: AtomicU64,
}

impl Photographed<'_> {
    fn shoot<T>(&self, done: Result<T, LedgerError>) -> Result<T, LedgerError> {
        let to = self.to.join(self.shots.fetch_add(1, Ordering::SeqCst).to_string());
        std::fs::create_dir_all(&to).expect("a directory");
        for file in files_below(&self.from) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("ledger.db") || name.starts_with("mirror") {
                // A file may go while it is looked at.
                let _ = std::fs::copy(&file, to.join(name));
            }
        }
        done
    }
}

impl Ledger for Photographed<'_> {
    fn bench(&self) -> &BenchId {
        self.inner.bench()
    }
    fn head(&self) -> Result<Head, LedgerError> {
        self.inner.head()
    }
    fn append(&self, what: Append) -> Result<Head, LedgerError> {
        self.shoot(self.inner.append(what))
    }
    fn append_seal(&self, claim: &Claim, attempt: Attempt, sealed: &SealedPin) -> Result<SealReceipt, LedgerError> {
        self.shoot(self.inner.append_seal(claim, attempt, sealed))
    }
    fn sealed_pin(&self, job: &JobId, attempt: Attempt) -> Result<Option<(SealedPin, SealReceipt)>, LedgerError> {
        self.inner.sealed_pin(job, attempt)
    }
    fn envelope(&self, job: &JobId, attempt: Attempt) -> Result<Option<SealedPin>, LedgerError> {
        self.inner.envelope(job, attempt)
    }
    fn reseal(&self, set: Entry, envelopes: Vec<Resealed>) -> Result<Head, LedgerError> {
        self.shoot(self.inner.reseal(set, envelopes))
    }
    fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, LedgerError> {
        self.inner.blob(hash)
    }
    fn person(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        self.inner.person(user)
    }
    fn people(&self) -> Result<Vec<Person>, LedgerError> {
        self.inner.people()
    }
    fn forget(&self, user: &UserId, reason: &str) -> Result<Head, LedgerError> {
        self.shoot(self.inner.forget(user, reason))
    }
    fn entries_of(&self, job: &JobId) -> Result<Vec<Recorded>, LedgerError> {
        self.inner.entries_of(job)
    }
    fn visit(&self, from: u64, visitor: &mut dyn FnMut(Recorded) -> ControlFlow<()>) -> Result<(), LedgerError> {
        self.inner.visit(from, visitor)
    }
    fn claim(&self, job: &JobId) -> Result<Claim, LedgerError> {
        self.shoot(self.inner.claim(job))
    }
    fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.shoot(self.inner.release(claim))
    }
    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobLine>, LedgerError> {
        self.inner.jobs(filter)
    }
    fn job(&self, job: &JobId) -> Result<Option<JobLine>, LedgerError> {
        self.inner.job(job)
    }
    fn verify(&self, seen: Option<crate::ledger::SeenHead>) -> Result<Head, LedgerError> {
        self.inner.verify(seen)
    }
}

#[test]
fn the_scanner_finds_what_it_looks_for() {
    let pin = "k7hx4r9tuc2njd8p";
    for prefix in ["", "a", "ab", "abc"] {
        let text = format!("{prefix}{pin}--tail");
        let found = |bytes: &[u8]| !Wanted::new([pin]).seen_in(bytes).is_empty();
        assert!(found(text.as_bytes()));
        assert!(found(STANDARD_NO_PAD.encode(&text).as_bytes()), "base64 after {} bytes", prefix.len());
        assert!(found(URL_SAFE_NO_PAD.encode(&text).as_bytes()));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(found(&wide));
        assert!(!found(b"k7hx4r9tuc2njd8 p k7hx4r9tuc2njd8"));
    }
}

#[test]
fn no_pin_is_left_and_no_finished_one_opens() {
    let mut stage = Stage::new(4, 2, |_| {});
    stage.pins = PinPolicy::check(&PinSettings {
        length: Some(16),
        alphabet: crate::pin::Alphabet::Alphanumeric,
        ..PinSettings::default()
    })
    .expect("a policy");
    let shots = tempfile::tempdir().expect("a directory");
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let camera = Photographed {
        inner: &ledger,
        from: stage.dir.path().to_owned(),
        to: shots.path().to_owned(),
        shots: AtomicU64::new(0),
    };
    let model = Model::usual();
    // The last person's key leaves in the middle and is not put back: that PIN must still open.
    let last = SimKey::new(&model, 4);
    let lazy = Manner { pull_when_blinking: true, back_after_ms: 3_600_000, ..Manner::default() };
    let mut boxed: Vec<crate::sim::operator::BoxedKey> = (1..=3).map(|unit| SimKey::new(&model, unit).into()).collect();
    boxed.push(crate::sim::operator::BoxedKey { key: last, manner: lazy });
    let (outcome, day) = stage.run(&camera, Play::of(boxed).once_through());
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.parked), (3, 1), "{:#?}", stage.events());

    let pins: Vec<String> = stage
        .people()
        .iter()
        .map(|person| stage.open_pin(&ledger, &stage.job_of(person), 1).expect("sealed"))
        .collect();
    assert!(pins.iter().all(|pin| pin.len() == 16));
    assert_eq!(pins.iter().filter(|pin| day.keys.iter().any(|(key, _)| key.probe().pin_is(pin))).count(), 4);

    // Nowhere in what was written or told.
    let told = format!("{:?}", stage.events()).into_bytes();
    let mut places: Vec<(String, Vec<u8>)> = vec![("what was told".into(), told)];
    for file in files_below(stage.dir.path()).into_iter().chain(files_below(shots.path())) {
        places.push((file.display().to_string(), std::fs::read(&file).expect("readable")));
    }
    for kind in ["ledger.db", "ledger.db-wal", "mirror", ".key"] {
        assert!(places.iter().any(|(name, _)| name.contains(kind)), "{kind} was not looked at");
    }
    let wanted = Wanted::new(pins.iter().map(String::as_str));
    for (name, bytes) in &places {
        assert_eq!(wanted.seen_in(bytes), BTreeSet::new(), "in {name}");
    }
    let leak = [places[1].1.clone(), STANDARD_NO_PAD.encode(format!("x{}", pins[0])).into_bytes()].concat();
    assert!(wanted.seen_in(&leak).contains("base64 at 1"), "a planted leak is found");

    // Every seal of every snapshot, against every key that the final disk holds.
    let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
    let keys: Vec<_> = resume
        .list()
        .expect("a list")
        .into_iter()
        .map(|(job, attempt)| resume.load(&job, attempt).expect("readable").expect("there"))
        .collect();
    assert_eq!(keys.len(), 1, "the unfinished job's");
    let mut opened = BTreeSet::new();
    let mut tried = 0;
    for shot in std::fs::read_dir(shots.path()).expect("a directory") {
        let path = shot.expect("an entry").path().join("ledger.db");
        let copy = open_reader(&path).expect("a snapshot opens");
        for (index, person) in stage.people().iter().enumerate() {
            let job = stage.job_of(person);
            let Some(sealed) = copy.envelope(&job, 1).expect("readable") else { continue };
            for key in &keys {
                for blob in [&sealed.resume, &sealed.custodian] {
                    tried += 1;
                    if !blob.is_empty() && crate::pin::open_resume(blob, key, &job).is_ok() {
                        opened.insert(index);
                    }
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} tries");
    let finished: Vec<usize> = (0..4)
        .filter(|index| {
            stage.state_of(&ledger, &stage.job_of(&stage.people()[*index])).status()
                == crate::model::JobStatus::Finished
        })
        .collect();
    assert_eq!(finished.len(), 3);
    assert!(finished.iter().all(|index| !opened.contains(index)), "0 finished PINs open, but {opened:?} did");
    assert_eq!(opened.len(), 1, "the method works: the unfinished one opens");
    let entries = ledger.entries_of(&stage.job_of(&stage.people()[finished[0]])).expect("entries");
    assert!(entries.iter().any(|recorded| matches!(recorded.entry, Entry::ResumeKeyDestroyed { .. })));
}

/// Pieces of a registration record in every form in which it may have been written down: as it is kept and as it is sent.
fn pieces(record: &RegistrationRecord) -> Vec<(&'static str, Vec<u8>)> {
    let middle = |bytes: &[u8]| bytes[bytes.len() / 2 - 16..bytes.len() / 2 + 16].to_vec();
    vec![
        ("client data", middle(&record.client_data_json)),
        ("client data in base64url", middle(record.client_data_base64url().as_bytes())),
        ("attestation", middle(&record.attestation_object)),
        ("attestation in base64url", middle(record.attestation_base64url().as_bytes())),
    ]
}

fn is_in(place: &[u8], piece: &[u8]) -> bool {
    place.windows(piece.len()).any(|window| window == piece)
}

#[test]
fn no_registration_of_a_held_key_is_left_in_clear() {
    let stage = Stage::new(3, 2, |_| {});
    let shots = tempfile::tempdir().expect("a directory");
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let camera = Photographed {
        inner: &ledger,
        from: stage.dir.path().to_owned(),
        to: shots.path().to_owned(),
        shots: AtomicU64::new(0),
    };
    let model = Model::usual();
    let boxed = (1..=3).map(|unit| SimKey::new(&model, unit).into()).collect();
    let (outcome, _) = stage.run(&camera, Play::of(boxed).held());
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.held), (3, 3), "{:#?}", stage.events());

    let mut identities = crate::pin::Identities::new();
    identities
        .add("test", stage.activation.1.as_bytes(), std::sync::Arc::new(crate::pin::NoPrompts))
        .expect("an identity");
    let mut wanted = Vec::new();
    for person in stage.people() {
        let job = stage.job_of(person);
        let now = stage.graph().server_now();
        let record = crate::provision::held::open_record(&ledger, &job, &identities, now).expect("it opens");
        wanted.extend(pieces(&record));
        // Neither a custodian's identity nor the bench's resume keys open it.
        let mut others = crate::pin::Identities::new();
        others.add("test", stage.identity.as_bytes(), std::sync::Arc::new(crate::pin::NoPrompts)).expect("an identity");
        assert!(
            crate::provision::held::open_record(&ledger, &job, &others, now).is_err(),
            "a custodian activates nothing"
        );
    }
    let read = |path: &Path| std::fs::read(path).expect("readable");
    // The disk as it is now, the log included: nothing but what is sealed.
    let files = files_below(stage.dir.path());
    for name in ["ledger.db", "mirror"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} was not looked at");
    }
    for file in &files {
        for (what, piece) in &wanted {
            assert!(!is_in(&read(file), piece), "{what} in {}", file.display());
        }
    }
    let told = format!("{:?}", stage.events()).into_bytes();
    assert!(wanted.iter().all(|(_, piece)| !is_in(&told, piece)));
    // The method works: while the key was at the bench, the record was there to be found.
    let before = files_below(shots.path()).iter().any(|file| wanted.iter().any(|(_, piece)| is_in(&read(file), piece)));
    assert!(before, "a snapshot of the time before the hold has it");
    ledger.verify(None).expect("an unbroken chain");
}
