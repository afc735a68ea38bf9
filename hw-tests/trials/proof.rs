//! What we made works for others: the finished key is read back by clients that share no code with us, as its user's computer would
//! do it. The forced PIN change comes first, with the PIN that the custodian opened.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::provision::provision_on;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::client::{self, CHOSEN, asked_for_pins};
use crate::rig::inspect::{Finished, RP_ID, hex};
use crate::rig::program::{run, run_with};
use crate::rig::subject::{Asks, Capability, PROVISIONS, Subject};
use crate::rig::{Need, Rig, ensure};
use crate::{OnKey, Trial};

const ASKS: Asks = Asks { wants: &[Capability::Pin, Capability::Reset, Capability::Manage], ..PROVISIONS };

pub const TOOLS: Trial = Trial {
    name: "proof-libfido2",
    destroys: "a key",
    needs: &[Need::FidoTools],
    bench: None,
    key: Some(OnKey { asks: ASKS, models: USUAL, run: with_fido2_tools }),
};
pub const PYTHON: Trial = Trial {
    name: "proof-python",
    destroys: "a key",
    needs: &[Need::FidoTools, Need::PythonFido2],
    bench: None,
    key: Some(OnKey { asks: ASKS, models: USUAL, run: with_python }),
};
pub const RUST: Trial = Trial {
    name: "proof-ctap",
    destroys: "a key",
    needs: &[Need::FidoTools, Need::Crosscheck],
    bench: None,
    key: Some(OnKey { asks: ASKS, models: USUAL, run: with_ctap_hid_fido2 }),
};

const USUAL: &[&str] = &["yubikey-5-nfc"];

/// A finished key, put in at its user's desk: bench, job, and the public key that the tenant holds (COSE, base64url).
struct Delivered {
    bench: Bench,
    job: Finished,
    node: String,
    public_key: String,
}

fn deliver(rig: &Rig, subject: &mut Subject) -> Result<Delivered, String> {
    let bench = Bench::new(rig, 1, "[pin]\nlength = 8\n")?;
    let job = provision_on(&bench, subject, 0)?;
    let method = &bench.state()?["people"][0]["methods"][0];
    let public_key = method["public_key"].as_str().ok_or("the tenant holds no public key")?.to_owned();
    let node = subject.bring_back()?;
    Ok(Delivered { bench, job, node, public_key })
}

/// A real key's PIN was changed when its world was looked at.
fn changed(subject: &mut Subject, job: &Finished) -> Result<(), String> {
    if subject.is_virtual() { client::user_changes_pin(subject, job) } else { Ok(()) }
}

/// A signature needs a touch: the client is answered by the subject's hand.
fn signing<T: Send>(subject: &mut Subject, sign: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let signed = scope.spawn(sign);
        let touched = subject.touch();
        let signed = signed.join().unwrap_or_else(|_| Err("the client's thread failed".to_owned()))?;
        touched.map(|()| signed)
    })
}

fn with_fido2_tools(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let delivered = deliver(rig, subject)?;
    changed(subject, &delivered.job)?;
    let Delivered { bench, job, node, public_key } = &delivered;
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
    signing(subject, || {
        let line = ["-G", "-t", "pin=true", "-t", "up=true", "-i", &asked, "-o", &answer, node];
        asked_for_pins("fido2-assert", &line, &[CHOSEN])?.good()
    })?;
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

fn with_python(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let delivered = deliver(rig, subject)?;
    changed(subject, &delivered.job)?;
    let Delivered { bench, job, node, public_key } = &delivered;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-tests/crosscheck");
    let python = std::env::var_os("HW_PYTHON").unwrap_or_default();
    let mut command = Command::new(&python);
    command.arg(scripts.join("readback.py")).args([node, CHOSEN, RP_ID, &hex(&job.credential), public_key]);
    signing(subject, || run(&mut command, PATIENCE)?.good())?;
    let mut said = "resident credential read, assertion verified with the tenant's key".to_owned();
    // What a real key's maker signs under is not here; the simulator's root is.
    if subject.is_virtual() {
        let record = bench.place("record.json");
        fs::write(&record, bench.registration(&job.job)?).map_err(|error| error.to_string())?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim/key/attestation/simulator-root.der");
        let mut command = Command::new(&python);
        command.arg(scripts.join("attestation.py")).arg(record).arg(root);
        run(&mut command, PATIENCE)?.good()?;
        said.push_str(", attestation object by python-fido2's verifier");
    }
    Ok(said)
}

fn with_ctap_hid_fido2(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let delivered = deliver(rig, subject)?;
    let Delivered { job, node, public_key, .. } = &delivered;
    // It changes the forced PIN itself; on a real key that has happened when its world was looked at.
    let old = if subject.is_virtual() { job.pin.as_str() } else { CHOSEN };
    let pins = format!("{old}\n{CHOSEN}\n");
    let program = std::env::var_os("HW_CROSSCHECK").unwrap_or_default();
    let mut command = Command::new(program);
    command.args([node, RP_ID, &hex(&job.credential), public_key]);
    let ended = signing(subject, || run_with(&mut command, &pins, PATIENCE))?;
    ended.good()?;
    Ok("PIN changed, resident credential read, assertion verified with the tenant's key".to_owned())
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
