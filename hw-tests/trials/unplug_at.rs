//! The key vanishes at the n-th report of the journey, to it or from it. Put back, in the same run or in the next, it is finished.

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

fn trial(rig: &Rig) -> Result<String, String> {
    let mut dice = Dice(rig.seed);
    let places: Vec<u64> = if rig.full {
        (1..=BEYOND).collect()
    } else {
        // Most of the journey's acts lie between the 10th and the 60th report.
        (0..8).map(|step| 1 + step * 8 + dice.below(8)).collect()
    };
    let groups = side_by_side(&places, |shard, group| {
        let bench = Bench::new(rig, group.len(), "")?;
        let mut keys = shard.keys(rig, group.len(), &["--unplugged", "--touch"])?;
        let mut fired = 0;
        for (index, at) in group.iter().enumerate() {
            let happened =
                one(shard, &bench, &mut keys, index, *at).map_err(|error| format!("at report {at}: {error}"))?;
            fired += usize::from(happened);
        }
        inspect(&bench, &mut keys, group.len())?;
        println!("hw unplug-at: {fired} more places, each finished afterwards");
        Ok(fired)
    })?;
    let fired: usize = groups.iter().sum();
    let beyond = places.len() - fired;
    Ok(format!("{fired} places tried ({beyond} beyond the end), each finished afterwards"))
}

fn one(shard: Shard, bench: &Bench, keys: &mut Keys, index: usize, at: u64) -> Result<bool, String> {
    let key = index + 1;
    let kind = if index.is_multiple_of(2) { "unplug-at-packet" } else { "unplug-at-answer" };
    let in_the_same_run = index % 4 < 2;
    keys.ask(&format!("fault {key} {{\"kind\":\"{kind}\",\"packet\":{at}}}"))?;
    keys.ask(&format!("plug {key}"))?;
    let roster = bench.roster(&format!("{key}.csv"), [index])?;
    let mut run = shard.run(bench, &roster, key)?;
    let end = Instant::now() + PATIENCE;
    let mut fell = false;
    loop {
        let event = run.next(Duration::from_millis(100));
        match event.as_ref().and_then(|event| event["event"].as_str()) {
            Some("finished") => break,
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
