//! Extracts final answers from texts, and compares them.

mod extract;
mod number;
mod value;
mod vote;

pub(crate) use extract::{code_block, extract_answer, is_same_code, parse_score};
pub(crate) use vote::{VoteTally, find_most_central};
