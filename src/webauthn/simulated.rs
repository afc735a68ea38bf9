//! Simulated keys give themselves away: their attestation certificates are signed by the simulator's own root, whose public
//! key stands here. A bench whose tenant is real must not register one, whatever the metadata says.

use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

use super::attestation::KeyAnswer;
use super::statement::Statement;

/// The simulator's root: its SubjectPublicKeyInfo in PEM.
const ROOT_KEY: &str = include_str!("roots/simulator-root.pub.pem");

/// Whether a key's answer is attested by the simulator.
pub fn is_simulated(answer: &KeyAnswer<'_>) -> bool {
    let Ok(statement) = Statement::parse(answer.fmt, answer.att_stmt) else { return false };
    statement.x5c().iter().any(|der| is_signed_by_the_simulator(der))
}

fn is_signed_by_the_simulator(der: &[u8]) -> bool {
    let Ok(root) = pem::parse(ROOT_KEY) else { return false };
    let (Ok((_, key)), Ok((_, certificate))) =
        (SubjectPublicKeyInfo::from_der(root.contents()), X509Certificate::from_der(der))
    else {
        return false;
    };
    certificate.verify_signature(Some(&key)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_key_can_be_read() {
        let root = pem::parse(ROOT_KEY).expect("PEM");
        assert!(SubjectPublicKeyInfo::from_der(root.contents()).is_ok());
        assert!(!is_signed_by_the_simulator(b"no certificate"));
    }
}
