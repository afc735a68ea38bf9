//! A JSON body against a closed type: what is not declared is refused, as Graph does.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::errors;
use super::http::{Answer, Call};

/// An OData primitive, as far as account calls use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// `Edm.String`
    Text,
    /// `Edm.Boolean`
    Flag,
    /// `Edm.Int32`
    Int32,
    /// `Edm.DateTimeOffset`
    Time,
    /// A complex type.
    Object,
    /// A collection.
    List,
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Time => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "Edm.String",
            Self::Flag => "Edm.Boolean",
            Self::Int32 => "Edm.Int32",
            Self::Time => "Edm.DateTimeOffset",
            Self::Object => "a complex type",
            Self::List => "a collection",
        }
    }
}

fn refuse(message: String) -> Answer {
    errors::graph(400, "BadRequest", message)
}

/// The body as an object of this type.
///
/// # Errors
/// 400 for anything but JSON, an undeclared member, a wrong type, or another `@odata.type`.
pub(super) fn body(call: &Call, kind: &str, members: &[(&str, Type)]) -> Result<Map<String, Value>, Answer> {
    if !call.is_json() {
        return Err(refuse("A Content-Type header of application/json is required.".into()));
    }
    let value: Value = serde_json::from_slice(&call.body)
        .map_err(|_| refuse("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.".into()))?;
    object(value, kind, members)
}

/// A value as an object of this type.
///
/// # Errors
/// As [`body`].
pub(super) fn object(value: Value, kind: &str, members: &[(&str, Type)]) -> Result<Map<String, Value>, Answer> {
    let Value::Object(map) = value else { return Err(refuse("A JSON object is required.".into())) };
    for (name, value) in &map {
        if name == "@odata.type" {
            if value.as_str() != Some(&format!("#microsoft.graph.{kind}")) {
                return Err(refuse(format!("A type named {value} is not assignable to 'microsoft.graph.{kind}'.")));
            }
            continue;
        }
        // `displayName@odata.type` and its like describe; nobody sends them.
        let Some((_, declared)) = members.iter().find(|(known, _)| known == name) else {
            return Err(refuse(format!(
                "The property '{name}' does not exist on type 'microsoft.graph.{kind}'. Make sure to only use property names that are defined by the type."
            )));
        };
        if !declared.fits(value) {
            return Err(refuse(format!(
                "Cannot convert the value of '{name}' to the expected type '{}'.",
                declared.name()
            )));
        }
    }
    Ok(map)
}

/// A text member.
pub(super) fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}
