//! What goes wrong, and when.
//!
//! Promise: a plan is a list of rules in order; the first that matches a request is used, and one rule is one trouble.
//! Chances follow from the seed and the request's number, so the same run goes wrong in the same way.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::route::Kind;
use super::seed::Seed;
use super::spec::{SpecError, format_error};

/// A list of rules: `[[fault]]` in TOML.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultPlan(Vec<FaultRule>);

/// One trouble: which requests, and what happens to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which call: a [`Kind`]; every call when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Kind>,
    /// Only calls about this person, by UPN or object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<String>,
    /// Only the n-th such call, counted from 1 since the rule was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u32>,
    /// At most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// With this chance, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Not before so many milliseconds have passed since the rule was made.
    #[serde(default)]
    pub from_ms: u64,
    /// For so many milliseconds from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What happens.
    pub then: Trouble,
    /// For `status` and `html`: the status. 500 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For `status`: `error.code`; a fitting one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For `status` and `html`: a `Retry-After` header, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// For `delay`: milliseconds on top of the latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// For `policy`: members of `[policy]` that change from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// For `lag`: milliseconds before a new passkey shows, from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_lag_ms: Option<u64>,
    /// For `lag`: reads before a new passkey shows, from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_lag_reads: Option<u32>,
}

/// What happens to a request that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// An error status instead of the answer; nothing is performed.
    Status,
    /// A web page instead of the answer; nothing is performed.
    Html,
    /// Performed; the JSON ends in the middle.
    Truncate,
    /// Performed; the answer never comes and the connection stays open.
    Hang,
    /// Performed; the connection is closed without an answer.
    Lose,
    /// Not performed; the connection is closed without an answer.
    Drop,
    /// Performed, later.
    Delay,
    /// Every token issued so far is dead from now on; this call gets 401.
    Revoke,
    /// The policy changes from now on, before this call is performed.
    Policy,
    /// List lag changes from now on.
    Lag,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    #[serde(default)]
    fault: FaultPlan,
}

impl FaultPlan {
    /// A plan of these rules.
    pub fn new(rules: Vec<FaultRule>) -> Self {
        Self(rules)
    }

    /// Reads a file of `[[fault]]` tables. `origin` names the text in errors.
    ///
    /// # Errors
    /// [`SpecError::Format`]; an unknown key is one, and the nearest right one is named.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, SpecError> {
        let plan = toml::from_str::<PlanFile>(text).map_err(|error| format_error(origin, &error.to_string()))?.fault;
        for (index, rule) in plan.0.iter().enumerate() {
            rule.check().map_err(|message| SpecError::Format {
                path: origin.into(),
                message: format!("fault {}: {message}", index + 1),
            })?;
        }
        Ok(plan)
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[FaultRule] {
        &self.0
    }

    /// Adds another plan's rules behind these.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl FaultRule {
    /// A rule that happens to every request.
    pub fn always(then: Trouble) -> Self {
        Self {
            on: None,
            upn: None,
            nth: None,
            times: None,
            chance: None,
            from_ms: 0,
            for_ms: None,
            then,
            status: None,
            code: None,
            retry_after: None,
            delay_ms: None,
            policy: None,
            list_lag_ms: None,
            list_lag_reads: None,
        }
    }

    /// What can't be seen from the types: that the members fit the trouble.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.then {
            Trouble::Status | Trouble::Html => {}
            _ if self.status.is_some() => return Err("`status` belongs to `then = \"status\"` or `\"html\"`".into()),
            Trouble::Delay if self.delay_ms.is_none() => return Err("`then = \"delay\"` needs `delay_ms`".into()),
            Trouble::Policy => {
                let change =
                    self.policy.as_ref().ok_or("`then = \"policy\"` needs `policy`, a table of what changes")?;
                super::policy::changed(&super::spec::PolicySpec::default(), change)
                    .map_err(|message| format!("`policy`: {message}"))?;
            }
            Trouble::Lag if self.list_lag_ms.is_none() && self.list_lag_reads.is_none() => {
                return Err("`then = \"lag\"` needs `list_lag_ms` or `list_lag_reads`".into());
            }
            _ => {}
        }
        if self.status.is_some_and(|status| !(400..600).contains(&status)) {
            return Err("`status` is an error status, 400 to 599".into());
        }
        if self.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err("`chance` is between 0 and 1".into());
        }
        Ok(())
    }
}

/// The plan at work: each rule with what has happened to it.
#[derive(Debug)]
pub(super) struct Faults {
    seed: Seed,
    armed: Vec<Armed>,
    made: usize,
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    number: usize,
    since: Timestamp,
    seen: u32,
    used: u32,
}

impl Faults {
    pub(super) fn new(plan: &FaultPlan, seed: Seed, now: Timestamp) -> Self {
        let mut faults = Self { seed, armed: Vec::new(), made: 0 };
        for rule in plan.rules() {
            faults.add(rule.clone(), now);
        }
        faults
    }

    pub(super) fn add(&mut self, rule: FaultRule, now: Timestamp) {
        self.made += 1;
        self.armed.push(Armed { rule, number: self.made, since: now, seen: 0, used: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The trouble for this request, if any. `who` are the names of the person it is about.
    pub(super) fn pick(&mut self, kind: Kind, who: &[&str], now: Timestamp) -> Option<FaultRule> {
        let seed = self.seed;
        let mut picked = None;
        for armed in &mut self.armed {
            let rule = &armed.rule;
            let about = rule.upn.as_deref().is_none_or(|upn| who.iter().any(|name| name.eq_ignore_ascii_case(upn)));
            if rule.on.is_some_and(|on| on != kind) || !about {
                continue;
            }
            // Every rule counts what it could have matched, whether or not an earlier one takes this request.
            armed.seen += 1;
            let age = now.duration_since(armed.since);
            let from = SignedDuration::from_millis(i64::try_from(rule.from_ms).unwrap_or(i64::MAX));
            let until = rule
                .for_ms
                .map(|ms| from.saturating_add(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))));
            let chance = rule
                .chance
                .is_none_or(|chance| seed.fraction(&format!("fault {} request {}", armed.number, armed.seen)) < chance);
            if picked.is_none()
                && age >= from
                && until.is_none_or(|until| age < until)
                && rule.nth.is_none_or(|nth| nth == armed.seen)
                && rule.times.is_none_or(|times| armed.used < times)
                && chance
            {
                armed.used += 1;
                picked = Some(rule.clone());
            }
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        Faults::new(&FaultPlan::from_toml(text, "faults.toml").expect("a plan"), Seed(1), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn nth_and_times_count_matching_requests_only() {
        let mut plan = faults("[[fault]]\non = \"register\"\nnth = 2\nthen = \"drop\"\n");
        let at = Timestamp::UNIX_EPOCH;
        assert!(plan.pick(Kind::Register, &[], at).is_none());
        assert!(plan.pick(Kind::List, &[], at).is_none());
        assert!(plan.pick(Kind::Register, &[], at).is_some());
        assert!(plan.pick(Kind::Register, &[], at).is_none());
    }

    #[test]
    fn a_window_opens_and_closes() {
        let mut plan = faults("[[fault]]\nfrom_ms = 1000\nfor_ms = 1000\nthen = \"status\"\nstatus = 503\n");
        let at = |ms: i64| Timestamp::from_millisecond(ms).expect("a time");
        assert!(plan.pick(Kind::List, &[], at(999)).is_none());
        assert!(plan.pick(Kind::List, &[], at(1000)).is_some());
        assert!(plan.pick(Kind::List, &[], at(2000)).is_none());
    }

    #[test]
    fn a_person_is_matched_by_any_of_their_names() {
        let mut plan = faults("[[fault]]\nupn = \"Kim@contoso.example\"\nthen = \"hang\"\n");
        assert!(plan.pick(Kind::List, &["id", "kim@contoso.example"], Timestamp::UNIX_EPOCH).is_some());
        assert!(plan.pick(Kind::List, &["other"], Timestamp::UNIX_EPOCH).is_none());
        assert!(plan.pick(Kind::Token, &[], Timestamp::UNIX_EPOCH).is_none());
    }

    #[test]
    fn chance_is_about_right_and_the_same_again() {
        let hits = || {
            let mut plan = faults("[[fault]]\nchance = 0.25\nthen = \"drop\"\n");
            (0..400).filter(|_| plan.pick(Kind::List, &[], Timestamp::UNIX_EPOCH).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(hits(), hits());
        assert!((60..140).contains(&hits().len()), "{}", hits().len());
    }

    #[test]
    fn the_documented_example_can_be_read() {
        let docs = include_str!("../../../docs/SIMULATOR.md");
        let example = docs.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        assert_eq!(FaultPlan::from_toml(example, "SIMULATOR.md").expect("a plan").rules().len(), 3);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| FaultPlan::from_toml(text, "f.toml").expect_err("wrong").to_string();
        assert!(error("[[fault]]\nthen = \"drop\"\nretry_afer = 1\n").contains("did you mean `retry_after`?"));
        assert!(error("[[fault]]\nthen = \"drop\"\non = \"registr\"\n").contains("did you mean `register`?"));
        assert!(error("[[fault]]\nthen = \"delay\"\n").contains("fault 1"));
        assert!(error("[[fault]]\nthen = \"policy\"\npolicy = { self_servise = true }\n").contains("self_servise"));
        assert!(error("[[fault]]\nthen = \"status\"\nstatus = 200\n").contains("400 to 599"));
    }
}
