//! The secret side: making a custodian's identity, and reading identity files to open PINs with.
//!
//! Identity files are age's own: native identities, plugins' identities, and either of them locked with a passphrase by
//! `age -p` (binary form). The file's content never stands in an error.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use age::secrecy::{ExposeSecret as _, SecretString};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::answers::Answers;
use super::escrow::{one_line, plugin_debugging};
use crate::model::Secret;

/// A custodian's new identity.
pub struct NewIdentity {
    file: Zeroizing<String>,
    recipient: String,
}

impl NewIdentity {
    /// The identity file, comments included. Write it where only the custodian can read it.
    pub fn expose_file(&self) -> &str {
        &self.file
    }

    /// The recipient: public, for the settings.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }
}

impl fmt::Debug for NewIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewIdentity {{ recipient: {}, … }}", self.recipient)
    }
}

/// Makes an X25519 identity in the form `age-keygen` writes.
pub fn keygen(now: Timestamp) -> NewIdentity {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    NewIdentity { file: identity_file(&identity, now), recipient }
}

/// An identity file for one native identity.
pub(super) fn identity_file(identity: &age::x25519::Identity, now: Timestamp) -> Zeroizing<String> {
    let created = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let parts = ["# created: ", &created, "\n# public key: ", &recipient, "\n", secret.expose_secret(), "\n"];
    let mut file = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| file.push_str(part));
    file
}

/// A custodian at the terminal, for what a plugin or a locked identity file asks.
pub trait Prompts: Send + Sync {
    /// Something to do: insert the key, touch it.
    fn tell(&self, message: &str);
    /// A choice between two words; `None` when nobody can be asked.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// A text that may be seen; `None` when nobody can be asked.
    fn ask(&self, question: &str) -> Option<String>;
    /// A passphrase or a plugin's PIN; `None` when nobody can be asked.
    fn ask_secret(&self, question: &str) -> Option<Secret<String>>;
}

/// Nobody to ask.
#[derive(Debug, Clone, Copy)]
pub struct NoPrompts;

impl Prompts for NoPrompts {
    fn tell(&self, _: &str) {}
    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }
    fn ask(&self, _: &str) -> Option<String> {
        None
    }
    fn ask_secret(&self, _: &str) -> Option<Secret<String>> {
        None
    }
}

#[derive(Clone)]
struct Asking {
    prompts: Arc<dyn Prompts>,
    file: String,
    answers: Arc<Answers>,
}

impl age::Callbacks for Asking {
    fn display_message(&self, message: &str) {
        self.prompts.tell(message);
    }
    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.prompts.confirm(message, yes, no)
    }
    fn request_public_string(&self, description: &str) -> Option<String> {
        self.prompts.ask(description)
    }
    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let answer = self.answers.again(&self.file, description).or_else(|| {
            let typed = self.prompts.ask_secret(description)?;
            self.answers.typed(&self.file, description, &typed);
            Some(typed)
        })?;
        Some(SecretString::from(answer.expose().as_str()))
    }
}

/// Why an identity file is no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file can't be read.
    #[error(
        "the identity file {file} can't be read: {source}. Next: name the file that `keybench escrow keygen` or `age-keygen` wrote"
    )]
    Unreadable {
        /// As named.
        file: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error(
        "{file} is not an identity file: {why}. Next: name the file that `keybench escrow keygen` or `age-keygen` wrote"
    )]
    NotIdentities {
        /// As named.
        file: String,
        /// What was found, without its content.
        why: String,
    },
    /// It is locked and the passphrase was wrong or nobody could be asked.
    #[error("the identity file {file} is locked with a passphrase and did not open: {why}")]
    Locked {
        /// As named.
        file: String,
        /// age's reason.
        why: String,
    },
    /// A plugin it names is not there.
    #[error(
        "the identity file {file} needs an age plugin: {why}. Next: install the plugin so that it is found in PATH"
    )]
    PluginMissing {
        /// As named.
        file: String,
        /// age's reason.
        why: String,
    },
    /// `AGEDEBUG=plugin` makes age write file keys to stderr.
    #[error("AGEDEBUG=plugin is set, which writes secrets to the screen. Next: unset AGEDEBUG and try again")]
    PluginDebug,
}

/// The longest identity file that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Identities to open PINs with, from any number of files.
#[derive(Default)]
pub struct Identities {
    all: Vec<Box<dyn age::Identity + Send + Sync>>,
    answers: Arc<Answers>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.all.len())
    }
}

impl Identities {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds those of a file.
    ///
    /// # Errors
    /// [`IdentityError`], naming the file.
    pub fn add_file(&mut self, path: &Path, prompts: Arc<dyn Prompts>) -> Result<(), IdentityError> {
        let name = path.display().to_string();
        let read = || {
            let file = std::fs::File::open(path)?;
            let length = file.metadata()?.len().min(LONGEST_FILE);
            // Room for all of it at once: growing would leave copies behind.
            let mut content =
                Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1)));
            file.take(LONGEST_FILE).read_to_end(&mut content)?;
            Ok(content)
        };
        let content = read().map_err(|source| IdentityError::Unreadable { file: name.clone(), source })?;
        self.add(&name, &content, prompts)
    }

    /// Adds those of a file's content; `name` is for errors and the passphrase prompt.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn add(&mut self, name: &str, content: &[u8], prompts: Arc<dyn Prompts>) -> Result<(), IdentityError> {
        let file = || name.to_owned();
        let asking = Asking { prompts, file: name.to_owned(), answers: Arc::clone(&self.answers) };
        let parsed = if content.starts_with(b"age-encryption.org/") {
            let locked = |error: age::DecryptError| IdentityError::Locked { file: file(), why: one_line(&error) };
            let decryptor = age::Decryptor::new_buffered(content).map_err(locked)?;
            age::encrypted::EncryptedIdentity::new(decryptor, asking, None)
                .ok_or_else(|| IdentityError::NotIdentities {
                    file: file(),
                    why: "it is encrypted to a recipient, not with a passphrase".into(),
                })?
                .decrypt(Some(name))
                .map_err(locked)?
        } else {
            // age's message names the line, never its content.
            age::IdentityFile::from_buffer(content)
                .map_err(|error| IdentityError::NotIdentities { file: file(), why: error.to_string() })?
                .with_callbacks(asking)
        };
        let before = self.all.len();
        let found = parsed
            .into_identities()
            .map_err(|error| IdentityError::PluginMissing { file: file(), why: one_line(&error) })?;
        if mentions_plugin(content) && plugin_debugging() {
            return Err(IdentityError::PluginDebug);
        }
        self.all.extend(found);
        if self.all.len() == before {
            return Err(IdentityError::NotIdentities { file: file(), why: "there is no identity in it".into() });
        }
        Ok(())
    }

    /// Opens one envelope; what a custodian types for it serves the next ones, if it was right.
    pub(super) fn envelope<T, E>(&self, open: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.answers.envelope(open)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(dyn age::Identity + Send + Sync)> {
        self.all.iter().map(AsRef::as_ref)
    }
}

/// A locked file can't be looked into, and may name one.
fn mentions_plugin(content: &[u8]) -> bool {
    content.starts_with(b"age-encryption.org/") || content.windows(11).any(|w| w.eq_ignore_ascii_case(b"AGE-PLUGIN-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keygen_writes_what_age_reads() {
        let made = keygen("2026-11-21T01:14:52.5Z".parse().expect("a time"));
        let lines: Vec<&str> = made.expose_file().lines().collect();
        assert_eq!(lines.first(), Some(&"# created: 2026-11-21T01:14:52Z"));
        assert_eq!(lines.get(1).and_then(|line| line.strip_prefix("# public key: ")), Some(made.recipient()));
        let secret: age::x25519::Identity = lines.get(2).expect("a third line").parse().expect("an identity");
        assert_eq!(secret.to_public().to_string(), made.recipient());
        assert!(!format!("{made:?}").contains("SECRET"));
        let mut identities = Identities::new();
        identities.add("new", made.expose_file().as_bytes(), Arc::new(NoPrompts)).expect("reads");
        assert_eq!(format!("{identities:?}"), "Identities(1)");
    }

    #[test]
    fn what_is_no_identity_file_is_named_and_not_shown() {
        let add = |content: &[u8]| {
            let error = Identities::new().add("kim.key", content, Arc::new(NoPrompts)).expect_err("refused");
            error.to_string()
        };
        let shown = add(b"# a comment\nAGE-SECRET-KEY-1HALF");
        assert!(shown.contains("kim.key") && shown.contains("line 2") && !shown.contains("HALF"), "{shown}");
        assert!(add(b"# only this\n").contains("no identity in it"));
        assert!(add(b"AGE-PLUGIN-NOSUCHPLUGIN-1QQQQQQ\n").contains("kim.key"));
        assert!(add(b"age-encryption.org/v1\nrubbish").contains("locked"));
        let missing = Identities::new().add_file(Path::new("/nonexistent/kim.key"), Arc::new(NoPrompts));
        assert!(matches!(missing, Err(IdentityError::Unreadable { .. })));
    }

    struct Knows(&'static str);

    impl Prompts for Knows {
        fn tell(&self, _: &str) {}
        fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
            None
        }
        fn ask(&self, _: &str) -> Option<String> {
            None
        }
        fn ask_secret(&self, _: &str) -> Option<Secret<String>> {
            Some(Secret::new(self.0.to_owned()))
        }
    }

    #[test]
    fn a_locked_file_opens_with_its_passphrase() {
        let made = keygen(Timestamp::UNIX_EPOCH);
        let mut lock = age::scrypt::Recipient::new(SecretString::from("correct horse"));
        lock.set_work_factor(2); // the usual one takes a second
        let locked = age::encrypt(&lock, made.expose_file().as_bytes()).expect("locks");
        let mut identities = Identities::new();
        identities.add("kim.key", &locked, Arc::new(Knows("correct horse"))).expect("opens");
        for prompts in [Arc::new(Knows("wrong")) as Arc<dyn Prompts>, Arc::new(NoPrompts)] {
            let error = Identities::new().add("kim.key", &locked, prompts).expect_err("stays locked");
            assert!(matches!(error, IdentityError::Locked { .. }), "{error}");
        }
    }
}
