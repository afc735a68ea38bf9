//! Hardware OATH tokens, beta only: the inventory, whose a token is, and activating it with a code.
//!
//! From Microsoft's pages: members, the limits of secret and interval, the states, the window for a code (a minute for 30-second
//! tokens, two for 60). Guessed: the form of a bulk upload's answer and the refusals' texts. Codes are computed here again, by
//! hand and with another library than the bench's.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::access::{Act, Caller};
use super::accounts::{Scopes, context, no_such_method, target};
use super::errors;
use super::filter::Filter;
use super::http::{Answer, Call, Version};
use super::members::{Type, body, object, text};
use super::route::Who;
use super::spec::UserType;
use super::store::{Person, Store, seconds};
use super::users;

const SCOPES: Scopes = Scopes {
    write: &["UserAuthMethod-HardwareOATH.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"],
    read: &["UserAuthMethod-HardwareOATH.Read.All", "UserAuthenticationMethod.Read.All"],
};

const MEMBERS: [(&str, Type); 9] = [
    ("@contentId", Type::Text),
    ("serialNumber", Type::Text),
    ("manufacturer", Type::Text),
    ("model", Type::Text),
    ("secretKey", Type::Text),
    ("timeIntervalInSeconds", Type::Int32),
    ("hashFunction", Type::Text),
    ("displayName", Type::Text),
    ("assignTo", Type::Object),
];

/// A token in the tenant.
#[derive(Debug, Clone)]
pub(super) struct Device {
    id: String,
    serial: String,
    manufacturer: String,
    model: String,
    secret: Vec<u8>,
    interval: u32,
    sha256: bool,
    status: &'static str,
    /// Whose it is, and the method's id.
    pub(super) holder: Option<(String, String)>,
    assigned: jiff::Timestamp,
}

/// A call on tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OathCall {
    Devices,
    Upload,
    DeleteDevice(String),
    Methods(Who),
    Assign(Who),
    Activate { who: Who, id: String },
    Unassign { who: Who, id: String },
}

impl OathCall {
    /// The call of a path; `Some(None)` where the path is one of ours and the method is not.
    pub(super) fn of(method: &str, segments: &[&str], path: &[&str]) -> Option<Option<Self>> {
        let at = |index: usize| path.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        let found = match (segments, method) {
            (["directory", "authenticationmethoddevices", "hardwareoathdevices"], "GET") => Self::Devices,
            (["directory", "authenticationmethoddevices", "hardwareoathdevices"], "PATCH") => Self::Upload,
            (["directory", "authenticationmethoddevices", "hardwareoathdevices", _], "DELETE") => {
                Self::DeleteDevice(at(3))
            }
            (["directory", "authenticationmethoddevices", "hardwareoathdevices", ..], _) => return Some(None),
            (["users", _, "authentication", "hardwareoathmethods"], "GET") => Self::Methods(Who::Named(at(1))),
            (["users", _, "authentication", "hardwareoathmethods"], "POST") => Self::Assign(Who::Named(at(1))),
            (["users", _, "authentication", "hardwareoathmethods", _], "DELETE") => {
                Self::Unassign { who: Who::Named(at(1)), id: at(4) }
            }
            (["users", _, "authentication", "hardwareoathmethods", _, "activate"], "POST") => {
                Self::Activate { who: Who::Named(at(1)), id: at(4) }
            }
            (["users", _, "authentication", "hardwareoathmethods", ..], _) => return Some(None),
            _ => return None,
        };
        Some(Some(found))
    }

    /// The person the path names, if it names one.
    pub(super) fn person(&self) -> Option<&str> {
        match self {
            Self::Methods(Who::Named(name))
            | Self::Assign(Who::Named(name))
            | Self::Activate { who: Who::Named(name), .. }
            | Self::Unassign { who: Who::Named(name), .. } => Some(name),
            _ => None,
        }
    }
}

fn refuse(message: impl AsRef<str>) -> Answer {
    errors::graph(400, "badRequest", message)
}

/// Answers one call. On v1.0 there is nothing of this.
pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    what: &OathCall,
    call: &Call,
) -> Result<Answer, Answer> {
    if version == Version::V1 {
        let segment = if what.person().is_some() { "hardwareOathMethods" } else { "hardwareOathDevices" };
        return Err(errors::graph(400, "BadRequest", format!("Resource not found for the segment '{segment}'.")));
    }
    match what {
        OathCall::Devices => devices(store, caller, call),
        OathCall::Upload => upload(store, caller, call),
        OathCall::DeleteDevice(id) => delete_device(store, caller, id),
        OathCall::Methods(who) => methods(store, caller, who, call),
        OathCall::Assign(who) => assign(store, caller, who, call),
        OathCall::Activate { who, id } => activate(store, caller, who, id, call),
        OathCall::Unassign { who, id } => unassign(store, caller, who, id),
    }
}

fn inventory(store: &Store, caller: &Caller) -> Result<(), Answer> {
    let role = caller.user.as_ref().is_none_or(|user| {
        let held = store.person(user).map(|person| person.roles.as_slice()).unwrap_or_default();
        held.iter().any(|role| role == "Global Administrator" || role == "Authentication Policy Administrator")
    });
    if role && caller.has(&["Policy.ReadWrite.AuthenticationMethod"]) { Ok(()) } else { Err(errors::access_denied()) }
}

fn as_json(store: &Store, device: &Device) -> Value {
    let holder = device.holder.as_ref().and_then(|(user, _)| store.person(user));
    json!({
        "id": device.id,
        "displayName": null,
        "serialNumber": device.serial,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "secretKey": null,
        "timeIntervalInSeconds": device.interval,
        "status": device.status,
        "lastUsedDateTime": null,
        "hashFunction": if device.sha256 { "hmacsha256" } else { "hmacsha1" },
        "assignedTo": holder.map(|person| json!({ "id": person.id, "displayName": person.display_name })),
    })
}

fn devices(store: &Store, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    inventory(store, caller)?;
    let filter = call.query("$filter").map(Filter::parse).transpose().map_err(refuse)?;
    if filter.iter().flat_map(Filter::properties).any(|name| name != "serialNumber") {
        return Err(refuse("Only serialNumber can be filtered by."));
    }
    let shown = store
        .tokens_in_stock
        .iter()
        .filter(|device| filter.as_ref().is_none_or(|filter| filter.matches(|_| device.serial.clone())))
        .map(|device| as_json(store, device))
        .collect();
    users::page(store, Version::Beta, "directory/authenticationMethodDevices/hardwareOathDevices", call, shown)
}

fn upload(store: &mut Store, caller: &Caller, call: &Call) -> Result<Answer, Answer> {
    inventory(store, caller)?;
    let whole = body(call, "deltaPayload", &[("@context", Type::Text), ("value", Type::List)])?;
    if text(&whole, "@context") != Some("#$delta") {
        return Err(refuse("A bulk request needs '@context' with the value '#$delta'."));
    }
    let items = whole.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
    if items.is_empty() {
        return Err(refuse("A bulk request needs at least one item in 'value'."));
    }
    let mut answers = Vec::new();
    for item in items {
        let content_id = item["@contentId"].as_str().unwrap_or_default().to_owned();
        let made =
            object(item, "hardwareOathTokenAuthenticationMethodDevice", &MEMBERS).and_then(|map| add(store, &map));
        answers.push(match made {
            Ok(device) => {
                let mut value = as_json(store, &device);
                value["@contentId"] = content_id.into();
                value
            }
            Err(answer) => {
                let error = match answer.body {
                    super::http::Body::Json(body) => body["error"].clone(),
                    _ => json!({ "code": "badRequest" }),
                };
                json!({ "@contentId": content_id, "error": error })
            }
        });
    }
    let context =
        format!("{}/beta/$metadata#directory/authenticationMethodDevices/hardwareOathDevices/$delta", store.base);
    Ok(Answer::json(200, json!({ "@odata.context": context, "value": answers })))
}

fn add(store: &mut Store, map: &Map<String, Value>) -> Result<Device, Answer> {
    let needed = |name: &str| {
        text(map, name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| refuse(format!("A value is required for property '{name}'.")))
    };
    if map.contains_key("assignTo") {
        return Err(refuse("Assigning while uploading needs UserAuthenticationMethod.ReadWrite.All."));
    }
    let secret = needed("secretKey")?;
    if secret.len() > 128 {
        return Err(refuse("The secretKey is longer than 128 characters."));
    }
    store.secrets.push(secret.clone());
    let secret = from_base32(&secret).ok_or_else(|| refuse("The secretKey is not Base32."))?;
    let interval = match map.get("timeIntervalInSeconds").and_then(Value::as_i64) {
        Some(30) => 30,
        Some(60) => 60,
        _ => return Err(refuse("The timeIntervalInSeconds must be 30 or 60.")),
    };
    let sha256 = match text(map, "hashFunction") {
        None | Some("hmacsha1") => false,
        Some("hmacsha256") => true,
        Some(other) => return Err(refuse(format!("'{other}' is no member of hardwareOathTokenHashFunction."))),
    };
    let serial = needed("serialNumber")?;
    if store.tokens_in_stock.iter().any(|device| device.serial.eq_ignore_ascii_case(&serial)) {
        return Err(errors::graph(409, "conflict", "A token with this serial number is in the inventory already."));
    }
    let device = Device {
        id: store.fresh_guid("oath device"),
        serial,
        manufacturer: needed("manufacturer")?,
        model: needed("model")?,
        secret,
        interval,
        sha256,
        status: "available",
        holder: None,
        assigned: store.now(),
    };
    store.tokens_in_stock.push(device.clone());
    Ok(device)
}

fn delete_device(store: &mut Store, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    inventory(store, caller)?;
    let index = store.tokens_in_stock.iter().position(|device| device.id == id).ok_or_else(no_such_method)?;
    if store.tokens_in_stock.get(index).is_some_and(|device| device.holder.is_some()) {
        return Err(refuse("The token is assigned to a user; unassign it first."));
    }
    store.tokens_in_stock.remove(index);
    Ok(Answer::empty(204))
}

/// A person's tokens, as a read of all methods on beta shows them too.
pub(super) fn of_person(store: &Store, person: &Person, expand: bool) -> Vec<Value> {
    let theirs = store.tokens_in_stock.iter().filter_map(|device| {
        let (_, method) = device.holder.as_ref().filter(|(user, _)| *user == person.id)?;
        let mut value = json!({
            "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
            "id": method,
            "createdDateTime": seconds(device.assigned),
        });
        if expand {
            value["device"] = as_json(store, device);
        }
        Some(value)
    });
    theirs.collect()
}

fn methods(store: &Store, caller: &Caller, who: &Who, call: &Call) -> Result<Answer, Answer> {
    let person = target(store, caller, who, SCOPES, Act::Read)?;
    let shown = of_person(store, person, call.query("$expand") == Some("device"));
    let context = context(store, Version::Beta, &person.id, "hardwareOathMethods", "");
    Ok(super::accounts::page(context, shown))
}

fn assign(store: &mut Store, caller: &Caller, who: &Who, call: &Call) -> Result<Answer, Answer> {
    let person = target(store, caller, who, SCOPES, Act::Write)?;
    if person.user_type == UserType::Guest {
        return Err(refuse("Guest users can't have hardware OATH tokens."));
    }
    let user = person.id.clone();
    let map = body(call, "hardwareOathAuthenticationMethod", &[("device", Type::Object)])?;
    let device = map.get("device").cloned().unwrap_or_default();
    let device = object(device, "hardwareOathTokenAuthenticationMethodDevice", &[("id", Type::Text)])?;
    let id = text(&device, "id").unwrap_or_default().to_owned();
    if store.tokens_in_stock.iter().any(|device| device.holder.as_ref().is_some_and(|(holder, _)| *holder == user)) {
        return Err(refuse("The user has a hardware OATH token already."));
    }
    let (method, now) = (store.fresh_guid("oath method"), store.now());
    let device = store.tokens_in_stock.iter_mut().find(|device| device.id == id).ok_or_else(no_such_method)?;
    if device.holder.is_some() {
        return Err(refuse("The token is assigned to another user."));
    }
    device.holder = Some((user.clone(), method.clone()));
    device.status = "assigned";
    device.assigned = now;
    let mut value = json!({
        "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod", "id": method, "createdDateTime": seconds(now),
    });
    value["@odata.context"] = context(store, Version::Beta, &user, "hardwareOathMethods", "/$entity").into();
    Ok(Answer::json(201, value))
}

fn held<'a>(store: &'a mut Store, user: &str, method: &str) -> Result<&'a mut Device, Answer> {
    store
        .tokens_in_stock
        .iter_mut()
        .find(|device| device.holder.as_ref().is_some_and(|(holder, id)| holder == user && id == method))
        .ok_or_else(no_such_method)
}

fn activate(store: &mut Store, caller: &Caller, who: &Who, id: &str, call: &Call) -> Result<Answer, Answer> {
    let user = target(store, caller, who, SCOPES, Act::Write)?.id.clone();
    let map = body(call, "activate", &[("verificationCode", Type::Text), ("displayName", Type::Text)])?;
    let code = text(&map, "verificationCode").unwrap_or_default().to_owned();
    let now = store.now().as_second();
    let device = held(store, &user, id)?;
    // Three steps are a minute and a half of a 30-second token, and three minutes of the other.
    let step = now / i64::from(device.interval);
    let fits = (-1..=1).any(|near| one_time(device, step + near).is_some_and(|right| right == code));
    device.status = if fits { "activated" } else { "failedActivation" };
    if fits { Ok(Answer::empty(204)) } else { Err(refuse("The verification code is incorrect.")) }
}

fn unassign(store: &mut Store, caller: &Caller, who: &Who, id: &str) -> Result<Answer, Answer> {
    let user = target(store, caller, who, SCOPES, Act::Write)?.id.clone();
    let device = held(store, &user, id)?;
    device.holder = None;
    device.status = "available";
    Ok(Answer::empty(204))
}

/// RFC 6238 with six digits.
fn one_time(device: &Device, step: i64) -> Option<String> {
    let counter = u64::try_from(step).ok()?.to_be_bytes();
    let tag: Vec<u8> = if device.sha256 {
        let mut mac = Hmac::<Sha256>::new_from_slice(&device.secret).ok()?;
        mac.update(&counter);
        mac.finalize().into_bytes().to_vec()
    } else {
        sha1_mac(&device.secret, &counter)
    };
    let start = usize::from(*tag.last()? & 15);
    let word: [u8; 4] = tag.get(start..start + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000))
}

/// HMAC by its definition (RFC 2104) over SHA-1.
fn sha1_mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let sha1 = |parts: &[&[u8]]| {
        let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
        parts.iter().for_each(|part| context.update(part));
        context.finish().as_ref().to_vec()
    };
    let mut block = if key.len() > 64 { sha1(&[key]) } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(|b| b ^ byte).collect::<Vec<u8>>();
    sha1(&[&pad(0x5c), &sha1(&[&pad(0x36), message])])
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let text = text.trim_end_matches('=').to_ascii_uppercase();
    let mut bits = String::new();
    for c in text.chars() {
        bits.push_str(&format!("{:05b}", ALPHABET.find(c)?));
    }
    let bytes: Option<Vec<u8>> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|chunk| u8::from_str_radix(std::str::from_utf8(chunk).ok()?, 2).ok())
        .collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        let device = |secret: &[u8], sha256| Device {
            id: String::new(),
            serial: String::new(),
            manufacturer: String::new(),
            model: String::new(),
            secret: secret.to_vec(),
            interval: 30,
            sha256,
            status: "available",
            holder: None,
            assigned: jiff::Timestamp::UNIX_EPOCH,
        };
        let sha1 = device(b"12345678901234567890", false);
        let sha256 = device(b"12345678901234567890123456789012", true);
        assert_eq!(one_time(&sha1, 1_111_111_109 / 30).as_deref(), Some("081804"));
        assert_eq!(one_time(&sha256, 1_111_111_109 / 30).as_deref(), Some("084774"));
        assert_eq!(from_base32("MZXW6YTBOI======").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(from_base32("M1"), None);
    }
}
