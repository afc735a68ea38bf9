//! The checks on a new passkey, in the order they are made. Pure: what is known goes in, a verdict comes out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::attestation::{self, Attested, BE, UP, UV};
use super::credential_id::read_base64;
use super::signature::{ES256, RS256, reaches_a_root, thumbprints};
use super::spec::{Quirks, Refusal, RestrictionKind};

/// A refusal and the sentence that goes with it.
pub(super) type Refused = (Refusal, String);

/// What a request to register says, before anything in it is believed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) display_name: Option<String>,
    pub(super) id: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    pub(super) attestation_object: Vec<u8>,
}

/// One profile's demands on a passkey; the old schema is one profile.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) device_bound: bool,
    pub(super) synced: bool,
    pub(super) attestation_enforced: bool,
    pub(super) restriction: Option<(RestrictionKind, Vec<String>)>,
}

/// What is kept of an accepted passkey.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) display_name: Option<String>,
    pub(super) credential_id: Vec<u8>,
    pub(super) cose: Vec<u8>,
    pub(super) aaguid: String,
    pub(super) synced: bool,
    pub(super) attested: bool,
    pub(super) certificates: Vec<String>,
}

fn refused<T>(why: Refusal, message: impl Into<String>) -> Result<T, Refused> {
    Err((why, message.into()))
}

/// Reads the body: the members that the CSDL's closed types have, and no others.
pub(super) fn read_request(body: &[u8]) -> Result<Request, Refused> {
    let malformed = |message: String| (Refusal::Malformed, message);
    let Ok(Value::Object(root)) = serde_json::from_slice::<Value>(body) else {
        return refused(Refusal::Malformed, "The request is missing a fido2AuthenticationMethod entity");
    };
    closed(&root, "fido2AuthenticationMethod", &["displayName", "publicKeyCredential"])?;
    let display_name = match root.get("displayName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if (1..=30).contains(&name.chars().count()) => Some(name.clone()),
        Some(_) => return refused(Refusal::Malformed, "displayName is a text of 1 to 30 characters."),
    };
    let credential = object(&root, "publicKeyCredential")?;
    closed(credential, "webauthnPublicKeyCredential", &["id", "response", "clientExtensionResults"])?;
    // An open type: anything may be in it, but it is an object.
    if credential.get("clientExtensionResults").is_some_and(|results| !results.is_object()) {
        return refused(Refusal::Malformed, "clientExtensionResults is not an object.");
    }
    let response = object(credential, "response")?;
    closed(response, "webauthnAuthenticatorAttestationResponse", &["clientDataJSON", "attestationObject"])?;
    let text = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| malformed(format!("{name} is missing or not a text.")))
    };
    let base64 =
        |name: &str| read_base64(&text(response, name)?).ok_or_else(|| malformed(format!("{name} is not base64url.")));
    // Other than the two below, the id has only ever been seen in base64url without padding.
    let id = URL_SAFE_NO_PAD
        .decode(text(credential, "id")?)
        .map_err(|_| malformed("id is not base64url without padding.".into()))?;
    Ok(Request {
        display_name,
        id,
        client_data: base64("clientDataJSON")?,
        attestation_object: base64("attestationObject")?,
    })
}

fn object<'a>(map: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Refused> {
    map.get(name)
        .and_then(Value::as_object)
        .ok_or_else(|| (Refusal::Malformed, format!("{name} is missing or not an object.")))
}

fn closed(map: &Map<String, Value>, kind: &str, known: &[&str]) -> Result<(), Refused> {
    let type_name = format!("#microsoft.graph.{kind}");
    for (name, value) in map {
        if name == "@odata.type" {
            if value.as_str() != Some(&type_name) {
                return refused(Refusal::Malformed, format!("@odata.type is {value}, but should be \"{type_name}\"."));
            }
        } else if !known.contains(&name.as_str()) {
            let message = format!("The property '{name}' does not exist on type 'microsoft.graph.{kind}'.");
            return refused(Refusal::Malformed, message);
        }
    }
    Ok(())
}

/// Reads client data and gives the challenge in it (WebAuthn §7.1 steps 6–10, without the challenge's own check).
pub(super) fn read_client_data(bytes: &[u8], rp_id: &str) -> Result<Vec<u8>, Refused> {
    let wrong = |message: &str| refused(Refusal::WrongData, message);
    let Ok(Value::Object(data)) = serde_json::from_slice::<Value>(bytes) else {
        return wrong("clientDataJSON is not a JSON object.");
    };
    let member = |name: &str| data.get(name).and_then(Value::as_str);
    if member("type") != Some("webauthn.create") {
        return wrong("clientDataJSON: type is not 'webauthn.create'.");
    }
    if member("origin") != Some(&format!("https://{rp_id}")) {
        return refused(Refusal::WrongData, format!("clientDataJSON: origin is not 'https://{rp_id}'."));
    }
    if !matches!(data.get("crossOrigin"), None | Some(Value::Bool(false))) {
        return wrong("clientDataJSON: crossOrigin is not false.");
    }
    let challenge = member("challenge").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    challenge.map_or_else(|| wrong("clientDataJSON: challenge is missing or not base64url without padding."), Ok)
}

/// Everything about the attestation object that does not depend on policy.
pub(super) fn check_attestation(request: &Request, rp_id: &str) -> Result<Attested, Refused> {
    let hash = Sha256::digest(&request.client_data);
    let attested =
        attestation::read(&request.attestation_object, &hash).map_err(|why| (Refusal::BadAttestation, why))?;
    if attested.rp_id_hash != Sha256::digest(rp_id).as_slice() {
        return refused(Refusal::WrongData, "rpIdHash is not that of the relying party.");
    }
    if attested.flags & UP == 0 {
        return refused(Refusal::WrongData, "The user was not present.");
    }
    if attested.flags & UV == 0 {
        return refused(Refusal::WrongData, "The user was not verified.");
    }
    if ![ES256, RS256].contains(&attested.algorithm) {
        return refused(Refusal::WrongData, "The credential's algorithm was not offered.");
    }
    if attested.credential_id != request.id {
        return refused(Refusal::WrongData, "id is not the credential id in authData.");
    }
    Ok(attested)
}

/// Whether one of the profiles takes this passkey; when none does, the first profile's reason.
pub(super) fn check_policy(
    attested: &Attested,
    profiles: &[Profile],
    roots: &[Vec<u8>],
    quirks: &Quirks,
    now: i64,
) -> Result<bool, Refused> {
    let chain = if attested.x5c.is_empty() {
        Err("The attestation has no certificates.".to_owned())
    } else {
        reaches_a_root(&attested.x5c, roots, now)
    };
    let mut first = None;
    for profile in profiles {
        match profile_takes(attested, profile, &chain, quirks) {
            Ok(()) => return Ok(chain.is_ok()),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or((Refusal::MethodDisabled, "The user is not in scope of any passkey profile.".into())))
}

fn profile_takes(
    attested: &Attested,
    profile: &Profile,
    chain: &Result<(), String>,
    quirks: &Quirks,
) -> Result<(), Refused> {
    let by = &profile.name;
    let synced = attested.flags & BE != 0;
    if synced && !profile.synced {
        return refused(Refusal::PasskeyType, format!("Synced passkeys are not allowed by '{by}'."));
    }
    if !synced && !profile.device_bound {
        return refused(Refusal::PasskeyType, format!("Device-bound passkeys are not allowed by '{by}'."));
    }
    if profile.attestation_enforced {
        if let Err(why) = chain {
            return refused(Refusal::AttestationRequired, format!("Attestation is enforced by '{by}'. {why}"));
        }
    } else if attested.format == "none" && !quirks.none_attestation {
        return refused(Refusal::BadAttestation, "Attestation format 'none' is not supported.");
    } else if attested.format == "packed" && attested.x5c.is_empty() && !quirks.self_attestation {
        return refused(Refusal::BadAttestation, "Self-attestation is not supported.");
    }
    if let Some((kind, aaguids)) = &profile.restriction {
        let aaguid = guid(&attested.aaguid);
        let listed = aaguids.iter().any(|listed| listed.eq_ignore_ascii_case(&aaguid));
        if listed != (*kind == RestrictionKind::Allow) {
            return refused(
                Refusal::AaguidRestricted,
                format!("The authenticator's AAGUID {aaguid} is not allowed by '{by}'."),
            );
        }
    }
    Ok(())
}

/// What is kept once everything has been checked.
pub(super) fn accept(request: Request, attested: Attested, chain_holds: bool) -> Accepted {
    Accepted {
        display_name: request.display_name,
        credential_id: attested.credential_id,
        aaguid: guid(&attested.aaguid),
        synced: attested.flags & BE != 0,
        attested: chain_holds,
        certificates: thumbprints(&attested.x5c),
        cose: attested.cose,
    }
}

pub(super) fn guid(bytes: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*bytes).hyphenated().to_string()
}
