//! What the table names is enough: each command does its work at a simulated tenant that grants exactly that, and the tenant enforces
//! what each call needs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{all, of};
use crate::cli::Exit;
use crate::cli::testing::Desk;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const KIM: &str = "kim@contoso.example";
const LEE: &str = "lee@contoso.example";
const GLASS: &str = "glass@contoso.example";

/// Not played here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("login", "asks a person and a keyring"),
    ("whoami", "tells what is missing instead of needing it"),
    ("tenant app", "prints, or runs Microsoft's tool"),
    ("tenant first-contact", "takes a key in a port"),
    ("activate", "the walk from bench to hand plays it"),
    ("pack", "reads scans: the walk from bench to hand plays it"),
    ("release", "needs a parcel that was received: the tests of mails to managers play it"),
    ("handover watch", "needs a parcel on its way: its own tests play it"),
    ("lost", "the walk from bench to hand plays it"),
    ("replace", "the walk from bench to hand plays it"),
    ("return", "the walk from bench to hand plays it"),
    ("leaver", "the walk from bench to hand plays it"),
];

struct Stage {
    tenant: RunningTenant,
    desk: Desk,
    seen: BTreeSet<&'static str>,
}

impl Stage {
    fn set() -> Self {
        let on = json!({ "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }] });
        let mut spec = TenantSpec {
            people: vec![PersonSpec::new(KIM), PersonSpec::new(LEE)],
            ..TenantSpec::from_people_argument("1").expect("people")
        };
        spec.people[1].registered = vec!["mobilePhone".into()];
        spec.people.push(PersonSpec {
            roles: vec!["Global Administrator".into()],
            groups: vec!["Break glass".into()],
            passkeys: 1,
            ..PersonSpec::new(GLASS)
        });
        spec.policies.access_per_second = 0;
        spec.policies.security_defaults = true;
        spec.policies.methods.insert("HardwareOath".into(), on.as_object().cloned().expect("an object"));
        let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
        let desk = Desk::at(&tenant);
        desk.write("people.csv", &format!("upn\n{KIM}\n"));
        desk.write(
            "new.csv",
            "upn,display_name,usage_location,licence,group\nnew@contoso.example,New,IE,SPE_E5,Keys\n",
        );
        desk.write(
            "tokens.csv",
            &format!(
                "upn,serial number,secret key,time interval,manufacturer,model\n\
                 {KIM},1001,JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP,30,Contoso,C200\n,1002,JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXQ,30,Contoso,C200\n"
            ),
        );
        desk.write(
            "pilot.toml",
            "security_defaults = false\n[break_glass]\ngroups = [\"Break glass\"]\n[fido2]\nstate = \"on\"\ninclude = [\"Keys\", \"Break glass\"]\n\
             [temporary_access_pass]\nstate = \"on\"\ninclude = [\"all\"]\nminutes = 90\n[per_person]\npeople = [\"Keys\"]\nmfa = \"enforced\"\n\
             [[strength]]\nname = \"Key or pass\"\nallow = [\"fido2\", \"temporaryAccessPassOneTime\"]\n\
             [[conditional_access]]\nname = \"Register\"\non = \"register-security-info\"\nstrength = \"Key or pass\"\n\
             include = [\"Keys\"]\nstate = \"on\"\n",
        );
        Self { tenant, desk, seen: BTreeSet::new() }
    }

    /// Runs it with what its row names. A file in the bench's folder is written `@name`.
    fn play(&mut self, command: &'static str, more: &[&str], exits: &[Exit]) -> String {
        let rights = of(command).unwrap_or_else(|| panic!("{command} has no row"));
        self.tenant.consent_to(rights.scopes);
        let path = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.desk.path(name).display().to_string(),
            None => word.to_owned(),
        };
        let line: Vec<String> =
            command.split(' ').map(str::to_owned).chain(more.iter().map(|word| path(word))).collect();
        let ran = self.desk.run(&line.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(exits.contains(&ran.exit), "{line:?} with {:?}: {:?}\n{}{}", rights.scopes, ran.exit, ran.out, ran.err);
        let refused = ["could not be read", "missing-right", "may not ask"].iter().find(|word| ran.err.contains(*word));
        assert_eq!(refused, None, "{line:?}: {}", ran.err);
        let said = format!("{}{}", ran.out, ran.err).to_lowercase();
        assert!(
            !rights.note.contains("Beta") || said.contains("beta"),
            "{command} does not say that it goes by beta: {said}"
        );
        self.seen.insert(command);
        ran.out
    }

    fn done(&mut self, command: &'static str, more: &[&str]) -> String {
        self.play(command, more, &[Exit::Done])
    }
}

#[test]
fn each_command_works_with_exactly_what_its_row_names() {
    let mut stage = Stage::set();
    stage.done("people group create", &["Keys"]);
    stage.done("people group add", &["Keys", KIM, LEE]);
    stage.done("people group remove", &["Keys", LEE]);
    stage.done("people create", &["@new.csv"]);
    stage.done("tenant export", &["--out", "@before.toml"]);
    stage.done("tenant plan", &["@pilot.toml"]);
    let applied = stage.done("tenant apply", &["@pilot.toml", "--yes", "--accept-uncounted", "1", "--json"]);
    let summary: Value = applied.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("a summary");
    assert!(summary["changes"].as_u64().is_some_and(|count| count >= 5) && summary["held"] == json!([]), "{applied}");
    let checked = stage.play(
        "tenant check",
        &["--roster", "@people.csv", "--mode", "self-service", "--json"],
        &[Exit::Done, Exit::CheckWarns, Exit::CheckFails, Exit::CheckUnknown],
    );
    // The bench's own right to register is another command's.
    let unread: Vec<&str> =
        checked.lines().filter(|line| line.contains("missing-right") && !line.contains("\"PF01\"")).collect();
    assert_eq!(unread, Vec::<&str>::new());
    stage.done("tenant whatif", &[KIM, "--country", "NL"]);
    stage.done("tenant undo", &[summary["id"].as_str().expect("an id"), "--yes"]);
    stage.done("doctor", &[]);
    stage.done("run", &["@people.csv", "--sim-keys", "1"]);
    let issue = ["--by", "call", "--identified", "called back", "--to-stdout"];
    stage.done("tap issue", &[&[KIM][..], &issue].concat());
    stage.done("tap list", &["--group", "Keys"]);
    stage.done("tap sweep", &["--group", "Keys"]);
    stage.done("tap issue", &[&[LEE][..], &issue].concat());
    stage.done("tap revoke", &[LEE]);
    stage.done("methods", &[LEE]);
    stage.done("methods remove", &[LEE, "phone", "--reason", "sold", "--yes"]);
    stage.done("oath import", &["@tokens.csv"]);
    stage.done("oath assign", &["1002", LEE]);
    stage.done("oath activate", &["1001", KIM, "--identity", "@custodian-0.txt"]);
    stage.done("oath list", &[]);
    stage.done("oath remove", &["1001", "--reason", "lost"]);
    stage.tenant.person_signs_in(&json!({ "upn": KIM })).expect("signed in");
    stage.done("sign-ins", &[KIM]);
    stage.done("report adoption", &["--group", "Keys"]);
    stage.play("audit verify", &["--against-entra"], &[Exit::Done, Exit::SomeFailed]);
    stage.done("reconcile", &[]);
    stage.desk.more_settings(&format!("[handover]\nmail_from = \"{GLASS}\"\n"));
    stage.done("notify", &["--phone", "+49 30 1234567"]);

    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(command, _)| *command).collect();
    let unplayed: Vec<&str> = all()
        .map(|rights| rights.command)
        .filter(|one| !stage.seen.contains(one) && !elsewhere.contains(one))
        .collect();
    assert_eq!(unplayed, Vec::<&str>::new(), "play these, or say where they are");
}
