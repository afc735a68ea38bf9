use super::*;
use crate::cli::testing::schema::{kind_of, kinds};

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
        Event::TouchesTooClose { ports: &["1-1", "1-2"] },
        Event::WhichKey { port: "1-1", job: "J", upn: "a@b.c", by: "wink" },
        Event::Throttled { call: "POST", status: 429, seconds: 2.0 },
        Event::Retrying { call: "read", why: "x", seconds: 2.0 },
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
        Event::Held {
            job: "J",
            upn: "a@b.c",
            credential_id: "c",
            aaguid: "a",
            serial: None,
            port: "1-1",
            force_change: ForceChange::Forced,
            expires: "2026-12-21T09:00:00Z",
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
            held: 0,
        },
        Event::Error { code: "no-key", what: "x", causes: &[], next: "y", exit: 4 },
    ]
}

#[test]
fn every_event_fits_its_schema_and_no_schema_is_left_over() {
    let mut seen = std::collections::BTreeSet::new();
    for event in samples() {
        let value = serde_json::to_value(&event).expect("JSON");
        let kind = kind_of(&value).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(kind.file, "run-events", "{}", kind.title);
        seen.insert(&kind.title);
    }
    assert_eq!(seen.len(), kinds().iter().filter(|kind| kind.file == "run-events").count());
}

#[test]
fn the_summary_has_exactly_the_promised_members_in_order() {
    let summary = samples().into_iter().find(|event| matches!(event, Event::Summary { .. })).expect("a summary");
    assert_eq!(
        serde_json::to_string(&summary).expect("JSON"),
        "{\"event\":\"summary\",\"planned\":1,\"finished\":1,\"already\":0,\"failed\":0,\"refused\":0,\"parked\":0,\
         \"keys_refused\":0,\"touches\":1,\"graph_requests\":3,\"graph_retries\":0,\"seconds\":1.5,\"head\":\"h\",\"held\":0}"
    );
}
