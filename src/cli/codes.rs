//! Every code that `--json`, the ledger and `docs/ERRORS.md` use: what it means and what to do. A code that was once
//! published keeps its meaning. A test holds the page against this list; `KEYBENCH_BLESS=1` writes the page anew.

/// What a code is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A command that could not start or stopped: `error` events.
    Command,
    /// A person: `refused` events.
    Person,
    /// The roster: `warning` events.
    Roster,
    /// A key that is not fit: `key-refused` events.
    Key,
    /// A try that failed: `failed` events.
    Attempt,
    /// A job left open: `parked` events.
    Parked,
    /// All keys waiting: `paused` events, or an `error` with exit code 3.
    Tenant,
}

impl About {
    /// In the order of the page.
    pub const ALL: [Self; 7] =
        [Self::Command, Self::Roster, Self::Person, Self::Key, Self::Attempt, Self::Parked, Self::Tenant];

    fn heading(self) -> (&'static str, &'static str) {
        match self {
            Self::Command => ("Commands", "The command did not start, or stopped. `error` events."),
            Self::Roster => {
                ("Roster warnings", "Known before the first key; nobody is refused for it. `warning` events.")
            }
            Self::Person => ("People", "This person gets no key now; the others go on. `refused` events."),
            Self::Key => ("Keys that are not fit", "Nothing was done to the key. `key-refused` events."),
            Self::Attempt => ("Keys that failed", "A try is over without a finished key. `failed` events."),
            Self::Parked => ("Jobs left open", "The same command goes on with them. `parked` events."),
            Self::Tenant => (
                "Tenant and network",
                "Touches pause until it is mended (`paused` events), or the run ends with exit code 3 and what was open is parked.",
            ),
        }
    }
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// What it is about.
    pub about: About,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub next: &'static str,
}

const fn code(about: About, code: &'static str, meaning: &'static str, next: &'static str) -> Code {
    Code { code, about, meaning, next }
}

/// Looks one up.
pub fn find(about: About, name: &str) -> Option<&'static Code> {
    ALL.iter().find(|code| code.about == about && code.code == name)
}

/// All codes.
#[rustfmt::skip]
pub const ALL: &[Code] = &[
    code(About::Command, "usage", "An option's value can't be used.", "See `--help` of the command."),
    code(About::Command, "config-not-found", "A settings file was named and isn't there.", "Check the name, or `keybench config init`."),
    code(About::Command, "config-unreadable", "The settings file can't be read, or is not UTF-8 text.", "Make it readable to this account."),
    code(About::Command, "config-wrong", "The settings have problems; all are listed with line and column.", "Correct them."),
    code(About::Command, "config-missing", "This command needs settings that nobody made.", "Set what is named."),
    code(About::Command, "config-exists", "`config init` would replace a file.", "Edit it, or add `--force`."),
    code(About::Command, "config-unwritable", "The settings file can't be written.", "Choose another place with `--config`."),
    code(About::Command, "file-exposed", "Others can change the settings file, or read a secret.", "Take the right away as shown (`chmod`)."),
    code(About::Command, "client-secret", "The application's secret can't be had, or is where other programs would inherit it.", "Put it into a file of its own, mode 0600: `tenant.client_secret_file`."),
    code(About::Command, "no-home", "The account has no home folder.", "Name a settings file with `--config`."),
    code(About::Command, "roster-wrong", "The roster has problems; all are listed with line and field. Nothing was started.", "Correct them and run the same command again."),
    code(About::Command, "roster-unreadable", "The roster can't be opened.", "Check the name and your rights."),
    code(About::Command, "strict", "`--strict`, and somebody on the roster is refused. Nothing was started.", "Mend what is listed, or leave `--strict` out."),
    code(About::Command, "unwritable", "A file that was asked for can't be written.", "Choose another place."),
    code(About::Command, "not-built", "The command is not part of this build.", "Use a build with it (simulated parts need the `sim` feature)."),
    code(About::Command, "no-key", "There is no security key in any port that may be used.", "Put one in; `keybench key list` shows what is seen."),
    code(About::Command, "no-right", "This account may not open security keys.", "Linux: install the udev rule that `keybench doctor` names. Windows: start keybench elevated."),
    code(About::Command, "which-key", "Several keys fit, or none does.", "Name one with `--port` or `--serial`."),
    code(About::Command, "custodians-changed", "The settings name other custodians than those in force in the ledger.", "A change needs an existing custodian; see docs/SECURITY.md."),
    code(About::Command, "identity", "An identity can't be read, or opens nothing here.", "Give the identity of a custodian the PIN was sealed to; under dual control, one of each group."),
    code(About::Command, "not-a-terminal", "A PIN would go to a pipe or a file.", "Look at it in a terminal, or add `--to-stdout`."),
    code(About::Command, "unknown-job", "The ledger has no such job, key or person.", "`keybench status` lists the jobs."),
    code(About::Command, "nothing-sealed", "The job has no sealed PIN: no key was begun, or the person was forgotten.", "See `keybench show`."),
    code(About::Command, "ledger-in-use", "Another keybench writes to this ledger.", "End that one; reading commands work beside it."),
    code(About::Command, "ledger-damaged", "The ledger's chain does not verify, or the file is damaged.", "Keep the file; `keybench ledger restore` rebuilds it from the mirror."),
    code(About::Command, "ledger-behind-mirror", "The mirror has entries that the ledger lacks: an old copy was put back.", "`keybench ledger restore`."),
    code(About::Command, "ledger-newer", "A newer keybench wrote this ledger.", "Use that version."),
    code(About::Command, "ledger-network-share", "The ledger is on a network share, where locks and syncs can't be relied on.", "Move it to a local disk."),
    code(About::Command, "ledger-unwritable", "The ledger can't be written: read-only, no right, or the disk is full.", "Mend that; nothing is half-written, the same command goes on."),
    code(About::Command, "ledger-missing", "There is no ledger at the place the settings name.", "Check `ledger.url`; `keybench run` makes a new one."),
    code(About::Command, "ledger-mirror", "The mirror can't be written, or belongs to another ledger.", "Mend that; no key got a PIN that the mirror does not have."),
    code(About::Command, "ledger-uncertain", "The disk failed while an entry was being written.", "Check the disk, then run the same command again: it reads what is there and settles it."),
    code(About::Command, "entropy", "The operating system gave no random bytes.", "Nothing secret was made. Restart the machine; if it stays so, don't use it."),
    code(About::Command, "sim-outside-loopback", "Simulated keys may register with a simulated tenant on this machine only.", "Point graph_url and login_url at `keybench sim tenant`."),
    code(About::Command, "interrupted", "Ctrl-C. What was in flight is finished or parked.", "Run the same command again."),

    code(About::Roster, "name-cut", "The display name is longer than the 64 bytes a key keeps.", "Nothing; the tenant keeps the full name."),
    code(About::Roster, "renamed", "The directory knows this account under another name.", "Correct the roster when convenient."),
    code(About::Roster, "first-device", "The person's first device does not change a PIN at the sign-in.", "Tell them where to do it, or set `pin.first_device = \"leave-off\"`."),
    code(About::Roster, "force-change-left-off", "As `first-device`, and by policy no change is forced for this person.", "Nothing."),
    code(About::Roster, "allow-privileged-unused", "A name given with `--allow-privileged` is not on the roster.", "Check its spelling."),

    code(About::Person, "unknown-person", "The tenant has nobody by this name.", "Correct the name, or check that the tenant is the right one."),
    code(About::Person, "duplicate", "The same account is on an earlier line, under this name or another.", "Take one line out; for several keys give a number of keys."),
    code(About::Person, "self", "The signed-in account itself: nobody can provision for themselves.", "Have a colleague do it."),
    code(About::Person, "disabled", "The account is disabled.", "Enable it, or take the line out."),
    code(About::Person, "guest", "Entra takes no passkeys for guests.", "Provision in the person's home tenant."),
    code(About::Person, "privileged", "The person holds a role, or is in a role-assignable group.", "If meant: `--allow-privileged UPN`."),
    code(About::Person, "outside-group", "Not in the group that may have keys (`tenant.allowed_group`), or that could not be read.", "Add the person to the group, or take the line out."),
    code(About::Person, "too-many-passkeys", "The person would have more than 10 passkeys.", "Delete old ones."),
    code(About::Person, "unknown-key-kind", "No known model fits `key_kind`.", "Write words of the model's name, or its AAGUID."),
    code(About::Person, "renamed-unconfirmed", "The account has another name than when the job was planned, and nobody confirmed it.", "Run at a terminal and confirm, after checking that it is the same person."),

    code(About::Key, "has-pin", "The key already has a PIN that this bench did not set.", "If it is yours to wipe: `keybench key reset`."),
    code(About::Key, "never", "The key is on `bench.never`.", "Take it out; it is somebody's own."),
    code(About::Key, "already-finished", "The ledger knows this key as finished, for somebody else.", "Use another key; the ledger says whose it is: `keybench show SERIAL`."),
    code(About::Key, "u2f-only", "The key speaks U2F only.", "Use a FIDO2 key."),
    code(About::Key, "unfit", "The key lacks what Entra asks for (resident keys, a PIN, hmac-secret or ES256).", "Use another model; `keybench key info` shows what it has."),
    code(About::Key, "full", "No room for another passkey.", "If it is yours to wipe: `keybench key reset`."),
    code(About::Key, "blocked", "The PIN is blocked.", "Only a reset helps: `keybench key reset`."),
    code(About::Key, "force-change-unsupported", "`pin.force_change = \"require\"`, and the key can't force a change.", "Use a newer model, or `when-supported`."),
    code(About::Key, "pin-length", "The key's minimum or maximum PIN length does not fit `[pin]`.", "Change `pin.length`."),
    code(About::Key, "not-allowed", "The tenant's policy does not allow this model.", "Use another model, or add its AAGUID to the policy."),
    code(About::Key, "wrong-kind", "Nobody in the queue is to get a key of this kind.", "Put in another."),
    code(About::Key, "wrong-serial", "The roster gives this person another serial number.", "Put in the key that is named."),
    code(About::Key, "same-looking", "Two keys can't be told apart, and one of them may hold a PIN of ours.", "Take one out."),
    code(About::Key, "simulated", "A simulated key, and the tenant is a real one.", "Use real keys, or `keybench sim tenant`."),
    code(About::Key, "unreadable", "The key answers what no key should.", "Re-insert it; if it stays so, put it aside and report the model."),
    code(About::Key, "in-use", "Another program holds the key.", "Close that program, or re-insert the key."),

    code(About::Attempt, "pin-unknown", "The key has a PIN, and it is not the one we sealed.", "Put the key aside; the person gets another."),
    code(About::Attempt, "key-lost", "The key of a begun job was given up by the operator.", "The person gets another key; the PIN stays sealed."),
    code(About::Attempt, "key-error", "The key refused or broke off a step, and trying again does not help.", "Put it aside; the person gets another."),
    code(About::Attempt, "touch-timeout", "Nobody touched the key in time; it is asked again.", "Touch the blinking key."),
    code(About::Attempt, "proof-failed", "The new credential did not sign our challenge properly.", "Put the key aside and report its model."),
    code(About::Attempt, "answer-unreadable", "The key's attestation can't be read.", "Put the key aside and report its model."),
    code(About::Attempt, "wrong-site", "The key's answer is for another site.", "Put the key aside and report it."),
    code(About::Attempt, "wrong-flags", "The credential was not made with touch and PIN, or contradicts itself.", "Put the key aside and report its model."),
    code(About::Attempt, "other-model", "The attestation names another model than the key itself.", "Put the key aside: it may be a forgery."),
    code(About::Attempt, "bad-credential-id", "The credential's id is of a wrong length, or known already.", "Put the key aside and report its model."),
    code(About::Attempt, "bad-public-key", "The credential's public key is not valid.", "Put the key aside and report its model."),
    code(About::Attempt, "algorithm-not-offered", "The key chose an algorithm that the tenant did not offer.", "Use another model."),
    code(About::Attempt, "cred-protect", "The key did not apply the protection that was asked for.", "Use another model."),
    code(About::Attempt, "hmac-secret", "The key did not enable hmac-secret.", "Use another model."),
    code(About::Attempt, "attestation-invalid", "The attestation's signature or certificate is wrong.", "Put the key aside: it may be a forgery."),
    code(About::Attempt, "attestation-untrusted", "The attestation's chain leads to no known root.", "Check `bench.mds`; put the key aside if the file is current."),
    code(About::Attempt, "model-not-listed", "The metadata does not list this model.", "Get a current metadata file, or another model."),
    code(About::Attempt, "model-defective", "The metadata says that this model is revoked or compromised.", "Don't use it."),
    code(About::Attempt, "registration-refused", "The tenant refused the registration; the credential is off the key again.", "See the reason shown."),

    code(About::Parked, "left-roster", "The person is no longer on the roster.", "Put the line back to go on."),
    code(About::Parked, "interrupted", "The run was interrupted.", "Run the same command again."),
    code(About::Parked, "idle", "No key came for the time of `--idle`.", "Run the same command again."),
    code(About::Parked, "no-key", "The run ended before a key came for this person.", "Run the same command again."),
    code(About::Parked, "unplugged", "The key was pulled and did not come back.", "Put the same key in and run the same command: it settles itself."),
    code(About::Parked, "paused", "The tenant or the network stopped the run.", "Mend that and run the same command again."),
    code(About::Parked, "held-elsewhere", "Another bench holds the job.", "Let it finish, or wait until its claim expires."),
    code(About::Parked, "must-ask", "Only a person can decide, and nobody was there to ask.", "Run the same command at a terminal."),

    code(About::Tenant, "graph-sign-in", "Signing in failed.", "See the AADSTS number and its remedy in the message."),
    code(About::Tenant, "graph-unauthorized", "The tenant no longer accepts the token.", "Sign in again when asked."),
    code(About::Tenant, "graph-forbidden", "A permission or a role is missing.", "`keybench doctor` names it."),
    code(About::Tenant, "graph-method-not-allowed", "Graph does not take this call: for yourself, or on this version.", "Have a colleague do it, or set `tenant.api`."),
    code(About::Tenant, "graph-not-found", "Graph does not know what was asked for.", "Check the tenant and the name."),
    code(About::Tenant, "graph-ambiguous", "Several things have this name.", "Give the object id."),
    code(About::Tenant, "graph-conflict", "The tenant's state contradicts the request.", "Run the same command again; report it if it stays so."),
    code(About::Tenant, "graph-refused", "Graph refused the request as it is.", "See the reason shown; `keybench doctor` checks the policy."),
    code(About::Tenant, "graph-throttled", "Graph asks for less, for longer than we wait.", "Wait, then run the same command again."),
    code(About::Tenant, "graph-outage", "Graph answers with errors of its own.", "Wait, then run the same command again."),
    code(About::Tenant, "graph-network", "Graph can't be reached.", "Check network, name resolution and proxy (PAC and NTLM proxies are not supported)."),
    code(About::Tenant, "graph-tls", "The connection is not trusted.", "If a proxy inspects TLS, its root must be in the system's store."),
    code(About::Tenant, "graph-malformed", "Graph's answer can't be read, or is not Graph's.", "A portal or proxy may have answered; check the network."),
    code(About::Tenant, "graph-unknown-outcome", "No answer came to a registration; it is looked for before anything is repeated.", "Run the same command again: it settles itself."),
    code(About::Tenant, "graph-cancelled", "The request was cancelled.", "Run the same command again."),
    code(About::Tenant, "graph-settings", "A certificate, key or address in the settings can't be used.", "Correct what is named."),
    code(About::Tenant, "cloud-unsupported", "This national cloud has no registration on behalf of users.", "Nothing; users must register their keys themselves."),
];

/// `docs/ERRORS.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors and exit codes\n\n\
         Every error says what happened, why, and what to do next. Scripts go by the exit code, and with `--json` by the\n\
         `code` of an event (`schema/run-events.schema.json`). A code keeps its meaning; new ones may be added.\n\n\
         <!-- Written from src/cli/codes.rs and src/cli/exit.rs; a test compares. -->\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for exit in super::Exit::ALL {
        page.push_str(&format!("| {} | {} |\n", exit.code(), exit.meaning()));
    }
    for about in About::ALL {
        let (heading, text) = about.heading();
        page.push_str(&format!("\n## {heading}\n\n{text}\n\n| code | what it means | what to do |\n|---|---|---|\n"));
        for code in ALL.iter().filter(|code| code.about == about) {
            page.push_str(&format!("| `{}` | {} | {} |\n", code.code, code.meaning, code.next));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ERRORS.md");
        if std::env::var_os("KEYBENCH_BLESS").is_some() {
            std::fs::write(path, page()).expect("written");
        }
        // Git may have given Windows its line ends.
        let written = std::fs::read_to_string(path).expect("docs/ERRORS.md").replace("\r\n", "\n");
        assert_eq!(written, page(), "KEYBENCH_BLESS=1 writes docs/ERRORS.md anew");
    }

    #[test]
    fn codes_are_words_and_each_is_there_once() {
        for (index, code) in ALL.iter().enumerate() {
            assert!(
                code.code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                code.code
            );
            assert!(code.meaning.ends_with('.') && code.next.ends_with('.'), "{}", code.code);
            let twin = ALL.iter().skip(index + 1).find(|other| other.code == code.code && other.about == code.about);
            assert_eq!(twin, None);
        }
    }

    #[test]
    fn every_refusal_of_a_person_is_listed() {
        for code in crate::roster::RefusalCode::ALL {
            assert!(find(About::Person, code.as_str()).is_some(), "{code}");
        }
    }
}
