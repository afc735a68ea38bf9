//! Access control lists, by the system's own `icacls` and PowerShell: the calls behind them are `unsafe`, and these are
//! needed a few times a run.
//!
//! A private thing's list holds this account, SYSTEM and the administrators, and inherits nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PrivateError, sddl};

/// Well-known ids, the same in every language: SYSTEM and the administrators' group.
const SYSTEM: &str = "*S-1-5-18";
const ADMINISTRATORS: &str = "*S-1-5-32-544";

pub(super) fn make_dir(path: &Path) -> Result<(), PrivateError> {
    fs::create_dir(path).map_err(|error| PrivateError::io("creating", path, error))?;
    restrict(path, "(OI)(CI)F")
}

pub(super) fn make_file(path: &Path) -> Result<File, PrivateError> {
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| PrivateError::io("creating", path, error))?;
    restrict(path, "F")?;
    Ok(file)
}

fn restrict(path: &Path, rights: &str) -> Result<(), PrivateError> {
    let me = own_sid().map_err(|error| PrivateError::io("restricting", path, error))?;
    let mut command = system_tool("icacls.exe");
    command.arg(path).arg("/inheritance:r");
    for who in [format!("*{me}"), SYSTEM.to_owned(), ADMINISTRATORS.to_owned()] {
        command.arg("/grant:r").arg(format!("{who}:{rights}"));
    }
    let answer = command.output().map_err(|error| PrivateError::io("restricting", path, error))?;
    if answer.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    Err(PrivateError::io("restricting", path, io::Error::other(format!("icacls refused: {why}"))))
}

/// The account's security id, from `whoami /user /fo csv /nh`: `"domain\name","S-1-5-21-…"`.
fn own_sid() -> io::Result<String> {
    let answer = system_tool("whoami.exe").args(["/user", "/fo", "csv", "/nh"]).output()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    text.rsplit(',')
        .next()
        .map(|sid| sid.trim().trim_matches('"').to_owned())
        .filter(|sid| sid.starts_with("S-1-"))
        .ok_or_else(|| io::Error::other("whoami did not tell this account's security id"))
}

fn list_of(path: &Path) -> Result<String, PrivateError> {
    let mut command = system_tool(r"WindowsPowerShell\v1.0\powershell.exe");
    command.args(["-NoProfile", "-NonInteractive", "-Command", "(Get-Acl -LiteralPath $env:KEYBENCH_ACL_OF).Sddl"]);
    // By environment, not in the text: a path may hold quotes.
    command.env("KEYBENCH_ACL_OF", path);
    let answer = command.output().map_err(|error| PrivateError::io("looking at", path, error))?;
    let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if answer.status.success() && !text.is_empty() {
        return Ok(text);
    }
    let why = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
    Err(PrivateError::io("looking at", path, io::Error::other(format!("Get-Acl failed: {why}"))))
}

pub(super) fn check_private(path: &Path) -> Result<(), PrivateError> {
    let (path, Some((detail, remedy))) = look(path, sddl::Wish::Read)? else { return Ok(()) };
    Err(PrivateError::Exposed { path, detail: format!("{detail} may read it"), remedy })
}

pub(super) fn check_not_writable_by_others(path: &Path) -> Result<(), PrivateError> {
    let (path, Some((detail, remedy))) = look(path, sddl::Wish::Write)? else { return Ok(()) };
    Err(PrivateError::WritableByOthers { path, detail: format!("{detail} may change it"), remedy })
}

/// Who else may, and the command that ends it: the lists that [`restrict`] gives, and the administrators as owner. Ids, because
/// names are translated and variables are written differently in each shell.
fn look(path: &Path, wish: sddl::Wish) -> Result<(PathBuf, Option<(String, String)>), PrivateError> {
    let is_dir = fs::metadata(path).map_err(|error| PrivateError::io("looking at", path, error))?.is_dir();
    let me = own_sid().map_err(|error| PrivateError::io("looking at", path, error))?;
    let found = sddl::who_else_may(&list_of(path)?, wish, &me).map(|who| {
        let rights = if is_dir { "(OI)(CI)F" } else { "F" };
        let mut grants = format!(" \"*{me}:{rights}\"");
        for who in [SYSTEM, ADMINISTRATORS] {
            grants.push_str(&format!(" \"{who}:{rights}\""));
        }
        let owner = if who.ends_with("its owner,") {
            format!("takeown /A /F \"{}\", then ", path.display())
        } else {
            String::new()
        };
        (who, format!("{owner}icacls \"{}\" /inheritance:r /grant:r{grants}", path.display()))
    });
    Ok((path.to_owned(), found))
}

pub(super) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(()) // a directory can't be flushed without backup rights; NTFS journals names
}

/// A tool by its full path: what stands in the current directory or first in PATH is not asked.
fn system_tool(name: &str) -> Command {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    Command::new(Path::new(&root).join("System32").join(name))
}
