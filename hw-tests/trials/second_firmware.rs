//! Keys that differ from OpenSK where the specification leaves it open (`fixtures/models/behaviours`), and every model: the whole
//! journey on each. What a key can't do is in the ledger, and libfido2 says so too: nobody was left without a forced PIN change because
//! keybench misread an answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::client;
use crate::rig::inspect::inspect_all;
use crate::rig::keys::Keys;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial = Trial {
    name: "second-firmware",
    destroys: "a key of each model",
    needs: &[Need::Uhid, Need::FidoTools],
    bench: Some(trial),
    key: None,
};

const PATIENCE: Duration = Duration::from_secs(300);

/// Models that come with the program; the usual one is everywhere else.
const MODELS: [&str; 7] = [
    "security-key-nfc",
    "yubikey-5-nfc-5.2",
    "feitian-epass",
    "token2-pin-plus",
    "nitrokey-3",
    "titan-v2",
    "utrust-fido2",
];

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
    let bench = Bench::new(rig, models.len(), "[pin]\nfirst_device = \"leave-off\"\n")?;
    let (mut keys, mut can) = (Vec::new(), Vec::new());
    for (person, model) in models.iter().enumerate() {
        let (key, can_force) = one(rig, &bench, person, model).map_err(|error| format!("{model}: {error}"))?;
        keys.push(key);
        can.push(can_force);
    }
    let jobs = inspect_all(&bench, &mut keys, models.len())?;
    for (person, (model, can_force)) in models.iter().zip(&can).enumerate() {
        let job = jobs.iter().find(|job| job.port == port(person));
        let said = job.map(|job| job.forced.as_str());
        ensure(said == Some(if *can_force { "forced" } else { "unsupported" }), || {
            format!("{model}: the ledger says {said:?}, and libfido2 that it can force a PIN change: {can_force}")
        })?;
    }
    let unable = can.iter().filter(|can| !**can).count();
    ensure(0 < unable && unable < models.len(), || format!("{unable} of {} can't force a PIN change", models.len()))?;
    Ok(format!(
        "{new} behaviours and {} models, each finished; {unable} can't force a PIN change, as libfido2 reads them too",
        models.len() - new
    ))
}

/// Each key is in a port of its own: of keys without serial numbers the port is the name.
fn port(person: usize) -> String {
    format!("sim-{}", person + 1)
}

/// The key, and whether it can force a PIN change, as libfido2 reads its getInfo.
fn one(rig: &Rig, bench: &Bench, person: usize, model: &str) -> Result<(Keys, bool), String> {
    let first = (person + 1).to_string();
    let mut keys = Keys::start(rig, 1, &["--model", model, "--first-port", &first, "--touch"])?;
    keys.wait_for_nodes()?;
    let info = client::told(&keys.node(1)?.to_string_lossy())?;
    let can_force = client::has_option(&info, "setMinPINLength")?;
    let mut run = bench.run(&bench.roster(&format!("{person}.csv"), [person])?)?;
    let finished = run.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    // A key that can't is told as such, not as one that was left off.
    let told = &finished["force_change"];
    ensure(if can_force { told == true } else { told == "unsupported" }, || {
        format!("the event tells {finished}, and libfido2 {info}")
    })?;
    Ok((keys, can_force))
}
