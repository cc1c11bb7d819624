//! Names and schemas of tools in the forms that model services accept, and their calls in the forms
//! that the client expects.
//!
//! Clients send schemas of every generator: Pydantic, Zod, MCP servers, `OpenAPI` conversions.
//! Services accept parts of JSON Schema, each another one. A schema is repaired towards its
//! meaning; what the service has no keyword for is said in the description.
//!
//! - [`limit_nesting`] cuts a schema that is nested too deep.
//! - [`repair()`] makes a schema one of JSON Schema 2020-12.
//! - [`merge_choices`] makes one object of a root that is a choice between several.
//! - [`fill_items`] adds the `items` that OpenAI demands of a list.
//! - [`plain()`] writes a schema in the fewest keywords.
//! - [`SentTools`] maps the names of tools, [`ArgumentShape`] arguments whose schema was changed in
//!   form, and [`restore_calls`] does the reverse for the chunks of an answer.

mod arguments;
mod items;
mod keywords;
mod names;
mod nesting;
mod plain;
mod repair;
mod restored_calls;

pub use arguments::ArgumentShape;
pub use items::fill_items;
pub use keywords::is_of_object;
pub use names::{SentTools, ToolUseIds, sanitize_name, shorten_id};
pub use nesting::limit_nesting;
pub use plain::{Inside, Plain, plain};
pub use repair::{CHOICES, merge_choices, repair, tell_keywords};
pub use restored_calls::restore_calls;
