//! The short codes under which tries, keys and people are refused or set aside, each with its sentence and its next step.
//! Codes stand in the ledger, in `--json` and in `docs/ERRORS.md`: one that falls out of use stays in this list.

/// What a code means to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The code.
    pub code: &'static str,
    /// What it is about.
    pub about: About,
    /// What happened, as a sentence.
    pub what: &'static str,
    /// What to do now.
    pub next: &'static str,
    /// Whether the same person may be served with another key at once.
    pub another_key_helps: bool,
}

/// What a code is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The key: nothing was done to it.
    Key,
    /// One try with one key.
    Attempt,
    /// A job that goes on later.
    Parked,
}

const fn key(code: &'static str, what: &'static str, next: &'static str) -> Meaning {
    Meaning { code, about: About::Key, what, next, another_key_helps: true }
}

const fn attempt(code: &'static str, another_key_helps: bool, what: &'static str, next: &'static str) -> Meaning {
    Meaning { code, about: About::Attempt, what, next, another_key_helps }
}

const fn parked(code: &'static str, what: &'static str, next: &'static str) -> Meaning {
    Meaning { code, about: About::Parked, what, next, another_key_helps: false }
}

const RESET: &str = "If the key is yours to wipe, run `keybench key reset`, then put it back in.";
const OTHER_KEY: &str = "Put it aside and use another key for this person.";
const SAME_COMMAND: &str = "Run the same command again; the job goes on where it stands.";

/// Every code, in the order of the journey.
pub const CODES: &[Meaning] = &[
    key("has-pin", "The key already has a PIN that this bench did not set.", RESET),
    key("u2f-only", "The key speaks U2F only: it can't hold a passkey.", "Use a FIDO2 key."),
    key("no-resident-keys", "The key can't hold discoverable credentials, which Entra requires.", "Use another model."),
    key("no-pin-support", "The key has no PIN, so it can't be handed over with one.", "Use another model."),
    key(
        "pin-not-enough",
        "The key makes no credentials by PIN (noMcGaPermissionsWithClientPin): it wants its owner's fingerprint.",
        "Let the person register this key themselves with a Temporary Access Pass.",
    ),
    key("no-hmac-secret", "The key lacks hmac-secret, which Windows needs to unlock offline.", "Use another model."),
    key("no-es256", "The key offers none of the algorithms that the tenant accepts.", "Use another model."),
    key("key-full", "The key has no room for another passkey.", RESET),
    key("pin-blocked", "The key's PIN is blocked: all its tries are used up.", RESET),
    key("uv-always", "The key demands user verification for everything and has no PIN to give it.", RESET),
    key(
        "no-forced-change",
        "The key can't force a PIN change, and the policy requires it.",
        "Use a model with authenticatorConfig, or set `[pin] force_change = \"when-supported\"`.",
    ),
    key(
        "pin-policy",
        "No PIN fits both the policy and this key's own limits.",
        "Compare `[pin] length` with the key's minimum and maximum in `keybench key info`.",
    ),
    key(
        "aaguid-not-allowed",
        "The tenant's passkey policy does not accept this model.",
        "Add the model's AAGUID to the policy's list, or use another model.",
    ),
    key(
        "model-revoked",
        "FIDO metadata says that this model is revoked or compromised.",
        "Don't deliver keys of this model.",
    ),
    key(
        "simulated-key",
        "This is a simulated key, and the tenant is real.",
        "Use real keys, or a simulated tenant (`keybench sim tenant`).",
    ),
    key(
        "not-expected",
        "The key's serial number is on no supplier's list (`[bench] only_expected`).",
        "Put it aside: it may have been exchanged on the way. It was not touched.",
    ),
    key("never-list", "The key's serial number is on the list `[bench] never`.", "Take it out; it was not touched."),
    key(
        "not-confirmed",
        "The key was in its port before the run began and nobody confirmed it.",
        "Re-plug it, or name its port with `--ports`.",
    ),
    key(
        "already-finished",
        "This key is finished already; it belongs to the person it was made for.",
        "Label it for that person (`keybench show` with its serial number); use another key for the next.",
    ),
    key(
        "begun-elsewhere",
        "This key was begun for somebody who is not in this run.",
        "Put it aside, and run the roster that has this person: it goes on with this key.",
    ),
    key("not-wanted", "Nobody in the queue is waiting for a key of this kind or serial number.", OTHER_KEY),
    key(
        "same-serial",
        "Another key that is plugged in tells the same serial number, so neither can be told by it.",
        "Take this one out and put it in when the other is finished and out.",
    ),
    key("mute", "The key does not answer as a security key should.", "Re-plug it; if it stays so, put it aside."),
    key("no-right", "This account may not open the key.", "Run `keybench doctor`; it says what is missing."),
    key(
        "no-node",
        "The system shows the key and has no device node to open it by.",
        "In a container: run keybench on the machine itself. Elsewhere: re-plug the key, and see that udev runs.",
    ),
    key("in-use", "Another program is using the key.", "Close browsers and key managers, then re-plug it."),
    key(
        "of-another-job",
        "The key belongs to a job that another bench or another roster has begun.",
        "Run `keybench show` with its serial number.",
    ),
    attempt("set-pin-refused", true, "The key refused the PIN.", OTHER_KEY),
    attempt("pin-unknown", true, "The key has a PIN, and it is not the one that was sealed for it.", RESET),
    attempt(
        "pin-untried",
        true,
        "The key lets its PIN be tried no more, so nobody knows whether it is the sealed one.",
        RESET,
    ),
    attempt(
        "change-forced",
        true,
        "The key wants its PIN changed before anything else, and this bench had not asked for that yet.",
        RESET,
    ),
    attempt(
        "key-changed",
        true,
        "The key in the port is not the one that was begun, or it was reset meanwhile.",
        OTHER_KEY,
    ),
    attempt(
        "options-refused",
        false,
        "Graph gives no creation options for this person.",
        "Read the cause above; `keybench doctor` checks the tenant's policy.",
    ),
    attempt(
        "options-malformed",
        false,
        "Graph's creation options make no sense.",
        "Report this with the request id; nothing was registered.",
    ),
    attempt("credential-excluded", true, "The key already holds a passkey of this person.", OTHER_KEY),
    attempt("touch-refused", true, "The key reported that the touch was refused.", OTHER_KEY),
    attempt(
        "answer-unreadable",
        true,
        "What the key answered can't be read.",
        "Put the key aside: a sound key does not do this.",
    ),
    attempt(
        "record-lost",
        true,
        "The ledger no longer has what Graph must be sent; the credential was removed from the key.",
        OTHER_KEY,
    ),
    attempt("not-made", true, "The key refused to make a credential.", OTHER_KEY),
    attempt(
        "request-too-long",
        false,
        "What the tenant asks for is longer than a message to this key may be.",
        "Use a model that takes longer messages for this person (`keybench key info --json`: `max_msg_size`).",
    ),
    attempt("touch-timeout", true, "Nobody touched the key in time; it is asked again.", "Touch the blinking key."),
    attempt(
        "wrong-site",
        true,
        "The credential is for another site than the one asked for.",
        "Put the key aside: a genuine key does not do this.",
    ),
    attempt(
        "wrong-flags",
        true,
        "The credential lacks user presence or user verification.",
        "Put the key aside: a genuine key does not do this.",
    ),
    attempt(
        "other-model",
        true,
        "The attestation names another model than the key itself.",
        "Put the key aside: it may not be genuine.",
    ),
    attempt(
        "bad-credential-id",
        true,
        "The credential's id is too long, or another credential has it already.",
        "Put the key aside: a genuine key does not do this.",
    ),
    attempt("bad-public-key", true, "The credential's public key is none.", "Put the key aside: it is broken."),
    attempt(
        "algorithm-not-offered",
        true,
        "The credential's algorithm was not offered.",
        "Put the key aside: a genuine key does not do this.",
    ),
    attempt("cred-protect", true, "The key set another protection level than was asked for.", OTHER_KEY),
    attempt("hmac-secret", true, "The key made no hmac-secret, which Windows needs to unlock offline.", OTHER_KEY),
    attempt(
        "attestation-invalid",
        true,
        "The attestation's signature or certificate is wrong.",
        "Put the key aside: it may not be genuine.",
    ),
    attempt(
        "attestation-untrusted",
        true,
        "The attestation does not lead to a root that is trusted for this model.",
        "Put the key aside: it may not be genuine.",
    ),
    attempt(
        "model-not-listed",
        true,
        "The model is not in the FIDO metadata, and the tenant enforces attestation.",
        "Use a model that is listed, or a newer metadata file.",
    ),
    attempt(
        "model-defective",
        true,
        "FIDO metadata reports this model as compromised or revoked.",
        "Don't deliver keys of this model.",
    ),
    attempt(
        "proof-failed",
        true,
        "The key could not sign with the credential it had just made.",
        "Put the key aside: it is broken.",
    ),
    attempt(
        "registration-refused",
        false,
        "Entra refused the registration.",
        "Read the cause above; the credential was removed from the key.",
    ),
    attempt("rules-refused", true, "The key refused the PIN rules; its registration was deleted again.", OTHER_KEY),
    attempt(
        "rules-not-kept",
        true,
        "The key accepted the PIN rules but does not show them; its registration was deleted again.",
        OTHER_KEY,
    ),
    attempt(
        "not-removable",
        true,
        "A credential that the tenant does not have can't be removed from the key.",
        "Put the key aside; only a reset cleans it (`keybench key reset`).",
    ),
    attempt(
        "challenge-expired",
        true,
        "The tenant's challenge ran out before the registration was sent.",
        SAME_COMMAND,
    ),
    attempt(
        "given-up",
        true,
        "The key was given up as dead or lost (`--give-up`); its passkey was deleted from the tenant.",
        "Use another key for this person. Should the old one turn up, run `keybench key reset` on it.",
    ),
    attempt(
        "challenge-too-short",
        false,
        "Graph gave a challenge that does not live as long as held activation needs.",
        "Long challenges are Graph beta's alone. Register at the bench (`[handover] activate = \"at-bench\"`), or ask Microsoft why beta ignores the wish.",
    ),
    attempt(
        "hold-expired",
        true,
        "The key was held and not activated in time: its registration can't be sent any more.",
        "The next run makes a new passkey on another key. `keybench return` wipes the old one when it comes back; nothing of it is in the tenant.",
    ),
    parked(
        "no-activation-key",
        "The key is to be held, and the settings name nobody to seal its registration to.",
        "Put `[handover] activate = \"on-receipt\"` and `activation_recipients` back, and run the same command again.",
    ),
    parked("interrupted", "The run was ended before this job's next step.", SAME_COMMAND),
    parked("idle", "No key came for a while.", SAME_COMMAND),
    parked(
        "key-pulled",
        "The key was pulled out in the middle.",
        "Put the same key back in any port; the job settles itself before going on. If it is lost: `--give-up JOB` with the same command.",
    ),
    parked(
        "key-silent",
        "The key stopped answering in the middle.",
        "Re-plug it; the job settles itself before going on. If it is dead: `--give-up JOB` with the same command.",
    ),
    parked(
        "answer-lost",
        "The registration was sent, no answer came, and Entra does not show it yet.",
        "Run the same command in a quarter of an hour; it looks again before anything else.",
    ),
    parked(
        "read-back-missing",
        "Entra accepted the registration but does not list it yet.",
        "Run the same command later, with the key in a port; it looks again.",
    ),
    parked(
        "rules-changed",
        "The key forces its PIN change under other PIN rules than the settings ask for now, and takes no more before its owner has changed the PIN.",
        "Put the former `[pin] minimum` back and run the same command again; or give the key up: `--give-up JOB`.",
    ),
    parked("signed-out", "The sign-in is no longer accepted (401).", "Sign in again by running the same command."),
    parked(
        "no-permission",
        "The signed-in account may not do this (403).",
        "Give the role Authentication Administrator or the scope UserAuthMethod-Passkey.ReadWrite.All, then run the same command.",
    ),
    parked(
        "tenant-refuses",
        "The tenant's policy refuses what the bench sends.",
        "Read the cause above, change the policy, then run the same command.",
    ),
    parked("tenant-down", "Microsoft Graph does not answer, or answers with errors only.", SAME_COMMAND),
    parked(
        "no-resume-key",
        "This bench can't open the key's sealed PIN any more, so it can't go on with it.",
        "A custodian opens the PIN with `keybench escrow open`; or reset the key and start the job again.",
    ),
    parked("no-entropy", "The operating system gave no random bytes.", "Restart the machine; no PIN was made."),
    parked(
        "resume-store",
        "The store of resume keys can't be written.",
        "Check the disk and the rights of the bench's data folder, then run the same command again.",
    ),
    parked(
        "sealing-failed",
        "The PIN could not be sealed to the custodians; the key did not get it.",
        "Check that the custodians' age plugins are installed, then run the same command again.",
    ),
    parked(
        "left-roster",
        "The person is not on the roster any more.",
        "Nothing; put them back on the roster to go on.",
    ),
    parked("unexpected", "The job met something that can't happen.", "Run `keybench show` for this job and report it."),
];

/// The meaning of a code, when it is one of ours.
pub fn meaning(code: &str) -> Option<&'static Meaning> {
    CODES.iter().find(|meaning| meaning.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offline_check_has_a_meaning_here() {
        // `CheckFailed::code`, `lane_hands` and `on_key` give these to tries.
        for code in [
            "answer-unreadable",
            "wrong-site",
            "wrong-flags",
            "other-model",
            "bad-credential-id",
            "bad-public-key",
            "algorithm-not-offered",
            "cred-protect",
            "hmac-secret",
            "attestation-invalid",
            "attestation-untrusted",
            "model-not-listed",
            "model-defective",
            "proof-failed",
            "record-lost",
            "simulated-key",
            "pin-not-enough",
            "key-full",
            "has-pin",
        ] {
            assert!(meaning(code).is_some_and(|meaning| meaning.another_key_helps), "{code}");
        }
    }

    #[test]
    fn codes_are_unique_and_say_something() {
        for (i, meaning) in CODES.iter().enumerate() {
            assert!(CODES[..i].iter().all(|earlier| earlier.code != meaning.code), "{} twice", meaning.code);
            assert!(meaning.what.ends_with('.') && meaning.next.ends_with('.'), "{}", meaning.code);
        }
    }
}
