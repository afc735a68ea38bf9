//! `[policy]`: the passkey policy as a specification says it, and as `/sim/policy` and faults change it. What Graph shows and
//! what counts is the document in [`super::policies`].

use serde_json::Value;

use super::policies;
use super::spec::PolicySpec;
use super::store::Store;

/// A policy in which these members are changed.
///
/// # Errors
/// What is wrong with the change.
pub(super) fn changed(policy: &PolicySpec, change: &Value) -> Result<PolicySpec, String> {
    let mut merged = serde_json::to_value(policy).map_err(|error| error.to_string())?;
    let (Some(into), Some(from)) = (merged.as_object_mut(), change.as_object()) else {
        return Err("the change is not an object".into());
    };
    for (name, value) in from {
        into.insert(name.clone(), value.clone());
    }
    serde_json::from_value(merged).map_err(|error| error.to_string())
}

/// Changes it for good.
///
/// # Errors
/// What is wrong with the change.
pub(super) fn change(store: &mut Store, change: &Value) -> Result<(), String> {
    store.policy = changed(&store.policy, change)?;
    policies::policy_was_set(store);
    Ok(())
}
