//! `keybench key reset` at a terminal: the wrong word, another key put back, nobody touches, too late, and at last as it should be. Until
//! then nothing is wiped. Afterwards the key is a blank one.

use std::time::Duration;

use super::provision::provision_on;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::client;
use crate::rig::keys::Keys;
use crate::rig::subject::{Asks, PROVISIONS, Subject};
use crate::rig::terminal::Dialogue;
use crate::rig::wear::Worn;
use crate::rig::{Need, Rig, ensure};
use crate::{OnKey, Trial};

pub const TRIAL: Trial = Trial {
    name: "reset",
    destroys: "a key",
    needs: &[Need::FidoTools],
    bench: None,
    key: Some(OnKey {
        asks: Asks { worn: Worn { resets: 1, lock_outs: 0 }, ..PROVISIONS },
        models: &["yubikey-5-nfc"],
        run: trial,
    }),
};

const FIRST: &str = "904316";

fn trial(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let mut tried = Vec::new();
    client::set_pin(&subject.node()?, FIRST)?;

    // Another word than the one that was asked for.
    let mut command = std::process::Command::new(&rig.keybench);
    command.args(["key", "reset", "--port", &subject.port]);
    let mut dialogue = Dialogue::start(&mut command)?;
    dialogue.until("to go on, anything else", PATIENCE)?;
    dialogue.say("yes")?;
    let ended = dialogue.end(PATIENCE)?;
    ensure(ended.code == Some(2) && ended.stdout.contains("Nothing was wiped"), || {
        format!("another word: {}", ended.stdout)
    })?;
    has_pin(subject, "another word")?;
    tried.push("another word");

    if subject.is_virtual() {
        another_key(rig, subject)?;
        tried.push("another key put back");
        untouched(subject)?;
        tried.push("not touched");
        too_late(subject)?;
        tried.push("too late");
    }

    // In good time, by the right hand.
    let ended = subject.reset(Subject::touch_for_reset)?;
    ensure(ended.code == Some(0), || format!("not reset: {}", ended.stdout))?;
    let told = subject.recognise()?;
    ensure(told["info"]["options"]["clientPin"] == false && told["fit"] == true, || {
        format!("after the reset: {told}")
    })?;

    // A key like any other again. Its owner is warned before the next reset.
    let bench = Bench::new(rig, 1, "")?;
    provision_on(&bench, subject, 0)?;
    if subject.serial.is_some() {
        let upn = bench.upns[0].clone();
        subject.bring_back()?;
        let mut command = bench.command(&["key", "reset", "--port", &subject.port]);
        let mut dialogue = Dialogue::start(&mut command)?;
        dialogue.until("to go on, anything else", PATIENCE)?;
        dialogue.say("no")?;
        let ended = dialogue.end(PATIENCE)?;
        ensure(ended.code == Some(2) && ended.stdout.contains(&upn), || {
            format!("it is not said whose key it is ({upn}): {}", ended.stdout)
        })?;
        tried.push("its owner is named");
    }
    Ok(format!("refused: {}; then reset and provisioned", tried.join(", ")))
}

fn has_pin(subject: &Subject, after: &str) -> Result<(), String> {
    let told = subject.recognise()?;
    ensure(told["info"]["options"]["clientPin"] == true, || format!("{after} has wiped the key: {told}"))
}

fn another_key(rig: &Rig, subject: &mut Subject) -> Result<(), String> {
    let dialogue = subject.begin_reset()?;
    subject.remove()?;
    let model = subject.dut.model.clone();
    let mut options = vec!["--model", &model, "--pin", FIRST, "--unplugged"];
    // Another unit of the same model, where units can be told apart.
    if model == "yubikey-5-nfc" {
        options.extend(["--serial", "39999997"]);
    } else {
        options.extend(["--serial", "7AFF0001"]);
    }
    let mut other = Keys::start(rig, 1, &options)?;
    other.ask("plug 1")?;
    let ended = dialogue.end(PATIENCE)?;
    ensure(ended.code == Some(4) && ended.stdout.contains("another one"), || format!("another key: {}", ended.stdout))?;
    let inside = other.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == true, || "the other key was wiped".to_owned())?;
    drop(other);
    subject.insert()?;
    has_pin(subject, "another key")
}

fn untouched(subject: &mut Subject) -> Result<(), String> {
    inside(subject, "touch-timeout 1 400")?;
    let ended = subject.reset(|_| Ok(()))?;
    inside(subject, "touch-timeout 1 30000")?;
    ensure(ended.code == Some(4) && ended.stdout.contains("was not reset"), || {
        format!("not touched: {}", ended.stdout)
    })?;
    has_pin(subject, "a touch that did not come")
}

/// The key answers so slowly that its ten seconds are over.
fn too_late(subject: &mut Subject) -> Result<(), String> {
    let dialogue = subject.begin_reset()?;
    subject.remove()?;
    inside(subject, r#"fault 1 {"kind":"slow-answer","ms":4000}"#)?;
    subject.insert()?;
    let ended = dialogue.end(PATIENCE + Duration::from_secs(60))?;
    inside(subject, "mend 1")?;
    let said = ended.stdout.contains("leave the key alone between plugging and touching");
    ensure(ended.code == Some(4) && said, || format!("too late: {}", ended.stdout))?;
    subject.replug()?;
    has_pin(subject, "a reset that came too late")
}

fn inside(subject: &Subject, line: &str) -> Result<(), String> {
    subject.inside().ok_or("a virtual key")?.ask(line).map(drop)
}
