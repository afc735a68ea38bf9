//! `$batch`: up to twenty calls in one, each with its own fate (Graph, "JSON batching").

use std::collections::{HashMap, HashSet};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::errors;
use super::http::{Answer, Body, Call, Version};
use super::serve::{Fate, handle_part};
use super::store::Store;

/// Most calls in one.
const MOST: usize = 20;

/// `POST /$batch`. The fate is the worst of the parts': a part whose answer is lost takes the whole answer with it.
pub(super) fn batch(store: &mut Store, version: Version, call: &Call) -> (Answer, Fate) {
    match parts(version, call) {
        Ok(parts) => perform(store, version, &parts),
        Err(message) => (errors::graph(400, "BadRequest", message), Fate::Answer),
    }
}

struct Part {
    id: String,
    call: Call,
    after: Vec<String>,
}

fn parts(version: Version, call: &Call) -> Result<Vec<Part>, String> {
    let body: Value = serde_json::from_slice(&call.body).map_err(|_| "Invalid batch payload format.".to_owned())?;
    let requests = body.get("requests").and_then(Value::as_array).ok_or("Invalid batch payload format.")?;
    if requests.is_empty() || requests.len() > MOST {
        return Err(format!("Number of batch request steps must be between 1 and the maximum value of {MOST}."));
    }
    let mut seen = HashSet::new();
    let mut parts = Vec::new();
    for request in requests {
        let part = part(version, call, request)?;
        if !seen.insert(part.id.to_ascii_lowercase()) {
            return Err(format!("Batch request id '{}' is not unique.", part.id));
        }
        if let Some(unknown) = part.after.iter().find(|id| !seen.contains(&id.to_ascii_lowercase())) {
            return Err(format!("Batch request '{}' depends on '{unknown}', which does not come before it.", part.id));
        }
        parts.push(part);
    }
    Ok(parts)
}

fn part(version: Version, call: &Call, request: &Value) -> Result<Part, String> {
    let known = ["id", "method", "url", "headers", "body", "dependsOn"];
    let members = request.as_object().ok_or("Invalid batch payload format.")?;
    if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("Invalid batch payload format: '{unknown}'."));
    }
    let text = |name: &str| {
        members
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("A batch request has no '{name}'."))
    };
    let url = text("url")?;
    if !url.starts_with('/') {
        return Err(format!("Batch request url '{url}' is not relative to the version."));
    }
    // The outer request speaks for the caller; a part may not name another.
    let mut headers = HeaderMap::new();
    for name in ["authorization", "client-request-id"] {
        if let Some(value) = call.headers.get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in members.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), value)
            && name != "authorization"
        {
            headers.insert(name, value);
        }
    }
    let body = members.get("body").map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    if !body.is_empty() && !headers.contains_key("content-type") {
        return Err("A batch request with a body needs headers with a Content-Type.".into());
    }
    let after = members.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
    Ok(Part {
        id: text("id")?.to_owned(),
        call: Call::new(text("method")?, &format!("/{}{url}", version.name()), headers, body),
        after: after.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

fn perform(store: &mut Store, version: Version, parts: &[Part]) -> (Answer, Fate) {
    let mut worst = Fate::Answer;
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::new();
    for part in parts {
        let failed =
            part.after.iter().any(|id| statuses.get(&id.to_ascii_lowercase()).is_none_or(|status| *status >= 400));
        let answer = if failed {
            errors::graph(424, "FailedDependency", "A request this one depends on failed.")
        } else {
            let (answer, fate) = handle_part(store, &part.call);
            worst = worst.max(fate);
            answer
        };
        statuses.insert(part.id.to_ascii_lowercase(), answer.status);
        responses.push(response(&part.id, answer));
    }
    // Any order is allowed, so ours is not the one they came in.
    responses.reverse();
    let context = format!("{}/{}/$metadata#Collection(batchResponse)", store.base, version.name());
    (Answer::json(200, json!({ "@odata.context": context, "responses": responses })), worst)
}

fn response(id: &str, answer: Answer) -> Value {
    let mut headers = Map::new();
    for (name, value) in answer.headers {
        headers.insert(name, value.into());
    }
    let mut response = json!({ "id": id, "status": answer.status });
    match answer.body {
        Body::Empty => {}
        Body::Json(body) => {
            headers.insert("Content-Type".into(), "application/json".into());
            response["body"] = body;
        }
        Body::Text { kind, text } => {
            headers.insert("Content-Type".into(), kind.into());
            response["body"] = text.into();
        }
    }
    response["headers"] = headers.into();
    response
}
