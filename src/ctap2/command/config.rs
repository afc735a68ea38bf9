//! authenticatorConfig (CTAP 2.1 §6.11).

use super::{Command, authorised_members, call};
use crate::ctap2::cbor::{Members, Value};
use crate::ctap2::error::CtapError;
use crate::ctap2::pin_protocol::PinToken;
use crate::ctap2::transport::{Patience, Transport, Unwatched};

/// What to set about PINs, in one command: where several were sent, some keys would drop the token after the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinRules {
    /// `newMinPINLength`, in code points. It can only rise; a PIN that is shorter must then be changed.
    pub minimum: Option<u8>,
    /// `minPinLengthRPIDs`: who is told the minimum.
    pub rp_ids: Vec<String>,
    /// `forceChangePin`.
    pub force_change: bool,
}

/// A sub-command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// 0x01: one way until reset.
    EnableEnterpriseAttestation,
    /// 0x02: switches; what it is now is in getInfo's `alwaysUv`.
    ToggleAlwaysUv,
    /// 0x03.
    SetPinRules(PinRules),
}

impl Config {
    fn subcommand(&self) -> u8 {
        match self {
            Self::EnableEnterpriseAttestation => 0x01,
            Self::ToggleAlwaysUv => 0x02,
            Self::SetPinRules(_) => 0x03,
        }
    }

    pub(in crate::ctap2) fn parameters(&self, token: &PinToken) -> Value {
        let parameters = match self {
            Self::EnableEnterpriseAttestation | Self::ToggleAlwaysUv => None,
            Self::SetPinRules(rules) => {
                let mut members = Members::new().maybe(1, rules.minimum.map(|length| Value::Unsigned(length.into())));
                if !rules.rp_ids.is_empty() {
                    members = members.with(2, Value::Array(rules.rp_ids.iter().map(Value::text).collect()));
                }
                if rules.force_change {
                    members = members.with(3, Value::Bool(true));
                }
                Some(members.into_value())
            }
        };
        let subcommand = self.subcommand();
        let encoded = parameters.as_ref().map(Value::encode).unwrap_or_default();
        let members = Members::new().with(1, Value::Unsigned(subcommand.into())).maybe(2, parameters);
        // 32 bytes of 0xFF, the command, the sub-command and its parameters (§6.11, step 3).
        authorised_members(members, token, &[&[0xFF; 32], &[0x0D, subcommand], &encoded], 4, 3).into_value()
    }
}

/// Sends the sub-command.
///
/// # Errors
/// [`CtapError`].
pub fn config(link: &mut dyn Transport, request: &Config, token: &PinToken) -> Result<(), CtapError> {
    call(link, Command::Config, Some(&request.parameters(token)), Patience::Key, &mut Unwatched).map(drop)
}
