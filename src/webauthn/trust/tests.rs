//! The built-in roots, and chains that hold and break.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::webauthn::attestation::samples;
use crate::webauthn::statement::Statement;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("a time")
}

#[test]
fn the_built_in_roots_are_the_genuine_ones() {
    let hex = |der: &[u8]| Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let anchors = Anchors::fido();
    let prints: Vec<String> = anchors.iter().map(hex).collect();
    assert_eq!(
        prints,
        [
            "4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9",
            "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b",
        ]
    );
    for root in anchors.iter() {
        // Each is a readable, valid authority that signed itself.
        let root = read(root).expect("a certificate");
        assert!(matches!(link(&root, &root), Link::Holds));
        assert!(may_issue(&root, 0, true).is_ok());
        assert_eq!(check_dates(&root, 1, now()), Ok(()));
    }
}

#[test]
fn a_real_attestation_certificate_is_its_own_anchor_when_listed() {
    let statement = Statement::parse("packed", &samples::accepted().att_stmt).expect("a statement");
    let x5c = statement.x5c();
    assert_eq!(validate(x5c, &Anchors::of(x5c.to_vec()), now()), Ok(()));
    let error = validate(x5c, &Anchors::fido(), now()).expect_err("not under these roots");
    assert!(matches!(&error, ChainError::NoAnchor { issuer } if issuer.contains("Identiv FIDO Intermediate CA")));
    let later = "2051-01-01T00:00:00Z".parse().expect("a time");
    assert!(matches!(validate(x5c, &Anchors::of(x5c.to_vec()), later), Err(ChainError::Dates { at: 1, .. })));
}

#[test]
fn chains_of_no_length_or_of_rubbish_are_refused() {
    assert_eq!(validate(&[], &Anchors::fido(), now()), Err(ChainError::Length(0)));
    assert_eq!(validate(&vec![vec![0x30]; 9], &Anchors::fido(), now()), Err(ChainError::Length(9)));
    assert_eq!(validate(&[vec![0x30, 0x03, 1]], &Anchors::fido(), now()), Err(ChainError::Unreadable { at: 1 }));
    let with_tail = [samples::accepted_bytes(), vec![0]].concat();
    assert_eq!(validate(&[with_tail], &Anchors::fido(), now()), Err(ChainError::Unreadable { at: 1 }));
}

#[cfg(feature = "sim")]
mod made {
    use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyUsagePurpose, date_time_ymd};

    use super::*;
    use crate::webauthn::testing::GOOD;
    use crate::webauthn::testing::pki::{Authority, attestation};

    fn under(authority: &Authority) -> Vec<u8> {
        authority.leaf(&attestation(GOOD)).0
    }

    fn anchored(root: &Authority) -> Anchors {
        Anchors::none().and(root.der.clone())
    }

    #[test]
    fn a_chain_of_three_holds_and_no_certificate_may_be_left_out() {
        let root = Authority::root("Root");
        let middle = root.below("Middle", |_| ());
        let lower = middle.below("Lower", |_| ());
        let leaf = under(&lower);
        let chain = [leaf.clone(), lower.der.clone(), middle.der.clone()];
        assert_eq!(validate(&chain, &anchored(&root), now()), Ok(()));
        // With the root sent along, or with something after the anchor.
        let longer = [&chain[..], std::slice::from_ref(&root.der), &[vec![0]]].concat();
        assert_eq!(validate(&longer, &anchored(&root), now()), Ok(()));
        // An authority in the middle may be the anchor.
        assert_eq!(validate(&chain[..1], &anchored(&lower), now()), Ok(()));
        assert!(matches!(validate(&chain[..2], &anchored(&root), now()), Err(ChainError::NoAnchor { .. })));
        let gap = [leaf, middle.der.clone()];
        assert_eq!(validate(&gap, &anchored(&root), now()), Err(ChainError::NotIssued { at: 1 }));
    }

    #[test]
    fn a_root_of_the_same_name_is_another_root() {
        let leaf = under(&Authority::root("Root"));
        let other = Authority::root("Root");
        assert!(matches!(validate(&[leaf], &anchored(&other), now()), Err(ChainError::NoAnchor { .. })));
    }

    #[test]
    fn only_authorities_issue() {
        let root = Authority::root("Root");
        let no_ca = root.below("Middle", |params| params.is_ca = IsCa::ExplicitNoCa);
        let chain = [under(&no_ca), no_ca.der.clone()];
        assert_eq!(validate(&chain, &anchored(&root), now()), Err(ChainError::NotAnAuthority { at: 2 }));
        // Not even a trusted certificate, if it says itself that it is none.
        assert!(matches!(validate(&chain[..1], &anchored(&no_ca), now()), Err(ChainError::NoAnchor { .. })));

        let no_sign = root.below("Middle", |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
        let chain = [under(&no_sign), no_sign.der.clone()];
        assert_eq!(validate(&chain, &anchored(&root), now()), Err(ChainError::NotAnAuthority { at: 2 }));
    }

    #[test]
    fn a_signature_that_can_t_be_verified_is_not_called_a_forgery() {
        let root = Authority::root("Root");
        let other = Authority::root("Other");
        // ecdsa-with-SHA256 becomes ecdsa-with-SHA512, which is not supported.
        let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let mut leaf = under(&root);
        let places: Vec<usize> = (0..leaf.len() - 8).filter(|at| leaf[*at..*at + 8] == oid).collect();
        assert_eq!(places.len(), 2);
        places.iter().for_each(|at| leaf[at + 7] = 0x04);
        let algorithm = "1.2.840.10045.4.3.4".to_owned();
        let unsupported = Err(ChainError::Unsupported { at: 1, algorithm });
        assert_eq!(validate(std::slice::from_ref(&leaf), &anchored(&root), now()), unsupported);
        assert_eq!(validate(&[leaf.clone(), root.der.clone()], &anchored(&other), now()), unsupported);
        assert!(matches!(validate(&[leaf], &anchored(&other), now()), Err(ChainError::NoAnchor { .. })));
    }

    #[test]
    fn a_path_length_is_obeyed() {
        let root = Authority::root("Root");
        let middle = root.below("Middle", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let direct = [under(&middle), middle.der.clone()];
        assert_eq!(validate(&direct, &anchored(&root), now()), Ok(()));
        let lower = middle.below("Lower", |_| ());
        let deep = [under(&lower), lower.der.clone(), middle.der.clone()];
        assert_eq!(validate(&deep, &anchored(&root), now()), Err(ChainError::NotAnAuthority { at: 3 }));
    }

    #[test]
    fn dates_and_unknown_critical_extensions_break_a_chain() {
        let root = Authority::root("Root");
        let old = root.below("Middle", |params| params.not_after = date_time_ymd(2026, 11, 24));
        let chain = [under(&old), old.der.clone()];
        assert!(matches!(validate(&chain, &anchored(&root), now()), Err(ChainError::Dates { at: 2, .. })));

        let mut params = attestation(GOOD);
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
        let leaf = root.leaf(&params).0;
        assert_eq!(
            validate(&[leaf], &anchored(&root), now()),
            Err(ChainError::CriticalExtension { at: 1, oid: "1.2.3.4".into() })
        );
    }
}
