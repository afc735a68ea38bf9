//! What keybench says of each simulated model on a real hidraw node: port, serial number, model, fit or not.

use std::process::Command;

use serde_json::Value;

use crate::rig::bench::PATIENCE;
use crate::rig::keys::Keys;
use crate::rig::program::run;
use crate::rig::subject::{LOOKS, Subject};
use crate::rig::{Rig, ensure};
use crate::{OnKey, Trial};

pub const TRIAL: Trial = Trial {
    name: "info",
    destroys: "nothing",
    needs: &[],
    bench: Some(trial),
    key: Some(OnKey { asks: LOOKS, models: &["yubikey-5-nfc"], run: one }),
};

const MODELS: [&str; 8] = [
    "yubikey-5-nfc",
    "yubikey-5-nfc-5.2",
    "security-key-nfc",
    "token2-pin-plus",
    "feitian-epass",
    "titan-v2",
    "nitrokey-3",
    "utrust-fido2",
];

fn trial(rig: &Rig) -> Result<String, String> {
    for model in MODELS {
        let mut keys = Keys::start(rig, 2, &["--model", model])?;
        keys.wait_for_nodes()?;
        let listed = run(Command::new(&rig.keybench).args(["key", "list", "--json"]), PATIENCE)?.good()?;
        let listed: Vec<Value> = listed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        ensure(listed.len() == 2, || format!("{model}: {} of 2 keys are listed", listed.len()))?;
        for number in 1..=2 {
            let port = format!("sim-{number}");
            let key = listed.iter().find(|key| key["port"] == port.as_str());
            let key = key.ok_or_else(|| format!("{model}: no key in port {port}: {listed:?}"))?;
            let serial = keys.state(number)?["serial"].clone();
            ensure(key["serial"] == serial, || format!("{model}: serial {} and not {serial}", key["serial"]))?;
            let told =
                run(Command::new(&rig.keybench).args(["key", "info", "--port", &port, "--json"]), PATIENCE)?.good()?;
            let told: Value = serde_json::from_str(told.trim()).map_err(|error| format!("{model}: {error}: {told}"))?;
            ensure(told["serial"] == serial && told["info"].is_object(), || format!("{model}: key info says {told}"))?;
        }
        let inside = keys.ask("inspect 1")?;
        ensure(inside["pin_is_set"] == false && inside["retries"] == 8, || {
            format!("{model}: looking changed it: {inside}")
        })?;
    }
    Ok(format!("{} models, two keys each", MODELS.len()))
}

/// What is asked twice is answered alike. A virtual key is found by its serial number too: that question goes to every key there is, and
/// beside a real one there may be keys that nobody has named.
fn one(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let first = subject.look()?;
    let again = subject.look()?;
    let told = |value: &Value| (value["serial"].clone(), value["firmware"].clone(), value["info"]["aaguid"].clone());
    ensure(told(&first) == told(&again), || format!("it says {first}, then {again}"))?;
    ensure(first["pin_tries_left"] == again["pin_tries_left"], || format!("looking spent a PIN try: {again}"))?;
    if let Some(serial) = subject.serial.as_ref().filter(|_| subject.is_virtual()) {
        let by_serial = run(Command::new(&rig.keybench).args(["key", "info", "--json", "--serial", serial]), PATIENCE)?;
        let by_serial = by_serial.good()?;
        ensure(by_serial.contains(&subject.port), || format!("by its serial number another port: {by_serial}"))?;
    }
    let protocols = &first["info"]["pin_protocols"];
    Ok(format!(
        "{}, firmware {}, PIN protocols {protocols}",
        first["model"],
        subject.firmware.as_deref().unwrap_or("not told")
    ))
}
