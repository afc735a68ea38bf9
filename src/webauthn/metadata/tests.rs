//! With the BLOB in `fixtures/mds`, and, where certificates of another kind are needed, with BLOBs made on the spot.

use proptest::prelude::*;

use super::*;
use crate::webauthn::testing::{GOOD, model};

const BLOB: &[u8] = include_bytes!("../../../fixtures/mds/test-blob.jwt");
const NEW_ROOT: &[u8] = include_bytes!("../../../fixtures/mds/root-new.der");
const OLD_ROOT: &[u8] = include_bytes!("../../../fixtures/mds/root-old.der");

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a time")
}

fn roots() -> Anchors {
    Anchors::none().and(NEW_ROOT)
}

fn open() -> Metadata {
    Metadata::open(BLOB, &roots(), now(), None).expect("metadata")
}

/// The BLOB with another text in one of its parts.
fn changed(part: usize, change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let text = std::str::from_utf8(BLOB).expect("ASCII").trim();
    let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    let json = String::from_utf8(base64url::decode(&parts[part]).expect("base64url")).expect("UTF-8");
    parts[part] = base64url::encode(change(&json).as_bytes());
    parts.join(".").into_bytes()
}

#[test]
fn a_blob_is_read_and_names_its_models() {
    let metadata = open();
    assert_eq!(metadata.number(), 42);
    assert_eq!(metadata.len(), 4, "neither the U2F key nor the broken entry");
    assert!(!metadata.is_empty());
    let good = metadata.model(GOOD).expect("listed");
    assert_eq!(good.description.as_deref(), Some("Good Key"));
    assert_eq!(good.roots, roots());
    assert!(!good.may_self_attest);
    assert!(metadata.model(model(0x0b)).expect("listed").may_self_attest);
    assert_eq!(metadata.model(model(0x0e)), None);
    assert_eq!(metadata.model(Aaguid::ZERO), None);
}

#[test]
fn the_chain_leads_to_either_root_and_to_no_other() {
    for root in [NEW_ROOT, OLD_ROOT] {
        assert!(Metadata::open(BLOB, &Anchors::none().and(root), now(), None).is_ok());
    }
    for anchors in [Anchors::fido(), Anchors::none()] {
        let error = Metadata::open(BLOB, &anchors, now(), None).expect_err("not trusted");
        assert!(matches!(&error, MetadataError::Chain(ChainError::NoAnchor { .. })), "{error}");
        assert!(error.next().contains("mds3.fidoalliance.org"));
    }
    // A simulator's root beside the real ones.
    assert!(Metadata::open(BLOB, &Anchors::fido().and(NEW_ROOT), now(), None).is_ok());
}

#[test]
fn an_older_blob_is_refused_and_a_late_one_warned_of() {
    assert!(Metadata::open(BLOB, &roots(), now(), Some(42)).is_ok());
    assert_eq!(
        Metadata::open(BLOB, &roots(), now(), Some(43)).map(|metadata| metadata.number()),
        Err(MetadataError::Older { found: 42, seen: 43 })
    );
    let warnings = |time: &str| open().warnings(time.parse().expect("a time"));
    assert_eq!(warnings("2026-12-01T23:00:00Z").len(), 1, "the unreadable entry");
    let late = warnings("2026-12-02T00:00:00Z");
    assert_eq!(late.len(), 2);
    assert!(late[0].contains("2026-12-01") && late[0].contains("--mds"), "{}", late[0]);
}

#[test]
fn a_signature_covers_every_bit() {
    let refused = |blob: &[u8]| Metadata::open(blob, &roots(), now(), None).map(|_| ()).expect_err("refused");
    let unrevoked = changed(1, |json| json.replace("REVOKED", "RETIRED"));
    assert_eq!(refused(&unrevoked), MetadataError::Signature);
    let typed = changed(0, |json| json.replace("JWT", "jwt"));
    assert_eq!(refused(&typed), MetadataError::Signature);
    assert_eq!(refused(&changed(0, |json| json.replace("RS256", "ES256"))), MetadataError::Signature);
    assert_eq!(refused(&changed(0, |json| json.replace("RS256", "none"))), MetadataError::Algorithm("none".into()));
    let mut flipped = BLOB.to_vec();
    let at = flipped.len() - 100;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(refused(&flipped), MetadataError::Signature);
    let early = "2020-01-01T00:00:00Z".parse().expect("a time");
    assert!(matches!(
        Metadata::open(BLOB, &roots(), early, None).map(|_| ()),
        Err(MetadataError::Chain(ChainError::Dates { at: 1, .. }))
    ));
}

#[test]
fn what_is_no_blob_is_named() {
    let refused = |blob: &[u8]| Metadata::open(blob, &roots(), now(), None).map(|_| ()).expect_err("refused");
    assert!(matches!(refused(b""), MetadataError::Malformed(_)));
    assert!(matches!(refused(b"<html>"), MetadataError::Malformed(_)));
    assert!(matches!(refused(b"a.b.c.d"), MetadataError::Malformed(_)));
    assert!(matches!(refused(&BLOB[..BLOB.len() / 2]), MetadataError::Malformed(_)));
    assert!(matches!(
        refused(&changed(0, |_| r#"{"alg":"RS256"}"#.into())),
        MetadataError::Chain(ChainError::Length(0))
    ));
}

#[test]
fn reports_count_from_their_day_on() {
    let metadata = open();
    let of = |number| metadata.model(model(number)).expect("listed");
    let day = |text: &str| text.parse::<Date>().expect("a day");
    let today = day("2026-11-25");

    assert_eq!(of(0x0a).defect(&[], today), None);
    assert_eq!(of(0x0a).certified(today).as_deref(), Some("FIDO certified L2"), "the last by date, not by place");
    assert_eq!(of(0x0a).certified(day("2022-01-01")).as_deref(), Some("FIDO certified L1"));
    assert_eq!(of(0x0a).remarks(today), ["the vendor has published newer firmware for this model"]);

    assert_eq!(of(0x0b).defect(&[], today), Some(Defect::Revoked));
    assert_eq!(of(0x0b).defect(&[], day("2026-11-23")), None);

    assert_eq!(of(0x0d).defect(&[], today), Some(Defect::UserVerificationBypass), "certified later, still refused");
    assert_eq!(of(0x0d).certified(today).as_deref(), Some("FIDO certified L1plus"));
}

#[test]
fn a_stolen_certificate_condemns_only_keys_that_show_it() {
    let metadata = open();
    let batch = metadata.model(model(0x0c)).expect("listed");
    let today = day(now());
    let stolen = batch.reports[0].certificate.clone().expect("a certificate");
    assert_eq!(batch.defect(&[stolen], today), Some(Defect::AttestationKeyCompromise));
    assert_eq!(batch.defect(&[NEW_ROOT.to_vec()], today), None);
    // A key that shows none can't be told from a copy.
    assert_eq!(batch.defect(&[], today), Some(Defect::AttestationKeyCompromise));
    assert_eq!(batch.certified(today), None, "taken back on the same day");
    assert_eq!(batch.remarks(today).len(), 1);
}

#[cfg(feature = "sim")]
mod made {
    use rcgen::{CertificateParams, DnType, SigningKey as _, date_time_ymd};
    use serde_json::json;

    use super::*;
    use crate::webauthn::testing::pki::Authority;

    /// A BLOB signed with ES256 under `root`.
    fn blob(root: &Authority, signer: &CertificateParams, payload: &serde_json::Value) -> Vec<u8> {
        let (leaf, key) = root.leaf(signer);
        let x5c = [base64::engine::general_purpose::STANDARD.encode(leaf)];
        let header = json!({ "alg": "ES256", "typ": "JWT", "x5c": x5c }).to_string();
        let signed =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload.to_string().as_bytes()));
        let der = key.sign(signed.as_bytes()).expect("a signature");
        let pair = p256::ecdsa::Signature::from_der(&der).expect("a signature").to_bytes();
        format!("{signed}.{}", base64url::encode(&pair)).into_bytes()
    }

    fn signer(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    #[test]
    fn es256_is_verified() {
        let root = Authority::root("Root");
        let payload = json!({ "no": 7, "nextUpdate": "2030-01-01", "entries": [] });
        let blob = blob(&root, &signer(SIGNER), &payload);
        let anchors = Anchors::none().and(root.der.clone());
        assert_eq!(Metadata::open(&blob, &anchors, now(), None).expect("metadata").number(), 7);
        let other = Anchors::none().and(Authority::root("Root").der);
        assert!(matches!(
            Metadata::open(&blob, &other, now(), None).map(|_| ()),
            Err(MetadataError::Chain(ChainError::NoAnchor { .. }))
        ));
    }

    #[test]
    fn another_signer_under_the_same_root_is_refused() {
        let root = Authority::root("Root");
        let payload = json!({ "no": 7, "nextUpdate": "2030-01-01", "entries": [] });
        let blob = blob(&root, &signer("www.example.com"), &payload);
        let error = Metadata::open(&blob, &Anchors::none().and(root.der.clone()), now(), None).map(|_| ());
        assert!(matches!(error, Err(MetadataError::Signer(name)) if name.contains("www.example.com")));
    }

    #[test]
    fn an_expired_signer_is_refused() {
        let root = Authority::root("Root");
        let mut signer = signer(SIGNER);
        signer.not_after = date_time_ymd(2026, 11, 24);
        let payload = json!({ "no": 7, "nextUpdate": "2030-01-01", "entries": [] });
        let blob = blob(&root, &signer, &payload);
        let error = Metadata::open(&blob, &Anchors::none().and(root.der.clone()), now(), None).map(|_| ());
        assert!(matches!(error, Err(MetadataError::Chain(ChainError::Dates { at: 1, .. }))));
    }

    #[test]
    fn a_blob_of_real_size_is_read() {
        let root = Authority::root("Root");
        let icon = "A".repeat(12_000);
        let entries: Vec<_> = (0..300u32)
            .map(|number| {
                json!({
                    "aaguid": format!("00000000-0000-0000-0000-{number:012x}"),
                    "metadataStatement": { "description": format!("Model {number}"), "icon": icon },
                    "statusReports": [{ "status": "FIDO_CERTIFIED_L1", "effectiveDate": "2020-01-01" }],
                })
            })
            .collect();
        let blob = blob(&root, &signer(SIGNER), &json!({ "no": 1, "nextUpdate": "2030-01-01", "entries": entries }));
        assert!(blob.len() > 4_000_000);
        let metadata = Metadata::open(&blob, &Anchors::none().and(root.der.clone()), now(), None).expect("metadata");
        assert_eq!(metadata.len(), 300);
        assert_eq!(metadata.model(model(7)).expect("listed").description.as_deref(), Some("Model 7"));
        assert_eq!(metadata.warnings(now()), Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Metadata::open(&bytes, &roots(), now(), None).is_err());
    }

    #[test]
    fn any_header_is_read_or_refused(header in ".*", payload in ".*") {
        let blob = format!("{}.{}.AAAA", base64url::encode(header.as_bytes()), base64url::encode(payload.as_bytes()));
        prop_assert!(Metadata::open(blob.as_bytes(), &roots(), now(), None).is_err());
    }
}
