//! Leaving in order.
