//! Reading the members of a JSON body, with refusals that name the field and what it should be.

use serde_json::{Map, Value};

/// A member of a body that is missing or not what it should be. The text is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct InvalidField {
    /// The member's name, dotted where it is nested.
    pub field: &'static str,
    /// What a right value looks like, to be read after "must be".
    pub expected: &'static str,
}

impl InvalidField {
    /// The refusal of `field`, which should have been `expected`.
    pub fn new(field: &'static str, expected: &'static str) -> Self {
        Self { field, expected }
    }
}

/// What a partial update says about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// The member is absent: the setting stays.
    Keep,
    /// The member is `null`: the setting goes back to its default.
    Clear,
    /// The member has a value.
    Set(T),
}

impl<T> Change<T> {
    /// The value that was set, if one was.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Applies the change to an optional setting.
    pub fn apply(self, setting: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *setting = None,
            Self::Set(value) => *setting = Some(value),
        }
    }

    /// Applies the change to a setting that always has a value.
    pub fn apply_or(self, setting: &mut T, default: T) {
        match self {
            Self::Keep => {}
            Self::Clear => *setting = default,
            Self::Set(value) => *setting = value,
        }
    }
}

/// The members of one JSON object. Unknown members are ignored; `null` is the same as absent unless
/// [`Change`] tells them apart.
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Reads from `object`.
    pub fn of(object: &'a Map<String, Value>) -> Self {
        Self(object)
    }

    /// The member as it is, unless absent or `null`.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&self, field: &'static str) -> Result<Option<&'a str>, InvalidField> {
        self.read(field, "a string", Value::as_str)
    }

    /// A boolean.
    pub fn flag(&self, field: &'static str) -> Result<Option<bool>, InvalidField> {
        self.read(field, "true or false", Value::as_bool)
    }

    /// An object.
    pub fn object(&self, field: &'static str) -> Result<Option<&'a Map<String, Value>>, InvalidField> {
        self.read(field, "an object", Value::as_object)
    }

    /// Tells an absent member, a `null` and a value apart; `read` is one of the readers above.
    pub fn change<T>(
        &self,
        field: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<Option<T>, InvalidField>,
    ) -> Result<Change<T>, InvalidField> {
        if self.0.get(field).is_some_and(Value::is_null) {
            return Ok(Change::Clear);
        }
        Ok(read(self, field)?.map_or(Change::Keep, Change::Set))
    }

    fn read<T>(
        &self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, InvalidField> {
        self.get(field).map(|value| read(value).ok_or(InvalidField::new(field, expected))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_the_field() {
        let body = json!({"a": 1, "b": null});
        let fields = Fields::of(body.as_object().unwrap());
        assert_eq!(fields.text("a").unwrap_err().to_string(), "a must be a string");
        assert_eq!(fields.text("b"), Ok(None));
        assert_eq!(fields.text("c"), Ok(None));
    }

    #[test]
    fn null_and_absence_differ_in_a_change() {
        let body = json!({"a": true, "b": null});
        let fields = Fields::of(body.as_object().unwrap());
        assert_eq!(fields.change("a", Fields::flag), Ok(Change::Set(true)));
        assert_eq!(fields.change("b", Fields::flag), Ok(Change::Clear));
        assert_eq!(fields.change("c", Fields::flag), Ok(Change::Keep));
    }
}
