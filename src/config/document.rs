//! TOML values: reading with their position in the text, and writing.
//!
//! Errors of the TOML library reach the user only where a text is not TOML at all. Wrong types, unknown keys and
//! missing keys are reported here.

use std::fmt::Write as _;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::diagnostics::Diagnostic;

/// A value with its position in the text.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A diagnostic with the range of bytes that it is about.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) diagnostic: Diagnostic,
}

impl Fault {
    pub(super) const fn new(span: Range<usize>, diagnostic: Diagnostic) -> Self {
        Self { span, diagnostic }
    }

    /// The value has the wrong type.
    pub(super) fn expected(what: &str, value: &Value<'_>) -> Self {
        let is_table_for_list = what == LIST && value.get_ref().is_table();
        let hint = is_table_for_list.then(|| "a table in a list is written [[…]]".to_owned());
        let why = format!("expected {what}, found {}", describe(value.get_ref()));
        Self::new(value.span(), Diagnostic { why, hint })
    }

    /// The key is unknown.
    pub(super) fn unknown_key<'k>(
        key: &Spanned<DeString<'_>>,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Self {
        Self::new(key.span(), Diagnostic::unknown("key", key.get_ref(), known))
    }
}

const LIST: &str = "a list";

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Fault> {
    DeTable::parse(text).map_err(|error| {
        let why = error.message().replace('\n', ", ");
        Fault::new(error.span().unwrap_or(0..0), Diagnostic { why, hint: None })
    })
}

/// The keys and values of a table.
pub(super) struct Fields<'v, 'i> {
    table: &'v DeTable<'i>,
    span: Range<usize>,
}

impl<'v, 'i> Fields<'v, 'i> {
    /// The keys of a whole text.
    pub(super) fn of(document: &'v Spanned<DeTable<'i>>) -> Self {
        Self { table: document.get_ref(), span: document.span() }
    }

    /// Each key with its value, in the order of the text.
    pub(super) fn in_order(&self) -> Vec<(&'v Spanned<DeString<'i>>, &'v Value<'i>)> {
        let mut all: Vec<_> = self.table.iter().collect();
        all.sort_by_key(|(key, _)| key.span().start);
        all
    }

    /// Refuses all keys but these.
    pub(super) fn only<'k>(self, known: impl IntoIterator<Item = &'k str> + Clone) -> Result<Self, Fault> {
        let is_known = |name: &str| known.clone().into_iter().any(|known| known == name);
        match self.in_order().into_iter().find(|(key, _)| !is_known(key.get_ref())) {
            None => Ok(self),
            Some((key, _)) => Err(Fault::unknown_key(key, known)),
        }
    }

    /// The value of an optional key.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value<'i>> {
        self.table.get(name)
    }

    /// The value of a required key.
    pub(super) fn required(&self, name: &str) -> Result<&'v Value<'i>, Fault> {
        self.get(name).ok_or_else(|| {
            let diagnostic = Diagnostic::new(format!("missing key `{name}`"), format!("add `{name} = …`"));
            Fault::new(self.span.clone(), diagnostic)
        })
    }
}

/// A value that is a table.
pub(super) fn table<'v, 'i>(value: &'v Value<'i>) -> Result<Fields<'v, 'i>, Fault> {
    let table = value.get_ref().as_table().ok_or_else(|| Fault::expected("a table", value))?;
    Ok(Fields { table, span: value.span() })
}

/// A value that is a list.
pub(super) fn list<'v, 'i>(value: &'v Value<'i>) -> Result<&'v [Value<'i>], Fault> {
    value.get_ref().as_array().map(|array| &**array).ok_or_else(|| Fault::expected(LIST, value))
}

/// A value that is a string.
pub(super) fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Fault> {
    value.get_ref().as_str().ok_or_else(|| Fault::expected("a string", value))
}

/// A value that is `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Fault> {
    value.get_ref().as_bool().ok_or_else(|| Fault::expected("a boolean", value))
}

/// A value that is a whole number; `None` for one that does not fit.
pub(super) fn whole_number(value: &Value<'_>) -> Result<Option<i64>, Fault> {
    let number = value.get_ref().as_integer().ok_or_else(|| Fault::expected("a whole number", value))?;
    Ok(i64::from_str_radix(number.as_str(), number.radix()).ok())
}

/// A string, or a table with more fields.
pub(super) enum TextOrTable<'v, 'i> {
    Text(&'v str),
    Table(Fields<'v, 'i>),
}

/// Reads a value that is a string or a table.
pub(super) fn text_or_table<'v, 'i>(value: &'v Value<'i>) -> Result<TextOrTable<'v, 'i>, Fault> {
    match value.get_ref() {
        DeValue::String(text) => Ok(TextOrTable::Text(text)),
        DeValue::Table(_) => table(value).map(TextOrTable::Table),
        _ => Err(Fault::expected("a string or a table", value)),
    }
}

/// The type of a value, in words.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("string {text:?}"),
        DeValue::Integer(number) => format!("integer `{}`", decimal(number)),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) => format!("floating point `{number:?}`"),
            Err(_) => format!("floating point `{number}`"),
        },
        DeValue::Boolean(value) => format!("boolean `{value}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => LIST.to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A whole number in decimal digits, however it is written.
pub(super) fn decimal(number: &DeInteger<'_>) -> String {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => number.to_string(),
        Err(_) => number.to_string(),
    }
}

/// A list of strings as TOML.
pub(super) fn quoted_list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    format!("[{}]", items.into_iter().map(|item| quoted(item.as_ref())).collect::<Vec<_>>().join(", "))
}

/// A string as TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
