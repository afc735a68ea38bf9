//! Answers held against a schema of ours.

use serde_json::Value;

/// The part of JSON Schema that our schema uses.
pub fn fits(value: &Value, schema: &Value) -> Result<(), String> {
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
    // An object without a word on its members may have any.
    if let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties").and_then(Value::as_object)) {
        for (name, member) in object {
            fits(member, properties.get(name).ok_or(format!("{name} is not in the schema"))?)?;
        }
        for name in schema["required"].as_array().expect("required") {
            object.get(name.as_str().expect("a name")).ok_or(format!("{name} is missing"))?;
        }
        assert_eq!(schema["additionalProperties"], serde_json::json!(false));
        assert_eq!(schema["required"].as_array().map(Vec::len), Some(properties.len()), "{schema}");
    }
    Ok(())
}

/// What is wrong with an answer of an event that the schema has; of other events nothing is. Kinds of one event are told apart by their
/// members.
pub fn fault(line: &Value, schema: &Value) -> Option<String> {
    let kinds = schema["oneOf"].as_array().expect("oneOf").iter();
    let of: Vec<&Value> = kinds.filter(|kind| kind["properties"]["event"]["const"] == line["event"]).collect();
    let mut faults = Vec::new();
    for kind in &of {
        match fits(line, kind) {
            Ok(()) => return None,
            Err(why) => faults.push(format!("{}: {why}", kind["title"])),
        }
    }
    (!of.is_empty()).then(|| format!("{line} is none of these: {}", faults.join("; ")))
}
