//! The trial with a simulated key against the simulated tenant.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{FirstContactArgs, carry_out};
use crate::cli::key::Which;
use crate::cli::login::tests::desk;
use crate::cli::testing::{Desk, output};
use crate::cli::{CliError, Context, Exit, Global};
use crate::model::{Pin, PortName};
use crate::sim::key::{Birth, Model, SimKey, Touch};
use crate::sim::ports::SimPorts;
use crate::sim::tenant::spec::IdEncoding;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};
use crate::world::Operator;

const KIM: &str = "kim@contoso.example";

struct Agrees;

impl Operator for Agrees {
    fn confirm_unless(&self, _question: &str, _word: &str, _: &dyn Fn() -> bool) -> bool {
        true
    }
    fn tell(&self, _message: &str) {}
    fn is_present(&self) -> bool {
        true
    }
}

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec {
        people: vec![PersonSpec::new(KIM), PersonSpec::new("lee@contoso.example")],
        ..TenantSpec::default()
    };
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

fn ports(pin: Option<&str>) -> SimPorts {
    let ports = SimPorts::numbered(1);
    let birth = Birth { pin: pin.map(Into::into), ..Birth::default() };
    let key = SimKey::born(&Model::usual(), 1, &birth);
    key.probe().finger().set(Touch::AtOnce);
    ports.plug(&PortName::new("sim-1"), key).expect("plugged");
    ports
}

fn attempt(desk: &Desk, ports: &SimPorts, expired: bool) -> (Result<Exit, CliError>, String, Value) {
    let (output, out, _) = output(false);
    let global =
        Global { config: Some(desk.path("config.toml")), command: "tenant first-contact".into(), ..Global::default() };
    let home = desk.path(".").display().to_string();
    let environment = move |name: &str| matches!(name, "HOME" | "ProgramData").then(|| home.clone());
    let context = Context { global: &global, output: &output, environment: &environment };
    let file = desk.path("seen.json");
    let args = FirstContactArgs {
        user: KIM.into(),
        other: Some("lee@contoso.example".into()),
        which: Which { port: Some("sim-1".into()), serial: None },
        out: file.clone(),
        expired,
        dry_run: false,
    };
    let pin = || Pin::new(Zeroizing::new("123456".to_owned())).ok();
    let ended = carry_out(&context, &args, ports, &Agrees, &pin);
    let seen = std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    (ended, out.text(), seen)
}

fn answers(seen: &Value, question: &str, api: &str) -> Vec<String> {
    let findings = seen["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter(|one| one["question"] == question && one["api"] == api)
        .map(|one| one["answer"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_open_questions_are_answered_and_nothing_is_left() {
    // What the simulated tenant is told to do is what the trial must find.
    let tenant = tenant(|spec| {
        spec.quirks.id_encoding = IdEncoding::Plain;
        spec.quirks.challenge_seconds = 2;
    });
    let desk = desk(&tenant, "secret");
    let ports = ports(Some("123456"));
    let (ended, out, seen) = attempt(&desk, &ports, false);
    assert_eq!(ended, Ok(Exit::Done), "{out}");
    for api in ["v1.0", "beta"] {
        assert_eq!(answers(&seen, "Q2", api), ["Excluded ids come as plain base64url."], "{seen:#}");
        assert_eq!(answers(&seen, "Q4", api), ["Duplicate: A passkey that is registered already is refused."]);
        assert_eq!(answers(&seen, "Q5", api).len(), 1);
        assert!(
            answers(&seen, "Q6", api).contains(&"A challenge is good for one registration.".to_owned()),
            "{seen:#}"
        );
        assert!(answers(&seen, "Q6", api).contains(&"Another person's challenge is refused.".to_owned()));
        assert_eq!(answers(&seen, "Q8", api), ["A passkey can't be renamed by PATCH."]);
    }
    assert_eq!(
        answers(&seen, "Q11", "v1.0"),
        [
            "A wish for 60 minutes as a query is ignored: 0 minutes are given.",
            "A challenge of 60 minutes, asked for as a function's argument, is refused."
        ]
    );
    assert!(answers(&seen, "Q11", "beta").iter().all(|answer| answer.ends_with("is given.")), "{seen:#}");
    let state = tenant.state();
    let left: usize = state["people"]
        .as_array()
        .expect("people")
        .iter()
        .map(|person| person["methods"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(left, 0);
    assert_eq!(desk.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn what_is_kept_names_nobody() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    let (ended, _, seen) = attempt(&desk, &ports(Some("123456")), false);
    assert_eq!(ended, Ok(Exit::Done));
    let text = seen.to_string();
    assert!(seen["exchanges"].as_array().is_some_and(|all| all.len() > 20));
    let state = tenant.state();
    let id = state["people"][0]["id"].as_str().expect("an id");
    for name in ["kim", "lee", "contoso", id, "123456", &tenant.tenant_id, &tenant.client_id, "127.0.0.1"] {
        assert!(!text.contains(name), "{name}");
    }
    // Nor anything long enough to be a challenge, a signature or a credential.
    assert!(!text.split('"').any(|word| word.len() > 60 && !word.contains(' ')), "{text}");
}

#[test]
fn a_key_without_a_pin_is_left_alone() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    let (ended, ..) = attempt(&desk, &ports(None), false);
    assert!(ended.is_err_and(|error| error.fact.contains("has no PIN")));
    assert_eq!(tenant.state()["requests"]["creationOptions"].as_u64(), None);
}

#[test]
fn the_steps_can_be_read_first() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, "secret");
    let ran = desk.run(&["tenant", "first-contact", "--user", KIM, "--port", "1", "--dry-run"]);
    assert!(ran.exit == Exit::Done && ran.out.contains("PATCH") && ran.out.contains("Nothing was done"), "{}", ran.err);
    let ran = desk.run(&["tenant", "first-contact", "--user", KIM]);
    assert!(ran.err.contains("Which key"), "{}", ran.err);
}
