//! The run itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::SignedDuration;

use super::metadata::{self, MetadataFiles};
use super::whom::{self, Served};
use super::{
    Listener, ProvisionError, Report, Start, batch_rule, custodians, directory, give_up, held, plan, policy, ready,
};
use crate::graph::Graph;
use crate::graph::display_name::NameTemplate;
use crate::ledger::{Append, Entry, Ledger, RunEnd};
use crate::model::{BatchId, JobId, ReleaseRule, RunId, TenantId, Upn};
use crate::pin::{PinPolicy, Recipients, ResumeStore, escrow};
use crate::pipeline::bench::{Bench, Holding, Outside, Ports, RunSettings};
use crate::pipeline::progress::{Progress, Summary};
use crate::pipeline::watch::settle_before_run;
use crate::roster::Roster;
use crate::roster::check::{Rules, check};
use crate::roster::plan::{Disposition, KnownJob, Plan, batch_of};
use crate::webauthn::trust::Anchors;
use crate::world::{Clock, Entropy, KeyPorts, Operator};

/// The machine a run works on: real, or simulated.
pub struct Machine<'w> {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Ports.
    pub ports: &'w dyn KeyPorts,
    /// The person at the bench.
    pub operator: &'w dyn Operator,
    /// The keys are simulated.
    pub simulated: bool,
    /// Roots that simulated keys attest under; trusted on loopback only.
    pub simulator_roots: Anchors,
    /// Set at Ctrl-C.
    pub interrupted: &'w AtomicBool,
}

/// Times that a run keeps. Defaults are for people; rehearsals are faster.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Without a key for so long, the run ends.
    pub idle: Duration,
    /// How long reads are repeated until Entra shows what it accepted.
    pub list_lag: Duration,
    /// How long the tenant may be down.
    pub outage: Duration,
    /// How long after a challenge's expiry a lost registration may still turn up.
    pub settling: SignedDuration,
    /// How many keys blink at a time.
    pub blink: usize,
    /// Two touches of blinking keys closer together than this may have been meant the other way round.
    pub touches_apart: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(5 * 60),
            list_lag: Duration::from_secs(60),
            outage: Duration::from_secs(10 * 60),
            settling: SignedDuration::from_mins(10),
            blink: 3,
            touches_apart: Duration::from_secs(1),
        }
    }
}

/// What a run is asked for.
pub struct Request<'a> {
    /// The tenant that the settings name.
    pub tenant: TenantId,
    /// Whom PINs are sealed to.
    pub recipients: Recipients,
    /// Registration waits for receipt; at the bench when `None`.
    pub hold: Option<Holding>,
    /// PINs.
    pub pins: PinPolicy,
    /// Leave the forced change off where the first device can't do it.
    pub leave_off: bool,
    /// `[tenant] allowed_group`.
    pub allowed_group: Option<&'a str>,
    /// `[bench] never`.
    pub never: BTreeSet<crate::model::Serial>,
    /// `[bench] only_expected`: the suppliers' lists.
    pub only: Option<BTreeSet<crate::model::Serial>>,
    /// `[bench] key_name`.
    pub key_name: &'a str,
    /// `[bench] mds`.
    pub mds: Option<MetadataFiles>,
    /// The file, unless only a group is asked for.
    pub roster: Option<Roster>,
    /// `--group`.
    pub group: Option<&'a str>,
    /// What names the batch where it is not named: the roster's full path, else the group.
    pub source: String,
    /// `--batch`.
    pub batch: Option<BatchId>,
    /// `[handover] release`: when PINs of new batches may leave.
    pub release: ReleaseRule,
    /// `--release`: when this batch's may.
    pub release_asked: Option<ReleaseRule>,
    /// `--allow-privileged`.
    pub allow_privileged: Vec<Upn>,
    /// `--give-up`: jobs whose key is dead or lost.
    pub give_up: Vec<JobId>,
    /// `--ports`.
    pub ports: Ports,
    /// `--strict`.
    pub strict: bool,
    /// The operating system's name for who runs this.
    pub operator_name: String,
    /// Times.
    pub bounds: Bounds,
}

/// Provisions. Signs in, checks everybody, plans, works until everybody is served, sums up.
///
/// # Errors
/// [`ProvisionError`]; where the bench had begun, what was in flight stands in the ledger.
pub fn provision(
    request: Request<'_>,
    machine: &Machine<'_>,
    graph: &Graph,
    ledger: &dyn Ledger,
    resume: &dyn ResumeStore,
    listener: &dyn Listener,
) -> Result<Report, ProvisionError> {
    let loopback = graph.settings().cloud.is_loopback();
    if machine.simulated && !loopback {
        return Err(ProvisionError::SimulatedKeys);
    }
    let name = NameTemplate::parse(request.key_name).map_err(|error| ProvisionError::KeyName(error.to_string()))?;
    resume.probe()?;
    escrow::probe(&request.recipients)?;
    if let Some(holding) = &request.hold {
        escrow::probe(&holding.keys)?;
    }
    let metadata = match &request.mds {
        None => None,
        Some(files) => {
            // The simulator's root may sign metadata on loopback only.
            let mut anchors = Anchors::fido();
            for root in machine.simulator_roots.iter().filter(|_| loopback) {
                anchors = anchors.and(root.to_vec());
            }
            Some(metadata::read(files, &anchors, machine.clock.now(), listener)?)
        }
    };

    let account = graph.sign_in()?;
    if let Some(found) = account.tenant.as_ref().filter(|found| {
        !found.as_str().eq_ignore_ascii_case(request.tenant.as_str())
            && uuid::Uuid::try_parse(request.tenant.as_str()).is_ok()
    }) {
        return Err(ProvisionError::OtherTenant { found: found.to_string(), wanted: request.tenant.to_string() });
    }
    let tenant = account.tenant.clone().unwrap_or_else(|| request.tenant.clone());
    let of_a_file = request.roster.is_some();
    let (roster, left_out) = directory::rows(graph, request.roster, request.group)?;
    if left_out > 0 {
        listener.note(&format!("{left_out} people on the roster are not in the group and are left out."));
    }
    for note in &roster.notes {
        listener.note(note);
    }
    let allowed = request.allowed_group.map(|name| graph.find_group(name)).transpose()?.map(|group| group.id);
    let whose = (allowed.as_deref(), request.allow_privileged.as_slice());
    let facts = ready::weigh(graph, &account, &roster, whose, request.strict, listener)?;
    let fido2 = policy::of_facts(&facts);
    let caller = graph.whoami().ok().and_then(|account| account.object_id);
    let people = directory::of_facts(&roster.rows, &facts.people, caller.as_ref(), allowed.as_deref());
    for question in &people.unknown {
        listener.note(&format!("Not known, because this account may not ask: {question}."));
    }

    // Whoever is in force for the first time is written with the plan: a run that stops before it has pinned nobody.
    let mut begin_with: Vec<Entry> = custodians::not_yet_pinned(ledger, &request.recipients)?.into_iter().collect();
    if let Some(holding) = &request.hold {
        begin_with.extend(held::keys_not_yet_pinned(ledger, &holding.keys)?);
    }
    give_up::check(ledger, &tenant, &request.give_up)?;
    for ended in held::end_what_is_over(ledger, &tenant, graph.server_now())? {
        listener.note(&what_ended(&ended));
    }
    let known = plan::known(ledger, &tenant)?;
    let mut finished = std::collections::HashMap::new();
    for job in known.iter().filter(|job| job.status == crate::model::JobStatus::Finished) {
        *finished.entry(job.user.clone()).or_insert(0) += 1;
    }
    let rules = Rules {
        allow_privileged: request.allow_privileged,
        allowed_group: request.allowed_group.map(str::to_owned),
        models: metadata.as_ref().map(metadata::named),
        force_change: request.pins.force_change() != crate::pin::ForceChange::Never,
        leave_off: request.leave_off,
        finished,
    };
    let mut checked = check(&roster.rows, &people.facts, &rules);
    whom::refuse_by_policy(&mut checked, &fido2, &people.groups);
    let batch = request.batch.unwrap_or_else(|| batch_of(&tenant, &request.source));
    let ruled =
        batch_rule::decide(&batch, batch_rule::in_force(ledger, &batch)?, request.release, request.release_asked)?;
    let todo = whom::plan_confirmed(&mut checked, (&tenant, &batch), &known, machine.operator);
    let served = whom::count_what_is_served(&mut checked, &tenant, &known);

    for warning in &checked.warnings {
        listener.warned(warning);
    }
    let done = whom::served(&known).map(|job| &job.job).collect();
    for refusal in &checked.refused {
        let job = whom::refused_job(&tenant, refusal, &done);
        listener.refused(refusal, job.as_ref().map(|(job, _)| job));
    }
    if request.strict && !checked.refused.is_empty() {
        return Err(ProvisionError::Strict(checked.refused.len()));
    }

    if let (Some(holding), Some(first)) = (&request.hold, checked.people.first()) {
        held::challenges_live(graph, holding, &first.person.id)?;
        listener.note(&format!(
            "Keys are held (beta): they are registered on receipt, within {} days, by keybench activate.",
            holding.minutes / (24 * 60)
        ));
    }
    if let Some(other) = other_batch(&todo, &known, &batch) {
        listener.note(&format!(
            "These people were planned by batch {other}; their keys stay in it. `--batch {other}` goes on with that batch."
        ));
    }
    let run = new_run(&*machine.entropy)?;
    let operator = request.operator_name;
    begin_with.push(Entry::RunStarted {
        run: run.clone(),
        batch: batch.clone(),
        tenant: tenant.clone(),
        roster: crate::ledger::BlobHash(roster.hash),
        source: Some(if of_a_file { file_name(&roster.source) } else { roster.source.clone() }),
        operator: operator.clone(),
        account: account
            .object_id
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| account.app_id.clone())
            .unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    begin_with.extend(ruled.entry(&batch, &operator));
    plan::write(ledger, &tenant, &batch, &checked, &todo, &known, begin_with)?;
    if ruled.release != request.release {
        let when = ruled.release.word();
        listener.note(&format!("PINs of this batch are released {when}, whatever the settings say of others."));
    }
    let (first, second) = request.recipients.fingerprints();
    let refused: u64 = checked.refused.iter().map(|refusal| u64::from(refusal.keys)).sum();
    listener.started(&Start {
        run: run.as_str(),
        batch: batch.as_str(),
        tenant: tenant.as_str(),
        roster: &roster.source,
        custodians: first.into_iter().chain(second).collect(),
        planned: todo.jobs.len() as u64 + refused + served.keys,
        pin_bits: pin_bits(&request.pins),
    });

    let settled = settle_before_run(ledger, resume, graph, machine.clock.now())?;
    for (job, method) in &settled.deleted {
        listener.note(&format!("A registration of job {job} had turned up late and was deleted again ({method})."));
    }
    for (job, why) in &settled.unseen {
        listener.note(&format!("A lost registration of job {job} could not be looked for: {why}"));
    }
    if settled.still_watched > 0 {
        listener.note(&format!("{} lost registrations are still being watched for.", settled.still_watched));
    }

    give_up::give_up_named(ledger, resume, graph, machine.operator, listener, &request.give_up)?;

    let queue = plan::queue(ledger, &checked, &todo)?;
    let watcher = |progress: &Progress| {
        if !matches!(progress, Progress::Summary(_)) {
            listener.happened(progress);
        }
    };
    let simulator_roots = if loopback { machine.simulator_roots.clone() } else { Anchors::none() };
    let settings = RunSettings {
        run: run.clone(),
        ports: request.ports,
        never: request.never,
        only: request.only,
        pins: request.pins,
        recipients: request.recipients,
        require_hmac_secret: true,
        display_name: name,
        change_possible: if request.leave_off { can_change } else { |_| true },
        attestation_enforced: fido2.enforces_attestation(),
        model_policy: fido2.into_model_policy(people.groups),
        metadata,
        extra_anchors: simulator_roots,
        allow_simulated: loopback,
        blink: request.bounds.blink,
        touches_apart: request.bounds.touches_apart,
        idle: request.bounds.idle,
        settling: request.bounds.settling,
        hold: request.hold,
        list_lag: request.bounds.list_lag,
        outage: request.bounds.outage,
        limits: Default::default(),
    };
    let bench = Bench::new(
        Outside {
            clock: Arc::clone(&machine.clock),
            entropy: Arc::clone(&machine.entropy),
            ports: machine.ports,
            graph,
            ledger,
            resume,
            operator: machine.operator,
            watcher: &watcher,
        },
        settings,
        queue,
    );
    let outcome = bench.run(machine.interrupted)?;
    let summary = sum_up(outcome.summary, refused, served, &run, ledger)?;
    Ok(Report {
        nothing_to_do: todo.jobs.is_empty(),
        stopped_by: outcome.paused.filter(|_| summary.end == RunEnd::Stopped).map(|pause| (pause.code, pause.detail)),
        summary,
    })
}

/// The batch that all these people were planned by, where that is one and another than this run's.
fn other_batch<'k>(todo: &Plan, known: &'k [KnownJob], batch: &BatchId) -> Option<&'k BatchId> {
    if todo.jobs.iter().any(|job| job.disposition == Disposition::New) {
        return None;
    }
    let wanted: BTreeSet<&JobId> = todo.jobs.iter().map(|job| &job.job).collect();
    let of: BTreeSet<&BatchId> = known.iter().filter(|job| wanted.contains(&job.job)).map(|job| &job.batch).collect();
    let mut of = of.into_iter();
    of.next().filter(|first| of.next().is_none() && *first != batch)
}

fn what_ended(ended: &held::Ended) -> String {
    let day = ended.expires.strftime("%Y-%m-%d");
    match ended.code.as_str() {
        held::HOLD_EXPIRED => format!(
            "The held key of job {} was not activated before {day}: its person gets another. `keybench return` wipes the old \
             one when it comes back.",
            ended.job
        ),
        code => format!("The held key of job {} is {code}: its sealed registration was destroyed.", ended.job),
    }
}

/// Writes the run's end; the head that the summary shows includes it.
fn sum_up(
    mut summary: Summary,
    refused: u64,
    served: Served,
    run: &RunId,
    ledger: &dyn Ledger,
) -> Result<Summary, ProvisionError> {
    summary.counts.planned += refused + served.keys;
    summary.counts.refused += refused;
    summary.counts.already += served.keys;
    summary.counts.held += served.held;
    summary.head =
        ledger.append(Append::entry(Entry::RunEnded { run: run.clone(), end: summary.end, counts: summary.counts }))?;
    Ok(summary)
}

/// Without its folder, which may tell more than the file.
fn file_name(path: &str) -> String {
    std::path::Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn can_change(device: crate::model::FirstDevice) -> bool {
    crate::roster::first_device::device(device).can_change != crate::roster::first_device::CanChange::No
}

fn new_run(entropy: &dyn Entropy) -> Result<RunId, ProvisionError> {
    let mut bytes = [0u8; 8];
    entropy.fill(&mut bytes)?;
    Ok(RunId::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Bits of entropy of a PIN on a key without limits of its own.
fn pin_bits(pins: &PinPolicy) -> f64 {
    let facts = crate::pin::KeyPinFacts { can_set_pin_rules: true, ..Default::default() };
    pins.for_key(&facts).map_or(0.0, |plan| crate::pin::generate::entropy_bits(&plan))
}
