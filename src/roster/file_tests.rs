use super::*;

fn read(text: &str) -> Result<Roster, RosterError> {
    Roster::read("people.csv", text.as_bytes())
}

fn complaints(text: &str) -> Vec<String> {
    read(text).expect_err("a bad roster").lines()
}

fn upns(roster: &Roster) -> Vec<&str> {
    roster.rows.iter().map(|row| row.upn.as_str()).collect()
}

/// Each file in `fixtures/rosters` as people's programs write it, with the people in it.
#[test]
fn exports_of_many_kinds_are_read() {
    let fixtures: [(&str, &[u8]); 6] = [
        ("entra.csv", include_bytes!("../../fixtures/rosters/entra.csv")),
        ("excel-german.csv", include_bytes!("../../fixtures/rosters/excel-german.csv")),
        ("excel-unicode.txt", include_bytes!("../../fixtures/rosters/excel-unicode.txt")),
        ("powershell-utf16be.csv", include_bytes!("../../fixtures/rosters/powershell-utf16be.csv")),
        ("hr-multiline.csv", include_bytes!("../../fixtures/rosters/hr-multiline.csv")),
        ("mail-only.csv", include_bytes!("../../fixtures/rosters/mail-only.csv")),
    ];
    for (name, bytes) in fixtures {
        let roster = Roster::read(name, bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(upns(&roster), ["ada@contoso.com", "zoe.müller@contoso.com"], "{name}");
    }
    let hr = Roster::read("hr", include_bytes!("../../fixtures/rosters/hr-multiline.csv")).expect("a roster");
    let ada = &hr.rows[0];
    assert_eq!((ada.line, ada.keys, ada.first_device), (Some(2), 2, Some(FirstDevice::Win11)));
    let address = ada.address.as_ref().expect("an address");
    assert_eq!(address.lines, ["Contoso Ltd", "12 St James's Square", "Floor 2, \"North\"", "SW1Y 4LB London"]);
    assert_eq!(address.country.as_deref(), Some("United Kingdom"));
    let zoe = &hr.rows[1];
    assert_eq!((zoe.line, zoe.serial.as_ref().map(Serial::as_str)), (Some(5), Some("19283746")));
    assert_eq!(zoe.key_kind, Some(KeyKind("5C NFC".to_owned())));
}

#[test]
fn every_complaint_comes_at_once_with_line_and_field() {
    let text = "UPN;Serial number;Keys;First device\n\
                kim;123;1;win11\n\
                \n\
                lee@contoso.com;1.23E+07;2;Windows\n\
                ;77;;\n\
                ann@contoso.com;88;0;ios\n\
                bob@contoso.com;99;1;ios;left over\n\
                cyd@contoso.com;99;1;;;\n";
    assert_eq!(
        complaints(text),
        [
            "people.csv:2: UPN: \"kim\" is not of the form name@domain",
            "people.csv:4: Serial number: \"1.23E+07\" was turned into a number by a spreadsheet: format the column as text",
            "people.csv:4: First device: \"Windows\" could be two: write win11 or win10",
            "people.csv:5: UPN: this is empty",
            "people.csv:6: Keys: \"0\" is not a number from 1 to 10",
            "people.csv:7: this line has 5 fields and the header 4: put quotes around a field with a separator in it",
        ]
    );
}

#[test]
fn one_serial_names_one_key() {
    let text = "upn,serial,keys\na@b.c,1,1\nb@b.c,1,1\nc@b.c,2,2\n";
    assert_eq!(
        complaints(text),
        [
            "people.csv:3: serial: 1 is on line 2 already",
            "people.csv:4: serial: one serial number can't name 2 keys: leave it out, or write one line a key",
        ]
    );
}

#[test]
fn headers_are_checked() {
    assert!(complaints("")[0].contains("empty"));
    assert!(complaints("\n\n  \n")[0].contains("empty"));
    assert!(complaints("kim@contoso.com\n")[0].contains("first line must name the columns"));
    assert!(complaints("name,city\nKim,Bonn\n")[0].contains("no column is called upn"));
    assert!(complaints("upn\n")[0].contains("no people"));
    assert_eq!(
        complaints("upn,userPrincipalName\na@b.c,a@b.c\n"),
        ["people.csv:1: userPrincipalName: both \"upn\" and \"userPrincipalName\" mean upn: keep one"]
    );
    assert_eq!(
        complaints("UserPrincpalName\na@b.c\n"),
        ["people.csv:1: UserPrincpalName: this column is not known; did you mean upn?"]
    );
    let roster = read("Department;upn\nSales;a@b.c\n").expect("a roster");
    assert_eq!(roster.notes, ["The roster's column \"Department\" is not used."]);
}

#[test]
fn bad_form_is_named_with_its_field() {
    assert_eq!(
        complaints("upn,address\na@b.c,\"Main St\n1\n")[0],
        "people.csv:2: address: a quote is opened here and never closed"
    );
    assert!(complaints("upn\na@b.c\u{7}\n")[0].contains("control character"));
    let latin1 = Roster::read("p.csv", b"upn,name\na@b.c,Zo\xEB\n").expect_err("not UTF-8");
    assert!(latin1.lines()[0].starts_with("p.csv:2: this is neither UTF-8"), "{latin1}");
}

#[test]
fn lines_count_from_the_files_first_even_after_a_sep_line() {
    let roster = read("sep=;\nupn;keys\na@b.c;3\n").expect("a roster");
    assert_eq!((roster.rows[0].line, roster.rows[0].keys), (Some(3), 3));
}

#[test]
fn a_groups_hash_does_not_depend_on_the_order() {
    let upn = |text: &str| Upn::parse(text).expect("a UPN");
    let one = Roster::of_members("g", vec![upn("a@b.c")], &["AA", "bb"]);
    let two = Roster::of_members("g", vec![upn("a@b.c")], &["BB", "aa"]);
    assert_eq!(one.hash, two.hash);
    assert_ne!(one.hash, Roster::of_members("g", vec![], &["aa"]).hash);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = Roster::read("any", &bytes);
    }

    #[test]
    fn no_rows_under_a_good_header_make_it_panic(rest in "[\"a-z@,;\t\r\n0-9é.]{0,200}") {
        let _ = Roster::read("any", format!("upn,serial,keys,first_device\n{rest}").as_bytes());
    }
}
