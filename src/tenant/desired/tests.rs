use super::*;

fn problems(text: &str) -> Vec<String> {
    Desired::read(text).expect_err("wrong").iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_is_read_and_what_it_leaves_out_is_left_out() {
    let text = r#"
        [break_glass]
        groups = ["Break glass"]
        [fido2]
        state = "on"
        self_service = true
        include = ["Keys", "user:kim@contoso.example"]
        [[fido2.profile]]
        name = "Bench"
        types = ["device-bound"]
        attestation = "required"
        keys = "only"
        aaguids = ["2FC0579F-8113-47ea-b116-bb5a8db9202a", "2fc0579f811347eab116bb5a8db9202a"]
        for = ["Keys"]
        [temporary_access_pass]
        minutes = 60
        [sms]
        state = "off"
        [[strength]]
        name = "Passwordless or pass"
        allow = ["fido2", "password, hardwareOath"]
        [[location]]
        name = "Countries"
        countries = ["nl", "BE"]
        [[conditional_access]]
        name = "Register"
        on = "register-security-info"
        strength = "Passwordless or pass"
        include = ["Keys"]
        outside = ["Countries"]
    "#;
    let read = Desired::read(text).expect("right");
    let fido2 = read.fido2.as_ref().expect("spoken of");
    assert!(matches!(&fido2.profiles[0].keys, Some(Keys::Only(list)) if list.len() == 1), "repetitions are one");
    assert_eq!(fido2.scope.exclude, None);
    assert_eq!(read.pass.as_ref().and_then(|pass| pass.length.clone()), None);
    assert_eq!(read.strengths[0].allow.as_ref().expect("given")[1], "password,hardwareOath");
    assert!(matches!(&read.locations[0].kind, LocationKind::Countries { codes, .. } if codes == &["NL", "BE"]));
    assert_eq!(read.access[0].state, Wanted::On, "a user action, since report-only proves nothing for it");
    let names: Vec<&str> = read
        .named()
        .into_iter()
        .map(|named| match named {
            Named::Group(_, text) | Named::User(_, text) => text,
        })
        .collect();
    assert_eq!(names, ["Break glass", "Keys", "kim@contoso.example", "Keys", "Keys"]);
}

#[test]
fn every_mistake_has_its_line_and_its_field_and_all_are_told_at_once() {
    let text = "[fido2]\nstate = \"enabled\"\nself_servis = true\n[[fido2.profile]]\ntypes = [\"phone\"]\nkeys = \"only\"\n\
                [temporary_access_pass]\nminutes = 5\nleast_minutes = 90\nmost_minutes = 60\n[sms]\nexclude = [\"all\"]\n";
    let told = problems(text);
    for (wanted, why) in [
        ("2:9: fido2.state: this must be one of \"on\", \"off\"", "a word"),
        ("3:1: fido2.self_servis: there is no such member; did you mean \"self_service\"?", "a name"),
        ("4:1: fido2.profile: this profile needs a name", "a missing name"),
        ("5:10: fido2.profile.types: this must be", "a list"),
        ("6:8: fido2.profile.keys: \"only\" needs aaguids", "a contradiction"),
        ("8:11: temporary_access_pass.minutes: this must be a whole number from 10 to 43200", "a range"),
        ("9:17: temporary_access_pass.least_minutes: least_minutes must not be more than most_minutes", "two members"),
        ("12:12: sms.exclude: to exclude everybody", "a rule"),
    ] {
        assert!(told.iter().any(|line| line.starts_with(wanted)), "{why}: {told:#?}");
    }
    assert_eq!(told.len(), 8, "{told:#?}");
}

#[test]
fn no_policy_without_break_glass() {
    let text = "[[conditional_access]]\nname = \"x\"\non = \"sign-in\"\napps = [\"all\"]\ndemand = \"mfa\"\ninclude = [\"Keys\"]\n";
    let told = problems(text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("1:1: conditional_access: no Conditional Access policy is written without"),
        "{told:?}"
    );
    let named = format!("[break_glass]\nusers = [\"admin@contoso.example\"]\n{text}");
    assert_eq!(Desired::read(&named).expect("right").access[0].state, Wanted::ReportOnly);
}

#[test]
fn what_entra_does_not_evaluate_is_refused() {
    let head = "[break_glass]\nusers = [\"a\"]\n[[conditional_access]]\nname = \"x\"\ninclude = [\"Keys\"]\n";
    let told = problems(&format!("{head}on = \"register-device\"\ndemand = \"block\"\n"));
    assert!(told[0].contains("only demand = \"mfa\" or a strength"), "{told:?}");
    let told = problems(&format!("{head}on = \"register-device\"\ndemand = \"mfa\"\nstate = \"report-only\"\n"));
    assert!(told[0].contains("report-only is never evaluated"), "{told:?}");
    let told = problems(&format!("{head}on = \"sign-in\"\ndemand = \"mfa\"\nstrength = \"mfa\"\n"));
    assert!(told.iter().any(|line| line.contains("not both")), "{told:?}");
    let told = problems("[[location]]\nname = \"Office\"\nranges = [\"10.0.0.0/24\", \"1.2.3.0/7\", \"x\"]\n");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn what_is_no_toml_has_its_line() {
    let told = problems("[fido2]\nstate = on\n");
    assert!(told[0].starts_with("2:"), "{told:?}");
}
