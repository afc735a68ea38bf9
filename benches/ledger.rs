//! How the ledger grows: planning a roster and answering `status`, for ten and for a hundred thousand people.
//!
//! ```text
//! cargo bench --bench ledger
//! ```

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keybench::ledger::{Append, Entry, JobFilter, Ledger, Opening, open_reader, open_writer};
use keybench::model::{BatchId, BenchId, JobId, Person, TenantId, Upn, UserId};
use keybench::world::{SystemClock, SystemEntropy};

const SMALL: u32 = 10_000;
const LARGE: u32 = 100_000;

fn main() -> ExitCode {
    match (measure(SMALL), measure(LARGE)) {
        (Ok(small), Ok(large)) => {
            let ratio = |small: Duration, large: Duration| large.as_secs_f64() / small.as_secs_f64();
            say("            10,000 people   100,000 people   ratio");
            for (what, small, large) in [("plan", small.0, large.0), ("status", small.1, large.1)] {
                say(&format!(
                    "{what:<8} {:>13.2} s {:>15.2} s {:>8.1}",
                    small.as_secs_f64(),
                    large.as_secs_f64(),
                    ratio(small, large)
                ));
            }
            ExitCode::SUCCESS
        }
        (Err(error), _) | (_, Err(error)) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)] // a benchmark's answer is its output
fn say(line: &str) {
    println!("{line}");
}

type Failed = Box<dyn std::error::Error>;

/// Plans so many people, each for a key; then reads what `status` reads: where everybody stands, the names, and what is about no
/// job.
fn measure(people: u32) -> Result<(Duration, Duration), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    let roster = (0..people).map(person).collect::<Result<Vec<_>, _>>()?;
    let plan = plan(&path, roster)?;
    let begun = Instant::now();
    let ledger = open_reader(&path)?;
    let (jobs, names) = (ledger.jobs(&JobFilter::all())?, ledger.people()?);
    ledger.visit_jobless(&mut |_| ControlFlow::Continue(()))?;
    let status = begun.elapsed();
    if (jobs.len(), names.len()) != (people as usize, people as usize) {
        return Err("somebody is missing".into());
    }
    Ok((plan, status))
}

fn plan(path: &Path, roster: Vec<Person>) -> Result<Duration, Failed> {
    let ledger = open_writer(&Opening {
        path: path.to_owned(),
        mirror: None,
        bench: BenchId::new("benchmark"),
        clock: Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    })?;
    let begun = Instant::now();
    let tenant = TenantId::new("00000000-0000-0000-0000-000000000001");
    let mut append = Append::entries(roster.iter().map(|person| Entry::JobPlanned {
        job: JobId::derive(&tenant, &person.id, 1),
        tenant: tenant.clone(),
        user: person.id.clone(),
        ordinal: 1,
        batch: BatchId::new("benchmark"),
    }));
    append.people = roster;
    ledger.append(append)?;
    Ok(begun.elapsed())
}

fn person(number: u32) -> Result<Person, Failed> {
    Ok(Person {
        id: UserId::new(format!("00000000-0000-0000-0001-{number:012x}")),
        upn: Upn::parse(&format!("person{number}@contoso.example")).ok_or("no UPN")?,
        display_name: format!("Person {number}"),
        address: None,
        first_device: None,
        key_kind: None,
        serial: None,
        language: None,
        spare_address: None,
    })
}
