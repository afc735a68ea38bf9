//! A whole day at the bench in a file: ports, hands, keys, tenant and people, and what should come out.
//!
//! The format is described in `docs/SCENARIOS.md`. `[tenant]` is the simulated tenant's own format and is passed on untouched.
//! Exception: expectations are only read here; whoever runs the day compares.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::key::{Birth, Fault, Model, SimKey};
use super::operator::{BoxedKey, Manner, Timings};
use super::ports::SimPorts;

const DEMO: &str = include_str!("../../fixtures/scenarios/demo.toml");

/// Why a scenario can't be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or an unknown or missing member; the parser's words name the line.
    #[error("the scenario can't be read: {0}")]
    Format(#[from] toml::de::Error),
    /// A key of a model that does not exist.
    #[error("the scenario names a key model {name:?}; the models are {known}")]
    NoSuchModel {
        /// As written.
        name: String,
        /// What there is.
        known: String,
    },
    /// Nothing could be plugged in anywhere.
    #[error("the scenario has no ports")]
    NoPorts,
}

/// How the person works.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HandsSpec {
    /// Every human time is multiplied by this.
    pub scale: f64,
    /// How long keys wait for a touch, in milliseconds; not scaled.
    pub touch_timeout_ms: u64,
}

impl Default for HandsSpec {
    fn default() -> Self {
        Self { scale: 1.0, touch_timeout_ms: 30_000 }
    }
}

/// Some keys that are alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeySpec {
    /// A model's id.
    pub model: String,
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// What they have been through.
    #[serde(default)]
    pub birth: Birth,
    /// What is wrong with them.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// How the person treats them.
    #[serde(default)]
    pub hand: Manner,
}

fn one() -> u32 {
    1
}

/// What the day should end with. What is left out is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Expected {
    /// People planned.
    pub planned: Option<u64>,
    /// People whose key is finished.
    pub finished: Option<u64>,
    /// People whose last try failed.
    pub failed: Option<u64>,
    /// People whom directory or policy refuses.
    pub refused: Option<u64>,
    /// People set aside.
    pub parked: Option<u64>,
    /// Keys refused.
    pub keys_refused: Option<u64>,
    /// At least so many repeated Graph requests.
    pub graph_retries_at_least: Option<u64>,
    /// At least so many keys that left early.
    pub early_pulls_at_least: Option<u64>,
}

/// A day at the bench.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    pub title: String,
    /// Number of ports.
    pub ports: usize,
    /// How the person works.
    #[serde(default)]
    pub hands: HandsSpec,
    /// The box of keys, from the top.
    #[serde(default)]
    pub keys: Vec<KeySpec>,
    /// The simulated tenant, in its own format: people, latency, faults.
    #[serde(default)]
    pub tenant: toml::Table,
    /// Roster, as CSV. When empty, everybody in the tenant is on it.
    #[serde(default)]
    pub roster: String,
    /// What should come out.
    #[serde(default)]
    pub expect: Expected,
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        if scenario.ports == 0 {
            return Err(ScenarioError::NoPorts);
        }
        for keys in &scenario.keys {
            keys.find_model()?;
        }
        Ok(scenario)
    }

    /// The embedded demonstration: twelve people, four ports.
    pub fn demo() -> Self {
        Self::parse(DEMO).expect("infallible: a test reads the embedded file")
    }

    /// A day made up from a seed: as many people as keys, models mixed, and one person in eight touches slowly. The same numbers give
    /// the same day. Nobody and nothing is refused in it.
    pub fn generated(keys: u32, ports: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let models: Vec<&str> =
            Model::all().iter().map(|model| model.id.as_str()).filter(|id| *id != "yubikey-5-nfc-5.2").collect();
        let spec = |dice: &mut Dice| {
            let model = models[dice.below(models.len() as u64) as usize].to_owned();
            let slow = dice.below(8) == 0;
            let hand = Manner { touch_after_ms: if slow { 400 } else { 0 }, ..Manner::default() };
            KeySpec { model, count: 1, birth: Birth::default(), faults: Vec::new(), hand }
        };
        let boxed = (0..keys).map(|_| spec(&mut dice)).collect();
        let person = |number: u32| {
            let mut person = toml::Table::new();
            person.insert("upn".into(), format!("person{number}@contoso.example").into());
            person.insert("display_name".into(), format!("Person {number}").into());
            toml::Value::Table(person)
        };
        let mut tenant = toml::Table::new();
        tenant.insert("seed".into(), i64::try_from(seed >> 1).unwrap_or_default().into());
        tenant.insert("domain".into(), "contoso.example".into());
        tenant.insert("latency_ms".into(), 40.into());
        tenant.insert("person".into(), toml::Value::Array((1..=keys).map(person).collect()));
        Self {
            title: format!("{keys} keys at {ports} ports, seed {seed}"),
            ports: ports.max(1),
            hands: HandsSpec { scale: 0.1, touch_timeout_ms: 3_000 },
            keys: boxed,
            tenant,
            roster: String::new(),
            expect: Expected {
                planned: Some(keys.into()),
                finished: Some(keys.into()),
                failed: Some(0),
                refused: Some(0),
                parked: Some(0),
                keys_refused: Some(0),
                ..Expected::default()
            },
        }
    }

    /// Empty ports.
    pub fn make_ports(&self) -> SimPorts {
        SimPorts::numbered(self.ports)
    }

    /// The person's speed.
    pub fn timings(&self) -> Timings {
        Timings::HUMAN.scaled(self.hands.scale)
    }

    /// The box of keys, each with a serial number of its own.
    ///
    /// # Errors
    /// [`ScenarioError::NoSuchModel`].
    pub fn make_keys(&self) -> Result<Vec<BoxedKey>, ScenarioError> {
        let mut boxed = Vec::new();
        let mut unit = 0;
        for spec in &self.keys {
            let model = spec.find_model()?;
            for _ in 0..spec.count {
                unit += 1;
                let key = SimKey::born(&model, unit, &spec.birth);
                let probe = key.probe();
                probe.set_touch_timeout(Duration::from_millis(self.hands.touch_timeout_ms));
                spec.faults.iter().for_each(|fault| probe.add_fault(fault.clone()));
                boxed.push(BoxedKey { key, manner: spec.hand });
            }
        }
        Ok(boxed)
    }
}

impl KeySpec {
    fn find_model(&self) -> Result<Arc<Model>, ScenarioError> {
        Model::by_id(&self.model).ok_or_else(|| ScenarioError::NoSuchModel {
            name: self.model.clone(),
            known: Model::all().iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// Blank keys of one model without end, e.g. for `run --sim-keys`: unit numbers count on.
pub fn endless_blank_keys(model: Arc<Model>, touch_timeout: Duration) -> impl Iterator<Item = BoxedKey> + Send + use<> {
    (1..).map(move |unit| {
        let key = SimKey::new(&model, unit);
        key.probe().set_touch_timeout(touch_timeout);
        key.into()
    })
}

/// SplitMix64: small, seeded, the same everywhere. For making up days, never for secrets.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::key::Touch;

    #[test]
    fn the_demo_holds_what_it_promises() {
        let demo = Scenario::demo();
        let people = demo.tenant["person"].as_array().expect("people");
        assert_eq!((people.len(), demo.ports), (12, 4));
        assert!(people.iter().any(|person| person.get("user_type").and_then(|kind| kind.as_str()) == Some("Guest")));
        let faults = demo.tenant["fault"].as_array().expect("faults");
        let throttled =
            |fault: &toml::Value| fault["status"].as_integer() == Some(429) && fault.get("retry_after").is_some();
        assert!(faults.iter().any(throttled));
        assert!(demo.keys.iter().any(|keys| keys.birth.pin.is_some()));
        assert!(demo.keys.iter().any(|keys| keys.hand.touch_after_ms > 0));
        let pulled = demo.keys.iter().find(|keys| keys.hand.back_after_ms > 0 && !keys.faults.is_empty());
        assert!(pulled.is_some());

        let keys = demo.make_keys().expect("keys");
        let expected = &demo.expect;
        let refused = expected.keys_refused.expect("keys refused");
        assert_eq!(keys.len() as u64, expected.finished.expect("finished") + refused);
        assert_eq!(expected.planned, Some(expected.finished.unwrap_or(0) + expected.refused.unwrap_or(0)));
        let serials: std::collections::BTreeSet<_> = keys.iter().filter_map(|boxed| boxed.key.serial()).collect();
        let told = keys.iter().filter(|boxed| boxed.key.serial().is_some()).count();
        assert_eq!(serials.len(), told, "no serial twice");
        assert!(keys.iter().all(|boxed| boxed.key.probe().finger().rule() == Touch::Hand));
    }

    #[test]
    fn a_seed_gives_one_day() {
        let day = Scenario::generated(20, 8, 7);
        assert_eq!(day, Scenario::generated(20, 8, 7));
        assert_ne!(day.keys, Scenario::generated(20, 8, 8).keys);
        assert_eq!((day.keys.len(), day.ports), (20, 8));
        assert_eq!(day.make_keys().expect("keys").len(), 20);
    }

    #[test]
    fn mistakes_are_named() {
        let parse = |text: &str| Scenario::parse(text).expect_err("a mistake").to_string();
        assert!(parse("title = 't'\nports = 0").contains("no ports"));
        let unknown = parse("title = 't'\nports = 1\n[[keys]]\nmodel = 'yubikey-9'");
        assert!(unknown.contains("yubikey-9") && unknown.contains("titan-v2"), "{unknown}");
        assert!(parse("title = 't'\nports = 1\n[hands]\nspeed = 2").contains("speed"));
        assert!(
            parse("title = 't'\nports = 1\n[[keys]]\nmodel = 'titan-v2'\nfaults = [{ kind = 'explode' }]")
                .contains("explode")
        );
    }

    #[test]
    fn endless_keys_differ() {
        let mut keys = endless_blank_keys(Model::usual(), Duration::from_secs(3));
        let serials: Vec<_> = keys.by_ref().take(3).map(|boxed| boxed.key.serial()).collect();
        assert!(serials[0] != serials[1] && serials[1] != serials[2]);
    }

    /// Every fenced scenario in the manual is one.
    #[test]
    fn the_manuals_examples_read() {
        let manual = include_str!("../../docs/SCENARIOS.md");
        let mut examples = 0;
        for block in manual.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap_or_default();
            Scenario::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            examples += 1;
        }
        assert!(examples > 0);
    }
}
