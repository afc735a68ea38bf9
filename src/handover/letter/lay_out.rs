//! Where everything stands on the sheets of a letter.

use super::fields::fill;
use super::{Layout, Letter, LetterError, Template, Texts};
use crate::handover::code::{Code, CodeKind};
use crate::handover::paper::symbol::Symbol;
use crate::handover::paper::{Flow, Fonts, Item, MM_PER_POINT, Overflow, Picture, Place, Sheet, Style};
use crate::model::{FirstDevice, Pin};

/// The smallest running text, in points.
const SMALLEST: f32 = 8.0;
/// The smallest address, in points: postal services ask for 2 mm high letters.
const SMALLEST_ADDRESS: f32 = 7.5;
/// Where the codes stand, from the lower edge, in millimetres.
const FOOT: f32 = 19.0;

struct Page<'a> {
    letter: &'a Letter,
    template: &'a Template,
    texts: &'a Texts,
    fonts: &'a Fonts,
    sheet: usize,
    sheets: usize,
}

pub(super) fn sheets(
    letter: &Letter,
    template: &Template,
    fonts: &Fonts,
    pin: &Pin,
) -> Result<Vec<Sheet>, LetterError> {
    let (_, texts) = template.texts(&letter.language).ok_or_else(|| LetterError::Language(letter.language.clone()))?;
    if letter.address.lines.iter().all(|line| line.trim().is_empty()) {
        return Err(LetterError::NoAddress);
    }
    let page = |sheet| Page { letter, template, texts, fonts, sheet, sheets: 2 };
    match template.layout {
        Layout::Sheets => Ok(vec![page(1).address_sheet()?, page(2).pin_sheet(pin)?]),
        Layout::Panels => Ok(vec![page(1).panels(pin)?, page(2).instructions()?]),
    }
}

impl Page<'_> {
    fn text(&self, name: &str) -> String {
        let value = |field: &str| self.letter.field(self.template, self.texts, field, self.sheet, self.sheets);
        fill(self.texts.get(name), value)
    }

    fn address_sheet(&self) -> Result<Sheet, LetterError> {
        let size = self.template.size;
        let window = self.template.window;
        let top = window.bottom() + 16.0;
        let body = Place {
            x: self.template.margin,
            y: top,
            width: size.width - 2.0 * self.template.margin,
            height: size.height - FOOT - 6.0 - top,
        };
        let mut sheet = self.fitted(|sheet, points| self.body(sheet, body, points))?;
        self.address(&mut sheet)?;
        self.date(&mut sheet, window.bottom() + 8.0);
        self.folds(&mut sheet, false);
        self.foot(&mut sheet, CodeKind::AddressSheet)?;
        Ok(sheet)
    }

    /// The back of the one sheet in the layout `panels`.
    fn instructions(&self) -> Result<Sheet, LetterError> {
        let (size, margin) = (self.template.size, self.template.margin);
        let body = Place { x: margin, y: margin, width: size.width - 2.0 * margin, height: size.height - 2.0 * margin };
        self.fitted(|sheet, points| self.body(sheet, body, points))
    }

    /// Tries smaller text until it fits.
    fn fitted(&self, fill: impl Fn(&mut Sheet, f32) -> Result<(), Overflow>) -> Result<Sheet, LetterError> {
        let mut points = self.template.text_size;
        loop {
            let mut sheet = Sheet::new(self.template.size);
            match fill(&mut sheet, points) {
                Ok(()) => return Ok(sheet),
                Err(_) if points - 0.25 >= SMALLEST => points -= 0.25,
                Err(overflow) => return Err(LetterError::Text { language: self.letter.language.clone(), overflow }),
            }
        }
    }

    fn body(&self, sheet: &mut Sheet, place: Place, points: f32) -> Result<(), Overflow> {
        let mut flow = Flow::new(self.fonts, place, points);
        flow.heading(sheet, 1.25, &self.text("subject"));
        flow.skip(0.7);
        for paragraph in self.text("opening").lines() {
            flow.paragraph(sheet, paragraph);
            flow.skip(0.35);
        }
        flow.skip(0.5);
        flow.heading(sheet, 1.0, &self.text("steps_title"));
        flow.skip(0.25);
        let mut steps: Vec<String> = self.text("steps").lines().map(str::to_owned).collect();
        if self.letter.forced {
            let phone = matches!(self.letter.first_device, Some(FirstDevice::Ios | FirstDevice::Android));
            let also = if phone { format!(" {}", self.text("change_phone")) } else { String::new() };
            steps.push(format!("{}{also}", self.text("change_forced")));
        } else {
            steps.push(self.text("change_free"));
        }
        for (at, step) in steps.iter().enumerate() {
            flow.item(sheet, &format!("{}.", at + 1), step);
            flow.skip(0.2);
        }
        flow.skip(0.35);
        flow.paragraph(sheet, &self.text("new_pin"));
        flow.skip(0.85);
        flow.heading(sheet, 1.0, &self.text("mistakes_title"));
        flow.skip(0.25);
        for item in self.text("mistakes").lines() {
            flow.item(sheet, "•", item);
            flow.skip(0.2);
        }
        flow.skip(0.65);
        flow.heading(sheet, 1.0, &self.text("not_me_title"));
        flow.skip(0.25);
        flow.paragraph(sheet, &self.text("not_me"));
        flow.skip(0.85);
        flow.paragraph(sheet, &self.text("closing"));
        flow.done()
    }

    fn address(&self, sheet: &mut Sheet) -> Result<(), LetterError> {
        if let Some((picture, place)) = &self.template.logo {
            // As large as its place allows, in its own shape, against the upper right corner.
            let width = place.width.min(place.height * picture.ratio());
            let height = width / picture.ratio();
            let place = Place { x: place.right() - width, y: place.y, width, height };
            sheet.items.push(Item::Picture { place, picture: picture.clone() });
        }
        let window = self.template.window;
        let mut top = window.y + 2.0;
        if !self.template.sender.is_empty() {
            let mut points = 7.0;
            while points > 4.5 && self.fonts.width(Style::Regular, points, &self.template.sender) > window.width - 4.0 {
                points -= 0.25;
            }
            sheet.text(window.x + 2.0, top + 2.6, Style::Regular, points, &self.template.sender);
            top += 3.6;
            sheet.rule((window.x + 2.0, top), (window.right() - 2.0, top), 120);
            top += 1.4;
        }
        let lines = self.letter.address_lines(&self.template.home);
        let (room, tall) = (window.width - 4.0, window.bottom() - 1.0 - top);
        let mut points = 11.0;
        while points >= SMALLEST_ADDRESS {
            let step = points * 1.3 * MM_PER_POINT;
            // A long line goes on in the next one only where smaller letters would not do.
            let broken: Vec<String> = if points > 9.0 {
                lines.clone()
            } else {
                lines.iter().flat_map(|line| self.broken(line, points, room)).collect()
            };
            let wide = broken.iter().map(|line| self.fonts.width(Style::Regular, points, line)).fold(0.0, f32::max);
            if wide <= room && step * broken.len() as f32 <= tall {
                for (at, line) in broken.iter().enumerate() {
                    let y = top + step * (at as f32 + 1.0) - 0.3 * points * MM_PER_POINT;
                    sheet.text(window.x + 2.0, y, Style::Regular, points, line);
                }
                return Ok(());
            }
            points -= 0.5;
        }
        Err(LetterError::Address)
    }

    /// A line in as many as it needs, at blanks.
    fn broken(&self, line: &str, points: f32, room: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            match lines.last_mut() {
                Some(last) if self.fonts.width(Style::Regular, points, &format!("{last} {word}")) <= room => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    fn date(&self, sheet: &mut Sheet, y: f32) {
        let (date, points) = (self.text_of_field("date"), self.template.text_size);
        let x = self.template.size.width - self.template.margin - self.fonts.width(Style::Regular, points, &date);
        sheet.text(x, y, Style::Regular, points, &date);
    }

    fn text_of_field(&self, name: &str) -> String {
        self.letter.field(self.template, self.texts, name, self.sheet, self.sheets).unwrap_or_default()
    }

    /// Where to fold into three.
    fn folds(&self, sheet: &mut Sheet, across: bool) {
        let size = self.template.size;
        for third in [1.0, 2.0] {
            let y = size.height * third / 3.0;
            if across {
                sheet.fold((6.0, y), (size.width - 6.0, y));
                let word = self.text("fold");
                let x = size.width - 8.0 - self.fonts.width(Style::Regular, 6.0, &word);
                let grey = Item::Text {
                    x,
                    y: y - 0.8,
                    size: 6.0,
                    style: Style::Regular,
                    grey: 110,
                    text: zeroize::Zeroizing::new(word),
                };
                sheet.items.push(grey);
            } else {
                sheet.rule((4.0, y), (9.0, y), 150);
            }
        }
    }

    /// The sheet's code, for the scanner at the packing table and after a jam; its number.
    fn foot(&self, sheet: &mut Sheet, kind: CodeKind) -> Result<(), LetterError> {
        let size = self.template.size;
        let margin = self.template.margin;
        let code = Code::new(kind, &self.letter.job, self.letter.attempt, self.letter.issue)?;
        let y = size.height - FOOT;
        bar_code(sheet, self.fonts, &code, Place { x: margin, y, width: 50.1, height: 7.0 })?;
        let word = self.text("sheet_of");
        let x = size.width - margin - self.fonts.width(Style::Regular, 8.0, &word);
        sheet.text(x, y + 10.0, Style::Regular, 8.0, &word);
        Ok(())
    }

    fn pin_sheet(&self, pin: &Pin) -> Result<Sheet, LetterError> {
        let (size, margin) = (self.template.size, self.template.margin);
        let third = size.height / 3.0;
        let area = self.template.pin;
        let head =
            Place { x: margin, y: 16.0, width: size.width - 2.0 * margin, height: third.min(area.y - 8.0) - 18.0 };
        let below = Place {
            x: margin,
            y: area.bottom() + 3.0,
            width: size.width - 2.0 * margin,
            height: 2.0 * third - area.bottom() - 5.0,
        };
        let mut sheet = self.fitted(|sheet, points| {
            let mut flow = Flow::new(self.fonts, head, points);
            flow.heading(sheet, 1.5, &self.text("pin_title"));
            flow.skip(1.2);
            let left = flow.y();
            self.pair(sheet, margin, left, "pin_key", "key_ref", points);
            self.pair(sheet, margin + head.width * 0.5, left, "pin_phone", "phone", points);
            flow.skip(4.6);
            flow.paragraph(sheet, &self.text("pin_lead"));
            flow.skip(0.5);
            if self.letter.forced {
                flow.paragraph(sheet, &self.text("pin_forced"));
                flow.skip(0.5);
            }
            flow.paragraph(sheet, &self.text("pin_valid"));
            flow.done()?;
            let mut flow = Flow::new(self.fonts, below, points);
            if pin.expose().chars().any(char::is_alphabetic) {
                flow.paragraph(sheet, &self.text("pin_letters"));
                flow.skip(0.4);
            }
            flow.paragraph(sheet, &self.text("pin_not_me"));
            flow.done()
        })?;
        self.tamper_area(&mut sheet, area, pin)?;
        self.folds(&mut sheet, true);
        if self.template.shield {
            shield(&mut sheet, mirrored(area, 2.0 * third));
        }
        self.foot(&mut sheet, CodeKind::PinSheet)?;
        Ok(sheet)
    }

    /// A small caption and, below it, a value to compare or dial. A value that is too wide gets smaller.
    fn pair(&self, sheet: &mut Sheet, x: f32, y: f32, caption: &str, field: &str, points: f32) {
        let value = self.text_of_field(field);
        sheet.text(x, y + points * MM_PER_POINT, Style::Regular, points * 0.9, &self.text(caption));
        let style = if field == "key_ref" { Style::Mono } else { Style::Bold };
        let room = (self.template.size.width - 2.0 * self.template.margin) * 0.5 - 3.0;
        let mut large = points * 1.6;
        while large > 6.0 && self.fonts.width(style, large, &value) > room {
            large -= 0.5;
        }
        sheet.text(x, y + points * 2.9 * MM_PER_POINT, style, large, &value);
    }

    fn tamper_area(&self, sheet: &mut Sheet, area: Place, pin: &Pin) -> Result<(), LetterError> {
        let points = self.template.text_size;
        let caption = self.text("pin_area");
        self.caption(sheet, area, &caption, points);
        sheet.items.push(Item::Frame { place: area, line: 0.5, grey: 0, dash: None });
        let room = area.inside(4.0);
        let mut large = self.template.pin_size;
        while self.fonts.width(Style::Mono, large, pin.expose()) > room.width || large * MM_PER_POINT > room.height {
            large -= 0.5;
            if large < SMALLEST {
                return Err(LetterError::Pin);
            }
        }
        // Capitals and figures of the mono are 0.71 em high: centred by them.
        let y = area.y + area.height / 2.0 + large * 0.357 * MM_PER_POINT;
        sheet.centred(self.fonts, (area.x, area.right()), y, Style::Mono, large, pin.expose());
        Ok(())
    }

    fn caption(&self, sheet: &mut Sheet, area: Place, text: &str, points: f32) {
        let mut points = points;
        let room = self.template.size.width - 12.0;
        while points > 6.0 && self.fonts.width(Style::Bold, points, text) > room {
            points -= 0.5;
        }
        sheet.centred(self.fonts, (area.x, area.right()), area.y - 2.5, Style::Bold, points, text);
    }

    /// Address above, PIN below, and what covers the PIN between them.
    fn panels(&self, pin: &Pin) -> Result<Sheet, LetterError> {
        let (size, margin) = (self.template.size, self.template.margin);
        let third = size.height / 3.0;
        // The place is given for the middle of a sheet; here it is a panel further down.
        let area = Place {
            y: self.template.pin.y + third - 4.0,
            height: self.template.pin.height.min(third * 0.32),
            ..self.template.pin
        };
        let middle = Place { x: margin, y: third + 6.0, width: size.width - 2.0 * margin, height: third * 0.3 };
        let head = Place {
            x: margin,
            y: 2.0 * third + 2.5,
            width: size.width - 2.0 * margin,
            height: area.y - 4.0 - 2.0 * third,
        };
        let below = Place { x: margin, y: area.bottom() + 1.0, width: size.width - 2.0 * margin - 56.0, height: 24.0 };
        let mut sheet = self.fitted(|sheet, points| {
            let mut flow = Flow::new(self.fonts, middle, points);
            flow.heading(sheet, 1.2, &self.text("subject"));
            flow.skip(0.4);
            flow.paragraph(sheet, &self.text("pin_lead"));
            flow.done()?;
            self.pair(sheet, margin, head.y, "pin_key", "key_ref", points);
            self.pair(sheet, margin + head.width * 0.5, head.y, "pin_phone", "phone", points);
            let small = (points * 0.8).max(7.0);
            let mut flow = Flow::new(self.fonts, below, small);
            if pin.expose().chars().any(char::is_alphabetic) {
                flow.paragraph(sheet, &self.text("pin_letters"));
            }
            flow.paragraph(sheet, &self.text("pin_not_me"));
            flow.paragraph(sheet, &self.text("pin_valid"));
            flow.done()
        })?;
        self.address(&mut sheet)?;
        self.tamper_area(&mut sheet, area, pin)?;
        self.folds(&mut sheet, true);
        if self.template.shield {
            shield(&mut sheet, mirrored(area, 2.0 * third));
        }
        let code = self.letter.code()?;
        let place = Place { x: size.width - margin - 50.1, y: size.height - 16.0, width: 50.1, height: 6.0 };
        bar_code(&mut sheet, self.fonts, &code, place)?;
        Ok(sheet)
    }
}

/// Code 128 with its digits below, for a machine and for a voice.
fn bar_code(sheet: &mut Sheet, fonts: &Fonts, code: &Code, place: Place) -> Result<(), LetterError> {
    Symbol::code128(code.digits())?.draw(sheet, place);
    let digits = code.for_people();
    let y = place.bottom() + 3.0;
    sheet.centred(fonts, (place.x, place.right()), y, Style::Mono, 7.0, &digits);
    Ok(())
}

/// What lies on a place when the paper is folded at this height.
fn mirrored(place: Place, fold: f32) -> Place {
    Place { y: 2.0 * fold - place.bottom(), ..place }
}

/// A dense pattern, the same on every letter, so that nothing can be read through the paper. It covers a little more than
/// its place.
fn shield(sheet: &mut Sheet, place: Place) {
    let place = place.inside(-2.0);
    // Cells of about 0.8 mm: as wide as the strokes of the PIN.
    let (columns, rows) = ((place.width / 0.8) as u32, (place.height / 0.8) as u32);
    // Any fixed sequence without a rhythm that an eye can take out (Numerical Recipes' linear congruence).
    let mut state: u32 = 20_260_101;
    let picture = Picture::of_cells(columns, rows, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 30 {
            0 | 1 => 40,
            2 => 150,
            _ => 255,
        }
    });
    sheet.items.push(Item::Picture { place, picture });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shield_lies_on_the_pin_when_folded() {
        let pin = Place { x: 45.0, y: 124.0, width: 120.0, height: 40.0 };
        assert_eq!(mirrored(pin, 198.0), Place { y: 232.0, ..pin });
        assert_eq!(mirrored(mirrored(pin, 198.0), 198.0), pin);
    }
}
