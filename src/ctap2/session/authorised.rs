//! What can be done with a token: one purpose each.

use sha2::{Digest as _, Sha256};

use super::Core;
use super::pin::PinError;
use crate::ctap2::command::client_pin::Permissions;
use crate::ctap2::command::config::{Config, PinRules, config};
use crate::ctap2::command::credential_management::{Manager, Metadata, StoredCredential, StoredRp};
use crate::ctap2::command::get_assertion::{Assertion, GetAssertion, get_assertion};
use crate::ctap2::command::get_info::{GetInfo, get_info};
use crate::ctap2::command::make_credential::{MakeCredential, NewCredential, make_credential};
use crate::ctap2::error::CtapError;
use crate::ctap2::pin_protocol::PinToken;
use crate::ctap2::transport::Watcher;
use crate::model::CredentialId;

mod sealed {
    pub trait Sealed {}
}

/// What a token is for. There are four, and they don't mix: each operation gets a fresh token.
pub trait Purpose: sealed::Sealed {
    /// The permission asked for.
    const PERMISSIONS: Permissions;
    /// Keys with noMcGaPermissionsWithClientPin refuse it to a PIN.
    const MAKES_OR_ASSERTS: bool;
    /// The RP the token is bound to.
    fn rp_id(&self) -> Option<&str> {
        None
    }
    /// Whether the key has what this needs; asked before a try is spent.
    ///
    /// # Errors
    /// [`PinError::Ctap`] with [`CtapError::Unsupported`].
    fn check(&self, info: &GetInfo) -> Result<(), PinError>;
}

/// To make a credential for one RP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// The RP's id.
    pub rp_id: String,
}

/// To sign for one RP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assert {
    /// The RP's id.
    pub rp_id: String,
}

/// To list and delete credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manage;

/// To change the key's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configure;

impl sealed::Sealed for Make {}
impl sealed::Sealed for Assert {}
impl sealed::Sealed for Manage {}
impl sealed::Sealed for Configure {}

impl Purpose for Make {
    const PERMISSIONS: Permissions = Permissions::MAKE_CREDENTIAL;
    const MAKES_OR_ASSERTS: bool = true;
    fn rp_id(&self) -> Option<&str> {
        Some(&self.rp_id)
    }
    fn check(&self, _: &GetInfo) -> Result<(), PinError> {
        Ok(())
    }
}

impl Purpose for Assert {
    const PERMISSIONS: Permissions = Permissions::GET_ASSERTION;
    const MAKES_OR_ASSERTS: bool = true;
    fn rp_id(&self) -> Option<&str> {
        Some(&self.rp_id)
    }
    fn check(&self, _: &GetInfo) -> Result<(), PinError> {
        Ok(())
    }
}

impl Purpose for Manage {
    const PERMISSIONS: Permissions = Permissions::CREDENTIAL_MANAGEMENT;
    const MAKES_OR_ASSERTS: bool = false;
    fn check(&self, info: &GetInfo) -> Result<(), PinError> {
        if info.options.is("credMgmt") || info.options.is("credentialMgmtPreview") {
            Ok(())
        } else {
            Err(CtapError::Unsupported("credential management").into())
        }
    }
}

impl Purpose for Configure {
    const PERMISSIONS: Permissions = Permissions::CONFIG;
    const MAKES_OR_ASSERTS: bool = false;
    fn check(&self, info: &GetInfo) -> Result<(), PinError> {
        if info.options.is("authnrCfg") {
            Ok(())
        } else {
            Err(CtapError::Unsupported("settings that can be changed (authenticatorConfig)").into())
        }
    }
}

/// A session with a token in hand. It borrows the session: while it lives no other token can be asked for, which would end
/// this one.
#[must_use = "a token that is not used has cost a PIN try for nothing"]
pub struct Authorised<'s, P> {
    core: &'s mut Core,
    token: PinToken,
    purpose: P,
}

impl<P: std::fmt::Debug> std::fmt::Debug for Authorised<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorised({:?})", self.purpose)
    }
}

impl<'s, P> Authorised<'s, P> {
    pub(super) fn new(core: &'s mut Core, token: PinToken, purpose: P) -> Self {
        Self { core, token, purpose }
    }
}

impl Authorised<'_, Make> {
    /// Makes the credential: the key waits for a touch. Uses the token up.
    ///
    /// # Errors
    /// [`CtapError`]. Unless [`CtapError::surely_undone`], the credential may be on the key.
    pub fn make_credential(
        self,
        request: &MakeCredential,
        watch: &mut dyn Watcher,
    ) -> Result<NewCredential, CtapError> {
        if request.rp.id != self.purpose.rp_id {
            return Err(CtapError::NotPossible("the PIN was given for another site"));
        }
        make_credential(&mut *self.core.link, request, Some(&self.token), watch)
    }
}

impl Authorised<'_, Assert> {
    /// Signs, with or without a touch. Uses the token up.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn get_assertion(self, request: &GetAssertion, watch: &mut dyn Watcher) -> Result<Assertion, CtapError> {
        if request.rp_id != self.purpose.rp_id {
            return Err(CtapError::NotPossible("the PIN was given for another site"));
        }
        get_assertion(&mut *self.core.link, request, Some(&self.token), watch)
    }
}

impl Authorised<'_, Manage> {
    fn manager(&mut self) -> Manager<'_> {
        let preview = !self.core.info.options.is("credMgmt");
        Manager { link: &mut *self.core.link, token: &self.token, preview }
    }

    /// How many passkeys there are, and how many more there can be.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn metadata(&mut self) -> Result<Metadata, CtapError> {
        self.manager().metadata()
    }

    /// Whose passkeys there are.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn relying_parties(&mut self) -> Result<Vec<StoredRp>, CtapError> {
        self.manager().relying_parties()
    }

    /// The passkeys of one RP.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn credentials_of(&mut self, rp_id: &str) -> Result<Vec<StoredCredential>, CtapError> {
        self.manager().credentials_of(&Sha256::digest(rp_id.as_bytes()).into())
    }

    /// The passkeys of one of [`Self::relying_parties`].
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn credentials_of_stored(&mut self, rp: &StoredRp) -> Result<Vec<StoredCredential>, CtapError> {
        self.manager().credentials_of(&rp.id_hash)
    }

    /// Deletes one; `false` when it was not there.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn delete_credential(&mut self, id: &CredentialId) -> Result<bool, CtapError> {
        self.manager().delete(id)
    }
}

/// The key's rules for PINs as getInfo tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinRulesNow {
    /// Code points.
    pub minimum: u64,
    /// A change is forced.
    pub forced: bool,
}

impl Authorised<'_, Configure> {
    /// Sets minimum length, who is told of it, and a forced change, in one command; then reads back what the key says.
    ///
    /// # Errors
    /// [`CtapError`]. It only tightens: sending it again does no harm.
    pub fn set_pin_rules(mut self, rules: &PinRules) -> Result<PinRulesNow, CtapError> {
        let info = &self.core.info;
        if !info.has_pin_rules() {
            return Err(CtapError::Unsupported("PIN rules that can be set (setMinPINLength)"));
        }
        if rules.minimum.is_some_and(|wanted| u64::from(wanted) < info.minimum_pin()) {
            return Err(CtapError::NotPossible("a key's minimum PIN length can only rise, until the key is reset"));
        }
        let told = u64::try_from(rules.rp_ids.len()).unwrap_or(u64::MAX);
        if told > info.max_rp_ids_for_min_pin.unwrap_or(0) {
            return Err(CtapError::NotPossible("the key can't tell its minimum PIN length to that many sites"));
        }
        self.change(&Config::SetPinRules(rules.clone()))?;
        let info = &self.core.info;
        Ok(PinRulesNow { minimum: info.minimum_pin(), forced: info.forces_pin_change() })
    }

    /// Makes the key want user verification for everything, or no longer.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn set_always_uv(mut self, wanted: bool) -> Result<(), CtapError> {
        match self.core.info.options.get("alwaysUv") {
            None => Err(CtapError::Unsupported("alwaysUv")),
            Some(now) if now == wanted => Ok(()),
            Some(_) => self.change(&Config::ToggleAlwaysUv),
        }
    }

    /// Enables enterprise attestation; until reset there is no way back.
    ///
    /// # Errors
    /// [`CtapError`].
    pub fn enable_enterprise_attestation(mut self) -> Result<(), CtapError> {
        match self.core.info.options.get("ep") {
            None => Err(CtapError::Unsupported("enterprise attestation")),
            Some(true) => Ok(()),
            Some(false) => self.change(&Config::EnableEnterpriseAttestation),
        }
    }

    fn change(&mut self, request: &Config) -> Result<(), CtapError> {
        config(&mut *self.core.link, request, &self.token)?;
        self.core.info = get_info(&mut *self.core.link)?;
        Ok(())
    }
}
