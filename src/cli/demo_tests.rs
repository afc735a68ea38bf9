use std::io::Write;
use std::sync::Arc;

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("UTF-8")
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Plays a scenario; exit, stdout and stderr.
fn played(scenario: &Scenario, folder: &Path, json: bool) -> (Exit, String, String) {
    let (out, err) = (Sink::default(), Sink::default());
    let style =
        Style { json, color: false, level: Level::Normal, stdout_is_terminal: false, stderr_is_terminal: false };
    let output = Output::new(Box::new(out.clone()), Box::new(err.clone()), style);
    let context = Context { global: &Global::default(), output: &output, environment: &|_| None };
    let exit = play(&context, scenario, Some(folder)).unwrap_or_else(|error| panic!("{error}\n{}", err.text()));
    (exit, out.text(), err.text())
}

/// The demonstration with hands ten times as fast.
fn quick() -> Scenario {
    let mut day = Scenario::demo();
    day.hands.scale = 0.01;
    day.hands.touch_timeout_ms = 300;
    for keys in &mut day.keys {
        keys.hand.touch_after_ms /= 10;
        keys.hand.back_after_ms /= 10;
    }
    day.tenant.insert("latency_ms".into(), 2.into());
    if let Some(faults) = day.tenant.get_mut("fault").and_then(toml::Value::as_array_mut) {
        for fault in faults.iter_mut().filter_map(toml::Value::as_table_mut) {
            fault.insert("retry_after".into(), 0.into());
        }
    }
    day
}

#[test]
fn the_demonstration_goes_as_scripted_and_meets_what_it_promises() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("demo");
    let (exit, out, err) = played(&quick(), &folder, true);
    assert_eq!(exit, Exit::Done, "{err}");
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("only JSON on stdout")).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let summary = events.last().expect("a summary");
    assert_eq!(summary["event"], "summary");
    let count = |what: &str| summary[what].as_u64().expect("a number");
    assert_eq!((count("planned"), count("finished"), count("refused")), (12, 11, 1));
    assert_eq!((count("failed"), count("parked"), count("keys_refused")), (0, 0, 1));
    assert!(count("graph_retries") >= 1);
    assert_eq!(of("finished").len(), 11);
    assert_eq!(of("key-refused")[0]["code"], "has-pin");
    assert_eq!(of("refused")[0]["code"], "guest");
    assert!(of("unplugged").iter().filter(|event| !event["job"].is_null()).count() >= 2, "pulled half-way");
    for name in ["keybench.toml", "roster.csv", "ledger.db", "mirror", "custodian.key"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}

#[test]
fn a_day_that_goes_otherwise_is_told_and_ends_with_1() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut day = Scenario::generated(2, 2, 7);
    day.hands.scale = 0.01;
    day.tenant.insert("latency_ms".into(), 0.into());
    let (exit, out, err) = played(&day, &parent.path().join("well"), false);
    assert_eq!(exit, Exit::Done, "{err}");
    assert!(out.contains("Three commands to try next"), "{out}");
    day.expect.finished = Some(3);
    let (exit, _, err) = played(&day, &parent.path().join("otherwise"), false);
    assert_eq!(exit, Exit::SomeFailed);
    assert!(err.contains("finished: 2 instead of 3"), "{err}");
}

#[test]
fn a_used_folder_is_refused() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("demo");
    let first = Folder::new(Some(&folder)).expect("new");
    first.write("keybench.toml", b"").expect("written");
    assert_eq!(Folder::new(Some(&folder)).err().expect("refused").code, "unwritable");
}

#[test]
fn the_same_numbers_give_the_same_cast() {
    let args = |seed| DemoArgs { keys: Some(9), ports: 3, seed, out: None };
    let cast = |args: &DemoArgs| {
        let day = scenario(args);
        let tenant = open_tenant(&day).expect("a tenant");
        let keys = day.make_keys().expect("keys");
        let keys: Vec<_> = keys.iter().map(|boxed| (boxed.key.model().id.clone(), boxed.key.serial())).collect();
        (keys, tenant.tenant_id.clone(), tenant.state()["people"].clone())
    };
    assert_eq!(cast(&args(Some(7))), cast(&args(Some(7))));
    assert_ne!(cast(&args(Some(7))).0, cast(&args(Some(8))).0);
    let usual = scenario(&DemoArgs { keys: None, ports: 6, seed: None, out: None });
    assert_eq!((usual.ports, usual.title), (6, Scenario::demo().title));
}

#[test]
fn a_path_with_a_space_stays_one_word() {
    assert_eq!(shell_word("/srv/demo-1/keybench.toml"), "/srv/demo-1/keybench.toml");
    assert_eq!(shell_word("/home/kim doe/x"), "\"/home/kim doe/x\"");
}
