//! Is this key fit for the job? Everything that getInfo tells, judged before anything is done to it. Pure.

use crate::ledger::entry::ForcedChange;
use crate::model::Aaguid;
use crate::pin::{KeyPinPlan, PinPolicyError, PlannedChange};
use crate::pipeline::step::WantedRules;

/// What getInfo says, as far as it matters here. Absent members stay absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Model.
    pub aaguid: Aaguid,
    /// Speaks CTAP2 at all.
    pub ctap2: bool,
    /// Option `clientPin`: `None` = can't have one.
    pub client_pin: Option<bool>,
    /// Option `rk`.
    pub resident_keys: bool,
    /// Extension `hmac-secret`.
    pub hmac_secret: bool,
    /// Option `noMcGaPermissionsWithClientPin`.
    pub pin_not_enough: bool,
    /// `remainingDiscoverableCredentials`; an estimate, `None` when not told.
    pub room: Option<u64>,
    /// COSE algorithms; `None` when not told, which means ES256 (CTAP 2.1 §6.4).
    pub algorithms: Option<Vec<i64>>,
}

/// Whether a blank key can be used; the error is a code of [`super::code::CODES`].
///
/// # Errors
/// The first reason, in the order in which an operator would want to know.
pub fn fit(facts: &KeyFacts, require_hmac_secret: bool) -> Result<(), &'static str> {
    if !facts.ctap2 {
        return Err("u2f-only");
    }
    match facts.client_pin {
        None => return Err("no-pin-support"),
        Some(true) => return Err("has-pin"),
        Some(false) => {}
    }
    if !facts.resident_keys {
        return Err("no-resident-keys");
    }
    if facts.pin_not_enough {
        return Err("pin-not-enough");
    }
    if require_hmac_secret && !facts.hmac_secret {
        return Err("no-hmac-secret");
    }
    // Only ES256 and RS256 are ever offered (Graph: creationOptions).
    if facts.algorithms.as_ref().is_some_and(|offered| !offered.iter().any(|alg| matches!(alg, -7 | -257))) {
        return Err("no-es256");
    }
    if facts.room == Some(0) {
        return Err("key-full");
    }
    Ok(())
}

/// What this key shall be told at the end, once the policy has been fitted to it.
pub fn wanted_rules(plan: &KeyPinPlan) -> WantedRules {
    WantedRules {
        minimum: plan.minimum_to_set(),
        forced: match plan.forced() {
            PlannedChange::Force => ForcedChange::Forced,
            PlannedChange::NotAsked => ForcedChange::NotAsked,
            PlannedChange::Unsupported => ForcedChange::Unsupported,
        },
    }
}

/// Why no PIN can be planned for this key, as a code of [`super::code::CODES`].
pub fn plan_code(error: &PinPolicyError) -> &'static str {
    match error {
        PinPolicyError::CannotForce => "no-forced-change",
        _ => "pin-policy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank() -> KeyFacts {
        KeyFacts {
            aaguid: Aaguid::ZERO,
            ctap2: true,
            client_pin: Some(false),
            resident_keys: true,
            hmac_secret: true,
            pin_not_enough: false,
            room: None,
            algorithms: None,
        }
    }

    #[test]
    fn each_unfit_key_is_refused_for_its_own_reason() {
        assert_eq!(fit(&blank(), true), Ok(()));
        let unfit = [
            (KeyFacts { ctap2: false, ..blank() }, "u2f-only"),
            (KeyFacts { client_pin: Some(true), ..blank() }, "has-pin"),
            (KeyFacts { client_pin: None, ..blank() }, "no-pin-support"),
            (KeyFacts { resident_keys: false, ..blank() }, "no-resident-keys"),
            (KeyFacts { pin_not_enough: true, ..blank() }, "pin-not-enough"),
            (KeyFacts { hmac_secret: false, ..blank() }, "no-hmac-secret"),
            (KeyFacts { algorithms: Some(vec![-8]), ..blank() }, "no-es256"),
            (KeyFacts { room: Some(0), ..blank() }, "key-full"),
        ];
        for (facts, code) in unfit {
            assert_eq!(fit(&facts, true), Err(code));
            assert!(super::super::code::meaning(code).is_some(), "{code} has no meaning");
        }
        assert_eq!(fit(&KeyFacts { hmac_secret: false, ..blank() }, false), Ok(()));
        // "No limit told" is not "no room left".
        assert_eq!(fit(&KeyFacts { room: None, ..blank() }, true), Ok(()));
    }
}
