//! Trials on named keys: each DUT in its turn, every trial that suits it. Files with mistakes begin nothing; a key that is not there, or
//! not the one that was meant, fails without being touched, and the others go on.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Instant;

use super::dut::{Dut, OperatorSpec};
use super::report::{Report, Row, Verdict};
use super::subject::Subject;
use super::wear::WearBook;
use super::{Need, Rig};
use crate::harness::{Line, Trial, guarded};

pub fn run(rig: &Rig, line: &Line, wanted: &[&Trial]) -> Result<Report, String> {
    let folder = line.duts_folder.clone();
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-tests/duts"));
    let duts = Dut::named(&folder, &line.duts)?;
    let mut wear = WearBook::open(&folder)?;
    let mut report = Report::default();
    for dut in &duts {
        on(rig, dut, wanted, &mut wear, &mut report);
    }
    Ok(report)
}

fn on(rig: &Rig, dut: &Dut, wanted: &[&Trial], wear: &mut WearBook, report: &mut Report) {
    let start = Instant::now();
    if dut.is_virtual()
        && let Some(reason) = Need::Uhid.lacking(true)
    {
        report.add(Row::skipped(&dut.name, "find", reason));
        return;
    }
    let mut subject = match Subject::find(rig, dut) {
        Ok(subject) => subject,
        Err(error) => {
            report.add(Row::new(&dut.name, "find", Verdict::Failed(error), start.elapsed()));
            return;
        }
    };
    report.model(&dut.name, &dut.model, subject.firmware.as_deref());
    let suits = |trial: &Trial, wear: &WearBook| {
        let asks = &trial.key.as_ref()?.asks;
        Some(subject.unsuited(asks, wear))
    };
    let destructive: Vec<&&Trial> = wanted
        .iter()
        .filter(|trial| trial.key.as_ref().is_some_and(|key| key.asks.wipes) && suits(trial, wear) == Some(None))
        .collect();
    banner(dut, &subject, &destructive, wear);
    if !destructive.is_empty()
        && let Err(error) = agreed(dut, &subject).and_then(|()| subject.prove_hand())
    {
        report.add(Row::new(&dut.name, "begin", Verdict::Failed(error), start.elapsed()));
        return;
    }
    let mut lost = None::<String>;
    for trial in wanted {
        let Some(on_key) = &trial.key else {
            report.add(Row::skipped(&dut.name, trial.name, "it makes its own virtual keys".to_owned()));
            continue;
        };
        let tools = (on_key.asks.wipes && !subject.is_virtual()).then_some(Need::FidoTools);
        let lacking = trial.needs.iter().chain(tools.iter()).find_map(|need| need.lacking(true));
        let reason = lost.clone().or(lacking).or_else(|| subject.unsuited(&on_key.asks, wear));
        if let Some(reason) = reason {
            report.add(Row::skipped(&dut.name, trial.name, reason));
            continue;
        }
        println!("--- {}: {} ({})", dut.name, trial.name, if on_key.asks.wipes { "wipes it" } else { "looks at it" });
        let start = Instant::now();
        let outcome = guarded(|| {
            if on_key.asks.wipes {
                subject.make_blank(wear)?;
                if on_key.asks.worn != super::wear::Worn::default() {
                    wear.count(dut, on_key.asks.worn)?;
                }
            } else {
                subject.recognise()?;
            }
            (on_key.run)(rig, &mut subject)
        });
        if matches!(outcome, Verdict::Failed(_)) && subject.node().is_err() && subject.wait_for_node().is_err() {
            lost = Some(format!("the key is gone from port {}", subject.port));
        }
        report.add(Row::new(&dut.name, trial.name, outcome, start.elapsed()).destroys(trial.destroys));
    }
    // A key that was wiped is left blank, for whoever takes it next.
    if !destructive.is_empty() && lost.is_none() {
        let start = Instant::now();
        let outcome = guarded(|| subject.make_blank(wear).map(|()| "left blank".to_owned()));
        report.add(Row::new(&dut.name, "leave", outcome, start.elapsed()));
    }
}

/// What is about to be lost.
fn banner(dut: &Dut, subject: &Subject, destructive: &[&&Trial], wear: &WearBook) {
    let serial =
        subject.serial.as_deref().map_or_else(|| "no serial number".to_owned(), |serial| format!("serial {serial}"));
    let firmware = subject.firmware.as_deref().unwrap_or("not told");
    println!("\n=== DUT {}: {}, firmware {firmware}, {serial}, port {}", dut.name, dut.model, subject.port);
    if destructive.is_empty() {
        println!("    Nothing on it will be changed.");
        return;
    }
    let names: Vec<&str> = destructive.iter().map(|trial| trial.name).collect();
    let worn = wear.of(dut);
    println!("    WIPED by {}: its PIN and every passkey on it will be gone.", names.join(", "));
    println!(
        "    So far {} of {} resets and {} of {} lock-outs of its budget.",
        worn.resets, dut.budget.resets, worn.lock_outs, dut.budget.lock_outs
    );
}

/// A person types the end of the serial number, or the port; a machine's file and its name on the command line are enough.
fn agreed(dut: &Dut, subject: &Subject) -> Result<(), String> {
    if dut.operator != OperatorSpec::Person {
        return Ok(());
    }
    let word = match &subject.serial {
        Some(serial) => serial.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect::<String>(),
        None => subject.port.clone(),
    };
    let refused = "nothing was wiped: the word was not typed".to_owned();
    if !std::io::stdin().is_terminal() {
        return Err(format!("{refused}; an operator of kind person needs a terminal"));
    }
    println!("    Type {word} to go on, anything else to leave it:");
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(|error| error.to_string())?;
    if typed.trim().eq_ignore_ascii_case(&word) { Ok(()) } else { Err(refused) }
}
