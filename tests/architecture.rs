//! Holds the source to the shape that `docs/ARCHITECTURE.md` draws: who may use whom, which module alone may touch the clock, the
//! network, a device or the terminal, and where a panic is allowed.
//!
//! A small reader of Rust takes comments and string contents out, follows `use` trees and `super`, and leaves test code aside.
//! Exceptions: what a macro of another crate expands to is not seen, nor a path through a re-export.

#[path = "architecture/read.rs"]
mod read;

use std::path::Path;

use read::Source;

/// Who may use whom. `a` stands for everything below `a`; the longest left side that fits a module counts.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("platform", &[]),
    ("world", &["model", "ctap2::hid::packet"]),
    ("ctap2", &["model", "world", "platform", "ledger::SealReceipt"]),
    ("webauthn", &["model", "world", "platform"]),
    ("graph", &["model", "world", "platform"]),
    ("pin", &["model", "world", "platform"]),
    ("roster", &["model", "world", "platform"]),
    ("ledger", &["model", "world", "platform"]),
    ("config", &["model", "platform", "pin"]),
    ("logging", &["platform"]),
    // The journey itself is a table over nouns: what happened (`ledger::entry`) and what was answered (`webauthn`).
    ("pipeline::state", PURE_JOURNEY),
    ("pipeline::event", PURE_JOURNEY),
    ("pipeline::effect", PURE_JOURNEY),
    ("pipeline::step", PURE_JOURNEY),
    ("pipeline::recover", PURE_JOURNEY),
    ("pipeline::held", PURE_JOURNEY),
    ("pipeline", &["model", "world", "platform", "ctap2", "webauthn", "graph", "pin", "roster", "ledger"]),
    // A whole run put together, for the command line and for a rehearsal.
    (
        "provision",
        &[
            "model", "world", "platform", "config", "ctap2", "webauthn", "graph", "pin", "roster", "ledger",
            "pipeline", "tenant",
        ],
    ),
    // Is the tenant ready, and how is it made so.
    ("tenant", &["model", "world", "platform", "graph", "ledger", "roster", "pin"]),
    // From bench to hand. Lost, returned and activated keys are journeys of `pipeline`.
    ("handover", &["model", "world", "platform", "graph", "ledger", "roster", "pin"]),
    // Simulated hands on one side, a real bench on the other, joined here and nowhere else.
    ("rehearsal", &["model", "world", "platform", "webauthn", "pipeline", "provision", "sim"]),
    // Nothing of ours that speaks to keys or to Graph: a mistake there must not meet its own twin here.
    ("sim", &["model", "world", "platform", "ctap2::hid::packet"]),
    ("tui", &["model", "world", "platform", "ledger", "pipeline"]),
    ("cli", &["*"]),
    ("main", &["*"]),
];

const PURE_JOURNEY: &[&str] = &[
    "model",
    "webauthn",
    "ledger::entry",
    "pipeline::state",
    "pipeline::event",
    "pipeline::effect",
    "pipeline::step",
    "pipeline::recover",
    "pipeline::held",
    "pipeline::code",
];

/// Tests may use more than what they test, except here.
const TESTS_TOO: &[&str] = &["sim", "model", "platform"];

/// What only some modules may name, and why.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("hidapi", &["ctap2::hid"], "devices are opened in one place"),
    ("nusb", &["ctap2::hid"], "as hidapi"),
    ("rusqlite", &["ledger::sqlite"], "the ledger's file has one owner"),
    (
        "reqwest",
        &["graph", "handover::printer::ipp"],
        "redirects, proxies and TLS are set in one place; a printer is no part of Graph",
    ),
    (
        "std::fs",
        &["ledger", "pin", "platform", "config", "logging", "provision", "cli", "ctap2::hid", "sim"],
        "the rest is handed what it needs",
    ),
    ("TcpStream", &["graph::auth", "handover::printer::raw", "sim"], "HTTP goes through graph; port 9100 speaks none"),
    (
        "TcpListener",
        &["graph::auth", "sim"],
        "only the browser's sign-in is listened for, and only simulated tenants serve",
    ),
    ("std::process::Command", &["platform", "ledger::place"], "children inherit the environment"),
    ("getrandom", &["world", "cli"], "ask the Entropy of world.rs; cli is where the real world is made"),
    (
        "Timestamp::now",
        &["world", "cli", "sim", "pin::resume"],
        "ask the Clock of world.rs; pin::resume writes a comment line for people",
    ),
    (
        "Instant::now",
        &["world", "cli", "sim", "ctap2::hid"],
        "ask the Clock of world.rs; packets time out by the machine's own",
    ),
    ("SystemTime::now", &["world"], "ask the Clock of world.rs"),
    ("println!", &["cli"], "stdout is the answer, and cli gives it"),
    ("print!", &["cli"], "as println!"),
    ("eprintln!", &["cli"], "stderr is progress, and cli or tui shows it"),
    ("eprint!", &["cli"], "as eprintln!"),
    ("dbg!", &[], "it prints"),
    ("mem::forget", &[], "what is forgotten is not wiped"),
    ("io::stdout", &["cli", "tui"], "as println!"),
    ("io::stderr", &["cli", "tui", "logging"], "as eprintln!"),
];

/// Functions of what they are handed: no file, no network, no clock, no thread, no randomness.
const PURE: &[&str] = &[
    "pipeline::state",
    "pipeline::event",
    "pipeline::effect",
    "pipeline::step",
    "pipeline::recover",
    "pipeline::held",
    "pipeline::fitness",
    "webauthn",
    "model",
    "ctap2::hid::frame",
    "ctap2::cbor",
    "ctap2::command",
    "graph::retry",
    "pin::policy",
    "pin::weak",
    "tenant::preflight",
    "tui::board",
    "tui::draw",
    "tui::say",
    "handover::address",
    "handover::carrier",
    "handover::code",
    "handover::label",
    "handover::letter",
    "handover::paper",
];

/// What a pure module may not name.
const NOT_PURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::sync::mpsc",
    "std::io",
    "tokio",
    "reqwest",
    "rusqlite",
    "hidapi",
    "nusb",
    "getrandom",
    "Timestamp::now",
    "Instant::now",
    "SystemTime::now",
];

/// A file above this many lines has more than one noun in it.
const LONGEST_FILE: usize = 700;

/// Files that are longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn the_source_has_the_shape_that_is_drawn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = read::all_below(root, "src");
    assert!(sources.len() > 100, "only {} files found: the test looks in the wrong place", sources.len());
    let found = problems(&sources);
    assert!(found.is_empty(), "\n{}\n\nThe rules are at the top of tests/architecture.rs.\n", found.join("\n"));
}

#[test]
fn no_file_of_the_tests_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests", "benches", "hw-tests"] {
        read::all_below(root, folder).iter().for_each(|source| too_long(source, &mut found));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Every exception still has something to except.
#[test]
fn no_exception_has_outlived_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, _) in LONG_FILES {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(text.lines().count() > LONGEST_FILE, "{path} is short enough, or gone: take it out of LONG_FILES");
    }
    let sources = read::all_below(root, "src");
    for pure in PURE {
        assert!(sources.iter().any(|source| within(&source.module, pure)), "{pure} is in PURE and does not exist");
    }
}

fn problems(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let tests = read::test_modules(sources);
    for source in sources {
        too_long(source, &mut found);
        let all_test = tests.iter().any(|test| within(&source.module, test));
        if !all_test && !source.text.trim_start().starts_with("//!") {
            found.push(format!("{}: no module head; say what it promises (`//! …`)", source.path));
        }
        let code = source.read(all_test);
        for path in &code.paths {
            if let Some(used) = path.ours() {
                imports(source, path.line, path.in_test, used, &mut found);
            }
            if !path.in_test {
                names(source, path.line, &path.text, &mut found);
            }
        }
        for call in &code.macros {
            if !call.in_test {
                names(source, call.line, &call.text, &mut found);
            }
        }
        for panic in &code.panics {
            if !panic.in_test && !code.explained(panic.line) {
                found.push(format!(
                    "{}:{}: `{}` outside tests: return an error, or say why it can't happen (`// infallible: …`)",
                    source.path, panic.line, panic.text
                ));
            }
        }
    }
    found
}

fn too_long(source: &Source, found: &mut Vec<String>) {
    let lines = source.text.lines().count();
    if lines > LONGEST_FILE && !LONG_FILES.iter().any(|(path, _)| *path == source.path) {
        found.push(format!("{}: {lines} lines, more than {LONGEST_FILE}: it holds more than one noun", source.path));
    }
}

/// `a::b` is within `a` and within `a::b`.
fn within(module: &str, of: &str) -> bool {
    module == of || module.strip_prefix(of).is_some_and(|rest| rest.starts_with("::"))
}

fn imports(source: &Source, line: usize, in_test: bool, used: &str, found: &mut Vec<String>) {
    if in_test && !TESTS_TOO.iter().any(|strict| within(&source.module, strict)) {
        return;
    }
    // lib.rs names every module: that is what it is for.
    if source.module.is_empty() {
        return;
    }
    let own = source.module.split("::").next().unwrap_or_default();
    let rule =
        MAY_USE.iter().filter(|(module, _)| within(&source.module, module)).max_by_key(|(module, _)| module.len());
    let Some((module, may)) = rule else {
        let missing = format!("{}: `{own}` is not in MAY_USE: say whom it may use", source.path);
        if !found.contains(&missing) {
            found.push(missing);
        }
        return;
    };
    // Within its own module everybody may use everybody, unless a part has a rule of its own.
    let own_part = if module.contains("::") { module } else { own };
    if within(used, own_part) || may.contains(&"*") || may.iter().any(|allowed| within(used, allowed)) {
        return;
    }
    found.push(format!("{}:{line}: `{module}` may not use `{used}`", source.path));
}

fn names(source: &Source, line: usize, text: &str, found: &mut Vec<String>) {
    for (what, modules, why) in ONLY_IN {
        if mentions(text, what) && !modules.iter().any(|module| within(&source.module, module)) {
            found.push(format!("{}:{line}: `{what}` is not for `{}`: {why}", source.path, source.module));
        }
    }
    if PURE.iter().any(|pure| within(&source.module, pure)) {
        for what in NOT_PURE.iter().filter(|what| mentions(text, what)) {
            found.push(format!("{}:{line}: `{}` is pure and names `{what}`", source.path, source.module));
        }
    }
}

/// `std::fs` is mentioned by `std::fs::File`, `Timestamp::now` by `jiff::Timestamp::now`; a macro only by itself.
fn mentions(path: &str, what: &str) -> bool {
    let (path, what): (Vec<_>, Vec<_>) = (path.split("::").collect(), what.split("::").collect());
    // A name that begins with a capital, or `io::…`, is written with more or less of the path before it.
    let anywhere =
        what.first().is_some_and(|first| first.starts_with(char::is_uppercase) || ["io", "mem"].contains(first));
    if anywhere { path.windows(what.len()).any(|part| part == what) } else { path.starts_with(&what) }
}

mod the_checker_can_fail {
    use super::*;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, &format!("//! Head.\n{text}"))).collect();
        problems(&sources)
    }

    #[track_caller]
    fn fails(path: &str, text: &str, with: &str) {
        let found = complaints(&[(path, text)]);
        assert!(found.len() == 1 && found[0].contains(with), "wanted one about {with:?}, got {found:#?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(complaints(&[(path, text)]), Vec::<String>::new());
    }

    #[test]
    fn imports_that_are_not_in_the_table() {
        fails("src/model/pin.rs", "use crate::world::Clock;", "`model` may not use `world::Clock`");
        fails("src/graph/http.rs", "fn f(x: &crate::ctap2::Session) {}", "`graph` may not use `ctap2::Session`");
        fails("src/graph/auth/mod.rs", "use super::super::pin::Pin;", "`graph` may not use `pin::Pin`");
        fails("src/ledger/mod.rs", "use crate::{model::{Pin, JobId}, webauthn as w};", "`webauthn`");
        fails("src/ctap2/session.rs", "use crate::ledger::{SealReceipt, Ledger};", "`ledger::Ledger`");
        fails("src/sim/key.rs", "use crate::ctap2::cbor::Value;", "`ctap2::cbor::Value`");
        fails("src/sim/key.rs", "#[cfg(test)]\nmod tests { use crate::webauthn::trust; }", "`webauthn::trust`");
        fails("src/pipeline/step.rs", "use crate::graph::Graph;", "`pipeline::step` may not use `graph::Graph`");
        fails("src/pipeline/step.rs", "use super::driver::Driver;", "`pipeline::driver::Driver`");
        fails("src/tui/say.rs", "use crate::cli::Exit;", "`cli::Exit`");
        fails("src/newcomer/mod.rs", "use crate::model::Pin;", "not in MAY_USE");
        fails("src/graph/a.rs", "mod b { use super::super::super::pin::Pin; }", "`pin::Pin`");
    }

    #[test]
    fn imports_that_are_in_the_table() {
        passes(
            "src/ctap2/session.rs",
            "use crate::ledger::SealReceipt;\nuse crate::model::{self, Pin};\nuse super::status;",
        );
        passes("src/sim/key.rs", "use crate::ctap2::hid::packet::PacketDevice;");
        passes(
            "src/graph/http.rs",
            "// use crate::ctap2::Session;\nconst X: &str = \"crate::pin::Pin\";\n/* crate::tui */",
        );
        passes("src/graph/http.rs", "#[cfg(test)]\nmod tests { use crate::pin::Pin; fn f() { x.unwrap(); } }");
        passes("src/pipeline/step.rs", "use super::state::State;\nuse crate::ledger::entry::Act;");
    }

    #[test]
    fn what_only_one_module_may_name() {
        fails("src/roster/file.rs", "use rusqlite::Connection;", "`rusqlite`");
        fails("src/roster/file.rs", "fn f() { println!(\"x\") }", "`println!`");
        fails("src/graph/http.rs", "fn f() { let t = jiff::Timestamp::now(); }", "`Timestamp::now`");
        fails("src/graph/http.rs", "fn f() { std::io::stdout().flush() }", "`io::stdout`");
        fails("src/graph/http.rs", "use std::mem;\nfn f() { mem::forget(x) }", "`mem::forget`");
        fails("src/pin/policy.rs", "use std::{fmt, thread};", "`pin::policy` is pure and names `std::thread`");
        let file = "fn f() { let x = File::open(y); }\nuse std::fs::File;";
        assert_eq!(complaints(&[("src/webauthn/trust.rs", file)]).len(), 2, "not there, and not pure");
    }

    #[test]
    fn panics_without_a_reason() {
        fails("src/roster/file.rs", "fn f() { x.unwrap(); }", "`.unwrap(`");
        fails("src/roster/file.rs", "fn f() { x\n    .expect(\"y\"); }", "`.expect(`");
        fails("src/roster/file.rs", "fn f() { panic!(\"y\"); }", "`panic!`");
        fails("src/roster/file.rs", "#[cfg(not(test))]\nfn f() { x.unwrap(); }", "`.unwrap(`");
        fails("src/roster/file.rs", "#[cfg(test)]\nuse a::{b, c};\nfn f() { x.unwrap(); }", "`.unwrap(`");
        fails("src/roster/file.rs", "fn f<'a>(x: &'a str) { let c = '\"'; x.unwrap(); let d = '\"'; }", "`.unwrap(`");
        passes("src/roster/file.rs", "fn f() { x.unwrap(); } // infallible: x was checked above");
        passes("src/roster/file.rs", "fn f() {\n    // infallible: eight bytes\n    x.try_into().unwrap();\n}");
        passes("src/roster/file.rs", "fn f() { x.expect(\"infallible: a constant\"); }");
        passes("src/roster/file.rs", "fn f() { x.unwrap_or(0); let s = r#\"x.unwrap()\"#; }");
        passes("src/roster/file.rs", "#[cfg(all(test, unix))]\nfn f() { x.unwrap(); }");
    }

    #[test]
    fn a_reason_covers_its_own_line_and_what_follows_at_once() {
        fails(
            "src/roster/file.rs",
            "fn f() {\n    // infallible: x\n    x.unwrap();\n    a();\n    b();\n    y.unwrap();\n}",
            "file.rs:7",
        );
    }

    #[test]
    fn a_module_declared_for_tests_is_test_code() {
        let parent = ("src/pin/mod.rs", "#[cfg(test)]\nmod plugin_tests;\nmod policy;");
        assert_eq!(complaints(&[parent, ("src/pin/plugin_tests.rs", "fn f() { x.unwrap(); }")]), Vec::<String>::new());
        let elsewhere = ("src/pin/seal.rs", "#[cfg(test)]\n#[path = \"seal_tests.rs\"]\nmod tests;");
        assert_eq!(complaints(&[elsewhere, ("src/pin/seal_tests.rs", "fn f() { x.unwrap(); }")]), Vec::<String>::new());
        assert_eq!(complaints(&[parent, ("src/pin/policy.rs", "fn f() { x.unwrap(); }")]).len(), 1);
    }

    #[test]
    fn files_without_a_head_or_too_long() {
        let found = problems(&[Source::new("src/pin/mod.rs", "use crate::model::Pin;")]);
        assert!(found.len() == 1 && found[0].contains("no module head"), "{found:?}");
        let long = "\n".repeat(LONGEST_FILE + 1);
        assert!(complaints(&[("src/pin/mod.rs", &long)])[0].contains("more than one noun"));
    }
}
