//! What commands answer with `--json`, held against `docs/schema/answers.schema.json`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::testing::{Desk, fits};

mod at_tenant;

const SCHEMA: &str = include_str!("../../docs/schema/answers.schema.json");

fn kinds() -> Vec<Value> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    schema["oneOf"].as_array().expect("oneOf").clone()
}

/// The title of the kind that a line is of. Kinds of the same event are told apart by their members.
pub(super) fn assert_fits(line: &Value, kinds: &[Value]) -> String {
    let event = line["event"].as_str().unwrap_or_else(|| panic!("{line} names no event")).to_owned();
    let of = |kind: &&Value| kind["properties"]["event"]["const"] == event.as_str();
    let mut faults = Vec::new();
    for kind in kinds.iter().filter(of) {
        match fits(line, kind) {
            Ok(()) => return kind["title"].as_str().expect("a title").to_owned(),
            Err(why) => faults.push(format!("{}: {why}", kind["title"])),
        }
    }
    panic!("{event} is {}: {line}", if faults.is_empty() { "not in the schema".to_owned() } else { faults.join("; ") })
}

#[test]
fn every_answer_fits_its_schema_and_no_schema_is_left_over() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let kinds = kinds();
    let mut seen = BTreeSet::new();
    let at = |name: &str| desk.path(name).display().to_string();
    let (manifest, audit, identity) = (at("m.csv"), at("a.jsonl"), at("another.txt"));
    for command in [
        vec!["status", "--json"],
        vec!["show", jobs[0].as_str(), "--json"],
        vec!["show", "sam@contoso.example", "--json"],
        vec!["show", "555", "--json"],
        vec!["doctor", "--offline", "--json"],
        vec!["escrow", "keygen", "--out", &identity, "--json"],
        vec!["export", "manifest", "--out", &manifest, "--json"],
        vec!["export", "audit", "--out", &audit, "--json"],
        vec!["ledger", "verify", "--json"],
        vec!["ledger", "forget", "sam@contoso.example", "--reason", "left", "--yes", "--json"],
        vec!["ledger", "restore", "--json"],
    ] {
        let ran = desk.run(&command);
        let lines = ran.lines();
        assert!(!lines.is_empty(), "{command:?}: {}", ran.err);
        seen.extend(lines.iter().filter(|line| line["event"] != "error").map(|line| assert_fits(line, &kinds)));
    }
    seen.extend(at_tenant::titles(&kinds));
    // Those that need a key in a port are held against what their own tests see.
    for of_a_key in ["key", "key-info", "key-reset"] {
        assert!(seen.insert(of_a_key.to_owned()));
    }
    let all: BTreeSet<String> = kinds.iter().filter_map(|kind| kind["title"].as_str().map(str::to_owned)).collect();
    assert_eq!(seen, all);
}

#[test]
fn a_member_too_many_or_too_few_is_found() {
    let kinds = kinds();
    let whole = json!({ "event": "forgotten", "user": "u", "head": "h" });
    assert_fits(&whole, &kinds);
    let forgotten = kinds.iter().find(|kind| kind["title"] == "forgotten").expect("there");
    assert!(fits(&json!({ "event": "forgotten", "user": "u" }), forgotten).is_err());
    assert!(fits(&json!({ "event": "forgotten", "user": "u", "head": "h", "pin": "1" }), forgotten).is_err());
    assert!(fits(&json!({ "event": "forgotten", "user": 1, "head": "h" }), forgotten).is_err());
}
