//! A person's passkeys: creation options, register, list, get, delete.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::access::{self, Act, Caller};
use super::accounts;
use super::audit_log;
use super::credential_id::{exclude_id, url_token};
use super::errors;
use super::http::{Answer, Call, Version};
use super::registration::{self, Accepted, Refused};
use super::route::Who;
use super::spec::{Code, Refusal, UserType};
use super::store::{Method, Person, Store, seconds};

/// The person a call is about, once the caller may do this to them.
fn target<'a>(store: &'a Store, version: Version, caller: &Caller, who: &Who, act: Act) -> Result<&'a Person, Answer> {
    if *who == Who::Me && caller.user.is_none() {
        return Err(access::me_without_person());
    }
    let Some(person) = store.who(who, caller) else {
        return Err(errors::graph(404, "resourceNotFound", "The requested user was not found."));
    };
    access::passkeys(store, version, caller, who, person, act)?;
    Ok(person)
}

fn refusal(store: &Store, (why, message): &Refused) -> Answer {
    let code = store.spec.codes.get(&why.to_owned()).cloned().unwrap_or_else(|| default_code(*why));
    errors::graph(code.status, &code.code, message)
}

/// Microsoft documents none of these; the authentication-methods layer's style, told apart by their texts.
fn default_code(why: Refusal) -> Code {
    let (status, code) = match why {
        Refusal::MethodDisabled | Refusal::SelfServiceOff | Refusal::Guest => (403, "accessDenied"),
        _ => (400, "badRequest"),
    };
    Code { status, code: code.into() }
}

/// What must hold of policy and person before anything else.
fn may_have_passkeys(store: &Store, person: &Person) -> Result<(), Refused> {
    let no = |why, message: &str| Err((why, message.to_owned()));
    if person.user_type == UserType::Guest {
        return no(Refusal::Guest, "Guest users can't register passkeys.");
    }
    if !person.enabled {
        return no(Refusal::AccountDisabled, "The user account is disabled.");
    }
    if !super::policies::in_scope(store, person) {
        return no(Refusal::MethodDisabled, "The Passkey (FIDO2) method is not enabled for the user.");
    }
    if !store.policy.self_service {
        return no(Refusal::SelfServiceOff, "Self-service set up is not allowed by the Passkey (FIDO2) policy.");
    }
    let most = store.spec.quirks.max_passkeys;
    if person.methods.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Err((Refusal::TooMany, format!("The user has the maximum of {most} passkeys.")));
    }
    Ok(())
}

/// `GET …/creationOptions`
pub(super) fn creation_options(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    (who, minutes): (&Who, Option<&str>),
    call: &Call,
) -> Result<Answer, Answer> {
    let lifetime = lifetime(store, version, minutes, call)?;
    let person = target(store, version, caller, who, Act::Write)?;
    may_have_passkeys(store, person).map_err(|why| refusal(store, &why))?;
    let id = person.id.clone();
    audit_log::options_given(store, caller, &id);
    let expires = store.now().saturating_add(lifetime).unwrap_or(jiff::Timestamp::MAX);
    let challenge = store.challenges.issue(store.seed, &id, expires);
    let person = store.person(&id).ok_or_else(|| errors::no_such_resource(&id))?;
    let quirks = &store.spec.quirks;
    let excluded: Vec<Value> = person
        .methods
        .iter()
        .map(|method| json!({ "id": exclude_id(&method.credential_id, quirks.id_encoding), "type": "public-key", "transports": [] }))
        .collect();
    // 51 bytes beginning with `OF:`, the same on every call for one person.
    let handle = [b"OF:".as_slice(), &store.seed.bytes(&format!("handle {id}"), 48)].concat();
    let mut options = json!({
        "challengeTimeoutDateTime": seconds(expires),
        "publicKey": {
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "timeout": quirks.options_timeout,
            "attestation": "direct",
            "rp": { "id": quirks.rp_id, "name": "Microsoft" },
            "user": { "id": URL_SAFE_NO_PAD.encode(handle), "displayName": person.display_name, "name": person.upn },
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }, { "type": "public-key", "alg": -257 }],
            "excludeCredentials": excluded,
            "authenticatorSelection": {
                "authenticatorAttachment": "cross-platform",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "extensions": {
                "hmacCreateSecret": true,
                "enforceCredentialProtectionPolicy": true,
                "credentialProtectionPolicy": quirks.credential_protection,
            },
        },
    });
    if quirks.odata_noise {
        add_noise(&mut options);
    }
    let context =
        format!("{}/{}/$metadata#microsoft.graph.webauthnCredentialCreationOptions", store.base, version.name());
    if quirks.value_wrapper {
        return Ok(Answer::json(200, json!({ "@odata.context": context, "value": options })));
    }
    if let Some(object) = options.as_object_mut() {
        object.shift_insert(0, "@odata.context".into(), context.into());
    }
    Ok(Answer::json(200, options))
}

fn lifetime(store: &Store, version: Version, minutes: Option<&str>, call: &Call) -> Result<SignedDuration, Answer> {
    let usual = SignedDuration::from_secs(i64::from(store.spec.quirks.challenge_seconds));
    // The query form works on beta; on v1.0 nobody knows, and it is ignored.
    let asked = match (version, minutes) {
        (Version::V1, Some(_)) => {
            return Err(errors::graph(400, "BadRequest", "Resource not found for the segment 'creationOptions'."));
        }
        (Version::V1, None) => return Ok(usual),
        (Version::Beta, asked) => asked.or_else(|| call.query("challengeTimeoutInMinutes")),
    };
    let Some(asked) = asked else { return Ok(usual) };
    match asked.parse::<i64>() {
        Ok(minutes) if (5..=43_200).contains(&minutes) => Ok(SignedDuration::from_mins(minutes)),
        _ => Err(errors::graph(
            400,
            "badRequest",
            "Invalid challengeTimeoutInMinutes specified. The valid range is between 5 and 43200.",
        )),
    }
}

/// `@odata.type` at every level, as one page of the documentation prints it.
fn add_noise(options: &mut Value) {
    fn mark(value: &mut Value, kind: &str) {
        if let Some(object) = value.as_object_mut() {
            object.shift_insert(0, "@odata.type".into(), format!("#microsoft.graph.{kind}").into());
        }
    }
    mark(options, "webauthnCredentialCreationOptions");
    let key = &mut options["publicKey"];
    mark(key, "webauthnPublicKeyCredentialCreationOptions");
    mark(&mut key["rp"], "webauthnPublicKeyCredentialRpEntity");
    mark(&mut key["user"], "webauthnPublicKeyCredentialUserEntity");
    mark(&mut key["authenticatorSelection"], "webauthnAuthenticatorSelectionCriteria");
    mark(&mut key["extensions"], "webauthnAuthenticationExtensionsClientInputs");
    for (list, kind) in [
        ("pubKeyCredParams", "webauthnPublicKeyCredentialParameters"),
        ("excludeCredentials", "webauthnPublicKeyCredentialDescriptor"),
    ] {
        key[list].as_array_mut().into_iter().flatten().for_each(|item| mark(item, kind));
    }
}

/// `POST …/fido2Methods`
pub(super) fn register(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    call: &Call,
) -> Result<Answer, Answer> {
    let person = target(store, version, caller, who, Act::Write)?;
    let (id, upn) = (person.id.clone(), person.upn.clone());
    let accepted = match check(store, person, call) {
        Ok(accepted) => accepted,
        Err(why) => {
            store.reject(&upn, &why.1);
            return Err(refusal(store, &why));
        }
    };
    let now = store.now();
    let (challenge, accepted) = accepted;
    store.challenges.spend(&challenge);
    let lag = SignedDuration::from_millis(i64::try_from(store.spec.quirks.list_lag_ms).unwrap_or(i64::MAX));
    let method = Method {
        id: url_token(&accepted.credential_id),
        credential_id: accepted.credential_id,
        cose: accepted.cose,
        aaguid: accepted.aaguid,
        display_name: accepted.display_name,
        created: now,
        last_used: None,
        synced: accepted.synced,
        attested: accepted.attested,
        certificates: accepted.certificates,
        visible_from: now.saturating_add(lag).unwrap_or(now),
        hidden_reads: store.spec.quirks.list_lag_reads,
    };
    let mut body = as_json(&method, version);
    body["@odata.context"] = context(store, version, &id, "/$entity").into();
    audit_log::passkey_added(store, Some(caller), &id, &method.aaguid);
    if let Some(person) = store.person_mut(&id) {
        person.methods.push(method);
    }
    Ok(Answer::json(201, body))
}

fn check(store: &Store, person: &Person, call: &Call) -> Result<(Vec<u8>, Accepted), Refused> {
    if !call.is_json() {
        return Err((Refusal::Malformed, "Content-Type is not application/json.".into()));
    }
    let quirks = &store.spec.quirks;
    let now = store.now();
    let request = registration::read_request(&call.body)?;
    let challenge = registration::read_client_data(&request.client_data, &quirks.rp_id)?;
    let attested = registration::check_attestation(&request, &quirks.rp_id)?;
    // Before the challenge: the same request again should be told the truth, that its credential is there.
    if store
        .people
        .iter()
        .flat_map(|person| &person.methods)
        .any(|method| method.credential_id == attested.credential_id)
    {
        return Err((Refusal::Duplicate, "The credential is already registered.".into()));
    }
    store.challenges.check(&challenge, &person.id, now).map_err(|(why, message)| (why, message.to_owned()))?;
    may_have_passkeys(store, person)?;
    let profiles = super::policies::profiles_of(store, person);
    let roots: Vec<Vec<u8>> = store
        .policy
        .attestation_roots
        .iter()
        .filter_map(|text| pem::parse(text).ok())
        .map(pem::Pem::into_contents)
        .collect();
    let chain_holds = registration::check_policy(&attested, &profiles, &roots, quirks, now.as_second())?;
    Ok((challenge, registration::accept(request, attested, chain_holds)))
}

fn context(store: &Store, version: Version, user: &str, tail: &str) -> String {
    format!("{}/{}/$metadata#users('{user}')/authentication/fido2Methods{tail}", store.base, version.name())
}

fn as_json(method: &Method, version: Version) -> Value {
    let mut value = json!({
        "@odata.type": "#microsoft.graph.fido2AuthenticationMethod",
        "id": method.id,
        "displayName": method.display_name,
        "createdDateTime": seconds(method.created),
        "aaGuid": method.aaguid,
        "model": model(&method.aaguid),
        "attestationCertificates": method.certificates,
        "attestationLevel": if method.attested { "attested" } else { "notAttested" },
        "passkeyType": if method.synced { "synced" } else { "deviceBound" },
    });
    if version == Version::Beta {
        value["lastUsedDateTime"] = method.last_used.map_or(Value::Null, |at| seconds(at).into());
    }
    value
}

/// The service names models it knows by AAGUID; others have none.
fn model(aaguid: &str) -> Value {
    match aaguid {
        "2fc0579f-8113-47ea-b116-bb5a8db9202a"
        | "fa2b99dc-9e39-4257-8f92-4a30d23c4118"
        | "d7781e5d-e353-46aa-afe2-3ca49f13332a" => "YubiKey 5 Series with NFC".into(),
        "cb69481e-8ff7-4039-93ec-0a2729a154a8" | "ee882879-721c-4913-9775-3dfcce97072a" => "YubiKey 5 Series".into(),
        "a4e9fc6d-4cbe-4758-b8ba-37598bb5bbaa" | "b7d3f68e-88a6-471e-9ecf-2df26d041ede" => {
            "Security Key NFC by Yubico".into()
        }
        "833b721a-ff5f-4d00-bb2e-bdda3ec01e29" | "ee041bce-25e5-4cdb-8f86-897fd6418464" => "Feitian ePass FIDO2".into(),
        "42b4fb4a-2866-43b2-9bf7-6c6669c2e5d3" => "Google Titan Security Key v2".into(),
        _ => Value::Null,
    }
}

/// `GET …/fido2Methods` and `GET …/authentication/methods`
pub(super) fn list(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    all: bool,
) -> Result<Answer, Answer> {
    let id = if all {
        accounts::target(store, caller, who, accounts::ALL_METHODS, Act::Read)?.id.clone()
    } else {
        target(store, version, caller, who, Act::Read)?.id.clone()
    };
    let mut methods: Vec<Value> = store.visible_methods(&id).iter().map(|method| as_json(method, version)).collect();
    if all {
        if let Some(person) = store.person(&id) {
            methods.extend(accounts::methods(store, version, person, store.now()));
            methods.extend(super::insight::other_methods(store, version, person));
        }
        // Everybody has a password; its id is the same everywhere.
        methods.push(json!({
            "@odata.type": "#microsoft.graph.passwordAuthenticationMethod",
            "id": "28c10230-6103-485e-b985-444c60001490",
            "password": null,
        }));
    }
    let mut body = json!({ "@odata.context": context(store, version, &id, ""), "value": methods });
    if !all {
        body["@microsoft.graph.tips"] =
            "Use $select to choose only the properties your app needs, as this can lead to performance improvements."
                .into();
    }
    Ok(Answer::json(200, body))
}

fn no_such_method() -> Answer {
    errors::graph(404, "resourceNotFound", "The requested authentication method was not found.")
}

/// `GET …/fido2Methods/{id}`
pub(super) fn get(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    method: &str,
) -> Result<Answer, Answer> {
    let id = target(store, version, caller, who, Act::Read)?.id.clone();
    let found = store.visible_methods(&id).into_iter().find(|known| known.id == method).ok_or_else(no_such_method)?;
    let mut body = as_json(&found, version);
    body["@odata.context"] = context(store, version, &id, "/$entity").into();
    Ok(Answer::json(200, body))
}

/// `DELETE …/fido2Methods/{id}`
pub(super) fn delete(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    method: &str,
) -> Result<Answer, Answer> {
    let id = target(store, version, caller, who, Act::Write)?.id.clone();
    let person = store.person_mut(&id).ok_or_else(no_such_method)?;
    let index = person.methods.iter().position(|known| known.id == method).ok_or_else(no_such_method)?;
    let gone = person.methods.remove(index);
    audit_log::passkey_deleted(store, caller, &id, &gone.aaguid);
    Ok(Answer::empty(204))
}
