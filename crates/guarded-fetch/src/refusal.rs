//! Why a link was not fetched, in words for the person who sent it.

use http::StatusCode;
use std::{error::Error, io, time::Duration};

/// Why a link was not fetched.
///
/// The text is for the person who sent the link, the sources are for the operator's log alone. Texts hold no address, and no more of
/// the link than its host. What stands behind [`Unreachable`](Refusal::Unreachable) reads the same whatever it is, lest somebody map
/// a network with it; the others follow from the link itself, or come after an answer from a place that everybody may ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a link, or one without a host.
    #[error(
        "this is no link that can be fetched: send one that begins with https://, or the file itself"
    )]
    NotALink,

    /// Neither https nor http.
    #[error("`{0}:` links are not fetched: send one that begins with https://, or the file itself")]
    Scheme(String),

    /// Not encrypted, and the rules ask for that.
    #[error("http:// links are not fetched: send the same link with https://, or the file itself")]
    PlainHttp,

    /// A name or a password before the host.
    #[error(
        "links with a user name or password are not fetched: remove what stands before the `@`"
    )]
    Credentials,

    /// A port that is not among the rules'.
    #[error("links to port {0} are not fetched: send one without a port, or the file itself")]
    Port(u16),

    /// A host that is not among the rules'.
    #[error(
        "nothing is fetched from `{0}`: send the file itself, or ask your admin to allow this host"
    )]
    Host(String),

    /// The link spells out an address that is not public.
    #[error(
        "the link leads into a private network: send one that opens from anywhere, or the file itself"
    )]
    NotPublic,

    /// There is no such host, or none that answers, or it is not public.
    #[error(
        "nothing could be fetched from `{host}`: check that the link opens from anywhere, or send the file itself"
    )]
    Unreachable {
        /// As the link has it.
        host: String,
        /// What stood in the way. For the log alone: it tells what the text must not.
        #[source]
        cause: Unreached,
    },

    /// Another answer than the thing itself.
    #[error(
        "`{host}` answered {}: check that the link opens without a login, or send the file itself",
        .status.as_u16()
    )]
    Status {
        /// As the link has it.
        host: String,
        /// Neither a success nor a redirect.
        status: StatusCode,
    },

    /// Too many redirects.
    #[error("the link leads on more than {0} times: send the one at its end, or the file itself")]
    TooManyRedirects(u8),

    /// Larger than the rules allow.
    #[error("what the link leads to is larger than {}: send something smaller", mebibytes(.0))]
    TooLarge(usize),

    /// Packed, though it was asked for as it is.
    #[error("`{0}` sends this only in a packed form, which is not taken: send the file itself")]
    Packed(String),

    /// The answer began, but did not end in time.
    #[error("`{host}` took more than {} s: try again later, or send the file itself", .most.as_secs_f32())]
    TooSlow {
        /// As the link has it.
        host: String,
        /// What the rules allow.
        most: Duration,
    },

    /// The answer began, but broke off.
    #[error("`{host}` broke off before the end: try again, or send the file itself")]
    Broken {
        /// As the link has it.
        host: String,
        /// For the log alone.
        #[source]
        cause: hyper::Error,
    },
}

/// What stood in the way to a host. Only for an operator's eyes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreached {
    /// The name is unknown, or could not be looked up.
    #[error("the name could not be looked up")]
    Name(#[source] io::Error),

    /// None of the addresses is public, or in a network that the rules open.
    #[error("the name has no address that the rules open")]
    NotOpen,

    /// No connection, or no agreement on encryption.
    #[error("no connection")]
    Connection(#[source] io::Error),

    /// It took too long until the answer began.
    #[error("no answer in time")]
    Silent,

    /// What came was no HTTP.
    #[error("no answer in HTTP")]
    NotHttp(#[source] Box<dyn Error + Send + Sync>),
}

fn mebibytes(bytes: &usize) -> String {
    match bytes / (1024 * 1024) {
        0 => format!("{bytes} bytes"),
        whole => format!("{whole} MiB"),
    }
}
