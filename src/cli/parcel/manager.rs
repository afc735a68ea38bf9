//! A PIN on its way to the person's manager, by mail.
//!
//! Promise: the manager is the directory's, asked for at the moment of sending; nothing leaves to somebody who can't sign in, has no
//! address, or is the person themself. The mail leaves no copy in the sender's mailbox.

use std::ops::ControlFlow;

use jiff::Zoned;

use crate::cli::at_tenant::{AtTenant, name_of};
use crate::cli::notify::sender;
use crate::cli::{CliError, Context, Exit, letters};
use crate::config::Settings;
use crate::graph::{DirectoryUser, GraphError, Mail, Sender};
use crate::handover::code::key_reference;
use crate::handover::letter::Template;
use crate::handover::letter::mail::About;
use crate::handover::notice::{Bound, Notices};
use crate::ledger::Ledger;
use crate::model::{JobId, Person, Pin, UserId};

/// Signed in, with a mailbox to send from and the texts to send.
pub(super) struct ManagerDesk<'a> {
    at: AtTenant<'a>,
    from: Sender,
    template: Template,
    language: Option<String>,
}

/// One PIN's way, all but the PIN.
pub(super) struct Delivery {
    manager: DirectoryUser,
    address: String,
    person: Person,
    bound: Bound,
    registered: jiff::Timestamp,
    language: String,
}

impl Delivery {
    /// Names by which the manager may have packed the key.
    pub(super) fn manager_is(&self) -> Vec<&str> {
        let upn = self.manager.upn.as_ref().map(|upn| upn.as_str());
        self.manager.display_name.as_deref().into_iter().chain(upn).collect()
    }

    pub(super) fn manager_id(&self) -> &UserId {
        &self.manager.id
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl<'a> ManagerDesk<'a> {
    pub(super) fn open(context: &Context<'a>, settings: &Settings, language: Option<&str>) -> Result<Self, CliError> {
        let (template, _) = letters::load_template(Some(settings), None)?;
        if let Some(language) = language
            && template.texts(language).is_none()
        {
            let fact = format!("The letter template has no texts in the language {language}.");
            return Err(CliError::new(Exit::Usage, "usage", fact, "choose another, or add its texts to a template."));
        }
        let at = AtTenant::sign_in(context)?;
        let from = sender(&at, settings)?;
        Ok(Self { at, from, template, language: language.map(str::to_owned) })
    }

    /// Who gets the mail, and what stands in it.
    pub(super) fn prepare(
        &self,
        ledger: &dyn Ledger,
        job: &JobId,
        person: Option<&Person>,
    ) -> Result<Delivery, CliError> {
        let refuse = |code: &'static str, fact: String| {
            let next = "correct it in the directory, or release the letter or by the hook.";
            CliError::new(Exit::SomeFailed, code, fact, next).because("Nothing was opened.")
        };
        let person =
            person.ok_or_else(|| refuse("no-manager", format!("The person of job {job} was forgotten.")))?.clone();
        let manager = self
            .at
            .graph
            .manager_of(&person.id)?
            .ok_or_else(|| refuse("no-manager", format!("The directory names no manager of {}.", person.upn)))?;
        let name = name_of(&manager);
        if manager.id == person.id {
            return Err(refuse("no-manager", format!("{} is their own manager in the directory.", person.upn)));
        }
        if manager.enabled == Some(false) {
            return Err(refuse("no-manager", format!("{name}, the manager of {}, can't sign in.", person.upn)));
        }
        let address = manager.mail.clone().ok_or_else(|| {
            refuse(
                "no-mail-address",
                format!("The tenant knows no mail address of {name}, the manager of {}.", person.upn),
            )
        })?;
        let mut notices = Notices::default();
        ledger.visit(1, &mut |recorded| {
            notices.add(&recorded);
            ControlFlow::Continue(())
        })?;
        let bound = notices.get(job).and_then(|bound| bound.since().map(|since| (bound.clone(), since)));
        let Some((bound, registered)) = bound else {
            let fact = format!("The tenant has no key of job {job}: its PIN opens nothing.");
            return Err(refuse("nothing-to-tell", fact));
        };
        let wanted = self.language.as_deref().or(person.language.as_deref()).unwrap_or("en");
        let language = if self.template.texts(wanted).is_some() { wanted } else { "en" }.to_owned();
        Ok(Delivery { manager, address, person, bound, registered, language })
    }

    pub(super) fn send(&self, delivery: &Delivery, job: &JobId, pin: &Pin) -> Result<(), GraphError> {
        let manager = delivery.manager.display_name.clone().unwrap_or_else(|| name_of(&delivery.manager));
        let about = About {
            reference: key_reference(job, delivery.bound.attempt),
            name: &delivery.person.display_name,
            key: &delivery.bound.key,
            pin_minimum: delivery.bound.pin_minimum,
            registered: delivery.registered,
            today: Zoned::now().date(),
        };
        let forced = delivery.bound.forced;
        // infallible: `prepare` chose a language that the template has, and the built-in one has English
        let (subject, text) = about
            .to_manager(&self.template, &delivery.language, &manager, pin, forced)
            .expect("a language of the template");
        let mail = Mail { to: delivery.address.clone(), subject, text, keep: false };
        self.at.graph.send_mail(&self.from, &mail).map(drop)
    }
}
