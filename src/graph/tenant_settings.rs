//! Switches of the whole tenant: security defaults, device registration, and what users may do.

use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::Request;
use super::rights::{self, Rights, look};
use super::words::words;

documents!(
    /// `identitySecurityDefaultsEnforcementPolicy`.
    SecurityDefaults,
    /// `deviceRegistrationPolicy`.
    DeviceRegistrationPolicy,
    /// `authorizationPolicy`.
    AuthorizationPolicy,
);

words!(
    /// The tenant-wide switch "require multifactor authentication to register or join devices".
    JoinMfa {
        /// Off: as it must be where a Conditional Access policy asks for it.
        NotRequired = "notRequired",
        /// On.
        Required = "required",
    }
);

impl SecurityDefaults {
    /// Whether they are on; they and Conditional Access exclude each other.
    pub fn is_enabled(&self) -> Option<bool> {
        self.0.member("isEnabled").as_bool()
    }
}

impl DeviceRegistrationPolicy {
    /// Whether joining a device needs MFA whatever Conditional Access says.
    pub fn join_mfa(&self) -> Option<JoinMfa> {
        self.0.text("/multiFactorAuthConfiguration").map(JoinMfa::read)
    }
}

impl AuthorizationPolicy {
    /// Whether administrators may reset their own password; says nothing of other people.
    pub fn admins_reset_their_password(&self) -> Option<bool> {
        self.0.member("allowedToUseSSPR").as_bool()
    }
}

const DEFAULTS: &str = "policies/identitySecurityDefaultsEnforcementPolicy";
const DEVICES: &str = "policies/deviceRegistrationPolicy";
const AUTHORIZATION: &str = "policies/authorizationPolicy";

impl Graph {
    /// Security defaults.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::POLICY_READ`].
    pub fn security_defaults(&self) -> Result<SecurityDefaults, GraphError> {
        self.setting(DEFAULTS, "read whether security defaults are on", &rights::POLICY_READ).map(SecurityDefaults)
    }

    /// Switches security defaults.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] while Conditional Access policies are on.
    pub fn change_security_defaults(&self, change: &Document) -> Result<Written<()>, GraphError> {
        self.set(DEFAULTS, change, "switch security defaults", &rights::DEFAULTS_WRITE, look::DEFAULTS)
    }

    /// Who may register and join devices, and how.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::DEVICES_READ`].
    pub fn device_registration_policy(&self) -> Result<DeviceRegistrationPolicy, GraphError> {
        let doing = "read the device registration policy";
        self.setting(DEVICES, doing, &rights::DEVICES_READ).map(DeviceRegistrationPolicy)
    }

    /// Changes it. Graph takes it whole only (`PUT`): give what was read, changed.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn replace_device_registration_policy(&self, whole: &Document) -> Result<Written<()>, GraphError> {
        let url = self.url(ApiVersion::V1, DEVICES)?;
        let request = Request::put(url, whole.to_json(), "change the device registration policy");
        self.write_only(&request.needing(&rights::DEVICES_WRITE).refused(look::DEVICES))
    }

    /// What users may do.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::POLICY_READ`].
    pub fn authorization_policy(&self) -> Result<AuthorizationPolicy, GraphError> {
        self.setting(AUTHORIZATION, "read the authorization policy", &rights::POLICY_READ).map(AuthorizationPolicy)
    }

    /// Changes what users may do.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::AUTHORIZATION_WRITE`].
    pub fn change_authorization_policy(&self, change: &Document) -> Result<Written<()>, GraphError> {
        self.set(
            AUTHORIZATION,
            change,
            "change the authorization policy",
            &rights::AUTHORIZATION_WRITE,
            look::AUTHORIZATION,
        )
    }

    fn setting(&self, path: &str, doing: &str, rights: &'static Rights) -> Result<Document, GraphError> {
        let request = Request::get(self.url(ApiVersion::V1, path)?, doing).needing(rights);
        self.document(&request.all_words())
    }

    fn set(
        &self,
        path: &str,
        change: &Document,
        doing: &str,
        rights: &'static Rights,
        look: &'static str,
    ) -> Result<Written<()>, GraphError> {
        self.write_only(
            &Request::patch(self.url(ApiVersion::V1, path)?, change.to_json(), doing).needing(rights).refused(look),
        )
    }
}
