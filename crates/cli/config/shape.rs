//! `where`, `unwrap` and `[topic.columns]`: what becomes of a topic's records before they are rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iceberg::spec::{PrimitiveType, Type};
use serde::Deserialize;
use tabletopic_decode::kafka_columns::RESERVED_PREFIX;
use tabletopic_decode::{DecodeSettings, Format, OnBadRecord, parse_ddl};
use tabletopic_shape::{Expression, Fate, HashKey, Otherwise, Shape, Unwrap};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::key::Key;
use super::raw;

/// Fewer characters can be tried out.
const SHORTEST_KEY: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawUnwrap {
    Debezium,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawOtherwise {
    Drop,
    DeadLetter,
}

/// What of the topic's section is about its shape.
pub struct Raw {
    pub unwrap: Option<Spanned<RawUnwrap>>,
    pub keep: Option<Spanned<String>>,
    pub otherwise: Option<Spanned<RawOtherwise>>,
    pub columns: Option<Spanned<raw::Columns>>,
}

/// `None` if records become rows as they are.
pub fn shape(
    document: &Document<'_>,
    raw: Raw,
    decode: &DecodeSettings,
    key: Option<&Key>,
    ddl: Option<Range<usize>>,
) -> Result<Option<Shape>, Problem> {
    let at = |span: Range<usize>, message: String| document.problem_at(span, message);
    let Raw {
        unwrap,
        keep,
        otherwise,
        columns,
    } = raw;
    let section = columns.as_ref().map(Spanned::span);
    let columns = columns.map(Spanned::into_inner).unwrap_or_default();

    if let (Some(_), Some(ddl)) = (&unwrap, ddl) {
        let message = "states what unwrapping finds out from the events; remove it, and make the table beforehand where \
                       its columns should have other types";
        return Err(at(ddl, message.to_owned()));
    }
    if let Some(unwrap) = unwrap.as_ref().filter(|_| !decode.evolution.add) {
        let message =
            "finds out from the events which columns there are; write \"add\" into schema.evolution as well";
        return Err(at(unwrap.span(), message.to_owned()));
    }
    let drops = |otherwise: &Spanned<RawOtherwise>| *otherwise.get_ref() == RawOtherwise::Drop;
    if let (None, Some(otherwise)) = (&keep, otherwise.as_ref().filter(|otherwise| !drops(otherwise))) {
        let message = "is for records that `where` does not keep; add where = \"...\", or remove it";
        return Err(at(otherwise.span(), message.to_owned()));
    }
    if let Some(otherwise) = otherwise.as_ref().filter(|otherwise| !drops(otherwise))
        && decode.on_bad_record == OnBadRecord::Halt
    {
        let message = "needs a policy that sets records aside; add on_bad_record = \"dead-letter\"";
        return Err(at(otherwise.span(), message.to_owned()));
    }
    let expression =
        |sql: &Spanned<String>| Expression::parse(sql.get_ref()).map_err(|problem| at(sql.span(), problem));
    let mut compute = BTreeMap::new();
    for (name, sql) in &columns.compute {
        compute.insert(name.clone(), expression(sql)?);
    }
    let mut types = BTreeMap::new();
    for (name, text) in &columns.types {
        types.insert(
            name.clone(),
            column_type(text.get_ref()).map_err(|problem| at(text.span(), problem))?,
        );
    }
    let plain = |names: &Vec<Spanned<String>>| names.iter().map(|name| name.get_ref().clone()).collect();
    let mut shape = Shape {
        unwrap: unwrap.as_ref().map(|_| Unwrap::Debezium),
        flatten: plain(&columns.flatten),
        drop: plain(&columns.drop),
        rename: columns
            .rename
            .iter()
            .map(|(from, to)| (from.clone(), to.get_ref().clone()))
            .collect(),
        hash: plain(&columns.hash),
        hash_key: columns
            .hash_key
            .as_ref()
            .map(|key| HashKey::new(key.get_ref().reveal())),
        compute,
        types,
        keep: keep.as_ref().map(expression).transpose()?,
        otherwise: match otherwise.map(Spanned::into_inner) {
            Some(RawOtherwise::DeadLetter) => Otherwise::DeadLetter,
            Some(RawOtherwise::Drop) | None => Otherwise::Drop,
        },
    };
    if shape == Shape::default() {
        return Ok(None);
    }
    if decode.format == Format::Raw {
        let span = unwrap
            .map(|unwrap| unwrap.span())
            .or(section)
            .or(keep.map(|keep| keep.span()));
        let message = "format \"raw\" looks into no record, so nothing can be kept or left out of it; remove this, or \
                       write format = \"json\"";
        return Err(match span {
            Some(span) => at(span, message.to_owned()),
            None => document.problem_in(None, "topic.columns", message.to_owned()),
        });
    }

    check_key(document, &columns)?;
    check_names(document, &columns, &shape)?;
    check_event_time(document, section.clone(), decode, &shape)?;
    for name in shape.hash.clone() {
        if format_of(&name, &shape, decode, key) == Format::Json {
            // What is hashed is mostly text.
            let text = Type::Primitive(PrimitiveType::String);
            shape.types.entry(name).or_insert(text);
        }
    }
    check_renames(document, section.clone(), decode, &shape)?;
    check_types(document, section, &columns, decode, key, &shape)?;
    Ok(Some(shape))
}

/// A type as a DDL file has it.
fn column_type(text: &str) -> Result<Type, String> {
    let says =
        || format!("`{text}` is no type; write one as in a DDL file, such as \"BIGINT\" or \"STRING\"");
    let columns = parse_ddl(&format!("CREATE TABLE t (c {text})")).map_err(|_| says())?;
    match columns.as_slice() {
        [column] if !column.required => Ok(column.field_type.as_ref().clone()),
        _ => Err(says()),
    }
}

fn check_key(document: &Document<'_>, columns: &raw::Columns) -> Result<(), Problem> {
    match (columns.hash.first(), &columns.hash_key) {
        (Some(name), None) => Err(document.problem_at(
            name.span(),
            "needs a key, or whoever can guess a value can find its hash; add hash_key = \"${file:secrets/hash-key}\""
                .to_owned(),
        )),
        (None, Some(key)) => Err(document.problem_at(
            key.span(),
            "is for the columns of `hash`; write them, or remove it".to_owned(),
        )),
        (Some(_), Some(key)) if key.get_ref().reveal().chars().count() < SHORTEST_KEY => {
            Err(document.problem_at(
                key.span(),
                format!("has fewer than {SHORTEST_KEY} characters; make one such as with `openssl rand -hex 32`"),
            ))
        }
        _ => Ok(()),
    }
}

/// Each column is told once what becomes of it, and each column of the table has a name of its own.
fn check_names(document: &Document<'_>, columns: &raw::Columns, shape: &Shape) -> Result<(), Problem> {
    let lists = [&columns.drop, &columns.hash, &columns.flatten];
    let listed = lists
        .into_iter()
        .flatten()
        .map(|name| (name.get_ref(), name.span()));
    let keyed = columns
        .rename
        .iter()
        .chain(&columns.compute)
        .chain(&columns.types);
    let keyed = keyed.map(|(name, value)| (name, value.span()));
    for (name, span) in listed.chain(keyed) {
        let problem = if name.is_empty() {
            "has a column without a name".to_owned()
        } else if name.to_lowercase().starts_with(RESERVED_PREFIX) {
            format!("`{name}` is Kafka's own; `kafka_columns` says which of them the table has")
        } else if name.contains('.') {
            format!(
                "`{name}` is within a column; write flatten = [{:?}] and call it `{}`",
                name.split('.').next().unwrap_or_default(),
                name.replace('.', "_")
            )
        } else {
            continue;
        };
        return Err(document.problem_at(span, problem));
    }
    for name in columns.drop.iter().chain(&columns.flatten) {
        let is_other = |taken: bool| taken.then(|| name.get_ref());
        let other = is_other(shape.hash.contains(name.get_ref()))
            .or(is_other(shape.rename.contains_key(name.get_ref())))
            .or(is_other(
                shape.drop.contains(name.get_ref()) && shape.flatten.contains(name.get_ref()),
            ));
        if let Some(other) = other {
            let message = format!("`{other}` is told to become two things; decide for one");
            return Err(document.problem_at(name.span(), message));
        }
    }
    let mut taken = BTreeSet::new();
    let made = columns
        .compute
        .iter()
        .map(|(name, sql)| (name.clone(), sql.span()));
    let renamed = columns
        .rename
        .values()
        .map(|to| (to.get_ref().clone(), to.span()));
    let hashed = columns
        .hash
        .iter()
        .filter(|name| !shape.rename.contains_key(name.get_ref()));
    let hashed = hashed.map(|name| (name.get_ref().clone(), name.span()));
    for (name, span) in made.chain(renamed).chain(hashed) {
        let problem = if name.is_empty() || name.to_lowercase().starts_with(RESERVED_PREFIX) {
            format!("a column can't be called `{name}`")
        } else if shape.unwrap.is_some() && tabletopic_shape::is_envelopes(&name) {
            format!("unwrapping makes a column `{name}`; choose another name")
        } else if !taken.insert(name.to_lowercase()) {
            format!("two columns would be called `{name}`; choose another name for one of them")
        } else {
            continue;
        };
        return Err(document.problem_at(span, problem));
    }
    for (name, sql) in &columns.compute {
        let reads = shape.compute.get(name).into_iter().flat_map(Expression::columns);
        let mut others = reads.filter(|read| *read != name && shape.compute.contains_key(*read));
        if let Some(other) = others.next() {
            let message =
                format!("reads `{other}`, which is computed itself; expressions read what records hold");
            return Err(document.problem_at(sql.span(), message));
        }
    }
    Ok(())
}

fn check_event_time(
    document: &Document<'_>,
    section: Option<Range<usize>>,
    decode: &DecodeSettings,
    shape: &Shape,
) -> Result<(), Problem> {
    let Some(event_time) = &decode.event_time else {
        return Ok(());
    };
    let problem = if shape.unwrap.is_some() {
        "can't be told of change events, whose deletes may not have it; remove it, and partition by \
         `day(_source_ts_ms)` if you like"
    } else if table_column(shape, event_time).is_none() {
        "has to be a column of the table; keep it"
    } else {
        return Ok(());
    };
    Err(document.problem_in(section, "topic.event_time", problem.to_owned()))
}

/// What the table calls a field of the record, dotted; `None` if it does not hold it.
pub fn table_column(shape: &Shape, field: &str) -> Option<String> {
    let path: Vec<String> = field.split('.').map(str::to_owned).collect();
    let (column, rest) = shape.column(&path)?;
    match shape.fate(&column) {
        Fate::Kept(name) => Some([&[name][..], rest].concat().join(".")),
        Fate::Hashed(_) | Fate::Left => None,
    }
}

/// The format of the part of a record that a column is read from: keys may be flattened.
fn format_of(column: &str, shape: &Shape, decode: &DecodeSettings, key: Option<&Key>) -> Format {
    let path = shape.path(column);
    let is_its = |key: &&Key| path.first().is_some_and(|first| key.is_column(first));
    key.filter(is_its).map_or(decode.format, |key| key.format)
}

/// An alias can give a field any other name, an earlier one of a column's among them: no list of names keeps values out
/// of a table then.
fn check_renames(
    document: &Document<'_>,
    section: Option<Range<usize>>,
    decode: &DecodeSettings,
    shape: &Shape,
) -> Result<(), Problem> {
    let left_out = [
        ("drop", !shape.drop.is_empty()),
        ("hash", !shape.hash.is_empty()),
        ("compute", !shape.compute.is_empty()),
    ];
    match left_out.iter().find(|(_, said)| *said && decode.evolution.rename) {
        None => Ok(()),
        Some((key, _)) => Err(document.problem_in(
            section,
            &format!("topic.columns.{key}"),
            "cannot hold beside \"rename\" in schema.evolution: a field that is left out or replaced here could come \
             into the table under another name; remove one of the two"
                .to_owned(),
        )),
    }
}

/// A column that is read and not held has its type from the records' schema, where they have one and the table follows
/// it; anywhere else its first record would decide, and after a restart another one.
fn check_types(
    document: &Document<'_>,
    section: Option<Range<usize>>,
    columns: &raw::Columns,
    decode: &DecodeSettings,
    key: Option<&Key>,
    shape: &Shape,
) -> Result<(), Problem> {
    let read = shape.read_only();
    if let Some((name, text)) = columns
        .types
        .iter()
        .find(|(name, _)| !read.contains(name.as_str()))
    {
        let message = format!(
            "`{name}` is a column of the table, which has its type, or nothing reads it; remove this line"
        );
        return Err(document.problem_at(text.span(), message));
    }
    let told_by_schema = |name: &str| {
        format_of(name, shape, decode, key) != Format::Json && decode.infer && decode.evolution.add
    };
    let untold = read
        .into_iter()
        .find(|name| !shape.types.contains_key(*name) && !told_by_schema(name));
    match untold {
        None => Ok(()),
        Some(name) => Err(document.problem_in(
            section,
            "topic.columns.types",
            format!(
                "is missing `{name}`: an expression reads it and the table does not hold it, so that nothing tells its \
                 type; write types = {{ {name} = \"STRING\" }}, with a type as in a DDL file"
            ),
        )),
    }
}
