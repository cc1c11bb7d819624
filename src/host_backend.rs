//! The host, as the trait `HostBackend` shows it to pipes: calls to models of other pipes go
//! through the registry, with admission, usage and limits of their own.

use crate::{
    model_call::ModelCall,
    registry::{Registry, ServedModel},
};
use futures_util::future::BoxFuture;
use pipe_sdk::{
    Body, Call, CallContext, ChunkStream, Conversations, Demand, EmbedCall, Embeddings, Host,
    HostBackend, ImageCall, Images, Ledger, Model, ModelCard, ModelKind, RerankCall, Reranked,
    Result, Usage,
};
use std::sync::Arc;

impl HostBackend for Registry {
    fn admit(&self, model: String, demand: Demand, host: Host) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { ModelCall::admit(self, &model, demand, host).await.map(drop) })
    }

    fn pipe(&self, mut call: Call, context: CallContext) -> BoxFuture<'_, Result<ChunkStream>> {
        Box::pin(async move {
            self.take_over(&mut call.body);
            let demand = Demand::chat(&call.body);
            let host = call.host.clone().with_context(context);
            let model_call = ModelCall::admit(self, &call.body.model, demand, host).await?;
            model_call.answer(call).await
        })
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let demand = Demand::token_count();
            let model_call = ModelCall::admit(self, &call.model, demand, call.host.clone()).await?;
            Ok(model_call.count_tokens(call).await?.tokens)
        })
    }

    fn embed(&self, call: EmbedCall, host: Host) -> BoxFuture<'_, Result<Embeddings>> {
        Box::pin(async move {
            let demand = Demand::embedding(&call);
            ModelCall::admit(self, &call.model, demand, host).await?.embed(call).await
        })
    }

    fn rerank(&self, call: RerankCall, host: Host) -> BoxFuture<'_, Result<Reranked>> {
        Box::pin(async move {
            let demand = Demand::rerank(&call);
            ModelCall::admit(self, &call.model, demand, host).await?.rerank(call).await
        })
    }

    fn meter(
        &self,
        model: &str,
        body: &Body,
        chunks: ChunkStream,
        context: CallContext,
    ) -> ChunkStream {
        let Ok(Some(route)) = self.route_if_known(model) else { return chunks };
        let prompt_tokens = Demand::chat(body).prompt_tokens;
        Self::meter(self).start(&route, ModelKind::Chat, context, prompt_tokens).wrap_stream(chunks)
    }

    fn images(&self, call: ImageCall, host: Host) -> BoxFuture<'_, Result<Images>> {
        Box::pin(async move {
            let demand = Demand::image(&call);
            ModelCall::admit(self, &call.model, demand, host).await?.images(call).await
        })
    }

    fn models(&self) -> Vec<ModelCard> {
        let models = self.served_models().into_iter();
        models.filter(|served| served.model.kind.answers_chats()).map(into_card).collect()
    }

    fn find_model(&self, id: &str) -> Option<ModelCard> {
        let route = self.route_if_known(id).ok()??;
        Some(match &route.listed {
            Some(model) => ModelCard::new(route.full_id, model),
            None => ModelCard::new(&*route.full_id, &Model::new(&*route.model, &*route.full_id)),
        })
    }

    fn embedding_models(&self) -> Vec<ModelCard> {
        let mut models = self.served_models();
        models.retain(|served| served.model.kind == ModelKind::Embed);
        let reads_more =
            |served: &ServedModel| served.model.metadata.reads.iter().any(|kind| *kind != "text");
        models.sort_by_key(reads_more);
        models.into_iter().map(into_card).collect()
    }

    fn lists_model(&self, id: &str) -> bool {
        self.lists_chat_model(id)
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<u64> {
        let route = self.route_if_known(model).ok()??;
        Self::meter(self).cost(route.slot.id(), &route.model, usage)
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Self::ledger(self)
    }

    fn conversations(&self) -> Arc<dyn Conversations> {
        Self::conversations(self)
    }
}

fn into_card(ServedModel { id, model, .. }: ServedModel) -> ModelCard {
    ModelCard::new(id, &model)
}
