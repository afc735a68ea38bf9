//! Keys that leave and come back: in the middle of the touch, and after they are finished.

use std::time::Duration;

use crate::rig::bench::Bench;
use crate::rig::inspect::inspect_subject;
use crate::rig::keys::Keys;
use crate::rig::program::Live;
use crate::rig::subject::{PROVISIONS, Subject, provision_with};
use crate::rig::{Need, Rig, ensure};
use crate::{OnKey, Trial};

pub const TRIAL: Trial = Trial {
    name: "replug",
    destroys: "a key",
    needs: &[Need::FidoTools],
    bench: None,
    key: Some(OnKey { asks: PROVISIONS, models: &["yubikey-5-nfc"], run: trial }),
};

const PATIENCE: Duration = Duration::from_secs(300);
/// Another key's serial number.
const STRANGER: &str = "39999998";

fn trial(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let bench = Bench::new(rig, 2, "")?;
    let mut run = Live::start(&mut bench.run_on(&subject.roster(&bench, "first.csv", 0)?, &subject.port))?;
    // Pulled while it blinks: the bench says so and asks for the same key.
    let asked = run.until("touch", PATIENCE)?;
    subject.remove()?;
    let left = run.until("unplugged", PATIENCE)?;
    ensure(left["job"] == asked["job"], || format!("pulled out of job {}: {left}", asked["job"]))?;
    // Another key in between does not take its place: its person is served already.
    let stranger = if subject.is_virtual() { Some(stranger_in_between(rig, subject, &mut run)?) } else { None };
    subject.insert()?;
    let finished = provision_with(subject, &mut run, PATIENCE)?;
    ensure(finished["serial"].as_str() == subject.serial.as_deref(), || {
        format!("another key was finished: {finished}")
    })?;
    if let Some(mut other) = stranger {
        let inside = other.ask("inspect 1")?;
        ensure(inside["pin_is_set"] == false && inside["residents"].as_array().is_some_and(Vec::is_empty), || {
            format!("the other key was touched: {inside}")
        })?;
    }

    // A finished key that is put in for somebody else is refused, and stays as it is.
    subject.insert()?;
    subject.recognise()?;
    let mut run = Live::start(&mut bench.run_on(&bench.roster("both.csv", [0, 1])?, &subject.port))?;
    let refused = run.until("key-refused", PATIENCE)?;
    ensure(refused["code"] == "already-finished", || format!("{refused}; {}", run.told()))?;
    run.interrupt();
    let code = run.end(PATIENCE)?;
    ensure(code == 130, || format!("interrupted, it ends with {code}; {}", run.told()))?;
    inspect_subject(&bench, subject, 1)?;
    let between = if subject.is_virtual() { ", with another key in between that nobody wanted" } else { "" };
    Ok(format!("pulled at the touch and put back{between}; put in again: already finished"))
}

/// In the same port, looked at, and gone again: the bench waits on for the one it knows.
fn stranger_in_between(rig: &Rig, subject: &Subject, run: &mut Live) -> Result<Keys, String> {
    let mut other = Keys::start(rig, 1, &["--serial", STRANGER, "--touch"])?;
    other.wait_for_nodes()?;
    ensure(subject.node().is_ok(), || "the stranger is in another port".to_owned())?;
    let refused = run.until("key-refused", PATIENCE)?;
    ensure(refused["serial"] == STRANGER && refused["code"] == "not-wanted", || format!("{refused}; {}", run.told()))?;
    other.ask("unplug 1")?;
    Ok(other)
}
