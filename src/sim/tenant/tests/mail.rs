//! Mails and managers, from Microsoft's pages.

use serde_json::{Value, json};

use super::Caller;
use crate::sim::tenant::{PersonSpec, TenantSpec};

fn spec() -> TenantSpec {
    let kim = PersonSpec { manager: Some("sam@contoso.example".into()), ..PersonSpec::new("kim@contoso.example") };
    let local = PersonSpec { mailbox: false, ..PersonSpec::new("local@contoso.example") };
    TenantSpec { people: vec![kim, PersonSpec::new("sam@contoso.example"), local], ..TenantSpec::default() }
}

fn mail() -> Value {
    json!({
        "message": {
            "subject": "Hello",
            "body": { "contentType": "Text", "content": "Line" },
            "toRecipients": [{ "emailAddress": { "address": "kim@contoso.example" } }],
        },
        "saveToSentItems": false,
    })
}

const SAM: &str = "/v1.0/users/sam%40contoso.example/sendMail";

#[test]
fn a_mail_is_taken_as_documented_and_nothing_else_is() {
    let caller = Caller::app(spec());
    let sent = caller.post(SAM, &mail());
    assert_eq!((sent.status, sent.text.as_str()), (202, ""));
    let mails = caller.get("/sim/state").json()["mails"].clone();
    let wanted = json!([{
        "from": "sam@contoso.example", "to": ["kim@contoso.example"], "subject": "Hello", "content": "Line", "kept": false,
    }]);
    assert_eq!(mails, wanted);
    let changed = |pointer: &str, value: Value| {
        let mut body = mail();
        *body.pointer_mut(pointer).expect("a member") = value;
        caller.post(SAM, &body)
    };
    let nobody = "At least one recipient isn't valid., A message can't be sent because it contains no recipients.";
    for (pointer, value, words) in [
        ("/message/toRecipients", json!([]), nobody),
        ("/message/toRecipients", json!([{ "address": "kim@contoso.example" }]), "'address' does not exist"),
        ("/message/toRecipients/0/emailAddress/address", json!("kim"), "At least one recipient isn't valid."),
        ("/message/body", json!("Line"), "'body' to the expected type"),
        ("/message/body/contentType", json!("markdown"), "the expected type 'microsoft.graph.bodyType'"),
        ("/message/subject", json!(7), "'subject' to the expected type"),
        ("/message/subject", json!("x".repeat(256)), "The subject is too long."),
        ("/message", json!({ "subjekt": "Hello" }), "'subjekt' does not exist"),
        ("/saveToSentItems", json!("false"), "'saveToSentItems' to the expected type"),
    ] {
        let refused = changed(pointer, value.clone());
        assert_eq!(refused.status, 400, "{pointer} {value}");
        assert!(refused.text.contains(words), "{words}: {}", refused.text);
    }
    assert_eq!(caller.get("/sim/state").json()["mails"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_mail_wants_the_permission_a_mailbox_and_ones_own() {
    let app = Caller::app(spec());
    assert_eq!(app.post("/v1.0/me/sendMail", &mail()).status, 400, "an application is nobody");
    let local = app.post("/v1.0/users/local%40contoso.example/sendMail", &mail());
    assert_eq!((local.status, local.code().as_str()), (404, "MailboxNotEnabledForRESTAPI"));
    assert!(local.text.contains("The mailbox is either inactive, soft-deleted, or is hosted on-premise."));
    let nobody = app.post("/v1.0/users/nobody%40contoso.example/sendMail", &mail());
    assert!(nobody.status == 404 && nobody.text.contains("The requested user is invalid."), "{}", nobody.text);
    let person = Caller::person(spec());
    assert_eq!(person.post("/v1.0/me/sendMail", &mail()).status, 202);
    let others = person.post(SAM, &mail());
    assert!(others.status == 403 && others.text.contains("Access is denied. Check credentials"), "{}", others.text);
    let mut poor = spec();
    poor.app.permissions = vec!["User.Read.All".into()];
    let refused = Caller::app(poor).post(SAM, &mail());
    assert_eq!((refused.status, refused.code().as_str()), (403, "ErrorAccessDenied"));
}

#[test]
fn a_manager_is_told_or_is_not_there() {
    let caller = Caller::app(spec());
    let found = caller.get("/v1.0/users/kim%40contoso.example/manager?$select=id,mail").json();
    assert_eq!(
        (&found["mail"], &found["@odata.type"]),
        (&json!("sam@contoso.example"), &json!("#microsoft.graph.user"))
    );
    let none = caller.get("/v1.0/users/sam%40contoso.example/manager");
    assert_eq!((none.status, none.code().as_str()), (404, "Request_ResourceNotFound"));
}
