//! Bytes to text: UTF-8 with or without a byte order mark, UTF-16 in either order. Anything else is refused rather than
//! guessed: a name that was read in the wrong encoding goes onto a key and into a letter.

/// The most bytes a roster may have: some hundred thousand people.
pub const LARGEST: usize = 32 * 1024 * 1024;

/// Why the bytes are not a roster's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// Larger than [`LARGEST`].
    #[error("the file has more than {LARGEST} bytes: no roster is that large")]
    TooLarge,
    /// It begins like a spreadsheet's own format.
    #[error("this is a spreadsheet, not CSV: save it as \"CSV UTF-8\"")]
    Spreadsheet,
    /// Neither UTF-8 nor UTF-16.
    #[error("this is neither UTF-8 nor UTF-16 text: save the file as \"CSV UTF-8\"")]
    Encoding {
        /// The first line that can't be read, from 1.
        line: u32,
    },
}

/// Reads the text, without its byte order mark.
///
/// # Errors
/// [`NotText`].
pub fn decode(bytes: &[u8]) -> Result<String, NotText> {
    if bytes.len() > LARGEST {
        return Err(NotText::TooLarge);
    }
    // ZIP (xlsx, ods) and the compound file of xls.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(NotText::Spreadsheet);
    }
    let utf16 = match bytes {
        [0xFF, 0xFE, rest @ ..] => Some((encoding_rs::UTF_16LE, rest)),
        [0xFE, 0xFF, rest @ ..] => Some((encoding_rs::UTF_16BE, rest)),
        // Without a mark: a header's first letter is ASCII, so one byte of the first pair is zero.
        [first, 0, ..] if *first != 0 => Some((encoding_rs::UTF_16LE, bytes)),
        [0, second, ..] if *second != 0 => Some((encoding_rs::UTF_16BE, bytes)),
        _ => None,
    };
    if let Some((encoding, rest)) = utf16 {
        return match encoding.decode_without_bom_handling_and_without_replacement(rest) {
            Some(text) if rest.len() % 2 == 0 => Ok(text.into_owned()),
            _ => Err(NotText::Encoding { line: line_of_bad_utf16(encoding, rest) }),
        };
    }
    let rest = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    std::str::from_utf8(rest).map(str::to_owned).map_err(|error| {
        let before = rest.get(..error.valid_up_to()).unwrap_or_default();
        NotText::Encoding { line: lines(before.iter().filter(|byte| **byte == b'\n').count()) }
    })
}

fn line_of_bad_utf16(encoding: &'static encoding_rs::Encoding, bytes: &[u8]) -> u32 {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let before = text.split('\u{FFFD}').next().unwrap_or_default();
    lines(before.matches('\n').count())
}

fn lines(line_feeds: usize) -> u32 {
    u32::try_from(line_feeds.saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        let units = mark.encode_utf16().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn the_usual_encodings_give_the_same_text() {
        let text = "upn;name\r\nzoë@contoso.com;Zoë 😀\r\n";
        let mut with_mark = vec![0xEF, 0xBB, 0xBF];
        with_mark.extend_from_slice(text.as_bytes());
        for bytes in [
            text.as_bytes().to_vec(),
            with_mark,
            utf16(text, false, true),
            utf16(text, true, true),
            utf16(text, false, false),
            utf16(text, true, false),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_not_text_is_named() {
        // "Zoë" in Windows-1252, on the second line.
        assert_eq!(decode(b"upn,name\nzoe@contoso.com,Zo\xEB\n"), Err(NotText::Encoding { line: 2 }));
        assert_eq!(decode(b"PK\x03\x04rest"), Err(NotText::Spreadsheet));
        assert_eq!(decode(&[0xFF, 0xFE, b'u', 0, b'p']), Err(NotText::Encoding { line: 1 }));
        // A surrogate on its own.
        assert!(matches!(
            decode(&[0xFF, 0xFE, b'u', 0, b'\n', 0, 0x00, 0xD8, b'x', 0]),
            Err(NotText::Encoding { line: 2 })
        ));
        assert_eq!(decode(b""), Ok(String::new()));
    }
}
