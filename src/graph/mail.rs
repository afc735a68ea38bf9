//! Mail to people, and who somebody's manager is.
//!
//! Source: user: sendMail (v1.0), <https://learn.microsoft.com/graph/api/user-sendmail>, and List manager,
//! <https://learn.microsoft.com/graph/api/user-list-manager>. 202 says that the mail was taken, not that it was delivered. A mail is sent
//! once: after an answer that was lost nobody knows, and the caller decides. The page on managers names no permission for an
//! application in one place and `User.Read.All` in another; Graph's refusal then says so.

use serde::Serialize;
use serde_json::Value;

use super::client::{ApiVersion, CallFailure, Graph};
use super::error::{ErrorKind, Fixer, GraphError};
use super::http::{Request, escape};
use super::needs::Needs;
use super::users::{DirectoryUser, SELECT};
use crate::model::{Secret, UserId};

const SEND: Needs = Needs {
    scope: "Mail.Send",
    roles: "none is needed, but the mailbox must be their own",
    refused: "Check the sender's and the receiver's mail addresses.",
};
const MANAGER: Needs = Needs {
    scope: "User.Read.All",
    roles: "none is needed",
    refused: "Run the same command again; report it if it stays.",
};

/// Whose mailbox a mail leaves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The signed-in person's.
    Me,
    /// This one's, by user principal name or object id: an application has none of its own.
    Mailbox(String),
}

/// A mail in plain text. The text may hold what nobody else is to read, and is wiped.
#[derive(Debug)]
pub struct Mail {
    /// Whom to: one address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: Secret<String>,
    /// Whether the sender's mailbox keeps a copy.
    pub keep: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    message: Message<'a>,
    save_to_sent_items: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    subject: &'a str,
    body: ItemBody<'a>,
    to_recipients: [Recipient<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemBody<'a> {
    content_type: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recipient<'a> {
    email_address: EmailAddress<'a>,
}

#[derive(Serialize)]
struct EmailAddress<'a> {
    address: &'a str,
}

impl Mail {
    /// As Graph takes it.
    fn body(&self) -> Body<'_> {
        Body {
            message: Message {
                subject: &self.subject,
                body: ItemBody { content_type: "Text", content: self.text.expose() },
                to_recipients: [Recipient { email_address: EmailAddress { address: &self.to } }],
            },
            save_to_sent_items: self.keep,
        }
    }

    /// JSON escapes at most six bytes for one.
    fn room(&self) -> usize {
        let texts = [self.text.expose().len(), self.subject.len(), self.to.len()];
        texts.iter().sum::<usize>().saturating_mul(6).saturating_add(256)
    }
}

impl Graph {
    /// Sends a mail, once. Gives the client-request-id of the call.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when it may have been sent all the same; everything else is a refusal, and no mail left.
    pub fn send_mail(&self, from: &Sender, mail: &Mail) -> Result<String, GraphError> {
        let doing = "send a mail";
        let path = match from {
            Sender::Me => "me/sendMail".to_owned(),
            Sender::Mailbox(name) => format!("users/{}/sendMail", escape(name)),
        };
        let request = Request::post_secret(self.url(ApiVersion::V1, &path)?, &mail.body(), mail.room(), doing)?;
        match self.call(&request) {
            Ok(answer) => Ok(answer.ids.client_request_id.unwrap_or_default()),
            Err(failure @ CallFailure::Unknown(_)) => Err(failure.into()),
            Err(CallFailure::Failed(error)) if error.kind() == ErrorKind::NotFound => {
                let sender = match from {
                    Sender::Me => "The signed-in account".to_owned(),
                    Sender::Mailbox(name) => name.clone(),
                };
                Err(GraphError::new(
                    ErrorKind::NotFound,
                    Fixer::TenantAdmin,
                    format!("{sender} has no mailbox that Graph reaches"),
                )
                .because(error.cause().to_owned())
                .advise("Sign in as somebody with a mailbox in Exchange Online, or name one in [handover] mail_from.")
                .with_ids(error.ids().clone()))
            }
            Err(CallFailure::Failed(error)) => Err(SEND.explain(error)),
        }
    }

    /// A person's manager, as the directory has it; `None` where it names nobody, or somebody who is no user (a contact).
    ///
    /// # Errors
    /// Everything but "not found".
    pub fn manager_of(&self, user: &UserId) -> Result<Option<DirectoryUser>, GraphError> {
        let doing = format!("find the manager of {user}");
        let path = format!("users/{}/manager?$select={SELECT}", escape(user.as_str()));
        let request = Request::get(self.url(ApiVersion::V1, &path)?, &doing);
        match self.object(&request) {
            Ok(json) => read_manager(&json, &doing),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(MANAGER.explain(error)),
        }
    }
}

fn read_manager(json: &Value, doing: &str) -> Result<Option<DirectoryUser>, GraphError> {
    if json["@odata.type"].as_str().is_some_and(|kind| kind != "#microsoft.graph.user") {
        return Ok(None);
    }
    DirectoryUser::from_json(json).map(Some).ok_or_else(|| GraphError::malformed(doing, "The manager has no id."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mail_is_written_as_graph_takes_it() {
        let mail = Mail {
            to: "kim@contoso.com".into(),
            subject: "A \"new\" key".into(),
            text: Secret::new("Line\nline".into()),
            keep: false,
        };
        let found = serde_json::to_value(mail.body()).expect("JSON");
        assert!(found.to_string().len() < mail.room());
        let wanted = json!({
            "message": {
                "subject": "A \"new\" key",
                "body": { "contentType": "Text", "content": "Line\nline" },
                "toRecipients": [{ "emailAddress": { "address": "kim@contoso.com" } }],
            },
            "saveToSentItems": false,
        });
        assert_eq!(found, wanted);
        assert!(!format!("{mail:?}").contains("Line"), "what is wiped is not printed");
    }

    #[test]
    fn a_manager_who_is_a_contact_has_no_account() {
        let contact = json!({ "@odata.type": "#microsoft.graph.orgContact", "id": "1" });
        assert!(read_manager(&contact, "look").is_ok_and(|found| found.is_none()));
        let user = json!({ "@odata.type": "#microsoft.graph.user", "id": "AB" });
        assert_eq!(read_manager(&user, "look").expect("read").map(|user| user.id.to_string()), Some("ab".into()));
        assert!(read_manager(&json!({}), "look").is_err());
    }
}
