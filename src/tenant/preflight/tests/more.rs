//! Wrongs by check: PF21 to PF36; and everything forgotten.

use Verdict::{Fail, Info, Unknown, Warn};

use super::*;

const JOIN: &str = "urn:user:registerdevice";

fn joining(facts: &mut Facts, grant: Value) {
    let policy = policy("Join", Some(JOIN), grant);
    facts.access = Ok(vec![all_apps(), register(), policy.clone()]);
    facts.what_if[2].answer = Ok(vec![policy]);
}

fn federated(facts: &mut Facts, federation: Asked<Vec<Value>>) {
    let domain = DomainFacts { domain: json!({ "authenticationType": "Federated" }), federation };
    facts.domains.insert("contoso.example".into(), Ok(domain));
}

fn token(facts: &mut Facts, problem: Option<&str>) {
    facts.plan.tokens = vec![TokenLine { line: 7, serial: "1100000007".into(), problem: problem.map(str::to_owned) }];
}

pub(super) const CASES: &[Case] = &[
    case(21, Warn, "Require MFA to join devices", |facts| {
        joining(facts, json!({ "operator": "OR", "builtInControls": ["mfa"] }));
        facts.devices = Ok(json!({ "multiFactorAuthConfiguration": "required" }));
    }),
    case(21, Warn, "takes no", |facts| {
        joining(facts, json!({ "operator": "OR", "authenticationStrength": strength(&["fido2"], json!([])) }));
    }),
    case(21, Unknown, "account may not ask this", |facts| {
        joining(facts, json!({ "operator": "OR", "builtInControls": ["mfa"] }));
        facts.devices = Err(gap(calls::DEVICES));
    }),
    case(22, Fail, "No break-glass account or group is named", |facts| facts.plan.break_glass.clear()),
    case(22, Fail, "No break-glass exclusion in \u{201c}All apps\u{201d}", |facts| {
        facts.access.as_mut().expect("policies")[0]["conditions"]["users"]["excludeGroups"] = json!([]);
    }),
    case(22, Fail, "1 permanent Global Administrators", |facts| {
        facts.administrators.as_mut().expect("administrators")[0].user["onPremisesSyncEnabled"] = json!(true);
    }),
    case(22, Fail, "1 permanent Global Administrators", |facts| {
        facts.administrators.as_mut().expect("administrators")[1].methods =
            Ok(vec![method("password"), method("phone")]);
    }),
    case(22, Unknown, "account may not ask this", |facts| {
        facts.administrators.as_mut().expect("administrators")[0].methods = Err(gap(calls::METHODS));
    }),
    case(22, Unknown, "account may not ask this", |facts| facts.administrators = Err(gap(calls::ADMINISTRATORS))),
    case(23, Fail, "Security defaults are on", |facts| facts.defaults = Ok(json!({ "isEnabled": true }))),
    case(23, Fail, "Security defaults are on", |facts| facts.defaults = Ok(json!({}))),
    case(23, Unknown, "account may not ask this", |facts| facts.defaults = Err(gap(calls::DEFAULTS))),
    case(24, Fail, "neither Entra ID P1 nor P2", |facts| facts.licences = Ok(Vec::new())),
    case(24, Fail, "neither Entra ID P1 nor P2", |facts| {
        facts.licences.as_mut().expect("licences")[0]["capabilityStatus"] = json!("Suspended");
    }),
    case(24, Fail, "no Intune", |facts| {
        facts.plan.compliant_devices = true;
        facts.licences.as_mut().expect("licences")[0]["servicePlans"][1]["provisioningStatus"] = json!("Disabled");
    }),
    case(24, Unknown, "account may not ask this", |facts| facts.licences = Err(gap(calls::LICENCES))),
    case(25, Warn, "not marked as complete", |facts| {
        facts.policy.as_mut().expect("a policy")["policyMigrationState"] = json!("migrationInProgress");
    }),
    case(25, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(26, Warn, "can't register security keys", |facts| {
        facts.statements.extend([said(Topic::MfaRegistrationPolicy, Answer::NotDone)]);
    }),
    case(26, Unknown, "Nobody has said yet", |facts| facts.statements.clear()),
    case(27, Warn, "applies to kim@contoso.example", |facts| {
        facts.people[0].registration = Ok(Some(json!({ "isAdmin": false, "isSsprEnabled": true })));
    }),
    case(27, Warn, "on for administrators", |facts| {
        facts.people[0].registration = Ok(Some(json!({ "isAdmin": true, "isSsprEnabled": false })));
        facts.authorization = Ok(json!({ "allowedToUseSSPR": true }));
    }),
    case(27, Unknown, "report has no row for sam@contoso.example", |facts| facts.people[1].registration = Ok(None)),
    case(27, Unknown, "account may not ask this", |facts| facts.people[1].registration = Err(gap(calls::REGISTRATION))),
    case(28, Warn, "is enforced for kim@contoso.example", |facts| {
        facts.people[0].requirements = Ok(json!({ "perUserMfaState": "enforced" }));
    }),
    case(28, Unknown, "account may not ask this", |facts| facts.people[0].requirements = Err(gap(calls::REQUIREMENTS))),
    case(29, Warn, "contoso.example is federated", |facts| {
        federated(facts, Ok(vec![json!({ "federatedIdpMfaBehavior": "enforceMfaByFederatedIdp" })]));
    }),
    case(29, Unknown, "account may not ask this", |facts| federated(facts, Err(gap(calls::FEDERATION)))),
    case(29, Unknown, "account may not ask this", |facts| {
        facts.domains.insert("contoso.example".into(), Err(gap(calls::DOMAIN)));
    }),
    case(30, Info, "Microsoft runs the registration campaign", |facts| {
        let policy = facts.policy.as_mut().expect("a policy");
        policy["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"]["state"] = json!("default");
    }),
    case(30, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(31, Info, "SMS is on", |facts| settings(facts, "Sms")["state"] = json!("enabled")),
    case(31, Info, "SMS and voice calls are on", |facts| {
        settings(facts, "Sms")["state"] = json!("enabled");
        settings(facts, "Voice")["state"] = json!("enabled");
    }),
    case(31, Unknown, "account may not ask this", |facts| facts.policy = Err(gap(calls::POLICY))),
    case(32, Warn, "kim@contoso.example and sam@contoso.example will have one", |facts| {
        facts.people.iter_mut().for_each(|person| person.methods = Ok(vec![method("password"), method("phone")]));
    }),
    case(32, Unknown, "account may not ask this", |facts| facts.people[0].methods = Err(gap(calls::METHODS))),
    case(33, Warn, "sam@contoso.example have a passkey", |facts| {
        let mut passkey = method("fido2");
        passkey["aaGuid"] = json!(YUBIKEY.to_uppercase());
        facts.people[1].methods = Ok(vec![passkey]);
    }),
    case(33, Warn, "kim@contoso.example have a passkey", |facts| {
        facts.people[0].methods = Err(gap(calls::METHODS));
        facts.people[0].passkeys = Ok(vec![json!({ "id": "m", "aaGuid": YUBIKEY })]);
    }),
    case(33, Unknown, "account may not ask this", |facts| {
        facts.people[0].methods = Err(gap(calls::METHODS));
        facts.people[0].passkeys = Err(gap(calls::PASSKEYS));
    }),
    case(34, Fail, "Hardware OATH (beta) is off", |facts| {
        facts.oath_policy.as_mut().expect("a policy")["state"] = json!("disabled")
    }),
    case(34, Fail, "are outside the scope", |facts| {
        facts.oath_policy.as_mut().expect("a policy")["includeTargets"] = json!([])
    }),
    case(34, Fail, "Line 7: the secret is not Base32.", |facts| token(facts, Some("the secret is not Base32."))),
    case(34, Fail, "1100000007 is in the tenant already", |facts| {
        token(facts, None);
        facts.oath_serials = Ok(["1100000007".to_owned()].into());
    }),
    case(34, Unknown, "account may not ask this", |facts| facts.oath_policy = Err(gap(calls::OATH_POLICY))),
    case(34, Unknown, "account may not ask this", |facts| facts.oath_serials = Err(gap(calls::OATH_DEVICES))),
    case(35, Fail, "global cloud only", |facts| {
        facts.plan.mode = Mode::Provision;
        facts.graph_host = "graph.microsoft.us".into();
    }),
    case(36, Warn, "45 s ahead of", |facts| facts.skew = Ok(SignedDuration::from_secs(45))),
    case(36, Warn, "31 s behind", |facts| facts.skew = Ok(SignedDuration::from_secs(-31))),
    case(36, Unknown, "account may not ask this", |facts| facts.skew = Err(gap(calls::CLOCK))),
];

/// Nothing is known any more, and nothing was said.
pub(super) fn forget(facts: &mut Facts) {
    let unknown = || gap(calls::POLICY);
    facts.account = Account::default();
    facts.plan.tokens.clear();
    facts.caller_roles = Err(unknown());
    facts.skew = Err(unknown());
    facts.policy = Err(unknown());
    facts.oath_policy = Err(unknown());
    facts.oath_serials = Err(unknown());
    facts.access = Err(unknown());
    facts.devices = Err(unknown());
    facts.defaults = Err(unknown());
    facts.authorization = Err(unknown());
    facts.licences = Err(unknown());
    facts.domains.values_mut().for_each(|domain| *domain = Err(unknown()));
    facts.what_if.iter_mut().for_each(|one| one.answer = Err(unknown()));
    facts.administrators = Err(unknown());
    facts.statements.clear();
    for person in &mut facts.people {
        person.user = Err(unknown());
        person.groups = Err(unknown());
        person.roles = Err(unknown());
        person.role_groups = Err(unknown());
        person.methods = Err(unknown());
        person.passkeys = Err(unknown());
        person.requirements = Err(unknown());
        person.registration = Err(unknown());
    }
}
