//! Passkeys of other people: creation options, register, list, get, delete.
//!
//! Promise: what Graph did with a registration is one of three things and never guessed: created, refused, or unknown
//! (then the caller lists, and only then may send the same attestation again).

use serde_json::{Value, json};

use super::client::{ApiVersion, CallFailure, Graph};
use super::error::{ErrorKind, GraphError, one_line};
use super::http::{Request, escape};
use crate::model::credential_id;
use crate::model::{Aaguid, CredentialId, MethodId, UserId};

/// How often creation options that can't be read are asked for again.
const TORN_AGAIN: u32 = 2;

/// A passkey as Entra lists it. Members nobody needs are dropped, unknown ones ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fido2Method {
    /// Opaque; see [`credential_id`] for its relation to the credential.
    pub id: MethodId,
    /// The name it was given.
    pub display_name: Option<String>,
    /// When it was registered.
    pub created: Option<jiff::Timestamp>,
    /// Model id.
    pub aaguid: Option<Aaguid>,
    /// Model name, from metadata.
    pub model: Option<String>,
    /// `attested`, `notAttested`, or something newer.
    pub attestation_level: Option<String>,
    /// `deviceBound`, `synced`, or something newer.
    pub passkey_type: Option<String>,
}

impl Fido2Method {
    /// Reads a method; `None` without an id.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty()).map(|text| one_line(text, 200));
        Some(Self {
            id: MethodId::new(json["id"].as_str().filter(|id| !id.is_empty())?),
            display_name: text("displayName"),
            // The reference's samples misspell it.
            created: text("createdDateTime").or_else(|| text("creationDateTime")).and_then(|time| time.parse().ok()),
            aaguid: text("aaGuid").and_then(|id| Aaguid::parse(&id)),
            model: text("model"),
            attestation_level: text("attestationLevel"),
            passkey_type: text("passkeyType"),
        })
    }

    /// Whether this is that credential.
    pub fn is(&self, credential: &CredentialId) -> bool {
        credential_id::matches(&self.id, credential)
    }
}

/// Creation options as they came, with the time they came at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionsAnswer {
    /// The object with `challengeTimeoutDateTime` and `publicKey`; not checked here.
    pub json: Value,
    /// The service's time when it answered.
    pub server_time: jiff::Timestamp,
}

/// What is registered. All three byte strings are base64url without padding.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    /// At most 30 characters; see [`super::display_name`].
    pub display_name: &'a str,
    /// The key's credential id.
    pub credential_id: &'a CredentialId,
    /// The client data, as hashed for the key.
    pub client_data_json: &'a str,
    /// The attestation object.
    pub attestation_object: &'a str,
}

/// What came of a registration.
#[derive(Debug)]
pub enum RegistrationOutcome {
    /// Entra has it. A read-back by credential id is still due.
    Created(Fido2Method),
    /// It may or may not have it: list before anything else.
    Unknown(GraphError),
    /// It certainly does not have it from this request.
    Refused(GraphError),
}

fn methods_path(user: &UserId) -> String {
    format!("users/{}/authentication/fido2Methods", escape(user.as_str()))
}

impl Graph {
    /// Creation options for a user's next passkey. With `challenge_minutes` (5 to 43,200) they are asked of beta, whatever the
    /// settings say: v1.0 gives five minutes and takes no wish. Who wished for more has to look at what came.
    ///
    /// # Errors
    /// [`ErrorKind::MethodNotAllowed`] for oneself, [`ErrorKind::Forbidden`], [`ErrorKind::Refused`] by policy.
    pub fn creation_options(&self, user: &UserId, challenge_minutes: Option<u32>) -> Result<OptionsAnswer, GraphError> {
        let doing = format!("prepare a passkey for {user}");
        let (api, call) = match challenge_minutes {
            Some(minutes) => {
                (ApiVersion::Beta, format!("creationOptions(challengeTimeoutInMinutes={})", minutes.clamp(5, 43_200)))
            }
            None => (self.settings().api, "creationOptions".to_owned()),
        };
        let request = Request::get(self.url(api, &format!("{}/{call}", methods_path(user)))?, doing);
        let mut answer = self.call(&request)?;
        let mut json = answer.object(&request.doing);
        // An answer that was torn on its way is no refusal, and asking again harms nothing: a person would lose their turn for it.
        for _ in 0..TORN_AGAIN {
            if !matches!(&json, Err(error) if error.kind() == ErrorKind::Malformed) {
                break;
            }
            answer = self.call(&request)?;
            json = answer.object(&request.doing);
        }
        let json = json?;
        // The reference prints the object inside `value`, the service doesn't.
        let json = match json {
            Value::Object(mut map)
                if !map.contains_key("publicKey") && map.get("value").is_some_and(Value::is_object) =>
            {
                map.remove("value").unwrap_or_default()
            }
            other => other,
        };
        if !json["publicKey"].is_object() {
            return Err(
                GraphError::malformed(&request.doing, "The creation options have no `publicKey`.").with_ids(answer.ids)
            );
        }
        Ok(OptionsAnswer { json, server_time: answer.date.unwrap_or_else(|| self.server_now()) })
    }

    /// Registers a passkey. Sent once; again only when it certainly had no effect (429, no connection).
    pub fn register(&self, user: &UserId, passkey: &Registration<'_>) -> RegistrationOutcome {
        self.register_on(self.settings().api, user, passkey)
    }

    /// Registers a passkey whose challenge was asked of beta for its long life: it goes back to where it came from.
    pub fn register_held(&self, user: &UserId, passkey: &Registration<'_>) -> RegistrationOutcome {
        self.register_on(ApiVersion::Beta, user, passkey)
    }

    fn register_on(&self, api: ApiVersion, user: &UserId, passkey: &Registration<'_>) -> RegistrationOutcome {
        let doing = format!("register a passkey for {user}");
        let url = match self.url(api, &methods_path(user)) {
            Ok(url) => url,
            Err(error) => return RegistrationOutcome::Refused(error),
        };
        // Exactly these members: the types are closed, and anything else is a 400.
        let body = json!({
            "displayName": passkey.display_name,
            "publicKeyCredential": {
                "id": passkey.credential_id.to_base64url(),
                "response": {
                    "clientDataJSON": passkey.client_data_json,
                    "attestationObject": passkey.attestation_object,
                },
            },
        });
        match self.call(&Request::post(url, body, &doing)) {
            Ok(answer) => match answer.object(&doing) {
                Ok(json) => match Fido2Method::from_json(&json) {
                    Some(method) => RegistrationOutcome::Created(method),
                    None => RegistrationOutcome::Unknown(
                        GraphError::malformed(&doing, "The registered passkey has no id.")
                            .with_ids(answer.ids)
                            .outcome_unknown(),
                    ),
                },
                // A success that can't be read is a success perhaps.
                Err(error) => RegistrationOutcome::Unknown(error.outcome_unknown()),
            },
            Err(CallFailure::Unknown(error)) => RegistrationOutcome::Unknown(error.outcome_unknown()),
            Err(CallFailure::Failed(error)) => RegistrationOutcome::Refused(error),
        }
    }

    /// A user's passkeys. A fresh one may be missing for some seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when an entry has no id.
    pub fn passkeys(&self, user: &UserId) -> Result<Vec<Fido2Method>, GraphError> {
        let doing = format!("list the passkeys of {user}");
        let items = self.collection(Request::get(self.url(self.settings().api, &methods_path(user))?, &doing))?;
        items
            .iter()
            .map(|item| {
                Fido2Method::from_json(item).ok_or_else(|| GraphError::malformed(&doing, "A passkey has no id."))
            })
            .collect()
    }

    /// A user's passkey for one credential, looked for in the list; `None` if it isn't there (yet).
    ///
    /// # Errors
    /// As [`Self::passkeys`].
    pub fn passkey_of(&self, user: &UserId, credential: &CredentialId) -> Result<Option<Fido2Method>, GraphError> {
        Ok(self.passkeys(user)?.into_iter().find(|method| method.is(credential)))
    }

    /// One passkey by its method id; `None` if there is none.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn passkey(&self, user: &UserId, method: &MethodId) -> Result<Option<Fido2Method>, GraphError> {
        let doing = format!("read a passkey of {user}");
        let url = self.url(self.settings().api, &format!("{}/{}", methods_path(user), escape(method.as_str())))?;
        match self.object(&Request::get(url, &doing)) {
            Ok(json) => match Fido2Method::from_json(&json) {
                Some(method) => Ok(Some(method)),
                None => Err(GraphError::malformed(&doing, "The passkey has no id.")),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a passkey; one that is gone already is as good as removed. `true` if this call removed it.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn remove_passkey(&self, user: &UserId, method: &MethodId) -> Result<bool, GraphError> {
        let doing = format!("remove a passkey of {user}");
        let url = self.url(self.settings().api, &format!("{}/{}", methods_path(user), escape(method.as_str())))?;
        match self.call(&Request::delete(url, doing)) {
            Ok(_) => Ok(true),
            Err(failure) => {
                let error = GraphError::from(failure);
                if error.kind() == ErrorKind::NotFound { Ok(false) } else { Err(error) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_method_is_read_whatever_else_is_there() {
        let method = Fido2Method::from_json(&json!({
            "@odata.context": "x", "id": "2_4Vb6SXwGtpyc0Tt7rUavuKfLLXk9QYIKTfco9RguI1", "displayName": "k",
            "createdDateTime": "2026-04-20T10:15:30Z", "aaGuid": "de1e552d-db1d-4423-a619-566b625cdc84", "model": null,
            "attestationLevel": "attested", "lastUsedDateTime": null, "somethingNew": {"a": 1}
        }))
        .expect("a method");
        assert_eq!(method.aaguid.map(|id| id.to_string()).as_deref(), Some("de1e552d-db1d-4423-a619-566b625cdc84"));
        assert!(method.created.is_some());
        assert_eq!((method.model, method.passkey_type), (None, None));
        assert_eq!(Fido2Method::from_json(&json!({"displayName": "k"})), None);
    }

    proptest! {
        #[test]
        fn no_method_panics(id in "\\PC{0,40}", time in "\\PC{0,30}", guid in "\\PC{0,40}") {
            let _ = Fido2Method::from_json(&json!({"id": id, "createdDateTime": time, "aaGuid": guid}));
        }
    }
}
