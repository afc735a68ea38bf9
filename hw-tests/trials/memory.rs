//! After a key is finished its PIN is nowhere in the memory of the process that set it. A copy that was planted is found.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

use crate::Trial;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::program::Live;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial =
    Trial { name: "memory", destroys: "2 keys", needs: &[Need::Uhid, Need::Root], bench: Some(trial), key: None };

/// As long as the PINs, and as unlikely to be there by chance.
const PLANTED: &str = "k3h8t5r2n7v4c6x9";

fn trial(rig: &Rig) -> Result<String, String> {
    // Six digits would be found by chance; 16 letters and digits are not.
    let bench = Bench::new(rig, 2, "[pin]\nlength = 16\nalphabet = \"alphanumeric\"\n")?;
    let mut keys = Keys::start(rig, 2, &["--unplugged", "--touch"])?;
    let roster = bench.roster("people.csv", [0, 1])?;
    let mut command = bench.run_command(&roster);
    let mut run = Live::start(command.env("HW_PLANTED", PLANTED))?;
    run.until("started", PATIENCE)?;
    let mut dumps = Vec::new();
    for key in 1..=2 {
        keys.ask(&format!("plug {key}"))?;
        run.until("finished", PATIENCE)?;
        // While the first key's dump is taken the run waits for the second; at the second's, for its being taken out.
        if key == 1 {
            keys.ask("unplug 1")?;
            run.until("unplugged", PATIENCE)?;
        }
        dumps.push(dump(run.id())?);
    }
    keys.ask("unplug 2")?;
    run.end(PATIENCE)?;
    let jobs = inspect(&bench, &mut keys, 2)?;
    for (at, dump) in dumps.iter().enumerate() {
        ensure(holds(dump, PLANTED.as_bytes()), || {
            "the planted copy is not found: the search is worth nothing".to_owned()
        })?;
        for job in jobs.iter().filter(|job| at == 1 || job.serial.ends_with('1')) {
            ensure(job.pin.len() == 16, || "the PIN has not 16 characters".to_owned())?;
            let wide: Vec<u8> = job.pin.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let found = holds(dump, job.pin.as_bytes()) || holds(dump, &wide);
            ensure(!found, || format!("after key {} the PIN of job {} is in memory", at + 1, job.job))?;
        }
    }
    let bytes: usize = dumps.iter().map(Vec::len).sum();
    Ok(format!("2 dumps, {} MiB, no PIN; the planted copy found", bytes >> 20))
}

/// Everything the process may read, one region after another.
fn dump(pid: u32) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("the memory of {pid}: {error}");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(failed)?;
    let mut memory = File::open(format!("/proc/{pid}/mem")).map_err(failed)?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        // What can't be written is the program's own text; the kernel's pages can't be read this way.
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        memory.seek(SeekFrom::Start(from)).map_err(failed)?;
        // A region that goes while it is read ends early.
        let _ = memory.by_ref().take(to - from).read_to_end(&mut all);
    }
    ensure(all.len() > 1 << 20, || format!("only {} bytes of {pid} could be read", all.len()))?;
    Ok(all)
}

fn holds(memory: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let mut rest = memory;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
