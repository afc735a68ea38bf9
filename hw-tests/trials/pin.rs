//! PINs from a key's first to its lock-out, as libfido2 and keybench see them: set, changed, tried wrong until the key wants a re-plug,
//! and until it is blocked for good; keybench says each of these, spends no try, and a reset brings the key back. Over both PIN protocols.

use super::provision::provision_on;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::client::{self, CHOSEN, asked_for_pins};
use crate::rig::program::Live;
use crate::rig::subject::{Asks, Capability, PROVISIONS, Subject};
use crate::rig::wear::Worn;
use crate::rig::{Need, Rig, ensure};
use crate::{OnKey, Trial};

pub const TRIAL: Trial = Trial {
    name: "pin",
    destroys: "a key, all its PIN tries",
    needs: &[Need::FidoTools],
    bench: None,
    key: Some(OnKey {
        asks: Asks {
            wants: &[Capability::Pin, Capability::Reset, Capability::Manage],
            worn: Worn { resets: 1, lock_outs: 1 },
            ..PROVISIONS
        },
        models: &[
            concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/behaviours/protocol-one.toml"),
            concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/behaviours/protocol-two.toml"),
        ],
        run: trial,
    }),
};

/// Somebody's PIN, not ours.
const FIRST: &str = "904316";
/// Nobody's.
const WRONG: &str = "111999";

fn trial(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let node = subject.node()?;
    let protocols = subject.info["pin_protocols"].clone();

    // Set and changed by another program: keybench says so and leaves it alone.
    client::set_pin(&node, FIRST)?;
    client::change_pin(&node, FIRST, CHOSEN)?.good()?;
    ensure(client::change_pin(&node, FIRST, WRONG)?.code != Some(0), || "the old PIN changes the new one".to_owned())?;
    says(subject, 7, "a wrong old PIN")?;
    try_pin(&node, CHOSEN)?;
    says(subject, 8, "the right PIN")?;
    let bench = Bench::new(rig, 1, "")?;
    refused(&bench, subject, "has-pin")?;
    says(subject, 8, "a run that refuses the key")?;

    // Three wrong ones, a re-plug, until there are none left.
    let mut left: u8 = 8;
    while left > 0 {
        let node = subject.node()?;
        for _ in 0..3.min(left) {
            ensure(asked_for_pins("fido2-token", &["-L", "-r", &node], &[WRONG])?.code != Some(0), || {
                "a wrong PIN was taken".to_owned()
            })?;
            left -= 1;
        }
        says(subject, left, "wrong PINs")?;
        if left > 0 {
            // The right one is not even tried before the key has been out.
            let right = asked_for_pins("fido2-token", &["-L", "-r", &node], &[CHOSEN])?;
            ensure(right.code != Some(0), || "three wrong PINs in a row, and the key wants no re-plug".to_owned())?;
            subject.replug()?;
            subject.recognise()?;
        }
    }
    let node = subject.node()?;
    ensure(asked_for_pins("fido2-token", &["-L", "-r", &node], &[CHOSEN])?.code != Some(0), || {
        "a key without tries takes a PIN".to_owned()
    })?;
    refused(&bench, subject, "pin-blocked")?;

    // A reset brings it back, and it can be somebody's key.
    let ended = subject.reset(Subject::touch_for_reset)?;
    ensure(ended.code == Some(0), || format!("the locked key was not reset: {}", ended.stdout))?;
    let told = subject.recognise()?;
    ensure(told["info"]["options"]["clientPin"] == false, || format!("after the reset: {told}"))?;
    provision_on(&bench, subject, 0)?;
    Ok(format!("set, changed, 8 tries spent with re-plugs, locked, reset, provisioned; PIN protocols {protocols}"))
}

/// A right PIN gives all tries back.
fn try_pin(node: &str, pin: &str) -> Result<(), String> {
    let ended = asked_for_pins("fido2-token", &["-L", "-r", node], &[pin])?;
    // An empty list is an answer like any other; some versions of the tool call it an error.
    let empty = ended.stderr.contains("FIDO_ERR_NO_CREDENTIALS") || ended.stderr.is_empty();
    ensure(ended.code == Some(0) || empty, || format!("the right PIN was not taken: {}", ended.stderr))
}

/// keybench and libfido2 tell the same number of tries; asking spends none.
fn says(subject: &Subject, left: u8, after: &str) -> Result<(), String> {
    let told = subject.look()?;
    ensure(told["pin_tries_left"] == left, || {
        format!("after {after} keybench tells {} tries, not {left}", told["pin_tries_left"])
    })?;
    let other = client::tries(&subject.node()?)?;
    ensure(other.is_none_or(|other| other == left), || {
        format!("after {after} libfido2 tells {} tries, not {left}", other.unwrap_or_default())
    })
}

/// A run on this port refuses the key with this code, and begins nothing.
fn refused(bench: &Bench, subject: &Subject, code: &str) -> Result<(), String> {
    let roster = bench.roster("refused.csv", [0])?;
    let mut bench_run = Live::start(&mut bench.run_on(&roster, &subject.port))?;
    let event = bench_run.until("key-refused", PATIENCE)?;
    bench_run.interrupt();
    bench_run.end(PATIENCE)?;
    ensure(event["code"] == code, || format!("refused for another reason than {code}: {event}"))?;
    let begun = bench.entries()?.iter().any(|entry| entry["kind"] == "attempt-started");
    ensure(!begun, || "an attempt was begun on it".to_owned())?;
    Ok(())
}
