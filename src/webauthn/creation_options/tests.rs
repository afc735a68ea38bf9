//! Against the answers in `fixtures/webauthn/creation-options.json`, and against broken ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn example(name: &str) -> Value {
    let file: Value =
        serde_json::from_str(include_str!("../../../fixtures/webauthn/creation-options.json")).expect("JSON");
    file[name]["body"].clone()
}

fn live() -> Value {
    example("beta_live_capture_2024_06")
}

fn parse(body: &Value) -> Result<CreationOptions, OptionsError> {
    CreationOptions::parse(body.to_string().as_bytes())
}

/// The live answer, changed at one place inside `publicKey`.
fn changed(pointer: &str, value: Value) -> Result<CreationOptions, OptionsError> {
    let mut body = live();
    *body.pointer_mut(&format!("/publicKey{pointer}")).expect("a member") = value;
    parse(&body)
}

#[test]
fn the_live_answer_is_read_whole() {
    let options = parse(&live()).expect("options");
    assert_eq!(options.expires.to_string(), "2024-06-13T11:26:35Z");
    assert_eq!(options.challenge.len(), 5198);
    assert_eq!(options.timeout, Some(Duration::from_secs(60)));
    assert_eq!(options.rp, RelyingParty { id: "login.microsoft.com".into(), name: "Microsoft".into() });
    assert_eq!(options.user.id.len(), 51);
    assert!(options.user.id.starts_with(b"OF:"));
    assert_eq!(options.user.name, "john@contoso.com");
    assert_eq!(options.algorithms, [-7, -257]);
    assert_eq!(options.exclude.len(), 4);
    assert!(options.exclude.iter().all(|one| one.readings.len() == 1));
    assert_eq!(options.exclude[2].transports, ["usb", "nfc"]);
    assert_eq!(options.exclude[2].readings[0].as_bytes().len(), 16);
    assert_eq!(options.exclude_list().count(), 4);
    assert_eq!(options.attestation.as_deref(), Some("direct"));
    assert!(options.selection.require_resident_key);
    assert_eq!(
        options.extensions,
        Extensions { hmac_create_secret: true, cred_protect: Some(CredProtect::Optional), enforce_cred_protect: true }
    );
}

#[test]
fn the_challenge_goes_back_as_it_came() {
    let body = live();
    let sent = body["publicKey"]["challenge"].as_str().expect("text");
    assert_eq!(sent.len(), 6931);
    let client_data = parse(&body).expect("options").client_data();
    let json: Value = serde_json::from_slice(client_data.json()).expect("JSON");
    assert_eq!(json["challenge"], sent);
    assert_eq!(json["origin"], "https://login.microsoft.com");
}

#[test]
fn the_examples_in_the_documentation_are_read() {
    let mut beta = example("beta_docs_example_2024");
    // Its challenge is cut off with dots.
    assert_eq!(parse(&beta), Err(OptionsError::NotBase64("challenge")));
    beta["publicKey"]["challenge"] = json!("QTU1MzNDNzAtNkM3Ni00NTRDLUJDQ0YtRTREMDZCNTBFRTRE");
    let options = parse(&beta).expect("options");
    assert_eq!(options.timeout, None, "0 is no opinion");
    assert_eq!(parse(&json!({ "@odata.type": "#x", "value": beta })).expect("options"), options);

    let v1 = parse(&example("v1_docs_example_2026")).expect("options");
    assert_eq!(v1.rp.id, "login.microsoftonline.com");
    assert_eq!(v1.algorithms, [-7]);
    assert_eq!(v1.extensions, Extensions::default());
    assert_eq!(v1.user.id, b"david@contoso.com");
}

#[test]
fn a_user_id_or_challenge_that_ends_in_a_digit_is_left_whole() {
    // 68 and 20 characters that end in 1: the digit rule of credential ids would cut them.
    let id = "T0Y6mho3vwFprE6aslBq9b2Qjz7Ixbn0PntEPkHirHimyfAtmz4xoilu6sNoiPFkmvw1";
    assert_eq!(changed("/user/id", json!(id)).expect("options").user.id.len(), 51);
    let challenge = format!("{}1", "A".repeat(27));
    let options = changed("/challenge", json!(challenge)).expect("options");
    assert_eq!(options.challenge.len(), 21);
    let json: Value = serde_json::from_slice(options.client_data().json()).expect("JSON");
    assert_eq!(json["challenge"], challenge);
}

#[test]
fn nulls_and_noise_are_tolerated() {
    assert_eq!(changed("/excludeCredentials", json!(null)).expect("options").exclude, []);
    assert_eq!(changed("/extensions", json!(null)).expect("options").extensions, Extensions::default());
    let noisy = json!({ "@odata.type": "#x", "hmacCreateSecret": "yes", "somethingNew": [1] });
    assert!(!changed("/extensions", noisy).expect("options").extensions.hmac_create_secret);
    let params = json!([{ "type": "public-key", "alg": -8 }, { "@odata.type": "#x", "type": "public-key", "alg": -7 }]);
    assert_eq!(changed("/pubKeyCredParams", params).expect("options").algorithms, [-8, -7]);
}

#[test]
fn what_is_wrong_is_named() {
    use OptionsError::*;
    let cases: [(&str, Value, OptionsError); 13] = [
        ("/challenge", json!(null), Missing("challenge")),
        ("/challenge", json!("not base64"), NotBase64("challenge")),
        ("/challenge", json!("AAAA"), ShortChallenge(3)),
        ("/rp/id", json!("https://login.microsoft.com"), RpId("https://login.microsoft.com".into())),
        ("/rp/id", json!("Login.microsoft.com"), RpId("Login.microsoft.com".into())),
        ("/rp/id", json!("127.0.0.1"), RpId("127.0.0.1".into())),
        ("/rp/id", json!(""), RpId(String::new())),
        ("/user/id", json!(""), UserIdLength(0)),
        ("/user/id", json!("A".repeat(88)), UserIdLength(66)),
        ("/user", json!(null), Missing("user")),
        ("/pubKeyCredParams", json!([{ "type": "public-key", "alg": -8 }]), Algorithms(vec![-8])),
        ("/excludeCredentials/1/id", json!("!"), Excluded(NotAnId("!".into()))),
        ("/extensions/credentialProtectionPolicy", json!("never"), CredProtect("never".into())),
    ];
    for (pointer, value, error) in cases {
        assert_eq!(changed(pointer, value), Err(error), "{pointer}");
    }
    let mut body = live();
    body.as_object_mut().expect("an object").shift_remove("challengeTimeoutDateTime");
    assert_eq!(parse(&body), Err(Missing("challengeTimeoutDateTime")));
    assert_eq!(parse(&json!({})), Err(Missing("publicKey")));
    assert!(matches!(CreationOptions::parse(b"<html>Sign in</html>"), Err(Json(_))));
    let whole = live().to_string();
    assert!(matches!(CreationOptions::parse(&whole.as_bytes()[..4000]), Err(Json(_))));
    assert_eq!(CreationOptions::parse(&vec![b' '; MAX_BYTES + 1]), Err(TooLong(MAX_BYTES + 1)));
}

#[test]
fn debug_shows_nobody_s_name() {
    let shown = format!("{:?}", parse(&live()).expect("options"));
    assert!(!shown.contains("john") && !shown.contains("John"));
}

#[test]
fn the_time_left_ends_at_zero() {
    let options = parse(&live()).expect("options");
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    assert_eq!(options.time_left(at("2024-06-13T11:25:05Z")), Some(Duration::from_secs(90)));
    assert_eq!(options.time_left(at("2024-06-13T11:26:35Z")), None);
    assert_eq!(options.time_left(at("2025-01-01T00:00:00Z")), None);
}

#[test]
fn names_are_cut_between_characters() {
    assert_eq!(truncate_for_key("Kim User"), "Kim User");
    let exact = "a".repeat(64);
    assert_eq!(truncate_for_key(&exact), exact);
    assert_eq!(truncate_for_key(&"a".repeat(65)), exact);
    // 63 letters and one of two bytes.
    assert_eq!(truncate_for_key(&format!("{}é", "a".repeat(63))), "a".repeat(63));
    // The letter goes with its accent.
    assert_eq!(truncate_for_key(&format!("{}e\u{301}", "a".repeat(63))), "a".repeat(63));
    // A family of three goes as one.
    let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
    assert_eq!(truncate_for_key(&format!("{}{family}", "a".repeat(54))), "a".repeat(54));
    // Nothing but accents still is a name.
    assert_eq!(truncate_for_key(&"\u{301}".repeat(40)).len(), 64);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = CreationOptions::parse(&bytes);
    }

    #[test]
    fn any_change_to_a_real_answer_is_read_or_refused(at in 0usize..9000, value: u8) {
        let mut bytes = live().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = CreationOptions::parse(&bytes);
    }

    #[test]
    fn a_cut_name_is_a_short_beginning(name in "\\PC{0,100}") {
        let cut = truncate_for_key(&name);
        prop_assert!(cut.len() <= MAX_NAME_BYTES && name.starts_with(cut));
        prop_assert!(!cut.is_empty() || name.is_empty());
    }
}
