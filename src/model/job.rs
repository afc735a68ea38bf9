//! How far a job got, as people and reports see it. The exact state is `pipeline::state`'s.

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// No key yet.
    Waiting,
    /// A key has been begun; the same command goes on with it.
    Begun,
    /// The key is registered, read back and hardened.
    Finished,
    /// The key is made and hardened; it is registered when its person has received it.
    Held,
    /// The last try failed; the person needs another one.
    Failed,
    /// The directory or the policy refuses this person.
    Refused,
    /// Set aside: left the roster, or the run ended before it.
    Parked,
}
