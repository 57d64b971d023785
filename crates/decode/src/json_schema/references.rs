//! Where a `$ref` leads: within its document, or into one that is referred to.

use super::document::Node;

/// Documents that one schema leads to, and their bytes in all.
const MOST_DOCUMENTS: usize = 1_000;
const MOST_BYTES: usize = 16 << 20;

/// A schema and those that it refers to.
#[derive(Debug)]
pub(super) struct Documents(Vec<Document>);

#[derive(Debug)]
struct Document {
    /// As the `$ref`s call it; the schema itself has none.
    name: String,
    root: Node,
}

/// A schema, and the document that its references start from.
#[derive(Clone, Copy)]
pub(super) struct Place<'v> {
    pub document: usize,
    pub schema: &'v Node,
}

impl Documents {
    /// `import` has the text of a document by its name.
    ///
    /// # Errors
    /// What is wrong with one of them, for people.
    pub fn load(text: &str, import: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut bytes = text.len();
        let mut documents = Self(vec![Document {
            name: String::new(),
            root: Node::parse(text)?,
        }]);
        let mut next = 0;
        while next < documents.0.len() {
            for name in names_in(&documents.0[next].root) {
                if documents.find(next, &name).is_some() {
                    continue;
                }
                let Some(text) = import(&name) else {
                    return Err(format!("it refers to {name}, which is not there"));
                };
                bytes += text.len();
                if bytes > MOST_BYTES || documents.0.len() == MOST_DOCUMENTS {
                    return Err(format!(
                        "it leads to more than {MOST_DOCUMENTS} schemas or {MOST_BYTES} bytes of them"
                    ));
                }
                let root = Node::parse(&text).map_err(|problem| format!("{name}: {problem}"))?;
                documents.0.push(Document { name, root });
            }
            next += 1;
        }
        Ok(documents)
    }

    pub fn root(&self) -> Place<'_> {
        Place {
            document: 0,
            schema: &self.0[0].root,
        }
    }

    /// # Errors
    /// Why it leads nowhere.
    pub fn resolve<'v>(&'v self, from: Place<'v>, reference: &Node) -> Result<Place<'v>, String> {
        let Node::Text(reference) = reference else {
            return Err("`$ref` has to be text".to_owned());
        };
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let start = match name {
            "" => Some(Place {
                schema: &self.0[from.document].root,
                ..from
            }),
            name => self.find(from.document, name),
        };
        let found = start.and_then(|start| {
            let schema = match pointer {
                "" => Some(start.schema),
                pointer if pointer.starts_with('/') => start.schema.pointer(pointer),
                anchor => definitions(start.schema).find(|schema| schema.text("$anchor") == Some(anchor)),
            };
            Some(Place {
                schema: schema?,
                ..start
            })
        });
        found.ok_or_else(|| format!("`$ref` to {reference:?} leads nowhere"))
    }

    /// A document by its name or its `$id`, which a name in document `from` may be relative to; or a part of it that has
    /// an `$id` of its own.
    fn find(&self, from: usize, name: &str) -> Option<Place<'_>> {
        let id = id_of(&self.0[from].root).unwrap_or_default();
        let whole = id.rsplit_once('/').map(|(folder, _)| format!("{folder}/{name}"));
        let is_it = |id: &str| id == name || Some(id) == whole.as_deref();
        let mut documents = self.0.iter().enumerate();
        documents.find_map(|(document, Document { name, root })| {
            if is_it(name) || id_of(root).is_some_and(is_it) {
                return Some(Place {
                    document,
                    schema: root,
                });
            }
            let schema = definitions(root).find(|schema| id_of(schema).is_some_and(is_it))?;
            Some(Place { document, schema })
        })
    }
}

/// `id` is what draft 4 calls it.
fn id_of(schema: &Node) -> Option<&str> {
    let id = schema.text("$id").or_else(|| schema.text("id"))?;
    Some(id.trim_end_matches('#'))
}

fn definitions(root: &Node) -> impl Iterator<Item = &Node> {
    ["$defs", "definitions"]
        .into_iter()
        .filter_map(|keyword| root.get(keyword))
        .flat_map(Node::members)
        .map(|(_, schema)| schema)
}

/// The documents that a schema refers to.
fn names_in(root: &Node) -> Vec<String> {
    let mut names = Vec::new();
    root.walk(&mut |node| {
        let name = node
            .text("$ref")
            .and_then(|reference| reference.split('#').next());
        if let Some(name) = name.filter(|name| !name.is_empty() && !names.iter().any(|known| known == name)) {
            names.push(name.to_owned());
        }
    });
    names
}
