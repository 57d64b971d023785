//! The schemas that records were written with: one from a file, or those that a registry has told so far.
//!
//! A decoder only looks here. Who fetches what is missing, and waits for it, knows the registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tabletopic_records::SchemaId;

use crate::avro::schema::{Root, parse};
use crate::json_schema::schema::{self as json_schema, JsonSchema};
use crate::protobuf::schema::Messages;
use crate::settings::{DecodeSettings, Part, Recursive};

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As `import` or `$ref` says it.
    pub name: String,
    /// A `.proto` file's text or a compiled one in base64, or a JSON Schema.
    pub text: String,
}

/// A handle: clones see the same schemas.
#[derive(Clone, Default)]
pub struct WriterSchemas(Origin);

#[derive(Clone, Default)]
enum Origin {
    /// For formats without schemas.
    #[default]
    None,
    File(WriterSchema),
    Registry(Arc<RwLock<HashMap<SchemaId, Found>>>),
}

/// A schema as its format reads it. Clones share it.
#[derive(Debug, Clone)]
pub(crate) enum WriterSchema {
    Avro(Root),
    Protobuf(Arc<Messages>),
    Json(Arc<JsonSchema>),
}

impl WriterSchema {
    /// Says that it is of another format than the topic's.
    pub fn is_not(&self, wanted: &str) -> String {
        let kind = match self {
            Self::Avro(_) => "AVRO",
            Self::Protobuf(_) => "PROTOBUF",
            Self::Json(_) => "JSON",
        };
        format!("it is registered as {kind}, and not as {wanted}")
    }

    /// Whether `recursive` allows it; says why not.
    pub fn check(&self, recursive: Recursive) -> Result<(), String> {
        let found = match self {
            Self::Avro(root) => root.types.keys().min().map(|name| format!("type {name}")),
            Self::Json(schema) => schema.recursive.as_ref().map(|path| format!("field {path}")),
            // Of the messages in a registry's schema, each record says which it is.
            Self::Protobuf(messages) => match messages.at(&[]) {
                Some(Ok(message)) => message.again.as_ref().map(|path| format!("field {path}")),
                _ => None,
            },
        };
        refuse(found, recursive)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Avro(a), Self::Avro(b)) => Arc::ptr_eq(&a.fields, &b.fields),
            (Self::Protobuf(a), Self::Protobuf(b)) => Arc::ptr_eq(a, b),
            (Self::Json(a), Self::Json(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Says why `recursive` does not allow what was `found`, such as `type Node`, to contain itself.
pub(crate) fn refuse(found: Option<String>, recursive: Recursive) -> Result<(), String> {
    match (found, recursive) {
        (Some(found), Recursive::Refuse) => Err(format!(
            "{found} contains itself, and columns have to end somewhere; flatten it at its source, or keep it \
                 as JSON text with schema.recursive = \"json\""
        )),
        _ => Ok(()),
    }
}

/// What is known of an id.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Schema(WriterSchema),
    NoSuchId,
    /// It is there, and no columns can be made of it.
    Unusable(String),
}

impl WriterSchemas {
    /// This part of every record was written with this schema, and has no frame.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_avro_file(text: &str, part: Part) -> Result<Self, String> {
        Self::of_avro(text, &[], part)
    }

    /// As of a file, with the schemas whose types it uses.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_avro(text: &str, references: &[String], part: Part) -> Result<Self, String> {
        let root = parse(text, references)?.of(part)?;
        Ok(Self(Origin::File(WriterSchema::Avro(root))))
    }

    /// Every record is a message of this `.proto` file, and has no frame. `message` is its full name, which may be left
    /// out where the file has one message; `import` is asked for the files that this one imports, and those that they
    /// do, by their names.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_proto_file(
        text: &str,
        message: Option<&str>,
        import: impl Fn(&str) -> Option<String> + 'static,
    ) -> Result<Self, String> {
        let messages = Messages::of_proto(text, message, import)?;
        Ok(Self(Origin::File(WriterSchema::Protobuf(Arc::new(messages)))))
    }

    /// The same, of a compiled `FileDescriptorSet` that has all that its files import.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_descriptor_set(bytes: &[u8], message: Option<&str>) -> Result<Self, String> {
        let messages = Messages::of_descriptor_set(bytes, message)?;
        Ok(Self(Origin::File(WriterSchema::Protobuf(Arc::new(messages)))))
    }

    /// Every record is the message that this `.proto` file declares first, and has no frame. `import` as above.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_first_message(
        text: &str,
        import: impl Fn(&str) -> Option<String> + 'static,
    ) -> Result<Self, String> {
        let messages = Messages::first(text, import)?;
        Ok(Self(Origin::File(WriterSchema::Protobuf(Arc::new(messages)))))
    }

    /// Every record is an object of this JSON Schema, and has no frame. `import` is asked for the schemas that it refers
    /// to, and those that they do, by the names that `$ref` gives them.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_json_schema_file(text: &str, import: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let schema = json_schema::parse(text, import)?;
        Ok(Self(Origin::File(WriterSchema::Json(Arc::new(schema)))))
    }

    /// The same, with the schemas that it refers to.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub fn of_json_schema(text: &str, imports: &[Import]) -> Result<Self, String> {
        Self::of_json_schema_file(text, |name| imported(imports, name))
    }

    /// Itself, if `recursive` allows the schema of the file.
    ///
    /// # Errors
    /// Why not.
    pub fn allowed(self, recursive: Recursive) -> Result<Self, String> {
        if let Origin::File(schema) = &self.0 {
            schema.check(recursive)?;
        }
        Ok(self)
    }

    /// Each record names its schema; nothing is known yet.
    pub fn of_registry() -> Self {
        Self(Origin::Registry(Arc::default()))
    }

    /// Whether records begin with the id of their schema.
    pub fn is_framed(&self) -> bool {
        matches!(self.0, Origin::Registry(_))
    }

    /// Whether the registry has said something of `id`.
    pub fn knows(&self, id: SchemaId) -> bool {
        self.find(Some(id)).is_some()
    }

    /// The registry has this Avro schema under `id`; `references` are the schemas whose types it uses.
    pub fn learn_avro(&self, id: SchemaId, text: &str, references: &[String]) {
        let found = match parse(text, references) {
            Ok(root) => Found::Schema(WriterSchema::Avro(root)),
            Err(problem) => Found::Unusable(problem),
        };
        self.learn(id, found);
    }

    /// The registry has this Protobuf schema under `id`: the text of a `.proto` file, or a compiled one in base64.
    /// `imports` are the files that it imports, and those that they do.
    pub fn learn_protobuf(&self, id: SchemaId, text: &str, imports: &[Import]) {
        let found = match Messages::of_registry(text, imports) {
            Ok(messages) => Found::Schema(WriterSchema::Protobuf(Arc::new(messages))),
            Err(problem) => Found::Unusable(problem),
        };
        self.learn(id, found);
    }

    /// The registry has this JSON Schema under `id`; `imports` are those that it refers to, and those that they do.
    pub fn learn_json(&self, id: SchemaId, text: &str, imports: &[Import]) {
        let found = match json_schema::parse(text, |name| imported(imports, name)) {
            Ok(schema) => Found::Schema(WriterSchema::Json(Arc::new(schema))),
            Err(problem) => Found::Unusable(problem),
        };
        self.learn(id, found);
    }

    /// The registry has something under `id` that is of no use here.
    pub fn learn_unusable(&self, id: SchemaId, problem: String) {
        self.learn(id, Found::Unusable(problem));
    }

    /// The registry has nothing under `id`.
    pub fn learn_absent(&self, id: SchemaId) {
        self.learn(id, Found::NoSuchId);
    }

    /// Forgets that the registry had nothing under `id`: it may have something by now.
    pub fn forget_absent(&self, id: SchemaId) {
        if let Origin::Registry(known) = &self.0 {
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(known.get(&id), Some(Found::NoSuchId)) {
                known.remove(&id);
            }
        }
    }

    fn learn(&self, id: SchemaId, found: Found) {
        if let Origin::Registry(known) = &self.0 {
            known
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, found);
        }
    }

    /// `None` is the schema of the file.
    pub(crate) fn find(&self, id: Option<SchemaId>) -> Option<Found> {
        match (&self.0, id) {
            (Origin::File(schema), None) => Some(Found::Schema(schema.clone())),
            (Origin::Registry(known), Some(id)) => {
                let known = known.read().unwrap_or_else(PoisonError::into_inner);
                known.get(&id).cloned()
            }
            _ => None,
        }
    }
}

impl DecodeSettings {
    /// The schema under `id`, or that of the file, if it is known and columns can be made of it.
    pub(crate) fn usable(&self, id: Option<SchemaId>) -> Option<WriterSchema> {
        match self.writers.find(id) {
            Some(Found::Schema(schema)) if schema.check(self.recursive).is_ok() => Some(schema),
            _ => None,
        }
    }
}

/// The text of a schema that another one refers to by `name`. Of two versions of one, the one that comes first, as the
/// registries' own clients have it.
pub fn imported(imports: &[Import], name: &str) -> Option<String> {
    let import = imports.iter().find(|import| import.name == name)?;
    Some(import.text.clone())
}

/// The same handle, not the same schemas.
impl PartialEq for WriterSchemas {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Origin::None, Origin::None) => true,
            (Origin::File(a), Origin::File(b)) => a.is_same(b),
            (Origin::Registry(a), Origin::Registry(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for WriterSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Origin::None => "WriterSchemas(none)",
            Origin::File(_) => "WriterSchemas(file)",
            Origin::Registry(_) => "WriterSchemas(registry)",
        })
    }
}
