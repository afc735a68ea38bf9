//! Hardware OATH tokens: the tenant's inventory, and whose a token is. **Beta only**: Microsoft may change all of it.
//!
//! Source: Microsoft Graph beta, `hardwareOathTokenAuthenticationMethodDevice` and `hardwareOathAuthenticationMethod`. Seeds go out in
//! a body that is wiped; Graph gives none back. What became of a bulk upload is read from the inventory, since the form of an answer
//! for one item is not documented.

use serde::Serialize;
use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::error::{GraphError, one_line};
use super::http::{Request, escape, odata_string};
use super::needs::Needs;
use super::temporary_access_pass::Deleted;
use crate::model::{MethodId, Secret, UserId};

const DEVICES: &str = "directory/authenticationMethodDevices/hardwareOathDevices";

const INVENTORY: Needs = Needs {
    scope: "Policy.ReadWrite.AuthenticationMethod",
    roles: "Authentication Policy Administrator",
    refused: "Check serial number, interval (30 or 60), hash and secret (Base32, at most 128 characters); a serial number is in the \
              inventory once.",
};
const ASSIGN: Needs = Needs {
    scope: "UserAuthMethod-HardwareOATH.ReadWrite.All",
    roles: "Authentication Administrator, for people with admin roles Privileged Authentication Administrator",
    refused: "Check that the code is the one shown now and the token's clock is right, that the token is nobody else's, and that the \
              person is no guest and has no other hardware token.",
};

/// Tokens in one upload.
pub const LARGEST_UPLOAD: usize = 50;

/// A token in the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OathDevice {
    /// The tenant's id for it.
    pub id: String,
    /// As printed on it.
    pub serial: String,
    /// Who makes it.
    pub manufacturer: Option<String>,
    /// What it is.
    pub model: Option<String>,
    /// 30 or 60 seconds.
    pub interval: Option<u32>,
    /// `hmacsha1`, `hmacsha256`, or something newer.
    pub hash: Option<String>,
    /// `available`, `assigned`, `activated`, `failedActivation`, or something newer.
    pub status: Option<String>,
    /// Whose it is.
    pub assigned_to: Option<UserId>,
}

impl OathDevice {
    /// Reads a device; `None` without id or serial number.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty()).map(|text| one_line(text, 120));
        Some(Self {
            id: text("id")?,
            serial: text("serialNumber")?,
            manufacturer: text("manufacturer"),
            model: text("model"),
            interval: json["timeIntervalInSeconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()),
            hash: text("hashFunction"),
            status: text("status"),
            assigned_to: json["assignedTo"]["id"].as_str().map(|id| UserId::new(id.to_ascii_lowercase())),
        })
    }

    /// Whether it works for somebody.
    pub fn is_activated(&self) -> bool {
        self.status.as_deref() == Some("activated")
    }
}

/// A token to put into the inventory.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// As printed on it.
    pub serial: &'a str,
    /// Who makes it.
    pub manufacturer: &'a str,
    /// What it is.
    pub model: &'a str,
    /// Base32.
    pub seed: &'a Secret<String>,
    /// 30 or 60 seconds.
    pub interval: u32,
    /// Graph's word.
    pub hash: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code<'a> {
    verification_code: &'a str,
}

#[derive(Serialize)]
struct Bulk<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    value: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(rename = "@contentId")]
    content_id: String,
    serial_number: &'a str,
    manufacturer: &'a str,
    model: &'a str,
    secret_key: &'a str,
    time_interval_in_seconds: u32,
    hash_function: &'a str,
}

/// What a bulk upload said of single tokens, by position, where it said anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Position and words.
    pub refused: Vec<(usize, String)>,
    /// client-request-id of the call.
    pub request: String,
}

impl Graph {
    /// The whole inventory (beta). Tokens uploaded by the portal's old CSV don't show.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] names what is missing.
    pub fn oath_devices(&self) -> Result<Vec<OathDevice>, GraphError> {
        let doing = "list the hardware tokens";
        let items = self
            .collection(Request::get(self.url(ApiVersion::Beta, DEVICES)?, doing))
            .map_err(|error| INVENTORY.explain(error))?;
        Ok(items.iter().filter_map(OathDevice::from_json).collect())
    }

    /// A token by its serial number (beta); `None` where there is none.
    ///
    /// # Errors
    /// [`super::ErrorKind::Ambiguous`] is not raised: the first of several is given.
    pub fn oath_device(&self, serial: &str) -> Result<Option<OathDevice>, GraphError> {
        let doing = format!("find the hardware token {}", one_line(serial, 80));
        let filter = escape(&format!("serialNumber eq {}", odata_string(serial)));
        let url = self.url(ApiVersion::Beta, &format!("{DEVICES}?$filter={filter}"))?;
        let items = self.collection(Request::get(url, doing)).map_err(|error| INVENTORY.explain(error))?;
        Ok(items.iter().filter_map(OathDevice::from_json).next())
    }

    /// Puts up to [`LARGEST_UPLOAD`] tokens into the inventory (beta). What is in it afterwards is to be read from it.
    ///
    /// # Errors
    /// When the upload as a whole is refused, or its outcome is not known.
    pub fn upload_oath_devices(&self, tokens: &[NewToken<'_>]) -> Result<Uploaded, GraphError> {
        let doing = format!("put {} hardware tokens into the inventory", tokens.len());
        let value = tokens.iter().enumerate().map(|(index, token)| Item {
            content_id: index.saturating_add(1).to_string(),
            serial_number: token.serial,
            manufacturer: token.manufacturer,
            model: token.model,
            secret_key: token.seed.expose().as_str(),
            time_interval_in_seconds: token.interval,
            hash_function: token.hash,
        });
        let bulk = Bulk { context: "#$delta", value: value.collect() };
        let room = tokens.len().saturating_mul(2048).saturating_add(256);
        let mut request = Request::post_secret(self.url(ApiVersion::Beta, DEVICES)?, &bulk, room, &doing)?;
        request.method = reqwest::Method::PATCH;
        let answer = self.call(&request).map_err(|failure| INVENTORY.explain(failure.into()))?;
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut refused = Vec::new();
        for item in json["value"].as_array().into_iter().flatten() {
            let position = item["@contentId"].as_str().and_then(|id| id.parse::<usize>().ok());
            let error = &item["error"];
            if let (Some(position), true) = (position.and_then(|position| position.checked_sub(1)), error.is_object()) {
                let words = error["message"].as_str().or_else(|| error["code"].as_str()).unwrap_or("refused");
                refused.push((position, one_line(words, 200)));
            }
        }
        Ok(Uploaded { refused, request: answer.ids.client_request_id.unwrap_or_default() })
    }

    /// Takes a token out of the inventory (beta). It must be nobody's.
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn delete_oath_device(&self, device: &str) -> Result<Deleted, GraphError> {
        let url = self.url(ApiVersion::Beta, &format!("{DEVICES}/{}", escape(device)))?;
        self.delete(&Request::delete(url, "take a hardware token out of the inventory"))
            .map_err(|error| INVENTORY.explain(error))
    }

    /// A person's hardware tokens (beta): the method's id, and the device.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] names what is missing.
    pub fn oath_methods(&self, user: &UserId) -> Result<Vec<(MethodId, Option<OathDevice>)>, GraphError> {
        let doing = format!("read the hardware tokens of {user}");
        let path = format!("{}?$expand=device", oath_path(user));
        let items = self
            .collection(Request::get(self.url(ApiVersion::Beta, &path)?, doing))
            .map_err(|error| ASSIGN.explain(error))?;
        let one = |item: &Value| Some((MethodId::new(item["id"].as_str()?), OathDevice::from_json(&item["device"])));
        Ok(items.iter().filter_map(one).collect())
    }

    /// Makes a token a person's (beta). It works once it is activated. Gives the client-request-id.
    ///
    /// # Errors
    /// A refusal: a guest, a second token, somebody else's.
    pub fn assign_oath_token(&self, user: &UserId, device: &str) -> Result<String, GraphError> {
        let url = self.url(ApiVersion::Beta, &oath_path(user))?;
        let body = json!({ "device": { "id": device } });
        self.write(&Request::post(url, body, format!("give {user} a hardware token")), &ASSIGN)
    }

    /// Activates a person's token with a code it shows now (beta). The code goes out in a body that is wiped. Gives the
    /// client-request-id.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] for a wrong code.
    pub fn activate_oath_token(&self, user: &UserId, method: &MethodId, code: &str) -> Result<String, GraphError> {
        let path = format!("{}/{}/activate", oath_path(user), escape(method.as_str()));
        let doing = format!("activate the hardware token of {user}");
        let body = Code { verification_code: code };
        self.write(&Request::post_secret(self.url(ApiVersion::Beta, &path)?, &body, 256, doing)?, &ASSIGN)
    }

    /// Takes a token from a person, back into the inventory (beta).
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn unassign_oath_token(&self, user: &UserId, method: &MethodId) -> Result<Deleted, GraphError> {
        let path = format!("{}/{}", oath_path(user), escape(method.as_str()));
        let doing = format!("take the hardware token from {user}");
        self.delete(&Request::delete(self.url(ApiVersion::Beta, &path)?, doing)).map_err(|error| ASSIGN.explain(error))
    }
}

fn oath_path(user: &UserId) -> String {
    format!("users/{}/authentication/hardwareOathMethods", escape(user.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_whatever_else_is_there() {
        let device = OathDevice::from_json(&json!({
            "id": "77777777-aaaa-4bbb-8ccc-000000000007", "displayName": null, "serialNumber": "TOK000001", "manufacturer": "Contoso",
            "model": "OTP-1", "secretKey": null, "timeIntervalInSeconds": 30, "status": "brandNew", "lastUsedDateTime": null,
            "hashFunction": "hmacsha1", "assignedTo": {"id": "ABC", "displayName": "Kim"}, "more": 1,
        }))
        .expect("a device");
        assert_eq!((device.status.as_deref(), device.assigned_to), (Some("brandNew"), Some(UserId::new("abc"))));
        assert_eq!(OathDevice::from_json(&json!({"id": "1"})), None);
    }

    #[test]
    fn the_bulk_body_is_as_documented() {
        let seed = Secret::new("JBSWY3DPEHPK3PXP".to_owned());
        let item = Item {
            content_id: "1".into(),
            serial_number: "TOK000001",
            manufacturer: "Contoso",
            model: "OTP-1",
            secret_key: seed.expose(),
            time_interval_in_seconds: 30,
            hash_function: "hmacsha1",
        };
        assert_eq!(
            serde_json::to_value(Bulk { context: "#$delta", value: vec![item] }).expect("JSON"),
            json!({"@context": "#$delta", "value": [{"@contentId": "1", "serialNumber": "TOK000001", "manufacturer": "Contoso",
                "model": "OTP-1", "secretKey": "JBSWY3DPEHPK3PXP", "timeIntervalInSeconds": 30, "hashFunction": "hmacsha1"}]})
        );
    }
}
