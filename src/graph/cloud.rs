//! Which hosts we talk to. Only Microsoft's known pairs, or this machine itself.
//!
//! Promise: a token never goes to a host that a mistyped or tampered setting names. Plain HTTP goes to this machine only.
//! National clouds are refused where the registration API does not exist, with that reason (Microsoft's page "National
//! cloud deployments" and the per-method tables).

use url::Url;

use super::error::{ErrorKind, Fixer, GraphError};

/// One login host with the Graph host it signs in to.
struct Pair {
    name: &'static str,
    login: &'static [&'static str],
    graph: &'static str,
    /// Why a key can't be registered there; `None` where it can.
    missing: Option<&'static str>,
}

const PAIRS: [Pair; 4] = [
    Pair {
        name: "the global cloud",
        login: &["login.microsoftonline.com"],
        graph: "graph.microsoft.com",
        missing: None,
    },
    Pair {
        name: "the US Government cloud (GCC High)",
        login: &["login.microsoftonline.us"],
        graph: "graph.microsoft.us",
        missing: Some(
            "Graph lists and deletes passkeys there, but has no creationOptions and no registration by an administrator",
        ),
    },
    Pair {
        name: "the US Government cloud (DoD)",
        login: &["login.microsoftonline.us"],
        graph: "dod-graph.microsoft.us",
        missing: Some(
            "Graph lists and deletes passkeys there, but has no creationOptions and no registration by an administrator",
        ),
    },
    Pair {
        name: "the cloud operated by 21Vianet in China",
        login: &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
        graph: "microsoftgraph.chinacloudapi.cn",
        missing: Some("Graph has no fido2Methods there at all"),
    },
];

/// Where to sign in and where Graph is; checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    login: Url,
    graph: Url,
    loopback: bool,
}

impl Cloud {
    /// The worldwide cloud.
    pub fn global() -> Self {
        // infallible: both are constants of a known pair.
        Self::from_settings(None, None).unwrap_or_else(|_| unreachable!("the defaults are a known pair"))
    }

    /// Checks the settings `graph_url` and `login_url`; a missing one is the global cloud's.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for an unknown host, two that don't belong together, a cloud without the API, plain HTTP to
    /// anything but loopback.
    pub fn from_settings(graph_url: Option<&str>, login_url: Option<&str>) -> Result<Self, GraphError> {
        let graph = parse("graph_url", graph_url.unwrap_or("https://graph.microsoft.com"))?;
        let login = parse("login_url", login_url.unwrap_or("https://login.microsoftonline.com"))?;
        match (is_loopback(&graph), is_loopback(&login)) {
            (true, true) => return Ok(Self { login, graph, loopback: true }),
            (false, false) => {}
            _ => {
                return Err(settings("`graph_url` and `login_url` under [tenant] don't belong together")
                    .because("One is this machine, the other is not: a real sign-in would be shown to a simulator, or the reverse.")
                    .advise("Set both from the same line of `keybench sim tenant`, or remove both."));
            }
        }
        for (name, url) in [("graph_url", &graph), ("login_url", &login)] {
            if url.scheme() != "https" {
                return Err(settings(format!(
                    "`{name}` under [tenant] is {url}: plain HTTP is allowed to this machine only"
                ))
                .because("A token sent without TLS can be read by anybody on the way.")
                .advise(format!("Write https:// in `{name}`, or remove the line.")));
            }
        }
        let (graph_host, login_host) = (graph.host_str().unwrap_or(""), login.host_str().unwrap_or(""));
        let default_ports = graph.port().is_none() && login.port().is_none();
        let pair =
            PAIRS.iter().find(|pair| pair.graph == graph_host && pair.login.contains(&login_host) && default_ports);
        match pair {
            Some(Pair { missing: None, .. }) => Ok(Self { login, graph, loopback: false }),
            Some(Pair { name, missing: Some(why), .. }) => {
                Err(settings(format!("Keys can't be registered for other people in {name}"))
                    .because(format!("{why}."))
                    .advise("Let people there register their keys themselves, with a Temporary Access Pass.")
                    .fixed_by(Fixer::Microsoft))
            }
            None => Err(settings(format!(
                "`graph_url` {graph} with `login_url` {login} is no known pair of Microsoft's clouds"
            ))
            .because("A token is sent only where Microsoft is known to be; anything else could be a trap.")
            .advise("Remove both lines for the global cloud, or use the two addresses `keybench sim tenant` prints.")),
        }
    }

    /// No TLS on either side; only this machine may do that.
    pub fn is_plain(&self) -> bool {
        [&self.login, &self.graph].iter().all(|url| url.scheme() == "http")
    }

    /// Graph's origin, without a version.
    pub fn graph(&self) -> &Url {
        &self.graph
    }

    /// The sign-in service's origin.
    pub fn login(&self) -> &Url {
        &self.login
    }

    /// Both are on this machine: a simulator.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The prefix of scopes: `https://graph.microsoft.com`. A simulator goes by the global cloud's names.
    pub fn resource(&self) -> String {
        if self.loopback { "https://graph.microsoft.com".to_owned() } else { self.graph.origin().ascii_serialization() }
    }

    /// Whether `url` may be sent a Graph token: the same scheme, host and port.
    pub fn is_graph(&self, url: &Url) -> bool {
        url.origin() == self.graph.origin() && url.username().is_empty() && url.password().is_none()
    }
}

fn settings(fact: impl Into<String>) -> GraphError {
    GraphError::new(ErrorKind::Settings, Fixer::Operator, fact)
}

fn parse(name: &str, text: &str) -> Result<Url, GraphError> {
    let wrong = |why: &str| {
        settings(format!("`{name}` under [tenant] is not usable: {}", super::error::one_line(text, 120)))
            .because(why)
            .advise(format!(
                "Give scheme and host only, as in `{name} = \"https://graph.microsoft.com\"`, or remove the line."
            ))
    };
    let url = Url::parse(text.trim()).map_err(|error| wrong(&format!("It is no URL: {error}.")))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(wrong("It is no web address."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("It holds a user name or password."));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("It goes on after the host; the version and the path are keybench's."));
    }
    Ok(url)
}

/// Whether the host is this machine: 127.0.0.0/8, ::1, or `localhost` (which the HTTP client pins to 127.0.0.1).
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(graph: Option<&str>, login: Option<&str>) -> String {
        let error = Cloud::from_settings(graph, login).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(!error.next().is_empty());
        error.to_string()
    }

    #[test]
    fn the_global_pair_and_loopback_are_fine() {
        let cloud = Cloud::global();
        assert_eq!(cloud.resource(), "https://graph.microsoft.com");
        assert!(!cloud.is_loopback());
        let cloud =
            Cloud::from_settings(Some("http://127.0.0.1:8080"), Some("http://127.0.0.1:8080/")).expect("loopback");
        assert!(cloud.is_loopback());
        assert_eq!(cloud.resource(), "https://graph.microsoft.com");
        assert!(Cloud::from_settings(Some("http://[::1]:80"), Some("http://localhost:81")).is_ok());
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let http = refusal(Some("http://graph.microsoft.com"), None);
        assert!(http.contains("plain HTTP"), "{http}");
        assert!(refusal(Some("https://graph.example.com"), None).contains("no known pair"));
        assert!(refusal(Some("https://graph.microsoft.com:8443"), None).contains("no known pair"));
        assert!(refusal(Some("https://graph.microsoft.com.evil.example"), None).contains("no known pair"));
        assert!(refusal(Some("https://127.0.0.1.nip.io"), None).contains("no known pair"));
        assert!(refusal(Some("http://127.0.0.1:1"), None).contains("don't belong together"));
        assert!(refusal(Some("https://graph.microsoft.com/v1.0"), None).contains("after the host"));
        assert!(refusal(Some("https://me:pw@graph.microsoft.com"), None).contains("password"));
        assert!(refusal(Some("ftp://graph.microsoft.com"), None).contains("no web address"));
        assert!(refusal(Some("graph.microsoft.com"), None).contains("no URL"));
    }

    #[test]
    fn clouds_without_the_api_are_named() {
        let us = Some("https://login.microsoftonline.us");
        assert!(refusal(Some("https://graph.microsoft.us"), us).contains("no creationOptions"));
        assert!(refusal(Some("https://dod-graph.microsoft.us"), us).contains("DoD"));
        let cn = Some("https://login.partner.microsoftonline.cn");
        assert!(refusal(Some("https://microsoftgraph.chinacloudapi.cn"), cn).contains("no fido2Methods"));
    }

    #[test]
    fn a_token_stays_on_its_origin() {
        let cloud = Cloud::global();
        let may = |text: &str| cloud.is_graph(&Url::parse(text).expect("a URL"));
        assert!(may("https://graph.microsoft.com/v1.0/users?$skiptoken=x"));
        assert!(may("https://graph.microsoft.com:443/x"));
        assert!(!may("http://graph.microsoft.com/x"));
        assert!(!may("https://graph.microsoft.com:444/x"));
        assert!(!may("https://user@graph.microsoft.com/x"));
        assert!(!may("https://graph.microsoft.us/x"));
    }
}
