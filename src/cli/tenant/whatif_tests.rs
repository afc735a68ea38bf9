//! `keybench tenant whatif` against the simulated tenant.

use serde_json::{Map, Value, json};

use crate::cli::Exit;
use crate::cli::testing::Desk;
use crate::sim::tenant::spec::GroupSpec;
use crate::sim::tenant::{PersonSpec, RunningTenant, TenantSpec, start};

const PILOT: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
const BOOTSTRAP: &str = "33333333-cccc-4ddd-8eee-000000000003";
const MODEL: &str = "2fc0579f-8113-47ea-b116-bb5a8db9202a";

fn map(json: Value) -> Map<String, Value> {
    json.as_object().expect("an object").clone()
}

fn tenant() -> RunningTenant {
    let mut spec = TenantSpec {
        people: vec![PersonSpec { groups: vec!["Pilot".into()], ..PersonSpec::new("kim@contoso.example") }],
        groups: vec![GroupSpec { name: "Pilot".into(), id: Some(PILOT.into()), ..GroupSpec::default() }],
        ..TenantSpec::default()
    };
    let policy = |name: &str, state: &str, target: Value, grant: Value| {
        map(
            json!({"displayName": name, "state": state, "conditions": {"applications": target, "users": {"includeGroups": [PILOT]}}, "grantControls": grant}),
        )
    };
    let register = json!({"includeUserActions": ["urn:user:registersecurityinfo"]});
    let strength = |id: &str| json!({"operator": "OR", "authenticationStrength": {"id": id}});
    spec.policies.access_per_second = 0;
    spec.policies.join_needs_mfa = true;
    spec.policies.strengths = vec![map(json!({"id": BOOTSTRAP, "displayName": "Keys and one-time passes",
        "allowedCombinations": ["fido2", "temporaryAccessPassOneTime"], "combinationConfigurations": [{
            "@odata.type": "#microsoft.graph.fido2CombinationConfiguration", "allowedAAGUIDs": [MODEL], "appliesToCombinations": ["fido2"]}]}))];
    let mut abroad =
        policy("Not from abroad", "enabled", register.clone(), json!({"operator": "OR", "builtInControls": ["block"]}));
    abroad["conditions"]["locations"] =
        json!({"includeLocations": ["All"], "excludeLocations": ["44444444-dddd-4eee-8fff-000000000004"]});
    spec.policies.locations = vec![map(json!({"id": "44444444-dddd-4eee-8fff-000000000004", "displayName": "Home",
        "@odata.type": "#microsoft.graph.countryNamedLocation", "countriesAndRegions": ["NL"]}))];
    spec.policies.access = vec![
        policy("Register with a key or pass", "enabled", register, strength(BOOTSTRAP)),
        abroad,
        policy(
            "Everything resists phishing",
            "enabled",
            json!({"includeApplications": ["All"]}),
            strength("00000000-0000-0000-0000-000000000004"),
        ),
        policy(
            "Later",
            "disabled",
            json!({"includeApplications": ["All"]}),
            json!({"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]}),
        ),
    ];
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

fn desk(tenant: &RunningTenant) -> Desk {
    let desk = Desk::new(1);
    desk.write("secret", &tenant.client_secret);
    let recipient = desk.custodians[0].recipient();
    desk.settings(&format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\n\
         login_url = \"{}\"\naccess_pace_ms = 0\n[escrow]\nrecipients = [\"{recipient}\"]\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    ));
    desk
}

#[test]
fn people_read_what_meets_them_and_what_is_enough() {
    let tenant = tenant();
    let ran = desk(&tenant).run(&["tenant", "whatif", "kim@contoso.example", "--country", "nl", "--aaguid", MODEL]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.out);
    let expected = format!(
        "kim@contoso.example, from NL, in a browser on windows

Registering security information
  Register with a key or pass demands the strength Keys and one-time passes
    one-time pass   is enough
    multi-use pass  is not enough: the strength Keys and one-time passes takes no multi-use pass
    this key        is enough
  Note: while registering, a strength demanded here stands above one demanded for all apps.

Joining a device
  No policy applies: nothing is demanded beyond what the sign-in itself asks for.
  Note: The tenant-wide switch asks for multifactor authentication to join devices; policies for this are not enforced properly while it is on.

Signing in to SharePoint Online
  Everything resists phishing demands the strength Phishing-resistant MFA
    one-time pass   is not enough: the strength Phishing-resistant MFA takes no one-time pass
    multi-use pass  is not enough: the strength Phishing-resistant MFA takes no multi-use pass
    this key        is enough
  Off, and would apply: Later demands multifactor authentication and a compliant device{}",
        "\n"
    );
    assert_eq!(ran.out, expected);
}

#[test]
fn programs_read_the_same() {
    let tenant = tenant();
    let ran = desk(&tenant).run(&["--json", "tenant", "whatif", "kim@contoso.example", "--country", "FR"]);
    assert_eq!(ran.exit, Exit::Done, "{}", ran.out);
    let lines = ran.lines();
    let doing: Vec<&str> = lines.iter().filter_map(|line| line["doing"].as_str()).collect();
    assert_eq!(doing, ["register-security-information", "join-device", "sign-in"]);
    let first = &lines[0];
    assert_eq!(first["policies"][1]["name"], "Not from abroad");
    assert_eq!(first["policies"][1]["applies"], true);
    // The block counts, whatever the strength takes; without a model the key depends on it.
    assert_eq!(first["together"]["one_time_pass"]["enough"], "no");
    assert_eq!(first["policies"][0]["weighed"]["key"]["enough"], "depends");
    assert_eq!(first["policies"][2]["reasons"], json!(["userActions"]));
}

#[test]
fn what_can_not_be_decided_is_said_to_be_so() {
    let tenant = tenant();
    let desk = desk(&tenant);
    let ran = desk.run(&["tenant", "whatif", "kim@contoso.example"]);
    assert!(ran.out.contains("Does not apply: Not from abroad (undecided"), "{}", ran.out);
    assert!(ran.out.contains("--aaguid"), "{}", ran.out);
    let ran = desk.run(&["tenant", "whatif", "nobody@contoso.example"]);
    assert_eq!(ran.exit, Exit::Usage);
    let ran = desk.run(&["tenant", "whatif", "kim@contoso.example", "--country", "Holland"]);
    assert_eq!(ran.exit, Exit::Usage);
}
