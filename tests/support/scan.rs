//! Looking for secrets in what a program left behind: in plain text, hexadecimal, UTF-16 and base64.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Every spelling under which a secret could hide.
pub fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| secret.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let mut all = vec![
        secret.as_bytes().to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
    ];
    // base64 at its three offsets: what stands before shifts the letters; the characters at the edges are left out.
    for offset in 0..3 {
        let shifted = [&b"\0\0"[..offset], secret.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(shifted);
        let inner = &text[offset.div_ceil(1).min(2) * 2..text.len() - 3];
        all.push(inner.as_bytes().to_vec());
        all.push(inner.replace('+', "-").replace('/', "_").into_bytes());
    }
    all
}

/// Whether the secret is there in any spelling.
pub fn holds(content: &[u8], secret: &str) -> bool {
    holds_any(content, std::slice::from_ref(&secret))
}

/// Whether one of the secrets is there in any spelling. Bytes are taken for Latin-1, in which every content is a text and the library's
/// search for texts works.
pub fn holds_any(content: &[u8], secrets: &[impl AsRef<str>]) -> bool {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let content = text(content);
    let spellings = secrets.iter().flat_map(|secret| spellings(secret.as_ref()));
    spellings.into_iter().any(|spelling| content.contains(&text(&spelling)))
}

pub fn files_below(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() { files_below(&path, into) } else { into.push(path) }
    }
}
