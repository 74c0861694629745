//! The config file as it is written: every key optional, every unknown key an error.
//!
//! A mirror and nothing more. Values keep the place where they stand, so that whatever is found wrong with them
//! later can still be pointed at.

use super::error::Complaint;
use super::outputs::LogFormat;
use reaper_policy::duration;
use reaper_policy::policy::Reach;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct FileConfig {
    pub(super) interval: Option<Spanned<DurationText>>,
    pub(super) grace: Option<Spanned<DurationText>>,
    pub(super) term_timeout: Option<Spanned<DurationText>>,
    pub(super) kill_timeout: Option<Spanned<DurationText>>,
    pub(super) reach: Option<ReachText>,
    pub(super) max_targets: Option<Spanned<i64>>,
    pub(super) keep_listeners: Option<bool>,
    pub(super) r#use: Option<Vec<Spanned<String>>>,
    pub(super) protect: Option<Vec<Spanned<String>>>,
    pub(super) adopters: Option<Vec<Spanned<String>>>,
    pub(super) wrappers: Option<Vec<Spanned<String>>>,
    pub(super) log_level: Option<Spanned<String>>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) notify: Option<bool>,
    pub(super) metrics: Option<TableOf<MetricsTable>>,
    pub(super) profile: Vec<ProfileTable>,
}

/// `[metrics]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct MetricsTable {
    pub(super) textfile: Option<Spanned<String>>,
    pub(super) listen: Option<Spanned<String>>,
}

/// One `[[profile]]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ProfileTable {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) about: String,
    #[serde(default)]
    pub(super) markers: Vec<Spanned<TextOr<MarkerTable>>>,
    #[serde(default)]
    pub(super) require: Vec<Spanned<TextOr<MarkerTable>>>,
    pub(super) programs: Option<Spanned<ProgramsValue>>,
    pub(super) owner_env: Option<Spanned<String>>,
    pub(super) owner_pid_env: Option<Spanned<String>>,
    pub(super) keep_listeners: Option<bool>,
    #[serde(default)]
    pub(super) keep_args: Vec<Spanned<TextOr<KeepTable>>>,
}

/// `"NAME"`, `"NAME=VALUE"`, or either with the evidence for it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MarkerTable {
    pub(super) name: String,
    pub(super) evidence: Option<String>,
}

/// `"name"`, or a table that also looks at the arguments.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ProgramTable {
    pub(super) name: String,
    pub(super) with_arg: Option<String>,
    pub(super) without_arg: Option<String>,
    pub(super) evidence: Option<String>,
}

/// `"--daemon"`, `"app-server daemon"`, or a table that also names the program.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct KeepTable {
    pub(super) args: Vec<String>,
    pub(super) program: Option<String>,
    pub(super) evidence: Option<String>,
}

impl From<String> for MarkerTable {
    fn from(name: String) -> Self {
        Self { name, evidence: None }
    }
}

impl From<String> for ProgramTable {
    fn from(name: String) -> Self {
        Self { name, with_arg: None, without_arg: None, evidence: None }
    }
}

impl From<String> for KeepTable {
    fn from(text: String) -> Self {
        let args = text.split_whitespace().map(str::to_owned).collect();
        Self { args, program: None, evidence: None }
    }
}

/// A table that has a short form.
#[derive(Debug)]
pub(super) struct TextOr<T>(pub(super) T);

impl<'de, T: From<String> + Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: From<String> + Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr(T::from(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A table and nothing else: the derived code would take a list too, its items for the keys in their order.
#[derive(Debug)]
pub(super) struct TableOf<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TableOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
            type Value = TableOf<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TableOf)
            }
        }
        deserializer.deserialize_any(Table(PhantomData))
    }
}

/// `"any"`, or a list.
#[derive(Debug)]
pub(super) enum ProgramsValue {
    Any,
    List(Vec<Spanned<TextOr<ProgramTable>>>),
}

impl<'de> Deserialize<'de> for ProgramsValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyOrList;
        impl<'de> Visitor<'de> for AnyOrList {
            type Value = ProgramsValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"any\" or a list of programs")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "any" {
                    return Ok(ProgramsValue::Any);
                }
                let shown = text.escape_debug();
                Err(custom(&Complaint::new(
                    format!("`programs` is \"any\" or a list, not `{shown}`"),
                    format!("write [\"{shown}\"]"),
                )))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(ProgramsValue::List(list))
            }
        }
        deserializer.deserialize_any(AnyOrList)
    }
}

/// `"process"` or `"tree"`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReachText {
    Process,
    Tree,
}

impl From<ReachText> for Reach {
    fn from(text: ReachText) -> Self {
        match text {
            ReachText::Process => Self::Process,
            ReachText::Tree => Self::Tree,
        }
    }
}

/// A duration with its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct DurationText(pub(super) Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WithUnit;
        impl Visitor<'_> for WithUnit {
            type Value = DurationText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                duration::parse(text).map(DurationText).map_err(|error| custom(&error.into()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Err(custom(&bare(number < 0, &number)))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Err(custom(&bare(false, &number)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                Err(custom(&bare(number < 0.0, &number.trunc())))
            }
        }
        deserializer.deserialize_any(WithUnit)
    }
}

fn bare(negative: bool, number: &dyn fmt::Display) -> Complaint {
    if negative { duration::DurationError::negative() } else { duration::DurationError::bare(number) }.into()
}

/// Separates a complaint from its hint on the way through the parser's own error type.
const HINT: &str = "\u{1f}hint\u{1f}";

fn custom<E: de::Error>(complaint: &Complaint) -> E {
    E::custom(format!("{}{HINT}{}", complaint.why, complaint.hint.as_deref().unwrap_or_default()))
}

/// Parses a text, or says what is wrong and where.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, (Range<usize>, Complaint)> {
    toml::from_str(text).map_err(|error| (error.span().unwrap_or(0..0), complaint(error.message())))
}

/// Turns the parser's words into ours.
fn complaint(message: &str) -> Complaint {
    if let Some((why, hint)) = message.split_once(HINT) {
        return Complaint::new(why, hint);
    }
    // "unknown field `grce`, expected one of `interval`, `grace`"
    let mut quoted = message.split('`').skip(1).step_by(2);
    for (start, kind) in [("unknown field", "key"), ("unknown variant", "value")] {
        if let (true, Some(name)) = (message.starts_with(start), quoted.clone().next()) {
            return Complaint::unknown(kind, name, quoted.skip(1));
        }
    }
    if let (true, Some(name)) = (message.starts_with("missing field"), quoted.next()) {
        return Complaint::new(format!("missing key `{name}`"), format!("add `{name} = …`"));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|message| message.split_once(", expected "))
    {
        let hint = (found == "map" && expected == "a sequence")
            .then(|| "a table in a list is written [[…]]".to_owned());
        return Complaint { why: format!("expected {}, found {}", plain(expected), plain(found)), hint };
    }
    Complaint { why: message.replace('\n', ", "), hint: None }
}

/// The parser's words for kinds of values, as TOML has them.
fn plain(kind: &str) -> &str {
    match kind {
        "map" => "a table",
        "sequence" | "a sequence" => "a list",
        "i64" => "a whole number",
        other => other,
    }
}
