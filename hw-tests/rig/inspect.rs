//! The world after a trial: ledger, tenant and keys must tell one story.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::bench::{Bench, PATIENCE};
use super::keys::Keys;
use super::subject::Subject;
use super::{client, ensure};

/// Entra's relying party, as the simulated tenant has it.
pub const RP_ID: &str = "login.microsoft.com";

/// A finished job.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    pub job: String,
    /// Empty where the key tells none; then its port is its name.
    pub serial: String,
    pub port: String,
    /// The credential's id.
    pub credential: Vec<u8>,
    /// The PIN that the custodian opened.
    pub pin: String,
    /// What the ledger says of the forced PIN change: `forced`, `unsupported` …
    pub forced: String,
}

/// One attempt, as the ledger tells it.
#[derive(Debug, Clone, Default)]
struct Attempt {
    serial: String,
    port: String,
    sealed: bool,
    credential: Option<Vec<u8>>,
    /// What came of the forced PIN change, in the ledger's word.
    forced: String,
    finished: bool,
}

/// Which key it is: by serial number, and among those that tell none by the port.
#[derive(Debug)]
struct Which {
    serial: String,
    port: String,
}

impl Which {
    fn ask(keys: &mut Keys, number: usize) -> Result<Self, String> {
        let state = keys.state(number)?;
        let text = |name: &str| state[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { serial: text("serial"), port: text("port") })
    }

    fn is(&self, serial: &str, port: &str) -> bool {
        self.serial == serial && (!serial.is_empty() || self.port == port)
    }
}

/// What ledger and tenant say, held against each other.
struct Books {
    finished: Vec<Finished>,
    attempts: BTreeMap<(String, u64), Attempt>,
}

/// Holds ledger, tenant and keys against each other; the finished jobs. `want` is how many there must be.
pub fn inspect(bench: &Bench, keys: &mut Keys, want: usize) -> Result<Vec<Finished>, String> {
    inspect_all(bench, std::slice::from_mut(keys), want)
}

/// As [`inspect`], with keys of several processes.
pub fn inspect_all(bench: &Bench, keys: &mut [Keys], want: usize) -> Result<Vec<Finished>, String> {
    let books = books(bench, want, |_, _| true)?;
    for keys in keys {
        inspect_keys(&books, keys)?;
    }
    Ok(books.finished)
}

/// As [`inspect`] for thousands of jobs most of whose keys are gone: the custodian opens one PIN of so many, and those of the keys that
/// are still there, which are looked into.
pub fn inspect_sample(bench: &Bench, keys: &mut Keys, want: usize, one_of: usize) -> Result<Vec<Finished>, String> {
    let there = (1..=keys.count()).map(|number| Which::ask(keys, number)).collect::<Result<Vec<_>, _>>()?;
    let books = books(bench, want, |nth, attempt| {
        nth.is_multiple_of(one_of) || there.iter().any(|key| key.is(&attempt.serial, &attempt.port))
    })?;
    inspect_keys(&books, keys)?;
    Ok(books.finished)
}

/// For one key under trial: inside a virtual one; a real one is looked at after its user's PIN change, by [`super::client`].
pub fn inspect_subject(bench: &Bench, subject: &mut Subject, want: usize) -> Result<Vec<Finished>, String> {
    let virtual_key = subject.is_virtual();
    let books = books(bench, want, |_, _| true)?;
    if virtual_key {
        let mut keys = subject.inside().ok_or("a virtual key")?;
        inspect_key(&books, &mut keys, 1)?;
    } else if let Some(job) = books.finished.last() {
        client::is_as_the_books_say(subject, job)?;
    }
    Ok(books.finished)
}

fn books(bench: &Bench, want: usize, open: impl Fn(usize, &Attempt) -> bool) -> Result<Books, String> {
    bench.seen();
    bench
        .keybench(&["ledger", "verify"], PATIENCE)?
        .good()
        .map_err(|error| format!("the ledger does not verify: {error}"))?;
    let entries = bench.entries()?;
    let (users, attempts) = attempts_of(&entries)?;
    let state = bench.state()?;

    // Tenant: nobody with two; who holds what.
    let mut in_tenant = BTreeMap::new();
    for person in state["people"].as_array().into_iter().flatten() {
        let methods = person["methods"].as_array().cloned().unwrap_or_default();
        ensure(methods.len() < 2, || format!("{} has {} passkeys in the tenant", person["upn"], methods.len()))?;
        for method in methods {
            in_tenant.insert(decode(&method["credential_id"])?, person["id"].as_str().unwrap_or_default().to_owned());
        }
    }

    // Ledger: every finished job's credential is its user's in the tenant, and the custodian opens its PIN.
    let mut finished = Vec::new();
    for (nth, ((job, _), attempt)) in attempts.iter().filter(|(_, attempt)| attempt.finished).enumerate() {
        let user = users.get(job).cloned().unwrap_or_default();
        let credential =
            attempt.credential.clone().ok_or_else(|| format!("job {job} is finished without a credential"))?;
        ensure(in_tenant.get(&credential) == Some(&user), || {
            format!("job {job} is finished, and the tenant does not have its credential for {user}")
        })?;
        ensure(attempt.sealed, || format!("job {job} is finished without a sealed PIN"))?;
        let pin = if open(nth, attempt) { bench.open_pin(job)? } else { String::new() };
        let Attempt { serial, port, forced, .. } = attempt.clone();
        finished.push(Finished { job: job.clone(), serial, port, credential, pin, forced });
    }
    let jobs: BTreeSet<&str> = finished.iter().map(|one| one.job.as_str()).collect();
    ensure(jobs.len() == finished.len(), || "a job is finished twice".to_owned())?;
    ensure(finished.len() == want, || format!("{} of {want} jobs are finished", finished.len()))?;
    let known: BTreeSet<&Vec<u8>> = finished.iter().map(|one| &one.credential).collect();
    if let Some(orphan) = in_tenant.keys().find(|credential| !known.contains(credential)) {
        return Err(format!("an orphan in the tenant: {}", hex(orphan)));
    }
    Ok(Books { finished, attempts })
}

fn inspect_keys(books: &Books, keys: &mut Keys) -> Result<(), String> {
    (1..=keys.count()).try_for_each(|number| inspect_key(books, keys, number))
}

/// What is on a key is known, and the PIN is the one that was opened.
fn inspect_key(books: &Books, keys: &mut Keys, number: usize) -> Result<(), String> {
    let (inside, which) = (keys.ask(&format!("inspect {number}"))?, Which::ask(keys, number)?);
    let job = books.finished.iter().rfind(|one| which.is(&one.serial, &one.port));
    let residents = inside["residents"].as_array().cloned().unwrap_or_default();
    for resident in residents.iter().filter(|resident| resident["rp_id"] == RP_ID) {
        let known = job.is_some_and(|job| resident["credential_id"] == hex(&job.credential).as_str());
        ensure(known, || format!("an orphan on key {number} ({which:?}): {resident}"))?;
    }
    match job {
        Some(job) => {
            ensure(residents.len() == 1, || format!("key {number} holds {} credentials", residents.len()))?;
            let is = keys.ask(&format!("pin-is {number} {}", job.pin))?["pin_is"] == true;
            ensure(is, || format!("key {number} has another PIN than the custodian opened"))?;
            // Keys without authenticatorConfig can't force it; the journey then says so in the ledger.
            ensure(inside["change_is_forced"] == (job.forced == "forced"), || {
                format!(
                    "key {number} forces a PIN change: {}, and the ledger says {:?}",
                    inside["change_is_forced"], job.forced
                )
            })?;
            ensure(inside["retries"] == 8, || format!("key {number} has {} tries left", inside["retries"]))?;
        }
        // A PIN on a key that is not finished is sealed for some attempt on it.
        None if inside["pin_is_set"] == true => {
            let mut attempts = books.attempts.values();
            let sealed = attempts.any(|attempt| attempt.sealed && which.is(&attempt.serial, &attempt.port));
            ensure(sealed, || format!("key {number} has a PIN that the ledger knows nothing of"))?;
        }
        None => {}
    }
    Ok(())
}

/// Who a job is for, and its attempts.
type Story = (BTreeMap<String, String>, BTreeMap<(String, u64), Attempt>);

fn attempts_of(entries: &[Value]) -> Result<Story, String> {
    let mut users = BTreeMap::new();
    let mut attempts = BTreeMap::<(String, u64), Attempt>::new();
    for entry in entries {
        let job = entry["job"].as_str().unwrap_or_default().to_owned();
        let kind = entry["kind"].as_str().unwrap_or_default();
        if kind == "job-planned" {
            users.insert(job, entry["user"].as_str().unwrap_or_default().to_owned());
            continue;
        }
        let Some(number) = entry["attempt"].as_u64() else { continue };
        let attempt = attempts.entry((job, number)).or_default();
        match kind {
            "attempt-started" => {
                entry["key"]["serial"].as_str().unwrap_or_default().clone_into(&mut attempt.serial);
                entry["key"]["port"].as_str().unwrap_or_default().clone_into(&mut attempt.port);
            }
            "pin-sealed" => attempt.sealed = true,
            "credential-made" => attempt.credential = Some(decode(&entry["credential"])?),
            "pin-rules-set" => entry["forced"].as_str().unwrap_or_default().clone_into(&mut attempt.forced),
            "finished" => attempt.finished = true,
            _ => {}
        }
    }
    Ok((users, attempts))
}

fn decode(value: &Value) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(value.as_str().unwrap_or_default().trim_end_matches('='))
        .map_err(|error| format!("{value} is no base64url: {error}"))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
