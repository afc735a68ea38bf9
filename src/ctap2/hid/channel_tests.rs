//! A key made of a script: it answers each message with packets the test wrote. Time only passes when somebody waits.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::ctap2::hid::packet::{DeviceError, Packet};
use crate::ctap2::transport::{Unwatched, Watching};
use crate::world::NoEntropy;

const OURS: ChannelId = ChannelId([0, 0, 0, 7]);
const THEIRS: ChannelId = ChannelId([0, 0, 0, 9]);
const CBOR: u8 = 0x10;

/// Moves when somebody sleeps or waits for a packet.
#[derive(Default)]
struct Time(AtomicU64);

impl Clock for Time {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }
}

/// A nonce that differs each time.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        buffer.iter_mut().zip(next).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }
}

type Script = Box<dyn FnMut(u8, &[u8]) -> Vec<Packet> + Send>;

/// Answers INIT properly; everything else as the script says. What it is asked is noted.
struct Scripted {
    time: Arc<Time>,
    script: Script,
    asked: Arc<Mutex<Vec<u8>>>,
    queue: VecDeque<Packet>,
    under_way: Option<(u8, Assembler)>,
    /// Sent whenever nothing else is due.
    babble: Option<Packet>,
    gone_after: Option<usize>,
    /// So many INITs go unheard.
    deaf_to_init: usize,
}

impl Scripted {
    fn heard(&mut self, channel: ChannelId, command: u8, message: &[u8]) {
        self.asked.lock().expect("short").push(command);
        let answers = if command == INIT && self.deaf_to_init > 0 {
            self.deaf_to_init -= 1;
            Vec::new()
        } else if command == INIT {
            // Before ours, what another program's INIT got.
            let mut other = init_answer(&[0xEE; 8], THEIRS);
            other[..4].copy_from_slice(&channel.0);
            let mut ours = init_answer(message, OURS);
            ours[..4].copy_from_slice(&channel.0);
            vec![other, ours]
        } else {
            (self.script)(command, message)
        };
        self.queue.extend(answers);
    }
}

impl PacketDevice for Scripted {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        match self.gone_after.as_mut() {
            Some(0) => return Err(DeviceError::Gone),
            Some(left) => *left -= 1,
            None => {}
        }
        let packet = AnyPacket::read(packet);
        let channel = packet.channel();
        let (command, progress) = match (packet, self.under_way.take()) {
            (AnyPacket::Init(packet), _) => (packet.command, Assembler::start(&packet).expect("our host")),
            (AnyPacket::Next(packet), Some((command, assembler))) => {
                (command, assembler.push(&packet).expect("our host"))
            }
            (AnyPacket::Next(_), None) => panic!("a continuation without a beginning"),
        };
        match progress {
            Progress::Done(message) => self.heard(channel, command, &message),
            Progress::More(assembler) => self.under_way = Some((command, assembler)),
        }
        Ok(())
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        if let Some(packet) = self.queue.pop_front() {
            return Ok(Some(packet));
        }
        self.time.sleep(timeout.max(Duration::from_millis(1)));
        Ok(self.babble)
    }
}

fn init_answer(nonce: &[u8], id: ChannelId) -> Packet {
    let mut message = nonce.to_vec();
    message.extend_from_slice(&id.0);
    message.extend_from_slice(&[2, 5, 7, 1, 0x05]);
    one(ChannelId::BROADCAST, INIT, &message)
}

fn one(channel: ChannelId, command: u8, message: &[u8]) -> Packet {
    split(channel, command, message).expect("short")[0]
}

struct Stage {
    channel: Channel<Scripted>,
    time: Arc<Time>,
    asked: Arc<Mutex<Vec<u8>>>,
}

fn stage(script: impl FnMut(u8, &[u8]) -> Vec<Packet> + Send + 'static) -> Stage {
    let time = Arc::new(Time::default());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let device = Scripted {
        time: time.clone(),
        script: Box::new(script),
        asked: asked.clone(),
        queue: VecDeque::new(),
        under_way: None,
        babble: None,
        gone_after: None,
        deaf_to_init: 0,
    };
    let channel = Channel::open(device, time.clone(), Arc::new(Counting::default()), Limits::default()).expect("opens");
    assert_eq!(channel.id, OURS);
    asked.lock().expect("short").clear();
    Stage { channel, time, asked }
}

impl Stage {
    fn call(&mut self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.channel.exchange(Kind::Cbor, message, Patience::Person, &mut Unwatched)
    }
    fn asked(&self) -> Vec<u8> {
        std::mem::take(&mut self.asked.lock().expect("short"))
    }
}

fn long_answer() -> Vec<Packet> {
    split(OURS, CBOR, &[0x5A; 150]).expect("short")
}

#[test]
fn the_key_tells_what_it_can() {
    let stage = stage(|_, _| Vec::new());
    let hello = stage.channel.hello();
    assert_eq!((hello.protocol, hello.device_version), (2, [5, 7, 1]));
    assert!(hello.can_wink() && hello.has_cbor() && hello.has_u2f());
}

#[test]
fn packets_of_others_are_skipped() {
    let mut stage = stage(|_, _| {
        let mut answer = vec![one(THEIRS, CBOR, b"not ours"), one(THEIRS, ERROR, &[0x04])];
        for packet in long_answer() {
            answer.push(packet);
            answer.push(split(THEIRS, CBOR, &[0; 150]).expect("short")[2]);
        }
        answer
    });
    assert_eq!(*stage.call(b"ask").expect("answered"), [0x5A; 150]);
}

#[test]
fn a_wrong_sequence_is_noticed_and_mended() {
    let mut first = true;
    let mut stage = stage(move |_, _| {
        let mut answer = long_answer();
        if std::mem::take(&mut first) {
            answer.swap(1, 2);
        }
        answer
    });
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Garbled(_))));
    // The key was told to forget it at once.
    assert_eq!(stage.asked(), [CBOR, INIT]);
    assert_eq!(*stage.call(b"ask").expect("answered"), [0x5A; 150]);
}

#[test]
fn a_second_beginning_is_garbled() {
    let mut stage = stage(|_, _| vec![long_answer()[0], long_answer()[0]]);
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Garbled(_))));
    // As is a length beyond CTAPHID's.
    let mut stage = self::stage(|_, _| {
        let mut packet = long_answer()[0];
        packet[5] = 0xFF;
        vec![packet]
    });
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Garbled(_))));
}

#[test]
fn a_busy_key_is_asked_again() {
    let mut left = 3;
    let mut stage = stage(move |_, _| {
        left -= 1;
        vec![if left > 0 { one(OURS, ERROR, &[0x06]) } else { one(OURS, CBOR, &[0]) }]
    });
    assert_eq!(*stage.call(b"ask").expect("answered"), [0]);
    assert_eq!(stage.asked(), [CBOR; 3]);
    assert_eq!(stage.time.monotonic(), Duration::from_millis(200));
    // But not for ever.
    let mut stage = self::stage(|_, _| vec![one(OURS, ERROR, &[0x06])]);
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Hid(HidError::Busy))));
    assert!(stage.time.monotonic() < Duration::from_secs(70));
}

#[test]
fn a_message_that_came_too_slowly_is_sent_again() {
    let mut left = 3;
    let mut stage = stage(move |command, _| {
        if command != CBOR {
            return Vec::new();
        }
        left -= 1;
        vec![if left > 0 { one(OURS, ERROR, &[0x05]) } else { one(OURS, CBOR, &[0]) }]
    });
    assert_eq!(*stage.call(b"ask").expect("answered"), [0]);
    assert_eq!(stage.asked(), [CBOR, INIT, CBOR, INIT, CBOR]);
    // But not for ever; and what was never whole at the key was never done.
    let mut stage =
        self::stage(|command, _| if command == CBOR { vec![one(OURS, ERROR, &[0x05])] } else { Vec::new() });
    let error = stage.call(b"ask").expect_err("too slow");
    assert!(matches!(error, TransportError::Hid(HidError::Timeout)) && error.surely_undone(), "{error}");
    assert_eq!(stage.asked().iter().filter(|command| **command == CBOR).count(), 4);
}

#[test]
fn errors_are_typed() {
    let mut stage = stage(|_, _| vec![one(OURS, ERROR, &[0x01])]);
    let error = stage.call(b"ask").expect_err("refused");
    assert!(matches!(error, TransportError::Hid(HidError::InvalidCommand)) && error.surely_undone());
    assert_eq!(stage.asked(), [CBOR]);
    // A lost channel is got anew, and the message sent again: the key never had it.
    let mut first = true;
    let mut stage = self::stage(move |_, _| {
        vec![if std::mem::take(&mut first) { one(OURS, ERROR, &[0x0B]) } else { one(OURS, CBOR, &[0]) }]
    });
    assert_eq!(*stage.call(b"ask").expect("answered"), [0]);
    assert_eq!(stage.asked(), [CBOR, INIT, CBOR]);
}

#[test]
fn keepalives_are_told_once_a_change() {
    let mut stage = stage(|_, _| {
        let mut answer: Vec<_> = [1, 1, 2, 2, 2, 9, 1].iter().map(|code| one(OURS, KEEPALIVE, &[*code])).collect();
        // An empty one says nothing and harms nothing.
        answer.push(one(OURS, KEEPALIVE, &[]));
        answer.extend(long_answer());
        answer
    });
    let mut seen = Vec::new();
    let mut watch = Watching::new(Arc::new(AtomicBool::new(false)), |keepalive| seen.push(keepalive));
    stage.channel.exchange(Kind::Cbor, b"ask", Patience::Person, &mut watch).expect("answered");
    use Keepalive::{Other, Processing, TouchNeeded};
    assert_eq!(seen, [Processing, TouchNeeded, Other(9), Processing]);
}

#[test]
fn endless_keepalives_end() {
    // The key stops when it is told to.
    let mut stage = stage(|command, _| if command == CANCEL { vec![one(OURS, CBOR, &[0x2D])] } else { Vec::new() });
    stage.channel.device.babble = Some(one(OURS, KEEPALIVE, &[2]));
    let error = stage.call(b"ask").expect_err("never ends");
    assert!(matches!(error, TransportError::Deadline { confirmed: true, .. }), "{error}");
    assert_eq!(stage.asked(), [CBOR, CANCEL]);
    assert!((65..68).contains(&stage.time.monotonic().as_secs()));

    // This one does not, and babbles over INIT as well.
    let mut stage = self::stage(|_, _| Vec::new());
    stage.channel.device.babble = Some(one(OURS, KEEPALIVE, &[2]));
    let error = stage.call(b"ask").expect_err("never ends");
    assert!(matches!(error, TransportError::Deadline { confirmed: false, .. }) && !error.surely_undone());
    assert_eq!(stage.asked()[..3], [CBOR, CANCEL, INIT]);
    assert!(stage.time.monotonic().as_secs() < 70);
}

#[test]
fn a_silent_key_is_given_up() {
    let mut stage = stage(|_, _| Vec::new());
    let error = stage.call(b"ask").expect_err("silent");
    assert!(matches!(error, TransportError::Silent { .. }) && !error.surely_undone());
    assert_eq!(stage.time.monotonic(), Duration::from_secs(5));
    // Another program's chatter does not count as a sign of life.
    let mut stage = self::stage(|_, _| Vec::new());
    stage.channel.device.babble = Some(one(THEIRS, KEEPALIVE, &[2]));
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Silent { .. })));
    // Nor does half an answer that never goes on.
    let mut stage = self::stage(|_, _| long_answer()[..2].to_vec());
    assert!(matches!(stage.call(b"ask"), Err(TransportError::Silent { .. })));
}

/// Wants to stop from the start.
fn stop_now() -> Watching<impl FnMut(Keepalive)> {
    Watching::new(Arc::new(AtomicBool::new(true)), |_| {})
}

#[test]
fn cancel_reads_on_to_the_answer() {
    let mut stage = stage(|command, _| if command == CANCEL { vec![one(OURS, CBOR, &[0x2D])] } else { Vec::new() });
    let error = stage.channel.exchange(Kind::Cbor, b"ask", Patience::Person, &mut stop_now()).expect_err("stopped");
    assert!(matches!(error, TransportError::Cancelled { confirmed: true }) && error.surely_undone());
    assert_eq!(stage.asked(), [CBOR, CANCEL]);
    // In step: the next message needs no INIT.
    let _ = stage.channel.exchange(Kind::Cbor, b"ask", Patience::Person, &mut stop_now());
    assert_eq!(stage.asked(), [CBOR, CANCEL]);
}

#[test]
fn a_touch_that_came_first_counts() {
    let mut stage =
        stage(|command, _| if command == CANCEL { vec![one(OURS, CBOR, &[0x00, 0xA0])] } else { Vec::new() });
    let answer = stage.channel.exchange(Kind::Cbor, b"ask", Patience::Person, &mut stop_now()).expect("made");
    assert_eq!(*answer, [0x00, 0xA0]);
}

#[test]
fn a_key_that_ignores_cancel_is_brought_back_by_init() {
    let mut stage = stage(|_, _| Vec::new());
    let error = stage.channel.exchange(Kind::Cbor, b"ask", Patience::Person, &mut stop_now()).expect_err("stopped");
    assert!(matches!(error, TransportError::Cancelled { confirmed: false }) && !error.surely_undone());
    assert_eq!(stage.asked(), [CBOR, CANCEL, INIT]);
    assert_eq!(stage.time.monotonic(), Duration::from_secs(2));
}

#[test]
fn a_key_that_is_pulled_is_gone_at_any_packet() {
    for packets in 0..4 {
        let mut stage = stage(|_, _| vec![one(OURS, CBOR, &[0])]);
        stage.channel.device.gone_after = Some(packets);
        let outcome = stage.call(&[0; 57 + 2 * 59]);
        assert_eq!(outcome.as_ref().err().is_some_and(TransportError::is_gone), packets < 3, "{packets}");
    }
}

#[test]
fn too_long_is_said_before_anything_is_sent() {
    let mut stage = stage(|_, _| Vec::new());
    stage.channel.set_max_message(1024);
    assert!(matches!(stage.call(&[0; 1025]), Err(TransportError::TooLong { length: 1025, max: 1024 })));
    assert!(stage.asked().is_empty());
}

#[test]
fn a_lost_init_is_asked_again() {
    let mut stage = stage(|_, _| vec![one(OURS, CBOR, &[0])]);
    stage.channel.device.deaf_to_init = 2;
    stage.channel.resynchronise().expect("the third is heard");
    assert_eq!(stage.asked(), [INIT, INIT, INIT]);
    // A key that never answers is given up on both channels.
    stage.channel.device.deaf_to_init = usize::MAX;
    let started = stage.time.monotonic();
    assert!(matches!(stage.channel.resynchronise(), Err(TransportError::Silent { .. })));
    assert_eq!((stage.time.monotonic() - started).as_secs(), 10);
}

/// A key that blinks, says so every 100 ms and is touched after some time; how often whoever waits for it is woken.
struct Blinking {
    time: Arc<Time>,
    woken: Arc<AtomicU64>,
    touched_at: u64,
    /// When it says something next.
    next: u64,
    asked: bool,
    /// Another program's reports come in between.
    beside: Option<ChannelId>,
}

impl PacketDevice for Blinking {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        self.asked = matches!(AnyPacket::read(packet), AnyPacket::Init(packet) if packet.command != INIT);
        self.next = self.time.0.load(Ordering::Relaxed) + if self.asked { 100 } else { 0 };
        Ok(())
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let (now, patience) = (self.time.0.load(Ordering::Relaxed), u64::try_from(timeout.as_millis()).expect("short"));
        if self.next > now {
            self.woken.fetch_add(u64::from(patience > 0), Ordering::Relaxed);
            self.time.sleep(Duration::from_millis(patience.min(self.next - now)));
        }
        let at = self.next;
        if at > self.time.0.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.next += 100;
        Ok(Some(match self.beside.take() {
            Some(other) => one(other, CBOR, &[0]),
            None if at >= self.touched_at => one(OURS, CBOR, &[0, 0xA0]),
            None => one(OURS, KEEPALIVE, &[2]),
        }))
    }
}

/// Whoever looks on is away, or is not.
struct Away(bool);

impl Watcher for Away {
    fn saw(&mut self, _: Keepalive) {}
    fn may_rest(&self) -> bool {
        self.0
    }
}

/// How often it wakes us in ten seconds of blinking, and how long after the touch that is seen.
fn waking(away: bool, beside: Option<ChannelId>) -> (u64, u64) {
    const TOUCHED: u64 = 10_120;
    let (time, woken) = (Arc::<Time>::default(), Arc::<AtomicU64>::default());
    let device = Blinking {
        time: Arc::clone(&time),
        woken: Arc::clone(&woken),
        touched_at: TOUCHED,
        next: 0,
        asked: false,
        beside,
    };
    let slept = Arc::new(Sleeps { time: Arc::clone(&time), woken: Arc::clone(&woken) });
    let mut channel = Channel {
        device,
        clock: slept,
        entropy: Arc::new(Counting::default()),
        limits: Limits::default(),
        id: OURS,
        hello: Hello { protocol: 2, device_version: [5, 7, 1], capabilities: 5 },
        max_message: MAX_MESSAGE,
        in_step: true,
    };
    let answer = channel.exchange(Kind::Cbor, &[1], Patience::Person, &mut Away(away)).expect("touched");
    assert_eq!(*answer, [0, 0xA0]);
    (woken.load(Ordering::Relaxed), time.0.load(Ordering::Relaxed) - TOUCHED)
}

/// The same time; a sleep wakes too.
struct Sleeps {
    time: Arc<Time>,
    woken: Arc<AtomicU64>,
}

impl Clock for Sleeps {
    fn now(&self) -> jiff::Timestamp {
        self.time.now()
    }
    fn monotonic(&self) -> Duration {
        self.time.monotonic()
    }
    fn sleep(&self, time: Duration) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        self.time.sleep(time);
    }
}

#[test]
fn a_key_that_waits_for_nobody_wakes_us_twice_a_second() {
    let (watched, seen_after) = waking(false, None);
    assert!(watched >= 100, "every word of it is heard: {watched}");
    assert!(seen_after <= 100, "and the touch at once: {seen_after} ms");
    let (away, seen_after) = waking(true, None);
    assert!(away <= 22, "it is looked at every half second: {away}");
    assert!(seen_after <= 500, "a touch is seen at the next look: {seen_after} ms");
    let (beside, _) = waking(true, Some(THEIRS));
    assert_eq!(beside, watched, "who shares the key with others reads everything that comes");
}
