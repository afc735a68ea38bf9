//! What is checked of a key's answer before anything goes to Graph.
//!
//! Promise: [`check_registration`] is a pure function, each check has a name that the ledger keeps, and each ends in one of
//! three ways: passed, could not be made (and why), or failed. A check that could not be made never counts as passed.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::attestation::KeyAnswer;
use super::auth_data::{AuthDataError, AuthenticatorData};
use super::certificate::{CertificateError, check_packed};
use super::creation_options::CredProtect;
use super::metadata::{Defect, Metadata, day};
use super::public_key::{PublicKey, PublicKeyError};
use super::statement::{AttestationKind, Statement, StatementError};
use super::trust::{Anchors, ChainError, validate};
use crate::model::{Aaguid, CredentialId};

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// The authenticator data can be read and holds a credential.
    AuthenticatorData,
    /// rpIdHash is the tenant's.
    RpIdHash,
    /// The key says that somebody touched it and that it checked the PIN.
    Flags,
    /// The AAGUID is getInfo's.
    Aaguid,
    /// The credential id has a proper length and is new.
    CredentialId,
    /// The public key is sound and of an algorithm that was offered.
    Algorithm,
    /// credProtect is as asked.
    CredProtect,
    /// hmac-secret is as asked.
    HmacSecret,
    /// The attestation signature verifies.
    AttestationSignature,
    /// The attestation certificate is what WebAuthn §8.2.1 demands.
    AttestationCertificate,
    /// The attestation certificate chains to a root of its model.
    AttestationChain,
    /// The metadata reports nothing that forbids the model.
    MetadataStatus,
}

impl Check {
    /// The name that ledger and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthenticatorData => "authenticator-data",
            Self::RpIdHash => "rp-id-hash",
            Self::Flags => "flags",
            Self::Aaguid => "aaguid",
            Self::CredentialId => "credential-id",
            Self::Algorithm => "algorithm",
            Self::CredProtect => "cred-protect",
            Self::HmacSecret => "hmac-secret",
            Self::AttestationSignature => "attestation-signature",
            Self::AttestationCertificate => "attestation-certificate",
            Self::AttestationChain => "attestation-chain",
            Self::MetadataStatus => "metadata-status",
        }
    }
}

/// Why a check failed. The text is the fact; [`Self::cause`] and [`Self::next`] go with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckFailed {
    /// The authenticator data can't be read.
    #[error("The key's answer can't be read: {0}.")]
    AuthData(#[from] AuthDataError),
    /// Flag AT is not set.
    #[error("The key's answer holds no credential.")]
    NoCredential,
    /// Another RP's hash.
    #[error("The key made the credential for another site than {0}.")]
    RpIdHash(String),
    /// A flag that must be set is not.
    #[error("The key made the credential without {0}.")]
    Flag(&'static str),
    /// BS without BE.
    #[error("The key says of its credential that it was copied but can't be.")]
    BackupFlags,
    /// getInfo tells another model.
    #[error("The key is of model {said} by getInfo, but attests as {attested}.")]
    Aaguid {
        /// In getInfo.
        said: Aaguid,
        /// In the authenticator data.
        attested: Aaguid,
    },
    /// Fewer than 16 bytes.
    #[error("The credential's id has {0} bytes; at least 16 are needed.")]
    CredentialIdLength(usize),
    /// An id that was on the exclude list.
    #[error("The key made a credential with an id that this person has registered already.")]
    CredentialIdKnown,
    /// The key can't be read.
    #[error("The credential is of no use: {0}.")]
    PublicKey(#[from] PublicKeyError),
    /// An algorithm the tenant doesn't take.
    #[error("The credential's algorithm is {used}, but the tenant takes only {offered:?}.")]
    NotOffered {
        /// Of the credential.
        used: i64,
        /// By the tenant.
        offered: Vec<i64>,
    },
    /// Another credProtect level.
    #[error("The credential has protection level {found:?}, not {asked}.")]
    CredProtect {
        /// That was asked for.
        asked: u8,
        /// In force, if told.
        found: Option<u64>,
    },
    /// No hmac-secret.
    #[error("The credential has no hmac-secret.")]
    HmacSecret,
    /// The statement can't be read, or its signature doesn't hold.
    #[error("The key's attestation is not valid: {0}.")]
    Statement(#[from] StatementError),
    /// The certificate is not in order.
    #[error("The key's attestation is not valid: {0}.")]
    Certificate(#[from] CertificateError),
    /// The chain does not hold.
    #[error("The key can't prove its model: {0}.")]
    Chain(#[from] ChainError),
    /// No certificate where the tenant or the model demands one.
    #[error("The key can't prove its model: it attested {0}.")]
    NoCertificate(&'static str),
    /// Not in the metadata, though the tenant demands it.
    #[error("The model {0} is not in the FIDO metadata.")]
    NotListed(Aaguid),
    /// The metadata forbids it.
    #[error("The model {model} has the status {} in the FIDO metadata.", .defect.name())]
    Defective {
        /// Its name, or its AAGUID.
        model: String,
        /// What is wrong with it.
        defect: Defect,
    },
}

impl CheckFailed {
    /// A short code for the ledger and the event.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AuthData(_) | Self::NoCredential => "answer-unreadable",
            Self::RpIdHash(_) => "wrong-site",
            Self::Flag(_) | Self::BackupFlags => "wrong-flags",
            Self::Aaguid { .. } => "other-model",
            Self::CredentialIdLength(_) | Self::CredentialIdKnown => "bad-credential-id",
            Self::PublicKey(_) => "bad-public-key",
            Self::NotOffered { .. } => "algorithm-not-offered",
            Self::CredProtect { .. } => "cred-protect",
            Self::HmacSecret => "hmac-secret",
            Self::Statement(_) | Self::Certificate(_) => "attestation-invalid",
            Self::Chain(_) | Self::NoCertificate(_) => "attestation-untrusted",
            Self::NotListed(_) => "model-not-listed",
            Self::Defective { .. } => "model-defective",
        }
    }

    /// Why this happens.
    pub fn cause(&self) -> String {
        match self {
            Self::Statement(StatementError::Format(_)) => {
                "Graph documents the formats `packed` and `none` for security keys and no other.".into()
            }
            Self::AuthData(_) | Self::NoCredential | Self::Statement(_) | Self::PublicKey(_) | Self::BackupFlags => {
                "The answer breaks the CTAP2 rules: the key is faulty, or not what it says it is.".into()
            }
            Self::RpIdHash(_) => "Something answered a request that was not ours.".into(),
            Self::Flag(_) => "Entra takes only credentials made with a touch and the PIN.".into(),
            Self::Aaguid { .. } => {
                "Two parts of the key disagree on what it is, or the key was exchanged while it worked.".into()
            }
            Self::CredentialIdLength(_) | Self::CredentialIdKnown => {
                "The key makes ids that are not unique; sign-in could not tell them apart.".into()
            }
            Self::NotOffered { .. } => "The key chose an algorithm that it was not asked for.".into(),
            Self::CredProtect { .. } => {
                "The key sets its own protection level; above level 1 the sign-in to Windows 10 fails.".into()
            }
            Self::HmacSecret => "Without it the person can't sign in to Windows while offline.".into(),
            Self::Certificate(_) => "A genuine key's certificate fulfils WebAuthn §8.2.1; this one doesn't.".into(),
            Self::Chain(ChainError::Dates { .. }) => {
                "The certificate is out of its dates, or this machine's clock is wrong.".into()
            }
            Self::Chain(_) => "The key's attestation certificate is not its maker's.".into(),
            Self::NoCertificate(_) => {
                "The tenant enforces attestation, or the maker's metadata promises a certificate.".into()
            }
            Self::NotListed(_) => {
                "The tenant enforces attestation, and Entra knows only models in the FIDO metadata.".into()
            }
            Self::Defective { defect, .. } => format!("By that report, {}.", defect.meaning()),
        }
    }

    /// What to do now.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Chain(ChainError::Dates { .. }) => "Check this machine's date and time, then try the key again.",
            Self::NotListed(_) => {
                "Pass a newer FIDO metadata BLOB with --mds, or take a model that Microsoft's list of eligible keys names."
            }
            Self::HmacSecret | Self::NotOffered { .. } | Self::CredProtect { .. } => {
                "Put the key aside and take one of another model for this person."
            }
            Self::Defective { .. } => "Put all keys of this model aside and ask the maker for an exchange.",
            Self::RpIdHash(_) => "Unplug the key, close browsers and other programs that use keys, and try it again.",
            _ => "Put the key aside, mark it as refused, and take another one for this person.",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it must be.
    Passed,
    /// It could not be made, and why.
    NotMade(String),
    /// Not as it must be.
    Failed(CheckFailed),
}

/// How much an extension matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Not asked for.
    No,
    /// Asked for; a key that doesn't tell of it may still be used.
    Wished,
    /// Asked for, and no key without it.
    Required,
}

/// What the answer is held against.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The tenant's RP ID.
    pub rp_id: &'a str,
    /// SHA-256 of the client data.
    pub client_data_hash: &'a [u8; 32],
    /// The COSE algorithms the tenant offers.
    pub algorithms: &'a [i64],
    /// The AAGUID in getInfo.
    pub aaguid: Aaguid,
    /// The ids that were on the exclude list.
    pub excluded: &'a [CredentialId],
    /// The level the key was asked for, if it was.
    pub cred_protect: Option<CredProtect>,
    /// Whether hmac-secret was asked for.
    pub hmac_secret: Wanted,
}

/// What the model is held against.
#[derive(Debug, Clone)]
pub struct Trust<'a> {
    /// The FIDO metadata, if there is any.
    pub metadata: Option<&'a Metadata>,
    /// Attestation roots besides it: those of simulated keys, on loopback only.
    pub roots: &'a Anchors,
    /// The tenant enforces attestation: a key that can't prove its model fails, instead of going unproven.
    pub enforced: bool,
    /// The time to judge certificates and reports by.
    pub now: Timestamp,
}

/// What was learned of the credential, whether or not it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The credential.
    pub credential: CredentialId,
    /// Its public key: COSE_Key.
    pub public_key_cose: Vec<u8>,
    /// The model the key attests as.
    pub aaguid: Aaguid,
    /// The model's name, when the metadata lists it.
    pub model: Option<String>,
    /// How the model is certified, when the metadata says so.
    pub certified: Option<String>,
    /// What the attestation proves, when it could be read.
    pub attestation: Option<AttestationKind>,
    /// Flag BE: Entra will count it as a synced passkey.
    pub backup_eligible: bool,
    /// Signature counter.
    pub sign_count: u32,
}

/// The outcome of every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every check, in order.
    pub outcomes: Vec<(Check, Outcome)>,
    /// Things to tell that are no failure.
    pub remarks: Vec<String>,
    /// `None` when the answer could not be read.
    pub facts: Option<Facts>,
}

impl Report {
    /// Whether the credential may go to Graph: nothing failed.
    pub fn is_good(&self) -> bool {
        self.facts.is_some() && self.failures().next().is_none()
    }

    /// Names of the checks that were made and passed, for the ledger.
    pub fn passed(&self) -> Vec<&'static str> {
        self.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).map(|(check, _)| check.name()).collect()
    }

    /// What failed.
    pub fn failures(&self) -> impl Iterator<Item = (Check, &CheckFailed)> {
        self.outcomes.iter().filter_map(|(check, outcome)| match outcome {
            Outcome::Failed(failed) => Some((*check, failed)),
            _ => None,
        })
    }

    /// What could not be checked, and why.
    pub fn not_made(&self) -> impl Iterator<Item = (Check, &str)> {
        self.outcomes.iter().filter_map(|(check, outcome)| match outcome {
            Outcome::NotMade(why) => Some((*check, why.as_str())),
            _ => None,
        })
    }
}

impl From<Result<(), CheckFailed>> for Outcome {
    fn from(result: Result<(), CheckFailed>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed)
    }
}

/// Makes every check that can be made of a key's answer to authenticatorMakeCredential.
pub fn check_registration(answer: &KeyAnswer<'_>, expected: &Expected<'_>, trust: &Trust<'_>) -> Report {
    let unreadable = |failed: CheckFailed| Report {
        outcomes: vec![(Check::AuthenticatorData, Outcome::Failed(failed))],
        remarks: Vec::new(),
        facts: None,
    };
    let mut data = match AuthenticatorData::parse(answer.auth_data) {
        Ok(data) => data,
        Err(error) => return unreadable(error.into()),
    };
    let Some(credential) = data.credential.take() else { return unreadable(CheckFailed::NoCredential) };
    let key = PublicKey::from_cose(&credential.public_key_cose);
    let statement = Statement::parse(answer.fmt, answer.att_stmt);
    let x5c = statement.as_ref().map(Statement::x5c).unwrap_or_default();
    let listed = trust.metadata.and_then(|metadata| metadata.model(credential.aaguid));
    let today = day(trust.now);

    let signature = match (&statement, &key) {
        (Err(error), _) => Outcome::Failed(error.clone().into()),
        (_, Err(_)) => Outcome::NotMade("the credential's public key can't be used".into()),
        (Ok(Statement::None), _) => Outcome::NotMade("the key sent no attestation".into()),
        (Ok(statement), Ok(key)) => match statement.verify(answer.auth_data, expected.client_data_hash, key) {
            Ok(()) => Outcome::Passed,
            // Proves nothing, for or against the key.
            Err(error @ StatementError::Algorithm(_)) => Outcome::NotMade(error.to_string()),
            Err(error) => Outcome::Failed(error.into()),
        },
    };
    // Certificates are public: without a signature by the first one's key a chain says nothing of this key.
    let chain = match (&statement, &signature) {
        (Ok(statement), Outcome::Passed) => chain(statement, credential.aaguid, trust),
        (Ok(Statement::None), _) => chain(&Statement::None, credential.aaguid, trust),
        _ => Outcome::NotMade("the attestation signature was not verified".into()),
    };
    let certificate = match x5c.first() {
        None => Outcome::NotMade("the key sent no attestation certificate".into()),
        Some(leaf) => check_packed(leaf, credential.aaguid).map_err(CheckFailed::from).into(),
    };
    let outcomes = vec![
        (Check::AuthenticatorData, Outcome::Passed),
        (Check::RpIdHash, rp_id_hash(&data, expected).into()),
        (Check::Flags, flags(&data).into()),
        (Check::Aaguid, aaguid(credential.aaguid, expected.aaguid).into()),
        (Check::CredentialId, credential_id(&credential.id, expected.excluded).into()),
        (Check::Algorithm, algorithm(&key, expected.algorithms).into()),
        (Check::CredProtect, cred_protect(&data, expected)),
        (Check::HmacSecret, hmac_secret(&data, expected.hmac_secret)),
        (Check::AttestationSignature, signature),
        (Check::AttestationCertificate, certificate),
        (Check::AttestationChain, chain),
        (Check::MetadataStatus, status(credential.aaguid, x5c, trust)),
    ];
    let mut remarks: Vec<String> =
        listed.map(|model| model.remarks(today)).unwrap_or_default().into_iter().map(str::to_owned).collect();
    if data.flags.backup_eligible() {
        remarks.push("the credential may be copied to other devices; Entra counts it as a synced passkey".to_owned());
    }
    let facts = Facts {
        aaguid: credential.aaguid,
        credential: credential.id,
        public_key_cose: credential.public_key_cose,
        model: listed.and_then(|model| model.description.clone()),
        certified: listed.and_then(|model| model.certified(today)),
        attestation: statement.as_ref().ok().map(Statement::kind),
        backup_eligible: data.flags.backup_eligible(),
        sign_count: data.sign_count,
    };
    Report { outcomes, remarks, facts: Some(facts) }
}

fn rp_id_hash(data: &AuthenticatorData, expected: &Expected<'_>) -> Result<(), CheckFailed> {
    let wanted: [u8; 32] = Sha256::digest(expected.rp_id).into();
    if data.rp_id_hash == wanted { Ok(()) } else { Err(CheckFailed::RpIdHash(expected.rp_id.to_owned())) }
}

fn flags(data: &AuthenticatorData) -> Result<(), CheckFailed> {
    let flags = data.flags;
    if !flags.user_present() {
        return Err(CheckFailed::Flag("a touch (UP)"));
    }
    if !flags.user_verified() {
        return Err(CheckFailed::Flag("checking the PIN (UV)"));
    }
    // WebAuthn §6.1.3.
    if flags.backed_up() && !flags.backup_eligible() { Err(CheckFailed::BackupFlags) } else { Ok(()) }
}

fn aaguid(attested: Aaguid, said: Aaguid) -> Result<(), CheckFailed> {
    if attested == said { Ok(()) } else { Err(CheckFailed::Aaguid { said, attested }) }
}

fn credential_id(id: &CredentialId, excluded: &[CredentialId]) -> Result<(), CheckFailed> {
    // WebAuthn §4: at least 100 bits of entropy, so at least 16 bytes.
    match id.as_bytes().len() {
        short @ 0..=15 => Err(CheckFailed::CredentialIdLength(short)),
        _ if excluded.contains(id) => Err(CheckFailed::CredentialIdKnown),
        _ => Ok(()),
    }
}

fn algorithm(key: &Result<PublicKey, PublicKeyError>, offered: &[i64]) -> Result<(), CheckFailed> {
    let used = match key {
        Ok(key) => key.algorithm().cose(),
        Err(PublicKeyError::Unsupported(number)) if !offered.contains(number) => *number,
        Err(error) => return Err((*error).into()),
    };
    if offered.contains(&used) { Ok(()) } else { Err(CheckFailed::NotOffered { used, offered: offered.to_vec() }) }
}

fn cred_protect(data: &AuthenticatorData, expected: &Expected<'_>) -> Outcome {
    let told = data.extensions.cred_protect;
    match (expected.cred_protect, told) {
        (None, None) => Outcome::NotMade("no protection level was asked for".into()),
        // Not asked for, but told: a level of the key's own. The same harm, so the same check as for level 1.
        (None, Some(1)) => Outcome::Passed,
        (None, Some(_)) => Outcome::Failed(CheckFailed::CredProtect { asked: 1, found: told }),
        (Some(asked), Some(found)) if found == u64::from(asked.level()) => Outcome::Passed,
        // Level 1 is what a key without the extension has anyway (CTAP 2.1 §12.1).
        (Some(CredProtect::Optional), None) => Outcome::NotMade("the key doesn't tell the protection level".into()),
        (Some(asked), found) => Outcome::Failed(CheckFailed::CredProtect { asked: asked.level(), found }),
    }
}

fn hmac_secret(data: &AuthenticatorData, wanted: Wanted) -> Outcome {
    match (wanted, data.extensions.hmac_secret) {
        (Wanted::No, _) => Outcome::NotMade("hmac-secret was not asked for".into()),
        (_, Some(true)) => Outcome::Passed,
        (Wanted::Wished, None) => {
            Outcome::NotMade("the key doesn't tell whether the credential has hmac-secret".into())
        }
        (Wanted::Wished, Some(false)) => Outcome::NotMade("the key made the credential without hmac-secret".into()),
        (Wanted::Required, _) => Outcome::Failed(CheckFailed::HmacSecret),
    }
}

fn chain(statement: &Statement, aaguid: Aaguid, trust: &Trust<'_>) -> Outcome {
    let listed = trust.metadata.and_then(|metadata| metadata.model(aaguid));
    let without = match statement.kind() {
        AttestationKind::Certificate => None,
        AttestationKind::None => Some("not at all (`none`)"),
        AttestationKind::SelfSigned => Some("by itself, without a certificate"),
    };
    if let Some(how) = without {
        // A maker that promises certificates makes no keys that do without.
        let forbidden = statement.kind() == AttestationKind::SelfSigned
            && listed.is_some_and(|model| !model.roots.is_empty() && !model.may_self_attest);
        return if trust.enforced || forbidden {
            Outcome::Failed(CheckFailed::NoCertificate(how))
        } else {
            Outcome::NotMade(format!("the key attested {how}"))
        };
    }
    let roots = match listed {
        Some(model) => trust.roots.iter().fold(model.roots.clone(), |roots, root| roots.and(root)),
        None => trust.roots.clone(),
    };
    if roots.is_empty() {
        return Outcome::NotMade("no roots are known for this model; --mds names the FIDO metadata".into());
    }
    match validate(statement.x5c(), &roots, trust.now) {
        Ok(()) => Outcome::Passed,
        Err(error @ ChainError::Unsupported { .. }) => Outcome::NotMade(error.to_string()),
        // Roots that are given besides the metadata say nothing of models the metadata doesn't list.
        Err(ChainError::NoAnchor { .. }) if listed.is_none() && !trust.enforced => {
            Outcome::NotMade("no roots are known for this model; --mds names the FIDO metadata".into())
        }
        Err(error) => Outcome::Failed(error.into()),
    }
}

fn status(aaguid: Aaguid, x5c: &[Vec<u8>], trust: &Trust<'_>) -> Outcome {
    let Some(metadata) = trust.metadata else {
        return Outcome::NotMade("no FIDO metadata was given (--mds)".into());
    };
    match metadata.model(aaguid) {
        None if trust.enforced && trust.roots.is_empty() => Outcome::Failed(CheckFailed::NotListed(aaguid)),
        None => Outcome::NotMade(format!("the FIDO metadata doesn't list the model {aaguid}")),
        Some(model) => match model.defect(x5c, day(trust.now)) {
            None => Outcome::Passed,
            Some(defect) => Outcome::Failed(CheckFailed::Defective {
                model: model.description.clone().unwrap_or_else(|| aaguid.to_string()),
                defect,
            }),
        },
    }
}

#[cfg(test)]
mod tests;
