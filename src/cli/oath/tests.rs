//! The commands against the simulated tenant, as a person types them. The tenant computes its codes by itself.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::testing::Desk;
use crate::ledger::{Entry, Ledger as _, TenantEntry};
use crate::sim::tenant::spec::{GroupSpec, UserType};
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";
const LEE: &str = "lee@contoso.example";
const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const OTHER: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA";

fn spec() -> TenantSpec {
    let guest = PersonSpec { user_type: UserType::Guest, ..PersonSpec::new("guest@contoso.example") };
    let mut spec =
        TenantSpec { people: vec![PersonSpec::new(KIM), PersonSpec::new(LEE), guest], ..TenantSpec::default() };
    method(&mut spec, "enabled", "all_users");
    spec
}

/// The method for tokens: on or off, and for whom.
fn method(spec: &mut TenantSpec, state: &str, group: &str) {
    let method = json!({ "state": state, "includeTargets": [{ "id": group, "targetType": "group" }] });
    spec.policies.methods.insert("HardwareOath".into(), method.as_object().cloned().expect("an object"));
}

fn open(spec: TenantSpec) -> (RunningTenant, Desk, String) {
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    let desk = Desk::at(&tenant);
    desk.write(
        "tokens.csv",
        &format!(
            "upn,serial number,secret key,time interval,manufacturer,model,hash\n\
             {KIM},1001,{SEED},30,Contoso,C200,\n,1002,{OTHER},60,Contoso,C300,SHA-256\n"
        ),
    );
    let file = desk.path("tokens.csv").display().to_string();
    (tenant, desk, file)
}

fn entries(desk: &Desk) -> Vec<TenantEntry> {
    let mut all = Vec::new();
    let ledger = crate::ledger::open_reader(&desk.path("ledger.db")).expect("a ledger");
    ledger
        .visit(1, &mut |recorded| {
            if let Entry::Tenant(entry) = recorded.entry {
                all.push(entry);
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    all
}

#[test]
fn tokens_go_from_the_vendors_file_to_a_person_and_their_seeds_are_deleted() {
    let (_tenant, desk, file) = open(spec());
    let dry = desk.run(&["oath", "import", &file, "--dry-run"]);
    assert!(dry.out.contains("2 tokens in the file: 2 would be uploaded"), "{}{}", dry.out, dry.err);
    let ran = desk.run(&["oath", "import", &file]);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("beta version") && ran.err.contains("holds every seed: delete it"), "{}", ran.err);
    assert!(ran.out.contains("1001 is given to kim@contoso.example") && ran.out.contains("2 added"), "{}", ran.out);
    let listed = desk.run(&["oath", "list"]);
    assert!(listed.out.contains("1001  assigned, kim@contoso.example (seed sealed here)"), "{}", listed.out);
    assert!(listed.out.contains("1002  available (seed sealed here)"), "{}", listed.out);
    // Again: nothing new.
    assert!(desk.run(&["oath", "import", &file]).out.contains("0 added, 2 already there, 0 failed."));

    let id = desk.path("custodian-0.txt").display().to_string();
    let activate = |serial: &str, upn: &str| desk.run(&["oath", "activate", serial, upn, "--identity", &id]);
    let done = activate("1001", KIM);
    assert!(done.exit == Exit::Done && done.out.contains("1001 works for kim"), "{}{}", done.out, done.err);
    assert!(done.err.contains("Its sealed seed is deleted."), "{}", done.err);
    assert!(activate("1001", KIM).out.contains("already"));
    // The other hash and the other interval.
    assert!(activate("1002", LEE).err.contains("is not lee@contoso.example's"));
    assert!(desk.run(&["oath", "assign", "1002", LEE]).out.contains("is given to lee"));
    assert!(activate("1002", LEE).out.contains("1002 works for lee"));
    let listed = desk.run(&["oath", "list"]);
    assert!(listed.out.contains("1002  activated, lee") && !listed.out.contains("seed sealed"), "{}", listed.out);
    assert!(desk.run(&["methods", LEE]).out.contains("hardware token 1002"));

    let all = entries(&desk);
    let count = |is: fn(&TenantEntry) -> bool| all.iter().filter(|entry| is(entry)).count();
    assert_eq!(count(|entry| matches!(entry, TenantEntry::TokenImported { .. })), 2);
    assert_eq!(count(|entry| matches!(entry, TenantEntry::TokenActivated { computed: true, .. })), 2);

    let removed = desk.run(&["oath", "remove", "1002", "--reason", "left"]);
    assert!(
        removed.out.contains("taken from its person") && removed.out.contains("out of the inventory"),
        "{}",
        removed.out
    );
    assert!(desk.run(&["oath", "list"]).out.contains("1 token in the inventory."));
}

#[test]
fn tokens_are_not_given_to_who_may_not_use_them_and_the_inventory_may_be_filled_before() {
    const OTHERS: &str = "11111111-aaaa-4bbb-8ccc-000000000009";
    for (state, group, words) in [
        ("disabled", "all_users", "Hardware OATH (beta) is off in this tenant."),
        ("enabled", OTHERS, "kim@contoso.example is outside the scope of Hardware OATH (beta)"),
    ] {
        let mut spec = spec();
        spec.groups.push(GroupSpec { name: "Others".into(), id: Some(OTHERS.into()), ..GroupSpec::default() });
        method(&mut spec, state, group);
        let (tenant, desk, file) = open(spec);
        for line in [vec!["oath", "import", &file], vec!["oath", "import", &file, "--dry-run"]] {
            let ran = desk.run(&line);
            assert_eq!(ran.exit, Exit::Tenant, "{}{}", ran.out, ran.err);
            assert!(ran.err.contains(words) && ran.err.contains("Nothing was uploaded."), "{}", ran.err);
        }
        assert!(!desk.path("ledger.db").exists() && tenant.secrets().is_empty());
        // The same words as the check's, with the file's lines.
        let checked = desk.run(&["tenant", "check", "--mode", "oath", "--tokens", &file]);
        assert!(
            checked.exit == Exit::CheckFails && checked.out.contains("FAIL     PF34"),
            "{}{}",
            checked.out,
            checked.err
        );
        desk.write("stock.csv", &format!("serial,secret,manufacturer,model\n1001,{SEED},C,M\n"));
        let stock = desk.run(&["oath", "import", &desk.path("stock.csv").display().to_string()]);
        assert_eq!(stock.exit, Exit::Done, "{}{}", stock.out, stock.err);
        assert_eq!(stock.err.contains("PF34 OATH tokens"), state == "disabled", "told, and no more: {}", stock.err);
    }
}

#[test]
fn a_vendors_file_is_weighed_line_by_line_before_it_is_imported() {
    let (_tenant, desk, file) = open(spec());
    let check = |name: &str| {
        let path = desk.path(name).display().to_string();
        desk.run(&["tenant", "check", "--mode", "oath", "--tokens", &path])
    };
    let right = check("tokens.csv");
    assert!(right.out.contains("passed") && right.out.contains("PF34 OATH tokens"), "{}{}", right.out, right.err);
    assert!(
        right.out.contains("1 person") && !right.out.contains(&SEED[..8]),
        "its people are looked at: {}",
        right.out
    );
    assert_eq!(desk.run(&["oath", "import", &file]).exit, Exit::Done);
    desk.write("wrong.csv", &format!("serial,secret,interval\n1001,{SEED},30\n2,{SEED}!,30\n3,{SEED},45\n"));
    let wrong = check("wrong.csv");
    assert_eq!(wrong.exit, Exit::CheckFails, "{}{}", wrong.out, wrong.err);
    for words in [
        "Line 2: a token with the serial number 1001 is in the tenant already.",
        "Line 3: secret key: this is not Base32",
        "Line 4: time interval: this is neither 30 nor 60",
    ] {
        assert!(wrong.out.contains(words), "{words}: {}", wrong.out);
    }
    assert!(!wrong.out.contains(&SEED[..8]) && !wrong.err.contains(&SEED[..8]));
    desk.write("none.csv", "");
    assert!(check("none.csv").err.contains("is no file of tokens"));
    let elsewhere = desk.run(&["tenant", "check", "--tokens", &file]);
    assert!(elsewhere.exit == Exit::Usage && elsewhere.err.contains("add --mode oath"), "{}", elsewhere.err);
}

#[test]
fn refusals_say_why() {
    let (_tenant, desk, file) = open(spec());
    assert_eq!(desk.run(&["oath", "import", &file]).exit, Exit::Done);
    let refused = |line: &[&str], exit, words: &str| {
        let ran = desk.run(line);
        assert!(ran.exit == exit && ran.err.contains(words), "{line:?}: {}{}", ran.out, ran.err);
    };
    refused(&["oath", "assign", "9999", LEE], Exit::Usage, "no hardware token 9999");
    refused(&["oath", "assign", "1001", LEE], Exit::Usage, "somebody else's");
    refused(&["oath", "assign", "1002", KIM], Exit::Tenant, "has a hardware OATH token already");
    refused(&["oath", "assign", "1002", "guest@contoso.example"], Exit::Tenant, "Guest users");
    refused(&["oath", "activate", "1001", KIM], Exit::Usage, "Nobody gave a code");
    let stranger = crate::pin::keygen(jiff::Timestamp::UNIX_EPOCH);
    desk.write("stranger.txt", stranger.expose_file());
    let id = desk.path("stranger.txt").display().to_string();
    refused(&["oath", "activate", "1001", KIM, "--identity", &id], Exit::Usage, "None of the identities opens");
    // A seed that is another's makes a wrong code.
    desk.write("wrong.csv", &format!("serial,secret,manufacturer,model\n1001,{OTHER},Contoso,C200\n"));
    let wrong = desk.path("wrong.csv").display().to_string();
    assert_eq!(desk.run(&["oath", "import", &wrong]).exit, Exit::Done);
    let id = desk.path("custodian-0.txt").display().to_string();
    refused(&["oath", "activate", "1001", KIM, "--identity", &id], Exit::Tenant, "verification code is incorrect");
    desk.write("bad.csv", &format!("serial,secret\n1,{SEED}!\n"));
    let bad = desk.run(&["oath", "import", &desk.path("bad.csv").display().to_string()]);
    assert!(
        bad.err.contains("bad.csv:2: secret key")
            && bad.err.contains("--manufacturer")
            && !bad.err.contains(&SEED[..8]),
        "{}",
        bad.err
    );
    desk.write("who.csv", &format!("upn,serial,secret,manufacturer,model\nx@contoso.example,5,{SEED},C,M\n"));
    let who = desk.path("who.csv").display().to_string();
    refused(&["oath", "import", &who], Exit::Usage, "does not know x@contoso.example");
    let mut poor = spec();
    poor.app.permissions.retain(|scope| scope != "Policy.ReadWrite.AuthenticationMethod");
    let (_tenant, desk, file) = open(poor);
    let ran = desk.run(&["oath", "import", &file]);
    assert!(ran.exit == Exit::Tenant && ran.err.contains("Policy.ReadWrite.AuthenticationMethod"), "{}", ran.err);
}
