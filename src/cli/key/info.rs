//! `keybench key info`: all that a key says of itself, in words.

use serde_json::{Value, json};

use super::look::{Look, Seen};
use super::{CliError, Context, Exit, closed};
use crate::ctap2::command::get_info::GetInfo;
use crate::world::PluggedKey;

pub(super) fn show(context: &Context<'_>, key: &PluggedKey, mut look: Look) -> Result<Exit, CliError> {
    if matches!(look.seen, Seen::Closed { .. }) {
        return Err(closed(&look.seen, key));
    }
    let tries = match &mut look.seen {
        // Free: reading the counter spends nothing.
        Seen::PinSet(session) => session.pin_retries().ok(),
        _ => None,
    };
    let unfit = look.unfit();
    let key_ref = look.key_ref();
    let firmware = key_ref.as_ref().and_then(|key| key.firmware.clone());
    let output = context.output;
    let mut document = json!({
        "event": "key-info", "port": key.port, "model": look.model(), "manufacturer": key.manufacturer,
        "vendor_id": format!("{:04x}", key.vendor_id), "product_id": format!("{:04x}", key.product_id),
        "serial": look.serial(), "firmware": firmware, "fit": unfit.is_none(),
        "code": unfit.as_ref().map(|unfit| unfit.0), "pin_tries_left": tries.map(|tries| tries.left),
    });
    document["info"] = look.info().map_or(Value::Null, members);
    output.json(&document);

    output.answer(&format!("{} in port {}", look.model(), key.port));
    let say = |name: &str, value: String| output.answer(&format!("  {name:<24}{value}"));
    say("USB", format!("{:04x}:{:04x} {}", key.vendor_id, key.product_id, key.manufacturer.trim()));
    say("serial number", look.serial().map_or("not told".into(), |serial| serial.to_string()));
    say("firmware", firmware.map_or("not told".into(), |firmware| firmware.to_string()));
    if let Some(info) = look.info() {
        for (name, value) in in_words(info, tries.map(|tries| (tries.left, tries.needs_replug == Some(true)))) {
            say(name, value);
        }
    }
    match unfit {
        None => say("for keybench", "fit for use".into()),
        Some((code, why)) => {
            say("for keybench", format!("{why} ({code})"));
            if let Some(next) = crate::cli::codes::next_step(code) {
                say("", format!("Next: {next}"));
            }
        }
    }
    Ok(Exit::Done)
}

fn list(items: &[impl ToString]) -> String {
    if items.is_empty() { "none".into() } else { items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
}

fn told<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "not told".to_owned(), ToString::to_string)
}

fn in_words(info: &GetInfo, tries: Option<(u8, bool)>) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("model (AAGUID)", info.aaguid.to_string()),
        ("versions", list(&info.versions)),
        (
            "PIN",
            match info.pin_is_set() {
                None => "this key can't have one".into(),
                Some(false) => "none set".into(),
                Some(true) => "set".into(),
            },
        ),
    ];
    if let Some((left, replug)) = tries {
        let replug = if replug { "; it wants to be re-plugged first" } else { "" };
        lines.push(("PIN tries left", format!("{left}{replug}")));
    }
    lines.extend([
        ("PIN length", format!("{} to {} characters", info.minimum_pin(), info.maximum_pin())),
        ("PIN change", if info.forces_pin_change() { "forced before next use" } else { "not forced" }.into()),
        ("PIN rules can be set", if info.has_pin_rules() { "yes" } else { "no" }.into()),
        (
            "refuses weak PINs",
            match info.pin_complexity_policy {
                Some(true) => "yes".into(),
                Some(false) => "no".into(),
                None => "not told".into(),
            },
        ),
        ("holds passkeys", if info.has_resident_keys() { "yes" } else { "no" }.into()),
        ("room for passkeys", told(info.remaining_credentials.as_ref())),
        ("extensions", list(&info.extensions)),
        ("options", list(&info.options.iter().map(|(name, on)| format!("{name}={on}")).collect::<Vec<_>>())),
        (
            "algorithms",
            info.algorithms.as_ref().map_or_else(
                || "not told".into(),
                |known| {
                    let name = |alg: &i64| match alg {
                        -7 => "ES256".to_owned(),
                        -8 => "EdDSA".to_owned(),
                        -35 => "ES384".to_owned(),
                        -257 => "RS256".to_owned(),
                        other => other.to_string(),
                    };
                    list(&known.iter().map(name).collect::<Vec<_>>())
                },
            ),
        ),
        ("transports", info.transports.as_ref().map_or_else(|| "not told".into(), |all| list(all))),
        ("PIN protocols", info.pin_protocols.as_ref().map_or_else(|| "not told".into(), |all| list(all))),
        (
            "certifications",
            info.certifications.as_ref().map_or_else(
                || "not told".into(),
                |all| list(&all.iter().map(|(name, level)| format!("{name} level {level}")).collect::<Vec<_>>()),
            ),
        ),
        (
            "reset",
            match (&info.transports_for_reset, info.long_touch_for_reset) {
                (Some(over), _) if !over.iter().any(|over| over == "usb") => "not over USB".into(),
                (_, Some(true)) => "with a touch of five seconds".into(),
                _ => "with a touch".into(),
            },
        ),
        ("longest message", format!("{} bytes", info.max_message())),
    ]);
    if !info.other.is_empty() {
        lines.push(("members nobody knows", info.other.len().to_string()));
    }
    lines
}

/// getInfo for programs; what the key did not tell is null.
fn members(info: &GetInfo) -> Value {
    let options: serde_json::Map<String, Value> =
        info.options.iter().map(|(name, on)| (name.to_owned(), Value::Bool(on))).collect();
    json!({
        "versions": info.versions, "extensions": info.extensions, "aaguid": info.aaguid, "options": options,
        "max_msg_size": info.max_msg_size, "pin_protocols": info.pin_protocols,
        "max_credential_count_in_list": info.max_credential_count_in_list,
        "max_credential_id_length": info.max_credential_id_length, "transports": info.transports,
        "algorithms": info.algorithms, "force_pin_change": info.force_pin_change, "min_pin_length": info.min_pin_length,
        "firmware_version": info.firmware_version, "max_rp_ids_for_min_pin": info.max_rp_ids_for_min_pin,
        "remaining_credentials": info.remaining_credentials, "attestation_formats": info.attestation_formats,
        "long_touch_for_reset": info.long_touch_for_reset, "transports_for_reset": info.transports_for_reset,
        "pin_complexity_policy": info.pin_complexity_policy, "max_pin_length": info.max_pin_length,
        "config_commands": info.config_commands,
        "raw": info.raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}
