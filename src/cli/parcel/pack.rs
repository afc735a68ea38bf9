//! `keybench pack`: the packing table.
//!
//! Promise: what is noted as packed was compared; a mismatch is loud, is written down, and starts anew. Reads lines from
//! stdin, because a scanner types as a keyboard does; with `--plug` a key may be put into a port in place of scanning it.

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::ears::{Ears, Heard};
use super::{Found, acting, alarm, find, not_now, pack_self, parcels, settle};
use crate::cli::key::{self, look::Look, recognise::Recognised};
use crate::cli::output::Output;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::ctap2::hid::usb::UsbPorts;
use crate::handover::code::{Code, CodeKind};
use crate::handover::parcel::{Asks, Scanned, Table, Verdict, may_pack};
use crate::ledger::{Append, Attempt, Entry, HandoverEntry, Ledger};
use crate::model::JobId;
use crate::world::{KeyPorts, PluggedKey, SystemEntropy};

/// `keybench pack`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench pack --as \"Robin Roe\"    scan key label, parcel label, number; and again
  keybench pack --plug                put the key into a port instead of scanning its label
  keybench pack --no-tracking --json < scans.txt
  keybench pack --to kim@contoso.com  a blank key, or a token, for somebody who registers it
                                      themselves; `keybench handover watch` waits for that

Words to type instead of a scan: `none` (no tracking number), `back` (start this parcel anew),
`end` (or Ctrl-D). A key without a label is named by its serial number.")]
pub struct PackArgs {
    /// Who packs [else the system's name for you]; they can't release these PINs
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Don't ask for the carrier's number
    #[arg(long)]
    pub no_tracking: bool,
    /// Take a key in a port as scanned: by its serial number, or by a signature without a touch
    #[arg(long)]
    pub plug: bool,
    /// Pack a blank key or a token of the stock for this person, who registers it themselves
    #[arg(long, value_name = "UPN")]
    pub to: Option<String>,
    /// The model of a blank key that was never in a port here
    #[arg(long, value_name = "AAGUID", requires = "to")]
    pub aaguid: Option<String>,
    /// Compare and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(in crate::cli) fn run(context: &Context<'_>, args: &PackArgs) -> Result<Exit, CliError> {
    let by = acting(args.by.as_deref())?;
    let settings = context.settings()?;
    let ports: Option<Arc<dyn KeyPorts>> = if args.plug { Some(Arc::new(UsbPorts::new()?)) } else { None };
    let ears = Ears::open(ports.as_deref())?;
    if let Some(to) = &args.to {
        return pack_self::run(context, &settings, args, &by, to, (&ears, ports.as_deref()));
    }
    let ledger = ledger::to_write(&settings)?;
    let (output, dry_run, ports) = (context.output, args.dry_run, ports.as_deref());
    let mut desk = Desk { ledger: &ledger, output, by, dry_run, ports, packed: 0, stopped: 0 };
    desk.work(&mut || ears.hear(), Table::new(!args.no_tracking))?;
    let Desk { packed, stopped, .. } = desk;
    let head = ledger.head()?;
    context.output.answer(&format!("{packed} packed, {stopped} stopped. The ledger's head is {head}."));
    context.output.json(&json!({
        "event": "pack-summary", "packed": packed, "stopped": stopped, "head": head.to_string(), "dry_run": args.dry_run,
    }));
    Ok(if stopped == 0 { Exit::Done } else { Exit::SomeFailed })
}

/// What came of a pair that belongs together.
enum Noted {
    /// Packed: whose try's key.
    Attempt(Attempt),
    /// The carrier's number is on this job's parcel.
    NumberOf(JobId),
}

struct Desk<'a> {
    ledger: &'a dyn Ledger,
    output: &'a Output,
    by: String,
    dry_run: bool,
    ports: Option<&'a dyn KeyPorts>,
    packed: u64,
    stopped: u64,
}

impl Desk<'_> {
    fn work(&mut self, hear: &mut dyn FnMut() -> Heard, mut table: Table) -> Result<(), CliError> {
        loop {
            self.output.progress(&ask(table.asks(), self.ports.is_some()));
            let understood = match hear() {
                Heard::End => return Ok(()),
                Heard::Line(line) => match line.trim() {
                    "" => continue,
                    "end" => return Ok(()),
                    "back" => {
                        table.clear();
                        continue;
                    }
                    text => self.understand(table.asks(), text),
                },
                Heard::Plugged(plugged) => self.look_at(&plugged),
            };
            match understood {
                Ok(scanned) => self.judge(&mut table, scanned)?,
                Err(error) if error.exit == Exit::Ledger => return Err(error),
                Err(error) => {
                    self.output.error(&error);
                    self.stopped += 1;
                    table.clear();
                }
            }
        }
    }

    /// Whose key was put into a port.
    fn look_at(&self, plugged: &PluggedKey) -> Result<Scanned, CliError> {
        let Some(ports) = self.ports else { return Err(strange("No key is looked at here.")) };
        let mut look = Look::at(ports, plugged, &key::tools());
        match key::recognise::recognise(self.ledger, &SystemEntropy, plugged, &mut look)? {
            Recognised::Job { job, key, wiped: true } => {
                let fact = format!("{} is the key of job {job}, and it has no PIN: it was wiped.", key.for_people());
                let next = "put it aside: `keybench replace` gives the person another.";
                Err(CliError::new(Exit::SomeFailed, "key-wiped", fact, next).because("It opens nothing any more."))
            }
            Recognised::Job { job, .. } => self.key(job, "plugged"),
            Recognised::Nobodys { key, .. } => Err(strange(&format!("{} is nobody's key here.", key.for_people()))),
        }
    }

    /// What a line stands for. Only where a number is asked for may it be anything.
    fn understand(&self, asks: &Asks, text: &str) -> Result<Scanned, CliError> {
        if let Ok(code) = Code::parse(text) {
            let parcels = parcels(self.ledger)?;
            let Found { job, .. } = find(self.ledger, &parcels, text)?;
            return Ok(match code.kind() {
                CodeKind::Key => self.key(job, "label")?,
                CodeKind::Parcel => Scanned::Parcel(job),
                CodeKind::AddressSheet | CodeKind::PinSheet => Scanned::PinPaper(job),
            });
        }
        if matches!(asks, Asks::Number { .. }) {
            let fits = text.len() <= 60 && !text.chars().any(char::is_control);
            return match text {
                "none" => Ok(Scanned::NoNumber),
                text if fits => Ok(Scanned::Text(text.to_owned())),
                _ => Err(CliError::new(
                    Exit::Usage,
                    "usage",
                    "A carrier's number is one line of at most 60 characters.",
                    "scan it again.",
                )),
            };
        }
        let parcels = parcels(self.ledger)?;
        let Found { job, .. } = find(self.ledger, &parcels, text)?;
        self.key(job, "serial")
    }

    fn key(&self, job: JobId, seen_by: &'static str) -> Result<Scanned, CliError> {
        let parcels = parcels(self.ledger)?;
        if let Some(parcel) = parcels.get(&job) {
            may_pack(parcel).map_err(|why| not_now("can't be packed", &job, &why))?;
        }
        Ok(Scanned::Key { job, seen_by })
    }

    fn judge(&mut self, table: &mut Table, scanned: Scanned) -> Result<(), CliError> {
        match table.scan(scanned) {
            Verdict::Next => Ok(()),
            Verdict::Unexpected => {
                self.output.warning("that was not what is asked for; it changed nothing.");
                Ok(())
            }
            Verdict::Packed { job, seen_by, tracking } => self.packed(&job, seen_by, tracking),
            Verdict::OtherParcel { key, parcel } => {
                let what = format!("The key is of job {key}; the other label is of job {parcel}.");
                self.stop(&key, "other-parcel", &what, "take them apart, and begin again with a key's label.")
            }
            Verdict::PinPaper(job) => {
                let what = format!("This is the PIN letter of job {job}.");
                self.stop(
                    &job,
                    "pin-at-packing",
                    &what,
                    "take it away from this table: a PIN never travels with its key.",
                )
            }
        }
    }

    fn packed(&mut self, job: &JobId, seen_by: &str, tracking: Option<String>) -> Result<(), CliError> {
        // Read again: another hand at this ledger may have been quicker, and may be quicker still before it is written.
        let (_, noted) = settle(self.ledger, || self.may_be_packed(job, seen_by, tracking.as_ref()))?;
        let attempt = match noted {
            Noted::Attempt(attempt) => attempt,
            Noted::NumberOf(other) => {
                let what = format!("This carrier's number is on the parcel of job {other} already.");
                let next = "scan the number of this parcel; begin again with the key's label.";
                return self.stop(job, "number-twice", &what, next);
            }
        };
        self.packed += 1;
        let number = tracking.as_ref().map_or(String::new(), |number| format!(", {number}"));
        self.output.answer(&format!("packed  {job}{number}"));
        self.output.json(&json!({
            "event": "packed", "job": job, "attempt": attempt, "seen_by": seen_by, "tracking": tracking, "by": self.by,
        }));
        Ok(())
    }

    /// What is written of a key that was compared with its parcel, by what the ledger says now.
    fn may_be_packed(
        &self,
        job: &JobId,
        seen_by: &str,
        tracking: Option<&String>,
    ) -> Result<(Option<Append>, Noted), CliError> {
        let parcels = parcels(self.ledger)?;
        let Found { parcel, .. } = find(self.ledger, &parcels, job.as_str())?;
        may_pack(parcel).map_err(|why| not_now("can't be packed", job, &why))?;
        if let Some(other) = tracking.and_then(|number| parcels.by_tracking(number)) {
            return Ok((None, Noted::NumberOf(other.clone())));
        }
        let (attempt, by, seen_by) = (parcel.attempt, self.by.clone(), seen_by.to_owned());
        let packed = HandoverEntry::Packed { job: job.clone(), attempt, seen_by, tracking: tracking.cloned(), by };
        let append = (!self.dry_run).then(|| Append::entry(Entry::Handover(packed)));
        Ok((append, Noted::Attempt(attempt)))
    }

    /// Loud, written down, and in the way until somebody reads it.
    fn stop(&mut self, job: &JobId, code: &'static str, what: &str, next: &str) -> Result<(), CliError> {
        self.stopped += 1;
        if !self.dry_run {
            let stopped = HandoverEntry::PackingStopped { job: job.clone(), code: code.into(), by: self.by.clone() };
            self.ledger.append(Append::entry(Entry::Handover(stopped)))?;
        }
        alarm(self.output);
        self.output.error(&CliError::new(Exit::SomeFailed, code, what, next));
        Ok(())
    }
}

fn strange(fact: &str) -> CliError {
    let next = "put it aside; `keybench receipt list` lists the keys that there are.";
    CliError::new(Exit::SomeFailed, "strange-key", fact, next)
}

fn ask(asks: &Asks, plug: bool) -> String {
    match asks {
        Asks::Key if plug => "Put a key into a port, or scan its label (`end` to stop):".into(),
        Asks::Key => "Scan the label of a key (or type its serial number; `end` to stop):".into(),
        Asks::Parcel { job, .. } => format!("Key of job {job}. Scan the label of its parcel:"),
        Asks::Number { job, .. } => format!("Parcel of job {job}. Scan the carrier's number (or type `none`):"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::cli::testing::{Desk as Bench, output};
    use crate::handover::parcel::Place;

    fn pack(ledger: &dyn Ledger, lines: &str) -> (u64, u64, String, String) {
        let heard = lines.lines().map(|line| Heard::Line(line.to_owned()));
        packing(ledger, None, heard)
    }

    fn packing(
        ledger: &dyn Ledger,
        ports: Option<&dyn KeyPorts>,
        mut heard: impl Iterator<Item = Heard>,
    ) -> (u64, u64, String, String) {
        let (output, out, err) = output(false);
        let (by, dry_run) = ("Robin".to_owned(), false);
        let mut desk = Desk { ledger, output: &output, by, dry_run, ports, packed: 0, stopped: 0 };
        desk.work(&mut || heard.next().unwrap_or(Heard::End), Table::new(true)).expect("worked");
        let (packed, stopped) = (desk.packed, desk.stopped);
        (packed, stopped, out.text(), err.text())
    }

    fn code(kind: CodeKind, job: &JobId) -> String {
        Code::new(kind, job, 1, 1).expect("a code").digits().to_owned()
    }

    #[test]
    fn a_mismatch_is_loud_and_nothing_is_packed_until_both_are_scanned_again() {
        let bench = Bench::new(1);
        let [kim, sam, ..] = bench.story();
        let ledger = bench.ledger();
        let (key, parcel) = (code(CodeKind::Key, &kim), code(CodeKind::Parcel, &kim));
        let strange = code(CodeKind::Parcel, &sam);
        let (packed, stopped, out, err) = pack(&ledger, &format!("{key}\n{strange}\n{parcel}\nend\n{key}\n"));
        assert_eq!((packed, stopped), (0, 1), "{out}{err}");
        assert!(err.contains(&format!("the other label is of job {sam}")) && err.contains("take them apart"), "{err}");
        let letter = code(CodeKind::PinSheet, &kim);
        let (packed, stopped, _, err) = pack(&ledger, &format!("{key}\n{letter}\n"));
        assert_eq!((packed, stopped), (0, 1));
        assert!(err.contains("a PIN never travels with its key"), "{err}");
        let failed = code(CodeKind::Key, &sam);
        let (packed, _, _, err) = pack(&ledger, &format!("{failed}\n"));
        assert!(packed == 0 && err.contains("its key is not finished at the bench"), "{err}");
        let broken = key.replace('1', "2");
        let (_, stopped, _, err) = pack(&ledger, &format!("{broken}\n"));
        assert!(stopped == 1 && err.contains("No key is known as"), "{err}");

        // By serial number, and with the carrier's.
        let (packed, stopped, out, _) = pack(&ledger, &format!("19283746\n{parcel}\nJD0146\n"));
        assert_eq!((packed, stopped), (1, 0), "{out}");
        let known = parcels(&ledger).expect("read");
        let found = known.get(&kim).expect("a parcel");
        assert_eq!((found.place(), found.tracking.as_deref()), (Place::OnTheWay, Some("JD0146")));
        let (packed, stopped, _, err) = pack(&ledger, &format!("{key}\n"));
        assert!((packed, stopped) == (0, 1) && err.contains("was packed on"), "{err}");
    }

    #[test]
    fn of_two_who_pack_one_key_at_the_same_moment_one_is_told() {
        let bench = Bench::new(1);
        let [kim, ..] = bench.story();
        let opening = crate::ledger::Opening {
            path: bench.path("ledger.db"),
            mirror: Some(bench.path("mirror")),
            bench: crate::model::BenchId::new("bench-1"),
            clock: Arc::new(crate::world::SystemClock::new()),
            entropy: &SystemEntropy,
        };
        let [ours, theirs] = [(), ()].map(|()| crate::ledger::open_desk(&opening).expect("a desk"));
        let (output, _, _) = output(false);
        let desk = |ledger, by: &str| Desk {
            ledger,
            output: &output,
            by: by.to_owned(),
            dry_run: false,
            ports: None,
            packed: 0,
            stopped: 0,
        };
        let (robin, mut lee) = (desk(&ours, "Robin"), desk(&theirs, "Lee"));
        let mut looks = 0;
        let outcome = settle(&ours, || {
            let decided = robin.may_be_packed(&kim, "label", None);
            looks += 1;
            // Between Robin's look and Robin's word.
            if looks == 1 {
                lee.packed(&kim, "label", None).expect("packed");
            }
            decided
        });
        let refused = outcome.err().expect("Lee was quicker");
        assert!(refused.to_string().contains("by Lee") && looks == 2, "{refused} {looks}");
        let packed = |entry: &Entry| matches!(entry, Entry::Handover(HandoverEntry::Packed { .. }));
        let story = ours.entries_of(&kim).expect("read");
        assert_eq!(story.iter().filter(|recorded| packed(&recorded.entry)).count(), 1);
    }

    #[cfg(feature = "sim")]
    #[test]
    fn a_plugged_key_counts_as_scanned_and_a_strange_one_stops() {
        use crate::model::{Person, PortName, Upn, UserId};
        use crate::sim::key::{Birth, Model, SimKey};
        use crate::sim::ports::SimPorts;

        // The model of the story's keys.
        let model = Model::by_id("yubikey-5-nfc-5.2").expect("a model");
        let pinned = |unit| SimKey::born(&model, unit, &Birth { pin: Some("123456".into()), ..Birth::default() });
        let (kims, strange, wiped) = (pinned(1), pinned(2), SimKey::new(&model, 3));
        let serial = |key: &SimKey| key.serial().expect("a serial number").to_string();
        let bench = Bench::new(1);
        let jobs = [("kim", serial(&kims)), ("sam", serial(&wiped))].map(|(name, serial)| {
            let person =
                Person::new(UserId::new(name), Upn::parse(&format!("{name}@contoso.example")).expect("a UPN"), name);
            bench.finished_key(person, &serial)
        });
        let ports = SimPorts::numbered(3);
        for (port, key) in [("sim-1", kims), ("sim-2", strange), ("sim-3", wiped)] {
            ports.plug(&PortName::new(port), key).expect("plugged");
        }
        let plugged = |port: &str| {
            let keys = ports.list().expect("keys");
            Heard::Plugged(keys.into_iter().find(|key| key.port.as_str() == port).expect("a key"))
        };
        let scan = |kind, job: &JobId| Heard::Line(code(kind, job));
        let ledger = bench.ledger();
        let (packed, stopped, _, err) = packing(
            &ledger,
            Some(&ports),
            [plugged("sim-2"), plugged("sim-3"), plugged("sim-1"), scan(CodeKind::Parcel, &jobs[1])].into_iter(),
        );
        assert_eq!((packed, stopped), (0, 3), "{err}");
        for part in ["is nobody's key here", "it was wiped", "the other label is of job"] {
            assert!(err.contains(part), "{part}: {err}");
        }
        let good = [plugged("sim-1"), scan(CodeKind::Parcel, &jobs[0]), Heard::Line("JD1".into())];
        let (packed, stopped, out, err) = packing(&ledger, Some(&ports), good.into_iter());
        assert_eq!((packed, stopped), (1, 0), "{out}{err}");
        let mut seen = Vec::new();
        ledger
            .visit(1, &mut |recorded| {
                if let Entry::Handover(HandoverEntry::Packed { seen_by, .. }) = recorded.entry {
                    seen.push(seen_by);
                }
                std::ops::ControlFlow::Continue(())
            })
            .expect("read");
        assert_eq!(seen, ["plugged"]);
    }
}
