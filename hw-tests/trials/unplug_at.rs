//! The key vanishes at the n-th report of the journey, to it or from it. Put back, in the same run or in the next, it is finished.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::shards::{Shard, side_by_side};
use crate::rig::{Dice, Need, Rig, ensure, eventually};

pub const TRIAL: Trial =
    Trial { name: "unplug-at", destroys: "a key for each n", needs: &[Need::Uhid], bench: Some(trial), key: None };

const PATIENCE: Duration = Duration::from_secs(300);
/// More reports than a journey has in either direction.
const BEYOND: u64 = 140;
/// So many of the last ones must lie behind its end, or it has grown and some of its reports are not tried any more.
const SPARE: u64 = 20;
/// Fewer reports than a journey has in either direction: a key that does not vanish there never does.
const WITHIN: u64 = 30;

/// Where the key vanishes.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// At the n-th report.
    at: u64,
    /// Of those to the key; else of its own.
    to_the_key: bool,
    /// It is put back while the run still waits for it; else the run is ended, and the next one finds it.
    in_the_same_run: bool,
}

impl Place {
    /// Each report of either direction once. Its neighbours, and the one of the same number the other way, come back in the other manner.
    fn all() -> Vec<Self> {
        let place =
            |at: u64, to_the_key: bool| Self { at, to_the_key, in_the_same_run: at.is_multiple_of(2) == to_the_key };
        [true, false].into_iter().flat_map(|way| (1..=BEYOND).map(move |at| place(at, way))).collect()
    }

    /// Some of them. Most of the journey's acts lie between the 10th and the 60th report.
    fn some(mut dice: Dice) -> Vec<Self> {
        let place = |step: u64| Self {
            at: 1 + step * 8 + dice.below(8),
            to_the_key: step.is_multiple_of(2),
            in_the_same_run: step % 4 < 2,
        };
        (0..8).map(place).collect()
    }

    /// Whether a key that vanished here, or did not, is what there must be.
    fn should(self, vanished: bool) -> Result<(), String> {
        ensure(vanished || self.at > WITHIN, || "the key never vanished: nothing was tried".to_owned())?;
        ensure(!vanished || self.at <= BEYOND - SPARE, || {
            format!("the journey has grown: try more reports than {BEYOND}, or its last ones are left out")
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "report {} {} the key", self.at, if self.to_the_key { "to" } else { "of" })
    }
}

fn trial(rig: &Rig) -> Result<String, String> {
    let places = if rig.full { Place::all() } else { Place::some(Dice(rig.seed)) };
    let groups = side_by_side(&places, |shard, group| {
        let bench = Bench::new(rig, group.len(), "")?;
        let mut keys = shard.keys(rig, group.len(), &["--unplugged", "--touch"])?;
        let mut fired = 0;
        for (index, place) in group.iter().enumerate() {
            let happened = one(shard, &bench, &mut keys, index, *place)
                .and_then(|happened| place.should(happened).map(|()| happened))
                .map_err(|error| format!("at {place} (seed {}): {error}", rig.seed))?;
            fired += usize::from(happened);
        }
        inspect(&bench, &mut keys, group.len())?;
        println!("hw unplug-at: {fired} more places, each finished afterwards");
        Ok(fired)
    })?;
    let fired: usize = groups.iter().sum();
    let beyond = places.len() - fired;
    Ok(format!("{fired} places tried ({beyond} beyond the end; seed {}), each finished afterwards", rig.seed))
}

fn one(shard: Shard, bench: &Bench, keys: &mut Keys, index: usize, place: Place) -> Result<bool, String> {
    let Place { at, to_the_key, in_the_same_run } = place;
    let key = index + 1;
    let kind = if to_the_key { "unplug-at-packet" } else { "unplug-at-answer" };
    keys.ask(&format!("fault {key} {{\"kind\":\"{kind}\",\"packet\":{at}}}"))?;
    keys.ask(&format!("plug {key}"))?;
    let roster = bench.roster(&format!("{key}.csv"), [index])?;
    let mut run = shard.run(bench, &roster, key)?;
    let end = Instant::now() + PATIENCE;
    let mut fell = false;
    loop {
        let event = run.next(Duration::from_millis(100));
        match event.as_ref().and_then(|event| event["event"].as_str()) {
            Some("finished") => {
                // At its last report, with nobody left who would miss it.
                fell |= keys.state(key)?["plugged"] == false;
                break;
            }
            Some("summary") => return Err(format!("it ended before it was finished; {}", run.told())),
            _ => {}
        }
        if !fell && keys.state(key)?["plugged"] == false {
            fell = true;
            if !in_the_same_run {
                run.interrupt();
                let code = run.end(PATIENCE)?;
                ensure(code == 130, || format!("interrupted, it ended with {code}; {}", run.told()))?;
                keys.ask(&format!("plug {key}"))?;
                run = shard.run(bench, &roster, key)?;
                continue;
            }
            keys.ask(&format!("plug {key}"))?;
        }
        ensure(Instant::now() < end, || format!("not finished within {PATIENCE:?}; {}", run.told()))?;
    }
    keys.ask("mend")?;
    eventually(PATIENCE, "the key can be taken out", || Ok(keys.ask(&format!("unplug {key}")).is_ok()))?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    Ok(fell)
}
