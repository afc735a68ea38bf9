//! A RUN: from settings and a roster to the last key.
//!
//! ```text
//! roster ─► directory (Graph) ─► check ─► policy ─► plan ─► ledger ─► bench ─► summary
//! ```
//!
//! Promise: everything that can be known before the first touch is known before it, nobody is dropped without being named,
//! and what is planned stands in the ledger before a key is asked for. Nothing here prints: it tells a [`Listener`].

mod batch_rule;
pub mod custodians;
mod directory;
pub(crate) mod give_up;
pub mod held;
pub mod metadata;
mod plan;
mod policy;
mod ready;
pub mod rotation;
mod run;
mod whom;

use std::path::PathBuf;

use crate::graph::GraphError;
use crate::ledger::LedgerError;
use crate::model::{BatchId, JobId};
use crate::pin::{ResumeError, SealError};
use crate::pipeline::bench::BenchError;
use crate::pipeline::progress::{Progress, Summary};
use crate::pipeline::watch::SettleError;
use crate::roster::{Refusal, Warning};
use crate::tenant::preflight::Finding;
use crate::tenant::preflight::verdict::Together;

pub use metadata::MetadataFiles;
pub use run::{Bounds, Machine, Request, provision};

/// What a run tells before and after its keys; the keys themselves are [`Progress`].
pub trait Listener: Send + Sync {
    /// Something worth a line while people are looked up.
    fn note(&self, text: &str);
    /// Something the preflight warns of or does not know; the run goes on.
    fn weighed(&self, findings: &Together<'_>);
    /// Known before the first key; nobody is refused for it.
    fn warned(&self, warning: &Warning);
    /// A person can't have a key. `job` is `None` where the directory does not know the person.
    fn refused(&self, refusal: &Refusal, job: Option<&JobId>);
    /// The run begins.
    fn started(&self, start: &Start<'_>);
    /// Something happened at the bench.
    fn happened(&self, progress: &Progress);
}

/// What a run begins with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The run.
    pub run: &'a str,
    /// The batch.
    pub batch: &'a str,
    /// The tenant.
    pub tenant: &'a str,
    /// The roster's or the group's name.
    pub roster: &'a str,
    /// Whom PINs are sealed to: fingerprints, first group then second.
    pub custodians: Vec<String>,
    /// People times keys.
    pub planned: u64,
    /// How many PINs there are to choose from, as bits of entropy, on a key with no limits of its own.
    pub pin_bits: f64,
}

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// The numbers.
    pub summary: Summary,
    /// What had paused the run when it ended: code and words.
    pub stopped_by: Option<(String, String)>,
    /// Nobody was planned: everybody was refused, or the roster is empty.
    pub nothing_to_do: bool,
}

impl From<SettleError> for ProvisionError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Ledger(error) => error.into(),
            SettleError::Resume(error) => error.into(),
            SettleError::Graph(error) => error.into(),
        }
    }
}

/// Why a run did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// Graph, before the first key.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The bench.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The resume store.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// PINs can't be sealed to these custodians.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The settings name other custodians than the ledger.
    #[error("{0}")]
    Custodians(String),
    /// The settings name other activation keys than the ledger.
    #[error("the settings name other activation keys than those in force")]
    ActivationKeys {
        /// In the settings only.
        added: Vec<String>,
        /// In force only.
        missing: Vec<String>,
    },
    /// Held activation, and the tenant's challenges don't live.
    #[error("keys can't be held in this tenant. {0}")]
    ChallengeTooShort(String),
    /// Signed in to another tenant than the settings name.
    #[error("signed in to tenant {found}, but the settings name {wanted}")]
    OtherTenant {
        /// In the token.
        found: String,
        /// In the settings.
        wanted: String,
    },
    /// The preflight found what stops a run; with `strict` also what only warns, or is not known.
    #[error("{}", findings.first().map_or("the tenant is not ready", |first| first.what.as_str()))]
    NotReady {
        /// What it found, worst first; never empty.
        findings: Vec<Finding>,
        /// It stops for `--strict` alone.
        strict: bool,
    },
    /// `--strict`, and somebody was refused.
    #[error("{0} people can't have a key, and --strict stops before the first")]
    Strict(usize),
    /// Simulated keys and a real tenant.
    #[error("simulated keys can't be registered in a real tenant")]
    SimulatedKeys,
    /// The FIDO metadata.
    #[error("the FIDO metadata {path} can't be used: {what}")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
        /// What to do.
        next: String,
    },
    /// The settings' name for keys.
    #[error("[bench] key_name: {0}")]
    KeyName(String),
    /// `--release` asks for less than the batch does.
    #[error("the batch {0} keeps its PINs back until receipt, and no run loosens that")]
    LooserBatch(BatchId),
    /// `--give-up` names a job that can't be given up.
    #[error("job {job} can't be given up: {why}")]
    NotBegun {
        /// Which.
        job: JobId,
        /// Why not.
        why: String,
    },
    /// No randomness.
    #[error(transparent)]
    NoEntropy(#[from] crate::world::NoEntropy),
    /// The ledger's account of a job makes no sense.
    #[error("job {job}: {what}")]
    BrokenAccount {
        /// Which.
        job: JobId,
        /// What.
        what: String,
    },
}
