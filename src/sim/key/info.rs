//! OpenSK's getInfo answer, made the model's.

use ciborium::Value;

use super::Shared;
use super::filter::with_status;
use super::model::member_number;

/// Replaces, removes and adds members; whole-number keys stay in canonical order.
pub(super) fn as_the_model(shared: &Shared, answer: Vec<u8>) -> Vec<u8> {
    let Some(Ok(Value::Map(members))) = answer.get(1..).map(ciborium::from_reader::<Value, _>) else { return answer };
    let rules = &shared.model.ctap;
    let mut members: Vec<(u64, Value)> =
        members.into_iter().filter_map(|(key, value)| Some((u64::try_from(key.as_integer()?).ok()?, value))).collect();
    let mut put = |key: u64, value: Value| {
        members.retain(|(k, _)| *k != key);
        members.push((key, value));
    };
    let texts = |list: &[String]| Value::Array(list.iter().map(|text| text.as_str().into()).collect());
    let always_uv = shared.flash.get(opensk::api::persist::keys::ALWAYS_UV).is_some();
    let versions: Vec<String> =
        rules.versions.iter().filter(|version| !(always_uv && *version == "U2F_V2")).cloned().collect();
    put(0x01, texts(&versions));
    put(0x02, texts(&rules.extensions));
    put(0x06, Value::Array(rules.pin_protocols.iter().map(|protocol| (*protocol).into()).collect()));
    for (member, value) in &rules.members_added {
        if let (Some(key), Some(value)) = (member_number(member), to_cbor(value)) {
            put(key, value);
        }
    }
    if !rules.extensions.iter().any(|extension| extension == "minPinLength") {
        members.retain(|(key, _)| *key != 0x10);
    }
    members.retain(|(key, _)| !rules.members_removed.iter().any(|removed| member_number(removed) == Some(*key)));
    for (key, value) in &mut members {
        if let (0x04, Value::Map(options)) = (*key, value) {
            options.retain(|(name, _)| !name.as_text().is_some_and(|name| shared.model.lacks(name)));
            for (name, on) in &rules.options_added {
                options.retain(|(told, _)| *told != name.as_str().into());
                options.push((name.as_str().into(), (*on).into()));
            }
            options.sort_by_key(|(name, _)| name.as_text().map(|name| (name.len(), name.to_owned())));
        }
    }
    members.sort_by_key(|(key, _)| *key);
    with_status(0, &Value::Map(members.into_iter().map(|(key, value)| (key.into(), value)).collect()))
}

/// A value of a model file as CBOR. Byte strings are written as `{ bytes = "hex" }`.
fn to_cbor(value: &toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(yes) => (*yes).into(),
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Array(list) => Value::Array(list.iter().map(to_cbor).collect::<Option<_>>()?),
        toml::Value::Table(table) => match table.get("bytes").and_then(|hex| hex.as_str()) {
            Some(hex) => {
                let byte = |at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
                Value::Bytes((0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?)
            }
            None => {
                let members = table.iter().map(|(name, value)| Some((name.as_str().into(), to_cbor(value)?)));
                Value::Map(members.collect::<Option<_>>()?)
            }
        },
        toml::Value::Float(_) | toml::Value::Datetime(_) => return None,
    })
}
