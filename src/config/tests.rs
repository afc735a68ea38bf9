use std::collections::HashMap;

use super::*;

const ALICE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn parse_with(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let map: HashMap<String, String> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let look = |name: &str| map.get(name).cloned();
    Settings::parse(text, Path::new("/bench/config.toml"), true, Path::new("/data"), &look, &Overrides::new())
}

fn parse(text: &str) -> Result<Settings, Problems> {
    parse_with(text, &[])
}

fn complaints(text: &str) -> Vec<String> {
    parse(text).expect_err("wrong settings").lines()
}

fn recipient() -> String {
    age::x25519::Identity::generate().to_public().to_string()
}

#[test]
fn the_template_parses_to_the_defaults() {
    assert_eq!(parse(template::TEXT).expect("settings"), parse("").expect("settings"));
}

#[test]
fn the_template_shows_every_setting_and_true_defaults() {
    let shown: String = template::TEXT
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
            _ => line,
        })
        // Examples rather than defaults.
        .filter(|line| !line.contains('…'))
        .map(|line| format!("{line}\n"))
        .collect();
    let settings = parse(&shown).expect("settings");
    let defaults = parse("").expect("settings");
    assert_eq!(settings.pin, defaults.pin);
    assert_eq!(settings.tenant.auth, defaults.tenant.auth);
    assert_eq!(settings.tenant.api, defaults.tenant.api);
    assert_eq!(settings.tenant.graph_url, defaults.tenant.graph_url);
    assert_eq!(settings.tenant.login_url, defaults.tenant.login_url);
    assert_eq!(settings.bench.bell, defaults.bench.bell);
    assert_eq!(settings.bench.key_name, defaults.bench.key_name);
    for (section, keys) in reader::SETTINGS {
        assert!(template::TEXT.contains(&format!("\n[{section}]\n")), "{section}");
        for key in *keys {
            assert!(template::TEXT.contains(&format!("\n#{key} = ")), "{section}.{key}");
        }
    }
}

#[test]
fn everything_wrong_is_named_at_once_with_its_place() {
    let text = "[tenant]\nid = \"contoso\"\n  autth = \"browser\"\napi = \"v2\"\n[pin]\nlength = \"six\"\nminimum = 80\n\
                [bench]\nbell = \"yes\"\n[tennant]\n";
    assert_eq!(
        complaints(text),
        [
            "/bench/config.toml:2:6: tenant.id: this must be a GUID like 72f988bf-86f1-41af-91ab-2d7cd011db47; Entra's \
             overview page shows it",
            "/bench/config.toml:3:3: tenant.autth: there is no such setting; did you mean tenant.auth?",
            "/bench/config.toml:4:7: tenant.api: this must be one of \"v1.0\", \"beta\"",
            "/bench/config.toml:6:10: pin.length: this must be a whole number, without quotes, and is a string",
            "/bench/config.toml:7:11: pin.minimum: this must be a whole number from 4 to 63",
            "/bench/config.toml:9:8: bench.bell: this must be true or false, without quotes, and is a string",
            "/bench/config.toml:10:2: tennant: there is no such section; did you mean [tenant]?",
        ]
    );
}

#[test]
fn a_setting_in_the_wrong_section_is_sent_to_the_right_one() {
    assert!(complaints("[bench]\nrecipients = []\n")[0].ends_with("did you mean escrow.recipients?"));
    assert!(complaints("recipients = []\n")[0].contains("put it under [escrow]"));
}

#[test]
fn what_is_not_toml_has_a_place_and_is_not_quoted() {
    let lines = complaints("[tenant]\nclient_id = hunter2hunter2\n");
    assert!(lines[0].starts_with("/bench/config.toml:2:"), "{lines:?}");
    assert!(!lines.concat().contains("hunter2"), "{lines:?}");
}

#[test]
fn a_secret_in_the_file_is_refused_without_repeating_it() {
    let lines = complaints("[tenant]\nclient_secret = \"hunter2hunter2\"\n");
    assert!(lines[0].contains("client_secret_file") && !lines[0].contains("hunter2"), "{lines:?}");
    let lines = complaints("[escrow]\nrecipients = [\"AGE-SECRET-KEY-1QQQQ\"]\n");
    assert!(lines[0].contains("must not be on the bench") && !lines[0].contains("1QQQQ"), "{lines:?}");
}

#[test]
fn the_environment_outranks_the_file_and_options_outrank_both() {
    let environment = [("KEYBENCH_PIN_LENGTH", "8"), ("KEYBENCH_LEDGER_URL", "sqlite:/srv/l.db")];
    let settings = parse_with("[pin]\nlength = 7\n[ledger]\nurl = \"sqlite:x.db\"\n", &environment).expect("settings");
    assert_eq!((settings.pin.length, settings.pin.minimum), (8, 8));
    assert_eq!(settings.ledger.path, PathBuf::from("/srv/l.db"));
    let overrides = Overrides::from([("pin.length".to_owned(), ("--pin-length".to_owned(), "9".to_owned()))]);
    let look = |name: &str| (name == "KEYBENCH_PIN_LENGTH").then(|| "8".to_owned());
    let settings = Settings::parse("", Path::new("/c"), false, Path::new("/d"), &look, &overrides).expect("settings");
    assert_eq!(settings.pin.length, 9);
    let wrong = parse_with("", &[("KEYBENCH_TENANT_API", "beto")]).expect_err("wrong");
    assert_eq!(
        wrong.lines(),
        ["environment KEYBENCH_TENANT_API: tenant.api: this must be one of \"v1.0\", \"beta\"; did you mean \"beta\"?"]
    );
}

#[test]
fn paths_count_from_the_files_folder() {
    let settings =
        parse("[ledger]\nurl = \"sqlite:l.db\"\nmirror = \"m\"\n[bench]\nmds = \"/abs\"\n").expect("settings");
    assert_eq!(settings.ledger.path, PathBuf::from("/bench/l.db"));
    assert_eq!(settings.ledger.mirror, Some(PathBuf::from("/bench/m")));
    assert_eq!(settings.bench.mds, Some(PathBuf::from("/abs")));
    assert_eq!(parse("").expect("settings").ledger.path, PathBuf::from("/data/ledger.db"));
    let slashes = parse("[ledger]\nurl = \"sqlite:///srv/l.db\"\n").expect("settings");
    assert_eq!(slashes.ledger.path, PathBuf::from("/srv/l.db"));
    assert!(complaints("[ledger]\nurl = \"postgres://x\"\n")[0].contains("not supported yet"));
}

#[test]
fn tokens_go_to_one_cloud_or_to_this_machine() {
    let pair =
        |graph: &str, login: &str| parse(&format!("[tenant]\ngraph_url = \"{graph}\"\nlogin_url = \"{login}\"\n"));
    assert!(pair("https://graph.microsoft.com/", "https://login.microsoftonline.com").is_ok());
    assert!(pair("http://127.0.0.1:8080", "http://[::1]:8081").is_ok());
    assert!(pair("https://graph.microsoft.us", "https://login.microsoftonline.us").is_ok());
    for (graph, login) in [
        ("https://graph.microsoft.us", "https://login.microsoftonline.com"),
        ("https://graph.microsoft.com.evil.example", "https://login.microsoftonline.com"),
        ("http://graph.microsoft.com", "https://login.microsoftonline.com"),
        ("https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com"),
        ("https://u:p@graph.microsoft.com", "https://login.microsoftonline.com"),
        ("https://graph.microsoft.com", "http://127.0.0.1:1"),
        ("ftp://127.0.0.1", "http://127.0.0.1:1"),
        ("graph.microsoft.com", "login.microsoftonline.com"),
    ] {
        assert!(pair(graph, login).is_err(), "{graph} {login}");
    }
    assert!(complaints("[tenant]\ngraph_url = \"http://127.0.0.1:1\"\n")[0].contains("login_url must be given too"));
}

#[test]
fn dual_control_takes_two_groups() {
    let (a, b, c) = (recipient(), recipient(), recipient());
    let settings = parse(&format!("[escrow]\nrecipients = [\"{a}\", \"{b}\"]\n")).expect("settings");
    assert_eq!((settings.escrow.first.len(), settings.escrow.dual()), (2, false));
    let settings = parse(&format!("[escrow]\nrecipients = [\"{a}\", \"{b}\"]\ndual = true\n")).expect("settings");
    assert_eq!((settings.escrow.first, settings.escrow.second), (vec![a.clone()], vec![b.clone()]));
    let text = format!("[escrow]\nrecipients = [\"{a}\"]\nsecond_recipients = [\"{b}\", \"{c}\"]\ndual = true\n");
    assert_eq!(parse(&text).expect("settings").escrow.second, [b.clone(), c.clone()]);
    for wrong in [
        format!("recipients = [\"{a}\"]\ndual = true"),
        format!("recipients = [\"{a}\", \"{b}\", \"{c}\"]\ndual = true"),
        format!("recipients = [\"{a}\"]\nsecond_recipients = [\"{a}\"]\ndual = true"),
        format!("recipients = [\"{a}\"]\nsecond_recipients = [\"{b}\"]"),
        format!("recipients = [\"{a}\", \"{a}\"]"),
        "recipients = [\"age1notone\"]".to_owned(),
    ] {
        assert!(parse(&format!("[escrow]\n{wrong}\n")).is_err(), "{wrong}");
    }
}

#[test]
fn held_activation_names_its_keys_and_outlives_the_letters() {
    let key = recipient();
    let keys = format!("activation_recipients = [\"{key}\"]\n");
    let with = |more: &str| parse(&format!("[handover]\nactivate = \"on-receipt\"\n{more}"));
    let settings = with(&keys).expect("settings").handover.activation;
    assert_eq!((settings.on_receipt, settings.days, settings.recipients.as_slice()), (true, 30, [key].as_slice()));
    assert!(!parse("").expect("settings").handover.activation.on_receipt, "at the bench by default");
    for (wrong, says) in [
        ("", "handover.activate: held registrations are sealed to somebody"),
        (&*format!("{keys}activation_days = 31\n"), "handover.activation_days"),
        (&*format!("{keys}activation_days = 14\n"), "a PIN letter may be released for 21 days"),
        (&*format!("{keys}activation_days = 25\ncountry = \"NL\"\n"), "released for 30 days"),
        ("activation_recipients = [\"AGE-SECRET-KEY-1QQQQ\"]\n", "handover.activation_recipients: this is an identity"),
    ] {
        let text = with(wrong).expect_err("refused").to_string();
        let lines = complaints(&format!("[handover]\nactivate = \"on-receipt\"\n{wrong}"));
        assert!(lines.iter().any(|line| line.contains(says)), "{wrong}: {lines:?} {text}");
    }
    let short = format!("{keys}activation_days = 14\nletter_days = 14\n");
    assert_eq!(with(&short).expect("settings").handover.activation.days, 14);
}

#[test]
fn what_a_command_needs_is_named_when_missing() {
    let settings = parse("[tenant]\nauth = \"certificate\"\n").expect("settings");
    let Err(ConfigError::Missing { names, .. }) = settings.tenant() else { panic!("missing") };
    assert_eq!(names, ["tenant.id", "tenant.client_id", "tenant.certificate_file", "tenant.key_file"]);
    assert!(settings.custodians().is_err());
    let good = "[tenant]\nid = \"72F988BF-86F1-41AF-91AB-2D7CD011DB47\"\nclient_id = \"{04b07795-8ddb-461a-bbee-02f9e1bf7b46}\"";
    let tenant = parse(good).expect("settings").tenant().expect("a tenant");
    assert_eq!(tenant.id.as_str(), "72f988bf-86f1-41af-91ab-2d7cd011db47");
    assert_eq!(tenant.client_id, "04b07795-8ddb-461a-bbee-02f9e1bf7b46");
}

#[test]
fn key_names_are_checked() {
    let with = |name: &str| parse(&format!("[bench]\nkey_name = \"{name}\"\n")).is_ok();
    assert!(with("Bench {serial} {date}"));
    assert!(!with("{sn}"));
    assert!(!with("Contoso security key {serial}"));
}

#[test]
fn an_environment_secret_is_refused_beside_a_plugin() {
    // From the age-plugin-yubikey documentation's format: a compressed P-256 point under `age1yubikey`.
    let plugin = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
    let with = |recipient: &str| parse(&format!("[escrow]\nrecipients = [\"{recipient}\"]\n"));
    let environment = |name: &str| (name == secret::VARIABLE).then(|| "s3cret-value".to_owned());
    let settings = with(&recipient()).expect("settings");
    let found = secret::client_secret(&settings, &environment, |_| None).expect("the secret");
    assert_eq!(found.expose(), "s3cret-value");
    let settings = with(plugin).expect("settings");
    assert!(matches!(
        secret::client_secret(&settings, &environment, |_| None),
        Err(ConfigError::Secret(SecretError::EnvironmentShared { plugin })) if plugin == "age-plugin-yubikey"
    ));
    let nothing = |_: &str| None;
    assert!(matches!(
        secret::client_secret(&settings, &nothing, |_| None),
        Err(ConfigError::Secret(SecretError::Nowhere))
    ));
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "the-secret\r\n").expect("written");
    let mut settings = parse("").expect("settings");
    settings.tenant.client_secret_file = Some(path.clone());
    let nothing = |_: &str| None;
    for (mode, good) in [(0o600, true), (0o640, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        let found = secret::client_secret(&settings, &nothing, |_| None);
        match found {
            Ok(secret) => assert!(good && secret.expose() == "the-secret"),
            Err(error) => assert!(!good && matches!(error, ConfigError::Exposed { .. })),
        }
    }
}

#[test]
fn the_known_recipient_parses() {
    assert!(parse(&format!("[escrow]\nrecipients = [\"{ALICE}\"]\n")).is_ok());
}

#[test]
fn a_named_file_must_exist_and_the_usual_one_need_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().display().to_string();
    let environment = move |name: &str| matches!(name, "HOME" | "ProgramData").then(|| home.clone());
    let overrides = Overrides::new();
    let load =
        |named: Option<&Path>| Settings::load(&Sources { named, environment: &environment, overrides: &overrides });
    let usual = load(None).expect("defaults");
    assert!(!usual.file_exists && usual.file.starts_with(folder.path()));
    assert!(matches!(load(Some(Path::new("/no/such/file"))), Err(ConfigError::NotFound { .. })));
    template::write(&usual.file, false).expect("written");
    assert!(load(None).expect("settings").file_exists);
}
