//! `POST /me/sendMail`, `POST /users/{id}/sendMail` and `GET /users/{id}/manager`.
//!
//! From Microsoft's pages: the action's two parameters, the members of a message and their types, 202 without a body, a person's own
//! mailbox unless the application sends, the permissions. Guessed: the texts, and that a person may not send from another's mailbox at
//! all (sharing one takes rights in Exchange, which are not modelled).

use serde_json::{Map, Value, json};

use super::access::{self, Caller};
use super::errors;
use super::http::{Answer, Call, Version};
use super::members::{Type, body, object, text};
use super::route::Who;
use super::store::Store;
use super::users::{Sight, selection, shown, sight};

const SEND: [&str; 1] = ["Mail.Send"];

const MESSAGE: [(&str, Type); 11] = [
    ("subject", Type::Text),
    ("body", Type::Object),
    ("toRecipients", Type::List),
    ("ccRecipients", Type::List),
    ("bccRecipients", Type::List),
    ("replyTo", Type::List),
    ("from", Type::Object),
    ("sender", Type::Object),
    ("importance", Type::Text),
    ("categories", Type::List),
    ("isDeliveryReceiptRequested", Type::Flag),
];

/// Exchange's words, which are not the directory's.
fn refuse(status: u16, code: &str, message: &str) -> Answer {
    errors::graph(status, code, message)
}

fn take(map: &mut Map<String, Value>, name: &str) -> Value {
    map.remove(name).unwrap_or_default()
}

/// One address, and nothing but an address.
fn address(recipient: Value) -> Result<String, Answer> {
    let mut recipient = object(recipient, "recipient", &[("emailAddress", Type::Object)])?;
    let inner =
        object(take(&mut recipient, "emailAddress"), "emailAddress", &[("address", Type::Text), ("name", Type::Text)])?;
    let found = text(&inner, "address").unwrap_or_default().to_owned();
    let parts: Vec<&str> = found.split('@').collect();
    match parts.as_slice() {
        [local, domain] if !local.is_empty() && domain.contains('.') && !found.contains([' ', ',', ';']) => Ok(found),
        _ => Err(refuse(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")),
    }
}

/// Takes a mail.
///
/// # Errors
/// 403 without the permission or from another's mailbox, 404 without a mailbox, 400 for what is no message.
pub(super) fn send(store: &mut Store, caller: &Caller, who: &Who, call: &Call) -> Result<Answer, Answer> {
    if *who == Who::Me && caller.user.is_none() {
        return Err(access::me_without_person());
    }
    if !caller.has(&SEND) {
        return Err(refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."));
    }
    let sender =
        store.who(who, caller).ok_or_else(|| refuse(404, "ErrorInvalidUser", "The requested user is invalid."))?;
    if caller.user.as_ref().is_some_and(|user| *user != sender.id) {
        return Err(refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."));
    }
    if !sender.mailbox {
        let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
        return Err(refuse(404, "MailboxNotEnabledForRESTAPI", message));
    }
    let from = sender.upn.clone();
    let mut action = body(call, "sendMail", &[("message", Type::Object), ("saveToSentItems", Type::Flag)])?;
    let keep = action.get("saveToSentItems").and_then(Value::as_bool).unwrap_or(true);
    let mut message = object(take(&mut action, "message"), "message", &MESSAGE)?;
    let content =
        object(take(&mut message, "body"), "itemBody", &[("contentType", Type::Text), ("content", Type::Text)])?;
    // An enumeration: `text` and `html`, without regard to case.
    let kind = text(&content, "contentType").unwrap_or("text").to_ascii_lowercase();
    if kind != "text" && kind != "html" {
        return Err(refuse(
            400,
            "RequestBodyRead",
            "Cannot convert the value to the expected type 'microsoft.graph.bodyType'.",
        ));
    }
    let mut to = Vec::new();
    for list in ["toRecipients", "ccRecipients", "bccRecipients"] {
        for recipient in take(&mut message, list).as_array().cloned().unwrap_or_default() {
            to.push(address(recipient)?);
        }
    }
    if to.is_empty() {
        return Err(refuse(
            400,
            "ErrorInvalidRecipients",
            "At least one recipient isn't valid., A message can't be sent because it contains no recipients.",
        ));
    }
    let subject = text(&message, "subject").unwrap_or_default().to_owned();
    if subject.chars().count() > 255 {
        return Err(refuse(400, "ErrorPropertyValidationFailure", "The subject is too long."));
    }
    store.mails.push(json!({
        "from": from, "to": to, "subject": subject, "content": text(&content, "content").unwrap_or_default(), "kept": keep,
    }));
    Ok(Answer::empty(202))
}

/// A person's manager.
///
/// # Errors
/// 404 where there is none, 403 for who may not read people.
pub(super) fn manager(
    store: &Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    call: &Call,
) -> Result<Answer, Answer> {
    let sight = sight(caller);
    if sight != Sight::Full {
        return Err(errors::insufficient_privileges());
    }
    let name = match who {
        Who::Named(name) => name.as_str(),
        Who::Me => "me",
    };
    let person = store.who(who, caller).ok_or_else(|| errors::no_such_resource(name))?;
    let manager = person.manager.as_deref().and_then(|upn| store.person(upn));
    let manager = manager.ok_or_else(|| errors::no_such_resource("manager"))?;
    let mut body = Map::new();
    let context = format!("{}/{}/$metadata#directoryObjects/$entity", store.base, version.name());
    body.insert("@odata.context".into(), context.into());
    body.insert("@odata.type".into(), "#microsoft.graph.user".into());
    body.extend(shown(manager, &selection(call)?, sight));
    Ok(Answer::json(200, body.into()))
}
