//! The schemas of `docs/schema`, and lines that were printed with `--json` held against them: for the library's tests and for those that
//! run the program.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

/// One kind of line: what a schema's `oneOf` has.
pub struct Kind {
    /// Of which file: `bench` for `bench.schema.json`.
    pub file: String,
    /// Told apart by it from other kinds, also of the same event.
    pub title: String,
    /// The line's `event`.
    pub event: String,
    /// The kind itself.
    pub schema: Value,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("docs/schema")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().filter_map(|name| name.strip_suffix(".schema.json")).flat_map(|name| read(&folder, name)).collect()
});

fn read(folder: &Path, file: &str) -> Vec<Kind> {
    let text = fs::read_to_string(folder.join(format!("{file}.schema.json"))).expect("a schema");
    let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{file}: no text: {value}")).to_owned();
    let kinds = schema["oneOf"].as_array().unwrap_or_else(|| panic!("{file}: no kinds"));
    // One file only names the others.
    let kinds = kinds.iter().filter(|kind| kind.get("$ref").is_none());
    let kind = |kind: &Value| Kind {
        file: file.to_owned(),
        title: text(&kind["title"]),
        event: text(&kind["properties"]["event"]["const"]),
        schema: kind.clone(),
    };
    kinds.map(kind).collect()
}

/// Every kind of every file.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// A line for programs is of one of these kinds; `shown` is for whoever reads that it is not.
#[track_caller]
pub fn assert_described(line: &impl Serialize, shown: &str) {
    let line = serde_json::to_value(line).expect("JSON");
    if let Err(why) = kind_of(&line) {
        panic!("{why}\n{shown}");
    }
}

/// The one kind that a line is of; else what is wrong with it.
pub fn kind_of(line: &Value) -> Result<&'static Kind, String> {
    let event = line["event"].as_str().ok_or_else(|| format!("no event is named in {line}"))?;
    let (mut fitting, mut faults) = (Vec::new(), Vec::new());
    for kind in kinds().iter().filter(|kind| kind.event == event) {
        match fits(line, &kind.schema) {
            Ok(()) => fitting.push(kind),
            Err(why) => faults.push(format!("{} of {}: {why}", kind.title, kind.file)),
        }
    }
    match fitting.as_slice() {
        [one] => Ok(one),
        [] if faults.is_empty() => Err(format!("no schema has the event {event}: {line}")),
        [] => Err(format!("{line} is none of these: {}", faults.join("; "))),
        several => {
            let titles: Vec<&str> = several.iter().map(|kind| kind.title.as_str()).collect();
            Err(format!("{line} is several things at once: {}", titles.join(", ")))
        }
    }
}

/// The part of JSON Schema that our schemas use.
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
            Some("integer") => value.is_u64() || value.is_i64(),
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
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array)
        && choices.iter().filter(|choice| fits(value, choice).is_ok()).count() != 1
    {
        return Err(format!("{value} is not one of {} kinds", choices.len()));
    }
    if let (Some(items), Some(of)) = (value.as_array(), schema.get("items")) {
        items.iter().try_for_each(|item| fits(item, of))?;
    }
    if let Some(object) = value.as_object() {
        members(object, schema)?;
    }
    Ok(())
}

fn members(object: &serde_json::Map<String, Value>, schema: &Value) -> Result<(), String> {
    for (name, member) in object {
        let known = schema.get("properties").and_then(|properties| properties.get(name));
        let others = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
        match (known, others) {
            (None, Value::Bool(false)) => Err("it is not in the schema".to_owned()),
            (None, Value::Bool(true)) => Ok(()),
            (Some(of), _) | (None, of) => fits(member, of),
        }
        .map_err(|why| format!("{name}: {why}"))?;
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    match required.filter_map(Value::as_str).find(|name| !object.contains_key(*name)) {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}
