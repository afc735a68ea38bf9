//! Scannable symbols for digits: QR and Code 128, as black modules.

use super::{Item, Place, Sheet};

/// A symbol as a grid of modules, row by row; a bar code has one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Modules in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Black modules.
    dark: Vec<bool>,
}

/// The text can't be a symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it can't be made a {0} symbol")]
pub struct SymbolError(pub &'static str);

/// White modules that a QR code needs on every side (ISO/IEC 18004 §9.1).
pub const QR_QUIET: usize = 4;
/// White modules that a Code 128 needs at both ends (ISO/IEC 15417 §4.4).
pub const CODE128_QUIET: usize = 10;

impl Symbol {
    /// A QR code that is still read when a quarter of it is spoiled (level Q). 24 digits give 21 by 21 modules.
    ///
    /// # Errors
    /// [`SymbolError`] when the text is too long.
    pub fn qr(text: &str) -> Result<Self, SymbolError> {
        let code =
            qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::Q).map_err(|_| SymbolError("QR"))?;
        let width = code.width();
        let dark = code.into_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect();
        Ok(Self { width, height: width, dark })
    }

    /// A Code 128, set C: an even number of digits.
    ///
    /// # Errors
    /// [`SymbolError`] for anything else.
    pub fn code128(digits: &str) -> Result<Self, SymbolError> {
        if digits.is_empty() || digits.len() % 2 != 0 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SymbolError("Code 128"));
        }
        // The library's way to begin with set C.
        let code =
            barcoders::sym::code128::Code128::new(format!("\u{0106}{digits}")).map_err(|_| SymbolError("Code 128"))?;
        let dark: Vec<bool> = code.encode().into_iter().map(|module| module == 1).collect();
        Ok(Self { width: dark.len(), height: 1, dark })
    }

    /// Whether a module is black; outside the symbol all is white.
    pub fn dark(&self, column: usize, row: usize) -> bool {
        column < self.width && row < self.height && self.dark.get(row * self.width + column).copied().unwrap_or(false)
    }

    /// Draws the modules into a place, without the quiet zone; a bar code's bars get the place's height.
    pub fn draw(&self, sheet: &mut Sheet, place: Place) {
        let (module, row_height) = (place.width / self.width.max(1) as f32, place.height / self.height.max(1) as f32);
        let mut places = Vec::new();
        for row in 0..self.height {
            let mut column = 0;
            while column < self.width {
                let start = column;
                while self.dark(column, row) {
                    column += 1;
                }
                if column > start {
                    places.push(Place {
                        x: place.x + start as f32 * module,
                        y: place.y + row as f32 * row_height,
                        width: (column - start) as f32 * module,
                        height: row_height,
                    });
                }
                column += 1;
            }
        }
        sheet.items.push(Item::Boxes { places, grey: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::paper::Size;

    #[test]
    fn only_digits_in_pairs_make_a_bar_code() {
        assert!(Symbol::code128("7300").is_ok());
        for bad in ["", "730", "73a0", "73 0"] {
            assert!(Symbol::code128(bad).is_err(), "{bad}");
        }
        // Start, 12 pairs and a check symbol of 11 modules, and a stop of 13 (ISO/IEC 15417 §4.2).
        assert_eq!(Symbol::code128(&"7".repeat(24)).map(|symbol| symbol.width), Ok(11 * 14 + 13));
    }

    #[test]
    fn what_is_drawn_is_the_modules() {
        let symbol = Symbol::qr("740000000000000000010142").expect("a code");
        assert_eq!((symbol.width, symbol.height), (21, 21));
        let mut sheet = Sheet::new(Size::A4);
        symbol.draw(&mut sheet, Place { x: 10.0, y: 20.0, width: 21.0, height: 21.0 });
        let Some(Item::Boxes { places, .. }) = sheet.items.first() else { panic!("{:?}", sheet.items) };
        for row in 0..21 {
            for column in 0..21 {
                let (x, y) = (10.5 + column as f32, 20.5 + row as f32);
                let black = places.iter().any(|p| p.x < x && x < p.right() && p.y < y && y < p.bottom());
                assert_eq!(black, symbol.dark(column, row), "{column}, {row}");
            }
        }
    }
}
