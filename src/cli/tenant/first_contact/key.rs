//! The key of a trial: makes passkeys and removes them again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::cli::key::look::Seen;
use crate::cli::key::{Which, choose, closed};
use crate::cli::{CliError, Exit, codes};
use crate::ctap2::session::Tools;
use crate::ctap2::transport::Unwatched;
use crate::model::{CredentialId, Pin, PortName};
use crate::pipeline::KeyHand;
use crate::pipeline::event::Event;
use crate::webauthn::attestation::{AttestationObject, KeyAnswer};
use crate::webauthn::auth_data::AuthenticatorData;
use crate::webauthn::creation_options::CreationOptions;
use crate::world::KeyPorts;

/// A key with a PIN.
pub(super) struct TestKey {
    hand: KeyHand,
    port: PortName,
    model: String,
}

/// A passkey, ready to be registered.
pub(super) struct MadePasskey {
    /// On the key.
    pub(super) credential: CredentialId,
    /// base64url without padding.
    pub(super) client_data: String,
    /// base64url without padding.
    pub(super) attestation: String,
    /// The attestation's format.
    pub(super) format: String,
}

impl TestKey {
    /// Opens the key that was named.
    pub(super) fn open(ports: &dyn KeyPorts, which: &Which, tools: &Tools) -> Result<Self, CliError> {
        let (key, look) = choose(ports, which, tools)?;
        let model = look.model().to_owned();
        match look.seen {
            Seen::PinSet(session) => Ok(Self { hand: KeyHand::pin_set(session), port: key.port, model }),
            Seen::Blank(_) => {
                let fact = format!("The key in port {} has no PIN.", key.port);
                let next = "take a test key and set a PIN on it with the system's settings or its maker's manager; keybench itself sets only PINs that a custodian can open.";
                Err(CliError::new(Exit::Keys, "key-trouble", fact, next))
            }
            other => Err(closed(&other, &key)),
        }
    }

    pub(super) fn port(&self) -> &PortName {
        &self.port
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn aaguid(&self) -> String {
        self.hand.info().aaguid.to_string()
    }

    /// Makes a passkey for these creation options; the key blinks.
    pub(super) fn make(&mut self, options: &Value, pin: &Pin) -> Result<MadePasskey, CliError> {
        let trouble = |why: String| {
            let fact = "The key made no passkey.";
            CliError::new(Exit::Keys, "key-trouble", fact, "see the cause; then run the same command again.")
                .because(why)
        };
        let options = CreationOptions::parse(options.to_string().as_bytes()).map_err(|error| {
            CliError::new(Exit::Tenant, "graph-malformed", "The creation options can't be used.", error.next())
                .because(error.to_string())
        })?;
        let made = self.hand.make_credential(pin, &options, &mut Unwatched);
        let made = made.map_err(|event| {
            let why = match &event {
                Event::NotMade { code } => codes::meaning(code).unwrap_or(code).to_owned(),
                Event::TouchTimedOut => "Nobody touched it in time.".to_owned(),
                Event::NotOpened(_) => "The PIN is wrong, or too few tries of it are left.".to_owned(),
                Event::KeyGone => "The key was taken out, or does not answer.".to_owned(),
                _ => "It answered what was not expected.".to_owned(),
            };
            let detail = self.hand.take_detail();
            trouble(detail.map_or_else(|| why.clone(), |detail| format!("{why} {detail}")))
        })?;
        let data = AuthenticatorData::parse(&made.auth_data).map_err(|error| trouble(error.to_string()))?;
        let credential = data.credential.ok_or_else(|| trouble("Its answer names no credential.".to_owned()))?.id;
        let answer = KeyAnswer { fmt: &made.format, att_stmt: &made.att_stmt, auth_data: &made.auth_data };
        let object = AttestationObject::of(&answer).map_err(|error| trouble(error.to_string()))?;
        Ok(MadePasskey {
            credential,
            client_data: URL_SAFE_NO_PAD.encode(options.client_data().json()),
            attestation: URL_SAFE_NO_PAD.encode(object.to_bytes()),
            format: made.format,
        })
    }

    /// Removes a passkey; whether that was done.
    pub(super) fn remove(&mut self, credential: &CredentialId, pin: &Pin) -> bool {
        matches!(self.hand.remove_credential(pin, credential), Event::CredentialRemoved(_))
    }
}
