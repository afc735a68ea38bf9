//! Paper: sheets of text, boxes and codes, and their PDF.
//!
//! Promise: what is drawn is where it was put, in millimetres from the top left corner; a text that doesn't fit is an error
//! and never runs off the paper; a character that the fonts lack is told before anything is printed. Everything here is
//! pure: sheets go in, bytes come out, and nothing is written anywhere.
//! The texts of a sheet are wiped when it is dropped, because one of them may be a PIN. Exceptions: shaping and the PDF
//! library keep copies while they work; the program's allocator clears what is freed.

pub mod flow;
pub mod font;
pub mod pdf;
pub mod symbol;

use zeroize::Zeroizing;

pub use flow::{Flow, Overflow};
pub use font::{FontError, Fonts, Style};
pub use pdf::{PdfError, write};

/// Points to millimetres: a point is 1/72 inch.
pub const MM_PER_POINT: f32 = 25.4 / 72.0;

/// A size of paper, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Size {
    /// ISO 216 A4.
    pub const A4: Self = Self { width: 210.0, height: 297.0 };
    /// US Letter, 8.5 by 11 inches.
    pub const LETTER: Self = Self { width: 215.9, height: 279.4 };
}

/// A place on a sheet, in millimetres from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Place {
    /// The place with this much less on every side; never less than nothing.
    #[must_use]
    pub fn inside(self, by: f32) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            width: (self.width - 2.0 * by).max(0.0),
            height: (self.height - 2.0 * by).max(0.0),
        }
    }

    /// Its lower edge.
    pub fn bottom(self) -> f32 {
        self.y + self.height
    }

    /// Its right edge.
    pub fn right(self) -> f32 {
        self.x + self.width
    }
}

/// A picture, e.g. a logo: PNG or JPEG.
#[derive(Clone)]
pub struct Picture {
    image: krilla::image::Image,
    width: u32,
    height: u32,
}

impl Picture {
    /// Reads a PNG or a JPEG.
    ///
    /// # Errors
    /// What is wrong with it, in the library's words.
    pub fn read(bytes: Vec<u8>) -> Result<Self, String> {
        let png = bytes.starts_with(b"\x89PNG");
        if !png && !bytes.starts_with(&[0xff, 0xd8]) {
            return Err("it is neither a PNG nor a JPEG".into());
        }
        let data = bytes.into();
        let image =
            if png { krilla::image::Image::from_png(data, true) } else { krilla::image::Image::from_jpeg(data, true) }?;
        let (width, height) = image.size();
        if width == 0 || height == 0 {
            return Err("it is empty".into());
        }
        Ok(Self { image, width, height })
    }

    /// A grid of grey cells, row by row; the PDF holds it once, however many sheets have it.
    pub fn of_cells(columns: u32, rows: u32, mut grey: impl FnMut() -> u8) -> Self {
        let (width, height) = (columns.clamp(1, 4000), rows.clamp(1, 4000));
        let mut pixels = Vec::with_capacity((width * height * 4) as usize);
        for _ in 0..width * height {
            let grey = grey();
            pixels.extend([grey, grey, grey, 255]);
        }
        Self { image: krilla::image::Image::from_rgba8(pixels, width, height), width, height }
    }

    /// Width over height.
    pub fn ratio(&self) -> f32 {
        self.width as f32 / self.height as f32
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} × {})", self.width, self.height)
    }
}

/// Something on a sheet. Greys go from 0, black, to 255, white.
#[derive(Debug)]
pub enum Item {
    /// One line of text; `y` is its baseline.
    Text {
        /// From the left.
        x: f32,
        /// Baseline, from the top.
        y: f32,
        /// Size in points.
        size: f32,
        /// Face.
        style: Style,
        /// Grey.
        grey: u8,
        /// The text. Wiped.
        text: Zeroizing<String>,
    },
    /// Filled boxes of one grey.
    Boxes {
        /// Where.
        places: Vec<Place>,
        /// Grey.
        grey: u8,
    },
    /// The outline of a box.
    Frame {
        /// Where.
        place: Place,
        /// Width of the line in millimetres.
        line: f32,
        /// Grey.
        grey: u8,
        /// Dashes of this length and gap; none for a full line.
        dash: Option<f32>,
    },
    /// A straight line.
    Line {
        /// From, x and y.
        from: (f32, f32),
        /// To, x and y.
        to: (f32, f32),
        /// Width in millimetres.
        line: f32,
        /// Grey.
        grey: u8,
        /// Dashes of this length and gap; none for a full line.
        dash: Option<f32>,
    },
    /// A picture, scaled into its place.
    Picture {
        /// Where.
        place: Place,
        /// What.
        picture: Picture,
    },
}

/// One sheet of paper, one side.
#[derive(Debug)]
pub struct Sheet {
    /// Its size.
    pub size: Size,
    /// What is on it, in the order of drawing.
    pub items: Vec<Item>,
}

impl Sheet {
    /// An empty sheet.
    pub fn new(size: Size) -> Self {
        Self { size, items: Vec::new() }
    }

    /// One line of black text.
    pub fn text(&mut self, x: f32, y: f32, style: Style, size: f32, text: &str) {
        self.items.push(Item::Text { x, y, size, style, grey: 0, text: Zeroizing::new(text.to_owned()) });
    }

    /// One line of text, centred between `left` and `right`.
    pub fn centred(&mut self, fonts: &Fonts, (left, right): (f32, f32), y: f32, style: Style, size: f32, text: &str) {
        let x = left + (right - left - fonts.width(style, size, text)) / 2.0;
        self.text(x, y, style, size, text);
    }

    /// A full line, in a grey.
    pub fn rule(&mut self, from: (f32, f32), to: (f32, f32), grey: u8) {
        self.items.push(Item::Line { from, to, line: 0.2, grey, dash: None });
    }

    /// A dashed line: where to fold or cut.
    pub fn fold(&mut self, from: (f32, f32), to: (f32, f32)) {
        self.items.push(Item::Line { from, to, line: 0.2, grey: 150, dash: Some(1.5) });
    }
}
