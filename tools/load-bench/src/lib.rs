//! The parts of the benchmarks `benches/peers` and `benches/instructions`: a mock upstream that
//! speaks OpenAI's and Bedrock's protocol, a load generator that times every token, and the
//! counters of processes that it reads.

pub mod event_stream;
pub mod load;
pub mod mock_upstream;
pub mod process_usage;
pub mod timestamp;
