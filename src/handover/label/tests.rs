//! Labels, laid out and looked through.

use super::*;
use crate::handover::code::CodeKind;
use crate::handover::paper::Size;
use crate::model::JobId;

fn code(kind: CodeKind) -> Code {
    Code::new(kind, &JobId::new("7H2KQ0M4XA"), 1, 1).expect("a code")
}

pub(super) fn labels() -> Vec<Label> {
    vec![
        Label::Key { code: code(CodeKind::Key), model: "YubiKey 5 NFC".into(), serial: Some("19283746".into()) },
        Label::Key { code: code(CodeKind::Key), model: "Security Key NFC by Yubico".into(), serial: None },
        Label::Key {
            code: code(CodeKind::Key),
            model: "Nitrokey 3".into(),
            serial: Some("6B657962656E63682D73696D00030009".into()),
        },
        Label::Parcel {
            code: code(CodeKind::Parcel),
            to: [
                "Renée van der Wälden-Łukaszewicz",
                "Contoso Vertriebsgesellschaft mbH",
                "Straße des 17. Juni 135",
                "10623 Berlin",
                "GERMANY",
            ]
            .map(str::to_owned)
            .to_vec(),
            from: "Contoso, PO box 1, 1000 Brussels".into(),
            which: Some("2 of 2".into()),
        },
        Label::Reject {
            model: "Feitian ePass".into(),
            serial: Some("555".into()),
            why: "The key already has a PIN.".into(),
        },
    ]
}

#[test]
fn every_label_fits_every_sheet_that_is_for_it() {
    let fonts = Fonts::built_in().expect("fonts");
    for (name, sheet) in sheet::built_in().expect("sheets") {
        for label in labels() {
            // The smallest are for keys.
            if matches!(label, Label::Parcel { .. }) && sheet.height < 30.0 {
                continue;
            }
            let place = sheet.place(0);
            let parts = label.lay_out(&fonts, place).unwrap_or_else(|error| panic!("{name}: {error}"));
            for part in &parts {
                let (left, right, top, bottom) = match part {
                    Part::Text { x, y, size, style, text } => {
                        (*x, x + fonts.width(*style, *size, text), y - size * 0.7 * MM_PER_POINT, *y)
                    }
                    Part::Symbol { place, .. } | Part::Bar { place } => {
                        (place.x, place.right(), place.y, place.bottom())
                    }
                };
                let inside =
                    left >= place.x && right <= place.right() + 0.01 && top >= place.y && bottom <= place.bottom();
                assert!(inside, "{name}: {part:?}");
            }
            let symbols = parts.iter().filter(|part| matches!(part, Part::Symbol { .. })).count();
            assert_eq!(symbols > 0, label.code().is_some(), "{name}");
        }
    }
}

#[test]
fn a_label_too_small_for_its_code_is_told() {
    let fonts = Fonts::built_in().expect("fonts");
    let place = Place { x: 0.0, y: 0.0, width: 20.0, height: 10.0 };
    assert!(matches!(labels()[0].lay_out(&fonts, place), Err(LabelError::NoRoom(_))));
}

#[test]
fn sheets_are_filled_from_where_the_last_stopped() {
    let fonts = Fonts::built_in().expect("fonts");
    let on = LabelSheet::named("L7160").expect("a sheet");
    let twenty: Vec<Label> = std::iter::repeat_with(|| labels().remove(0)).take(20).collect();
    assert_eq!(on_sheets(&fonts, &twenty, &on, 0, (0.0, 0.0)).map(|sheets| sheets.len()), Ok(1));
    assert_eq!(on_sheets(&fonts, &twenty, &on, 1, (0.0, 0.0)).map(|sheets| sheets.len()), Ok(1));
    assert_eq!(on_sheets(&fonts, &twenty, &on, 2, (0.0, 0.0)).map(|sheets| sheets.len()), Ok(2));
    assert_eq!(on_sheets(&fonts, &[], &on, 0, (0.0, 0.0)).map(|sheets| sheets.len()), Ok(0));
    assert_eq!(on.size(), Size::A4);
}

#[test]
fn zpl_has_one_format_a_label_and_no_code_on_a_reject() {
    let fonts = Fonts::built_in().expect("fonts");
    let roll = zpl::Roll { width: 70.0, height: 38.0, dots: 8 };
    let text = zpl::stream(&fonts, &labels(), &roll).expect("a stream");
    let formats: Vec<&str> = text.split("^XA").skip(1).collect();
    assert_eq!(formats.len(), 5);
    let pictures: Vec<usize> = formats.iter().map(|format| format.matches("^GFA").count()).collect();
    assert_eq!(pictures, [2, 2, 2, 2, 0]);
    assert!(formats[4].contains("REJECT") && formats[3].contains("Straße des 17. Juni 135"), "{}", formats[3]);
    assert!(formats.iter().all(|format| format.contains("^CI28") && format.trim_end().ends_with("^XZ")));
}

#[test]
fn what_the_font_lacks_is_told() {
    let fonts = Fonts::built_in().expect("fonts");
    assert!(labels().iter().all(|label| label.missing(&fonts).is_empty()));
    let to = vec!["佐藤".to_owned(), "1 Main St".to_owned()];
    let label = Label::Parcel { code: code(CodeKind::Parcel), to, from: String::new(), which: None };
    assert_eq!(label.missing(&fonts), ['佐', '藤']);
}
