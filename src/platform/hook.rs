//! A command of the organisation's own that is handed a secret on its stdin.
//!
//! Promise: the secret is in no argument and no environment variable; the command inherits of our environment only what
//! programs need to start. Exception: what the command does with it is its own affair.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// What a program needs to start and to find its own settings; nothing of ours.
const INHERITED: &[&str] = &["PATH", "HOME", "LANG", "TZ", "SystemRoot", "USERPROFILE", "APPDATA", "TEMP", "TMPDIR"];

/// Runs it, writes `input` to its stdin, and waits. What it prints is dropped on stdout and passed through on stderr.
///
/// # Errors
/// When it can't be started or fed, or ends with another code than 0.
pub fn run(command: &[String], input: &[u8]) -> io::Result<()> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command is set"))?;
    let mut child = Command::new(program);
    child.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null());
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            child.env(name, value);
        }
    }
    let mut child = child.spawn()?;
    let fed = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(input),
        None => Err(io::Error::new(io::ErrorKind::BrokenPipe, "it has no stdin")),
    };
    let status = child.wait()?;
    fed?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn it_reads_its_stdin_and_has_nothing_of_our_environment() {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("out");
        let script = format!("cat > {0}; env >> {0}", out.display());
        run(&["sh".into(), "-c".into(), script], b"secret\n").expect("ran");
        let text = std::fs::read_to_string(&out).expect("written");
        assert!(text.starts_with("secret\n"), "{text}");
        // Of this process's variables it has those alone that it may have; the shell makes some of its own.
        let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
        let has = |name: &str| text.lines().any(|line| line.split_once('=').is_some_and(|(found, _)| found == name));
        let not_for_it = std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| !INHERITED.contains(&name.as_str()) && !of_the_shell.contains(&name.as_str()));
        for name in not_for_it {
            assert!(!has(&name), "{name} in {text}");
        }
        assert!(has("PATH"), "{text}");
    }

    #[test]
    fn what_fails_is_told() {
        assert!(run(&[], b"x").is_err());
        assert!(run(&["/no/such/program".into()], b"x").is_err());
        let failed = run(&["sh".into(), "-c".into(), "cat >/dev/null; exit 3".into()], b"x").expect_err("failed");
        assert!(failed.to_string().contains('3'), "{failed}");
    }
}
