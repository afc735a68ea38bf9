//! Keys in simulated ports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Which, blink, info, list, reset, tools, unopened};
use crate::cli::testing::{Desk, output};
use crate::cli::{CliError, Context, Exit, Global};
use crate::config::{Overrides, Settings};
use crate::model::PortName;
use crate::sim::key::Model;
use crate::sim::key::{Birth, SimKey, Touch};
use crate::sim::ports::{Denial, SimPorts};
use crate::world::Operator;

/// Types what it is told to, and re-plugs and touches when it is asked.
struct Hands {
    ports: SimPorts,
    types: &'static str,
    replaces_with: Mutex<Option<SimKey>>,
    told: Mutex<Vec<String>>,
}

impl Operator for Hands {
    fn confirm_unless(&self, question: &str, word: &str, _: &dyn Fn() -> bool) -> bool {
        self.told.lock().expect("alone").push(question.to_owned());
        self.types == word
    }
    fn tell(&self, message: &str) {
        self.told.lock().expect("alone").push(message.to_owned());
        if message.starts_with("Take the key out") {
            let port = PortName::new("sim-1");
            let same = self.ports.unplug(&port).expect("a key");
            let key = self.replaces_with.lock().expect("alone").take().unwrap_or(same);
            self.ports.plug(&port, key).expect("put back");
        }
    }
    fn is_present(&self) -> bool {
        true
    }
}

struct Bench {
    ports: SimPorts,
    desk: Desk,
}

impl Bench {
    fn new(key: Option<SimKey>) -> Self {
        let ports = SimPorts::numbered(2);
        if let Some(key) = key {
            ports.plug(&PortName::new("sim-1"), key).expect("plugged");
        }
        Self { ports, desk: Desk::new(1) }
    }

    fn with<R>(&self, json: bool, act: impl FnOnce(&Context<'_>, &Settings) -> R) -> (R, String) {
        let (output, out, _) = output(json);
        let global = Global { config: Some(self.desk.path("config.toml")), ..Global::default() };
        let context = Context { global: &global, output: &output, environment: &|_| None };
        let settings = context.settings_with(&Overrides::new()).expect("settings");
        let result = act(&context, &settings);
        (result, out.text())
    }

    fn hands(&self, types: &'static str) -> Hands {
        Hands { ports: self.ports.clone(), types, replaces_with: Mutex::new(None), told: Mutex::default() }
    }

    fn reset(&self, hands: &Hands) -> Result<Exit, CliError> {
        let which = Which { port: Some("sim-1".into()), serial: None };
        let stop = Arc::new(AtomicBool::new(false));
        self.with(false, |context, settings| reset::run(context, settings, &self.ports, hands, &tools(), &which, &stop))
            .0
    }

    fn holds_a_pin(&self) -> bool {
        self.ports.probe(&PortName::new("sim-1")).expect("a key").pin_is_set()
    }
}

fn used() -> SimKey {
    let birth = Birth { pin: Some("123456".into()), ..Birth::default() };
    let key = SimKey::born(&Model::usual(), 1, &birth);
    key.probe().finger().set(Touch::AtOnce);
    key
}

fn last_of(key: &SimKey) -> &'static str {
    let serial = key.serial().expect("a serial number").to_string();
    serial[serial.len() - 4..].to_owned().leak()
}

#[test]
fn keys_are_listed_with_why_they_are_unfit() {
    let bench = Bench::new(Some(used()));
    bench.ports.plug(&PortName::new("sim-2"), SimKey::new(&Model::usual(), 2)).expect("plugged");
    let (exit, text) = bench.with(false, |context, _| list(context, &bench.ports));
    assert_eq!(exit, Ok(Exit::Done));
    assert!(
        text.contains("sim-1") && text.contains("already has a PIN") && text.contains("blank, fit for use"),
        "{text}"
    );
    let (_, lines) = bench.with(true, |context, _| list(context, &bench.ports));
    assert!(lines.contains(r#""code":"has-pin""#) && lines.contains(r#""fit":true"#), "{lines}");
    let none = Bench::new(None);
    let (exit, _) = none.with(false, |context, _| list(context, &none.ports));
    assert_eq!(exit.map_err(|error| (error.exit, error.code)), Err((Exit::Keys, "no-key")));
}

#[test]
fn a_key_tells_all_of_itself() {
    let bench = Bench::new(Some(used()));
    let (exit, text) = bench.with(false, |context, _| info(context, &bench.ports, &Which::default()));
    assert_eq!(exit, Ok(Exit::Done));
    for part in ["AAGUID", "PIN tries left          8", "hmac-secret", "FIDO_2", "(has-pin)", "Next: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, line) = bench.with(true, |context, _| info(context, &bench.ports, &Which::default()));
    let value: serde_json::Value = serde_json::from_str(line.trim()).expect("one line of JSON");
    assert_eq!(value["info"]["options"]["clientPin"].as_bool(), Some(true));
    assert!(value["info"]["raw"].as_str().is_some_and(|raw| raw.starts_with('a') || raw.starts_with('b')), "{line}");
    let other = Which { port: Some("sim-9".into()), serial: None };
    let (exit, _) = bench.with(false, |context, _| info(context, &bench.ports, &other));
    assert_eq!(exit.map_err(|error| (error.exit, error.code)), Err((Exit::Keys, "which-key")));
}

#[test]
fn a_list_without_opening_asks_no_key() {
    let bench = Bench::new(Some(used()));
    bench.ports.deny(&PortName::new("sim-1"), Some(Denial::InUse));
    let (exit, lines) = bench.with(true, |context, _| unopened(context, &bench.ports));
    assert_eq!(exit, Ok(Exit::Done));
    let line: serde_json::Value = serde_json::from_str(lines.trim()).expect("one line");
    assert_eq!((line["port"].as_str(), line["vendor_id"].as_str()), (Some("sim-1"), Some("1050")), "{line}");
    assert!(line.get("serial").is_none(), "only the key could tell it: {line}");
}

#[test]
fn a_key_blinks_until_it_is_touched() {
    let bench = Bench::new(Some(used()));
    let which = Which { port: Some("sim-1".into()), serial: None };
    let stop = Arc::new(AtomicBool::new(false));
    let (exit, lines) = bench.with(true, |context, _| blink::run(context, &bench.ports, &tools(), &which, &stop));
    assert_eq!(exit, Ok(Exit::Done));
    assert!(lines.contains(r#""event":"touched""#), "{lines}");
    let probe = bench.ports.probe(&PortName::new("sim-1")).expect("a key");
    probe.finger().set(Touch::Never);
    probe.set_touch_timeout(std::time::Duration::from_millis(50));
    let (exit, _) = bench.with(true, |context, _| blink::run(context, &bench.ports, &tools(), &which, &stop));
    let error = exit.expect_err("nobody touched it");
    assert!(error.fact.ends_with("was not touched."), "{error}");
    assert_eq!(probe.retries(), 8);
}

#[test]
fn a_key_is_wiped_after_the_word_the_re_plug_and_the_touch() {
    let key = used();
    let word = last_of(&key);
    let bench = Bench::new(Some(key));
    let hands = bench.hands(word);
    assert_eq!(bench.reset(&hands), Ok(Exit::Done));
    assert!(!bench.holds_a_pin());
    let told = hands.told.lock().expect("alone").join("\n");
    assert!(told.contains("It has a PIN") && told.contains(word), "{told}");
}

#[test]
fn without_the_word_nothing_is_wiped() {
    let bench = Bench::new(Some(used()));
    let refused = bench.reset(&bench.hands("yes")).expect_err("not confirmed");
    assert_eq!((refused.exit, refused.code), (Exit::Usage, "not-confirmed"));
    assert!(bench.holds_a_pin());
}

#[test]
fn another_key_put_back_is_not_wiped() {
    let key = used();
    let word = last_of(&key);
    let bench = Bench::new(Some(key));
    let hands = bench.hands(word);
    let other = SimKey::born(&Model::usual(), 7, &Birth { pin: Some("654321".into()), ..Birth::default() });
    *hands.replaces_with.lock().expect("alone") = Some(other);
    let refused = bench.reset(&hands).expect_err("another key");
    assert_eq!((refused.exit, refused.code), (Exit::Keys, "not-reset"));
    assert!(refused.fact.contains("another one") && bench.holds_a_pin(), "{refused}");
}

#[test]
fn a_key_that_is_never_touched_is_not_wiped() {
    let key = used();
    let (serial, word) = (key.serial().expect("a serial number"), last_of(&key));
    let bench = Bench::new(Some(key));
    bench.desk.settings(&format!("[bench]\nnever = [\"{serial}\"]\n"));
    let refused = bench.reset(&bench.hands(word)).expect_err("refused");
    assert_eq!((refused.code, bench.holds_a_pin()), ("not-reset", true));
}

#[test]
fn a_touch_that_is_declined_wipes_nothing() {
    let key = used();
    key.probe().finger().set(Touch::Decline);
    let word = last_of(&key);
    let bench = Bench::new(Some(key));
    let refused = bench.reset(&bench.hands(word)).expect_err("declined");
    assert_eq!((refused.exit, refused.code), (Exit::Keys, "not-reset"));
    assert!(bench.holds_a_pin());
}

#[test]
fn ctrl_c_ends_the_wait() {
    struct Idle(Arc<AtomicBool>, &'static str);
    impl Operator for Idle {
        fn confirm_unless(&self, _: &str, word: &str, _: &dyn Fn() -> bool) -> bool {
            word == self.1
        }
        fn tell(&self, _: &str) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn is_present(&self) -> bool {
            true
        }
    }
    let key = used();
    let word = last_of(&key);
    let bench = Bench::new(Some(key));
    let stop = Arc::new(AtomicBool::new(false));
    let which = Which { port: Some("sim-1".into()), serial: None };
    let (ended, _) = bench.with(false, |context, settings| {
        let idle = Idle(Arc::clone(&stop), word);
        reset::run(context, settings, &bench.ports, &idle, &tools(), &which, &stop)
    });
    assert_eq!(ended.map_err(|error| error.exit), Err(Exit::Interrupted));
    assert!(bench.holds_a_pin());
}
