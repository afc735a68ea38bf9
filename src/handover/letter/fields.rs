//! The texts of a letter and the fields that may stand in them.
//!
//! Promise: the PIN is no field: it has its own place, and no text can carry it elsewhere. The PIN sheet knows no name and
//! no company: name and company give the account.

/// Where a text stands: on a sheet of the letter, or in a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The sheet with the address.
    Address,
    /// The sheet with the PIN.
    Pin,
    /// Either.
    Both,
    /// In a mail.
    Mail,
}

impl On {
    /// What may stand there.
    fn takes(self, field: &Field) -> bool {
        match self {
            Self::Address => field.on_letter,
            Self::Pin | Self::Both => field.on_pin_sheet,
            Self::Mail => field.in_mail,
        }
    }
}

/// One text of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextKey {
    /// Its name in the template.
    pub name: &'static str,
    /// Where it is printed.
    pub on: On,
    /// For docs/LETTERS.md.
    pub what: &'static str,
}

const fn key(name: &'static str, on: On, what: &'static str) -> TextKey {
    TextKey { name, on, what }
}

/// Every text of a language. A language has all of them.
#[rustfmt::skip]
pub const TEXTS: &[TextKey] = &[
    key("date", On::Both, "how dates are written, in strftime's signs (`%d.%m.%Y`)"),
    key("no_phone", On::Both, "what stands for the phone number where the template has none"),
    key("no_model", On::Both, "what stands for the key's model where it tells none"),
    key("subject", On::Address, "the line in bold above the text"),
    key("opening", On::Address, "greeting and what this is; a line is a paragraph"),
    key("steps_title", On::Address, "heading"),
    key("steps", On::Address, "how to sign in for the first time; a line is a numbered step"),
    key("change_forced", On::Address, "a step more, where the key makes its user change the PIN"),
    key("change_phone", On::Address, "after it, for people whose first device is a phone or tablet"),
    key("change_free", On::Address, "a step more, where no change is forced"),
    key("new_pin", On::Address, "rules for the new PIN"),
    key("mistakes_title", On::Address, "heading"),
    key("mistakes", On::Address, "what wrong PINs do; a line is an item"),
    key("not_me_title", On::Address, "heading"),
    key("not_me", On::Address, "what to do if one did not expect this"),
    key("closing", On::Address, "the last lines"),
    key("pin_title", On::Pin, "heading of the PIN sheet"),
    key("pin_key", On::Pin, "before the key's reference"),
    key("pin_phone", On::Pin, "before the phone number"),
    key("pin_lead", On::Pin, "what to do with the sheet"),
    key("pin_area", On::Pin, "above the PIN's place"),
    key("pin_letters", On::Pin, "below a PIN that has letters in it"),
    key("pin_forced", On::Pin, "where the key makes its user change the PIN"),
    key("pin_not_me", On::Pin, "what to do if the place was open"),
    key("pin_valid", On::Pin, "how long the letter is good"),
    key("fold", On::Both, "at the folds"),
    key("sheet_of", On::Both, "at the foot of each sheet"),
    key("notice_subject", On::Mail, "subject of the notice that a key was registered"),
    key("notice", On::Mail, "the notice; a line is a paragraph"),
    key("manager_subject", On::Mail, "subject of the mail that brings a PIN to the person's manager"),
    key("manager", On::Mail, "that mail; a line is a paragraph, and the PIN stands below it"),
    key("manager_forced", On::Mail, "below the PIN, where the key makes its user change it"),
    key("manager_not_me", On::Mail, "its end: what to do if one did not expect this"),
];

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As it is written between braces.
    pub name: &'static str,
    /// May stand on the address sheet.
    pub on_letter: bool,
    /// May stand on the PIN sheet.
    pub on_pin_sheet: bool,
    /// May stand in a mail.
    pub in_mail: bool,
    /// For docs/LETTERS.md.
    pub what: &'static str,
}

/// Of whom it tells: not on the PIN sheet.
const fn whose(name: &'static str, what: &'static str) -> Field {
    Field { name, on_letter: true, on_pin_sheet: false, in_mail: true, what }
}

const fn anywhere(name: &'static str, what: &'static str) -> Field {
    Field { name, on_letter: true, on_pin_sheet: true, in_mail: true, what }
}

const fn on_paper(name: &'static str, what: &'static str) -> Field {
    Field { name, on_letter: true, on_pin_sheet: true, in_mail: false, what }
}

const fn in_mail(name: &'static str, what: &'static str) -> Field {
    Field { name, on_letter: false, on_pin_sheet: false, in_mail: true, what }
}

/// Every field.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    whose("name", "the person's display name"),
    whose("company", "`company` of `[sender]`"),
    whose("contact", "`contact` of `[help]`"),
    anywhere("key_ref", "the key's reference, as its label has it: `7H2KQ-0M4XA`"),
    anywhere("key_model", "the key's model; `no_model` where it tells none"),
    anywhere("key_serial", "the key's serial number, or nothing"),
    anywhere("phone", "`phone` of `[help]`"),
    anywhere("hours", "`hours` of `[help]`"),
    anywhere("help", "the phone number, with the hours in brackets if there are any"),
    anywhere("pin_min", "the fewest characters that the key takes for a new PIN"),
    anywhere("date", "the day of printing, or of the mail"),
    on_paper("expires", "the last day on which the letter is to be used"),
    on_paper("letter", "the letter's code, in groups of four digits"),
    on_paper("sheet", "number of this sheet"),
    on_paper("sheets", "number of sheets"),
    in_mail("when", "when the key was registered"),
    in_mail("manager", "the manager's display name, in the mail to them"),
];

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it is.
    Plain(&'a str),
    /// A field's name, and where its opening brace is in the text, in bytes.
    Field(&'a str, usize),
    /// A brace without its partner.
    Brace(usize),
}

/// Takes a text apart. `{{` and `}}` stand for single braces.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let (mut rest, mut at) = (text, 0);
    while let Some(found) = rest.find(['{', '}']) {
        let (plain, from) = rest.split_at(found);
        if !plain.is_empty() {
            all.push(Piece::Plain(plain));
        }
        let brace = at + found;
        let taken = if from.starts_with("{{") || from.starts_with("}}") {
            all.push(Piece::Plain(from.get(..1).unwrap_or_default()));
            2
        } else if let Some(end) = from.find('}').filter(|_| from.starts_with('{')) {
            all.push(Piece::Field(from.get(1..end).unwrap_or_default(), brace));
            end + 1
        } else {
            all.push(Piece::Brace(brace));
            1
        };
        rest = from.get(taken..).unwrap_or_default();
        at = brace + taken;
    }
    if !rest.is_empty() {
        all.push(Piece::Plain(rest));
    }
    all
}

/// Fills the fields in. The template was checked, so that each is known; one that isn't is left out.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => filled.push_str(plain),
            Piece::Field(name, _) => filled.push_str(&value(name.trim()).unwrap_or_default()),
            Piece::Brace(_) => {}
        }
    }
    filled
}

/// What is wrong with a field that stands at `on`; `None` when nothing is.
pub fn wrong(name: &str, on: On) -> Option<String> {
    let name = name.trim();
    if name == "pin" {
        return Some("{pin} is no field: the PIN is printed in its own place, [pin], and nowhere else".into());
    }
    match FIELDS.iter().find(|field| field.name == name) {
        Some(field) if on.takes(field) => None,
        Some(field) if on == On::Mail => {
            Some(format!("{{{}}} is of a printed letter, and can't stand in a mail", field.name))
        }
        Some(field) if !field.on_letter => Some(format!("{{{}}} is of a mail, and can't stand on paper", field.name)),
        Some(_) => {
            Some(format!("{{{name}}} can't stand on the PIN sheet: whoever finds it must not learn whose PIN it is"))
        }
        None => {
            let near = FIELDS
                .iter()
                .map(|field| (strsim::damerau_levenshtein(field.name, name), field.name))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let guess = near.map(|(_, near)| format!("; did you mean {{{near}}}?")).unwrap_or_default();
            Some(format!("there is no field {{{name}}}{guess}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_text_and_field() {
        let page = include_str!("../../../docs/LETTERS.md");
        for key in TEXTS {
            assert!(page.contains(&format!("| `{}` |", key.name)) && page.contains(key.what), "{}", key.name);
        }
        for field in FIELDS {
            assert!(page.contains(&format!("| `{{{}}}` |", field.name)) && page.contains(field.what), "{}", field.name);
        }
    }

    #[test]
    fn texts_come_apart_and_are_filled() {
        let value = |name: &str| (name == "name").then(|| "Kim {Lee}".to_owned());
        assert_eq!(fill("Dear {name}, {{so}}!", value), "Dear Kim {Lee}, {so}!");
        assert_eq!(pieces("a{b}c"), [Piece::Plain("a"), Piece::Field("b", 1), Piece::Plain("c")]);
        assert_eq!(pieces("a{b"), [Piece::Plain("a"), Piece::Brace(1), Piece::Plain("b")]);
        assert_eq!(pieces("é}"), [Piece::Plain("é"), Piece::Brace(2)]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn the_pin_has_its_own_place_and_its_sheet_no_name() {
        for on in [On::Address, On::Pin, On::Both, On::Mail] {
            assert!(wrong("pin", on).is_some_and(|why| why.contains("own place")));
        }
        assert_eq!(wrong("name", On::Address), None);
        for name in ["name", "company", "contact"] {
            assert!(wrong(name, On::Pin).is_some() && wrong(name, On::Both).is_some(), "{name}");
        }
        assert_eq!(wrong("key_ref", On::Pin), None);
        assert_eq!((wrong("name", On::Mail), wrong("when", On::Mail)), (None, None));
        assert!(wrong("sheet", On::Mail).is_some_and(|why| why.contains("printed letter")));
        assert!(wrong("when", On::Address).is_some_and(|why| why.contains("of a mail")));
        assert!(wrong("key_reff", On::Pin).is_some_and(|why| why.contains("did you mean {key_ref}?")));
        assert!(wrong("shoe size", On::Address).is_some_and(|why| !why.contains("did you mean")));
    }
}
