//! What stands in the tenant: cloud, sign-in, and those of the preflight's checks that don't depend on people.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Findings;
use crate::cli::connect::connect;
use crate::cli::{CliError, Exit};
use crate::config::{Auth, Settings};
use crate::graph::methods_policy::Models;
use crate::graph::{Account, Cancel, ErrorKind, Graph, GraphEvent};
use crate::model::Aaguid;
use crate::tenant::gather::{Asking, gather_for_run};
use crate::tenant::preflight::catalogue::find;
use crate::tenant::preflight::facts::{Mode, Plan};
use crate::tenant::preflight::{self, Id, Verdict};
use crate::world::{Clock, SystemClock};

/// Checks that say something without knowing the people; the others are `keybench tenant check`'s.
const WITHOUT_PEOPLE: [Id; 8] = [Id(1), Id(2), Id(6), Id(8), Id(9), Id(10), Id(12), Id(36)];

pub(super) fn examine(findings: &mut Findings<'_>, settings: &Settings, models: &[(String, Aaguid)]) {
    let tenant = match settings.tenant() {
        Ok(tenant) => tenant,
        Err(error) => return findings.error("tenant", &error.into()),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let silent = Arc::new(|_: GraphEvent| {});
    let graph = match connect(findings.context, settings, &tenant, &clock, silent, Cancel::new()) {
        Ok(graph) => graph,
        Err(error) => return findings.error("tenant", &error),
    };
    let cloud = &graph.settings().cloud;
    let place = if cloud.is_loopback() { "a simulated tenant on this machine" } else { "Microsoft's cloud" };
    findings.ok("cloud", format!("{} and {}: {place}", tenant.graph_url, tenant.login_url));
    // What `keybench login` keeps serves here too; where it takes a person and none would see it, nothing is known.
    let asks_a_person = matches!(tenant.auth, Auth::DeviceCode | Auth::Browser);
    let unseen = asks_a_person && !findings.context.output.style().stderr_is_terminal;
    let account = match graph.sign_in() {
        Ok(account) => account,
        Err(error) if unseen && error.kind() == ErrorKind::SignIn => {
            let CliError { fact, next, .. } = error.into();
            return findings.unknown("sign-in", fact, next);
        }
        Err(error) => return findings.error("sign-in", &error.into()),
    };
    sign_in(findings, &account, tenant.id.as_str());
    weigh(findings, &graph, account, settings, models);
    if let Some(name) = &tenant.allowed_group {
        match graph.find_group(name) {
            Ok(group) => findings.ok("allowed group", format!("{} ({})", group.name, group.id)),
            Err(error) => findings.error("allowed group", &CliError::from(error)),
        }
    }
}

fn sign_in(findings: &mut Findings<'_>, account: &Account, wanted: &str) {
    let who = account.name.clone().or_else(|| account.app_id.clone()).unwrap_or_else(|| "an account".into());
    let how = if account.app_only { "the application itself" } else { "a person" };
    match &account.tenant {
        Some(found) if !found.as_str().eq_ignore_ascii_case(wanted) => {
            let evidence = format!("signed in as {who} to tenant {found}, but the settings name {wanted}");
            findings.fail("sign-in", Exit::Usage, evidence, "correct tenant.id, or sign in with another account.");
        }
        _ => findings.ok("sign-in", format!("as {who} ({how})")),
    }
}

/// The preflight's checks, in the words of `keybench tenant check`.
fn weigh(
    findings: &mut Findings<'_>,
    graph: &Graph,
    account: Account,
    settings: &Settings,
    models: &[(String, Aaguid)],
) {
    let mut plan = Plan::of(Mode::Provision);
    let wanted = models.iter().map(|(name, aaguid)| (*aaguid, Some(name.clone()))).collect();
    plan.models = crate::provision::metadata::models(settings.bench.mds.as_deref(), SystemClock::new().now(), wanted);
    let asking = Asking { graph, account, plan, people: Vec::new(), statements: Vec::new(), progress: &|_| {} };
    let facts = match gather_for_run(asking, &BTreeSet::new()) {
        Ok(gathered) => gathered.facts,
        Err(error) => return findings.error("tenant", &error.into()),
    };
    for check in WITHOUT_PEOPLE.into_iter().filter_map(find) {
        if facts.plan.models.is_empty() && matches!(check.id, Id(9) | Id(10)) {
            continue;
        }
        for finding in preflight::findings(check, &facts) {
            let evidence = finding.evidence.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            let said = format!("{}\n{evidence}", finding.what);
            let next = finding.remedy.map(|remedy| remedy.text).unwrap_or_default();
            match finding.verdict {
                Verdict::Pass | Verdict::Info => findings.ok(check.name, finding.what),
                Verdict::Warn => findings.warn(check.name, said, next),
                Verdict::Unknown => findings.unknown(check.name, said, next),
                Verdict::Fail => findings.fail(check.name, Exit::Tenant, said, next),
            }
        }
    }
    for profile in facts.passkeys().iter().flat_map(|policy| &policy.profiles) {
        let models = match &profile.models {
            Models::Any => "any model".to_owned(),
            Models::Only(list) => format!("only {} models", list.len()),
            Models::Except(list) => format!("all models but {}", list.len()),
            Models::Unknown(rule) => format!("models by a rule that keybench does not know ({rule})"),
        };
        let kind = if profile.device_bound { "security keys" } else { "synced passkeys only" };
        let attested = if profile.attestation_required { ", attestation required" } else { "" };
        findings.ok("profile", format!("{}: {kind}, {models}{attested}", profile.name));
    }
}
