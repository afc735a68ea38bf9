//! Trials of the finished `keybench` program on HID devices of the operating system: virtual keys on `/dev/uhid`, in a machine where
//! that exists. A black box: programs, device nodes, a ledger file and a simulated tenant, none of keybench's own code.
//!
//! `cargo test` runs this too; without uhid every trial is counted as skipped, with the reason. `hw-tests/vm/run` brings the machine.
//!
//! ```text
//! cargo test --test hw -- [--only NAME]… [--full] [--seed N] [--trace] [--list]
//! ```

#![allow(clippy::print_stdout, reason = "a test harness that reports to people")]

#[cfg(target_os = "linux")]
mod rig;
#[cfg(target_os = "linux")]
mod trials;

use std::process::ExitCode;
#[cfg(target_os = "linux")]
use std::time::Instant;

#[cfg(target_os = "linux")]
use rig::Rig;

/// Virtual USB keys are Linux's.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("hw: 0 passed, 0 failed, 1 skipped: virtual USB keys need Linux; see hw-tests/README.md");
    println!("\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n");
    ExitCode::SUCCESS
}

/// One trial.
#[cfg(target_os = "linux")]
pub struct Trial {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does to keys.
    pub destroys: &'static str,
    /// What this machine must have.
    pub needs: &'static [rig::Need],
    /// Does it, and says in a few words what was tried.
    pub run: fn(&Rig) -> Result<String, String>,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let mut only = Vec::new();
    let mut filters = Vec::new();
    let (mut full, mut seed, mut list) = (false, 1, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only.extend(arguments.next()),
            "--full" => full = true,
            "--seed" => seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(seed),
            "--list" => list = true,
            "--trace" => rig::program::TRACE.store(true, std::sync::atomic::Ordering::Relaxed),
            // Options that `cargo test` hands to every test program.
            other if other.starts_with('-') => {}
            other => filters.push(other.to_owned()),
        }
    }
    let all = trials::all();
    if list {
        for trial in all {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = only.iter().find(|name| !all.iter().any(|trial| trial.name == **name)) {
        let names: Vec<&str> = all.iter().map(|trial| trial.name).collect();
        println!("hw: there is no trial {unknown}; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |trial: &&Trial| {
        (only.is_empty() || only.iter().any(|name| name == trial.name))
            && (filters.is_empty() || filters.iter().any(|filter| trial.name.contains(filter.as_str())))
    };
    let rig = Rig::new(full, seed);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let began = Instant::now();
    for trial in all.iter().filter(wanted) {
        if let Some(reason) = trial.needs.iter().find_map(rig::Need::lacking) {
            println!("hw {:<16} skipped: {reason}", trial.name);
            skipped += 1;
            continue;
        }
        let start = Instant::now();
        let outcome = std::panic::catch_unwind(|| (trial.run)(&rig))
            .unwrap_or_else(|_| Err("the trial itself broke down; see above".to_owned()));
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(said) => {
                println!("hw {:<16} passed in {seconds:.1} s: {said} ({})", trial.name, trial.destroys);
                passed += 1;
            }
            Err(error) => {
                println!("hw {:<16} FAILED after {seconds:.1} s: {error}", trial.name);
                failed += 1;
            }
        }
    }
    println!("hw: {passed} passed, {failed} failed, {skipped} skipped, in {:.1} s", began.elapsed().as_secs_f64());
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
