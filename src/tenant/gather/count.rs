//! What the facts cost: requests by kind of question.

use serde::Serialize;

use crate::graph::{Graph, GraphError};

/// One kind of question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// What was asked.
    pub question: &'static str,
    /// Requests, a batch of twenty counting as one.
    pub requests: u64,
    /// Repeats after throttling and the like.
    pub retries: u64,
}

/// All kinds, in the order in which they were first asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Requests(pub Vec<Kind>);

impl Requests {
    /// Of one kind.
    pub fn of(&self, question: &str) -> u64 {
        self.0.iter().find(|kind| kind.question == question).map_or(0, |kind| kind.requests)
    }

    /// Of all.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|kind| kind.requests).sum()
    }
}

/// Counts as it is asked. Questions come one after the other here: the client's counter is one for all.
pub struct Counted<'a> {
    graph: &'a Graph,
    requests: Requests,
}

impl<'a> Counted<'a> {
    /// Nothing asked yet.
    pub fn new(graph: &'a Graph) -> Self {
        Self { graph, requests: Requests::default() }
    }

    /// Asks, and counts what it took.
    ///
    /// # Errors
    /// The question's.
    pub fn ask<T>(
        &mut self,
        question: &'static str,
        ask: impl FnOnce() -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        let before = self.graph.counts();
        let answer = ask();
        let after = self.graph.counts();
        let requests = after.requests.saturating_sub(before.requests);
        let retries = after.retries.saturating_sub(before.retries);
        match self.requests.0.iter_mut().find(|kind| kind.question == question) {
            Some(kind) => {
                kind.requests = kind.requests.saturating_add(requests);
                kind.retries = kind.retries.saturating_add(retries);
            }
            None => self.requests.0.push(Kind { question, requests, retries }),
        }
        answer
    }

    /// The sum.
    pub fn into_requests(self) -> Requests {
        self.requests
    }
}
