//! People as a plan sees them: which groups they are in, and what they can sign in with today.

use std::collections::BTreeSet;

use crate::model::Aaguid;

/// What somebody can sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A passkey of this model.
    Passkey {
        /// Model.
        aaguid: Aaguid,
        /// As it was named.
        label: String,
    },
    /// A Temporary Access Pass that can be used.
    Pass {
        /// It works once.
        once: bool,
    },
    /// The Authenticator app.
    Authenticator {
        /// Set up for phone sign-in.
        phone_sign_in: bool,
    },
    /// A phone number.
    Phone,
    /// A code app.
    SoftwareOath,
    /// A code token.
    HardwareOath,
    /// A mail address for codes.
    Email,
    /// Windows Hello for Business, or a Mac's platform credential.
    WindowsHello,
    /// A password.
    Password,
    /// Another kind, by Graph's word.
    Other(String),
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Object id, in lower case.
    pub id: String,
    /// As people know them.
    pub name: String,
    /// Groups that the plan asks about, in lower case.
    pub groups: BTreeSet<String>,
    /// Directory roles they hold now, by template id in lower case, where a policy names roles and they could be read.
    pub roles: BTreeSet<String>,
    /// What they can sign in with; `None` where it could not be read.
    pub methods: Option<Vec<Held>>,
    /// They have signed in with a key at least once, as far as is known.
    pub used_key: bool,
}

/// Everybody a plan looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// In the order of names.
    pub list: Vec<Person>,
    /// Whom that covers, as a sentence: `the members of Keys`.
    pub scope: String,
    /// The tenant tells when keys were last used; otherwise [`Person::used_key`] goes by the ledger alone.
    pub uses_told: bool,
    /// Groups of which everybody was looked at, by id in lower case.
    pub whole: BTreeSet<String>,
    /// Object id of the signed-in person, who is looked at too; none for an application.
    pub caller: Option<String>,
}

impl People {
    /// Whether everybody behind this id was looked at: all of a group, or the one person.
    pub fn covers(&self, id: &str) -> bool {
        self.whole.contains(id) || self.list.iter().any(|person| person.id == id)
    }

    /// The signed-in person.
    pub fn caller(&self) -> Option<&Person> {
        let id = self.caller.as_ref()?;
        self.list.iter().find(|person| person.id == *id)
    }

    /// Those in at least one of these groups, by id in lower case.
    pub fn in_any<'p>(&'p self, groups: &'p [&str]) -> impl Iterator<Item = &'p Person> {
        self.list.iter().filter(move |person| groups.iter().any(|group| person.groups.contains(*group)))
    }
}

/// Whether what somebody holds satisfies a combination such as `password,hardwareOath`. `models`: key models that count,
/// or all of them.
pub fn satisfies(held: &[Held], combination: &str, models: Option<&BTreeSet<Aaguid>>) -> bool {
    combination.split(',').map(str::trim).all(|mode| held.iter().any(|one| has_mode(one, mode, models)))
}

fn has_mode(held: &Held, mode: &str, models: Option<&BTreeSet<Aaguid>>) -> bool {
    match (mode, held) {
        ("fido2", Held::Passkey { aaguid, .. }) => models.is_none_or(|models| models.contains(aaguid)),
        ("windowsHelloForBusiness", Held::WindowsHello)
        | ("deviceBasedPush", Held::Authenticator { phone_sign_in: true })
        | ("microsoftAuthenticatorPush", Held::Authenticator { .. })
        // Authenticator shows codes as well.
        | ("softwareOath", Held::SoftwareOath | Held::Authenticator { .. })
        | ("hardwareOath", Held::HardwareOath)
        | ("sms" | "voice", Held::Phone)
        | ("email", Held::Email)
        | ("password", Held::Password) => true,
        ("temporaryAccessPassOneTime", Held::Pass { once }) => *once,
        ("temporaryAccessPassMultiUse", Held::Pass { once }) => !*once,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Aaguid = Aaguid([1; 16]);

    #[test]
    fn a_combination_needs_all_of_its_ways() {
        let key = Held::Passkey { aaguid: KEY, label: "key".into() };
        let (only_other, none) = (BTreeSet::from([Aaguid([2; 16])]), None);
        assert!(satisfies(std::slice::from_ref(&key), "fido2", none));
        assert!(!satisfies(std::slice::from_ref(&key), "fido2", Some(&only_other)));
        assert!(!satisfies(&[Held::Password], "password,hardwareOath", none));
        assert!(satisfies(&[Held::Password, Held::HardwareOath], "password, hardwareOath", none));
        assert!(satisfies(&[Held::Pass { once: true }], "temporaryAccessPassOneTime", none));
        assert!(!satisfies(&[Held::Pass { once: true }], "temporaryAccessPassMultiUse", none));
        assert!(!satisfies(&[Held::Authenticator { phone_sign_in: false }], "deviceBasedPush", none));
        assert!(!satisfies(&[key], "somethingNew", none));
    }
}
