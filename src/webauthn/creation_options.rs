//! What the tenant asks for: the answer of Graph's `creationOptions`, checked before anything goes to a key.
//!
//! Promise: a [`CreationOptions`] can be used as it stands. Tolerated are members we don't know, `@odata` annotations, `null`
//! for an empty list, and the `{"value": …}` around it that Microsoft's examples show and its service leaves out.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_normalization::char::is_combining_mark;

use super::client_data::ClientData;
use super::public_key::Algorithm;
use crate::model::CredentialId;
use crate::model::base64url;
use crate::model::credential_id::{self, NotAnId};

/// The longest answer that is read; real ones have about 8 kB.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The shortest challenge (WebAuthn §13.4.3).
const MIN_CHALLENGE: usize = 16;

/// What a name may have on a key, in bytes of UTF-8 (WebAuthn §6.4.1).
pub const MAX_NAME_BYTES: usize = 64;

/// How well a credential is hidden from those who can't give the PIN (CTAP 2.1 §12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredProtect {
    /// Level 1: userVerificationOptional. What Entra asks for; higher levels break the sign-in to Windows 10.
    Optional,
    /// Level 2: userVerificationOptionalWithCredentialIDList.
    OptionalWithList,
    /// Level 3: userVerificationRequired.
    Required,
}

impl CredProtect {
    /// The number that CTAP2 sends.
    pub fn level(self) -> u8 {
        match self {
            Self::Optional => 1,
            Self::OptionalWithList => 2,
            Self::Required => 3,
        }
    }

    /// The level that a key tells by number, if there is such a one.
    pub fn of_level(level: u64) -> Option<Self> {
        [Self::Optional, Self::OptionalWithList, Self::Required]
            .into_iter()
            .find(|known| u64::from(known.level()) == level)
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "userVerificationOptional" => Some(Self::Optional),
            "userVerificationOptionalWithCredentialIDList" => Some(Self::OptionalWithList),
            "userVerificationRequired" => Some(Self::Required),
            _ => None,
        }
    }
}

/// Who the credential is for, from the tenant's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// A host name. The client data's origin is `https://` and this.
    pub id: String,
    /// For people.
    pub name: String,
}

/// Who the credential is for, from the person's side. Names as Graph sent them: see [`truncate_for_key`].
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// User handle, 1 to 64 bytes.
    pub id: Vec<u8>,
    /// The UPN.
    pub name: String,
    /// Display name.
    pub display_name: String,
}

impl fmt::Debug for User {
    /// Names of people stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User {{ id: {} bytes, … }}", self.id.len())
    }
}

/// A credential that the key must not hold already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// Every reading of its id, the likelier first; all of them go into the `excludeList`.
    pub readings: Vec<CredentialId>,
    /// As Graph has them, e.g. `usb`.
    pub transports: Vec<String>,
}

/// The extensions asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `hmacCreateSecret`: wanted for signing in to Windows while offline.
    pub hmac_create_secret: bool,
    /// `credentialProtectionPolicy`.
    pub cred_protect: Option<CredProtect>,
    /// `enforceCredentialProtectionPolicy`: a key that can't give the level asked for must not be used. At level 1 it has
    /// no effect (CTAP 2.1 §12.1).
    pub enforce_cred_protect: bool,
}

/// How the tenant picks authenticators. Not a reason to turn a key away: the service's own examples disagree on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `cross-platform` or `platform`.
    pub attachment: Option<String>,
    /// Discoverable credentials; Entra always wants them.
    pub require_resident_key: bool,
    /// `required`, `preferred` or `discouraged`; Entra always requires it.
    pub user_verification: Option<String>,
}

/// Creation options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationOptions {
    /// After this the tenant refuses the registration.
    pub expires: Timestamp,
    /// The challenge, decoded; about 5 kB.
    pub challenge: Vec<u8>,
    /// How long the ceremony may take; `None` where Graph sends 0 or nothing.
    pub timeout: Option<Duration>,
    /// The tenant's side.
    pub rp: RelyingParty,
    /// The person's side.
    pub user: User,
    /// COSE algorithm numbers, the preferred first; at least one that can be verified here.
    pub algorithms: Vec<i64>,
    /// What the person has already.
    pub exclude: Vec<Excluded>,
    /// `direct`, `none` …
    pub attestation: Option<String>,
    /// Selection.
    pub selection: Selection,
    /// Extensions.
    pub extensions: Extensions,
}

/// Why creation options can't be used. All but one mean that Graph's answer is not what it documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// More than [`MAX_BYTES`].
    #[error("Graph's creation options have {0} bytes; that can't be right")]
    TooLong(usize),
    /// No JSON, or members of other types.
    #[error("Graph's creation options can't be read: {0}")]
    Json(String),
    /// A member is missing.
    #[error("Graph's creation options lack `{0}`")]
    Missing(&'static str),
    /// A member is not base64url.
    #[error("`{0}` in Graph's creation options is not base64url")]
    NotBase64(&'static str),
    /// The challenge has fewer than 16 bytes.
    #[error("the challenge in Graph's creation options has {0} bytes; at least 16 are needed")]
    ShortChallenge(usize),
    /// The user handle has no byte or more than 64.
    #[error("`user.id` in Graph's creation options has {0} bytes; 1 to 64 are allowed")]
    UserIdLength(usize),
    /// The RP ID is not a host name.
    #[error("`rp.id` in Graph's creation options is `{0}`, which is not a host name")]
    RpId(String),
    /// An excluded id in no known encoding.
    #[error("`excludeCredentials` in Graph's creation options: {0}")]
    Excluded(#[from] NotAnId),
    /// No algorithm we can check.
    #[error("the tenant offers only the algorithms {0:?}; keybench needs ES256 (-7) or RS256 (-257)")]
    Algorithms(Vec<i64>),
    /// An unknown credentialProtectionPolicy.
    #[error("the tenant asks for the unknown credentialProtectionPolicy `{0}`")]
    CredProtect(String),
}

impl OptionsError {
    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Algorithms(_) | Self::CredProtect(_) => {
                "no key can be registered here with this version of keybench; look for a newer one, and report this"
            }
            Self::Json(_) => {
                "check that graph_url names Microsoft Graph and that no proxy answers in its place, then run the same command again"
            }
            _ => {
                "run the same command again; if it stays, Graph has changed: look for a newer keybench, and report this"
            }
        }
    }
}

impl CreationOptions {
    /// Reads the body of Graph's answer.
    ///
    /// # Errors
    /// [`OptionsError`] for the first thing that is not as it must be.
    pub fn parse(body: &[u8]) -> Result<Self, OptionsError> {
        if body.len() > MAX_BYTES {
            return Err(OptionsError::TooLong(body.len()));
        }
        let answer: Answer = serde_json::from_slice(body).map_err(|error| OptionsError::Json(error.to_string()))?;
        let (inner, outer_expiry) = match answer.value {
            Some(Inner { public_key: Some(key), challenge_timeout }) => ((key, challenge_timeout), answer.inner),
            _ => match answer.inner {
                Inner { public_key: Some(key), challenge_timeout } => ((key, challenge_timeout), Inner::default()),
                Inner { public_key: None, .. } => return Err(OptionsError::Missing("publicKey")),
            },
        };
        let (key, expiry) = inner;
        let expires =
            expiry.or(outer_expiry.challenge_timeout).ok_or(OptionsError::Missing("challengeTimeoutDateTime"))?;
        key.check(expires)
    }

    /// How long the challenge still holds: `None` once it is over. `now` is the server's time, as far as it is known.
    pub fn time_left(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(self.expires.duration_since(now)).ok().filter(|left| !left.is_zero())
    }

    /// The client data to sign.
    pub fn client_data(&self) -> ClientData {
        ClientData::create(&self.challenge, &self.rp.id)
    }

    /// Everything that belongs into the key's `excludeList`.
    pub fn exclude_list(&self) -> impl Iterator<Item = &CredentialId> {
        self.exclude.iter().flat_map(|one| &one.readings)
    }
}

/// Cuts a name to what every key can hold: at most [`MAX_NAME_BYTES`] bytes of UTF-8, between characters, and not between a
/// letter and its accents or the parts of one emoji (WebAuthn §6.4.1).
pub fn truncate_for_key(name: &str) -> &str {
    if name.len() <= MAX_NAME_BYTES {
        return name;
    }
    let joins =
        |c: char| is_combining_mark(c) || matches!(c, '\u{200D}' | '\u{FE0E}' | '\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}');
    let hard = (0..=MAX_NAME_BYTES).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let mut cut = hard;
    loop {
        let (before, after) = name.split_at(cut);
        let inside = after.starts_with(joins) || before.ends_with('\u{200D}');
        match (inside, before.char_indices().next_back()) {
            // One character and its marks fill it all: better those cut than no name.
            (_, None) => return name.get(..hard).unwrap_or_default(),
            (true, Some((previous, _))) => cut = previous,
            (false, Some(_)) => return before,
        }
    }
}

/// Lower-case labels of letters, digits and hyphens, and no IP address: what WebAuthn §5.1.2 lets an RP ID be.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric_end = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && !numeric_end && (text.contains('.') || text == "localhost")
}

#[derive(Deserialize)]
struct Answer {
    value: Option<Inner>,
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Default, Deserialize)]
struct Inner {
    #[serde(rename = "publicKey")]
    public_key: Option<PublicKey>,
    #[serde(rename = "challengeTimeoutDateTime")]
    challenge_timeout: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    challenge: Option<String>,
    timeout: Option<u64>,
    attestation: Option<String>,
    rp: Option<Rp>,
    user: Option<UserEntity>,
    pub_key_cred_params: Option<Vec<Parameter>>,
    exclude_credentials: Option<Vec<Descriptor>>,
    authenticator_selection: Option<Criteria>,
    extensions: Option<ExtensionInputs>,
}

#[derive(Deserialize)]
struct Rp {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserEntity {
    id: Option<String>,
    name: Option<String>,
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Parameter {
    r#type: Option<String>,
    alg: Option<i64>,
}

#[derive(Deserialize)]
struct Descriptor {
    id: Option<String>,
    transports: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Criteria {
    authenticator_attachment: Option<String>,
    require_resident_key: Option<bool>,
    user_verification: Option<String>,
}

/// An open type in Graph: values of other types are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExtensionInputs {
    hmac_create_secret: Option<Value>,
    credential_protection_policy: Option<Value>,
    enforce_credential_protection_policy: Option<Value>,
}

impl PublicKey {
    fn check(self, expires: Timestamp) -> Result<CreationOptions, OptionsError> {
        use OptionsError::{Missing, NotBase64};
        let challenge = self.challenge.ok_or(Missing("challenge"))?;
        let challenge = base64url::decode(&challenge).ok_or(NotBase64("challenge"))?;
        if challenge.len() < MIN_CHALLENGE {
            return Err(OptionsError::ShortChallenge(challenge.len()));
        }
        let rp = self.rp.ok_or(Missing("rp"))?;
        let rp_id = rp.id.ok_or(Missing("rp.id"))?;
        if !is_host(&rp_id) {
            return Err(OptionsError::RpId(rp_id.chars().take(253).collect()));
        }
        let user = self.user.ok_or(Missing("user"))?;
        let user_id = base64url::decode(&user.id.ok_or(Missing("user.id"))?).ok_or(NotBase64("user.id"))?;
        if !(1..=64).contains(&user_id.len()) {
            return Err(OptionsError::UserIdLength(user_id.len()));
        }
        let name = user.name.ok_or(Missing("user.name"))?;
        let algorithms = algorithms(self.pub_key_cred_params.unwrap_or_default())?;
        let exclude = excluded(self.exclude_credentials.unwrap_or_default())?;
        let criteria = self.authenticator_selection;
        Ok(CreationOptions {
            expires,
            challenge,
            timeout: self.timeout.filter(|milliseconds| *milliseconds > 0).map(Duration::from_millis),
            rp: RelyingParty { name: rp.name.unwrap_or_else(|| rp_id.clone()), id: rp_id },
            user: User { id: user_id, display_name: user.display_name.unwrap_or_else(|| name.clone()), name },
            algorithms,
            exclude,
            attestation: self.attestation,
            selection: criteria.map_or_else(Selection::default, |criteria| Selection {
                attachment: criteria.authenticator_attachment,
                require_resident_key: criteria.require_resident_key.unwrap_or(false),
                user_verification: criteria.user_verification,
            }),
            extensions: self.extensions.map_or_else(|| Ok(Extensions::default()), ExtensionInputs::check)?,
        })
    }
}

impl ExtensionInputs {
    fn check(self) -> Result<Extensions, OptionsError> {
        let cred_protect = match self.credential_protection_policy {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(
                CredProtect::named(&name).ok_or_else(|| OptionsError::CredProtect(name.chars().take(64).collect()))?,
            ),
            Some(other) => return Err(OptionsError::CredProtect(other.to_string().chars().take(64).collect())),
        };
        Ok(Extensions {
            hmac_create_secret: self.hmac_create_secret == Some(Value::Bool(true)),
            cred_protect,
            enforce_cred_protect: self.enforce_credential_protection_policy == Some(Value::Bool(true)),
        })
    }
}

fn algorithms(parameters: Vec<Parameter>) -> Result<Vec<i64>, OptionsError> {
    let offered: Vec<i64> = parameters
        .into_iter()
        .filter(|parameter| parameter.r#type.as_deref().is_none_or(|kind| kind == "public-key"))
        .filter_map(|parameter| parameter.alg)
        .collect();
    let usable = |number: &i64| matches!(Algorithm::from_cose(*number), Some(Algorithm::Es256 | Algorithm::Rs256));
    if offered.iter().any(usable) { Ok(offered) } else { Err(OptionsError::Algorithms(offered)) }
}

fn excluded(descriptors: Vec<Descriptor>) -> Result<Vec<Excluded>, OptionsError> {
    let ids = descriptors
        .iter()
        .map(|one| one.id.as_deref().ok_or(OptionsError::Missing("excludeCredentials.id")))
        .collect::<Result<Vec<_>, _>>()?;
    let readings = credential_id::read_all(ids)?;
    Ok(readings
        .into_iter()
        .zip(descriptors)
        .map(|(readings, one)| Excluded { readings, transports: one.transports.unwrap_or_default() })
        .collect())
}

#[cfg(test)]
mod tests;
