//! The valve *Fallbacks*: chains of models that answer when another cannot.

use crate::model_id::strip_pipe_id;
use pipe_sdk::split_list;

/// Parsed chains, as in `model > next > next, model > next`.
#[derive(Debug, Default)]
pub struct FallbackChains(Vec<FallbackChain>);

/// One chain: the model for which it is, and the models that follow.
#[derive(Debug)]
pub struct FallbackChain {
    /// A name or pattern of models.
    pub model: String,
    /// The names of the models that answer in its place, in their order.
    pub fallbacks: Vec<String>,
}

impl FallbackChains {
    /// Parses the valve.
    pub fn parse(valve: &Option<String>) -> Self {
        let chains = split_list(valve).filter_map(|chain| {
            let mut names = chain.split('>').map(strip_pipe_id).map(String::from);
            Some(FallbackChain { model: names.next()?, fallbacks: names.collect() })
        });
        Self(chains.collect())
    }

    /// Returns the chains in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, FallbackChain> {
        self.0.iter()
    }
}
