//! What commands answer with `--json`, each kind of it seen from a real command and held against `docs/schema`.

use std::collections::BTreeSet;

use super::testing::Desk;
use super::testing::schema::{kind_of, kinds};

mod at_tenant;

/// The schemas whose kinds are all seen here.
const FILES: [&str; 4] = ["bench", "ledger", "people", "tenant"];

/// Seen by tests of their own: these need a key in a port, or Entra's log.
const ELSEWHERE: [&str; 12] = [
    "against-entra",
    "entra-only",
    "key",
    "key-blinks",
    "key-info",
    "key-reset",
    "key-touched",
    "key-unopened",
    "ledger-only",
    "recorded",
    "finding",
    "first-contact",
];

#[test]
fn every_answer_fits_its_schema_and_no_schema_is_left_over() {
    let desk = Desk::new(1);
    let jobs = desk.story();
    let mut seen = BTreeSet::new();
    let at = |name: &str| desk.path(name).display().to_string();
    let (manifest, audit) = (at("m.csv"), at("a.jsonl"));
    let (altered, recording) = (at("altered.jsonl"), at("r.jsonl"));
    for command in [
        vec!["status", "--json"],
        vec!["show", jobs[0].as_str(), "--json"],
        vec!["show", "sam@contoso.example", "--json"],
        vec!["show", "555", "--json"],
        vec!["doctor", "--offline", "--json"],
        vec!["export", "manifest", "--out", &manifest, "--json"],
        vec!["export", "audit", "--out", &audit, "--json"],
        vec!["ledger", "verify", "--json"],
        vec!["ledger", "forget", "sam@contoso.example", "--reason", "left", "--yes", "--json"],
        vec!["ledger", "restore", "--json"],
        vec!["audit", "verify", &audit, "--json"],
        vec!["audit", "verify", &altered, "--json"],
        vec!["record", "--port", "1-1", "--out", &recording, "--dry-run", "--json"],
        vec!["config", "init", "--force", "--json"],
    ] {
        if command.contains(&altered.as_str()) {
            let whole = std::fs::read_to_string(&audit).expect("exported");
            desk.write("altered.jsonl", &whole.replacen("batch-1", "batch-2", 1));
        }
        let ran = desk.run(&command);
        let lines = ran.lines();
        assert!(!lines.is_empty(), "{command:?}: {}", ran.err);
        seen.extend(lines.iter().map(|line| kind_of(line).expect("described").title.clone()));
    }
    seen.extend(at_tenant::titles());
    for elsewhere in ELSEWHERE {
        assert!(seen.insert(elsewhere.to_owned()), "{elsewhere} is seen here");
    }
    assert!(seen.remove("error"), "the altered file");
    let all: BTreeSet<String> =
        kinds().iter().filter(|kind| FILES.contains(&kind.file.as_str())).map(|kind| kind.title.clone()).collect();
    assert_eq!(seen, all);
}
