//! Wrongs by check: PF01 to PF20.

use Verdict::{Fail, Info, Unknown, Warn};

use super::*;

fn permissions(facts: &mut Facts, keep: fn(&str) -> bool) {
    facts.account.permissions.retain(|held| keep(held));
}

/// Another strength in the evaluations of signing in.
fn sign_in_with(facts: &mut Facts, combinations: &[&str], configurations: Value) {
    let mut all = all_apps();
    all["grantControls"]["authenticationStrength"] = strength(combinations, configurations);
    facts.what_if[1].answer = Ok(vec![all]);
}

fn registering(facts: &mut Facts, grant: Value) {
    let mut policy = register();
    policy["grantControls"] = grant;
    facts.what_if[0].answer = Ok(vec![policy]);
}

fn attested(facts: &mut Facts, how: Attested) {
    profile(facts)["attestationEnforcement"] = json!("registrationOnly");
    facts.plan.models[0].attestation = how;
}

const ONLY_THE_OTHER: &str = "11111111-2222-3333-4444-555555555555";

pub(super) const CASES: &[Case] = &[
    case(1, Fail, "UserAuthMethod-TAP.ReadWrite.All", |facts| permissions(facts, |held| !held.contains("TAP"))),
    case(1, Fail, "UserAuthMethod-Passkey.ReadWrite.All", |facts| {
        facts.plan.mode = Mode::Provision;
        permissions(facts, |held| !held.contains("Passkey"));
    }),
    case(1, Fail, "UserAuthMethod-HardwareOATH.ReadWrite.All", |facts| {
        facts.plan.mode = Mode::Oath;
        permissions(facts, |held| !held.contains("OATH"));
    }),
    case(1, Warn, "RoleManagement.Read.Directory", |facts| permissions(facts, |held| !held.starts_with("Role"))),
    case(1, Unknown, "token does not tell", |facts| facts.account.permissions.clear()),
    case(2, Fail, "admin@contoso.example holds no role", |facts| {
        facts.caller_roles = Ok(vec![role("f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader")]);
    }),
    case(2, Warn, "Bench Operator (custom)", |facts| {
        facts.caller_roles = Ok(Vec::new());
        facts.caller_assigned = vec!["Bench Operator (custom)".into()];
    }),
    case(2, Fail, "sam@contoso.example need", |facts| {
        facts.people[1].roles = Ok(vec![role("x", "User Administrator")])
    }),
    case(2, Fail, "kim@contoso.example need", |facts| facts.people[0].role_groups = Ok(vec!["Tier 0".into()])),
    case(2, Unknown, "account may not ask this", |facts| facts.caller_roles = Err(gap(calls::MY_ROLES))),
    case(2, Unknown, "account may not ask this", |facts| facts.people[0].roles = Err(gap(calls::ROLES))),
    case(3, Fail, "kim@contoso.example is the account", |facts| {
        facts.account.object_id = Some(UserId::new("id-of-kim"))
    }),
    case(3, Unknown, "does not tell whose", |facts| facts.account.object_id = None),
    case(4, Fail, "sam@contoso.example is a guest", |facts| {
        facts.people[1].user = Ok(Some(json!({ "id": "2", "userType": "Guest", "accountEnabled": true })));
    }),
    case(4, Fail, "nobody called kim@contoso.example", |facts| facts.people[0].user = Ok(None)),
    case(4, Warn, "kim@contoso.example is disabled", |facts| {
        facts.people[0].user = Ok(Some(json!({ "id": "1", "userType": "Member", "accountEnabled": false })));
    }),
    case(4, Unknown, "is not told", |facts| facts.people[0].user = Ok(Some(json!({ "id": "1" })))),
    case(4, Unknown, "account may not ask this", |facts| facts.people[0].user = Err(gap(calls::USER))),
    case(5, Warn, "will change", |facts| facts.statements.extend([said(Topic::NamesStay, Answer::NotDone)])),
    case(5, Unknown, "Nobody has said yet", |facts| facts.statements.clear()),
    case(6, Fail, "is off", |facts| settings(facts, "Fido2")["state"] = json!("disabled")),
    case(6, Fail, "is off", |facts| settings(facts, "Fido2")["state"] = json!("somethingNew")),
    case(6, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(6, Unknown, "does not mention Fido2", |facts| settings(facts, "Fido2")["id"] = json!("Fido3")),
    case(7, Fail, "kim@contoso.example is in no group", |facts| facts.people[0].groups = Ok(BTreeSet::new())),
    case(7, Fail, "are excluded", |facts| {
        settings(facts, "Fido2")["excludeTargets"] = json!([{ "id": PILOT, "targetType": "group" }])
    }),
    case(7, Unknown, "account may not ask this", |facts| facts.people[1].groups = Err(gap(calls::GROUPS))),
    case(7, Unknown, "no roster", |facts| facts.people.clear()),
    case(8, Fail, "Allow self-service set up", |facts| {
        settings(facts, "Fido2")["isSelfServiceRegistrationAllowed"] = json!(false)
    }),
    case(8, Fail, "Allow self-service set up", |facts| {
        settings(facts, "Fido2")["isSelfServiceRegistrationAllowed"] = Value::Null
    }),
    case(8, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(9, Fail, "does not list this model", |facts| {
        profile(facts)["keyRestrictions"]["aaGuids"] = json!([ONLY_THE_OTHER])
    }),
    case(9, Fail, "blocks this model", |facts| profile(facts)["keyRestrictions"]["enforcementType"] = json!("block")),
    case(9, Fail, "synced passkeys only", |facts| profile(facts)["passkeyTypes"] = json!("synced")),
    case(9, Fail, "is accepted by no profile", |facts| {
        facts.people.clear();
        for at in 0..2 {
            let profile = &mut settings(facts, "Fido2")["passkeyProfiles"][at];
            profile["keyRestrictions"] =
                json!({ "isEnforced": true, "enforcementType": "allow", "aaGuids": [ONLY_THE_OTHER] });
        }
    }),
    case(9, Unknown, "No model of key is named", |facts| facts.plan.models.clear()),
    case(10, Fail, "does not meet it: it was revoked", |facts| attested(facts, Attested::No("it was revoked".into()))),
    case(10, Warn, "is not known: no metadata", |facts| {
        attested(facts, Attested::Unknown("no metadata was read".into()))
    }),
    case(10, Unknown, "No model of key is named", |facts| {
        attested(facts, Attested::Yes);
        facts.plan.models.clear();
    }),
    case(11, Info, "October 2027", |facts| settings(facts, "Fido2")["passkeyProfiles"] = json!([])),
    case(11, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(12, Warn, "cloud-synced", |facts| profile(facts)["passkeyTypes"] = json!("deviceBound, synced")),
    case(12, Warn, "People in its scope", |facts| {
        facts.people.clear();
        profile(facts)["passkeyTypes"] = json!("deviceBound,synced");
    }),
    case(12, Warn, "of the policy itself", |facts| settings(facts, "Fido2")["passkeyProfiles"] = json!([])),
    case(12, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(13, Fail, "bytes", |facts| settings(facts, "Fido2")["padding"] = json!("x".repeat(20 * 1024))),
    case(13, Warn, "bytes", |facts| settings(facts, "Fido2")["padding"] = json!("x".repeat(17 * 1024))),
    case(13, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(14, Fail, "Temporary Access Pass is off", |facts| {
        settings(facts, "TemporaryAccessPass")["state"] = json!("disabled")
    }),
    case(14, Fail, "kim@contoso.example is outside", |facts| facts.people[0].groups = Ok(BTreeSet::new())),
    case(14, Unknown, "account may not ask this", |facts| facts.people[0].groups = Err(gap(calls::GROUPS))),
    case(15, Warn, "contradict", |facts| settings(facts, "TemporaryAccessPass")["defaultLifetimeInMinutes"] = json!(5)),
    case(15, Warn, "may live for 1440 minutes", |facts| {
        settings(facts, "TemporaryAccessPass")["maximumLifetimeInMinutes"] = json!(1440)
    }),
    case(15, Warn, "a Mac with Company Portal", |facts| {
        settings(facts, "TemporaryAccessPass")["isUsableOnce"] = json!(true);
        facts.plan.first_devices = [FirstUse::Mac].into();
    }),
    case(15, Warn, "out-of-box", |facts| {
        facts.plan.one_time_pass = Some(true);
        facts.plan.first_devices = [FirstUse::WindowsSetup, FirstUse::Phone].into();
    }),
    case(15, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(16, Warn, "is open for sam@contoso.example", |facts| {
        facts.people[1].methods = Ok(vec![
            json!({ "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod", "isUsable": true }),
        ]);
    }),
    case(16, Unknown, "account may not ask this", |facts| facts.people[0].methods = Err(gap(calls::METHODS))),
    case(17, Fail, "When registering security information, \u{201c}Register\u{201d} blocks.", |facts| {
        registering(facts, json!({ "operator": "OR", "builtInControls": ["block"] }))
    }),
    case(17, Fail, "takes no", |facts| {
        registering(
            facts,
            json!({ "operator": "OR", "authenticationStrength": strength(&["fido2", "password,temporaryAccessPassOneTime"], json!([])) }),
        );
    }),
    case(17, Fail, "takes no one-time pass", |facts| {
        settings(facts, "TemporaryAccessPass")["isUsableOnce"] = json!(true);
        registering(
            facts,
            json!({ "operator": "OR", "authenticationStrength": strength(&["temporaryAccessPassMultiUse"], json!([])) }),
        );
    }),
    case(17, Fail, "compliant device", |facts| {
        registering(facts, json!({ "operator": "AND", "builtInControls": ["mfa", "compliantDevice"] }))
    }),
    case(17, Warn, "report-only", |facts| {
        registering(facts, json!({ "operator": "OR", "builtInControls": ["block"] }));
        facts.what_if[0].answer.as_mut().expect("an answer")[0]["state"] = json!("enabledForReportingButNotEnforced");
    }),
    case(17, Unknown, "account may not ask this", |facts| facts.what_if[0].answer = Err(gap(calls::WHAT_IF))),
    case(17, Unknown, "can be met", |facts| {
        registering(facts, json!({ "operator": "OR", "builtInControls": [], "authenticationStrength": { "id": "x" } }));
    }),
    case(18, Warn, "no enabled policy covers it", |facts| facts.access = Ok(vec![all_apps()])),
    case(18, Warn, "sam@contoso.example", |facts| {
        facts.people[1].groups = Ok([PILOT.to_owned(), GLASS.to_owned()].into())
    }),
    case(18, Unknown, "account may not ask this", |facts| facts.access = Err(gap(calls::ACCESS))),
    case(19, Fail, "takes no passkey", |facts| sign_in_with(facts, &["windowsHelloForBusiness"], json!([]))),
    case(19, Fail, "does not list the model 2fc0579f", |facts| {
        sign_in_with(
            facts,
            &["fido2"],
            json!([{ "appliesToCombinations": ["fido2"], "allowedAAGUIDs": [ONLY_THE_OTHER] }]),
        );
    }),
    case(19, Fail, "When signing in to SharePoint Online, \u{201c}No\u{201d} blocks.", |facts| {
        facts.what_if[1].answer =
            Ok(vec![policy("No", None, json!({ "operator": "OR", "builtInControls": ["block"] }))]);
    }),
    case(19, Warn, "report-only", |facts| {
        sign_in_with(facts, &["windowsHelloForBusiness"], json!([]));
        facts.what_if[1].answer.as_mut().expect("an answer")[0]["state"] = json!("enabledForReportingButNotEnforced");
    }),
    case(19, Unknown, "account may not ask this", |facts| {
        facts.what_if.clear();
        facts.what_if_left_out = Some((vec![upn("kim")], gap(calls::ACCESS)));
    }),
    case(19, Unknown, "can be met", |facts| {
        facts.plan.models.clear();
        sign_in_with(facts, &["fido2"], json!([{ "appliesToCombinations": ["fido2"], "allowedAAGUIDs": [YUBIKEY] }]));
    }),
    case(20, Info, "would not take a pass", |facts| sign_in_with(facts, &["fido2"], json!([]))),
    case(20, Unknown, "account may not ask this", |facts| facts.what_if[1].answer = Err(gap(calls::WHAT_IF))),
];
