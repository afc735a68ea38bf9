//! Which trials are done, on what, and how that is told.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::rig::bench::UNSEEN;
use crate::rig::dut::Dut;
use crate::rig::report::{Report, Row, Verdict};
use crate::rig::subject::{Asks, Subject};
use crate::rig::{Need, Rig, figures, hook, lab, program};
use crate::trials;

/// What was tried, or why it failed, in words.
pub type Outcome = Result<String, String>;

/// One trial.
pub struct Trial {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does to keys.
    pub destroys: &'static str,
    /// What this machine must have.
    pub needs: &'static [Need],
    /// On virtual keys that it makes itself: does it, and says in a few words what was tried.
    pub bench: Option<fn(&Rig) -> Outcome>,
    /// On one key that it is handed: a virtual one, or a DUT.
    pub key: Option<OnKey>,
}

/// The part of a trial that is done on one key.
pub struct OnKey {
    /// What it asks of the key.
    pub asks: Asks,
    /// Virtual keys of these models stand in where no DUT is named.
    pub models: &'static [&'static str],
    /// Does it.
    pub run: fn(&Rig, &mut Subject) -> Outcome,
}

/// What `--help` says.
const USAGE: &str = "\
Trials of keybench on USB devices; hw-tests/README.md tells what each does.

cargo test --test hw -- [OPTION]… [PART OF A NAME]…

  --only NAME         this trial; may be given again
  --list              their names
  --duts NAME,…|all   on the keys that these files name; without it no real key is opened
  --duts-folder DIR   where the files are (hw-tests/duts)
  --report DIR        where page, JUnit and what the next run is held against are kept
  --record DIR        keep what the trial of that name records of each key
  --full              every n, hundreds of kills, the soak, the figures
  --seed N            other chances
  --trace             show what the bench says
  --share 1/2         every second trial, beginning with the first
  --join DIR          no trial: one report of several, each given by --join
  --figures FILE      with --join: fills the table of a page like docs/FIGURES.md
  --measured TEXT     when and on what, for that table

Status: 0 when nothing failed, 1 when something did, 2 when nothing was begun.";

/// The command line.
#[derive(Debug, Default)]
pub struct Line {
    pub only: Vec<String>,
    filters: Vec<String>,
    /// libtest's: the filters are whole names.
    exact: bool,
    /// libtest's: names that hold one of these are left out.
    skip: Vec<String>,
    /// libtest's: the ignored tests alone, and there are none.
    ignored: bool,
    full: bool,
    seed: Option<u64>,
    list: bool,
    help: bool,
    share: Option<Share>,
    record: Option<PathBuf>,
    join: Vec<PathBuf>,
    figures: Option<PathBuf>,
    measured: String,
    pub duts: Vec<String>,
    pub duts_folder: Option<PathBuf>,
    pub report: Option<PathBuf>,
}

impl Line {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut line = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            // `--duts=mine` is `--duts mine`.
            let (option, mut given) = match argument.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option.to_owned(), Some(value.to_owned())),
                _ => (argument, None),
            };
            let mut value =
                || given.take().or_else(|| arguments.next()).ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--only" => line.only.push(value()?),
                "--full" => line.full = true,
                "--seed" => {
                    let text = value()?;
                    line.seed = Some(text.parse().map_err(|_| format!("--seed {text} is not a number"))?);
                }
                "--list" => line.list = true,
                "--help" | "-h" => line.help = true,
                "--share" => line.share = Some(Share::read(&value()?)?),
                "--join" => line.join.push(value()?.into()),
                "--record" => line.record = Some(value()?.into()),
                "--figures" => line.figures = Some(value()?.into()),
                "--measured" => line.measured = value()?,
                "--trace" => program::TRACE.store(true, Ordering::Relaxed),
                "--duts" => line.duts.push(value()?),
                "--duts-folder" => line.duts_folder = Some(value()?.into()),
                "--report" => line.report = Some(value()?.into()),
                // What `cargo test` hands to every test program: no other option is passed over, or a slip of the pen would do more to
                // a key than was asked.
                "--exact" => line.exact = true,
                "--skip" => line.skip.push(value()?),
                "--ignored" => line.ignored = true,
                "--include-ignored" | "--nocapture" | "--no-capture" | "--show-output" | "--quiet" | "-q" => {}
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(value()?),
                other if other.starts_with('-') => {
                    return Err(format!("there is no option {other}; --help has them all"));
                }
                _ => {
                    line.filters.push(option);
                    continue;
                }
            }
            if let Some(value) = given {
                return Err(format!("{option} takes no value, and was given {value}"));
            }
        }
        if let Some(filter) = line.filters.first().filter(|_| !line.duts.is_empty()) {
            return Err(format!("{filter} is no option; with --duts trials are named by --only"));
        }
        Ok(line)
    }

    /// Not all trials, or not all keys, were asked for. What a share leaves out, the others do.
    fn is_a_part(&self) -> bool {
        let some_keys = !self.duts.is_empty() && !self.duts.iter().any(|name| name == "all");
        some_keys || !self.only.is_empty() || !self.filters.is_empty() || !self.skip.is_empty() || self.ignored
    }

    fn wants(&self, trial: &Trial) -> bool {
        let fits =
            |filter: &String| if self.exact { trial.name == filter } else { trial.name.contains(filter.as_str()) };
        !self.ignored
            && (self.only.is_empty() || self.only.iter().any(|name| name == trial.name))
            && (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skip.iter().any(fits)
    }

    /// Whether somebody asked for these trials, or this key, and for nothing else.
    fn is_by_name(&self) -> bool {
        (!self.only.is_empty() || !self.duts.is_empty()) && self.share.is_none()
    }
}

/// A part of the trials, where several machines share them: the n-th of so many.
#[derive(Debug, Clone, Copy)]
struct Share {
    nth: usize,
    of: usize,
}

impl Share {
    fn read(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(nth, of)| Some((nth.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((nth, of)) if nth > 0 && nth <= of => Ok(Self { nth, of }),
            _ => Err(format!("--share {text} is not of the form 1/2")),
        }
    }

    /// There and back again, so that no part has the longer one of each pair: 1 2 2 1 1 2 2 1.
    fn has(self, place: usize) -> bool {
        let (round, at) = (place / self.of, place % self.of);
        let nth = if round.is_multiple_of(2) { at } else { self.of - 1 - at };
        nth + 1 == self.nth
    }
}

/// Where reports are kept if nothing else is said.
fn lab_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("hw-lab")
}

pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The trial of DUTs plays an actuator with this same program.
    if let Some((first, rest)) = arguments.split_first()
        && first == "--virtual-hook"
    {
        return hook::main(rest);
    }
    let all = trials::all();
    let line = match Line::read(arguments.into_iter()) {
        Ok(line) => line,
        Err(error) => return nothing_begun(&error),
    };
    if line.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if line.list {
        for trial in all {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = line.only.iter().find(|name| !all.iter().any(|trial| trial.name == **name)) {
        let names: Vec<&str> = all.iter().map(|trial| trial.name).collect();
        return nothing_begun(&format!("there is no trial {unknown}; there are: {}", names.join(", ")));
    }
    if !line.join.is_empty() {
        let order: Vec<&str> = all.iter().map(|trial| trial.name).collect();
        return match Report::joined(&line.join, &order) {
            Ok(report) => {
                let filled = line.figures.as_ref().map(|page| figures::fill(page, &report, &order, &line.measured));
                let status = tell(&line, &report, None);
                match filled {
                    Some(Err(error)) => {
                        println!("hw: the figures are not written: {error}");
                        ExitCode::FAILURE
                    }
                    _ => status,
                }
            }
            Err(error) => nothing_begun(&error),
        };
    }
    let rig = Rig::new(line.full, line.seed.unwrap_or(1), line.record.clone());
    let wanted: Vec<&Trial> = all.iter().filter(|trial| line.wants(trial)).collect();
    let mine = |place: &usize| line.share.is_none_or(|share| share.has(*place));
    let wanted: Vec<&Trial> = (0..wanted.len()).filter(mine).map(|place| wanted[place]).collect();
    let began = Instant::now();
    let report =
        if line.duts.is_empty() { Ok(on_virtual_keys(&rig, &line, &wanted)) } else { lab::run(&rig, &line, &wanted) };
    match report {
        Err(error) => nothing_begun(&error),
        Ok(report) => tell(&line, &report.of_a_part(line.is_a_part()), Some(began.elapsed())),
    }
}

fn nothing_begun(error: &str) -> ExitCode {
    println!("hw: {error}");
    println!("hw: nothing was begun");
    ExitCode::from(2)
}

/// The sum, the files, the status.
fn tell(line: &Line, report: &Report, took: Option<Duration>) -> ExitCode {
    // What a guest leaves there comes back to the machine around it.
    let in_guest = || std::env::var_os("HW_GUEST").map(|_| PathBuf::from("/results"));
    let folder = line.report.clone().or_else(|| (!line.duts.is_empty()).then(lab_folder)).or_else(in_guest);
    let mut broken = false;
    if let Some(folder) = folder {
        match report.write(&folder) {
            Ok(changes) => {
                changes.iter().for_each(|change| println!("hw: since the last run: {change}"));
                println!("hw: report in {}", folder.display());
            }
            Err(error) => {
                println!("hw: the report can't be written: {error}");
                broken = true;
            }
        }
    }
    let longest = report.longest();
    if !longest.is_empty() {
        println!("hw: longest: {longest}");
    }
    let (passed, failed, skipped) = report.counts();
    let took = took.map_or_else(String::new, |took| format!(", in {:.1} s", took.as_secs_f64()));
    println!("hw: {passed} passed, {failed} failed, {skipped} skipped{took}");
    if line.is_by_name() && passed + failed == 0 && skipped > 0 {
        return nothing_begun("nothing of what was named can be tried here; the lines above say why");
    }
    let good = failed == 0 && !broken;
    let verdict = if good { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; 0 filtered out\n"
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every trial where no DUT is named: virtual keys stand in.
fn on_virtual_keys(rig: &Rig, line: &Line, wanted: &[&Trial]) -> Report {
    let mut report = Report::default();
    for trial in wanted {
        let named = rig.full || line.only.iter().any(|name| name == trial.name);
        let more = trial.key.is_some().then_some(Need::Uhid);
        let lacking = trial.needs.iter().chain(more.iter()).find_map(|need| need.lacking(named));
        if let Some(reason) = lacking {
            report.add(Row::skipped("virtual", trial.name, reason));
            continue;
        }
        let start = Instant::now();
        let outcome = guarded(|| {
            let mut said = Vec::new();
            if let Some(run) = trial.bench {
                said.push(run(rig)?);
            }
            if let Some(on_key) = &trial.key {
                for model in on_key.models {
                    let mut subject = Subject::find(rig, &Dut::virtual_key(model))?;
                    said.push((on_key.run)(rig, &mut subject).map_err(|error| format!("{model}: {error}"))?);
                }
            }
            Ok(said.join("; "))
        });
        report.add(Row::new("virtual", trial.name, outcome, start.elapsed()).destroys(trial.destroys));
    }
    report
}

/// A trial's outcome, whatever happens in it; its world must have been looked at.
pub fn guarded(trial: impl FnOnce() -> Result<String, String>) -> Verdict {
    UNSEEN.store(0, Ordering::Relaxed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(trial))
        .unwrap_or_else(|_| Err("the trial itself broke down; see above".to_owned()));
    match outcome {
        Ok(_) if UNSEEN.load(Ordering::Relaxed) > 0 => Verdict::Failed(
            "it ended without a look at ledger, tenant and keys: that is a fault of the trial".to_owned(),
        ),
        Ok(said) => Verdict::Passed(said),
        Err(error) => Verdict::Failed(error),
    }
}
