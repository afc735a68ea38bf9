//! Why this account may not open a security key, and what to do about it.

use std::fmt;

/// What stands in the way, for people: fact, cause, next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What happens.
    pub fact: &'static str,
    /// Why.
    pub cause: &'static str,
    /// What to do.
    pub next: &'static str,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {} Next: {}", self.fact, self.cause, self.next)
    }
}

/// The advice for a key that this account may not open.
pub const fn no_right_to_open() -> Advice {
    #[cfg(target_os = "linux")]
    {
        Advice {
            fact: "this account may not open the security key",
            cause: "Linux gives a key's hidraw device to whoever sits at the machine, by a udev rule (systemd's fido_id, or a package such as libfido2); there is none here, or you came in over the network.",
            next: "install packaging/linux/70-keybench.rules (its README says how; for a session over SSH use the group in it), then re-insert the key. Root is not needed, and not wanted: the ledger would then belong to root",
        }
    }
    #[cfg(windows)]
    {
        Advice {
            fact: "Windows hides security keys from this process",
            cause: "Since Windows 10 1903 only an elevated process sees FIDO devices.",
            next: "start the terminal with \"Run as administrator\" and run the same command there",
        }
    }
    #[cfg(target_os = "macos")]
    {
        Advice {
            fact: "macOS does not let this program open the security key",
            cause: "The terminal lacks the right called Input Monitoring, or another program holds the key.",
            next: "allow your terminal under System Settings, Privacy & Security, Input Monitoring, start it anew, and close other programs that use the key",
        }
    }
    #[cfg(not(any(target_os = "linux", windows, target_os = "macos")))]
    {
        Advice {
            fact: "this account may not open the security key",
            cause: "The system keeps the device for other accounts.",
            next: "give this account the right to open the key's HID device, then re-insert it",
        }
    }
}

/// What can be known before a key is seen: `None` when nothing stands in the way, or when this system tells only at the key.
pub fn before_the_first_key() -> Option<Advice> {
    #[cfg(windows)]
    {
        (is_elevated() == Some(false)).then(no_right_to_open)
    }
    #[cfg(not(windows))]
    {
        None
    }
}

/// Whether this process is elevated; `None` when Windows does not say.
#[cfg(windows)]
pub fn is_elevated() -> Option<bool> {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    let tool = std::path::Path::new(&root).join("System32").join("whoami.exe");
    let answer = std::process::Command::new(tool).args(["/groups", "/fo", "csv", "/nh"]).output().ok()?;
    elevated(&String::from_utf8_lossy(&answer.stdout))
}

/// Reads `whoami /groups`: the process's integrity label is among the groups by its id, whatever the language.
/// High is S-1-16-12288, System S-1-16-16384 (MS-DTYP §2.4.2.4).
#[cfg(any(windows, test))]
fn elevated(groups: &str) -> Option<bool> {
    let (_, label) = groups.split_once("S-1-16-")?;
    let level: String = label.chars().take_while(char::is_ascii_digit).collect();
    level.parse::<u32>().ok().map(|level| level >= 12288)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elevation_is_read_from_the_integrity_label() {
        let plain = "\"Everyone\",\"Well-known group\",\"S-1-1-0\",\"Mandatory group\"\r\n\"Mandatory Label\\Medium Mandatory Level\",\"Label\",\"S-1-16-8192\",\"\"\r\n";
        assert_eq!(elevated(plain), Some(false));
        assert_eq!(elevated(&plain.replace("8192", "12288")), Some(true));
        assert_eq!(elevated("\"Verbindliche Beschriftung\",\"Bezeichnung\",\"S-1-16-16384\",\"\""), Some(true));
        assert_eq!(elevated("\"Everyone\",\"\",\"S-1-1-0\",\"\""), None);
    }

    #[test]
    fn the_advice_has_all_three_parts() {
        let advice = no_right_to_open();
        assert!(!advice.fact.is_empty() && advice.cause.ends_with('.') && !advice.next.is_empty());
        assert!(advice.to_string().contains("Next: "));
    }
}
