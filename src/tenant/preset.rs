//! Wanted states to begin with: commented files, for an admin to read and change before anything is planned.

use crate::model::Aaguid;

/// What a preset is made for.
#[derive(Debug, Clone, Default)]
pub struct Pilot<'a> {
    /// The pilot group.
    pub group: &'a str,
    /// Groups of accounts that no policy may apply to.
    pub break_glass: &'a [String],
    /// Countries by ISO 3166 alpha-2; none: no rule about places.
    pub countries: &'a [String],
    /// Key models; none: any.
    pub aaguids: &'a [Aaguid],
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<T: ToString>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(&item.to_string())).collect::<Vec<_>>().join(", "))
}

/// A pilot group that signs in with keys, set up with passes.
pub fn pilot(wanted: &Pilot<'_>) -> String {
    let group = quoted(wanted.group);
    let glass = if wanted.break_glass.is_empty() {
        "# Name at least one before this file can be planned: it is excluded from every policy below.\n\
         # groups = [\"Break glass\"]\n"
            .to_owned()
    } else {
        format!("groups = {}\n", list(wanted.break_glass))
    };
    let holders: Vec<&str> =
        std::iter::once(wanted.group).chain(wanted.break_glass.iter().map(String::as_str)).collect();
    let holders = list(&holders);
    let keys = if wanted.aaguids.is_empty() {
        "# Any model. To allow some only: keys = \"only\" and aaguids = [\"…\"]; `keybench key info` shows a key's AAGUID.\n\
         keys = \"any\"\n"
            .to_owned()
    } else {
        format!(
            "# Taking a model out of this list later locks out everybody who has one.\nkeys = \"only\"\naaguids = {}\n",
            list(wanted.aaguids)
        )
    };
    let strength_keys =
        if wanted.aaguids.is_empty() { String::new() } else { format!("aaguids = {}\n", list(wanted.aaguids)) };
    let places = if wanted.countries.is_empty() {
        String::new()
    } else {
        format!(
            "\n# Whoever holds a pass and guesses the name owns the account: from other countries nobody registers anything.\n\
             [[location]]\nname = \"Countries for registration\"\ncountries = {}\nunknown_too = false\n\
             \n[[conditional_access]]\nname = \"keybench: no registration from other countries\"\non = \"register-security-info\"\n\
             demand = \"block\"\ninclude = [{group}]\noutside = [\"Countries for registration\"]\nstate = \"on\"\n",
            list(&wanted.countries.iter().map(|code| code.to_ascii_uppercase()).collect::<Vec<_>>())
        )
    };
    format!(
        "# A pilot group that signs in with security keys. Written by `keybench tenant preset pilot`; change it as you need.\n\
         # `keybench tenant plan FILE` shows what it would change; `keybench tenant apply FILE` makes it so, and every change\n\
         # can be undone. What this file does not speak of is left as it is. docs/POLICY.md has every member.\n\
         \n# Security defaults and policies that are on exclude each other. Where they are on today, they are what asks EVERYBODY for\n\
         # MFA: with this line the people outside the pilot sign in with a password alone, until a policy asks them. The plan says so.\n\
         # To put one in their place, take the # away from \"MFA for everybody\" below.\nsecurity_defaults = false\n\
         \n# A policy below asks for MFA when a device is joined; the tenant-wide switch would be in its way.\ndevice_join_mfa = false\n\
         \n# Accounts for the day on which everything else fails. Two, cloud-only, with keys of their own, kept in a safe.\n\
         [break_glass]\n{glass}\
         \n# Passkeys, security keys among them. `include` is the whole list: if others have passkeys already, name their\n\
         # groups too (or \"all\"), or they can't sign in with them any more. The break-glass accounts have keys as well. The plan\n\
         # names whom it would lock out.\n\
         [fido2]\nstate = \"on\"\n\
         # Registering for somebody else needs this as well.\nself_service = true\ninclude = {holders}\n\
         \n[[fido2.profile]]\nname = \"Security keys\"\ntypes = [\"device-bound\"]\n\
         # A key has to prove its model when it is registered.\nattestation = \"required\"\n{keys}for = {holders}\n\
         \n# A pass lets a person in once, to register what they will use from then on. `include` is the whole list here too.\n\
         [temporary_access_pass]\nstate = \"on\"\ninclude = [{group}]\nlength = 12\nminutes = 60\nleast_minutes = 60\nmost_minutes = 480\n\
         # false: each pass says itself whether it works once. `keybench tap advise` tells which fits.\none_time = false\n\
         \n# The second way in, for who has a phone. Who may use it stays as it is: `include` would be the whole list, for everybody.\n\
         [authenticator]\nstate = \"on\"\n\
         \n# What can be talked out of people, a pilot should not have. Off for the pilot; `state = \"off\"` is for everybody. `exclude` is\n\
         # the whole list: whom you have excluded already, name here too, or they may use it again. The plan names them.\n\
         [sms]\nexclude = [{group}]\n\n[voice]\nexclude = [{group}]\n\n[software_oath]\nexclude = [{group}]\n\n[email]\nexclude = [{group}]\n\
         \n# A key on the account ends the nudging; until then, ask for a passkey. `include` is the whole list.\n\
         [registration_campaign]\nstate = \"on\"\nask_for = \"passkey\"\nsnooze_days = 1\ninclude = [{group}]\n\
         \n# The old per-user MFA gets in the way of Conditional Access (beta). Take it off together with switching \"MFA for all apps\"\n\
         # on, and not before: until then it may be all that asks these people for more than a password.\n\
         # [per_person]\n# people = [{group}]\n# mfa = \"disabled\"\n\
         \n# The built-in passwordless strength takes no pass, and without one nobody can begin.\n\
         [[strength]]\nname = \"Passwordless or pass\"\ndescription = \"For registering security information and joining devices\"\n\
         allow = [\"fido2\", \"windowsHelloForBusiness\", \"x509CertificateMultiFactor\", \"deviceBasedPush\", \
         \"temporaryAccessPassOneTime\", \"temporaryAccessPassMultiUse\"]\n{strength_keys}\
         \n# Made off, tried by what-if on one person of the group and on the break-glass accounts, then switched on:\n\
         # report-only proves nothing for these two.\n\
         [[conditional_access]]\nname = \"keybench: registering needs passwordless or a pass\"\non = \"register-security-info\"\n\
         strength = \"Passwordless or pass\"\ninclude = [{group}]\nstate = \"on\"\n\
         \n[[conditional_access]]\nname = \"keybench: joining a device needs passwordless or a pass\"\non = \"register-device\"\n\
         strength = \"Passwordless or pass\"\ninclude = [{group}]\nstate = \"on\"\n{places}\
         \n# Reported first: look at the sign-in log for a week, then say \"on\".\n\
         [[conditional_access]]\nname = \"keybench: MFA for all apps\"\non = \"sign-in\"\napps = [\"all\"]\ndemand = \"mfa\"\n\
         include = [{group}]\nstate = \"report-only\"\n\
         \n# In the place of security defaults, for the people outside the pilot. The plan names whom it would lock out; begin with\n\
         # \"report-only\", and know that until it is \"on\" nobody is asked.\n\
         # [[conditional_access]]\n# name = \"keybench: MFA for everybody\"\n# on = \"sign-in\"\n# apps = [\"all\"]\n# demand = \"mfa\"\n\
         # include = [\"all\"]\n# state = \"on\"\n\
         \n# For people who have signed in with their key: the others are spared until they have. Apply again to take them in.\n\
         [[conditional_access]]\nname = \"keybench: phishing-resistant for who uses a key\"\non = \"sign-in\"\napps = [\"all\"]\n\
         strength = \"phishing-resistant\"\nkey_users_only = true\ninclude = [{group}]\nstate = \"report-only\"\n\
         \n# With Intune, and once the pilot's devices are compliant:\n\
         # [[conditional_access]]\n# name = \"keybench: Office 365 needs a compliant device\"\n# on = \"sign-in\"\n# apps = [\"office365\"]\n\
         # demand = \"compliant-device\"\n# include = [{group}]\n# state = \"report-only\"\n\
         \n# Not in this file, because no API has it: `keybench tenant confirm` lists what to look at in the portals.\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::desired::Desired;

    #[test]
    fn the_preset_is_a_right_file_once_break_glass_is_named() {
        let glass = ["Break glass".to_owned()];
        let countries = ["nl".to_owned(), "BE".to_owned()];
        let aaguids = [Aaguid([1; 16])];
        let full = Pilot { group: "Keys \"1\"", break_glass: &glass, countries: &countries, aaguids: &aaguids };
        let read = Desired::read(&pilot(&full)).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!((read.access.len(), read.locations.len(), read.strengths.len()), (5, 1, 1));
        let bare = Pilot { group: "Keys", ..Pilot::default() };
        let problems = Desired::read(&pilot(&bare)).expect_err("nobody is spared");
        assert!(problems.iter().all(|problem| problem.what.contains("break-glass")), "{problems:?}");
    }
}
