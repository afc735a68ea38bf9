//! From the tenant as it is to the file that would make it so.
//!
//! Promise: planning what was exported, on the same tenant, changes nothing. Each section is tried before it is written; one
//! that can't be said in a file, or would change something, stands in it as a comment with the reason.

use std::fmt::Write as _;

use serde_json::Value;

use super::current::Current;
use super::desired::{BUILT_IN, Desired, Simple};
use super::names::Names;
use super::people::People;
use super::plan::access::{REGISTER_DEVICE, REGISTER_SECURITY_INFO};
use super::plan::methods::{DEFAULT_PROFILE, method_id};
use super::plan::{limit_of, plan};
use super::resource::{Kind, Resource};

/// Writes the file.
pub fn export(current: &Current, names: &Names, unread: &[String], when: &str) -> String {
    let mut text = format!(
        "# The tenant's policies as they were on {when}, written by `keybench tenant export`.\n\
         # What this file does not speak of is left as it is. docs/POLICY.md has every member.\n"
    );
    for what in unread {
        let _ = writeln!(text, "# Not read: {what}");
    }
    let exporter = Exporter { current, names };
    let glass = exporter.break_glass();
    // Members of the root stand before the first section.
    for line in exporter.switches() {
        let _ = write!(text, "\n{line}");
    }
    if !glass.is_empty() {
        let _ = write!(text, "\n# Excluded from every Conditional Access policy of this tenant.\n{glass}");
    }
    for section in exporter.sections() {
        text.push('\n');
        match exporter.trouble(&glass, &section) {
            None => text.push_str(&section),
            Some(why) => {
                let _ = writeln!(text, "# Left as it is, because this file can't say it: {why}");
                for line in section.lines() {
                    let _ = writeln!(text, "# {line}");
                }
            }
        }
    }
    text
}

struct Exporter<'a> {
    current: &'a Current,
    names: &'a Names,
}

/// A TOML text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// One section being written.
#[derive(Default)]
struct Section(String);

impl Section {
    fn head(head: &str) -> Self {
        Self(format!("{head}\n"))
    }

    fn line(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "{name} = {value}");
    }

    fn word(&mut self, name: &str, value: &Value, words: &[(&str, &str)]) {
        let Some(text) = value.as_str() else { return };
        match words.iter().find(|(graphs, _)| graphs.eq_ignore_ascii_case(text)) {
            Some((_, ours)) => self.line(name, &quoted(ours)),
            None => drop(writeln!(
                self.0,
                "# {name}: the tenant says {}, which keybench does not know; left as it is",
                quoted(text)
            )),
        }
    }

    fn boolean(&mut self, name: &str, value: &Value) {
        if let Some(value) = value.as_bool() {
            self.line(name, &value.to_string());
        }
    }

    fn number(&mut self, name: &str, value: &Value) {
        if let Some(value) = value.as_u64() {
            self.line(name, &value.to_string());
        }
    }
}

const SWITCH: [(&str, &str); 2] = [("enabled", "on"), ("disabled", "off")];
const MANAGED: [(&str, &str); 3] = [("default", "default"), ("enabled", "on"), ("disabled", "off")];
const STATES: [(&str, &str); 3] =
    [("enabled", "on"), ("enabledForReportingButNotEnforced", "report-only"), ("disabled", "off")];

impl Exporter<'_> {
    fn switches(&self) -> Vec<String> {
        let switches = [
            ("security_defaults", self.current.get(&Resource::Defaults).map(|it| it["isEnabled"] == true)),
            (
                "device_join_mfa",
                self.current.get(&Resource::Devices).map(|it| it["multiFactorAuthConfiguration"] == "required"),
            ),
        ];
        let said = switches.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name} = {value}\n")));
        said.collect()
    }

    fn sections(&self) -> Vec<String> {
        let mut sections = Vec::new();
        sections.extend(self.fido2());
        sections.extend(self.pass());
        sections.extend(self.authenticator());
        sections.extend(Simple::ALL.into_iter().filter_map(|method| {
            let policy = self.current.method(method_id(method))?;
            let mut section = Section::head(&format!("[{}]", method.section()));
            self.scope(&mut section, policy, true);
            Some(section.0)
        }));
        sections.extend(self.campaign());
        sections.extend(self.system_preferred());
        sections.extend(self.current.all(Kind::Location).map(|(_, it)| location(it)));
        let own = self.current.all(Kind::Strength).filter(|(_, it)| it["policyType"] != "builtIn");
        sections.extend(own.map(|(_, it)| strength(it)));
        sections.extend(self.current.all(Kind::Access).map(|(_, it)| self.access(it)));
        sections
    }

    /// Why a section can't stand in the file.
    fn trouble(&self, glass: &str, section: &str) -> Option<String> {
        let desired = match Desired::read(&format!("{section}\n{glass}")) {
            Ok(desired) => desired,
            Err(problems) => return problems.first().map(|problem| problem.what.clone()),
        };
        match plan(&desired, self.names, self.current, &People::default()) {
            Ok(plan) if plan.is_empty() => None,
            Ok(_) => Some("it would change what the tenant has".to_owned()),
            Err(problems) => problems.first().map(|problem| problem.what.clone()),
        }
    }

    /// A target as a file names it, with its name for people.
    fn who(&self, target: &Value) -> (String, String) {
        let id = target["id"].as_str().unwrap_or("").to_ascii_lowercase();
        match (id.as_str(), target["targetType"].as_str()) {
            ("all_users", _) => ("all".to_owned(), String::new()),
            (_, Some("user")) => (format!("user:{id}"), self.names.of(&id)),
            _ => (id.clone(), self.names.of(&id)),
        }
    }

    fn audience(&self, section: &mut Section, name: &str, targets: &Value) {
        let found: Vec<(String, String)> =
            targets.as_array().into_iter().flatten().map(|target| self.who(target)).collect();
        self.people(section, name, &found);
    }

    fn people(&self, section: &mut Section, name: &str, found: &[(String, String)]) {
        let words: Vec<String> = found.iter().map(|(word, _)| word.clone()).collect();
        let known: Vec<&str> = found
            .iter()
            .filter(|(word, name)| !name.is_empty() && !word.ends_with(name.as_str()))
            .map(|(_, name)| name.as_str())
            .collect();
        let comment = if known.is_empty() {
            String::new()
        } else {
            format!("  # {}", known.join(", ").replace(['\n', '\r'], " "))
        };
        section.line(name, &format!("{}{comment}", list(&words)));
    }

    fn scope(&self, section: &mut Section, policy: &Value, state: bool) {
        if state {
            section.word("state", &policy["state"], &SWITCH);
        }
        if policy["includeTargets"].is_array() {
            self.audience(section, "include", &policy["includeTargets"]);
        }
        if policy["excludeTargets"].is_array() {
            self.audience(section, "exclude", &policy["excludeTargets"]);
        }
    }

    fn fido2(&self) -> Option<String> {
        let policy = self.current.method("fido2")?;
        let mut section = Section::head("[fido2]");
        section.word("state", &policy["state"], &SWITCH);
        section.boolean("self_service", &policy["isSelfServiceRegistrationAllowed"]);
        self.scope(&mut section, policy, false);
        let profiles = policy["passkeyProfiles"].as_array().cloned().unwrap_or_default();
        if profiles.is_empty() {
            // One set of rules for everybody, under the name that it will have.
            let mut profile = Section::head("\n[[fido2.profile]]");
            profile.line("name", &quoted("Default passkey profile"));
            if let Some(enforced) = policy["isAttestationEnforced"].as_bool() {
                profile.line("attestation", &quoted(if enforced { "required" } else { "off" }));
            }
            keys(&mut profile, &policy["keyRestrictions"]);
            return Some(section.0 + &profile.0);
        }
        let mut text = section.0;
        for profile in &profiles {
            let id = profile["id"].as_str().unwrap_or(DEFAULT_PROFILE);
            let mut section = Section::head("\n[[fido2.profile]]");
            section.line("name", &quoted(profile["name"].as_str().unwrap_or(id).trim()));
            section.line("id", &quoted(id));
            let types: Vec<String> =
                profile["passkeyTypes"].as_str().unwrap_or("").split(',').map(|one| one.trim().to_owned()).collect();
            if types.iter().all(|one| matches!(one.as_str(), "deviceBound" | "synced")) {
                let words: Vec<String> = types
                    .iter()
                    .map(|one| if one == "deviceBound" { "device-bound".to_owned() } else { one.clone() })
                    .collect();
                section.line("types", &list(&words));
            } else {
                let _ = writeln!(section.0, "# types: the tenant says {}; left as it is", quoted(&types.join(",")));
            }
            let synced = types.iter().any(|one| one == "synced");
            let attestation = [("registrationOnly", "required"), ("disabled", "off")];
            if synced && profile["attestationEnforcement"] != "disabled" {
                let _ =
                    writeln!(section.0, "# attestation: required, although synced passkeys give none; left as it is");
            } else {
                section.word("attestation", &profile["attestationEnforcement"], &attestation);
            }
            keys(&mut section, &profile["keyRestrictions"]);
            let targets = policy["includeTargets"].as_array().into_iter().flatten();
            let its: Vec<(String, String)> = targets
                .filter(|target| {
                    texts(&target["allowedPasskeyProfiles"]).iter().any(|one| one.eq_ignore_ascii_case(id))
                })
                .map(|target| self.who(target))
                .collect();
            self.people(&mut section, "for", &its);
            text.push_str(&section.0);
        }
        Some(text)
    }

    fn pass(&self) -> Option<String> {
        let policy = self.current.method("temporaryaccesspass")?;
        let mut section = Section::head("[temporary_access_pass]");
        self.scope(&mut section, policy, true);
        for (name, member) in [
            ("length", "defaultLength"),
            ("minutes", "defaultLifetimeInMinutes"),
            ("least_minutes", "minimumLifetimeInMinutes"),
            ("most_minutes", "maximumLifetimeInMinutes"),
        ] {
            section.number(name, &policy[member]);
        }
        section.boolean("one_time", &policy["isUsableOnce"]);
        Some(section.0)
    }

    fn authenticator(&self) -> Option<String> {
        let policy = self.current.method("microsoftauthenticator")?;
        let mut section = Section::head("[authenticator]");
        self.scope(&mut section, policy, true);
        let targets = policy["includeTargets"].as_array().cloned().unwrap_or_default();
        let first = targets.first().map(|target| target["authenticationMode"].clone()).unwrap_or_default();
        if targets.iter().all(|target| target["authenticationMode"] == first) {
            let modes = [("any", "any"), ("push", "push"), ("deviceBasedPush", "passwordless")];
            section.word("mode", &first, &modes);
        } else {
            section.0.push_str("# mode: differs from group to group; left as it is\n");
        }
        section.boolean("codes", &policy["isSoftwareOathEnabled"]);
        Some(section.0)
    }

    fn campaign(&self) -> Option<String> {
        let of = |at: &Resource| {
            let policy = self.current.get(at)?;
            Some(&policy["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"])
        };
        // Planned against beta only where the file says what beta alone tells.
        let beta = of(&Resource::BetaPolicy).filter(|it| it["enforceRegistrationAfterAllowedSnoozes"].is_boolean());
        let campaign = beta.or_else(|| of(&Resource::Policy))?;
        if !campaign.is_object() {
            return None;
        }
        let mut section = Section::head("[registration_campaign]");
        section.word("state", &campaign["state"], &MANAGED);
        self.scope(&mut section, campaign, false);
        let targets = campaign["includeTargets"].as_array().cloned().unwrap_or_default();
        let first = targets.first().map(|target| target["targetedAuthenticationMethod"].clone()).unwrap_or_default();
        if targets.iter().all(|target| target["targetedAuthenticationMethod"] == first) {
            section.word("ask_for", &first, &[("fido2", "passkey"), ("microsoftAuthenticator", "authenticator")]);
        }
        section.number("snooze_days", &campaign["snoozeDurationInDays"]);
        section.boolean("forced", &campaign["enforceRegistrationAfterAllowedSnoozes"]);
        Some(section.0)
    }

    fn system_preferred(&self) -> Option<String> {
        let preferences = &self.current.get(&Resource::BetaPolicy)?["systemCredentialPreferences"];
        if !preferences.is_object() {
            return None;
        }
        let mut section = Section::head("[system_preferred]");
        section.word("state", &preferences["state"], &MANAGED);
        self.scope(&mut section, preferences, false);
        Some(section.0)
    }

    /// Who is excluded from every policy there is.
    fn break_glass(&self) -> String {
        let mut common: Option<(Vec<String>, Vec<String>)> = None;
        for (_, policy) in self.current.all(Kind::Access) {
            let users = &policy["conditions"]["users"];
            let lower =
                |value: &Value| -> Vec<String> { texts(value).iter().map(|id| id.to_ascii_lowercase()).collect() };
            let (its_users, its_groups) = (lower(&users["excludeUsers"]), lower(&users["excludeGroups"]));
            common = Some(match common {
                None => (its_users, its_groups),
                Some((users, groups)) => (
                    users.into_iter().filter(|id| its_users.contains(id)).collect(),
                    groups.into_iter().filter(|id| its_groups.contains(id)).collect(),
                ),
            });
        }
        let (users, groups) = common.unwrap_or_default();
        let users: Vec<String> = users.into_iter().filter(|id| self.names.user(id).is_some()).collect();
        let groups: Vec<String> = groups.into_iter().filter(|id| self.names.group(id).is_some()).collect();
        if users.is_empty() && groups.is_empty() {
            return String::new();
        }
        let mut section = Section::head("[break_glass]");
        let named = |ids: &[String]| ids.iter().map(|id| (id.clone(), self.names.of(id))).collect::<Vec<_>>();
        self.people(&mut section, "users", &named(&users));
        self.people(&mut section, "groups", &named(&groups));
        section.0
    }

    fn crowd(&self, section: &mut Section, name: &str, users: &Value, groups: &Value) {
        let mut found: Vec<(String, String)> = Vec::new();
        for user in texts(users) {
            found.push(match user.as_str() {
                "All" => ("all".to_owned(), String::new()),
                "GuestsOrExternalUsers" => ("guests".to_owned(), String::new()),
                _ => (format!("user:{}", user.to_ascii_lowercase()), self.names.of(&user)),
            });
        }
        found.extend(texts(groups).into_iter().map(|id| (id.to_ascii_lowercase(), self.names.of(&id))));
        self.people(section, name, &found);
    }

    fn place(&self, id: &str) -> String {
        match id {
            "All" => "all".to_owned(),
            "AllTrusted" => "trusted".to_owned(),
            _ => {
                let document = self.current.get(&Resource::Location(id.to_ascii_lowercase()));
                document.and_then(|it| it["displayName"].as_str()).unwrap_or(id).trim().to_owned()
            }
        }
    }

    fn access(&self, policy: &Value) -> String {
        let mut section = Section::head("[[conditional_access]]");
        section.line("name", &quoted(policy["displayName"].as_str().unwrap_or("").trim()));
        section.word("state", &policy["state"], &STATES);
        let conditions = &policy["conditions"];
        let actions = texts(&conditions["applications"]["includeUserActions"]);
        match actions.as_slice() {
            [action] if action == REGISTER_SECURITY_INFO => section.line("on", "\"register-security-info\""),
            [action] if action == REGISTER_DEVICE => section.line("on", "\"register-device\""),
            [] => {
                section.line("on", "\"sign-in\"");
                let apps: Vec<String> = texts(&conditions["applications"]["includeApplications"])
                    .into_iter()
                    .map(|app| match app.as_str() {
                        "All" => "all".to_owned(),
                        "Office365" => "office365".to_owned(),
                        "MicrosoftAdminPortals" => "admin-portals".to_owned(),
                        _ => app,
                    })
                    .collect();
                section.line("apps", &list(&apps));
            }
            others => drop(writeln!(section.0, "# on: {}", list(others))),
        }
        let users = &conditions["users"];
        self.crowd(&mut section, "include", &users["includeUsers"], &users["includeGroups"]);
        self.crowd(&mut section, "exclude", &users["excludeUsers"], &users["excludeGroups"]);
        let places = |section: &mut Section, name: &str, value: &Value| {
            let ids = texts(value);
            if !ids.is_empty() {
                section.line(name, &list(&ids.iter().map(|id| self.place(id)).collect::<Vec<_>>()));
            }
        };
        places(&mut section, "inside", &conditions["locations"]["includeLocations"]);
        places(&mut section, "outside", &conditions["locations"]["excludeLocations"]);
        let grant = &policy["grantControls"];
        let strength = grant["authenticationStrength"]["id"].as_str();
        match (texts(&grant["builtInControls"]).as_slice(), strength) {
            ([], Some(id)) => {
                let built_in = BUILT_IN.iter().find(|(_, its)| its.eq_ignore_ascii_case(id)).map(|(name, _)| *name);
                let own = self.current.get(&Resource::Strength(id.to_ascii_lowercase()));
                let name = built_in.or_else(|| own.and_then(|it| it["displayName"].as_str())).unwrap_or(id);
                section.line("strength", &quoted(name.trim()));
            }
            ([one], None) => {
                let words = [("block", "block"), ("mfa", "mfa"), ("compliantDevice", "compliant-device")];
                section.word("demand", &Value::String(one.clone()), &words);
            }
            (controls, _) => drop(writeln!(section.0, "# demand: {}", list(controls))),
        }
        section.0
    }
}

fn keys(section: &mut Section, restrictions: &Value) {
    if restrictions["isEnforced"].as_bool() != Some(true) {
        section.line("keys", "\"any\"");
        return;
    }
    section.word("keys", &restrictions["enforcementType"], &[("allow", "only"), ("block", "except")]);
    if matches!(restrictions["enforcementType"].as_str(), Some("allow" | "block")) {
        section.line("aaguids", &list(&texts(&restrictions["aaGuids"])));
    }
}

fn location(document: &Value) -> String {
    let mut section = Section::head("[[location]]");
    section.line("name", &quoted(document["displayName"].as_str().unwrap_or("").trim()));
    if document["countriesAndRegions"].is_array() {
        section.line("countries", &list(&texts(&document["countriesAndRegions"])));
        section.boolean("unknown_too", &document["includeUnknownCountriesAndRegions"]);
    }
    if let Some(ranges) = document["ipRanges"].as_array() {
        let ranges: Vec<String> =
            ranges.iter().filter_map(|one| one["cidrAddress"].as_str().map(str::to_owned)).collect();
        section.line("ranges", &list(&ranges));
        section.boolean("trusted", &document["isTrusted"]);
    }
    section.0
}

fn strength(document: &Value) -> String {
    let mut section = Section::head("[[strength]]");
    section.line("name", &quoted(document["displayName"].as_str().unwrap_or("").trim()));
    if let Some(description) = document["description"].as_str().map(str::trim).filter(|text| !text.is_empty()) {
        section.line("description", &quoted(description));
    }
    section.line("allow", &list(&texts(&document["allowedCombinations"])));
    let models = limit_of(document).map(|(_, models)| models).unwrap_or_default();
    section.line("aaguids", &list(&models.iter().map(ToString::to_string).collect::<Vec<_>>()));
    section.0
}
