//! Figures, in one run on the same virtual keys: keybench's own steps beside fido2-tools and python-fido2, looking for 32 keys, 16 keys
//! at once and one after another; and (trial `waiting`) what keybench costs while 16 keys wait. Times are told, not judged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::Trial;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::client::{CHOSEN, asked_for_pins};
use crate::rig::inspect::{inspect, inspect_sample};
use crate::rig::keys::Keys;
use crate::rig::program::{self, Live, run};
use crate::rig::{Need, Rig, ensure};

pub const WAITING: Trial =
    Trial { name: "waiting", destroys: "16 keys", needs: &[Need::Uhid, Need::Asked], bench: Some(waits), key: None };
pub const TRIAL: Trial = Trial {
    name: "speed",
    destroys: "the keys it makes",
    needs: &[Need::Uhid, Need::FidoTools, Need::PythonFido2, Need::Asked],
    bench: Some(trial),
    key: None,
};

/// Times of one program on one fresh key, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Steps {
    open: f64,
    info: f64,
    set_pin: f64,
    make: f64,
    assert: f64,
    /// Of setting the PIN and of making the credential: what passed between an answer of the key and our next message.
    set_pin_ours: f64,
    make_ours: f64,
}

const ROUNDS: usize = 5;
/// What an answer of a real key takes, about; a virtual one takes a few.
const SLOW_MS: u32 = 100;

fn trial(rig: &Rig) -> Result<String, String> {
    let mut keys = Keys::start(rig, 1, &["--touch"])?;
    keys.wait_for_nodes()?;
    let (mut ours, mut python, mut tools) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(by_keybench(rig, &mut keys)?);
        python.push(by_python(&mut keys)?);
        tools.push(by_tools(&mut keys)?);
    }
    drop(keys);
    let (ours, python, tools) = (median(&ours), median(&python), median(&tools));
    println!("hw speed: milliseconds a step, median of {ROUNDS} fresh keys; in brackets the ratio to keybench");
    println!("hw speed: {:<16} {:>10} {:>18} {:>18}", "step", "keybench", "python-fido2", "fido2-tools");
    let line = |name: &str, pick: fn(&Steps) -> f64| {
        let (own, theirs, process) = (pick(&ours), pick(&python), pick(&tools));
        let ratio =
            |other: f64| if other > 0.0 && own > 0.0 { format!("{other:.1} ({:.1})", other / own) } else { "-".into() };
        println!("hw speed: {name:<16} {own:>10.1} {:>18} {:>18}", ratio(theirs), ratio(process));
    };
    line("open", |steps| steps.open);
    line("info", |steps| steps.info);
    line("set PIN", |steps| steps.set_pin);
    line("make credential", |steps| steps.make);
    line("assertion", |steps| steps.assert);

    println!(
        "hw speed: of keybench's set PIN {:.1} ms are its own, of make credential {:.1} ms; the rest is the key's, for every program alike",
        ours.set_pin_ours, ours.make_ours
    );

    let listed = enumeration(rig)?;
    let Listed { start, looked, opened, theirs } = listed;
    println!(
        "hw speed: 32 keys listed: ports {looked:.0} ms, with getInfo of each {opened:.0} ms, fido2-token -L {theirs:.0} ms; \
         to start keybench and end it takes {start:.0} ms of that"
    );
    let (together, one_by_one) = in_parallel(rig, 0)?;
    let quick = one_by_one / together;
    println!("hw speed: 16 keys at once {together:.1} s, one after another in one port {one_by_one:.1} s ({quick:.1})");
    let (together, one_by_one) = in_parallel(rig, SLOW_MS)?;
    let slow = one_by_one / together;
    println!(
        "hw speed: the same with keys that take {SLOW_MS} ms for each answer: {together:.1} s, {one_by_one:.1} s ({slow:.1})"
    );
    Ok(format!("{quick:.1} times as fast at once, {slow:.1} times where keys take {SLOW_MS} ms for each answer"))
}

/// What the bench may cost above a process that sleeps, in percent of a core. This is for a build as people run it, on a machine that has
/// nothing else to do: a development build takes some times as long for the same, and on a busy machine an emulated core's time is not its
/// own.
const MAY_COST: f64 = 1.0;
/// What can be said on every machine: a key that blinks says so ten times a second, three at a time do, and the kernel counts some of that
/// twice. The others have nothing to do: were each looked at ten times a second, it would be three times as many.
const MAY_WAKE_AT_FIRST: f64 = 120.0;
/// The same once nobody has been there for ten seconds: blinking keys are looked at twice a second.
const MAY_WAKE: f64 = 30.0;

fn waits(rig: &Rig) -> Result<String, String> {
    let Waited { blinking, busy, own, idle } = waiting(rig)?;
    let told = format!(
        "16 keys wait, {blinking} of them blink: keybench {:.2} % of a core and woken {:.0} times a second, an idle process {:.2} % and \
         {:.0} times; just after a hand was there {:.2} % and {:.0} times",
        own.percent, own.wakes, idle.percent, idle.wakes, busy.percent, busy.wakes
    );
    ensure(busy.wakes <= MAY_WAKE_AT_FIRST, || told.clone())?;
    ensure(own.wakes <= MAY_WAKE, || told.clone())?;
    // Only a release build is held to the percents; its runs say so (`vm/run --release`).
    let held = std::env::var_os("HW_RELEASE").is_some();
    ensure(!held || own.percent <= idle.percent + MAY_COST, || told.clone())?;
    Ok(told)
}

/// What a process costs.
struct Cost {
    percent: f64,
    wakes: f64,
}

/// keybench as long as hands may be there, and when they have been away for some time; and a process that sleeps.
struct Waited {
    blinking: usize,
    busy: Cost,
    own: Cost,
    idle: Cost,
}

fn median(all: &[Steps]) -> Steps {
    let pick = |pick: fn(&Steps) -> f64| {
        let mut times: Vec<f64> = all.iter().map(pick).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    };
    Steps {
        open: pick(|steps| steps.open),
        info: pick(|steps| steps.info),
        set_pin: pick(|steps| steps.set_pin),
        make: pick(|steps| steps.make),
        assert: pick(|steps| steps.assert),
        set_pin_ours: pick(|steps| steps.set_pin_ours),
        make_ours: pick(|steps| steps.make_ours),
    }
}

fn fresh(keys: &mut Keys) -> Result<String, String> {
    keys.ask("fresh 1")?;
    keys.ask("plug 1")?;
    keys.wait_for_nodes()?;
    Ok(keys.node(1)?.to_string_lossy().into_owned())
}

/// From the record of a whole job: what passed on the wire, and when.
fn by_keybench(rig: &Rig, keys: &mut Keys) -> Result<Steps, String> {
    fresh(keys)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("job.jsonl");
    let mut command = Command::new(&rig.keybench);
    command.args(["record", "--port", "sim-1", "--what", "provision", "--json", "--out"]).arg(&out);
    command.env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
    let mut recording = Live::start(&mut command)?;
    recording.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    recording.until("recorded", PATIENCE)?;
    recording.end(PATIENCE)?;
    let text = fs::read_to_string(&out).map_err(|error| error.to_string())?;
    steps_of(&text)
}

/// A message of the record: time, from whom, command, and the first bytes.
struct Said {
    ms: f64,
    host: bool,
    command: u64,
    data: String,
}

fn steps_of(text: &str) -> Result<Steps, String> {
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(Said {
            ms: value["ms"].as_f64()?,
            host: value["from"] == "host",
            command: value["command"].as_u64()?,
            data: value["data"].as_str()?.to_owned(),
        })
    };
    let said: Vec<Said> = text.lines().filter_map(read).collect();
    // From the first message of a kind to its answer; keepalives are no answers.
    let span = |first: &dyn Fn(&Said) -> bool, last: &dyn Fn(&Said) -> bool| {
        let from = said.iter().position(|one| one.host && first(one))?;
        let asked = said.iter().skip(from).position(|one| one.host && last(one))? + from;
        let end = said.iter().skip(asked + 1).find(|one| !one.host && one.command == said[asked].command)?;
        Some(end.ms - said[from].ms)
    };
    let init = |one: &Said| one.command == 6;
    let info = |one: &Said| one.data == "04";
    // clientPIN's second member is the subcommand: 2 agrees on a key, 3 sets the PIN.
    let pin = |one: &Said, sub: &str| one.data.starts_with("06a") && one.data.get(8..12) == Some(&format!("02{sub}"));
    let agree = |one: &Said| pin(one, "02");
    let set = |one: &Said| pin(one, "03");
    let make = |one: &Said| one.data.starts_with("01a");
    let assert = |one: &Said| one.data.starts_with("02a");
    let set_at = said.iter().position(|one| one.host && set(one)).ok_or("no PIN was set in the record")?;
    let make_at = said.iter().position(|one| one.host && make(one)).ok_or("no credential in the record")?;
    // The credential's own token: the last key agreement before it.
    let agreed_at = said[set_at + 1..make_at].iter().rposition(|one| one.host && agree(one)).ok_or("no token")?;
    let made =
        said[make_at..].iter().find(|one| !one.host && one.command == 16).ok_or("no answer to makeCredential")?;
    let missing = |what: &str| format!("the record has no {what}");
    // Our share: from each answer to the message that follows it.
    let ours = |from: usize, to: f64| {
        let turns =
            said[from..].windows(2).take_while(|turn| turn[1].ms <= to).filter(|turn| !turn[0].host && turn[1].host);
        turns.map(|turn| turn[1].ms - turn[0].ms).sum::<f64>()
    };
    let first_agreed = said.iter().position(|one| one.host && agree(one)).ok_or_else(|| missing("key agreement"))?;
    Ok(Steps {
        set_pin_ours: ours(first_agreed, said[set_at].ms),
        make_ours: ours(set_at + 1 + agreed_at, made.ms),
        open: span(&init, &init).ok_or_else(|| missing("opening"))?,
        info: span(&info, &info).ok_or_else(|| missing("getInfo"))?,
        set_pin: span(&agree, &set).ok_or_else(|| missing("setPIN"))?,
        make: made.ms - said[set_at + 1 + agreed_at].ms,
        assert: span(&assert, &assert).ok_or_else(|| missing("assertion"))?,
    })
}

fn by_python(keys: &mut Keys) -> Result<Steps, String> {
    let node = fresh(keys)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-tests/crosscheck/speed.py");
    let python = std::env::var_os("HW_PYTHON").unwrap_or_default();
    let told = run(Command::new(python).arg(script).args([node.as_str(), CHOSEN]), PATIENCE)?.good()?;
    let told: Value = serde_json::from_str(told.trim()).map_err(|error| format!("speed.py: {error}: {told}"))?;
    let time = |name: &str| told[name].as_f64().ok_or_else(|| format!("speed.py tells no {name}: {told}"));
    Ok(Steps {
        open: time("open")?,
        info: time("info")?,
        set_pin: time("set_pin")?,
        make: time("make")?,
        assert: time("assert")?,
        ..Steps::default()
    })
}

/// A process each: starting it and opening the key are part of every step.
fn by_tools(keys: &mut Keys) -> Result<Steps, String> {
    let node = fresh(keys)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (asked, made) = (folder.path().join("asked"), folder.path().join("made"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let hash = STANDARD.encode([7; 32]);
    fs::write(&asked, format!("{hash}\nexample.org\nsomebody\n{}\n", STANDARD.encode(b"user")))
        .map_err(|error| error.to_string())?;
    let timed = |act: &dyn Fn() -> Result<String, String>| {
        let start = Instant::now();
        act()?;
        Ok::<f64, String>(start.elapsed().as_secs_f64() * 1000.0)
    };
    let info = timed(&|| run(Command::new("fido2-token").args(["-I", &node]), PATIENCE)?.good())?;
    let set_pin = timed(&|| asked_for_pins("fido2-token", &["-S", &node], &[CHOSEN, CHOSEN])?.good())?;
    let (asked, made_file) = (text(&asked), text(&made));
    let make = timed(&|| {
        asked_for_pins("fido2-cred", &["-M", "-r", "-i", &asked, "-o", &made_file, &node], &[CHOSEN])?.good()
    })?;
    let lines = fs::read_to_string(&made).map_err(|error| error.to_string())?;
    // Client data, relying party, format, authenticator data, credential id …
    let id = lines.lines().nth(4).ok_or_else(|| format!("fido2-cred wrote {lines}"))?;
    let wish = folder.path().join("wish");
    fs::write(&wish, format!("{hash}\nexample.org\n{id}\n")).map_err(|error| error.to_string())?;
    let (wish, answer) = (text(&wish), text(&folder.path().join("answer")));
    let assert = timed(&|| {
        run(Command::new("fido2-assert").args(["-G", "-t", "up=false", "-i", &wish, "-o", &answer, &node]), PATIENCE)?
            .good()
    })?;
    Ok(Steps { info, set_pin, make, assert, ..Steps::default() })
}

/// Milliseconds for looking at 32 keys, and for starting keybench to no purpose.
struct Listed {
    start: f64,
    looked: f64,
    opened: f64,
    theirs: f64,
}

fn enumeration(rig: &Rig) -> Result<Listed, String> {
    let mut keys = Keys::start(rig, 32, &[])?;
    keys.wait_for_nodes()?;
    let timed = |command: &mut Command, lines: usize| {
        let mut best = f64::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let told = run(command, PATIENCE)?.good()?;
            best = best.min(start.elapsed().as_secs_f64() * 1000.0);
            ensure(told.lines().count() == lines, || format!("{lines} lines for 32 keys: {told}"))?;
        }
        Ok::<f64, String>(best)
    };
    let start = timed(Command::new(&rig.keybench).arg("--version"), 1)?;
    let looked = timed(Command::new(&rig.keybench).args(["key", "list", "--unopened", "--json"]), 32)?;
    let opened = timed(Command::new(&rig.keybench).args(["key", "list", "--json"]), 32)?;
    let theirs = timed(Command::new("fido2-token").arg("-L"), 32)?;
    Ok(Listed { start, looked, opened, theirs })
}

/// From the run's start to the last finished key: in 16 ports, and in one. Each answer comes so much later than it could.
fn in_parallel(rig: &Rig, late_ms: u32) -> Result<(f64, f64), String> {
    const KEYS: usize = 16;
    let bench = Bench::new(rig, KEYS, "")?;
    let mut keys = Keys::start(rig, KEYS, &["--touch", "--unplugged"])?;
    let slow = |keys: &mut Keys| match late_ms {
        0 => Ok(Value::Null),
        ms => keys.ask(&format!(r#"fault all {{"kind":"slow-answer","ms":{ms}}}"#)),
    };
    slow(&mut keys)?;
    keys.ask("plug all")?;
    keys.wait_for_nodes()?;
    let mut bench_run = bench.run(&bench.roster("people.csv", 0..KEYS)?)?;
    bench_run.until("started", PATIENCE)?;
    let start = Instant::now();
    for _ in 0..KEYS {
        let event = bench_run.until("finished", PATIENCE)?;
        keys.ask(&format!("unplug {}", event["port"].as_str().unwrap_or_default().trim_start_matches("sim-")))?;
    }
    let together = start.elapsed().as_secs_f64();
    bench_run.end(PATIENCE)?;
    inspect(&bench, &mut keys, KEYS)?;
    drop(keys);

    let bench = Bench::new(rig, KEYS, "")?;
    let mut keys = Keys::start(rig, 1, &["--touch", "--unplugged"])?;
    slow(&mut keys)?;
    keys.ask("plug all")?;
    keys.wait_for_nodes()?;
    let mut bench_run = bench.run(&bench.roster("people.csv", 0..KEYS)?)?;
    bench_run.until("started", PATIENCE)?;
    let start = Instant::now();
    for nth in 1..=KEYS {
        bench_run.until("finished", PATIENCE)?;
        if nth < KEYS {
            keys.ask("fresh 1")?;
            slow(&mut keys)?;
            keys.ask("plug 1")?;
        }
    }
    let one_by_one = start.elapsed().as_secs_f64();
    keys.ask("unplug 1")?;
    bench_run.end(PATIENCE)?;
    inspect_sample(&bench, &mut keys, KEYS, 4)?;
    Ok((together, one_by_one))
}

/// keybench with 16 untouched keys, after a first one has shown that its model works here, and a process that sleeps.
fn waiting(rig: &Rig) -> Result<Waited, String> {
    const KEYS: usize = 16;
    let bench = Bench::new(rig, KEYS + 1, "")?;
    let mut keys = Keys::start(rig, KEYS, &["--unplugged"])?;
    keys.ask("touch 1 at-once")?;
    let mut bench_run = bench.run(&bench.roster("people.csv", 0..=KEYS)?)?;
    bench_run.until("started", PATIENCE)?;
    keys.ask("plug 1")?;
    let take_out = |keys: &mut Keys, event: &Value| {
        keys.ask(&format!("unplug {}", event["port"].as_str().unwrap_or_default().trim_start_matches("sim-"))).map(drop)
    };
    let first = bench_run.until("finished", PATIENCE)?;
    take_out(&mut keys, &first)?;
    keys.ask("fresh 1")?;
    keys.ask("touch all hand")?;
    // What is measured is waiting: a key that gives up after half a minute is asked anew, with a new token.
    keys.ask("touch-timeout all 600000")?;
    keys.ask("plug all")?;
    // Until everything is done that needs no hand.
    bench_run.until("touch", PATIENCE)?;
    while bench_run.next(Duration::from_secs(3)).is_some() {}
    let blinking = (1..=KEYS).filter_map(|key| keys.blinks(key).ok()).filter(|blinks| *blinks).count();
    ensure(blinking > 0, || format!("no key blinks; {}", bench_run.told()))?;
    let mut idle = Live::start(Command::new("sleep").arg("600"))?;
    let over = |span: u64| {
        let before = (spent(bench_run.id())?, spent(idle.id())?);
        std::thread::sleep(Duration::from_secs(span));
        let after = (spent(bench_run.id())?, spent(idle.id())?);
        Ok::<_, String>((Cost::between(before.0, after.0, span), Cost::between(before.1, after.1, span)))
    };
    let (busy, _) = over(5)?;
    // Ten seconds after the last hand, and then for half a minute.
    std::thread::sleep(Duration::from_secs(5));
    let (own, asleep) = over(30)?;
    ensure(bench_run.next(Duration::ZERO).is_none(), || format!("something happened meanwhile; {}", bench_run.told()))?;
    if program::TRACE.load(Ordering::Relaxed) {
        println!("{}", wakes_by_thread(bench_run.id()));
    }
    idle.kill();
    keys.ask("touch all at-once")?;
    for _ in 0..KEYS {
        let event = bench_run.until("finished", PATIENCE)?;
        take_out(&mut keys, &event)?;
    }
    bench_run.end(PATIENCE)?;
    inspect(&bench, &mut keys, KEYS + 1)?;
    Ok(Waited { blinking, busy, own, idle: asleep })
}

impl Cost {
    /// Of two looks so many seconds apart.
    fn between(before: (u64, u64), after: (u64, u64), seconds: u64) -> Self {
        let span = seconds as f64;
        Self {
            percent: after.0.saturating_sub(before.0) as f64 / (span * 1e9) * 100.0,
            wakes: after.1.saturating_sub(before.1) as f64 / span,
        }
    }
}

/// Time of a process on a processor in nanoseconds (Documentation/scheduler/sched-stats: schedstat, field 1), and how often its threads
/// were woken.
fn spent(process: u32) -> Result<(u64, u64), String> {
    let (mut nanoseconds, mut wakes) = (0, 0);
    for thread in fs::read_dir(format!("/proc/{process}/task")).map_err(|error| error.to_string())?.flatten() {
        let path = thread.path().join("schedstat");
        let told = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        nanoseconds += told.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        wakes += woken(&thread.path());
    }
    Ok((nanoseconds, wakes))
}

fn woken(thread: &Path) -> u64 {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    let woken = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    woken.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
}

/// Which threads woke how often since they began; for whoever looks for the one that does it too often.
fn wakes_by_thread(process: u32) -> String {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lines = threads.map(|thread| {
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        let time = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let time = time.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        format!("{:>8} times {:>8} us {}", woken(&thread.path()), time / 1000, name.trim())
    });
    lines.collect::<Vec<_>>().join("\n")
}
