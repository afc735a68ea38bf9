//! Keys that leave and come back: in the middle of the touch, and after they are finished.

use std::time::Duration;

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial = Trial { name: "replug", destroys: "2 keys", needs: &[Need::Uhid], run: trial };

const PATIENCE: Duration = Duration::from_secs(60);

fn trial(rig: &Rig) -> Result<String, String> {
    let bench = Bench::new(rig, 2, "")?;
    let mut keys = Keys::plugged(rig, 1)?;
    let mut run = bench.run(&bench.roster("first.csv", [0])?)?;
    // Pulled while it blinks: the bench says so and asks for the same key.
    let asked = run.until("touch", PATIENCE)?;
    keys.ask("unplug 1")?;
    let left = run.until("unplugged", PATIENCE)?;
    ensure(left["job"] == asked["job"], || format!("pulled out of job {}: {left}", asked["job"]))?;
    // Another key in between does not take its place: its person is served already.
    let mut other = Keys::start(rig, 1, &["--first-port", "50", "--serial", "39999998", "--touch"])?;
    other.wait_for_nodes()?;
    std::thread::sleep(Duration::from_millis(500));
    keys.ask("touch 1 at-once")?;
    keys.ask("plug 1")?;
    let finished = run.until("finished", PATIENCE)?;
    ensure(finished["serial"] == keys.serial(1)?.as_str(), || format!("another key was finished: {finished}"))?;
    keys.ask("unplug 1")?;
    other.ask("unplug 1")?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    let inside = other.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == false, || format!("the other key was touched: {inside}"))?;

    // A finished key that is put in for somebody else is refused, and stays as it is.
    keys.ask("plug 1")?;
    let mut run = bench.run(&bench.roster("second.csv", [1])?)?;
    let refused = run.until("key-refused", PATIENCE)?;
    run.interrupt();
    let code = run.end(PATIENCE)?;
    ensure(code == 130, || format!("interrupted, it ends with {code}; {}", run.told()))?;
    inspect(&bench, &mut keys, 1)?;
    Ok(format!("pulled at the touch and put back; put in again: {}", refused["code"].as_str().unwrap_or_default()))
}
