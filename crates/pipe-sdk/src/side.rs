//! The sides of a router.

/// The side of a router that an answer is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Machines of the operator.
    Local,
    /// A cloud provider.
    Cloud,
}

impl Side {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}
