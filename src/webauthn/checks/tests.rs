//! Each check can pass, and each can fail by itself.

use proptest::prelude::*;

use super::*;
use crate::webauthn::assertion::{ExpectedFlags, verify_assertion};
use crate::webauthn::attestation::{AttestationObject, samples};
use crate::webauthn::client_data::ClientData;
use crate::webauthn::testing::{Answer, GOOD, HASH, P256, Parts, RP_ID, extensions, model};

const BLOB: &[u8] = include_bytes!("../../../fixtures/mds/test-blob.jwt");

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a time")
}

fn metadata() -> Metadata {
    let root = Anchors::none().and(&include_bytes!("../../../fixtures/mds/root-new.der")[..]);
    Metadata::open(BLOB, &root, now(), None).expect("metadata")
}

fn expected() -> Expected<'static> {
    Expected {
        rp_id: RP_ID,
        client_data_hash: &HASH,
        algorithms: &[-7, -257],
        aaguid: GOOD,
        excluded: &[],
        cred_protect: Some(CredProtect::Optional),
        hmac_secret: Wanted::Required,
    }
}

/// No metadata, no roots.
fn unknowing(roots: &Anchors) -> Trust<'_> {
    Trust { metadata: None, roots, enforced: false, now: now() }
}

fn check(answer: &Answer, expected: &Expected<'_>) -> Report {
    check_registration(&answer.get(), expected, &unknowing(&Anchors::none()))
}

fn by_itself(change: impl FnOnce(&mut Parts)) -> Answer {
    let key = P256::new();
    let mut parts = Parts::of(&key);
    change(&mut parts);
    Answer::by_itself(&key, &parts)
}

fn only_failure(report: &Report) -> (Check, CheckFailed) {
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(!report.is_good());
    (failures[0].0, failures[0].1.clone())
}

#[test]
fn a_self_attested_credential_passes_all_that_can_be_checked() {
    let report = check(&by_itself(|_| ()), &expected());
    assert!(report.is_good(), "{report:?}");
    assert_eq!(
        report.passed(),
        [
            "authenticator-data",
            "rp-id-hash",
            "flags",
            "aaguid",
            "credential-id",
            "algorithm",
            "cred-protect",
            "hmac-secret",
            "attestation-signature"
        ]
    );
    let not_made: Vec<_> = report.not_made().map(|(check, _)| check).collect();
    assert_eq!(not_made, [Check::AttestationCertificate, Check::AttestationChain, Check::MetadataStatus]);
    let facts = report.facts.expect("facts");
    assert_eq!(facts.attestation, Some(AttestationKind::SelfSigned));
    assert_eq!((facts.aaguid, facts.sign_count), (GOOD, 9));
    assert_eq!(facts.credential.as_bytes(), [0x1d; 48]);
}

#[test]
fn each_check_fails_by_itself() {
    let failing = |change: fn(&mut Parts)| only_failure(&check(&by_itself(change), &expected()));
    assert_eq!(
        failing(|parts| parts.rp_id = "login.example.com"),
        (Check::RpIdHash, CheckFailed::RpIdHash(RP_ID.into()))
    );
    assert_eq!(failing(|parts| parts.flags &= !1), (Check::Flags, CheckFailed::Flag("a touch (UP)")));
    assert_eq!(failing(|parts| parts.flags &= !4), (Check::Flags, CheckFailed::Flag("checking the PIN (UV)")));
    assert_eq!(failing(|parts| parts.flags |= 0x10), (Check::Flags, CheckFailed::BackupFlags));
    assert_eq!(
        failing(|parts| parts.aaguid = model(0x0b)),
        (Check::Aaguid, CheckFailed::Aaguid { said: GOOD, attested: model(0x0b) })
    );
    assert_eq!(failing(|parts| parts.id.truncate(15)), (Check::CredentialId, CheckFailed::CredentialIdLength(15)));
    assert_eq!(
        failing(|parts| parts.extensions = extensions(Some(3), Some(true))),
        (Check::CredProtect, CheckFailed::CredProtect { asked: 1, found: Some(3) })
    );
    for told in [None, Some(false)] {
        let answer = by_itself(|parts| parts.extensions = extensions(Some(1), told));
        assert_eq!(only_failure(&check(&answer, &expected())), (Check::HmacSecret, CheckFailed::HmacSecret));
        let wished = Expected { hmac_secret: Wanted::Wished, ..expected() };
        assert!(check(&answer, &wished).is_good());
    }
    assert_eq!(only_failure(&check(&by_itself(|parts| parts.flags = 0x85), &expected())).1, CheckFailed::NoCredential);
}

#[test]
fn what_was_asked_for_decides() {
    let answer = by_itself(|_| ());
    let with = |change: fn(&mut Expected<'static>)| {
        let mut expected = expected();
        change(&mut expected);
        check(&answer, &expected)
    };
    assert_eq!(
        only_failure(&with(|expected| expected.algorithms = &[-257])),
        (Check::Algorithm, CheckFailed::NotOffered { used: -7, offered: vec![-257] })
    );
    assert_eq!(
        only_failure(&with(|expected| expected.cred_protect = Some(CredProtect::Required))).1,
        CheckFailed::CredProtect { asked: 3, found: Some(1) }
    );
    assert_eq!(
        only_failure(&with(|expected| expected.client_data_hash = &[0; 32])),
        (Check::AttestationSignature, CheckFailed::Statement(StatementError::Signature))
    );
    let known = [CredentialId::new([0x1d; 48])];
    let again = Expected { excluded: &known, ..expected() };
    assert_eq!(only_failure(&check(&answer, &again)).1, CheckFailed::CredentialIdKnown);

    // A key without the credProtect extension has level 1: enough for 1, not for 2; it is never counted as checked.
    let silent = by_itself(|parts| parts.extensions = extensions(None, Some(true)));
    let report = check(&silent, &expected());
    assert!(report.is_good() && !report.passed().contains(&"cred-protect"));
    let higher = Expected { cred_protect: Some(CredProtect::OptionalWithList), ..expected() };
    assert_eq!(only_failure(&check(&silent, &higher)).1, CheckFailed::CredProtect { asked: 2, found: None });
    // A level nobody asked for.
    let unasked = Expected { cred_protect: None, ..expected() };
    let own = by_itself(|parts| parts.extensions = extensions(Some(2), Some(true)));
    assert_eq!(only_failure(&check(&own, &unasked)).0, Check::CredProtect);
}

#[test]
fn a_self_attestation_by_another_key_or_algorithm_fails() {
    let (key, other) = (P256::new(), P256::new());
    let parts = Parts::of(&key);
    let forged = Answer::by_itself(&other, &parts);
    assert_eq!(only_failure(&check(&forged, &expected())).1, CheckFailed::Statement(StatementError::Signature));
    let mut answer = Answer::by_itself(&key, &parts);
    answer.att_stmt[5] = 0x27; // alg -8
    assert_eq!(
        only_failure(&check(&answer, &expected())).1,
        CheckFailed::Statement(StatementError::OtherAlgorithm { statement: -8, credential: -7 })
    );
    answer.fmt = "tpm";
    assert_eq!(
        only_failure(&check(&answer, &expected())).1,
        CheckFailed::Statement(StatementError::Format("tpm".into()))
    );
}

#[test]
fn an_answer_that_can_t_be_read_fails_at_once() {
    let mut answer = by_itself(|_| ());
    answer.auth_data.truncate(100);
    let report = check(&answer, &expected());
    assert_eq!(only_failure(&report).0, Check::AuthenticatorData);
    assert_eq!((report.facts, report.outcomes.len()), (None, 1));

    let broken = by_itself(|parts| parts.cose[12] ^= 1);
    let failures: Vec<_> = check(&broken, &expected()).failures().map(|(check, _)| check).collect();
    assert_eq!(failures, [Check::Algorithm], "and the signature can't be checked");
}

#[test]
fn without_attestation_a_key_passes_only_where_none_is_enforced() {
    let key = P256::new();
    let answer = Answer::none(&Parts::of(&key));
    let report = check(&answer, &expected());
    assert!(report.is_good());
    assert!(!report.passed().contains(&"attestation-signature"));
    let roots = Anchors::none();
    let enforced = Trust { enforced: true, ..unknowing(&roots) };
    let report = check_registration(&answer.get(), &expected(), &enforced);
    assert_eq!(only_failure(&report), (Check::AttestationChain, CheckFailed::NoCertificate("not at all (`none`)")));
}

#[test]
fn metadata_names_and_judges_the_model() {
    let metadata = metadata();
    let roots = Anchors::none();
    let judged = |aaguid: Aaguid, enforced: bool| {
        let answer = by_itself(|parts| parts.aaguid = aaguid);
        let trust = Trust { metadata: Some(&metadata), enforced, ..unknowing(&roots) };
        check_registration(&answer.get(), &Expected { aaguid, ..expected() }, &trust)
    };
    // It promises certificates, so a self-attested one is a fake.
    let good = judged(GOOD, false);
    assert_eq!(only_failure(&good).0, Check::AttestationChain);
    assert!(good.passed().contains(&"metadata-status"));
    let facts = good.facts.expect("facts");
    assert_eq!(facts.model.as_deref(), Some("Good Key"));
    assert_eq!(facts.certified.as_deref(), Some("FIDO certified L2"));
    assert_eq!(good.remarks.len(), 1);

    let (at, failed) = only_failure(&judged(model(0x0b), false));
    assert_eq!(at, Check::MetadataStatus);
    assert_eq!(failed, CheckFailed::Defective { model: "Revoked Key".into(), defect: Defect::Revoked });
    assert_eq!(failed.to_string(), "The model Revoked Key has the status REVOKED in the FIDO metadata.");
    assert!(failed.cause().contains("revoked") && failed.next().contains("maker"));

    assert!(judged(model(0x77), false).is_good());
    let failures: Vec<_> = judged(model(0x77), true).failures().map(|(check, _)| check).collect();
    assert_eq!(failures, [Check::AttestationChain, Check::MetadataStatus]);
}

#[test]
fn a_real_key_s_answer_passes_but_for_what_the_sample_leaves_out() {
    // The client data is not in the public sample, so its signature can't verify; everything else must.
    let object: AttestationObject = samples::accepted();
    let expected = Expected {
        aaguid: Aaguid::parse("73402251-f2a8-4f03-873e-3cb6db604b03").expect("an AAGUID"),
        hmac_secret: Wanted::Wished,
        ..expected()
    };
    let x5c = Statement::parse("packed", &object.att_stmt).expect("a statement").x5c().to_vec();
    let roots = Anchors::of(x5c);
    let report = check_registration(&object.answer(), &expected, &unknowing(&roots));
    assert_eq!(only_failure(&report), (Check::AttestationSignature, CheckFailed::Statement(StatementError::Signature)));
    assert!(report.passed().contains(&"attestation-certificate"));
    assert!(!report.passed().contains(&"attestation-chain"), "a chain says nothing without its signature");
}

/// The standard's own examples: signatures, chain and assertions that somebody else made.
#[test]
fn the_standard_s_examples_pass() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../fixtures/webauthn/w3c-test-vectors.json")).expect("JSON");
    let bytes = |value: &serde_json::Value| -> Vec<u8> {
        let hex = value.as_str().expect("text");
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
    };
    let roots = Anchors::none().and(bytes(&file["attestationCaCert"]));
    let cases = [
        ("packed-self.ES256", AttestationKind::SelfSigned, false),
        ("packed.ES256", AttestationKind::Certificate, true),
    ];
    for (name, kind, chained) in cases {
        let vector = &file[name];
        let object = AttestationObject::take_apart(&bytes(&vector["attestationObject"])).expect("an object");
        assert_eq!(object.to_bytes(), bytes(&vector["attestationObject"]));
        let client_data = ClientData::kept(bytes(&vector["clientDataJSON"]));
        // Ours is the same up to the member that the example adds.
        let ours = ClientData::create(&bytes(&vector["challenge"]), "example.org");
        let common = ours.json().len() - 1;
        assert_eq!(ours.json()[..common], client_data.json()[..common]);

        let data = AuthenticatorData::parse(&object.auth_data).expect("authenticator data");
        let aaguid = data.credential.expect("a credential").aaguid;
        let wanted = Expected {
            rp_id: "example.org",
            client_data_hash: client_data.hash(),
            aaguid,
            hmac_secret: Wanted::No,
            ..expected()
        };
        let report = check_registration(&object.answer(), &wanted, &unknowing(&roots));
        assert!(report.is_good(), "{name}: {report:?}");
        assert!(report.passed().contains(&"attestation-signature"));
        assert_eq!(report.passed().contains(&"attestation-chain"), chained);
        assert_eq!(report.remarks.len(), 1, "these can be copied");
        let facts = report.facts.expect("facts");
        assert_eq!(facts.attestation, Some(kind));

        let assertion = &vector["assertion"];
        let verified = verify_assertion(
            &facts.public_key_cose,
            "example.org",
            ClientData::kept(bytes(&assertion["clientDataJSON"])).hash(),
            &bytes(&assertion["authenticatorData"]),
            &bytes(&assertion["signature"]),
            ExpectedFlags::default(),
        );
        assert_eq!(verified, Ok(0), "{name}");
    }
}

#[cfg(feature = "sim")]
mod made {
    use super::*;
    use crate::webauthn::testing::pki::{Authority, attested};

    #[test]
    fn a_certificate_under_a_known_root_passes_everything() {
        let root = Authority::root("Root");
        let answer = attested(&Parts::of(&P256::new()), &root);
        let roots = Anchors::none().and(root.der.clone());
        let trust = Trust { enforced: true, ..unknowing(&roots) };
        let report = check_registration(&answer.get(), &expected(), &trust);
        assert!(report.is_good(), "{report:?}");
        assert!(report.passed().contains(&"attestation-chain"));
        assert_eq!(report.facts.expect("facts").attestation, Some(AttestationKind::Certificate));
    }

    #[test]
    fn a_certificate_under_another_root_is_a_fake() {
        let answer = attested(&Parts::of(&P256::new()), &Authority::root("Root"));
        let (metadata, none) = (metadata(), Anchors::none());
        // The metadata knows this model's root, and it is another one.
        let trust = Trust { metadata: Some(&metadata), ..unknowing(&none) };
        let report = check_registration(&answer.get(), &expected(), &trust);
        assert!(matches!(only_failure(&report), (Check::AttestationChain, CheckFailed::Chain(_))));
        // Nobody knows it, and nobody minds.
        let simulated = Anchors::none().and(Authority::root("Other").der);
        let report = check_registration(&answer.get(), &expected(), &unknowing(&simulated));
        assert!(report.is_good() && !report.passed().contains(&"attestation-chain"));
        // Nobody knows it, and the tenant minds.
        let trust = Trust { enforced: true, ..unknowing(&simulated) };
        let report = check_registration(&answer.get(), &expected(), &trust);
        assert_eq!(only_failure(&report).0, Check::AttestationChain);
    }

    #[test]
    fn an_attestation_in_an_unknown_algorithm_proves_nothing_either_way() {
        let root = Authority::root("Root");
        let mut answer = attested(&Parts::of(&P256::new()), &root);
        assert_eq!(answer.att_stmt[5], 0x26);
        answer.att_stmt[5] = 0x28; // alg -9
        let roots = Anchors::none().and(root.der.clone());
        let report = check_registration(&answer.get(), &expected(), &unknowing(&roots));
        assert!(report.is_good());
        let not_made: Vec<_> = report.not_made().map(|(check, _)| check).collect();
        assert_eq!(not_made, [Check::AttestationSignature, Check::AttestationChain, Check::MetadataStatus]);
    }

    #[test]
    fn every_changed_bit_of_the_signed_data_is_noticed() {
        let answer = attested(&Parts::of(&P256::new()), &Authority::root("Root"));
        for at in 0..answer.auth_data.len() {
            let mut changed =
                Answer { auth_data: answer.auth_data.clone(), att_stmt: answer.att_stmt.clone(), ..answer };
            changed.auth_data[at] ^= 0x02;
            assert!(!check(&changed, &expected()).is_good(), "byte {at}");
        }
    }
}

#[test]
fn every_failure_says_what_why_and_what_next() {
    let all = [
        CheckFailed::NoCredential,
        CheckFailed::RpIdHash(RP_ID.into()),
        CheckFailed::Flag("a touch (UP)"),
        CheckFailed::HmacSecret,
        CheckFailed::NotListed(GOOD),
        CheckFailed::Chain(ChainError::Length(0)),
        CheckFailed::Defective { model: "x".into(), defect: Defect::UserKeyRemoteCompromise },
    ];
    for failed in all {
        for text in [failed.to_string(), failed.cause(), failed.next().to_owned()] {
            assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
        }
        assert!(failed.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
}

proptest! {
    #[test]
    fn any_answer_gets_a_report(
        fmt in prop_oneof![Just("packed"), Just("none")],
        att_stmt in proptest::collection::vec(any::<u8>(), 0..200),
        auth_data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let answer = KeyAnswer { fmt, att_stmt: &att_stmt, auth_data: &auth_data };
        let _ = check_registration(&answer, &expected(), &unknowing(&Anchors::none()));
    }
}
