//! A client for links that users send, such as images in chats. It connects only to public
//! addresses.
//!
//! Without such a guard a user could reach the private network of this host with a link (SSRF, see
//! <https://owasp.org/www-community/attacks/Server_Side_Request_Forgery>). The client parses a link
//! once and checks it against the [`FetchPolicy`], looks up its host once, checks every address,
//! and connects to an address that passed the check. A redirect passes through the same steps. A
//! [`FetchError`] has a text for the person who sent the link.
//!
//! ```no_run
//! # async fn example() -> Result<(), guarded_fetch::FetchError> {
//! use guarded_fetch::{Fetcher, FetchPolicy};
//!
//! let fetcher = Fetcher::new(FetchPolicy::default());
//! let image = fetcher.fetch("https://example.com/cat.png").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The result is bytes; the caller finds out their format.
//!
//! The client deliberately has no proxies, cookies, credentials, referrers, connection pool or
//! decompression. URLs that an admin configures do not pass through this crate.

mod address;
mod allowed_hosts;
mod connection;
mod error;
mod exchange;
mod fetcher;
mod policy;
mod resolver;
mod target;
mod tls;

pub use allowed_hosts::{AllowedHosts, HostPattern, HostPatternError};
pub use error::{FetchError, UnreachableCause};
pub use exchange::FetchedFile;
pub use fetcher::Fetcher;
pub use ipnet::IpNet;
pub use policy::FetchPolicy;
pub use resolver::{Resolver, SystemResolver};
