//! The commands that ask a tenant, each with `--json`, against simulated ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::login::tests::desk as browser;
use crate::cli::testing::Desk;
use crate::cli::testing::schema::kind_of;
use crate::ledger::{Append, Entry, Ledger as _, TenantEntry};
use crate::model::{ChangeId, TenantId};
use crate::sim::tenant::spec::Premium;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";
const LEE: &str = "lee@contoso.example";

#[derive(Default)]
struct Stage {
    /// Titles of the kinds that were seen.
    seen: BTreeSet<String>,
}

impl Stage {
    /// Runs it, notes of which kinds its lines are, and gives them.
    fn play(&mut self, desk: &Desk, line: &[&str]) -> Vec<Value> {
        let path = |word: &str| match word.strip_prefix('@') {
            Some(name) => desk.path(name).display().to_string(),
            None => word.to_owned(),
        };
        let words: Vec<String> = line.iter().map(|word| path(word)).chain(["--json".to_owned()]).collect();
        let ran = desk.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let lines = ran.lines();
        assert!(!lines.is_empty(), "{line:?}: {}", ran.err);
        self.seen.extend(lines.iter().map(|line| kind_of(line).expect("described").title.clone()));
        lines
    }
}

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec { people: vec![PersonSpec::new(KIM), PersonSpec::new(LEE)], ..TenantSpec::default() };
    spec.people[0].passkeys = 1;
    spec.people[1].registered = vec!["mobilePhone".into()];
    spec.people.push(PersonSpec {
        roles: vec!["Global Administrator".into()],
        groups: vec!["Break glass".into()],
        passkeys: 1,
        ..PersonSpec::new("glass@contoso.example")
    });
    spec.policies.access_per_second = 0;
    spec.sign_in.roles = vec!["Cloud Application Administrator".into()];
    spec.app.delegated.push("Application.ReadWrite.All".into());
    change(&mut spec);
    start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant")
}

/// The titles of all kinds that were seen.
pub(super) fn titles() -> BTreeSet<String> {
    let mut stage = Stage::default();
    signing_in(&mut stage);
    policies(&mut stage);
    accounts(&mut stage);
    stage.seen
}

fn signing_in(stage: &mut Stage) {
    let tenant = tenant(|_| {});
    let desk = browser(&tenant, "browser");
    let client = tenant.client_id.clone();
    stage.play(&desk, &["login"]);
    stage.play(&desk, &["whoami", "--for", "run"]);
    stage.play(&desk, &["logout"]);
    stage.play(&desk, &["tenant", "app", "--for", "run"]);
    stage.play(&desk, &["tenant", "app", "--explain", "65001"]);
    stage.play(&desk, &["tenant", "app", "--create", "--dry-run"]);
    stage.play(&desk, &["tenant", "app", "--create", "--yes", "--sign-in-with", &client]);
    stage.play(&desk, &["tenant", "first-contact", "--user", KIM, "--port", "1", "--dry-run"]);
}

fn policies(stage: &mut Stage) {
    let tenant = tenant(|spec| spec.policies.security_defaults = true);
    let desk = Desk::at(&tenant);
    desk.write("people.csv", &format!("upn\n{KIM}\n"));
    // Locks Kim out, warns of security defaults, and can't be tried, because nobody is in the group.
    desk.write(
        "pilot.toml",
        &format!(
            "[break_glass]\ngroups = [\"Break glass\"]\n[fido2]\nexclude = [\"user:{KIM}\"]\n[[conditional_access]]\nname = \"Register\"\n\
             on = \"register-security-info\"\ndemand = \"mfa\"\ninclude = [\"Nobody's\"]\nstate = \"on\"\n"
        ),
    );
    stage.play(&desk, &["tenant", "check", "--roster", "@people.csv", "--apply"]);
    stage.play(&desk, &["tenant", "preset", "pilot", "--group", "Keys"]);
    stage.play(&desk, &["tenant", "export"]);
    stage.play(&desk, &["people", "group", "create", "Nobody's", "--dry-run"]);
    stage.play(&desk, &["people", "group", "create", "Nobody's"]);
    stage.play(&desk, &["tenant", "plan", "@pilot.toml"]);
    cut_off(&desk, &tenant);
    let apply = ["tenant", "apply", "@pilot.toml", "--yes", "--accept-locked-out", "1"];
    stage.play(&desk, &apply);
    desk.write(
        "pilot.toml",
        &format!("security_defaults = false\n{}", std::fs::read_to_string(desk.path("pilot.toml")).expect("it")),
    );
    let applied = stage.play(&desk, &["tenant", "apply", "@pilot.toml", "--yes"]);
    let id = applied.last().expect("a summary")["id"].as_str().expect("an id").to_owned();
    stage.play(&desk, &["tenant", "undo", &id, "--yes"]);
    stage.play(&desk, &["tenant", "confirm"]);
    stage.play(&desk, &["tenant", "confirm", "sspr-scope", "done"]);
    stage.play(&desk, &["tenant", "whatif", KIM, "--country", "NL"]);
}

/// A write that an earlier command began and did not live to settle.
fn cut_off(desk: &Desk, tenant: &RunningTenant) {
    let open = TenantEntry::ChangeIntended {
        change: ChangeId::new("CUTOFF.1"),
        tenant: TenantId::new(&tenant.tenant_id),
        area: "security-defaults".into(),
        call: "PATCH /v1.0/policies/identitySecurityDefaultsEnforcementPolicy".into(),
        before: None,
        sent: None,
        operator: "operator".into(),
        account: "account".into(),
    };
    desk.ledger().append(Append::entry(Entry::Tenant(open))).expect("kept");
}

fn accounts(stage: &mut Stage) {
    let tenant = tenant(|spec| {
        let on = json!({ "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }] });
        spec.policies.methods.insert("HardwareOath".into(), on.as_object().cloned().expect("an object"));
        spec.policies.methods.insert(
            "MicrosoftAuthenticator".into(),
            json!({ "state": "enabled" }).as_object().cloned().expect("an object"),
        );
    });
    let desk = Desk::at(&tenant);
    desk.write("people.csv", &format!("upn\n{LEE}\n"));
    desk.write("new.csv", "upn,display_name,group\nnew@contoso.example,New,Keys\n");
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    desk.write(
        "tokens.csv",
        &format!("upn,serial number,secret key,time interval,manufacturer,model\n{KIM},1001,{seed},30,C,M\n,1002,{seed},30,C,M\n"),
    );
    stage.play(&desk, &["people", "group", "create", "Keys"]);
    stage.play(&desk, &["people", "group", "add", "Keys", KIM]);
    stage.play(&desk, &["people", "create", "@new.csv", "--dry-run"]);
    stage.play(&desk, &["people", "create", "@new.csv"]);
    let issue = ["tap", "issue", KIM, "--by", "call", "--identified", "called back", "--to-stdout"];
    assert_eq!(desk.run(&issue).exit, crate::cli::Exit::Done);
    stage.play(&desk, &["tap", "list", KIM]);
    stage.play(&desk, &["tap", "sweep", KIM]);
    assert_eq!(desk.run(&issue).exit, crate::cli::Exit::Done);
    stage.play(&desk, &["tap", "revoke", KIM]);
    stage.play(&desk, &["tap", "advise", "--use", "browser"]);
    stage.play(&desk, &["methods", KIM]);
    stage.play(&desk, &["methods", "remove", KIM, "fido2", "--reason", "lost", "--dry-run"]);
    stage.play(&desk, &["methods", "remove", KIM, "fido2", "--reason", "lost", "--yes"]);
    stage.play(&desk, &["oath", "import", "@tokens.csv", "--dry-run"]);
    stage.play(&desk, &["oath", "import", "@tokens.csv"]);
    stage.play(&desk, &["oath", "assign", "1002", LEE]);
    stage.play(&desk, &["oath", "activate", "1001", KIM, "--identity", "@custodian-0.txt"]);
    stage.play(&desk, &["oath", "list"]);
    stage.play(&desk, &["oath", "remove", "1001", "--reason", "lost", "--dry-run"]);
    assert_eq!(
        desk.run(&["run", &desk.path("people.csv").display().to_string(), "--sim-keys", "1"]).exit,
        crate::cli::Exit::Done
    );
    tenant.person_signs_in(&json!({ "upn": LEE })).expect("signed in");
    stage.play(&desk, &["sign-ins", LEE]);
    stage.play(&desk, &["report", "adoption", "--group", "Keys"]);
    let poor = self::tenant(|spec| spec.premium = Premium::None);
    stage.play(&Desk::at(&poor), &["sign-ins", LEE]);
}
