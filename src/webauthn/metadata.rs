//! The FIDO Alliance's metadata (MDS 3), offline: which models there are, which roots they attest under, and which are broken.
//!
//! Promise: nothing of a BLOB is believed before its signature and its signer's chain hold, and an older BLOB is never taken
//! after a newer one. Members we don't know are ignored, and so are entries that can't be read; those are counted.
//! Source: FIDO Metadata Service v3.1 and FIDO Metadata Statement v3.1.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IgnoredAny;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::public_key::{Algorithm, verify_with_certificate};
use super::trust::{Anchors, ChainError, validate};
use crate::model::Aaguid;
use crate::model::base64url;

/// The largest BLOB that is read; in 2026 it has about 5 MB.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Who signs the BLOB.
const SIGNER: &str = "mds.fidoalliance.org";

/// Why a BLOB is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than [`MAX_BYTES`].
    #[error("the metadata file has {0} bytes; that can't be right")]
    TooLong(usize),
    /// Not three parts, or a part that can't be read.
    #[error("the metadata file is not a FIDO metadata BLOB: {0}")]
    Malformed(String),
    /// Signed in a way that can't be verified here.
    #[error("the metadata is signed with `{0}`, which can't be verified here")]
    Algorithm(String),
    /// Its signer can't be trusted.
    #[error("the metadata's signer is not trusted: {0}")]
    Chain(#[from] ChainError),
    /// Signed by somebody else.
    #[error("the metadata is signed by `{0}`, not by mds.fidoalliance.org")]
    Signer(String),
    /// The signature does not verify.
    #[error("the metadata's signature does not verify")]
    Signature,
    /// Older than one that was used before.
    #[error("the metadata is number {found}, but number {seen} was used before")]
    Older {
        /// Its number.
        found: u64,
        /// The highest number seen.
        seen: u64,
    },
}

impl MetadataError {
    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Chain(ChainError::Dates { .. }) => {
                "check this machine's clock; if it is right, fetch the present BLOB from https://mds3.fidoalliance.org/"
            }
            Self::Chain(ChainError::NoAnchor { .. }) | Self::Algorithm(_) => {
                "fetch the BLOB again from https://mds3.fidoalliance.org/; if that doesn't help, the FIDO Alliance has changed its \
                 signer and keybench needs an update"
            }
            _ => "fetch the present BLOB from https://mds3.fidoalliance.org/ and pass it with --mds",
        }
    }
}

/// A status that a model was given (MDS 3.1 §3.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Certified; the level as written, e.g. `L1` or `L2plus`, `None` for the old status without level.
    Certified(Option<String>),
    /// Known to be broken; see [`Defect`].
    Defective(Defect),
    /// Not certified, or any longer.
    NotCertified,
    /// The vendor offers a firmware that mends something.
    UpdateAvailable,
    /// No longer made or supported.
    Retired,
    /// The vendor's own assertion was submitted.
    SelfAssertion,
    /// Some other status, as written.
    Other(String),
}

/// Why a model must not be given to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// REVOKED.
    Revoked,
    /// USER_VERIFICATION_BYPASS: the key can be used without its PIN.
    UserVerificationBypass,
    /// ATTESTATION_KEY_COMPROMISE: others can attest as this model.
    AttestationKeyCompromise,
    /// USER_KEY_REMOTE_COMPROMISE: credentials can be taken from a distance.
    UserKeyRemoteCompromise,
    /// USER_KEY_PHYSICAL_COMPROMISE: credentials can be taken by whoever holds the key.
    UserKeyPhysicalCompromise,
}

impl Defect {
    /// The status as the FIDO Alliance writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "REVOKED",
            Self::UserVerificationBypass => "USER_VERIFICATION_BYPASS",
            Self::AttestationKeyCompromise => "ATTESTATION_KEY_COMPROMISE",
            Self::UserKeyRemoteCompromise => "USER_KEY_REMOTE_COMPROMISE",
            Self::UserKeyPhysicalCompromise => "USER_KEY_PHYSICAL_COMPROMISE",
        }
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Revoked => "the model was revoked",
            Self::UserVerificationBypass => "keys of this model can be used without their PIN",
            Self::AttestationKeyCompromise => "anybody may be able to make keys that pass for this model",
            Self::UserKeyRemoteCompromise => "credentials can be taken from keys of this model from a distance",
            Self::UserKeyPhysicalCompromise => "whoever holds a key of this model can take its credentials",
        }
    }
}

impl Status {
    fn named(name: &str) -> Self {
        match name {
            "FIDO_CERTIFIED" => Self::Certified(None),
            "NOT_FIDO_CERTIFIED" => Self::NotCertified,
            "REVOKED" => Self::Defective(Defect::Revoked),
            "USER_VERIFICATION_BYPASS" => Self::Defective(Defect::UserVerificationBypass),
            "ATTESTATION_KEY_COMPROMISE" => Self::Defective(Defect::AttestationKeyCompromise),
            "USER_KEY_REMOTE_COMPROMISE" => Self::Defective(Defect::UserKeyRemoteCompromise),
            "USER_KEY_PHYSICAL_COMPROMISE" => Self::Defective(Defect::UserKeyPhysicalCompromise),
            "UPDATE_AVAILABLE" => Self::UpdateAvailable,
            "RETIRED" => Self::Retired,
            "SELF_ASSERTION_SUBMITTED" => Self::SelfAssertion,
            other => match other.strip_prefix("FIDO_CERTIFIED_") {
                Some(level) => Self::Certified(Some(level.to_owned())),
                None => Self::Other(other.to_owned()),
            },
        }
    }
}

/// One report on a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The status.
    pub status: Status,
    /// From when on; `None` is from the beginning.
    pub effective: Option<Date>,
    /// The one attestation certificate (DER) it is about; `None` is all.
    pub certificate: Option<Vec<u8>>,
}

/// What the metadata says of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its id.
    pub aaguid: Aaguid,
    /// Its name, e.g. `YubiKey 5 Series with NFC`.
    pub description: Option<String>,
    /// The roots it attests under.
    pub roots: Anchors,
    /// It may attest without a certificate (`basic_surrogate`).
    pub may_self_attest: bool,
    /// Reports, in the order of the metadata.
    pub reports: Vec<StatusReport>,
}

impl Model {
    /// The defect for which a key with these attestation certificates must be refused on `today`, if there is one. A report on
    /// one certificate counts only for keys that show it, and a later certification does not lift a report: the metadata
    /// doesn't tell which of the keys in a box it is about.
    pub fn defect(&self, x5c: &[Vec<u8>], today: Date) -> Option<Defect> {
        self.reports.iter().filter(|report| report.effective.is_none_or(|from| from <= today)).find_map(|report| {
            let Status::Defective(defect) = report.status else { return None };
            let concerned = match &report.certificate {
                Some(certificate) if defect == Defect::AttestationKeyCompromise && !x5c.is_empty() => {
                    x5c.contains(certificate)
                }
                _ => true,
            };
            concerned.then_some(defect)
        })
    }

    /// How it is certified on `today`: the last report on certification that is in force.
    pub fn certified(&self, today: Date) -> Option<String> {
        let mut certification: Vec<&StatusReport> = self
            .reports
            .iter()
            .filter(|report| matches!(report.status, Status::Certified(_) | Status::NotCertified))
            .filter(|report| report.effective.is_none_or(|from| from <= today))
            .collect();
        // Stable: among reports of one day the later one stands.
        certification.sort_by_key(|report| report.effective);
        match &certification.last()?.status {
            Status::Certified(Some(level)) => Some(format!("FIDO certified {level}")),
            Status::Certified(None) => Some("FIDO certified".to_owned()),
            _ => None,
        }
    }

    /// Things to tell that are no reason to refuse the key.
    pub fn remarks(&self, today: Date) -> Vec<&'static str> {
        let in_force = |wanted: &Status| {
            self.reports
                .iter()
                .any(|report| report.status == *wanted && report.effective.is_none_or(|from| from <= today))
        };
        let mut remarks = Vec::new();
        if in_force(&Status::UpdateAvailable) {
            remarks.push("the vendor has published newer firmware for this model");
        }
        if in_force(&Status::Retired) {
            remarks.push("the vendor has retired this model");
        }
        if self.certified(today).is_none() {
            remarks.push("this model is not FIDO certified; a tenant that enforces attestation refuses it");
        }
        remarks
    }
}

/// A verified BLOB.
#[derive(Debug, Clone)]
pub struct Metadata {
    number: u64,
    next_update: Option<Date>,
    models: HashMap<Aaguid, Model>,
    unread: usize,
}

impl Metadata {
    /// Verifies and reads a BLOB. `anchors` is [`Anchors::fido`], and a simulator's root besides it only where the caller has
    /// made sure that everything is on loopback. `seen` is the highest number used before; the caller keeps
    /// [`Self::number`] for the next time.
    ///
    /// # Errors
    /// [`MetadataError`], as its variants say.
    pub fn open(blob: &[u8], anchors: &Anchors, now: Timestamp, seen: Option<u64>) -> Result<Self, MetadataError> {
        let payload = verified_payload(blob, anchors, now)?;
        let listed: Payload =
            serde_json::from_slice(&payload).map_err(|error| MetadataError::Malformed(error.to_string()))?;
        if let Some(seen) = seen.filter(|seen| listed.no < *seen) {
            return Err(MetadataError::Older { found: listed.no, seen });
        }
        let mut models = HashMap::new();
        let mut unread = 0;
        for entry in listed.entries {
            match entry {
                Listed::Read(entry) => {
                    if let Some(model) = entry.model() {
                        models.insert(model.aaguid, model);
                    }
                }
                Listed::Unread(_) => unread += 1,
            }
        }
        Ok(Self { number: listed.no, next_update: date(&listed.next_update), models, unread })
    }

    /// The BLOB's number; it grows with each one published.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A model, if it is listed.
    pub fn model(&self, aaguid: Aaguid) -> Option<&Model> {
        self.models.get(&aaguid)
    }

    /// Every model that is listed, in no order.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// Number of models listed.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether no model is listed.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// What the operator should know before relying on this BLOB.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.next_update {
            Some(due) if due < day(now) => warnings.push(format!(
                "The FIDO metadata (number {}) is out of date: a newer one was due on {due}. Next: fetch it from \
                 https://mds3.fidoalliance.org/ and pass it with --mds.",
                self.number
            )),
            None => warnings.push(format!("The FIDO metadata (number {}) doesn't say how long it holds.", self.number)),
            Some(_) => {}
        }
        if self.unread > 0 {
            warnings.push(format!("{} entries of the FIDO metadata could not be read and were left out.", self.unread));
        }
        warnings
    }
}

/// The day of `now`, in UTC: the unit of the metadata's dates.
pub(super) fn day(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

fn date(text: &str) -> Option<Date> {
    // Some are written with a time after the day.
    text.get(..10).and_then(|day| day.parse().ok())
}

/// The payload of a JWS in compact form, after its chain and its signature have been verified.
fn verified_payload(blob: &[u8], anchors: &Anchors, now: Timestamp) -> Result<Vec<u8>, MetadataError> {
    let malformed = |what: &str| MetadataError::Malformed(what.to_owned());
    if blob.len() > MAX_BYTES {
        return Err(MetadataError::TooLong(blob.len()));
    }
    let blob = blob.trim_ascii();
    let mut parts = blob.splitn(4, |byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("it is not three parts with dots between them"));
    };
    let signed = blob.get(..header.len() + 1 + payload.len()).ok_or_else(|| malformed("it is cut short"))?;
    let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is not base64url"));

    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|error| MetadataError::Malformed(error.to_string()))?;
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::Rs256,
        "ES256" => Algorithm::Es256,
        other => return Err(MetadataError::Algorithm(other.chars().take(32).collect())),
    };
    let chain = header
        .x5c
        .iter()
        .map(|text| base64url::decode(text.trim()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| malformed("its certificates are not base64"))?;
    validate(&chain, anchors, now)?;
    let leaf = chain.first().ok_or_else(|| malformed("it has no certificate"))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| malformed("its certificate can't be read"))?;
    if !is_signer(&leaf) {
        return Err(MetadataError::Signer(leaf.subject().to_string()));
    }
    let signature = decode(signature)?;
    let verified = match algorithm {
        // JWS writes an ECDSA signature as r and s side by side (RFC 7518 §3.4).
        Algorithm::Es256 => match p256::ecdsa::Signature::from_slice(&signature) {
            Ok(pair) => verify_with_certificate(algorithm, leaf.public_key(), signed, pair.to_der().as_bytes()).is_ok(),
            Err(_) => false,
        },
        _ => verify_with_certificate(algorithm, leaf.public_key(), signed, &signature).is_ok(),
    };
    if verified { decode(payload) } else { Err(MetadataError::Signature) }
}

fn is_signer(leaf: &X509Certificate<'_>) -> bool {
    let by_name = leaf.subject().iter_common_name().any(|name| name.as_str().is_ok_and(|name| name == SIGNER));
    let by_host = || {
        leaf.subject_alternative_name().ok().flatten().is_some_and(|extension| {
            extension
                .value
                .general_names
                .iter()
                .any(|name| matches!(name, GeneralName::DNSName(host) if *host == SIGNER))
        })
    };
    by_name || by_host()
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    x5c: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    no: u64,
    #[serde(rename = "nextUpdate", default)]
    next_update: String,
    #[serde(default)]
    entries: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Read(Box<RawEntry>),
    Unread(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    aaguid: Option<Aaguid>,
    metadata_statement: Option<RawStatement>,
    #[serde(default)]
    status_reports: Vec<RawReport>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatement {
    description: Option<String>,
    #[serde(default)]
    attestation_root_certificates: Vec<String>,
    #[serde(default)]
    attestation_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReport {
    status: String,
    effective_date: Option<String>,
    certificate: Option<String>,
}

impl RawEntry {
    /// `None` for what has no AAGUID: UAF and U2F authenticators.
    fn model(self) -> Option<Model> {
        let statement = self.metadata_statement.unwrap_or_default();
        Some(Model {
            aaguid: self.aaguid?,
            description: statement.description,
            roots: Anchors::of(statement.attestation_root_certificates.iter().filter_map(|text| certificate(text))),
            may_self_attest: statement.attestation_types.iter().any(|kind| kind == "basic_surrogate"),
            reports: self
                .status_reports
                .into_iter()
                .map(|report| StatusReport {
                    status: Status::named(&report.status),
                    effective: report.effective_date.as_deref().and_then(date),
                    certificate: report.certificate.as_deref().and_then(certificate),
                })
                .collect(),
        })
    }
}

/// base64 that some vendors break into lines.
fn certificate(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.split_ascii_whitespace().collect();
    base64url::decode(&joined)
}

#[cfg(test)]
mod tests;
