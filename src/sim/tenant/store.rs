//! Everything the simulated tenant knows. One lock around it; every call is quick.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::Caller;
use super::accounts::Account;
use super::challenge::Challenges;
use super::credential_id::url_token;
use super::faults::Faults;
use super::oauth::Pending;
use super::policies::{self, Policies};
use super::route::{Kind, Who};
use super::seed::Seed;
use super::spec::{PersonSpec, PolicySpec, SpecError, TenantSpec, UserType};

/// A person.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) upn: String,
    pub(super) display_name: String,
    pub(super) user_type: UserType,
    pub(super) enabled: bool,
    pub(super) roles: Vec<String>,
    /// Roles that could be activated.
    pub(super) eligible_roles: Vec<String>,
    /// Names of the registration report beside those that follow from `methods`.
    pub(super) registered: Vec<String>,
    /// Self-service password reset is on for them.
    pub(super) sspr: bool,
    /// Direct memberships, by group id.
    pub(super) groups: Vec<String>,
    /// Shown in `upns` and `/sim/state`; the signing-in admin need not be.
    pub(super) listed: bool,
    pub(super) methods: Vec<Method>,
    pub(super) account: Account,
}

/// A passkey in the directory.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub(super) id: String,
    pub(super) credential_id: Vec<u8>,
    pub(super) cose: Vec<u8>,
    pub(super) aaguid: String,
    pub(super) display_name: Option<String>,
    pub(super) created: Timestamp,
    pub(super) last_used: Option<Timestamp>,
    pub(super) synced: bool,
    pub(super) attested: bool,
    pub(super) certificates: Vec<String>,
    /// List lag: not shown before this time…
    pub(super) visible_from: Timestamp,
    /// …nor before so many reads.
    pub(super) hidden_reads: u32,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role_assignable: bool,
    /// A rule makes its members.
    pub(super) dynamic: bool,
    /// Groups this one is a member of, by id.
    pub(super) parents: Vec<String>,
}

/// The tenant.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) spec: TenantSpec,
    pub(super) seed: Seed,
    pub(super) tenant_id: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// `http://127.0.0.1:port`
    pub(super) base: String,
    pub(super) admin: String,
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
    /// Hardware tokens.
    pub(super) tokens_in_stock: Vec<super::hardware_oath::Device>,
    pub(super) policy: PolicySpec,
    pub(super) policies: Policies,
    pub(super) challenges: Challenges,
    pub(super) faults: Faults,
    pub(super) tokens: HashMap<String, Caller>,
    pub(super) pending: Pending,
    pub(super) rejected: Vec<(String, String)>,
    /// Passwords and seeds that were sent, passes that were given out.
    pub(super) secrets: Vec<String>,
    /// Whose sessions were revoked, in order.
    pub(super) signed_out: Vec<String>,
    pub(super) log: Vec<Value>,
    /// App registrations that were made.
    pub(super) applications: Vec<Value>,
    /// Rows of the sign-in log, oldest first.
    pub(super) sign_ins: Vec<Value>,
    /// What was done to people's methods.
    pub(super) audits: super::audit_log::AuditLog,
    requests: BTreeMap<&'static str, u64>,
    offset: SignedDuration,
    counter: u64,
}

impl Store {
    /// Builds the tenant; what a specification can only get wrong as a whole is found here.
    pub(super) fn new(spec: TenantSpec, base: String) -> Result<Self, SpecError> {
        let seed = Seed(spec.seed);
        let now = Timestamp::now();
        for rule in spec.faults.rules() {
            rule.check().map_err(|message| wrong(&message))?;
        }
        for text in spec.policy.attestation_roots.iter().chain(&spec.app.certificates) {
            let der = pem::parse(text).map_err(|error| wrong(&format!("a certificate is not PEM: {error}")))?;
            super::signature::parse(der.contents()).map_err(|why| wrong(&why))?;
        }
        let given = |value: &Option<String>, label: &str| value.clone().unwrap_or_else(|| seed.guid(label));
        let admin_upn = spec.sign_in.upn.clone().unwrap_or_else(|| format!("bench.admin@{}", spec.domain));
        let mut store = Self {
            tenant_id: given(&spec.tenant_id, "tenant"),
            client_id: given(&spec.app.client_id, "client"),
            client_secret: spec.app.client_secret.clone().unwrap_or_else(|| {
                // Entra's secrets have 40 characters and a `~` or two.
                format!("sim8Q~{}", URL_SAFE_NO_PAD.encode(seed.bytes("client secret", 25)))
            }),
            base,
            admin: String::new(),
            people: Vec::new(),
            groups: Vec::new(),
            tokens_in_stock: Vec::new(),
            policy: spec.policy.clone(),
            policies: Policies::default(),
            challenges: Challenges::default(),
            faults: Faults::new(&spec.faults, seed, now),
            tokens: HashMap::new(),
            pending: Pending::default(),
            rejected: Vec::new(),
            secrets: Vec::new(),
            signed_out: Vec::new(),
            log: Vec::new(),
            applications: Vec::new(),
            sign_ins: Vec::new(),
            audits: super::audit_log::AuditLog::default(),
            requests: BTreeMap::new(),
            offset: SignedDuration::ZERO,
            counter: 0,
            seed,
            spec,
        };
        store.move_in(&admin_upn, now)?;
        policies::move_in(&mut store)?;
        Ok(store)
    }

    fn move_in(&mut self, admin_upn: &str, now: Timestamp) -> Result<(), SpecError> {
        for group in self.spec.groups.clone() {
            let id = self.group_id(&group.name);
            let parents = group.parents.iter().map(|parent| self.group_id(parent)).collect();
            if let Some(known) = self.groups.iter_mut().find(|known| known.id == id) {
                known.role_assignable = group.role_assignable;
                known.dynamic = group.dynamic;
                known.parents = parents;
            }
        }
        let (policy, tap) = (&self.policy, &self.spec.tap);
        let named = [&policy.include_groups, &policy.exclude_groups, &tap.include_groups, &tap.exclude_groups];
        for name in named.into_iter().flatten().cloned().collect::<Vec<_>>() {
            self.group_id(&name);
        }
        let mut people = self.spec.people.clone();
        let listed = people.len();
        if !people.iter().any(|person| person.upn.eq_ignore_ascii_case(admin_upn)) {
            people.push(PersonSpec {
                roles: self.spec.sign_in.roles.clone(),
                eligible_roles: self.spec.sign_in.eligible_roles.clone(),
                ..PersonSpec::new(admin_upn)
            });
        }
        for (index, person) in people.into_iter().enumerate() {
            let id =
                person.id.clone().unwrap_or_else(|| self.seed.guid(&format!("user {}", person.upn))).to_lowercase();
            if self.people.iter().any(|known| known.id == id || known.upn.eq_ignore_ascii_case(&person.upn)) {
                return Err(wrong(&format!("{} or their id is there twice", person.upn)));
            }
            let groups = person.groups.iter().map(|name| self.group_id(name)).collect();
            let methods = (0..person.passkeys).map(|number| self.old_passkey(&person.upn, number, now)).collect();
            let account = Account::new(&person, self.seed, now);
            let local = person.upn.split('@').next().unwrap_or_default().to_owned();
            self.people.push(Person {
                id,
                display_name: person.display_name.unwrap_or(local),
                user_type: person.user_type,
                enabled: person.enabled,
                roles: person.roles,
                eligible_roles: person.eligible_roles,
                registered: person.registered,
                sspr: person.sspr,
                groups,
                listed: index < listed,
                methods,
                account,
                upn: person.upn,
            });
        }
        let admin = self.people.iter().find(|person| person.upn.eq_ignore_ascii_case(admin_upn));
        self.admin = admin.map(|person| person.id.clone()).unwrap_or_default();
        Ok(())
    }

    /// The id of a group by name; makes the group when there is none.
    pub(super) fn group_id(&mut self, name: &str) -> String {
        if let Some(group) = self.groups.iter().find(|group| group.name == name) {
            return group.id.clone();
        }
        let given = self.spec.groups.iter().find(|group| group.name == name).and_then(|group| group.id.clone());
        let id = given.unwrap_or_else(|| self.seed.guid(&format!("group {name}")));
        self.groups.push(Group {
            id: id.clone(),
            name: name.to_owned(),
            role_assignable: false,
            dynamic: false,
            parents: Vec::new(),
        });
        id
    }

    /// A passkey from before: its private key is known to nobody.
    fn old_passkey(&self, upn: &str, number: u32, now: Timestamp) -> Method {
        let label = format!("passkey {number} of {upn}");
        let credential_id = self.seed.bytes(&label, if number.is_multiple_of(2) { 48 } else { 32 });
        let scalar = self.seed.bytes(&format!("{label} key"), 32);
        let point = p256::SecretKey::from_slice(&scalar)
            .map(|secret| p256::Sec1Point::from(secret.public_key()).as_bytes().to_vec())
            .unwrap_or_default();
        let coordinate = |range: std::ops::Range<usize>| Cbor::Bytes(point.get(range).unwrap_or_default().to_vec());
        let int = |number: i32| Cbor::Integer(number.into());
        let key = Cbor::Map(vec![
            (int(1), int(2)),
            (int(3), int(-7)),
            (int(-1), int(1)),
            (int(-2), coordinate(1..33)),
            (int(-3), coordinate(33..65)),
        ]);
        let mut cose = Vec::new();
        // infallible: writing into memory
        let _ = ciborium::into_writer(&key, &mut cose);
        Method {
            id: url_token(&credential_id),
            credential_id,
            cose,
            aaguid: "2fc0579f-8113-47ea-b116-bb5a8db9202a".into(),
            display_name: Some(format!("Old key {}", number + 1)),
            created: now,
            last_used: None,
            synced: false,
            attested: true,
            certificates: Vec::new(),
            visible_from: now,
            hidden_reads: 0,
        }
    }

    /// One more passkey that no bench made; `None` when there is no such person.
    pub(super) fn foreign_passkey(&mut self, upn: &str) -> Option<Method> {
        self.counter += 1;
        let number = u32::try_from(self.counter).unwrap_or(u32::MAX);
        let id = self.person(upn)?.id.clone();
        let method = Method { display_name: Some("My own key".into()), ..self.old_passkey(upn, number, self.now()) };
        self.person_mut(&id)?.methods.push(method.clone());
        Some(method)
    }

    /// The tenant's time: the machine's, and what `/sim/clock` added.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.offset).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn advance(&mut self, seconds: i64) {
        self.offset = self.offset.saturating_add(SignedDuration::from_secs(seconds));
    }

    /// A GUID that no other call of this gets.
    pub(super) fn fresh_guid(&mut self, label: &str) -> String {
        self.counter += 1;
        self.seed.guid(&format!("{label} {}", self.counter))
    }

    /// A text of `bytes` bytes in base64url that no other call of this gets.
    pub(super) fn fresh_text(&mut self, label: &str, bytes: usize) -> String {
        self.counter += 1;
        URL_SAFE_NO_PAD.encode(self.seed.bytes(&format!("{label} {}", self.counter), bytes))
    }

    pub(super) fn count(&mut self, kind: Kind) {
        *self.requests.entry(kind.name()).or_default() += 1;
    }

    /// A person by object id or UPN, without regard to case.
    pub(super) fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id.eq_ignore_ascii_case(name) || person.upn.eq_ignore_ascii_case(name))
    }

    pub(super) fn person_mut(&mut self, id: &str) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.id == id)
    }

    /// The person a path means; `/me` is the caller's.
    pub(super) fn who(&self, who: &Who, caller: &Caller) -> Option<&Person> {
        match who {
            Who::Me => self.person(caller.user.as_deref()?),
            Who::Named(name) => self.person(name),
        }
    }

    /// Ids of every group a person is in, directly or through groups.
    pub(super) fn all_groups_of<'a>(&'a self, person: &'a Person) -> Vec<&'a Group> {
        self.reach(person.groups.iter().map(String::as_str).collect())
    }

    /// These groups and every group they are in.
    fn reach<'a>(&'a self, mut open: Vec<&'a str>) -> Vec<&'a Group> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if let Some(group) = self.groups.iter().find(|group| group.id == id) {
                open.extend(group.parents.iter().map(String::as_str));
                found.push(group);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// What a read of a person's passkeys shows now. Each read brings hidden ones one read nearer.
    pub(super) fn visible_methods(&mut self, user: &str) -> Vec<Method> {
        let now = self.now();
        let Some(person) = self.person_mut(user) else { return Vec::new() };
        let mut shown = Vec::new();
        for method in &mut person.methods {
            if method.hidden_reads > 0 {
                method.hidden_reads -= 1;
            } else if method.visible_from <= now {
                shown.push(method.clone());
            }
        }
        shown
    }

    pub(super) fn reject(&mut self, upn: &str, why: &str) {
        self.rejected.push((upn.to_owned(), why.to_owned()));
    }

    /// The UPNs that a bench is told of.
    pub(super) fn upns(&self) -> Vec<String> {
        self.people.iter().filter(|person| person.listed).map(|person| person.upn.clone()).collect()
    }

    /// `/sim/state`.
    pub(super) fn state(&self) -> Value {
        let method = |method: &Method| {
            json!({
                "id": method.id,
                "credential_id": URL_SAFE_NO_PAD.encode(&method.credential_id),
                "public_key": URL_SAFE_NO_PAD.encode(&method.cose),
                "aaguid": method.aaguid,
                "display_name": method.display_name,
            })
        };
        let people = self.people.iter().filter(|person| person.listed).map(|person| {
            let methods: Vec<Value> = person.methods.iter().map(method).collect();
            json!({ "upn": person.upn, "id": person.id, "methods": methods })
        });
        let rejected = self.rejected.iter().map(|(upn, why)| json!({ "upn": upn, "why": why }));
        json!({
            "people": people.collect::<Vec<_>>(),
            "requests": self.requests,
            "rejected": rejected.collect::<Vec<_>>(),
            "policies": policies::state(self),
            "signed_out": self.signed_out,
        })
    }
}

fn wrong(message: &str) -> SpecError {
    SpecError::Format { path: "tenant".into(), message: message.to_owned() }
}

/// RFC 3339 in whole seconds, as Graph writes times.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
