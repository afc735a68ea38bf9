//! How Graph writes credential ids, and which method is which credential.
//!
//! A method's id is the credential id in base64url without padding, followed by one digit: the number of `=` that were left
//! out (.NET's `HttpServerUtility.UrlTokenEncode`). Every real sample seen since 2020 has this form; the beta reference
//! documents it; the v1.0 reference says plain base64url, and 2024's beta gave standard base64. All are read.
//! Never for `challenge` or `user.id`, where a final digit is data.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::model::{CredentialId, MethodId};

/// Accepts and never needs padding; refuses stray bits, which tell the two forms apart.
const STRICT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, STRICT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, STRICT);

/// The method id Graph gives a credential.
pub fn method_id(credential: &CredentialId) -> MethodId {
    let left_out = (3 - credential.as_bytes().len() % 3) % 3;
    MethodId::new(format!("{}{left_out}", credential.to_base64url()))
}

/// The credentials a text may stand for: none if it is no credential id, two where both readings are possible.
/// The likelier comes first.
pub fn readings(text: &str) -> Vec<CredentialId> {
    let text = text.trim();
    let found =
        |bytes: Result<Vec<u8>, base64::DecodeError>| bytes.ok().filter(|b| !b.is_empty()).map(CredentialId::new);
    if text.contains(['+', '/', '=']) {
        return found(STANDARD.decode(text)).or_else(|| found(URL_SAFE.decode(text))).into_iter().collect();
    }
    let with_digit = text.char_indices().next_back().and_then(|(at, digit)| {
        let body = text.get(..at)?;
        let left_out = digit.to_digit(10)?;
        // The digit must agree with the length it pads to.
        let fits = (body.len() + left_out as usize).is_multiple_of(4) && left_out <= 2;
        fits.then(|| found(URL_SAFE.decode(body))).flatten()
    });
    let plain = found(URL_SAFE.decode(text));
    with_digit.into_iter().chain(plain).collect()
}

/// Whether the method Graph calls `method` is this credential.
pub fn is_method_of(method: &MethodId, credential: &CredentialId) -> bool {
    *method == method_id(credential) || readings(method.as_str()).contains(credential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }
    #[derive(serde::Deserialize)]
    struct Vector {
        encoded: String,
        hex: String,
        form: String,
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn published_ids_are_read() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../fixtures/graph/credential-id-encodings.json")).expect("vectors");
        assert!(vectors.vectors.len() >= 12);
        for Vector { encoded, hex, form } in vectors.vectors {
            let credential = CredentialId::new(unhex(&hex));
            assert_eq!(readings(&encoded).first(), Some(&credential), "{encoded}");
            assert!(is_method_of(&MethodId::new(encoded.clone()), &credential), "{encoded}");
            if form.contains("digit") {
                assert_eq!(method_id(&credential).as_str(), encoded);
            }
        }
    }

    #[test]
    fn what_is_no_id_has_no_reading() {
        for bad in ["", "0", "!", "abc de", "ä1"] {
            assert_eq!(readings(bad), [], "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_form_of_every_credential_is_recognised(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
            use base64::engine::general_purpose::STANDARD as PADDED;
            let credential = CredentialId::new(bytes.clone());
            for form in [method_id(&credential).as_str().to_owned(), credential.to_base64url(), PADDED.encode(&bytes)] {
                prop_assert!(is_method_of(&MethodId::new(form.clone()), &credential), "{}", form);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = readings(&text);
        }
    }
}
