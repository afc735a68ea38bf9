//! Everything a person can sign in with, and taking one of them away.
//!
//! Source: Microsoft Graph, `authentication` of a user and its `…AuthenticationMethod` types. v1.0 lists all but hardware tokens,
//! which are read from beta. A kind that is newer than keybench is shown by its type's name and can't be removed here.

use jiff::Timestamp;
use serde_json::Value;

use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, Fixer, GraphError, one_line};
use super::http::{Request, escape};
use super::needs::Needs;
use super::temporary_access_pass::Deleted;
use crate::model::{MethodId, UserId};

const ROLES: &str = "Authentication Administrator, for people with admin roles Privileged Authentication Administrator";
const LIST: Needs = Needs {
    scope: "UserAuthenticationMethod.Read.All",
    roles: "Authentication Administrator, Privileged Authentication Administrator or Global Reader",
    refused: "Run the same command again; report it if it stays.",
};
const REFUSED: &str =
    "A method that is the person's default can't go while there are others: remove those first, or change the default.";

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MethodKind {
    /// A passkey: a security key, or one in an app.
    Passkey,
    /// A Temporary Access Pass.
    Pass,
    /// A hardware OATH token (beta).
    HardwareToken,
    /// A code from an app.
    SoftwareToken,
    /// Microsoft Authenticator.
    Authenticator,
    /// Phone sign-in with Microsoft Authenticator, which beta lists apart; it goes with the app.
    PhoneSignIn,
    /// Windows Hello for Business on one device.
    WindowsHello,
    /// A platform credential on a Mac.
    PlatformCredential,
    /// A phone number for text messages or calls.
    Phone,
    /// A mail address, for resetting passwords.
    Email,
    /// The password.
    Password,
    /// A QR code with a PIN.
    QrCode,
    /// Another provider's second factor.
    External,
    /// The type's name, as Graph writes it.
    Other(String),
}

struct Known {
    kind: MethodKind,
    /// Without `#microsoft.graph.` and `AuthenticationMethod`.
    odata: &'static str,
    /// Collection below `authentication`; empty where nothing can be deleted.
    set: &'static str,
    scope: &'static str,
    words: &'static str,
}

const fn known(
    kind: MethodKind,
    odata: &'static str,
    set: &'static str,
    scope: &'static str,
    words: &'static str,
) -> Known {
    Known { kind, odata, set, scope, words }
}

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known(MethodKind::Passkey, "fido2", "fido2Methods", "UserAuthMethod-Passkey.ReadWrite.All", "passkey"),
    known(MethodKind::Pass, "temporaryAccessPass", "temporaryAccessPassMethods", "UserAuthMethod-TAP.ReadWrite.All", "Temporary Access Pass"),
    known(MethodKind::HardwareToken, "hardwareOath", "hardwareOathMethods", "UserAuthMethod-HardwareOATH.ReadWrite.All", "hardware token"),
    known(MethodKind::SoftwareToken, "softwareOath", "softwareOathMethods", "UserAuthMethod-SoftwareOATH.ReadWrite.All", "code from an app"),
    known(MethodKind::Authenticator, "microsoftAuthenticator", "microsoftAuthenticatorMethods", "UserAuthMethod-MicrosoftAuthApp.ReadWrite.All", "Microsoft Authenticator"),
    known(MethodKind::PhoneSignIn, "passwordlessMicrosoftAuthenticator", "", "", "Authenticator phone sign-in"),
    known(MethodKind::WindowsHello, "windowsHelloForBusiness", "windowsHelloForBusinessMethods", "UserAuthMethod-WindowsHello.ReadWrite.All", "Windows Hello for Business"),
    known(MethodKind::PlatformCredential, "platformCredential", "platformCredentialMethods", "UserAuthMethod-PlatformCred.ReadWrite.All", "platform credential"),
    known(MethodKind::Phone, "phone", "phoneMethods", "UserAuthMethod-Phone.ReadWrite.All", "phone"),
    known(MethodKind::Email, "email", "emailMethods", "UserAuthMethod-Email.ReadWrite.All", "mail address"),
    known(MethodKind::Password, "password", "", "", "password"),
    known(MethodKind::QrCode, "qrCodePin", "qrCodePinMethod", "UserAuthMethod-QR.ReadWrite.All", "QR code with PIN"),
    known(MethodKind::External, "external", "externalAuthenticationMethods", "UserAuthMethod-External.ReadWrite.All", "external method"),
];

impl MethodKind {
    /// By `@odata.type`.
    pub(super) fn of(odata_type: &str) -> Self {
        let name = odata_type.trim_start_matches("#microsoft.graph.");
        let short = name.strip_suffix("AuthenticationMethod").unwrap_or(name);
        KNOWN
            .iter()
            .find(|known| known.odata == short)
            .map_or_else(|| Self::Other(one_line(name, 80)), |known| known.kind.clone())
    }

    fn known(&self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.kind == *self)
    }

    /// For people.
    pub fn words(&self) -> &str {
        match self {
            Self::Other(name) => name,
            kind => kind.known().map_or("method", |known| known.words),
        }
    }

    /// The word for `--json`, the ledger and the command line: Graph's, without its ending.
    pub fn word(&self) -> &str {
        match self {
            Self::Other(name) => name,
            kind => kind.known().map_or("other", |known| known.odata),
        }
    }

    /// Whether it counts among the two that a person should have: it can't be given away over the phone, and needs no password.
    pub fn is_strong(&self) -> bool {
        matches!(
            self,
            Self::Passkey | Self::WindowsHello | Self::PlatformCredential | Self::Authenticator | Self::PhoneSignIn
        )
    }
}

/// One way for one person.
#[derive(Debug, Clone, PartialEq)]
pub struct SignInMethod {
    /// Its id.
    pub id: MethodId,
    /// What it is.
    pub kind: MethodKind,
    /// What it is called: a display name, a device, the end of a number.
    pub name: Option<String>,
    /// When it was registered, where Graph says.
    pub created: Option<Timestamp>,
    /// As Graph gave it; for the ledger, should it be removed.
    pub json: Value,
}

impl SignInMethod {
    /// Reads a method; `None` without an id or a type.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty()).map(|text| one_line(text, 120));
        let kind = MethodKind::of(json["@odata.type"].as_str()?);
        let name = match kind {
            MethodKind::Phone => text("phoneNumber").map(|number| {
                let kind = text("phoneType").unwrap_or_default();
                format!("{} {kind}", shortened(&number)).trim().to_owned()
            }),
            MethodKind::Email => text("emailAddress"),
            MethodKind::Passkey => match (text("displayName"), text("model")) {
                (Some(name), Some(model)) => Some(format!("{name} ({model})")),
                (name, model) => name.or(model),
            },
            MethodKind::HardwareToken => json["device"]["serialNumber"].as_str().map(|serial| one_line(serial, 80)),
            _ => text("displayName"),
        };
        Some(Self {
            id: MethodId::new(json["id"].as_str().filter(|id| !id.is_empty())?),
            kind,
            name,
            created: text("createdDateTime").and_then(|time| time.parse().ok()),
            json: json.clone(),
        })
    }

    /// Whether it can be removed here.
    pub fn is_removable(&self) -> bool {
        self.kind.known().is_some_and(|known| !known.set.is_empty())
    }

    /// Method and path that remove it, for the ledger.
    pub fn removal(&self, user: &UserId) -> String {
        format!("DELETE /{}", self.path(user))
    }

    fn path(&self, user: &UserId) -> String {
        let set = self.kind.known().map_or("methods", |known| known.set);
        let user = escape(user.as_str());
        // A person has one QR code; it is no collection.
        if self.kind == MethodKind::QrCode {
            return format!("users/{user}/authentication/{set}");
        }
        format!("users/{user}/authentication/{set}/{}", escape(self.id.as_str()))
    }
}

/// The last digits of a number: enough to know it by.
fn shortened(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let tail: String = digits.iter().skip(digits.len().saturating_sub(3)).collect();
    format!("…{tail}")
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SignInMethods {
    /// All of them.
    pub methods: Vec<SignInMethod>,
    /// Hardware tokens could not be asked for (a beta call): there may be one.
    pub tokens_unknown: bool,
}

impl SignInMethods {
    /// How many strong ones.
    pub fn strong(&self) -> usize {
        self.methods.iter().filter(|method| method.kind.is_strong()).count()
    }
}

impl Graph {
    /// Everything a person can sign in with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a person who is too new.
    pub fn sign_in_methods(&self, user: &UserId) -> Result<SignInMethods, GraphError> {
        let doing = format!("list the sign-in methods of {user}");
        let path = format!("users/{}/authentication/methods", escape(user.as_str()));
        let items = self
            .collection(Request::get(self.url(ApiVersion::V1, &path)?, &doing))
            .map_err(|error| LIST.explain(error))?;
        let mut methods: Vec<SignInMethod> = items.iter().filter_map(SignInMethod::from_json).collect();
        if methods.len() < items.len() {
            return Err(GraphError::malformed(&doing, "A method has no id or no type."));
        }
        let path = format!("users/{}/authentication/hardwareOathMethods?$expand=device", escape(user.as_str()));
        let tokens = self.collection(Request::get(self.url(ApiVersion::Beta, &path)?, &doing));
        let tokens_unknown = match tokens {
            Ok(items) => {
                for mut item in items {
                    // The cast leaves the type out where only one is possible.
                    if let Some(map) = item.as_object_mut() {
                        map.entry("@odata.type").or_insert("#microsoft.graph.hardwareOathAuthenticationMethod".into());
                    }
                    methods.extend(SignInMethod::from_json(&item));
                }
                false
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Forbidden | ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::MethodNotAllowed
                ) =>
            {
                true
            }
            Err(error) => return Err(error),
        };
        Ok(SignInMethods { methods, tokens_unknown })
    }

    /// Takes a method away; one that is gone already is as good as removed.
    ///
    /// # Errors
    /// [`ErrorKind::MethodNotAllowed`] for a password or a kind we don't know; otherwise Graph's refusal.
    pub fn remove_method(&self, user: &UserId, method: &SignInMethod) -> Result<Deleted, GraphError> {
        let doing = format!("remove a sign-in method of {user}");
        let Some(known) = method.kind.known().filter(|known| !known.set.is_empty()) else {
            let fact = format!("A {} can't be removed by Graph", method.kind.words());
            return Err(GraphError::new(ErrorKind::MethodNotAllowed, Fixer::TenantAdmin, fact)
                .because("Every account keeps its password; other kinds keybench doesn't know yet.")
                .advise("Use the Entra admin centre: Users > the person > Authentication methods."));
        };
        let api = if method.kind == MethodKind::HardwareToken { ApiVersion::Beta } else { ApiVersion::V1 };
        let needs = Needs { scope: known.scope, roles: ROLES, refused: REFUSED };
        self.delete(&Request::delete(self.url(api, &method.path(user))?, doing)).map_err(|error| needs.explain(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(kind: &str, more: Value) -> SignInMethod {
        let mut json = json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": "1" });
        if let (Some(map), Value::Object(more)) = (json.as_object_mut(), more) {
            map.extend(more);
        }
        SignInMethod::from_json(&json).expect("a method")
    }

    #[test]
    fn every_kind_has_its_words_and_place() {
        let user = UserId::new("u");
        for known in KNOWN {
            let method = read(&format!("{}AuthenticationMethod", known.odata), json!({}));
            assert_eq!(method.kind, known.kind);
            assert_eq!(method.is_removable(), !known.set.is_empty());
            assert!(!method.kind.words().is_empty());
        }
        assert_eq!(
            read("fido2AuthenticationMethod", json!({})).removal(&user),
            "DELETE /users/u/authentication/fido2Methods/1"
        );
        assert_eq!(
            read("qrCodePinAuthenticationMethod", json!({})).removal(&user),
            "DELETE /users/u/authentication/qrCodePinMethod"
        );
        let newer = read("brainwaveAuthenticationMethod", json!({}));
        assert_eq!(
            (newer.kind.words(), newer.is_removable(), newer.kind.is_strong()),
            ("brainwaveAuthenticationMethod", false, false)
        );
    }

    #[test]
    fn names_tell_methods_apart_and_a_number_is_shortened() {
        let phone = read("phoneAuthenticationMethod", json!({"phoneNumber": "+1 5555551234", "phoneType": "mobile"}));
        assert_eq!(phone.name.as_deref(), Some("…234 mobile"));
        let key = read("fido2AuthenticationMethod", json!({"displayName": "Desk", "model": "YubiKey 5"}));
        assert_eq!(key.name.as_deref(), Some("Desk (YubiKey 5)"));
        let strong: Vec<bool> =
            ["fido2", "windowsHelloForBusiness", "microsoftAuthenticator", "phone", "temporaryAccessPass", "password"]
                .map(|kind| read(&format!("{kind}AuthenticationMethod"), json!({})).kind.is_strong())
                .to_vec();
        assert_eq!(strong, [true, true, true, false, false, false]);
    }

    proptest! {
        #[test]
        fn no_method_panics(kind in "\\PC{0,40}", id in "\\PC{0,20}", number in "\\PC{0,30}") {
            let json = json!({"@odata.type": kind, "id": id, "phoneNumber": number, "displayName": number});
            if let Some(method) = SignInMethod::from_json(&json) {
                let _ = (method.removal(&UserId::new("u")), method.kind.word().len());
            }
        }
    }
}
