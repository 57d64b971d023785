//! Where tables are named: the [`Catalog`] trait, its implementations and the conformance suite that each
//! of them passes.
