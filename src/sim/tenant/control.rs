//! `/sim/…`: looking into the simulated tenant and steering it. No token is asked for; nothing of it exists in a real one.

use serde_json::{Value, json};

use super::audit_log;
use super::errors;
use super::faults::FaultRule;
use super::http::{Answer, Call};
use super::insight;
use super::policy;
use super::store::Store;

/// Answers one call.
pub(super) fn control(store: &mut Store, what: &str, call: &Call) -> Answer {
    let answer = match (call.method.as_str(), what) {
        ("GET", "state") => Ok(store.state()),
        ("GET", "log") => Ok(json!({ "requests": store.log })),
        ("GET", "policy") => serde_json::to_value(&store.policy).map_err(|error| error.to_string()),
        ("POST", "policy") => body(call).and_then(|change| set_policy(store, &change)),
        ("POST", "fault") => body(call).and_then(|rules| add_faults(store, rules)),
        ("DELETE", "fault") => {
            store.faults.clear();
            Ok(json!({ "faults": 0 }))
        }
        ("POST", "sign-in") => body(call).and_then(|what| insight::person_signs_in(store, &what)),
        ("POST", "passkey") => body(call).and_then(|what| audit_log::stranger_registers(store, &what)),
        ("POST", "clock") => body(call).and_then(|change| advance(store, &change)),
        _ => {
            return errors::graph(
                404,
                "notFound",
                "Under /sim there are: GET state, GET log, GET and POST policy, POST and DELETE fault, POST sign-in, POST passkey, POST clock.",
            );
        }
    };
    match answer {
        Ok(body) => Answer::json(200, body),
        Err(message) => errors::graph(400, "badRequest", message),
    }
}

fn body(call: &Call) -> Result<Value, String> {
    serde_json::from_slice(&call.body).map_err(|error| format!("the body is not JSON: {error}"))
}

fn set_policy(store: &mut Store, change: &Value) -> Result<Value, String> {
    policy::change(store, change)?;
    serde_json::to_value(&store.policy).map_err(|error| error.to_string())
}

/// One rule, a list of rules, or `{"fault": […]}` as the TOML file has it.
fn add_faults(store: &mut Store, rules: Value) -> Result<Value, String> {
    let rules = match rules {
        Value::Object(mut object) if object.contains_key("fault") => object.remove("fault").unwrap_or_default(),
        Value::Array(list) => Value::Array(list),
        one => Value::Array(vec![one]),
    };
    let rules: Vec<FaultRule> = serde_json::from_value(rules).map_err(|error| error.to_string())?;
    for rule in &rules {
        rule.check()?;
    }
    let (now, count) = (store.now(), rules.len());
    for rule in rules {
        store.faults.add(rule, now);
    }
    Ok(json!({ "faults": count }))
}

fn advance(store: &mut Store, change: &Value) -> Result<Value, String> {
    let seconds = change.get("advance_seconds").and_then(Value::as_i64).filter(|seconds| *seconds >= 0);
    store.advance(seconds.ok_or("`advance_seconds` is a whole number, not below 0")?);
    Ok(json!({ "now": store.now().to_string() }))
}
