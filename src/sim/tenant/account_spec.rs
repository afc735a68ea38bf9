//! What a simulated tenant is made of, around the passkeys: domains, licences, passes, other ways to sign in.

use serde::{Deserialize, Serialize};

use super::spec::TenantSpec;

fn yes() -> bool {
    true
}

/// A domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainSpec {
    /// Its name.
    pub name: String,
    /// Its owner was proved.
    #[serde(default = "yes")]
    pub verified: bool,
    /// Another identity provider signs its people in.
    #[serde(default)]
    pub federated: bool,
}

/// A licence with its seats.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceSpec {
    /// `skuPartNumber`.
    pub name: String,
    /// Seats.
    pub seats: u32,
}

impl TenantSpec {
    /// All domains, the initial one first.
    pub(super) fn domains(&self) -> Vec<DomainSpec> {
        let initial = DomainSpec { name: self.domain.clone(), verified: true, federated: false };
        std::iter::once(initial).chain(self.other_domains.iter().cloned()).collect()
    }
}

/// A way to sign in beside passkey, pass, token and password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodSpec {
    /// What it is.
    pub kind: MethodKind,
    /// Number, address or device.
    #[serde(default)]
    pub name: String,
    /// The person's default: it can't be deleted while there are others.
    #[serde(default)]
    pub default: bool,
}

/// Kinds of [`MethodSpec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MethodKind {
    /// Text messages and calls.
    Phone,
    /// For resetting passwords.
    Email,
    /// Microsoft Authenticator.
    Authenticator,
    /// A code from an app.
    SoftwareOath,
    /// Windows Hello for Business.
    WindowsHello,
    /// macOS.
    PlatformCredential,
}

impl MethodKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Phone,
        Self::Email,
        Self::Authenticator,
        Self::SoftwareOath,
        Self::WindowsHello,
        Self::PlatformCredential,
    ];
}

/// The Temporary Access Pass policy; the numbers are Microsoft's defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TapSpec {
    /// The method is on.
    pub enabled: bool,
    /// Characters of a code, 8 to 48.
    pub length: u32,
    /// Shortest life.
    pub least_minutes: u32,
    /// Longest life.
    pub most_minutes: u32,
    /// Life where none is asked for.
    pub default_minutes: u32,
    /// Every pass works once.
    pub once_only: bool,
    /// Groups by name in scope; empty means everybody.
    pub include_groups: Vec<String>,
    /// Groups by name out of scope; stronger than inclusion.
    pub exclude_groups: Vec<String>,
}

impl Default for TapSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            length: 8,
            least_minutes: 60,
            most_minutes: 480,
            default_minutes: 60,
            once_only: false,
            include_groups: Vec::new(),
            exclude_groups: Vec::new(),
        }
    }
}
