//! Hostile input on stable Rust: keys, Graph, files. No input may panic, hang or take memory without bound.
//!
//! `cargo test` gives it about ten seconds in all. By hand, longer:
//!
//! ```text
//! KEYBENCH_FUZZ_SECONDS=3600 cargo test --release --test fuzz            every target
//! KEYBENCH_FUZZ_SECONDS=600 cargo test --test fuzz roster                 targets with this in their name
//! KEYBENCH_FUZZ_SEED=7 cargo test --test fuzz                             another way through
//! KEYBENCH_FUZZ_INPUT=FILE cargo test --test fuzz roster                  one input again
//! ```
//!
//! Seeds come from `fixtures`; whatever was once found lies in `fixtures/fuzz` and is tried first.
// A test program of its own, which prints its own figures and ends with its own code.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_possible_truncation)]

mod conversation;
mod files;
mod keys;
mod mutate;
mod runner;
mod server;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use mutate::Form;
use runner::{Runner, Target, again};

fn fixture(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder of `fixtures`, in order; none when it is not there.
fn fixtures(folder: &str) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|extension| extension != "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("a fixture")).collect()
}

fn number(variable: &str, usual: f64) -> f64 {
    match std::env::var(variable) {
        Err(_) => usual,
        Ok(text) => text.trim().parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")),
    }
}

/// A target with a mistake in it, to show that mistakes are found: it trusts a length in its input.
fn planted() -> Target {
    let run = |input: &[u8]| {
        let Some((length, rest)) = input.split_first() else { return "empty".to_owned() };
        if rest.first() == Some(&b'k') {
            return format!("{:?}", &rest[..usize::from(*length)]);
        }
        "no".to_owned()
    };
    Target { name: "planted", form: Form::Bytes(0), share: 1, seeds: vec![b"\x03kim".to_vec()], run: Box::new(run) }
}

type Maker = fn() -> Target;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).cloned();
    // Each target is made when its turn comes: some start a server.
    let makers: &[(&str, Maker)] = &[
        ("key-conversation", keys::conversation),
        ("key-cbor", keys::cbor),
        ("key-get-info", keys::get_info),
        ("key-attestation", keys::attestation),
        ("key-auth-data", keys::auth_data),
        ("key-assertion", keys::assertion),
        ("key-certificates", keys::certificates),
        ("transcript", keys::transcript),
        ("registration-record", files::record),
        ("metadata-blob", files::blob),
        ("metadata-payload", files::payload),
        ("ledger-entry", files::entry),
        ("ledger-mirror", files::mirror),
        ("roster", files::roster),
        ("people-file", files::people),
        ("token-file", files::tokens),
        ("config", files::config),
        ("simulator-files", files::simulator),
        ("envelope", files::envelope),
        ("creation-options", server::creation_options),
        ("graph-json", server::json),
        ("graph-text", server::text),
        ("graph-answers", server::answers),
    ];
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in makers {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> =
        makers.iter().filter(|(name, _)| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))).collect();
    let seconds = number("KEYBENCH_FUZZ_SECONDS", 10.0);
    let seed = number("KEYBENCH_FUZZ_SEED", 1.0) as u64;
    let runner = Runner::new(seed);
    println!("\nrunning {} tests", chosen.len() + 1);

    let score = runner.fuzz(&mut planted(), Duration::from_secs(20));
    let (mut passed, mut failed) = (0, 0);
    if let Some(found) = &score.found {
        passed += 1;
        println!("fuzz planted ... ok: the planted mistake was found after {} executions", score.executions);
        let _ = std::fs::remove_file(&found.file);
    } else {
        failed += 1;
        println!("fuzz planted ... FAILED: the planted mistake was not found in {} executions", score.executions);
    }

    if let Ok(file) = std::env::var("KEYBENCH_FUZZ_INPUT") {
        let input = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (_, make) in &chosen {
            let mut target = make();
            match runner.once(&mut target, &input) {
                Ok(outcome) => println!("fuzz {} ... ok: {outcome}", target.name),
                Err(what) => {
                    println!("fuzz {} ... FAILED: {what}", target.name);
                    return ExitCode::FAILURE;
                }
            }
        }
        return ExitCode::SUCCESS;
    }

    let mut shares = 0;
    let mut targets: Vec<Target> = Vec::new();
    for (name, make) in &chosen {
        let mut target = make();
        assert_eq!(*name, target.name);
        target.seeds.extend(fixtures(&format!("fuzz/{name}")));
        shares += target.share;
        targets.push(target);
    }
    for mut target in targets {
        let time = Duration::from_secs_f64(seconds * f64::from(target.share) / f64::from(shares.max(1)));
        let score = runner.fuzz(&mut target, time);
        let figures = format!(
            "{} executions, {} outcomes, {} seeds, slowest {} ms",
            score.executions,
            score.outcomes,
            target.seeds.len(),
            score.slowest.as_millis()
        );
        match score.found {
            None => {
                passed += 1;
                println!("fuzz {} ... ok: {figures}", target.name);
            }
            Some(found) => {
                failed += 1;
                println!("fuzz {} ... FAILED: {}; seed {seed}; {figures}", target.name, found.what);
                println!("  {}", again(found.target, &found.file));
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let skipped = makers.len() - chosen.len();
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {skipped} filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
