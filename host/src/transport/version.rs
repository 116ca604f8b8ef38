//! The protocol versions that are served, and the two eras they fall into.

/// A protocol version, oldest first. There are two eras: until 2025-11-25 a client
/// opens with `initialize`; from 2026-07-28 on each request stands alone and
/// carries its version and the client's capabilities in `params._meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
    /// 2026-07-28.
    V2026_07_28,
}

impl Version {
    /// What is served, newest first, as `server/discover` lists it.
    pub const ALL: &[Version] = &[Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18];

    /// The newest version.
    pub const LATEST: Version = Self::V2026_07_28;

    /// The newest version that `initialize` can settle on; an `initialize` with a
    /// version that is not served is answered with it.
    pub const LATEST_HANDSHAKE: Version = Self::V2025_11_25;

    /// What a request of the older era speaks that does not say it: nothing that a
    /// server without sessions sends differs between the two.
    pub const ASSUMED: Version = Self::V2025_06_18;

    /// The version as the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Reads a version; `None` when it is not served.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.as_str() == text)
    }

    /// Whether the version belongs to the stateless era.
    pub fn is_modern(self) -> bool {
        match self {
            Self::V2025_06_18 | Self::V2025_11_25 => false,
            Self::V2026_07_28 => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_versions_read_back_and_no_other_does() {
        for version in Version::ALL {
            assert_eq!(Version::parse(version.as_str()), Some(*version));
        }
        for other in ["", "2024-11-05", "2025-03-26", "2026-07-28 ", "2099-01-01", "draft"] {
            assert_eq!(Version::parse(other), None, "{other:?}");
        }
        assert!(Version::LATEST.is_modern() && !Version::LATEST_HANDSHAKE.is_modern());
    }
}
