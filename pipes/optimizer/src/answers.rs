//! What an answer comes down to, and what several answers agree on.

mod extract;
mod number;
mod value;
mod vote;

pub(crate) use extract::{code_block, extract, same_code, score};
pub(crate) use vote::{Tally, most_central};
