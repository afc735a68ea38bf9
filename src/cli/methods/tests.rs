//! The commands against the simulated tenant, as a person types them.

use crate::cli::Exit;
use crate::cli::testing::Desk;
use crate::ledger::{Entry, Ledger as _, TenantEntry};
use crate::sim::tenant::spec::{MethodKind, MethodSpec};
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";

fn spec() -> TenantSpec {
    let method = |kind, name: &str, default| MethodSpec { kind, name: name.into(), default };
    let methods = vec![
        method(MethodKind::Phone, "+353 1 5550123", true),
        method(MethodKind::Authenticator, "Kim's phone", false),
        method(MethodKind::Email, "kim@home.example", false),
    ];
    let mut spec = TenantSpec {
        people: vec![
            PersonSpec { passkeys: 2, methods, ..PersonSpec::new(KIM) },
            PersonSpec::new("lee@contoso.example"),
        ],
        ..TenantSpec::default()
    };
    // Each kind by its own permission.
    spec.app.permissions.retain(|scope| scope != "UserAuthenticationMethod.ReadWrite.All");
    spec
}

fn open(spec: TenantSpec) -> (RunningTenant, Desk) {
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let desk = Desk::at(&tenant);
    (tenant, desk)
}

#[test]
fn everything_a_person_has_is_shown_and_too_little_is_warned_of() {
    let (_tenant, desk) = open(spec());
    let ran = desk.run(&["methods", KIM]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    for wanted in [
        "strong  passkey Old key 1",
        "strong  Microsoft Authenticator Kim's phone",
        "phone …123 mobile",
        "mail address",
        "password",
    ] {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    assert!(!ran.err.contains("Warning"), "{}", ran.err);
    let lee = desk.run(&["methods", "lee@contoso.example"]);
    assert!(lee.err.contains("no strong method"), "{}", lee.err);
    let json = desk.run(&["methods", KIM, "--json"]).lines();
    assert_eq!(
        json.last().map(|line| (line["event"].clone(), line["strong"].clone())),
        Some(("methods".into(), 3.into()))
    );
}

#[test]
fn a_method_is_removed_with_a_reason_and_written_down() {
    let (_tenant, desk) = open(spec());
    let remove =
        |what: &str, more: &[&str]| desk.run(&[&["methods", "remove", KIM, what, "--reason", "sold"], more].concat());
    let dry = remove("microsoftAuthenticator", &["--dry-run"]);
    assert!(
        dry.out.contains(
            "Would remove the Microsoft Authenticator Kim's phone of kim@contoso.example; 2 strong would be left"
        ),
        "{}",
        dry.out
    );
    let unasked = remove("microsoftAuthenticator", &[]);
    assert!(unasked.exit == Exit::Usage && unasked.err.contains("the word was not typed"), "{}", unasked.err);
    let done = remove("microsoftAuthenticator", &["--yes"]);
    assert!(done.exit == Exit::Done && done.out.contains("is removed"), "{}{}", done.out, done.err);
    assert!(!desk.run(&["methods", KIM]).out.contains("Authenticator"));

    let mut entries = Vec::new();
    let ledger = crate::ledger::open_reader(&desk.path("ledger.db")).expect("a ledger");
    ledger
        .visit(1, &mut |recorded| {
            if let Entry::Tenant(entry) = recorded.entry {
                entries.push(entry);
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    let [
        TenantEntry::AccountChangeIntended { before: Some(before), .. },
        TenantEntry::MethodRemoved { method_kind, reason, .. },
        TenantEntry::ChangeDone { .. },
    ] = entries.as_slice()
    else {
        panic!("{entries:?}")
    };
    assert_eq!((method_kind.as_str(), reason.as_str()), ("microsoftAuthenticator", "sold"));
    let kept = ledger.blob(*before).expect("read").expect("the old value");
    assert!(String::from_utf8_lossy(&kept).contains("Kim's phone"));
}

#[test]
fn what_can_not_be_removed_is_said() {
    let (_tenant, desk) = open(spec());
    let remove = |what: &str| desk.run(&["methods", "remove", KIM, what, "--reason", "x", "--yes"]);
    for (what, exit, words) in [
        ("password", Exit::Usage, "can't be removed by Graph"),
        ("windowsHelloForBusiness", Exit::Usage, "has no sign-in method windowsHelloForBusiness"),
        ("fido2", Exit::Usage, "has 2 of the kind fido2"),
        // The default phone, and a permission that the application lacks.
        ("phone", Exit::Tenant, "default authentication method"),
        ("email", Exit::Tenant, "UserAuthMethod-Email.ReadWrite.All"),
    ] {
        let ran = remove(what);
        assert!(ran.exit == exit && ran.err.contains(words), "{what}: {}", ran.err);
    }
    let mut poor = spec();
    poor.app.permissions.retain(|scope| scope != "UserAuthenticationMethod.Read.All");
    let (_tenant, desk) = open(poor);
    assert!(desk.run(&["methods", KIM]).err.contains("UserAuthenticationMethod.Read.All"));
}
