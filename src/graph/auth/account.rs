//! Who a token speaks for: its claims, read but not verified.
//!
//! They are for showing, and for refusing early what Graph would refuse anyway; nothing is allowed on their strength.
//! Microsoft says that access tokens for Graph may become opaque: then every member is empty.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::model::{TenantId, UserId};

/// The signed-in account or application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Object id of the user or service principal (`oid`).
    pub object_id: Option<UserId>,
    /// User principal name or application name, for people (`upn`, `preferred_username`, `unique_name`, `app_displayname`).
    pub name: Option<String>,
    /// Tenant (`tid`).
    pub tenant: Option<TenantId>,
    /// Application id (`appid`, `azp`).
    pub app_id: Option<String>,
    /// Signed in as the application itself, without a person (`idtyp`).
    pub app_only: bool,
    /// Permissions: delegated scopes (`scp`) or application roles (`roles`).
    pub permissions: Vec<String>,
    /// Template ids of the account's directory roles (`wids`).
    pub directory_roles: Vec<String>,
}

impl Account {
    /// Reads a JWT's claims; an opaque or strange token gives an empty account.
    pub fn from_token(token: &str) -> Self {
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
        let claims: Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let text = |name: &str| {
            claims[name].as_str().map(|text| super::super::error::one_line(text, 200)).filter(|text| !text.is_empty())
        };
        let list = |name: &str| -> Vec<String> {
            claims[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        // Not through `text`: the list may be long, and what stands at its end counts too.
        let scopes: Vec<String> =
            claims["scp"].as_str().unwrap_or("").split_ascii_whitespace().map(str::to_owned).collect();
        let app_only = match text("idtyp") {
            Some(kind) => kind == "app",
            // v1.0 tokens without idtyp: an application has roles and no scopes.
            None => scopes.is_empty() && !list("roles").is_empty(),
        };
        Self {
            object_id: text("oid").map(|oid| UserId::new(oid.to_ascii_lowercase())),
            name: text("upn")
                .or_else(|| text("preferred_username"))
                .or_else(|| text("unique_name"))
                .or_else(|| text("app_displayname")),
            tenant: text("tid").map(|tid| TenantId::new(tid.to_ascii_lowercase())),
            app_id: text("appid").or_else(|| text("azp")),
            app_only,
            permissions: if scopes.is_empty() { list("roles") } else { scopes },
            directory_roles: list("wids"),
        }
    }

    /// Whether the token can register passkeys for others; `None` when it doesn't tell.
    pub fn can_register_passkeys(&self) -> Option<bool> {
        const ENOUGH: [&str; 2] = ["UserAuthMethod-Passkey.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"];
        (!self.permissions.is_empty())
            .then(|| self.permissions.iter().any(|held| ENOUGH.iter().any(|scope| held.eq_ignore_ascii_case(scope))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::jwt;
    use proptest::prelude::*;

    #[test]
    fn claims_are_read() {
        let account = Account::from_token(&jwt(
            r#"{"oid":"AAAA","tid":"T","appid":"app","upn":"admin@contoso.com","scp":"User.Read.All UserAuthMethod-Passkey.ReadWrite.All","wids":["w"]}"#,
        ));
        assert_eq!(account.object_id, Some(UserId::new("aaaa")));
        assert_eq!(account.name.as_deref(), Some("admin@contoso.com"));
        assert_eq!(account.can_register_passkeys(), Some(true));
        assert!(!account.app_only);
        let app = Account::from_token(&jwt(r#"{"oid":"B","azp":"app","roles":["User.Read.All"]}"#));
        assert!(app.app_only);
        assert_eq!(app.can_register_passkeys(), Some(false));
        assert_eq!(app.app_id.as_deref(), Some("app"));
    }

    #[test]
    fn the_last_of_many_scopes_counts() {
        let scopes = format!("{}UserAuthenticationMethod.ReadWrite.All", "Directory.Read.All ".repeat(100));
        let account = Account::from_token(&jwt(&format!(r#"{{"scp":"{scopes}"}}"#)));
        assert_eq!((account.permissions.len(), account.can_register_passkeys()), (101, Some(true)));
    }

    #[test]
    fn an_opaque_token_is_no_error() {
        for token in ["", "opaque", "a.b.c", "..", "e30.e30.", "e30.W10."] {
            let account = Account::from_token(token);
            assert_eq!(account.object_id, None);
            assert_eq!(account.can_register_passkeys(), None);
        }
    }

    proptest! {
        #[test]
        fn no_token_panics(token in "\\PC{0,80}", claims in "\\PC{0,80}") {
            let _ = Account::from_token(&token);
            let _ = Account::from_token(&jwt(&claims));
        }
    }
}
