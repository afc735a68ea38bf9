//! Trials of the finished `keybench` program on HID devices of the operating system: virtual keys on `/dev/uhid`, in a machine where
//! that exists. A black box: programs, device nodes, a ledger file and a simulated tenant, none of keybench's own code.
//!
//! `cargo test` runs this too; without uhid every trial is counted as skipped, with the reason. `hw-tests/vm/run` brings the machine.
//!
//! `cargo test --test hw -- --help` tells the options.
//!
//! With `--duts` the trials are done on the keys that those files name (`hw-tests/duts`), real ones among them; without, no real key is
//! opened. Status: 0 when nothing failed, 1 when something did, 2 when nothing was begun: a mistake in the line or in a file, or none of
//! what was named can be tried here.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test harness that reports to people")]

#[cfg(target_os = "linux")]
mod rig;
#[cfg(target_os = "linux")]
mod trials;

use std::process::ExitCode;

/// Virtual USB keys are Linux's.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("hw: 0 passed, 0 failed, 1 skipped: virtual USB keys need Linux; see hw-tests/README.md");
    println!("\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
pub use harness::{OnKey, Trial};

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    harness::main()
}

#[cfg(target_os = "linux")]
mod harness;
