use serde_json::{Value, json};

use super::*;

const SCHEMA: &str = include_str!("../../docs/schema/run-events.schema.json");

fn samples() -> Vec<Event<'static>> {
    vec![
        Event::Started {
            run: "r",
            batch: "b",
            tenant: "t",
            roster: "people.csv",
            planned: 12,
            ports: &[],
            custodians: &[],
        },
        Event::Warning { code: "name-cut", upn: None, line: Some(2), text: "x" },
        Event::Weighed { checks: &[], verdict: "WARN", what: "x", why: None, next: "y" },
        Event::Refused { job: None, upn: "a@b.c", port: None, code: "guest", line: None, reason: "x", next: "y" },
        Event::Plugged { port: "1-1", serial: None, aaguid: None, model: None },
        Event::Unplugged { port: "1-1", job: None },
        Event::KeyRefused { port: "1-1", serial: Some("1"), aaguid: None, code: "has-pin", reason: "x", next: "y" },
        Event::Touch { port: "1-1", job: "J", upn: "a@b.c" },
        Event::Throttled { call: "POST", status: 429, seconds: 2.0 },
        Event::Paused { code: "tenant-unreachable", reason: "x", next: "y" },
        Event::Resumed {},
        Event::Finished {
            job: "J",
            upn: "a@b.c",
            credential_id: "c",
            method_id: "m",
            aaguid: "a",
            serial: None,
            port: "1-1",
            force_change: ForceChange::Unsupported,
        },
        Event::Failed { job: "J", upn: "a@b.c", port: None, code: "pin-unknown", reason: "x", next: "y" },
        Event::Parked { job: "J", upn: "a@b.c", port: None, code: "interrupted", next: "y" },
        Event::Summary {
            planned: 1,
            finished: 1,
            already: 0,
            failed: 0,
            refused: 0,
            parked: 0,
            keys_refused: 0,
            touches: 1,
            graph_requests: 3,
            graph_retries: 0,
            seconds: 1.5,
            head: "h",
        },
        Event::Error { code: "no-key", what: "x", causes: &[], next: "y", exit: 4 },
    ]
}

/// The part of JSON Schema that our schema uses.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    if let Some(wanted) = schema.get("const")
        && wanted != value
    {
        return Err(format!("{value} is not {wanted}"));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        return Err(format!("{value} is none of {choices:?}"));
    }
    if let Some(kinds) = schema.get("type") {
        let is = |kind: &Value| match kind.as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => false,
        };
        if !kinds.as_array().map_or_else(|| is(kinds), |all| all.iter().any(is)) {
            return Err(format!("{value} is not {kinds}"));
        }
    }
    if let Some(object) = value.as_object() {
        let properties = schema["properties"].as_object().expect("properties");
        for (name, member) in object {
            fits(member, properties.get(name).ok_or(format!("{name} is not in the schema"))?)?;
        }
        for name in schema["required"].as_array().expect("required") {
            object.get(name.as_str().expect("a name")).ok_or(format!("{name} is missing"))?;
        }
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["required"].as_array().map(Vec::len), Some(properties.len()), "{schema}");
    }
    Ok(())
}

#[test]
fn every_event_fits_its_schema_and_no_schema_is_left_over() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let kinds = schema["oneOf"].as_array().expect("oneOf");
    let mut seen = std::collections::BTreeSet::new();
    for event in samples() {
        let value = serde_json::to_value(&event).expect("JSON");
        let name = value["event"].as_str().expect("a name").to_owned();
        let kind = kinds.iter().find(|kind| kind["properties"]["event"]["const"] == name.as_str());
        let kind = kind.unwrap_or_else(|| panic!("{name} is not in the schema"));
        fits(&value, kind).unwrap_or_else(|why| panic!("{name}: {why}"));
        seen.insert(name);
    }
    assert_eq!(seen.len(), kinds.len());
}

#[test]
fn the_summary_has_exactly_the_promised_members_in_order() {
    let summary = samples().into_iter().find(|event| matches!(event, Event::Summary { .. })).expect("a summary");
    assert_eq!(
        serde_json::to_string(&summary).expect("JSON"),
        "{\"event\":\"summary\",\"planned\":1,\"finished\":1,\"already\":0,\"failed\":0,\"refused\":0,\"parked\":0,\
         \"keys_refused\":0,\"touches\":1,\"graph_requests\":3,\"graph_retries\":0,\"seconds\":1.5,\"head\":\"h\"}"
    );
}
