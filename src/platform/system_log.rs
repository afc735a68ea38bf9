//! The system's own log: syslog, or the Windows Event Log. A ledger's head that stands there, too, stands where whoever can write the
//! ledger may not be able to write.
//!
//! On Unix a message goes as one datagram to the local log's socket, in the form that the C library's syslog(3) uses there
//! (RFC 3164 without a host name; systemd's journal and rsyslog take it so): no C library and no open port. On Windows it goes
//! through `eventcreate.exe`, a part of Windows, because writing an event ourselves would take `unsafe` code or a crate for one
//! call; it needs the rights of an administrator, which a bench has there anyway. On macOS the socket is kept for old programs; its
//! log may show such messages late or filter them.
//!
//! A message holds nothing secret: it is an argument of a program on Windows.

use std::io;

/// Under which name we log.
const NAME: &str = "keybench";

/// Writes one line to the system's log.
///
/// # Errors
/// When there is no log that takes it.
pub fn tell(text: &str) -> io::Result<()> {
    system::tell(text)
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::time::Duration;

    use super::NAME;

    /// Where local logs listen: Linux, macOS, the BSDs.
    const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

    /// Facility authpriv (10), severity notice (5).
    const PRIORITY: u8 = 10 * 8 + 5;

    pub(super) fn tell(text: &str) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no log socket");
        for socket in SOCKETS.iter().map(Path::new).filter(|socket| socket.exists()) {
            match send(socket, &message(text, &jiff::Zoned::now())) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn send(socket: &Path, message: &str) -> io::Result<()> {
        let ours = UnixDatagram::unbound()?;
        // A log that does not read must not hold up a bench.
        ours.set_write_timeout(Some(Duration::from_secs(1)))?;
        ours.connect(socket)?;
        ours.send(message.as_bytes()).map(drop)
    }

    /// One line: `<85>Nov 28 13:52:54 keybench[4711]: text`.
    pub(super) fn message(text: &str, now: &jiff::Zoned) -> String {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("<{PRIORITY}>{} {NAME}[{}]: {line}", now.strftime("%b %e %H:%M:%S"), std::process::id())
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::process::{Command, Stdio};

    use super::NAME;

    pub(super) fn tell(text: &str) -> io::Result<()> {
        // By its full path, so that nobody's own program of that name is run.
        let root = std::env::var_os("SystemRoot").unwrap_or_else(|| "C:\\Windows".into());
        let program = std::path::Path::new(&root).join("System32").join("eventcreate.exe");
        let line: String = text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let status = Command::new(program)
            .args(["/L", "APPLICATION", "/T", "INFORMATION", "/SO", NAME, "/ID", "100", "/D", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("eventcreate ended with {status}"))) }
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use std::io;

    pub(super) fn tell(_text: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "no log of this system is known"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::system::{message, send};

    #[test]
    fn a_line_is_one_datagram_in_the_form_that_local_logs_take() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("log");
        let log = UnixDatagram::bind(&socket).expect("a log");
        let now = "2026-11-08T09:05:07[UTC]".parse().expect("a time");
        let text = message("head 412:5b1c09ae77d0f3e2\nafter a run", &now);
        send(&socket, &text).expect("sent");
        let mut bytes = [0; 300];
        let length = log.recv(&mut bytes).expect("received");
        let got = std::str::from_utf8(&bytes[..length]).expect("text");
        let wanted =
            format!("<85>Nov  8 09:05:07 keybench[{}]: head 412:5b1c09ae77d0f3e2 after a run", std::process::id());
        assert_eq!(got, wanted);
        assert!(send(&directory.path().join("nobody"), &text).is_err());
    }
}
