//! Extracts final answers from texts, and compares them.

mod extract;
mod number;
mod value;
mod vote;

pub(crate) use extract::{code_block, extract, same_code, score};
pub(crate) use vote::{Tally, most_central};
