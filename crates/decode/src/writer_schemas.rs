//! The schemas that records were written with: one from a file, or those that a registry has told so far.
//!
//! A decoder only looks here. Who fetches what is missing, and waits for it, knows the registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tabletopic_records::SchemaId;

use crate::avro::schema::{Root, parse};
use crate::protobuf::schema::{Import, Messages};
use crate::settings::Part;

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
}

impl WriterSchema {
    /// Says that it is of another format than the topic's.
    pub fn is_not(&self, wanted: &str) -> String {
        let kind = match self {
            Self::Avro(_) => "AVRO",
            Self::Protobuf(_) => "PROTOBUF",
        };
        format!("it is registered as {kind}, and not as {wanted}")
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Avro(a), Self::Avro(b)) => Arc::ptr_eq(&a.fields, &b.fields),
            (Self::Protobuf(a), Self::Protobuf(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
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
