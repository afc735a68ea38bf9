//! A tenant's policies as they are: documents by the place they live at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::resource::{Kind, Resource};

/// What was read. A place that is missing was not read, or holds nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Current {
    documents: BTreeMap<Resource, Value>,
}

impl Current {
    /// Takes the authentication methods policy of v1.0 apart: the policy itself and each of its methods.
    pub fn take_policy(&mut self, policy: &Value) {
        let mut rest = policy.clone();
        if let Some(map) = rest.as_object_mut()
            && let Some(Value::Array(methods)) = map.shift_remove("authenticationMethodConfigurations")
        {
            for method in methods {
                if let Some(id) = method["id"].as_str() {
                    self.set(Resource::Method(id.to_ascii_lowercase()), method.clone());
                }
            }
        }
        self.set(Resource::Policy, rest);
    }

    /// Takes the same of beta: what v1.0 does not tell.
    pub fn take_beta_policy(&mut self, policy: &Value) {
        let mut rest = policy.clone();
        if let Some(map) = rest.as_object_mut()
            && let Some(Value::Array(methods)) = map.shift_remove("authenticationMethodConfigurations")
        {
            let hardware =
                |method: &&Value| method["id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case("hardwareOath"));
            if let Some(method) = methods.iter().find(hardware) {
                self.set(Resource::Method("hardwareoath".to_owned()), method.clone());
            }
        }
        self.set(Resource::BetaPolicy, rest);
    }

    /// Keeps a document, in the place of the old one.
    pub fn set(&mut self, at: Resource, document: Value) {
        self.documents.insert(at, document);
    }

    /// Forgets a document.
    pub fn remove(&mut self, at: &Resource) {
        self.documents.remove(at);
    }

    /// A document.
    pub fn get(&self, at: &Resource) -> Option<&Value> {
        self.documents.get(at)
    }

    /// A method's settings.
    pub fn method(&self, id: &str) -> Option<&Value> {
        self.documents.get(&Resource::Method(id.to_ascii_lowercase()))
    }

    /// The ids of groups and of people that the documents name, in lower case.
    pub fn ids(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut groups, mut users) = (BTreeSet::new(), BTreeSet::new());
        self.documents.values().for_each(|document| ids_in(document, &mut groups, &mut users));
        (groups, users)
    }

    /// Whether a policy of Conditional Access is for holders of a role, or spares them.
    pub fn names_roles(&self) -> bool {
        self.all(Kind::Access).any(|(_, policy)| {
            let users = &policy["conditions"]["users"];
            ["includeRoles", "excludeRoles"].iter().any(|list| users[*list].as_array().is_some_and(|it| !it.is_empty()))
        })
    }

    /// How many places hold another document in the other one, or are in one of the two only.
    pub fn differences_from(&self, other: &Self) -> usize {
        let places: BTreeSet<&Resource> = self.documents.keys().chain(other.documents.keys()).collect();
        places.into_iter().filter(|at| self.documents.get(at) != other.documents.get(at)).count()
    }

    /// Everything of one kind, in the order of ids.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&Resource, &Value)> {
        self.documents.iter().filter(move |(at, _)| {
            matches!(
                (kind, at),
                (Kind::Location, Resource::Location(_))
                    | (Kind::Strength, Resource::Strength(_))
                    | (Kind::Access, Resource::Access(_))
            )
        })
    }

    /// Those of one kind that have this display name, whatever its case.
    pub fn named(&self, kind: Kind, name: &str) -> Vec<(&Resource, &Value)> {
        let is = |document: &Value| {
            document["displayName"].as_str().is_some_and(|its| its.trim().to_lowercase() == name.trim().to_lowercase())
        };
        self.all(kind).filter(|(_, document)| is(document)).collect()
    }
}

/// A document's id, in lower case.
pub fn id_of(document: &Value) -> Option<String> {
    document["id"].as_str().filter(|id| !id.is_empty()).map(str::to_ascii_lowercase)
}

fn ids_in(value: &Value, groups: &mut BTreeSet<String>, users: &mut BTreeSet<String>) {
    let guid = |text: &Value| text.as_str().and_then(|text| uuid::Uuid::try_parse(text).ok());
    let nobody = uuid::Uuid::nil();
    match value {
        Value::Array(items) => items.iter().for_each(|item| ids_in(item, groups, users)),
        Value::Object(map) => {
            if let Some(id) = map.get("id").and_then(guid).filter(|id| *id != nobody) {
                match map.get("targetType").and_then(Value::as_str) {
                    Some("group") => drop(groups.insert(id.hyphenated().to_string())),
                    Some("user") => drop(users.insert(id.hyphenated().to_string())),
                    _ => {}
                }
            }
            for (name, value) in map {
                let into = match name.as_str() {
                    "includeGroups" | "excludeGroups" => &mut *groups,
                    "includeUsers" | "excludeUsers" => &mut *users,
                    _ => {
                        ids_in(value, groups, users);
                        continue;
                    }
                };
                into.extend(
                    value.as_array().into_iter().flatten().filter_map(guid).map(|id| id.hyphenated().to_string()),
                );
            }
        }
        _ => {}
    }
}
