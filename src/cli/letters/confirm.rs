//! `keybench letters confirm` and `list`: what became of the paper.

use jiff::Zoned;
use serde_json::json;

use super::{ConfirmArgs, ListArgs, facts_of_keys};
use crate::cli::error::sentence;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::handover::code::{Code, CodeKind, key_reference};
use crate::handover::letter::{LetterState, Letters, PaperState};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger};

pub(super) fn run(context: &Context<'_>, args: &ConfirmArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    if args.dry_run {
        let ledger = ledger::to_read(&settings)?;
        return decide(context, &ledger, args, true);
    }
    let ledger = ledger::to_write(&settings)?;
    decide(context, &ledger, args, false)
}

fn decide(context: &Context<'_>, ledger: &dyn Ledger, args: &ConfirmArgs, dry: bool) -> Result<Exit, CliError> {
    if let Some(code) = &args.after {
        after(context, ledger, code, dry)?;
        return Ok(Exit::Done);
    }
    let letters = facts_of_keys(ledger)?.letters;
    let mut told: Vec<(&LetterState, bool)> = Vec::new();
    if args.all {
        told.extend(letters.all().iter().filter(|letter| letter.state == PaperState::Printed).map(|one| (one, true)));
    }
    for (codes, good) in [(&args.good, true), (&args.spoiled, false)] {
        for code in codes {
            told.push((named(&letters, code)?, good));
        }
    }
    write(context, ledger, &told, dry)?;
    let doubtful = letters.all().iter().filter(|letter| letter.state == PaperState::Claimed).count();
    if args.all && doubtful > 0 {
        context.output.warning(&format!(
            "{doubtful} begun before something stopped are not among them: look for their sheets (`keybench letters list`)."
        ));
    }
    Ok(Exit::Done)
}

/// After a jam: letters of the last good sheet's run up to it are good, those after it spoiled.
pub(super) fn after(context: &Context<'_>, ledger: &dyn Ledger, code: &str, dry: bool) -> Result<(), CliError> {
    let letters = facts_of_keys(ledger)?.letters;
    let last = named(&letters, code)?;
    // A good address sheet alone is no good letter: its PIN sheet comes after it.
    let whole = read(code)?.kind() == CodeKind::PinSheet;
    let of_run = letters.all().iter().filter(|letter| letter.run.is_some() && letter.run == last.run);
    let mut passed = false;
    let mut told = Vec::new();
    for letter in of_run {
        let is_last = letter.sheet == last.sheet;
        let good = !passed && (!is_last || whole);
        if matches!(letter.state, PaperState::Printed | PaperState::Claimed) {
            told.push((letter, good));
        }
        passed |= is_last;
    }
    write(context, ledger, &told, dry)
}

fn read(code: &str) -> Result<Code, CliError> {
    Code::parse(code).map_err(|error| {
        let fact = format!("\"{}\" is no code of ours: {error}.", code.trim());
        CliError::new(
            Exit::Usage,
            "not-a-code",
            fact,
            "scan the code at the foot of a letter's sheet, or type its 24 digits.",
        )
    })
}

/// The letter that a sheet belongs to; either of its sheets names it.
fn named<'a>(letters: &'a Letters, text: &str) -> Result<&'a LetterState, CliError> {
    let code = read(text)?;
    let sheet = match code.kind() {
        CodeKind::PinSheet => code.digits().to_owned(),
        CodeKind::AddressSheet => Code::new(CodeKind::PinSheet, code.job(), code.attempt(), code.issue())
            .map(|code| code.digits().to_owned())
            .unwrap_or_default(),
        kind => {
            let fact = format!("{code} is the code of a {}, not of a letter.", kind.for_people());
            return Err(CliError::new(
                Exit::Usage,
                "not-a-code",
                fact,
                "scan the code at the foot of a letter's sheet.",
            ));
        }
    };
    letters.sheet(&sheet).ok_or_else(|| {
        let fact = format!("The ledger knows no letter {code}.");
        CliError::new(Exit::Usage, "not-a-code", fact, "`keybench letters list` shows those it knows.")
    })
}

fn write(context: &Context<'_>, ledger: &dyn Ledger, told: &[(&LetterState, bool)], dry: bool) -> Result<(), CliError> {
    // What is known already is not written again.
    let news: Vec<&(&LetterState, bool)> = told
        .iter()
        .filter(|(letter, good)| letter.state != if *good { PaperState::Good } else { PaperState::Spoiled })
        .collect();
    if !dry && !news.is_empty() {
        let entries = news.iter().map(|(letter, good)| {
            Entry::Handover(HandoverEntry::LetterConfirmed {
                job: letter.job.clone(),
                sheet: letter.sheet.clone(),
                good: *good,
            })
        });
        ledger.append(Append::entries(entries))?;
    }
    for (letter, good) in &news {
        context.output.json(&json!({
            "event": "letter", "job": letter.job, "sheet": letter.sheet, "state": if *good { "good" } else { "spoiled" },
        }));
    }
    let good = news.iter().filter(|(_, good)| *good).count();
    let spoiled = news.len().saturating_sub(good);
    let would = if dry { " (nothing was written)" } else { "" };
    let destroy = if spoiled > 0 { " Destroy the spoiled ones: their PINs are the keys'." } else { "" };
    context.output.answer(&format!("Letters confirmed: {good} good, {spoiled} spoiled{would}.{destroy}"));
    context.output.json(&json!({ "event": "letters-confirmed", "good": good, "spoiled": spoiled, "dry_run": dry }));
    Ok(())
}

pub(super) fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let ledger = ledger::to_read(&settings)?;
    let known = facts_of_keys(&ledger)?;
    let all = super::finished(&ledger, args.batch.as_deref(), &known)?;
    let (mut counts, mut overdue, today) = ([0_u64; 5], 0_u64, Zoned::now().date());
    for one in &all {
        let letter = known.letters.last(&one.line.job, one.facts.attempt);
        let (at, state) = match letter.map(|letter| letter.state) {
            None => (0, "due"),
            Some(PaperState::Claimed) => (1, "claimed"),
            Some(PaperState::Printed) => (2, "printed"),
            Some(PaperState::Good) => (3, "good"),
            Some(PaperState::Spoiled) => (4, "spoiled"),
        };
        if let Some(count) = counts.get_mut(at) {
            *count += 1;
        }
        let code = letter.map(|letter| letter.sheet.clone()).unwrap_or_default();
        let shown = Code::parse(&code).map(|code| code.for_people()).unwrap_or_default();
        let last_day = letter.and_then(|letter| letter.expires);
        // Paper that was never handed over and is past its day: the letter says so itself, and `release` refuses it.
        let expired = !one.facts.released && at != 4 && last_day.is_some_and(|day| day < today);
        overdue += u64::from(expired);
        let expires = last_day.map(|day| day.to_string()).unwrap_or_default();
        let reference = key_reference(&one.line.job, one.facts.attempt);
        let past = if expired { format!("  EXPIRED {expires}: to be replaced") } else { String::new() };
        let line = format!("{state:<8}  {reference:<13}  {:<32}  {shown}{past}", one.person.upn);
        context.output.answer(line.trim_end());
        context.output.json(&json!({
            "event": "letter", "job": one.line.job, "upn": one.person.upn, "key": reference, "state": state,
            "sheet": code, "issue": letter.map(|letter| letter.issue), "expires": expires, "expired": expired,
        }));
    }
    let [due, claimed, printed, good, spoiled] = counts;
    context.output.answer(&sentence(&format!(
        "{} finished keys: {due} letters due, {claimed} begun and in doubt, {printed} printed and not confirmed, {good} good, {spoiled} spoiled",
        all.len()
    )));
    if overdue > 0 {
        context.output.answer(&format!(
            "{overdue} of them expired before the PIN was released: destroy them, and print new ones with \
             `keybench letters make --reprint JOB --reason expired`, or replace the key."
        ));
    }
    context.output.json(&json!({
        "event": "letters", "expired": overdue, "due": due, "claimed": claimed, "printed": printed, "good": good, "spoiled": spoiled,
        "head": ledger.head()?.to_string(),
    }));
    Ok(Exit::Done)
}
