//! What we made works for others: the finished key is read back by clients that share no code with us, as its user's computer would
//! do it. The forced PIN change comes first, with the PIN that the custodian opened.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::Trial;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::inspect::{Finished, RP_ID, hex, inspect};
use crate::rig::keys::Keys;
use crate::rig::program::{run, run_with};
use crate::rig::{Need, Rig, ensure};

pub const TOOLS: Trial =
    Trial { name: "proof-libfido2", destroys: "a key", needs: &[Need::Uhid, Need::FidoTools], run: with_fido2_tools };
pub const PYTHON: Trial = Trial {
    name: "proof-python",
    destroys: "a key",
    needs: &[Need::Uhid, Need::FidoTools, Need::PythonFido2],
    run: with_python,
};

/// The PIN that the user chooses.
const CHOSEN: &str = "7042918356";

/// A finished key, put in at its user's desk: bench, key, job, and the public key that the tenant holds (COSE, base64url).
struct Delivered {
    bench: Bench,
    keys: Keys,
    job: Finished,
    node: String,
    public_key: String,
}

fn deliver(rig: &Rig) -> Result<Delivered, String> {
    let bench = Bench::new(rig, 1, "[pin]\nlength = 8\n")?;
    let mut keys = Keys::start(rig, 1, &["--unplugged", "--touch"])?;
    let mut bench_run = bench.run(&bench.roster("people.csv", [0])?)?;
    bench_run.until("started", PATIENCE)?;
    keys.ask("plug 1")?;
    bench_run.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    bench_run.end(PATIENCE)?;
    let job = inspect(&bench, &mut keys, 1)?.pop().ok_or("no finished job")?;
    let method = &bench.state()?["people"][0]["methods"][0];
    let public_key = method["public_key"].as_str().ok_or("the tenant holds no public key")?.to_owned();
    keys.ask("plug 1")?;
    keys.wait_for_nodes()?;
    let node = keys.node(1)?.to_string_lossy().into_owned();
    let mut delivered = Delivered { bench, keys, job, node, public_key };
    change_pin(&mut delivered)?;
    Ok(delivered)
}

/// fido2-token asks for PINs at a terminal, and reads stdin where there is none.
fn asked_for_pins(command: &str, arguments: &[&str], pins: &[&str]) -> Result<crate::rig::program::Ended, String> {
    let input: String = pins.iter().map(|pin| format!("{pin}\n")).collect();
    run_with(Command::new("setsid").arg("--wait").arg(command).args(arguments), &input, Duration::from_secs(20))
}

/// As the user's computer makes them do it. The same PIN again is refused.
fn change_pin(delivered: &mut Delivered) -> Result<(), String> {
    let Delivered { keys, job, node, .. } = delivered;
    let told = run(Command::new("fido2-token").args(["-I", node]), PATIENCE)?.good()?;
    for line in ["pin change required: true", "pin retries: 8", "minpinlen: 8"] {
        ensure(told.contains(line), || format!("libfido2 does not say {line:?}: {told}"))?;
    }
    let same = asked_for_pins("fido2-token", &["-C", node], &[&job.pin, &job.pin, &job.pin])?;
    ensure(same.code != Some(0), || "the same PIN was taken again".to_owned())?;
    asked_for_pins("fido2-token", &["-C", node], &[&job.pin, CHOSEN, CHOSEN])?.good()?;
    let told = run(Command::new("fido2-token").args(["-I", node]), PATIENCE)?.good()?;
    ensure(told.contains("pin change required: false"), || format!("after the change: {told}"))?;
    ensure(keys.ask(&format!("pin-is 1 {CHOSEN}"))?["pin_is"] == true, || {
        "the key has another PIN than was chosen".to_owned()
    })
}

fn with_fido2_tools(rig: &Rig) -> Result<String, String> {
    let delivered = deliver(rig)?;
    let Delivered { bench, job, node, public_key, .. } = &delivered;
    let parties = asked_for_pins("fido2-token", &["-L", "-r", node], &[CHOSEN])?.good()?;
    ensure(parties.contains(RP_ID) && parties.trim().lines().count() == 1, || format!("relying parties: {parties}"))?;
    let credentials = asked_for_pins("fido2-token", &["-L", "-k", RP_ID, node], &[CHOSEN])?.good()?;
    let credential = STANDARD.encode(&job.credential);
    ensure(credentials.contains(&credential), || format!("{credential} is not among: {credentials}"))?;

    // An assertion over data of our own, verified with the key that the tenant holds.
    let data = STANDARD.encode([7; 32]);
    let (asked, answer, pem) = (bench.place("asked"), bench.place("answer"), bench.place("public.pem"));
    fs::write(&asked, format!("{data}\n{RP_ID}\n{credential}\n")).map_err(|error| error.to_string())?;
    fs::write(&pem, to_pem(public_key)?).map_err(|error| error.to_string())?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (asked, answer, pem) = (text(&asked), text(&answer), text(&pem));
    asked_for_pins(
        "fido2-assert",
        &["-G", "-t", "pin=true", "-t", "up=true", "-i", &asked, "-o", &answer, node],
        &[CHOSEN],
    )?
    .good()?;
    let verify =
        |file: &str| run(Command::new("fido2-assert").args(["-V", "-p", "-v", "-i", file, &pem, "es256"]), PATIENCE);
    verify(&answer)?.good().map_err(|error| format!("libfido2 does not verify the assertion: {error}"))?;
    // The verifier must be able to say no.
    let signed = fs::read_to_string(&answer).map_err(|error| error.to_string())?;
    let forged = bench.place("forged");
    fs::write(&forged, signed.replacen(&data, &STANDARD.encode([8; 32]), 1)).map_err(|error| error.to_string())?;
    ensure(verify(&text(&forged))?.code != Some(0), || "libfido2 verifies an assertion over other data".to_owned())?;
    Ok("PIN changed, credential listed, assertion verified with the tenant's key".to_owned())
}

fn with_python(rig: &Rig) -> Result<String, String> {
    let delivered = deliver(rig)?;
    let Delivered { job, node, public_key, .. } = &delivered;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-tests/crosscheck/readback.py");
    let python = std::env::var_os("HW_PYTHON").unwrap_or_default();
    let mut command = Command::new(python);
    command.arg(script).args([node, CHOSEN, RP_ID, &hex(&job.credential), public_key]);
    run(&mut command, PATIENCE)?.good()?;
    Ok("resident credential read, assertion verified with the tenant's key".to_owned())
}

/// ES256 in COSE (RFC 9053 §7.1) to SubjectPublicKeyInfo (RFC 5480). The map of a P-256 key in canonical CBOR has 77 bytes.
fn to_pem(public_key: &str) -> Result<String, String> {
    const START: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    let cose = URL_SAFE_NO_PAD.decode(public_key.trim_end_matches('=')).map_err(|error| error.to_string())?;
    let is_es256 = cose.len() == 77 && cose.starts_with(&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
    ensure(is_es256, || format!("no ES256 key in canonical COSE: {}", hex(&cose)))?;
    let der = [&START[..], &cose[10..42], &cose[45..77]].concat();
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
}
