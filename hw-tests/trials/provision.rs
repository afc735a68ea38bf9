//! The whole journey by the real `keybench run`, on real device nodes, against the simulated tenant.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::rig::bench::Bench;
use crate::rig::inspect::{Finished, inspect, inspect_subject};
use crate::rig::keys::Keys;
use crate::rig::program::Live;
use crate::rig::subject::{PROVISIONS, Subject, asked_for_touch, provision_with};
use crate::rig::{Need, Rig, ensure};
use crate::{OnKey, Trial};

pub const ONE: Trial = Trial {
    name: "provision",
    destroys: "a key",
    needs: &[Need::FidoTools],
    bench: None,
    key: Some(OnKey { asks: PROVISIONS, models: &["yubikey-5-nfc"], run: one }),
};
pub const MANY: Trial =
    Trial { name: "provision-many", destroys: "8 and 16 keys", needs: &[Need::Uhid], bench: Some(many), key: None };

const PATIENCE: Duration = Duration::from_secs(300);

/// A job by the real `keybench run` on this key alone, with this hand; then a look at the world.
pub fn provision_on(bench: &Bench, subject: &mut Subject, person: usize) -> Result<Finished, String> {
    subject.bring_back()?;
    let roster = subject.roster(bench, &format!("{person}.csv"), person)?;
    let mut run = Live::start(&mut bench.run_on(&roster, &subject.port))?;
    provision_with(subject, &mut run, PATIENCE)?;
    let mut jobs = inspect_subject(bench, subject, person + 1)?;
    jobs.pop().ok_or_else(|| "no finished job".to_owned())
}

/// One key that is plugged in while the bench waits, touched when the screen asks for it.
fn one(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let bench = Bench::new(rig, 1, "")?;
    let roster = subject.roster(&bench, "people.csv", 0)?;
    subject.remove()?;
    let mut run = Live::start(&mut bench.run_on(&roster, &subject.port))?;
    run.until("started", PATIENCE)?;
    subject.insert()?;
    let asked = asked_for_touch(subject, &mut run, PATIENCE)?;
    ensure(asked["port"] == subject.port.as_str(), || format!("a touch is asked for at {}", asked["port"]))?;
    subject.touch()?;
    let finished = provision_with(subject, &mut run, PATIENCE)?;
    let jobs = inspect_subject(&bench, subject, 1)?;
    ensure(finished["serial"].as_str() == subject.serial.as_deref(), || {
        format!("the event tells another key: {finished}")
    })?;
    let can = subject.info["options"]["setMinPINLength"] == true;
    let told = &finished["force_change"];
    ensure(if can { told == true } else { told == "unsupported" }, || format!("the event: {finished}"))?;
    Ok(format!("job {} by hotplug and touch", jobs[0].job))
}

fn many(rig: &Rig) -> Result<String, String> {
    let eight = at_once(rig, 8)?;
    let sixteen = at_once(rig, 16)?;
    Ok(format!("8 keys in {eight:.1} s, 16 in {sixteen:.1} s, each with one slow, one with a PIN, one pulled"))
}

/// So many keys at once: one slow, one that already has a PIN, one that is pulled when it blinks and put back.
fn at_once(rig: &Rig, keys: usize) -> Result<f64, String> {
    let bench = Bench::new(rig, keys, "")?;
    let mut hub = Keys::plugged(rig, keys)?;
    let mut used = Keys::start(rig, 1, &["--first-port", "100", "--serial", "39999999", "--pin", "904316"])?;
    used.wait_for_nodes()?;
    hub.ask("touch all after 150")?;
    hub.ask(r#"fault 2 {"kind":"slow-answer","ms":150}"#)?;
    hub.ask("touch 3 hand")?;
    let roster = bench.roster("people.csv", 0..keys)?;
    let start = Instant::now();
    let mut run = bench.run(&roster)?;
    let end = start + Duration::from_secs(600);
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
    let took = start.elapsed().as_secs_f64();
    let code = run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    ensure(pulled && refused, || format!("pulled {pulled}, refused {refused}; {}", run.told()))?;
    ensure(done.len() == keys, || format!("finished at {done:?}"))?;
    inspect(&bench, &mut hub, keys)?;
    let inside = used.ask("inspect 1")?;
    ensure(inside["retries"] == 8, || format!("a PIN was tried on the key that had one: {inside}"))?;
    Ok(took)
}
