//! For tests of this module and of its neighbours: a ledger and a tenant in memory.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::current::{Current, id_of};
use super::desired::Doing;
use super::plan::{Spot, limit_of};
use super::reach::{Performed, Reach, Tried};
use super::resource::{Act, Kind, Resource};
use crate::graph::{ErrorKind, Fixer, GraphError};
use crate::ledger::{MemoryLedger, MemoryStore};
use crate::model::{BenchId, UserId};
use crate::world::SystemClock;

/// An empty ledger in memory.
pub fn ledger() -> MemoryLedger {
    MemoryStore::new().open(BenchId::new("bench-1"), Arc::new(SystemClock::new()))
}

/// A policy document of `fixtures/tenant`.
pub fn fixture(name: &str) -> Value {
    let text = match name {
        "profiles" => include_str!("../../fixtures/tenant/methods-policy.profiles.json"),
        "legacy" => include_str!("../../fixtures/tenant/methods-policy.legacy.json"),
        _ => include_str!("../../fixtures/tenant/methods-policy.new-tenant.json"),
    };
    serde_json::from_str(text).expect("JSON")
}

/// A tenant that merges as Graph documents it: members of the first level are replaced, what is omitted stays.
pub struct InMemory {
    pub tenant: RefCell<Current>,
    /// Reads that still show the old document after each write.
    pub lag: Cell<u32>,
    pub shown_late: RefCell<Option<(Resource, Option<Value>, u32)>>,
    /// What happens to the next write.
    pub trouble: Cell<Option<Trouble>>,
    /// Seconds waited.
    pub waited: Cell<u64>,
    pub writes: Cell<u32>,
    pub what_if: RefCell<Vec<Tried>>,
    next: Cell<u32>,
}

/// What can happen to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused.
    Refused,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It never arrives, and nobody knows.
    NeverArrived,
    /// It is answered with success and not made.
    Silent,
}

impl InMemory {
    pub fn new(policy: &Value) -> Self {
        let mut tenant = Current::default();
        tenant.take_policy(policy);
        let mut beta = policy.clone();
        beta["systemCredentialPreferences"] = json!({"state": "default", "includeTargets": [{"id": "all_users", "targetType": "group"}], "excludeTargets": []});
        beta["authenticationMethodConfigurations"] = json!([{
            "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethodConfiguration", "id": "HardwareOath", "state": "disabled",
            "includeTargets": [{"id": "all_users", "targetType": "group", "isRegistrationRequired": false}], "excludeTargets": [],
        }]);
        tenant.take_beta_policy(&beta);
        let built_in = [
            (
                "2",
                "Multifactor authentication",
                json!([
                    "fido2",
                    "windowsHelloForBusiness",
                    "x509CertificateMultiFactor",
                    "deviceBasedPush",
                    "password,sms",
                    "password,microsoftAuthenticatorPush",
                    "temporaryAccessPassOneTime",
                    "temporaryAccessPassMultiUse"
                ]),
            ),
            ("3", "Passwordless MFA", json!(["fido2", "windowsHelloForBusiness", "deviceBasedPush"])),
            ("4", "Phishing-resistant MFA", json!(["fido2", "windowsHelloForBusiness", "x509CertificateMultiFactor"])),
        ];
        for (number, name, combinations) in built_in {
            let id = format!("00000000-0000-0000-0000-00000000000{number}");
            let document = json!({"id": id, "displayName": name, "policyType": "builtIn", "allowedCombinations": combinations, "combinationConfigurations": []});
            tenant.set(Resource::Strength(id), document);
        }
        tenant.set(Resource::Defaults, json!({"id": "defaults", "isEnabled": false}));
        tenant.set(
            Resource::Devices,
            json!({"id": "devices", "multiFactorAuthConfiguration": "required", "userDeviceQuota": 50}),
        );
        Self {
            tenant: RefCell::new(tenant),
            lag: Cell::new(0),
            shown_late: RefCell::new(None),
            trouble: Cell::new(None),
            waited: Cell::new(0),
            writes: Cell::new(0),
            what_if: RefCell::default(),
            next: Cell::new(1),
        }
    }

    fn id(&self) -> String {
        self.next.set(self.next.get() + 1);
        format!("99999999-0000-4000-8000-{:012}", self.next.get())
    }

    fn set(&self, at: Resource, document: Option<Value>) {
        let mut tenant = self.tenant.borrow_mut();
        *self.shown_late.borrow_mut() = Some((at.clone(), tenant.get(&at).cloned(), self.lag.get()));
        match document {
            Some(document) => tenant.set(at, document),
            None => tenant.remove(&at),
        }
    }

    fn carry_out(&self, act: &Act) -> Option<Value> {
        let now = |at: &Resource| self.tenant.borrow().get(at).cloned().unwrap_or_default();
        match act {
            Act::Change(Resource::Devices, body) => self.set(Resource::Devices, Some(body.clone())),
            Act::Change(at, body) => {
                let mut document = now(at);
                for (name, value) in body.as_object().expect("an object") {
                    document[name] = value.clone();
                }
                for profile in document["passkeyProfiles"].as_array_mut().into_iter().flatten() {
                    if profile["id"].is_null() {
                        profile["id"] = json!(self.id());
                    }
                }
                self.set(at.clone(), Some(document));
            }
            Act::Create(kind, body) => {
                let mut document = body.clone();
                document["id"] = json!(self.id());
                if *kind == Kind::Strength {
                    document["policyType"] = json!("custom");
                }
                for limit in document["combinationConfigurations"].as_array_mut().into_iter().flatten() {
                    limit["id"] = json!(self.id());
                }
                self.set(kind.of(&id_of(&document).expect("an id")), Some(document.clone()));
                return Some(document);
            }
            Act::Combinations { strength, allow } => {
                let at = Resource::Strength(strength.clone());
                let mut document = now(&at);
                document["allowedCombinations"] = json!(allow);
                self.set(at, Some(document));
            }
            Act::Limit { strength, id, models } => {
                let at = Resource::Strength(strength.clone());
                let mut document = now(&at);
                let mut limits = document["combinationConfigurations"].as_array().cloned().unwrap_or_default();
                limits.retain(|one| id.is_none() || id_of(one) != *id);
                if !models.is_empty() {
                    limits.push(json!({
                        "id": id.clone().unwrap_or_else(|| self.id()), "appliesToCombinations": ["fido2"],
                        "allowedAAGUIDs": models.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    }));
                }
                document["combinationConfigurations"] = json!(limits);
                assert_eq!(limit_of(&document).is_some(), !models.is_empty());
                self.set(at, Some(document));
            }
            Act::Delete(at) => self.set(at.clone(), None),
        }
        None
    }
}

fn error(kind: ErrorKind) -> GraphError {
    GraphError::new(kind, Fixer::Operator, "Graph did not do it").because("A test says so.").advise("Try again.")
}

impl Reach for InMemory {
    fn read(&self, at: &Resource) -> Result<Option<Value>, GraphError> {
        if let Some((late, old, left)) = self.shown_late.borrow_mut().as_mut()
            && late == at
            && *left > 0
        {
            *left -= 1;
            return Ok(old.clone());
        }
        Ok(self.tenant.borrow().get(at).cloned())
    }

    fn methods(&self, beta: bool) -> Result<Value, GraphError> {
        let at = if beta { Resource::BetaPolicy } else { Resource::Policy };
        Ok(self.tenant.borrow().get(&at).cloned().unwrap_or_default())
    }

    fn list(&self, kind: Kind) -> Result<Vec<Value>, GraphError> {
        Ok(self.tenant.borrow().all(kind).map(|(_, document)| document.clone()).collect())
    }

    fn perform(&self, act: &Act) -> Result<Performed, GraphError> {
        self.writes.set(self.writes.get() + 1);
        let request = Some(format!("request-{}", self.writes.get()));
        match self.trouble.take() {
            Some(Trouble::Refused) => Err(error(ErrorKind::Refused)),
            Some(Trouble::NeverArrived) => Err(error(ErrorKind::Unknown)),
            Some(Trouble::AnswerLost) => {
                self.carry_out(act);
                Err(error(ErrorKind::Unknown))
            }
            Some(Trouble::Silent) => Ok(Performed { made: None, request }),
            None => Ok(Performed { made: self.carry_out(act), request }),
        }
    }

    fn what_if(&self, _: &UserId, _: &Doing, at: Option<&Spot>) -> Result<Vec<Tried>, GraphError> {
        let mut told = self.what_if.borrow().clone();
        for one in told.iter_mut().filter(|one| one.name.contains("from other countries")) {
            one.applies &= at != Some(&Spot::Country("NL".to_owned()));
        }
        Ok(told)
    }

    fn members(&self, _: &str) -> Result<Vec<UserId>, GraphError> {
        Ok(vec![UserId::new("55555555-eeee-4fff-8aaa-000000000005")])
    }

    fn pause(&self, time: Duration) -> Result<(), GraphError> {
        self.waited.set(self.waited.get() + time.as_secs());
        Ok(())
    }
}
