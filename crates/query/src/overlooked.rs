//! What the parser understands and the engine then reads over: the answer would be that of another question.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SelectFlavor, SetExpr, TableFactor, Visit, Visitor,
};

/// The first such part of a statement, and what to write instead.
pub fn overlooked(statement: &Parsed) -> Option<&'static str> {
    match statement {
        Parsed::Explain(explain) => overlooked(&explain.statement),
        Parsed::Statement(sql) => sql.visit(&mut Reader).break_value(),
        _ => None,
    }
}

struct Reader;

impl Visitor for Reader {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        found(&[
            (query.settings.is_some(), "SETTINGS: leave it out"),
            (query.format_clause.is_some(), "FORMAT: --output is for that"),
            (
                query.for_clause.is_some(),
                "FOR XML, JSON or BROWSE: --output json is for that",
            ),
            (
                !query.locks.is_empty(),
                "FOR UPDATE or SHARE: nothing is locked here",
            ),
        ])?;
        selects(&query.body)
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<&'static str> {
        let sample = "TABLESAMPLE: write WHERE random() < 0.1";
        match table {
            TableFactor::Table {
                sample: sampled,
                partitions,
                with_hints,
                index_hints,
                json_path,
                with_ordinality,
                ..
            } => found(&[
                (sampled.is_some(), sample),
                (
                    !partitions.is_empty(),
                    "PARTITION: write WHERE; it prunes partitions",
                ),
                (
                    !with_hints.is_empty() || !index_hints.is_empty(),
                    "hints: leave them out",
                ),
                (
                    json_path.is_some(),
                    "a path behind a table: name the fields of columns",
                ),
                (*with_ordinality, "WITH ORDINALITY: write row_number() OVER ()"),
            ]),
            TableFactor::Derived { sample: sampled, .. } => found(&[(sampled.is_some(), sample)]),
            _ => ControlFlow::Continue(()),
        }
    }

    /// `a IS DISTINCT FROM b AND c` is parsed as `a IS DISTINCT FROM (b AND c)`.
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        let (Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right)) = expr else {
            return ControlFlow::Continue(());
        };
        let swallowed = matches!(
            right.as_ref(),
            Expr::BinaryOp {
                op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor,
                ..
            }
        );
        found(&[(
            swallowed,
            "the end of IS DISTINCT FROM: write (a IS DISTINCT FROM b) AND c, with the parentheses",
        )])
    }
}

/// The selects of a query; those of its subqueries are in queries of their own.
fn selects(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(select) => clauses(select),
        SetExpr::SetOperation { left, right, .. } => {
            selects(left)?;
            selects(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

fn clauses(select: &Select) -> ControlFlow<&'static str> {
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    found(&[
        (
            select.flavor == SelectFlavor::FromFirstNoSelect,
            "FROM without SELECT: write SELECT * FROM",
        ),
        (select.prewhere.is_some(), "PREWHERE: write WHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY: write WITH RECURSIVE"),
        (select.value_table_mode.is_some(), "SELECT AS: name the columns"),
        (
            select.exclude.is_some(),
            "EXCLUDE behind the columns: write SELECT * EXCLUDE (a)",
        ),
        (
            !modifiers.is_empty(),
            "WITH behind GROUP BY: write GROUP BY ROLLUP (a) or CUBE (a)",
        ),
    ])
}

fn found(parts: &[(bool, &'static str)]) -> ControlFlow<&'static str> {
    match parts.iter().find(|(there, _)| *there) {
        Some((_, what)) => ControlFlow::Break(what),
        None => ControlFlow::Continue(()),
    }
}
