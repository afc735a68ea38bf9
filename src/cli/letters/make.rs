//! `keybench letters make`.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use serde_json::json;
use zeroize::Zeroizing;

use super::known::Finished;
use super::{JOB_NAME, KEPT, MakeArgs, confirm, facts_of_keys, finished, load_template};
use crate::cli::error::sentence;
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit, escrow, ledger};
use crate::handover::code::key_reference;
use crate::handover::letter::{Letter, LetterError, PaperState, Template, expires};
use crate::handover::paper::Fonts;
use crate::handover::paper::pdf::Maker;
use crate::handover::printer::{Kind, Printer};
use crate::ledger::openings::PinOpening;
use crate::ledger::{Append, Entry, HandoverEntry, Head, Ledger, LedgerError, SqliteLedger};
use crate::model::{Pin, PostalAddress, RunId};
use crate::pin::{Identities, OpenedPin, Prompts, Recipients, escrow as sealing};
use crate::platform::private::{Readers, append_private, create_private_dir, write_atomic};
use crate::platform::who;
use crate::world::{Entropy as _, SystemEntropy};

/// Letters of one document to a printer. What a crash can leave in doubt is no more than these.
const CHUNK: usize = 25;

/// Where the letters go.
enum Way<'a> {
    Files { folder: &'a Path, to: Option<Recipients>, single: bool },
    Printer(Printer),
}

/// A letter that is due, and why it is printed again if it is.
struct Due {
    letter: Letter,
    upn: String,
    reason: String,
}

/// Somebody whose letter is not printed now.
struct Held {
    upn: String,
    job: String,
    code: &'static str,
    why: String,
    next: String,
}

pub(super) fn run(context: &Context<'_>, args: &MakeArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let (mut template, fonts) = load_template(Some(&settings), args.template.as_deref())?;
    if let Some(phone) = &args.phone {
        template.phone = phone.trim().to_owned();
    }
    let reason = match &args.reason {
        Some(reason) => escrow::line("--reason", reason)?.to_owned(),
        None => String::new(),
    };
    let by = match &args.by {
        Some(by) => escrow::line("--as", by)?.to_owned(),
        None => who::operator(),
    };
    let way = way(args, settings.handover.printer.as_deref())?;
    if template.texts(&args.lang).is_none() {
        let known: Vec<&str> = template.languages().collect();
        let fact = format!("The letter template has no texts in the language {}.", args.lang);
        let next = format!("choose one of {}, or add [text.{}] to a template.", known.join(", "), args.lang);
        return Err(CliError::new(Exit::Usage, "usage", fact, next));
    }
    if args.dry_run {
        let ledger = ledger::to_read(&settings)?;
        let (due, held) = plan(&ledger, args, &template, &fonts, None)?;
        tell_held(context, &held);
        for one in &due {
            told(context, one, "due", "");
        }
        let count = due.len();
        context.output.answer(&format!("{} would be printed; nothing was opened.", letters(count)));
        context.output.json(&json!({ "event": "letters", "due": count, "held": held.len(), "dry_run": true }));
        return Ok(if held.is_empty() { Exit::Done } else { Exit::SomeFailed });
    }
    let ledger = ledger::to_write(&settings).map_err(|error| match error.code {
        "ledger-in-use" => {
            error.because("Letters are noted in the ledger before they are printed. Nothing was opened.")
        }
        _ => error,
    })?;
    if let Some(code) = &args.after {
        confirm::after(context, &ledger, code, false)?;
    }
    let seen = ledger.head()?;
    let (due, held) = plan(&ledger, args, &template, &fonts, args.after.as_deref())?;
    tell_held(context, &held);
    if template.phone.is_empty() && !due.is_empty() {
        context.output.warning(
            "the letters have no phone number to call. Set help.phone in a template (`keybench letters template`), or --phone.",
        );
    }
    let printed = due.len();
    let mut files = Vec::new();
    if !due.is_empty() {
        let way = way.ok_or_else(|| {
            let fact = "It is not said where the letters go.";
            CliError::new(Exit::Usage, "usage", fact, "add --out DIR or --printer, or set handover.printer.")
        })?;
        let identities = unlock(context, args)?;
        let run = RunId::new(new_run()?);
        let size = if matches!(way, Way::Printer(_)) { CHUNK } else { due.len() };
        let job = Job {
            context,
            data: &settings.data,
            ledger: &ledger,
            seen,
            template: &template,
            fonts: &fonts,
            by: &by,
            reason: &reason,
            run,
        };
        for chunk in due.chunks(size.max(1)) {
            files.extend(job.print(&way, chunk, &identities)?);
        }
    }
    let head = ledger.head()?;
    let what = match (printed, files.len()) {
        (0, _) => "No letter is due.".to_owned(),
        (_, 0) => {
            format!("{} left for the printer. Look at the sheets, then `keybench letters confirm`.", letters(printed))
        }
        (_, files) => format!(
            "{} in {files} {}. Print and look at the sheets, then `keybench letters confirm`, and delete the files.",
            letters(printed),
            if files == 1 { "file" } else { "files" }
        ),
    };
    context.output.answer(&format!("{what} The ledger's head is {head}."));
    context.output.json(&json!({
        "event": "letters", "printed": printed, "held": held.len(), "files": files, "head": head.to_string(),
    }));
    Ok(if held.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn letters(count: usize) -> String {
    if count == 1 { "1 letter".to_owned() } else { format!("{count} letters") }
}

fn way<'a>(args: &'a MakeArgs, printer: Option<&str>) -> Result<Option<Way<'a>>, CliError> {
    if let Some(folder) = &args.out {
        let to = if args.encrypt_to.is_empty() { None } else { Some(Recipients::single(&args.encrypt_to)?) };
        if let Some(to) = &to {
            sealing::probe(to)?;
        }
        return Ok(Some(Way::Files { folder, to, single: args.single }));
    }
    let Some(text) = args.printer.as_deref().or(printer) else { return Ok(None) };
    let printer = crate::cli::labels::printer(text)?;
    if printer.is_exposed() && !args.unencrypted {
        let fact = format!("{printer} is reached over a network without encryption.");
        let next = "use ipps://, or a queue of this machine (ipp://localhost/…); or add --unencrypted if nobody can listen there.";
        let why = "Everybody on the way could read the PINs. Nothing was opened.";
        return Err(CliError::new(Exit::Usage, "printer-exposed", fact, next).because(why));
    }
    Ok(Some(Way::Printer(printer)))
}

fn unlock(context: &Context<'_>, args: &MakeArgs) -> Result<Identities, CliError> {
    if args.identity.len() > 2 {
        let fact = "More than two identities were given.";
        return Err(CliError::new(Exit::Usage, "usage", fact, "give one, or under dual control one of each group."));
    }
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    Ok(identities)
}

fn new_run() -> Result<String, CliError> {
    let mut bytes = [0_u8; 6];
    SystemEntropy.fill(&mut bytes)?;
    Ok(format!("letters-{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// What is due and who is held back, all of it known before a PIN is opened.
fn plan(
    ledger: &dyn Ledger,
    args: &MakeArgs,
    template: &Template,
    fonts: &Fonts,
    after: Option<&str>,
) -> Result<(Vec<Due>, Vec<Held>), CliError> {
    let known = facts_of_keys(ledger)?;
    let all = finished(ledger, args.batch.as_deref(), &known)?;
    for name in args.only.iter().chain(&args.reprint) {
        if !all.iter().any(|one| one.is(name)) {
            let fact = format!("No finished key belongs to {name}.");
            let next = "`keybench status` lists people and jobs.";
            return Err(CliError::new(Exit::Usage, "unknown-job", fact, next));
        }
    }
    let today = Zoned::now().date();
    let trial = Pin::new(Zeroizing::new("8".repeat(16))).map_err(|_| unexpected())?;
    let (mut due, mut held) = (Vec::new(), Vec::new());
    for one in &all {
        let again = args.reprint.iter().any(|name| one.is(name));
        let narrowed = !args.only.is_empty() || !args.reprint.is_empty();
        if narrowed && !again && !args.only.iter().any(|name| one.is(name)) {
            continue;
        }
        let last = known.letters.last(&one.line.job, one.facts.attempt);
        let mut hold = |code, why: String, next: &str| {
            held.push(Held {
                upn: one.person.upn.to_string(),
                job: one.line.job.to_string(),
                code,
                why,
                next: next.to_owned(),
            });
        };
        let (issue, reason) = match last.map(|letter| (letter.state, letter.issue)) {
            // Handed over in another way already.
            None if one.facts.released => continue,
            None => (1, String::new()),
            Some((PaperState::Spoiled, issue)) => {
                (issue.saturating_add(1), if after.is_some() { "jam" } else { "spoiled" }.to_owned())
            }
            Some((_, issue)) if again => (issue.saturating_add(1), args.reason.clone().unwrap_or_default()),
            Some((PaperState::Claimed, _)) => {
                let sheet = last.map(|letter| letter.sheet.clone()).unwrap_or_default();
                hold(
                    "letter-claimed",
                    format!("its letter {sheet} was begun, and nobody knows whether it was printed"),
                    "look for the sheet; then `keybench letters confirm --good CODE` or `--spoiled CODE`.",
                );
                continue;
            }
            Some((PaperState::Printed | PaperState::Good, _)) => continue,
        };
        match letter(one, args, template, today, issue) {
            Ok(letter) => {
                let missing = letter.missing(fonts);
                if !missing.is_empty() {
                    let list: Vec<String> = missing.iter().map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
                    hold(
                        "letter-characters",
                        format!("the font can't write {} of the name or the address", list.join(", ")),
                        "name a font that can in [fonts] of a template, or write the name otherwise in the roster.",
                    );
                    continue;
                }
                match letter.sheets(template, fonts, &trial) {
                    Ok(_) => due.push(Due { letter, upn: one.person.upn.to_string(), reason }),
                    Err(LetterError::NoAddress) => {
                        hold("no-address", "there is no address".into(), "`keybench addresses import` brings one.");
                    }
                    Err(error @ LetterError::Address) => {
                        hold(
                            "letter-address",
                            error.to_string(),
                            "shorten it, or make [window] of the template larger.",
                        );
                    }
                    // Everything else is the template's, and everybody's.
                    Err(error) => {
                        let fact = sentence(&error.to_string());
                        let next = "correct the template. Nothing was opened.";
                        return Err(CliError::new(Exit::Usage, "letter-template", fact, next));
                    }
                }
            }
            Err(held_by) => hold(held_by.0, held_by.1, held_by.2),
        }
    }
    Ok((due, held))
}

fn letter(
    one: &Finished,
    args: &MakeArgs,
    template: &Template,
    today: jiff::civil::Date,
    issue: u32,
) -> Result<Letter, (&'static str, String, &'static str)> {
    if issue > 99 {
        return Err(("letter-count", "its letter was printed 99 times".into(), "give the person another key."));
    }
    let address: PostalAddress = one.person.address.clone().unwrap_or_default();
    let own = one.person.language.as_deref().filter(|language| template.texts(language).is_some());
    Ok(Letter {
        job: one.line.job.clone(),
        attempt: one.facts.attempt,
        issue,
        name: one.person.display_name.clone(),
        expires: expires(template, &address, today),
        address,
        language: own.unwrap_or(&args.lang).to_owned(),
        key: one.facts.key.clone(),
        pin_minimum: one.facts.minimum,
        forced: one.facts.forced,
        first_device: one.person.first_device,
        date: today,
    })
}

fn unexpected() -> CliError {
    CliError::new(Exit::Fault, "unexpected", "keybench met something that can't happen.", "please report it.")
}

fn tell_held(context: &Context<'_>, held: &[Held]) {
    for one in held {
        context.output.warning(&format!("{} ({}): {}.\n  Next: {}", one.upn, one.job, one.why, one.next));
        context.output.json(&json!({
            "event": "letter", "job": one.job, "upn": one.upn, "state": "held", "code": one.code, "why": one.why,
        }));
    }
}

fn told(context: &Context<'_>, one: &Due, state: &str, to: &str) {
    let sheet = one.letter.code().map(|code| code.digits().to_owned()).unwrap_or_default();
    let reference = key_reference(&one.letter.job, one.letter.attempt);
    let again = if one.reason.is_empty() { String::new() } else { format!(", again: {}", one.reason) };
    context.output.answer(&format!("{reference}  {}  {}{again}", one.upn, one.letter.language));
    context.output.json(&json!({
        "event": "letter", "job": one.letter.job, "upn": one.upn, "key": reference, "sheet": sheet,
        "language": one.letter.language, "state": state, "to": to, "expires": one.letter.expires.to_string(),
    }));
}

/// A print run.
struct Job<'a> {
    context: &'a Context<'a>,
    /// Where it is noted which files with PINs were written.
    data: &'a Path,
    ledger: &'a SqliteLedger,
    /// What is due was found in the ledger as it was then: another print run may have begun since.
    seen: Head,
    template: &'a Template,
    fonts: &'a Fonts,
    by: &'a str,
    reason: &'a str,
    run: RunId,
}

impl Job<'_> {
    /// Opens, claims, prints and notes these letters, in that order. Gives the files that were written.
    fn print(&self, way: &Way<'_>, due: &[Due], identities: &Identities) -> Result<Vec<String>, CliError> {
        let mut opened: Vec<OpenedPin> = Vec::with_capacity(due.len());
        let mut entries = Vec::with_capacity(due.len() * 2);
        for one in due {
            let letter = &one.letter;
            let pin = escrow::open_unrecorded(self.ledger, &letter.job, Some(letter.attempt), identities)?;
            let reason = if one.reason.is_empty() { self.reason } else { &one.reason };
            escrow::hides_nothing(&pin, &[self.by, reason])?;
            opened.push(pin);
            let reason = if reason.is_empty() { "PIN letter".to_owned() } else { format!("PIN letter: {reason}") };
            let opening =
                PinOpening { job: letter.job.clone(), attempt: letter.attempt, by: self.by.to_owned(), reason };
            entries.push(opening.entry(None));
            entries.push(Entry::Handover(HandoverEntry::LetterClaimed {
                job: letter.job.clone(),
                attempt: letter.attempt,
                sheet: sheet(letter)?,
                reason: one.reason.clone(),
                by: self.by.to_owned(),
                run: Some(self.run.clone()),
                expires: Some(letter.expires),
            }));
        }
        self.ledger.append(Append::entries(entries).as_of(self.seen)).map_err(|error| {
            CliError::from(error).because("Nothing was printed, because the ledger could not be told.")
        })?;
        let mut files = Vec::new();
        let to = match way {
            Way::Printer(printer) => {
                let document = self.document(due.iter().zip(&opened))?;
                printer.print(Kind::Pdf, JOB_NAME, &document).map_err(|error| {
                    crate::cli::labels::printer_error(&error).because(
                        "These letters stand in the ledger as begun: look whether any sheet came out, then confirm it as good or spoiled (`keybench letters list`).",
                    )
                })?;
                printer.way()
            }
            Way::Files { folder, to, single } => {
                create_private_dir(folder).or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })?;
                if *single {
                    let document = self.document(due.iter().zip(&opened))?;
                    files.push(self.write(folder, self.run.as_str(), to.as_ref(), &document)?);
                } else {
                    for pair in due.iter().zip(&opened) {
                        let letter = &pair.0.letter;
                        let name = format!("letter-{}-{}-{}", letter.job, letter.attempt, letter.issue);
                        let document = self.document(std::iter::once(pair))?;
                        files.push(self.write(folder, &name, to.as_ref(), &document)?);
                    }
                }
                if to.is_some() { "encrypted file" } else { "file" }
            }
        };
        let mut entries = Vec::with_capacity(due.len());
        for one in due {
            entries.push(Entry::Handover(HandoverEntry::LetterPrinted {
                job: one.letter.job.clone(),
                sheet: sheet(&one.letter)?,
                to: to.to_owned(),
            }));
        }
        self.ledger.append(Append::entries(entries)).map_err(|error: LedgerError| {
            CliError::from(error).because("The letters were printed, and the ledger could not be told: confirm them with `keybench letters confirm`.")
        })?;
        due.iter().for_each(|one| told(self.context, one, "printed", to));
        Ok(files)
    }

    fn document<'b>(
        &self,
        letters: impl Iterator<Item = (&'b Due, &'b OpenedPin)>,
    ) -> Result<Zeroizing<Vec<u8>>, CliError> {
        let mut maker = Maker::new(self.fonts);
        for (one, opened) in letters {
            let sheets = one.letter.sheets(self.template, self.fonts, &opened.pin).map_err(|error| {
                let fact = sentence(&error.to_string());
                CliError::new(Exit::Usage, "letter-template", fact, "correct the template.")
                    .because("The letter stands in the ledger as begun: confirm it as spoiled, and print it again.")
            })?;
            for sheet in &sheets {
                maker.add(sheet).map_err(paper)?;
            }
        }
        maker.finish().map_err(paper)
    }

    fn write(&self, folder: &Path, name: &str, to: Option<&Recipients>, document: &[u8]) -> Result<String, CliError> {
        let (path, bytes) = match to {
            Some(to) => (folder.join(format!("{name}.pdf.age")), Zeroizing::new(sealing::seal_document(to, document)?)),
            None => (folder.join(format!("{name}.pdf")), Zeroizing::new(document.to_vec())),
        };
        // Noted first: a disk that is full at the tenth file must not hide the nine before it.
        if to.is_none() {
            note_kept(self.data, &path)?;
        }
        write_atomic(&path, &bytes, Readers::OnlyMe)?;
        Ok(path.display().to_string())
    }
}

pub(super) fn paper(error: crate::handover::paper::PdfError) -> CliError {
    CliError::new(Exit::Fault, "unexpected", sentence(&error.to_string()), "please report it.")
}

fn sheet(letter: &Letter) -> Result<String, CliError> {
    letter.code().map(|code| code.digits().to_owned()).map_err(|error| {
        CliError::new(Exit::Ledger, "broken-account", sentence(&error.to_string()), "run `keybench ledger verify`.")
    })
}

/// Remembers where a file with PINs is written, for `doctor`.
fn note_kept(data: &Path, file: &Path) -> Result<(), CliError> {
    if !data.is_dir() {
        create_private_dir(data)?;
    }
    let path = data.join(KEPT);
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut list = append_private(&path)?;
    writeln!(list, "{}\t{}", Timestamp::now(), absolute.display())
        .map_err(|source| crate::platform::private::PrivateError::Io { what: "writing", path: path.clone(), source })?;
    Ok(())
}
