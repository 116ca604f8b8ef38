//! How a tool's arguments are taken: `[input]`.

use super::walk::{Section, boolean, choice};

/// What is done with arguments beyond what their schema says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// What becomes of properties that no schema describes. `as-schema` by default.
    pub unknown_properties: UnknownProperties,
    /// Whether what models typically get wrong is repaired. Not by default: what a tool
    /// is called with is then what was sent.
    pub coerce: bool,
}

/// What becomes of properties that no schema describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownProperties {
    /// They are taken, unless the schema says otherwise. The default.
    #[default]
    AsSchema,
    /// They are refused, unless the schema says otherwise.
    Refuse,
}

/// The part of an [`Input`] that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputPatch {
    /// See [`Input::unknown_properties`].
    pub unknown_properties: Option<UnknownProperties>,
    /// See [`Input::coerce`].
    pub coerce: Option<bool>,
}

const UNKNOWN_PROPERTIES: &[(&str, UnknownProperties)] =
    &[("as-schema", UnknownProperties::AsSchema), ("refuse", UnknownProperties::Refuse)];

impl InputPatch {
    /// What this patch says, and what `base` says where it is silent.
    #[must_use]
    pub fn over(self, base: Input) -> Input {
        Input {
            unknown_properties: self.unknown_properties.unwrap_or(base.unknown_properties),
            coerce: self.coerce.unwrap_or(base.coerce),
        }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            unknown_properties: section.get("unknown_properties", choice(UNKNOWN_PROPERTIES)),
            coerce: section.get("coerce", boolean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_wins_where_it_speaks_and_the_base_where_it_is_silent() {
        let base = Input { unknown_properties: UnknownProperties::Refuse, coerce: true };
        assert_eq!(InputPatch::default().over(base), base);
        let patch = InputPatch { unknown_properties: None, coerce: Some(false) };
        assert_eq!(patch.over(base), Input { coerce: false, ..base });
        let patch =
            InputPatch { unknown_properties: Some(UnknownProperties::AsSchema), coerce: None };
        assert_eq!(
            patch.over(base),
            Input { unknown_properties: UnknownProperties::AsSchema, ..base }
        );
    }
}
