//! The one list of pipes.

use crate::slot::Registration;

/// Every pipe, in the order in which `/models` lists them.
pub const PIPES: &[Registration] = &[];
