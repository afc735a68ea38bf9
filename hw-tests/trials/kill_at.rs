//! The process is killed (SIGKILL) as soon as the ledger holds a certain entry, and at instants left to chance; the same command, run
//! again, finishes the job.

use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::program::Live;
use crate::rig::{Dice, Need, Rig, ensure};

pub const TRIAL: Trial =
    Trial { name: "kill-at", destroys: "a key for each kill", needs: &[Need::Uhid], bench: Some(trial), key: None };

const PATIENCE: Duration = Duration::from_secs(300);

/// Entries, as a part of their JSON: every effect begins after one of these and ends before one.
const BOUNDARIES: [&str; 16] = [
    r#""kind":"claimed""#,
    r#""kind":"attempt-started""#,
    r#""kind":"pin-sealed""#,
    r#""act":"set-pin""#,
    r#""kind":"pin-set""#,
    r#""act":"make-credential""#,
    r#""kind":"credential-made""#,
    r#""kind":"credential-proved""#,
    r#""act":"register""#,
    r#""kind":"registered""#,
    r#""kind":"read-back""#,
    r#""act":"set-pin-rules""#,
    r#""kind":"pin-rules-set""#,
    r#""kind":"finished""#,
    r#""kind":"resume-key-destroyed""#,
    r#""kind":"key-taken""#,
];

enum Moment {
    /// As soon as such an entry is there.
    Entry(&'static str),
    /// So long after the start.
    After(Duration),
}

fn trial(rig: &Rig) -> Result<String, String> {
    let mut dice = Dice(rig.seed);
    let mut moments: Vec<Moment> = Vec::new();
    if rig.full {
        moments.extend(BOUNDARIES.iter().cycle().take(BOUNDARIES.len() * 4).map(|entry| Moment::Entry(entry)));
    } else {
        // Every second one, and the others with the next seed.
        let first = usize::from(rig.seed.is_multiple_of(2));
        moments.extend(BOUNDARIES.iter().skip(first).step_by(2).map(|entry| Moment::Entry(entry)));
    }
    let chance = if rig.full { 240 } else { 4 };
    // A run lasts two to four seconds here, most of it before the first key.
    moments.extend((0..chance).map(|_| Moment::After(Duration::from_millis(1000 + dice.below(4000)))));

    let (mut killed, mut late) = (0, 0);
    for chunk in moments.chunks(20) {
        let bench = Bench::new(rig, chunk.len(), "")?;
        let mut keys = Keys::start(rig, chunk.len(), &["--unplugged", "--touch"])?;
        for (index, moment) in chunk.iter().enumerate() {
            let name = match moment {
                Moment::Entry(entry) => format!("at {entry}"),
                Moment::After(time) => format!("after {time:?}"),
            };
            let hit = one(&bench, &mut keys, index, moment).map_err(|error| format!("{name}: {error}"))?;
            if hit { killed += 1 } else { late += 1 }
        }
        inspect(&bench, &mut keys, chunk.len())?;
        // A full run takes an hour: what is known so far is worth having.
        println!("hw kill-at: {killed} kills so far (seed {}), each finished afterwards; {late} too late", rig.seed);
    }
    Ok(format!("{killed} kills, each finished afterwards; {late} came too late"))
}

fn one(bench: &Bench, keys: &mut Keys, index: usize, moment: &Moment) -> Result<bool, String> {
    let key = index + 1;
    keys.ask(&format!("plug {key}"))?;
    let roster = bench.roster(&format!("{key}.csv"), [index])?;
    let before = bench.ledger().ok().and_then(|ledger| last(&ledger)).unwrap_or(0);
    let mut run = bench.run(&roster)?;
    match moment {
        Moment::After(time) => {
            let end = Instant::now() + *time;
            while Instant::now() < end && !finished(&mut run) {}
        }
        Moment::Entry(entry) => {
            let end = Instant::now() + PATIENCE;
            let pattern = format!("%{entry}%");
            let mut ledger = None;
            while Instant::now() < end && !run.has_ended() {
                if entry.contains("key-taken") && finished(&mut run) {
                    keys.ask(&format!("unplug {key}"))?;
                }
                if ledger.is_none() {
                    ledger = bench.ledger().ok();
                }
                let seen = ledger.as_ref().is_some_and(|ledger| {
                    let asked = "SELECT count(*) FROM entries WHERE seq > ?1 AND body LIKE ?2";
                    ledger.query_row(asked, (before, &pattern), |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
                });
                if seen {
                    break;
                }
            }
        }
    }
    let hit = run.kill();
    // The key stays in its port, as it would; the same command goes on.
    keys.ask(&format!("plug {key}"))?;
    let mut run = bench.run(&roster)?;
    let end = Instant::now() + PATIENCE;
    let mut out = false;
    while Instant::now() < end {
        let Some(event) = run.next(Duration::from_millis(500)) else {
            if run.has_ended() {
                break;
            }
            continue;
        };
        let done = event["event"] == "finished" || event["event"] == "key-refused";
        if done && !out {
            keys.ask(&format!("unplug {key}"))?;
            out = true;
        }
    }
    keys.ask(&format!("unplug {key}"))?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("run again, it ended with {code}; {}", run.told()))?;
    Ok(hit)
}

fn finished(run: &mut Live) -> bool {
    run.next(Duration::from_millis(1)).is_some_and(|event| event["event"] == "finished")
}

fn last(ledger: &rusqlite::Connection) -> Option<i64> {
    ledger.query_row("SELECT max(seq) FROM entries", [], |row| row.get(0)).ok()
}
