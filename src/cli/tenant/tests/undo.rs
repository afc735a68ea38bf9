//! Ways back: what they do to people, and that they can be gone back themselves.

use super::*;

/// What the simulated tenant's people have.
const YUBI: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

fn applied(desk: &Desk, more: &[&str]) -> String {
    let ran = run(desk, &[&["tenant", "apply", "FILE", "--yes", "--json"][..], more].concat());
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    events(&ran, "applied")[0]["id"].as_str().expect("an id").to_owned()
}

fn undone(desk: &Desk, id: &str, more: &[&str]) -> String {
    let ran = run(desk, &[&["tenant", "undo", id, "--yes", "--json"][..], more].concat());
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);
    events(&ran, "undone")[0]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn an_undoing_that_locks_people_out_is_not_covered_by_yes() {
    // Everybody's key is of a model that the profile lists only since the change that is undone.
    let tenant = with_keys();
    let desk = desk(&tenant);
    let profile = |models: &str| {
        format!(
            "[break_glass]\ngroups = [\"Break glass\"]\n[fido2]\n[[fido2.profile]]\nname = \"Default passkey profile\"\nkeys = \"only\"\naaguids = [{models}]\n"
        )
    };
    desk.write("pilot.toml", &profile("\"11111111-1111-4111-8111-111111111111\""));
    applied(&desk, &["--people", "Keys", "--accept-locked-out", "4", "--accept-uncounted", "1"]);
    desk.write("pilot.toml", &profile(&format!("\"11111111-1111-4111-8111-111111111111\", \"{YUBI}\"")));
    // The file names the break-glass group alone, and the way back names nobody: the pilot is looked at by name.
    let id = applied(&desk, &[]);
    let look = ["--people", "Keys", "--people", "Break glass"];
    let dry = run(&desk, &[&["tenant", "undo", &id, "--dry-run", "--json"][..], &look].concat());
    let last = events(&dry, "undone").pop().expect("an end");
    assert_eq!(last, json!({"event": "undone", "id": null, "dry_run": true, "changes": 1}), "{}", dry.out);
    assert_eq!(events(&dry, "plan")[0]["locked_out"], 4, "{}", dry.out);
    let ran = run(&desk, &[&["tenant", "undo", &id, "--yes"][..], &look].concat());
    assert_eq!(ran.exit, Exit::SomeFailed, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("4 people would be locked out, and whom else can't be counted in 1 place"), "{}", ran.err);
    assert!(ran.err.contains("--accept-locked-out 4 --accept-uncounted 1"), "{}", ran.err);
    // Without them it is still said that everybody is concerned.
    let ran = run(&desk, &["tenant", "undo", &id, "--yes"]);
    assert!(ran.err.contains("can't be counted in 1 place; nothing was changed"), "{}", ran.err);
    undone(&desk, &id, &[&look[..], &["--accept-locked-out", "4", "--accept-uncounted", "1"]].concat());
}

#[test]
fn undoing_an_undoing_makes_policies_and_strengths_anew() {
    let tenant = with_keys();
    let desk = desk(&tenant);
    desk.write(
        "pilot.toml",
        &format!(
            "[break_glass]\ngroups = [\"Break glass\"]\n[[location]]\nname = \"Home\"\ncountries = [\"NL\"]\n[[strength]]\nname = \"Key or pass\"\n\
             allow = [\"fido2\", \"temporaryAccessPassOneTime\"]\naaguids = [\"{YUBI}\"]\n\
             [[conditional_access]]\nname = \"Strong\"\non = \"sign-in\"\napps = [\"all\"]\nstrength = \"Key or pass\"\ninclude = [\"Keys\"]\n\
             outside = [\"Home\"]\nstate = \"report-only\"\n"
        ),
    );
    let id = applied(&desk, &[]);
    let back = undone(&desk, &id, &[]);
    assert_eq!(events(&run(&desk, &["tenant", "plan", "FILE", "--json"]), "change").len(), 3);
    undone(&desk, &back, &[]);
    let plan = run(&desk, &["tenant", "plan", "FILE"]);
    assert!(plan.out.contains("Nothing to change"), "{}{}", plan.out, plan.err);
}

#[test]
fn a_strength_that_enabled_policies_demand_is_looked_at_by_itself() {
    let tenant = with_keys();
    let desk = desk(&tenant);
    let strength = |allow: &str| format!("[[strength]]\nname = \"Own\"\nallow = [{allow}]\n");
    let policy = "[break_glass]\ngroups = [\"Break glass\"]\n[[conditional_access]]\nname = \"Strong\"\non = \"sign-in\"\napps = [\"all\"]\n\
                  strength = \"Own\"\ninclude = [\"Keys\"]\nstate = \"on\"\n";
    desk.write("pilot.toml", &format!("{policy}{}", strength("\"fido2\", \"password,sms\"")));
    applied(&desk, &[]);
    desk.write("pilot.toml", &strength("\"password,sms\""));
    let look = |more: &[&str]| run(&desk, &[&["tenant", "apply", "FILE", "--yes"][..], more].concat());
    // No group is named, so nobody can be counted, and that is no reason to go on.
    let ran = look(&[]);
    assert!(ran.err.contains("can't be counted in 1 place"), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Strong would be for Keys"), "{}", ran.out);
    let ran = look(&["--people", "Keys"]);
    assert!(ran.err.contains("3 people would be locked out; nothing was changed."), "{}{}", ran.out, ran.err);
}
