//! For the tests of this module: a clock that is moved by hand, and a scripted HTTP server on loopback.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::world::Clock;

/// Sleeping moves it on at once.
#[derive(Debug)]
pub(super) struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    pub fn new() -> Self {
        // 2026-11-21T01:00:00Z
        Self(Mutex::new((Timestamp::from_second(1_795_222_800).expect("a time"), Duration::ZERO)))
    }

    pub fn set_wall(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
    fn sleep(&self, time: Duration) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.0 += time;
        clock.1 += time;
    }
}

/// A JWT with these claims and no real signature.
pub(super) fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub fn form(&self, wanted: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    }
}

/// What the server does with one request.
pub(super) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Promises more bytes than it sends, then closes.
    Cut(String),
    /// Reads the request and says nothing until the client gives up.
    Silence,
}

impl Reply {
    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self::Answer(status, vec![("Content-Type", "application/json".to_owned())], body.to_string())
    }

    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

type Step = Box<dyn Fn(&Seen) -> Reply + Send>;

/// Answers requests with its steps in turn; the last step stays.
pub(super) struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn new(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let steps: Arc<Mutex<VecDeque<Step>>> = Arc::new(Mutex::new(steps.into()));
        let record = Arc::clone(&seen);
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (steps, record) = (Arc::clone(&steps), Arc::clone(&record));
                std::thread::spawn(move || serve(stream, &steps, &record));
            }
        });
        Self { url, seen }
    }

    /// The same answers in turn, whatever is asked.
    pub fn answering(replies: Vec<Reply>) -> Self {
        let one = |reply: Reply| -> Step {
            let reply = Mutex::new(Some(reply));
            Box::new(move |_| {
                reply.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| Reply::status(599))
            })
        };
        Self::new(replies.into_iter().map(one).collect())
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, steps: &Mutex<VecDeque<Step>>, record: &Mutex<Vec<Seen>>) {
    let Some(seen) = read(&stream) else { return };
    let reply = {
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        record.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        if steps.len() > 1 { steps.pop_front().map(|step| step(&seen)) } else { steps.front().map(|step| step(&seen)) }
    };
    let mut stream = stream;
    let _ = match reply {
        Some(Reply::Answer(status, headers, body)) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Some(Reply::Cut(body)) => {
            write!(stream, "HTTP/1.1 200 X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len() + 100)
        }
        Some(Reply::Silence) | None => stream.read(&mut [0u8; 1]).map(|_| ()),
    };
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0u8; length.map_or(0, |(_, length)| length.parse().unwrap_or(0))];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method, target, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
