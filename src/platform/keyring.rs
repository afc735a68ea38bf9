//! The system's keyring: Credential Manager on Windows, Keychain on macOS, the Secret Service (GNOME Keyring, KWallet,
//! KeePassXC) on Linux, reached over D-Bus without a system library.
//!
//! Promise: what is kept is one text under one name, wiped here when dropped; an error never holds it. Exceptions: a longer
//! text is kept in pieces, because Windows takes 2,560 bytes at most; and the keyring's own guard is what it is: whoever is
//! signed in to this account of the system can read it.

use zeroize::Zeroizing;

/// Below Windows' `CRED_MAX_CREDENTIAL_BLOB_SIZE` of 2,560 bytes.
const PIECE: usize = 2_000;
/// A text of 80 kB is no token.
const MOST_PIECES: usize = 40;

/// There is no keyring, or it does not let us in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoKeyring(String);

/// What this system calls it, for people.
pub fn name() -> &'static str {
    if cfg!(windows) {
        "Windows' Credential Manager"
    } else if cfg!(target_os = "macos") {
        "the macOS Keychain"
    } else {
        "the keyring (Secret Service)"
    }
}

/// Whether there is one that can be asked.
///
/// # Errors
/// Why not.
pub fn check() -> Result<(), NoKeyring> {
    store::get(&piece_name("keybench/check", 0)).map(drop)
}

/// The text kept under a name.
///
/// # Errors
/// [`NoKeyring`].
pub fn read(name: &str) -> Result<Option<Zeroizing<String>>, NoKeyring> {
    let mut text = Zeroizing::new(String::with_capacity(PIECE * 2));
    for index in 0..MOST_PIECES {
        let Some(piece) = store::get(&piece_name(name, index))? else {
            // A first piece without its last: somebody tidied up by hand.
            return Ok(None);
        };
        // The first byte tells whether more follows.
        let Some((mark, rest)) = piece.split_first() else { return Ok(None) };
        let Ok(rest) = std::str::from_utf8(rest) else { return Ok(None) };
        text.push_str(rest);
        if *mark == b'.' {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Keeps a text under a name, in place of what was there. ASCII, as tokens are.
///
/// # Errors
/// [`NoKeyring`], also for a text that is too long or not ASCII.
pub fn write(name: &str, text: &str) -> Result<(), NoKeyring> {
    if !text.is_ascii() || text.is_empty() || text.len() > PIECE * MOST_PIECES {
        return Err(NoKeyring("the token is empty, too long, or holds characters no token has".into()));
    }
    let before = pieces(name)?;
    let count = text.len().div_ceil(PIECE);
    for (index, part) in text.as_bytes().chunks(PIECE).enumerate() {
        let mut piece = Zeroizing::new(Vec::with_capacity(part.len().saturating_add(1)));
        piece.push(if index.saturating_add(1) == count { b'.' } else { b'+' });
        piece.extend_from_slice(part);
        store::set(&piece_name(name, index), &piece)?;
    }
    for index in count..before {
        store::remove(&piece_name(name, index))?;
    }
    Ok(())
}

/// Removes what is kept under a name; whether there was anything.
///
/// # Errors
/// [`NoKeyring`].
pub fn remove(name: &str) -> Result<bool, NoKeyring> {
    let count = pieces(name)?;
    for index in 0..count {
        store::remove(&piece_name(name, index))?;
    }
    Ok(count > 0)
}

/// How many pieces there are.
fn pieces(name: &str) -> Result<usize, NoKeyring> {
    for index in 0..MOST_PIECES {
        if store::get(&piece_name(name, index))?.is_none() {
            return Ok(index);
        }
    }
    Ok(MOST_PIECES)
}

fn piece_name(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name} ({})", index.saturating_add(1)) }
}

#[cfg(not(test))]
mod store {
    //! The real one.

    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    use super::NoKeyring;

    /// What the entries are filed under.
    const SERVICE: &str = "keybench";

    fn entry(name: &str) -> Result<Entry, NoKeyring> {
        if let Err(error) = Entry::store_status() {
            return Err(told(error));
        }
        Entry::new(SERVICE, name).map_err(|error| told(&error))
    }

    pub(super) fn get(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, NoKeyring> {
        match entry(name)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    pub(super) fn set(name: &str, secret: &[u8]) -> Result<(), NoKeyring> {
        entry(name)?.set_secret(secret).map_err(|error| told(&error))
    }

    pub(super) fn remove(name: &str) -> Result<(), NoKeyring> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(told(&error)),
        }
    }

    /// In our words: some of the crate's errors hold what was kept.
    fn told(error: &Error) -> NoKeyring {
        let text = match error {
            Error::PlatformFailure(why) | Error::NoStorageAccess(why) => why.to_string(),
            Error::BadEncoding(_) | Error::BadDataFormat(..) => "what is kept there can't be read".into(),
            Error::TooLong(what, most) => format!("{what} is longer than the {most} that it takes"),
            Error::NoDefaultStore => "none is running for this account".into(),
            Error::Ambiguous(_) => "there are several entries of this name".into(),
            _ => "it refused".into(),
        };
        NoKeyring(text.trim_end_matches('.').replace(['\n', '\r'], " "))
    }
}

#[cfg(test)]
mod store {
    //! For tests: a keyring in memory, so that nobody's real one is touched.

    use std::cell::Cell;
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    use zeroize::Zeroizing;

    use super::NoKeyring;

    static KEPT: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);

    thread_local! {
        pub(super) static ABSENT: Cell<bool> = const { Cell::new(false) };
    }

    fn with<T>(act: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> T) -> Result<T, NoKeyring> {
        if ABSENT.get() {
            return Err(NoKeyring("none is running for this account".into()));
        }
        Ok(act(KEPT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default()))
    }

    pub(super) fn get(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, NoKeyring> {
        with(|kept| kept.get(name).cloned().map(Zeroizing::new))
    }

    pub(super) fn set(name: &str, secret: &[u8]) -> Result<(), NoKeyring> {
        // As Windows does.
        assert!(secret.len() <= 2_560);
        with(|kept| drop(kept.insert(name.to_owned(), secret.to_vec())))
    }

    pub(super) fn remove(name: &str) -> Result<(), NoKeyring> {
        with(|kept| drop(kept.remove(name)))
    }
}

/// For tests: a system without a keyring, as far as this thread is concerned.
#[cfg(test)]
pub(crate) fn pretend_absent(absent: bool) {
    store::ABSENT.set(absent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_any_length_comes_back_and_goes_away() {
        let name = "test/any-length";
        assert_eq!(read(name).expect("read"), None);
        for length in [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5] {
            let text = "abc0_-.".repeat(length).chars().take(length).collect::<String>();
            write(name, &text).expect("kept");
            assert_eq!(read(name).expect("read").as_deref(), Some(&text));
            assert_eq!(pieces(name), Ok(length.div_ceil(PIECE)), "no piece of a longer one is left");
        }
        assert_eq!(remove(name), Ok(true));
        assert_eq!(remove(name), Ok(false));
        assert_eq!(read(name).expect("read"), None);
    }

    #[test]
    fn what_is_no_token_is_not_kept() {
        for text in ["", "schlüssel", &"x".repeat(PIECE * MOST_PIECES + 1)] {
            assert!(write("test/no-token", text).is_err());
        }
        pretend_absent(true);
        let error = check().expect_err("absent");
        pretend_absent(false);
        assert!(error.to_string().contains("running"));
        assert_eq!(check(), Ok(()));
    }
}
