//! The report that CI servers read: JUnit's XML, as Jenkins' schema has it
//! (<https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>).
//! A folder is a suite. What differs is a failure, what cannot be run an error.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Judged, Outcome};
use crate::output::table::harmless;

/// What an assertion says that did not hold, for a reader without colours.
pub struct Told {
    /// One line.
    pub message: String,
    /// All of it.
    pub details: String,
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    time: Duration,
}

impl Counts {
    fn of<'j>(all: impl IntoIterator<Item = &'j Judged>) -> Self {
        let mut counts = Self::default();
        for judged in all {
            counts.tests += 1;
            counts.time += judged.took;
            match judged.outcome {
                Outcome::Passed | Outcome::Updated => {}
                Outcome::Differs(_) => counts.failures += 1,
                Outcome::CannotRun(_) => counts.errors += 1,
            }
        }
        counts
    }

    fn attributes(&self) -> [(&'static str, String); 4] {
        [
            ("tests", self.tests.to_string()),
            ("failures", self.failures.to_string()),
            ("errors", self.errors.to_string()),
            ("time", seconds(self.time)),
        ]
    }
}

/// Writes the report. `began` is a time of ISO 8601; `told` says of what did not hold what is wrong.
///
/// # Errors
/// Those of writing.
pub fn write(
    all: &[Judged],
    began: &str,
    told: impl Fn(&Judged) -> Option<Told>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut suites: BTreeMap<&Path, Vec<&Judged>> = BTreeMap::new();
    for judged in all {
        let folder = judged.assertion.query.parent().unwrap_or(Path::new(""));
        suites.entry(folder).or_default().push(judged);
    }
    let mut xml = Writer::new_with_indent(&mut *out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut document = xml
        .create_element("testsuites")
        .with_attribute(("name", "tabletopic test-sql"));
    for (name, value) in Counts::of(all).attributes() {
        document = document.with_attribute((name, value.as_str()));
    }
    document.write_inner_content(|xml| {
        for (folder, suite) in &suites {
            let name = allowed(&folder.display().to_string());
            let mut element = xml.create_element("testsuite");
            element = element.with_attribute(("name", if name.is_empty() { "." } else { name.as_str() }));
            for (name, value) in Counts::of(suite.iter().copied()).attributes() {
                element = element.with_attribute((name, value.as_str()));
            }
            element = element
                .with_attribute(("skipped", "0"))
                .with_attribute(("timestamp", began));
            element
                .write_inner_content(|xml| suite.iter().try_for_each(|judged| case(xml, judged, &told)))?;
        }
        Ok(())
    })?;
    out.write_all(b"\n")
}

fn case<W: Write>(
    xml: &mut Writer<W>,
    judged: &Judged,
    told: &impl Fn(&Judged) -> Option<Told>,
) -> io::Result<()> {
    let query = &judged.assertion.query;
    let name = query.file_stem().unwrap_or_default().to_string_lossy();
    let folder = query.parent().unwrap_or(Path::new("")).display().to_string();
    let (name, folder, time) = (allowed(&name), allowed(&folder), seconds(judged.took));
    let element = xml
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", folder.as_str()))
        .with_attribute(("time", time.as_str()));
    let kind = match judged.outcome {
        Outcome::Passed | Outcome::Updated => None,
        Outcome::Differs(_) => Some("failure"),
        Outcome::CannotRun(_) => Some("error"),
    };
    let (Some(kind), Some(told)) = (kind, told(judged)) else {
        element.write_empty()?;
        return Ok(());
    };
    element.write_inner_content(|xml| {
        let message = allowed(&told.message);
        xml.create_element(kind)
            .with_attribute(("message", message.as_str()))
            .with_attribute(("type", kind))
            .write_text_content(BytesText::new(&allowed(&told.details)))?;
        Ok(())
    })?;
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// What XML 1.0 has room for: values are what somebody has sent.
fn allowed(text: &str) -> String {
    harmless(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
