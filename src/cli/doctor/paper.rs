//! Paper that was left lying about: letters' files and what a spooler keeps; and whether the printer answers.

use std::path::{Path, PathBuf};

use super::Findings;
use crate::cli::letters::{JOB_NAME, KEPT};
use crate::config::Settings;
use crate::handover::paper::pdf::MARK;
use crate::handover::printer::{Printer, kept_jobs};

/// Where systems keep what is being printed (CUPS: `RequestRoot`; Windows: the spooler's folder).
const SPOOLS: &[&str] = &["/var/spool/cups", "/private/var/spool/cups", r"C:\Windows\System32\spool\PRINTERS"];
/// A larger file is no letter of ours, and the mark is near the end of a file.
const MOST: u64 = 256 << 20;

pub(super) fn kept(findings: &mut Findings<'_>, settings: &Settings) {
    const NAME: &str = "letters left behind";
    let list = settings.data.join(KEPT);
    let there: Vec<String> = std::fs::read_to_string(&list)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('\t').map(|(_, path)| path.to_owned()))
        .filter(|path| Path::new(path).exists())
        .collect();
    let (found, closed) = spooled(&SPOOLS.iter().map(PathBuf::from).collect::<Vec<_>>());
    if !there.is_empty() {
        let evidence = format!("files with PINs are still there: {}", shown(&there));
        findings.warn(NAME, evidence, "print them, confirm the letters, and delete the files.");
    }
    if !found.is_empty() {
        let evidence = format!("the spooler keeps letters: {}", shown(&found));
        let next = "delete them; CUPS keeps none with `PreserveJobFiles No` in cupsd.conf, Windows unless a queue keeps printed documents.";
        findings.warn(NAME, evidence, next);
    }
    if there.is_empty() && found.is_empty() && closed.is_empty() {
        findings.ok(NAME, "no letter's file and no spooled letter is found");
    } else if !closed.is_empty() {
        let evidence =
            format!("{} can't be read by this account, so what a spooler keeps is not known", closed.join(", "));
        findings.unknown(NAME, evidence, "an administrator can look there for files that begin with %PDF.");
    }
}

fn shown(paths: &[String]) -> String {
    match paths.get(..3) {
        Some(first) if paths.len() > 3 => format!("{} and {} more", first.join(", "), paths.len().saturating_sub(3)),
        _ => paths.join(", "),
    }
}

/// Files of ours in these folders, and the folders that this account may not look into.
fn spooled(folders: &[PathBuf]) -> (Vec<String>, Vec<String>) {
    let (mut found, mut closed) = (Vec::new(), Vec::new());
    for folder in folders {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => {
                closed.push(folder.display().to_string());
                continue;
            }
        };
        for entry in entries.flatten() {
            let small = entry.metadata().is_ok_and(|found| found.is_file() && found.len() <= MOST);
            if small && std::fs::read(entry.path()).is_ok_and(|bytes| is_ours(&bytes)) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    (found, closed)
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

pub(super) fn printer(findings: &mut Findings<'_>, settings: &Settings) {
    const NAME: &str = "printer";
    let Some(text) = &settings.handover.printer else { return };
    match Printer::parse(text) {
        Err(error) => findings.fail(NAME, crate::cli::Exit::Usage, error.to_string(), "correct handover.printer."),
        Ok(printer) if printer.is_exposed() => {
            let evidence = format!("{printer} is reached without encryption: PINs could be read on the way");
            findings.warn(NAME, evidence, "use ipps://, or a queue of this machine.");
        }
        Ok(Printer::Ipp { url }) => match kept_jobs(&url, JOB_NAME) {
            Ok(jobs) if jobs.is_empty() => findings.ok(NAME, format!("{url} answers, and knows no job of ours")),
            Ok(jobs) => {
                let evidence = format!("{url} still knows {} jobs of ours, and may keep their documents", jobs.len());
                findings.warn(NAME, evidence, "clear its finished jobs (CUPS: `cancel -x -a QUEUE`).");
            }
            Err(error) => findings.warn(NAME, error.to_string(), "see to the printer, or correct handover.printer."),
        },
        Ok(printer) => findings.unknown(
            NAME,
            format!("{printer} can't be asked"),
            "print a proof: `keybench letters proof --printer …`.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_in_a_spool_is_found_and_other_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let fonts = crate::handover::paper::Fonts::built_in().expect("fonts");
        let mut sheet = crate::handover::paper::Sheet::new(crate::handover::paper::Size::A4);
        sheet.text(20.0, 20.0, crate::handover::paper::Style::Regular, 10.0, "x");
        let pdf = crate::handover::paper::write(&fonts, [&sheet]).expect("a PDF");
        std::fs::write(folder.path().join("d00001-001"), &*pdf).expect("written");
        std::fs::write(folder.path().join("d00002-001"), b"%PDF-1.7 somebody's").expect("written");
        let (found, closed) = spooled(&[folder.path().to_owned(), folder.path().join("none")]);
        assert_eq!((found.len(), closed.len()), (1, 0), "{found:?}");
        assert!(found[0].ends_with("d00001-001"));
    }
}
