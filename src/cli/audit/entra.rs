//! `audit verify --against-entra`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::cli::connect::connect;
use crate::cli::interrupt::{Patience, interrupted};
use crate::cli::output::aside;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::graph::directory_audits::PasskeyAct;
use crate::graph::report_pace::ReportPace;
use crate::graph::{Cancel, GraphEvent};
use crate::ledger::Ledger as _;
use crate::model::UserId;
use crate::tenant::audit_trail::{Known, LAG, Seen, fold, known, pair};
use crate::world::{Clock, SystemClock};

pub(super) fn run(context: &Context<'_>, settings: &Settings, days: u16) -> Result<Exit, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cancel = Cancel::new();
    let _patience = Patience::with(interrupted(), cancel.clone());
    let told = Arc::new(|event: GraphEvent| {
        if let GraphEvent::Throttled { seconds, doing } = event {
            aside(&format!("Graph asks to slow down: {seconds} s, then on with it ({doing})."));
        }
    });
    let graph = connect(context, settings, &settings.tenant()?, &clock, told, cancel)?;
    graph.sign_in()?;
    let now = clock.now();
    let since = now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::UNIX_EPOCH);
    let rows = graph.passkey_audits(since, &ReportPace::of_reports())?;
    // Read after the log, so that what was registered meanwhile is known.
    let ledger = ledger::to_read(settings)?;
    let people = ledger.people()?;
    let names: HashMap<String, UserId> =
        people.iter().map(|person| (person.upn.as_str().to_lowercase(), person.id.clone())).collect();
    let upns: HashMap<UserId, String> = people.into_iter().map(|person| (person.id, person.upn.to_string())).collect();
    let paired = pair(&known(&ledger)?, fold(rows, &names), since, now);
    for one in &paired.strangers {
        stranger(context, one);
    }
    for (list, word) in [(&paired.missing, "missing"), (&paired.pending, "pending")] {
        for one in list {
            ours(context, one, word, &upns);
        }
    }
    let output = context.output;
    let (strangers, missing) = (paired.strangers.len(), paired.missing.len());
    output.answer(&format!(
        "Passkeys added or deleted in the last {days} days: {} are in both, {strangers} are in Entra's log only, {missing} in the ledger only.",
        paired.pairs
    ));
    if paired.older > 0 {
        output.answer(&format!("{} in the ledger are from before that and were not compared.", paired.older));
    }
    if !paired.pending.is_empty() {
        let minutes = LAG.as_mins();
        output.answer(&format!(
            "{} are younger than {minutes} minutes: Entra's log is late by as much. Look again later.",
            paired.pending.len()
        ));
    }
    if missing > 0 {
        output.answer("A tenant without P1 or P2 keeps its log seven days: then look with --days 7.");
    }
    output.json(&json!({
        "event": "against-entra", "days": days, "paired": paired.pairs, "strangers": strangers, "missing": missing,
        "pending": paired.pending.len(), "older": paired.older, "head": ledger.head()?.to_string(),
    }));
    Ok(if strangers + missing == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn done(act: PasskeyAct) -> &'static str {
    match act {
        PasskeyAct::Added => "registered",
        PasskeyAct::Deleted => "deleted",
    }
}

fn stranger(context: &Context<'_>, one: &Seen) {
    let whose = one.upn.clone().or_else(|| one.user.as_ref().map(ToString::to_string)).unwrap_or_default();
    let by = match (&one.by, one.themself) {
        (_, true) => "themself".to_owned(),
        (Some(by), false) => by.clone(),
        (None, false) => "somebody the log does not name".to_owned(),
    };
    let model = one.aaguid.map_or(String::new(), |aaguid| format!(", model {aaguid}"));
    context.output.answer(&format!(
        "{}: a passkey of {whose} was {} by {by}{model}, and no entry here knows of it.",
        one.at,
        done(one.act)
    ));
    context.output.json(&json!({
        "event": "entra-only", "act": done(one.act), "at": one.at, "upn": one.upn, "user": one.user, "by": one.by,
        "themself": one.themself, "aaguid": one.aaguid.map(|aaguid| aaguid.to_string()),
    }));
}

fn ours(context: &Context<'_>, one: &Known, word: &str, upns: &HashMap<UserId, String>) {
    let whose = upns.get(&one.user).cloned().unwrap_or_else(|| one.user.to_string());
    let job = one.job.as_ref().map_or(String::new(), |job| format!(" (job {job})"));
    if word == "missing" {
        let maybe = match one.act {
            PasskeyAct::Added => "",
            PasskeyAct::Deleted => " It may have been gone already: then who deleted it is named above.",
        };
        context.output.answer(&format!(
            "{}: the ledger says that a passkey of {whose}{job} was {}, and Entra's log does not show it.{maybe}",
            one.to,
            done(one.act)
        ));
    }
    context.output.json(&json!({
        "event": "ledger-only", "act": done(one.act), "at": one.to, "upn": upns.get(&one.user), "user": one.user,
        "job": one.job, "why": word,
    }));
}
