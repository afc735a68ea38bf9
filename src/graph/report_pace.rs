//! Keeping below a known limit, so that it is not met at all.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::client::Graph;
use super::error::GraphError;

/// At most so many calls within so long.
#[derive(Debug)]
pub struct ReportPace {
    most: usize,
    within: Duration,
    made: Mutex<VecDeque<Duration>>,
}

impl ReportPace {
    /// Identity reports and logs: five requests in ten seconds, for an application in a tenant (Microsoft Graph, "Service-specific
    /// throttling limits").
    pub fn of_reports() -> Self {
        Self { most: 5, within: Duration::from_secs(10), made: Mutex::default() }
    }

    /// Waits until one more may be made, and counts it.
    pub(super) fn wait(&self, graph: &Graph, doing: &str) -> Result<(), GraphError> {
        loop {
            let now = graph.clock().monotonic();
            let wait = {
                let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                while made.front().is_some_and(|at| now.saturating_sub(*at) >= self.within) {
                    made.pop_front();
                }
                if made.len() < self.most {
                    made.push_back(now);
                    return Ok(());
                }
                made.front().map_or(self.within, |at| self.within.saturating_sub(now.saturating_sub(*at)))
            };
            graph.settings().cancel.wait(graph.clock(), wait).map_err(|_| GraphError::cancelled(doing))?;
        }
    }
}
