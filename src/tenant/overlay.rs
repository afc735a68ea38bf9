//! Laying a wanted state over a document, comparing documents, and saying what differs.
//!
//! Promise: what the wanted state does not speak of stays as it is, at any depth, known to us or not. Lists are exact,
//! but items that stay keep their other members: a target's flags, a profile's newer settings.

use serde_json::{Map, Value};

/// The document with the wanted members laid over it.
pub fn overlay(current: &Value, wanted: &Value) -> Value {
    match (current, wanted) {
        (Value::Object(current), Value::Object(wanted)) => {
            let mut merged = current.clone();
            for (name, value) in wanted {
                let laid = current.get(name).map_or_else(|| value.clone(), |current| overlay(current, value));
                merged.insert(name.clone(), laid);
            }
            Value::Object(merged)
        }
        (Value::Array(current_items), Value::Array(items)) => {
            if same(current, wanted) && !items.iter().any(Value::is_object) {
                // Repetitions, case and order are the tenant's own.
                return current.clone();
            }
            Value::Array(
                in_order(current_items, items)
                    .into_iter()
                    .map(|item| match find(current_items, item) {
                        Some(current) if item.is_object() => overlay(current, item),
                        _ => item.clone(),
                    })
                    .collect(),
            )
        }
        _ if same(current, wanted) => current.clone(),
        _ => wanted.clone(),
    }
}

/// Wanted items that are there already come first, in their present order.
fn in_order<'w>(current: &[Value], wanted: &'w [Value]) -> Vec<&'w Value> {
    let place = |item: &&Value| current.iter().position(|one| is_same_item(one, item)).unwrap_or(usize::MAX);
    let mut items: Vec<&Value> = wanted.iter().collect();
    items.sort_by_key(place);
    items
}

fn find<'v>(items: &'v [Value], wanted: &Value) -> Option<&'v Value> {
    items.iter().find(|item| is_same_item(item, wanted))
}

/// The same text whatever its case; the same `id`, or where one of the two has none yet, the same name.
fn is_same_item(one: &Value, other: &Value) -> bool {
    if let (Value::String(one), Value::String(other)) = (one, other) {
        return folded(one) == folded(other);
    }
    let by = |member: &str| match (one[member].as_str(), other[member].as_str()) {
        (Some(one), Some(other)) => Some(folded(one) == folded(other)),
        _ => None,
    };
    by("id").or_else(|| by("name")).or_else(|| by("cidrAddress")).unwrap_or(one == other)
}

/// Without case, and without the spaces that some write into flags.
fn folded(text: &str) -> String {
    text.split(',').map(str::trim).collect::<Vec<_>>().join(",").to_ascii_lowercase()
}

/// Whether two values say the same: lists are sets, GUIDs have no case, flags no spaces, and nothing is what is empty.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            let null = Value::Null;
            names.into_iter().all(|name| same(a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null)))
        }
        (Value::Array(a), Value::Array(b)) => {
            let covers = |a: &[Value], b: &[Value]| a.iter().all(|item| b.iter().any(|other| same(item, other)));
            covers(a, b) && covers(b, a)
        }
        (Value::String(one), Value::String(other)) => folded(one) == folded(other),
        (Value::Null, other) | (other, Value::Null) => is_nothing(other),
        _ => one == other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        _ => false,
    }
}

/// Members of the first level that the overlay changed, with their new values: what a PATCH has to send.
pub fn changed(current: &Value, merged: &Value) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in merged.as_object().into_iter().flatten() {
        if !same(current.get(name).unwrap_or(&Value::Null), value) {
            members.insert(name.clone(), value.clone());
        }
    }
    members
}

/// One place where two documents differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Names of members from the outside in, e.g. `keyRestrictions.aaGuids`; items by their id.
    pub path: String,
    /// As it is; null where there is nothing.
    pub old: Value,
    /// As it will be; null where nothing will be.
    pub new: Value,
}

/// Every place where the second document differs from the first. Lists of texts count as one place.
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", old, new, &mut found);
    found
}

fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    if same(old, new) {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let empty = Map::new();
    let (no_items, null) = (Vec::new(), Value::Null);
    match (old, new) {
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            let (a, b) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                walk(&below(name), a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null), found);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_)) | (Value::Array(_), Value::Null)
            if [old, new].iter().any(|list| list.as_array().is_some_and(|list| list.iter().any(has_id))) =>
        {
            let (a, b) = (old.as_array().unwrap_or(&no_items), new.as_array().unwrap_or(&no_items));
            let whole = |item: &Value| below(&name_of(item));
            for item in a {
                match find(b, item) {
                    Some(other) => walk(&whole(item), item, other, found),
                    None => found.push(Difference { path: whole(item), old: item.clone(), new: Value::Null }),
                }
            }
            for item in b.iter().filter(|item| find(a, item).is_none()) {
                found.push(Difference { path: whole(item), old: Value::Null, new: item.clone() });
            }
        }
        _ => found.push(Difference { path: path.to_owned(), old: old.clone(), new: new.clone() }),
    }
}

fn has_id(item: &Value) -> bool {
    item.get("id").is_some() || item.get("name").is_some()
}

fn name_of(item: &Value) -> String {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    text("id").or_else(|| text("name")).or_else(|| text("cidrAddress")).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_not_spoken_of_stays_at_any_depth() {
        let current = json!({
            "state": "disabled", "newMember": {"x": 1},
            "includeTargets": [{"id": "A", "targetType": "group", "isRegistrationRequired": true, "newer": 5}, {"id": "gone"}],
        });
        let wanted = json!({"state": "enabled", "includeTargets": [{"id": "b"}, {"id": "a", "targetType": "group"}]});
        let merged = overlay(&current, &wanted);
        assert_eq!(
            merged,
            json!({
                "state": "enabled", "newMember": {"x": 1},
                "includeTargets": [{"id": "A", "targetType": "group", "isRegistrationRequired": true, "newer": 5}, {"id": "b"}],
            })
        );
        assert_eq!(changed(&current, &merged).keys().collect::<Vec<_>>(), ["state", "includeTargets"]);
    }

    #[test]
    fn lists_are_sets_and_case_and_nothing_do_not_count() {
        assert!(same(&json!(["A", "a", "b"]), &json!(["B", "A"])));
        assert!(same(&json!("deviceBound, synced"), &json!("deviceBound,synced")));
        assert!(same(&json!({"a": null, "b": []}), &json!({})));
        assert!(!same(&json!({"a": false}), &json!({})), "false is not nothing");
        assert!(!same(&json!(["a"]), &json!([])));
        let kept = json!({"aaGuids": ["A", "A", "b"]});
        assert_eq!(overlay(&kept, &json!({"aaGuids": ["B", "a"]})), kept);
    }

    #[test]
    fn differences_name_the_innermost_place() {
        let old = json!({"s": "off", "t": [{"id": "a", "on": false}, {"id": "b", "x": 1}], "l": ["x"]});
        let new = json!({"s": "on", "t": [{"id": "a", "on": true}, {"id": "c", "x": 2}], "l": ["x", "y"]});
        let told: Vec<String> =
            differences(&old, &new).iter().map(|one| format!("{} {} {}", one.path, one.old, one.new)).collect();
        assert_eq!(
            told,
            [
                r#"s "off" "on""#,
                "t.a.on false true",
                r#"t.b {"id":"b","x":1} null"#,
                r#"t.c null {"id":"c","x":2}"#,
                r#"l ["x"] ["x","y"]"#,
            ]
        );
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..5u8).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-d]", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Laying the same over it twice changes nothing more, and nothing differs from what was wanted.
        #[test]
        fn an_overlay_is_laid_once(current in document(), wanted in document()) {
            let once = overlay(&current, &wanted);
            prop_assert!(same(&overlay(&once, &wanted), &once));
            prop_assert!(differences(&once, &overlay(&once, &wanted)).is_empty());
        }

        #[test]
        fn a_document_is_the_same_as_itself(it in document()) {
            prop_assert!(same(&it, &it));
            prop_assert!(differences(&it, &it).is_empty());
        }
    }
}
