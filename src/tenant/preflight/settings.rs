//! Tenant-wide settings beside the passkey policy: PF25, PF26, PF30, PF31, PF34.

use serde_json::Value;

use super::Judged;
use super::facts::{Facts, calls};
use super::passes::on_and_in_scope;
use super::people::{said, word};
use super::verdict::{Evidence, Found, Remedy};
use crate::tenant::statements::Topic;

pub(super) fn migration(facts: &Facts) -> Judged {
    let state = &facts.policy.as_ref()?["policyMigrationState"];
    let evidence = Evidence::of(calls::POLICY, "policyMigrationState", state.as_str().unwrap_or("null"));
    // Tenants that never had the legacy pages have null.
    let done = state.is_null() || state.as_str().is_some_and(|state| state.eq_ignore_ascii_case("migrationComplete"));
    Ok(vec![if done {
        Found::pass("Methods are managed by this policy alone.", evidence)
    } else {
        Found::warn(
            "The move from the legacy MFA and password reset pages is not marked as complete; those ended on 30 September 2025.",
            evidence,
            Remedy::text("Compare both pages with this policy, then set Manage migration to Complete.")
                .by("PATCH /v1.0/policies/authenticationMethodsPolicy"),
        )
    }])
}

pub(super) fn registration_policies(facts: &Facts) -> Judged {
    let said = said(facts, Topic::MfaRegistrationPolicy)?;
    let evidence = word(said);
    Ok(vec![if said.answer.is_settled() {
        Found::pass("The MFA registration policy leaves these people out.", evidence)
    } else {
        Found::warn(
            "After signing in with a pass, people are sent to a page that can't register security keys.",
            evidence,
            Remedy::text(
                "Exclude the onboarding group from the policy (Entra admin centre > ID Protection > Dashboard) and from Password reset > \
                 Registration; then `keybench tenant confirm mfa-registration-policy done`.",
            ),
        )
    }])
}

pub(super) fn campaign(facts: &Facts) -> Judged {
    let campaign = &facts.policy.as_ref()?["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"];
    let state = campaign["state"].as_str().unwrap_or("none");
    let field = "registrationEnforcement.authenticationMethodsRegistrationCampaign.state";
    let evidence = Evidence::of(calls::POLICY, field, state);
    Ok(vec![match state.to_ascii_lowercase().as_str() {
        "disabled" => Found::pass("No registration campaign.", evidence),
        "enabled" => {
            let targets = campaign["includeTargets"].as_array().into_iter().flatten();
            let methods: Vec<&str> =
                targets.filter_map(|target| target["targetedAuthenticationMethod"].as_str()).collect();
            Found::pass(format!("A campaign for {}, by your own settings.", methods.join(", ")), evidence)
        }
        _ => Found::info(
            "Microsoft runs the registration campaign: it asks people with SMS or voice to add a passkey of any kind. Whoever has a key is not asked.",
            evidence,
            Remedy::text("Nothing to do for people with keys; set the state yourself if others should not be asked.")
                .by("PATCH /v1.0/policies/authenticationMethodsPolicy"),
        ),
    }])
}

pub(super) fn telephony(facts: &Facts) -> Judged {
    let state = |id: &str| facts.method(id).map(|method| method["state"].as_str().unwrap_or("").to_owned());
    let (sms, voice) = (state("Sms")?, state("Voice")?);
    let on: Vec<&str> = [("SMS", &sms), ("voice calls", &voice)]
        .into_iter()
        .filter(|(_, state)| state.eq_ignore_ascii_case("enabled"))
        .map(|(name, _)| name)
        .collect();
    let evidence = Evidence::of(calls::POLICY, "Sms.state, Voice.state", format!("{sms}, {voice}"));
    Ok(vec![if on.is_empty() {
        Found::pass("SMS and voice calls are off.", evidence)
    } else {
        let verb = if on.len() == 1 && on.first() == Some(&"SMS") { "is" } else { "are" };
        Found::info(
            format!(
                "{} {verb} on. Microsoft stops delivering them on 1 February 2027 (Global Administrators and guests: 1 July 2027).",
                on.join(" and ")
            ),
            evidence,
            Remedy::text("Turn them off for the people of this batch; the flag that opts out of the change is beta.")
                .by("PATCH /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/sms"),
        )
    }])
}

const OATH_PATCH: &str =
    "PATCH /beta/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/hardwareOath";

pub(super) fn oath(facts: &Facts) -> Judged {
    let policy: &Value = facts.oath_policy.as_ref()?;
    let outside = "their token can't be used.";
    let mut found = on_and_in_scope(
        facts,
        policy,
        calls::OATH_POLICY,
        ("Hardware OATH (beta)", "HardwareOath"),
        (OATH_PATCH, outside),
    );
    for token in &facts.plan.tokens {
        if let Some(problem) = &token.problem {
            found.push(Found::fail(
                format!("Line {}: {problem}", token.line),
                Evidence::of(calls::PLAN, format!("line {}", token.line), &token.serial),
                Remedy::text("Correct the line, or ask the vendor for the file again."),
            ));
        }
    }
    if !facts.plan.tokens.is_empty() {
        match &facts.oath_serials {
            Err(gap) => found.push(Found::unknown(gap)),
            Ok(known) => {
                for token in facts
                    .plan
                    .tokens
                    .iter()
                    .filter(|token| token.problem.is_none() && known.contains(&token.serial.to_ascii_lowercase()))
                {
                    found.push(Found::fail(
                        format!(
                            "Line {}: a token with the serial number {} is in the tenant already.",
                            token.line, token.serial
                        ),
                        Evidence::of(calls::OATH_DEVICES, "serialNumber", &token.serial),
                        Remedy::text("Take the line out, or remove the token from the tenant first.")
                            .by("DELETE /beta/directory/authenticationMethodDevices/hardwareOathDevices/{id}"),
                    ));
                }
            }
        }
    }
    // A pass beside a refused line would be confusing.
    if found.len() > 1 {
        found.retain(|one| one.verdict != super::Verdict::Pass);
    }
    Ok(found)
}
