//! The hand at a key: a person with prompts, a virtual hand, or a program that drives a relay or an actuator. A hub that switches its
//! ports' power may take the place of inserting and removing.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use super::dut::{Dut, OperatorSpec, Power};
use super::keys::Keys;
use super::program::run_group;
use super::{ensure, eventually};

/// How long a hand may take.
const HAND: Duration = Duration::from_secs(120);

/// What a hand can do. Each returns when it is done; whether the key noticed is for the caller to see.
pub trait Operator {
    /// Touches the key that blinks.
    fn touch(&mut self) -> Result<(), String>;
    /// The same for a key that wants it for at least five seconds.
    fn touch_long(&mut self) -> Result<(), String> {
        self.touch()
    }
    /// Puts the key into its port.
    fn insert(&mut self) -> Result<(), String>;
    /// Takes it out.
    fn remove(&mut self) -> Result<(), String>;
    /// Whether a touch comes without anybody being asked: then it must be proven that it reaches this key.
    fn is_a_machine(&self) -> bool {
        false
    }
}

/// The hand that a DUT's file names, at the key in this port.
pub fn of(dut: &Dut, port: &str, inside: Option<&Rc<RefCell<Keys>>>) -> Result<Box<dyn Operator>, String> {
    let hand: Box<dyn Operator> = match (&dut.operator, inside) {
        (OperatorSpec::Virtual, Some(keys)) => Box::new(Virtual(Rc::clone(keys))),
        (OperatorSpec::Virtual, None) => return Err("a virtual hand needs a virtual key".to_owned()),
        (OperatorSpec::Person, _) => Box::new(Person { name: dut.name.clone(), port: port.to_owned() }),
        (OperatorSpec::Hook { command, actuator, patience_ms }, _) => Box::new(Hook {
            command: command.clone(),
            actuator: actuator.clone(),
            port: port.to_owned(),
            patience: Duration::from_millis(*patience_ms),
        }),
    };
    Ok(match &dut.power {
        Some(power) => Box::new(Switched { power: power.clone(), hand }),
        None => hand,
    })
}

struct Virtual(Rc<RefCell<Keys>>);

impl Operator for Virtual {
    fn touch(&mut self) -> Result<(), String> {
        let mut keys = self.0.borrow_mut();
        eventually(HAND, "the key blinks", || keys.blinks(1))?;
        let touched = keys.ask("touch 1 now")?["touched"].as_u64();
        ensure(touched == Some(1), || "the touch came to nothing".to_owned())
    }
    fn insert(&mut self) -> Result<(), String> {
        let mut keys = self.0.borrow_mut();
        keys.ask("plug 1")?;
        keys.wait_for_nodes()
    }
    fn remove(&mut self) -> Result<(), String> {
        self.0.borrow_mut().ask("unplug 1").map(drop)
    }
}

struct Person {
    name: String,
    port: String,
}

impl Person {
    fn please(&self, what: &str) {
        println!("  >>> {}: {what}", self.name);
    }
}

impl Operator for Person {
    fn touch(&mut self) -> Result<(), String> {
        self.please("touch the key that blinks");
        Ok(())
    }
    fn touch_long(&mut self) -> Result<(), String> {
        self.please("touch the key that blinks, and leave your finger there for at least five seconds");
        Ok(())
    }
    fn insert(&mut self) -> Result<(), String> {
        self.please(&format!("put the same key back into port {}", self.port));
        Ok(())
    }
    fn remove(&mut self) -> Result<(), String> {
        self.please(&format!("take the key out of port {}", self.port));
        Ok(())
    }
}

struct Hook {
    command: Vec<String>,
    actuator: String,
    port: String,
    patience: Duration,
}

impl Hook {
    fn call(&self, verb: &str) -> Result<(), String> {
        let (program, arguments) = self.command.split_first().ok_or("the hook has no command")?;
        let mut command = Command::new(program);
        command.args(arguments).args([verb, &self.actuator, &self.port]);
        let ended = run_group(&mut command, self.patience).map_err(|error| format!("the hook: {error}"))?;
        ensure(ended.code == Some(0), || {
            format!("the hook {program} {verb} {} ended with {:?}: {}", self.actuator, ended.code, ended.stderr.trim())
        })
    }
}

impl Operator for Hook {
    fn touch(&mut self) -> Result<(), String> {
        self.call("touch")
    }
    fn touch_long(&mut self) -> Result<(), String> {
        self.call("touch-long")
    }
    fn insert(&mut self) -> Result<(), String> {
        self.call("insert")
    }
    fn remove(&mut self) -> Result<(), String> {
        self.call("remove")
    }
    fn is_a_machine(&self) -> bool {
        true
    }
}

/// Power of the port off is the key out of it.
struct Switched {
    power: Power,
    hand: Box<dyn Operator>,
}

impl Switched {
    fn switch(&self, action: &str) -> Result<(), String> {
        let Power { command, location, port } = &self.power;
        let mut line = Command::new(command);
        line.args(["-l", location, "-p", &port.to_string(), "-a", action]);
        let ended =
            run_group(&mut line, HAND).map_err(|error| format!("{error}; install uhubctl, or take [power] out"))?;
        ensure(ended.code == Some(0), || {
            let said = format!("{}{}", ended.stdout, ended.stderr);
            format!("{command} could not switch port {port} of hub {location} {action}: {}", said.trim())
        })
    }
}

impl Operator for Switched {
    fn touch(&mut self) -> Result<(), String> {
        self.hand.touch()
    }
    fn touch_long(&mut self) -> Result<(), String> {
        self.hand.touch_long()
    }
    fn insert(&mut self) -> Result<(), String> {
        self.switch("on")
    }
    fn remove(&mut self) -> Result<(), String> {
        self.switch("off")
    }
    fn is_a_machine(&self) -> bool {
        self.hand.is_a_machine()
    }
}
