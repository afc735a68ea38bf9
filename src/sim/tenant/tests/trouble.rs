//! Faults, as a client meets them.

use std::time::Duration;

use serde_json::json;

use super::token_maker::Maker;
use super::{Caller, KIM, send, spec};

const METHODS: &str = "/v1.0/users/kim.o%27reilly%40contoso.example/authentication/fido2Methods";

#[test]
fn every_answer_carries_ids_and_the_date() {
    let caller = Caller::app(spec());
    let request = caller.request(reqwest::Method::GET, "/v1.0/users/nobody").header("client-request-id", "mine-1");
    let reply = send(request);
    assert_eq!(reply.header("client-request-id"), "mine-1");
    assert_eq!(reply.header("request-id").len(), 36);
    assert_eq!(reply.json()["error"]["innerError"]["client-request-id"], "mine-1");
    assert_eq!(reply.json()["error"]["innerError"]["request-id"], reply.header("request-id"));
    assert!(reply.header("date").ends_with(" GMT"), "{}", reply.header("date"));
    assert_eq!(caller.tenant.log().last().expect("a line")["client_request_id"], "mine-1");
}

#[test]
fn throttling_names_its_wait_and_ends() {
    let caller = Caller::app(spec());
    caller.sim("fault", json!({ "on": "list", "then": "status", "status": 429, "retry_after": 3, "times": 1 }));
    let reply = caller.get(METHODS);
    assert_eq!(
        (reply.status, reply.code().as_str(), reply.header("retry-after").as_str()),
        (429, "TooManyRequests", "3")
    );
    assert_eq!(caller.get(METHODS).status, 200);
    assert_eq!(caller.tenant.state()["requests"]["list"], 2);
}

#[test]
fn an_outage_has_a_window() {
    let caller = Caller::app(spec());
    caller.sim("fault", json!({ "then": "status", "status": 503, "for_ms": 60_000 }));
    assert_eq!(caller.get(METHODS).status, 503);
    let token = caller.client_credentials("any");
    assert_eq!((token.status, token.json()["error"].clone()), (503, json!("temporarily_unavailable")));
    caller.tenant.advance(61);
    assert_eq!(caller.get(METHODS).status, 200);
}

#[test]
fn pages_and_halves_come_instead_of_json() {
    let caller = Caller::app(spec());
    caller.sim(
        "fault",
        json!([{ "on": "list", "nth": 1, "then": "html" }, { "on": "list", "nth": 2, "then": "truncate" }]),
    );
    let page = caller.get(METHODS);
    assert_eq!((page.status, page.header("content-type").as_str()), (502, "text/html; charset=utf-8"));
    let half = caller.get(METHODS);
    assert_eq!(half.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&half.text).is_err());
    assert_eq!(caller.get(METHODS).json()["value"], json!([]));
}

#[test]
fn an_answer_can_be_lost_after_the_deed_and_the_deed_before_the_answer() {
    let caller = Caller::app(spec());
    let body = Maker::new(3).answer(&caller.get(&format!("{METHODS}/creationOptions")).json());
    let post = || caller.request(reqwest::Method::POST, METHODS).json(&body).send();
    caller.sim("fault", json!({ "on": "register", "then": "drop", "times": 1 }));
    assert!(post().is_err());
    assert_eq!(caller.tenant.state()["people"][0]["methods"], json!([]));
    caller.sim("fault", json!({ "on": "register", "then": "lose", "times": 1 }));
    assert!(post().is_err());
    assert_eq!(caller.tenant.state()["people"][0]["methods"].as_array().map(Vec::len), Some(1));
    assert_eq!(post().expect("an answer").status(), 400, "it is there already");
    assert_eq!(caller.tenant.state()["rejected"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_answer_can_hang_and_the_tenant_still_ends() {
    let caller = Caller::app(spec());
    caller.sim("fault", json!({ "on": "list", "then": "hang", "times": 1 }));
    let hung = caller.request(reqwest::Method::GET, METHODS).timeout(Duration::from_millis(1_000)).send();
    assert!(hung.is_err_and(|error| error.is_timeout()));
    assert_eq!(caller.get(METHODS).status, 200);
    caller.tenant.shutdown();
}

#[test]
fn an_answer_can_be_late() {
    let caller = Caller::app(spec());
    caller.sim("fault", json!({ "on": "list", "then": "delay", "delay_ms": 60_000, "times": 1 }));
    let late = caller.request(reqwest::Method::GET, METHODS).timeout(Duration::from_millis(1_000)).send();
    assert!(late.is_err_and(|error| error.is_timeout()));
    assert_eq!(caller.get(METHODS).status, 200, "nobody else waits");
}

#[test]
fn tokens_can_be_taken_back() {
    let caller = Caller::app(spec());
    caller.sim("fault", json!({ "on": "list", "nth": 2, "then": "revoke" }));
    assert_eq!([caller.get(METHODS).status, caller.get(METHODS).status, caller.get(METHODS).status], [200, 401, 401]);
    assert_eq!(caller.client_credentials(&caller.tenant.client_secret).status, 200);
}

#[test]
fn the_policy_can_change_in_the_middle() {
    let caller = Caller::app(spec());
    let body = Maker::new(3).answer(&caller.get(&format!("{METHODS}/creationOptions")).json());
    caller.sim("fault", json!({ "on": "register", "upn": KIM, "then": "policy", "policy": { "self_service": false } }));
    let reply = caller.post(METHODS, &body);
    assert!(reply.status == 403 && reply.text.contains("Self-service"), "{}", reply.text);
}

#[test]
fn mistakes_in_faults_are_refused() {
    let caller = Caller::app(spec());
    for wrong in [json!({ "then": "explode" }), json!({ "then": "delay" }), json!({ "then": "drop", "colour": 1 })] {
        let url = format!("{}/sim/fault", caller.tenant.graph_url);
        assert_eq!(send(caller.http.post(url).json(&wrong)).status, 400);
    }
    assert_eq!(send(caller.http.get(format!("{}/sim/other", caller.tenant.graph_url))).status, 404);
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let caller = Caller::app(spec());
    assert_eq!(caller.get("/v1.0/users/x/authentication/phoneMethods").code(), "BadRequest");
    let patch = send(caller.request(reqwest::Method::PATCH, &format!("{METHODS}/abc")));
    assert_eq!((patch.status, patch.code().as_str()), (405, "methodNotAllowed"));
    assert_eq!(caller.get("/v2.0/users").status, 404);
}
