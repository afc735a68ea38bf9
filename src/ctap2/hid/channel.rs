//! One CTAPHID channel to one key.
//!
//! Promise: no call outlasts its deadline, whatever the key sends or does not send; packets of other programs are never taken
//! for ours (on Linux every program that has the node open sees every report); after any trouble the channel is brought
//! back to a known point before it is used again. Spec: CTAP 2.1 §11.2.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::frame::{AnyPacket, Assembler, ChannelId, InitPacket, MAX_MESSAGE, Progress, split};
use super::packet::PacketDevice;
use crate::ctap2::transport::{
    Hello, HidError, Keepalive, Kind, Limits, Patience, REST, Transport, TransportError, Watcher,
};
use crate::world::{Clock, Entropy};

const INIT: u8 = 0x06;
const CANCEL: u8 = 0x11;
const KEEPALIVE: u8 = 0x3B;
const ERROR: u8 = 0x3F;

/// How long one look at the device lasts; between two looks the watcher is asked whether to stop. A key that waits for its touch says so
/// every 100 ms (CTAP 2.1 §11.2.9.1.7), and each time ends a look: a little longer than that, or the two would wake us in turns.
const LOOK: Duration = Duration::from_millis(150);
/// The pause after "busy" (as python-fido2 does it).
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How long one INIT is waited for before it is asked again: a key that was just plugged in, or is just finishing something,
/// may miss the first.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How often a message is sent again that the key gave up because its packets came too slowly (OpenSK: 100 ms apart).
const RESENDS: u32 = 3;
/// CTAP2_ERR_KEEPALIVE_CANCEL alone: the answer to a cancelled command.
const CANCELLED_ANSWER: [u8; 1] = [0x2D];

/// An open channel.
pub struct Channel<D> {
    device: D,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
    id: ChannelId,
    hello: Hello,
    max_message: usize,
    /// False after trouble, until the key has answered INIT on our channel.
    in_step: bool,
}

/// Why we want the key to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Asked,
    Overdue,
}

impl<D: PacketDevice> Channel<D> {
    /// Asks the key for a channel.
    ///
    /// # Errors
    /// [`TransportError`] when the key is gone, silent, or kept busy by another program for [`Limits::idle`].
    pub fn open(
        device: D,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        limits: Limits,
    ) -> Result<Self, TransportError> {
        let mut channel = Self {
            device,
            clock,
            entropy,
            limits,
            id: ChannelId::BROADCAST,
            hello: Hello { protocol: 0, device_version: [0; 3], capabilities: 0 },
            max_message: MAX_MESSAGE,
            in_step: false,
        };
        channel.init()?;
        Ok(channel)
    }

    /// INIT: on the broadcast channel it asks for a channel, on our own it makes the key drop what it does for us.
    fn init(&mut self) -> Result<(), TransportError> {
        let started = self.clock.monotonic();
        let asked_on = self.id;
        'ask: loop {
            let mut nonce = [0; 8];
            self.entropy.fill(&mut nonce)?;
            self.send(asked_on, INIT, &nonce)?;
            let asked_at = self.clock.monotonic();
            loop {
                let waited = self.since(started);
                if waited >= self.limits.idle {
                    return Err(TransportError::Silent { waited });
                }
                if self.since(asked_at) >= ASK_AGAIN {
                    continue 'ask;
                }
                let Some(packet) = self.device.read(LOOK.min(self.limits.idle - waited))? else { continue };
                let AnyPacket::Init(packet) = AnyPacket::read(&packet) else { continue };
                if packet.channel != asked_on {
                    continue;
                }
                match (packet.command, packet.payload()) {
                    // The nonce says whose answer it is: others ask on the broadcast channel too.
                    (
                        INIT,
                        [n0, n1, n2, n3, n4, n5, n6, n7, c0, c1, c2, c3, protocol, v0, v1, v2, capabilities, ..],
                    ) if nonce == [*n0, *n1, *n2, *n3, *n4, *n5, *n6, *n7] => {
                        let id = ChannelId([*c0, *c1, *c2, *c3]);
                        if id == ChannelId::BROADCAST || (asked_on != ChannelId::BROADCAST && id != asked_on) {
                            return Err(TransportError::Garbled("it gave out a channel that can't be"));
                        }
                        self.id = id;
                        self.hello =
                            Hello { protocol: *protocol, device_version: [*v0, *v1, *v2], capabilities: *capabilities };
                        self.in_step = true;
                        return Ok(());
                    }
                    (ERROR, [code, ..]) => match HidError::from_byte(*code) {
                        HidError::Busy => {
                            self.clock.sleep(BUSY_PAUSE);
                            continue 'ask;
                        }
                        // The error may answer an earlier message of ours: what counts is the answer to this one.
                        _ if asked_on != ChannelId::BROADCAST => {}
                        error => return Err(TransportError::Hid(error)),
                    },
                    _ => {}
                }
            }
        }
    }

    fn since(&self, instant: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(instant)
    }

    fn send(&mut self, channel: ChannelId, command: u8, message: &[u8]) -> Result<(), TransportError> {
        let packets = split(channel, command, message)
            .map_err(|_| TransportError::TooLong { length: message.len(), max: MAX_MESSAGE })?;
        for packet in &packets {
            self.device.write(packet)?;
        }
        Ok(())
    }

    /// Sends one message and reads its answer, once.
    fn converse(
        &mut self,
        kind: Kind,
        message: &[u8],
        started: Duration,
        overall: Duration,
        watch: &mut dyn Watcher,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        // While packets are under way the key has a part of a message, and only INIT clears that.
        self.in_step = false;
        self.send(self.id, kind.command(), message)?;
        let mut last_heard = self.clock.monotonic();
        let mut last_told = None;
        let mut under_way: Option<Assembler> = None;
        let mut stopping: Option<(Stop, Duration)> = None;
        // Sixteen keys that wait while their operator is away say ten times a second that they do; every one of these would wake us.
        let (mut alone, mut resting) = (true, false);
        loop {
            let now = self.clock.monotonic();
            match stopping {
                None => {
                    let reason = if watch.wants_to_stop() {
                        Some(Stop::Asked)
                    } else if now.saturating_sub(started) >= overall {
                        Some(Stop::Overdue)
                    } else {
                        None
                    };
                    if let Some(reason) = reason {
                        if kind == Kind::Cbor {
                            self.send(self.id, CANCEL, &[])?;
                        }
                        stopping = Some((reason, now));
                    }
                }
                Some((reason, since)) if now.saturating_sub(since) >= self.limits.grace => {
                    return Err(self.stopped(reason, started, false));
                }
                Some(_) => {}
            }
            let silence = now.saturating_sub(last_heard);
            if silence >= self.limits.idle {
                return Err(TransportError::Silent { waited: silence });
            }
            // Whichever ends first.
            let left = match stopping {
                Some((_, since)) => self.limits.grace.saturating_sub(now.saturating_sub(since)),
                None => overall.saturating_sub(now.saturating_sub(started)),
            };
            let look = self.limits.idle.saturating_sub(silence).min(left);
            resting &= stopping.is_none();
            let Some(packet) = self.device.read(if resting { Duration::ZERO } else { LOOK.min(look) })? else {
                if resting {
                    self.clock.sleep(until_next_rest(now).min(look));
                }
                continue;
            };
            let packet = AnyPacket::read(&packet);
            if packet.channel() != self.id {
                // Between two looks others could fill the system's queue, and our answer would find no room in it.
                (alone, resting) = (false, false);
                continue;
            }
            last_heard = self.clock.monotonic();
            let progress = match (packet, under_way.take()) {
                (AnyPacket::Init(packet), assembling) if packet.command == KEEPALIVE => {
                    if let [status, ..] = packet.payload() {
                        let keepalive = Keepalive::from_byte(*status);
                        resting = alone && keepalive == Keepalive::TouchNeeded && watch.may_rest();
                        if last_told != Some(keepalive) {
                            last_told = Some(keepalive);
                            watch.saw(keepalive);
                        }
                    }
                    under_way = assembling;
                    continue;
                }
                (AnyPacket::Init(packet), _) if packet.command == ERROR => return Err(self.refused(&packet)),
                (AnyPacket::Init(packet), None) if packet.command == kind.command() => Assembler::start(&packet),
                (AnyPacket::Init(_), Some(_)) => {
                    return Err(TransportError::Garbled("a message begins before the last one has ended"));
                }
                // Left over from something we gave up; INIT with its nonce has already told old from new.
                (AnyPacket::Init(_), None) | (AnyPacket::Next(_), None) => continue,
                (AnyPacket::Next(packet), Some(assembler)) => assembler.push(&packet),
            };
            match progress {
                Err(_) => return Err(TransportError::Garbled("packets are missing, out of order or too many")),
                Ok(Progress::More(assembler)) => under_way = Some(assembler),
                Ok(Progress::Done(answer)) => {
                    self.in_step = true;
                    return match stopping {
                        Some((reason, _)) if kind == Kind::Cbor && *answer == CANCELLED_ANSWER => {
                            Err(self.stopped(reason, started, true))
                        }
                        // The touch, or whatever it was, came before our CANCEL: that answer counts.
                        _ => Ok(answer),
                    };
                }
            }
        }
    }

    fn stopped(&self, reason: Stop, started: Duration, confirmed: bool) -> TransportError {
        match reason {
            Stop::Asked => TransportError::Cancelled { confirmed },
            Stop::Overdue => TransportError::Deadline { waited: self.since(started), confirmed },
        }
    }

    fn refused(&mut self, packet: &InitPacket) -> TransportError {
        let error = HidError::from_byte(packet.payload().first().copied().unwrap_or(0x7F));
        // After these two the key waits for a new message; after the others nobody knows.
        self.in_step = matches!(error, HidError::Busy | HidError::InvalidCommand);
        TransportError::Hid(error)
    }
}

/// To the next full [`REST`] of the clock: all keys that wait are looked at in one waking.
fn until_next_rest(now: Duration) -> Duration {
    let into = now.as_millis() % REST.as_millis();
    REST.saturating_sub(Duration::from_millis(u64::try_from(into).unwrap_or_default()))
}

impl<D: PacketDevice> Transport for Channel<D> {
    fn exchange(
        &mut self,
        kind: Kind,
        message: &[u8],
        patience: Patience,
        watch: &mut dyn Watcher,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let max = self.max_message.min(MAX_MESSAGE);
        if message.len() > max {
            return Err(TransportError::TooLong { length: message.len(), max });
        }
        if !self.in_step {
            self.resynchronise()?;
        }
        let overall = match patience {
            Patience::Key => self.limits.overall,
            Patience::Person => self.limits.touch,
        };
        let started = self.clock.monotonic();
        let mut found_again = false;
        let mut resends = 0;
        loop {
            match self.converse(kind, message, started, overall, watch) {
                Err(TransportError::Hid(HidError::Busy)) if self.since(started) < overall && !watch.wants_to_stop() => {
                    self.clock.sleep(BUSY_PAUSE);
                }
                // This machine was too busy to send the whole message in time. The key never had it whole, and so has not done
                // anything.
                Err(TransportError::Hid(HidError::Timeout)) if resends < RESENDS && !watch.wants_to_stop() => {
                    resends += 1;
                    self.resynchronise()?;
                }
                // The key has forgotten us, and so has not done anything: a new channel, once.
                Err(TransportError::Hid(HidError::InvalidChannel)) if !found_again => {
                    found_again = true;
                    self.id = ChannelId::BROADCAST;
                    self.init()?;
                }
                Err(error) => {
                    // A key that hangs or babbles is brought back at once, so that it does not go on blinking for nobody.
                    // Whether that works shows at the next exchange; the error that counts is this one.
                    if !self.in_step && !error.is_gone() {
                        let _ = self.resynchronise();
                    }
                    return Err(error);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    fn resynchronise(&mut self) -> Result<(), TransportError> {
        self.in_step = false;
        match self.init() {
            Err(TransportError::Silent { .. } | TransportError::Garbled(_) | TransportError::Hid(_))
                if self.id != ChannelId::BROADCAST =>
            {
                // The channel itself may be lost, e.g. after the key's own restart.
                self.id = ChannelId::BROADCAST;
                self.init()
            }
            outcome => outcome,
        }
    }

    fn hello(&self) -> Hello {
        self.hello
    }

    fn set_max_message(&mut self, bytes: usize) {
        self.max_message = bytes;
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
