//! The calls of Bedrock's control plane that list the models of a region.

use super::{
    list_error::ListError,
    model_entry::FoundationModel,
    model_route::{ModelRoute, RouteList},
    region_models::ListResults,
};
use crate::{clients::Clients, error::from_sdk_error, valves::BedrockValves};
use aws_sdk_bedrock::{
    Client,
    error::SdkError,
    types::{InferenceProfileSummary, InferenceProfileType},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bedrock_runtime::SendError;
use futures_util::future::join_all;
use std::{error::Error, time::Duration};
use tokio::time::timeout;

/// The largest page of a list.
const PAGE_SIZE: i32 = 1000;

/// Lists the models of the region at this index, and waits no longer than the valves allow.
pub async fn list_region(clients: &Clients, index: usize, valves: &BedrockValves) -> ListResults {
    let client = clients.control(index).await;
    let limit = valves.list_timeout();
    let region = clients.regions().nth(index).map_or("", |region| region);
    let wanted = RouteList::ALL.into_iter().filter(|list| list.is_wanted(valves));
    let routes = wanted.map(|list| async move {
        (list, with_timeout(limit, (list.action(), region), list_routes(client, list)).await)
    });
    let (foundations, routes) = tokio::join!(
        with_timeout(limit, ("bedrock:ListFoundationModels", region), list_foundations(client)),
        join_all(routes),
    );
    let results = ListResults { foundations, routes };
    for ListError { code, message, .. } in results.errors() {
        tracing::warn!(
            aws.region = region,
            aws.error = code,
            "Could not list all models of {region}: {message}."
        );
    }
    results
}

async fn with_timeout<T>(
    limit: Duration,
    (action, region): (&str, &str),
    list: impl Future<Output = Result<T, SendError>>,
) -> Result<T, ListError> {
    let list = timeout(limit, list).await.unwrap_or(Err(SendError::Timeout));
    list.map_err(|error| ListError::new(error, action, region))
}

async fn list_foundations(client: &Client) -> Result<Vec<FoundationModel>, SendError> {
    // No filter by modality: the models behind profiles must be known too.
    let listed = client.list_foundation_models().send().await.map_err(to_send_error)?;
    Ok(listed.model_summaries().iter().map(FoundationModel::from_summary).collect())
}

/// Reads all pages of a list.
async fn list_routes(client: &Client, list: RouteList) -> Result<Vec<ModelRoute>, SendError> {
    macro_rules! pages {
        ($list:ident, $route:path) => {{
            let pages = client.$list().max_results(PAGE_SIZE).into_paginator();
            let summaries = pages.items().send().collect::<Result<Vec<_>, _>>().await;
            summaries.map_err(to_send_error)?.iter().filter_map($route).collect()
        }};
    }
    Ok(match list {
        RouteList::Profiles => list_profiles(client).await?,
        RouteList::Imported => pages!(list_imported_models, ModelRoute::from_imported_model),
        RouteList::Provisioned => {
            pages!(list_provisioned_model_throughputs, ModelRoute::from_provisioned_model)
        }
        RouteList::Deployed => {
            pages!(list_custom_model_deployments, ModelRoute::from_custom_deployment)
        }
        RouteList::Marketplace => {
            pages!(list_marketplace_model_endpoints, ModelRoute::from_marketplace_endpoint)
        }
        RouteList::Routers => pages!(list_prompt_routers, ModelRoute::from_prompt_router),
    })
}

async fn list_profiles(client: &Client) -> Result<Vec<ModelRoute>, SendError> {
    let (system, application) = tokio::try_join!(
        list_profiles_of_type(client, InferenceProfileType::SystemDefined),
        list_profiles_of_type(client, InferenceProfileType::Application),
    )?;
    Ok(system.iter().chain(&application).filter_map(ModelRoute::from_inference_profile).collect())
}

/// Lists the inference profiles of one type.
async fn list_profiles_of_type(
    client: &Client,
    kind: InferenceProfileType,
) -> Result<Vec<InferenceProfileSummary>, SendError> {
    let pages = client.list_inference_profiles().type_equals(kind).max_results(PAGE_SIZE);
    pages.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(to_send_error)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn to_send_error<E: Error + 'static>(error: SdkError<E, HttpResponse>) -> SendError {
    from_sdk_error(&error)
}
