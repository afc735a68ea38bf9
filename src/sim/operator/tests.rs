//! The person at simulated ports, and a bench of a few lines that asks each key for one touch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::key::host::Host;
use super::super::key::{Fault, Model, SimKey};
use super::*;
use crate::ctap2::hid::packet::DeviceError;
use crate::world::{KeyPorts as _, PortEvent};

/// Asks every key that comes for a touch, in its own thread; tells the person when it is done.
fn bench(ports: &SimPorts, cues: &Cues) -> Arc<AtomicU64> {
    let time_outs = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&time_outs);
    let events = ports.watch().expect("watch");
    let (ports, cues) = (ports.clone(), cues.clone());
    std::thread::spawn(move || {
        for event in events {
            let PortEvent::Plugged(found) = event else { continue };
            let (ports, cues, counter) = (ports.clone(), cues.clone(), Arc::clone(&counter));
            std::thread::spawn(move || {
                let Ok(device) = ports.open(found.plug) else { return };
                let mut host = Host::new(device);
                let status = loop {
                    match host.call(0x10, &[0x0b]) {
                        Ok((_, answer)) if answer == [0x2f] => drop(counter.fetch_add(1, Ordering::Relaxed)),
                        Ok((_, answer)) => break answer[0],
                        Err(DeviceError::Gone) => return,
                        Err(error) => panic!("{error}"),
                    }
                };
                assert_eq!(status, 0);
                cues.send(Cue::TakeOut { port: found.port });
            });
        }
    });
    time_outs
}

fn key(unit: u32) -> SimKey {
    let key = SimKey::new(&Model::usual(), unit);
    key.probe().set_touch_timeout(Duration::from_millis(120));
    key
}

fn day(keys: Vec<BoxedKey>, ports: usize) -> Day {
    let ports = SimPorts::numbered(ports);
    let hands = Hands::new(ports.clone(), Timings::HUMAN.scaled(0.002), keys);
    bench(&ports, &hands.cues());
    hands.run()
}

#[test]
fn a_box_of_keys_is_worked_off() {
    let day = day((0..7).map(|unit| key(unit).into()).collect(), 3);
    assert_eq!((day.plugs, day.touches, day.early_pulls), (7, 7, 0));
    assert_eq!(day.keys.len(), 7);
    assert!(day.keys.iter().all(|(_, fate)| *fate == Fate::Finished));
    assert!(day.meter.busy > Duration::ZERO && day.meter.busy <= day.meter.span);
}

#[test]
fn a_key_pulled_while_blinking_comes_back_and_is_finished() {
    let manner = Manner { pull_when_blinking: true, back_after_ms: 5, ..Manner::default() };
    let day = day(vec![BoxedKey { key: key(1), manner }], 1);
    assert_eq!((day.plugs, day.early_pulls, day.touches), (2, 1, 1));
    assert_eq!(day.keys[0].1, Fate::Finished);
}

#[test]
fn a_key_that_jumps_out_is_put_back() {
    let key = key(1);
    key.probe().add_fault(Fault::UnplugAtPacket { packet: 2 });
    let day = day(vec![key.into()], 1);
    assert_eq!((day.plugs, day.early_pulls), (2, 1));
    assert_eq!(day.keys[0].1, Fate::Finished);
}

#[test]
fn a_key_goes_back_when_the_bench_asks_for_it() {
    let ports = SimPorts::numbered(1);
    let manner = Manner { pull_when_blinking: true, back_after_ms: 3_600_000, ..Manner::default() };
    let boxed = vec![BoxedKey { key: key(1), manner }];
    let hands = Hands::new(ports.clone(), Timings::HUMAN.scaled(0.001), boxed);
    let cues = hands.cues();
    let events = ports.watch().expect("watch");
    bench(&ports, &cues);
    let working = hands.start().expect("a thread");
    let pulled = events.iter().find_map(|event| match event {
        PortEvent::Unplugged { port, .. } => Some(port),
        PortEvent::Plugged(_) => None,
    });
    let port = pulled.expect("it is pulled while it blinks");
    // The person may still be laying the key aside; an alarm goes on until it is heard.
    while !working.is_finished() {
        cues.send(Cue::PutBack { port: port.clone() });
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(working.join().expect("the day ends").keys[0].1, Fate::Finished);
}

#[test]
fn time_outs_are_let_pass_when_asked() {
    let manner = Manner { skip_timeouts: 1, ..Manner::default() };
    let ports = SimPorts::numbered(1);
    let hands = Hands::new(ports.clone(), Timings::HUMAN.scaled(0.002), vec![BoxedKey { key: key(1), manner }]);
    let time_outs = bench(&ports, &hands.cues());
    assert_eq!(hands.run().touches, 1);
    assert!(time_outs.load(Ordering::Relaxed) >= 1);
}

#[test]
fn a_refused_key_is_set_apart_and_the_day_can_be_ended() {
    let ports = SimPorts::numbered(2);
    let endless = (0..).map(|unit| BoxedKey::from(key(unit)));
    let hands = Hands::new(ports.clone(), Timings::HUMAN.scaled(0.001), endless);
    let cues = hands.cues();
    let events = ports.watch().expect("watch");
    let working = hands.start().expect("a thread");
    let Ok(PortEvent::Plugged(first)) = events.recv() else { panic!("a key comes first") };
    cues.send(Cue::Reject { port: first.port.clone() });
    let rejected = events.iter().any(|event| matches!(event, PortEvent::Unplugged { plug, .. } if plug == first.plug));
    assert!(rejected);
    cues.send(Cue::Done);
    let day = working.join().expect("the day ends");
    assert_eq!(day.keys[0].1, Fate::Rejected);
    assert!(day.keys[1..].iter().all(|(_, fate)| *fate == Fate::Left));
    assert!(ports.names().iter().all(|port| !ports.is_taken(port)));
}

#[test]
fn the_meter_counts_from_first_to_last() {
    let second = Duration::from_secs;
    let mut meter = BusyMeter::default();
    assert!(meter.share().abs() < f64::EPSILON);
    meter.note(second(10), second(12));
    meter.note(second(16), second(18));
    assert_eq!((meter.busy, meter.span), (second(4), second(8)));
    assert!((meter.share() - 0.5).abs() < 1e-9);
}

#[test]
fn a_clock_can_be_given() {
    struct Still;
    impl Clock for Still {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn sleep(&self, _: Duration) {}
    }
    let ports = SimPorts::numbered(1);
    let hands = Hands::new(ports.clone(), Timings::HUMAN, vec![key(1).into()]).with_clock(Arc::new(Still));
    bench(&ports, &hands.cues());
    let day = hands.run();
    assert_eq!((day.touches, day.meter.busy), (1, Duration::ZERO));
}
