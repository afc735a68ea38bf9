//! How far a group of people has come with their keys. Pure: from what the ledger, the list of methods and the report tell.

use jiff::Timestamp;

use crate::graph::registration_report::RegistrationDetails;
use crate::graph::sign_in_methods::MethodKind;
use crate::graph::user_methods::AuthenticationMethod;
use crate::model::UserId;

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Object id.
    pub user: UserId,
    /// User principal name; the object id where it isn't known.
    pub name: String,
    /// A passkey is registered; `None` when methods can't be read, or the person isn't in the directory any more.
    pub key: Option<bool>,
    /// A passkey was used to sign in.
    pub key_used: Option<bool>,
    /// How many strong methods there are.
    pub strong: Option<usize>,
    /// A Temporary Access Pass is left over.
    pub live_pass: Option<bool>,
    /// Self-service password reset is on for them.
    pub sspr: Option<bool>,
    /// A method for multifactor authentication is registered.
    pub mfa: Option<bool>,
    /// The method used last, by its kind, and when.
    pub last: Option<(MethodKind, Timestamp)>,
}

impl Standing {
    /// Puts together what is known of a person. `methods`, as beta lists them, is `None` when they can't be read; `report` when
    /// there is no row.
    pub fn of(
        user: UserId,
        name: String,
        methods: Option<&[AuthenticationMethod]>,
        report: Option<&RegistrationDetails>,
    ) -> Self {
        let some = |holds: &dyn Fn(&AuthenticationMethod) -> bool| methods.map(|methods| methods.iter().any(holds));
        let is_key = |method: &AuthenticationMethod| method.kind() == MethodKind::Passkey;
        Self {
            user,
            name,
            key: some(&is_key),
            key_used: some(&|method| is_key(method) && method.last_used().is_some()),
            strong: methods.map(|methods| methods.iter().filter(|method| method.kind().is_strong()).count()),
            live_pass: some(&AuthenticationMethod::is_live_pass),
            sspr: report.and_then(RegistrationDetails::may_reset_password),
            mfa: report.and_then(RegistrationDetails::is_mfa_registered),
            last: methods
                .unwrap_or_default()
                .iter()
                .filter_map(|method| Some((method.kind(), method.last_used()?)))
                .max_by_key(|(_, at)| *at),
        }
    }

    /// What somebody should do for this person; empty when nothing.
    pub fn to_do(&self) -> Vec<&'static str> {
        let mut list = Vec::new();
        match (self.key, self.key_used) {
            (None, _) => list.push("find out why their methods can't be read"),
            (Some(false), _) => list.push("give them a key"),
            (Some(true), Some(false)) => list.push("have them sign in with the key once"),
            _ => {}
        }
        if self.key == Some(true) && self.strong == Some(1) {
            list.push("add a second authenticator");
        }
        if self.live_pass == Some(true) {
            list.push(if self.key == Some(true) { "delete the left-over pass" } else { "watch the open pass" });
        }
        if self.key == Some(true) && self.sspr == Some(true) {
            list.push("take them out of password reset");
        }
        list
    }
}

/// How many are, how many aren't, of how many it isn't known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Are.
    pub yes: usize,
    /// Are not.
    pub no: usize,
    /// Not known.
    pub unknown: usize,
}

impl Tally {
    /// Counts answers.
    pub fn of(answers: impl Iterator<Item = Option<bool>>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            let count = match answer {
                Some(true) => &mut tally.yes,
                Some(false) => &mut tally.no,
                None => &mut tally.unknown,
            };
            *count = count.saturating_add(1);
        }
        tally
    }

    /// All of them.
    pub fn total(self) -> usize {
        self.yes.saturating_add(self.no).saturating_add(self.unknown)
    }

    /// Percent of all that are, rounded down, so that 100 means all; 0 of none.
    pub fn percent(self) -> usize {
        self.yes.saturating_mul(100).checked_div(self.total()).unwrap_or(0)
    }
}

/// Everybody together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The people, by name.
    pub people: Vec<Standing>,
}

impl Adoption {
    /// Sorts the people by name.
    pub fn new(mut people: Vec<Standing>) -> Self {
        people.sort_by(|a, b| a.name.cmp(&b.name));
        Self { people }
    }

    /// One question, counted.
    pub fn tally(&self, question: impl Fn(&Standing) -> Option<bool>) -> Tally {
        Tally::of(self.people.iter().map(question))
    }

    /// Has a key.
    pub fn keys(&self) -> Tally {
        self.tally(|person| person.key)
    }

    /// Has signed in with it.
    pub fn used(&self) -> Tally {
        self.tally(|person| person.key_used)
    }

    /// Has two strong methods or more.
    pub fn two(&self) -> Tally {
        self.tally(|person| person.strong.map(|count| count >= 2))
    }

    /// Has a pass left over.
    pub fn passes(&self) -> Tally {
        self.tally(|person| person.live_pass)
    }

    /// May reset a password.
    pub fn sspr(&self) -> Tally {
        self.tally(|person| person.sspr)
    }

    /// Has registered for multifactor authentication.
    pub fn mfa(&self) -> Tally {
        self.tally(|person| person.mfa)
    }

    /// How many used what last, the most frequent first and "nothing known" (`None`) last.
    pub fn last_methods(&self) -> Vec<(Option<MethodKind>, usize)> {
        let mut counts: Vec<(Option<MethodKind>, usize)> = Vec::new();
        for person in &self.people {
            let kind = person.last.as_ref().map(|(kind, _)| kind.clone());
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => counts.push((kind, 1)),
            }
        }
        counts.sort_by(|a, b| a.0.is_none().cmp(&b.0.is_none()).then(b.1.cmp(&a.1)).then(a.0.cmp(&b.0)));
        counts
    }
}

/// A kind of method as a manager calls it.
pub fn in_words(kind: &MethodKind) -> &str {
    match kind {
        MethodKind::Passkey => "security key or passkey",
        other => other.words(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::graph::Document;
    use serde_json::{Value, json};

    fn document(json: Value) -> Document {
        Document::from_json(json).expect("an object")
    }

    fn method(kind: &str, used: Option<i64>) -> AuthenticationMethod {
        let used = used.map(|second| Timestamp::from_second(second).expect("a time").to_string());
        AuthenticationMethod::from_document(document(json!({
            "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethod"), "id": "x", "lastUsedDateTime": used,
        })))
    }

    fn standing(methods: Option<&[AuthenticationMethod]>, report: Option<&RegistrationDetails>) -> Standing {
        Standing::of(UserId::new("u"), "u@x".into(), methods, report)
    }

    #[test]
    fn each_person_is_told_what_is_left_to_do() {
        let on =
            RegistrationDetails::from_document(document(json!({ "isSsprEnabled": true, "isMfaRegistered": true })));
        let person = standing(
            Some(&[method("fido2", None), method("temporaryAccessPass", Some(5)), method("password", Some(3))]),
            Some(&on),
        );
        assert_eq!(
            person.to_do(),
            [
                "have them sign in with the key once",
                "add a second authenticator",
                "delete the left-over pass",
                "take them out of password reset"
            ]
        );
        assert_eq!(person.last.map(|(kind, _)| kind), Some(MethodKind::Pass));
        let done = standing(Some(&[method("fido2", Some(9)), method("microsoftAuthenticator", None)]), None);
        assert_eq!((done.to_do(), done.sspr), (vec![], None));
        assert_eq!(standing(Some(&[]), None).to_do(), ["give them a key"]);
        assert_eq!(standing(None, Some(&on)).to_do(), ["find out why their methods can't be read"]);
    }

    #[test]
    fn what_is_not_known_is_not_counted_as_yes_or_no() {
        let all = Adoption::new(vec![
            standing(Some(&[method("fido2", Some(1))]), None),
            standing(Some(&[]), None),
            standing(None, None),
        ]);
        assert_eq!(all.keys(), Tally { yes: 1, no: 1, unknown: 1 });
        assert_eq!((all.keys().percent(), all.mfa().unknown, Tally::default().percent()), (33, 3, 0));
        assert_eq!(all.last_methods(), [(Some(MethodKind::Passkey), 1), (None, 2)]);
    }
}
