//! What an administrator told us of settings that have no API.
//!
//! Promise: such a setting is never guessed and never counted as right. It is named with its place in the portal, asked
//! for once, and what was answered stands in the ledger with date and name; the newest answer counts.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::{Append, Entry, Ledger, LedgerError, TenantEntry};
use crate::model::TenantId;

/// A setting that no published API reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// ID Protection's multifactor authentication registration policy.
    MfaRegistrationPolicy,
    /// Whom self-service password reset is for.
    SsprScope,
    /// The check boxes of the old per-user MFA page.
    LegacyMfaSettings,
    /// Combined registration of MFA and password reset.
    CombinedRegistration,
    /// Signing in to Windows with a security key.
    WindowsKeySignIn,
    /// Signing in to Windows with a web page, which a pass needs at the lock screen.
    WindowsWebSignIn,
    /// Whether people's user principal names are final.
    NamesStay,
    /// How somebody gets back in who lost their only key.
    Recovery,
}

/// How the setting stands, by the administrator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is as it should be.
    Done,
    /// It is not, and that is known.
    NotDone,
    /// This tenant doesn't use it.
    NotUsed,
}

/// What one administrator said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Of what.
    pub topic: Topic,
    /// What.
    pub answer: Answer,
    /// Who, by the operating system's name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Topic {
    /// All, in the order in which a tenant is set up.
    pub const ALL: [Self; 8] = [
        Self::CombinedRegistration,
        Self::LegacyMfaSettings,
        Self::MfaRegistrationPolicy,
        Self::SsprScope,
        Self::WindowsKeySignIn,
        Self::WindowsWebSignIn,
        Self::NamesStay,
        Self::Recovery,
    ];

    /// Its name on the command line and in the ledger.
    pub fn id(self) -> &'static str {
        match self {
            Self::MfaRegistrationPolicy => "mfa-registration-policy",
            Self::SsprScope => "sspr-scope",
            Self::LegacyMfaSettings => "legacy-mfa-settings",
            Self::CombinedRegistration => "combined-registration",
            Self::WindowsKeySignIn => "windows-key-sign-in",
            Self::WindowsWebSignIn => "windows-web-sign-in",
            Self::NamesStay => "names-stay",
            Self::Recovery => "recovery",
        }
    }

    /// Reads [`Self::id`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.id() == text)
    }

    /// What it is called in the portal.
    pub fn title(self) -> &'static str {
        match self {
            Self::MfaRegistrationPolicy => "multifactor authentication registration policy (ID Protection)",
            Self::SsprScope => "who may reset their own password",
            Self::LegacyMfaSettings => "verification options of the old per-user MFA page",
            Self::CombinedRegistration => "combined registration of security information",
            Self::WindowsKeySignIn => "security-key sign-in to Windows (Intune)",
            Self::WindowsWebSignIn => "web sign-in to Windows (Intune)",
            Self::NamesStay => "whether user principal names stay as they are",
            Self::Recovery => "how somebody gets back in who lost their only key",
        }
    }

    /// Where it is set.
    pub fn portal(self) -> &'static str {
        match self {
            Self::MfaRegistrationPolicy => {
                "Entra admin centre > ID Protection > Dashboard > Multifactor authentication registration policy"
            }
            Self::SsprScope => "Entra admin centre > Entra ID > Password reset > Properties",
            Self::LegacyMfaSettings => {
                "Entra admin centre > Entra ID > Users > All users > Per-user MFA > Service settings"
            }
            Self::CombinedRegistration => {
                "Entra admin centre > Entra ID > Users > User settings > Manage user feature settings"
            }
            Self::WindowsKeySignIn => {
                "Intune admin centre > Devices > Enrollment > Windows Hello for Business > Use security keys for sign-in"
            }
            Self::WindowsWebSignIn => {
                "Intune admin centre > Devices > Configuration > settings catalog > Authentication > Enable Web Sign In"
            }
            Self::NamesStay => "no portal: ask whoever renames accounts",
            Self::Recovery => "no portal: your service desk's own instructions",
        }
    }

    /// How it should stand for people who sign in with keys.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::MfaRegistrationPolicy => "the pilot group is excluded, or the policy is off",
            Self::SsprScope => {
                "\u{201c}Selected\u{201d}, with a group that holds none of the pilot's people, or \u{201c}None\u{201d}"
            }
            Self::LegacyMfaSettings => {
                "no verification option is ticked, once the authentication methods policy has taken over"
            }
            Self::CombinedRegistration => {
                "nothing to set: every tenant has it; an old switch still shown must be on for everybody"
            }
            Self::WindowsKeySignIn => "\u{201c}Enabled\u{201d}, where people sign in to Windows with their key",
            Self::WindowsWebSignIn => {
                "\u{201c}Enabled\u{201d}, where people sign in to Windows with a Temporary Access Pass"
            }
            Self::NamesStay => "no renaming is planned: a passkey can't follow a change of name",
            Self::Recovery => "written down: how the caller is identified, and who issues a Temporary Access Pass",
        }
    }

    /// What goes wrong otherwise.
    pub fn otherwise(self) -> &'static str {
        match self {
            Self::MfaRegistrationPolicy => {
                "after signing in with a pass, people are led through a set-up that can't register a key"
            }
            Self::SsprScope => "people without a password are asked to register for resetting it",
            Self::LegacyMfaSettings => "methods that the policy forbids stay usable",
            Self::CombinedRegistration => "people meet the old registration pages, which don't know keys",
            Self::WindowsKeySignIn => "the key is not offered at the Windows lock screen",
            Self::WindowsWebSignIn => "a pass can't be typed at the Windows lock screen",
            Self::NamesStay => "a renamed person's passkey must be deleted and made again",
            Self::Recovery => "whoever loses their only key is locked out",
        }
    }
}

impl Answer {
    /// All.
    pub const ALL: [Self; 3] = [Self::Done, Self::NotDone, Self::NotUsed];

    /// Its name on the command line and in the ledger.
    pub fn id(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not-done",
            Self::NotUsed => "not-used",
        }
    }

    /// Reads [`Self::id`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.id() == text)
    }

    /// Whether nothing is left to do.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::NotUsed)
    }
}

/// The newest statement of each topic, in the order of [`Topic::ALL`]. Topics and answers of a newer keybench are left out.
///
/// # Errors
/// When the ledger can't be read.
pub fn latest(ledger: &dyn Ledger, tenant: &TenantId) -> Result<Vec<Statement>, LedgerError> {
    let mut found: [Option<Statement>; Topic::ALL.len()] = Default::default();
    ledger.visit(1, &mut |recorded| {
        if let Entry::Tenant(TenantEntry::Stated { tenant: of, about, answer, by }) = recorded.entry
            && of == *tenant
            && let (Some(topic), Some(answer)) = (Topic::parse(&about), Answer::parse(&answer))
            && let Some(slot) = Topic::ALL.iter().position(|one| *one == topic).and_then(|at| found.get_mut(at))
        {
            *slot = Some(Statement { topic, answer, by, at: recorded.at });
        }
        ControlFlow::Continue(())
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Keeps a statement; the ledger dates it.
///
/// # Errors
/// When the ledger can't be written.
pub fn keep(ledger: &dyn Ledger, tenant: &TenantId, topic: Topic, answer: Answer, by: &str) -> Result<(), LedgerError> {
    let entry = TenantEntry::Stated {
        tenant: tenant.clone(),
        about: topic.id().to_owned(),
        answer: answer.id().to_owned(),
        by: by.to_owned(),
    };
    ledger.append(Append::entry(Entry::Tenant(entry))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_answer_of_this_tenant_counts() {
        let ledger = crate::tenant::testing::ledger();
        let (ours, other) = (TenantId::new("a"), TenantId::new("b"));
        assert_eq!(latest(&ledger, &ours).expect("read"), []);
        keep(&ledger, &ours, Topic::SsprScope, Answer::NotDone, "kim").expect("kept");
        keep(&ledger, &other, Topic::SsprScope, Answer::NotUsed, "sam").expect("kept");
        keep(&ledger, &ours, Topic::SsprScope, Answer::Done, "lee").expect("kept");
        keep(&ledger, &ours, Topic::CombinedRegistration, Answer::Done, "lee").expect("kept");
        let said = latest(&ledger, &ours).expect("read");
        let said: Vec<_> = said.iter().map(|one| (one.topic, one.answer, one.by.as_str())).collect();
        assert_eq!(said, [(Topic::CombinedRegistration, Answer::Done, "lee"), (Topic::SsprScope, Answer::Done, "lee")]);
    }

    #[test]
    fn every_name_is_read_back() {
        assert!(Topic::ALL.into_iter().all(|topic| Topic::parse(topic.id()) == Some(topic)));
        assert!(Answer::ALL.into_iter().all(|answer| Answer::parse(answer.id()) == Some(answer)));
    }
}
