//! What a Conditional Access policy demands, and whether somebody meets it with what they hold.
//!
//! Sources: Microsoft Graph, `conditionalAccessGrantControls`; Microsoft Entra, "Conditional Access: grant".

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::limit_of;
use crate::model::Aaguid;
use crate::tenant::current::Current;
use crate::tenant::people::{Held, satisfies};
use crate::tenant::resource::Resource;

/// The built-in strength that `mfa` stands for.
const MFA: &str = "00000000-0000-0000-0000-000000000002";

/// Whether somebody gets through with what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// They do.
    Yes,
    /// They don't.
    No,
    /// It turns on something that can't be read here.
    Unknown,
}

/// What is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    /// All of it, not one of it.
    all: bool,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Nobody gets through.
    Block,
    /// One of these combinations, with key models that count; `None`: any.
    Methods(BTreeSet<String>, Option<BTreeSet<Aaguid>>),
    /// Something else, in Graph's word: a compliant device, terms of use, a strength that was not read.
    Other(String),
}

impl Demand {
    /// Reads it, in a tenant whose strengths are these. Without parts it lets everybody through.
    pub(super) fn read(policy: &Value, tenant: &Current) -> Self {
        let grant = &policy["grantControls"];
        let texts = |name: &str| -> Vec<String> {
            grant[name].as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let mut parts: Vec<Part> = texts("builtInControls")
            .into_iter()
            .map(|control| match control.as_str() {
                "block" => Part::Block,
                "mfa" => Part::strength(MFA, tenant),
                _ => Part::Other(control),
            })
            .collect();
        if let Some(id) = grant["authenticationStrength"]["id"].as_str() {
            parts.push(Part::strength(id, tenant));
        }
        for name in ["termsOfUse", "customAuthenticationFactors"] {
            parts.extend((!texts(name).is_empty()).then(|| Part::Other(name.to_owned())));
        }
        Self { all: grant["operator"] == "AND", parts }
    }

    /// The strength it names, by id in lower case.
    pub(super) fn strength_of(policy: &Value) -> Option<String> {
        policy["grantControls"]["authenticationStrength"]["id"].as_str().map(str::to_ascii_lowercase)
    }

    /// Nothing is demanded: such a policy is about sessions.
    pub(super) fn lets_everybody_through(&self) -> bool {
        self.parts.is_empty()
    }

    /// Nobody meets it.
    pub(super) fn is_block(&self) -> bool {
        self.parts.contains(&Part::Block)
    }

    /// It asks for multifactor authentication or more of everybody it is for.
    pub(super) fn asks_for_mfa(&self) -> bool {
        let strong = |part: &Part| match part {
            Part::Block => true,
            // A combination of one way counts where that way is two factors by itself.
            Part::Methods(combinations, _) => combinations.iter().all(|one| {
                one.contains(',')
                    || matches!(one.as_str(), "fido2" | "windowsHelloForBusiness" | "x509CertificateMultiFactor")
                    || matches!(one.as_str(), "deviceBasedPush" | "federatedMultiFactor")
                    || one.starts_with("temporaryAccessPass")
            }),
            Part::Other(_) => false,
        };
        if self.all { self.parts.iter().any(strong) } else { !self.parts.is_empty() && self.parts.iter().all(strong) }
    }

    /// Whether somebody who holds this gets through; `None`: what they hold could not be read.
    pub(super) fn meets(&self, held: Option<&[Held]>) -> Meets {
        let one = |part: &Part| match (part, held) {
            (Part::Block, _) => Meets::No,
            (Part::Other(_), _) | (Part::Methods(..), None) => Meets::Unknown,
            (Part::Methods(combinations, models), Some(held)) => {
                if combinations.iter().any(|one| satisfies(held, one, models.as_ref())) {
                    Meets::Yes
                } else {
                    Meets::No
                }
            }
        };
        if self.parts.is_empty() {
            return Meets::Yes;
        }
        // Block stands alone; beside something else it still lets nobody through.
        if self.is_block() {
            return Meets::No;
        }
        let told: Vec<Meets> = self.parts.iter().map(one).collect();
        let (decides, otherwise) = if self.all { (Meets::No, Meets::Yes) } else { (Meets::Yes, Meets::No) };
        if told.contains(&decides) {
            decides
        } else if told.contains(&Meets::Unknown) {
            Meets::Unknown
        } else {
            otherwise
        }
    }

    /// What it demands that nobody can read of a person, where meeting it turns on that.
    pub(super) fn unreadable(&self) -> Option<String> {
        let words: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| if let Part::Other(word) = part { Some(word.as_str()) } else { None })
            .collect();
        (!words.is_empty() && !self.is_block()).then(|| words.join(", "))
    }

    /// Whether whoever meets the other one meets this one too, as far as that can be told.
    pub(super) fn follows_from(&self, other: &Self) -> bool {
        if self == other || self.parts.is_empty() {
            return true;
        }
        // One part is as good as all of one.
        let (all, any) = (|it: &Self| it.all || it.parts.len() == 1, |it: &Self| !it.all || it.parts.len() == 1);
        if any(self) && any(other) && !other.parts.is_empty() {
            return other.parts.iter().all(|theirs| self.parts.iter().any(|ours| ours.follows_from(theirs)));
        }
        all(self)
            && all(other)
            && self.parts.iter().all(|ours| other.parts.iter().any(|theirs| ours.follows_from(theirs)))
    }
}

impl Part {
    /// What satisfies a strength, and which key models.
    fn strength(id: &str, tenant: &Current) -> Self {
        let Some(document) = tenant.get(&Resource::Strength(id.to_ascii_lowercase())) else {
            return Self::Other(format!("the strength {id}"));
        };
        let list = document["allowedCombinations"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let models = limit_of(document).map(|(_, models)| models.into_iter().collect());
        Self::Methods(list.map(str::to_owned).collect(), models)
    }

    fn follows_from(&self, other: &Self) -> bool {
        match (self, other) {
            // Nobody meets it, so whoever does meets anything.
            (_, Self::Block) => true,
            (Self::Methods(ours, models), Self::Methods(theirs, their_models)) => {
                theirs.is_subset(ours)
                    && models.as_ref().is_none_or(|ours| their_models.as_ref().is_some_and(|it| it.is_subset(ours)))
            }
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant() -> Current {
        let mut tenant = Current::default();
        for (id, list) in [(MFA, json!(["fido2", "password,sms"])), ("keys", json!(["fido2"]))] {
            tenant.set(Resource::Strength(id.into()), json!({"id": id, "allowedCombinations": list}));
        }
        let limit = json!([{"allowedAAGUIDs": [Aaguid([1; 16]).to_string()], "appliesToCombinations": ["fido2"]}]);
        let limited = json!({"allowedCombinations": ["fido2"], "combinationConfigurations": limit});
        tenant.set(Resource::Strength("one model".into()), limited);
        tenant
    }

    fn demand(grant: &Value) -> Demand {
        Demand::read(&json!({ "grantControls": grant }), &tenant())
    }

    fn controls(operator: &str, list: &[&str]) -> Demand {
        demand(&json!({"operator": operator, "builtInControls": list}))
    }

    fn strength(id: &str) -> Demand {
        demand(&json!({"operator": "OR", "builtInControls": [], "authenticationStrength": {"id": id}}))
    }

    #[test]
    fn who_gets_through() {
        let sms = [Held::Password, Held::Phone];
        for (demand, wanted) in [
            (demand(&Value::Null), Meets::Yes),
            (controls("OR", &["block"]), Meets::No),
            (controls("OR", &["mfa"]), Meets::Yes),
            (strength("keys"), Meets::No),
            (strength("gone"), Meets::Unknown),
            (controls("OR", &["compliantDevice"]), Meets::Unknown),
            (controls("OR", &["mfa", "compliantDevice"]), Meets::Yes),
            (controls("AND", &["mfa", "compliantDevice"]), Meets::Unknown),
        ] {
            assert_eq!(demand.meets(Some(&sms)), wanted, "{demand:?}");
        }
        assert_eq!(controls("OR", &["mfa"]).meets(None), Meets::Unknown);
        assert_eq!(controls("OR", &["block"]).meets(None), Meets::No);
    }

    #[test]
    fn what_is_no_stricter_locks_nobody_out() {
        let (mfa, keys, one) = (controls("OR", &["mfa"]), strength("keys"), strength("one model"));
        assert!(mfa.follows_from(&keys) && !keys.follows_from(&mfa));
        assert!(keys.follows_from(&one) && !one.follows_from(&keys));
        assert!(!controls("OR", &["block"]).follows_from(&mfa) && mfa.follows_from(&controls("OR", &["block"])));
        assert!(controls("OR", &["mfa", "compliantDevice"]).follows_from(&mfa));
        assert!(!controls("AND", &["mfa", "compliantDevice"]).follows_from(&mfa));
        assert!(mfa.follows_from(&controls("AND", &["mfa", "compliantDevice"])));
        assert!(!mfa.follows_from(&controls("OR", &["mfa", "compliantDevice"])));
        assert!(demand(&Value::Null).follows_from(&mfa) && !mfa.follows_from(&demand(&Value::Null)));
    }

    #[test]
    fn what_counts_as_mfa() {
        assert!(controls("OR", &["mfa"]).asks_for_mfa() && strength("keys").asks_for_mfa());
        assert!(!controls("OR", &["mfa", "compliantDevice"]).asks_for_mfa());
        assert!(controls("AND", &["mfa", "compliantDevice"]).asks_for_mfa());
        assert!(!demand(&Value::Null).asks_for_mfa());
    }
}
