//! Signing a person out everywhere.
//!
//! Source: user: revokeSignInSessions, <https://learn.microsoft.com/graph/api/user-revokesigninsessions>. It takes some minutes
//! until every application has noticed, and does nothing for guests.

use serde_json::json;

use super::client::{ApiVersion, Graph};
use super::error::GraphError;
use super::http::{Request, escape};
use crate::model::UserId;

impl Graph {
    /// Makes every refresh token of the person void: they have to sign in anew everywhere. Doing it twice does no harm.
    ///
    /// # Errors
    /// [`GraphError`], e.g. without `User.RevokeSessions.All`.
    pub fn revoke_sessions(&self, user: &UserId) -> Result<(), GraphError> {
        let path = format!("users/{}/revokeSignInSessions", escape(user.as_str()));
        let url = self.url(ApiVersion::V1, &path)?;
        // 200 is documented, 204 has been seen.
        self.call(&Request::post(url, json!({}), format!("sign {user} out everywhere")).safe())?;
        Ok(())
    }
}
