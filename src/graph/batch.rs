//! `$batch`: up to twenty requests in one (Microsoft Graph, "Combine multiple HTTP requests using JSON batching").
//!
//! Promise: every part gets its own answer, in the order of the parts, however Graph orders them; a part that was throttled or
//! failed in passing is sent again, alone, after the wait it asked for. Only reads and look-ups are batched: registrations never are.
//! Where `$batch` itself is refused (a gateway in between that lets only named addresses through), the parts are asked one by one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{ApiVersion, Graph, GraphEvent, PARALLEL, jitter};
use super::error::{GraphError, RequestIds};
use super::http::{Answer, Request};
use super::retry::{AnswerClass, Repeat, Verdict, decide, retry_after};
use super::rights::{Rights, look};

/// Graph's limit.
pub const LARGEST_BATCH: usize = 20;

/// One request within a batch: always something that may be sent twice.
#[derive(Debug, Clone)]
pub(super) struct Part {
    method: &'static str,
    /// Without origin and version, beginning with a slash.
    path: String,
    body: Option<Value>,
    eventual: bool,
}

impl Part {
    pub fn get(path: String) -> Self {
        Self { method: "GET", path, body: None, eventual: false }
    }

    /// A look-up by POST.
    pub fn ask(path: String, body: Value) -> Self {
        Self { method: "POST", path, body: Some(body), eventual: false }
    }

    #[must_use]
    pub fn eventual(mut self) -> Self {
        self.eventual = true;
        self
    }

    /// The same as a request of its own.
    fn alone(&self, graph: &Graph, api: ApiVersion, doing: &str) -> Result<Request, GraphError> {
        let url = graph.url(api, self.path.trim_start_matches('/'))?;
        let request = match &self.body {
            Some(body) => Request::post(url, body.clone(), doing).asks(),
            None => Request::get(url, doing),
        };
        Ok(if self.eventual { request.eventual() } else { request })
    }

    fn to_json(&self, id: usize) -> Value {
        let mut headers = serde_json::Map::new();
        if self.body.is_some() {
            headers.insert("Content-Type".to_owned(), json!("application/json"));
        }
        if self.eventual {
            headers.insert("ConsistencyLevel".to_owned(), json!("eventual"));
        }
        let mut part = json!({ "id": id.to_string(), "method": self.method, "url": self.path });
        if let Some(map) = part.as_object_mut() {
            if !headers.is_empty() {
                map.insert("headers".to_owned(), Value::Object(headers));
            }
            if let Some(body) = &self.body {
                map.insert("body".to_owned(), body.clone());
            }
        }
        part
    }
}

/// One part's answer.
#[derive(Debug, Clone)]
pub(super) struct PartAnswer {
    answer: Answer,
    body: Value,
    rights: Option<&'static Rights>,
}

impl PartAnswer {
    pub fn is_not_found(&self) -> bool {
        matches!(self.answer.status, 404 | 410)
    }

    /// What a refusal names.
    #[must_use]
    pub fn needing(mut self, rights: &'static Rights) -> Self {
        self.rights = Some(rights);
        self
    }

    /// The JSON of a success; otherwise Graph's refusal.
    pub fn into_object(self, doing: &str) -> Result<Value, GraphError> {
        if !self.answer.is_success() {
            let error = GraphError::from_answer(doing, &self.answer);
            return Err(match self.rights {
                Some(rights) => error.for_want_of(rights, look::REPORT),
                None => error,
            });
        }
        if self.body.is_object() {
            return Ok(self.body);
        }
        Err(GraphError::malformed(doing, "A part of a batch holds no JSON object.").with_ids(self.answer.ids))
    }

    fn class(&self) -> AnswerClass {
        match self.answer.class() {
            // The batch's own token was good a moment ago: another one changes nothing.
            AnswerClass::Unauthorized { .. } => AnswerClass::Final,
            // 424: what it depended on failed. We state no dependencies, so it is the service's trouble.
            AnswerClass::Final if self.answer.status == 424 => AnswerClass::Outage(None),
            class => class,
        }
    }
}

impl Graph {
    /// Any number of parts, in batches of twenty, some batches at the same time. Answers in the parts' order.
    pub(super) fn batch(&self, parts: &[Part], doing: &str) -> Result<Vec<PartAnswer>, GraphError> {
        self.batch_on(ApiVersion::V1, parts, doing)
    }

    /// The same on either version; all parts go to the version of their batch.
    pub(super) fn batch_on(&self, api: ApiVersion, parts: &[Part], doing: &str) -> Result<Vec<PartAnswer>, GraphError> {
        let chunks: Vec<&[Part]> = parts.chunks(LARGEST_BATCH).collect();
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None::<GraphError>);
        let done = Mutex::new(HashMap::<usize, Vec<PartAnswer>>::new());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(chunk) = chunks.get(index) else { return };
                if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return;
                }
                match self.one_batch(api, chunk, doing) {
                    Ok(answers) => {
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, answers);
                    }
                    Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..chunks.len().min(PARALLEL) {
                // Fewer threads than wanted are no harm: this one does the work in any case.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((0..chunks.len()).filter_map(|index| done.remove(&index)).flatten().collect())
    }

    fn one_batch(&self, api: ApiVersion, parts: &[Part], doing: &str) -> Result<Vec<PartAnswer>, GraphError> {
        if self.does_without_batches() {
            return self.one_by_one(api, parts, doing);
        }
        let mut answers: Vec<Option<PartAnswer>> = vec![None; parts.len()];
        let mut open: Vec<usize> = (0..parts.len()).collect();
        let start = self.clock().monotonic();
        let mut made: u32 = 0;
        while !open.is_empty() {
            let requests: Vec<Value> =
                open.iter().filter_map(|&index| parts.get(index).map(|part| part.to_json(index))).collect();
            let url = self.url(api, "$batch")?;
            let mut request = Request::post(url, json!({ "requests": requests }), doing).asks();
            request.resend = made > 0;
            let sent = self.exchange(&request)?;
            if refuses_batches(sent.status) {
                let alone = self.one_by_one(api, parts, doing)?;
                if alone.iter().all(|part| part.answer.status == sent.status) {
                    // Nothing gets through by itself either: it is not the batch that is refused.
                    return Err(GraphError::from_answer(doing, &sent));
                }
                tracing::warn!(status = sent.status, "Graph's $batch is refused; everything is asked one by one");
                self.do_without_batches();
                return Ok(alone);
            }
            if !sent.is_success() {
                return Err(GraphError::from_answer(doing, &sent));
            }
            made = made.saturating_add(1);
            let mut arrived = read_parts(&sent.object(doing)?, &open, &sent.ids, doing)?;
            let spent = self.clock().monotonic().saturating_sub(start);
            let mut wait = Duration::ZERO;
            let mut again = Vec::new();
            for index in open {
                let Some(answer) = arrived.remove(&index) else {
                    return Err(GraphError::malformed(doing, "A part of a batch was not answered.").with_ids(sent.ids));
                };
                let class = answer.class();
                match decide(class, Repeat::Read, made, spent, jitter(), &self.settings().budget) {
                    Verdict::Wait(time) => {
                        // They go again together, so together they wait for the longest.
                        if time >= wait {
                            wait = time;
                        }
                        again.push((index, class));
                    }
                    Verdict::Retry | Verdict::Stop | Verdict::Unknown => {
                        if let Some(slot) = answers.get_mut(index) {
                            *slot = Some(answer);
                        }
                    }
                }
            }
            if let Some((_, class)) = again.first() {
                let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                let doing = doing.to_owned();
                self.observe(match class {
                    AnswerClass::Throttled(_) => GraphEvent::Throttled { seconds, doing },
                    _ => GraphEvent::Retrying { seconds, doing, why: "a part of a batch failed".to_owned() },
                });
                self.settings().cancel.wait(self.clock(), wait).map_err(|_| GraphError::cancelled(&request.doing))?;
            }
            open = again.into_iter().map(|(index, _)| index).collect();
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

impl Graph {
    /// Each part as a request of its own, with its own repeats.
    fn one_by_one(&self, api: ApiVersion, parts: &[Part], doing: &str) -> Result<Vec<PartAnswer>, GraphError> {
        let ask = |part: &Part| {
            let answer = self.exchange(&part.alone(self, api, doing)?)?;
            let body = if answer.is_success() { answer.object(doing)? } else { Value::Null };
            Ok(PartAnswer { answer, body, rights: None })
        };
        parts.iter().map(ask).collect()
    }
}

/// Graph answers every batch that it can read with 200 and gives each part a status of its own. So a refusal of the whole is about
/// batches; all but 401, which is about the token, and what passes.
fn refuses_batches(status: u16) -> bool {
    status == 501 || (400..500).contains(&status) && !matches!(status, 401 | 408 | 429)
}

/// The parts of an answer by their index. Ids compare without regard to case, and ours are numbers.
fn read_parts(
    json: &Value,
    wanted: &[usize],
    ids: &RequestIds,
    doing: &str,
) -> Result<HashMap<usize, PartAnswer>, GraphError> {
    let wrong = |cause: &str| GraphError::malformed(doing, cause).with_ids(ids.clone());
    let responses = json["responses"].as_array().ok_or_else(|| wrong("The answer to a batch has no `responses`."))?;
    let mut parts = HashMap::new();
    for response in responses {
        let index =
            response["id"].as_str().and_then(|id| id.parse::<usize>().ok()).filter(|index| wanted.contains(index));
        let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let (Some(index), Some(status)) = (index, status) else {
            return Err(wrong("A part of a batch's answer belongs to no request, or has no status."));
        };
        let header = |wanted: &str| {
            let headers = response["headers"].as_object()?;
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, value)| value.as_str())
        };
        let body = response["body"].clone();
        let answer = Answer {
            status,
            body: body.to_string().into_bytes(),
            content_type: String::new(),
            retry_after: header("retry-after").and_then(|text| retry_after(text, None)),
            date: None,
            challenge: None,
            ids: RequestIds {
                client_request_id: ids.client_request_id.clone(),
                request_id: header("request-id").map(str::to_owned).or_else(|| ids.request_id.clone()),
            },
            after_doubt: false,
        };
        if parts.insert(index, PartAnswer { answer, body, rights: None }).is_some() {
            return Err(wrong("Two parts of a batch's answer have the same id."));
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &Value) -> Result<HashMap<usize, PartAnswer>, GraphError> {
        read_parts(json, &[0, 1], &RequestIds::default(), "x")
    }

    #[test]
    fn parts_go_by_their_id() {
        let parts = read(&json!({"responses": [
            {"id": "1", "status": 429, "headers": {"Retry-After": "7"}},
            {"id": "0", "status": 200, "body": {"id": "a"}},
        ]}))
        .expect("two parts");
        assert_eq!(parts[&1].class(), AnswerClass::Throttled(Some(Duration::from_secs(7))));
        assert_eq!(parts[&0].clone().into_object("x").expect("an object")["id"], "a");
    }

    #[test]
    fn a_strange_part_is_an_error() {
        for bad in [
            json!({}),
            json!({"responses": [{"id": "7", "status": 200}]}),
            json!({"responses": [{"id": "0"}]}),
            json!({"responses": [{"id": "0", "status": 200}, {"id": "0", "status": 200}]}),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        let parts = read(&json!({"responses": [{"id": "0", "status": 200, "body": "dGV4dA"}]})).expect("one part");
        assert!(parts[&0].clone().into_object("x").is_err());
    }

    #[test]
    fn a_body_brings_its_content_type() {
        let part = Part::ask("/a".to_owned(), json!({})).eventual().to_json(3);
        assert_eq!(part["headers"]["Content-Type"], "application/json");
        assert_eq!(part["headers"]["ConsistencyLevel"], "eventual");
        assert_eq!(part["id"], "3");
        assert_eq!(Part::get("/a".to_owned()).to_json(0).get("headers"), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in "\\PC{0,120}") {
            if let Ok(json) = serde_json::from_str::<Value>(&text) {
                let _ = read(&json);
            }
            let _ = read(&json!({"responses": [{"id": text, "status": 200, "headers": text, "body": text}]}));
        }
    }
}
