//! Runs targets for their time, keeps inputs that lead somewhere new, and turns whatever goes wrong into a file.
//!
//! What counts as wrong: a panic; an input that takes longer than [`LONGEST`]; more than [`MOST_MEMORY`] of address space
//! taken by one target (Linux, where it can be read). New is an outcome that no input before has had: the target tells it as
//! text, digits left out.

use std::cell::Cell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::mutate::{Form, Rng, mutate};

/// After this the run ends: some input may never end. Generous, because machines that run tests are busy.
pub const LONGEST: Duration = Duration::from_secs(60);
/// In kilobytes.
const MOST_MEMORY: u64 = 512 * 1024;
/// Inputs kept beside the seeds.
const MOST_KEPT: usize = 400;

/// What is done with one input.
pub type Run = Box<dyn FnMut(&[u8]) -> String>;

pub struct Target {
    pub name: &'static str,
    pub form: Form,
    /// Share of the time; 1 is usual.
    pub share: u32,
    pub seeds: Vec<Vec<u8>>,
    /// Gives what came of it, for "new or not".
    pub run: Run,
}

pub struct Found {
    pub target: &'static str,
    pub what: String,
    pub file: PathBuf,
}

pub struct Score {
    pub executions: u64,
    pub outcomes: usize,
    pub slowest: Duration,
    pub found: Option<Found>,
}

type Now = Arc<Mutex<Option<(&'static str, Vec<u8>, Instant)>>>;

/// Where finds go.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz")
}

fn keep(target: &str, input: &[u8]) -> PathBuf {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let file = folder().join(format!("{target}-{:016x}", hash.finish()));
    let written = std::fs::create_dir_all(folder()).and_then(|()| std::fs::write(&file, input));
    if let Err(error) = written {
        eprintln!("the input could not be kept at {}: {error}", file.display());
    }
    file
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

pub struct Runner {
    seed: u64,
    now: Now,
}

impl Runner {
    pub fn new(seed: u64) -> Self {
        let now = Now::default();
        let watched = Arc::clone(&now);
        let watch = move || {
            loop {
                std::thread::sleep(Duration::from_millis(500));
                let now = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((target, input, started)) = &*now
                    && started.elapsed() > LONGEST
                {
                    let file = keep(target, input);
                    eprintln!("fuzz: {target}: an input takes longer than {} s; seed {seed}", LONGEST.as_secs());
                    eprintln!("  {}", again(target, &file));
                    // The input may never end, and nothing else ends a thread.
                    #[allow(clippy::exit, clippy::disallowed_methods)]
                    std::process::exit(1);
                }
            }
        };
        std::thread::Builder::new().name("watchdog".into()).spawn(watch).expect("a thread");
        // A caught panic is told once, by us.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
        Self { seed, now }
    }

    /// One input; what went wrong, if anything did.
    pub fn once(&self, target: &mut Target, input: &[u8]) -> Result<String, String> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some((target.name, input.to_vec(), Instant::now()));
        QUIET.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        QUIET.set(false);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
        outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("panicked: {}", text.unwrap_or_default())
        })
    }

    pub fn fuzz(&self, target: &mut Target, time: Duration) -> Score {
        let start = Instant::now();
        let memory = address_space();
        let mut score = Score { executions: 0, outcomes: 0, slowest: Duration::ZERO, found: None };
        let mut rng =
            Rng(self.seed ^ target.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) ^ u64::from(byte)));
        let mut pool = target.seeds.clone();
        let mut seen = HashSet::new();
        let mut queue: Vec<Vec<u8>> = target.seeds.iter().rev().cloned().collect();
        loop {
            let input = match queue.pop() {
                Some(seed) => seed,
                None if start.elapsed() >= time => break,
                None => {
                    let base = if pool.is_empty() { Vec::new() } else { rng.pick(&pool).clone() };
                    mutate(&mut rng, target.form, &base, &pool)
                }
            };
            let begun = Instant::now();
            let outcome = self.once(target, &input);
            score.slowest = score.slowest.max(begun.elapsed());
            score.executions += 1;
            match outcome {
                Ok(outcome) => {
                    let outcome: String = outcome.chars().filter(|letter| !letter.is_ascii_digit()).take(160).collect();
                    let mut hash = DefaultHasher::new();
                    outcome.hash(&mut hash);
                    if seen.insert(hash.finish()) && pool.len() < target.seeds.len() + MOST_KEPT {
                        pool.push(input);
                    }
                }
                Err(what) => {
                    let file = keep(target.name, &input);
                    score.found = Some(Found { target: target.name, what, file });
                    break;
                }
            }
        }
        score.outcomes = seen.len();
        let taken = address_space().saturating_sub(memory);
        if taken > MOST_MEMORY && score.found.is_none() {
            let what = format!("{taken} kB of address space were taken at once");
            score.found = Some(Found { target: target.name, what, file: PathBuf::from("(no single input)") });
        }
        score
    }
}

pub fn again(target: &str, file: &std::path::Path) -> String {
    format!("KEYBENCH_FUZZ_INPUT={} cargo test --test fuzz {target}", file.display())
}

/// The most this process ever had, in kilobytes; 0 where that can't be read.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
