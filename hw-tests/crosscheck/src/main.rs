//! Reads a finished key back with ctap-hid-fido2, as its user's computer would: changes the forced PIN, lists what is on the key, lets
//! it sign, and verifies the signature with the public key that the tenant holds.
//!
//! ```text
//! printf '%s\n' OLD_PIN NEW_PIN | crosscheck NODE RP_ID CREDENTIAL_ID PUBLIC_KEY
//! ```
//!
//! The same PIN twice says that it was changed already. CREDENTIAL_ID is hexadecimal, PUBLIC_KEY the COSE key that the tenant holds, base64url. It shares no code with keybench. Status 0 and
//! one line of JSON on stderr, or 1 and the first disagreement. The library prints on stdout, which means nothing.
//!
//! It blocks for ever on a silent key: run it under a deadline.

use std::io::BufRead as _;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ctap_hid_fido2::fidokey::GetAssertionArgsBuilder;
use ctap_hid_fido2::public_key::{PublicKey, PublicKeyType};
use ctap_hid_fido2::{FidoKeyHidFactory, HidParam, LibCfg, verifier};
use ring::rand::SecureRandom as _;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, rp_id, credential, public_key] = arguments.as_slice() else {
        eprintln!("crosscheck NODE RP_ID CREDENTIAL_ID PUBLIC_KEY, and two PINs on stdin");
        return ExitCode::from(2);
    };
    let mut lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let (Some(old), Some(new)) = (lines.next(), lines.next()) else {
        eprintln!("the custodian's PIN and the user's are read from stdin, a line each");
        return ExitCode::from(2);
    };
    match read_back(node, rp_id, credential, public_key, &old, &new) {
        Ok(told) => {
            eprintln!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("disagreement: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(is_so: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(sentence()) }
}

fn read_back(
    node: &str,
    rp_id: &str,
    credential: &str,
    public_key: &str,
    old: &str,
    new: &str,
) -> Result<serde_json::Value, String> {
    let said = |what: &'static str| move |error| format!("{what}: {error}");
    let mut settings = LibCfg::init();
    // The final commands, and no word on stdout about touching.
    settings.use_pre_credential_management = false;
    settings.use_pre_bio_enrollment = false;
    settings.enable_keep_alive_msg = false;
    let open = || {
        let mut key = FidoKeyHidFactory::create_by_params(&[HidParam::Path(node.to_owned())], &settings)
            .map_err(said("opening"))?;
        let protocols = key.get_info().map_err(said("getInfo"))?.pin_uv_auth_protocols;
        if protocols.first() == Some(&2) {
            key = key.with_pin_protocol_version(2);
        }
        Ok::<_, String>(key)
    };
    let key = open()?;
    let info = key.get_info().map_err(said("getInfo"))?;
    let is = |name: &str| info.options.iter().any(|(option, on)| option == name && *on);
    check(is("clientPin"), || "no PIN is set".to_owned())?;
    // One PIN twice: another client has changed it already.
    if old != new {
        check(info.force_pin_change, || "no PIN change is forced".to_owned())?;
        check(key.change_pin(old, old).is_err(), || "the same PIN was taken again".to_owned())?;
        key.change_pin(old, new).map_err(said("changing the PIN"))?;
    }
    let info = key.get_info().map_err(said("getInfo"))?;
    check(!info.force_pin_change, || "a PIN change is still forced".to_owned())?;
    let tries = key.get_pin_retries().map_err(said("PIN tries"))?;
    check(tries == 8, || format!("{tries} PIN tries are left"))?;

    let parties = key.credential_management_enumerate_rps(Some(new)).map_err(said("relying parties"))?;
    let names: Vec<&str> = parties.iter().map(|party| party.public_key_credential_rp_entity.id.as_str()).collect();
    check(names == [rp_id], || format!("relying parties on the key: {names:?}"))?;
    let hash = ring::digest::digest(&ring::digest::SHA256, rp_id.as_bytes());
    let listed =
        key.credential_management_enumerate_credentials(Some(new), hash.as_ref()).map_err(said("credentials"))?;
    let ids: Vec<String> = listed.iter().map(|one| hex(&one.public_key_credential_descriptor.id)).collect();
    check(ids == [credential], || format!("credentials on the key: {ids:?}, and the ledger's is {credential}"))?;
    let held = point(public_key)?;
    check(listed[0].public_key.der == held, || "the key tells another public key than the tenant holds".to_owned())?;

    let mut challenge = [0; 32];
    ring::rand::SystemRandom::new().fill(&mut challenge).map_err(|_| "no randomness".to_owned())?;
    let id = listed[0].public_key_credential_descriptor.id.clone();
    let asked = GetAssertionArgsBuilder::new(rp_id, &challenge).credential_id(&id).pin(new).build();
    let signed = key.get_assertion_with_args(&asked).map_err(said("signing"))?;
    let [assertion] = signed.as_slice() else { return Err(format!("{} assertions", signed.len())) };
    let held = PublicKey::with_der(&held, PublicKeyType::Ecdsa256);
    check(verifier::verify_assertion(rp_id, &held, &challenge, assertion), || {
        "the assertion does not verify with the public key that the tenant holds".to_owned()
    })?;
    check(assertion.flags.user_verified_result && assertion.flags.user_present_result, || {
        "no user in the assertion".to_owned()
    })?;
    // The verifier must be able to say no.
    let mut other = challenge;
    other[0] ^= 1;
    check(!verifier::verify_assertion(rp_id, &held, &other, assertion), || {
        "the verifier takes another challenge as well".to_owned()
    })?;
    Ok(serde_json::json!({ "credential": credential, "protocols": info.pin_uv_auth_protocols }))
}

/// The uncompressed point of an ES256 key in COSE (RFC 9053 §7.1).
fn point(public_key: &str) -> Result<Vec<u8>, String> {
    let bytes = URL_SAFE_NO_PAD.decode(public_key.trim_end_matches('=')).map_err(|error| error.to_string())?;
    let value: ciborium::Value = ciborium::from_reader(bytes.as_slice()).map_err(|error| error.to_string())?;
    let members = value.as_map().ok_or("the tenant's public key is no map")?;
    let member = |key: i64| members.iter().find(|(k, _)| *k == ciborium::Value::from(key)).map(|(_, value)| value);
    let coordinate =
        |key| member(key).and_then(ciborium::Value::as_bytes).ok_or("the tenant's public key has no point");
    Ok([&[4], coordinate(-2)?.as_slice(), coordinate(-3)?.as_slice()].concat())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
