//! The name a passkey gets in Entra: what help-desk and user tell keys apart by.
//!
//! Promise: at most 30 characters (the limit of My Security Info; Graph's own is undocumented), and the serial number is never
//! cut: first the model gives way, then the date, then the words between.

use std::fmt;

/// The longest name, in UTF-16 code units: the unit of the service's limit. Never more in characters.
pub const LONGEST_NAME: usize = 30;

/// What can stand in a name.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyFacts<'a> {
    /// Model name.
    pub model: Option<&'a str>,
    /// Serial number.
    pub serial: Option<&'a str>,
    /// The day of registration, `2026-11-21`.
    pub date: &'a str,
    /// Which of a person's keys this is; the first is 1.
    pub ordinal: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Model,
    Serial,
    Date,
    Ordinal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// A checked template: text with `{model}`, `{serial}`, `{date}`, `{n}`; `{{` and `}}` for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    pieces: Vec<Piece>,
}

/// Why a template or a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No such field.
    #[error("the name template has an unknown field {{{0}}}; known are {{model}}, {{serial}}, {{date}} and {{n}}")]
    UnknownField(String),
    /// A single brace.
    #[error("the name template has a brace without its partner; write {{{{ or }}}} for a brace itself")]
    Brace,
    /// The fixed text alone is too long or would leave no room.
    #[error("the fixed words of the name template have {0} characters; at most 20 leave room for a serial number")]
    TooMuchText(usize),
    /// Every key would have the same name.
    #[error("the name template has neither {{serial}} nor {{date}} nor {{n}}, so that keys couldn't be told apart")]
    SameForAll,
    /// The serial number alone doesn't fit.
    #[error("the serial number has more than 30 characters, so no name can hold it whole")]
    SerialTooLong,
}

impl Default for NameTemplate {
    /// `{model} #{serial} {date}` would often be cut, so the default is `{model} #{serial}`.
    fn default() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        Self { pieces: vec![Piece::Field(Field::Model), text(" #"), Piece::Field(Field::Serial)] }
    }
}

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`NameError`] for unknown fields, lone braces, too many fixed words, or nothing that differs between keys.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' if chars.next_if_eq(&'{').is_some() => literal.push('{'),
                '}' if chars.next_if_eq(&'}').is_some() => literal.push('}'),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(NameError::Brace),
                            Some(c) => name.push(c),
                        }
                    }
                    let field = match name.trim() {
                        "model" => Field::Model,
                        "serial" => Field::Serial,
                        "date" => Field::Date,
                        "n" => Field::Ordinal,
                        _ => return Err(NameError::UnknownField(name)),
                    };
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Field(field));
                }
                '}' => return Err(NameError::Brace),
                // A name is one line in every list it is shown in.
                c if c.is_control() => literal.push(' '),
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        let fixed: usize = pieces.iter().map(|piece| if let Piece::Text(text) = piece { units(text) } else { 0 }).sum();
        if fixed > 20 {
            return Err(NameError::TooMuchText(fixed));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Field(Field::Serial | Field::Date | Field::Ordinal))) {
            return Err(NameError::SameForAll);
        }
        Ok(Self { pieces })
    }

    /// The name of one key.
    ///
    /// # Errors
    /// [`NameError::SerialTooLong`], where even the serial number alone wouldn't fit.
    pub fn render(&self, key: &KeyFacts<'_>) -> Result<String, NameError> {
        if key.serial.is_some_and(|serial| units(serial.trim()) > LONGEST_NAME) {
            return Err(NameError::SerialTooLong);
        }
        let whole = self.compose(key, key.model.unwrap_or("Security key"), true);
        let over = units(&whole).saturating_sub(LONGEST_NAME);
        if over == 0 {
            return Ok(named(whole));
        }
        for with_date in [true, false] {
            let without = self.compose(key, "", with_date);
            let whole = self.compose(key, key.model.unwrap_or("Security key"), with_date);
            if units(&whole) <= LONGEST_NAME {
                return Ok(named(whole));
            }
            if units(&without) > LONGEST_NAME {
                continue;
            }
            // As much of the model as there is room for; the blank after it comes back with it.
            let model = key.model.unwrap_or("Security key");
            let mut best = without;
            for (at, c) in model.char_indices() {
                let cut = model.get(..at + c.len_utf8()).unwrap_or(model).trim_end();
                let candidate = self.compose(key, cut, with_date);
                if units(&candidate) > LONGEST_NAME {
                    break;
                }
                best = candidate;
            }
            return Ok(named(best));
        }
        // Only a long serial number or long words are left: the serial number goes alone.
        let alone = key.serial.map_or_else(|| cut(&self.compose(key, "", false)), tidy);
        Ok(named(alone))
    }

    fn compose(&self, key: &KeyFacts<'_>, model: &str, with_date: bool) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Field(Field::Model) => name.push_str(model),
                Piece::Field(Field::Serial) => match key.serial {
                    Some(serial) => name.push_str(serial.trim()),
                    // No number, no number sign.
                    None => name.truncate(name.trim_end_matches(['#', ' ', ':']).len()),
                },
                Piece::Field(Field::Date) if with_date => name.push_str(key.date),
                Piece::Field(Field::Date) => {}
                Piece::Field(Field::Ordinal) => name.push_str(&key.ordinal.to_string()),
            }
        }
        tidy(&name)
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Field(Field::Model) => f.write_str("{model}")?,
                Piece::Field(Field::Serial) => f.write_str("{serial}")?,
                Piece::Field(Field::Date) => f.write_str("{date}")?,
                Piece::Field(Field::Ordinal) => f.write_str("{n}")?,
            }
        }
        Ok(())
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// One line, single blanks, none at the ends.
fn tidy(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        if units(&kept) + c.len_utf16() > LONGEST_NAME {
            break;
        }
        kept.push(c);
    }
    tidy(&kept)
}

/// Never empty: Graph would invent a name.
fn named(name: String) -> String {
    if name.is_empty() { "Security key".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(template: &str, model: &str, serial: Option<&str>) -> String {
        let key = KeyFacts { model: Some(model), serial, date: "2026-11-21", ordinal: 1 };
        NameTemplate::parse(template).expect("a template").render(&key).expect("a name")
    }

    #[test]
    fn names() {
        let all = "{model} #{serial} {date}";
        assert_eq!(render(all, "Key", Some("123")), "Key #123 2026-11-21");
        // 30 characters: the model is what gives way.
        assert_eq!(render(all, "YubiKey 5 NFC", Some("19283746")), "YubiKey 5 #19283746 2026-11-21");
        assert_eq!(
            render("{model} #{serial}", "Security Key NFC by Yubico", Some("19283746")),
            "Security Key NFC by #19283746"
        );
        // No room for model and date.
        assert_eq!(render(all, "Key", Some("123456789012345678901234567")), "K #123456789012345678901234567");
        assert_eq!(render(all, "Key", Some("123456789012345678901234567890")), "123456789012345678901234567890");
        assert_eq!(render("Key {serial} of {n}", "x", Some("7")), "Key 7 of 1");
        // No serial: no dangling sign.
        assert_eq!(render(all, "Key", None), "Key 2026-11-21");
        assert_eq!(render("{{{serial}}}", "Key", Some("7")), "{7}");
        assert_eq!(NameTemplate::default().to_string(), "{model} #{serial}");
    }

    #[test]
    fn wrong_templates() {
        assert_eq!(NameTemplate::parse("{upn}"), Err(NameError::UnknownField("upn".to_owned())));
        assert_eq!(NameTemplate::parse("{serial"), Err(NameError::Brace));
        assert_eq!(NameTemplate::parse("serial}"), Err(NameError::Brace));
        assert_eq!(NameTemplate::parse("{model}"), Err(NameError::SameForAll));
        assert_eq!(NameTemplate::parse("a very long fixed text {serial}"), Err(NameError::TooMuchText(23)));
        let key = KeyFacts { serial: Some("1234567890123456789012345678901"), ..KeyFacts::default() };
        assert_eq!(NameTemplate::default().render(&key), Err(NameError::SerialTooLong));
    }

    proptest! {
        #[test]
        fn a_name_fits_and_holds_the_whole_serial(template in "[ a-z#{}é🔑]{0,12}(\\{model\\})?[ #]?\\{serial\\}[ ]?(\\{date\\})?", model in "\\PC{0,40}", serial in "[A-Z0-9]{1,30}") {
            if let Ok(template) = NameTemplate::parse(&template) {
                let key = KeyFacts { model: Some(&model), serial: Some(&serial), date: "2026-11-21", ordinal: 2 };
                let name = template.render(&key).expect("it fits");
                prop_assert!(units(&name) <= LONGEST_NAME, "{}", name);
                prop_assert!(name.contains(&serial), "{}", name);
                prop_assert_eq!(NameTemplate::parse(&template.to_string()), Ok(template));
            }
        }
    }
}
