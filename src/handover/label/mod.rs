//! Labels for keys and parcels, with the code that the packing table scans.
//!
//! Promise: a label says which key it is on or whose parcel, and never a PIN. The QR code and the bar code of a label hold the
//! same 24 digits ([`crate::handover::code`]). A REJECT label has no code at all: what scans could be packed.

pub mod sheet;
pub mod zpl;

use super::code::{Code, key_reference};
use super::paper::symbol::{CODE128_QUIET, QR_QUIET, Symbol, SymbolError};
use super::paper::{Fonts, Item, MM_PER_POINT, Place, Sheet, Style};

pub use sheet::LabelSheet;

/// What a label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// On a finished key or its bag.
    Key {
        /// Scanned when it is packed.
        code: Code,
        /// For people.
        model: String,
        /// As its maker prints it. A key without one is told apart by this label alone.
        serial: Option<String>,
    },
    /// On a parcel.
    Parcel {
        /// Scanned when it is packed.
        code: Code,
        /// Name and address.
        to: Vec<String>,
        /// Where it comes back to; may be empty.
        from: String,
        /// `1 of 2`, where the person gets several.
        which: Option<String>,
    },
    /// On a key that is not fit, so that it is not put back among the good ones.
    Reject {
        /// For people.
        model: String,
        /// As its maker prints it.
        serial: Option<String>,
        /// Why, in a few words.
        why: String,
    },
}

/// One thing on a label, placed: what PDF and ZPL have in common.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A line of text; `y` is its baseline.
    Text {
        /// From the left, in millimetres.
        x: f32,
        /// Baseline, from the top.
        y: f32,
        /// Points.
        size: f32,
        /// Face.
        style: Style,
        /// The text.
        text: String,
    },
    /// A symbol in its place, without its quiet zone.
    Symbol {
        /// Where.
        place: Place,
        /// What.
        symbol: Symbol,
    },
    /// A black bar.
    Bar {
        /// Where.
        place: Place,
    },
}

/// A label can't be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Its text is longer than the label, at the smallest size.
    #[error("\"{0}\" doesn't fit the label: take larger ones")]
    TooSmall(String),
    /// The codes of so small a label can't be read by a scanner.
    #[error("a label of {0} mm is too small for its code: take larger ones")]
    NoRoom(String),
    /// The code can't be drawn.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
}

/// The narrowest module that office printers and hand scanners agree on, in millimetres (10 mil for bar codes, 0.4 mm for QR
/// codes on labels that are handled).
const NARROWEST_BAR: f32 = 0.25;
const NARROWEST_QR: f32 = 0.38;
const PAD: f32 = 2.0;

impl Label {
    /// Its code, if it has one.
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::Key { code, .. } | Self::Parcel { code, .. } => Some(code),
            Self::Reject { .. } => None,
        }
    }

    /// Characters of the label that the fonts can't write.
    pub fn missing(&self, fonts: &Fonts) -> Vec<char> {
        let lines: Vec<&str> = match self {
            Self::Key { model, serial, .. } => vec![model, serial.as_deref().unwrap_or_default()],
            Self::Parcel { to, from, .. } => to.iter().map(String::as_str).chain([from.as_str()]).collect(),
            Self::Reject { model, serial, why } => vec![model, serial.as_deref().unwrap_or_default(), why],
        };
        let mut missing: Vec<char> = lines.iter().flat_map(|line| fonts.missing(Style::Bold, line)).collect();
        missing.extend(lines.iter().flat_map(|line| fonts.missing(Style::Regular, line)));
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Lays the label out into a place.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn lay_out(&self, fonts: &Fonts, place: Place) -> Result<Vec<Part>, LabelError> {
        let mut parts = Vec::new();
        let inner = place.inside(PAD);
        match self {
            Self::Key { code, model, serial } => {
                let rest = with_code(&mut parts, fonts, inner, code)?;
                let which = match serial {
                    Some(serial) => format!("S/N {serial}"),
                    None => "no serial: keep this label".to_owned(),
                };
                let reference = key_reference(code.job(), code.attempt());
                let lines =
                    [(Style::Mono, 14.0, &reference), (Style::Regular, 8.5, model), (Style::Regular, 8.5, &which)];
                column(&mut parts, fonts, rest, &lines)?;
            }
            Self::Parcel { code, to, from, which } => {
                let mut rest = with_code(&mut parts, fonts, inner, code)?;
                let small: Vec<&str> = which.as_deref().into_iter().chain([from.as_str()]).collect();
                let small = small.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  ·  ");
                if !small.is_empty() {
                    let size = largest(fonts, Style::Regular, 6.5, 4.5, rest.width, &small)?;
                    parts.push(text(rest.x, rest.y + size * MM_PER_POINT, size, Style::Regular, &small));
                    rest = Place { y: rest.y + 4.0, height: rest.height - 4.0, ..rest };
                }
                let lines: Vec<(Style, f32, &String)> = to
                    .iter()
                    .enumerate()
                    .map(|(at, line)| (if at == 0 { Style::Bold } else { Style::Regular }, 13.0, line))
                    .collect();
                column(&mut parts, fonts, rest, &lines)?;
            }
            Self::Reject { model, serial, why } => {
                let bar = (place.height * 0.1).min(4.0);
                parts.push(Part::Bar { place: Place { height: bar, ..inner } });
                parts.push(Part::Bar { place: Place { y: inner.bottom() - bar, height: bar, ..inner } });
                let rest = Place { y: inner.y + bar + 0.5, height: inner.height - 2.0 * bar - 1.0, ..inner };
                let which = serial.as_ref().map_or_else(|| model.clone(), |serial| format!("{model}, S/N {serial}"));
                let heading = "REJECT".to_owned();
                let lines = [(Style::Bold, 20.0, &heading), (Style::Regular, 8.0, &which), (Style::Regular, 8.0, why)];
                column(&mut parts, fonts, rest, &lines)?;
            }
        }
        Ok(parts)
    }
}

/// Puts the QR code to the left and, where there is room, the bar code below; gives the room that is left.
fn with_code(parts: &mut Vec<Part>, fonts: &Fonts, place: Place, code: &Code) -> Result<Place, LabelError> {
    let mut rest = place;
    let bars = Symbol::code128(code.digits())?;
    let modules = bars.width + 2 * CODE128_QUIET;
    let module = place.width / modules as f32;
    if module >= NARROWEST_BAR && place.height >= 26.0 {
        let height = (place.height * 0.24).min(12.0);
        // No wider than is of use to a scanner held a hand's breadth away.
        let module = module.min(0.42);
        let width = module * bars.width as f32;
        let x = place.x + (place.width - width) / 2.0;
        let y = place.bottom() - height - 3.0;
        parts.push(Part::Symbol { place: Place { x, y, width, height }, symbol: bars });
        let digits = code.for_people();
        let size = largest(fonts, Style::Mono, 7.0, 5.0, place.width, &digits)?;
        let wide = fonts.width(Style::Mono, size, &digits);
        parts.push(text(place.x + (place.width - wide) / 2.0, place.bottom() - 0.2, size, Style::Mono, &digits));
        rest.height -= height + 4.5;
    }
    let qr = Symbol::qr(code.digits())?;
    let across = qr.width + 2 * QR_QUIET;
    let side = rest.height.min(rest.width * 0.5).min(30.0);
    let module = side / across as f32;
    if module < NARROWEST_QR {
        return Err(LabelError::NoRoom(format!("{:.0} × {:.0}", place.width + 2.0 * PAD, place.height + 2.0 * PAD)));
    }
    let quiet = module * QR_QUIET as f32;
    let y = rest.y + (rest.height - side) / 2.0;
    let square = Place { x: rest.x, y, width: side, height: side }.inside(quiet);
    parts.push(Part::Symbol { place: square, symbol: qr });
    Ok(Place { x: rest.x + side + 0.8, width: rest.width - side - 0.8, ..rest })
}

fn text(x: f32, y: f32, size: f32, style: Style, text: &str) -> Part {
    Part::Text { x, y, size, style, text: text.to_owned() }
}

/// The largest size in which a line fits.
fn largest(fonts: &Fonts, style: Style, from: f32, least: f32, width: f32, line: &str) -> Result<f32, LabelError> {
    let full = fonts.width(style, from, line).max(0.001);
    let size = (from * width / full).min(from);
    if size >= least { Ok(size) } else { Err(LabelError::TooSmall(line.to_owned())) }
}

/// Lines one below the other, in the middle of their place; all get smaller when they are too tall, one when it is too wide.
/// A line that would become too small is broken at blanks.
fn column(
    parts: &mut Vec<Part>,
    fonts: &Fonts,
    place: Place,
    lines: &[(Style, f32, &String)],
) -> Result<(), LabelError> {
    const LEAST: f32 = 4.5;
    let mut scale = 1.0_f32;
    loop {
        let mut laid: Vec<(Style, f32, String)> = Vec::new();
        for (style, size, line) in lines.iter().filter(|(_, _, line)| !line.is_empty()) {
            let size = (size * scale).max(LEAST);
            let wide = fonts.width(*style, size, line);
            // A little too wide is made smaller; much too wide is broken.
            if wide <= place.width * 1.25
                && let Ok(fitted) = largest(fonts, *style, size, LEAST, place.width, line)
            {
                laid.push((*style, fitted, (*line).clone()));
                continue;
            }
            let mut broken: Vec<String> = Vec::new();
            for word in line.split_whitespace().flat_map(|word| halved(fonts, *style, size, place.width, word)) {
                let word = word.as_str();
                match broken.last_mut() {
                    Some(last) if fonts.width(*style, size, &format!("{last} {word}")) <= place.width => {
                        last.push(' ');
                        last.push_str(word);
                    }
                    _ => broken.push(word.to_owned()),
                }
            }
            for part in broken {
                let fitted = largest(fonts, *style, size, LEAST, place.width, &part)?;
                laid.push((*style, fitted, part));
            }
        }
        let tall: f32 = laid.iter().map(|(_, size, _)| size * 1.3 * MM_PER_POINT).sum();
        if tall <= place.height {
            let mut y = place.y + (place.height - tall) / 2.0;
            for (style, size, line) in laid {
                parts.push(text(place.x, y + size * MM_PER_POINT, size, style, &line));
                y += size * 1.3 * MM_PER_POINT;
            }
            return Ok(());
        }
        scale *= 0.95;
        if scale < 0.35 {
            let first = lines.first().map(|(_, _, line)| (*line).clone()).unwrap_or_default();
            return Err(LabelError::TooSmall(first));
        }
    }
}

/// A word that is much wider than its place, in parts: some keys have serial numbers of 32 characters.
fn halved(fonts: &Fonts, style: Style, size: f32, width: f32, word: &str) -> Vec<String> {
    let parts = (fonts.width(style, size, word) / (width * 1.25).max(1.0)).ceil().clamp(1.0, 8.0) as usize;
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(letters.len().div_ceil(parts).max(1)).map(|part| part.iter().collect()).collect()
}

/// Labels on sheets, from the `start`-th place of the first one on (from 0). `shift` moves everything, for printers that pull
/// paper askew; millimetres.
///
/// # Errors
/// [`LabelError`].
pub fn on_sheets(
    fonts: &Fonts,
    labels: &[Label],
    on: &LabelSheet,
    start: u32,
    shift: (f32, f32),
) -> Result<Vec<Sheet>, LabelError> {
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut number = start;
    for label in labels {
        if number >= on.count() {
            number = 0;
        }
        if sheets.is_empty() || number == 0 {
            sheets.push(Sheet::new(on.size()));
        }
        let place = on.place(number);
        let place = Place { x: place.x + shift.0, y: place.y + shift.1, ..place };
        let parts = label.lay_out(fonts, place)?;
        if let Some(sheet) = sheets.last_mut() {
            parts.iter().for_each(|part| draw(sheet, part));
        }
        number = number.saturating_add(1);
    }
    Ok(sheets)
}

/// Draws a part on a sheet.
fn draw(sheet: &mut Sheet, part: &Part) {
    match part {
        Part::Text { x, y, size, style, text } => sheet.text(*x, *y, *style, *size, text),
        Part::Symbol { place, symbol } => symbol.draw(sheet, *place),
        Part::Bar { place } => sheet.items.push(Item::Boxes { places: vec![*place], grey: 0 }),
    }
}

#[cfg(test)]
mod tests;
