//! Other programs talk to the same keys meanwhile: a polite one that locks the node (libfido2), and a rude one that writes what it likes.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
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
    destroys: "2 keys",
    needs: &[Need::Uhid, Need::FidoTools],
    bench: Some(trial),
    key: None,
};

fn trial(rig: &Rig) -> Result<String, String> {
    let bench = Bench::new(rig, 2, "")?;
    let mut keys = Keys::start(rig, 2, &["--touch"])?;
    keys.wait_for_nodes()?;
    let (rude, polite) = (keys.node(1)?, keys.node(2)?);
    let over = AtomicBool::new(false);
    let (written, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    let code = std::thread::scope(|scope| {
        scope.spawn(|| be_rude(&rude, &over, &written));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if run(Command::new("fido2-token").arg("-I").arg(&polite), PATIENCE)
                    .is_ok_and(|ended| ended.code == Some(0))
                {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let outcome = provision(&bench, &mut keys);
        over.store(true, Ordering::Relaxed);
        outcome
    })?;
    ensure(code == 0, || format!("exit code {code}"))?;
    inspect(&bench, &mut keys, 2)?;
    let (written, asked) = (written.into_inner(), asked.into_inner());
    ensure(written > 0 && asked > 0, || format!("the others said nothing: {written} reports, {asked} questions"))?;
    Ok(format!("{written} foreign reports, {asked} questions of libfido2"))
}

fn provision(bench: &Bench, keys: &mut Keys) -> Result<i32, String> {
    let mut run = bench.run(&bench.roster("people.csv", [0, 1])?)?;
    let (mut done, mut again) = (0, 3);
    while done < 2 {
        let event = run.next(PATIENCE).ok_or_else(|| format!("nothing more happens; {}", run.told()))?;
        let port = event["port"].as_str().unwrap_or_default().trim_start_matches("sim-").to_owned();
        match event["event"].as_str().unwrap_or_default() {
            "finished" => {
                keys.ask(&format!("unplug {port}"))?;
                done += 1;
            }
            // A guest that gets no time makes a key silent; the screen says what to do about that.
            "key-refused" if event["code"] == "mute" && again > 0 => {
                keys.ask(&format!("power-cycle {port}"))?;
                again -= 1;
            }
            "key-refused" | "failed" => return Err(format!("{event}; {}", run.told())),
            _ => {}
        }
    }
    run.end(PATIENCE)
}

/// Asks for a channel and then for getInfo on it, over and over, without any lock.
fn be_rude(node: &PathBuf, over: &AtomicBool, written: &AtomicU64) {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(node) else { return };
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
        if file.read(&mut answer).is_err() {
            return;
        }
        if answer[..4] == [0xFF; 4] && answer[7..15] == [1, 2, 3, 4, 5, 6, 7, 8] {
            channel.copy_from_slice(&answer[15..19]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
