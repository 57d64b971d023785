//! Text into statements, and what a statement may be: a question, never a change.

use std::str::FromStr;

use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as Sql};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::QueryError;
use crate::overlooked::overlooked;

/// Operators of one statement. Nobody writes so many; who has them written for him, means a list.
const MOST_OPERATORS: usize = 2_000;

/// One statement of a text.
#[derive(Debug, Clone)]
pub struct Statement {
    tokens: Vec<TokenWithSpan>,
    /// Where it begins in its text, from 1.
    pub line: u64,
    /// Whether a semicolon ended it.
    pub ended: bool,
}

/// Text that ends within a quotation or a comment, or that no SQL has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    pub message: String,
    /// From 1.
    pub line: u64,
}

impl Unreadable {
    /// Whether more lines can make it readable.
    pub fn unfinished(&self) -> bool {
        ["Unterminated", "Unexpected EOF", "Expected close delimiter"]
            .iter()
            .any(|words| self.message.starts_with(words))
    }
}

/// The statements of a text, empty ones left out.
///
/// # Errors
/// Text that cannot be taken apart.
pub fn split(text: &str) -> Result<Vec<Statement>, Unreadable> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| Unreadable {
        message: error.message,
        line: error.location.line,
    })?;
    let mut statements = Vec::new();
    while !tokens.is_empty() {
        let end = tokens.iter().position(|token| token.token == Token::SemiColon);
        let rest = end.map(|end| tokens.split_off(end + 1));
        if end.is_some() {
            tokens.pop();
        }
        if let Some(first) = tokens.iter().find(|token| !is_space(token)) {
            statements.push(Statement {
                line: first.span.start.line,
                ended: end.is_some(),
                tokens,
            });
        }
        tokens = rest.unwrap_or_default();
    }
    Ok(statements)
}

/// The one statement of a text.
impl FromStr for Statement {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let mut statements = split(text).map_err(|error| QueryError::Engine(error.to_string()))?;
        match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => Ok(statement),
            _ => Err(QueryError::Engine("one statement is expected here".to_owned())),
        }
    }
}

impl Statement {
    /// The statement as the engine takes it.
    ///
    /// # Errors
    /// What is no SQL; what would change something; `AS OF`, which the engine would take for nothing.
    pub fn parse(&self) -> Result<Parsed, QueryError> {
        if self.travels_in_time() {
            return Err(QueryError::AsOf);
        }
        if self.operators() > MOST_OPERATORS {
            return Err(QueryError::TooManyOperators { most: MOST_OPERATORS });
        }
        let parser = DFParserBuilder::new(self.tokens.clone()).build();
        let parsed = parser
            .and_then(|mut parser| parser.parse_statements())
            .map_err(QueryError::of)?;
        let mut parsed = parsed.into_iter();
        match parsed.next() {
            Some(statement) if reads(&statement) => match overlooked(&statement) {
                Some(part) => Err(QueryError::Overlooked(part)),
                None => Ok(statement),
            },
            Some(_) => Err(self.refused()),
            None => Err(QueryError::Engine("there is no statement".to_owned())),
        }
    }

    /// Whether its rows come in an order that it asks for.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn is_ordered(&self) -> Result<bool, QueryError> {
        Ok(match self.parse()? {
            Parsed::Statement(sql) => matches!(sql.as_ref(), Sql::Query(query) if orders(query)),
            _ => false,
        })
    }

    /// The error of a statement that would change something.
    pub fn refused(&self) -> QueryError {
        let words = self.tokens.iter().filter_map(|token| word(&token.token));
        let mut words = words.map(str::to_uppercase);
        let statement = words.find(|word| !["EXPLAIN", "ANALYZE", "VERBOSE"].contains(&word.as_str()));
        QueryError::ReadOnly {
            statement: match statement.unwrap_or_default().as_str() {
                "SELECT" | "WITH" => "SELECT INTO".to_owned(),
                other => other.to_owned(),
            },
        }
    }

    /// How often something is put on top of what comes before it.
    fn operators(&self) -> usize {
        let mut before = &Token::LParen;
        let tokens = self.tokens.iter().filter(|token| !is_space(token));
        let operators =
            tokens.filter(
                |token| match (std::mem::replace(&mut before, &token.token), &token.token) {
                    // The sign of a value in a list.
                    (Token::Comma | Token::LParen, Token::Minus | Token::Plus) => false,
                    (_, Token::Word(word)) => [
                        "AND",
                        "BETWEEN",
                        "EXCEPT",
                        "ILIKE",
                        "IN",
                        "INTERSECT",
                        "IS",
                        "JOIN",
                        "LIKE",
                        "NOT",
                        "OR",
                        "SIMILAR",
                        "UNION",
                    ]
                    .iter()
                    .any(|operator| word.quote_style.is_none() && word.value.eq_ignore_ascii_case(operator)),
                    (
                        _,
                        Token::Comma
                        | Token::Period
                        | Token::LParen
                        | Token::RParen
                        | Token::Number(..)
                        | Token::SingleQuotedString(_),
                    ) => false,
                    _ => true,
                },
            );
        operators.count()
    }

    /// Other engines' ways to write time travel. An alias may be called `of`, which nothing but a new part of the
    /// query can follow.
    fn travels_in_time(&self) -> bool {
        let tokens: Vec<&Token> = self
            .tokens
            .iter()
            .filter(|token| !is_space(token))
            .map(|token| &token.token)
            .collect();
        tokens.windows(3).any(|tokens| {
            let is = |at: usize, names: &[&str]| {
                word(tokens[at]).is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name)))
            };
            let point = matches!(
                tokens[2],
                Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen
            ) || is(2, &["timestamp", "version", "snapshot", "system", "cast", "now"]);
            (is(0, &["for"]) && is(1, &["version", "timestamp", "system_time", "system_version"]))
                || (is(0, &["version", "timestamp", "system_time"]) && is(1, &["as"]) && is(2, &["of"]))
                || (is(0, &["as"]) && is(1, &["of"]) && point)
        })
    }
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

/// Parentheses around a query leave its order alone; a query around it does not.
fn orders(query: &Query) -> bool {
    query.order_by.is_some() || matches!(query.body.as_ref(), SetExpr::Query(inner) if orders(inner))
}

fn reads(statement: &Parsed) -> bool {
    match statement {
        Parsed::Explain(explain) => reads(&explain.statement),
        Parsed::Statement(sql) => matches!(
            sql.as_ref(),
            Sql::Query(_)
                | Sql::Explain { .. }
                | Sql::ExplainTable { .. }
                | Sql::ShowTables { .. }
                | Sql::ShowColumns { .. }
                | Sql::ShowFunctions { .. }
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Parsed, QueryError> {
        text.parse::<Statement>()?.parse()
    }

    #[test]
    fn semicolons_within_quotations_and_comments_end_nothing() {
        let text = "-- first;\nSELECT ';' AS \"a;b\" /* ; */;\n\n;\nSELECT 2";
        let statements = split(text).unwrap();
        let lines: Vec<(u64, bool)> = statements.iter().map(|each| (each.line, each.ended)).collect();
        assert_eq!(lines, [(2, true), (5, false)]);
    }

    #[test]
    fn an_open_quotation_is_unfinished_and_an_odd_letter_is_not() {
        for text in ["SELECT 'a", "SELECT \"a", "SELECT /* a"] {
            assert!(split(text).unwrap_err().unfinished(), "{text}");
        }
    }

    #[test]
    fn only_questions_pass() {
        for question in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "DESCRIBE orders",
            "SELECT 1 AS of FROM orders",
        ] {
            assert!(parse(question).is_ok(), "{question}");
        }
        for change in [
            "INSERT INTO orders VALUES (1)",
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "COPY (SELECT 1) TO 'f.csv'",
            "DROP TABLE orders",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "DELETE FROM orders",
            "UPDATE orders SET a = 1",
            "EXPLAIN INSERT INTO orders VALUES (1)",
        ] {
            let refused = matches!(parse(change), Err(QueryError::ReadOnly { .. }));
            assert!(refused, "{change}");
        }
    }

    #[test]
    fn a_query_is_ordered_where_nothing_is_around_its_order() {
        for (text, ordered) in [
            ("SELECT a FROM t ORDER BY a", true),
            ("(SELECT a FROM t ORDER BY a)", true),
            (
                "WITH t AS (SELECT 1 AS a) SELECT a FROM t ORDER BY a LIMIT 3",
                true,
            ),
            ("SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY a", true),
            ("SELECT a FROM t", false),
            ("SELECT * FROM (SELECT a FROM t ORDER BY a) AS o", false),
            ("SELECT row_number() OVER (ORDER BY a) FROM t", false),
        ] {
            assert_eq!(
                text.parse::<Statement>().unwrap().is_ordered().unwrap(),
                ordered,
                "{text}"
            );
        }
    }

    #[test]
    fn what_the_engine_would_read_over_is_refused() {
        for text in [
            "FROM orders",
            "SELECT a FROM t UNION ALL FROM orders",
            "SELECT * FROM (FROM orders) AS o",
            "EXPLAIN SELECT count(*) FROM orders TABLESAMPLE (10 ROWS)",
            "SELECT count(*) FROM (SELECT 1) AS o TABLESAMPLE BERNOULLI (10)",
            "SELECT a FROM orders PREWHERE a = 1",
            "SELECT a FROM orders PARTITION (p)",
            "SELECT a FROM orders GROUP BY a WITH ROLLUP",
            "SELECT a FROM orders SETTINGS x = 1",
            "SELECT a FROM orders FORMAT JSON",
            "SELECT a FROM orders FOR UPDATE",
            "SELECT a IS DISTINCT FROM b AND c FROM orders",
        ] {
            assert!(matches!(parse(text), Err(QueryError::Overlooked(_))), "{text}");
        }
        for text in [
            "FROM orders SELECT a",
            "SELECT (a IS DISTINCT FROM b) AND c FROM orders",
            "SELECT a IS DISTINCT FROM (b AND c) FROM orders",
            "SELECT a FROM orders GROUP BY ROLLUP (a)",
            "SELECT * EXCLUDE (a) FROM orders",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn too_many_operators_are_refused_and_long_lists_are_not() {
        let refuses = |text: &str| matches!(parse(text), Err(QueryError::TooManyOperators { .. }));
        assert!(refuses(&format!("SELECT 1{}", " + 1".repeat(MOST_OPERATORS + 1))));
        let list = "SELECT 1 IN (0".to_owned() + &", -1".repeat(10 * MOST_OPERATORS) + ")";
        assert!(!refuses(&list));
    }

    #[test]
    fn time_travel_of_other_engines_is_refused_with_ours() {
        for text in [
            "SELECT * FROM orders FOR VERSION AS OF 12",
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF '2026-01-01'",
            "SELECT * FROM orders VERSION AS OF 12",
            "SELECT * FROM orders TIMESTAMP AS OF '2026-01-01'",
            "SELECT * FROM orders AS OF '2026-01-01'",
            "SELECT * FROM orders AS OF TIMESTAMP '2026-01-01'",
        ] {
            assert!(matches!(parse(text), Err(QueryError::AsOf)), "{text}");
        }
    }
}
