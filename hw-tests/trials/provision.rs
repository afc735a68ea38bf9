//! The whole journey by the real `keybench run`, on real device nodes, against the simulated tenant.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::{Need, Rig, ensure};

pub const ONE: Trial = Trial { name: "provision", destroys: "a key", needs: &[Need::Uhid], run: one };
pub const MANY: Trial = Trial { name: "provision-many", destroys: "8 keys", needs: &[Need::Uhid], run: many };

const PATIENCE: Duration = Duration::from_secs(90);

/// One key that is plugged in while the bench waits, touched when the screen asks for it.
fn one(rig: &Rig) -> Result<String, String> {
    let bench = Bench::new(rig, 1, "")?;
    let mut keys = Keys::start(rig, 1, &["--unplugged"])?;
    let roster = bench.roster("people.csv", [0])?;
    let mut run = bench.run(&roster)?;
    run.until("started", PATIENCE)?;
    keys.ask("plug 1")?;
    let asked = run.until("touch", PATIENCE)?;
    ensure(asked["port"] == "sim-1", || format!("a touch is asked for at {}", asked["port"]))?;
    crate::rig::eventually(PATIENCE, "the key blinks", || keys.blinks(1))?;
    keys.ask("touch 1 now")?;
    let finished = run.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    let jobs = inspect(&bench, &mut keys, 1)?;
    ensure(finished["serial"] == keys.serial(1)?.as_str(), || format!("the event tells another key: {finished}"))?;
    ensure(finished["force_change"] == true, || format!("the event: {finished}"))?;
    Ok(format!("job {} by hotplug and touch", jobs[0].job))
}

/// Eight keys at once: one slow, one that already has a PIN, one that is pulled when it blinks and put back.
fn many(rig: &Rig) -> Result<String, String> {
    let keys = if rig.full { 16 } else { 8 };
    let bench = Bench::new(rig, keys, "")?;
    let mut hub = Keys::plugged(rig, keys)?;
    let mut used = Keys::start(rig, 1, &["--first-port", "100", "--serial", "39999999", "--pin", "904316"])?;
    used.wait_for_nodes()?;
    hub.ask("touch all after 150")?;
    hub.ask(r#"fault 2 {"kind":"slow-answer","ms":150}"#)?;
    hub.ask("touch 3 hand")?;
    let roster = bench.roster("people.csv", 0..keys)?;
    let mut run = bench.run(&roster)?;
    let end = Instant::now() + Duration::from_secs(180);
    let (mut pulled, mut back, mut refused, mut done) = (false, false, false, BTreeSet::new());
    while let Some(event) = run.next(end.saturating_duration_since(Instant::now())) {
        let port = event["port"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap_or_default() {
            "touch" if port == "sim-3" && !pulled => {
                hub.ask("unplug 3")?;
                hub.ask("touch 3 after 50")?;
                pulled = true;
            }
            "unplugged" if port == "sim-3" && pulled && !back => {
                hub.ask("plug 3")?;
                back = true;
            }
            "key-refused" => {
                ensure(event["code"] == "has-pin" && port == "sim-100", || format!("a key was refused: {event}"))?;
                refused = true;
            }
            "finished" => {
                if let Some(number) = port.strip_prefix("sim-") {
                    hub.ask(&format!("unplug {number}"))?;
                }
                done.insert(port);
            }
            "summary" => break,
            _ => {}
        }
    }
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    ensure(pulled && refused, || format!("pulled {pulled}, refused {refused}; {}", run.told()))?;
    ensure(done.len() == keys, || format!("finished at {done:?}"))?;
    inspect(&bench, &mut hub, keys)?;
    let inside = used.ask("inspect 1")?;
    ensure(inside["retries"] == 8, || format!("a PIN was tried on the key that had one: {inside}"))?;
    Ok(format!("{keys} keys, one slow, one with a PIN, one pulled"))
}
