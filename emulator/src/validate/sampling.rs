//! Temperature and its kin.

use super::by_model;
use super::family::FAMILIES;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

pub(super) fn samplers(model: &Model, body: &Value) -> Result<(), Fault> {
    let (temperature, top_p) =
        (&body["inferenceConfig"]["temperature"], &body["inferenceConfig"]["topP"]);
    let top_k = &body["additionalModelRequestFields"]["top_k"];
    if FAMILIES.one_sampler.has(model) && !temperature.is_null() && !top_p.is_null() {
        return Err(by_model(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    if FAMILIES.no_sampler.has(model) {
        let warm = temperature.as_f64().is_some_and(|temperature| temperature != 1.0);
        let named =
            [("temperature", warm), ("top_p", !top_p.is_null()), ("top_k", !top_k.is_null())];
        if let Some((name, _)) = named.iter().find(|(_, given)| *given) {
            return Err(by_model(format!("`{name}` is deprecated for this model.")));
        }
    }
    Ok(())
}
