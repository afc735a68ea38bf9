//! The client against the simulated tenant, which was written without it: sign-in, people, policy, a passkey's whole life, faults.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::methods_policy::Member;
use super::*;
use crate::model::{Aaguid, CredentialId, Secret, UserId};
use crate::sim::tenant::spec::{GroupSpec, UserType};
use crate::sim::tenant::{FaultRule, PersonSpec, RunningTenant, TenantSpec, start};
use crate::world::{Clock, SystemClock};

const CERTIFICATE: &str = include_str!("../../fixtures/graph/client-certificate.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/graph/client-key.pem");
const AAGUID: Aaguid = Aaguid([0x5a; 16]);

/// A clock whose sleeps are short, so that waits of seconds don't take them.
struct Hasty(SystemClock, Mutex<Duration>);

impl Clock for Hasty {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic() + *self.1.lock().expect("clock")
    }
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time.min(Duration::from_millis(2)));
        *self.1.lock().expect("clock") += time;
    }
}

/// Opens the page and follows it back, like a browser with a signed-in person.
struct Person;

impl SignInPrompt for Person {
    fn device_code(&self, prompt: &DevicePrompt) {
        assert!(!prompt.user_code.is_empty());
    }
    fn visit(&self, url: &str) -> Result<(), String> {
        let url = url.to_owned();
        std::thread::spawn(move || {
            let browser = reqwest::blocking::Client::builder()
                .no_proxy()
                .resolve("localhost", ([127, 0, 0, 1], 0).into())
                .build()
                .expect("a browser");
            let _ = browser.get(url).send();
        });
        Ok(())
    }
}

pub(super) fn spec() -> TenantSpec {
    let mut spec = TenantSpec::default();
    let mut people: Vec<PersonSpec> = (0..30).map(|n| PersonSpec::new(format!("p{n}@contoso.example"))).collect();
    people[0].upn = "kim.o'reilly@contoso.example".to_owned();
    people[1].user_type = UserType::Guest;
    people[2].enabled = false;
    people[3].roles = vec!["Global Administrator".to_owned()];
    people[4].groups = vec!["Tier 0".to_owned()];
    people[5].groups = vec!["Pilot".to_owned()];
    people[6].groups = vec!["Pilot".to_owned()];
    people[6].passkeys = 2;
    spec.people = people;
    spec.groups = vec![
        GroupSpec { name: "Tier 0".to_owned(), role_assignable: true, ..GroupSpec::default() },
        GroupSpec { name: "Pilot".to_owned(), parents: vec!["Everybody's keys".to_owned()], ..GroupSpec::default() },
        GroupSpec { name: "Everybody's keys".to_owned(), ..GroupSpec::default() },
    ];
    spec.app.certificates = vec![CERTIFICATE.to_owned()];
    spec
}

fn graph(tenant: &RunningTenant, flow: Flow, api: ApiVersion) -> Graph {
    graph_told(tenant, flow, api, |_| {})
}

/// With the tenant's secret, and somebody who watches.
pub(super) fn graph_with(tenant: &RunningTenant, watch: impl Fn(GraphEvent) + Send + Sync + 'static) -> Graph {
    graph_told(tenant, Flow::Secret(Secret::new(tenant.client_secret.clone())), ApiVersion::V1, watch)
}

fn graph_told(
    tenant: &RunningTenant,
    flow: Flow,
    api: ApiVersion,
    watch: impl Fn(GraphEvent) + Send + Sync + 'static,
) -> Graph {
    let clock: Arc<dyn Clock> = Arc::new(Hasty(SystemClock::new(), Mutex::default()));
    let cloud = Cloud::from_settings(Some(&tenant.graph_url), Some(&tenant.login_url)).expect("loopback");
    let tokens = SignIn::new(
        SignInSettings {
            cloud: cloud.clone(),
            tenant: tenant.tenant_id.clone(),
            client_id: tenant.client_id.clone(),
            flow,
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            cancel: Cancel::new(),
        },
        Arc::clone(&clock),
        Arc::new(Person),
    )
    .expect("settings");
    let mut settings = GraphSettings::new(cloud);
    settings.api = api;
    settings.timeouts.answer = Duration::from_millis(800);
    let graph = Graph::connect(settings, Arc::new(tokens), clock, Arc::new(watch)).expect("a client");
    graph.sign_in().expect("signed in");
    graph
}

pub(super) fn by_secret(tenant: &RunningTenant) -> Graph {
    graph(tenant, Flow::Secret(Secret::new(tenant.client_secret.clone())), ApiVersion::V1)
}

pub(super) fn run(spec: TenantSpec) -> RunningTenant {
    start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant")
}

fn fault(json: Value) -> FaultRule {
    serde_json::from_value(json).expect("a rule")
}

/// What a key without attestation answers to these options.
fn made(options: &Value, credential: &CredentialId) -> (String, String) {
    let challenge = options["publicKey"]["challenge"].as_str().expect("a challenge");
    let client_data =
        json!({"type": "webauthn.create", "challenge": challenge, "origin": "https://login.microsoft.com", "crossOrigin": false})
            .to_string();
    let key = p256::ecdsa::SigningKey::from_slice(&[9; 32]).expect("a key");
    let point = key.verifying_key().to_sec1_point(false);
    let int = |number: i64| Cbor::Integer(number.into());
    let cose = Cbor::Map(vec![
        (int(1), int(2)),
        (int(3), int(-7)),
        (int(-1), int(1)),
        (int(-2), Cbor::Bytes(point.as_bytes()[1..33].to_vec())),
        (int(-3), Cbor::Bytes(point.as_bytes()[33..].to_vec())),
    ]);
    let write = |value: &Cbor| {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).expect("written");
        bytes
    };
    let mut data = Sha256::digest("login.microsoft.com").to_vec();
    data.push(0x45);
    data.extend([0, 0, 0, 0]);
    data.extend(AAGUID.0);
    data.extend([0, u8::try_from(credential.as_bytes().len()).expect("short")]);
    data.extend(credential.as_bytes());
    data.extend(write(&cose));
    let text = |text: &str| Cbor::Text(text.to_owned());
    let object = Cbor::Map(vec![
        (text("fmt"), text("none")),
        (text("attStmt"), Cbor::Map(vec![])),
        (text("authData"), Cbor::Bytes(data)),
    ]);
    (URL_SAFE_NO_PAD.encode(client_data), URL_SAFE_NO_PAD.encode(write(&object)))
}

fn register(graph: &Graph, user: &UserId, credential: &CredentialId) -> RegistrationOutcome {
    let options = graph.creation_options(user, None).expect("options");
    let (client_data_json, attestation_object) = made(&options.json, credential);
    graph.register(
        user,
        &Registration {
            display_name: "Key #7",
            credential_id: credential,
            client_data_json: &client_data_json,
            attestation_object: &attestation_object,
        },
    )
}

#[test]
fn every_way_of_signing_in_works() {
    let tenant = run(spec());
    let certificate =
        ClientCertificate::from_pem(CERTIFICATE.as_bytes(), &Secret::new(KEY.to_vec()), SystemClock::new().now())
            .expect("a certificate");
    for (flow, person) in [
        (Flow::Secret(Secret::new(tenant.client_secret.clone())), false),
        (Flow::Certificate(Box::new(certificate)), false),
        (Flow::DeviceCode, true),
        (Flow::Browser, true),
    ] {
        let shown = format!("{flow:?}");
        let graph = graph(&tenant, flow, ApiVersion::V1);
        let me = graph.whoami().expect("an account");
        assert_eq!(me.app_only, !person, "{shown}: {me:?}");
        assert!(me.object_id.is_some(), "{shown}: {me:?}");
        assert_eq!(me.can_register_passkeys(), Some(true), "{shown}: {me:?}");
        assert!(graph.fido2_policy().expect("the policy").enabled);
    }
}

#[test]
fn a_wrong_secret_and_a_wrong_tenant_are_named() {
    let tenant = run(spec());
    let attempt = |id: &str, secret: &str| {
        let cloud = Cloud::from_settings(Some(&tenant.graph_url), Some(&tenant.login_url)).expect("loopback");
        let settings = SignInSettings {
            cloud,
            tenant: id.to_owned(),
            client_id: tenant.client_id.clone(),
            flow: Flow::Secret(Secret::new(secret.to_owned())),
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            cancel: Cancel::new(),
        };
        let source = SignIn::new(settings, Arc::new(SystemClock::new()), Arc::new(Person)).expect("settings");
        source.sign_in().expect_err("refused").to_string()
    };
    let wrong = attempt(&tenant.tenant_id, "wrong");
    assert!(wrong.contains("AADSTS7000215"), "{wrong}");
    let wrong = attempt("00000000-1111-2222-3333-444444444444", &tenant.client_secret);
    assert!(wrong.contains("AADSTS90002"), "{wrong}");
}

#[test]
fn the_directory_tells_who_may_have_a_key() {
    let tenant = run(spec());
    let graph = by_secret(&tenant);
    let mut upns = tenant.upns.clone();
    upns.push("nobody@contoso.example".to_owned());
    let found = graph.find_users(&upns).expect("people");
    assert!(found.last().is_some_and(Option::is_none));
    let users: Vec<DirectoryUser> = found.into_iter().flatten().collect();
    assert_eq!(users.len(), 30);
    assert_eq!((users[1].guest, users[2].enabled, users[0].enabled), (Some(true), Some(false), Some(true)));
    assert_eq!(users[0].upn.as_ref().map(|upn| upn.as_str()), Some("kim.o'reilly@contoso.example"));
    assert_eq!(graph.find_user(users[7].id.as_str()).expect("by id").map(|user| user.id), Some(users[7].id.clone()));

    let ids: Vec<UserId> = users.iter().map(|user| user.id.clone()).collect();
    let privileges = graph.privileges(&ids).expect("privileges");
    assert_eq!(privileges[3], [Privilege::Role("Global Administrator".to_owned())]);
    assert_eq!(privileges[4], [Privilege::RoleAssignableGroup("Tier 0".to_owned())]);
    assert_eq!(privileges.iter().filter(|held| !held.is_empty()).count(), 2);
    let counts = graph.passkey_counts(&ids).expect("counts");
    assert_eq!((counts[6], counts.iter().sum::<usize>()), (2, 2));

    let group = graph.find_group("Everybody's keys").expect("a group");
    let members = graph.group_members(&group).expect("members");
    assert_eq!(members.iter().map(|user| &user.id).collect::<Vec<_>>(), [&ids[5], &ids[6]]);
    let member_of = graph.memberships(&ids, &[group.id.clone()].into()).expect("memberships");
    assert!(member_of[5].contains(&group.id) && member_of[0].is_empty());
    assert_eq!(graph.find_group(&group.id.to_uppercase()).expect("by id"), group);
}

#[test]
fn a_passkey_lives_and_dies() {
    let tenant = run(spec());
    for api in [ApiVersion::V1, ApiVersion::Beta] {
        let graph = graph(&tenant, Flow::Secret(Secret::new(tenant.client_secret.clone())), api);
        let user = graph.find_user("p9@contoso.example").expect("asked").expect("there").id;
        let policy = graph.fido2_policy().expect("the policy");
        let groups = std::collections::BTreeSet::new();
        assert!(policy.accepts(AAGUID, false, Member { user: &user, groups: &groups }).is_accepted());
        let credential = CredentialId::new(vec![if api == ApiVersion::V1 { 1 } else { 2 }; 33]);
        let method = match register(&graph, &user, &credential) {
            RegistrationOutcome::Created(method) => method,
            other => panic!("{other:?}"),
        };
        assert!(method.is(&credential));
        assert_eq!(method.aaguid, Some(AAGUID));
        assert_eq!(
            graph.passkey_of(&user, &credential).expect("listed").map(|found| found.id),
            Some(method.id.clone())
        );
        assert_eq!(graph.passkey(&user, &method.id).expect("got").map(|found| found.id), Some(method.id.clone()));
        assert!(graph.remove_passkey(&user, &method.id).expect("removed"));
        assert!(!graph.remove_passkey(&user, &method.id).expect("gone"));
        assert_eq!(graph.passkey(&user, &method.id).expect("gone"), None);
        let longer = graph.creation_options(&user, Some(60)).expect("options");
        let until = longer.json["challengeTimeoutDateTime"].as_str().expect("a time").parse().expect("a time");
        assert!(graph.left_until(until) > Duration::from_secs(3000));
    }
    let rejected = tenant.state()["rejected"].clone();
    assert_eq!(rejected, json!([]), "nothing the tenant didn't like");
}

#[test]
fn a_lost_answer_is_settled_by_a_read() {
    let tenant = run(spec());
    let graph = by_secret(&tenant);
    let user = graph.find_user("p9@contoso.example").expect("asked").expect("there").id;
    for (number, then) in [(1u8, "lose"), (2, "hang"), (3, "truncate"), (4, "drop"), (5, "html")] {
        tenant.add_fault(fault(json!({"on": "register", "times": 1, "then": then}))).expect("a rule");
        let credential = CredentialId::new(vec![number; 32]);
        let outcome = register(&graph, &user, &credential);
        assert!(matches!(outcome, RegistrationOutcome::Unknown(_)), "{then}: {outcome:?}");
        let there = graph.passkey_of(&user, &credential).expect("listed").is_some();
        assert_eq!(there, matches!(then, "lose" | "hang" | "truncate"), "{then}");
    }
}

#[test]
fn throttling_outages_and_revoked_tokens_are_ridden_out() {
    let tenant = run(spec());
    let graph = by_secret(&tenant);
    let user = graph.find_user("p9@contoso.example").expect("asked").expect("there").id;
    let before = graph.counts();
    for rule in [
        json!({"on": "list", "times": 1, "then": "status", "status": 429, "retry_after": 3}),
        json!({"on": "list", "times": 2, "then": "status", "status": 503}),
        json!({"on": "list", "times": 1, "then": "html", "status": 502}),
        json!({"on": "list", "times": 1, "then": "revoke"}),
    ] {
        tenant.add_fault(fault(rule)).expect("a rule");
    }
    assert_eq!(graph.passkeys(&user).expect("a list"), []);
    let after = graph.counts();
    assert_eq!((after.requests - before.requests, after.retries - before.retries), (1, 5));
}
