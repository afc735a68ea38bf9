//! Who runs the bench and on which machine, for the ledger. Names, not proof: the ledger's reader is told who the operating
//! system took the operator for.

use std::process::Command;

/// The operating system's name for this account; `(sudo by …)` is added when it was reached that way.
pub fn operator() -> String {
    let name =
        account().or_else(|| environment(&["USER", "LOGNAME", "USERNAME"])).unwrap_or_else(|| "unknown".to_owned());
    match environment(&["SUDO_USER"]).filter(|before| *before != name) {
        Some(before) => format!("{name} (sudo by {before})"),
        None => name,
    }
}

/// This machine's name, without its domain; the bench's id unless the settings name one.
pub fn host() -> String {
    machine().and_then(|name| clean(name.split('.').next().unwrap_or_default())).unwrap_or_else(|| "bench".to_owned())
}

fn environment(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| clean(&std::env::var(name).ok()?))
}

/// One line, without control characters, not empty, not endless.
fn clean(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(128).collect();
    (!text.is_empty()).then_some(text)
}

fn first_line_of(command: &mut Command) -> Option<String> {
    let answer = command.output().ok().filter(|answer| answer.status.success())?;
    clean(String::from_utf8_lossy(&answer.stdout).lines().next()?)
}

/// `id` asks the directory services too, as reading /etc/passwd would not.
#[cfg(unix)]
fn account() -> Option<String> {
    first_line_of(Command::new("/usr/bin/id").arg("-un"))
}

#[cfg(windows)]
fn account() -> Option<String> {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    first_line_of(&mut Command::new(std::path::Path::new(&root).join("System32").join("whoami.exe")))
}

#[cfg(target_os = "linux")]
fn machine() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").ok()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn machine() -> Option<String> {
    first_line_of(&mut Command::new("/bin/hostname"))
}

#[cfg(windows)]
fn machine() -> Option<String> {
    environment(&["COMPUTERNAME"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_short_line() {
        assert_eq!(clean(" kim\u{1b}[31m\n"), Some("kim[31m".to_owned()));
        assert_eq!(clean("\u{7}"), None);
        assert_eq!(clean(&"x".repeat(1000)).map(|name| name.len()), Some(128));
        for name in [operator(), host()] {
            assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name}");
        }
        assert!(!host().contains('.'));
    }
}
