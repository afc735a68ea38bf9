//! What a refused call would have needed: the permission and the role, so that nobody has to look them up.
//!
//! Source: Microsoft Graph permissions reference and the pages of each call.

use super::error::{ErrorKind, Fixer, GraphError};

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// The least permission.
    pub scope: &'static str,
    /// Roles of a signed-in person, as a sentence's end.
    pub roles: &'static str,
    /// What a plain refusal (400) most often means, as whole sentences.
    pub refused: &'static str,
}

impl Needs {
    /// The same error with causes and next steps that belong to this call; kinds that say it themselves stay.
    pub fn explain(&self, error: GraphError) -> GraphError {
        match error.kind() {
            ErrorKind::Forbidden => {
                let said = quote_of(error.cause());
                error
                    .because(format!(
                        "The token lacks {}, or the signed-in person lacks a role that may: {}.{said}",
                        self.scope, self.roles
                    ))
                    .advise(format!(
                        "Add {} to the app registration with admin consent and sign in again; check that the role is active (PIM).",
                        self.scope
                    ))
            }
            ErrorKind::Refused => error.fixed_by(Fixer::Operator).advise(self.refused),
            _ => error,
        }
    }
}

/// What Graph itself said, which the general cause ends with.
fn quote_of(cause: &str) -> String {
    cause.find("Graph says:").and_then(|at| cause.get(at..)).map_or_else(String::new, |said| format!(" {said}"))
}
