//! Creation options and registration: what is accepted, and each thing that is not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{DnType, IsCa};
use serde_json::{Value, json};

use super::super::spec::{Code, IdEncoding, KeyRestrictions, ProfileSpec, Refusal, RestrictionKind, TenantSpec};
use super::token_maker::{Maker, Root, aaguid_extension};
use super::{Caller, KIM, Reply, send, spec};

pub(super) fn path(user: &str) -> String {
    format!("/v1.0/users/{}/authentication/fido2Methods", user.replace('\'', "%27").replace('@', "%40"))
}

pub(super) fn options(caller: &Caller, user: &str) -> Value {
    let reply = caller.get(&format!("{}/creationOptions", path(user)));
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn register(caller: &Caller, user: &str, maker: &Maker) -> Reply {
    caller.post(&path(user), &maker.answer(&options(caller, user)))
}

/// Registers with something wrong, and expects to be refused for it.
pub(super) fn refused(spec: TenantSpec, says: &str, spoil: impl FnOnce(&mut Maker)) {
    let caller = Caller::app(spec);
    let mut maker = Maker::new(7);
    spoil(&mut maker);
    let reply = register(&caller, KIM, &maker);
    assert_eq!(reply.status, 400, "{says}: {}", reply.text);
    assert!(reply.text.contains(says), "{says}: {}", reply.text);
    let state = caller.tenant.state();
    assert_eq!(state["rejected"][0]["upn"], KIM);
    assert!(state["rejected"][0]["why"].as_str().is_some_and(|why| why.contains(says)));
    assert_eq!(state["people"][0]["methods"], json!([]));
}

#[test]
fn creation_options_look_like_the_real_ones() {
    let caller = Caller::app(spec());
    let options = options(&caller, KIM);
    let key = &options["publicKey"];
    assert_eq!(key["challenge"].as_str().expect("a text").len(), 6_931);
    assert_eq!(key["rp"]["id"], "login.microsoft.com");
    assert_eq!(key["user"]["name"], KIM);
    let handle = URL_SAFE_NO_PAD.decode(key["user"]["id"].as_str().expect("a text")).expect("base64url");
    assert_eq!((handle.len(), &handle[..3]), (51, b"OF:".as_slice()));
    assert_eq!(
        key["pubKeyCredParams"],
        json!([{ "type": "public-key", "alg": -7 }, { "type": "public-key", "alg": -257 }])
    );
    let expires: jiff::Timestamp =
        options["challengeTimeoutDateTime"].as_str().expect("a text").parse().expect("a time");
    let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((295..=300).contains(&left), "{left}");
}

#[test]
fn excluded_ids_are_written_each_way() {
    for (encoding, last) in [(IdEncoding::Suffix, '1'), (IdEncoding::Std, '='), (IdEncoding::Plain, '\0')] {
        let mut spec = spec();
        spec.quirks.id_encoding = encoding;
        let caller = Caller::app(spec);
        let options = options(&caller, "chief@contoso.example");
        let excluded = options["publicKey"]["excludeCredentials"].as_array().expect("a list");
        assert_eq!(excluded.len(), 2);
        let id = excluded[1]["id"].as_str().expect("a text");
        match last {
            '\0' => assert_eq!(id.len(), 43),
            last => assert_eq!((id.len(), id.chars().last()), (44, Some(last))),
        }
    }
}

#[test]
fn only_beta_takes_a_lifetime() {
    let caller = Caller::app(spec());
    let id = caller.id_of("lee@contoso.example");
    let ask = |version: &str, tail: &str| {
        caller.get(&format!("/{version}/users/{id}/authentication/fido2Methods/creationOptions{tail}"))
    };
    assert_eq!(ask("v1.0", "(challengeTimeoutInMinutes=60)").status, 400);
    assert_eq!(ask("beta", "(challengeTimeoutInMinutes=60)").status, 200);
    assert_eq!(ask("beta", "?challengeTimeoutInMinutes=60").status, 200);
    assert_eq!(ask("beta", "(challengeTimeoutInMinutes=4)").status, 400);
    assert_eq!(ask("beta", "(challengeTimeoutInMinutes=43201)").status, 400);
}

#[test]
fn wrapper_and_noise_can_be_had() {
    let mut spec = spec();
    spec.quirks.value_wrapper = true;
    spec.quirks.odata_noise = true;
    let options = options(&Caller::app(spec), KIM);
    assert!(options.get("publicKey").is_none());
    let key = &options["value"]["publicKey"];
    assert_eq!(key["rp"]["@odata.type"], "#microsoft.graph.webauthnPublicKeyCredentialRpEntity");
    assert_eq!(key["pubKeyCredParams"][1]["@odata.type"], "#microsoft.graph.webauthnPublicKeyCredentialParameters");
}

#[test]
fn a_passkey_is_registered_listed_read_and_deleted() {
    let caller = Caller::app(spec());
    let maker = Maker::new(9);
    let made = register(&caller, KIM, &maker);
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(id, format!("{}1", URL_SAFE_NO_PAD.encode([9; 32])));
    assert_eq!(made.json()["aaGuid"], "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
    assert_eq!(made.json()["attestationLevel"], "notAttested");
    assert_eq!(made.json()["passkeyType"], "deviceBound");
    let state = caller.tenant.state();
    let kept = &state["people"][0]["methods"][0];
    assert_eq!(kept["public_key"], URL_SAFE_NO_PAD.encode(maker.cose()));
    assert_eq!(kept["credential_id"], URL_SAFE_NO_PAD.encode([9; 32]));
    assert_eq!(kept["display_name"], "Test key");

    assert_eq!(caller.get(&path(KIM)).json()["value"][0]["id"], id);
    let one = format!("{}/{id}", path(KIM));
    assert_eq!(caller.get(&one).status, 200);
    let delete = || send(caller.request(reqwest::Method::DELETE, &one));
    assert_eq!(delete().status, 204);
    assert_eq!(delete().status, 404);
    assert_eq!(caller.get(&one).status, 404);
    assert_eq!(caller.get(&path(KIM)).json()["value"], json!([]));
}

#[test]
fn standard_base64_is_taken_for_the_two_long_members() {
    let caller = Caller::app(spec());
    let mut body = Maker::new(9).answer(&options(&caller, KIM));
    for name in ["clientDataJSON", "attestationObject"] {
        let member = &mut body["publicKeyCredential"]["response"][name];
        let bytes = URL_SAFE_NO_PAD.decode(member.as_str().expect("a text")).expect("base64url");
        *member = STANDARD.encode(bytes).into();
    }
    assert_eq!(caller.post(&path(KIM), &body).status, 201);
}

#[test]
fn the_body_is_a_closed_schema() {
    let caller = Caller::app(spec());
    let good = Maker::new(9).answer(&options(&caller, KIM));
    let with = |pointer: &str, name: &str, value: Value| {
        let mut body = good.clone();
        body.pointer_mut(pointer).expect("a place")[name] = value;
        let reply = caller.post(&path(KIM), &body);
        assert_eq!((reply.status, reply.code().as_str()), (400, "badRequest"), "{name}: {}", reply.text);
        assert_eq!(reply.json()["error"]["innerError"]["message"], reply.json()["error"]["message"]);
    };
    with("", "model", "x".into());
    with("/publicKeyCredential", "type", "public-key".into());
    with("/publicKeyCredential", "rawId", "AA".into());
    with("/publicKeyCredential/response", "transports", json!(["usb"]));
    with("", "displayName", "x".repeat(31).into());
    with("", "displayName", 7.into());
    with("", "@odata.type", "#microsoft.graph.other".into());
    with("/publicKeyCredential", "id", "a+b=".into());
    with("/publicKeyCredential/response", "attestationObject", "!".into());
    let quoted = caller.post(&path(KIM), &good.to_string().into());
    assert!(quoted.text.contains("The request is missing a fido2AuthenticationMethod entity"));
    let wrong_type = send(caller.request(reqwest::Method::POST, &path(KIM)).body(good.to_string()));
    assert_eq!(wrong_type.status, 400);
    assert_eq!(caller.post(&path(KIM), &good).status, 201, "and the good one is still good");
}

#[test]
fn wrong_client_data_is_refused() {
    refused(spec(), "type", |maker| maker.kind = "webauthn.get");
    refused(spec(), "origin", |maker| maker.origin = "https://login.microsoftonline.com".into());
}

#[test]
fn wrong_authenticator_data_is_refused() {
    refused(spec(), "rpIdHash", |maker| maker.rp_id = "example.com".into());
    refused(spec(), "not present", |maker| maker.flags = 0x44);
    refused(spec(), "not verified", |maker| maker.flags = 0x41);
    refused(spec(), "no attested credential data", |maker| maker.flags = 0x05);
    refused(spec(), "backed up", |maker| maker.flags = 0x55);
    refused(spec(), "bytes follow", |maker| maker.trailing = vec![0xa0]);
    refused(spec(), "not well-formed", |maker| {
        maker.flags = 0xc5;
        maker.trailing = vec![0xa1];
    });
    refused(spec(), "not offered", |maker| maker.cose_alg = -8);
    refused(spec(), "16 to 1023", |maker| maker.credential_id = vec![1; 15]);
    refused(spec(), "not the credential id", |maker| maker.returned_id = Some(vec![8; 32]));
    refused(spec(), "Synced", |maker| maker.flags = 0x4d);
}

#[test]
fn wrong_attestation_is_refused() {
    refused(spec(), "does not verify", |maker| maker.spoil_signature = true);
    refused(spec(), "not supported", |maker| maker.format = "fido-u2f");
    let mut strict = spec();
    strict.quirks.self_attestation = false;
    refused(strict, "Self-attestation", |_| {});
    let mut strict = spec();
    strict.quirks.none_attestation = false;
    refused(strict, "'none'", |maker| maker.format = "none");
    let root = Root::new("Root");
    refused(spec(), "does not verify", |maker| {
        maker.attest(&root, |_| {});
        maker.signer = maker.key.clone();
    });
    refused(spec(), "AAGUID differs", |maker| {
        maker.attest(&root, |leaf| leaf.custom_extensions = vec![aaguid_extension([1; 16])]);
    });
    refused(spec(), "unit", |maker| {
        maker.attest(&root, |leaf| leaf.distinguished_name.push(DnType::OrganizationalUnitName, "Other"));
    });
    refused(spec(), "certificate authority", |maker| {
        maker.attest(&root, |leaf| leaf.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    });
    refused(spec(), "can't be read", |maker| maker.certificates = Some(vec![vec![1, 2, 3]]));
    refused(spec(), "x5c is empty", |maker| maker.certificates = Some(Vec::new()));
}

#[test]
fn non_canonical_cbor_is_refused() {
    let caller = Caller::app(spec());
    let mut body = Maker::new(9).answer(&options(&caller, KIM));
    let member = &mut body["publicKeyCredential"]["response"]["attestationObject"];
    let mut bytes = URL_SAFE_NO_PAD.decode(member.as_str().expect("a text")).expect("base64url");
    // The map's head, three members, in the two-byte form.
    bytes.splice(0..1, [0xb8, 0x03]);
    *member = URL_SAFE_NO_PAD.encode(bytes).into();
    let reply = caller.post(&path(KIM), &body);
    assert!(reply.status == 400 && reply.text.contains("not canonical"), "{}", reply.text);
}

fn enforced(roots: &[&Root]) -> TenantSpec {
    let mut spec = spec();
    spec.policy.profiles = vec![ProfileSpec { attestation_enforced: true, ..ProfileSpec::default() }];
    spec.policy.attestation_roots = roots.iter().map(|root| root.pem.clone()).collect();
    spec
}

#[test]
fn enforced_attestation_needs_a_chain_to_a_trusted_root() {
    let (root, other) = (Root::new("Root"), Root::new("Root"));
    let caller = Caller::app(enforced(&[&root]));
    let mut maker = Maker::new(9);
    maker.attest(&root, |_| {});
    let reply = register(&caller, KIM, &maker);
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.json()["attestationLevel"], "attested");
    assert_eq!(reply.json()["attestationCertificates"][0].as_str().map(str::len), Some(40));

    refused(enforced(&[&root]), "no certificates", |_| {});
    refused(enforced(&[&root]), "no trusted root", |maker| maker.attest(&other, |_| {}));
    refused(enforced(&[&root]), "not valid now", |maker| {
        maker.attest(&root, |leaf| leaf.not_after = rcgen::date_time_ymd(2001, 1, 1));
    });
}

#[test]
fn models_can_be_restricted() {
    let limited = |kind, aaguid: &str| {
        let list = KeyRestrictions { enforced: true, kind, aaguids: vec![aaguid.to_owned()] };
        let mut spec = spec();
        spec.policy.profiles = vec![ProfileSpec { key_restrictions: list, ..ProfileSpec::default() }];
        spec
    };
    let ours = "5A5A5A5A-5a5a-5a5a-5a5a-5a5a5a5a5a5a";
    let zero = "00000000-0000-0000-0000-000000000000";
    refused(limited(RestrictionKind::Allow, zero), "is not allowed", |_| {});
    refused(limited(RestrictionKind::Block, ours), "is not allowed", |_| {});
    assert_eq!(register(&Caller::app(limited(RestrictionKind::Allow, ours)), KIM, &Maker::new(1)).status, 201);
    assert_eq!(register(&Caller::app(limited(RestrictionKind::Block, zero)), KIM, &Maker::new(1)).status, 201);
}

#[test]
fn one_profile_that_accepts_is_enough() {
    let mut spec = enforced(&[]);
    spec.policy.profiles.push(ProfileSpec { name: "Second".into(), ..ProfileSpec::default() });
    assert_eq!(register(&Caller::app(spec), KIM, &Maker::new(1)).status, 201);
}

#[test]
fn challenges_are_one_persons_one_use_and_five_minutes() {
    let caller = Caller::app(spec());
    let kims = options(&caller, KIM);
    let lee = path("lee@contoso.example");
    let reply = caller.post(&lee, &Maker::new(1).answer(&kims));
    assert!(reply.status == 400 && reply.text.contains("another user"), "{}", reply.text);
    let made_up = caller.post(&lee, &Maker::new(1).answer_challenge("AAAA"));
    assert!(made_up.text.contains("not issued"), "{}", made_up.text);
    assert_eq!(caller.post(&path(KIM), &Maker::new(1).answer(&kims)).status, 201);
    let again = caller.post(&path(KIM), &Maker::new(2).answer(&kims));
    assert!(again.status == 400 && again.text.contains("has been used"), "{}", again.text);
    let late = options(&caller, KIM);
    caller.tenant.advance(302);
    let reply = caller.post(&path(KIM), &Maker::new(3).answer(&late));
    // The token is still good for an hour; only the challenge is not.
    assert!(reply.status == 400 && reply.text.contains("expired"), "{}", reply.text);
}

#[test]
fn the_same_credential_twice_is_a_conflict_with_a_code_of_ones_choice() {
    let mut spec = spec();
    spec.codes.insert(Refusal::Duplicate, Code { status: 409, code: "conflict".into() });
    let caller = Caller::app(spec);
    let body = Maker::new(1).answer(&options(&caller, KIM));
    assert_eq!(caller.post(&path(KIM), &body).status, 201);
    let again = caller.post(&path(KIM), &body);
    assert_eq!((again.status, again.code().as_str()), (409, "conflict"));
}

#[test]
fn not_everybody_can_have_a_passkey() {
    let caller = Caller::app(spec());
    let ask = |user: &str| caller.get(&format!("{}/creationOptions", path(user)));
    assert_eq!(ask("guest@contoso.example").status, 403);
    assert_eq!(ask("leaver@contoso.example").status, 400);
    assert_eq!(ask("nobody@contoso.example").status, 404);
    for change in [json!({ "self_service": false }), json!({ "enabled": false, "self_service": true })] {
        caller.sim("policy", change);
        assert_eq!((ask(KIM).status, ask(KIM).code().as_str()), (403, "accessDenied"));
    }
    caller.sim("policy", json!({ "enabled": true, "exclude_groups": ["Key holders"] }));
    assert_eq!(ask(KIM).status, 403);
    caller.sim("policy", json!({ "exclude_groups": [] }));
    assert_eq!(ask(KIM).status, 200);
}

#[test]
fn there_is_a_most() {
    let mut spec = spec();
    spec.quirks.max_passkeys = 1;
    let caller = Caller::app(spec);
    let (one, two) = (options(&caller, KIM), options(&caller, KIM));
    assert_eq!(caller.post(&path(KIM), &Maker::new(1).answer(&one)).status, 201);
    let reply = caller.post(&path(KIM), &Maker::new(2).answer(&two));
    assert!(reply.status == 400 && reply.text.contains("maximum"), "{}", reply.text);
}

#[test]
fn a_new_passkey_can_be_late_in_lists() {
    let mut spec = spec();
    spec.quirks.list_lag_reads = 2;
    let caller = Caller::app(spec);
    assert_eq!(register(&caller, KIM, &Maker::new(1)).status, 201);
    let shown = || caller.get(&path(KIM)).json()["value"].as_array().map(Vec::len);
    assert_eq!([shown(), shown(), shown()], [Some(0), Some(0), Some(1)]);
    caller.sim("fault", json!({ "then": "lag", "list_lag_ms": 60_000, "list_lag_reads": 0, "times": 1 }));
    assert_eq!(register(&caller, KIM, &Maker::new(2)).status, 201);
    assert_eq!(shown(), Some(1));
    caller.tenant.advance(61);
    assert_eq!(shown(), Some(2));
}

#[test]
fn roles_and_permissions_are_enforced() {
    let caller = Caller::person(spec());
    let ask = |version: &str, user: &str| {
        caller.get(&format!("/{version}/users/{user}/authentication/fido2Methods/creationOptions"))
    };
    assert_eq!(ask("v1.0", "lee@contoso.example").status, 200);
    let chief = ask("v1.0", "chief@contoso.example");
    assert_eq!((chief.status, chief.code().as_str()), (403, "accessDenied"), "an Authentication Administrator may not");
    let own = ask("beta", "bench.admin@contoso.example");
    assert_eq!((own.status, own.code().as_str()), (405, "methodNotAllowed"));

    let mut reader = spec();
    reader.sign_in.roles = vec!["Global Reader".into()];
    let caller = Caller::person(reader);
    assert_eq!(caller.get(&path("lee@contoso.example")).status, 200);
    assert_eq!(caller.get(&format!("{}/creationOptions", path("lee@contoso.example"))).status, 403);

    let mut weak = spec();
    weak.app.permissions = vec!["UserAuthMethod-Passkey.Read.All".into()];
    let caller = Caller::app(weak);
    assert_eq!(caller.get(&path(KIM)).status, 200);
    assert_eq!(caller.get(&format!("{}/creationOptions", path(KIM))).status, 403);
    assert_eq!(Caller::app(spec()).get(&format!("{}/creationOptions", path("chief@contoso.example"))).status, 200);
}

#[test]
fn a_recorded_attestation_of_a_real_key_is_read() {
    let text = include_str!("../../../../fixtures/sim/tenant/accepted-attestation.json");
    let sample: Value = serde_json::from_str(text).expect("JSON");
    let bytes =
        URL_SAFE_NO_PAD.decode(sample["attestationObject_b64url"].as_str().expect("a text")).expect("base64url");
    // The client data is not recorded, so everything but the signature must hold.
    let error = super::super::attestation::read(&bytes, &[0; 32]).expect_err("another client data hash");
    assert_eq!(error, "Attestation: the signature does not verify.");
}
