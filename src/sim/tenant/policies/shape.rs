//! Whether JSON has the shape that the schema gives a type, and how a change is merged into what is there. Pure.
//!
//! The sentences are those of OData's own library, which Graph passes on. A type that the excerpts don't hold is taken as it comes.

use serde_json::{Map, Value};

use super::csdl::{Member, Schema};
use super::refusal::{Refused, Why};

/// Checks an object against a type, members of members too.
pub(super) fn check(schema: &Schema, kind: &str, object: &Map<String, Value>) -> Result<(), Refused> {
    let kind = actual(schema, kind, object)?;
    let Some(kind) = kind else { return Ok(()) };
    for (name, value) in object {
        if name.contains('@') {
            continue;
        }
        let Some(member) = schema.member(kind, name) else {
            let message = format!(
                "The property '{name}' does not exist on type 'microsoft.graph.{kind}'. Make sure to only use property names that are defined by the type."
            );
            return Err(Refused::new(Why::UnknownMember, message));
        };
        check_member(schema, name, member, value)?;
    }
    Ok(())
}

/// The type an object says it is, once that fits the declared one; `None` when we don't know the declared type.
fn actual<'a>(schema: &Schema, declared: &'a str, object: &'a Map<String, Value>) -> Result<Option<&'a str>, Refused> {
    let Some(known) = schema.kind(declared) else { return Ok(None) };
    match object.get("@odata.type").map(Value::as_str) {
        None if known.is_abstract => Err(Refused::new(
            Why::TypeMissing,
            "A value without a type name was found and no expected type is available. When the model is specified, each value in the payload must have a type which can be either specified in the payload, explicitly by the caller or implicitly inferred from the parent value.",
        )),
        None => Ok(Some(declared)),
        Some(said) => {
            let said = said.unwrap_or("");
            let name = said.strip_prefix('#').unwrap_or(said).strip_prefix("microsoft.graph.").unwrap_or("");
            if schema.kind(name).is_none() {
                let message = format!(
                    "A type named '{said}' could not be resolved by the model. When a model is available, each type name must resolve to a valid type."
                );
                return Err(Refused::new(Why::WrongType, message));
            }
            if !schema.is(name, declared) {
                let message = format!(
                    "A value with type '{said}' was found, which is not assignable to the expected type 'microsoft.graph.{declared}'."
                );
                return Err(Refused::new(Why::WrongType, message));
            }
            Ok(Some(name))
        }
    }
}

fn check_member(schema: &Schema, name: &str, member: &Member, value: &Value) -> Result<(), Refused> {
    if member.collection {
        let Some(list) = value.as_array() else {
            return Err(Refused::new(
                Why::WrongValue,
                format!("An unexpected value was found for the property '{name}': a JSON array was expected."),
            ));
        };
        return list.iter().try_for_each(|item| check_value(schema, name, &member.kind, false, item));
    }
    check_value(schema, name, &member.kind, member.nullable, value)
}

fn check_value(schema: &Schema, name: &str, kind: &str, nullable: bool, value: &Value) -> Result<(), Refused> {
    if value.is_null() {
        if nullable {
            return Ok(());
        }
        let shown = if kind.starts_with("Edm.") { kind.to_owned() } else { format!("microsoft.graph.{kind}") };
        let message = format!(
            "A null value was found for the property named '{name}', which has the expected type '{shown}[Nullable=False]'. The expected type '{shown}[Nullable=False]' does not allow null values."
        );
        return Err(Refused::new(Why::NullValue, message));
    }
    if let Some(words) = schema.words(kind) {
        let fits = value.as_str().is_some_and(|text| {
            let mut parts = text.split(',').map(str::trim);
            let known = |part: &str| words.members.iter().any(|member| member == part);
            if words.flags { parts.all(known) } else { known(text) }
        });
        if fits {
            return Ok(());
        }
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return Err(Refused::new(Why::UnknownWord, format!("Requested value '{shown}' was not found.")));
    }
    if schema.kind(kind).is_some() {
        let object = value.as_object().ok_or_else(|| {
            Refused::new(
                Why::WrongValue,
                format!("An unexpected value was found for the property '{name}': a JSON object was expected."),
            )
        })?;
        return check(schema, kind, object);
    }
    let fits = match kind {
        "Edm.String" => value.is_string(),
        "Edm.Boolean" => value.is_boolean(),
        "Edm.Int32" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Edm.Guid" => value.as_str().is_some_and(|text| uuid::Uuid::try_parse(text).is_ok() && text.len() == 36),
        "Edm.DateTimeOffset" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let message = format!("Cannot convert the literal '{shown}' to the expected type '{kind}'.");
    Err(Refused::new(Why::WrongValue, message))
}

/// Merges a checked change: what it leaves out keeps its value, collections are replaced whole, complex values are merged.
pub(super) fn merge(schema: &Schema, kind: &str, into: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (name, value) in change {
        if name.contains('@') {
            continue;
        }
        let member = schema.member(kind, name);
        let inner =
            member.filter(|member| !member.collection && schema.kind(&member.kind).is_some_and(|k| k.is_complex));
        match (inner, into.get_mut(name), value) {
            (Some(member), Some(Value::Object(old)), Value::Object(new)) => merge(schema, &member.kind, old, new),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::csdl::schema;
    use super::*;
    use crate::sim::tenant::http::Version;

    const FIDO2: &str = "fido2AuthenticationMethodConfiguration";

    fn why(kind: &str, json: Value) -> Why {
        check(schema(Version::V1), kind, json.as_object().expect("an object")).expect_err("refused").why
    }

    #[test]
    fn each_flaw_has_its_own_reason() {
        assert_eq!(why(FIDO2, json!({"enabled": true})), Why::UnknownMember);
        assert_eq!(why(FIDO2, json!({"state": "on"})), Why::UnknownWord);
        assert_eq!(why(FIDO2, json!({"state": 1})), Why::UnknownWord);
        assert_eq!(why(FIDO2, json!({"isAttestationEnforced": "true"})), Why::WrongValue);
        assert_eq!(why(FIDO2, json!({"includeTargets": {}})), Why::WrongValue);
        assert_eq!(why(FIDO2, json!({"keyRestrictions": []})), Why::WrongValue);
        assert_eq!(why(FIDO2, json!({"includeTargets": [null]})), Why::NullValue);
        assert_eq!(why(FIDO2, json!({"includeTargets": [{"targetType": null}]})), Why::NullValue);
        assert_eq!(why(FIDO2, json!({"keyRestrictions": {"aaguids": []}})), Why::UnknownMember);
        assert_eq!(why("namedLocation", json!({"@odata.type": "#microsoft.graph.passkeyProfile"})), Why::WrongType);
        assert_eq!(why("namedLocation", json!({"@odata.type": "#microsoft.graph.nowhere"})), Why::WrongType);
        assert_eq!(why("signInIdentity", json!({"userId": "x"})), Why::TypeMissing);
        let ranges = json!({"ipRanges": [{"cidrAddress": "10.0.0.0/9"}]});
        assert_eq!(why("ipNamedLocation", ranges), Why::TypeMissing);
    }

    #[test]
    fn flags_are_several_words_and_plain_enums_one() {
        let profile = |types: &str| json!({"passkeyProfiles": [{"passkeyTypes": types}]});
        let fits = |json: Value| check(schema(Version::V1), FIDO2, json.as_object().expect("an object")).is_ok();
        assert!(fits(profile("deviceBound,synced")) && fits(profile("deviceBound, synced")));
        assert!(!fits(profile("deviceBound,cloud")) && !fits(profile("")));
        assert!(!fits(json!({"state": "enabled,disabled"})));
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let mut it = json!({"state": "disabled", "isSelfServiceRegistrationAllowed": false,
            "keyRestrictions": {"isEnforced": true, "enforcementType": "block", "aaGuids": ["a", "b"]},
            "includeTargets": [{"id": "x"}, {"id": "y"}]});
        let change = json!({"@odata.type": "#x", "state": "enabled", "keyRestrictions": {"aaGuids": ["c"]}, "includeTargets": [{"id": "z"}]});
        let (into, change) = (it.as_object_mut().expect("an object"), change);
        merge(schema(Version::V1), FIDO2, into, change.as_object().expect("an object"));
        assert_eq!(
            it,
            json!({"state": "enabled", "isSelfServiceRegistrationAllowed": false,
                "keyRestrictions": {"isEnforced": true, "enforcementType": "block", "aaGuids": ["c"]},
                "includeTargets": [{"id": "z"}]})
        );
    }

    /// Any JSON, shallow.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            Just(json!("enabled")),
            Just(json!("#microsoft.graph.passkeyProfile")),
        ];
        let names = prop_oneof![
            "\\PC{0,6}",
            Just("id".to_owned()),
            Just("state".to_owned()),
            Just("@odata.type".to_owned()),
            Just("includeTargets".to_owned()),
            Just("keyRestrictions".to_owned()),
            Just("conditions".to_owned()),
            Just("users".to_owned()),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((names.clone(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_panics_and_what_is_merged_can_be_read_back(old in anything(), new in anything()) {
            let (Value::Object(mut old), Value::Object(new)) = (old, new) else { return Ok(()) };
            for kind in [FIDO2, "conditionalAccessPolicy", "namedLocation"] {
                let _ = check(schema(Version::Beta), kind, &new);
                let before = old.clone();
                merge(schema(Version::V1), kind, &mut old, &new);
                for (name, value) in &before {
                    if !new.contains_key(name) {
                        prop_assert_eq!(old.get(name), Some(value));
                    }
                }
                for (name, value) in new.iter().filter(|(name, _)| !name.contains('@')) {
                    if !value.is_object() {
                        prop_assert_eq!(old.get(name), Some(value));
                    }
                }
                let once = old.clone();
                merge(schema(Version::V1), kind, &mut old, &new);
                prop_assert_eq!(&once, &old, "twice is as good as once");
            }
        }
    }
}
