//! Which checks there are. `docs/PREFLIGHT.md` is written from this table.

use super::facts::{Call, Facts, Mode, Purpose, calls};
use super::verdict::{Id, Verdict};
use super::{Judged, access, caller, passes, passkeys, people, settings};

/// A check.
pub struct Check {
    /// Its number.
    pub id: Id,
    /// Its name, as the table shows it.
    pub name: &'static str,
    /// What passes, in a sentence.
    pub rule: &'static str,
    /// The calls it goes by.
    pub calls: &'static [Call],
    /// What it is weighed for.
    pub purposes: &'static [Purpose],
    /// A run weighs it before its first key. What depends on the key in hand (PF09, PF10, PF33) it weighs at each key.
    pub in_run: bool,
    /// The verdicts it can give beside pass and unknown.
    pub verdicts: &'static [Verdict],
    /// What to do, in short.
    pub remedy: &'static str,
    pub(super) judge: fn(&Facts) -> Judged,
}

const P: Purpose = Purpose::Mode(Mode::Provision);
const S: Purpose = Purpose::Mode(Mode::SelfService);
const O: Purpose = Purpose::Mode(Mode::Oath);
const METHODS: Purpose = Purpose::WriteMethods;
const ACCESS: Purpose = Purpose::WriteAccess;

use Verdict::{Fail, Info, Warn};

macro_rules! checks {
    ($($id:literal $name:literal [$($purpose:ident)+] $run:literal $judge:path, [$($verdict:ident)+], [$($call:expr),+], $rule:literal, $remedy:literal;)+) => {
        /// All checks, by number.
        pub const CHECKS: &[Check] = &[$(Check {
            id: Id($id),
            name: $name,
            rule: $rule,
            calls: &[$($call),+],
            purposes: &[$($purpose),+],
            in_run: $run,
            verdicts: &[$($verdict),+],
            remedy: $remedy,
            judge: $judge,
        }),+];
    };
}

checks! {
    1 "permissions" [P S O] true caller::permissions, [Fail Warn], [calls::TOKEN],
        "The token may write what the mode writes, and read what is read beforehand.", "Consent to what is named.";
    2 "role" [P S O] true caller::role, [Fail Warn], [calls::MY_ROLES, calls::MY_ASSIGNMENTS, calls::ROLES],
        "A signed-in person is Authentication Administrator, or Privileged Authentication Administrator where people hold roles.", "Activate or assign the role.";
    3 "own account" [P S O] true caller::own_account, [Fail], [calls::TOKEN],
        "The signed-in account is not among the people.", "A colleague does this one.";
    4 "accounts" [P S O] true people::accounts, [Fail Warn], [calls::USER],
        "Everybody is in the directory, a member, and enabled.", "Correct the roster; guests get their key at home; enable accounts.";
    5 "names stay" [P S] false people::names_stay, [Warn], [calls::SAID],
        "User principal names will not change.", "Rename first, then provision.";
    6 "passkeys on" [P S] true passkeys::on, [Fail], [calls::POLICY],
        "Passkey (FIDO2) is on.", "Turn it on.";
    7 "people in scope" [P S] true passkeys::scope, [Fail], [calls::POLICY, calls::GROUPS],
        "Everybody is in an included group and in no excluded one.", "Add them to the pilot group.";
    8 "self-service set-up" [P S] true passkeys::self_service, [Fail], [calls::POLICY],
        "Self-service set-up is allowed; registration by an administrator needs it too.", "Allow it.";
    9 "key model allowed" [P S] false passkeys::model, [Fail], [calls::POLICY],
        "A profile of each person accepts each model.", "Add the AAGUID, or use another model.";
    10 "attestation" [P S] false passkeys::attestation, [Fail Warn], [calls::POLICY],
        "Where attestation is asked for, the model is certified and gives packed attestation.", "Use another model; don't switch attestation off for one key.";
    11 "policy schema" [P S] false passkeys::schema, [Info], [calls::POLICY],
        "The policy has passkey profiles.", "Opt in before October 2027.";
    12 "synced passkeys" [P S] true passkeys::synced_allowed, [Warn], [calls::POLICY],
        "People may have device-bound passkeys only.", "Give them a profile without synced passkeys.";
    13 "policy size" [METHODS] false passkeys::size, [Fail Warn], [calls::POLICY],
        "The passkey policy has less than 18 KB; Entra takes 20.", "Merge profiles.";
    14 "pass policy" [S] false passes::on, [Fail], [calls::POLICY, calls::GROUPS],
        "Temporary Access Pass is on, and everybody in scope.", "Turn it on; add people to its group.";
    15 "pass shape" [S] false passes::shape, [Warn], [calls::POLICY],
        "Lifetimes follow each other, 480 minutes at most; passes fit the first devices.", "Issue multi-use passes where the device needs them.";
    16 "passes left over" [P S O] false people::passes_left, [Warn], [calls::METHODS],
        "Nobody has a usable pass.", "Delete it.";
    17 "registering" [S] false access::registering, [Fail Warn], [calls::WHAT_IF],
        "What applies to registering security information is met by a pass.", "A strength that takes passes; a named location; an exclusion.";
    18 "registration protected" [S] false access::protected, [Warn], [calls::ACCESS, calls::GROUPS],
        "An enabled policy for registering security information covers everybody.", "Make one.";
    19 "signing in" [P S] true access::signing_in, [Fail Warn], [calls::ACCESS, calls::WHAT_IF],
        "What applies to signing in is met by the key and its AAGUID.", "Let the strength take the key.";
    20 "pass for apps" [S] false access::pass_everywhere, [Info], [calls::WHAT_IF],
        "Strengths for applications take a pass too.", "Nothing to do.";
    21 "device join" [S] false access::joining, [Warn], [calls::ACCESS, calls::DEVICES, calls::WHAT_IF],
        "With a policy for joining devices, the tenant-wide switch is off and a pass meets the policy.", "Turn the switch off; let the strength take passes.";
    22 "break-glass" [ACCESS] false access::break_glass, [Fail], [calls::ACCESS, calls::ADMINISTRATORS, calls::METHODS],
        "Every policy excludes the break-glass accounts, and two Global Administrators are ready for an emergency.", "Exclude them; make two.";
    23 "security defaults" [ACCESS] false access::security_defaults, [Fail], [calls::DEFAULTS],
        "Security defaults are off.", "Turn them off when the policies go on.";
    24 "licences" [ACCESS O] false access::licences, [Fail], [calls::LICENCES],
        "The tenant has Entra ID P1 or P2, and Intune where devices must be compliant.", "Buy them, or leave it out.";
    25 "legacy methods" [P S O] false settings::migration, [Warn], [calls::POLICY],
        "The legacy MFA and password reset pages are no longer in use.", "Finish the migration.";
    26 "registration policies" [S] false settings::registration_policies, [Warn], [calls::SAID],
        "The MFA registration policy and registration for password reset leave these people out (no API: asked once).", "Exclude the onboarding group.";
    27 "password reset" [P S] false people::password_reset, [Warn], [calls::REGISTRATION, calls::AUTHORIZATION],
        "Self-service password reset does not apply to people without a password.", "Take them out of its group.";
    28 "per-user MFA" [P S O] false people::per_user_mfa, [Warn], [calls::REQUIREMENTS],
        "Per-user MFA is off (beta).", "Set it to disabled.";
    29 "federated domain" [P S O] false people::federation, [Warn], [calls::DOMAIN, calls::FEDERATION],
        "Entra signs people in, or may do the MFA.", "Make the domain managed, or let Entra do the MFA.";
    30 "registration campaign" [P S O] false settings::campaign, [Info], [calls::POLICY],
        "The campaign is off, or by your own settings.", "Nothing to do for people with keys.";
    31 "SMS and voice" [P S O] false settings::telephony, [Info], [calls::POLICY],
        "SMS and voice calls are off.", "Turn them off.";
    32 "second authenticator" [P S O] false people::second_authenticator, [Warn], [calls::METHODS, calls::SAID],
        "Everybody will have two strong authenticators, or recovery is written down.", "A second key.";
    33 "passkeys there" [P] false people::passkeys_there, [Warn], [calls::METHODS, calls::PASSKEYS],
        "Nobody has a passkey of this model yet.", "Leave them out, or delete what is lost.";
    34 "OATH tokens" [O] false settings::oath, [Fail], [calls::OATH_POLICY, calls::OATH_DEVICES],
        "Hardware OATH is on and in scope; each line is sound and its serial number new (beta).", "Correct the line.";
    35 "cloud" [P S O] true caller::cloud, [Fail], [calls::HOSTS],
        "Keys are registered for others in the global cloud only.", "People register themselves.";
    36 "clock" [P O] true caller::clock, [Warn], [calls::CLOCK],
        "This machine's clock is within 30 s of Graph's.", "Set the clock.";
}

/// A check by its number.
pub fn find(id: Id) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id == id)
}
