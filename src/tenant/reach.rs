//! Reaching a tenant's policies: what planning reads and applying writes, and nothing else.
//!
//! The trait is there so that everything above it can be tried on a tenant in memory; Graph is the real one.

use std::time::Duration;

use serde_json::Value;

use super::desired::Doing;
use super::plan::Spot;
use super::resource::{Act, Kind, Resource};
use crate::graph::authentication_strength::Combination;
use crate::graph::user_settings::PerUserMfa;
use crate::graph::what_if::{Circumstances, Undertaking};
use crate::graph::{ApiVersion, Cancel, Document, ErrorKind, Fixer, Graph, GraphError, Method, Written};
use crate::model::UserId;
use crate::world::Clock;

/// What a write gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Performed {
    /// What was made, where something was.
    pub made: Option<Value>,
    /// client-request-id.
    pub request: Option<String>,
}

/// What what-if says of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The policy's id.
    pub id: String,
    /// The policy's name.
    pub name: String,
    /// It applies; or it would, were it on.
    pub applies: bool,
    /// It blocks.
    pub blocks: bool,
    /// Graph's words for why not.
    pub reasons: Vec<String>,
}

/// A tenant's policies.
pub trait Reach {
    /// One document; `None` when there is none.
    ///
    /// # Errors
    /// What Graph says.
    fn read(&self, at: &Resource) -> Result<Option<Value>, GraphError>;

    /// The authentication methods policy with all its methods.
    ///
    /// # Errors
    /// What Graph says.
    fn methods(&self, beta: bool) -> Result<Value, GraphError>;

    /// All documents of a kind.
    ///
    /// # Errors
    /// What Graph says.
    fn list(&self, kind: Kind) -> Result<Vec<Value>, GraphError>;

    /// One write.
    ///
    /// # Errors
    /// What Graph says; [`ErrorKind::Unknown`] when it may have been carried out.
    fn perform(&self, act: &Act) -> Result<Performed, GraphError>;

    /// What every policy would do to a person.
    ///
    /// # Errors
    /// What Graph says.
    fn what_if(&self, user: &UserId, doing: &Doing, at: Option<&Spot>) -> Result<Vec<Tried>, GraphError>;

    /// Some of the people in a group, by object id.
    ///
    /// # Errors
    /// What Graph says.
    fn members(&self, group: &str) -> Result<Vec<UserId>, GraphError>;

    /// Waits.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the operator ends it.
    fn pause(&self, time: Duration) -> Result<(), GraphError>;
}

/// A tenant over Graph.
pub struct OverGraph<'a> {
    /// Signed in.
    pub graph: &'a Graph,
    /// For waits.
    pub clock: &'a dyn Clock,
    /// Ends waits.
    pub cancel: &'a Cancel,
}

fn document(body: &Value) -> Document {
    Document::from_json(body.clone()).unwrap_or_default()
}

fn made<T>(written: Written<T>, value: impl FnOnce(T) -> Option<Value>) -> Performed {
    Performed { request: written.ids.client_request_id, made: value(written.value) }
}

fn method(id: &str) -> Method {
    const KNOWN: [Method; 11] = [
        Method::Fido2,
        Method::TemporaryAccessPass,
        Method::MicrosoftAuthenticator,
        Method::HardwareOath,
        Method::SoftwareOath,
        Method::Sms,
        Method::Voice,
        Method::Email,
        Method::X509Certificate,
        Method::VerifiableCredentials,
        Method::QrCodePin,
    ];
    KNOWN.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(id)).unwrap_or_else(|| Method::read(id))
}

/// What nobody can be asked about comes back as nothing.
fn found(answer: Result<Value, GraphError>) -> Result<Option<Value>, GraphError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The policy without its methods: they are documents of their own.
fn rootless(mut policy: Value) -> Value {
    if let Some(map) = policy.as_object_mut() {
        map.shift_remove("authenticationMethodConfigurations");
    }
    policy
}

/// An app that a policy's word for apps is about: what-if is asked about one.
fn example_of(app: &str) -> String {
    const SHAREPOINT: &str = "00000003-0000-0ff1-ce00-000000000000";
    if matches!(app, "All" | "Office365") { SHAREPOINT.to_owned() } else { app.to_owned() }
}

impl Reach for OverGraph<'_> {
    fn read(&self, at: &Resource) -> Result<Option<Value>, GraphError> {
        let graph = self.graph;
        let bare = |document: &Document| document.bare().into_json();
        found(match at {
            Resource::Policy => {
                graph.authentication_methods_policy(ApiVersion::V1).map(|it| rootless(bare(it.document())))
            }
            Resource::BetaPolicy => {
                graph.authentication_methods_policy(ApiVersion::Beta).map(|it| rootless(bare(it.document())))
            }
            Resource::Method(id) => graph.method_configuration(&method(id)).map(|it| bare(it.document())),
            Resource::Location(id) => graph.named_location(id).map(|it| bare(it.document())),
            Resource::Strength(id) => graph.authentication_strength(id).map(|it| bare(it.document())),
            Resource::Access(id) => graph.conditional_access_policy(id).map(|it| bare(it.document())),
            Resource::Defaults => graph.security_defaults().map(|it| bare(it.document())),
            Resource::Devices => graph.device_registration_policy().map(|it| bare(it.document())),
            Resource::Mfa(id) => graph.beta().requirements(&UserId::new(id.clone())).map(|it| bare(it.document())),
            Resource::Preference(id) => {
                graph.beta().sign_in_preferences(&UserId::new(id.clone())).map(|it| bare(it.document()))
            }
        })
    }

    fn methods(&self, beta: bool) -> Result<Value, GraphError> {
        let api = if beta { ApiVersion::Beta } else { ApiVersion::V1 };
        Ok(self.graph.authentication_methods_policy(api)?.document().bare().into_json())
    }

    fn list(&self, kind: Kind) -> Result<Vec<Value>, GraphError> {
        let graph = self.graph;
        Ok(match kind {
            Kind::Location => graph.named_locations()?.iter().map(|it| it.document().bare().into_json()).collect(),
            Kind::Strength => {
                graph.authentication_strengths()?.iter().map(|it| it.document().bare().into_json()).collect()
            }
            Kind::Access => {
                graph.conditional_access_policies()?.iter().map(|it| it.document().bare().into_json()).collect()
            }
        })
    }

    fn perform(&self, act: &Act) -> Result<Performed, GraphError> {
        let graph = self.graph;
        let none = |()| None;
        Ok(match act {
            Act::Change(at, body) => {
                let change = document(body);
                match at {
                    Resource::Policy => {
                        made(graph.change_authentication_methods_policy(ApiVersion::V1, &change)?, none)
                    }
                    Resource::BetaPolicy => {
                        made(graph.change_authentication_methods_policy(ApiVersion::Beta, &change)?, none)
                    }
                    Resource::Method(id) => made(graph.change_method_configuration(&method(id), &change)?, none),
                    Resource::Location(id) => made(graph.change_named_location(id, &change)?, none),
                    Resource::Strength(id) => made(graph.change_authentication_strength(id, &change)?, none),
                    Resource::Access(id) => made(graph.change_conditional_access_policy(id, &change)?, none),
                    Resource::Defaults => made(graph.change_security_defaults(&change)?, none),
                    Resource::Devices => made(graph.replace_device_registration_policy(&change)?, none),
                    Resource::Mfa(id) => {
                        let state = PerUserMfa::read(change.text("/perUserMfaState").unwrap_or("disabled"));
                        made(graph.beta().set_per_user_mfa(&UserId::new(id.clone()), &state)?, none)
                    }
                    Resource::Preference(id) => {
                        made(graph.beta().change_sign_in_preferences(&UserId::new(id.clone()), &change)?, none)
                    }
                }
            }
            Act::Create(kind, body) => {
                let new = document(body);
                match kind {
                    Kind::Location => made(graph.create_named_location(&new)?, |it| Some(it.document().to_json())),
                    Kind::Strength => {
                        made(graph.create_authentication_strength(&new)?, |it| Some(it.document().to_json()))
                    }
                    Kind::Access => {
                        made(graph.create_conditional_access_policy(&new)?, |it| Some(it.document().to_json()))
                    }
                }
            }
            Act::Combinations { strength, allow } => {
                let list: Vec<Combination> = allow.iter().map(|text| Combination::read(text)).collect();
                made(graph.change_combinations(strength, &list)?, |_| None)
            }
            Act::Limit { strength, id, models } => {
                let set = models.iter().copied().collect();
                match id {
                    None => made(graph.limit_key_models(strength, &set)?, |_| None),
                    Some(id) if models.is_empty() => made(graph.delete_combination_configuration(strength, id)?, none),
                    Some(id) => made(graph.change_key_models(strength, id, &set)?, none),
                }
            }
            Act::Delete(at) => match at {
                Resource::Location(id) => made(graph.delete_named_location(id)?, none),
                Resource::Strength(id) => made(graph.delete_authentication_strength(id)?, none),
                Resource::Access(id) => made(graph.delete_conditional_access_policy(id)?, none),
                other => {
                    let fact = format!("{other} is a setting of the tenant and can't be deleted");
                    return Err(GraphError::new(ErrorKind::Settings, Fixer::Developer, fact));
                }
            },
        })
    }

    fn what_if(&self, user: &UserId, doing: &Doing, at: Option<&Spot>) -> Result<Vec<Tried>, GraphError> {
        let undertaking = match doing {
            Doing::RegisterSecurityInfo => Undertaking::RegisterSecurityInformation,
            Doing::RegisterDevice => Undertaking::RegisterOrJoinDevice,
            Doing::SignIn(apps) => Undertaking::SignIn(apps.iter().map(|app| example_of(app)).collect()),
        };
        let circumstances = Circumstances {
            country: at.and_then(|at| if let Spot::Country(code) = at { Some(code.clone()) } else { None }),
            address: at.and_then(|at| if let Spot::Address(address) = at { Some(*address) } else { None }),
            platform: Some("windows".to_owned()),
            client: Some("browser".to_owned()),
            ..Circumstances::default()
        };
        let told = self.graph.what_if(user, &undertaking, &circumstances, false)?;
        Ok(told
            .iter()
            .map(|one| {
                let (policy, reasons) = (one.policy(), one.reasons());
                let controls = policy.document().texts("/grantControls/builtInControls");
                Tried {
                    id: policy.id().to_ascii_lowercase(),
                    name: policy.name().to_owned(),
                    // A policy that is off says so; with nothing else against it, it would apply.
                    applies: one.applies() || reasons == ["policyNotEnabled"],
                    blocks: controls.contains(&"block"),
                    reasons: reasons.into_iter().map(str::to_owned).collect(),
                }
            })
            .collect())
    }

    fn members(&self, group: &str) -> Result<Vec<UserId>, GraphError> {
        let group = crate::graph::Group { id: group.to_owned(), name: group.to_owned() };
        Ok(self.graph.group_members(&group)?.into_iter().map(|user| user.id).collect())
    }

    fn pause(&self, time: Duration) -> Result<(), GraphError> {
        self.cancel.wait(self.clock, time).map_err(|_| {
            GraphError::new(ErrorKind::Cancelled, Fixer::Operator, "Stopped while waiting for the tenant")
                .because("The command was interrupted.")
                .advise("Run the same command again; it reads what the tenant holds first.")
        })
    }
}
