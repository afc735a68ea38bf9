//! App registrations (Microsoft Graph v1.0, "Create application", "Create servicePrincipal").

use serde_json::{Value, json};

use super::client::{ApiVersion, Graph};
use super::error::{ErrorKind, GraphError};
use super::http::Request;

/// A registration that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeApplication {
    /// The application (client) id.
    pub app_id: String,
    /// The registration's object id.
    pub object_id: String,
    /// What the tenant has now.
    pub json: Value,
    /// client-request-id of the write.
    pub request: Option<String>,
}

impl Graph {
    /// Makes an app registration as `body` says.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without `Application.ReadWrite.All` or a role for it; [`ErrorKind::Unknown`] when no answer came: look in the
    /// admin centre before making another.
    pub fn create_application(&self, body: &Value) -> Result<MadeApplication, GraphError> {
        let request =
            Request::post(self.url(ApiVersion::V1, "applications")?, body.clone(), "make the app registration");
        let answer = self.call(&request).map_err(|failure| needs_apps(failure.into()))?;
        let json = answer.object(&request.doing).map_err(GraphError::outcome_unknown)?;
        let text =
            |name: &str| json[name].as_str().filter(|text| uuid::Uuid::try_parse(text).is_ok()).map(str::to_owned);
        let missing = || {
            GraphError::malformed(&request.doing, "The new registration has no id.")
                .with_ids(answer.ids.clone())
                .outcome_unknown()
        };
        Ok(MadeApplication {
            app_id: text("appId").ok_or_else(missing)?,
            object_id: text("id").ok_or_else(missing)?,
            json: json.clone(),
            request: answer.ids.client_request_id.clone(),
        })
    }

    /// Makes the registration's service principal in this tenant, which consent is given to; client-request-id of the write.
    ///
    /// # Errors
    /// As [`Self::create_application`].
    pub fn create_service_principal(&self, app_id: &str) -> Result<Option<String>, GraphError> {
        let body = json!({ "appId": app_id });
        let request = Request::post(
            self.url(ApiVersion::V1, "servicePrincipals")?,
            body,
            "make the application known in the tenant",
        );
        let answer = self.call(&request).map_err(|failure| needs_apps(failure.into()))?;
        Ok(answer.ids.client_request_id)
    }
}

fn needs_apps(error: GraphError) -> GraphError {
    if error.kind() != ErrorKind::Forbidden {
        return error;
    }
    error
        .because("The sign-in lacks Application.ReadWrite.All, or the person lacks an active role such as Application Developer or Cloud Application Administrator.")
        .advise("Make the registration by hand: `keybench tenant app` prints everything that goes into it.")
}
