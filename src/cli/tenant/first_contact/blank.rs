//! Taking out of an exchange what belongs to a person, a key or a tenant, and leaving its shape. Pure.
//!
//! Promise: a text is kept only where it is one of the specification's own words, a model, or an error's code or message with ids and
//! names taken out; every other text becomes its kind and length. Numbers, booleans and member names stay.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

/// Members whose text is Microsoft's or the specification's own, or a model's.
const KEPT: [&str; 16] = [
    "type",
    "attestation",
    "userVerification",
    "authenticatorAttachment",
    "credentialProtectionPolicy",
    "attestationLevel",
    "passkeyType",
    "aaGuid",
    "model",
    "@odata.type",
    "code",
    "transports",
    "attestationFormats",
    "hints",
    "residentKey",
    "@microsoft.graph.tips",
];

/// A value without what must not leave. `names` are texts to be taken out of messages: user principal names, ids, hosts.
pub(super) fn blanked(value: &Value, names: &[String]) -> Value {
    at(value, "", "", names)
}

fn at(value: &Value, parent: &str, name: &str, names: &[String]) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), at(value, name, key, names))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| at(item, parent, name, names)).collect()),
        Value::String(text) => Value::String(text_at(text, parent, name, names)),
        other => other.clone(),
    }
}

fn text_at(text: &str, parent: &str, name: &str, names: &[String]) -> String {
    if KEPT.contains(&name) && text.len() <= 200 {
        return message(text, names);
    }
    match (parent, name) {
        // The relying party is the same for everybody in a cloud; another host would be a tenant's own.
        ("rp", "id")
            if text.ends_with("login.microsoft.com")
                || text.ends_with("login.microsoftonline.com")
                || text.ends_with("login.microsoftonline.us") =>
        {
            text.to_owned()
        }
        ("rp", "name") if text == "Microsoft" => text.to_owned(),
        ("error" | "innerError" | "innererror", "message") => message(text, names),
        _ => kind(text),
    }
}

/// What a text is, by its look.
fn kind(text: &str) -> String {
    let length = text.len();
    if text.is_empty() {
        return String::new();
    }
    if uuid::Uuid::try_parse(text).is_ok() {
        return "<guid>".to_owned();
    }
    if text.parse::<Timestamp>().is_ok() || (text.contains('T') && text.parse::<jiff::civil::DateTime>().is_ok()) {
        return "<time>".to_owned();
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return "<url>".to_owned();
    }
    if text.chars().all(|c| c.is_ascii_hexdigit()) && length >= 16 {
        return format!("<hex:{length}>");
    }
    if URL_SAFE_NO_PAD.decode(text).is_ok() && length >= 16 {
        return format!("<base64url:{length}>");
    }
    if STANDARD.decode(text).is_ok() && length >= 16 {
        return format!("<base64:{length}>");
    }
    if text.contains('@') {
        return "<name@domain>".to_owned();
    }
    format!("<text:{}>", text.chars().count())
}

/// A message without names, ids, times and addresses.
fn message(text: &str, names: &[String]) -> String {
    let mut out = text.to_owned();
    for name in names.iter().filter(|name| name.len() >= 3) {
        out = replace_ignoring_case(&out, name, "<name>");
    }
    let words: Vec<String> = out
        .split(' ')
        .map(|word| {
            let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let unsafe_word = uuid::Uuid::try_parse(core).is_ok()
                || core.contains('@')
                || core.contains("://")
                || core.len() >= 40
                || core.len() >= 10 && core.parse::<Timestamp>().is_ok();
            if unsafe_word && !core.is_empty() { word.replace(core, &kind(core)) } else { word.to_owned() }
        })
        .collect();
    words.join(" ")
}

fn replace_ignoring_case(text: &str, what: &str, with: &str) -> String {
    let (lower, what) = (text.to_ascii_lowercase(), what.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = lower.get(from..).and_then(|rest| rest.find(&what)) {
        let start = from.saturating_add(found);
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(with);
        from = start.saturating_add(what.len());
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_shape_stays_and_the_rest_goes() {
        let seen = json!({
            "challengeTimeoutDateTime": "2026-09-02T08:15:00Z",
            "publicKey": {
                "challenge": "ZXlKaGJHY2lPaUpTVTBFdFQwRkZVQzB5TlRZ",
                "timeout": 0,
                "rp": {"id": "login.microsoft.com", "name": "Microsoft"},
                "user": {"id": "T0Y6Ehqp2EfQP0iExdt54DFw", "name": "kim@contoso.com", "displayName": "Kim Lee"},
                "excludeCredentials": [{"id": "AAAABBBBCCCCDDDD1", "type": "public-key", "transports": ["usb"]}]
            }
        });
        let blank = blanked(&seen, &[]);
        assert_eq!(blank["publicKey"]["rp"]["id"], "login.microsoft.com");
        assert_eq!(blank["publicKey"]["user"]["name"], "<name@domain>");
        assert_eq!(blank["publicKey"]["user"]["displayName"], "<text:7>");
        assert_eq!(blank["publicKey"]["challenge"], "<base64url:36>");
        assert_eq!(blank["publicKey"]["excludeCredentials"][0]["type"], "public-key");
        assert_eq!(blank["challengeTimeoutDateTime"], "<time>");
    }

    #[test]
    fn a_message_keeps_its_words_and_loses_names() {
        let seen = json!({"error": {"code": "badRequest", "message": "User Kim@Contoso.com (5d1c1d42-8ccf-4d3a-9b0f-2b9f6e3c9a10) of contoso already has key AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJKKKK."}});
        let text = blanked(&seen, &["contoso".to_owned()])["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(text.starts_with("User ") && text.contains("already has key"), "{text}");
        for gone in ["Kim@", "5d1c1d42", "AAAABBBB"] {
            assert!(!text.contains(gone), "{text}");
        }
        assert!(!text.to_lowercase().contains("contoso"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_of_a_persons_gets_through(text in "[a-zA-Z0-9@._-]{8,60}") {
            let blank = blanked(&json!({"user": {"displayName": text, "id": text}, "id": text}), &[]).to_string();
            prop_assert!(!blank.contains(&text));
        }
    }
}
