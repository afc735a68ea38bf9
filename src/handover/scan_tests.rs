//! The codes on our paper, read by a scanner library that knows nothing of how they were made.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::code::{Code, CodeKind};
use super::label::zpl::{Roll, stream};
use super::label::{Label, LabelSheet, on_sheets, sheet};
use super::letter::{Letter, Template};
use super::paper::{Fonts, Item, Sheet};
use crate::model::{Aaguid, JobId, KeyRef, Pin, PortName, PostalAddress};

/// A picture as a scanner sees it: one byte a dot, 255 is white.
struct Picture {
    dots: Vec<u8>,
    width: usize,
    height: usize,
}

impl Picture {
    fn white(width: usize, height: usize) -> Self {
        Self { dots: vec![255; width * height], width, height }
    }

    /// The boxes of a sheet, in this many dots a millimetre: a dot is black when its middle is inside one.
    fn of(sheet: &Sheet, dots: f32) -> Self {
        let mut picture = Self::white((sheet.size.width * dots) as usize, (sheet.size.height * dots) as usize);
        for item in &sheet.items {
            let Item::Boxes { places, grey } = item else { continue };
            for place in places {
                let at = |mm: f32| (mm * dots - 0.5).ceil().max(0.0) as usize;
                for y in at(place.y)..at(place.bottom()).min(picture.height) {
                    for x in at(place.x)..at(place.right()).min(picture.width) {
                        picture.dots[y * picture.width + x] = *grey;
                    }
                }
            }
        }
        picture
    }

    /// Everything a scanner finds on it, and in which symbology.
    fn scan(self) -> HashSet<(String, String)> {
        let (width, height) = (self.width as u32, self.height as u32);
        let found = rxing::helpers::detect_multiple_in_luma(self.dots, width, height).unwrap_or_default();
        found.iter().map(|one| (one.getBarcodeFormat().to_string(), one.getText().to_owned())).collect()
    }
}

fn code(kind: CodeKind, job: &str) -> Code {
    Code::new(kind, &JobId::new(job), 1, 1).expect("a code")
}

fn texts(found: &HashSet<(String, String)>, symbology: &str) -> HashSet<String> {
    found.iter().filter(|(format, _)| format.eq_ignore_ascii_case(symbology)).map(|(_, text)| text.clone()).collect()
}

#[test]
fn labels_on_every_sheet_are_read() {
    let fonts = Fonts::built_in().expect("fonts");
    for (name, on) in sheet::built_in().expect("sheets") {
        let code = code(CodeKind::Key, "7H2KQ0M4XA");
        let label = Label::Key { code: code.clone(), model: "YubiKey 5 NFC".into(), serial: Some("19283746".into()) };
        let sheets = on_sheets(&fonts, &[label], &on, 0, (0.0, 0.0)).expect("laid out");
        // 300 dpi: what an office printer does at the least.
        let mut picture = Picture::of(&sheets[0], 300.0 / 25.4);
        // One label is what a person holds under the scanner.
        picture.dots.truncate(picture.width * ((on.place(0).bottom() + 2.0) * 300.0 / 25.4) as usize);
        picture.height = picture.dots.len() / picture.width;
        let found = picture.scan();
        let wanted = HashSet::from([code.digits().to_owned()]);
        assert_eq!(texts(&found, "qrcode"), wanted, "{name}: {found:?}");
        if on.height >= 30.0 && on.width >= 50.0 {
            assert_eq!(texts(&found, "code 128"), wanted, "{name}: {found:?}");
        }
    }
}

#[test]
fn a_reject_label_is_read_as_nothing() {
    let fonts = Fonts::built_in().expect("fonts");
    let on = LabelSheet::named("L7160").expect("a sheet");
    let label = Label::Reject { model: "Key".into(), serial: None, why: "It has a PIN.".into() };
    let sheets = on_sheets(&fonts, &[label], &on, 0, (0.0, 0.0)).expect("laid out");
    assert_eq!(Picture::of(&sheets[0], 8.0).scan(), HashSet::new());
}

/// The pictures in a ZPL stream, put where its commands say.
fn zpl_picture(text: &str, width: usize, height: usize) -> Picture {
    let mut picture = Picture::white(width, height);
    for command in text.split("^FO").skip(1) {
        let Some((place, data)) = command.split_once("^GFA,") else { continue };
        let (left, top) = place.split_once(',').expect("x and y");
        let (left, top): (usize, usize) = (left.parse().expect("x"), top.parse().expect("y"));
        let mut parts = data.split("^FS").next().expect("data").splitn(4, ',');
        let numbers: Vec<usize> = parts.by_ref().take(3).map(|part| part.parse().expect("a number")).collect();
        let hex = parts.next().expect("hex");
        assert_eq!((numbers[0], hex.len()), (numbers[1], numbers[1] * 2));
        for (at, pair) in hex.as_bytes().chunks_exact(2).enumerate() {
            let byte = u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
            let (row, column) = (at / numbers[2], at % numbers[2] * 8);
            for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
                picture.dots[(top + row) * width + left + column + bit] = 0;
            }
        }
    }
    picture
}

#[test]
fn labels_of_a_label_printer_are_read() {
    let fonts = Fonts::built_in().expect("fonts");
    for (width, height, dots) in [(57.0, 32.0, 8), (100.0, 150.0, 8), (57.0, 32.0, 12), (38.0, 25.0, 12)] {
        let code = code(CodeKind::Parcel, "0000000001");
        let label = Label::Parcel {
            code: code.clone(),
            to: vec!["Kim ^XA Lee".into(), "1 Main St".into(), "Town".into()],
            from: String::new(),
            which: Some("1 of 2".into()),
        };
        let text = stream(&fonts, &[label], &Roll { width, height, dots }).expect("a stream");
        let scale = dots as f32;
        let found = zpl_picture(&text, (width * scale) as usize, (height * scale) as usize).scan();
        let wanted = HashSet::from([code.digits().to_owned()]);
        assert_eq!(texts(&found, "qrcode"), wanted, "{width} × {height}: {found:?}");
        if width > 50.0 {
            assert_eq!(texts(&found, "code 128"), wanted, "{width} × {height}: {found:?}");
        }
    }
}

#[test]
fn each_sheet_of_a_letter_is_read() {
    for layout in ["sheets", "panels"] {
        let text = format!("[page]\nlayout = \"{layout}\"");
        let template = Template::read(&text, None, &|_| Err("none".into())).expect("sound");
        let fonts = template.fonts().expect("fonts");
        let letter = Letter {
            job: JobId::new("7H2KQ0M4XA"),
            attempt: 2,
            issue: 3,
            name: "Kim".into(),
            address: PostalAddress { lines: vec!["1 Main St".into()], ..PostalAddress::default() },
            language: "en".into(),
            key: KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1") },
            pin_minimum: 6,
            forced: true,
            first_device: None,
            date: jiff::civil::date(2026, 11, 21),
            expires: jiff::civil::date(2026, 12, 12),
        };
        let pin = Pin::new(Zeroizing::new("739105".into())).expect("a PIN");
        let found: Vec<Code> = letter
            .sheets(&template, &fonts, &pin)
            .expect("laid out")
            .iter()
            .flat_map(|sheet| texts(&Picture::of(sheet, 300.0 / 25.4).scan(), "code 128"))
            .map(|text| Code::parse(&text).expect("ours"))
            .collect();
        let pin_sheet = letter.code().expect("a code");
        let address = Code::new(CodeKind::AddressSheet, &letter.job, 2, 3).expect("a code");
        let wanted = if layout == "sheets" { vec![address, pin_sheet] } else { vec![pin_sheet] };
        assert_eq!(found, wanted, "{layout}");
    }
}
