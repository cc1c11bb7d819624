//! Prices of models: a built-in list, and the operator's own file on top of it.

use crate::regular_file;
use anyhow::Context;
use pipe_sdk::Usage;
use serde::Deserialize;
use std::{cmp::Reverse, collections::HashMap, path::Path};

/// The price of a model, in US dollars per million tokens. A token costs that number of millionths
/// of a dollar, so tokens times price is millionths of a dollar too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Prompt tokens.
    input: f64,
    /// Completion tokens.
    output: f64,
    /// Tokens read from the prompt cache; `input` if missing.
    cached: Option<f64>,
    /// Tokens written to the prompt cache; `input` if missing.
    cache_write: Option<f64>,
}

impl Price {
    /// Returns the cost of this usage in millionths of a US dollar.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let cached = usage.cached_tokens.unwrap_or_default();
        let written = usage.cache_creation_tokens.unwrap_or_default();
        let uncached = usage.prompt_tokens.saturating_sub(cached + written);
        let cost = uncached as f64 * self.input
            + cached as f64 * self.cached.unwrap_or(self.input)
            + written as f64 * self.cache_write.unwrap_or(self.input)
            + usage.completion_tokens as f64 * self.output;
        cost.round() as u64
    }
}

/// Prices by pipe.
#[derive(Clone, Debug, Default)]
pub struct Prices(HashMap<String, PipePrices>);

/// The prices of a pipe's models.
#[derive(Clone, Debug, Default)]
struct PipePrices {
    /// The prices by the model's id within the pipe.
    exact: HashMap<String, Price>,
    /// The prices by the beginning of the id, the longest first.
    prefixes: Vec<(String, Price)>,
}

/// A table of prices as it is written: by pipe, and by the model's id within it.
type PriceTable = HashMap<String, HashMap<String, Price>>;

/// Prefixes of inference profile ids that do not change the price.
const GEOGRAPHY_PREFIXES: [&str; 10] =
    ["us.", "us-gov.", "eu.", "apac.", "jp.", "au.", "ca.", "sa.", "in.", "global."];

impl Prices {
    /// Loads the built-in prices, and those of the operator's file on top of them.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or is no table of prices.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut table: PriceTable =
            toml::from_str(include_str!("prices.toml")).context("the list prices")?;
        if let Some(file) = file {
            let unread = || format!("cannot read the prices in {} (PRICES_FILE)", file.display());
            let own: PriceTable =
                toml::from_str(&regular_file::read_to_string(file).with_context(unread)?)
                    .with_context(unread)?;
            for (pipe, own) in own {
                table.entry(pipe).or_default().extend(own);
            }
        }
        let prices = table.into_iter().map(|(pipe, prices)| (pipe, PipePrices::new(prices)));
        Ok(Self(prices.collect()))
    }

    /// Returns the price of this model of this pipe. An entry that ends in `*` matches all ids with
    /// that prefix; the longest match wins.
    pub fn price(&self, pipe: &str, model: &str) -> Option<Price> {
        let prices = self.0.get(pipe)?;
        let model = model.split_once('@').map_or(model, |(model, _region)| model);
        let base = GEOGRAPHY_PREFIXES.iter().find_map(|geography| model.strip_prefix(geography));
        [Some(model), base].into_iter().flatten().find_map(|id| prices.price(id))
    }
}

impl PipePrices {
    fn new(table: HashMap<String, Price>) -> Self {
        let mut prices = Self::default();
        for (line, price) in table {
            match line.strip_suffix('*') {
                Some(prefix) => prices.prefixes.push((prefix.to_owned(), price)),
                None => _ = prices.exact.insert(line, price),
            }
        }
        prices.prefixes.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        prices
    }

    /// Returns the price of exactly this id, or else of the longest prefix of it.
    fn price(&self, id: &str) -> Option<Price> {
        let by_prefix = || {
            let mut prefixes = self.prefixes.iter();
            prefixes.find(|(prefix, _)| id.starts_with(&**prefix)).map(|(_, price)| *price)
        };
        self.exact.get(id).copied().or_else(by_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";

    #[test]
    fn cached_tokens_cost_what_the_cache_costs() {
        let price = Price { input: 1.0, output: 5.0, cached: Some(0.1), cache_write: Some(1.25) };
        let usage = Usage {
            prompt_tokens: 1000,
            completion_tokens: 100,
            cached_tokens: Some(600),
            cache_creation_tokens: Some(200),
            reasoning_tokens: Some(50),
        };
        assert_eq!(price.cost(&usage), 200 + 60 + 250 + 500);
    }

    #[test]
    fn a_profile_without_a_line_costs_what_its_base_costs() {
        let prices = Prices::load(None).unwrap();
        let price = |id: &str| prices.price("bedrock_models", id);
        assert!(price(HAIKU).is_some());
        assert_ne!(price(&format!("us.{HAIKU}")), price(&format!("global.{HAIKU}")));
        assert_eq!(price(&format!("ca.{HAIKU}")), price(HAIKU));
        assert_eq!(price(&format!("{HAIKU}@eu-west-1")), price(HAIKU));
        assert_eq!(price("nobody.nothing-v1"), None);
    }

    #[test]
    fn the_operators_lines_win_and_may_stand_for_many_ids() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "[bedrock_models]\n\"{HAIKU}\" = {{ input = 9, output = 9 }}").unwrap();
        writeln!(file, "[openai_proxy]\n\"local/*\" = {{ input = 0, output = 0 }}").unwrap();
        writeln!(file, "\"local/big*\" = {{ input = 1, output = 1 }}").unwrap();
        let prices = Prices::load(Some(file.path())).unwrap();
        let input = |pipe: &str, id: &str| prices.price(pipe, id).map(|price| price.input);
        assert_eq!(input("bedrock_models", HAIKU), Some(9.0));
        assert_eq!(input("openai_proxy", "local/llama"), Some(0.0));
        assert_eq!(input("openai_proxy", "local/bigger"), Some(1.0));
    }

    #[test]
    fn a_file_that_is_no_table_of_prices_is_refused_with_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "[bedrock_models]\n\"x\" = {{ inputs = 9 }}").unwrap();
        let error = format!("{:#}", Prices::load(Some(file.path())).unwrap_err());
        assert!(error.contains(&file.path().display().to_string()), "{error}");
        assert!(error.contains("inputs"), "{error}");
    }
}
