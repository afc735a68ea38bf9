//! Creation options, fetched before anybody waits for them.
//!
//! A challenge lives five minutes on v1.0, so only the next few people's are fetched, and one with less than
//! [`LEAST_LEFT`] to go is thrown away: what is used has time for a slow hand and a slow network.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{JobId, UserId};
use crate::webauthn::creation_options::CreationOptions;

/// The least time a challenge must have left when its key starts to blink.
pub const LEAST_LEFT: Duration = Duration::from_secs(90);

/// Why there are no options for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoOptions {
    /// Graph refuses them to this person.
    Refused {
        /// A code of [`super::code::CODES`].
        code: String,
        /// In more words.
        detail: String,
    },
    /// The tenant refuses everything, or can't be reached.
    TenantDown {
        /// A code of [`super::code::CODES`].
        code: String,
        /// In more words.
        detail: String,
    },
}

#[derive(Debug, Default)]
struct Inner {
    ready: HashMap<JobId, CreationOptions>,
    fetching: Vec<JobId>,
    closed: bool,
    nudges: u64,
}

/// Options that are ready, and the wish for more.
#[derive(Debug, Default)]
pub struct Ahead {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Ahead {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job's options, waiting for them when they are being fetched right now. `None` when there are none, or none
    /// with enough time left: the caller fetches them itself.
    pub fn take(&self, job: &JobId, now: Timestamp) -> Option<CreationOptions> {
        let mut inner = self.lock();
        while inner.fetching.contains(job) && !inner.closed {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let options = inner.ready.remove(job);
        inner.nudges += 1;
        drop(inner);
        self.changed.notify_all();
        options.filter(|options| options.time_left(now).is_some_and(|left| left >= LEAST_LEFT))
    }

    /// There may be something to fetch now.
    pub fn nudge(&self) {
        self.lock().nudges += 1;
        self.changed.notify_all();
    }

    /// No more fetching.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Fetches until [`Ahead::close`]. `wanted` names the next jobs; `fetch` has one's options; `refused` is told of jobs that
    /// can't have any.
    pub fn keep_ready(
        &self,
        wanted: &dyn Fn() -> Vec<(JobId, UserId)>,
        fetch: &dyn Fn(&UserId) -> Result<CreationOptions, NoOptions>,
        refused: &dyn Fn(&JobId, NoOptions),
    ) {
        loop {
            let (seen, closed) = {
                let inner = self.lock();
                (inner.nudges, inner.closed)
            };
            if closed {
                return;
            }
            let wanted = wanted();
            let next = {
                let mut inner = self.lock();
                let next = wanted.into_iter().find(|(job, _)| !inner.ready.contains_key(job));
                if let Some((job, _)) = &next {
                    inner.fetching.push(job.clone());
                }
                next
            };
            let Some((job, user)) = next else {
                let mut inner = self.lock();
                while inner.nudges == seen && !inner.closed {
                    inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
                continue;
            };
            let fetched = fetch(&user);
            let problem = {
                let mut inner = self.lock();
                inner.fetching.retain(|fetching| fetching != &job);
                match fetched {
                    Ok(options) => {
                        inner.ready.insert(job.clone(), options);
                        None
                    }
                    Err(problem) => Some(problem),
                }
            };
            self.changed.notify_all();
            if let Some(problem) = problem {
                refused(&job, problem);
            }
        }
    }
}
