//! A call whose refusal is the answer: for trials against a tenant, never for work.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::error::GraphError;
use super::http::Request;
use super::retry::Repeat;

/// What a call is, in HTTP's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An answer, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// HTTP status.
    pub status: u16,
    /// The body; null where there is none or it is not JSON.
    pub json: Value,
    /// The service's time.
    pub date: Option<Timestamp>,
}

impl Probe {
    /// `error.code`.
    pub fn code(&self) -> Option<&str> {
        self.json["error"]["code"].as_str()
    }

    /// A 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Graph {
    /// One call, and what came of it; `path` is below the version and escaped. A write is not repeated once it may have arrived.
    ///
    /// # Errors
    /// No answer, no token, or a service that fails or throttles beyond our patience.
    pub fn probe(&self, api: ApiVersion, verb: Verb, path: &str, body: Option<&Value>) -> Result<Probe, GraphError> {
        let (method, repeat) = match verb {
            Verb::Get => (Method::GET, Repeat::Read),
            Verb::Post => (Method::POST, Repeat::OnlyIfNotCarriedOut),
            Verb::Patch => (Method::PATCH, Repeat::OnlyIfNotCarriedOut),
            Verb::Delete => (Method::DELETE, Repeat::Safe),
        };
        let request = Request {
            method,
            body: body.cloned(),
            repeat,
            ..Request::get(self.url(api, path)?, format!("answer {} {}", verb.as_str(), api.as_str()))
        };
        let answer = self.exchange(&request)?;
        Ok(Probe {
            status: answer.status,
            json: serde_json::from_slice(&answer.body).unwrap_or_default(),
            date: answer.date,
        })
    }
}
