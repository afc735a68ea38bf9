//! The fonts: how wide a text is, what it lacks, and its glyphs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, Face, ShapePlan, UnicodeBuffer, script};

use super::MM_PER_POINT;

/// A face of the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Running text.
    Regular,
    /// Headings and what matters.
    Bold,
    /// PINs, codes and references: every character of one width, a slash in the zero.
    Mono,
}

impl Style {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Regular, Self::Bold, Self::Mono];

    fn index(self) -> usize {
        match self {
            Self::Regular => 0,
            Self::Bold => 1,
            Self::Mono => 2,
        }
    }
}

/// A font file is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not a TrueType or OpenType font that can be embedded")]
pub struct FontError;

const BUILT_IN: [&[u8]; 3] = [
    include_bytes!("fonts/NotoSans-Regular.ttf"),
    include_bytes!("fonts/NotoSans-Bold.ttf"),
    include_bytes!("fonts/NotoSansMono-Bold.ttf"),
];

/// Widths that are kept: a letter's words are the same for everybody but for the names.
const MOST_WIDTHS: usize = 20_000;

struct One {
    face: Face<'static>,
    font: Font,
    /// How to shape Latin text; making a plan takes longer than shaping a word.
    latin: ShapePlan,
    /// Ems by word. Never of the mono, which PINs are set in.
    widths: Mutex<HashMap<String, f32>>,
}

impl One {
    fn new(bytes: &'static [u8]) -> Result<Self, FontError> {
        let face = Face::from_slice(bytes, 0).ok_or(FontError)?;
        let font = Font::new(bytes.into(), 0).ok_or(FontError)?;
        let latin = ShapePlan::new(&face, Direction::LeftToRight, Some(script::LATIN), None, &[]);
        Ok(Self { latin, face, font, widths: Mutex::default() })
    }

    fn shape(&self, buffer: UnicodeBuffer) -> rustybuzz::GlyphBuffer {
        let mut buffer = buffer;
        buffer.guess_segment_properties();
        let forward = buffer.direction() == Direction::LeftToRight;
        match buffer.script() {
            // Figures and signs alone have no script of their own.
            script::LATIN | script::UNKNOWN | script::COMMON | script::INHERITED if forward => {
                buffer.set_script(script::LATIN);
                rustybuzz::shape_with_plan(&self.face, &self.latin, buffer)
            }
            _ => rustybuzz::shape(&self.face, &[], buffer),
        }
    }
}

/// Three faces.
pub struct Fonts {
    all: [One; 3],
}

impl std::fmt::Debug for Fonts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fonts")
    }
}

impl Fonts {
    /// The built-in ones.
    ///
    /// # Errors
    /// [`FontError`] if the program was built with damaged files.
    pub fn built_in() -> Result<Self, FontError> {
        Self::with(None, None)
    }

    /// With an organisation's own faces for running text and for headings. A file stays in memory until the program ends.
    ///
    /// # Errors
    /// [`FontError`].
    pub fn with(regular: Option<Vec<u8>>, bold: Option<Vec<u8>>) -> Result<Self, FontError> {
        let [own_regular, own_bold, mono] = BUILT_IN;
        // Faces borrow from their file; a run has one set of fonts, and the file has nothing to hide.
        let kept = |given: Option<Vec<u8>>, own: &'static [u8]| given.map_or(own, |bytes| &*bytes.leak());
        Ok(Self { all: [One::new(kept(regular, own_regular))?, One::new(kept(bold, own_bold))?, One::new(mono)?] })
    }

    fn one(&self, style: Style) -> &One {
        let [regular, bold, mono] = &self.all;
        [regular, bold, mono][style.index().min(2)]
    }

    /// The PDF library's font.
    pub(super) fn font(&self, style: Style) -> Font {
        self.one(style).font.clone()
    }

    /// Width of one line in millimetres.
    pub fn width(&self, style: Style, points: f32, text: &str) -> f32 {
        self.ems(style, text) * points * MM_PER_POINT
    }

    fn ems(&self, style: Style, text: &str) -> f32 {
        let one = self.one(style);
        let measured = || {
            let mut buffer = UnicodeBuffer::new();
            buffer.push_str(text);
            let units: i32 = one.shape(buffer).glyph_positions().iter().map(|glyph| glyph.x_advance).sum();
            units as f32 / one.face.units_per_em().max(1) as f32
        };
        if style == Style::Mono {
            return measured();
        }
        let mut widths = one.widths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = widths.get(text) {
            return *known;
        }
        let ems = measured();
        if widths.len() < MOST_WIDTHS {
            widths.insert(text.to_owned(), ems);
        }
        ems
    }

    /// Characters of the text that the face can't draw, each once.
    pub fn missing(&self, style: Style, text: &str) -> Vec<char> {
        let face = &self.one(style).face;
        let mut missing: Vec<char> =
            text.chars().filter(|c| !c.is_control() && face.glyph_index(*c).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The glyphs of one line, advances in ems.
    pub(super) fn glyphs(&self, style: Style, text: &str) -> Vec<KrillaGlyph> {
        let one = self.one(style);
        let per_em = one.face.units_per_em().max(1) as f32;
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        let shaped = one.shape(buffer);
        let infos = shaped.glyph_infos();
        let forward = infos.is_sorted_by_key(|info| info.cluster);
        // Where each cluster of the text ends: at the start of the next one in the order of the text.
        let mut starts: Vec<usize> = infos.iter().map(|info| info.cluster as usize).collect();
        starts.sort_unstable();
        starts.dedup();
        let end = |start: usize| starts.iter().copied().find(|next| *next > start).unwrap_or(text.len());
        let ends: Vec<usize> = if forward {
            // Sorted already: one walk instead of one search a glyph.
            let mut ends = vec![text.len(); infos.len()];
            let mut next = text.len();
            for (at, info) in infos.iter().enumerate().rev() {
                let start = info.cluster as usize;
                if infos.get(at + 1).is_some_and(|after| after.cluster as usize != start) {
                    next = infos.get(at + 1).map_or(text.len(), |after| after.cluster as usize);
                }
                if let Some(slot) = ends.get_mut(at) {
                    *slot = next;
                }
            }
            ends
        } else {
            infos.iter().map(|info| end(info.cluster as usize)).collect()
        };
        let positions = shaped.glyph_positions();
        infos
            .iter()
            .zip(positions)
            .zip(ends)
            .map(|((info, position), end)| {
                KrillaGlyph::new(
                    GlyphId::new(info.glyph_id),
                    position.x_advance as f32 / per_em,
                    position.x_offset as f32 / per_em,
                    position.y_offset as f32 / per_em,
                    position.y_advance as f32 / per_em,
                    info.cluster as usize..end.max(info.cluster as usize),
                    None,
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_europe_can_be_drawn() {
        let fonts = Fonts::built_in().expect("fonts");
        let names = "IJsbrand Crèvecœur Größe Straße ÄÖÜ äöüß Renée Łukasz Żółć Çağrı İbrahim Ğ Ş ı Ñandú Åse Ø Þór Æ Ēriks Ő Ű Ștefan Đorđe \
                     Čeněk Ř Ľ Ŵ Ŷ Ελένη Юлия";
        for style in [Style::Regular, Style::Bold] {
            assert_eq!(fonts.missing(style, names), Vec::<char>::new());
        }
        assert_eq!(fonts.missing(Style::Regular, "Kim 金 Lee 金"), ['金']);
        assert_eq!(fonts.missing(Style::Mono, "0123456789abcdefghjkmnpqrstuvwxyz-/ "), Vec::<char>::new());
    }

    #[test]
    fn widths_add_up() {
        let fonts = Fonts::built_in().expect("fonts");
        let one = fonts.width(Style::Mono, 10.0, "0");
        assert!((fonts.width(Style::Mono, 10.0, "0123456789") - 10.0 * one).abs() < 0.01);
        assert!((fonts.width(Style::Mono, 20.0, "0") - 2.0 * one).abs() < 0.001);
        assert!(fonts.width(Style::Regular, 10.0, "W") > fonts.width(Style::Regular, 10.0, "i"));
        assert_eq!(fonts.width(Style::Regular, 10.0, ""), 0.0);
    }

    /// What a reader copies out of the PDF is the text: every glyph knows its letters, ligatures and marks too.
    #[test]
    fn glyphs_cover_the_text() {
        let fonts = Fonts::built_in().expect("fonts");
        for text in ["office", "e\u{301}te\u{301}", "x", ""] {
            let mut at = 0;
            for glyph in fonts.glyphs(Style::Regular, text) {
                assert!(glyph.text_range.start <= at && glyph.text_range.end >= at, "{text}: {:?}", glyph.text_range);
                at = glyph.text_range.end;
            }
            assert_eq!(at, text.len(), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_font_is_refused() {
        assert_eq!(Fonts::with(Some(b"not a font".to_vec()), None).err(), Some(FontError));
    }
}
