//! What stands inside a sealed PIN: a few lines of text that a custodian can also read with plain `age -d`.
//!
//! ```text
//! keybench-pin 1
//! job 7K3QZ0M4XN
//! attempt 1
//! pin 482915
//! ```
//!
//! The job stands inside because age proves who can open a file, not what it is about: an envelope that was put in another
//! job's place is found out. Lines end in LF; the PIN is everything between `pin ` and the last LF.

use zeroize::Zeroizing;

use crate::model::pin::MAX_PIN_BYTES;
use crate::model::{JobId, Pin};

const FIRST_LINE: &str = "keybench-pin 1";

/// Why the content can't be read. It says nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Written by a later version, or by something else.
    #[error("it was not written by this version of keybench")]
    Unknown,
    /// It begins as it should and goes on otherwise.
    #[error("its content is damaged")]
    Damaged,
}

/// The text to seal. `None` when the job's id could be taken for another line.
pub(super) fn write(job: &JobId, attempt: u32, pin: &Pin) -> Option<Zeroizing<String>> {
    if !plain(job.as_str()) {
        return None;
    }
    let attempt = attempt.to_string();
    let parts = [FIRST_LINE, "\njob ", job.as_str(), "\nattempt ", &attempt, "\npin ", pin.expose(), "\n"];
    // One allocation of the full size: growing would leave copies of the PIN behind.
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| text.push_str(part));
    Some(text)
}

/// Reads what [`write()`] wrote.
pub(super) fn read(bytes: &[u8]) -> Result<(JobId, u32, Pin), EnvelopeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Unknown)?;
    let rest = text.strip_prefix(FIRST_LINE).ok_or(EnvelopeError::Unknown)?;
    let parts = || {
        let (job, rest) = rest.strip_prefix("\njob ")?.split_once('\n')?;
        let (attempt, rest) = rest.strip_prefix("attempt ")?.split_once('\n')?;
        let pin = rest.strip_prefix("pin ")?.strip_suffix('\n')?;
        let attempt = attempt.parse().ok()?;
        if !plain(job) || pin.len() > MAX_PIN_BYTES {
            return None;
        }
        let pin = Pin::new(Zeroizing::new(pin.to_owned())).ok()?;
        Some((JobId::new(job), attempt, pin))
    };
    parts().ok_or(EnvelopeError::Damaged)
}

/// Printable ASCII without blanks, not empty.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> Pin {
        Pin::new(Zeroizing::new(text.to_owned())).expect("a PIN")
    }

    #[test]
    fn it_reads_what_it_writes() {
        let job = JobId::new("7K3QZ0M4XN");
        for text in ["482915", "with blank\nand line", " ", "\n", "é"] {
            let written = write(&job, 3, &pin(text)).expect("plain");
            let (back, attempt, read_pin) = read(written.as_bytes()).expect("reads");
            assert_eq!((back, attempt, read_pin.expose()), (job.clone(), 3, text));
        }
        assert!(write(&JobId::new("A\npin 1"), 1, &pin("1")).is_none());
        assert!(write(&JobId::new(""), 1, &pin("1")).is_none());
    }

    #[test]
    fn the_form_is_fixed() {
        let written = write(&JobId::new("7K3QZ0M4XN"), 1, &pin("482915")).expect("plain");
        assert_eq!(written.as_str(), "keybench-pin 1\njob 7K3QZ0M4XN\nattempt 1\npin 482915\n");
    }

    #[test]
    fn anything_else_is_refused() {
        for (bytes, why) in [
            (&b""[..], EnvelopeError::Unknown),
            (b"keybench-pin 2\njob A\nattempt 1\npin 1\n", EnvelopeError::Unknown),
            (b"\xff\xfe", EnvelopeError::Unknown),
            (b"keybench-pin 1\njob A\nattempt 1\npin 1", EnvelopeError::Damaged),
            (b"keybench-pin 1\njob A\nattempt 1\npin \n", EnvelopeError::Damaged),
            (b"keybench-pin 1\njob A\nattempt x\npin 1\n", EnvelopeError::Damaged),
            (b"keybench-pin 1\njob A B\nattempt 1\npin 1\n", EnvelopeError::Damaged),
            (b"keybench-pin 1\nattempt 1\njob A\npin 1\n", EnvelopeError::Damaged),
        ] {
            assert_eq!(read(bytes).err(), Some(why), "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_pin_survives(text in "\\PC{1,5}", attempt: u32) {
            let pin = pin(&text);
            let written = write(&JobId::new("7K3QZ0M4XN"), attempt, &pin).expect("plain");
            let (_, back, read_pin) = read(written.as_bytes()).expect("reads");
            proptest::prop_assert_eq!((back, read_pin.expose()), (attempt, pin.expose()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, headed: bool) {
            if headed {
                bytes.splice(0..0, b"keybench-pin 1\njob ".iter().copied());
            }
            let _ = read(&bytes);
        }
    }
}
