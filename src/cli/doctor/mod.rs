//! `keybench doctor`: everything that can be known before the first key, each with its evidence and its remedy.
//!
//! Promise: it changes nothing in the tenant, on a key or in the ledger. Exception: a file is written to the store of resume
//! keys and removed again, because only that proves that it can be.

mod bench;
mod paper;
mod tenant;

use clap::Args;
use serde_json::json;

use super::{CliError, Context, Exit};
use crate::config::Settings;

/// `keybench doctor`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench doctor
  keybench doctor --offline            without the tenant
  keybench doctor --json | jq -c 'select(.verdict == \"fail\")'

Each line is OK, WARN (a run goes on), FAIL (a run would stop) or UNKNOWN (could not be asked). The
exit code is that of the first FAIL: 2 settings, 3 tenant, 4 keys, 5 ledger.")]
pub struct DoctorArgs {
    /// Leave the tenant out
    #[arg(long)]
    pub offline: bool,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Verdict {
    Ok,
    Warn,
    Fail,
    Unknown,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Fail, Self::Unknown];

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    verdict: Verdict,
    /// What the exit code is if this fails.
    exit: Exit,
    evidence: String,
    next: String,
}

/// What was found, in order; each finding is shown at once, because the next may take time.
struct Findings<'a> {
    context: &'a Context<'a>,
    seen: Vec<(Verdict, Exit)>,
}

impl Findings<'_> {
    fn ok(&mut self, name: &str, evidence: impl Into<String>) {
        let finding =
            Finding { verdict: Verdict::Ok, exit: Exit::Done, evidence: evidence.into(), next: String::new() };
        self.add(name, &finding);
    }

    fn warn(&mut self, name: &str, evidence: impl Into<String>, next: impl Into<String>) {
        let finding =
            Finding { verdict: Verdict::Warn, exit: Exit::Done, evidence: evidence.into(), next: next.into() };
        self.add(name, &finding);
    }

    fn unknown(&mut self, name: &str, evidence: impl Into<String>, next: impl Into<String>) {
        let finding =
            Finding { verdict: Verdict::Unknown, exit: Exit::Done, evidence: evidence.into(), next: next.into() };
        self.add(name, &finding);
    }

    fn fail(&mut self, name: &str, exit: Exit, evidence: impl Into<String>, next: impl Into<String>) {
        let finding = Finding { verdict: Verdict::Fail, exit, evidence: evidence.into(), next: next.into() };
        self.add(name, &finding);
    }

    fn error(&mut self, name: &str, error: &CliError) {
        let evidence = std::iter::once(&error.fact).chain(&error.causes).map(String::as_str).collect::<Vec<_>>();
        self.fail(name, error.exit, evidence.join("\n"), &error.next);
    }

    fn add(&mut self, name: &str, finding: &Finding) {
        let Finding { verdict, exit, evidence, next } = finding;
        self.seen.push((*verdict, *exit));
        self.context.output.json(&json!({
            "event": "check", "name": name, "verdict": verdict.word(), "evidence": evidence, "next": next,
        }));
        let mut text =
            format!("{:<8}{name}: {}", verdict.word().to_uppercase(), evidence.replace('\n', "\n          "));
        if !next.is_empty() {
            text.push_str(&format!("\n          Next: {next}"));
        }
        self.context.output.answer(&text);
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.seen.iter().filter(|(seen, _)| *seen == verdict).count()
    }

    fn exit(&self) -> Exit {
        self.seen.iter().find(|(verdict, _)| *verdict == Verdict::Fail).map_or(Exit::Done, |(_, exit)| *exit)
    }
}

pub(super) fn run(context: &Context<'_>, args: &DoctorArgs) -> Result<Exit, CliError> {
    let mut findings = Findings { context, seen: Vec::new() };
    let settings = settings(&mut findings);
    bench::rights(&mut findings);
    let models = bench::keys(&mut findings, settings.as_ref());
    if let Some(settings) = &settings {
        bench::custodians(&mut findings, settings);
        bench::ledger(&mut findings, settings);
        bench::resume_store(&mut findings, settings);
        bench::metadata(&mut findings, settings);
        paper::kept(&mut findings, settings);
        paper::printer(&mut findings, settings);
        if args.offline {
            findings.unknown("tenant", "left out by --offline", "run `keybench doctor` without it.");
        } else {
            tenant::examine(&mut findings, settings, &models);
        }
    } else {
        findings.unknown("the rest", "can't be looked at without settings", "correct the settings first.");
    }
    let exit = findings.exit();
    let counts = Verdict::ALL.map(|verdict| (verdict, findings.count(verdict)));
    let mut summary = json!({ "event": "doctor" });
    for (verdict, count) in counts {
        summary[verdict.word()] = json!(count);
    }
    summary["exit"] = json!(exit.code());
    context.output.json(&summary);
    context.output.answer("");
    context.output.answer(match exit {
        Exit::Done => "Nothing stands in the way of a run, as far as could be asked.",
        _ => "A run would stop at what is marked FAIL.",
    });
    Ok(exit)
}

fn settings(findings: &mut Findings<'_>) -> Option<Settings> {
    let settings = match findings.context.settings() {
        Ok(settings) => settings,
        Err(error) => {
            findings.error("settings", &error);
            return None;
        }
    };
    let file = settings.file.display();
    if settings.file_exists {
        findings.ok("settings", format!("{file} can be read, and only its owner can change it"));
    } else {
        let evidence = format!("there is no {file}; defaults and the environment are used");
        findings.warn("settings", evidence, "make one with `keybench config init`.");
    }
    match crate::pin::PinPolicy::check(&settings.pin.to_policy()) {
        Ok(policy) => {
            let evidence = format!("{} characters ({})", policy.length(), policy.alphabet());
            findings.ok("PINs", evidence);
        }
        Err(errors) => findings.error("PINs", &CliError::from(errors)),
    }
    Some(settings)
}

#[cfg(all(test, feature = "sim"))]
mod tests;
