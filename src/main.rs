//! The program: run the command line and end with its code.
//!
//! Freed memory is cleared, because libraries (age, HTTP, TLS) keep copies of secrets that we can't wipe. A panic says
//! where and nothing of what: its message could hold a value. It ends the program with code 70; the ledger holds
//! everything that was begun, so the same command goes on.

use std::process::ExitCode;

use keybench::cli::{Exit, Output, run_command_line};

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        keybench::cli::output::fault(&place);
    }));
    let environment = |name: &str| std::env::var(name).ok();
    let run = || run_command_line(std::env::args_os(), &Output::of_process(), &environment);
    let exit = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(Exit::Fault);
    ExitCode::from(exit.code())
}
