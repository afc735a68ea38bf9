//! What keybench says of each simulated model on a real hidraw node: port, serial number, model, fit or not.

use std::process::Command;

use serde_json::Value;

use crate::Trial;
use crate::rig::bench::PATIENCE;
use crate::rig::keys::Keys;
use crate::rig::program::run;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial = Trial { name: "info", destroys: "nothing", needs: &[Need::Uhid], run: trial };

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
