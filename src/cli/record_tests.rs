//! Recordings of keys in simulated ports.

use std::sync::Mutex;

use super::*;
use crate::cli::Global;
use crate::cli::testing::{Desk, output};
use crate::model::PortName;
use crate::sim::key::{Birth, Model, SimKey, Touch};
use crate::sim::ports::SimPorts;

struct Hands(SimPorts, Mutex<Vec<String>>);

impl Operator for Hands {
    fn confirm_unless(&self, _: &str, _: &str, _: &dyn Fn() -> bool) -> bool {
        false
    }
    fn tell(&self, message: &str) {
        self.1.lock().expect("alone").push(message.to_owned());
        self.0.probe(&PortName::new("sim-1")).expect("a key").finger().press();
    }
    fn is_present(&self) -> bool {
        true
    }
}

fn record(model: &str, birth: &Birth, what: What) -> (Result<Exit, CliError>, String, Vec<String>, SimPorts) {
    let desk = Desk::new(1);
    let ports = SimPorts::numbered(1);
    let key = SimKey::born(&Model::by_id(model).expect("a model"), 1, birth);
    key.probe().finger().set(Touch::Hand);
    ports.plug(&PortName::new("sim-1"), key).expect("plugged");
    let (output, out, _) = output(true);
    let global = Global::default();
    let context = Context { global: &global, output: &output, environment: &|_| None };
    let args = RecordArgs { port: "sim-1".into(), out: desk.path("r.jsonl"), what, bench: None, dry_run: false };
    let hands = Hands(ports.clone(), Mutex::default());
    let ended = inspect(&context, &args, &ports, &hands, &tools());
    let text = fs::read_to_string(&args.out).unwrap_or_default();
    let told = hands.1.into_inner().expect("alone");
    assert!(ended.is_err() || out.text().contains("\"recorded\""), "{}", out.text());
    (ended, text, told, ports)
}

#[test]
fn an_inspection_is_written_and_changes_nothing() {
    for model in Model::all() {
        let (ended, text, told, ports) = record(&model.id, &Birth::default(), What::Inspection);
        assert_eq!((ended, told.len()), (Ok(Exit::Done), 0), "{}", model.id);
        assert!(text.starts_with("# keybench") && text.contains("\"data\":\"04\""), "{text}");
        // Who plays it back must know the maker.
        let usb = format!("# usb {:04x}:{:04x} {}\n", model.usb.vendor_id, model.usb.product_id, model.usb.product);
        assert!(text.contains(&usb), "{text}");
        let probe = ports.probe(&PortName::new("sim-1")).expect("still there");
        assert_eq!((probe.pin_is_set(), probe.retries(), probe.residents().len()), (false, 8, 0), "{}", model.id);
    }
}

#[test]
fn a_set_pin_costs_no_try_and_is_not_in_the_record() {
    let birth = Birth { pin: Some("904316".into()), ..Birth::default() };
    let (ended, text, _, ports) = record("yubikey-5-nfc", &birth, What::Inspection);
    assert_eq!(ended, Ok(Exit::Done));
    // clientPIN, subcommand 1: the counter was asked for.
    assert!(text.contains("\"data\":\"06a2010202") || text.contains("\"data\":\"06a20101"), "{text}");
    assert_eq!(ports.probe(&PortName::new("sim-1")).expect("there").retries(), 8);
}

#[test]
fn a_touch_is_asked_for_and_recorded_with_its_keepalives() {
    let (ended, text, told, _) = record("yubikey-5-nfc", &Birth::default(), What::Touch);
    assert_eq!((ended, told), (Ok(Exit::Done), vec!["Touch the key now.".to_owned()]));
    // Selection, a keepalive that asks for the touch, and its answer.
    assert!(text.contains("\"data\":\"0b\"") && text.contains("\"command\":59,\"data\":\"02\""), "{text}");
}

#[test]
fn other_ports_and_files_that_are_there_are_refused() {
    let desk = Desk::new(1);
    desk.write("old.jsonl", "kept");
    let old = desk.path("old.jsonl").display().to_string();
    let ran = desk.run(&["record", "--port", "sim-1", "--out", &old]);
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(fs::read_to_string(&old).expect("there"), "kept");
    let ports = SimPorts::numbered(1);
    let error = find(&ports, "sim-1").expect_err("an empty port");
    assert_eq!((error.exit, error.code), (Exit::Keys, "which-key"));
    let fresh = desk.path("new.jsonl");
    let ran = desk.run(&["record", "--port", "sim-1", "--out", &fresh.display().to_string(), "--dry-run"]);
    assert!(ran.exit == Exit::Done && ran.out.contains("nothing on it would change") && !fresh.exists(), "{}", ran.out);
}

#[test]
fn a_torn_record_is_no_record() {
    let (_, text, _, _) = record("yubikey-5-nfc", &Birth::default(), What::Inspection);
    let desk = Desk::new(1);
    let half: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    desk.write("half.jsonl", &half);
    let ports = SimPorts::numbered(1);
    ports.plug(&PortName::new("sim-1"), SimKey::new(&Model::usual(), 1)).expect("plugged");
    let key = find(&ports, "sim-1").expect("a key");
    assert!(plays_back(&desk.path("half.jsonl"), &key, &tools()).is_err());
}
