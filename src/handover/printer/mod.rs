//! Straight to a printer: what is printed is never a file of ours.
//!
//! Promise: a document goes from memory to the printer or to the system's spooler, and nowhere else. What holds PINs goes
//! over a network only encrypted (`ipps`), unless that was asked for in so many words.
//! Exceptions: a spooler keeps its own copy while it prints and some keep it longer (CUPS by its `PreserveJobFiles`); `doctor`
//! looks for those it can see.

mod ipp;
mod raw;
mod windows;

use std::fmt;

use url::Url;

pub use ipp::kept_jobs;

/// Where to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printer {
    /// The Internet Printing Protocol (RFC 8011), e.g. a CUPS queue.
    Ipp {
        /// `ipp://…` or `ipps://…`, as it was written.
        url: Url,
    },
    /// Bytes to a port, as label printers and most office printers take them.
    Raw {
        /// Host name or address.
        host: String,
        /// Usually 9100.
        port: u16,
    },
    /// A printer of Windows, by its name there.
    Windows {
        /// Its name.
        name: String,
    },
}

/// What a printer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PDF.
    Pdf,
    /// Zebra's label language.
    Zpl,
}

impl Kind {
    fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            // A queue that hands bytes on takes this for "as it is".
            Self::Zpl => "application/vnd.cups-raw",
        }
    }
}

/// A printer did not take a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrinterError {
    /// It isn't there, or the connection broke. `begun`: it may have got a part.
    #[error("the printer {printer} can't be reached: {why}")]
    Unreachable {
        /// As it was written.
        printer: String,
        /// The system's reason.
        why: String,
        /// A part of the document may have been sent.
        begun: bool,
    },
    /// It said no.
    #[error("the printer {printer} refused the document: {why}")]
    Refused {
        /// As it was written.
        printer: String,
        /// Its reason.
        why: String,
    },
    /// Windows' printers are found on Windows.
    #[error("{0} is a printer of Windows, and this is another system")]
    NotHere(String),
}

/// A text that names no printer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no printer: write ipp://HOST/printers/NAME, ipps://…, raw://HOST:9100 or windows:NAME")]
pub struct NotAPrinter(pub String);

impl Printer {
    /// Reads `ipp://…`, `ipps://…`, `raw://host[:port]` or `windows:NAME`.
    ///
    /// # Errors
    /// [`NotAPrinter`].
    pub fn parse(text: &str) -> Result<Self, NotAPrinter> {
        let wrong = || NotAPrinter(text.to_owned());
        let text = text.trim();
        if let Some(name) = text.strip_prefix("windows:").map(str::trim) {
            return if name.is_empty() { Err(wrong()) } else { Ok(Self::Windows { name: name.to_owned() }) };
        }
        let url = Url::parse(text).map_err(|_| wrong())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
        // Names and passwords would stand in the settings and on the command line.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        match url.scheme() {
            "ipp" | "ipps" => Ok(Self::Ipp { url }),
            "raw" | "socket" => Ok(Self::Raw { host, port: url.port().unwrap_or(9100) }),
            _ => Err(wrong()),
        }
    }

    /// Whether the way there can be listened to: neither encrypted nor inside this machine.
    pub fn is_exposed(&self) -> bool {
        let local = |host: &str| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        match self {
            Self::Ipp { url } => url.scheme() != "ipps" && !url.host_str().is_some_and(local),
            Self::Raw { host, .. } => !local(host),
            // Where Windows sends it is Windows' affair; its own protocol is what the organisation set up.
            Self::Windows { .. } => false,
        }
    }

    /// A word for the ledger: how, without where.
    pub fn way(&self) -> &'static str {
        match self {
            Self::Ipp { url } if url.scheme() == "ipps" => "ipps",
            Self::Ipp { .. } => "ipp",
            Self::Raw { .. } => "raw",
            Self::Windows { .. } => "windows",
        }
    }

    /// Hands a document over and returns when the printer or its spooler has taken all of it. `name` is what the queue
    /// shows; it must name nobody.
    ///
    /// # Errors
    /// [`PrinterError`].
    pub fn print(&self, kind: Kind, name: &str, document: &[u8]) -> Result<(), PrinterError> {
        match self {
            Self::Ipp { url } => ipp::print(url, kind, name, document),
            Self::Raw { host, port } => raw::print(host, *port, kind, document),
            Self::Windows { name: printer } => windows::print(printer, name, document),
        }
    }
}

impl fmt::Display for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipp { url } => f.write_str(url.as_str()),
            Self::Raw { host, port } => write!(f, "raw://{host}:{port}"),
            Self::Windows { name } => write!(f, "windows:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printers_are_named_in_three_ways() {
        for (text, way, exposed) in [
            ("ipp://localhost:631/printers/letters", "ipp", false),
            ("ipp://127.0.0.1/printers/letters", "ipp", false),
            ("ipp://print.contoso.example/ipp/print", "ipp", true),
            ("ipps://print.contoso.example/ipp/print", "ipps", false),
            ("raw://10.0.0.7", "raw", true),
            ("raw://[::1]:9101", "raw", false),
            ("windows:HP LaserJet 4", "windows", false),
        ] {
            let printer = Printer::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((printer.way(), printer.is_exposed()), (way, exposed), "{text}");
            assert_eq!(Printer::parse(&printer.to_string()), Ok(printer));
        }
        for text in ["", "laser", "http://x/", "windows:", "ipp://", "ipp://kim:secret@x/"] {
            assert!(Printer::parse(text).is_err(), "{text}");
        }
    }
}
