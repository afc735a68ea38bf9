//! Other programs talk to the same keys meanwhile: a polite one that locks the node (libfido2), and a rude one that writes what it likes.
//! A third key's answers have another program's reports between them, a fourth loses one and a fifth's comes garbled.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::Trial;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::program::run;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial = Trial {
    name: "foreign-client",
    destroys: "5 keys",
    needs: &[Need::Uhid, Need::FidoTools],
    bench: Some(trial),
    key: None,
};

const KEYS: usize = 5;

/// What the others have done so far.
#[derive(Default)]
struct Others {
    /// Reports of the rude one.
    written: AtomicU64,
    /// Questions of the polite one that were answered, and all of them: while the bench has the node it is turned away.
    answered: AtomicU64,
    asked: AtomicU64,
    /// One more, while a question is under way.
    begun: AtomicU64,
}

fn trial(rig: &Rig) -> Result<String, String> {
    let bench = Bench::new(rig, KEYS, "")?;
    let mut keys = Keys::start(rig, KEYS, &["--unplugged"])?;
    // Time for the others to come in between.
    keys.ask("touch all after 2000")?;
    keys.ask("foreign 3")?;
    keys.ask("drop 4 9")?;
    keys.ask("corrupt 5 9")?;
    keys.ask("plug all")?;
    keys.wait_for_nodes()?;
    let (rude, polite) = (keys.node(1)?, keys.node(2)?);
    let over = AtomicBool::new(false);
    let others = Others::default();
    let code = std::thread::scope(|scope| {
        scope.spawn(|| be_rude(&rude, &over, &others.written));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                others.begun.fetch_add(1, Ordering::Relaxed);
                let ended = run(Command::new("fido2-token").arg("-I").arg(&polite), PATIENCE);
                others.answered.fetch_add(u64::from(ended.is_ok_and(|ended| ended.code == Some(0))), Ordering::Relaxed);
                others.asked.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let outcome = provision(&bench, &mut keys, &others);
        over.store(true, Ordering::Relaxed);
        outcome
    })?;
    ensure(code == 0, || format!("exit code {code}"))?;
    inspect(&bench, &mut keys, KEYS)?;
    let (written, asked) = (others.written.into_inner(), others.asked.into_inner());
    let answered = others.answered.into_inner();
    ensure(answered > 0, || format!("libfido2 was answered none of {asked} questions"))?;
    Ok(format!(
        "{written} foreign reports, {asked} questions of libfido2 and {answered} answers; on others a report lost, one garbled, some in between"
    ))
}

fn provision(bench: &Bench, keys: &mut Keys, others: &Others) -> Result<i32, String> {
    let mut run = bench.run(&bench.roster("people.csv", 0..KEYS)?)?;
    let (mut done, mut again) = (0, 4);
    // What the others had done when the bench asked for the touch; what is begun or done afterwards falls into its work.
    let (mut written, mut asked) = (None, None);
    while done < KEYS {
        let event = run.next(PATIENCE).ok_or_else(|| format!("nothing more happens; {}", run.told()))?;
        let port = event["port"].as_str().unwrap_or_default().trim_start_matches("sim-").to_owned();
        match (event["event"].as_str().unwrap_or_default(), port.as_str()) {
            ("touch", "1") => written = Some(others.written.load(Ordering::Relaxed)),
            ("touch", "2") => asked = Some(others.asked.load(Ordering::Relaxed)),
            ("finished", _) => {
                let now = [others.written.load(Ordering::Relaxed), others.begun.load(Ordering::Relaxed)];
                for (key, before, now) in [("1", written, now[0]), ("2", asked, now[1])] {
                    ensure(port != key || before.is_some_and(|before| before < now), || {
                        format!("nobody else spoke to key {key} between its touch and its end: {before:?}, {now}")
                    })?;
                }
                keys.ask(&format!("unplug {port}"))?;
                done += 1;
            }
            // A report that is lost, or a guest that gets no time, makes a key silent; the screen says what to do about that.
            ("key-refused", _) if event["code"] == "mute" && again > 0 => {
                keys.ask(&format!("power-cycle {port}"))?;
                again -= 1;
            }
            ("key-refused" | "failed", _) => return Err(format!("{event}; {}", run.told())),
            _ => {}
        }
    }
    run.end(PATIENCE)
}

/// Whenever the node is there.
fn be_rude(node: &Path, over: &AtomicBool, written: &AtomicU64) {
    // Nobody reads for ever: an answer may be lost, and the trial over.
    let how = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    while !over.load(Ordering::Relaxed) {
        if let Ok(file) = OpenOptions::new().read(true).write(true).custom_flags(how).open(node) {
            talk(file, over, written);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Asks for a channel and then for getInfo on it, over and over, without any lock, until the node is gone.
fn talk(mut file: File, over: &AtomicBool, written: &AtomicU64) {
    let mut channel = [0xFF; 4];
    while !over.load(Ordering::Relaxed) {
        let mut report = [0; 65];
        report[1..5].copy_from_slice(&channel);
        // INIT with a nonce, or CBOR with getInfo.
        let asked: &[u8] = if channel == [0xFF; 4] { &[0x86, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8] } else { &[0x90, 0, 1, 4] };
        report[5..5 + asked.len()].copy_from_slice(asked);
        if file.write_all(&report).is_err() {
            return;
        }
        written.fetch_add(1, Ordering::Relaxed);
        // Whatever comes is read, ours or not: without that this program's queue would only fill up.
        let mut answer = [0; 64];
        match file.read(&mut answer) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
        if answer[..4] == [0xFF; 4] && answer[7..15] == [1, 2, 3, 4, 5, 6, 7, 8] {
            channel.copy_from_slice(&answer[15..19]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
