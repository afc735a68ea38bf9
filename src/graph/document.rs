//! A policy as Graph gave it, kept whole: what we don't know of it is neither lost nor changed.
//!
//! Every policy of this module is a [`Document`] behind a type of its own, whose methods are lenses: they read members, they
//! don't hold copies. What goes back to Graph is made of the document, so a member newer than keybench survives.

use serde_json::{Map, Value};

use super::client::Graph;
use super::error::{GraphError, RequestIds};
use super::http::Request;

/// A JSON object. Comparing two says whether Graph holds the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document(Map<String, Value>);

impl Document {
    /// The object; `None` for any other JSON.
    pub fn from_json(json: Value) -> Option<Self> {
        match json {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// Nothing yet: where a change or a new policy begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this member set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same without this member.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.shift_remove(name);
        self
    }

    /// A member, or `null` where there is none.
    pub fn member(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// A member deeper inside, by RFC 6901 pointer such as `/conditions/users`; `null` where there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        let Some(rest) = pointer.strip_prefix('/') else { return &Value::Null };
        let (first, deeper) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        self.member(&first.replace("~1", "/").replace("~0", "~")).pointer(deeper).unwrap_or(&Value::Null)
    }

    /// A text that is there and not empty.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).as_str().filter(|text| !text.is_empty())
    }

    /// A list of texts; what is no text in it is left out.
    pub fn texts(&self, pointer: &str) -> Vec<&str> {
        self.at(pointer).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The members, in Graph's order.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// As JSON.
    pub fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    /// Without what only describes the answer: members that begin with `@odata.`, save `@odata.type`.
    /// Two reads of the same policy are equal after this.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self(bare(&self.0))
    }
}

fn bare(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .filter(|(name, _)| *name == "@odata.type" || !name.contains("@odata."))
        .map(|(name, value)| (name.clone(), bare_value(value)))
        .collect()
}

fn bare_value(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(bare(map)),
        Value::Array(list) => list.iter().map(bare_value).collect(),
        plain => plain.clone(),
    }
}

/// What a write gave, with the numbers to journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// What Graph answered; `()` where it answers with nothing.
    pub value: T,
    /// Of the request that was carried out.
    pub ids: RequestIds,
}

impl<T> Written<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Written<U> {
        Written { value: change(self.value), ids: self.ids }
    }
}

/// Makes types of documents: `from_document`, `document`, `into_document`, `id`.
macro_rules! documents {
    ($($(#[$about:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name($crate::graph::document::Document);

        impl $name {
            /// Takes a document for one of these, as it is.
            pub fn from_document(document: $crate::graph::document::Document) -> Self {
                Self(document)
            }

            /// All of it.
            pub fn document(&self) -> &$crate::graph::document::Document {
                &self.0
            }

            /// All of it.
            pub fn into_document(self) -> $crate::graph::document::Document {
                self.0
            }

            /// Graph's id; empty where there is none.
            pub fn id(&self) -> &str {
                self.0.text("/id").unwrap_or("")
            }
        }
    )+};
}

pub(super) use documents;

impl Graph {
    /// One object.
    pub(super) fn document(&self, request: &Request) -> Result<Document, GraphError> {
        let json = self.object(request)?;
        Document::from_json(json).ok_or_else(|| GraphError::malformed(&request.doing, "The answer is no object."))
    }

    /// All objects of a collection; anything else in it is an error, so that nothing is overlooked.
    pub(super) fn documents(&self, request: Request) -> Result<Vec<Document>, GraphError> {
        let doing = request.doing.clone();
        let read = |item| {
            Document::from_json(item).ok_or_else(|| GraphError::malformed(&doing, "An item of the list is no object."))
        };
        self.collection(request)?.into_iter().map(read).collect()
    }

    /// A write whose answer is the object.
    pub(super) fn write_document(&self, request: &Request) -> Result<Written<Document>, GraphError> {
        let answer = self.call(request)?;
        let document = answer.object(&request.doing).ok().and_then(Document::from_json).ok_or_else(|| {
            // It was carried out; what it made is not known.
            GraphError::malformed(&request.doing, "It was carried out, but the answer holds no object.")
                .with_ids(answer.ids.clone())
                .outcome_unknown()
        })?;
        Ok(Written { value: document, ids: answer.ids })
    }

    /// A write whose answer doesn't matter.
    pub(super) fn write_only(&self, request: &Request) -> Result<Written<()>, GraphError> {
        Ok(Written { value: (), ids: self.call(request)?.ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(json: Value) -> Document {
        Document::from_json(json).expect("an object")
    }

    #[test]
    fn members_are_found_at_any_depth_and_missing_ones_are_null() {
        let it = document(json!({"a": {"b": ["x", 1, "y"]}, "empty": "", "sl/ash": 5}));
        assert_eq!(it.texts("/a/b"), ["x", "y"]);
        assert_eq!(it.at("/a/b/1"), &json!(1));
        assert_eq!(it.at("/sl~1ash"), &json!(5));
        assert_eq!((it.at("/none/at/all"), it.at("no pointer")), (&Value::Null, &Value::Null));
        assert_eq!(it.text("/empty"), None);
    }

    #[test]
    fn bare_leaves_the_types_and_everything_unknown() {
        let it = document(json!({
            "@odata.context": "x", "@odata.type": "#t", "usage@odata.context": "y", "new": {"@odata.id": 1, "kept": 2},
            "list": [{"@odata.type": "#u", "@odata.etag": "z"}],
        }));
        let expected = json!({"@odata.type": "#t", "new": {"kept": 2}, "list": [{"@odata.type": "#u"}]});
        assert_eq!(it.bare().into_json(), expected);
    }
}
