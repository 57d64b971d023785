//! Schemas are compiled in this process: what one imports is what came with it and the well-known types, and nothing else
//! of this machine.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::FileDescriptor;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// Brackets within each other: the compiler reads options by recursion.
const MOST_BRACKETS: usize = 1_000;

/// The file whose messages are asked for, which has a name that no import can have.
const ROOT: &str = "<schema>";

/// Compiles a file and what it imports.
pub(super) fn compile(
    text: &str,
    import: impl Fn(&str) -> Option<String> + 'static,
) -> Result<FileDescriptor, String> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Sources {
        root: text.to_owned(),
        import,
    });
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler
        .open_file(ROOT)
        .map_err(|error| format!("the schema does not compile: {error}"))?;
    let file = compiler.descriptor_pool().get_file_by_name(ROOT);
    file.ok_or_else(|| "the schema does not compile".to_owned())
}

struct Sources<F> {
    root: String,
    import: F,
}

impl<F: Fn(&str) -> Option<String>> FileResolver for Sources<F> {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let imported;
        let text = match name {
            ROOT => &self.root,
            name => {
                imported = (self.import)(name).ok_or_else(|| protox::Error::file_not_found(name))?;
                &imported
            }
        };
        if let Some(bytes) = compiled(text) {
            let mut file = FileDescriptorProto::decode(&*bytes).map_err(protox::Error::new)?;
            file.name = Some(name.to_owned());
            return Ok(File::from_file_descriptor_proto(file));
        }
        if deepest(text) > MOST_BRACKETS {
            return Err(protox::Error::new(format!(
                "it has more than {MOST_BRACKETS} brackets within each other"
            )));
        }
        File::from_source(name, text)
    }
}

/// The descriptor that a text is, in base64. No file with a message in it is only letters.
fn compiled(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD
        .decode(text.trim())
        .ok()
        .filter(|bytes| !bytes.is_empty())
}

fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'<' => depth += 1,
            b'}' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
