//! `docs/schema` beside the source: every event that is printed has a kind, every kind is printed, every command is named, and a kind leaves
//! nothing unsaid. That real lines are as their kind says is held by `assert_described`, wherever a test prints one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::testing::schema::{Kind, fits, kind_of, kinds};

const README: &str = include_str!("../../docs/schema/README.md");

/// Files that choose the name of an event as they go, and from what.
const CHOSEN: [(&str, &[&str]); 3] = [
    ("src/cli/login.rs", &["login", "whoami"]),
    ("src/cli/methods/mod.rs", &["method-removed", "method-would-be-removed"]),
    ("src/cli/parcel/gone.rs", &["leaver", "lost", "replaced", "returned"]),
];

/// What a run prints is an enumeration; [`super::events`] holds its members.
const RUN: (&str, &str) = ("run-events", "src/cli/events.rs");

/// What prints no events.
const NO_EVENTS: [&str; 6] = ["completions", "escrow open", "man", "sim key", "sim tenant", "tap issue"];

/// The program's own source, without tests: path and text.
fn sources() -> Vec<(String, String)> {
    fn below(root: &Path, folder: &str, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            let is_test = ["tests", "testing"].iter().any(|word| name.trim_end_matches(".rs").ends_with(word));
            if is_test {
                continue;
            }
            if entry.path().is_dir() {
                below(root, &path, found);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(entry.path()).expect("a text");
                let code = text.split("\nmod tests {").next().unwrap_or_default().to_owned();
                found.push((path, code));
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new(env!("CARGO_MANIFEST_DIR")), "src", &mut found);
    assert!(found.len() > 100, "the source was found");
    found
}

/// Every event that stands in the source, and where; and the files that choose one.
fn printed() -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut names, mut choosing) = (BTreeMap::new(), BTreeSet::new());
    for (path, text) in sources() {
        for mark in ["\"event\": ", "[\"event\"] = json!("] {
            for after in text.split(mark).skip(1) {
                match after.strip_prefix('"').and_then(|name| name.split_once('"')) {
                    Some((name, _)) => _ = names.insert(name.to_owned(), path.clone()),
                    None => _ = choosing.insert(path.clone()),
                }
            }
        }
        if path == RUN.1 {
            names.extend(variants(&text).into_iter().map(|name| (name, path.clone())));
        }
    }
    (names, choosing)
}

/// The names that serde gives to the variants of `Event`.
fn variants(text: &str) -> Vec<String> {
    let body = text.split("pub enum Event").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the enumeration");
    let line =
        |line: &str| Some(line.strip_prefix("    ")?.strip_suffix(" {").or(line.strip_suffix(" {},"))?.to_owned());
    let names = body.lines().filter_map(line).map(|name| name.trim().to_owned());
    names.filter(|name| name.starts_with(char::is_uppercase)).map(|name| kebab(&name)).collect()
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[test]
fn every_event_that_is_printed_has_a_schema_and_no_schema_is_left_over() {
    let (mut names, choosing) = printed();
    let known: BTreeSet<String> = CHOSEN.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(choosing, known, "files that choose an event's name, and those that CHOSEN has");
    for (path, choices) in CHOSEN {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a text");
        for choice in choices {
            assert!(text.contains(&format!("\"{choice}\"")), "{path} does not choose {choice}");
            names.insert((*choice).to_owned(), path.to_owned());
        }
    }
    let described: BTreeSet<&str> = kinds().iter().map(|kind| kind.event.as_str()).collect();
    let missing: Vec<_> = names.iter().filter(|(name, _)| !described.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "printed, and in no file of docs/schema: {missing:?}");
    let unused: Vec<_> = described.iter().filter(|name| !names.contains_key(**name)).collect();
    assert!(unused.is_empty(), "in docs/schema, and printed nowhere: {unused:?}");
}

/// The commands that a kind is of: what stands before the colon, without options and placeholders.
fn commands_of(kind: &Kind) -> Vec<String> {
    if kind.file == RUN.0 {
        return ["demo", "record", "run"].map(str::to_owned).into();
    }
    let text = kind.schema["description"].as_str().unwrap_or_default();
    let named = text.split([':', '.']).next().unwrap_or_default();
    let command = |text: &str| {
        let words = text.split(' ').take_while(|word| word.starts_with(|c: char| c.is_lowercase()));
        words.collect::<Vec<_>>().join(" ")
    };
    named.split(", ").map(command).collect()
}

/// Every command that does something.
fn commands() -> BTreeSet<String> {
    fn visit(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for sub in command.get_subcommands() {
            visit(sub, format!("{path} {}", sub.get_name()).trim(), found);
        }
        if !command.is_subcommand_required_set() && !path.is_empty() {
            found.insert(path.to_owned());
        }
    }
    let mut found = BTreeSet::new();
    visit(&super::tree(), "", &mut found);
    found
}

/// The commands in the README's row about a file.
fn row(file: &str) -> BTreeSet<String> {
    let begins = format!("| [{file}]({file}.schema.json) |");
    let row = README.lines().find_map(|line| line.strip_prefix(&begins)).unwrap_or_else(|| panic!("no row: {file}"));
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_command_is_in_the_table_beside_the_file_that_describes_it() {
    let mut by_file: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for kind in kinds() {
        by_file.entry(&kind.file).or_default().extend(commands_of(kind));
    }
    for (file, commands) in &by_file {
        assert_eq!(row(file), *commands, "{file}: the README's row, and what its kinds name");
    }
    let mut known: BTreeSet<String> = by_file.into_values().flatten().collect();
    for command in NO_EVENTS {
        assert!(README.contains(&format!("`{command}`")), "the README does not say what {command} prints");
        known.insert(command.to_owned());
    }
    assert_eq!(known, commands(), "the commands that docs/schema names, and those that there are");
}

#[test]
fn one_schema_is_of_any_line() {
    let any: Value = serde_json::from_str(include_str!("../../docs/schema/line.schema.json")).expect("JSON");
    let named = any["oneOf"].as_array().expect("a list").iter().filter_map(|one| one["$ref"].as_str());
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    let files: BTreeSet<String> = kinds().iter().map(|kind| format!("{}.schema.json", kind.file)).collect();
    assert_eq!(named, files);
}

/// What [`fits`] holds a line against, and what is for people.
const KEYWORDS: [&str; 10] = [
    "additionalProperties",
    "const",
    "description",
    "enum",
    "items",
    "oneOf",
    "properties",
    "required",
    "title",
    "type",
];

/// What a schema leaves open.
fn unsaid(schema: &Value, place: &str, faults: &mut Vec<String>) {
    // Anything, and it says so.
    if *schema == Value::Bool(true) {
        return;
    }
    let Some(said) = schema.as_object() else {
        faults.push(format!("{place}: {schema} is no schema"));
        return;
    };
    for keyword in said.keys().filter(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        faults.push(format!("{place}: no line is held against `{keyword}`"));
    }
    if !["const", "enum", "oneOf", "type"].iter().any(|keyword| said.contains_key(*keyword)) {
        faults.push(format!("{place}: of which type is it?"));
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    if kinds.contains(&json!("array")) {
        match schema.get("items") {
            Some(items) => unsaid(items, place, faults),
            None => faults.push(format!("{place}: what is in the list?")),
        }
    }
    if kinds.contains(&json!("object")) {
        match schema.get("additionalProperties") {
            Some(Value::Bool(_)) => {}
            Some(others) => unsaid(others, place, faults),
            None => faults.push(format!("{place}: may it have other members?")),
        }
    }
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members: BTreeSet<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    for name in required.difference(&members) {
        faults.push(format!("{place}.{name}: it is required, and not described"));
    }
    // A program has to know that a member may not be there.
    let tells = schema["description"].as_str().is_some_and(|text| text.contains("left out"));
    for name in members.difference(&required).filter(|_| !tells) {
        faults.push(format!("{place}.{name}: is it always there?"));
    }
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        unsaid(choice, place, faults);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        if member.get("description").is_none() && member.get("const").is_none() {
            faults.push(format!("{place}: what does it mean?"));
        }
        unsaid(member, &place, faults);
    }
}

#[test]
fn a_kind_says_what_its_members_mean_and_leaves_none_out() {
    let mut faults = Vec::new();
    let mut titles = BTreeSet::new();
    for Kind { file, title, schema, .. } in kinds() {
        let place = format!("{file}.{title}");
        unsaid(schema, &place, &mut faults);
        let members: BTreeSet<&str> =
            schema["properties"].as_object().expect("members").keys().map(String::as_str).collect();
        let required: BTreeSet<&str> =
            schema["required"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        if members != required || schema["additionalProperties"] != false {
            faults.push(format!("{place}: every member is there in every line, and no other"));
        }
        if !titles.insert(title) {
            faults.push(format!("{place}: the title is another's too"));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn what_a_schema_leaves_open_is_found() {
    let member = |member: Value| json!({ "type": "object", "properties": { "m": member }, "required": ["m"], "additionalProperties": false });
    let text = json!({ "type": "string", "description": "A text." });
    let of = |properties: Value, required: Value, description: &str| {
        member(json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            "description": description,
        }))
    };
    for (schema, fault) in [
        (member(text.clone()), None),
        (member(json!({ "type": "string" })), Some("k.m: what does it mean?")),
        (member(json!({ "description": "Something." })), Some("k.m: of which type is it?")),
        (
            member(json!({ "type": "integer", "minimum": 0, "description": "How many." })),
            Some("k.m: no line is held against `minimum`"),
        ),
        (member(json!({ "type": "array", "description": "All." })), Some("k.m: what is in the list?")),
        (member(json!({ "type": "array", "items": {}, "description": "All." })), Some("k.m: of which type is it?")),
        (member(json!({ "type": "array", "items": true, "description": "All." })), None),
        (member(json!({ "type": "object", "description": "It." })), Some("k.m: may it have other members?")),
        (
            member(
                json!({ "type": "object", "additionalProperties": { "pattern": "x", "type": "string" }, "description": "It." }),
            ),
            Some("k.m: no line is held against `pattern`"),
        ),
        (of(json!({ "n": text }), json!(["n"]), "It."), None),
        (of(json!({ "n": text }), json!([]), "It."), Some("k.m.n: is it always there?")),
        (of(json!({ "n": text }), json!([]), "It; what is not known is left out."), None),
        (of(json!({ "n": text }), json!(["n", "o"]), "It."), Some("k.m.o: it is required, and not described")),
    ] {
        let mut faults = Vec::new();
        unsaid(&schema, "k", &mut faults);
        assert_eq!(faults, Vec::from_iter(fault.map(str::to_owned)), "{schema}");
    }
}

#[test]
fn a_line_that_is_not_as_described_is_found() {
    let whole = json!({ "event": "forgotten", "user": "u", "head": "h" });
    assert_eq!(kind_of(&whole).expect("described").title, "forgotten");
    for (wrong, why) in [
        (json!({ "event": "forgotten", "user": "u" }), "head is missing"),
        (json!({ "event": "forgotten", "user": "u", "head": "h", "pin": "1" }), "pin: it is not in the schema"),
        (json!({ "event": "forgotten", "user": 1, "head": "h" }), "user: 1 is not \"string\""),
        (json!({ "event": "forgot" }), "no schema has the event forgot"),
        (json!({ "config": "x" }), "no event is named"),
    ] {
        let fault = kind_of(&wrong).err().unwrap_or_else(|| panic!("{wrong} was taken"));
        assert!(fault.contains(why), "{fault}");
    }
    let map =
        json!({ "type": "object", "additionalProperties": { "type": "array", "items": { "enum": ["a", null] } } });
    assert_eq!(fits(&json!({ "x": ["a", null] }), &map), Ok(()));
    assert_eq!(fits(&json!({ "x": ["b"] }), &map), Err("x: \"b\" is none of [String(\"a\"), Null]".to_owned()));
    let either = json!({ "oneOf": [{ "type": "null" }, { "type": "integer" }] });
    assert!(fits(&json!(-1), &either).is_ok() && fits(&json!("x"), &either).is_err());
}

#[test]
fn a_name_in_a_test_or_chosen_elsewhere_is_no_event() {
    assert_eq!(
        variants("pub enum Event<'a> {\n    KeyRefused {\n        port: u8,\n    },\n    Resumed {},\n}\n"),
        ["key-refused", "resumed"]
    );
    let (names, _) = printed();
    assert_eq!(names.get("pass-deleted").map(String::as_str), Some("src/cli/tap/sweep.rs"));
    assert!(names.contains_key("touches-too-close") && !names.contains_key("x"));
}
