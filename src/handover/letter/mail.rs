//! The same template's mails: the notice that a key was registered, and the PIN for a manager.
//!
//! Promise: the notice is made from what is no secret; the PIN stands in the manager's mail once, in a text that is wiped.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::fields::fill;
use super::{Template, Texts, model_of, phone_of, written};
use crate::model::{KeyRef, Pin, Secret};

/// Whose key, and all that a mail tells of it.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// The key's reference, as its label or its parcel has it.
    pub reference: String,
    /// The person's display name.
    pub name: &'a str,
    /// The key.
    pub key: &'a KeyRef,
    /// The fewest characters of a new PIN.
    pub pin_minimum: u32,
    /// When the tenant was given the key.
    pub registered: Timestamp,
    /// Today.
    pub today: Date,
}

/// A notice, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl About<'_> {
    fn field(&self, template: &Template, texts: &Texts, manager: &str, name: &str) -> Option<String> {
        let phone = phone_of(template, texts);
        Some(match name {
            "name" => self.name.to_owned(),
            "manager" => manager.to_owned(),
            "company" => template.company.clone(),
            "contact" => template.contact.clone(),
            "key_ref" => self.reference.clone(),
            "key_model" => model_of(self.key, texts),
            "key_serial" => self.key.serial.as_ref().map(ToString::to_string).unwrap_or_default(),
            "phone" => phone.to_owned(),
            "hours" => template.hours.clone(),
            "help" if template.hours.is_empty() => phone.to_owned(),
            "help" => format!("{phone} ({})", template.hours),
            "pin_min" => self.pin_minimum.to_string(),
            "date" => written(self.today, texts),
            // A mail may be read anywhere: the zone is named.
            "when" => {
                let when = self.registered.to_zoned(TimeZone::UTC);
                format!("{} {} UTC", written(when.date(), texts), when.strftime("%H:%M"))
            }
            _ => return None,
        })
    }

    fn text(&self, template: &Template, texts: &Texts, manager: &str, name: &str) -> String {
        fill(texts.get(name), |field| self.field(template, texts, manager, field))
    }

    /// The notice in a language; `None` where the template has no texts in it.
    pub fn notice(&self, template: &Template, language: &str) -> Option<Notice> {
        let (_, texts) = template.texts(language)?;
        let text = paragraphs(&self.text(template, texts, "", "notice"));
        Some(Notice {
            subject: one_line(&self.text(template, texts, "", "notice_subject")),
            text: signed(text, template),
        })
    }

    /// The mail that brings the PIN to a manager; `None` as for the notice.
    pub fn to_manager(
        &self,
        template: &Template,
        language: &str,
        manager: &str,
        pin: &Pin,
        forced: bool,
    ) -> Option<(String, Secret<String>)> {
        let (_, texts) = template.texts(language)?;
        let part = |name: &str| self.text(template, texts, manager, name);
        let before = paragraphs(&part("manager"));
        let mut after = if forced { paragraphs(&part("manager_forced")) } else { String::new() };
        after.push_str(&paragraphs(&part("manager_not_me")));
        let after = signed(after, template);
        // One allocation of the full size: growing would leave a copy of the PIN behind.
        let mut text = String::with_capacity(before.len() + pin.expose().len() + after.len() + 16);
        text.push_str(&before);
        text.push_str("    ");
        text.push_str(pin.expose());
        text.push_str("\n\n");
        text.push_str(&after);
        let subject = one_line(&part("manager_subject"));
        Some((subject, Secret::new(text)))
    }
}

/// A line of a template's text is a paragraph of the mail.
fn paragraphs(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n\n")).collect()
}

/// The company at its end, where the template names one.
fn signed(mut text: String, template: &Template) -> String {
    if !template.company.is_empty() {
        text.push_str(&template.company);
        text.push('\n');
    }
    text
}

/// Subjects are one line: a name with a line break in it makes no header.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::model::{Aaguid, PortName};

    fn with(look: impl FnOnce(&About<'_>, &Template)) {
        let template = Template::read(
            "[sender]\ncompany = \"Contoso\"\n[help]\nphone = \"+49 30 1234\"\nhours = \"8-18\"",
            None,
            &|_| Err("not there".into()),
        )
        .expect("sound");
        let key =
            KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
        let about = About {
            reference: "7H2KQ-0M4XA".into(),
            name: "Kim\nLee",
            key: &key,
            pin_minimum: 6,
            registered: "2026-11-21T22:05:00Z".parse().expect("a time"),
            today: jiff::civil::date(2026, 11, 22),
        };
        look(&about, &template);
    }

    #[test]
    fn the_notice_says_which_when_and_whom_to_call() {
        with(|about, template| {
            for (language, model, day) in [
                ("de-AT", "Sicherheitsschlüssel", "21.11.2026 22:05 UTC"),
                ("en", "security key", "2026-11-21 22:05 UTC"),
                ("es", "llave de seguridad", "21/11/2026 22:05 UTC"),
                ("fr", "clé de sécurité", "21/11/2026 22:05 UTC"),
                ("nl", "beveiligingssleutel", "21-11-2026 22:05 UTC"),
                ("pl", "klucz bezpieczeństwa", "21.11.2026 22:05 UTC"),
            ] {
                let notice = about.notice(template, language).expect("texts");
                for part in ["7H2KQ-0M4XA", model, day, "+49 30 1234 (8-18)", "Contoso"] {
                    assert!(notice.text.contains(part), "{language}: {part}: {}", notice.text);
                }
                assert!(!notice.subject.contains('\n') && !notice.text.contains(['{', '*']), "{language}");
            }
            assert_eq!(about.notice(template, "xx"), None);
        });
    }

    #[test]
    fn the_pin_stands_once_in_the_managers_mail() {
        with(|about, template| {
            let pin = Pin::new(Zeroizing::new("kd2rp9vx84tbn5h7".to_owned())).expect("a PIN");
            for language in ["de", "en", "es", "fr", "nl", "pl"] {
                let (subject, text) = about.to_manager(template, language, "Sam Roe", &pin, true).expect("texts");
                assert_eq!(text.expose().matches("kd2rp9vx84tbn5h7").count(), 1, "{language}");
                assert!(text.expose().contains("Sam Roe") && text.expose().contains("7H2KQ-0M4XA"), "{language}");
                assert!(!subject.contains("kd2rp9vx84tbn5h7") && !text.expose().contains(['{', '*']), "{language}");
                let free = about.to_manager(template, language, "Sam Roe", &pin, false).expect("texts").1;
                assert!(free.expose().len() < text.expose().len(), "{language}");
            }
        });
    }
}
