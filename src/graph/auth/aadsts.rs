//! Entra's error numbers → cause and remedy.
//!
//! Microsoft warns that numbers may change, so the program branches on OAuth's `error` and uses the number for words only
//! (Microsoft Entra authentication and authorization error codes).

use crate::graph::error::Fixer;

/// What an error number means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub cause: &'static str,
    pub next: &'static str,
    pub fixer: Fixer,
}

/// The meaning of an `AADSTS` number, if we know it.
pub(super) fn meaning(code: u32) -> Option<Meaning> {
    use Fixer::{Microsoft, Operator, TenantAdmin};
    let (cause, next, fixer) = match code {
        50059 | 50128 | 90002 => (
            "There is no such tenant in this cloud.",
            "Check `id` under [tenant]: the tenant's GUID, or one of its verified domains.",
            Operator,
        ),
        90038 | 900_432 => (
            "The tenant lives in another national cloud.",
            "keybench works in the global cloud only, where the registration API exists; check `id` under [tenant].",
            Operator,
        ),
        700_016 | 70001 | 7_000_112 => (
            "The application is not known in this tenant, or is disabled there.",
            "Check `client_id` under [tenant] against the app registration's Overview page (not its object id), and that it belongs to this tenant.",
            Operator,
        ),
        7_000_215 => (
            "The client secret is wrong. Often the secret's id was copied instead of its value.",
            "Make a new client secret in the app registration, copy the column \u{201c}Value\u{201d}, and store it where `client_secret_file` points.",
            Operator,
        ),
        7_000_222 => (
            "The client secret has expired.",
            "Make a new client secret in the app registration and store its value where `client_secret_file` points; or use a certificate.",
            TenantAdmin,
        ),
        7_000_218 => (
            "The application is registered as one that must show a secret.",
            "In the app registration, under Authentication, set \u{201c}Allow public client flows\u{201d} to Yes (`keybench tenant app` prints the whole registration).",
            TenantAdmin,
        ),
        700_025 => (
            "The application is a public client and was sent a secret.",
            "Set `auth` under [tenant] to device-code or browser, or register the application as a confidential client.",
            Operator,
        ),
        700_027 | 700_030 | 50012 | 50013 | 500_133 | 700_024 => (
            "The certificate's signature was not accepted: the certificate isn't uploaded to the app registration, or this machine's clock is wrong.",
            "Upload the certificate of `certificate_file` under Certificates & secrets, compare the thumbprints, and check this machine's time.",
            TenantAdmin,
        ),
        50011 | 70004 | 900_971 => (
            "The address the browser should come back to isn't registered.",
            "In the app registration, under Authentication, add the platform \u{201c}Mobile and desktop applications\u{201d} with http://localhost.",
            TenantAdmin,
        ),
        501_481 | 50147 | 501_491 => (
            "The proof that the sign-in is ours (PKCE) was not accepted.",
            "Sign in again; close older sign-in pages first.",
            Operator,
        ),
        54005 | 70008 | 700_082 | 50173 | 70043 | 50132 | 50133 | 50089 => {
            ("The sign-in was used up, has expired, or was revoked.", "Sign in again.", Operator)
        }
        65001 | 90094 | 90095 | 65004 | 650_053 | 650_056 | 650_057 | 65005 => (
            "The permissions that this command needs have not been consented to by an administrator, or the app registration does not list them.",
            "`keybench tenant app --for COMMAND` prints what to add and the address for the consent; `keybench login --as-registered` takes what there is.",
            TenantAdmin,
        ),
        50105 => (
            "The account is not assigned to the application.",
            "Assign the account under Enterprise applications > this application > Users and groups.",
            TenantAdmin,
        ),
        50020 | 50034 | 51004 | 16000 | 16003 => (
            "The account does not belong to this tenant.",
            "Sign in with an account of the tenant named in `id` under [tenant].",
            Operator,
        ),
        50053 | 50055 | 50056 | 50057 | 50126 | 50144 => (
            "The account is locked, disabled, or its password is wrong or expired.",
            "Sign in with that account in a browser first; its message says which of these it is.",
            Operator,
        ),
        50072 | 50074 | 50076 | 50078 | 50079 | 50158 => (
            "The tenant asks for multifactor authentication.",
            "Sign in again in a browser: set `auth` under [tenant] to browser.",
            Operator,
        ),
        53000..=53004 | 530_032 | 530_035 | 530_036 | 50097 | 50129 | 50131 => (
            "A Conditional Access rule of the tenant blocks this sign-in. Many tenants block the device-code flow as such.",
            "Set `auth` under [tenant] to browser, or have this machine and account excepted; the sign-in log names the rule.",
            TenantAdmin,
        ),
        50194 | 9_001_023 | 90124 | 90130 => (
            "The application is not open to several tenants, so the tenant must be named.",
            "Set `id` under [tenant] to the tenant's GUID.",
            Operator,
        ),
        28002 | 70011 | 700_022 | 650_052 | 500_011 | 50001 => (
            "The permission or the service asked for does not exist in this tenant.",
            "Check the API permissions of the app registration; a new tenant may need its first sign-in to the Azure portal.",
            TenantAdmin,
        ),
        50196 => (
            "The sign-in service sees the same request over and over.",
            "Wait five minutes, then run the same command again.",
            Operator,
        ),
        90055 | 90006 | 90012 | 90024 | 90033 | 50033 | 50087 => {
            ("The sign-in service has a passing fault.", "Run the same command again in a few minutes.", Microsoft)
        }
        _ => return None,
    };
    Some(Meaning { cause, next, fixer })
}

/// Whether waiting may help.
pub(super) fn is_transient(code: u32) -> bool {
    matches!(code, 90055 | 90006 | 90012 | 90024 | 90033 | 50033 | 50087)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meaning_is_whole() {
        let known: Vec<u32> = (0..1_000_000)
            .chain(7_000_000..7_001_000)
            .chain(9_001_000..9_002_000)
            .filter(|&c| meaning(c).is_some())
            .collect();
        assert!(known.len() > 60);
        for code in known {
            let Some(Meaning { cause, next, .. }) = meaning(code) else { continue };
            assert!(cause.ends_with('.') && next.ends_with('.'), "{code}");
        }
    }

    #[test]
    fn the_common_mistakes_have_their_words() {
        assert!(meaning(7_000_215).is_some_and(|m| m.cause.contains("secret is wrong")));
        assert!(meaning(90002).is_some_and(|m| m.cause.contains("no such tenant")));
        assert!(meaning(53003).is_some_and(|m| m.next.contains("browser")));
        assert!(meaning(12345).is_none());
    }
}
