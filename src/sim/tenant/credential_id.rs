//! The ways the service writes a credential id.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::spec::IdEncoding;

/// .NET's `HttpServerUtility.UrlTokenEncode`: base64url, and a digit that counts the padding taken off.
/// Every `fido2AuthenticationMethod.id` seen in public has this form.
pub(super) fn url_token(bytes: &[u8]) -> String {
    let padding = (3 - bytes.len() % 3) % 3;
    format!("{}{padding}", URL_SAFE_NO_PAD.encode(bytes))
}

/// An id as `excludeCredentials` holds it.
pub(super) fn exclude_id(bytes: &[u8], encoding: IdEncoding) -> String {
    match encoding {
        IdEncoding::Std => STANDARD.encode(bytes),
        IdEncoding::Suffix => url_token(bytes),
        IdEncoding::Plain => URL_SAFE_NO_PAD.encode(bytes),
    }
}

/// Reads base64url, or standard base64, with or without padding; nothing else, and no stray bits at the end.
pub(super) fn read_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if text.len() - body.len() > 2 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(body.replace('+', "-").replace('/', "_")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_seen_in_public() {
        let bytes = [0xfb, 0x6f, 0xc6, 0x45, 0x48, 0x36, 0xf8, 0x76, 0x33, 0xeb, 0xfd, 0x58, 0x1b, 0x86, 0x11, 0x01];
        assert_eq!(url_token(&bytes), "-2_GRUg2-HYz6_1YG4YRAQ2");
        assert_eq!(exclude_id(&bytes, IdEncoding::Std), "+2/GRUg2+HYz6/1YG4YRAQ==");
        assert_eq!(exclude_id(&bytes, IdEncoding::Plain), "-2_GRUg2-HYz6_1YG4YRAQ");
        assert_eq!(url_token(&[0; 32]).chars().last(), Some('1'));
        assert_eq!(url_token(&[0; 48]).chars().last(), Some('0'));
    }

    #[test]
    fn both_alphabets_are_read_and_rubbish_is_not() {
        assert_eq!(read_base64("-_8="), Some(vec![0xfb, 0xff]));
        assert_eq!(read_base64("+/8"), Some(vec![0xfb, 0xff]));
        assert_eq!(read_base64("+/8==="), None);
        assert_eq!(read_base64("-_9"), None, "stray bits");
        assert_eq!(read_base64("a b"), None);
    }
}
