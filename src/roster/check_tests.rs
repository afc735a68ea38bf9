use super::*;
use crate::model::{Aaguid, KeyKind};

fn upn(name: &str) -> Upn {
    Upn::parse(&format!("{name}@contoso.com")).expect("a UPN")
}

fn row(line: u32, name: &str) -> RosterRow {
    RosterRow {
        line: Some(line),
        upn: upn(name),
        serial: None,
        address: None,
        keys: 1,
        key_kind: None,
        first_device: None,
        language: None,
        spare_address: None,
    }
}

fn facts(name: &str) -> DirectoryFacts {
    DirectoryFacts {
        id: UserId::new(format!("id-{name}")),
        upn: upn(name),
        display_name: name.to_owned(),
        enabled: true,
        guest: false,
        privileged: Vec::new(),
        in_allowed_group: None,
        passkeys: Some(0),
        is_caller: false,
    }
}

fn directory(all: Vec<DirectoryFacts>) -> HashMap<Upn, DirectoryFacts> {
    all.into_iter().map(|found| (found.upn.clone(), found)).collect()
}

fn one(found: DirectoryFacts, rules: &Rules) -> CheckedRoster {
    let name = found.upn.as_str().split('@').next().unwrap_or_default().to_owned();
    check(&[row(2, &name)], &directory(vec![found]), rules)
}

#[test]
fn each_reason_refuses_that_person_alone() {
    let rules = Rules { allowed_group: Some("Keys".into()), ..Rules::default() };
    let good = || DirectoryFacts { in_allowed_group: Some(true), ..facts("ann") };
    assert_eq!(one(good(), &rules).people.len(), 1);
    for (found, code) in [
        (DirectoryFacts { enabled: false, ..good() }, RefusalCode::Disabled),
        (DirectoryFacts { guest: true, ..good() }, RefusalCode::Guest),
        (DirectoryFacts { is_caller: true, ..good() }, RefusalCode::Myself),
        (DirectoryFacts { privileged: vec!["User Administrator".into()], ..good() }, RefusalCode::Privileged),
        (DirectoryFacts { in_allowed_group: Some(false), ..good() }, RefusalCode::OutsideGroup),
        (DirectoryFacts { in_allowed_group: None, ..good() }, RefusalCode::OutsideGroup),
        (DirectoryFacts { passkeys: Some(10), ..good() }, RefusalCode::TooManyPasskeys),
    ] {
        let checked = one(found, &rules);
        assert_eq!((checked.people.len(), checked.refused.len()), (0, 1), "{code}");
        assert_eq!(checked.refused[0].code, code);
        assert!(!checked.refused[0].reason.is_empty() && !checked.refused[0].next.is_empty(), "{code}");
    }
}

#[test]
fn all_reasons_are_given_and_the_gravest_is_the_code() {
    let found = DirectoryFacts { guest: true, enabled: false, passkeys: Some(12), ..facts("ann") };
    let refused = &one(found, &Rules::default()).refused[0];
    assert_eq!(refused.code, RefusalCode::Disabled);
    for word in ["disabled", "guest", "12 passkeys"] {
        assert!(refused.reason.contains(word), "{}", refused.reason);
    }
}

#[test]
fn unknown_and_repeated_people() {
    let mut found = directory(vec![facts("ann"), facts("bob")]);
    // An alias: another name that the directory answers with Ann's account.
    found.insert(upn("anna"), facts("ann"));
    let rows = [row(2, "ann"), row(3, "nobody"), row(4, "ANN"), row(5, "anna"), row(6, "bob"), row(7, "nobody")];
    let checked = check(&rows, &found, &Rules::default());
    let codes: Vec<(Option<u32>, RefusalCode)> = checked.refused.iter().map(|r| (r.line, r.code)).collect();
    assert_eq!(
        codes,
        [
            (Some(3), RefusalCode::UnknownPerson),
            (Some(4), RefusalCode::Duplicate),
            (Some(5), RefusalCode::Duplicate),
            (Some(7), RefusalCode::Duplicate),
        ]
    );
    assert!(checked.refused[2].reason.contains("same account as ann@contoso.com, who stands on line 2"));
    assert_eq!(checked.people.len() + checked.refused.len(), rows.len());
}

#[test]
fn privileged_people_must_be_named() {
    let found = DirectoryFacts { privileged: vec!["Global Administrator".into()], ..facts("ann") };
    let rules = Rules { allow_privileged: vec![upn("ANN"), upn("gone")], ..Rules::default() };
    let checked = one(found, &rules);
    assert_eq!((checked.people.len(), checked.warnings.len()), (1, 1));
    assert_eq!(checked.warnings[0].code, "allow-privileged-unused");
    assert!(checked.warnings[0].text.contains("gone@contoso.com"));
}

#[test]
fn a_finished_key_counts_once_against_the_limit() {
    let found = DirectoryFacts { passkeys: Some(10), ..facts("ann") };
    let rules = Rules { finished: HashMap::from([(UserId::new("id-ann"), 1)]), ..Rules::default() };
    assert_eq!(one(found, &rules).people.len(), 1);
    let unread = DirectoryFacts { passkeys: None, ..facts("ann") };
    assert_eq!(one(unread, &Rules::default()).people.len(), 1);
}

#[test]
fn names_are_cut_at_a_character() {
    assert_eq!(cut_name("Kim"), "Kim");
    let long = "é".repeat(33);
    assert_eq!(cut_name(&long).len(), 64);
    let odd = format!("x{long}");
    assert_eq!(cut_name(&odd).len(), 63);
    let checked = one(DirectoryFacts { display_name: odd, ..facts("ann") }, &Rules::default());
    assert_eq!((checked.people.len(), checked.warnings[0].code), (1, "name-cut"));
}

#[test]
fn a_kind_that_no_model_fits_is_refused_only_where_models_are_known() {
    let kind = |text: &str| RosterRow { key_kind: Some(KeyKind(text.into())), ..row(2, "ann") };
    let models = Some(vec![Model { aaguid: Aaguid([1; 16]), name: "YubiKey 5 NFC".into() }]);
    let known = Rules { models, ..Rules::default() };
    let directory = directory(vec![facts("ann")]);
    assert_eq!(check(&[kind("5 nfc")], &directory, &known).people.len(), 1);
    assert_eq!(check(&[kind("Solo")], &directory, &known).refused[0].code, RefusalCode::UnknownKeyKind);
    assert_eq!(check(&[kind("Solo")], &directory, &Rules::default()).people.len(), 1);
    let new = Aaguid([2; 16]).to_string();
    assert_eq!(
        check(&[kind(&new)], &directory, &known).people.len(),
        1,
        "an id may be of a model that no list has yet"
    );
}

#[test]
fn a_first_device_that_cannot_change_pins_warns_or_leaves_it_off() {
    let on = |device: FirstDevice, force_change: bool, leave_off: bool| {
        let rows = [RosterRow { first_device: Some(device), ..row(2, "ann") }];
        let checked =
            check(&rows, &directory(vec![facts("ann")]), &Rules { force_change, leave_off, ..Rules::default() });
        (checked.people[0].force_change, checked.warnings.first().map(|warning| warning.code))
    };
    assert_eq!(on(FirstDevice::Win11, true, true), (true, None));
    assert_eq!(on(FirstDevice::Ios, true, false), (true, Some("first-device")));
    assert_eq!(on(FirstDevice::Ios, true, true), (false, Some("force-change-left-off")));
    assert_eq!(on(FirstDevice::Mac, true, true), (true, Some("first-device")));
    assert_eq!(on(FirstDevice::Android, false, true), (false, None));
}
