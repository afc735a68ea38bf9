//! `keybench letters template` and `proof`: for the admin who makes the letters look right.

use std::io::Write as _;

use jiff::Zoned;
use serde_json::json;
use zeroize::Zeroizing;

use super::make::paper;
use super::{JOB_NAME, ProofArgs, TemplateArgs, load_template};
use crate::cli::error::sentence;
use crate::cli::{CliError, Context, Exit};
use crate::handover::letter::{Letter, Template, expires, template::BUILT_IN};
use crate::handover::paper::pdf::Maker;
use crate::handover::printer::Kind;
use crate::model::{Aaguid, FirstDevice, JobId, KeyRef, Pin, PortName, PostalAddress, Serial};
use crate::platform::private::{PrivateError, Readers, write_atomic};

pub(super) fn template(context: &Context<'_>, args: &TemplateArgs) -> Result<Exit, CliError> {
    let io = |source| PrivateError::Io { what: "writing", path: args.out.clone(), source };
    let mut file = std::fs::File::create_new(&args.out).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let fact = format!("{} exists already; nothing was changed.", args.out.display());
            CliError::new(Exit::Usage, "file-exists", fact, "choose another name.")
        }
        _ => io(error).into(),
    })?;
    file.write_all(BUILT_IN.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    context.output.answer(&args.out.display().to_string());
    context.output.json(&json!({ "event": "template", "file": args.out.display().to_string() }));
    context
        .output
        .progress("Change what you like, look at it with `keybench letters proof`, and name it in handover.template.");
    Ok(Exit::Done)
}

/// Names and addresses that are hard on a layout.
fn samples(template: &Template, language: &str) -> Vec<(Letter, &'static str)> {
    let today = Zoned::now().date();
    let sample = |name: &str, lines: &[&str], country: &str, forced, first_device, serial: Option<&str>| {
        let address = PostalAddress {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            country: Some(country.to_owned()),
            parts: None,
        };
        Letter {
            job: JobId::new("7H2KQ0M4XA"),
            attempt: 1,
            issue: 1,
            name: name.to_owned(),
            expires: expires(template, &address, today),
            address,
            language: language.to_owned(),
            key: KeyRef {
                aaguid: Aaguid::ZERO,
                serial: serial.map(Serial::new),
                firmware: None,
                model: Some("YubiKey 5 NFC".into()),
                port: PortName::new("1-1"),
            },
            pin_minimum: 6,
            forced,
            first_device,
            date: today,
        }
    };
    vec![
        (sample("Kim Lee", &["1 Main Street", "1000 Town"], &template.home, true, None, Some("19283746")), "739105"),
        (
            sample(
                "Maximiliane Freifrau von Çağlayan-Łukaszewicz",
                &[
                    "Gesellschaft für angewandte Informationssicherheit mbH",
                    "Abteilung 4.2 – Beschaffung",
                    "Straße des 17. Juni 135, Aufgang B",
                    "Postfach 12 34 56",
                    "10623 Berlin",
                ],
                "Germany",
                true,
                Some(FirstDevice::Ios),
                None,
            ),
            "kd2rp9vx84tbn5h7",
        ),
        (sample("Renée Ñandú", &["1 rue X", "75001 Paris"], "France", false, None, None), "80514723"),
    ]
}

pub(super) fn proof(context: &Context<'_>, args: &ProofArgs) -> Result<Exit, CliError> {
    let settings = context.settings().ok();
    let (template, fonts) = load_template(settings.as_ref(), args.template.as_deref())?;
    let languages: Vec<String> = match &args.lang {
        Some(language) => vec![language.clone()],
        None => template.languages().map(str::to_owned).collect(),
    };
    let mut maker = Maker::new(&fonts);
    let mut pages = 0;
    for language in &languages {
        for (letter, pin) in samples(&template, language) {
            // infallible: the samples' PINs are constants that a test lays out.
            let pin = Pin::new(Zeroizing::new(pin.to_owned())).expect("a PIN");
            let sheets = letter.sheets(&template, &fonts, &pin).map_err(|error| {
                let fact = sentence(&format!("{error} ({language})"));
                CliError::new(Exit::Usage, "letter-template", fact, "correct the template.")
            })?;
            for sheet in &sheets {
                maker.add(sheet).map_err(paper)?;
                pages += 1;
            }
        }
    }
    let document = maker.finish().map_err(paper)?;
    if let Some(text) = &args.printer {
        let printer = crate::cli::labels::printer(text)?;
        printer.print(Kind::Pdf, JOB_NAME, &document).map_err(|error| crate::cli::labels::printer_error(&error))?;
        context.output.answer(&format!("{pages} pages left for {printer}."));
    }
    if let Some(out) = &args.out {
        write_atomic(out, &document, Readers::AsUsual)?;
        context.output.answer(&format!("{}: {pages} pages; the PINs are made up.", out.display()));
    }
    context.output.json(&json!({ "event": "proof", "pages": pages, "languages": languages }));
    Ok(Exit::Done)
}
