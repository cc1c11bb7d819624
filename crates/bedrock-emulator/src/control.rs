//! The control plane: lists of the models, profiles and deployments of a region.

use crate::catalogue::{FoundationModel, InferenceProfile, unknown_model};
use crate::deployment::{Deployment, DeploymentKind};
use crate::exception::BedrockException;
use crate::operation::Operation;
use crate::received_request::ReceivedRequest;
use crate::response::EmulatorResponse;
use crate::state::{EmulatorState, apply_script};
use serde_json::{Value, json};

/// Answers a request of the control plane.
pub(crate) async fn reply(
    state: &EmulatorState,
    call: &ReceivedRequest,
    operation: Operation,
) -> Result<EmulatorResponse, BedrockException> {
    if let Some(reply) = apply_script(&state.script_for_operation(&call.region, operation)).await {
        return Ok(reply);
    }
    answer(state, call, operation).map(EmulatorResponse::from)
}

/// Answers an operation of the control plane.
fn answer(
    state: &EmulatorState,
    call: &ReceivedRequest,
    operation: Operation,
) -> Result<Value, BedrockException> {
    match operation {
        Operation::ListFoundationModels => Ok(list_models(state, call)),
        Operation::GetFoundationModel => get_foundation_model(state, call),
        Operation::GetFoundationModelAvailability => get_availability(state, call),
        Operation::ListInferenceProfiles => list_inference_profiles(state, call),
        Operation::GetInferenceProfile => get_profile(state, call),
        Operation::ListImportedModels => {
            list(state, call, DeploymentKind::Imported, "modelSummaries")
        }
        Operation::ListProvisionedModelThroughputs => {
            list(state, call, DeploymentKind::Provisioned, "provisionedModelSummaries")
        }
        Operation::ListMarketplaceModelEndpoints => {
            list(state, call, DeploymentKind::Marketplace, "marketplaceModelEndpoints")
        }
        Operation::ListCustomModelDeployments => {
            list(state, call, DeploymentKind::Custom, "modelDeploymentSummaries")
        }
        Operation::ListPromptRouters => {
            list(state, call, DeploymentKind::Router, "promptRouterSummaries")
        }
        Operation::Converse
        | Operation::ConverseStream
        | Operation::InvokeModel
        | Operation::InvokeModelWithResponseStream
        | Operation::CountTokens
        | Operation::ApplyGuardrail => Err(BedrockException::from_name(
            "UnknownOperationException",
            "This is the control plane.",
        )),
    }
}

fn list_models(state: &EmulatorState, call: &ReceivedRequest) -> Value {
    let asked = |filter: &str, values: &[String]| {
        call.query(filter).is_none_or(|want| values.iter().any(|value| *value == want))
    };
    let provider = call.query("byProvider");
    let summaries: Vec<_> = state
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

fn get_foundation_model(
    state: &EmulatorState,
    call: &ReceivedRequest,
) -> Result<Value, BedrockException> {
    let model =
        state.catalogue.find_listed_model(&call.region, call.target()).ok_or_else(unknown_model)?;
    Ok(json!({ "modelDetails": summary(model, &call.region) }))
}

fn get_availability(
    state: &EmulatorState,
    call: &ReceivedRequest,
) -> Result<Value, BedrockException> {
    let model =
        state.catalogue.find_listed_model(&call.region, call.target()).ok_or_else(unknown_model)?;
    Ok(json!({
        "modelId": model.id,
        "agreementAvailability": { "status": "AVAILABLE" },
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }))
}

fn list_inference_profiles(
    state: &EmulatorState,
    call: &ReceivedRequest,
) -> Result<Value, BedrockException> {
    let kind = call.query("type");
    let profiles: Vec<_> = state
        .catalogue
        .profiles
        .iter()
        .filter(|profile| profile.regions.contains(&call.region))
        .filter(|profile| kind.as_ref().is_none_or(|want| type_of(profile) == want))
        .map(|profile| profile_summary(profile, &call.region))
        .collect();
    page(call, "inferenceProfileSummaries", profiles)
}

/// Lists the deployments of a kind, under this name in the answer.
fn list(
    state: &EmulatorState,
    call: &ReceivedRequest,
    kind: DeploymentKind,
    name: &str,
) -> Result<Value, BedrockException> {
    let deployments = state.catalogue.deployments.iter();
    let listed = deployments.filter(|own| own.region == call.region && own.is_listed_as(kind));
    let asked_for = |summary: &Value| {
        [("statusEquals", "status"), ("type", "type")].into_iter().all(|(filter, field)| {
            call.query(filter).is_none_or(|wanted| summary[field] == *wanted)
        })
    };
    page(call, name, listed.map(Deployment::summary).filter(asked_for).collect())
}

/// The largest and default page size.
const PAGE: usize = 1000;

/// Returns one page of a list. The token is the index of the next item.
fn page(call: &ReceivedRequest, name: &str, items: Vec<Value>) -> Result<Value, BedrockException> {
    let size = call.query("maxResults").map_or(Ok(PAGE), |size| size.parse());
    let size = size.ok().filter(|size| (1..=PAGE).contains(size)).ok_or_else(bad_page_size)?;
    let from = call.query("nextToken").map_or(Ok(0), |token| token.parse::<usize>());
    let from =
        from.map_err(|_| BedrockException::validation("The provided next token is invalid."))?;
    let next = from.saturating_add(size);
    let mut answer = json!({});
    if next < items.len() {
        answer["nextToken"] = next.to_string().into();
    }
    answer[name] = items.into_iter().skip(from).take(size).collect();
    Ok(answer)
}

/// Returns the exception of a `maxResults` beyond the bounds.
fn bad_page_size() -> BedrockException {
    BedrockException::validation(format!(
        "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value \
         between 1 and {PAGE}"
    ))
}

fn get_profile(state: &EmulatorState, call: &ReceivedRequest) -> Result<Value, BedrockException> {
    let profile = state.catalogue.find_profile(&call.region, call.target());
    let profile = profile.ok_or_else(|| {
        BedrockException::not_found("The provided inference profile was not found.")
    })?;
    Ok(profile_summary(profile, &call.region))
}

/// Returns a `FoundationModelSummary` as the service writes it.
fn summary(model: &FoundationModel, region: &str) -> Value {
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

fn profile_summary(profile: &InferenceProfile, region: &str) -> Value {
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

/// Returns the type of an inference profile.
fn type_of(profile: &InferenceProfile) -> &'static str {
    if profile.application { "APPLICATION" } else { "SYSTEM_DEFINED" }
}
