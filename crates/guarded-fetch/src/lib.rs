//! The one client for links that users send: images in chats, pages to be read.
//!
//! Whoever may send a link may otherwise look around in the network that the host stands in. So a link is read once and judged
//! ([`Rules`]), its host is looked up once, every address is judged whichever way it came, and the connection goes to an address
//! that was judged. Redirects begin anew. What is wrong is a [`Refusal`], in words for the person who sent the link.
//!
//! ```no_run
//! # async fn example() -> Result<(), guarded_fetch::Refusal> {
//! use guarded_fetch::{Fetcher, Rules};
//!
//! let fetcher = Fetcher::new(Rules::default());
//! let image = fetcher.fetch("https://example.com/cat.png").await?;
//! # Ok(())
//! # }
//! ```
//!
//! What came is bytes; what they are is for the caller to find out.
//!
//! What is deliberately absent: proxies, cookies, credentials, referers, connections that are kept, and decoding of packed bodies.
//! Addresses that an admin sets are no matter of this crate.

mod address;
mod answer;
mod connection;
mod fetcher;
mod hosts;
mod refusal;
mod resolver;
mod rules;
mod target;
mod tls;

pub use answer::Fetched;
pub use fetcher::Fetcher;
pub use hosts::{BadPattern, HostPattern, Hosts};
pub use ipnet::IpNet;
pub use refusal::{Refusal, Unreached};
pub use resolver::{Resolver, System};
pub use rules::Rules;
