//! Labels for Zebra printers and those that speak their language (ZPL II Programming Guide).
//!
//! Codes are sent as pictures, module by module, so that every printer prints what was tested here. Text is the printer's
//! own font 0, in UTF-8.

use super::{Label, LabelError, Part};
use crate::handover::paper::symbol::{CODE128_QUIET, QR_QUIET, Symbol};
use crate::handover::paper::{Fonts, Place, Style};

/// A roll of labels in a printer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roll {
    /// Of one label, in millimetres.
    pub width: f32,
    /// Of one label.
    pub height: f32,
    /// Dots per millimetre: 6, 8, 12 or 24 (152, 203, 300, 600 dpi).
    pub dots: u32,
}

impl Roll {
    /// Dots per millimetre of a resolution in dots per inch, as printers are sold.
    pub fn dots_of_dpi(dpi: u32) -> Option<u32> {
        match dpi {
            152 => Some(6),
            203 => Some(8),
            300 => Some(12),
            600 => Some(24),
            _ => None,
        }
    }

    fn dots(&self, mm: f32) -> u32 {
        // A label is at most some hundred millimetres.
        (mm.clamp(0.0, 1000.0) * self.dots as f32).round() as u32
    }
}

/// Labels as one stream for the printer.
///
/// # Errors
/// [`LabelError`].
pub fn stream(fonts: &Fonts, labels: &[Label], roll: &Roll) -> Result<String, LabelError> {
    let mut text = String::new();
    for label in labels {
        let place = Place { x: 0.0, y: 0.0, width: roll.width, height: roll.height };
        let parts = label.lay_out(fonts, place)?;
        text.push_str(&format!("^XA^CI28^LH0,0^PW{}^LL{}\n", roll.dots(roll.width), roll.dots(roll.height)));
        for part in &parts {
            text.push_str(&command(roll, part)?);
            text.push('\n');
        }
        text.push_str("^XZ\n");
    }
    Ok(text)
}

fn command(roll: &Roll, part: &Part) -> Result<String, LabelError> {
    Ok(match part {
        Part::Text { x, y, size, style, text } => {
            // Font 0's cell is as high as a line; its baseline is three quarters down.
            let height = roll.dots(size * crate::handover::paper::MM_PER_POINT * 1.05);
            let top = roll.dots(*y).saturating_sub(height * 3 / 4);
            let width = if *style == Style::Mono { height * 9 / 10 } else { height * 8 / 10 };
            format!("^FO{},{top}^A0N,{height},{width}^FH_^FD{}^FS", roll.dots(*x), escaped(text))
        }
        Part::Bar { place } => {
            let (width, height) = (roll.dots(place.width).max(1), roll.dots(place.height).max(1));
            format!("^FO{},{}^GB{width},{height},{}^FS", roll.dots(place.x), roll.dots(place.y), width.min(height))
        }
        Part::Symbol { place, symbol } => picture(roll, *place, symbol)?,
    })
}

/// The symbol with as many dots a module as its place and its quiet zone hold, in the middle of it.
fn picture(roll: &Roll, place: Place, symbol: &Symbol) -> Result<String, LabelError> {
    let bars = symbol.height == 1;
    // The quiet zone is outside the place; what the module loses by rounding is added to it.
    let across = symbol.width as u32;
    let module = roll.dots(place.width) / across.max(1);
    let least = if bars { 1 } else { 2 };
    if module < least {
        let quiet = if bars { CODE128_QUIET } else { QR_QUIET };
        return Err(LabelError::NoRoom(format!("{:.0} × {:.0} ({quiet} modules of white)", place.width, place.height)));
    }
    let (width, height) = (across * module, if bars { roll.dots(place.height) } else { across * module });
    let left = roll.dots(place.x) + (roll.dots(place.width).saturating_sub(width)) / 2;
    let top = roll.dots(place.y) + (roll.dots(place.height).saturating_sub(height)) / 2;
    let row_bytes = width.div_ceil(8);
    let mut data = String::new();
    for y in 0..height {
        let row = if bars { 0 } else { y / module };
        for byte in 0..row_bytes {
            let mut bits = 0_u8;
            for bit in 0..8 {
                let x = byte * 8 + bit;
                let dark = x < width && symbol.dark((x / module) as usize, row as usize);
                bits = bits << 1 | u8::from(dark);
            }
            data.push_str(&format!("{bits:02X}"));
        }
    }
    let total = row_bytes * height;
    Ok(format!("^FO{left},{top}^GFA,{total},{total},{row_bytes},{data}^FS"))
}

/// Text in which nothing is a command: `^`, `~`, `_` and control characters as hexadecimal (ZPL II, ^FH).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '^' | '~' | '_' | '\\' => escaped.push_str(&format!("_{:02X}", u32::from(c))),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_command() {
        assert_eq!(escaped("Kim ^XZ~JA_x\\\n"), "Kim _5EXZ_7EJA_5Fx_5C ");
        assert_eq!(escaped("Größe"), "Größe");
    }

    #[test]
    fn a_roll_counts_in_dots() {
        assert_eq!(Roll::dots_of_dpi(203), Some(8));
        assert_eq!(Roll::dots_of_dpi(204), None);
        assert_eq!(Roll { width: 57.0, height: 32.0, dots: 8 }.dots(57.0), 456);
    }
}
