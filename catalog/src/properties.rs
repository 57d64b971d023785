//! Properties as they are written: by name, as text. Iceberg's clients have names for many of them.

/// What is wrong with a name that is none of those that there are, and what to write instead. One of `known` that ends
/// with a dot begins the names of as many as one likes.
pub fn unknown_property(name: &str, known: &[&str]) -> Option<String> {
    let is_known = known.iter().any(|known| match known.ends_with('.') {
        true => name.len() > known.len() && name.starts_with(known),
        false => name == *known,
    });
    if is_known {
        return None;
    }
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    Some(match nearest {
        Some((_, known)) => format!("is no such property; did you mean {}?", shown(known)),
        None => {
            let all: Vec<String> = known.iter().map(|known| shown(known)).collect();
            format!("is no such property; write one of {}", all.join(", "))
        }
    })
}

fn shown(known: &str) -> String {
    match known.ends_with('.') {
        true => format!("{known}NAME"),
        false => known.to_owned(),
    }
}
