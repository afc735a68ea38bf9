//! Switches of the whole tenant, and people's own settings (beta).

use serde_json::{Value, json};

use super::csdl::schema;
use super::refusal::{Refused, Why};
use super::{Act, No, Object, Place, PoliciesSpec, body, entity, only_writable, person, shape};
use crate::sim::tenant::access::{Caller, is_privileged};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::Store;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// Fills a new tenant in. The error names what was wrong.
pub(super) fn move_in(store: &mut Store, spec: &PoliciesSpec) -> Result<(), (String, Refused)> {
    store.policies.security_defaults = spec.security_defaults;
    store.policies.devices = object(json!({
        "id": "deviceRegistrationPolicy",
        "displayName": "Device Registration Policy",
        "description": "Tenant-wide policy that manages initial provisioning controls using quota restrictions, additional authentication and authorization checks",
        "userDeviceQuota": 50,
        "multiFactorAuthConfiguration": if spec.join_needs_mfa { "required" } else { "notRequired" },
        "azureADRegistration": {
            "isAdminConfigurable": false,
            "allowedToRegister": { "@odata.type": "#microsoft.graph.allDeviceRegistrationMembership" },
        },
        "azureADJoin": {
            "isAdminConfigurable": true,
            "allowedToJoin": { "@odata.type": "#microsoft.graph.allDeviceRegistrationMembership" },
        },
        "localAdminPassword": { "isEnabled": false },
    }));
    store.policies.authorization = object(json!({
        "id": "authorizationPolicy",
        "displayName": "Authorization Policy",
        "description": "Used to manage authorization related settings across the company.",
        "allowInvitesFrom": "everyone",
        "allowedToSignUpEmailBasedSubscriptions": true,
        "allowedToUseSSPR": spec.admins_reset_password,
        "allowEmailVerifiedUsersToJoinOrganization": false,
        "allowUserConsentForRiskyApps": null,
        "blockMsolPowerShell": false,
        "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
        "defaultUserRolePermissions": {
            "allowedToCreateApps": true,
            "allowedToCreateSecurityGroups": true,
            "allowedToReadOtherUsers": true,
        },
    }));
    for (upn, state) in &spec.per_user_mfa {
        let it = object(json!({ "perUserMfaState": state }));
        shape::check(schema(Version::Beta), "strongAuthenticationRequirements", &it)
            .map_err(|refused| (format!("per_user_mfa.{upn}"), refused))?;
        let Some(person) = store.person(upn) else {
            return Err((format!("per_user_mfa.{upn}"), super::not_there("The user", upn)));
        };
        let id = person.id.clone();
        store.policies.requirements.insert(id, it);
    }
    Ok(())
}

fn security_defaults(store: &Store) -> Object {
    object(json!({
        "id": "00000000-0000-0000-0000-000000000005",
        "displayName": "Security Defaults",
        "description": "Security defaults is a set of basic identity security mechanisms recommended by Microsoft.",
        "isEnabled": store.policies.security_defaults,
    }))
}

pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    let read = act == Act::Read;
    Ok(match place {
        Place::SecurityDefaults if read => {
            let context = "policies/identitySecurityDefaultsEnforcementPolicy/$entity";
            Answer::json(200, entity(store, version, context, &security_defaults(store)))
        }
        Place::SecurityDefaults => {
            let change = checked(version, "identitySecurityDefaultsEnforcementPolicy", call)?;
            only_writable(&change, &["id", "displayName", "description", "deletedDateTime"])?;
            let on = change.get("isEnabled").and_then(Value::as_bool).unwrap_or(store.policies.security_defaults);
            let used = store.policies.access.iter().any(|policy| policy.get("state") == Some(&json!("enabled")));
            if on && used {
                let message = "Security defaults can't be enabled while Conditional Access policies are enabled.";
                return Err(Refused::new(Why::SecurityDefaultsOn, message).into());
            }
            store.policies.security_defaults = on;
            Answer::empty(204)
        }
        Place::Devices if read => {
            let context = "policies/deviceRegistrationPolicy/$entity";
            Answer::json(200, entity(store, version, context, &store.policies.devices))
        }
        Place::Devices => {
            let new = checked(version, "deviceRegistrationPolicy", call)?;
            for needed in [
                "userDeviceQuota",
                "multiFactorAuthConfiguration",
                "azureADRegistration",
                "azureADJoin",
                "localAdminPassword",
            ] {
                if !new.contains_key(needed) {
                    let message = format!("'{needed}' is required: the policy is replaced as a whole.");
                    return Err(Refused::new(Why::Missing, message).into());
                }
            }
            let mut whole = store.policies.devices.clone();
            shape::merge(schema(version), "deviceRegistrationPolicy", &mut whole, &new);
            store.policies.devices = whole;
            let context = "policies/deviceRegistrationPolicy/$entity";
            Answer::json(200, entity(store, version, context, &store.policies.devices))
        }
        Place::Authorization if read => {
            let context = "policies/authorizationPolicy/$entity";
            Answer::json(200, entity(store, version, context, &store.policies.authorization))
        }
        Place::Authorization => {
            let change = checked(version, "authorizationPolicy", call)?;
            only_writable(&change, &["id", "deletedDateTime"])?;
            let mut whole = store.policies.authorization.clone();
            shape::merge(schema(version), "authorizationPolicy", &mut whole, &change);
            store.policies.authorization = whole;
            Answer::empty(204)
        }
        Place::Requirements(who) => {
            let id = person(store, who, caller)?.id.clone();
            let it = store.policies.requirements.entry(id.clone());
            let it = it.or_insert_with(|| object(json!({ "perUserMfaState": "disabled" }))).clone();
            if read {
                let context = format!("users('{id}')/authentication/requirements/$entity");
                return Ok(Answer::json(200, entity(store, version, &context, &it)));
            }
            let change = checked(version, "strongAuthenticationRequirements", call)?;
            let mut merged = it;
            shape::merge(schema(version), "strongAuthenticationRequirements", &mut merged, &change);
            store.policies.requirements.insert(id, merged);
            Answer::empty(204)
        }
        Place::Preferences(who) => {
            let target = person(store, who, caller)?;
            may_manage(store, caller, target, read)?;
            let id = target.id.clone();
            let it = store.policies.preferences.entry(id.clone());
            let fresh = || json!({ "isSystemPreferredAuthenticationMethodEnabled": true, "userPreferredMethodForSecondaryAuthentication": null });
            let it = it.or_insert_with(|| object(fresh())).clone();
            if read {
                let context = format!("users('{id}')/authentication/signInPreferences/$entity");
                return Ok(Answer::json(200, entity(store, version, &context, &it)));
            }
            let change = checked(version, "signInPreferences", call)?;
            let mut merged = it;
            shape::merge(schema(version), "signInPreferences", &mut merged, &change);
            store.policies.preferences.insert(id, merged);
            Answer::empty(204)
        }
        _ => return Err(errors::method_not_allowed().into()),
    })
}

/// An Authentication Administrator may not write for people with higher roles.
fn may_manage(
    store: &Store,
    caller: &Caller,
    target: &crate::sim::tenant::store::Person,
    read: bool,
) -> Result<(), Refused> {
    let Some(user) = &caller.user else { return Ok(()) };
    let roles = store.person(user).map(|person| person.roles.as_slice()).unwrap_or_default();
    let all = roles
        .iter()
        .any(|role| ["Privileged Authentication Administrator", "Global Administrator"].contains(&role.as_str()));
    if read || all || !is_privileged(store, target) { Ok(()) } else { Err(Refused::new(Why::Forbidden, "")) }
}

fn checked(version: Version, kind: &str, call: &Call) -> Result<Object, Refused> {
    let sent = body(call)?;
    shape::check(schema(version), kind, &sent)?;
    Ok(sent)
}
