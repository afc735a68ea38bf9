//! Error numbers of the sign-in log → what they mean for a person with a new key.
//!
//! Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error codes"
//! (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>). Microsoft says that they may change: they are for
//! people to read, and the program goes by "zero" and "not zero" only, except that a page in between is told from a failure.

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeMeaning {
    /// Entra showed a page in between; by itself this is no failure.
    pub interrupts: bool,
    /// What happened, a sentence.
    pub meaning: &'static str,
    /// What to do, a sentence; empty where there is nothing to do.
    pub next: &'static str,
}

const fn page(meaning: &'static str) -> CodeMeaning {
    CodeMeaning { interrupts: true, meaning, next: "" }
}

const fn failure(meaning: &'static str, next: &'static str) -> CodeMeaning {
    CodeMeaning { interrupts: false, meaning, next }
}

/// The meaning of a number, if it is known here. Zero is success and has none.
pub fn code_meaning(code: i64) -> Option<CodeMeaning> {
    Some(match code {
        50074 | 50076 | 50158 => page("A second factor was asked for."),
        50072 | 50079 => page("The person was asked to register a method first."),
        50140 => page("The person was asked whether to stay signed in."),
        50055 => page("The password has expired and was to be changed."),
        50125 | 50127 => page("A password reset or a broker app came in between."),
        50058 | 50133 | 50173 | 70044 => page("There was no usable session; the person was asked to sign in."),
        16000 | 16001 | 50129 => page("The person was asked to choose an account or to register the device."),
        65001 => page("The person was asked to agree to an application's permissions."),
        81010 | 81012 | 81014 => page("Seamless sign-on did not work; another way was offered."),
        135_010 => failure(
            "The key was not found: it is not registered for this account, or the registration was deleted.",
            "Compare `keybench show` of the key with the passkeys that the tenant lists; after a change of the user principal name the key must be registered anew.",
        ),
        135_011 => {
            failure("The device that holds the passkey is disabled.", "Enable the device in the Entra admin centre.")
        }
        130_004..=130_008 => failure(
            "Windows Hello for Business on that device has a problem with its key.",
            "Have the person sign in with the security key and set Windows Hello up again.",
        ),
        500_121 => failure(
            "The second factor was declined, timed out, or failed.",
            "Have the person try again; a touch of the key may have been missed.",
        ),
        53000 => failure(
            "A rule asks for a compliant device.",
            "Use a compliant device, or except the person for the first sign-in.",
        ),
        53001 => failure(
            "A rule asks for a device that is joined.",
            "Use a joined device, or except the person for the first sign-in.",
        ),
        53002 | 53009 => failure(
            "The application is not one that a rule allows.",
            "See the rule in the sign-in log's Conditional Access tab.",
        ),
        53003 => failure(
            "A Conditional Access rule blocked the sign-in.",
            "The rule's name is in the sign-in log; `keybench tenant whatif` shows what it demands.",
        ),
        53004 => failure(
            "The person has to register a method, and may not, because the sign-in looks risky.",
            "Look at the person's risk in the Entra admin centre; register with a Temporary Access Pass from a trusted place.",
        ),
        530_032 | 530_035 => {
            failure("Security defaults or the tenant's policy blocked the sign-in.", "See the sign-in log's details.")
        }
        50097 => page("Device authentication was asked for."),
        50053 => failure("The account is locked, or the address is known for attacks.", "Wait, or unlock the account."),
        50057 => failure("The account is disabled.", "Enable the account."),
        50126 => failure(
            "Wrong user name or password.",
            "With a key no password is needed: choose Sign-in options, then Security key.",
        ),
        50034 => failure("There is no such account in this tenant.", "Check the name that was typed."),
        50020 => failure("The account belongs to another tenant.", "Check the name that was typed."),
        50105 => failure("The person is not assigned to the application.", "Assign them to the application."),
        50089 | 70043 | 70008 | 700_082 => {
            failure("The sign-in took too long or has expired.", "Have the person begin again.")
        }
        90094 | 90095 => failure(
            "An administrator has to agree to the application first.",
            "Grant admin consent to the application.",
        ),
        700_016 => failure("The application is not known in this tenant.", "Check the application."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_to_do() {
        let known: Vec<(i64, CodeMeaning)> =
            (1..600_000).chain(700_000..701_000).filter_map(|code| Some((code, code_meaning(code)?))).collect();
        assert!(known.len() > 35);
        for (code, meaning) in known {
            assert!(meaning.meaning.ends_with('.'), "{code}");
            assert_eq!(meaning.interrupts, meaning.next.is_empty(), "{code}");
            assert!(meaning.next.is_empty() || meaning.next.ends_with('.'), "{code}");
        }
        assert_eq!(code_meaning(0), None);
        assert!(code_meaning(50074).is_some_and(|meaning| meaning.interrupts));
        assert!(code_meaning(53003).is_some_and(|meaning| !meaning.interrupts));
    }
}
