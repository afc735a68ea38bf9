//! Whether what somebody brings, a security key or a Temporary Access Pass, is enough for what a policy demands. Pure.
//!
//! Source: Microsoft Entra, "Conditional Access: grant", and the authentication strengths reference. A passkey and a pass both
//! count as multifactor authentication; devices, apps, terms and passwords are beyond what either can prove.

use std::fmt;

use super::authentication_strength::{AuthenticationStrength, Mode};
use super::conditional_access::{Control, Grant};
use crate::model::Aaguid;

/// What somebody brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A security key, of this model where it is known.
    Key(Option<Aaguid>),
    /// A Temporary Access Pass.
    AccessPass {
        /// Good once.
        one_time: bool,
    },
}

/// Whether it is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enough {
    /// It is.
    Yes,
    /// It is not, and why.
    No(String),
    /// That depends on something it can't prove.
    Depends(String),
}

impl Enough {
    /// As `yes`, `no` or `depends`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Depends(_) => "depends",
        }
    }

    /// Why not, or on what; empty for yes.
    pub fn reason(&self) -> &str {
        match self {
            Self::Yes => "",
            Self::No(why) | Self::Depends(why) => why,
        }
    }

    /// What both together make: the worse of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No(why), _) | (_, Self::No(why)) => Self::No(why),
            (Self::Depends(why), _) | (_, Self::Depends(why)) => Self::Depends(why),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// What either alone makes: the better of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Depends(why), _) | (_, Self::Depends(why)) => Self::Depends(why),
            (Self::No(why), Self::No(_)) => Self::No(why),
        }
    }
}

/// One demand of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// A control.
    Control(Control),
    /// A strength.
    Strength(Box<AuthenticationStrength>),
    /// Terms of use.
    Terms,
    /// A custom control, by name.
    Custom(String),
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(control) => f.write_str(match control {
                Control::Block => "nobody gets through (block)",
                Control::Mfa => "multifactor authentication",
                Control::CompliantDevice => "a compliant device",
                Control::DomainJoinedDevice => "a hybrid-joined device",
                Control::ApprovedApplication => "an approved app",
                Control::CompliantApplication => "an app with a protection policy",
                Control::PasswordChange => "a new password",
                Control::RiskRemediation => "risk to be dealt with",
                Control::Other(word) => word,
            }),
            Self::Strength(strength) => write!(f, "the strength {}", strength.name()),
            Self::Terms => f.write_str("terms of use accepted"),
            Self::Custom(name) => write!(f, "the custom control {name}"),
        }
    }
}

impl Demand {
    /// Whether this is enough for it.
    pub fn weigh(&self, proof: Proof) -> Enough {
        match self {
            Self::Control(Control::Block) => Enough::No("it is blocked".to_owned()),
            Self::Control(Control::Mfa) => Enough::Yes,
            Self::Strength(strength) => weigh(strength, proof),
            other => Enough::Depends(format!("it needs {other}")),
        }
    }
}

fn weigh(strength: &AuthenticationStrength, proof: Proof) -> Enough {
    let name = strength.name();
    if strength.combinations().is_empty() {
        return Enough::Depends(format!("the tenant does not tell what the strength {name} is made of"));
    }
    match proof {
        Proof::AccessPass { one_time } if strength.takes_access_pass(one_time) => Enough::Yes,
        Proof::AccessPass { one_time } => {
            let kind = if one_time { "one-time" } else { "multi-use" };
            Enough::No(format!("the strength {name} takes no {kind} pass"))
        }
        Proof::Key(_) if !strength.takes(&Mode::Fido2) => Enough::No(format!("the strength {name} takes no passkey")),
        Proof::Key(model) => match (strength.key_models(), model) {
            (None, _) => Enough::Yes,
            (Some(models), Some(model)) if models.contains(&model) => Enough::Yes,
            (Some(_), Some(model)) => Enough::No(format!("the strength {name} does not list the model {model}")),
            (Some(_), None) => Enough::Depends(format!("the strength {name} lists models, and none was named")),
        },
    }
}

impl Grant {
    /// Everything it demands, in a fixed order.
    pub fn demands(&self) -> Vec<Demand> {
        let controls = self.controls.iter().cloned().map(Demand::Control);
        let strength = self.strength.iter().cloned().map(|strength| Demand::Strength(Box::new(strength)));
        let terms = self.terms.first().map(|_| Demand::Terms);
        let custom = self.custom.iter().cloned().map(Demand::Custom);
        controls.chain(strength).chain(terms).chain(custom).collect()
    }

    /// Whether this is enough for all of it.
    pub fn weigh(&self, proof: Proof) -> Enough {
        let demands = self.demands();
        // Nothing stands beside a block.
        if demands.contains(&Demand::Control(Control::Block)) {
            return Demand::Control(Control::Block).weigh(proof);
        }
        let each = demands.iter().map(|demand| demand.weigh(proof));
        let whole = if self.all { each.reduce(Enough::and) } else { each.reduce(Enough::or) };
        whole.unwrap_or(Enough::Yes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::{ConditionalAccessPolicy, Document};

    const MODEL: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

    fn grant(json: Value) -> Grant {
        let policy = Document::new().with("grantControls", json);
        ConditionalAccessPolicy::from_document(policy).grant().expect("a grant")
    }

    fn strength(combinations: &[&str], models: Option<&[&str]>) -> Value {
        let limits =
            models.map_or(json!([]), |models| json!([{"appliesToCombinations": ["fido2"], "allowedAAGUIDs": models}]));
        json!({"id": "s", "displayName": "Ours", "allowedCombinations": combinations, "combinationConfigurations": limits})
    }

    fn words(grant: &Grant) -> [&'static str; 4] {
        [
            grant.weigh(Proof::AccessPass { one_time: true }).word(),
            grant.weigh(Proof::AccessPass { one_time: false }).word(),
            grant.weigh(Proof::Key(Aaguid::parse(MODEL))).word(),
            grant.weigh(Proof::Key(None)).word(),
        ]
    }

    #[test]
    fn strengths_take_what_they_list() {
        let with = |strength: Value| grant(json!({"operator": "OR", "authenticationStrength": strength}));
        assert_eq!(words(&with(strength(&["fido2", "temporaryAccessPassOneTime"], None))), ["yes", "no", "yes", "yes"]);
        assert_eq!(words(&with(strength(&["fido2"], Some(&[MODEL])))), ["no", "no", "yes", "depends"]);
        let other = "00000000-1111-2222-3333-444444444444";
        assert_eq!(words(&with(strength(&["fido2"], Some(&[other])))), ["no", "no", "no", "depends"]);
        // A combination of two is not met by one of them.
        assert_eq!(words(&with(strength(&["password, hardwareOath"], None))), ["no", "no", "no", "no"]);
        // Only the id was told.
        assert_eq!(words(&with(json!({"id": "s"}))), ["depends"; 4]);
    }

    #[test]
    fn controls_together_and_alone() {
        let of = |operator: &str, controls: Value| grant(json!({"operator": operator, "builtInControls": controls}));
        assert_eq!(words(&of("OR", json!(["mfa"]))), ["yes"; 4]);
        assert_eq!(words(&of("OR", json!(["mfa", "compliantDevice"]))), ["yes"; 4]);
        assert_eq!(words(&of("AND", json!(["mfa", "compliantDevice"]))), ["depends"; 4]);
        assert_eq!(words(&of("OR", json!(["block"]))), ["no"; 4]);
        assert_eq!(words(&of("AND", json!(["somethingNew"]))), ["depends"; 4]);
        assert_eq!(words(&of("AND", json!([]))), ["yes"; 4]);
        let reason = of("AND", json!(["compliantDevice"])).weigh(Proof::Key(None));
        assert_eq!(reason.reason(), "it needs a compliant device");
    }
}
