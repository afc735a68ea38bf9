//! `keybench export carrier`: what the carrier imports, and what the packing table ticks off.

use serde_json::json;

use super::{CarrierArgs, guarded, write};
use crate::cli::letters::{facts_of_keys, finished};
use crate::cli::{CliError, Context, Exit, addresses, heads};
use crate::config::Settings;
use crate::handover::carrier::{CarrierMap, Parcel, which_of};
use crate::handover::code::{Code, CodeKind, key_reference};
use crate::ledger::{Ledger, LedgerError};

const PACKING: [&str; 9] =
    ["packed", "key_reference", "key_code", "parcel_code", "model", "serial", "upn", "display_name", "key_number"];

pub(super) fn run(
    context: &Context<'_>,
    settings: &Settings,
    ledger: &dyn Ledger,
    args: &CarrierArgs,
) -> Result<Exit, CliError> {
    let map = addresses::carrier(Some(settings), args.map.as_deref())?;
    let known = facts_of_keys(ledger)?;
    let all = finished(ledger, args.batch.as_deref(), &known)?;
    let failed = |error: csv::Error| LedgerError::NotAllowed(error.to_string());
    let mut carrier = table(&map);
    let mut packing = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    if map.header {
        carrier.write_record(map.columns.iter().map(|column| guarded(&column.name))).map_err(failed)?;
    }
    packing.write_record(PACKING).map_err(failed)?;
    let (mut lines, mut held) = (0_u64, 0_u64);
    for one in &all {
        let faults = map.check(&one.person, one.line.ordinal);
        if !faults.is_empty() {
            held += 1;
            for fault in &faults {
                context.output.warning(&format!("{}: left out: {fault}.", one.person.upn));
                context.output.json(&json!({ "event": "address", "upn": one.person.upn, "what": fault.to_string() }));
            }
            continue;
        }
        let code = |kind| {
            Code::new(kind, &one.line.job, one.facts.attempt, 1).map(|code| code.digits().to_owned()).map_err(|error| {
                let fact = crate::cli::error::sentence(&error.to_string());
                CliError::new(Exit::Ledger, "broken-account", fact, "run `keybench ledger verify`.")
            })
        };
        let reference = key_reference(&one.line.job, one.facts.attempt);
        let (person, code_of_parcel, number) = (&one.person, code(CodeKind::Parcel)?, one.number());
        let parcel = Parcel { person, code: code_of_parcel, key_reference: reference.clone(), number };
        carrier.write_record(map.row(&parcel).iter().map(|cell| guarded(cell))).map_err(failed)?;
        let key = &one.facts.key;
        let row = [
            String::new(),
            reference,
            code(CodeKind::Key)?,
            parcel.code,
            key.model.clone().unwrap_or_default(),
            key.serial.as_ref().map(ToString::to_string).unwrap_or_default(),
            one.person.upn.to_string(),
            one.person.display_name.clone(),
            which_of(number).map_or_else(String::new, |which| format!("key {which}")),
        ];
        packing.write_record(row.map(|cell| guarded(&cell))).map_err(failed)?;
        lines += 1;
    }
    let head = ledger.head()?;
    // For whoever keeps the list: it tells later whether the ledger it was made from was cut or rewritten.
    let foot = format!("ledger head {head}, {} entries", head.seq);
    let cells = (0..PACKING.len()).map(|column| if column == 1 { foot.as_str() } else { "" });
    packing.write_record(cells).map_err(failed)?;
    let bytes =
        |table: csv::Writer<Vec<u8>>| table.into_inner().map_err(|error| LedgerError::NotAllowed(error.to_string()));
    write(&args.out, &bytes(carrier)?)?;
    if let Some(path) = &args.packing_list {
        write(path, &bytes(packing)?)?;
    }
    heads::announce(context.output, settings, &head, "packing list");
    let parcels = if lines == 1 { "1 parcel".to_owned() } else { format!("{lines} parcels") };
    let left = if held == 0 { String::new() } else { format!(", {held} left out") };
    context.output.answer(&format!("{}: {parcels}{left}; the ledger's head is {head}.", args.out.display()));
    context.output.json(&json!({
        "event": "carrier-exported", "file": args.out.display().to_string(), "lines": lines, "held": held,
        "head": head.to_string(),
    }));
    Ok(if held == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn table(map: &CarrierMap) -> csv::Writer<Vec<u8>> {
    let end = if map.crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    // Checked when the map was read: all are ASCII.
    let separator = u8::try_from(map.separator).unwrap_or(b',');
    csv::WriterBuilder::new()
        .delimiter(separator)
        .terminator(end)
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new())
}

#[cfg(all(test, unix))]
mod tests {
    use crate::cli::Exit;
    use crate::cli::testing::{Desk, PIN};
    use crate::handover::code::Code;

    #[test]
    fn a_carrier_gets_its_columns_and_the_packing_table_its_codes() {
        let desk = Desk::new(1);
        let jobs = desk.story();
        let (out, list) = (desk.path("p.csv").display().to_string(), desk.path("l.csv").display().to_string());
        let ran = desk.run(&["export", "carrier", "--out", &out, "--packing-list", &list]);
        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
        let carrier = std::fs::read_to_string(&out).expect("a file");
        assert!(
            carrier.contains("\"'=Kim \"\"the\"\" Lee\"") && carrier.contains("\"1 Main St\",\"Town\""),
            "{carrier}"
        );
        assert!(carrier.contains("\r\n"));
        let packing = std::fs::read_to_string(&list).expect("a file");
        let mut table = csv::Reader::from_reader(packing.as_bytes());
        let row = table.records().next().expect("a row").expect("sound");
        for (at, prefix) in [(2, "71"), (3, "72")] {
            let code = Code::parse(&row[at]).expect("a code");
            assert_eq!((code.kind().prefix(), code.job()), (prefix, &jobs[0]));
        }
        assert_eq!((&row[5], &row[6]), ("19283746", "kim@contoso.example"));
        assert!(!carrier.contains(PIN) && !packing.contains(PIN));
        desk.write("map.toml", "[[columns]]\nname = \"zip\"\nfrom = \"postal_code\"\nrequired = true\n");
        let map = desk.path("map.toml").display().to_string();
        let short = desk.run(&["export", "carrier", "--map", &map, "--out", &out]);
        assert_eq!(short.exit, Exit::SomeFailed);
        assert!(
            short.err.contains("kim@contoso.example: left out: the carrier's column zip needs a postal code"),
            "{}",
            short.err
        );
    }
}
