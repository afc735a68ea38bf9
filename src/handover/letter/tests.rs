//! Letters, laid out and looked through.

use zeroize::Zeroizing;

use super::*;
use crate::handover::paper::{Item, Size, write};
use crate::model::{Aaguid, PortName, Serial};

fn pin(text: &str) -> Pin {
    Pin::new(Zeroizing::new(text.to_owned())).expect("a PIN")
}

fn letter(language: &str) -> Letter {
    Letter {
        job: JobId::new("7H2KQ0M4XA"),
        attempt: 1,
        issue: 1,
        name: "Renée van der Ŵälden-Łukaszewicz".into(),
        address: PostalAddress {
            lines: vec!["Straße des 17. Juni 135".into(), "10623 Berlin".into()],
            country: Some("Germany".into()),
            ..PostalAddress::default()
        },
        language: language.into(),
        key: KeyRef {
            aaguid: Aaguid::ZERO,
            serial: Some(Serial::new("19283746")),
            firmware: None,
            model: Some("YubiKey 5 NFC".into()),
            port: PortName::new("1-4"),
        },
        pin_minimum: 6,
        forced: true,
        first_device: Some(FirstDevice::Ios),
        date: jiff::civil::date(2026, 11, 21),
        expires: jiff::civil::date(2026, 12, 12),
    }
}

fn texts(sheet: &Sheet) -> Vec<&str> {
    let text = |item| match item {
        &Item::Text { ref text, .. } => Some(text.as_str()),
        _ => None,
    };
    sheet.items.iter().filter_map(text).collect()
}

const PIN: &str = "kd2rp9vx84tbn5h7";

#[test]
fn the_pin_is_on_its_sheet_once_and_no_name_is() {
    let template = Template::built_in().expect("sound");
    let fonts = template.fonts().expect("fonts");
    for language in ["de", "en", "es", "fr", "nl", "pl"] {
        let letter = letter(language);
        let sheets = letter.sheets(&template, &fonts, &pin(PIN)).expect("laid out");
        assert_eq!(sheets.len(), 2);
        let (address, secret) = (texts(&sheets[0]), texts(&sheets[1]));
        assert!(!address.iter().any(|text| text.contains(PIN)));
        assert_eq!(secret.iter().filter(|text| text.contains(PIN)).count(), 1);
        let joined = secret.join(" ");
        for name in ["Renée", "Łukaszewicz", "Straße", "Berlin"] {
            assert!(!joined.contains(name), "{language}: {joined}");
        }
        assert!(joined.contains("7H2KQ-0M4XA") && address.join(" ").contains("7H2KQ-0M4XA"));
        assert!(address.contains(&"Renée van der Ŵälden-Łukaszewicz") && address.contains(&"10623 Berlin"));
        assert!(!joined.contains('{') && !address.join(" ").contains('{'), "a field was left");
        assert!(address.join(" ").contains("12"), "the last day");
    }
}

#[test]
fn nothing_leaves_the_paper() {
    for (size, layout) in [("A4", "sheets"), ("Letter", "sheets"), ("A4", "panels"), ("Letter", "panels")] {
        let text = format!(
            "[page]\nsize = \"{size}\"\nlayout = \"{layout}\"\n[help]\nphone = \"+49 30 1234567\"\nhours = \"8-18\""
        );
        let template = Template::read(&text, None, &|_| Err("not there".into())).expect("sound");
        let fonts = template.fonts().expect("fonts");
        for language in ["de", "en", "es", "fr", "nl", "pl"] {
            for forced in [true, false] {
                for secret in ["7391", &"8".repeat(63)] {
                    let letter = Letter { forced, ..letter(language) };
                    let sheets = letter
                        .sheets(&template, &fonts, &pin(secret))
                        .unwrap_or_else(|error| panic!("{size} {layout} {language}: {error}"));
                    for sheet in &sheets {
                        on_paper(sheet, &fonts);
                    }
                }
            }
        }
    }
}

fn on_paper(sheet: &Sheet, fonts: &Fonts) {
    let Size { width, height } = sheet.size;
    for item in &sheet.items {
        match item {
            Item::Text { x, y, size, style, text, .. } => {
                let right = x + fonts.width(*style, *size, text);
                assert!(*x >= 4.0 && right <= width - 4.0 && *y >= 4.0 && *y <= height - 4.0, "{}", text.as_str());
            }
            Item::Boxes { places, .. } => {
                assert!(places.iter().all(|p| p.x >= 0.0 && p.right() <= width && p.y >= 0.0 && p.bottom() <= height));
            }
            Item::Frame { place, .. } | Item::Picture { place, .. } => {
                assert!(place.right() <= width && place.bottom() <= height);
            }
            Item::Line { to, .. } => assert!(to.0 <= width && to.1 <= height),
        }
    }
}

/// No two texts stand on each other, on any sheet of any language.
#[test]
fn no_text_covers_another() {
    for layout in ["sheets", "panels"] {
        let text = format!(
            "[page]\nlayout = \"{layout}\"\n[sender]\nline = \"Contoso, PO box 1, Berlin\"\n[help]\nphone = \"+49 30 1234567\""
        );
        let template = Template::read(&text, None, &|_| Err("not there".into())).expect("sound");
        let fonts = template.fonts().expect("fonts");
        for language in ["de", "en", "es", "fr", "nl", "pl"] {
            for sheet in letter(language).sheets(&template, &fonts, &pin(PIN)).expect("laid out") {
                let boxes: Vec<(f32, f32, f32, f32, String)> = sheet
                    .items
                    .iter()
                    .filter_map(|item| match item {
                        Item::Text { x, y, size, style, text, .. } => {
                            let high = size * 0.7 * super::super::paper::MM_PER_POINT;
                            Some((*x, y - high, x + fonts.width(*style, *size, text), *y, text.to_string()))
                        }
                        _ => None,
                    })
                    .collect();
                for (at, a) in boxes.iter().enumerate() {
                    for b in boxes.iter().skip(at + 1) {
                        let apart = a.2 <= b.0 + 0.1 || b.2 <= a.0 + 0.1 || a.3 <= b.1 + 0.1 || b.3 <= a.1 + 0.1;
                        assert!(apart, "{layout} {language}: {} covers {}", a.4, b.4);
                    }
                }
            }
        }
    }
}

#[test]
fn addresses_of_every_length_fit_or_are_told() {
    let template = Template::built_in().expect("sound");
    let fonts = template.fonts().expect("fonts");
    let with = |lines: Vec<String>| Letter {
        address: PostalAddress { lines, country: Some("Deutschland".into()), ..PostalAddress::default() },
        ..letter("de")
    };
    let fits = |lines: Vec<String>| with(lines).sheets(&template, &fonts, &pin("739105")).map(|_| ());
    for count in 1..=6 {
        assert_eq!(fits((0..count).map(|line| format!("Address line number {line}")).collect()), Ok(()));
    }
    let long = "Gesellschaft für angewandte Sicherheitsschlüsselverwaltung und Nachrichtentechnik mbH & Co. KG";
    assert_eq!(fits(vec![long.into(), "1 Street".into(), "Town".into()]), Ok(()));
    assert_eq!(fits(vec![long.repeat(10)]), Err(LetterError::Address));
    assert_eq!(fits(vec![]), Err(LetterError::NoAddress));
    assert_eq!(fits(vec!["  ".into()]), Err(LetterError::NoAddress));
}

#[test]
fn the_country_is_left_out_at_home() {
    let letter = letter("de");
    assert_eq!(letter.address_lines("germany").len(), 3);
    assert_eq!(letter.address_lines("").last().map(String::as_str), Some("GERMANY"));
}

#[test]
fn letters_abroad_live_longer() {
    let text = "[sender]\nhome = \"Germany\"";
    let template = Template::read(text, None, &|_| Err("not there".into())).expect("sound");
    let day = jiff::civil::date(2026, 11, 21);
    let to = |country: Option<&str>| PostalAddress { country: country.map(str::to_owned), ..PostalAddress::default() };
    assert_eq!(expires(&template, &to(Some("GERMANY")), day), jiff::civil::date(2026, 12, 12));
    assert_eq!(expires(&template, &to(None), day), jiff::civil::date(2026, 12, 12));
    assert_eq!(expires(&template, &to(Some("Chile")), day), jiff::civil::date(2026, 12, 21));
}

#[test]
fn what_the_font_lacks_is_told() {
    let fonts = Fonts::built_in().expect("fonts");
    assert_eq!(letter("de").missing(&fonts), Vec::<char>::new());
    let other = Letter { name: "金 李 Lee".into(), ..letter("de") };
    assert_eq!(other.missing(&fonts), ['李', '金']);
}

#[test]
fn a_pdf_names_nobody_outside_its_pages() {
    let template = Template::built_in().expect("sound");
    let fonts = template.fonts().expect("fonts");
    let sheets = letter("de").sheets(&template, &fonts, &pin(PIN)).expect("laid out");
    let bytes = write(&fonts, &sheets).expect("a PDF");
    assert!(bytes.starts_with(b"%PDF-"));
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(crate::handover::paper::pdf::MARK), "so that doctor finds one that was left behind");
    for text in ["Renée", "Lukasz", PIN, "7H2KQ"] {
        assert!(!has(text), "{text}");
    }
}
