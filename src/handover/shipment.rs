//! Parcels for people who register themselves: a blank key or a token on its way, and which new method in the tenant is of it. Pure.
//!
//! Promise: a method is held for a shipped key's only where model and time leave one key and one method; where they leave more, a
//! person has to say which.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use crate::graph::Fido2Method;
use crate::ledger::{Entry, HandoverEntry, Recorded, SelfParcel, TenantEntry};
use crate::model::{Aaguid, KeyRef, MethodId, Serial, TenantId, UserId};

/// How far a shipment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipmentState {
    /// Packed; its person has not registered it.
    Waiting,
    /// Its person registered it.
    Registered {
        /// Its id in the tenant.
        method: MethodId,
        /// When.
        created: Timestamp,
    },
    /// The token works.
    Activated {
        /// Its id in the tenant.
        method: MethodId,
    },
    /// Nobody waits for it any more.
    Ended {
        /// Why, in a word.
        code: String,
    },
}

impl ShipmentState {
    /// In lists and in JSON.
    pub fn word(&self) -> &str {
        match self {
            Self::Waiting => "waiting",
            Self::Registered { .. } => "registered",
            Self::Activated { .. } => "activated",
            Self::Ended { code } => code,
        }
    }
}

/// One parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Its number.
    pub parcel: String,
    /// Tenant.
    pub tenant: TenantId,
    /// Whom for.
    pub user: UserId,
    /// What is in it.
    pub what: SelfParcel,
    /// When it was packed.
    pub packed: Timestamp,
    /// The carrier's number.
    pub tracking: Option<String>,
    /// How far it is.
    pub state: ShipmentState,
}

impl Shipment {
    /// The key in it.
    pub fn key(&self) -> Option<&KeyRef> {
        match &self.what {
            SelfParcel::Key { key, .. } => Some(key),
            SelfParcel::Token { .. } => None,
        }
    }

    /// Our own label on the key, where it tells no serial number.
    pub fn label(&self) -> Option<&str> {
        match &self.what {
            SelfParcel::Key { label, .. } => label.as_deref(),
            SelfParcel::Token { .. } => None,
        }
    }

    /// What is in it, for people.
    pub fn for_people(&self) -> String {
        for_people(&self.what)
    }

    /// The method it is in the tenant, while it is one.
    pub fn method(&self) -> Option<&MethodId> {
        match &self.state {
            ShipmentState::Registered { method, .. } | ShipmentState::Activated { method } => Some(method),
            ShipmentState::Waiting | ShipmentState::Ended { .. } => None,
        }
    }

    /// Its person waits for it, or has it.
    pub fn is_out(&self) -> bool {
        !matches!(self.state, ShipmentState::Ended { .. })
    }

    /// Named by this text: parcel, serial number, label or the carrier's number.
    pub fn is(&self, text: &str) -> bool {
        let same = |own: &str| own.eq_ignore_ascii_case(text.trim());
        let serial = match &self.what {
            SelfParcel::Key { key, .. } => key.serial.as_ref().map(Serial::as_str),
            SelfParcel::Token { serial } => Some(serial.as_str()),
        };
        same(&self.parcel)
            || serial.is_some_and(same)
            || self.label().is_some_and(same)
            || self.tracking.as_deref().is_some_and(same)
    }
}

/// What is in a parcel, for people: `YubiKey 5 NFC, serial 19283746`.
pub fn for_people(what: &SelfParcel) -> String {
    match what {
        SelfParcel::Key { key, label } => {
            let model = key.model.as_deref().unwrap_or("key");
            match (&key.serial, label) {
                (Some(serial), _) => format!("{model}, serial {serial}"),
                (None, Some(label)) => format!("{model}, label {label}"),
                (None, None) => model.to_owned(),
            }
        }
        SelfParcel::Token { serial } => format!("token {serial}"),
    }
}

/// Every such parcel, in the order of packing.
#[derive(Debug, Clone, Default)]
pub struct Shipments {
    all: Vec<Shipment>,
    /// Methods that the ledger knows: no new one is among them.
    known: HashSet<MethodId>,
}

impl Shipments {
    /// Takes the next entry in, wherever it was written first.
    pub fn add(&mut self, recorded: &Recorded) {
        match recorded.entry.act() {
            Entry::Registered { method, .. } => {
                self.known.insert(method.clone());
            }
            Entry::Handover(HandoverEntry::SelfPacked { parcel, tenant, user, what, tracking, .. }) => {
                self.all.push(Shipment {
                    parcel: parcel.clone(),
                    tenant: tenant.clone(),
                    user: user.clone(),
                    what: what.clone(),
                    packed: recorded.done_at(),
                    tracking: tracking.clone(),
                    state: ShipmentState::Waiting,
                });
            }
            Entry::Handover(HandoverEntry::SelfRegistered { parcel, method, created, .. }) => {
                self.known.insert(method.clone());
                self.of(parcel, ShipmentState::Registered { method: method.clone(), created: *created });
            }
            Entry::Handover(HandoverEntry::SelfActivated { parcel, method, .. }) => {
                self.of(parcel, ShipmentState::Activated { method: method.clone() });
            }
            Entry::Tenant(TenantEntry::MethodRemoved { method, .. }) => {
                let theirs = self.all.iter().find(|one| one.method() == Some(method));
                if let Some(parcel) = theirs.map(|one| one.parcel.clone()) {
                    self.of(&parcel, ShipmentState::Ended { code: "removed".into() });
                }
            }
            Entry::Handover(HandoverEntry::SelfEnded { parcel, code, .. }) => {
                self.of(parcel, ShipmentState::Ended { code: code.clone() });
            }
            _ => {}
        }
    }

    fn of(&mut self, parcel: &str, state: ShipmentState) {
        if let Some(one) = self.all.iter_mut().find(|one| one.parcel == parcel) {
            one.state = state;
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Shipment] {
        &self.all
    }

    /// Those that are named by this text and still out.
    pub fn named(&self, text: &str) -> Option<&Shipment> {
        self.all.iter().find(|one| one.is_out() && one.is(text))
    }

    /// The last that is named by this text and still out, or back and not wiped yet.
    pub fn to_wipe(&self, text: &str) -> Option<&Shipment> {
        let not_wiped = |one: &Shipment| matches!(&one.state, ShipmentState::Ended { code } if code == "not-wiped");
        let last = self.all.iter().rev().find(|one| one.is(text));
        self.named(text).or(last.filter(|one| not_wiped(one)))
    }

    /// People whom something is waited for of.
    pub fn waiting_for(&self) -> BTreeSet<&UserId> {
        self.waiting().map(|one| &one.user).collect()
    }

    fn waiting(&self) -> impl Iterator<Item = &Shipment> {
        self.all.iter().filter(|one| one.state == ShipmentState::Waiting)
    }

    /// Compares what was shipped to a person with the passkeys that the tenant shows of them.
    pub fn compare<'a>(&'a self, user: &UserId, passkeys: &'a [Fido2Method]) -> Vec<Finding<'a>> {
        let mut by_model: BTreeMap<Aaguid, Vec<&Shipment>> = BTreeMap::new();
        for one in self.waiting().filter(|one| one.user == *user) {
            if let Some(key) = one.key() {
                by_model.entry(key.aaguid).or_default().push(one);
            }
        }
        let mut found = Vec::new();
        for shipped in by_model.into_values() {
            let mut candidates: Vec<&Fido2Method> =
                passkeys.iter().filter(|method| shipped.iter().any(|one| self.fits(one, method))).collect();
            candidates.sort_by_key(|method| method.created);
            match (shipped.as_slice(), candidates.as_slice()) {
                (_, []) => found.extend(shipped.iter().map(|shipment| Finding::Nothing { shipment })),
                ([shipment], [method]) => found.push(Finding::One { shipment, method }),
                _ => found.push(Finding::Several { shipped, candidates }),
            }
        }
        found
    }

    /// Whether a method can be this key: its model, made after it was packed, on a device, and not known to be another's.
    pub fn fits(&self, shipment: &Shipment, method: &Fido2Method) -> bool {
        // The tenant tells whole seconds.
        let packed = shipment.packed.as_second();
        shipment.key().is_some_and(|key| method.aaguid == Some(key.aaguid))
            && method.created.is_some_and(|created| created.as_second() >= packed)
            && method.passkey_type.as_deref().is_none_or(|kind| kind != "synced")
            && !self.known.contains(&method.id)
    }
}

/// What the tenant shows of shipped keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding<'a> {
    /// Nothing of this model yet.
    Nothing {
        /// What is waited for.
        shipment: &'a Shipment,
    },
    /// One key, one method.
    One {
        /// What was shipped.
        shipment: &'a Shipment,
        /// Its method.
        method: &'a Fido2Method,
    },
    /// More than one key, or more than one method: nobody can tell which is which.
    Several {
        /// What was shipped, of one model.
        shipped: Vec<&'a Shipment>,
        /// What the tenant shows of that model.
        candidates: Vec<&'a Fido2Method>,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{BenchId, PortName};

    fn aaguid(number: u8) -> Aaguid {
        Aaguid::parse(&format!("2fc0579f-8113-47ea-b116-bb5a8db9200{number}")).expect("a GUID")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn packed(parcel: &str, model: u8) -> HandoverEntry {
        let serial = Some(Serial::new(parcel));
        let key = KeyRef { aaguid: aaguid(model), serial, firmware: None, model: None, port: PortName::new("1-1") };
        HandoverEntry::SelfPacked {
            parcel: parcel.into(),
            tenant: TenantId::new("t"),
            user: UserId::new("kim"),
            what: SelfParcel::Key { key, label: None },
            seen_by: "serial".into(),
            tracking: Some(format!("JD{parcel}")),
            by: "op".into(),
        }
    }

    fn shipments(acts: impl IntoIterator<Item = (i64, HandoverEntry)>) -> Shipments {
        let mut shipments = Shipments::default();
        for (seq, (second, act)) in (1u64..).zip(acts) {
            let entry = Entry::Handover(act);
            shipments.add(&Recorded { seq, at: at(second), bench: BenchId::new("b"), entry, hash: [0; 32] });
        }
        shipments
    }

    fn method(id: &str, model: u8, second: i64) -> Fido2Method {
        Fido2Method {
            id: MethodId::new(id),
            display_name: None,
            created: Some(at(second)),
            aaguid: Some(aaguid(model)),
            model: None,
            attestation_level: Some("attested".into()),
            passkey_type: Some("deviceBound".into()),
        }
    }

    fn kim() -> UserId {
        UserId::new("kim")
    }

    #[test]
    fn one_key_and_one_new_method_of_its_model_belong_together() {
        let sent = shipments([(100, packed("1", 1))]);
        assert!(matches!(sent.compare(&kim(), &[])[..], [Finding::Nothing { .. }]));
        let others = [
            method("old", 1, 99),
            method("model", 2, 200),
            Fido2Method { passkey_type: Some("synced".into()), ..method("phone", 1, 200) },
        ];
        assert!(matches!(sent.compare(&kim(), &others)[..], [Finding::Nothing { .. }]));
        let all = [others.to_vec(), vec![method("new", 1, 100)]].concat();
        let found = sent.compare(&kim(), &all);
        assert!(matches!(&found[..], [Finding::One { method, .. }] if method.id.as_str() == "new"), "{found:?}");
        assert_eq!(sent.compare(&UserId::new("sam"), &all), []);
    }

    #[test]
    fn two_of_anything_are_a_persons_to_tell_apart() {
        let one = shipments([(100, packed("1", 1))]);
        let both = [method("a", 1, 200), method("b", 1, 300)];
        let found = one.compare(&kim(), &both);
        assert!(matches!(&found[..], [Finding::Several { candidates, .. }] if candidates.len() == 2), "{found:?}");
        let two = shipments([(100, packed("1", 1)), (100, packed("2", 1))]);
        assert!(matches!(two.compare(&kim(), &both[..1])[..], [Finding::Several { .. }]));
        // Two models are two questions, each with one answer.
        let models = shipments([(100, packed("1", 1)), (100, packed("2", 2))]);
        let shown = [method("a", 1, 200), method("b", 2, 200)];
        let found = models.compare(&kim(), &shown);
        assert!(matches!(found[..], [Finding::One { .. }, Finding::One { .. }]), "{found:?}");
    }

    #[test]
    fn what_is_known_is_waited_for_no_longer() {
        let registered = HandoverEntry::SelfRegistered {
            parcel: "1".into(),
            user: kim(),
            method: MethodId::new("a"),
            created: at(200),
            named: false,
            by: "op".into(),
        };
        let second = [(100, packed("1", 1)), (300, registered.clone()), (400, packed("2", 1))];
        let known = shipments(second);
        assert_eq!(known.named("jd1").and_then(Shipment::method), Some(&MethodId::new("a")));
        assert!(
            matches!(known.compare(&kim(), &[method("a", 1, 500)])[..], [Finding::Nothing { .. }]),
            "it is the first one's"
        );
        let ended = HandoverEntry::SelfEnded {
            parcel: "1".into(),
            user: kim(),
            method: None,
            code: "lost".into(),
            reason: "post".into(),
            by: "op".into(),
        };
        let gone = shipments([(100, packed("1", 1)), (200, ended)]);
        assert!(gone.named("1").is_none() && gone.waiting_for().is_empty());
    }

    proptest! {
        /// Whatever is shipped and shown: nothing is bound where another key or method would do as well.
        #[test]
        fn nothing_is_bound_by_chance(models in prop::collection::vec(1u8..3, 0..4), shown in prop::collection::vec((1u8..3, 0i64..300), 0..5)) {
            let sent = shipments(models.iter().enumerate().map(|(number, model)| (100, packed(&number.to_string(), *model))));
            let passkeys: Vec<Fido2Method> =
                shown.iter().enumerate().map(|(number, (model, second))| method(&number.to_string(), *model, *second)).collect();
            for finding in sent.compare(&kim(), &passkeys) {
                if let Finding::One { shipment, method } = finding {
                    let keys = sent.all().iter().filter(|one| one.key().map(|key| key.aaguid) == method.aaguid).count();
                    let methods = passkeys.iter().filter(|other| sent.fits(shipment, other)).count();
                    prop_assert_eq!((keys, methods), (1, 1));
                }
            }
        }
    }
}
