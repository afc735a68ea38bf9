//! Cases side by side. Each shard works on a bench, a tenant and keys of its own, in ports that no other shard uses, so that one case is
//! nothing to another but a busier machine.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Rig;
use super::bench::Bench;
use super::keys::Keys;
use super::program::Live;

/// How many at once: a case mostly waits, for the other program or for its key.
const AT_ONCE: usize = 4;
/// Ports of a shard, and the most cases that share a bench.
const PORTS: usize = 20;

/// A shard's own ports: `sim-1` to `sim-20`, `sim-21` to `sim-40` …
#[derive(Debug, Clone, Copy)]
pub struct Shard {
    nth: usize,
}

impl Shard {
    /// So many keys in its first ports.
    pub fn keys(self, rig: &Rig, count: usize, options: &[&str]) -> Result<Keys, String> {
        let (port, serial) = ((1 + self.nth * PORTS).to_string(), (30_000_001 + self.nth * 1_000).to_string());
        Keys::start(rig, count, &[&["--first-port", &port, "--serial", &serial], options].concat())
    }

    /// A run on the port of its n-th key, from 1.
    pub fn run(self, bench: &Bench, roster: &Path, key: usize) -> Result<Live, String> {
        Live::start(&mut bench.run_on(roster, &format!("sim-{}", self.nth * PORTS + key)))
    }
}

/// Hands the cases out in groups that can share a bench, and gives back what came of each group. After a failure no group is begun.
pub fn side_by_side<C: Sync, T: Send>(
    cases: &[C],
    act: impl Fn(Shard, &[C]) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let groups: Vec<&[C]> = cases.chunks(cases.len().div_ceil(AT_ONCE).clamp(1, PORTS)).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |nth: usize| {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed)
            && let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed))
        {
            match act(Shard { nth }, group) {
                Ok(outcome) => done.push(outcome),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|nth| scope.spawn(move || work(nth))).collect();
        let mut done = Vec::new();
        for thread in threads {
            done.extend(thread.join().unwrap_or_else(|_| Err("a shard broke down; see above".to_owned()))?);
        }
        Ok(done)
    })
}
