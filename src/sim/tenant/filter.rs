//! `$filter` as far as a bench needs it: `property eq 'text'`, `property in ('a','b')`, joined by `or` or by `and`.

/// A condition on an object's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// All must hold; else one must.
    all: bool,
    terms: Vec<(String, Vec<String>)>,
}

/// Most values of an `in`, and most `or`s, that the directory takes.
const MOST_VALUES: usize = 15;
/// Longest text that `eq` matches.
const LONGEST_VALUE: usize = 120;

#[derive(Debug, PartialEq, Eq, Clone)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The sentence that goes into a `Request_UnsupportedQuery`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("Invalid filter clause: {text}");
        let tokens = tokens(text).ok_or_else(invalid)?;
        let mut rest = tokens.as_slice();
        let mut terms = Vec::new();
        let mut joints = Vec::new();
        loop {
            let (term, after) = term(rest).ok_or_else(invalid)?;
            terms.push(term);
            match after {
                [] => break,
                [Token::Word(joint), after @ ..] if joint == "or" || joint == "and" => {
                    joints.push(joint.as_str());
                    rest = after;
                }
                _ => return Err(invalid()),
            }
        }
        if joints.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(invalid());
        }
        if terms.iter().map(|(_, values)| values.len()).sum::<usize>() > MOST_VALUES {
            return Err(format!(
                "Too many child clauses specified in search filter expression: more than {MOST_VALUES}."
            ));
        }
        if terms.iter().flat_map(|(_, values)| values).any(|value| value.chars().count() > LONGEST_VALUE) {
            return Err(format!("A value of the filter is longer than {LONGEST_VALUE} characters."));
        }
        Ok(Self { all: joints.first() == Some(&"and"), terms })
    }

    /// The properties it asks about.
    pub(super) fn properties(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|(name, _)| name.as_str())
    }

    /// Whether an object matches; texts are compared without regard to case.
    pub(super) fn matches(&self, property: impl Fn(&str) -> String) -> bool {
        let holds = |(name, values): &(String, Vec<String>)| {
            let is = property(name).to_lowercase();
            values.iter().any(|value| value.to_lowercase() == is)
        };
        if self.all { self.terms.iter().all(holds) } else { self.terms.iter().any(holds) }
    }
}

type Term = (String, Vec<String>);

fn term(tokens: &[Token]) -> Option<(Term, &[Token])> {
    match tokens {
        [Token::Word(name), Token::Word(eq), Token::Text(value) | Token::Word(value), rest @ ..] if eq == "eq" => {
            Some(((name.clone(), vec![value.clone()]), rest))
        }
        [Token::Word(name), Token::Word(within), Token::Mark('('), rest @ ..] if within == "in" => {
            let end = rest.iter().position(|token| *token == Token::Mark(')'))?;
            let (inside, after) = rest.split_at_checked(end)?;
            let mut values = Vec::new();
            for (index, token) in inside.iter().enumerate() {
                match token {
                    Token::Text(value) if index % 2 == 0 => values.push(value.clone()),
                    Token::Mark(',') if index % 2 == 1 => {}
                    _ => return None,
                }
            }
            Some(((name.clone(), values), after.get(1..)?))
        }
        _ => None,
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next {
            ' ' => {
                rest.next();
            }
            '(' | ')' | ',' => {
                rest.next();
                out.push(Token::Mark(next));
            }
            '\'' => {
                rest.next();
                let mut value = String::new();
                loop {
                    match rest.next()? {
                        // A quote inside is written twice.
                        '\'' if rest.peek() == Some(&'\'') => {
                            rest.next();
                            value.push('\'');
                        }
                        '\'' => break,
                        other => value.push(other),
                    }
                }
                out.push(Token::Text(value));
            }
            _ => {
                let mut word = String::new();
                while let Some(&letter) = rest.peek().filter(|c| !" (),'".contains(**c)) {
                    word.push(letter);
                    rest.next();
                }
                out.push(Token::Word(word));
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, upn: &str) -> bool {
        Filter::parse(filter)
            .expect("a filter")
            .matches(|name| if name == "userPrincipalName" { upn.into() } else { String::new() })
    }

    #[test]
    fn quotes_are_doubled() {
        assert!(holds("userPrincipalName eq 'o''reilly@x'", "O'Reilly@x"));
        assert!(Filter::parse("userPrincipalName eq 'o'reilly@x'").is_err());
    }

    #[test]
    fn terms_are_joined() {
        assert!(holds("userPrincipalName eq 'a' or userPrincipalName eq 'b'", "b"));
        assert!(!holds("userPrincipalName eq 'a' and userPrincipalName eq 'b'", "b"));
        assert!(holds("userPrincipalName in ('a', 'b')", "b"));
        assert!(Filter::parse("a eq 'x' or b eq 'y' and c eq 'z'").is_err());
        assert!(Filter::parse("startswith(a,'x')").is_err());
        assert!(Filter::parse("").is_err());
    }

    #[test]
    fn limits_are_the_directorys() {
        let many = (0..16).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(",");
        assert!(Filter::parse(&format!("id in ({many})")).is_err());
        assert!(Filter::parse(&format!("id eq '{}'", "x".repeat(121))).is_err());
    }
}
