//! What the keys on `/dev/uhid` are told from outside, a line at a time: words, or the same as a JSON object.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{UhidKeys, node_of};
use crate::sim::key::{Fault, Touch};

/// A wish.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
enum Wish {
    List,
    Plug {
        key: Option<usize>,
    },
    Unplug {
        key: Option<usize>,
    },
    PowerCycle {
        key: Option<usize>,
    },
    Touch {
        key: Option<usize>,
        how: How,
        #[serde(default)]
        ms: u64,
    },
    TouchTimeout {
        key: Option<usize>,
        ms: u64,
    },
    Fault {
        key: Option<usize>,
        fault: Fault,
    },
    Mend {
        key: Option<usize>,
    },
    Fresh {
        key: Option<usize>,
    },
    Inspect {
        key: usize,
    },
    PinIs {
        key: usize,
        pin: String,
    },
    Quit,
}

/// How keys are touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// Now, if it blinks.
    Now,
    /// Only by `now`.
    Hand,
    /// As soon as it blinks.
    AtOnce,
    /// So many milliseconds later.
    After,
    /// Nobody.
    Never,
    /// The person says no.
    Decline,
}

/// Does what a line asks; `None` is the wish to end.
pub(super) fn obey(keys: &UhidKeys, line: &str) -> Option<String> {
    let answer = match read(line.trim()) {
        Ok(Wish::Quit) => return None,
        Ok(wish) => fulfil(keys, wish),
        Err(error) => Err(error),
    };
    let answer = match answer {
        Ok(Value::Object(mut members)) => {
            members.insert("ok".to_owned(), Value::Bool(true));
            Value::Object(members)
        }
        Ok(_) => json!({ "ok": true }),
        Err(error) => json!({ "ok": false, "error": error }),
    };
    Some(answer.to_string())
}

fn fulfil(keys: &UhidKeys, wish: Wish) -> Result<Value, String> {
    match wish {
        Wish::Quit => {}
        Wish::List => return Ok(keys.describe()),
        Wish::Plug { key } => each(keys, key, |place| place.plug().map_err(|error| error.to_string()))?,
        Wish::Unplug { key } => each(keys, key, |place| {
            place.stay = None;
            Ok(())
        })?,
        Wish::PowerCycle { key } => each(keys, key, |place| {
            place.stay = None;
            place.plug().map_err(|error| error.to_string())
        })?,
        Wish::Touch { key, how, ms } => {
            let mut pressed = 0;
            each(keys, key, |place| {
                let probe = place.probe();
                let finger = probe.finger();
                match how {
                    How::Now => pressed += u32::from(finger.press()),
                    How::Hand => finger.set(Touch::Hand),
                    How::AtOnce => finger.set(Touch::AtOnce),
                    How::After => finger.set(Touch::After(Duration::from_millis(ms))),
                    How::Never => finger.set(Touch::Never),
                    How::Decline => finger.set(Touch::Decline),
                }
                Ok(())
            })?;
            return Ok(json!({ "touched": pressed }));
        }
        Wish::TouchTimeout { key, ms } => each(keys, key, |place| {
            place.probe().set_touch_timeout(Duration::from_millis(ms));
            Ok(())
        })?,
        Wish::Fault { key, fault } => each(keys, key, |place| {
            place.probe().add_fault(fault.clone());
            Ok(())
        })?,
        Wish::Mend { key } => each(keys, key, |place| {
            place.probe().clear_faults();
            Ok(())
        })?,
        Wish::Fresh { key } => each(keys, key, |place| {
            place.stay = None;
            place.key = keys.next_like(&place.key);
            Ok(())
        })?,
        Wish::Inspect { key } => {
            let probe = keys.place(key).ok_or_else(|| no_such(key))?.probe();
            let residents: Vec<Value> = probe
                .residents()
                .iter()
                .map(|resident| {
                    json!({
                        "rp_id": resident.rp_id,
                        "user_id": hex(&resident.user_id),
                        "user_name": resident.user_name,
                        "credential_id": hex(resident.credential_id.as_bytes()),
                    })
                })
                .collect();
            return Ok(json!({
                "pin_is_set": probe.pin_is_set(),
                "retries": probe.retries(),
                "change_is_forced": probe.change_is_forced(),
                "min_pin_length": probe.min_pin_length(),
                "residents": residents,
            }));
        }
        Wish::PinIs { key, pin } => {
            let probe = keys.place(key).ok_or_else(|| no_such(key))?.probe();
            return Ok(json!({ "pin_is": probe.pin_is(&pin) }));
        }
    }
    Ok(Value::Null)
}

/// What is in a place; `None` when there is no such place.
pub(super) fn describe(keys: &UhidKeys, number: usize) -> Option<Value> {
    let place = keys.place(number)?;
    let node = place.stay.as_ref().and_then(|_| node_of(&place.port));
    Some(json!({
        "key": number,
        "port": place.port.to_string(),
        "model": place.key.model().id,
        "serial": place.key.serial().map(|serial| serial.as_str().to_owned()),
        "plugged": place.stay.is_some(),
        "blinking": place.stay.as_ref().is_some_and(super::Stay::is_blinking),
        "heard": place.stay.as_ref().map_or(0, super::Stay::heard),
        "node": node.map(|node| node.to_string_lossy().into_owned()),
    }))
}

/// Does something to one key, or to all.
fn each(
    keys: &UhidKeys,
    which: Option<usize>,
    mut act: impl FnMut(&mut super::Place) -> Result<(), String>,
) -> Result<(), String> {
    let numbers = which.map_or(1..=keys.len(), |number| number..=number);
    for number in numbers {
        act(&mut *keys.place(number).ok_or_else(|| no_such(number))?)?;
    }
    Ok(())
}

fn no_such(number: usize) -> String {
    format!("there is no key {number}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a line.
fn read(line: &str) -> Result<Wish, String> {
    if line.starts_with('{') {
        return serde_json::from_str(line).map_err(|error| format!("not understood: {error}"));
    }
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    let key = |word: Option<&&str>| match word.copied() {
        None | Some("all") => Ok(None),
        Some(word) => number(word).map(Some),
    };
    let one = |word: Option<&&str>| number(word.copied().unwrap_or_default());
    match (verb, rest.as_slice()) {
        ("list", []) => Ok(Wish::List),
        ("quit", []) => Ok(Wish::Quit),
        ("plug", [..] | []) if rest.len() < 2 => Ok(Wish::Plug { key: key(rest.first())? }),
        ("unplug", [..]) if rest.len() < 2 => Ok(Wish::Unplug { key: key(rest.first())? }),
        ("power-cycle", [..]) if rest.len() < 2 => Ok(Wish::PowerCycle { key: key(rest.first())? }),
        ("touch", [which, "after", ms]) => Ok(Wish::Touch { key: key(Some(which))?, how: How::After, ms: number(ms)? }),
        ("touch", [which, how]) => {
            let how = serde_json::from_value(Value::from(*how)).map_err(|_| NOT_UNDERSTOOD.to_owned())?;
            Ok(Wish::Touch { key: key(Some(which))?, how, ms: 0 })
        }
        ("touch-timeout", [which, ms]) => Ok(Wish::TouchTimeout { key: key(Some(which))?, ms: number(ms)? }),
        ("drop", [which, packet]) => {
            Ok(Wish::Fault { key: key(Some(which))?, fault: Fault::DropAnswerPacket { packet: number(packet)? } })
        }
        ("corrupt", [which, packet]) => {
            Ok(Wish::Fault { key: key(Some(which))?, fault: Fault::CorruptAnswerPacket { packet: number(packet)? } })
        }
        ("foreign", [which]) => Ok(Wish::Fault { key: key(Some(which))?, fault: Fault::ForeignTraffic }),
        ("mend", [..]) if rest.len() < 2 => Ok(Wish::Mend { key: key(rest.first())? }),
        ("fresh", [..]) if rest.len() < 2 => Ok(Wish::Fresh { key: key(rest.first())? }),
        ("inspect", [which]) => Ok(Wish::Inspect { key: one(Some(which))? }),
        ("pin-is", [which, pin]) => Ok(Wish::PinIs { key: one(Some(which))?, pin: (*pin).to_owned() }),
        ("fault", [which, ..]) => {
            let json = line.split_once(which).map(|(_, json)| json).unwrap_or_default();
            let fault = serde_json::from_str(json).map_err(|error| format!("the fault is not understood: {error}"))?;
            Ok(Wish::Fault { key: key(Some(which))?, fault })
        }
        _ => Err(NOT_UNDERSTOOD.to_owned()),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not a number"))
}

const NOT_UNDERSTOOD: &str = "one of: list; plug, unplug, power-cycle, mend, fresh [KEY|all]; touch KEY|all now|hand|at-once|after MS|never|decline; touch-timeout KEY|all MS; \
drop, corrupt KEY|all PACKET; foreign KEY|all; fault KEY|all JSON; inspect KEY; pin-is KEY PIN; quit";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PortName;
    use crate::sim::key::{Model, SimKey};

    fn two() -> UhidKeys {
        UhidKeys::new((1..=2).map(|unit| (PortName::new(format!("sim-{unit}")), SimKey::new(&Model::usual(), unit))))
    }

    #[test]
    fn words_and_json_are_the_same_wish() {
        for (words, json) in [
            ("list", r#"{"do":"list"}"#),
            ("unplug", r#"{"do":"unplug"}"#),
            ("plug all", r#"{"do":"plug","key":null}"#),
            ("power-cycle 2", r#"{"do":"power-cycle","key":2}"#),
            ("touch 1 after 250", r#"{"do":"touch","key":1,"how":"after","ms":250}"#),
            ("touch all at-once", r#"{"do":"touch","how":"at-once"}"#),
            ("drop 1 3", r#"{"do":"fault","key":1,"fault":{"kind":"drop-answer-packet","packet":3}}"#),
            (
                r#"fault 1 {"kind":"slow-answer","ms":9}"#,
                r#"{"do":"fault","key":1,"fault":{"kind":"slow-answer","ms":9}}"#,
            ),
            ("pin-is 1 1234", r#"{"do":"pin-is","key":1,"pin":"1234"}"#),
            ("quit", r#"{"do":"quit"}"#),
        ] {
            assert_eq!(read(words), read(json), "{words}");
            assert!(read(words).is_ok(), "{words}");
        }
    }

    #[test]
    fn nonsense_is_answered_and_changes_nothing() {
        let keys = two();
        for line in ["", "touch 1 softly", "unplug 3", "inspect all", "fault 1 {}", "{\"do\":\"dance\"}", "drop 1 x"] {
            let answer: Value = serde_json::from_str(&keys.obey(line).expect("an answer")).expect("JSON");
            assert_eq!(answer["ok"], false, "{line}");
            assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()));
        }
        assert_eq!(keys.obey("quit"), None);
    }

    #[test]
    fn a_fresh_key_is_another_one_touched_as_the_one_before() {
        let keys = two();
        keys.obey("touch 2 at-once");
        let serial = |keys: &UhidKeys| keys.describe()["keys"][1]["serial"].clone();
        let before = serial(&keys);
        keys.obey("fresh 2");
        let after = serial(&keys);
        assert!(before != after && after != keys.describe()["keys"][0]["serial"], "{before} {after}");
        assert_eq!(keys.place(2).expect("a place").probe().finger().rule(), Touch::AtOnce);
        keys.obey("fresh 2");
        assert_ne!(serial(&keys), after, "no number twice");
    }

    #[test]
    fn keys_can_be_looked_into_out_of_their_ports() {
        let keys = two();
        let answer: Value = serde_json::from_str(&keys.obey("inspect 2").expect("an answer")).expect("JSON");
        assert_eq!(
            (&answer["ok"], &answer["pin_is_set"], &answer["retries"]),
            (&json!(true), &json!(false), &json!(8))
        );
        let answer: Value = serde_json::from_str(&keys.obey("list").expect("an answer")).expect("JSON");
        assert_eq!(answer["keys"][1]["port"], "sim-2");
        assert_eq!(answer["keys"][1]["plugged"], false);
        assert_eq!(answer["keys"][1]["heard"], 0);
    }
}
