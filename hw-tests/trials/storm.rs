//! Keys are plugged in and pulled without pause while the bench works; when the storm is over, everybody gets their key.

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
    // Events that came during the storm are read now; whoever is finished is taken out.
    while summary.is_none() && Instant::now() < end {
        let Some(event) = run.next(Duration::from_millis(500)) else {
            if run.has_ended() {
                break;
            }
            continue;
        };
        match event["event"].as_str().unwrap_or_default() {
            kind @ ("finished" | "key-refused") => {
                let place = event["port"].as_str().unwrap_or_default().trim_start_matches("sim-").to_owned();
                match event["code"].as_str() {
                    _ if kind == "finished" => keys.ask(&format!("unplug {place}"))?,
                    // It was finished in the storm, pulled and plugged in again.
                    Some("already-finished") => keys.ask(&format!("unplug {place}"))?,
                    // It was pulled while it was looked at, or its node was not there yet; the screen says what to do about that.
                    Some("mute" | "no-node" | "no-right" | "in-use") => keys.ask(&format!("power-cycle {place}"))?,
                    _ => return Err(format!("a key was refused: {event}; {}", run.told())),
                };
            }
            "summary" => summary = Some(event),
            _ => {}
        }
    }
    let summary = summary.ok_or_else(|| format!("no end in sight; {}", run.told()))?;
    let code = run.end(Duration::from_secs(300))?;
    ensure(code == 0, || format!("exit code {code}: {summary}; {}", run.told()))?;
    inspect(&bench, &mut keys, KEYS)?;
    Ok(format!("{events} times plugged or pulled (seed {}), {KEYS} keys finished", rig.seed))
}
