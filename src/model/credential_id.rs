//! How a credential id looks in Graph, and back.
//!
//! Graph writes the same id in three ways: standard base64 (until late 2024), base64url without padding (as documented for
//! v1.0), and base64url without padding plus one digit that counts the `=` left out (.NET's `UrlTokenEncode`; method ids in every
//! sample seen, `excludeCredentials` on beta). Some texts can be read in two ways; then both readings are kept, because an
//! id that no key knows does no harm in an `excludeList`.
//!
//! Exception: this is for ids of credentials and methods only. A challenge or `user.id` is plain base64url, and one in 64 of
//! those ends in a digit that would be cut off here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

use super::base64url;
use super::{CredentialId, MethodId};

/// A text that is no base64 in any of the forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a credential id in any encoding that Graph is known to use")]
pub struct NotAnId(pub String);

/// The id under which Graph lists this credential: base64url and the digit.
pub fn method_id_of(credential: &CredentialId) -> MethodId {
    MethodId::new(with_digit(credential))
}

/// Whether Graph's method is this credential's, whichever way the method id is written.
pub fn matches(method: &MethodId, credential: &CredentialId) -> bool {
    let text = method.as_str();
    let bytes = credential.as_bytes();
    text == with_digit(credential)
        || text == credential.to_base64url()
        || text == STANDARD.encode(bytes)
        || text == STANDARD_NO_PAD.encode(bytes)
        || text == URL_SAFE.encode(bytes)
}

/// The readings of one id by itself, the likelier first: one, or two where it can't be told.
///
/// # Errors
/// [`NotAnId`] when the text has no reading.
pub fn read(text: &str) -> Result<Vec<CredentialId>, NotAnId> {
    Ok(classify(text)?.readings(None))
}

/// The readings of all ids of one answer. An answer is written in one way throughout, so an id whose way is plain to see
/// settles those that could be either.
///
/// # Errors
/// [`NotAnId`] for the first text without a reading.
pub fn read_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Vec<CredentialId>>, NotAnId> {
    let read: Vec<Reading> = texts.into_iter().map(classify).collect::<Result<_, _>>()?;
    let with_digit = read.iter().any(|id| matches!(id, Reading::WithDigit(_)));
    let without = read.iter().any(|id| matches!(id, Reading::Plain(_)));
    let digit = match (with_digit, without) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    Ok(read.into_iter().map(|id| id.readings(digit)).collect())
}

fn with_digit(credential: &CredentialId) -> String {
    let padding = (3 - credential.as_bytes().len() % 3) % 3;
    format!("{}{padding}", credential.to_base64url())
}

enum Reading {
    Plain(CredentialId),
    WithDigit(CredentialId),
    Either { with_digit: CredentialId, plain: CredentialId },
}

impl Reading {
    fn readings(self, digit: Option<bool>) -> Vec<CredentialId> {
        match (self, digit) {
            (Self::Plain(id) | Self::WithDigit(id), _) => vec![id],
            (Self::Either { with_digit, .. }, Some(true)) => vec![with_digit],
            (Self::Either { plain, .. }, Some(false)) => vec![plain],
            (Self::Either { with_digit, plain }, None) => vec![with_digit, plain],
        }
    }
}

fn classify(text: &str) -> Result<Reading, NotAnId> {
    let id = |text: &str| base64url::decode(text).filter(|bytes| !bytes.is_empty()).map(CredentialId::new);
    let canonical = |text: &str| CredentialId::from_base64url(text).filter(|id| !id.as_bytes().is_empty());
    let plain = || id(text).map(Reading::Plain);
    let reading = if text.contains(['+', '/', '=']) {
        plain()
    } else {
        match (text.len() % 4, text.strip_suffix(['0', '1', '2']), text.as_bytes().last()) {
            // No base64 has this length: there is a digit, and it says that nothing was left out.
            (1, Some(rest), Some(b'0')) => canonical(rest).map(Reading::WithDigit),
            (1, ..) => None,
            // As plain base64 this would have bits left over, which no encoder writes.
            (3, Some(rest), Some(b'2')) => canonical(rest).map(Reading::WithDigit).or_else(plain),
            (0, Some(rest), Some(b'1')) => match (canonical(rest), canonical(text)) {
                (Some(with_digit), Some(plain)) => Some(Reading::Either { with_digit, plain }),
                _ => plain(),
            },
            _ => plain(),
        }
    };
    reading.ok_or_else(|| NotAnId(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> Vec<(String, CredentialId, bool)> {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/webauthn/credential-id-encodings.json")).expect("JSON");
        file["vectors"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|vector| {
                let hex = vector["hex"].as_str().expect("hex");
                let bytes: Vec<u8> = (0..hex.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
                    .collect();
                let digit = vector["form"].as_str().expect("form").contains("digit");
                (vector["encoded"].as_str().expect("text").to_owned(), CredentialId::new(bytes), digit)
            })
            .collect()
    }

    #[test]
    fn every_id_seen_in_the_wild_is_read() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 12);
        for (text, id, _) in &vectors {
            assert!(read(text).expect("an id").contains(id), "{text}");
        }
    }

    #[test]
    fn one_answer_settles_its_doubtful_ids() {
        let with_digit: Vec<_> = vectors().into_iter().filter(|(.., digit)| *digit).collect();
        // On its own the third one can be read in two ways.
        let doubtful = &with_digit[1];
        assert_eq!(read(&doubtful.0).expect("an id").len(), 2);
        let all = read_all(with_digit.iter().map(|(text, ..)| text.as_str())).expect("ids");
        let want: Vec<_> = with_digit.iter().map(|(_, id, _)| vec![id.clone()]).collect();
        assert_eq!(all, want);
        // Beside plain ids the digit is part of the id.
        let plain = read_all([doubtful.0.as_str(), "GshyINLMaOOwqt1LNUi0gQ"]).expect("ids");
        assert_eq!(plain[0], [CredentialId::from_base64url(&doubtful.0).expect("base64url")]);
        // Beside contradicting ones both readings stay.
        let both = read_all([doubtful.0.as_str(), "GshyINLMaOOwqt1LNUi0gQ", &with_digit[0].0]).expect("ids");
        assert_eq!(both[0].len(), 2);
    }

    #[test]
    fn method_ids_are_written_as_graph_writes_them() {
        for (text, id, digit) in vectors() {
            if digit {
                assert_eq!(method_id_of(&id).as_str(), text);
            }
            assert!(matches(&MethodId::new(&*text), &id), "{text}");
            let mut other = id.as_bytes().to_vec();
            other[0] ^= 1;
            assert!(!matches(&MethodId::new(text), &CredentialId::new(other)));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "AAAA5", "not an id", "AA*A", "AAAA=AAA"] {
            assert_eq!(read(text), Err(NotAnId(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn every_form_of_every_id_is_read_and_matched(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
            let id = CredentialId::new(bytes);
            let forms = [
                method_id_of(&id).as_str().to_owned(),
                id.to_base64url(),
                STANDARD.encode(id.as_bytes()),
                STANDARD_NO_PAD.encode(id.as_bytes()),
            ];
            for form in forms {
                prop_assert!(read(&form).expect("an id").contains(&id), "{form}");
                prop_assert!(matches(&MethodId::new(form), &id));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = read(&text);
        }
    }
}
