//! What packing, receipt and release share: which key is meant, who acts, and how "not now" is said.

pub mod activate;
mod ears;
pub mod gone;
mod manager;
pub mod pack;
mod pack_self;
pub mod receipt;
pub mod release;

use std::io::Write as _;
use std::ops::ControlFlow;

pub(in crate::cli) use self::pack_self::{shipments, shipped_by};

use super::{CliError, Exit, Output};
use crate::handover::code::Code;
use crate::handover::parcel::{NotNow, Parcel, Parcels};
use crate::ledger::{Append, Head, Ledger, LedgerError};
use crate::model::{JobId, Serial, Upn};
use crate::platform::who;
use jiff::Timestamp;

/// Where every key is.
pub(in crate::cli) fn parcels(ledger: &dyn Ledger) -> Result<Parcels, LedgerError> {
    let mut parcels = Parcels::default();
    ledger.visit(1, &mut |recorded| {
        parcels.add(&recorded);
        ControlFlow::Continue(())
    })?;
    Ok(parcels)
}

/// How often a decision is made again because another desk wrote about the same parcel meanwhile.
const AGAIN: usize = 8;

/// Decides by what the ledger says now and writes what was decided, or neither: where another desk wrote about the same in between, it
/// is decided anew. `None` decides that nothing is to be written.
pub(in crate::cli) fn settle<T>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut() -> Result<(Option<Append>, T), CliError>,
) -> Result<(Head, T), CliError> {
    let mut left = AGAIN;
    loop {
        let seen = ledger.head()?;
        let (append, told) = decide()?;
        let Some(append) = append else { return Ok((seen, told)) };
        match ledger.append(append.as_of(seen)) {
            Err(LedgerError::Overtaken { .. }) if left > 0 => left -= 1,
            written => return Ok((written?, told)),
        }
    }
}

/// Who acts: as they say, else as the system says.
pub(in crate::cli) fn acting(named: Option<&str>) -> Result<String, CliError> {
    match named {
        Some(name) => Ok(super::escrow::line("--as", name)?.to_owned()),
        None => Ok(who::operator()),
    }
}

/// A stop that nobody overlooks: on a terminal the screen is cleared, red, and it rings.
pub(in crate::cli) fn alarm(output: &Output) {
    let style = output.style();
    if !style.stderr_is_terminal || style.json {
        return;
    }
    let mut screen = std::io::stderr().lock();
    let (on, off) = if style.color { ("\x1b[1;37;41m", "\x1b[0m") } else { ("", "") };
    let bar = format!("{on}{:^60}{off}", "");
    let title = format!("{on}{:^60}{off}", "S T O P");
    // A terminal that can't be written to shows the error below neither.
    let _ = write!(screen, "\x1b[2J\x1b[H\x07{bar}\n{title}\n{bar}\n\n");
}

/// A job and the parcel of its last key.
pub(in crate::cli) struct Found<'p> {
    pub(in crate::cli) job: JobId,
    pub(in crate::cli) parcel: &'p Parcel,
}

/// What people name a parcel by: a code on paper, a job's id, a serial number, the carrier's number, or the person.
pub(in crate::cli) fn find<'p>(ledger: &dyn Ledger, parcels: &'p Parcels, text: &str) -> Result<Found<'p>, CliError> {
    let text = text.trim();
    let of_code = match Code::parse(text) {
        Ok(code) => Some(of_label(parcels, &code)?),
        Err(_) => None,
    };
    let serial = Serial::new(text);
    let by_person = || -> Result<Option<JobId>, CliError> {
        let Some(upn) = Upn::parse(text) else { return Ok(None) };
        let Some(person) = ledger.people()?.into_iter().find(|person| person.upn == upn) else { return Ok(None) };
        let theirs: Vec<JobId> = ledger
            .jobs(&crate::ledger::JobFilter { user: Some(person.id), ..Default::default() })?
            .into_iter()
            .map(|line| line.job)
            .filter(|job| parcels.get(job).is_some())
            .collect();
        match theirs.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            several => {
                let ids: Vec<&str> = several.iter().map(JobId::as_str).collect();
                let fact = format!("{upn} has {} keys: {}.", several.len(), ids.join(", "));
                Err(CliError::new(Exit::Usage, "which-key", fact, "name one of them by its job's id."))
            }
        }
    };
    let job = match of_code {
        Some(job) => Some(job),
        None => {
            let id = JobId::new(text.to_ascii_uppercase());
            let known = parcels.get(&id).map(|_| id);
            let known = known.or_else(|| parcels.by_serial(&serial).cloned());
            let known = known.or_else(|| parcels.by_tracking(text).cloned());
            match known {
                Some(job) => Some(job),
                None => by_person()?,
            }
        }
    };
    match job.and_then(|job| parcels.get(&job).map(|parcel| Found { job, parcel })) {
        Some(found) => Ok(found),
        None => {
            let fact = format!("No key is known as {text}.");
            let next =
                "scan its label again, or name it by job, serial number or person; `keybench receipt list` lists them.";
            Err(CliError::new(Exit::Usage, "unknown-job", fact, next))
        }
    }
}

/// The job of a code. Paper of an earlier try is of a key that is not the job's any more.
fn of_label(parcels: &Parcels, code: &Code) -> Result<JobId, CliError> {
    match parcels.get(code.job()) {
        Some(parcel) if parcel.attempt != code.attempt() => {
            let fact = format!("This {} is of an earlier key of job {}.", code.kind().for_people(), code.job());
            let next = "put it aside with whatever it is on; the job's last key has a label of its own.";
            Err(CliError::new(Exit::Usage, "old-paper", fact, next))
        }
        _ => Ok(code.job().clone()),
    }
}

/// Days until a hold runs out, rounded up; not above 0 when it has.
pub(in crate::cli) fn days_left(expires: Timestamp, now: Timestamp) -> i64 {
    let hours = expires.duration_since(now).as_hours();
    if expires > now { hours / 24 + 1 } else { hours / 24 }
}

/// The same, for people.
pub(in crate::cli) fn left_of(expires: Timestamp, now: Timestamp) -> String {
    let day = expires.strftime("%Y-%m-%d");
    match days_left(expires, now) {
        1 => format!("1 day left to activate it ({day})"),
        days if days > 0 => format!("{days} days left to activate it ({day})"),
        days => format!("OVERDUE since {day} ({} days): make a new credential", -days),
    }
}

/// Says why something has to wait.
pub(in crate::cli) fn not_now(what: &str, job: &JobId, why: &NotNow) -> CliError {
    let (code, next) = match why {
        NotNow::NotFinished => ("not-finished", "finish it at the bench: `keybench run` goes on with it.".to_owned()),
        NotNow::PackedAlready { .. } => (
            "packed-already",
            "look for the parcel; if it was opened again, `keybench return` takes the key back.".to_owned(),
        ),
        NotNow::NotPacked => ("not-packed", "`keybench pack` packs it.".to_owned()),
        NotNow::NotDelivered => (
            "not-delivered",
            "note the delivery first: `keybench receipt card` or `keybench receipt carrier`.".to_owned(),
        ),
        NotNow::NotVerified => {
            ("not-verified", format!("`keybench receipt verify {job}` notes who made sure, and how."))
        }
        NotNow::PackerActivates(_) => ("packer-activates", "let somebody else activate it.".to_owned()),
        NotNow::NotActivated => {
            ("not-activated", format!("activate it first: `keybench activate {job} --identity FILE --as NAME`."))
        }
        NotNow::NotHeld => ("not-held", "`keybench receipt list` shows which keys are held.".to_owned()),
        NotNow::HoldExpired(_) => ("hold-expired", activate::make_new(job)),
        NotNow::HoldOver => ("hold-over", activate::make_new(job)),
        NotNow::SamePerson(_) => ("same-person", "let somebody else release it.".to_owned()),
        NotNow::ReleasedAlready(_) => {
            ("released-already", "if the person never got it, `keybench replace` starts anew.".to_owned())
        }
        NotNow::ReleaseUnknown(_) => (
            "release-unknown",
            "ask the manager whether they have it. `keybench release … --by manager --again` sends it once more; if nobody \
             has it, `keybench replace` starts anew."
                .to_owned(),
        ),
        NotNow::NoLetter => ("no-letter", "`keybench letters make` prints it.".to_owned()),
        NotNow::LetterExpired { .. } | NotNow::LetterOver(_) => {
            ("letter-expired", "destroy it and print a new one, or replace the key: `keybench replace`.".to_owned())
        }
        NotNow::Lost | NotNow::Returned => ("key-gone", format!("`keybench show {job}` tells what happened to it.")),
    };
    CliError::new(Exit::SomeFailed, code, format!("Job {job} {what}: {why}."), next)
}
