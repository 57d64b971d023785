//! The messages of a `.proto` file or a compiled descriptor, as their bytes are laid out and as columns are made of
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as Declared, MessageDescriptor};

use super::compile::compile;
use super::scan::Shape;
use super::shapes::shapes;
use super::value::{Enum, JsonKind, Scalar};
use super::wire::Wire;
use crate::settings::Limits;
use crate::writer_schemas::Import;

/// Types within types, each use of a message counted.
const MOST_TYPES: usize = 10_000;

/// Bytes of an enum value's name: one byte of a record can stand for it.
const LONGEST_NAME: usize = 256;

/// The messages that records can be.
#[derive(Debug)]
pub(crate) struct Messages {
    /// By their place: the index among the file's messages, then among those that are declared within that one. For a
    /// file without registry only the one that records are, at no index.
    by_place: BTreeMap<Vec<u32>, Result<Arc<Message>, String>>,
    /// The names of the file's own messages, without its package, in their order.
    names: Vec<String>,
    pub types: Arc<Types>,
}

/// Messages that contain themselves, by their full names.
pub(crate) type Types = HashMap<Box<str>, Arc<Message>>;

#[derive(Debug)]
pub(crate) struct Message {
    /// In the order of their declaration.
    pub fields: Box<[Field]>,
    /// In the order of their numbers.
    pub(super) shapes: Box<[Shape]>,
    pub oneofs: usize,
    /// The path of the first field that leads to a message which it is within.
    pub again: Option<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub name: Box<str>,
    pub number: u32,
    pub label: Label,
    pub kind: Kind,
    /// The number of the oneof that it is a member of.
    pub oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// One that is not written has its type's default.
    Implicit,
    /// One that is not written is not there.
    Explicit,
    Repeated,
}

/// What a field holds. Clones share what is within.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Enum(Arc<Enum>),
    Message(Arc<Message>),
    /// A message that is written as a group.
    Group(Arc<Message>),
    Map(Scalar, Arc<Kind>),
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// A message of one scalar, such as `google.protobuf.Int64Value`.
    Wrapper(Scalar),
    /// `google.protobuf.Struct`, `Value` or `ListValue`.
    Json(JsonKind),
    /// A message within itself, by its full name, and how it is written; the schema's [`Types`] have it.
    Again(Box<str>, Wire),
}

impl Messages {
    /// All messages of a file that a registry has.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_registry(text: &str, imports: &[Import]) -> Result<Self, String> {
        let mut known = HashMap::new();
        for Import { name, text } in imports {
            // Two versions of one file: the one that is named first, as the registries' own clients have it.
            known.entry(name.clone()).or_insert_with(|| text.clone());
        }
        let file = compile(text, move |name| known.get(name).cloned())?;
        let mut messages = BTreeMap::new();
        let mut reader = Reader::default();
        for (index, message) in (0..).zip(file.messages()) {
            reader.all(&message, vec![index], &mut messages);
        }
        match messages.is_empty() {
            true => Err("the schema has no message".into()),
            false => Ok(Self {
                by_place: messages,
                names: file.messages().map(|message| message.name().to_owned()).collect(),
                types: Arc::new(reader.types),
            }),
        }
    }

    /// The message that all records of a topic are. See [`crate::WriterSchemas::of_proto_file`].
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_proto(
        text: &str,
        message: Option<&str>,
        import: impl Fn(&str) -> Option<String> + 'static,
    ) -> Result<Self, String> {
        let file = compile(text, import)?;
        let own: Vec<MessageDescriptor> = file.messages().collect();
        Self::one(file.parent_pool(), own, message)
    }

    /// The message that a file declares first.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn first(text: &str, import: impl Fn(&str) -> Option<String> + 'static) -> Result<Self, String> {
        let file = compile(text, import)?;
        let own = file.messages().take(1).collect();
        Self::one(file.parent_pool(), own, None)
    }

    /// The same, of a compiled `FileDescriptorSet`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_descriptor_set(bytes: &[u8], message: Option<&str>) -> Result<Self, String> {
        let pool = DescriptorPool::decode(bytes).map_err(|error| {
            format!(
                "it is no FileDescriptorSet with all that it imports (`protoc --include_imports`): {error}"
            )
        })?;
        let own = pool
            .files()
            .filter(|file| !file.name().starts_with("google/protobuf/"));
        let own = own.flat_map(|file| file.messages().collect::<Vec<_>>()).collect();
        Self::one(&pool, own, message)
    }

    fn one(pool: &DescriptorPool, own: Vec<MessageDescriptor>, name: Option<&str>) -> Result<Self, String> {
        let message = match (name, &own[..]) {
            (Some(name), _) => pool.get_message_by_name(name).ok_or_else(|| {
                let names: Vec<&str> = own.iter().map(MessageDescriptor::full_name).collect();
                format!("it has no message {name}; it has {}", names.join(", "))
            })?,
            (None, [only]) => only.clone(),
            (None, []) => return Err("it has no message".into()),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(MessageDescriptor::full_name).collect();
                return Err(format!(
                    "it has several messages; write which one the records are, such as message = \"{}\"; there are {}",
                    names[0],
                    names.join(", ")
                ));
            }
        };
        let mut reader = Reader::default();
        let read = reader
            .message(&message)
            .map_err(|refusal| refusal.within(&message))?;
        Ok(Self {
            by_place: BTreeMap::from([(Vec::new(), Ok(read.message))]),
            names: Vec::new(),
            types: Arc::new(reader.types),
        })
    }

    /// The message at this place, or why no columns can be made of it; `None` if there is none.
    pub fn at(&self, place: &[u32]) -> Option<&Result<Arc<Message>, String>> {
        self.by_place.get(place)
    }

    /// The same, of the message that has this name in the file, and is not declared within another one.
    pub fn named(&self, name: &str) -> Option<&Result<Arc<Message>, String>> {
        let place = (0..).zip(&self.names).find(|(_, message)| *message == name)?.0;
        self.at(&[place])
    }
}

/// A message with what it costs to use it once more.
#[derive(Clone)]
struct Part {
    message: Arc<Message>,
    types: usize,
    /// Messages, lists and maps within each other.
    depth: usize,
}

/// Why no columns can be made of a message.
struct Refusal {
    /// The fields that lead there, the last one first.
    path: Vec<String>,
    problem: String,
}

impl Refusal {
    fn new(problem: String) -> Self {
        Self {
            path: Vec::new(),
            problem,
        }
    }

    fn within(&self, message: &MessageDescriptor) -> String {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        match &path[..] {
            [] => format!("message {}: {}", message.full_name(), self.problem),
            path => format!(
                "message {}, field {}: {}",
                message.full_name(),
                path.join("."),
                self.problem
            ),
        }
    }
}

#[derive(Default)]
struct Reader {
    /// By full name.
    known: HashMap<String, Part>,
    /// The messages that are being read, each within the one before.
    around: Vec<String>,
    /// Those that came again, each within itself.
    again: BTreeSet<String>,
    types: Types,
}

impl Reader {
    /// `message` and those that are declared within it.
    fn all(
        &mut self,
        message: &MessageDescriptor,
        place: Vec<u32>,
        messages: &mut BTreeMap<Vec<u32>, Result<Arc<Message>, String>>,
    ) {
        for (index, child) in (0..).zip(message.child_messages()) {
            self.all(&child, [&place[..], &[index]].concat(), messages);
        }
        let read = self.message(message);
        messages.insert(
            place,
            read.map(|part| part.message)
                .map_err(|refusal| refusal.within(message)),
        );
    }

    fn message(&mut self, descriptor: &MessageDescriptor) -> Result<Part, Refusal> {
        let name = descriptor.full_name();
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        if self.around.len() > Limits::DEEPEST_TYPE {
            return Err(too_deep());
        }
        self.around.push(name.to_owned());
        let part = self.fields(descriptor);
        self.around.pop();
        let part = part?;
        if self.again.contains(name) {
            self.types.insert(name.into(), part.message.clone());
        }
        // Where a message comes again depends on those around it.
        if part.message.again.is_none() {
            self.known.insert(name.to_owned(), part.clone());
        }
        Ok(part)
    }

    fn fields(&mut self, descriptor: &MessageDescriptor) -> Result<Part, Refusal> {
        let mut declared: Vec<FieldDescriptor> = descriptor.fields().collect();
        // Its path ends with its place among the fields.
        declared.sort_by_key(|field| field.path().last().copied());
        let oneofs: Vec<String> = descriptor
            .oneofs()
            .map(|oneof| oneof.full_name().to_owned())
            .collect();
        let (mut fields, mut types, mut depth) = (Vec::with_capacity(declared.len()), 1, 0);
        let mut again = None;
        for field in declared {
            let of_field = |mut refusal: Refusal| {
                refusal.path.push(field.name().to_owned());
                refusal
            };
            let (kind, more, deeper) = self.field(&field).map_err(of_field)?;
            again = again.or_else(|| again_in(field.name(), &kind));
            types += more;
            depth = depth.max(deeper);
            if types > MOST_TYPES {
                return Err(Refusal::new(format!("it has more than {MOST_TYPES} types")));
            }
            if depth >= Limits::DEEPEST_TYPE {
                return Err(of_field(too_deep()));
            }
            fields.push(Field {
                name: field.name().into(),
                number: field.number(),
                label: match (field.is_list(), field.supports_presence()) {
                    (true, _) => Label::Repeated,
                    (false, true) => Label::Explicit,
                    (false, false) => Label::Implicit,
                },
                kind,
                oneof: field
                    .containing_oneof()
                    .filter(|oneof| !oneof.is_synthetic())
                    .and_then(|oneof| oneofs.iter().position(|name| name == oneof.full_name())),
            });
        }
        Ok(Part {
            message: Arc::new(Message {
                shapes: shapes(&fields),
                fields: fields.into(),
                oneofs: oneofs.len(),
                again,
            }),
            types,
            depth: depth + 1,
        })
    }

    /// With its types, and how deep they are.
    fn field(&mut self, field: &FieldDescriptor) -> Result<(Kind, usize, usize), Refusal> {
        if field.is_map()
            && let Declared::Message(entry) = field.kind()
        {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let Some(key) = scalar(&key.kind()) else {
                return Err(Refusal::new("the keys of a map are no scalars".into()));
            };
            let (kind, types, depth) = self.kind(&value)?;
            return Ok((Kind::Map(key, Arc::new(kind)), types + 2, depth + 1));
        }
        let (kind, types, depth) = self.kind(field)?;
        Ok((kind, types, depth + usize::from(field.is_list())))
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Result<(Kind, usize, usize), Refusal> {
        let declared = field.kind();
        if let Some(scalar) = scalar(&declared) {
            return Ok((Kind::Scalar(scalar), 1, 0));
        }
        match declared {
            Declared::Enum(declared) => {
                let values = declared
                    .values()
                    .map(|value| (value.number(), value.name().to_owned()));
                let values: Vec<(i32, String)> = values.collect();
                if values.iter().any(|(_, name)| name.len() > LONGEST_NAME) {
                    let name = declared.full_name();
                    return Err(Refusal::new(format!(
                        "enum {name} has a name of more than {LONGEST_NAME} bytes"
                    )));
                }
                Ok((Kind::Enum(Arc::new(Enum::new(values))), 1, 0))
            }
            Declared::Message(message) => {
                if let Some(known) = well_known(message.full_name()) {
                    return Ok((known, 1, 0));
                }
                let name = message.full_name();
                if self.around.iter().any(|around| around == name) {
                    self.again.insert(name.to_owned());
                    let wire = match field.is_group() {
                        true => Wire::Group,
                        false => Wire::Delimited,
                    };
                    return Ok((Kind::Again(name.into(), wire), 1, 0));
                }
                let part = self.message(&message)?;
                let kind = match field.is_group() {
                    true => Kind::Group(part.message),
                    false => Kind::Message(part.message),
                };
                Ok((kind, part.types, part.depth))
            }
            other => Err(Refusal::new(format!("there are no values of type {other:?}"))),
        }
    }
}

/// Where a field leads to a message that it is within.
fn again_in(name: &str, kind: &Kind) -> Option<Box<str>> {
    match kind {
        Kind::Again(..) => Some(name.into()),
        Kind::Message(message) | Kind::Group(message) => {
            let rest = message.again.as_ref()?;
            Some(format!("{name}.{rest}").into())
        }
        Kind::Map(_, value) => again_in(name, value),
        _ => None,
    }
}

#[cold]
fn too_deep() -> Refusal {
    Refusal::new(format!(
        "the message is nested more than {} deep",
        Limits::DEEPEST_TYPE
    ))
}

fn scalar(kind: &Declared) -> Option<Scalar> {
    Some(match kind {
        Declared::Double => Scalar::Double,
        Declared::Float => Scalar::Float,
        Declared::Int32 => Scalar::Int32,
        Declared::Int64 => Scalar::Int64,
        Declared::Uint32 => Scalar::Uint32,
        Declared::Uint64 => Scalar::Uint64,
        Declared::Sint32 => Scalar::Sint32,
        Declared::Sint64 => Scalar::Sint64,
        Declared::Fixed32 => Scalar::Fixed32,
        Declared::Fixed64 => Scalar::Fixed64,
        Declared::Sfixed32 => Scalar::Sfixed32,
        Declared::Sfixed64 => Scalar::Sfixed64,
        Declared::Bool => Scalar::Bool,
        Declared::String => Scalar::Text,
        Declared::Bytes => Scalar::Bytes,
        Declared::Message(_) | Declared::Enum(_) => return None,
    })
}

fn well_known(name: &str) -> Option<Kind> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => Kind::Timestamp,
        "DoubleValue" => Kind::Wrapper(Scalar::Double),
        "FloatValue" => Kind::Wrapper(Scalar::Float),
        "Int64Value" => Kind::Wrapper(Scalar::Int64),
        "UInt64Value" => Kind::Wrapper(Scalar::Uint64),
        "Int32Value" => Kind::Wrapper(Scalar::Int32),
        "UInt32Value" => Kind::Wrapper(Scalar::Uint32),
        "BoolValue" => Kind::Wrapper(Scalar::Bool),
        "StringValue" => Kind::Wrapper(Scalar::Text),
        "BytesValue" => Kind::Wrapper(Scalar::Bytes),
        "Struct" => Kind::Json(JsonKind::Struct),
        "Value" => Kind::Json(JsonKind::Value),
        "ListValue" => Kind::Json(JsonKind::List),
        _ => return None,
    })
}
