//! One sentence for each thing that happens.

use crate::ledger::entry::{ForcedChange, RunEnd};
use crate::pipeline::code::meaning;
use crate::pipeline::progress::{Progress, ShownBy, Stage, Standing, Summary};

/// How a sentence is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something went as it should.
    Good,
    /// Something to know.
    Plain,
    /// Something to do, now.
    Act,
    /// Something that did not go as it should.
    Bad,
}

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it is meant.
    pub tone: Tone,
    /// What it says; may have further lines, which are indented.
    pub text: String,
}

fn line(tone: Tone, text: impl Into<String>) -> Option<Line> {
    Some(Line { tone, text: text.into() })
}

/// The fact and the next step of a code, with more words when there are any.
pub fn explain(code: &str, detail: Option<&str>) -> String {
    let mut text = match meaning(code) {
        Some(meaning) => format!("{}\n  Next: {}", meaning.what, meaning.next),
        None => code.to_owned(),
    };
    if let Some(detail) = detail
        && let Some((what, next)) = text.clone().split_once('\n')
    {
        text = format!("{what}\n  {}\n{next}", detail.trim().replace('\n', "\n  "));
    }
    text
}

/// What is said of it; `None` for what only moves on the screen.
pub fn say(progress: &Progress) -> Option<Line> {
    match progress {
        Progress::Ready { ports, waiting, begun } => {
            let mut text = format!("Ready: {waiting} waiting for a key");
            if *begun > 0 {
                text.push_str(&format!(", {begun} begun earlier (put those keys back in)"));
            }
            if !ports.is_empty() {
                let names: Vec<&str> = ports.iter().map(|port| port.as_str()).collect();
                text.push_str(&format!("; ports {}", names.join(", ")));
            }
            text.push('.');
            line(Tone::Plain, text)
        }
        Progress::KeyRefused { key, code, detail } => line(
            Tone::Bad,
            format!("Port {}: {} refused. {}", key.port, key.for_people(), explain(code, detail.as_deref())),
        ),
        Progress::Assigned { port, job, upn, resumed } if *resumed => line(
            Tone::Plain,
            format!("Port {port}: the key of {upn} (job {job}) is back; settling what was left open."),
        ),
        Progress::Stage { port, stage: Stage::Touch } => line(Tone::Act, format!("Port {port}: touch the key.")),
        Progress::TouchRearmed { port } => {
            line(Tone::Plain, format!("Port {port}: not touched in time; it blinks again."))
        }
        Progress::Bound { port, job, upn } => {
            line(Tone::Plain, format!("Port {port}: the key is {upn}'s (job {job})."))
        }
        Progress::TouchesTooClose { ports } => {
            let names: Vec<&str> = ports.iter().map(|port| port.as_str()).collect();
            line(
                Tone::Plain,
                format!(
                    "Ports {}: touched within a second of each other. Each shows which it is before it is labelled.",
                    names.join(" and ")
                ),
            )
        }
        Progress::WhichKey { port, job, upn, by: ShownBy::Wink } => {
            line(Tone::Act, format!("Port {port}: the key that flashes now is {upn}'s (job {job}), and no other."))
        }
        Progress::WhichKey { port, by: ShownBy::Replug, .. } => line(
            Tone::Act,
            format!(
                "Port {port}: no label yet. Take this key out, put it in again in any port, and you are told whose it is."
            ),
        ),
        Progress::WhichKey { port, by: ShownBy::PutBack, .. } => line(
            Tone::Act,
            format!(
                "Port {port}: no label for the key just taken out. Put it in again: then you are told whose it is."
            ),
        ),
        Progress::Throttled { wait } => {
            line(Tone::Plain, format!("Graph asks for patience: going on in {} s.", wait.as_secs().max(1)))
        }
        Progress::Retrying { why, wait } => {
            line(Tone::Plain, format!("{why}; trying again in {} s.", wait.as_secs().max(1)))
        }
        Progress::Paused { code, detail } => {
            line(Tone::Bad, format!("All touches pause. {}", explain(code, Some(detail))))
        }
        Progress::Unpaused => line(Tone::Good, "The pause is over: touches go on."),
        Progress::Finished(done) => {
            let change = match done.forced {
                ForcedChange::Forced => "a PIN change is forced",
                ForcedChange::NotAsked => "no PIN change is forced",
                ForcedChange::Unsupported => "the key can't force a PIN change",
            };
            let (port, upn, key) = (&done.key.port, &done.upn, done.key.for_people());
            let text = match &done.standing {
                Standing::Registered(_) => format!("Port {port}: finished for {upn} ({key}); {change}."),
                Standing::Held { expires } => format!(
                    "Port {port}: held for {upn} ({key}), to be activated on receipt until {}; {change}.",
                    expires.strftime("%Y-%m-%d")
                ),
            };
            line(Tone::Good, text)
        }
        Progress::TakeOut { port, job, upn } => {
            line(Tone::Act, format!("Port {port}: label it {job} ({upn}) and take it out."))
        }
        Progress::Reject { port, .. } => line(Tone::Act, format!("Port {port}: take it out and mark it REJECT.")),
        Progress::PulledEarly { port, job, upn, key } => line(
            Tone::Bad,
            format!(
                "Stopped: port {port} was unplugged before the key of {upn} (job {job}) was finished.\n  \
                 Next: put the same key ({}) back in any port; the job settles itself before going on.",
                key.for_people()
            ),
        ),
        Progress::Failed { job, upn, port, code, detail, final_for_run } => {
            let mut text = format!("Port {port}: failed for {upn} (job {job}). {}", explain(code, detail.as_deref()));
            if !final_for_run {
                text.push_str("\n  The person stays in line for another key.");
            }
            line(Tone::Bad, text)
        }
        Progress::Parked { job, upn, code, .. } => {
            let why = meaning(code).map_or(code.as_str(), |meaning| meaning.what);
            line(Tone::Plain, format!("Set aside: {upn} (job {job}). {why}"))
        }
        Progress::Note(text) => line(Tone::Plain, text.clone()),
        Progress::Plugged { .. }
        | Progress::Identified { .. }
        | Progress::Assigned { .. }
        | Progress::Stage { .. }
        | Progress::Taken { .. }
        | Progress::Left { .. }
        | Progress::Summary(_) => None,
    }
}

/// Whether somebody who looks elsewhere has to be called: something went wrong, or waits for a hand longer than it should.
pub fn calls_for_attention(progress: &Progress) -> bool {
    match progress {
        Progress::PulledEarly { .. }
        | Progress::Paused { .. }
        | Progress::Failed { .. }
        | Progress::KeyRefused { .. }
        | Progress::TouchRearmed { .. } => true,
        Progress::WhichKey { by, .. } => *by != ShownBy::Wink,
        _ => false,
    }
}

/// Some keys (YubiKey 5.7 and later) leave the factory with NFC locked until they have had USB power for some seconds, and say nothing of it over CTAP: so it is said
/// of all of them.
const NFC: &str = "NFC lock       lifted by USB power where a key has one; not set again";

/// The closing table, as lines of text; `custodians` are the fingerprints of those in force.
pub fn closing(summary: &Summary, custodians: &[String]) -> Vec<String> {
    let counts = &summary.counts;
    let seconds = summary.took.as_secs_f64();
    let done = if counts.held > 0 { "registered or held, hardened" } else { "registered, read back, hardened" };
    let mut lines = vec![
        format!("planned        {:>6}   people", counts.planned),
        format!("  finished     {:>6}   {done}", counts.finished),
        format!("  already      {:>6}   finished in an earlier run", counts.already),
        format!("  failed       {:>6}", counts.failed),
        format!("  refused      {:>6}   may not have a key", counts.refused),
        format!("  parked       {:>6}   go on with the same command", counts.parked),
        format!("keys refused   {:>6}", counts.keys_refused),
        format!("touches        {:>6}", summary.touches),
        format!("Graph requests {:>6}   and {} repeats or polls", summary.graph_requests, summary.graph_retries),
        format!("time           {seconds:>6.1} s first plug to last unplug"),
    ];
    if counts.held > 0 {
        lines.push(format!("held           {:>6}   of them; registered on receipt: keybench activate", counts.held));
    }
    if counts.finished > 0 && seconds > 0.0 {
        lines.push(format!("keys per hour  {:>6.0}", counts.finished as f64 * 3600.0 / seconds));
    }
    if !custodians.is_empty() {
        lines.push(format!("PINs sealed to {}", custodians.join(", ")));
    }
    lines.push(format!("ledger head    {}   {} entries", summary.head, summary.head.seq));
    if counts.finished > 0 {
        lines.push(NFC.to_owned());
    }
    lines.push(match summary.end {
        RunEnd::Complete => "Everybody had their turn.".to_owned(),
        RunEnd::Idle => "No key came for a while; the rest is set aside.".to_owned(),
        RunEnd::Interrupted => "Ended by the operator; the rest is set aside.".to_owned(),
        RunEnd::Stopped => "The run had to stop; the rest is set aside.".to_owned(),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, PortName};

    #[test]
    fn a_failure_says_fact_detail_and_next_step_in_that_order() {
        let said = say(&Progress::Failed {
            job: JobId::new("4TQ7M2KD9X"),
            upn: "kim@contoso.com".into(),
            port: PortName::new("1-4"),
            code: "registration-refused".into(),
            detail: Some("400 badRequest: attestation is not acceptable".into()),
            final_for_run: true,
        })
        .expect("said")
        .text;
        let fact = said.find("Entra refused").expect("the fact");
        let detail = said.find("400 badRequest").expect("the detail");
        let next = said.find("Next:").expect("the next step");
        assert!(fact < detail && detail < next, "{said}");
    }

    #[test]
    fn an_unknown_code_is_shown_as_it_is() {
        assert_eq!(explain("brand-new", None), "brand-new");
    }
}
