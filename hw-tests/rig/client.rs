//! Other people's FIDO clients at a key: Debian's fido2-tools.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bench::PATIENCE;
use super::ensure;
use super::inspect::{Finished, RP_ID};
use super::program::{Ended, run, run_with};
use super::subject::Subject;

/// The PIN that the user chooses.
pub const CHOSEN: &str = "7042918356";

/// How long a client may take that asks for no touch.
const QUICK: Duration = Duration::from_secs(120);

/// These clients ask for PINs at a terminal, and read stdin where there is none.
pub fn asked_for_pins(command: &str, arguments: &[&str], pins: &[&str]) -> Result<Ended, String> {
    let input: String = pins.iter().map(|pin| format!("{pin}\n")).collect();
    run_with(Command::new("setsid").arg("--wait").arg(command).args(arguments), &input, QUICK)
}

/// What libfido2 says of a key.
pub fn told(node: &str) -> Result<String, String> {
    run(Command::new("fido2-token").args(["-I", node]), PATIENCE)?.good()
}

/// PIN tries left, as libfido2 reads them; `None` where it can't: version 1.12 asks over PIN protocol one alone.
pub fn tries(node: &str) -> Result<Option<u8>, String> {
    let told = told(node)?;
    let line = told.lines().find_map(|line| line.strip_prefix("pin retries: ")).map(str::trim);
    match line {
        Some("undefined") => Ok(None),
        Some(number) => number.parse().map(Some).map_err(|_| format!("libfido2 tells no PIN tries: {told}")),
        None => Err(format!("libfido2 tells no PIN tries: {told}")),
    }
}

/// A first PIN.
pub fn set_pin(node: &str, pin: &str) -> Result<(), String> {
    asked_for_pins("fido2-token", &["-S", node], &[pin, pin])?.good().map(drop)
}

/// Another PIN.
pub fn change_pin(node: &str, old: &str, new: &str) -> Result<Ended, String> {
    asked_for_pins("fido2-token", &["-C", node], &[old, new, new])
}

/// Changes the forced PIN as the user's computer makes them do it: the custodian's PIN, then one that the user chooses. The same again
/// is refused.
pub fn user_changes_pin(subject: &mut Subject, job: &Finished) -> Result<(), String> {
    let node = subject.node()?;
    let before = told(&node)?;
    let forced = before.contains("pin change required: true");
    // Three voices: what the key is now, what the ledger says, and what libfido2 says that it can.
    let can = has_option(&before, "setMinPINLength")?;
    ensure(forced == (job.forced == "forced") && forced == can, || {
        format!("a forced PIN change: the key {forced}, the ledger {}, able to {can}: {before}", job.forced)
    })?;
    ensure(matches!(tries(&node)?, None | Some(8)), || format!("libfido2 tells other tries than 8: {before}"))?;
    if forced {
        let same = change_pin(&node, &job.pin, &job.pin)?;
        ensure(same.code != Some(0), || "the same PIN was taken again".to_owned())?;
    }
    change_pin(&node, &job.pin, CHOSEN)?.good()?;
    let after = told(&node)?;
    ensure(after.contains("pin change required: false") || !forced, || format!("after the change: {after}"))?;
    if let Some(mut inside) = subject.inside() {
        let is = inside.ask(&format!("pin-is 1 {CHOSEN}"))?["pin_is"] == true;
        ensure(is, || "the key has another PIN than was chosen".to_owned())?;
    }
    Ok(())
}

/// An option as libfido2 lists them: `options: rk, up, noplat, clientPin`.
pub fn has_option(told: &str, name: &str) -> Result<bool, String> {
    let options = told.lines().find_map(|line| line.strip_prefix("options: "));
    let options = options.ok_or_else(|| format!("libfido2 tells no options: {told}"))?;
    Ok(options.split(',').any(|option| option.trim() == name))
}

/// A real key can't be looked into: once it is recognised, libfido2 changes the PIN that the custodian opened, and lists what is on the key.
/// Keys that list nothing sign with what must be on them instead; no touch is asked for.
pub fn is_as_the_books_say(subject: &mut Subject, job: &Finished) -> Result<(), String> {
    let node = subject.bring_back()?;
    user_changes_pin(subject, job)?;
    let told = told(&node)?;
    if !has_option(&told, "credMgmt")? && !has_option(&told, "credentialMgmtPreview")? {
        // It must be able to say no.
        let other: Vec<u8> = job.credential.iter().map(|byte| !byte).collect();
        ensure(!signs(&node, &other)?, || "it signs with a credential that nobody has made".to_owned())?;
        return ensure(signs(&node, &job.credential)?, || "its credential is not on the key".to_owned());
    }
    let parties = asked_for_pins("fido2-token", &["-L", "-r", &node], &[CHOSEN])?.good()?;
    ensure(parties.contains(RP_ID) && parties.trim().lines().count() == 1, || format!("relying parties: {parties}"))?;
    let credentials = asked_for_pins("fido2-token", &["-L", "-k", RP_ID, &node], &[CHOSEN])?.good()?;
    let credential = STANDARD.encode(&job.credential);
    let only = credentials.contains(&credential) && credentials.trim().lines().count() == 1;
    ensure(only, || format!("{credential} is not the only one on the key: {credentials}"))
}

/// Whether the key signs with this credential, by its user's PIN and without a touch.
fn signs(node: &str, credential: &[u8]) -> Result<bool, String> {
    let asked = format!("{}\n{RP_ID}\n{}\n", STANDARD.encode([7; 32]), STANDARD.encode(credential));
    let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.write_all(asked.as_bytes()).map_err(|error| error.to_string())?;
    let path = file.path().to_string_lossy().into_owned();
    let line = ["-G", "-t", "pin=true", "-t", "up=false", "-i", &path, node];
    let ended = asked_for_pins("fido2-assert", &line, &[CHOSEN])?;
    let unknown =
        ended.stderr.contains("FIDO_ERR_NO_CREDENTIALS") || ended.stderr.contains("FIDO_ERR_INVALID_CREDENTIAL");
    if unknown { Ok(false) } else { ended.good().map(|_| true) }
}
