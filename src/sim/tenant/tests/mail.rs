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
    for (pointer, value) in [
        ("/message/toRecipients", json!([])),
        ("/message/toRecipients", json!([{ "address": "kim@contoso.example" }])),
        ("/message/toRecipients/0/emailAddress/address", json!("kim")),
        ("/message/body", json!("Line")),
        ("/message/body/contentType", json!("markdown")),
        ("/message/subject", json!(7)),
        ("/message", json!({ "subjekt": "Hello" })),
        ("/saveToSentItems", json!("false")),
    ] {
        assert_eq!(changed(pointer, value.clone()).status, 400, "{pointer} {value}");
    }
    assert_eq!(caller.get("/sim/state").json()["mails"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_mail_wants_the_permission_a_mailbox_and_ones_own() {
    let app = Caller::app(spec());
    assert_eq!(app.post("/v1.0/me/sendMail", &mail()).status, 400, "an application is nobody");
    let local = app.post("/v1.0/users/local%40contoso.example/sendMail", &mail());
    assert_eq!((local.status, local.code().as_str()), (404, "MailboxNotEnabledForRESTAPI"));
    assert_eq!(app.post("/v1.0/users/nobody%40contoso.example/sendMail", &mail()).status, 404);
    let person = Caller::person(spec());
    assert_eq!(person.post("/v1.0/me/sendMail", &mail()).status, 202);
    assert_eq!(person.post(SAM, &mail()).status, 403, "another's mailbox");
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
