//! This layer against every simulated model, and against keys that fail at every packet: whatever happens, what we say of
//! the key is true.

use std::sync::Arc;
use std::time::Duration;

use super::against_opensk::{RP, attested, pin, request, tools};
use super::command::config::PinRules;
use super::session::{Configure, Done, Make, Manage, Opened, PinError, open};
use super::transport::{Limits, Unwatched};
use super::{CtapError, Status};
use crate::ledger::SealReceipt;
use crate::model::PortName;
use crate::sim::key::{Fault, Model, SimKey, Touch};
use crate::sim::ports::SimPorts;
use crate::world::KeyPorts;

const PIN: &str = "73451098";

/// Short enough for a test that waits for nothing on purpose.
fn limits() -> Limits {
    Limits {
        idle: Duration::from_millis(400),
        overall: Duration::from_secs(2),
        touch: Duration::from_secs(2),
        grace: Duration::from_millis(200),
    }
}

fn plug(key: SimKey, limits: Limits) -> (SimPorts, Result<Opened, CtapError>) {
    let ports = SimPorts::numbered(1);
    let stay = ports.plug(&PortName::new("sim-1"), key).expect("an empty port");
    let plugged = ports.list().expect("a list").remove(0);
    let device = ports.open(stay).expect("just plugged in");
    let tools = super::session::Tools { limits, ..tools() };
    (ports, open(device, &plugged, &tools))
}

/// Keys that differ from OpenSK in one way each.
fn behaviours() -> Vec<Arc<Model>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/behaviours");
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let read = |path: std::path::PathBuf| Model::parse(&std::fs::read_to_string(path).expect("a file"));
    files.map(|path| Arc::new(read(path).expect("a model"))).collect()
}

#[test]
fn every_model_goes_the_whole_way() {
    let behaviours = behaviours();
    assert_eq!(behaviours.len(), 6);
    for model in Model::all().iter().chain(&behaviours) {
        let name = &model.id;
        let key = SimKey::new(model, 1);
        key.probe().finger().set(Touch::AtOnce);
        let (probe, serial) = (key.probe(), key.serial());
        let (_ports, opened) = plug(key, Limits::default());
        let Ok(Opened::Blank(session)) = opened else { panic!("{name}: {opened:?}") };
        assert_eq!(session.serial().cloned(), serial, "{name}");
        let first = pin(PIN);
        let mut session = session.set_pin(&first, &SealReceipt::for_tests(), &mut Unwatched).expect(name);
        assert!(probe.pin_is(PIN), "{name}");

        let mut wanted = request(1);
        wanted.extensions.cred_protect = None;
        wanted.extensions.min_pin_length = session.info().has_extension("minPinLength");
        let made = session
            .attempt(3)
            .expect(name)
            .authorise(&first, Make { rp_id: RP.into() })
            .expect(name)
            .make_credential(&wanted, &mut Unwatched)
            .expect(name);
        let long = model.ctap.certificate_padding > 0;
        assert_eq!(made.att_stmt.len() + made.auth_data.len() > 1200, long, "{name}: {} bytes", made.att_stmt.len());
        let (id, _) = attested(&made.auth_data);
        let mut manage = session.attempt(3).expect(name).authorise(&first, Manage).expect(name);
        assert_eq!(manage.metadata().expect(name).existing, 1, "{name}");
        let parties = manage.relying_parties().expect(name);
        assert_eq!(parties.len(), 1, "{name}");
        assert_eq!(manage.credentials_of(RP).expect(name)[0].id, id, "{name}");
        drop(manage);
        assert!(session.silent_assertion(RP, &id, [1; 32]).expect(name).is_some(), "{name}");

        if !session.info().has_pin_rules() {
            let error = session.attempt(3).expect(name).authorise(&first, Configure).expect_err("has no settings");
            assert!(matches!(error, PinError::Ctap(CtapError::Unsupported(_))), "{name}: {error:?}");
            continue;
        }
        let rules = PinRules { minimum: Some(6), rp_ids: Vec::new(), force_change: true };
        let configure = session.attempt(3).expect(name).authorise(&first, Configure).expect(name);
        let now = configure.set_pin_rules(&rules).expect(name);
        assert_eq!((now.minimum, now.forced), (6, true), "{name}");
        let error = session.attempt(3).expect(name).authorise(&first, Manage).expect_err("forced");
        assert!(matches!(error, PinError::ChangeForced), "{name}: {error:?}");
        // Two firmwares, two ways: a proof while forced, or a refusal that says why.
        match session.silent_assertion(RP, &id, [1; 32]) {
            Ok(found) => assert!(found.is_some(), "{name}"),
            Err(error) => assert_eq!(error.status(), Some(Status::PinPolicyViolation), "{name}"),
        }
    }
}

/// Sets a PIN and makes a credential on a key with this fault; what is said of the outcome must be so.
fn survive(fault: &Fault) {
    let key = SimKey::new(&Model::usual(), 1);
    let probe = key.probe();
    probe.finger().set(Touch::AtOnce);
    probe.add_fault(fault.clone());
    let (_ports, opened) = plug(key, limits());
    let session = match opened {
        Ok(Opened::Blank(session)) => session,
        Ok(other) => panic!("{fault:?}: {other:?}"),
        Err(_) => {
            assert!(!probe.pin_is_set(), "{fault:?}");
            return;
        }
    };
    let mut session = match session.set_pin(&pin(PIN), &SealReceipt::for_tests(), &mut Unwatched) {
        Ok(session) => session,
        Err(failed) => {
            match failed.done {
                Done::No => assert!(!probe.pin_is_set(), "{fault:?}"),
                Done::Yes => assert!(probe.pin_is(PIN), "{fault:?}"),
                Done::Unknown => {}
            }
            match failed.session.settle() {
                Ok(Opened::PinSet(_)) => assert!(probe.pin_is(PIN), "{fault:?}"),
                Ok(Opened::Blank(_)) => assert!(!probe.pin_is_set(), "{fault:?}"),
                Ok(other) => panic!("{fault:?}: {other:?}"),
                Err(_) => {}
            }
            return;
        }
    };
    assert!(probe.pin_is(PIN), "{fault:?}");
    let Ok(attempt) = session.attempt(3) else { return };
    match attempt.authorise(&pin(PIN), Make { rp_id: RP.into() }) {
        Ok(authorised) => match authorised.make_credential(&request(1), &mut Unwatched) {
            Ok(_) => assert_eq!(probe.residents().len(), 1, "{fault:?}"),
            Err(error) if error.surely_undone() => assert!(probe.residents().is_empty(), "{fault:?}"),
            Err(_) => {}
        },
        Err(error) => {
            assert!(!matches!(error, PinError::Wrong { .. }), "{fault:?}: the PIN was right");
            assert!(probe.residents().is_empty(), "{fault:?}");
        }
    }
}

#[test]
fn what_is_said_of_a_failing_key_is_true() {
    let at_packets = (1..32).flat_map(|packet| {
        [Fault::UnplugAtPacket { packet }, Fault::UnplugAtAnswer { packet }, Fault::DropAnswerPacket { packet }]
    });
    let others = [
        Fault::WrongSequence,
        Fault::ForeignTraffic,
        Fault::MalformedCbor { command: 1 },
        Fault::MalformedCbor { command: 4 },
        Fault::MalformedCbor { command: 6 },
        Fault::TrailingBytes { command: 6 },
        Fault::WrongLength { command: 4 },
        Fault::EndlessKeepalives { command: 1 },
        Fault::Silent { command: 1 },
        Fault::Silent { command: 6 },
    ];
    let threads: Vec<_> = at_packets.chain(others).map(|fault| std::thread::spawn(move || survive(&fault))).collect();
    for thread in threads {
        thread.join().expect("every claim is true");
    }
}

/// Nobody touches: the same to us, whichever status an old or a new key says.
#[test]
fn an_untouched_key_is_an_untouched_key_in_every_dialect() {
    for model in behaviours().iter().filter(|model| ["old-statuses", "second-firmware"].contains(&model.id.as_str())) {
        let key = SimKey::new(model, 1);
        key.probe().finger().set(Touch::Never);
        key.probe().set_touch_timeout(Duration::from_millis(50));
        let (_ports, opened) = plug(key, Limits::default());
        let Ok(Opened::Blank(mut session)) = opened else { panic!("{}: {opened:?}", model.id) };
        let error = session.selection(&mut Unwatched).expect_err("nobody touched it");
        assert!(error.is_no_touch(), "{}: {error:?}", model.id);
    }
}
