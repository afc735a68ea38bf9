//! `$filter` of the logs: conditions joined by `and`, with `eq`, `ge`, `le`, and `list/any(x: x eq 'text')`.
//!
//! Strict where the service is: text stands in single quotes, times and numbers don't.

use jiff::Timestamp;

/// A member's value, as far as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    Text(String),
    Time(Timestamp),
    Number(i64),
    List(Vec<String>),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Ge,
    Le,
    Any,
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFilter(Vec<(String, Operator, Compared)>);

impl LogFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The service's sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("Invalid filter clause: {text}");
        let mut terms = Vec::new();
        for part in split(text).ok_or_else(invalid)? {
            terms.push(term(part.trim()).ok_or_else(invalid)?);
        }
        Ok(Self(terms))
    }

    /// The members it asks about.
    pub(super) fn properties(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, ..)| name.as_str())
    }

    /// Whether an object matches.
    pub(super) fn holds(&self, member: impl Fn(&str) -> Compared) -> bool {
        self.0.iter().all(|(name, operator, wanted)| match (member(name), operator, wanted) {
            (Compared::List(items), Operator::Any, Compared::Text(wanted)) => items.contains(wanted),
            (Compared::Time(is), Operator::Ge, Compared::Time(wanted)) => is >= *wanted,
            (Compared::Time(is), Operator::Le, Compared::Time(wanted)) => is <= *wanted,
            (is, Operator::Eq, wanted) => is == *wanted,
            _ => false,
        })
    }
}

/// At every ` and ` that is not inside quotes.
fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    for (index, quoted) in text.split('\'').enumerate() {
        let last = parts.last_mut()?;
        if index % 2 == 1 {
            last.push('\'');
            last.push_str(quoted);
            last.push('\'');
            continue;
        }
        let mut pieces = quoted.split(" and ");
        last.push_str(pieces.next()?);
        parts.extend(pieces.map(str::to_owned));
    }
    // An odd number of quotes.
    text.matches('\'').count().is_multiple_of(2).then_some(parts)
}

fn term(text: &str) -> Option<(String, Operator, Compared)> {
    if let Some((name, rest)) = text.split_once("/any(") {
        let (variable, condition) = rest.strip_suffix(')')?.split_once(':')?;
        let (left, operator, value) = term(condition.trim())?;
        return (left == variable.trim() && operator == Operator::Eq).then(|| (name.to_owned(), Operator::Any, value));
    }
    let mut words = text.splitn(3, ' ');
    let (name, operator, value) = (words.next()?, words.next()?, words.next()?.trim());
    let operator = match operator {
        "eq" => Operator::Eq,
        "ge" => Operator::Ge,
        "le" => Operator::Le,
        _ => return None,
    };
    let value = match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        // A quote inside is written twice; a single one ends the text, and more follows that is none of a condition's.
        Some(text) if text.replace("''", "").contains('\'') => return None,
        Some(text) => Compared::Text(text.replace("''", "'")),
        None => match value.parse::<i64>() {
            Ok(number) => Compared::Number(number),
            Err(_) => Compared::Time(value.parse().ok()?),
        },
    };
    // A time in quotes is a text, and no member that is a time equals it.
    Some((name.to_owned(), operator, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_hold_together() {
        let row = |name: &str| match name {
            "userId" => Compared::Text("a and b".into()),
            "createdDateTime" => Compared::Time("2026-09-02T08:15:00Z".parse().expect("a time")),
            "status/errorCode" => Compared::Number(0),
            "signInEventTypes" => Compared::List(vec!["interactiveUser".into()]),
            _ => Compared::Nothing,
        };
        let holds = |filter: &str| LogFilter::parse(filter).expect("a filter").holds(row);
        assert!(holds("userId eq 'a and b' and createdDateTime ge 2026-09-01T00:00:00Z and status/errorCode eq 0"));
        assert!(!holds("createdDateTime le 2026-09-01T00:00:00Z"));
        assert!(holds("signInEventTypes/any(t: t eq 'interactiveUser')"));
        assert!(!holds("createdDateTime ge '2026-09-01T00:00:00Z'"));
        for wrong in
            ["", "userId eq a", "userId like 'a'", "userId eq 'a", "x/any(t: u eq 'a')", "a eq 'b' or c eq 'd'"]
        {
            assert!(LogFilter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
