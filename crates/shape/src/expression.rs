//! Expressions over the columns of one record, in SQL, by DataFusion.
//!
//! An expression says the same of a record whenever it is asked: functions that do not are refused, and so is whatever
//! looks beyond the record. What can't be computed for a record is found out for that record alone.

mod compiled;
mod types;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::Volatility;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};

pub(crate) use compiled::Compiled;
pub(crate) use types::{arrow_of, canonical};

/// Characters of one expression.
const LONGEST: usize = 2_000;

/// Operators, functions and operands of one expression: planning goes through them by recursion.
const MOST_PARTS: usize = 200;

/// How deep the parser follows parentheses and the like.
const DEEPEST: usize = 50;

/// One that was parsed. Whether its types fit is seen when the columns are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    sql: String,
    columns: BTreeSet<String>,
}

impl Expression {
    /// Names are compared exactly; those that are no plain identifiers stand in double quotes.
    ///
    /// # Errors
    /// What is wrong with it, or not allowed in it.
    pub fn parse(sql: &str) -> Result<Self, String> {
        if sql.chars().count() > LONGEST {
            return Err(format!("has more than {LONGEST} characters"));
        }
        let parser = DFParserBuilder::new(sql).with_recursion_limit(DEEPEST).build();
        let parsed = parser.and_then(|mut parser| parser.parse_into_expr());
        let parsed = parsed.map_err(|error| match error {
            DataFusionError::SQL(error, _) => error.to_string(),
            other => other.strip_backtrace(),
        })?;
        if let Some(alias) = parsed.alias {
            return Err(format!("names its result `{alias}`; leave that out"));
        }
        let mut parts = Parts::default();
        match visit_expressions(&parsed.expr, |part| parts.take(part)) {
            ControlFlow::Break(problem) => Err(problem),
            ControlFlow::Continue(()) => Ok(Self {
                sql: sql.to_owned(),
                columns: parts.columns,
            }),
        }
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The columns that it reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }
}

#[derive(Default)]
struct Parts {
    count: usize,
    columns: BTreeSet<String>,
}

impl Parts {
    fn take(&mut self, part: &Expr) -> ControlFlow<String> {
        self.count += 1;
        if self.count > MOST_PARTS {
            return ControlFlow::Break(format!("has more than {MOST_PARTS} parts"));
        }
        match part {
            Expr::Identifier(name) => {
                self.columns.insert(name.value.clone());
            }
            Expr::CompoundIdentifier(path) => {
                self.columns.extend(path.first().map(|name| name.value.clone()));
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                return ControlFlow::Break("looks beyond its record: queries are not allowed".to_owned());
            }
            Expr::Function(function) => return may_be_called(&function.name.to_string()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn may_be_called(name: &str) -> ControlFlow<String> {
    let lower = name.to_lowercase();
    let functions = SessionStateDefaults::default_scalar_functions();
    let found = functions
        .iter()
        .find(|function| function.name() == lower || function.aliases().contains(&lower));
    match found.map(|function| function.signature().volatility) {
        Some(Volatility::Immutable) => ControlFlow::Continue(()),
        Some(Volatility::Stable | Volatility::Volatile) => ControlFlow::Break(format!(
            "calls {lower}(), which answers otherwise each time: a record that is read again would become another row"
        )),
        None => ControlFlow::Break(format!(
            "calls {lower}(), which is no function of one record's values"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str, why: &str) {
        let problem = Expression::parse(sql).unwrap_err();
        assert!(problem.contains(why), "{sql}: {problem}");
    }

    #[test]
    fn columns_are_named_exactly() {
        let expression = Expression::parse("price * \"Qty\" + address.zip - lower(Name)").unwrap();
        let columns: Vec<&str> = expression.columns().collect();
        assert_eq!(columns, ["Name", "Qty", "address", "price"]);
    }

    #[test]
    fn what_is_not_the_records_own_is_refused() {
        refused("now()", "otherwise each time");
        refused("current_date", "otherwise each time");
        refused("random() > 0.5", "otherwise each time");
        refused("uuid()", "otherwise each time");
        refused("x IN (SELECT 1)", "queries are not allowed");
        refused("EXISTS (SELECT 1)", "queries are not allowed");
        refused("(SELECT 1)", "queries are not allowed");
        refused("sum(x)", "no function of one record's values");
        refused("row_number() OVER ()", "no function of one record's values");
        refused("read_csv('x')", "no function of one record's values");
        refused("x AS y", "leave that out");
        refused("x; DROP TABLE y", "end of expression");
        refused("x +", "");
        refused(&format!("x{}", " + x".repeat(150)), "more than 200 parts");
        refused(&"x".repeat(3_000), "more than 2000 characters");
        refused(&format!("{}x{}", "(".repeat(200), ")".repeat(200)), "");
    }
}
