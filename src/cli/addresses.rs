//! `keybench addresses`: where parcels and letters go, for people who came from a group.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::sentence;
use super::{CliError, Context, Exit, batch, ledger};
use crate::handover::carrier::CarrierMap;
use crate::ledger::{Append, BlobHash, Entry, HandoverEntry, Ledger};
use crate::model::{Person, UserId};
use crate::platform::who;
use crate::roster::Roster;

/// `keybench addresses …`
#[derive(Debug, Subcommand)]
pub enum AddressesCommand {
    /// Take addresses and languages from a list, e.g. HR's, for people the ledger knows
    ///
    /// The list is a roster: CSV with upn, and address or street, postal_code, city, country; language if you like. The same
    /// columns with "spare" before them tell where a person's second key goes. People who are not in the ledger are counted
    /// and left alone.
    Import(ImportArgs),
    /// Is every address fit for a parcel?
    Check(CheckArgs),
}

/// `keybench addresses import`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench addresses import hr.csv
  keybench addresses import hr.csv --batch autumn --dry-run")]
pub struct ImportArgs {
    /// The list
    #[arg(value_name = "FILE.csv")]
    pub list: PathBuf,
    /// Only people of this batch
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// Say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench addresses check`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench addresses check
  keybench addresses check --roster people.csv --map carrier.toml      before the first run")]
pub struct CheckArgs {
    /// Only this batch
    #[arg(value_name = "BATCH", conflicts_with = "roster")]
    pub batch: Option<String>,
    /// A roster that was not run yet, instead of the ledger
    #[arg(long, value_name = "FILE.csv")]
    pub roster: Option<PathBuf>,
    /// The carrier's column map [else handover.carrier, else any carrier]
    #[arg(long, value_name = "FILE.toml")]
    pub map: Option<PathBuf>,
}

pub(super) fn run(context: &Context<'_>, command: &AddressesCommand) -> Result<Exit, CliError> {
    match command {
        AddressesCommand::Import(args) => import(context, args),
        AddressesCommand::Check(args) => check(context, args),
    }
}

/// The carrier's map: the one named, else that of the settings, else the built-in one.
pub(super) fn carrier(
    settings: Option<&crate::config::Settings>,
    named: Option<&Path>,
) -> Result<CarrierMap, CliError> {
    let path = named.or_else(|| settings.and_then(|settings| settings.handover.carrier.as_deref()));
    let wrong = |what: String| {
        let next = "correct it; `keybench export carrier --help` and docs/LETTERS.md describe column maps.";
        CliError::new(Exit::Usage, "carrier-map", sentence(&what), next)
    };
    let Some(path) = path else { return CarrierMap::generic().map_err(|error| wrong(error.to_string())) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("the column map {} can't be read: {error}", path.display())))?;
    CarrierMap::read(&text).map_err(|error| match error.line {
        0 => wrong(format!("the column map {} can't be used: {}", path.display(), error.what)),
        line => wrong(format!("the column map {} can't be used: line {line}: {}", path.display(), error.what)),
    })
}

fn roster(path: &Path) -> Result<(Roster, Vec<u8>), CliError> {
    let bytes = std::fs::read(path).map_err(|error| {
        let fact = format!("The list {} can't be read.", path.display());
        CliError::new(Exit::Usage, "roster-unreadable", fact, "check the name and your rights.")
            .because(error.to_string())
    })?;
    Ok((Roster::read(&path.display().to_string(), &bytes)?, bytes))
}

fn people_of(ledger: &dyn Ledger, of_batch: Option<&str>) -> Result<Vec<Person>, CliError> {
    let people = ledger.people()?;
    if of_batch.is_none() {
        return Ok(people);
    }
    let of_batch: std::collections::HashSet<UserId> =
        ledger.jobs(&batch::jobs_of(ledger, of_batch)?)?.into_iter().map(|line| line.user).collect();
    Ok(people.into_iter().filter(|person| of_batch.contains(&person.id)).collect())
}

fn import(context: &Context<'_>, args: &ImportArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let (list, bytes) = roster(&args.list)?;
    let given: HashMap<String, _> = list.rows.iter().map(|row| (row.upn.as_str().to_lowercase(), row)).collect();
    let apply = |ledger: &dyn Ledger| -> Result<(Vec<Person>, Vec<String>), CliError> {
        let (mut changed, mut without) = (Vec::new(), Vec::new());
        for mut person in people_of(ledger, args.batch.as_deref())? {
            let row = given.get(&person.upn.as_str().to_lowercase());
            if row.is_none_or(|row| row.address.is_none()) && person.address.is_none() {
                without.push(person.upn.to_string());
            }
            let Some(row) = row else { continue };
            let before = person.clone();
            person.address = row.address.clone().or(person.address);
            person.spare_address = row.spare_address.clone().or(person.spare_address);
            person.language = row.language.clone().or(person.language);
            person.first_device = row.first_device.or(person.first_device);
            if person != before {
                changed.push(person);
            }
        }
        Ok((changed, without))
    };
    let (changed, without) = if args.dry_run {
        apply(&ledger::to_read(&settings)?)?
    } else {
        let ledger = ledger::to_write(&settings)?;
        let (changed, without) = apply(&ledger)?;
        if !changed.is_empty() {
            let entry = Entry::Handover(HandoverEntry::AddressesImported {
                list: BlobHash::of(&bytes),
                people: changed.len() as u64,
                by: who::operator(),
            });
            ledger.append(Append { people: changed.clone(), ..Append::entry(entry) })?;
        }
        (changed, without)
    };
    for upn in &without {
        context.output.warning(&format!("{upn} has no address, in the ledger or in the list."));
    }
    let would = if args.dry_run { " (nothing was written)" } else { "" };
    context.output.answer(&format!(
        "{}: {} of {} lines changed what is known of a person{would}; {} people are without an address.",
        args.list.display(),
        changed.len(),
        list.rows.len(),
        without.len()
    ));
    context.output.json(&json!({
        "event": "addresses", "lines": list.rows.len(), "changed": changed.len(), "without": without,
        "dry_run": args.dry_run,
    }));
    Ok(if without.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn check(context: &Context<'_>, args: &CheckArgs) -> Result<Exit, CliError> {
    let settings = context.settings();
    let map = carrier(settings.as_ref().ok(), args.map.as_deref())?;
    let people = match &args.roster {
        Some(path) => of_roster(&roster(path)?.0),
        None => people_of(&ledger::to_read(&settings?)?, args.batch.as_deref())?,
    };
    let faults = faulty(&map, &people);
    for (upn, what) in &faults {
        context.output.answer(&format!("{upn}: {what}"));
        context.output.json(&json!({ "event": "address", "upn": upn, "what": what }));
    }
    let bad: std::collections::BTreeSet<&String> = faults.iter().map(|(upn, _)| upn).collect();
    context.output.answer(&format!("{} people looked at; {} addresses need correcting.", people.len(), bad.len()));
    context.output.json(&json!({ "event": "addresses-checked", "people": people.len(), "faulty": bad.len() }));
    Ok(if faults.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

/// What is wrong with whose address.
pub(super) fn faulty(map: &CarrierMap, people: &[Person]) -> Vec<(String, String)> {
    people
        .iter()
        .flat_map(|person| {
            let first = map.check(person, 1).into_iter().map(|fault| fault.to_string());
            // The spare's, where it goes somewhere else.
            let spare = person.spare_address.iter().flat_map(|_| map.check(person, 2));
            let spare = spare.map(|fault| format!("the spare key's address: {fault}"));
            first.chain(spare).map(|fault| (person.upn.to_string(), fault)).collect::<Vec<_>>()
        })
        .collect()
}

/// The people of a roster as far as an address goes; the directory is not asked.
pub(super) fn of_roster(roster: &Roster) -> Vec<Person> {
    roster
        .rows
        .iter()
        .map(|row| Person {
            id: UserId::new(row.upn.as_str()),
            upn: row.upn.clone(),
            display_name: row.upn.to_string(),
            address: row.address.clone(),
            first_device: row.first_device,
            key_kind: row.key_kind.clone(),
            serial: row.serial.clone(),
            language: row.language.clone(),
            spare_address: row.spare_address.clone(),
        })
        .collect()
}

#[cfg(all(test, unix))]
mod tests {
    use crate::cli::Exit;
    use crate::cli::testing::{Desk, kinds};
    use crate::ledger::{Entry, HandoverEntry, Ledger as _};

    #[test]
    fn a_list_brings_addresses_to_people_of_a_group() {
        let desk = Desk::new(1);
        desk.story();
        desk.write(
            "hr.csv",
            "upn,street,postal_code,city,country,language\nKIM@contoso.example,2 New St,1000,Town,Belgium,nl-BE\nstranger@contoso.example,1 X,2,Y,Z,de\n",
        );
        let list = desk.path("hr.csv").display().to_string();
        let dry = desk.run(&["addresses", "import", &list, "--dry-run"]);
        assert!(dry.out.contains("1 of 2 lines changed") && dry.out.contains("nothing was written"), "{}", dry.out);
        let before = kinds(&desk.path("ledger.db")).len();
        assert_eq!(desk.run(&["addresses", "import", &list]).exit, Exit::Done);
        let entries = kinds(&desk.path("ledger.db"));
        assert_eq!(entries.len(), before + 1);
        assert!(matches!(entries.last(), Some(Entry::Handover(HandoverEntry::AddressesImported { people: 1, .. }))));
        let people = desk.ledger().people().expect("people");
        let kim = people.iter().find(|person| person.upn.as_str() == "kim@contoso.example").expect("kim");
        assert_eq!(kim.language.as_deref(), Some("nl-be"));
        let address = kim.address.as_ref().expect("an address");
        assert_eq!(address.lines, ["2 New St", "1000 Town"]);
        assert_eq!(address.parts.as_ref().and_then(|parts| parts.city.as_deref()), Some("Town"));
        let again = desk.run(&["addresses", "import", &list]);
        assert!(again.out.contains("0 of 2 lines changed"), "{}", again.out);
        assert_eq!(kinds(&desk.path("ledger.db")).len(), before + 1, "nothing new, nothing written");
    }

    #[test]
    fn addresses_are_checked_before_the_first_key() {
        let desk = Desk::new(1);
        desk.write("people.csv", "upn,street,postal_code,city\na@b.example,1 Main St,1000,Town\nc@d.example,,,Town\n");
        desk.write(
            "map.toml",
            "[[columns]]\nname = \"zip\"\nfrom = \"postal_code\"\nrequired = true\n[[columns]]\nname = \"land\"\nfrom = \"country\"\nrequired = true\n",
        );
        let (roster, map) =
            (desk.path("people.csv").display().to_string(), desk.path("map.toml").display().to_string());
        let plain = desk.run(&["addresses", "check", "--roster", &roster]);
        assert_eq!(plain.exit, Exit::SomeFailed);
        assert!(
            plain.out.contains("c@d.example: it has one line only") && !plain.out.contains("a@b.example"),
            "{}",
            plain.out
        );
        let mapped = desk.run(&["addresses", "check", "--roster", &roster, "--map", &map]);
        assert!(mapped.out.contains("a@b.example: the carrier's column land needs a country"), "{}", mapped.out);
        assert!(mapped.out.contains("2 people looked at; 2 addresses"), "{}", mapped.out);
        desk.write("map.toml", "[[columns]]\nname = \"zip\"\nfrom = \"shoe\"\n");
        let wrong = desk.run(&["addresses", "check", "--roster", &roster, "--map", &map]);
        assert_eq!(wrong.exit, Exit::Usage);
        assert!(wrong.err.contains("line 3"), "{}", wrong.err);
    }
}
