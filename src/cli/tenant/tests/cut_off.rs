//! Writes whose answer is lost on the way: the real client, the simulated tenant, and what the ledger says of it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::graph::{
    Budget, Cancel, Cloud, DevicePrompt, ErrorKind, Flow, Graph, GraphSettings, SignIn, SignInPrompt, SignInSettings,
    Timeouts,
};
use crate::ledger::Ledger;
use crate::model::{ChangeId, Secret, TenantId};
use crate::tenant::apply::{ApplyError, Hand, Step, open_changes};
use crate::tenant::current::Current;
use crate::tenant::plan::Change;
use crate::tenant::reach::OverGraph;
use crate::tenant::resource::{Act, Resource};
use crate::tenant::testing::ledger;
use crate::tenant::undo::{back, made};
use crate::world::{Clock, SystemClock};

struct Nobody;

impl SignInPrompt for Nobody {
    fn device_code(&self, _: &DevicePrompt) {}
    fn visit(&self, _: &str) -> Result<(), String> {
        Err("nobody is here".into())
    }
}

/// The client with no patience: one attempt, and that was it.
fn impatient(tenant: &RunningTenant, clock: &Arc<dyn Clock>) -> Graph {
    let cloud = Cloud::from_settings(Some(&tenant.graph_url), Some(&tenant.login_url)).expect("loopback");
    let settings = SignInSettings {
        cloud: cloud.clone(),
        tenant: tenant.tenant_id.clone(),
        client_id: tenant.client_id.clone(),
        flow: Flow::Secret(Secret::new(tenant.client_secret.clone())),
        timeouts: Timeouts::default(),
        budget: Budget::default(),
        cancel: Cancel::new(),
    };
    let tokens = SignIn::new(settings, Arc::clone(clock), Arc::new(Nobody)).expect("a sign-in");
    let mut settings = GraphSettings::new(cloud);
    settings.budget = Budget { outage: Duration::ZERO, connect: Duration::ZERO, throttle: Duration::ZERO };
    settings.pace = Duration::ZERO;
    let silent = Arc::new(|_: crate::graph::GraphEvent| {});
    let graph = Graph::connect(settings, Arc::new(tokens), Arc::clone(clock), silent).expect("a client");
    graph.sign_in().expect("signed in");
    graph
}

fn change(state: &str) -> Change {
    let body = json!({ "@odata.type": "#microsoft.graph.emailAuthenticationMethodConfiguration", "state": state });
    let at = Resource::Method("email".into());
    Change {
        area: "email",
        subject: "the method Email OTP".into(),
        act: Act::Change(at, body),
        before: None,
        after: json!({}),
        differences: Vec::new(),
        gate: None,
    }
}

#[test]
fn a_write_that_was_carried_out_unheard_is_settled_and_can_be_undone() {
    for (trouble, is_made) in [("lose", true), ("html", false), ("drop", false)] {
        let tenant = tenant(|_| {});
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (graph, cancel, kept) = (impatient(&tenant, &clock), Cancel::new(), ledger());
        let reach = OverGraph { graph: &graph, clock: &*clock, cancel: &cancel };
        let settled = std::cell::Cell::new(None);
        let watch = |step: Step<'_>| {
            if let Step::Settled { made, .. } = step {
                settled.set(Some(made));
            }
        };
        let id = TenantId::new("t");
        let hand = Hand {
            reach: &reach,
            ledger: &kept as &dyn Ledger,
            tenant: id.clone(),
            operator: "operator".into(),
            account: "account".into(),
            break_glass: Vec::new(),
            watch: &watch,
        };
        let now = graph.method_configuration(&crate::graph::Method::Email).expect("read").is_enabled();
        let wanted = change(if now { "disabled" } else { "enabled" });
        let rule = json!({ "on": "policyChange", "times": 1, "then": trouble });
        tenant.add_fault(serde_json::from_value(rule).expect("a rule")).expect("a fault");
        let error = hand.one(&ChangeId::new("A.1"), &wanted, &mut Current::default()).expect_err("no answer");
        assert!(
            matches!(&error, ApplyError::Graph(error) if error.kind() == ErrorKind::Unknown),
            "{trouble}: {error:?}"
        );
        assert_eq!(open_changes(&kept, &id).expect("read").len(), 1, "{trouble}: nobody says that it failed");
        hand.settle().expect("settled");
        assert_eq!(settled.get(), Some(is_made), "{trouble}");
        assert!(open_changes(&kept, &id).expect("read").is_empty());
        let changes = made(&kept, &id, "A");
        assert_eq!(changes.is_ok(), is_made, "{trouble}");
        for change in changes.into_iter().flatten() {
            for one in back(&reach, &change).expect("a way back").changes {
                hand.one(&ChangeId::new("B.1"), &one, &mut Current::default()).expect("written back");
            }
        }
        let after = graph.method_configuration(&crate::graph::Method::Email).expect("read").is_enabled();
        assert_eq!(after, now, "{trouble}: as it was");
    }
}
