//! The process is killed (SIGKILL) as soon as the ledger holds a certain entry, and at instants left to chance; the same command, run
//! again, finishes the job.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::program::Live;
use crate::rig::shards::{Shard, side_by_side};
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
    let chance = if rig.full { 300 } else { 4 };
    let span = undisturbed(rig)?;
    // Beside others a run takes longer than alone.
    moments.extend((0..chance).map(|_| Moment::After(span / 8 + span.mul_f64(dice.below(1400) as f64 / 1000.0))));

    let groups = side_by_side(&moments, |shard, group| {
        let bench = Bench::new(rig, group.len(), "")?;
        let mut keys = shard.keys(rig, group.len(), &["--unplugged", "--touch"])?;
        let mut kills = Kills::default();
        for (index, moment) in group.iter().enumerate() {
            let name = match moment {
                Moment::Entry(entry) => format!("at {entry}"),
                Moment::After(time) => format!("after {time:?}"),
            };
            let hit = one(shard, &bench, &mut keys, index, moment)
                .map_err(|error| format!("{name} (seed {}): {error}", rig.seed))?;
            kills.count(moment, hit);
        }
        inspect(&bench, &mut keys, group.len())?;
        // A full run takes its time: what is known so far is worth having.
        println!("hw kill-at: {kills} (seed {}), each finished afterwards", rig.seed);
        Ok(kills)
    })?;
    let kills = groups.into_iter().fold(Kills::default(), Kills::and);
    // A process that was gone already shows nothing; a few are, where the last entry is the end of the run.
    ensure(kills.late * 4 <= moments.len(), || {
        format!("more than a quarter of the kills came too late: {kills} (seed {})", rig.seed)
    })?;
    Ok(format!(
        "{} kills ({kills}; seed {}), each finished afterwards; 0 lost PINs, 0 orphans, 0 doubles",
        kills.all(),
        rig.seed
    ))
}

/// How many hit a process that was still running.
#[derive(Debug, Default, Clone, Copy)]
struct Kills {
    at_entries: usize,
    at_random: usize,
    late: usize,
}

impl Kills {
    fn count(&mut self, moment: &Moment, hit: bool) {
        match moment {
            _ if !hit => self.late += 1,
            Moment::Entry(_) => self.at_entries += 1,
            Moment::After(_) => self.at_random += 1,
        }
    }
    fn and(self, other: Self) -> Self {
        Self {
            at_entries: self.at_entries + other.at_entries,
            at_random: self.at_random + other.at_random,
            late: self.late + other.late,
        }
    }
    fn all(self) -> usize {
        self.at_entries + self.at_random
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_entries, at_random, late } = self;
        write!(f, "{at_entries} at entries, {at_random} at random instants, {late} too late")
    }
}

/// How long a run takes here from its start to the finished key.
fn undisturbed(rig: &Rig) -> Result<Duration, String> {
    let bench = Bench::new(rig, 1, "")?;
    let mut keys = Keys::plugged(rig, 1)?;
    keys.ask("touch 1 at-once")?;
    let start = Instant::now();
    let mut run = bench.run(&bench.roster("people.csv", [0])?)?;
    run.until("finished", PATIENCE)?;
    let span = start.elapsed();
    keys.ask("unplug 1")?;
    run.end(PATIENCE)?;
    inspect(&bench, &mut keys, 1)?;
    Ok(span)
}

fn one(shard: Shard, bench: &Bench, keys: &mut Keys, index: usize, moment: &Moment) -> Result<bool, String> {
    let key = index + 1;
    keys.ask(&format!("plug {key}"))?;
    let roster = bench.roster(&format!("{key}.csv"), [index])?;
    let before = bench.ledger().ok().and_then(|ledger| last(&ledger)).unwrap_or(0);
    let mut run = shard.run(bench, &roster, key)?;
    match moment {
        Moment::After(time) => {
            let end = Instant::now() + *time;
            while Instant::now() < end && !finished(&mut run) {}
        }
        Moment::Entry(entry) => {
            let end = Instant::now() + PATIENCE;
            let pattern = format!("%{entry}%");
            let mut ledger = None;
            loop {
                // Asked before the look, so that what it wrote last is seen.
                let over = run.has_ended();
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
                if over || Instant::now() >= end {
                    while run.next(Duration::from_millis(1)).is_some() {}
                    let when = if over { "until its end".to_owned() } else { format!("within {PATIENCE:?}") };
                    return Err(format!("there was no such entry {when}; {}", run.told()));
                }
                // A look that never rests would take the other program's time.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    let hit = run.kill();
    // The key stays in its port, as it would; the same command goes on.
    keys.ask(&format!("plug {key}"))?;
    let mut run = shard.run(bench, &roster, key)?;
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
