//! Every code that `--json`, the ledger and `docs/ERRORS.md` use: what it means and what to do. A code that was once
//! published keeps its meaning. Codes of keys, tries and open jobs are the journey's own (`pipeline::code`) and are only
//! shown here. A test holds the page against the list; `KEYBENCH_BLESS=1` writes the page anew.

use crate::pipeline::code::{self as journey, CODES};

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
    /// The tenant or the network, before the first key: `error` events.
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
            Self::Parked => (
                "Jobs left open",
                "The same command goes on with them. `parked` events; `paused` events while all keys wait for the tenant.",
            ),
            Self::Tenant => (
                "Tenant and network",
                "Signing in and asking Graph, before the first key. `error` events, exit code 3 or 2.",
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
pub fn find(about: About, name: &str) -> Option<Code> {
    all().find(|code| code.about == about && code.code == name)
}

/// What to do about a job's code: a refused person's, or one of the journey's.
pub fn next_step(name: &str) -> Option<&'static str> {
    let person = || find(About::Person, name).map(|code| code.next);
    journey::meaning(name).map(|meaning| meaning.next).or_else(person)
}

/// What a job's code means: a refused person's, or one of the journey's.
pub fn meaning(name: &str) -> Option<&'static str> {
    let person = || find(About::Person, name).map(|code| code.meaning);
    journey::meaning(name).map(|meaning| meaning.what).or_else(person)
}

/// All codes.
pub fn all() -> impl Iterator<Item = Code> {
    let about = |about| match about {
        journey::About::Key => About::Key,
        journey::About::Attempt => About::Attempt,
        journey::About::Parked => About::Parked,
    };
    let journeys =
        CODES.iter().map(move |meaning| code(about(meaning.about), meaning.code, meaning.what, meaning.next));
    OURS.iter().copied().chain(journeys)
}

/// Those that are not the journey's.
#[rustfmt::skip]
const OURS: &[Code] = &[
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
    code(About::Command, "certificate-unreadable", "The certificate or its key can't be read.", "Check `tenant.certificate_file` and `tenant.key_file`, and your rights."),
    code(About::Command, "pin-policy", "No PIN meets the settings of `[pin]`.", "Correct what is named."),
    code(About::Command, "recipients", "The settings' custodians can't be used.", "Correct `[escrow]`; `keybench escrow keygen` makes a recipient."),
    code(About::Command, "sealing-failed", "A PIN could not be sealed to the custodians.", "Install the age plugin that is named; no key was touched."),
    code(About::Command, "resume-store", "The store of resume keys can't be used by this account.", "Run under the account that owns the bench's data."),
    code(About::Command, "mds", "The FIDO metadata file can't be used.", "Get a current one; see `bench.mds`."),
    code(About::Command, "key-name", "`bench.key_name` can't be used.", "Correct the template."),
    code(About::Command, "other-tenant", "The account that signed in belongs to another tenant than the settings name.", "Correct `tenant.id`, or sign in with another account."),
    code(
        About::Command,
        "tenant-check",
        "A check of the tenant (docs/PREFLIGHT.md) found what stops a run. Nothing was started.",
        "Do what is named; `keybench tenant check` shows all of it.",
    ),
    code(About::Command, "tenant-policy", "The tenant's passkey policy lets nobody register.", "Change the policy as shown."),
    code(About::Command, "broken-account", "The ledger's account of a job makes no sense.", "`keybench ledger verify`; report it."),
    code(About::Command, "unexpected", "keybench met something that can't happen.", "Run the same command again; report it if it stays so."),
    code(About::Command, "roster-wrong", "The roster has problems; all are listed with line and field. Nothing was started.", "Correct them and run the same command again."),
    code(About::Command, "roster-unreadable", "The roster can't be opened.", "Check the name and your rights."),
    code(About::Command, "strict", "`--strict`, and somebody on the roster is refused, a check of the tenant warns or is not known, or an address is not fit for the carrier. Nothing was started; exit code 1.", "Mend what is listed, or leave `--strict` out."),
    code(About::Command, "unwritable", "A file that was asked for can't be written.", "Choose another place."),
    code(About::Command, "sim-keys", "The simulated keys could not be set up.", "See the reason shown."),
    code(About::Command, "sim-tenant", "The simulated tenant could not be started.", "See the reason shown; docs/SIMULATOR.md describes the files."),
    code(About::Command, "letter-template", "The letters' template can't be used; all that is wrong is listed by line. Nothing was opened.", "Correct it; docs/LETTERS.md lists settings and fields."),
    code(About::Command, "printer", "A printer can't be reached, refused the document, or is not named rightly.", "See to the printer; docs/LETTERS.md tells how to name one."),
    code(About::Command, "printer-exposed", "The printer is reached over a network without encryption. Nothing was opened.", "Use `ipps://` or a queue of this machine; `--unencrypted` if nobody can listen."),
    code(About::Command, "not-a-code", "What was scanned or typed is no code of ours, or not of this kind.", "Scan it again, or type its 24 digits."),
    code(About::Command, "labels", "The labels can't be made as asked.", "Choose another sheet or size; `keybench labels sheets`."),
    code(About::Command, "carrier-map", "The carrier's column map can't be used.", "Correct what is named; docs/LETTERS.md."),
    code(About::Command, "not-built", "The command is not part of this build.", "Use a build with it (simulated parts need the `sim` feature)."),
    code(About::Command, "no-key", "There is no security key in any port that may be used.", "Put one in; `keybench key list` shows what is seen."),
    code(About::Command, "no-right", "This account may not open security keys.", "Linux: install the udev rule that `keybench doctor` names. Windows: start keybench elevated."),
    code(About::Command, "no-ports", "The system's list of security keys can't be read.", "See the reason shown; `keybench doctor` checks the rights."),
    code(About::Command, "key-trouble", "The key does not answer as it should.", "Re-plug it and try again; if it stays so, put it aside."),
    code(About::Command, "key-in-use", "Another program holds the key.", "Close that program (or the running bench), then try again."),
    code(About::Command, "not-confirmed", "The word that was asked for was not typed; nothing was done.", "Run it again at a terminal and type the word."),
    code(About::Command, "not-reset", "The key was not reset.", "Run it again, and touch the key when it blinks."),
    code(About::Command, "file-exists", "A file that must be new is there already.", "Choose another name."),
    code(About::Command, "which-key", "Several keys fit, or none does.", "Name one with `--port` or `--serial`."),
    code(About::Command, "custodians-changed", "The settings name other custodians than those in force in the ledger.", "A change needs an existing custodian; see docs/SECURITY.md."),
    code(About::Command, "identity", "An identity can't be read, or opens nothing here.", "Give the identity of a custodian the PIN was sealed to; under dual control, one of each group."),
    code(About::Command, "not-a-terminal", "A PIN would go to a pipe or a file.", "Look at it in a terminal, or add `--to-stdout`."),
    code(About::Command, "unknown-job", "The ledger has no such job, key or person.", "`keybench status` lists the jobs."),
    code(About::Command, "nothing-sealed", "The job has no sealed PIN: no key was begun, or the person was forgotten.", "See `keybench show`."),
    code(About::Command, "not-recorded", "A fact could not be written to the ledger, so the PIN is not shown.", "See the reason shown."),
    code(About::Command, "file-unreadable", "A file that was named can't be read.", "Check the name and your rights."),
    code(About::Command, "people-file", "A file of people asks for a domain, licence or group that the tenant does not have. Nobody was made.", "Correct the lines that are named."),
    code(About::Command, "not-ready", "An account was made, and the directory does not show it everywhere yet.", "Run the same command again in some minutes."),
    code(About::Command, "group-not-plain", "A rule makes the group's members, it comes from on-premises, or roles can be assigned to it. Nothing was changed.", "Take another group, or change it where it is made."),
    code(About::Command, "no-such-method", "The person has no such way to sign in, or several of this kind. Nothing was removed.", "`keybench methods USER` lists them."),
    code(About::Command, "method-not-removable", "Graph does not let this kind be removed. Nothing was removed.", "Use the Entra admin centre."),
    code(About::Command, "no-such-token", "The tenant's inventory has no hardware token with this serial number.", "`keybench oath list` shows them."),
    code(About::Command, "token-taken", "The hardware token is somebody else's. Nothing was changed.", "`keybench oath remove --keep` takes it back."),
    code(About::Command, "token-not-theirs", "The hardware token is not this person's. Nothing was changed.", "`keybench oath assign` gives it to them."),
    code(About::Command, "token-file", "A vendor's file of tokens has problems; all are listed with line and field, and no seed. Nothing was uploaded.", "Correct them, or ask the vendor for the file again."),
    code(About::Command, "token-seed", "No seed of this token is kept here, or what is kept is another's.", "Import the vendor's file again, or type the code that the token shows."),
    code(About::Command, "no-such-user", "The tenant has nobody by this name.", "Check the spelling, and that the tenant is the right one."),
    code(About::Command, "not-for-this-person", "This can't be done for this person: their own account, disabled, a guest, an administrator, or out of the policy's scope.", "See the reason shown."),
    code(About::Command, "tap-way", "A Temporary Access Pass would travel by post or in a message. Nothing was issued.", "Issue it when the person is on the phone or in front of you."),
    code(About::Command, "tap-not-allowed", "The tenant's policy does not allow this pass. Nothing was issued.", "Ask for what the policy allows, or change the policy."),
    code(About::Command, "tap-lost", "No answer came when a pass was asked for; its code is lost, and what was made was deleted.", "Run the same command again."),
    code(About::Command, "custody-file", "A custody file is damaged, changed, or no such file.", "Have it brought again."),
    code(About::Command, "custody-signer", "A custody file is signed by a desk whose fingerprint nobody here has compared, or by another than before.", "Compare the fingerprint with the other desk, then add `--from`."),
    code(About::Command, "nothing-to-hand-over", "There is nothing to put into a custody file.", "`keybench status` lists the jobs and their batches."),
    code(About::Command, "old-paper", "A label or letter is of an earlier key of the same person.", "Put it aside with whatever it is on."),
    code(About::Command, "not-finished", "A key is to leave that the bench has not finished.", "Finish it with `keybench run`."),
    code(About::Command, "packed-already", "The key was packed before.", "Look for the parcel."),
    code(About::Command, "not-packed", "The key was never packed here.", "`keybench pack` packs it."),
    code(About::Command, "not-delivered", "Nothing says that the parcel arrived.", "Note it with `keybench receipt`."),
    code(About::Command, "not-verified", "Nobody has made sure that the right person holds the key.", "`keybench receipt verify`."),
    code(About::Command, "same-person", "Whoever packed a key does not release its PIN.", "Let somebody else release it."),
    code(About::Command, "packer-activates", "Whoever packed a key does not activate it.", "Let somebody else activate it."),
    code(About::Command, "not-activated", "The key is held and opens nothing yet, so its PIN stays.", "`keybench activate` first."),
    code(About::Command, "not-held", "The key does not wait to be activated.", "`keybench receipt list` shows which keys do."),
    code(About::Command, "hold-over", "The held key's sealed registration is destroyed, or another desk's.", "`keybench replace`; the next run makes a new key."),
    code(About::Command, "activated-elsewhere", "The tenant shows a held key's passkey that this ledger never sent.", "Find out who used the activation key; then `keybench lost`."),
    code(About::Command, "not-the-record", "What was opened is not the registration that the bench sealed.", "Send nothing; `keybench ledger verify`, and find out who changed it."),
    code(About::Command, "batch-rule", "The batch keeps its PINs back until receipt, and `--release` asks for less. Nothing was started.", "Leave `--release` out; people whose PINs may leave earlier belong in a batch of their own."),
    code(About::Command, "activation-keys", "The settings name other activation keys than those in force.", "Put them back, or change them with `keybench custodian activation`."),
    code(About::Command, "short-challenge", "The tenant gives no challenge that lives as long as held activation needs.", "Register at the bench: `[handover] activate = \"at-bench\"`."),
    code(About::Command, "released-already", "The PIN was released before.", "`keybench show` tells when; a PIN that never came needs another key."),
    code(About::Command, "release-unknown", "A mail with the PIN was about to leave, and nobody knows whether it did.", "Ask the manager; `release --by manager --again` sends it once more."),
    code(About::Command, "no-pin-by-mail", "The settings don't allow a PIN to be mailed to a manager.", "Release the letter, or set `[handover] pin_to_manager`; docs/SECURITY.md weighs it."),
    code(About::Command, "no-manager", "The directory names no manager who could be given the PIN.", "Correct it there, or release the letter or by the hook."),
    code(About::Command, "no-mail-address", "The tenant knows no mail address of somebody who is to get a mail.", "Send the text another way (`notify --text`), or add the address."),
    code(About::Command, "no-sender", "Signed in as the application, and no mailbox is named to send from.", "Set `[handover] mail_from`, or sign in as a person."),
    code(About::Command, "nothing-to-tell", "The tenant has no key of this job that anybody is to be told of.", "`keybench show` tells how far it is."),
    code(About::Command, "key-wiped", "The key in the port is a finished one, and has no PIN any more.", "Put it aside; `keybench replace` gives the person another."),
    code(About::Command, "strange-key", "The key in hand is none that the ledger knows.", "Put it aside, or take it in with `keybench stock receive`."),
    code(About::Command, "not-blank", "A key that is to travel blank is not, or can't be told from another.", "Take another key."),
    code(About::Command, "model-unknown", "A blank key was never in a port here: the model that its method is known by is not known.", "Put it into a port (`--plug`), or name its model with `--aaguid`."),
    code(About::Command, "which-method", "Several keys or several new methods of one model: nobody can tell which is which.", "Ask the person; `handover watch --of … --method …`."),
    code(About::Command, "registered-already", "What is to be ended is registered, and opens its person's account.", "Take it out of the tenant first, as named."),
    code(About::Command, "unlisted-key", "A scanned key is on no supplier's list: it may have been exchanged on the way.", "Put it aside and ask the supplier."),
    code(About::Command, "no-letter", "There is no good PIN letter.", "Print it."),
    code(About::Command, "letter-expired", "The PIN letter is older than `[handover]` allows.", "Destroy it and print a new one, or replace the key."),
    code(About::Command, "key-gone", "The key is lost or came back.", "`keybench show` tells its story."),
    code(About::Command, "other-parcel", "Key and parcel do not belong together.", "Take them apart, and begin again with a key's label."),
    code(About::Command, "pin-at-packing", "A PIN letter was scanned at the packing table.", "Take it away: a PIN never travels with its key."),
    code(About::Command, "number-twice", "A carrier's number is on two parcels.", "Scan the number of this parcel."),
    code(About::Command, "carrier-file", "A carrier's list of deliveries can't be used; line and column are named.", "Correct it. Nothing was noted."),
    code(About::Command, "not-a-card", "A code is not that of a parcel's card.", "Have it read out again."),
    code(About::Command, "no-hook", "There is no command to hand PINs to.", "Set `[handover] hook`."),
    code(About::Command, "hook-failed", "The organisation's command did not take the PIN.", "Mend it and run the same command again."),
    code(About::Command, "lost", "The key was lost.", "The person waits for another one."),
    code(About::Command, "returned", "The key came back.", "The person waits for another one."),
    code(About::Command, "replaced", "The key is replaced.", "The person waits for another one."),
    code(About::Command, "left", "The person has left.", "Nothing: no key is planned for them."),
    code(About::Command, "still-there", "The tenant still shows a passkey that it was told to delete.", "Run the same command again in some minutes."),
    code(About::Command, "policy-file", "The file with the wanted state of a tenant is wrong, or asks for what this tenant can't have. Nothing was changed.", "Correct the lines shown."),
    code(About::Command, "tenant-changed", "Somebody else changed the tenant between reading and writing, or since the change that is to be undone.", "Run the same command again; it reads first."),
    code(About::Command, "not-shown", "The tenant took a change, and reading did not show it within a minute.", "Run the same command again in a few minutes: it reads first what came of it."),
    code(About::Command, "would-lock-out", "People would be locked out, or nobody can count whom it locks out, and `--yes` does not cover that. Nothing was changed.", "Look at what is shown; change the file, or accept the numbers shown."),
    code(About::Command, "no-such-change", "The ledger has no such change of this tenant, it was not made, or what it replaced is gone.", "Give an id as `keybench tenant apply` printed it."),
    code(About::Command, "no-list", "Only expected keys are to be taken, and no supplier's list is there.", "`keybench stock expect`."),
    code(About::Command, "supplier-file", "A supplier's list can't be used; line and column are named.", "Correct it. Nothing was noted."),
    code(About::Command, "doctor", "Something that `keybench doctor` checks would stop a run.", "Do what stands beside each FAIL."),
    code(About::Command, "ledger-in-use", "Another keybench writes to this ledger: a second bench, or a command that needs it alone.", "End that one, or wait; reading commands work beside it, and beside a bench also letters, packing and openings."),
    code(About::Command, "ledger-damaged", "The ledger's chain does not verify, or the file is damaged.", "Keep the file; `keybench ledger restore` rebuilds it from the mirror."),
    code(About::Command, "ledger-behind-mirror", "The mirror has entries that the ledger lacks: an old copy was put back.", "`keybench ledger restore`."),
    code(About::Command, "ledger-newer", "A newer keybench wrote this ledger.", "Use that version."),
    code(About::Command, "ledger-network-share", "The ledger is on a network share, where locks and syncs can't be relied on.", "Move it to a local disk."),
    code(About::Command, "ledger-unwritable", "The ledger can't be written: read-only, no right, or the disk is full.", "Mend that; nothing is half-written, the same command goes on."),
    code(About::Command, "ledger-missing", "There is no ledger at the place the settings name.", "Check `ledger.url`; `keybench run` makes a new one."),
    code(About::Command, "ledger-mirror", "The mirror can't be written, or belongs to another ledger.", "Mend that; no key got a PIN that the mirror does not have."),
    code(About::Command, "ledger-older", "The ledger has an older schema, and a reading command changes nothing.", "Start `keybench run` once."),
    code(About::Command, "ledger-unreadable", "The ledger's file can't be read, or is no ledger.", "Check `ledger.url`, the disk and the rights."),
    code(About::Command, "ledger-exists", "There is a file where a ledger is to be made.", "Choose another place, or move that file away."),
    code(About::Command, "not-begun", "`--give-up` names a job that has no key begun, or that the ledger does not know in this tenant. Nothing was started.", "Take the job's id from `keybench status`."),
    code(About::Command, "audit-altered", "An exported audit is not what was exported: rows were altered, removed, moved or cut off.", "Keep the file as evidence; check the ledger with `keybench audit verify`, and export it anew."),
    code(About::Command, "no-audit", "The file is no audit that keybench exported.", "Give the file as `keybench audit export` wrote it."),
    code(About::Command, "ledger-overtaken", "Another keybench wrote about the same job while this command was at it; nothing was written here.", "Run the command again: it looks at what is there now."),
    code(About::Command, "ledger-claim", "Another bench holds the job, or took it over.", "Let that bench finish."),
    code(About::Command, "ledger-refused", "The ledger does not take this: it would break a promise.", "Run the same command again; report it if it stays so."),
    code(About::Command, "ledger-uncertain", "The disk failed while an entry was being written.", "Check the disk, then run the same command again: it reads what is there and settles it."),
    code(About::Command, "no-entropy", "The operating system gave no random bytes.", "Nothing secret was made. Restart the machine; if it stays so, don't use it."),
    code(About::Command, "sim-outside-loopback", "Simulated keys may register with a simulated tenant on this machine only.", "Point graph_url and login_url at `keybench sim tenant`."),
    code(About::Command, "no-pin", "No PIN was given for a key that needs one.", "Type it at a terminal."),
    code(About::Command, "no-such-batch", "The ledger knows no batch of this name.", "`keybench status` names the batches."),
    code(About::Command, "no-keyring", "There is no system keyring to keep a sign-in in, or it is locked.", "Unlock or install one, or go without: each command signs in when it needs to."),
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
    code(About::Person, "outside-policy", "The tenant's passkey policy is not for this person, or lets them have no key.", "Add the person to a group that the policy includes, or take the line out."),
    code(About::Person, "too-many-passkeys", "The person would have more than 10 passkeys.", "Delete old ones."),
    code(About::Person, "unknown-key-kind", "No known model fits `key_kind`.", "Write words of the model's name, or its AAGUID."),
    code(About::Person, "renamed-unconfirmed", "The account has another name than when the job was planned, and nobody confirmed it.", "Run at a terminal and confirm, after checking that it is the same person."),

    code(About::Tenant, "graph-sign-in", "Signing in failed, or takes a person where there is no terminal.", "See the remedy in the message, by the AADSTS number where there is one."),
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
         `code` of an event ([schema](schema/README.md)). A code keeps its meaning; new ones may be added.\n\n\
         <!-- Written from src/cli/codes.rs and src/cli/exit.rs; a test compares. -->\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for exit in super::Exit::ALL {
        page.push_str(&format!("| {} | {} |\n", exit.code(), exit.meaning()));
    }
    for about in About::ALL {
        let (heading, text) = about.heading();
        page.push_str(&format!("\n## {heading}\n\n{text}\n\n| code | what it means | what to do |\n|---|---|---|\n"));
        for code in all().filter(|code| code.about == about) {
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
        let all: Vec<Code> = all().collect();
        for (index, code) in all.iter().enumerate() {
            assert!(
                code.code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                code.code
            );
            assert!(code.meaning.ends_with('.') && code.next.ends_with('.'), "{}", code.code);
            let twin = all.iter().skip(index + 1).find(|other| other.code == code.code && other.about == code.about);
            assert_eq!(twin, None);
        }
    }

    /// What stands between quotes and looks like a code, in the sources that give codes, is one: a code without a
    /// sentence and a next step can't come to be unseen.
    #[test]
    fn every_code_that_is_given_is_listed() {
        // Extensions, options, formats and other words with a dash.
        const OTHER_WORDS: [&str; 6] = ["give-up", "hmac-secret", "put-back", "re-plug", "role-assignable", "sim-key"];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources: Vec<std::path::PathBuf> = std::fs::read_dir(root.join("pipeline"))
            .expect("src/pipeline")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| !["code.rs", "stage.rs"].iter().any(|name| path.ends_with(name)))
            .filter(|path| !path.to_string_lossy().contains("tests"))
            .collect();
        sources.extend(["provision/give_up.rs", "provision/plan.rs", "provision/run.rs"].map(|name| root.join(name)));
        let mut found = std::collections::BTreeSet::new();
        for path in sources.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let text = std::fs::read_to_string(path).expect("a source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code_lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code_lines {
                let single = line.contains("code:") || line.contains("Some(\"");
                for word in line.split('"').skip(1).step_by(2) {
                    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    let dashed = word.contains('-') && word.starts_with(|c: char| c.is_ascii_lowercase());
                    if word.len() > 2 && word.chars().all(plain) && (dashed || single) {
                        found.insert(word.to_owned());
                    }
                }
            }
        }
        assert!(found.len() > 30, "{found:?}");
        found.extend(checks());
        let unlisted: Vec<&String> = found
            .iter()
            .filter(|word| journey::meaning(word).is_none() && !OTHER_WORDS.contains(&word.as_str()))
            .collect();
        assert!(unlisted.is_empty(), "no sentence and no next step for {unlisted:?}");
    }

    /// The codes of `CheckFailed::code`.
    fn checks() -> impl Iterator<Item = String> {
        let text = include_str!("../webauthn/checks.rs");
        let (_, body) = text.split_once("pub fn code(&self)").expect("CheckFailed::code");
        let (body, _) = body.split_once("\n    }\n").expect("its end");
        body.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    /// The codes that commands end with, from every `CliError` in the sources of the command line.
    #[test]
    fn every_code_of_a_command_is_listed() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
        let mut folders = vec![root];
        let mut found = std::collections::BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a source");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                let conversions = path.ends_with("causes.rs");
                let mut before = "";
                for (index, piece) in text.split('"').enumerate() {
                    let given = before.trim_end();
                    let after_exit = given.rsplit_once("Exit::").is_some_and(|(_, rest)| {
                        rest.strip_suffix(',').is_some_and(|exit| exit.chars().all(char::is_alphabetic))
                    });
                    let is_given = after_exit || given.ends_with("usage(") || conversions && given.ends_with("=>");
                    let plain = |c: char| c.is_ascii_lowercase() || c == '-';
                    if index % 2 == 1 && is_given && piece.contains('-') && piece.chars().all(plain) {
                        found.insert(piece.to_owned());
                    }
                    before = piece;
                }
            }
        }
        assert!(found.len() > 10, "{found:?}");
        let unlisted: Vec<&String> = found
            .iter()
            .filter(|name| find(About::Command, name).is_none() && find(About::Tenant, name).is_none())
            .collect();
        assert!(unlisted.is_empty(), "{unlisted:?}");
    }

    #[test]
    fn every_kind_of_trouble_with_graph_is_listed() {
        let text = include_str!("../graph/error.rs");
        let (_, body) = text.split_once("pub fn word(self)").expect("ErrorKind::word");
        let (body, _) = body.split_once("\n    }\n").expect("its end");
        for word in body.split('"').skip(1).step_by(2) {
            assert!(find(About::Tenant, word).is_some(), "{word}");
        }
    }

    #[test]
    fn every_refusal_of_a_person_is_listed() {
        for code in crate::roster::RefusalCode::ALL {
            assert!(find(About::Person, code.as_str()).is_some(), "{code}");
        }
    }
}
