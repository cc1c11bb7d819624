//! Errors of a fetch, with texts for the person who sent the link.

use http::StatusCode;
use std::{error::Error, io, time::Duration};

/// An error of a fetch.
///
/// The text is for the person who sent the link; the sources are only for the operator's log. The
/// text holds no address, and no part of the link except its host. The text of
/// [`Unreachable`](FetchError::Unreachable) is the same for every cause, because different texts
/// would let a user map the private network. The other variants follow from the link itself, or
/// from a response of a public server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is not a URL, or a URL without a host.
    #[error(
        "this is not a link that can be fetched: send one that begins with https://, or the file itself"
    )]
    InvalidUrl,

    /// The scheme is neither https nor http.
    #[error("`{0}:` links are not fetched: send one that begins with https://, or the file itself")]
    UnsupportedScheme(String),

    /// The scheme is http, and the policy allows only https.
    #[error("http:// links are not fetched: send the same link with https://, or the file itself")]
    PlainHttp,

    /// The link has a user name or a password.
    #[error("links with a user name or password are not fetched: remove the part before the `@`")]
    Credentials,

    /// The policy does not allow the port.
    #[error("links to port {0} are not fetched: send one without a port, or the file itself")]
    PortNotAllowed(u16),

    /// The policy does not allow the host.
    #[error(
        "nothing is fetched from `{0}`: send the file itself, or ask your admin to allow this host"
    )]
    HostNotAllowed(String),

    /// The host of the link is an IP address that is not public.
    #[error(
        "the link leads into a private network: send one that opens from anywhere, or the file itself"
    )]
    PrivateAddress,

    /// The host does not exist, does not answer, or has no public address.
    #[error(
        "nothing could be fetched from `{host}`: check that the link opens from anywhere, or send the file itself"
    )]
    Unreachable {
        /// The host as the link has it.
        host: String,
        /// The cause, only for the operator's log.
        #[source]
        cause: UnreachableCause,
    },

    /// The response has a status other than success.
    #[error(
        "`{host}` answered {}: check that the link opens without a login, or send the file itself",
        .status.as_u16()
    )]
    Status {
        /// The host as the link has it.
        host: String,
        /// The status, neither a success nor a redirect.
        status: StatusCode,
    },

    /// The link redirects too often.
    #[error("the link redirects more than {0} times: send the last link, or the file itself")]
    TooManyRedirects(u8),

    /// The file is larger than the policy allows.
    #[error("the file behind the link is larger than {}: send a smaller one", format_size(.0))]
    TooLarge(usize),

    /// The response is compressed, although the request asked for none.
    #[error("`{0}` sends this file only compressed, which is not supported: send the file itself")]
    Compressed(String),

    /// The response began, but did not end in time.
    #[error("`{host}` took more than {} s: try again later, or send the file itself", .limit.as_secs_f32())]
    TimedOut {
        /// The host as the link has it.
        host: String,
        /// The policy's time-out for the whole fetch.
        limit: Duration,
    },

    /// The response began, but the connection failed before its end.
    #[error("the connection to `{host}` ended too early: try again, or send the file itself")]
    Interrupted {
        /// The host as the link has it.
        host: String,
        /// The error of the connection, only for the operator's log.
        #[source]
        cause: hyper::Error,
    },
}

/// The cause of [`FetchError::Unreachable`], only for the operator's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreachableCause {
    /// The name does not exist, or the look-up failed.
    #[error("the name could not be looked up")]
    NameLookup(#[source] io::Error),

    /// No address of the host is public or in a network that the policy allows.
    #[error("the host has no address that the policy allows")]
    NoAllowedAddress,

    /// The TCP connection or the TLS handshake failed.
    #[error("no connection")]
    Connection(#[source] io::Error),

    /// No response began in time.
    #[error("no response in time")]
    TimedOut,

    /// The host sent something other than HTTP.
    #[error("the response is not HTTP")]
    NotHttp(#[source] Box<dyn Error + Send + Sync>),
}

fn format_size(bytes: &usize) -> String {
    match bytes / (1024 * 1024) {
        0 => format!("{bytes} bytes"),
        whole => format!("{whole} MiB"),
    }
}
