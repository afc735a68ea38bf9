//! Keys are plugged in and pulled without pause while the bench works; when the storm is over, everybody gets their key.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::{Dice, Need, Rig, ensure};

pub const TRIAL: Trial =
    Trial { name: "hotplug-storm", destroys: "6 keys", needs: &[Need::Uhid], bench: Some(trial), key: None };

const KEYS: usize = 6;

fn trial(rig: &Rig) -> Result<String, String> {
    let bench = Bench::new(rig, KEYS, "")?;
    let mut keys = Keys::start(rig, KEYS, &["--unplugged", "--touch"])?;
    let mut run = bench.run(&bench.roster("people.csv", 0..KEYS)?)?;
    run.until("started", Duration::from_secs(300))?;
    let mut dice = Dice(rig.seed);
    let mut inside = [false; KEYS];
    let events = if rig.full { 2000 } else { 200 };
    for _ in 0..events {
        let key = usize::try_from(dice.below(KEYS as u64)).unwrap_or(0);
        let verb = if inside[key] { "unplug" } else { "plug" };
        keys.ask(&format!("{verb} {}", key + 1))?;
        inside[key] = !inside[key];
        std::thread::sleep(Duration::from_millis(dice.below(120)));
    }
    keys.ask("plug")?;
    let end = Instant::now() + Duration::from_secs(300);
    let mut summary = None;
    let mut out = BTreeSet::new();
    // Events that came during the storm are read now; whoever is finished is taken out.
    while summary.is_none() && Instant::now() < end {
        let Some(event) = run.next(Duration::from_millis(500)) else {
            if run.has_ended() {
                break;
            }
            continue;
        };
        match event["event"].as_str().unwrap_or_default() {
            "finished" | "key-refused" => {
                let port = event["port"].as_str().unwrap_or_default().to_owned();
                keys.ask(&format!("unplug {}", port.trim_start_matches("sim-")))?;
                out.insert(port);
            }
            "summary" => summary = Some(event),
            _ => {}
        }
    }
    let summary = summary.ok_or_else(|| format!("no end in sight; {}", run.told()))?;
    let code = run.end(Duration::from_secs(300))?;
    ensure(code == 0, || format!("exit code {code}: {summary}; {}", run.told()))?;
    inspect(&bench, &mut keys, KEYS)?;
    Ok(format!("{events} times plugged or pulled, {KEYS} keys finished"))
}
