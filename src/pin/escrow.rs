//! Sealing a PIN and opening it again.
//!
//! Promise: [`seal`] makes the only storable form of a PIN: an age file for the custodians and another for the job's own
//! resume key. Under dual control the PIN is encrypted to the first group and the result to the second, so that no single
//! identity opens it, in keybench or outside it. Whoever opens says which job they mean; an envelope of another job is refused.
//! Exceptions: age's files are not signed, so somebody who can write the ledger's files can put a PIN of their own making in
//! place of one (the ledger's chain shows it); a plugin that hangs holds its caller.

use std::fmt;
use std::io::{Read as _, Write as _};

use super::envelope::{self, EnvelopeError};
use super::identity::Identities;
use super::recipients::{Recipient, Recipients};
use super::resume::ResumeKey;
use crate::model::{JobId, Pin, SealedPin};
use zeroize::Zeroizing;

/// Why a PIN could not be sealed. Nothing may be set on the key then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A recipient's plugin is not there.
    #[error(
        "sealing to a custodian needs {0}, which is not in PATH. Next: install it, or run on a machine that has it"
    )]
    PluginMissing(String),
    /// A recipient's plugin said no.
    #[error(
        "a custodian's age plugin refused to seal: {0}. Next: try `age -r RECIPIENT` with the same recipient by hand"
    )]
    Plugin(String),
    /// `AGEDEBUG=plugin` makes age write file keys to stderr.
    #[error("AGEDEBUG=plugin is set, which writes secrets to the screen. Next: unset AGEDEBUG and try again")]
    PluginDebug,
    /// Recipients of kinds that age does not put into one file (post-quantum and others).
    #[error(
        "the custodians' recipients can't be mixed in one envelope: {0}. Next: use recipients of one kind in each group"
    )]
    Incompatible(String),
    /// The job's id is not plain text on one line.
    #[error("the job's id can't stand in an envelope; it was not made by this version of keybench")]
    BadJob,
    /// Anything else that age says.
    #[error("sealing failed: {0}")]
    Age(String),
}

/// Why a sealed PIN did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// None of the identities fits the outer layer.
    #[error(
        "none of the identities opens this envelope{}. Next: use the identity of a custodian who was in force when it was sealed",
        if *.dual { " (it is under dual control: it takes one identity of each group)" } else { "" }
    )]
    NotForThese {
        /// It takes two.
        dual: bool,
    },
    /// The second group's layer opened, the first group's did not.
    #[error(
        "this envelope is under dual control and one of its two layers opened: an identity of the first group is missing. Next: add it with another --identity"
    )]
    FirstGroupMissing,
    /// It was said to be under dual control, and one identity opened it.
    #[error(
        "this envelope should take two identities and took one: it is not the one that was sealed. Next: compare the ledger with its mirror"
    )]
    NotDual,
    /// It belongs to another job.
    #[error(
        "the envelope belongs to another job: {found}, not {asked}. Next: don't use this PIN; compare the ledger with its mirror"
    )]
    OtherJob {
        /// The job that was asked for.
        asked: JobId,
        /// The job inside.
        found: JobId,
    },
    /// It belongs to another try of the same job.
    #[error(
        "the envelope belongs to try {found} of the job, not to try {asked}. Next: don't use this PIN; compare the ledger with its mirror"
    )]
    OtherTry {
        /// The try that was asked for.
        asked: u32,
        /// The try inside.
        found: u32,
    },
    /// The bytes are no age file, or were changed.
    #[error("the envelope is damaged: {0}. Next: restore the ledger from its mirror")]
    Damaged(String),
    /// A plugin said no.
    #[error("an age plugin could not open the envelope: {0}")]
    Plugin(String),
    /// It opened, and holds no PIN of ours.
    #[error("the envelope opened, but {0}")]
    Content(#[from] EnvelopeError),
}

/// Why an envelope could not be sealed again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResealError {
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// An opened PIN.
#[derive(Debug)]
pub struct OpenedPin {
    /// The job, as it stands inside.
    pub job: JobId,
    /// Which try.
    pub attempt: u32,
    /// It.
    pub pin: Pin,
}

/// Seals a PIN to the custodians and to the job's resume key.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    recipients: &Recipients,
    resume: &ResumeKey,
    job: &JobId,
    attempt: u32,
    pin: &Pin,
) -> Result<SealedPin, SealError> {
    let text = envelope::write(job, attempt, pin).ok_or(SealError::BadJob)?;
    let custodian = to_custodians(recipients, text.as_bytes())?;
    let resume = encrypt(&[Box::new(resume.recipient())], text.as_bytes())?;
    Ok(SealedPin { custodian, resume, dual: recipients.is_dual() })
}

/// Seals something worthless to every custodian, so that a missing plugin shows before the first key.
///
/// # Errors
/// [`SealError`], as [`seal`] would have it.
pub fn probe(recipients: &Recipients) -> Result<(), SealError> {
    to_custodians(recipients, b"nothing").map(drop)
}

/// Seals a document, e.g. a print run of letters, to recipients. Under dual control as PINs are.
///
/// # Errors
/// [`SealError`].
pub fn seal_document(recipients: &Recipients, document: &[u8]) -> Result<Vec<u8>, SealError> {
    to_custodians(recipients, document)
}

/// Opens a custodians' envelope.
///
/// # Errors
/// [`OpenError`].
pub fn open(custodian: &[u8], dual: bool, identities: &Identities, job: &JobId) -> Result<OpenedPin, OpenError> {
    read(&open_layers(custodian, dual, identities)?, job)
}

fn open_layers(sealed: &[u8], dual: bool, identities: &Identities) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    identities.envelope(|| layers(sealed, dual, identities))
}

fn layers(sealed: &[u8], dual: bool, identities: &Identities) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let outer = decrypt(sealed, identities.iter().map(|i| i as _))?.ok_or(OpenError::NotForThese { dual })?;
    match (dual, is_age_file(&outer)) {
        (false, false) => Ok(outer),
        (true, false) => Err(OpenError::NotDual),
        // The ledger forgot that it is dual; the envelope did not.
        (_, true) => decrypt(&outer, identities.iter().map(|i| i as _))?.ok_or(OpenError::FirstGroupMissing),
    }
}

/// Opens a custodians' envelope and seals what is in it to other custodians, without anybody seeing it.
///
/// # Errors
/// [`ResealError`].
pub fn reseal(
    sealed: &SealedPin,
    identities: &Identities,
    job: &JobId,
    attempt: u32,
    to: &Recipients,
) -> Result<Vec<u8>, ResealError> {
    let opened = open(&sealed.custodian, sealed.dual, identities, job)?;
    if opened.attempt != attempt {
        return Err(OpenError::OtherTry { asked: attempt, found: opened.attempt }.into());
    }
    let text = envelope::write(job, attempt, &opened.pin).ok_or(SealError::BadJob)?;
    Ok(to_custodians(to, text.as_bytes())?)
}

/// Whether these identities are of the custodians: something worthless is sealed to them and opened.
///
/// # Errors
/// [`ResealError`]; under dual control it takes one identity of each group.
pub fn prove(custodians: &Recipients, identities: &Identities) -> Result<(), ResealError> {
    let sealed = to_custodians(custodians, b"nothing")?;
    let dual = custodians.is_dual();
    let open = |sealed: &[u8]| decrypt(sealed, identities.iter().map(|i| i as _));
    identities.envelope(|| {
        let outer = open(&sealed)?.ok_or(OpenError::NotForThese { dual })?;
        if dual {
            open(&outer)?.ok_or(OpenError::FirstGroupMissing)?;
        }
        Ok(())
    })
}

/// Opens a resume copy, while its job is unfinished.
///
/// # Errors
/// [`OpenError`].
pub fn open_resume(resume: &[u8], key: &ResumeKey, job: &JobId) -> Result<OpenedPin, OpenError> {
    let content = decrypt(resume, std::iter::once(key.identity() as &dyn age::Identity))?
        .ok_or(OpenError::NotForThese { dual: false })?;
    read(&content, job)
}

fn read(content: &[u8], asked: &JobId) -> Result<OpenedPin, OpenError> {
    let (job, attempt, pin) = envelope::read(content)?;
    if job != *asked {
        return Err(OpenError::OtherJob { asked: asked.clone(), found: job });
    }
    Ok(OpenedPin { job, attempt, pin })
}

/// Seals any text to the custodians, as a PIN is: for seeds of one-time codes.
///
/// # Errors
/// [`SealError`].
pub fn seal_text(recipients: &Recipients, text: &[u8]) -> Result<Vec<u8>, SealError> {
    to_custodians(recipients, text)
}

/// Opens what [`seal_text`] sealed.
///
/// # Errors
/// [`OpenError`].
pub fn open_text(sealed: &[u8], dual: bool, identities: &Identities) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    open_layers(sealed, dual, identities)
}

fn to_custodians(recipients: &Recipients, text: &[u8]) -> Result<Vec<u8>, SealError> {
    let inner = encrypt(&for_age(recipients.first())?, text)?;
    if recipients.is_dual() { encrypt(&for_age(recipients.second())?, &inner) } else { Ok(inner) }
}

/// The recipients of one group as age wants them: natives one by one, those of one plugin together, so that it is started once.
fn for_age(group: &[Recipient]) -> Result<Vec<Box<dyn age::Recipient>>, SealError> {
    let mut all: Vec<Box<dyn age::Recipient>> = group.iter().filter_map(Recipient::native).collect();
    let plugins: std::collections::BTreeSet<&str> = group.iter().filter_map(Recipient::plugin).collect();
    if !plugins.is_empty() && plugin_debugging() {
        return Err(SealError::PluginDebug);
    }
    let theirs: Vec<age::plugin::Recipient> = group.iter().filter_map(Recipient::plugin_recipient).cloned().collect();
    for name in plugins {
        let plugin = age::plugin::RecipientPluginV1::new(name, &theirs, &[], age::NoCallbacks)
            .map_err(|_| SealError::PluginMissing(format!("age-plugin-{name}")))?;
        all.push(Box::new(plugin));
    }
    Ok(all)
}

fn encrypt(recipients: &[Box<dyn age::Recipient>], text: &[u8]) -> Result<Vec<u8>, SealError> {
    let encryptor =
        age::Encryptor::with_recipients(recipients.iter().map(AsRef::as_ref)).map_err(|error| match error {
            age::EncryptError::Plugin(_) | age::EncryptError::Io(_) => SealError::Plugin(one_line(&error)),
            age::EncryptError::PluginResolve(_) => SealError::PluginMissing(one_line(&error)),
            age::EncryptError::IncompatibleRecipients { .. } => SealError::Incompatible(one_line(&error)),
            other => SealError::Age(one_line(&other)),
        })?;
    let mut sealed = Vec::new();
    let write = || {
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(text)?;
        writer.finish().map(drop)
    };
    write().map_err(|error: std::io::Error| SealError::Age(one_line(&error)))?;
    Ok(sealed)
}

/// `None` when no identity fits. Each is tried alone, so that a plugin without its key, or one that answers
/// nonsense, does not keep the others from trying.
fn decrypt<'a>(
    sealed: &[u8],
    identities: impl Iterator<Item = &'a dyn age::Identity>,
) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
    let mut refused = None;
    for identity in identities {
        let decryptor = age::Decryptor::new_buffered(sealed).map_err(|error| OpenError::Damaged(one_line(&error)))?;
        match decryptor.decrypt(std::iter::once(identity)) {
            Ok(mut reader) => {
                // What is inside is shorter than the file: one allocation, nothing left behind by growing.
                let mut content = Zeroizing::new(Vec::with_capacity(sealed.len()));
                reader.read_to_end(&mut content).map_err(|error| OpenError::Damaged(one_line(&error)))?;
                return Ok(Some(content));
            }
            Err(age::DecryptError::NoMatchingKeys) => {}
            Err(error) => {
                refused.get_or_insert(match error {
                    age::DecryptError::Plugin(_) | age::DecryptError::PluginResolve(_) | age::DecryptError::Io(_) => {
                        OpenError::Plugin(one_line(&error))
                    }
                    _ => OpenError::Damaged(one_line(&error)),
                });
            }
        }
    }
    refused.map_or(Ok(None), Err)
}

fn is_age_file(content: &[u8]) -> bool {
    content.starts_with(b"age-encryption.org/")
}

/// age-core writes all it exchanges with a plugin, file keys included, to stderr when this is set.
pub(super) fn plugin_debugging() -> bool {
    std::env::var_os("AGEDEBUG").is_some_and(|value| value == "plugin")
}

/// age's messages have several lines, and invisible marks around names; ours have neither.
pub(super) fn one_line(error: &impl fmt::Display) -> String {
    let text: String = error.to_string().chars().filter(|c| !matches!(c, '\u{2066}'..='\u{2069}')).collect();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::pin::identity::{NewIdentity, NoPrompts, keygen};

    const PIN: &str = "kd2rp9vx84tbn5h7";

    fn pin() -> Pin {
        Pin::new(Zeroizing::new(PIN.to_owned())).expect("a PIN")
    }

    fn custodian() -> NewIdentity {
        keygen(Timestamp::UNIX_EPOCH)
    }

    fn identities(of: &[&NewIdentity]) -> Identities {
        let mut all = Identities::new();
        for one in of {
            all.add("test", one.expose_file().as_bytes(), Arc::new(NoPrompts)).expect("reads");
        }
        all
    }

    fn group(of: &[&NewIdentity]) -> Vec<String> {
        of.iter().map(|one| one.recipient().to_owned()).collect()
    }

    fn job() -> JobId {
        JobId::new("7K3QZ0M4XN")
    }

    fn sealed(recipients: &Recipients) -> SealedPin {
        seal(recipients, &ResumeKey::generate(), &job(), 1, &pin()).expect("seals")
    }

    #[test]
    fn any_custodian_of_one_group_opens() {
        let (kim, lee, stranger) = (custodian(), custodian(), custodian());
        let sealed = sealed(&Recipients::single(&group(&[&kim, &lee])).expect("valid"));
        for one in [&kim, &lee] {
            let opened = open(&sealed.custodian, false, &identities(&[one]), &job()).expect("opens");
            assert_eq!((opened.pin.expose(), opened.attempt), (PIN, 1));
            assert!(!format!("{opened:?}").contains(PIN));
        }
        let error = open(&sealed.custodian, false, &identities(&[&stranger]), &job()).expect_err("closed");
        assert_eq!(error, OpenError::NotForThese { dual: false });
        assert!(open(&sealed.custodian, false, &Identities::new(), &job()).is_err());
    }

    #[test]
    fn under_dual_control_no_single_identity_opens() {
        let (a, b) = (custodian(), custodian());
        let sealed = sealed(&Recipients::dual(&group(&[&a]), &group(&[&b])).expect("valid"));
        assert!(sealed.dual);
        let try_with = |of: &[&NewIdentity]| open(&sealed.custodian, true, &identities(of), &job());
        assert_eq!(try_with(&[&a]).expect_err("closed"), OpenError::NotForThese { dual: true });
        assert_eq!(try_with(&[&b]).expect_err("closed"), OpenError::FirstGroupMissing);
        for both in [[&a, &b], [&b, &a]] {
            assert_eq!(try_with(&both).expect("opens").pin.expose(), PIN);
        }
        // Outside keybench: the first group's identity gives nothing at all.
        let a_alone: age::x25519::Identity = a.expose_file().lines().last().expect("a line").parse().expect("reads");
        assert!(age::decrypt(&a_alone, &sealed.custodian).is_err());
        // What the second group's identity gives is another age file, not the PIN.
        let b_alone: age::x25519::Identity = b.expose_file().lines().last().expect("a line").parse().expect("reads");
        let inner = age::decrypt(&b_alone, &sealed.custodian).expect("the outer layer");
        assert!(is_age_file(&inner) && !inner.windows(PIN.len()).any(|part| part == PIN.as_bytes()));
        assert!(age::decrypt(&b_alone, &inner).is_err());
        // A ledger that says otherwise changes nothing.
        assert!(open(&sealed.custodian, false, &identities(&[&b]), &job()).is_err());
        assert!(open(&sealed.custodian, false, &identities(&[&a, &b]), &job()).is_ok());
    }

    #[test]
    fn a_single_seal_in_the_place_of_a_dual_one_is_found_out() {
        let a = custodian();
        let sealed = sealed(&Recipients::single(&group(&[&a])).expect("valid"));
        assert_eq!(open(&sealed.custodian, true, &identities(&[&a]), &job()).err(), Some(OpenError::NotDual));
    }

    #[test]
    fn plain_age_reads_what_we_seal() {
        let kim = custodian();
        let sealed = sealed(&Recipients::single(&group(&[&kim])).expect("valid"));
        let identity: age::x25519::Identity = kim.expose_file().lines().last().expect("a line").parse().expect("reads");
        let text = age::decrypt(&identity, &sealed.custodian).expect("decrypts");
        assert_eq!(text, format!("keybench-pin 1\njob 7K3QZ0M4XN\nattempt 1\npin {PIN}\n").into_bytes());
    }

    #[test]
    fn an_envelope_of_another_job_is_refused() {
        let kim = custodian();
        let resume = ResumeKey::generate();
        let recipients = Recipients::single(&group(&[&kim])).expect("valid");
        let sealed = seal(&recipients, &resume, &job(), 1, &pin()).expect("seals");
        let other = JobId::new("OTHER");
        let expected = OpenError::OtherJob { asked: other.clone(), found: job() };
        assert_eq!(open(&sealed.custodian, false, &identities(&[&kim]), &other).err(), Some(expected.clone()));
        assert_eq!(open_resume(&sealed.resume, &resume, &other).err(), Some(expected));
    }

    #[test]
    fn the_resume_copy_opens_with_its_key_only() {
        let kim = custodian();
        let (resume, another) = (ResumeKey::generate(), ResumeKey::generate());
        let recipients = Recipients::single(&group(&[&kim])).expect("valid");
        let sealed = seal(&recipients, &resume, &job(), 2, &pin()).expect("seals");
        let opened = open_resume(&sealed.resume, &resume, &job()).expect("opens");
        assert_eq!((opened.pin.expose(), opened.attempt), (PIN, 2));
        assert!(open_resume(&sealed.resume, &another, &job()).is_err());
        assert!(open_resume(&sealed.custodian, &resume, &job()).is_err());
        assert!(open(&sealed.resume, false, &identities(&[&kim]), &job()).is_err());
    }

    #[test]
    fn changed_bytes_are_noticed() {
        let kim = custodian();
        let sealed = sealed(&Recipients::single(&group(&[&kim])).expect("valid"));
        for at in 0..sealed.custodian.len() {
            let mut changed = sealed.custodian.clone();
            changed[at] ^= 1;
            assert!(open(&changed, false, &identities(&[&kim]), &job()).is_err(), "byte {at}");
        }
        for length in [0, 10, sealed.custodian.len() - 1] {
            assert!(open(&sealed.custodian[..length], false, &identities(&[&kim]), &job()).is_err());
        }
    }

    #[test]
    fn foreign_messages_become_one_plain_line() {
        assert_eq!(
            one_line(&"Could not find '\u{2068}age-plugin-x\u{2069}'.\n\n  Install it.\n"),
            "Could not find 'age-plugin-x'. Install it."
        );
    }
}
