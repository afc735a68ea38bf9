//! Sheets to PDF.
//!
//! The PDF names nobody: no title, author or date that could tell whose letter it is.

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect, Size as PdfSize, Transform};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};
use zeroize::Zeroizing;

use super::{Fonts, Item, MM_PER_POINT, Place, Sheet};

/// What every PDF of ours says in its `Creator`, so that a copy that was left behind can be found.
pub const MARK: &str = "keybench paper";

/// A PDF could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// A sheet has no size, or one that no PDF can have.
    #[error("a sheet of {0} by {1} mm can't be a page")]
    Size(String, String),
    /// The library says no.
    #[error("the PDF library refused: {0}")]
    Library(String),
}

/// Writes sheets as the pages of one PDF. The bytes are wiped when dropped.
///
/// # Errors
/// [`PdfError`].
pub fn write<'a>(fonts: &Fonts, sheets: impl IntoIterator<Item = &'a Sheet>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let mut maker = Maker::new(fonts);
    for sheet in sheets {
        maker.add(sheet)?;
    }
    maker.finish()
}

/// A PDF in the making: a print run is added sheet by sheet, so that no more than one letter is laid out at a time.
pub struct Maker<'a> {
    fonts: &'a Fonts,
    document: Document,
}

impl<'a> Maker<'a> {
    /// An empty one.
    pub fn new(fonts: &'a Fonts) -> Self {
        let settings = SerializeSettings { enable_tagging: false, ..SerializeSettings::default() };
        let mut document = Document::new_with(settings);
        document.set_metadata(Metadata::new().creator(MARK.to_owned()));
        Self { fonts, document }
    }

    /// Adds a page.
    ///
    /// # Errors
    /// [`PdfError::Size`].
    pub fn add(&mut self, sheet: &Sheet) -> Result<(), PdfError> {
        let size = sheet.size;
        let settings = PageSettings::from_wh(points(size.width), points(size.height))
            .ok_or_else(|| PdfError::Size(size.width.to_string(), size.height.to_string()))?;
        let mut page = self.document.start_page_with(settings);
        let mut surface = page.surface();
        for item in &sheet.items {
            draw(&mut surface, self.fonts, item);
        }
        surface.finish();
        page.finish();
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// [`PdfError::Library`].
    pub fn finish(self) -> Result<Zeroizing<Vec<u8>>, PdfError> {
        self.document.finish().map(Zeroizing::new).map_err(|error| PdfError::Library(format!("{error:?}")))
    }
}

fn points(mm: f32) -> f32 {
    mm / MM_PER_POINT
}

fn rect(place: &Place) -> Option<Rect> {
    Rect::from_xywh(points(place.x), points(place.y), points(place.width), points(place.height))
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, item: &Item) {
    match item {
        Item::Text { x, y, size, style, grey, text } => {
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*grey)));
            let glyphs = fonts.glyphs(*style, text);
            let start = Point::from_xy(points(*x), points(*y));
            surface.draw_glyphs(start, &glyphs, fonts.font(*style), text, *size, false);
        }
        Item::Boxes { places, grey } => {
            let mut path = PathBuilder::new();
            places.iter().filter_map(rect).for_each(|place| path.push_rect(place));
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*grey)));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Item::Frame { place, line, grey, dash } => {
            let mut path = PathBuilder::new();
            rect(place).into_iter().for_each(|place| path.push_rect(place));
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(*line, *grey, *dash)));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Item::Line { from, to, line, grey, dash } => {
            let mut path = PathBuilder::new();
            path.move_to(points(from.0), points(from.1));
            path.line_to(points(to.0), points(to.1));
            surface.set_fill(None);
            surface.set_stroke(Some(stroke(*line, *grey, *dash)));
            path.finish().iter().for_each(|path| surface.draw_path(path));
        }
        Item::Picture { place, picture } => {
            let Some(size) = PdfSize::from_wh(points(place.width), points(place.height)) else { return };
            surface.push_transform(&Transform::from_translate(points(place.x), points(place.y)));
            surface.draw_image(picture.image.clone(), size);
            surface.pop();
        }
    }
}

fn fill(grey: u8) -> Fill {
    Fill { paint: luma::Color::new(grey).into(), opacity: NormalizedF32::ONE, rule: Default::default() }
}

fn stroke(line: f32, grey: u8, dash: Option<f32>) -> Stroke {
    Stroke {
        paint: luma::Color::new(grey).into(),
        width: points(line),
        dash: dash.map(|mm| StrokeDash { array: vec![points(mm), points(mm)], offset: 0.0 }),
        ..Stroke::default()
    }
}
