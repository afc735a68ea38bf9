//! A real attestation certificate, and ones with one thing wrong.

use super::*;
use crate::webauthn::attestation::samples;
use crate::webauthn::statement::Statement;
use crate::webauthn::testing::GOOD;

#[test]
fn a_real_certificate_passes() {
    let statement = Statement::parse("packed", &samples::accepted().att_stmt).expect("a statement");
    let leaf = &statement.x5c()[0];
    // It names no model, so it serves any.
    assert_eq!(check_packed(leaf, GOOD), Ok(()));
    assert_eq!(check_packed(&leaf[..leaf.len() - 1], GOOD), Err(CertificateError::Unreadable));
    assert_eq!(check_packed(&[&leaf[..], &[0]].concat(), GOOD), Err(CertificateError::Unreadable));
    assert_eq!(check_packed(&[], GOOD), Err(CertificateError::Unreadable));
}

#[cfg(feature = "sim")]
mod made {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa};

    use super::*;
    use crate::webauthn::testing::model;
    use crate::webauthn::testing::pki::{Authority, aaguid_extension, attestation};

    fn with(change: impl FnOnce(&mut CertificateParams)) -> Result<(), CertificateError> {
        let mut params = attestation(GOOD);
        change(&mut params);
        check_packed(&Authority::root("Root").leaf(&params).0, GOOD)
    }

    #[test]
    fn each_demand_of_the_standard_can_fail() {
        assert_eq!(with(|_| ()), Ok(()));
        let without = |part: DnType| with(|params| assert!(params.distinguished_name.remove(part)));
        assert_eq!(without(DnType::CountryName), Err(CertificateError::Subject("country (C)")));
        assert_eq!(without(DnType::OrganizationName), Err(CertificateError::Subject("vendor (O)")));
        assert_eq!(
            without(DnType::OrganizationalUnitName),
            Err(CertificateError::Subject("`Authenticator Attestation` (OU)"))
        );
        assert_eq!(without(DnType::CommonName), Err(CertificateError::Subject("name (CN)")));
        assert_eq!(
            with(|params| params.distinguished_name.push(DnType::OrganizationalUnitName, "Keys")),
            Err(CertificateError::Subject("`Authenticator Attestation` (OU)"))
        );
        assert_eq!(
            with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Err(CertificateError::IsAuthority)
        );
    }

    #[test]
    fn the_aaguid_extension_must_be_this_model_s() {
        let extension = |content: Vec<u8>| with(|params| params.custom_extensions = vec![aaguid_extension(content)]);
        assert_eq!(with(|params| params.custom_extensions.clear()), Ok(()));
        assert_eq!(
            extension([&[0x04, 0x10], &model(0x0b).0[..]].concat()),
            Err(CertificateError::OtherModel { certificate: model(0x0b), key: GOOD })
        );
        // Not wrapped, and too long.
        assert_eq!(extension(GOOD.0.to_vec()), Err(CertificateError::AaguidExtension));
        assert_eq!(extension([&[0x04, 0x10], &GOOD.0[..], &[0]].concat()), Err(CertificateError::AaguidExtension));
        let mut critical = aaguid_extension([&[0x04, 0x10], &GOOD.0[..]].concat());
        critical.set_criticality(true);
        assert_eq!(with(|params| params.custom_extensions = vec![critical]), Err(CertificateError::AaguidExtension));
    }
}
