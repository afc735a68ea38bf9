//! Hundreds of keys through every port in one run: the process's memory and file handles stay flat, and nothing is lost or made twice.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::rig::bench::Bench;
use crate::rig::inspect::{hex, inspect_sample};
use crate::rig::keys::Keys;
use crate::rig::{Need, Rig, ensure};

pub const TRIAL: Trial =
    Trial { name: "soak", destroys: "every key it makes", needs: &[Need::Uhid], bench: Some(trial), key: None };

/// One look at the process.
#[derive(Debug, Clone, Copy)]
struct Look {
    done: usize,
    /// Resident memory in KiB.
    memory: u64,
    handles: usize,
    threads: u64,
}

fn trial(rig: &Rig) -> Result<String, String> {
    let number =
        |name: &str, otherwise: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let ports = number("HW_SOAK_PORTS", if rig.full { 16 } else { 4 });
    let each = number("HW_SOAK_KEYS", if rig.full { 200 } else { 5 });
    let total = ports * each;
    let bench = Bench::new(rig, total, "")?;
    let mut keys = Keys::start(rig, ports, &["--touch"])?;
    keys.wait_for_nodes()?;
    let roster = bench.roster("people.csv", 0..total)?;
    let start = Instant::now();
    let mut run = bench.run(&roster)?;
    // Twenty seconds a key is a machine that is busy with other things.
    let end = start + Duration::from_secs(300 + 20 * total as u64);
    let mut used = BTreeMap::<String, usize>::new();
    // The credential in each job's key, as it was when the bench said that the key is finished.
    let mut held = BTreeMap::<String, String>::new();
    let mut looks = Vec::new();
    let (mut done, mut mute) = (0, 0);
    while done < total {
        let Some(event) = run.next(end.saturating_duration_since(Instant::now())) else {
            return Err(format!("{done} of {total} keys are finished; {}", run.told()));
        };
        run.heard.clear();
        let kind = event["event"].as_str().unwrap_or_default();
        // A guest that gets no time makes a key silent; the screen says what to do about that. One in a hundred is told, more is a fault.
        if kind == "key-refused" && event["code"] == "mute" && mute <= total / 100 {
            mute += 1;
            keys.ask(&format!(
                "power-cycle {}",
                event["port"].as_str().unwrap_or_default().trim_start_matches("sim-")
            ))?;
            continue;
        }
        ensure(kind != "failed" && kind != "key-refused", || format!("after {done} keys: {event}"))?;
        if kind == "finished" {
            done += 1;
            let port = event["port"].as_str().unwrap_or_default().to_owned();
            let place = port.trim_start_matches("sim-").to_owned();
            let inside = keys.ask(&format!("inspect {place}"))?;
            let residents = inside["residents"].as_array().cloned().unwrap_or_default();
            for resident in &residents {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                held.insert(text(&event["job"]), text(&resident["credential_id"]));
            }
            ensure(residents.len() == 1 && inside["change_is_forced"] == true && inside["retries"] == 8, || {
                format!("{port}: {inside}")
            })?;
            keys.ask(&format!("unplug {place}"))?;
            let so_far = used.entry(port).or_default();
            *so_far += 1;
            // Who was quick serves the next person: ports don't wait for each other.
            if done + keys_in_ports(&mut keys)? < total {
                keys.ask(&format!("fresh {place}"))?;
                keys.ask(&format!("plug {place}"))?;
            }
            if done.is_multiple_of(ports) {
                looks.push(look(run.id(), done)?);
            }
            // It takes its time: how far it is, and what is known so far, is worth having.
            if rig.full && done.is_multiple_of(10 * ports) {
                println!("hw soak: {done} of {total} keys, {:?}", look(run.id(), done)?);
            }
        }
    }
    let took = start.elapsed();
    let code = run.end(Duration::from_secs(120))?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    // The custodian opens one PIN of so many (opening is a process each), and those of the last keys, which are still there.
    let jobs = inspect_sample(&bench, &mut keys, total, (total / 40).max(1))?;
    for job in jobs {
        let (on_key, credential) = (held.get(&job.job), hex(&job.credential));
        ensure(on_key == Some(&credential), || {
            format!("job {}: {on_key:?} is on its key, and {credential} in ledger and tenant", job.job)
        })?;
    }
    let flat = is_flat(&looks, ports)?;
    let rate = total as f64 / took.as_secs_f64();
    let silent = if mute > 0 {
        format!(", {mute} times a key of a busy machine was silent and re-plugged")
    } else {
        String::new()
    };
    Ok(format!("{ports} ports, {total} keys in {:.0} s ({rate:.2} a second), {flat}{silent}", took.as_secs_f64()))
}

fn keys_in_ports(keys: &mut Keys) -> Result<usize, String> {
    let state = keys.ask("list")?;
    Ok(state["keys"].as_array().into_iter().flatten().filter(|key| key["plugged"] == true).count())
}

fn look(process: u32, done: usize) -> Result<Look, String> {
    let failed = |error: std::io::Error| format!("/proc/{process}: {error}");
    let status = fs::read_to_string(format!("/proc/{process}/status")).map_err(failed)?;
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let handles = fs::read_dir(format!("/proc/{process}/fd")).map_err(failed)?.count();
    Ok(Look { done, memory: line("VmRSS:"), handles, threads: line("Threads:") })
}

/// From the first quarter to the last: not a handle more than the ports have, and no memory that grows with the keys.
fn is_flat(looks: &[Look], ports: usize) -> Result<String, String> {
    let (Some(early), Some(last)) = (looks.get(looks.len() / 4), looks.last()) else {
        return Err("the process was never looked at".to_owned());
    };
    let told = format!(
        "memory {} to {} KiB, handles {} to {}, threads {} to {} (key {} to {})",
        early.memory, last.memory, early.handles, last.handles, early.threads, last.threads, early.done, last.done
    );
    ensure(last.handles <= early.handles + 2 * ports, || format!("file handles grow: {told}"))?;
    ensure(last.threads <= early.threads + 2 * ports as u64, || format!("threads grow: {told}"))?;
    // What is kept of each job is small: more than 2 KiB a key beside 16 MiB in all is a leak.
    let keys = (last.done - early.done) as u64;
    ensure(last.memory <= early.memory + 16 * 1024 + 2 * keys, || format!("memory grows: {told}"))?;
    Ok(told)
}
