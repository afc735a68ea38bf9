//! One key under trial, virtual or real: found by what its file says, recognised again before anything is lost, wiped between trials.
//!
//! Promise: no key is opened that has other USB ids than the file says or is in another port than it says; nothing is done to a key
//! that is not the one that was named.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bench::{Bench, PATIENCE};
use super::dut::{Dut, May, OneWay, OperatorSpec};
use super::keys::Keys;
use super::operator::{self, Operator};
use super::program::{Ended, Live, run};
use super::terminal::Dialogue;
use super::wear::{WearBook, Worn};
use super::{Rig, ensure, eventually, hidraw};

/// How long a key may be away that a hand is bringing back.
const BACK: Duration = Duration::from_secs(120);

/// What a trial needs of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// It speaks CTAP2 and can have a PIN.
    Pin,
    /// It can be told to want another PIN (authenticatorConfig, setMinPINLength).
    PinRules,
    /// It has credential management, final or preview.
    Manage,
    /// It can be reset over USB.
    Reset,
}

impl Capability {
    /// The sentence of a key that has it not.
    fn lacking(self, info: &Value) -> Option<&'static str> {
        let option = |name: &str| info["options"][name].as_bool();
        let resets = info["transports_for_reset"].as_array();
        let (there, sentence) = match self {
            Self::Pin => (option("clientPin").is_some(), "this key can't have a PIN"),
            Self::PinRules => (option("setMinPINLength") == Some(true), "this key can't force a PIN change"),
            Self::Manage => (
                option("credMgmt") == Some(true) || option("credentialMgmtPreview") == Some(true),
                "this key can't list its passkeys",
            ),
            Self::Reset => (
                resets.is_none_or(|over| over.iter().any(|transport| transport == "usb")),
                "this key can't be reset over USB",
            ),
        };
        (!there).then_some(sentence)
    }
}

/// What a trial on one key asks of it.
#[derive(Debug, Clone, Copy)]
pub struct Asks {
    pub wants: &'static [Capability],
    /// It has to be blank, and may lose what it holds.
    pub wipes: bool,
    /// It sets what only a reset takes back.
    pub one_way: &'static [OneWay],
    /// How much it wears the key, beside the reset before it.
    pub worn: Worn,
}

/// Looks only.
pub const LOOKS: Asks = Asks { wants: &[], wipes: false, one_way: &[], worn: Worn { resets: 0, lock_outs: 0 } };
/// Makes a finished key of it.
pub const PROVISIONS: Asks = Asks {
    wants: &[Capability::Pin, Capability::Reset],
    wipes: true,
    one_way: &[OneWay::PinRules],
    worn: Worn { resets: 0, lock_outs: 0 },
};

/// A key under trial.
pub struct Subject {
    pub dut: Dut,
    pub port: String,
    pub serial: Option<String>,
    /// getInfo, as `keybench key info` tells it.
    pub info: Value,
    pub firmware: Option<String>,
    keybench: PathBuf,
    hand: Box<dyn Operator>,
    inside: Option<Rc<RefCell<Keys>>>,
}

impl Subject {
    /// Finds the key that the file means; a virtual one is made.
    pub fn find(rig: &Rig, dut: &Dut) -> Result<Self, String> {
        let inside = if dut.is_virtual() {
            let mut options = vec!["--model", dut.model.as_str()];
            if let Some(serial) = &dut.serial {
                options.extend(["--serial", serial.as_str()]);
            }
            let mut keys = Keys::start(rig, 1, &options)?;
            keys.wait_for_nodes()?;
            Some(Rc::new(RefCell::new(keys)))
        } else {
            None
        };
        let (port, told) = match &inside {
            Some(_) => ("sim-1".to_owned(), key_info(&rig.keybench, "sim-1")?),
            None => search(&rig.keybench, dut)?,
        };
        let hand = operator::of(dut, &port, inside.as_ref())?;
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let subject = Self {
            dut: dut.clone(),
            port,
            serial: text("serial"),
            firmware: text("firmware"),
            info: told["info"].clone(),
            keybench: rig.keybench.clone(),
            hand,
            inside,
        };
        subject.check_model()?;
        if let Some(power) = &dut.power {
            let wrong = |error| format!("DUT {}: {error}; nothing was done to it", dut.name);
            power.reaches(&subject.port).map_err(wrong)?;
        }
        Ok(subject)
    }

    /// Another key than the file expects stops here.
    fn check_model(&self) -> Result<(), String> {
        let wrong = |what: &str, told: Option<&str>, wanted: &str| {
            format!(
                "DUT {}: the key in port {} tells {what} {}, and its file says {wanted}; nothing was done to it",
                self.dut.name,
                self.port,
                told.unwrap_or("not at all")
            )
        };
        for (what, wanted, told) in [
            ("AAGUID", &self.dut.aaguid, self.info["aaguid"].as_str()),
            ("firmware", &self.dut.firmware, self.firmware.as_deref()),
            ("serial number", &self.dut.serial, self.serial.as_deref()),
        ] {
            if let Some(wanted) = wanted {
                ensure(told.is_some_and(|told| told.eq_ignore_ascii_case(wanted)), || wrong(what, told, wanted))?;
            }
        }
        Ok(())
    }

    /// Why this trial is not for this key, if it is not.
    pub fn unsuited(&self, asks: &Asks, wear: &WearBook) -> Option<String> {
        if let Some(sentence) = asks.wants.iter().find_map(|wanted| wanted.lacking(&self.info)) {
            return Some(sentence.to_owned());
        }
        let may = |what| self.dut.may.contains(&what);
        if asks.wipes && !may(May::Wipe) {
            return Some("its file does not let it be wiped (may = [\"wipe\"])".to_owned());
        }
        if asks.worn.lock_outs > 0 && !may(May::LockOut) {
            return Some("its file does not let its PIN tries be spent (may = [\"lock-out\"])".to_owned());
        }
        if let Some(setting) = asks.one_way.iter().find(|setting| !self.dut.one_way.contains(setting)) {
            let word = setting.word();
            return Some(format!(
                "it sets what only a reset takes back, and its file does not allow it (one-way = [{word:?}])"
            ));
        }
        // One reset before the trial, if the key is not blank, and one by which it is left blank.
        let more = Worn { resets: asks.worn.resets + 2 * u32::from(asks.wipes), ..asks.worn };
        wear.too_much(&self.dut, more)
    }

    /// Looks inside a virtual key; `None` for a real one.
    pub fn inside(&self) -> Option<std::cell::RefMut<'_, Keys>> {
        self.inside.as_ref().map(|keys| keys.borrow_mut())
    }

    pub fn is_virtual(&self) -> bool {
        self.inside.is_some()
    }

    /// What the key says of itself now.
    pub fn look(&self) -> Result<Value, String> {
        key_info(&self.keybench, &self.port)
    }

    /// A roster of this person for a run on this key. A real key comes back by somebody's hand, while the run already waits for it: with
    /// its serial number there, the bench refuses any other.
    pub fn roster(&self, bench: &Bench, name: &str, person: usize) -> Result<PathBuf, String> {
        match &self.serial {
            Some(serial) if !self.is_virtual() => bench.roster_for(name, person, serial),
            _ => bench.roster(name, [person]),
        }
    }

    /// The event is about another key than this one.
    fn is_another(&self, event: &Value) -> bool {
        event["serial"].as_str() != self.serial.as_deref()
    }

    /// A run has refused the key in this port: what a hand can do about that is done, as often as `again` says. `false` where
    /// nothing can be done.
    fn put_right(&mut self, refused: &Value, again: &mut u32) -> Result<bool, String> {
        let code = refused["code"].as_str().unwrap_or_default();
        // These are told before anybody could ask a key for its serial number.
        let unheard = matches!(code, "no-right" | "no-node" | "in-use" | "not-confirmed");
        if *again == 0 || unheard {
            return Ok(false);
        }
        if code == "mute" {
            // A machine that gets no time makes a virtual key silent; the screen says what to do about that.
            self.replug()?;
        } else if self.is_another(refused) {
            self.ask_for_it(refused)?;
        } else {
            return Ok(false);
        }
        *again -= 1;
        Ok(true)
    }

    /// A run has refused another key in this port: the hand is asked for the right one.
    fn ask_for_it(&mut self, refused: &Value) -> Result<(), String> {
        // Beside a virtual key it was the trial that put another one there.
        if self.is_virtual() {
            return Ok(());
        }
        let told = refused["serial"].as_str().unwrap_or("not told");
        println!("  >>> {}: that is another key (serial {told}); nothing was done to it", self.dut.name);
        self.replug()
    }

    /// Its device node.
    pub fn node(&self) -> Result<String, String> {
        node_of(&self.port)
            .map(|node| node.to_string_lossy().into_owned())
            .ok_or_else(|| format!("there is no key in port {} any more", self.port))
    }

    /// Fails unless the key in the port is the one that was found. One with other USB ids is not even opened.
    pub fn recognise(&self) -> Result<Value, String> {
        let ids = hidraw::in_port(&self.port).map(|device| device.usb).unwrap_or_default();
        ensure(self.dut.usb.as_ref().is_none_or(|wanted| ids.is_empty() || ids.eq_ignore_ascii_case(wanted)), || {
            format!("the key in port {} is another one (USB ids {ids}); it was not opened", self.port)
        })?;
        let told = self.look()?;
        let same = told["serial"].as_str() == self.serial.as_deref() && told["info"]["aaguid"] == self.info["aaguid"];
        ensure(same, || {
            let (found, wanted) = (&told["serial"], self.serial.as_deref().unwrap_or("none"));
            format!(
                "the key in port {} is another one (serial {found}, not {wanted}); nothing was done to it",
                self.port
            )
        })?;
        Ok(told)
    }

    pub fn touch(&mut self) -> Result<(), String> {
        self.hand.touch()
    }

    /// As long as this key wants it for a reset.
    pub fn touch_for_reset(&mut self) -> Result<(), String> {
        if self.info["long_touch_for_reset"] == true { self.hand.touch_long() } else { self.hand.touch() }
    }

    /// Takes the key out, and sees that it has gone.
    pub fn remove(&mut self) -> Result<(), String> {
        self.hand.remove()?;
        let port = self.port.clone();
        eventually(BACK, &format!("the key leaves port {port}"), || Ok(node_of(&port).is_none()))
    }

    /// Puts the key in, and sees that it is back.
    pub fn insert(&mut self) -> Result<(), String> {
        self.hand.insert()?;
        self.wait()
    }

    /// Puts the key in if it is out.
    pub fn wait_for_node(&mut self) -> Result<(), String> {
        if node_of(&self.port).is_some() { Ok(()) } else { self.insert() }
    }

    /// The key back in its port after somebody had it in hand, and recognised; its node. Nobody may ask another key for a PIN.
    pub fn bring_back(&mut self) -> Result<String, String> {
        self.wait_for_node()?;
        if let Err(error) = self.recognise() {
            if self.dut.operator != OperatorSpec::Person {
                return Err(error);
            }
            println!("  >>> {}: {error}", self.dut.name);
            self.replug()?;
            self.recognise()?;
        }
        self.node()
    }

    fn wait(&self) -> Result<(), String> {
        let patience = match &self.dut.operator {
            OperatorSpec::Person => BACK,
            OperatorSpec::Virtual => BACK / 2,
            OperatorSpec::Hook { patience_ms, .. } => Duration::from_millis(*patience_ms),
        };
        eventually(patience, "its node", || Ok(node_of(&self.port).is_some()))
            .map_err(|_| format!("the key did not come back to port {} within {} s", self.port, patience.as_secs()))
    }

    /// Out and in.
    pub fn replug(&mut self) -> Result<(), String> {
        self.remove()?;
        self.insert()
    }

    /// That the hand reaches this key and no other: it blinks, and the touch ends it.
    pub fn prove_hand(&mut self) -> Result<(), String> {
        if !self.hand.is_a_machine() {
            return Ok(());
        }
        let mut command = Command::new(&self.keybench);
        command.args(["key", "blink", "--port", &self.port, "--json"]);
        let mut blinking = Live::start(&mut command)?;
        blinking.until("touch", PATIENCE)?;
        let proven = self.hand.touch().and_then(|()| blinking.until("touched", PATIENCE).map(drop));
        if proven.is_err() {
            // So that the key stops blinking: a process that is killed leaves it waiting for its touch.
            blinking.interrupt();
            let _ = blinking.end(PATIENCE);
        }
        proven.map_err(|error| {
            format!("the actuator does not reach the key in port {}; nothing was wiped ({error})", self.port)
        })
    }

    /// Makes it blank, if it is not: the same key, by `keybench key reset`, which wants the end of its serial number typed.
    pub fn make_blank(&mut self, wear: &mut WearBook) -> Result<(), String> {
        if node_of(&self.port).is_none() {
            self.insert()?;
        }
        let told = self.recognise()?;
        if told["info"]["options"]["clientPin"] == false && told["fit"] == true {
            return Ok(());
        }
        self.wipe(wear)
    }

    /// Wipes it, counted.
    pub fn wipe(&mut self, wear: &mut WearBook) -> Result<(), String> {
        if !self.dut.may.contains(&May::Wipe) {
            return Err(format!("DUT {}: its file does not let it be wiped", self.dut.name));
        }
        self.recognise()?;
        let more = Worn { resets: 1, lock_outs: 0 };
        if let Some(reason) = wear.too_much(&self.dut, more) {
            return Err(reason);
        }
        wear.count(&self.dut, more)?;
        let ended = self.reset(Self::touch_for_reset)?;
        ensure(ended.code == Some(0), || format!("the key was not reset: {}", ended.stdout))
    }

    /// `keybench key reset` at a terminal, with this hand: the word, out, in, and `then` when the touch is asked for.
    pub fn reset(&mut self, then: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<Ended, String> {
        let mut dialogue = self.begin_reset()?;
        self.replug()?;
        dialogue.until("Touch the key now", PATIENCE)?;
        then(self)?;
        dialogue.end(PATIENCE)
    }

    /// The same up to where the key is to be taken out.
    pub fn begin_reset(&mut self) -> Result<Dialogue, String> {
        // The word is typed by a program, whichever key asks for it.
        self.recognise()?;
        let mut command = Command::new(&self.keybench);
        command.args(["key", "reset", "--port", &self.port]).env_remove("KEYBENCH_CONFIG");
        let mut dialogue = Dialogue::start(&mut command)?;
        dialogue.until("To wipe it, type", PATIENCE)?;
        dialogue.until("to go on, anything else", PATIENCE)?;
        let told = dialogue.told();
        let asked = told.rsplit_once("Type ").and_then(|(_, rest)| rest.split_once(" to go on"));
        let word = asked.map(|(word, _)| word.to_owned()).ok_or_else(|| format!("no word is asked for: {told}"))?;
        let is_its_own =
            self.serial.as_deref().is_none_or(|serial| serial.to_lowercase().ends_with(&word.to_lowercase()));
        ensure(is_its_own, || format!("the word {word} is not the end of this key's serial number: {told}"))?;
        dialogue.say(&word)?;
        dialogue.until("Take the key out", PATIENCE)?;
        Ok(dialogue)
    }
}

/// The port and the state of the key that a file means. Keys with its USB ids are asked who they are one after the other, until one tells
/// the serial number.
fn search(keybench: &Path, dut: &Dut) -> Result<(String, Value), String> {
    let usb = dut.usb.as_deref().unwrap_or_default();
    let listed = run(Command::new(keybench).args(["key", "list", "--unopened", "--json"]), PATIENCE)?;
    let listed: Vec<Value> = listed.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let ids = |key: &Value| format!("{}:{}", text(key, "vendor_id"), text(key, "product_id"));
    let mut others = Vec::new();
    for key in listed.iter().filter(|key| key["event"] == "key") {
        let port = text(key, "port");
        let meant = ids(key).eq_ignore_ascii_case(usb) && dut.port.as_ref().is_none_or(|wanted| *wanted == port);
        if !meant {
            others.push(format!("port {port} ({}, not opened)", ids(key)));
            continue;
        }
        let told = match key_info(keybench, &port) {
            Ok(told) => told,
            // One that somebody else talks to just now need not be ours.
            Err(error) if dut.port.is_none() => {
                others.push(format!("port {port} ({})", error.trim()));
                continue;
            }
            Err(error) => return Err(error),
        };
        match (&dut.serial, told["serial"].as_str()) {
            (Some(wanted), Some(serial)) if serial.eq_ignore_ascii_case(wanted) => return Ok((port, told)),
            (Some(_), serial) => others.push(format!("port {port} (serial {})", serial.unwrap_or("not told"))),
            (None, None) => return Ok((port, told)),
            (None, Some(serial)) => {
                return Err(format!(
                    "DUT {}: the key in port {port} tells its serial number {serial}, and the file names none: put serial = \
                     {serial:?} there if it is the one; nothing was done to it",
                    dut.name
                ));
            }
        }
    }
    let who = match (&dut.serial, &dut.port) {
        (Some(serial), Some(port)) => format!("serial {serial} in port {port}"),
        (Some(serial), None) => format!("serial {serial}"),
        (None, port) => format!("a key in port {}", port.as_deref().unwrap_or_default()),
    };
    let seen = if others.is_empty() { "there is no key in any port".to_owned() } else { others.join(", ") };
    Err(format!("DUT {} ({usb}, {who}) is not there: {seen}", dut.name))
}

fn key_info(keybench: &Path, port: &str) -> Result<Value, String> {
    let told = run(Command::new(keybench).args(["key", "info", "--port", port, "--json"]), PATIENCE)?;
    let told = told.good().map_err(|error| format!("the key in port {port} can't be looked at: {error}"))?;
    serde_json::from_str(told.trim()).map_err(|error| format!("key info: {error}: {told}"))
}

/// The node of the FIDO device in this port.
fn node_of(port: &str) -> Option<PathBuf> {
    hidraw::in_port(port).map(|device| device.node)
}

/// Reads on until the run asks for the touch of this key.
pub fn asked_for_touch(subject: &mut Subject, run: &mut Live, patience: Duration) -> Result<Value, String> {
    let end = Instant::now() + patience;
    let mut again = 3;
    while let Some(event) = run.next(end.saturating_duration_since(Instant::now())) {
        match event["event"].as_str().unwrap_or_default() {
            "touch" => return Ok(event),
            "key-refused" if subject.put_right(&event, &mut again)? => {}
            "key-refused" => return Err(format!("{event}; {}", run.told())),
            _ => {}
        }
    }
    Err(format!("no touch is asked for within {patience:?}; {}", run.told()))
}

/// Reads on until an event comes, touching and taking out by this hand as the screen asks. For the whole of a run on one key.
pub fn provision_with(subject: &mut Subject, run: &mut Live, patience: Duration) -> Result<Value, String> {
    let end = Instant::now() + patience;
    let mut finished = None;
    let mut again = 3;
    while finished.is_none() {
        let Some(event) = run.next(end.saturating_duration_since(Instant::now())) else {
            return Err(format!("not finished within {patience:?}; {}", run.told()));
        };
        match event["event"].as_str().unwrap_or_default() {
            "touch" => subject.touch()?,
            "finished" => finished = Some(event),
            "key-refused" if subject.put_right(&event, &mut again)? => {}
            "key-refused" | "failed" => return Err(format!("{event}; {}", run.told())),
            _ => {}
        }
    }
    subject.remove()?;
    let code = run.end(patience)?;
    ensure(code == 0, || format!("exit code {code}; {}", run.told()))?;
    Ok(finished.unwrap_or_default())
}
