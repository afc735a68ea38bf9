//! The Internet Printing Protocol, as much of it as a print job takes: Print-Job and Get-Jobs (RFC 8011 §4.2.1, §4.2.6),
//! encoded as RFC 8010 §3 says.

use std::time::Duration;

use url::Url;

use super::{Kind, PrinterError};

const PRINT_JOB: u16 = 0x0002;
const GET_JOBS: u16 = 0x000a;

const OPERATION_GROUP: u8 = 0x01;
const JOB_GROUP: u8 = 0x02;
const END: u8 = 0x03;

const INTEGER: u8 = 0x21;
const NAME: u8 = 0x42;
const KEYWORD: u8 = 0x44;
const URI: u8 = 0x45;
const CHARSET: u8 = 0x47;
const LANGUAGE: u8 = 0x48;
const MIME: u8 = 0x49;

/// An answer longer than this is not read.
const LONGEST_ANSWER: u64 = 1 << 20;

struct Request(Vec<u8>);

impl Request {
    fn new(operation: u16, printer: &Url) -> Self {
        // Version 1.1, which every printer knows; request 1.
        let mut bytes = vec![1, 1];
        bytes.extend(operation.to_be_bytes());
        bytes.extend(1_u32.to_be_bytes());
        bytes.push(OPERATION_GROUP);
        let mut request = Self(bytes);
        request.attribute(CHARSET, "attributes-charset", b"utf-8");
        request.attribute(LANGUAGE, "attributes-natural-language", b"en");
        request.attribute(URI, "printer-uri", printer.as_str().as_bytes());
        request.attribute(NAME, "requesting-user-name", b"keybench");
        request
    }

    /// Names and values have lengths of two bytes; ours are far shorter.
    fn attribute(&mut self, tag: u8, name: &str, value: &[u8]) {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        self.0.push(tag);
        self.0.extend(length(name.as_bytes()));
        self.0.extend(name.as_bytes());
        self.0.extend(length(value));
        self.0.extend(value);
    }
}

/// What a printer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Group, name, value; a further value of an attribute has its name again.
    attributes: Vec<(u8, String, Vec<u8>)>,
}

/// Takes an answer apart (RFC 8010 §3.1). `None` for anything that is none.
fn read(bytes: &[u8]) -> Option<Answer> {
    let (head, mut rest) = bytes.split_at_checked(8)?;
    let status = u16::from_be_bytes([*head.get(2)?, *head.get(3)?]);
    let mut attributes: Vec<(u8, String, Vec<u8>)> = Vec::new();
    let mut group = 0;
    loop {
        let (tag, after) = rest.split_first()?;
        rest = after;
        match *tag {
            END => return Some(Answer { status, attributes }),
            delimiter if delimiter < 0x10 => group = delimiter,
            _ => {
                let name = part(&mut rest)?;
                let value = part(&mut rest)?;
                let name = match attributes.last() {
                    Some((_, last, _)) if name.is_empty() => last.clone(),
                    _ => String::from_utf8_lossy(name).into_owned(),
                };
                attributes.push((group, name, value.to_vec()));
            }
        }
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes([*length.first()?, *length.get(1)?]));
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

impl Answer {
    fn text(&self, name: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|(_, attribute, _)| attribute == name)
            .map(|(_, _, value)| String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(200).collect())
    }

    /// RFC 8011 §B.1.2: below 0x0100 all is well.
    fn is_success(&self) -> bool {
        self.status < 0x0100
    }

    fn why(&self) -> String {
        let said = self.text("detailed-status-message").or_else(|| self.text("status-message"));
        let meaning = match self.status {
            0x0400 => "the request is bad",
            0x0401 => "it is forbidden",
            0x0402 => "it wants a name and a password",
            0x0403 => "this account may not print there",
            0x0406 => "there is no such printer",
            0x040a => "it doesn't take this kind of document",
            0x0503 => "it can't print just now",
            0x0506 => "it takes no jobs",
            0x0507 => "it is busy",
            _ => "it gave no reason",
        };
        format!("{} (IPP status 0x{:04x})", said.as_deref().unwrap_or(meaning), self.status)
    }
}

fn ask(printer: &Url, request: Request, document: &[u8]) -> Result<Answer, PrinterError> {
    let unreachable = |why: String, begun| PrinterError::Unreachable { printer: printer.to_string(), why, begun };
    // RFC 8010 §4: over HTTP POST, port 631; RFC 7472 the same with TLS.
    let scheme = if printer.scheme() == "ipps" { "https" } else { "http" };
    let http = format!(
        "{scheme}://{}:{}{}",
        printer.host_str().unwrap_or_default(),
        printer.port().unwrap_or(631),
        printer.path()
    );
    // The first of the process stays; a second one changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(15))
        .timeout(Duration::from_secs(300))
        .build()
        .map_err(|error| unreachable(error.to_string(), false))?;
    let mut body = request.0;
    body.reserve_exact(document.len());
    body.extend_from_slice(document);
    let answer = client
        .post(http)
        .header("Content-Type", "application/ipp")
        .body(body)
        .send()
        .map_err(|error| unreachable(causes(&error), !error.is_connect()))?;
    let status = answer.status();
    if !status.is_success() {
        let why = match status.as_u16() {
            401 => "it wants a name and a password".to_owned(),
            426 => "it takes encrypted jobs only: write ipps:// for ipp://".to_owned(),
            code => format!("HTTP status {code}"),
        };
        return Err(PrinterError::Refused { printer: printer.to_string(), why });
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(answer, LONGEST_ANSWER), &mut bytes)
        .map_err(|error| unreachable(error.to_string(), true))?;
    read(&bytes).ok_or_else(|| unreachable("what answers there is no printer".into(), true))
}

/// An error with what caused it: the last cause is the one that helps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

pub(super) fn print(printer: &Url, kind: Kind, name: &str, document: &[u8]) -> Result<(), PrinterError> {
    let mut request = Request::new(PRINT_JOB, printer);
    request.attribute(NAME, "job-name", name.as_bytes());
    request.attribute(MIME, "document-format", kind.media_type().as_bytes());
    request.0.push(JOB_GROUP);
    if kind == Kind::Pdf {
        // A letter's sheets are not each other's backs, and are printed as large as they are.
        request.attribute(KEYWORD, "sides", b"one-sided");
        request.attribute(KEYWORD, "print-scaling", b"none");
    }
    request.0.push(END);
    let answer = ask(printer, request, document)?;
    if answer.is_success() {
        Ok(())
    } else {
        Err(PrinterError::Refused { printer: printer.to_string(), why: answer.why() })
    }
}

/// Jobs of ours that a printer's queue still knows, finished ones too: their names. A spooler that knows a finished job may
/// still have its document.
///
/// # Errors
/// [`PrinterError`].
pub fn kept_jobs(printer: &Url, ours: &str) -> Result<Vec<String>, PrinterError> {
    let mut kept = Vec::new();
    for which in ["not-completed", "completed"] {
        let mut request = Request::new(GET_JOBS, printer);
        request.attribute(KEYWORD, "which-jobs", which.as_bytes());
        request.attribute(INTEGER, "limit", &500_i32.to_be_bytes());
        request.attribute(KEYWORD, "requested-attributes", b"job-name");
        request.0.push(END);
        let answer = ask(printer, request, &[])?;
        if !answer.is_success() {
            return Err(PrinterError::Refused { printer: printer.to_string(), why: answer.why() });
        }
        let names = answer.attributes.into_iter().filter(|(group, name, _)| *group == JOB_GROUP && name == "job-name");
        kept.extend(names.map(|(_, _, value)| String::from_utf8_lossy(&value).into_owned()));
    }
    kept.retain(|name| name.starts_with(ours));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A printer that takes one request and answers with these bytes.
    fn printer(answer: Vec<u8>) -> (Url, std::thread::JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = Url::parse(&format!("ipp://{}/printers/letters", listener.local_addr().expect("an address")))
            .expect("a URL");
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            let mut stream = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a line");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            let head_back =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.get_mut().write_all(&[head_back.as_bytes(), &answer].concat()).expect("answered");
            (head, body)
        });
        (url, thread)
    }

    fn answer(status: u16, attributes: &[(u8, &str, &[u8])], group: u8) -> Vec<u8> {
        let mut request = Request(vec![1, 1]);
        request.0.extend(status.to_be_bytes());
        request.0.extend(1_u32.to_be_bytes());
        request.0.push(group);
        for (tag, name, value) in attributes {
            request.attribute(*tag, name, value);
        }
        request.0.push(END);
        request.0
    }

    #[test]
    fn a_document_is_handed_over_with_its_kind() {
        let (url, thread) = printer(answer(0, &[(INTEGER, "job-id", &7_i32.to_be_bytes())], JOB_GROUP));
        print(&url, Kind::Pdf, "keybench letters", b"%PDF-the document").expect("printed");
        let (head, body) = thread.join().expect("no panic");
        assert!(head.starts_with("POST /printers/letters HTTP/1.1"), "{head}");
        let sent = read(&body).expect("a request");
        assert_eq!(sent.status, PRINT_JOB, "the operation stands where the status does");
        assert_eq!(sent.text("document-format").as_deref(), Some("application/pdf"));
        assert_eq!(sent.text("job-name").as_deref(), Some("keybench letters"));
        assert_eq!(sent.text("sides").as_deref(), Some("one-sided"));
        assert!(body.ends_with(b"%PDF-the document"));
    }

    #[test]
    fn a_refusal_has_the_printers_reason() {
        let (url, _thread) = printer(answer(0x040a, &[(0x41, "status-message", b"no PDF here")], OPERATION_GROUP));
        let error = print(&url, Kind::Pdf, "n", b"%PDF").expect_err("refused");
        assert_eq!(
            error,
            PrinterError::Refused { printer: url.to_string(), why: "no PDF here (IPP status 0x040a)".into() }
        );
    }

    #[test]
    fn what_is_no_printer_is_told() {
        let (url, _thread) = printer(b"<html>".to_vec());
        let error = print(&url, Kind::Pdf, "n", b"%PDF").expect_err("no printer");
        assert!(matches!(error, PrinterError::Unreachable { begun: true, .. }), "{error:?}");
    }

    #[test]
    fn damaged_answers_are_read_without_panic() {
        let whole = answer(0, &[(NAME, "job-name", b"x"), (NAME, "", b"y")], JOB_GROUP);
        assert_eq!(read(&whole).map(|answer| answer.attributes.len()), Some(2));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            let _ = read(&broken);
        }
    }
}
