//! Keys that differ from OpenSK where the specification leaves it open (`fixtures/models/behaviours`), and every model: the whole
//! journey on each, and what could not be done to it is in the ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect_sample;
use crate::rig::keys::Keys;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial = Trial {
    name: "second-firmware",
    destroys: "a key of each model",
    needs: &[Need::Uhid],
    bench: Some(trial),
    key: None,
};

const PATIENCE: Duration = Duration::from_secs(300);

/// Models that come with the program; the usual one is everywhere else.
const MODELS: [&str; 6] =
    ["security-key-nfc", "token2-pin-plus", "feitian-epass", "titan-v2", "nitrokey-3", "utrust-fido2"];

fn trial(rig: &Rig) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/behaviours");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut behaviours: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    behaviours.sort();
    ensure(!behaviours.is_empty(), || "no behaviours".to_owned())?;
    let mut models: Vec<String> = behaviours.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let (new, every) = (models.len(), usize::from(!rig.full) + 1);
    // A slice takes every second of the models on the market; the behaviours are all tried.
    models.extend(
        MODELS.iter().skip(usize::from(rig.seed.is_multiple_of(2)) % every).step_by(every).map(|id| (*id).to_owned()),
    );
    let mut unforced = 0;
    let bench = Bench::new(rig, models.len(), "[pin]\nfirst_device = \"leave-off\"\n")?;
    let mut gone = Vec::new();
    for (person, model) in models.iter().enumerate() {
        let forced = one(rig, &bench, person, model).map_err(|error| format!("{model}: {error}"))?;
        unforced += usize::from(!forced.1);
        gone.push(forced.0);
    }
    let known: usize = models.len();
    let jobs = inspect_sample(&bench, known, 1)?;
    ensure(jobs.len() == gone.len(), || format!("{} jobs for {} keys", jobs.len(), gone.len()))?;
    Ok(format!(
        "{new} behaviours and {} models, each finished; {unforced} can't force a PIN change",
        models.len() - new
    ))
}

fn one(rig: &Rig, bench: &Bench, person: usize, model: &str) -> Result<(Keys, bool), String> {
    // Each key in a port of its own: of keys without serial numbers the port is the name.
    let port = (person + 1).to_string();
    let mut keys = Keys::start(rig, 1, &["--model", model, "--first-port", &port, "--touch"])?;
    keys.wait_for_nodes()?;
    let mut run = bench.run(&bench.roster(&format!("{person}.csv"), [person])?)?;
    let finished = run.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    let inside = keys.ask("inspect 1")?;
    let forced = inside["change_is_forced"] == true;
    // A key that can't is told as such, not as one that was left off.
    let told = &finished["force_change"];
    ensure(if forced { told == true } else { told == "unsupported" }, || {
        format!("the event tells {finished}, and the key {inside}")
    })?;
    ensure(inside["residents"].as_array().is_some_and(|all| all.len() == 1), || format!("on the key: {inside}"))?;
    ensure(inside["retries"] == 8, || format!("tries were spent: {inside}"))?;
    Ok((keys, forced))
}
