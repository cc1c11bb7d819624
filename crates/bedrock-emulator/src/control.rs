//! The control plane: which models, profiles and deployments a region has.

use crate::account::{Account, open};
use crate::call::Call;
use crate::catalogue::{Model, Profile, no_such_model};
use crate::deployment::{Deployment, Kind};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::reply::Reply;
use serde_json::{Value, json};

pub(crate) async fn reply(
    account: &Account,
    call: &Call,
    operation: Operation,
) -> Result<Reply, Fault> {
    if let Some(reply) = open(&account.script_for_list(&call.region, operation)).await {
        return Ok(reply);
    }
    answer(account, call, operation).map(Reply::from)
}

fn answer(account: &Account, call: &Call, operation: Operation) -> Result<Value, Fault> {
    match operation {
        Operation::ListFoundationModels => Ok(list_models(account, call)),
        Operation::GetFoundationModel => get_model(account, call),
        Operation::GetFoundationModelAvailability => get_availability(account, call),
        Operation::ListInferenceProfiles => list_profiles(account, call),
        Operation::GetInferenceProfile => get_profile(account, call),
        Operation::ListImportedModels => list(account, call, Kind::Imported, "modelSummaries"),
        Operation::ListProvisionedModelThroughputs => {
            list(account, call, Kind::Provisioned, "provisionedModelSummaries")
        }
        Operation::ListMarketplaceModelEndpoints => {
            list(account, call, Kind::Marketplace, "marketplaceModelEndpoints")
        }
        Operation::ListCustomModelDeployments => {
            list(account, call, Kind::Custom, "modelDeploymentSummaries")
        }
        Operation::ListPromptRouters => list(account, call, Kind::Router, "promptRouterSummaries"),
        Operation::Converse
        | Operation::ConverseStream
        | Operation::InvokeModel
        | Operation::InvokeModelWithResponseStream
        | Operation::CountTokens
        | Operation::ApplyGuardrail => {
            Err(Fault::of("UnknownOperationException", "This is the control plane."))
        }
    }
}

fn list_models(account: &Account, call: &Call) -> Value {
    let asked = |filter: &str, values: &[String]| {
        call.query(filter).is_none_or(|want| values.iter().any(|value| *value == want))
    };
    let provider = call.query("byProvider");
    let summaries: Vec<_> = account
        .catalogue
        .models
        .iter()
        .filter(|model| model.regions.contains(&call.region))
        .filter(|model| {
            provider.as_ref().is_none_or(|want| model.provider.eq_ignore_ascii_case(want))
        })
        .filter(|model| asked("byOutputModality", &model.output))
        .filter(|model| asked("byInferenceType", &model.inference))
        .filter(|model| asked("byCustomizationType", &model.customizations))
        .map(|model| summary(model, &call.region))
        .collect();
    json!({ "modelSummaries": summaries })
}

fn get_model(account: &Account, call: &Call) -> Result<Value, Fault> {
    let model = account.catalogue.listed(&call.region, call.target()).ok_or_else(no_such_model)?;
    Ok(json!({ "modelDetails": summary(model, &call.region) }))
}

fn get_availability(account: &Account, call: &Call) -> Result<Value, Fault> {
    let model = account.catalogue.listed(&call.region, call.target()).ok_or_else(no_such_model)?;
    Ok(json!({
        "modelId": model.id,
        "agreementAvailability": { "status": "AVAILABLE" },
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }))
}

fn list_profiles(account: &Account, call: &Call) -> Result<Value, Fault> {
    let kind = call.query("type");
    let profiles: Vec<_> = account
        .catalogue
        .profiles
        .iter()
        .filter(|profile| profile.regions.contains(&call.region))
        .filter(|profile| kind.as_ref().is_none_or(|want| type_of(profile) == want))
        .map(|profile| profile_summary(profile, &call.region))
        .collect();
    page(call, "inferenceProfileSummaries", profiles)
}

fn list(account: &Account, call: &Call, kind: Kind, name: &str) -> Result<Value, Fault> {
    let deployments = account.catalogue.deployments.iter();
    let listed = deployments.filter(|own| own.region == call.region && own.is_listed_as(kind));
    let asked_for = |summary: &Value| {
        [("statusEquals", "status"), ("type", "type")].into_iter().all(|(filter, field)| {
            call.query(filter).is_none_or(|wanted| summary[field] == *wanted)
        })
    };
    page(call, name, listed.map(Deployment::summary).filter(asked_for).collect())
}

const PAGE: usize = 1000;

/// One page of a list of this name; the token is the place of the next.
fn page(call: &Call, name: &str, items: Vec<Value>) -> Result<Value, Fault> {
    let size = call.query("maxResults").map_or(Ok(PAGE), |size| size.parse());
    let size = size.ok().filter(|size| (1..=PAGE).contains(size)).ok_or_else(bad_page_size)?;
    let from = call.query("nextToken").map_or(Ok(0), |token| token.parse::<usize>());
    let from = from.map_err(|_| Fault::validation("The provided next token is invalid."))?;
    let next = from.saturating_add(size);
    let mut answer = json!({});
    if next < items.len() {
        answer["nextToken"] = next.to_string().into();
    }
    answer[name] = items.into_iter().skip(from).take(size).collect();
    Ok(answer)
}

fn bad_page_size() -> Fault {
    Fault::validation(format!(
        "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value \
         between 1 and {PAGE}"
    ))
}

fn get_profile(account: &Account, call: &Call) -> Result<Value, Fault> {
    let profile = account.catalogue.profile(&call.region, call.target());
    let profile =
        profile.ok_or_else(|| Fault::not_found("The provided inference profile was not found."))?;
    Ok(profile_summary(profile, &call.region))
}

fn summary(model: &Model, region: &str) -> Value {
    json!({
        "modelArn": model.arn(region),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": model.input,
        "outputModalities": model.output,
        "responseStreamingSupported": model.streaming,
        "customizationsSupported": model.customizations,
        "inferenceTypesSupported": model.inference,
        "modelLifecycle": { "status": if model.legacy { "LEGACY" } else { "ACTIVE" } },
    })
}

fn profile_summary(profile: &Profile, region: &str) -> Value {
    let model =
        |region: &String| format!("arn:aws:bedrock:{region}::foundation-model/{}", profile.model);
    let models: Vec<_> =
        profile.to.iter().map(|region| json!({ "modelArn": model(region) })).collect();
    json!({
        "inferenceProfileName": profile.name,
        "description": format!("Routes requests to {} in {}.", profile.name, profile.to.join(", ")),
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-06-01T00:00:00.123456Z",
        "inferenceProfileArn": profile.arn(region),
        "models": models,
        "inferenceProfileId": profile.id,
        "status": "ACTIVE",
        "type": type_of(profile),
    })
}

fn type_of(profile: &Profile) -> &'static str {
    if profile.application { "APPLICATION" } else { "SYSTEM_DEFINED" }
}
