//! Keys that come back, in simulated ports, and a simulated tenant that knows them.

use super::*;
use crate::cli::Global;
use crate::cli::handover_tests::{passkeys, sent};
use crate::cli::testing::{Desk as Bench, Ran, output};
use crate::model::PortName;
use crate::sim::key::{Birth, Model, SimKey, Touch};
use crate::sim::ports::SimPorts;

const PORT: &str = "sim-1";

/// Types this word, takes the key out, puts it back and touches it.
struct Hands {
    ports: SimPorts,
    word: String,
}

impl Operator for Hands {
    fn confirm_unless(&self, _: &str, word: &str, _: &dyn Fn() -> bool) -> bool {
        self.word == word
    }
    fn tell(&self, message: &str) {
        if message.starts_with("Take the key out") {
            let key = self.ports.unplug(&PortName::new(PORT)).expect("a key");
            self.ports.plug(&PortName::new(PORT), key).expect("put back");
        }
    }
    fn is_present(&self) -> bool {
        true
    }
}

/// A key that somebody has given a PIN, in its port; its serial number, and what is typed to wipe it.
fn used(unit: u32) -> (SimPorts, String, Hands) {
    let model = Model::by_id("yubikey-5-nfc-5.2").expect("a model");
    let key = SimKey::born(&model, unit, &Birth { pin: Some("123456".into()), ..Birth::default() });
    key.probe().finger().set(Touch::AtOnce);
    let serial = key.serial().expect("a serial number").to_string();
    let ports = SimPorts::numbered(1);
    ports.plug(&PortName::new(PORT), key).expect("plugged");
    let word = serial[serial.len() - 4..].to_owned();
    (ports.clone(), serial, Hands { ports, word })
}

fn back(bench: &Bench, what: Option<&str>, at: (&SimPorts, &Hands)) -> Ran {
    returning(bench, what, false, at)
}

fn returning(bench: &Bench, what: Option<&str>, dry_run: bool, (ports, hands): (&SimPorts, &Hands)) -> Ran {
    let (output, out, err) = output(false);
    let global = Global { config: Some(bench.path("config.toml")), ..Global::default() };
    let home = bench.path("home").display().to_string();
    let environment = move |name: &str| matches!(name, "HOME" | "ProgramData").then(|| home.clone());
    let context = Context { global: &global, output: &output, environment: &environment };
    let args = ReturnArgs {
        which: Which { port: Some(PORT.into()), serial: None },
        what: what.map(str::to_owned),
        not_wiped: false,
        replace: false,
        asked: Asked { by: Some("Robin".into()), reason: "moved".into(), revoke_sessions: false, dry_run, yes: true },
    };
    let exit = returned(&context, &args, Some((ports, hands))).unwrap_or_else(|error| {
        context.output.error(&error);
        error.exit
    });
    Ran { exit, out: out.text(), err: err.text() }
}

fn has_pin(ports: &SimPorts) -> bool {
    ports.probe(&PortName::new(PORT)).expect("a key").pin_is_set()
}

#[test]
fn a_shipped_key_that_comes_back_leaves_the_tenant_is_wiped_and_is_stock_again() {
    let (ports, serial, hands) = used(1);
    let (tenant, bench) = sent(&[&serial], 1);
    assert_eq!(bench.run(&["handover", "watch", "--once"]).exit, Exit::Done);
    let parcel = format!("P{serial}");

    // Another key in the port is not this parcel's: nothing is deleted or wiped.
    let (strangers, strange, other) = used(2);
    let wrong = back(&bench, Some(&parcel), (&strangers, &other));
    assert!(wrong.exit == Exit::Usage && wrong.err.contains(&format!("has serial number {strange}")), "{}", wrong.err);
    assert_eq!((passkeys(&tenant), has_pin(&strangers)), (1, true));

    // Stopped before it was wiped: out of the tenant, and no stock yet.
    let hesitant = Hands { ports: ports.clone(), word: "no".into() };
    let stopped = back(&bench, None, (&ports, &hesitant));
    assert!(stopped.exit == Exit::Usage && stopped.err.contains("Nothing was wiped"), "{}", stopped.err);
    assert_eq!((passkeys(&tenant), has_pin(&ports)), (0, true));
    assert!(bench.run(&["stock", "list"]).out.contains("1  not-wiped"));

    // What the same command would do is told, and nothing is done.
    let dry = returning(&bench, None, true, (&ports, &hands));
    assert!(dry.exit == Exit::Done && dry.out.contains("back to stock. Nothing was done"), "{}{}", dry.out, dry.err);
    assert!(has_pin(&ports) && bench.run(&["stock", "list"]).out.contains("1  not-wiped"));

    // The same command goes on.
    let done = back(&bench, None, (&ports, &hands));
    assert!(done.exit == Exit::Done && done.out.contains("wiped and blank: back to stock"), "{}{}", done.out, done.err);
    assert!(!has_pin(&ports));
    assert!(bench.run(&["stock", "list"]).out.contains("1  blank"));
    assert!(bench.run(&["handover", "list", "--all"]).out.contains(&format!("returned    {parcel}")));
    let again = back(&bench, None, (&ports, &hands));
    assert!(again.exit == Exit::Usage && again.err.contains("No key is known as"), "{}", again.err);
    assert_eq!(bench.run(&["ledger", "verify"]).exit, Exit::Done);
}

#[test]
fn a_key_that_was_noted_as_not_wiped_is_wiped_later() {
    let (ports, serial, hands) = used(1);
    let (_tenant, bench) = sent(&["777"], 0);
    let person = crate::model::Person::new(
        crate::model::UserId::new("lee"),
        Upn::parse("lee@contoso.example").expect("a UPN"),
        "Lee",
    );
    let job = bench.finished_key(person, &serial);
    // Its method was deleted already, and the key lies on a desk.
    let noted = [
        Entry::Revoked { job: job.clone(), method: MethodId::new("method-1"), reason: "left".into() },
        Entry::Handover(HandoverEntry::KeyReturned { job, attempt: 1, blank: false, by: "Sam".into() }),
    ];
    bench.ledger().append(Append::entries(noted)).expect("noted");
    assert!(bench.run(&["stock", "list"]).out.contains("1  not-wiped"));
    let done = back(&bench, None, (&ports, &hands));
    assert!(done.exit == Exit::Done && done.out.contains("back to stock"), "{}{}", done.out, done.err);
    assert!(bench.run(&["stock", "list"]).out.contains("1  blank") && !has_pin(&ports));
    let again = back(&bench, None, (&ports, &hands));
    assert!(again.err.contains("came back"), "{}", again.err);
}
