//! A tenant's policies as they are: documents by the place they live at.

use std::collections::BTreeMap;

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
