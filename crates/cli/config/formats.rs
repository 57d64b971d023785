//! The formats of a topic's values and keys, and which settings have a meaning for them. What is said of a topic's
//! records holds for both, so that it is refused only where neither has a use for it.

use tabletopic_decode::{Evolution, Format, ProtobufEnums, Recursive};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;

pub const ONLY_SCHEMAS: &str = "is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it";

pub const ONLY_PROTOBUF: &str = "is for format = \"protobuf\"; remove it";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Formats {
    pub value: Format,
    /// `None` where keys stay bytes.
    pub key: Option<Format>,
}

/// Whether records are read by schemas.
pub fn has_schemas(format: Format) -> bool {
    match format {
        Format::Avro | Format::JsonSchema | Format::Protobuf => true,
        Format::Json | Format::Raw => false,
    }
}

/// The format's name, if it has numbers of its own.
fn name_of_numbers(format: Format) -> Option<&'static str> {
    match format {
        Format::Avro => Some("avro"),
        Format::Protobuf => Some("protobuf"),
        Format::Json | Format::JsonSchema | Format::Raw => None,
    }
}

impl Formats {
    fn any(self, is: impl Fn(Format) -> bool) -> bool {
        is(self.value) || self.key.is_some_and(is)
    }

    /// Keys of the section that look into a record, where there is none to look into.
    pub fn check_raw(self, document: &Document<'_>, raw: &raw::Topic) -> Result<(), Problem> {
        let of_value = [
            ("ddl", raw.ddl.as_ref().map(Spanned::span)),
            ("event_time", raw.event_time.as_ref().map(Spanned::span)),
        ];
        let of_both = [
            ("timestamp_unit", raw.timestamp_unit.as_ref().map(Spanned::span)),
            ("nanos", raw.nanos.as_ref().map(Spanned::span)),
            ("json", raw.json.as_ref().map(Spanned::span)),
            ("protobuf", raw.protobuf.as_ref().map(Spanned::span)),
            ("schema", raw.schema.as_ref().map(Spanned::span)),
        ];
        let without_key = of_both.into_iter().filter(|_| self.key.is_none());
        let written = of_value.into_iter().chain(without_key);
        let mut written = written.filter_map(|(key, span)| Some((key, span?)));
        match written.next().filter(|_| self.value == Format::Raw) {
            Some((key, span)) => Err(document.problem_at(
                span,
                format!(
                    "format \"raw\" looks into no record, so {key} has no meaning; remove it, or write format = \"json\""
                ),
            )),
            None => Ok(()),
        }
    }

    pub fn check_json(self, document: &Document<'_>, json: &Spanned<raw::Json>) -> Result<(), Problem> {
        if self.any(|format| matches!(format, Format::Json | Format::JsonSchema)) {
            return Ok(());
        }
        let others = [Some(self.value), self.key].into_iter().flatten();
        match others.filter_map(name_of_numbers).next() {
            Some(name) => Err(document.problem_at(
                json.span(),
                format!("format \"{name}\" has numbers of its own, so json has no meaning; remove it"),
            )),
            None => Ok(()),
        }
    }

    pub fn check_protobuf(
        self,
        document: &Document<'_>,
        protobuf: &Spanned<raw::Protobuf>,
    ) -> Result<(), Problem> {
        let enums = protobuf.get_ref().enums.unwrap_or_default();
        if self.any(|format| format == Format::Protobuf) || enums == ProtobufEnums::default() {
            return Ok(());
        }
        Err(document.problem_at(protobuf.span(), ONLY_PROTOBUF.to_owned()))
    }

    pub fn check_recursive(
        self,
        document: &Document<'_>,
        recursive: &Spanned<Recursive>,
    ) -> Result<(), Problem> {
        if self.any(has_schemas) || *recursive.get_ref() == Recursive::default() {
            return Ok(());
        }
        Err(document.problem_at(recursive.span(), ONLY_SCHEMAS.to_owned()))
    }

    /// `follows` is what `evolution` says.
    pub fn check_evolution<T>(
        self,
        document: &Document<'_>,
        evolution: &Spanned<T>,
        follows: Evolution,
    ) -> Result<(), Problem> {
        let problem = if !self.any(has_schemas) && follows != Evolution::default() {
            ONLY_SCHEMAS
        } else if !self.any(|format| format == Format::Avro) && (follows.optional || follows.rename) {
            "`optional` and `rename` are for format = \"avro\"; remove them"
        } else {
            return Ok(());
        };
        Err(document.problem_at(evolution.span(), problem.to_owned()))
    }
}
