//! What the program says about its own working, for whoever looks into a fault.
//!
//! Promise: only our own events are shown, and none holds a secret; the libraries below (HTTP, TLS) can't be switched on, for
//! their debug output holds tokens. Raw traffic with keys goes to a file that the operator names, private from its first byte;
//! `ctap2::hid::transcript` blanks PINs and tokens before it writes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::platform::private::{self, PrivateError};

/// Environment variable with a level (`info`) or levels by module (`keybench::graph=debug,keybench::ctap2=trace`).
pub const VARIABLE: &str = "KEYBENCH_LOG";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The variable can't be read.
    #[error(
        "KEYBENCH_LOG is not understood: {part:?}. Next: set it to error, warn, info, debug or trace, or to module=level pairs such as keybench::graph=debug"
    )]
    NotUnderstood {
        /// The part in question.
        part: String,
    },
    /// It names something that is not ours.
    #[error(
        "KEYBENCH_LOG can't show {target}: libraries write secrets when they are asked for details. Next: name modules that begin with keybench"
    )]
    NotOurs {
        /// What was named.
        target: String,
    },
    /// Something else is set up already; that is a mistake of the program.
    #[error("logging was set up twice")]
    Twice,
}

/// Sets up logging for the whole program: `variable` is [`VARIABLE`]'s content, `verbose` how often `-v` was given. Without
/// either, warnings and errors are shown. Lines go to what `writer` makes.
///
/// # Errors
/// [`LoggingError`].
pub fn start<W>(variable: Option<&str>, verbose: u8, writer: W) -> Result<(), LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(variable, verbose)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).try_init().map_err(|_| LoggingError::Twice)
}

/// The variable stands over `-v`. The filter starts from "nothing": what is not named is not shown.
fn filter(variable: Option<&str>, verbose: u8) -> Result<EnvFilter, LoggingError> {
    let directives = match variable.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => text.split(',').map(directive).collect::<Result<Vec<_>, _>>()?,
        None => {
            let level = match verbose {
                0 => "warn",
                1 => "info",
                2 => "debug",
                _ => "trace",
            };
            vec![format!("keybench={level}")]
        }
    };
    EnvFilter::builder()
        .with_default_directive(LevelFilter::OFF.into())
        .parse(directives.join(","))
        .map_err(|error| LoggingError::NotUnderstood { part: error.to_string() })
}

fn directive(part: &str) -> Result<String, LoggingError> {
    let part = part.trim();
    let not_understood = || LoggingError::NotUnderstood { part: part.to_owned() };
    let level = |text: &str| text.trim().parse::<LevelFilter>().map_err(|_| not_understood());
    let Some((target, wanted)) = part.split_once('=') else {
        return Ok(format!("keybench={}", level(part)?));
    };
    let (target, wanted) = (target.trim(), level(wanted)?);
    let path = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    if !path(target) {
        return Err(not_understood());
    }
    if target == "keybench" || target.starts_with("keybench::") {
        Ok(format!("{target}={wanted}"))
    } else {
        Err(LoggingError::NotOurs { target: target.to_owned() })
    }
}

/// Opens the file for raw traffic, to write at its end; makes it when it is missing. Nobody else can read it.
///
/// # Errors
/// [`PrivateError`]; one that others may read is refused.
pub fn traffic_file(path: &Path) -> Result<File, PrivateError> {
    let mut file = private::append_private(path)?;
    let head = format!("# keybench {} traffic record, secrets blanked\n", env!("CARGO_PKG_VERSION"));
    file.write_all(head.as_bytes()).map_err(|error| PrivateError::io("writing", path, error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(variable: Option<&str>, verbose: u8) -> String {
        let seen = Seen::default();
        let writer = seen.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(variable, verbose).expect("valid"))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "hyper::proto", "authorization: bearer");
            tracing::error!(target: "keybench::graph", "graph-error");
            tracing::info!(target: "keybench::graph", "graph-info");
            tracing::info!(target: "keybench::ctap2", "ctap2-info");
        });
        let bytes = seen.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn only_our_own_events_are_shown() {
        for (variable, verbose) in [(None, 0), (None, 9), (Some("trace"), 0), (Some("keybench=trace"), 0)] {
            let shown = shown(variable, verbose);
            assert!(shown.contains("graph-error") && !shown.contains("bearer"), "{variable:?}: {shown}");
        }
    }

    #[test]
    fn levels() {
        assert!(!shown(None, 0).contains("graph-info"));
        assert!(shown(None, 1).contains("graph-info"));
        assert!(!shown(Some("warn"), 3).contains("graph-info"), "the variable stands over -v");
        let one = shown(Some("keybench::graph=info"), 0);
        assert!(one.contains("graph-info") && !one.contains("ctap2-info"), "{one}");
        assert_eq!(shown(Some("off"), 0), "");
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for bad in ["hyper=debug", "debug,reqwest=trace", "keybenchmark=debug"] {
            assert!(matches!(filter(Some(bad), 0), Err(LoggingError::NotOurs { .. })), "{bad}");
        }
        for bad in ["loud", "keybench=loud", "[span]=debug", "keybench[{pin}]=trace"] {
            assert!(matches!(filter(Some(bad), 0), Err(LoggingError::NotUnderstood { .. })), "{bad}");
        }
    }

    #[test]
    fn the_traffic_file_is_private_and_grows() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("traffic");
        drop(traffic_file(&path).expect("makes"));
        drop(traffic_file(&path).expect("opens again"));
        private::check_private(&path).expect("private");
        assert_eq!(std::fs::read_to_string(&path).expect("reads").lines().count(), 2);
    }
}
