//! An expression for columns of known types, and its values for a batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, Operator, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, NegativeExpr, lit};
use datafusion::prelude::SessionConfig;

use super::Expression;

/// The stack that planning may use: it goes through an expression by recursion, with large frames where DataFusion is
/// not optimised. Only what is used of it costs memory.
const STACK: usize = 128 << 20;

/// See the module.
#[derive(Debug)]
pub struct Compiled {
    physical: Arc<dyn PhysicalExpr>,
    inputs: SchemaRef,
    /// Of the values, as the expression gives them.
    pub ty: DataType,
}

/// The values of a batch's rows.
#[derive(Debug)]
pub struct Evaluated {
    /// One for each row, null where it failed.
    pub values: ArrayRef,
    /// Rows for which there is no value, and why; in their order.
    pub failed: Vec<(usize, String)>,
}

impl Expression {
    /// `known` says the type of a column; one that no record has had is null.
    ///
    /// # Errors
    /// Types that do not go together.
    pub(crate) fn compile(&self, known: impl Fn(&str) -> Option<DataType>) -> Result<Compiled, String> {
        let field = |name: &str| Field::new(name, known(name).unwrap_or(DataType::Null), true);
        let inputs: SchemaRef = Arc::new(Schema::new(self.columns().map(field).collect::<Vec<_>>()));
        let (sql, schema) = (self.sql.clone(), inputs.clone());
        let planning = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || physical(&sql, &schema));
        let planned = planning
            .map_err(|error| format!("can't be planned: {error}"))?
            .join();
        let (physical, ty) = match planned {
            Ok(planned) => planned.map_err(|error| error.strip_backtrace())?,
            Err(_) => return Err("can't be planned; what was wrong is in the log".to_owned()),
        };
        Ok(Compiled { physical, inputs, ty })
    }
}

fn physical(sql: &str, inputs: &Schema) -> Result<(Arc<dyn PhysicalExpr>, DataType)> {
    let config = SessionConfig::new().set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    let state = SessionStateBuilder::new()
        .with_session_id(String::new())
        .with_config(config)
        .with_default_features()
        .build();
    let schema = DFSchema::try_from(inputs.clone())?;
    let logical = state.create_logical_expr(sql, &schema)?;
    logical.apply(|part| match part {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
            let name = call.func.name();
            Err(DataFusionError::Plan(format!(
                "{name}() answers otherwise each time"
            )))
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    let context = SimplifyContext::default()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(state.config_options().clone());
    let coerced = ExprSimplifier::new(context.clone()).coerce(logical, &schema)?;
    let physical = state.create_physical_expr(spelt_out(coerced, &context)?, &schema)?;
    let checked = physical.transform_up(|part| checked(part, inputs))?.data;
    let ty = checked.data_type(inputs)?;
    Ok((checked, ty))
}

/// Functions such as `coalesce` stand for other expressions, and can't be called themselves. Nothing else is simplified:
/// what is computed of constants would overflow in silence there.
fn spelt_out(mut expression: Expr, context: &SimplifyContext) -> Result<Expr> {
    loop {
        let spelt_out = expression.transform_up(|part| match part {
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                Ok(match func.simplify(args, context)? {
                    ExprSimplifyResult::Simplified(other) => Transformed::yes(other),
                    ExprSimplifyResult::Original(args) => {
                        Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
                    }
                })
            }
            other => Ok(Transformed::no(other)),
        })?;
        if !spelt_out.transformed {
            return Ok(spelt_out.data);
        }
        expression = spelt_out.data;
    }
}

/// Arithmetic that fails where it would overflow; DataFusion's own goes on at the other end of the numbers.
fn checked(part: Arc<dyn PhysicalExpr>, inputs: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    if let Some(negative) = part.as_any().downcast_ref::<NegativeExpr>() {
        let operand = negative.arg();
        let ty = operand.data_type(inputs)?;
        if !ty.is_integer() {
            return Ok(Transformed::no(part));
        }
        let nothing = lit(ScalarValue::new_zero(&ty)?);
        let minus = BinaryExpr::new(nothing, Operator::Minus, operand.clone());
        return Ok(Transformed::yes(Arc::new(minus.with_fail_on_overflow(true))));
    }
    let Some(binary) = part.as_any().downcast_ref::<BinaryExpr>() else {
        return Ok(Transformed::no(part));
    };
    if !matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply) {
        return Ok(Transformed::no(part));
    }
    let checked = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
    Ok(Transformed::yes(Arc::new(checked.with_fail_on_overflow(true))))
}

impl Compiled {
    /// The values as `to`, for the `rows` of a batch whose columns `column` hands out.
    ///
    /// # Errors
    /// Columns that are not as they were when it was compiled.
    pub fn evaluate(
        &self,
        rows: usize,
        to: &DataType,
        mut column: impl FnMut(&str) -> Result<Option<ArrayRef>, ArrowError>,
    ) -> Result<Evaluated, ArrowError> {
        let columns = self.inputs.fields().iter().map(|field| {
            let found = column(field.name())?;
            Ok(found.unwrap_or_else(|| new_null_array(field.data_type(), rows)))
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.inputs.clone(), columns, &options)?;
        let mut failed = Vec::new();
        let mut values = Vec::new();
        self.part(&batch, 0, to, &mut values, &mut failed);
        let values = match values.as_slice() {
            [] => new_null_array(to, 0),
            [all] => all.clone(),
            parts => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
        };
        Ok(Evaluated { values, failed })
    }

    /// A batch that fails is halved, until the rows are found that it fails for.
    fn part(
        &self,
        batch: &RecordBatch,
        first: usize,
        to: &DataType,
        values: &mut Vec<ArrayRef>,
        failed: &mut Vec<(usize, String)>,
    ) {
        let rows = batch.num_rows();
        match self.whole(batch, to) {
            Ok(all) => values.push(all),
            Err(error) if rows == 1 => {
                values.push(new_null_array(to, 1));
                failed.push((first, why(&error)));
            }
            Err(_) => {
                let half = rows / 2;
                self.part(&batch.slice(0, half), first, to, values, failed);
                self.part(&batch.slice(half, rows - half), first + half, to, values, failed);
            }
        }
    }

    fn whole(&self, batch: &RecordBatch, to: &DataType) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(new_null_array(to, 0));
        }
        let values = self.physical.evaluate(batch)?.into_array_of_size(rows)?;
        if let (DataType::Decimal128(precision, _), Some(decimals)) =
            (values.data_type(), values.as_primitive_opt::<Decimal128Type>())
        {
            decimals.validate_decimal_precision(*precision)?;
        }
        if values.data_type() == to {
            return Ok(values);
        }
        let exactly = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        Ok(cast_with_options(&values, to, &exactly)?)
    }
}

/// In our own words: DataFusion's may hold the value.
fn why(error: &DataFusionError) -> String {
    let found = match error.find_root() {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "a division by zero",
            ArrowError::ArithmeticOverflow(_) => "a result that its type cannot hold",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "a cast of a value that does not fit",
            _ => "a value that the expression has no result for",
        },
        _ => "a value that the expression has no result for",
    };
    found.to_owned()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    /// Of the columns `n` and `s`.
    fn evaluated(sql: &str, n: &[Option<i64>], s: &[Option<&str>]) -> Evaluated {
        let (n, s) = (Int64Array::from(n.to_vec()), StringArray::from(s.to_vec()));
        let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(n)), ("s", Arc::new(s))];
        let column = |name: &str| {
            let found = columns.iter().find(|(known, _)| *known == name);
            found.map(|(_, array)| array.clone())
        };
        let expression = Expression::parse(sql).unwrap();
        let compiled = expression
            .compile(|name| Some(column(name)?.data_type().clone()))
            .unwrap();
        let rows = columns[0].1.len();
        compiled
            .evaluate(rows, &DataType::Int64, |name| Ok(column(name)))
            .unwrap()
    }

    #[test]
    fn rows_that_fail_are_found_and_all_others_have_their_values() {
        let n = [Some(2), Some(0), None, Some(-5), Some(0)];
        let found = evaluated("10 / n", &n, &[None; 5]);
        let values: Vec<Option<i64>> = found.values.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(5), None, None, Some(-2), None]);
        let failed: Vec<usize> = found.failed.iter().map(|(row, _)| *row).collect();
        assert_eq!(failed, [1, 4]);
        assert!(found.failed[0].1.contains("division by zero"), "{found:?}");
    }

    #[test]
    fn overflow_and_casts_fail_and_do_not_tell_the_value() {
        let n = [Some(1), Some(i64::MAX)];
        assert_eq!(evaluated("n + 1", &n, &[None; 2]).failed[0].0, 1);
        assert_eq!(evaluated("n * 2", &n, &[None; 2]).failed[0].0, 1);
        assert_eq!(evaluated("-n", &[Some(i64::MIN)], &[None]).failed[0].0, 0);
        let found = evaluated("CAST(s AS BIGINT)", &[None; 2], &[Some("7"), Some("secret")]);
        assert_eq!(found.failed.len(), 1);
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn functions_that_stand_for_others_have_their_values() {
        for sql in [
            "coalesce(n, 7)",
            "nvl(n, 7)",
            "nvl2(n, n, 7)",
            "ifnull(n, 7)",
            "coalesce(nullif(n, 1), n, 7)",
        ] {
            let found = evaluated(sql, &[Some(1), None], &[None; 2]);
            let values = found.values.as_primitive::<Int64Type>().values().to_vec();
            assert_eq!((values, found.failed), (vec![1, 7], vec![]), "{sql}");
        }
    }

    #[test]
    fn columns_that_no_record_had_are_null() {
        let null = [
            "missing > 2",
            "missing * other > 5",
            "missing.member = 'x'",
            "lower(missing) = 'a'",
        ];
        let kept = [
            "missing IS NULL",
            "NOT coalesce(missing, false)",
            "coalesce(missing, 'x') = 'x'",
        ];
        let cases = null
            .map(|sql| (sql, None))
            .into_iter()
            .chain(kept.map(|sql| (sql, Some(true))));
        for (sql, expected) in cases {
            let compiled = Expression::parse(sql).unwrap().compile(|_| None);
            let compiled = compiled.unwrap_or_else(|problem| panic!("{sql}: {problem}"));
            let found = compiled.evaluate(2, &DataType::Boolean, |_| Ok(None)).unwrap();
            let values: Vec<_> = found.values.as_boolean().iter().collect();
            assert_eq!((values, found.failed), (vec![expected; 2], vec![]), "{sql}");
        }
    }
}
