//! The template: an admin's file over the built-in one, checked before anything is opened or printed.
//!
//! Promise: whatever is wrong is told with its line, all of it at once; what a file leaves out is the built-in template's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::fields::{self, On, Piece, TEXTS};
use crate::handover::paper::{FontError, Fonts, Picture, Place, Size};

/// The built-in template, as [`Template::built_in`] reads it and `letters template` writes it.
pub const BUILT_IN: &str = include_str!("template.toml");

/// One thing that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What.
    pub what: String,
}

/// A template that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the letter template has {} {}", .faults.len(), if .faults.len() == 1 { "fault" } else { "faults" })]
pub struct TemplateError {
    /// All that is wrong, by line.
    pub faults: Vec<Fault>,
}

/// How a letter lies on its paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Address and instructions on one sheet, the PIN on another.
    Sheets,
    /// Address and PIN on one sheet, parted by folds; instructions on its back.
    Panels,
}

/// The texts of one language.
#[derive(Debug, Clone, Default)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// A text, by its name in [`TEXTS`].
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A checked template.
#[derive(Debug)]
pub struct Template {
    /// Paper.
    pub size: Size,
    /// How the letter lies on it.
    pub layout: Layout,
    /// Margin in millimetres.
    pub margin: f32,
    /// Running text in points.
    pub text_size: f32,
    /// The envelope's window.
    pub window: Place,
    /// The logo, read, and where it goes.
    pub logo: Option<(Picture, Place)>,
    /// One small line above the address.
    pub sender: String,
    /// `{company}`.
    pub company: String,
    /// `{phone}`.
    pub phone: String,
    /// `{hours}`.
    pub hours: String,
    /// `{contact}`.
    pub contact: String,
    /// The PIN's place on its sheet.
    pub pin: Place,
    /// Its size in points.
    pub pin_size: f32,
    /// Print a pattern where the fold covers the PIN.
    pub shield: bool,
    /// The organisation's country, as addresses write it; other countries are abroad.
    pub home: String,
    /// How many days a letter lives. The settings' affair, not the file's: 21 until they are set.
    pub inland_days: u32,
    /// And abroad: 30 until they are set.
    pub abroad_days: u32,
    regular: Option<Vec<u8>>,
    bold: Option<Vec<u8>>,
    languages: BTreeMap<String, Texts>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    version: Option<Spanned<u32>>,
    page: Page,
    window: Box4,
    logo: Logo,
    sender: Sender,
    help: Help,
    pin: Pin,
    fonts: FontFiles,
    text: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Page {
    size: Option<Spanned<String>>,
    layout: Option<Layout>,
    margin: Option<Spanned<f32>>,
    text_size: Option<Spanned<f32>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Box4 {
    x: Option<Spanned<f32>>,
    y: Option<Spanned<f32>>,
    width: Option<Spanned<f32>>,
    height: Option<Spanned<f32>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Logo {
    file: Option<Spanned<String>>,
    x: Option<Spanned<f32>>,
    y: Option<Spanned<f32>>,
    width: Option<Spanned<f32>>,
    height: Option<Spanned<f32>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Sender {
    line: Option<String>,
    company: Option<String>,
    home: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Help {
    phone: Option<String>,
    hours: Option<String>,
    contact: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Pin {
    x: Option<Spanned<f32>>,
    y: Option<Spanned<f32>>,
    width: Option<Spanned<f32>>,
    height: Option<Spanned<f32>>,
    text_size: Option<Spanned<f32>>,
    shield: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FontFiles {
    regular: Option<Spanned<String>>,
    bold: Option<Spanned<String>>,
}

/// Reads a file that a template names beside itself, or says why it can't.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

impl Template {
    /// The built-in one.
    ///
    /// # Errors
    /// [`TemplateError`] if the program was built with a broken one; a test holds that it is not.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::read("", None, &|_| Err("not there".into()))
    }

    /// An admin's file over the built-in one. Files it names are looked for beside it, in `folder`.
    ///
    /// # Errors
    /// [`TemplateError`] with everything that is wrong.
    pub fn read(text: &str, folder: Option<&Path>, file: ReadFile<'_>) -> Result<Self, TemplateError> {
        let base: File = toml::from_str(BUILT_IN).map_err(|error| not_toml(BUILT_IN, &error))?;
        let own: File = toml::from_str(text).map_err(|error| not_toml(text, &error))?;
        let mut reader = Reader { text, folder, file, faults: Vec::new() };
        let template = reader.template(base, own);
        reader.faults.sort_by_key(|fault| fault.line);
        if reader.faults.is_empty() { Ok(template) } else { Err(TemplateError { faults: reader.faults }) }
    }

    /// The template's fonts.
    ///
    /// # Errors
    /// [`FontError`].
    pub fn fonts(&self) -> Result<Fonts, FontError> {
        Fonts::with(self.regular.clone(), self.bold.clone())
    }

    /// The languages it has, by their codes.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// The texts of a language: `de` for `de`, `de-AT` and `de_CH`.
    pub fn texts(&self, language: &str) -> Option<(&str, &Texts)> {
        let wanted = language.trim().to_ascii_lowercase().replace('_', "-");
        let short = wanted.split('-').next().unwrap_or_default();
        [wanted.as_str(), short]
            .into_iter()
            .find_map(|code| self.languages.get_key_value(code))
            .map(|(code, texts)| (code.as_str(), texts))
    }
}

struct Reader<'a> {
    text: &'a str,
    folder: Option<&'a Path>,
    file: ReadFile<'a>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: Option<usize>, what: impl Into<String>) {
        let line = at.map_or(0, |at| line_of(self.text, at));
        self.faults.push(Fault { line, what: what.into() });
    }

    fn template(&mut self, base: File, own: File) -> Template {
        match &own.version {
            Some(version) if *version.get_ref() != 1 => {
                self.fault(
                    Some(version.span().start),
                    format!("version {} is not known; this keybench reads version 1", version.get_ref()),
                );
            }
            _ => {}
        }
        let size = match own.page.size.as_ref().map(|size| (size.span().start, size.get_ref().to_ascii_lowercase())) {
            None => Size::A4,
            Some((_, size)) if size == "a4" => Size::A4,
            Some((_, size)) if size == "letter" => Size::LETTER,
            Some((at, size)) => {
                self.fault(Some(at), format!("page.size is A4 or Letter, not \"{size}\""));
                Size::A4
            }
        };
        let layout = own.page.layout.or(base.page.layout).unwrap_or(Layout::Sheets);
        let margin = self.number("page.margin", own.page.margin, base.page.margin, 5.0, 60.0);
        let text_size = self.number("page.text_size", own.page.text_size, base.page.text_size, 8.0, 16.0);
        let window = self.place("window", size, own.window, base.window);
        let logo_at = Box4 { x: own.logo.x, y: own.logo.y, width: own.logo.width, height: own.logo.height };
        let base_at = Box4 { x: base.logo.x, y: base.logo.y, width: base.logo.width, height: base.logo.height };
        let logo_place = self.place("logo", size, logo_at, base_at);
        let logo = self.named("logo.file", own.logo.file).and_then(|(at, bytes)| match Picture::read(bytes) {
            Ok(picture) => Some((picture, logo_place)),
            Err(why) => {
                self.fault(Some(at), format!("logo.file can't be used: {why}"));
                None
            }
        });
        let pin_at = Box4 { x: own.pin.x, y: own.pin.y, width: own.pin.width, height: own.pin.height };
        let base_at = Box4 { x: base.pin.x, y: base.pin.y, width: base.pin.width, height: base.pin.height };
        let pin = self.place("pin", size, pin_at, base_at);
        let pin_size = self.number("pin.text_size", own.pin.text_size, base.pin.text_size, 10.0, 72.0);
        let regular = self.font("fonts.regular", own.fonts.regular);
        let bold = self.font("fonts.bold", own.fonts.bold);
        let line = |own: Option<String>, base: Option<String>| own.or(base).unwrap_or_default().trim().to_owned();
        Template {
            size,
            layout,
            margin,
            text_size,
            window,
            logo,
            sender: line(own.sender.line, base.sender.line),
            company: line(own.sender.company, base.sender.company),
            phone: line(own.help.phone, base.help.phone),
            hours: line(own.help.hours, base.help.hours),
            contact: line(own.help.contact, base.help.contact),
            pin,
            pin_size,
            shield: own.pin.shield.or(base.pin.shield).unwrap_or(true),
            home: line(own.sender.home, base.sender.home),
            inland_days: 21,
            abroad_days: 30,
            regular,
            bold,
            languages: self.languages(base.text, own.text),
        }
    }

    fn number(
        &mut self,
        name: &str,
        own: Option<Spanned<f32>>,
        base: Option<Spanned<f32>>,
        least: f32,
        most: f32,
    ) -> f32 {
        let fallback = base.map_or(least, Spanned::into_inner);
        let Some(own) = own else { return fallback };
        let (at, value) = (own.span().start, own.into_inner());
        if !(least..=most).contains(&value) {
            self.fault(Some(at), format!("{name} is {value}; it must be from {least} to {most}"));
            return fallback;
        }
        value
    }

    fn place(&mut self, name: &str, size: Size, own: Box4, base: Box4) -> Place {
        let at = [&own.x, &own.y, &own.width, &own.height].into_iter().flatten().map(|one| one.span().start).min();
        let place = Place {
            x: self.number(&format!("{name}.x"), own.x, base.x, 0.0, size.width),
            y: self.number(&format!("{name}.y"), own.y, base.y, 0.0, size.height),
            width: self.number(&format!("{name}.width"), own.width, base.width, 5.0, size.width),
            height: self.number(&format!("{name}.height"), own.height, base.height, 5.0, size.height),
        };
        if place.right() > size.width || place.bottom() > size.height {
            let what = format!(
                "[{name}] reaches to {} by {} mm, and the paper is {} by {} mm",
                place.right(),
                place.bottom(),
                size.width,
                size.height
            );
            self.fault(at, what);
        }
        place
    }

    /// The bytes of a file that is named, with the place of its name.
    fn named(&mut self, name: &str, own: Option<Spanned<String>>) -> Option<(usize, Vec<u8>)> {
        let own = own?;
        let (at, file) = (own.span().start, own.into_inner());
        if file.trim().is_empty() {
            return None;
        }
        let path = self.folder.map_or_else(|| PathBuf::from(&file), |folder| folder.join(&file));
        match (self.file)(&path) {
            Ok(bytes) => Some((at, bytes)),
            Err(error) => {
                self.fault(Some(at), format!("{name}: {} can't be read: {error}", path.display()));
                None
            }
        }
    }

    fn font(&mut self, name: &str, own: Option<Spanned<String>>) -> Option<Vec<u8>> {
        let (at, bytes) = self.named(name, own)?;
        if let Err(error) = Fonts::with(Some(bytes.clone()), None) {
            self.fault(Some(at), format!("{name}: {error}"));
            return None;
        }
        Some(bytes)
    }

    fn languages(
        &mut self,
        base: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<String>>>,
        own: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<String>>>,
    ) -> BTreeMap<String, Texts> {
        let mut all: BTreeMap<String, Texts> = base
            .into_iter()
            .map(|(code, texts)| {
                let texts = texts.into_iter().map(|(name, text)| (name.into_inner(), text.into_inner())).collect();
                (code.into_inner(), Texts(texts))
            })
            .collect();
        for (code, texts) in own {
            let (at, code) = (code.span().start, code.into_inner().to_ascii_lowercase().replace('_', "-"));
            let merged = all.entry(code.clone()).or_default();
            for (name, text) in texts {
                let (name_at, name) = (name.span().start, name.into_inner());
                let Some(key) = TEXTS.iter().find(|key| key.name == name) else {
                    let near = TEXTS.iter().map(|key| (strsim::damerau_levenshtein(key.name, &name), key.name)).min();
                    let guess = near.filter(|(distance, _)| *distance <= 3);
                    let guess = guess.map(|(_, near)| format!("; did you mean {near}?")).unwrap_or_default();
                    self.fault(Some(name_at), format!("[text.{code}] has no text {name}{guess}"));
                    continue;
                };
                self.text(&code, &name, key.on, &text);
                merged.0.insert(name, text.into_inner());
            }
            let missing: Vec<&str> =
                TEXTS.iter().map(|key| key.name).filter(|name| !merged.0.contains_key(*name)).collect();
            if !missing.is_empty() {
                self.fault(Some(at), format!("[text.{code}] lacks {}", missing.join(", ")));
            }
        }
        all
    }

    fn text(&mut self, code: &str, name: &str, on: On, text: &Spanned<String>) {
        let start = text.span().start;
        if name == "date" {
            let sample = jiff::civil::date(2030, 1, 31);
            let mut written = String::new();
            let format = jiff::fmt::strtime::BrokenDownTime::from(sample).format(text.get_ref(), &mut written);
            if format.is_err() || !written.contains("31") || !written.contains("30") {
                let what = format!("[text.{code}] date can't be used: it needs %d, %m and %Y, as in \"%d.%m.%Y\"");
                self.fault(Some(start), what);
            }
            return;
        }
        // One fault a field and text: the second of the same name is found with the first.
        let mut told: Vec<&str> = Vec::new();
        for piece in fields::pieces(text.get_ref()) {
            match piece {
                Piece::Plain(_) => {}
                Piece::Field(field, _) => {
                    if let Some(why) = fields::wrong(field, on).filter(|_| !told.contains(&field)) {
                        told.push(field);
                        let at = self.find(text, &format!("{{{field}}}"));
                        self.fault(Some(at), format!("[text.{code}] {name}: {why}"));
                    }
                }
                Piece::Brace(_) => {
                    let what =
                        format!("[text.{code}] {name}: a brace without its partner; a plain one is written twice");
                    self.fault(Some(start), what);
                }
            }
        }
    }

    /// Where `what` stands in the file, from the text's start on: in a long text that is its own line.
    fn find(&self, text: &Spanned<String>, what: &str) -> usize {
        let span = text.span();
        let found = self.text.get(span.clone()).and_then(|raw| raw.find(what)).unwrap_or(0);
        span.start.saturating_add(found)
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

fn not_toml(text: &str, error: &toml::de::Error) -> TemplateError {
    let line = error.span().map_or(0, |span| line_of(text, span.start));
    let what = error.message().lines().next().unwrap_or_default().to_owned();
    TemplateError { faults: vec![Fault { line, what }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Template, TemplateError> {
        Template::read(text, None, &|_| Err("not there".into()))
    }

    fn faults(text: &str) -> Vec<(usize, String)> {
        read(text).expect_err("faults").faults.into_iter().map(|fault| (fault.line, fault.what)).collect()
    }

    #[test]
    fn the_built_in_template_is_whole_in_every_language() {
        let template = Template::built_in().expect("sound");
        assert_eq!(template.languages().collect::<Vec<_>>(), ["de", "en", "es", "fr", "nl", "pl"]);
        // Read as an admin's file, so that its fields are checked too.
        read(BUILT_IN).expect("sound");
        let english = template.texts("en-GB").expect("English").1;
        for key in TEXTS {
            for language in ["de", "en", "es", "fr", "nl", "pl"] {
                let text = template.texts(language).expect("there").1.get(key.name);
                assert!(!text.trim().is_empty(), "{language} {}", key.name);
                let fields = |text: &str| {
                    let mut fields: Vec<String> = fields::pieces(text)
                        .into_iter()
                        .filter_map(|piece| match piece {
                            Piece::Field(name, _) => Some(name.to_owned()),
                            _ => None,
                        })
                        .collect();
                    fields.sort();
                    fields
                };
                assert_eq!(fields(text), fields(english.get(key.name)), "{language} {}", key.name);
                assert_eq!(text.lines().count(), english.get(key.name).lines().count(), "{language} {}", key.name);
            }
        }
    }

    #[test]
    fn a_short_file_changes_what_it_names() {
        let template = read("[help]\nphone = \"+49 30 1\"\n[text.de]\nsubject = \"PIN\"\n").expect("sound");
        assert_eq!(template.phone, "+49 30 1");
        let german = template.texts("de_AT").expect("German").1;
        assert_eq!(german.get("subject"), "PIN");
        assert!(german.get("opening").contains("Sicherheitsschlüssel"));
        assert!(template.texts("xx").is_none());
    }

    #[test]
    fn a_wrong_field_is_told_with_its_line() {
        let text = "version = 1\n[text.en]\nopening = \"\"\"\nDear {nmae},\nyour key {key_ref}\nand {shoe} here\"\"\"\npin_lead = \"for {name}\"\n";
        assert_eq!(
            faults(text),
            [
                (4, "[text.en] opening: there is no field {nmae}; did you mean {name}?".to_owned()),
                (6, "[text.en] opening: there is no field {shoe}; did you mean {phone}?".to_owned()),
                (
                    7,
                    "[text.en] pin_lead: {name} can't stand on the PIN sheet: whoever finds it must not learn whose PIN it is"
                        .to_owned()
                ),
            ]
        );
        assert!(faults("[text.en]\nclosing = \"{pin}\"")[0].1.contains("own place"));
        assert!(faults("[text.en]\nclosing = \"{name\"")[0].1.contains("without its partner"));
    }

    #[test]
    fn everything_else_that_is_wrong_is_told_too() {
        for (text, line, part) in [
            ("version = 2", 1, "version 2 is not known"),
            ("\n[page]\nsize = \"A5\"", 3, "A4 or Letter"),
            ("[page]\nlayout = \"rolls\"", 2, "rolls"),
            ("[page]\nmargins = 3", 2, "unknown field `margins`"),
            ("[pin]\nx = 150", 2, "[pin] reaches to 270"),
            ("[pin]\ntext_size = 5", 2, "from 10 to 72"),
            ("[page]\nmargin = 0", 2, "from 5 to 60"),
            ("[logo]\nfile = \"gone.png\"", 2, "gone.png can't be read"),
            ("[fonts]\nregular = \"gone.ttf\"", 2, "gone.ttf can't be read"),
            ("[text.en]\nsubjct = \"x\"", 2, "did you mean subject?"),
            ("[text.it]\nsubject = \"x\"", 1, "[text.it] lacks date, no_phone, no_model, opening"),
            ("[text.en]\ndate = \"today\"", 2, "%d.%m.%Y"),
            ("a = ", 1, ""),
        ] {
            let found = faults(text);
            assert!(found[0].0 == line && found[0].1.contains(part), "{text}: {found:?}");
        }
        let file = |_: &Path| Ok(b"GIF89a".to_vec());
        let error = Template::read("[logo]\nfile = \"x.png\"", None, &file).expect_err("no PNG");
        assert!(error.faults[0].what.contains("neither a PNG nor a JPEG"), "{error:?}");
    }
}
