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

/// As unlikely to be there by chance as a PIN is.
const PLANTED: &str = "k3h8t5r2n7v4c6";

fn trial(rig: &Rig) -> Result<String, String> {
    // Six digits would be found by chance; 16 letters and digits are not.
    let settings = format!("key_name = \"{PLANTED} {{serial}}\"\n\n[pin]\nlength = 16\nalphabet = \"alphanumeric\"\n");
    let bench = Bench::new(rig, 2, &settings)?;
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
        // On the stack, where the environment lies, and on the heap, where the settings and the people are.
        let planted = [&dump.stack, &dump.heap].map(|memory| holds(memory, PLANTED.as_bytes()));
        let person = holds(&dump.heap, bench.upns[1].as_bytes());
        ensure(planted == [true; 2] && person, || {
            format!("what must be found is not (planted {planted:?}, a person {person}): the search is worth nothing")
        })?;
        for job in jobs.iter().filter(|job| at == 1 || job.serial.ends_with('1')) {
            ensure(job.pin.len() == 16, || "the PIN has not 16 characters".to_owned())?;
            let wide: Vec<u8> = job.pin.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let found = [&dump.stack, &dump.heap]
                .into_iter()
                .any(|memory| holds(memory, job.pin.as_bytes()) || holds(memory, &wide));
            ensure(!found, || format!("after key {} the PIN of job {} is in memory", at + 1, job.job))?;
        }
    }
    let bytes: usize = dumps.iter().map(|dump| dump.stack.len() + dump.heap.len()).sum();
    Ok(format!("2 dumps, {} MiB, no PIN; the planted copies found on stack and heap", bytes >> 20))
}

/// Everything the process may write to.
#[derive(Default)]
struct Dump {
    /// The first thread's, with arguments and environment.
    stack: Vec<u8>,
    /// All else: heaps, other threads' stacks, what is mapped.
    heap: Vec<u8>,
}

/// One region after another.
fn dump(pid: u32) -> Result<Dump, String> {
    let failed = |error: std::io::Error| format!("the memory of {pid}: {error}");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(failed)?;
    let mut memory = File::open(format!("/proc/{pid}/mem")).map_err(failed)?;
    let (mut all, mut missed) = (Dump::default(), 0);
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
        let into = if line.ends_with("[stack]") { &mut all.stack } else { &mut all.heap };
        let before = into.len();
        // A region that goes while it is read ends early.
        let _ = memory.by_ref().take(to - from).read_to_end(into);
        missed += (to - from) - (into.len() - before) as u64;
    }
    let read = (all.stack.len() + all.heap.len()) as u64;
    ensure(read > 1 << 20 && missed < read / 20, || format!("{read} bytes of {pid} were read, {missed} were not"))?;
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
