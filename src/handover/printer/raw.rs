//! Port 9100: bytes in, no answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::{Kind, PrinterError};

const PATIENCE: Duration = Duration::from_secs(30);

/// Printers of several languages are told which one comes (HP PJL Technical Reference, "Kernel Commands").
const PDF_BEFORE: &[u8] = b"\x1b%-12345X@PJL\r\n@PJL ENTER LANGUAGE=PDF\r\n";
const PDF_AFTER: &[u8] = b"\x1b%-12345X";

pub(super) fn print(host: &str, port: u16, kind: Kind, document: &[u8]) -> Result<(), PrinterError> {
    let unreachable = |begun| {
        move |error: std::io::Error| PrinterError::Unreachable {
            printer: format!("raw://{host}:{port}"),
            why: error.to_string(),
            begun,
        }
    };
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    let mut stream = None;
    for address in (plain, port).to_socket_addrs().map_err(unreachable(false))? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(open) => {
                stream = Some(open);
                break;
            }
            Err(error) => last = error,
        }
    }
    let Some(mut stream) = stream else { return Err(unreachable(false)(last)) };
    let send = |stream: &mut TcpStream| {
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let (before, after): (&[u8], &[u8]) = match kind {
            Kind::Pdf => (PDF_BEFORE, PDF_AFTER),
            Kind::Zpl => (b"", b""),
        };
        stream.write_all(before)?;
        stream.write_all(document)?;
        stream.write_all(after)?;
        stream.flush()?;
        stream.shutdown(Shutdown::Write)
    };
    send(&mut stream).map_err(unreachable(true))?;
    // The printer closes when it has everything. One that stays silent has all the same taken it.
    let _ = stream.read(&mut [0; 64]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_document_arrives_as_it_is() {
        for (kind, wanted) in
            [(Kind::Zpl, b"^XA^XZ".to_vec()), (Kind::Pdf, [PDF_BEFORE, b"^XA^XZ", PDF_AFTER].concat())]
        {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let printer = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut got = Vec::new();
                stream.read_to_end(&mut got).expect("a document");
                got
            });
            print("127.0.0.1", port, kind, b"^XA^XZ").expect("printed");
            assert_eq!(printer.join().expect("no panic"), wanted);
        }
    }

    #[test]
    fn a_printer_that_is_not_there_got_nothing() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("an address").port()
        };
        let error = print("127.0.0.1", port, Kind::Zpl, b"x").expect_err("nobody listens");
        assert!(matches!(error, PrinterError::Unreachable { begun: false, .. }), "{error:?}");
    }
}
