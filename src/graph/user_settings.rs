//! A person's own settings for signing in: per-user MFA, and which second factor is asked for first. Beta only.
//!
//! Source: Microsoft Graph beta, `authentication: requirements` and `signInPreferences`. Being beta they may change or go;
//! [`Beta`] says so wherever they are called.

use serde_json::json;

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights;
use super::words::words;
use crate::model::UserId;

/// The calls that only Graph's beta has.
#[derive(Debug, Clone, Copy)]
pub struct Beta<'a>(pub(super) &'a Graph);

impl Graph {
    /// Calls of Graph's beta, which Microsoft may change without notice; name them so to people.
    pub fn beta(&self) -> Beta<'_> {
        Beta(self)
    }
}

words!(
    /// The older, per-person MFA switch.
    PerUserMfa {
        /// Off: as it must be where Conditional Access decides.
        Disabled = "disabled",
        /// On, and the person has yet to register.
        Enabled = "enabled",
        /// On.
        Enforced = "enforced",
    }
);

words!(
    /// Which second factor is asked for first. There is no word for a passkey.
    SecondFactor {
        /// Authenticator.
        Push = "push",
        /// A code of an app or token.
        Oath = "oath",
        /// A call to the mobile phone.
        VoiceMobile = "voiceMobile",
        /// A call to the other mobile phone.
        VoiceAlternateMobile = "voiceAlternateMobile",
        /// A call to the office phone.
        VoiceOffice = "voiceOffice",
        /// A text message.
        Sms = "sms",
    }
);

documents!(
    /// `signInPreferences`.
    SignInPreferences,
    /// `strongAuthenticationRequirements`.
    Requirements,
);

impl SignInPreferences {
    /// What is asked for first, unless the system prefers otherwise.
    pub fn preferred(&self) -> Option<SecondFactor> {
        self.0.text("/userPreferredMethodForSecondaryAuthentication").map(SecondFactor::read)
    }

    /// Whether the system chooses.
    pub fn system_chooses(&self) -> Option<bool> {
        self.0.member("isSystemPreferredAuthenticationMethodEnabled").as_bool()
    }
}

impl Requirements {
    /// The switch.
    pub fn per_user_mfa(&self) -> Option<PerUserMfa> {
        self.0.text("/perUserMfaState").map(PerUserMfa::read)
    }
}

fn path(user: &UserId, what: &str) -> String {
    format!("users/{}/authentication/{what}", escape(user.as_str()))
}

impl Beta<'_> {
    /// One person's per-user MFA.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::REQUIREMENTS_READ`].
    pub fn requirements(&self, user: &UserId) -> Result<Requirements, GraphError> {
        let url = self.0.url(ApiVersion::Beta, &path(user, "requirements"))?;
        let doing = format!("read the per-user MFA of {user}");
        self.0.document(&Request::get(url, doing).needing(&rights::REQUIREMENTS_READ)).map(Requirements)
    }

    /// Everybody's per-user MFA, in the users' order, twenty in a request; `None` for who isn't there.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::REQUIREMENTS_READ`].
    pub fn requirements_of(&self, users: &[UserId]) -> Result<Vec<Option<Requirements>>, GraphError> {
        let doing = "read the per-user MFA of people";
        let parts: Vec<Part> = users.iter().map(|user| Part::get(format!("/{}", path(user, "requirements")))).collect();
        let answers = self.0.batch_on(ApiVersion::Beta, &parts, doing)?;
        let read = |answer: super::batch::PartAnswer| {
            if answer.is_not_found() {
                return Ok(None);
            }
            let json = answer.needing(&rights::REQUIREMENTS_READ).into_object(doing)?;
            Ok(Document::from_json(json).map(Requirements))
        };
        answers.into_iter().map(read).collect()
    }

    /// Sets one person's per-user MFA.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::REQUIREMENTS_WRITE`].
    pub fn set_per_user_mfa(&self, user: &UserId, state: &PerUserMfa) -> Result<Written<()>, GraphError> {
        let url = self.0.url(ApiVersion::Beta, &path(user, "requirements"))?;
        let doing = format!("set the per-user MFA of {user}");
        let request = Request::patch(url, json!({ "perUserMfaState": state.as_str() }), doing);
        self.0.write_only(&request.needing(&rights::REQUIREMENTS_WRITE).refused(rights::look::REQUIREMENTS))
    }

    /// One person's sign-in preferences.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::PREFERENCES_READ`].
    pub fn sign_in_preferences(&self, user: &UserId) -> Result<SignInPreferences, GraphError> {
        let url = self.0.url(ApiVersion::Beta, &path(user, "signInPreferences"))?;
        let doing = format!("read the sign-in preferences of {user}");
        self.0.document(&Request::get(url, doing).needing(&rights::PREFERENCES_READ)).map(SignInPreferences)
    }

    /// Changes one person's sign-in preferences.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::PREFERENCES_WRITE`].
    pub fn change_sign_in_preferences(&self, user: &UserId, change: &Document) -> Result<Written<()>, GraphError> {
        let url = self.0.url(ApiVersion::Beta, &path(user, "signInPreferences"))?;
        let doing = format!("set the sign-in preferences of {user}");
        self.0.write_only(
            &Request::patch(url, change.to_json(), doing)
                .needing(&rights::PREFERENCES_WRITE)
                .refused(rights::look::PREFERENCES),
        )
    }
}
